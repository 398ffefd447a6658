/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_client.c - the client role machine against 3.2.2: opening, data,
 * windows, Pings, the lifetime of one that does not recycle.
 */
#include "client_test.h"

static void start(unsigned flags)
{
    rpch_limits l = role_limits();

    start_with(flags, &l);
}

/* Opens up to that state and empties the lanes. */
static void drive_with(rpch_client_state to, unsigned flags)
{
    rpch_rts_values v = role_values(0, 0);

    start(flags);
    rpch_client_in_ack(&cl, 0, 104, 1000);
    rpch_client_body_ack(&cl, 0, 76);
    if (to == RPCH_CLIENT_FINISHED)
        rpch_client_fail(&cl, RPCH_E_POLICY, "the test");
    else if (to >= RPCH_CLIENT_A3W)
        ck_assert_int_eq(rpch_client_response(&cl, 0, 200, 1000), RPCH_OK);
    if (to != RPCH_CLIENT_FINISHED && to >= RPCH_CLIENT_C2W)
        ck_assert_int_eq(rts(RPCH_CONN_A3, &v, 1000), RPCH_OK);
    if (to == RPCH_CLIENT_OPENED)
        ck_assert_int_eq(rts(RPCH_CONN_C2, &v, 1000), RPCH_OK);
    ck_assert_int_eq(cl.core.state, to);
}

static void drive(rpch_client_state to)
{
    drive_with(to, 0);
}

static void fire(rpch_client_event e)
{
    static const int id[RPCH_CLIENT_EV_MAX] = {
        [RPCH_CLIENT_EV_CONN_A3] = RPCH_CONN_A3 + 1,
        [RPCH_CLIENT_EV_CONN_C2] = RPCH_CONN_C2 + 1,
        [RPCH_CLIENT_EV_IN_PDU] = RPCH_IN_R2_A4 + 1,
        [RPCH_CLIENT_EV_OUT_PDU] = RPCH_OUT_R1_A2 + 1,
        [RPCH_CLIENT_EV_PING] = RPCH_PING + 1,
        [RPCH_CLIENT_EV_ACK] = RPCH_FLOW_CONTROL_ACK_DEST + 1,
        [RPCH_CLIENT_EV_OTHER] = RPCH_FLOW_CONTROL_ACK + 1
    };
    rpch_rts_values v = role_values(0xc0, 0xd0);

    v.dest = RPCH_DEST_CLIENT;
    v.ack.cookie = role_cookie(0xc0);
    v.ack.available_window = 65536;
    if (id[e])
        rts((rpch_pdu_id)(id[e] - 1), &v, 1000);
    else if (e == RPCH_CLIENT_EV_RESPONSE)
        rpch_client_response(&cl, 0, 200, 1000);
    else if (e == RPCH_CLIENT_EV_RPC)
        rpc(100);
    else if (e == RPCH_CLIENT_EV_IN_CLOSE)
        rpch_client_in_closed(&cl, 0);
    else if (e == RPCH_CLIENT_EV_OUT_CLOSE)
        rpch_client_out_closed(&cl, 0);
    else if (e == RPCH_CLIENT_EV_PRED_CLOSE)
        rpch_client_in_closed(&cl, 1); /* there is none */
    else if (e == RPCH_CLIENT_EV_TIMEOUT)
        rpch_client_timeout(&cl, cl.core.deadline);
    else if (e == RPCH_CLIENT_EV_PING_DUE)
        rpch_client_timeout(&cl, RPCH_NEVER); /* all timers are due */
    else if (e == RPCH_CLIENT_EV_FAIL)
        rpch_client_fail(&cl, RPCH_E_CONNECT, "the test");
    else
        ck_abort_msg("event %d is not fired by anything", (int)e);
}

/* Every pair: A A3W, C C2W, O opened; x protocol error, c closed, t timeout,
 * f failed; - no change. Columns: OUT_WAIT, A3W, C2W, OPENED, FINISHED. */
