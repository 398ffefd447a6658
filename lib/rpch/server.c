/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server.c - the server role machine, 3.2.5.
 *
 * States, and what holds in each:
 *
 *   OPEN_START  nothing arrived yet; no cookie is valid, no timer runs
 *   A2W         CONN/B2 arrived: vc, in_channel, group, address, in_window
 *               and in_timeout are valid; the connection setup timer runs
 *   B2W         CONN/A2 arrived: vc, out_channel, out_lifetime and tx are
 *               valid; the connection setup timer runs
 *   OPENED      all of them are valid, CONN/C1 and CONN/B3 are queued, no
 *               timer runs
 *   FINISHED    status and reason are set; the lanes are still to be sent
 *
 * A PDU without a row of its own in 3.2.5.5 is a protocol error, and so is
 * channel recycling, which this role does not take part in: it never sends
 * OUT_R1/A1, and a newcomer that wants to replace a channel is refused.
 */
#include "rpch/server.h"

#include <string.h>

/* 3.2.5.5.14 leaves the bound to the server; Windows allows this much Ping
 * traffic in this time. */
#define PING_BYTES_MAX 8192u
#define PING_BYTES_SPAN 240000u

#define RPCH_VERSION 1u

/* next state + 1 */
#define A2W (RPCH_SERVER_A2W + 1)
#define B2W (RPCH_SERVER_B2W + 1)
#define OPEN (RPCH_SERVER_OPENED + 1)
#define FIN (RPCH_SERVER_FINISHED + 1)
#define STAY RPCH_CELL_STAY
#define ERR RPCH_CELL_ERR
#define DROP RPCH_CELL_DROP

static const signed char next[RPCH_SERVER_EV_MAX][RPCH_SERVER_STATE_MAX] = {
    /*                           OPEN_START  A2W   B2W OPENED FINISHED */
    [RPCH_SERVER_EV_CONN_A2]       = { B2W, OPEN,  ERR,  ERR, DROP },
    [RPCH_SERVER_EV_CONN_B2]       = { A2W,  ERR, OPEN,  ERR, DROP },
    [RPCH_SERVER_EV_IN_R1_A2]      = { ERR,  ERR,  ERR,  ERR, DROP },
    [RPCH_SERVER_EV_IN_A6]         = { ERR,  ERR,  ERR,  ERR, DROP },
    [RPCH_SERVER_EV_IN_R1_B1]      = { ERR,  ERR,  ERR,  ERR, DROP },
    [RPCH_SERVER_EV_OUT_R1_A4]     = { ERR,  ERR,  ERR,  ERR, DROP },
    [RPCH_SERVER_EV_OUT_R2_A4]     = { ERR,  ERR,  ERR,  ERR, DROP },
    [RPCH_SERVER_EV_OUT_A8]        = { ERR,  ERR,  ERR,  ERR, DROP },
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
    [RPCH_SERVER_EV_TIMEOUT]       = {DROP,  FIN,  FIN, DROP, DROP },
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
        "recycling is not accepted: IN_R1/A2" },
    [RPCH_SERVER_EV_IN_A6] = { "IN_R1/A6=IN_R2/A2",
        "recycling is not accepted: IN_R1/A6=IN_R2/A2" },
    [RPCH_SERVER_EV_IN_R1_B1] = { "IN_R1/B1",
        "recycling is not accepted: IN_R1/B1" },
    [RPCH_SERVER_EV_OUT_R1_A4] = { "OUT_R1/A4",
        "recycling is not accepted: OUT_R1/A4" },
    [RPCH_SERVER_EV_OUT_R2_A4] = { "OUT_R2/A4",
        "recycling is not accepted: OUT_R2/A4" },
    [RPCH_SERVER_EV_OUT_A8] = { "OUT_R1/A8=OUT_R2/A8",
        "recycling is not accepted: OUT_R1/A8=OUT_R2/A8" },
    [RPCH_SERVER_EV_PING_NOTIFY] = { "PingTrafficSentNotify",
        "PingTrafficSentNotify before CONN/A2" },
    [RPCH_SERVER_EV_IN_FORWARD] = { "forward from S-IN",
        "RTS PDU to be forwarded before CONN/C1" },
    [RPCH_SERVER_EV_OUT_FORWARD] = { "forward from S-OUT",
        "RTS PDU to be forwarded before CONN/B3" },
    [RPCH_SERVER_EV_OUT_ACK] = { "FlowControlAck",
        "FlowControlAck before CONN/C1" },
    [RPCH_SERVER_EV_IN_OTHER] = { "other RTS PDU on S-IN",
        "RTS PDU that does not belong on S-IN" },
    [RPCH_SERVER_EV_OUT_OTHER] = { "other RTS PDU on S-OUT",
        "RTS PDU that does not belong on S-OUT" },
    [RPCH_SERVER_EV_IN_RPC] = { "RPC PDU on S-IN", "RPC PDU before CONN/B3" },
    [RPCH_SERVER_EV_OUT_RPC] = { "RPC PDU on S-OUT", "RPC PDU on S-OUT" },
    [RPCH_SERVER_EV_IN_CLOSE] = { "end of S-IN", NULL },
    [RPCH_SERVER_EV_OUT_CLOSE] = { "end of S-OUT", NULL },
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

