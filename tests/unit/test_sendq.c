/* SPDX-License-Identifier: Apache-2.0 */
/* test_sendq.c - the send queue against a flat buffer, its freelist's limits,
 * and several threads on one freelist */
#include "rpch_test.h"

#include <apr_general.h>
#include <pthread.h>
#include <sys/resource.h>

#include "relay/sendq.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

#define KEEP 4u
#define MODEL_SIZE (64u * RELAY_BLOCK_SIZE)

static apr_pool_t *pool;
static relay_blocks *blocks;
static relay_sendq q;
static uint8_t model[MODEL_SIZE];

static void setup(void)
{
    size_t i;
    ck_assert_int_eq(apr_initialize(), APR_SUCCESS);
    ck_assert_int_eq(apr_pool_create(&pool, NULL), APR_SUCCESS);
    ck_assert_int_eq(relay_blocks_create(&blocks, KEEP, pool), APR_SUCCESS);
    relay_sendq_init(&q, blocks);
    for (i = 0; i < sizeof(model); i++)
        model[i] = (uint8_t)(i * 7 + i / 251);
}

static void teardown(void)
{
    relay_sendq_clear(&q);
    apr_pool_destroy(pool);
    apr_terminate();
}

static void check_count(size_t used, size_t kept)
{
    size_t u, k;
    relay_blocks_count(blocks, &u, &k);
    ck_assert_uint_eq(u, used);
    ck_assert_uint_eq(k, kept);
}

START_TEST(test_sendq_empty)
{
    uint8_t c;
    size_t n = 9;

    ck_assert_ptr_null(relay_sendq_front(&q, &n));
    ck_assert_uint_eq(n, 0);
    ck_assert_uint_eq(relay_sendq_peek(&q, &c, 1), 0);
    ck_assert_int_eq(relay_sendq_push(&q, NULL, 0), APR_SUCCESS);
    relay_sendq_drop(&q, 0);
    relay_sendq_clear(&q);
    ck_assert_uint_eq(q.bytes, 0);
    check_count(0, 0);
}
END_TEST

START_TEST(test_sendq_block_edges)
{
    const uint8_t *p;
    size_t n;

    ck_assert_int_eq(relay_sendq_push(&q, model, RELAY_BLOCK_SIZE),
                     APR_SUCCESS);
    check_count(1, 0);
    ck_assert_int_eq(relay_sendq_push(&q, model + RELAY_BLOCK_SIZE, 1),
                     APR_SUCCESS);
    check_count(2, 0);
    p = relay_sendq_front(&q, &n);
    ck_assert_uint_eq(n, RELAY_BLOCK_SIZE);
    ck_assert_mem_eq(p, model, n);
    relay_sendq_drop(&q, RELAY_BLOCK_SIZE - 1);
    p = relay_sendq_front(&q, &n);
    ck_assert_uint_eq(n, 1);
    ck_assert_int_eq(*p, model[RELAY_BLOCK_SIZE - 1]);
    check_count(2, 0);
    relay_sendq_drop(&q, 1);
    check_count(1, 1);
    p = relay_sendq_front(&q, &n);
    ck_assert_uint_eq(n, 1);
    ck_assert_int_eq(*p, model[RELAY_BLOCK_SIZE]);
    relay_sendq_drop(&q, 1);
    ck_assert_ptr_null(relay_sendq_front(&q, &n));
    check_count(0, 2);
    ck_assert_int_eq(relay_sendq_push(&q, model, 1), APR_SUCCESS);
    check_count(1, 1);
}
END_TEST

/* The view is the queue, as far as its pieces reach. */
START_TEST(test_sendq_view)
{
    struct iovec v[4];
    size_t at = 100;
    int i;

    ck_assert_int_eq(relay_sendq_view(&q, v, 4), 0);
    ck_assert_int_eq(relay_sendq_push(&q, model, 5 * RELAY_BLOCK_SIZE),
                     APR_SUCCESS);
    relay_sendq_drop(&q, at);
    ck_assert_int_eq(relay_sendq_view(&q, v, 4), 4);
    for (i = 0; i < 4; i++) {
        ck_assert_uint_eq(v[i].iov_len, RELAY_BLOCK_SIZE - (i ? 0 : 100));
        ck_assert_mem_eq(v[i].iov_base, model + at, v[i].iov_len);
        at += v[i].iov_len;
    }
    ck_assert_uint_eq(q.bytes, 5 * RELAY_BLOCK_SIZE - 100);
    relay_sendq_drop(&q, q.bytes - 1);
    ck_assert_int_eq(relay_sendq_view(&q, v, 4), 1);
    ck_assert_uint_eq(v[0].iov_len, 1);
}
END_TEST

START_TEST(test_sendq_keeps_no_more_than_asked)
{
    ck_assert_int_eq(relay_sendq_push(&q, model, 10 * RELAY_BLOCK_SIZE),
                     APR_SUCCESS);
    check_count(10, 0);
    relay_sendq_drop(&q, 3 * RELAY_BLOCK_SIZE);
    check_count(7, 3);
    relay_sendq_clear(&q);
    check_count(0, KEEP);
    ck_assert_uint_eq(q.bytes, 0);
    ck_assert_int_eq(relay_sendq_push(&q, model, 6 * RELAY_BLOCK_SIZE),
                     APR_SUCCESS);
    check_count(6, 0);
}
END_TEST

