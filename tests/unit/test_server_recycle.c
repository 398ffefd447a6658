/* SPDX-License-Identifier: Apache-2.0 */
/* test_server_recycle.c - the server role machine's recycling, byte by byte:
 * IN_R1, IN_R2, OUT_R1, OUT_R2, and how they fail */
#include "server_recycle_test.h"

/* ---- IN ------------------------------------------------------------------ */

START_TEST(test_server_recycle_in_r1)
{
    rpch_rts_values v = role_values(0xc0, 0xc8);
    int slot;

    open_with(0);
    v.window = 32768;
    v.timeout = 240000;
    slot = rpch_server_enter(&sv, true);
    ck_assert_int_eq(in_rts_at(slot, RPCH_IN_R1_A2, &v, 2000), RPCH_OK);
    check_lane(to_out(),
               "05001403 10000000 34000000 00000000 00000400 0d000000 00000000"
               "06000000 01000000 00000000 00800000 02000000 80a90300");
    check_lane(rpch_server_lane(&sv, true, slot), "");
    ck_assert_uint_eq(sv.out[0].used, 44 + 52);
    ck_assert_uint_eq(rpch_server_deadline(&sv), 902000);
    ck_assert_int_eq(in_rpc(0, 100), RPCH_OK); /* the old one goes on */
    ck_assert_int_eq(in_cookie(0, RPCH_IN_R1_A6, 0xc8), RPCH_OK);
    ck_assert_uint_eq(rpch_server_deadline(&sv), RPCH_NEVER);
    ck_assert_int_eq(in_rpc(0, 100), RPCH_OK); /* its queue */
    ck_assert(!rpch_server_over(&sv, true, 0));
    ck_assert_int_eq(in_rts(RPCH_IN_R1_B1, &v, 3000), RPCH_OK);
    check_lane(rpch_server_lane(&sv, true, slot),
               "05001403 10000000 1c000000 00000000 00000100"
               "00000000 00000100");
    ck_assert(rpch_server_over(&sv, true, 0));
    ck_assert(!rpch_server_over(&sv, true, slot));
    check_lane(to_in(), "");
    check_lane(to_out(), "");
    ck_assert_uint_eq(sv.in_recycled, 1);
    ck_assert_int_eq(in_rpc(slot, 100), RPCH_OK);
}
END_TEST

/* What a predecessor brought is no credit for its successor's window. */
START_TEST(test_server_recycle_in_r1_counters)
{
    const rpch_ack *a;
    const char *reason;
    rpch_rts rts;
    size_t len;
    int slot;

    open_with(0);
    in_rpc(0, 20000);
    in_rpc(0, 40000);
    in_to(RPCH_SERVER_IN_OPENED_B1W);
    rpch_server_consumed(&sv, 20000); /* an ack of the old channel */
    ck_assert_int_eq(rpch_rts_decode(rpch_lane_buf(to_in(), &len), 48, &rts,
                                     &reason), RPCH_OK);
    a = &rpch_rts_find(&rts, RPCH_CMD_FLOW_CONTROL_ACK, 0)->u.ack;
    ck_assert_uint_eq(a->bytes_received, 60000);
    ck_assert_uint_eq(a->cookie.b[0], 0xc0);
    in_rts(RPCH_IN_R1_B1, &(rpch_rts_values){ .window = 0 }, 1000);
    slot = sv.in_at;
    empty_lanes();
    in_rpc(slot, 16);
    rpch_server_consumed(&sv, 40000);
    ck_assert_int_eq(sv.in[slot].rx.avail, 65536 - 16);
    check_lane(rpch_server_lane(&sv, true, slot), "");
    rpch_server_consumed(&sv, 16);
    ck_assert_int_eq(sv.in[slot].rx.avail, 65536);
    ck_assert_uint_eq(sv.queued, 0);
    in_rpc(slot, 60000);
    rpch_server_consumed(&sv, 60000);
    ck_assert_int_eq(rpch_rts_decode(
        rpch_lane_buf(rpch_server_lane(&sv, true, slot), &len), 48, &rts,
        &reason), RPCH_OK);
    a = &rpch_rts_find(&rts, RPCH_CMD_FLOW_CONTROL_ACK, 0)->u.ack;
    ck_assert_uint_eq(a->bytes_received, 60016);
    ck_assert_uint_eq(a->cookie.b[0], 0xc8);
}
END_TEST

