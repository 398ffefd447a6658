/* SPDX-License-Identifier: Apache-2.0 */
/* test_table_calls.c - whether a connection has a call without an answer, as
 * both of its halves know it, in whatever process they are */
#include <sys/wait.h>
#include <unistd.h>

#include "table_test.h"

static const relay_counters none;

static void setup(void)
{
    table_test_open(8);
}

static relay_ref both(unsigned n)
{
    relay_ref in, out;
    ck_assert_int_eq(take(n, RELAY_IN, "alice", &in), RELAY_CLAIM_FIRST);
    ck_assert(relay_table_is_calling(table, in));
    ck_assert_int_eq(take(n, RELAY_OUT, "alice", &out), RELAY_CLAIM_SECOND);
    return in;
}

START_TEST(test_table_calls_counted)
{
    relay_ref ref = both(1), other = both(2);
    ck_assert(!relay_table_is_calling(table, ref));
    relay_table_call_began(table, ref);
    relay_table_call_began(table, ref);
    ck_assert(relay_table_is_calling(table, ref));
    ck_assert(!relay_table_is_calling(table, other));
    relay_table_calls_ended(table, ref, 1);
    ck_assert(relay_table_is_calling(table, ref));
    relay_table_calls_ended(table, ref, 1);
    ck_assert(!relay_table_is_calling(table, ref));
}
END_TEST

START_TEST(test_table_calls_processes)
{
    relay_ref ref = both(1);
    int status;
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        relay_table_call_began(table, ref);
        _exit(0);
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_int_eq(status, 0);
    ck_assert(relay_table_is_calling(table, ref));
    relay_table_calls_ended(table, ref, 1);
    ck_assert(!relay_table_is_calling(table, ref));
}
END_TEST

/* What is not known may be a call: no entry, one half, an entry that is gone. */
START_TEST(test_table_calls_unknown)
{
    static const relay_ref nowhere;
    const relay_ref beyond = { 8, 1 };
    relay_ref ref = both(1);
    ck_assert(relay_table_is_calling(table, nowhere));
    ck_assert(relay_table_is_calling(table, beyond));
    drop(ref, RELAY_OUT);
    ck_assert(relay_table_is_calling(table, ref));
    drop(ref, RELAY_IN);
    ck_assert(relay_table_is_calling(table, ref));
    relay_table_call_began(table, ref);
    relay_table_calls_ended(table, beyond, 1);
    relay_table_call_began(table, nowhere);
}
END_TEST

/* A new connection in a used entry begins without calls. */
START_TEST(test_table_calls_entry_again)
{
    relay_ref ref = both(1), next;
    relay_table_call_began(table, ref);
    drop(ref, RELAY_OUT);
    drop(ref, RELAY_IN);
    next = both(2);
    ck_assert_uint_eq(next.index, ref.index);
    ck_assert(!relay_table_is_calling(table, next));
    relay_table_call_began(table, ref);
    relay_table_calls_ended(table, ref, 1);
    ck_assert(!relay_table_is_calling(table, next));
}
END_TEST

/* A half that is replaced here changes nothing. */
START_TEST(test_table_calls_succession)
{
    relay_ref ref = both(1);
    relay_owner from = channel_of(101), to = channel_of(201);
    relay_table_call_began(table, ref);
    ck_assert(relay_table_succeed(table, ref, RELAY_IN, &from, &to, &none));
    ck_assert(relay_table_is_calling(table, ref));
    ck_assert(relay_table_succeed(table, ref, RELAY_OUT, &from, &to, &none));
    ck_assert(relay_table_is_calling(table, ref));
    relay_table_calls_ended(table, ref, 1);
    ck_assert(!relay_table_is_calling(table, ref));
}
END_TEST

/* What passes at another proxy is not counted here, and what had passed there
 * was not when the half came back. */
START_TEST(test_table_calls_elsewhere)
{
    relay_ref ref = both(1), back;
    relay_claim c = claim_of(1, RELAY_OUT, "alice", "192.0.2.1");
    relay_owner o = channel_of(101);
    relay_summary s;
    ck_assert(!relay_table_recycled(table, ref, RELAY_OUT, &o, &none, &s));
    ck_assert(relay_table_is_calling(table, ref));
    c.successor = true;
    ck_assert_int_eq(relay_table_claim(table, &c, &back),
                     RELAY_CLAIM_SECOND);
    ck_assert(relay_table_is_calling(table, ref));
}
END_TEST

/* One that began elsewhere. */
START_TEST(test_table_calls_from_elsewhere)
{
    relay_claim c = claim_of(1, RELAY_IN, "alice", "192.0.2.1");
    relay_ref in, out;
    c.successor = true;
    ck_assert_int_eq(relay_table_claim(table, &c, &in), RELAY_CLAIM_FIRST);
    c.dir = RELAY_OUT;
    ck_assert_int_eq(relay_table_claim(table, &c, &out), RELAY_CLAIM_SECOND);
    ck_assert(relay_table_is_calling(table, in));
}
END_TEST

START_TEST(test_table_calls_cause)
{
    relay_ref ref = both(1);
    relay_owner o = channel_of(101);
    relay_summary s;
    char text[RELAY_CAUSE_MAX];
    ck_assert(!relay_table_cause(table, ref, text));
    ck_assert_str_eq(text, "");
    ck_assert(!relay_table_release(table, ref, RELAY_OUT, &o, &none,
                                   RPCH_E_TIMEOUT, "it was time", &s));
    ck_assert(relay_table_cause(table, ref, text));
    ck_assert_str_eq(text, "it was time");
    ck_assert(relay_table_release(table, ref, RELAY_IN, &o, &none,
                                  RPCH_E_CLOSED, "another", &s));
    ck_assert(!relay_table_cause(table, ref, text));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("table_calls");
    TCase *tc = tcase_create("calls");
    apr_initialize();
    tcase_add_checked_fixture(tc, setup, table_test_close);
    tcase_add_test(tc, test_table_calls_counted);
    tcase_add_test(tc, test_table_calls_processes);
    tcase_add_test(tc, test_table_calls_unknown);
    tcase_add_test(tc, test_table_calls_entry_again);
    tcase_add_test(tc, test_table_calls_succession);
    tcase_add_test(tc, test_table_calls_elsewhere);
    tcase_add_test(tc, test_table_calls_from_elsewhere);
    tcase_add_test(tc, test_table_calls_cause);
    suite_add_tcase(s, tc);
    return test_main(s);
}
