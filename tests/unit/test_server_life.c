/* SPDX-License-Identifier: Apache-2.0 */
/* test_server_life.c - the server role machine's lifetimes: when OUT recycling
 * starts, what waits for it; and a joined role that moves */
#include "server_recycle_test.h"

#include "rpch/server_image.h"

static size_t waiting(rpch_lane *lane)
{
    size_t len;

    rpch_lane_buf(lane, &len);
    return len;
}

START_TEST(test_server_life_reserve)
{
    open_with(0);
    ck_assert_uint_eq(rpch_server_lifetime_left(&sv), LEFT);
    spend_to(RESERVE);
    ck_assert_int_eq(sv.out_state, RPCH_SERVER_OUT_OPENED);
    spend_to(RESERVE - 1);
    ck_assert_int_eq(sv.out_state, RPCH_SERVER_OUT_A4W);
    ck_assert_uint_eq(waiting(to_out()), 28);
    rpch_server_sent(&sv, 16); /* asked for once */
    ck_assert_uint_eq(waiting(to_out()), 28);
    /* The channel goes on while the client is about it. */
    ck_assert(rpch_server_may_send(&sv, 4000));
    ck_assert(rpch_server_may_send(&sv, RESERVE - 1 - 28 - 16 - 4096));
    ck_assert(!rpch_server_may_send(&sv, RESERVE - 28 - 16 - 4096));
    ck_assert_int_eq(sv.core.status, RPCH_OK);
}
END_TEST

/* Far from the reserve, but the next PDU is larger than what is left. */
START_TEST(test_server_life_pdu_does_not_fit)
{
    int form;

    for (form = 1; form <= 2; form++) {
        open_with(0);
        spend_to(30000);
        ck_assert(rpch_server_may_send(&sv, 30000 - 4096));
        ck_assert_uint_eq(waiting(to_out()), 0);
        ck_assert(!rpch_server_may_send(&sv, 30000 - 4095));
        ck_assert_int_eq(sv.out_state, RPCH_SERVER_OUT_A4W);
        ck_assert_uint_eq(waiting(to_out()), 28);
        ck_assert(!rpch_server_may_send(&sv, 30000 - 4095));
        if (form == 1)
            out_successor(0xb0, 0xb8);
        else
            ck_assert_int_eq(out_r2_a4(0xb8), RPCH_OK);
        ck_assert(!rpch_server_may_send(&sv, 30000));
        ck_assert_int_eq(in_cookie(0, RPCH_OUT_R1_A8, 0xb8), RPCH_OK);
        ck_assert(!sv.starved);
        ck_assert_uint_eq(rpch_server_deadline(&sv),
                          form == 1 ? 6000 : RPCH_NEVER);
        ck_assert(rpch_server_may_send(&sv, 30000));
    }
}
END_TEST

START_TEST(test_server_life_pdu_fits_no_channel)
{
    rpch_rts_values a2 = a2_values();
    rpch_rts_values b2 = b2_values();
    rpch_limits l = recycling_limits();

    start_with(&l, 0);
    a2.lifetime = 20000 + HIDDEN;
    in_rts(RPCH_CONN_B2, &b2, 0);
    out_rts(RPCH_CONN_A2, &a2, 0);
    ck_assert(rpch_server_may_send(&sv, 20000 - 44 - 4096));
    ck_assert(!rpch_server_may_send(&sv, 20000 - 4096));
    ck_assert_int_eq(sv.core.status, RPCH_OK);
    ck_assert_int_eq(sv.out_state, RPCH_SERVER_OUT_A4W);
    ck_assert(!rpch_server_may_send(&sv, 20000 - 1023));
    ck_assert_int_eq(sv.core.status, RPCH_E_LIFETIME);
}
END_TEST

