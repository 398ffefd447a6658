/* SPDX-License-Identifier: Apache-2.0 */
/* test_inbound_recycle.c - the inbound proxy machine through IN_R1: a
 * successor that another proxy's channel precedes, and a predecessor whose
 * successor is elsewhere (3.2.3.5) */
#include "inbound_test.h"

/* IN_R1/A2: e0 replaces c0 */
static const char hex_r1_a2[] =
    "05001403 10000000 68000000 00000000 0c000600"
    "06000000 01000000"
    "03000000 a0a1a2a3a4a5a6a7a8a9aaabacadaeaf"
    "03000000 c0c1c2c3c4c5c6c7c8c9cacbcccdcecf"
    "03000000 e0e1e2e3e4e5e6e7e8e9eaebecedeeef"
    "00000000 00000100"
    "02000000 c0d40100";
static const char hex_r1_b2[] =
    "05001403 10000000 1c000000 00000000 00000100 00000000 00200000";
/* the client's ack for its C-OUT, to the out-proxy */
static const char hex_out_ack[] =
    "05001403 10000000 38000000 00000000 02000200"
    "0d000000 03000000"
    "01000000 409c0000 00000100 d0d1d2d3d4d5d6d7d8d9dadbdcdddedf";
/* 40000 bytes of e0's C-IN received, for the client */
static const char hex_ack_e0[] =
    "05001403 10000000 38000000 00000000 02000200"
    "0d000000 00000000"
    "01000000 409c0000 00000100 e0e1e2e3e4e5e6e7e8e9eaebecedeeef";

START_TEST(test_inbound_r1_successor_byte_exact)
{
    uint8_t b[RPCH_RTS_SIZE_MAX];
    size_t n = test_hex(hex_a1, b, sizeof(b));

    start(0);
    ck_assert_int_eq(client(b, n), RPCH_OK);
    ck_assert_uint_eq(step.used, n);
    ck_assert(m.heir);
    ck_assert_mem_eq(m.vc.b, b + 32, 16);
    ck_assert_mem_eq(m.predecessor.b, b + 52, 16);
    ck_assert_mem_eq(m.channel.b, b + 72, 16);
    ck_assert_uint_eq(m.keepalive, 60000);
    ck_assert_uint_eq(rpch_inbound_wants(&m), RPCH_WANT_SUCCEED);
    ck_assert_int_eq(rpch_inbound_connected(&m, START), RPCH_OK);
    expect_lane(hex_r1_a2);
    ck_assert_uint_eq(rpch_inbound_wants(&m),
                      RPCH_WANT_CLIENT_READ | RPCH_WANT_SERVER_READ);
    ck_assert(!rpch_inbound_may_send(&m, 16));
    n = test_hex(hex_r1_b2, b, sizeof(b));
    ck_assert_int_eq(rpch_inbound_server_recv(&m, b, n, &step, START),
                     RPCH_OK);
    ck_assert_int_eq(m.core.state, RPCH_IN_OPENED);
    ck_assert_uint_eq(m.tx.window, 8192);
    ck_assert(rpch_inbound_may_send(&m, 8192));
    ck_assert(rpch_inbound_deadline(&m) == RPCH_NEVER);
    ck_assert_uint_eq(rpch_inbound_wants(&m),
                      RPCH_WANT_CLIENT_READ | RPCH_WANT_SERVER_READ);
}
END_TEST

/* Nobody knows where it could go: what the client sends early waits in its
 * socket. */
START_TEST(test_inbound_successor_without_s_in_reads_nothing)
{
    static const rpch_in_state plugged[] = { RPCH_IN_SUCCEED,
                                             RPCH_IN_PLUGGED };
    size_t i;

    for (i = 0; i < sizeof(plugged) / sizeof(plugged[0]); i++) {
        drive(0, plugged[i]);
        ck_assert_int_eq(client(rpc, role_rpc(rpc, 24, 1)), RPCH_OK);
        ck_assert_uint_eq(step.used, 0);
        ck_assert_ptr_null(step.pass);
        ck_assert_uint_eq(m.queued, 0);
    }
}
END_TEST

/* Before IN_R1/B2 what is for others goes on at once, Ping and Keep-Alive are
 * taken, and RPC PDUs wait. */
