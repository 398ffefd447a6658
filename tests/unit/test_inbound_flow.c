/* SPDX-License-Identifier: Apache-2.0 */
/* test_inbound_flow.c - the inbound proxy machine once it is open: windows,
 * lanes, bounds, and what is forwarded (3.2.3.5) */
#include "inbound_test.h"

START_TEST(test_inbound_acks_the_client)
{
    drive(0, RPCH_IN_OPENED);
    ck_assert_int_eq(rpc_through(30000, true), RPCH_OK);
    ck_assert_ptr_null(rpch_lane_buf(&m.to_server, &step.used));
    ck_assert_int_eq(rpc_through(10000, true), RPCH_OK);
    expect_lane(hex_ack);
    ck_assert_uint_eq(m.rpc_bytes, 40000);
    ck_assert_uint_eq(m.rpc_pdus, 2);
    ck_assert_uint_eq(m.queued, 0);
}
END_TEST

START_TEST(test_inbound_server_window)
{
    rpch_rts_values v = role_values(0xc0, 0);

    v.window = 8192;
    drive(0, RPCH_IN_B3W);
    ck_assert_int_eq(server_rts(RPCH_CONN_B3, &v), RPCH_OK);
    ck_assert(rpch_inbound_may_send(&m, 8192));
    rpch_inbound_pdu_begin(&m, 8192);
    ck_assert(!rpch_inbound_may_send(&m, 16));
    v.ack.bytes_received = 8192;
    v.ack.available_window = 8192;
    v.ack.cookie = role_cookie(0xb0);
    ck_assert_int_eq(server_rts(RPCH_FLOW_CONTROL_ACK, &v), RPCH_OK);
    ck_assert(!rpch_inbound_may_send(&m, 16));
    v.ack.cookie = role_cookie(0xc0);
    ck_assert_int_eq(server_rts(RPCH_FLOW_CONTROL_ACK, &v), RPCH_OK);
    ck_assert(rpch_inbound_may_send(&m, 8192));
    v.dest = RPCH_DEST_IN_PROXY;
    ck_assert_int_eq(server_rts(RPCH_FLOW_CONTROL_ACK_DEST, &v), RPCH_OK);
    v.ack.bytes_received = 8193;
    ck_assert_int_eq(server_rts(RPCH_FLOW_CONTROL_ACK, &v), RPCH_E_ACK);
    expect_end(RPCH_E_ACK,
               "FlowControlAck for bytes that were never sent on S-IN");
}
END_TEST

START_TEST(test_inbound_may_follow)
{
    static uint8_t fill[900];

    drive(0, RPCH_IN_OPENED); /* the server's window is 65536 */
    ck_assert(rpch_inbound_may_follow(&m, 60000, 5536));
    ck_assert(!rpch_inbound_may_follow(&m, 60000, 5537));
    rpch_inbound_pdu_begin(&m, 60000);
    ck_assert(rpch_inbound_may_follow(&m, 0, 5536));
    ck_assert(!rpch_inbound_may_follow(&m, 5000, 537));
    drive(RPCH_JOINED, RPCH_IN_OPENED);
    ck_assert(rpch_inbound_may_follow(&m, 600000, 5536));
    ck_assert_int_eq(rpch_lane_put(&m.to_server, fill, sizeof(fill)), RPCH_OK);
    ck_assert(!rpch_inbound_may_follow(&m, 16, 16));
    drive(0, RPCH_IN_B3W);
    ck_assert(!rpch_inbound_may_follow(&m, 16, 16));
}
END_TEST

START_TEST(test_inbound_forwards_verbatim)
{
    /* an IN_R2/A3 with a Padding command, to the out-proxy: no PDU that
     * anybody defined */
    static const char odd[] = "05001403 10000000 29000000 00000000 04000300"
                              "0d000000 03000000 08000000 01000000 00"
                              "0a000000";
    uint8_t b[RPCH_RTS_SIZE_MAX];
    size_t n = test_hex(odd, b, sizeof(b));

    drive(0, RPCH_IN_OPENED);
    ck_assert_int_eq(client(b, n), RPCH_OK);
    expect_lane(odd);
    n = test_hex(hex_ack, b, sizeof(b));
    b[24] = RPCH_DEST_IN_PROXY; /* nobody sends us such a thing on C-IN */
    ck_assert_int_eq(client(b, n), RPCH_E_UNEXPECTED);
    b[24] = 4;
    drive(0, RPCH_IN_OPENED);
    ck_assert_int_eq(client(b, n), RPCH_E_SYNTAX);
}
END_TEST

