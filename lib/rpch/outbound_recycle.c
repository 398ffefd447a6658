/* SPDX-License-Identifier: Apache-2.0 */
/*
 * outbound_recycle.c - the outbound proxy as successor and as predecessor:
 * OUT_R1 (2.2.4.23 on) and OUT_R2 (2.2.4.34 on), 3.2.4.5.5 to 3.2.4.5.12.
 */
#include <string.h>

#include "rpch/outbound_private.h"

/* What the client must still be sent on C-OUT for OUT_R2: A2, A6, B3. */
#define RECYCLE_SIZE (28u + 32u + 24u)

/* What a joined channel keeps of its lifetime for RTS PDUs, at most: acks for
 * C-IN go on until the successor is there. */
#define RTS_RESERVE_MAX 4096u

/* OUT_Rx/A3, 3.2.4.5.6: which sequence it is is not for the machine to
 * know. */
int rpch_out_take_a3(rpch_outbound *m, const rpch_out_input *in)
{
    rpch_rts_values v;

    rpch_core_read(RPCH_OUT_R1_A3, in->rts, &v);
    if (!rpch_window_ok(v.window))
        return rpch_out_fail(m, RPCH_E_SYNTAX, "ReceiveWindowSize below 8192 "
                                               "in OUT_R1/A3=OUT_R2/A3");
    if (rpch_cookie_equal(&v.cookie[1], &v.cookie[2]))
        return rpch_out_fail(m, RPCH_E_COOKIE, "one cookie for predecessor and "
                                               "successor");
    m->heir = true;
    m->vc = v.cookie[0];
    m->predecessor = v.cookie[1];
    m->channel = v.cookie[2];
    rpch_tx_init(&m->tx, v.window);
    m->tx.off = (m->core.flags & RPCH_QUIET) != 0;
    m->core.deadline = rpch_after(in->now, m->core.limits.open_timeout);
    return RPCH_OK;
}

/* OUT_R1/A4, 3.2.4.5.6.1. */
int rpch_out_send_a4(rpch_outbound *m, const rpch_out_input *in)
{
    rpch_rts_values v;

    if (m->core.flags & RPCH_JOINED)
        return rpch_out_fail(m, RPCH_E_BUG, "OUT_R1 without an ncacn_http "
                                            "server");
    memset(&v, 0, sizeof(v));
    v.version = 1;
    v.cookie[0] = m->vc;
    v.cookie[1] = m->predecessor;
    v.cookie[2] = m->channel;
    v.lifetime = m->core.limits.channel_lifetime;
    v.window = m->core.limits.receive_window;
    v.timeout = m->core.limits.connection_timeout;
    return rpch_out_make_server(m, RPCH_OUT_R1_A4, &v);
}

/* True when leg can be what a machine has released. It may have come through
 * another process. */
static bool leg_is_sound(const rpch_out_leg *leg)
{
    const rpch_rx *rx = &leg->rx;

    return leg->lane_len <= sizeof(leg->lane)
        && leg->tail_len <= sizeof(leg->tail)
        && rx->window > 0 && rx->window <= (int64_t)UINT32_MAX
        && rx->avail <= rx->window && rx->advertised <= rx->window
        && rx->largest <= RPCH_PDU_SIZE_MAX
        && leg->lifetime > 0 && leg->moved <= UINT32_MAX - leg->lifetime;
}

/* OUT_R2 tells the server no lifetime and no window: those of the predecessor
 * go on. What moves was counted by the server before the switch, so that this
 * C-OUT has to live for so many bytes more than the server knows of; to the
 * client a lifetime is but a Content-Length. */
int rpch_out_adopt_leg(rpch_outbound *m, const rpch_out_input *in)
{
    const rpch_out_leg *leg = in->leg;

    if (!rpch_cookie_equal(&leg->vc, &m->vc)
        || !rpch_cookie_equal(&leg->predecessor, &m->predecessor)
        || !rpch_cookie_equal(&leg->successor, &m->channel))
        return rpch_out_fail(m, RPCH_E_COOKIE,
                             "S-OUT was released for another channel");
    if (!leg_is_sound(leg)
        || rpch_lane_put(&m->to_server, leg->lane, leg->lane_len) != RPCH_OK)
        return rpch_out_fail(m, RPCH_E_VALUE, "S-OUT with impossible values");
    /* The old C-OUT may have taken long for its last PDU: that is over. */
    m->core.deadline = rpch_after(in->now, m->core.limits.open_timeout);
    m->rx = leg->rx;
    m->core.limits.receive_window = (uint32_t)leg->rx.window;
    m->core.limits.channel_lifetime = leg->lifetime + leg->moved;
    m->extra = leg->moved;
    rpch_cutter_init(&m->server, false);
    return RPCH_OK;
}

/* OUT_R2/A4, 3.2.4.5.6.2. */
int rpch_out_announce(rpch_outbound *m, const rpch_out_input *in)
{
    rpch_rts_values v;

    memset(&v, 0, sizeof(v));
    v.cookie[0] = m->successor;
    return rpch_out_make_server(m, RPCH_OUT_R2_A4, &v);
}

