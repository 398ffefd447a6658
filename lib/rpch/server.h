/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server.h - the server role of one virtual connection, 3.2.5.
 *
 * S-IN brings RPC PDUs and RTS PDUs from the inbound proxy, S-OUT carries
 * RPC PDUs to the outbound proxy; both carry RTS PDUs both ways. While a
 * channel is replaced by one of another proxy (IN_R1, OUT_R1) there are two
 * TCP connections of its direction: each has a slot. With RPCH_JOINED the role
 * is only the control half: RTS PDUs in and out, no payload, no windows, one
 * slot in each direction, and only the second form of recycling.
 *
 * Three tables: the connection, the virtual IN channel and the virtual OUT
 * channel (3.2.5.1); IN and OUT are recycled independently. The client starts
 * IN recycling; this role starts OUT recycling, when a channel has less than
 * limits.recycle_reserve left of its lifetime or no room for the next PDU.
 *
 * Order: a PDU that _sent was called for goes out before RTS PDUs that are
 * found in the lane of its slot afterwards (OUT_R1/A9 and OUT_R2/B1 are the
 * last words to an old channel).
 */
#ifndef RPCH_SERVER_H
#define RPCH_SERVER_H

#include "rpch/machine.h"

/* TCP connections that the role can have in each direction. */
#define RPCH_SERVER_SLOTS 2

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
    RPCH_SERVER_EV_IN_R1_A2,      /* a new S-IN */
    RPCH_SERVER_EV_IN_A6,         /* S-IN: IN_R1/A6 = IN_R2/A2 */
    RPCH_SERVER_EV_IN_R1_B1,      /* S-IN */
    RPCH_SERVER_EV_OUT_R1_A4,     /* a new S-OUT */
    RPCH_SERVER_EV_OUT_R2_A4,     /* S-OUT */
    RPCH_SERVER_EV_OUT_A8,        /* S-IN: OUT_R1/A8 = OUT_R2/A8 */
    RPCH_SERVER_EV_PING_NOTIFY,   /* S-OUT: PingTrafficSentNotify */
    RPCH_SERVER_EV_IN_FORWARD,    /* S-IN: a PDU for somebody else */
    RPCH_SERVER_EV_OUT_FORWARD,   /* S-OUT: a PDU for somebody else */
    RPCH_SERVER_EV_OUT_ACK,       /* S-OUT: FlowControlAck */
    RPCH_SERVER_EV_IN_OTHER,      /* S-IN: any other PDU, or one that comes
                                   * before the connection is the S-IN */
    RPCH_SERVER_EV_OUT_OTHER,     /* S-OUT: likewise */
    RPCH_SERVER_EV_IN_RPC,        /* S-IN: an RPC PDU */
    RPCH_SERVER_EV_OUT_RPC,       /* S-OUT: an RPC PDU, never legal */
    RPCH_SERVER_EV_IN_CLOSE,      /* end of S-IN, or of its successor */
    RPCH_SERVER_EV_OUT_CLOSE,     /* end of S-OUT, or of its successor */
    RPCH_SERVER_EV_OLD_CLOSE,     /* end of a TCP connection that is not yet,
                                   * or no longer, one of those */
    RPCH_SERVER_EV_TIMEOUT,       /* connection setup timer, 3.2.5.2.1 */
    RPCH_SERVER_EV_FAIL,          /* the caller gives up, or something below
                                   * the connection failed */
    RPCH_SERVER_EV_MAX
} rpch_server_event;

/* The virtual IN channel. */
typedef enum rpch_server_in_state {
    RPCH_SERVER_IN_OPENED,
    RPCH_SERVER_IN_A6W,        /* has IN_R1/A2, waits for IN_R1/A6 */
    RPCH_SERVER_IN_OPENED_B1W, /* has IN_R1/A6, waits for IN_R1/B1 */
    RPCH_SERVER_IN_STATE_MAX
} rpch_server_in_state;

typedef enum rpch_server_in_event {
    RPCH_SERVER_IN_EV_R1_A2,   /* IN_R1/A2 */
    RPCH_SERVER_IN_EV_A6,      /* IN_R1/A6 = IN_R2/A2 */
    RPCH_SERVER_IN_EV_R1_B1,   /* IN_R1/B1 */
    RPCH_SERVER_IN_EV_TIMEOUT, /* connection setup timer */
    RPCH_SERVER_IN_EV_MAX
} rpch_server_in_event;

/* The virtual OUT channel. */
typedef enum rpch_server_out_state {
    RPCH_SERVER_OUT_OPENED,
    RPCH_SERVER_OUT_A4W,   /* has sent OUT_Rx/A1, waits for OUT_Rx/A4 */
    RPCH_SERVER_OUT_A8W,   /* has OUT_R1/A4, waits for OUT_R1/A8 */
    RPCH_SERVER_OUT_R2A8W, /* has OUT_R2/A4, waits for OUT_R2/A8 */
    RPCH_SERVER_OUT_STATE_MAX
} rpch_server_out_state;

