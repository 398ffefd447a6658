/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inbound.h - the inbound proxy: one RPC_IN_DATA request, 3.2.3.
 *
 * C-IN is the request body, S-IN the connection to the server. RPC PDUs go
 * C-IN -> S-IN; S-IN brings only RTS PDUs back.
 */
#ifndef RPCH_INBOUND_H
#define RPCH_INBOUND_H

#include "rpch/machine.h"

typedef enum rpch_in_state {
    RPCH_IN_OPEN_START, /* waiting for CONN/B1 */
    RPCH_IN_CONNECT,    /* waiting for the connection to the server */
    RPCH_IN_B3W,        /* S-IN plugged, waiting for CONN/B3 */
    RPCH_IN_OPENED,
    RPCH_IN_FINISHED,
    RPCH_IN_STATE_MAX
} rpch_in_state;

typedef enum rpch_in_event {
    RPCH_IN_EV_CONN_B1,         /* C-IN */
    RPCH_IN_EV_R1_A1,           /* C-IN: a successor, IN_R1/A1 = IN_R2/A1 */
    RPCH_IN_EV_A5,              /* C-IN: IN_R1/A5 = IN_R2/A5 */
    RPCH_IN_EV_PING,            /* C-IN */
    RPCH_IN_EV_KEEP_ALIVE,      /* C-IN */
    RPCH_IN_EV_CLIENT_FORWARD,  /* C-IN: a PDU for somebody else */
    RPCH_IN_EV_CLIENT_OTHER,    /* C-IN: any other RTS PDU */
    RPCH_IN_EV_CLIENT_RPC,      /* C-IN: an RPC PDU */
    RPCH_IN_EV_CONNECTED,       /* the caller has connected S-IN */
    RPCH_IN_EV_CONN_B3,         /* S-IN */
    RPCH_IN_EV_R1_B2,           /* S-IN: IN_R1/B2 */
    RPCH_IN_EV_ACK,             /* S-IN: FlowControlAck */
    RPCH_IN_EV_SERVER_FORWARD,  /* S-IN: a PDU for somebody else */
    RPCH_IN_EV_SERVER_OTHER,    /* S-IN: any other RTS PDU */
    RPCH_IN_EV_SERVER_RPC,      /* S-IN: an RPC PDU, never legal */
    RPCH_IN_EV_CLIENT_CLOSE,    /* end or failure of C-IN */
    RPCH_IN_EV_SERVER_CLOSE,    /* end or failure of S-IN */
    RPCH_IN_EV_TIMEOUT,         /* the deadline passed */
    RPCH_IN_EV_FAIL,            /* the caller gives up, a PDU is malformed or
                                 * carries a bad value, or room is lacking */
    RPCH_IN_EV_MAX
} rpch_in_event;

typedef struct rpch_inbound {
    rpch_core core;
    rpch_cutter client;  /* C-IN */
    rpch_cutter server;  /* S-IN */
    rpch_lane to_server; /* RTS PDUs for S-IN */
    rpch_rx rx;          /* C-IN: we receive */
    rpch_tx tx;          /* S-IN: we send */
    rpch_address address;
    rpch_cookie vc;      /* valid from RPCH_IN_CONNECT on */
    rpch_cookie channel; /* cookie of this IN channel */
    rpch_cookie group;   /* AssociationGroupId */
    uint32_t lifetime;   /* from CONN/B1, for logs only */
    uint32_t keepalive;  /* ms, for TCP keep-alive of S-IN; see Keep-Alive */
    uint64_t rpc_bytes;  /* RPC PDUs passed on whole: bytes and PDUs */
    uint64_t rpc_pdus;
    uint64_t queued;     /* bytes of RPC PDUs that have begun to arrive and
                          * were not yet passed on whole */
} rpch_inbound;

/* Starts the machine at time now. limits are copied; address is the
 * client's, for CONN/B2; flags: RPCH_JOINED; log may be NULL. */
void rpch_inbound_init(rpch_inbound *m, const rpch_limits *limits,
                       const rpch_address *address, unsigned flags,
                       rpch_log_fn *log, void *baton, rpch_msec now);

/* Takes bytes of C-IN. One step: call again while step->used > 0 and input
 * is left. used may be 0 although input is left: the machine takes no bytes
 * while it does not want RPCH_WANT_CLIENT_READ. Returns RPCH_OK or the
 * machine's error. */
int rpch_inbound_client_recv(rpch_inbound *m, const uint8_t *in, size_t len,
                             rpch_step *step, rpch_msec now);

/* Takes bytes of S-IN; never passes a slice. Takes none before S-IN is
 * connected, and none with RPCH_JOINED. */
int rpch_inbound_server_recv(rpch_inbound *m, const uint8_t *in, size_t len,
                             rpch_step *step, rpch_msec now);

/* Takes one whole RTS PDU from the server role (with RPCH_JOINED). Returns
 * RPCH_AGAIN, with the PDU not taken, before _connected(). */
int rpch_inbound_server_rts(rpch_inbound *m, const uint8_t *pdu, size_t len,
                            rpch_msec now);

/* S-IN is connected: CONN/B2 is queued (3.2.3.5.3). Only while the machine
 * wants RPCH_WANT_CONNECT. */
int rpch_inbound_connected(rpch_inbound *m, rpch_msec now);

/* C-IN ended or failed; the machine finishes with RPCH_E_CLOSED. */
void rpch_inbound_client_closed(rpch_inbound *m);

/* S-IN ended or failed; likewise. */
void rpch_inbound_server_closed(rpch_inbound *m);

/* The caller gives up for a reason of its own (status, static reason). */
void rpch_inbound_fail(rpch_inbound *m, int status, const char *reason);

/* True when an RPC PDU of pdu_len bytes may now start on S-IN: opened, the
 * server's window has room (always with RPCH_JOINED), and so has the lane for
 * the ack that may follow. */
bool rpch_inbound_may_send(const rpch_inbound *m, uint32_t pdu_len);

/* An RPC PDU starts on S-IN. */
void rpch_inbound_pdu_begin(rpch_inbound *m, uint32_t pdu_len);

/* Its last byte was written: C-IN's window is credited, which may queue a
 * FlowControlAckWithDestination for the client (3.2.1.4.1). Between _begin
 * and _done no other PDU begins. */
void rpch_inbound_pdu_done(rpch_inbound *m, uint32_t pdu_len, rpch_msec now);

/* RPCH_WANT_* now. CLIENT_READ is absent when the queue holds more than the
 * window and RPCH_QUEUE_SLACK, or when the lane is full; but an RPC PDU that
 * has begun is always read to its end. SERVER_READ is absent with
 * RPCH_JOINED. */
unsigned rpch_inbound_wants(const rpch_inbound *m);

/* When rpch_inbound_timeout is due, or RPCH_NEVER. */
rpch_msec rpch_inbound_deadline(const rpch_inbound *m);

/* Runs the timers that are due at now. */
int rpch_inbound_timeout(rpch_inbound *m, rpch_msec now);

/* Name of a state ("B3W"). */
const char *rpch_in_state_name(rpch_in_state s);

/* Name of an event ("CONN/B1"). */
const char *rpch_in_event_name(rpch_in_event e);

#endif
