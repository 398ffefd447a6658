/* SPDX-License-Identifier: Apache-2.0 */
/*
 * channel_time.c - the timers of a channel that need more than its half's
 * machine knows: opening both halves, idleness of the whole connection,
 * receivers that take nothing, and the end of the child.
 *
 * Whatever a channel holds is either wanted by a descriptor that is polled
 * or under the stall timer.
 */
#include <apr_general.h>

#include "relay/channel.h"

static bool lane_waits(const rpch_lane *lane)
{
    size_t len;
    return rpch_lane_buf(lane, &len) != NULL;
}

/* True when bytes wait that did not leave this half. */
static bool pending(relay_channel *ch)
{
    return relay_writer_pending(&ch->writer) || ch->held.bytes > 0
        || ch->client.out_bytes > 0 || relay_client_blocked(&ch->client)
        || lane_waits(relay_half_to_server(&ch->half))
        || (ch->joined && ch->half.dir == RELAY_OUT
            && (lane_waits(rpch_server_lane(&ch->role, true, 0))
                || lane_waits(rpch_server_lane(&ch->role, false, 0))));
}

static void expire_idle(relay_channel *ch, rpch_msec now)
{
    rpch_msec touched = 0;
    if (ch->ref.generation)
        touched = relay_table_touched(ch->engine->table, ch->ref);
    if (touched < ch->last_rpc)
        touched = ch->last_rpc;
    ch->idle_deadline = touched + ch->job->idle_timeout;
    if (ch->idle_deadline <= now)
        relay_channel_fail(ch, RPCH_E_TIMEOUT,
                           "no call for RpcProxyIdleTimeout", NULL);
}

rpch_msec relay_channel_role_deadline(const relay_channel *ch)
{
    if (!ch->joined || ch->half.dir != RELAY_OUT
        || !relay_half_is_open(&ch->half) || relay_channel_is_arriving(ch))
        return RPCH_NEVER;
    return rpch_server_deadline(&ch->role);
}

static bool is_stopped(const relay_channel *ch)
{
    return __atomic_load_n(&ch->engine->stopped, __ATOMIC_ACQUIRE) != 0;
}

void relay_channel_expire(relay_channel *ch, rpch_msec now)
{
    if (ch->lingering) {
        ch->linger_over = is_stopped(ch) || ch->stall_deadline <= now
            || ch->drain_deadline <= now;
        return;
    }
    if (is_stopped(ch))
        relay_channel_fail(ch, RPCH_E_CLOSED, "httpd was stopped", NULL);
    if (relay_half_deadline(&ch->half) <= now)
        relay_half_timeout(&ch->half, now);
    if (relay_channel_role_deadline(ch) <= now) {
        rpch_server_timeout(&ch->role, now);
        if (ch->role.core.status != RPCH_OK)
            relay_channel_fail(ch, ch->role.core.status,
                               ch->role.core.reason, NULL);
    }
    if (ch->open_deadline <= now)
        relay_channel_fail(ch, RPCH_E_TIMEOUT,
                           "the other half did not come or open within "
                           "RpcProxyHandshakeTimeout", NULL);
    if (ch->drain_deadline <= now)
        relay_channel_fail(ch, RPCH_E_TIMEOUT,
                           "httpd was restarted and RpcProxyDrainTimeout "
                           "is over", NULL);
    if (ch->stall_deadline <= now)
        relay_channel_fail(ch, RPCH_E_TIMEOUT, "the receiver took nothing "
                           "for RpcProxyStallTimeout", NULL);
    if (ch->idle_deadline <= now)
        expire_idle(ch, now);
}

/* A channel of a stopping child gets a deadline within the drain timeout,
 * spread so that not all clients come back at once. */
static void note_draining(relay_channel *ch)
{
    rpch_msec since = __atomic_load_n(&ch->engine->draining, __ATOMIC_ACQUIRE);
    uint32_t random = 0;
    if (since == 0 || ch->drain_deadline != RPCH_NEVER)
        return;
    apr_generate_random_bytes((unsigned char *)&random, sizeof(random));
    ch->drain_deadline = since + ch->job->drain_timeout / 2
        + (ch->job->drain_timeout / 2) * (random >> 16) / 65536;
}

void relay_channel_arm(relay_channel *ch, bool progress, rpch_msec now)
{
    note_draining(ch);
    if (ch->lingering && ch->stall_deadline != RPCH_NEVER)
        return;
    if (!ch->lingering
        && (!relay_half_is_open(&ch->half) || !pending(ch)))
        ch->stall_deadline = RPCH_NEVER;
    else if (progress || ch->stall_deadline == RPCH_NEVER)
        ch->stall_deadline = now + ch->job->stall_timeout;
    if (relay_half_is_open(&ch->half) && ch->idle_deadline == RPCH_NEVER)
        ch->idle_deadline = now + ch->job->idle_timeout;
}