/* Nor does it keep what comes after it from being read. */
START_TEST(test_server_recycle_in_r1_backlog)
{
    int slot;

    open_with(0);
    in_rpc(0, 60000);
    in_rpc(0, 60000);
    in_to(RPCH_SERVER_IN_OPENED_B1W);
    in_rts(RPCH_IN_R1_B1, &(rpch_rts_values){ .window = 0 }, 1000);
    slot = sv.in_at;
    empty_lanes();
    in_rpc(slot, 60000);
    ck_assert_uint_eq(sv.queued, 180000);
    ck_assert(rpch_server_wants(&sv) & RPCH_WANT_CLIENT_READ);
    in_rpc(slot, 60000);
    in_rpc(slot, 20000);
    ck_assert(!(rpch_server_wants(&sv) & RPCH_WANT_CLIENT_READ));
    rpch_server_consumed(&sv, 60000);
    rpch_server_consumed(&sv, 60000);
    ck_assert(!(rpch_server_wants(&sv) & RPCH_WANT_CLIENT_READ));
    rpch_server_consumed(&sv, 60000);
    ck_assert(rpch_server_wants(&sv) & RPCH_WANT_CLIENT_READ);
}
END_TEST

START_TEST(test_server_recycle_in_r2)
{
    rpch_rts_values v = cookie_values(0);

    open_with(0);
    in_rpc(0, 40000);
    ck_assert_int_eq(in_cookie(0, RPCH_IN_R2_A2, 0xc8), RPCH_OK);
    check_lane(to_out(), "05001403 10000000 1c000000 00000000 00000100"
                         "0d000000 00000000");
    check_lane(to_in(), "");
    ck_assert_uint_eq(sv.in[0].channel.b[0], 0xc8);
    ck_assert_uint_eq(sv.out[0].used, 44 + 28);
    ck_assert_uint_eq(rpch_server_deadline(&sv), RPCH_NEVER);
    rpch_server_consumed(&sv, 40000); /* the leg's counters go on */
    check_lane(to_in(), "05001403 10000000 30000000 00000000 02000100 01000000"
                        "409c0000 00000100 c8c9cacbcccdcecfd0d1d2d3d4d5d6d7");
    /* At once another one, and then one of the first form. */
    ck_assert_int_eq(in_cookie(0, RPCH_IN_R2_A2, 0xcc), RPCH_OK);
    in_successor(0xcc, 0xc0);
    ck_assert_int_eq(in_cookie(0, RPCH_IN_R1_A6, 0xc0), RPCH_OK);
    ck_assert_int_eq(in_rts(RPCH_IN_R1_B1, &v, 1000), RPCH_OK);
    ck_assert_uint_eq(sv.in_recycled, 3);
}
END_TEST

