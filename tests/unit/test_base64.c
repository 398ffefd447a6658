/* SPDX-License-Identifier: Apache-2.0 */
/* test_base64.c - base64 against RFC 4648 */
#include "rpch_test.h"

#include "rpch/base64.h"

START_TEST(test_base64_vectors)
{
    static const struct { const char *plain, *coded; } c[] = {
        { "", "" }, { "f", "Zg==" }, { "fo", "Zm8=" }, { "foo", "Zm9v" },
        { "foob", "Zm9vYg==" }, { "fooba", "Zm9vYmE=" },
        { "foobar", "Zm9vYmFy" }, { "\xff\xef\xbe", "/+++" }
    };
    size_t i, n;

    for (i = 0; i < sizeof(c) / sizeof(c[0]); i++) {
        size_t len = strlen(c[i].plain);
        char text[16];
        uint8_t back[16];

        ck_assert_int_eq(rpch_base64_encode((const uint8_t *)c[i].plain, len,
                                            text, sizeof(text)), RPCH_OK);
        ck_assert_str_eq(text, c[i].coded);
        ck_assert_uint_eq(strlen(text), RPCH_BASE64_SIZE(len));
        ck_assert_int_eq(rpch_base64_decode(text, strlen(text), back,
                                            sizeof(back), &n), RPCH_OK);
        ck_assert_uint_eq(n, len);
        ck_assert_int_eq(memcmp(back, c[i].plain, n), 0);
    }
}
END_TEST

START_TEST(test_base64_round_trips)
{
    uint8_t in[300], back[300];
    char text[401];
    size_t len, n, i;

    for (i = 0; i < sizeof(in); i++)
        in[i] = (uint8_t)(i * 37 + i / 7);
    for (len = 0; len <= sizeof(in); len++) {
        ck_assert_int_eq(rpch_base64_encode(in, len, text,
                                            RPCH_BASE64_SIZE(len) + 1),
                         RPCH_OK);
        ck_assert_int_eq(rpch_base64_decode(text, strlen(text), back, len, &n),
                         RPCH_OK);
        ck_assert_uint_eq(n, len);
        ck_assert_int_eq(memcmp(in, back, n), 0);
        ck_assert_int_eq(rpch_base64_encode(in, len, text,
                                            RPCH_BASE64_SIZE(len)),
                         RPCH_E_ROOM);
        if (len > 0)
            ck_assert_int_eq(rpch_base64_decode(text, strlen(text), back,
                                                len - 1, &n), RPCH_E_ROOM);
    }
}
END_TEST

START_TEST(test_base64_refuses)
{
    static const char *const bad[] = {
        "Z", "Zg", "Zg=", "Zg==Zg==", "Z===", "====", "=Zg=", "Zh==", "Zm9=",
        "Zm 9", "Zm9v\n", "Zm-_", "Zg==\0abc", "\x80\x80\x80\x80"
    };
    uint8_t out[16];
    size_t i, n;

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        ck_assert_int_eq(rpch_base64_decode(bad[i],
                                            i == 12 ? 8 : strlen(bad[i]), out,
                                            sizeof(out), &n), RPCH_E_SYNTAX);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("base64");
    TCase *t = tcase_create("base64");

    tcase_add_test(t, test_base64_vectors);
    tcase_add_test(t, test_base64_round_trips);
    tcase_add_test(t, test_base64_refuses);
    suite_add_tcase(s, t);
    return test_main(s);
}
