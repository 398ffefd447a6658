/* SPDX-License-Identifier: Apache-2.0 */
/*
 * table_limit.c - the ledger of the shared table: its free entries, and how
 * many channels each user and each client address has over all shards.
 *
 * There are at most two channels an entry, and an account exists only while
 * it has channels, so 2 * max accounts of each kind always suffice.
 */
#include "relay/table_private.h"

#include <string.h>

static relay_account *account_at(const relay_table *t, int kind, uint32_t link)
{
    return link && link <= 2 * t->max ? &t->account[kind][link - 1] : NULL;
}

/* The keys are keyed hashes already: any bits of them will do. */
static uint32_t *account_bucket(const relay_table *t, int kind,
                                const relay_hash *key)
{
    uint64_t h;
    memcpy(&h, key->b, sizeof(h));
    return &t->account_bucket[kind][h & (t->buckets - 1)];
}

static uint32_t account_find(const relay_table *t, int kind,
                             const relay_hash *key)
{
    uint32_t link = *account_bucket(t, kind, key);
    relay_account *a = account_at(t, kind, link);
    while (a && memcmp(&a->key, key, sizeof(*key))) {
        link = a->next;
        a = account_at(t, kind, link);
    }
    return a ? link : 0;
}

static void account_chain(relay_table *t, int kind, uint32_t link)
{
    relay_account *a = account_at(t, kind, link);
    uint32_t *bucket = account_bucket(t, kind, &a->key);
    a->next = *bucket;
    *bucket = link;
}

/* A new account of no channels yet; 0 when there is none. */
static uint32_t account_open(relay_table *t, int kind, const relay_hash *key)
{
    relay_stock *stock = &t->ledger.accounts[kind];
    uint32_t link = stock->free;
    relay_account *a = account_at(t, kind, link);
    if (a) {
        stock->free = a->next;
    }
    else if (stock->made < 2 * t->max) {
        link = ++stock->made;
        a = account_at(t, kind, link);
    }
    else {
        return 0;
    }
    stock->used++;
    a->key = *key;
    a->channels = 0;
    account_chain(t, kind, link);
    return link;
}

static void account_close(relay_table *t, int kind, uint32_t link)
{
    relay_stock *stock = &t->ledger.accounts[kind];
    relay_account *a = account_at(t, kind, link);
    uint32_t *from = account_bucket(t, kind, &a->key);
    while (*from && *from != link) {
        relay_account *at = account_at(t, kind, *from);
        if (!at) {
            break;
        }
        from = &at->next;
    }
    if (*from == link) {
        *from = a->next;
    }
    a->next = stock->free;
    stock->free = link;
    stock->used--;
}

/* Books one channel on the account of key; *booked is what repairs trust,
 * and is written when the key already says whose it is. */
static void account_book(relay_table *t, int kind, const relay_hash *key,
                         uint32_t *booked)
{
    uint32_t link = account_find(t, kind, key);
    if (!link) {
        link = account_open(t, kind, key);
    }
    if (link) {
        account_at(t, kind, link)->channels++;
        relay_in_order();
        *booked = link;
    }
}

static bool account_full(const relay_table *t, int kind, const relay_hash *key,
                         uint32_t most)
{
    const relay_account *a = account_at(t, kind, account_find(t, kind, key));
    return most && a && a->channels >= most;
}

static relay_entry *entry_take(relay_table *t, uint32_t bucket)
{
    relay_stock *stock = &t->ledger.entries;
    relay_entry *e = relay_entry_at(t, stock->free);
    if (e) {
        stock->free = e->next_free;
    }
    else if (stock->made < t->max) {
        e = &t->entry[stock->made++];
        __atomic_store_n(&e->generation, 1, __ATOMIC_RELEASE);
    }
    else {
        return NULL;
    }
    stock->used++;
    __atomic_store_n(&e->bucket, bucket, __ATOMIC_RELEASE);
    relay_in_order();
    __atomic_store_n(&e->use, RELAY_USE_MAKING, __ATOMIC_RELEASE);
    return e;
}

static void entry_give_back(relay_table *t, relay_entry *e)
{
    relay_stock *stock = &t->ledger.entries;
    uint32_t next = e->generation + 1;
    __atomic_store_n(&e->generation, next ? next : 1, __ATOMIC_RELEASE);
    relay_in_order();
    __atomic_store_n(&e->use, RELAY_USE_FREE, __ATOMIC_RELEASE);
    e->next_free = stock->free;
    stock->free = (uint32_t)(e - t->entry) + 1;
    stock->used--;
}

