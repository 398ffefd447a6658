/* SPDX-License-Identifier: Apache-2.0 */
/* test_table.c - the shared table in one process: claims, limits, states,
 * releases, and a model that does the same by hand */
#include <arpa/inet.h>

#include <apr_siphash.h>

#include "table_test.h"

#define MAX 8u

static void setup(void)
{
    table_test_open(MAX);
}

START_TEST(test_table_create)
{
    relay_table *other;
    ck_assert_int_eq(relay_table_create(&other, 0, pool), APR_EINVAL);
    ck_assert_int_eq(relay_table_create(&other, RELAY_TABLE_ENTRIES_MAX + 1,
                                        pool), APR_EINVAL);
    ck_assert_int_eq(relay_table_create(&other, RELAY_TABLE_ENTRIES_MAX, pool),
                     APR_SUCCESS);
    ck_assert_int_eq(relay_table_create(&other, 1, pool), APR_SUCCESS);
    ck_assert_uint_eq(stats_now().max, MAX);
}
END_TEST

START_TEST(test_table_usable)
{
    ck_assert(relay_table_usable(table, MAX));
    ck_assert(!relay_table_usable(table, MAX + 1));
    table->version++;
    ck_assert(!relay_table_usable(table, MAX));
    table->version--;
    table->entry_size++;
    ck_assert(!relay_table_usable(table, MAX));
    table->entry_size--;
    table->table_size--;
    ck_assert(!relay_table_usable(table, MAX));
    table->table_size++;
    table->magic++;
    ck_assert(!relay_table_usable(table, MAX));
    table->magic--;
    ck_assert(relay_table_usable(table, MAX));
}
END_TEST

START_TEST(test_table_hash)
{
    /* The vector in appendix A of the SipHash paper. */
    static const uint8_t known[8] = { 0xe5, 0x45, 0xbe, 0x49,
                                      0x61, 0xca, 0x29, 0xa1 };
    relay_hash a = hash_of("user alice");
    relay_hash b = hash_of("user alice");
    relay_hash c = hash_of("user bob");
    relay_table *other;
    uint8_t text[15];
    uint8_t i;
    ck_assert_mem_eq(&a, &b, sizeof(a));
    ck_assert_mem_ne(&a, &c, sizeof(a));
    ck_assert_mem_ne(a.b, a.b + 8, 8);
    ck_assert_int_eq(relay_table_create(&other, MAX, pool), APR_SUCCESS);
    relay_table_hash(other, "user alice", 10, &c);
    ck_assert_mem_ne(&a, &c, sizeof(a));
    for (i = 0; i < 16; i++) {
        table->key[0][i] = i;
    }
    for (i = 0; i < sizeof(text); i++) {
        text[i] = i;
    }
    relay_table_hash(table, text, sizeof(text), &a);
    ck_assert_mem_eq(a.b, known, sizeof(known));
}
END_TEST

START_TEST(test_table_claim)
{
    relay_ref in, out;
    relay_peer peer;
    relay_stats s;
    ck_assert_int_eq(take(1, RELAY_OUT, "alice", &out), RELAY_CLAIM_FIRST);
    ck_assert_uint_ne(out.generation, 0);
    ck_assert(relay_table_peer(table, out, RELAY_OUT, &peer));
    ck_assert_int_eq(peer.state, RELAY_HALF_NONE);
    ck_assert_uint_eq(peer.owner.pid, 0);
    ck_assert_int_eq(take(1, RELAY_IN, "alice", &in), RELAY_CLAIM_SECOND);
    ck_assert_uint_eq(in.index, out.index);
    ck_assert_uint_eq(in.generation, out.generation);
    ck_assert(relay_table_peer(table, out, RELAY_OUT, &peer));
    ck_assert_int_eq(peer.state, RELAY_HALF_OPENING);
    ck_assert_uint_eq(peer.owner.pid, self.pid);
    ck_assert_uint_eq(peer.owner.nonce, self.nonce);
    ck_assert_uint_eq(peer.owner.channel, 101);
    s = stats_now();
    ck_assert_uint_eq(s.entries, 1);
    ck_assert_uint_eq(s.halves[RELAY_IN], 1);
    ck_assert_uint_eq(s.halves[RELAY_OUT], 1);
    ck_assert_uint_eq(s.users, 1);
    ck_assert_uint_eq(s.claims, 2);
    ck_assert(!drop(out, RELAY_OUT));
    ck_assert(drop(in, RELAY_IN));
    check_empty();
}
END_TEST

