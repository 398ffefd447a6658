/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client.h - the client role of one virtual connection, 3.2.2, for tools,
 * tests and benchmarks. HTTP is the caller's: it sends the two requests and
 * tells the status of the OUT response.
 *
 * The machine is as strict as the strictest client known: nothing but CONN/A3
 * and CONN/C2 before it is open, values in their ranges, no recycling. With
 * RPCH_QUIET it is one that never acknowledges, never pings, waits for no
 * window, and breaks on every RTS PDU after CONN/C2.
 */
#ifndef RPCH_CLIENT_H
#define RPCH_CLIENT_H

#include "rpch/machine.h"

typedef enum rpch_client_state {
    RPCH_CLIENT_OUT_WAIT, /* Out Channel Wait: no response head yet */
    RPCH_CLIENT_A3W,
    RPCH_CLIENT_C2W,
    RPCH_CLIENT_OPENED,
    RPCH_CLIENT_FINISHED,
    RPCH_CLIENT_STATE_MAX
} rpch_client_state;

typedef enum rpch_client_event {
    RPCH_CLIENT_EV_RESPONSE,  /* 200 on the OUT channel */
    RPCH_CLIENT_EV_CONN_A3,
    RPCH_CLIENT_EV_CONN_C2,
    RPCH_CLIENT_EV_IN_A4,     /* IN_R1/A4, IN_R2/A4 */
    RPCH_CLIENT_EV_OUT_A2,    /* OUT_R1/A2 = OUT_R2/A2 */
    RPCH_CLIENT_EV_OUT_A6,    /* OUT_R1/A6, OUT_R2/A6 */
    RPCH_CLIENT_EV_OUT_A10,   /* OUT_R1/A10, OUT_R2/B3 */
    RPCH_CLIENT_EV_PING,
    RPCH_CLIENT_EV_ACK,       /* FlowControlAckWithDestination for us */
    RPCH_CLIENT_EV_OTHER,     /* any other RTS PDU */
    RPCH_CLIENT_EV_RPC,
    RPCH_CLIENT_EV_IN_CLOSE,
    RPCH_CLIENT_EV_OUT_CLOSE,
    RPCH_CLIENT_EV_TIMEOUT,
    RPCH_CLIENT_EV_PING_DUE,  /* C-IN was idle */
    RPCH_CLIENT_EV_FAIL,
    RPCH_CLIENT_EV_MAX
} rpch_client_event;

/* The cookies of a connection; random, chosen by the caller. */
typedef struct rpch_client_cookies {
    rpch_cookie vc;
    rpch_cookie in;
    rpch_cookie out;
    rpch_cookie group;
} rpch_client_cookies;

typedef struct rpch_client {
    rpch_core core;
    rpch_cutter out;       /* C-OUT response body */
    rpch_lane to_in;       /* RTS PDUs for C-IN; CONN/B1 first */
    rpch_lane out_body;    /* the OUT request's body: CONN/A1 */
    rpch_rx rx;            /* C-OUT: we receive */
    rpch_tx tx;            /* C-IN: we send */
    rpch_client_cookies cookies;
    uint32_t timeout;      /* ConnectionTimeout of C-IN, ms */
    rpch_msec last_sent;   /* last byte given to C-IN */
    uint64_t in_used;      /* bytes given to C-IN, against its lifetime */
    uint64_t queued;       /* RPC bytes of C-OUT not yet consumed */
} rpch_client;

/* Starts the machine: CONN/A1 and CONN/B1 are queued at once (3.2.2.4.1.2).
 * limits: receive_window (of C-OUT), channel_lifetime (of C-IN),
 * ping_interval (never more than half the timeout of CONN/C2), open_timeout
 * are used. flags: RPCH_QUIET. */
void rpch_client_init(rpch_client *m, const rpch_limits *limits,
                      const rpch_client_cookies *cookies, unsigned flags,
                      rpch_log_fn *log, void *baton, rpch_msec now);

/* The OUT response head arrived with that status; anything but 200 ends the
 * machine with RPCH_E_POLICY. */
int rpch_client_response(rpch_client *m, int http_status, rpch_msec now);

/* Takes bytes of C-OUT; slices are RPC PDUs for the RPC layer, which calls
 * rpch_client_consumed when it is done with one. One step: call again while
 * step->used > 0 and input is left; used may be 0 although input is left (see
 * _wants). Returns RPCH_OK or the machine's error. */
int rpch_client_out_recv(rpch_client *m, const uint8_t *in, size_t len,
                         rpch_step *step, rpch_msec now);

/* The RPC layer is done with a PDU of pdu_len bytes; may queue an ack for
 * the out-proxy on C-IN. */
void rpch_client_consumed(rpch_client *m, uint32_t pdu_len);

/* True when an RPC PDU of pdu_len bytes may start on C-IN: opened, and both
 * the in-proxy's window and the channel's lifetime have room. */
bool rpch_client_may_send(const rpch_client *m, uint32_t pdu_len);

/* An RPC PDU of pdu_len bytes goes out on C-IN. */
void rpch_client_sent(rpch_client *m, uint32_t pdu_len, rpch_msec now);

/* len bytes of the to_in lane were sent. */
void rpch_client_in_ack(rpch_client *m, size_t len, rpch_msec now);

/* C-IN ended. */
void rpch_client_in_closed(rpch_client *m);

/* C-OUT ended. */
void rpch_client_out_closed(rpch_client *m);

/* The caller gives up for a reason of its own (status, static reason). */
void rpch_client_fail(rpch_client *m, int status, const char *reason);

/* RPCH_WANT_SERVER_READ (C-OUT), RPCH_WANT_CLOSE. C-OUT is not read while the
 * lane is full or the queue holds more than the window and 64 KiB. */
unsigned rpch_client_wants(const rpch_client *m);

/* When rpch_client_timeout is due, or RPCH_NEVER. */
rpch_msec rpch_client_deadline(const rpch_client *m);

/* Runs the timers that are due at now: opening, and the Ping of an idle C-IN
 * (3.2.2.6.1). */
int rpch_client_timeout(rpch_client *m, rpch_msec now);

/* Name of a state ("C2W"). */
const char *rpch_client_state_name(rpch_client_state s);
/* Name of an event ("CONN/C2"). */
const char *rpch_client_event_name(rpch_client_event e);

#endif
