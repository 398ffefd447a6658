/* SPDX-License-Identifier: Apache-2.0 */
/*
 * poller.c - one thread, many tasks: epoll, timers and bells.
 *
 * epoll reports level-triggered and by number: a table says whose a number
 * is, and what the kernel was told about it, so that a task that names the
 * same things again costs no system call. What one epoll_wait reports is
 * gathered first, and each task concerned is driven once.
 *
 * Bells, and the tasks that are new, are one list under the lock; the
 * eventfd is written by whoever finds that list empty. The lock is a leaf,
 * and never destroyed, since a pool may go while the process exits and its
 * other threads still run.
 */
#include "relay/poller.h"

#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "relay/clock.h"

/* Events taken by one turn; the others come first in the next. */
#define EVENTS_MAX 512

/* When a descriptor that could not be watched is looked at again, ms. */
#define UNWATCHED_PAUSE 100

/* The table of watches grows by this many descriptors at least. */
#define WATCHES_MIN 256

/* poll(2)'s bits and epoll's are the same here, up to EPOLLRDHUP. */
typedef char same_bits[POLLIN == EPOLLIN && POLLPRI == EPOLLPRI
                       && POLLOUT == EPOLLOUT && POLLERR == EPOLLERR
                       && POLLHUP == EPOLLHUP && EPOLLRDHUP == 0x2000
                       ? 1 : -1];

/* What epoll was told about a descriptor. */
typedef struct watch {
    relay_task *task; /* NULL: it is not watched */
    short events;
} watch;

struct relay_poller {
    int epoll_fd;
    int bell_fd;
    watch *watches;    /* by descriptor */
    size_t n_watches;
    relay_timers timers;
    relay_task *ready; /* to be driven, and where the next is put */
    relay_task **ready_end;
    unsigned count;    /* atomic */

    pthread_mutex_t lock;
    relay_task *rung;
    relay_task *rung_last;
    relay_task *all;

    struct epoll_event events[EVENTS_MAX];
};

/* The poller inside whose turn this thread is. */
static __thread relay_poller *turning;

static apr_status_t clean_up(void *data)
{
    relay_poller *p = data;
    close(p->epoll_fd);
    close(__atomic_exchange_n(&p->bell_fd, -1, __ATOMIC_ACQ_REL));
    relay_timers_free(&p->timers);
    free(p->watches);
    return APR_SUCCESS;
}

/* Level-triggered as all: a bell not yet taken is reported again. */
static bool watch_bell(relay_poller *p)
{
    struct epoll_event e;
    memset(&e, 0, sizeof(e));
    e.events = EPOLLIN;
    e.data.fd = p->bell_fd;
    return epoll_ctl(p->epoll_fd, EPOLL_CTL_ADD, p->bell_fd, &e) == 0;
}

apr_status_t relay_poller_create(relay_poller **out, apr_pool_t *pool)
{
    relay_poller *p = apr_pcalloc(pool, sizeof(*p));
    apr_status_t rv = pthread_mutex_init(&p->lock, NULL);
    if (rv)
        return rv;
    p->ready_end = &p->ready;
    p->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (p->epoll_fd < 0)
        return APR_FROM_OS_ERROR(errno);
    p->bell_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (p->bell_fd < 0 || !watch_bell(p)) {
        rv = APR_FROM_OS_ERROR(errno);
        if (p->bell_fd >= 0)
            close(p->bell_fd);
        close(p->epoll_fd);
        return rv;
    }
    apr_pool_cleanup_register(pool, p, clean_up, apr_pool_cleanup_null);
    *out = p;
    return APR_SUCCESS;
}

/* ---- bells ---- */

void relay_poller_wake(relay_poller *p)
{
    const uint64_t one = 1;
    int fd = __atomic_load_n(&p->bell_fd, __ATOMIC_ACQUIRE);
    int saved = errno;
    /* Fails only when the counter is near its end: it is readable anyway. */
    while (write(fd, &one, sizeof(one)) < 0 && errno == EINTR) {
    }
    errno = saved;
}

static void silence(relay_poller *p)
{
    uint64_t rung;
    while (read(p->bell_fd, &rung, sizeof(rung)) < 0 && errno == EINTR) {
    }
}

/* Under the lock. */
static void put_rung(relay_poller *p, relay_task *t)
{
    if (t->rung || t->ending)
        return;
    t->rung = true;
    t->rung_next = NULL;
    t->rung_prev = p->rung_last;
    if (p->rung_last)
        p->rung_last->rung_next = t;
    else
        p->rung = t;
    p->rung_last = t;
}

/* Under the lock. */
static void drop_rung(relay_poller *p, relay_task *t)
{
    if (!t->rung)
        return;
    t->rung = false;
    if (t->rung_prev)
        t->rung_prev->rung_next = t->rung_next;
    else
        p->rung = t->rung_next;
    if (t->rung_next)
        t->rung_next->rung_prev = t->rung_prev;
    else
        p->rung_last = t->rung_prev;
}

/* Leaves the lock, and wakes the poller if it had nothing in its list. */
static void unlock_and_wake(relay_poller *p, bool was_empty)
{
    bool wake = was_empty && p->rung;
    pthread_mutex_unlock(&p->lock);
    if (wake)
        relay_poller_wake(p);
}