START_TEST(test_server_recycle_in_closes)
{
    rpch_rts_values v = role_values(0, 0);
    rpch_step step;

    open_with(0);
    in_to(RPCH_SERVER_IN_OPENED_B1W);
    in_rts(RPCH_IN_R1_B1, &v, 1000);
    /* What the old one still says is nobody's concern, nor is its end. */
    ck_assert_int_eq(rpch_server_in_recv(&sv, 0, (const uint8_t *)"xyz", 3,
                                         &step, 0), RPCH_OK);
    ck_assert_uint_eq(step.used, 3);
    ck_assert_int_eq(in_rts(RPCH_PING, &v, 0), RPCH_OK);
    ck_assert_int_eq(rpch_server_enter(&sv, true), -1);
    rpch_server_in_closed(&sv, 0);
    rpch_server_in_closed(&sv, 0);
    ck_assert_int_eq(sv.core.state, RPCH_SERVER_OPENED);
    ck_assert(!rpch_server_over(&sv, true, 0));
    /* The next recycling. */
    ck_assert_int_eq(in_successor(0xc8, 0xcc), 0);
    ck_assert_int_eq(in_cookie(1, RPCH_IN_R1_A6, 0xcc), RPCH_OK);
    ck_assert_int_eq(in_rts_at(1, RPCH_IN_R1_B1, &v, 1000), RPCH_OK);
    ck_assert_int_eq(sv.in_at, 0);
    rpch_server_in_closed(&sv, 1);
    ck_assert_int_eq(sv.core.status, RPCH_OK);
    /* A newcomer that says nothing. */
    ck_assert_int_eq(rpch_server_enter(&sv, true), 1);
    rpch_server_in_closed(&sv, 1);
    ck_assert_int_eq(sv.core.status, RPCH_OK);
    rpch_server_in_closed(&sv, 0);
    ck_assert_int_eq(sv.core.status, RPCH_E_CLOSED);
}
END_TEST

/* Before the switch the end of either ends everything. */
START_TEST(test_server_recycle_early_closes)
{
    int slot;

    for (slot = 0; slot < 2; slot++) {
        open_with(0);
        in_to(RPCH_SERVER_IN_OPENED_B1W);
        rpch_server_in_closed(&sv, slot);
        ck_assert_int_eq(sv.core.status, RPCH_E_CLOSED);
        open_with(0);
        out_to(RPCH_SERVER_OUT_A8W);
        rpch_server_out_closed(&sv, slot);
        ck_assert_int_eq(sv.core.status, RPCH_E_CLOSED);
    }
}
END_TEST

/* A successor keeps silent until it is told to start, but for what its client
 * has to say to others. */
START_TEST(test_server_recycle_successor_too_early)
{
    rpch_rts_values v = role_values(0xc8, 0);
    char name[RPCH_RTS_DESCRIBE_SIZE];

    v.dest = RPCH_DEST_CLIENT;
    open_with(0);
    in_to(RPCH_SERVER_IN_A6W);
    ck_assert_int_eq(in_rpc(1, 100), RPCH_E_UNEXPECTED);
    open_with(0);
    in_to(RPCH_SERVER_IN_A6W);
    empty_lanes();
    ck_assert_int_eq(in_rts_at(1, RPCH_FLOW_CONTROL_ACK_DEST, &v, 0), RPCH_OK);
    ck_assert_str_eq(role_take(rpch_server_lane(&sv, false, 0), name,
                               sizeof(name)), "FlowControlAckWithDestination");
    out_to(RPCH_SERVER_OUT_R2A8W);
    empty_lanes();
    ck_assert_int_eq(in_cookie(1, RPCH_OUT_R2_A8, 0xb8), RPCH_OK);
    ck_assert_str_ne(role_take(rpch_server_lane(&sv, false, 0), name,
                               sizeof(name)), "");
    open_with(0);
    in_to(RPCH_SERVER_IN_A6W);
    ck_assert_int_eq(in_cookie(1, RPCH_IN_R1_A6, 0xc8), RPCH_E_UNEXPECTED);
    open_with(0);
    out_to(RPCH_SERVER_OUT_A8W);
    ck_assert_int_eq(ack_out(1, 0xb8, 0), RPCH_E_UNEXPECTED);
    /* And what opens a connection belongs on a new one. */
    open_with(0);
    v = role_values(0xc0, 0xc8);
    ck_assert_int_eq(in_rts_at(0, RPCH_IN_R1_A2, &v, 0), RPCH_E_UNEXPECTED);
    open_with(0);
    out_to(RPCH_SERVER_OUT_A4W);
    v = role_values(0xb0, 0xb8);
    ck_assert_int_eq(out_rts_at(0, RPCH_OUT_R1_A4, &v, 0),
                     RPCH_E_UNEXPECTED);
}
END_TEST

