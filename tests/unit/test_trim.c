/* SPDX-License-Identifier: Apache-2.0 */
/* test_trim.c - free blocks go back to the system, used ones stay; and when a
 * child's heap is trimmed */
#include <apr_allocator.h>
#include <apr_general.h>
#include <check.h>
#include <errno.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "relay/trim.h"

#define SUBPOOLS 4
#define KEEP 2097152

static apr_allocator_t *allocator;
static apr_pool_t *pool;

static void set_up(void)
{
    ck_assert_int_eq(apr_allocator_create(&allocator), APR_SUCCESS);
    apr_allocator_max_free_set(allocator, KEEP);
    ck_assert_int_eq(apr_pool_create_ex(&pool, NULL, NULL, allocator),
                     APR_SUCCESS);
    apr_allocator_owner_set(allocator, pool);
}

static void tear_down(void)
{
    apr_pool_destroy(pool);
}

/* Whether the page at p is mapped. */
static bool is_mapped(void *p)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    void *at = (void *)((uintptr_t)p & ~(page - 1));
    return msync(at, 1, MS_ASYNC) == 0 || errno != ENOMEM;
}

/* Fills where[] with memory of pools that are destroyed: their blocks are
 * free, and kept. */
static void make_free_blocks(void **where)
{
    apr_pool_t *sub[SUBPOOLS];
    int i;
    for (i = 0; i < SUBPOOLS; i++) {
        ck_assert_int_eq(apr_pool_create(&sub[i], pool), APR_SUCCESS);
        where[i] = apr_palloc(sub[i], 4000);
        memset(where[i], 1, 4000);
    }
    for (i = 0; i < SUBPOOLS; i++)
        apr_pool_destroy(sub[i]);
}

/* An APR built to take its blocks from malloc gives back to malloc, which
 * may keep them. */
static bool uses_mmap(void)
{
    apr_allocator_t *a;
    apr_memnode_t *node;
    bool gone;
    ck_assert_int_eq(apr_allocator_create(&a), APR_SUCCESS);
    node = apr_allocator_alloc(a, 4000);
    apr_allocator_max_free_set(a, 1);
    apr_allocator_free(a, node);
    gone = !is_mapped(node);
    apr_allocator_destroy(a);
    return gone;
}

START_TEST(test_trim_gives_back)
{
    void *where[SUBPOOLS];
    int i;
    make_free_blocks(where);
    for (i = 0; i < SUBPOOLS; i++)
        ck_assert(is_mapped(where[i]));
    relay_trim(pool, KEEP);
    for (i = 0; uses_mmap() && i < SUBPOOLS; i++)
        ck_assert(!is_mapped(where[i]));
}
END_TEST

START_TEST(test_trim_leaves_what_is_used)
{
    void *where[SUBPOOLS];
    char *used = apr_palloc(pool, 9000);
    memset(used, 7, 9000);
    make_free_blocks(where);
    relay_trim(pool, KEEP);
    ck_assert_int_eq(used[0], 7);
    ck_assert_int_eq(used[8999], 7);
    ck_assert_ptr_nonnull(memset(apr_palloc(pool, 20000), 1, 20000));
}
END_TEST

/* Afterwards blocks are kept as before: not a system call for each. */
START_TEST(test_trim_keeps_again)
{
    void *where[SUBPOOLS];
    int i;
    relay_trim(pool, KEEP);
    make_free_blocks(where);
    for (i = 0; i < SUBPOOLS; i++)
        ck_assert(is_mapped(where[i]));
}
END_TEST

/* A second of a child's life, in which it used so much CPU time, in us; true
 * when its heap is due at the end of it. */
static bool pass_second(relay_heap *h, unsigned changes, unsigned cpu)
{
    static uint64_t used;
    static rpch_msec now = 1000;
    used += cpu;
    now += 1000;
    return relay_heap_is_due(h, changes, used, now);
}

START_TEST(test_trim_heap_when_channels_changed)
{
    relay_heap h = { 0, 0, 0, 0 };
    ck_assert(!pass_second(&h, 1000, 0)); /* nothing to compare with */
    ck_assert(pass_second(&h, 1000, 0));
    h = (relay_heap){ 0, 0, 0, 0 };
    ck_assert(!pass_second(&h, 63, 0));
    ck_assert(!pass_second(&h, 63, 0));
    ck_assert(pass_second(&h, 64, 0));
    relay_heap_trimmed(&h, 64, 0, h.looked);
    h.next = 0;
    ck_assert(!pass_second(&h, 127, 0));
    ck_assert(pass_second(&h, 128, 0));
}
END_TEST

