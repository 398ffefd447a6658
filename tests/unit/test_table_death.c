/* SPDX-License-Identifier: Apache-2.0 */
/* test_table_death.c - the shared table and children that die, inside its
 * locks and outside, and what is left of them */
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "table_test.h"

#define MAX 300u

static void setup(void)
{
    table_test_open(MAX);
}

/* Runs fn in a child that then ends without a word, and waits for that. */
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

static uint32_t bucket_of(unsigned n)
{
    rpch_cookie vc = cookie_of(n);
    return relay_bucket_of(table, &vc);
}

static relay_entry *lock_and_find(unsigned n)
{
    rpch_cookie vc = cookie_of(n);
    relay_shard_lock(table, relay_shard_of(bucket_of(n)));
    return relay_entry_find(table, bucket_of(n), &vc);
}

/* Dies with the entry taken and booked, and nothing written. */
static void die_making(void)
{
    relay_claim c = claim_of(1, RELAY_IN, "alice", "a");
    relay_entry *e = lock_and_find(1);
    relay_ledger_admit(table, &c, bucket_of(1), &e);
}

START_TEST(test_table_death_making)
{
    relay_ref ref;
    in_child(die_making);
    ck_assert_uint_eq(stats_now().entries, 1);
    ck_assert_int_eq(take(1, RELAY_IN, "bob", &ref), RELAY_CLAIM_FIRST);
    ck_assert_uint_eq(stats_now().entries, 1);
    ck_assert_uint_eq(stats_now().users, 1);
    ck_assert_uint_eq(stats_now().halves[RELAY_IN], 1);
    ck_assert(drop(ref, RELAY_IN));
    check_empty();
}
END_TEST

/* Dies with everything written but that the entry is there. */
static void die_publishing(void)
{
    relay_claim c = claim_of(1, RELAY_IN, "alice", "a");
    relay_entry *e = lock_and_find(1);
    relay_ledger_admit(table, &c, bucket_of(1), &e);
    e->vc.cookie = c.vc;
    relay_tenure_of(&e->vc.half[RELAY_IN])->owner = self;
    relay_half_set(table, e, RELAY_IN, RELAY_HALF_OPENING);
}

START_TEST(test_table_death_publishing)
{
    relay_ref ref;
    in_child(die_publishing);
    ck_assert_int_eq(take(1, RELAY_IN, "bob", &ref), RELAY_CLAIM_FIRST);
    ck_assert(drop(ref, RELAY_IN));
    check_empty();
}
END_TEST

/* Dies with the second half booked, and its state not written. */
static void die_joining(void)
{
    relay_claim c = claim_of(1, RELAY_OUT, "alice", "a");
    relay_entry *e = lock_and_find(1);
    relay_ledger_admit(table, &c, bucket_of(1), &e);
    relay_tenure_of(&e->vc.half[RELAY_OUT])->owner.pid = 99;
}

START_TEST(test_table_death_joining)
{
    relay_ref in, out;
    relay_peer peer;
    take(1, RELAY_IN, "alice", &in);
    in_child(die_joining);
    ck_assert(relay_table_peer(table, in, RELAY_IN, &peer));
    ck_assert_int_eq(peer.state, RELAY_HALF_NONE);
    ck_assert_uint_eq(peer.owner.pid, 0);
    ck_assert_uint_eq(stats_now().halves[RELAY_OUT], 0);
    ck_assert_int_eq(take(1, RELAY_OUT, "alice", &out), RELAY_CLAIM_SECOND);
    ck_assert(!drop(in, RELAY_IN));
    ck_assert(drop(out, RELAY_OUT));
    check_empty();
}
END_TEST

/* Dies with the half ended and still booked. */
static void die_releasing(void)
{
    relay_entry *e = lock_and_find(1);
    relay_half_end(table, e, RELAY_OUT, RPCH_E_TIMEOUT, "ended");
}

