/* SPDX-License-Identifier: Apache-2.0 */
/* test_flow.c - window arithmetic at its limits. */
#include "rpch/flow.h"
#include "rpch_test.h"

START_TEST(test_flow_worked_example)
{
    /* the exchange that MS-RPCH 4.2 tells, with a window of 1000 */
    rpch_rx rx;
    rpch_tx tx;
    uint32_t ack = 0;

    rpch_rx_init(&rx, 1000);
    rpch_tx_init(&tx, 1000);

    ck_assert(rpch_tx_may_send(&tx, 250));
    rpch_tx_sent(&tx, 250);
    ck_assert_uint_eq(tx.avail, 750);
    ck_assert_uint_eq(tx.sent, 250);
    ck_assert(!rpch_rx_received(&rx, 250));
    ck_assert_int_eq(rx.avail, 750);
    ck_assert_uint_eq(rx.received, 250);

    ck_assert(rpch_rx_consumed(&rx, 100, &ack));
    ck_assert_uint_eq(ack, 850);
    rpch_tx_sent(&tx, 500);
    ck_assert_uint_eq(tx.avail, 250);
    ck_assert_int_eq(rpch_tx_ack(&tx, 250, ack), RPCH_OK);
    ck_assert_uint_eq(tx.avail, 350);

    ck_assert(!rpch_rx_received(&rx, 500));
    ck_assert_int_eq(rx.avail, 350);
    ck_assert(rpch_rx_consumed(&rx, 200, &ack));
    ck_assert_uint_eq(ack, 550);
    ck_assert_int_eq(rpch_tx_ack(&tx, rx.received, ack), RPCH_OK);
    ck_assert_uint_eq(tx.avail, 550);

    /* the text says 550, but only 450 are left */
    ck_assert(rpch_rx_consumed(&rx, 450, &ack));
    ck_assert_uint_eq(ack, 1000);
    ck_assert_int_eq(rpch_tx_ack(&tx, rx.received, ack), RPCH_OK);
    ck_assert_uint_eq(tx.avail, 1000);
    ck_assert_uint_eq(tx.sent, 750);
}
END_TEST

/* Of a large window 32 KiB are used up before an ack, whatever its size. */
START_TEST(test_flow_acks_large_windows_early)
{
    static const uint32_t windows[] = { 65536, 98304, 131072, 262144 };
    uint32_t used, ack;
    rpch_rx rx;
    size_t i;

    for (i = 0; i < sizeof(windows) / sizeof(windows[0]); i++) {
        rpch_rx_init(&rx, windows[i]);
        for (used = 1024; used <= 32768; used += 1024) {
            (void)rpch_rx_received(&rx, 1024);
            ck_assert(!rpch_rx_consumed(&rx, 1024, &ack));
        }
        (void)rpch_rx_received(&rx, 1024);
        ck_assert(rpch_rx_consumed(&rx, 1024, &ack));
        ck_assert_uint_eq(ack, windows[i]);
    }
}
END_TEST

/* Several at once are what they are one after the other. */
START_TEST(test_flow_may_follow)
{
    rpch_tx tx, each;
    uint32_t ahead, n;

    rpch_tx_init(&tx, 65536);
    rpch_tx_sent(&tx, 1000);
    for (ahead = 1; ahead <= 64536; ahead += 503) {
        each = tx;
        rpch_tx_sent(&each, ahead);
        for (n = 16; n < 65536; n += 997)
            ck_assert_int_eq(rpch_tx_may_follow(&tx, ahead, n),
                             rpch_tx_may_send(&each, n));
    }
    ck_assert(rpch_tx_may_follow(&tx, 64000, 536));
    ck_assert(!rpch_tx_may_follow(&tx, 64000, 537));
    ck_assert(!rpch_tx_may_follow(&tx, UINT32_MAX, 16));
    tx.off = true;
    ck_assert(rpch_tx_may_follow(&tx, 1000000, 65535));
}
END_TEST

