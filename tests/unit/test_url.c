/* SPDX-License-Identifier: Apache-2.0 */
/* test_url.c - the target in the query, 2.2.2. */
#include "rpch/url.h"
#include "rpch_test.h"

/* Parses a copy of exactly len bytes, so that a read beyond it is found. */
static int parse(const char *query, size_t len, rpch_target *out,
                 const char **reason)
{
    char *copy = malloc(len ? len : 1);
    int status;

    memcpy(copy, query, len);
    memset(out, 0x77, sizeof *out);
    *reason = NULL;
    status = rpch_url_parse_query(copy, len, out, reason);
    free(copy);
    return status;
}

static void accept(const char *query, const char *name, uint16_t port)
{
    const char *reason;
    rpch_target t;

    ck_assert_msg(parse(query, strlen(query), &t, &reason) == RPCH_OK,
                  "%s: %s", query, reason);
    ck_assert_ptr_null(reason);
    ck_assert_str_eq(t.name, name);
    ck_assert_uint_eq(t.port, port);
}

static void refuse(const char *query, const char *word)
{
    const char *reason;
    rpch_target t;

    ck_assert_msg(parse(query, strlen(query), &t, &reason) == RPCH_E_SYNTAX,
                  "%s was accepted", query);
    ck_assert_msg(reason && strstr(reason, word), "%s: %s", query, reason);
}

START_TEST(test_url_names)
{
    accept("rosco:593", "rosco", 593);
    accept("Rosco.Example.COM:6001", "Rosco.Example.COM", 6001);
    accept("localhost:3388", "localhost", 3388);
    accept("192.0.2.33:6002", "192.0.2.33", 6002);
    accept("EX_2010-A:6004", "EX_2010-A", 6004);
    accept("0b1c6cd2-5a5b-4c3a-9d0e-2f4a1b2c3d4e@contoso.com:6001",
           "0b1c6cd2-5a5b-4c3a-9d0e-2f4a1b2c3d4e@contoso.com", 6001);
    accept("x:1", "x", 1);
}
END_TEST

START_TEST(test_url_ipv6)
{
    accept("[2001:db8::33]:593", "2001:db8::33", 593);
    accept("2001:db8::33:593", "2001:db8::33", 593);
    accept("fe80::1:593", "fe80::1", 593);
    accept("::1:593", "::1", 593);
    accept("[::FFFF:192.0.2.33]:593", "::FFFF:192.0.2.33", 593);
    refuse("[2001:db8::33:593", "unbalanced");
    refuse("2001:db8::33]:593", "unbalanced");
    refuse("[[::1]]:593", "unbalanced");
    refuse("x[::1]:593", "unbalanced");
    refuse("[", "unbalanced");
    refuse("[:593", "unbalanced");
    refuse("[]:593", "empty");
    refuse("[::1]", "colon");
    refuse("[::1]593", "colon");
    refuse("[::1]x:593", "colon");
    refuse("[::1]:", "port");
    refuse("[rosco]:593", "no IPv6");
    refuse("[192.0.2.1]:593", "no IPv6");
    refuse("[fe80::1%eth0]:593", "character");
    refuse("rosco:592:593", "no IPv6");
}
END_TEST

START_TEST(test_url_ports)
{
    accept("rosco:65535", "rosco", 65535);
    accept("rosco:000593", "rosco", 593);
    refuse("rosco:0", "between");
    refuse("rosco:000000", "between");
    refuse("rosco:65536", "between");
    refuse("rosco:999999", "between");
    refuse("rosco:0000593", "digits");
    refuse("rosco:4294967297", "digits");
    refuse("rosco:", "digits");
    refuse("rosco:-1", "digits");
    refuse("rosco:+1", "digits");
    refuse("rosco: 593", "digits");
    refuse("rosco:593 ", "digits");
    refuse("rosco:0x251", "digits");
    refuse("rosco:593a", "digits");
    refuse("rosco:593&x=1", "digits");
}
END_TEST

START_TEST(test_url_refuses_incomplete)
{
    refuse("", "colon");
    refuse("rosco", "colon");
    refuse("593", "colon");
    refuse(":593", "empty");
    refuse(":", "empty");
}
END_TEST

START_TEST(test_url_refuses_every_bad_character)
{
    static const char bad[] = "/?#%\\\"<>[]";
    char query[] = "ros_co:593";
    const char *reason;
    rpch_target t;
    int c;

    for (c = 0; c < 256; c++) {
        bool good = c > ' ' && c < 127 && strchr(bad, c) == NULL && c != ':';
        query[3] = (char)c;
        if (c != ':')
            ck_assert(rpch_name_char((char)c) == good);
        ck_assert_msg((parse(query, 10, &t, &reason) == RPCH_OK) == good,
                      "character %d", c);
        ck_assert((reason == NULL) == good);
    }
}
END_TEST

START_TEST(test_url_name_length)
{
    char query[RPCH_NAME_SIZE + 8];
    rpch_target t;
    const char *reason;

    memset(query, 'a', sizeof query);
    memcpy(query + 1023, ":593", 4);
    ck_assert_int_eq(parse(query, 1027, &t, &reason), RPCH_OK);
    ck_assert_uint_eq(strlen(t.name), 1023);
    ck_assert_uint_eq(t.port, 593);
    memset(query, 'a', sizeof query);
    memcpy(query + 1024, ":593", 4);
    ck_assert_int_eq(parse(query, 1028, &t, &reason), RPCH_E_SYNTAX);
    ck_assert_str_eq(reason, "the server name has more than 1023 characters");
}
END_TEST

START_TEST(test_url_length_is_obeyed)
{
    const char *reason;
    rpch_target t;

    ck_assert_int_eq(parse("rosco:5931", 9, &t, &reason), RPCH_OK);
    ck_assert_uint_eq(t.port, 593);
    ck_assert_int_eq(parse("rosco:593", 6, &t, &reason), RPCH_E_SYNTAX);
    ck_assert_int_eq(parse("rosco:593\0x", 11, &t, &reason), RPCH_E_SYNTAX);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("url");
    TCase *tc = tcase_create("url");

    tcase_add_test(tc, test_url_names);
    tcase_add_test(tc, test_url_ipv6);
    tcase_add_test(tc, test_url_ports);
    tcase_add_test(tc, test_url_refuses_incomplete);
    tcase_add_test(tc, test_url_refuses_every_bad_character);
    tcase_add_test(tc, test_url_name_length);
    tcase_add_test(tc, test_url_length_is_obeyed);
    suite_add_tcase(s, tc);
    return test_main(s);
}
