/* SPDX-License-Identifier: Apache-2.0 */
/*
 * channel.c - NOTES
 *
 * A step repeats its parts until none of them moved anything, so that the
 * order in which they stand does not matter for what comes out; a bounded
 * number of times, so that timers and whoever else shares the thread have
 * their turn. Sources are read until they say "nothing now" before they are
 * polled again.
 *
 * The half's machine decides what is legal and what is wanted; the channel
 * moves bytes. Its timers are in channel_time.c.
 */
#include "relay/channel.h"

#include <http_protocol.h>
#include <netinet/in.h>
#include <stdlib.h>

#include "relay/call.h"
#include "relay/clock.h"
#include "relay/label.h"
#include "relay/trace.h"

/* Reads of one step, before another channel has its turn. */
#define READS 8
/* Bytes of a read when there is no room for more. */
#define READ_MIN 16384
/* Turns of one step. */
#define TURNS 16

static void log_machine(void *baton, int level, const char *what,
                        const char *detail)
{
    relay_channel *ch = baton;
    RELAY_RLOG(ch->engine, level, 0, ch->r, "%s: %s%s%s",
               relay_dir_name(ch->half.dir), what,
               detail ? " " : "", detail ? detail : "");
}

/* Machines write their lines before anybody looks whether they are wanted. */
static rpch_log_fn *log_of(const relay_engine *e, const request_rec *r)
{
    return APLOG_R_MODULE_IS_LEVEL(r, e->module_index, APLOG_DEBUG)
           ? log_machine : NULL;
}

/* On a socket for both families an IPv4 client has a mapped address; the
 * server is told the IPv4 one. */
static void client_address(const request_rec *r, rpch_address *out)
{
    const apr_sockaddr_t *a = r->useragent_addr;
    memset(out, 0, sizeof(*out));
    if (a->family != APR_INET6) {
        memcpy(out->addr, &a->sa.sin.sin_addr, 4);
    } else if (IN6_IS_ADDR_V4MAPPED(&a->sa.sin6.sin6_addr)) {
        memcpy(out->addr, a->sa.sin6.sin6_addr.s6_addr + 12, 4);
    } else {
        out->ipv6 = true;
        memcpy(out->addr, &a->sa.sin6.sin6_addr, 16);
    }
}

static long to_client(void *baton, const struct iovec *v, int n)
{
    relay_channel *ch = baton;
    return ch->head_sent ? relay_io_write(&ch->client, v, n) : 0;
}

/* Not from the request's pool, which would take a block of 8 KiB more for
 * it. */
static relay_channel *allocate(const relay_job *job)
{
    relay_channel *ch = calloc(1, sizeof(*ch));
    if (ch == NULL)
        return NULL;
    ch->joined = job->kind == RELAY_NCACN_IP_TCP;
    if (!ch->joined || job->dir == RELAY_IN)
        return ch;
    ch->role = calloc(1, sizeof(*ch->role));
    if (ch->role)
        return ch;
    free(ch);
    return NULL;
}

void relay_channel_free(relay_channel *ch)
{
    free(ch->role);
    free(ch);
}

