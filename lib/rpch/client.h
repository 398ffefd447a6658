/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client.h - the client role of one virtual connection, 3.2.2, for tools,
 * tests and benchmarks. HTTP is the caller's: it sends the requests and tells
 * the status of the OUT responses.
 *
 * Each direction has two slots, one for each HTTP request that can exist at
 * the same time: the current channel and its successor, or the current one
 * and a predecessor that is still to be flushed and closed. Slot 0 of both
 * is requested by _init. For each slot the caller sends what its lane holds
 * (_in_buf, _body_buf) and, between two RPC PDUs, nothing else first; RPC
 * PDUs go on the slot that rpch_client_in_slot() names when _may_send says
 * true. What the caller has announced by _sent goes out before RTS PDUs that
 * are made afterwards: IN_Rx/A5 is the last PDU of a channel.
 *
 * The machine is as strict as the strictest client known: nothing but CONN/A3
 * and CONN/C2 before it is open, values in their ranges. With RPCH_QUIET it
 * is one that never acknowledges, never pings, waits for no window, and
 * breaks on every RTS PDU after CONN/C2; with RPCH_NO_RECYCLING recycling is
 * a protocol error and its own channel ends at the lifetime; with
 * RPCH_R2_ONLY the first form of recycling is a protocol error.
 */
#ifndef RPCH_CLIENT_H
#define RPCH_CLIENT_H

#include "rpch/machine.h"

/* The connection, 3.2.2.1. */
typedef enum rpch_client_state {
    RPCH_CLIENT_OUT_WAIT, /* Out Channel Wait: no response head yet */
    RPCH_CLIENT_A3W,
    RPCH_CLIENT_C2W,
    RPCH_CLIENT_OPENED,
    RPCH_CLIENT_FINISHED,
    RPCH_CLIENT_STATE_MAX
} rpch_client_state;

typedef enum rpch_client_event {
    RPCH_CLIENT_EV_RESPONSE,   /* 200 on an OUT channel; when the connection
                                * is open the OUT table decides */
    RPCH_CLIENT_EV_CONN_A3,
    RPCH_CLIENT_EV_CONN_C2,
    RPCH_CLIENT_EV_IN_PDU,     /* IN_Rx/A4; the IN table decides */
    RPCH_CLIENT_EV_OUT_PDU,    /* OUT_Rx/A2, A6, OUT_R1/A10, OUT_R2/B3; the
                                * OUT table decides */
    RPCH_CLIENT_EV_PING,
    RPCH_CLIENT_EV_ACK,        /* FlowControlAckWithDestination for us */
    RPCH_CLIENT_EV_OTHER,      /* any other RTS PDU */
    RPCH_CLIENT_EV_RPC,
    RPCH_CLIENT_EV_IN_CLOSE,   /* of the current or the coming C-IN */
    RPCH_CLIENT_EV_OUT_CLOSE,
    RPCH_CLIENT_EV_PRED_CLOSE, /* of a predecessor, or of no channel */
    RPCH_CLIENT_EV_TIMEOUT,
    RPCH_CLIENT_EV_PING_DUE,   /* C-IN was idle */
    RPCH_CLIENT_EV_FAIL,
    RPCH_CLIENT_EV_MAX
} rpch_client_event;

/* The virtual IN channel. */
typedef enum rpch_client_in_state {
    RPCH_CLIENT_IN_OPENED,
    RPCH_CLIENT_IN_REQUEST, /* a successor request is wanted */
    RPCH_CLIENT_IN_A4W,     /* IN_Rx/A1 is queued on it */
    RPCH_CLIENT_IN_STATE_MAX
} rpch_client_in_state;

typedef enum rpch_client_in_event {
    RPCH_CLIENT_IN_EV_SPENT,     /* the lifetime is nearly used */
    RPCH_CLIENT_IN_EV_REQUESTED, /* the caller has opened the request */
    RPCH_CLIENT_IN_EV_R1_A4,
    RPCH_CLIENT_IN_EV_R2_A4,
    RPCH_CLIENT_IN_EV_TIMEOUT,
    RPCH_CLIENT_IN_EV_MAX
} rpch_client_in_event;

/* The virtual OUT channel. */
typedef enum rpch_client_out_state {
    RPCH_CLIENT_OUT_OPENED,
    RPCH_CLIENT_OUT_REQUEST,  /* a successor request is wanted */
    RPCH_CLIENT_OUT_A6W,      /* OUT_Rx/A3 is queued on it */
    RPCH_CLIENT_OUT_A10W,
    RPCH_CLIENT_OUT_B3W,
    RPCH_CLIENT_OUT_RESPONSE, /* the successor is the current channel, its
                               * 200 has not arrived */
    RPCH_CLIENT_OUT_STATE_MAX
} rpch_client_out_state;