typedef enum rpch_server_out_event {
    RPCH_SERVER_OUT_EV_LIFETIME, /* the channel's lifetime is nearly used */
    RPCH_SERVER_OUT_EV_R1_A4,    /* OUT_R1/A4 */
    RPCH_SERVER_OUT_EV_R2_A4,    /* OUT_R2/A4 */
    RPCH_SERVER_OUT_EV_A8,       /* OUT_R1/A8 = OUT_R2/A8 */
    RPCH_SERVER_OUT_EV_TIMEOUT,  /* connection setup timer */
    RPCH_SERVER_OUT_EV_MAX
} rpch_server_out_event;

/* What a slot's TCP connection is. */
typedef enum rpch_server_use {
    RPCH_SERVER_FREE,      /* there is none */
    RPCH_SERVER_NEW,       /* its first PDU is not there yet */
    RPCH_SERVER_DEFAULT,   /* the S-IN or S-OUT */
    RPCH_SERVER_SUCCESSOR, /* will be it */
    RPCH_SERVER_OLD        /* was it: its end is of no consequence */
} rpch_server_use;

/* One TCP connection of an inbound proxy. */
typedef struct rpch_server_in {
    rpch_server_use use;
    rpch_cutter cut;
    rpch_lane lane;      /* RTS PDUs for it */
    rpch_rx rx;          /* we receive */
    rpch_cookie channel; /* cookie of the IN channel */
} rpch_server_in;

/* One TCP connection of an outbound proxy. */
typedef struct rpch_server_out {
    rpch_server_use use;
    rpch_cutter cut;
    rpch_lane lane;       /* RTS PDUs for it */
    rpch_tx tx;           /* we send */
    rpch_cookie channel;  /* cookie of the OUT channel */
    rpch_cookie previous; /* the one that OUT_R2 replaced, or zero */
    rpch_cookie coming;   /* the one that OUT_R2/A4 announced, or zero */
    uint32_t lifetime;    /* of C-OUT, from CONN/A2 or OUT_R1/A4 */
    uint64_t used;        /* our bytes on S-OUT that reach the client, and
                           * reported Pings; joined: see _spent */
    rpch_msec deadline;   /* OLD: how long it is kept for the acks */
    bool evicted;         /* OLD: is not kept any longer */
} rpch_server_out;

typedef struct rpch_server {
    rpch_core core;
    int in_state;  /* rpch_server_in_state */
    int out_state; /* rpch_server_out_state */
    rpch_server_in in[RPCH_SERVER_SLOTS];
    rpch_server_out out[RPCH_SERVER_SLOTS];
    int in_at;     /* the default slots; -1 while there is none */
    int out_at;
    rpch_cookie vc;
    rpch_cookie group;
    rpch_address address;   /* the client's, from CONN/B2 */
    uint32_t in_window;     /* the in-proxy's, for CONN/C1 and IN_R1/A3 */
    uint32_t in_timeout;
    uint64_t queued;        /* RPC bytes of S-IN not yet consumed */
    uint64_t in_old;        /* those of them that a predecessor brought */
    rpch_msec in_deadline;  /* connection setup timer of IN_R1 */
    rpch_msec out_deadline; /* of OUT_R1 and OUT_R2 */
    rpch_msec seen;         /* the latest time that we were told */
    bool starved;           /* a PDU waits for the OUT channel's successor */
    bool leaving;           /* joined: OUT_R2/B1 was made, _restore follows */
    rpch_msec notify_since; /* bound on reported Pings: 8 KiB (Windows') */
    uint32_t notified;      /* in four minutes */
    unsigned in_recycled;   /* IN and OUT channels replaced so far */
    unsigned out_recycled;
} rpch_server;

/* Starts the machine. limits: receive_window, open_timeout (the connection
 * setup timer, from the first half on and while a successor waits),
 * recycle_reserve, ping_notify and drain_timeout (how long an old S-OUT is
 * kept) are used. flags: RPCH_JOINED (slot 0 of each direction is entered). */
void rpch_server_init(rpch_server *m, const rpch_limits *limits, unsigned flags,
                      rpch_log_fn *log, void *baton, rpch_msec now);

/* Looks at the first PDU of a new TCP connection: is it an S-IN (CONN/B2,
 * IN_R1/A2) or an S-OUT (CONN/A2, OUT_R1/A4), and of which virtual connection.
 * RPCH_AGAIN until the PDU is whole, RPCH_E_UNEXPECTED when it is none of
 * these, RPCH_E_SYNTAX when it cannot be read. Consumes nothing: feed the same
 * bytes to the machine afterwards. */
int rpch_server_classify(const uint8_t *in, size_t len, bool *is_in,
                         rpch_cookie *vc);

/* A new TCP connection belongs to this virtual connection; returns its slot.
 * -1 when there is no slot: refuse the connection, nothing has changed but
 * that an old S-OUT is kept no longer (see _over): close that, and try again.
 * Always -1 with RPCH_JOINED and when finished. */
int rpch_server_enter(rpch_server *m, bool is_in);

