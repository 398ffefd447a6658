/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inbound.c - the inbound proxy, 3.2.3.
 *
 * What may happen when is the table next[][]; what is done about it is the
 * table action[].
 */
#include "rpch/inbound.h"

#include <string.h>

#include "rpch/inbound_event.h"
#include "rpch/inbound_private.h"

#define BUG RPCH_CELL_BUG
#define STAY RPCH_CELL_STAY
#define ERR RPCH_CELL_ERR
#define DROP RPCH_CELL_DROP
#define CONN (RPCH_IN_CONNECT + 1)
#define B3W (RPCH_IN_B3W + 1)
#define SUCC (RPCH_IN_SUCCEED + 1)
#define B2W (RPCH_IN_B2W + 1)
#define PLUG (RPCH_IN_PLUGGED + 1)
#define OPEN (RPCH_IN_OPENED + 1)
#define A5W (RPCH_IN_OPENED_A5W + 1)
#define DR1 (RPCH_IN_DRAIN_R1 + 1)
#define CLO (RPCH_IN_CLOSE_R1 + 1)
#define REL (RPCH_IN_RELEASE + 1)
#define FIN (RPCH_IN_FINISHED + 1)

/* The rows follow the figure and the list of 3.2.3.5. Before CONN/B3 nobody
 * but us may write to S-IN, so that a service that does not speak ncacn_http
 * never sees a byte of the client's choice: a PDU to be forwarded is refused
 * until then (a client has nothing to forward before CONN/C2).
 *
 * The successor of IN_R1 is heard before IN_R1/B2, which 3.2.3.5.5 does not
 * forbid: a server that is busy answering waits for acks before it takes what
 * the predecessor still has, and these come by the successor's C-IN. So they
 * are forwarded at once; RPC PDUs wait for IN_R1/B2. What such a server is sent
 * before it has proved itself are RTS PDUs, all of whose fields were checked.
 *
 * What cannot happen: no byte is taken from C-IN while a successor waits to
 * know where its PDUs go, and after A5, nor from a server that is not
 * connected; the states that have the channel open, and CONNECT, have no
 * timer. */
