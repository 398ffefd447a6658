/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pdu.c - the common header and the cutter.
 *
 * The cutter is in one of three places: between two PDUs (have and left are
 * 0), inside something that it collects in held (have > 0: the banner, a
 * header in pieces, an RTS PDU), or inside an RPC PDU whose header it knows
 * (left > 0, have is 0).
 */
#include <string.h>

#include "rpch/pdu.h"
#include "rpch/wire.h"

#define BANNER_SIZE 14

static const uint8_t banner[BANNER_SIZE] = {
    'n', 'c', 'a', 'c', 'n', '_', 'h', 't', 't', 'p', '/', '1', '.', '0'
};

int rpch_pdu_parse(const uint8_t *p, size_t len, rpch_pdu *out,
                   const char **reason)
{
    if (len < RPCH_PDU_HEADER_SIZE)
        return RPCH_AGAIN;
    if (p[0] != 5) {
        *reason = "rpc_vers is not 5";
        return RPCH_E_SYNTAX;
    }
    if (p[1] > 1) {
        *reason = "rpc_vers_minor is neither 0 nor 1";
        return RPCH_E_SYNTAX;
    }
    if (p[4] >> 4 > 1) {
        *reason = "packed_drep names no byte order";
        return RPCH_E_SYNTAX;
    }
    out->ptype = p[2];
    out->flags = p[3];
    out->big_endian = p[4] >> 4 == 0;
    out->frag_len = out->big_endian ? rpch_be16(p + 8) : rpch_le16(p + 8);
    out->auth_len = out->big_endian ? rpch_be16(p + 10) : rpch_le16(p + 10);
    out->call_id = out->big_endian ? rpch_be32(p + 12) : rpch_le32(p + 12);
    if (out->frag_len < RPCH_PDU_HEADER_SIZE) {
        *reason = "frag_length is below the header's size";
        return RPCH_E_SYNTAX;
    }
    return RPCH_OK;
}

const char *rpch_ptype_name(uint8_t ptype)
{
    static const char *const name[] = {
        "request", "ping", "response", "fault", "working", "nocall",
        "reject", "ack", "cl_cancel", "fack", "cancel_ack", "bind",
        "bind_ack", "bind_nak", "alter_context", "alter_context_resp",
        "rpc_auth_3", "shutdown", "co_cancel", "orphaned", "rts"
    };
    return ptype < sizeof name / sizeof name[0] ? name[ptype] : "unknown";
}

void rpch_cutter_init(rpch_cutter *c, bool banner_ok)
{
    memset(c, 0, sizeof *c);
    c->banner_ok = banner_ok;
    c->status = RPCH_OK;
}

bool rpch_cutter_at_boundary(const rpch_cutter *c)
{
    return c->status == RPCH_OK && c->have == 0 && c->left == 0;
}

static int fail(rpch_cutter *c, int status, const char *reason)
{
    c->status = status;
    c->reason = reason;
    return status;
}

/* Collects input in held until it has want bytes; true when it has. */
static bool collect(rpch_cutter *c, size_t want, const uint8_t *in,
                    size_t len, size_t *used)
{
    size_t n = want - c->have;

    if (n > len - *used)
        n = len - *used;
    if (n) {
        memcpy(c->held + c->have, in + *used, n);
        c->have += n;
        *used += n;
    }
    return c->have == want;
}

/* Steps through the banner. A wrong byte is found as soon as it is there, so
 * that the result does not depend on how the input is cut. */
static int cut_banner(rpch_cutter *c, const uint8_t *in, size_t len,
                      rpch_cut *cut)
{
    bool whole = collect(c, BANNER_SIZE, in, len, &cut->used);

    if (memcmp(c->held, banner, c->have) != 0)
        return fail(c, RPCH_E_BANNER,
                    "the server's greeting is not ncacn_http/1.0");
    if (whole) {
        cut->kind = RPCH_CUT_BANNER;
        c->banner_ok = false;
        c->have = 0;
    }
    return RPCH_OK;
}

/* Reads the header at p into c->pdu. */
static int read_header(rpch_cutter *c, const uint8_t *p)
{
    const char *reason = NULL;
    int status = rpch_pdu_parse(p, RPCH_PDU_HEADER_SIZE, &c->pdu, &reason);

    if (status != RPCH_OK)
        return fail(c, status, reason);
    c->banner_ok = false;
    if (c->pdu.ptype != RPCH_PTYPE_RTS)
        return RPCH_OK;
    if (c->pdu.frag_len < RPCH_RTS_HEADER_SIZE)
        return fail(c, RPCH_E_SYNTAX,
                    "frag_length of an RTS PDU is below 20");
    if (c->pdu.frag_len > RPCH_RTS_SIZE_MAX)
        return fail(c, RPCH_E_SYNTAX,
                    "frag_length of an RTS PDU is above the limit");
    return RPCH_OK;
}

/* Reports n bytes at data as a slice of the RPC PDU. */
static void pass(rpch_cutter *c, rpch_cut *cut, const uint8_t *data,
                 uint32_t n, bool first)
{
    cut->kind = RPCH_CUT_RPC;
    cut->data = data;
    cut->len = n;
    cut->first = first;
    c->left -= n;
    cut->last = c->left == 0;
    cut->pdu = c->pdu;
}

/* Passes what the input has of an RPC PDU; at[0..room) is that input. */
static void pass_input(rpch_cutter *c, rpch_cut *cut, const uint8_t *at,
                       size_t room, bool first)
{
    uint32_t n = c->left;

    if (n > room)
        n = (uint32_t)room;
    if (n) {
        pass(c, cut, at, n, first);
        cut->used += n;
    }
}

/* Steps through a header in pieces, and through an RTS PDU. */
static int cut_held(rpch_cutter *c, const uint8_t *in, size_t len,
                    rpch_cut *cut)
{
    int status;

    if (c->have < RPCH_PDU_HEADER_SIZE) {
        if (!collect(c, RPCH_PDU_HEADER_SIZE, in, len, &cut->used))
            return RPCH_OK;
        status = read_header(c, c->held);
        if (status != RPCH_OK)
            return status;
        if (c->pdu.ptype != RPCH_PTYPE_RTS) {
            c->have = 0;
            c->left = c->pdu.frag_len;
            pass(c, cut, c->held, RPCH_PDU_HEADER_SIZE, true);
            return RPCH_OK;
        }
    }
    if (collect(c, c->pdu.frag_len, in, len, &cut->used)) {
        cut->kind = RPCH_CUT_RTS;
        cut->data = c->held;
        cut->len = c->have;
        cut->first = true;
        cut->last = true;
        cut->pdu = c->pdu;
        c->have = 0;
    }
    return RPCH_OK;
}

int rpch_cutter_next(rpch_cutter *c, const uint8_t *in, size_t len,
                     rpch_cut *cut)
{
    int status;

    memset(cut, 0, sizeof *cut);
    if (c->status != RPCH_OK)
        return c->status;
    if (len == 0)
        return RPCH_OK;
    if (c->left) {
        pass_input(c, cut, in, len, false);
        return RPCH_OK;
    }
    if (c->banner_ok && (c->have ? c->held[0] : in[0]) == banner[0])
        return cut_banner(c, in, len, cut);
    if (c->have == 0 && len >= RPCH_PDU_HEADER_SIZE) {
        status = read_header(c, in);
        if (status != RPCH_OK)
            return status;
        if (c->pdu.ptype != RPCH_PTYPE_RTS) {
            c->left = c->pdu.frag_len;
            pass_input(c, cut, in, len, true);
            return RPCH_OK;
        }
    }
    return cut_held(c, in, len, cut);
}