relay_channel *relay_channel_create(relay_engine *e, request_rec *r,
                                    const relay_job *job, relay_task *bell,
                                    apr_status_t *rv)
{
    relay_channel *ch = allocate(job);
    rpch_msec now = relay_now();
    unsigned flags = job->flags;
    rpch_address address;
    *rv = APR_ENOMEM;
    if (ch == NULL)
        return NULL;
    ch->engine = e;
    ch->r = r;
    ch->job = job;
    ch->server_fd = -1;
    ch->last_rpc = now;
    ch->open_deadline = ch->idle_deadline = RPCH_NEVER;
    ch->stall_deadline = ch->retry = RPCH_NEVER;
    relay_drain_init(&ch->drain);
    relay_link_init(&ch->link);
    relay_sendq_init(&ch->held, e->blocks);
    apr_table_setn(r->subprocess_env, "RPC_CONNECTION", "-");
    *rv = relay_registry_enter(e->registry, &ch->box, bell);
    if (*rv != APR_SUCCESS) {
        relay_channel_free(ch);
        return NULL;
    }
    if (ch->joined)
        flags |= RPCH_JOINED;
    client_address(r, &address);
    relay_half_init(&ch->half, job->dir, &job->limits, &address, flags,
                    log_of(e, r), ch, now);
    if (ch->role)
        rpch_server_init(ch->role, &job->limits, RPCH_JOINED, log_of(e, r),
                         ch, now);
    relay_writer_init(&ch->writer, &ch->half,
                      job->dir == RELAY_OUT || !ch->joined,
                      job->dir == RELAY_OUT ? to_client
                                            : relay_channel_to_server,
                      ch, e->blocks);
    relay_io_init(&ch->client, e, r, bell != NULL);
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

/* The queue that an IN successor inherits goes first: nothing is read while it
 * is still arriving. */
static bool wants_client(const relay_channel *ch)
{
    return wants(ch, RPCH_WANT_CLIENT_READ)
        && (ch->half.dir == RELAY_OUT || !relay_channel_is_arriving(ch));
}

/* What remains of the request body or its end. */
static void body_ended(relay_channel *ch)
{
    if (ch->half.dir == RELAY_OUT) {
        rpch_outbound_body_ended(&ch->half.m.out);
        return;
    }
    /* After IN_Rx/A5 the rest of the body is of no consequence. */
    if (!relay_writer_pending(&ch->writer)
        && ch->half.m.in.core.state < RPCH_IN_DRAIN_R1
        && !ch->half.m.in.early) {
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
        && (relay_writer_pending(&ch->writer) || relay_channel_is_arriving(ch)
            || ch->client.rest.bytes > 0)
        && !ch->writer.broken)
        return;
    relay_half_client_closed(&ch->half);
}

/* IN: an RPC PDU comes, and nothing of it was passed on yet. */
static void note_request(void *baton, const rpch_step *step)
{
    relay_channel *ch = baton;
    relay_trace_bind(ch->engine, ch->r, "IN", step);
    if (step->first && ch->ref.generation && relay_call_begins(step->pass))
        relay_table_call_began(ch->engine->table, ch->ref);
}

/* Bytes of the request body, of which the half took some; false when it has
 * failed. */
static bool from_client(relay_channel *ch, const uint8_t *p, size_t len,
                        size_t *taken, rpch_msec now)
{
    return relay_writer_feed(&ch->writer, true, p, len, taken,
                             ch->half.dir == RELAY_IN ? note_request : NULL,
                             ch, now) == RPCH_OK;
}

/* What was read and not taken; true when none of it is left. */
static bool flush_rest(relay_channel *ch, rpch_msec now)
{
    relay_sendq *rest = &ch->client.rest;
    const uint8_t *p;
    size_t len, taken;
    bool ok = true;
    while (ok && wants_client(ch)
           && (p = relay_sendq_front(rest, &len)) != NULL) {
        ok = from_client(ch, p, len, &taken, now) && taken == len;
        relay_sendq_drop(rest, taken);
    }
    return rest->bytes == 0;
}

size_t relay_channel_read_size(const relay_channel *ch)
{
    size_t window = ch->job->limits.receive_window;
    size_t queued = ch->writer.queue.bytes;
    size_t room = queued < window ? window - queued : 0;
    if (room < READ_MIN)
        return READ_MIN;
    return room < RELAY_SCRATCH ? room : RELAY_SCRATCH;
}

/* False when nothing more is to be read now. */
static bool read_once(relay_channel *ch, rpch_msec now)
{
    uint8_t scratch[RELAY_SCRATCH];
    size_t taken, n = relay_io_read(&ch->client, scratch,
                                    relay_channel_read_size(ch));
    bool ok;
    if (n == 0)
        return false;
    ch->reads_left--;
    ok = from_client(ch, scratch, n, &taken, now);
    if (taken < n && relay_sendq_push(&ch->client.rest, scratch + taken,
                                      n - taken) != APR_SUCCESS)
        relay_channel_fail(ch, RPCH_E_ROOM, "out of memory", NULL);
    return ok && taken == n;
}

/* OUT, while the half takes nothing: a body that ends there, or a client that
 * is gone, is noticed all the same. */
static void look_ahead(relay_channel *ch)
{
    uint8_t few[RPCH_RTS_SIZE_MAX];
    size_t n;
    if (ch->half.dir != RELAY_OUT || wants_client(ch)
        || ch->client.rest.bytes > 0)
        return;
    n = relay_io_read(&ch->client, few, sizeof(few));
    if (n > 0 && relay_sendq_push(&ch->client.rest, few, n) != APR_SUCCESS)
        relay_channel_fail(ch, RPCH_E_ROOM, "out of memory", NULL);
}

static void read_client(relay_channel *ch, rpch_msec now)
{
    while (flush_rest(ch, now) && wants_client(ch) && ch->reads_left > 0
           && read_once(ch, now))
        ;
    look_ahead(ch);
    if (ch->client.gone)
        client_ended(ch);
    else if (ch->client.body_done && ch->client.rest.bytes == 0)
        body_ended(ch);
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
    /* A successor has the lifetime that the server was told, 2.2.4.26. */
    ap_set_content_length(r, (apr_off_t)relay_half_core(&ch->half)
                             ->limits.channel_lifetime);
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
               relay_dir_name(ch->half.dir),
               relay_label_of(ch->r),
               ch->job->target);
}