START_TEST(test_table_death_releasing)
{
    relay_ref in, out;
    relay_peer peer;
    take(1, RELAY_IN, "alice", &in);
    take(1, RELAY_OUT, "alice", &out);
    relay_table_set_state(table, in, RELAY_IN, RELAY_HALF_OPEN);
    relay_table_set_state(table, out, RELAY_OUT, RELAY_HALF_OPEN);
    in_child(die_releasing);
    ck_assert(relay_table_peer(table, in, RELAY_IN, &peer));
    ck_assert_int_eq(peer.state, RELAY_HALF_FAILED);
    ck_assert_int_eq(peer.status, RPCH_E_TIMEOUT);
    ck_assert_uint_eq(stats_now().halves[RELAY_OUT], 0);
    ck_assert_uint_eq(stats_now().open, 0);
    ck_assert(drop(in, RELAY_IN));
    check_empty();
}
END_TEST

START_TEST(test_table_death_releasing_last)
{
    relay_ref out;
    relay_peer peer;
    take(1, RELAY_OUT, "alice", &out);
    in_child(die_releasing);
    ck_assert(!relay_table_peer(table, out, RELAY_OUT, &peer));
    check_empty();
}
END_TEST

/* Dies having made nonsense of a shard's chains and its count. */
static void die_tangling(void)
{
    relay_entry *e = lock_and_find(1);
    uint32_t shard = relay_shard_of(e->bucket);
    uint32_t i;
    for (i = shard; i < table->buckets; i += RELAY_SHARDS) {
        table->entry_bucket[i] = 0xdeadbeef;
    }
    e->next = (uint32_t)(e - table->entry) + 1;
    table->shard[shard].open = 77;
}

START_TEST(test_table_death_tangling)
{
    relay_ref ref[MAX];
    relay_hash alice = hash_of("alice");
    unsigned i;
    for (i = 0; i < MAX; i++) {
        ck_assert_int_eq(take(i, RELAY_IN, "alice", &ref[i]),
                         RELAY_CLAIM_FIRST);
    }
    in_child(die_tangling);
    for (i = 0; i < MAX; i++) {
        rpch_cookie vc = cookie_of(i);
        relay_ref found;
        relay_peer peer;
        ck_assert(relay_table_find(table, &vc, &alice, RELAY_IN, &found,
                                   &peer));
        ck_assert_uint_eq(found.index, ref[i].index);
    }
    ck_assert_uint_eq(stats_now().open, 0);
    for (i = 0; i < MAX; i++) {
        ck_assert(drop(ref[i], RELAY_IN));
    }
    check_empty();
}
END_TEST

/* Dies having made nonsense of all that the ledger can rebuild. */
static void die_cooking_books(void)
{
    int kind;
    relay_ledger_lock(table);
    table->ledger.entries.free = 1;
    table->ledger.entries.used = 12345;
    table->ledger.halves[RELAY_IN] = 7;
    for (kind = 0; kind < RELAY_ACCOUNT_KINDS; kind++) {
        table->ledger.accounts[kind].free = 1;
        table->ledger.accounts[kind].used = 99;
        table->account[kind][0].channels = 1000;
        memset(table->account_bucket[kind], 0x5a,
               table->buckets * sizeof(uint32_t));
    }
}

START_TEST(test_table_death_cooking_books)
{
    relay_ref ref[20], more;
    relay_stats before, after;
    relay_claim c;
    unsigned i;
    for (i = 0; i < 20; i++) {
        ck_assert_int_eq(take(i, RELAY_IN, i % 2 ? "alice" : "bob", &ref[i]),
                         RELAY_CLAIM_FIRST);
    }
    for (i = 0; i < 20; i += 4) {
        ck_assert(drop(ref[i], RELAY_IN));
    }
    before = stats_now();
    in_child(die_cooking_books);
    after = stats_now();
    ck_assert_uint_eq(after.entries, before.entries);
    ck_assert_uint_eq(after.entries, 15);
    ck_assert_uint_eq(after.halves[RELAY_IN], 15);
    ck_assert_uint_eq(after.halves[RELAY_OUT], 0);
    ck_assert_uint_eq(after.users, 2);
    c = claim_of(50, RELAY_IN, "alice", "a");
    c.max_per_user = 10;
    ck_assert_int_eq(relay_table_claim(table, &c, &more),
                     RELAY_CLAIM_USER_LIMIT);
    c.max_per_user = 11;
    ck_assert_int_eq(relay_table_claim(table, &c, &more), RELAY_CLAIM_FIRST);
    ck_assert(drop(more, RELAY_IN));
    for (i = 0; i < 20; i++) {
        ck_assert_int_eq(drop(ref[i], RELAY_IN), i % 4 != 0);
    }
    check_empty();
}
END_TEST