/* ---- OUT ----------------------------------------------------------------- */

static const char A1[] = "05001403 10000000 1c000000 00000000 04000100"
                         "0d000000 00000000";
static const char ANCE[] = "05001403 10000000 18000000 00000000 00000100"
                           "0a000000";

START_TEST(test_server_recycle_out_r1)
{
    rpch_rts_values v = role_values(0xb0, 0xb8);
    int slot;

    open_with(0);
    spend_to(RESERVE);
    check_lane(to_out(), "");
    rpch_server_sent(&sv, 16);
    ck_assert_int_eq(sv.out_state, RPCH_SERVER_OUT_A4W);
    check_lane(to_out(), A1);
    ck_assert_uint_eq(rpch_server_lifetime_left(&sv), RESERVE - 16 - 28);
    slot = rpch_server_enter(&sv, false);
    v.timeout = 240000;
    v.lifetime = 200000;
    v.window = 16384;
    ck_assert_int_eq(out_rts_at(slot, RPCH_OUT_R1_A4, &v, 2000), RPCH_OK);
    check_lane(to_out(),
               "05001403 10000000 2c000000 00000000 10000300 0d000000 00000000"
               "06000000 01000000 02000000 80a90300");
    ck_assert_uint_eq(rpch_server_deadline(&sv), 902000);
    ck_assert_uint_eq(rpch_server_out_slot(&sv), 0);
    ck_assert(rpch_server_may_send(&sv, 1000));
    rpch_server_sent(&sv, 1000);
    ck_assert_int_eq(in_cookie(0, RPCH_OUT_R1_A8, 0xb8), RPCH_OK);
    check_lane(to_out(), ANCE);
    check_lane(rpch_server_lane(&sv, false, slot), "");
    ck_assert_uint_eq(rpch_server_out_slot(&sv), slot);
    ck_assert_uint_eq(rpch_server_lifetime_left(&sv), 200000 - HIDDEN);
    ck_assert_uint_eq(sv.out[slot].tx.sent, 0); /* counters of its own */
    ck_assert(rpch_server_may_send(&sv, 16384));
    rpch_server_sent(&sv, 16384);
    ck_assert(!rpch_server_may_send(&sv, 16));
    ck_assert_int_eq(ack_out(slot, 0xb8, 16384), RPCH_OK);
    ck_assert(rpch_server_may_send(&sv, 16384));
    ck_assert_uint_eq(sv.out_recycled, 1);
}
END_TEST

START_TEST(test_server_recycle_out_r2)
{
    uint64_t sent;

    open_with(0);
    out_to(RPCH_SERVER_OUT_A4W);
    empty_lanes();
    sent = sv.out[0].tx.sent;
    ck_assert_int_eq(out_r2_a4(0xb8), RPCH_OK);
    check_lane(to_out(), "05001403 10000000 20000000 00000000 00000200"
                         "0d000000 00000000 0a000000");
    ck_assert_uint_eq(rpch_server_deadline(&sv), 901000);
    rpch_server_sent(&sv, 500);
    sent += 500;
    ck_assert_int_eq(ack_out(0, 0xb8, (uint32_t)sent), RPCH_OK);
    ck_assert_uint_eq(sv.out[0].tx.avail, 65536);
    ck_assert_int_eq(in_cookie(0, RPCH_OUT_R2_A8, 0xb8), RPCH_OK);
    check_lane(to_out(), ANCE);
    ck_assert_uint_eq(rpch_server_deadline(&sv), RPCH_NEVER);
    ck_assert_uint_eq(rpch_server_lifetime_left(&sv), LIFETIME - HIDDEN);
    /* The leg goes on, and acks by the old name may still be on their way. */
    rpch_server_sent(&sv, 1000);
    ck_assert_uint_eq(sv.out[0].tx.sent, sent + 1000);
    ck_assert_int_eq(ack_out(0, 0xb0, (uint32_t)sent + 1000), RPCH_OK);
    ck_assert_uint_eq(sv.out[0].tx.avail, 65536);
    ck_assert_int_eq(ack_out(0, 0xb8, (uint32_t)sent + 1001), RPCH_E_ACK);
}
END_TEST