static void note_rpc(relay_channel *ch, rpch_msec now)
{
    relay_counters c = relay_half_counters(&ch->half);
    /* An answer that waits in httpd's filters has not left. */
    if (!relay_io_blocked(&ch->client))
        relay_channel_note_answers(ch);
    if (c.rpc_pdus == ch->rpc_pdus_seen)
        return;
    ch->rpc_pdus_seen = c.rpc_pdus;
    ch->last_rpc = now;
    if (ch->ref.generation)
        relay_table_touch(ch->engine->table, ch->ref, now);
}

/* OUT: a writer that has room again must be flushed again: nothing is polled
 * for what it still holds. */
static void commit(relay_channel *ch)
{
    if (ch->half.dir != RELAY_OUT || !ch->head_sent)
        return;
    /* A successor's head may have to go alone: no CONN/A3 follows it. */
    relay_io_head(&ch->client);
    if (ch->writer.full && !relay_io_blocked(&ch->client)) {
        relay_writer_writable(&ch->writer);
        ch->moved = true;
    }
}

/* OUT, joined: the role learns how much of the channel's lifetime is used,
 * and may start its recycling: then there is an RTS PDU more to be moved. */
static void count_lifetime(relay_channel *ch)
{
    const rpch_outbound *out = &ch->half.m.out;
    size_t before, after;
    if (!ch->joined || ch->half.dir != RELAY_OUT
        || ch->join != RELAY_JOIN_DONE || relay_channel_is_arriving(ch))
        return;
    (void)rpch_lane_buf(rpch_server_lane(ch->role, false, 0), &before);
    rpch_server_spent(ch->role, out->lifetime_used, out->starved);
    (void)rpch_lane_buf(rpch_server_lane(ch->role, false, 0), &after);
    ch->moved = ch->moved || after != before;
}

/* Once around all parts; true when something may move again. progress is set
 * when a receiver took something that counts as such: RPC bytes, or RTS PDUs
 * while no RPC bytes wait. Pings must not hide a peer that stopped
 * acknowledging. */
