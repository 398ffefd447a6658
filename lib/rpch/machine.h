/* SPDX-License-Identifier: Apache-2.0 */
/*
 * machine.h - what the role machines share.
 *
 * A machine is driven: bytes or PDUs in, a step out, the time as an
 * argument, one deadline to obey. Its table next[event][state] holds every
 * pair; one function writes ->state; the first error sticks, with a static
 * reason. After an error a machine is in its FINISHED state, wants nothing
 * but to have its output sent, and accepts every call.
 *
 * RTS PDUs that a machine sends or forwards wait in a small buffer of its own
 * (the RTS lane); RPC PDUs pass through as slices and are queued, if need be,
 * by the caller. On a connection that carries both, the lane goes first
 * whenever the caller stands between two RPC PDUs: flow control never holds
 * back an RTS PDU.
 */
#ifndef RPCH_MACHINE_H
#define RPCH_MACHINE_H

#include "rpch/flow.h"
#include "rpch/rts_table.h"

/* What a recv call did. */
typedef struct rpch_step {
    size_t used;         /* bytes of the input consumed */
    const uint8_t *pass; /* slice of an RPC PDU to pass on, or NULL; borrowed */
    size_t pass_len;
    bool first;          /* it starts a PDU and holds the whole common header */
    bool last;           /* it ends the PDU */
    uint32_t pdu_len;    /* frag_length of the PDU that the slice belongs to */
} rpch_step;

/* What a machine wants now; computed, never stored. */
enum {
    RPCH_WANT_CLIENT_READ = 0x01, /* bytes of the client (server role: S-IN) */
    RPCH_WANT_SERVER_READ = 0x02, /* bytes of the server (server: S-OUT) */
    RPCH_WANT_CONNECT = 0x04,     /* the connection to the server; answer with
                                   * _connected() or _fail() */
    RPCH_WANT_RESPONSE = 0x08,    /* the 200 response head, after to_server is
                                   * empty; then call _responded() */
    RPCH_WANT_CLOSE = 0x10,       /* finished: send what is queued, then close
                                   * everything */
    RPCH_WANT_SUCCEED = 0x20,     /* the channel is a successor: is its
                                   * connection known here? Answer with
                                   * _attached() (IN_R2, OUT_R2), with
                                   * _connected() after a connection of its
                                   * own (IN_R1, OUT_R1), or with _fail() */
    RPCH_WANT_RELEASE = 0x40,     /* a predecessor has sent all: take its leg
                                   * with _release() for the successor */
    RPCH_WANT_SHUTDOWN = 0x80,    /* end sending to the server, and read until
                                   * it closes */
    RPCH_WANT_IN_REQUEST = 0x100, /* client role: open a successor request */
    RPCH_WANT_OUT_REQUEST = 0x200
};

/* How a machine is to behave; or-ed. */
enum {
    /* The back end speaks ncacn_ip_tcp: RTS PDUs travel beside the payload
     * (_server_rts), an RTS PDU among its bytes is forged, and TCP is the only
     * back-pressure on the server leg. */
    RPCH_JOINED = 0x01,
    /* The client breaks on RTS PDUs after CONN/C2: send it none, and do not
     * wait for its acks. */
    RPCH_QUIET = 0x02,
    /* Client role: the first form of recycling (IN_R1, OUT_R1) is a protocol
     * error. */
    RPCH_R2_ONLY = 0x04,
    /* Recycling is a protocol error for the client role; for the outbound
     * proxy, its client is known not to be able to do it. */
    RPCH_NO_RECYCLING = 0x08
};

#define RPCH_LANE_SIZE 1024u

/* Room that forwarded PDUs leave to those that a machine makes itself between
 * two looks at the lane: an ack (56) and a PingTrafficSentNotify (28). */
#define RPCH_LANE_RESERVE 128u

/* What a queue of RPC PDUs may hold beyond the window before the machine
 * stops reading. A client that ignores the window may have its acks for the
 * other direction behind the surplus, so that stopping at once could stall
 * both directions. */
