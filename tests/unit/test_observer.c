/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_observer.c - streams that pass, cut everywhere: what is counted, which
 * cookies are known when, and what is no stream of PDUs. Recorded streams
 * are found below the directory that the variable srcdir names.
 */
#include <stdio.h>

#include "rpch/observer.h"
#include "rpch_test.h"

#define STREAM_MAX 210000

static uint8_t stream[STREAM_MAX];
static size_t stream_len;
static rpch_rts_values values;
static rpch_observer o;

static void setup(void)
{
    size_t i;

    stream_len = 0;
    memset(&values, 0, sizeof(values));
    for (i = 0; i < 3; i++)
        memset(values.cookie[i].b, 0xa1 + (int)i * 16, RPCH_COOKIE_SIZE);
    memset(values.group.b, 0x91, RPCH_COOKIE_SIZE);
    values.version = 1;
    values.dest = RPCH_DEST_SERVER;
    rpch_observer_init(&o);
}

static void add(const void *p, size_t n)
{
    ck_assert_uint_le(n, sizeof(stream) - stream_len);
    memcpy(stream + stream_len, p, n);
    stream_len += n;
}

static void add_rts(rpch_pdu_id id)
{
    size_t n;

    ck_assert_int_eq(rpch_rts_make(id, &values, stream + stream_len,
                                   sizeof(stream) - stream_len, &n), RPCH_OK);
    stream_len += n;
}

/* A PDU of that type with any content. */
static void add_pdu(uint8_t ptype, bool big_endian, uint16_t frag_len)
{
    uint8_t b[16] = { 5, 0, ptype, 3 };

    b[4] = big_endian ? 0 : 0x10;
    b[big_endian ? 9 : 8] = (uint8_t)frag_len;
    b[big_endian ? 8 : 9] = (uint8_t)(frag_len >> 8);
    add(b, sizeof(b));
    ck_assert_uint_le(frag_len, sizeof(stream) - stream_len);
    memset(stream + stream_len, 5, frag_len - 16u);
    stream_len += frag_len - 16u;
}

/* Feeds p[0..n) from memory that ends where it does. */
static void feed_piece(rpch_observer *to, const uint8_t *p, size_t n)
{
    uint8_t *own = malloc(n ? n : 1);

    ck_assert_ptr_nonnull(own);
    memcpy(own, p, n);
    rpch_observer_feed(to, own, n);
    free(own);
}

static bool same_cookie(const rpch_cookie *a, const rpch_cookie *b)
{
    return a && b ? rpch_cookie_equal(a, b) : a == b;
}

static void compare(const rpch_observer *c)
{
    ck_assert_uint_eq(c->bytes, o.bytes);
    ck_assert_uint_eq(c->pdus, o.pdus);
    ck_assert_uint_eq(c->rpc, o.rpc);
    ck_assert_uint_eq(c->rts, o.rts);
    ck_assert_uint_eq(c->unknown_rts, o.unknown_rts);
    ck_assert_uint_eq(c->requests, o.requests);
    ck_assert_uint_eq(c->answers, o.answers);
    ck_assert_int_eq(c->first, o.first);
    ck_assert_ptr_eq(c->error, o.error);
    ck_assert(same_cookie(rpch_observer_vc(c), rpch_observer_vc(&o)));
    ck_assert(same_cookie(rpch_observer_group(c), rpch_observer_group(&o)));
    ck_assert(rpch_observer_at_boundary(c) == rpch_observer_at_boundary(&o));
}

/* Feeds the stream whole to o, and in two pieces each, and byte by byte, to
 * others that must see the same; of a long one not every cut. */
static void feed(void)
{
    size_t step = stream_len > 5000 ? stream_len / 400 : 1, i;
    rpch_observer c;

    rpch_observer_init(&o);
    feed_piece(&o, stream, stream_len);
    ck_assert_uint_eq(o.bytes, stream_len);
    ck_assert_uint_eq(o.pdus, o.rpc + o.rts);
    for (i = 0; i <= stream_len; i += step) {
        rpch_observer_init(&c);
        feed_piece(&c, stream, i);
        feed_piece(&c, stream + i, stream_len - i);
        compare(&c);
    }
    rpch_observer_init(&c);
    for (i = 0; i < stream_len; i++)
        feed_piece(&c, stream + i, 1);
    compare(&c);
}

