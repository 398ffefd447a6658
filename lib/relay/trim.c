/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trim.c - NOTES
 *
 * An apr_allocator gives memory back only when a block is freed beyond its
 * limit; lowering the limit alone does nothing to what it has kept. So some
 * blocks are taken out, from the kept ones while there are any, and freed
 * under the lowest limit that there is.
 */
#include "relay/trim.h"

#include <apr_allocator.h>

/* More than a connection has free after its request was read: the buffers of
 * the request's lines, of a read, and of the response's head. */
#define BLOCKS 6
/* apr_pools.c's smallest block. */
#define BLOCK_SIZE 8192

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