static const char *const expected[RPCH_CLIENT_EV_MAX] = {
    [RPCH_CLIENT_EV_RESPONSE] = "Axxx-",
    [RPCH_CLIENT_EV_CONN_A3] = "xCxx-",
    [RPCH_CLIENT_EV_CONN_C2] = "xxOx-",
    [RPCH_CLIENT_EV_IN_PDU] = "xxxx-",  /* none was asked for */
    [RPCH_CLIENT_EV_OUT_PDU] = "xxx--",
    [RPCH_CLIENT_EV_PING] = "xxx--",
    [RPCH_CLIENT_EV_ACK] = "xxx--",
    [RPCH_CLIENT_EV_OTHER] = "xxxx-",
    [RPCH_CLIENT_EV_RPC] = "xxx--",
    [RPCH_CLIENT_EV_IN_CLOSE] = "cccc-",
    [RPCH_CLIENT_EV_OUT_CLOSE] = "cccc-",
    [RPCH_CLIENT_EV_PRED_CLOSE] = "-----",
    [RPCH_CLIENT_EV_TIMEOUT] = "ttt--",
    [RPCH_CLIENT_EV_PING_DUE] = "ttt--", /* ends by the open timer */
    [RPCH_CLIENT_EV_FAIL] = "ffff-"
};

static void check_pair(rpch_client_event e, rpch_client_state from)
{
    rpch_client_state to = from;
    int status = from == RPCH_CLIENT_FINISHED ? RPCH_E_POLICY : RPCH_OK;

    switch (expected[e][from]) {
    case 'A': to = RPCH_CLIENT_A3W; break;
    case 'C': to = RPCH_CLIENT_C2W; break;
    case 'O': to = RPCH_CLIENT_OPENED; break;
    case 'x': to = RPCH_CLIENT_FINISHED; status = RPCH_E_UNEXPECTED; break;
    case 'c': to = RPCH_CLIENT_FINISHED; status = RPCH_E_CLOSED; break;
    case 't': to = RPCH_CLIENT_FINISHED; status = RPCH_E_TIMEOUT; break;
    case 'f': to = RPCH_CLIENT_FINISHED; status = RPCH_E_CONNECT; break;
    case '-': break;
    default: ck_abort();
    }
    drive(from);
    fire(e);
    ck_assert_msg(cl.core.state == (int)to && cl.core.status == status,
                  "%s in %s: got %s, %s", rpch_client_event_name(e),
                  rpch_client_state_name(from),
                  rpch_client_state_name(cl.core.state),
                  rpch_status_name(cl.core.status));
    ck_assert((cl.core.reason == NULL) == (status == RPCH_OK));
    ck_assert(((rpch_client_wants(&cl) & RPCH_WANT_CLOSE) != 0)
              == (to == RPCH_CLIENT_FINISHED));
}

START_TEST(test_client_table)
{
    int e, s;

    for (e = 0; e < RPCH_CLIENT_EV_MAX; e++) {
        ck_assert_uint_eq(strlen(expected[e]), RPCH_CLIENT_STATE_MAX);
        for (s = 0; s < RPCH_CLIENT_STATE_MAX; s++)
            check_pair(e, s);
    }
    check_all_visited(&rpch_client_table, RPCH_CLIENT_FINISHED);
}
END_TEST

START_TEST(test_client_names)
{
    check_names(&rpch_client_table);
    check_names(&rpch_client_in_table);
    check_names(&rpch_client_out_table);
    ck_assert_str_eq(rpch_client_state_name(RPCH_CLIENT_C2W), "C2W");
    ck_assert_str_eq(rpch_client_event_name(RPCH_CLIENT_EV_CONN_C2),
                     "CONN/C2");
}
END_TEST

START_TEST(test_client_first_pdus)
{
    start(0);
    check_lane(&cl.out[0].body,
               "05001403 10000000 4c000000 00000000 00000400"
               "06000000 01000000"
               "03000000 a0a1a2a3 a4a5a6a7 a8a9aaab acadaeaf"
               "03000000 b0b1b2b3 b4b5b6b7 b8b9babb bcbdbebf"
               "00000000 00000100");
    check_lane(&cl.in[0].lane,
               "05001403 10000000 68000000 00000000 00000600"
               "06000000 01000000"
               "03000000 a0a1a2a3 a4a5a6a7 a8a9aaab acadaeaf"
               "03000000 c0c1c2c3 c4c5c6c7 c8c9cacb cccdcecf"
               "04000000 00000040 05000000 e0930400"
               "0c000000 90919293 94959697 98999a9b 9c9d9e9f");
    ck_assert_uint_eq(rpch_client_wants(&cl), 0);
    ck_assert_uint_eq(rpch_client_deadline(&cl), 901000);
    rpch_client_in_ack(&cl, 0, 104, 1500);
    check_lane(&cl.in[0].lane, "");
    ck_assert_uint_eq(cl.in[0].used, 104);
}
END_TEST

