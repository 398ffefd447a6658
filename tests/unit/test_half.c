/* SPDX-License-Identifier: Apache-2.0 */
/* test_half.c - a half gives its leg to another one, by the calls that a
 * channel makes and through the bytes that it sends */
#include "relay/half.h"
#include "role_test.h"

#define NOW 1000

static relay_half holder, heir;
static rpch_succession wish;
static rpch_step step;
static uint8_t pdu[RPCH_RTS_SIZE_MAX];
static uint8_t rpc[RPCH_PDU_SIZE_MAX];

static void start(relay_half *h, relay_dir dir)
{
    rpch_limits l = role_limits();
    rpch_address a = { false, { 192, 0, 2, 33 } };
    relay_half_init(h, dir, &l, &a, 0, NULL, NULL, NOW);
    ck_assert(!relay_half_is_successor(h));
}

static void client_says(relay_half *h, rpch_pdu_id id,
                        const rpch_rts_values *v)
{
    ck_assert_int_eq(relay_half_client_recv(h, pdu, role_rts(id, v, pdu),
                                            &step, NOW), RPCH_OK);
}

static void server_says(relay_half *h, rpch_pdu_id id,
                        const rpch_rts_values *v)
{
    ck_assert_int_eq(relay_half_server_recv(h, pdu, role_rts(id, v, pdu),
                                            &step, NOW), RPCH_OK);
}

/* All that waits for the server was sent; how much was it. */
static size_t flush_server(relay_half *h)
{
    size_t len;
    (void)rpch_lane_buf(relay_half_to_server(h), &len);
    relay_half_server_ack(h, len);
    return len;
}

static void flush_client(relay_half *h)
{
    size_t len;
    (void)relay_half_client_buf(h, &len);
    relay_half_client_ack(h, len, NOW);
}

/* The channel b0 of connection a0, open, with nothing under way. */
static void open_holder(relay_dir dir)
{
    rpch_rts_values v = role_values(0xb0, 0);
    start(&holder, dir);
    client_says(&holder, dir == RELAY_IN ? RPCH_CONN_B1 : RPCH_CONN_A1, &v);
    ck_assert_int_eq(relay_half_connected(&holder, NOW), RPCH_OK);
    flush_server(&holder);
    if (dir == RELAY_OUT)
        ck_assert_int_eq(rpch_outbound_responded(&holder.m.out, NOW), RPCH_OK);
    server_says(&holder, dir == RELAY_IN ? RPCH_CONN_B3 : RPCH_CONN_C1, &v);
    flush_client(&holder);
    ck_assert(relay_half_is_open(&holder));
}

/* Its successor d0, up to what the holder says. */
static int ask(relay_dir dir, const char **reason)
{
    rpch_rts_values v = role_values(0xb0, 0xd0);
    start(&heir, dir);
    client_says(&heir, dir == RELAY_IN ? RPCH_IN_R1_A1 : RPCH_OUT_R1_A3, &v);
    ck_assert(relay_half_is_successor(&heir));
    ck_assert(!relay_half_is_open(&heir));
    ck_assert_uint_eq(relay_half_wants(&heir) & RPCH_WANT_SUCCEED,
                      RPCH_WANT_SUCCEED);
    relay_half_succession(&heir, &wish);
    *reason = NULL;
    return relay_half_attach(&holder, &wish, reason);
}

static void attach(relay_dir dir)
{
    const char *reason;
    ck_assert_int_eq(ask(dir, &reason), RPCH_OK);
    ck_assert_int_eq(relay_half_attached(&heir, NOW), RPCH_OK);
    ck_assert(relay_half_is_open(&holder));
}

