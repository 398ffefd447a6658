/* SPDX-License-Identifier: Apache-2.0 */
/* test_credentials.c - what an Authorization field carries */
#include "rpch_test.h"

#include <stdio.h>

#include "front/credentials.h"
#include "rpch/base64.h"

static front_credentials c;

/* Reads "scheme base64(bytes)". */
static void read_bytes(const char *scheme, const void *bytes, size_t len)
{
    static char value[8192];
    int n = snprintf(value, sizeof(value), "%s ", scheme);
    ck_assert_int_eq(rpch_base64_encode(bytes, len, value + n,
                                        sizeof(value) - (size_t)n), RPCH_OK);
    front_credentials_read(value, &c);
}

/* An NTLM message: signature, number, and something behind it. */
static size_t make_ntlm(uint8_t *b, uint8_t step)
{
    memset(b, 'x', 40);
    memcpy(b, "NTLMSSP", 8);
    b[8] = step;
    b[9] = b[10] = b[11] = 0;
    return 40;
}

START_TEST(test_credentials_none)
{
    front_credentials_read(NULL, &c);
    ck_assert_int_eq(c.scheme, FRONT_SCHEME_NONE);
    ck_assert(!front_credentials_are_bound(&c));
    ck_assert(!front_credentials_go_on(&c));
}
END_TEST

START_TEST(test_credentials_basic)
{
    front_credentials_read("Basic YWxpY2U6c2VjcmV0", &c);
    ck_assert_int_eq(c.scheme, FRONT_SCHEME_BASIC);
    ck_assert_str_eq(c.user, "alice");
    ck_assert(!front_credentials_are_bound(&c));
    ck_assert(!front_credentials_go_on(&c));
    front_credentials_read("  bAsIc   YWxpY2U6c2VjcmV0", &c);
    ck_assert_int_eq(c.scheme, FRONT_SCHEME_BASIC);
    ck_assert_str_eq(c.user, "alice");
    read_bytes("Basic", "CORP\\alice:a:b:c", 16);
    ck_assert_str_eq(c.user, "CORP\\alice");
}
END_TEST

/* No user, and not more of a user than there is. */
START_TEST(test_credentials_basic_bad)
{
    static const char *const bad[] = {
        "Basic", "Basic ", "Basic YWxpY2U6c2VjcmV", "Basic YWxpY2U6c2Vj*mV0",
        "Basic YWxpY2U6c2VjcmV0 x", "Basic YWxpY2U=", "Basic ===="
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        front_credentials_read(bad[i], &c);
        ck_assert_int_eq(c.scheme, FRONT_SCHEME_BASIC);
        ck_assert_msg(c.user[0] == '\0', "%s: %s", bad[i], c.user);
    }
    read_bytes("Basic", "al\nice:x", 8);
    ck_assert_str_eq(c.user, "");
    read_bytes("Basic", "al\0ice:x", 8);
    ck_assert_str_eq(c.user, "");
    read_bytes("Basic", "al\177ice:x", 8);
    ck_assert_str_eq(c.user, "");
    read_bytes("Basic", ":secret", 7);
    ck_assert_str_eq(c.user, "");
}
END_TEST

START_TEST(test_credentials_basic_size)
{
    char text[5000];
    memset(text, 'u', sizeof(text));
    text[FRONT_USER_SIZE - 1] = ':';
    read_bytes("Basic", text, FRONT_USER_SIZE + 10);
    ck_assert_uint_eq(strlen(c.user), FRONT_USER_SIZE - 1);
    text[FRONT_USER_SIZE - 1] = 'u';
    text[FRONT_USER_SIZE] = ':';
    read_bytes("Basic", text, FRONT_USER_SIZE + 10);
    ck_assert_str_eq(c.user, "");
    text[3] = ':'; /* a password without end */
    read_bytes("Basic", text, sizeof(text));
    ck_assert_str_eq(c.user, "");
}
END_TEST

/* "Basicx" is another scheme. */
START_TEST(test_credentials_other)
{
    static const char *const other[] = {
        "", "Bearer abc", "Basicx YWxpY2U6c2VjcmV0", "Digest username=\"a\"",
        "NTLMSSP TlRMTVNTUAABAAAA", "Negotiated x"
    };
    for (size_t i = 0; i < sizeof(other) / sizeof(other[0]); i++) {
        front_credentials_read(other[i], &c);
        ck_assert_int_eq(c.scheme, FRONT_SCHEME_OTHER);
        ck_assert(!front_credentials_are_bound(&c));
    }
}
END_TEST

