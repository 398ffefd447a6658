/* SPDX-License-Identifier: Apache-2.0 */
/* test_outbound_flow.c - the outbound proxy machine once it is open: pings,
 * windows, lanes, bounds, lifetime, and what is forwarded (3.2.4.5) */
#include "outbound_test.h"

static size_t waiting;

START_TEST(test_outbound_pings_when_idle)
{
    rpch_rts_values v = role_values(0xb0, 0);
    size_t n;
    rpch_msec now = START + 5000;
    int i;

    drive(0, RPCH_OUT_C1W);
    n = role_rts(RPCH_CONN_C1, &v, pdu);
    ck_assert_int_eq(rpch_outbound_server_recv(&m, pdu, n, &step, now),
                     RPCH_OK);
    rpch_lane_init(&m.to_client);
    for (i = 1; i <= 52; i++) {
        ck_assert(rpch_outbound_deadline(&m) == now + 60000);
        ck_assert_int_eq(rpch_outbound_timeout(&m, now + 59999), RPCH_OK);
        ck_assert_ptr_null(rpch_lane_buf(&m.to_client, &waiting));
        now += 60000;
        ck_assert_int_eq(rpch_outbound_timeout(&m, now), RPCH_OK);
        (void)rpch_lane_buf(&m.to_client, &waiting);
        ck_assert_uint_eq(waiting, 20);
        if (i == 1)
            expect_lane(&m.to_client, hex_ping);
        /* 52 * 20 is the first sum above 1031 */
        expect_lane(&m.to_server, i < 52 ? "" : hex_notify);
        rpch_outbound_client_ack(&m, waiting, now + 5);
        now += 5;
    }
    ck_assert_uint_eq(m.ping_bytes, 0);
    ck_assert_uint_eq(m.lifetime_used, 72 + 52 * 20);
}
END_TEST

START_TEST(test_outbound_ping_waits)
{
    rpch_rts_values v = role_values(0xb0, 0);
    uint8_t fill[RPCH_LANE_SIZE] = { 0 };

    /* within an RPC PDU */
    drive(0, RPCH_OUT_OPENED);
    ck_assert_int_eq(rpch_outbound_pdu_begin(&m, 100), RPCH_OK);
    ck_assert_int_eq(rpch_outbound_timeout(&m, START + 60000), RPCH_OK);
    ck_assert_ptr_null(rpch_lane_buf(&m.to_client, &waiting));
    ck_assert(rpch_outbound_deadline(&m) == START + 120000);
    rpch_outbound_pdu_done(&m, 100, START + 70000);
    ck_assert(rpch_outbound_deadline(&m) == START + 130000);
    ck_assert_int_eq(rpch_outbound_timeout(&m, START + 130000), RPCH_OK);
    expect_lane(&m.to_client, hex_ping);
    /* while the lane has something to say */
    drive(0, RPCH_OUT_OPENED);
    ck_assert_int_eq(server_rts(RPCH_IN_R2_A3, &v), RPCH_OK);
    ck_assert_int_eq(rpch_outbound_timeout(&m, START + 60000), RPCH_OK);
    (void)rpch_lane_buf(&m.to_client, &waiting);
    ck_assert_uint_eq(waiting, 28);
    ck_assert(rpch_outbound_deadline(&m) == START + 120000);
    rpch_outbound_client_ack(&m, 27, START + 61000);
    ck_assert(rpch_outbound_deadline(&m) == START + 121000);
    rpch_outbound_client_ack(&m, 0, START + 70000);
    ck_assert(rpch_outbound_deadline(&m) == START + 121000);
    /* no room to report to the server: later */
    drive(0, RPCH_OUT_OPENED);
    m.ping_bytes = 1020;
    ck_assert_int_eq(rpch_lane_put(&m.to_server, fill, 900), RPCH_OK);
    ck_assert_int_eq(rpch_outbound_timeout(&m, START + 60000), RPCH_OK);
    ck_assert_uint_eq(m.ping_bytes, 1040);
    ck_assert_uint_eq(m.to_server.end, 900);
}
END_TEST

