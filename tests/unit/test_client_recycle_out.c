/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_client_recycle_out.c - OUT recycling by the client role, OUT_R1 and
 * OUT_R2, 3.2.2.5.6 to 3.2.2.5.10, byte by byte.
 */
#include "client_recycle_test.h"

static void fire_out(int e)
{
    static const rpch_pdu_id id[] = {
        [RPCH_CLIENT_OUT_EV_A2] = RPCH_OUT_R2_A2,
        [RPCH_CLIENT_OUT_EV_R1_A6] = RPCH_OUT_R1_A6,
        [RPCH_CLIENT_OUT_EV_R2_A6] = RPCH_OUT_R2_A6,
        [RPCH_CLIENT_OUT_EV_R1_A10] = RPCH_OUT_R1_A10,
        [RPCH_CLIENT_OUT_EV_R2_B3] = RPCH_OUT_R2_B3
    };
    rpch_cookie c = role_cookie(0x70);

    if (e == RPCH_CLIENT_OUT_EV_REQUESTED)
        rpch_client_requested(&cl, false, &c, 1000);
    else if (e == RPCH_CLIENT_OUT_EV_TIMEOUT)
        rpch_client_timeout(&cl, RPCH_NEVER);
    else if (e == RPCH_CLIENT_OUT_EV_RESPONSE)
        rpch_client_response(&cl, cl.out[1].use == RPCH_CLIENT_FREE ? 0 : 1,
                             200, 1000);
    else
        take(id[e]);
}

START_TEST(test_client_recycle_out_table)
{
    /* OPENED, REQUEST, A6W, A10W, B3W, RESPONSE */
    static const char *const expected[RPCH_CLIENT_OUT_EV_MAX] = {
        [RPCH_CLIENT_OUT_EV_A2] = "Qxxxxx",
        [RPCH_CLIENT_OUT_EV_REQUESTED] = "-6----",
        [RPCH_CLIENT_OUT_EV_R1_A6] = "xx1xxx",
        [RPCH_CLIENT_OUT_EV_R2_A6] = "xxBxxx",
        [RPCH_CLIENT_OUT_EV_R1_A10] = "xxxRxx",
        [RPCH_CLIENT_OUT_EV_R2_B3] = "xxxxRx",
        [RPCH_CLIENT_OUT_EV_RESPONSE] = "xxxx-O",
        [RPCH_CLIENT_OUT_EV_TIMEOUT] = "--tttt"
    };
    int e, s;

    for (e = 0; e < RPCH_CLIENT_OUT_EV_MAX; e++) {
        ck_assert_uint_eq(strlen(expected[e]), RPCH_CLIENT_OUT_STATE_MAX);
        for (s = 0; s < RPCH_CLIENT_OUT_STATE_MAX; s++) {
            drive_out(s);
            if (s == RPCH_CLIENT_OUT_RESPONSE) /* the slot is asked of */
                rpch_client_out_closed(&cl, 0);
            fire_out(e);
            check_cell(&rpch_client_out_table, e, s, expected[e][s],
                       "OQ61BR", &cl.out_state);
        }
    }
    check_all_visited(&rpch_client_out_table, -1);
}
END_TEST

START_TEST(test_client_recycle_out_r1)
{
    drive_out(RPCH_CLIENT_OUT_REQUEST);
    ck_assert(wants(RPCH_WANT_OUT_REQUEST));
    ck_assert(wants(RPCH_WANT_SERVER_READ));
    ck_assert_uint_eq(requested(false, 0xe0, 1000), 1);
    check_lane(&cl.out[1].body, OUT_A3);
    ck_assert(!wants(RPCH_WANT_OUT_REQUEST));
    rpch_client_body_ack(&cl, 1, 96);
    ck_assert_int_eq(take(RPCH_OUT_R1_A6), RPCH_OK);
    check_lane(&cl.in[0].lane, OUT_R1_A7);
    check_lane(&cl.out[1].body, "");
    ck_assert_int_eq(rpc(1000), RPCH_OK);
    ck_assert_uint_eq(rpch_client_out_slot(&cl), 0);

    ck_assert_int_eq(take(RPCH_OUT_R1_A10), RPCH_OK);
    check_lane(&cl.out[1].body, OUT_A11);
    ck_assert(rpch_client_over(&cl, false, 0));
    ck_assert_uint_eq(rpch_client_out_slot(&cl), 1);
    ck_assert(!wants(RPCH_WANT_SERVER_READ));
    ck_assert_int_eq(rpch_client_response(&cl, 1, 200, 2000), RPCH_OK);
    ck_assert(wants(RPCH_WANT_SERVER_READ));
    ck_assert_int_eq(cl.out_state, RPCH_CLIENT_OUT_OPENED);
    ck_assert_uint_eq(rpch_client_deadline(&cl), 61000);
    ck_assert_int_eq(rpc(1000), RPCH_OK);
    ck_assert_uint_eq(cl.counts.out_r1, 1);
}
END_TEST