#define RPCH_QUEUE_SLACK 32768u

/* Whole RTS PDUs waiting to be sent, in order. */
typedef struct rpch_lane {
    uint8_t b[RPCH_LANE_SIZE];
    size_t at;  /* first byte not yet sent */
    size_t end; /* behind the last byte */
    size_t ack; /* length of the last PDU, when it is a FlowControlAck that
                 * the next one may replace; else 0 */
} rpch_lane;

/* Empties the lane. */
void rpch_lane_init(rpch_lane *l);

/* True when an RTS PDU of the largest size still fits and leaves
 * RPCH_LANE_RESERVE. A machine that cannot take another one stops reading the
 * side that would cause it. */
bool rpch_lane_has_room(const rpch_lane *l);

/* True when RPCH_LANE_RESERVE bytes are free: a PDU that the machine makes
 * itself can be queued. */
bool rpch_lane_has_reserve(const rpch_lane *l);

/* Appends len bytes (one or more whole PDUs); RPCH_E_ROOM when they do not
 * fit. */
int rpch_lane_put(rpch_lane *l, const uint8_t *p, size_t len);

/* Encodes PDU id from v and appends it; errors of rpch_rts_make. */
int rpch_lane_make(rpch_lane *l, rpch_pdu_id id, const rpch_rts_values *v);

/* rpch_lane_make for a FlowControlAck. The last PDU in the lane is replaced
 * when it is one, too, and nothing of it was sent: the newer says it all
 * (3.2.1.5.1), and a peer that does not read must not fill the lane with them.
 * An ack that was forwarded (rpch_lane_put) is never replaced. */
int rpch_lane_make_ack(rpch_lane *l, rpch_pdu_id id, const rpch_rts_values *v);

/* The bytes waiting, *len of them; NULL and 0 when there are none. */
const uint8_t *rpch_lane_buf(const rpch_lane *l, size_t *len);

/* The first len of them were sent (at most those that wait). */
void rpch_lane_ack(rpch_lane *l, size_t len);

/* The cells of a machine's table that are not a next state. A table holds
 * next state + 1; 0 marks a forgotten cell. */
enum {
    RPCH_CELL_BUG = 0,   /* cannot happen: a bug of ours */
    RPCH_CELL_STAY = -1, /* act, and stay in the state */
    RPCH_CELL_ERR = -2,  /* the peer broke the protocol */
    RPCH_CELL_DROP = -3  /* ignore the event */
};

/* What a successor channel asks for: the fields of IN_Rx/A1 and OUT_Rx/A3. */
typedef struct rpch_succession {
    rpch_cookie vc;
    rpch_cookie predecessor;
    rpch_cookie successor;
    uint32_t window; /* OUT: the client's */
} rpch_succession;

/* The tables of all roles: the client and the server role have one for the
 * connection and one for each virtual channel (3.2.2.1, 3.2.5.1). */
typedef enum rpch_table_id {
    RPCH_TABLE_INBOUND,
    RPCH_TABLE_OUTBOUND,
    RPCH_TABLE_SERVER,
    RPCH_TABLE_SERVER_IN,
    RPCH_TABLE_SERVER_OUT,
    RPCH_TABLE_CLIENT,
    RPCH_TABLE_CLIENT_IN,
    RPCH_TABLE_CLIENT_OUT,
    RPCH_TABLE_MIXED,
    RPCH_TABLE_MAX
} rpch_table_id;

/* One table as data, for those who count what was visited. Each machine's
 * header declares its own (rpch_inbound_table, ...). */
typedef struct rpch_machine_table {
    rpch_table_id id;
    const char *role;        /* "inbound", "server IN", ... */
    int events;
    int states;
    const signed char *next; /* next[event * states + state]: RPCH_CELL_*, or
                              * next state + 1 */
    const char *(*event_name)(int event);
    const char *(*state_name)(int state);
} rpch_machine_table;

