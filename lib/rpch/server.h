/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server.h - the server role of one virtual connection, 3.2.5.
 *
 * S-IN brings RPC PDUs and RTS PDUs from the inbound proxy, S-OUT carries
 * RPC PDUs to the outbound proxy; both carry RTS PDUs both ways. With
 * RPCH_JOINED the role is only the control half: RTS PDUs in and out, no
 * payload, no windows.
 *
 * The role has no part in channel recycling: when the OUT channel's lifetime
 * has no room for the next PDU, the caller ends the connection.
 */
#ifndef RPCH_SERVER_H
#define RPCH_SERVER_H

#include "rpch/machine.h"

typedef enum rpch_server_state {
    RPCH_SERVER_OPEN_START,
    RPCH_SERVER_A2W,    /* has CONN/B2, waits for CONN/A2 */
    RPCH_SERVER_B2W,    /* has CONN/A2, waits for CONN/B2 */
    RPCH_SERVER_OPENED,
    RPCH_SERVER_FINISHED,
    RPCH_SERVER_STATE_MAX
} rpch_server_state;

typedef enum rpch_server_event {
    RPCH_SERVER_EV_CONN_A2,       /* S-OUT */
    RPCH_SERVER_EV_CONN_B2,       /* S-IN */
    RPCH_SERVER_EV_IN_R1_A2,      /* S-IN */
    RPCH_SERVER_EV_IN_A6,         /* S-IN: IN_R1/A6 = IN_R2/A2 */
    RPCH_SERVER_EV_IN_R1_B1,      /* S-IN */
    RPCH_SERVER_EV_OUT_R1_A4,     /* S-OUT */
    RPCH_SERVER_EV_OUT_R2_A4,     /* S-OUT */
    RPCH_SERVER_EV_OUT_A8,        /* S-IN: OUT_R1/A8 = OUT_R2/A8 */
    RPCH_SERVER_EV_PING_NOTIFY,   /* S-OUT: PingTrafficSentNotify */
    RPCH_SERVER_EV_IN_FORWARD,    /* S-IN: a PDU for somebody else */
    RPCH_SERVER_EV_OUT_FORWARD,   /* S-OUT: a PDU for somebody else */
    RPCH_SERVER_EV_OUT_ACK,       /* S-OUT: FlowControlAck */
    RPCH_SERVER_EV_IN_OTHER,      /* S-IN: any other RTS PDU */
    RPCH_SERVER_EV_OUT_OTHER,     /* S-OUT: any other RTS PDU */
    RPCH_SERVER_EV_IN_RPC,        /* S-IN: an RPC PDU */
    RPCH_SERVER_EV_OUT_RPC,       /* S-OUT: an RPC PDU, never legal */
    RPCH_SERVER_EV_IN_CLOSE,      /* end or failure of S-IN */
    RPCH_SERVER_EV_OUT_CLOSE,     /* end or failure of S-OUT */
    RPCH_SERVER_EV_TIMEOUT,       /* connection setup timer, 3.2.5.2.1 */
    RPCH_SERVER_EV_FAIL,          /* the caller gives up */
    RPCH_SERVER_EV_MAX
} rpch_server_event;

typedef struct rpch_server {
    rpch_core core;
    rpch_cutter in;          /* S-IN */
    rpch_cutter out;         /* S-OUT */
    rpch_lane to_in;         /* RTS PDUs for S-IN */
    rpch_lane to_out;        /* RTS PDUs for S-OUT */
    rpch_rx rx;              /* S-IN: we receive */
    rpch_tx tx;              /* S-OUT: we send */
    rpch_cookie vc;
    rpch_cookie in_channel;
    rpch_cookie out_channel;
    rpch_cookie group;
    rpch_address address;    /* the client's, from CONN/B2 */
    uint32_t in_window;      /* the in-proxy's, for CONN/C1 */
    uint32_t in_timeout;
    uint32_t out_lifetime;   /* of C-OUT, from CONN/A2 */
    uint64_t lifetime_used;  /* our bytes on S-OUT that reach the client, and
                              * reported Pings */
    uint64_t queued;         /* RPC bytes of S-IN not yet consumed */
    rpch_msec notify_since;  /* bound on reported Pings: 8 KiB (Windows') */
    uint32_t notified;       /* in four minutes */
} rpch_server;