/* A reserve above the lifetime does not replace each channel at once. */
START_TEST(test_server_life_short_channel)
{
    rpch_rts_values a2 = a2_values();
    rpch_rts_values b2 = b2_values();
    rpch_limits l = recycling_limits();

    l.ping_notify = 40;
    start_with(&l, 0);
    a2.lifetime = 4000 + 28 + 20 + 40;
    in_rts(RPCH_CONN_B2, &b2, 0);
    out_rts(RPCH_CONN_A2, &a2, 0);
    ck_assert_uint_eq(rpch_server_lifetime_left(&sv), 4000 - 44);
    ck_assert_int_eq(sv.out_state, RPCH_SERVER_OUT_OPENED);
    rpch_server_sent(&sv, 1956);
    ck_assert_int_eq(sv.out_state, RPCH_SERVER_OUT_OPENED);
    rpch_server_sent(&sv, 16);
    ck_assert_int_eq(sv.out_state, RPCH_SERVER_OUT_A4W);
    ck_assert_int_eq(out_r2_a4(0xb8), RPCH_OK);
    ck_assert_int_eq(in_cookie(0, RPCH_OUT_R2_A8, 0xb8), RPCH_OK);
    ck_assert_int_eq(sv.out_state, RPCH_SERVER_OUT_OPENED);
    ck_assert_uint_eq(rpch_server_lifetime_left(&sv), 4000);
}
END_TEST

/* What others cause counts as well. */
START_TEST(test_server_life_others)
{
    rpch_rts_values v = role_values(0xb0, 0);

    v.notify = 1040;
    open_with(0);
    spend_to(RESERVE + 1039);
    ck_assert_int_eq(out_rts(RPCH_PING_TRAFFIC_SENT_NOTIFY, &v, 1000),
                     RPCH_OK);
    ck_assert_int_eq(sv.out_state, RPCH_SERVER_OUT_A4W);
    open_with(0);
    spend_to(RESERVE + 55);
    v.dest = RPCH_DEST_OUT_PROXY;
    in_rts(RPCH_FLOW_CONTROL_ACK_DEST, &v, 0);
    ck_assert_int_eq(sv.out_state, RPCH_SERVER_OUT_OPENED);
    v.dest = RPCH_DEST_CLIENT;
    in_rts(RPCH_FLOW_CONTROL_ACK_DEST, &v, 0);
    ck_assert_int_eq(sv.out_state, RPCH_SERVER_OUT_A4W);
    open_with(0);
    spend_to(RESERVE + 27);
    in_cookie(0, RPCH_IN_R2_A2, 0xc8);
    ck_assert_int_eq(sv.out_state, RPCH_SERVER_OUT_A4W);
    open_with(0);
    spend_to(RESERVE + 51);
    in_successor(0xc0, 0xc8);
    ck_assert_int_eq(sv.out_state, RPCH_SERVER_OUT_A4W);
}
END_TEST

/* A full lane puts the question off, and no longer. */
START_TEST(test_server_life_full_lane)
{
    rpch_rts_values v = role_values(0xb0, 0);

    open_with(0);
    spend_to(RESERVE + 200);
    v.dest = RPCH_DEST_OUT_PROXY;
    while (rpch_lane_has_reserve(to_out()))
        ck_assert_int_eq(in_rts(RPCH_FLOW_CONTROL_ACK_DEST, &v, 0), RPCH_OK);
    rpch_server_sent(&sv, 1000);
    ck_assert_int_eq(sv.out_state, RPCH_SERVER_OUT_OPENED);
    empty_lanes();
    rpch_server_sent(&sv, 16);
    ck_assert_int_eq(sv.out_state, RPCH_SERVER_OUT_A4W);
    ck_assert_uint_eq(waiting(to_out()), 28);
}
END_TEST

/* ---- joined -------------------------------------------------------------- */

