/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mixed.h - the mixed proxy: one RPC_CONNECT request, version 1 of RPC over
 * HTTP, 3.1.2.
 *
 * Behind the request's head the connection to the client carries RPC PDUs
 * both ways, and so does the connection to the server, whose first bytes are
 * the legacy server response "ncacn_http/1.0" (2.1.1.2.1); a server that
 * speaks ncacn_ip_tcp (RPCH_JOINED) does not send it. There are neither RTS
 * PDUs nor windows: TCP slows the sender down.
 *
 * Deviation, on purpose: the specification passes everything on. Here an RTS
 * PDU of either side is a protocol error. A server takes a connection whose
 * first PDU is RTS for one of an inbound or outbound proxy, and what a proxy
 * says of its client (2.2.3.5.13) must not be said by the client.
 */
#ifndef RPCH_MIXED_H
#define RPCH_MIXED_H

#include "rpch/machine.h"

typedef enum rpch_mixed_state {
    RPCH_MIXED_CONNECT,  /* waiting for the connection to the server */
    RPCH_MIXED_LEGACYW,  /* waiting for "ncacn_http/1.0" */
    RPCH_MIXED_RESPONSE, /* the 200 head is to be sent */
    RPCH_MIXED_OPENED,
    RPCH_MIXED_FINISHED,
    RPCH_MIXED_STATE_MAX
} rpch_mixed_state;

typedef enum rpch_mixed_event {
    RPCH_MIXED_EV_CONNECTED,    /* to a server that is to send the banner */
    RPCH_MIXED_EV_JOINED,       /* to one that speaks ncacn_ip_tcp */
    RPCH_MIXED_EV_BANNER,       /* server: "ncacn_http/1.0" is complete */
    RPCH_MIXED_EV_RESPONDED,    /* the caller has sent the 200 head */
    RPCH_MIXED_EV_CLIENT_RPC,   /* client: an RPC PDU */
    RPCH_MIXED_EV_CLIENT_RTS,   /* client: an RTS PDU */
    RPCH_MIXED_EV_SERVER_RPC,   /* server: an RPC PDU */
    RPCH_MIXED_EV_SERVER_RTS,   /* server: an RTS PDU */
    RPCH_MIXED_EV_CLIENT_END,   /* the client sends no more, but reads */
    RPCH_MIXED_EV_CLIENT_CLOSE, /* the client is gone */
    RPCH_MIXED_EV_SERVER_CLOSE, /* end or failure of the server */
    RPCH_MIXED_EV_TIMEOUT,      /* a deadline passed */
    RPCH_MIXED_EV_FAIL,         /* the caller gives up, or a PDU cannot be
                                 * read */
    RPCH_MIXED_EV_MAX
} rpch_mixed_event;

typedef struct rpch_mixed {
    rpch_core core;
    rpch_cutter client;
    rpch_cutter server;
    bool client_ended;  /* it sends no more; the server is to know */
    uint64_t in_bytes;  /* RPC PDUs passed to the server whole */
    uint64_t in_pdus;
    uint64_t out_bytes; /* and to the client */
    uint64_t out_pdus;
} rpch_mixed;

/* Starts the machine at time now, in RPCH_MIXED_CONNECT. limits are copied;
 * open_timeout bounds the connection to the server and then, once more, its
 * banner and the response, drain_timeout how long a server may be silent whose
 * client sends no more; 0: no bound. flags: RPCH_JOINED. log may be NULL. */
void rpch_mixed_init(rpch_mixed *m, const rpch_limits *limits, unsigned flags,
                     rpch_log_fn *log, void *baton, rpch_msec now);

/* Takes bytes that follow the request's head; slices are to be passed to the
 * server. One step: call again while step->used > 0 and input is left. used
 * is 0 while RPCH_WANT_CLIENT_READ is not wanted: the caller holds what came
 * too early (3.1.2.5.1). Returns RPCH_OK or the error that sticks. */
int rpch_mixed_client_recv(rpch_mixed *m, const uint8_t *in, size_t len,
                           rpch_step *step);

/* The same for bytes of the server, with RPCH_WANT_SERVER_READ; slices are to
 * be passed to the client. The banner is not passed on. */
int rpch_mixed_server_recv(rpch_mixed *m, const uint8_t *in, size_t len,
                           rpch_step *step, rpch_msec now);

/* The server is connected. */
int rpch_mixed_connected(rpch_mixed *m, rpch_msec now);

/* The 200 head was sent, 3.1.2.5.1. */
int rpch_mixed_responded(rpch_mixed *m, rpch_msec now);

/* The client sends no more, and may still read: after the last slices the
 * caller ends sending to the server (RPCH_WANT_SHUTDOWN). */
void rpch_mixed_client_ended(rpch_mixed *m, rpch_msec now);

/* The client is gone; the machine finishes with RPCH_E_CLOSED. */
void rpch_mixed_client_closed(rpch_mixed *m);

/* The server ended or failed, and what it sent was delivered; likewise. */
void rpch_mixed_server_closed(rpch_mixed *m);

/* The caller gives up for a reason of its own (status, static reason). */
void rpch_mixed_fail(rpch_mixed *m, int status, const char *reason);

/* RPCH_WANT_* now. Back-pressure is the caller's: it reads no side whose
 * bytes the other one does not take. */
unsigned rpch_mixed_wants(const rpch_mixed *m);

/* When rpch_mixed_timeout is due, or RPCH_NEVER. */
rpch_msec rpch_mixed_deadline(const rpch_mixed *m);

/* Runs the timer that is due at now. */
int rpch_mixed_timeout(rpch_mixed *m, rpch_msec now);

/* The machine's table; static. */
const rpch_machine_table *rpch_mixed_table(void);

/* Name of a state ("LEGACYW"). */
const char *rpch_mixed_state_name(rpch_mixed_state s);

/* Name of an event ("banner"). */
const char *rpch_mixed_event_name(rpch_mixed_event e);

#endif
