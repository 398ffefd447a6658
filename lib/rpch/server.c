/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server.c - the connection of the server role machine, 3.2.5: its table, its
 * slots, how it opens, and how it ends.
 *
 * States, and what holds in each:
 *
 *   OPEN_START  nothing arrived yet; no cookie is valid, no timer runs
 *   A2W         CONN/B2 arrived: the default S-IN, vc, group, address,
 *               in_window and in_timeout are valid; the connection setup timer
 *               runs
 *   B2W         CONN/A2 arrived: the default S-OUT and vc are valid; the
 *               connection setup timer runs
 *   OPENED      all of them are valid, CONN/C1 and CONN/B3 were queued; the
 *               virtual channels have states of their own
 *   FINISHED    status and reason are set; the lanes are still to be sent
 *
 * A PDU without a row of its own in 3.2.5.5 is a protocol error, which ends
 * the connection; that goes for a newcomer that does not fit, too, as 3.2.5.5
 * wants it.
 */
#include "rpch/server.h"

#include <string.h>

#include "rpch/server_private.h"

/* next state + 1 */
#define A2W (RPCH_SERVER_A2W + 1)
#define B2W (RPCH_SERVER_B2W + 1)
#define OPEN (RPCH_SERVER_OPENED + 1)
#define FIN (RPCH_SERVER_FINISHED + 1)
#define BUG RPCH_CELL_BUG
#define STAY RPCH_CELL_STAY
#define ERR RPCH_CELL_ERR
#define DROP RPCH_CELL_DROP

static const signed char next[RPCH_SERVER_EV_MAX][RPCH_SERVER_STATE_MAX] = {
    /*                           OPEN_START  A2W   B2W OPENED FINISHED */
    [RPCH_SERVER_EV_CONN_A2]       = { B2W, OPEN,  ERR,  ERR, DROP },
    [RPCH_SERVER_EV_CONN_B2]       = { A2W,  ERR, OPEN,  ERR, DROP },
    [RPCH_SERVER_EV_IN_R1_A2]      = { ERR,  ERR,  ERR, STAY, DROP },
    [RPCH_SERVER_EV_IN_A6]         = { ERR,  ERR,  ERR, STAY, DROP },
    [RPCH_SERVER_EV_IN_R1_B1]      = { ERR,  ERR,  ERR, STAY, DROP },
    [RPCH_SERVER_EV_OUT_R1_A4]     = { ERR,  ERR,  ERR, STAY, DROP },
    [RPCH_SERVER_EV_OUT_R2_A4]     = { ERR,  ERR,  ERR, STAY, DROP },
    [RPCH_SERVER_EV_OUT_A8]        = { ERR,  ERR,  ERR, STAY, DROP },
    [RPCH_SERVER_EV_PING_NOTIFY]   = { ERR,  ERR, STAY, STAY, DROP },
    [RPCH_SERVER_EV_IN_FORWARD]    = { ERR,  ERR,  ERR, STAY, DROP },
    [RPCH_SERVER_EV_OUT_FORWARD]   = { ERR,  ERR,  ERR, STAY, DROP },
    [RPCH_SERVER_EV_OUT_ACK]       = { ERR,  ERR,  ERR, STAY, DROP },
    [RPCH_SERVER_EV_IN_OTHER]      = { ERR,  ERR,  ERR,  ERR, DROP },
    [RPCH_SERVER_EV_OUT_OTHER]     = { ERR,  ERR,  ERR,  ERR, DROP },
    [RPCH_SERVER_EV_IN_RPC]        = { ERR,  ERR,  ERR, STAY, DROP },
    [RPCH_SERVER_EV_OUT_RPC]       = { ERR,  ERR,  ERR,  ERR, DROP },
    [RPCH_SERVER_EV_IN_CLOSE]      = { FIN,  FIN,  FIN,  FIN, DROP },
    [RPCH_SERVER_EV_OUT_CLOSE]     = { FIN,  FIN,  FIN,  FIN, DROP },
    [RPCH_SERVER_EV_OLD_CLOSE]     = { BUG, DROP, DROP, DROP, DROP },
    [RPCH_SERVER_EV_TIMEOUT]       = { BUG,  FIN,  FIN,  BUG, DROP },
    [RPCH_SERVER_EV_FAIL]          = { FIN,  FIN,  FIN,  FIN, DROP },
};

