/* SPDX-License-Identifier: Apache-2.0 */
/* test_outbound_drain.c - the outbound proxy in OUT_R1, as predecessor and as
 * successor (3.2.4.5.5 to 3.2.4.5.9), its timers, and the end of a joined
 * channel's lifetime (3.2.5.4.1) */
#include "outbound_test.h"

static const char hex_r1_a4[] =
    "05001403 10000000 70000000 00000000 14000700"
    "06000000 01000000"
    "03000000 a0a1a2a3a4a5a6a7a8a9aaabacadaeaf"
    "03000000 b0b1b2b3b4b5b6b7b8b9babbbcbdbebf"
    "03000000 d0d1d2d3d4d5d6d7d8d9dadbdcdddedf"
    "04000000 00000040 00000000 00000100 02000000 c0d40100";
static const char hex_r1_a1[] =
    "05001403 10000000 1c000000 00000000 04000100 0d000000 00000000";
static const char hex_r1_a5[] =
    "05001403 10000000 2c000000 00000000 10000300"
    "0d000000 00000000 06000000 01000000 02000000 c0d40100";
static const char hex_r1_a11[] =
    "05001403 10000000 18000000 00000000 00000100 0a000000";

/* The PDU, from the server. */
static int server_hex(const char *hex)
{
    return server(pdu, test_hex(hex, pdu, sizeof(pdu)));
}

/* Begins the next RPC PDU, and ends it. */
static void send_one(uint32_t n)
{
    ck_assert(rpch_outbound_may_send(&m, n));
    ck_assert_int_eq(rpch_outbound_pdu_begin(&m, n), RPCH_OK);
    rpch_outbound_pdu_done(&m, n, START);
}

START_TEST(test_outbound_drain_predecessor)
{
    rpch_rts_values v = role_values(0xb0, 0xd0);

    drive(0, RPCH_OUT_OPENED);
    ck_assert_int_eq(server_hex(hex_r1_a1), RPCH_OK);
    expect_lane(&m.to_client, hex_r1_a1);
    ck_assert_int_eq(rpc_through(60000, false), RPCH_OK);
    ck_assert_int_eq(rpc_through(3000, false), RPCH_OK);
    ck_assert_int_eq(rpc_through(7000, false), RPCH_OK);
    ck_assert_int_eq(rpch_outbound_pdu_begin(&m, 60000), RPCH_OK);
    ck_assert_int_eq(server_hex(hex_r1_a5), RPCH_OK);
    ck_assert_int_eq(server_rts(RPCH_OUT_R1_A9, &v), RPCH_OK);
    ck_assert_int_eq(m.core.state, RPCH_OUT_DRAIN_R1);
    ck_assert_uint_eq(rpch_outbound_wants(&m),
                      RPCH_WANT_CLIENT_READ | RPCH_WANT_SERVER_READ);
    rpch_outbound_pdu_done(&m, 60000, START);
    expect_lane(&m.to_client, hex_r1_a5);
    /* the server has no need to know */
    expect_lane(&m.to_server, "");
    send_one(3000);
    ck_assert(!rpch_outbound_may_send(&m, 7000));
    ck_assert_int_eq(m.core.state, RPCH_OUT_DRAIN_R1);
    expect_lane(&m.to_client, "");
    v.dest = RPCH_DEST_OUT_PROXY;
    v.ack.cookie = role_cookie(0xb0);
    v.ack.bytes_received = 63000;
    v.ack.available_window = 7000;
    ck_assert_int_eq(server_rts(RPCH_FLOW_CONTROL_ACK_DEST, &v), RPCH_OK);
    send_one(7000);
    ck_assert_int_eq(m.core.state, RPCH_OUT_LAST_R1);
    ck_assert_uint_eq(m.lifetime_used, 72 + 28 + 44 + 70000 + 24);
    /* a last ack may still come */
    v.ack.bytes_received = 70000;
    ck_assert_int_eq(server_rts(RPCH_FLOW_CONTROL_ACK_DEST, &v), RPCH_OK);
    expect_lane(&m.to_client, hex_a10);
    expect_end(RPCH_E_RECYCLED,
               "the OUT channel was replaced by its successor");
    ck_assert_uint_eq(m.rpc_bytes, 70000);
}
END_TEST

