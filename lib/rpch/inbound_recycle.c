/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inbound_recycle.c - recycling at the inbound proxy, 3.2.3.5: what passes
 * between a channel and its successor.
 *
 * The server's counters and window go on through IN_R2, for S-IN is not
 * replaced; those of C-IN start afresh with the successor. The specification
 * does not say how long acks may name the channel before: they are taken for
 * as long as its successor lives.
 */
#include "rpch/inbound_private.h"

#include <string.h>

/* True when a cookie is known and is c. */
static bool names(const rpch_cookie *known, const rpch_cookie *c)
{
    return !rpch_cookie_is_zero(known) && rpch_cookie_equal(known, c);
}

/* The only Cookie of an RTS PDU that has one. */
static const rpch_cookie *cookie_of(const rpch_rts *rts)
{
    return &rpch_rts_find(rts, RPCH_CMD_COOKIE, 0)->u.cookie;
}

bool rpch_in_is_ours(const rpch_inbound *m, const rpch_cookie *c)
{
    return rpch_cookie_equal(&m->channel, c)
        || (m->adopted && rpch_cookie_equal(&m->predecessor, c))
        || names(&m->successor, c) || names(&m->gone, c);
}

bool rpch_in_a5_fits(const rpch_inbound *m, const rpch_rts *rts)
{
    const rpch_cookie *c = cookie_of(rts);

    if (m->core.state == RPCH_IN_OPENED_A5W)
        return rpch_cookie_equal(&m->successor, c);
    if (m->core.state != RPCH_IN_OPENED)
        return true;
    /* A joined server cannot have met a successor of another proxy; and one
     * that was attached here and is gone is not there to take the data. */
    return !(m->core.flags & RPCH_JOINED)
        && !rpch_cookie_equal(&m->channel, c) && !names(&m->successor, c);
}

/* ---- the successor ------------------------------------------------------- */

/* IN_R1/A1 = IN_R2/A1, 3.2.3.5.5. */
int rpch_in_take_a1(rpch_inbound *m, const rpch_in_input *in)
{
    rpch_rts_values v;

    rpch_core_read(RPCH_IN_R1_A1, in->rts, &v);
    m->heir = true;
    m->vc = v.cookie[0];
    m->predecessor = v.cookie[1];
    m->channel = v.cookie[2];
    /* Without a ClientKeepalive: the initial value of 3.2.3.3. */
    m->keepalive = m->core.limits.connection_timeout / 2;
    m->core.deadline = rpch_after(in->now, m->core.limits.open_timeout);
    return RPCH_OK;
}

/* IN_R1/A2, 3.2.3.5.5. */
int rpch_in_send_r1_a2(rpch_inbound *m, const rpch_in_input *in)
{
    const rpch_limits *l = &m->core.limits;
    rpch_rts_values v;

    if (m->core.flags & RPCH_JOINED)
        return rpch_in_fail(m, RPCH_E_BUG, "IN_R1 with a joined server");
    memset(&v, 0, sizeof(v));
    v.version = 1;
    v.cookie[0] = m->vc;
    v.cookie[1] = m->predecessor;
    v.cookie[2] = m->channel;
    v.window = l->receive_window;
    v.timeout = l->connection_timeout;
    m->core.deadline = rpch_after(in->now, l->open_timeout);
    if (l->open_timeout > 0 && l->switch_timeout > l->open_timeout)
        m->core.deadline = rpch_after(in->now, l->switch_timeout);
    return rpch_in_make(m, RPCH_IN_R1_A2, &v);
}

int rpch_in_take_attached(rpch_inbound *m, const rpch_in_input *in)
{
    m->core.deadline = rpch_after(in->now, m->core.limits.open_timeout);
    return RPCH_OK;
}

int rpch_inbound_attached(rpch_inbound *m, rpch_msec now)
{
    rpch_in_input in = { .now = now };

    return rpch_in_happen(m, RPCH_IN_EV_ATTACHED, &in);
}

int rpch_in_take_adopt(rpch_inbound *m, const rpch_in_input *in)
{
    m->adopted = true;
    m->core.deadline = RPCH_NEVER;
    return RPCH_OK;
}

/* Takes the bytes of a PDU that the predecessor has read in part; false when
 * they are something else. */
static bool take_tail(rpch_cutter *c, const rpch_in_leg *leg)
{
    rpch_cut cut;

    rpch_cutter_init(c, false);
    return rpch_cutter_next(c, leg->tail, leg->tail_len, &cut) == RPCH_OK
        && cut.kind == RPCH_CUT_NONE && cut.used == leg->tail_len;
}

/* True when leg can be what a machine has released. It may have come through
 * another process. */