START_TEST(test_flow_full_window)
{
    rpch_rx rx;
    rpch_tx tx;
    uint32_t ack;

    rpch_rx_init(&rx, 65536);
    rpch_tx_init(&tx, 65536);
    ck_assert(rpch_tx_may_send(&tx, 65535));
    rpch_tx_sent(&tx, 65535);
    ck_assert(rpch_tx_may_send(&tx, 1));
    ck_assert(!rpch_tx_may_send(&tx, 2));
    rpch_tx_sent(&tx, 1);
    ck_assert_uint_eq(tx.avail, 0);
    ck_assert(!rpch_tx_may_send(&tx, 1));
    ck_assert(rpch_tx_may_send(&tx, 0));
    ck_assert(!rpch_rx_received(&rx, 65535));
    ck_assert(!rpch_rx_received(&rx, 1));
    ck_assert_int_eq(rx.avail, 0);
    /* one byte over */
    ck_assert(rpch_rx_received(&rx, 1));
    ck_assert_int_eq(rx.avail, -1);
    /* no room to offer yet, then there is */
    ck_assert(!rpch_rx_consumed(&rx, 1, &ack));
    ck_assert(rpch_rx_consumed(&rx, 1, &ack));
    ck_assert_uint_eq(ack, 1);
}
END_TEST

START_TEST(test_flow_overrun_recovers)
{
    rpch_rx rx;
    uint32_t ack = 0, acks = 0;
    int i;

    /* clients that never look at the window send far more than it */
    rpch_rx_init(&rx, 8192);
    for (i = 0; i < 100; i++)
        ck_assert(rpch_rx_received(&rx, 5840) == (i >= 1));
    ck_assert_int_eq(rx.avail, 8192 - 584000);
    for (i = 0; i < 100; i++)
        acks += rpch_rx_consumed(&rx, 5840, &ack);
    ck_assert_uint_ge(acks, 1);
    ck_assert_int_eq(rx.avail, 8192);
    ck_assert_int_eq(rx.advertised, ack);
    ck_assert_uint_eq(rx.received, 584000);
}
END_TEST

START_TEST(test_flow_acks_at_half_of_the_window)
{
    rpch_rx rx;
    uint32_t ack = 0;
    int i;

    rpch_rx_init(&rx, 65536);
    for (i = 0; i < 32; i++) {
        ck_assert(!rpch_rx_received(&rx, 1024));
        ck_assert(!rpch_rx_consumed(&rx, 1024, &ack));
    }
    ck_assert_int_eq(rx.advertised, 32768);
    ck_assert(!rpch_rx_received(&rx, 1024));
    ck_assert(rpch_rx_consumed(&rx, 1024, &ack));
    ck_assert_uint_eq(ack, 65536);
    ck_assert_uint_eq(rx.received, 33 * 1024);
    ck_assert_int_eq(rx.advertised, 65536);
}
END_TEST

START_TEST(test_flow_acks_while_data_is_queued)
{
    rpch_rx rx;
    uint32_t ack = 0;

    rpch_rx_init(&rx, 65536);
    ck_assert(!rpch_rx_received(&rx, 30000));
    ck_assert(!rpch_rx_received(&rx, 30000));
    ck_assert(rpch_rx_consumed(&rx, 30000, &ack));
    ck_assert_uint_eq(ack, 35536);
    ck_assert_int_eq(rx.advertised, 35536);
}
END_TEST

START_TEST(test_flow_off_never_acks)
{
    rpch_rx rx;
    rpch_tx tx;
    uint32_t ack = 77;

    rpch_rx_init(&rx, 8192);
    rx.off = true;
    rpch_rx_received(&rx, 8192);
    ck_assert(!rpch_rx_consumed(&rx, 8192, &ack));
    ck_assert_uint_eq(ack, 77);
    ck_assert_uint_eq(rx.received, 8192);

    rpch_tx_init(&tx, 8192);
    tx.off = true;
    rpch_tx_sent(&tx, 60000);
    ck_assert(rpch_tx_may_send(&tx, 60000));
    ck_assert_uint_eq(tx.sent, 60000);
}
END_TEST

START_TEST(test_flow_consumed_of_a_predecessor)
{
    rpch_rx rx;
    uint32_t ack = 0;

    rpch_rx_init(&rx, 65536);
    ck_assert(!rpch_rx_consumed(&rx, 5000, &ack));
    ck_assert_int_eq(rx.avail, 65536);
}
END_TEST

