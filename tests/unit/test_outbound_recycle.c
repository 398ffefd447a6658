/* SPDX-License-Identifier: Apache-2.0 */
/* test_outbound_recycle.c - the outbound proxy in OUT_R2: as predecessor, as
 * successor, and when one of them fails (3.2.4.5.6 to 3.2.4.5.12) */
#include "outbound_test.h"

static const char hex_a3_successor[] =
    "05001403 10000000 60000000 00000000 04000500"
    "06000000 01000000"
    "03000000 a0a1a2a3a4a5a6a7a8a9aaabacadaeaf"
    "03000000 b0b1b2b3b4b5b6b7b8b9babbbcbdbebf"
    "03000000 d0d1d2d3d4d5d6d7d8d9dadbdcdddedf"
    "00000000 00000100";
static const char hex_r2_a4[] =
    "05001403 10000000 28000000 00000000 00000100"
    "03000000 d0d1d2d3d4d5d6d7d8d9dadbdcdddedf";
static const char hex_r2_a5[] =
    "05001403 10000000 20000000 00000000 00000200"
    "0d000000 00000000 0a000000";
static const char hex_r2_c1[] =
    "05001403 10000000 18000000 00000000 01000100 07000000";
/* 40000 bytes received, for the server, after OUT_R2/B1 */
static const char hex_ack_b1[] =
    "05001403 10000000 30000000 00000000 02000100"
    "01000000 409c0000 00000100 d0d1d2d3d4d5d6d7d8d9dadbdcdddedf";

static rpch_out_leg leg;
static const char *reason;

/* The PDU, from the client. */
static int client_hex(const char *hex)
{
    return client(pdu, test_hex(hex, pdu, sizeof(pdu)));
}

/* The PDU, from the server. */
static int server_hex(const char *hex)
{
    size_t n = test_hex(hex, pdu, sizeof(pdu));

    if (m.core.flags & RPCH_JOINED)
        return rpch_outbound_server_rts(&m, pdu, n, START);
    return server(pdu, n);
}

static void predecessor(unsigned flags)
{
    rpch_succession s = succession();
    rpch_rts_values v = role_values(0xb0, 0xd0);

    drive(flags, RPCH_OUT_OPENED);
    ck_assert(!m.asked);
    ck_assert_int_eq(server_rts(RPCH_OUT_R2_A1, &v), RPCH_OK);
    ck_assert(m.asked);
    rpch_outbound_client_ack(&m, 28, START);
    ck_assert_int_eq(rpch_outbound_attach(&m, &s, &reason), RPCH_OK);
    ck_assert(!m.asked);
    ck_assert_int_eq(m.core.state, RPCH_OUT_OPENED_B1W);
    expect_lane(&m.to_server, hex_r2_a4);
    expect_lane(&m.to_client, "");
    ck_assert_int_eq(server_hex(hex_r2_a5), RPCH_OK);
    expect_lane(&m.to_client, hex_r2_a5);
    ck_assert(rpch_outbound_may_send(&m, 100));
    ck_assert_int_eq(server_rts(RPCH_OUT_R2_B1, &v), RPCH_OK);
    ck_assert_int_eq(m.core.state, RPCH_OUT_LAST_R2);
    ck_assert(!rpch_outbound_may_send(&m, 16));
    ck_assert_uint_eq(rpch_outbound_wants(&m), RPCH_WANT_CLIENT_READ);
    expect_lane(&m.to_client, hex_b3);
    ck_assert_uint_eq(m.lifetime_used, 28 + 44 + 28 + 32 + 24);
    ck_assert_int_eq(m.core.state, RPCH_OUT_RELEASE);
    ck_assert_uint_eq(rpch_outbound_wants(&m),
                      RPCH_WANT_CLIENT_READ | RPCH_WANT_RELEASE);
    ck_assert(rpch_outbound_deadline(&m) == RPCH_NEVER);
    /* the client has it all, and the old connection is of no use to it */
    rpch_outbound_client_closed(&m);
    ck_assert_int_eq(m.core.state, RPCH_OUT_RELEASE);
    ck_assert_int_eq(rpch_outbound_release(&m, &leg), RPCH_OK);
    expect_end(RPCH_E_RECYCLED,
               "the OUT channel was replaced by its successor");
    ck_assert_mem_eq(leg.vc.b, role_cookie(0xa0).b, 16);
    ck_assert_mem_eq(leg.predecessor.b, role_cookie(0xb0).b, 16);
    ck_assert_mem_eq(leg.successor.b, role_cookie(0xd0).b, 16);
    ck_assert_uint_eq(leg.lifetime, 1073741824);
    ck_assert_uint_eq(leg.lane_len, 0);
    ck_assert_uint_eq(leg.tail_len, 0);
    ck_assert_int_eq(rpch_outbound_release(&m, &leg), RPCH_E_RECYCLED);
}

