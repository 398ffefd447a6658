/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bridge.c - NOTES
 *
 * A step repeats its parts until none of them moved anything, a bounded
 * number of times. A side is read only while nothing of it waits for the
 * other one, so that a pipe never holds more than one read.
 *
 * httpd cannot take a connection back from the reactor, and NTLM needs its
 * connection for the next request. So a request that may be a leg of such a
 * handshake is driven by its worker until the response shows what it is: a
 * short one ends there, and the connection goes on; a stream is handed over.
 *
 * What ends when: a client that is gone ends it behind what it had sent; an
 * inner proxy that is gone, behind what it had sent. An inner proxy that takes
 * nothing more may still have answered, so it is read on.
 */
#include "relay/bridge_private.h"

#include <http_protocol.h>
#include <stdlib.h>

#include "relay/clock.h"
#include "relay/label.h"
#include "relay/loop.h"

/* Reads of one step, before another stream has its turn. */
#define READS 8
/* Turns of one step. */
#define TURNS 16

static const char chunk_end[] = RELAY_CHUNK_END;
static const char last_chunk[] = RELAY_CHUNKS_END;

void relay_bridge_fail(relay_bridge *b, int status, const char *cause)
{
    if (b->cause)
        return;
    b->cause = cause;
    b->status = status;
    b->finished = true;
}

void relay_bridge_blame(relay_bridge *b, int status, const char *cause)
{
    b->blamed = b->blamed || b->cause == NULL;
    relay_bridge_fail(b, status, cause);
}

bool relay_bridge_up_waits(const relay_bridge *b)
{
    return !b->up.broken
        && (relay_pipe_waits(&b->up) || relay_io_blocked(&b->inner));
}

bool relay_bridge_down_waits(const relay_bridge *b)
{
    return relay_pipe_waits(&b->down) || relay_io_blocked(&b->client);
}

/* The inner proxy takes nothing more, and may have answered. */
static void inner_is_deaf(relay_bridge *b)
{
    b->up.broken = true;
    b->inner.gone = false;
    b->inner.readable = true;
}

static long to_inner(void *baton, const struct iovec *v, int n)
{
    relay_bridge *b = baton;
    long taken = relay_io_write(&b->inner, v, n);
    b->moved = b->moved || taken > 0;
    if (taken < 0)
        inner_is_deaf(b);
    return taken;
}

static long to_client(void *baton, const struct iovec *v, int n)
{
    relay_bridge *b = baton;
    long taken = relay_io_write(&b->client, v, n);
    b->moved = b->moved || taken > 0;
    return taken;
}

/* ---- the request's body ---- */

static void name_connection(relay_bridge *b)
{
    const rpch_cookie *vc = rpch_observer_vc(&b->seen_up);
    if (b->named || vc == NULL)
        return;
    b->named = true;
    relay_label(b->r, vc);
    RELAY_RLOG(b->engine, APLOG_INFO, 0, b->r, "RPX0540: %s channel of "
               "connection %s of %s to %s passes to %s", b->job->what,
               relay_label_of(b->r), b->job->user, b->job->target,
               b->job->member);
}

static void observe(relay_bridge *b, const uint8_t *p, size_t len)
{
    if (!b->job->observe)
        return;
    rpch_observer_feed(&b->seen_up, p, len);
    name_connection(b);
    if (b->job->strict && b->seen_up.error)
        relay_bridge_fail(b, HTTP_BAD_REQUEST, b->seen_up.error);
}

static void push_up(relay_bridge *b, const struct iovec *v, int n)
{
    if (relay_pipe_push(&b->up, v, n) != APR_SUCCESS)
        relay_bridge_fail(b, HTTP_INTERNAL_SERVER_ERROR,
                          "out of memory for queued data");
    b->moved = true;
}

static void from_client(relay_bridge *b, uint8_t *p, size_t len)
{
    char line[RELAY_CHUNK_LINE_MAX];
    struct iovec v[3];
    observe(b, p, len);
    /* An input filter of httpd may have changed the body. What is above its
     * length would be the inner connection's next request. */
    if (!b->job->chunked && (int64_t)len > b->up_left)
        relay_bridge_fail(b, HTTP_BAD_REQUEST, "the request's body was longer "
                          "than its Content-Length");
    if (b->finished)
        return;
    b->up_bytes += len;
    b->up_left -= (int64_t)len;
    v[1].iov_base = p;
    v[1].iov_len = len;
    if (!b->job->chunked) {
        push_up(b, v + 1, 1);
        return;
    }
    v[0].iov_base = line;
    v[0].iov_len = relay_chunk_line(line, len);
    v[2].iov_base = (void *)(uintptr_t)chunk_end;
    v[2].iov_len = sizeof(chunk_end) - 1;
    push_up(b, v, 3);
}

/* Both connections are to go on behind a short answer, which may come before
 * the body: then that must have passed, too. */
static bool owes_body(const relay_bridge *b)
{
    return b->held && b->inner_keeps && !b->client.gone && !b->up.broken
        && b->r->connection->keepalive != AP_CONN_CLOSE
        && (!b->body_ended || relay_bridge_up_waits(b));
}

