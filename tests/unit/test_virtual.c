/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_virtual.c - whole virtual connections: the four role machines against
 * each other in memory, with the server in its native role and joined to a
 * plain one.
 */
#include <limits.h>

#include "virtual_actors.h"

static bool (*const actor[])(void) = {
    client_writes, in_reads_client, in_writes, server_reads_in,
    out_reads_client, out_writes, server_reads_out, join_works,
    server_writes, in_reads_server, out_reads_server, client_reads,
    server_consumes, client_consumes, ends_spread
};

#define ACTORS (sizeof(actor) / sizeof(actor[0]))

/* The peers keep to the windows that they were offered. */
static void check_windows(void)
{
    if (rig.flags & RPCH_QUIET)
        return;
    role_check(rig.in.rx.avail >= 0);
    role_check(rig.client.rx.avail >= 0);
    if (rig_joined())
        return;
    role_check(rig.server.in[0].rx.avail >= 0);
    role_check(rig.out.rx.avail >= 0);
}

/* Runs at most so many actions, until nothing moves; how many it took. */
static unsigned run(unsigned limit)
{
    unsigned n = 0;

    for (;;) {
        bool moved = false;
        size_t i;

        for (i = 0; rig.how != ROLE_WHOLE && i < 50; i++) {
            moved = actor[rig_random(ACTORS)]() || moved;
            check_windows();
            if (++n >= limit)
                return n;
        }
        for (i = 0; i < ACTORS; i++) {
            moved = actor[i]() || moved;
            check_windows();
            if (++n >= limit)
                return n;
        }
        if (!moved)
            return n;
    }
}

static void check_all_open(void)
{
    ck_assert_int_eq(rig.client.core.state, RPCH_CLIENT_OPENED);
    ck_assert_int_eq(rig.in.core.state, RPCH_IN_OPENED);
    ck_assert_int_eq(rig.out.core.state, RPCH_OUT_OPENED);
    ck_assert_int_eq(rig.server.core.state, RPCH_SERVER_OPENED);
}

/* All that was to be sent has arrived, and nothing is left anywhere. */
static void check_delivered(void)
{
    check_all_open();
    ck_assert_uint_eq(rig.up.received, rig.up.to_send);
    ck_assert_uint_eq(rig.down.received, rig.down.to_send);
    ck_assert_uint_eq(rig.in.queued, 0);
    ck_assert_uint_eq(rig.out.queued, 0);
    ck_assert_uint_eq(rig.client.queued, 0);
    ck_assert_uint_eq(rig.server.queued, 0);
    ck_assert_uint_eq(rig.in.rpc_pdus, rig.up.to_send);
    ck_assert_uint_eq(rig.out.rpc_pdus, rig.down.to_send);
}

static void set_traffic(uint32_t n, uint32_t largest, uint32_t fixed)
{
    rig.up.to_send = rig.down.to_send = n;
    rig.up.seed = 11;
    rig.down.seed = 77;
    rig.up.largest = rig.down.largest = largest;
    rig.up.fixed = rig.down.fixed = fixed;
}

static rpch_limits with_window(uint32_t window)
{
    rpch_limits l = role_limits();

    l.receive_window = window;
    return l;
}

/* whole, byte by byte, then seeds. */
static int how_of(int round)
{
    return round == 0 ? ROLE_WHOLE : round == 1 ? ROLE_BYTES : ROLE_RANDOM;
}

static const unsigned kinds[] = { 0, RPCH_JOINED };

START_TEST(test_virtual_opens_and_calls)
{
    rpch_limits l = role_limits();
    int round;

    for (round = 0; round < 16; round++) {
        rig_start(&l, kinds[_i], how_of(round), (uint32_t)round);
        set_traffic(20, 3000, 0);
        run(UINT_MAX);
        check_delivered();
        ck_assert_uint_eq(rig.server.in_window, 65536);
        ck_assert_uint_eq(rig.client.timeout, 120000);
        ck_assert_uint_eq(rig.out.lifetime_used,
                          28 + 44 + rig.out.rpc_bytes
                          + 56 * rig.seen[CLIENT][RPCH_FLOW_CONTROL_ACK_DEST]);
        /* A joined server role is told; another does not see CONN/A3. */
        ck_assert_uint_eq(rig.server.out[0].used,
                          rig.out.lifetime_used - (_i ? 0 : 28));
    }
}
END_TEST

/* At the minimum window every PDU of the usual size needs an ack of its own;
 * all four legs must give them. */
