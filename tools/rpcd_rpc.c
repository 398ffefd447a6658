/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rpcd_rpc.c - PDUs of one association: cutting, calls of several fragments,
 * answers of several fragments, faults.
 */
#include "rpcd_rpc.h"

#include <stdlib.h>

#define FAULT_SIZE 32u
#define OBJECT_SIZE 16u

/* One period before the longest run that a fragment can need. */
static uint8_t pattern[256 + RPCD_FRAG_MAX];

void rpcd_rpc_init(rpcd_assoc *a, uint64_t max_call, uint16_t port)
{
    size_t i;

    memset(a, 0, sizeof(*a));
    a->max_call = max_call;
    a->port = port;
    a->max_xmit = RPCD_FRAG_MIN;
    if (pattern[1] == 0)
        for (i = 0; i < sizeof(pattern); i++)
            pattern[i] = (uint8_t)i;
}

static void end_call(rpcd_assoc *a)
{
    rpcd_buf_free(&a->call.stub);
    memset(&a->call, 0, sizeof(a->call));
}

static void end_answer(rpcd_assoc *a)
{
    free(a->answer.base);
    memset(&a->answer, 0, sizeof(a->answer));
}

void rpcd_rpc_free(rpcd_assoc *a)
{
    rpcd_buf_free(&a->in);
    end_call(a);
    end_answer(a);
}

static rpcd_origin origin_of(const uint8_t *p, const rpch_pdu *h)
{
    rpcd_origin from;

    from.minor = p[1];
    memcpy(from.drep, p + 4, sizeof(from.drep));
    from.big_endian = h->big_endian;
    from.call_id = h->call_id;
    return from;
}

static void put_header(uint8_t *out, const rpcd_origin *from, uint8_t ptype,
                       uint8_t flags, size_t len)
{
    memset(out, 0, RPCH_PDU_HEADER_SIZE);
    out[0] = 5;
    out[1] = from->minor;
    out[2] = ptype;
    out[3] = flags;
    memcpy(out + 4, from->drep, sizeof(from->drep));
    rpcd_put16(out + 8, (uint16_t)len, from->big_endian);
    rpcd_put32(out + 12, from->call_id, from->big_endian);
}

uint8_t *rpcd_answer_pdu(rpcd_assoc *a, const rpcd_origin *from, uint8_t ptype,
                         uint8_t flags, size_t len)
{
    uint8_t *pdu = calloc(1, len);

    if (pdu == NULL) {
        a->ending = true;
        return NULL;
    }
    put_header(pdu, from, ptype, flags, len);
    a->answer.pending = true;
    a->answer.is_pdu = true;
    a->answer.base = pdu;
    a->answer.data = pdu;
    a->answer.len = len;
    return pdu;
}

void rpcd_answer_fault(rpcd_assoc *a, const rpcd_origin *from,
                       uint16_t context, uint32_t status)
{
    uint8_t flags = RPCD_FIRST_FRAG | RPCD_LAST_FRAG | RPCD_DID_NOT_EXECUTE;
    uint8_t *pdu = rpcd_answer_pdu(a, from, RPCH_PTYPE_FAULT, flags,
                                   FAULT_SIZE);

    if (pdu == NULL)
        return;
    rpcd_put32(pdu + 16, FAULT_SIZE, from->big_endian);
    rpcd_put16(pdu + 20, context, from->big_endian);
    rpcd_put32(pdu + 24, status, from->big_endian);
}

/* After it the client and we may disagree about what comes next. */
static void break_off(rpcd_assoc *a, const rpcd_origin *from,
                      uint16_t context, uint32_t status)
{
    end_call(a);
    rpcd_answer_fault(a, from, context, status);
    a->ending = true;
}

/* Which operation a first fragment asks for; otherwise the fault. */
static const rpcd_op *find_op(const rpcd_assoc *a, uint16_t context,
                              uint16_t opnum, uint32_t *fault)
{
    const rpcd_interface *interface;
    unsigned i;

    for (i = 0; i < a->n_contexts; i++)
        if (a->context[i].id == context)
            break;
    if (i == a->n_contexts) {
        *fault = RPCD_BAD_CONTEXT;
        return NULL;
    }
    interface = a->context[i].interface;
    if (opnum >= interface->n_ops || interface->op[opnum].run == NULL) {
        *fault = RPCD_OP_RANGE;
        return NULL;
    }
    return &interface->op[opnum];
}

