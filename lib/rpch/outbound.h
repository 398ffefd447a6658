/* SPDX-License-Identifier: Apache-2.0 */
/*
 * outbound.h - the outbound proxy: one RPC_OUT_DATA request, 3.2.4.
 *
 * The request body brings CONN/A1, the response body is C-OUT; S-OUT is the
 * connection to the server. RPC PDUs go S-OUT -> C-OUT.
 */
#ifndef RPCH_OUTBOUND_H
#define RPCH_OUTBOUND_H

#include "rpch/machine.h"

typedef enum rpch_out_state {
    RPCH_OUT_OPEN_START, /* waiting for CONN/A1 */
    RPCH_OUT_CONNECT,    /* waiting for the connection to the server */
    RPCH_OUT_RESPONSE,   /* CONN/A2 queued; the 200 head is to be sent */
    RPCH_OUT_C1W,        /* CONN/A3 sent, waiting for CONN/C1 */
    RPCH_OUT_OPENED,
    RPCH_OUT_FINISHED,
    RPCH_OUT_STATE_MAX
} rpch_out_state;

typedef enum rpch_out_event {
    RPCH_OUT_EV_CONN_A1,        /* request body */
    RPCH_OUT_EV_R1_A3,          /* body: OUT_R1/A3 = OUT_R2/A3 */
    RPCH_OUT_EV_A11,            /* request body: OUT_R1/A11 */
    RPCH_OUT_EV_R2_C1,          /* request body: OUT_R2/C1 */
    RPCH_OUT_EV_CLIENT_OTHER,   /* request body: any other RTS */
    RPCH_OUT_EV_CLIENT_RPC,     /* request body: RPC, never legal */
    RPCH_OUT_EV_CONNECTED,      /* the caller has connected S-OUT */
    RPCH_OUT_EV_RESPONDED,      /* the caller has sent the 200 head */
    RPCH_OUT_EV_CONN_C1,        /* S-OUT */
    RPCH_OUT_EV_R1_A1,          /* S-OUT: OUT_R1/A1 = OUT_R2/A1 */
    RPCH_OUT_EV_R1_A5,          /* S-OUT: OUT_R1/A5 */
    RPCH_OUT_EV_A9_B1,          /* S-OUT: OUT_R1/A9 = OUT_R2/B1 */
    RPCH_OUT_EV_R2_B2,          /* S-OUT: OUT_R2/B2 */
    RPCH_OUT_EV_ACK,            /* S-OUT: a FlowControlAck for us */
    RPCH_OUT_EV_SERVER_FORWARD, /* S-OUT: a PDU for somebody else */
    RPCH_OUT_EV_SERVER_OTHER,   /* S-OUT: any other RTS PDU */
    RPCH_OUT_EV_SERVER_RPC,     /* S-OUT: an RPC PDU */
    RPCH_OUT_EV_CLIENT_CLOSE,   /* the client is gone (not: its body ended) */
    RPCH_OUT_EV_SERVER_CLOSE,   /* end or failure of S-OUT */
    RPCH_OUT_EV_TIMEOUT,        /* a handshake deadline passed */
    RPCH_OUT_EV_PING_DUE,       /* C-OUT was idle for the ping interval */
    RPCH_OUT_EV_FAIL,           /* the caller gives up, a PDU is malformed or
                                 * carries a bad value, or room is lacking */
    RPCH_OUT_EV_MAX
} rpch_out_event;

typedef struct rpch_outbound {
    rpch_core core;
    rpch_cutter client;    /* request body */
    rpch_cutter server;    /* S-OUT */
    rpch_lane to_server;   /* RTS PDUs for S-OUT */
    rpch_lane to_client;   /* RTS PDUs for C-OUT */
    rpch_rx rx;            /* S-OUT: we receive */
    rpch_tx tx;            /* C-OUT: we send */
    rpch_cookie vc;        /* valid from RPCH_OUT_CONNECT on */
    rpch_cookie channel;   /* cookie of this OUT channel */
    bool sending;          /* an RPC PDU is being written to C-OUT */
    rpch_msec last_sent;   /* last byte given to C-OUT, or Ping put off */
    uint32_t ping_bytes;   /* Ping bytes not yet reported to the server */
    uint64_t lifetime_used;/* bytes of C-OUT: RPC PDUs begun, RTS PDUs queued */
    uint64_t rpc_bytes;    /* RPC PDUs passed on whole: bytes and PDUs */
    uint64_t rpc_pdus;
    uint64_t queued;       /* bytes of RPC PDUs that have begun to arrive and
                            * were not yet passed on whole */
} rpch_outbound;