START_TEST(test_flow_ack_out_of_range)
{
    rpch_tx tx;

    rpch_tx_init(&tx, 65536);
    ck_assert_int_eq(rpch_tx_ack(&tx, 1, 65536), RPCH_E_ACK);
    ck_assert_int_eq(rpch_tx_ack(&tx, UINT32_MAX, 65536), RPCH_E_ACK);
    ck_assert_int_eq(rpch_tx_ack(&tx, 0, 65536), RPCH_OK);
    rpch_tx_sent(&tx, 1000);
    ck_assert_int_eq(rpch_tx_ack(&tx, 1001, 65536), RPCH_E_ACK);
    ck_assert_int_eq(rpch_tx_ack(&tx, UINT32_MAX, 65536), RPCH_E_ACK);
    ck_assert_uint_eq(tx.avail, 64536);
    ck_assert_int_eq(rpch_tx_ack(&tx, 1000, 65536), RPCH_OK);
    ck_assert_uint_eq(tx.avail, 65536);

    /* above the window: clamped */
    ck_assert_int_eq(rpch_tx_ack(&tx, 1000, UINT32_MAX), RPCH_OK);
    ck_assert_uint_eq(tx.avail, 65536);
    ck_assert_int_eq(rpch_tx_ack(&tx, 1000, 65537), RPCH_OK);
    ck_assert_uint_eq(tx.avail, 65536);
    /* lagging: the difference is still in flight */
    rpch_tx_sent(&tx, 1000);
    rpch_tx_sent(&tx, 500);
    ck_assert_int_eq(rpch_tx_ack(&tx, 1400, 65536), RPCH_OK);
    ck_assert_uint_eq(tx.avail, 65536 - 1100);
    tx.edge = 0; /* as if no room had been given */
    ck_assert_int_eq(rpch_tx_ack(&tx, 1500, 1001), RPCH_OK);
    ck_assert_uint_eq(tx.avail, 1);
    tx.edge = 0;
    ck_assert_int_eq(rpch_tx_ack(&tx, 1600, 900), RPCH_OK);
    ck_assert_uint_eq(tx.avail, 0);
    tx.edge = 0;
    ck_assert_int_eq(rpch_tx_ack(&tx, 1700, 799), RPCH_OK);
    ck_assert_uint_eq(tx.avail, 0);
    ck_assert_int_eq(rpch_tx_ack(&tx, 2500, 0), RPCH_OK);
    ck_assert_uint_eq(tx.avail, 0);
}
END_TEST

/* Two acks travel over two connections, and the older one comes last. */
START_TEST(test_flow_ack_that_is_late)
{
    static const uint64_t starts[] = {
        0, UINT32_MAX - 1999u, UINT32_MAX - 2999u, UINT32_MAX - 500u,
        UINT32_MAX, 7ull << 32
    };
    rpch_tx tx, was;
    size_t i;

    for (i = 0; i < sizeof(starts) / sizeof(starts[0]); i++) {
        uint32_t at = (uint32_t)starts[i];

        rpch_tx_init(&tx, 65536);
        tx.sent = starts[i];
        tx.edge = tx.sent + tx.window;
        rpch_tx_sent(&tx, 30000);
        ck_assert_int_eq(rpch_tx_ack(&tx, at + 10000, 65000), RPCH_OK);
        ck_assert_uint_eq(tx.avail, 45000);
        ck_assert(tx.edge == starts[i] + 75000);
        was = tx;
        ck_assert_int_eq(rpch_tx_ack(&tx, at + 9463, 65536), RPCH_OK);
        ck_assert_int_eq(rpch_tx_ack(&tx, at + 1000, 0), RPCH_OK);
        ck_assert_int_eq(rpch_tx_ack(&tx, at, 65536), RPCH_OK);
        ck_assert_int_eq(rpch_tx_ack(&tx, at + 30000, 44999), RPCH_OK);
        /* of two for the same bytes */
        ck_assert_int_eq(rpch_tx_ack(&tx, at + 10000, 64999), RPCH_OK);
        ck_assert_int_eq(rpch_tx_ack(&tx, at + 10000, 0), RPCH_OK);
        ck_assert_mem_eq(&tx, &was, sizeof(tx));
        ck_assert_int_eq(rpch_tx_ack(&tx, at + 10000, 65001), RPCH_OK);
        ck_assert_uint_eq(tx.avail, 45001);
        /* what was never sent is as wrong as ever */
        was = tx;
        ck_assert_int_eq(rpch_tx_ack(&tx, at + 30001, 65536), RPCH_E_ACK);
        ck_assert_mem_eq(&tx, &was, sizeof(tx));
        /* fewer bytes and more room: PDUs that an OUT_R2 predecessor had
         * counted are counted again by its successor */
        ck_assert_int_eq(rpch_tx_ack(&tx, at + 9500, 65502), RPCH_OK);
        ck_assert_uint_eq(tx.avail, 45002);
    }
}
END_TEST

