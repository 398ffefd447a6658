/* SPDX-License-Identifier: Apache-2.0 */
/*
 * outbound_private.h - what the files of the outbound proxy machine share:
 * the way through its tables, and the actions of its events.
 */
#ifndef RPCH_OUTBOUND_PRIVATE_H
#define RPCH_OUTBOUND_PRIVATE_H

#include "rpch/outbound.h"

/* What comes with an event; an event without PDU has none of it. */
typedef struct rpch_out_input {
    const rpch_rts *rts;
    const uint8_t *pdu;      /* the bytes of rts */
    size_t len;
    uint32_t rpc_len;        /* frag_length of an RPC PDU */
    const rpch_out_leg *leg; /* of RPCH_OUT_EV_ADOPTED */
    rpch_msec now;
} rpch_out_input;

/* What is done about an event that its cell allows, before the transition.
 * RPCH_OK, or the machine's error after rpch_out_fail. An action whose cell
 * leads to FINISHED may have called rpch_core_end, and then returns RPCH_OK. */
typedef int rpch_out_action_fn(rpch_outbound *m, const rpch_out_input *in);

/* The action of ev, NULL where it has none. */
rpch_out_action_fn *rpch_out_action(rpch_out_event ev);

/* The actions of outbound_recycle.c. OUT_Rx/A3: takes its fields. */
int rpch_out_take_a3(rpch_outbound *m, const rpch_out_input *in);

/* A successor has an S-OUT of its own: queues OUT_R1/A4. */
int rpch_out_send_a4(rpch_outbound *m, const rpch_out_input *in);

/* A successor was given in->leg. */
int rpch_out_adopt_leg(rpch_outbound *m, const rpch_out_input *in);

/* A successor is attached: queues OUT_R2/A4. */
int rpch_out_announce(rpch_outbound *m, const rpch_out_input *in);

/* The attached successor is gone. */
int rpch_out_forget(rpch_outbound *m, const rpch_out_input *in);

/* A predecessor is through: RPCH_E_RECYCLED. */
int rpch_out_retire(rpch_outbound *m, const rpch_out_input *in);

/* OUT_R1/A9 = OUT_R2/B1. */
int rpch_out_take_b1(rpch_outbound *m, const rpch_out_input *in);

/* OUT_R2/B2. */
int rpch_out_take_b2(rpch_outbound *m, const rpch_out_input *in);

/* A predecessor's RPC PDUs are written: queues OUT_R1/A10 or OUT_R2/B3. */
int rpch_out_send_last(rpch_outbound *m, const rpch_out_input *in);

/* That PDU was given to C-OUT. */
int rpch_out_last_sent(rpch_outbound *m, const rpch_out_input *in);

/* S-OUT ended: the machine does, too, unless it is past the switch. */
int rpch_out_server_ended(rpch_outbound *m, const rpch_out_input *in);

/* OUT_R1: drain_timeout has passed, the client's window counts no more. */
int rpch_out_drain_late(rpch_outbound *m, const rpch_out_input *in);

/* Puts an event through the tables; RPCH_OK or the machine's error. */
int rpch_out_happen(rpch_outbound *m, rpch_out_event ev,
                    const rpch_out_input *in);

/* Ends the machine by ev, unless its cell drops the event; returns the error
 * that sticks. */
int rpch_out_end(rpch_outbound *m, rpch_out_event ev, int status,
                 const char *reason);

/* Ends the machine because of a PDU's contents or a failure of our own. */
int rpch_out_fail(rpch_outbound *m, int status, const char *reason);

/* Lets a predecessor go on as far as it can: from its last RPC PDU to its last
 * RTS PDU, and from there to its end. */
void rpch_out_settle(rpch_outbound *m, rpch_msec now);

/* True when S-OUT is still read after OUT_R2/B1: the RPC PDU that has begun on
 * C-OUT has not yet arrived whole. */
bool rpch_out_finishing(const rpch_outbound *m);

/* Books n bytes of C-OUT. No PDU may be split across two channels, so that
 * one that does not fit ends the channel, 2.1.2.1.8. */
int rpch_out_spend(rpch_outbound *m, size_t n);

/* Queues PDU id for the client; none of those we make has a size of its
 * own. */
int rpch_out_make_client(rpch_outbound *m, rpch_pdu_id id,
                         const rpch_rts_values *v);

/* Queues PDU id for the server. */
int rpch_out_make_server(rpch_outbound *m, rpch_pdu_id id,
                         const rpch_rts_values *v);

/* True when no RPC PDU of pdu_len bytes may start behind ahead bytes of others
 * because the lifetime of a joined channel has no room for it and a
 * successor's may have. */
bool rpch_out_starves(const rpch_outbound *m, uint32_t ahead,
                      uint32_t pdu_len);

#endif
