/* SPDX-License-Identifier: Apache-2.0 */
/* test_ports.c - ValidPorts: the grammar, matching, and near misses. */
#include "rpch/ports.h"
#include "rpch/url.h"
#include "rpch_test.h"

#define MAX 32

static rpch_ports_entry entries[MAX];
static size_t n;

static void load(const char *list)
{
    const char *reason = NULL;
    size_t at = 0;

    memset(entries, 0x77, sizeof entries);
    ck_assert_msg(rpch_ports_parse(list, entries, MAX, &n, &at, &reason)
                  == RPCH_OK, "%s: at %zu: %s", list, at, reason);
}

static int ask(const char *name, unsigned port)
{
    return rpch_ports_match(entries, n, name, (uint16_t)port);
}

/* Fails the test unless list is refused at that offset for a reason that has
 * word, with an array and without. */
static void refuse(const char *list, size_t offset, const char *word)
{
    const char *reason = NULL;
    size_t at = 99;

    ck_assert_msg(rpch_ports_parse(list, entries, MAX, &n, &at, &reason)
                  == RPCH_E_SYNTAX, "'%s' was accepted", list);
    ck_assert_msg(reason && strstr(reason, word), "'%s': %s", list, reason);
    ck_assert_msg(at == offset, "'%s': at %zu", list, at);
    ck_assert_int_eq(rpch_ports_parse(list, NULL, 0, &n, &at, &reason),
                     RPCH_E_SYNTAX);
}

static rpch_ports_near near(const char *name, unsigned port, size_t *index)
{
    *index = 99;
    return rpch_ports_nearest(entries, n, name, (uint16_t)port, index);
}

START_TEST(test_ports_documented_example)
{
    load("Rosco:593;Rosco:2000-8000;Data*:4000-8000");
    ck_assert_uint_eq(n, 3);
    ck_assert_int_eq(ask("Rosco", 593), 0);
    ck_assert_int_eq(ask("rosco", 593), 0);
    ck_assert_int_eq(ask("ROSCO", 2000), 1);
    ck_assert_int_eq(ask("rosco", 8000), 1);
    ck_assert_int_eq(ask("rosco", 1999), -1);
    ck_assert_int_eq(ask("rosco", 8001), -1);
    ck_assert_int_eq(ask("rosco", 594), -1);
    ck_assert_int_eq(ask("data", 4000), 2);
    ck_assert_int_eq(ask("Database1.example.com", 8000), 2);
    ck_assert_int_eq(ask("Database1", 3999), -1);
    ck_assert_int_eq(ask("Dat", 4000), -1);
    ck_assert_int_eq(ask("xData", 4000), -1);
    /* no canonicalisation */
    ck_assert_int_eq(ask("rosco.example.com", 593), -1);
    ck_assert_int_eq(ask("rosc", 593), -1);
    ck_assert_int_eq(ask("roscoe", 593), -1);
}
END_TEST

START_TEST(test_ports_exchange_lists)
{
    load("EX2010:6001-6002;EX2010:6004;EX2010.test.lab:6001-6002;"
         "EX2010.test.lab:6004;");
    ck_assert_uint_eq(n, 4);
    ck_assert_int_eq(ask("ex2010", 6002), 0);
    ck_assert_int_eq(ask("ex2010", 6003), -1);
    ck_assert_int_eq(ask("ex2010", 6004), 1);
    ck_assert_int_eq(ask("ex2010.TEST.lab", 6001), 2);
    ck_assert_int_eq(ask("ex2010.test.lab", 593), -1);

    load("ExServer:100-5000;ExServer:593;ExServer:49152-65535");
    ck_assert_int_eq(ask("exserver", 100), 0);
    ck_assert_int_eq(ask("exserver", 593), 0);
    ck_assert_int_eq(ask("exserver", 65535), 2);

    /* everything but the endpoint mapper */
    load("srv:100-592;srv:594-5000");
    ck_assert_int_eq(ask("srv", 592), 0);
    ck_assert_int_eq(ask("srv", 593), -1);
    ck_assert_int_eq(ask("srv", 594), 1);
}
END_TEST

