/* SPDX-License-Identifier: Apache-2.0 */
/*
 * outbound.c - the outbound proxy, 3.2.4: how it opens, what it passes on, its
 * timers. What may happen when is in outbound_table.c, recycling in
 * outbound_recycle.c.
 */
#include "rpch/outbound.h"

#include <string.h>

#include "rpch/outbound_event.h"
#include "rpch/outbound_private.h"

#define PING_SIZE 20u

int rpch_out_spend(rpch_outbound *m, size_t n)
{
    if (m->lifetime_used + n > m->core.limits.channel_lifetime)
        return rpch_out_fail(m, RPCH_E_LIFETIME,
                             "the OUT channel's lifetime is used up");
    m->lifetime_used += n;
    return RPCH_OK;
}

int rpch_out_make_client(rpch_outbound *m, rpch_pdu_id id,
                         const rpch_rts_values *v)
{
    if (rpch_out_spend(m, rpch_rts_row_of(id)->size) != RPCH_OK)
        return m->core.status;
    if (rpch_core_make(&m->core, &m->to_client, id, v, "queued for C-OUT")
        != RPCH_OK)
        return rpch_out_fail(m, RPCH_E_ROOM,
                             "no room for an RTS PDU to the client");
    return RPCH_OK;
}

int rpch_out_make_server(rpch_outbound *m, rpch_pdu_id id,
                         const rpch_rts_values *v)
{
    if (rpch_core_make(&m->core, &m->to_server, id, v, "queued for S-OUT")
        != RPCH_OK)
        return rpch_out_fail(m, RPCH_E_ROOM,
                             "no room for an RTS PDU to the server");
    return RPCH_OK;
}

/* CONN/A1, 3.2.4.5.3. */
static int take_a1(rpch_outbound *m, const rpch_out_input *in)
{
    rpch_rts_values v;

    rpch_core_read(RPCH_CONN_A1, in->rts, &v);
    if (!rpch_window_ok(v.window))
        return rpch_out_fail(m, RPCH_E_SYNTAX,
                             "ReceiveWindowSize below 8192 in CONN/A1");
    m->vc = v.cookie[0];
    m->channel = v.cookie[1];
    rpch_tx_init(&m->tx, v.window);
    m->tx.off = (m->core.flags & RPCH_QUIET) != 0;
    m->core.deadline = RPCH_NEVER;
    return RPCH_OK;
}

/* CONN/A2: its lifetime is the Content-Length of the response. */
static int send_a2(rpch_outbound *m, const rpch_out_input *in)
{
    rpch_rts_values v;

    if (m->core.state == RPCH_OUT_SUCCEED)
        return rpch_out_send_a4(m, in);
    memset(&v, 0, sizeof(v));
    v.version = 1;
    v.cookie[0] = m->vc;
    v.cookie[1] = m->channel;
    v.lifetime = m->core.limits.channel_lifetime;
    v.window = m->core.limits.receive_window;
    m->core.deadline = rpch_after(in->now, m->core.limits.open_timeout);
    return rpch_out_make_server(m, RPCH_CONN_A2, &v);
}

/* CONN/A3; a successor has none. */
static int send_a3(rpch_outbound *m, const rpch_out_input *in)
{
    rpch_rts_values v;

    if (m->core.state == RPCH_OUT_RESUME) {
        m->core.deadline = RPCH_NEVER;
        m->last_sent = in->now;
        return RPCH_OK;
    }
    memset(&v, 0, sizeof(v));
    v.timeout = m->core.limits.connection_timeout;
    return rpch_out_make_client(m, RPCH_CONN_A3, &v);
}

/* CONN/C1 becomes CONN/C2 with the values of the IN leg unchanged, 2.2.4.9.
 * Clients check their ranges and give no reason when they close. */
