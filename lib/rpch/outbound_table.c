/* SPDX-License-Identifier: Apache-2.0 */
/*
 * outbound_table.c - what may happen to the outbound proxy, and when, 3.2.4.5:
 * the table next[][], and the way of an event through it.
 */
#include "rpch/outbound_event.h"
#include "rpch/outbound_private.h"

#define BUG RPCH_CELL_BUG
#define STAY RPCH_CELL_STAY
#define ERR RPCH_CELL_ERR
#define DROP RPCH_CELL_DROP
#define CONN (RPCH_OUT_CONNECT + 1)
#define RESP (RPCH_OUT_RESPONSE + 1)
#define C1W (RPCH_OUT_C1W + 1)
#define SUCC (RPCH_OUT_SUCCEED + 1)
#define A11W (RPCH_OUT_A11W + 1)
#define ATTD (RPCH_OUT_ATTACHED + 1)
#define LEGW (RPCH_OUT_LEGW + 1)
#define RC1W (RPCH_OUT_R2C1W + 1)
#define RESU (RPCH_OUT_RESUME + 1)
#define OPEN (RPCH_OUT_OPENED + 1)
#define B1W (RPCH_OUT_OPENED_B1W + 1)
#define DRN1 (RPCH_OUT_DRAIN_R1 + 1)
#define LST1 (RPCH_OUT_LAST_R1 + 1)
#define FIN2 (RPCH_OUT_FINISH_R2 + 1)
#define LST2 (RPCH_OUT_LAST_R2 + 1)
#define RELS (RPCH_OUT_RELEASE + 1)
#define FIN (RPCH_OUT_FINISHED + 1)

/* The rows follow the figure and the list of 3.2.4.5. Clients take the first
 * PDU for CONN/A3 and the next one for CONN/C2, whatever they are: nothing
 * else may reach them before OPENED, so that nothing is forwarded in C1W and
 * no byte of the server is taken before the head is out. What a successor's
 * server says before its head is out waits in the lane.
 *
 * In SUCCEED nobody is read. S-OUT is nobody's business in ATTACHED and LEGW,
 * and after OUT_R2/B1 that of the successor. After OUT_R1/A9 the server has
 * nothing more to say but acks (3.2.4.5.8); after OUT_R2/B3 the client may go.
 * OUT_R2/B2 is taken whether C1 has come or not, which the machine of the
 * predecessor does not know. No timer runs in CONNECT and RELEASE, and none
 * but that of the Ping while open. */
