/* SPDX-License-Identifier: Apache-2.0 */
/* test_table_recycle.c - halves of the shared table that pass to a successor,
 * and children that die at every step of it */
#include <sys/wait.h>
#include <unistd.h>

#include "table_test.h"

#define MAX 8u

static const relay_counters some = { 1000, 3 };
static const relay_counters more = { 50, 1 };

static void setup(void)
{
    table_test_open(MAX);
}

/* A claim of self's channel for the successor of connection n. */
static relay_claim_result succeed_from_elsewhere(unsigned n, relay_dir dir,
                                                 uint64_t channel,
                                                 relay_ref *ref)
{
    relay_claim c = claim_of(n, dir, "alice", "192.0.2.1");
    c.owner.channel = channel;
    c.successor = true;
    return relay_table_claim(table, &c, ref);
}

/* Connection 1 of alice, both halves open, held by channel 101. */
static relay_ref open_both(void)
{
    relay_ref in, out;
    ck_assert_int_eq(take(1, RELAY_IN, "alice", &in), RELAY_CLAIM_FIRST);
    ck_assert_int_eq(take(1, RELAY_OUT, "alice", &out), RELAY_CLAIM_SECOND);
    relay_table_set_state(table, in, RELAY_IN, RELAY_HALF_OPEN);
    relay_table_set_state(table, out, RELAY_OUT, RELAY_HALF_OPEN);
    return in;
}

static bool release(relay_ref ref, relay_dir dir, uint64_t channel,
                    relay_summary *s)
{
    relay_owner o = channel_of(channel);
    return relay_table_release(table, ref, dir, &o, &more, RPCH_E_CLOSED,
                               "closed", s);
}

static bool leave(relay_ref ref, relay_dir dir, uint64_t channel,
                  relay_summary *s)
{
    relay_owner o = channel_of(channel);
    return relay_table_recycled(table, ref, dir, &o, &some, s);
}

static bool succeed(relay_ref ref, relay_dir dir, uint64_t from, uint64_t to)
{
    relay_owner a = channel_of(from), b = channel_of(to);
    return relay_table_succeed(table, ref, dir, &a, &b, &some);
}

static relay_half_state state_of(relay_ref ref, relay_dir dir)
{
    relay_peer peer;
    ck_assert(relay_table_peer(table, ref, (relay_dir)!dir, &peer));
    return peer.state;
}

START_TEST(test_table_recycle_succeed)
{
    relay_ref ref = open_both();
    relay_summary s;
    unsigned i;
    for (i = 1; i <= 5; i++) {
        ck_assert(succeed(ref, RELAY_OUT, 100 + i, 101 + i));
        ck_assert_uint_eq(holder_of(ref, RELAY_OUT).channel, 101 + i);
        ck_assert_uint_eq(holder_of(ref, RELAY_IN).channel, 101);
        ck_assert_int_eq(state_of(ref, RELAY_OUT), RELAY_HALF_OPEN);
    }
    ck_assert(succeed(ref, RELAY_IN, 101, 201));
    /* One channel on the books, whoever holds it. */
    ck_assert_uint_eq(stats_now().halves[RELAY_OUT], 1);
    ck_assert_uint_eq(stats_now().halves[RELAY_IN], 1);
    ck_assert_uint_eq(stats_now().open, 1);
    ck_assert_uint_eq(stats_now().users, 1);
    ck_assert_uint_eq(stats_now().claims, 2);
    ck_assert_uint_eq(stats_now().recycled_r2, 6);
    ck_assert_uint_eq(stats_now().recycled_r1, 0);
    ck_assert(!release(ref, RELAY_OUT, 106, &s));
    ck_assert(release(ref, RELAY_IN, 201, &s));
    ck_assert_uint_eq(s.half[RELAY_OUT].rpc_bytes, 5 * 1000 + 50);
    ck_assert_uint_eq(s.half[RELAY_OUT].rpc_pdus, 5 * 3 + 1);
    ck_assert_uint_eq(s.half[RELAY_IN].rpc_bytes, 1050);
    ck_assert_uint_eq(s.half[RELAY_IN].rpc_pdus, 4);
    ck_assert_uint_eq(s.recycled[RELAY_OUT], 5);
    ck_assert_uint_eq(s.recycled[RELAY_IN], 1);
    ck_assert(s.was_open);
    ck_assert_str_eq(s.cause, "closed");
    check_empty();
}
END_TEST