START_TEST(test_client_opens)
{
    rpch_rts_values v = role_values(0, 0);

    drive(RPCH_CLIENT_A3W);
    ck_assert_uint_eq(rpch_client_wants(&cl), RPCH_WANT_SERVER_READ);
    v.timeout = 240000;
    ck_assert_int_eq(rts(RPCH_CONN_A3, &v, 2000), RPCH_OK);
    ck_assert_uint_eq(cl.timeout, 240000);
    ck_assert(!rpch_client_may_send(&cl, 16));
    v.timeout = 120000;
    v.window = 8192;
    ck_assert_int_eq(rts(RPCH_CONN_C2, &v, 3000), RPCH_OK);
    ck_assert_uint_eq(cl.timeout, 120000); /* C2's is the IN leg's */
    ck_assert(rpch_client_may_send(&cl, 8192));
    rpch_client_sent(&cl, 16, 3000);
    ck_assert(!rpch_client_may_send(&cl, 8192));
    ck_assert_uint_eq(rpch_client_deadline(&cl), 63000);
}
END_TEST

START_TEST(test_client_refused)
{
    start(0);
    ck_assert_int_eq(rpch_client_response(&cl, 0, 503, 1000), RPCH_E_POLICY);
    ck_assert_uint_eq(rpch_client_wants(&cl), RPCH_WANT_CLOSE);
    ck_assert_uint_eq(rpch_client_deadline(&cl), RPCH_NEVER);
}
END_TEST

START_TEST(test_client_ranges)
{
    static const struct {
        uint32_t window;
        uint32_t timeout;
        int status;
    } c2[] = {
        { 8192, 120000, RPCH_OK }, { 262144, 14400000, RPCH_OK },
        { 8191, 120000, RPCH_E_SYNTAX }, { 262145, 120000, RPCH_E_SYNTAX },
        { 65536, 119999, RPCH_E_SYNTAX }, { 65536, 14400001, RPCH_E_SYNTAX }
    };
    rpch_rts_values v = role_values(0, 0);
    size_t i;

    for (i = 0; i < sizeof(c2) / sizeof(c2[0]); i++) {
        drive(RPCH_CLIENT_C2W);
        v.window = c2[i].window;
        v.timeout = c2[i].timeout;
        ck_assert_int_eq(rts(RPCH_CONN_C2, &v, 1000), c2[i].status);
    }
    ck_assert_ptr_nonnull(strstr(cl.core.reason, "ConnectionTimeout"));
    drive(RPCH_CLIENT_A3W);
    v.timeout = 30000;
    ck_assert_int_eq(rts(RPCH_CONN_A3, &v, 1000), RPCH_E_SYNTAX);
}
END_TEST

START_TEST(test_client_send_window)
{
    drive(RPCH_CLIENT_OPENED);
    rpch_client_sent(&cl, 60000, 1000);
    ck_assert(rpch_client_may_send(&cl, 5536));
    ck_assert(!rpch_client_may_send(&cl, 5537));
    rpch_client_sent(&cl, 5536, 1000);
    ck_assert_int_eq(ack(0xb0, 65536, 65536), RPCH_OK); /* not of C-IN */
    ck_assert(!rpch_client_may_send(&cl, 16));
    ck_assert_int_eq(ack(0xc0, 40000, 65536), RPCH_OK);
    ck_assert(rpch_client_may_send(&cl, 40000));
    ck_assert(!rpch_client_may_send(&cl, 40001));
    ck_assert_int_eq(ack(0xc0, 65537, 65536), RPCH_E_ACK);
    ck_assert_int_eq(cl.core.state, RPCH_CLIENT_FINISHED);
}
END_TEST

START_TEST(test_client_refuses_other_destination)
{
    rpch_rts_values v = role_values(0, 0);

    drive(RPCH_CLIENT_OPENED);
    v.dest = RPCH_DEST_OUT_PROXY;
    v.ack.cookie = role_cookie(0xc0);
    ck_assert_int_eq(rts(RPCH_FLOW_CONTROL_ACK_DEST, &v, 0),
                     RPCH_E_UNEXPECTED);
}
END_TEST