static bool turn(relay_channel *ch, bool *progress, rpch_msec now)
{
    relay_writer *w = &ch->writer;
    ch->moved = w->rpc_moved = w->lane_moved = false;
    ch->end_state = relay_half_state_name(&ch->half);
    read_client(ch, now);
    if (wants(ch, RPCH_WANT_CONNECT | RPCH_WANT_SUCCEED))
        relay_channel_open(ch, now);
    if (ch->joined)
        relay_channel_join_step(ch, now);
    relay_channel_flush_server_lane(ch);
    if (ch->half.dir == RELAY_OUT)
        respond(ch, now);
    relay_channel_read_server(ch, now);
    relay_writer_flush(w, now);
    commit(ch);
    count_lifetime(ch);
    relay_channel_shutdown_server(ch);
    relay_channel_succession_step(ch, now);
    note_open(ch);
    note_rpc(ch, now);
    relay_channel_keepalive(ch);
    if (w->rpc_moved
        || ((w->lane_moved || ch->moved) && w->queue.bytes == 0))
        *progress = true;
    return ch->moved || w->rpc_moved || w->lane_moved;
}

/* True when the client is being read, so that its end shows in a read. */
static bool client_is_read(const relay_channel *ch)
{
    if (ch->half.dir == RELAY_OUT && ch->client.body_done)
        return !ch->client.junk;
    return !ch->client.body_done && wants_client(ch);
}

static void take_client_events(relay_channel *ch, short revents)
{
    if (revents & ~POLLOUT) {
        if (client_is_read(ch))
            ch->client.readable = true;
        else if (revents & (POLLERR | POLLHUP | POLLRDHUP))
            ch->client.gone = true;
    }
    if ((revents & (POLLOUT | POLLERR | POLLHUP)) && !ch->client.gone)
        relay_io_push(&ch->client);
}

static void take_events(relay_channel *ch, const short *revents)
{
    take_client_events(ch, revents[RELAY_FD_CLIENT]);
    if (revents[RELAY_FD_SERVER] & ~POLLOUT)
        ch->server_readable = true;
    if (revents[RELAY_FD_SERVER] & (POLLOUT | POLLERR | POLLHUP)) {
        ch->server_full = false;
        if (ch->half.dir == RELAY_IN)
            relay_writer_writable(&ch->writer);
    }
    if (revents[RELAY_FD_LINK] & POLLOUT)
        ch->link_full = false;
    if (revents[RELAY_FD_LINK] & (POLLERR | POLLHUP))
        ch->link_ending = true;
    relay_channel_succession_event(ch, revents[RELAY_FD_SUCCESSION]);
    if (revents[RELAY_FD_EVENT])
        relay_channel_take_mail(ch);
    if (ch->half.dir == RELAY_OUT && ch->client.body_done
        && ch->client.readable) {
        ch->client.readable = false;
        relay_io_watch(&ch->client);
    }
}

/* Ends the half when one of its sides is gone and nothing is left to be
 * delivered to the other. */
static void look_for_ends(relay_channel *ch)
{
    bool out = ch->half.dir == RELAY_OUT;
    if (ch->client.gone || (out && ch->writer.broken))
        client_ended(ch);
    if (!out && ch->writer.broken)
        relay_half_server_closed(&ch->half);
    if (!ch->server_eof)
        return;
    /* An old S-OUT: the acks that the queue may wait for cannot come. */
    if (!out || ch->half.m.out.core.state == RPCH_OUT_DRAIN_R1
        || (!relay_writer_pending(&ch->writer) && ch->held.bytes == 0
            && !relay_io_blocked(&ch->client)))
        relay_half_server_closed(&ch->half);
}

/* A predecessor has finished, but not all of it has left: its last PDU, or
 * the leg. */
static bool lingers(relay_channel *ch)
{
    if (!wants(ch, RPCH_WANT_CLOSE)
        || relay_half_core(&ch->half)->status != RPCH_E_RECYCLED
        || ch->linger_over)
        return false;
    return relay_channel_is_leaving(ch)
        || (ch->half.dir == RELAY_OUT && !ch->client.gone
            && relay_io_blocked(&ch->client));
}