static bool leg_is_sound(const rpch_in_leg *leg)
{
    return leg->lane_len <= sizeof(leg->lane)
        && leg->tail_len <= sizeof(leg->tail)
        && leg->tx.window >= RPCH_WINDOW_MIN
        && leg->tx.window <= RPCH_WINDOW_MAX
        && leg->tx.avail <= leg->tx.window
        && (leg->tx.edge <= leg->tx.sent
            || leg->tx.edge - leg->tx.sent <= leg->tx.window)
        && leg->begun <= RPCH_PDU_SIZE_MAX && leg->begun <= leg->queued
        && leg->begun_left <= leg->begun
        && (leg->begun > 0) == (leg->begun_left > 0)
        && leg->window > 0 && leg->keepalive >= RPCH_KEEPALIVE_MIN;
}

/* Takes what leg holds; the machine has ended when it cannot be taken. */
static int take_leg(rpch_inbound *m, const rpch_in_leg *leg)
{
    if (!rpch_cookie_equal(&leg->vc, &m->vc)
        || !rpch_cookie_equal(&leg->predecessor, &m->predecessor)
        || !rpch_cookie_equal(&leg->successor, &m->channel))
        return rpch_in_fail(m, RPCH_E_COOKIE, "S-IN of another channel");
    if (!leg_is_sound(leg) || !take_tail(&m->server, leg)
        || rpch_lane_put(&m->to_server, leg->lane, leg->lane_len) != RPCH_OK)
        return rpch_in_fail(m, RPCH_E_VALUE, "S-IN with impossible values");
    m->group = leg->group;
    m->keepalive = leg->keepalive;
    m->core.limits.receive_window = leg->window;
    rpch_rx_init(&m->rx, leg->window);
    m->queued = m->inherited = leg->queued;
    m->begun = leg->begun;
    m->tx = leg->tx;
    m->tx.off = (m->core.flags & RPCH_JOINED) != 0;
    return RPCH_OK;
}

int rpch_inbound_adopt(rpch_inbound *m, const rpch_in_leg *leg,
                       rpch_msec now)
{
    rpch_in_input in = { .now = now };

    if (m->core.state == RPCH_IN_PLUGGED && take_leg(m, leg) != RPCH_OK)
        return m->core.status;
    return rpch_in_happen(m, RPCH_IN_EV_ADOPT, &in);
}

/* ---- the predecessor ----------------------------------------------------- */

/* Why an opened machine does not take s as its successor. */
static int refusal(const rpch_inbound *m, const rpch_succession *s,
                   const char **reason)
{
    if (m->dismissed) {
        *reason = "the successor before it is still being dismissed";
        return RPCH_E_UNEXPECTED;
    }
    if (!rpch_cookie_equal(&s->vc, &m->vc)) {
        *reason = "the successor is of another virtual connection";
        return RPCH_E_COOKIE;
    }
    if (!rpch_cookie_equal(&s->predecessor, &m->channel)) {
        *reason = "the predecessor is not the IN channel in use";
        return RPCH_E_COOKIE;
    }
    if (rpch_cookie_equal(&s->successor, &m->channel)) {
        *reason = "the successor has the cookie of its predecessor";
        return RPCH_E_COOKIE;
    }
    if (!rpch_lane_has_reserve(&m->to_server)) {
        *reason = "too many RTS PDUs wait for the server";
        return RPCH_E_ROOM;
    }
    if (m->queued > RPCH_IN_MOVED_MAX) {
        *reason = "too many RPC PDUs wait for the server";
        return RPCH_E_ROOM;
    }
    return RPCH_OK;
}

int rpch_inbound_attach(rpch_inbound *m, const rpch_succession *s,
                        const char **reason)
{
    static const rpch_in_input none;
    int rc;

    if (m->core.state != RPCH_IN_OPENED) {
        *reason = m->core.state == RPCH_IN_OPENED_A5W
                ? "the IN channel has a successor already"
                : "the IN channel is not open";
        (void)rpch_in_happen(m, RPCH_IN_EV_ATTACH, &none);
        return RPCH_E_UNEXPECTED;
    }
    rc = refusal(m, s, reason);
    if (rc != RPCH_OK)
        return rc;
    m->gone = m->successor;
    m->successor = s->successor;
    return rpch_in_happen(m, RPCH_IN_EV_ATTACH, &none);
}

/* IN_R2/A2. The steps of 3.2.3.5.5 do not have it; the figure and 3.2.5.5.8
 * do. */
int rpch_in_send_r2_a2(rpch_inbound *m, const rpch_in_input *in)
{
    rpch_rts_values v;

    memset(&v, 0, sizeof(v));
    v.cookie[0] = m->successor;
    return rpch_in_make(m, RPCH_IN_R2_A2, &v);
}

int rpch_in_take_detach(rpch_inbound *m, const rpch_in_input *in)
{
    if (m->core.state == RPCH_IN_RELEASE)
        rpch_core_end(&m->core, RPCH_E_CLOSED,
                      "the successor ended before it had S-IN");
    return RPCH_OK;
}

void rpch_inbound_detach(rpch_inbound *m)
{
    static const rpch_in_input none;

    (void)rpch_in_happen(m, RPCH_IN_EV_DETACH, &none);
}

/* IN_R1/A5, which goes on as IN_R1/A6 at once, before the queued RPC PDUs; or
 * IN_R2/A5 for the attached successor. */
