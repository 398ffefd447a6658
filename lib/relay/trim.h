/* SPDX-License-Identifier: Apache-2.0 */
/* trim.h - gives memory back that a connection's pools keep but do not use */
#ifndef RELAY_TRIM_H
#define RELAY_TRIM_H

#include <apr_pools.h>

/* Gives the free blocks of pool's allocator back to the system; a connection
 * of httpd has an allocator of its own, whose free blocks are of use to
 * nobody else. keep: bytes that it may keep from now on, as of
 * apr_allocator_max_free_set (0: any number). The caller is alone with the
 * pool, its relatives and their bucket allocators. */
void relay_trim(apr_pool_t *pool, apr_size_t keep);

#endif
