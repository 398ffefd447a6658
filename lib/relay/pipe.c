/* SPDX-License-Identifier: Apache-2.0 */
/* pipe.c - a queue before a sink */
#include "relay/pipe.h"

#include "relay/sock.h"

/* Pieces of the queue that are given at once. */
#define QUEUED 16

void relay_pipe_init(relay_pipe *p, relay_sink_fn *sink, void *baton,
                     relay_blocks *blocks)
{
    relay_sendq_init(&p->queue, blocks);
    p->sink = sink;
    p->baton = baton;
    p->broken = p->progress = false;
    p->stall_deadline = RPCH_NEVER;
}

/* Bytes that the sink takes now. */
static size_t give(relay_pipe *p, const struct iovec *v, int n)
{
    long taken = n > 0 ? p->sink(p->baton, v, n) : 0;
    if (taken < 0)
        p->broken = true;
    if (taken <= 0)
        return 0;
    p->progress = true;
    return (size_t)taken;
}

/* Queues what lies behind the first skip bytes of v. */
static apr_status_t keep(relay_pipe *p, const struct iovec *v, int n,
                         size_t skip)
{
    apr_status_t rv = APR_SUCCESS;
    int i;
    for (i = 0; i < n && rv == APR_SUCCESS; i++) {
        size_t gone = skip < v[i].iov_len ? skip : v[i].iov_len;
        skip -= gone;
        if (gone < v[i].iov_len)
            rv = relay_sendq_push(&p->queue,
                                  (const uint8_t *)v[i].iov_base + gone,
                                  v[i].iov_len - gone);
    }
    return rv;
}

apr_status_t relay_pipe_push(relay_pipe *p, const struct iovec *v, int n)
{
    struct iovec all[QUEUED + RELAY_PIPE_PIECES];
    size_t bytes, old, taken = 0;
    bool with_new = false;
    int i, count;
    while (!p->broken && !with_new) {
        count = relay_sendq_view(&p->queue, all, QUEUED);
        bytes = relay_sock_total(all, count);
        with_new = bytes == p->queue.bytes;
        for (i = 0; with_new && i < n; i++)
            all[count++] = v[i];
        bytes = relay_sock_total(all, count);
        taken = give(p, all, count);
        old = taken < p->queue.bytes ? taken : p->queue.bytes;
        relay_sendq_drop(&p->queue, old);
        if (taken < bytes && !p->broken)
            return keep(p, v, n, taken - old);
    }
    return APR_SUCCESS;
}

void relay_pipe_flush(relay_pipe *p)
{
    (void)relay_pipe_push(p, NULL, 0);
}

bool relay_pipe_waits(const relay_pipe *p)
{
    return p->queue.bytes > 0;
}

void relay_pipe_arm(relay_pipe *p, bool waits, rpch_msec timeout,
                    rpch_msec now)
{
    if (!waits)
        p->stall_deadline = RPCH_NEVER;
    else if (p->progress || p->stall_deadline == RPCH_NEVER)
        p->stall_deadline = now + timeout;
}

void relay_pipe_clear(relay_pipe *p)
{
    relay_sendq_clear(&p->queue);
}