static void load(const char *name)
{
    const char *srcdir = getenv("srcdir");
    char path[1024];
    FILE *f;

    snprintf(path, sizeof(path), "%s/tests/vectors/captures/%s.bin",
             srcdir ? srcdir : ".", name);
    f = fopen(path, "rb");
    ck_assert_msg(f != NULL, "%s cannot be opened", path);
    stream_len = fread(stream, 1, sizeof(stream), f);
    ck_assert_uint_lt(stream_len, sizeof(stream));
    fclose(f);
}

START_TEST(test_observer_captures)
{
    static const struct {
        const char *name;
        rpch_pdu_id first;
        unsigned rts, rpc, requests, answers;
        bool vc, group;
    } c[] = {
        { "impacket-epm-in", RPCH_CONN_B1, 1, 2, 1, 0, true, true },
        { "impacket-epm-out", RPCH_CONN_A1, 1, 0, 0, 0, true, false },
        { "impacket-epm-response", RPCH_CONN_A3, 2, 2, 0, 1, false, false },
        { "impacket-bulk-in", RPCH_CONN_B1, 2, 51, 50, 0, true, true },
        { "impacket-bulk-response", RPCH_CONN_A3, 8, 49, 0, 48, false,
          false },
        { "samba-samr-in", RPCH_CONN_B1, 1, 45, 43, 0, true, true },
        { "samba-samr-out", RPCH_CONN_A1, 1, 0, 0, 0, true, false },
        { "samba-samr-response", RPCH_CONN_A3, 2, 45, 0, 43, false, false }
    };

    for (size_t i = 0; i < sizeof(c) / sizeof(c[0]); i++) {
        load(c[i].name);
        feed();
        ck_assert_msg(o.error == NULL, "%s: %s", c[i].name, o.error);
        ck_assert_int_eq(o.first, c[i].first);
        ck_assert_uint_eq(o.rts, c[i].rts);
        ck_assert_uint_eq(o.rpc, c[i].rpc);
        ck_assert_uint_eq(o.requests, c[i].requests);
        ck_assert_uint_eq(o.answers, c[i].answers);
        ck_assert_uint_eq(o.unknown_rts, 0);
        ck_assert((rpch_observer_vc(&o) != NULL) == c[i].vc);
        ck_assert((rpch_observer_group(&o) != NULL) == c[i].group);
        ck_assert(rpch_observer_at_boundary(&o));
    }
}
END_TEST

/* Of every PDU of 2.2.4: which name it opens a stream by, and whether it
 * names the virtual connection. */
START_TEST(test_observer_each_pdu)
{
    static const rpch_pdu_id named[] = {
        RPCH_CONN_A1, RPCH_CONN_A2, RPCH_CONN_B1, RPCH_CONN_B2,
        RPCH_IN_R1_A1, RPCH_IN_R1_A2, RPCH_IN_R2_A1, RPCH_OUT_R1_A3,
        RPCH_OUT_R1_A4, RPCH_OUT_R2_A3
    };

    for (unsigned id = 0; id < RPCH_PDU_ID_MAX; id++) {
        bool has_vc = false, has_group;

        for (size_t i = 0; i < sizeof(named) / sizeof(named[0]); i++)
            has_vc = has_vc || named[i] == id;
        has_group = id == RPCH_CONN_B1 || id == RPCH_CONN_B2;
        stream_len = 0;
        add_rts((rpch_pdu_id)id);
        feed();
        ck_assert_ptr_null(o.error);
        ck_assert_uint_eq(o.rts, 1);
        ck_assert_uint_eq(o.unknown_rts, 0);
        ck_assert_uint_le(o.first, id);
        ck_assert_int_eq(rpch_rts_row_of(o.first)->flags,
                         rpch_rts_row_of((rpch_pdu_id)id)->flags);
        ck_assert(same_cookie(rpch_observer_vc(&o),
                              has_vc ? &values.cookie[0] : NULL));
        ck_assert(same_cookie(rpch_observer_group(&o),
                              has_group ? &values.group : NULL));
    }
}
END_TEST

