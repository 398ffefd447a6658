/* SPDX-License-Identifier: Apache-2.0 */
/*
 * backend.c - the server side of a channel: what must be true before a
 * connection to the server is made, the connection, and its bytes.
 */
#include <apr_strings.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>

#include "relay/channel.h"
#include "relay/clock.h"
#include "relay/label.h"
#include "relay/sock.h"

static void refuse(relay_channel *ch, unsigned code, const char *line)
{
    RELAY_RLOG(ch->engine, APLOG_WARNING, 0, ch->r, "%s", line);
    ch->cause_logged = true;
    ch->rpc_error = code;
    relay_channel_fail(ch, RPCH_E_POLICY, "refused by policy or a limit", line);
}

static void hash_text(relay_channel *ch, const char *text, relay_hash *out)
{
    relay_table_hash(ch->engine->table, text, strlen(text), out);
}

relay_owner relay_channel_owner(const relay_channel *ch)
{
    relay_owner self = ch->engine->self;
    self.channel = ch->box.number;
    return self;
}

static void make_claim(relay_channel *ch, relay_claim *c)
{
    const relay_job *job = ch->job;
    apr_pool_t *p = ch->r->pool;
    memset(c, 0, sizeof(*c));
    c->vc = *relay_half_vc(&ch->half);
    c->dir = job->dir;
    c->kind = job->kind;
    /* 0x1f cannot stand in any of the parts. The kind is among them: a leg of
     * one kind is of no use to a successor of the other, which a restart with
     * another RpcProxyRoute may bring. */
    hash_text(ch, apr_pstrcat(p, job->user, "\x1f", job->vhost, "\x1f",
                              job->target, "\x1f",
                              job->kind == RELAY_NCACN_HTTP ? "http" : "tcp",
                              NULL), &c->identity);
    hash_text(ch, job->user, &c->user);
    hash_text(ch, job->address, &c->address);
    c->max_per_user = job->max_per_user;
    c->max_per_address = job->max_per_address;
    c->successor = relay_half_is_successor(&ch->half);
    c->owner = relay_channel_owner(ch);
    ch->identity = c->identity;
}

/* A native back end pairs the halves itself: without an entry the
 * connection works, so a full table does not refuse it. */
static void table_full(relay_channel *ch)
{
    static const char line[] =
        "RPX0322: the table of virtual connections is full; raise "
        "RpcProxyMaxConnections";
    if (ch->joined)
        refuse(ch, RELAY_RPC_TOO_BUSY, line);
    else if (!__atomic_exchange_n(&ch->engine->full_logged, 1,
                                  __ATOMIC_RELAXED))
        RELAY_RLOG(ch->engine, APLOG_WARNING, 0, ch->r, "%s", line);
}

void relay_channel_claim(relay_channel *ch)
{
    relay_claim c;
    make_claim(ch, &c);
    switch (relay_table_claim(ch->engine->table, &c, &ch->ref)) {
    case RELAY_CLAIM_FIRST:
    case RELAY_CLAIM_SECOND:
        break;
    case RELAY_CLAIM_IN_USE:
        refuse(ch, 0, "RPX0320: this half of the virtual connection exists "
               "already; the newcomer is refused");
        break;
    case RELAY_CLAIM_FOREIGN:
        refuse(ch, 0, "RPX0321: the virtual connection belongs to another "
               "user, host or target; the newcomer is refused");
        break;
    case RELAY_CLAIM_FULL:
        table_full(ch);
        break;
    case RELAY_CLAIM_USER_LIMIT:
        refuse(ch, RELAY_RPC_TOO_BUSY, apr_psprintf(ch->r->pool,
               "RPX0323: %s has %u channels already; see RpcProxyMaxPerUser",
               ch->job->user, ch->job->max_per_user));
        break;
    case RELAY_CLAIM_ADDRESS_LIMIT:
        refuse(ch, RELAY_RPC_TOO_BUSY, apr_psprintf(ch->r->pool,
               "RPX0324: %s has %u channels already; see "
               "RpcProxyMaxPerAddress", ch->job->address,
               ch->job->max_per_address));
        break;
    }
}

