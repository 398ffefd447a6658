/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inbound_private.h - what the files of the inbound proxy share: inbound.c
 * has the table and everything about one channel, inbound_recycle.c what
 * passes between a channel and its successor.
 */
#ifndef RPCH_INBOUND_PRIVATE_H
#define RPCH_INBOUND_PRIVATE_H

#include "rpch/inbound.h"

/* Why a predecessor ended that has done all it had to. */
#define RPCH_IN_REPLACED "its successor has replaced the IN channel"

/* A deadline in CLOSE_R1: nobody has said yet what time it is. */
#define RPCH_IN_CLOSE_NOW 0u

/* What comes with an event; an event without PDU has none of it. */
typedef struct rpch_in_input {
    const rpch_rts *rts;
    const uint8_t *pdu; /* the bytes of rts */
    size_t len;
    uint32_t rpc_len;   /* frag_length of an RPC PDU */
    rpch_msec now;
} rpch_in_input;

/* Puts an event through the tables; RPCH_OK or the machine's error. */
int rpch_in_happen(rpch_inbound *m, rpch_in_event ev,
                   const rpch_in_input *in);

/* Ends the machine by ev with status and a static reason, unless its cell
 * drops the event; returns the error that sticks. */
int rpch_in_end(rpch_inbound *m, rpch_in_event ev, int status,
                const char *reason);

/* Ends the machine because of a PDU's contents or a failure of our own;
 * returns the error that sticks. */
int rpch_in_fail(rpch_inbound *m, int status, const char *reason);

/* Queues PDU id for the server; RPCH_OK or the machine's error. */
int rpch_in_make(rpch_inbound *m, rpch_pdu_id id, const rpch_rts_values *v);

/* The rpch_in_take_, rpch_in_send_ functions are what is done about an event,
 * before the transition. They return RPCH_OK, or the machine has ended. */

/* IN_R1/A1 = IN_R2/A1, the first PDU of a successor. */
int rpch_in_take_a1(rpch_inbound *m, const rpch_in_input *in);

/* A successor has a connection of its own: IN_R1/A2. */
int rpch_in_send_r1_a2(rpch_inbound *m, const rpch_in_input *in);

/* A successor is known to the holder of S-IN. */
int rpch_in_take_attached(rpch_inbound *m, const rpch_in_input *in);

/* A successor has taken S-IN. */
int rpch_in_take_adopt(rpch_inbound *m, const rpch_in_input *in);

/* A successor that fits, m->successor, has attached: IN_R2/A2. */
int rpch_in_send_r2_a2(rpch_inbound *m, const rpch_in_input *in);

/* The attached successor is gone. */
int rpch_in_take_detach(rpch_inbound *m, const rpch_in_input *in);

/* IN_R1/A5, which makes IN_R1/A6; or IN_R2/A5. */
int rpch_in_take_a5(rpch_inbound *m, const rpch_in_input *in);

/* A5 for another channel than the attached successor's. */
int rpch_in_take_a5_wrong(rpch_inbound *m, const rpch_in_input *in);

/* Nothing is queued any more: IN_R1/B1. */
int rpch_in_send_b1(rpch_inbound *m, const rpch_in_input *in);

/* IN_R1/B1 was sent: the server has drain_timeout to close. */
int rpch_in_take_flushed(rpch_inbound *m, const rpch_in_input *in);

/* Whether the IN_R1/A5 = IN_R2/A5 that is rts can be meant in the state: for
 * the attached successor, or for one of another proxy. */
bool rpch_in_a5_fits(const rpch_inbound *m, const rpch_rts *rts);

/* Whether c names the channel on S-IN: by its cookie, by that of the channel
 * before it, or of one that was announced to the server. */
bool rpch_in_is_ours(const rpch_inbound *m, const rpch_cookie *c);

/* What follows from an event of an RTS PDU once it has happened. */
void rpch_in_go_on(rpch_inbound *m, rpch_in_event ev, rpch_msec now);

/* The last queued RPC PDU was sent: DRAIN_R1 goes on with IN_R1/B1. */
void rpch_in_drained(rpch_inbound *m, rpch_msec now);

#endif