START_TEST(test_table_in_use)
{
    relay_ref ref, out, in, again;
    ck_assert_int_eq(take(1, RELAY_OUT, "alice", &out), RELAY_CLAIM_FIRST);
    ck_assert_int_eq(take(1, RELAY_OUT, "alice", &ref), RELAY_CLAIM_IN_USE);
    ck_assert_uint_eq(ref.generation, 0);
    ck_assert_int_eq(take(1, RELAY_IN, "alice", &in), RELAY_CLAIM_SECOND);
    ck_assert(!drop(out, RELAY_OUT));
    ck_assert_int_eq(take(1, RELAY_OUT, "alice", &ref), RELAY_CLAIM_IN_USE);
    ck_assert_uint_eq(stats_now().refused, 2);
    ck_assert(drop(in, RELAY_IN));
    ck_assert_int_eq(take(1, RELAY_OUT, "alice", &again), RELAY_CLAIM_FIRST);
    ck_assert_uint_eq(again.index, out.index);
    ck_assert_uint_ne(again.generation, out.generation);
}
END_TEST

START_TEST(test_table_foreign)
{
    relay_ref out, ref;
    relay_claim c;
    ck_assert_int_eq(take(1, RELAY_OUT, "alice", &out), RELAY_CLAIM_FIRST);
    ck_assert_int_eq(take(1, RELAY_IN, "mallory", &ref), RELAY_CLAIM_FOREIGN);
    /* That the half is there is not for mallory to learn. */
    ck_assert_int_eq(take(1, RELAY_OUT, "mallory", &ref), RELAY_CLAIM_FOREIGN);
    c = claim_of(1, RELAY_IN, "alice", "192.0.2.1");
    c.kind = RELAY_NCACN_HTTP;
    ck_assert_int_eq(relay_table_claim(table, &c, &ref), RELAY_CLAIM_FOREIGN);
    ck_assert_uint_eq(stats_now().users, 1);
    ck_assert_uint_eq(stats_now().refused, 3);
    ck_assert_int_eq(take(1, RELAY_IN, "alice", &ref), RELAY_CLAIM_SECOND);
}
END_TEST

static relay_claim_result limited(unsigned n, relay_dir dir, const char *user,
                                  const char *address, uint32_t per_user,
                                  uint32_t per_address, relay_ref *ref)
{
    relay_claim c = claim_of(n, dir, user, address);
    c.max_per_user = per_user;
    c.max_per_address = per_address;
    return relay_table_claim(table, &c, ref);
}

START_TEST(test_table_user_limit)
{
    relay_ref ref[3], no;
    ck_assert_int_eq(limited(1, RELAY_IN, "alice", "a", 2, 0, &ref[0]),
                     RELAY_CLAIM_FIRST);
    ck_assert_int_eq(limited(1, RELAY_OUT, "alice", "b", 2, 0, &ref[1]),
                     RELAY_CLAIM_SECOND);
    ck_assert_int_eq(limited(2, RELAY_IN, "alice", "c", 2, 0, &no),
                     RELAY_CLAIM_USER_LIMIT);
    ck_assert_int_eq(limited(2, RELAY_IN, "bob", "a", 2, 0, &ref[2]),
                     RELAY_CLAIM_FIRST);
    ck_assert_uint_eq(stats_now().users, 2);
    /* A half that left counts no more, although its entry stays. */
    ck_assert(!drop(ref[0], RELAY_IN));
    ck_assert_int_eq(limited(3, RELAY_IN, "alice", "a", 2, 0, &ref[0]),
                     RELAY_CLAIM_FIRST);
    ck_assert_int_eq(limited(4, RELAY_IN, "alice", "a", 0, 0, &no),
                     RELAY_CLAIM_FIRST);
    ck_assert(drop(ref[0], RELAY_IN));
    ck_assert(drop(ref[1], RELAY_OUT));
    ck_assert(drop(ref[2], RELAY_IN));
    ck_assert(drop(no, RELAY_IN));
    check_empty();
}
END_TEST