static const signed char next[RPCH_OUT_EV_MAX][RPCH_OUT_STATE_MAX] = {
    /*  OPEN_START  CONNECT RESPONSE C1W SUCCEED A11W ATTACHED LEGW R2C1W RESUME
     *  OPENED OPENED_B1W DRAIN_R1 LAST_R1 FINISH_R2 LAST_R2 RELEASE FINISHED */
    [RPCH_OUT_EV_CONN_A1] = {
        CONN, ERR,  ERR,  ERR,  BUG,  ERR,  ERR,  ERR,  ERR,  ERR,
        ERR,  ERR,  ERR,  ERR,  ERR,  ERR,  DROP, DROP },
    [RPCH_OUT_EV_R1_A3] = {
        SUCC, ERR,  ERR,  ERR,  BUG,  ERR,  ERR,  ERR,  ERR,  ERR,
        ERR,  ERR,  ERR,  ERR,  ERR,  ERR,  DROP, DROP },
    [RPCH_OUT_EV_A11] = {
        ERR,  ERR,  ERR,  ERR,  BUG,  RESU, ERR,  ERR,  ERR,  ERR,
        ERR,  ERR,  ERR,  ERR,  ERR,  ERR,  DROP, DROP },
    [RPCH_OUT_EV_R2_C1] = {
        ERR,  ERR,  ERR,  ERR,  BUG,  ERR,  LEGW, ERR,  RESU, ERR,
        ERR,  ERR,  ERR,  ERR,  ERR,  ERR,  DROP, DROP },
    [RPCH_OUT_EV_CLIENT_OTHER] = {
        ERR,  ERR,  ERR,  ERR,  BUG,  ERR,  ERR,  ERR,  ERR,  ERR,
        ERR,  ERR,  ERR,  ERR,  ERR,  ERR,  DROP, DROP },
    [RPCH_OUT_EV_CLIENT_RPC] = {
        ERR,  ERR,  ERR,  ERR,  BUG,  ERR,  ERR,  ERR,  ERR,  ERR,
        ERR,  ERR,  ERR,  ERR,  ERR,  ERR,  DROP, DROP },
    [RPCH_OUT_EV_BODY_END] = {
        FIN,  DROP, DROP, DROP, FIN,  FIN,  FIN,  DROP, FIN,  DROP,
        DROP, DROP, DROP, DROP, DROP, DROP, DROP, DROP },
    [RPCH_OUT_EV_CONNECTED] = {
        BUG,  RESP, BUG,  BUG,  A11W, BUG,  BUG,  BUG,  BUG,  BUG,
        BUG,  BUG,  BUG,  BUG,  BUG,  BUG,  BUG,  DROP },
    [RPCH_OUT_EV_ATTACHED] = {
        BUG,  BUG,  BUG,  BUG,  ATTD, BUG,  BUG,  BUG,  BUG,  BUG,
        BUG,  BUG,  BUG,  BUG,  BUG,  BUG,  BUG,  DROP },
    [RPCH_OUT_EV_ADOPTED] = {
        BUG,  BUG,  BUG,  BUG,  BUG,  BUG,  RC1W, RESU, BUG,  BUG,
        BUG,  BUG,  BUG,  BUG,  BUG,  BUG,  BUG,  DROP },
    [RPCH_OUT_EV_RESPONDED] = {
        BUG,  BUG,  C1W,  BUG,  BUG,  BUG,  BUG,  BUG,  BUG,  OPEN,
        BUG,  BUG,  BUG,  BUG,  BUG,  BUG,  BUG,  DROP },
    [RPCH_OUT_EV_ATTACH] = {
        DROP, DROP, DROP, DROP, DROP, DROP, DROP, DROP, DROP, DROP,
        B1W,  DROP, DROP, DROP, DROP, DROP, DROP, DROP },
    [RPCH_OUT_EV_DETACH] = {
        DROP, DROP, DROP, DROP, DROP, DROP, DROP, DROP, DROP, DROP,
        DROP, OPEN, DROP, DROP, FIN,  FIN,  FIN,  DROP },
    [RPCH_OUT_EV_RELEASED] = {
        BUG,  BUG,  BUG,  BUG,  BUG,  BUG,  BUG,  BUG,  BUG,  BUG,
        BUG,  BUG,  BUG,  BUG,  BUG,  BUG,  FIN,  DROP },
    [RPCH_OUT_EV_CONN_C1] = {
        BUG,  BUG,  BUG,  OPEN, BUG,  ERR,  BUG,  BUG,  ERR,  ERR,
        ERR,  ERR,  ERR,  ERR,  BUG,  BUG,  BUG,  DROP },
    [RPCH_OUT_EV_R1_A1] = {
        BUG,  BUG,  BUG,  ERR,  BUG,  STAY, BUG,  BUG,  STAY, STAY,
        STAY, ERR,  ERR,  ERR,  BUG,  BUG,  BUG,  DROP },
    [RPCH_OUT_EV_R1_A5] = {
        BUG,  BUG,  BUG,  ERR,  BUG,  ERR,  BUG,  BUG,  ERR,  ERR,
        STAY, ERR,  ERR,  ERR,  BUG,  BUG,  BUG,  DROP },
    [RPCH_OUT_EV_A9_B1] = {
        BUG,  BUG,  BUG,  ERR,  BUG,  ERR,  BUG,  BUG,  ERR,  ERR,
        DRN1, FIN2, ERR,  ERR,  BUG,  BUG,  BUG,  DROP },
    [RPCH_OUT_EV_R2_B2] = {
        BUG,  BUG,  BUG,  ERR,  BUG,  ERR,  BUG,  BUG,  ERR,  ERR,
        STAY, OPEN, ERR,  ERR,  BUG,  BUG,  BUG,  DROP },
    [RPCH_OUT_EV_ACK] = {
        BUG,  BUG,  BUG,  ERR,  BUG,  STAY, BUG,  BUG,  STAY, STAY,
        STAY, STAY, STAY, STAY, BUG,  BUG,  BUG,  DROP },
    [RPCH_OUT_EV_SERVER_FORWARD] = {
        BUG,  BUG,  BUG,  ERR,  BUG,  STAY, BUG,  BUG,  STAY, STAY,
        STAY, STAY, ERR,  ERR,  BUG,  BUG,  BUG,  DROP },
    [RPCH_OUT_EV_SERVER_OTHER] = {
        BUG,  BUG,  BUG,  ERR,  BUG,  ERR,  BUG,  BUG,  ERR,  ERR,
        ERR,  ERR,  ERR,  ERR,  BUG,  BUG,  BUG,  DROP },
    [RPCH_OUT_EV_SERVER_RPC] = {
        BUG,  BUG,  BUG,  ERR,  BUG,  STAY, BUG,  BUG,  STAY, STAY,
        STAY, STAY, ERR,  ERR,  BUG,  BUG,  BUG,  DROP },
    [RPCH_OUT_EV_DRAINED] = {
        BUG,  BUG,  BUG,  BUG,  BUG,  BUG,  BUG,  BUG,  BUG,  BUG,
        BUG,  BUG,  LST1, BUG,  LST2, BUG,  BUG,  DROP },
    [RPCH_OUT_EV_SENT] = {
        BUG,  BUG,  BUG,  BUG,  BUG,  BUG,  BUG,  BUG,  BUG,  BUG,
        BUG,  BUG,  BUG,  FIN,  BUG,  RELS, BUG,  DROP },
    [RPCH_OUT_EV_CLIENT_CLOSE] = {
        FIN,  FIN,  FIN,  FIN,  FIN,  FIN,  FIN,  FIN,  FIN,  FIN,
        FIN,  FIN,  FIN,  FIN,  FIN,  FIN,  DROP, DROP },
    [RPCH_OUT_EV_SERVER_CLOSE] = {
        FIN,  FIN,  FIN,  FIN,  FIN,  FIN,  FIN,  FIN,  FIN,  FIN,
        FIN,  FIN,  STAY, STAY, STAY, DROP, DROP, DROP },
    [RPCH_OUT_EV_TIMEOUT] = {
        FIN,  DROP, FIN,  FIN,  FIN,  FIN,  FIN,  FIN,  FIN,  FIN,
        DROP, DROP, FIN,  FIN,  FIN,  FIN,  DROP, DROP },
    [RPCH_OUT_EV_DRAIN_DUE] = {
        DROP, DROP, DROP, DROP, DROP, DROP, DROP, DROP, DROP, DROP,
        DROP, DROP, STAY, DROP, DROP, DROP, DROP, DROP },
    [RPCH_OUT_EV_PING_DUE] = {
        DROP, DROP, DROP, DROP, DROP, DROP, DROP, DROP, DROP, DROP,
        STAY, STAY, DROP, DROP, DROP, DROP, DROP, DROP },
    [RPCH_OUT_EV_FAIL] = {
        FIN,  FIN,  FIN,  FIN,  FIN,  FIN,  FIN,  FIN,  FIN,  FIN,
        FIN,  FIN,  FIN,  FIN,  FIN,  FIN,  FIN,  DROP },
};

