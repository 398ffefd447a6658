/* SPDX-License-Identifier: Apache-2.0 */
/* rpcd_loop.c - waits for events, accepts, sweeps deadlines */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* accept4 */
#endif
#include "rpcd_loop.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define EVENTS_MAX 256
#define ACCEPTS_MAX 64

/* Deadlines are looked at this often, ms. */
#define SWEEP 1000u

static rpch_msec clock_now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (rpch_msec)t.tv_sec * 1000u + (rpch_msec)t.tv_nsec / 1000000u;
}

bool rpcd_loop_init(rpcd_loop *l, const rpcd_config *config)
{
    memset(l, 0, sizeof(*l));
    l->config = config;
    l->now = l->swept = clock_now();
    l->epoll = epoll_create1(EPOLL_CLOEXEC);
    return l->epoll >= 0;
}

static bool watch_source(rpcd_loop *l, int fd, rpcd_source *source, int op,
                         uint32_t events)
{
    struct epoll_event ev = { 0 };

    ev.events = events;
    ev.data.ptr = source;
    return epoll_ctl(l->epoll, op, fd, &ev) == 0;
}

void rpcd_loop_bury(rpcd_loop *l, rpcd_conn *c)
{
    if (c->prev != NULL)
        c->prev->next = c->next;
    else
        l->conns = c->next;
    if (c->next != NULL)
        c->next->prev = c->prev;
    c->prev = NULL;
    c->next = l->dead;
    l->dead = c;
}

static void free_dead(rpcd_loop *l)
{
    rpcd_conn *c;

    while (l->dead != NULL) {
        c = l->dead;
        l->dead = c->next;
        rpcd_buf_free(&c->held);
        rpcd_buf_free(&c->rest);
        free(c);
    }
}

/* ---- listeners ----------------------------------------------------------- */

static void start_conn(rpcd_listener *listener, int fd)
{
    rpcd_loop *l = listener->loop;
    rpcd_conn *c = calloc(1, sizeof(*c));
    int on = 1;

    if (c == NULL || !watch_source(l, fd, &c->source, EPOLL_CTL_ADD, EPOLLIN)) {
        free(c);
        close(fd);
        return;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    c->source.ready = rpcd_conn_ready;
    c->loop = l;
    c->fd = fd;
    c->port = listener->port;
    c->watched = EPOLLIN;
    c->deadline = RPCH_NEVER;
    c->next = l->conns;
    if (c->next != NULL)
        c->next->prev = c;
    l->conns = c;
    if (listener->accept(c))
        c->ops->settle(c);
    else
        rpcd_conn_close(c);
}

static void accept_some(rpcd_source *source, uint32_t events)
{
    rpcd_listener *listener = (rpcd_listener *)source;
    int i, fd;

    for (i = 0; i < ACCEPTS_MAX; i++) {
        fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            start_conn(listener, fd);
            continue;
        }
        if (errno == EINTR || errno == ECONNABORTED)
            continue;
        if (errno != EAGAIN && errno != EWOULDBLOCK)
            listener->paused = watch_source(listener->loop, listener->fd,
                                            source, EPOLL_CTL_MOD, 0);
        return;
    }
}

bool rpcd_loop_listen(rpcd_loop *l, int fd, uint16_t port,
                      rpcd_accept_fn *accept)
{
    rpcd_listener *listener = &l->listener[l->n_listeners];

    if (l->n_listeners == RPCD_LISTENERS_MAX) {
        errno = ENOSPC;
        return false;
    }
    listener->source.ready = accept_some;
    listener->loop = l;
    listener->fd = fd;
    listener->port = port;
    listener->accept = accept;
    if (!watch_source(l, fd, &listener->source, EPOLL_CTL_ADD, EPOLLIN))
        return false;
    l->n_listeners++;
    return true;
}

/* ---- the loop ------------------------------------------------------------- */

static void sweep(rpcd_loop *l)
{
    rpcd_conn *c, *next;
    unsigned i;

    l->swept = l->now;
    for (c = l->conns; c != NULL; c = next) {
        next = c->next;
        if (l->now < c->deadline)
            continue;
        c->ops->settle(c);
        /* It may have buried the neighbour as well: start again later. */
        if (next != NULL && next->gone)
            break;
    }
    for (i = 0; i < l->n_listeners; i++)
        if (l->listener[i].paused)
            l->listener[i].paused = !watch_source(
                l, l->listener[i].fd, &l->listener[i].source, EPOLL_CTL_MOD,
                EPOLLIN);
}

bool rpcd_loop_run(rpcd_loop *l, const volatile sig_atomic_t *stop,
                   const sigset_t *mask)
{
    static struct epoll_event events[EVENTS_MAX];
    rpcd_source *source;
    int i, n;

    while (!*stop) {
        n = epoll_pwait(l->epoll, events, EVENTS_MAX, SWEEP, mask);
        if (n < 0 && errno != EINTR)
            return false;
        l->now = clock_now();
        for (i = 0; i < n; i++) {
            source = events[i].data.ptr;
            source->ready(source, events[i].events);
        }
        if (l->now - l->swept >= SWEEP)
            sweep(l);
        free_dead(l);
    }
    return true;
}

void rpcd_loop_free(rpcd_loop *l)
{
    rpcd_conn *c;
    unsigned i;

    while (l->conns != NULL) {
        c = l->conns;
        rpcd_conn_close(c);
        c->ops->settle(c);
    }
    free_dead(l);
    for (i = 0; i < l->n_listeners; i++)
        close(l->listener[i].fd);
    close(l->epoll);
}
