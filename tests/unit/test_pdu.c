/* SPDX-License-Identifier: Apache-2.0 */
/* test_pdu.c - the common header, and the cutter over every way of cutting. */
#include "rpch/pdu.h"
#include "rpch_test.h"

#define STREAM_MAX 200000

/* ck_assert records every success, which is too slow for once a byte. */
#define REQUIRE(what)                  \
    do {                               \
        if (!(what))                   \
            ck_abort_msg("%s", #what); \
    } while (0)

/* A stream built by a test, and what the cutter made of it. */
typedef struct result {
    uint8_t data[STREAM_MAX]; /* PDUs one after the other; banner left out */
    size_t len;
    char kinds[64]; /* B banner, S RTS, R RPC, r an RPC PDU not finished */
    size_t n;
    int status;
    const char *reason;
    bool boundary;
} result;

static uint8_t stream[STREAM_MAX];
static size_t stream_len;
static result whole, cut;
static uint32_t seed;

static uint32_t random_below(uint32_t n)
{
    seed = seed * 1664525u + 1013904223u;
    return (seed >> 8) % n;
}

static void reset(void)
{
    stream_len = 0;
    seed = 1;
}

static void add(const void *p, size_t n)
{
    REQUIRE(n <= sizeof stream - stream_len);
    memcpy(stream + stream_len, p, n);
    stream_len += n;
}

/* Adds a PDU of that type and frag_length, of which only size bytes are
 * there; the body counts upwards. */
static void add_pdu_cut(uint8_t ptype, bool big_endian, uint16_t frag_len,
                        size_t size)
{
    uint8_t head[16] = { 5, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 7 };
    size_t i;

    head[2] = ptype;
    head[4] = big_endian ? 0x00 : 0x10;
    head[big_endian ? 9 : 8] = (uint8_t)frag_len;
    head[big_endian ? 8 : 9] = (uint8_t)(frag_len >> 8);
    add(head, size < 16 ? size : 16);
    for (i = 16; i < size; i++) {
        uint8_t b = (uint8_t)i;
        add(&b, 1);
    }
}

static void add_pdu(uint8_t ptype, bool big_endian, uint16_t frag_len)
{
    add_pdu_cut(ptype, big_endian, frag_len, frag_len);
}

/* Empties r; the bytes of data may stay. */
static void clear(result *r)
{
    r->len = 0;
    memset(r->kinds, 0, sizeof r->kinds);
    r->n = 0;
    r->status = RPCH_OK;
    r->reason = NULL;
}

static void note(result *r, const rpch_cut *c)
{
    REQUIRE(r->n < sizeof r->kinds - 1);
    switch (c->kind) {
    case RPCH_CUT_BANNER:
        r->kinds[r->n++] = 'B';
        return;
    case RPCH_CUT_RTS:
        REQUIRE(c->pdu.ptype == RPCH_PTYPE_RTS);
        REQUIRE(c->len == c->pdu.frag_len);
        REQUIRE(c->first && c->last);
        r->kinds[r->n++] = 'S';
        break;
    case RPCH_CUT_RPC:
        REQUIRE(c->len > 0);
        REQUIRE(c->pdu.ptype != RPCH_PTYPE_RTS);
        REQUIRE(c->first == (r->n == 0 || r->kinds[r->n - 1] != 'r'));
        if (c->first)
            r->kinds[r->n++] = 'r';
        if (c->last)
            r->kinds[r->n - 1] = 'R';
        break;
    case RPCH_CUT_NONE:
        return;
    }
    memcpy(r->data + r->len, c->data, c->len);
    r->len += c->len;
}

/* Feeds one piece, which is copied so that a read beyond it is found. */
static void feed_piece(rpch_cutter *c, const uint8_t *p, size_t n, result *r)
{
    uint8_t *piece = malloc(n ? n : 1);
    size_t at = 0;
    rpch_cut step;

    memcpy(piece, p, n);
    do {
        r->status = rpch_cutter_next(c, piece + at, n - at, &step);
        REQUIRE(step.used <= n - at);
        at += step.used;
        if (r->status == RPCH_OK)
            note(r, &step);
    } while (r->status == RPCH_OK && step.kind != RPCH_CUT_NONE);
    if (r->status == RPCH_OK)
        REQUIRE(at == n);
    free(piece);
}

/* Feeds the stream in pieces of size bytes; 0: of random sizes. */
static void feed(result *r, bool banner_ok, size_t size)
{
    rpch_cutter c;
    rpch_cut step;
    size_t at = 0;

    clear(r);
    rpch_cutter_init(&c, banner_ok);
    ck_assert(rpch_cutter_at_boundary(&c));
    while (at < stream_len && r->status == RPCH_OK) {
        size_t n = size ? size : random_below(stream_len > 10000 ? 4000 : 40);
        if (n > stream_len - at)
            n = stream_len - at;
        feed_piece(&c, stream + at, n, r);
        at += n;
    }
    r->reason = c.reason;
    r->boundary = rpch_cutter_at_boundary(&c);
    if (r->status == RPCH_OK) {
        ck_assert_ptr_null(r->reason);
        return;
    }
    /* errors stay, and have a reason */
    ck_assert_ptr_nonnull(r->reason);
    ck_assert(!r->boundary);
    ck_assert_int_eq(rpch_cutter_next(&c, stream, stream_len, &step),
                     r->status);
    ck_assert_int_eq(step.kind, RPCH_CUT_NONE);
    ck_assert_uint_eq(step.used, 0);
}

static void same(void)
{
    ck_assert_int_eq(cut.status, whole.status);
    ck_assert_str_eq(cut.kinds, whole.kinds);
    ck_assert_uint_eq(cut.len, whole.len);
    ck_assert_mem_eq(cut.data, whole.data, whole.len);
    ck_assert(cut.boundary == whole.boundary);
    ck_assert(cut.reason == whole.reason);
}

/* Feeds the stream whole, byte by byte and in random cuts; leaves the result
 * in whole. */
static void feed_all(bool banner_ok, const char *kinds, int status)
{
    int i, rounds = stream_len > 10000 ? 3 : 20;

    feed(&whole, banner_ok, STREAM_MAX);
    ck_assert_str_eq(whole.kinds, kinds);
    ck_assert_int_eq(whole.status, status);
    feed(&cut, banner_ok, 1);
    same();
    for (i = 0; i < rounds; i++) {
        feed(&cut, banner_ok, 0);
        same();
    }
}

START_TEST(test_pdu_parse_reads_both_byte_orders)
{
    const char *reason = NULL;
    rpch_pdu pdu;
    uint8_t p[16];

    test_hex("05 00 0b 07 10 00 00 00 74 01 20 00 04 03 02 01", p, 16);
    ck_assert_int_eq(rpch_pdu_parse(p, 16, &pdu, &reason), RPCH_OK);
    ck_assert_uint_eq(pdu.ptype, RPCH_PTYPE_BIND);
    ck_assert_uint_eq(pdu.flags, 7);
    ck_assert(!pdu.big_endian);
    ck_assert_uint_eq(pdu.frag_len, 0x174);
    ck_assert_uint_eq(pdu.auth_len, 0x20);
    ck_assert_uint_eq(pdu.call_id, 0x01020304);

    test_hex("05 01 00 83 01 00 00 00 01 74 00 20 01 02 03 04", p, 16);
    ck_assert_int_eq(rpch_pdu_parse(p, 16, &pdu, &reason), RPCH_OK);
    ck_assert(pdu.big_endian);
    ck_assert_uint_eq(pdu.flags, 0x83);
    ck_assert_uint_eq(pdu.frag_len, 0x174);
    ck_assert_uint_eq(pdu.auth_len, 0x20);
    ck_assert_uint_eq(pdu.call_id, 0x01020304);
    ck_assert_ptr_null(reason);
}
END_TEST

START_TEST(test_pdu_parse_wants_the_whole_header)
{
    const char *reason = NULL;
    rpch_pdu pdu;
    uint8_t p[16];
    size_t len;

    test_hex("05 00 0b 07 10 00 00 00 74 01 20 00 04 03 02 01", p, 16);
    for (len = 0; len < 16; len++)
        ck_assert_int_eq(rpch_pdu_parse(p, len, &pdu, &reason), RPCH_AGAIN);
    ck_assert_ptr_null(reason);
}
END_TEST

START_TEST(test_pdu_parse_names_the_bad_field)
{
    static const struct {
        const char *hex;
        const char *field;
    } bad[] = {
        { "04 00 00 03 10 00 00 00 10 00 00 00 00 00 00 00", "rpc_vers " },
        { "05 02 00 03 10 00 00 00 10 00 00 00 00 00 00 00",
          "rpc_vers_minor" },
        { "05 00 00 03 20 00 00 00 10 00 00 00 00 00 00 00", "packed_drep" },
        { "05 00 00 03 10 00 00 00 0f 00 00 00 00 00 00 00", "frag_length" },
        { "05 00 00 03 10 00 00 00 00 00 00 00 00 00 00 00", "frag_length" },
        { "05 00 00 03 00 00 00 00 00 0f 00 00 00 00 00 00", "frag_length" }
    };
    const char *reason;
    rpch_pdu pdu;
    uint8_t p[16];
    size_t i;

    for (i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        reason = NULL;
        test_hex(bad[i].hex, p, 16);
        ck_assert_int_eq(rpch_pdu_parse(p, 16, &pdu, &reason),
                         RPCH_E_SYNTAX);
        ck_assert_ptr_nonnull(reason);
        ck_assert_ptr_nonnull(strstr(reason, bad[i].field));
    }
}
END_TEST

START_TEST(test_pdu_ptype_names)
{
    ck_assert_str_eq(rpch_ptype_name(RPCH_PTYPE_REQUEST), "request");
    ck_assert_str_eq(rpch_ptype_name(RPCH_PTYPE_BIND_ACK), "bind_ack");
    ck_assert_str_eq(rpch_ptype_name(RPCH_PTYPE_AUTH_3), "rpc_auth_3");
    ck_assert_str_eq(rpch_ptype_name(RPCH_PTYPE_ORPHANED), "orphaned");
    ck_assert_str_eq(rpch_ptype_name(RPCH_PTYPE_RTS), "rts");
    ck_assert_str_eq(rpch_ptype_name(21), "unknown");
    ck_assert_str_eq(rpch_ptype_name(255), "unknown");
}
END_TEST

START_TEST(test_pdu_cutter_mixed_stream)
{
    add_pdu(RPCH_PTYPE_RTS, false, 76);
    add_pdu(RPCH_PTYPE_BIND, false, 116);
    add_pdu(RPCH_PTYPE_RTS, false, 20);
    add_pdu(RPCH_PTYPE_RTS, false, 56);
    add_pdu(RPCH_PTYPE_REQUEST, false, 5840);
    add_pdu(RPCH_PTYPE_SHUTDOWN, false, 16);
    add_pdu(RPCH_PTYPE_REQUEST, false, 17);
    add_pdu(99, false, 24);
    feed_all(false, "SRSSRRRR", RPCH_OK);
    ck_assert_uint_eq(whole.len, stream_len);
    ck_assert_mem_eq(whole.data, stream, stream_len);
    ck_assert(whole.boundary);
}
END_TEST

START_TEST(test_pdu_cutter_big_endian)
{
    add_pdu(RPCH_PTYPE_BIND, true, 0x0174);
    add_pdu(RPCH_PTYPE_RTS, true, 20);
    add_pdu(RPCH_PTYPE_REQUEST, false, 0x0174);
    add_pdu(RPCH_PTYPE_REQUEST, true, 0x0010);
    feed_all(false, "RSRR", RPCH_OK);
    ck_assert_mem_eq(whole.data, stream, stream_len);
}
END_TEST

START_TEST(test_pdu_cutter_largest_rpc_pdu)
{
    add_pdu(RPCH_PTYPE_RESPONSE, false, 65535);
    add_pdu(RPCH_PTYPE_RESPONSE, true, 65535);
    add_pdu(RPCH_PTYPE_RTS, false, 20);
    feed_all(false, "RRS", RPCH_OK);
    ck_assert_mem_eq(whole.data, stream, stream_len);
}
END_TEST

START_TEST(test_pdu_cutter_slices_are_not_copied)
{
    rpch_cutter c;
    rpch_cut step;

    add_pdu(RPCH_PTYPE_REQUEST, false, 100);
    rpch_cutter_init(&c, false);
    ck_assert_int_eq(rpch_cutter_next(&c, stream, 60, &step), RPCH_OK);
    ck_assert_ptr_eq(step.data, stream);
    ck_assert_uint_eq(step.len, 60);
    ck_assert(step.first && !step.last);
    ck_assert(!rpch_cutter_at_boundary(&c));
    ck_assert_int_eq(rpch_cutter_next(&c, stream + 60, 40, &step), RPCH_OK);
    ck_assert_ptr_eq(step.data, stream + 60);
    ck_assert(!step.first && step.last);
    ck_assert(rpch_cutter_at_boundary(&c));
}
END_TEST

START_TEST(test_pdu_cutter_unfinished)
{
    add_pdu(RPCH_PTYPE_RTS, false, 28);
    add_pdu_cut(RPCH_PTYPE_REQUEST, false, 100, 99);
    feed_all(false, "Sr", RPCH_OK);
    ck_assert(!whole.boundary);
    reset();
    add_pdu_cut(RPCH_PTYPE_RTS, false, 28, 27);
    feed_all(false, "", RPCH_OK);
    ck_assert(!whole.boundary);
    reset();
    add_pdu_cut(RPCH_PTYPE_REQUEST, false, 100, 15);
    feed_all(false, "", RPCH_OK);
    ck_assert(!whole.boundary);
}
END_TEST

START_TEST(test_pdu_cutter_banner)
{
    size_t at;

    add("ncacn_http/1.0", 14);
    add_pdu(RPCH_PTYPE_RTS, false, 36);
    add_pdu(RPCH_PTYPE_RESPONSE, false, 40);
    feed_all(true, "BSR", RPCH_OK);
    ck_assert_mem_eq(whole.data, stream + 14, stream_len - 14);
    for (at = 0; at <= stream_len; at++) {
        rpch_cutter c;
        clear(&cut);
        rpch_cutter_init(&c, true);
        feed_piece(&c, stream, at, &cut);
        feed_piece(&c, stream + at, stream_len - at, &cut);
        cut.boundary = rpch_cutter_at_boundary(&c);
        same();
    }
}
END_TEST

START_TEST(test_pdu_cutter_banner_is_optional)
{
    add_pdu(RPCH_PTYPE_RTS, false, 36);
    add_pdu(RPCH_PTYPE_RESPONSE, false, 40);
    feed_all(true, "SR", RPCH_OK);
}
END_TEST

START_TEST(test_pdu_cutter_banner_only_once_and_first)
{
    add("ncacn_http/1.0ncacn_http/1.0xx", 30);
    feed_all(true, "B", RPCH_E_SYNTAX);
    reset();
    add_pdu(RPCH_PTYPE_RTS, false, 36);
    add("ncacn_http/1.0xx", 16);
    feed_all(true, "S", RPCH_E_SYNTAX);
    reset();
    add("ncacn_http/1.0xx", 16);
    feed_all(false, "", RPCH_E_SYNTAX);
}
END_TEST

START_TEST(test_pdu_cutter_banner_wrong_at_every_byte)
{
    size_t at;

    for (at = 1; at < 14; at++) {
        reset();
        add("ncacn_http/1.0", 14);
        stream[at] ^= 1;
        /* the wrong byte is enough, nothing after it is waited for */
        stream_len = at + 1;
        feed_all(true, "", RPCH_E_BANNER);
    }
    reset();
    add("ncacn_http/1.", 13);
    feed_all(true, "", RPCH_OK);
    ck_assert(!whole.boundary);
}
END_TEST

START_TEST(test_pdu_cutter_refuses_frag_length)
{
    static const struct {
        uint8_t ptype;
        uint16_t frag_len;
        bool ok;
    } sizes[] = {
        { RPCH_PTYPE_REQUEST, 0, false }, { RPCH_PTYPE_REQUEST, 15, false },
        { RPCH_PTYPE_REQUEST, 16, true }, { RPCH_PTYPE_RTS, 0, false },
        { RPCH_PTYPE_RTS, 15, false }, { RPCH_PTYPE_RTS, 16, false },
        { RPCH_PTYPE_RTS, 19, false }, { RPCH_PTYPE_RTS, 20, true },
        { RPCH_PTYPE_RTS, RPCH_RTS_SIZE_MAX, true },
        { RPCH_PTYPE_RTS, RPCH_RTS_SIZE_MAX + 1, false },
        { RPCH_PTYPE_RTS, 65535, false }
    };
    size_t i;

    for (i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        reset();
        add_pdu(RPCH_PTYPE_BIND, false, 72);
        add_pdu_cut(sizes[i].ptype, false, sizes[i].frag_len,
                    sizes[i].ok ? sizes[i].frag_len : 16);
        if (!sizes[i].ok)
            feed_all(false, "R", RPCH_E_SYNTAX);
        else
            feed_all(false, sizes[i].ptype == RPCH_PTYPE_RTS ? "RS" : "RR",
                     RPCH_OK);
    }
}
END_TEST

START_TEST(test_pdu_cutter_refuses_garbage)
{
    add("GET / HTTP/1.1\r\nHost: x\r\n\r\n", 27);
    feed_all(true, "", RPCH_E_SYNTAX);
    feed_all(false, "", RPCH_E_SYNTAX);
}
END_TEST

START_TEST(test_pdu_cutter_empty_input)
{
    rpch_cutter c;
    rpch_cut step;

    rpch_cutter_init(&c, true);
    ck_assert_int_eq(rpch_cutter_next(&c, NULL, 0, &step), RPCH_OK);
    ck_assert_int_eq(step.kind, RPCH_CUT_NONE);
    ck_assert_uint_eq(step.used, 0);
    ck_assert(rpch_cutter_at_boundary(&c));
}
END_TEST

START_TEST(test_pdu_cutter_random_streams)
{
    uint32_t round;

    for (round = 1; round < 20; round++) {
        char kinds[16] = "";
        int i, n;

        reset();
        seed = round;
        n = (int)random_below(12);
        for (i = 0; i < n; i++) {
            bool rts = random_below(2) == 0;
            bool big = random_below(4) == 0;
            uint16_t size = rts ? (uint16_t)(20 + random_below(493))
                                : (uint16_t)(16 + random_below(3000));
            add_pdu(rts ? RPCH_PTYPE_RTS : (uint8_t)random_below(20), big,
                    size);
            kinds[i] = rts ? 'S' : 'R';
        }
        feed_all(round % 2 == 0, kinds, RPCH_OK);
        ck_assert_mem_eq(whole.data, stream, stream_len);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("pdu");
    TCase *tc = tcase_create("pdu");

    tcase_set_timeout(tc, 120);
    tcase_add_checked_fixture(tc, reset, NULL);
    tcase_add_test(tc, test_pdu_parse_reads_both_byte_orders);
    tcase_add_test(tc, test_pdu_parse_wants_the_whole_header);
    tcase_add_test(tc, test_pdu_parse_names_the_bad_field);
    tcase_add_test(tc, test_pdu_ptype_names);
    tcase_add_test(tc, test_pdu_cutter_mixed_stream);
    tcase_add_test(tc, test_pdu_cutter_big_endian);
    tcase_add_test(tc, test_pdu_cutter_largest_rpc_pdu);
    tcase_add_test(tc, test_pdu_cutter_slices_are_not_copied);
    tcase_add_test(tc, test_pdu_cutter_unfinished);
    tcase_add_test(tc, test_pdu_cutter_banner);
    tcase_add_test(tc, test_pdu_cutter_banner_is_optional);
    tcase_add_test(tc, test_pdu_cutter_banner_only_once_and_first);
    tcase_add_test(tc, test_pdu_cutter_banner_wrong_at_every_byte);
    tcase_add_test(tc, test_pdu_cutter_refuses_frag_length);
    tcase_add_test(tc, test_pdu_cutter_refuses_garbage);
    tcase_add_test(tc, test_pdu_cutter_empty_input);
    tcase_add_test(tc, test_pdu_cutter_random_streams);
    suite_add_tcase(s, tc);
    return test_main(s);
}
