/* SPDX-License-Identifier: Apache-2.0 */
/*
 * table_reap.c - the children that use the shared table, and the return of
 * what those that died held.
 *
 * A child is dead when its slot has no nonce (it left) or its process is
 * gone. The sweep of the slots is cheap and done each time; the entries are
 * searched only when `departures` has grown since the last whole search.
 * departures grows before a dead child's slot is given away, and a search
 * counts only when it is complete, so a reaper that dies itself leaves the
 * work to the next.
 */
#include "relay/table_private.h"

#include <signal.h>
#include <unistd.h>

#include <apr_general.h>

/* Halves taken back under one hold of a shard's lock. */
#define REAP_BATCH 32

typedef struct reaped_half {
    relay_ref ref;
    relay_dir dead;
    relay_peer peer;
} reaped_half;

static void children_lock(relay_table *t)
{
    if (relay_lock(&t->children_lock)) {
        /* A slot half entered has a pid and no nonce: the sweep's food. */
        pthread_mutex_consistent(&t->children_lock);
    }
}

apr_status_t relay_table_child_enter(relay_table *t, relay_owner *self)
{
    apr_status_t rv = APR_ENOSPC;
    uint64_t nonce;
    uint32_t pid = (uint32_t)getpid();
    uint32_t i;
    apr_status_t random = apr_generate_random_bytes((unsigned char *)&nonce,
                                                    sizeof(nonce));
    if (random != APR_SUCCESS) {
        return random;
    }
    /* 0 means "left", so the random part must not be 0. */
    nonce = (nonce | (UINT64_C(1) << 63)) & ~(uint64_t)(RELAY_CHILDREN_MAX - 1);
    children_lock(t);
    for (i = 0; i < RELAY_CHILDREN_MAX; i++) {
        relay_slot *slot = &t->child[i];
        if (__atomic_load_n(&slot->pid, __ATOMIC_ACQUIRE)) {
            continue;
        }
        self->pid = pid;
        self->nonce = nonce | i;
        __atomic_store_n(&slot->nonce, 0, __ATOMIC_RELEASE);
        __atomic_store_n(&slot->pid, pid, __ATOMIC_RELEASE);
        __atomic_store_n(&slot->nonce, self->nonce, __ATOMIC_RELEASE);
        rv = APR_SUCCESS;
        break;
    }
    pthread_mutex_unlock(&t->children_lock);
    return rv;
}

void relay_table_child_bury(relay_table *t, uint32_t pid)
{
    uint32_t i;
    for (i = 0; i < RELAY_CHILDREN_MAX; i++) {
        relay_slot *slot = &t->child[i];
        if (__atomic_load_n(&slot->pid, __ATOMIC_ACQUIRE) == pid) {
            __atomic_store_n(&slot->nonce, 0, __ATOMIC_RELEASE);
        }
    }
}

void relay_table_child_leave(relay_table *t, const relay_owner *self)
{
    uint64_t nonce = self->nonce;
    relay_slot *slot = &t->child[nonce % RELAY_CHILDREN_MAX];
    __atomic_compare_exchange_n(&slot->nonce, &nonce, 0, false,
                                __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

bool relay_owner_registered(const relay_table *t, const relay_owner *o)
{
    const relay_slot *slot = &t->child[o->nonce % RELAY_CHILDREN_MAX];
    return o->nonce
           && __atomic_load_n(&slot->nonce, __ATOMIC_ACQUIRE) == o->nonce
           && __atomic_load_n(&slot->pid, __ATOMIC_ACQUIRE) == o->pid;
}

/* Frees the slots of dead children. All children have one user: a process
 * that may not be signalled has a dead child's number. */
static void sweep(relay_table *t)
{
    uint32_t i;
    children_lock(t);
    for (i = 0; i < RELAY_CHILDREN_MAX; i++) {
        relay_slot *slot = &t->child[i];
        uint32_t pid = __atomic_load_n(&slot->pid, __ATOMIC_ACQUIRE);
        if (!pid
            || (__atomic_load_n(&slot->nonce, __ATOMIC_ACQUIRE)
                && kill((pid_t)pid, 0) == 0)) {
            continue;
        }
        __atomic_store_n(&slot->nonce, 0, __ATOMIC_RELEASE);
        __atomic_add_fetch(&t->departures, 1, __ATOMIC_ACQ_REL);
        __atomic_store_n(&slot->pid, 0, __ATOMIC_RELEASE);
    }
    pthread_mutex_unlock(&t->children_lock);
}

/* Ends the halves of e whose holders are dead; returns how many. */
static int reap_entry(relay_table *t, relay_entry *e, reaped_half *out)
{
    bool dead[2];
    int n = 0;
    int dir;
    for (dir = RELAY_IN; dir <= RELAY_OUT; dir++) {
        relay_holding *h = &e->vc.half[dir];
        dead[dir] = relay_half_held(h)
                    && !relay_owner_registered(t, &relay_tenure_of(h)->owner);
        if (dead[dir]) {
            relay_half_end(t, e, (relay_dir)dir, RPCH_E_CLOSED,
                           "its child process died");
        }
    }
    for (dir = RELAY_IN; dir <= RELAY_OUT; dir++) {
        if (dead[dir]) {
            out[n].ref = relay_entry_ref(t, e);
            out[n].dead = (relay_dir)dir;
            relay_half_describe(&e->vc.half[!dir], &out[n].peer);
            n++;
        }
    }
    if (!n) {
        return 0;
    }
    if (!relay_entry_held(e)) {
        relay_entry_drop(t, e);
    }
    else {
        relay_ledger_settle(t, e, out[0].dead);
    }
    return n;
}

/* Reaps in one shard until done or the batch is full; returns how many. */
static int reap_shard(relay_table *t, uint32_t shard, reaped_half *batch)
{
    uint32_t bucket;
    int n = 0;
    relay_shard_lock(t, shard);
    for (bucket = shard; bucket < t->buckets; bucket += RELAY_SHARDS) {
        relay_entry *e = relay_entry_at(t, t->entry_bucket[bucket]);
        while (e && n <= REAP_BATCH - 2) {
            relay_entry *next = relay_entry_at(t, e->next);
            n += reap_entry(t, e, batch + n);
            e = next;
        }
    }
    relay_shard_unlock(t, shard);
    return n;
}

unsigned relay_table_reap(relay_table *t, relay_reap_fn *fn, void *baton)
{
    uint64_t seen;
    uint64_t swept;
    uint32_t shard;
    unsigned total = 0;
    sweep(t);
    seen = __atomic_load_n(&t->departures, __ATOMIC_ACQUIRE);
    swept = __atomic_load_n(&t->swept, __ATOMIC_ACQUIRE);
    if (seen == swept) {
        return 0;
    }
    for (shard = 0; shard < RELAY_SHARDS; shard++) {
        reaped_half batch[REAP_BATCH];
        int n;
        int i;
        do {
            n = reap_shard(t, shard, batch);
            __atomic_add_fetch(&t->reaped, (uint64_t)n, __ATOMIC_RELAXED);
            total += (unsigned)n;
            for (i = 0; fn && i < n; i++) {
                fn(baton, batch[i].ref, batch[i].dead, &batch[i].peer);
            }
        } while (n > REAP_BATCH - 2);
    }
    while (swept < seen
           && !__atomic_compare_exchange_n(&t->swept, &swept, seen, false,
                                           __ATOMIC_ACQ_REL,
                                           __ATOMIC_ACQUIRE)) {
        /* Another reaper was faster; keep the larger. */
    }
    return total;
}
