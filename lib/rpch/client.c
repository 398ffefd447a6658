/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client.c - the client role machine, 3.2.2: opening, the stream of C-OUT,
 * acks and Pings. client_in.c and client_out.c have the virtual channels and
 * their recycling.
 *
 * States, and what holds in each:
 *
 *   OUT_WAIT  CONN/A1 and CONN/B1 are queued; no response head yet
 *   A3W       the OUT response is 200; its body has brought nothing yet
 *   C2W       CONN/A3 arrived, timeout is the out-proxy's
 *   OPENED    CONN/C2 arrived: timeout and tx are the in-proxy's; C-IN is
 *             kept from being idle by Pings; both channels may be replaced
 *   FINISHED  status and reason are set; the lanes are still to be sent
 *
 * The machine is as strict as the strictest client known: before CONN/C2 it
 * takes CONN/A3 and nothing else, it checks the ranges of 2.2.3.5, and when
 * quiet it takes no RTS PDU after CONN/C2 at all.
 */
#include "rpch/client_private.h"

#include <string.h>

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
    [RPCH_CLIENT_EV_RESPONSE]  = { A3W,  ERR,  ERR, STAY, DROP },
    [RPCH_CLIENT_EV_CONN_A3]   = { ERR,  C2W,  ERR,  ERR, DROP },
    [RPCH_CLIENT_EV_CONN_C2]   = { ERR,  ERR, OPEN,  ERR, DROP },
    [RPCH_CLIENT_EV_IN_PDU]    = { ERR,  ERR,  ERR, STAY, DROP },
    [RPCH_CLIENT_EV_OUT_PDU]   = { ERR,  ERR,  ERR, STAY, DROP },
    [RPCH_CLIENT_EV_PING]      = { ERR,  ERR,  ERR, STAY, DROP },
    [RPCH_CLIENT_EV_ACK]       = { ERR,  ERR,  ERR, STAY, DROP },
    [RPCH_CLIENT_EV_OTHER]     = { ERR,  ERR,  ERR,  ERR, DROP },
    [RPCH_CLIENT_EV_RPC]       = { ERR,  ERR,  ERR, STAY, DROP },
    [RPCH_CLIENT_EV_IN_CLOSE]  = { FIN,  FIN,  FIN,  FIN, DROP },
    [RPCH_CLIENT_EV_OUT_CLOSE] = { FIN,  FIN,  FIN,  FIN, DROP },
    [RPCH_CLIENT_EV_PRED_CLOSE] = {DROP, DROP, DROP, STAY, DROP },
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
    [RPCH_CLIENT_EV_IN_PDU] = { "IN_R1/A4=IN_R2/A4",
        "IN_R1/A4=IN_R2/A4 before CONN/C2" },
    [RPCH_CLIENT_EV_OUT_PDU] = { "OUT_Rx/A2, A6, A10 or B3",
        "a PDU of OUT recycling before CONN/C2" },
    [RPCH_CLIENT_EV_PING] = { "Ping", "Ping before CONN/C2" },
    [RPCH_CLIENT_EV_ACK] = { "FlowControlAckWithDestination",
        "FlowControlAckWithDestination before CONN/C2" },
    [RPCH_CLIENT_EV_OTHER] = { "other RTS PDU on C-OUT",
        "RTS PDU that does not belong on C-OUT" },
    [RPCH_CLIENT_EV_RPC] = { "RPC PDU on C-OUT", "RPC PDU before CONN/C2" },
    [RPCH_CLIENT_EV_IN_CLOSE] = { "end of C-IN", NULL },
    [RPCH_CLIENT_EV_OUT_CLOSE] = { "end of C-OUT", NULL },
    [RPCH_CLIENT_EV_PRED_CLOSE] = { "end of a predecessor", NULL },
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

static const char *name_of_state(int s)
{
    return rpch_client_state_name((rpch_client_state)s);
}

static const char *name_of_event(int e)
{
    return rpch_client_event_name((rpch_client_event)e);
}

const rpch_machine_table rpch_client_table = {
    RPCH_TABLE_CLIENT, "client", RPCH_CLIENT_EV_MAX, RPCH_CLIENT_STATE_MAX,
    &next[0][0], name_of_event, name_of_state
};

