/* SPDX-License-Identifier: Apache-2.0 */
/*
 * writer.h - the way out of a half: RPC PDUs in order under flow control,
 * and RTS PDUs between them, into a sink that may take less than it is
 * given.
 *
 * IN writes to the server socket, with the to_server lane unless the back
 * end is joined (then the lane travels as messages); OUT writes to the
 * client, with the to_client lane.
 */
#ifndef RELAY_WRITER_H
#define RELAY_WRITER_H

#include "relay/half.h"
#include "relay/sendq.h"

/* Pieces of a chunk that are remembered; see relay_writer_begin. */
#define RELAY_WRITER_SPANS 8

typedef struct relay_writer {
    relay_half *half;
    bool with_lane;   /* the half's RTS PDUs go this way, too */
    relay_sink_fn *sink;
    void *baton;
    relay_sendq queue;
    uint32_t pdu_len; /* of the PDU being written */
    uint32_t left;    /* of it; 0: between PDUs */
    bool answer;      /* it ends the answer to a call */
    uint64_t calls_ended; /* such PDUs written whole */
    bool full;        /* the sink took less than it was given: wait for it */
    bool broken;      /* the sink failed */
    bool rpc_moved;   /* RPC bytes were written; cleared by the caller */
    bool lane_moved;  /* RTS bytes were written; cleared by the caller */

    const uint8_t *chunk; /* the caller's; NULL: none */
    size_t chunk_len;
    struct iovec span[RELAY_WRITER_SPANS]; /* of it: behind the queue */
    int spans;
} relay_writer;

/* Starts an empty writer; queue blocks come from blocks. */
void relay_writer_init(relay_writer *w, relay_half *half, bool with_lane,
                       relay_sink_fn *sink, void *baton, relay_blocks *blocks);

/* Until relay_writer_end, p[0..len) stays as it is: slices of it that are
 * passed on are remembered, and sent together. What is not in it, such as a
 * header that came in pieces, may be passed as well. */
void relay_writer_begin(relay_writer *w, const uint8_t *p, size_t len);

/* Writes what was remembered and may go now, and queues a copy of the rest;
 * the chunk goes on. Returns RPCH_OK, the half's error, or RPCH_E_ROOM when
 * memory is out. */
int relay_writer_commit(relay_writer *w, rpch_msec now);

/* Likewise, and the chunk is no longer needed. */
int relay_writer_end(relay_writer *w, rpch_msec now);

/* Passes on a slice of an RPC PDU as a machine's step gave it: remembers it,
 * or writes what may go now and queues a copy of the rest. Same results. */
int relay_writer_pass(relay_writer *w, const rpch_step *step, rpch_msec now);

/* Called with a step that has something to pass on, before it is passed. */
typedef void relay_feed_fn(void *baton, const rpch_step *step);

/* Puts p[0..len), read from the client or else the server, through the half;
 * what it passes on goes into w as one chunk, but is written before anything
 * else than an RPC PDU is looked at: what that changes comes after it. *taken:
 * bytes that the half took; the rest is for later. note (NULL: none) sees each
 * slice. Returns RPCH_OK or the half's error. */
int relay_writer_feed(relay_writer *w, bool client, const uint8_t *p,
                      size_t len, size_t *taken, relay_feed_fn *note,
                      void *baton, rpch_msec now);

/* Writes what is waiting and may go now. Same results. */
int relay_writer_flush(relay_writer *w, rpch_msec now);

/* True when anything waits here: RPC bytes, or RTS PDUs that go this way. */
bool relay_writer_pending(const relay_writer *w);

/* The sink can take bytes again. */
void relay_writer_writable(relay_writer *w);

/* A writer that has written nothing continues where another one stopped: left
 * bytes (at least 1) of a PDU of pdu_len are still to be written. The caller
 * puts the other one's queue into this one's, in any pieces, before anything
 * is passed. */
void relay_writer_resume(relay_writer *w, uint32_t pdu_len, uint32_t left);

/* Gives the queue's blocks back. */
void relay_writer_close(relay_writer *w);

#endif
