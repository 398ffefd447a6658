/* SPDX-License-Identifier: Apache-2.0 */
/* test_value.c - durations, sizes and counts as directives write them */
#include "rpch_test.h"

#include "rpcproxy/value.h"

typedef struct good {
    const char *text;
    int64_t value;
} good;

static const char *const bad_numbers[] = {
    "", " 1", "1 ", "-1", "+1", "x", "0x10", "1.5", "1,5", "1 s",
    "99999999999999999999", "9223372036854775808"
};

#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))

static void check(bool (*parse)(const char *, int64_t *), const good *g,
                  size_t n, const char *const *bad, size_t n_bad)
{
    int64_t got;
    for (size_t i = 0; i < n; i++) {
        got = -7;
        ck_assert_msg(parse(g[i].text, &got), "'%s' refused", g[i].text);
        ck_assert_msg(got == g[i].value, "'%s' is %lld", g[i].text,
                      (long long)got);
    }
    for (size_t i = 0; i < n_bad; i++) {
        got = -7;
        ck_assert_msg(!parse(bad[i], &got), "'%s' accepted", bad[i]);
        ck_assert_int_eq(got, -7);
    }
    for (size_t i = 0; i < COUNT_OF(bad_numbers); i++)
        ck_assert_msg(!parse(bad_numbers[i], &got), "'%s' accepted",
                      bad_numbers[i]);
}

START_TEST(test_value_duration)
{
    static const good g[] = {
        { "0", 0 }, { "30", 30000 }, { "30s", 30000 }, { "500ms", 500 },
        { "500MS", 500 }, { "5m", 300000 }, { "5mi", 300000 },
        { "5min", 300000 }, { "5Min", 300000 }, { "8h", 28800000 },
        { "9223372036854775ms", INT64_C(9223372036854775) },
        { "9223372036854775s", INT64_C(9223372036854775000) }
    };
    static const char *const bad[] = {
        "s", "ms", "5s0", "5mins", "5mm", "1d", "1h30m", "5 m", "1K",
        "9223372036854776s", "2562047788016h"
    };
    check(rpcproxy_value_duration, g, COUNT_OF(g), bad, COUNT_OF(bad));
}
END_TEST

START_TEST(test_value_size)
{
    static const good g[] = {
        { "0", 0 }, { "1", 1 }, { "65536", 65536 }, { "64K", 65536 },
        { "64k", 65536 }, { "8M", 8388608 }, { "1g", 1073741824 },
        { "2G", INT64_C(2147483648) }
    };
    static const char *const bad[] = {
        "K", "1KB", "1KK", "1T", "1s", "9223372036854775807K",
        "8589934592G"
    };
    check(rpcproxy_value_size, g, COUNT_OF(g), bad, COUNT_OF(bad));
}
END_TEST

START_TEST(test_value_count)
{
    static const good g[] = {
        { "0", 0 }, { "007", 7 }, { "4294967295", INT64_C(4294967295) },
        { "9223372036854775807", INT64_MAX }
    };
    static const char *const bad[] = { "1K", "1s" };
    check(rpcproxy_value_count, g, COUNT_OF(g), bad, COUNT_OF(bad));
}
END_TEST

START_TEST(test_value_text)
{
    char out[RPCPROXY_VALUE_TEXT_SIZE];
    ck_assert_str_eq(rpcproxy_value_duration_text(0, out), "0");
    ck_assert_str_eq(rpcproxy_value_duration_text(100, out), "100ms");
    ck_assert_str_eq(rpcproxy_value_duration_text(1000, out), "1s");
    ck_assert_str_eq(rpcproxy_value_duration_text(90000, out), "90s");
    ck_assert_str_eq(rpcproxy_value_duration_text(120000, out), "2m");
    ck_assert_str_eq(rpcproxy_value_duration_text(14400000, out), "4h");
    ck_assert_str_eq(rpcproxy_value_duration_text(INT64_MAX, out),
                     "9223372036854775807ms");
    ck_assert_str_eq(rpcproxy_value_size_text(0, out), "0");
    ck_assert_str_eq(rpcproxy_value_size_text(1000, out), "1000");
    ck_assert_str_eq(rpcproxy_value_size_text(8192, out), "8K");
    ck_assert_str_eq(rpcproxy_value_size_text(3 << 20, out), "3M");
    ck_assert_str_eq(rpcproxy_value_size_text(INT64_C(2) << 30, out), "2G");
}
END_TEST

/* What is written can be read. */
START_TEST(test_value_round_trip)
{
    char out[RPCPROXY_VALUE_TEXT_SIZE];
    int64_t n, got;
    for (n = 1; n < INT64_MAX / 7; n = n * 7 - 3) {
        ck_assert(rpcproxy_value_duration(rpcproxy_value_duration_text(n, out),
                                          &got));
        ck_assert_int_eq(got, n);
        ck_assert(rpcproxy_value_size(rpcproxy_value_size_text(n, out),
                                      &got));
        ck_assert_int_eq(got, n);
    }
    n = INT64_MAX;
    ck_assert(rpcproxy_value_duration(rpcproxy_value_duration_text(n, out),
                                      &got));
    ck_assert_int_eq(got, n);
}
END_TEST