static int take_c1(rpch_outbound *m, const rpch_out_input *in)
{
    rpch_rts_values v;

    rpch_core_read(RPCH_CONN_C1, in->rts, &v);
    if (!rpch_window_ok(v.window) || v.window > RPCH_WINDOW_MAX)
        return rpch_out_fail(m, RPCH_E_SYNTAX,
                             "ReceiveWindowSize out of range in CONN/C1");
    if (v.timeout < RPCH_TIMEOUT_MIN || v.timeout > RPCH_TIMEOUT_MAX)
        return rpch_out_fail(m, RPCH_E_SYNTAX,
                             "ConnectionTimeout out of range in CONN/C1");
    m->core.deadline = RPCH_NEVER;
    m->last_sent = in->now;
    return rpch_out_make_client(m, RPCH_CONN_C2, &v);
}

/* FlowControlAckWithDestination, 3.2.1.5.1. One for another channel, such as
 * our predecessor or successor, says nothing about ours. */
static int take_ack(rpch_outbound *m, const rpch_out_input *in)
{
    const rpch_cmd *cmd = rpch_rts_find(in->rts, RPCH_CMD_FLOW_CONTROL_ACK, 0);
    const rpch_ack *ack = &cmd->u.ack;

    if (m->tx.off || !rpch_cookie_equal(&ack->cookie, &m->channel))
        return RPCH_OK;
    if (rpch_tx_ack(&m->tx, ack->bytes_received, ack->available_window)
        != RPCH_OK)
        return rpch_out_fail(m, RPCH_E_ACK,
                             "FlowControlAckWithDestination for bytes that "
                             "were never sent on C-OUT");
    return RPCH_OK;
}

/* Forwards verbatim to the client, 3.2.1.5.2. */
static int forward(rpch_outbound *m, const rpch_out_input *in)
{
    if (m->core.flags & RPCH_QUIET) {
        rpch_core_log_rts(&m->core, "kept from the quiet client", in->rts);
        return RPCH_OK;
    }
    if (rpch_out_spend(m, in->len) != RPCH_OK)
        return m->core.status;
    if (rpch_lane_put(&m->to_client, in->pdu, in->len) != RPCH_OK)
        return rpch_out_fail(m, RPCH_E_ROOM,
                             "no room for an RTS PDU to the client");
    rpch_core_log_rts(&m->core, "forwarded to C-OUT", in->rts);
    return RPCH_OK;
}

/* OUT_R1/A1 = OUT_R2/A1, 3.2.4.5.5: the server asks for a successor. When the
 * client cannot make one, the channel ends once nothing more comes. */
static int forward_a1(rpch_outbound *m, const rpch_out_input *in)
{
    m->asked = true;
    m->doomed = (m->core.flags & (RPCH_NO_RECYCLING | RPCH_QUIET)) != 0;
    if (!(m->core.flags & RPCH_NO_RECYCLING))
        return forward(m, in);
    rpch_core_log_rts(&m->core, "kept from the client that cannot recycle",
                      in->rts);
    return RPCH_OK;
}

/* An RPC PDU starts to arrive. */
static int take_rpc(rpch_outbound *m, const rpch_out_input *in)
{
    m->queued += in->rpc_len;
    return RPCH_OK;
}

/* Ping, 3.2.4.6. Where bytes of C-OUT are still on their way the client will
 * have a sign of life anyway, so the Ping is put off by a whole interval. */
static int send_ping(rpch_outbound *m, const rpch_out_input *in)
{
    uint32_t bound = m->core.limits.ping_notify;
    rpch_rts_values v;
    size_t waiting;

    if (bound == 0)
        bound = RPCH_PING_NOTIFY_DEFAULT;
    memset(&v, 0, sizeof(v));
    m->last_sent = in->now;
    (void)rpch_lane_buf(&m->to_client, &waiting);
    if (m->sending || waiting > 0)
        return RPCH_OK;
    if (rpch_out_make_client(m, RPCH_PING, &v) != RPCH_OK)
        return m->core.status;
    m->ping_bytes += PING_SIZE;
    if (m->ping_bytes <= bound
        || !rpch_lane_has_room(&m->to_server))
        return RPCH_OK;
    v.notify = m->ping_bytes;
    m->ping_bytes = 0;
    return rpch_out_make_server(m, RPCH_PING_TRAFFIC_SENT_NOTIFY, &v);
}

