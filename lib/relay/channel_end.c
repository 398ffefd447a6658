/* SPDX-License-Identifier: Apache-2.0 */
/*
 * channel_end.c - how a channel ends: what the client is told (2.1.2.1.3),
 * what the other half is told, what the log says, what is given back.
 *
 * A processing error is a 503 with an RPC error code as long as no response
 * has begun; a protocol error closes the connection without one.
 */
#include <apr_strings.h>
#include <http_protocol.h>

#include "relay/channel.h"
#include "relay/label.h"
#include "relay/clock.h"

static const char *cause_of(const relay_channel *ch)
{
    const rpch_core *core = relay_half_core(&ch->half);
    if (ch->cause)
        return ch->cause;
    return core->reason ? core->reason : rpch_status_name(core->status);
}

static bool is_protocol_error(int status)
{
    return status == RPCH_E_SYNTAX || status == RPCH_E_UNEXPECTED
        || status == RPCH_E_ACK || status == RPCH_E_COOKIE
        || status == RPCH_E_BANNER;
}

/* Whether the client is owed a 503: it is there, no response has begun, and
 * the failure is not its own. */
static bool owes_error(const relay_channel *ch)
{
    int status = relay_half_core(&ch->half)->status;
    if (ch->client.gone || ch->head_sent || !ch->claimed)
        return false;
    if (status == RPCH_E_CLOSED || ch->server_fault)
        return !ch->open_logged;
    return status <= RPCH_E_POLICY && status != RPCH_E_LIFETIME
        && status != RPCH_E_RECYCLED && status != RPCH_E_BUG;
}

static int answer(relay_channel *ch)
{
    request_rec *r = ch->r;
    int status = relay_half_core(&ch->half)->status;
    if (ch->client.refused)
        return AP_FILTER_ERROR;
    r->connection->keepalive = AP_CONN_CLOSE;
    if (ch->head_sent)
        return OK;
    if (owes_error(ch))
        return relay_answer_error(r, ch->rpc_error ? ch->rpc_error
                                                   : RELAY_RPC_UNAVAILABLE,
                                  ch->job->extended_errors);
    if (status == RPCH_E_RECYCLED)
        r->status = HTTP_OK;
    else if (is_protocol_error(status))
        r->status = HTTP_BAD_REQUEST;
    else if (status == RPCH_E_TIMEOUT)
        r->status = HTTP_REQUEST_TIME_OUT;
    relay_io_drop(&ch->client);
    return OK;
}

/* How the server broke the opening, or NULL when it is not to blame: it
 * closed, it sent something else (Samba a fault), or it was silent although
 * both halves are there. */
static const char *server_misdeed(relay_channel *ch)
{
    relay_peer peer;
    bool known = ch->ref.generation
        && relay_table_peer(ch->engine->table, ch->ref, ch->half.dir, &peer);
    if (ch->server_fault)
        return "sent something else";
    /* It is right to close when the other half has ended; had that been its
     * own doing, the other half would have said so. */
    if (ch->server_eof)
        return known && peer.state == RELAY_HALF_FAILED
             ? NULL : "closed the connection";
    if (relay_half_core(&ch->half)->status == RPCH_E_TIMEOUT && known
        && peer.state != RELAY_HALF_NONE && !ch->drain.ended)
        return "was silent";
    return NULL;
}

/* A server that does not speak ncacn_http shows by what it does in place of
 * the answer to the opening. One that has a successor's connection open
 * already speaks it. */
static void doubt_server(relay_channel *ch)
{
    const char *misdeed;
    if (ch->joined || ch->open_logged || ch->own_leg || ch->server_fd < 0
        || ch->client.gone)
        return;
    misdeed = server_misdeed(ch);
    if (misdeed == NULL)
        return;
    ch->cause_logged = true;
    RELAY_RLOG(ch->engine, APLOG_WARNING, 0, ch->r, "RPX0331: %s channel to "
               "%s: the server %s before %s: does it speak ncacn_http? See "
               "protocol= of RpcProxyRoute (%s)",
               relay_dir_name(ch->half.dir), ch->job->target,
               misdeed, ch->half.dir == RELAY_IN ? "CONN/B3" : "CONN/C1",
               cause_of(ch));
}

/* Clients that cannot recycle hang up when they are asked to; "the client
 * closed" alone would hide that. */
static const char *circumstance(const relay_channel *ch)
{
    if (ch->half.dir != RELAY_OUT || !ch->half.m.out.asked)
        return "";
    return " (a successor had been asked for: the lifetime was nearly over)";
}

static void log_end(relay_channel *ch)
{
    int status = relay_half_core(&ch->half)->status;
    relay_counters c = relay_half_counters(&ch->half);
    int level = APLOG_INFO;
    const char *tag = "RPX0311";
    if (status == RPCH_E_RECYCLED && !ch->leg_lost)
        tag = "RPX0313";
    if (!ch->cause_logged && is_protocol_error(status)) {
        level = APLOG_WARNING;
        tag = "RPX0340";
    } else if (!ch->cause_logged
               && (status == RPCH_E_BUG || status == RPCH_E_ROOM)) {
        level = APLOG_ERR;
        tag = "RPX0341";
    }
    RELAY_RLOG(ch->engine, level, 0, ch->r,
               "%s: %s channel of connection %s of %s to %s ended in state "
               "%s after %" APR_UINT64_T_FMT " bytes in %" APR_UINT64_T_FMT
               " RPC PDUs: %s%s", tag,
               relay_dir_name(ch->half.dir),
               relay_label_of(ch->r),
               ch->job->user, ch->job->target, ch->end_state, c.rpc_bytes,
               c.rpc_pdus, cause_of(ch), circumstance(ch));
}

