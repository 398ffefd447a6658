/* SPDX-License-Identifier: Apache-2.0 */
/*
 * succession.h - one channel replaced by another of the same direction; for
 * lib/relay's httpd part only.
 *
 * The second form of recycling (IN_R2, OUT_R2) moves the leg to the server
 * from the channel that holds it, the predecessor, to its successor, which
 * may be in another child:
 *
 *   successor                        predecessor
 *   HELLO, ATTACH  -------------->   everything is checked before anything
 *                                    changes
 *                  <--------------   ATTACHED, or REFUSE
 *                                    ... A5 on the old C-IN, or B1 on S-OUT
 *                  <--------------   MOVE (leg, server socket), ROLE and
 *                                    LINK (joined), TAIL ...
 *
 * In the first form (IN_R1, OUT_R1) the successor has a connection to the
 * server of its own, and the two never meet.
 */
#ifndef RELAY_SUCCESSION_H
#define RELAY_SUCCESSION_H

#include "relay/leg.h"
#include "relay/link.h"
#include "relay/table.h"

typedef enum relay_succession_state {
    RELAY_SUCC_NONE,
    RELAY_SUCC_ASKED,    /* successor: ATTACH was sent */
    RELAY_SUCC_ATTACHED, /* successor: the holder agreed; the leg will come */
    RELAY_SUCC_ARRIVING, /* successor: it came; more belongs to it */
    RELAY_SUCC_HOLDER,   /* predecessor: has a successor */
    RELAY_SUCC_LEAVING   /* predecessor: the leg was taken, and is on its
                          * way */
} relay_succession_state;

/* The talk between the two, from the side of one. Allocated with the first
 * use: most channels never need one. */
typedef struct relay_succession {
    relay_succession_state state;
    relay_link link;
    rpch_msec pause;     /* successor: before it asked again, ms; 0: never */
    rpch_msec return_until; /* successor, native: until then a refusal may be
                          * of a predecessor's predecessor; 0: none came */
    bool full;           /* the socket took nothing: wait for it */
    relay_owner heir;    /* predecessor: the successor's channel */
    uint32_t tail;       /* successor: bytes of TAIL still to come */
    bool role_missing;   /* successor: ROLE is to come */
    bool link_missing;   /* successor: LINK is to come */
    bool given;          /* predecessor: the table names the heir, and has the
                          * counters */
    int sent;            /* predecessor: messages sent, in their order */
    uint8_t *leg;        /* predecessor: the encoded leg */
    size_t leg_len;
    uint8_t *role;       /* predecessor, joined OUT: the encoded role */
    size_t role_len;
} relay_succession;

#endif