START_TEST(test_inbound_lane_full)
{
    uint8_t b[RPCH_RTS_SIZE_MAX];
    size_t n = test_hex(hex_ack, b, sizeof(b));
    size_t taken = 0;

    b[24] = RPCH_DEST_OUT_PROXY;
    drive(0, RPCH_IN_OPENED);
    while (rpch_inbound_wants(&m) & RPCH_WANT_CLIENT_READ) {
        ck_assert_int_eq(client(b, n), RPCH_OK);
        ck_assert_uint_eq(step.used, n);
        ck_assert_uint_lt(++taken, 20);
    }
    ck_assert_uint_ge(taken, 6);
    ck_assert_int_eq(client(b, n), RPCH_OK);
    ck_assert_uint_eq(step.used, 0);
    ck_assert(rpch_inbound_wants(&m) & RPCH_WANT_SERVER_READ);
    ck_assert(rpch_inbound_may_send(&m, 100));
    rpch_inbound_server_ack(&m, n);
    ck_assert(rpch_inbound_wants(&m) & RPCH_WANT_CLIENT_READ);
    ck_assert_int_eq(client(b, n), RPCH_OK);
    ck_assert_uint_eq(step.used, n);
    ck_assert_uint_eq(m.to_server.end - m.to_server.at, taken * n);
}
END_TEST

/* The rest of an RPC PDU that is on its way must get through even so. */
START_TEST(test_inbound_lane_full_within_a_pdu)
{
    uint8_t fill[RPCH_LANE_SIZE] = { 0 };

    drive(0, RPCH_IN_OPENED);
    role_rpc(rpc, 1000, 1);
    ck_assert_int_eq(client(rpc, 100), RPCH_OK);
    ck_assert(step.first && !step.last);
    rpch_inbound_pdu_begin(&m, 1000);
    ck_assert_int_eq(rpch_lane_put(&m.to_server, fill, sizeof(fill) - 60),
                     RPCH_OK);
    ck_assert(rpch_inbound_wants(&m) & RPCH_WANT_CLIENT_READ);
    ck_assert_int_eq(client(rpc + 100, 900), RPCH_OK);
    ck_assert_uint_eq(step.pass_len, 900);
    ck_assert(step.last && !step.first);
    ck_assert_uint_eq(step.pdu_len, 1000);
    rpch_inbound_pdu_done(&m, 1000, START);
    ck_assert(!(rpch_inbound_wants(&m) & RPCH_WANT_CLIENT_READ));
    ck_assert(!rpch_inbound_may_send(&m, 16));
    ck_assert_int_eq(m.core.status, RPCH_OK);
}
END_TEST

/* Clients that ignore the window are not read on for ever. */
START_TEST(test_inbound_queue_is_bounded)
{
    drive(0, RPCH_IN_B3W);
    while (rpch_inbound_wants(&m) & RPCH_WANT_CLIENT_READ) {
        ck_assert_int_eq(rpc_through(4096, false), RPCH_OK);
        ck_assert_uint_le(m.queued, 65536 + RPCH_QUEUE_SLACK + 4096);
    }
    ck_assert_uint_eq(m.queued, 65536 + RPCH_QUEUE_SLACK + 4096);
    ck_assert_int_eq(client(rpc, 4096), RPCH_OK);
    ck_assert_uint_eq(step.used, 0);
    rpch_inbound_pdu_done(&m, 4096, START);
    ck_assert(rpch_inbound_wants(&m) & RPCH_WANT_CLIENT_READ);
    ck_assert_ptr_null(rpch_lane_buf(&m.to_server, &step.used));
    ck_assert_int_eq(m.core.status, RPCH_OK);
}
END_TEST

