/* SPDX-License-Identifier: Apache-2.0 */
/*
 * channel.c - NOTES
 *
 * A step runs to exhaustion: it repeats its parts until none of them moved
 * anything, so that the order in which they stand does not matter for what
 * comes out. Sources are read until they say "nothing now" before they are
 * polled again.
 *
 * The half's machine decides what is legal and what is wanted; the channel
 * moves bytes, and keeps the timers that need more than one half or the
 * state of the queues: opening, idleness, stalls and draining.
 */
#include "relay/channel.h"

#include <apr_general.h>
#include <http_protocol.h>

#include "relay/clock.h"

/* Slices handled in one go before the other side has its turn. */
#define CLIENT_QUOTA 64

static void log_machine(void *baton, int level, const char *what,
                        const char *detail)
{
    relay_channel *ch = baton;
    RELAY_RLOG(ch->engine, level, 0, ch->r, "%s: %s%s%s",
               ch->half.dir == RELAY_IN ? "IN" : "OUT", what,
               detail ? " " : "", detail ? detail : "");
}

static void client_address(const conn_rec *c, rpch_address *out)
{
    const apr_sockaddr_t *a = c->client_addr;
    memset(out, 0, sizeof(*out));
    out->ipv6 = a->family == APR_INET6;
    if (a->ipaddr_len <= (int)sizeof(out->addr))
        memcpy(out->addr, a->ipaddr_ptr, (size_t)a->ipaddr_len);
}

static long to_client(void *baton, const uint8_t *p, size_t len)
{
    relay_channel *ch = baton;
    if (!ch->head_sent)
        return 0;
    return relay_client_write(&ch->client, p, len);
}

relay_channel *relay_channel_create(relay_engine *e, request_rec *r,
                                    const relay_job *job, apr_status_t *rv)
{
    relay_channel *ch = apr_pcalloc(r->pool, sizeof(*ch));
    rpch_msec now = relay_now();
    unsigned flags = job->flags;
    rpch_address address;
    ch->engine = e;
    ch->r = r;
    ch->job = job;
    ch->joined = job->kind == RELAY_NCACN_IP_TCP;
    ch->server_fd = -1;
    ch->started = ch->last_rpc = now;
    ch->open_deadline = ch->idle_deadline = RPCH_NEVER;
    ch->stall_deadline = ch->drain_deadline = ch->retry = RPCH_NEVER;
    relay_link_init(&ch->link);
    relay_sendq_init(&ch->held, e->blocks);
    apr_table_setn(r->subprocess_env, "RPC_CONNECTION", "-");
    *rv = relay_registry_enter(e->registry, &ch->box);
    if (*rv != APR_SUCCESS)
        return NULL;
    if (ch->joined)
        flags |= RPCH_JOINED;
    client_address(r->connection, &address);
    relay_half_init(&ch->half, job->dir, &job->limits, &address, flags,
                    log_machine, ch, now);
    if (ch->joined && job->dir == RELAY_OUT)
        rpch_server_init(&ch->role, &job->limits, RPCH_JOINED, log_machine,
                         ch, now);
    relay_writer_init(&ch->writer, &ch->half,
                      job->dir == RELAY_OUT || !ch->joined,
                      job->dir == RELAY_OUT ? to_client
                                            : relay_channel_to_server,
                      ch, e->blocks);
    relay_client_init(&ch->client, r);
    return ch;
}

void relay_channel_fail(relay_channel *ch, int status, const char *reason,
                        const char *cause)
{
    if (relay_half_core(&ch->half)->status == RPCH_OK && cause)
        ch->cause = cause;
    relay_half_fail(&ch->half, status, reason);
}

static bool wants(const relay_channel *ch, unsigned what)
{
    return (relay_half_wants(&ch->half) & what) != 0;
}

/* What remains of the request body or its end. */
static void body_ended(relay_channel *ch)
{
    if (ch->half.dir == RELAY_OUT) {
        if (ch->half.m.out.core.state == RPCH_OUT_OPEN_START)
            relay_half_fail(&ch->half, RPCH_E_SYNTAX,
                            "the request body ended before CONN/A1");
        return;
    }
    if (!relay_writer_pending(&ch->writer)) {
        if (ch->half.m.in.core.state == RPCH_IN_OPEN_START)
            relay_half_fail(&ch->half, RPCH_E_SYNTAX,
                            "the request body ended before CONN/B1");
        else
            relay_half_fail(&ch->half, RPCH_E_LIFETIME,
                            "the IN channel's Content-Length is used up");
    }
}

/* A client that is gone still has its last PDUs delivered; see server_eof
 * for the other side. */
static void client_ended(relay_channel *ch)
{
    if (ch->half.dir == RELAY_IN && relay_half_is_open(&ch->half)
        && relay_writer_pending(&ch->writer) && !ch->writer.broken)
        return;
    relay_half_client_closed(&ch->half);
}

