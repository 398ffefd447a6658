/* SPDX-License-Identifier: Apache-2.0 */
/* test_trim.c - free blocks go back to the system, used ones stay */
#include <apr_allocator.h>
#include <apr_general.h>
#include <check.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
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
    suite_add_tcase(s, tc);
    sr = srunner_create(s);
    srunner_run_all(sr, CK_NORMAL);
    failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed != 0;
}