START_TEST(test_outbound_drain_reads_acks_behind_a_long_queue)
{
    rpch_rts_values v = role_values(0xb0, 0xd0);
    uint8_t fill[RPCH_LANE_SIZE] = { 0 };

    drive(0, RPCH_OUT_OPENED);
    while (rpch_outbound_wants(&m) & RPCH_WANT_SERVER_READ) {
        if (m.queued > 65536 + RPCH_QUEUE_SLACK - 10000)
            break;
        ck_assert_int_eq(rpc_through(10000, false), RPCH_OK);
    }
    ck_assert_int_eq(server_rts(RPCH_OUT_R1_A9, &v), RPCH_OK);
    m.queued += 100000;
    ck_assert_int_eq(rpch_lane_put(&m.to_server, fill, 1000), RPCH_OK);
    ck_assert(rpch_outbound_wants(&m) & RPCH_WANT_SERVER_READ);
    ck_assert(rpch_outbound_may_send(&m, 10000));
    ck_assert_int_eq(rpch_lane_put(&m.to_client, fill, 1000), RPCH_OK);
    ck_assert(!(rpch_outbound_wants(&m) & RPCH_WANT_SERVER_READ));
}
END_TEST

START_TEST(test_outbound_drain_gives_up_the_window)
{
    rpch_limits l = role_limits();

    drive(0, RPCH_OUT_DRAIN_R1);
    m.tx.avail = 0;
    ck_assert(!rpch_outbound_may_send(&m, 24));
    ck_assert(rpch_outbound_deadline(&m) == START + 20000);
    ck_assert_int_eq(rpch_outbound_timeout(&m, START + 19999), RPCH_OK);
    ck_assert(!rpch_outbound_may_send(&m, 24));
    ck_assert_int_eq(rpch_outbound_timeout(&m, START + 20000), RPCH_OK);
    ck_assert_int_eq(m.core.state, RPCH_OUT_DRAIN_R1);
    ck_assert(rpch_outbound_may_send(&m, 24));
    ck_assert(rpch_outbound_deadline(&m) == START + 40000);
    ck_assert_int_eq(rpch_outbound_timeout(&m, START + 40000),
                     RPCH_E_TIMEOUT);
    expect_end(RPCH_E_TIMEOUT, "the predecessor did not drain in time");
    /* the last PDU has its time, too */
    drive(0, RPCH_OUT_LAST_R1);
    ck_assert_int_eq(rpch_outbound_timeout(&m, START + 20000),
                     RPCH_E_TIMEOUT);
    drive(0, RPCH_OUT_FINISH_R2);
    ck_assert_int_eq(rpch_outbound_timeout(&m, START + 20000),
                     RPCH_E_TIMEOUT);
    expect_end(RPCH_E_TIMEOUT, "the predecessor did not drain in time");
    l.drain_timeout = 0;
    start_with(&l, 0);
    advance(RPCH_OUT_DRAIN_R1);
    ck_assert(rpch_outbound_deadline(&m) == RPCH_NEVER);
    start_with(&l, 0);
    advance(RPCH_OUT_LAST_R2);
    ck_assert(rpch_outbound_deadline(&m) == RPCH_NEVER);
}
END_TEST