START_TEST(test_server_life_joined)
{
    open_with(RPCH_JOINED);
    ck_assert_uint_eq(rpch_server_lifetime_left(&sv), LIFETIME);
    rpch_server_spent(&sv, LIFETIME - RESERVE, false);
    ck_assert_int_eq(sv.out_state, RPCH_SERVER_OUT_OPENED);
    rpch_server_spent(&sv, LIFETIME - RESERVE + 1, false);
    ck_assert_int_eq(sv.out_state, RPCH_SERVER_OUT_A4W);
    ck_assert_uint_eq(waiting(to_out()), 28);
    open_with(RPCH_JOINED);
    rpch_server_spent(&sv, 100000, true);
    ck_assert_int_eq(sv.out_state, RPCH_SERVER_OUT_A4W);
    ck_assert(rpch_server_deadline(&sv) != RPCH_NEVER);
    ck_assert_int_eq(out_r2_a4(0xb8), RPCH_OK);
    ck_assert_int_eq(in_cookie(0, RPCH_OUT_R2_A8, 0xb8), RPCH_OK);
    empty_lanes();
    /* The old channel's last count is not the new one's. */
    rpch_server_spent(&sv, LIFETIME - 1, true);
    ck_assert_int_eq(sv.out_state, RPCH_SERVER_OUT_OPENED);
    ck_assert_uint_eq(waiting(to_out()), 0);
    ck_assert_uint_eq(rpch_server_lifetime_left(&sv), LIFETIME);
}
END_TEST

/* The first form has no place in a joined role. */
START_TEST(test_server_life_joined_r1)
{
    rpch_rts_values v = role_values(0xc0, 0xc8);

    open_with(RPCH_JOINED);
    ck_assert_int_eq(in_rts(RPCH_IN_R1_A2, &v, 0), RPCH_E_UNEXPECTED);
    open_with(RPCH_JOINED);
    ck_assert_int_eq(in_rts(RPCH_IN_R1_B1, &v, 0), RPCH_E_UNEXPECTED);
    open_with(RPCH_JOINED);
    out_to(RPCH_SERVER_OUT_A4W);
    v = role_values(0xb0, 0xb8);
    ck_assert_int_eq(out_rts(RPCH_OUT_R1_A4, &v, 0), RPCH_E_UNEXPECTED);
}
END_TEST

/* The machine goes through an image to a fresh one, whose clock and limits
 * are others. */
static void pass_on(rpch_msec now, rpch_msec then)
{
    rpch_limits l = recycling_limits();
    rpch_server_image image, again;
    rpch_server was = sv;

    rpch_server_save(&sv, &image, now);
    rpch_server_init(&sv, &l, RPCH_JOINED, NULL, NULL, then);
    ck_assert_int_eq(rpch_server_restore(&sv, &image, then), RPCH_OK);
    rpch_server_save(&sv, &again, then);
    ck_assert_int_eq(memcmp(&image, &again, sizeof(image)), 0);
    ck_assert_int_eq(sv.core.state, was.core.state);
    ck_assert_int_eq(sv.out_state, was.out_state);
    ck_assert(rpch_cookie_equal(&sv.vc, &was.vc));
    ck_assert(rpch_cookie_equal(&sv.group, &was.group));
    ck_assert(rpch_cookie_equal(&sv.in[0].channel, &was.in[0].channel));
    ck_assert(rpch_cookie_equal(&sv.out[0].channel, &was.out[0].channel));
    ck_assert(rpch_cookie_equal(&sv.out[0].previous, &was.out[0].previous));
    ck_assert(rpch_cookie_equal(&sv.out[0].coming, &was.out[0].coming));
    ck_assert_uint_eq(sv.address.addr[3], was.address.addr[3]);
    ck_assert_uint_eq(sv.in_window, was.in_window);
    ck_assert_uint_eq(sv.in_timeout, was.in_timeout);
    ck_assert_uint_eq(sv.out[0].used, was.out[0].used);
    ck_assert_uint_eq(sv.out[0].lifetime, was.out[0].lifetime);
    ck_assert_uint_eq(sv.out[0].tx.off, was.out[0].tx.off);
    ck_assert_uint_eq(sv.notified, was.notified);
    ck_assert_uint_eq(sv.in_recycled, was.in_recycled);
    ck_assert_uint_eq(sv.out_recycled, was.out_recycled);
    ck_assert_uint_eq(waiting(to_in()), waiting(&was.in[0].lane));
    ck_assert_uint_eq(waiting(to_out()), waiting(&was.out[0].lane));
    ck_assert_uint_eq(rpch_server_wants(&sv), rpch_server_wants(&was));
}