START_TEST(test_table_address_limit)
{
    relay_ref ref[2], no;
    ck_assert_int_eq(limited(1, RELAY_IN, "alice", "a", 0, 2, &ref[0]),
                     RELAY_CLAIM_FIRST);
    ck_assert_int_eq(limited(2, RELAY_OUT, "bob", "a", 0, 2, &ref[1]),
                     RELAY_CLAIM_FIRST);
    ck_assert_int_eq(limited(3, RELAY_IN, "carol", "a", 0, 2, &no),
                     RELAY_CLAIM_ADDRESS_LIMIT);
    ck_assert_uint_eq(stats_now().users, 2);
    ck_assert_uint_eq(stats_now().entries, 2);
    ck_assert_int_eq(limited(3, RELAY_IN, "carol", "b", 0, 2, &no),
                     RELAY_CLAIM_FIRST);
    ck_assert(drop(no, RELAY_IN));
    ck_assert(drop(ref[0], RELAY_IN));
    ck_assert_int_eq(limited(3, RELAY_IN, "carol", "a", 0, 2, &ref[0]),
                     RELAY_CLAIM_FIRST);
    ck_assert(drop(ref[0], RELAY_IN));
    ck_assert(drop(ref[1], RELAY_OUT));
    check_empty();
}
END_TEST

START_TEST(test_table_full)
{
    relay_ref ref[MAX], second, no;
    unsigned i;
    for (i = 0; i < MAX; i++) {
        ck_assert_int_eq(take(i, RELAY_IN, "alice", &ref[i]),
                         RELAY_CLAIM_FIRST);
    }
    ck_assert_int_eq(take(MAX, RELAY_IN, "bob", &no), RELAY_CLAIM_FULL);
    ck_assert_uint_eq(stats_now().users, 1);
    ck_assert_int_eq(take(3, RELAY_OUT, "alice", &second), RELAY_CLAIM_SECOND);
    ck_assert(!drop(second, RELAY_OUT));
    ck_assert(drop(ref[3], RELAY_IN));
    ck_assert_int_eq(take(MAX, RELAY_IN, "bob", &ref[3]), RELAY_CLAIM_FIRST);
    for (i = 0; i < MAX; i++) {
        ck_assert(drop(ref[i], RELAY_IN));
    }
    check_empty();
}
END_TEST

/* The cookie's own refusals go first, then the limits, then a full table. */
START_TEST(test_table_order)
{
    relay_ref ref;
    unsigned i;
    for (i = 0; i < MAX; i++) {
        ck_assert_int_eq(take(i, RELAY_IN, "alice", &ref), RELAY_CLAIM_FIRST);
    }
    ck_assert_int_eq(limited(1, RELAY_IN, "bob", "192.0.2.1", 1, 1, &ref),
                     RELAY_CLAIM_FOREIGN);
    ck_assert_int_eq(limited(1, RELAY_IN, "alice", "192.0.2.1", 1, 1, &ref),
                     RELAY_CLAIM_IN_USE);
    ck_assert_int_eq(limited(1, RELAY_OUT, "alice", "192.0.2.1", 1, 1, &ref),
                     RELAY_CLAIM_USER_LIMIT);
    ck_assert_int_eq(limited(MAX, RELAY_IN, "bob", "192.0.2.1", 1, 1, &ref),
                     RELAY_CLAIM_ADDRESS_LIMIT);
    ck_assert_int_eq(limited(MAX, RELAY_IN, "bob", "192.0.2.9", 1, 1, &ref),
                     RELAY_CLAIM_FULL);
    ck_assert_uint_eq(stats_now().halves[RELAY_OUT], 0);
    ck_assert_uint_eq(stats_now().halves[RELAY_IN], MAX);
    ck_assert_uint_eq(stats_now().users, 1);
}
END_TEST

START_TEST(test_table_stale)
{
    relay_ref old, new, wild = { MAX, 1 }, none = { 0, 0 };
    relay_peer peer;
    relay_addr addr;
    ck_assert_int_eq(take(1, RELAY_IN, "alice", &old), RELAY_CLAIM_FIRST);
    ck_assert(drop(old, RELAY_IN));
    ck_assert(!relay_table_peer(table, old, RELAY_OUT, &peer));
    ck_assert_uint_eq(relay_table_touched(table, old), 0);
    ck_assert_int_eq(take(2, RELAY_IN, "alice", &new), RELAY_CLAIM_FIRST);
    ck_assert_uint_eq(old.index, new.index);
    relay_table_set_state(table, old, RELAY_IN, RELAY_HALF_OPEN);
    ck_assert(relay_table_peer(table, new, RELAY_OUT, &peer));
    ck_assert_int_eq(peer.state, RELAY_HALF_OPENING);
    memset(&addr, 0, sizeof(addr));
    addr.len = sizeof(addr.u.v4);
    relay_table_set_address(table, old, &addr);
    relay_table_address(table, new, &addr);
    ck_assert_uint_eq(addr.len, 0);
    relay_table_touch(table, old, RPCH_NEVER);
    ck_assert_uint_ne(relay_table_touched(table, new), RPCH_NEVER);
    ck_assert(!drop(old, RELAY_IN));
    ck_assert(!drop(wild, RELAY_IN));
    ck_assert(!drop(none, RELAY_IN));
    ck_assert_uint_eq(relay_table_touched(table, wild), 0);
    ck_assert_uint_eq(stats_now().entries, 1);
    ck_assert(drop(new, RELAY_IN));
}
END_TEST