rpch_out_action_fn *rpch_out_action(rpch_out_event ev)
{
    static rpch_out_action_fn *const action[RPCH_OUT_EV_MAX] = {
        [RPCH_OUT_EV_CONN_A1] = take_a1,
        [RPCH_OUT_EV_R1_A3] = rpch_out_take_a3,
        [RPCH_OUT_EV_CONNECTED] = send_a2,
        [RPCH_OUT_EV_ADOPTED] = rpch_out_adopt_leg,
        [RPCH_OUT_EV_RESPONDED] = send_a3,
        [RPCH_OUT_EV_ATTACH] = rpch_out_announce,
        [RPCH_OUT_EV_DETACH] = rpch_out_forget,
        [RPCH_OUT_EV_RELEASED] = rpch_out_retire,
        [RPCH_OUT_EV_CONN_C1] = take_c1,
        [RPCH_OUT_EV_R1_A1] = forward_a1,
        [RPCH_OUT_EV_R1_A5] = forward,
        [RPCH_OUT_EV_A9_B1] = rpch_out_take_b1,
        [RPCH_OUT_EV_R2_B2] = rpch_out_take_b2,
        [RPCH_OUT_EV_ACK] = take_ack,
        [RPCH_OUT_EV_SERVER_FORWARD] = forward,
        [RPCH_OUT_EV_SERVER_RPC] = take_rpc,
        [RPCH_OUT_EV_DRAINED] = rpch_out_send_last,
        [RPCH_OUT_EV_SENT] = rpch_out_last_sent,
        [RPCH_OUT_EV_SERVER_CLOSE] = rpch_out_server_ended,
        [RPCH_OUT_EV_DRAIN_DUE] = rpch_out_drain_late,
        [RPCH_OUT_EV_PING_DUE] = send_ping,
    };

    return action[ev];
}

/* Decodes one whole RTS PDU and puts it through the tables. */
static int take_rts(rpch_outbound *m, const uint8_t *pdu, size_t len,
                    bool from_client, rpch_msec now)
{
    rpch_rts rts;
    rpch_out_input in = { &rts, pdu, len, 0, NULL, now };
    const char *reason = NULL;
    int rc = rpch_rts_decode(pdu, len, &rts, &reason);

    if (rc != RPCH_OK)
        return rpch_out_fail(m, rc, reason);
    rpch_core_log_rts(&m->core, from_client ? "received on C-OUT"
                                            : "received on S-OUT", &rts);
    rc = rpch_out_happen(m, from_client ? rpch_out_client_event(&rts)
                                        : rpch_out_server_event(&rts), &in);
    rpch_out_settle(m, now);
    return rc;
}

/* True after OUT_R1/A9: the server sends acks only. */
static bool draining(const rpch_outbound *m)
{
    return m->core.state == RPCH_OUT_DRAIN_R1
        || m->core.state == RPCH_OUT_LAST_R1;
}

/* True between the first and the last RPC PDU of C-OUT. */
static bool is_open(const rpch_outbound *m)
{
    return m->core.state == RPCH_OUT_OPENED
        || m->core.state == RPCH_OUT_OPENED_B1W;
}

/* True for a successor that has its S-OUT and not yet a C-OUT. */
static bool is_plugged(const rpch_outbound *m)
{
    return m->core.state == RPCH_OUT_A11W || m->core.state == RPCH_OUT_R2C1W
        || m->core.state == RPCH_OUT_RESUME;
}

