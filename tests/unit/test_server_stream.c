/* SPDX-License-Identifier: Apache-2.0 */
/* test_server_stream.c - the server role machine fed with streams in any
 * cuts */
#include "server_test.h"

/* What a fed stream gave: the RPC bytes in order, PDUs, PDU ends. */
typedef struct outcome {
    uint8_t rpc[200000];
    size_t len;
    unsigned pdus;
    uint8_t to_out[512];
    size_t to_out_len;
    uint8_t to_in[512];
    size_t to_in_len;
    int status;
} outcome;

static void feed_in(const uint8_t *p, size_t len, int how, uint32_t seed,
                    outcome *o)
{
    size_t at = 0, had = 0;
    rpch_step step;
    const uint8_t *lane;

    memset(o, 0, sizeof(*o));
    while (at < len) {
        size_t end = at + role_cut(how, len - at, &seed);

        while (at < end) {
            o->status = rpch_server_in_recv(&sv, 0, p + at, end - at, &step,
                                            1);
            ck_assert_uint_le(step.used, end - at);
            at += step.used;
            if (o->status != RPCH_OK)
                break;
            ck_assert_uint_gt(step.used, 0);
            if (step.pass == NULL)
                continue;
            ck_assert(step.first == (had == 0));
            ck_assert(!step.first || step.pass_len >= 16);
            memcpy(o->rpc + o->len, step.pass, step.pass_len);
            o->len += step.pass_len;
            had += step.pass_len;
            ck_assert(step.last == (had == step.pdu_len));
            if (step.last) {
                o->pdus++;
                had = 0;
                rpch_server_consumed(&sv, step.pdu_len);
            }
        }
        if (o->status != RPCH_OK)
            break;
    }
    lane = rpch_lane_buf(to_out(), &o->to_out_len);
    memcpy(o->to_out, lane, o->to_out_len);
    lane = rpch_lane_buf(to_in(), &o->to_in_len);
    memcpy(o->to_in, lane, o->to_in_len);
}

START_TEST(test_server_in_stream_cuts)
{
    static uint8_t stream[200000];
    static outcome whole, other;
    rpch_rts_values v = b2_values();
    rpch_rts_values a2 = a2_values();
    size_t len = 0, rpc = 0;
    uint32_t seed;

    len += role_rts(RPCH_CONN_B2, &v, stream + len);
    rpc += role_rpc(stream + len + rpc, 5840, 1);
    rpc += role_rpc(stream + len + rpc, 16, 2);
    rpc += role_rpc(stream + len + rpc, 65535, 3);
    len += rpc;
    v.dest = RPCH_DEST_OUT_PROXY;
    v.ack.cookie = role_cookie(0xb0);
    len += role_rts(RPCH_FLOW_CONTROL_ACK_DEST, &v, stream + len);
    role_rpc(stream + len, 300, 4);
    stream[len + 4] = 0; /* big-endian: frag_length 0x012c */
    stream[len + 8] = 0x01;
    stream[len + 9] = 0x2c;
    len += 300;
    rpc += 300;

    for (seed = 0; seed < 42; seed++) {
        outcome *o = seed ? &other : &whole;

        start(0);
        out_rts(RPCH_CONN_A2, &a2, 0);
        feed_in(stream, len, seed == 0 ? ROLE_WHOLE : seed == 1 ? ROLE_BYTES
                : ROLE_RANDOM, seed, o);
        ck_assert_int_eq(o->status, RPCH_OK);
        ck_assert_uint_eq(o->pdus, 4);
        ck_assert_uint_eq(o->len, rpc);
        ck_assert_uint_eq(sv.queued, 0);
        ck_assert_int_eq(sv.core.state, RPCH_SERVER_OPENED);
        if (seed)
            ck_assert_int_eq(memcmp(&whole, &other, sizeof(whole)), 0);
    }
    /* C1 and the forwarded ack; B3 and one ack: that for the PDU of the
     * window's size gave way to the one because another of that size would
     * not fit. */
    ck_assert_uint_eq(whole.to_out_len, 44 + 56);
    ck_assert_uint_eq(whole.to_in_len, 36 + 48);
}
END_TEST

START_TEST(test_server_in_syntax_error_cuts)
{
    uint8_t stream[400];
    static outcome o;
    rpch_rts_values v = b2_values();
    size_t len = role_rts(RPCH_CONN_B2, &v, stream);
    uint32_t seed;

    len += role_rpc(stream + len, 100, 1);
    stream[128] = 4; /* rpc_vers of the RPC PDU */
    for (seed = 0; seed < 20; seed++) {
        rpch_rts_values a2 = a2_values();

        start(0);
        out_rts(RPCH_CONN_A2, &a2, 0);
        feed_in(stream, len, seed == 0 ? ROLE_WHOLE : seed == 1 ? ROLE_BYTES
                : ROLE_RANDOM, seed, &o);
        ck_assert_int_eq(o.status, RPCH_E_SYNTAX);
        ck_assert_ptr_nonnull(strstr(sv.core.reason, "rpc_vers"));
        ck_assert_uint_eq(o.len, 0);
        ck_assert_uint_eq(rpch_server_wants(&sv), RPCH_WANT_CLOSE);
    }
}
END_TEST

START_TEST(test_server_out_stream_cuts)
{
    uint8_t stream[600];
    rpch_rts_values v = a2_values();
    size_t len = role_rts(RPCH_CONN_A2, &v, stream);
    int how;

    v.notify = 1040;
    len += role_rts(RPCH_PING_TRAFFIC_SENT_NOTIFY, &v, stream + len);
    v.ack.cookie = role_cookie(0xb0);
    v.ack.bytes_received = 3000;
    v.ack.available_window = 65000;
    len += role_rts(RPCH_FLOW_CONTROL_ACK, &v, stream + len);
    for (how = ROLE_WHOLE; how <= ROLE_RANDOM; how++) {
        uint32_t seed = 7;
        size_t at = 0;

        drive(RPCH_SERVER_A2W);
        while (at < len) {
            rpch_step step;

            ck_assert_int_eq(rpch_server_out_recv(
                &sv, 0, stream + at, role_cut(how, len - at, &seed), &step, 5),
                RPCH_OK);
            ck_assert_uint_gt(step.used, 0);
            ck_assert_ptr_null(step.pass);
            at += step.used;
            if (sv.out[0].tx.sent == 0)
                rpch_server_sent(&sv, 3000); /* to be acknowledged */
        }
        ck_assert_int_eq(sv.core.state, RPCH_SERVER_OPENED);
        ck_assert_uint_eq(sv.out[0].used, 44 + 1040 + 3000);
        ck_assert_uint_eq(sv.out[0].tx.avail, 65000);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("server_stream");
    TCase *t = tcase_create("stream");

    tcase_add_test(t, test_server_in_stream_cuts);
    tcase_add_test(t, test_server_in_syntax_error_cuts);
    tcase_add_test(t, test_server_out_stream_cuts);
    suite_add_tcase(s, t);
    return test_main(s);
}
