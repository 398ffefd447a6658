/* SPDX-License-Identifier: Apache-2.0 */
/*
 * watch.h - the observer of the wire: which acks allow whom to send how
 * much, and how reads are cut.
 */
#ifndef SIM_WATCH_H
#define SIM_WATCH_H

#include "pipe.h"

/* How reads are cut. */
enum { SIM_CUT_WHOLE, SIM_CUT_BYTES, SIM_CUT_RANDOM };

/* A PDU was forged: bytes and windows are not compared any more. */
extern bool sim_watch_forged;
/* A newcomer has made the client take one successor for another: it may go by
 * the wrong window from now on. */
extern bool sim_watch_misled;

/* Chooses how reads are cut from now on. */
void sim_watch_cuts(int how);

/* How many of n bytes that have arrived one read gets. */
size_t sim_watch_cut(size_t n);

/* The reader of p has read an RTS PDU. An ack is booked for the pipe that it
 * is about, and checked: nobody acknowledges more than was sent, or offers
 * more than its window. */
void sim_watch_rts(sim_pipe *p, const uint8_t *rts, uint32_t n);

#endif