static bool reads_client(const relay_bridge *b)
{
    return !b->client.body_done && !b->client.gone && !b->finished
        && !relay_pipe_waits(&b->up) && !b->up.broken
        && !relay_io_blocked(&b->inner)
        && (b->phase != RELAY_BRIDGE_COMPLETE || owes_body(b));
}

static void end_body(relay_bridge *b)
{
    struct iovec v = { (void *)(uintptr_t)last_chunk,
                       sizeof(last_chunk) - 1 };
    if (!b->client.body_done || b->body_ended || b->finished)
        return;
    b->body_ended = true;
    if (b->job->chunked)
        push_up(b, &v, 1);
    else if (b->up_left > 0)
        relay_bridge_fail(b, HTTP_BAD_REQUEST, "the request's body was "
                          "shorter than its Content-Length");
}

static void read_client(relay_bridge *b)
{
    uint8_t scratch[RELAY_SCRATCH];
    size_t n;
    while (b->reads_left > 0 && reads_client(b)
           && (n = relay_io_read(&b->client, scratch, sizeof(scratch))) > 0) {
        b->reads_left--;
        from_client(b, scratch, n);
    }
    end_body(b);
}

/* ---- steps ---- */

/* True when a client that is not read must be looked at: with its body done, a
 * read shows whether it is still there. */
static bool watches_client(const relay_bridge *b)
{
    return b->client.body_done && !b->client.junk && !b->client.gone;
}

static void take_client_events(relay_bridge *b, short events)
{
    if (events & ~POLLOUT) {
        if (reads_client(b))
            b->client.readable = true;
        else if (watches_client(b))
            relay_io_watch(&b->client);
        else if (events & (POLLERR | POLLHUP))
            b->client.gone = true;
    }
    if ((events & (POLLOUT | POLLERR | POLLHUP)) && !b->client.gone
        && relay_io_blocked(&b->client)) {
        relay_io_push(&b->client);
        b->down.progress = true;
    }
}

static void take_inner_events(relay_bridge *b, short events)
{
    if (events & ~POLLOUT)
        b->inner.readable = true;
    if ((events & (POLLOUT | POLLERR | POLLHUP)) && !b->up.broken
        && relay_io_blocked(&b->inner)) {
        relay_io_push(&b->inner);
        b->up.progress = true;
        if (b->inner.gone)
            inner_is_deaf(b);
    }
}

static void take_events(relay_bridge *b, const short *revents)
{
    relay_msg none;
    int fd;
    take_client_events(b, revents[RELAY_BRIDGE_FD_CLIENT]);
    take_inner_events(b, revents[RELAY_BRIDGE_FD_INNER]);
    if (revents[RELAY_BRIDGE_FD_EVENT])
        while (relay_registry_take(b->engine->registry, &b->box, &fd, &none))
            relay_fd_close(fd); /* nobody joins a bridge */
}

/* Once around all parts; true when something may move again. The client comes
 * first: an answer that is there already would end a request whose empty body
 * nobody has looked at, and with it the connection. */
static bool turn(relay_bridge *b)
{
    b->moved = false;
    read_client(b);
    relay_bridge_read_inner(b);
    relay_pipe_flush(&b->up);
    if (b->phase != RELAY_BRIDGE_ASKED)
        relay_pipe_flush(&b->down);
    return b->moved;
}

/* Ends it when a side is gone and nothing is left to be delivered to the
 * other, or when all is done. */
static void look_for_ends(relay_bridge *b)
{
    bool delivered = !relay_bridge_down_waits(b);
    if (b->down.broken)
        b->client.gone = true;
    if (b->client.gone && (b->inner.body_done || !relay_bridge_up_waits(b)))
        relay_bridge_fail(b, 0, "the client closed");
    if (b->phase == RELAY_BRIDGE_COMPLETE) {
        if (delivered && !owes_body(b))
            b->finished = true;
    } else if (b->inner.body_done || b->inner.gone) {
        if (b->phase == RELAY_BRIDGE_ANSWERED) {
            if (delivered)
                relay_bridge_fail(b, 0, "the inner proxy closed");
        } else if (b->large && b->up_bytes > 0) {
            /* an IN channel: many have no answer, not even at their end */
            relay_bridge_fail(b, HTTP_BAD_GATEWAY, "the inner proxy closed");
        } else {
            relay_bridge_blame(b, HTTP_BAD_GATEWAY, "the inner proxy closed "
                               "the connection before it answered");
        }
    }
}

static void step(void *stream, const short *revents, rpch_msec now)
{
    relay_bridge *b = stream;
    int turns = 0;
    bool moved = false;
    b->reads_left = READS;
    b->up.progress = b->down.progress = false;
    if (relay_engine_is_stopped(b->engine))
        relay_bridge_fail(b, HTTP_SERVICE_UNAVAILABLE, RELAY_STOPPED);
    take_events(b, revents);
    while (turns < TURNS && !b->finished && turn(b)) {
        moved = true;
        turns++;
    }
    look_for_ends(b);
    if (moved || b->up.progress || b->down.progress)
        b->last = now;
    relay_bridge_arm(b, now);
    /* What came just when its time was over came in time. */
    if (!b->finished)
        relay_bridge_expire(b, now);
    b->again = turns == TURNS || b->reads_left == 0;
}

