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
#include "relay/engine.h"

#include <ap_mpm.h>
#include <apr_portable.h>
#include <errno.h>
#include <http_core.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "relay/clock.h"
#include "relay/poller.h"

/* What prefork's parent ends a child with. */
static const int deadly[] = { SIGTERM, SIGHUP };
#define DEADLY (sizeof(deadly) / sizeof(deadly[0]))

/* A signal handler has no argument of ours: what it needs is the one thing in
 * lib/relay that belongs to the process. */
static relay_engine *child;
static struct sigaction before[DEADLY];
static sigset_t mask_before;
static volatile sig_atomic_t caught; /* prefork: the signal that was held */

static bool is_stopped(const relay_engine *e)
{
    return __atomic_load_n(&e->stopped, __ATOMIC_ACQUIRE) != 0;
}

/* ---- threaded MPMs ---- */

/* httpd's listener thread wakes the main thread with a SIGTERM of the
 * process's own: that is no word of the parent's. */
static void stop_at_once(int sig, siginfo_t *info, void *context)
{
    int saved = errno;
    if (info->si_pid != getpid()) {
        __atomic_store_n(&child->stopped, 1, __ATOMIC_RELEASE);
        relay_broker_interrupt(child->broker);
    }
    if (before[0].sa_flags & SA_SIGINFO)
        before[0].sa_sigaction(sig, info, context);
    else
        before[0].sa_handler(sig);
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
    before[0] = ours = now;
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
        __atomic_store_n(&e->stopped, 1, __ATOMIC_RELEASE);
    if (!e->threaded || e->registry == NULL)
        return;
    if (graceful)
        listen_for_stop(e);
    relay_registry_wake_all(e->registry);
}

void relay_engine_pass_stop(relay_engine *e)
{
    if (!e->threaded || e->stop_passed || !is_stopped(e))
        return;
    e->stop_passed = true;
    relay_registry_wake_all(e->registry);
    /* and what is no channel any more, but still a connection */
    if (e->poller)
        relay_poller_ring_all(e->poller);
}

/* ---- prefork, and every loop in a request thread ---- */

/* Runs in ppoll, and nowhere else. */
static void hold(int sig)
{
    caught = sig;
    __atomic_store_n(&child->stopped, 1, __ATOMIC_RELEASE);
}

/* The request's pool goes: its access-log line was written. */
static apr_status_t let_go(void *data)
{
    size_t i;
    for (i = 0; i < DEADLY; i++)
        sigaction(deadly[i], &before[i], NULL);
    child = NULL;
    if (caught)
        raise(caught);
    pthread_sigmask(SIG_SETMASK, &mask_before, NULL);
    return APR_SUCCESS;
}

static void hold_signals(relay_engine *e, request_rec *r)
{
    struct sigaction ours;
    sigset_t set;
    size_t i;
    if (child != NULL)
        return;
    sigemptyset(&set);
    for (i = 0; i < DEADLY; i++)
        sigaddset(&set, deadly[i]);
    pthread_sigmask(SIG_BLOCK, &set, &mask_before);
    child = e;
    caught = 0;
    memset(&ours, 0, sizeof(ours));
    ours.sa_handler = hold;
    ours.sa_mask = set;
    for (i = 0; i < DEADLY; i++)
        sigaction(deadly[i], &ours, &before[i]);
    apr_pool_cleanup_register(r->pool, e, let_go, apr_pool_cleanup_null);
}

void relay_engine_enter_loop(relay_engine *e, request_rec *r)
{
    if (!e->threaded)
        hold_signals(e, r);
}

/* At a hard stop the MPM closes the sockets of its workers under them, shortly
 * before the hook says so. */
void relay_engine_leave_loop(relay_engine *e, request_rec *r)
{
    conn_rec *c = r->connection;
    apr_os_sock_t fd = -1;
    apr_os_sock_get(&fd, ap_get_conn_socket(c));
    if (is_stopped(e) || fd < 0)
        c->aborted = 1;
}

/* Asks whether the child is to stop: under prefork no hook tells a child whose
 * one thread is in a request. */
static void look_for_stop(relay_engine *e)
{
    int state;
    if (!e->threaded
        && ap_mpm_query(AP_MPMQ_MPM_STATE, &state) == APR_SUCCESS
        && state == AP_MPMQ_STOPPING)
        relay_engine_child_stopping(e, true);
}

int relay_engine_poll(relay_engine *e, struct pollfd *fds, unsigned n,
                      int timeout)
{
    struct timespec t = { timeout / 1000, timeout % 1000 * 1000000L };
    int ready = e->threaded || child == NULL
              ? poll(fds, n, timeout)
              : ppoll(fds, n, timeout < 0 ? NULL : &t, &mask_before);
    look_for_stop(e);
    return ready;
}
