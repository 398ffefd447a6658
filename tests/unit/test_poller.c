/* SPDX-License-Identifier: Apache-2.0 */
/* test_poller.c - tasks and their descriptors: events, places, and
 * descriptors that are closed and numbers that come back */
#include <fcntl.h>

#include "fd_test.h"
#include "poller_test.h"

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

static void forget_named(actor *a)
{
    relay_fd_forget(a->fd[0]);
    a->fd[0] = -1;
    a->in_drive = NULL;
}

/* It is open still, and another's from now on. */
START_TEST(test_poller_forgotten)
{
    actor a;
    int pair[2];
    make_pair(pair);
    enter(&a);
    name(&a, 0, pair[0], POLLIN);
    tell(&a);
    a.in_drive = forget_named;
    tell(&a);
    ck_assert_int_eq(a.drives, 3);
    say(pair[1]);
    relay_poller_turn(p, 0);
    relay_poller_turn(p, 0);
    ck_assert_int_eq(a.drives, 3);
    name(&a, 0, pair[0], POLLIN);
    tell(&a);
    relay_poller_turn(p, WAIT);
    ck_assert_int_eq(a.seen[0], POLLIN);
    leave(&a);
    relay_fd_forget(pair[0]); /* outside of a turn: nothing */
    ck_assert_int_ge(fcntl(pair[0], F_GETFD), 0);
    close(pair[0]);
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
    TCase *tc = tcase_create("descriptors");
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
    tcase_add_test(tc, test_poller_number_reused);
    tcase_add_test(tc, test_poller_duplicate);
    tcase_add_test(tc, test_poller_closed_by_other);
    tcase_add_test(tc, test_poller_forgotten);
    tcase_add_test(tc, test_poller_close_outside);
    tcase_add_test(tc, test_poller_descriptors);
    suite_add_tcase(s, tc);
    return test_main(s);
}
