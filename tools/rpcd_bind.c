/* SPDX-License-Identifier: Apache-2.0 */
/* rpcd_bind.c - bind and alter_context, and what answers them */
#include "rpcd_rpc.h"

#include <stdio.h>

/* Contexts of one bind: so many that the answer fits in RPCD_FRAG_MIN. */
#define ELEMENTS_MAX 48u

#define SYNTAX_SIZE 20u
#define RESULT_SIZE 24u
#define NAK_SIZE 24u

/* "65535" and the NUL, C706 12.6.4.4 port_any_t */
#define SEC_ADDR_MAX 6u

/* provider_reject_reason, MS-RPCE 2.2.2.5 */
enum {
    NAK_NOT_SPECIFIED = 0,
    NAK_LOCAL_LIMIT = 2,
    NAK_PROTOCOL_VERSION = 4,
    NAK_AUTHN_TYPE = 8
};

/* p_cont_def_result_t, and p_provider_reason_t */
enum { ACCEPTANCE = 0, PROVIDER_REJECTION = 2, NEGOTIATE_ACK = 3 };
enum { ABSTRACT_SYNTAX = 1, TRANSFER_SYNTAXES = 2, LOCAL_LIMIT = 3 };

static const rpcd_syntax ndr = {
    { 0x8a885d04, 0x1ceb, 0x11c9,
      { 0x9f, 0xe8, 0x08, 0x00, 0x2b, 0x10, 0x48, 0x60 } }, 2, 0
};

/* Bind time feature negotiation, MS-RPCE 3.3.1.5.3: the last eight bytes are
 * a bit mask. */
static const rpcd_uuid features = { 0x6cb71c2c, 0x9812, 0x4540, { 0 } };

typedef struct element {
    uint16_t id;
    rpcd_syntax abstract;
    bool has_ndr;
    bool is_features;
} element;

typedef struct result {
    uint16_t result;
    uint16_t reason;
} result;

rpcd_uuid rpcd_get_uuid(const uint8_t *p, bool big_endian)
{
    rpcd_uuid u;

    u.a = rpcd_get32(p, big_endian);
    u.b = rpcd_get16(p + 4, big_endian);
    u.c = rpcd_get16(p + 6, big_endian);
    memcpy(u.d, p + 8, sizeof(u.d));
    return u;
}

void rpcd_put_uuid(uint8_t *p, const rpcd_uuid *u, bool big_endian)
{
    rpcd_put32(p, u->a, big_endian);
    rpcd_put16(p + 4, u->b, big_endian);
    rpcd_put16(p + 6, u->c, big_endian);
    memcpy(p + 8, u->d, sizeof(u->d));
}

bool rpcd_uuid_equal(const rpcd_uuid *a, const rpcd_uuid *b)
{
    return a->a == b->a && a->b == b->b && a->c == b->c
        && memcmp(a->d, b->d, sizeof(a->d)) == 0;
}

static bool get_syntax(rpch_reader *r, bool big_endian, rpcd_syntax *s)
{
    const uint8_t *p = rpch_take(r, SYNTAX_SIZE);
    uint32_t version;

    if (p == NULL)
        return false;
    version = rpcd_get32(p + 16, big_endian);
    s->uuid = rpcd_get_uuid(p, big_endian);
    s->major = (uint16_t)version;
    s->minor = (uint16_t)(version >> 16);
    return true;
}

static bool get_element(rpch_reader *r, bool big_endian, element *e)
{
    const uint8_t *p = rpch_take(r, 4);
    rpcd_syntax transfer;
    unsigned n;

    memset(e, 0, sizeof(*e));
    if (p == NULL)
        return false;
    e->id = rpcd_get16(p, big_endian);
    n = p[2];
    if (n == 0 || !get_syntax(r, big_endian, &e->abstract))
        return false;
    for (; n > 0; n--) {
        if (!get_syntax(r, big_endian, &transfer))
            return false;
        if (rpcd_uuid_equal(&transfer.uuid, &ndr.uuid)
            && transfer.major == ndr.major && transfer.minor == ndr.minor)
            e->has_ndr = true;
        if (transfer.uuid.a == features.a && transfer.uuid.b == features.b
            && transfer.uuid.c == features.c && transfer.major == 1)
            e->is_features = true;
    }
    return true;
}

/* Enters an accepted context; one of the same id is replaced. */
static bool add_context(rpcd_assoc *a, uint16_t id,
                        const rpcd_interface *interface)
{
    unsigned i;

    for (i = 0; i < a->n_contexts; i++)
        if (a->context[i].id == id)
            break;
    if (i == RPCD_CONTEXTS_MAX)
        return false;
    if (i == a->n_contexts)
        a->n_contexts++;
    a->context[i].id = id;
    a->context[i].interface = interface;
    return true;
}

static result negotiate(rpcd_assoc *a, const element *e)
{
    const rpcd_interface *interface = rpcd_interface_find(&e->abstract);
    result r = { PROVIDER_REJECTION, 0 };

    if (e->is_features && !e->has_ndr) {
        r.result = NEGOTIATE_ACK; /* the reason has the features: none */
        return r;
    }
    if (interface == NULL)
        r.reason = ABSTRACT_SYNTAX;
    else if (!e->has_ndr)
        r.reason = TRANSFER_SYNTAXES;
    else if (!add_context(a, e->id, interface))
        r.reason = LOCAL_LIMIT;
    else
        r.result = ACCEPTANCE;
    return r;
}

