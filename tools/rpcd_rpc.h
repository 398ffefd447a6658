/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rpcd_rpc.h - the RPC layer of rpch-server: one association (C706 chapter
 * 12), over whatever carries its PDUs.
 *
 * Bytes are fed in; whole PDUs are asked for, so that the carrier says when
 * one may go. While an answer waits nothing more is taken: what was fed is
 * queued, and the carrier is to stop reading (TCP) or goes by its window.
 */
#ifndef RPCD_RPC_H
#define RPCD_RPC_H

#include "rpcd_buf.h"

#include "rpch/pdu.h"

/* Largest PDU that is taken or sent, whatever the client offers, and the one
 * that every client must take (C706 12.6.3.1). */
#define RPCD_FRAG_MAX 5840u
#define RPCD_FRAG_MIN 1432u

/* Presentation contexts of one association. */
#define RPCD_CONTEXTS_MAX 32u

/* Size of the header of a request without object, and of a response. */
#define RPCD_CALL_HEADER_SIZE 24u

/* pfc_flags, C706 12.6.3.1 */
enum {
    RPCD_FIRST_FRAG = 0x01,
    RPCD_LAST_FRAG = 0x02,
    RPCD_DID_NOT_EXECUTE = 0x20,
    RPCD_MAYBE = 0x40,
    RPCD_OBJECT_UUID = 0x80
};

/* Status of a fault, C706 appendix E and MS-ERREF */
enum {
    RPCD_OK = 0,
    RPCD_BAD_STUB_DATA = 0x000006F7,
    RPCD_BAD_CONTEXT = 0x1C00001C,
    RPCD_BAD_AUTHN_LEVEL = 0x1C00001D,
    RPCD_OP_RANGE = 0x1C010002,
    RPCD_PROTO_ERROR = 0x1C01000B,
    RPCD_OUT_ARGS_TOO_BIG = 0x1C010013,
    RPCD_SERVER_TOO_BUSY = 0x1C010014
};

typedef struct rpcd_uuid {
    uint32_t a;
    uint16_t b;
    uint16_t c;
    uint8_t d[8];
} rpcd_uuid;

/* An abstract or a transfer syntax. */
typedef struct rpcd_syntax {
    rpcd_uuid uuid;
    uint16_t major;
    uint16_t minor;
} rpcd_syntax;

/* What an answer takes over from the PDU that it answers. */
typedef struct rpcd_origin {
    uint8_t minor;
    uint8_t drep[4];
    bool big_endian;
    uint32_t call_id;
} rpcd_origin;

struct rpcd_op;

/* The call being received. */
typedef struct rpcd_call {
    bool open;               /* first fragment seen, last one not */
    bool maybe;              /* wants no answer */
    rpcd_origin from;
    uint16_t context;
    const struct rpcd_op *op;
    uint32_t fault;          /* answer with it when the last one came */
    rpcd_buf stub;           /* as much of it as op->keep says */
    uint64_t total;          /* bytes of stub received */
    uint64_t max;            /* bytes of stub that an answer may have */
} rpcd_call;

/* The answer being sent: a whole PDU, or a stub that is cut into responses.
 * The stub is data[0..len) and then `pattern` bytes, byte i being i & 0xff. */
typedef struct rpcd_answer {
    bool pending;
    bool is_pdu;
    rpcd_origin from;
    uint16_t context;
    uint8_t *base;           /* to be freed, or NULL */
    const uint8_t *data;
    size_t len;
    uint64_t pattern;
    uint64_t at;             /* bytes of stub already sent */
} rpcd_answer;

/* One operation. run gets the whole call and fills the stub of answer (base,
 * data, len, pattern); it may take call->stub.p over as base. Returns RPCD_OK
 * or the status of a fault, with nothing in answer. */
typedef struct rpcd_op {
    size_t keep; /* bytes of stub that it looks at */
    uint32_t (*run)(rpcd_call *call, rpcd_answer *answer);
} rpcd_op;

typedef struct rpcd_interface {
    rpcd_syntax id;
    unsigned n_ops;
    const rpcd_op *op; /* one without run is none */
} rpcd_interface;

typedef struct rpcd_assoc {
    rpcd_buf in;           /* fed, not yet taken */
    bool bound;
    bool ending;           /* takes no more; over when nothing is pending */
    uint64_t max_call;     /* bytes of stub in one call or its answer */
    uint16_t port;         /* of the listener, for sec_addr */
    uint16_t max_xmit;
    unsigned n_contexts;
    struct {
        uint16_t id;
        const rpcd_interface *interface;
    } context[RPCD_CONTEXTS_MAX];
    rpcd_call call;
    rpcd_answer answer;
    bool (*may_take)(void *baton);               /* or NULL: always */
    void (*taken)(void *baton, uint32_t pdu_len); /* or NULL */
    void *baton;
} rpcd_assoc;

/* Starts an association of a client of that listener's port; calls and
 * answers have at most max_call bytes of stub. The callbacks and baton may be
 * set afterwards: may_take is asked before a PDU is taken, taken told after
 * it. */
void rpcd_rpc_init(rpcd_assoc *a, uint64_t max_call, uint16_t port);

/* Frees what the association owns. */
void rpcd_rpc_free(rpcd_assoc *a);

/* Takes bytes of the client's RPC PDUs, cut anywhere. All of them are taken;
 * what cannot be dealt with yet is queued, so the caller bounds it. */
void rpcd_rpc_feed(rpcd_assoc *a, const uint8_t *p, size_t len);

/* Deals with what is queued, if possible, and returns the size of the next
 * PDU to be sent (at most RPCD_FRAG_MAX), 0 when there is none. */
uint32_t rpcd_rpc_pending(rpcd_assoc *a);

/* Writes that PDU, whose size rpcd_rpc_pending() just told, to out. */
void rpcd_rpc_write(rpcd_assoc *a, uint8_t *out);

/* True when the association has ended and everything was written. */
bool rpcd_rpc_is_over(const rpcd_assoc *a);

/* For bind and alter_context: makes a whole PDU of len bytes (at most
 * RPCD_FRAG_MIN) the answer, writes its common header, zeroes the rest.
 * NULL, and the association ends, when there is no memory. */
uint8_t *rpcd_answer_pdu(rpcd_assoc *a, const rpcd_origin *from, uint8_t ptype,
                         uint8_t flags, size_t len);

/* Makes a fault the answer. */
void rpcd_answer_fault(rpcd_assoc *a, const rpcd_origin *from,
                       uint16_t context, uint32_t status);

/* Answers a bind or alter_context PDU p, whose header is h (C706 12.6.4.3,
 * 12.6.4.1). */
void rpcd_bind(rpcd_assoc *a, const uint8_t *p, const rpch_pdu *h);

/* The interface that a client asks for (same UUID and major version, at least
 * its minor one), or NULL. */
const rpcd_interface *rpcd_interface_find(const rpcd_syntax *id);

/* Reads a UUID of 16 bytes. */
rpcd_uuid rpcd_get_uuid(const uint8_t *p, bool big_endian);

/* Writes a UUID as 16 bytes. */
void rpcd_put_uuid(uint8_t *p, const rpcd_uuid *u, bool big_endian);

/* True when both are the same. */
bool rpcd_uuid_equal(const rpcd_uuid *a, const rpcd_uuid *b);

#endif