START_TEST(test_outbound_drain_without_server)
{
    drive(0, RPCH_OUT_DRAIN_R1);
    m.tx.avail = 0;
    ck_assert(!rpch_outbound_may_send(&m, 24));
    rpch_outbound_server_closed(&m);
    ck_assert_int_eq(m.core.state, RPCH_OUT_DRAIN_R1);
    ck_assert_uint_eq(rpch_outbound_wants(&m), RPCH_WANT_CLIENT_READ);
    ck_assert_int_eq(server_hex(hex_ping), RPCH_OK);
    ck_assert_uint_eq(step.used, 0);
    send_one(24);
    rpch_outbound_server_closed(&m);
    expect_lane(&m.to_client, hex_a10);
    ck_assert_int_eq(m.core.status, RPCH_E_RECYCLED);
    /* without the client there is nothing to be drained */
    drive(0, RPCH_OUT_LAST_R1);
    rpch_outbound_client_closed(&m);
    expect_end(RPCH_E_CLOSED, "the client closed");
}
END_TEST

START_TEST(test_outbound_drain_server_says_more)
{
    drive(0, RPCH_OUT_DRAIN_R1);
    ck_assert_int_eq(server_hex(hex_r1_a1), RPCH_E_UNEXPECTED);
    expect_end(RPCH_E_UNEXPECTED, "PDU of the server after OUT_R1/A9");
    drive(0, RPCH_OUT_DRAIN_R1);
    ck_assert_int_eq(server(rpc, role_rpc(rpc, 24, 1)), RPCH_E_UNEXPECTED);
    expect_end(RPCH_E_UNEXPECTED, "PDU of the server after OUT_R1/A9");
    drive(0, RPCH_OUT_OPENED_B1W);
    ck_assert_int_eq(server_hex(hex_r1_a5), RPCH_E_UNEXPECTED);
    expect_end(RPCH_E_UNEXPECTED,
               "OUT_R1/A5 on an OUT channel that is not Opened");
}
END_TEST

START_TEST(test_outbound_drain_successor)
{
    rpch_rts_values v = role_values(0xb0, 0xd0);
    size_t n;

    drive(0, RPCH_OUT_SUCCEED);
    ck_assert(rpch_outbound_deadline(&m) == START + 900000);
    ck_assert_int_eq(rpch_outbound_connected(&m, START + 1), RPCH_OK);
    ck_assert_int_eq(m.core.state, RPCH_OUT_A11W);
    expect_lane(&m.to_server, hex_r1_a4);
    ck_assert(rpch_outbound_deadline(&m) == START + 900000);
    ck_assert_uint_eq(rpch_outbound_wants(&m),
                      RPCH_WANT_CLIENT_READ | RPCH_WANT_SERVER_READ);
    /* the server is fast: what it says waits */
    ck_assert_int_eq(server((const uint8_t *)"ncacn_http/1.0", 14), RPCH_OK);
    ck_assert_int_eq(rpc_through(5000, false), RPCH_OK);
    ck_assert_int_eq(server_rts(RPCH_IN_R2_A3, &v), RPCH_OK);
    ck_assert_int_eq(server_hex(hex_r1_a1), RPCH_OK);
    ck_assert(!rpch_outbound_may_send(&m, 5000));
    ck_assert_uint_eq(rpch_outbound_wants(&m),
                      RPCH_WANT_CLIENT_READ | RPCH_WANT_SERVER_READ);
    n = test_hex(hex_r1_a11, pdu, sizeof(pdu));
    ck_assert_int_eq(client(pdu, n), RPCH_OK);
    ck_assert_int_eq(m.core.state, RPCH_OUT_RESUME);
    ck_assert(!rpch_outbound_may_send(&m, 5000));
    ck_assert_int_eq(rpch_outbound_responded(&m, START + 7), RPCH_OK);
    ck_assert_uint_eq(m.to_client.end, 56);
    ck_assert_uint_eq(m.lifetime_used, 56);
    ck_assert(rpch_outbound_deadline(&m) == START + 60007);
    send_one(5000);
    ck_assert_uint_eq(m.lifetime_used, 5056);
}
END_TEST