/* Looks the event up and moves; the only writer of the state. status and
 * reason are for the events that finish the machine. True when the caller is
 * to carry out the event. */
static bool transit(rpch_server *m, rpch_server_event e, int status,
                    const char *reason)
{
    int from = m->core.state;
    int cell = next[e][from];

    if (cell == RPCH_CELL_DROP)
        return false;
    if (cell == RPCH_CELL_STAY)
        return true;
    if (cell == RPCH_CELL_ERR || cell == RPCH_CELL_BUG) {
        status = cell == RPCH_CELL_ERR ? RPCH_E_UNEXPECTED : RPCH_E_BUG;
        reason = event[e].wrong;
    }
    m->core.state = cell > 0 ? cell - 1 : RPCH_SERVER_FINISHED;
    if (m->core.state == RPCH_SERVER_FINISHED)
        rpch_core_end(&m->core, status, reason);
    rpch_core_log_move(&m->core, state_name[from], event[e].name,
                       state_name[m->core.state]);
    return cell > 0;
}

static int fail(rpch_server *m, int status, const char *reason)
{
    transit(m, RPCH_SERVER_EV_FAIL, status, reason);
    return m->core.status;
}

void rpch_server_init(rpch_server *m, const rpch_limits *limits,
                      unsigned flags, rpch_log_fn *log, void *baton,
                      rpch_msec now)
{
    memset(m, 0, sizeof(*m));
    rpch_core_init(&m->core, limits, flags, log, baton);
    m->notify_since = now;
    rpch_cutter_init(&m->in, false);
    rpch_cutter_init(&m->out, false);
    rpch_lane_init(&m->to_in);
    rpch_lane_init(&m->to_out);
    rpch_rx_init(&m->rx, limits->receive_window);
    m->rx.off = (flags & RPCH_JOINED) != 0;
}

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
    if (rpch_rts_read(RPCH_CONN_A2, &rts, &v) == RPCH_OK)
        *is_in = false;
    else if (rpch_rts_read(RPCH_CONN_B2, &rts, &v) == RPCH_OK)
        *is_in = true;
    else
        return RPCH_E_UNEXPECTED;
    *vc = v.cookie[0];
    return RPCH_OK;
}

