/* SPDX-License-Identifier: Apache-2.0 */
/* test_poller.c - tasks of one thread: events, timers, bells, fairness, and
 * descriptors that are closed and numbers that come back */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include <apr_general.h>

#include "relay/clock.h"
#include "relay/poller.h"
#include "fd_test.h"

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
static int turn_order;

static bool drive(relay_task *t, const short *revents, rpch_msec now,
                  struct pollfd *fds, rpch_msec *at)
{
    actor *a = (actor *)t;
    int i;
    a->drives++;
    a->rung += t->was_rung;
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

static void ended(relay_task *t)
{
    ((actor *)t)->ended++;
}

static void be_born(actor *a)
{
    int i;
    memset(a, 0, sizeof(*a));
    a->task.drive = drive;
    a->task.ended = ended;
    a->at = RPCH_NEVER;
    for (i = 0; i < RELAY_TASK_FDS; i++)
        a->fd[i] = -1;
}

/* A task, driven once. */
static void enter(actor *a)
{
    be_born(a);
    relay_poller_add(p, &a->task);
    relay_poller_turn(p, 0);
    ck_assert_int_eq(a->drives, 1);
}

static void name(actor *a, int place, int fd, short events)
{
    a->fd[place] = fd;
    a->events[place] = events;
}

/* Has a driven, so that the poller hears what it names. */
static void tell(actor *a)
{
    int before = a->drives;
    relay_poller_ring(&a->task);
    relay_poller_turn(p, WAIT);
    ck_assert_int_eq(a->drives, before + 1);
}

static void leave(actor *a)
{
    a->over = true;
    relay_poller_ring(&a->task);
    while (!a->ended)
        relay_poller_turn(p, WAIT);
    ck_assert_int_eq(a->ended, 1);
}

static void make_pair(int *pair)
{
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair),
                     0);
}

static void say(int fd)
{
    ck_assert_int_eq(write(fd, "x", 1), 1);
}

static void hear(int fd)
{
    char c;
    ck_assert_int_eq(read(fd, &c, 1), 1);
}

static void setup(void)
{
    ck_assert_int_eq(apr_pool_create(&pool, NULL), APR_SUCCESS);
    ck_assert_int_eq(relay_poller_create(&p, pool), APR_SUCCESS);
    turn_order = 0;
}

static void teardown(void)
{
    apr_pool_destroy(pool);
}

START_TEST(test_poller_first)
{
    actor a;
    int i;
    be_born(&a);
    ck_assert_uint_eq(relay_poller_count(p), 0);
    relay_poller_add(p, &a.task);
    ck_assert_uint_eq(relay_poller_count(p), 1);
    relay_poller_turn(p, WAIT);
    ck_assert_int_eq(a.drives, 1);
    ck_assert_int_eq(a.rung, 1);
    for (i = 0; i < RELAY_TASK_FDS; i++)
        ck_assert_int_eq(a.seen[i], 0);
    relay_poller_turn(p, 0);
    relay_poller_turn(p, 0);
    ck_assert_int_eq(a.drives, 1);
    leave(&a);
    ck_assert_uint_eq(relay_poller_count(p), 0);
    relay_poller_turn(p, 0);
    ck_assert_int_eq(a.drives, 2);
}
END_TEST