static const char *const state_name[RPCH_SERVER_STATE_MAX] = {
    "OPEN_START", "A2W", "B2W", "OPENED", "FINISHED"
};

/* Names of the events, and what is wrong with one whose cell is ERR. */
static const struct {
    const char *name;
    const char *wrong;
} event[RPCH_SERVER_EV_MAX] = {
    [RPCH_SERVER_EV_CONN_A2] = { "CONN/A2",
        "CONN/A2 on a connection that has an OUT half" },
    [RPCH_SERVER_EV_CONN_B2] = { "CONN/B2",
        "CONN/B2 on a connection that has an IN half" },
    [RPCH_SERVER_EV_IN_R1_A2] = { "IN_R1/A2",
        "IN_R1/A2 on a connection that is not open" },
    [RPCH_SERVER_EV_IN_A6] = { "IN_R1/A6=IN_R2/A2",
        "IN_R1/A6=IN_R2/A2 on a connection that is not open" },
    [RPCH_SERVER_EV_IN_R1_B1] = { "IN_R1/B1",
        "IN_R1/B1 on a connection that is not open" },
    [RPCH_SERVER_EV_OUT_R1_A4] = { "OUT_R1/A4",
        "OUT_R1/A4 on a connection that is not open" },
    [RPCH_SERVER_EV_OUT_R2_A4] = { "OUT_R2/A4",
        "OUT_R2/A4 on a connection that is not open" },
    [RPCH_SERVER_EV_OUT_A8] = { "OUT_R1/A8=OUT_R2/A8",
        "OUT_R1/A8=OUT_R2/A8 on a connection that is not open" },
    [RPCH_SERVER_EV_PING_NOTIFY] = { "PingTrafficSentNotify",
        "PingTrafficSentNotify before CONN/A2" },
    [RPCH_SERVER_EV_IN_FORWARD] = { "forward from S-IN",
        "RTS PDU to be forwarded before CONN/C1" },
    [RPCH_SERVER_EV_OUT_FORWARD] = { "forward from S-OUT",
        "RTS PDU to be forwarded before CONN/B3" },
    [RPCH_SERVER_EV_OUT_ACK] = { "FlowControlAck",
        "FlowControlAck before CONN/C1" },
    [RPCH_SERVER_EV_IN_OTHER] = { "other PDU on S-IN",
        "PDU that does not belong on this S-IN" },
    [RPCH_SERVER_EV_OUT_OTHER] = { "other PDU on S-OUT",
        "PDU that does not belong on this S-OUT" },
    [RPCH_SERVER_EV_IN_RPC] = { "RPC PDU on S-IN", "RPC PDU before CONN/B3" },
    [RPCH_SERVER_EV_OUT_RPC] = { "RPC PDU on S-OUT", "RPC PDU on S-OUT" },
    [RPCH_SERVER_EV_IN_CLOSE] = { "end of S-IN", NULL },
    [RPCH_SERVER_EV_OUT_CLOSE] = { "end of S-OUT", NULL },
    [RPCH_SERVER_EV_OLD_CLOSE] = { "end of a predecessor", NULL },
    [RPCH_SERVER_EV_TIMEOUT] = { "connection setup timer", NULL },
    [RPCH_SERVER_EV_FAIL] = { "failure", NULL },
};

const char *rpch_server_state_name(rpch_server_state s)
{
    return (unsigned)s < RPCH_SERVER_STATE_MAX ? state_name[s] : "?";
}

