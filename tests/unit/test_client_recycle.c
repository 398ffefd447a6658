/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_client_recycle.c - IN recycling by the client role, IN_R1 and IN_R2,
 * and both directions at once, 3.2.2.4.2 and 3.2.2.5, byte by byte.
 */
#include "client_recycle_test.h"

static void fire_in(int e)
{
    rpch_cookie c = role_cookie(0x70);

    switch (e) {
    case RPCH_CLIENT_IN_EV_SPENT:
        rpch_client_may_send(&cl, START - 104 + 1);
        break;
    case RPCH_CLIENT_IN_EV_REQUESTED:
        rpch_client_requested(&cl, true, &c, 1000);
        break;
    case RPCH_CLIENT_IN_EV_R1_A4:
        take(RPCH_IN_R1_A4);
        break;
    case RPCH_CLIENT_IN_EV_R2_A4:
        take(RPCH_IN_R2_A4);
        break;
    default:
        rpch_client_timeout(&cl, RPCH_NEVER);
        break;
    }
}

START_TEST(test_client_recycle_in_table)
{
    /* OPENED, REQUEST, A4W */
    static const char *const expected[RPCH_CLIENT_IN_EV_MAX] = {
        [RPCH_CLIENT_IN_EV_SPENT] = "R--",
        [RPCH_CLIENT_IN_EV_REQUESTED] = "-4-",
        [RPCH_CLIENT_IN_EV_R1_A4] = "xxO",
        [RPCH_CLIENT_IN_EV_R2_A4] = "xxO",
        [RPCH_CLIENT_IN_EV_TIMEOUT] = "--t"
    };
    int e, s;

    for (e = 0; e < RPCH_CLIENT_IN_EV_MAX; e++) {
        ck_assert_uint_eq(strlen(expected[e]), RPCH_CLIENT_IN_STATE_MAX);
        for (s = 0; s < RPCH_CLIENT_IN_STATE_MAX; s++) {
            drive_in(s);
            fire_in(e);
            check_cell(&rpch_client_in_table, e, s, expected[e][s], "OR4",
                       &cl.in_state);
        }
    }
    check_all_visited(&rpch_client_in_table, -1);
}
END_TEST

START_TEST(test_client_recycle_in_starts)
{
    open_with(0);
    use_up_to(START);
    ck_assert(!wants(RPCH_WANT_IN_REQUEST));
    ck_assert(rpch_client_may_send(&cl, 100)); /* still here, but it is time */
    ck_assert(wants(RPCH_WANT_IN_REQUEST));
    rpch_client_sent(&cl, 100, 1000);
    use_up_to(RPC_END - 16);
    ck_assert(!rpch_client_may_send(&cl, 17));
    ck_assert(rpch_client_may_send(&cl, 16));
    /* RTS PDUs count as well */
    open_with(0);
    use_up_to(START - 19);
    ck_assert_int_eq(rpch_client_timeout(&cl, 61000), RPCH_OK);
    check_lane(&cl.in[0].lane, PING);
    ck_assert(wants(RPCH_WANT_IN_REQUEST));
}
END_TEST

START_TEST(test_client_recycle_in_nothing_asked)
{
    rpch_cookie c = role_cookie(0xd0);

    open_with(0);
    ck_assert_int_eq(rpch_client_requested(&cl, true, &c, 1000), -1);
    ck_assert_int_eq(rpch_client_requested(&cl, false, &c, 1000), -1);
    ck_assert_int_eq(cl.in[1].use, RPCH_CLIENT_FREE);
    ck_assert_int_eq(cl.out[1].use, RPCH_CLIENT_FREE);
    start_with(0, &cl.core.limits);
    ck_assert_int_eq(rpch_client_requested(&cl, true, &c, 1000), -1);
}
END_TEST