START_TEST(test_outbound_acks_the_server)
{
    drive(0, RPCH_OUT_OPENED);
    ck_assert_int_eq(rpc_through(30000, true), RPCH_OK);
    expect_lane(&m.to_server, "");
    ck_assert_int_eq(rpc_through(10000, true), RPCH_OK);
    expect_lane(&m.to_server, hex_ack);
    expect_lane(&m.to_client, "");
    ck_assert_uint_eq(m.rpc_bytes, 40000);
    ck_assert_uint_eq(m.rpc_pdus, 2);
    ck_assert_uint_eq(m.queued, 0);
}
END_TEST

START_TEST(test_outbound_client_window)
{
    rpch_rts_values v = role_values(0xb0, 0);

    drive(0, RPCH_OUT_OPENED); /* the client's window is 65536 */
    ck_assert_int_eq(rpch_outbound_pdu_begin(&m, 60000), RPCH_OK);
    ck_assert(rpch_outbound_may_send(&m, 5536));
    ck_assert(!rpch_outbound_may_send(&m, 5537));
    ck_assert_int_eq(rpch_outbound_pdu_begin(&m, 5536), RPCH_OK);
    ck_assert(!rpch_outbound_may_send(&m, 16));
    v.dest = RPCH_DEST_OUT_PROXY;
    v.ack.bytes_received = 65536;
    v.ack.available_window = 4000000;
    v.ack.cookie = role_cookie(0xc0); /* not our channel */
    ck_assert_int_eq(server_rts(RPCH_FLOW_CONTROL_ACK_DEST, &v), RPCH_OK);
    ck_assert(!rpch_outbound_may_send(&m, 16));
    v.ack.cookie = role_cookie(0xb0);
    ck_assert_int_eq(server_rts(RPCH_FLOW_CONTROL_ACK_DEST, &v), RPCH_OK);
    ck_assert_uint_eq(m.tx.avail, 65536);
    v.ack.bytes_received = 65537;
    ck_assert_int_eq(server_rts(RPCH_FLOW_CONTROL_ACK_DEST, &v), RPCH_E_ACK);
    expect_end(RPCH_E_ACK, "FlowControlAckWithDestination for bytes that were "
                           "never sent on C-OUT");
    /* the plain form is the server's own, and not about C-OUT */
    drive(0, RPCH_OUT_OPENED);
    ck_assert_int_eq(server_rts(RPCH_FLOW_CONTROL_ACK, &v),
                     RPCH_E_UNEXPECTED);
}
END_TEST

START_TEST(test_outbound_forwards_to_the_client_only)
{
    static const char odd[] = "05001403 10000000 29000000 00000000 40000300"
                              "0d000000 00000000 08000000 01000000 00"
                              "0a000000";
    uint8_t b[RPCH_RTS_SIZE_MAX];
    size_t n = test_hex(odd, b, sizeof(b));
    uint8_t dest;

    drive(0, RPCH_OUT_OPENED);
    ck_assert_int_eq(server(b, n), RPCH_OK);
    expect_lane(&m.to_client, odd);
    for (dest = 1; dest <= 4; dest++) {
        drive(0, RPCH_OUT_OPENED);
        b[24] = dest;
        ck_assert_int_eq(server(b, n), dest > 3 ? RPCH_E_SYNTAX
                                                : RPCH_E_UNEXPECTED);
    }
    drive(0, RPCH_OUT_OPENED);
    b[24] = RPCH_DEST_IN_PROXY;
    server(b, n);
    expect_end(RPCH_E_UNEXPECTED, "RTS PDU on S-OUT that is not for the client");
    drive(0, RPCH_OUT_OPENED);
    b[24] = RPCH_DEST_OUT_PROXY;
    server(b, n);
    expect_end(RPCH_E_UNEXPECTED, "unknown RTS PDU from the server");
}
END_TEST

