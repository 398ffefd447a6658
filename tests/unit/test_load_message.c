/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages of rpch-load: what the sender makes the receiver takes, however it
 * is cut, and it finds what is not what was sent.
 */
#include "rpch_test.h"

#include "../../bench/load_message.h"
#include "../../bench/load_pattern.h"
#include "rpch/wire.h"

#define ROOM 400000u

static uint8_t wire[ROOM];
static size_t wire_len;
static size_t pdu_at[8192];
static unsigned n_pdus;

/* Puts a whole message on the wire, behind what is there. */
static void put_message(uint8_t ptype, uint32_t call_id, uint64_t size,
                        uint32_t frag)
{
    load_terms terms = { 77, size, 1234567890123u };
    load_sender s;
    load_item item;
    uint32_t expected;

    memset(&s, 0, sizeof(s));
    load_sender_start(&s, ptype, call_id, &terms);
    while ((expected = load_sender_size(&s, frag)) > 0) {
        load_sender_next(&s, frag, &item);
        ck_assert_uint_eq(item.head_len + item.data_len, expected);
        ck_assert_uint_le(expected, frag);
        ck_assert_uint_le(wire_len + expected, ROOM);
        pdu_at[n_pdus++] = wire_len;
        memcpy(wire + wire_len, item.head, item.head_len);
        memcpy(wire + wire_len + item.head_len, item.data, item.data_len);
        wire_len += expected;
    }
}

static void setup(void)
{
    load_pattern_init();
    wire_len = 0;
    n_pdus = 0;
}

/* Gives the wire to r in slices of at most step bytes; returns the last
 * result, and how many messages there were. */
static load_taken feed(load_receiver *r, uint8_t ptype, size_t step,
                       unsigned *messages)
{
    rpch_cutter cutter;
    rpch_cut cut;
    size_t at = 0, n;
    load_taken taken = LOAD_TAKEN_PART;

    *messages = 0;
    rpch_cutter_init(&cutter, false);
    while (at < wire_len) {
        n = wire_len - at < step ? wire_len - at : step;
        ck_assert_int_eq(rpch_cutter_next(&cutter, wire + at, n, &cut),
                         RPCH_OK);
        at += cut.used;
        if (cut.kind != RPCH_CUT_RPC)
            continue;
        taken = load_receiver_feed(r, ptype, cut.data, cut.len, cut.first,
                                   cut.last);
        if (taken == LOAD_TAKEN_BAD)
            return taken;
        *messages += taken == LOAD_TAKEN_MESSAGE;
    }
    return taken;
}

START_TEST(test_load_message_whole)
{
    static const uint64_t sizes[] = { 0, 1, 7, 8, 76, 5792, 5793, 70000 };
    static const uint32_t frags[] = { LOAD_FRAG_MIN, 57, 1000, 5840,
                                      LOAD_FRAG_MAX };
    load_receiver r;
    unsigned messages, i, j;

    for (i = 0; i < 8; i++)
        for (j = 0; j < 5; j++) {
            setup();
            memset(&r, 0, sizeof(r));
            put_message(RPCH_PTYPE_REQUEST, 9, sizes[i], frags[j]);
            put_message(RPCH_PTYPE_REQUEST, 10, 3, frags[j]);
            ck_assert_int_eq(feed(&r, RPCH_PTYPE_REQUEST, ROOM, &messages),
                             LOAD_TAKEN_MESSAGE);
            ck_assert_uint_eq(messages, 2);
            ck_assert_uint_eq(r.call_id, 10);
            ck_assert_uint_eq(r.terms.seed, 77);
            ck_assert_uint_eq(r.terms.size, 3);
            ck_assert_uint_eq(r.terms.other, 1234567890123u);
            ck_assert_uint_eq(r.wrong, 0);
        }
}
END_TEST

START_TEST(test_load_message_slices)
{
    load_receiver r;
    unsigned messages;
    size_t step;

    setup();
    put_message(RPCH_PTYPE_RESPONSE, 1, 500, 200);
    for (step = 1; step <= wire_len; step++) {
        memset(&r, 0, sizeof(r));
        ck_assert_int_eq(feed(&r, RPCH_PTYPE_RESPONSE, step, &messages),
                         LOAD_TAKEN_MESSAGE);
        ck_assert_uint_eq(messages, 1);
        ck_assert_uint_eq(r.wrong, 0);
        ck_assert_uint_eq(r.at, 500);
    }
}
END_TEST

/* Each byte of data that is another one is counted. */
START_TEST(test_load_message_every_byte)
{
    load_receiver r;
    unsigned messages;
    size_t i, data = 0;

    setup();
    put_message(RPCH_PTYPE_RESPONSE, 1, 300, 5840);
    for (i = LOAD_CALL_HEADER + LOAD_STUB_HEAD; i < wire_len; i++) {
        wire[i] ^= 1;
        memset(&r, 0, sizeof(r));
        ck_assert_int_eq(feed(&r, RPCH_PTYPE_RESPONSE, 64, &messages),
                         LOAD_TAKEN_MESSAGE);
        ck_assert_uint_eq(r.wrong, 1);
        wire[i] ^= 1;
        data++;
    }
    ck_assert_uint_eq(data, 300);
}
END_TEST