relay_claim_result relay_ledger_admit(relay_table *t, const relay_claim *c,
                                      uint32_t bucket, relay_entry **e)
{
    relay_claim_result result = *e ? RELAY_CLAIM_SECOND : RELAY_CLAIM_FIRST;
    relay_ledger_lock(t);
    if (account_full(t, RELAY_BY_USER, &c->user, c->max_per_user)) {
        result = RELAY_CLAIM_USER_LIMIT;
    }
    else if (account_full(t, RELAY_BY_ADDRESS, &c->address,
                          c->max_per_address)) {
        result = RELAY_CLAIM_ADDRESS_LIMIT;
    }
    else if (!*e && !(*e = entry_take(t, bucket))) {
        result = RELAY_CLAIM_FULL;
    }
    else {
        uint32_t *booked = (*e)->account[c->dir];
        account_book(t, RELAY_BY_USER, &c->user, &booked[RELAY_BY_USER]);
        account_book(t, RELAY_BY_ADDRESS, &c->address,
                     &booked[RELAY_BY_ADDRESS]);
        t->ledger.halves[c->dir]++;
    }
    relay_ledger_unlock(t);
    return result;
}

static void settle(relay_table *t, relay_entry *e, relay_dir dir)
{
    uint32_t *booked = e->account[dir];
    int kind;
    if (booked[RELAY_BY_USER]) {
        t->ledger.halves[dir]--;
    }
    for (kind = 0; kind < RELAY_ACCOUNT_KINDS; kind++) {
        relay_account *a = account_at(t, kind, booked[kind]);
        if (a && --a->channels == 0) {
            account_close(t, kind, booked[kind]);
        }
        relay_in_order();
        booked[kind] = 0;
    }
}

void relay_ledger_settle(relay_table *t, relay_entry *e, relay_dir dir)
{
    relay_ledger_lock(t);
    settle(t, e, dir);
    relay_ledger_unlock(t);
}

void relay_ledger_discard(relay_table *t, relay_entry *e)
{
    relay_ledger_lock(t);
    settle(t, e, RELAY_IN);
    settle(t, e, RELAY_OUT);
    entry_give_back(t, e);
    relay_ledger_unlock(t);
}

/* Accounts: the entries say how many channels each has; the key of one that
 * has any was complete before. */
static void rebuild_accounts(relay_table *t, int kind)
{
    relay_stock *stock = &t->ledger.accounts[kind];
    uint32_t i;
    stock->free = 0;
    stock->used = 0;
    memset(t->account_bucket[kind], 0, t->buckets * sizeof(uint32_t));
    for (i = 0; i < stock->made; i++) {
        t->account[kind][i].channels = 0;
    }
    for (i = 0; i < 2 * t->ledger.entries.made; i++) {
        uint32_t *booked = &t->entry[i / 2].account[i % 2][kind];
        relay_account *a = account_at(t, kind, *booked);
        if (a) {
            a->channels++;
        }
        else {
            *booked = 0;
        }
    }
    for (i = 0; i < stock->made; i++) {
        relay_account *a = &t->account[kind][i];
        if (a->channels) {
            account_chain(t, kind, i + 1);
            stock->used++;
        }
        else {
            a->next = stock->free;
            stock->free = i + 1;
        }
    }
}

static void rebuild(relay_table *t)
{
    relay_ledger *l = &t->ledger;
    uint32_t i;
    l->entries.free = 0;
    l->entries.used = 0;
    l->halves[RELAY_IN] = 0;
    l->halves[RELAY_OUT] = 0;
    rebuild_accounts(t, RELAY_BY_USER);
    rebuild_accounts(t, RELAY_BY_ADDRESS);
    for (i = 0; i < l->entries.made; i++) {
        relay_entry *e = &t->entry[i];
        l->halves[RELAY_IN] += e->account[RELAY_IN][RELAY_BY_USER] != 0;
        l->halves[RELAY_OUT] += e->account[RELAY_OUT][RELAY_BY_USER] != 0;
        if (__atomic_load_n(&e->use, __ATOMIC_ACQUIRE) != RELAY_USE_FREE) {
            l->entries.used++;
            continue;
        }
        if (!e->generation) {
            /* Counted as made, but its taker died before naming it. */
            __atomic_store_n(&e->generation, 1, __ATOMIC_RELEASE);
        }
        e->next_free = l->entries.free;
        l->entries.free = i + 1;
    }
}

void relay_ledger_lock(relay_table *t)
{
    if (relay_lock(&t->ledger.lock)) {
        rebuild(t);
        pthread_mutex_consistent(&t->ledger.lock);
    }
}

void relay_ledger_unlock(relay_table *t)
{
    pthread_mutex_unlock(&t->ledger.lock);
}