/* In whatever order they come, the sender may send what the last one lets it.
 */
START_TEST(test_flow_acks_in_any_order)
{
    struct { uint32_t received, available; } acks[200], swap;
    uint32_t seed, n, i, ack;
    rpch_rx rx;
    rpch_tx tx;

    for (seed = 1; seed <= 50; seed++) {
        uint32_t r = seed, held = 0;

        rpch_rx_init(&rx, 65536);
        rpch_tx_init(&tx, 65536);
        tx.sent = UINT32_MAX - 100000u;
        tx.edge = tx.sent + tx.window;
        rx.received = UINT32_MAX - 100000u;
        for (n = 0; n < 200;) {
            r = r * 1664525u + 1013904223u;
            if (r >> 31 && held < 60000) {
                rpch_tx_sent(&tx, 5840);
                (void)rpch_rx_received(&rx, 5840);
                held += 5840;
            } else if (held > 0) {
                held -= 5840;
                if (rpch_rx_consumed(&rx, 5840, &ack)) {
                    acks[n].received = rx.received;
                    acks[n++].available = ack;
                }
            }
        }
        for (i = 199; i > 0; i--) {
            r = r * 1664525u + 1013904223u;
            swap = acks[i];
            acks[i] = acks[(r >> 8) % (i + 1)];
            acks[(r >> 8) % (i + 1)] = swap;
        }
        for (i = 0; i < 200; i++)
            ck_assert_int_eq(rpch_tx_ack(&tx, acks[i].received,
                                         acks[i].available), RPCH_OK);
        ck_assert_int_eq(tx.avail, rx.advertised);
    }
}
END_TEST

START_TEST(test_flow_counters_pass_the_turn)
{
    rpch_rx rx;
    rpch_tx tx;
    uint32_t ack, last = 0;
    int turned = 0;

    /* a server leg survives its channels: its counters go over 2^32 */
    rpch_rx_init(&rx, 65536);
    rpch_tx_init(&tx, 65536);
    tx.sent = UINT32_MAX - 100000u;
    tx.edge = tx.sent + tx.window;
    rx.received = UINT32_MAX - 100000u;
    while (turned < 30) {
        ck_assert(rpch_tx_may_send(&tx, 5840));
        rpch_tx_sent(&tx, 5840);
        ck_assert(!rpch_rx_received(&rx, 5840));
        if (rpch_rx_consumed(&rx, 5840, &ack)) {
            ck_assert_int_eq(rpch_tx_ack(&tx, rx.received, ack), RPCH_OK);
            ck_assert_uint_eq(tx.avail, 65536);
            ck_assert_int_eq(rpch_tx_ack(&tx, rx.received + 1, ack),
                             RPCH_E_ACK);
        }
        turned += rx.received < last || turned > 0;
        last = rx.received;
    }
    ck_assert_uint_gt(tx.sent, UINT32_MAX);
    ck_assert_uint_eq((uint32_t)tx.sent, rx.received);
    /* from before the turn: late, and fine */
    last = tx.avail;
    ck_assert_int_eq(rpch_tx_ack(&tx, UINT32_MAX, 0), RPCH_OK);
    ck_assert_uint_eq(tx.avail, last);
}
END_TEST

/* Runs a sender of PDUs of those sizes against a receiver that consumes at
 * once; fails the test when the sender ever has to wait for good. */