START_TEST(test_outbound_drain_successor_queue_is_bounded)
{
    rpch_rts_values v = role_values(0xb0, 0xd0);
    size_t n = 0;

    drive(0, RPCH_OUT_A11W);
    while (rpch_outbound_wants(&m) & RPCH_WANT_SERVER_READ)
        ck_assert_int_eq(rpc_through(4096, false), RPCH_OK);
    ck_assert_uint_eq(m.queued, 65536 + RPCH_QUEUE_SLACK + 4096);
    drive(0, RPCH_OUT_R2C1W);
    while (rpch_outbound_wants(&m) & RPCH_WANT_SERVER_READ) {
        ck_assert_int_eq(server_rts(RPCH_IN_R1_A3, &v), RPCH_OK);
        ck_assert_uint_lt(++n, 20);
    }
    ck_assert_uint_ge(n, 6);
}
END_TEST

START_TEST(test_outbound_drain_successor_timeouts)
{
    static const struct { rpch_out_state state; const char *reason; } c[] = {
        { RPCH_OUT_SUCCEED, "no answer about the predecessor in time" },
        { RPCH_OUT_A11W, "no OUT_R1/A11 from the client in time" },
        { RPCH_OUT_ATTACHED, "no OUT_R2/B1 from the server in time" },
        { RPCH_OUT_LEGW, "no OUT_R2/B1 from the server in time" },
        { RPCH_OUT_R2C1W, "no OUT_R2/C1 from the client in time" },
        { RPCH_OUT_RESUME, "the successor did not open in time" },
    };
    size_t i;

    for (i = 0; i < sizeof(c) / sizeof(c[0]); i++) {
        drive(0, c[i].state);
        ck_assert(rpch_outbound_deadline(&m) == START + 900000);
        ck_assert_int_eq(rpch_outbound_timeout(&m, START + 899999), RPCH_OK);
        ck_assert_int_eq(rpch_outbound_timeout(&m, START + 900000),
                         RPCH_E_TIMEOUT);
        expect_end(RPCH_E_TIMEOUT, c[i].reason);
    }
}
END_TEST

START_TEST(test_outbound_drain_pings_until_the_switch)
{
    rpch_limits l = role_limits();
    size_t waiting;

    l.ping_notify = 39;
    l.ping_interval = 5000;
    start_with(&l, 0);
    advance(RPCH_OUT_OPENED_B1W);
    ck_assert(rpch_outbound_deadline(&m) == START + 5000);
    ck_assert_int_eq(rpch_outbound_timeout(&m, START + 5000), RPCH_OK);
    expect_lane(&m.to_client, hex_ping);
    expect_lane(&m.to_server, "");
    ck_assert_int_eq(rpch_outbound_timeout(&m, START + 10000), RPCH_OK);
    expect_lane(&m.to_client, hex_ping);
    expect_lane(&m.to_server, "05001403 10000000 1c000000 00000000 02000100"
                              "0e000000 28000000");
    drive(0, RPCH_OUT_DRAIN_R1);
    ck_assert_int_eq(rpch_outbound_timeout(&m, START + 60000), RPCH_OK);
    ck_assert_ptr_null(rpch_lane_buf(&m.to_client, &waiting));
}
END_TEST

/* Whether a joined channel of that lifetime, which carried rpc bytes of RPC
 * PDUs and has left bytes left, starves at a PDU of n bytes. */
static bool starves(unsigned flags, uint32_t lifetime, uint32_t carried,
                    uint32_t left, uint32_t n)
{
    rpch_limits l = role_limits();

    l.channel_lifetime = lifetime;
    start_with(&l, flags);
    advance(RPCH_OUT_OPENED);
    rpch_tx_sent(&m.tx, carried);
    m.lifetime_used = lifetime - left;
    ck_assert_int_eq(rpch_outbound_may_send(&m, n), !m.starved);
    return m.starved;
}

/* Several PDUs at once are begun as they would be one after the other: by
 * lifetime, by window, and by state. */