void relay_channel_step(relay_channel *ch, const short *revents,
                        rpch_msec now)
{
    bool progress = (revents[RELAY_FD_CLIENT] & POLLOUT) != 0;
    int turns = 0;
    ch->reads_left = READS;
    take_events(ch, revents);
    relay_channel_expire(ch, now);
    while (turns < TURNS && !wants(ch, RPCH_WANT_CLOSE)
           && turn(ch, &progress, now))
        turns++;
    look_for_ends(ch);
    if (lingers(ch)) {
        commit(ch);
        relay_channel_succession_step(ch, now);
    }
    ch->lingering = lingers(ch);
    relay_channel_arm(ch, progress, now);
    ch->again = turns == TURNS || ch->reads_left == 0;
    ch->finished = wants(ch, RPCH_WANT_CLOSE) && !ch->lingering;
}

/* An IN successor that is not read yet: one that is closed meanwhile will
 * never be of use, whatever it has sent. */
static bool waits_plugged(const relay_channel *ch)
{
    int state = relay_half_core(&ch->half)->state;
    return ch->half.dir == RELAY_IN
        && (state == RPCH_IN_SUCCEED || state == RPCH_IN_PLUGGED);
}

/* POLLERR and POLLHUP come unasked. */
static short client_events(relay_channel *ch)
{
    short events = 0;
    if (client_is_read(ch))
        events |= POLLIN;
    else if (ch->half.dir == RELAY_OUT || waits_plugged(ch))
        events |= POLLRDHUP;
    if (relay_io_blocked(&ch->client))
        events |= POLLOUT;
    return events;
}

static short server_events(relay_channel *ch)
{
    short events = 0;
    if (ch->server_eof)
        return 0;
    if (wants(ch, RPCH_WANT_SERVER_READ) && !relay_channel_is_arriving(ch)
        && (ch->half.dir == RELAY_OUT || !ch->joined))
        events |= POLLIN;
    if (ch->server_full || (ch->half.dir == RELAY_IN && ch->writer.full))
        events |= POLLOUT;
    return events;
}

/* The link is with the leg, between two channels: neither reads it. */
static bool link_moves(const relay_channel *ch)
{
    return relay_channel_is_arriving(ch) || relay_channel_is_leaving(ch);
}

static rpch_msec deadline(const relay_channel *ch)
{
    rpch_msec last[] = { ch->stall_deadline, ch->drain.last };
    rpch_msec at[] = {
        relay_half_deadline(&ch->half), relay_channel_role_deadline(ch),
        ch->open_deadline, ch->retry, ch->idle_deadline, ch->stall_deadline,
        relay_drain_deadline(&ch->drain),
        ch->connector ? relay_connector_deadline(ch->connector) : RPCH_NEVER
    };
    if (ch->lingering)
        return relay_earliest(last, sizeof(last) / sizeof(last[0]));
    return relay_earliest(at, sizeof(at) / sizeof(at[0]));
}

rpch_msec relay_channel_interest(relay_channel *ch, struct pollfd *fds,
                                 rpch_msec now)
{
    short server = server_events(ch);
    short events;
    int fd;
    relay_want(&fds[RELAY_FD_CLIENT], ch->client.gone ? -1 : ch->client.fd,
               client_events(ch));
    relay_want(&fds[RELAY_FD_SERVER], server ? ch->server_fd : -1, server);
    relay_want(&fds[RELAY_FD_LINK], link_moves(ch) ? -1 : ch->link.fd,
               (short)((relay_channel_can_receive(ch) ? POLLIN : 0)
                       | (ch->link_full ? POLLOUT : 0)));
    fd = relay_channel_succession_fd(ch, &events);
    relay_want(&fds[RELAY_FD_SUCCESSION], fd, events);
    relay_want(&fds[RELAY_FD_EVENT], ch->box.event_fd, POLLIN);
    if (ch->connector)
        relay_want(&fds[RELAY_FD_SERVER], relay_connector_fd(ch->connector),
                   POLLOUT);
    if (ch->again || (ch->client.readable && !ch->client.gone
                      && !ch->client.body_done && client_is_read(ch))
        || (ch->server_readable && server & POLLIN))
        return now;
    return deadline(ch);
}