/* Which event an RTS PDU on S-IN is. */
static rpch_server_event in_event(const rpch_rts *rts)
{
    rpch_dest dest;

    if (rpch_rts_destination(rts, &dest)) {
        if (dest == RPCH_DEST_CLIENT || dest == RPCH_DEST_OUT_PROXY)
            return RPCH_SERVER_EV_IN_FORWARD;
        if (rpch_rts_is(rts, RPCH_OUT_R1_A8)
            || rpch_rts_is(rts, RPCH_OUT_R2_A8))
            return RPCH_SERVER_EV_OUT_A8;
        return RPCH_SERVER_EV_IN_OTHER;
    }
    if (rpch_rts_is(rts, RPCH_CONN_B2))
        return RPCH_SERVER_EV_CONN_B2;
    if (rpch_rts_is(rts, RPCH_IN_R1_A2))
        return RPCH_SERVER_EV_IN_R1_A2;
    if (rpch_rts_is(rts, RPCH_IN_R1_A6))
        return RPCH_SERVER_EV_IN_A6;
    if (rpch_rts_is(rts, RPCH_IN_R1_B1))
        return RPCH_SERVER_EV_IN_R1_B1;
    return RPCH_SERVER_EV_IN_OTHER;
}

/* Which event an RTS PDU on S-OUT is. What the client shall get never comes
 * from its own side, and the out-proxy consumes what is its own. */
static rpch_server_event out_event(const rpch_rts *rts)
{
    rpch_dest dest;

    if (rpch_rts_destination(rts, &dest)) {
        if (dest == RPCH_DEST_IN_PROXY)
            return RPCH_SERVER_EV_OUT_FORWARD;
        if (dest == RPCH_DEST_SERVER
            && rpch_rts_is(rts, RPCH_FLOW_CONTROL_ACK_DEST))
            return RPCH_SERVER_EV_OUT_ACK;
        return RPCH_SERVER_EV_OUT_OTHER;
    }
    if (rpch_rts_is(rts, RPCH_CONN_A2))
        return RPCH_SERVER_EV_CONN_A2;
    if (rpch_rts_is(rts, RPCH_OUT_R1_A4))
        return RPCH_SERVER_EV_OUT_R1_A4;
    if (rpch_rts_is(rts, RPCH_OUT_R2_A4))
        return RPCH_SERVER_EV_OUT_R2_A4;
    if (rpch_rts_is(rts, RPCH_PING_TRAFFIC_SENT_NOTIFY))
        return RPCH_SERVER_EV_PING_NOTIFY;
    if (rpch_rts_is(rts, RPCH_FLOW_CONTROL_ACK))
        return RPCH_SERVER_EV_OUT_ACK;
    return RPCH_SERVER_EV_OUT_OTHER;
}

static void make(rpch_server *m, rpch_lane *lane, rpch_pdu_id id,
                 const rpch_rts_values *v, const char *where)
{
    int rv = rpch_core_make(&m->core, lane, id, v, where);

    if (rv != RPCH_OK)
        fail(m, rv, "the peer takes no RTS PDUs");
}

/* Bytes that the out-proxy will pass on to the client. */
static void count_out(rpch_server *m, uint64_t n)
{
    m->lifetime_used += n;
}

/* Both halves are there: 3.2.5.5.3 and 3.2.5.5.4 end alike. */
static void open_up(rpch_server *m)
{
    rpch_rts_values v;

    memset(&v, 0, sizeof(v));
    m->core.deadline = RPCH_NEVER;
    v.version = RPCH_VERSION;
    v.window = m->in_window;
    v.timeout = m->in_timeout;
    make(m, &m->to_out, RPCH_CONN_C1, &v, "queued for S-OUT");
    count_out(m, rpch_rts_row_of(RPCH_CONN_C1)->size);
    v.window = m->core.limits.receive_window;
    make(m, &m->to_in, RPCH_CONN_B3, &v, "queued for S-IN");
}

/* The first half starts the connection setup timer, the second completes. */
static void half_opened(rpch_server *m, rpch_msec now)
{
    if (m->core.state == RPCH_SERVER_OPENED)
        open_up(m);
    else
        m->core.deadline = rpch_after(now, m->core.limits.open_timeout);
}