static bool start_connector(relay_channel *ch, rpch_msec now)
{
    relay_addr prefer;
    relay_waker waker;
    ch->connector = malloc(sizeof(*ch->connector));
    if (ch->connector == NULL) {
        relay_channel_fail(ch, RPCH_E_ROOM, "out of memory", NULL);
        return false;
    }
    memset(&prefer, 0, sizeof(prefer));
    if (ch->ref.generation)
        relay_table_address(ch->engine->table, ch->ref, &prefer);
    relay_registry_waker(ch->engine->registry, &ch->box, &waker);
    relay_connector_init(ch->connector, ch->engine->resolver, ch->job->to,
                         ch->job->n_to, prefer.len ? &prefer : NULL,
                         &waker, now + ch->job->connect_timeout);
    return true;
}

void relay_channel_drop_connector(relay_channel *ch)
{
    if (ch->connector)
        relay_connector_close(ch->connector);
    free(ch->connector);
    ch->connector = NULL;
}

/* The IN half that came first waits to hear that it can join. */
static void announce_ready(relay_channel *ch)
{
    relay_peer peer;
    relay_table_set_state(ch->engine->table, ch->ref, RELAY_OUT,
                          RELAY_HALF_READY);
    if (relay_table_peer(ch->engine->table, ch->ref, RELAY_OUT, &peer)
        && peer.owner.pid != 0)
        relay_broker_wake(ch->engine->dir, &ch->engine->self, &peer.owner,
                          relay_half_vc(&ch->half));
}

static void connected(relay_channel *ch, rpch_msec now)
{
    char text[RELAY_ADDR_TEXT_SIZE];
    ch->server_fd = ch->connector->fd;
    ch->connector->fd = -1;
    ch->server_readable = true;
    RELAY_RLOG(ch->engine, APLOG_DEBUG, 0, ch->r, "%s: connected to %s",
               relay_dir_name(ch->half.dir),
               relay_addr_text(&ch->connector->peer, text));
    if (ch->ref.generation)
        relay_table_set_address(ch->engine->table, ch->ref,
                                &ch->connector->peer);
    relay_channel_drop_connector(ch);
    relay_half_connected(&ch->half, now);
    /* How long it may wait for its predecessor is for the machine to say. */
    if (relay_half_is_successor(&ch->half))
        ch->open_deadline = RPCH_NEVER;
    if (ch->joined)
        announce_ready(ch);
}

static void connect_step(relay_channel *ch, rpch_msec now)
{
    int status;
    if (!ch->connector && !start_connector(ch, now))
        return;
    status = relay_connector_step(ch->connector, now);
    if (status == RPCH_AGAIN)
        return;
    if (status == RPCH_OK) {
        connected(ch, now);
        return;
    }
    RELAY_RLOG(ch->engine, APLOG_ERR, 0, ch->r, "RPX0330: %s channel to %s: "
               "the server cannot be reached: %s", relay_dir_name(ch->half.dir),
               ch->job->target, ch->connector->error);
    ch->cause_logged = true;
    relay_channel_fail(ch, RPCH_E_CONNECT, "the server cannot be reached",
                       apr_pstrdup(ch->r->pool, ch->connector->error));
    relay_channel_drop_connector(ch);
}

/* Everything that is decided once, when the first PDU was read. */
static void begin(relay_channel *ch, rpch_msec now)
{
    bool heir = relay_half_is_successor(&ch->half);
    relay_claim c;
    ch->claimed = true;
    relay_engine_heard(ch->engine, ch->job);
    relay_label(ch->r, relay_half_vc(&ch->half));
    make_claim(ch, &c); /* the identity, which a successor is known by */
    ch->open_deadline = now + ch->job->limits.open_timeout;
    ch->retry = heir || (ch->joined && ch->half.dir == RELAY_IN)
                ? now : RPCH_NEVER;
    if (ch->job->refused)
        refuse(ch, 0, ch->job->refused);
    else if (!heir)
        relay_channel_claim(ch);
}

void relay_channel_open(relay_channel *ch, rpch_msec now)
{
    ch->end_state = relay_half_state_name(&ch->half);
    if (!ch->claimed)
        begin(ch, now);
    if (!ch->connector)
        relay_channel_look_at_peer(ch);
    if (relay_half_core(&ch->half)->status == RPCH_OK
        && relay_half_is_successor(&ch->half) && !ch->own_leg)
        relay_channel_succeed(ch, now);
    if (relay_half_core(&ch->half)->status != RPCH_OK
        || (relay_half_is_successor(&ch->half) && !ch->own_leg))
        return;
    if (ch->joined && ch->half.dir == RELAY_IN)
        relay_channel_seek(ch, now);
    else
        connect_step(ch, now);
}

