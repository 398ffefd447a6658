/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stop.c - how the end of a child reaches its channels.
 *
 * Under event and worker a hook says it, and a child that stops gracefully
 * waits for its connections, for as long as they take. What it does not hear
 * any more is that httpd itself is to end: when GracefulShutdownTimeout is
 * over, or at a stop while older generations still drain, the parent sends
 * SIGTERM, which such a child ignores, and in the end SIGKILL, with which no
 * log line is written. So from its first gracious moment on SIGTERM is caught
 * here, and ends the channels.
 *
 * Prefork runs all of a child's end in its signal handler, wherever the child
 * was: no request could be ended properly there. So while one of ours is
 * served the signals that do it are blocked, but for the time in poll; there
 * they are only noted. When the request has been logged they are sent again.
 */
#include <ap_mpm.h>
#include <apr_general.h>
#include <errno.h>
#include <http_config.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "relay/clock.h"
#include "relay/conn.h"
#include "relay/poller.h"

/* What prefork's parent ends a child with. */
static const int deadly[] = { SIGTERM, SIGHUP };
#define DEADLY (sizeof(deadly) / sizeof(deadly[0]))

/* A signal handler has no argument of ours: what it needs are the two things
 * in lib/relay that belong to the process. Each of two modules that are built
 * of lib/relay and loaded by one httpd has its own. */
static relay_engine *child;  /* threaded: which is stopping */
static struct held *holding; /* prefork: since its first request of ours */

void relay_engine_note_draining(const relay_engine *e, relay_drain *d,
                                rpch_msec timeout)
{
    rpch_msec since = __atomic_load_n(&e->draining, __ATOMIC_ACQUIRE);
    uint64_t random = 0;
    if (since == 0 || relay_drain_begun(d))
        return;
    apr_generate_random_bytes((unsigned char *)&random, sizeof(random));
    relay_drain_begin(d, since, timeout, random);
}

bool relay_engine_is_stopped(const relay_engine *e)
{
    return __atomic_load_n(&e->stopped, __ATOMIC_ACQUIRE) != 0;
}

bool relay_engine_mpm_stops(void)
{
    int state;
    return ap_mpm_query(AP_MPMQ_MPM_STATE, &state) == APR_SUCCESS
        && state == AP_MPMQ_STOPPING;
}

static void set_stopped(relay_engine *e)
{
    __atomic_store_n(&e->stopped, 1, __ATOMIC_RELEASE);
}

/* ---- threaded MPMs ---- */

static struct sigaction chained; /* what SIGTERM did before */

/* httpd's listener thread wakes the main thread with a SIGTERM of the
 * process's own: that is no word of the parent's. Behind this handler comes
 * the one before it, be it httpd's or that of another module of ours. */
static void stop_at_once(int sig, siginfo_t *info, void *context)
{
    int saved = errno;
    if (info->si_pid != getpid()) {
        set_stopped(child);
        relay_broker_interrupt(child->broker);
    }
    if (chained.sa_flags & SA_SIGINFO)
        chained.sa_sigaction(sig, info, context);
    else
        chained.sa_handler(sig);
    errno = saved;
}