START_TEST(test_inbound_r1_successor_is_heard_before_b2)
{
    rpch_rts_values v = role_values(0xc0, 0xe0);
    uint8_t b[RPCH_RTS_SIZE_MAX];
    size_t n = test_hex(hex_out_ack, b, sizeof(b));

    drive(0, RPCH_IN_B2W);
    ck_assert_int_eq(rpc_through(30000, false), RPCH_OK);
    ck_assert_int_eq(client(b, n), RPCH_OK);
    expect_lane(hex_out_ack);
    ck_assert_int_eq(client_rts(RPCH_PING, &v), RPCH_OK);
    v.keepalive = 70000;
    ck_assert_int_eq(client_rts(RPCH_KEEP_ALIVE, &v), RPCH_OK);
    ck_assert_uint_eq(m.keepalive, 70000);
    ck_assert_int_eq(rpc_through(10000, false), RPCH_OK);
    ck_assert_int_eq(client(b, n), RPCH_OK);
    expect_lane(hex_out_ack);
    ck_assert_int_eq(m.core.state, RPCH_IN_B2W);
    ck_assert_uint_eq(m.queued, 40000);
    ck_assert(!rpch_inbound_may_send(&m, 16));
    ck_assert(rpch_inbound_deadline(&m) == START + 900000);
    ck_assert_int_eq(server_rts(RPCH_IN_R1_B2, &v), RPCH_OK);
    ck_assert(rpch_inbound_may_send(&m, 30000));
    rpch_inbound_pdu_begin(&m, 30000);
    rpch_inbound_pdu_done(&m, 30000, START);
    /* 40000 bytes are here, and 10000 of them still wait */
    expect_lane("05001403 10000000 38000000 00000000 02000200"
                "0d000000 00000000"
                "01000000 409c0000 f0d80000 e0e1e2e3e4e5e6e7e8e9eaebecedeeef");
    rpch_inbound_pdu_begin(&m, 10000);
    rpch_inbound_pdu_done(&m, 10000, START);
    expect_lane("");
    ck_assert_uint_eq(m.queued, 0);
}
END_TEST

/* The client's own bytes are bounded as ever: what its window allows is always
 * read, so that acks behind it come through. */
START_TEST(test_inbound_r1_successor_queue_and_lane_are_bounded)
{
    uint8_t b[RPCH_RTS_SIZE_MAX];
    size_t n = test_hex(hex_out_ack, b, sizeof(b));
    size_t i;

    drive(0, RPCH_IN_B2W);
    for (i = 0; i <= (65536 + RPCH_QUEUE_SLACK) / 4096; i++) {
        ck_assert(rpch_inbound_wants(&m) & RPCH_WANT_CLIENT_READ);
        ck_assert_int_eq(rpc_through(4096, false), RPCH_OK);
    }
    ck_assert(!(rpch_inbound_wants(&m) & RPCH_WANT_CLIENT_READ));
    ck_assert_int_eq(client(b, n), RPCH_OK);
    ck_assert_uint_eq(step.used, 0);
    drive(0, RPCH_IN_B2W);
    for (i = 0; rpch_inbound_wants(&m) & RPCH_WANT_CLIENT_READ; i++) {
        ck_assert_int_eq(client(b, n), RPCH_OK);
        ck_assert_uint_eq(step.used, n);
    }
    ck_assert_uint_ge(i, 6);
    ck_assert_uint_eq(m.to_server.end - m.to_server.at, i * n);
    rpch_inbound_server_ack(&m, n);
    ck_assert(rpch_inbound_wants(&m) & RPCH_WANT_CLIENT_READ);
}
END_TEST

START_TEST(test_inbound_r1_successor_in_any_cuts)
{
    static const size_t sizes[] = { 24, 56, 16, 5840 };
    uint8_t in[8192], ack[RPCH_RTS_SIZE_MAX];
    size_t n = test_hex(hex_out_ack, ack, sizeof(ack));
    size_t len = 0, passed, acks, i, at;
    uint32_t run, seed;
    int how;

    for (i = 0; i < 4; i++) {
        len += role_rpc(in + len, sizes[i], (uint8_t)i);
        memcpy(in + len, ack, n);
        len += n;
    }
    for (run = 0; run < 30; run++) {
        how = run < 2 ? (int)run : ROLE_RANDOM;
        seed = run;
        drive(0, RPCH_IN_B2W);
        for (at = passed = acks = 0; at < len; at += step.used) {
            size_t cut = role_cut(how, len - at, &seed);

            role_check(client(in + at, cut) == RPCH_OK && step.used > 0);
            passed += step.pass_len;
            (void)rpch_lane_buf(&m.to_server, &i);
            acks += i / n;
            rpch_inbound_server_ack(&m, i);
        }
        ck_assert_uint_eq(passed, 24 + 56 + 16 + 5840);
        ck_assert_uint_eq(m.queued, passed);
        ck_assert_uint_eq(acks, 4);
    }
}
END_TEST

