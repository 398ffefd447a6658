/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inbound.h - the inbound proxy: one RPC_IN_DATA request, 3.2.3.
 *
 * C-IN is the request body, S-IN the connection to the server. RPC PDUs go
 * C-IN -> S-IN; S-IN brings only RTS PDUs back.
 *
 * Recycling (3.2.3.5.5): a successor request has a machine of
 * its own. IN_R1: the successor has a server connection of its own, and this
 * machine, after IN_R1/A5, sends what it has, IN_R1/B1, and ends. IN_R2: the
 * machine that holds S-IN is told of the successor (_attach), and after
 * IN_R2/A5 it gives S-IN away (_release) to the machine of the successor
 * (_adopt); one of them has it at any time. The RPC PDUs that wait for the
 * server move with it, even from the middle of one: the server may take them
 * only after acks that come by the successor's C-IN (3.2.3.5.5 would have the
 * predecessor send them first).
 */
#ifndef RPCH_INBOUND_H
#define RPCH_INBOUND_H

#include "rpch/machine.h"

/* While more bytes of RPC PDUs than this wait for the server, no successor is
 * let in: each would add what its own window allows. */
#define RPCH_IN_MOVED_MAX 1048576u

typedef enum rpch_in_state {
    RPCH_IN_OPEN_START, /* waiting for CONN/B1 or IN_R1/A1 = IN_R2/A1 */
    RPCH_IN_CONNECT,    /* waiting for the connection to the server */
    RPCH_IN_B3W,        /* S-IN plugged, waiting for CONN/B3 */
    RPCH_IN_SUCCEED,    /* a successor: is its connection known here? Nothing
                         * is read from C-IN */
    RPCH_IN_B2W,        /* IN_R1: waiting for IN_R1/B2. RPC PDUs are kept, RTS
                         * PDUs for others go to the server at once */
    RPCH_IN_PLUGGED,    /* IN_R2: attached, waiting for S-IN; nothing is read
                         * from C-IN */
    RPCH_IN_OPENED,
    RPCH_IN_OPENED_A5W, /* IN_R2: a successor is attached */
    RPCH_IN_DRAIN_R1,   /* IN_R1/A5 came: sends its queue, then IN_R1/B1. From
                         * here on nothing is read from C-IN, and its end
                         * means nothing */
    RPCH_IN_CLOSE_R1,   /* all was sent: waiting for the server to close */
    RPCH_IN_RELEASE,    /* IN_R2/A5 came: is to give S-IN and its queue to its
                         * successor */
    RPCH_IN_FINISHED,
    RPCH_IN_STATE_MAX
} rpch_in_state;

typedef enum rpch_in_event {
    RPCH_IN_EV_CONN_B1,         /* C-IN */
    RPCH_IN_EV_R1_A1,           /* C-IN: a successor, IN_R1/A1 = IN_R2/A1 */
    RPCH_IN_EV_A5,              /* C-IN: IN_R1/A5 = IN_R2/A5 */
    RPCH_IN_EV_A5_WRONG,        /* C-IN: IN_R1/A5 = IN_R2/A5, not naming the
                                 * attached successor; or none can be meant */
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
    RPCH_IN_EV_ATTACHED,        /* successor: the holder of S-IN knows us */
    RPCH_IN_EV_ADOPT,           /* successor: here is S-IN */
    RPCH_IN_EV_ATTACH,          /* holder: a successor asks for S-IN */
    RPCH_IN_EV_DETACH,          /* holder: the successor is gone */
    RPCH_IN_EV_DRAINED,         /* DRAIN_R1: the last RPC PDU was sent */
    RPCH_IN_EV_FLUSHED,         /* DRAIN_R1: so was IN_R1/B1 */
    RPCH_IN_EV_RELEASE,         /* holder: S-IN was given away */
    RPCH_IN_EV_CLIENT_CLOSE,    /* end or failure of C-IN */
    RPCH_IN_EV_SERVER_CLOSE,    /* end or failure of S-IN */
    RPCH_IN_EV_TIMEOUT,         /* the deadline passed */
    RPCH_IN_EV_FAIL,            /* the caller gives up, a PDU is malformed or
                                 * carries a bad value, or room is lacking */
    RPCH_IN_EV_MAX
} rpch_in_event;