START_TEST(test_outbound_recycle_predecessor)
{
    predecessor(0);
    predecessor(RPCH_JOINED);
}
END_TEST

static void successor(unsigned flags, bool c1_first)
{
    rpch_rts_values v = role_values(0xb0, 0xd0);
    rpch_limits l = role_limits();

    leg = leg_of(flags);
    leg.lifetime = 200000;
    leg.rx.received = 4711;
    start_with(&l, flags);
    ck_assert_int_eq(client_hex(hex_a3_successor), RPCH_OK);
    ck_assert_int_eq(m.core.state, RPCH_OUT_SUCCEED);
    ck_assert_uint_eq(rpch_outbound_wants(&m), RPCH_WANT_SUCCEED);
    ck_assert(m.heir);
    ck_assert_mem_eq(m.vc.b, role_cookie(0xa0).b, 16);
    ck_assert_mem_eq(m.predecessor.b, role_cookie(0xb0).b, 16);
    ck_assert_mem_eq(m.channel.b, role_cookie(0xd0).b, 16);
    ck_assert_uint_eq(m.tx.window, 65536);
    /* what comes with A3 waits for the answer */
    ck_assert_int_eq(client_hex(hex_r2_c1), RPCH_OK);
    ck_assert_uint_eq(step.used, 0);
    ck_assert_int_eq(rpch_outbound_attached(&m, START), RPCH_OK);
    expect_lane(&m.to_server, "");
    ck_assert_uint_eq(rpch_outbound_wants(&m), RPCH_WANT_CLIENT_READ);
    ck_assert_int_eq(rpch_outbound_server_rts(&m, pdu, 24, START),
                     RPCH_AGAIN);
    if (c1_first)
        ck_assert_int_eq(client_hex(hex_r2_c1), RPCH_OK);
    ck_assert_int_eq(m.core.state, c1_first ? RPCH_OUT_LEGW
                                            : RPCH_OUT_ATTACHED);
    ck_assert_int_eq(rpch_outbound_adopt(&m, &leg, START), RPCH_OK);
    ck_assert_uint_eq(m.core.limits.channel_lifetime, 200000);
    ck_assert_uint_eq(m.rx.received, 4711);
    ck_assert_int_eq(m.core.state, c1_first ? RPCH_OUT_RESUME
                                            : RPCH_OUT_R2C1W);
    /* the server may ask for the next successor at once */
    ck_assert_int_eq(server_rts(RPCH_OUT_R2_A1, &v), RPCH_OK);
    ck_assert_int_eq(rpc_through(100, false), RPCH_OK);
    ck_assert(!rpch_outbound_may_send(&m, 100));
    if (!c1_first)
        ck_assert_int_eq(client_hex(hex_r2_c1), RPCH_OK);
    ck_assert_uint_eq(rpch_outbound_wants(&m),
                      RPCH_WANT_CLIENT_READ | RPCH_WANT_SERVER_READ
                          | RPCH_WANT_RESPONSE);
    ck_assert_int_eq(rpch_outbound_responded(&m, 5000), RPCH_OK);
    ck_assert_int_eq(m.core.state, RPCH_OUT_OPENED);
    ck_assert(rpch_outbound_deadline(&m) == 65000);
    expect_lane(&m.to_client, "05001403 10000000 1c000000 00000000 04000100"
                              "0d000000 00000000");
    ck_assert(rpch_outbound_may_send(&m, 100));
    ck_assert_int_eq(rpch_outbound_pdu_begin(&m, 100), RPCH_OK);
    rpch_outbound_pdu_done(&m, 100, START);
    ck_assert_uint_eq(m.lifetime_used, 28 + 100);
    ck_assert_uint_eq(m.rx.received, 4811);
    ck_assert_uint_eq(m.tx.sent, 100);
    ck_assert_uint_eq(m.ping_bytes, 0);
}