/* Dies counted among the children, without a name. */
static void die_entering(void)
{
    uint32_t i = 0;
    relay_lock(&table->children_lock);
    while (table->child[i].pid) {
        i++;
    }
    table->child[i].pid = (uint32_t)getpid();
}

static unsigned slots_used(void)
{
    unsigned n = 0;
    uint32_t i;
    for (i = 0; i < RELAY_CHILDREN_MAX; i++) {
        n += table->child[i].pid != 0;
    }
    return n;
}

START_TEST(test_table_death_entering)
{
    relay_owner other;
    in_child(die_entering);
    ck_assert_uint_eq(slots_used(), 2);
    ck_assert_int_eq(relay_table_child_enter(table, &other), APR_SUCCESS);
    ck_assert_uint_eq(slots_used(), 3);
    relay_table_reap(table, NULL, NULL);
    ck_assert_uint_eq(slots_used(), 2);
    ck_assert_uint_eq(stats_now().children, 2);
}
END_TEST

START_TEST(test_table_death_children)
{
    relay_owner o, first = { 0, 0, 0 };
    unsigned i;
    for (i = 1; i < RELAY_CHILDREN_MAX; i++) {
        ck_assert_int_eq(relay_table_child_enter(table, &o), APR_SUCCESS);
        ck_assert_uint_eq(o.pid, (uint32_t)getpid());
        ck_assert_uint_ne(o.nonce, self.nonce);
        if (i == 1) {
            first = o;
        }
    }
    ck_assert_uint_eq(stats_now().children, RELAY_CHILDREN_MAX);
    ck_assert_int_eq(relay_table_child_enter(table, &o), APR_ENOSPC);
    relay_table_child_leave(table, &first);
    ck_assert_uint_eq(stats_now().children, RELAY_CHILDREN_MAX - 1);
    /* A slot is given away by the reap, which then looks for halves. */
    ck_assert_int_eq(relay_table_child_enter(table, &o), APR_ENOSPC);
    relay_table_reap(table, NULL, NULL);
    ck_assert_int_eq(relay_table_child_enter(table, &o), APR_SUCCESS);
    /* The first one is gone; that it leaves again is nobody's end. */
    relay_table_child_leave(table, &first);
    ck_assert(relay_owner_registered(table, &o));
    ck_assert(!relay_owner_registered(table, &first));
}
END_TEST

/* What a reap told. */
typedef struct told {
    unsigned n;
    unsigned there; /* the other half was to be woken */
} told;

static void note(void *baton, relay_ref ref, relay_dir dead,
                 const relay_peer *peer)
{
    told *t = baton;
    relay_peer now;
    t->n++;
    if (peer->owner.pid) {
        t->there++;
        /* Takes a lock: none may be held here. */
        ck_assert(relay_table_peer(table, ref, (relay_dir)!dead, &now));
        ck_assert_int_eq(now.state, RELAY_HALF_FAILED);
        ck_assert_int_eq(now.status, RPCH_E_CLOSED);
        ck_assert_uint_eq(peer->owner.nonce, self.nonce);
    }
    relay_table_stats(table, &(relay_stats){ 0 });
}

/* A child of its own: IN of 0..199, and OUT of 100..199. */
static void hold_many(void)
{
    relay_ref ref;
    unsigned i;
    if (relay_table_child_enter(table, &self) != APR_SUCCESS) {
        _exit(1);
    }
    for (i = 0; i < 200; i++) {
        if (take(i, RELAY_IN, "alice", &ref) >= RELAY_CLAIM_IN_USE
            || (i >= 100
                && take(i, RELAY_OUT, "alice", &ref) != RELAY_CLAIM_SECOND)) {
            _exit(2);
        }
        relay_table_set_state(table, ref, i >= 100 ? RELAY_OUT : RELAY_IN,
                              RELAY_HALF_OPEN);
    }
}

