/* SPDX-License-Identifier: Apache-2.0 */
/*
 * outbound.c - the outbound proxy, 3.2.4.
 *
 * What may happen when is the table next[][]; what is done about it is the
 * table action[]. Recycling is refused: its PDUs have rows of their own that
 * end as protocol errors.
 */
#include "rpch/outbound.h"

#include <string.h>

#include "rpch/outbound_event.h"

#define BUG RPCH_CELL_BUG
#define STAY RPCH_CELL_STAY
#define ERR RPCH_CELL_ERR
#define DROP RPCH_CELL_DROP
#define CONN (RPCH_OUT_CONNECT + 1)
#define RESP (RPCH_OUT_RESPONSE + 1)
#define C1W (RPCH_OUT_C1W + 1)
#define OPEN (RPCH_OUT_OPENED + 1)
#define FIN (RPCH_OUT_FINISHED + 1)

/* Ping bytes not reported to the server may not exceed this, 3.2.4.6. */
#define PING_BYTES_MAX 1031u
#define PING_SIZE 20u

/* The rows follow the figure and the list of 3.2.4.5. Clients take the first
 * PDU for CONN/A3 and the next one for CONN/C2, whatever they are: nothing
 * else may reach them before OPENED, so that nothing is forwarded in C1W and
 * no byte of the server is taken before the head is out. No timer runs in
 * CONNECT, and none but that of the Ping in OPENED. */
static const signed char next[RPCH_OUT_EV_MAX][RPCH_OUT_STATE_MAX] = {
    /*                   OPEN_START CONNECT RESPONSE C1W OPENED FINISHED */
    [RPCH_OUT_EV_CONN_A1] =        { CONN, ERR,  ERR,  ERR,  ERR,  DROP },
    [RPCH_OUT_EV_R1_A3] =          { ERR,  ERR,  ERR,  ERR,  ERR,  DROP },
    [RPCH_OUT_EV_A11] =            { ERR,  ERR,  ERR,  ERR,  ERR,  DROP },
    [RPCH_OUT_EV_R2_C1] =          { ERR,  ERR,  ERR,  ERR,  ERR,  DROP },
    [RPCH_OUT_EV_CLIENT_OTHER] =   { ERR,  ERR,  ERR,  ERR,  ERR,  DROP },
    [RPCH_OUT_EV_CLIENT_RPC] =     { ERR,  ERR,  ERR,  ERR,  ERR,  DROP },
    [RPCH_OUT_EV_CONNECTED] =      { BUG,  RESP, BUG,  BUG,  BUG,  DROP },
    [RPCH_OUT_EV_RESPONDED] =      { BUG,  BUG,  C1W,  BUG,  BUG,  DROP },
    [RPCH_OUT_EV_CONN_C1] =        { BUG,  BUG,  BUG,  OPEN, ERR,  DROP },
    [RPCH_OUT_EV_R1_A1] =          { BUG,  BUG,  BUG,  ERR,  ERR,  DROP },
    [RPCH_OUT_EV_R1_A5] =          { BUG,  BUG,  BUG,  ERR,  ERR,  DROP },
    [RPCH_OUT_EV_A9_B1] =          { BUG,  BUG,  BUG,  ERR,  ERR,  DROP },
    [RPCH_OUT_EV_R2_B2] =          { BUG,  BUG,  BUG,  ERR,  ERR,  DROP },
    [RPCH_OUT_EV_ACK] =            { BUG,  BUG,  BUG,  ERR,  STAY, DROP },
    [RPCH_OUT_EV_SERVER_FORWARD] = { BUG,  BUG,  BUG,  ERR,  STAY, DROP },
    [RPCH_OUT_EV_SERVER_OTHER] =   { BUG,  BUG,  BUG,  ERR,  ERR,  DROP },
    [RPCH_OUT_EV_SERVER_RPC] =     { BUG,  BUG,  BUG,  ERR,  STAY, DROP },
    [RPCH_OUT_EV_CLIENT_CLOSE] =   { FIN,  FIN,  FIN,  FIN,  FIN,  DROP },
    [RPCH_OUT_EV_SERVER_CLOSE] =   { FIN,  FIN,  FIN,  FIN,  FIN,  DROP },
    [RPCH_OUT_EV_TIMEOUT] =        { FIN,  DROP, FIN,  FIN,  DROP, DROP },
    [RPCH_OUT_EV_PING_DUE] =       { DROP, DROP, DROP, DROP, STAY, DROP },
    [RPCH_OUT_EV_FAIL] =           { FIN,  FIN,  FIN,  FIN,  FIN,  DROP },
};

