/* SPDX-License-Identifier: Apache-2.0 */
/* test_thread.c - relay/thread.h: threads that no signal reaches */
#include <semaphore.h>
#include <signal.h>
#include <stdbool.h>

#include "relay/thread.h"
#include "rpch_test.h"

/* What a thread saw. */
typedef struct seen {
    sem_t done;
    bool blocked[4];
} seen;

static const int asked[4] = { SIGTERM, SIGHUP, SIGUSR1, SIGWINCH };

static void *look(void *baton)
{
    seen *s = baton;
    sigset_t mine;
    int i;
    pthread_sigmask(SIG_SETMASK, NULL, &mine);
    for (i = 0; i < 4; i++)
        s->blocked[i] = sigismember(&mine, asked[i]) == 1;
    sem_post(&s->done);
    return s;
}

static void check_all_blocked(const seen *s)
{
    int i;
    for (i = 0; i < 4; i++)
        ck_assert_msg(s->blocked[i], "signal %d is not blocked", asked[i]);
}

START_TEST(test_thread_joined)
{
    seen s = { .blocked = { false } };
    pthread_t thread;
    void *result;
    sem_init(&s.done, 0, 0);
    ck_assert_int_eq(relay_thread_start(&thread, look, &s), APR_SUCCESS);
    ck_assert_int_eq(pthread_join(thread, &result), 0);
    ck_assert_ptr_eq(result, &s);
    check_all_blocked(&s);
}
END_TEST

START_TEST(test_thread_detached)
{
    /* static: the thread may be inside sem_post when this function ends */
    static seen s;
    sem_init(&s.done, 0, 0);
    ck_assert_int_eq(relay_thread_start(NULL, look, &s), APR_SUCCESS);
    sem_wait(&s.done);
    check_all_blocked(&s);
}
END_TEST

START_TEST(test_thread_leaves_our_mask)
{
    seen s = { .blocked = { false } };
    sigset_t one, after;
    pthread_t thread;
    sigemptyset(&one);
    sigaddset(&one, SIGUSR1);
    pthread_sigmask(SIG_SETMASK, &one, NULL);
    sem_init(&s.done, 0, 0);
    ck_assert_int_eq(relay_thread_start(&thread, look, &s), APR_SUCCESS);
    pthread_join(thread, NULL);
    pthread_sigmask(SIG_SETMASK, NULL, &after);
    ck_assert_int_eq(sigismember(&after, SIGUSR1), 1);
    ck_assert_int_eq(sigismember(&after, SIGTERM), 0);
    ck_assert_int_eq(sigismember(&after, SIGHUP), 0);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("thread");
    TCase *tc = tcase_create("thread");
    tcase_add_test(tc, test_thread_joined);
    tcase_add_test(tc, test_thread_detached);
    tcase_add_test(tc, test_thread_leaves_our_mask);
    suite_add_tcase(s, tc);
    return test_main(s);
}
