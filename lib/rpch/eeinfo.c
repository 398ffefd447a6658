/* SPDX-License-Identifier: Apache-2.0 */
/*
 * eeinfo.c - MS-EERR in type serialization version 1.
 *
 * The headers have 16 bytes together, so that alignment counts from the start
 * of the blob. What pointers lead to follows the record that has them, in
 * their order: the next record first, with all that is behind it, then the
 * texts. So the fixed parts of a chain come in its order and the texts in the
 * opposite one.
 */
#include "rpch/eeinfo.h"

#include <string.h>

#include "rpch/wire.h"

#define HEADERS 16
#define COMPUTER_PRESENT 1
#define COMPUTER_ABSENT 2

/* What a pointer is written as; any number but 0 will do. */
#define REFERENT 0x00020000u

#define SECONDS_1601_TO_1970 UINT64_C(11644473600)

uint64_t rpch_ee_time(uint64_t seconds)
{
    return (seconds + SECONDS_1601_TO_1970) * 10000000u;
}

const char *rpch_ee_type_name(rpch_ee_type type)
{
    static const char *const name[] = {
        "AnsiString", "UnicodeString", "LongVal", "ShortVal", "PointerVal",
        "None", "Binary"
    };
    unsigned i = (unsigned)type - 1;

    return i < sizeof(name) / sizeof(name[0]) ? name[i] : "unknown";
}

/* ---- encoding ------------------------------------------------------------ */

static void align_writer(rpch_writer *w, size_t n)
{
    while (!w->bad && w->pos % n != 0)
        rpch_put_u8(w, 0);
}

/* The fixed part of a text: its length with the NUL, and a pointer. */
static void put_text_head(rpch_writer *w, const char *text, uint32_t *referent)
{
    align_writer(w, 4);
    rpch_put_le16(w, (uint16_t)(strlen(text) + 1));
    align_writer(w, 4);
    rpch_put_le32(w, *referent);
    *referent += 4;
}

static void put_text(rpch_writer *w, const char *text)
{
    size_t n = strlen(text) + 1, i;

    align_writer(w, 4);
    rpch_put_le32(w, (uint32_t)n);
    for (i = 0; i < n; i++)
        rpch_put_le16(w, (uint8_t)text[i] < 0x80 ? (uint8_t)text[i] : '?');
}

static void put_param(rpch_writer *w, const rpch_ee_param *p,
                      uint32_t *referent)
{
    align_writer(w, 8);
    rpch_put_le16(w, (uint16_t)p->type);
    rpch_put_le16(w, (uint16_t)p->type);
    switch (p->type) {
    case RPCH_EE_UNICODE:
        put_text_head(w, p->text, referent);
        break;
    case RPCH_EE_LONG:
        align_writer(w, 4);
        rpch_put_le32(w, (uint32_t)p->number);
        break;
    case RPCH_EE_SHORT:
        rpch_put_le16(w, (uint16_t)p->number);
        break;
    case RPCH_EE_POINTER:
        align_writer(w, 8);
        rpch_put_le64(w, (uint64_t)p->number);
        break;
    default:
        break;
    }
}

static void put_record(rpch_writer *w, const rpch_ee_record *record)
{
    uint16_t computer = record->has_computer ? COMPUTER_PRESENT
                                             : COMPUTER_ABSENT;
    uint32_t referent = REFERENT;
    unsigned i;

    rpch_put_le32(w, referent);
    referent += 4;
    rpch_put_le32(w, record->params);
    align_writer(w, 8);
    rpch_put_le32(w, 0); /* Next */
    rpch_put_le16(w, computer);
    rpch_put_le16(w, computer);
    if (record->has_computer)
        put_text_head(w, record->computer, &referent);
    align_writer(w, 4);
    rpch_put_le32(w, record->pid);
    align_writer(w, 8);
    rpch_put_le64(w, record->time);
    rpch_put_le32(w, record->component);
    rpch_put_le32(w, record->status);
    rpch_put_le16(w, record->location);
    rpch_put_le16(w, record->flags);
    rpch_put_le16(w, (uint16_t)record->params);
    for (i = 0; i < record->params; i++)
        put_param(w, &record->param[i], &referent);
    if (record->has_computer)
        put_text(w, record->computer);
    for (i = 0; i < record->params; i++)
        if (record->param[i].type == RPCH_EE_UNICODE)
            put_text(w, record->param[i].text);
}

static bool text_ok(const char *text)
{
    return memchr(text, '\0', RPCH_EE_TEXT_SIZE) != NULL;
}