static const signed char next[RPCH_IN_EV_MAX][RPCH_IN_STATE_MAX] = {
    /* OPEN_START CONNECT B3W SUCCEED B2W PLUGGED
     * OPENED OPENED_A5W DRAIN_R1 CLOSE_R1 RELEASE FINISHED */
    [RPCH_IN_EV_CONN_B1] = { CONN, ERR, ERR, BUG, ERR, BUG,
                             ERR, ERR, BUG, BUG, BUG, BUG },
    [RPCH_IN_EV_R1_A1] = { SUCC, ERR, ERR, BUG, ERR, BUG,
                           ERR, ERR, BUG, BUG, BUG, BUG },
    [RPCH_IN_EV_A5] = { ERR, ERR, ERR, BUG, STAY, BUG,
                        DR1, REL, BUG, BUG, BUG, BUG },
    [RPCH_IN_EV_A5_WRONG] = { BUG, BUG, BUG, BUG, BUG, BUG,
                              ERR, OPEN, BUG, BUG, BUG, BUG },
    [RPCH_IN_EV_PING] = { ERR, STAY, STAY, BUG, STAY, BUG,
                          STAY, STAY, BUG, BUG, BUG, BUG },
    [RPCH_IN_EV_KEEP_ALIVE] = { ERR, STAY, STAY, BUG, STAY, BUG,
                                STAY, STAY, BUG, BUG, BUG, BUG },
    [RPCH_IN_EV_CLIENT_FORWARD] = { ERR, ERR, ERR, BUG, STAY, BUG,
                                    STAY, STAY, BUG, BUG, BUG, BUG },
    [RPCH_IN_EV_CLIENT_OTHER] = { ERR, ERR, ERR, BUG, ERR, BUG,
                                  ERR, ERR, BUG, BUG, BUG, BUG },
    [RPCH_IN_EV_CLIENT_RPC] = { ERR, STAY, STAY, BUG, STAY, BUG,
                                STAY, STAY, BUG, BUG, BUG, BUG },
    [RPCH_IN_EV_CONNECTED] = { BUG, B3W, BUG, B2W, BUG, BUG,
                               BUG, BUG, BUG, BUG, BUG, DROP },
    [RPCH_IN_EV_CONN_B3] = { BUG, BUG, OPEN, BUG, ERR, BUG,
                             ERR, ERR, ERR, ERR, ERR, BUG },
    [RPCH_IN_EV_R1_B2] = { BUG, BUG, ERR, BUG, OPEN, BUG,
                           ERR, ERR, ERR, ERR, ERR, BUG },
    [RPCH_IN_EV_ACK] = { BUG, BUG, ERR, BUG, ERR, BUG,
                         STAY, STAY, STAY, STAY, STAY, BUG },
    [RPCH_IN_EV_SERVER_FORWARD] = { BUG, BUG, ERR, BUG, ERR, BUG,
                                    ERR, ERR, ERR, ERR, ERR, BUG },
    [RPCH_IN_EV_SERVER_OTHER] = { BUG, BUG, ERR, BUG, ERR, BUG,
                                  ERR, ERR, ERR, ERR, ERR, BUG },
    [RPCH_IN_EV_SERVER_RPC] = { BUG, BUG, ERR, BUG, ERR, BUG,
                                ERR, ERR, ERR, ERR, ERR, BUG },
    [RPCH_IN_EV_ATTACHED] = { BUG, BUG, BUG, PLUG, BUG, BUG,
                              BUG, BUG, BUG, BUG, BUG, DROP },
    [RPCH_IN_EV_ADOPT] = { BUG, BUG, BUG, BUG, BUG, OPEN,
                           BUG, BUG, BUG, BUG, BUG, DROP },
    [RPCH_IN_EV_ATTACH] = { DROP, DROP, DROP, DROP, DROP, DROP,
                            A5W, DROP, DROP, DROP, DROP, DROP },
    [RPCH_IN_EV_DETACH] = { DROP, DROP, DROP, DROP, DROP, DROP,
                            DROP, OPEN, DROP, DROP, FIN, DROP },
    [RPCH_IN_EV_DRAINED] = { BUG, BUG, BUG, BUG, BUG, BUG,
                             BUG, BUG, STAY, BUG, BUG, BUG },
    [RPCH_IN_EV_FLUSHED] = { BUG, BUG, BUG, BUG, BUG, BUG,
                             BUG, BUG, CLO, BUG, BUG, BUG },
    [RPCH_IN_EV_RELEASE] = { BUG, BUG, BUG, BUG, BUG, BUG,
                             BUG, BUG, BUG, BUG, FIN, DROP },
    [RPCH_IN_EV_CLIENT_CLOSE] = { FIN, FIN, FIN, FIN, FIN, FIN,
                                  FIN, FIN, DROP, DROP, DROP, DROP },
    [RPCH_IN_EV_SERVER_CLOSE] = { FIN, FIN, FIN, FIN, FIN, FIN,
                                  FIN, FIN, FIN, FIN, FIN, DROP },
    [RPCH_IN_EV_TIMEOUT] = { FIN, BUG, FIN, FIN, FIN, FIN,
                             BUG, BUG, BUG, FIN, FIN, BUG },
    [RPCH_IN_EV_FAIL] = { FIN, FIN, FIN, FIN, FIN, FIN,
                          FIN, FIN, FIN, FIN, FIN, DROP },
};

typedef int action_fn(rpch_inbound *m, const rpch_in_input *in);

/* The only writer of core.state. */
static void transit(rpch_inbound *m, rpch_in_event ev)
{
    m->core.state = rpch_core_next(&m->core, &rpch_inbound_table, ev,
                                   m->core.state);
}

