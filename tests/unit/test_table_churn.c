/* SPDX-License-Identifier: Apache-2.0 */
/* test_table_churn.c - the shared table under many threads and processes at
 * once, some of which are killed wherever they happen to be */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "table_test.h"

#define MAX 300u

static void setup(void)
{
    table_test_open(MAX);
}

/* A half that we hold passes to a channel of another number, leaves for
 * another proxy, or ends; false while it is still ours. Check's assertions
 * write to a file that threads and processes share, which a SIGKILL can cut
 * in the middle of a record: not here. */
static bool let_go(relay_ref ref, relay_dir dir, uint32_t *seed)
{
    static const relay_counters one = { 10, 1 };
    relay_owner from = holder_of(ref, dir), to = from;
    relay_summary s;
    switch (roll(seed, 4)) {
    case 0:
        to.channel += roll(seed, 3);
        if (!relay_table_succeed(table, ref, dir, &from, &to, &one)) {
            abort();
        }
        return false;
    case 1:
        relay_table_recycled(table, ref, dir, &from, &one, &s);
        return true;
    default:
        drop(ref, dir);
        return true;
    }
}

/* Claims, succeeds and releases at random, forever or for so many rounds;
 * *progress counts them. */
static void churn(uint32_t seed, unsigned rounds, uint32_t *progress)
{
    static const char *const user[] = { "alice", "bob", "carol" };
    relay_ref held[24][2];
    unsigned i;
    unsigned n;
    memset(held, 0, sizeof(held));
    for (i = 0; i < rounds; i++) {
        relay_dir dir = (relay_dir)roll(&seed, 2);
        relay_claim c;
        n = roll(&seed, 24);
        __atomic_add_fetch(progress, 1, __ATOMIC_RELAXED);
        if (held[n][dir].generation) {
            relay_table_touch(table, held[n][dir], i);
            relay_table_set_state(table, held[n][dir], dir, RELAY_HALF_OPEN);
            if (let_go(held[n][dir], dir, &seed)) {
                held[n][dir].generation = 0;
            }
            continue;
        }
        c = claim_of(n, dir, user[n % 3], user[roll(&seed, 3)]);
        c.max_per_user = 12;
        c.successor = roll(&seed, 2);
        relay_table_claim(table, &c, &held[n][dir]);
    }
    for (n = 0; n < 24; n++) {
        drop(held[n][RELAY_IN], RELAY_IN);
        drop(held[n][RELAY_OUT], RELAY_OUT);
    }
}

#define THREADS 4u
#define ROUNDS 4000u

static uint32_t counted;

static void *churn_thread(void *seed)
{
    churn(*(uint32_t *)seed, ROUNDS, &counted);
    return NULL;
}

START_TEST(test_table_churn_threads)
{
    pthread_t thread[THREADS];
    uint32_t seed[THREADS];
    uint32_t i;
    for (i = 0; i < THREADS; i++) {
        seed[i] = 1000 + i;
        ck_assert_int_eq(pthread_create(&thread[i], NULL, churn_thread,
                                        &seed[i]), 0);
    }
    do {
        relay_owner o;
        relay_stats s = stats_now();
        ck_assert_uint_le(s.entries, 24);
        /* Somebody leaves all the time, so that each reap searches. */
        ck_assert_int_eq(relay_table_child_enter(table, &o), APR_SUCCESS);
        relay_table_child_leave(table, &o);
        ck_assert_uint_eq(relay_table_reap(table, NULL, NULL), 0);
    } while (__atomic_load_n(&counted, __ATOMIC_RELAXED) < THREADS * ROUNDS);
    for (i = 0; i < THREADS; i++) {
        pthread_join(thread[i], NULL);
    }
    check_empty();
    ck_assert_uint_gt(stats_now().claims, ROUNDS / 4);
}
END_TEST

static uint32_t *shared_counter(void)
{
    uint32_t *p = mmap(NULL, sizeof(*p), PROT_READ | PROT_WRITE,
                       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert(p != MAP_FAILED);
    return p;
}

static pid_t churn_child(uint32_t seed, unsigned rounds, uint32_t *progress)
{
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (!pid) {
        if (relay_table_child_enter(table, &self) != APR_SUCCESS) {
            _exit(1);
        }
        churn(seed, rounds, progress);
        relay_table_child_leave(table, &self);
        _exit(0);
    }
    return pid;
}

START_TEST(test_table_churn_processes)
{
    uint32_t *progress = shared_counter();
    pid_t pid[4];
    int status;
    int i;
    for (i = 0; i < 4; i++) {
        pid[i] = churn_child(7000 + (uint32_t)i, ROUNDS, progress);
    }
    for (i = 0; i < 4; i++) {
        ck_assert_int_eq(waitpid(pid[i], &status, 0), pid[i]);
        ck_assert(WIFEXITED(status));
        ck_assert_int_eq(WEXITSTATUS(status), 0);
    }
    ck_assert_uint_eq(relay_table_reap(table, NULL, NULL), 0);
    check_empty();
    munmap(progress, sizeof(*progress));
}
END_TEST

/* Children are killed wherever they happen to be, again and again. */
START_TEST(test_table_churn_anywhere)
{
    uint32_t *progress = shared_counter();
    uint32_t seed = 424242;
    unsigned round;
    for (round = 0; round < 60; round++) {
        pid_t pid[3];
        uint32_t until;
        int i, status;
        *progress = 0;
        for (i = 0; i < 3; i++) {
            pid[i] = churn_child(roll(&seed, 1u << 20), UINT32_MAX, progress);
        }
        until = 200 + roll(&seed, 2000);
        while (__atomic_load_n(progress, __ATOMIC_RELAXED) < until) {
            /* Claims among them, so that repairs happen in mid-traffic. */
            relay_ref ref;
            if (take(30, RELAY_IN, "dora", &ref) == RELAY_CLAIM_FIRST) {
                drop(ref, RELAY_IN);
            }
        }
        for (i = 0; i < 3; i++) {
            kill(pid[i], SIGKILL);
        }
        for (i = 0; i < 3; i++) {
            ck_assert_int_eq(waitpid(pid[i], &status, 0), pid[i]);
            ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        }
        relay_table_reap(table, NULL, NULL);
        check_empty();
        ck_assert_uint_eq(stats_now().children, 1);
    }
    munmap(progress, sizeof(*progress));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("table_churn");
    TCase *tc = tcase_create("at once");
    apr_initialize();
    tcase_add_checked_fixture(tc, setup, table_test_close);
    tcase_set_timeout(tc, 240);
    tcase_add_test(tc, test_table_churn_threads);
    tcase_add_test(tc, test_table_churn_processes);
    tcase_add_test(tc, test_table_churn_anywhere);
    suite_add_tcase(s, tc);
    return test_main(s);
}
