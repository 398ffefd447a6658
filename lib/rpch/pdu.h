/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pdu.h - the common header of DCE/RPC PDUs (C706 12.6.3.1, 2.2.3.6.1) and
 * the cutter that finds PDU boundaries in a byte stream.
 *
 * An RTS PDU is collected and handed out whole (it is small, and somebody
 * must act on it); an RPC PDU passes through as slices of the input, never
 * copied but for a header that arrived in pieces.
 */
#ifndef RPCH_PDU_H
#define RPCH_PDU_H

#include "rpch/rpch.h"

#define RPCH_PDU_HEADER_SIZE 16
#define RPCH_RTS_HEADER_SIZE 20

/* PTYPE values, C706 12.6.4 and 2.2.3.6.1 */
enum {
    RPCH_PTYPE_REQUEST = 0,
    RPCH_PTYPE_RESPONSE = 2,
    RPCH_PTYPE_FAULT = 3,
    RPCH_PTYPE_BIND = 11,
    RPCH_PTYPE_BIND_ACK = 12,
    RPCH_PTYPE_BIND_NAK = 13,
    RPCH_PTYPE_ALTER_CONTEXT = 14,
    RPCH_PTYPE_ALTER_CONTEXT_RESP = 15,
    RPCH_PTYPE_AUTH_3 = 16,
    RPCH_PTYPE_SHUTDOWN = 17,
    RPCH_PTYPE_CO_CANCEL = 18,
    RPCH_PTYPE_ORPHANED = 19,
    RPCH_PTYPE_RTS = 20
};

/* The fields of a common header that this library looks at. */
typedef struct rpch_pdu {
    uint8_t ptype;
    uint8_t flags;     /* pfc_flags */
    bool big_endian;   /* integers of this PDU, from drep */
    uint16_t frag_len; /* the whole PDU, header included */
    uint16_t auth_len;
    uint32_t call_id;
} rpch_pdu;

/* Reads the common header at p. RPCH_AGAIN when len < RPCH_PDU_HEADER_SIZE;
 * RPCH_E_SYNTAX with *reason when the version is not 5.0 or 5.1, drep names
 * no byte order, or frag_length is below the header's size. */
int rpch_pdu_parse(const uint8_t *p, size_t len, rpch_pdu *out,
                   const char **reason);

/* Name of a PTYPE as C706 spells it ("bind_ack"), or "unknown". */
const char *rpch_ptype_name(uint8_t ptype);

/* What rpch_cutter_next found. */
typedef enum rpch_cut_kind {
    RPCH_CUT_NONE,   /* input used up, nothing complete yet */
    RPCH_CUT_RTS,    /* one whole RTS PDU at data[0..len) */
    RPCH_CUT_RPC,    /* a slice of an RPC PDU at data[0..len) */
    RPCH_CUT_BANNER  /* the 14 bytes "ncacn_http/1.0" were skipped */
} rpch_cut_kind;

typedef struct rpch_cut {
    rpch_cut_kind kind;
    size_t used;         /* bytes of the input consumed by this step */
    const uint8_t *data; /* borrowed: the input or the cutter */
    size_t len;
    bool first;          /* RPC: the slice starts the PDU */
    bool last;           /* RPC: the slice ends the PDU */
    rpch_pdu pdu;        /* RTS and RPC: its header */
} rpch_cut;

typedef struct rpch_cutter {
    uint8_t held[RPCH_RTS_SIZE_MAX]; /* banner, header or RTS PDU so far */
    size_t have;                     /* bytes in held */
    uint32_t left;                   /* bytes of an RPC PDU still to pass */
    rpch_pdu pdu;                    /* the PDU being cut */
    bool banner_ok;                  /* the stream may start with the banner */
    int status;                      /* sticky error */
    const char *reason;
} rpch_cutter;

/* Starts a stream. banner_ok: it comes from a server, which may say
 * "ncacn_http/1.0" before its first PDU (2.1.1.2.1). */
void rpch_cutter_init(rpch_cutter *c, bool banner_ok);

/* Takes one step: consumes input up to the next thing worth reporting and
 * describes it in *cut (cut->used <= len). Call again with the rest until the
 * kind is RPCH_CUT_NONE. Never reports an empty RPC slice. Every PDU is
 * reported exactly once however the input is cut. Returns RPCH_OK, or
 * RPCH_E_SYNTAX for a bad header and for an RTS PDU larger than
 * RPCH_RTS_SIZE_MAX or smaller than 20, or RPCH_E_BANNER for a first byte 'n'
 * (with banner_ok) that does not continue as the banner. Errors are sticky,
 * their reason is in c->reason. */
int rpch_cutter_next(rpch_cutter *c, const uint8_t *in, size_t len,
                     rpch_cut *cut);

/* True when the stream stands between two PDUs. */
bool rpch_cutter_at_boundary(const rpch_cutter *c);

#endif