/* Looks the event up and moves. status and reason are for the events that
 * finish the machine. True when the caller is to carry out the event. */
static bool transit(rpch_client *m, rpch_client_event e, int status,
                    const char *reason)
{
    bool goes = rpch_core_step(&m->core, &rpch_client_table, e, status, reason,
                               event[e].wrong);

    if (m->core.state == RPCH_CLIENT_FINISHED)
        m->in_deadline = m->out_deadline = RPCH_NEVER;
    return goes;
}

int rpch_client_end(rpch_client *m, int status, const char *reason)
{
    transit(m, RPCH_CLIENT_EV_FAIL, status, reason);
    return m->core.status;
}

static void init_slots(rpch_client *m, const rpch_client_cookies *cookies,
                       rpch_msec now)
{
    m->in[0].use = RPCH_CLIENT_CURRENT;
    m->in[0].cookie = cookies->in;
    m->in[0].last_sent = now;
    m->out[0].use = RPCH_CLIENT_CURRENT;
    m->out[0].cookie = cookies->out;
    rpch_cutter_init(&m->out[0].cutter, false);
    m->in_deadline = m->out_deadline = RPCH_NEVER;
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
    init_slots(m, cookies, now);
    rpch_rx_init(&m->rx, limits->receive_window);
    m->rx.off = (flags & RPCH_QUIET) != 0;

    memset(&v, 0, sizeof(v));
    v.version = RPCH_CLIENT_VERSION;
    v.cookie[0] = cookies->vc;
    v.cookie[1] = cookies->out;
    v.window = limits->receive_window;
    rpch_core_make(&m->core, &m->out[0].body, RPCH_CONN_A1, &v,
                   "queued for the OUT request");
    v.cookie[1] = cookies->in;
    v.group = cookies->group;
    v.lifetime = limits->channel_lifetime;
    v.keepalive = RPCH_KEEPALIVE_DEFAULT;
    rpch_client_in_make(m, RPCH_CONN_B1, &v);
}

unsigned rpch_client_next(const rpch_client *m, bool is_in)
{
    return 1 - (is_in ? m->in_slot : m->out_slot);
}

int rpch_client_requested(rpch_client *m, bool is_in,
                          const rpch_cookie *cookie, rpch_msec now)
{
    bool done;

    if (m->core.state != RPCH_CLIENT_OPENED)
        return -1;
    done = is_in ? rpch_client_in_request(m, cookie, now)
                 : rpch_client_out_request(m, cookie, now);
    return done ? (int)rpch_client_next(m, is_in) : -1;
}

int rpch_client_response(rpch_client *m, unsigned slot, int http_status,
                         rpch_msec now)
{
    rpch_client_out *out = &m->out[slot];

    if (out->use == RPCH_CLIENT_OVER || out->use == RPCH_CLIENT_FREE)
        return m->core.status;
    if (http_status != 200)
        return rpch_client_end(m, RPCH_E_POLICY,
                               "the OUT request was refused");
    if (!transit(m, RPCH_CLIENT_EV_RESPONSE, RPCH_OK, NULL))
        return m->core.status;
    if (m->core.state == RPCH_CLIENT_OPENED)
        return rpch_client_out_answered(m, slot);
    out->responded = true;
    return RPCH_OK;
}

/* ---- C-OUT ---------------------------------------------------------------- */

/* What an RTS PDU on C-OUT is: for the connection, and, if the event is
 * IN_PDU or OUT_PDU, for that channel. */
typedef struct pdu_event {
    rpch_pdu_id id;
    rpch_client_event is;
    int channel;
    bool first_form; /* of recycling */
} pdu_event;