static bool record_ok(const rpch_ee_record *record)
{
    unsigned i;

    if (record->params > RPCH_EE_PARAMS_MAX
        || (record->has_computer && !text_ok(record->computer)))
        return false;
    for (i = 0; i < record->params; i++) {
        rpch_ee_type type = record->param[i].type;

        if (type < RPCH_EE_UNICODE || type > RPCH_EE_NONE
            || (type == RPCH_EE_UNICODE && !text_ok(record->param[i].text)))
            return false;
    }
    return true;
}

int rpch_ee_encode(const rpch_ee_record *record, uint8_t *out, size_t room,
                   size_t *len)
{
    static const uint8_t common[8] = { 1, 0x10, 8, 0, 0xcc, 0xcc, 0xcc, 0xcc };
    rpch_writer w = rpch_writer_of(out, room);
    rpch_writer length;

    if (!record_ok(record))
        return RPCH_E_VALUE;
    rpch_put_bytes(&w, common, sizeof(common));
    rpch_put_le32(&w, 0); /* the length, known later */
    rpch_put_le32(&w, 0);
    put_record(&w, record);
    align_writer(&w, 8);
    if (w.bad)
        return RPCH_E_ROOM;
    length = rpch_writer_of(out + 8, 4);
    rpch_put_le32(&length, (uint32_t)(w.pos - HEADERS));
    *len = w.pos;
    return RPCH_OK;
}

/* ---- decoding ------------------------------------------------------------ */

/* A text or blob whose fixed part was read. */
typedef struct pending {
    bool set;       /* its pointer is not NULL */
    uint16_t count; /* elements */
} pending;

/* What follows a record. */
typedef struct rest {
    bool next;
    pending computer;
    pending param[RPCH_EE_PARAMS_MAX];
} rest;

static void align_reader(rpch_reader *r, size_t n)
{
    if (r->pos % n != 0)
        rpch_take(r, n - r->pos % n);
}

/* False, with *reason: a short is negative, or NULL has elements. */
static bool get_head(rpch_reader *r, pending *out, const char **reason)
{
    align_reader(r, 4);
    out->count = rpch_get_le16(r);
    align_reader(r, 4);
    out->set = rpch_get_le32(r) != 0;
    if (out->count > INT16_MAX || (!out->set && out->count != 0)) {
        *reason = "a length that cannot be";
        return false;
    }
    return true;
}

static bool get_param(rpch_reader *r, rpch_ee_param *p, pending *after,
                      const char **reason)
{
    uint16_t type, tag;

    align_reader(r, 8);
    type = rpch_get_le16(r);
    tag = rpch_get_le16(r);
    if (type != tag || type < RPCH_EE_ANSI || type > RPCH_EE_BINARY) {
        *reason = "an unknown type of a parameter";
        return false;
    }
    p->type = (rpch_ee_type)type;
    switch (p->type) {
    case RPCH_EE_LONG:
        align_reader(r, 4);
        p->number = (int32_t)rpch_get_le32(r);
        return true;
    case RPCH_EE_SHORT:
        p->number = (int16_t)rpch_get_le16(r);
        return true;
    case RPCH_EE_POINTER:
        align_reader(r, 8);
        p->number = (int64_t)rpch_get_le64(r);
        return true;
    case RPCH_EE_NONE:
        return true;
    default:
        return get_head(r, after, reason);
    }
}

static bool get_computer(rpch_reader *r, rpch_ee_record *record,
                         pending *after, const char **reason)
{
    uint16_t type = rpch_get_le16(r);
    uint16_t tag = rpch_get_le16(r);

    if (type != tag || (type != COMPUTER_PRESENT && type != COMPUTER_ABSENT)) {
        *reason = "the computer name is neither present nor absent";
        return false;
    }
    record->has_computer = type == COMPUTER_PRESENT;
    return !record->has_computer || get_head(r, after, reason);
}

/* The fixed part of a record. */
static bool get_record(rpch_reader *r, rpch_ee_record *record, rest *after,
                       const char **reason)
{
    uint32_t count;
    unsigned i;

    memset(record, 0, sizeof(*record));
    memset(after, 0, sizeof(*after));
    align_reader(r, 4);
    count = rpch_get_le32(r);
    align_reader(r, 8);
    after->next = rpch_get_le32(r) != 0;
    if (!get_computer(r, record, &after->computer, reason))
        return false;
    align_reader(r, 4);
    record->pid = rpch_get_le32(r);
    align_reader(r, 8);
    record->time = rpch_get_le64(r);
    record->component = rpch_get_le32(r);
    record->status = rpch_get_le32(r);
    record->location = rpch_get_le16(r);
    record->flags = rpch_get_le16(r);
    record->params = rpch_get_le16(r);
    if (record->params > RPCH_EE_PARAMS_MAX || record->params != count) {
        *reason = "a number of parameters that cannot be";
        record->params = 0;
        return false;
    }
    for (i = 0; i < record->params; i++)
        if (!get_param(r, &record->param[i], &after->param[i], reason))
            return false;
    return true;
}