static void nak(rpcd_assoc *a, const rpcd_origin *from, uint16_t reason)
{
    uint8_t *pdu = rpcd_answer_pdu(a, from, RPCH_PTYPE_BIND_NAK,
                                   RPCD_FIRST_FRAG | RPCD_LAST_FRAG, NAK_SIZE);

    a->ending = true;
    if (pdu == NULL)
        return;
    rpcd_put16(pdu + 16, reason, from->big_endian);
    pdu[18] = 1; /* one version is spoken: 5.0 */
    pdu[19] = 5;
}

/* A bind is refused by a bind_nak, an alter_context by a fault. */
static void refuse(rpcd_assoc *a, const rpcd_origin *from, uint8_t ptype,
                   uint16_t reason)
{
    if (ptype == RPCH_PTYPE_BIND) {
        nak(a, from, reason);
        return;
    }
    rpcd_answer_fault(a, from, 0, reason == NAK_AUTHN_TYPE
                      ? RPCD_BAD_AUTHN_LEVEL : RPCD_PROTO_ERROR);
    a->ending = true;
}

static void put_result(uint8_t *p, result r, bool big_endian)
{
    rpcd_put16(p, r.result, big_endian);
    rpcd_put16(p + 2, r.reason, big_endian);
    if (r.result != ACCEPTANCE)
        return;
    rpcd_put_uuid(p + 4, &ndr.uuid, big_endian);
    rpcd_put32(p + 20, ndr.major, big_endian);
}

/* Fragment size from what the client says it takes. */
static uint16_t fragment(uint16_t theirs)
{
    if (theirs < RPCD_FRAG_MIN)
        return RPCD_FRAG_MIN;
    return theirs > RPCD_FRAG_MAX ? RPCD_FRAG_MAX : theirs;
}

static void accept_bind(rpcd_assoc *a, const rpcd_origin *from, uint8_t ptype,
                        const uint8_t *p, const element *e, unsigned n)
{
    static uint32_t groups;
    bool is_bind = ptype == RPCH_PTYPE_BIND;
    bool be = from->big_endian;
    char addr[SEC_ADDR_MAX];
    size_t addr_len, at;
    uint32_t group = rpcd_get32(p + 20, be);
    uint8_t *pdu;
    unsigned i;

    addr_len = is_bind
             ? (size_t)snprintf(addr, sizeof(addr), "%u", a->port) + 1 : 0;
    at = (26 + addr_len + 3) & ~(size_t)3;
    pdu = rpcd_answer_pdu(a, from, is_bind ? RPCH_PTYPE_BIND_ACK
                          : RPCH_PTYPE_ALTER_CONTEXT_RESP,
                          RPCD_FIRST_FRAG | RPCD_LAST_FRAG,
                          at + 4 + RESULT_SIZE * n);
    if (pdu == NULL)
        return;
    if (is_bind)
        a->max_xmit = fragment(rpcd_get16(p + 18, be));
    if (group == 0 && ++groups == 0)
        groups = 1;
    a->bound = true;
    rpcd_put16(pdu + 16, a->max_xmit, be);
    rpcd_put16(pdu + 18, fragment(rpcd_get16(p + 16, be)), be);
    rpcd_put32(pdu + 20, group != 0 ? group : groups, be);
    rpcd_put16(pdu + 24, (uint16_t)addr_len, be);
    memcpy(pdu + 26, addr, addr_len);
    pdu[at] = (uint8_t)n;
    for (i = 0; i < n; i++)
        put_result(pdu + at + 4 + RESULT_SIZE * i, negotiate(a, &e[i]), be);
}

void rpcd_bind(rpcd_assoc *a, const uint8_t *p, const rpch_pdu *h)
{
    rpch_reader r = rpch_reader_of(p, h->frag_len);
    uint8_t whole = RPCD_FIRST_FRAG | RPCD_LAST_FRAG;
    element e[ELEMENTS_MAX];
    rpcd_origin from;
    const uint8_t *head;
    unsigned i, n;

    from.minor = p[1];
    memcpy(from.drep, p + 4, sizeof(from.drep));
    from.big_endian = h->big_endian;
    from.call_id = h->call_id;
    if (h->auth_len != 0) {
        refuse(a, &from, h->ptype, NAK_AUTHN_TYPE);
        return;
    }
    if ((h->ptype == RPCH_PTYPE_BIND) == a->bound) {
        refuse(a, &from, h->ptype, NAK_NOT_SPECIFIED);
        return;
    }
    head = rpch_take(&r, 28);
    n = head != NULL ? head[24] : 0;
    if (n == 0 || (h->flags & whole) != whole) {
        refuse(a, &from, h->ptype, NAK_PROTOCOL_VERSION);
        return;
    }
    if (n > ELEMENTS_MAX) {
        refuse(a, &from, h->ptype, NAK_LOCAL_LIMIT);
        return;
    }
    for (i = 0; i < n; i++) {
        if (!get_element(&r, h->big_endian, &e[i])) {
            refuse(a, &from, h->ptype, NAK_PROTOCOL_VERSION);
            return;
        }
    }
    accept_bind(a, &from, h->ptype, p, e, n);
}