/* A fragment that is lost, doubled or exchanged with its neighbour. */
START_TEST(test_load_message_fragments)
{
    static uint8_t saved[ROOM];
    size_t one, saved_len, size;
    load_receiver r;
    unsigned messages, i;

    setup();
    put_message(RPCH_PTYPE_REQUEST, 1, 3000, 224);
    ck_assert_uint_gt(n_pdus, 10);
    memcpy(saved, wire, wire_len);
    saved_len = wire_len;
    for (i = 0; i < n_pdus - 1; i++) {
        size = pdu_at[i + 1] - pdu_at[i];
        one = pdu_at[i];
        memcpy(wire, saved, saved_len);
        memmove(wire + one, wire + one + size, saved_len - one - size);
        wire_len = saved_len - size;
        memset(&r, 0, sizeof(r));
        ck_assert_int_eq(feed(&r, RPCH_PTYPE_REQUEST, ROOM, &messages),
                         LOAD_TAKEN_BAD);
        memcpy(wire + one + size, saved + one, saved_len - one);
        memcpy(wire, saved, one + size);
        wire_len = saved_len + size;
        memset(&r, 0, sizeof(r));
        ck_assert_int_eq(feed(&r, RPCH_PTYPE_REQUEST, ROOM, &messages),
                         LOAD_TAKEN_BAD);
    }
    memcpy(wire, saved, saved_len);
    wire_len = saved_len;
    size = pdu_at[3] - pdu_at[2];
    memcpy(wire + pdu_at[2], saved + pdu_at[3], size);
    memcpy(wire + pdu_at[3], saved + pdu_at[2], size);
    memset(&r, 0, sizeof(r));
    ck_assert_int_eq(feed(&r, RPCH_PTYPE_REQUEST, ROOM, &messages),
                     LOAD_TAKEN_MESSAGE);
    ck_assert_uint_gt(r.wrong, size);
}
END_TEST

START_TEST(test_load_message_foreign)
{
    load_receiver r;
    unsigned messages;

    setup();
    put_message(RPCH_PTYPE_REQUEST, 1, 1000, 224);
    memset(&r, 0, sizeof(r));
    ck_assert_int_eq(feed(&r, RPCH_PTYPE_RESPONSE, ROOM, &messages),
                     LOAD_TAKEN_BAD);
    ck_assert_str_eq(r.error, "a PDU of another type");
    wire[pdu_at[1] + 12] ^= 1; /* call_id */
    memset(&r, 0, sizeof(r));
    ck_assert_int_eq(feed(&r, RPCH_PTYPE_REQUEST, ROOM, &messages),
                     LOAD_TAKEN_BAD);
    ck_assert_str_eq(r.error, "a fragment of another call");
    wire[LOAD_CALL_HEADER] ^= 1; /* magic */
    memset(&r, 0, sizeof(r));
    ck_assert_int_eq(feed(&r, RPCH_PTYPE_REQUEST, ROOM, &messages),
                     LOAD_TAKEN_BAD);
    ck_assert_str_eq(r.error, "no message of this program");
}
END_TEST

/* Another seed, direction or place is another pattern. */
START_TEST(test_load_message_pattern)
{
    uint32_t seed = load_pattern_seed(4711, 5, 1);
    const uint8_t *p;

    load_pattern_init();
    p = load_pattern(seed, 0, 0);
    ck_assert_uint_ne(seed, load_pattern_seed(4711, 5, 2));
    ck_assert_uint_ne(seed, load_pattern_seed(4711, 6, 1));
    ck_assert_uint_ne(seed, load_pattern_seed(4712, 5, 1));
    ck_assert_int_ne(memcmp(p, load_pattern(seed, 1, 0), 64), 0);
    ck_assert_int_ne(memcmp(p, load_pattern(seed + 1, 0, 0), 64), 0);
    ck_assert_int_ne(memcmp(p, load_pattern(seed, 0, 16384), 64), 0);
    ck_assert_int_ne(memcmp(p, load_pattern(seed, 0, 65536), 64), 0);
    ck_assert_int_eq(memcmp(p + 1000, load_pattern(seed, 0, 1000), 60000), 0);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("load_message");
    TCase *tc = tcase_create("all");

    tcase_add_test(tc, test_load_message_whole);
    tcase_add_test(tc, test_load_message_slices);
    tcase_add_test(tc, test_load_message_every_byte);
    tcase_add_test(tc, test_load_message_fragments);
    tcase_add_test(tc, test_load_message_foreign);
    tcase_add_test(tc, test_load_message_pattern);
    suite_add_tcase(s, tc);
    return test_main(s);
}
