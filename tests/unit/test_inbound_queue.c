/* SPDX-License-Identifier: Apache-2.0 */
/* test_inbound_queue.c - the inbound proxy machine through IN_R2: RPC PDUs that
 * the server has not taken when S-IN goes to the successor */
#include "inbound_test.h"

static rpch_inbound old; /* the predecessor, when m is its successor */
static rpch_in_leg leg;

static int attach_e0(void)
{
    rpch_succession s = heir_of_c0();
    const char *reason = NULL;

    return rpch_inbound_attach(&m, &s, &reason);
}

/* m becomes the predecessor, and a successor of it that is attached the
 * machine under test. */
static void change_sides(void)
{
    unsigned flags = m.core.flags;

    old = m;
    drive(flags, RPCH_IN_PLUGGED);
}

/* The window is closed, and opens after the leg has moved: what was queued
 * goes out there, in its order, and counts for S-IN alone. */
START_TEST(test_inbound_queue_moves)
{
    rpch_rts_values v = role_values(0xc0, 0);

    v.window = 8192;
    drive(0, RPCH_IN_B3W);
    ck_assert_int_eq(server_rts(RPCH_CONN_B3, &v), RPCH_OK);
    ck_assert_int_eq(attach_e0(), RPCH_OK);
    ck_assert_int_eq(rpc_through(6000, true), RPCH_OK);
    ck_assert_int_eq(rpc_through(6000, false), RPCH_OK);
    ck_assert_int_eq(rpc_through(5000, false), RPCH_OK);
    ck_assert_int_eq(client_a5(0xe0), RPCH_OK);
    /* no PDU begins here any more, and S-IN is still heard */
    ck_assert_uint_eq(rpch_inbound_wants(&m),
                      RPCH_WANT_RELEASE | RPCH_WANT_SERVER_READ);
    ck_assert_int_eq(server_ack(0xe0, 0, 8192), RPCH_OK);
    ck_assert(!rpch_inbound_may_send(&m, 16));
    ck_assert_int_eq(rpch_inbound_release(&m, &leg), RPCH_OK);
    ck_assert_uint_eq(m.rpc_bytes, 6000);
    ck_assert_uint_eq(leg.queued, 11000);
    ck_assert_uint_eq(leg.begun, 0);
    ck_assert_uint_eq(leg.tx.sent, 6000);
    change_sides();
    ck_assert_int_eq(rpch_inbound_adopt(&m, &leg, START), RPCH_OK);
    ck_assert_uint_eq(m.queued, 11000);
    ck_assert(!rpch_inbound_may_send(&m, 6000));
    rpch_lane_init(&m.to_server);
    ck_assert_int_eq(server_ack(0xe0, 6000, 8192), RPCH_OK);
    ck_assert(rpch_inbound_may_send(&m, 6000));
    rpch_inbound_pdu_begin(&m, 6000);
    rpch_inbound_pdu_done(&m, 6000, START);
    ck_assert(!rpch_inbound_may_send(&m, 5000));
    ck_assert_int_eq(server_ack(0xe0, 12000, 8192), RPCH_OK);
    rpch_inbound_pdu_begin(&m, 5000);
    rpch_inbound_pdu_done(&m, 5000, START);
    ck_assert_uint_eq(m.tx.sent, 17000);
    ck_assert_uint_eq(m.rpc_bytes, 11000);
    ck_assert_uint_eq(m.queued, 0);
    /* nothing of it came by this C-IN */
    ck_assert_uint_eq(m.rx.received, 0);
    ck_assert_int_eq(m.rx.avail, 65536);
    expect_lane("");
}
END_TEST

/* S-IN changes hands with n bytes of a PDU written, for every n. */
START_TEST(test_inbound_queue_moves_within_a_pdu)
{
    uint32_t n;

    for (n = 0; n < 500; n++) {
        drive(0, RPCH_IN_OPENED_A5W);
        ck_assert_int_eq(rpc_through(500, false), RPCH_OK);
        ck_assert_int_eq(rpc_through(300, false), RPCH_OK);
        rpch_inbound_pdu_begin(&m, 500);
        ck_assert_int_eq(client_a5(0xe0), RPCH_OK);
        ck_assert_int_eq(rpch_inbound_release(&m, &leg), RPCH_OK);
        ck_assert_uint_eq(leg.queued, 800);
        ck_assert_uint_eq(leg.begun, 500);
        ck_assert_uint_eq(leg.begun_left, 500);
        ck_assert_uint_eq(leg.tx.sent, 500);
        leg.begun_left = 500 - n;
        change_sides();
        ck_assert_int_eq(rpch_inbound_adopt(&m, &leg, START), RPCH_OK);
        ck_assert_uint_eq(m.begun, 500);
        ck_assert_uint_eq(m.queued, 800);
        ck_assert_int_eq(rpc_through(200, false), RPCH_OK);
        rpch_inbound_pdu_done(&m, 500, START);
        ck_assert_uint_eq(m.begun, 0);
        ck_assert_uint_eq(m.queued, 500);
        /* it was counted when it began */
        ck_assert_uint_eq(m.tx.sent, 500);
        ck_assert_uint_eq(m.rpc_pdus, 1);
    }
}
END_TEST

