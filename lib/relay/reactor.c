/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reactor.c - NOTES
 *
 * One owner at a time: the worker until the suspend_connection hook, then
 * the reactor for ever, since httpd 2.4 has no way to give a connection back.
 * After the hook the worker still touches the connection for a moment
 * (c->sbh, then its state), so a newcomer waits until that is over: c->sbh is
 * NULL, and the worker has replaced the mark that the hook left in its
 * scoreboard slot.
 *
 * What httpd's own code would do after a handler is done here with public
 * calls: the end of the response, the end of the request (which writes the
 * access-log line), lingering close, and the destruction of the connection's
 * pool, with which the MPM's counters go down. Nothing in this file waits.
 */
#include "relay/reactor.h"

#include <ap_mpm.h>
#include <http_connection.h>
#include <http_core.h>
#include <http_protocol.h>
#include <http_request.h>
#include <mpm_common.h>
#include <scoreboard.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <util_filter.h>

#include "relay/clock.h"
#include "relay/conn.h"
#include "relay/sock.h"
#include "relay/thread.h"
#include "relay/trim.h"

/* The name of a connection's stream, for relay_conn_get. */
#define STREAM "stream"

/* A worker that does not leave its slot's mark within that time, ms, has
 * been given another one by a module: c->sbh alone tells then. */
#define LEAVE_MSEC 5000
/* For what still waits in the output filters when a stream has ended, ms. */
#define FLUSH_MSEC 30000
/* For the client to close after we did, ms, and what is read meanwhile. */
#define LINGER_MSEC 2000
#define LINGER_READS 4
/* A connection that was idle for that time, ms, gives back what its pools
 * keep: soon after so many turns with something to do, late after fewer, for
 * to look costs more than a call now and then. */
#define TRIM_MSEC 3000
#define TRIM_TURNS 256
#define TRIM_LATE_MSEC 60000
/* A child that stops waits that long for its streams' log lines, ms: the
 * parent kills after some nine seconds. */
#define STOP_MSEC 5000

typedef enum phase {
    PREPARED,    /* the worker's: the handler has it */
    HANDED_OVER, /* the reactor's, as soon as the worker has left */
    RELAYING,
    FLUSHING,    /* the request has ended; output waits */
    CLOSING,     /* the connection has ended; the end of TLS waits */
    LINGERING    /* our side is closed */
} phase;

struct relay_stream {
    relay_task task; /* first: a task is its stream */
    relay_engine *engine;
    conn_rec *c;
    request_rec *r;  /* NULL when it has ended */
    worker_score *slot;
    const relay_driver *driver;
    void *what;
    phase phase;
    int fd;          /* the client's */
    rpch_msec deadline;
    rpch_msec trim;  /* while relaying: when to trim; RPCH_NEVER: it was */
    unsigned turns;  /* with something to do, since it was trimmed */
};

static bool worker_has_left(relay_stream *s, rpch_msec now)
{
    if (__atomic_load_n(&s->c->sbh, __ATOMIC_ACQUIRE) != NULL)
        return false;
    return s->slot == NULL || s->deadline <= now
        || __atomic_load_n(&s->slot->status, __ATOMIC_ACQUIRE)
           != SERVER_BUSY_DNS
        || relay_engine_is_stopped(s->engine);
}

static void push(conn_rec *c)
{
    if (!relay_conn_push(c))
        c->aborted = 1;
}

/* What ap_process_async_request does after a handler. */
static void end_request(relay_stream *s)
{
    conn_rec *c = s->c;
    request_rec *r = s->r;
    int rc;
    if (relay_engine_is_stopped(s->engine))
        c->aborted = 1;
    rc = s->driver->end(s->what);
    s->what = NULL;
    s->r = NULL;
    /* or httpd would read the rest of an IN channel's body */
    c->keepalive = AP_CONN_CLOSE;
    if (rc == OK || rc == DONE)
        ap_finalize_request_protocol(r);
    ap_process_request_after_handler(r);
    /* The MPM counts the connection by that state when its pool goes. */
    c->cs->state = CONN_STATE_SUSPENDED;
}

static bool linger(relay_stream *s, rpch_msec now, struct pollfd *fds,
                   rpch_msec *at)
{
    char scratch[16384];
    long n = 1;
    int i;
    if (s->deadline <= now || relay_engine_is_stopped(s->engine))
        return false;
    for (i = 0; i < LINGER_READS && n > 0; i++)
        n = relay_sock_recv(s->fd, scratch, sizeof(scratch));
    if (n < 0)
        return false;
    relay_want(fds, s->fd, POLLIN);
    *at = s->deadline;
    return true;
}