START_TEST(test_table_generation_wraps)
{
    relay_ref ref;
    ck_assert_int_eq(take(1, RELAY_IN, "alice", &ref), RELAY_CLAIM_FIRST);
    table->entry[ref.index].generation = UINT32_MAX;
    ref.generation = UINT32_MAX;
    ck_assert(drop(ref, RELAY_IN));
    ck_assert_int_eq(take(1, RELAY_IN, "alice", &ref), RELAY_CLAIM_FIRST);
    ck_assert_uint_eq(ref.generation, 1);
}
END_TEST

static relay_half_state out_of(relay_ref ref)
{
    relay_peer peer;
    ck_assert(relay_table_peer(table, ref, RELAY_IN, &peer));
    return peer.state;
}

START_TEST(test_table_states)
{
    relay_ref in, out;
    ck_assert_int_eq(take(1, RELAY_OUT, "alice", &out), RELAY_CLAIM_FIRST);
    ck_assert_int_eq(take(1, RELAY_IN, "alice", &in), RELAY_CLAIM_SECOND);
    relay_table_set_state(table, out, RELAY_OUT, RELAY_HALF_READY);
    ck_assert_int_eq(out_of(in), RELAY_HALF_READY);
    relay_table_set_state(table, out, RELAY_OUT, RELAY_HALF_OPEN);
    ck_assert_int_eq(out_of(in), RELAY_HALF_OPEN);
    ck_assert_uint_eq(stats_now().open, 0);
    relay_table_set_state(table, out, RELAY_OUT, RELAY_HALF_READY);
    relay_table_set_state(table, out, RELAY_OUT, RELAY_HALF_FAILED);
    relay_table_set_state(table, out, RELAY_OUT, RELAY_HALF_NONE);
    ck_assert_int_eq(out_of(in), RELAY_HALF_OPEN);
    relay_table_set_state(table, in, RELAY_IN, RELAY_HALF_OPEN);
    ck_assert_uint_eq(stats_now().open, 1);
    ck_assert(!drop(out, RELAY_OUT));
    ck_assert_uint_eq(stats_now().open, 0);
    ck_assert_int_eq(out_of(in), RELAY_HALF_FAILED);
    relay_table_set_state(table, out, RELAY_OUT, RELAY_HALF_OPEN);
    ck_assert_int_eq(out_of(in), RELAY_HALF_FAILED);
    ck_assert(drop(in, RELAY_IN));
    check_empty();
}
END_TEST