/* The leg of the holder, as it comes out at the other end of a link. */
static relay_leg moved(void)
{
    static uint8_t bytes[RELAY_MSG_DATA_MAX];
    const char *reason = NULL;
    relay_leg leg, back;
    size_t len;
    ck_assert_uint_eq(relay_half_wants(&holder) & RPCH_WANT_RELEASE,
                      RPCH_WANT_RELEASE);
    ck_assert_int_eq(relay_half_release(&holder, &leg), RPCH_OK);
    ck_assert_int_eq(leg.dir, holder.dir);
    ck_assert_int_eq(relay_half_core(&holder)->status, RPCH_E_RECYCLED);
    ck_assert(!relay_half_is_open(&holder));
    ck_assert_int_eq(relay_leg_encode(&leg, bytes, sizeof(bytes), &len),
                     RPCH_OK);
    ck_assert_int_eq(relay_leg_decode(bytes, len, heir.dir, &back, &reason),
                     RPCH_OK);
    return back;
}

START_TEST(test_half_succession)
{
    const char *reason;
    rpch_cookie vc = role_cookie(0xa0), old = role_cookie(0xb0),
                new = role_cookie(0xd0);
    int dir;
    for (dir = RELAY_IN; dir <= RELAY_OUT; dir++) {
        open_holder((relay_dir)dir);
        ck_assert_int_eq(ask((relay_dir)dir, &reason), RPCH_OK);
        ck_assert(rpch_cookie_equal(&wish.vc, &vc));
        ck_assert(rpch_cookie_equal(&wish.predecessor, &old));
        ck_assert(rpch_cookie_equal(&wish.successor, &new));
        ck_assert_uint_eq(wish.window, dir == RELAY_OUT ? 65536 : 0);
        /* One at a time; the one that is there stays. */
        ck_assert_int_eq(ask((relay_dir)dir, &reason), RPCH_E_UNEXPECTED);
        ck_assert_ptr_nonnull(reason);
        ck_assert(relay_half_is_open(&holder));
        relay_half_detach(&holder);
        ck_assert(relay_half_is_open(&holder));
        ck_assert_int_eq(relay_half_core(&holder)->status, RPCH_OK);
    }
}
END_TEST

/* IN: part of IN_R2/A2 is sent by the one, the rest by the other; so is an RPC
 * PDU that waits. */
START_TEST(test_half_in_moves)
{
    rpch_rts_values v = role_values(0xb0, 0xd0);
    relay_leg leg;
    size_t len;
    open_holder(RELAY_IN);
    ck_assert_int_eq(relay_half_client_recv(&holder, rpc,
                                            role_rpc(rpc, 5000, 1), &step,
                                            NOW), RPCH_OK);
    attach(RELAY_IN);
    relay_half_server_ack(&holder, 10);
    v.cookie[0] = role_cookie(0xd0);
    client_says(&holder, RPCH_IN_R2_A5, &v);
    ck_assert(!relay_half_may_send(&holder, 5000));
    leg = moved();
    ck_assert_uint_eq(leg.u.in.queued, 5000);
    ck_assert_int_eq(relay_half_adopt(&heir, &leg, NOW), RPCH_OK);
    ck_assert(relay_half_is_open(&heir));
    ck_assert_uint_eq(heir.m.in.tx.sent, 0);
    (void)rpch_lane_buf(relay_half_to_server(&heir), &len);
    ck_assert_uint_eq(len, 40 - 10);
    ck_assert(relay_half_may_send(&heir, 5000));
    ck_assert_int_eq(relay_half_pdu_begin(&heir, 5000), RPCH_OK);
    relay_half_pdu_done(&heir, 5000, NOW);
    ck_assert_uint_eq(heir.m.in.tx.sent, 5000);
    ck_assert_uint_eq(relay_half_counters(&holder).rpc_pdus, 0);
    ck_assert_uint_eq(relay_half_counters(&heir).rpc_pdus, 1);
}
END_TEST

