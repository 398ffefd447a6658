/* SPDX-License-Identifier: Apache-2.0 */
/* test_server_flow.c - the server role machine's windows, acks, bounds and
 * lifetime */
#include "server_test.h"

static int ack(uint8_t cookie, uint32_t received, uint32_t available)
{
    rpch_rts_values v = role_values(0, 0);

    v.ack.cookie = role_cookie(cookie);
    v.ack.bytes_received = received;
    v.ack.available_window = available;
    return out_rts(RPCH_FLOW_CONTROL_ACK, &v, 0);
}

START_TEST(test_server_send_window)
{
    drive(RPCH_SERVER_OPENED);
    ck_assert(rpch_server_may_send(&sv, 65535));
    rpch_server_sent(&sv, 60000);
    ck_assert(rpch_server_may_send(&sv, 5536)); /* exactly full */
    ck_assert(!rpch_server_may_send(&sv, 5537));
    rpch_server_sent(&sv, 5536);
    ck_assert(!rpch_server_may_send(&sv, 16));

    ck_assert_int_eq(ack(0xc0, 65536, 65536), RPCH_OK); /* not our channel */
    ck_assert(!rpch_server_may_send(&sv, 16));
    ck_assert_int_eq(ack(0xb0, 60000, 60000), RPCH_OK);
    ck_assert(rpch_server_may_send(&sv, 60000 - 5536));
    ck_assert(!rpch_server_may_send(&sv, 60000 - 5536 + 1));
    ck_assert_int_eq(ack(0xb0, 65536, 0xffffffff), RPCH_OK); /* clamped */
    ck_assert_uint_eq(sv.out[0].tx.avail, 65536);
    ck_assert_uint_eq(sv.out[0].used, 44 + 65536);
    ck_assert_int_eq(ack(0xb0, 65537, 65536), RPCH_E_ACK);
    ck_assert_int_eq(sv.core.state, RPCH_SERVER_FINISHED);
}
END_TEST

START_TEST(test_server_takes_ack_addressed_to_it)
{
    rpch_rts_values v = role_values(0, 0);

    drive(RPCH_SERVER_OPENED);
    rpch_server_sent(&sv, 40000);
    v.dest = RPCH_DEST_SERVER;
    v.ack.cookie = role_cookie(0xb0);
    v.ack.bytes_received = 40000;
    v.ack.available_window = 65536;
    ck_assert_int_eq(out_rts(RPCH_FLOW_CONTROL_ACK_DEST, &v, 0), RPCH_OK);
    ck_assert_uint_eq(sv.out[0].tx.avail, 65536);
}
END_TEST

static void take_rpc(size_t len)
{
    static uint8_t rpc[65536];
    size_t at = 0, n = role_rpc(rpc, len, 9);

    while (at < n) {
        rpch_step step;

        ck_assert_int_eq(rpch_server_in_recv(&sv, 0, rpc + at, n - at, &step,
                                             0), RPCH_OK);
        ck_assert_uint_gt(step.used, 0);
        at += step.used;
    }
}

START_TEST(test_server_acknowledges)
{
    const char *reason;
    rpch_rts rts;
    size_t len;
    const rpch_ack *a;

    drive(RPCH_SERVER_OPENED);
    rpch_lane_ack(to_in(), 1000);
    take_rpc(32768);
    rpch_server_consumed(&sv, 32768); /* half is left: not yet */
    rpch_lane_buf(to_in(), &len);
    ck_assert_uint_eq(len, 0);
    take_rpc(1000);
    take_rpc(500);
    ck_assert_uint_eq(sv.queued, 1500);
    rpch_server_consumed(&sv, 1000);
    ck_assert_int_eq(rpch_rts_decode(rpch_lane_buf(to_in(), &len), 48, &rts,
                                     &reason), RPCH_OK);
    ck_assert_uint_eq(len, 48);
    ck_assert(rpch_rts_is(&rts, RPCH_FLOW_CONTROL_ACK));
    a = &rpch_rts_find(&rts, RPCH_CMD_FLOW_CONTROL_ACK, 0)->u.ack;
    ck_assert_uint_eq(a->bytes_received, 34268);
    ck_assert_uint_eq(a->available_window, 65536 - 500);
    ck_assert_uint_eq(a->cookie.b[0], 0xc0);
}
END_TEST

START_TEST(test_server_no_ack_for_part_of_pdu)
{
    static uint8_t rpc[65536];
    rpch_step step;
    size_t len;

    drive(RPCH_SERVER_OPENED);
    rpch_lane_ack(to_in(), 1000);
    take_rpc(30000);
    role_rpc(rpc, 65535, 1);
    rpch_server_in_recv(&sv, 0, rpc, 60000, &step, 0);
    ck_assert_uint_eq(step.pass_len, 60000);
    rpch_server_consumed(&sv, 30000);
    rpch_lane_buf(to_in(), &len);
    ck_assert_uint_eq(len, 0);
    ck_assert_uint_eq(sv.in[0].rx.received, 30000);
    ck_assert_uint_eq(sv.queued, 60000);
}
END_TEST

