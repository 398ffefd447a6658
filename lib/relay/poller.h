/* SPDX-License-Identifier: Apache-2.0 */
/*
 * poller.h - many tasks driven by one thread: epoll, a heap of timers, and
 * bells that other threads may ring.
 *
 * A task is what a channel is for the reactor: up to RELAY_TASK_FDS
 * descriptors, one timer, one function that does all that can be done and
 * then says what it waits for. Nothing here knows httpd.
 *
 * epoll watches open file descriptions, and a duplicate elsewhere keeps one
 * alive: whoever closes a descriptor that a task may have named does it by
 * relay_fd_close, so that the poller of the thread lets go of it before, or
 * has it let go by relay_fd_forget where somebody else will close it.
 */
#ifndef RELAY_POLLER_H
#define RELAY_POLLER_H

#include <apr_errno.h>
#include <apr_pools.h>
#include <poll.h>

#include "relay/timers.h"

/* Descriptors of one task. */
#define RELAY_TASK_FDS 5

typedef struct relay_poller relay_poller;
typedef struct relay_task relay_task;

/* Does everything that can be done now. revents[i] is what was reported for
 * the descriptor named in place i since the last call (0: nothing).
 * t->was_rung is set when its bell was rung, and in the first call; drive
 * clears it when it has looked. Fills fds[RELAY_TASK_FDS] (all -1 before; fd
 * -1: nothing; events as for poll(2), 0: errors only) and *at (RPCH_NEVER
 * before), the time of the task's timer; one not after now means "again, when
 * the others have had their turn". A descriptor that cannot be watched is
 * reported with POLLERR soon, again and again while it is named. False: the
 * task has ended. */
typedef bool relay_drive_fn(relay_task *t, const short *revents,
                            rpch_msec now, struct pollfd *fds,
                            rpch_msec *at);

/* The task has ended and the poller knows it no more: it may be freed. */
typedef void relay_ended_fn(relay_task *t);

/* Embedded in what is driven; zero it, then set the first two fields. A
 * descriptor belongs to one task: of two that name it, the later one is told
 * what happens. */
struct relay_task {
    relay_drive_fn *drive;
    relay_ended_fn *ended;
    bool was_rung;         /* for drive to read and clear */

    /* the poller's own */
    bool ready;            /* it is to be driven in this turn or the next */
    bool rung;             /* under the poller's lock, as the next */
    bool ending;
    relay_poller *poller;  /* atomic */
    struct {
        int fd;
        short events;
    } watch[RELAY_TASK_FDS];
    short revents[RELAY_TASK_FDS];
    relay_timer timer;
    relay_task *ready_next;
    relay_task *rung_next; /* under the poller's lock, as all that follow */
    relay_task *rung_prev;
    relay_task *all_next;
    relay_task *all_prev;
};

/* Makes a poller; freed with pool, when its thread runs no more turns. What
 * the system says when there are no descriptors. */
apr_status_t relay_poller_create(relay_poller **out, apr_pool_t *pool);

/* Gives a task to the poller, which drives it first with no revents. Any
 * thread; the task is the poller's until ended is called. */
void relay_poller_add(relay_poller *p, relay_task *t);

/* Has a task driven soon. Any thread; the caller knows that the task is there
 * (it holds a lock that drive or ended takes before the task goes). A task
 * that was not added yet needs no bell, for its first drive is one. */
void relay_poller_ring(relay_task *t);

/* Rings all tasks. Any thread. */
void relay_poller_ring_all(relay_poller *p);

/* One turn: waits at most max_msec for events, bells and timers, and drives
 * the tasks concerned, each once. In the poller's thread, which is the one
 * that calls this. */
void relay_poller_turn(relay_poller *p, int max_msec);

/* Makes a running turn, or the next one, return soon. Any thread;
 * async-signal-safe. */
void relay_poller_wake(relay_poller *p);

/* Tasks that were added and have not ended. Any thread. */
unsigned relay_poller_count(relay_poller *p);

/* Fills *p: events are waited for at fd; -1: nothing is. */
void relay_want(struct pollfd *p, int fd, short events);

/* If the calling thread is inside a turn, its poller forgets fd, and what was
 * reported for it: it is about to be closed by somebody who does not know of
 * relay_fd_close, a pool's cleanup. Nothing otherwise. */
void relay_fd_forget(int fd);

/* Closes fd; if the calling thread is inside a turn, its poller forgets fd
 * before, and what was reported for it. As close(2) otherwise. */
void relay_fd_close(int fd);

#endif