/* Only who holds a half gives it away, and who gave it away ends nothing. */
START_TEST(test_table_recycle_not_held)
{
    relay_ref ref = open_both(), wild = { MAX, 1 };
    relay_owner a = channel_of(101), b = channel_of(102), o = a;
    relay_summary s;
    o.pid++;
    ck_assert(!relay_table_succeed(table, ref, RELAY_IN, &o, &b, &some));
    o = a;
    o.nonce++;
    ck_assert(!relay_table_succeed(table, ref, RELAY_IN, &o, &b, &some));
    ck_assert(!succeed(ref, RELAY_IN, 102, 103));
    ck_assert(!succeed(wild, RELAY_IN, 101, 102));
    ck_assert_uint_eq(holder_of(ref, RELAY_IN).channel, 101);
    ck_assert(succeed(ref, RELAY_IN, 101, 102));
    ck_assert(!succeed(ref, RELAY_IN, 101, 103));
    ck_assert(!release(ref, RELAY_IN, 101, &s));
    ck_assert(!leave(ref, RELAY_IN, 101, &s));
    ck_assert_int_eq(state_of(ref, RELAY_IN), RELAY_HALF_OPEN);
    ck_assert_uint_eq(holder_of(ref, RELAY_IN).channel, 102);
    ck_assert(!release(ref, RELAY_IN, 102, &s));
    ck_assert_int_eq(state_of(ref, RELAY_IN), RELAY_HALF_FAILED);
    ck_assert(!succeed(ref, RELAY_IN, 102, 103));
    ck_assert(!leave(ref, RELAY_IN, 102, &s));
    ck_assert(release(ref, RELAY_OUT, 101, &s));
    ck_assert_uint_eq(s.half[RELAY_IN].rpc_pdus, 4);
    ck_assert(!succeed(ref, RELAY_OUT, 101, 102));
    ck_assert_uint_eq(stats_now().recycled_r2, 1);
    check_empty();
}
END_TEST

/* A successor's entry is told from a newcomer's by what find says. */
START_TEST(test_table_recycle_find)
{
    relay_hash alice = hash_of("alice");
    rpch_cookie vc = cookie_of(1);
    relay_ref ref = open_both(), found;
    relay_peer peer;
    relay_summary s;
    ck_assert(succeed(ref, RELAY_IN, 101, 102));
    ck_assert(relay_table_find(table, &vc, &alice, RELAY_IN, &found, &peer));
    ck_assert_uint_eq(peer.owner.pid, self.pid);
    ck_assert_uint_eq(peer.owner.channel, 102);
    ck_assert(!leave(ref, RELAY_IN, 102, &s));
    ck_assert(relay_table_find(table, &vc, &alice, RELAY_IN, &found, &peer));
    ck_assert_int_eq(peer.state, RELAY_HALF_NONE);
    ck_assert_uint_eq(peer.owner.pid, 0);
    ck_assert(release(ref, RELAY_OUT, 101, &s));
    ck_assert(!relay_table_find(table, &vc, &alice, RELAY_IN, &found, &peer));
    check_empty();
}
END_TEST

/* To another proxy and back again, while the other half stays. */
START_TEST(test_table_recycle_leaves)
{
    relay_ref ref = open_both(), back;
    relay_summary s;
    ck_assert(!leave(ref, RELAY_IN, 101, &s));
    ck_assert_int_eq(state_of(ref, RELAY_IN), RELAY_HALF_NONE);
    ck_assert_uint_eq(stats_now().halves[RELAY_IN], 0);
    ck_assert_uint_eq(stats_now().open, 0);
    ck_assert_uint_eq(stats_now().recycled_r1, 1);
    /* Not for one that opens a connection of that name. */
    ck_assert_int_eq(take(1, RELAY_IN, "alice", &back), RELAY_CLAIM_IN_USE);
    ck_assert_int_eq(succeed_from_elsewhere(1, RELAY_IN, 300, &back),
                     RELAY_CLAIM_SECOND);
    ck_assert_uint_eq(back.index, ref.index);
    ck_assert_int_eq(state_of(ref, RELAY_IN), RELAY_HALF_OPENING);
    ck_assert_uint_eq(holder_of(ref, RELAY_IN).channel, 300);
    ck_assert_uint_eq(stats_now().recycled_r1, 1);
    relay_table_set_state(table, back, RELAY_IN, RELAY_HALF_OPEN);
    relay_table_set_state(table, back, RELAY_IN, RELAY_HALF_OPEN);
    ck_assert_uint_eq(stats_now().recycled_r1, 2);
    ck_assert_uint_eq(stats_now().open, 1);
    ck_assert(succeed(ref, RELAY_IN, 300, 301));
    ck_assert(!release(ref, RELAY_IN, 301, &s));
    ck_assert(release(ref, RELAY_OUT, 101, &s));
    ck_assert_uint_eq(s.recycled[RELAY_IN], 3);
    ck_assert_uint_eq(s.recycled[RELAY_OUT], 0);
    ck_assert_uint_eq(s.half[RELAY_IN].rpc_bytes, 2 * 1000 + 50);
    check_empty();
}
END_TEST