START_TEST(test_client_recycle_out_r2)
{
    drive_out(RPCH_CLIENT_OUT_A6W);
    ck_assert_int_eq(take(RPCH_OUT_R2_A6), RPCH_OK);
    check_lane(&cl.out[1].body, OUT_C1);
    check_lane(&cl.in[0].lane, OUT_R2_A7);
    ck_assert_int_eq(take(RPCH_OUT_R2_B3), RPCH_OK);
    ck_assert_int_eq(cl.out_state, RPCH_CLIENT_OUT_RESPONSE);
    ck_assert_int_eq(rpch_client_response(&cl, 1, 200, 2000), RPCH_OK);
    ck_assert_int_eq(cl.out_state, RPCH_CLIENT_OUT_OPENED);
    ck_assert_uint_eq(cl.counts.out_r2, 1);
    ck_assert_uint_eq(cl.counts.out_r1, 0);
}
END_TEST

/* The successor's head and PDUs overtake OUT_R2/B3: they are not read before
 * it. */
START_TEST(test_client_recycle_out_r2_overtakes)
{
    uint8_t pdu[100];
    rpch_step step;

    drive_out(RPCH_CLIENT_OUT_B3W);
    ck_assert_int_eq(rpch_client_response(&cl, 1, 200, 1000), RPCH_OK);
    role_rpc(pdu, 100, 1);
    ck_assert_int_eq(rpch_client_out_recv(&cl, 1, pdu, 100, &step, 1000),
                     RPCH_OK);
    ck_assert_uint_eq(step.used, 0);
    ck_assert_int_eq(rpc(1000), RPCH_OK); /* the old one goes on */
    ck_assert_int_eq(take(RPCH_OUT_R2_B3), RPCH_OK);
    ck_assert_int_eq(cl.out_state, RPCH_CLIENT_OUT_OPENED);
    ck_assert_uint_eq(rpch_client_deadline(&cl), 61000);
    ck_assert(wants(RPCH_WANT_SERVER_READ));
    ck_assert_int_eq(rpch_client_out_recv(&cl, 1, pdu, 100, &step, 1000),
                     RPCH_OK);
    ck_assert_uint_eq(step.used, 100);
    ck_assert_int_eq(rpch_client_response(&cl, 1, 200, 1000),
                     RPCH_E_UNEXPECTED);
}
END_TEST

START_TEST(test_client_recycle_out_second_response)
{
    drive_out(RPCH_CLIENT_OUT_B3W);
    ck_assert_int_eq(rpch_client_response(&cl, 0, 200, 1000),
                     RPCH_E_UNEXPECTED);
    drive_out(RPCH_CLIENT_OUT_B3W);
    ck_assert_int_eq(rpch_client_response(&cl, 1, 200, 1000), RPCH_OK);
    ck_assert_int_eq(rpch_client_response(&cl, 1, 200, 1000),
                     RPCH_E_UNEXPECTED);
}
END_TEST

/* Windows sends undefined bytes after A10 and B3. */
START_TEST(test_client_recycle_out_extra_bytes)
{
    static const uint8_t junk[64] = { 0xff, 0x13, 5, 0 };
    rpch_step step;

    drive_out(RPCH_CLIENT_OUT_B3W);
    ck_assert_int_eq(take(RPCH_OUT_R2_B3), RPCH_OK);
    ck_assert_int_eq(rpch_client_out_recv(&cl, 0, junk, 64, &step, 1000),
                     RPCH_OK);
    ck_assert_uint_eq(step.used, 64);
    ck_assert_ptr_null(step.pass);
    ck_assert_int_eq(rpch_client_response(&cl, 0, 503, 1000), RPCH_OK);
    rpch_client_out_closed(&cl, 0);
    ck_assert_int_eq(rpch_client_out_recv(&cl, 0, junk, 64, &step, 1000),
                     RPCH_OK);
    ck_assert_uint_eq(step.used, 64);
    ck_assert_int_eq(cl.core.state, RPCH_CLIENT_OPENED);
}
END_TEST

START_TEST(test_client_recycle_out_refused)
{
    drive_out(RPCH_CLIENT_OUT_A6W);
    ck_assert_int_eq(rpch_client_response(&cl, 1, 503, 1000), RPCH_E_POLICY);
    ck_assert_int_eq(cl.core.state, RPCH_CLIENT_FINISHED);
    ck_assert_uint_eq(rpch_client_deadline(&cl), RPCH_NEVER);
}
END_TEST

/* What came on the old C-OUT and is consumed after the switch is not of the
 * successor's window. */
/* A predecessor's slot is freed by its end, also when the machine has ended
 * before. */
START_TEST(test_client_recycle_out_closed_after_end)
{
    drive_out(RPCH_CLIENT_OUT_RESPONSE);
    ck_assert(rpch_client_over(&cl, false, 0));
    rpch_client_fail(&cl, RPCH_E_POLICY, "the test");
    ck_assert(rpch_client_over(&cl, false, 0));
    rpch_client_out_closed(&cl, 0);
    ck_assert(!rpch_client_over(&cl, false, 0));
    ck_assert_int_eq(cl.core.status, RPCH_E_POLICY);
}
END_TEST