/* True when an RTS PDU of the server may be taken. */
static bool takes_server_rts(const rpch_outbound *m)
{
    return (m->core.state == RPCH_OUT_C1W || is_open(m) || is_plugged(m)
            || (draining(m) && !m->server_gone))
        && rpch_lane_has_room(&m->to_client);
}

/* True when the next bytes of S-OUT may be taken. An RPC PDU that has begun
 * is always finished: its rest could be what the lane waits for. */
static bool takes_server(const rpch_outbound *m)
{
    bool joined = (m->core.flags & RPCH_JOINED) != 0;
    uint64_t limit = m->core.limits.receive_window;

    if (m->core.state == RPCH_OUT_FINISH_R2)
        return rpch_out_finishing(m);
    /* Acks must come through, be the queue as long as it may. */
    if (draining(m))
        return takes_server_rts(m);
    if (!is_open(m) && !is_plugged(m)
        && (joined || m->core.state != RPCH_OUT_C1W))
        return false;
    if (!joined)
        limit += RPCH_QUEUE_SLACK;
    else
        limit -= limit / 2 < RPCH_QUEUE_SLACK ? limit / 2 : RPCH_QUEUE_SLACK;
    return m->server.left > 0
        || (takes_server_rts(m) && rpch_lane_has_room(&m->to_server)
            && m->queued <= limit);
}

/* True when the request body may be read. That of a successor holds what
 * answers to the answer it does not have yet. */
static bool takes_client(const rpch_outbound *m)
{
    return m->core.state != RPCH_OUT_FINISHED
        && m->core.state != RPCH_OUT_SUCCEED;
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
    rpch_out_input rpc = { NULL, NULL, 0, 0, NULL, now };
    rpch_cut cut;

    memset(step, 0, sizeof(*step));
    if (!takes_client(m))
        return m->core.status;
    if (rpch_cutter_next(&m->client, in, len, &cut) != RPCH_OK)
        return rpch_out_fail(m, m->client.status, m->client.reason);
    step->used = cut.used;
    if (cut.kind == RPCH_CUT_RTS)
        return take_rts(m, cut.data, cut.len, true, now);
    if (cut.kind == RPCH_CUT_RPC)
        return rpch_out_happen(m, RPCH_OUT_EV_CLIENT_RPC, &rpc);
    return RPCH_OK;
}

void rpch_outbound_body_ended(rpch_outbound *m)
{
    (void)rpch_out_end(m, RPCH_OUT_EV_BODY_END, RPCH_E_SYNTAX,
                       m->core.state == RPCH_OUT_OPEN_START
                           ? "the request body ended before CONN/A1"
                           : "the request body ended before OUT_R1/A11 or "
                             "OUT_R2/C1");
}

int rpch_outbound_server_recv(rpch_outbound *m, const uint8_t *in, size_t len,
                              rpch_step *step, rpch_msec now)
{
    rpch_out_input rpc = { NULL, NULL, 0, 0, NULL, now };
    rpch_cut cut;

    memset(step, 0, sizeof(*step));
    if (!takes_server(m))
        return m->core.status;
    if (rpch_cutter_next(&m->server, in, len, &cut) != RPCH_OK)
        return rpch_out_fail(m, m->server.status, m->server.reason);
    step->used = cut.used;
    if (cut.kind == RPCH_CUT_RTS && (m->core.flags & RPCH_JOINED))
        return rpch_out_end(m, RPCH_OUT_EV_SERVER_OTHER, RPCH_E_UNEXPECTED,
                            "RTS PDU from an ncacn_ip_tcp server");
    if (cut.kind == RPCH_CUT_RTS)
        return take_rts(m, cut.data, cut.len, false, now);
    if (cut.kind != RPCH_CUT_RPC)
        return RPCH_OK;
    rpc.rpc_len = cut.pdu.frag_len;
    if (cut.first
        && rpch_out_happen(m, RPCH_OUT_EV_SERVER_RPC, &rpc) != RPCH_OK)
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
    rpch_out_input in = { NULL, NULL, 0, 0, NULL, now };

    return rpch_out_happen(m, RPCH_OUT_EV_CONNECTED, &in);
}

