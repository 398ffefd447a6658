/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trim.c - NOTES
 *
 * An apr_allocator gives memory back only when a block is freed beyond its
 * limit; lowering the limit alone does nothing to what it has kept. So some
 * blocks are taken out, from the kept ones while there are any, and freed
 * under the lowest limit that there is.
 *
 * glibc's heaps give back what is free at their end, and by themselves
 * nothing else. A connection is allocated in the heap of the worker that
 * accepted it and ends when it likes, so a child that once had thousands keeps
 * a third of their memory; and where one has begun, there is what its TLS
 * handshake needed. malloc_trim gives back every free page, but
 * holds the lock of each heap meanwhile: it is for a quiet moment.
 */
#include "relay/trim.h"

#include <apr_allocator.h>
#include <time.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

#include "relay/clock.h"

/* More than a connection has free after its request was read: the buffers of
 * the request's lines, of a read, and of the response's head. */
#define BLOCKS 6
/* apr_pools.c's smallest block. */
#define BLOCK_SIZE 8192
/* Fewer beginnings and ends of channels than that leave nothing worth looking
 * for. */
#define HEAP_CHANGES 64
/* Between two trims, ms, and how many times as long as a trim took. */
#define HEAP_MSEC 60000
#define HEAP_FACTOR 1000
/* A child is quiet that uses less than one in so many parts of a processor,
 * over at least so long, ms. */
#define QUIET_PART 10
#define QUIET_MSEC 900

void relay_trim(apr_pool_t *pool, apr_size_t keep)
{
    apr_allocator_t *a = apr_pool_allocator_get(pool);
    apr_memnode_t *taken = NULL, *node;
    int i;
    for (i = 0; i < BLOCKS; i++) {
        node = apr_allocator_alloc(a, BLOCK_SIZE - APR_MEMNODE_T_SIZE);
        if (node == NULL)
            break;
        node->next = taken;
        taken = node;
    }
    apr_allocator_max_free_set(a, 1);
    if (taken)
        apr_allocator_free(a, taken);
    apr_allocator_max_free_set(a, keep);
}

bool relay_heap_is_due(relay_heap *h, unsigned changes, uint64_t cpu,
                       rpch_msec now)
{
    uint64_t since = now - h->looked, used = cpu - h->cpu;
    bool first = h->looked == 0;
    if (!first && since < QUIET_MSEC)
        return false;
    h->looked = now;
    h->cpu = cpu;
    return !first && used * QUIET_PART < since * 1000 && now >= h->next
        && changes - h->changes >= HEAP_CHANGES;
}

void relay_heap_trimmed(relay_heap *h, unsigned changes, rpch_msec took,
                        rpch_msec now)
{
    rpch_msec pause = took * HEAP_FACTOR;
    h->changes = changes;
    h->next = now + (pause > HEAP_MSEC ? pause : HEAP_MSEC);
}

#ifdef __GLIBC__
void relay_heap_look(relay_heap *h, unsigned changes)
{
    struct timespec cpu = { 0, 0 };
    rpch_msec now = relay_now(), done;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
    if (!relay_heap_is_due(h, changes, (uint64_t)cpu.tv_sec * 1000000
                           + (uint64_t)cpu.tv_nsec / 1000, now))
        return;
    malloc_trim(0);
    done = relay_now();
    relay_heap_trimmed(h, changes, done - now, done);
}
#else
void relay_heap_look(relay_heap *h, unsigned changes)
{
}
#endif
