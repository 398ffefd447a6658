/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client_private.h - what the parts of the client role share: client.c has
 * the connection, client_in.c and client_out.c one virtual channel each.
 */
#ifndef RPCH_CLIENT_PRIVATE_H
#define RPCH_CLIENT_PRIVATE_H

#include "rpch/client.h"

#define RPCH_CLIENT_VERSION 1u /* of the protocol */

/* Ends the machine through its table unless it has ended; returns its
 * status. */
int rpch_client_end(rpch_client *m, int status, const char *reason);

/* Checks a ConnectionTimeout and a ReceiveWindowSize of CONN/C2 or IN_R1/A4
 * (2.2.3.5.1, 2.2.3.5.3) and takes both over for the C-IN that they are of:
 * nothing was sent on it yet. False, with nothing changed, when one is out of
 * its range. */
bool rpch_client_in_terms(rpch_client *m, const rpch_rts_values *v);

/* Queues a PDU for C-IN: for the current one, or, when its lifetime has no
 * room for it, to be held for the successor. May start recycling; ends the
 * machine (RPCH_E_LIFETIME) when there can be no successor. */
void rpch_client_in_make(rpch_client *m, rpch_pdu_id id,
                         const rpch_rts_values *v);

/* Queues IN_Rx/A1 for the successor; false when it was not wanted. */
bool rpch_client_in_request(rpch_client *m, const rpch_cookie *cookie,
                            rpch_msec now);

/* IN_R1/A4 or IN_R2/A4 (ev) arrived: ends the current C-IN with A5 and goes
 * on with the successor. Returns the machine's status. */
int rpch_client_in_take(rpch_client *m, rpch_client_in_event ev,
                        const rpch_rts *rts);

/* The successor's timer has run out, if it runs. */
void rpch_client_in_expired(rpch_client *m);

/* Queues OUT_Rx/A3 for the successor; false when it was not wanted. */
bool rpch_client_out_request(rpch_client *m, const rpch_cookie *cookie,
                             rpch_msec now);

/* OUT_Rx/A2, A6, OUT_R1/A10 or OUT_R2/B3 (ev) arrived. Returns the machine's
 * status. */
int rpch_client_out_take(rpch_client *m, rpch_client_out_event ev);

/* 200 arrived on an OUT request of the open connection. Returns the machine's
 * status. */
int rpch_client_out_answered(rpch_client *m, unsigned slot);

/* The successor's timer has run out, if it runs. */
void rpch_client_out_expired(rpch_client *m);

#endif