/* What comes with an event; an event without PDU has none of it. */
typedef struct input {
    const rpch_rts *rts;
    const uint8_t *pdu; /* the bytes of rts */
    size_t len;
    uint32_t rpc_len;   /* frag_length of an RPC PDU */
    rpch_msec now;
} input;

typedef int action_fn(rpch_outbound *m, const input *in);

/* The only writer of core.state. */
static void transit(rpch_outbound *m, rpch_out_event ev)
{
    int from = m->core.state;
    int cell = next[ev][from];

    if (cell == STAY || cell == DROP)
        return;
    m->core.state = cell > 0 ? cell - 1 : RPCH_OUT_FINISHED;
    if (m->core.state != from)
        rpch_core_log_move(&m->core, rpch_out_state_name(from),
                           rpch_out_event_name(ev),
                           rpch_out_state_name(m->core.state));
}

/* Ends the machine by ev; returns the error that sticks. */
static int end(rpch_outbound *m, rpch_out_event ev, int status,
               const char *reason)
{
    if (next[ev][m->core.state] != DROP) {
        rpch_core_end(&m->core, status, reason);
        transit(m, ev);
    }
    return m->core.status;
}

/* Ends the machine because of a PDU's contents or a failure of our own. */
static int fail(rpch_outbound *m, int status, const char *reason)
{
    return end(m, RPCH_OUT_EV_FAIL, status, reason);
}

/* Books n bytes of C-OUT. No PDU may be split across two channels, so that
 * one that does not fit ends the channel, 2.1.2.1.8. */
static int spend(rpch_outbound *m, size_t n)
{
    if (m->lifetime_used + n > m->core.limits.channel_lifetime)
        return fail(m, RPCH_E_LIFETIME,
                    "the OUT channel's lifetime is used up");
    m->lifetime_used += n;
    return RPCH_OK;
}

/* Queues PDU id for the client; none of those we make has a size of its
 * own. */
static int make_client(rpch_outbound *m, rpch_pdu_id id,
                       const rpch_rts_values *v)
{
    if (spend(m, rpch_rts_row_of(id)->size) != RPCH_OK)
        return m->core.status;
    if (rpch_core_make(&m->core, &m->to_client, id, v, "queued for C-OUT")
        != RPCH_OK)
        return fail(m, RPCH_E_ROOM, "no room for an RTS PDU to the client");
    return RPCH_OK;
}

/* Queues PDU id for the server. */
static int make_server(rpch_outbound *m, rpch_pdu_id id,
                       const rpch_rts_values *v)
{
    if (rpch_core_make(&m->core, &m->to_server, id, v, "queued for S-OUT")
        != RPCH_OK)
        return fail(m, RPCH_E_ROOM, "no room for an RTS PDU to the server");
    return RPCH_OK;
}

/* CONN/A1, 3.2.4.5.3. */
static int take_a1(rpch_outbound *m, const input *in)
{
    rpch_rts_values v;

    rpch_core_read(RPCH_CONN_A1, in->rts, &v);
    if (!rpch_window_ok(v.window))
        return fail(m, RPCH_E_SYNTAX,
                    "ReceiveWindowSize below 8192 in CONN/A1");
    m->vc = v.cookie[0];
    m->channel = v.cookie[1];
    rpch_tx_init(&m->tx, v.window);
    m->tx.off = (m->core.flags & RPCH_QUIET) != 0;
    m->core.deadline = RPCH_NEVER;
    return RPCH_OK;
}

