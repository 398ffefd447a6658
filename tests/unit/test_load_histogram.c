/* SPDX-License-Identifier: Apache-2.0 */
/* Latencies of rpch-load: buckets, percentiles, and how they are printed. */
#include "rpch_test.h"

#include "../../bench/load_histogram.h"

static load_histogram h;

/* The one bucket of a histogram of one latency. */
static void bucket_of(uint64_t ns, unsigned long long *lower,
                      unsigned long long *width)
{
    char text[128];
    FILE *f = fmemopen(text, sizeof(text), "w");

    memset(&h, 0, sizeof(h));
    load_histogram_add(&h, ns);
    load_histogram_print(&h, f);
    fclose(f);
    ck_assert_int_eq(sscanf(text, "[[%llu,%llu,1]]", lower, width), 2);
}

START_TEST(test_load_histogram_buckets)
{
    unsigned long long lower, width, next = 0;
    uint64_t ns;

    /* without a gap, and narrow */
    for (ns = 0; ns < 5000000; ns = next) {
        bucket_of(ns, &lower, &width);
        ck_assert_uint_eq(lower, ns);
        ck_assert_uint_le(width, 1 + lower / LOAD_SUB);
        next = lower + width;
        bucket_of(next - 1, &lower, &width);
        ck_assert_uint_eq(lower, ns);
    }
    bucket_of(3600000000000u, &lower, &width);
    ck_assert_uint_le(lower, 3600000000000u);
    ck_assert_uint_gt(lower + width, 3600000000000u);
    bucket_of(UINT64_MAX, &lower, &width); /* the last one takes it */
}
END_TEST

START_TEST(test_load_histogram_percentiles)
{
    uint64_t i, at;

    memset(&h, 0, sizeof(h));
    ck_assert_uint_eq(load_histogram_at(&h, 500), 0);
    for (i = 1; i <= 1000; i++)
        load_histogram_add(&h, i * 10000);
    ck_assert_uint_eq(h.min, 10000);
    ck_assert_uint_eq(h.max, 10000000);
    at = load_histogram_at(&h, 500);
    ck_assert(at > 4900000 && at < 5100000);
    at = load_histogram_at(&h, 990);
    ck_assert(at > 9800000 && at < 10000000);
    ck_assert_uint_le(load_histogram_at(&h, 1000), h.max);
    memset(&h, 0, sizeof(h));
    load_histogram_add(&h, 999999);
    ck_assert_uint_eq(load_histogram_at(&h, 500), 999999);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("load_histogram");
    TCase *tc = tcase_create("all");

    tcase_add_test(tc, test_load_histogram_buckets);
    tcase_add_test(tc, test_load_histogram_percentiles);
    suite_add_tcase(s, tc);
    return test_main(s);
}
