/* SPDX-License-Identifier: Apache-2.0 */
/* test_inbound_leg.c - the inbound proxy machine through IN_R2: S-IN goes from
 * the machine that holds it to that of its successor (3.2.3.5) */
#include "inbound_test.h"

static rpch_inbound old; /* the predecessor, when m is its successor */
static rpch_in_leg leg;

static int attach(rpch_succession s)
{
    const char *reason = NULL;
    int rc = rpch_inbound_attach(&m, &s, &reason);

    ck_assert_int_eq(rc == RPCH_OK, reason == NULL);
    return rc;
}

static int attach_e0(void)
{
    return attach(heir_of_c0());
}

/* m becomes the predecessor, and a successor of it that is attached the
 * machine under test. */
static void change_sides(void)
{
    unsigned flags = m.core.flags;

    old = m;
    drive(flags, RPCH_IN_PLUGGED);
}

START_TEST(test_inbound_r2_byte_exact)
{
    drive(0, RPCH_IN_OPENED);
    ck_assert_int_eq(attach_e0(), RPCH_OK);
    ck_assert_int_eq(m.core.state, RPCH_IN_OPENED_A5W);
    expect_lane(hex_cookie);
    ck_assert_uint_eq(rpch_inbound_wants(&m),
                      RPCH_WANT_CLIENT_READ | RPCH_WANT_SERVER_READ);
    ck_assert(rpch_inbound_deadline(&m) == RPCH_NEVER);
    /* the client still sends here, under the window of the old channel */
    ck_assert_int_eq(rpc_through(40000, true), RPCH_OK);
    expect_lane(hex_ack);
    ck_assert_int_eq(client_a5(0xe0), RPCH_OK);
    ck_assert_int_eq(m.core.state, RPCH_IN_RELEASE);
    expect_lane("");
    ck_assert_uint_eq(rpch_inbound_wants(&m),
                      RPCH_WANT_RELEASE | RPCH_WANT_SERVER_READ);
    rpch_inbound_client_closed(&m);
    ck_assert_int_eq(rpch_inbound_release(&m, &leg), RPCH_OK);
    expect_end(RPCH_E_RECYCLED, "its successor has replaced the IN channel");
    ck_assert_mem_eq(&leg.vc, role_cookie(0xa0).b, 16);
    ck_assert_mem_eq(&leg.predecessor, role_cookie(0xc0).b, 16);
    ck_assert_mem_eq(&leg.successor, role_cookie(0xe0).b, 16);
    ck_assert_mem_eq(&leg.group, role_cookie(0x90).b, 16);
    ck_assert_uint_eq(leg.keepalive, 300000);
    ck_assert_uint_eq(leg.window, 65536);
    ck_assert_uint_eq(leg.tx.sent, 40000);
    ck_assert_uint_eq(leg.tx.avail, 25536);
    ck_assert_uint_eq(leg.queued, 0);
    ck_assert_uint_eq(leg.begun, 0);
    ck_assert_uint_eq(leg.begun_left, 0);
    ck_assert_uint_eq(leg.lane_len, 0);
    ck_assert_uint_eq(leg.tail_len, 0);
    /* it is given away once */
    ck_assert_int_eq(rpch_inbound_release(&m, &leg), RPCH_E_RECYCLED);
}
END_TEST

