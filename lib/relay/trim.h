/* SPDX-License-Identifier: Apache-2.0 */
/* trim.h - gives memory back that a connection's pools, or a child's heap, keep
 * but do not use */
#ifndef RELAY_TRIM_H
#define RELAY_TRIM_H

#include <apr_pools.h>
#include <stdbool.h>

#include "rpch/rpch.h"

/* What was known of a child's heap when it was last looked at; all zero
 * before the first time. All fields are trim.c's. */
typedef struct relay_heap {
    rpch_msec looked; /* when */
    uint64_t cpu;     /* the child's CPU time then, microseconds */
    rpch_msec next;   /* not to be trimmed before */
    unsigned changes; /* channels that had begun, and ended, when it was
                       * trimmed */
} relay_heap;

/* Gives the free blocks of pool's allocator back to the system; a connection
 * of httpd has an allocator of its own, whose free blocks are of use to
 * nobody else. keep: bytes that it may keep from now on, as of
 * apr_allocator_max_free_set (0: any number). The caller is alone with the
 * pool, its relatives and their bucket allocators. */
void relay_trim(apr_pool_t *pool, apr_size_t keep);

/* Whether the heap is worth a trim: enough channels have begun or ended since
 * the last one, the child has had little to do since the last look, and the
 * time of relay_heap_trimmed is over. changes: how many have begun and how
 * many have ended in this child, together; cpu: its CPU time, microseconds. */
bool relay_heap_is_due(relay_heap *h, unsigned changes, uint64_t cpu,
                       rpch_msec now);

/* The heap was trimmed at now, which took so many milliseconds: the next time
 * is a minute later, or when that is more, a thousand times as long. */
void relay_heap_trimmed(relay_heap *h, unsigned changes, rpch_msec took,
                        rpch_msec now);

/* Called by one thread of a child every second or so: gives the heap's free
 * pages back to the system when that is due. Where the C library has no call
 * for it, nothing happens. */
void relay_heap_look(relay_heap *h, unsigned changes);

#endif