START_TEST(test_poller_events)
{
    actor a;
    int one[2], two[2];
    make_pair(one);
    make_pair(two);
    enter(&a);
    name(&a, 1, one[0], POLLIN);
    name(&a, 3, two[0], 0);
    tell(&a);
    relay_poller_turn(p, 0);
    ck_assert_int_eq(a.drives, 2);
    say(one[1]);
    say(two[1]);
    relay_poller_turn(p, WAIT);
    ck_assert_int_eq(a.drives, 3);
    ck_assert_int_eq(a.rung, 2);
    ck_assert_int_eq(a.seen[1], POLLIN);
    ck_assert_int_eq(a.seen[3], 0);
    /* Level-triggered: not read, reported again. */
    relay_poller_turn(p, WAIT);
    ck_assert_int_eq(a.seen[1], POLLIN);
    hear(one[0]);
    name(&a, 3, two[0], POLLIN | POLLOUT);
    tell(&a);
    relay_poller_turn(p, WAIT);
    ck_assert_int_eq(a.seen[1], 0);
    ck_assert_int_eq(a.seen[3], POLLIN | POLLOUT);
    name(&a, 3, two[0], 0);
    tell(&a);
    relay_poller_turn(p, 0);
    ck_assert_int_eq(a.drives, 7);
    /* Errors come unasked. */
    close(two[1]);
    relay_poller_turn(p, WAIT);
    ck_assert_int_eq(a.drives, 8);
    ck_assert_int_ne(a.seen[3] & (POLLHUP | POLLERR), 0);
    name(&a, 3, -1, POLLIN);
    tell(&a);
    relay_poller_turn(p, 0);
    ck_assert_int_eq(a.drives, 9);
    leave(&a);
    close(one[0]);
    close(one[1]);
    close(two[0]);
}
END_TEST

/* POLLRDHUP is told apart, as by poll(2). */
START_TEST(test_poller_rdhup)
{
    actor a;
    int pair[2];
    make_pair(pair);
    enter(&a);
    name(&a, 0, pair[0], 0x2000 /* POLLRDHUP */);
    tell(&a);
    shutdown(pair[1], SHUT_WR);
    relay_poller_turn(p, WAIT);
    ck_assert_int_eq(a.seen[0], 0x2000);
    leave(&a);
    close(pair[0]);
    close(pair[1]);
}
END_TEST

/* Several events of one task are one drive. */
START_TEST(test_poller_batch)
{
    actor a, b;
    int pair[RELAY_TASK_FDS][2];
    int i;
    enter(&a);
    enter(&b);
    for (i = 0; i < RELAY_TASK_FDS; i++) {
        make_pair(pair[i]);
        name(&a, i, pair[i][0], POLLIN);
    }
    tell(&a);
    for (i = 0; i < RELAY_TASK_FDS; i++)
        say(pair[i][1]);
    relay_poller_ring(&a.task);
    relay_poller_turn(p, WAIT);
    ck_assert_int_eq(a.drives, 3);
    ck_assert_int_eq(b.drives, 1);
    for (i = 0; i < RELAY_TASK_FDS; i++)
        ck_assert_int_eq(a.seen[i], POLLIN);
    leave(&a);
    leave(&b);
    for (i = 0; i < RELAY_TASK_FDS; i++) {
        close(pair[i][0]);
        close(pair[i][1]);
    }
}
END_TEST

/* A descriptor may move to another place, or stand in two. */
START_TEST(test_poller_places)
{
    actor a;
    int pair[2];
    make_pair(pair);
    enter(&a);
    name(&a, 0, pair[0], POLLIN);
    tell(&a);
    name(&a, 0, -1, 0);
    name(&a, 4, pair[0], POLLIN);
    tell(&a);
    say(pair[1]);
    relay_poller_turn(p, WAIT);
    ck_assert_int_eq(a.seen[0], 0);
    ck_assert_int_eq(a.seen[4], POLLIN);
    name(&a, 2, pair[0], POLLOUT);
    tell(&a);
    relay_poller_turn(p, WAIT);
    ck_assert_int_eq(a.seen[4], POLLIN);
    ck_assert_int_eq(a.seen[2], POLLOUT);
    name(&a, 4, -1, 0);
    tell(&a);
    relay_poller_turn(p, WAIT);
    ck_assert_int_eq(a.seen[4], 0);
    ck_assert_int_eq(a.seen[2], POLLOUT);
    name(&a, 2, -1, 0);
    tell(&a);
    relay_poller_turn(p, 0);
    ck_assert_int_eq(a.drives, 9);
    leave(&a);
    close(pair[0]);
    close(pair[1]);
}
END_TEST

