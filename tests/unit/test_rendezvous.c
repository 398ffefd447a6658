/* SPDX-License-Identifier: Apache-2.0 */
/* test_rendezvous.c - rendezvous hashing with weights */
#include "rpch_test.h"

#include <stdio.h>

#include "front/rendezvous.h"

#define KEYS 20000
#define MEMBERS_MAX 4

/* The member that key n gets of those whose weight is not 0. */
static int chosen(int n, const uint32_t *weight, int members)
{
    char key[32], name[32];
    uint64_t h[MEMBERS_MAX], of_key;
    int best = -1, i;
    snprintf(key, sizeof(key), "user u%d", n);
    of_key = front_rendezvous_hash(FRONT_RENDEZVOUS_SEED, key, strlen(key));
    for (i = 0; i < members; i++) {
        if (weight[i] == 0)
            continue;
        snprintf(name, sizeof(name), "rpch://inner%d:80/rpc", i);
        h[i] = front_rendezvous_hash(of_key, name, strlen(name));
        if (best < 0 || front_rendezvous_before(h[i], weight[i], h[best],
                                                weight[best]))
            best = i;
    }
    return best;
}

/* How many keys each member gets. */
static void count(const uint32_t *weight, int members, int *out)
{
    memset(out, 0, sizeof(*out) * (size_t)members);
    for (int n = 0; n < KEYS; n++)
        out[chosen(n, weight, members)]++;
}

/* The same on every machine: a farm of fronts comes to the same member. */
START_TEST(test_rendezvous_fixed)
{
    ck_assert(front_rendezvous_hash(FRONT_RENDEZVOUS_SEED, "", 0)
              == UINT64_C(0xefd01f60ba992926));
    ck_assert(front_rendezvous_hash(FRONT_RENDEZVOUS_SEED, "a", 1)
              == UINT64_C(0x82a2a958a9bece5b));
}
END_TEST

START_TEST(test_rendezvous_even)
{
    static const uint32_t weight[] = { 100, 100, 100, 100 };
    int got[MEMBERS_MAX];
    count(weight, 4, got);
    for (int i = 0; i < 4; i++) {
        ck_assert_int_gt(got[i], KEYS / 4 - 350);
        ck_assert_int_lt(got[i], KEYS / 4 + 350);
    }
}
END_TEST

/* Shares are as the weights. */
START_TEST(test_rendezvous_weights)
{
    static const uint32_t weight[] = { 100, 300, 600 };
    static const int share[] = { 2000, 6000, 12000 };
    int got[MEMBERS_MAX];
    count(weight, 3, got);
    for (int i = 0; i < 3; i++) {
        ck_assert_int_gt(got[i], share[i] - 400);
        ck_assert_int_lt(got[i], share[i] + 400);
    }
}
END_TEST

/* When a member goes, only its keys move; when it comes back, they do. */
START_TEST(test_rendezvous_stays)
{
    uint32_t weight[] = { 100, 200, 100, 100 };
    int before[KEYS], n, now, moved = 0;
    for (n = 0; n < KEYS; n++)
        before[n] = chosen(n, weight, 4);
    weight[1] = 0;
    for (n = 0; n < KEYS; n++) {
        now = chosen(n, weight, 4);
        if (before[n] == 1)
            moved++;
        else
            ck_assert_int_eq(now, before[n]);
    }
    ck_assert_int_gt(moved, 0);
    weight[1] = 200;
    for (n = 0; n < KEYS; n++)
        ck_assert_int_eq(chosen(n, weight, 4), before[n]);
}
END_TEST

/* A strict order, at the ends of the range as well. */
START_TEST(test_rendezvous_order)
{
    static const uint64_t h[] = {
        0, 1, 2, UINT64_C(1) << 32, UINT64_MAX / 2, UINT64_MAX / 2 + 1,
        UINT64_MAX - 1, UINT64_MAX
    };
    size_t i, k, n = sizeof(h) / sizeof(h[0]);
    for (i = 0; i < n; i++) {
        ck_assert(!front_rendezvous_before(h[i], 7, h[i], 7));
        for (k = 0; k < i; k++) {
            ck_assert(front_rendezvous_before(h[i], 100, h[k], 100));
            ck_assert(!front_rendezvous_before(h[k], 100, h[i], 100));
        }
    }
    ck_assert(front_rendezvous_before(h[4], UINT32_MAX, h[4], 1));
    ck_assert(!front_rendezvous_before(h[4], 0, h[4], 2));
    ck_assert(!front_rendezvous_before(h[4], 0, h[4], 1));
    ck_assert(!front_rendezvous_before(h[4], 1, h[4], 0));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("rendezvous");
    TCase *c = tcase_create("rendezvous");
    tcase_add_test(c, test_rendezvous_fixed);
    tcase_add_test(c, test_rendezvous_even);
    tcase_add_test(c, test_rendezvous_weights);
    tcase_add_test(c, test_rendezvous_stays);
    tcase_add_test(c, test_rendezvous_order);
    suite_add_tcase(s, c);
    return test_main(s);
}