static int take_conn_a2(rpch_server *m, const rpch_rts *rts, rpch_msec now)
{
    rpch_rts_values v;

    rpch_core_read(RPCH_CONN_A2, rts, &v);
    if (m->core.state == RPCH_SERVER_A2W
        && !rpch_cookie_equal(&v.cookie[0], &m->vc))
        return fail(m, RPCH_E_COOKIE, "CONN/A2 of another connection");
    if (!rpch_window_ok(v.window))
        return fail(m, RPCH_E_SYNTAX, "CONN/A2: ReceiveWindowSize below 8192");
    if (!transit(m, RPCH_SERVER_EV_CONN_A2, RPCH_OK, NULL))
        return m->core.status;
    m->vc = v.cookie[0];
    m->out_channel = v.cookie[1];
    m->out_lifetime = v.lifetime;
    rpch_tx_init(&m->tx, v.window);
    m->tx.off = (m->core.flags & RPCH_JOINED) != 0;
    half_opened(m, now);
    return m->core.status;
}

static int take_conn_b2(rpch_server *m, const rpch_rts *rts, rpch_msec now)
{
    rpch_rts_values v;

    rpch_core_read(RPCH_CONN_B2, rts, &v);
    if (m->core.state == RPCH_SERVER_B2W
        && !rpch_cookie_equal(&v.cookie[0], &m->vc))
        return fail(m, RPCH_E_COOKIE, "CONN/B2 of another connection");
    if (!rpch_window_ok(v.window))
        return fail(m, RPCH_E_SYNTAX, "CONN/B2: ReceiveWindowSize below 8192");
    if (!transit(m, RPCH_SERVER_EV_CONN_B2, RPCH_OK, NULL))
        return m->core.status;
    m->vc = v.cookie[0];
    m->in_channel = v.cookie[1];
    m->group = v.group;
    m->address = v.address;
    m->in_window = v.window;
    m->in_timeout = v.timeout;
    half_opened(m, now);
    return m->core.status;
}

/* The report is bounded, or a proxy could end any channel by it. */
static int take_notify(rpch_server *m, const rpch_rts *rts, rpch_msec now)
{
    rpch_rts_values v;

    if (!transit(m, RPCH_SERVER_EV_PING_NOTIFY, RPCH_OK, NULL))
        return m->core.status;
    rpch_core_read(RPCH_PING_TRAFFIC_SENT_NOTIFY, rts, &v);
    if (now - m->notify_since >= PING_BYTES_SPAN) {
        m->notify_since = now;
        m->notified = 0;
    }
    if (v.notify > PING_BYTES_MAX - m->notified)
        return fail(m, RPCH_E_UNEXPECTED,
                    "PingTrafficSentNotify above 8 KiB in four minutes");
    m->notified += v.notify;
    count_out(m, v.notify);
    return RPCH_OK;
}

static int take_ack(rpch_server *m, const rpch_rts *rts)
{
    const rpch_ack *ack;
    int rv;

    if (!transit(m, RPCH_SERVER_EV_OUT_ACK, RPCH_OK, NULL))
        return m->core.status;
    ack = &rpch_rts_find(rts, RPCH_CMD_FLOW_CONTROL_ACK, 0)->u.ack;
    if (!rpch_cookie_equal(&ack->cookie, &m->out_channel))
        return RPCH_OK; /* 3.2.1.5.1.2: of no channel of ours, discard */
    rv = rpch_tx_ack(&m->tx, ack->bytes_received, ack->available_window);
    if (rv != RPCH_OK)
        return fail(m, rv, "FlowControlAck on S-OUT acknowledges bytes that "
                    "were never sent");
    return RPCH_OK;
}