START_TEST(test_outbound_lane_full)
{
    rpch_rts_values v = role_values(0xb0, 0);
    size_t taken = 0;

    drive(0, RPCH_OUT_OPENED);
    while (rpch_outbound_wants(&m) & RPCH_WANT_SERVER_READ) {
        ck_assert_int_eq(server_rts(RPCH_IN_R1_A3, &v), RPCH_OK);
        ck_assert_uint_eq(step.used, 52);
        ck_assert_uint_lt(++taken, 20);
    }
    ck_assert_uint_ge(taken, 6);
    ck_assert_int_eq(server_rts(RPCH_IN_R1_A3, &v), RPCH_OK);
    ck_assert_uint_eq(step.used, 0);
    ck_assert_int_eq(rpch_outbound_server_rts(&m, pdu, 52, START),
                     RPCH_AGAIN);
    rpch_outbound_client_ack(&m, 52, START);
    ck_assert(rpch_outbound_wants(&m) & RPCH_WANT_SERVER_READ);
    ck_assert_int_eq(server_rts(RPCH_IN_R1_A3, &v), RPCH_OK);
    ck_assert_uint_eq(step.used, 52);
}
END_TEST

START_TEST(test_outbound_lane_full_within_a_pdu)
{
    uint8_t fill[RPCH_LANE_SIZE] = { 0 };

    drive(0, RPCH_OUT_OPENED);
    role_rpc(rpc, 1000, 1);
    ck_assert_int_eq(server(rpc, 100), RPCH_OK);
    ck_assert_int_eq(rpch_outbound_pdu_begin(&m, 1000), RPCH_OK);
    ck_assert_int_eq(rpch_lane_put(&m.to_client, fill, 900), RPCH_OK);
    ck_assert(rpch_outbound_wants(&m) & RPCH_WANT_SERVER_READ);
    ck_assert_int_eq(server(rpc + 100, 900), RPCH_OK);
    ck_assert_uint_eq(step.pass_len, 900);
    ck_assert(step.last);
    rpch_outbound_pdu_done(&m, 1000, START);
    ck_assert(!(rpch_outbound_wants(&m) & RPCH_WANT_SERVER_READ));
    ck_assert(rpch_outbound_may_send(&m, 16));
    ck_assert_int_eq(rpch_lane_put(&m.to_server, fill, 900), RPCH_OK);
    ck_assert(!rpch_outbound_may_send(&m, 16));
}
END_TEST

static void fill_queue(unsigned flags, size_t limit)
{
    drive(flags, RPCH_OUT_OPENED);
    while (rpch_outbound_wants(&m) & RPCH_WANT_SERVER_READ)
        ck_assert_int_eq(rpc_through(4096, false), RPCH_OK);
    ck_assert_uint_eq(m.queued, limit + 4096);
    ck_assert_int_eq(server(rpc, 4096), RPCH_OK);
    ck_assert_uint_eq(step.used, 0);
    rpch_outbound_pdu_done(&m, 4096, START);
    ck_assert(rpch_outbound_wants(&m) & RPCH_WANT_SERVER_READ);
}

START_TEST(test_outbound_queue_is_bounded)
{
    rpch_limits l = role_limits();

    fill_queue(0, 65536 + RPCH_QUEUE_SLACK);
    fill_queue(RPCH_JOINED, 65536 / 2);
    /* a PDU larger than the window still comes through */
    l.receive_window = 8192;
    start_with(&l, RPCH_JOINED);
    advance(RPCH_OUT_OPENED);
    role_rpc(rpc, 30000, 1);
    ck_assert_int_eq(server(rpc, 100), RPCH_OK);
    ck_assert(rpch_outbound_wants(&m) & RPCH_WANT_SERVER_READ);
    ck_assert_int_eq(server(rpc + 100, 29900), RPCH_OK);
    ck_assert(step.last);
    ck_assert(!(rpch_outbound_wants(&m) & RPCH_WANT_SERVER_READ));
}
END_TEST

