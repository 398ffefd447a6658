/* SPDX-License-Identifier: Apache-2.0 */
/*
 * table_recycle.c - halves of the shared table that pass from a channel to
 * its successor, here (IN_R2, OUT_R2) or at another proxy (IN_R1, OUT_R1).
 */
#include "relay/table_private.h"

void relay_half_count(relay_holding *h, const relay_counters *counters)
{
    relay_tenure *now = relay_tenure_of(h);
    now->counters.rpc_bytes += counters->rpc_bytes;
    now->counters.rpc_pdus += counters->rpc_pdus;
}

void relay_half_prepare(relay_holding *h, const relay_owner *to,
                        const relay_counters *counters)
{
    const relay_tenure *now = relay_tenure_of(h);
    relay_tenure *next = &h->tenure[(h->at + 1) & 1];
    next->owner = *to;
    next->counters.rpc_bytes = now->counters.rpc_bytes + counters->rpc_bytes;
    next->counters.rpc_pdus = now->counters.rpc_pdus + counters->rpc_pdus;
    next->recycled = now->recycled + 1;
}

void relay_half_pass(relay_holding *h)
{
    relay_in_order();
    h->at = (h->at + 1) & 1;
    relay_in_order();
}

bool relay_table_succeed(relay_table *t, relay_ref ref, relay_dir dir,
                         const relay_owner *from, const relay_owner *to,
                         const relay_counters *counters)
{
    relay_entry *e = relay_entry_lock_held(t, ref, dir, from);
    relay_holding *h;
    if (!e) {
        return false;
    }
    h = &e->vc.half[dir];
    relay_half_prepare(h, to, counters);
    relay_half_pass(h);
    __atomic_add_fetch(&t->recycled_r2, 1, __ATOMIC_RELAXED);
    if (!relay_owner_registered(t, to)) {
        /* It died before it held anything that a reap could have found. */
        __atomic_add_fetch(&t->departures, 1, __ATOMIC_ACQ_REL);
    }
    relay_entry_unlock(t, e->bucket);
    return true;
}

bool relay_table_recycled(relay_table *t, relay_ref ref, relay_dir dir,
                          const relay_owner *owner,
                          const relay_counters *counters, relay_summary *out)
{
    relay_entry *e = relay_entry_lock_held(t, ref, dir, owner);
    uint32_t bucket;
    bool last;
    if (!e) {
        return false;
    }
    bucket = e->bucket;
    relay_half_count(&e->vc.half[dir], counters);
    relay_tenure_of(&e->vc.half[dir])->recycled++;
    e->vc.elsewhere = true;
    relay_half_set(t, e, dir, RELAY_HALF_NONE);
    __atomic_add_fetch(&t->recycled_r1, 1, __ATOMIC_RELAXED);
    last = relay_entry_left(t, e, dir, out);
    relay_entry_unlock(t, bucket);
    return last;
}