/* CONN/A2: its lifetime is the Content-Length of the response. */
static int send_a2(rpch_outbound *m, const input *in)
{
    rpch_rts_values v;

    memset(&v, 0, sizeof(v));
    v.version = 1;
    v.cookie[0] = m->vc;
    v.cookie[1] = m->channel;
    v.lifetime = m->core.limits.channel_lifetime;
    v.window = m->core.limits.receive_window;
    m->core.deadline = rpch_after(in->now, m->core.limits.open_timeout);
    return make_server(m, RPCH_CONN_A2, &v);
}

static int send_a3(rpch_outbound *m, const input *in)
{
    rpch_rts_values v;

    memset(&v, 0, sizeof(v));
    v.timeout = m->core.limits.connection_timeout;
    return make_client(m, RPCH_CONN_A3, &v);
}

/* CONN/C1 becomes CONN/C2 with the values of the IN leg unchanged, 2.2.4.9.
 * Clients check their ranges and give no reason when they close. */
static int take_c1(rpch_outbound *m, const input *in)
{
    rpch_rts_values v;

    rpch_core_read(RPCH_CONN_C1, in->rts, &v);
    if (!rpch_window_ok(v.window) || v.window > RPCH_WINDOW_MAX)
        return fail(m, RPCH_E_SYNTAX,
                    "ReceiveWindowSize out of range in CONN/C1");
    if (v.timeout < RPCH_TIMEOUT_MIN || v.timeout > RPCH_TIMEOUT_MAX)
        return fail(m, RPCH_E_SYNTAX,
                    "ConnectionTimeout out of range in CONN/C1");
    m->core.deadline = RPCH_NEVER;
    m->last_sent = in->now;
    return make_client(m, RPCH_CONN_C2, &v);
}

/* FlowControlAckWithDestination, 3.2.1.5.1. One for another channel says
 * nothing about ours. */
static int take_ack(rpch_outbound *m, const input *in)
{
    const rpch_cmd *cmd = rpch_rts_find(in->rts, RPCH_CMD_FLOW_CONTROL_ACK, 0);
    const rpch_ack *ack = &cmd->u.ack;

    if (m->tx.off || !rpch_cookie_equal(&ack->cookie, &m->channel))
        return RPCH_OK;
    if (rpch_tx_ack(&m->tx, ack->bytes_received, ack->available_window)
        != RPCH_OK)
        return fail(m, RPCH_E_ACK, "FlowControlAckWithDestination for bytes "
                                   "that were never sent on C-OUT");
    return RPCH_OK;
}

/* Forwards verbatim to the client, 3.2.1.5.2. */
static int forward(rpch_outbound *m, const input *in)
{
    if (m->core.flags & RPCH_QUIET) {
        rpch_core_log_rts(&m->core, "kept from the quiet client", in->rts);
        return RPCH_OK;
    }
    if (spend(m, in->len) != RPCH_OK)
        return m->core.status;
    if (rpch_lane_put(&m->to_client, in->pdu, in->len) != RPCH_OK)
        return fail(m, RPCH_E_ROOM, "no room for an RTS PDU to the client");
    rpch_core_log_rts(&m->core, "forwarded to C-OUT", in->rts);
    return RPCH_OK;
}

/* An RPC PDU starts to arrive. */
static int take_rpc(rpch_outbound *m, const input *in)
{
    m->queued += in->rpc_len;
    return RPCH_OK;
}

/* Ping, 3.2.4.6. Where bytes of C-OUT are still on their way the client will
 * have a sign of life anyway, so the Ping is put off by a whole interval. */