static char printable(uint16_t c)
{
    return c >= 0x20 && c < 0x7f ? (char)c : '?';
}

/* A text, its elements of size bytes, into out[RPCH_EE_TEXT_SIZE]. */
static bool get_text(rpch_reader *r, const pending *what, size_t size,
                     char *out, const char **reason)
{
    const uint8_t *p;
    uint16_t c = 0;
    size_t i;

    if (!what->set)
        return true;
    align_reader(r, 4);
    if (rpch_get_le32(r) != what->count || what->count == 0) {
        *reason = "two lengths of a text that differ, or are 0";
        return false;
    }
    p = rpch_take(r, what->count * size);
    if (p == NULL)
        return true; /* the reader is bad */
    for (i = 0; i < what->count; i++) {
        c = size == 2 ? rpch_le16(p + 2 * i) : p[i];
        if (i + 1 < what->count && i < RPCH_EE_TEXT_SIZE - 1)
            out[i] = printable(c);
    }
    if (c != 0)
        *reason = "a text without NUL";
    return c == 0;
}

static bool get_blob(rpch_reader *r, const pending *what, rpch_ee_param *p,
                     const char **reason)
{
    p->number = what->count;
    if (!what->set)
        return true;
    align_reader(r, 4);
    if (rpch_get_le32(r) != what->count) {
        *reason = "two lengths of a blob that differ";
        return false;
    }
    rpch_take(r, what->count);
    return true;
}

/* What follows the fixed part, but for the next record. */
static bool get_rest(rpch_reader *r, rpch_ee_record *record, const rest *after,
                     const char **reason)
{
    unsigned i;
    bool ok = get_text(r, &after->computer, 2, record->computer, reason);

    for (i = 0; ok && i < record->params; i++) {
        rpch_ee_param *p = &record->param[i];

        if (p->type == RPCH_EE_ANSI || p->type == RPCH_EE_UNICODE)
            ok = get_text(r, &after->param[i], (size_t)p->type, p->text,
                          reason);
        else if (p->type == RPCH_EE_BINARY)
            ok = get_blob(r, &after->param[i], p, reason);
    }
    return ok;
}

static bool get_headers(rpch_reader *r, const char **reason)
{
    static const uint8_t want[4] = { 1, 0x10, 8, 0 };
    const uint8_t *common = rpch_take(r, 8);
    uint32_t length = rpch_get_le32(r);

    rpch_get_le32(r);
    if (r->bad || memcmp(common, want, sizeof(want)) != 0) {
        *reason = "not little-endian type serialization version 1";
        return false;
    }
    if (length % 8 != 0 || length != r->len - r->pos) {
        *reason = "a length that is not the blob's";
        return false;
    }
    if (rpch_get_le32(r) == 0) {
        *reason = "no record";
        return false;
    }
    return true;
}

/* True when nothing but padding is left. */
static bool is_end(const rpch_reader *r)
{
    return r->len - r->pos < 8;
}

int rpch_ee_decode(const uint8_t *in, size_t len, rpch_ee_record *out,
                   unsigned max, unsigned *n, const char **reason)
{
    rest after[RPCH_EE_RECORDS_MAX];
    rpch_reader r = rpch_reader_of(in, len);
    unsigned i;
    bool ok;

    *n = 0;
    if (max > RPCH_EE_RECORDS_MAX)
        max = RPCH_EE_RECORDS_MAX;
    ok = get_headers(&r, reason);
    for (i = 0; ok; i++) {
        if (i == max) {
            *reason = "too many records";
            return RPCH_E_ROOM;
        }
        ok = get_record(&r, &out[i], &after[i], reason);
        if (!ok || !after[i].next)
            break;
    }
    *n = i + 1;
    for (i = *n; ok && i-- > 0;)
        ok = get_rest(&r, &out[i], &after[i], reason);
    if (ok && !r.bad && is_end(&r))
        return RPCH_OK;
    if (r.bad)
        *reason = "it ends too early";
    else if (ok)
        *reason = "bytes behind the last record";
    *n = 0;
    return RPCH_E_SYNTAX;
}
