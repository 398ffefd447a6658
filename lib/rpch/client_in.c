/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client_in.c - the virtual IN channel of the client role: its lifetime, and
 * its successors, 3.2.2.1.3, 3.2.2.4.2, 3.2.2.5.5.
 *
 * States, and what holds in each:
 *
 *   OPENED   one channel; its lifetime has more than the reserve left, or the
 *            client does not recycle
 *   REQUEST  the reserve is reached: the caller is asked for a request
 *   A4W      IN_Rx/A1 is queued on the successor; nothing else goes there
 *
 * A PDU that the old channel has no room for any more is no error, as 3.2.2.4.2
 * would have it: RPC PDUs wait (rpch_client_may_send), RTS PDUs are held, and
 * go first on the successor.
 */
#include "rpch/client_private.h"

#include <string.h>

/* RPC PDUs leave this much of the reserve to RTS PDUs: the acks that empty a
 * predecessor C-OUT must not have to wait for the successor C-IN, whose A4
 * may come behind that C-OUT. */
#define RTS_ROOM_MAX 1024u

/* next state + 1 */
#define OPEN (RPCH_CLIENT_IN_OPENED + 1)
#define REQ (RPCH_CLIENT_IN_REQUEST + 1)
#define A4W (RPCH_CLIENT_IN_A4W + 1)
#define STAY RPCH_CELL_STAY
#define ERR RPCH_CELL_ERR
#define DROP RPCH_CELL_DROP

static const signed char
next[RPCH_CLIENT_IN_EV_MAX][RPCH_CLIENT_IN_STATE_MAX] = {
    /*                               OPENED REQUEST  A4W */
    [RPCH_CLIENT_IN_EV_SPENT]     = {   REQ,   DROP, DROP },
    [RPCH_CLIENT_IN_EV_REQUESTED] = {  DROP,    A4W, DROP },
    [RPCH_CLIENT_IN_EV_R1_A4]     = {   ERR,    ERR, OPEN },
    [RPCH_CLIENT_IN_EV_R2_A4]     = {   ERR,    ERR, OPEN },
    [RPCH_CLIENT_IN_EV_TIMEOUT]   = {  DROP,   DROP, STAY },
};

static const char *const state_name[RPCH_CLIENT_IN_STATE_MAX] = {
    "IN OPENED", "IN REQUEST", "IN A4W"
};

static const struct {
    const char *name;
    const char *wrong;
} event[RPCH_CLIENT_IN_EV_MAX] = {
    [RPCH_CLIENT_IN_EV_SPENT] = { "lifetime nearly used", NULL },
    [RPCH_CLIENT_IN_EV_REQUESTED] = { "successor IN request", NULL },
    [RPCH_CLIENT_IN_EV_R1_A4] = { "IN_R1/A4", "IN_R1/A4 without IN_R1/A1" },
    [RPCH_CLIENT_IN_EV_R2_A4] = { "IN_R2/A4", "IN_R2/A4 without IN_R2/A1" },
    [RPCH_CLIENT_IN_EV_TIMEOUT] = { "successor IN timer", NULL },
};

static const char *name_of_state(int s)
{
    return s >= 0 && s < RPCH_CLIENT_IN_STATE_MAX ? state_name[s] : "?";
}

static const char *name_of_event(int e)
{
    return e >= 0 && e < RPCH_CLIENT_IN_EV_MAX ? event[e].name : "?";
}

const rpch_machine_table rpch_client_in_table = {
    RPCH_TABLE_CLIENT_IN, "client IN", RPCH_CLIENT_IN_EV_MAX,
    RPCH_CLIENT_IN_STATE_MAX, &next[0][0], name_of_event, name_of_state
};

/* Looks the event up and moves; the only writer of in_state. True when the
 * caller is to carry out the event. */