/* The proxy has lost the successor that it announced, and has another. */
START_TEST(test_server_recycle_out_r2_announced_twice)
{
    open_with(0);
    out_to(RPCH_SERVER_OUT_R2A8W);
    ck_assert_int_eq(out_r2_a4(0xbc), RPCH_OK);
    empty_lanes();
    ck_assert_int_eq(in_cookie(0, RPCH_OUT_R2_A8, 0xbc), RPCH_OK);
    check_lane(to_out(), ANCE);
    ck_assert_uint_eq(sv.out[0].channel.b[0], 0xbc);
    /* The next one at once; A7 with Version, as clients send it. */
    out_to(RPCH_SERVER_OUT_A4W);
    ck_assert_int_eq(out_r2_a4(0xb8), RPCH_OK);
    ck_assert_int_eq(in_cookie(0, RPCH_OUT_R2_A7, 0xb8), RPCH_OK);
    ck_assert_uint_eq(sv.out_recycled, 2);
}
END_TEST

START_TEST(test_server_recycle_wrong_cookies)
{
    static const struct {
        rpch_pdu_id id;
        int wrong; /* which cookie */
    } first[] = {
        { RPCH_IN_R1_A2, 0 }, { RPCH_IN_R1_A2, 1 }, { RPCH_OUT_R1_A4, 0 },
        { RPCH_OUT_R1_A4, 1 }
    };
    rpch_rts_values v;
    size_t i;
    int slot, rv;

    for (i = 0; i < sizeof(first) / sizeof(first[0]); i++) {
        bool in = first[i].id == RPCH_IN_R1_A2;

        open_with(0);
        out_to(RPCH_SERVER_OUT_A4W);
        empty_lanes();
        v = role_values(in ? 0xc0 : 0xb0, 0xb8);
        v.cookie[first[i].wrong].b[15] ^= 1;
        slot = rpch_server_enter(&sv, in);
        rv = in ? in_rts_at(slot, first[i].id, &v, 0)
                : out_rts_at(slot, first[i].id, &v, 0);
        ck_assert_int_eq(rv, RPCH_E_COOKIE);
        check_lane(to_out(), "");
    }
    open_with(0);
    in_to(RPCH_SERVER_IN_A6W);
    ck_assert_int_eq(in_cookie(0, RPCH_IN_R1_A6, 0xc9), RPCH_E_COOKIE);
    open_with(0);
    out_to(RPCH_SERVER_OUT_A8W);
    empty_lanes();
    ck_assert_int_eq(in_cookie(0, RPCH_OUT_R1_A8, 0xb9), RPCH_E_COOKIE);
    check_lane(to_out(), "");
    open_with(0);
    out_to(RPCH_SERVER_OUT_R2A8W);
    empty_lanes();
    ck_assert_int_eq(in_cookie(0, RPCH_OUT_R2_A8, 0xb9), RPCH_E_COOKIE);
    check_lane(to_out(), "05001403 10000000 18000000 00000000 00000100"
                         "09000000"); /* OUT_R2/B2 */
    ck_assert_uint_eq(rpch_server_wants(&sv), RPCH_WANT_CLOSE);
}
END_TEST

START_TEST(test_server_recycle_small_windows)
{
    rpch_rts_values v = role_values(0xc0, 0xc8);

    v.window = 8191;
    open_with(0);
    ck_assert_int_eq(in_rts_at(rpch_server_enter(&sv, true), RPCH_IN_R1_A2,
                               &v, 0), RPCH_E_SYNTAX);
    open_with(0);
    out_to(RPCH_SERVER_OUT_A4W);
    v.cookie[1] = role_cookie(0xb0);
    ck_assert_int_eq(out_rts_at(rpch_server_enter(&sv, false),
                                RPCH_OUT_R1_A4, &v, 0), RPCH_E_SYNTAX);
}
END_TEST

