/* SPDX-License-Identifier: Apache-2.0 */
/* test_cookie.c - cookies, 2.2.3.1. */
#include "rpch/cookie.h"
#include "rpch_test.h"

START_TEST(test_cookie_equal_looks_at_every_bit)
{
    rpch_cookie a, b;
    size_t bit;

    memset(&a, 0x5A, sizeof a);
    b = a;
    ck_assert(rpch_cookie_equal(&a, &b));
    for (bit = 0; bit < 8 * RPCH_COOKIE_SIZE; bit++) {
        b.b[bit / 8] ^= (uint8_t)(1u << bit % 8);
        ck_assert(!rpch_cookie_equal(&a, &b));
        ck_assert(!rpch_cookie_equal(&b, &a));
        b = a;
    }
}
END_TEST

START_TEST(test_cookie_is_zero_looks_at_every_byte)
{
    rpch_cookie c;
    size_t i;

    memset(&c, 0, sizeof c);
    ck_assert(rpch_cookie_is_zero(&c));
    for (i = 0; i < RPCH_COOKIE_SIZE; i++) {
        c.b[i] = 1;
        ck_assert(!rpch_cookie_is_zero(&c));
        c.b[i] = 0;
    }
}
END_TEST

START_TEST(test_cookie_hex_is_exact)
{
    static const char text[] = "00010f10a0f9ff7f8081a5c3deadbeef";
    char out[RPCH_COOKIE_HEX_SIZE + 1];
    rpch_cookie c;

    ck_assert_uint_eq(test_hex(text, c.b, sizeof c.b), RPCH_COOKIE_SIZE);
    out[RPCH_COOKIE_HEX_SIZE] = '#';
    ck_assert_ptr_eq(rpch_cookie_hex(&c, out), out);
    ck_assert_str_eq(out, text);
    ck_assert_int_eq(out[RPCH_COOKIE_HEX_SIZE], '#');
}
END_TEST

int main(void)
{
    Suite *s = suite_create("cookie");
    TCase *tc = tcase_create("cookie");

    tcase_add_test(tc, test_cookie_equal_looks_at_every_bit);
    tcase_add_test(tc, test_cookie_is_zero_looks_at_every_byte);
    tcase_add_test(tc, test_cookie_hex_is_exact);
    suite_add_tcase(s, tc);
    return test_main(s);
}