static bool transit(rpch_client *m, rpch_client_in_event e)
{
    int cell = rpch_core_look_up(&m->core, &rpch_client_in_table, e,
                                 m->in_state);

    if (cell == RPCH_CELL_ERR || cell == RPCH_CELL_BUG)
        rpch_client_end(m, cell == RPCH_CELL_ERR ? RPCH_E_UNEXPECTED
                                                 : RPCH_E_BUG, event[e].wrong);
    if (cell <= 0)
        return cell == RPCH_CELL_STAY;
    m->in_state = rpch_core_next(&m->core, &rpch_client_in_table, e,
                                 m->in_state);
    return true;
}

/* ---- lifetime ------------------------------------------------------------- */

/* True when the client starts a successor of its own accord. */
static bool recycles(const rpch_client *m)
{
    return m->core.limits.recycle_reserve > 0
        && !(m->core.flags & (RPCH_QUIET | RPCH_NO_RECYCLING));
}

/* Bytes of the current channel's lifetime that are used or promised. */
static uint64_t load(const rpch_client *m)
{
    const rpch_client_in *in = &m->in[m->in_slot];
    size_t waiting;

    rpch_lane_buf(&in->lane, &waiting);
    return in->used + waiting;
}

/* The lifetime less what has to be left over for IN_Rx/A5. */
static uint64_t usable(const rpch_client *m)
{
    uint64_t life = m->core.limits.channel_lifetime;
    uint64_t a5 = recycles(m) ? rpch_rts_row_of(RPCH_IN_R1_A5)->size : 0;

    return life > a5 ? life - a5 : 0;
}

/* What RPC PDUs leave to RTS PDUs. */
static uint32_t rts_room(const rpch_client *m)
{
    uint32_t half = m->core.limits.recycle_reserve / 2;

    if (!recycles(m))
        return 0;
    return half < RTS_ROOM_MAX ? half : RTS_ROOM_MAX;
}

/* Starts recycling when that many bytes would reach the reserve. */
static void watch(rpch_client *m, uint64_t bytes)
{
    if (m->core.state == RPCH_CLIENT_OPENED && recycles(m)
        && (bytes > usable(m) || bytes + m->core.limits.recycle_reserve
                                 > m->core.limits.channel_lifetime))
        transit(m, RPCH_CLIENT_IN_EV_SPENT);
}

void rpch_client_in_make(rpch_client *m, rpch_pdu_id id,
                         const rpch_rts_values *v)
{
    uint64_t after = load(m) + rpch_rts_row_of(id)->size;
    rpch_lane *lane = &m->in[m->in_slot].lane;
    size_t waiting;
    int rv;

    watch(m, after);
    rpch_lane_buf(&m->held, &waiting);
    if (after > usable(m) || waiting > 0) {
        if (m->in_state == RPCH_CLIENT_IN_OPENED) {
            rpch_client_end(m, RPCH_E_LIFETIME,
                            "the IN channel's lifetime is used up");
            return;
        }
        lane = &m->held;
    }
    rv = rpch_core_make(&m->core, lane, id, v, "queued for C-IN");
    if (rv != RPCH_OK)
        rpch_client_end(m, rv, "the in-proxy takes no RTS PDUs");
}

/* Ends the machine when a PDU of that size can never be sent. */
static bool can_ever_send(rpch_client *m, uint32_t pdu_len)
{
    if (!recycles(m)) {
        if (load(m) + pdu_len <= usable(m))
            return true;
        rpch_client_end(m, RPCH_E_LIFETIME,
                        "the IN channel's lifetime is used up");
        return false;
    }
    if ((uint64_t)rpch_rts_row_of(RPCH_IN_R1_A1)->size + pdu_len
        + rts_room(m) <= usable(m))
        return true;
    rpch_client_end(m, RPCH_E_LIFETIME,
                    "an RPC PDU is larger than an IN channel's lifetime");
    return false;
}

bool rpch_client_may_send(rpch_client *m, uint32_t pdu_len)
{
    uint64_t after = load(m) + pdu_len;

    if (m->core.state != RPCH_CLIENT_OPENED || !can_ever_send(m, pdu_len))
        return false;
    watch(m, after);
    return after + rts_room(m) <= usable(m)
        && rpch_tx_may_send(&m->tx, pdu_len);
}

