/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server_life.c - the lifetime of the server role's OUT channel: what is
 * counted (2.1.2.1.8, 3.2.5.5.14), when recycling starts (3.2.5.4.1), and what
 * an RPC PDU may take.
 */
#include "rpch/server_private.h"

/* What RPC PDUs leave of a channel to RTS PDUs when it is to be recycled:
 * OUT_R1/A1, A5 and A9, and acks for the client until the switch: a client
 * that uploads while its successor request takes long has one of 56 bytes for
 * each half of its window. */
#define RTS_MARGIN 4096u

/* What the server may use of a channel. A native server does not learn of
 * CONN/A3, and of Pings not before they are a bunch. */
static uint64_t usable(const rpch_server *m, const rpch_server_out *s)
{
    const rpch_limits *l = &m->core.limits;
    uint64_t hidden = (uint64_t)rpch_rts_row_of(RPCH_CONN_A3)->size
                    + rpch_rts_row_of(RPCH_PING)->size;

    if (rpch_sv_is_joined(m))
        return s->lifetime;
    hidden += l->ping_notify ? l->ping_notify : RPCH_PING_NOTIFY_DEFAULT;
    return s->lifetime > hidden ? s->lifetime - hidden : 0;
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t margin(const rpch_server *m, const rpch_server_out *s)
{
    return m->core.limits.recycle_reserve == 0
         ? 0 : least(RTS_MARGIN, usable(m, s) / 4);
}

void rpch_sv_count(rpch_server *m, uint64_t n)
{
    if (!rpch_sv_is_joined(m))
        rpch_sv_out(m)->used += n;
}

uint64_t rpch_server_lifetime_left(const rpch_server *m)
{
    const rpch_server_out *s = &m->out[rpch_server_out_slot(m)];
    uint64_t room = usable(m, s);

    return s->used < room ? room - s->used : 0;
}

void rpch_sv_look_at_lifetime(rpch_server *m)
{
    rpch_server_out *s = rpch_sv_out(m);
    uint32_t reserve = m->core.limits.recycle_reserve;

    if (m->core.state != RPCH_SERVER_OPENED || reserve == 0)
        return;
    /* With a reserve above its lifetime a channel would never be anything but
     * replaced. */
    if (!m->starved
        && rpch_server_lifetime_left(m) >= least(reserve, usable(m, s) / 2))
        return;
    /* A full lane postpones it to the next PDU. */
    if (m->out_state == RPCH_SERVER_OUT_OPENED
        && !rpch_lane_has_reserve(&s->lane))
        return;
    rpch_sv_ask_for_successor(m);
}

/* The channel has no room for a PDU. */
static void starve(rpch_server *m, bool hopeless)
{
    if (hopeless || m->core.limits.recycle_reserve == 0) {
        rpch_sv_fail(m, RPCH_E_LIFETIME,
                     "the lifetime of the OUT channel is used up");
        return;
    }
    m->starved = true;
    rpch_sv_look_at_lifetime(m);
}

bool rpch_server_may_send(rpch_server *m, uint32_t pdu_len)
{
    const rpch_server_out *s = rpch_sv_out(m);
    uint64_t need;

    if (m->core.state != RPCH_SERVER_OPENED
        || !rpch_tx_may_send(&s->tx, pdu_len))
        return false;
    need = pdu_len + margin(m, s);
    if (need <= rpch_server_lifetime_left(m))
        return true;
    starve(m, need > usable(m, s));
    return false;
}

void rpch_server_sent(rpch_server *m, uint32_t pdu_len)
{
    if (m->core.state != RPCH_SERVER_OPENED || rpch_sv_is_joined(m))
        return;
    rpch_tx_sent(&rpch_sv_out(m)->tx, pdu_len);
    rpch_sv_count(m, pdu_len);
    rpch_sv_look_at_lifetime(m);
}

void rpch_server_spent(rpch_server *m, uint64_t used, bool starved)
{
    if (m->core.state != RPCH_SERVER_OPENED || !rpch_sv_is_joined(m)
        || m->leaving)
        return;
    rpch_sv_out(m)->used = used;
    m->starved = starved;
    if (starved)
        starve(m, false);
    else
        rpch_sv_look_at_lifetime(m);
}