static void run(uint32_t window, const uint32_t *sizes, size_t n)
{
    rpch_rx rx;
    rpch_tx tx;
    size_t i;
    uint32_t ack;

    rpch_rx_init(&rx, window);
    rpch_tx_init(&tx, window);
    for (i = 0; i < 1000; i++) {
        uint32_t size = sizes[i % n];
        ck_assert_msg(rpch_tx_may_send(&tx, size),
                      "window %u: %u bytes are stuck at %u", window, size,
                      tx.avail);
        rpch_tx_sent(&tx, size);
        rpch_rx_received(&rx, size);
        if (rpch_rx_consumed(&rx, size, &ack))
            ck_assert_int_eq(rpch_tx_ack(&tx, rx.received, ack), RPCH_OK);
    }
}

START_TEST(test_flow_no_deadlock_with_small_windows)
{
    static const uint32_t all[] = { 5840 };
    static const uint32_t mixed[] = { 116, 1000, 1000, 1000, 1000, 5840, 24 };
    static const uint32_t huge[] = { 72, 40000, 65535, 16 };
    static const uint32_t large[] = { 40000, 26000 }; /* over half of 65536 */
    uint32_t window;

    run(RPCH_WINDOW_MIN, all, 1);
    run(RPCH_WINDOW_MIN, mixed, 7);
    run(11680, mixed, 7);
    run(12000, mixed, 7);
    run(RPCH_WINDOW_MAX, mixed, 7);
    run(RPCH_WINDOW_MAX, huge, 4);
    run(RPCH_WINDOW_DEFAULT, large, 2);
    run(100, mixed, 1);
    for (window = 5840; window < 20000; window += 97)
        run(window, mixed, 7);
}
END_TEST

START_TEST(test_flow_pdu_larger_than_the_window)
{
    rpch_rx rx;
    rpch_tx tx;
    uint32_t ack = 0;
    int i;

    rpch_rx_init(&rx, 8192);
    rpch_tx_init(&tx, 8192);
    for (i = 0; i < 10; i++) {
        ck_assert(rpch_tx_may_send(&tx, 65535));
        rpch_tx_sent(&tx, 65535);
        ck_assert_uint_eq(tx.avail, 0);
        ck_assert(!rpch_tx_may_send(&tx, 65535));
        ck_assert(!rpch_tx_may_send(&tx, 16));
        ck_assert(rpch_rx_received(&rx, 65535));
        ck_assert(rpch_rx_consumed(&rx, 65535, &ack));
        ck_assert_uint_eq(ack, 8192);
        ck_assert_int_eq(rpch_tx_ack(&tx, rx.received, ack), RPCH_OK);
    }
}
END_TEST

START_TEST(test_flow_peer_window_is_clamped)
{
    rpch_tx tx;

    rpch_tx_init(&tx, UINT32_MAX);
    ck_assert_uint_eq(tx.window, RPCH_WINDOW_MAX);
    ck_assert_uint_eq(tx.avail, RPCH_WINDOW_MAX);
    rpch_tx_init(&tx, RPCH_WINDOW_MAX - 1);
    ck_assert_uint_eq(tx.window, RPCH_WINDOW_MAX - 1);
    rpch_tx_init(&tx, 0);
    ck_assert(rpch_tx_may_send(&tx, 5840));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("flow");
    TCase *tc = tcase_create("flow");

    tcase_add_test(tc, test_flow_worked_example);
    tcase_add_test(tc, test_flow_acks_large_windows_early);
    tcase_add_test(tc, test_flow_may_follow);
    tcase_add_test(tc, test_flow_full_window);
    tcase_add_test(tc, test_flow_overrun_recovers);
    tcase_add_test(tc, test_flow_acks_at_half_of_the_window);
    tcase_add_test(tc, test_flow_acks_while_data_is_queued);
    tcase_add_test(tc, test_flow_off_never_acks);
    tcase_add_test(tc, test_flow_consumed_of_a_predecessor);
    tcase_add_test(tc, test_flow_ack_out_of_range);
    tcase_add_test(tc, test_flow_ack_that_is_late);
    tcase_add_test(tc, test_flow_acks_in_any_order);
    tcase_add_test(tc, test_flow_counters_pass_the_turn);
    tcase_add_test(tc, test_flow_no_deadlock_with_small_windows);
    tcase_add_test(tc, test_flow_pdu_larger_than_the_window);
    tcase_add_test(tc, test_flow_peer_window_is_clamped);
    suite_add_tcase(s, tc);
    return test_main(s);
}