int rpch_outbound_responded(rpch_outbound *m, rpch_msec now)
{
    rpch_out_input in = { NULL, NULL, 0, 0, NULL, now };

    return rpch_out_happen(m, RPCH_OUT_EV_RESPONDED, &in);
}

void rpch_outbound_client_closed(rpch_outbound *m)
{
    (void)rpch_out_end(m, RPCH_OUT_EV_CLIENT_CLOSE, RPCH_E_CLOSED,
                       "the client closed");
}

void rpch_outbound_server_closed(rpch_outbound *m)
{
    rpch_out_input in = { NULL, NULL, 0, 0, NULL, 0 };

    (void)rpch_out_happen(m, RPCH_OUT_EV_SERVER_CLOSE, &in);
}

void rpch_outbound_fail(rpch_outbound *m, int status, const char *reason)
{
    (void)rpch_out_fail(m, status, reason);
}

bool rpch_outbound_may_send(rpch_outbound *m, uint32_t pdu_len)
{
    if (m->core.state == RPCH_OUT_DRAIN_R1)
        return rpch_tx_may_send(&m->tx, pdu_len);
    if (!is_open(m))
        return false;
    if (rpch_out_starves(m, 0, pdu_len)) {
        m->starved = true;
        return false;
    }
    /* The PDU's end may owe the server an ack, which must have a place. */
    return rpch_tx_may_send(&m->tx, pdu_len)
        && rpch_lane_has_reserve(&m->to_server);
}

bool rpch_outbound_may_follow(const rpch_outbound *m, uint32_t ahead,
                              uint32_t pdu_len)
{
    uint64_t used = m->lifetime_used + ahead + pdu_len;

    if (used > m->core.limits.channel_lifetime
        || !rpch_tx_may_follow(&m->tx, ahead, pdu_len))
        return false;
    return m->core.state == RPCH_OUT_DRAIN_R1
        || (is_open(m) && !rpch_out_starves(m, ahead, pdu_len)
            && rpch_lane_has_reserve(&m->to_server));
}

int rpch_outbound_pdu_begin(rpch_outbound *m, uint32_t pdu_len)
{
    if (m->core.state == RPCH_OUT_FINISHED)
        return m->core.status;
    if (!is_open(m) && m->core.state != RPCH_OUT_DRAIN_R1)
        return rpch_out_fail(m, RPCH_E_BUG,
                             "an RPC PDU starts on a closed C-OUT");
    if (rpch_out_spend(m, pdu_len) != RPCH_OK)
        return m->core.status;
    rpch_tx_sent(&m->tx, pdu_len);
    m->sending = true;
    return RPCH_OK;
}

/* Acknowledges S-OUT, 3.2.1.4.1. At OUT_R2/B1 the server has renamed the
 * channel (3.2.5.5.12). */
static void acknowledge(rpch_outbound *m, uint32_t available)
{
    rpch_rts_values v;

    memset(&v, 0, sizeof(v));
    v.ack.available_window = available;
    v.ack.bytes_received = m->rx.received;
    v.ack.cookie = m->core.state == RPCH_OUT_FINISH_R2 ? m->successor
                                                       : m->channel;
    (void)rpch_out_make_server(m, RPCH_FLOW_CONTROL_ACK, &v);
}

void rpch_outbound_pdu_done(rpch_outbound *m, uint32_t pdu_len, rpch_msec now)
{
    uint32_t available;

    m->sending = false;
    m->last_sent = now;
    m->rpc_bytes += pdu_len;
    m->rpc_pdus++;
    m->queued -= m->queued < pdu_len ? m->queued : pdu_len;
    if (rpch_rx_consumed(&m->rx, pdu_len, &available)
        && (is_open(m) || m->core.state == RPCH_OUT_FINISH_R2))
        acknowledge(m, available);
    rpch_out_settle(m, now);
}

