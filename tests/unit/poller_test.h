/* SPDX-License-Identifier: Apache-2.0 */
/* poller_test.h - tasks for the tests of the poller, which do as they are
 * told and note what they are told */
#ifndef POLLER_TEST_H
#define POLLER_TEST_H

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <apr_general.h>

#include "relay/clock.h"
#include "relay/poller.h"
#include "rpch_test.h"

/* No turn may wait longer than this; tests fail by Check's timeout. */
#define WAIT 5000

/* A task whose next wishes the test sets. */
typedef struct actor {
    relay_task task;
    int fd[RELAY_TASK_FDS];        /* what it names; -1: nothing */
    short events[RELAY_TASK_FDS];
    rpch_msec at;
    bool again;                    /* in place of at: not after now */
    bool over;                     /* the next drive is its last */
    void (*in_drive)(struct actor *a);
    int drives;
    int rung;                      /* drives with was_rung */
    int ended;
    short seen[RELAY_TASK_FDS];    /* of the last drive */
    short all[RELAY_TASK_FDS];     /* of all */
    int order;                     /* when it was driven last */
    struct actor *other;
} actor;

static apr_pool_t *pool;
static relay_poller *p;
static int turn_order; /* drives so far */

/* Its relay_drive_fn. */
static inline bool actor_drive(relay_task *t, const short *revents,
                               rpch_msec now, struct pollfd *fds,
                               rpch_msec *at)
{
    actor *a = (actor *)t;
    int i;
    a->drives++;
    a->rung += t->was_rung;
    t->was_rung = false;
    a->order = ++turn_order;
    for (i = 0; i < RELAY_TASK_FDS; i++) {
        a->seen[i] = revents[i];
        a->all[i] |= revents[i];
    }
    if (a->in_drive)
        a->in_drive(a);
    for (i = 0; i < RELAY_TASK_FDS; i++) {
        ck_assert_int_eq(fds[i].fd, -1);
        fds[i].fd = a->fd[i];
        fds[i].events = a->events[i];
    }
    ck_assert_uint_eq(*at, RPCH_NEVER);
    *at = a->again ? now : a->at;
    return !a->over;
}

static inline void actor_ended(relay_task *t)
{
    ((actor *)t)->ended++;
}

static inline void be_born(actor *a)
{
    int i;
    memset(a, 0, sizeof(*a));
    a->task.drive = actor_drive;
    a->task.ended = actor_ended;
    a->at = RPCH_NEVER;
    for (i = 0; i < RELAY_TASK_FDS; i++)
        a->fd[i] = -1;
}

/* A task, driven once. */
static inline void enter(actor *a)
{
    be_born(a);
    relay_poller_add(p, &a->task);
    relay_poller_turn(p, 0);
    ck_assert_int_eq(a->drives, 1);
}

static inline void name(actor *a, int place, int fd, short events)
{
    a->fd[place] = fd;
    a->events[place] = events;
}

/* Has a driven, so that the poller hears what it names. */
static inline void tell(actor *a)
{
    int before = a->drives;
    relay_poller_ring(&a->task);
    relay_poller_turn(p, WAIT);
    ck_assert_int_eq(a->drives, before + 1);
}

static inline void leave(actor *a)
{
    a->over = true;
    relay_poller_ring(&a->task);
    while (!a->ended)
        relay_poller_turn(p, WAIT);
    ck_assert_int_eq(a->ended, 1);
}

static inline void make_pair(int *pair)
{
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair),
                     0);
}

static inline void say(int fd)
{
    ck_assert_int_eq(write(fd, "x", 1), 1);
}

static inline void hear(int fd)
{
    char c;
    ck_assert_int_eq(read(fd, &c, 1), 1);
}

static inline void setup(void)
{
    ck_assert_int_eq(apr_pool_create(&pool, NULL), APR_SUCCESS);
    ck_assert_int_eq(relay_poller_create(&p, pool), APR_SUCCESS);
    turn_order = 0;
}

static inline void teardown(void)
{
    apr_pool_destroy(pool);
}

#endif