START_TEST(test_table_death_reap)
{
    relay_ref out[50], again;
    told t = { 0, 0 };
    relay_summary s;
    unsigned i;
    static const relay_counters none;
    for (i = 0; i < 50; i++) {
        take(i, RELAY_OUT, "alice", &out[i]);
        relay_table_set_state(table, out[i], RELAY_OUT, RELAY_HALF_OPEN);
    }
    in_child(hold_many);
    ck_assert_uint_eq(stats_now().open, 50);
    ck_assert_int_eq(take(1, RELAY_IN, "alice", &again), RELAY_CLAIM_IN_USE);
    ck_assert_uint_eq(relay_table_reap(table, note, &t), 300);
    ck_assert_uint_eq(t.n, 300);
    ck_assert_uint_eq(t.there, 50);
    ck_assert_uint_eq(stats_now().reaped, 300);
    ck_assert_uint_eq(stats_now().entries, 50);
    ck_assert_uint_eq(stats_now().halves[RELAY_IN], 0);
    ck_assert_uint_eq(stats_now().halves[RELAY_OUT], 50);
    ck_assert_uint_eq(stats_now().open, 0);
    ck_assert_uint_eq(stats_now().children, 1);
    ck_assert_uint_eq(relay_table_reap(table, note, &t), 0);
    ck_assert_int_eq(take(1, RELAY_IN, "alice", &again), RELAY_CLAIM_IN_USE);
    for (i = 0; i < 50; i++) {
        relay_owner me = channel_of(100 + i);
        ck_assert(relay_table_release(table, out[i], RELAY_OUT, &me, &none,
                                      RPCH_E_CLOSED, "woken", &s));
        ck_assert_str_eq(s.cause, "its child process died");
        ck_assert_int_eq(s.first_to_leave, RELAY_IN);
        ck_assert(s.was_open);
    }
    check_empty();
}
END_TEST

/* More in one shard than are taken back under one hold of its lock. */
START_TEST(test_table_death_crowd)
{
    relay_owner me = self;
    told t = { 0, 0 };
    relay_ref ref;
    unsigned n = 0, found = 0;
    ck_assert_int_eq(relay_table_child_enter(table, &self), APR_SUCCESS);
    for (n = 0; found < 100; n++) {
        if (relay_shard_of(bucket_of(n)) == 7) {
            take(n, RELAY_IN, "alice", &ref);
            take(n, RELAY_OUT, "alice", &ref);
            found++;
        }
    }
    relay_table_child_leave(table, &self);
    self = me;
    ck_assert_uint_eq(relay_table_reap(table, note, &t), 200);
    ck_assert_uint_eq(t.n, 200);
    ck_assert_uint_eq(t.there, 0);
    check_empty();
}
END_TEST

/* Enters, holds a half, and waits to be killed. */
START_TEST(test_table_death_killed)
{
    int ready[2], status;
    char c;
    pid_t pid;
    relay_ref ref;
    ck_assert_int_eq(pipe(ready), 0);
    pid = fork();
    if (!pid) {
        relay_table_child_enter(table, &self);
        take(1, RELAY_IN, "alice", &ref);
        if (write(ready[1], "x", 1) == 1) {
            pause();
        }
        _exit(1);
    }
    ck_assert_int_eq(read(ready[0], &c, 1), 1);
    /* It lives: nothing is taken from it. */
    ck_assert_uint_eq(relay_table_reap(table, NULL, NULL), 0);
    ck_assert_uint_eq(stats_now().children, 2);
    kill(pid, SIGKILL);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert(WIFSIGNALED(status));
    ck_assert_uint_eq(relay_table_reap(table, NULL, NULL), 1);
    ck_assert_uint_eq(stats_now().children, 1);
    check_empty();
    close(ready[0]);
    close(ready[1]);
}
END_TEST

/* The pid lives and was given to somebody else: only the nonce tells. */
START_TEST(test_table_death_pid_reused)
{
    relay_claim c = claim_of(1, RELAY_IN, "alice", "a");
    relay_ref ref, mine;
    c.owner.nonce += RELAY_CHILDREN_MAX;
    ck_assert_int_eq(relay_table_claim(table, &c, &ref), RELAY_CLAIM_FIRST);
    take(2, RELAY_IN, "alice", &mine);
    ck_assert_uint_eq(relay_table_reap(table, NULL, NULL), 1);
    ck_assert_uint_eq(stats_now().entries, 1);
    ck_assert(drop(mine, RELAY_IN));
    check_empty();
}
END_TEST

