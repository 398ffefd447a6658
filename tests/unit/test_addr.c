/* SPDX-License-Identifier: Apache-2.0 */
/* test_addr.c - addresses: as text, compared, and as limits know a client */
#include "rpch_test.h"

#include <arpa/inet.h>

#include "relay/addr.h"

static relay_addr addr_of(const char *ip, uint16_t port)
{
    relay_addr a;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    memset(&v4, 0, sizeof(v4));
    memset(&v6, 0, sizeof(v6));
    v4.sin_family = AF_INET;
    v4.sin_port = v6.sin6_port = htons(port);
    v6.sin6_family = AF_INET6;
    if (inet_pton(AF_INET, ip, &v4.sin_addr) == 1) {
        ck_assert(relay_addr_set(&a, (struct sockaddr *)&v4, sizeof(v4)));
    }
    else {
        ck_assert_int_eq(inet_pton(AF_INET6, ip, &v6.sin6_addr), 1);
        ck_assert(relay_addr_set(&a, (struct sockaddr *)&v6, sizeof(v6)));
    }
    return a;
}

START_TEST(test_addr_text)
{
    char text[RELAY_ADDR_TEXT_SIZE];
    relay_addr a = addr_of("192.0.2.1", 593);
    ck_assert_str_eq(relay_addr_text(&a, text), "192.0.2.1:593");
    a = addr_of("2001:db8::1", 6001);
    ck_assert_str_eq(relay_addr_text(&a, text), "[2001:db8::1]:6001");
    a = addr_of("fe80::1", 1);
    a.u.v6.sin6_scope_id = 2;
    ck_assert_str_eq(relay_addr_text(&a, text), "[fe80::1%2]:1");
    a.len = 0;
    ck_assert_str_eq(relay_addr_text(&a, text), "none");
}
END_TEST

START_TEST(test_addr_set)
{
    struct sockaddr_in6 v6;
    relay_addr a;
    memset(&v6, 0, sizeof(v6));
    v6.sin6_family = AF_INET6;
    ck_assert(!relay_addr_set(&a, (struct sockaddr *)&v6, sizeof(v6) - 1));
    ck_assert_uint_eq(a.len, 0);
    ck_assert(!relay_addr_set(&a, (struct sockaddr *)&v6, 1));
    v6.sin6_family = AF_UNIX;
    ck_assert(!relay_addr_set(&a, (struct sockaddr *)&v6, sizeof(v6)));
}
END_TEST

START_TEST(test_addr_equal)
{
    relay_addr a = addr_of("192.0.2.1", 1), b = addr_of("192.0.2.1", 1);
    relay_addr c = addr_of("2001:db8::1", 1), none;
    memset(&none, 0, sizeof(none));
    ck_assert(relay_addr_equal(&a, &b));
    b = addr_of("192.0.2.1", 2);
    ck_assert(!relay_addr_equal(&a, &b));
    b = addr_of("192.0.2.2", 1);
    ck_assert(!relay_addr_equal(&a, &b));
    ck_assert(!relay_addr_equal(&a, &c));
    b = addr_of("2001:db8::1", 1);
    ck_assert(relay_addr_equal(&b, &c));
    b.u.v6.sin6_scope_id = 3;
    ck_assert(!relay_addr_equal(&b, &c));
    ck_assert(!relay_addr_equal(&none, &none));
}
END_TEST

static void ck_network(const char *ip, const char *expected)
{
    char text[RELAY_ADDR_TEXT_SIZE];
    ck_assert_str_eq(relay_addr_network(ip, text), expected);
}

START_TEST(test_addr_network)
{
    char *endless = calloc(1, 201);
    char cut[RELAY_ADDR_TEXT_SIZE];
    ck_network("192.0.2.1", "192.0.2.1");
    ck_network("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64");
    ck_network("2001:db8:1:2::", "2001:db8:1:2::/64");
    ck_network("::1", "::/64");
    ck_network("fe80::1%eth0", "fe80::/64");
    ck_network("", "");
    ck_network("nonsense", "nonsense");
    memset(endless, 'a', 200);
    memset(cut, 'a', sizeof(cut) - 1);
    cut[sizeof(cut) - 1] = '\0';
    ck_network(endless, cut);
    free(endless);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("addr");
    TCase *tc = tcase_create("addr");
    tcase_add_test(tc, test_addr_text);
    tcase_add_test(tc, test_addr_set);
    tcase_add_test(tc, test_addr_equal);
    tcase_add_test(tc, test_addr_network);
    suite_add_tcase(s, tc);
    return test_main(s);
}