START_TEST(test_inbound_r2_successor_goes_on)
{
    rpch_rts_values v = role_values(0xc0, 0);

    drive(0, RPCH_IN_OPENED_A5W);
    v.keepalive = 70000;
    ck_assert_int_eq(client_rts(RPCH_KEEP_ALIVE, &v), RPCH_OK);
    ck_assert_int_eq(rpc_through(30000, true), RPCH_OK);
    ck_assert_int_eq(client_a5(0xe0), RPCH_OK);
    ck_assert_int_eq(rpch_inbound_release(&m, &leg), RPCH_OK);
    change_sides();
    ck_assert(!rpch_inbound_may_send(&m, 16));
    ck_assert_uint_eq(rpch_inbound_wants(&m), 0);
    ck_assert_int_eq(rpch_inbound_adopt(&m, &leg, START), RPCH_OK);
    ck_assert_int_eq(m.core.state, RPCH_IN_OPENED);
    ck_assert_uint_eq(rpch_inbound_wants(&m),
                      RPCH_WANT_CLIENT_READ | RPCH_WANT_SERVER_READ);
    ck_assert_uint_eq(m.keepalive, 70000);
    ck_assert_mem_eq(&m.group, role_cookie(0x90).b, 16);
    /* S-IN's counters go on, C-IN's start afresh */
    ck_assert_uint_eq(m.tx.sent, 30000);
    ck_assert_int_eq(rpc_through(30000, true), RPCH_OK);
    ck_assert_uint_eq(m.rx.received, 30000);
    ck_assert_uint_eq(m.tx.sent, 60000);
    ck_assert(!rpch_inbound_may_send(&m, 10000));
    ck_assert_int_eq(server_ack(0xe0, 60000, 65536), RPCH_OK);
    ck_assert_int_eq(rpc_through(10000, true), RPCH_OK);
    expect_lane("05001403 10000000 38000000 00000000 02000200"
                "0d000000 00000000"
                "01000000 409c0000 00000100 e0e1e2e3e4e5e6e7e8e9eaebecedeeef");
    /* and it can be recycled itself */
    ck_assert_int_eq(attach((rpch_succession) {
        role_cookie(0xa0), role_cookie(0xe0), role_cookie(0x70), 65536
    }), RPCH_OK);
    ck_assert_int_eq(client_a5(0x70), RPCH_OK);
    ck_assert_int_eq(rpch_inbound_release(&m, &leg), RPCH_OK);
    ck_assert_mem_eq(&leg.predecessor, role_cookie(0xe0).b, 16);
    ck_assert_mem_eq(&leg.successor, role_cookie(0x70).b, 16);
    ck_assert_uint_eq(leg.tx.sent, 70000);
}
END_TEST

/* The client knows the window of its first in-proxy, which a process with
 * another configuration keeps to. */
START_TEST(test_inbound_r2_window_of_the_leg)
{
    drive(0, RPCH_IN_OPENED_A5W);
    ck_assert_int_eq(client_a5(0xe0), RPCH_OK);
    ck_assert_int_eq(rpch_inbound_release(&m, &leg), RPCH_OK);
    leg.window = 20000;
    change_sides();
    ck_assert_int_eq(rpch_inbound_adopt(&m, &leg, START), RPCH_OK);
    ck_assert_int_eq(rpc_through(16000, true), RPCH_OK);
    expect_lane("05001403 10000000 38000000 00000000 02000200"
                "0d000000 00000000"
                "01000000 803e0000 204e0000 e0e1e2e3e4e5e6e7e8e9eaebecedeeef");
}
END_TEST

/* Acks that were read before the leg goes are still taken. */
START_TEST(test_inbound_r2_ack_before_release)
{
    drive(0, RPCH_IN_OPENED_A5W);
    ck_assert_int_eq(rpc_through(50000, true), RPCH_OK);
    ck_assert_int_eq(client_a5(0xe0), RPCH_OK);
    ck_assert_int_eq(server_ack(0xc0, 50000, 65536), RPCH_OK);
    ck_assert_uint_eq(step.used, 48);
    ck_assert_int_eq(rpch_inbound_release(&m, &leg), RPCH_OK);
    ck_assert_uint_eq(leg.tx.avail, 65536);
}
END_TEST

/* Acks in the name of the channel, of the one before it and of the coming one
 * count; others, by which somebody would widen the window, do not. */
START_TEST(test_inbound_r2_acks_by_name)
{
    static const struct {
        uint8_t channel;
        bool before;  /* while c0 awaits e0 */
        bool after;   /* when e0 has S-IN */
    } c[] = {
        { 0xc0, true, true }, { 0xe0, true, true }, { 0xb0, false, false },
        { 0xa0, false, false }, { 0x70, false, false }
    };
    size_t i;

    for (i = 0; i < sizeof(c) / sizeof(c[0]); i++) {
        drive(0, RPCH_IN_OPENED_A5W);
        ck_assert_int_eq(rpc_through(20000, true), RPCH_OK);
        ck_assert_int_eq(server_ack(c[i].channel, 20000, 60000), RPCH_OK);
        ck_assert_uint_eq(m.tx.avail, c[i].before ? 60000 : 45536);
        drive(0, RPCH_IN_PLUGGED);
        leg = leg_of_c0();
        ck_assert_int_eq(rpch_inbound_adopt(&m, &leg, START), RPCH_OK);
        ck_assert_int_eq(rpc_through(20000, true), RPCH_OK);
        ck_assert_int_eq(server_ack(c[i].channel, 20000, 60000), RPCH_OK);
        ck_assert_uint_eq(m.tx.avail, c[i].after ? 60000 : 45536);
        ck_assert_int_eq(server_ack(c[i].channel, 20001, 60000),
                         c[i].after ? RPCH_E_ACK : RPCH_OK);
    }
}
END_TEST

