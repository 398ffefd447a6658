/* SPDX-License-Identifier: Apache-2.0 */
/*
 * table_shard.c - the chains of entries by cookie, their locks, the states
 * of halves, and the repair of a shard whose holder died.
 */
#include "relay/table_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <apr_siphash.h>
#include <apr_strings.h>

apr_status_t relay_lock_init(pthread_mutex_t *m)
{
    pthread_mutexattr_t attr;
    int rc = pthread_mutexattr_init(&attr);
    if (rc) {
        return rc;
    }
    rc = pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
    if (!rc) {
        rc = pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
    }
    if (!rc) {
        rc = pthread_mutex_init(m, &attr);
    }
    pthread_mutexattr_destroy(&attr);
    return rc;
}

bool relay_lock(pthread_mutex_t *m)
{
    int rc = pthread_mutex_lock(m);
    if (rc == EOWNERDEAD) {
        return true;
    }
    if (rc) {
        /* Only a mutex that was overwritten says anything else; to go on
         * without the lock would spread the damage to all children. */
        abort();
    }
    return false;
}

uint32_t relay_bucket_of(const relay_table *t, const rpch_cookie *vc)
{
    uint64_t h = apr_siphash24(vc->b, sizeof(vc->b), t->key[0]);
    return (uint32_t)(h & (t->buckets - 1));
}

relay_entry *relay_entry_at(const relay_table *t, uint32_t link)
{
    return link && link <= t->max ? &t->entry[link - 1] : NULL;
}

relay_ref relay_entry_ref(const relay_table *t, const relay_entry *e)
{
    relay_ref ref;
    ref.index = (uint32_t)(e - t->entry);
    ref.generation = __atomic_load_n(&e->generation, __ATOMIC_ACQUIRE);
    return ref;
}

relay_entry *relay_entry_find(relay_table *t, uint32_t bucket,
                              const rpch_cookie *vc)
{
    relay_entry *e = relay_entry_at(t, t->entry_bucket[bucket]);
    while (e && !rpch_cookie_equal(&e->vc.cookie, vc)) {
        e = relay_entry_at(t, e->next);
    }
    return e;
}

relay_entry *relay_entry_lock(relay_table *t, relay_ref ref)
{
    relay_entry *e;
    uint32_t bucket;
    if (!ref.generation || ref.index >= t->max) {
        return NULL;
    }
    e = &t->entry[ref.index];
    bucket = __atomic_load_n(&e->bucket, __ATOMIC_ACQUIRE);
    relay_shard_lock(t, relay_shard_of(bucket));
    /* Whoever frees this generation holds this lock, so once it matches in
     * here it stays. */
    if (__atomic_load_n(&e->generation, __ATOMIC_ACQUIRE) != ref.generation
        || __atomic_load_n(&e->bucket, __ATOMIC_ACQUIRE) != bucket
        || __atomic_load_n(&e->use, __ATOMIC_ACQUIRE) != RELAY_USE_LIVE) {
        relay_shard_unlock(t, relay_shard_of(bucket));
        return NULL;
    }
    return e;
}

void relay_entry_unlock(relay_table *t, uint32_t bucket)
{
    relay_shard_unlock(t, relay_shard_of(bucket));
}

static void chain(relay_table *t, relay_entry *e, uint32_t bucket)
{
    e->next = t->entry_bucket[bucket];
    t->entry_bucket[bucket] = (uint32_t)(e - t->entry) + 1;
}

void relay_entry_publish(relay_table *t, relay_entry *e)
{
    relay_in_order();
    __atomic_store_n(&e->use, RELAY_USE_LIVE, __ATOMIC_RELEASE);
    chain(t, e, e->bucket);
}

void relay_entry_drop(relay_table *t, relay_entry *e)
{
    uint32_t link = (uint32_t)(e - t->entry) + 1;
    uint32_t *from = &t->entry_bucket[e->bucket];
    while (*from && *from != link) {
        relay_entry *at = relay_entry_at(t, *from);
        if (!at) {
            break;
        }
        from = &at->next;
    }
    if (*from == link) {
        *from = e->next;
    }
    /* The cookie is a secret; nothing needs it any more. */
    memset(&e->vc, 0, sizeof(e->vc));
    relay_ledger_discard(t, e);
}

