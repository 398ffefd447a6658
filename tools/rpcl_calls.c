/* SPDX-License-Identifier: Apache-2.0 */
/* rpcl_calls.c - calls of rpcecho (C706 chapter 12), made and compared */
#include "rpcl_calls.h"

#include <string.h>

/* Opnums of rpcecho. */
enum { ADD_ONE, ECHO_DATA, SINK_DATA, SOURCE_DATA };

enum { FIRST_FRAG = 0x01, LAST_FRAG = 0x02 };

#define CALL_HEADER 24u

/* A length and the max_count of the array behind it; in answers, max_count
 * alone. */
#define ARRAY_AT 8u
#define ANSWER_AT 4u

/* One presentation context: rpcecho 1.0 over NDR 2.0. */
static const uint8_t bind_body[] = {
    RPCL_FRAGMENT & 0xff, RPCL_FRAGMENT >> 8,
    RPCL_FRAGMENT & 0xff, RPCL_FRAGMENT >> 8,
    0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0,
    0xc5, 0x5e, 0xa1, 0x60, 0xe8, 0x4d, 0xd7, 0x11,
    0xa6, 0x37, 0x00, 0x50, 0x56, 0xa2, 0x01, 0x82, 1, 0, 0, 0,
    0x04, 0x5d, 0x88, 0x8a, 0xeb, 0x1c, 0xc9, 0x11,
    0x9f, 0xe8, 0x08, 0x00, 0x2b, 0x10, 0x48, 0x60, 2, 0, 0, 0
};

void rpcl_calls_init(rpcl_calls *c, const rpcl_plan *plan)
{
    memset(c, 0, sizeof(*c));
    c->plan = *plan;
}

static uint32_t get32(const uint8_t *p)
{
    return rpch_le16(p) | (uint32_t)rpch_le16(p + 2) << 16;
}

static void put16(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)v;
    p[1] = (uint8_t)(v >> 8);
}

static void put32(uint8_t *p, uint32_t v)
{
    put16(p, v);
    put16(p + 2, v >> 16);
}

static void put_header(uint8_t *p, uint8_t ptype, uint8_t flags, size_t len,
                       uint32_t id)
{
    memset(p, 0, RPCH_PDU_HEADER_SIZE);
    p[0] = 5;
    p[2] = ptype;
    p[3] = flags;
    p[4] = 0x10;
    put16(p + 8, (uint32_t)len);
    put32(p + 12, id);
}

static bool fail(rpcl_calls *c, const char *why)
{
    if (c->error == NULL)
        c->error = why;
    return false;
}

/* The i-th byte of a call's data: whoever gives one call's bytes to another,
 * or moves them within one, is found out. */
static uint8_t data_byte(uint32_t id, uint64_t i)
{
    uint64_t x = (i + (uint64_t)id * 0x9e3779b9u) * 0x9e3779b97f4a7c15u;

    return (uint8_t)(x >> 56);
}

/* ---- requests ------------------------------------------------------------- */

static uint16_t next_opnum(const rpcl_calls *c)
{
    static const uint16_t of_kind[] = {
        [RPCL_ECHO] = ECHO_DATA, [RPCL_SINK] = SINK_DATA,
        [RPCL_SOURCE] = SOURCE_DATA
    };
    static const uint16_t in_turn[] = { SINK_DATA, SOURCE_DATA, ECHO_DATA };

    if (c->plan.kind != RPCL_MIXED)
        return of_kind[c->plan.kind];
    if (c->plan.calls == 0 && c->up_promised >= c->plan.bytes)
        return SOURCE_DATA;
    if (c->plan.calls == 0 && c->down_promised >= c->plan.bytes)
        return SINK_DATA;
    return in_turn[c->made % 3];
}

/* True when all calls of the plan were made. */
static bool all_made(const rpcl_calls *c)
{
    bool up = c->up_promised >= c->plan.bytes;
    bool down = c->down_promised >= c->plan.bytes;

    if (c->plan.calls > 0)
        return c->made >= c->plan.calls;
    if (c->plan.kind == RPCL_SINK)
        return up;
    return c->plan.kind == RPCL_SOURCE ? down : up && down;
}

