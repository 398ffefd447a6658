/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client.c - the client role machine, 3.2.2.
 *
 * States, and what holds in each:
 *
 *   OUT_WAIT  CONN/A1 and CONN/B1 are queued; no response head yet
 *   A3W       the OUT response is 200; its body has brought nothing yet
 *   C2W       CONN/A3 arrived, timeout is the out-proxy's
 *   OPENED    CONN/C2 arrived: timeout and tx are the in-proxy's; C-IN is
 *             kept from being idle by Pings
 *   FINISHED  status and reason are set; the lanes are still to be sent
 *
 * The machine is as strict as the strictest client known: before CONN/C2 it
 * takes CONN/A3 and nothing else, it checks the ranges of 2.2.3.5, and when
 * quiet it takes no RTS PDU after CONN/C2 at all. Recycling is a protocol
 * error.
 */
#include "rpch/client.h"

#include <string.h>

#define RPCH_VERSION 1u

/* next state + 1 */
#define A3W (RPCH_CLIENT_A3W + 1)
#define C2W (RPCH_CLIENT_C2W + 1)
#define OPEN (RPCH_CLIENT_OPENED + 1)
#define FIN (RPCH_CLIENT_FINISHED + 1)
#define STAY RPCH_CELL_STAY
#define ERR RPCH_CELL_ERR
#define DROP RPCH_CELL_DROP

static const signed char next[RPCH_CLIENT_EV_MAX][RPCH_CLIENT_STATE_MAX] = {
    /*                        OUT_WAIT  A3W   C2W OPENED FINISHED */
    [RPCH_CLIENT_EV_RESPONSE]  = { A3W,  ERR,  ERR,  ERR, DROP },
    [RPCH_CLIENT_EV_CONN_A3]   = { ERR,  C2W,  ERR,  ERR, DROP },
    [RPCH_CLIENT_EV_CONN_C2]   = { ERR,  ERR, OPEN,  ERR, DROP },
    [RPCH_CLIENT_EV_IN_A4]     = { ERR,  ERR,  ERR,  ERR, DROP },
    [RPCH_CLIENT_EV_OUT_A2]    = { ERR,  ERR,  ERR,  ERR, DROP },
    [RPCH_CLIENT_EV_OUT_A6]    = { ERR,  ERR,  ERR,  ERR, DROP },
    [RPCH_CLIENT_EV_OUT_A10]   = { ERR,  ERR,  ERR,  ERR, DROP },
    [RPCH_CLIENT_EV_PING]      = { ERR,  ERR,  ERR, STAY, DROP },
    [RPCH_CLIENT_EV_ACK]       = { ERR,  ERR,  ERR, STAY, DROP },
    [RPCH_CLIENT_EV_OTHER]     = { ERR,  ERR,  ERR,  ERR, DROP },
    [RPCH_CLIENT_EV_RPC]       = { ERR,  ERR,  ERR, STAY, DROP },
    [RPCH_CLIENT_EV_IN_CLOSE]  = { FIN,  FIN,  FIN,  FIN, DROP },
    [RPCH_CLIENT_EV_OUT_CLOSE] = { FIN,  FIN,  FIN,  FIN, DROP },
    [RPCH_CLIENT_EV_TIMEOUT]   = { FIN,  FIN,  FIN, DROP, DROP },
    [RPCH_CLIENT_EV_PING_DUE]  = {DROP, DROP, DROP, STAY, DROP },
    [RPCH_CLIENT_EV_FAIL]      = { FIN,  FIN,  FIN,  FIN, DROP },
};

static const char *const state_name[RPCH_CLIENT_STATE_MAX] = {
    "OUT_WAIT", "A3W", "C2W", "OPENED", "FINISHED"
};

