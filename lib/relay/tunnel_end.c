/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tunnel_end.c - the timers of a tunnel, and how it ends: what the client is
 * told, what the log says, what is given back.
 *
 * MS-RPCH defines no error response of version 1; before the 200 the client
 * gets the one of version 2 (2.1.2.1.3), behind it nothing but closing is
 * possible.
 */
#include <sys/socket.h>

#include "relay/clock.h"
#include "relay/label.h"
#include "relay/tunnel.h"

static rpch_msec idle_deadline(const relay_tunnel *t)
{
    return t->m.core.state == RPCH_MIXED_OPENED
           ? rpch_after(t->last_rpc, t->job->idle_timeout) : RPCH_NEVER;
}

rpch_msec relay_tunnel_deadline(const relay_tunnel *t)
{
    rpch_msec at[] = {
        rpch_mixed_deadline(&t->m), idle_deadline(t),
        relay_drain_deadline(&t->drain),
        t->pipe[RELAY_IN].stall_deadline, t->pipe[RELAY_OUT].stall_deadline
    };
    return relay_earliest(at, sizeof(at) / sizeof(at[0]));
}

static bool pending(const relay_tunnel *t, relay_dir dir)
{
    return relay_pipe_waits(&t->pipe[dir])
        || (dir == RELAY_OUT && relay_io_blocked(&t->client));
}

/* Ending now could cost a call. */
static bool is_busy(const relay_tunnel *t)
{
    return t->m.core.state != RPCH_MIXED_OPENED || pending(t, RELAY_IN)
        || pending(t, RELAY_OUT) || relay_calls_wait(&t->calls);
}

static void expire_drain(relay_tunnel *t, rpch_msec now)
{
    bool waited = t->drain.waited;
    const char *cause = relay_drain_look(&t->drain, is_busy(t), now);
    if (cause)
        relay_tunnel_fail(t, RPCH_E_TIMEOUT, cause, NULL);
    else if (t->drain.waited && !waited)
        RELAY_RLOG(t->engine, APLOG_DEBUG, 0, t->r, "v1: its child process is "
                   "stopping: it ends when it has no call without an answer");
}

void relay_tunnel_expire(relay_tunnel *t, rpch_msec now)
{
    if (relay_engine_is_stopped(t->engine))
        relay_tunnel_fail(t, RPCH_E_CLOSED, RELAY_STOPPED, NULL);
    rpch_mixed_timeout(&t->m, now);
    if (relay_drain_deadline(&t->drain) <= now)
        expire_drain(t, now);
    if (t->pipe[RELAY_IN].stall_deadline <= now
        || t->pipe[RELAY_OUT].stall_deadline <= now)
        relay_tunnel_fail(t, RPCH_E_TIMEOUT, "the receiver took nothing for "
                          "RpcProxyStallTimeout", NULL);
    if (idle_deadline(t) <= now)
        relay_tunnel_fail(t, RPCH_E_TIMEOUT, "no call for "
                          "RpcProxyIdleTimeout", NULL);
}

void relay_tunnel_arm(relay_tunnel *t, rpch_msec now)
{
    int dir;
    relay_engine_note_draining(t->engine, &t->drain,
                               t->job->drain_timeout);
    relay_drain_note(&t->drain, is_busy(t), now);
    for (dir = RELAY_IN; dir <= RELAY_OUT; dir++)
        relay_pipe_arm(&t->pipe[dir], pending(t, (relay_dir)dir),
                       t->job->stall_timeout, now);
}

static const char *cause_of(const relay_tunnel *t)
{
    const rpch_core *core = &t->m.core;
    if (t->cause)
        return t->cause;
    return core->reason ? core->reason : rpch_status_name(core->status);
}

/* How the server broke the opening, or NULL when it is not to blame. */
static const char *server_misdeed(const relay_tunnel *t)
{
    if (t->end_state != RPCH_MIXED_LEGACYW || t->client.gone)
        return NULL;
    if (t->server_fault)
        return "sent something else";
    if (t->server_eof)
        return "closed the connection";
    return t->m.core.status == RPCH_E_TIMEOUT
           && !t->drain.ended ? "was silent" : NULL;
}

