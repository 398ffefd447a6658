/* SPDX-License-Identifier: Apache-2.0 */
/*
 * outbound.h - the outbound proxy: one RPC_OUT_DATA request, 3.2.4.
 *
 * The request body brings CONN/A1, the response body is C-OUT; S-OUT is the
 * connection to the server. RPC PDUs go S-OUT -> C-OUT.
 *
 * Recycling: a successor request begins with OUT_Rx/A3 and gets a machine of
 * its own, which wants RPCH_WANT_SUCCEED. If its connection is not known here
 * it opens an S-OUT of its own (OUT_R1); else its caller asks the holder of
 * S-OUT (rpch_outbound_attach), and at OUT_R2/B1 the holder releases S-OUT to
 * it (rpch_outbound_release, rpch_outbound_adopt). RPC PDUs that have not
 * begun on the old C-OUT then move with S-OUT: they are put before what is
 * read from it next. This deviates from 3.2.4.5.10, which has the old C-OUT
 * send them; neither peer can tell, and no ack for the old C-OUT is needed
 * any more.
 */
#ifndef RPCH_OUTBOUND_H
#define RPCH_OUTBOUND_H

#include "rpch/machine.h"

typedef enum rpch_out_state {
    RPCH_OUT_OPEN_START, /* waiting for CONN/A1 or OUT_Rx/A3 */
    RPCH_OUT_CONNECT,    /* waiting for the connection to the server */
    RPCH_OUT_RESPONSE,   /* CONN/A2 queued; the 200 head is to be sent */
    RPCH_OUT_C1W,        /* CONN/A3 sent, waiting for CONN/C1 */
    /* a successor */
    RPCH_OUT_SUCCEED,    /* the caller is to find out which sequence it is */
    RPCH_OUT_A11W,       /* R1: OUT_R1/A4 queued, waiting for OUT_R1/A11 */
    RPCH_OUT_ATTACHED,   /* R2: waiting for S-OUT and for OUT_R2/C1 */
    RPCH_OUT_LEGW,       /* R2: has C1, waiting for S-OUT */
    RPCH_OUT_R2C1W,      /* R2: has S-OUT, waiting for C1 */
    RPCH_OUT_RESUME,     /* the 200 head is to be sent */
    /* any */
    RPCH_OUT_OPENED,
    /* a predecessor */
    RPCH_OUT_OPENED_B1W, /* R2: OUT_R2/A4 queued, waiting for OUT_R2/B1 */
    RPCH_OUT_DRAIN_R1,   /* OUT_R1/A9: sending all RPC PDUs that are queued */
    RPCH_OUT_LAST_R1,    /* OUT_R1/A10 queued */
    RPCH_OUT_FINISH_R2,  /* B1: finishing the RPC PDU that has begun */
    RPCH_OUT_LAST_R2,    /* OUT_R2/B3 queued */
    RPCH_OUT_RELEASE,    /* S-OUT is to be released */
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
    RPCH_OUT_EV_BODY_END,       /* the request body ended */
    RPCH_OUT_EV_CONNECTED,      /* the caller has connected S-OUT */
    RPCH_OUT_EV_ATTACHED,       /* the holder of S-OUT knows the successor */
    RPCH_OUT_EV_ADOPTED,        /* S-OUT was released to this successor */
    RPCH_OUT_EV_RESPONDED,      /* the caller has sent the 200 head */
    RPCH_OUT_EV_ATTACH,         /* a successor asks this holder of S-OUT */
    RPCH_OUT_EV_DETACH,         /* that successor is gone */
    RPCH_OUT_EV_RELEASED,       /* the caller has taken S-OUT */
    RPCH_OUT_EV_CONN_C1,        /* S-OUT */
    RPCH_OUT_EV_R1_A1,          /* S-OUT: OUT_R1/A1 = OUT_R2/A1 */
    RPCH_OUT_EV_R1_A5,          /* S-OUT: OUT_R1/A5 */
    RPCH_OUT_EV_A9_B1,          /* S-OUT: OUT_R1/A9 = OUT_R2/B1 */
    RPCH_OUT_EV_R2_B2,          /* S-OUT: OUT_R2/B2 */
    RPCH_OUT_EV_ACK,            /* S-OUT: a FlowControlAck for us */
    RPCH_OUT_EV_SERVER_FORWARD, /* S-OUT: a PDU for somebody else */
    RPCH_OUT_EV_SERVER_OTHER,   /* S-OUT: any other RTS PDU */
    RPCH_OUT_EV_SERVER_RPC,     /* S-OUT: an RPC PDU */
    RPCH_OUT_EV_DRAINED,        /* the RPC PDUs of the old C-OUT are written */
    RPCH_OUT_EV_SENT,           /* so are its RTS PDUs */
    RPCH_OUT_EV_CLIENT_CLOSE,   /* the client is gone (not: its body ended) */
    RPCH_OUT_EV_SERVER_CLOSE,   /* end or failure of S-OUT */
    RPCH_OUT_EV_TIMEOUT,        /* a deadline passed */
    RPCH_OUT_EV_DRAIN_DUE,      /* OUT_R1: the client's window stayed closed */
    RPCH_OUT_EV_PING_DUE,       /* C-OUT was idle for the ping interval */
    RPCH_OUT_EV_FAIL,           /* the caller gives up, a PDU is malformed or
                                 * carries a bad value, or room is lacking */
    RPCH_OUT_EV_MAX
} rpch_out_event;