static uint32_t next_size(const rpcl_calls *c, uint16_t opnum)
{
    uint64_t left = c->plan.bytes
        - (opnum == SOURCE_DATA ? c->down_promised : c->up_promised);

    if (opnum == ECHO_DATA && c->plan.kind == RPCL_MIXED
        && left > c->plan.bytes - c->down_promised)
        left = c->plan.bytes - c->down_promised;
    return c->plan.calls > 0 || left > c->plan.call_bytes
        ? c->plan.call_bytes : (uint32_t)left;
}

static void start_call(rpcl_calls *c, uint16_t opnum, uint32_t size)
{
    rpcl_call *call = &c->call[(c->first + c->n++) % RPCL_OUTSTANDING_MAX];

    memset(call, 0, sizeof(*call));
    call->opnum = opnum;
    call->id = ++c->last_id;
    call->size = size;
    c->sending = true;
    c->sent = 0;
    if (opnum == ADD_ONE) {
        c->last_call = false;
        return;
    }
    c->made++;
    if (opnum != SOURCE_DATA)
        c->up_promised += size;
    if (opnum != SINK_DATA)
        c->down_promised += size;
}

/* True when there is a call to go on with; starts one if it may. */
static bool have_call(rpcl_calls *c)
{
    uint16_t opnum;

    if (c->sending)
        return true;
    if (c->n >= c->plan.outstanding)
        return false;
    if (!all_made(c)) {
        opnum = next_opnum(c);
        start_call(c, opnum, next_size(c, opnum));
    } else if (c->last_call) {
        start_call(c, ADD_ONE, 41);
    }
    return c->sending;
}

/* The byte of a request's stub at that place. */
static uint8_t stub_byte(const rpcl_call *call, uint64_t at)
{
    uint8_t head[ARRAY_AT];

    if (at >= ARRAY_AT)
        return data_byte(call->id, at - ARRAY_AT);
    put32(head, call->size);
    put32(head + 4, call->size);
    return head[at];
}

/* Makes the next fragment of the newest call. */
static void make_request(rpcl_calls *c)
{
    const rpcl_call *call = &c->call[(c->first + c->n - 1)
                                     % RPCL_OUTSTANDING_MAX];
    bool array = call->opnum == ECHO_DATA || call->opnum == SINK_DATA;
    uint64_t total = array ? ARRAY_AT + (uint64_t)call->size : 4;
    uint64_t left = total - c->sent;
    uint32_t room = (c->max_xmit - CALL_HEADER) & ~7u;
    uint32_t n = left < room ? (uint32_t)left : room, i;
    uint8_t flags = c->sent == 0 ? FIRST_FRAG : 0;

    if (n == left)
        flags |= LAST_FRAG;
    put_header(c->pdu, RPCH_PTYPE_REQUEST, flags, CALL_HEADER + n, call->id);
    put32(c->pdu + 16, left > UINT32_MAX ? UINT32_MAX : (uint32_t)left);
    put16(c->pdu + 20, 0);
    put16(c->pdu + 22, call->opnum);
    for (i = 0; i < n; i++)
        c->pdu[CALL_HEADER + i] = stub_byte(call, c->sent + i);
    c->pdu_len = CALL_HEADER + n;
    c->sent += n;
    c->sending = n < left;
}

const uint8_t *rpcl_calls_pdu(rpcl_calls *c, size_t *len)
{
    if (c->pdu_len == 0 && !c->bind_sent) {
        put_header(c->pdu, RPCH_PTYPE_BIND, FIRST_FRAG | LAST_FRAG,
                   RPCH_PDU_HEADER_SIZE + sizeof(bind_body), ++c->last_id);
        memcpy(c->pdu + RPCH_PDU_HEADER_SIZE, bind_body, sizeof(bind_body));
        c->pdu_len = RPCH_PDU_HEADER_SIZE + sizeof(bind_body);
        c->bind_sent = true;
    } else if (c->pdu_len == 0 && c->bound && have_call(c)) {
        make_request(c);
    }
    *len = c->pdu_len;
    return c->pdu_len > 0 ? c->pdu : NULL;
}

void rpcl_calls_sent(rpcl_calls *c)
{
    c->pdu_len = 0;
}