void rpch_client_sent(rpch_client *m, uint32_t pdu_len, rpch_msec now)
{
    rpch_client_in *in = &m->in[m->in_slot];

    rpch_tx_sent(&m->tx, pdu_len);
    in->used += pdu_len;
    in->last_sent = now;
    watch(m, load(m));
}

unsigned rpch_client_in_slot(const rpch_client *m)
{
    return m->in_slot;
}

const uint8_t *rpch_client_in_buf(const rpch_client *m, unsigned slot,
                                  size_t *len)
{
    return rpch_lane_buf(&m->in[slot].lane, len);
}

void rpch_client_in_ack(rpch_client *m, unsigned slot, size_t len,
                        rpch_msec now)
{
    rpch_client_in *in = &m->in[slot];

    rpch_lane_ack(&in->lane, len);
    in->used += len;
    in->last_sent = now;
}

/* ---- recycling ------------------------------------------------------------ */

bool rpch_client_in_request(rpch_client *m, const rpch_cookie *cookie,
                            rpch_msec now)
{
    rpch_client_in *in = &m->in[1 - m->in_slot];
    rpch_rts_values v;

    if (in->use == RPCH_CLIENT_OVER
        || !transit(m, RPCH_CLIENT_IN_EV_REQUESTED))
        return false;
    memset(in, 0, sizeof(*in));
    in->use = RPCH_CLIENT_NEXT;
    in->cookie = *cookie;
    in->last_sent = now;
    m->in_deadline = rpch_after(now, m->core.limits.open_timeout);

    memset(&v, 0, sizeof(v));
    v.version = RPCH_CLIENT_VERSION;
    v.cookie[0] = m->cookies.vc;
    v.cookie[1] = m->in[m->in_slot].cookie;
    v.cookie[2] = *cookie;
    (void)rpch_core_make(&m->core, &in->lane, RPCH_IN_R1_A1, &v,
                         "queued for the successor C-IN");
    return true;
}

/* A5 is the last PDU of the old channel; what was held goes on the new one. */
static int switch_over(rpch_client *m)
{
    rpch_client_in *old = &m->in[m->in_slot];
    rpch_client_in *in = &m->in[1 - m->in_slot];
    rpch_rts_values v;
    const uint8_t *held;
    size_t len;
    int rv;

    memset(&v, 0, sizeof(v));
    v.cookie[0] = in->cookie;
    rv = rpch_core_make(&m->core, &old->lane, RPCH_IN_R1_A5, &v,
                        "queued for the old C-IN");
    held = rpch_lane_buf(&m->held, &len);
    if (rv == RPCH_OK)
        rv = rpch_lane_put(&in->lane, held, len);
    if (rv != RPCH_OK)
        return rpch_client_end(m, rv, "the in-proxies take no RTS PDUs");
    rpch_lane_init(&m->held);
    old->use = RPCH_CLIENT_OVER;
    in->use = RPCH_CLIENT_CURRENT;
    m->in_slot = 1 - m->in_slot;
    m->in_deadline = RPCH_NEVER;
    return RPCH_OK;
}

int rpch_client_in_take(rpch_client *m, rpch_client_in_event ev,
                        const rpch_rts *rts)
{
    rpch_rts_values v;

    if (!transit(m, ev))
        return m->core.status;
    if (ev == RPCH_CLIENT_IN_EV_R1_A4) {
        rpch_core_read(RPCH_IN_R1_A4, rts, &v);
        if (!rpch_client_in_terms(m, &v))
            return rpch_client_end(m, RPCH_E_SYNTAX, "IN_R1/A4: "
                                   "ReceiveWindowSize or ConnectionTimeout "
                                   "out of range");
        m->counts.in_r1++;
    } else {
        /* IN_R2/A4 tells no window: it is the same in-proxy's. */
        rpch_tx_init(&m->tx, m->tx.window);
        m->counts.in_r2++;
    }
    return switch_over(m);
}

void rpch_client_in_expired(rpch_client *m)
{
    if (transit(m, RPCH_CLIENT_IN_EV_TIMEOUT))
        rpch_client_end(m, RPCH_E_TIMEOUT, "the successor IN channel was not "
                        "accepted in time");
}