/* 3.2.1.5.2: the same bytes go on; only what reaches the client counts. */
static int forward(rpch_server *m, rpch_server_event e, const rpch_rts *rts,
                   const uint8_t *pdu, size_t len)
{
    rpch_lane *lane = e == RPCH_SERVER_EV_IN_FORWARD ? &m->to_out : &m->to_in;
    rpch_dest dest;
    int rv;

    if (!transit(m, e, RPCH_OK, NULL))
        return m->core.status;
    rv = rpch_lane_put(lane, pdu, len);
    if (rv != RPCH_OK)
        return fail(m, rv, "the peer takes no RTS PDUs");
    if (rpch_rts_destination(rts, &dest) && dest == RPCH_DEST_CLIENT)
        count_out(m, len);
    return RPCH_OK;
}

static int decode(rpch_server *m, const uint8_t *pdu, size_t len,
                  const char *where, rpch_rts *rts)
{
    const char *reason = NULL;
    int rv = rpch_rts_decode(pdu, len, rts, &reason);

    if (rv != RPCH_OK)
        return fail(m, rv, reason);
    rpch_core_log_rts(&m->core, where, rts);
    return RPCH_OK;
}

int rpch_server_in_rts(rpch_server *m, const uint8_t *pdu, size_t len,
                       rpch_msec now)
{
    rpch_rts rts;
    rpch_server_event e;

    if (m->core.state == RPCH_SERVER_FINISHED
        || decode(m, pdu, len, "received on S-IN", &rts) != RPCH_OK)
        return m->core.status;
    e = in_event(&rts);
    if (e == RPCH_SERVER_EV_CONN_B2)
        return take_conn_b2(m, &rts, now);
    if (e == RPCH_SERVER_EV_IN_FORWARD)
        return forward(m, e, &rts, pdu, len);
    transit(m, e, RPCH_OK, NULL);
    return m->core.status;
}

int rpch_server_out_rts(rpch_server *m, const uint8_t *pdu, size_t len,
                        rpch_msec now)
{
    rpch_rts rts;
    rpch_server_event e;

    if (m->core.state == RPCH_SERVER_FINISHED
        || decode(m, pdu, len, "received on S-OUT", &rts) != RPCH_OK)
        return m->core.status;
    e = out_event(&rts);
    switch (e) {
    case RPCH_SERVER_EV_CONN_A2:
        return take_conn_a2(m, &rts, now);
    case RPCH_SERVER_EV_PING_NOTIFY:
        return take_notify(m, &rts, now);
    case RPCH_SERVER_EV_OUT_ACK:
        return take_ack(m, &rts);
    case RPCH_SERVER_EV_OUT_FORWARD:
        return forward(m, e, &rts, pdu, len);
    default:
        transit(m, e, RPCH_OK, NULL);
        return m->core.status;
    }
}

/* An answer may become due on either connection. */
static bool has_room(const rpch_server *m)
{
    return rpch_lane_has_room(&m->to_in) && rpch_lane_has_room(&m->to_out);
}

static int pass_rpc(rpch_server *m, const rpch_cut *cut, rpch_step *step)
{
    if (cut->first && !transit(m, RPCH_SERVER_EV_IN_RPC, RPCH_OK, NULL))
        return m->core.status;
    rpch_step_pass(step, cut);
    m->queued += cut->len;
    if (cut->last) /* a part of a PDU is nothing to acknowledge */
        rpch_rx_received(&m->rx, cut->pdu.frag_len);
    return RPCH_OK;
}

int rpch_server_in_recv(rpch_server *m, const uint8_t *in, size_t len,
                        rpch_step *step, rpch_msec now)
{
    rpch_cut cut;
    int rv;

    memset(step, 0, sizeof(*step));
    memset(&cut, 0, sizeof(cut));
    if (m->core.state == RPCH_SERVER_FINISHED || !has_room(m))
        return m->core.status;
    rv = rpch_cutter_next(&m->in, in, len, &cut);
    step->used = cut.used;
    if (rv != RPCH_OK)
        return fail(m, rv, m->in.reason);
    if (cut.kind == RPCH_CUT_RTS)
        return rpch_server_in_rts(m, cut.data, cut.len, now);
    if (cut.kind == RPCH_CUT_RPC)
        return pass_rpc(m, &cut, step);
    return RPCH_OK;
}