/* A refused successor leaves no trace. */
static void refused(rpch_succession s, int status, const char *want)
{
    const char *reason = NULL;

    memcpy(&old, &m, sizeof(m));
    ck_assert_int_eq(rpch_inbound_attach(&m, &s, &reason), status);
    ck_assert_str_eq(reason, want);
    ck_assert_mem_eq(&m, &old, sizeof(m));
}

START_TEST(test_inbound_attach_refused)
{
    uint8_t fill[RPCH_LANE_SIZE] = { 0 };
    rpch_succession s = heir_of_c0();
    int state;

    for (state = 0; state < RPCH_IN_STATE_MAX; state++) {
        if (state == RPCH_IN_OPENED)
            continue;
        drive(0, (rpch_in_state)state);
        refused(s, RPCH_E_UNEXPECTED,
                state == RPCH_IN_OPENED_A5W
                    ? "the IN channel has a successor already"
                    : "the IN channel is not open");
    }
    drive(0, RPCH_IN_OPENED);
    s.vc = role_cookie(0xa1);
    refused(s, RPCH_E_COOKIE,
            "the successor is of another virtual connection");
    s = heir_of_c0();
    s.predecessor = role_cookie(0xc1);
    refused(s, RPCH_E_COOKIE,
            "the predecessor is not the IN channel in use");
    s = heir_of_c0();
    s.successor = role_cookie(0xc0);
    refused(s, RPCH_E_COOKIE,
            "the successor has the cookie of its predecessor");
    s = heir_of_c0();
    ck_assert_int_eq(rpch_lane_put(&m.to_server, fill, sizeof(fill)
                                   - RPCH_LANE_RESERVE + 1), RPCH_OK);
    refused(s, RPCH_E_ROOM, "too many RTS PDUs wait for the server");
    rpch_inbound_server_ack(&m, 1);
    ck_assert_int_eq(attach_e0(), RPCH_OK);
}
END_TEST

/* The successor is gone before A5: all goes on without it. The server has
 * heard its name, and may go on to use it. */
START_TEST(test_inbound_detach_before_a5)
{
    drive(0, RPCH_IN_OPENED_A5W);
    ck_assert_int_eq(rpc_through(20000, true), RPCH_OK);
    rpch_inbound_detach(&m);
    ck_assert_int_eq(m.core.state, RPCH_IN_OPENED);
    ck_assert(!m.dismissed);
    ck_assert_int_eq(server_ack(0xe0, 20000, 60000), RPCH_OK);
    ck_assert_uint_eq(m.tx.avail, 60000);
    ck_assert_int_eq(rpc_through(20000, true), RPCH_OK);
    expect_lane(hex_ack);
    rpch_inbound_detach(&m);
    ck_assert_int_eq(m.core.state, RPCH_IN_OPENED);
    /* another one comes; what the server said before it heard of it counts */
    ck_assert_int_eq(attach((rpch_succession) {
        role_cookie(0xa0), role_cookie(0xc0), role_cookie(0x70), 65536
    }), RPCH_OK);
    ck_assert_int_eq(server_ack(0xe0, 40000, 65000), RPCH_OK);
    ck_assert_uint_eq(m.tx.avail, 65000);
    ck_assert_int_eq(server_ack(0x70, 40000, 65536), RPCH_OK);
    ck_assert_uint_eq(m.tx.avail, 65536);
    ck_assert_int_eq(client_a5(0x70), RPCH_OK);
    ck_assert_int_eq(m.core.state, RPCH_IN_RELEASE);
}
END_TEST