static void doubt_server(relay_tunnel *t)
{
    const char *misdeed = server_misdeed(t);
    if (misdeed == NULL)
        return;
    t->cause_logged = true;
    RELAY_RLOG(t->engine, APLOG_WARNING, 0, t->r, "RPX0354: version 1 "
               "connection to %s: the server %s before \"ncacn_http/1.0\": "
               "does it speak ncacn_http? See protocol= of RpcProxyRoute "
               "(%s)", t->job->target, misdeed, cause_of(t));
}

static void log_end(relay_tunnel *t)
{
    const rpch_mixed *m = &t->m;
    int status = m->core.status;
    int level = APLOG_INFO;
    const char *tag = "RPX0351";
    if (!t->cause_logged
        && (status == RPCH_E_SYNTAX || status == RPCH_E_UNEXPECTED)) {
        level = APLOG_WARNING;
        tag = "RPX0355";
    } else if (!t->cause_logged
               && (status == RPCH_E_BUG || status == RPCH_E_ROOM)) {
        level = APLOG_ERR;
        tag = "RPX0356";
    }
    RELAY_RLOG(t->engine, level, 0, t->r, "%s: version 1 connection %s of %s "
               "to %s ended in state %s after %" APR_UINT64_T_FMT " ms: in "
               "%" APR_UINT64_T_FMT " bytes, %" APR_UINT64_T_FMT " PDUs; out "
               "%" APR_UINT64_T_FMT " bytes, %" APR_UINT64_T_FMT " PDUs: %s",
               tag, relay_label_of(t->r),
               t->job->user, t->job->target,
               rpch_mixed_state_name((rpch_mixed_state)t->end_state),
               relay_now() - t->started, m->in_bytes, m->in_pdus,
               m->out_bytes, m->out_pdus, cause_of(t));
}

static void release(relay_tunnel *t)
{
    relay_counters in = { t->m.in_bytes, t->m.in_pdus };
    relay_counters out = { t->m.out_bytes, t->m.out_pdus };
    relay_owner self = t->engine->self;
    relay_summary unused;
    if (t->ref.generation == 0)
        return;
    self.channel = t->box.number;
    relay_table_release(t->engine->table, t->ref, RELAY_IN, &self, &in,
                        t->m.core.status, cause_of(t), &unused);
    relay_table_release(t->engine->table, t->ref, RELAY_OUT, &self, &out,
                        t->m.core.status, cause_of(t), &unused);
}

static void close_server(relay_tunnel *t)
{
    if (t->connecting)
        relay_connector_close(&t->connector);
    if (t->server_fd >= 0)
        relay_fd_close(t->server_fd);
    t->server_fd = -1;
}

static int answer(relay_tunnel *t)
{
    request_rec *r = t->r;
    r->connection->keepalive = AP_CONN_CLOSE;
    if (t->head_sent) {
        r->bytes_sent = (apr_off_t)t->m.out_bytes;
        return OK;
    }
    if (t->client.gone) {
        relay_io_drop(&t->client);
        return OK;
    }
    return relay_answer_error(r, t->rpc_error ? t->rpc_error
                                              : RELAY_RPC_UNAVAILABLE,
                              t->job->extended_errors);
}

int relay_tunnel_end(relay_tunnel *t)
{
    int rc;
    apr_table_setn(t->r->notes, "RPC_END", cause_of(t));
    doubt_server(t);
    log_end(t);
    release(t);
    close_server(t);
    relay_io_done(&t->client);
    rc = answer(t);
    relay_pipe_clear(&t->pipe[RELAY_IN]);
    relay_pipe_clear(&t->pipe[RELAY_OUT]);
    relay_registry_leave(t->engine->registry, &t->box);
    return rc;
}