START_TEST(test_client_recycle_out_window)
{
    drive_out(RPCH_CLIENT_OUT_B3W);
    ck_assert_int_eq(rpc(30000), RPCH_OK);
    ck_assert_int_eq(rpc(20000), RPCH_OK);
    ck_assert_int_eq(take(RPCH_OUT_R2_B3), RPCH_OK);
    ck_assert_int_eq(rpch_client_response(&cl, 1, 200, 1000), RPCH_OK);
    ck_assert_int_eq(rpc(40000), RPCH_OK);
    rpch_client_consumed(&cl, 30000);
    rpch_client_consumed(&cl, 20000);
    check_lane(&cl.in[0].lane, "");
    ck_assert_int_eq(cl.rx.avail, 65536 - 40000);
    ck_assert_uint_eq(cl.queued, 40000);
    rpch_client_consumed(&cl, 40000);
    check_lane(&cl.in[0].lane,
               "05001403 10000000 38000000 00000000 02000200"
               "0d000000 03000000 01000000 409c0000 00000100" COOKIE_E0);
}
END_TEST

/* A2 may come while the slot is still taken by the predecessor before. */
START_TEST(test_client_recycle_out_again)
{
    rpch_cookie c = role_cookie(0x70);
    int i;

    open_with(0);
    for (i = 0; i < 10; i++) {
        unsigned old = rpch_client_out_slot(&cl), slot = 1 - old;

        ck_assert_int_eq(take(RPCH_OUT_R1_A2), RPCH_OK);
        ck_assert(wants(RPCH_WANT_OUT_REQUEST) == (i == 0));
        if (i > 0)
            ck_assert_int_eq(rpch_client_requested(&cl, false, &c, 1000), -1);
        rpch_client_out_closed(&cl, slot);
        ck_assert(wants(RPCH_WANT_OUT_REQUEST));
        ck_assert_uint_eq(requested(false, (uint8_t)(0x10 + i), 1000), slot);
        rpch_client_body_ack(&cl, slot, 96);
        ck_assert_int_eq(take(i % 2 ? RPCH_OUT_R1_A6 : RPCH_OUT_R2_A6),
                         RPCH_OK);
        ck_assert_int_eq(take(i % 2 ? RPCH_OUT_R1_A10 : RPCH_OUT_R2_B3),
                         RPCH_OK);
        rpch_client_body_ack(&cl, slot, 24);
        rpch_client_in_ack(&cl, 0, 56, 1000);
        ck_assert_int_eq(rpch_client_response(&cl, slot, 200, 1000), RPCH_OK);
        ck_assert_int_eq(take(RPCH_PING), RPCH_OK);
    }
    ck_assert_uint_eq(cl.counts.out_r1, 5);
    ck_assert_uint_eq(cl.counts.out_r2, 5);
    ck_assert_uint_eq(cl.counts.pings_received, 10);
}
END_TEST

/* C-OUT up to its last PDU, however it is cut. */
START_TEST(test_client_recycle_stream_cuts)
{
    static uint8_t stream[8000];
    rpch_rts_values v = role_values(0, 0);
    uint32_t round;
    size_t len;

    len = role_rts(RPCH_OUT_R2_A6, &v, stream);
    len += role_rpc(stream + len, 5000, 1);
    len += role_rts(RPCH_PING, &v, stream + len);
    len += role_rts(RPCH_OUT_R2_B3, &v, stream + len);
    memset(stream + len, 0xee, 500); /* undefined */
    len += 500;
    for (round = 0; round < 42; round++) {
        int how = round == 0 ? ROLE_WHOLE : round == 1 ? ROLE_BYTES
                : ROLE_RANDOM;
        uint32_t seed = round;
        size_t at = 0;

        drive_out(RPCH_CLIENT_OUT_A6W);
        while (at < len) {
            rpch_step step;

            ck_assert_int_eq(rpch_client_out_recv(
                &cl, 0, stream + at, role_cut(how, len - at, &seed), &step,
                1000), RPCH_OK);
            ck_assert_uint_gt(step.used, 0);
            at += step.used;
        }
        ck_assert_int_eq(cl.out_state, RPCH_CLIENT_OUT_RESPONSE);
        ck_assert_uint_eq(cl.queued, 5000);
        check_lane(&cl.in[0].lane, OUT_R2_A7);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("client recycling, OUT");
    TCase *t = tcase_create("core");

    tcase_add_test(t, test_client_recycle_out_table);
    tcase_add_test(t, test_client_recycle_out_r1);
    tcase_add_test(t, test_client_recycle_out_r2);
    tcase_add_test(t, test_client_recycle_out_r2_overtakes);
    tcase_add_test(t, test_client_recycle_out_second_response);
    tcase_add_test(t, test_client_recycle_out_extra_bytes);
    tcase_add_test(t, test_client_recycle_out_refused);
    tcase_add_test(t, test_client_recycle_out_closed_after_end);
    tcase_add_test(t, test_client_recycle_out_window);
    tcase_add_test(t, test_client_recycle_out_again);
    tcase_add_test(t, test_client_recycle_stream_cuts);
    suite_add_tcase(s, t);
    return test_main(s);
}