START_TEST(test_outbound_recycle_successor)
{
    successor(0, true);
    successor(0, false);
    successor(RPCH_JOINED, true);
    successor(RPCH_JOINED, false);
}
END_TEST

START_TEST(test_outbound_recycle_bad_a3)
{
    rpch_rts_values v = role_values(0xb0, 0xd0);

    v.window = 8191;
    start(0);
    ck_assert_int_eq(client_rts(RPCH_OUT_R1_A3, &v), RPCH_E_SYNTAX);
    expect_end(RPCH_E_SYNTAX,
               "ReceiveWindowSize below 8192 in OUT_R1/A3=OUT_R2/A3");
    v.window = 1000000;
    v.cookie[2] = v.cookie[1];
    start(0);
    ck_assert_int_eq(client_rts(RPCH_OUT_R1_A3, &v), RPCH_E_COOKIE);
    expect_end(RPCH_E_COOKIE, "one cookie for predecessor and successor");
    v.cookie[2] = role_cookie(0xd0);
    start(0);
    ck_assert_int_eq(client_rts(RPCH_OUT_R1_A3, &v), RPCH_OK);
    ck_assert_uint_eq(m.tx.window, 262144);
    rpch_outbound_body_ended(&m);
    expect_end(RPCH_E_SYNTAX,
               "the request body ended before OUT_R1/A11 or OUT_R2/C1");
    start(0);
    rpch_outbound_body_ended(&m);
    expect_end(RPCH_E_SYNTAX, "the request body ended before CONN/A1");
    drive(0, RPCH_OUT_ATTACHED);
    ck_assert_int_eq(client_rts(RPCH_OUT_R1_A11, &v), RPCH_E_UNEXPECTED);
    expect_end(RPCH_E_UNEXPECTED,
               "OUT_R1/A11 on a channel that does not wait for it");
    drive(0, RPCH_OUT_LEGW);
    ck_assert_int_eq(client_rts(RPCH_OUT_R2_C1, &v), RPCH_E_UNEXPECTED);
    expect_end(RPCH_E_UNEXPECTED,
               "OUT_R2/C1 on a channel that does not wait for it");
}
END_TEST

/* It is refused so, and the holder is as it was. */
static void expect_refusal(const rpch_succession *s, int status,
                           const char *why)
{
    rpch_outbound before = m;

    ck_assert_int_eq(rpch_outbound_attach(&m, s, &reason), status);
    ck_assert_str_eq(reason, why);
    ck_assert_mem_eq(&before, &m, sizeof(m));
}

START_TEST(test_outbound_recycle_refused)
{
    rpch_succession good = succession();
    rpch_succession s = good;
    uint8_t fill[RPCH_LANE_SIZE] = { 0 };
    int state;

    for (state = 0; state < RPCH_OUT_STATE_MAX; state++) {
        if (state == RPCH_OUT_OPENED)
            continue;
        drive(0, (rpch_out_state)state);
        expect_refusal(&good, RPCH_E_UNEXPECTED,
                       state == RPCH_OUT_OPENED_B1W
                           ? "a successor is already there"
                           : "the predecessor is not Opened");
    }
    drive(0, RPCH_OUT_OPENED);
    s.vc = role_cookie(0xa1);
    expect_refusal(&s, RPCH_E_COOKIE,
                   "the predecessor is of another connection");
    s = good;
    s.predecessor = role_cookie(0xd0);
    expect_refusal(&s, RPCH_E_COOKIE,
                   "the predecessor's cookie is not that of the OUT channel");
    ck_assert_int_eq(rpch_lane_put(&m.to_server, fill, 900), RPCH_OK);
    expect_refusal(&good, RPCH_E_ROOM,
                   "no room for an RTS PDU to the server");
    rpch_lane_ack(&m.to_server, 900);
    ck_assert_int_eq(rpch_outbound_attach(&m, &good, &reason), RPCH_OK);
}
END_TEST