static bool is_finished(const void *stream)
{
    return ((const relay_bridge *)stream)->finished;
}

/* A worker holds it until then. */
static bool is_decided(const void *stream)
{
    const relay_bridge *b = stream;
    return b->finished || b->stream;
}

/* POLLERR and POLLHUP come unasked. */
static rpch_msec interest(void *stream, struct pollfd *fds, rpch_msec now)
{
    relay_bridge *b = stream;
    short client = (short)((reads_client(b) || watches_client(b) ? POLLIN : 0)
                           | (relay_io_blocked(&b->client) ? POLLOUT : 0));
    short inner = (short)((relay_bridge_reads_inner(b) ? POLLIN : 0)
                          | (relay_io_blocked(&b->inner) && !b->up.broken
                             ? POLLOUT : 0));
    relay_want(&fds[RELAY_BRIDGE_FD_CLIENT], b->client.gone ? -1 : b->client.fd,
               client);
    relay_want(&fds[RELAY_BRIDGE_FD_INNER], inner ? b->inner.fd : -1, inner);
    relay_want(&fds[RELAY_BRIDGE_FD_EVENT], b->box.event_fd, POLLIN);
    if (b->again || (b->client.readable && reads_client(b))
        || (b->inner.readable && relay_bridge_reads_inner(b)))
        return now;
    return relay_bridge_deadline(b);
}

static void fail(void *stream, const char *reason)
{
    relay_bridge_fail(stream, HTTP_SERVICE_UNAVAILABLE, reason);
}

static int end(void *stream)
{
    return relay_bridge_end(stream);
}

static const relay_driver driver = {
    RELAY_BRIDGE_FD_EVENT, step, is_finished, interest, fail, end
};

static const relay_driver held_driver = {
    RELAY_BRIDGE_FD_EVENT, step, is_decided, interest, fail, end
};

/* ---- serving ---- */

static relay_bridge *create(relay_engine *e, request_rec *r, conn_rec *inner,
                            const relay_bridge_job *job, relay_task *bell,
                            apr_status_t *rv)
{
    /* Not from the request's pool, which would take a block of 8 KiB more for
     * it. */
    relay_bridge *b = calloc(1, sizeof(*b));
    *rv = APR_ENOMEM;
    if (b == NULL)
        return NULL;
    b->engine = e;
    b->r = r;
    b->job = job;
    b->held = job->hold;
    b->started = b->last = relay_now();
    *rv = relay_registry_enter(e->registry, &b->box, bell);
    if (*rv != APR_SUCCESS) {
        free(b);
        return NULL;
    }
    relay_drain_init(&b->drain);
    relay_head_init(&b->head);
    rpch_observer_init(&b->seen_up);
    rpch_observer_init(&b->seen_down);
    relay_pipe_init(&b->up, to_inner, b, e->blocks);
    relay_pipe_init(&b->down, to_client, b, e->blocks);
    if (b->held)
        relay_io_borrow(&b->client, e, r);
    else
        relay_io_init(&b->client, e, r, bell != NULL);
    relay_io_init_inner(&b->inner, e, r, inner);
    if (!b->held)
        relay_io_own(&b->inner, bell != NULL);
    b->up_left = b->client.body_left > 0 ? b->client.body_left : 0;
    b->large = job->chunked || b->up_left > RELAY_BRIDGE_SHORT;
    return b;
}

/* The worker's part of it is over: the stream is the last request of its
 * connection. */
static int release_worker(relay_bridge *b)
{
    relay_engine *e = b->engine;
    request_rec *r = b->r;
    relay_stream *s = relay_reactor_prepare(e, r);
    b->held = false;
    relay_io_own(&b->client, s != NULL);
    relay_io_own(&b->inner, s != NULL);
    if (s == NULL)
        return relay_loop_run(e, r, &driver, b);
    relay_registry_leave(e->registry, &b->box);
    (void)relay_registry_enter(e->registry, &b->box, relay_reactor_bell(s));
    return relay_reactor_submit(s, &driver, b);
}

int relay_bridge_serve(relay_engine *e, request_rec *r, conn_rec *inner,
                       const relay_bridge_job *job)
{
    apr_status_t rv;
    relay_stream *s = job->hold ? NULL : relay_reactor_prepare(e, r);
    relay_bridge *b = create(e, r, inner, job, relay_reactor_bell(s), &rv);
    if (b == NULL) {
        RELAY_RLOG(e, APLOG_ERR, rv, r, "RPX0541: no descriptors for another "
                   "stream; raise the limit of open files");
        relay_reactor_cancel(s);
        job->release(job->baton, false, 0, 0);
        /* as an answer: a status would be the member's fault */
        return relay_answer_error(r, RELAY_RPC_TOO_BUSY, false);
    }
    if (!job->hold)
        return relay_loop_serve(e, r, s, &driver, b);
    relay_loop_until_finished(e, r, &held_driver, b);
    return b->finished ? relay_loop_run(e, r, &driver, b) : release_worker(b);
}