START_TEST(test_client_acknowledges)
{
    drive(RPCH_CLIENT_OPENED);
    ck_assert_int_eq(rpc(32768), RPCH_OK);
    rpch_client_consumed(&cl, 32768);
    check_lane(&cl.in[0].lane, "");
    ck_assert_int_eq(rpc(16), RPCH_OK);
    ck_assert_uint_eq(cl.queued, 16);
    rpch_client_consumed(&cl, 16);
    check_lane(&cl.in[0].lane,
               "05001403 10000000 38000000 00000000 02000200"
               "0d000000 03000000 01000000 10800000 00000100"
               "b0b1b2b3 b4b5b6b7 b8b9babb bcbdbebf");
    ck_assert_uint_eq(cl.queued, 0);
}
END_TEST

START_TEST(test_client_quiet)
{
    rpch_rts_values v = role_values(0, 0);

    drive_with(RPCH_CLIENT_OPENED, RPCH_QUIET);
    ck_assert_int_eq(rpc(60000), RPCH_OK);
    rpch_client_consumed(&cl, 60000);
    check_lane(&cl.in[0].lane, "");
    ck_assert_uint_eq(rpch_client_deadline(&cl), RPCH_NEVER);
    rpch_client_sent(&cl, 65535, 1000);
    ck_assert(rpch_client_may_send(&cl, 65535));
    ck_assert_int_eq(rts(RPCH_PING, &v, 1000), RPCH_E_UNEXPECTED);
    drive_with(RPCH_CLIENT_OPENED, RPCH_QUIET);
    ck_assert_int_eq(ack(0xc0, 0, 65536), RPCH_E_UNEXPECTED);
}
END_TEST

START_TEST(test_client_pings_idle_channel)
{
    drive(RPCH_CLIENT_OPENED);
    ck_assert_uint_eq(rpch_client_deadline(&cl), 61000);
    rpch_client_sent(&cl, 100, 20000);
    ck_assert_uint_eq(rpch_client_deadline(&cl), 80000);
    ck_assert_int_eq(rpch_client_timeout(&cl, 79999), RPCH_OK);
    check_lane(&cl.in[0].lane, "");
    ck_assert_int_eq(rpch_client_timeout(&cl, 80000), RPCH_OK);
    check_lane(&cl.in[0].lane, "05001403 10000000 14000000 00000000 01000000");
    /* Not sent yet: no second one on top of it. */
    ck_assert_uint_eq(rpch_client_deadline(&cl), 140000);
    ck_assert_int_eq(rpch_client_timeout(&cl, 140000), RPCH_OK);
    check_lane(&cl.in[0].lane, "05001403 10000000 14000000 00000000 01000000");
    rpch_client_in_ack(&cl, 0, 20, 150000);
    ck_assert_uint_eq(rpch_client_deadline(&cl), 210000);
}
END_TEST

START_TEST(test_client_ping_interval)
{
    rpch_limits l = role_limits();
    rpch_rts_values v = role_values(0, 0);

    l.ping_interval = 14000000; /* the in-proxy's timeout rules */
    start_with(0, &l);
    rpch_client_response(&cl, 0, 200, 1000);
    rts(RPCH_CONN_A3, &v, 1000);
    v.timeout = 400000;
    rts(RPCH_CONN_C2, &v, 1000);
    ck_assert_uint_eq(rpch_client_deadline(&cl), 201000);
}
END_TEST

START_TEST(test_client_open_timer)
{
    drive(RPCH_CLIENT_C2W);
    ck_assert_uint_eq(rpch_client_deadline(&cl), 901000);
    ck_assert_int_eq(rpch_client_timeout(&cl, 900999), RPCH_OK);
    ck_assert_int_eq(rpch_client_timeout(&cl, 901000), RPCH_E_TIMEOUT);
    ck_assert_uint_eq(rpch_client_deadline(&cl), RPCH_NEVER);
}
END_TEST

/* A client that does not recycle ends when a PDU finds no room. */
static void open_short(unsigned flags, uint32_t reserve)
{
    rpch_limits l = role_limits();

    l.channel_lifetime = 10000;
    l.recycle_reserve = reserve;
    client_open(flags, &l);
}

static void check_lifetime_end(void)
{
    ck_assert_int_eq(cl.core.state, RPCH_CLIENT_FINISHED);
    ck_assert_int_eq(cl.core.status, RPCH_E_LIFETIME);
    ck_assert_ptr_nonnull(strstr(cl.core.reason, "lifetime"));
}