static const pdu_event *event_of(const rpch_rts *rts)
{
    static const pdu_event known[] = {
        { RPCH_CONN_A3, RPCH_CLIENT_EV_CONN_A3, 0, false },
        { RPCH_CONN_C2, RPCH_CLIENT_EV_CONN_C2, 0, false },
        { RPCH_PING, RPCH_CLIENT_EV_PING, 0, false },
        { RPCH_IN_R1_A4, RPCH_CLIENT_EV_IN_PDU,
          RPCH_CLIENT_IN_EV_R1_A4, true },
        { RPCH_IN_R2_A4, RPCH_CLIENT_EV_IN_PDU,
          RPCH_CLIENT_IN_EV_R2_A4, false },
        { RPCH_OUT_R1_A2, RPCH_CLIENT_EV_OUT_PDU,
          RPCH_CLIENT_OUT_EV_A2, false },
        { RPCH_OUT_R1_A6, RPCH_CLIENT_EV_OUT_PDU,
          RPCH_CLIENT_OUT_EV_R1_A6, true },
        { RPCH_OUT_R2_A6, RPCH_CLIENT_EV_OUT_PDU,
          RPCH_CLIENT_OUT_EV_R2_A6, false },
        { RPCH_OUT_R1_A10, RPCH_CLIENT_EV_OUT_PDU,
          RPCH_CLIENT_OUT_EV_R1_A10, true },
        { RPCH_OUT_R2_B3, RPCH_CLIENT_EV_OUT_PDU,
          RPCH_CLIENT_OUT_EV_R2_B3, false },
        { RPCH_FLOW_CONTROL_ACK_DEST, RPCH_CLIENT_EV_ACK, 0, false }
    };
    static const pdu_event other = { RPCH_PDU_ID_MAX, RPCH_CLIENT_EV_OTHER, 0,
                                     false };
    rpch_dest dest;
    size_t i;

    if (rpch_rts_destination(rts, &dest) && dest != RPCH_DEST_CLIENT)
        return &other;
    for (i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (rpch_rts_is(rts, known[i].id))
            return &known[i];
    return &other;
}

static bool timeout_is_legal(uint32_t ms)
{
    return ms >= RPCH_TIMEOUT_MIN && ms <= RPCH_TIMEOUT_MAX;
}

bool rpch_client_in_terms(rpch_client *m, const rpch_rts_values *v)
{
    if (v->window < RPCH_WINDOW_MIN || v->window > RPCH_WINDOW_MAX
        || !timeout_is_legal(v->timeout))
        return false;
    m->timeout = v->timeout;
    rpch_tx_init(&m->tx, v->window);
    m->tx.off = (m->core.flags & RPCH_QUIET) != 0; /* no ack will come */
    return true;
}

static int take_conn_a3(rpch_client *m, const rpch_rts *rts)
{
    rpch_rts_values v;

    if (!transit(m, RPCH_CLIENT_EV_CONN_A3, RPCH_OK, NULL))
        return m->core.status;
    rpch_core_read(RPCH_CONN_A3, rts, &v);
    if (!timeout_is_legal(v.timeout))
        return rpch_client_end(m, RPCH_E_SYNTAX,
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
    if (!rpch_client_in_terms(m, &v))
        return rpch_client_end(m, RPCH_E_SYNTAX, "CONN/C2: ReceiveWindowSize "
                               "or ConnectionTimeout out of range");
    m->core.deadline = RPCH_NEVER;
    m->in[0].last_sent = now; /* the Ping timer starts with its interval */
    return RPCH_OK;
}

static int take_ack(rpch_client *m, const rpch_rts *rts)
{
    const rpch_ack *ack;
    int rv;

    if (!transit(m, RPCH_CLIENT_EV_ACK, RPCH_OK, NULL))
        return m->core.status;
    ack = &rpch_rts_find(rts, RPCH_CMD_FLOW_CONTROL_ACK, 0)->u.ack;
    /* 3.2.1.5.1.2: of no channel of ours, or of a predecessor, on which
     * nothing is sent any more: discard */
    if (!rpch_cookie_equal(&ack->cookie, &m->in[m->in_slot].cookie))
        return RPCH_OK;
    rv = rpch_tx_ack(&m->tx, ack->bytes_received, ack->available_window);
    if (rv != RPCH_OK)
        return rpch_client_end(m, rv, "FlowControlAck for C-IN acknowledges bytes that "
                    "were never sent");
    return RPCH_OK;
}

/* A PDU of the recycling of a channel. */
static int take_recycling(rpch_client *m, const pdu_event *e,
                          const rpch_rts *rts)
{
    if (!transit(m, e->is, RPCH_OK, NULL))
        return m->core.status;
    if (m->core.flags & RPCH_NO_RECYCLING)
        return rpch_client_end(m, RPCH_E_UNEXPECTED, "a PDU of channel "
                               "recycling for a client that cannot do it");
    if (e->first_form && (m->core.flags & RPCH_R2_ONLY))
        return rpch_client_end(m, RPCH_E_UNEXPECTED, "a PDU of IN_R1 or "
                               "OUT_R1 for a client that knows IN_R2 and "
                               "OUT_R2 only");
    if (e->is == RPCH_CLIENT_EV_IN_PDU)
        return rpch_client_in_take(m, (rpch_client_in_event)e->channel, rts);
    return rpch_client_out_take(m, (rpch_client_out_event)e->channel);
}

static int take_rts(rpch_client *m, const uint8_t *pdu, size_t len,
                    rpch_msec now)
{
    const char *reason = NULL;
    const pdu_event *e;
    rpch_rts rts;
    int rv = rpch_rts_decode(pdu, len, &rts, &reason);

    if (rv != RPCH_OK)
        return rpch_client_end(m, rv, reason);
    rpch_core_log_rts(&m->core, "received on C-OUT", &rts);
    if (m->core.state == RPCH_CLIENT_OPENED
        && (m->core.flags & RPCH_QUIET))
        return rpch_client_end(m, RPCH_E_UNEXPECTED, "RTS PDU after CONN/C2 "
                               "for a client that takes none");
    e = event_of(&rts);
    switch (e->is) {
    case RPCH_CLIENT_EV_CONN_A3:
        return take_conn_a3(m, &rts);
    case RPCH_CLIENT_EV_CONN_C2:
        return take_conn_c2(m, &rts, now);
    case RPCH_CLIENT_EV_ACK:
        return take_ack(m, &rts);
    case RPCH_CLIENT_EV_IN_PDU:
    case RPCH_CLIENT_EV_OUT_PDU:
        return take_recycling(m, e, &rts);
    default:
        m->counts.pings_received += e->is == RPCH_CLIENT_EV_PING;
        transit(m, e->is, RPCH_OK, NULL);
        return m->core.status;
    }
}

/* True when the PDUs that an RTS PDU may cause can be queued. */
static bool lanes_have_room(const rpch_client *m)
{
    return rpch_lane_has_room(&m->in[m->in_slot].lane)
        && rpch_lane_has_room(&m->held);
}

int rpch_client_out_recv(rpch_client *m, unsigned slot, const uint8_t *in,
                         size_t len, rpch_step *step, rpch_msec now)
{
    rpch_client_out *out = &m->out[slot];
    rpch_cut cut;
    int rv;

    memset(step, 0, sizeof(*step));
    if (m->core.state == RPCH_CLIENT_FINISHED)
        return m->core.status;
    if (out->use == RPCH_CLIENT_OVER || out->use == RPCH_CLIENT_FREE) {
        step->used = len;
        return RPCH_OK;
    }
    if (slot != m->out_slot || !lanes_have_room(m))
        return RPCH_OK;
    rv = rpch_cutter_next(&out->cutter, in, len, &cut);
    step->used = cut.used;
    if (rv != RPCH_OK)
        return rpch_client_end(m, rv, out->cutter.reason);
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
    if (m->stale > 0) {
        m->stale -= pdu_len < m->stale ? pdu_len : m->stale;
        return;
    }
    if (!rpch_rx_consumed(&m->rx, pdu_len, &available)
        || m->core.state != RPCH_CLIENT_OPENED)
        return;
    memset(&v, 0, sizeof(v));
    v.dest = RPCH_DEST_OUT_PROXY;
    v.ack.bytes_received = m->rx.received;
    v.ack.available_window = available;
    v.ack.cookie = m->out[m->out_slot].cookie;
    rpch_client_in_make(m, RPCH_FLOW_CONTROL_ACK_DEST, &v);
}

/* ---- ends ----------------------------------------------------------------- */

bool rpch_client_over(const rpch_client *m, bool is_in, unsigned slot)
{
    return (is_in ? m->in[slot].use : m->out[slot].use) == RPCH_CLIENT_OVER;
}

/* True for the end of a channel that the connection does not need. */
static bool is_past(rpch_client *m, rpch_client_use *use)
{
    if (*use != RPCH_CLIENT_OVER && *use != RPCH_CLIENT_FREE)
        return false;
    (void)transit(m, RPCH_CLIENT_EV_PRED_CLOSE, RPCH_OK, NULL);
    *use = RPCH_CLIENT_FREE; /* after the machine's end, too */
    return true;
}

void rpch_client_in_closed(rpch_client *m, unsigned slot)
{
    if (!is_past(m, &m->in[slot].use))
        transit(m, RPCH_CLIENT_EV_IN_CLOSE, RPCH_E_CLOSED,
                slot == m->in_slot ? "C-IN was closed"
                                   : "the successor C-IN was closed");
}

void rpch_client_out_closed(rpch_client *m, unsigned slot)
{
    if (!is_past(m, &m->out[slot].use))
        transit(m, RPCH_CLIENT_EV_OUT_CLOSE, RPCH_E_CLOSED,
                slot == m->out_slot ? "C-OUT was closed"
                                    : "the successor C-OUT was closed");
}

void rpch_client_fail(rpch_client *m, int status, const char *reason)
{
    rpch_client_end(m, status, reason);
}

/* ---- what it wants, and when ---------------------------------------------- */

static unsigned wants_requests(const rpch_client *m)
{
    unsigned wants = 0;

    if (m->in_state == RPCH_CLIENT_IN_REQUEST
        && m->in[1 - m->in_slot].use == RPCH_CLIENT_FREE)
        wants |= RPCH_WANT_IN_REQUEST;
    if (m->out_state == RPCH_CLIENT_OUT_REQUEST
        && m->out[1 - m->out_slot].use == RPCH_CLIENT_FREE)
        wants |= RPCH_WANT_OUT_REQUEST;
    return wants;
}

unsigned rpch_client_wants(const rpch_client *m)
{
    uint64_t bound = (uint64_t)m->core.limits.receive_window + RPCH_QUEUE_SLACK;
    unsigned wants;

    if (m->core.state == RPCH_CLIENT_FINISHED)
        return RPCH_WANT_CLOSE;
    wants = wants_requests(m);
    /* What came on a predecessor is not held against the current channel. */
    if (m->out[m->out_slot].responded && m->queued - m->stale <= bound
        && lanes_have_room(m))
        wants |= RPCH_WANT_SERVER_READ;
    return wants;
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
    return rpch_after(m->in[m->in_slot].last_sent, interval);
}

rpch_msec rpch_client_deadline(const rpch_client *m)
{
    rpch_msec t = ping_at(m);

    if (m->core.deadline < t)
        t = m->core.deadline;
    if (m->in_deadline < t)
        t = m->in_deadline;
    return m->out_deadline < t ? m->out_deadline : t;
}

static void send_ping(rpch_client *m, rpch_msec now)
{
    size_t waiting, held;
    rpch_rts_values v;

    m->in[m->in_slot].last_sent = now;
    rpch_lane_buf(&m->in[m->in_slot].lane, &waiting);
    rpch_lane_buf(&m->held, &held);
    if (waiting > 0 || held > 0)
        return; /* C-IN is stuck, not idle */
    memset(&v, 0, sizeof(v));
    m->counts.pings_sent++;
    rpch_client_in_make(m, RPCH_PING, &v);
}

int rpch_client_timeout(rpch_client *m, rpch_msec now)
{
    if (now >= ping_at(m)
        && transit(m, RPCH_CLIENT_EV_PING_DUE, RPCH_OK, NULL))
        send_ping(m, now);
    if (now >= m->core.deadline)
        transit(m, RPCH_CLIENT_EV_TIMEOUT, RPCH_E_TIMEOUT,
                "the connection did not open in time");
    if (m->core.state == RPCH_CLIENT_OPENED && now >= m->in_deadline)
        rpch_client_in_expired(m);
    if (m->core.state == RPCH_CLIENT_OPENED && now >= m->out_deadline)
        rpch_client_out_expired(m);
    return m->core.status;
}
