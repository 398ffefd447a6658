/* SPDX-License-Identifier: Apache-2.0 */
/* test_outbound_stream.c - whole lives of S-OUT: in any cuts, damaged, and
 * what comes after the end */
#include "outbound_test.h"

/* The outcome of a stream. */
typedef struct outcome {
    uint8_t passed[160000]; /* RPC PDUs and RTS PDUs on C-OUT, in order */
    size_t n;
    uint8_t rts[4096];      /* RTS PDUs for the server */
    size_t rts_n;
    uint64_t pdus;
    uint64_t lifetime_used;
} outcome;

static outcome whole, other;

static void drain(outcome *o)
{
    const uint8_t *p;
    size_t len;

    while ((p = rpch_lane_buf(&m.to_client, &len)) != NULL) {
        ck_assert_uint_le(o->n + len, sizeof(o->passed));
        memcpy(o->passed + o->n, p, len);
        o->n += len;
        rpch_outbound_client_ack(&m, len, START);
    }
    while ((p = rpch_lane_buf(&m.to_server, &len)) != NULL) {
        ck_assert_uint_le(o->rts_n + len, sizeof(o->rts));
        memcpy(o->rts + o->rts_n, p, len);
        o->rts_n += len;
        rpch_lane_ack(&m.to_server, len);
    }
}

/* Behaves as a caller would whose writes are never short. */
static void obey(outcome *o)
{
    if (step.first)
        rpch_outbound_pdu_begin(&m, step.pdu_len);
    if (step.pass) {
        ck_assert_uint_le(o->n + step.pass_len, sizeof(o->passed));
        memcpy(o->passed + o->n, step.pass, step.pass_len);
        o->n += step.pass_len;
    }
    if (step.last)
        rpch_outbound_pdu_done(&m, step.pdu_len, START);
    drain(o);
}

static void run_stream(const uint8_t *in, size_t len, int how, uint32_t seed,
                       outcome *o)
{
    size_t at = 0;

    memset(o, 0, sizeof(*o));
    drive(0, RPCH_OUT_C1W);
    while (at < len && m.core.status == RPCH_OK) {
        size_t n = role_cut(how, len - at, &seed);
        size_t done = 0;

        while (done < n && server(in + at + done, n - done) == RPCH_OK) {
            ck_assert_uint_gt(step.used, 0);
            done += step.used;
            obey(o);
        }
        at += n;
    }
    o->pdus = m.rpc_pdus;
    o->lifetime_used = m.lifetime_used;
}

/* A whole life of S-OUT, which ends by OUT_R1; what is to arrive at the
 * client is also written to want. */
static size_t make_stream(uint8_t *in, uint8_t *want, size_t *want_n)
{
    static const uint16_t sizes[] = { 40, 5840, 5840, 5840, 5840, 5840, 5840,
                                      16, 17, 60000, 1024, 31 };
    rpch_rts_values v = role_values(0xb0, 0);
    size_t n = 14;
    size_t i, len;

    memcpy(in, "ncacn_http/1.0", n);
    len = role_rts(RPCH_CONN_C1, &v, in + n);
    memcpy(want, in + n, len);
    *want_n = len;
    n += len;
    v.ack.cookie = role_cookie(0xb0);
    v.ack.available_window = 65536;
    for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        len = role_rpc(in + n, sizes[i], (uint8_t)i);
        v.dest = RPCH_DEST_CLIENT;
        if (i % 3 == 0)
            len += role_rts(RPCH_FLOW_CONTROL_ACK_DEST, &v, in + n + len);
        memcpy(want + *want_n, in + n, len);
        *want_n += len;
        n += len;
        v.dest = RPCH_DEST_OUT_PROXY;
        n += role_rts(RPCH_FLOW_CONTROL_ACK_DEST, &v, in + n);
    }
    len = role_rts(RPCH_OUT_R1_A1, &v, in + n);
    memcpy(want + *want_n, in + n, len);
    *want_n += len;
    n += len;
    *want_n += role_rts(RPCH_OUT_R1_A10, &v, want + *want_n);
    return n + role_rts(RPCH_OUT_R1_A9, &v, in + n);
}