START_TEST(test_observer_whole_only)
{
    size_t conn, i;

    add_rts(RPCH_CONN_B1);
    conn = stream_len;
    add_pdu(RPCH_PTYPE_REQUEST, false, 40);
    ck_assert(rpch_observer_at_boundary(&o));
    for (i = 0; i < stream_len; i++) {
        ck_assert(rpch_observer_at_boundary(&o) == (i == 0 || i == conn));
        ck_assert((rpch_observer_vc(&o) != NULL) == (i >= conn));
        ck_assert((rpch_observer_group(&o) != NULL) == (i >= conn));
        ck_assert_int_eq(o.first, i < conn ? RPCH_PDU_ID_MAX : RPCH_CONN_B1);
        ck_assert_uint_eq(o.pdus, i < conn ? 0 : 1);
        ck_assert_uint_eq(o.requests, 0);
        feed_piece(&o, stream + i, 1);
        ck_assert_uint_eq(o.bytes, i + 1);
    }
    ck_assert(rpch_observer_at_boundary(&o));
    ck_assert_uint_eq(o.pdus, 2);
    ck_assert_uint_eq(o.requests, 1);
    rpch_observer_feed(&o, NULL, 0);
    ck_assert_ptr_null(o.error);
}
END_TEST

START_TEST(test_observer_counts)
{
    add_rts(RPCH_CONN_A3);
    add_pdu(RPCH_PTYPE_BIND_ACK, false, 60);
    add_pdu(RPCH_PTYPE_RESPONSE, true, 0x0120);
    add_pdu(RPCH_PTYPE_FAULT, true, 32);
    add_pdu(RPCH_PTYPE_REQUEST, true, 24);
    add_pdu(RPCH_PTYPE_RESPONSE, false, 65535);
    add_pdu(RPCH_PTYPE_SHUTDOWN, false, 16);
    add_rts(RPCH_PING);
    feed();
    ck_assert_ptr_null(o.error);
    ck_assert_uint_eq(o.pdus, 8);
    ck_assert_uint_eq(o.rpc, 6);
    ck_assert_uint_eq(o.rts, 2);
    ck_assert_uint_eq(o.requests, 1);
    ck_assert_uint_eq(o.answers, 3);
    ck_assert_int_eq(o.first, RPCH_CONN_A3);
}
END_TEST

/* The one that begins the stream counts; a later one changes nothing. */
START_TEST(test_observer_first_cookie)
{
    rpch_cookie vc = values.cookie[0], group = values.group;

    add_rts(RPCH_CONN_B1);
    memset(values.cookie[0].b, 1, RPCH_COOKIE_SIZE);
    memset(values.group.b, 2, RPCH_COOKIE_SIZE);
    add_rts(RPCH_CONN_B1);
    add_rts(RPCH_IN_R1_A1);
    feed();
    ck_assert_ptr_null(o.error);
    ck_assert_uint_eq(o.rts, 3);
    ck_assert(same_cookie(rpch_observer_vc(&o), &vc));
    ck_assert(same_cookie(rpch_observer_group(&o), &group));
}
END_TEST

/* The whole body of a replacement OUT channel request. */
START_TEST(test_observer_out_successor)
{
    add_rts(RPCH_OUT_R1_A3);
    add_rts(RPCH_OUT_R1_A11);
    feed();
    ck_assert_uint_eq(stream_len, 120);
    ck_assert_int_eq(o.first, RPCH_OUT_R1_A3);
    ck_assert_uint_eq(o.rts, 2);
    ck_assert(same_cookie(rpch_observer_vc(&o), &values.cookie[0]));
}
END_TEST

