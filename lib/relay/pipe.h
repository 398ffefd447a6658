/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pipe.h - one direction of a stream that passes bytes and changes none: what
 * its receiver does not take now waits in a queue, and a timer runs while the
 * receiver takes nothing.
 *
 * A sender is not to be read while its pipe waits; then a queue never holds
 * more than one read.
 */
#ifndef RELAY_PIPE_H
#define RELAY_PIPE_H

#include "relay/sendq.h"

/* Pieces that one relay_pipe_push may be given. */
#define RELAY_PIPE_PIECES 4

typedef struct relay_pipe {
    relay_sendq queue;
    relay_sink_fn *sink;
    void *baton;              /* the sink's */
    bool broken;              /* the sink failed: what is pushed is dropped */
    bool progress;            /* it took something; cleared by the caller */
    rpch_msec stall_deadline; /* RPCH_NEVER while nothing waits */
} relay_pipe;

/* An empty pipe into sink; queue blocks come from blocks. */
void relay_pipe_init(relay_pipe *p, relay_sink_fn *sink, void *baton,
                     relay_blocks *blocks);

/* Gives the sink what waits and, behind it, the n <= RELAY_PIPE_PIECES pieces
 * of v; a copy of what it does not take waits. Nothing of v is needed
 * afterwards. APR_ENOMEM when there is no memory for that: then bytes are
 * lost, and the stream must end. */
apr_status_t relay_pipe_push(relay_pipe *p, const struct iovec *v, int n);

/* Gives the sink what waits. */
void relay_pipe_flush(relay_pipe *p);

/* True when something waits in the queue. */
bool relay_pipe_waits(const relay_pipe *p);

/* After a step: sets the timer, of timeout ms, by whether the receiver is
 * waited for and took something. */
void relay_pipe_arm(relay_pipe *p, bool waits, rpch_msec timeout,
                    rpch_msec now);

/* Gives the queue's blocks back. */
void relay_pipe_clear(relay_pipe *p);

#endif