/* Of two tasks that name one descriptor, the later is told; whichever goes
 * first takes nothing from the other. */
START_TEST(test_poller_same_fd)
{
    actor a, b;
    int pair[2];
    make_pair(pair);
    enter(&a);
    enter(&b);
    name(&a, 0, pair[0], POLLIN);
    tell(&a);
    name(&b, 2, pair[0], POLLIN);
    tell(&b);
    say(pair[1]);
    relay_poller_turn(p, WAIT);
    ck_assert_int_eq(a.drives, 2);
    ck_assert_int_eq(b.seen[2], POLLIN);
    leave(&a);
    relay_poller_turn(p, WAIT);
    ck_assert_int_eq(b.seen[2], POLLIN);
    leave(&b);
    close(pair[0]);
    close(pair[1]);
}
END_TEST

/* A descriptor that epoll refuses, or that is none, is reported, and the
 * others of its task are watched. */
START_TEST(test_poller_unwatchable)
{
    actor a;
    int pair[2];
    int file = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
    ck_assert_int_ge(file, 0);
    make_pair(pair);
    close(pair[0]);
    enter(&a);
    name(&a, 0, file, POLLIN);
    name(&a, 1, pair[0], POLLIN);
    name(&a, 2, pair[1], POLLIN);
    tell(&a);
    while (!a.all[0])
        relay_poller_turn(p, WAIT);
    ck_assert_int_eq(a.all[0], POLLERR);
    ck_assert_int_eq(a.all[1], POLLERR);
    ck_assert_int_eq(a.all[2] & POLLHUP, POLLHUP);
    leave(&a);
    close(pair[1]);
    close(file);
}
END_TEST

/* The timer is set by the first drive, and not again. */
static void set_once(actor *a)
{
    if (a->drives > 1)
        a->at = RPCH_NEVER;
}

static void turn_until_driven(actor *a)
{
    int before = a->drives;
    while (a->drives == before)
        relay_poller_turn(p, WAIT);
}

START_TEST(test_poller_timers)
{
    enum { N = 64 };
    actor a[N];
    rpch_msec now = relay_now();
    int i, j;
    for (i = 0; i < N; i++) {
        be_born(&a[i]);
        a[i].in_drive = set_once;
        /* In an order of no kind. */
        a[i].at = now + 200 + (rpch_msec)(i * 37 % N);
        relay_poller_add(p, &a[i].task);
    }
    for (i = 0; i < N; i++) {
        while (a[i].drives < 2)
            relay_poller_turn(p, WAIT);
        ck_assert_uint_ge(relay_now(), now + 200 + (rpch_msec)(i * 37 % N));
    }
    for (i = 0; i < N; i++) {
        ck_assert_int_eq(a[i].drives, 2);
        for (j = 0; j < N; j++) {
            if (i * 37 % N < j * 37 % N)
                ck_assert_int_lt(a[i].order, a[j].order);
        }
    }
    for (i = 0; i < N; i++)
        leave(&a[i]);
}
END_TEST

/* A timer that moves, forwards and back, and one that is taken away. */
START_TEST(test_poller_timer_moves)
{
    actor a, b;
    enter(&a);
    enter(&b);
    a.at = relay_now() + 3600000;
    tell(&a);
    b.at = relay_now() + 7200000;
    tell(&b);
    b.at = relay_now() + 1;
    tell(&b);
    b.at = RPCH_NEVER;
    turn_until_driven(&b);
    ck_assert_int_eq(a.drives, 2);
    a.at = RPCH_NEVER;
    tell(&a);
    relay_poller_turn(p, 0);
    ck_assert_int_eq(a.drives, 3);
    ck_assert_int_eq(b.drives, 4);
    leave(&a);
    leave(&b);
}
END_TEST