START_TEST(test_ports_mailbox_domains)
{
    load("*@contoso.com:6001-6004");
    ck_assert(entries[0].domain && !entries[0].prefix);
    ck_assert_uint_eq(entries[0].name_len, strlen("@contoso.com"));
    ck_assert_int_eq(ask("0b1c6cd2-5a5b-4c3a-9d0e@Contoso.COM", 6001), 0);
    ck_assert_int_eq(ask("a@contoso.com", 6004), 0);
    ck_assert_int_eq(ask("@contoso.com", 6001), -1);
    ck_assert_int_eq(ask("contoso.com", 6001), -1);
    ck_assert_int_eq(ask("a@mail.contoso.com", 6001), -1);
    ck_assert_int_eq(ask("a@notcontoso.com", 6001), -1);
    ck_assert_int_eq(ask("a@contoso.com.evil.org", 6001), -1);
    ck_assert_int_eq(ask("a@contoso.com", 593), -1);
    load("0b1c@contoso.com:6001;0b1c@*:6002");
    ck_assert_int_eq(ask("0B1C@contoso.com", 6001), 0);
    ck_assert_int_eq(ask("0b1c@anything", 6002), 1);
    ck_assert_int_eq(ask("0b1d@contoso.com", 6001), -1);
}
END_TEST

START_TEST(test_ports_ipv6)
{
    load("[2001:DB8::33]:593-600; [::1]:6001");
    ck_assert_int_eq(ask("2001:db8::33", 600), 0);
    ck_assert_int_eq(ask("::1", 6001), 1);
    /* another spelling is another name */
    ck_assert_int_eq(ask("2001:db8:0::33", 600), -1);
    refuse("2001:db8::33:593", 0, "brackets");
    refuse("[2001:db8::33:593", 0, "unbalanced");
    refuse("[]:593", 0, "IPv6");
    refuse("[rosco]:593", 0, "IPv6");
    refuse("[::1]*:593", 0, "brackets");
    refuse("[::1]", 0, "colon");
    refuse("[::1]593", 0, "colon");
    refuse("x]:593", 0, "unbalanced");
}
END_TEST

START_TEST(test_ports_any_name)
{
    load("*:593");
    ck_assert(entries[0].prefix);
    ck_assert_uint_eq(entries[0].name_len, 0);
    ck_assert_int_eq(ask("whatever", 593), 0);
    ck_assert_int_eq(ask("::1", 593), 0);
    ck_assert_int_eq(ask("a@b.c", 593), 0);
    ck_assert_int_eq(ask("whatever", 594), -1);
}
END_TEST

START_TEST(test_ports_white_space_and_empty_entries)
{
    load(" ;; a:1 ;\tb:2-3\r\n;c:4\n; ;");
    ck_assert_uint_eq(n, 3);
    ck_assert_int_eq(ask("a", 1), 0);
    ck_assert_int_eq(ask("b", 3), 1);
    ck_assert_int_eq(ask("c", 4), 2);
    load("");
    ck_assert_uint_eq(n, 0);
    ck_assert_int_eq(ask("a", 1), -1);
    load(" \t; ;;");
    ck_assert_uint_eq(n, 0);
}
END_TEST

START_TEST(test_ports_entries_are_borrowed)
{
    const char *list = " Abc*:1-2;*@D:3;[::1]:4";

    load(list);
    ck_assert_ptr_eq(entries[0].name, list + 1);
    ck_assert_uint_eq(entries[0].name_len, 3);
    ck_assert(entries[0].prefix && !entries[0].domain);
    ck_assert_uint_eq(entries[0].low, 1);
    ck_assert_uint_eq(entries[0].high, 2);
    ck_assert_ptr_eq(entries[1].name, list + 11);
    ck_assert_uint_eq(entries[1].name_len, 2);
    ck_assert(!entries[1].prefix && entries[1].domain);
    ck_assert_uint_eq(entries[1].low, 3);
    ck_assert_uint_eq(entries[1].high, 3);
    ck_assert_uint_eq(entries[2].name_len, 3);
    ck_assert(!entries[2].prefix && !entries[2].domain);
}
END_TEST