/* What ends in RELEASE is no longer the channel's to acknowledge, and what
 * came by its C-IN is not acknowledged by the next one, either. */
START_TEST(test_inbound_queue_pdu_ends_in_release)
{
    drive(0, RPCH_IN_OPENED_A5W);
    ck_assert_int_eq(rpc_through(40000, false), RPCH_OK);
    ck_assert_int_eq(rpc_through(20000, false), RPCH_OK);
    rpch_inbound_pdu_begin(&m, 40000);
    ck_assert_int_eq(client_a5(0xe0), RPCH_OK);
    rpch_inbound_pdu_done(&m, 40000, START);
    expect_lane("");
    ck_assert_int_eq(m.core.state, RPCH_IN_RELEASE);
    rpch_inbound_pdu_begin(&m, 20000);
    expect_end(RPCH_E_BUG, "an RPC PDU starts on a closed S-IN");
    drive(0, RPCH_IN_OPENED_A5W);
    ck_assert_int_eq(rpc_through(40000, false), RPCH_OK);
    rpch_inbound_pdu_begin(&m, 40000);
    ck_assert_int_eq(client_a5(0xe0), RPCH_OK);
    ck_assert_int_eq(rpch_inbound_release(&m, &leg), RPCH_OK);
    change_sides();
    ck_assert_int_eq(rpch_inbound_adopt(&m, &leg, START), RPCH_OK);
    ck_assert_int_eq(rpc_through(30000, false), RPCH_OK);
    rpch_inbound_pdu_done(&m, 40000, START);
    expect_lane("");
    ck_assert_uint_eq(m.inherited, 0);
    /* its own count from here */
    ck_assert_int_eq(rpc_through(10000, false), RPCH_OK);
    ck_assert_int_eq(server_ack(0xe0, 40000, 65536), RPCH_OK);
    rpch_inbound_pdu_begin(&m, 30000);
    rpch_inbound_pdu_done(&m, 30000, START);
    expect_lane("05001403 10000000 38000000 00000000 02000200"
                "0d000000 00000000"
                "01000000 409c0000 f0d80000 e0e1e2e3e4e5e6e7e8e9eaebecedeeef");
}
END_TEST

/* Brings S-IN from m, where a successor is attached, to that successor, with
 * all that is queued. */
static void hand_on(void)
{
    ck_assert_int_eq(client_a5(0xe0), RPCH_OK);
    ck_assert_int_eq(rpch_inbound_release(&m, &leg), RPCH_OK);
    change_sides();
    ck_assert_int_eq(rpch_inbound_adopt(&m, &leg, START), RPCH_OK);
    /* it is c0 for the one after it */
    m.channel = role_cookie(0xc0);
    rpch_lane_init(&m.to_server);
}

/* What was inherited takes nothing from what the client may send here; but
 * the queue does not grow for ever by it. */
START_TEST(test_inbound_queue_is_bounded)
{
    const char *reason = NULL;
    rpch_succession s = heir_of_c0();
    uint64_t own;
    int moves = 0;

    drive(0, RPCH_IN_OPENED);
    while (m.queued <= RPCH_IN_MOVED_MAX) {
        for (own = 0; rpch_inbound_wants(&m) & RPCH_WANT_CLIENT_READ;
             own += 4096)
            ck_assert_int_eq(rpc_through(4096, false), RPCH_OK);
        ck_assert_uint_eq(own, 65536 + RPCH_QUEUE_SLACK + 4096);
        ck_assert_uint_eq(m.queued, own + m.inherited);
        if (m.queued > RPCH_IN_MOVED_MAX)
            break;
        ck_assert_int_eq(attach_e0(), RPCH_OK);
        /* a client that keeps to the window gets its A5 through; so does this
         * one now */
        m.queued -= 4096;
        hand_on();
        moves++;
    }
    ck_assert_int_ge(moves, 7);
    memcpy(&old, &m, sizeof(m));
    ck_assert_int_eq(rpch_inbound_attach(&m, &s, &reason), RPCH_E_ROOM);
    ck_assert_str_eq(reason, "too many RPC PDUs wait for the server");
    ck_assert_mem_eq(&m, &old, sizeof(m));
    while (m.queued > RPCH_IN_MOVED_MAX)
        rpch_inbound_pdu_done(&m, 4096, START);
    ck_assert_int_eq(attach_e0(), RPCH_OK);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("inbound_queue");
    TCase *t = tcase_create("queue");

    tcase_add_test(t, test_inbound_queue_moves);
    tcase_add_test(t, test_inbound_queue_moves_within_a_pdu);
    tcase_add_test(t, test_inbound_queue_pdu_ends_in_release);
    tcase_add_test(t, test_inbound_queue_is_bounded);
    suite_add_tcase(s, t);
    return test_main(s);
}