START_TEST(test_observer_unknown_rts)
{
    static const uint8_t odd[] = { /* flags and command fit no name */
        5, 0, 20, 3, 0x10, 0, 0, 0, 24, 0, 0, 0, 0, 0, 0, 0, 0x40, 0, 1, 0,
        10, 0, 0, 0
    };
    static const uint8_t unreadable[] = { /* command 99 */
        5, 0, 20, 3, 0x10, 0, 0, 0, 24, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0,
        99, 0, 0, 0
    };
    static const uint8_t big_endian[] = { /* a Ping; 2.2.1 has it not */
        5, 0, 20, 3, 0, 0, 0, 0, 0, 20, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0
    };

    add(odd, sizeof(odd));
    add(unreadable, sizeof(unreadable));
    add(big_endian, sizeof(big_endian));
    add_rts(RPCH_CONN_A1);
    feed();
    ck_assert_ptr_null(o.error);
    ck_assert_uint_eq(o.rts, 4);
    ck_assert_uint_eq(o.unknown_rts, 3);
    ck_assert_int_eq(o.first, RPCH_PDU_ID_MAX);
    ck_assert(same_cookie(rpch_observer_vc(&o), &values.cookie[0]));
}
END_TEST

/* Spoils byte at of the last PDU of a stream, which begins at begin. */
static void expect_error(size_t begin, size_t at, uint8_t value,
                         const char *error)
{
    uint8_t was = stream[begin + at];

    stream[begin + at] = value;
    feed();
    stream[begin + at] = was;
    ck_assert_msg(o.error != NULL, "%s", error);
    ck_assert_str_eq(o.error, error);
    ck_assert(!rpch_observer_at_boundary(&o));
    ck_assert_uint_eq(o.pdus, begin ? 1 : 0);
    ck_assert((rpch_observer_vc(&o) != NULL) == (begin > 0));
}

START_TEST(test_observer_errors)
{
    static const char below[] = "frag_length is below the header's size";
    static const char low_rts[] = "frag_length of an RTS PDU is below 20";
    static const char high_rts[] =
        "frag_length of an RTS PDU is above the limit";
    size_t begin;

    for (int later = 0; later < 2; later++) {
        stream_len = 0;
        if (later)
            add_rts(RPCH_CONN_A1);
        begin = stream_len;
        add_rts(RPCH_CONN_A1);
        expect_error(begin, 0, 4, "rpc_vers is not 5");
        expect_error(begin, 1, 2, "rpc_vers_minor is neither 0 nor 1");
        expect_error(begin, 4, 0x20, "packed_drep names no byte order");
        expect_error(begin, 8, 15, below);
        expect_error(begin, 8, 0, below);
        expect_error(begin, 8, 19, low_rts);
        expect_error(begin, 9, 2, high_rts);
    }
    stream_len = 0;
    add("GET / HTTP/1.1\r\n\r\n", 18);
    expect_error(0, 0, 'G', "rpc_vers is not 5");
}
END_TEST

START_TEST(test_observer_first_is_rts)
{
    add_pdu(RPCH_PTYPE_BIND, false, 100);
    expect_error(0, 0, 5, "the first PDU is no RTS PDU");
    stream_len = 16;
    expect_error(0, 0, 5, "the first PDU is no RTS PDU");
    stream_len = 15;
    feed();
    ck_assert_ptr_null(o.error);
}
END_TEST

START_TEST(test_observer_after_error)
{
    rpch_observer before;
    size_t n;

    add_rts(RPCH_CONN_B1);
    add("garbage, sixteen", 16);
    feed();
    before = o;
    n = stream_len;
    stream_len = 0;
    add_rts(RPCH_CONN_B1);
    add_pdu(RPCH_PTYPE_REQUEST, false, 30);
    feed_piece(&o, stream, stream_len);
    ck_assert_uint_eq(o.bytes, n + stream_len);
    o.bytes = before.bytes;
    compare(&before);
    ck_assert_str_eq(o.error, "rpc_vers is not 5");
}
END_TEST

int main(void)
{
    Suite *s = suite_create("observer");
    TCase *c = tcase_create("observer");

    tcase_add_checked_fixture(c, setup, NULL);
    tcase_add_test(c, test_observer_captures);
    tcase_add_test(c, test_observer_each_pdu);
    tcase_add_test(c, test_observer_whole_only);
    tcase_add_test(c, test_observer_counts);
    tcase_add_test(c, test_observer_first_cookie);
    tcase_add_test(c, test_observer_out_successor);
    tcase_add_test(c, test_observer_unknown_rts);
    tcase_add_test(c, test_observer_errors);
    tcase_add_test(c, test_observer_first_is_rts);
    tcase_add_test(c, test_observer_after_error);
    suite_add_tcase(s, c);
    return test_main(s);
}