START_TEST(test_server_life_image_opened)
{
    rpch_rts_values v = role_values(0, 0);

    open_with(RPCH_JOINED);
    v.notify = 8000;
    out_rts(RPCH_PING_TRAFFIC_SENT_NOTIFY, &v, 2000);
    in_cookie(0, RPCH_IN_R2_A2, 0xc8); /* leaves something in a lane */
    rpch_server_spent(&sv, 1000, false);
    pass_on(3000, 500000);
    ck_assert_uint_eq(rpch_server_deadline(&sv), RPCH_NEVER);
    check_lane(to_out(), "05001403 10000000 1c000000 00000000 00000100"
                         "0d000000 00000000");
    /* The bound on Pings came along. */
    v.notify = 1000;
    ck_assert_int_eq(out_rts(RPCH_PING_TRAFFIC_SENT_NOTIFY, &v, 600000),
                     RPCH_E_UNEXPECTED);
}
END_TEST

START_TEST(test_server_life_image_a4w)
{
    open_with(RPCH_JOINED);
    out_to(RPCH_SERVER_OUT_A4W);
    pass_on(2000, 70000);
    ck_assert_uint_eq(waiting(to_out()), 28);
    ck_assert_int_eq(out_r2_a4(0xb8), RPCH_OK);
    ck_assert_int_eq(in_cookie(0, RPCH_OUT_R2_A8, 0xb8), RPCH_OK);
    ck_assert_uint_eq(sv.out[0].channel.b[0], 0xb8);
}
END_TEST

START_TEST(test_server_life_image_r2a8w)
{
    open_with(RPCH_JOINED);
    out_to(RPCH_SERVER_OUT_R2A8W);
    pass_on(2000, 70000);
    ck_assert_uint_eq(rpch_server_deadline(&sv), 70000 + 899000);
    ck_assert_int_eq(in_cookie(0, RPCH_OUT_R2_A8, 0xb9), RPCH_E_COOKIE);
}
END_TEST

/* After OUT_R2/B1, as it happens: the new channel's bytes count again. */
START_TEST(test_server_life_image_switched)
{
    open_with(RPCH_JOINED);
    out_to(RPCH_SERVER_OUT_R2A8W);
    in_cookie(0, RPCH_OUT_R2_A8, 0xb8);
    empty_lanes();
    rpch_server_spent(&sv, LIFETIME, true);
    pass_on(2000, 70000);
    ck_assert_uint_eq(rpch_server_deadline(&sv), RPCH_NEVER);
    rpch_server_spent(&sv, 100, false);
    ck_assert_uint_eq(rpch_server_lifetime_left(&sv), LIFETIME - 100);
    ck_assert_uint_eq(sv.out_recycled, 1);
    /* And the next recycling. */
    rpch_server_spent(&sv, LIFETIME - RESERVE + 1, false);
    ck_assert_uint_eq(waiting(to_out()), 28);
    ck_assert_int_eq(out_r2_a4(0xbc), RPCH_OK);
    ck_assert_int_eq(in_cookie(0, RPCH_OUT_R2_A8, 0xbc), RPCH_OK);
}
END_TEST