/* MinConnTimeout shortens the interval, never lengthens it, and what is not
 * allowed is passed over. */
START_TEST(test_value_ping_interval)
{
    static const struct {
        const char *pragma;
        int64_t interval, timeout, want;
    } t[] = {
        { NULL, 300000, 600000, 300000 },
        { NULL, 600000, 120000, 120000 },
        { "", 300000, 600000, 300000 },
        { "no-cache", 300000, 600000, 300000 },
        { "MinConnTimeout=120", 300000, 600000, 60000 },
        { "MinConnTimeout=120", 30000, 600000, 30000 },
        { "MinConnTimeout=600", 600000, 240000, 240000 },
        { "minconntimeout=121", 300000, 600000, 60500 },
        { "No-cache, MinConnTimeout=120", 300000, 600000, 60000 },
        { "MinConnTimeout=120,no-cache", 300000, 600000, 60000 },
        { "MinConnTimeout=120\t, no-cache", 300000, 600000, 60000 },
        { ",, \tMinConnTimeout=120", 300000, 600000, 60000 },
        { "MinConnTimeout=00000000000120", 300000, 600000, 60000 },
        { "MinConnTimeout=14400", 14400000, 14400000, 7200000 },
        { "MinConnTimeout=119", 300000, 600000, 300000 },
        { "MinConnTimeout=14401", 14400000, 14400000, 14400000 },
        { "MinConnTimeout=18446744073709551736", 300000, 600000, 300000 },
        { "MinConnTimeout=", 300000, 600000, 300000 },
        { "MinConnTimeout=-120", 300000, 600000, 300000 },
        { "MinConnTimeout= 120", 300000, 600000, 300000 },
        { "MinConnTimeout=120s", 300000, 600000, 300000 },
        { "xMinConnTimeout=120", 300000, 600000, 300000 },
        { "MinConnTimeout=1, MinConnTimeout=120", 300000, 600000, 60000 },
        { "MinConnTimeout=MinConnTimeout=120", 300000, 600000, 300000 },
    };
    for (size_t i = 0; i < COUNT_OF(t); i++) {
        int64_t got = rpcproxy_value_ping_interval(t[i].interval, t[i].timeout,
                                                   t[i].pragma);
        ck_assert_msg(got == t[i].want, "%zu, '%s': %lld", i,
                      t[i].pragma ? t[i].pragma : "none", (long long)got);
    }
}
END_TEST

#define UUID "44e265dd-7daf-42cd-8560-3cdb6e7a2729"

/* The first directive of the name with a UUID; everything else is passed
 * over. */
START_TEST(test_value_pragma_uuid)
{
    static const struct { const char *pragma, *want; } t[] = {
        { NULL, NULL }, { "", NULL }, { "No-cache", NULL },
        { "SessionId=" UUID, UUID }, { "sessionid=" UUID, UUID },
        { "SessionId=44E265DD-7DAF-42CD-8560-3CDB6E7A2729", UUID },
        { "No-cache, SessionId=" UUID, UUID },
        { "SessionId=" UUID ",No-cache", UUID },
        { "SessionId=" UUID " , x", UUID },
        { "ResourceTypeUuid=a, SessionId=" UUID, UUID },
        { "SessionId=x, SessionId=" UUID, UUID },
        { "SessionId=SessionId=" UUID, NULL },
        { "xSessionId=" UUID, NULL }, { "SessionId " UUID, NULL },
        { "SessionId=" UUID "0", NULL }, { "SessionId=" UUID "\n", NULL },
        { "SessionId={" UUID "}", NULL }, { "SessionId=", NULL },
        { "SessionId=44e265dd", NULL },
        { "SessionId=44e265dd-7daf-42cd-8560-3cdb6e7a272", NULL },
        { "SessionId=44e265dd07daf-42cd-8560-3cdb6e7a2729", NULL },
        { "SessionId=44e265dg-7daf-42cd-8560-3cdb6e7a2729", NULL },
    };
    for (size_t i = 0; i < COUNT_OF(t); i++) {
        char got[RPCPROXY_UUID_TEXT_SIZE];
        bool found = rpcproxy_value_pragma_uuid(t[i].pragma, "SessionId=",
                                                got);
        ck_assert_msg(found == (t[i].want != NULL), "%zu", i);
        if (found)
            ck_assert_str_eq(got, t[i].want);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("value");
    TCase *c = tcase_create("value");
    tcase_add_test(c, test_value_duration);
    tcase_add_test(c, test_value_size);
    tcase_add_test(c, test_value_count);
    tcase_add_test(c, test_value_text);
    tcase_add_test(c, test_value_round_trip);
    tcase_add_test(c, test_value_ping_interval);
    tcase_add_test(c, test_value_pragma_uuid);
    suite_add_tcase(s, c);
    return test_main(s);
}