static void listen_for_stop(relay_engine *e)
{
    relay_engine *none = NULL;
    struct sigaction now, ours;
    if (sigaction(SIGTERM, NULL, &now) != 0
        || (!(now.sa_flags & SA_SIGINFO)
            && (now.sa_handler == SIG_DFL || now.sa_handler == SIG_IGN))
        || !__atomic_compare_exchange_n(&child, &none, e, false,
                                        __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
        return;
    chained = ours = now;
    ours.sa_sigaction = stop_at_once;
    ours.sa_flags |= SA_SIGINFO;
    sigaction(SIGTERM, &ours, NULL);
}

void relay_engine_child_stopping(relay_engine *e, bool graceful)
{
    rpch_msec none = 0;
    __atomic_compare_exchange_n(&e->draining, &none, relay_now(), false,
                                __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
    if (!graceful)
        set_stopped(e);
    if (!e->threaded || e->registry == NULL)
        return;
    if (graceful)
        listen_for_stop(e);
    relay_registry_wake_all(e->registry);
}

void relay_engine_pass_stop(relay_engine *e)
{
    if (!e->threaded || e->stop_passed || !relay_engine_is_stopped(e))
        return;
    e->stop_passed = true;
    relay_registry_wake_all(e->registry);
    /* and what is no channel any more, but still a connection */
    if (e->poller)
        relay_poller_ring_all(e->poller);
}

/* ---- prefork, and every loop in a request thread ---- */

/* The signals that end a child, held while requests of ours are served: of all
 * modules that are built of lib/relay, since the next request of a connection
 * may be another one's, and begin before the last one was logged. */
typedef struct held {
    unsigned requests;           /* begun, and not logged yet */
    const request_rec *last;     /* who began last; NULL: it was logged */
    struct sigaction before[DEADLY];
    sigset_t mask_before;
    volatile sig_atomic_t caught; /* the signal that came; 0: none */
} held;

#define HELD_KEY "relay-held-signals-1"

/* Runs in ppoll, and nowhere else. */
static void hold(int sig)
{
    holding->caught = sig;
}

static void take_signals(held *h)
{
    struct sigaction ours;
    sigset_t set;
    size_t i;
    sigemptyset(&set);
    for (i = 0; i < DEADLY; i++)
        sigaddset(&set, deadly[i]);
    pthread_sigmask(SIG_BLOCK, &set, &h->mask_before);
    h->caught = 0;
    memset(&ours, 0, sizeof(ours));
    ours.sa_handler = hold;
    ours.sa_mask = set;
    for (i = 0; i < DEADLY; i++)
        sigaction(deadly[i], &ours, &h->before[i]);
}

static void give_signals_back(held *h)
{
    size_t i;
    for (i = 0; i < DEADLY; i++)
        sigaction(deadly[i], &h->before[i], NULL);
    if (h->caught)
        raise(h->caught);
    pthread_sigmask(SIG_SETMASK, &h->mask_before, NULL);
}

/* The request's pool goes: its access-log line was written. */
static apr_status_t let_go(void *data)
{
    if (holding->last == data)
        holding->last = NULL;
    if (--holding->requests == 0)
        give_signals_back(holding);
    return APR_SUCCESS;
}

static void hold_signals(request_rec *r)
{
    if (holding == NULL)
        holding = ap_retained_data_get(HELD_KEY);
    if (holding == NULL)
        holding = ap_retained_data_create(HELD_KEY, sizeof(*holding));
    if (holding->last == r)
        return;
    if (holding->requests++ == 0)
        take_signals(holding);
    holding->last = r;
    apr_pool_cleanup_register(r->pool, r, let_go, apr_pool_cleanup_null);
}

void relay_engine_enter_loop(relay_engine *e, request_rec *r)
{
    if (!e->threaded)
        hold_signals(r);
}

/* At a hard stop the MPM closes the sockets of its workers under them, shortly
 * before the hook says so. */
void relay_engine_leave_loop(relay_engine *e, request_rec *r)
{
    conn_rec *c = r->connection;
    if (relay_engine_is_stopped(e) || relay_conn_fd(c) < 0)
        c->aborted = 1;
}

/* Asks whether the child is to stop: under prefork no hook tells a child whose
 * one thread is in a request. */
static void look_for_stop(relay_engine *e)
{
    if (holding->caught)
        set_stopped(e);
    if (relay_engine_mpm_stops())
        relay_engine_child_stopping(e, true);
}

int relay_engine_poll(relay_engine *e, struct pollfd *fds, unsigned n,
                      int timeout)
{
    struct timespec t = { timeout / 1000, timeout % 1000 * 1000000L };
    int ready;
    if (e->threaded)
        return poll(fds, n, timeout);
    ready = ppoll(fds, n, timeout < 0 ? NULL : &t, &holding->mask_before);
    look_for_stop(e);
    return ready;
}