START_TEST(test_table_summary)
{
    static const relay_counters in_count = { 1000, 3 }, out_count = { 70, 2 };
    relay_ref in, out;
    relay_owner me = channel_of(101);
    relay_summary s;
    relay_peer peer;
    char longer[2 * RELAY_CAUSE_MAX];
    memset(longer, 'x', sizeof(longer));
    longer[sizeof(longer) - 1] = '\0';
    take(1, RELAY_IN, "alice", &in);
    take(1, RELAY_OUT, "alice", &out);
    table->entry[in.index].vc.since -= 5000;
    relay_table_set_state(table, in, RELAY_IN, RELAY_HALF_OPEN);
    relay_table_set_state(table, out, RELAY_OUT, RELAY_HALF_OPEN);
    memset(&s, 0x55, sizeof(s));
    ck_assert(!relay_table_release(table, out, RELAY_OUT, &me, &out_count,
                                   RPCH_E_TIMEOUT, longer, &s));
    ck_assert_uint_eq(s.half[RELAY_IN].rpc_pdus, UINT64_C(0x5555555555555555));
    ck_assert(relay_table_peer(table, in, RELAY_IN, &peer));
    ck_assert_int_eq(peer.status, RPCH_E_TIMEOUT);
    ck_assert_uint_eq(peer.owner.pid, 0);
    /* Twice is once. */
    ck_assert(!drop(out, RELAY_OUT));
    ck_assert_uint_eq(stats_now().halves[RELAY_OUT], 0);
    ck_assert(relay_table_release(table, in, RELAY_IN, &me, &in_count,
                                  RPCH_E_CLOSED, "second", &s));
    ck_assert_uint_eq(s.half[RELAY_IN].rpc_bytes, 1000);
    ck_assert_uint_eq(s.half[RELAY_IN].rpc_pdus, 3);
    ck_assert_uint_eq(s.half[RELAY_OUT].rpc_bytes, 70);
    ck_assert_uint_eq(s.half[RELAY_OUT].rpc_pdus, 2);
    ck_assert_uint_ge(s.lifetime, 5000);
    ck_assert(s.was_open);
    ck_assert_int_eq(s.first_to_leave, RELAY_OUT);
    ck_assert_uint_eq(strlen(s.cause), RELAY_CAUSE_MAX - 1);
    take(1, RELAY_IN, "alice", &in);
    ck_assert(relay_table_release(table, in, RELAY_IN, &me, &in_count,
                                  RPCH_E_CLOSED, "only", &s));
    ck_assert_str_eq(s.cause, "only");
    ck_assert_int_eq(s.first_to_leave, RELAY_IN);
    ck_assert(!s.was_open);
    ck_assert_uint_eq(s.half[RELAY_OUT].rpc_bytes, 0);
}
END_TEST

START_TEST(test_table_address)
{
    relay_ref in, out;
    relay_addr a, b;
    memset(&a, 0, sizeof(a));
    take(1, RELAY_OUT, "alice", &out);
    take(1, RELAY_IN, "alice", &in);
    relay_table_address(table, in, &b);
    ck_assert_uint_eq(b.len, 0);
    a.len = sizeof(a.u.v4);
    a.u.v4.sin_family = AF_INET;
    a.u.v4.sin_port = htons(593);
    relay_table_set_address(table, out, &a);
    relay_table_address(table, in, &b);
    ck_assert_mem_eq(&a, &b, sizeof(a));
    a.u.v4.sin_port = htons(594);
    relay_table_set_address(table, in, &a);
    relay_table_address(table, out, &b);
    ck_assert_uint_eq(ntohs(b.u.v4.sin_port), 593);
}
END_TEST

START_TEST(test_table_touch)
{
    relay_ref in, out;
    rpch_msec at;
    take(1, RELAY_OUT, "alice", &out);
    at = relay_table_touched(table, out);
    ck_assert_uint_ne(at, 0);
    relay_table_touch(table, out, at + 50000);
    ck_assert_uint_eq(relay_table_touched(table, out), at + 50000);
    relay_table_touch(table, out, at + 40000);
    ck_assert_uint_eq(relay_table_touched(table, out), at + 50000);
    take(1, RELAY_IN, "alice", &in);
    relay_table_touch(table, in, at + 90000);
    ck_assert_uint_eq(relay_table_touched(table, out), at + 90000);
}
END_TEST

START_TEST(test_table_find)
{
    relay_hash alice = hash_of("alice"), bob = hash_of("bob");
    rpch_cookie vc = cookie_of(1), other = cookie_of(2);
    relay_ref out, ref;
    relay_peer peer;
    take(1, RELAY_OUT, "alice", &out);
    relay_table_set_state(table, out, RELAY_OUT, RELAY_HALF_READY);
    ck_assert(relay_table_find(table, &vc, &alice, RELAY_OUT, &ref, &peer));
    ck_assert_uint_eq(ref.index, out.index);
    ck_assert_uint_eq(ref.generation, out.generation);
    ck_assert_int_eq(peer.state, RELAY_HALF_READY);
    ck_assert_uint_eq(peer.owner.channel, 101);
    ck_assert(relay_table_find(table, &vc, &alice, RELAY_IN, &ref, &peer));
    ck_assert_int_eq(peer.state, RELAY_HALF_NONE);
    ck_assert(!relay_table_find(table, &vc, &bob, RELAY_OUT, &ref, &peer));
    ck_assert_uint_eq(ref.generation, 0);
    ck_assert(!relay_table_find(table, &other, &alice, RELAY_OUT, &ref, &peer));
}
END_TEST

/* What the table should say, told without hashes, chains or free lists. */
#define MODEL_VCS 20u
#define MODEL_USERS 5u
#define MODEL_PER_USER 4u