/* Names of the events, and what is wrong with one whose cell is ERR. */
static const struct {
    const char *name;
    const char *wrong;
} event[RPCH_CLIENT_EV_MAX] = {
    [RPCH_CLIENT_EV_RESPONSE] = { "response 200",
        "a second response on the OUT channel" },
    [RPCH_CLIENT_EV_CONN_A3] = { "CONN/A3",
        "CONN/A3 that is not the first PDU of C-OUT" },
    [RPCH_CLIENT_EV_CONN_C2] = { "CONN/C2",
        "CONN/C2 that is not the second PDU of C-OUT" },
    [RPCH_CLIENT_EV_IN_A4] = { "IN_R1/A4=IN_R2/A4",
        "recycling is not accepted: IN_R1/A4=IN_R2/A4" },
    [RPCH_CLIENT_EV_OUT_A2] = { "OUT_R1/A2=OUT_R2/A2",
        "recycling is not accepted: OUT_R1/A2=OUT_R2/A2" },
    [RPCH_CLIENT_EV_OUT_A6] = { "OUT_R1/A6=OUT_R2/A6",
        "recycling is not accepted: OUT_R1/A6=OUT_R2/A6" },
    [RPCH_CLIENT_EV_OUT_A10] = { "OUT_R1/A10=OUT_R2/B3",
        "recycling is not accepted: OUT_R1/A10=OUT_R2/B3" },
    [RPCH_CLIENT_EV_PING] = { "Ping", "Ping before CONN/C2" },
    [RPCH_CLIENT_EV_ACK] = { "FlowControlAckWithDestination",
        "FlowControlAckWithDestination before CONN/C2" },
    [RPCH_CLIENT_EV_OTHER] = { "other RTS PDU on C-OUT",
        "RTS PDU that does not belong on C-OUT" },
    [RPCH_CLIENT_EV_RPC] = { "RPC PDU on C-OUT", "RPC PDU before CONN/C2" },
    [RPCH_CLIENT_EV_IN_CLOSE] = { "end of C-IN", NULL },
    [RPCH_CLIENT_EV_OUT_CLOSE] = { "end of C-OUT", NULL },
    [RPCH_CLIENT_EV_TIMEOUT] = { "open timer", NULL },
    [RPCH_CLIENT_EV_PING_DUE] = { "Ping due", NULL },
    [RPCH_CLIENT_EV_FAIL] = { "failure", NULL },
};

const char *rpch_client_state_name(rpch_client_state s)
{
    return (unsigned)s < RPCH_CLIENT_STATE_MAX ? state_name[s] : "?";
}

const char *rpch_client_event_name(rpch_client_event e)
{
    return (unsigned)e < RPCH_CLIENT_EV_MAX ? event[e].name : "?";
}

/* Looks the event up and moves; the only writer of the state. status and
 * reason are for the events that finish the machine. True when the caller is
 * to carry out the event. */
static bool transit(rpch_client *m, rpch_client_event e, int status,
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
    m->core.state = cell > 0 ? cell - 1 : RPCH_CLIENT_FINISHED;
    if (m->core.state == RPCH_CLIENT_FINISHED)
        rpch_core_end(&m->core, status, reason);
    rpch_core_log_move(&m->core, state_name[from], event[e].name,
                       state_name[m->core.state]);
    return cell > 0;
}

static int fail(rpch_client *m, int status, const char *reason)
{
    transit(m, RPCH_CLIENT_EV_FAIL, status, reason);
    return m->core.status;
}

/* Queues a PDU for C-IN. The request body has a declared length, and there
 * is no successor channel. */
static void make_in(rpch_client *m, rpch_pdu_id id, const rpch_rts_values *v)
{
    size_t waiting;
    int rv;

    rpch_lane_buf(&m->to_in, &waiting);
    if (m->in_used + waiting + rpch_rts_row_of(id)->size
        > m->core.limits.channel_lifetime) {
        fail(m, RPCH_E_LIFETIME, "the IN channel's lifetime is used up");
        return;
    }
    rv = rpch_core_make(&m->core, &m->to_in, id, v, "queued for C-IN");
    if (rv != RPCH_OK)
        fail(m, rv, "the in-proxy takes no RTS PDUs");
}