START_TEST(test_client_recycle_in_r1)
{
    rpch_rts_values v = role_values(0, 0);

    drive_in(RPCH_CLIENT_IN_REQUEST);
    ck_assert_uint_eq(requested(true, 0xd0, 2000), 1);
    check_lane(&cl.in[1].lane, IN_A1);
    ck_assert_uint_eq(rpch_client_deadline(&cl), 61000); /* the Ping */
    ck_assert(!wants(RPCH_WANT_IN_REQUEST));
    rpch_client_in_ack(&cl, 1, 88, 3000);
    ck_assert_uint_eq(rpch_client_in_slot(&cl), 0);

    v.window = 8192;
    v.timeout = 240000;
    ck_assert_int_eq(rts(RPCH_IN_R1_A4, &v, 3000), RPCH_OK);
    check_lane(&cl.in[0].lane, IN_A5);
    check_lane(&cl.in[1].lane, "");
    ck_assert(rpch_client_over(&cl, true, 0));
    ck_assert(!rpch_client_over(&cl, true, 1));
    ck_assert_uint_eq(rpch_client_in_slot(&cl), 1);
    ck_assert_uint_eq(cl.timeout, 240000);
    ck_assert_uint_eq(cl.in[1].used, 88);
    ck_assert_uint_eq(cl.tx.sent, 0);
    ck_assert(rpch_client_may_send(&cl, 8192));
    rpch_client_sent(&cl, 16, 3000);
    ck_assert(!rpch_client_may_send(&cl, 8192));
    ck_assert_uint_eq(cl.counts.in_r1, 1);

    rpch_client_in_ack(&cl, 0, 40, 3000);
    rpch_client_in_closed(&cl, 0);
    ck_assert(!rpch_client_over(&cl, true, 0));
    ck_assert_int_eq(cl.core.state, RPCH_CLIENT_OPENED);
    ck_assert_uint_eq(rpch_client_deadline(&cl), 63000);
}
END_TEST

START_TEST(test_client_recycle_in_r2)
{
    drive_in(RPCH_CLIENT_IN_A4W);
    use_up_to(RPC_END);
    cl.tx.window = 20000; /* as if CONN/C2 had said so */
    ck_assert_int_eq(take(RPCH_IN_R2_A4), RPCH_OK);
    check_lane(&cl.in[0].lane, IN_A5);
    ck_assert_uint_eq(cl.tx.window, 20000);
    ck_assert_uint_eq(cl.tx.avail, 20000);
    ck_assert_uint_eq(cl.tx.sent, 0);
    ck_assert_uint_eq(cl.timeout, 120000);
    ck_assert_uint_eq(cl.counts.in_r2, 1);
    ck_assert_uint_eq(cl.counts.in_r1, 0);
    ck_assert_uint_le(cl.in[0].used + 40, LIFETIME);
}
END_TEST

START_TEST(test_client_recycle_in_ranges)
{
    static const struct {
        uint32_t window;
        uint32_t timeout;
        int status;
    } a4[] = {
        { 8192, 120000, RPCH_OK }, { 262144, 14400000, RPCH_OK },
        { 8191, 120000, RPCH_E_SYNTAX }, { 262145, 120000, RPCH_E_SYNTAX },
        { 65536, 119999, RPCH_E_SYNTAX }, { 65536, 14400001, RPCH_E_SYNTAX }
    };
    rpch_rts_values v = role_values(0, 0);
    size_t i;

    for (i = 0; i < sizeof(a4) / sizeof(a4[0]); i++) {
        drive_in(RPCH_CLIENT_IN_A4W);
        v.window = a4[i].window;
        v.timeout = a4[i].timeout;
        ck_assert_int_eq(rts(RPCH_IN_R1_A4, &v, 1000), a4[i].status);
    }
}
END_TEST

/* Acks of the predecessor and of nobody are discarded, those of the current
 * channel count for it. */
START_TEST(test_client_recycle_in_acks)
{
    drive_in(RPCH_CLIENT_IN_A4W);
    rpch_client_sent(&cl, 100, 1000);
    ck_assert_int_eq(ack(0xd0, 5, 100), RPCH_OK); /* not yet */
    ck_assert_int_eq(take(RPCH_IN_R2_A4), RPCH_OK);
    rpch_client_sent(&cl, 200, 1000);
    ck_assert_int_eq(ack(0xc0, 60000, 10), RPCH_OK);
    ck_assert_int_eq(ack(0x33, 60000, 10), RPCH_OK);
    ck_assert_uint_eq(cl.tx.avail, 65536 - 200);
    ck_assert_int_eq(ack(0xd0, 50, 65500), RPCH_OK);
    ck_assert_uint_eq(cl.tx.avail, 65350);
    ck_assert_int_eq(ack(0xd0, 201, 1000), RPCH_E_ACK);
}
END_TEST

/* The RTS PDUs that the old channel has no room for go first on the new one,
 * in their order; A5 always has its room. */