const char *rpch_server_event_name(rpch_server_event e)
{
    return (unsigned)e < RPCH_SERVER_EV_MAX ? event[e].name : "?";
}

static const char *name_of_state(int s)
{
    return rpch_server_state_name((rpch_server_state)s);
}

static const char *name_of_event(int e)
{
    return rpch_server_event_name((rpch_server_event)e);
}

const rpch_machine_table rpch_server_table = {
    RPCH_TABLE_SERVER, "server", RPCH_SERVER_EV_MAX, RPCH_SERVER_STATE_MAX,
    &next[0][0], name_of_event, name_of_state
};

bool rpch_sv_happen(rpch_server *m, rpch_server_event e, int status,
                    const char *reason)
{
    return rpch_core_step(&m->core, &rpch_server_table, e, status, reason,
                          event[e].wrong);
}

int rpch_sv_fail(rpch_server *m, int status, const char *reason)
{
    rpch_sv_happen(m, RPCH_SERVER_EV_FAIL, status, reason);
    return m->core.status;
}

bool rpch_sv_allows(rpch_server *m, const rpch_machine_table *table, int e,
                    int state, int status, const char *wrong)
{
    int cell = rpch_core_look_up(&m->core, table, e, state);

    if (cell == RPCH_CELL_ERR)
        rpch_sv_fail(m, status, wrong);
    else if (cell == RPCH_CELL_BUG)
        rpch_sv_fail(m, RPCH_E_BUG, "an event that cannot be in this state");
    return cell > 0 || cell == RPCH_CELL_STAY;
}

/* ---- slots --------------------------------------------------------------- */

static void start_in(rpch_server *m, rpch_server_in *s)
{
    memset(s, 0, sizeof(*s));
    s->use = RPCH_SERVER_NEW;
    rpch_cutter_init(&s->cut, false);
    rpch_lane_init(&s->lane);
    rpch_rx_init(&s->rx, m->core.limits.receive_window);
    s->rx.off = rpch_sv_is_joined(m);
}

static void start_out(rpch_server_out *s)
{
    memset(s, 0, sizeof(*s));
    s->use = RPCH_SERVER_NEW;
    s->deadline = RPCH_NEVER;
    rpch_cutter_init(&s->cut, false);
    rpch_lane_init(&s->lane);
}

void rpch_server_init(rpch_server *m, const rpch_limits *limits,
                      unsigned flags, rpch_log_fn *log, void *baton,
                      rpch_msec now)
{
    int i;

    memset(m, 0, sizeof(*m));
    rpch_core_init(&m->core, limits, flags, log, baton);
    m->notify_since = m->seen = now;
    m->in_deadline = m->out_deadline = RPCH_NEVER;
    m->in_at = m->out_at = -1;
    for (i = 0; i < RPCH_SERVER_SLOTS; i++)
        m->out[i].deadline = RPCH_NEVER;
    if (rpch_sv_is_joined(m)) {
        start_in(m, &m->in[0]);
        start_out(&m->out[0]);
    }
}

int rpch_server_enter(rpch_server *m, bool is_in)
{
    int i;

    if (rpch_sv_is_joined(m) || m->core.state == RPCH_SERVER_FINISHED)
        return -1;
    for (i = 0; i < RPCH_SERVER_SLOTS; i++) {
        if (is_in && m->in[i].use == RPCH_SERVER_FREE) {
            start_in(m, &m->in[i]);
            return i;
        }
        if (!is_in && m->out[i].use == RPCH_SERVER_FREE) {
            start_out(&m->out[i]);
            return i;
        }
    }
    for (i = 0; i < RPCH_SERVER_SLOTS && !is_in; i++)
        m->out[i].evicted = m->out[i].use == RPCH_SERVER_OLD;
    return -1;
}

rpch_lane *rpch_server_lane(rpch_server *m, bool is_in, int slot)
{
    return is_in ? &m->in[slot].lane : &m->out[slot].lane;
}