typedef enum rpch_client_out_event {
    RPCH_CLIENT_OUT_EV_A2,        /* OUT_R1/A2 = OUT_R2/A2 */
    RPCH_CLIENT_OUT_EV_REQUESTED, /* the caller has opened the request */
    RPCH_CLIENT_OUT_EV_R1_A6,
    RPCH_CLIENT_OUT_EV_R2_A6,
    RPCH_CLIENT_OUT_EV_R1_A10,
    RPCH_CLIENT_OUT_EV_R2_B3,
    RPCH_CLIENT_OUT_EV_RESPONSE,  /* 200 on the successor */
    RPCH_CLIENT_OUT_EV_TIMEOUT,
    RPCH_CLIENT_OUT_EV_MAX
} rpch_client_out_event;

/* The cookies of a connection and of its first channels; random, chosen by
 * the caller. */
typedef struct rpch_client_cookies {
    rpch_cookie vc;
    rpch_cookie in;
    rpch_cookie out;
    rpch_cookie group;
} rpch_client_cookies;

#define RPCH_CLIENT_SLOTS 2u

/* What a slot is used for. */
typedef enum rpch_client_use {
    RPCH_CLIENT_FREE,
    RPCH_CLIENT_NEXT,    /* the successor, before the switch */
    RPCH_CLIENT_CURRENT,
    RPCH_CLIENT_OVER     /* a predecessor: flush, close, say _closed */
} rpch_client_use;

/* One RPC_IN_DATA request. */
typedef struct rpch_client_in {
    rpch_client_use use;
    rpch_cookie cookie;
    rpch_lane lane;      /* CONN/B1 or IN_Rx/A1 first */
    uint64_t used;       /* bytes given to it, against its lifetime */
    rpch_msec last_sent; /* last byte given to it */
} rpch_client_in;

/* One RPC_OUT_DATA request and its response. */
typedef struct rpch_client_out {
    rpch_client_use use;
    rpch_cookie cookie;
    rpch_lane body;      /* CONN/A1; or OUT_Rx/A3, later A11 or C1 */
    rpch_cutter cutter;  /* of the response body */
    bool responded;      /* its 200 has arrived */
} rpch_client_out;

/* What happened so far; for statistics. */
typedef struct rpch_client_counts {
    uint32_t in_r1;      /* IN recyclings by the first form */
    uint32_t in_r2;
    uint32_t out_r1;
    uint32_t out_r2;
    uint32_t pings_sent;
    uint32_t pings_received;
} rpch_client_counts;

typedef struct rpch_client {
    rpch_core core;         /* state: rpch_client_state */
    int in_state;           /* rpch_client_in_state */
    int out_state;          /* rpch_client_out_state */
    rpch_client_in in[RPCH_CLIENT_SLOTS];
    rpch_client_out out[RPCH_CLIENT_SLOTS];
    unsigned in_slot;       /* the current one */
    unsigned out_slot;
    rpch_msec in_deadline;  /* of a successor; RPCH_NEVER: none is waited for */
    rpch_msec out_deadline;
    rpch_lane held;         /* PDUs that the old C-IN has no room for */
    rpch_rx rx;             /* current C-OUT: we receive */
    rpch_tx tx;             /* current C-IN: we send */
    rpch_client_cookies cookies; /* vc and group; in and out are the first */
    uint32_t timeout;       /* ConnectionTimeout of C-IN, ms */
    uint64_t queued;        /* RPC bytes of C-OUT not yet consumed */
    uint64_t stale;         /* those of them that came on a predecessor */
    rpch_client_counts counts;
} rpch_client;

/* The tables as data. */
extern const rpch_machine_table rpch_client_table;
extern const rpch_machine_table rpch_client_in_table;
extern const rpch_machine_table rpch_client_out_table;

/* Starts the machine: CONN/A1 and CONN/B1 are queued at once (3.2.2.4.1.2),
 * both on slot 0. limits: receive_window (of C-OUT), channel_lifetime (of
 * C-IN: the Content-Length of each IN request), ping_interval (never more
 * than half the timeout of CONN/C2), open_timeout (also of a successor),
 * recycle_reserve (of C-IN's lifetime; 0: the client never starts recycling)
 * are used. flags: RPCH_QUIET, RPCH_R2_ONLY, RPCH_NO_RECYCLING. */
void rpch_client_init(rpch_client *m, const rpch_limits *limits,
                      const rpch_client_cookies *cookies, unsigned flags,
                      rpch_log_fn *log, void *baton, rpch_msec now);

/* The slot that a successor request of that direction is to use: for the
 * answer to RPCH_WANT_IN_REQUEST and RPCH_WANT_OUT_REQUEST. */
unsigned rpch_client_next(const rpch_client *m, bool is_in);

/* The caller opens the successor request: an IN request whose Content-Length
 * is the channel_lifetime, or an OUT request of 120 bytes (2.1.2.1.1,
 * 2.1.2.1.2). cookie is the new channel's: random, chosen by the caller,
 * copied. Queues IN_Rx/A1 (88 bytes) or OUT_Rx/A3 (96 bytes) on the slot and
 * starts the timer of the successor. Returns the slot, or -1, with nothing
 * changed, when no such request was wanted. */
