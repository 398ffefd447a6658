/* SPDX-License-Identifier: Apache-2.0 */
/*
 * observer.h - a passive watcher of the PDUs of one stream, for whoever
 * passes RPC over HTTP on without taking part in it.
 *
 * One observer watches one direction of one channel: the request body of an
 * IN or OUT channel, or the response body of an OUT channel. It does not care
 * which, and checks no order of PDUs but that the first one is an RTS PDU.
 */
#ifndef RPCH_OBSERVER_H
#define RPCH_OBSERVER_H

#include "rpch/rts_table.h"

typedef struct rpch_observer {
    uint64_t bytes;       /* all that was fed */
    /* PDUs that have passed to their last byte: */
    uint64_t pdus;
    uint64_t rpc;         /* those that are no RTS PDUs */
    uint64_t rts;
    uint64_t unknown_rts; /* RTS PDUs that are none of 2.2.4, or cannot be
                           * read; no error of the stream */
    uint64_t requests;    /* request PDUs; each fragment is one */
    uint64_t answers;     /* response and fault PDUs, likewise */
    rpch_pdu_id first;    /* the RTS PDU that opened the stream, by the first
                           * of its names (IN_R1/A1 for IN_R2/A1);
                           * RPCH_PDU_ID_MAX: not yet, or an unknown one */
    const char *error;    /* why the bytes are no PDUs, static; NULL: they
                           * are so far */
    /* observer.c's own: */
    bool has_vc;
    bool has_group;
    rpch_cookie vc;
    rpch_cookie group;
    rpch_cutter cutter;
} rpch_observer;

/* Starts a stream. Nothing is to be freed. */
void rpch_observer_init(rpch_observer *o);

/* The next len bytes of the stream have passed. The result does not depend on
 * how it is cut. Sets o->error when they are no PDUs: another version, a
 * frag_length below 16, an RTS PDU below 20 or above RPCH_RTS_SIZE_MAX bytes,
 * or a first PDU that is no RTS PDU. From then on only bytes are counted. RTS
 * PDUs are collected, RPC PDUs are skipped by their length, whichever byte
 * order they have. */
void rpch_observer_feed(rpch_observer *o, const uint8_t *in, size_t len);

/* The cookie of the virtual connection, which the first PDU of a request body
 * names (CONN/A1, CONN/B1, and the A1 and A3 that begin a successor, 2.2.4);
 * NULL until such a PDU has passed. The first one counts. */
const rpch_cookie *rpch_observer_vc(const rpch_observer *o);

/* The AssociationGroupId of CONN/B1 (2.2.3.5.13), likewise. */
const rpch_cookie *rpch_observer_group(const rpch_observer *o);

/* True when the stream stands between two PDUs, also before the first one;
 * false for good after an error. */
bool rpch_observer_at_boundary(const rpch_observer *o);

#endif