/* The cell of ev, which is being put through the table. */
static int look_up(const rpch_inbound *m, rpch_in_event ev)
{
    return rpch_core_look_up(&m->core, &rpch_inbound_table, ev,
                             m->core.state);
}

/* Ends the machine by ev, which was looked up. */
static int stop(rpch_inbound *m, rpch_in_event ev, int status,
                const char *reason)
{
    rpch_core_end(&m->core, status, reason);
    transit(m, ev);
    return m->core.status;
}

int rpch_in_end(rpch_inbound *m, rpch_in_event ev, int status,
                const char *reason)
{
    return look_up(m, ev) == DROP ? m->core.status
                                  : stop(m, ev, status, reason);
}

int rpch_in_fail(rpch_inbound *m, int status, const char *reason)
{
    return rpch_in_end(m, RPCH_IN_EV_FAIL, status, reason);
}

/* CONN/B1, 3.2.3.5.3. Its ChannelLifetime is informational. */
static int take_b1(rpch_inbound *m, const rpch_in_input *in)
{
    rpch_rts_values v;

    rpch_core_read(RPCH_CONN_B1, in->rts, &v);
    if (!rpch_keepalive_read(v.keepalive, &m->keepalive))
        return rpch_in_fail(m, RPCH_E_SYNTAX,
                            "ClientKeepalive out of range in CONN/B1");
    m->vc = v.cookie[0];
    m->channel = v.cookie[1];
    m->group = v.group;
    m->lifetime = v.lifetime;
    m->core.deadline = RPCH_NEVER;
    return RPCH_OK;
}

/* Keep-Alive, 2.2.4.46: the caller applies it to S-IN. */
static int take_keepalive(rpch_inbound *m, const rpch_in_input *in)
{
    rpch_rts_values v;

    rpch_core_read(RPCH_KEEP_ALIVE, in->rts, &v);
    if (!rpch_keepalive_read(v.keepalive, &m->keepalive))
        return rpch_in_fail(m, RPCH_E_SYNTAX,
                            "ClientKeepalive out of range in Keep-Alive");
    return RPCH_OK;
}

/* Forwards verbatim: from here every way leads through the server,
 * 3.2.1.5.2. */
static int forward(rpch_inbound *m, const rpch_in_input *in)
{
    if (rpch_lane_put(&m->to_server, in->pdu, in->len) != RPCH_OK)
        return rpch_in_fail(m, RPCH_E_ROOM,
                            "no room for an RTS PDU to the server");
    rpch_core_log_rts(&m->core, "forwarded to S-IN", in->rts);
    return RPCH_OK;
}

/* An RPC PDU starts to arrive; until CONN/B3 the caller keeps it. */
static int take_rpc(rpch_inbound *m, const rpch_in_input *in)
{
    m->queued += in->rpc_len;
    return RPCH_OK;
}

int rpch_in_make(rpch_inbound *m, rpch_pdu_id id, const rpch_rts_values *v)
{
    if (rpch_core_make(&m->core, &m->to_server, id, v, "queued for S-IN")
        != RPCH_OK)
        return rpch_in_fail(m, RPCH_E_ROOM,
                            "no room for an RTS PDU to the server");
    return RPCH_OK;
}

/* CONN/B2, 3.2.3.5.3. */
static int send_b2(rpch_inbound *m, const rpch_in_input *in)
{
    rpch_rts_values v;

    memset(&v, 0, sizeof(v));
    v.version = 1;
    v.cookie[0] = m->vc;
    v.cookie[1] = m->channel;
    v.window = m->core.limits.receive_window;
    v.timeout = m->core.limits.connection_timeout;
    v.group = m->group;
    v.address = m->address;
    m->core.deadline = rpch_after(in->now, m->core.limits.open_timeout);
    return rpch_in_make(m, RPCH_CONN_B2, &v);
}

/* S-IN is connected to a server that is to hear of a new connection, or of a
 * successor. */
