/* SPDX-License-Identifier: Apache-2.0 */
/* flow.c - window arithmetic, 3.2.1.4.1 and 3.2.1.5.1. */
#include "rpch/flow.h"

void rpch_rx_init(rpch_rx *r, uint32_t window)
{
    r->window = window;
    r->avail = window;
    r->advertised = window;
    r->received = 0;
    r->largest = 0;
    r->off = false;
}

bool rpch_rx_received(rpch_rx *r, uint32_t n)
{
    r->avail -= n;
    r->advertised -= n;
    r->received += n;
    if (n > r->largest)
        r->largest = n;
    return r->avail < 0;
}

/* What the sender must always believe it may send: else it could wait for
 * room for its next PDU while nothing of its is left here to be consumed. */
static int64_t threshold(const rpch_rx *r)
{
    int64_t fragment = RPCH_FRAGMENT_USUAL;
    int64_t t = r->window / 2;

    if (t < r->window - (int64_t)RPCH_ACK_EVERY)
        t = r->window - (int64_t)RPCH_ACK_EVERY;
    if (fragment > r->window)
        fragment = r->window;
    if (t < fragment)
        t = fragment;
    return t < r->largest ? r->largest : t;
}

bool rpch_rx_consumed(rpch_rx *r, uint32_t n, uint32_t *available)
{
    r->avail += n;
    /* a recycled channel may still see bytes of its predecessor leave */
    if (r->avail > r->window)
        r->avail = r->window;
    if (r->off || r->avail <= 0 || r->advertised >= threshold(r))
        return false;
    *available = (uint32_t)r->avail;
    r->advertised = r->avail;
    return true;
}

void rpch_tx_init(rpch_tx *t, uint32_t window)
{
    t->window = window < RPCH_WINDOW_MAX ? window : RPCH_WINDOW_MAX;
    t->avail = t->window;
    t->sent = 0;
    t->edge = t->window;
    t->off = false;
}

bool rpch_tx_may_send(const rpch_tx *t, uint32_t n)
{
    return t->off || n <= t->avail || t->avail == t->window;
}

bool rpch_tx_may_follow(const rpch_tx *t, uint32_t ahead, uint32_t n)
{
    return t->off || (n <= t->avail && ahead <= t->avail - n);
}

void rpch_tx_sent(rpch_tx *t, uint32_t n)
{
    t->avail = t->avail > n ? t->avail - n : 0;
    t->sent += n;
}

int rpch_tx_ack(rpch_tx *t, uint32_t received, uint32_t available)
{
    /* How far the peer is behind us. The wire has only the low half of the
     * counter: more than half a turn behind is a peer that is ahead. */
    uint32_t lag = (uint32_t)t->sent - received;
    uint64_t edge = t->sent - lag;

    if (lag > t->sent || lag > INT32_MAX)
        return RPCH_E_ACK;
    if (available > t->window)
        available = t->window;
    edge += available;
    if (edge < t->edge)
        return RPCH_OK;
    t->edge = edge;
    t->avail = edge > t->sent ? (uint32_t)(edge - t->sent) : 0;
    return RPCH_OK;
}