/* S-OUT on its way from a predecessor to its successor. With it move, in this
 * order, the caller's queue of RPC bytes, tail, and the bytes that were read
 * and not yet taken: the successor's caller feeds all of them to
 * rpch_outbound_server_recv before what it reads itself. */
typedef struct rpch_out_leg {
    rpch_cookie vc;
    rpch_cookie predecessor;
    rpch_cookie successor;
    rpch_rx rx;              /* as if what moves were still to be read */
    uint32_t lifetime;       /* of C-OUT: the server has been told no other */
    uint32_t moved;          /* bytes of RPC PDUs that move and that the server
                              * has counted for the predecessor's C-OUT: the
                              * successor's has to be so much longer */
    size_t lane_len;
    uint8_t lane[RPCH_LANE_SIZE]; /* RTS bytes not yet sent to the server;
                                   * may start within a PDU */
    size_t tail_len;
    uint8_t tail[RPCH_RTS_SIZE_MAX]; /* of a header that arrived in pieces */
} rpch_out_leg;

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
    rpch_cookie predecessor; /* of a successor: whom it replaces */
    rpch_cookie successor; /* from RPCH_OUT_OPENED_B1W on: who replaces it */
    bool heir;             /* the channel began as a successor */
    bool dismissed;        /* OUT_R2/B2: the successor is to be told */
    bool lost;             /* OUT_R2/A4 was sent for a successor that is gone */
    bool asked;            /* OUT_Rx/A1 came, and no successor since */
    bool doomed;           /* OUT_Rx/A1 came, and the client cannot recycle */
    bool starved;          /* joined: the next RPC PDU waits for a successor */
    bool server_gone;      /* OUT_R1: the server closed S-OUT after A9 */
    bool overdue;          /* OUT_R1: drain_timeout has passed once */
    bool sending;          /* an RPC PDU is being written to C-OUT */
    rpch_msec last_sent;   /* last byte given to C-OUT, or Ping put off */
    uint32_t extra;        /* how much longer than what the server was told
                            * core.limits.channel_lifetime is */
    uint32_t ping_bytes;   /* Ping bytes not yet reported to the server */
    uint64_t lifetime_used;/* bytes of C-OUT: RPC PDUs begun, RTS PDUs queued */
    uint64_t rpc_bytes;    /* RPC PDUs passed on whole: bytes and PDUs */
    uint64_t rpc_pdus;
    uint64_t queued;       /* bytes of RPC PDUs that have begun to arrive and
                            * were not yet passed on whole */
} rpch_outbound;

/* Starts the machine at time now. limits are copied (a client's MinConnTimeout
 * is the caller's ping_interval, 3.2.4.5.1); flags: RPCH_JOINED, RPCH_QUIET,
 * RPCH_NO_RECYCLING; log may be NULL. */
void rpch_outbound_init(rpch_outbound *m, const rpch_limits *limits,
                        unsigned flags, rpch_log_fn *log, void *baton,
                        rpch_msec now);

/* Takes bytes of the request body; never passes a slice. Takes none while the
 * machine does not want RPCH_WANT_CLIENT_READ. */
int rpch_outbound_client_recv(rpch_outbound *m, const uint8_t *in, size_t len,
                              rpch_step *step, rpch_msec now);

/* The request body ended, and all of it was taken: the end of a channel whose
 * first PDU, or OUT_R1/A11 or OUT_R2/C1, did not come; else nothing. */
void rpch_outbound_body_ended(rpch_outbound *m);

/* Takes bytes of S-OUT; RPC slices are to be passed to C-OUT. One step: call
 * again while step->used > 0 and input is left. used may be 0 although input
 * is left: the machine takes no bytes while it does not want
 * RPCH_WANT_SERVER_READ. */
int rpch_outbound_server_recv(rpch_outbound *m, const uint8_t *in, size_t len,
                              rpch_step *step, rpch_msec now);

/* Takes one whole RTS PDU from the server role (with RPCH_JOINED). Returns
 * RPCH_AGAIN, with the PDU not taken, before _responded() (a successor: before
 * it has S-OUT), while to_client is full, and after OUT_R2/B1: what comes then
 * is the successor's. Offer it again later. */
int rpch_outbound_server_rts(rpch_outbound *m, const uint8_t *pdu, size_t len,
                             rpch_msec now);

/* S-OUT is connected: CONN/A2 is queued (3.2.4.5.3); for a successor that is
 * its answer to RPCH_WANT_SUCCEED, and OUT_R1/A4 is queued (3.2.4.5.6.1). */
int rpch_outbound_connected(rpch_outbound *m, rpch_msec now);

/* The answer to RPCH_WANT_SUCCEED when the holder of S-OUT has accepted this
 * successor (rpch_outbound_attach there). */