START_TEST(test_ports_refuses)
{
    refuse("rosco", 0, "no colon");
    refuse("a:1; rosco ;b:2", 5, "no colon");
    refuse(":593", 0, "name is empty");
    refuse("a:1;:593", 4, "name is empty");
    refuse("a b:593", 0, "character");
    refuse("a/b:593", 0, "character");
    refuse("a\\b:593", 0, "character");
    refuse("a\001b:593", 0, "character");
    refuse("a\xc3\xa4:593", 0, "character");
    refuse("srv :593", 0, "character");
    refuse("*x:593", 0, "'*'");
    refuse("a*b:593", 0, "'*'");
    refuse("a**:593", 0, "'*'");
    refuse("*@:593", 0, "domain");
    refuse("*@a*:593", 0, "'*'");
    refuse("**@a:593", 0, "'*'");
    refuse("a:", 0, "digits");
    refuse("a:x", 0, "digits");
    refuse("a: 593", 0, "digits");
    refuse("a:5 93", 0, "digits");
    refuse("a:-593", 0, "digits");
    refuse("a:593-", 0, "digits");
    refuse("a:593 - 600", 0, "digits");
    refuse("a:1-2-3", 0, "digits");
    refuse("a:1-2,5", 0, "digits");
    refuse("a:0000001", 0, "digits");
    refuse("a:0", 0, "between");
    refuse("a:0-5", 0, "between");
    refuse("a:65536", 0, "between");
    refuse("a:1-65536", 0, "between");
    refuse("a:600-593", 0, "reversed");
    refuse("a:1:2", 0, "brackets");
    refuse("http://a:593", 0, "colon");
    refuse("!a:593 b:1", 0, "colon");
}
END_TEST

START_TEST(test_ports_name_length)
{
    char list[RPCH_NAME_SIZE + 8];

    memset(list, 'a', sizeof list);
    strcpy(list + RPCH_NAME_SIZE - 1, ":593");
    load(list);
    ck_assert_uint_eq(entries[0].name_len, RPCH_NAME_SIZE - 1);
    memset(list, 'a', sizeof list);
    strcpy(list + RPCH_NAME_SIZE, ":593");
    refuse(list, 0, "1023");
}
END_TEST

START_TEST(test_ports_counts_what_does_not_fit)
{
    static const char list[] = "a:1;b:2;c:3";
    rpch_ports_entry two[3];
    const char *reason = NULL;
    size_t at = 0;

    memset(two, 0x77, sizeof two);
    ck_assert_int_eq(rpch_ports_parse(list, NULL, 0, &n, &at, &reason),
                     RPCH_E_ROOM);
    ck_assert_uint_eq(n, 3);
    ck_assert_int_eq(rpch_ports_parse(list, two, 2, &n, &at, &reason),
                     RPCH_E_ROOM);
    ck_assert_uint_eq(n, 3);
    ck_assert_uint_eq(two[1].low, 2);
    ck_assert_uint_eq(two[2].low, 0x7777);
    ck_assert_int_eq(rpch_ports_parse(list, two, 3, &n, &at, &reason),
                     RPCH_OK);
    ck_assert_uint_eq(two[2].low, 3);
    ck_assert_int_eq(rpch_ports_parse(" ; ", NULL, 0, &n, &at, &reason),
                     RPCH_OK);
    ck_assert_uint_eq(n, 0);
}
END_TEST

START_TEST(test_ports_first_match_wins)
{
    load("a*:1-10;ab:5;*:5");
    ck_assert_int_eq(ask("ab", 5), 0);
    ck_assert_int_eq(ask("b", 5), 2);
    ck_assert(rpch_ports_name_matches(&entries[1], "AB"));
    ck_assert(!rpch_ports_name_matches(&entries[1], "abc"));
    ck_assert(!rpch_ports_name_matches(&entries[1], ""));
}
END_TEST

