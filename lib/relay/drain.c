/* SPDX-License-Identifier: Apache-2.0 */
/* drain.c - the moments of one channel in a stopping child */
#include "relay/drain.h"

void relay_drain_init(relay_drain *d)
{
    d->first = d->last = d->look = RPCH_NEVER;
    d->waited = d->ended = false;
}

/* A moment of [0, span), by 32 random bits; no overflow below 49 days. */
static rpch_msec within(rpch_msec span, uint32_t random)
{
    return span * random >> 32;
}

void relay_drain_begin(relay_drain *d, rpch_msec since, rpch_msec timeout,
                       uint64_t random)
{
    rpch_msec half = timeout / 2;
    if (relay_drain_begun(d))
        return;
    d->first = since + within(half, (uint32_t)(random >> 32));
    d->last = since + half + within(timeout - half, (uint32_t)random);
}

bool relay_drain_begun(const relay_drain *d)
{
    return d->first != RPCH_NEVER;
}

rpch_msec relay_drain_deadline(const relay_drain *d)
{
    if (!d->waited)
        return d->first;
    return d->look < d->last ? d->look : d->last;
}

void relay_drain_note(relay_drain *d, bool busy, rpch_msec now)
{
    if (d->waited && !busy && now < d->look)
        d->look = now;
}

const char *relay_drain_look(relay_drain *d, bool busy, rpch_msec now)
{
    if (!relay_drain_begun(d) || now < d->first)
        return NULL;
    if (busy && now < d->last) {
        d->waited = true;
        d->look = now + RELAY_DRAIN_LOOK_MSEC;
        return NULL;
    }
    d->ended = true;
    if (busy)
        return "its child process is stopping: RpcProxyDrainTimeout is over, "
               "and a call may be without an answer";
    return d->waited ? "its child process is stopping: the last call was "
                       "answered (RpcProxyDrainTimeout)"
                     : "its child process is stopping: no call was without "
                       "an answer (RpcProxyDrainTimeout)";
}
