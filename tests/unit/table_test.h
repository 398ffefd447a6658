/* SPDX-License-Identifier: Apache-2.0 */
/* table_test.h - what the tests of the shared table share: a table, claims,
 * and a look at whether everything was given back */
#ifndef TABLE_TEST_H
#define TABLE_TEST_H

#include <stdio.h>

#include <apr_general.h>

#include "relay/table_private.h"
#include "rpch_test.h"

static apr_pool_t *pool;
static relay_table *table;
static relay_owner self;

/* A fresh table for max connections, with this process registered. */
static inline void table_test_open(uint32_t max)
{
    ck_assert_int_eq(apr_pool_create(&pool, NULL), APR_SUCCESS);
    ck_assert_int_eq(relay_table_create(&table, max, pool), APR_SUCCESS);
    ck_assert_int_eq(relay_table_child_enter(table, &self), APR_SUCCESS);
}

/* Gives everything back. */
static inline void table_test_close(void)
{
    apr_pool_destroy(pool);
}

/* The table's hash of text. */
static inline relay_hash hash_of(const char *text)
{
    relay_hash h;
    relay_table_hash(table, text, strlen(text), &h);
    return h;
}

/* The cookie of connection n. */
static inline rpch_cookie cookie_of(unsigned n)
{
    rpch_cookie c;
    memset(&c, 0, sizeof(c));
    memcpy(c.b, &n, sizeof(n));
    return c;
}

/* A claim of self for connection n, by that user from that address. */
static inline relay_claim claim_of(unsigned n, relay_dir dir,
                                   const char *user, const char *address)
{
    relay_claim c;
    memset(&c, 0, sizeof(c));
    c.vc = cookie_of(n);
    c.dir = dir;
    c.kind = RELAY_NCACN_IP_TCP;
    c.user = hash_of(user);
    c.identity = c.user;
    c.address = hash_of(address);
    c.owner = self;
    c.owner.channel = 100 + n;
    return c;
}

/* Claims it without limits. */
static inline relay_claim_result take(unsigned n, relay_dir dir,
                                      const char *user, relay_ref *ref)
{
    relay_claim c = claim_of(n, dir, user, "192.0.2.1");
    return relay_table_claim(table, &c, ref);
}

/* Who holds that half; pid 0 for nobody. */
static inline relay_owner holder_of(relay_ref ref, relay_dir dir)
{
    relay_peer peer;
    relay_table_peer(table, ref, (relay_dir)!dir, &peer);
    return peer.owner;
}

/* The same child's channel of another number. */
static inline relay_owner channel_of(uint64_t channel)
{
    relay_owner o = self;
    o.channel = channel;
    return o;
}

/* Releases for whoever holds it, with nothing to tell. */
static inline bool drop(relay_ref ref, relay_dir dir)
{
    static const relay_counters none;
    relay_owner o = holder_of(ref, dir);
    relay_summary summary;
    return relay_table_release(table, ref, dir, &o, &none, RPCH_E_CLOSED,
                               "done", &summary);
}

static inline relay_stats stats_now(void)
{
    relay_stats s;
    relay_table_stats(table, &s);
    return s;
}

/* Follows a free list, which has to end. */
static inline uint32_t free_accounts(int kind)
{
    uint32_t link = table->ledger.accounts[kind].free;
    uint32_t n = 0;
    while (link) {
        ck_assert_uint_lt(n++, table->ledger.accounts[kind].made);
        link = table->account[kind][link - 1].next;
    }
    return n;
}

/* Nothing is claimed, counted or chained, and everything once used is free
 * again. */
static inline void check_empty(void)
{
    relay_stats s;
    uint32_t link;
    uint32_t n = 0;
    uint32_t i;
    int kind;
    /* The locks first: who gets one from the dead repairs. */
    for (i = 0; i < RELAY_SHARDS; i++) {
        relay_shard_lock(table, i);
        relay_shard_unlock(table, i);
    }
    s = stats_now();
    ck_assert_uint_eq(s.entries, 0);
    ck_assert_uint_eq(s.halves[RELAY_IN], 0);
    ck_assert_uint_eq(s.halves[RELAY_OUT], 0);
    ck_assert_uint_eq(s.open, 0);
    ck_assert_uint_eq(s.users, 0);
    for (link = table->ledger.entries.free; link;
         link = table->entry[link - 1].next_free) {
        ck_assert_uint_lt(n++, table->ledger.entries.made);
        ck_assert_uint_eq(table->entry[link - 1].use, RELAY_USE_FREE);
        ck_assert_uint_ne(table->entry[link - 1].generation, 0);
    }
    ck_assert_uint_eq(n, table->ledger.entries.made);
    for (i = 0; i < table->buckets; i++) {
        ck_assert_uint_eq(table->entry_bucket[i], 0);
    }
    for (kind = 0; kind < RELAY_ACCOUNT_KINDS; kind++) {
        ck_assert_uint_eq(table->ledger.accounts[kind].used, 0);
        ck_assert_uint_eq(free_accounts(kind),
                          table->ledger.accounts[kind].made);
        for (i = 0; i < table->buckets; i++) {
            ck_assert_uint_eq(table->account_bucket[kind][i], 0);
        }
    }
}

/* A small generator of its own: the same numbers everywhere. */
static inline uint32_t roll(uint32_t *seed, uint32_t below)
{
    *seed = *seed * 1664525u + 1013904223u;
    return (*seed >> 8) % below;
}

#endif