/* Tasks that want to go on take turns with all others. */
START_TEST(test_poller_fairness)
{
    actor a, b, c;
    int pair[2];
    int i;
    make_pair(pair);
    enter(&a);
    enter(&b);
    enter(&c);
    name(&c, 0, pair[0], POLLIN);
    tell(&c);
    say(pair[1]);
    a.again = b.again = true;
    relay_poller_ring(&a.task);
    relay_poller_ring(&b.task);
    for (i = 0; i < 100; i++) {
        relay_poller_turn(p, WAIT);
        ck_assert_int_eq(a.drives, 2 + i);
        ck_assert_int_eq(b.drives, 2 + i);
        ck_assert_int_eq(c.drives, 3 + i);
    }
    a.again = false;
    relay_poller_turn(p, WAIT);
    relay_poller_turn(p, WAIT);
    ck_assert_int_eq(a.drives, 102);
    ck_assert_int_eq(b.drives, 103);
    leave(&a);
    leave(&b);
    leave(&c);
    close(pair[0]);
    close(pair[1]);
}
END_TEST

START_TEST(test_poller_ring)
{
    actor a, b;
    be_born(&a);
    /* Before it is added: its first drive is what was rung for. */
    relay_poller_ring(&a.task);
    relay_poller_add(p, &a.task);
    relay_poller_ring(&a.task);
    relay_poller_ring(&a.task);
    relay_poller_turn(p, WAIT);
    ck_assert_int_eq(a.drives, 1);
    ck_assert_int_eq(a.rung, 1);
    relay_poller_turn(p, 0);
    ck_assert_int_eq(a.drives, 1);
    enter(&b);
    relay_poller_ring_all(p);
    relay_poller_turn(p, WAIT);
    ck_assert_int_eq(a.drives, 2);
    ck_assert_int_eq(b.drives, 2);
    ck_assert_int_eq(b.rung, 2);
    leave(&a);
    relay_poller_ring_all(p);
    relay_poller_turn(p, WAIT);
    ck_assert_int_eq(b.drives, b.rung);
    ck_assert_int_eq(a.drives, 3);
    leave(&b);
}
END_TEST

static void ring_self_and_other(actor *a)
{
    relay_poller_ring(&a->task);
    relay_poller_ring(&a->other->task);
}

/* Rung while they are driven: they are driven again, unless they ended. */
START_TEST(test_poller_ring_in_drive)
{
    actor a, b;
    enter(&a);
    enter(&b);
    a.in_drive = ring_self_and_other;
    a.other = &b;
    tell(&a);
    a.in_drive = NULL;
    relay_poller_turn(p, WAIT);
    ck_assert_int_eq(a.drives, 3);
    ck_assert_int_eq(a.rung, 3);
    ck_assert_int_eq(b.drives, 2);
    a.in_drive = ring_self_and_other;
    a.over = true;
    tell(&a);
    ck_assert_int_eq(a.ended, 1);
    relay_poller_turn(p, WAIT);
    relay_poller_turn(p, 0);
    ck_assert_int_eq(a.drives, 4);
    ck_assert_int_eq(b.drives, 3);
    leave(&b);
}
END_TEST

START_TEST(test_poller_wake)
{
    actor a;
    enter(&a);
    relay_poller_wake(p);
    /* Would be waited for otherwise: this test has a timeout. */
    relay_poller_turn(p, 3600000);
    ck_assert_int_eq(a.drives, 1);
    leave(&a);
}
END_TEST

static int reopened;

static void close_and_reopen(actor *a)
{
    int pair[2];
    int old = a->fd[0];
    relay_fd_close(old);
    make_pair(pair);
    ck_assert_int_eq(pair[0], old);
    reopened = pair[1];
    a->in_drive = NULL;
}

