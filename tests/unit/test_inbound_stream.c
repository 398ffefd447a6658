/* SPDX-License-Identifier: Apache-2.0 */
/* test_inbound_stream.c - whole lives of C-IN: in any cuts, damaged, and what
 * comes after the end */
#include "inbound_test.h"

START_TEST(test_inbound_finished_accepts_every_call)
{
    int ev;

    drive(0, RPCH_IN_OPENED);
    ck_assert_int_eq(rpc_through(30000, false), RPCH_OK);
    rpch_inbound_client_closed(&m);
    expect_end(RPCH_E_CLOSED, "the client closed");
    rpch_inbound_server_closed(&m);
    for (ev = 0; ev < RPCH_IN_EV_MAX; ev++)
        inject((rpch_in_event)ev);
    ck_assert(!rpch_inbound_may_send(&m, 16));
    rpch_inbound_pdu_begin(&m, 16);
    rpch_inbound_pdu_done(&m, 40000, START);
    ck_assert_uint_eq(m.queued, 0);
    expect_end(RPCH_E_CLOSED, "the client closed");
    ck_assert_ptr_null(rpch_lane_buf(&m.to_server, &step.used));
    drive(0, RPCH_IN_B3W);
    rpch_inbound_pdu_begin(&m, 16);
    ck_assert_int_eq(m.core.status, RPCH_E_BUG);
}
END_TEST

/* The outcome of a stream. */
typedef struct outcome {
    uint8_t passed[160000]; /* RPC PDUs passed on */
    size_t n;
    uint8_t rts[4096];      /* RTS PDUs for the server */
    size_t rts_n;
    uint32_t keepalive;
    uint64_t pdus;
} outcome;

static outcome whole, other;

/* Behaves as a caller would whose writes are never short. */
static void obey(outcome *o)
{
    rpch_rts_values v = role_values(0xc0, 0);
    const uint8_t *p;
    size_t len;

    if (step.first)
        rpch_inbound_pdu_begin(&m, step.pdu_len);
    if (step.pass) {
        ck_assert_uint_le(o->n + step.pass_len, sizeof(o->passed));
        memcpy(o->passed + o->n, step.pass, step.pass_len);
        o->n += step.pass_len;
    }
    if (step.last)
        rpch_inbound_pdu_done(&m, step.pdu_len, START);
    if (m.core.state == RPCH_IN_CONNECT)
        ck_assert_int_eq(rpch_inbound_connected(&m, START), RPCH_OK);
    if (m.core.state == RPCH_IN_B3W)
        ck_assert_int_eq(server_rts(RPCH_CONN_B3, &v), RPCH_OK);
    while ((p = rpch_lane_buf(&m.to_server, &len)) != NULL) {
        ck_assert_uint_le(o->rts_n + len, sizeof(o->rts));
        memcpy(o->rts + o->rts_n, p, len);
        o->rts_n += len;
        rpch_inbound_server_ack(&m, len);
    }
}

static void run_stream(const uint8_t *in, size_t len, int how, uint32_t seed,
                       outcome *o)
{
    size_t at = 0;

    memset(o, 0, sizeof(*o));
    start(0);
    while (at < len && m.core.status == RPCH_OK) {
        size_t n = role_cut(how, len - at, &seed);
        size_t done = 0;

        while (done < n && client(in + at + done, n - done) == RPCH_OK) {
            ck_assert_uint_gt(step.used, 0);
            done += step.used;
            obey(o);
        }
        at += n;
    }
    o->keepalive = m.keepalive;
    o->pdus = m.rpc_pdus;
}

/* A whole life of C-IN, which ends with a protocol error; the RPC PDUs in it
 * are also written to want. */
static size_t make_stream(uint8_t *in, uint8_t *want, size_t *want_n)
{
    static const uint16_t sizes[] = { 40, 5840, 5840, 5840, 5840, 5840, 5840,
                                      16, 17, 60000, 1024, 31 };
    rpch_rts_values v = role_values(0xc0, 0xd0);
    size_t n = role_rts(RPCH_CONN_B1, &v, in);
    size_t i;

    *want_n = 0;
    for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        size_t len = role_rpc(in + n, sizes[i], (uint8_t)i);

        memcpy(want + *want_n, in + n, len);
        *want_n += len;
        n += len;
        n += role_rts(RPCH_PING, &v, in + n);
        v.dest = RPCH_DEST_OUT_PROXY;
        if (i % 3 == 0)
            n += role_rts(RPCH_FLOW_CONTROL_ACK_DEST, &v, in + n);
        v.keepalive = 60000 + (uint32_t)i;
        if (i % 4 == 0)
            n += role_rts(RPCH_KEEP_ALIVE, &v, in + n);
    }
    return n + role_rts(RPCH_CONN_A1, &v, in + n);
}

START_TEST(test_inbound_stream_in_any_cuts)
{
    static uint8_t in[160000], want[160000];
    size_t want_n;
    size_t len = make_stream(in, want, &want_n);
    uint32_t seed;

    run_stream(in, len, ROLE_WHOLE, 0, &whole);
    expect_end(RPCH_E_UNEXPECTED, "CONN/A1 on an IN channel");
    ck_assert_uint_eq(whole.n, want_n);
    ck_assert_mem_eq(whole.passed, want, want_n);
    ck_assert_uint_eq(whole.pdus, 12);
    ck_assert_uint_eq(whole.keepalive, 60008);
    /* CONN/B2, four acks of the client, and two of ours: when more than half
     * of the window is used, and behind the PDU of 60000 */
    ck_assert_uint_eq(whole.rts_n, 128 + 4 * 56 + 2 * 56);
    run_stream(in, len, ROLE_BYTES, 0, &other);
    expect_end(RPCH_E_UNEXPECTED, "CONN/A1 on an IN channel");
    ck_assert_mem_eq(&whole, &other, sizeof(whole));
    for (seed = 1; seed <= 50; seed++) {
        run_stream(in, len, ROLE_RANDOM, seed, &other);
        expect_end(RPCH_E_UNEXPECTED, "CONN/A1 on an IN channel");
        ck_assert_mem_eq(&whole, &other, sizeof(whole));
    }
}
END_TEST

/* Whatever arrives, the machine stays within its bounds and its word. */
START_TEST(test_inbound_damaged_streams)
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
        ck_assert_int_eq(m.core.state == RPCH_IN_FINISHED,
                         m.core.status != RPCH_OK);
        ck_assert_int_ne(m.core.status, RPCH_E_BUG);
        ck_assert_int_ne(m.core.status, RPCH_E_ROOM);
        ended += m.core.status == RPCH_E_SYNTAX;
    }
    ck_assert_int_gt(ended, 0);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("inbound_stream");
    TCase *t = tcase_create("stream");

    tcase_add_test(t, test_inbound_finished_accepts_every_call);
    tcase_add_test(t, test_inbound_stream_in_any_cuts);
    tcase_add_test(t, test_inbound_damaged_streams);
    suite_add_tcase(s, t);
    return test_main(s);
}