START_TEST(test_outbound_drain_may_follow)
{
    static const uint32_t lives[] = { 2048, 20000, 131072 };
    rpch_limits l = role_limits();
    unsigned flags, i;
    uint32_t ahead, n;
    rpch_outbound each;

    for (i = 0; i < 6; i++) {
        flags = i % 2 ? RPCH_JOINED : 0;
        l.channel_lifetime = lives[i / 2];
        start_with(&l, flags);
        advance(RPCH_OUT_OPENED);
        for (ahead = 16; m.lifetime_used + ahead < l.channel_lifetime
             && ahead <= 65535; ahead += 61) {
            if (!rpch_outbound_may_send(&m, ahead))
                break;
            each = m;
            ck_assert_int_eq(rpch_outbound_pdu_begin(&each, ahead), RPCH_OK);
            rpch_outbound_pdu_done(&each, ahead, START);
            for (n = 16; n <= 6000; n += 137) {
                bool may = rpch_outbound_may_send(&each, n)
                    && each.lifetime_used + n <= l.channel_lifetime;
                ck_assert_int_eq(rpch_outbound_may_follow(&m, ahead, n), may);
            }
        }
        ck_assert_uint_gt(ahead, 16);
        rpch_outbound_client_closed(&m);
        ck_assert(!rpch_outbound_may_follow(&m, 16, 16));
    }
    drive(0, RPCH_OUT_DRAIN_R1);
    ck_assert(rpch_outbound_may_follow(&m, 16, 16));
    ck_assert(!rpch_outbound_may_follow(&m, 65000, 6000));
}
END_TEST

START_TEST(test_outbound_drain_starved)
{
    static const unsigned j = RPCH_JOINED;

    /* what is left for acks and the rest of OUT_R2 is 4096 */
    ck_assert(!starves(j, 131072, 16, 5096, 1000));
    ck_assert(starves(j, 131072, 16, 5095, 1000));
    ck_assert_int_eq(m.core.state, RPCH_OUT_OPENED);
    /* or a quarter of a small lifetime, but enough for OUT_R2 */
    ck_assert(!starves(j, 2048, 16, 612, 100));
    ck_assert(starves(j, 2048, 16, 611, 100));
    ck_assert(!starves(j, 300, 16, 184, 100));
    ck_assert(starves(j, 300, 16, 183, 100));
    /* the first PDU of a channel may take nearly all of it */
    ck_assert(!starves(j, 2048, 0, 184, 100));
    ck_assert(starves(j, 2048, 0, 183, 100));
    /* what no channel has room for, and whose client cannot recycle */
    ck_assert(starves(j, 2048, 16, 1000, 1964));
    ck_assert(!starves(j, 2048, 16, 1000, 1965));
    ck_assert_int_eq(rpch_outbound_pdu_begin(&m, 1965), RPCH_E_LIFETIME);
    ck_assert(!starves(j | RPCH_QUIET, 2048, 16, 50, 100));
    ck_assert(!starves(j | RPCH_NO_RECYCLING, 2048, 16, 50, 100));
    ck_assert_int_eq(rpch_outbound_pdu_begin(&m, 100), RPCH_E_LIFETIME);
    /* a server that counts by itself knows what it does */
    ck_assert(!starves(0, 2048, 16, 50, 100));
    ck_assert_int_eq(rpch_outbound_pdu_begin(&m, 100), RPCH_E_LIFETIME);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("outbound_drain");
    TCase *t = tcase_create("R1");

    tcase_add_test(t, test_outbound_drain_predecessor);
    tcase_add_test(t, test_outbound_drain_reads_acks_behind_a_long_queue);
    tcase_add_test(t, test_outbound_drain_gives_up_the_window);
    tcase_add_test(t, test_outbound_drain_without_server);
    tcase_add_test(t, test_outbound_drain_server_says_more);
    tcase_add_test(t, test_outbound_drain_successor);
    tcase_add_test(t, test_outbound_drain_successor_queue_is_bounded);
    tcase_add_test(t, test_outbound_drain_successor_timeouts);
    tcase_add_test(t, test_outbound_drain_pings_until_the_switch);
    tcase_add_test(t, test_outbound_drain_may_follow);
    tcase_add_test(t, test_outbound_drain_starved);
    suite_add_tcase(s, t);
    return test_main(s);
}
