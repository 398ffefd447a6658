/* SPDX-License-Identifier: Apache-2.0 */
/* test_poller_turn.c - whose turn it is: timers, tasks that want to go on,
 * bells, many tasks, many threads */
#include <pthread.h>

#include "poller_test.h"

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

START_TEST(test_poller_turn_timers)
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
START_TEST(test_poller_turn_timer_moves)
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
START_TEST(test_poller_turn_fairness)
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

START_TEST(test_poller_turn_ring)
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
START_TEST(test_poller_turn_ring_in_drive)
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

START_TEST(test_poller_turn_wake)
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

static void end_freed(relay_task *t)
{
    free(t);
}

/* Many of them, each with descriptors and timers, and all freed. */
START_TEST(test_poller_turn_many)
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

START_TEST(test_poller_turn_threads)
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

int main(void)
{
    Suite *s = suite_create("poller turns");
    TCase *tc = tcase_create("turns");
    apr_initialize();
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, test_poller_turn_timers);
    tcase_add_test(tc, test_poller_turn_timer_moves);
    tcase_add_test(tc, test_poller_turn_fairness);
    tcase_add_test(tc, test_poller_turn_ring);
    tcase_add_test(tc, test_poller_turn_ring_in_drive);
    tcase_add_test(tc, test_poller_turn_wake);
    tcase_add_test(tc, test_poller_turn_many);
    tcase_add_test(tc, test_poller_turn_threads);
    suite_add_tcase(s, tc);
    return test_main(s);
}
