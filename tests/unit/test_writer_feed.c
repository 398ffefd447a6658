/* SPDX-License-Identifier: Apache-2.0 */
/* test_writer_feed.c - relay/writer.h: what is read at once leaves at once,
 * and nothing else changes by that */
#include "writer_test.h"

/* Feeds p[0..len) as one chunk; all of it is taken. */
static void feed(const uint8_t *p, size_t len)
{
    size_t taken;
    ck_assert_int_eq(relay_writer_feed(&writer, true, p, len, &taken, NULL,
                                       NULL, 1), RPCH_OK);
    ck_assert_uint_eq(taken, len);
}

static size_t make_rts(uint8_t *p, rpch_pdu_id id, const rpch_rts_values *v)
{
    size_t len;
    ck_assert_int_eq(rpch_rts_make(id, v, p, RPCH_RTS_SIZE_MAX, &len),
                     RPCH_OK);
    return len;
}

START_TEST(test_writer_feed_sends_at_once)
{
    uint8_t in[5 * 5840]; /* no ack yet */
    int i;
    open_in(65536);
    for (i = 0; i < 5; i++)
        make_rpc(in + 5840 * i, 5840, (uint8_t)i);
    out.calls = 0;
    feed(in, sizeof(in));
    ck_assert_uint_eq(out.calls, 1);
    ck_assert_uint_eq(out.pieces, 1);
    ck_assert_uint_eq(relay_half_counters(&half).rpc_pdus, 5);
    ck_assert(!relay_writer_pending(&writer));
    check_stream(in, sizeof(in));
}
END_TEST

/* A header in pieces and the PDU's rest leave together. */
START_TEST(test_writer_feed_header_in_pieces)
{
    uint8_t in[3 * 1000];
    int i;
    for (i = 1; i < 16; i++) {
        out.len = 0;
        open_in(65536);
        make_rpc(in, 1000, 1);
        make_rpc(in + 1000, 1000, 2);
        make_rpc(in + 2000, 1000, 3);
        feed(in, 1000 + (size_t)i);
        ck_assert_uint_eq(out.len, 1000);
        out.calls = 0;
        feed(in + 1000 + i, 2000 - (size_t)i);
        ck_assert_uint_eq(out.calls, 1);
        ck_assert_uint_eq(out.pieces, 2);
        check_stream(in, sizeof(in));
        relay_writer_close(&writer);
    }
}
END_TEST

START_TEST(test_writer_feed_stops_at_the_window)
{
    uint8_t in[5 * 4000];
    rpch_rts_values v = values(12000);
    int i;
    open_in(12000);
    for (i = 0; i < 5; i++)
        make_rpc(in + 4000 * i, 4000, (uint8_t)i);
    feed(in, sizeof(in));
    ck_assert_uint_eq(out.len, 12000);
    ck_assert_uint_eq(writer.queue.bytes, 8000);
    ck_assert_uint_eq(half.m.in.tx.sent, 12000);
    ck_assert(!writer.full);
    memset(in, 0xee, 12000); /* the chunk is not needed any more */
    make_rpc(in, 4000, 0);
    make_rpc(in + 4000, 4000, 1);
    make_rpc(in + 8000, 4000, 2);
    v.ack.bytes_received = 12000;
    v.ack.available_window = 12000;
    v.ack.cookie = v.cookie[1];
    feed_rts(RPCH_FLOW_CONTROL_ACK, &v, false);
    ck_assert_int_eq(relay_writer_flush(&writer, 1), RPCH_OK);
    check_stream(in, sizeof(in));
}
END_TEST

/* What the sink did not take was not begun: the window knows of the PDU on the
 * wire alone. */
START_TEST(test_writer_feed_begins_what_leaves)
{
    uint8_t in[4 * 1000];
    int i;
    open_in(65536);
    for (i = 0; i < 4; i++)
        make_rpc(in + 1000 * i, 1000, (uint8_t)i);
    out.budget = 1500;
    feed(in, sizeof(in));
    ck_assert(writer.full);
    ck_assert_uint_eq(out.len, 1500);
    ck_assert_uint_eq(writer.left, 500);
    ck_assert_uint_eq(half.m.in.tx.sent, 2000);
    ck_assert_uint_eq(relay_half_counters(&half).rpc_pdus, 1);
    ck_assert_uint_eq(writer.queue.bytes, 2500);
    out.budget = STREAM_MAX;
    relay_writer_writable(&writer);
    ck_assert_int_eq(relay_writer_flush(&writer, 1), RPCH_OK);
    check_stream(in, sizeof(in));
}
END_TEST