START_TEST(test_server_stops_reading)
{
    rpch_rts_values v = role_values(0xb0, 0);
    rpch_step step;
    uint8_t rpc[16];
    int n = 0;

    drive(RPCH_SERVER_OPENED);
    while (rpch_server_wants(&sv) & RPCH_WANT_CLIENT_READ)
        take_rpc(16384);
    ck_assert_uint_gt(sv.queued, 65536 + RPCH_QUEUE_SLACK);
    ck_assert_uint_le(sv.queued, 65536 + RPCH_QUEUE_SLACK + 16384);
    ck_assert_uint_eq(rpch_server_wants(&sv), RPCH_WANT_SERVER_READ);
    rpch_server_consumed(&sv, 16384);
    ck_assert(rpch_server_wants(&sv) & RPCH_WANT_CLIENT_READ);

    v.dest = RPCH_DEST_OUT_PROXY;
    while (rpch_server_wants(&sv) != 0 && n++ < 100)
        ck_assert_int_eq(in_rts(RPCH_FLOW_CONTROL_ACK_DEST, &v, 0), RPCH_OK);
    ck_assert_int_lt(n, 100);
    role_rpc(rpc, 16, 1);
    ck_assert_int_eq(rpch_server_in_recv(&sv, 0, rpc, 16, &step, 0), RPCH_OK);
    ck_assert_uint_eq(step.used, 0);
    ck_assert_int_eq(rpch_server_out_recv(&sv, 0, rpc, 16, &step, 0), RPCH_OK);
    ck_assert_uint_eq(step.used, 0);
    rpch_lane_ack(to_out(), 10000);
    rpch_server_in_recv(&sv, 0, rpc, 16, &step, 0);
    ck_assert_uint_eq(step.used, 16);
}
END_TEST

START_TEST(test_server_ping_bytes_are_bounded)
{
    rpch_rts_values v = role_values(0, 0);

    drive(RPCH_SERVER_OPENED);
    v.notify = 8192;
    ck_assert_int_eq(out_rts(RPCH_PING_TRAFFIC_SENT_NOTIFY, &v, 1000),
                     RPCH_OK);
    ck_assert_uint_eq(sv.out[0].used, 44 + 8192);
    ck_assert_int_eq(out_rts(RPCH_PING_TRAFFIC_SENT_NOTIFY, &v, 241000),
                     RPCH_OK); /* four minutes later */
    v.notify = 1;
    ck_assert_int_eq(out_rts(RPCH_PING_TRAFFIC_SENT_NOTIFY, &v, 480999),
                     RPCH_E_UNEXPECTED);
    ck_assert_uint_eq(sv.out[0].used, 44 + 2 * 8192);

    drive(RPCH_SERVER_OPENED);
    v.notify = 0xffffffff;
    ck_assert_int_eq(out_rts(RPCH_PING_TRAFFIC_SENT_NOTIFY, &v, 1000),
                     RPCH_E_UNEXPECTED);
}
END_TEST

/* A role that does not recycle uses a lifetime to its end, and ends there. */
START_TEST(test_server_lifetime)
{
    rpch_rts_values a2 = a2_values();
    rpch_rts_values b2 = b2_values();
    size_t len;

    start(0);
    a2.lifetime = 10044 + HIDDEN;
    out_rts(RPCH_CONN_A2, &a2, 0);
    in_rts(RPCH_CONN_B2, &b2, 0);
    rpch_lane_ack(to_out(), 1000);
    ck_assert_uint_eq(rpch_server_lifetime_left(&sv), 10000);
    ck_assert(rpch_server_may_send(&sv, 10000));
    rpch_server_sent(&sv, 9000);
    ck_assert_uint_eq(rpch_server_lifetime_left(&sv), 1000);
    ck_assert(rpch_server_may_send(&sv, 1000));
    ck_assert_int_eq(sv.out_state, RPCH_SERVER_OUT_OPENED);
    rpch_lane_buf(to_out(), &len);
    ck_assert_uint_eq(len, 0);
    ck_assert(!rpch_server_may_send(&sv, 1001));
    ck_assert_int_eq(sv.core.status, RPCH_E_LIFETIME);
    ck_assert_uint_eq(rpch_server_wants(&sv), RPCH_WANT_CLOSE);
}
END_TEST

START_TEST(test_server_joined)
{
    rpch_rts_values a2 = a2_values();
    rpch_rts_values b2 = b2_values();
    size_t len;

    start(RPCH_JOINED);
    ck_assert_int_eq(rpch_server_enter(&sv, true), -1);
    ck_assert_int_eq(rpch_server_enter(&sv, false), -1);
    out_rts(RPCH_CONN_A2, &a2, 0);
    in_rts(RPCH_CONN_B2, &b2, 0);
    ck_assert_int_eq(sv.core.state, RPCH_SERVER_OPENED);
    rpch_lane_ack(to_in(), 1000);
    ck_assert(rpch_server_may_send(&sv, 65535)); /* no window */
    rpch_server_sent(&sv, 65535);
    ck_assert_uint_eq(rpch_server_lifetime_left(&sv), 1073741824);
    rpch_server_spent(&sv, 73741824, false); /* as C-OUT counts, no more */
    ck_assert_uint_eq(rpch_server_lifetime_left(&sv), 1000000000);
    rpch_server_consumed(&sv, 65535);
    rpch_lane_buf(to_in(), &len);
    ck_assert_uint_eq(len, 0); /* and no ack */
    rpch_server_spent(&sv, 1073741824, true);
    ck_assert_int_eq(sv.core.status, RPCH_E_LIFETIME);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("server_flow");
    TCase *t = tcase_create("flow");

    tcase_add_test(t, test_server_send_window);
    tcase_add_test(t, test_server_takes_ack_addressed_to_it);
    tcase_add_test(t, test_server_acknowledges);
    tcase_add_test(t, test_server_no_ack_for_part_of_pdu);
    tcase_add_test(t, test_server_stops_reading);
    tcase_add_test(t, test_server_ping_bytes_are_bounded);
    tcase_add_test(t, test_server_lifetime);
    tcase_add_test(t, test_server_joined);
    suite_add_tcase(s, t);
    return test_main(s);
}