/* The successor is gone: before the switch the server may still switch to
 * it. */
int rpch_out_forget(rpch_outbound *m, const rpch_out_input *in)
{
    if (m->core.state == RPCH_OUT_OPENED_B1W)
        m->lost = true;
    else
        rpch_core_end(&m->core, RPCH_E_CLOSED, "the successor is gone");
    return RPCH_OK;
}

int rpch_out_retire(rpch_outbound *m, const rpch_out_input *in)
{
    rpch_core_end(&m->core, RPCH_E_RECYCLED,
                  "the OUT channel was replaced by its successor");
    return RPCH_OK;
}

/* OUT_R1/A9 (3.2.4.5.8) or, with a successor attached, OUT_R2/B1 (3.2.4.5.10):
 * the same bytes. */
int rpch_out_take_b1(rpch_outbound *m, const rpch_out_input *in)
{
    if (m->core.state == RPCH_OUT_OPENED && m->lost)
        return rpch_out_fail(m, RPCH_E_CLOSED,
                             "OUT_R2/B1 for a successor that is gone");
    if (m->core.state == RPCH_OUT_OPENED && (m->core.flags & RPCH_JOINED))
        return rpch_out_fail(m, RPCH_E_UNEXPECTED,
                             "OUT_R2/B1 without a successor");
    m->asked = false;
    m->core.deadline = rpch_after(in->now, m->core.limits.drain_timeout);
    return RPCH_OK;
}

/* OUT_R2/B2, 3.2.4.5.12; it may be late for a successor that is gone. */
int rpch_out_take_b2(rpch_outbound *m, const rpch_out_input *in)
{
    if (m->core.state == RPCH_OUT_OPENED_B1W)
        m->dismissed = true;
    else if (m->lost)
        m->lost = false;
    else
        return rpch_out_fail(m, RPCH_E_UNEXPECTED,
                             "OUT_R2/B2 without a successor");
    return RPCH_OK;
}

/* OUT_R1/A10 or OUT_R2/B3: nothing follows it on C-OUT. */
int rpch_out_send_last(rpch_outbound *m, const rpch_out_input *in)
{
    rpch_rts_values v;

    memset(&v, 0, sizeof(v));
    return rpch_out_make_client(m, m->core.state == RPCH_OUT_DRAIN_R1
                                       ? RPCH_OUT_R1_A10 : RPCH_OUT_R2_B3,
                                &v);
}

int rpch_out_last_sent(rpch_outbound *m, const rpch_out_input *in)
{
    if (m->core.state == RPCH_OUT_LAST_R1)
        return rpch_out_retire(m, in);
    m->core.deadline = RPCH_NEVER;
    return RPCH_OK;
}

/* S-OUT ended. After OUT_R1/A9 it has said everything; after OUT_R2/B1 the
 * successor will find it out, unless a PDU remains in pieces. */
int rpch_out_server_ended(rpch_outbound *m, const rpch_out_input *in)
{
    if (m->core.state == RPCH_OUT_DRAIN_R1
        || m->core.state == RPCH_OUT_LAST_R1) {
        m->server_gone = true;
        m->tx.off = true;
        return RPCH_OK;
    }
    if (m->core.state != RPCH_OUT_FINISH_R2) {
        rpch_core_end(&m->core, RPCH_E_CLOSED,
                      "the server closed the connection");
        return RPCH_OK;
    }
    return rpch_out_finishing(m)
         ? rpch_out_fail(m, RPCH_E_CLOSED,
                         "the server closed the connection within a PDU")
         : RPCH_OK;
}

/* The acks for the old C-OUT come through the server, and nothing says to
 * which S-OUT it forwards them: without any the rest goes anyhow. */
int rpch_out_drain_late(rpch_outbound *m, const rpch_out_input *in)
{
    m->overdue = true;
    m->tx.off = true;
    m->core.deadline = rpch_after(in->now, m->core.limits.drain_timeout);
    return RPCH_OK;
}

bool rpch_out_finishing(const rpch_outbound *m)
{
    /* Only one PDU has begun to arrive, and one is being written. */
    return m->sending && m->server.left > 0
        && m->queued == m->server.pdu.frag_len;
}

void rpch_out_settle(rpch_outbound *m, rpch_msec now)
{
    rpch_out_input in = { NULL, NULL, 0, 0, NULL, now };
    size_t waiting;

    if (!m->sending
        && (m->core.state == RPCH_OUT_FINISH_R2
            || (m->core.state == RPCH_OUT_DRAIN_R1 && m->queued == 0)))
        (void)rpch_out_happen(m, RPCH_OUT_EV_DRAINED, &in);
    if ((m->core.state == RPCH_OUT_LAST_R1
         || m->core.state == RPCH_OUT_LAST_R2)
        && rpch_lane_buf(&m->to_client, &waiting) == NULL)
        (void)rpch_out_happen(m, RPCH_OUT_EV_SENT, &in);
}