START_TEST(test_outbound_recycle_detach)
{
    rpch_rts_values v = role_values(0xb0, 0xd0);
    rpch_succession s = succession();
    int state;

    /* OUT_R2/B1 for a successor that is gone: it cannot be OUT_R1/A9 */
    drive(0, RPCH_OUT_OPENED_B1W);
    rpch_outbound_detach(&m);
    ck_assert_int_eq(m.core.state, RPCH_OUT_OPENED);
    ck_assert(rpch_outbound_may_send(&m, 100));
    ck_assert_int_eq(server_rts(RPCH_OUT_R2_B1, &v), RPCH_E_CLOSED);
    expect_end(RPCH_E_CLOSED, "OUT_R2/B1 for a successor that is gone");
    /* OUT_R2/B2 is good news then, but only once */
    drive(0, RPCH_OUT_OPENED_B1W);
    rpch_outbound_detach(&m);
    ck_assert_int_eq(server_rts(RPCH_OUT_R2_B2, &v), RPCH_OK);
    ck_assert(!m.dismissed);
    ck_assert_int_eq(server_rts(RPCH_OUT_R2_B2, &v), RPCH_E_UNEXPECTED);
    expect_end(RPCH_E_UNEXPECTED, "OUT_R2/B2 without a successor");
    /* there may be another one */
    drive(0, RPCH_OUT_OPENED_B1W);
    rpch_outbound_detach(&m);
    ck_assert_int_eq(rpch_outbound_attach(&m, &s, &reason), RPCH_OK);
    expect_lane(&m.to_server, hex_r2_a4);
    ck_assert_int_eq(server_rts(RPCH_OUT_R2_B1, &v), RPCH_OK);
    ck_assert_int_eq(m.core.state, RPCH_OUT_LAST_R2);
    /* after the switch the successor is the channel */
    for (state = RPCH_OUT_FINISH_R2; state <= RPCH_OUT_RELEASE; state++) {
        drive(0, (rpch_out_state)state);
        rpch_outbound_detach(&m);
        expect_end(RPCH_E_CLOSED, "the successor is gone");
    }
    drive(RPCH_JOINED, RPCH_OUT_OPENED);
    ck_assert_int_eq(server_rts(RPCH_OUT_R2_B1, &v), RPCH_E_UNEXPECTED);
    expect_end(RPCH_E_UNEXPECTED, "OUT_R2/B1 without a successor");
}
END_TEST

START_TEST(test_outbound_recycle_dismissed)
{
    rpch_rts_values v = role_values(0xb0, 0xd0);

    rpch_succession s = succession();

    drive(0, RPCH_OUT_OPENED_B1W);
    ck_assert_int_eq(server_rts(RPCH_OUT_R2_B2, &v), RPCH_OK);
    ck_assert_int_eq(m.core.state, RPCH_OUT_OPENED);
    ck_assert(m.dismissed);
    expect_lane(&m.to_client, "");
    expect_refusal(&s, RPCH_E_UNEXPECTED,
                   "the successor before it is still being dismissed");
    rpch_outbound_dismiss_told(&m);
    ck_assert(!m.dismissed);
    ck_assert_int_eq(rpch_outbound_attach(&m, &s, &reason), RPCH_OK);
    ck_assert_int_eq(server_rts(RPCH_OUT_R2_B2, &v), RPCH_OK);
    rpch_outbound_dismiss_told(&m);
    rpch_outbound_detach(&m);
    ck_assert_int_eq(rpc_through(100, true), RPCH_OK);
    /* nobody is expected any more: the same bytes are OUT_R1/A9 */
    ck_assert_int_eq(server_rts(RPCH_OUT_R1_A9, &v), RPCH_OK);
    expect_lane(&m.to_client, hex_a10);
    ck_assert_int_eq(m.core.status, RPCH_E_RECYCLED);
}
END_TEST

