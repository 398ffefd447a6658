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
#define DR2 (RPCH_IN_DRAIN_R2 + 1)
#define FIN (RPCH_IN_FINISHED + 1)

/* The rows follow the figure and the list of 3.2.3.5. Before CONN/B3 nobody
 * but us may write to S-IN, so that a service that does not speak ncacn_http
 * never sees a byte of the client's choice: a PDU to be forwarded is refused
 * until then (a client has nothing to forward before CONN/C2).
 *
 * What cannot happen: no byte is taken from C-IN while a successor waits and
 * after A5, nor from a server that is not connected; the states that have the
 * channel open, and CONNECT, have no timer. */
static const signed char next[RPCH_IN_EV_MAX][RPCH_IN_STATE_MAX] = {
    /* OPEN_START CONNECT B3W SUCCEED B2W PLUGGED
     * OPENED OPENED_A5W DRAIN_R1 CLOSE_R1 DRAIN_R2 FINISHED */
    [RPCH_IN_EV_CONN_B1] = { CONN, ERR, ERR, BUG, BUG, BUG,
                             ERR, ERR, BUG, BUG, BUG, BUG },
    [RPCH_IN_EV_R1_A1] = { SUCC, ERR, ERR, BUG, BUG, BUG,
                           ERR, ERR, BUG, BUG, BUG, BUG },
    [RPCH_IN_EV_A5] = { ERR, ERR, ERR, BUG, BUG, BUG,
                        DR1, DR2, BUG, BUG, BUG, BUG },
    [RPCH_IN_EV_A5_WRONG] = { BUG, BUG, BUG, BUG, BUG, BUG,
                              ERR, OPEN, BUG, BUG, BUG, BUG },
    [RPCH_IN_EV_PING] = { ERR, STAY, STAY, BUG, BUG, BUG,
                          STAY, STAY, BUG, BUG, BUG, BUG },
    [RPCH_IN_EV_KEEP_ALIVE] = { ERR, STAY, STAY, BUG, BUG, BUG,
                                STAY, STAY, BUG, BUG, BUG, BUG },
    [RPCH_IN_EV_CLIENT_FORWARD] = { ERR, ERR, ERR, BUG, BUG, BUG,
                                    STAY, STAY, BUG, BUG, BUG, BUG },
    [RPCH_IN_EV_CLIENT_OTHER] = { ERR, ERR, ERR, BUG, BUG, BUG,
                                  ERR, ERR, BUG, BUG, BUG, BUG },
    [RPCH_IN_EV_CLIENT_RPC] = { ERR, STAY, STAY, BUG, BUG, BUG,
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
                             BUG, BUG, FIN, FIN, FIN, BUG },
    [RPCH_IN_EV_FAIL] = { FIN, FIN, FIN, FIN, FIN, FIN,
                          FIN, FIN, FIN, FIN, FIN, DROP },
};

/* What comes with an event; an event without PDU has none of it. */
typedef struct input {
    const rpch_rts *rts;
    const uint8_t *pdu; /* the bytes of rts */
    size_t len;
    uint32_t rpc_len;   /* frag_length of an RPC PDU */
    rpch_msec now;
} input;

typedef int action_fn(rpch_inbound *m, const input *in);

/* The only writer of core.state. */
static void transit(rpch_inbound *m, rpch_in_event ev)
{
    int from = m->core.state;
    int cell = next[ev][from];

    if (cell == STAY || cell == DROP)
        return;
    m->core.state = cell > 0 ? cell - 1 : RPCH_IN_FINISHED;
    if (m->core.state != from)
        rpch_core_log_move(&m->core, rpch_in_state_name(from),
                           rpch_in_event_name(ev),
                           rpch_in_state_name(m->core.state));
}

/* Ends the machine by ev; returns the error that sticks. */
static int end(rpch_inbound *m, rpch_in_event ev, int status,
               const char *reason)
{
    if (next[ev][m->core.state] != DROP) {
        rpch_core_end(&m->core, status, reason);
        transit(m, ev);
    }
    return m->core.status;
}

/* Ends the machine because of a PDU's contents or a failure of our own. */
static int fail(rpch_inbound *m, int status, const char *reason)
{
    return end(m, RPCH_IN_EV_FAIL, status, reason);
}

/* CONN/B1, 3.2.3.5.3. Its ChannelLifetime is informational. */
static int take_b1(rpch_inbound *m, const input *in)
{
    rpch_rts_values v;

    rpch_core_read(RPCH_CONN_B1, in->rts, &v);
    if (!rpch_keepalive_read(v.keepalive, &m->keepalive))
        return fail(m, RPCH_E_SYNTAX,
                    "ClientKeepalive out of range in CONN/B1");
    m->vc = v.cookie[0];
    m->channel = v.cookie[1];
    m->group = v.group;
    m->lifetime = v.lifetime;
    m->core.deadline = RPCH_NEVER;
    return RPCH_OK;
}