/* A successor cannot have one itself before it is open, nor begin again. */
START_TEST(test_inbound_r1_successor_out_of_place)
{
    static const struct { rpch_pdu_id id; const char *reason; } c[] = {
        { RPCH_CONN_B1, "a second CONN/B1" },
        { RPCH_IN_R1_A1,
          "IN_R1/A1=IN_R2/A1 on an IN channel that has begun" },
        { RPCH_CONN_B3, "RTS PDU that does not belong on C-IN" },
    };
    rpch_rts_values v = role_values(0xc0, 0xe0);
    size_t i;

    for (i = 0; i < sizeof(c) / sizeof(c[0]); i++) {
        drive(0, RPCH_IN_B2W);
        ck_assert_int_eq(client_rts(c[i].id, &v), RPCH_E_UNEXPECTED);
        expect_end(RPCH_E_UNEXPECTED, c[i].reason);
    }
}
END_TEST

/* The client may replace it while IN_R1/B2 is still on its way: its A5 waits,
 * and so may C-IN be closed; what is queued goes first, as always. */
START_TEST(test_inbound_r1_successor_early_a5)
{
    rpch_rts_values v = role_values(0xc0, 0xe0);
    char name[RPCH_RTS_DESCRIBE_SIZE];

    drive(0, RPCH_IN_B2W);
    (void)role_take(&m.to_server, name, sizeof(name));
    ck_assert_int_eq(rpc_through(1000, false), RPCH_OK);
    v.cookie[0] = role_cookie(0x70);
    ck_assert_int_eq(client_rts(RPCH_IN_R1_A5, &v), RPCH_OK);
    ck_assert_int_eq(m.core.state, RPCH_IN_B2W);
    ck_assert_str_eq(role_take(&m.to_server, name, sizeof(name)), "");
    ck_assert(!(rpch_inbound_wants(&m) & RPCH_WANT_CLIENT_READ));
    rpch_inbound_client_closed(&m);
    ck_assert_int_eq(m.core.state, RPCH_IN_B2W);
    ck_assert_int_eq(server_rts(RPCH_IN_R1_B2, &v), RPCH_OK);
    ck_assert_int_eq(m.core.state, RPCH_IN_DRAIN_R1);
    ck_assert_ptr_nonnull(strstr(role_take(&m.to_server, name, sizeof(name)),
                                 "IN_R1/A6"));
    rpch_inbound_pdu_begin(&m, 1000);
    rpch_inbound_pdu_done(&m, 1000, START);
    ck_assert_str_eq(role_take(&m.to_server, name, sizeof(name)), "IN_R1/B1");
}
END_TEST

/* The counters of both legs are those of a new channel, and the acks are in
 * its name. */
START_TEST(test_inbound_r1_successor_moves_data)
{
    rpch_rts_values v = role_values(0xc0, 0xe0);

    drive(0, RPCH_IN_B2W);
    ck_assert_int_eq(server_rts(RPCH_IN_R1_B2, &v), RPCH_OK);
    ck_assert_int_eq(rpc_through(30000, true), RPCH_OK);
    ck_assert_int_eq(rpc_through(10000, true), RPCH_OK);
    expect_lane(hex_ack_e0);
    ck_assert_uint_eq(m.tx.sent, 40000);
    ck_assert_int_eq(server_ack(0xe0, 40000, 65536), RPCH_OK);
    ck_assert_uint_eq(m.tx.avail, 65536);
    /* the predecessor has a connection of its own: not one of ours */
    ck_assert_int_eq(server_ack(0xc0, 99999, 65536), RPCH_OK);
    ck_assert_uint_eq(m.tx.avail, 65536);
    ck_assert_int_eq(server_ack(0xe0, 40001, 65536), RPCH_E_ACK);
}
END_TEST