START_TEST(test_inbound_joined)
{
    rpch_rts_values v = role_values(0xc0, 0);

    v.window = 8192;
    drive(RPCH_JOINED, RPCH_IN_B3W);
    ck_assert_uint_eq(rpch_inbound_wants(&m), RPCH_WANT_CLIENT_READ);
    ck_assert_int_eq(server_rts(RPCH_CONN_B3, &v), RPCH_OK);
    rpch_inbound_pdu_begin(&m, 8192);
    ck_assert(rpch_inbound_may_send(&m, 65535));
    v.ack.bytes_received = 9000;
    v.ack.cookie = role_cookie(0xc0);
    ck_assert_int_eq(server_rts(RPCH_FLOW_CONTROL_ACK, &v), RPCH_OK);
    ck_assert_int_eq(rpch_inbound_server_rts(&m, pdu, 19, START),
                     RPCH_E_SYNTAX);
    drive(RPCH_JOINED, RPCH_IN_CONNECT);
    ck_assert_int_eq(server_rts(RPCH_CONN_B3, &v), RPCH_AGAIN);
    drive(RPCH_JOINED, RPCH_IN_FINISHED);
    ck_assert_int_eq(server_rts(RPCH_CONN_B3, &v), RPCH_E_POLICY);
}
END_TEST

START_TEST(test_inbound_banner_and_noise_on_s_in)
{
    static const uint8_t ssh[] = "SSH-2.0-OpenSSH_9.2p1 Debian\r\n";
    static const uint8_t banner[] = "ncacn_http/1.0";
    rpch_rts_values v = role_values(0xc0, 0);
    size_t i;

    drive(0, RPCH_IN_B3W);
    for (i = 0; i < 14; i++) {
        ck_assert_int_eq(rpch_inbound_server_recv(&m, banner + i, 1, &step,
                                                  START), RPCH_OK);
        ck_assert_uint_eq(step.used, 1);
    }
    ck_assert_int_eq(server_rts(RPCH_CONN_B3, &v), RPCH_OK);
    drive(0, RPCH_IN_B3W);
    ck_assert_int_eq(rpch_inbound_server_recv(&m, ssh, sizeof(ssh) - 1, &step,
                                              START), RPCH_E_SYNTAX);
    drive(0, RPCH_IN_B3W);
    ck_assert_int_eq(rpch_inbound_server_recv(&m, (const uint8_t *)"nope", 4,
                                              &step, START), RPCH_E_BANNER);
}
END_TEST

/* Log lines, one below the other. */
static char lines[4096];

static void keep(void *baton, int level, const char *what, const char *detail)
{
    size_t n = strlen(lines);

    snprintf(lines + n, sizeof(lines) - n, "%d %s %s\n", level, what, detail);
}

START_TEST(test_inbound_logs)
{
    rpch_limits l = role_limits();
    rpch_address a = { false, { 0 } };
    rpch_rts_values v = role_values(0xc0, 0xe0);

    rpch_inbound_init(&m, &l, &a, 0, keep, NULL, START);
    lines[0] = '\0';
    client_rts(RPCH_CONN_B1, &v);
    rpch_inbound_connected(&m, START);
    server_rts(RPCH_CONN_B3, &v);
    client_rts(RPCH_OUT_R1_A7, &v);
    client(rpc, role_rpc(rpc, 24, 1));
    client_rts(RPCH_KEEP_ALIVE, &v);
    rpch_inbound_client_closed(&m);
    ck_assert_str_eq(lines,
        "8 received on C-IN CONN/B1\n"
        "7 transition [OPEN_START] -- CONN/B1 --> [CONNECT]\n"
        "8 queued for S-IN CONN/B2\n"
        "7 transition [CONNECT] -- connected --> [B3W]\n"
        "8 received on S-IN CONN/B3\n"
        "7 transition [B3W] -- CONN/B3 --> [OPENED]\n"
        "8 received on C-IN OUT_R1/A7=OUT_R1/A8=OUT_R2/A8\n"
        "8 forwarded to S-IN OUT_R1/A7=OUT_R1/A8=OUT_R2/A8\n"
        "8 received on C-IN Keep-Alive\n"
        "7 transition [OPENED] -- client closed --> [FINISHED]\n");
}
END_TEST

int main(void)
{
    Suite *s = suite_create("inbound_flow");
    TCase *t = tcase_create("flow");

    tcase_add_test(t, test_inbound_acks_the_client);
    tcase_add_test(t, test_inbound_server_window);
    tcase_add_test(t, test_inbound_may_follow);
    tcase_add_test(t, test_inbound_forwards_verbatim);
    tcase_add_test(t, test_inbound_lane_full);
    tcase_add_test(t, test_inbound_lane_full_within_a_pdu);
    tcase_add_test(t, test_inbound_queue_is_bounded);
    tcase_add_test(t, test_inbound_joined);
    tcase_add_test(t, test_inbound_banner_and_noise_on_s_in);
    tcase_add_test(t, test_inbound_logs);
    suite_add_tcase(s, t);
    return test_main(s);
}
