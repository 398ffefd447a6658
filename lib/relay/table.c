/* SPDX-License-Identifier: Apache-2.0 */
/*
 * table.c - the shared table as its users see it: making it, and claiming,
 * describing and releasing the halves of virtual connections. What it is
 * made of is told in table_private.h.
 */
#include "relay/table_private.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <apr_general.h>
#include <apr_siphash.h>
#include <apr_strings.h>

#include "relay/clock.h"

#define ALIGNMENT 64u

static size_t aligned(size_t n)
{
    return (n + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
}

/* Gives each part its place behind the header; returns the size of all. */
static size_t lay_out(relay_table *t, uintptr_t base)
{
    size_t at = aligned(sizeof(*t));
    int kind;
    t->entry = (relay_entry *)(base + at);
    at += aligned(t->max * sizeof(relay_entry));
    t->entry_bucket = (uint32_t *)(base + at);
    at += aligned(t->buckets * sizeof(uint32_t));
    for (kind = 0; kind < RELAY_ACCOUNT_KINDS; kind++) {
        t->account[kind] = (relay_account *)(base + at);
        at += aligned(2 * (size_t)t->max * sizeof(relay_account));
        t->account_bucket[kind] = (uint32_t *)(base + at);
        at += aligned(t->buckets * sizeof(uint32_t));
    }
    return at;
}

/* Only its maker unmaps it: in a child, which runs the cleanups of inherited
 * pools when it exits, other threads may still be inside. */
static apr_status_t unmap(void *data)
{
    relay_table *t = data;
    if (t->creator == (int32_t)getpid()) {
        munmap(t, t->size);
    }
    return APR_SUCCESS;
}

static apr_status_t init(relay_table *t)
{
    apr_status_t rv;
    uint32_t i;
    rv = apr_generate_random_bytes(t->key[0], sizeof(t->key));
    if (rv == APR_SUCCESS) {
        rv = relay_lock_init(&t->children_lock);
    }
    if (rv == APR_SUCCESS) {
        rv = relay_lock_init(&t->ledger.lock);
    }
    for (i = 0; rv == APR_SUCCESS && i < RELAY_SHARDS; i++) {
        rv = relay_lock_init(&t->shard[i].lock);
    }
    t->version = RELAY_TABLE_VERSION;
    t->table_size = (uint32_t)sizeof(*t);
    t->entry_size = (uint32_t)sizeof(relay_entry);
    t->magic = RELAY_TABLE_MAGIC;
    return rv;
}

apr_status_t relay_table_create(relay_table **out, uint32_t max,
                                apr_pool_t *pool)
{
    static const relay_table zero;
    relay_table plan = zero;
    relay_table *t;
    apr_status_t rv;
    if (max < 1 || max > RELAY_TABLE_ENTRIES_MAX) {
        return APR_EINVAL;
    }
    plan.max = max;
    plan.creator = (int32_t)getpid();
    plan.buckets = RELAY_SHARDS;
    while (plan.buckets < max) {
        plan.buckets *= 2;
    }
    plan.size = lay_out(&plan, 0);
    t = mmap(NULL, plan.size, PROT_READ | PROT_WRITE,
             MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (t == MAP_FAILED) {
        return errno;
    }
    *t = plan;
    lay_out(t, (uintptr_t)t);
    rv = init(t);
    if (rv != APR_SUCCESS) {
        munmap(t, plan.size);
        return rv;
    }
    apr_pool_cleanup_register(pool, t, unmap, apr_pool_cleanup_null);
    *out = t;
    return APR_SUCCESS;
}

bool relay_table_usable(const relay_table *t, uint32_t max)
{
    return t->magic == RELAY_TABLE_MAGIC && t->version == RELAY_TABLE_VERSION
           && t->table_size == sizeof(*t)
           && t->entry_size == sizeof(relay_entry) && t->max == max;
}

void relay_table_hash(const relay_table *t, const void *text, size_t len,
                      relay_hash *out)
{
    apr_siphash24_auth(out->b, text, len, t->key[0]);
    apr_siphash24_auth(out->b + APR_SIPHASH_DSIZE, text, len, t->key[1]);
}

/* May c's half of e, which exists, be claimed? */
static relay_claim_result judge(relay_entry *e, const relay_claim *c)
{
    relay_holding *h = &e->vc.half[c->dir];
    if (memcmp(&e->vc.identity, &c->identity, sizeof(c->identity))
        || e->vc.kind != (uint32_t)c->kind) {
        return RELAY_CLAIM_FOREIGN;
    }
    if (h->state != RELAY_HALF_NONE
        || (relay_tenure_of(h)->recycled && !c->successor)) {
        return RELAY_CLAIM_IN_USE;
    }
    return RELAY_CLAIM_SECOND;
}

/* Writes what the claim says; the ledger has its half booked already. */
static void occupy(relay_table *t, relay_entry *e, const relay_claim *c)
{
    rpch_msec now = relay_now();
    relay_holding *h = &e->vc.half[c->dir];
    if (e->use == RELAY_USE_MAKING) {
        memset(&e->vc, 0, sizeof(e->vc));
        e->vc.cookie = c->vc;
        e->vc.identity = c->identity;
        e->vc.kind = (uint32_t)c->kind;
        e->vc.since = now;
        relay_calls_reset(&e->calls);
    }
    __atomic_store_n(&e->touched, now, __ATOMIC_RELAXED);
    /* A half that comes back from another proxy keeps its counters. */
    relay_tenure_of(h)->owner = c->owner;
    h->status = RPCH_OK;
    h->successor = c->successor;
    e->vc.elsewhere = e->vc.elsewhere || c->successor;
    relay_half_set(t, e, c->dir, RELAY_HALF_OPENING);
    if (e->use == RELAY_USE_MAKING) {
        relay_entry_publish(t, e);
    }
}

relay_claim_result relay_table_claim(relay_table *t, const relay_claim *claim,
                                     relay_ref *ref)
{
    relay_claim_result result = RELAY_CLAIM_FIRST;
    uint32_t bucket = relay_bucket_of(t, &claim->vc);
    relay_entry *e;
    memset(ref, 0, sizeof(*ref));
    relay_shard_lock(t, relay_shard_of(bucket));
    e = relay_entry_find(t, bucket, &claim->vc);
    if (e) {
        result = judge(e, claim);
    }
    if (result == RELAY_CLAIM_FIRST || result == RELAY_CLAIM_SECOND) {
        result = relay_ledger_admit(t, claim, bucket, &e);
    }
    if (result == RELAY_CLAIM_FIRST || result == RELAY_CLAIM_SECOND) {
        occupy(t, e, claim);
        *ref = relay_entry_ref(t, e);
        __atomic_add_fetch(&t->claims, 1, __ATOMIC_RELAXED);
        if (!relay_owner_registered(t, &claim->owner)) {
            /* It left while it claimed: the last reap may have been here
             * already. */
            __atomic_add_fetch(&t->departures, 1, __ATOMIC_ACQ_REL);
        }
    }
    else {
        __atomic_add_fetch(&t->refused, 1, __ATOMIC_RELAXED);
    }
    relay_shard_unlock(t, relay_shard_of(bucket));
    return result;
}

/* A successor from elsewhere counts once it is open. */
static void count_successor(relay_table *t, relay_holding *h)
{
    if (h->successor && h->state == RELAY_HALF_OPEN) {
        h->successor = false;
        relay_tenure_of(h)->recycled++;
        __atomic_add_fetch(&t->recycled_r1, 1, __ATOMIC_RELAXED);
    }
}

void relay_table_set_state(relay_table *t, relay_ref ref, relay_dir dir,
                           relay_half_state state)
{
    relay_entry *e = relay_entry_lock(t, ref);
    if (!e) {
        return;
    }
    if (relay_half_held(&e->vc.half[dir]) && state <= RELAY_HALF_OPEN
        && (uint32_t)state > e->vc.half[dir].state) {
        relay_half_set(t, e, dir, state);
        count_successor(t, &e->vc.half[dir]);
    }
    relay_entry_unlock(t, e->bucket);
}

bool relay_table_peer(relay_table *t, relay_ref ref, relay_dir dir,
                      relay_peer *out)
{
    relay_entry *e = relay_entry_lock(t, ref);
    memset(out, 0, sizeof(*out));
    if (!e) {
        return false;
    }
    relay_half_describe(&e->vc.half[!dir], out);
    relay_entry_unlock(t, e->bucket);
    return true;
}

bool relay_table_find(relay_table *t, const rpch_cookie *vc,
                      const relay_hash *identity, relay_dir dir,
                      relay_ref *ref, relay_peer *out)
{
    uint32_t bucket = relay_bucket_of(t, vc);
    relay_entry *e;
    bool found;
    memset(ref, 0, sizeof(*ref));
    memset(out, 0, sizeof(*out));
    relay_shard_lock(t, relay_shard_of(bucket));
    e = relay_entry_find(t, bucket, vc);
    found = e && !memcmp(&e->vc.identity, identity, sizeof(*identity));
    if (found) {
        *ref = relay_entry_ref(t, e);
        relay_half_describe(&e->vc.half[dir], out);
    }
    relay_shard_unlock(t, relay_shard_of(bucket));
    return found;
}

void relay_table_set_address(relay_table *t, relay_ref ref,
                             const relay_addr *addr)
{
    relay_entry *e = relay_entry_lock(t, ref);
    if (!e) {
        return;
    }
    if (!e->vc.address.len && addr->len <= sizeof(addr->u)) {
        /* The length last: it says that there is an address. */
        e->vc.address.u = addr->u;
        relay_in_order();
        e->vc.address.len = addr->len;
    }
    relay_entry_unlock(t, e->bucket);
}

void relay_table_address(relay_table *t, relay_ref ref, relay_addr *out)
{
    relay_entry *e = relay_entry_lock(t, ref);
    memset(out, 0, sizeof(*out));
    if (!e) {
        return;
    }
    *out = e->vc.address;
    relay_entry_unlock(t, e->bucket);
}

static void summarize(relay_entry *e, relay_summary *out)
{
    int dir;
    rpch_msec now = relay_now();
    memset(out, 0, sizeof(*out));
    for (dir = RELAY_IN; dir <= RELAY_OUT; dir++) {
        const relay_tenure *tenure = relay_tenure_of(&e->vc.half[dir]);
        out->half[dir] = tenure->counters;
        out->recycled[dir] = tenure->recycled;
    }
    out->lifetime = now > e->vc.since ? now - e->vc.since : 0;
    out->was_open = e->vc.was_open;
    out->first_to_leave = (relay_dir)e->vc.first_to_leave;
    apr_cpystrn(out->cause, e->vc.cause, sizeof(out->cause));
}

static bool same_owner(const relay_owner *a, const relay_owner *b)
{
    return a->pid == b->pid && a->nonce == b->nonce
           && a->channel == b->channel;
}

relay_entry *relay_entry_lock_held(relay_table *t, relay_ref ref,
                                   relay_dir dir, const relay_owner *owner)
{
    relay_entry *e = relay_entry_lock(t, ref);
    relay_holding *h;
    if (!e) {
        return NULL;
    }
    h = &e->vc.half[dir];
    if (relay_half_held(h) && same_owner(&relay_tenure_of(h)->owner, owner)) {
        return e;
    }
    relay_entry_unlock(t, e->bucket);
    return NULL;
}

bool relay_entry_left(relay_table *t, relay_entry *e, relay_dir dir,
                      relay_summary *out)
{
    if (relay_entry_held(e)) {
        relay_ledger_settle(t, e, dir);
        return false;
    }
    summarize(e, out);
    relay_entry_drop(t, e);
    return true;
}

bool relay_table_release(relay_table *t, relay_ref ref, relay_dir dir,
                         const relay_owner *owner,
                         const relay_counters *counters, int status,
                         const char *cause, relay_summary *out)
{
    relay_entry *e = relay_entry_lock_held(t, ref, dir, owner);
    uint32_t bucket;
    bool last;
    if (!e) {
        return false;
    }
    bucket = e->bucket;
    relay_half_count(&e->vc.half[dir], counters);
    relay_half_end(t, e, dir, status, cause);
    last = relay_entry_left(t, e, dir, out);
    relay_entry_unlock(t, bucket);
    return last;
}

void relay_table_stats(relay_table *t, relay_stats *out)
{
    uint32_t i;
    memset(out, 0, sizeof(*out));
    out->max = t->max;
    relay_ledger_lock(t);
    out->entries = t->ledger.entries.used;
    out->halves[RELAY_IN] = t->ledger.halves[RELAY_IN];
    out->halves[RELAY_OUT] = t->ledger.halves[RELAY_OUT];
    out->users = t->ledger.accounts[RELAY_BY_USER].used;
    relay_ledger_unlock(t);
    for (i = 0; i < RELAY_SHARDS; i++) {
        out->open += __atomic_load_n(&t->shard[i].open, __ATOMIC_RELAXED);
    }
    for (i = 0; i < RELAY_CHILDREN_MAX; i++) {
        out->children += __atomic_load_n(&t->child[i].nonce,
                                         __ATOMIC_RELAXED) != 0;
    }
    out->claims = __atomic_load_n(&t->claims, __ATOMIC_RELAXED);
    out->refused = __atomic_load_n(&t->refused, __ATOMIC_RELAXED);
    out->reaped = __atomic_load_n(&t->reaped, __ATOMIC_RELAXED);
    out->recycled_r1 = __atomic_load_n(&t->recycled_r1, __ATOMIC_RELAXED);
    out->recycled_r2 = __atomic_load_n(&t->recycled_r2, __ATOMIC_RELAXED);
}