static void start_call(rpcd_assoc *a, const uint8_t *p, const rpch_pdu *h)
{
    rpcd_call *call = &a->call;

    call->open = true;
    call->maybe = (h->flags & RPCD_MAYBE) != 0;
    call->from = origin_of(p, h);
    call->context = rpcd_get16(p + 20, h->big_endian);
    call->max = a->max_call;
    call->op = find_op(a, call->context, rpcd_get16(p + 22, h->big_endian),
                       &call->fault);
}

static void run_call(rpcd_assoc *a)
{
    rpcd_call *call = &a->call;
    rpcd_answer *answer = &a->answer;

    if (call->fault == RPCD_OK)
        call->fault = call->op->run(call, answer);
    if (call->maybe) {
        end_answer(a);
    } else if (call->fault != RPCD_OK) {
        rpcd_answer_fault(a, &call->from, call->context, call->fault);
    } else {
        answer->pending = true;
        answer->from = call->from;
        answer->context = call->context;
    }
    end_call(a);
}

static void take_request(rpcd_assoc *a, const uint8_t *p, const rpch_pdu *h)
{
    size_t head = RPCD_CALL_HEADER_SIZE
                + (h->flags & RPCD_OBJECT_UUID ? OBJECT_SIZE : 0);
    bool first = (h->flags & RPCD_FIRST_FRAG) != 0;
    rpcd_call *call = &a->call;
    rpcd_origin from = origin_of(p, h);
    uint16_t context;
    size_t n, keep;

    if (h->frag_len < head) {
        break_off(a, &from, 0, RPCD_PROTO_ERROR);
        return;
    }
    context = rpcd_get16(p + 20, h->big_endian);
    if (h->auth_len != 0) {
        break_off(a, &from, context, RPCD_BAD_AUTHN_LEVEL);
        return;
    }
    if (first == call->open || (!first && h->call_id != call->from.call_id)) {
        break_off(a, &from, context, RPCD_PROTO_ERROR);
        return;
    }
    if (first)
        start_call(a, p, h);
    n = h->frag_len - head;
    call->total += n;
    if (call->total > a->max_call) {
        break_off(a, &from, context, RPCD_OUT_ARGS_TOO_BIG);
        return;
    }
    if (call->op != NULL && rpcd_buf_len(&call->stub) < call->op->keep) {
        keep = call->op->keep - rpcd_buf_len(&call->stub);
        if (!rpcd_buf_add(&call->stub, p + head, n < keep ? n : keep)) {
            break_off(a, &from, context, RPCD_SERVER_TOO_BUSY);
            return;
        }
    }
    if (h->flags & RPCD_LAST_FRAG)
        run_call(a);
}

static void take(rpcd_assoc *a, const uint8_t *p, const rpch_pdu *h)
{
    rpcd_origin from = origin_of(p, h);

    switch (h->ptype) {
    case RPCH_PTYPE_REQUEST:
        take_request(a, p, h);
        break;
    case RPCH_PTYPE_BIND:
    case RPCH_PTYPE_ALTER_CONTEXT:
        if (a->call.open)
            break_off(a, &from, 0, RPCD_PROTO_ERROR);
        else
            rpcd_bind(a, p, h);
        break;
    case RPCH_PTYPE_ORPHANED:
        if (a->call.open && h->call_id == a->call.from.call_id)
            end_call(a);
        break;
    case RPCH_PTYPE_CO_CANCEL:
        break;
    default: /* nothing that a client may send without authentication */
        break_off(a, &from, 0, RPCD_PROTO_ERROR);
        break;
    }
}

static bool is_ready(const rpcd_assoc *a)
{
    return !a->ending && !a->answer.pending
        && (a->may_take == NULL || a->may_take(a->baton));
}

/* Takes the PDU at p when it is whole. Returns the bytes used: 0 when it is
 * not whole, all of them when it cannot be read. */