/* Told of each event that is put through a table, with the state before. */
typedef void rpch_visit_fn(void *baton, rpch_table_id table, int event,
                           int state);

/* The part that every machine starts with. */
typedef struct rpch_core {
    int state;          /* written by rpch_core_step or the machine's transit
                         * function only */
    int status;         /* first error, RPCH_OK while there is none */
    const char *reason; /* static text for status, or NULL */
    unsigned flags;     /* RPCH_JOINED, RPCH_QUIET */
    rpch_limits limits;
    rpch_msec deadline; /* of the handshake timers, RPCH_NEVER when none runs */
    rpch_log_fn *log;   /* may be NULL */
    void *baton;
    rpch_visit_fn *visit; /* may be NULL; see rpch_core_watch */
    void *visit_baton;
} rpch_core;

/* State 0, no error, no deadline. limits are copied. */
void rpch_core_init(rpch_core *c, const rpch_limits *limits, unsigned flags,
                    rpch_log_fn *log, void *baton);

/* Has fn (NULL: nobody) told of every event from now on; for tests. */
void rpch_core_watch(rpch_core *c, rpch_visit_fn *fn, void *baton);

/* The cell of event in that state, and tells the watcher, if any. A machine
 * calls it once for each event. */
int rpch_core_look_up(const rpch_core *c, const rpch_machine_table *t,
                      int event, int state);

/* The state that event, which was looked up, leads to from that one: the last
 * of the table after an error. Logs a move. */
int rpch_core_next(const rpch_core *c, const rpch_machine_table *t, int event,
                   int state);

/* Looks event up and moves c->state. What ends the machine has status and
 * reason (static); a protocol error, or a bug, has a status of its own, and the
 * reason wrong. True when the caller is to carry out the event. */
bool rpch_core_step(rpch_core *c, const rpch_machine_table *t, int event,
                    int status, const char *reason, const char *wrong);

/* Notes an error unless there is one, and stops the deadline. status must be
 * negative (anything else counts as RPCH_E_BUG), reason static. The machine
 * then goes to its FINISHED state. */
void rpch_core_end(rpch_core *c, int status, const char *reason);

/* now + span, or RPCH_NEVER when span is 0 (no such timer) or too large. */
rpch_msec rpch_after(rpch_msec now, rpch_msec span);

/* Logs "[from] -- event --> [to]" at RPCH_LOG_DEBUG. */
void rpch_core_log_move(const rpch_core *c, const char *from,
                        const char *event, const char *to);

/* Logs the names that rts can have at RPCH_LOG_TRACE1; what is static text
 * ("received on C-IN"). */
void rpch_core_log_rts(const rpch_core *c, const char *what,
                       const rpch_rts *rts);

/* rpch_lane_make (rpch_lane_make_ack for acks), and logs the PDU's name at
 * RPCH_LOG_TRACE1; what is static text ("queued for S-IN"). */
int rpch_core_make(const rpch_core *c, rpch_lane *l, rpch_pdu_id id,
                   const rpch_rts_values *v, const char *what);

/* The fields of rts, which rpch_rts_is() has found to be id; all others of *v
 * are set to zero. */
void rpch_core_read(rpch_pdu_id id, const rpch_rts *rts, rpch_rts_values *v);

/* Fills step from a slice of an RPC PDU that is to be passed on. */
void rpch_step_pass(rpch_step *step, const rpch_cut *cut);

/* Checks a ReceiveWindowSize from the wire against its minimum, 2.2.3.5.1
 * (what is larger than the maximum is clamped by rpch_tx_init). */
bool rpch_window_ok(uint32_t window);

/* Reads a ClientKeepalive from the wire, 2.2.3.5.6: 0 means
 * RPCH_KEEPALIVE_DEFAULT. False, with *ms unchanged, below
 * RPCH_KEEPALIVE_MIN. */
bool rpch_keepalive_read(uint32_t wire, uint32_t *ms);

#endif