/* IN: a PDU is on the wire when the leg goes. */
START_TEST(test_half_in_moves_within_a_pdu)
{
    rpch_rts_values v = role_values(0xb0, 0xd0);
    relay_leg leg;
    open_holder(RELAY_IN);
    attach(RELAY_IN);
    ck_assert_int_eq(relay_half_client_recv(&holder, rpc,
                                            role_rpc(rpc, 5000, 1), &step,
                                            NOW), RPCH_OK);
    ck_assert_int_eq(relay_half_pdu_begin(&holder, 5000), RPCH_OK);
    v.cookie[0] = role_cookie(0xd0);
    client_says(&holder, RPCH_IN_R2_A5, &v);
    leg = moved();
    ck_assert_uint_eq(leg.u.in.begun, 5000);
    ck_assert_uint_eq(leg.u.in.tx.sent, 5000);
    ck_assert_int_eq(relay_half_adopt(&heir, &leg, NOW), RPCH_OK);
    relay_half_pdu_done(&heir, 5000, NOW);
    ck_assert_uint_eq(heir.m.in.queued, 0);
    ck_assert_uint_eq(heir.m.in.tx.sent, 5000);
    ck_assert_uint_eq(relay_half_counters(&heir).rpc_bytes, 5000);
    ck_assert_uint_eq(relay_half_counters(&holder).rpc_pdus, 0);
}
END_TEST

/* With S-IN goes what is queued, but for the written part of a PDU; with S-OUT
 * whatever was read from it. */
START_TEST(test_half_tail_of_a_leg)
{
    relay_leg leg;
    memset(&leg, 0, sizeof(leg));
    leg.dir = RELAY_IN;
    ck_assert(relay_leg_has_tail(&leg, 0));
    ck_assert(!relay_leg_has_tail(&leg, 1));
    leg.u.in.queued = 5000;
    ck_assert(relay_leg_has_tail(&leg, 5000));
    ck_assert(!relay_leg_has_tail(&leg, 4999));
    leg.u.in.begun = 3000;
    leg.u.in.begun_left = 1;
    ck_assert(relay_leg_has_tail(&leg, 2001));
    ck_assert(!relay_leg_has_tail(&leg, 2000));
    ck_assert(!relay_leg_has_tail(&leg, 5000));
    leg.u.in.begun_left = 3000;
    ck_assert(relay_leg_has_tail(&leg, 5000));
    memset(&leg, 0, sizeof(leg));
    leg.dir = RELAY_OUT;
    ck_assert(relay_leg_has_tail(&leg, 0) && relay_leg_has_tail(&leg, 7));
}
END_TEST

/* OUT: an RPC PDU that the old C-OUT has not begun moves with the leg. */
START_TEST(test_half_out_moves)
{
    rpch_rts_values v = role_values(0xb0, 0xd0), c1 = v;
    relay_leg leg;
    size_t n = role_rpc(rpc, 5000, 1);
    open_holder(RELAY_OUT);
    attach(RELAY_OUT);
    flush_server(&holder);
    c1.cookie[0] = role_cookie(0xd0);
    client_says(&heir, RPCH_OUT_R2_C1, &c1);
    ck_assert_int_eq(relay_half_server_recv(&holder, rpc, n, &step, NOW),
                     RPCH_OK);
    ck_assert_uint_eq(holder.m.out.rx.received, 5000);
    server_says(&holder, RPCH_OUT_R2_B1, &v);
    flush_client(&holder);
    leg = moved();
    ck_assert_uint_eq(leg.u.out.rx.received, 0);
    ck_assert_int_eq(relay_half_adopt(&heir, &leg, NOW), RPCH_OK);
    ck_assert_int_eq(rpch_outbound_responded(&heir.m.out, NOW), RPCH_OK);
    ck_assert(relay_half_is_open(&heir));
    ck_assert_int_eq(relay_half_server_recv(&heir, rpc, n, &step, NOW),
                     RPCH_OK);
    ck_assert_uint_eq(step.pass_len, 5000);
    ck_assert_uint_eq(heir.m.out.rx.received, 5000);
    ck_assert(relay_half_may_send(&heir, 5000));
    ck_assert_int_eq(relay_half_pdu_begin(&heir, 5000), RPCH_OK);
    relay_half_pdu_done(&heir, 5000, NOW);
    ck_assert_uint_eq(relay_half_counters(&heir).rpc_pdus, 1);
    ck_assert_uint_eq(relay_half_counters(&holder).rpc_pdus, 0);
}
END_TEST