static int send_ping(rpch_outbound *m, const input *in)
{
    rpch_rts_values v;
    size_t waiting;

    memset(&v, 0, sizeof(v));
    m->last_sent = in->now;
    (void)rpch_lane_buf(&m->to_client, &waiting);
    if (m->sending || waiting > 0)
        return RPCH_OK;
    if (make_client(m, RPCH_PING, &v) != RPCH_OK)
        return m->core.status;
    m->ping_bytes += PING_SIZE;
    if (m->ping_bytes <= PING_BYTES_MAX
        || !rpch_lane_has_room(&m->to_server))
        return RPCH_OK;
    v.notify = m->ping_bytes;
    m->ping_bytes = 0;
    return make_server(m, RPCH_PING_TRAFFIC_SENT_NOTIFY, &v);
}

/* What is done about an event that its cell allows, before the transition. */
static action_fn *const action[RPCH_OUT_EV_MAX] = {
    [RPCH_OUT_EV_CONN_A1] = take_a1,
    [RPCH_OUT_EV_CONNECTED] = send_a2,
    [RPCH_OUT_EV_RESPONDED] = send_a3,
    [RPCH_OUT_EV_CONN_C1] = take_c1,
    [RPCH_OUT_EV_ACK] = take_ack,
    [RPCH_OUT_EV_SERVER_FORWARD] = forward,
    [RPCH_OUT_EV_SERVER_RPC] = take_rpc,
    [RPCH_OUT_EV_PING_DUE] = send_ping,
};

/* Puts an event through the tables. */
static int happen(rpch_outbound *m, rpch_out_event ev, const input *in)
{
    bool first = m->core.state == RPCH_OUT_OPEN_START;

    switch (next[ev][m->core.state]) {
    case DROP:
        return m->core.status;
    case BUG:
        return end(m, ev, RPCH_E_BUG, "an event that cannot be in this state");
    case ERR:
        return end(m, ev, RPCH_E_UNEXPECTED,
                   rpch_out_wrong(ev, first, in->rts));
    default:
        if (action[ev] != NULL && action[ev](m, in) != RPCH_OK)
            return m->core.status;
        transit(m, ev);
        return RPCH_OK;
    }
}

/* Decodes one whole RTS PDU and puts it through the tables. */
static int take_rts(rpch_outbound *m, const uint8_t *pdu, size_t len,
                    bool from_client, rpch_msec now)
{
    rpch_rts rts;
    input in = { &rts, pdu, len, 0, now };
    const char *reason = NULL;
    int rc = rpch_rts_decode(pdu, len, &rts, &reason);

    if (rc != RPCH_OK)
        return fail(m, rc, reason);
    rpch_core_log_rts(&m->core, from_client ? "received on C-OUT"
                                            : "received on S-OUT", &rts);
    return happen(m, from_client ? rpch_out_client_event(&rts)
                                 : rpch_out_server_event(&rts), &in);
}

/* True when an RTS PDU of the server may be taken. */
static bool takes_server_rts(const rpch_outbound *m)
{
    return (m->core.state == RPCH_OUT_C1W || m->core.state == RPCH_OUT_OPENED)
        && rpch_lane_has_room(&m->to_client);
}

/* True when the next bytes of S-OUT may be taken. An RPC PDU that has begun
 * is always finished: its rest could be what the lane waits for. */
static bool takes_server(const rpch_outbound *m)
{
    bool joined = (m->core.flags & RPCH_JOINED) != 0;
    uint64_t limit = m->core.limits.receive_window;

    if (m->core.state != RPCH_OUT_OPENED
        && (joined || m->core.state != RPCH_OUT_C1W))
        return false;
    if (!joined)
        limit += RPCH_QUEUE_SLACK;
    return m->server.left > 0
        || (takes_server_rts(m) && rpch_lane_has_room(&m->to_server)
            && m->queued <= limit);
}