/* What comes before an RTS PDU leaves before that is looked at; what comes
 * behind it finds it on the wire. */
START_TEST(test_writer_feed_rts_between)
{
    uint8_t in[3 * 100], stream[3 * 100 + RPCH_RTS_SIZE_MAX];
    rpch_rts_values v = values(65536);
    size_t n;
    open_in(65536);
    v.dest = RPCH_DEST_OUT_PROXY;
    make_rpc(in, 100, 1);
    make_rpc(in + 100, 100, 2);
    make_rpc(in + 200, 100, 3);
    memcpy(stream, in, 200);
    n = make_rts(stream + 200, RPCH_FLOW_CONTROL_ACK_DEST, &v);
    memcpy(stream + 200 + n, in + 200, 100);
    feed(stream, 300 + n);
    ck_assert_uint_eq(out.len, 300 + n);
    ck_assert_mem_eq(out.b, stream, out.len);
    ck_assert_uint_eq(check_stream(in, sizeof(in)), 1);
}
END_TEST

/* The rest of a PDU, the lane and the next PDUs leave at once, and wherever
 * the sink cuts that the stream stays whole. */
START_TEST(test_writer_feed_lane_between)
{
    uint8_t in[3 * 100];
    rpch_rts_values v = values(65536);
    size_t n;
    v.dest = RPCH_DEST_OUT_PROXY;
    make_rpc(in, 100, 1);
    make_rpc(in + 100, 100, 2);
    make_rpc(in + 200, 100, 3);
    for (n = 0; n < 300 + 56 - 40; n++) {
        out.len = 0;
        open_in(65536);
        out.budget = 40;
        feed(in, sizeof(in));
        feed_rts(RPCH_FLOW_CONTROL_ACK_DEST, &v, true);
        out.budget = n;
        out.calls = 0;
        relay_writer_writable(&writer);
        ck_assert_int_eq(relay_writer_flush(&writer, 1), RPCH_OK);
        ck_assert_uint_eq(out.calls, 1);
        ck_assert_int_eq(out.pieces, 3);
        ck_assert_uint_eq(out.len, 40 + n);
        ck_assert(writer.full);
        out.budget = STREAM_MAX;
        relay_writer_writable(&writer);
        ck_assert_int_eq(relay_writer_flush(&writer, 1), RPCH_OK);
        ck_assert_uint_eq(check_stream(in, sizeof(in)), 1);
        ck_assert_uint_eq(relay_half_counters(&half).rpc_pdus, 3);
        ck_assert(!relay_writer_pending(&writer));
        relay_writer_close(&writer);
    }
}
END_TEST

/* After IN_R2/A5 nothing is sent any more: what came before it was. */
START_TEST(test_writer_feed_before_the_end)
{
    uint8_t in[200], stream[200 + RPCH_RTS_SIZE_MAX];
    rpch_rts_values v = values(65536);
    rpch_succession s = { v.cookie[0], v.cookie[1], { { 0xe0 } }, 0 };
    const char *reason = NULL;
    size_t n;
    open_in(65536);
    ck_assert_int_eq(relay_half_attach(&half, &s, &reason), RPCH_OK);
    ck_assert_int_eq(relay_writer_flush(&writer, 1), RPCH_OK);
    out.len = 0;
    v.cookie[0] = s.successor;
    make_rpc(in, 200, 1);
    memcpy(stream, in, 200);
    n = make_rts(stream + 200, RPCH_IN_R2_A5, &v);
    feed(stream, 200 + n);
    ck_assert_uint_ne(relay_half_wants(&half) & RPCH_WANT_RELEASE, 0);
    check_stream(in, sizeof(in));
}
END_TEST

/* More spans than are remembered, and more PDUs than one load has. */
START_TEST(test_writer_feed_many)
{
    enum { PDUS = 3000 };
    static uint8_t in[PDUS * 16], stream[PDUS * 16 + 20 * RPCH_RTS_SIZE_MAX];
    rpch_rts_values v = values(262144);
    size_t at = 0;
    int i;
    open_in(262144);
    v.dest = RPCH_DEST_OUT_PROXY;
    for (i = 0; i < PDUS; i++) {
        make_rpc(in + 16 * i, 16, 1);
        memcpy(stream + at, in + 16 * i, 16);
        at += 16;
        if (i % 200 == 199)
            at += make_rts(stream + at, RPCH_FLOW_CONTROL_ACK_DEST, &v);
    }
    feed(stream, at);
    ck_assert_uint_eq(relay_half_counters(&half).rpc_pdus, PDUS);
    ck_assert_uint_gt(check_stream(in, sizeof(in)), 0);
}
END_TEST