static bool is_over(const relay_stream *s)
{
    return s->c->aborted || relay_engine_is_stopped(s->engine);
}

/* Whether output waits for the client, and may go on doing so. Else what waits
 * is dropped, and the end of the request, which may be behind it, is logged. */
static bool waits_for_client(relay_stream *s, rpch_msec now,
                             struct pollfd *fds, rpch_msec *at)
{
    conn_rec *c = s->c;
    if (!c->aborted && c->data_in_output_filters)
        push(c);
    if (c->data_in_output_filters && now < s->deadline && !is_over(s)) {
        relay_want(fds, s->fd, POLLOUT);
        *at = s->deadline;
        return true;
    }
    if (c->data_in_output_filters) {
        c->aborted = 1;
        push(c);
    }
    return false;
}

static bool finish(relay_stream *s, rpch_msec now, struct pollfd *fds,
                   rpch_msec *at)
{
    if (waits_for_client(s, now, fds, at))
        return true;
    if (is_over(s) || shutdown(s->fd, SHUT_WR) != 0)
        return false;
    s->phase = LINGERING;
    s->deadline = now + LINGER_MSEC;
    return linger(s, now, fds, at);
}

static bool flush(relay_stream *s, rpch_msec now, struct pollfd *fds,
                  rpch_msec *at)
{
    if (waits_for_client(s, now, fds, at))
        return true;
    if (is_over(s))
        return false;
    ap_prep_lingering_close(s->c);
    ap_shutdown_conn(s->c, 0);
    s->phase = CLOSING;
    return finish(s, now, fds, at);
}

/* Buffers of requests, responses and reads stay with the connection's
 * allocator; an idle one has no use for them. */
static rpch_msec trim(relay_stream *s, bool active, rpch_msec now)
{
    if (active)
        s->trim = now + (++s->turns >= TRIM_TURNS ? TRIM_MSEC
                                                  : TRIM_LATE_MSEC);
    if (s->trim <= now) {
        relay_trim(s->c->pool, ap_max_mem_free);
        s->trim = RPCH_NEVER;
        s->turns = 0;
    }
    return s->trim;
}

static bool relay(relay_stream *s, const short *revents, rpch_msec now,
                  struct pollfd *fds, rpch_msec *at)
{
    short with_mail[RELAY_TASK_FDS], any = 0;
    rpch_msec idle;
    int i;
    for (i = 0; i < RELAY_TASK_FDS; i++) {
        with_mail[i] = revents[i];
        any |= revents[i];
    }
    if (s->task.was_rung)
        with_mail[s->driver->event] |= POLLIN;
    s->task.was_rung = false;
    s->driver->step(s->what, with_mail, now);
    if (!s->driver->is_finished(s->what)) {
        *at = s->driver->interest(s->what, fds, now);
        idle = trim(s, any != 0, now);
        *at = idle < *at ? idle : *at;
        return true;
    }
    end_request(s);
    s->phase = FLUSHING;
    s->deadline = now + FLUSH_MSEC;
    return flush(s, now, fds, at);
}

static bool drive(relay_task *t, const short *revents, rpch_msec now,
                  struct pollfd *fds, rpch_msec *at)
{
    relay_stream *s = (relay_stream *)t;
    int i;
    for (i = 0; i < RELAY_TASK_FDS; i++) {
        fds[i].fd = -1;
        fds[i].events = fds[i].revents = 0;
    }
    switch (s->phase) {
    case PREPARED:
    case HANDED_OVER:
        if (!worker_has_left(s, now)) {
            *at = now + 1;
            return true;
        }
        s->phase = RELAYING;
        s->turns = TRIM_TURNS;
        s->trim = now + TRIM_MSEC;
        return relay(s, revents, now, fds, at);
    case RELAYING:
        return relay(s, revents, now, fds, at);
    case FLUSHING:
        return flush(s, now, fds, at);
    case CLOSING:
        return finish(s, now, fds, at);
    case LINGERING:
        return linger(s, now, fds, at);
    }
    return false;
}

static void ended(relay_task *t)
{
    relay_stream *s = (relay_stream *)t;
    apr_pool_destroy(s->c->pool);
    free(s);
}

