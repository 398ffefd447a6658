/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bind.c - bind and alter_context, C706 12.6.4.1 and 12.6.4.3.
 *
 * The whole PDU is checked once; what is read from a checked one needs no
 * check any more.
 */
#include "rpch/bind.h"

#include <string.h>

#include "rpch/wire.h"

#define HEAD_SIZE 12     /* behind the common header, up to the contexts */
#define CONTEXT_SIZE 24  /* without its transfer syntaxes */
#define SYNTAX_SIZE 20
#define TRAILER_SIZE 8   /* of the authentication verifier, 13.2.6.1 */

static uint16_t get16(const rpch_pdu *pdu, const uint8_t *p)
{
    return pdu->big_endian ? rpch_be16(p) : rpch_le16(p);
}

/* The fields of a UUID are integers of the PDU's byte order. */
static void get_syntax(const rpch_pdu *pdu, const uint8_t *p, rpch_syntax *out)
{
    static const uint8_t swapped[8] = { 3, 2, 1, 0, 5, 4, 7, 6 };
    uint32_t version = pdu->big_endian ? rpch_be32(p + 16) : rpch_le32(p + 16);
    unsigned i;

    memcpy(out->uuid, p, sizeof(out->uuid));
    for (i = 0; !pdu->big_endian && i < sizeof(swapped); i++)
        out->uuid[i] = p[swapped[i]];
    out->major = (uint16_t)version;
    out->minor = (uint16_t)(version >> 16);
}

static int refuse(const char **reason, const char *text)
{
    *reason = text;
    return RPCH_E_SYNTAX;
}

/* What follows the contexts: nothing, or padding and the verifier. */
static int check_rest(const rpch_pdu *pdu, const uint8_t *p, size_t left,
                      const char **reason)
{
    const uint8_t *trailer;

    if (pdu->auth_len == 0)
        return left < 4 ? RPCH_OK
                        : refuse(reason, "bytes behind the contexts");
    if (left < TRAILER_SIZE + (size_t)pdu->auth_len)
        return refuse(reason, "auth_length does not fit");
    left -= TRAILER_SIZE + (size_t)pdu->auth_len;
    trailer = p + left;
    if (trailer[2] != left)
        return refuse(reason, "auth_pad_length is not what lies there");
    return RPCH_OK;
}

int rpch_bind_parse(const uint8_t *pdu, size_t len, rpch_bind *out,
                    const char **reason)
{
    rpch_reader r = rpch_reader_of(pdu, len);
    const uint8_t *p;
    unsigned i;
    int rc = rpch_pdu_parse(pdu, len, &out->pdu, reason);

    if (rc != RPCH_OK)
        return rc;
    if (out->pdu.ptype != RPCH_PTYPE_BIND
        && out->pdu.ptype != RPCH_PTYPE_ALTER_CONTEXT)
        return refuse(reason, "neither bind nor alter_context");
    if (len < out->pdu.frag_len)
        return RPCH_AGAIN;
    r.len = out->pdu.frag_len;
    rpch_take(&r, RPCH_PDU_HEADER_SIZE);
    p = rpch_take(&r, HEAD_SIZE);
    if (p == NULL)
        return refuse(reason, "too short for a bind");
    out->max_xmit = get16(&out->pdu, p);
    out->max_recv = get16(&out->pdu, p + 2);
    out->group = out->pdu.big_endian ? rpch_be32(p + 4) : rpch_le32(p + 4);
    out->contexts = p[8];
    out->list = p + HEAD_SIZE;
    if (out->contexts == 0)
        return refuse(reason, "no presentation context");
    for (i = 0; i < out->contexts; i++) {
        p = rpch_take(&r, CONTEXT_SIZE);
        if (p != NULL && p[2] == 0)
            return refuse(reason, "a context without transfer syntax");
        if (p == NULL || rpch_take(&r, (size_t)p[2] * SYNTAX_SIZE) == NULL)
            return refuse(reason, "the contexts do not fit");
    }
    return check_rest(&out->pdu, r.p + r.pos, r.len - r.pos, reason);
}

bool rpch_bind_context_at(const rpch_bind *b, unsigned i,
                          rpch_bind_context *out)
{
    const uint8_t *p = b->list;

    if (i >= b->contexts)
        return false;
    while (i-- > 0)
        p += CONTEXT_SIZE + (size_t)p[2] * SYNTAX_SIZE;
    out->id = get16(&b->pdu, p);
    out->transfers = p[2];
    get_syntax(&b->pdu, p + 4, &out->interface);
    out->transfer = p + CONTEXT_SIZE;
    return true;
}

bool rpch_bind_transfer(const rpch_bind *b, const rpch_bind_context *context,
                        unsigned i, rpch_syntax *out)
{
    if (i >= context->transfers)
        return false;
    get_syntax(&b->pdu, context->transfer + (size_t)i * SYNTAX_SIZE, out);
    return true;
}

const char *rpch_uuid_text(const uint8_t uuid[16], char *out)
{
    static const char digit[] = "0123456789abcdef";
    char *at = out;
    unsigned i;

    for (i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            *at++ = '-';
        *at++ = digit[uuid[i] >> 4];
        *at++ = digit[uuid[i] & 15];
    }
    *at = '\0';
    return out;
}