int rpch_server_out_recv(rpch_server *m, const uint8_t *in, size_t len,
                         rpch_step *step, rpch_msec now)
{
    rpch_cut cut;
    int rv;

    memset(step, 0, sizeof(*step));
    memset(&cut, 0, sizeof(cut));
    if (m->core.state == RPCH_SERVER_FINISHED || !has_room(m))
        return m->core.status;
    rv = rpch_cutter_next(&m->out, in, len, &cut);
    step->used = cut.used;
    if (rv != RPCH_OK)
        return fail(m, rv, m->out.reason);
    if (cut.kind == RPCH_CUT_RTS)
        return rpch_server_out_rts(m, cut.data, cut.len, now);
    if (cut.kind == RPCH_CUT_RPC)
        transit(m, RPCH_SERVER_EV_OUT_RPC, RPCH_OK, NULL);
    return m->core.status;
}

void rpch_server_in_closed(rpch_server *m)
{
    transit(m, RPCH_SERVER_EV_IN_CLOSE, RPCH_E_CLOSED, "S-IN was closed");
}

void rpch_server_out_closed(rpch_server *m)
{
    transit(m, RPCH_SERVER_EV_OUT_CLOSE, RPCH_E_CLOSED, "S-OUT was closed");
}

void rpch_server_fail(rpch_server *m, int status, const char *reason)
{
    fail(m, status, reason);
}

void rpch_server_consumed(rpch_server *m, uint32_t pdu_len)
{
    rpch_rts_values v;
    uint32_t available;

    m->queued -= pdu_len < m->queued ? pdu_len : m->queued;
    if (!rpch_rx_consumed(&m->rx, pdu_len, &available)
        || m->core.state != RPCH_SERVER_OPENED)
        return;
    memset(&v, 0, sizeof(v));
    v.ack.bytes_received = m->rx.received;
    v.ack.available_window = available;
    v.ack.cookie = m->in_channel;
    make(m, &m->to_in, RPCH_FLOW_CONTROL_ACK, &v, "queued for S-IN");
}

uint64_t rpch_server_lifetime_left(const rpch_server *m)
{
    return m->lifetime_used < m->out_lifetime
         ? m->out_lifetime - m->lifetime_used : 0;
}

bool rpch_server_may_send(const rpch_server *m, uint32_t pdu_len)
{
    return m->core.state == RPCH_SERVER_OPENED
        && rpch_tx_may_send(&m->tx, pdu_len)
        && rpch_server_lifetime_left(m) >= pdu_len;
}

void rpch_server_sent(rpch_server *m, uint32_t pdu_len)
{
    rpch_tx_sent(&m->tx, pdu_len);
    count_out(m, pdu_len);
}

unsigned rpch_server_wants(const rpch_server *m)
{
    uint64_t bound = (uint64_t)m->core.limits.receive_window + RPCH_QUEUE_SLACK;
    unsigned wants = 0;

    if (m->core.state == RPCH_SERVER_FINISHED)
        return RPCH_WANT_CLOSE;
    if (!has_room(m))
        return 0;
    wants = RPCH_WANT_SERVER_READ;
    if (m->queued <= bound)
        wants |= RPCH_WANT_CLIENT_READ;
    return wants;
}

rpch_msec rpch_server_deadline(const rpch_server *m)
{
    return m->core.deadline;
}

int rpch_server_timeout(rpch_server *m, rpch_msec now)
{
    if (now >= m->core.deadline)
        transit(m, RPCH_SERVER_EV_TIMEOUT, RPCH_E_TIMEOUT,
                "the other half of the connection did not arrive in time");
    return m->core.status;
}