/* The client switches to a channel that is gone. */
START_TEST(test_inbound_a5_for_a_successor_that_is_gone)
{
    drive(0, RPCH_IN_OPENED_A5W);
    rpch_inbound_detach(&m);
    ck_assert_int_eq(client_a5(0xe0), RPCH_E_UNEXPECTED);
    expect_end(RPCH_E_UNEXPECTED,
               "IN_R1/A5=IN_R2/A5 that names no successor");
    /* but it may go on elsewhere */
    drive(0, RPCH_IN_OPENED_A5W);
    rpch_inbound_detach(&m);
    ck_assert_int_eq(client_a5(0x70), RPCH_OK);
    ck_assert_int_eq(m.core.state, RPCH_IN_DRAIN_R1);
}
END_TEST

START_TEST(test_inbound_detach_after_a5)
{
    drive(0, RPCH_IN_OPENED_A5W);
    ck_assert_int_eq(rpc_through(1000, false), RPCH_OK);
    ck_assert_int_eq(client_a5(0xe0), RPCH_OK);
    rpch_inbound_detach(&m);
    expect_end(RPCH_E_CLOSED, "the successor ended before it had S-IN");
    rpch_inbound_detach(&m);
    ck_assert_int_eq(rpch_inbound_release(&m, &leg), RPCH_E_CLOSED);
}
END_TEST

/* A5 with another cookie than the attached successor's, 3.2.3.5: it is sent
 * away, and the connection lives. */
START_TEST(test_inbound_a5_dismisses)
{
    rpch_succession s = heir_of_c0();

    drive(0, RPCH_IN_OPENED_A5W);
    ck_assert_int_eq(client_a5(0x70), RPCH_OK);
    ck_assert_int_eq(m.core.state, RPCH_IN_OPENED);
    ck_assert(m.dismissed);
    ck_assert(rpch_inbound_deadline(&m) == RPCH_NEVER);
    expect_lane("");
    s.successor = role_cookie(0x70);
    refused(s, RPCH_E_UNEXPECTED,
            "the successor before it is still being dismissed");
    rpch_inbound_dismiss_told(&m);
    ck_assert(!m.dismissed);
    ck_assert_int_eq(rpc_through(1000, true), RPCH_OK);
    ck_assert_int_eq(attach(s), RPCH_OK);
    ck_assert_int_eq(client_a5(0x70), RPCH_OK);
    ck_assert_int_eq(m.core.state, RPCH_IN_RELEASE);
}
END_TEST

/* S-IN changes hands in the middle of an RTS PDU each way. */
START_TEST(test_inbound_r2_partial_pdus_move)
{
    uint8_t want[RPCH_RTS_SIZE_MAX], ack[RPCH_RTS_SIZE_MAX];
    rpch_rts_values v = role_values(0, 0);
    size_t n, len, cut;
    const uint8_t *p;

    v.ack.cookie = role_cookie(0xe0);
    v.ack.bytes_received = 30000;
    v.ack.available_window = 50000;
    n = role_rts(RPCH_FLOW_CONTROL_ACK, &v, ack);
    for (cut = 0; cut < n; cut++) {
        drive(0, RPCH_IN_OPENED);
        ck_assert_int_eq(rpc_through(30000, true), RPCH_OK);
        ck_assert_int_eq(attach_e0(), RPCH_OK);
        rpch_inbound_server_ack(&m, cut % 40);
        ck_assert_int_eq(rpch_inbound_server_recv(&m, ack, cut, &step, START),
                         RPCH_OK);
        ck_assert_uint_eq(step.used, cut);
        ck_assert_int_eq(client_a5(0xe0), RPCH_OK);
        ck_assert_int_eq(rpch_inbound_release(&m, &leg), RPCH_OK);
        ck_assert_uint_eq(leg.tail_len, cut);
        ck_assert_uint_eq(leg.lane_len, 40 - cut % 40);
        /* what has moved is not sent here as well */
        ck_assert_ptr_null(rpch_lane_buf(&m.to_server, &len));
        change_sides();
        ck_assert_int_eq(rpch_inbound_adopt(&m, &leg, START), RPCH_OK);
        ck_assert_uint_eq(m.tx.avail, 35536);
        ck_assert_int_eq(rpch_inbound_server_recv(&m, ack + cut, n - cut,
                                                  &step, START), RPCH_OK);
        ck_assert_uint_eq(step.used, n - cut);
        ck_assert_uint_eq(m.tx.avail, 50000);
        test_hex(hex_cookie, want, sizeof(want));
        p = rpch_lane_buf(&m.to_server, &len);
        ck_assert_uint_eq(len, 40 - cut % 40);
        ck_assert_mem_eq(p, want + cut % 40, len);
    }
}
END_TEST