bool rpch_server_over(const rpch_server *m, bool is_in, int slot)
{
    if (!rpch_sv_is_slot(slot))
        return false;
    if (is_in)
        return m->in[slot].use == RPCH_SERVER_OLD;
    return m->out[slot].use == RPCH_SERVER_OLD && m->out[slot].evicted;
}

unsigned rpch_server_out_slot(const rpch_server *m)
{
    return m->out_at < 0 ? 0 : (unsigned)m->out_at;
}

/* True when the end of a connection of that use ends nothing else. opened:
 * its direction has a default connection. */
static bool is_dispensable(rpch_server_use use, bool opened)
{
    return use == RPCH_SERVER_OLD || (use == RPCH_SERVER_NEW && opened);
}

void rpch_server_in_closed(rpch_server *m, int slot)
{
    rpch_server_use use;

    if (!rpch_sv_is_slot(slot) || m->in[slot].use == RPCH_SERVER_FREE)
        return;
    use = m->in[slot].use;
    m->in[slot].use = RPCH_SERVER_FREE;
    rpch_sv_happen(m, is_dispensable(use, m->in_at >= 0)
                          ? RPCH_SERVER_EV_OLD_CLOSE
                          : RPCH_SERVER_EV_IN_CLOSE,
                   RPCH_E_CLOSED, "S-IN was closed");
}

void rpch_server_out_closed(rpch_server *m, int slot)
{
    rpch_server_use use;

    if (!rpch_sv_is_slot(slot) || m->out[slot].use == RPCH_SERVER_FREE)
        return;
    use = m->out[slot].use;
    m->out[slot].use = RPCH_SERVER_FREE;
    m->out[slot].deadline = RPCH_NEVER;
    rpch_sv_happen(m, is_dispensable(use, m->out_at >= 0)
                          ? RPCH_SERVER_EV_OLD_CLOSE
                          : RPCH_SERVER_EV_OUT_CLOSE,
                   RPCH_E_CLOSED, "S-OUT was closed");
}

void rpch_server_fail(rpch_server *m, int status, const char *reason)
{
    rpch_sv_fail(m, status, reason);
}

/* ---- PDUs ---------------------------------------------------------------- */

int rpch_server_classify(const uint8_t *in, size_t len, bool *is_in,
                         rpch_cookie *vc)
{
    rpch_pdu pdu;
    rpch_rts rts;
    rpch_rts_values v;
    const char *reason;
    int rv = rpch_pdu_parse(in, len, &pdu, &reason);

    if (rv != RPCH_OK)
        return rv;
    if (pdu.ptype != RPCH_PTYPE_RTS)
        return RPCH_E_UNEXPECTED;
    if (pdu.frag_len > RPCH_RTS_SIZE_MAX)
        return RPCH_E_SYNTAX;
    if (len < pdu.frag_len)
        return RPCH_AGAIN;
    rv = rpch_rts_decode(in, pdu.frag_len, &rts, &reason);
    if (rv != RPCH_OK)
        return rv;
    if (rpch_rts_read(RPCH_CONN_A2, &rts, &v) == RPCH_OK
        || rpch_rts_read(RPCH_OUT_R1_A4, &rts, &v) == RPCH_OK)
        *is_in = false;
    else if (rpch_rts_read(RPCH_CONN_B2, &rts, &v) == RPCH_OK
             || rpch_rts_read(RPCH_IN_R1_A2, &rts, &v) == RPCH_OK)
        *is_in = true;
    else
        return RPCH_E_UNEXPECTED;
    *vc = v.cookie[0];
    return RPCH_OK;
}

int rpch_sv_decode(rpch_server *m, const uint8_t *pdu, size_t len,
                   const char *where, rpch_rts *rts)
{
    const char *reason = NULL;
    int rv = rpch_rts_decode(pdu, len, rts, &reason);

    if (rv != RPCH_OK)
        return rpch_sv_fail(m, rv, reason);
    rpch_core_log_rts(&m->core, where, rts);
    return RPCH_OK;
}