/* S-IN as plain data: what an IN_R2 predecessor gives to its successor. */
typedef struct rpch_in_leg {
    rpch_cookie vc;
    rpch_cookie predecessor;
    rpch_cookie successor;
    rpch_cookie group;
    rpch_tx tx;         /* goes on where it is: S-IN is not replaced */
    uint32_t keepalive; /* ms */
    uint32_t window;    /* of C-IN: the client has been told no other */
    uint64_t queued;    /* bytes of RPC PDUs not yet written whole; the
                         * caller's queue of them moves with S-IN */
    uint32_t begun;     /* frag_length of the one being written; 0: none */
    uint32_t begun_left; /* bytes of it that are still to be written, and come
                          * first in the queue, before the lane. _release()
                          * says all of them: the caller knows better */
    uint8_t lane[RPCH_LANE_SIZE]; /* RTS PDUs not yet sent to the server; may
                                   * start within one */
    size_t lane_len;
    uint8_t tail[RPCH_RTS_SIZE_MAX]; /* read from S-IN: a PDU that is not yet
                                      * complete */
    size_t tail_len;
} rpch_in_leg;

typedef struct rpch_inbound {
    rpch_core core;
    rpch_cutter client;  /* C-IN */
    rpch_cutter server;  /* S-IN */
    rpch_lane to_server; /* RTS PDUs for S-IN */
    rpch_rx rx;          /* C-IN: we receive */
    rpch_tx tx;          /* S-IN: we send */
    rpch_address address;
    bool heir;           /* a successor: IN_R1/A1 = IN_R2/A1 came */
    bool adopted;        /* S-IN was the predecessor's */
    bool dismissed;      /* see rpch_inbound_dismiss_told */
    rpch_cookie vc;      /* valid once OPEN_START is left */
    rpch_cookie channel; /* cookie of this IN channel; likewise */
    rpch_cookie predecessor; /* heir: of the channel that it replaces */
    rpch_cookie successor;   /* announced last with IN_R2/A2; zero: none */
    rpch_cookie gone;        /* announced before that one; zero: none */
    bool early;              /* IN_R1/A5 came before IN_R1/B2: it waits */
    rpch_cookie early_a5;    /* its Cookie */
    rpch_cookie group;   /* AssociationGroupId; IN_R1: unknown, zero */
    uint32_t lifetime;   /* from CONN/B1, for logs only */
    uint32_t keepalive;  /* ms, for TCP keep-alive of S-IN; see Keep-Alive */
    uint64_t rpc_bytes;  /* RPC PDUs passed on whole: bytes and PDUs */
    uint64_t rpc_pdus;
    uint64_t queued;     /* bytes of RPC PDUs that have begun to arrive and
                          * were not yet passed on whole */
    uint64_t inherited;  /* of them: came by the predecessor's C-IN, and do
                          * not count for this one's window */
    uint32_t begun;      /* frag_length of the one being written; 0: none */
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
 * connected, and none with RPCH_JOINED. From a connected S-IN it takes all
 * that it is given: the caller never keeps any back. */
int rpch_inbound_server_recv(rpch_inbound *m, const uint8_t *in, size_t len,
                             rpch_step *step, rpch_msec now);

/* Takes one whole RTS PDU from the server role (with RPCH_JOINED). Returns
 * RPCH_AGAIN, with the PDU not taken, before _connected() or _adopt(). */
int rpch_inbound_server_rts(rpch_inbound *m, const uint8_t *pdu, size_t len,
                            rpch_msec now);

/* S-IN is connected. While the machine wants RPCH_WANT_CONNECT: CONN/B2 is
 * queued (3.2.3.5.3). While it wants RPCH_WANT_SUCCEED, which then is the
 * answer that the connection is not known here: IN_R1/A2 (3.2.3.5.5; never
 * with RPCH_JOINED). */
int rpch_inbound_connected(rpch_inbound *m, rpch_msec now);

/* Successor, while it wants RPCH_WANT_SUCCEED: the holder of S-IN has
 * accepted it (_attach there). It then waits, plugged, for _adopt(). */
int rpch_inbound_attached(rpch_inbound *m, rpch_msec now);

/* Successor, after _attached(): takes the predecessor's S-IN over and reads
 * C-IN from now on. The caller has the connection itself, and the queue: it
 * writes that first, goes on within a PDU that has begun (of which it only
 * says _pdu_done), and feeds nothing of C-IN before it has all of it. leg is
 * borrowed.
 * The machine ends with RPCH_E_COOKIE when leg belongs to other channels, and
 * with RPCH_E_VALUE when it holds what no machine releases. */
int rpch_inbound_adopt(rpch_inbound *m, const rpch_in_leg *leg,
                       rpch_msec now);

/* Holder of S-IN: the channel s->successor is to replace this one
 * (3.2.3.5.5; s->window is not looked at). RPCH_OK: IN_R2/A2 is queued, and
 * IN_R2/A5 awaited. Otherwise nothing has changed, and *reason (static) says
 * why: RPCH_E_UNEXPECTED (not opened, or a successor is attached already),
 * RPCH_E_COOKIE (another connection, not the predecessor, or no new cookie),
 * RPCH_E_ROOM (too much waits for the server: RTS PDUs, or RPC PDUs above
 * RPCH_IN_MOVED_MAX). This deviates on purpose: by
 * 3.2.3.5.5 a bad successor would end the connection that it names. */
int rpch_inbound_attach(rpch_inbound *m, const rpch_succession *s,
                        const char **reason);

/* Holder: the attached successor is gone. Before IN_R2/A5 the machine goes on
 * as if it had never come; between A5 and _release() it ends with
 * RPCH_E_CLOSED; else nothing happens. */
void rpch_inbound_detach(rpch_inbound *m);

/* Holder, when m->dismissed is set: IN_R2/A5 did not name the attached
 * successor (3.2.3.5). The machine has gone on without it; the caller must
 * end it and then say so here. No other one is accepted before. */
void rpch_inbound_dismiss_told(rpch_inbound *m);

/* Holder, while it wants RPCH_WANT_RELEASE: fills *leg for the successor and
 * ends with RPCH_E_RECYCLED; the caller gives its queue away, too. Returns
 * RPCH_OK; at another time the machine's error, RPCH_E_BUG if it had none. */
int rpch_inbound_release(rpch_inbound *m, rpch_in_leg *leg);

/* The first len bytes of the lane to_server were sent. Use this, not
 * rpch_lane_ack: the predecessor of IN_R1 ends when its lane is empty. */
void rpch_inbound_server_ack(rpch_inbound *m, size_t len);

/* C-IN ended or failed; the machine finishes with RPCH_E_CLOSED. After A5 it
 * means nothing: the client has nothing more to say here. */
void rpch_inbound_client_closed(rpch_inbound *m);

/* S-IN ended or failed; likewise, or with RPCH_E_RECYCLED after IN_R1/B1. */
void rpch_inbound_server_closed(rpch_inbound *m);

/* The caller gives up for a reason of its own (status, static reason). */
void rpch_inbound_fail(rpch_inbound *m, int status, const char *reason);

/* True when an RPC PDU of pdu_len bytes may now start on S-IN: opened or
 * draining, the server's window has room (always with RPCH_JOINED), and so
 * has the lane for the ack that may follow. */
bool rpch_inbound_may_send(const rpch_inbound *m, uint32_t pdu_len);

/* Whether another one of pdu_len bytes may start right behind ahead bytes of
 * RPC PDUs that may and were not begun yet: so that all of them can be sent at
 * once and begun and done one after the other when it is known how many bytes
 * left. */
bool rpch_inbound_may_follow(const rpch_inbound *m, uint32_t ahead,
                             uint32_t pdu_len);

/* An RPC PDU starts on S-IN. */
void rpch_inbound_pdu_begin(rpch_inbound *m, uint32_t pdu_len);

/* Its last byte was written: C-IN's window is credited, which may queue a
 * FlowControlAckWithDestination for the client (3.2.1.4.1). Between _begin
 * and _done no other PDU begins. */
void rpch_inbound_pdu_done(rpch_inbound *m, uint32_t pdu_len, rpch_msec now);

/* RPCH_WANT_* now. CLIENT_READ is absent in SUCCEED and PLUGGED and after A5,
 * when more than the window and RPCH_QUEUE_SLACK is queued (without what was
 * inherited), or when the lane is full; but an RPC PDU that has begun is always
 * read to its end.
 * SERVER_READ is absent with RPCH_JOINED. RPCH_WANT_SHUTDOWN, with
 * SERVER_READ, comes after IN_R1/B1: a connection that is closed with input
 * unread could lose what it has sent. */
unsigned rpch_inbound_wants(const rpch_inbound *m);

/* When rpch_inbound_timeout is due, or RPCH_NEVER. A channel that is open, or
 * drains (DRAIN_R1), has no timer: how long a server may take nothing is for
 * the caller to say. */
rpch_msec rpch_inbound_deadline(const rpch_inbound *m);

/* Runs the timers that are due at now. */
int rpch_inbound_timeout(rpch_inbound *m, rpch_msec now);

/* The table of 3.2.3.5. */
extern const rpch_machine_table rpch_inbound_table;

/* Name of a state ("B3W"). */
const char *rpch_in_state_name(rpch_in_state s);

/* Name of an event ("CONN/B1"). */
const char *rpch_in_event_name(rpch_in_event e);

#endif