static bool read_client(relay_channel *ch, rpch_msec now)
{
    const uint8_t *p;
    size_t len;
    rpch_step step;
    int n;
    for (n = 0; n < CLIENT_QUOTA && wants(ch, RPCH_WANT_CLIENT_READ); n++) {
        p = relay_client_peek(&ch->client, &len);
        if (p == NULL)
            break;
        if (relay_half_client_recv(&ch->half, p, len, &step, now) != RPCH_OK)
            return true;
        if (step.pass)
            relay_writer_pass(&ch->writer, &step, now);
        if (step.used == 0)
            break;
        relay_client_take(&ch->client, step.used);
    }
    if (ch->half.dir == RELAY_OUT)
        relay_client_peek(&ch->client, &len);
    if (ch->client.gone)
        client_ended(ch);
    else if (ch->client.body_done)
        body_ended(ch);
    return n == CLIENT_QUOTA;
}

/* OUT: the 200 head, once CONN/A2 is on its way. */
static void respond(relay_channel *ch, rpch_msec now)
{
    request_rec *r = ch->r;
    size_t len;
    if (!wants(ch, RPCH_WANT_RESPONSE)
        || rpch_lane_buf(relay_half_to_server(&ch->half), &len) != NULL)
        return;
    r->status = HTTP_OK;
    r->status_line = "200 Success";
    ap_set_content_type(r, "application/rpc");
    ap_set_content_length(r, (apr_off_t)ch->job->limits.channel_lifetime);
    ch->head_sent = true;
    rpch_outbound_responded(&ch->half.m.out, now);
}

static void note_open(relay_channel *ch)
{
    if (ch->open_logged || !relay_half_is_open(&ch->half))
        return;
    ch->open_logged = true;
    ch->open_deadline = RPCH_NEVER;
    if (ch->ref.generation)
        relay_table_set_state(ch->engine->table, ch->ref, ch->half.dir,
                              RELAY_HALF_OPEN);
    RELAY_RLOG(ch->engine, APLOG_INFO, 0, ch->r,
               "RPX0310: %s channel of connection %s to %s is open",
               ch->half.dir == RELAY_IN ? "IN" : "OUT",
               apr_table_get(ch->r->subprocess_env, "RPC_CONNECTION"),
               ch->job->target);
}

static void note_rpc(relay_channel *ch, rpch_msec now)
{
    relay_counters c = relay_half_counters(&ch->half);
    if (c.rpc_pdus == ch->rpc_pdus_seen)
        return;
    ch->rpc_pdus_seen = c.rpc_pdus;
    ch->last_rpc = now;
    if (ch->ref.generation)
        relay_table_touch(ch->engine->table, ch->ref, now);
}

/* Once around all parts; true when something may move again. */
static bool turn(relay_channel *ch, rpch_msec now)
{
    bool more;
    ch->writer.moved = false;
    ch->end_state = relay_half_state_name(&ch->half);
    more = read_client(ch, now);
    if (wants(ch, RPCH_WANT_CONNECT))
        relay_channel_open(ch, now);
    if (ch->joined)
        relay_channel_join_step(ch, now);
    relay_channel_flush_server_lane(ch);
    if (ch->half.dir == RELAY_OUT)
        respond(ch, now);
    relay_channel_read_server(ch, now);
    relay_writer_flush(&ch->writer, now);
    if (ch->half.dir == RELAY_OUT && ch->head_sent
        && !relay_client_blocked(&ch->client) && ch->client.out_bytes > 0) {
        relay_client_commit(&ch->client);
        if (!relay_client_blocked(&ch->client))
            relay_writer_writable(&ch->writer);
    }
    note_open(ch);
    note_rpc(ch, now);
    relay_channel_keepalive(ch);
    return more || ch->writer.moved;
}

