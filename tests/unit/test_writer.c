/* SPDX-License-Identifier: Apache-2.0 */
/* test_writer.c - relay/writer.h and relay/half.h: order, boundaries, windows */
#include "writer_test.h"

/* Gives the client's bytes to the half, until it takes none, and what it
 * passes to the writer. Returns how many it took. */
static size_t client_offers(const uint8_t *p, size_t len)
{
    rpch_step step;
    size_t at = 0;
    do {
        ck_assert_int_eq(relay_half_client_recv(&half, p + at, len - at,
                                                &step, 1), RPCH_OK);
        if (step.pass)
            ck_assert_int_eq(relay_writer_pass(&writer, &step, 1), RPCH_OK);
        at += step.used;
    } while (at < len && step.used > 0);
    return at;
}

static void client_sends(const uint8_t *p, size_t len)
{
    ck_assert_uint_eq(client_offers(p, len), len);
}

START_TEST(test_writer_direct)
{
    uint8_t pdu[500];
    open_in(65536);
    client_sends(pdu, make_rpc(pdu, sizeof(pdu), 0x11));
    ck_assert_uint_eq(check_stream(pdu, sizeof(pdu)), 0);
    ck_assert(!relay_writer_pending(&writer));
    ck_assert_uint_eq(relay_half_counters(&half).rpc_pdus, 1);
    ck_assert_uint_eq(relay_half_counters(&half).rpc_bytes, 500);
}
END_TEST

START_TEST(test_writer_waits_for_window)
{
    uint8_t in[3 * 4000];
    rpch_rts_values v = values(8192);
    open_in(8192);
    make_rpc(in, 4000, 1);
    make_rpc(in + 4000, 4000, 2);
    make_rpc(in + 8000, 4000, 3);
    client_sends(in, sizeof(in));
    ck_assert_uint_eq(out.len, 8000);
    ck_assert(relay_writer_pending(&writer));
    ck_assert(!writer.full);
    v.ack.bytes_received = 8000;
    v.ack.available_window = 8192;
    v.ack.cookie = v.cookie[1];
    feed_rts(RPCH_FLOW_CONTROL_ACK, &v, false);
    ck_assert_int_eq(relay_writer_flush(&writer, 1), RPCH_OK);
    check_stream(in, sizeof(in));
}
END_TEST

START_TEST(test_writer_rts_overtakes_a_closed_window)
{
    uint8_t in[3 * 4000];
    rpch_rts_values v = values(8192);
    open_in(8192);
    make_rpc(in, 4000, 1);
    make_rpc(in + 4000, 4000, 2);
    make_rpc(in + 8000, 4000, 3);
    client_sends(in, sizeof(in));
    v.dest = RPCH_DEST_OUT_PROXY;
    feed_rts(RPCH_FLOW_CONTROL_ACK_DEST, &v, true);
    ck_assert_int_eq(relay_writer_flush(&writer, 1), RPCH_OK);
    ck_assert_uint_eq(out.len, 8056);
    ck_assert_uint_eq(check_stream(in, 8000), 1);
}
END_TEST

START_TEST(test_writer_rts_never_inside_a_pdu)
{
    uint8_t in[1000];
    rpch_rts_values v = values(65536);
    open_in(65536);
    out.budget = 100;
    client_sends(in, make_rpc(in, sizeof(in), 9));
    ck_assert_uint_eq(out.len, 100);
    ck_assert(writer.full);
    v.dest = RPCH_DEST_OUT_PROXY;
    feed_rts(RPCH_FLOW_CONTROL_ACK_DEST, &v, true);
    out.budget = STREAM_MAX;
    ck_assert_int_eq(relay_writer_flush(&writer, 1), RPCH_OK);
    ck_assert_uint_eq(out.len, 100);
    relay_writer_writable(&writer);
    ck_assert_int_eq(relay_writer_flush(&writer, 1), RPCH_OK);
    ck_assert_uint_eq(check_stream(in, sizeof(in)), 1);
}
END_TEST

START_TEST(test_writer_broken_sink)
{
    uint8_t in[100];
    open_in(65536);
    out.broken = true;
    client_sends(in, make_rpc(in, sizeof(in), 9));
    ck_assert(writer.broken);
    ck_assert_int_eq(relay_writer_flush(&writer, 1), RPCH_OK);
    ck_assert_uint_eq(out.len, 0);
}
END_TEST

/* Which kind of bytes moved is told apart: RTS PDUs go to a peer that stopped
 * acknowledging, too, and must not count as its progress. */