void rpch_outbound_init(rpch_outbound *m, const rpch_limits *limits,
                        unsigned flags, rpch_log_fn *log, void *baton,
                        rpch_msec now)
{
    memset(m, 0, sizeof(*m));
    rpch_core_init(&m->core, limits, flags, log, baton);
    m->core.deadline = rpch_after(now, limits->first_pdu_timeout);
    rpch_cutter_init(&m->client, false);
    rpch_cutter_init(&m->server, (flags & RPCH_JOINED) == 0);
    rpch_lane_init(&m->to_server);
    rpch_lane_init(&m->to_client);
    rpch_rx_init(&m->rx, limits->receive_window);
    m->rx.off = (flags & RPCH_JOINED) != 0;
    rpch_tx_init(&m->tx, 0);
}

int rpch_outbound_client_recv(rpch_outbound *m, const uint8_t *in, size_t len,
                              rpch_step *step, rpch_msec now)
{
    input rpc = { NULL, NULL, 0, 0, now };
    rpch_cut cut;

    memset(step, 0, sizeof(*step));
    if (m->core.state == RPCH_OUT_FINISHED)
        return m->core.status;
    if (rpch_cutter_next(&m->client, in, len, &cut) != RPCH_OK)
        return fail(m, m->client.status, m->client.reason);
    step->used = cut.used;
    if (cut.kind == RPCH_CUT_RTS)
        return take_rts(m, cut.data, cut.len, true, now);
    if (cut.kind == RPCH_CUT_RPC)
        return happen(m, RPCH_OUT_EV_CLIENT_RPC, &rpc);
    return RPCH_OK;
}

int rpch_outbound_server_recv(rpch_outbound *m, const uint8_t *in, size_t len,
                              rpch_step *step, rpch_msec now)
{
    input rpc = { NULL, NULL, 0, 0, now };
    rpch_cut cut;

    memset(step, 0, sizeof(*step));
    if (!takes_server(m))
        return m->core.status;
    if (rpch_cutter_next(&m->server, in, len, &cut) != RPCH_OK)
        return fail(m, m->server.status, m->server.reason);
    step->used = cut.used;
    if (cut.kind == RPCH_CUT_RTS && (m->core.flags & RPCH_JOINED))
        return end(m, RPCH_OUT_EV_SERVER_OTHER, RPCH_E_UNEXPECTED,
                   "RTS PDU from an ncacn_ip_tcp server");
    if (cut.kind == RPCH_CUT_RTS)
        return take_rts(m, cut.data, cut.len, false, now);
    if (cut.kind != RPCH_CUT_RPC)
        return RPCH_OK;
    rpc.rpc_len = cut.pdu.frag_len;
    if (cut.first && happen(m, RPCH_OUT_EV_SERVER_RPC, &rpc) != RPCH_OK)
        return m->core.status;
    /* A server that overruns the window is stopped by takes_server(). */
    if (cut.last)
        (void)rpch_rx_received(&m->rx, cut.pdu.frag_len);
    rpch_step_pass(step, &cut);
    return RPCH_OK;
}

int rpch_outbound_server_rts(rpch_outbound *m, const uint8_t *pdu, size_t len,
                             rpch_msec now)
{
    if (m->core.state == RPCH_OUT_FINISHED)
        return m->core.status;
    return takes_server_rts(m) ? take_rts(m, pdu, len, false, now)
                               : RPCH_AGAIN;
}

int rpch_outbound_connected(rpch_outbound *m, rpch_msec now)
{
    input in = { NULL, NULL, 0, 0, now };

    return happen(m, RPCH_OUT_EV_CONNECTED, &in);
}

int rpch_outbound_responded(rpch_outbound *m, rpch_msec now)
{
    input in = { NULL, NULL, 0, 0, now };

    return happen(m, RPCH_OUT_EV_RESPONDED, &in);
}

void rpch_outbound_client_closed(rpch_outbound *m)
{
    (void)end(m, RPCH_OUT_EV_CLIENT_CLOSE, RPCH_E_CLOSED,
              "the client closed");
}

