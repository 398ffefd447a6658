/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sendq.h - RPC bytes that cannot go out yet, in blocks from a capped
 * freelist shared by the channels of a child.
 */
#ifndef RELAY_SENDQ_H
#define RELAY_SENDQ_H

#include <apr_pools.h>
#include <sys/uio.h>

#include "rpch/rpch.h"

#define RELAY_BLOCK_SIZE 8192u

/* The freelist; safe to use from several threads. */
typedef struct relay_blocks relay_blocks;

/* Makes a freelist that keeps at most keep blocks; the rest goes back to the
 * system at once. The kept ones are freed with pool, which must outlive all
 * queues that use them; that takes no lock that another thread may hold, so
 * it may happen in a signal handler of a process that ends. */
apr_status_t relay_blocks_create(relay_blocks **out, size_t keep,
                                 apr_pool_t *pool);

/* Blocks now in queues and now kept free. */
void relay_blocks_count(relay_blocks *b, size_t *used, size_t *kept);

/* Where bytes go: takes up to all bytes of n pieces, in their order, and
 * returns how many; 0 when it can take none now, -1 when it is broken for
 * good. */
typedef long relay_sink_fn(void *baton, const struct iovec *v, int n);

typedef struct relay_block relay_block;

/* A queue of bytes; used by one thread at a time. */
typedef struct relay_sendq {
    relay_blocks *blocks;
    relay_block *head;
    relay_block *tail;
    size_t bytes; /* in the queue */
} relay_sendq;

/* An empty queue that takes its blocks from b. */
void relay_sendq_init(relay_sendq *q, relay_blocks *b);

/* Appends a copy of n bytes. APR_ENOMEM, and nothing appended, when the
 * system has no memory. */
apr_status_t relay_sendq_push(relay_sendq *q, const uint8_t *p, size_t n);

/* The first contiguous piece, *n bytes (at most a block); NULL and 0 when
 * empty. Lives until the next call on q. */
const uint8_t *relay_sendq_front(const relay_sendq *q, size_t *n);

/* Describes the first bytes in their order, in up to max pieces; returns how
 * many it filled. They live as relay_sendq_front's. */
int relay_sendq_view(const relay_sendq *q, struct iovec *v, int max);

/* Copies up to n first bytes to out without removing them; returns how
 * many. */
size_t relay_sendq_peek(const relay_sendq *q, uint8_t *out, size_t n);

/* Removes the first n bytes (n <= q->bytes). */
void relay_sendq_drop(relay_sendq *q, size_t n);

/* Empties q and gives all its blocks back. */
void relay_sendq_clear(relay_sendq *q);

#endif