/* A full lane moves whole, and no greeting may come any more. */
START_TEST(test_inbound_adopt_full_lane)
{
    leg = leg_of_c0();
    memset(leg.lane, 0x5a, sizeof(leg.lane));
    leg.lane_len = sizeof(leg.lane);
    drive(0, RPCH_IN_PLUGGED);
    ck_assert_int_eq(rpch_inbound_adopt(&m, &leg, START), RPCH_OK);
    ck_assert_uint_eq(m.to_server.end - m.to_server.at, RPCH_LANE_SIZE);
    ck_assert(!rpch_inbound_may_send(&m, 16));
    ck_assert_uint_eq(rpch_inbound_wants(&m), RPCH_WANT_SERVER_READ);
    rpch_inbound_server_ack(&m, RPCH_LANE_SIZE);
    ck_assert(rpch_inbound_may_send(&m, 16));
    ck_assert_int_eq(rpch_inbound_server_recv(
        &m, (const uint8_t *)"ncacn_http/1.0\0\0", 16, &step, START),
        RPCH_E_SYNTAX);
}
END_TEST

static void adopt_fails(const rpch_in_leg *l, int status, const char *reason)
{
    drive(0, RPCH_IN_PLUGGED);
    ck_assert_int_eq(rpch_inbound_adopt(&m, l, START), status);
    expect_end(status, reason);
}

/* A leg may come from another process. */
START_TEST(test_inbound_adopt_refuses_what_cannot_be)
{
    static const char other[] = "S-IN of another channel";
    static const char bad[] = "S-IN with impossible values";
    rpch_in_leg l = leg_of_c0();

    l.vc.b[15]++;
    adopt_fails(&l, RPCH_E_COOKIE, other);
    l = leg_of_c0();
    l.predecessor.b[0]++;
    adopt_fails(&l, RPCH_E_COOKIE, other);
    l = leg_of_c0();
    l.successor.b[7]++;
    adopt_fails(&l, RPCH_E_COOKIE, other);
    l = leg_of_c0();
    l.lane_len = RPCH_LANE_SIZE + 1;
    adopt_fails(&l, RPCH_E_VALUE, bad);
    l = leg_of_c0();
    l.tail_len = RPCH_RTS_SIZE_MAX + 1;
    adopt_fails(&l, RPCH_E_VALUE, bad);
    l = leg_of_c0();
    l.tx.window = 8191;
    l.tx.avail = 0;
    adopt_fails(&l, RPCH_E_VALUE, bad);
    l.tx.window = 262145;
    adopt_fails(&l, RPCH_E_VALUE, bad);
    l = leg_of_c0();
    l.tx.avail = 65537;
    adopt_fails(&l, RPCH_E_VALUE, bad);
    l = leg_of_c0();
    l.tx.edge = l.tx.sent + l.tx.window + 1;
    adopt_fails(&l, RPCH_E_VALUE, bad);
    l = leg_of_c0();
    l.keepalive = 59999;
    adopt_fails(&l, RPCH_E_VALUE, bad);
    /* a PDU that was not begun and is, or is not queued, or has more left
     * than there was of it */
    l = leg_of_c0();
    l.queued = 100;
    l.begun_left = 1;
    adopt_fails(&l, RPCH_E_VALUE, bad);
    l.begun = 100;
    l.begun_left = 0;
    adopt_fails(&l, RPCH_E_VALUE, bad);
    l.begun_left = 101;
    adopt_fails(&l, RPCH_E_VALUE, bad);
    l.begun = l.begun_left = 101;
    adopt_fails(&l, RPCH_E_VALUE, bad);
    l.queued = l.begun = l.begun_left = RPCH_PDU_SIZE_MAX + 1;
    adopt_fails(&l, RPCH_E_VALUE, bad);
    /* a whole PDU, the start of an RPC PDU, and no PDU at all */
    l = leg_of_c0();
    l.tail_len = test_hex(hex_cookie, l.tail, sizeof(l.tail));
    adopt_fails(&l, RPCH_E_VALUE, bad);
    l.tail_len = role_rpc(l.tail, 24, 1) - 4;
    adopt_fails(&l, RPCH_E_VALUE, bad);
    memset(l.tail, 0xff, sizeof(l.tail));
    adopt_fails(&l, RPCH_E_VALUE, bad);
}
END_TEST

