/* SPDX-License-Identifier: Apache-2.0 */
/* sendq.c - queues of bytes in blocks from a capped freelist */
#include "relay/sendq.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct relay_block {
    relay_block *next;
    size_t start; /* bytes are at data[start..end) */
    size_t end;
    uint8_t data[RELAY_BLOCK_SIZE];
};

struct relay_blocks {
    pthread_mutex_t lock;
    relay_block *free;
    size_t kept; /* in free */
    size_t keep;
    size_t used; /* in queues */
};

static void free_list(relay_block *b)
{
    while (b) {
        relay_block *next = b->next;
        free(b);
        b = next;
    }
}

static apr_status_t blocks_cleanup(void *baton)
{
    relay_blocks *b = baton;

    /* A child of prefork runs this in its signal handler, which may have
     * interrupted the holder: then the process's end frees them. */
    if (pthread_mutex_trylock(&b->lock) != 0)
        return APR_SUCCESS;
    free_list(b->free);
    b->free = NULL;
    b->kept = 0;
    b->keep = 0;
    pthread_mutex_unlock(&b->lock);
    return APR_SUCCESS;
}

apr_status_t relay_blocks_create(relay_blocks **out, size_t keep,
                                 apr_pool_t *pool)
{
    relay_blocks *b = apr_pcalloc(pool, sizeof(*b));
    int error = pthread_mutex_init(&b->lock, NULL);

    if (error)
        return APR_FROM_OS_ERROR(error);
    b->keep = keep;
    apr_pool_cleanup_register(pool, b, blocks_cleanup, apr_pool_cleanup_null);
    *out = b;
    return APR_SUCCESS;
}

void relay_blocks_count(relay_blocks *b, size_t *used, size_t *kept)
{
    pthread_mutex_lock(&b->lock);
    *used = b->used;
    *kept = b->kept;
    pthread_mutex_unlock(&b->lock);
}

/* Takes count empty blocks as a list, NULL when the system has not as many. */
static relay_block *blocks_get(relay_blocks *b, size_t count)
{
    relay_block *list = NULL, *block;
    size_t n = 0;

    pthread_mutex_lock(&b->lock);
    while (n < count && b->free) {
        block = b->free;
        b->free = block->next;
        b->kept--;
        block->next = list;
        list = block;
        n++;
    }
    b->used += count;
    pthread_mutex_unlock(&b->lock);

    for (; n < count; n++) {
        block = malloc(sizeof(*block));
        if (!block) {
            free_list(list);
            pthread_mutex_lock(&b->lock);
            b->used -= count;
            pthread_mutex_unlock(&b->lock);
            return NULL;
        }
        block->next = list;
        list = block;
    }
    for (block = list; block; block = block->next)
        block->start = block->end = 0;
    return list;
}

/* Gives back the blocks of a list. */
static void blocks_put(relay_blocks *b, relay_block *list)
{
    relay_block *surplus = NULL;

    if (!list)
        return;
    pthread_mutex_lock(&b->lock);
    while (list) {
        relay_block *block = list;
        list = block->next;
        b->used--;
        if (b->kept < b->keep) {
            block->next = b->free;
            b->free = block;
            b->kept++;
        } else {
            block->next = surplus;
            surplus = block;
        }
    }
    pthread_mutex_unlock(&b->lock);
    free_list(surplus);
}

void relay_sendq_init(relay_sendq *q, relay_blocks *b)
{
    memset(q, 0, sizeof(*q));
    q->blocks = b;
}

/* Copies into block what fits of n bytes at p; returns how many. */
static size_t fill(relay_block *block, const uint8_t *p, size_t n)
{
    size_t room = RELAY_BLOCK_SIZE - block->end;

    if (n > room)
        n = room;
    if (n)
        memcpy(block->data + block->end, p, n);
    block->end += n;
    return n;
}

apr_status_t relay_sendq_push(relay_sendq *q, const uint8_t *p, size_t n)
{
    size_t room = q->tail ? RELAY_BLOCK_SIZE - q->tail->end : 0;
    relay_block *more = NULL;
    size_t done = 0;

    if (n > room) {
        size_t rest = n - room;
        more = blocks_get(q->blocks, rest / RELAY_BLOCK_SIZE
                                     + (rest % RELAY_BLOCK_SIZE != 0));
        if (!more)
            return APR_ENOMEM;
    }
    if (q->tail)
        done = fill(q->tail, p, n);
    while (more) {
        relay_block *block = more;
        more = block->next;
        block->next = NULL;
        done += fill(block, p + done, n - done);
        if (q->tail)
            q->tail->next = block;
        else
            q->head = block;
        q->tail = block;
    }
    q->bytes += n;
    return APR_SUCCESS;
}

const uint8_t *relay_sendq_front(const relay_sendq *q, size_t *n)
{
    if (q->bytes == 0) {
        *n = 0;
        return NULL;
    }
    *n = q->head->end - q->head->start;
    return q->head->data + q->head->start;
}

int relay_sendq_view(const relay_sendq *q, struct iovec *v, int max)
{
    relay_block *block;
    int n = 0;

    for (block = q->bytes ? q->head : NULL; block && n < max;
         block = block->next) {
        if (block->end == block->start)
            continue;
        v[n].iov_base = block->data + block->start;
        v[n++].iov_len = block->end - block->start;
    }
    return n;
}

size_t relay_sendq_peek(const relay_sendq *q, uint8_t *out, size_t n)
{
    const relay_block *block;
    size_t done = 0;

    for (block = q->head; block && done < n; block = block->next) {
        size_t here = block->end - block->start;
        if (here > n - done)
            here = n - done;
        memcpy(out + done, block->data + block->start, here);
        done += here;
    }
    return done;
}

void relay_sendq_drop(relay_sendq *q, size_t n)
{
    relay_block *done = NULL;

    assert(n <= q->bytes);
    q->bytes -= n;
    while (q->head) {
        relay_block *block = q->head;
        size_t here = block->end - block->start;
        if (n < here) {
            block->start += n;
            break;
        }
        n -= here;
        q->head = block->next;
        block->next = done;
        done = block;
    }
    if (!q->head)
        q->tail = NULL;
    blocks_put(q->blocks, done);
}

void relay_sendq_clear(relay_sendq *q)
{
    blocks_put(q->blocks, q->head);
    relay_sendq_init(q, q->blocks);
}