/* Takes bytes of that S-IN; slices are RPC PDUs for the RPC layer, which calls
 * rpch_server_consumed when it is done with one. One step: call again while
 * step->used > 0 and input is left; used may be 0 although input is left (see
 * _wants). What an old S-IN still says is discarded. Returns RPCH_OK or the
 * machine's error. */
int rpch_server_in_recv(rpch_server *m, int slot, const uint8_t *in,
                        size_t len, rpch_step *step, rpch_msec now);

/* Takes bytes of that S-OUT; likewise, but it never passes a slice. */
int rpch_server_out_recv(rpch_server *m, int slot, const uint8_t *in,
                         size_t len, rpch_step *step, rpch_msec now);

/* Takes one whole RTS PDU of that S-IN; with RPCH_JOINED the only way in. Only
 * while the machine wants RPCH_WANT_CLIENT_READ. */
int rpch_server_in_rts(rpch_server *m, int slot, const uint8_t *pdu,
                       size_t len, rpch_msec now);

/* Takes one whole RTS PDU of that S-OUT; likewise, RPCH_WANT_SERVER_READ. */
int rpch_server_out_rts(rpch_server *m, int slot, const uint8_t *pdu,
                        size_t len, rpch_msec now);

/* That S-IN ended or failed; its slot is free again. That of a predecessor,
 * and of a newcomer before its first PDU, is of no consequence; otherwise the
 * connection is over (RPCH_E_CLOSED). */
void rpch_server_in_closed(rpch_server *m, int slot);

/* That S-OUT ended or failed; likewise. */
void rpch_server_out_closed(rpch_server *m, int slot);

/* The caller gives up for a reason of its own (status, static reason). */
void rpch_server_fail(rpch_server *m, int status, const char *reason);

/* The RTS PDUs for the connection of that slot. */
rpch_lane *rpch_server_lane(rpch_server *m, bool is_in, int slot);

/* True when the connection of that slot has served: send what its lane holds,
 * close it, and say so with _in_closed or _out_closed. An old S-IN is over at
 * once. An old S-OUT is kept until its proxy closes it, since the acks that
 * the proxy drains its queue by come through us; but no longer than
 * drain_timeout, and not when its slot is needed. */
bool rpch_server_over(const rpch_server *m, bool is_in, int slot);

/* The slot of the S-OUT that RPC PDUs go to. */
unsigned rpch_server_out_slot(const rpch_server *m);

/* The RPC layer is done with a PDU of pdu_len bytes, in the order of their
 * arrival; may queue a FlowControlAck on S-IN. A PDU that came over a
 * predecessor that is gone is not counted for the successor. */
void rpch_server_consumed(rpch_server *m, uint32_t pdu_len);

/* True when an RPC PDU of pdu_len bytes may start on S-OUT: opened, the
 * out-proxy's window has room, and so has the channel's lifetime. A PDU that
 * does not fit the lifetime starts recycling, and waits for it; when the role
 * does not recycle, or when it would not fit a fresh channel either, the
 * machine ends (RPCH_E_LIFETIME). */
bool rpch_server_may_send(rpch_server *m, uint32_t pdu_len);

/* An RPC PDU of pdu_len bytes goes out on S-OUT: it counts against the
 * lifetime, which may start recycling. Not with RPCH_JOINED. */
void rpch_server_sent(rpch_server *m, uint32_t pdu_len);

/* With RPCH_JOINED, instead of _sent: the outbound machine has counted used
 * bytes of C-OUT so far, and has (starved) a PDU that does not fit. May start
 * recycling; a starved channel that cannot be recycled ends the machine.
 * Nothing is taken between OUT_R2/B1 and rpch_server_restore: the old
 * channel's bytes are not the new one's. */
void rpch_server_spent(rpch_server *m, uint64_t used, bool starved);

/* Bytes of the OUT channel's lifetime left for RPC PDUs. Of what CONN/A2 or
 * OUT_R1/A4 announced that which the out-proxy adds and does not report is
 * never used: CONN/A3, and Pings up to limits.ping_notify and one more. */
uint64_t rpch_server_lifetime_left(const rpch_server *m);

/* RPCH_WANT_CLIENT_READ (each S-IN), RPCH_WANT_SERVER_READ (each S-OUT),
 * RPCH_WANT_CLOSE. Nothing is read while the lane of S-IN or S-OUT is full;
 * S-IN not while the queue holds more than the window and RPCH_QUEUE_SLACK. */
unsigned rpch_server_wants(const rpch_server *m);

/* When rpch_server_timeout is due, or RPCH_NEVER. */
rpch_msec rpch_server_deadline(const rpch_server *m);

/* Runs the timers that are due at now. */
int rpch_server_timeout(rpch_server *m, rpch_msec now);

/* Name of a state ("B2W"). */
const char *rpch_server_state_name(rpch_server_state s);
/* Name of an event ("CONN/A2"). */
const char *rpch_server_event_name(rpch_server_event e);

/* The tables: the connection, its virtual IN channel, its virtual OUT
 * channel. */
extern const rpch_machine_table rpch_server_table;
extern const rpch_machine_table rpch_server_in_table;
extern const rpch_machine_table rpch_server_out_table;

#endif