START_TEST(test_inbound_r1_b2_window)
{
    rpch_rts_values v = role_values(0xc0, 0xe0);

    v.window = 8191;
    drive(0, RPCH_IN_B2W);
    ck_assert_int_eq(server_rts(RPCH_IN_R1_B2, &v), RPCH_E_SYNTAX);
    expect_end(RPCH_E_SYNTAX, "ReceiveWindowSize below 8192 in IN_R1/B2");
    v.window = 300000;
    drive(0, RPCH_IN_B2W);
    ck_assert_int_eq(server_rts(RPCH_IN_R1_B2, &v), RPCH_OK);
    ck_assert_uint_eq(m.tx.window, 262144);
}
END_TEST

START_TEST(test_inbound_successor_deadlines)
{
    static const struct {
        rpch_in_state state;
        const char *reason;
    } late[] = {
        { RPCH_IN_SUCCEED, "the predecessor was not found in time" },
        { RPCH_IN_B2W, "no IN_R1/B2 from the server in time" },
        { RPCH_IN_PLUGGED,
          "the predecessor did not hand S-IN over in time" },
    };
    rpch_in_leg leg = leg_of_c0();
    size_t i;

    for (i = 0; i < sizeof(late) / sizeof(late[0]); i++) {
        drive(0, late[i].state);
        ck_assert(rpch_inbound_deadline(&m) == START + 900000);
        ck_assert_int_eq(rpch_inbound_timeout(&m, START + 899999), RPCH_OK);
        rpch_inbound_timeout(&m, START + 900000);
        expect_end(RPCH_E_TIMEOUT, late[i].reason);
    }
    drive(0, RPCH_IN_SUCCEED);
    ck_assert_int_eq(rpch_inbound_connected(&m, 7000), RPCH_OK);
    ck_assert(rpch_inbound_deadline(&m) == 907000);
    /* its predecessor may still have to write */
    drive(0, RPCH_IN_SUCCEED);
    m.core.limits.switch_timeout = 899999;
    ck_assert_int_eq(rpch_inbound_connected(&m, 7000), RPCH_OK);
    ck_assert(rpch_inbound_deadline(&m) == 907000);
    drive(0, RPCH_IN_SUCCEED);
    m.core.limits.switch_timeout = 900001;
    ck_assert_int_eq(rpch_inbound_connected(&m, 7000), RPCH_OK);
    ck_assert(rpch_inbound_deadline(&m) == 907001);
    drive(0, RPCH_IN_SUCCEED);
    ck_assert_int_eq(rpch_inbound_attached(&m, 8000), RPCH_OK);
    ck_assert(rpch_inbound_deadline(&m) == 908000);
    ck_assert_int_eq(rpch_inbound_adopt(&m, &leg, 9000), RPCH_OK);
    ck_assert(rpch_inbound_deadline(&m) == RPCH_NEVER);
}
END_TEST

START_TEST(test_inbound_a1_cut_anywhere)
{
    uint8_t b[RPCH_RTS_SIZE_MAX];
    size_t n = test_hex(hex_a1, b, sizeof(b));
    size_t i;

    for (i = 1; i < n; i++) {
        start(0);
        ck_assert_int_eq(client(b, i), RPCH_OK);
        ck_assert_uint_eq(rpch_inbound_wants(&m), RPCH_WANT_CLIENT_READ);
        ck_assert_int_eq(client(b + i, n - i), RPCH_OK);
        ck_assert_int_eq(m.core.state, RPCH_IN_SUCCEED);
        ck_assert_uint_eq(step.used, n - i);
    }
}
END_TEST