START_TEST(test_client_recycle_in_holds)
{
    drive_in(RPCH_CLIENT_IN_A4W);
    use_up_to(LIFETIME - 40 - 55);
    ck_assert_int_eq(rpc(65000), RPCH_OK);
    rpch_client_consumed(&cl, 65000); /* an ack has 56 bytes */
    check_lane(&cl.in[0].lane, "");
    ck_assert_int_eq(take(RPCH_OUT_R1_A2), RPCH_OK);
    requested(false, 0xe0, 1000);
    ck_assert_int_eq(take(RPCH_OUT_R2_A6), RPCH_OK);
    check_lane(&cl.in[0].lane, "");
    ck_assert(!rpch_client_may_send(&cl, 16));
    ck_assert_int_eq(rpch_client_timeout(&cl, 61000), RPCH_OK);
    ck_assert_uint_eq(cl.counts.pings_sent, 0);

    ck_assert_int_eq(take(RPCH_IN_R1_A4), RPCH_OK);
    check_lane(&cl.in[0].lane, IN_A5);
    check_lane(&cl.in[1].lane,
               "05001403 10000000 38000000 00000000 02000200"
               "0d000000 03000000 01000000 e8fd0000 00000100" COOKIE_B0
               OUT_R2_A7);
    rpch_client_in_ack(&cl, 0, 40, 1000);
    ck_assert_uint_le(cl.in[0].used, LIFETIME);
    ck_assert(rpch_client_may_send(&cl, 16));
}
END_TEST

/* A lifetime that RTS PDUs alone have used starts recycling too. */
START_TEST(test_client_recycle_in_by_rts)
{
    rpch_limits l = limits();

    l.recycle_reserve = 16; /* less than A5 */
    client_open(0, &l);
    use_up_to(LIFETIME - 40 - 19);
    ck_assert(!wants(RPCH_WANT_IN_REQUEST));
    ck_assert_int_eq(rpch_client_timeout(&cl, 61000), RPCH_OK);
    check_lane(&cl.in[0].lane, "");
    ck_assert(wants(RPCH_WANT_IN_REQUEST));
    requested(true, 0xd0, 61000);
    ck_assert_int_eq(take(RPCH_IN_R2_A4), RPCH_OK);
    check_lane(&cl.in[0].lane, IN_A5);
    check_lane(&cl.in[1].lane, IN_A1 PING);
}
END_TEST

/* What is held is bounded: acks give way to each other, and no Ping joins
 * them. */
START_TEST(test_client_recycle_in_hold_is_bounded)
{
    size_t held;
    int n;

    drive_in(RPCH_CLIENT_IN_A4W);
    use_up_to(LIFETIME - 40);
    for (n = 0; n < 100; n++) {
        ck_assert(wants(RPCH_WANT_SERVER_READ));
        ck_assert_int_eq(rpc(60000), RPCH_OK);
        rpch_client_consumed(&cl, 60000);
        rpch_client_timeout(&cl, 61000u + 1000u * (unsigned)n);
    }
    rpch_lane_buf(&cl.held, &held);
    ck_assert_uint_eq(held, 56);
    ck_assert_int_eq(cl.core.state, RPCH_CLIENT_OPENED);
}
END_TEST

START_TEST(test_client_recycle_in_too_large)
{
    open_with(0);
    ck_assert(rpch_client_may_send(&cl, RPC_END - 104));
    ck_assert(!rpch_client_may_send(&cl, RPC_END - 88)); /* on the next one */
    ck_assert_int_eq(cl.core.status, RPCH_OK);
    ck_assert(!rpch_client_may_send(&cl, RPC_END - 87));
    ck_assert_int_eq(cl.core.status, RPCH_E_LIFETIME);
    ck_assert_ptr_nonnull(strstr(cl.core.reason, "lifetime"));
}
END_TEST