void rpch_outbound_server_closed(rpch_outbound *m)
{
    (void)end(m, RPCH_OUT_EV_SERVER_CLOSE, RPCH_E_CLOSED,
              "the server closed the connection");
}

void rpch_outbound_fail(rpch_outbound *m, int status, const char *reason)
{
    (void)fail(m, status, reason);
}

bool rpch_outbound_may_send(rpch_outbound *m, uint32_t pdu_len)
{
    /* The PDU's end may owe the server an ack, which must have a place. */
    return m->core.state == RPCH_OUT_OPENED
        && rpch_tx_may_send(&m->tx, pdu_len)
        && rpch_lane_has_reserve(&m->to_server);
}

int rpch_outbound_pdu_begin(rpch_outbound *m, uint32_t pdu_len)
{
    if (m->core.state == RPCH_OUT_FINISHED)
        return m->core.status;
    if (m->core.state != RPCH_OUT_OPENED)
        return fail(m, RPCH_E_BUG, "an RPC PDU starts on a closed C-OUT");
    if (spend(m, pdu_len) != RPCH_OK)
        return m->core.status;
    rpch_tx_sent(&m->tx, pdu_len);
    m->sending = true;
    return RPCH_OK;
}

void rpch_outbound_pdu_done(rpch_outbound *m, uint32_t pdu_len, rpch_msec now)
{
    rpch_rts_values v;

    m->sending = false;
    m->last_sent = now;
    m->rpc_bytes += pdu_len;
    m->rpc_pdus++;
    m->queued -= m->queued < pdu_len ? m->queued : pdu_len;
    memset(&v, 0, sizeof(v));
    if (!rpch_rx_consumed(&m->rx, pdu_len, &v.ack.available_window)
        || m->core.state != RPCH_OUT_OPENED)
        return;
    v.ack.bytes_received = m->rx.received;
    v.ack.cookie = m->channel;
    (void)make_server(m, RPCH_FLOW_CONTROL_ACK, &v);
}

void rpch_outbound_client_ack(rpch_outbound *m, size_t len, rpch_msec now)
{
    if (len > 0)
        m->last_sent = now;
    rpch_lane_ack(&m->to_client, len);
}

unsigned rpch_outbound_wants(const rpch_outbound *m)
{
    unsigned wants = RPCH_WANT_CLIENT_READ;

    if (m->core.state == RPCH_OUT_FINISHED)
        return RPCH_WANT_CLOSE;
    if (takes_server(m))
        wants |= RPCH_WANT_SERVER_READ;
    if (m->core.state == RPCH_OUT_CONNECT)
        wants |= RPCH_WANT_CONNECT;
    if (m->core.state == RPCH_OUT_RESPONSE)
        wants |= RPCH_WANT_RESPONSE;
    return wants;
}

rpch_msec rpch_outbound_deadline(const rpch_outbound *m)
{
    if (m->core.state != RPCH_OUT_OPENED)
        return m->core.deadline;
    if (m->core.flags & RPCH_QUIET)
        return RPCH_NEVER;
    return rpch_after(m->last_sent, m->core.limits.ping_interval);
}

int rpch_outbound_timeout(rpch_outbound *m, rpch_msec now)
{
    input in = { NULL, NULL, 0, 0, now };
    rpch_msec deadline = rpch_outbound_deadline(m);

    if (deadline == RPCH_NEVER || now < deadline)
        return m->core.status;
    if (m->core.state == RPCH_OUT_OPENED)
        return happen(m, RPCH_OUT_EV_PING_DUE, &in);
    return end(m, RPCH_OUT_EV_TIMEOUT, RPCH_E_TIMEOUT,
               m->core.state == RPCH_OUT_OPEN_START
                   ? "no CONN/A1 from the client in time"
                   : "no CONN/C1 from the server in time");
}
