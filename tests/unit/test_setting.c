/* SPDX-License-Identifier: Apache-2.0 */
/* test_setting.c - directives whose value is one number, in all kinds */
#include "rpch_test.h"

#include <apr_general.h>
#include <stdio.h>

#include "rpcproxy/setting.h"

static apr_pool_t *pool;

static void setup(void)
{
    ck_assert_int_eq(apr_initialize(), APR_SUCCESS);
    ck_assert_int_eq(apr_pool_create(&pool, NULL), APR_SUCCESS);
}

static void teardown(void)
{
    apr_pool_destroy(pool);
    apr_terminate();
}

static const rpcproxy_row rows[] = {
    [RPCPROXY_KIND_SWITCH] = { "A", RPCPROXY_KIND_SWITCH, 0, 0, 1, false },
    [RPCPROXY_KIND_AUTO] = { "B", RPCPROXY_KIND_AUTO, 1, 0, 1, true },
    [RPCPROXY_KIND_DURATION] = { "C", RPCPROXY_KIND_DURATION, 0, 1000, 60000,
                                 false },
    [RPCPROXY_KIND_SIZE] = { "D", RPCPROXY_KIND_SIZE, 0, 8192, 65536, false },
    [RPCPROXY_KIND_COUNT] = { "E", RPCPROXY_KIND_COUNT, 0, 1, 10, false }
};

static void is(rpcproxy_kind kind, const char *text, int64_t want)
{
    int64_t value = -1;
    const char *bad = rpcproxy_setting_read(&rows[kind], text, &value, pool);
    ck_assert_msg(bad == NULL, "%s: %s", text, bad);
    ck_assert_int_eq(value, want);
}

static void is_not(rpcproxy_kind kind, const char *text, const char *want)
{
    int64_t value;
    const char *bad = rpcproxy_setting_read(&rows[kind], text, &value, pool);
    ck_assert_ptr_nonnull(bad);
    ck_assert_str_eq(bad, want);
}

START_TEST(test_setting_words)
{
    is(RPCPROXY_KIND_SWITCH, "On", 1);
    is(RPCPROXY_KIND_SWITCH, "off", 0);
    is(RPCPROXY_KIND_AUTO, "auto", 1);
    is(RPCPROXY_KIND_AUTO, "Off", 0);
    is_not(RPCPROXY_KIND_SWITCH, "Auto", "A: 'Auto': On or Off is allowed");
    is_not(RPCPROXY_KIND_AUTO, "On", "B: 'On': Auto or Off is allowed");
    is_not(RPCPROXY_KIND_SWITCH, "", "A: '': On or Off is allowed");
}
END_TEST

START_TEST(test_setting_numbers)
{
    is(RPCPROXY_KIND_DURATION, "1", 1000);
    is(RPCPROXY_KIND_DURATION, "1m", 60000);
    is(RPCPROXY_KIND_SIZE, "8K", 8192);
    is(RPCPROXY_KIND_SIZE, "65536", 65536);
    is(RPCPROXY_KIND_COUNT, "1", 1);
    is(RPCPROXY_KIND_COUNT, "10", 10);
}
END_TEST

START_TEST(test_setting_bounds)
{
    const char *duration = "C: '%s': a duration from 1s to 1m is allowed, "
                           "written as 30, 500ms, 5m or 8h";
    char want[200];
    const char *const wrong[] = { "999ms", "61", "x", "-1" };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        snprintf(want, sizeof(want), duration, wrong[i]);
        is_not(RPCPROXY_KIND_DURATION, wrong[i], want);
    }
    is_not(RPCPROXY_KIND_SIZE, "8191", "D: '8191': a size from 8K to 64K is "
           "allowed, written as 65536, 64K, 8M or 1G");
    is_not(RPCPROXY_KIND_COUNT, "0",
           "E: '0': a number from 1 to 10 is allowed");
    is_not(RPCPROXY_KIND_COUNT, "11",
           "E: '11': a number from 1 to 10 is allowed");
}
END_TEST

int main(void)
{
    Suite *s = suite_create("setting");
    TCase *tc = tcase_create("setting");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test_setting_words);
    tcase_add_test(tc, test_setting_numbers);
    tcase_add_test(tc, test_setting_bounds);
    suite_add_tcase(s, tc);
    return test_main(s);
}