/* Keep-Alive, 2.2.4.46: the caller applies it to S-IN. */
static int take_keepalive(rpch_inbound *m, const input *in)
{
    rpch_rts_values v;

    rpch_core_read(RPCH_KEEP_ALIVE, in->rts, &v);
    if (!rpch_keepalive_read(v.keepalive, &m->keepalive))
        return fail(m, RPCH_E_SYNTAX,
                    "ClientKeepalive out of range in Keep-Alive");
    return RPCH_OK;
}

/* Forwards verbatim: from here every way leads through the server,
 * 3.2.1.5.2. */
static int forward(rpch_inbound *m, const input *in)
{
    if (rpch_lane_put(&m->to_server, in->pdu, in->len) != RPCH_OK)
        return fail(m, RPCH_E_ROOM, "no room for an RTS PDU to the server");
    rpch_core_log_rts(&m->core, "forwarded to S-IN", in->rts);
    return RPCH_OK;
}

/* An RPC PDU starts to arrive; until CONN/B3 the caller keeps it. */
static int take_rpc(rpch_inbound *m, const input *in)
{
    m->queued += in->rpc_len;
    return RPCH_OK;
}

/* Queues PDU id for the server. */
static int make(rpch_inbound *m, rpch_pdu_id id, const rpch_rts_values *v)
{
    if (rpch_core_make(&m->core, &m->to_server, id, v, "queued for S-IN")
        != RPCH_OK)
        return fail(m, RPCH_E_ROOM, "no room for an RTS PDU to the server");
    return RPCH_OK;
}

/* CONN/B2, 3.2.3.5.3. */
static int send_b2(rpch_inbound *m, const input *in)
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
    return make(m, RPCH_CONN_B2, &v);
}

/* CONN/B3, 3.2.3.5.4. */
static int take_b3(rpch_inbound *m, const input *in)
{
    rpch_rts_values v;

    rpch_core_read(RPCH_CONN_B3, in->rts, &v);
    if (!rpch_window_ok(v.window))
        return fail(m, RPCH_E_SYNTAX,
                    "ReceiveWindowSize below 8192 in CONN/B3");
    rpch_tx_init(&m->tx, v.window);
    m->tx.off = (m->core.flags & RPCH_JOINED) != 0;
    m->core.deadline = RPCH_NEVER;
    return RPCH_OK;
}

/* FlowControlAck, 3.2.1.5.1. One for another channel says nothing about
 * ours. */
static int take_ack(rpch_inbound *m, const input *in)
{
    const rpch_cmd *cmd = rpch_rts_find(in->rts, RPCH_CMD_FLOW_CONTROL_ACK, 0);
    const rpch_ack *ack = &cmd->u.ack;

    if (m->tx.off || !rpch_cookie_equal(&ack->cookie, &m->channel))
        return RPCH_OK;
    if (rpch_tx_ack(&m->tx, ack->bytes_received, ack->available_window)
        != RPCH_OK)
        return fail(m, RPCH_E_ACK,
                    "FlowControlAck for bytes that were never sent on S-IN");
    return RPCH_OK;
}

/* What is done about an event that its cell allows, before the transition. */
static action_fn *const action[RPCH_IN_EV_MAX] = {
    [RPCH_IN_EV_CONN_B1] = take_b1,
    [RPCH_IN_EV_KEEP_ALIVE] = take_keepalive,
    [RPCH_IN_EV_CLIENT_FORWARD] = forward,
    [RPCH_IN_EV_CLIENT_RPC] = take_rpc,
    [RPCH_IN_EV_CONNECTED] = send_b2,
    [RPCH_IN_EV_CONN_B3] = take_b3,
    [RPCH_IN_EV_ACK] = take_ack,
};