static const char *event_name(int event)
{
    return rpch_out_event_name((rpch_out_event)event);
}

static const char *state_name(int state)
{
    return rpch_out_state_name((rpch_out_state)state);
}

const rpch_machine_table rpch_outbound_table = {
    RPCH_TABLE_OUTBOUND, "outbound", RPCH_OUT_EV_MAX, RPCH_OUT_STATE_MAX,
    &next[0][0], event_name, state_name
};

/* The only writer of core.state. */
static void transit(rpch_outbound *m, rpch_out_event ev)
{
    m->core.state = rpch_core_next(&m->core, &rpch_outbound_table, ev,
                                   m->core.state);
}

/* The cell of ev, which is being put through the table. */
static int look_up(const rpch_outbound *m, rpch_out_event ev)
{
    return rpch_core_look_up(&m->core, &rpch_outbound_table, ev,
                             m->core.state);
}

/* Ends the machine by ev, which was looked up. */
static int stop(rpch_outbound *m, rpch_out_event ev, int status,
                const char *reason)
{
    rpch_core_end(&m->core, status, reason);
    transit(m, ev);
    return m->core.status;
}

int rpch_out_end(rpch_outbound *m, rpch_out_event ev, int status,
                 const char *reason)
{
    return look_up(m, ev) == DROP ? m->core.status
                                  : stop(m, ev, status, reason);
}

int rpch_out_fail(rpch_outbound *m, int status, const char *reason)
{
    return rpch_out_end(m, RPCH_OUT_EV_FAIL, status, reason);
}

int rpch_out_happen(rpch_outbound *m, rpch_out_event ev,
                    const rpch_out_input *in)
{
    rpch_out_action_fn *action = rpch_out_action(ev);

    switch (look_up(m, ev)) {
    case DROP:
        return m->core.status;
    case BUG:
        return stop(m, ev, RPCH_E_BUG, "an event that cannot be in this state");
    case ERR:
        return stop(m, ev, RPCH_E_UNEXPECTED,
                    rpch_out_wrong(ev, (rpch_out_state)m->core.state,
                                   in->rts));
    default:
        if (action != NULL && action(m, in) != RPCH_OK)
            return m->core.status;
        transit(m, ev);
        return RPCH_OK;
    }
}