START_TEST(test_sendq_keeps_none)
{
    relay_blocks *none;
    size_t used, kept;

    relay_sendq_clear(&q);
    ck_assert_int_eq(relay_blocks_create(&none, 0, pool), APR_SUCCESS);
    relay_sendq_init(&q, none);
    ck_assert_int_eq(relay_sendq_push(&q, model, 20000), APR_SUCCESS);
    relay_blocks_count(none, &used, &kept);
    ck_assert_uint_eq(used, 3);
    relay_sendq_clear(&q);
    relay_blocks_count(none, &used, &kept);
    ck_assert_uint_eq(used, 0);
    ck_assert_uint_eq(kept, 0);
}
END_TEST

/* Pushes, peeks and drops random sizes; the queue must hold what the flat
 * buffer holds between what went in and what went out. False when it does
 * not. Runs in threads, hence no assertion of Check. */
static bool churn(relay_sendq *queue, unsigned seed, int rounds)
{
    static const size_t limit[] = { 3, 200, RELAY_BLOCK_SIZE + 2, 40000 };
    uint8_t *copy = malloc(MODEL_SIZE);
    size_t in = 0, out = 0, n, want;
    bool same = true;

    while (same && rounds-- > 0) {
        size_t size = (size_t)rand_r(&seed) % limit[rand_r(&seed) % 4];
        const uint8_t *p;
        if (in + size > MODEL_SIZE) {
            relay_sendq_drop(queue, in - out);
            in = out = 0;
        }
        same = relay_sendq_push(queue, model + in, size) == APR_SUCCESS;
        in += size;
        p = relay_sendq_front(queue, &n);
        same = same && queue->bytes == in - out && (n > 0) == (in > out)
            && n <= in - out && (n == 0 || memcmp(p, model + out, n) == 0);
        size = (size_t)rand_r(&seed) % limit[rand_r(&seed) % 4];
        want = size < in - out ? size : in - out;
        same = same && relay_sendq_peek(queue, copy, size) == want
            && memcmp(copy, model + out, want) == 0;
        relay_sendq_drop(queue, want);
        out += want;
    }
    free(copy);
    relay_sendq_clear(queue);
    return same;
}

START_TEST(test_sendq_against_flat_buffer)
{
    unsigned seed;
    for (seed = 1; seed <= 20; seed++)
        ck_assert(churn(&q, seed, 300));
    check_count(0, KEEP);
}
END_TEST

static void *thread_churn(void *seed)
{
    relay_sendq mine;
    relay_sendq_init(&mine, blocks);
    return churn(&mine, *(unsigned *)seed, 500) ? seed : NULL;
}

START_TEST(test_sendq_threads)
{
    pthread_t t[4];
    unsigned seed[4];
    unsigned i;
    size_t used, kept;
    void *result;

    for (i = 0; i < 4; i++) {
        seed[i] = 1000 + i;
        ck_assert_int_eq(pthread_create(&t[i], NULL, thread_churn, &seed[i]),
                         0);
    }
    relay_blocks_count(blocks, &used, &kept);
    ck_assert_uint_le(kept, KEEP);
    for (i = 0; i < 4; i++) {
        ck_assert_int_eq(pthread_join(t[i], &result), 0);
        ck_assert_ptr_eq(result, &seed[i]);
    }
    check_count(0, KEEP);
}
END_TEST

/* More than the address space has: refused as a whole. */
START_TEST(test_sendq_no_memory)
{
    struct rlimit old, low;
    const char *preload = getenv("LD_PRELOAD");
    apr_status_t rv;
    size_t n;

    if (SANITIZED || (preload && strstr(preload, "vgpreload")))
        return; /* they need memory of their own, and end the program */
    ck_assert_int_eq(relay_sendq_push(&q, model, 5), APR_SUCCESS);
    ck_assert_int_eq(getrlimit(RLIMIT_AS, &old), 0);
    low = old;
    low.rlim_cur = 0;
    ck_assert_int_eq(setrlimit(RLIMIT_AS, &low), 0);
    for (n = 0; n < 10000; n++) {
        rv = relay_sendq_push(&q, model, MODEL_SIZE);
        if (rv != APR_SUCCESS)
            break;
    }
    ck_assert_int_eq(setrlimit(RLIMIT_AS, &old), 0);
    ck_assert_int_eq(rv, APR_ENOMEM);
    ck_assert_uint_eq(q.bytes, 5 + n * MODEL_SIZE);
    /* A fresh block each when all but the first are full, 5 bytes over. */
    check_count(n * 64 + 1, 0);
    ck_assert_int_eq(relay_sendq_push(&q, model, 1), APR_SUCCESS);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("sendq");
    TCase *t = tcase_create("sendq");

    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, test_sendq_empty);
    tcase_add_test(t, test_sendq_block_edges);
    tcase_add_test(t, test_sendq_view);
    tcase_add_test(t, test_sendq_keeps_no_more_than_asked);
    tcase_add_test(t, test_sendq_keeps_none);
    tcase_add_test(t, test_sendq_against_flat_buffer);
    tcase_add_test(t, test_sendq_threads);
    tcase_add_test(t, test_sendq_no_memory);
    tcase_set_timeout(t, 60);
    suite_add_tcase(s, t);
    return test_main(s);
}