/* A leg of the other direction ends the newcomer, and touches nothing. */
START_TEST(test_half_wrong_leg)
{
    int dir;
    for (dir = RELAY_IN; dir <= RELAY_OUT; dir++) {
        static relay_leg leg;
        open_holder((relay_dir)dir);
        attach((relay_dir)dir);
        leg.dir = (relay_dir)!dir;
        ck_assert_int_eq(relay_half_adopt(&heir, &leg, NOW), RPCH_E_VALUE);
        ck_assert_int_eq(relay_half_core(&heir)->status, RPCH_E_VALUE);
        ck_assert(!relay_half_is_open(&heir));
    }
}
END_TEST

/* The client means another one (IN), the server wants none (OUT): told once,
 * and the holder goes on. */
START_TEST(test_half_dismissed)
{
    rpch_rts_values v = role_values(0xb0, 0xd0);
    int dir;
    for (dir = RELAY_IN; dir <= RELAY_OUT; dir++) {
        const char *reason;
        open_holder((relay_dir)dir);
        attach((relay_dir)dir);
        ck_assert(!relay_half_dismissed(&holder));
        if (dir == RELAY_IN)
            client_says(&holder, RPCH_IN_R2_A5, &v);
        else
            server_says(&holder, RPCH_OUT_R2_B2, &v);
        ck_assert(relay_half_dismissed(&holder));
        ck_assert(!relay_half_dismissed(&holder));
        ck_assert(relay_half_is_open(&holder));
        flush_server(&holder);
        ck_assert_int_eq(ask((relay_dir)dir, &reason), RPCH_OK);
    }
}
END_TEST

/* The joined role goes along: what arrives is what left. */
START_TEST(test_half_role_moves)
{
    static rpch_server role, arrived;
    static uint8_t bytes[RELAY_MSG_DATA_MAX], again[RELAY_MSG_DATA_MAX];
    rpch_server_image image, back;
    rpch_limits l = role_limits();
    rpch_rts_values v = role_values(0xb0, 0);
    const char *reason = NULL;
    size_t len, len2;
    rpch_server_init(&role, &l, RPCH_JOINED, NULL, NULL, NOW);
    ck_assert_int_eq(rpch_server_out_rts(&role, 0, pdu,
                                         role_rts(RPCH_CONN_A2, &v, pdu),
                                         NOW), RPCH_OK);
    v.cookie[1] = role_cookie(0xc0);
    ck_assert_int_eq(rpch_server_in_rts(&role, 0, pdu,
                                        role_rts(RPCH_CONN_B2, &v, pdu),
                                        NOW), RPCH_OK);
    ck_assert_int_eq(role.core.state, RPCH_SERVER_OPENED);
    rpch_server_save(&role, &image, NOW);
    ck_assert_uint_gt(image.to_in_len, 0); /* CONN/B3 */
    ck_assert_int_eq(relay_leg_encode_role(&image, bytes, sizeof(bytes),
                                           &len), RPCH_OK);
    ck_assert_int_eq(relay_leg_decode_role(bytes, len, &back, &reason),
                     RPCH_OK);
    rpch_server_init(&arrived, &l, RPCH_JOINED, NULL, NULL, 9 * NOW);
    ck_assert_int_eq(rpch_server_restore(&arrived, &back, 9 * NOW), RPCH_OK);
    rpch_server_save(&arrived, &image, 9 * NOW);
    ck_assert_int_eq(relay_leg_encode_role(&image, again, sizeof(again),
                                           &len2), RPCH_OK);
    ck_assert_uint_eq(len, len2);
    ck_assert_mem_eq(bytes, again, len);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("half");
    TCase *tc = tcase_create("half");
    tcase_add_test(tc, test_half_succession);
    tcase_add_test(tc, test_half_in_moves);
    tcase_add_test(tc, test_half_in_moves_within_a_pdu);
    tcase_add_test(tc, test_half_tail_of_a_leg);
    tcase_add_test(tc, test_half_out_moves);
    tcase_add_test(tc, test_half_wrong_leg);
    tcase_add_test(tc, test_half_dismissed);
    tcase_add_test(tc, test_half_role_moves);
    suite_add_tcase(s, tc);
    return test_main(s);
}