static void log_summary(relay_channel *ch, const relay_summary *s)
{
    RELAY_RLOG(ch->engine, APLOG_INFO, 0, ch->r,
               "RPX0312: virtual connection %s of %s to %s ended after "
               "%" APR_UINT64_T_FMT " ms%s: in %" APR_UINT64_T_FMT
               " bytes, %" APR_UINT64_T_FMT " PDUs, %u recycled; out %"
               APR_UINT64_T_FMT " bytes, %" APR_UINT64_T_FMT
               " PDUs, %u recycled; %s%s%s",
               relay_label_of(ch->r),
               ch->job->user, ch->job->target, s->lifetime,
               s->was_open ? "" : ", never open",
               s->half[RELAY_IN].rpc_bytes, s->half[RELAY_IN].rpc_pdus,
               s->recycled[RELAY_IN],
               s->half[RELAY_OUT].rpc_bytes, s->half[RELAY_OUT].rpc_pdus,
               s->recycled[RELAY_OUT],
               s->cause[0] ? relay_dir_name(s->first_to_leave)
                           : "its channels went to another proxy",
               s->cause[0] ? " first: " : "", s->cause);
}

/* A predecessor of IN_R1 or OUT_R1 leaves its half to whoever comes back; one
 * whose leg was moved has none any more, and nothing changes. True when the
 * connection has ended with it. */
static bool leave_table(relay_channel *ch, relay_summary *summary)
{
    relay_table *t = ch->engine->table;
    relay_counters counters = relay_half_counters(&ch->half);
    relay_owner holder = relay_channel_holder(ch);
    int status = relay_half_core(&ch->half)->status;
    if (ch->succ && ch->succ->given)
        memset(&counters, 0, sizeof(counters));
    if (ch->leg_lost)
        status = RPCH_E_CLOSED;
    if (status == RPCH_E_RECYCLED)
        return relay_table_recycled(t, ch->ref, ch->half.dir, &holder,
                                    &counters, summary);
    return relay_table_release(t, ch->ref, ch->half.dir, &holder, &counters,
                               status, cause_of(ch), summary);
}

/* The half leaves the table; one that waits for it learns it. */
static void release(relay_channel *ch)
{
    relay_summary summary;
    relay_peer peer;
    bool waiting;
    if (ch->ref.generation == 0)
        return;
    waiting = (ch->joined ? ch->half.dir == RELAY_OUT
                            && ch->join == RELAY_JOIN_NONE
                          : !ch->open_logged)
           && relay_table_peer(ch->engine->table, ch->ref, ch->half.dir,
                               &peer)
           && peer.owner.pid != 0;
    if (leave_table(ch, &summary))
        log_summary(ch, &summary);
    else if (waiting)
        relay_broker_wake(ch->engine->dir, &ch->engine->self, &peer.owner,
                          relay_half_vc(&ch->half));
}

/* shutdown, not close: the other half may hold a duplicate of the socket. */
static void close_server(relay_channel *ch)
{
    relay_channel_drop_connector(ch);
    if (ch->server_fd >= 0) {
        shutdown(ch->server_fd, ch->joined && ch->half.dir == RELAY_IN
                                ? SHUT_WR : SHUT_RDWR);
        relay_fd_close(ch->server_fd);
        ch->server_fd = -1;
    }
}

static bool is_ours(int status, const char *cause)
{
    return status == RPCH_E_TIMEOUT || strcmp(cause, RELAY_STOPPED) == 0;
}

/* When we have ended the other half, client and native server close this one:
 * that is not why it ends. A joined half is told. */
static void look_for_cause(relay_channel *ch)
{
    int status = relay_half_core(&ch->half)->status;
    char text[RELAY_CAUSE_MAX];
    relay_peer peer;
    if (status == RPCH_E_CLOSED && !is_ours(status, cause_of(ch))
        && ch->cause == NULL && ch->ref.generation
        && relay_table_peer(ch->engine->table, ch->ref, ch->half.dir, &peer)
        && peer.state == RELAY_HALF_FAILED
        && relay_table_cause(ch->engine->table, ch->ref, text)
        && is_ours(peer.status, text))
        ch->cause = apr_pstrcat(ch->r->pool, "the other half ended: ", text,
                                NULL);
}

int relay_channel_end(relay_channel *ch)
{
    int rc;
    look_for_cause(ch);
    relay_channel_note_answers(ch);
    apr_table_setn(ch->r->notes, "RPC_END", cause_of(ch));
    doubt_server(ch);
    relay_channel_succession_end(ch);
    log_end(ch);
    release(ch);
    relay_channel_unjoin(ch);
    close_server(ch);
    relay_io_done(&ch->client);
    rc = answer(ch);
    relay_writer_close(&ch->writer);
    relay_sendq_clear(&ch->held);
    relay_registry_leave(ch->engine->registry, &ch->box);
    relay_channel_free(ch);
    return rc;
}