START_TEST(test_writer_says_what_moved)
{
    uint8_t in[2 * 5000];
    rpch_rts_values v = values(8192);
    open_in(8192);
    ck_assert(writer.lane_moved && !writer.rpc_moved); /* CONN/B2 */

    writer.lane_moved = false;
    client_sends(in, make_rpc(in, 5000, 1));
    ck_assert(writer.rpc_moved && !writer.lane_moved);

    writer.rpc_moved = false;
    make_rpc(in + 5000, 5000, 2);
    client_sends(in + 5000, 5000); /* beyond the window */
    ck_assert(!writer.rpc_moved && !writer.lane_moved);

    v.dest = RPCH_DEST_OUT_PROXY;
    feed_rts(RPCH_FLOW_CONTROL_ACK_DEST, &v, true);
    ck_assert_int_eq(relay_writer_flush(&writer, 1), RPCH_OK);
    ck_assert(writer.lane_moved && !writer.rpc_moved);

    writer.lane_moved = false;
    out.budget = 0; /* the window opens, the sink is full */
    v.ack.bytes_received = 5000;
    v.ack.available_window = 8192;
    v.ack.cookie = v.cookie[1];
    feed_rts(RPCH_FLOW_CONTROL_ACK, &v, false);
    ck_assert_int_eq(relay_writer_flush(&writer, 1), RPCH_OK);
    ck_assert(writer.full && !writer.rpc_moved && !writer.lane_moved);

    out.budget = STREAM_MAX;
    relay_writer_writable(&writer);
    ck_assert_int_eq(relay_writer_flush(&writer, 1), RPCH_OK);
    ck_assert(writer.rpc_moved && !writer.lane_moved);
    check_stream(in, sizeof(in));
}
END_TEST

/* The writer's half gives its leg away after IN_R2/A5 with what it has not
 * written, in pieces of n bytes, to a successor that starts afresh. */
static void move_on(size_t n)
{
    static relay_half heir;
    static const rpch_address address;
    static uint8_t queue[STREAM_MAX];
    rpch_rts_values v = values(8192), a5 = v;
    rpch_succession s = { v.cookie[0], v.cookie[1], { { 0xe0 } }, 0 };
    const char *reason = NULL;
    uint32_t pdu_len = writer.pdu_len, left = writer.left;
    size_t len = writer.queue.bytes, at = 0;
    rpch_step step;
    uint8_t pdu[RPCH_RTS_SIZE_MAX];
    relay_leg leg;
    a5.cookie[0] = v.cookie[2] = s.successor;
    ck_assert_int_eq(relay_half_attach(&half, &s, &reason), RPCH_OK);
    feed_rts(RPCH_IN_R2_A5, &a5, true);
    ck_assert_int_eq(relay_half_release(&half, &leg), RPCH_OK);
    leg.u.in.begun_left = left;
    ck_assert_uint_eq(leg.u.in.queued - leg.u.in.begun + left, len);
    ck_assert_uint_eq(relay_sendq_peek(&writer.queue, queue, len), len);
    relay_writer_close(&writer);
    relay_half_init(&heir, RELAY_IN, &limits, &address, 0, NULL, NULL, 0);
    ck_assert_int_eq(rpch_rts_make(RPCH_IN_R2_A1, &v, pdu, sizeof(pdu), &at),
                     RPCH_OK);
    ck_assert_int_eq(relay_half_client_recv(&heir, pdu, at, &step, 1),
                     RPCH_OK);
    ck_assert_int_eq(relay_half_attached(&heir, 1), RPCH_OK);
    ck_assert_int_eq(relay_half_adopt(&heir, &leg, 1), RPCH_OK);
    half = heir;
    relay_writer_init(&writer, &half, true, take, &out, blocks);
    if (leg.u.in.begun > 0)
        relay_writer_resume(&writer, pdu_len, left);
    for (at = 0; at < len; at += n) {
        n = n < len - at ? n : len - at;
        ck_assert_int_eq(relay_sendq_push(&writer.queue, queue + at, n),
                         APR_SUCCESS);
        relay_writer_writable(&writer);
        ck_assert_int_eq(relay_writer_flush(&writer, 1), RPCH_OK);
        ck_assert_int_eq(relay_half_core(&half)->status, RPCH_OK);
    }
}

/* S-IN changes hands after any number of bytes written, and the queue comes in
 * pieces of any size: of a header, too. IN_R2/A2 finds its place between two
 * PDUs. */
START_TEST(test_writer_resumes)
{
    static const size_t pieces[] = { 1, 7, 15, 16, 17, 100, STREAM_MAX };
    uint8_t in[100 + 30 + 16 + 150];
    size_t written, i;
    make_rpc(in, 100, 1);
    make_rpc(in + 100, 30, 2);
    make_rpc(in + 130, 16, 3);
    make_rpc(in + 146, 150, 4);
    for (written = 0; written < sizeof(in); written++) {
        for (i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
            out.len = 0;
            open_in(8192);
            out.budget = written;
            client_sends(in, sizeof(in));
            ck_assert_uint_eq(out.len, written);
            out.budget = STREAM_MAX;
            move_on(pieces[i]);
            ck_assert(!relay_writer_pending(&writer));
            ck_assert_uint_eq(check_stream(in, sizeof(in)), 1);
            ck_assert_uint_eq(half.m.in.queued, 0);
            ck_assert_uint_eq(half.m.in.tx.sent, sizeof(in));
            relay_writer_close(&writer);
        }
    }
}
END_TEST

