/* SPDX-License-Identifier: Apache-2.0 */
/* msg.c - encodes and decodes the messages that channels send each other */
#include "relay/msg.h"

#include <string.h>

#include "rpch/wire.h"

#define RTS_SIZE_MIN 20u

static const uint8_t magic[4] = { 'R', 'P', 'X', RELAY_MSG_VERSION };

static void put_cookie(rpch_writer *w, const rpch_cookie *c)
{
    rpch_put_bytes(w, c->b, sizeof(c->b));
}

static void get_bytes(rpch_reader *r, void *out, size_t n)
{
    const uint8_t *p = rpch_take(r, n);
    if (p)
        memcpy(out, p, n);
}

static void get_cookie(rpch_reader *r, rpch_cookie *c)
{
    get_bytes(r, c->b, sizeof(c->b));
}

static bool pdu_len_ok(size_t n)
{
    return n >= RTS_SIZE_MIN && n <= RPCH_RTS_SIZE_MAX;
}

static bool data_len_ok(size_t n)
{
    return n >= 1 && n <= RELAY_MSG_DATA_MAX;
}

static bool value_ok(const relay_msg *m)
{
    switch (m->type) {
    case RELAY_MSG_RTS:
        return m->pdu && pdu_len_ok(m->pdu_len);
    case RELAY_MSG_END:
    case RELAY_MSG_REFUSE:
        return memchr(m->text, 0, sizeof(m->text)) != NULL;
    case RELAY_MSG_ATTACH:
        return m->dir <= 1;
    case RELAY_MSG_MOVE:
    case RELAY_MSG_ROLE:
    case RELAY_MSG_TAIL:
        return m->data && data_len_ok(m->data_len);
    default:
        return m->type >= RELAY_MSG_HELLO && m->type < RELAY_MSG_TYPE_MAX;
    }
}

static void encode_attach(rpch_writer *w, const relay_msg *m)
{
    rpch_put_le64(w, m->nonce);
    rpch_put_le32(w, m->pid);
    rpch_put_u8(w, m->dir);
    put_cookie(w, &m->vc);
    put_cookie(w, &m->predecessor);
    put_cookie(w, &m->successor);
    rpch_put_bytes(w, m->identity.b, sizeof(m->identity.b));
    rpch_put_le32(w, m->window);
    rpch_put_le64(w, m->channel);
    rpch_put_le64(w, m->from);
}

static void encode_end(rpch_writer *w, const relay_msg *m)
{
    size_t n = strlen(m->text);
    rpch_put_le32(w, (uint32_t)m->status);
    rpch_put_le16(w, (uint16_t)n);
    rpch_put_bytes(w, m->text, n);
}

static void encode_data(rpch_writer *w, const relay_msg *m)
{
    rpch_put_le16(w, m->data_len);
    rpch_put_bytes(w, m->data, m->data_len);
}

/* The fields of m->type. */
static void encode_fields(rpch_writer *w, const relay_msg *m)
{
    switch (m->type) {
    case RELAY_MSG_HELLO:
        rpch_put_le64(w, m->nonce);
        rpch_put_le32(w, m->pid);
        break;
    case RELAY_MSG_JOIN:
        put_cookie(w, &m->vc);
        rpch_put_bytes(w, m->identity.b, sizeof(m->identity.b));
        rpch_put_le64(w, m->channel);
        break;
    case RELAY_MSG_WAKE:
        put_cookie(w, &m->vc);
        rpch_put_le64(w, m->channel);
        break;
    case RELAY_MSG_RTS:
        rpch_put_le16(w, m->pdu_len);
        rpch_put_bytes(w, m->pdu, m->pdu_len);
        break;
    case RELAY_MSG_END:
    case RELAY_MSG_REFUSE:
        encode_end(w, m);
        break;
    case RELAY_MSG_ATTACH:
        encode_attach(w, m);
        break;
    case RELAY_MSG_MOVE:
        rpch_put_le32(w, m->tail);
        encode_data(w, m);
        break;
    case RELAY_MSG_ROLE:
    case RELAY_MSG_TAIL:
        encode_data(w, m);
        break;
    default: /* JOINED, ATTACHED and LINK have no fields */
        break;
    }
}

int relay_msg_encode(const relay_msg *m, uint8_t *out, size_t room,
                     size_t *len)
{
    rpch_writer w = rpch_writer_of(out, room);

    *len = 0;
    if (!value_ok(m))
        return RPCH_E_VALUE;
    rpch_put_bytes(&w, magic, sizeof(magic));
    rpch_put_le32(&w, (uint32_t)m->type);
    encode_fields(&w, m);
    if (w.bad)
        return RPCH_E_ROOM;
    *len = w.pos;
    return RPCH_OK;
}

/* Decodes status and text; returns the reason why not, or NULL. */
static const char *decode_end(rpch_reader *r, relay_msg *out)
{
    size_t n;
    const uint8_t *text;

    out->status = (int32_t)rpch_get_le32(r);
    n = rpch_get_le16(r);
    if (n >= sizeof(out->text))
        return "text too long";
    text = rpch_take(r, n);
    if (text && memchr(text, 0, n))
        return "text with a zero byte";
    if (text)
        memcpy(out->text, text, n);
    return NULL;
}