/* The slot of a predecessor is asked for again only when it is free. */
START_TEST(test_client_recycle_in_again)
{
    rpch_cookie c = role_cookie(0x70);
    int i;

    drive_in(RPCH_CLIENT_IN_A4W);
    ck_assert_int_eq(take(RPCH_IN_R2_A4), RPCH_OK);
    use_up_to(START + 1);
    ck_assert_int_eq(cl.in_state, RPCH_CLIENT_IN_REQUEST);
    ck_assert(!wants(RPCH_WANT_IN_REQUEST));
    ck_assert_int_eq(rpch_client_requested(&cl, true, &c, 1000), -1);
    rpch_client_in_ack(&cl, 0, 40, 1000);
    rpch_client_in_closed(&cl, 0);
    ck_assert(wants(RPCH_WANT_IN_REQUEST));
    for (i = 0; i < 10; i++) {
        unsigned slot = requested(true, (uint8_t)(0x10 + i), 1000);

        rpch_client_in_ack(&cl, slot, 88, 1000);
        ck_assert_int_eq(take(RPCH_IN_R1_A4), RPCH_OK);
        rpch_client_in_ack(&cl, 1 - slot, 40, 1000);
        rpch_client_in_closed(&cl, 1 - slot);
        ck_assert_uint_eq(rpch_client_in_slot(&cl), slot);
        use_up_to(START + 1);
    }
    ck_assert_uint_eq(cl.counts.in_r1, 10);
    ck_assert_uint_eq(cl.counts.in_r2, 1);
}
END_TEST

/* A7 goes on the channel that is current when A6 comes. */
START_TEST(test_client_recycle_both_at_once)
{
    drive_in(RPCH_CLIENT_IN_A4W);
    ck_assert_int_eq(take(RPCH_OUT_R1_A2), RPCH_OK);
    requested(false, 0xe0, 1000);
    ck_assert_int_eq(take(RPCH_IN_R2_A4), RPCH_OK);
    ck_assert_int_eq(take(RPCH_OUT_R1_A6), RPCH_OK);
    check_lane(&cl.in[0].lane, IN_A5);
    check_lane(&cl.in[1].lane, OUT_R1_A7);
    ck_assert_int_eq(take(RPCH_OUT_R1_A10), RPCH_OK);
    ck_assert_int_eq(rpch_client_response(&cl, 1, 200, 1000), RPCH_OK);

    drive_out(RPCH_CLIENT_OUT_A6W);
    use_up_to(START + 1);
    requested(true, 0xd0, 1000);
    ck_assert_int_eq(take(RPCH_OUT_R2_A6), RPCH_OK);
    ck_assert_int_eq(take(RPCH_IN_R1_A4), RPCH_OK);
    check_lane(&cl.in[0].lane, OUT_R2_A7 IN_A5);
    check_lane(&cl.in[1].lane, IN_A1);
    ck_assert_int_eq(take(RPCH_OUT_R2_B3), RPCH_OK);
    ck_assert_int_eq(cl.core.status, RPCH_OK);
}
END_TEST

/* Every PDU of recycling is refused by a client that cannot do it; the first
 * form by one that knows only the second. */
START_TEST(test_client_recycle_modes)
{
    static const struct {
        rpch_pdu_id id;
        bool in_r2_only; /* refused by such a client too */
    } pdu[] = {
        { RPCH_IN_R1_A4, true }, { RPCH_IN_R2_A4, false },
        { RPCH_OUT_R1_A2, false }, { RPCH_OUT_R1_A6, true },
        { RPCH_OUT_R2_A6, false }, { RPCH_OUT_R1_A10, true },
        { RPCH_OUT_R2_B3, false }
    };
    size_t i;

    for (i = 0; i < sizeof(pdu) / sizeof(pdu[0]); i++) {
        open_with(RPCH_NO_RECYCLING);
        ck_assert_int_eq(take(pdu[i].id), RPCH_E_UNEXPECTED);
        ck_assert_ptr_nonnull(strstr(cl.core.reason, "cannot"));
        open_with(RPCH_QUIET);
        ck_assert_int_eq(take(pdu[i].id), RPCH_E_UNEXPECTED);
        open_with(RPCH_R2_ONLY);
        take(pdu[i].id);
        ck_assert(!pdu[i].in_r2_only
                  || strstr(cl.core.reason, "IN_R2 and OUT_R2 only"));
    }
}
END_TEST

START_TEST(test_client_recycle_r2_only)
{
    open_with(RPCH_R2_ONLY);
    use_up_to(START + 1);
    requested(true, 0xd0, 1000);
    ck_assert_int_eq(take(RPCH_IN_R2_A4), RPCH_OK);
    ck_assert_int_eq(take(RPCH_OUT_R2_A2), RPCH_OK);
    requested(false, 0xe0, 1000);
    ck_assert_int_eq(take(RPCH_OUT_R2_A6), RPCH_OK);
    check_lane(&cl.out[1].body, OUT_A3 OUT_C1);
    ck_assert_int_eq(take(RPCH_OUT_R2_B3), RPCH_OK);
    open_with(RPCH_R2_ONLY);
    use_up_to(START + 1);
    requested(true, 0xd0, 1000);
    ck_assert_int_eq(take(RPCH_IN_R1_A4), RPCH_E_UNEXPECTED);
}
END_TEST

