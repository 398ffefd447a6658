/* SPDX-License-Identifier: Apache-2.0 */
/*
 * channel_time.c - the timers of a channel that need more than its half's
 * machine knows: opening both halves, idleness of the whole connection,
 * receivers that take nothing, and the end of the child.
 *
 * Whatever a channel holds is either wanted by a descriptor that is polled
 * or under the stall timer.
 */
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
        || relay_io_blocked(&ch->client)
        || lane_waits(relay_half_to_server(&ch->half))
        || (ch->joined && ch->half.dir == RELAY_OUT
            && (lane_waits(rpch_server_lane(ch->role, true, 0))
                || lane_waits(rpch_server_lane(ch->role, false, 0))));
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

/* Ending now could cost a call, or it cannot be told. What is not open yet, or
 * just passes from one channel to another, has other timers, and soon shows
 * what it is. */
static bool is_busy(relay_channel *ch)
{
    return !relay_half_is_open(&ch->half) || pending(ch)
        || relay_channel_is_arriving(ch) || relay_channel_is_leaving(ch)
        || ch->ref.generation == 0
        || relay_table_is_calling(ch->engine->table, ch->ref);
}

static void expire_drain(relay_channel *ch, rpch_msec now)
{
    bool waited = ch->drain.waited;
    const char *cause = relay_drain_look(&ch->drain, is_busy(ch), now);
    if (cause)
        relay_channel_fail(ch, RPCH_E_TIMEOUT, cause, NULL);
    else if (ch->drain.waited && !waited)
        RELAY_RLOG(ch->engine, APLOG_DEBUG, 0, ch->r, "%s: its child process "
                   "is stopping: it ends when it has no call without an "
                   "answer", relay_dir_name(ch->half.dir));
}

void relay_channel_note_answers(relay_channel *ch)
{
    uint64_t ended = ch->writer.calls_ended;
    if (ch->half.dir != RELAY_OUT || ended == ch->answers_seen)
        return;
    if (ch->ref.generation)
        relay_table_calls_ended(ch->engine->table, ch->ref,
                                (uint32_t)(ended - ch->answers_seen));
    ch->answers_seen = ended;
}

rpch_msec relay_channel_role_deadline(const relay_channel *ch)
{
    if (!ch->joined || ch->half.dir != RELAY_OUT
        || !relay_half_is_open(&ch->half) || relay_channel_is_arriving(ch))
        return RPCH_NEVER;
    return rpch_server_deadline(ch->role);
}

void relay_channel_expire(relay_channel *ch, rpch_msec now)
{
    if (ch->lingering) {
        ch->linger_over = relay_engine_is_stopped(ch->engine)
            || ch->stall_deadline <= now
            || ch->drain.last <= now;
        return;
    }
    if (relay_engine_is_stopped(ch->engine))
        relay_channel_fail(ch, RPCH_E_CLOSED, RELAY_STOPPED, NULL);
    if (relay_half_deadline(&ch->half) <= now)
        relay_half_timeout(&ch->half, now);
    if (relay_channel_role_deadline(ch) <= now) {
        rpch_server_timeout(ch->role, now);
        if (ch->role->core.status != RPCH_OK)
            relay_channel_fail(ch, ch->role->core.status,
                               ch->role->core.reason, NULL);
    }
    if (ch->open_deadline <= now)
        relay_channel_fail(ch, RPCH_E_TIMEOUT,
                           "the other half did not come or open within "
                           "RpcProxyHandshakeTimeout", NULL);
    if (relay_drain_deadline(&ch->drain) <= now)
        expire_drain(ch, now);
    if (ch->stall_deadline <= now)
        relay_channel_fail(ch, RPCH_E_TIMEOUT, "the receiver took nothing "
                           "for RpcProxyStallTimeout", NULL);
    if (ch->idle_deadline <= now)
        expire_idle(ch, now);
}

/* Both halves of a connection have the same moments, also in two children:
 * they go by its cookie, under the table's key. One that has no cookie yet has
 * all the time that there is, if its handshake's timer does not end it. */
static void note_draining(relay_channel *ch)
{
    rpch_msec since = __atomic_load_n(&ch->engine->draining, __ATOMIC_ACQUIRE);
    const rpch_cookie *vc = relay_half_vc(&ch->half);
    uint64_t random = UINT64_MAX;
    relay_hash h;
    if (since == 0 || relay_drain_begun(&ch->drain))
        return;
    relay_table_hash(ch->engine->table, vc->b, sizeof(vc->b), &h);
    /* Not the bytes that logs show. */
    if (ch->claimed)
        memcpy(&random, h.b + sizeof(h.b) - sizeof(random), sizeof(random));
    relay_drain_begin(&ch->drain, since, ch->job->drain_timeout, random);
}

void relay_channel_arm(relay_channel *ch, bool progress, rpch_msec now)
{
    note_draining(ch);
    if (ch->drain.waited && !ch->drain.ended)
        relay_drain_note(&ch->drain, is_busy(ch), now);
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
