/* SPDX-License-Identifier: Apache-2.0 */
/*
 * table_calls.c - what passes through a virtual connection: when an RPC PDU
 * did, and whether a call is without an answer. Noted for each PDU or call, so
 * no lock is taken for it.
 *
 * A stale reference may touch or count for the entry's next connection when
 * the entry changes hands in between: that one is then thought a little
 * livelier.
 */
#include "relay/table_private.h"

#include <string.h>

#include <apr_strings.h>

static relay_entry *entry_of(relay_table *t, relay_ref ref)
{
    relay_entry *e;
    if (!ref.generation || ref.index >= t->max) {
        return NULL;
    }
    e = &t->entry[ref.index];
    return __atomic_load_n(&e->generation, __ATOMIC_ACQUIRE) == ref.generation
               ? e
               : NULL;
}

void relay_table_touch(relay_table *t, relay_ref ref, rpch_msec now)
{
    relay_entry *e = entry_of(t, ref);
    if (e && __atomic_load_n(&e->touched, __ATOMIC_RELAXED) < now) {
        __atomic_store_n(&e->touched, now, __ATOMIC_RELAXED);
    }
}

rpch_msec relay_table_touched(relay_table *t, relay_ref ref)
{
    relay_entry *e = entry_of(t, ref);
    rpch_msec touched;
    if (!e) {
        return 0;
    }
    touched = __atomic_load_n(&e->touched, __ATOMIC_ACQUIRE);
    return entry_of(t, ref) ? touched : 0;
}

void relay_table_call_began(relay_table *t, relay_ref ref)
{
    relay_entry *e = entry_of(t, ref);
    if (e) {
        relay_calls_begin(&e->calls);
    }
}

void relay_table_calls_ended(relay_table *t, relay_ref ref, uint32_t n)
{
    relay_entry *e = entry_of(t, ref);
    if (e) {
        relay_calls_end(&e->calls, n);
    }
}

bool relay_table_is_calling(relay_table *t, relay_ref ref)
{
    relay_entry *e = entry_of(t, ref);
    bool known;
    if (!e || relay_calls_wait(&e->calls)) {
        return true;
    }
    e = relay_entry_lock(t, ref);
    if (!e) {
        return true;
    }
    known = !e->vc.elsewhere && relay_half_held(&e->vc.half[RELAY_IN])
            && relay_half_held(&e->vc.half[RELAY_OUT]);
    relay_entry_unlock(t, e->bucket);
    return !known;
}

bool relay_table_cause(relay_table *t, relay_ref ref,
                       char out[RELAY_CAUSE_MAX])
{
    relay_entry *e = relay_entry_lock(t, ref);
    bool left;
    if (!e) {
        return false;
    }
    left = e->vc.left;
    apr_cpystrn(out, e->vc.cause, RELAY_CAUSE_MAX);
    relay_entry_unlock(t, e->bucket);
    return left;
}
