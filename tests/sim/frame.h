/* SPDX-License-Identifier: Apache-2.0 */
/*
 * frame.h - where the PDUs of a byte stream are, found without the library
 * that is simulated.
 */
#ifndef SIM_FRAME_H
#define SIM_FRAME_H

#include "rpch/rpch.h"

#define SIM_FRAME_RTS 512u

typedef struct sim_frame {
    uint8_t pdu[SIM_FRAME_RTS]; /* the header, or the whole RTS PDU */
    uint32_t have;
    uint32_t left;  /* of an RPC PDU */
    uint32_t skip;  /* bytes that belong to no PDU: a head or a banner */
    bool started;
} sim_frame;

/* What a frame tells of: an RPC PDU of n bytes has begun (rts NULL), or an
 * RTS PDU of n bytes is whole. */
typedef void sim_frame_fn(void *baton, const uint8_t *rts, uint32_t n);

/* Follows n bytes. A stream that begins with 'n' has the banner of a server
 * first. */
void sim_frame_feed(sim_frame *f, const uint8_t *b, size_t n,
                    sim_frame_fn *fn, void *baton);

/* True between two PDUs. */
bool sim_frame_whole(const sim_frame *f);

#endif