/* A6 at once, B1 behind the last RPC PDU, then the shutdown. */
START_TEST(test_inbound_r1_predecessor_byte_exact)
{
    uint8_t b[2 * RPCH_RTS_SIZE_MAX];
    size_t n = test_hex(hex_cookie, b, sizeof(b));
    size_t more = test_hex(hex_a1, b + n, sizeof(b) - n);

    drive(0, RPCH_IN_OPENED);
    ck_assert_int_eq(rpc_through(1000, false), RPCH_OK);
    ck_assert_int_eq(rpc_through(40000, false), RPCH_OK);
    ck_assert_int_eq(client(b, n + more), RPCH_OK);
    ck_assert_uint_eq(step.used, n);
    ck_assert_int_eq(m.core.state, RPCH_IN_DRAIN_R1);
    expect_lane(hex_cookie);
    ck_assert_int_eq(m.core.state, RPCH_IN_DRAIN_R1);
    /* A5 was the last PDU: nothing is read behind it */
    ck_assert_uint_eq(rpch_inbound_wants(&m), RPCH_WANT_SERVER_READ);
    ck_assert_int_eq(client(b + n, more), RPCH_OK);
    ck_assert_uint_eq(step.used, 0);
    rpch_inbound_client_closed(&m);
    ck_assert(rpch_inbound_may_send(&m, 1000));
    rpch_inbound_pdu_begin(&m, 1000);
    rpch_inbound_pdu_done(&m, 1000, START);
    expect_lane("");
    rpch_inbound_pdu_begin(&m, 40000);
    rpch_inbound_pdu_done(&m, 40000, START);
    ck_assert_uint_eq(rpch_inbound_wants(&m), RPCH_WANT_SERVER_READ);
    /* whatever comes now, B1 is said once */
    ck_assert_int_eq(server_ack(0xc0, 1000, 65536), RPCH_OK);
    rpch_inbound_pdu_done(&m, 0, START);
    rpch_inbound_server_ack(&m, 0);
    ck_assert_int_eq(m.core.state, RPCH_IN_DRAIN_R1);
    /* no ack for the client, which has gone */
    expect_lane(hex_r1_b1);
    ck_assert_int_eq(m.core.state, RPCH_IN_CLOSE_R1);
    ck_assert_uint_eq(rpch_inbound_wants(&m),
                      RPCH_WANT_SHUTDOWN | RPCH_WANT_SERVER_READ);
    ck_assert(!rpch_inbound_may_send(&m, 16));
    ck_assert_int_eq(server_ack(0xc0, 41000, 65536), RPCH_OK);
    rpch_inbound_client_closed(&m);
    ck_assert_int_eq(m.core.state, RPCH_IN_CLOSE_R1);
    rpch_inbound_server_closed(&m);
    expect_end(RPCH_E_RECYCLED, "its successor has replaced the IN channel");
}
END_TEST

/* Nothing is queued: A6 and B1 go together, in any pieces. */
START_TEST(test_inbound_r1_predecessor_without_data)
{
    char both[sizeof(hex_cookie) + sizeof(hex_r1_b1)];
    size_t len, i;

    snprintf(both, sizeof(both), "%s%s", hex_cookie, hex_r1_b1);
    drive(0, RPCH_IN_OPENED);
    ck_assert_int_eq(client_a5(0xe0), RPCH_OK);
    expect_lane(both);
    ck_assert_int_eq(m.core.state, RPCH_IN_CLOSE_R1);
    drive(0, RPCH_IN_OPENED);
    ck_assert_int_eq(client_a5(0xe0), RPCH_OK);
    for (i = 0; i < 64; i++) {
        ck_assert_int_eq(m.core.state, RPCH_IN_DRAIN_R1);
        ck_assert_ptr_nonnull(rpch_lane_buf(&m.to_server, &len));
        ck_assert_uint_eq(len, 64 - i);
        rpch_inbound_server_ack(&m, 1);
    }
    ck_assert_int_eq(m.core.state, RPCH_IN_CLOSE_R1);
}
END_TEST

/* What is queued goes under the server's window, A5 or not. */
START_TEST(test_inbound_r1_predecessor_drains_under_the_window)
{
    rpch_rts_values v = role_values(0xc0, 0);

    v.window = 8192;
    drive(0, RPCH_IN_B3W);
    ck_assert_int_eq(server_rts(RPCH_CONN_B3, &v), RPCH_OK);
    ck_assert_int_eq(rpc_through(6000, false), RPCH_OK);
    ck_assert_int_eq(rpc_through(6000, false), RPCH_OK);
    ck_assert_int_eq(client_a5(0xe0), RPCH_OK);
    ck_assert(rpch_inbound_may_send(&m, 6000));
    rpch_inbound_pdu_begin(&m, 6000);
    rpch_inbound_pdu_done(&m, 6000, START);
    ck_assert(!rpch_inbound_may_send(&m, 6000));
    expect_lane(hex_cookie);
    ck_assert_int_eq(server_ack(0xc0, 6000, 8192), RPCH_OK);
    ck_assert(rpch_inbound_may_send(&m, 6000));
    rpch_inbound_pdu_begin(&m, 6000);
    rpch_inbound_pdu_done(&m, 6000, START);
    expect_lane(hex_r1_b1);
    ck_assert_int_eq(m.core.state, RPCH_IN_CLOSE_R1);
}
END_TEST