void rpch_outbound_client_ack(rpch_outbound *m, size_t len, rpch_msec now)
{
    if (len > 0)
        m->last_sent = now;
    rpch_lane_ack(&m->to_client, len);
    rpch_out_settle(m, now);
}

unsigned rpch_outbound_wants(const rpch_outbound *m)
{
    static const unsigned due[RPCH_OUT_STATE_MAX] = {
        [RPCH_OUT_CONNECT] = RPCH_WANT_CONNECT,
        [RPCH_OUT_SUCCEED] = RPCH_WANT_SUCCEED,
        [RPCH_OUT_RESPONSE] = RPCH_WANT_RESPONSE,
        [RPCH_OUT_RESUME] = RPCH_WANT_RESPONSE,
        [RPCH_OUT_RELEASE] = RPCH_WANT_RELEASE,
        [RPCH_OUT_FINISHED] = RPCH_WANT_CLOSE
    };
    unsigned wants = due[m->core.state];

    if (takes_client(m))
        wants |= RPCH_WANT_CLIENT_READ;
    if (takes_server(m))
        wants |= RPCH_WANT_SERVER_READ;
    return wants;
}

rpch_msec rpch_outbound_deadline(const rpch_outbound *m)
{
    if (!is_open(m))
        return m->core.deadline;
    if (m->doomed)
        return rpch_after(m->last_sent, m->core.limits.drain_timeout);
    if (m->core.flags & RPCH_QUIET)
        return RPCH_NEVER;
    return rpch_after(m->last_sent, m->core.limits.ping_interval);
}

/* What did not come in time. */
static const char *missed(const rpch_outbound *m)
{
    switch (m->core.state) {
    case RPCH_OUT_OPEN_START:
        return "no CONN/A1 from the client in time";
    case RPCH_OUT_SUCCEED:
        return "no answer about the predecessor in time";
    case RPCH_OUT_A11W:
        return "no OUT_R1/A11 from the client in time";
    case RPCH_OUT_ATTACHED:
    case RPCH_OUT_LEGW:
        return "no OUT_R2/B1 from the server in time";
    case RPCH_OUT_R2C1W:
        return "no OUT_R2/C1 from the client in time";
    case RPCH_OUT_RESUME:
        return "the successor did not open in time";
    case RPCH_OUT_RESPONSE:
    case RPCH_OUT_C1W:
        return "no CONN/C1 from the server in time";
    default:
        return "the predecessor did not drain in time";
    }
}

/* Nothing came for a while after OUT_Rx/A1 to a client that cannot recycle. */
static int give_up(rpch_outbound *m, rpch_msec now)
{
    m->last_sent = now;
    if (m->sending || m->queued > 0)
        return RPCH_OK;
    return rpch_out_fail(m, RPCH_E_LIFETIME,
                         "the OUT channel's lifetime nears its end, and this "
                         "client cannot recycle");
}

int rpch_outbound_timeout(rpch_outbound *m, rpch_msec now)
{
    rpch_out_input in = { NULL, NULL, 0, 0, NULL, now };
    rpch_msec deadline = rpch_outbound_deadline(m);

    if (deadline == RPCH_NEVER || now < deadline)
        return m->core.status;
    if (is_open(m) && m->doomed)
        return give_up(m, now);
    if (is_open(m))
        return rpch_out_happen(m, RPCH_OUT_EV_PING_DUE, &in);
    if (m->core.state == RPCH_OUT_DRAIN_R1 && !m->overdue)
        return rpch_out_happen(m, RPCH_OUT_EV_DRAIN_DUE, &in);
    return rpch_out_end(m, RPCH_OUT_EV_TIMEOUT, RPCH_E_TIMEOUT, missed(m));
}