int rpch_in_take_a5(rpch_inbound *m, const rpch_in_input *in)
{
    rpch_rts_values v;

    /* The client may be replacing this channel already, while IN_R1/B2 is on
     * its way: nothing can be sent to the server before it is here. */
    if (m->core.state == RPCH_IN_B2W) {
        m->early = true;
        m->early_a5 = *cookie_of(in->rts);
        return RPCH_OK;
    }
    if (m->core.state == RPCH_IN_OPENED_A5W) {
        m->core.deadline = rpch_after(in->now, m->core.limits.drain_timeout);
        return RPCH_OK;
    }
    /* No deadline: the server takes the queue when its calls let it, and how
     * long that may be is for the caller to say, as on any open channel. */
    memset(&v, 0, sizeof(v));
    v.cookie[0] = *cookie_of(in->rts);
    return rpch_in_make(m, RPCH_IN_R1_A6, &v);
}

/* Takes the A5 that waited for IN_R1/B2. */
static void take_early_a5(rpch_inbound *m, rpch_msec now)
{
    rpch_rts rts = { .flags = RPCH_RTS_NONE, .n = 1 };
    rpch_in_input in = { .rts = &rts, .now = now };
    rpch_in_event ev;

    rts.cmd[0].type = RPCH_CMD_COOKIE;
    rts.cmd[0].u.cookie = m->early_a5;
    ev = rpch_in_a5_fits(m, &rts) ? RPCH_IN_EV_A5 : RPCH_IN_EV_A5_WRONG;
    m->early = false;
    if (rpch_in_happen(m, ev, &in) == RPCH_OK)
        rpch_in_drained(m, now);
}

void rpch_in_go_on(rpch_inbound *m, rpch_in_event ev, rpch_msec now)
{
    if (ev == RPCH_IN_EV_A5)
        rpch_in_drained(m, now);
    else if (ev == RPCH_IN_EV_R1_B2 && m->early)
        take_early_a5(m, now);
}

int rpch_in_take_a5_wrong(rpch_inbound *m, const rpch_in_input *in)
{
    m->dismissed = true;
    return RPCH_OK;
}

void rpch_inbound_dismiss_told(rpch_inbound *m)
{
    m->dismissed = false;
}

int rpch_in_send_b1(rpch_inbound *m, const rpch_in_input *in)
{
    rpch_rts_values v;

    memset(&v, 0, sizeof(v));
    return rpch_in_make(m, RPCH_IN_R1_B1, &v);
}

/* Whoever writes the lane says no time: it starts when the caller looks at its
 * timers next. */
int rpch_in_take_flushed(rpch_inbound *m, const rpch_in_input *in)
{
    m->core.deadline = m->core.limits.drain_timeout > 0 ? RPCH_IN_CLOSE_NOW
                                                        : RPCH_NEVER;
    return RPCH_OK;
}

void rpch_in_drained(rpch_inbound *m, rpch_msec now)
{
    rpch_in_input in = { .now = now };

    if (m->core.state == RPCH_IN_DRAIN_R1 && m->queued == 0)
        (void)rpch_in_happen(m, RPCH_IN_EV_DRAINED, &in);
}

void rpch_inbound_server_ack(rpch_inbound *m, size_t len)
{
    static const rpch_in_input none;

    rpch_lane_ack(&m->to_server, len);
    /* With nothing queued, IN_R1/B1 was the last thing in the lane. */
    if (m->core.state == RPCH_IN_DRAIN_R1 && m->queued == 0
        && rpch_lane_buf(&m->to_server, &len) == NULL)
        (void)rpch_in_happen(m, RPCH_IN_EV_FLUSHED, &none);
}

/* What the successor needs of m. */
static void fill_leg(const rpch_inbound *m, rpch_in_leg *leg)
{
    const uint8_t *p = rpch_lane_buf(&m->to_server, &leg->lane_len);

    leg->vc = m->vc;
    leg->predecessor = m->channel;
    leg->successor = m->successor;
    leg->group = m->group;
    leg->tx = m->tx;
    leg->keepalive = m->keepalive;
    leg->window = (uint32_t)m->rx.window;
    leg->queued = m->queued;
    leg->begun = leg->begun_left = m->begun;
    if (p != NULL)
        memcpy(leg->lane, p, leg->lane_len);
    leg->tail_len = m->server.have;
    memcpy(leg->tail, m->server.held, leg->tail_len);
}

int rpch_inbound_release(rpch_inbound *m, rpch_in_leg *leg)
{
    if (m->core.state != RPCH_IN_RELEASE)
        return rpch_in_end(m, RPCH_IN_EV_RELEASE, RPCH_E_BUG,
                           "S-IN is released without a successor");
    memset(leg, 0, sizeof(*leg));
    fill_leg(m, leg);
    rpch_lane_init(&m->to_server);
    (void)rpch_in_end(m, RPCH_IN_EV_RELEASE, RPCH_E_RECYCLED,
                      RPCH_IN_REPLACED);
    return RPCH_OK;
}