static size_t take_next(rpcd_assoc *a, const uint8_t *p, size_t len)
{
    rpch_pdu h;
    const char *reason;
    int rv = rpch_pdu_parse(p, len, &h, &reason);

    if (rv == RPCH_AGAIN)
        return 0;
    if (rv != RPCH_OK || h.frag_len > RPCD_FRAG_MAX
        || h.ptype == RPCH_PTYPE_RTS) {
        a->ending = true;
        return len;
    }
    if (len < h.frag_len)
        return 0;
    take(a, p, &h);
    if (a->taken != NULL)
        a->taken(a->baton, h.frag_len);
    return h.frag_len;
}

static void drain(rpcd_assoc *a)
{
    size_t n;

    while (rpcd_buf_len(&a->in) > 0 && is_ready(a)) {
        n = take_next(a, rpcd_buf_data(&a->in), rpcd_buf_len(&a->in));
        if (n == 0)
            break;
        rpcd_buf_drop(&a->in, n);
    }
    if (a->ending)
        rpcd_buf_free(&a->in);
}

/* Adds to the queue what its PDU lacks, which spares the bytes behind it the
 * way through the queue. Returns how many of p[0..len) that were. */
static size_t complete(rpcd_assoc *a, const uint8_t *p, size_t len)
{
    size_t have = rpcd_buf_len(&a->in);
    size_t n = RPCH_PDU_HEADER_SIZE;
    const uint8_t *head = rpcd_buf_data(&a->in);

    if (have >= n)
        n = rpcd_get16(head + 8, (head[4] & 0xf0) == 0);
    n = n - have < len ? n - have : len;
    if (!rpcd_buf_add(&a->in, p, n))
        a->ending = true;
    drain(a);
    return n;
}

void rpcd_rpc_feed(rpcd_assoc *a, const uint8_t *p, size_t len)
{
    size_t n;

    drain(a);
    while (len > 0 && is_ready(a)) {
        if (rpcd_buf_len(&a->in) > 0)
            n = complete(a, p, len);
        else
            n = take_next(a, p, len);
        if (n == 0)
            break;
        p += n;
        len -= n;
    }
    if (!a->ending && !rpcd_buf_add(&a->in, p, len))
        a->ending = true;
}

uint32_t rpcd_rpc_pending(rpcd_assoc *a)
{
    const rpcd_answer *answer = &a->answer;
    uint64_t left;
    uint32_t room = (a->max_xmit - RPCD_CALL_HEADER_SIZE) & ~7u;

    if (!answer->pending)
        drain(a);
    if (!answer->pending)
        return 0;
    if (answer->is_pdu)
        return (uint32_t)answer->len;
    left = answer->len + answer->pattern - answer->at;
    return RPCD_CALL_HEADER_SIZE + (left < room ? (uint32_t)left : room);
}

static void put_stub(const rpcd_answer *answer, uint8_t *out, size_t n)
{
    size_t m = 0;

    if (answer->at < answer->len) {
        m = answer->len - (size_t)answer->at;
        m = m < n ? m : n;
        memcpy(out, answer->data + answer->at, m);
    }
    if (m < n)
        memcpy(out + m, pattern + ((answer->at + m - answer->len) & 0xff),
               n - m);
}

void rpcd_rpc_write(rpcd_assoc *a, uint8_t *out)
{
    rpcd_answer *answer = &a->answer;
    uint32_t size = rpcd_rpc_pending(a);
    uint64_t left;
    uint8_t flags;

    if (answer->is_pdu) {
        memcpy(out, answer->data, size);
        end_answer(a);
        return;
    }
    left = answer->len + answer->pattern - answer->at;
    flags = answer->at == 0 ? RPCD_FIRST_FRAG : 0;
    size -= RPCD_CALL_HEADER_SIZE;
    if (size == left)
        flags |= RPCD_LAST_FRAG;
    put_header(out, &answer->from, RPCH_PTYPE_RESPONSE, flags,
               RPCD_CALL_HEADER_SIZE + size);
    rpcd_put32(out + 16, (uint32_t)left, answer->from.big_endian);
    rpcd_put16(out + 20, answer->context, answer->from.big_endian);
    rpcd_put16(out + 22, 0, false);
    put_stub(answer, out + RPCD_CALL_HEADER_SIZE, size);
    answer->at += size;
    if (flags & RPCD_LAST_FRAG)
        end_answer(a);
}

bool rpcd_rpc_is_over(const rpcd_assoc *a)
{
    return a->ending && !a->answer.pending;
}
