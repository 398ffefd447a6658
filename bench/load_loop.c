/* SPDX-License-Identifier: Apache-2.0 */
/* load_loop.c - the loop of rpch-load */
#include "load_loop.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define EVENTS_MAX 512
#define SWEEP_MS 1000

uint64_t load_clock(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * LOAD_SECOND + (uint64_t)t.tv_nsec;
}

static double seconds_of(const struct timeval *t)
{
    return (double)t->tv_sec + (double)t->tv_usec / 1e6;
}

double load_cpu(void)
{
    struct rusage u;

    getrusage(RUSAGE_SELF, &u);
    return seconds_of(&u.ru_utime) + seconds_of(&u.ru_stime);
}

static void raise_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

/* Level-triggered, and told apart by their address. */
static bool watch_own(load_loop *l, int fd, int *own)
{
    struct epoll_event ev = { 0 };

    ev.events = EPOLLIN;
    ev.data.ptr = own;
    return fd >= 0 && epoll_ctl(l->epoll, EPOLL_CTL_ADD, fd, &ev) == 0;
}

bool load_loop_init(load_loop *l, const load_hooks *hooks)
{
    sigset_t mask;

    memset(l, 0, sizeof(*l));
    l->hooks = *hooks;
    l->turns.next = l->turns.prev = &l->turns;
    l->due = LOAD_NEVER;
    l->now = l->swept = load_clock();
    raise_limit();
    signal(SIGPIPE, SIG_IGN);
    sigemptyset(&mask);
    sigaddset(&mask, SIGUSR1);
    sigaddset(&mask, SIGTERM);
    sigaddset(&mask, SIGINT);
    sigprocmask(SIG_BLOCK, &mask, NULL);
    l->epoll = epoll_create1(EPOLL_CLOEXEC);
    l->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    l->signals = signalfd(-1, &mask, SFD_NONBLOCK | SFD_CLOEXEC);
    return l->epoll >= 0 && watch_own(l, l->timer, &l->timer)
        && watch_own(l, l->signals, &l->signals);
}

/* The events of a source; those of its output only when they are wanted: the
 * kernel tells of each acknowledgement. */
static bool watch(load_loop *l, int op, int fd, load_source *s, bool output)
{
    struct epoll_event ev = { 0 };

    ev.events = EPOLLIN | EPOLLRDHUP | EPOLLET;
    if (output)
        ev.events |= EPOLLOUT;
    ev.data.ptr = s;
    return epoll_ctl(l->epoll, op, fd, &ev) == 0;
}

bool load_loop_watch(load_loop *l, int fd, load_source *s, bool output)
{
    return watch(l, EPOLL_CTL_ADD, fd, s, output);
}

bool load_loop_change(load_loop *l, int fd, load_source *s, bool output)
{
    return watch(l, EPOLL_CTL_MOD, fd, s, output);
}

void load_loop_alarm(load_loop *l, uint64_t due)
{
    struct itimerspec t = { { 0, 0 }, { 0, 0 } };

    if (due == l->due)
        return;
    l->due = due;
    if (due != LOAD_NEVER) {
        t.it_value.tv_sec = (time_t)(due / LOAD_SECOND);
        t.it_value.tv_nsec = (long)(due % LOAD_SECOND) + (due == 0);
    }
    timerfd_settime(l->timer, TFD_TIMER_ABSTIME, &t, NULL);
}

void load_loop_again(load_loop *l, load_turn *t)
{
    if (t->queued)
        return;
    t->queued = true;
    t->prev = l->turns.prev;
    t->next = &l->turns;
    t->prev->next = t;
    l->turns.prev = t;
}

void load_loop_cancel(load_loop *l, load_turn *t)
{
    if (!t->queued)
        return;
    t->queued = false;
    t->prev->next = t->next;
    t->next->prev = t->prev;
}

void load_loop_bury(load_loop *l, void *p)
{
    if (l->n_dead == l->room_dead) {
        size_t room = l->room_dead > 0 ? 2 * l->room_dead : 64;
        void **dead = realloc(l->dead, room * sizeof(*dead));

        if (dead == NULL)
            return; /* lost, but nobody will use what is gone */
        l->dead = dead;
        l->room_dead = room;
    }
    l->dead[l->n_dead++] = p;
}

static void free_dead(load_loop *l)
{
    while (l->n_dead > 0)
        free(l->dead[--l->n_dead]);
}

static void take_alarm(load_loop *l)
{
    uint64_t n;

    if (read(l->timer, &n, sizeof(n)) != (ssize_t)sizeof(n))
        return;
    l->due = LOAD_NEVER;
    if (l->hooks.alarm != NULL)
        l->hooks.alarm(l->hooks.baton);
}

static void take_signal(load_loop *l)
{
    struct signalfd_siginfo info;

    if (read(l->signals, &info, sizeof(info)) == (ssize_t)sizeof(info))
        l->hooks.signal(l->hooks.baton, (int)info.ssi_signo);
}

/* Those that ask again have their turn in the next round. */
static void take_turns(load_loop *l)
{
    load_turn ring = l->turns, *t;

    if (l->turns.next == &l->turns)
        return;
    ring.next->prev = ring.prev->next = &ring;
    l->turns.next = l->turns.prev = &l->turns;
    while ((t = ring.next) != &ring) {
        load_loop_cancel(l, t);
        t->run(t);
    }
}

static void serve(load_loop *l, const struct epoll_event *ev)
{
    load_source *s = ev->data.ptr;

    if (ev->data.ptr == &l->timer)
        take_alarm(l);
    else if (ev->data.ptr == &l->signals)
        take_signal(l);
    else
        s->ready(s, ev->events);
}

bool load_loop_run(load_loop *l)
{
    static struct epoll_event events[EVENTS_MAX];
    int i, n;

    while (!l->stop) {
        n = epoll_wait(l->epoll, events, EVENTS_MAX,
                       l->turns.next != &l->turns ? 0 : SWEEP_MS);
        if (n < 0 && errno != EINTR)
            return false;
        l->now = load_clock();
        for (i = 0; i < n; i++)
            serve(l, &events[i]);
        take_turns(l);
        if (l->now - l->swept >= LOAD_SECOND) {
            l->swept = l->now;
            l->hooks.sweep(l->hooks.baton);
        }
        free_dead(l);
    }
    return true;
}

void load_loop_free(load_loop *l)
{
    free_dead(l);
    free(l->dead);
    close(l->epoll);
    close(l->timer);
    close(l->signals);
}