void rpch_client_init(rpch_client *m, const rpch_limits *limits,
                      const rpch_client_cookies *cookies, unsigned flags,
                      rpch_log_fn *log, void *baton, rpch_msec now)
{
    rpch_rts_values v;

    memset(m, 0, sizeof(*m));
    rpch_core_init(&m->core, limits, flags, log, baton);
    m->core.deadline = rpch_after(now, limits->open_timeout);
    m->cookies = *cookies;
    m->last_sent = now;
    rpch_cutter_init(&m->out, false);
    rpch_lane_init(&m->to_in);
    rpch_lane_init(&m->out_body);
    rpch_rx_init(&m->rx, limits->receive_window);
    m->rx.off = (flags & RPCH_QUIET) != 0;

    memset(&v, 0, sizeof(v));
    v.version = RPCH_VERSION;
    v.cookie[0] = cookies->vc;
    v.cookie[1] = cookies->out;
    v.window = limits->receive_window;
    rpch_core_make(&m->core, &m->out_body, RPCH_CONN_A1, &v,
                   "queued for the OUT request");
    v.cookie[1] = cookies->in;
    v.group = cookies->group;
    v.lifetime = limits->channel_lifetime;
    v.keepalive = RPCH_KEEPALIVE_DEFAULT;
    make_in(m, RPCH_CONN_B1, &v);
}

int rpch_client_response(rpch_client *m, int http_status, rpch_msec now)
{
    if (http_status != 200)
        return fail(m, RPCH_E_POLICY, "the OUT request was refused");
    transit(m, RPCH_CLIENT_EV_RESPONSE, RPCH_OK, NULL);
    return m->core.status;
}