/* Garbage ends the half, and what came before it has left. */
START_TEST(test_writer_feed_garbage)
{
    uint8_t in[100 + 50];
    size_t taken;
    open_in(65536);
    make_rpc(in, 100, 1);
    memset(in + 100, 7, 50);
    ck_assert_int_eq(relay_writer_feed(&writer, true, in, sizeof(in), &taken,
                                       NULL, NULL, 1), RPCH_E_SYNTAX);
    ck_assert_uint_eq(taken, 100);
    check_stream(in, 100);
    ck_assert_ptr_null(writer.chunk);
}
END_TEST

/* Sees each slice once, before it is passed on. */
static void note(void *baton, const rpch_step *step)
{
    size_t *sum = baton;
    ck_assert_uint_eq(out.len, 0);
    *sum += step->pass_len;
}

START_TEST(test_writer_feed_notes)
{
    uint8_t in[300];
    size_t taken, sum = 0;
    open_in(65536);
    make_rpc(in, 100, 1);
    make_rpc(in + 100, 200, 2);
    ck_assert_int_eq(relay_writer_feed(&writer, true, in, sizeof(in), &taken,
                                       note, &sum, 1), RPCH_OK);
    ck_assert_uint_eq(sum, sizeof(in));
}
END_TEST

/* As test_writer_random, in chunks, with RTS PDUs among the RPC PDUs. */
START_TEST(test_writer_feed_random)
{
    enum { TOTAL = 400000, ROOM = TOTAL + 6000 };
    uint8_t *rpc = malloc(ROOM), *in = malloc(2 * ROOM);
    size_t rpc_len = 0, len = 0, at = 0, acked = 0, n, taken;
    rpch_rts_values v = values(8192 + 4096u * (uint32_t)(_i % 4));
    seed = (uint32_t)_i;
    open_in(v.window);
    v.dest = RPCH_DEST_OUT_PROXY;
    while (rpc_len < TOTAL) {
        n = make_rpc(rpc + rpc_len, 16 + random_next() % 5800, (uint8_t)len);
        memcpy(in + len, rpc + rpc_len, n);
        rpc_len += n;
        len += n;
        if (random_next() % 8 == 0)
            len += make_rts(in + len, RPCH_FLOW_CONTROL_ACK_DEST, &v);
    }
    while (at < len || relay_writer_pending(&writer)) {
        n = random_next() % 20000;
        out.budget = random_next() % 20000;
        relay_writer_writable(&writer);
        ck_assert_int_eq(relay_writer_feed(&writer, true, in + at,
                                           n < len - at ? n : len - at,
                                           &taken, NULL, NULL, 1), RPCH_OK);
        at += taken;
        ck_assert_int_eq(relay_writer_flush(&writer, 1), RPCH_OK);
        ck_assert_uint_le(half.m.in.tx.sent, acked + v.window);
        if (relay_half_counters(&half).rpc_bytes > acked) {
            acked = (size_t)relay_half_counters(&half).rpc_bytes;
            v.ack.bytes_received = (uint32_t)acked;
            v.ack.available_window = v.window;
            v.ack.cookie = v.cookie[1];
            feed_rts(RPCH_FLOW_CONTROL_ACK, &v, false);
        }
    }
    ck_assert_uint_gt(check_stream(rpc, rpc_len), 0);
    ck_assert_uint_eq(half.m.in.queued, 0);
    free(rpc);
    free(in);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("writer_feed");
    TCase *t = tcase_create("writer_feed");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, test_writer_feed_sends_at_once);
    tcase_add_test(t, test_writer_feed_header_in_pieces);
    tcase_add_test(t, test_writer_feed_stops_at_the_window);
    tcase_add_test(t, test_writer_feed_begins_what_leaves);
    tcase_add_test(t, test_writer_feed_rts_between);
    tcase_add_test(t, test_writer_feed_lane_between);
    tcase_add_test(t, test_writer_feed_before_the_end);
    tcase_add_test(t, test_writer_feed_many);
    tcase_add_test(t, test_writer_feed_garbage);
    tcase_add_test(t, test_writer_feed_notes);
    tcase_add_loop_test(t, test_writer_feed_random, 0, 50);
    suite_add_tcase(s, t);
    return test_main(s);
}