/* The window is closed: nothing of the queue goes, IN_R2/A2 does, and what
 * the client says to others there, too; then all of it, in its order before
 * the successor's own. */
START_TEST(test_writer_resumes_before_a_closed_window)
{
    uint8_t in[4 * 4000];
    rpch_rts_values v = values(8192), ack;
    int i;
    open_in(8192);
    for (i = 0; i < 4; i++)
        make_rpc(in + 4000 * i, 4000, (uint8_t)(i + 1));
    client_sends(in, 3 * 4000);
    ck_assert_uint_eq(out.len, 8000);
    move_on(1000);
    ck_assert_uint_eq(out.len, 8000 + 40);
    client_sends(in + 3 * 4000, 4000);
    v.dest = RPCH_DEST_OUT_PROXY;
    feed_rts(RPCH_FLOW_CONTROL_ACK_DEST, &v, true);
    ck_assert_int_eq(relay_writer_flush(&writer, 1), RPCH_OK);
    ck_assert_uint_eq(out.len, 8000 + 40 + 56);
    ack = v;
    ack.ack.bytes_received = 8000;
    ack.ack.available_window = 8192;
    ack.ack.cookie = v.cookie[1];
    feed_rts(RPCH_FLOW_CONTROL_ACK, &ack, false);
    ck_assert_int_eq(relay_writer_flush(&writer, 1), RPCH_OK);
    ck_assert_uint_eq(check_stream(in, sizeof(in)), 2);
}
END_TEST

/* Answers count when their last byte was written, whole PDUs only, and what is
 * no end of an answer does not. */
START_TEST(test_writer_counts_answers)
{
    uint8_t in[4 * 100];
    open_in(65536);
    make_rpc(in, 100, 1);
    in[2] = RPCH_PTYPE_RESPONSE;
    in[3] = 1; /* the first fragment, and not the last */
    make_rpc(in + 100, 100, 2);
    in[102] = RPCH_PTYPE_RESPONSE;
    in[103] = 2;
    make_rpc(in + 200, 100, 3);
    make_rpc(in + 300, 100, 4);
    in[302] = RPCH_PTYPE_FAULT;
    out.budget = 150;
    client_sends(in, sizeof(in));
    ck_assert_uint_eq(writer.calls_ended, 0);
    out.budget = 50;
    relay_writer_writable(&writer);
    ck_assert_int_eq(relay_writer_flush(&writer, 1), RPCH_OK);
    ck_assert_uint_eq(writer.calls_ended, 1);
    out.budget = STREAM_MAX;
    relay_writer_writable(&writer);
    ck_assert_int_eq(relay_writer_flush(&writer, 1), RPCH_OK);
    ck_assert_uint_eq(writer.calls_ended, 2);
    check_stream(in, sizeof(in));
}
END_TEST

/* Client bytes in random cuts, a sink of random appetite, acks whenever the
 * window is used up: the stream stays whole. */
START_TEST(test_writer_random)
{
    enum { TOTAL = 400000 };
    uint8_t *in = malloc(TOTAL + 6000);
    size_t len = 0, at = 0, acked = 0, n;
    rpch_rts_values v = values(8192 + 4096u * (uint32_t)(_i % 4));
    seed = (uint32_t)_i;
    open_in(v.window);
    while (len < TOTAL)
        len += make_rpc(in + len, 16 + random_next() % 5800, (uint8_t)len);
    while (at < len || relay_writer_pending(&writer)) {
        n = random_next() % 9000;
        if (n > len - at)
            n = len - at;
        at += client_offers(in + at, n);
        out.budget = random_next() % 9000;
        relay_writer_writable(&writer);
        ck_assert_int_eq(relay_writer_flush(&writer, 1), RPCH_OK);
        if (relay_half_counters(&half).rpc_bytes > acked) {
            acked = (size_t)relay_half_counters(&half).rpc_bytes;
            v.ack.bytes_received = (uint32_t)acked;
            v.ack.available_window = v.window;
            v.ack.cookie = v.cookie[1];
            if (writer.left == 0)
                feed_rts(RPCH_FLOW_CONTROL_ACK, &v, false);
        }
    }
    ck_assert_uint_gt(check_stream(in, len), 0);
    free(in);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("writer");
    TCase *t = tcase_create("writer");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, test_writer_direct);
    tcase_add_test(t, test_writer_waits_for_window);
    tcase_add_test(t, test_writer_rts_overtakes_a_closed_window);
    tcase_add_test(t, test_writer_rts_never_inside_a_pdu);
    tcase_add_test(t, test_writer_broken_sink);
    tcase_add_test(t, test_writer_says_what_moved);
    tcase_add_test(t, test_writer_resumes);
    tcase_add_test(t, test_writer_resumes_before_a_closed_window);
    tcase_add_test(t, test_writer_counts_answers);
    tcase_add_loop_test(t, test_writer_random, 0, 50);
    suite_add_tcase(s, t);
    return test_main(s);
}