START_TEST(test_server_life_image_half)
{
    rpch_rts_values a2 = a2_values();
    rpch_rts_values b2 = b2_values();
    rpch_limits l = recycling_limits();
    int b2_first;

    for (b2_first = 0; b2_first < 2; b2_first++) {
        start_with(&l, RPCH_JOINED);
        pass_on(1000, 5000);
        if (b2_first)
            in_rts(RPCH_CONN_B2, &b2, 5000);
        else
            out_rts(RPCH_CONN_A2, &a2, 5000);
        pass_on(6000, 10000);
        ck_assert_uint_eq(rpch_server_deadline(&sv), 10000 + 899000);
        pass_on(2000000, 10000); /* overdue */
        ck_assert_uint_eq(rpch_server_deadline(&sv), 10001);
        if (b2_first)
            out_rts(RPCH_CONN_A2, &a2, 0);
        else
            in_rts(RPCH_CONN_B2, &b2, 0);
        ck_assert_int_eq(sv.core.state, RPCH_SERVER_OPENED);
        ck_assert_uint_eq(waiting(to_out()), 44);
        pass_on(0, 0);
    }
}
END_TEST

START_TEST(test_server_life_image_bad)
{
    rpch_server_image good, bad;
    int i, refused = 0;

    open_with(RPCH_JOINED);
    in_cookie(0, RPCH_IN_R2_A2, 0xc8);
    rpch_server_save(&sv, &good, 0);
    for (i = 0; i < 14; i++) {
        bad = good;
        switch (i) {
        case 0: bad.state = RPCH_SERVER_FINISHED; break;
        case 1: bad.state = -1; break;
        case 2: bad.in_state = RPCH_SERVER_IN_A6W; break;
        case 3: bad.out_state = RPCH_SERVER_OUT_A8W; break;
        case 4: bad.out_state = RPCH_SERVER_OUT_STATE_MAX; break;
        case 5: bad.has_in = false; break;
        case 6: bad.has_out = false; break;
        case 7: bad.to_out_len = RPCH_LANE_SIZE + 1; break;
        case 8: bad.to_out_len = 27; break;
        case 9: bad.to_out[8] = 0; break;
        case 10: bad.to_in_len = 10; break;
        /* timers of a setup and of a successor that are not awaited */
        case 11: bad.setup_span = 1000; break;
        case 12: bad.out_span = 1000; break;
        default: bad.notified = 8193; break;
        }
        start(RPCH_JOINED);
        refused += rpch_server_restore(&sv, &bad, 0) == RPCH_E_VALUE
                && sv.core.state == RPCH_SERVER_OPEN_START;
    }
    ck_assert_int_eq(refused, 14);
    start(0); /* not joined */
    ck_assert_int_eq(rpch_server_restore(&sv, &good, 0), RPCH_E_VALUE);
    start(RPCH_JOINED);
    ck_assert_int_eq(rpch_server_restore(&sv, &good, 0), RPCH_OK);
    ck_assert_int_eq(rpch_server_restore(&sv, &good, 0), RPCH_E_VALUE);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("server_life");
    TCase *t = tcase_create("life");

    tcase_add_test(t, test_server_life_reserve);
    tcase_add_test(t, test_server_life_pdu_does_not_fit);
    tcase_add_test(t, test_server_life_pdu_fits_no_channel);
    tcase_add_test(t, test_server_life_short_channel);
    tcase_add_test(t, test_server_life_others);
    tcase_add_test(t, test_server_life_full_lane);
    tcase_add_test(t, test_server_life_joined);
    tcase_add_test(t, test_server_life_joined_r1);
    tcase_add_test(t, test_server_life_image_opened);
    tcase_add_test(t, test_server_life_image_a4w);
    tcase_add_test(t, test_server_life_image_r2a8w);
    tcase_add_test(t, test_server_life_image_switched);
    tcase_add_test(t, test_server_life_image_half);
    tcase_add_test(t, test_server_life_image_bad);
    suite_add_tcase(s, t);
    return test_main(s);
}