START_TEST(test_inbound_adopt_refuses_no_window)
{
    rpch_in_leg l = leg_of_c0();

    l.window = 0;
    adopt_fails(&l, RPCH_E_VALUE, "S-IN with impossible values");
}
END_TEST

/* With a joined server there are no windows, and RTS PDUs come whole. */
START_TEST(test_inbound_r2_joined)
{
    drive(RPCH_JOINED, RPCH_IN_OPENED);
    ck_assert_int_eq(attach_e0(), RPCH_OK);
    expect_lane(hex_cookie);
    ck_assert_int_eq(rpc_through(60000, true), RPCH_OK);
    ck_assert(rpch_inbound_may_send(&m, 60000));
    ck_assert_int_eq(rpc_through(60000, false), RPCH_OK);
    rpch_inbound_pdu_begin(&m, 60000);
    ck_assert_int_eq(client_a5(0xe0), RPCH_OK);
    ck_assert_uint_eq(rpch_inbound_wants(&m), RPCH_WANT_RELEASE);
    ck_assert_int_eq(rpch_inbound_release(&m, &leg), RPCH_OK);
    ck_assert_uint_eq(leg.begun, 60000);
    change_sides();
    ck_assert_uint_eq(rpch_inbound_wants(&m), 0);
    ck_assert_int_eq(server_ack(0xe0, 60000, 65536), RPCH_AGAIN);
    leg.tx.off = false;
    ck_assert_int_eq(rpch_inbound_adopt(&m, &leg, START), RPCH_OK);
    ck_assert(rpch_inbound_may_send(&m, 60000));
    ck_assert_int_eq(server_ack(0xe0, 60000, 65536), RPCH_OK);
    ck_assert(rpch_inbound_may_send(&m, 65535));
    ck_assert_uint_eq(rpch_inbound_wants(&m), RPCH_WANT_CLIENT_READ);
    /* whether there are windows is not for the leg to say */
    drive(0, RPCH_IN_PLUGGED);
    leg.tx.off = true;
    ck_assert_int_eq(rpch_inbound_adopt(&m, &leg, START), RPCH_OK);
    ck_assert(!rpch_inbound_may_send(&m, 60000));
    drive(RPCH_JOINED, RPCH_IN_SUCCEED);
    ck_assert_int_eq(rpch_inbound_connected(&m, START), RPCH_E_BUG);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("inbound_leg");
    TCase *t = tcase_create("leg");

    tcase_add_test(t, test_inbound_r2_byte_exact);
    tcase_add_test(t, test_inbound_r2_successor_goes_on);
    tcase_add_test(t, test_inbound_r2_window_of_the_leg);
    tcase_add_test(t, test_inbound_r2_ack_before_release);
    tcase_add_test(t, test_inbound_r2_acks_by_name);
    tcase_add_test(t, test_inbound_attach_refused);
    tcase_add_test(t, test_inbound_detach_before_a5);
    tcase_add_test(t, test_inbound_a5_for_a_successor_that_is_gone);
    tcase_add_test(t, test_inbound_detach_after_a5);
    tcase_add_test(t, test_inbound_a5_dismisses);
    tcase_add_test(t, test_inbound_r2_partial_pdus_move);
    tcase_add_test(t, test_inbound_adopt_full_lane);
    tcase_add_test(t, test_inbound_adopt_refuses_what_cannot_be);
    tcase_add_test(t, test_inbound_adopt_refuses_no_window);
    tcase_add_test(t, test_inbound_r2_joined);
    suite_add_tcase(s, t);
    return test_main(s);
}