void relay_poller_add(relay_poller *p, relay_task *t)
{
    bool was_empty;
    int i;
    for (i = 0; i < RELAY_TASK_FDS; i++)
        t->watch[i].fd = -1;
    __atomic_add_fetch(&p->count, 1, __ATOMIC_RELAXED);
    pthread_mutex_lock(&p->lock);
    was_empty = p->rung == NULL;
    t->all_prev = NULL;
    t->all_next = p->all;
    if (p->all)
        p->all->all_prev = t;
    p->all = t;
    __atomic_store_n(&t->poller, p, __ATOMIC_RELEASE);
    put_rung(p, t);
    unlock_and_wake(p, was_empty);
}

void relay_poller_ring(relay_task *t)
{
    relay_poller *p = __atomic_load_n(&t->poller, __ATOMIC_ACQUIRE);
    bool was_empty;
    if (!p)
        return;
    pthread_mutex_lock(&p->lock);
    was_empty = p->rung == NULL;
    put_rung(p, t);
    unlock_and_wake(p, was_empty);
}

void relay_poller_ring_all(relay_poller *p)
{
    relay_task *t;
    bool was_empty;
    pthread_mutex_lock(&p->lock);
    was_empty = p->rung == NULL;
    for (t = p->all; t; t = t->all_next)
        put_rung(p, t);
    unlock_and_wake(p, was_empty);
}

unsigned relay_poller_count(relay_poller *p)
{
    return __atomic_load_n(&p->count, __ATOMIC_RELAXED);
}

/* ---- descriptors ---- */

/* Whose fd is, or NULL. */
static relay_task *watcher(const relay_poller *p, int fd)
{
    return fd >= 0 && (size_t)fd < p->n_watches ? p->watches[fd].task : NULL;
}

static bool make_room(relay_poller *p, int fd)
{
    size_t n = 2 * p->n_watches;
    watch *w;
    if ((size_t)fd < p->n_watches)
        return true;
    if (n < (size_t)fd + WATCHES_MIN)
        n = (size_t)fd + WATCHES_MIN;
    w = realloc(p->watches, n * sizeof(*w));
    if (!w)
        return false;
    memset(w + p->n_watches, 0, (n - p->n_watches) * sizeof(*w));
    p->watches = w;
    p->n_watches = n;
    return true;
}

static bool control(relay_poller *p, int fd, short events, bool known)
{
    struct epoll_event e;
    memset(&e, 0, sizeof(e));
    e.events = (uint32_t)(unsigned short)events;
    e.data.fd = fd;
    if (epoll_ctl(p->epoll_fd, known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &e)
        == 0)
        return true;
    /* Closed, and opened again by somebody, without our having been told. */
    if (errno == ENOENT && known)
        return epoll_ctl(p->epoll_fd, EPOLL_CTL_ADD, fd, &e) == 0;
    if (errno == EEXIST && !known)
        return epoll_ctl(p->epoll_fd, EPOLL_CTL_MOD, fd, &e) == 0;
    return false;
}

static bool watch_fd(relay_poller *p, relay_task *t, int fd, short events)
{
    watch *w;
    if (!make_room(p, fd))
        return false;
    w = &p->watches[fd];
    if (w->task == t && w->events == events)
        return true;
    if (!control(p, fd, events, w->task != NULL)) {
        w->task = NULL;
        return false;
    }
    w->task = t;
    w->events = events;
    return true;
}

static void unwatch_fd(relay_poller *p, int fd)
{
    struct epoll_event e;
    memset(&e, 0, sizeof(e));
    if ((size_t)fd < p->n_watches)
        p->watches[fd].task = NULL;
    epoll_ctl(p->epoll_fd, EPOLL_CTL_DEL, fd, &e);
}

static void release_fd(relay_poller *p, const relay_task *t, int fd)
{
    if (watcher(p, fd) == t)
        unwatch_fd(p, fd);
}

void relay_want(struct pollfd *p, int fd, short events)
{
    p->fd = fd;
    p->events = events;
    p->revents = 0;
}

void relay_fd_forget(int fd)
{
    relay_task *t = turning ? watcher(turning, fd) : NULL;
    int i;
    if (t) {
        unwatch_fd(turning, fd);
        for (i = 0; i < RELAY_TASK_FDS; i++) {
            if (t->watch[i].fd == fd) {
                t->watch[i].fd = -1;
                t->revents[i] = 0;
            }
        }
    }
}

void relay_fd_close(int fd)
{
    relay_fd_forget(fd);
    close(fd);
}

static bool names(const struct pollfd *fds, int fd)
{
    int i;
    for (i = 0; i < RELAY_TASK_FDS; i++) {
        if (fds[i].fd == fd)
            return true;
    }
    return false;
}

/* All that t wants of fd, in whichever places. */
static short wanted(const struct pollfd *fds, int fd)
{
    short events = 0;
    int i;
    for (i = 0; i < RELAY_TASK_FDS; i++) {
        if (fds[i].fd == fd)
            events |= fds[i].events;
    }
    return events;
}