/* An ack for an out-proxy goes to that whose channel it names, as long as the
 * old one drains. */
START_TEST(test_server_recycle_forwards_acks)
{
    static const uint8_t named[] = { 0xb0, 0xb8, 0xee };
    rpch_rts_values v = role_values(0, 0);
    size_t i, old, new;
    int n = 0;

    open_with(0);
    out_to(RPCH_SERVER_OUT_A8W);
    in_cookie(0, RPCH_OUT_R1_A8, 0xb8);
    v.dest = RPCH_DEST_OUT_PROXY;
    for (i = 0; i < sizeof(named); i++) {
        empty_lanes();
        v.ack.cookie = role_cookie(named[i]);
        ck_assert_int_eq(in_rts(RPCH_FLOW_CONTROL_ACK_DEST, &v, 0), RPCH_OK);
        rpch_lane_buf(rpch_server_lane(&sv, false, 0), &old);
        rpch_lane_buf(rpch_server_lane(&sv, false, 1), &new);
        ck_assert_uint_eq(old, i == 0 ? 56 : 0);
        ck_assert_uint_eq(new, i == 0 ? 0 : 56);
    }
    empty_lanes();
    /* An old proxy that reads nothing hinders nobody. */
    v.ack.cookie = role_cookie(0xb0);
    for (n = 0; n < 100; n++)
        ck_assert_int_eq(in_rts(RPCH_FLOW_CONTROL_ACK_DEST, &v, 0), RPCH_OK);
    ck_assert(rpch_server_wants(&sv) & RPCH_WANT_CLIENT_READ);
    v.dest = RPCH_DEST_CLIENT;
    ck_assert_int_eq(in_rts(RPCH_FLOW_CONTROL_ACK_DEST, &v, 0), RPCH_OK);
    ck_assert_uint_eq(sv.out[1].used, 56);
}
END_TEST

/* An old S-OUT is kept until its proxy closes it, the time is up, or its slot
 * is needed. */
START_TEST(test_server_recycle_old_out)
{
    rpch_step step;
    int why;

    for (why = 0; why < 3; why++) {
        open_with(0);
        out_to(RPCH_SERVER_OUT_A8W);
        in_cookie(0, RPCH_OUT_R1_A8, 0xb8);
        ck_assert(!rpch_server_over(&sv, false, 0));
        ck_assert_uint_eq(rpch_server_deadline(&sv), 1000 + 5000);
        ck_assert_int_eq(rpch_server_out_recv(&sv, 0, (const uint8_t *)"old",
                                              3, &step, 0), RPCH_OK);
        ck_assert_uint_eq(step.used, 3);
        if (why == 1)
            ck_assert_int_eq(rpch_server_timeout(&sv, 6000), RPCH_OK);
        if (why == 2)
            ck_assert_int_eq(rpch_server_enter(&sv, false), -1);
        ck_assert(rpch_server_over(&sv, false, 0) == (why > 0));
        rpch_server_out_closed(&sv, 0);
        ck_assert_int_eq(sv.core.status, RPCH_OK);
        ck_assert_uint_eq(rpch_server_deadline(&sv), RPCH_NEVER);
        spend_to(RESERVE - 1);
        ck_assert_int_eq(out_successor(0xb8, 0xbc), 0);
        ck_assert_int_eq(in_cookie(0, RPCH_OUT_R1_A8, 0xbc), RPCH_OK);
        ck_assert_uint_eq(rpch_server_out_slot(&sv), 0);
        ck_assert_uint_eq(sv.out_recycled, 2);
    }
}
END_TEST

/* Both directions at once; what the client is to know goes to the S-OUT of
 * the moment. */