bool rpch_out_starves(const rpch_outbound *m, uint32_t ahead,
                      uint32_t pdu_len)
{
    uint64_t lifetime = m->core.limits.channel_lifetime;
    uint64_t reserve = lifetime / 4;

    if (!(m->core.flags & RPCH_JOINED)
        || (m->core.flags & (RPCH_QUIET | RPCH_NO_RECYCLING))
        || pdu_len + RECYCLE_SIZE > lifetime)
        return false;
    if (reserve > RTS_RESERVE_MAX)
        reserve = RTS_RESERVE_MAX;
    /* A channel that carried nothing was no use. */
    if (reserve < RECYCLE_SIZE || m->tx.sent + ahead == 0)
        reserve = RECYCLE_SIZE;
    return m->lifetime_used + ahead + pdu_len + reserve > lifetime;
}

int rpch_outbound_attached(rpch_outbound *m, rpch_msec now)
{
    rpch_out_input in = { NULL, NULL, 0, 0, NULL, now };

    return rpch_out_happen(m, RPCH_OUT_EV_ATTACHED, &in);
}

/* Why an opened machine does not take s as its successor. */
static int refusal(const rpch_outbound *m, const rpch_succession *s,
                   const char **reason)
{
    if (m->dismissed) {
        *reason = "the successor before it is still being dismissed";
        return RPCH_E_UNEXPECTED;
    }
    if (!rpch_cookie_equal(&s->vc, &m->vc)) {
        *reason = "the predecessor is of another connection";
        return RPCH_E_COOKIE;
    }
    if (!rpch_cookie_equal(&s->predecessor, &m->channel)) {
        *reason = "the predecessor's cookie is not that of the OUT channel";
        return RPCH_E_COOKIE;
    }
    if (!rpch_lane_has_room(&m->to_server)) {
        *reason = "no room for an RTS PDU to the server";
        return RPCH_E_ROOM;
    }
    return RPCH_OK;
}

int rpch_outbound_attach(rpch_outbound *m, const rpch_succession *s,
                         const char **reason)
{
    rpch_out_input in = { NULL, NULL, 0, 0, NULL, 0 };
    int rc;

    if (m->core.state != RPCH_OUT_OPENED) {
        *reason = m->core.state == RPCH_OUT_OPENED_B1W
                ? "a successor is already there"
                : "the predecessor is not Opened";
        (void)rpch_out_happen(m, RPCH_OUT_EV_ATTACH, &in);
        return RPCH_E_UNEXPECTED;
    }
    rc = refusal(m, s, reason);
    if (rc != RPCH_OK)
        return rc;
    m->successor = s->successor;
    m->lost = false;
    m->asked = false;
    return rpch_out_happen(m, RPCH_OUT_EV_ATTACH, &in);
}

void rpch_outbound_detach(rpch_outbound *m)
{
    rpch_out_input in = { NULL, NULL, 0, 0, NULL, 0 };

    (void)rpch_out_happen(m, RPCH_OUT_EV_DETACH, &in);
}

void rpch_outbound_dismiss_told(rpch_outbound *m)
{
    m->dismissed = false;
}

int rpch_outbound_release(rpch_outbound *m, rpch_out_leg *leg)
{
    rpch_out_input in = { NULL, NULL, 0, 0, NULL, 0 };
    uint64_t moves = m->queued;
    const uint8_t *p;

    memset(leg, 0, sizeof(*leg));
    if (m->core.state != RPCH_OUT_RELEASE) {
        (void)rpch_out_happen(m, RPCH_OUT_EV_RELEASED, &in);
        return m->core.status;
    }
    leg->vc = m->vc;
    leg->predecessor = m->channel;
    leg->successor = m->successor;
    leg->lifetime = m->core.limits.channel_lifetime - m->extra;
    /* A joined server role counts what is written on C-OUT. */
    leg->moved = (m->core.flags & RPCH_JOINED) ? 0 : (uint32_t)m->queued;
    /* A PDU that has not arrived whole was not yet counted. */
    if (m->server.left > 0)
        moves -= m->server.pdu.frag_len;
    leg->rx = m->rx;
    leg->rx.avail += (int64_t)moves;
    leg->rx.advertised += (int64_t)moves;
    leg->rx.received -= (uint32_t)moves;
    p = rpch_lane_buf(&m->to_server, &leg->lane_len);
    if (leg->lane_len > 0)
        memcpy(leg->lane, p, leg->lane_len);
    leg->tail_len = m->server.have;
    memcpy(leg->tail, m->server.held, leg->tail_len);
    rpch_lane_init(&m->to_server);
    m->queued = 0;
    return rpch_out_happen(m, RPCH_OUT_EV_RELEASED, &in);
}

int rpch_outbound_adopt(rpch_outbound *m, const rpch_out_leg *leg,
                        rpch_msec now)
{
    rpch_out_input in = { NULL, NULL, 0, 0, leg, now };

    return rpch_out_happen(m, RPCH_OUT_EV_ADOPTED, &in);
}