/* All of it leaves: that is no end, and the cookie is free again. */
START_TEST(test_table_recycle_leaves_last)
{
    relay_ref ref = open_both();
    relay_summary s;
    ck_assert(!leave(ref, RELAY_OUT, 101, &s));
    ck_assert(leave(ref, RELAY_IN, 101, &s));
    ck_assert_str_eq(s.cause, "");
    ck_assert(s.was_open);
    ck_assert_uint_eq(s.recycled[RELAY_IN], 1);
    ck_assert_uint_eq(s.recycled[RELAY_OUT], 1);
    ck_assert_uint_eq(s.half[RELAY_OUT].rpc_bytes, 1000);
    check_empty();
    ref = open_both();
    ck_assert(!leave(ref, RELAY_OUT, 101, &s));
    ck_assert(release(ref, RELAY_IN, 101, &s));
    ck_assert_str_eq(s.cause, "closed");
    ck_assert_int_eq(s.first_to_leave, RELAY_IN);
    check_empty();
    ref = open_both();
    ck_assert(!release(ref, RELAY_IN, 101, &s));
    ck_assert(leave(ref, RELAY_OUT, 101, &s));
    ck_assert_str_eq(s.cause, "closed");
    ck_assert_int_eq(s.first_to_leave, RELAY_IN);
    check_empty();
}
END_TEST

/* What a successor may claim: nothing known, or a half that nobody has. */
START_TEST(test_table_recycle_claims)
{
    relay_ref ref, out, no;
    relay_claim c;
    ck_assert_int_eq(succeed_from_elsewhere(1, RELAY_OUT, 7, &out),
                     RELAY_CLAIM_FIRST);
    ck_assert_int_eq(succeed_from_elsewhere(1, RELAY_OUT, 8, &no),
                     RELAY_CLAIM_IN_USE);
    ck_assert_int_eq(succeed_from_elsewhere(1, RELAY_IN, 9, &ref),
                     RELAY_CLAIM_SECOND);
    /* The connection is ending: nobody succeeds a half that failed. */
    ck_assert(!drop(ref, RELAY_IN));
    ck_assert_int_eq(succeed_from_elsewhere(1, RELAY_IN, 10, &no),
                     RELAY_CLAIM_IN_USE);
    c = claim_of(1, RELAY_IN, "mallory", "192.0.2.1");
    c.successor = true;
    ck_assert_int_eq(relay_table_claim(table, &c, &no), RELAY_CLAIM_FOREIGN);
    c = claim_of(2, RELAY_IN, "alice", "192.0.2.1");
    c.successor = true;
    c.max_per_user = 1;
    ck_assert_int_eq(relay_table_claim(table, &c, &no),
                     RELAY_CLAIM_USER_LIMIT);
    /* One that never came to be open is not counted. */
    ck_assert(drop(out, RELAY_OUT));
    ck_assert_uint_eq(stats_now().recycled_r1, 0);
    check_empty();
}
END_TEST

/* --- deaths, in the lock of connection 1 --- */

static relay_ref both;
static unsigned step;