START_TEST(test_outbound_recycle_wrong_leg)
{
    int i;

    for (i = 0; i < 3; i++) {
        leg = leg_of(0);
        *(i == 0 ? &leg.vc : i == 1 ? &leg.predecessor : &leg.successor) =
            role_cookie(0xe0);
        drive(0, i == 2 ? RPCH_OUT_LEGW : RPCH_OUT_ATTACHED);
        ck_assert_int_eq(rpch_outbound_adopt(&m, &leg, START),
                         RPCH_E_COOKIE);
        expect_end(RPCH_E_COOKIE, "S-OUT was released for another channel");
    }
    leg = leg_of(0);
    leg.lane_len = RPCH_LANE_SIZE;
    drive(0, RPCH_OUT_LEGW);
    ck_assert_int_eq(rpch_outbound_adopt(&m, &leg, START), RPCH_OK);
    ck_assert_int_eq(rpch_outbound_adopt(&m, &leg, START), RPCH_E_BUG);
}
END_TEST

START_TEST(test_outbound_recycle_finishes_the_pdu)
{
    rpch_rts_values v = role_values(0xb0, 0xd0);

    drive(0, RPCH_OUT_OPENED_B1W);
    ck_assert_int_eq(rpc_through(20000, true), RPCH_OK);
    ck_assert_int_eq(rpc_through(20000, false), RPCH_OK);
    ck_assert_int_eq(rpc_through(5000, false), RPCH_OK);
    ck_assert_int_eq(rpc_through(700, false), RPCH_OK);
    ck_assert_int_eq(rpch_outbound_pdu_begin(&m, 20000), RPCH_OK);
    ck_assert_int_eq(server_hex(hex_r2_a5), RPCH_OK);
    ck_assert_int_eq(server_rts(RPCH_OUT_R2_B1, &v), RPCH_OK);
    ck_assert_int_eq(m.core.state, RPCH_OUT_FINISH_R2);
    ck_assert_uint_eq(rpch_outbound_wants(&m), RPCH_WANT_CLIENT_READ);
    ck_assert_int_eq(server(rpc, role_rpc(rpc, 100, 1)), RPCH_OK);
    ck_assert_uint_eq(step.used, 0);
    rpch_outbound_server_closed(&m);
    ck_assert_int_eq(m.core.status, RPCH_OK);
    rpch_outbound_pdu_done(&m, 20000, START);
    ck_assert_int_eq(m.core.state, RPCH_OUT_LAST_R2);
    /* 45700 bytes arrived, of which 5700 have not begun */
    expect_lane(&m.to_server,
                "05001403 10000000 30000000 00000000 02000100"
                "01000000 84b20000 bce90000 d0d1d2d3d4d5d6d7d8d9dadbdcdddedf");
    rpch_outbound_client_ack(&m, 31, START);
    rpch_outbound_client_ack(&m, 1, START);
    expect_lane(&m.to_client, hex_b3);
    ck_assert_int_eq(rpch_outbound_release(&m, &leg), RPCH_OK);
    ck_assert_uint_eq(leg.rx.received, 40000);
    ck_assert_int_eq(leg.rx.avail, 65536);
    ck_assert_int_eq(leg.rx.advertised, 65536);
    ck_assert_uint_eq(m.rpc_bytes, 40000);
    ck_assert_uint_eq(m.rpc_pdus, 2);
    ck_assert_uint_eq(m.queued, 0);
    /* an ack that is due at the very end */
    drive(0, RPCH_OUT_OPENED_B1W);
    ck_assert_int_eq(rpc_through(40000, false), RPCH_OK);
    ck_assert_int_eq(rpch_outbound_pdu_begin(&m, 40000), RPCH_OK);
    ck_assert_int_eq(server_rts(RPCH_OUT_R2_B1, &v), RPCH_OK);
    rpch_outbound_pdu_done(&m, 40000, START);
    expect_lane(&m.to_server, hex_ack_b1);
}
END_TEST

