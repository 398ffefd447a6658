/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bridge_end.c - the timers of a bridge, and how it ends: what the client
 * gets, what the log says, what becomes of the inner connection.
 */
#include <http_protocol.h>
#include <stdlib.h>

#include "relay/bridge_private.h"
#include "relay/clock.h"
#include "relay/label.h"
#include "relay/poller.h"
#include "rpch/machine.h"

/* Its answer is due: a request with a large body is a stream, and has none
 * before its end. */
static bool awaits_answer(const relay_bridge *b)
{
    return b->phase == RELAY_BRIDGE_ASKED && (b->body_ended || !b->large);
}

static rpch_msec quiet_deadline(const relay_bridge *b)
{
    return rpch_after(b->last, b->held || awaits_answer(b)
                               ? b->job->answer_timeout
                               : b->job->idle_timeout);
}

rpch_msec relay_bridge_deadline(const relay_bridge *b)
{
    rpch_msec at[] = {
        quiet_deadline(b), relay_drain_deadline(&b->drain),
        b->up.stall_deadline, b->down.stall_deadline
    };
    return relay_earliest(at, sizeof(at) / sizeof(at[0]));
}

/* Ending now could cost a call. */
static bool is_busy(const relay_bridge *b)
{
    return awaits_answer(b) || relay_bridge_up_waits(b)
        || relay_bridge_down_waits(b)
        || (b->job->observe && !b->seen_up.error && !b->seen_down.error
            && !(rpch_observer_at_boundary(&b->seen_up)
                 && rpch_observer_at_boundary(&b->seen_down)));
}

/* A short body that is not there is the client's matter. */
static void expire_quiet(relay_bridge *b)
{
    if (b->phase == RELAY_BRIDGE_ASKED && !b->large && !b->body_ended
        && !relay_bridge_up_waits(b))
        relay_bridge_fail(b, HTTP_REQUEST_TIME_OUT, "the client did not send "
                          "its body within ProxyTimeout");
    else if (awaits_answer(b))
        relay_bridge_blame(b, HTTP_GATEWAY_TIME_OUT, "the inner proxy did not "
                           "answer within ProxyTimeout");
    else if (b->held)
        relay_bridge_fail(b, HTTP_GATEWAY_TIME_OUT, "nothing moved for "
                          "ProxyTimeout");
    else
        relay_bridge_fail(b, HTTP_GATEWAY_TIME_OUT, "nothing moved for "
                          "RpcProxyIdleTimeout");
}

void relay_bridge_expire(relay_bridge *b, rpch_msec now)
{
    const char *cause = NULL;
    if (relay_drain_deadline(&b->drain) <= now)
        cause = relay_drain_look(&b->drain, is_busy(b), now);
    if (cause)
        relay_bridge_fail(b, HTTP_SERVICE_UNAVAILABLE, cause);
    if (b->up.stall_deadline <= now || b->down.stall_deadline <= now)
        relay_bridge_fail(b, HTTP_GATEWAY_TIME_OUT, "the receiver took "
                          "nothing for RpcProxyStallTimeout");
    if (quiet_deadline(b) <= now)
        expire_quiet(b);
}

void relay_bridge_arm(relay_bridge *b, rpch_msec now)
{
    relay_engine_note_draining(b->engine, &b->drain,
                               b->job->drain_timeout);
    relay_drain_note(&b->drain, is_busy(b), now);
    relay_pipe_arm(&b->up, relay_bridge_up_waits(b), b->job->stall_timeout,
                   now);
    relay_pipe_arm(&b->down, relay_bridge_down_waits(b),
                   b->job->stall_timeout, now);
}

static const char *cause_of(const relay_bridge *b)
{
    return b->cause ? b->cause : "the response is complete";
}

static void log_end(const relay_bridge *b)
{
    const relay_bridge_job *job = b->job;
    RELAY_RLOG(b->engine, b->blamed ? APLOG_WARNING : APLOG_INFO, 0, b->r,
               "%s: %s channel of connection %s of %s to %s through %s ended "
               "after %" APR_UINT64_T_FMT " ms: up %" APR_UINT64_T_FMT
               " bytes, %" APR_UINT64_T_FMT " PDUs; down %" APR_UINT64_T_FMT
               " bytes, %" APR_UINT64_T_FMT " PDUs: %s",
               b->blamed ? "RPX0543" : "RPX0542", job->what,
               relay_label_of(b->r), job->user, job->target, job->member,
               relay_now() - b->started, b->up_bytes, b->seen_up.pdus,
               b->down_bytes, b->seen_down.pdus, cause_of(b));
}

/* Before the response has begun the client can be told what happened. */
static int answer(relay_bridge *b)
{
    request_rec *r = b->r;
    if (b->cause == NULL)
        return OK;
    r->connection->keepalive = AP_CONN_CLOSE;
    if (b->phase != RELAY_BRIDGE_ASKED && !b->client.gone) {
        /* The end of the connection tells the client, unless httpd would
         * write a last chunk; httpd logs status 502 for the remedy. */
        if (r->chunked)
            relay_io_abort(&b->client);
        return OK;
    }
    if (b->client.gone || b->status == 0) {
        relay_io_drop(&b->client);
        return OK;
    }
    return relay_answer(r, b->status, ap_get_status_line(b->status), NULL, "",
                        0, true);
}

/* Only what was read in full, of what was sent in full, may be followed by
 * another request. */
static bool is_reusable(const relay_bridge *b)
{
    return b->cause == NULL && b->inner_keeps && b->body_ended
        && !b->inner.gone && !b->inner.body_done && !b->up.broken
        && !b->excess && !relay_bridge_up_waits(b);
}

int relay_bridge_end(relay_bridge *b)
{
    const relay_bridge_job *job = b->job;
    request_rec *r = b->r;
    bool reusable = is_reusable(b);
    int rc;
    apr_table_setn(r->notes, "RPC_END", cause_of(b));
    log_end(b);
    relay_io_done(&b->inner);
    relay_io_done(&b->client);
    rc = answer(b);
    if (!b->body_ended || !b->client.borrowed)
        r->connection->keepalive = AP_CONN_CLOSE;
    relay_fd_forget(b->inner.fd);
    job->release(job->baton, reusable, b->up_bytes, b->down_bytes);
    relay_head_clear(&b->head);
    relay_pipe_clear(&b->up);
    relay_pipe_clear(&b->down);
    relay_registry_leave(b->engine->registry, &b->box);
    free(b);
    return rc;
}