/* Runs fn in a child of its own that then ends without a word. */
static void in_child(void (*fn)(void))
{
    int status;
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (!pid) {
        fn();
        _exit(0);
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert(WIFEXITED(status));
    ck_assert_int_eq(WEXITSTATUS(status), 0);
}

/* The child's own channel 500, registered: it dies with it. */
static relay_owner enter_child(void)
{
    if (relay_table_child_enter(table, &self) != APR_SUCCESS) {
        _exit(1);
    }
    return channel_of(500);
}

/* Hands OUT to a channel that lives, and dies after so many words. */
static void die_preparing(void)
{
    relay_entry *e = relay_entry_lock(table, both);
    relay_holding *h = &e->vc.half[RELAY_OUT];
    relay_owner to = channel_of(102);
    relay_holding whole = *h;
    uint32_t old = h->at;
    relay_half_prepare(&whole, &to, &some);
    memcpy(&h->tenure[!old], &whole.tenure[!old], step);
    if (step == sizeof(relay_tenure)) {
        relay_half_pass(h);
    }
}

/* Wherever it dies, the half is the old or the new holder's. */
START_TEST(test_table_recycle_death_succeeding)
{
    for (step = 0; step <= sizeof(relay_tenure); step++) {
        bool passed = step == sizeof(relay_tenure);
        uint64_t now = passed ? 102 : 101;
        relay_summary s;
        both = open_both();
        in_child(die_preparing);
        ck_assert_uint_eq(holder_of(both, RELAY_OUT).pid, self.pid);
        ck_assert_uint_eq(holder_of(both, RELAY_OUT).nonce, self.nonce);
        ck_assert_uint_eq(holder_of(both, RELAY_OUT).channel, now);
        ck_assert_int_eq(state_of(both, RELAY_OUT), RELAY_HALF_OPEN);
        ck_assert_uint_eq(relay_table_reap(table, NULL, NULL), 0);
        ck_assert(succeed(both, RELAY_OUT, now, 600));
        ck_assert(!release(both, RELAY_OUT, 600, &s));
        ck_assert(release(both, RELAY_IN, 101, &s));
        ck_assert_uint_eq(s.recycled[RELAY_OUT], passed ? 2 : 1);
        ck_assert_uint_eq(s.half[RELAY_OUT].rpc_bytes,
                          passed ? 2050 : 1050);
        check_empty();
    }
}
END_TEST

static void die_as_successor(void)
{
    relay_owner from = channel_of(101), to = enter_child();
    if (!relay_table_succeed(table, both, RELAY_OUT, &from, &to, &some)) {
        _exit(2);
    }
}

/* The successor's child dies with the leg; the connection ends. */
START_TEST(test_table_recycle_death_successor)
{
    relay_summary s;
    both = open_both();
    in_child(die_as_successor);
    ck_assert_uint_eq(relay_table_reap(table, NULL, NULL), 1);
    ck_assert_int_eq(state_of(both, RELAY_OUT), RELAY_HALF_FAILED);
    ck_assert_uint_eq(stats_now().halves[RELAY_OUT], 0);
    /* The predecessor has nothing to release any more. */
    ck_assert(!release(both, RELAY_OUT, 101, &s));
    ck_assert(release(both, RELAY_IN, 101, &s));
    ck_assert_str_eq(s.cause, "its child process died");
    ck_assert_uint_eq(s.half[RELAY_OUT].rpc_bytes, 1000);
    ck_assert_int_eq(s.first_to_leave, RELAY_OUT);
    check_empty();
}
END_TEST

static void hold_and_die(void)
{
    relay_owner from = channel_of(101), to = enter_child(), on = from;
    on.channel = 700;
    if (!relay_table_succeed(table, both, RELAY_OUT, &from, &to, &some)
        || !relay_table_succeed(table, both, RELAY_OUT, &to, &on, &some)) {
        _exit(2);
    }
}

/* The predecessor's child dies when it has handed the half over. */
START_TEST(test_table_recycle_death_predecessor)
{
    relay_summary s;
    both = open_both();
    in_child(hold_and_die);
    ck_assert_uint_eq(relay_table_reap(table, NULL, NULL), 0);
    ck_assert_uint_eq(holder_of(both, RELAY_OUT).channel, 700);
    ck_assert(!release(both, RELAY_OUT, 700, &s));
    ck_assert(release(both, RELAY_IN, 101, &s));
    ck_assert_uint_eq(s.recycled[RELAY_OUT], 2);
    check_empty();
}
END_TEST

/* The successor's child was dead, swept and searched for before it was given
 * the half: the next reap finds it all the same. */
START_TEST(test_table_recycle_death_before)
{
    relay_owner from = channel_of(101), gone;
    relay_summary s;
    both = open_both();
    ck_assert_int_eq(relay_table_child_enter(table, &gone), APR_SUCCESS);
    relay_table_child_leave(table, &gone);
    ck_assert_uint_eq(relay_table_reap(table, NULL, NULL), 0);
    ck_assert(relay_table_succeed(table, both, RELAY_OUT, &from, &gone,
                                  &some));
    ck_assert_uint_eq(relay_table_reap(table, NULL, NULL), 1);
    ck_assert_int_eq(state_of(both, RELAY_OUT), RELAY_HALF_FAILED);
    ck_assert(release(both, RELAY_IN, 101, &s));
    check_empty();
}
END_TEST

/* OUT leaves for another proxy: dies 0 before its state, 1 before its books,
 * 2 before the lock is given back. */
static void die_leaving(void)
{
    relay_entry *e = relay_entry_lock(table, both);
    relay_half_count(&e->vc.half[RELAY_OUT], &some);
    relay_tenure_of(&e->vc.half[RELAY_OUT])->recycled++;
    if (step > 0) {
        relay_half_set(table, e, RELAY_OUT, RELAY_HALF_NONE);
    }
    if (step > 1) {
        relay_summary s;
        relay_entry_left(table, e, RELAY_OUT, &s);
    }
}

START_TEST(test_table_recycle_death_leaving)
{
    for (step = 0; step < 3; step++) {
        relay_ref back;
        relay_summary s;
        both = open_both();
        in_child(die_leaving);
        ck_assert_int_eq(state_of(both, RELAY_OUT),
                         step ? RELAY_HALF_NONE : RELAY_HALF_OPEN);
        ck_assert_uint_eq(stats_now().halves[RELAY_OUT], !step);
        ck_assert_uint_eq(stats_now().open, !step);
        if (step) {
            ck_assert_int_eq(succeed_from_elsewhere(1, RELAY_OUT, 101, &back),
                             RELAY_CLAIM_SECOND);
        }
        ck_assert(!release(both, RELAY_OUT, 101, &s));
        ck_assert(release(both, RELAY_IN, 101, &s));
        check_empty();
    }
}
END_TEST

/* The same, and it was the last half. */
START_TEST(test_table_recycle_death_leaving_last)
{
    for (step = 0; step < 3; step++) {
        relay_summary s;
        relay_peer peer;
        both = open_both();
        ck_assert(!leave(both, RELAY_IN, 101, &s));
        in_child(die_leaving);
        if (!step) {
            ck_assert(release(both, RELAY_OUT, 101, &s));
        }
        ck_assert(!relay_table_peer(table, both, RELAY_OUT, &peer));
        check_empty();
    }
}
END_TEST

/* A successor from elsewhere dies before its claim shows. */
static void die_coming_back(void)
{
    relay_claim c = claim_of(1, RELAY_OUT, "alice", "192.0.2.1");
    relay_entry *e = relay_entry_lock(table, both);
    c.successor = true;
    relay_ledger_admit(table, &c, e->bucket, &e);
    relay_tenure_of(&e->vc.half[RELAY_OUT])->owner.pid = 99;
}

START_TEST(test_table_recycle_death_coming_back)
{
    relay_summary s;
    relay_ref back;
    both = open_both();
    ck_assert(!leave(both, RELAY_OUT, 101, &s));
    in_child(die_coming_back);
    ck_assert_int_eq(state_of(both, RELAY_OUT), RELAY_HALF_NONE);
    ck_assert_uint_eq(holder_of(both, RELAY_OUT).pid, 0);
    ck_assert_uint_eq(stats_now().halves[RELAY_OUT], 0);
    ck_assert_int_eq(succeed_from_elsewhere(1, RELAY_OUT, 7, &back),
                     RELAY_CLAIM_SECOND);
    ck_assert(!release(both, RELAY_OUT, 7, &s));
    ck_assert(release(both, RELAY_IN, 101, &s));
    ck_assert_uint_eq(s.half[RELAY_OUT].rpc_bytes, 1050);
    check_empty();
}
END_TEST

int main(void)
{
    Suite *s = suite_create("table_recycle");
    TCase *tc = tcase_create("successors");
    apr_initialize();
    tcase_add_checked_fixture(tc, setup, table_test_close);
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, test_table_recycle_succeed);
    tcase_add_test(tc, test_table_recycle_not_held);
    tcase_add_test(tc, test_table_recycle_find);
    tcase_add_test(tc, test_table_recycle_leaves);
    tcase_add_test(tc, test_table_recycle_leaves_last);
    tcase_add_test(tc, test_table_recycle_claims);
    tcase_add_test(tc, test_table_recycle_death_succeeding);
    tcase_add_test(tc, test_table_recycle_death_successor);
    tcase_add_test(tc, test_table_recycle_death_predecessor);
    tcase_add_test(tc, test_table_recycle_death_before);
    tcase_add_test(tc, test_table_recycle_death_leaving);
    tcase_add_test(tc, test_table_recycle_death_leaving_last);
    tcase_add_test(tc, test_table_recycle_death_coming_back);
    suite_add_tcase(s, tc);
    return test_main(s);
}