typedef struct model_vc {
    int user; /* -1: no entry */
    int half[2]; /* 0: none, 1: held, 2: left */
    relay_ref ref;
} model_vc;

static relay_claim_result model_claim(const model_vc *m, unsigned n,
                                      relay_dir dir, int user)
{
    unsigned channels = 0, entries = 0, i;
    for (i = 0; i < MODEL_VCS; i++) {
        entries += m[i].user >= 0;
        if (m[i].user == user) {
            channels += (m[i].half[0] == 1) + (m[i].half[1] == 1);
        }
    }
    if (m[n].user >= 0 && m[n].user != user) {
        return RELAY_CLAIM_FOREIGN;
    }
    if (m[n].user >= 0 && m[n].half[dir]) {
        return RELAY_CLAIM_IN_USE;
    }
    if (channels >= MODEL_PER_USER) {
        return RELAY_CLAIM_USER_LIMIT;
    }
    if (m[n].user >= 0) {
        return RELAY_CLAIM_SECOND;
    }
    return entries == MAX ? RELAY_CLAIM_FULL : RELAY_CLAIM_FIRST;
}

static void model_step_claim(model_vc *m, unsigned n, relay_dir dir, int user)
{
    char name[16];
    relay_ref ref;
    relay_claim_result want = model_claim(m, n, dir, user);
    snprintf(name, sizeof(name), "user %d", user);
    ck_assert_int_eq(limited(n, dir, name, name, MODEL_PER_USER, 0, &ref),
                     want);
    if (want == RELAY_CLAIM_FIRST) {
        m[n].user = user;
        m[n].half[!dir] = 0;
        m[n].ref = ref;
    }
    if (want == RELAY_CLAIM_FIRST || want == RELAY_CLAIM_SECOND) {
        ck_assert_mem_eq(&m[n].ref, &ref, sizeof(ref));
        m[n].half[dir] = 1;
    }
}

static void model_step_release(model_vc *m, unsigned n, relay_dir dir)
{
    bool held = m[n].user >= 0 && m[n].half[dir] == 1;
    bool last = held && m[n].half[!dir] != 1;
    ck_assert_int_eq(drop(m[n].ref, dir), last);
    if (held) {
        m[n].half[dir] = 2;
    }
    if (last) {
        m[n].user = -1;
    }
}

START_TEST(test_table_model)
{
    model_vc m[MODEL_VCS];
    uint32_t seed = 20240917;
    unsigned i, n;
    memset(m, 0, sizeof(m));
    for (n = 0; n < MODEL_VCS; n++) {
        m[n].user = -1;
    }
    for (i = 0; i < 20000; i++) {
        relay_dir dir = (relay_dir)roll(&seed, 2);
        n = roll(&seed, MODEL_VCS);
        if (roll(&seed, 5) < 3) {
            model_step_claim(m, n, dir, (int)(n % MODEL_USERS + roll(&seed, 20)
                                              / 19) % (int)MODEL_USERS);
        }
        else {
            model_step_release(m, n, dir);
        }
    }
    for (n = 0; n < MODEL_VCS; n++) {
        model_step_release(m, n, RELAY_IN);
        model_step_release(m, n, RELAY_OUT);
    }
    check_empty();
}
END_TEST

static void add_claims(TCase *tc)
{
    tcase_add_test(tc, test_table_create);
    tcase_add_test(tc, test_table_usable);
    tcase_add_test(tc, test_table_hash);
    tcase_add_test(tc, test_table_claim);
    tcase_add_test(tc, test_table_in_use);
    tcase_add_test(tc, test_table_foreign);
    tcase_add_test(tc, test_table_user_limit);
    tcase_add_test(tc, test_table_address_limit);
    tcase_add_test(tc, test_table_full);
    tcase_add_test(tc, test_table_order);
}

int main(void)
{
    Suite *s = suite_create("table");
    TCase *tc = tcase_create("one process");
    apr_initialize();
    tcase_add_checked_fixture(tc, setup, table_test_close);
    tcase_set_timeout(tc, 60);
    add_claims(tc);
    tcase_add_test(tc, test_table_stale);
    tcase_add_test(tc, test_table_generation_wraps);
    tcase_add_test(tc, test_table_states);
    tcase_add_test(tc, test_table_summary);
    tcase_add_test(tc, test_table_address);
    tcase_add_test(tc, test_table_touch);
    tcase_add_test(tc, test_table_find);
    tcase_add_test(tc, test_table_model);
    suite_add_tcase(s, tc);
    return test_main(s);
}