static int take_connected(rpch_inbound *m, const rpch_in_input *in)
{
    return m->heir ? rpch_in_send_r1_a2(m, in) : send_b2(m, in);
}

/* The server's window; the channel opens. */
static int take_window(rpch_inbound *m, uint32_t window, const char *bad)
{
    if (!rpch_window_ok(window))
        return rpch_in_fail(m, RPCH_E_SYNTAX, bad);
    rpch_tx_init(&m->tx, window);
    m->tx.off = (m->core.flags & RPCH_JOINED) != 0;
    m->core.deadline = RPCH_NEVER;
    return RPCH_OK;
}

/* CONN/B3, 3.2.3.5.4. */
static int take_b3(rpch_inbound *m, const rpch_in_input *in)
{
    rpch_rts_values v;

    rpch_core_read(RPCH_CONN_B3, in->rts, &v);
    return take_window(m, v.window,
                       "ReceiveWindowSize below 8192 in CONN/B3");
}

/* IN_R1/B2, 3.2.3.5: the predecessor has sent all. */
static int take_r1_b2(rpch_inbound *m, const rpch_in_input *in)
{
    rpch_rts_values v;

    rpch_core_read(RPCH_IN_R1_B2, in->rts, &v);
    return take_window(m, v.window,
                       "ReceiveWindowSize below 8192 in IN_R1/B2");
}

/* FlowControlAck, 3.2.1.5.1. One for another channel says nothing about
 * ours. */
static int take_ack(rpch_inbound *m, const rpch_in_input *in)
{
    const rpch_cmd *cmd = rpch_rts_find(in->rts, RPCH_CMD_FLOW_CONTROL_ACK, 0);
    const rpch_ack *ack = &cmd->u.ack;

    if (m->tx.off || !rpch_in_is_ours(m, &ack->cookie))
        return RPCH_OK;
    if (rpch_tx_ack(&m->tx, ack->bytes_received, ack->available_window)
        != RPCH_OK)
        return rpch_in_fail(m, RPCH_E_ACK,
                    "FlowControlAck for bytes that were never sent on S-IN");
    return RPCH_OK;
}

/* What is done about an event that its cell allows, before the transition. */
static action_fn *const action[RPCH_IN_EV_MAX] = {
    [RPCH_IN_EV_CONN_B1] = take_b1,
    [RPCH_IN_EV_R1_A1] = rpch_in_take_a1,
    [RPCH_IN_EV_A5] = rpch_in_take_a5,
    [RPCH_IN_EV_A5_WRONG] = rpch_in_take_a5_wrong,
    [RPCH_IN_EV_KEEP_ALIVE] = take_keepalive,
    [RPCH_IN_EV_CLIENT_FORWARD] = forward,
    [RPCH_IN_EV_CLIENT_RPC] = take_rpc,
    [RPCH_IN_EV_CONNECTED] = take_connected,
    [RPCH_IN_EV_CONN_B3] = take_b3,
    [RPCH_IN_EV_R1_B2] = take_r1_b2,
    [RPCH_IN_EV_ACK] = take_ack,
    [RPCH_IN_EV_ATTACHED] = rpch_in_take_attached,
    [RPCH_IN_EV_ADOPT] = rpch_in_take_adopt,
    [RPCH_IN_EV_ATTACH] = rpch_in_send_r2_a2,
    [RPCH_IN_EV_DETACH] = rpch_in_take_detach,
    [RPCH_IN_EV_DRAINED] = rpch_in_send_b1,
    [RPCH_IN_EV_FLUSHED] = rpch_in_take_flushed,
};