START_TEST(test_client_lifetime)
{
    static const struct {
        unsigned flags;
        uint32_t reserve;
    } kind[] = {
        { 0, 0 }, { RPCH_QUIET, 4096 }, { RPCH_NO_RECYCLING, 4096 }
    };

    open_short(kind[_i].flags, kind[_i].reserve);
    ck_assert(rpch_client_may_send(&cl, 10000 - 104));
    ck_assert(!rpch_client_may_send(&cl, 10000 - 103));
    check_lifetime_end();
    open_short(kind[_i].flags, kind[_i].reserve);
    rpch_client_sent(&cl, 10000 - 104 - 16, 1000);
    ck_assert(!(rpch_client_wants(&cl) & RPCH_WANT_IN_REQUEST));
    ck_assert(rpch_client_may_send(&cl, 16));
    rpch_client_sent(&cl, 16, 1000);
    ck_assert(!rpch_client_may_send(&cl, 16));
    check_lifetime_end();
}
END_TEST

START_TEST(test_client_lifetime_of_rts)
{
    open_short(0, 0);
    rpch_client_sent(&cl, 10000 - 104 - 20, 1000);
    ck_assert_int_eq(rpch_client_timeout(&cl, 61000), RPCH_OK); /* a Ping */
    rpch_client_in_ack(&cl, 0, 20, 61000);
    ck_assert_uint_eq(cl.in[0].used, 10000);
    ck_assert_int_eq(rpch_client_timeout(&cl, 121000), RPCH_E_LIFETIME);
    check_lifetime_end();
    open_short(0, 0);
    rpch_client_sent(&cl, 10000 - 104 - 55, 1000);
    ck_assert_int_eq(rpc(65000), RPCH_OK);
    rpch_client_consumed(&cl, 65000); /* an ack has 56 bytes */
    check_lifetime_end();
}
END_TEST

START_TEST(test_client_lifetime_of_b1)
{
    rpch_limits l = role_limits();

    l.channel_lifetime = 103;
    start_with(0, &l);
    check_lifetime_end();
}
END_TEST

START_TEST(test_client_stops_reading)
{
    drive(RPCH_CLIENT_OPENED);
    while (rpch_client_wants(&cl) & RPCH_WANT_SERVER_READ)
        ck_assert_int_eq(rpc(10000), RPCH_OK);
    ck_assert_uint_gt(cl.queued, 65536 + RPCH_QUEUE_SLACK);
    ck_assert_uint_le(cl.queued, 65536 + RPCH_QUEUE_SLACK + 10000);
    rpch_client_consumed(&cl, 10000);
    ck_assert(rpch_client_wants(&cl) & RPCH_WANT_SERVER_READ);
}
END_TEST

START_TEST(test_client_waits_for_lane)
{
    rpch_rts_values v = role_values(0xb0, 0xd0);
    uint8_t ping[RPCH_RTS_SIZE_MAX];
    size_t len = role_rts(RPCH_PING, &v, ping);
    rpch_step step;
    uint8_t pdu[16];
    int n = 0;

    drive(RPCH_CLIENT_OPENED);
    /* Acks alone never fill it: the next one replaces the last. */
    for (n = 0; n < 100; n++) {
        ck_assert_int_eq(rpc(60000), RPCH_OK);
        rpch_client_consumed(&cl, 60000);
    }
    for (n = 0; rpch_client_wants(&cl) != 0 && n < 100; n++)
        ck_assert_int_eq(rpch_lane_put(&cl.in[0].lane, ping, len), RPCH_OK);
    ck_assert_int_lt(n, 100);
    role_rpc(pdu, 16, 1);
    ck_assert_int_eq(rpch_client_out_recv(&cl, 0, pdu, 16, &step, 0), RPCH_OK);
    ck_assert_uint_eq(step.used, 0);
    rpch_client_in_ack(&cl, 0, 1000, 1000);
    rpch_client_out_recv(&cl, 0, pdu, 16, &step, 0);
    ck_assert_uint_eq(step.used, 16);
}
END_TEST