/* Decodes the one PDU; returns the reason why not, or NULL. */
static const char *decode_rts(rpch_reader *r, relay_msg *out)
{
    size_t n = rpch_get_le16(r);

    if (!r->bad && !pdu_len_ok(n))
        return "PDU length out of range";
    out->pdu_len = (uint16_t)n;
    out->pdu = rpch_take(r, n);
    return NULL;
}

/* Decodes the data; returns the reason why not, or NULL. */
static const char *decode_data(rpch_reader *r, relay_msg *out)
{
    size_t n = rpch_get_le16(r);

    if (!r->bad && !data_len_ok(n))
        return "data length out of range";
    out->data_len = (uint16_t)n;
    out->data = rpch_take(r, n);
    return NULL;
}

/* Decodes what a successor asks; returns the reason why not, or NULL. */
static const char *decode_attach(rpch_reader *r, relay_msg *out)
{
    out->nonce = rpch_get_le64(r);
    out->pid = rpch_get_le32(r);
    out->dir = rpch_get_u8(r);
    if (out->dir > 1)
        return "direction out of range";
    get_cookie(r, &out->vc);
    get_cookie(r, &out->predecessor);
    get_cookie(r, &out->successor);
    get_bytes(r, out->identity.b, sizeof(out->identity.b));
    out->window = rpch_get_le32(r);
    out->channel = rpch_get_le64(r);
    out->from = rpch_get_le64(r);
    return NULL;
}

/* Decodes the fields of out->type; returns the reason why not, or NULL. */
static const char *decode_fields(rpch_reader *r, relay_msg *out)
{
    switch (out->type) {
    case RELAY_MSG_HELLO:
        out->nonce = rpch_get_le64(r);
        out->pid = rpch_get_le32(r);
        return NULL;
    case RELAY_MSG_JOIN:
        get_cookie(r, &out->vc);
        get_bytes(r, out->identity.b, sizeof(out->identity.b));
        out->channel = rpch_get_le64(r);
        return NULL;
    case RELAY_MSG_RTS:
        return decode_rts(r, out);
    case RELAY_MSG_END:
    case RELAY_MSG_REFUSE:
        return decode_end(r, out);
    case RELAY_MSG_WAKE:
        get_cookie(r, &out->vc);
        out->channel = rpch_get_le64(r);
        return NULL;
    case RELAY_MSG_ATTACH:
        return decode_attach(r, out);
    case RELAY_MSG_MOVE:
        out->tail = rpch_get_le32(r);
        return decode_data(r, out);
    case RELAY_MSG_ROLE:
    case RELAY_MSG_TAIL:
        return decode_data(r, out);
    case RELAY_MSG_JOINED:
    case RELAY_MSG_ATTACHED:
    case RELAY_MSG_LINK:
        return NULL;
    default:
        return "unknown type";
    }
}

static const char *decode(rpch_reader *r, relay_msg *out)
{
    const uint8_t *head = rpch_take(r, 8);
    const char *why;

    if (!head)
        return "shorter than a header";
    if (memcmp(head, magic, 3) != 0)
        return "not a message of this module";
    if (head[3] != RELAY_MSG_VERSION)
        return "another version";
    if (head[5] | head[6] | head[7])
        return "reserved bytes set";
    out->type = (relay_msg_type)head[4];
    why = decode_fields(r, out);
    if (why)
        return why;
    if (r->bad)
        return "cut short";
    return r->pos == r->len ? NULL : "bytes after the last field";
}

int relay_msg_decode(const uint8_t *in, size_t len, relay_msg *out,
                     const char **reason)
{
    rpch_reader r = rpch_reader_of(in, len);

    memset(out, 0, sizeof(*out));
    *reason = decode(&r, out);
    if (!*reason)
        return RPCH_OK;
    memset(out, 0, sizeof(*out));
    return RPCH_E_SYNTAX;
}

const char *relay_msg_name(int type)
{
    static const char *const names[RELAY_MSG_TYPE_MAX] = {
        [RELAY_MSG_HELLO] = "HELLO",   [RELAY_MSG_JOIN] = "JOIN",
        [RELAY_MSG_JOINED] = "JOINED", [RELAY_MSG_RTS] = "RTS",
        [RELAY_MSG_END] = "END",       [RELAY_MSG_WAKE] = "WAKE",
        [RELAY_MSG_REFUSE] = "REFUSE", [RELAY_MSG_ATTACH] = "ATTACH",
        [RELAY_MSG_ATTACHED] = "ATTACHED", [RELAY_MSG_MOVE] = "MOVE",
        [RELAY_MSG_ROLE] = "ROLE",     [RELAY_MSG_LINK] = "LINK",
        [RELAY_MSG_TAIL] = "TAIL",
    };
    if (type < RELAY_MSG_HELLO || type >= RELAY_MSG_TYPE_MAX)
        return "unknown";
    return names[type];
}