START_TEST(test_virtual_bulk_at_minimum_window)
{
    rpch_limits l = with_window(8192);
    int round;

    for (round = 0; round < 8; round++) {
        rig_start(&l, kinds[_i], how_of(round), (uint32_t)round);
        set_traffic(24, 0, 5840);
        run(UINT_MAX);
        check_delivered();
        ck_assert_uint_ge(rig.seen[CLIENT][RPCH_FLOW_CONTROL_ACK_DEST], 22);
        ck_assert_uint_ge(rig.seen[OUTBOUND][RPCH_FLOW_CONTROL_ACK_DEST], 22);
        if (_i)
            continue;
        ck_assert_uint_ge(rig.seen[INBOUND][RPCH_FLOW_CONTROL_ACK], 22);
        ck_assert_uint_ge(rig.seen[SERVER][RPCH_FLOW_CONTROL_ACK], 22);
    }
}
END_TEST

START_TEST(test_virtual_bulk_of_any_size)
{
    static const uint32_t windows[] = { 8192, 8193, 20000, 65536, 262144 };
    size_t w;

    for (w = 0; w < sizeof(windows) / sizeof(windows[0]); w++) {
        rpch_limits l = with_window(windows[w]);

        rig_start(&l, kinds[_i], ROLE_RANDOM, (uint32_t)w + 5);
        set_traffic(300, 8192, 0);
        run(UINT_MAX);
        check_delivered();
        rig_start(&l, kinds[_i], ROLE_RANDOM, (uint32_t)w);
        set_traffic(3000, 0, 16);
        run(UINT_MAX);
        check_delivered();
    }
}
END_TEST

/* PDUs exactly as large as the window, and the largest there are. */
START_TEST(test_virtual_window_exactly_full)
{
    rpch_limits l = with_window(8192);
    int round;

    for (round = 0; round < 6; round++) {
        rig_start(&l, kinds[_i], how_of(round), (uint32_t)round);
        set_traffic(14, 0, 8192);
        run(UINT_MAX);
        check_delivered();
    }
    l = with_window(65536);
    rig_start(&l, kinds[_i], ROLE_RANDOM, 3);
    set_traffic(20, 0, 65535);
    run(UINT_MAX);
    check_delivered();
}
END_TEST

/* A client and a server that take nothing stop the whole chain, and what is
 * kept on the way is bounded; then everything goes on. */
START_TEST(test_virtual_stalled_ends)
{
    rpch_limits l = with_window(16384);

    rig_start(&l, 0, ROLE_RANDOM, 9);
    set_traffic(200, 6000, 0);
    rig.lazy = true;
    run(UINT_MAX);
    ck_assert_uint_lt(rig.up.received, 200);
    ck_assert_uint_lt(rig.down.received, 200);
    ck_assert_uint_le(rig.client.queued, 16384);
    ck_assert_uint_le(rig.server.queued, 16384);
    ck_assert_uint_le(rig.in.queued, 16384);
    ck_assert_uint_le(rig.out.queued, 16384);
    rig.lazy = false;
    run(UINT_MAX);
    check_delivered();
}
END_TEST

/* The next deadline of any machine passes. */
static void pass_time(void)
{
    rpch_msec t = rpch_client_deadline(&rig.client);

    if (rpch_inbound_deadline(&rig.in) < t)
        t = rpch_inbound_deadline(&rig.in);
    if (rpch_outbound_deadline(&rig.out) < t)
        t = rpch_outbound_deadline(&rig.out);
    if (rpch_server_deadline(&rig.server) < t)
        t = rpch_server_deadline(&rig.server);
    ck_assert_uint_ne(t, RPCH_NEVER);
    rig.now = t;
    rpch_client_timeout(&rig.client, t);
    rpch_inbound_timeout(&rig.in, t);
    rpch_outbound_timeout(&rig.out, t);
    rpch_server_timeout(&rig.server, t);
}

START_TEST(test_virtual_idle_pings)
{
    rpch_limits l = role_limits();
    int i;

    rig_start(&l, kinds[_i], ROLE_RANDOM, 1);
    run(UINT_MAX);
    for (i = 0; i < 110; i++) {
        pass_time();
        run(UINT_MAX);
    }
    check_all_open();
    ck_assert_uint_ge(rig.seen[CLIENT][RPCH_PING], 52);
    ck_assert_uint_ge(rig.seen[INBOUND][RPCH_PING], 52);
    /* Reported when the sum exceeds 1031: every 52 Pings. */
    ck_assert_uint_eq(rig.seen[SERVER][RPCH_PING_TRAFFIC_SENT_NOTIFY],
                      rig.seen[CLIENT][RPCH_PING] / 52);
    ck_assert_uint_eq(rig.server.out[0].used,
                      _i ? rig.out.lifetime_used
                         : 44 + rig.seen[CLIENT][RPCH_PING] / 52 * 1040);
    set_traffic(5, 2000, 0);
    run(UINT_MAX);
    check_delivered();
}
END_TEST

/* A client like Samba's: no ack either way, no RTS PDU after CONN/C2, and
 * much more than the windows. */