START_TEST(test_outbound_lifetime)
{
    rpch_limits l = role_limits();
    rpch_rts_values v = role_values(0xb0, 0);

    l.channel_lifetime = 131072;
    start_with(&l, 0);
    advance(RPCH_OUT_OPENED);
    m.lifetime_used = 131072 - 1000;
    ck_assert_int_eq(rpch_outbound_pdu_begin(&m, 1000), RPCH_OK);
    rpch_outbound_pdu_done(&m, 1000, START);
    ck_assert_uint_eq(m.lifetime_used, 131072);
    ck_assert(rpch_outbound_may_send(&m, 16));
    ck_assert_int_eq(rpch_outbound_pdu_begin(&m, 16), RPCH_E_LIFETIME);
    expect_end(RPCH_E_LIFETIME, "the OUT channel's lifetime is used up");
    ck_assert_int_eq(rpch_outbound_pdu_begin(&m, 16), RPCH_E_LIFETIME);
    start_with(&l, 0);
    advance(RPCH_OUT_OPENED);
    m.lifetime_used = 131072 - 27;
    ck_assert_int_eq(server_rts(RPCH_IN_R2_A3, &v), RPCH_E_LIFETIME);
    expect_lane(&m.to_client, "");
    start_with(&l, 0);
    advance(RPCH_OUT_OPENED);
    m.lifetime_used = 131072 - 19;
    ck_assert_int_eq(rpch_outbound_timeout(&m, START + 60000),
                     RPCH_E_LIFETIME);
    expect_lane(&m.to_client, "");
}
END_TEST

START_TEST(test_outbound_quiet)
{
    rpch_rts_values v = role_values(0xb0, 0);

    start(RPCH_QUIET);
    ck_assert(rpch_outbound_deadline(&m) != RPCH_NEVER);
    advance(RPCH_OUT_C1W);
    ck_assert_int_eq(server_rts(RPCH_CONN_C1, &v), RPCH_OK);
    expect_lane(&m.to_client, hex_c1);
    ck_assert(rpch_outbound_deadline(&m) == RPCH_NEVER);
    ck_assert_int_eq(rpch_outbound_timeout(&m, RPCH_NEVER - 1), RPCH_OK);
    ck_assert_int_eq(server_rts(RPCH_IN_R1_A3, &v), RPCH_OK);
    v.dest = RPCH_DEST_CLIENT;
    ck_assert_int_eq(server_rts(RPCH_FLOW_CONTROL_ACK_DEST, &v), RPCH_OK);
    expect_lane(&m.to_client, "");
    ck_assert_int_eq(rpch_outbound_pdu_begin(&m, 65535), RPCH_OK);
    ck_assert(rpch_outbound_may_send(&m, 65535));
    /* acks count for nothing, be they wrong */
    v.dest = RPCH_DEST_OUT_PROXY;
    v.ack.cookie = role_cookie(0xb0);
    v.ack.bytes_received = 1000000;
    ck_assert_int_eq(server_rts(RPCH_FLOW_CONTROL_ACK_DEST, &v), RPCH_OK);
    /* the server's window is no affair of the client */
    rpch_outbound_pdu_done(&m, 65535, START);
    ck_assert_int_eq(rpc_through(40000, true), RPCH_OK);
    ck_assert_ptr_nonnull(rpch_lane_buf(&m.to_server, &waiting));
}
END_TEST

