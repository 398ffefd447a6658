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

/* Takes up to len bytes and returns how many; 0 when it can take none now,
 * -1 when it is broken for good. */
typedef long relay_sink_fn(void *baton, const uint8_t *p, size_t len);

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
} relay_writer;

/* Starts an empty writer; queue blocks come from blocks. */
void relay_writer_init(relay_writer *w, relay_half *half, bool with_lane,
                       relay_sink_fn *sink, void *baton, relay_blocks *blocks);

/* Passes on a slice of an RPC PDU as a machine's step gave it: writes what
 * may go now and queues a copy of the rest. Returns RPCH_OK, the half's
 * error, or RPCH_E_ROOM when memory is out. */
int relay_writer_pass(relay_writer *w, const rpch_step *step, rpch_msec now);

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