/* ---- answers -------------------------------------------------------------- */

static bool take_bind_ack(rpcl_calls *c)
{
    size_t at = 26;

    if (c->got_len < at + 2 || c->got[2] != RPCH_PTYPE_BIND_ACK)
        return fail(c, "the server refused the bind");
    c->max_xmit = rpch_le16(c->got + 18); /* max_recv_frag */
    if (c->max_xmit > RPCL_FRAGMENT)
        c->max_xmit = RPCL_FRAGMENT;
    at = (at + rpch_le16(c->got + 24) + 3) & ~(size_t)3;
    if (c->max_xmit < 1432 || c->got_len < at + 6
        || rpch_le16(c->got + at + 4) != 0)
        return fail(c, "the server does not serve rpcecho");
    c->bound = true;
    c->answered++;
    return true;
}

/* Size of an answer's stub. */
static uint64_t answer_size(const rpcl_call *call)
{
    if (call->opnum == SINK_DATA)
        return 0;
    return call->opnum == ADD_ONE ? 4 : ANSWER_AT + (uint64_t)call->size;
}

/* The byte that an answer's stub must have there. */
static uint8_t answer_byte(const rpcl_call *call, uint64_t at)
{
    uint8_t head[ANSWER_AT];

    if (at >= ANSWER_AT)
        return call->opnum == ECHO_DATA ? data_byte(call->id, at - ANSWER_AT)
                                        : (uint8_t)(at - ANSWER_AT);
    put32(head, call->opnum == ADD_ONE ? call->size + 1 : call->size);
    return head[at];
}

static void end_call(rpcl_calls *c, const rpcl_call *call)
{
    if (call->opnum == ECHO_DATA || call->opnum == SINK_DATA)
        c->up += call->size;
    if (call->opnum == ECHO_DATA || call->opnum == SOURCE_DATA)
        c->down += call->size;
    c->answered++;
    c->first = (c->first + 1) % RPCL_OUTSTANDING_MAX;
    c->n--;
}

static bool take_response(rpcl_calls *c)
{
    rpcl_call *call = &c->call[c->first];
    size_t i, n = c->got_len - CALL_HEADER;

    if (c->n == 0 || get32(c->got + 12) != call->id)
        return fail(c, "an answer to no call, or out of order");
    if (((c->got[3] & FIRST_FRAG) != 0) != (call->at == 0))
        return fail(c, "the fragments of an answer are out of order");
    if (n > answer_size(call) - call->at)
        return fail(c, "an answer is too long");
    for (i = 0; i < n; i++)
        if (c->got[CALL_HEADER + i] != answer_byte(call, call->at + i))
            return fail(c, "a byte of an answer is wrong");
    call->at += n;
    if (!(c->got[3] & LAST_FRAG))
        return true;
    if (call->at != answer_size(call))
        return fail(c, "an answer is too short");
    end_call(c, call);
    return true;
}

static bool take(rpcl_calls *c)
{
    if (c->got_len >= RPCH_PDU_HEADER_SIZE && !c->bound)
        return take_bind_ack(c);
    if (c->got_len < CALL_HEADER)
        return fail(c, "an answer without its header");
    if (c->got[2] == RPCH_PTYPE_FAULT && c->got_len >= CALL_HEADER + 4) {
        c->fault = get32(c->got + CALL_HEADER);
        return fail(c, "the server answered with a fault");
    }
    if (c->got[2] != RPCH_PTYPE_RESPONSE)
        return fail(c, "a PDU that is no answer");
    return take_response(c);
}

bool rpcl_calls_feed(rpcl_calls *c, const uint8_t *p, size_t len, bool last)
{
    if (len > sizeof(c->got) - c->got_len)
        return fail(c, "a PDU that is too large");
    memcpy(c->got + c->got_len, p, len);
    c->got_len += len;
    if (!last)
        return true;
    if (!take(c))
        return false;
    c->got_len = 0;
    return true;
}

bool rpcl_calls_done(const rpcl_calls *c)
{
    return c->bound && c->n == 0 && !c->last_call && all_made(c)
        && c->pdu_len == 0;
}

void rpcl_calls_add_one(rpcl_calls *c)
{
    c->last_call = true;
}