/* True when all of p was taken; the rest is held. */
static bool to_half(relay_channel *ch, const uint8_t *p, size_t len,
                    size_t *taken, rpch_msec now)
{
    if (relay_writer_feed(&ch->writer, false, p, len, taken, NULL, NULL, now)
        != RPCH_OK)
        ch->server_fault = true;
    return *taken == len;
}

static bool flush_held(relay_channel *ch, rpch_msec now)
{
    const uint8_t *p;
    size_t len, taken;
    while ((p = relay_sendq_front(&ch->held, &len)) != NULL) {
        bool all = to_half(ch, p, len, &taken, now);
        relay_sendq_drop(&ch->held, taken);
        if (!all)
            return false;
    }
    return true;
}

static void read_once(relay_channel *ch, rpch_msec now)
{
    uint8_t scratch[RELAY_SCRATCH];
    size_t taken, size = relay_channel_read_size(ch);
    long n = relay_sock_recv(ch->server_fd, scratch, size);
    ch->reads_left--;
    /* Less is all; whatever follows shows in the next poll. */
    ch->server_readable = n == (long)size;
    if (n <= 0) {
        ch->server_eof = n != RELAY_SOCK_NOTHING;
    } else if (!to_half(ch, scratch, (size_t)n, &taken, now)
               && relay_sendq_push(&ch->held, scratch + taken,
                                   (size_t)n - taken) != APR_SUCCESS) {
        relay_channel_fail(ch, RPCH_E_ROOM, "out of memory", NULL);
    }
}

void relay_channel_read_server(relay_channel *ch, rpch_msec now)
{
    if (ch->server_fd < 0 || (ch->joined && ch->half.dir == RELAY_IN))
        return;
    while (flush_held(ch, now) && !relay_channel_is_arriving(ch)
           && (relay_half_wants(&ch->half) & RPCH_WANT_SERVER_READ)
           && ch->server_readable && !ch->server_eof && ch->reads_left > 0)
        read_once(ch, now);
}

long relay_channel_to_server(void *baton, const struct iovec *v, int n)
{
    relay_channel *ch = baton;
    return ch->server_fd < 0 ? 0 : relay_sock_send(ch->server_fd, v, n);
}

void relay_channel_flush_server_lane(relay_channel *ch)
{
    rpch_lane *lane = relay_half_to_server(&ch->half);
    const uint8_t *p;
    size_t len;
    long n;
    if (ch->joined || ch->half.dir == RELAY_IN || ch->server_fd < 0)
        return;
    while (!ch->server_full && (p = rpch_lane_buf(lane, &len)) != NULL) {
        struct iovec v = { (void *)(uintptr_t)p, len };
        n = relay_channel_to_server(ch, &v, 1);
        if (n < 0) {
            ch->server_eof = true;
            return;
        }
        relay_half_server_ack(&ch->half, (size_t)n);
        ch->server_full = (size_t)n < len;
    }
}

void relay_channel_shutdown_server(relay_channel *ch)
{
    if (ch->shut || !(relay_half_wants(&ch->half) & RPCH_WANT_SHUTDOWN))
        return;
    ch->shut = true;
    shutdown(ch->server_fd, SHUT_WR);
}

void relay_channel_keepalive(relay_channel *ch)
{
    uint32_t ms;
    int on = 1, seconds;
    if (ch->half.dir != RELAY_IN || ch->server_fd < 0)
        return;
    ms = ch->half.m.in.keepalive;
    if (ms == ch->keepalive)
        return;
    ch->keepalive = ms;
    seconds = ms < 1000 ? 1 : (int)(ms / 1000 < 32767 ? ms / 1000 : 32767);
    setsockopt(ch->server_fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    setsockopt(ch->server_fd, IPPROTO_TCP, TCP_KEEPIDLE, &seconds,
               sizeof(seconds));
    setsockopt(ch->server_fd, IPPROTO_TCP, TCP_KEEPINTVL, &seconds,
               sizeof(seconds));
}