int rpch_outbound_attached(rpch_outbound *m, rpch_msec now);

/* The 200 head was sent: CONN/A3 is queued for the client; a successor is
 * open. Its Content-Length is core.limits.channel_lifetime, which a successor
 * takes over with S-OUT. */
int rpch_outbound_responded(rpch_outbound *m, rpch_msec now);

/* A successor asks the holder of S-OUT, 3.2.4.5.6.2. RPCH_OK: OUT_R2/A4 is
 * queued. Otherwise nothing has changed, and *reason (static) says why:
 * RPCH_E_UNEXPECTED (not Opened, a successor is there already, or the last one
 * has not been told of its dismissal), RPCH_E_COOKIE (another connection, or
 * not the channel to be replaced), RPCH_E_ROOM (ask again later). MS-RPCH has
 * a bad successor end the connection; here it ends alone, on purpose. */
int rpch_outbound_attach(rpch_outbound *m, const rpch_succession *s,
                         const char **reason);

/* The attached successor is gone: Opened again. After OUT_R2/B1 it was the
 * channel, and the machine ends with RPCH_E_CLOSED; so it does when B1 comes
 * for a successor that is gone. Without a successor nothing happens. */
void rpch_outbound_detach(rpch_outbound *m);

/* The successor was told of its dismissal (OUT_R2/B2): clears dismissed. */
void rpch_outbound_dismiss_told(rpch_outbound *m);

/* Takes S-OUT out of a predecessor that wants RPCH_WANT_RELEASE, which
 * finishes with RPCH_E_RECYCLED. The receive counters of S-OUT in *leg no
 * longer contain the RPC PDUs that the caller moves with it. */
int rpch_outbound_release(rpch_outbound *m, rpch_out_leg *leg);

/* Gives S-OUT to its successor in ATTACHED or LEGW. RPCH_E_COOKIE, and the
 * machine is finished, when it was released for another one; RPCH_E_VALUE when
 * it is none that a machine has released. */
int rpch_outbound_adopt(rpch_outbound *m, const rpch_out_leg *leg,
                        rpch_msec now);

/* The client is gone; the machine finishes with RPCH_E_CLOSED. In RELEASE the
 * client may be gone: it has OUT_R2/B3. */
void rpch_outbound_client_closed(rpch_outbound *m);

/* S-OUT ended or failed; likewise. A predecessor in OUT_R1 has all from the
 * server and sends the rest without the client's window, as no ack can come
 * any more; one in OUT_R2 leaves the end to its successor. */
void rpch_outbound_server_closed(rpch_outbound *m);

/* The caller gives up for a reason of its own (status, static reason). */
void rpch_outbound_fail(rpch_outbound *m, int status, const char *reason);

/* True when an RPC PDU of pdu_len bytes may now start on C-OUT: open or
 * draining, the client's window has room (always when quiet), and so has the
 * lane to the server for the ack that may follow. With RPCH_JOINED, when the
 * channel's lifetime has no room for it but a successor's may have, it is
 * false and sets starved: the server role is to recycle (3.2.5.4.1). Other
 * PDUs that do not fit are the matter of rpch_outbound_pdu_begin. */
bool rpch_outbound_may_send(rpch_outbound *m, uint32_t pdu_len);

/* Whether another one of pdu_len bytes may start, and fits the channel's
 * lifetime, right behind ahead bytes of RPC PDUs that may and were not begun
 * yet; see rpch_inbound_may_follow. */
bool rpch_outbound_may_follow(const rpch_outbound *m, uint32_t ahead,
                              uint32_t pdu_len);

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
 * OPENED; a successor: before it has S-OUT), when the queue holds more than
 * the window and RPCH_QUEUE_SLACK (joined: the window less that slack, or half
 * of it; a plain server keeps to no window), when a lane is full, and after
 * OUT_R2/B1; but an RPC PDU that has begun is always read to its end (after
 * B1: if it has begun on C-OUT). */
unsigned rpch_outbound_wants(const rpch_outbound *m);

/* When rpch_outbound_timeout is due, or RPCH_NEVER. In OPENED and OPENED_B1W
 * that is the Ping, which waits a whole interval more when bytes of C-OUT are
 * on their way then. */
rpch_msec rpch_outbound_deadline(const rpch_outbound *m);

/* Runs the timers that are due at now: handshakes (open_timeout for a
 * successor until it is open), the Ping of an idle C-OUT (3.2.4.6) with its
 * PingTrafficSentNotify, and drain_timeout: a draining OUT_R1 predecessor
 * sends without the client's window then, as the acks may go astray, and ends
 * after as long again; in OUT_R2 a predecessor ends. */
int rpch_outbound_timeout(rpch_outbound *m, rpch_msec now);

/* The table of states and events. */
extern const rpch_machine_table rpch_outbound_table;

/* Name of a state ("C1W"). */
const char *rpch_out_state_name(rpch_out_state s);

/* Name of an event ("CONN/A1"). */
const char *rpch_out_event_name(rpch_out_event e);

#endif