START_TEST(test_inbound_predecessor_deadlines)
{
    /* how long the server may take is for the caller to say */
    drive(0, RPCH_IN_DRAIN_R1);
    ck_assert(rpch_inbound_deadline(&m) == RPCH_NEVER);
    ck_assert_int_eq(rpch_inbound_timeout(&m, RPCH_NEVER - 1), RPCH_OK);
    rpch_inbound_pdu_begin(&m, 24);
    rpch_inbound_pdu_done(&m, 24, START + 15000);
    ck_assert(rpch_inbound_deadline(&m) == RPCH_NEVER);
    /* once IN_R1/B1 is sent it has a time to close */
    expect_lane(hex_r1_b1);
    ck_assert_int_eq(m.core.state, RPCH_IN_CLOSE_R1);
    ck_assert(rpch_inbound_deadline(&m) <= START + 50000);
    ck_assert_int_eq(rpch_inbound_timeout(&m, START + 50000), RPCH_OK);
    ck_assert(rpch_inbound_deadline(&m) == START + 70000);
    ck_assert_int_eq(rpch_inbound_timeout(&m, START + 69999), RPCH_OK);
    ck_assert_int_eq(m.core.state, RPCH_IN_CLOSE_R1);
    rpch_inbound_timeout(&m, START + 70000);
    expect_end(RPCH_E_RECYCLED, "its successor has replaced the IN channel");
    drive(0, RPCH_IN_RELEASE);
    ck_assert(rpch_inbound_deadline(&m) == START + 20000);
    ck_assert_int_eq(rpch_inbound_timeout(&m, START + 19999), RPCH_OK);
    ck_assert_int_eq(m.core.state, RPCH_IN_RELEASE);
    rpch_inbound_timeout(&m, START + 20000);
    expect_end(RPCH_E_TIMEOUT,
               "S-IN was not given to the successor in time");
    /* a limit of 0 is none */
    drive(0, RPCH_IN_OPENED);
    m.core.limits.drain_timeout = 0;
    ck_assert_int_eq(client_a5(0xe0), RPCH_OK);
    rpch_inbound_server_ack(&m, 64);
    ck_assert_int_eq(m.core.state, RPCH_IN_CLOSE_R1);
    ck_assert(rpch_inbound_deadline(&m) == RPCH_NEVER);
    drive(0, RPCH_IN_OPENED_A5W);
    m.core.limits.drain_timeout = 0;
    ck_assert_int_eq(client_a5(0xe0), RPCH_OK);
    ck_assert(rpch_inbound_deadline(&m) == RPCH_NEVER);
}
END_TEST

/* The server closes before B1 was sent: that is no orderly end. */
START_TEST(test_inbound_r1_predecessor_loses_the_server)
{
    drive(0, RPCH_IN_DRAIN_R1);
    rpch_inbound_server_closed(&m);
    expect_end(RPCH_E_CLOSED, "the server closed the connection");
    drive(0, RPCH_IN_OPENED);
    ck_assert_int_eq(client_a5(0xe0), RPCH_OK);
    rpch_inbound_server_ack(&m, 63);
    rpch_inbound_server_closed(&m);
    expect_end(RPCH_E_CLOSED, "the server closed the connection");
}
END_TEST

/* A5 with the successor's own channel, before the channel is open, and with a
 * back end where no other proxy can have been. */
START_TEST(test_inbound_a5_out_of_place)
{
    drive(0, RPCH_IN_OPENED);
    ck_assert_int_eq(client_a5(0xc0), RPCH_E_UNEXPECTED);
    expect_end(RPCH_E_UNEXPECTED,
               "IN_R1/A5=IN_R2/A5 that names no successor");
    ck_assert_ptr_null(rpch_lane_buf(&m.to_server, &step.used));
    drive(RPCH_JOINED, RPCH_IN_OPENED);
    ck_assert_int_eq(client_a5(0xe0), RPCH_E_UNEXPECTED);
    expect_end(RPCH_E_UNEXPECTED,
               "IN_R1/A5=IN_R2/A5 that names no successor");
    drive(0, RPCH_IN_B3W);
    ck_assert_int_eq(client_a5(0xe0), RPCH_E_UNEXPECTED);
    expect_end(RPCH_E_UNEXPECTED,
               "IN_R1/A5=IN_R2/A5 before CONN/B3 or IN_R1/B2");
}
END_TEST