int rpch_in_happen(rpch_inbound *m, rpch_in_event ev,
                   const rpch_in_input *in)
{
    bool first = m->core.state == RPCH_IN_OPEN_START;

    switch (look_up(m, ev)) {
    case DROP:
        return m->core.status;
    case BUG:
        return stop(m, ev, RPCH_E_BUG, "an event that cannot be in this state");
    case ERR:
        return stop(m, ev, RPCH_E_UNEXPECTED,
                    rpch_in_wrong(ev, first, in->rts));
    default:
        if (action[ev] != NULL && action[ev](m, in) != RPCH_OK)
            return m->core.status;
        transit(m, ev);
        return RPCH_OK;
    }
}

/* Decodes one whole RTS PDU and puts it through the tables. */
static int take_rts(rpch_inbound *m, const uint8_t *pdu, size_t len,
                    bool from_client, rpch_msec now)
{
    rpch_rts rts;
    rpch_in_input in = { &rts, pdu, len, 0, now };
    rpch_in_event ev;
    const char *reason = NULL;
    int rc = rpch_rts_decode(pdu, len, &rts, &reason);

    if (rc != RPCH_OK)
        return rpch_in_fail(m, rc, reason);
    rpch_core_log_rts(&m->core, from_client ? "received on C-IN"
                                            : "received on S-IN", &rts);
    ev = from_client ? rpch_in_client_event(&rts) : rpch_in_server_event(&rts);
    if (ev == RPCH_IN_EV_A5 && !rpch_in_a5_fits(m, &rts))
        ev = RPCH_IN_EV_A5_WRONG;
    rc = rpch_in_happen(m, ev, &in);
    if (rc == RPCH_OK)
        rpch_in_go_on(m, ev, now);
    return m->core.status;
}

/* True when RPC PDUs may go to the server. */
static bool is_open(const rpch_inbound *m)
{
    switch (m->core.state) {
    case RPCH_IN_OPENED:
    case RPCH_IN_OPENED_A5W:
    case RPCH_IN_DRAIN_R1:
        return true;
    default:
        return false;
    }
}

/* True when the next bytes of C-IN may be taken. An RPC PDU that has begun
 * is always finished: its rest could be what the lane waits for. What was
 * inherited keeps nothing out: the acks behind it could be what the server
 * waits for. */
static bool takes_client(const rpch_inbound *m)
{
    uint64_t limit = (uint64_t)m->core.limits.receive_window
                   + RPCH_QUEUE_SLACK;

    switch (m->core.state) {
    case RPCH_IN_OPEN_START:
    case RPCH_IN_CONNECT:
    case RPCH_IN_B3W:
    case RPCH_IN_B2W:
    case RPCH_IN_OPENED:
    case RPCH_IN_OPENED_A5W:
        return m->client.left > 0
            || (!m->early && rpch_lane_has_room(&m->to_server)
                && m->queued - m->inherited <= limit);
    default:
        return false;
    }
}

/* True when the server role may be heard. */
static bool takes_server(const rpch_inbound *m)
{
    return is_open(m) || m->core.state == RPCH_IN_B3W
        || m->core.state == RPCH_IN_B2W || m->core.state == RPCH_IN_CLOSE_R1
        || m->core.state == RPCH_IN_RELEASE;
}

void rpch_inbound_init(rpch_inbound *m, const rpch_limits *limits,
                       const rpch_address *address, unsigned flags,
                       rpch_log_fn *log, void *baton, rpch_msec now)
{
    memset(m, 0, sizeof(*m));
    rpch_core_init(&m->core, limits, flags, log, baton);
    m->core.deadline = rpch_after(now, limits->first_pdu_timeout);
    rpch_cutter_init(&m->client, false);
    rpch_cutter_init(&m->server, true);
    rpch_lane_init(&m->to_server);
    rpch_rx_init(&m->rx, limits->receive_window);
    rpch_tx_init(&m->tx, 0);
    m->address = *address;
}