START_TEST(test_outbound_stream_in_any_cuts)
{
    static const char reason[] =
        "the OUT channel was replaced by its successor";
    static uint8_t in[160000], want[160000];
    size_t want_n;
    size_t len = make_stream(in, want, &want_n);
    uint32_t seed;

    run_stream(in, len, ROLE_WHOLE, 0, &whole);
    expect_end(RPCH_E_RECYCLED, reason);
    ck_assert_uint_eq(whole.n, want_n);
    ck_assert_mem_eq(whole.passed, want, want_n);
    ck_assert_uint_eq(whole.pdus, 12);
    ck_assert_uint_eq(whole.lifetime_used, 28 + want_n);
    ck_assert_uint_eq(whole.rts_n, 2 * 48);
    run_stream(in, len, ROLE_BYTES, 0, &other);
    expect_end(RPCH_E_RECYCLED, reason);
    ck_assert_mem_eq(&whole, &other, sizeof(whole));
    for (seed = 1; seed <= 50; seed++) {
        run_stream(in, len, ROLE_RANDOM, seed, &other);
        expect_end(RPCH_E_RECYCLED, reason);
        ck_assert_mem_eq(&whole, &other, sizeof(whole));
    }
}
END_TEST

START_TEST(test_outbound_damaged_streams)
{
    static uint8_t in[160000], want[160000], damaged[160000];
    size_t want_n;
    size_t len = make_stream(in, want, &want_n);
    uint32_t seed = 7;
    int ended = 0;
    int i, k;

    for (i = 0; i < 300; i++) {
        memcpy(damaged, in, len);
        for (k = 0; k <= i % 4; k++) {
            size_t at = role_cut(ROLE_RANDOM, len, &seed) * (seed >> 28) % len;

            damaged[at] ^= (uint8_t)(1u << (seed >> 13) % 8);
        }
        run_stream(damaged, len, ROLE_RANDOM, seed, &other);
        ck_assert_int_eq(m.core.state == RPCH_OUT_FINISHED,
                         m.core.status != RPCH_OK);
        ck_assert_int_ne(m.core.status, RPCH_E_BUG);
        ck_assert_int_ne(m.core.status, RPCH_E_ROOM);
        ended += m.core.status == RPCH_E_SYNTAX;
    }
    ck_assert_int_gt(ended, 0);
}
END_TEST

START_TEST(test_outbound_finished_accepts_every_call)
{
    int ev;

    drive(0, RPCH_OUT_C1W);
    ck_assert_int_eq(rpch_outbound_pdu_begin(&m, 16), RPCH_E_BUG);
    drive(0, RPCH_OUT_OPENED);
    ck_assert_int_eq(rpc_through(30000, false), RPCH_OK);
    rpch_outbound_server_closed(&m);
    expect_end(RPCH_E_CLOSED, "the server closed the connection");
    rpch_outbound_client_closed(&m);
    for (ev = 0; ev < RPCH_OUT_EV_MAX; ev++)
        inject((rpch_out_event)ev);
    ck_assert(!rpch_outbound_may_send(&m, 16));
    ck_assert_int_eq(rpch_outbound_pdu_begin(&m, 16), RPCH_E_CLOSED);
    rpch_outbound_pdu_done(&m, 40000, START);
    ck_assert_uint_eq(m.queued, 0);
    expect_end(RPCH_E_CLOSED, "the server closed the connection");
    expect_lane(&m.to_server, "");
    expect_lane(&m.to_client, "");
}
END_TEST

int main(void)
{
    Suite *s = suite_create("outbound_stream");
    TCase *t = tcase_create("stream");

    tcase_add_test(t, test_outbound_stream_in_any_cuts);
    tcase_add_test(t, test_outbound_damaged_streams);
    tcase_add_test(t, test_outbound_finished_accepts_every_call);
    suite_add_tcase(s, t);
    return test_main(s);
}