START_TEST(test_virtual_quiet_client)
{
    rpch_limits l = with_window(16384);

    rig_start(&l, kinds[_i] | RPCH_QUIET, ROLE_RANDOM, 4);
    set_traffic(150, 6000, 0);
    run(UINT_MAX);
    check_delivered();
    ck_assert_uint_eq(rig.seen[CLIENT][RPCH_FLOW_CONTROL_ACK_DEST], 0);
    ck_assert_uint_eq(rpch_outbound_deadline(&rig.out), RPCH_NEVER);
}
END_TEST

static void kill_party(int who)
{
    switch (who) {
    case 0: rpch_client_fail(&rig.client, RPCH_E_POLICY, "killed"); break;
    case 1: rpch_inbound_fail(&rig.in, RPCH_E_POLICY, "killed"); break;
    case 2: rpch_outbound_fail(&rig.out, RPCH_E_POLICY, "killed"); break;
    case 3: rpch_server_fail(&rig.server, RPCH_E_POLICY, "killed"); break;
    case 4: rpch_client_in_closed(&rig.client, 0); break;
    case 5: rpch_client_out_closed(&rig.client, 0); break;
    case 6: rpch_inbound_server_closed(&rig.in); break;
    case 7: rpch_outbound_server_closed(&rig.out); break;
    case 8: rpch_server_in_closed(&rig.server, 0); break;
    default: rpch_server_out_closed(&rig.server, 0); break;
    }
}

/* Whoever ends first, at whatever moment: all four end. */
START_TEST(test_virtual_teardown)
{
    rpch_limits l = with_window(8192);
    unsigned after;
    int who;

    for (who = 0; who < 10; who++) {
        for (after = 1; after < 3000; after = after * 5 / 4 + 1) {
            rig_start(&l, kinds[_i], ROLE_RANDOM, after * 10 + (unsigned)who);
            set_traffic(100, 5000, 0);
            run(after);
            check_windows();
            kill_party(who);
            run(UINT_MAX);
            ck_assert_int_eq(rig.client.core.state, RPCH_CLIENT_FINISHED);
            ck_assert_int_eq(rig.in.core.state, RPCH_IN_FINISHED);
            ck_assert_int_eq(rig.out.core.state, RPCH_OUT_FINISHED);
            ck_assert_int_eq(rig.server.core.state, RPCH_SERVER_FINISHED);
            ck_assert_int_lt(rig.client.core.status, 0);
            ck_assert_int_lt(rig.server.core.status, 0);
        }
    }
}
END_TEST

/* The IN half never comes: the setup timers end what there is. */
START_TEST(test_virtual_half_open)
{
    rpch_limits l = role_limits();
    int i;

    rig_start(&l, 0, ROLE_RANDOM, 2);
    for (i = 0; i < 50; i++) {
        client_writes();
        out_reads_client();
        out_writes();
        server_reads_out();
        server_writes();
        client_reads();
    }
    ck_assert_int_eq(rig.server.core.state, RPCH_SERVER_B2W);
    ck_assert_int_eq(rig.client.core.state, RPCH_CLIENT_C2W);
    rpch_inbound_fail(&rig.in, RPCH_E_CONNECT, "never there");
    pass_time();
    ck_assert_int_eq(rig.client.core.status, RPCH_E_TIMEOUT);
    ck_assert_int_eq(rig.out.core.status, RPCH_E_TIMEOUT);
    ck_assert_int_eq(rig.server.core.status, RPCH_E_TIMEOUT);
}
END_TEST

START_TEST(test_virtual_lifetime_ends)
{
    rpch_limits l = role_limits();

    l.channel_lifetime = 131072;
    rig_start(&l, kinds[_i], ROLE_RANDOM, 6);
    rig.down.to_send = 100;
    rig.down.fixed = 5840;
    run(UINT_MAX);
    ck_assert_int_eq(rig.server.core.status, RPCH_E_LIFETIME);
    ck_assert_uint_le(rig.out.lifetime_used, 131072);
    ck_assert_int_eq(rig.client.core.state, RPCH_CLIENT_FINISHED);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("virtual");
    TCase *t = tcase_create("native and joined");

    tcase_set_timeout(t, 120);
    tcase_add_loop_test(t, test_virtual_opens_and_calls, 0, 2);
    tcase_add_loop_test(t, test_virtual_bulk_at_minimum_window, 0, 2);
    tcase_add_loop_test(t, test_virtual_bulk_of_any_size, 0, 2);
    tcase_add_loop_test(t, test_virtual_window_exactly_full, 0, 2);
    tcase_add_test(t, test_virtual_stalled_ends);
    tcase_add_loop_test(t, test_virtual_idle_pings, 0, 2);
    tcase_add_loop_test(t, test_virtual_quiet_client, 0, 2);
    tcase_add_loop_test(t, test_virtual_teardown, 0, 2);
    tcase_add_test(t, test_virtual_half_open);
    tcase_add_loop_test(t, test_virtual_lifetime_ends, 0, 2);
    suite_add_tcase(s, t);
    return test_main(s);
}