/* The count of changes wraps. */
START_TEST(test_trim_heap_wraps)
{
    relay_heap h = { 0, 0, 0, 0 };
    relay_heap_trimmed(&h, UINT32_MAX - 10, 0, 1);
    h.next = 0;
    ck_assert(!pass_second(&h, UINT32_MAX, 0));
    ck_assert(!pass_second(&h, 40, 0));
    ck_assert(pass_second(&h, 60, 0));
}
END_TEST

START_TEST(test_trim_heap_not_while_busy)
{
    relay_heap h = { 0, 0, 0, 0 };
    pass_second(&h, 100, 0);
    ck_assert(!pass_second(&h, 100, 900000));
    ck_assert(!pass_second(&h, 100, 100000));
    ck_assert(pass_second(&h, 100, 99999));
    /* looks in between neither count nor hide what was used */
    ck_assert(!relay_heap_is_due(&h, 100, UINT64_MAX, h.looked + 1));
    ck_assert(pass_second(&h, 100, 0));
}
END_TEST

START_TEST(test_trim_heap_bounded)
{
    relay_heap h = { 0, 0, 0, 0 };
    unsigned i;
    pass_second(&h, 100, 0);
    ck_assert(pass_second(&h, 100, 0));
    relay_heap_trimmed(&h, 100, 2, h.looked);
    for (i = 1; i < 60; i++)
        ck_assert(!pass_second(&h, 100 * i, 0));
    ck_assert(pass_second(&h, 10000, 0));
    relay_heap_trimmed(&h, 10000, 90, h.looked); /* 90 s */
    for (i = 1; i < 90; i++)
        ck_assert(!pass_second(&h, 10000 + 100 * i, 0));
    ck_assert(pass_second(&h, 20000, 0));
}
END_TEST

#ifdef __GLIBC__
static void trim_at_once(void)
{
    malloc_trim(0);
}

/* The second look is a quiet hundred seconds later. */
static void look_twice(void)
{
    relay_heap h = { 0, 0, 0, 0 };
    relay_heap_look(&h, 0);
    h.looked -= 100000;
    relay_heap_look(&h, 1000);
}

/* Whether a free page between used ones has gone after trimming. */
static bool gives_back(void (*trim)(void))
{
    enum { BLOCKS = 64, SIZE = 65536 };
    char *block[BLOCKS], *hole;
    unsigned char there = 0;
    int i;
    for (i = 0; i < BLOCKS; i++) {
        block[i] = malloc(SIZE);
        memset(block[i], 7, SIZE);
    }
    for (i = 0; i < BLOCKS; i += 2)
        free(block[i]);
    hole = (char *)((uintptr_t)(block[2] + SIZE / 2)
                    & ~((uintptr_t)sysconf(_SC_PAGESIZE) - 1));
    trim();
    ck_assert_int_eq(mincore(hole, 1, &there), 0);
    for (i = 1; i < BLOCKS; i += 2) {
        ck_assert_int_eq(block[i][SIZE - 1], 7);
        free(block[i]);
    }
    return !(there & 1);
}

/* Another malloc than glibc's, a sanitizer's for one, does not trim. */
START_TEST(test_trim_heap_gives_back)
{
    if (gives_back(trim_at_once))
        ck_assert(gives_back(look_twice));
}
END_TEST
#endif

int main(void)
{
    Suite *s = suite_create("trim");
    TCase *tc = tcase_create("trim");
    SRunner *sr;
    int failed;
    apr_initialize();
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, test_trim_gives_back);
    tcase_add_test(tc, test_trim_leaves_what_is_used);
    tcase_add_test(tc, test_trim_keeps_again);
    tcase_add_test(tc, test_trim_heap_when_channels_changed);
    tcase_add_test(tc, test_trim_heap_wraps);
    tcase_add_test(tc, test_trim_heap_not_while_busy);
    tcase_add_test(tc, test_trim_heap_bounded);
#ifdef __GLIBC__
    tcase_add_test(tc, test_trim_heap_gives_back);
#endif
    suite_add_tcase(s, tc);
    sr = srunner_create(s);
    srunner_run_all(sr, CK_NORMAL);
    failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed != 0;
}