/* The connection goes, and was never suspended. */
static apr_status_t abandoned(void *data)
{
    relay_stream *s = data;
    s->c->aborted = 1;
    if (s->what) {
        s->driver->fail(s->what, "httpd closed the connection");
        s->driver->end(s->what);
    }
    free(s);
    return APR_SUCCESS;
}

/* SUSPENDED means something only for the first request of a connection that
 * httpd would leave alone between its events.
 *
 * A child that is stopping ends when its listener finds no connection and its
 * workers have left. A connection is counted by its worker, so the listener
 * may have found none before this one: then only the worker keeps the child.
 * The MPM says so before the listener looks. */
static bool is_eligible(const relay_engine *e, const request_rec *r)
{
    const conn_rec *c = r->connection;
    return e->poller != NULL && c->master == NULL && c->cs != NULL
        && !c->clogging_input_filters && !c->aborted && r->main == NULL
        && r->prev == NULL && !relay_engine_is_stopped(e)
        && !relay_engine_mpm_stops();
}

relay_stream *relay_reactor_prepare(relay_engine *e, request_rec *r)
{
    relay_stream *s;
    if (!is_eligible(e, r))
        return NULL;
    s = calloc(1, sizeof(*s));
    if (s == NULL)
        return NULL;
    s->task.drive = drive;
    s->task.ended = ended;
    s->engine = e;
    s->c = r->connection;
    s->r = r;
    s->fd = relay_conn_fd(s->c);
    return s;
}

relay_task *relay_reactor_bell(relay_stream *s)
{
    return s ? &s->task : NULL;
}

int relay_reactor_submit(relay_stream *s, const relay_driver *driver,
                         void *what)
{
    s->driver = driver;
    s->what = what;
    relay_conn_set(s->engine, s->c, STREAM, s);
    apr_pool_pre_cleanup_register(s->c->pool, s, abandoned);
    return SUSPENDED;
}

void relay_reactor_cancel(relay_stream *s)
{
    free(s);
}

void relay_engine_suspended(relay_engine *e, conn_rec *c)
{
    relay_stream *s = relay_conn_get(e, c, STREAM);
    if (s == NULL || s->phase != PREPARED || c->cs == NULL
        || c->cs->state != CONN_STATE_SUSPENDED)
        return;
    apr_pool_cleanup_kill(c->pool, s, abandoned);
    ap_update_child_status(c->sbh, SERVER_BUSY_DNS, s->r);
    s->slot = ap_get_scoreboard_worker(c->sbh);
    s->phase = HANDED_OVER;
    s->deadline = relay_now() + LEAVE_MSEC;
    relay_poller_add(e->poller, &s->task);
}

/* The last turns of a child that stops: every stream ends in its first. */
static void drain(relay_engine *e)
{
    rpch_msec end = relay_now() + STOP_MSEC;
    while (relay_poller_count(e->poller) > 0 && relay_now() < end) {
        relay_poller_ring_all(e->poller);
        relay_poller_turn(e->poller, 1);
    }
}

static void *run(void *baton)
{
    relay_engine *e = baton;
    while (!__atomic_load_n(&e->stopping, __ATOMIC_ACQUIRE))
        relay_poller_turn(e->poller, 1000);
    drain(e);
    __atomic_store_n(&e->reactor_parked, 1, __ATOMIC_RELEASE);
    for (;;)
        pause();
    return NULL;
}

apr_status_t relay_reactor_start(relay_engine *e)
{
    int async = 0;
    apr_status_t rv;
    if (!e->async || ap_mpm_query(AP_MPMQ_IS_ASYNC, &async) != APR_SUCCESS
        || !async)
        return APR_SUCCESS;
    rv = relay_poller_create(&e->poller, e->pool);
    if (rv != APR_SUCCESS)
        return rv;
    rv = relay_thread_start(NULL, run, e);
    if (rv != APR_SUCCESS)
        e->poller = NULL;
    return rv;
}

void relay_reactor_stop(relay_engine *e)
{
    struct timespec ms = { 0, 1000000 };
    int i;
    if (e->poller == NULL)
        return;
    __atomic_store_n(&e->stopped, 1, __ATOMIC_RELEASE);
    __atomic_store_n(&e->stopping, 1, __ATOMIC_RELEASE);
    relay_poller_wake(e->poller);
    for (i = 0; i < STOP_MSEC
         && !__atomic_load_n(&e->reactor_parked, __ATOMIC_ACQUIRE); i++)
        nanosleep(&ms, NULL);
}