START_TEST(test_outbound_joined)
{
    rpch_rts_values v = role_values(0xb0, 0);
    size_t n;

    drive(RPCH_JOINED, RPCH_OUT_RESPONSE);
    ck_assert_int_eq(server_rts(RPCH_CONN_C1, &v), RPCH_AGAIN);
    ck_assert_int_eq(rpch_outbound_responded(&m, START), RPCH_OK);
    ck_assert(!(rpch_outbound_wants(&m) & RPCH_WANT_SERVER_READ));
    ck_assert_int_eq(server_rts(RPCH_CONN_C1, &v), RPCH_OK);
    ck_assert(rpch_outbound_wants(&m) & RPCH_WANT_SERVER_READ);
    /* TCP is the back-pressure: no acks */
    ck_assert_int_eq(rpc_through(40000, true), RPCH_OK);
    expect_lane(&m.to_server, "");
    n = role_rts(RPCH_IN_R2_A3, &v, pdu);
    ck_assert_int_eq(server(pdu, n), RPCH_E_UNEXPECTED);
    expect_end(RPCH_E_UNEXPECTED, "RTS PDU from an ncacn_ip_tcp server");
    drive(RPCH_JOINED, RPCH_OUT_OPENED);
    ck_assert_int_eq(server((const uint8_t *)"ncacn_http/1.0", 14), RPCH_OK);
    ck_assert_int_eq(server((const uint8_t *)"12", 2), RPCH_E_SYNTAX);
    drive(RPCH_JOINED, RPCH_OUT_FINISHED);
    ck_assert_int_eq(server_rts(RPCH_CONN_C1, &v), RPCH_E_POLICY);
}
END_TEST

/* Log lines, one below the other. */
static char lines[4096];

static void keep(void *baton, int level, const char *what, const char *detail)
{
    size_t n = strlen(lines);

    snprintf(lines + n, sizeof(lines) - n, "%d %s %s\n", level, what, detail);
}

START_TEST(test_outbound_logs)
{
    rpch_limits l = role_limits();
    rpch_rts_values v = role_values(0xb0, 0);

    rpch_outbound_init(&m, &l, RPCH_QUIET, keep, NULL, START);
    lines[0] = '\0';
    client_rts(RPCH_CONN_A1, &v);
    rpch_outbound_connected(&m, START);
    rpch_outbound_responded(&m, START);
    server_rts(RPCH_CONN_C1, &v);
    server_rts(RPCH_IN_R1_A3, &v);
    m.core.flags = 0;
    server_rts(RPCH_IN_R1_A3, &v);
    server(rpc, role_rpc(rpc, 24, 1));
    rpch_outbound_server_closed(&m);
    ck_assert_str_eq(lines,
        "8 received on C-OUT CONN/A1\n"
        "7 transition [OPEN_START] -- CONN/A1 --> [CONNECT]\n"
        "8 queued for S-OUT CONN/A2\n"
        "7 transition [CONNECT] -- connected --> [RESPONSE]\n"
        "8 queued for C-OUT CONN/A3\n"
        "7 transition [RESPONSE] -- responded --> [C1W]\n"
        "8 received on S-OUT CONN/C1=CONN/C2\n"
        "8 queued for C-OUT CONN/C2\n"
        "7 transition [C1W] -- CONN/C1 --> [OPENED]\n"
        "8 received on S-OUT IN_R1/A3=IN_R1/A4\n"
        "8 kept from the quiet client IN_R1/A3=IN_R1/A4\n"
        "8 received on S-OUT IN_R1/A3=IN_R1/A4\n"
        "8 forwarded to C-OUT IN_R1/A3=IN_R1/A4\n"
        "7 transition [OPENED] -- server closed --> [FINISHED]\n");
}
END_TEST

int main(void)
{
    Suite *s = suite_create("outbound_flow");
    TCase *t = tcase_create("flow");

    tcase_add_test(t, test_outbound_pings_when_idle);
    tcase_add_test(t, test_outbound_ping_waits);
    tcase_add_test(t, test_outbound_acks_the_server);
    tcase_add_test(t, test_outbound_client_window);
    tcase_add_test(t, test_outbound_forwards_to_the_client_only);
    tcase_add_test(t, test_outbound_lane_full);
    tcase_add_test(t, test_outbound_lane_full_within_a_pdu);
    tcase_add_test(t, test_outbound_queue_is_bounded);
    tcase_add_test(t, test_outbound_lifetime);
    tcase_add_test(t, test_outbound_quiet);
    tcase_add_test(t, test_outbound_joined);
    tcase_add_test(t, test_outbound_logs);
    suite_add_tcase(s, t);
    return test_main(s);
}