static size_t out_stream(uint8_t *p)
{
    rpch_rts_values v = role_values(0, 0);
    size_t n = role_rts(RPCH_CONN_A3, &v, p);

    n += role_rts(RPCH_CONN_C2, &v, p + n);
    n += role_rpc(p + n, 40000, 1);
    n += role_rts(RPCH_PING, &v, p + n);
    n += role_rpc(p + n, 24, 2);
    v.dest = RPCH_DEST_CLIENT;
    v.ack.cookie = role_cookie(0xc0);
    v.ack.bytes_received = 3000;
    v.ack.available_window = 65000;
    n += role_rts(RPCH_FLOW_CONTROL_ACK_DEST, &v, p + n);
    return n + role_rpc(p + n, 5840, 3);
}

START_TEST(test_client_stream_cuts)
{
    static uint8_t stream[60000], got[60000];
    size_t len = out_stream(stream);
    uint32_t round;

    for (round = 0; round < 42; round++) {
        int how = round == 0 ? ROLE_WHOLE : round == 1 ? ROLE_BYTES
                : ROLE_RANDOM;
        size_t at = 0, n = 0, acks;
        unsigned pdus = 0;
        uint32_t seed = round;

        drive(RPCH_CLIENT_A3W);
        while (at < len) {
            rpch_step step;
            size_t cut = role_cut(how, len - at, &seed);

            ck_assert_int_eq(rpch_client_out_recv(&cl, 0, stream + at, cut,
                                                  &step, 1000), RPCH_OK);
            ck_assert_uint_gt(step.used, 0);
            at += step.used;
            if (step.pass)
                memcpy(got + n, step.pass, step.pass_len);
            if (step.pass && n == 0)
                rpch_client_sent(&cl, 3000, 1000); /* to be acknowledged */
            n += step.pass_len;
            pdus += step.last;
            if (step.last)
                rpch_client_consumed(&cl, step.pdu_len);
        }
        ck_assert_uint_eq(pdus, 3);
        ck_assert_uint_eq(n, 40000 + 24 + 5840);
        ck_assert_mem_eq(got, stream + 28 + 44, 40000);
        ck_assert_mem_eq(got + 40024, stream + len - 5840, 5840);
        ck_assert_uint_eq(cl.tx.avail, 65000);
        rpch_lane_buf(&cl.in[0].lane, &acks);
        ck_assert_uint_eq(acks, 56);
    }
}
END_TEST

START_TEST(test_client_bad_header)
{
    uint8_t pdu[20] = { 5, 0, 0x14, 3, 0x10, 0, 0, 0, 19 };

    drive(RPCH_CLIENT_OPENED);
    ck_assert_int_eq(feed(pdu, 20, 1000), RPCH_E_SYNTAX);
    ck_assert_ptr_nonnull(strstr(cl.core.reason, "frag_length"));
    drive(RPCH_CLIENT_OPENED);
    pdu[8] = 20;
    pdu[10] = 1;
    ck_assert_int_eq(feed(pdu, 20, 1000), RPCH_E_SYNTAX);
    ck_assert_ptr_nonnull(strstr(cl.core.reason, "auth_length"));
    drive(RPCH_CLIENT_OPENED);
    ck_assert_int_eq(feed((const uint8_t *)"HTTP/1.0 503 RPC Error: 6ba\r\n",
                          29, 1000), RPCH_E_SYNTAX);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("client");
    TCase *t = tcase_create("core");

    tcase_add_test(t, test_client_table);
    tcase_add_test(t, test_client_names);
    tcase_add_test(t, test_client_first_pdus);
    tcase_add_test(t, test_client_opens);
    tcase_add_test(t, test_client_refused);
    tcase_add_test(t, test_client_ranges);
    tcase_add_test(t, test_client_send_window);
    tcase_add_test(t, test_client_refuses_other_destination);
    tcase_add_test(t, test_client_acknowledges);
    tcase_add_test(t, test_client_quiet);
    tcase_add_test(t, test_client_pings_idle_channel);
    tcase_add_test(t, test_client_ping_interval);
    tcase_add_test(t, test_client_open_timer);
    tcase_add_loop_test(t, test_client_lifetime, 0, 3);
    tcase_add_test(t, test_client_lifetime_of_rts);
    tcase_add_test(t, test_client_lifetime_of_b1);
    tcase_add_test(t, test_client_stops_reading);
    tcase_add_test(t, test_client_waits_for_lane);
    tcase_add_test(t, test_client_stream_cuts);
    tcase_add_test(t, test_client_bad_header);
    suite_add_tcase(s, t);
    return test_main(s);
}