bool relay_half_held(const relay_holding *h)
{
    return h->state >= RELAY_HALF_OPENING && h->state <= RELAY_HALF_OPEN;
}

bool relay_entry_held(const relay_entry *e)
{
    return relay_half_held(&e->vc.half[RELAY_IN])
           || relay_half_held(&e->vc.half[RELAY_OUT]);
}

static bool both_open(const relay_entry *e)
{
    return e->vc.half[RELAY_IN].state == RELAY_HALF_OPEN
           && e->vc.half[RELAY_OUT].state == RELAY_HALF_OPEN;
}

static void set_open(relay_shard *s, uint32_t n)
{
    __atomic_store_n(&s->open, n, __ATOMIC_RELAXED);
}

void relay_half_set(relay_table *t, relay_entry *e, relay_dir dir,
                    relay_half_state state)
{
    relay_shard *s = &t->shard[relay_shard_of(e->bucket)];
    bool before = both_open(e);
    bool after;
    relay_in_order();
    e->vc.half[dir].state = state;
    relay_in_order();
    after = both_open(e);
    if (after) {
        e->vc.was_open = true;
    }
    if (before != after) {
        set_open(s, after ? s->open + 1 : s->open - 1);
    }
}

void relay_half_end(relay_table *t, relay_entry *e, relay_dir dir, int status,
                    const char *cause)
{
    relay_holding *h = &e->vc.half[dir];
    if (!e->vc.left) {
        e->vc.first_to_leave = (uint8_t)dir;
        apr_cpystrn(e->vc.cause, cause ? cause : "", sizeof(e->vc.cause));
        e->vc.left = true;
    }
    h->status = status;
    relay_half_set(t, e, dir, RELAY_HALF_FAILED);
}

void relay_half_describe(relay_holding *h, relay_peer *out)
{
    memset(out, 0, sizeof(*out));
    out->state = (relay_half_state)h->state;
    if (relay_half_held(h)) {
        out->owner = relay_tenure_of(h)->owner;
    }
    out->status = h->status;
}

/* Makes what e says true again. False: nothing of it is worth keeping. */
static bool repair_entry(relay_table *t, relay_entry *e)
{
    int dir;
    e->vc.cause[sizeof(e->vc.cause) - 1] = '\0';
    for (dir = RELAY_IN; dir <= RELAY_OUT; dir++) {
        if (!relay_half_held(&e->vc.half[dir])) {
            /* A claim that had not come to the state, or a release that had
             * not come to the ledger. */
            relay_ledger_settle(t, e, (relay_dir)dir);
        }
    }
    if (both_open(e)) {
        e->vc.was_open = true;
    }
    return relay_entry_held(e);
}

/* Only this shard's entries can name its buckets: an entry gets a bucket
 * under the shard's lock, which the caller holds. */
static void repair_shard(relay_table *t, uint32_t shard)
{
    uint32_t made;
    uint32_t open = 0;
    uint32_t i;
    relay_ledger_lock(t);
    made = t->ledger.entries.made;
    relay_ledger_unlock(t);
    for (i = shard; i < t->buckets; i += RELAY_SHARDS) {
        t->entry_bucket[i] = 0;
    }
    for (i = 0; i < made; i++) {
        relay_entry *e = &t->entry[i];
        uint32_t use = __atomic_load_n(&e->use, __ATOMIC_ACQUIRE);
        uint32_t bucket = __atomic_load_n(&e->bucket, __ATOMIC_ACQUIRE);
        if (use == RELAY_USE_FREE || relay_shard_of(bucket) != shard) {
            continue;
        }
        if (use != RELAY_USE_LIVE || !repair_entry(t, e)) {
            memset(&e->vc, 0, sizeof(e->vc));
            relay_ledger_discard(t, e);
            continue;
        }
        chain(t, e, bucket);
        open += both_open(e);
    }
    set_open(&t->shard[shard], open);
}

void relay_shard_lock(relay_table *t, uint32_t shard)
{
    pthread_mutex_t *m = &t->shard[shard].lock;
    if (relay_lock(m)) {
        repair_shard(t, shard);
        pthread_mutex_consistent(m);
    }
}

void relay_shard_unlock(relay_table *t, uint32_t shard)
{
    pthread_mutex_unlock(&t->shard[shard].lock);
}