START_TEST(test_outbound_recycle_joined_within_a_pdu)
{
    rpch_rts_values v = role_values(0xb0, 0xd0);

    drive(RPCH_JOINED, RPCH_OUT_OPENED_B1W);
    role_rpc(rpc, 1000, 1);
    ck_assert_int_eq(server(rpc, 100), RPCH_OK);
    ck_assert_int_eq(rpch_outbound_pdu_begin(&m, 1000), RPCH_OK);
    ck_assert_int_eq(server_rts(RPCH_OUT_R2_B1, &v), RPCH_OK);
    ck_assert_int_eq(server_rts(RPCH_IN_R2_A3, &v), RPCH_AGAIN);
    ck_assert(rpch_outbound_wants(&m) & RPCH_WANT_SERVER_READ);
    ck_assert_int_eq(server(rpc + 100, 850), RPCH_OK);
    ck_assert_uint_eq(step.pass_len, 850);
    /* with what follows: of that nothing is taken */
    role_rpc(rpc + 1000, 300, 2);
    ck_assert_int_eq(server(rpc + 950, 350), RPCH_OK);
    ck_assert_uint_eq(step.used, 50);
    ck_assert(step.last);
    ck_assert(!(rpch_outbound_wants(&m) & RPCH_WANT_SERVER_READ));
    ck_assert_int_eq(server(rpc + 1000, 300), RPCH_OK);
    ck_assert_uint_eq(step.used, 0);
    ck_assert_int_eq(server_rts(RPCH_IN_R2_A3, &v), RPCH_AGAIN);
    rpch_outbound_pdu_done(&m, 1000, START);
    ck_assert_int_eq(server_rts(RPCH_IN_R2_A3, &v), RPCH_AGAIN);
    expect_lane(&m.to_client, hex_b3);
    ck_assert_int_eq(server_rts(RPCH_IN_R2_A3, &v), RPCH_AGAIN);
    ck_assert_int_eq(rpch_outbound_release(&m, &leg), RPCH_OK);
    ck_assert_uint_eq(leg.rx.received, 1000);
    /* the rest of it never comes */
    drive(RPCH_JOINED, RPCH_OUT_OPENED_B1W);
    ck_assert_int_eq(server(rpc, 100), RPCH_OK);
    ck_assert_int_eq(rpch_outbound_pdu_begin(&m, 1000), RPCH_OK);
    ck_assert_int_eq(server_rts(RPCH_OUT_R2_B1, &v), RPCH_OK);
    rpch_outbound_server_closed(&m);
    expect_end(RPCH_E_CLOSED,
               "the server closed the connection within a PDU");
    /* one that has not begun on C-OUT moves as it is */
    drive(RPCH_JOINED, RPCH_OUT_OPENED_B1W);
    ck_assert_int_eq(rpc_through(500, false), RPCH_OK);
    ck_assert_int_eq(rpch_outbound_pdu_begin(&m, 500), RPCH_OK);
    role_rpc(rpc, 1000, 1);
    ck_assert_int_eq(server(rpc, 100), RPCH_OK);
    ck_assert_int_eq(server_rts(RPCH_OUT_R2_B1, &v), RPCH_OK);
    ck_assert(!(rpch_outbound_wants(&m) & RPCH_WANT_SERVER_READ));
    rpch_outbound_pdu_done(&m, 500, START);
    expect_lane(&m.to_client, hex_b3);
    ck_assert_int_eq(rpch_outbound_release(&m, &leg), RPCH_OK);
    ck_assert_uint_eq(leg.rx.received, 500);
    ck_assert_uint_eq(leg.tail_len, 0);
}
END_TEST

/* What the server has counted for the old channel must not be missing from
 * the lifetime of the new one. */