START_TEST(test_table_death_pid_buried)
{
    relay_owner before = self;
    relay_ref ref;
    take(1, RELAY_IN, "alice", &ref);
    relay_table_child_bury(table, self.pid + 1);
    ck_assert_uint_eq(relay_table_reap(table, NULL, NULL), 0);
    /* A new child with the number of a dead one. */
    relay_table_child_bury(table, self.pid);
    ck_assert_int_eq(relay_table_child_enter(table, &self), APR_SUCCESS);
    ck_assert_uint_ne(self.nonce, before.nonce);
    ck_assert_uint_eq(relay_table_reap(table, NULL, NULL), 1);
    ck_assert_uint_eq(stats_now().children, 1);
    check_empty();
}
END_TEST

START_TEST(test_table_death_leave)
{
    relay_owner before = self;
    relay_ref ref;
    take(1, RELAY_IN, "alice", &ref);
    relay_table_child_leave(table, &self);
    relay_table_child_leave(table, &self);
    ck_assert_uint_eq(stats_now().children, 0);
    ck_assert_uint_eq(relay_table_reap(table, NULL, NULL), 1);
    ck_assert_int_eq(relay_table_child_enter(table, &self), APR_SUCCESS);
    ck_assert_uint_ne(self.nonce, before.nonce);
    /* A claim that was under way when its child left is found as well. */
    self = before;
    take(2, RELAY_IN, "alice", &ref);
    ck_assert_uint_eq(relay_table_reap(table, NULL, NULL), 1);
    check_empty();
}
END_TEST

/* When nobody died no entry is looked at: a search would wait for a shard
 * that this very thread has locked. */
START_TEST(test_table_death_cheap)
{
    relay_ref ref;
    uint32_t shard = relay_shard_of(bucket_of(1));
    take(1, RELAY_IN, "alice", &ref);
    relay_shard_lock(table, shard);
    ck_assert_uint_eq(relay_table_reap(table, NULL, NULL), 0);
    relay_shard_unlock(table, shard);
    ck_assert(drop(ref, RELAY_IN));
}
END_TEST

static void *reap_thread(void *sum)
{
    unsigned n = relay_table_reap(table, NULL, NULL);
    __atomic_add_fetch((unsigned *)sum, n, __ATOMIC_RELAXED);
    return NULL;
}

START_TEST(test_table_death_two_reapers)
{
    pthread_t thread[2];
    unsigned sum = 0;
    in_child(hold_many);
    ck_assert_int_eq(pthread_create(&thread[0], NULL, reap_thread, &sum), 0);
    ck_assert_int_eq(pthread_create(&thread[1], NULL, reap_thread, &sum), 0);
    pthread_join(thread[0], NULL);
    pthread_join(thread[1], NULL);
    ck_assert_uint_eq(sum, 300);
    check_empty();
}
END_TEST

static void add_locks(TCase *tc)
{
    tcase_add_test(tc, test_table_death_making);
    tcase_add_test(tc, test_table_death_publishing);
    tcase_add_test(tc, test_table_death_joining);
    tcase_add_test(tc, test_table_death_releasing);
    tcase_add_test(tc, test_table_death_releasing_last);
    tcase_add_test(tc, test_table_death_tangling);
    tcase_add_test(tc, test_table_death_cooking_books);
    tcase_add_test(tc, test_table_death_entering);
}

int main(void)
{
    Suite *s = suite_create("table_death");
    TCase *tc = tcase_create("many processes");
    apr_initialize();
    tcase_add_checked_fixture(tc, setup, table_test_close);
    tcase_set_timeout(tc, 60);
    add_locks(tc);
    tcase_add_test(tc, test_table_death_children);
    tcase_add_test(tc, test_table_death_reap);
    tcase_add_test(tc, test_table_death_crowd);
    tcase_add_test(tc, test_table_death_killed);
    tcase_add_test(tc, test_table_death_pid_reused);
    tcase_add_test(tc, test_table_death_pid_buried);
    tcase_add_test(tc, test_table_death_leave);
    tcase_add_test(tc, test_table_death_cheap);
    tcase_add_test(tc, test_table_death_two_reapers);
    suite_add_tcase(s, tc);
    return test_main(s);
}
