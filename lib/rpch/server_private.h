/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server_private.h - what the files of the server role machine share:
 * server.c is the connection, server_in.c S-IN and the virtual IN channel,
 * server_out.c S-OUT and the virtual OUT channel, server_life.c lifetimes.
 */
#ifndef RPCH_SERVER_PRIVATE_H
#define RPCH_SERVER_PRIVATE_H

#include "rpch/server.h"

#define RPCH_SV_VERSION 1u

/* 3.2.5.5.14 leaves the bound to the server; Windows allows this much Ping
 * traffic in this time. */
#define RPCH_SV_PING_BYTES_MAX 8192u
#define RPCH_SV_PING_BYTES_SPAN 240000u

/* Looks e up in the connection's table and moves. status and reason are for
 * the events that finish the machine. True when the caller is to carry out
 * the event. */
bool rpch_sv_happen(rpch_server *m, rpch_server_event e, int status,
                    const char *reason);

/* Ends the machine unless it has ended; returns the error that sticks. */
int rpch_sv_fail(rpch_server *m, int status, const char *reason);

/* What the table of a virtual channel says about e. False, with the machine
 * ended by wrong (static text), when e is a protocol error there, or (status
 * RPCH_E_TIMEOUT) a timer that ends the connection; false as well when e is to
 * be ignored. */
bool rpch_sv_allows(rpch_server *m, const rpch_machine_table *table, int e,
                    int state, int status, const char *wrong);

/* Makes PDU id in that lane; where is static text ("queued for S-IN"). Ends
 * the machine when the lane is full. */
void rpch_sv_make(rpch_server *m, rpch_lane *lane, rpch_pdu_id id,
                  const rpch_rts_values *v, const char *where);

/* Makes PDU id for S-OUT, of which the client gets as many bytes. */
void rpch_sv_tell_client(rpch_server *m, rpch_pdu_id id,
                         const rpch_rts_values *v);

/* Decodes a PDU and logs it; where is static text ("received on S-IN"). */
int rpch_sv_decode(rpch_server *m, const uint8_t *pdu, size_t len,
                   const char *where, rpch_rts *rts);

/* A half is there (CONN/A2, CONN/B2): starts the connection setup timer, or
 * opens the connection. */
void rpch_sv_half_opened(rpch_server *m, rpch_msec now);

/* True when the answers that an RTS PDU may cause have room. */
bool rpch_sv_has_room(const rpch_server *m);

/* OUT_R1/A8 = OUT_R2/A8, which comes over S-IN. */
int rpch_sv_take_a8(rpch_server *m, const rpch_rts *rts, rpch_msec now);

/* The S-OUT that a PDU for the out-proxy goes to: an ack to the one whose
 * channel it names, anything else to the default one. */
rpch_server_out *rpch_sv_out_for(rpch_server *m, const rpch_rts *rts);

/* The OUT channel needs a successor: queues OUT_R1/A1 = OUT_R2/A1, unless one
 * is asked for already. */
void rpch_sv_ask_for_successor(rpch_server *m);

/* True when the timer of OUT recycling has to run from now on: those that make
 * a PDU wait are not told the time. */
bool rpch_sv_out_timer_unset(const rpch_server *m);

/* Runs the timer of the virtual IN channel. */
void rpch_sv_in_timeout(rpch_server *m, rpch_msec now);

/* Runs, or sets, the timer of the virtual OUT channel. */
void rpch_sv_out_timeout(rpch_server *m, rpch_msec now);

/* n bytes of S-OUT will reach the client. */
void rpch_sv_count(rpch_server *m, uint64_t n);

/* Starts recycling when the OUT channel's lifetime calls for it. */
void rpch_sv_look_at_lifetime(rpch_server *m);

/* The default S-IN and S-OUT; NULL while there is none. */
static inline rpch_server_in *rpch_sv_in(rpch_server *m)
{
    return m->in_at < 0 ? NULL : &m->in[m->in_at];
}

static inline rpch_server_out *rpch_sv_out(rpch_server *m)
{
    return m->out_at < 0 ? NULL : &m->out[m->out_at];
}

/* True when slot is a number of a slot. */
static inline bool rpch_sv_is_slot(int slot)
{
    return slot >= 0 && slot < RPCH_SERVER_SLOTS;
}

/* True with RPCH_JOINED. */
static inline bool rpch_sv_is_joined(const rpch_server *m)
{
    return (m->core.flags & RPCH_JOINED) != 0;
}

#endif
