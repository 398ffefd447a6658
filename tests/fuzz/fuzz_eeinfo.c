/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_eeinfo.c - extended error information: what was read makes sense, what
 * was written is read the same; likewise its base64.
 *
 * Input: a byte that chooses what is done; then a blob, a record's fields, or
 * base64 text.
 */
#include "fuzz.h"
#include "rpch/base64.h"
#include "rpch/eeinfo.h"

const char fuzz_target[] = "eeinfo";

enum { DO_DECODE, DO_ENCODE, DO_BASE64, DO_MAX };

static void check_text(const char *text)
{
    fuzz_check(memchr(text, 0, RPCH_EE_TEXT_SIZE) != NULL);
    for (; *text; text++)
        fuzz_check((unsigned char)*text < 0x80);
}

static void check_record(const rpch_ee_record *e)
{
    unsigned i;

    check_text(e->computer);
    fuzz_check(e->has_computer || e->computer[0] == '\0');
    fuzz_check(e->params <= RPCH_EE_PARAMS_MAX);
    for (i = 0; i < e->params; i++) {
        const rpch_ee_param *p = &e->param[i];

        fuzz_check(strcmp(rpch_ee_type_name(p->type), "unknown") != 0);
        check_text(p->text);
    }
}

/* True when the record holds nothing that is only read. */
static bool can_be_written(const rpch_ee_record *e)
{
    unsigned i;

    for (i = 0; i < e->params; i++)
        if (e->param[i].type == RPCH_EE_BINARY
            || e->param[i].type == RPCH_EE_ANSI)
            return false;
    return true;
}

static void check_same(const rpch_ee_record *a, const rpch_ee_record *b)
{
    unsigned i;

    fuzz_check(a->has_computer == b->has_computer);
    fuzz_check(strcmp(a->computer, b->computer) == 0);
    fuzz_check(a->pid == b->pid && a->time == b->time);
    fuzz_check(a->component == b->component && a->status == b->status);
    fuzz_check(a->location == b->location && a->flags == b->flags);
    fuzz_check(a->params == b->params);
    for (i = 0; i < a->params; i++) {
        fuzz_check(a->param[i].type == b->param[i].type);
        fuzz_check(strcmp(a->param[i].text, b->param[i].text) == 0);
        fuzz_check(a->param[i].number == b->param[i].number);
    }
}

/* Writes the blob as base64 and reads it back. */
static void check_base64(const uint8_t *blob, size_t len)
{
    char text[RPCH_BASE64_SIZE(RPCH_EE_BLOB_MAX) + 1];
    uint8_t back[RPCH_EE_BLOB_MAX];
    size_t n;

    fuzz_check(rpch_base64_encode(blob, len, text, sizeof(text)) == RPCH_OK);
    fuzz_check(strlen(text) == RPCH_BASE64_SIZE(len));
    fuzz_check(rpch_base64_decode(text, strlen(text), back, sizeof(back), &n)
               == RPCH_OK);
    fuzz_check(n == len && memcmp(back, blob, len) == 0);
}

/* Writes a record and reads it back. */
static void check_round(const rpch_ee_record *e)
{
    uint8_t blob[RPCH_EE_BLOB_MAX];
    const char *reason = NULL;
    rpch_ee_record back;
    size_t len;
    unsigned n;

    fuzz_check(rpch_ee_encode(e, blob, sizeof(blob), &len) == RPCH_OK);
    fuzz_check(len % 8 == 0 && len <= sizeof(blob));
    fuzz_check(rpch_ee_decode(blob, len, &back, 1, &n, &reason) == RPCH_OK);
    fuzz_check(n == 1);
    check_same(e, &back);
    fuzz_check(rpch_ee_encode(e, blob, len - 1, &len) == RPCH_E_ROOM);
    fuzz_check(rpch_ee_encode(e, blob, sizeof(blob), &len) == RPCH_OK);
    check_base64(blob, len);
}

static void do_decode(const uint8_t *data, size_t size)
{
    rpch_ee_record e[RPCH_EE_RECORDS_MAX];
    const char *reason = NULL;
    unsigned n = 0, i;
    int rc = rpch_ee_decode(data, size, e, RPCH_EE_RECORDS_MAX, &n, &reason);

    if (rc != RPCH_OK) {
        fuzz_check(rc == RPCH_E_SYNTAX || rc == RPCH_E_ROOM);
        fuzz_check(rc != RPCH_E_SYNTAX || reason != NULL);
        return;
    }
    fuzz_check(n <= RPCH_EE_RECORDS_MAX);
    for (i = 0; i < n; i++) {
        check_record(&e[i]);
        if (can_be_written(&e[i]))
            check_round(&e[i]);
    }
}

/* A text of the input, of printable characters. */
static void get_text(rpch_reader *r, char *out)
{
    size_t got, i;
    const uint8_t *p = fuzz_take(r, rpch_get_u8(r) % RPCH_EE_TEXT_SIZE, &got);

    for (i = 0; i < got; i++)
        out[i] = (char)(0x20 + p[i] % 0x5f);
    out[got] = '\0';
}

static void do_encode(rpch_reader *r)
{
    static const rpch_ee_type type[] = {
        RPCH_EE_UNICODE, RPCH_EE_LONG, RPCH_EE_SHORT, RPCH_EE_POINTER,
        RPCH_EE_NONE
    };
    rpch_ee_record e;
    unsigned i;

    memset(&e, 0, sizeof(e));
    e.has_computer = rpch_get_u8(r) & 1;
    if (e.has_computer)
        get_text(r, e.computer);
    e.pid = rpch_get_le32(r);
    e.time = rpch_ee_time(rpch_get_le32(r));
    e.component = rpch_get_le32(r);
    e.status = rpch_get_le32(r);
    e.location = rpch_get_le16(r);
    e.flags = rpch_get_u8(r) & 3;
    e.params = rpch_get_u8(r) % (RPCH_EE_PARAMS_MAX + 1);
    for (i = 0; i < e.params; i++) {
        rpch_ee_param *p = &e.param[i];

        p->type = type[rpch_get_u8(r) % 5];
        if (p->type == RPCH_EE_UNICODE)
            get_text(r, p->text);
        else if (p->type == RPCH_EE_SHORT)
            p->number = (int16_t)rpch_get_le16(r);
        else if (p->type == RPCH_EE_LONG)
            p->number = (int32_t)rpch_get_le32(r);
        else if (p->type == RPCH_EE_POINTER)
            p->number = (int64_t)rpch_get_le32(r);
    }
    check_round(&e);
}

static void do_base64(const uint8_t *data, size_t size)
{
    uint8_t out[512];
    char text[RPCH_BASE64_SIZE(sizeof(out)) + 1];
    size_t n = 0;
    int rc = rpch_base64_decode((const char *)data, size, out, sizeof(out),
                                &n);

    if (rc != RPCH_OK) {
        fuzz_check(rc == RPCH_E_SYNTAX || rc == RPCH_E_ROOM);
        return;
    }
    fuzz_check(n <= sizeof(out));
    fuzz_check(rpch_base64_encode(out, n, text, sizeof(text)) == RPCH_OK);
    fuzz_check(strlen(text) == size && memcmp(text, data, size) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    rpch_reader r;

    if (size == 0)
        return 0;
    r = rpch_reader_of(data + 1, size - 1);
    switch (data[0] % DO_MAX) {
    case DO_DECODE: do_decode(data + 1, size - 1); break;
    case DO_ENCODE: do_encode(&r); break;
    default: do_base64(data + 1, size - 1); break;
    }
    return 0;
}