START_TEST(test_ports_nearest)
{
    size_t i;

    load("other:1;ex1:6001-6002;ex2.corp.local:6001;Data*:593;"
         "*@contoso.com:6001;192:593");
    ck_assert_int_eq(near("EX1", 593, &i), RPCH_NEAR_PORT);
    ck_assert_uint_eq(i, 1);
    ck_assert_int_eq(near("ex1.corp.local", 6001, &i), RPCH_NEAR_SHORT);
    ck_assert_uint_eq(i, 1);
    ck_assert_int_eq(near("ex1.corp.local", 593, &i), RPCH_NEAR_SHORT);
    ck_assert_int_eq(near("EX2", 6001, &i), RPCH_NEAR_FULL);
    ck_assert_uint_eq(i, 2);
    ck_assert_int_eq(near("database", 6001, &i), RPCH_NEAR_PORT);
    ck_assert_uint_eq(i, 3);
    ck_assert_int_eq(near("a@contoso.com", 593, &i), RPCH_NEAR_PORT);
    ck_assert_uint_eq(i, 4);
    ck_assert_int_eq(near("ex11.corp.local", 6001, &i), RPCH_NEAR_NONE);
    ck_assert_int_eq(near("ex", 6001, &i), RPCH_NEAR_NONE);
    ck_assert_int_eq(near("ex1@corp.local", 6001, &i), RPCH_NEAR_NONE);
    ck_assert_int_eq(near("ex2.corp", 6001, &i), RPCH_NEAR_NONE);
    ck_assert_int_eq(near("192.0.2.1", 593, &i), RPCH_NEAR_NONE);
    ck_assert_int_eq(near("unheard.of", 593, &i), RPCH_NEAR_NONE);
    ck_assert_uint_eq(i, 99);
    ck_assert_int_eq(rpch_ports_nearest(NULL, 0, "a", 1, &i),
                     RPCH_NEAR_NONE);
}
END_TEST

START_TEST(test_ports_nearest_prefers)
{
    size_t i;

    /* the name itself before another form of it; the port before none */
    load("ex1:593;ex1.b:593;ex1.a:6001;ex1:7000");
    ck_assert_int_eq(near("ex1", 6001, &i), RPCH_NEAR_PORT);
    ck_assert_uint_eq(i, 0);
    load("ex1.b:593;ex1.a:6001");
    ck_assert_int_eq(near("ex1", 6001, &i), RPCH_NEAR_FULL);
    ck_assert_uint_eq(i, 1);
    ck_assert_int_eq(near("ex1", 1, &i), RPCH_NEAR_FULL);
    ck_assert_uint_eq(i, 0);
}
END_TEST

START_TEST(test_ports_hostile_input)
{
    static const char alphabet[] = "a*@[]:;-019 .\t\xff";
    uint32_t seed = 7;
    unsigned round, good = 0;

    for (round = 0; round < 200000; round++) {
        char text[24];
        char *list;
        const char *reason = NULL;
        size_t len, i, at = 99;
        int status;

        seed = seed * 1664525u + 1013904223u;
        len = (seed >> 8) % (sizeof text - 1);
        for (i = 0; i < len; i++) {
            seed = seed * 1664525u + 1013904223u;
            text[i] = alphabet[(seed >> 8) % (sizeof alphabet - 1)];
        }
        text[len] = '\0';
        list = malloc(len + 1);
        memcpy(list, text, len + 1);
        status = rpch_ports_parse(list, entries, MAX, &n, &at, &reason);
        if (status == RPCH_OK) {
            good++;
            for (i = 0; i < n; i++) {
                if (entries[i].low == 0 || entries[i].high < entries[i].low
                    || entries[i].name < list
                    || entries[i].name + entries[i].name_len > list + len)
                    ck_abort_msg("'%s' entry %zu", text, i);
            }
            rpch_ports_match(entries, n, "a.0", 9);
        } else if (status != RPCH_E_SYNTAX || !reason || at > len) {
            ck_abort_msg("'%s' gives %d at %zu", text, status, at);
        }
        free(list);
    }
    ck_assert_uint_gt(good, 100);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("ports");
    TCase *tc = tcase_create("ports");

    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, test_ports_documented_example);
    tcase_add_test(tc, test_ports_exchange_lists);
    tcase_add_test(tc, test_ports_mailbox_domains);
    tcase_add_test(tc, test_ports_ipv6);
    tcase_add_test(tc, test_ports_any_name);
    tcase_add_test(tc, test_ports_white_space_and_empty_entries);
    tcase_add_test(tc, test_ports_entries_are_borrowed);
    tcase_add_test(tc, test_ports_refuses);
    tcase_add_test(tc, test_ports_name_length);
    tcase_add_test(tc, test_ports_counts_what_does_not_fit);
    tcase_add_test(tc, test_ports_first_match_wins);
    tcase_add_test(tc, test_ports_nearest);
    tcase_add_test(tc, test_ports_nearest_prefers);
    tcase_add_test(tc, test_ports_hostile_input);
    suite_add_tcase(s, tc);
    return test_main(s);
}
