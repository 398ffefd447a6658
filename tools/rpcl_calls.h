/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rpcl_calls.h - what rpch-client does on an open connection: it binds to
 * rpcecho and makes calls of it, several outstanding, and compares every byte
 * of the answers.
 */
#ifndef RPCL_CALLS_H
#define RPCL_CALLS_H

#include "rpch/pdu.h"
#include "rpch/wire.h"

#define RPCL_OUTSTANDING_MAX 64u
#define RPCL_FRAGMENT 5840u

/* Which operations carry the bytes. */
typedef enum rpcl_kind {
    RPCL_MIXED,
    RPCL_ECHO,   /* EchoData only */
    RPCL_SINK,   /* SinkData only: up */
    RPCL_SOURCE  /* SourceData only: down */
} rpcl_kind;

/* What is to be done. */
typedef struct rpcl_plan {
    uint64_t bytes;       /* to move each way */
    uint64_t calls;       /* instead: so many calls; 0: go by bytes */
    uint32_t call_bytes;  /* in one call */
    uint32_t outstanding; /* calls at once */
    rpcl_kind kind;
} rpcl_plan;

/* A call that is being sent, or waits for its answer. */
typedef struct rpcl_call {
    uint16_t opnum;
    uint32_t id;
    uint32_t size; /* of its data; AddOne: the argument */
    uint64_t at;   /* bytes of the answer's stub so far */
} rpcl_call;

typedef struct rpcl_calls {
    rpcl_plan plan;
    bool bound;
    bool bind_sent;
    uint32_t max_xmit;            /* fragments that the server takes */
    rpcl_call call[RPCL_OUTSTANDING_MAX]; /* a ring, oldest at first */
    unsigned first;
    unsigned n;
    uint32_t last_id;
    bool sending;                 /* the newest call is not all sent */
    uint64_t sent;                /* of its stub */
    bool last_call;               /* an AddOne is to be made at the end */
    uint64_t made;                /* data calls */
    uint64_t answered;            /* calls, and the bind */
    uint64_t up_promised, down_promised; /* data bytes of the calls made */
    uint64_t up, down;            /* data bytes of the calls answered */
    uint8_t pdu[RPCL_FRAGMENT];   /* being sent */
    size_t pdu_len;
    uint8_t got[RPCH_PDU_SIZE_MAX]; /* being received */
    size_t got_len;
    const char *error;            /* static, or NULL */
    uint32_t fault;               /* the fault's status when that is it */
} rpcl_calls;

/* Starts with nothing sent. plan is copied. */
void rpcl_calls_init(rpcl_calls *c, const rpcl_plan *plan);

/* The next PDU to be sent, *len bytes; the same one until _sent. NULL when
 * there is none before an answer comes, or at all. */
const uint8_t *rpcl_calls_pdu(rpcl_calls *c, size_t *len);

/* That PDU goes out. */
void rpcl_calls_sent(rpcl_calls *c);

/* Takes a slice of a PDU that arrived; last: it ends the PDU. False with
 * c->error when an answer is not what it must be. */
bool rpcl_calls_feed(rpcl_calls *c, const uint8_t *p, size_t len, bool last);

/* True when everything was sent and answered. */
bool rpcl_calls_done(const rpcl_calls *c);

/* Adds one more call (AddOne), to see that the connection is alive. */
void rpcl_calls_add_one(rpcl_calls *c);

#endif