int rpch_inbound_client_recv(rpch_inbound *m, const uint8_t *in, size_t len,
                             rpch_step *step, rpch_msec now)
{
    rpch_in_input rpc = { NULL, NULL, 0, 0, now };
    rpch_cut cut;

    memset(step, 0, sizeof(*step));
    if (!takes_client(m))
        return m->core.status;
    if (rpch_cutter_next(&m->client, in, len, &cut) != RPCH_OK)
        return rpch_in_fail(m, m->client.status, m->client.reason);
    step->used = cut.used;
    if (cut.kind == RPCH_CUT_RTS)
        return take_rts(m, cut.data, cut.len, true, now);
    if (cut.kind != RPCH_CUT_RPC)
        return RPCH_OK;
    rpc.rpc_len = cut.pdu.frag_len;
    if (cut.first && rpch_in_happen(m, RPCH_IN_EV_CLIENT_RPC, &rpc) != RPCH_OK)
        return m->core.status;
    /* An overrun of the window is no error, no open client waits for it;
     * takes_client() bounds what it costs. */
    if (cut.last)
        (void)rpch_rx_received(&m->rx, cut.pdu.frag_len);
    rpch_step_pass(step, &cut);
    return RPCH_OK;
}

int rpch_inbound_server_recv(rpch_inbound *m, const uint8_t *in, size_t len,
                             rpch_step *step, rpch_msec now)
{
    rpch_in_input rpc = { NULL, NULL, 0, 0, now };
    rpch_cut cut;

    memset(step, 0, sizeof(*step));
    if (!takes_server(m) || (m->core.flags & RPCH_JOINED))
        return m->core.status;
    if (rpch_cutter_next(&m->server, in, len, &cut) != RPCH_OK)
        return rpch_in_fail(m, m->server.status, m->server.reason);
    step->used = cut.used;
    if (cut.kind == RPCH_CUT_RTS)
        return take_rts(m, cut.data, cut.len, false, now);
    if (cut.kind == RPCH_CUT_RPC)
        return rpch_in_happen(m, RPCH_IN_EV_SERVER_RPC, &rpc);
    return RPCH_OK;
}

int rpch_inbound_server_rts(rpch_inbound *m, const uint8_t *pdu, size_t len,
                            rpch_msec now)
{
    if (m->core.state == RPCH_IN_FINISHED)
        return m->core.status;
    return takes_server(m) ? take_rts(m, pdu, len, false, now) : RPCH_AGAIN;
}

int rpch_inbound_connected(rpch_inbound *m, rpch_msec now)
{
    rpch_in_input in = { NULL, NULL, 0, 0, now };

    return rpch_in_happen(m, RPCH_IN_EV_CONNECTED, &in);
}

void rpch_inbound_client_closed(rpch_inbound *m)
{
    if (!m->early) /* after A5 it may */
        (void)rpch_in_end(m, RPCH_IN_EV_CLIENT_CLOSE, RPCH_E_CLOSED,
                          "the client closed");
}

void rpch_inbound_server_closed(rpch_inbound *m)
{
    if (m->core.state == RPCH_IN_CLOSE_R1)
        (void)rpch_in_end(m, RPCH_IN_EV_SERVER_CLOSE, RPCH_E_RECYCLED,
                          RPCH_IN_REPLACED);
    else
        (void)rpch_in_end(m, RPCH_IN_EV_SERVER_CLOSE, RPCH_E_CLOSED,
                          "the server closed the connection");
}

void rpch_inbound_fail(rpch_inbound *m, int status, const char *reason)
{
    (void)rpch_in_fail(m, status, reason);
}

bool rpch_inbound_may_send(const rpch_inbound *m, uint32_t pdu_len)
{
    /* The PDU's end may owe the client an ack, which must have a place. */
    return is_open(m) && rpch_tx_may_send(&m->tx, pdu_len)
        && rpch_lane_has_reserve(&m->to_server);
}

bool rpch_inbound_may_follow(const rpch_inbound *m, uint32_t ahead,
                             uint32_t pdu_len)
{
    return is_open(m) && rpch_tx_may_follow(&m->tx, ahead, pdu_len)
        && rpch_lane_has_reserve(&m->to_server);
}

