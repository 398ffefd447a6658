/* SPDX-License-Identifier: Apache-2.0 */
/* test_pipe.c - a queue before a sink that takes what it is told to take */
#include "rpch_test.h"

#include <apr_general.h>

#include "relay/pipe.h"

/* A receiver with room for so many bytes. */
typedef struct sink {
    uint8_t got[400000];
    size_t bytes;
    size_t room;
    bool broken;
    int calls;
} sink;

static apr_pool_t *pool;
static relay_blocks *blocks;
static sink *to;
static relay_pipe p;

static long take(void *baton, const struct iovec *v, int n)
{
    sink *s = baton;
    long taken = 0;
    int i;
    s->calls++;
    if (s->broken)
        return -1;
    for (i = 0; i < n && s->room > 0; i++) {
        size_t len = v[i].iov_len < s->room ? v[i].iov_len : s->room;
        memcpy(s->got + s->bytes, v[i].iov_base, len);
        s->bytes += len;
        s->room -= len;
        taken += (long)len;
    }
    return taken;
}

static void setup(void)
{
    apr_initialize();
    ck_assert_int_eq(apr_pool_create(&pool, NULL), APR_SUCCESS);
    ck_assert_int_eq(relay_blocks_create(&blocks, 8, pool), APR_SUCCESS);
    to = calloc(1, sizeof(*to));
    relay_pipe_init(&p, take, to, blocks);
}

static void teardown(void)
{
    size_t used, kept;
    relay_pipe_clear(&p);
    relay_blocks_count(blocks, &used, &kept);
    ck_assert_uint_eq(used, 0);
    free(to);
    apr_pool_destroy(pool);
    apr_terminate();
}

static void push(const char *a, const char *b)
{
    struct iovec v[2] = {
        { (void *)(uintptr_t)a, strlen(a) },
        { (void *)(uintptr_t)b, strlen(b) }
    };
    ck_assert_int_eq(relay_pipe_push(&p, v, 2), APR_SUCCESS);
}

START_TEST(test_pipe_passes_what_is_taken)
{
    to->room = 100;
    push("one ", "two");
    ck_assert_uint_eq(to->bytes, 7);
    ck_assert(memcmp(to->got, "one two", 7) == 0);
    ck_assert_int_eq(to->calls, 1);
    ck_assert(!relay_pipe_waits(&p));
    ck_assert(p.progress);
}
END_TEST

START_TEST(test_pipe_keeps_the_rest)
{
    size_t room;
    for (room = 0; room <= 7; room++) {
        to->bytes = 0;
        to->room = room;
        push("one ", "two");
        ck_assert_uint_eq(to->bytes, room);
        ck_assert(relay_pipe_waits(&p) == (room < 7));
        ck_assert_uint_eq(p.queue.bytes, 7 - room);
        to->room = 100;
        relay_pipe_flush(&p);
        ck_assert_uint_eq(to->bytes, 7);
        ck_assert(memcmp(to->got, "one two", 7) == 0);
    }
}
END_TEST

START_TEST(test_pipe_keeps_the_order)
{
    to->room = 2;
    push("one ", "two ");
    push("three ", "four");
    ck_assert_uint_eq(to->bytes, 2);
    to->room = 8;
    push(" five", "");
    ck_assert_uint_eq(to->bytes, 10);
    to->room = 100;
    relay_pipe_flush(&p);
    ck_assert_uint_eq(to->bytes, 23);
    ck_assert(memcmp(to->got, "one two three four five", 23) == 0);
}
END_TEST

/* More blocks than one call can describe. */
START_TEST(test_pipe_long_queue)
{
    static uint8_t many[300000];
    struct iovec v = { many, sizeof(many) };
    size_t i;
    for (i = 0; i < sizeof(many); i++)
        many[i] = (uint8_t)(i * 31 >> 3);
    to->room = 0;
    ck_assert_int_eq(relay_pipe_push(&p, &v, 1), APR_SUCCESS);
    ck_assert_uint_eq(p.queue.bytes, sizeof(many));
    to->room = sizeof(to->got);
    push("end", "");
    ck_assert_uint_eq(to->bytes, sizeof(many) + 3);
    ck_assert(memcmp(to->got, many, sizeof(many)) == 0);
    ck_assert(memcmp(to->got + sizeof(many), "end", 3) == 0);
    ck_assert_int_ge(to->calls, 3);
}
END_TEST

START_TEST(test_pipe_nothing_to_flush)
{
    to->room = 100;
    relay_pipe_flush(&p);
    ck_assert_int_eq(to->calls, 0);
    ck_assert(!p.progress);
}
END_TEST

START_TEST(test_pipe_broken)
{
    int calls;
    to->room = 1;
    push("one", "");
    to->broken = true;
    push("two", "");
    ck_assert(p.broken);
    calls = to->calls;
    push("three", "");
    relay_pipe_flush(&p);
    ck_assert_int_eq(to->calls, calls);
    ck_assert_uint_le(p.queue.bytes, 2);
}
END_TEST

START_TEST(test_pipe_stalls)
{
    relay_pipe_arm(&p, false, 50, 1000);
    ck_assert_uint_eq(p.stall_deadline, RPCH_NEVER);
    relay_pipe_arm(&p, true, 50, 1000);
    ck_assert_uint_eq(p.stall_deadline, 1050);
    relay_pipe_arm(&p, true, 50, 1020);
    ck_assert_uint_eq(p.stall_deadline, 1050);
    p.progress = true;
    relay_pipe_arm(&p, true, 50, 1030);
    ck_assert_uint_eq(p.stall_deadline, 1080);
    relay_pipe_arm(&p, false, 50, 1040);
    ck_assert_uint_eq(p.stall_deadline, RPCH_NEVER);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("pipe");
    TCase *tc = tcase_create("pipe");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test_pipe_passes_what_is_taken);
    tcase_add_test(tc, test_pipe_keeps_the_rest);
    tcase_add_test(tc, test_pipe_keeps_the_order);
    tcase_add_test(tc, test_pipe_long_queue);
    tcase_add_test(tc, test_pipe_nothing_to_flush);
    tcase_add_test(tc, test_pipe_broken);
    tcase_add_test(tc, test_pipe_stalls);
    suite_add_tcase(s, tc);
    return test_main(s);
}