START_TEST(test_server_recycle_both)
{
    rpch_rts_values v = role_values(0, 0);
    char name[RPCH_RTS_DESCRIBE_SIZE];

    open_with(0);
    out_to(RPCH_SERVER_OUT_A8W);
    in_to(RPCH_SERVER_IN_A6W);
    empty_lanes();
    ck_assert_int_eq(in_cookie(0, RPCH_OUT_R1_A8, 0xb8), RPCH_OK);
    ck_assert_int_eq(in_cookie(0, RPCH_IN_R1_A6, 0xc8), RPCH_OK);
    ck_assert_int_eq(in_rts(RPCH_IN_R1_B1, &v, 1000), RPCH_OK);
    empty_lanes();
    rpch_server_in_closed(&sv, 0);
    rpch_server_out_closed(&sv, 0);
    in_successor(0xc8, 0xcc);
    role_take(rpch_server_lane(&sv, false, 1), name, sizeof(name));
    ck_assert_str_eq(name, "IN_R1/A3=IN_R1/A4");
    ck_assert_int_eq(sv.core.state, RPCH_SERVER_OPENED);
    rpch_server_fail(&sv, RPCH_E_POLICY, "the test");
    ck_assert_int_eq(rpch_server_enter(&sv, true), -1);
}
END_TEST

START_TEST(test_server_recycle_timers)
{
    open_with(0);
    in_to(RPCH_SERVER_IN_A6W);
    ck_assert_int_eq(rpch_server_timeout(&sv, 900999), RPCH_OK);
    ck_assert_int_eq(rpch_server_timeout(&sv, 901000), RPCH_E_TIMEOUT);
    ck_assert_str_eq(sv.core.reason, "the IN channel was not replaced in time");
    ck_assert_uint_eq(rpch_server_deadline(&sv), RPCH_NEVER);
    open_with(0);
    out_to(RPCH_SERVER_OUT_R2A8W);
    ck_assert_uint_eq(rpch_server_deadline(&sv), 901000);
    ck_assert_int_eq(rpch_server_timeout(&sv, 901000), RPCH_E_TIMEOUT);
    /* A client that does not recycle may go on until a PDU has to wait. */
    open_with(0);
    out_to(RPCH_SERVER_OUT_A4W);
    ck_assert_uint_eq(rpch_server_deadline(&sv), RPCH_NEVER);
    ck_assert(!rpch_server_may_send(&sv, 60000));
    ck_assert_uint_le(rpch_server_deadline(&sv), 50000);
    ck_assert_int_eq(rpch_server_timeout(&sv, 50000), RPCH_OK);
    ck_assert_uint_eq(rpch_server_deadline(&sv), 950000);
    ck_assert(!rpch_server_may_send(&sv, 60000));
    ck_assert_uint_eq(rpch_server_deadline(&sv), 950000);
    ck_assert_int_eq(rpch_server_timeout(&sv, 950000), RPCH_E_TIMEOUT);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("server_recycle");
    TCase *t = tcase_create("recycle");

    tcase_add_test(t, test_server_recycle_in_r1);
    tcase_add_test(t, test_server_recycle_in_r1_counters);
    tcase_add_test(t, test_server_recycle_in_r1_backlog);
    tcase_add_test(t, test_server_recycle_in_r2);
    tcase_add_test(t, test_server_recycle_in_closes);
    tcase_add_test(t, test_server_recycle_early_closes);
    tcase_add_test(t, test_server_recycle_successor_too_early);
    tcase_add_test(t, test_server_recycle_out_r1);
    tcase_add_test(t, test_server_recycle_out_r2);
    tcase_add_test(t, test_server_recycle_out_r2_announced_twice);
    tcase_add_test(t, test_server_recycle_wrong_cookies);
    tcase_add_test(t, test_server_recycle_small_windows);
    tcase_add_test(t, test_server_recycle_forwards_acks);
    tcase_add_test(t, test_server_recycle_old_out);
    tcase_add_test(t, test_server_recycle_both);
    tcase_add_test(t, test_server_recycle_timers);
    suite_add_tcase(s, t);
    return test_main(s);
}