static void expire(relay_channel *ch, rpch_msec now)
{
    rpch_msec touched = 0;
    if (relay_half_deadline(&ch->half) <= now)
        relay_half_timeout(&ch->half, now);
    if (ch->open_deadline <= now)
        relay_channel_fail(ch, RPCH_E_TIMEOUT,
                           "the other half did not come or open in time",
                           NULL);
    if (ch->drain_deadline <= now)
        relay_channel_fail(ch, RPCH_E_TIMEOUT,
                           "httpd was restarted and RpcProxyDrainTimeout "
                           "is over", NULL);
    if (ch->stall_deadline <= now)
        relay_channel_fail(ch, RPCH_E_TIMEOUT, "the receiver took nothing "
                           "for RpcProxyStallTimeout", NULL);
    if (ch->idle_deadline <= now) {
        if (ch->ref.generation)
            touched = relay_table_touched(ch->engine->table, ch->ref);
        if (touched < ch->last_rpc)
            touched = ch->last_rpc;
        ch->idle_deadline = touched + ch->job->idle_timeout;
        if (ch->idle_deadline <= now)
            relay_channel_fail(ch, RPCH_E_TIMEOUT,
                               "no call for RpcProxyIdleTimeout", NULL);
    }
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

static void arm(relay_channel *ch, bool progress, rpch_msec now)
{
    bool pending = relay_writer_pending(&ch->writer)
                || relay_client_blocked(&ch->client);
    note_draining(ch);
    if (!relay_half_is_open(&ch->half) || !pending)
        ch->stall_deadline = RPCH_NEVER;
    else if (progress || ch->stall_deadline == RPCH_NEVER)
        ch->stall_deadline = now + ch->job->stall_timeout;
    if (relay_half_is_open(&ch->half) && ch->idle_deadline == RPCH_NEVER)
        ch->idle_deadline = now + ch->job->idle_timeout;
}

static void take_events(relay_channel *ch, const short *revents)
{
    if (revents[RELAY_FD_CLIENT] & ~POLLOUT)
        ch->client.readable = true;
    if (revents[RELAY_FD_CLIENT] & (POLLOUT | POLLERR | POLLHUP)
        && relay_client_blocked(&ch->client)) {
        relay_client_push(&ch->client);
        if (!relay_client_blocked(&ch->client))
            relay_writer_writable(&ch->writer);
    }
    if (revents[RELAY_FD_SERVER] & ~POLLOUT)
        ch->server_readable = true;
    if (revents[RELAY_FD_SERVER] & (POLLOUT | POLLERR | POLLHUP)) {
        ch->server_full = false;
        if (ch->half.dir == RELAY_IN)
            relay_writer_writable(&ch->writer);
    }
    if (revents[RELAY_FD_LINK] & POLLOUT)
        ch->link_full = false;
}

void relay_channel_step(relay_channel *ch, const short *revents,
                        rpch_msec now)
{
    bool progress = false;
    take_events(ch, revents);
    if (revents[RELAY_FD_EVENT])
        relay_channel_take_mail(ch);
    if (ch->half.dir == RELAY_OUT && ch->client.body_done
        && ch->client.readable) {
        ch->client.readable = false;
        relay_client_watch(&ch->client);
    }
    while (!wants(ch, RPCH_WANT_CLOSE) && turn(ch, now))
        progress = true;
    progress = progress || (revents[RELAY_FD_CLIENT] & POLLOUT);
    if (ch->client.gone)
        client_ended(ch);
    if (ch->writer.broken && ch->half.dir == RELAY_IN)
        relay_half_server_closed(&ch->half);
    if (ch->server_eof
        && (ch->half.dir == RELAY_IN
            || (!relay_writer_pending(&ch->writer) && ch->held.bytes == 0
                && !relay_client_blocked(&ch->client))))
        relay_half_server_closed(&ch->half);
    arm(ch, progress, now);
    expire(ch, now);
    relay_client_hold(&ch->client);
    ch->finished = wants(ch, RPCH_WANT_CLOSE);
}

static short client_events(relay_channel *ch)
{
    short events = 0;
    bool body = !ch->client.body_done;
    if (ch->client.gone)
        return 0;
    if (ch->half.dir == RELAY_OUT && !body && !ch->client.junk)
        events |= POLLIN;
    else if (body && wants(ch, RPCH_WANT_CLIENT_READ))
        events |= POLLIN;
    if (relay_client_blocked(&ch->client))
        events |= POLLOUT;
    return events;
}

static short server_events(relay_channel *ch)
{
    short events = 0;
    if (ch->server_eof)
        return 0;
    if (wants(ch, RPCH_WANT_SERVER_READ)
        && (ch->half.dir == RELAY_OUT || !ch->joined))
        events |= POLLIN;
    if (ch->server_full || (ch->half.dir == RELAY_IN && ch->writer.full))
        events |= POLLOUT;
    return events;
}

static void want(struct pollfd *p, int fd, short events)
{
    p->fd = events ? fd : -1;
    p->events = events;
    p->revents = 0;
}

static rpch_msec earliest(rpch_msec a, rpch_msec b)
{
    return a < b ? a : b;
}

rpch_msec relay_channel_interest(relay_channel *ch, struct pollfd *fds,
                                 rpch_msec now)
{
    rpch_msec at = relay_half_deadline(&ch->half);
    want(&fds[RELAY_FD_CLIENT], ch->client.fd, client_events(ch));
    want(&fds[RELAY_FD_SERVER], ch->server_fd, server_events(ch));
    want(&fds[RELAY_FD_LINK], ch->link.fd,
         (short)((relay_channel_can_receive(ch) ? POLLIN : 0)
                 | (ch->link_full ? POLLOUT : 0)));
    want(&fds[RELAY_FD_EVENT], ch->box.event_fd, POLLIN);
    if (ch->connecting) {
        want(&fds[RELAY_FD_SERVER], relay_connector_fd(&ch->connector),
             POLLOUT);
        at = earliest(at, relay_connector_deadline(&ch->connector));
    }
    at = earliest(at, earliest(ch->open_deadline, ch->retry));
    at = earliest(at, earliest(ch->idle_deadline, ch->stall_deadline));
    at = earliest(at, ch->drain_deadline);
    if (ch->client.readable && wants(ch, RPCH_WANT_CLIENT_READ)
        && !ch->client.body_done)
        at = now;
    if (ch->server_readable && server_events(ch) & POLLIN)
        at = now;
    return at;
}