/* Has t watch fds instead of what it named before. False when something
 * cannot be watched: it is reported by POLLERR. */
static bool apply(relay_poller *p, relay_task *t, const struct pollfd *fds)
{
    bool all = true;
    int i;
    for (i = 0; i < RELAY_TASK_FDS; i++) {
        if (!names(fds, t->watch[i].fd))
            release_fd(p, t, t->watch[i].fd);
    }
    for (i = 0; i < RELAY_TASK_FDS; i++) {
        int fd = fds[i].fd;
        t->watch[i].fd = fd;
        t->watch[i].events = fds[i].events;
        if (fd >= 0 && !watch_fd(p, t, fd, wanted(fds, fd))) {
            t->revents[i] = POLLERR;
            all = false;
        }
    }
    return all;
}

/* ---- turns ---- */

static void put_ready(relay_poller *p, relay_task *t)
{
    if (t->ready)
        return;
    t->ready = true;
    t->ready_next = NULL;
    *p->ready_end = t;
    p->ready_end = &t->ready_next;
}

static void note_event(relay_poller *p, int fd, short revents)
{
    relay_task *t = watcher(p, fd);
    int i;
    if (fd == p->bell_fd) {
        silence(p);
        return;
    }
    if (!t) {
        unwatch_fd(p, fd);
        return;
    }
    for (i = 0; i < RELAY_TASK_FDS; i++) {
        if (t->watch[i].fd == fd)
            t->revents[i] |= (short)(revents & (t->watch[i].events | POLLERR
                                                | POLLHUP));
    }
    put_ready(p, t);
}

/* After the events: whoever rings after the bell's was taken rings again. */
static void note_rung(relay_poller *p)
{
    pthread_mutex_lock(&p->lock);
    while (p->rung) {
        relay_task *t = p->rung;
        drop_rung(p, t);
        t->was_rung = true;
        put_ready(p, t);
    }
    pthread_mutex_unlock(&p->lock);
}

static relay_task *task_of(relay_timer *timer)
{
    return (relay_task *)((char *)timer - offsetof(relay_task, timer));
}

static void note_timers(relay_poller *p, rpch_msec now)
{
    while (relay_timers_next(&p->timers) <= now) {
        relay_timer *timer = relay_timers_first(&p->timers);
        relay_timers_set(&p->timers, timer, RPCH_NEVER);
        put_ready(p, task_of(timer));
    }
}

static void end(relay_poller *p, relay_task *t)
{
    int i;
    for (i = 0; i < RELAY_TASK_FDS; i++)
        release_fd(p, t, t->watch[i].fd);
    relay_timers_set(&p->timers, &t->timer, RPCH_NEVER);
    pthread_mutex_lock(&p->lock);
    drop_rung(p, t);
    t->ending = true;
    if (t->all_prev)
        t->all_prev->all_next = t->all_next;
    else
        p->all = t->all_next;
    if (t->all_next)
        t->all_next->all_prev = t->all_prev;
    pthread_mutex_unlock(&p->lock);
    __atomic_sub_fetch(&p->count, 1, __ATOMIC_RELAXED);
    t->ended(t);
}

static void drive(relay_poller *p, relay_task *t)
{
    struct pollfd fds[RELAY_TASK_FDS];
    short revents[RELAY_TASK_FDS];
    rpch_msec now = relay_now();
    rpch_msec at = RPCH_NEVER;
    int i;
    t->ready = false;
    for (i = 0; i < RELAY_TASK_FDS; i++) {
        fds[i].fd = -1;
        fds[i].events = fds[i].revents = 0;
        revents[i] = t->revents[i];
        t->revents[i] = 0;
    }
    if (!t->drive(t, revents, now, fds, &at)) {
        end(p, t);
        return;
    }
    if (!apply(p, t, fds) && at > now + UNWATCHED_PAUSE)
        at = now + UNWATCHED_PAUSE;
    if (at > now && relay_timers_set(&p->timers, &t->timer, at))
        return;
    relay_timers_set(&p->timers, &t->timer, RPCH_NEVER);
    put_ready(p, t);
}

static void drive_ready(relay_poller *p)
{
    relay_task *t = p->ready;
    p->ready = NULL;
    p->ready_end = &p->ready;
    while (t) {
        relay_task *next = t->ready_next;
        drive(p, t);
        t = next;
    }
}

void relay_poller_turn(relay_poller *p, int max_msec)
{
    int wait = p->ready ? 0 : relay_poll_timeout(relay_timers_next(&p->timers),
                                                 relay_now(), max_msec);
    int i, n = epoll_wait(p->epoll_fd, p->events, EVENTS_MAX, wait);
    /* A timer that is due is no reason to miss what came before: a process
     * that was stopped and goes on finds both. */
    if (n < 0 && errno == EINTR)
        n = epoll_wait(p->epoll_fd, p->events, EVENTS_MAX, 0);
    turning = p;
    for (i = 0; i < n; i++)
        note_event(p, p->events[i].data.fd, (short)p->events[i].events);
    note_rung(p);
    note_timers(p, relay_now());
    drive_ready(p);
    turning = NULL;
}