/* Starts the machine at time now. limits are copied; flags: RPCH_JOINED,
 * RPCH_QUIET; log may be NULL. */
void rpch_outbound_init(rpch_outbound *m, const rpch_limits *limits,
                        unsigned flags, rpch_log_fn *log, void *baton,
                        rpch_msec now);

/* Takes bytes of the request body; never passes a slice. */
int rpch_outbound_client_recv(rpch_outbound *m, const uint8_t *in, size_t len,
                              rpch_step *step, rpch_msec now);

/* Takes bytes of S-OUT; RPC slices are to be passed to C-OUT. One step: call
 * again while step->used > 0 and input is left. used may be 0 although input
 * is left: the machine takes no bytes while it does not want
 * RPCH_WANT_SERVER_READ. */
int rpch_outbound_server_recv(rpch_outbound *m, const uint8_t *in, size_t len,
                              rpch_step *step, rpch_msec now);

/* Takes one whole RTS PDU from the server role (with RPCH_JOINED). Returns
 * RPCH_AGAIN, with the PDU not taken, before _responded() and while to_client
 * is full: offer it again later. */
int rpch_outbound_server_rts(rpch_outbound *m, const uint8_t *pdu, size_t len,
                             rpch_msec now);

/* S-OUT is connected: CONN/A2 is queued (3.2.4.5.3). */
int rpch_outbound_connected(rpch_outbound *m, rpch_msec now);

/* The 200 head was sent: CONN/A3 is queued for the client. */
int rpch_outbound_responded(rpch_outbound *m, rpch_msec now);

/* The client is gone; the machine finishes with RPCH_E_CLOSED. */
void rpch_outbound_client_closed(rpch_outbound *m);

/* S-OUT ended or failed; likewise. */
void rpch_outbound_server_closed(rpch_outbound *m);

/* The caller gives up for a reason of its own (status, static reason). */
void rpch_outbound_fail(rpch_outbound *m, int status, const char *reason);

/* True when an RPC PDU of pdu_len bytes may now start on C-OUT: opened, the
 * client's window has room (always when quiet), and so has the lane to the
 * server for the ack that may follow. The channel's lifetime is the matter of
 * rpch_outbound_pdu_begin. */
bool rpch_outbound_may_send(const rpch_outbound *m, uint32_t pdu_len);

/* An RPC PDU starts on C-OUT. RPCH_E_LIFETIME, and the machine is finished,
 * when the channel's lifetime has no room for it (2.1.2.1.8). */
int rpch_outbound_pdu_begin(rpch_outbound *m, uint32_t pdu_len);

/* Its last byte was given to C-OUT: S-OUT's window is credited, which may
 * queue a FlowControlAck for the server. Between _begin and _done no other
 * PDU begins. */
void rpch_outbound_pdu_done(rpch_outbound *m, uint32_t pdu_len, rpch_msec now);

/* len bytes of the to_client lane were given to C-OUT. */
void rpch_outbound_client_ack(rpch_outbound *m, size_t len, rpch_msec now);

/* RPCH_WANT_* now. SERVER_READ is absent before _responded() (joined: before
 * OPENED), when the queue holds more than the window and RPCH_QUEUE_SLACK
 * (joined: the window), or when a lane is full; but an RPC PDU that has begun
 * is always read to its end. */
unsigned rpch_outbound_wants(const rpch_outbound *m);

/* When rpch_outbound_timeout is due, or RPCH_NEVER. In OPENED that is the
 * Ping, which waits a whole interval more when bytes of C-OUT are on their way
 * then. */
rpch_msec rpch_outbound_deadline(const rpch_outbound *m);

/* Runs the timers that are due at now: handshakes, and the Ping of an idle
 * C-OUT (3.2.4.6) with its PingTrafficSentNotify. */
int rpch_outbound_timeout(rpch_outbound *m, rpch_msec now);

/* Name of a state ("C1W"). */
const char *rpch_out_state_name(rpch_out_state s);

/* Name of an event ("CONN/A1"). */
const char *rpch_out_event_name(rpch_out_event e);

#endif