START_TEST(test_credentials_ntlm)
{
    uint8_t b[64];
    read_bytes("NTLM", b, make_ntlm(b, 1));
    ck_assert_int_eq(c.scheme, FRONT_SCHEME_NTLM);
    ck_assert_uint_eq(c.step, 1);
    ck_assert(front_credentials_are_bound(&c));
    ck_assert(front_credentials_go_on(&c));
    read_bytes("ntlm", b, make_ntlm(b, 3));
    ck_assert_uint_eq(c.step, 3);
    ck_assert(front_credentials_are_bound(&c));
    ck_assert(!front_credentials_go_on(&c));
    read_bytes("NTLM", b, 12);
    ck_assert_uint_eq(c.step, 3);
}
END_TEST

/* What is no NTLM message is still a leg of something that is bound. */
START_TEST(test_credentials_ntlm_bad)
{
    uint8_t b[64];
    read_bytes("NTLM", b, make_ntlm(b, 2)); /* a server's */
    ck_assert_int_eq(c.scheme, FRONT_SCHEME_NTLM);
    ck_assert_uint_eq(c.step, 0);
    ck_assert(front_credentials_go_on(&c));
    make_ntlm(b, 3);
    b[11] = 1;
    read_bytes("NTLM", b, 40);
    ck_assert_uint_eq(c.step, 0);
    make_ntlm(b, 3);
    read_bytes("NTLM", b, 11);
    ck_assert_uint_eq(c.step, 0);
    make_ntlm(b, 3);
    b[7] = 'x';
    read_bytes("NTLM", b, 40);
    ck_assert_uint_eq(c.step, 0);
    front_credentials_read("NTLM", &c);
    ck_assert_int_eq(c.scheme, FRONT_SCHEME_NTLM);
    ck_assert_uint_eq(c.step, 0);
    front_credentials_read("NTLM TlRMTVNTUAAD!AAA", &c);
    ck_assert_uint_eq(c.step, 0);
}
END_TEST

/* In SPNEGO the message stands behind its wrapping, wherever that is. */
START_TEST(test_credentials_negotiate)
{
    uint8_t b[900];
    size_t at;
    read_bytes("Negotiate", b, make_ntlm(b, 3));
    ck_assert_int_eq(c.scheme, FRONT_SCHEME_NEGOTIATE);
    ck_assert_uint_eq(c.step, 3);
    for (at = 1; at < 340; at++) {
        memset(b, 0x30, sizeof(b));
        b[0] = at % 2 ? 0x60 : 0xa1;
        make_ntlm(b + at, at % 3 ? 1 : 3);
        read_bytes("Negotiate", b, at % 5 ? sizeof(b) : at + 40);
        ck_assert_uint_eq(c.step, at % 3 ? 1u : 3u);
    }
}
END_TEST

/* Kerberos, which has no steps that could be seen, and what only looks like
 * NTLM. */
START_TEST(test_credentials_negotiate_unknown)
{
    uint8_t b[900];
    memset(b, 0x30, sizeof(b));
    b[0] = 0x60;
    read_bytes("Negotiate", b, sizeof(b));
    ck_assert_int_eq(c.scheme, FRONT_SCHEME_NEGOTIATE);
    ck_assert_uint_eq(c.step, 0);
    ck_assert(front_credentials_are_bound(&c));
    ck_assert(front_credentials_go_on(&c));
    make_ntlm(b + 700, 3); /* too far inside */
    read_bytes("Negotiate", b, sizeof(b));
    ck_assert_uint_eq(c.step, 0);
    make_ntlm(b + 20, 3);
    b[0] = 0x6e; /* no SPNEGO */
    read_bytes("Negotiate", b, sizeof(b));
    ck_assert_uint_eq(c.step, 0);
    b[0] = 0x60; /* cut in the middle of the number */
    read_bytes("Negotiate", b, 20 + 11);
    ck_assert_uint_eq(c.step, 0);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("credentials");
    TCase *t = tcase_create("credentials");
    tcase_add_test(t, test_credentials_none);
    tcase_add_test(t, test_credentials_basic);
    tcase_add_test(t, test_credentials_basic_bad);
    tcase_add_test(t, test_credentials_basic_size);
    tcase_add_test(t, test_credentials_other);
    tcase_add_test(t, test_credentials_ntlm);
    tcase_add_test(t, test_credentials_ntlm_bad);
    tcase_add_test(t, test_credentials_negotiate);
    tcase_add_test(t, test_credentials_negotiate_unknown);
    suite_add_tcase(s, t);
    return test_main(s);
}