START_TEST(test_outbound_recycle_moved_bytes_have_room)
{
    rpch_rts_values v = role_values(0xb0, 0xd0);
    uint32_t lifetime;
    int joined;

    for (joined = 0; joined < 2; joined++) {
        unsigned flags = joined ? RPCH_JOINED : 0;

        drive(flags, RPCH_OUT_OPENED_B1W);
        lifetime = m.core.limits.channel_lifetime;
        ck_assert_int_eq(rpc_through(20000, false), RPCH_OK);
        ck_assert_int_eq(rpc_through(5000, false), RPCH_OK);
        ck_assert_int_eq(server_rts(RPCH_OUT_R2_B1, &v), RPCH_OK);
        expect_lane(&m.to_client, hex_b3);
        ck_assert_int_eq(rpch_outbound_release(&m, &leg), RPCH_OK);
        ck_assert_uint_eq(leg.moved, joined ? 0 : 25000);
        ck_assert_uint_eq(leg.lifetime, lifetime);
        drive(flags, RPCH_OUT_LEGW);
        ck_assert_int_eq(rpch_outbound_adopt(&m, &leg, START), RPCH_OK);
        ck_assert_uint_eq(m.core.limits.channel_lifetime,
                          lifetime + (joined ? 0 : 25000));
        ck_assert_uint_eq(m.core.limits.channel_lifetime - m.extra, lifetime);
    }
}
END_TEST

START_TEST(test_outbound_recycle_lane_and_tail_move)
{
    rpch_rts_values v = role_values(0xb0, 0xd0);
    uint8_t want[RPCH_LANE_SIZE];
    const uint8_t *p;
    size_t len;

    drive(RPCH_JOINED, RPCH_OUT_OPENED_B1W);
    ck_assert_int_eq(rpch_lane_make(&m.to_server,
                                    RPCH_PING_TRAFFIC_SENT_NOTIFY, &v),
                     RPCH_OK);
    ck_assert_int_eq(rpch_lane_make(&m.to_server, RPCH_OUT_R2_A4, &v),
                     RPCH_OK);
    rpch_lane_ack(&m.to_server, 3);
    p = rpch_lane_buf(&m.to_server, &len);
    ck_assert_uint_eq(len, 65);
    memcpy(want, p, len);
    role_rpc(rpc, 1000, 1);
    ck_assert_int_eq(server(rpc, 15), RPCH_OK);
    ck_assert_int_eq(server_rts(RPCH_OUT_R2_B1, &v), RPCH_OK);
    expect_lane(&m.to_client, hex_b3);
    ck_assert_int_eq(rpch_outbound_release(&m, &leg), RPCH_OK);
    ck_assert_uint_eq(leg.lane_len, 65);
    ck_assert_mem_eq(leg.lane, want, 65);
    ck_assert_uint_eq(leg.tail_len, 15);
    ck_assert_mem_eq(leg.tail, rpc, 15);
    expect_lane(&m.to_server, "");
    drive(RPCH_JOINED, RPCH_OUT_LEGW);
    ck_assert_int_eq(rpch_outbound_adopt(&m, &leg, START), RPCH_OK);
    p = rpch_lane_buf(&m.to_server, &len);
    ck_assert_uint_eq(len, 65);
    ck_assert_mem_eq(p, want, 65);
    ck_assert_int_eq(server(leg.tail, leg.tail_len), RPCH_OK);
    ck_assert_int_eq(server(rpc + 15, 985), RPCH_OK);
    ck_assert_uint_eq(step.pass_len, 16);
    ck_assert(step.first);
    ck_assert_mem_eq(step.pass, rpc, 16);
}
END_TEST

START_TEST(test_outbound_recycle_acks_of_other_channels)
{
    static const rpch_out_state states[] = {
        RPCH_OUT_R2C1W, RPCH_OUT_RESUME, RPCH_OUT_A11W, RPCH_OUT_OPENED_B1W
    };
    rpch_rts_values v = role_values(0xb0, 0xd0);
    size_t i;

    v.dest = RPCH_DEST_OUT_PROXY;
    v.ack.bytes_received = 1000000;
    for (i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
        bool heir = states[i] != RPCH_OUT_OPENED_B1W;

        /* the previous and the coming channel, and one that never was */
        drive(0, states[i]);
        v.ack.cookie = role_cookie(heir ? 0xb0 : 0xd0);
        ck_assert_int_eq(server_rts(RPCH_FLOW_CONTROL_ACK_DEST, &v),
                         RPCH_OK);
        v.ack.cookie = role_cookie(0xe0);
        ck_assert_int_eq(server_rts(RPCH_FLOW_CONTROL_ACK_DEST, &v),
                         RPCH_OK);
        ck_assert_uint_eq(m.tx.avail, 65536);
        v.ack.cookie = role_cookie(heir ? 0xd0 : 0xb0);
        ck_assert_int_eq(server_rts(RPCH_FLOW_CONTROL_ACK_DEST, &v),
                         RPCH_E_ACK);
    }
}
END_TEST

