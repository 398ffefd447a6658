/* SPDX-License-Identifier: Apache-2.0 */
/* test_drain.c - relay/drain.h: the moments, their spread, and who waits */
#include "relay/drain.h"
#include "rpch_test.h"

#define SINCE 5000
#define TIMEOUT 100000
#define HALF (TIMEOUT / 2)
#define MANY 100000
#define PARTS 10

static relay_drain d;

/* The same numbers everywhere (splitmix64). */
static uint64_t random_next(uint64_t *seed)
{
    uint64_t z = *seed += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static void begin(uint64_t random)
{
    relay_drain_init(&d);
    relay_drain_begin(&d, SINCE, TIMEOUT, random);
}

START_TEST(test_drain_not_begun)
{
    relay_drain_init(&d);
    ck_assert(!relay_drain_begun(&d));
    ck_assert_uint_eq(relay_drain_deadline(&d), RPCH_NEVER);
    relay_drain_note(&d, false, 1000);
    ck_assert_ptr_null(relay_drain_look(&d, false, 1000));
    ck_assert_uint_eq(relay_drain_deadline(&d), RPCH_NEVER);
    ck_assert(!d.ended);
}
END_TEST

/* Idle channels in the first half of the time, busy ones in the second, both
 * spread over it, the last moment of all being before its end. */
START_TEST(test_drain_spread)
{
    unsigned first[PARTS] = { 0 }, last[PARTS] = { 0 };
    uint64_t seed = 1;
    int i;
    for (i = 0; i < MANY; i++) {
        begin(random_next(&seed));
        ck_assert_uint_ge(d.first, SINCE);
        ck_assert_uint_lt(d.first, SINCE + HALF);
        ck_assert_uint_ge(d.last, SINCE + HALF);
        ck_assert_uint_lt(d.last, SINCE + TIMEOUT);
        first[(d.first - SINCE) * PARTS / HALF]++;
        last[(d.last - SINCE - HALF) * PARTS / HALF]++;
    }
    for (i = 0; i < PARTS; i++) {
        ck_assert_uint_gt(first[i], MANY / PARTS * 9 / 10);
        ck_assert_uint_lt(first[i], MANY / PARTS * 11 / 10);
        ck_assert_uint_gt(last[i], MANY / PARTS * 9 / 10);
        ck_assert_uint_lt(last[i], MANY / PARTS * 11 / 10);
    }
}
END_TEST

/* The two halves of a connection bring the same random bits. */
START_TEST(test_drain_same_bits)
{
    relay_drain other;
    relay_drain_init(&other);
    relay_drain_begin(&other, SINCE, TIMEOUT, UINT64_C(0x123456789abcdef0));
    begin(UINT64_C(0x123456789abcdef0));
    ck_assert_uint_eq(d.first, other.first);
    ck_assert_uint_eq(d.last, other.last);
}
END_TEST

START_TEST(test_drain_begun_once)
{
    rpch_msec first, last;
    begin(1);
    first = d.first;
    last = d.last;
    relay_drain_begin(&d, SINCE + 7, TIMEOUT * 2, UINT64_MAX);
    ck_assert_uint_eq(d.first, first);
    ck_assert_uint_eq(d.last, last);
}
END_TEST

START_TEST(test_drain_bounds)
{
    const rpch_msec week = UINT64_C(7) * 24 * 3600 * 1000;
    begin(0);
    ck_assert_uint_eq(d.first, SINCE);
    ck_assert_uint_eq(d.last, SINCE + HALF);
    begin(UINT64_MAX);
    ck_assert_uint_eq(d.first, SINCE + HALF - 1);
    ck_assert_uint_eq(d.last, SINCE + TIMEOUT - 1);
    relay_drain_init(&d);
    relay_drain_begin(&d, SINCE, 0, UINT64_MAX);
    ck_assert_uint_eq(d.first, SINCE);
    ck_assert_uint_eq(d.last, SINCE);
    relay_drain_init(&d);
    relay_drain_begin(&d, SINCE, week, UINT64_MAX);
    ck_assert_uint_eq(d.first, SINCE + week / 2 - 1);
    ck_assert_uint_eq(d.last, SINCE + week - 1);
}
END_TEST

START_TEST(test_drain_idle)
{
    begin(UINT64_MAX);
    ck_assert_uint_eq(relay_drain_deadline(&d), d.first);
    relay_drain_note(&d, false, d.first - 1);
    ck_assert_uint_eq(relay_drain_deadline(&d), d.first);
    ck_assert_ptr_null(relay_drain_look(&d, false, d.first - 1));
    ck_assert_str_eq(relay_drain_look(&d, false, d.first),
                     "its child process is stopping: no call was without an "
                     "answer (RpcProxyDrainTimeout)");
    ck_assert(d.ended);
}
END_TEST

/* It ends with the answer, although nobody says that it passed. */
START_TEST(test_drain_answered)
{
    rpch_msec now;
    begin(UINT64_MAX);
    now = d.first;
    ck_assert_ptr_null(relay_drain_look(&d, true, now));
    ck_assert(d.waited);
    ck_assert_uint_eq(relay_drain_deadline(&d), now + RELAY_DRAIN_LOOK_MSEC);
    now += RELAY_DRAIN_LOOK_MSEC;
    ck_assert_ptr_null(relay_drain_look(&d, true, now));
    ck_assert_uint_eq(relay_drain_deadline(&d), now + RELAY_DRAIN_LOOK_MSEC);
    ck_assert_str_eq(relay_drain_look(&d, false, now + 1),
                     "its child process is stopping: the last call was "
                     "answered (RpcProxyDrainTimeout)");
    ck_assert(d.ended);
}
END_TEST

START_TEST(test_drain_answer_seen)
{
    rpch_msec now;
    begin(UINT64_MAX);
    now = d.first;
    ck_assert_ptr_null(relay_drain_look(&d, true, now));
    relay_drain_note(&d, true, now + 3);
    ck_assert_uint_eq(relay_drain_deadline(&d), now + RELAY_DRAIN_LOOK_MSEC);
    relay_drain_note(&d, false, now + 5);
    ck_assert_uint_eq(relay_drain_deadline(&d), now + 5);
    relay_drain_note(&d, false, now + 9);
    ck_assert_uint_eq(relay_drain_deadline(&d), now + 5);
}
END_TEST

/* Nobody waits for a call longer than to the last moment. */
START_TEST(test_drain_over)
{
    rpch_msec now;
    int looks = 0;
    begin(UINT64_MAX);
    for (now = d.first; !relay_drain_look(&d, true, now);
         now = relay_drain_deadline(&d)) {
        ck_assert_uint_le(relay_drain_deadline(&d), d.last);
        ck_assert_uint_gt(relay_drain_deadline(&d), now);
        looks++;
    }
    ck_assert_uint_eq(now, d.last);
    ck_assert_int_ge(looks, (int)(HALF / RELAY_DRAIN_LOOK_MSEC));
    ck_assert(d.ended);
    ck_assert_str_eq(relay_drain_look(&d, true, now),
                     "its child process is stopping: RpcProxyDrainTimeout is "
                     "over, and a call may be without an answer");
}
END_TEST

int main(void)
{
    Suite *s = suite_create("drain");
    TCase *tc = tcase_create("drain");
    tcase_add_test(tc, test_drain_not_begun);
    tcase_add_test(tc, test_drain_spread);
    tcase_add_test(tc, test_drain_same_bits);
    tcase_add_test(tc, test_drain_begun_once);
    tcase_add_test(tc, test_drain_bounds);
    tcase_add_test(tc, test_drain_idle);
    tcase_add_test(tc, test_drain_answered);
    tcase_add_test(tc, test_drain_answer_seen);
    tcase_add_test(tc, test_drain_over);
    suite_add_tcase(s, tc);
    return test_main(s);
}