/* Puts an event through the tables. */
static int happen(rpch_inbound *m, rpch_in_event ev, const input *in)
{
    bool first = m->core.state == RPCH_IN_OPEN_START;

    switch (next[ev][m->core.state]) {
    case DROP:
        return m->core.status;
    case BUG:
        return end(m, ev, RPCH_E_BUG, "an event that cannot be in this state");
    case ERR:
        return end(m, ev, RPCH_E_UNEXPECTED,
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
    input in = { &rts, pdu, len, 0, now };
    const char *reason = NULL;
    int rc = rpch_rts_decode(pdu, len, &rts, &reason);

    if (rc != RPCH_OK)
        return fail(m, rc, reason);
    rpch_core_log_rts(&m->core, from_client ? "received on C-IN"
                                            : "received on S-IN", &rts);
    return happen(m, from_client ? rpch_in_client_event(&rts)
                                 : rpch_in_server_event(&rts), &in);
}

/* True when the next bytes of C-IN may be taken. An RPC PDU that has begun
 * is always finished: its rest could be what the lane waits for. */
static bool takes_client(const rpch_inbound *m)
{
    uint64_t limit = (uint64_t)m->core.limits.receive_window
                   + RPCH_QUEUE_SLACK;

    if (m->core.state == RPCH_IN_FINISHED)
        return false;
    return m->client.left > 0
        || (rpch_lane_has_room(&m->to_server) && m->queued <= limit);
}

/* True when the server role may be heard. */
static bool takes_server(const rpch_inbound *m)
{
    return m->core.state == RPCH_IN_B3W || m->core.state == RPCH_IN_OPENED;
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
    input rpc = { NULL, NULL, 0, 0, now };
    rpch_cut cut;

    memset(step, 0, sizeof(*step));
    if (!takes_client(m))
        return m->core.status;
    if (rpch_cutter_next(&m->client, in, len, &cut) != RPCH_OK)
        return fail(m, m->client.status, m->client.reason);
    step->used = cut.used;
    if (cut.kind == RPCH_CUT_RTS)
        return take_rts(m, cut.data, cut.len, true, now);
    if (cut.kind != RPCH_CUT_RPC)
        return RPCH_OK;
    rpc.rpc_len = cut.pdu.frag_len;
    if (cut.first && happen(m, RPCH_IN_EV_CLIENT_RPC, &rpc) != RPCH_OK)
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
    input rpc = { NULL, NULL, 0, 0, now };
    rpch_cut cut;

    memset(step, 0, sizeof(*step));
    if (!takes_server(m) || (m->core.flags & RPCH_JOINED))
        return m->core.status;
    if (rpch_cutter_next(&m->server, in, len, &cut) != RPCH_OK)
        return fail(m, m->server.status, m->server.reason);
    step->used = cut.used;
    if (cut.kind == RPCH_CUT_RTS)
        return take_rts(m, cut.data, cut.len, false, now);
    if (cut.kind == RPCH_CUT_RPC)
        return happen(m, RPCH_IN_EV_SERVER_RPC, &rpc);
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
    input in = { NULL, NULL, 0, 0, now };

    return happen(m, RPCH_IN_EV_CONNECTED, &in);
}

void rpch_inbound_client_closed(rpch_inbound *m)
{
    (void)end(m, RPCH_IN_EV_CLIENT_CLOSE, RPCH_E_CLOSED, "the client closed");
}

void rpch_inbound_server_closed(rpch_inbound *m)
{
    (void)end(m, RPCH_IN_EV_SERVER_CLOSE, RPCH_E_CLOSED,
              "the server closed the connection");
}

void rpch_inbound_fail(rpch_inbound *m, int status, const char *reason)
{
    (void)fail(m, status, reason);
}

bool rpch_inbound_may_send(const rpch_inbound *m, uint32_t pdu_len)
{
    /* The PDU's end may owe the client an ack, which must have a place. */
    return m->core.state == RPCH_IN_OPENED
        && rpch_tx_may_send(&m->tx, pdu_len)
        && rpch_lane_has_reserve(&m->to_server);
}

void rpch_inbound_pdu_begin(rpch_inbound *m, uint32_t pdu_len)
{
    if (m->core.state == RPCH_IN_OPENED)
        rpch_tx_sent(&m->tx, pdu_len);
    else
        (void)fail(m, RPCH_E_BUG, "an RPC PDU starts on a closed S-IN");
}

void rpch_inbound_pdu_done(rpch_inbound *m, uint32_t pdu_len, rpch_msec now)
{
    rpch_rts_values v;

    m->rpc_bytes += pdu_len;
    m->rpc_pdus++;
    m->queued -= m->queued < pdu_len ? m->queued : pdu_len;
    memset(&v, 0, sizeof(v));
    if (!rpch_rx_consumed(&m->rx, pdu_len, &v.ack.available_window)
        || m->core.state != RPCH_IN_OPENED)
        return;
    v.dest = RPCH_DEST_CLIENT;
    v.ack.bytes_received = m->rx.received;
    v.ack.cookie = m->channel;
    (void)make(m, RPCH_FLOW_CONTROL_ACK_DEST, &v);
}

unsigned rpch_inbound_wants(const rpch_inbound *m)
{
    unsigned wants = 0;

    if (m->core.state == RPCH_IN_FINISHED)
        return RPCH_WANT_CLOSE;
    if (takes_client(m))
        wants |= RPCH_WANT_CLIENT_READ;
    if (takes_server(m) && !(m->core.flags & RPCH_JOINED))
        wants |= RPCH_WANT_SERVER_READ;
    if (m->core.state == RPCH_IN_CONNECT)
        wants |= RPCH_WANT_CONNECT;
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
    return end(m, RPCH_IN_EV_TIMEOUT, RPCH_E_TIMEOUT,
               m->core.state == RPCH_IN_OPEN_START
                   ? "no CONN/B1 from the client in time"
                   : "no CONN/B3 from the server in time");
}