START_TEST(test_outbound_recycle_for_those_who_cannot)
{
    rpch_rts_values v = role_values(0xb0, 0xd0);

    drive(RPCH_NO_RECYCLING, RPCH_OUT_OPENED);
    ck_assert_int_eq(server_rts(RPCH_OUT_R2_A1, &v), RPCH_OK);
    expect_lane(&m.to_client, "");
    ck_assert_int_eq(server_rts(RPCH_IN_R2_A3, &v), RPCH_OK);
    ck_assert_uint_eq(m.to_client.end, 28);
    drive(RPCH_QUIET, RPCH_OUT_OPENED);
    ck_assert_int_eq(server_rts(RPCH_OUT_R2_A1, &v), RPCH_OK);
    ck_assert_int_eq(server_rts(RPCH_OUT_R1_A5, &v), RPCH_OK);
    expect_lane(&m.to_client, "");
    ck_assert_uint_eq(m.lifetime_used, 72);
}
END_TEST

/* Its channel goes on as long as something comes, and then ends. */
START_TEST(test_outbound_recycle_end_of_those_who_cannot)
{
    rpch_rts_values v = role_values(0xb0, 0xd0);
    rpch_msec at;

    drive(_i ? RPCH_QUIET : RPCH_NO_RECYCLING, RPCH_OUT_OPENED);
    ck_assert_int_eq(server_rts(RPCH_OUT_R2_A1, &v), RPCH_OK);
    m.core.limits.drain_timeout = 10000;
    at = rpch_outbound_deadline(&m);
    ck_assert_uint_eq(at, m.last_sent + 10000);
    m.queued = 100; /* it is still to be written */
    ck_assert_int_eq(rpch_outbound_timeout(&m, at), RPCH_OK);
    ck_assert_uint_eq(rpch_outbound_deadline(&m), at + 10000);
    m.queued = 0;
    ck_assert_int_eq(rpch_outbound_timeout(&m, at + 9999), RPCH_OK);
    ck_assert_int_eq(rpch_outbound_timeout(&m, at + 10000), RPCH_E_LIFETIME);
    ck_assert_int_eq(m.core.state, RPCH_OUT_FINISHED);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("outbound_recycle");
    TCase *t = tcase_create("R2");

    tcase_add_test(t, test_outbound_recycle_predecessor);
    tcase_add_test(t, test_outbound_recycle_successor);
    tcase_add_test(t, test_outbound_recycle_bad_a3);
    tcase_add_test(t, test_outbound_recycle_refused);
    tcase_add_test(t, test_outbound_recycle_detach);
    tcase_add_test(t, test_outbound_recycle_dismissed);
    tcase_add_test(t, test_outbound_recycle_wrong_leg);
    tcase_add_test(t, test_outbound_recycle_finishes_the_pdu);
    tcase_add_test(t, test_outbound_recycle_joined_within_a_pdu);
    tcase_add_test(t, test_outbound_recycle_moved_bytes_have_room);
    tcase_add_test(t, test_outbound_recycle_lane_and_tail_move);
    tcase_add_test(t, test_outbound_recycle_acks_of_other_channels);
    tcase_add_test(t, test_outbound_recycle_for_those_who_cannot);
    tcase_add_loop_test(t, test_outbound_recycle_end_of_those_who_cannot, 0,
                        2);
    suite_add_tcase(s, t);
    return test_main(s);
}