/* The number is the same, the file another: it is watched like a new one. */
START_TEST(test_poller_number_reused)
{
    actor a;
    int pair[2];
    make_pair(pair);
    enter(&a);
    name(&a, 0, pair[0], POLLIN);
    tell(&a);
    a.in_drive = close_and_reopen;
    tell(&a);
    relay_poller_turn(p, 0);
    ck_assert_int_eq(a.drives, 3);
    say(reopened);
    relay_poller_turn(p, WAIT);
    ck_assert_int_eq(a.drives, 4);
    ck_assert_int_eq(a.seen[0], POLLIN);
    leave(&a);
    close(a.fd[0]);
    close(reopened);
    close(pair[1]);
}
END_TEST

static void close_named(actor *a)
{
    relay_fd_close(a->fd[0]);
    a->fd[0] = -1;
    a->in_drive = NULL;
}

/* A duplicate keeps the file alive, which epoll would go on reporting. */
START_TEST(test_poller_duplicate)
{
    actor a;
    int pair[2];
    int copy;
    make_pair(pair);
    copy = dup(pair[0]);
    ck_assert_int_ge(copy, 0);
    enter(&a);
    name(&a, 0, pair[0], POLLIN);
    tell(&a);
    say(pair[1]);
    a.in_drive = close_named;
    relay_poller_turn(p, WAIT);
    ck_assert_int_eq(a.seen[0], POLLIN);
    /* Nothing happens any more: this turn runs into its timer. */
    a.at = relay_now() + 20;
    tell(&a);
    a.at = RPCH_NEVER;
    relay_poller_turn(p, 3600000);
    ck_assert_int_eq(a.drives, 5);
    ck_assert_int_eq(a.seen[0], 0);
    leave(&a);
    close(copy);
    close(pair[1]);
}
END_TEST

/* Closed by another task in the turn in which it was reported: the task that
 * named it does not hear of the old file what may be of a new one. */
START_TEST(test_poller_closed_by_other)
{
    actor a, b;
    int pair[2];
    make_pair(pair);
    enter(&a);
    enter(&b);
    name(&a, 0, pair[0], POLLIN);
    tell(&a);
    b.again = true;
    tell(&b);
    /* b has its turn first now. */
    say(pair[1]);
    b.in_drive = close_named;
    b.fd[0] = pair[0];
    a.fd[0] = -1;
    relay_poller_turn(p, WAIT);
    ck_assert_int_eq(a.drives, 3);
    ck_assert_int_gt(a.order, b.order);
    ck_assert_int_eq(a.seen[0], 0);
    leave(&a);
    leave(&b);
    close(pair[1]);
}
END_TEST

/* Outside a turn it is close(2). */
START_TEST(test_poller_close_outside)
{
    int pair[2];
    make_pair(pair);
    relay_fd_close(pair[0]);
    ck_assert_int_eq(fcntl(pair[0], F_GETFD), -1);
    close(pair[1]);
}
END_TEST

static void end_freed(relay_task *t)
{
    free(t);
}

/* Many of them, each with descriptors and timers, and all freed. */
START_TEST(test_poller_many)
{
    enum { N = 10000 };
    actor **all = calloc(N, sizeof(*all));
    int pair[2];
    int i, sum = 0;
    make_pair(pair);
    for (i = 0; i < N; i++) {
        all[i] = malloc(sizeof(actor));
        be_born(all[i]);
        all[i]->task.ended = end_freed;
        all[i]->at = relay_now() + 3600000 + (rpch_msec)(i * 7919 % N);
        relay_poller_add(p, &all[i]->task);
    }
    name(all[N / 2], 0, pair[0], POLLIN);
    relay_poller_turn(p, WAIT);
    ck_assert_uint_eq(relay_poller_count(p), N);
    say(pair[1]);
    relay_poller_turn(p, WAIT);
    for (i = 0; i < N; i++)
        sum += all[i]->drives;
    ck_assert_int_eq(sum, N + 1);
    ck_assert_int_eq(all[N / 2]->drives, 2);
    for (i = 0; i < N; i += 2)
        all[i]->over = true;
    relay_poller_ring_all(p);
    relay_poller_turn(p, WAIT);
    ck_assert_uint_eq(relay_poller_count(p), N / 2);
    for (i = 1; i < N; i += 2) {
        ck_assert_int_eq(all[i]->drives, 2);
        all[i]->at = relay_now() + 1;
    }
    relay_poller_ring_all(p);
    relay_poller_turn(p, WAIT);
    for (i = 1; i < N; i += 2)
        all[i]->over = true;
    while (relay_poller_count(p) > 0)
        relay_poller_turn(p, WAIT);
    free(all);
    close(pair[0]);
    close(pair[1]);
}
END_TEST