void rpch_inbound_pdu_begin(rpch_inbound *m, uint32_t pdu_len)
{
    if (!is_open(m)) {
        (void)rpch_in_fail(m, RPCH_E_BUG, "an RPC PDU starts on a closed S-IN");
        return;
    }
    m->begun = pdu_len;
    rpch_tx_sent(&m->tx, pdu_len);
}

/* Credits C-IN's window. After A5 the client sends nothing more here. */
static void credit(rpch_inbound *m, uint32_t pdu_len)
{
    rpch_rts_values v;

    /* What came by another C-IN is whole PDUs, and goes first. */
    if (m->inherited > 0) {
        m->inherited -= m->inherited < pdu_len ? m->inherited : pdu_len;
        return;
    }
    memset(&v, 0, sizeof(v));
    if (!rpch_rx_consumed(&m->rx, pdu_len, &v.ack.available_window)
        || (m->core.state != RPCH_IN_OPENED
            && m->core.state != RPCH_IN_OPENED_A5W))
        return;
    v.dest = RPCH_DEST_CLIENT;
    v.ack.bytes_received = m->rx.received;
    v.ack.cookie = m->channel;
    (void)rpch_in_make(m, RPCH_FLOW_CONTROL_ACK_DEST, &v);
}

void rpch_inbound_pdu_done(rpch_inbound *m, uint32_t pdu_len, rpch_msec now)
{
    uint64_t before = m->queued;

    m->begun = 0;
    m->rpc_bytes += pdu_len;
    m->rpc_pdus++;
    m->queued -= before < pdu_len ? before : pdu_len;
    credit(m, pdu_len);
    if (before > 0)
        rpch_in_drained(m, now);
}

unsigned rpch_inbound_wants(const rpch_inbound *m)
{
    unsigned wants = 0;

    if (m->core.state == RPCH_IN_FINISHED)
        return RPCH_WANT_CLOSE;
    if (m->core.state == RPCH_IN_RELEASE)
        wants |= RPCH_WANT_RELEASE;
    if (takes_client(m))
        wants |= RPCH_WANT_CLIENT_READ;
    if (takes_server(m) && !(m->core.flags & RPCH_JOINED))
        wants |= RPCH_WANT_SERVER_READ;
    if (m->core.state == RPCH_IN_CONNECT)
        wants |= RPCH_WANT_CONNECT;
    if (m->core.state == RPCH_IN_SUCCEED)
        wants |= RPCH_WANT_SUCCEED;
    if (m->core.state == RPCH_IN_CLOSE_R1)
        wants |= RPCH_WANT_SHUTDOWN;
    return wants;
}

rpch_msec rpch_inbound_deadline(const rpch_inbound *m)
{
    return m->core.deadline;
}

int rpch_inbound_timeout(rpch_inbound *m, rpch_msec now)
{
    if (m->core.deadline == RPCH_NEVER || now < m->core.deadline)
        return m->core.status;
    if (m->core.deadline == RPCH_IN_CLOSE_NOW) {
        m->core.deadline = rpch_after(now, m->core.limits.drain_timeout);
        return m->core.status;
    }
    /* All was sent: a server that does not close changes nothing. */
    return rpch_in_end(m, RPCH_IN_EV_TIMEOUT,
                       m->core.state == RPCH_IN_CLOSE_R1 ? RPCH_E_RECYCLED
                                                         : RPCH_E_TIMEOUT,
                       rpch_in_overdue(m->core.state));
}

static const char *event_name(int event)
{
    return rpch_in_event_name((rpch_in_event)event);
}

static const char *state_name(int state)
{
    return rpch_in_state_name((rpch_in_state)state);
}

const rpch_machine_table rpch_inbound_table = {
    RPCH_TABLE_INBOUND, "inbound", RPCH_IN_EV_MAX, RPCH_IN_STATE_MAX,
    &next[0][0], event_name, state_name
};