/* Which event an RTS PDU on C-OUT is. */
static rpch_client_event out_event(const rpch_rts *rts)
{
    static const struct {
        rpch_pdu_id id;
        rpch_client_event is;
    } known[] = {
        { RPCH_CONN_A3, RPCH_CLIENT_EV_CONN_A3 },
        { RPCH_CONN_C2, RPCH_CLIENT_EV_CONN_C2 },
        { RPCH_PING, RPCH_CLIENT_EV_PING },
        { RPCH_IN_R1_A4, RPCH_CLIENT_EV_IN_A4 },
        { RPCH_IN_R2_A4, RPCH_CLIENT_EV_IN_A4 },
        { RPCH_OUT_R1_A2, RPCH_CLIENT_EV_OUT_A2 },
        { RPCH_OUT_R1_A6, RPCH_CLIENT_EV_OUT_A6 },
        { RPCH_OUT_R2_A6, RPCH_CLIENT_EV_OUT_A6 },
        { RPCH_OUT_R1_A10, RPCH_CLIENT_EV_OUT_A10 },
        { RPCH_OUT_R2_B3, RPCH_CLIENT_EV_OUT_A10 },
        { RPCH_FLOW_CONTROL_ACK_DEST, RPCH_CLIENT_EV_ACK }
    };
    rpch_dest dest;
    size_t i;

    if (rpch_rts_destination(rts, &dest) && dest != RPCH_DEST_CLIENT)
        return RPCH_CLIENT_EV_OTHER;
    for (i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (rpch_rts_is(rts, known[i].id))
            return known[i].is;
    return RPCH_CLIENT_EV_OTHER;
}

static bool timeout_is_legal(uint32_t ms)
{
    return ms >= RPCH_TIMEOUT_MIN && ms <= RPCH_TIMEOUT_MAX;
}

static int take_conn_a3(rpch_client *m, const rpch_rts *rts)
{
    rpch_rts_values v;

    if (!transit(m, RPCH_CLIENT_EV_CONN_A3, RPCH_OK, NULL))
        return m->core.status;
    rpch_core_read(RPCH_CONN_A3, rts, &v);
    if (!timeout_is_legal(v.timeout))
        return fail(m, RPCH_E_SYNTAX,
                    "CONN/A3: ConnectionTimeout out of range");
    m->timeout = v.timeout;
    return RPCH_OK;
}

static int take_conn_c2(rpch_client *m, const rpch_rts *rts, rpch_msec now)
{
    rpch_rts_values v;

    if (!transit(m, RPCH_CLIENT_EV_CONN_C2, RPCH_OK, NULL))
        return m->core.status;
    rpch_core_read(RPCH_CONN_C2, rts, &v);
    if (!timeout_is_legal(v.timeout))
        return fail(m, RPCH_E_SYNTAX,
                    "CONN/C2: ConnectionTimeout out of range");
    if (v.window < RPCH_WINDOW_MIN || v.window > RPCH_WINDOW_MAX)
        return fail(m, RPCH_E_SYNTAX,
                    "CONN/C2: ReceiveWindowSize out of range");
    m->timeout = v.timeout;
    m->core.deadline = RPCH_NEVER;
    m->last_sent = now; /* the Ping timer starts with its interval */
    rpch_tx_init(&m->tx, v.window);
    m->tx.off = (m->core.flags & RPCH_QUIET) != 0; /* no ack will come */
    return RPCH_OK;
}

static int take_ack(rpch_client *m, const rpch_rts *rts)
{
    const rpch_ack *ack;
    int rv;

    if (!transit(m, RPCH_CLIENT_EV_ACK, RPCH_OK, NULL))
        return m->core.status;
    ack = &rpch_rts_find(rts, RPCH_CMD_FLOW_CONTROL_ACK, 0)->u.ack;
    if (!rpch_cookie_equal(&ack->cookie, &m->cookies.in))
        return RPCH_OK; /* 3.2.1.5.1.2: of no channel of ours, discard */
    rv = rpch_tx_ack(&m->tx, ack->bytes_received, ack->available_window);
    if (rv != RPCH_OK)
        return fail(m, rv, "FlowControlAck for C-IN acknowledges bytes that "
                    "were never sent");
    return RPCH_OK;
}

static int take_rts(rpch_client *m, const uint8_t *pdu, size_t len,
                    rpch_msec now)
{
    const char *reason = NULL;
    rpch_client_event e;
    rpch_rts rts;
    int rv = rpch_rts_decode(pdu, len, &rts, &reason);

    if (rv != RPCH_OK)
        return fail(m, rv, reason);
    rpch_core_log_rts(&m->core, "received on C-OUT", &rts);
    if (m->core.state == RPCH_CLIENT_OPENED
        && (m->core.flags & RPCH_QUIET))
        return fail(m, RPCH_E_UNEXPECTED,
                    "RTS PDU after CONN/C2 for a client that takes none");
    e = out_event(&rts);
    switch (e) {
    case RPCH_CLIENT_EV_CONN_A3:
        return take_conn_a3(m, &rts);
    case RPCH_CLIENT_EV_CONN_C2:
        return take_conn_c2(m, &rts, now);
    case RPCH_CLIENT_EV_ACK:
        return take_ack(m, &rts);
    default:
        transit(m, e, RPCH_OK, NULL);
        return m->core.status;
    }
}

int rpch_client_out_recv(rpch_client *m, const uint8_t *in, size_t len,
                         rpch_step *step, rpch_msec now)
{
    rpch_cut cut;
    int rv;

    memset(step, 0, sizeof(*step));
    if (m->core.state == RPCH_CLIENT_FINISHED
        || !rpch_lane_has_room(&m->to_in))
        return m->core.status;
    rv = rpch_cutter_next(&m->out, in, len, &cut);
    step->used = cut.used;
    if (rv != RPCH_OK)
        return fail(m, rv, m->out.reason);
    if (cut.kind == RPCH_CUT_RTS)
        return take_rts(m, cut.data, cut.len, now);
    if (cut.kind != RPCH_CUT_RPC)
        return RPCH_OK;
    if (cut.first && !transit(m, RPCH_CLIENT_EV_RPC, RPCH_OK, NULL))
        return m->core.status;
    rpch_step_pass(step, &cut);
    m->queued += cut.len;
    if (cut.last) /* a part of a PDU is nothing to acknowledge */
        rpch_rx_received(&m->rx, cut.pdu.frag_len);
    return RPCH_OK;
}

void rpch_client_consumed(rpch_client *m, uint32_t pdu_len)
{
    rpch_rts_values v;
    uint32_t available;

    m->queued -= pdu_len < m->queued ? pdu_len : m->queued;
    if (!rpch_rx_consumed(&m->rx, pdu_len, &available)
        || m->core.state != RPCH_CLIENT_OPENED)
        return;
    memset(&v, 0, sizeof(v));
    v.dest = RPCH_DEST_OUT_PROXY;
    v.ack.bytes_received = m->rx.received;
    v.ack.available_window = available;
    v.ack.cookie = m->cookies.out;
    make_in(m, RPCH_FLOW_CONTROL_ACK_DEST, &v);
}

bool rpch_client_may_send(const rpch_client *m, uint32_t pdu_len)
{
    size_t waiting;

    rpch_lane_buf(&m->to_in, &waiting);
    return m->core.state == RPCH_CLIENT_OPENED
        && rpch_tx_may_send(&m->tx, pdu_len)
        && m->in_used + waiting + pdu_len <= m->core.limits.channel_lifetime;
}

void rpch_client_sent(rpch_client *m, uint32_t pdu_len, rpch_msec now)
{
    rpch_tx_sent(&m->tx, pdu_len);
    m->in_used += pdu_len;
    m->last_sent = now;
}

void rpch_client_in_ack(rpch_client *m, size_t len, rpch_msec now)
{
    rpch_lane_ack(&m->to_in, len);
    m->in_used += len;
    m->last_sent = now;
}

void rpch_client_in_closed(rpch_client *m)
{
    transit(m, RPCH_CLIENT_EV_IN_CLOSE, RPCH_E_CLOSED, "C-IN was closed");
}

void rpch_client_out_closed(rpch_client *m)
{
    transit(m, RPCH_CLIENT_EV_OUT_CLOSE, RPCH_E_CLOSED, "C-OUT was closed");
}

void rpch_client_fail(rpch_client *m, int status, const char *reason)
{
    fail(m, status, reason);
}

unsigned rpch_client_wants(const rpch_client *m)
{
    uint64_t bound = (uint64_t)m->core.limits.receive_window + RPCH_QUEUE_SLACK;

    if (m->core.state == RPCH_CLIENT_FINISHED)
        return RPCH_WANT_CLOSE;
    if (m->core.state == RPCH_CLIENT_OUT_WAIT || m->queued > bound
        || !rpch_lane_has_room(&m->to_in))
        return 0;
    return RPCH_WANT_SERVER_READ;
}

/* 3.2.2.6.1: half the timeout that the in-proxy told, so that the channel is
 * never idle for the whole of it; a quiet client never pings. */
static rpch_msec ping_at(const rpch_client *m)
{
    rpch_msec interval = m->timeout / 2;

    if (m->core.state != RPCH_CLIENT_OPENED
        || (m->core.flags & RPCH_QUIET))
        return RPCH_NEVER;
    if (m->core.limits.ping_interval < interval)
        interval = m->core.limits.ping_interval;
    return rpch_after(m->last_sent, interval);
}

rpch_msec rpch_client_deadline(const rpch_client *m)
{
    rpch_msec ping = ping_at(m);

    return ping < m->core.deadline ? ping : m->core.deadline;
}

int rpch_client_timeout(rpch_client *m, rpch_msec now)
{
    rpch_rts_values v;
    size_t waiting;

    if (now >= m->core.deadline)
        transit(m, RPCH_CLIENT_EV_TIMEOUT, RPCH_E_TIMEOUT,
                "the connection did not open in time");
    if (now < ping_at(m)
        || !transit(m, RPCH_CLIENT_EV_PING_DUE, RPCH_OK, NULL))
        return m->core.status;
    m->last_sent = now;
    rpch_lane_buf(&m->to_in, &waiting);
    if (waiting > 0)
        return RPCH_OK; /* C-IN is stuck, not idle */
    memset(&v, 0, sizeof(v));
    make_in(m, RPCH_PING, &v);
    return m->core.status;
}