enum { THREADS = 4, EACH = 500 };

/* Adds tasks, rings each of them, and has them end. */
static void *adder(void *data)
{
    actor *a = data;
    int i;
    for (i = 0; i < EACH; i++) {
        be_born(&a[i]);
        relay_poller_add(p, &a[i].task);
        relay_poller_ring(&a[i].task);
        if (i > 0)
            relay_poller_ring(&a[i - 1].task);
    }
    return NULL;
}

START_TEST(test_poller_threads)
{
    static actor a[THREADS][EACH];
    pthread_t thread[THREADS];
    int i, j;
    for (i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&thread[i], NULL, adder, a[i]), 0);
    while (relay_poller_count(p) < THREADS * EACH)
        relay_poller_turn(p, WAIT);
    for (i = 0; i < THREADS; i++)
        pthread_join(thread[i], NULL);
    relay_poller_turn(p, 0);
    for (i = 0; i < THREADS; i++) {
        for (j = 0; j < EACH; j++) {
            ck_assert_int_ge(a[i][j].drives, 1);
            a[i][j].over = true;
        }
    }
    relay_poller_ring_all(p);
    relay_poller_turn(p, WAIT);
    ck_assert_uint_eq(relay_poller_count(p), 0);
    for (i = 0; i < THREADS; i++) {
        for (j = 0; j < EACH; j++)
            ck_assert_int_eq(a[i][j].ended, 1);
    }
}
END_TEST

/* A poller takes two descriptors and gives them back. */
START_TEST(test_poller_descriptors)
{
    apr_pool_t *own;
    relay_poller *q;
    unsigned fds = open_fds();
    ck_assert_int_eq(apr_pool_create(&own, NULL), APR_SUCCESS);
    ck_assert_int_eq(relay_poller_create(&q, own), APR_SUCCESS);
    ck_assert_uint_eq(open_fds(), fds + 2);
    apr_pool_destroy(own);
    ck_assert_uint_eq(open_fds(), fds);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("poller");
    TCase *tc = tcase_create("tasks");
    apr_initialize();
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, test_poller_first);
    tcase_add_test(tc, test_poller_events);
    tcase_add_test(tc, test_poller_rdhup);
    tcase_add_test(tc, test_poller_batch);
    tcase_add_test(tc, test_poller_places);
    tcase_add_test(tc, test_poller_same_fd);
    tcase_add_test(tc, test_poller_unwatchable);
    tcase_add_test(tc, test_poller_timers);
    tcase_add_test(tc, test_poller_timer_moves);
    tcase_add_test(tc, test_poller_fairness);
    tcase_add_test(tc, test_poller_ring);
    tcase_add_test(tc, test_poller_ring_in_drive);
    tcase_add_test(tc, test_poller_wake);
    tcase_add_test(tc, test_poller_number_reused);
    tcase_add_test(tc, test_poller_duplicate);
    tcase_add_test(tc, test_poller_closed_by_other);
    tcase_add_test(tc, test_poller_close_outside);
    tcase_add_test(tc, test_poller_many);
    tcase_add_test(tc, test_poller_threads);
    tcase_add_test(tc, test_poller_descriptors);
    suite_add_tcase(s, tc);
    return test_main(s);
}