void rpch_sv_make(rpch_server *m, rpch_lane *lane, rpch_pdu_id id,
                  const rpch_rts_values *v, const char *where)
{
    int rv = rpch_core_make(&m->core, lane, id, v, where);

    if (rv != RPCH_OK)
        rpch_sv_fail(m, rv, "the peer takes no RTS PDUs");
}

void rpch_sv_tell_client(rpch_server *m, rpch_pdu_id id,
                         const rpch_rts_values *v)
{
    rpch_sv_make(m, &rpch_sv_out(m)->lane, id, v, "queued for S-OUT");
    rpch_sv_count(m, rpch_rts_row_of(id)->size);
}

/* Both halves are there: 3.2.5.5.3 and 3.2.5.5.4 end alike. */
static void open_up(rpch_server *m)
{
    rpch_rts_values v;

    memset(&v, 0, sizeof(v));
    m->core.deadline = RPCH_NEVER;
    v.version = RPCH_SV_VERSION;
    v.window = m->in_window;
    v.timeout = m->in_timeout;
    rpch_sv_tell_client(m, RPCH_CONN_C1, &v);
    v.window = m->core.limits.receive_window;
    rpch_sv_make(m, &rpch_sv_in(m)->lane, RPCH_CONN_B3, &v,
                 "queued for S-IN");
    rpch_sv_look_at_lifetime(m);
}

void rpch_sv_half_opened(rpch_server *m, rpch_msec now)
{
    if (m->core.state == RPCH_SERVER_OPENED)
        open_up(m);
    else
        m->core.deadline = rpch_after(now, m->core.limits.open_timeout);
}

/* ---- wants and timers ---------------------------------------------------- */

bool rpch_sv_has_room(const rpch_server *m)
{
    return (m->in_at < 0 || rpch_lane_has_room(&m->in[m->in_at].lane))
        && (m->out_at < 0 || rpch_lane_has_room(&m->out[m->out_at].lane));
}

unsigned rpch_server_wants(const rpch_server *m)
{
    uint64_t bound = (uint64_t)m->core.limits.receive_window + RPCH_QUEUE_SLACK;
    unsigned wants = 0;

    if (m->core.state == RPCH_SERVER_FINISHED)
        return RPCH_WANT_CLOSE;
    if (!rpch_sv_has_room(m))
        return 0;
    wants = RPCH_WANT_SERVER_READ;
    /* What a predecessor brought does not keep the acks of the new S-IN from
     * being read: the RPC layer may wait for them before it takes anything. */
    if (m->queued - m->in_old <= bound)
        wants |= RPCH_WANT_CLIENT_READ;
    return wants;
}

rpch_msec rpch_server_deadline(const rpch_server *m)
{
    rpch_msec t = m->core.deadline;
    int i;

    if (m->core.state == RPCH_SERVER_FINISHED)
        return RPCH_NEVER;
    if (rpch_sv_out_timer_unset(m))
        return m->seen;
    if (m->in_deadline < t)
        t = m->in_deadline;
    if (m->out_deadline < t)
        t = m->out_deadline;
    for (i = 0; i < RPCH_SERVER_SLOTS; i++)
        if (m->out[i].deadline < t)
            t = m->out[i].deadline;
    return t;
}

int rpch_server_timeout(rpch_server *m, rpch_msec now)
{
    int i;

    m->seen = now;
    if (now >= m->core.deadline)
        rpch_sv_happen(m, RPCH_SERVER_EV_TIMEOUT, RPCH_E_TIMEOUT,
                       "the other half of the connection did not arrive in "
                       "time");
    rpch_sv_in_timeout(m, now);
    rpch_sv_out_timeout(m, now);
    for (i = 0; i < RPCH_SERVER_SLOTS; i++) {
        if (now < m->out[i].deadline)
            continue;
        m->out[i].evicted = true;
        m->out[i].deadline = RPCH_NEVER;
    }
    return m->core.status;
}