/* A successor has its first PDU behind it like any channel. */
START_TEST(test_inbound_second_a1)
{
    rpch_rts_values v = role_values(0xc0, 0xe0);
    rpch_in_leg leg = leg_of_c0();

    drive(0, RPCH_IN_PLUGGED);
    ck_assert_int_eq(rpch_inbound_adopt(&m, &leg, START), RPCH_OK);
    ck_assert_int_eq(client_rts(RPCH_IN_R1_A1, &v), RPCH_E_UNEXPECTED);
    expect_end(RPCH_E_UNEXPECTED,
               "IN_R1/A1=IN_R2/A1 on an IN channel that has begun");
}
END_TEST

/* A lane with no more room than for what the machine makes itself has it for
 * all that an end takes. */
START_TEST(test_inbound_lane_reserve_is_enough)
{
    uint8_t fill[RPCH_LANE_SIZE] = { 0 };
    rpch_succession s = heir_of_c0();
    const char *reason = NULL;
    size_t n = sizeof(fill) - RPCH_LANE_RESERVE;

    /* the PDU has begun, its end owes an ack, and a successor comes */
    drive(0, RPCH_IN_OPENED);
    ck_assert_int_eq(rpc_through(40000, false), RPCH_OK);
    ck_assert_int_eq(rpch_lane_put(&m.to_server, fill, n), RPCH_OK);
    ck_assert(rpch_inbound_may_send(&m, 40000));
    rpch_inbound_pdu_begin(&m, 40000);
    ck_assert_int_eq(rpch_inbound_attach(&m, &s, &reason), RPCH_OK);
    rpch_inbound_pdu_done(&m, 40000, START);
    ck_assert_int_eq(m.core.status, RPCH_OK);
    ck_assert_uint_eq(m.to_server.end - m.to_server.at, n + 40 + 56);
    /* A5 is not read while the lane has less than the room for any PDU */
    ck_assert(!(rpch_inbound_wants(&m) & RPCH_WANT_CLIENT_READ));
    /* B1 */
    drive(0, RPCH_IN_DRAIN_R1);
    ck_assert_int_eq(rpch_lane_put(&m.to_server, fill, n), RPCH_OK);
    ck_assert(rpch_inbound_may_send(&m, 24));
    rpch_inbound_pdu_begin(&m, 24);
    rpch_inbound_pdu_done(&m, 24, START);
    ck_assert_int_eq(m.core.status, RPCH_OK);
    rpch_inbound_server_ack(&m, n);
    expect_lane(hex_r1_b1);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("inbound_recycle");
    TCase *t = tcase_create("recycle");

    tcase_add_test(t, test_inbound_r1_successor_byte_exact);
    tcase_add_test(t, test_inbound_successor_without_s_in_reads_nothing);
    tcase_add_test(t, test_inbound_r1_successor_is_heard_before_b2);
    tcase_add_test(t, test_inbound_r1_successor_queue_and_lane_are_bounded);
    tcase_add_test(t, test_inbound_r1_successor_in_any_cuts);
    tcase_add_test(t, test_inbound_r1_successor_out_of_place);
    tcase_add_test(t, test_inbound_r1_successor_early_a5);
    tcase_add_test(t, test_inbound_r1_successor_moves_data);
    tcase_add_test(t, test_inbound_r1_b2_window);
    tcase_add_test(t, test_inbound_successor_deadlines);
    tcase_add_test(t, test_inbound_a1_cut_anywhere);
    tcase_add_test(t, test_inbound_r1_predecessor_byte_exact);
    tcase_add_test(t, test_inbound_r1_predecessor_without_data);
    tcase_add_test(t, test_inbound_r1_predecessor_drains_under_the_window);
    tcase_add_test(t, test_inbound_predecessor_deadlines);
    tcase_add_test(t, test_inbound_r1_predecessor_loses_the_server);
    tcase_add_test(t, test_inbound_a5_out_of_place);
    tcase_add_test(t, test_inbound_second_a1);
    tcase_add_test(t, test_inbound_lane_reserve_is_enough);
    suite_add_tcase(s, t);
    return test_main(s);
}