/* Starts the machine. limits: receive_window, open_timeout (the connection
 * setup timer, from the first half on) are used. flags: RPCH_JOINED. */
void rpch_server_init(rpch_server *m, const rpch_limits *limits, unsigned flags,
                      rpch_log_fn *log, void *baton, rpch_msec now);

/* Looks at the first PDU of a new TCP connection: which half it opens and of
 * which virtual connection. *is_in: S-IN (CONN/B2) or S-OUT (CONN/A2).
 * RPCH_AGAIN until the PDU is whole, RPCH_E_UNEXPECTED when it is neither,
 * RPCH_E_SYNTAX when it cannot be read. Consumes nothing: feed the same bytes
 * to the machine afterwards. */
int rpch_server_classify(const uint8_t *in, size_t len, bool *is_in,
                         rpch_cookie *vc);

/* Takes bytes of S-IN; slices are RPC PDUs for the RPC layer, which calls
 * rpch_server_consumed when it is done with one. One step: call again while
 * step->used > 0 and input is left; used may be 0 although input is left (see
 * _wants). Returns RPCH_OK or the machine's error. */
int rpch_server_in_recv(rpch_server *m, const uint8_t *in, size_t len,
                        rpch_step *step, rpch_msec now);

/* Takes bytes of S-OUT; likewise, but it never passes a slice. */
int rpch_server_out_recv(rpch_server *m, const uint8_t *in, size_t len,
                         rpch_step *step, rpch_msec now);

/* Takes one whole RTS PDU of S-IN; with RPCH_JOINED the only way in. Only
 * while the machine wants RPCH_WANT_CLIENT_READ. */
int rpch_server_in_rts(rpch_server *m, const uint8_t *pdu, size_t len,
                       rpch_msec now);

/* Takes one whole RTS PDU of S-OUT; likewise, RPCH_WANT_SERVER_READ. */
int rpch_server_out_rts(rpch_server *m, const uint8_t *pdu, size_t len,
                        rpch_msec now);

/* S-IN ended or failed: the connection is over (RPCH_E_CLOSED). */
void rpch_server_in_closed(rpch_server *m);

/* S-OUT ended or failed; likewise. */
void rpch_server_out_closed(rpch_server *m);

/* The caller gives up for a reason of its own (status, static reason). */
void rpch_server_fail(rpch_server *m, int status, const char *reason);

/* The RPC layer is done with a PDU of pdu_len bytes; may queue a
 * FlowControlAck on S-IN. */
void rpch_server_consumed(rpch_server *m, uint32_t pdu_len);

/* True when an RPC PDU of pdu_len bytes may start on S-OUT: opened, the
 * out-proxy's window has room, and so has the channel's lifetime (when
 * rpch_server_lifetime_left is below pdu_len it never will: then end the
 * connection with rpch_server_fail and RPCH_E_LIFETIME). */
bool rpch_server_may_send(const rpch_server *m, uint32_t pdu_len);

/* An RPC PDU of pdu_len bytes goes out on S-OUT. With RPCH_JOINED, too: it
 * counts against the lifetime. */
void rpch_server_sent(rpch_server *m, uint32_t pdu_len);

/* Bytes left of the OUT channel's lifetime (CONN/A2). */
uint64_t rpch_server_lifetime_left(const rpch_server *m);

/* RPCH_WANT_CLIENT_READ (S-IN), RPCH_WANT_SERVER_READ (S-OUT),
 * RPCH_WANT_CLOSE. Nothing is read while a lane is full; S-IN not while the
 * queue holds more than the window and 64 KiB. */
unsigned rpch_server_wants(const rpch_server *m);

/* When rpch_server_timeout is due, or RPCH_NEVER. */
rpch_msec rpch_server_deadline(const rpch_server *m);

/* Runs the timers that are due at now. */
int rpch_server_timeout(rpch_server *m, rpch_msec now);

/* Name of a state ("B2W"). */
const char *rpch_server_state_name(rpch_server_state s);
/* Name of an event ("CONN/A2"). */
const char *rpch_server_event_name(rpch_server_event e);

#endif