int rpch_client_requested(rpch_client *m, bool is_in,
                          const rpch_cookie *cookie, rpch_msec now);

/* The OUT response head arrived on that slot with that status; anything but
 * 200 ends the machine with RPCH_E_POLICY. Of OUT_R2 the head may come before
 * OUT_R2/B3 was read on the old channel: nothing behind it is to be given to
 * the machine before RPCH_WANT_SERVER_READ asks for it. */
int rpch_client_response(rpch_client *m, unsigned slot, int http_status,
                         rpch_msec now);

/* Takes bytes of a C-OUT response body; slices are RPC PDUs for the RPC
 * layer, which calls rpch_client_consumed when it is done with one. One step:
 * call again while step->used > 0 and input is left; used may be 0 although
 * input is left (see _wants, and always on a slot that is not yet the current
 * one). What comes on a predecessor is ignored (Windows sends undefined bytes
 * after OUT_R1/A10 and OUT_R2/B3). Returns RPCH_OK or the machine's error. */
int rpch_client_out_recv(rpch_client *m, unsigned slot, const uint8_t *in,
                         size_t len, rpch_step *step, rpch_msec now);

/* The RPC layer is done with a PDU of pdu_len bytes, in the order in which
 * they came; may queue an ack for the out-proxy on C-IN. PDUs of a
 * predecessor do not count for the current channel's window. */
void rpch_client_consumed(rpch_client *m, uint32_t pdu_len);

/* True when an RPC PDU of pdu_len bytes may start on the current C-IN
 * (rpch_client_in_slot): opened, and both the in-proxy's window and the
 * channel's lifetime have room. May start recycling (3.2.2.4.2), also when it
 * says true. Ends the machine with RPCH_E_LIFETIME when the PDU can never be
 * sent: no channel has room for it, or this one has not and there is no
 * recycling. */
bool rpch_client_may_send(rpch_client *m, uint32_t pdu_len);

/* An RPC PDU of pdu_len bytes goes out on the current C-IN: before all RTS
 * PDUs that are made after this call, none of which may cut it. */
void rpch_client_sent(rpch_client *m, uint32_t pdu_len, rpch_msec now);

/* The slot where RPC PDUs go now. */
unsigned rpch_client_in_slot(const rpch_client *m);

/* The slot whose response body RPCH_WANT_SERVER_READ speaks of. */
unsigned rpch_client_out_slot(const rpch_client *m);

/* The RTS PDUs that wait for the IN request of that slot, *len bytes; NULL
 * and 0 when there are none. */
const uint8_t *rpch_client_in_buf(const rpch_client *m, unsigned slot,
                                  size_t *len);

/* The first len of them were sent. */
void rpch_client_in_ack(rpch_client *m, unsigned slot, size_t len,
                        rpch_msec now);

/* The bytes that wait for the body of that slot's OUT request: 76 of the
 * first; 96, and 24 later, of a successor. */
const uint8_t *rpch_client_body_buf(const rpch_client *m, unsigned slot,
                                    size_t *len);

/* The first len of them were sent. */
void rpch_client_body_ack(rpch_client *m, unsigned slot, size_t len);

/* True when the slot holds a predecessor: send what waits for it, close it,
 * then say _in_closed or _out_closed, which frees the slot. */
bool rpch_client_over(const rpch_client *m, bool is_in, unsigned slot);

/* The IN request of that slot ended. Ends the machine (RPCH_E_CLOSED) unless
 * it was a predecessor's. */
void rpch_client_in_closed(rpch_client *m, unsigned slot);

/* The OUT response of that slot ended; as above. */
void rpch_client_out_closed(rpch_client *m, unsigned slot);

/* The caller gives up for a reason of its own (status, static reason). */
void rpch_client_fail(rpch_client *m, int status, const char *reason);

/* RPCH_WANT_SERVER_READ (the current C-OUT), RPCH_WANT_IN_REQUEST,
 * RPCH_WANT_OUT_REQUEST (answer with _requested; asked for only when the slot
 * is free), RPCH_WANT_CLOSE. C-OUT is not read before its 200, while a lane
 * is full, or while the queue holds more than the window and
 * RPCH_QUEUE_SLACK. */
unsigned rpch_client_wants(const rpch_client *m);

/* When rpch_client_timeout is due, or RPCH_NEVER. */
rpch_msec rpch_client_deadline(const rpch_client *m);

/* Runs the timers that are due at now: opening, successors, and the Ping of
 * an idle C-IN (3.2.2.6.1). */
int rpch_client_timeout(rpch_client *m, rpch_msec now);

/* Name of a state ("C2W"). */
const char *rpch_client_state_name(rpch_client_state s);
/* Name of an event ("CONN/C2"). */
const char *rpch_client_event_name(rpch_client_event e);

#endif