START_TEST(test_client_recycle_closes)
{
    drive_in(RPCH_CLIENT_IN_A4W);
    rpch_client_in_closed(&cl, 1);
    ck_assert_int_eq(cl.core.status, RPCH_E_CLOSED);
    ck_assert_ptr_nonnull(strstr(cl.core.reason, "successor C-IN"));
    drive_in(RPCH_CLIENT_IN_A4W);
    rpch_client_in_closed(&cl, 0);
    ck_assert_int_eq(cl.core.status, RPCH_E_CLOSED);
    drive_out(RPCH_CLIENT_OUT_B3W);
    rpch_client_out_closed(&cl, 1);
    ck_assert_int_eq(cl.core.status, RPCH_E_CLOSED);
    ck_assert_ptr_nonnull(strstr(cl.core.reason, "successor C-OUT"));
    drive_out(RPCH_CLIENT_OUT_A10W);
    rpch_client_out_closed(&cl, 0);
    ck_assert_int_eq(cl.core.status, RPCH_E_CLOSED);
    drive_out(RPCH_CLIENT_OUT_RESPONSE);
    rpch_client_out_closed(&cl, 1);
    ck_assert_int_eq(cl.core.status, RPCH_E_CLOSED);
    drive_out(RPCH_CLIENT_OUT_RESPONSE);
    rpch_client_out_closed(&cl, 0);
    rpch_client_in_closed(&cl, 1); /* there is none */
    ck_assert_int_eq(cl.core.status, RPCH_OK);
}
END_TEST

START_TEST(test_client_recycle_timers)
{
    drive_in(RPCH_CLIENT_IN_REQUEST);
    requested(true, 0xd0, 5000);
    ck_assert_uint_eq(cl.in_deadline, 905000);
    ck_assert_int_eq(rpch_client_timeout(&cl, 904999), RPCH_OK);
    ck_assert_int_eq(rpch_client_timeout(&cl, 905000), RPCH_E_TIMEOUT);
    ck_assert_ptr_nonnull(strstr(cl.core.reason, "IN channel"));
    ck_assert_uint_eq(rpch_client_deadline(&cl), RPCH_NEVER);

    drive_out(RPCH_CLIENT_OUT_REQUEST);
    requested(false, 0xe0, 5000);
    ck_assert_int_eq(take(RPCH_OUT_R2_A6), RPCH_OK);
    ck_assert_int_eq(take(RPCH_OUT_R2_B3), RPCH_OK);
    ck_assert_int_eq(rpch_client_timeout(&cl, 904999), RPCH_OK);
    rpch_client_in_ack(&cl, 0, 1000, 904999);
    ck_assert_uint_eq(rpch_client_deadline(&cl), 905000);
    ck_assert_int_eq(rpch_client_timeout(&cl, 905000), RPCH_E_TIMEOUT);
    ck_assert_ptr_nonnull(strstr(cl.core.reason, "OUT channel"));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("client recycling, IN and both");
    TCase *t = tcase_create("core");

    tcase_add_test(t, test_client_recycle_in_table);
    tcase_add_test(t, test_client_recycle_in_starts);
    tcase_add_test(t, test_client_recycle_in_nothing_asked);
    tcase_add_test(t, test_client_recycle_in_r1);
    tcase_add_test(t, test_client_recycle_in_r2);
    tcase_add_test(t, test_client_recycle_in_ranges);
    tcase_add_test(t, test_client_recycle_in_acks);
    tcase_add_test(t, test_client_recycle_in_holds);
    tcase_add_test(t, test_client_recycle_in_by_rts);
    tcase_add_test(t, test_client_recycle_in_hold_is_bounded);
    tcase_add_test(t, test_client_recycle_in_too_large);
    tcase_add_test(t, test_client_recycle_in_again);
    tcase_add_test(t, test_client_recycle_both_at_once);
    tcase_add_test(t, test_client_recycle_modes);
    tcase_add_test(t, test_client_recycle_r2_only);
    tcase_add_test(t, test_client_recycle_closes);
    tcase_add_test(t, test_client_recycle_timers);
    suite_add_tcase(s, t);
    return test_main(s);
}
