/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_rpcl_calls.c - the calls of rpch-client against the RPC layer of
 * rpch-server in memory: what they move, and that no wrong byte passes.
 */
#include "../../tools/rpcd_rpc.h"
#include "../../tools/rpcl_calls.h"
#include "role_test.h"

static rpcl_calls c;
static rpcd_assoc server;
static uint8_t answer[RPCD_FRAG_MAX];

static void start(rpcl_kind kind, uint64_t bytes, uint32_t call_bytes,
                  uint32_t outstanding)
{
    rpcl_plan plan = { .bytes = bytes, .call_bytes = call_bytes,
                       .outstanding = outstanding, .kind = kind };

    rpcl_calls_init(&c, &plan);
    rpcd_rpc_init(&server, 1 << 24, 6001);
}

/* Sends what there is to send, or only one PDU of it; true when something
 * went. */
static bool send_some(bool all)
{
    const uint8_t *p;
    size_t len;
    bool any = false;

    while ((!any || all) && (p = rpcl_calls_pdu(&c, &len)) != NULL) {
        role_check(len <= RPCL_FRAGMENT);
        role_check(rpcl_calls_pdu(&c, &len) == p); /* the same one */
        rpcd_rpc_feed(&server, p, len);
        rpcl_calls_sent(&c);
        any = true;
    }
    return any;
}

/* The next PDU of the server, in answer; its size, 0 when there is none. */
static uint32_t next_answer(void)
{
    uint32_t n = rpcd_rpc_pending(&server);

    if (n > 0)
        rpcd_rpc_write(&server, answer);
    return n;
}

static bool give(uint32_t n, int how, uint32_t *seed)
{
    uint32_t at = 0;

    while (at < n) {
        size_t cut = role_cut(how, n - at, seed);

        if (!rpcl_calls_feed(&c, answer + at, cut, at + cut == n))
            return false;
        at += (uint32_t)cut;
    }
    return true;
}

/* Runs until nothing moves; false when an answer was refused. */
static bool run(int how, uint32_t seed)
{
    uint32_t n;
    bool sent;

    do {
        sent = send_some(how == ROLE_WHOLE);
        n = next_answer();
        if (n > 0 && !give(n, how, &seed))
            return false;
    } while (sent || n > 0);
    return true;
}

START_TEST(test_rpcl_calls_moves_all)
{
    static const struct {
        rpcl_kind kind;
        uint64_t up, down;
    } want[] = {
        { RPCL_MIXED, 500001, 500001 }, { RPCL_ECHO, 500001, 500001 },
        { RPCL_SINK, 500001, 0 }, { RPCL_SOURCE, 0, 500001 }
    };
    static const uint32_t call_bytes[] = { 1, 5800, 16384, 1000000 };
    uint32_t round;
    size_t k, i;

    for (k = 0; k < 4; k++)
        for (i = 1; i < 4; i++)
            for (round = 0; round < 3; round++) {
                start(want[k].kind, 500001, call_bytes[i], 1 + 4 * round);
                ck_assert_msg(run(round == 0 ? ROLE_WHOLE : ROLE_RANDOM,
                                  round), "%s", c.error);
                ck_assert(rpcl_calls_done(&c));
                ck_assert_uint_eq(c.up, want[k].up);
                ck_assert_uint_eq(c.down, want[k].down);
                rpcd_rpc_free(&server);
            }
    start(RPCL_MIXED, 100, call_bytes[0], 64);
    ck_assert(run(ROLE_BYTES, 1));
    ck_assert_uint_eq(c.up, 100);
    ck_assert_uint_eq(c.down, 100);
    ck_assert_uint_eq(c.answered, c.made + 1);
    rpcd_rpc_free(&server);
}
END_TEST

START_TEST(test_rpcl_calls_counts_calls)
{
    start(RPCL_MIXED, 1, 1000, 3);
    c.plan.calls = 7;
    ck_assert(run(ROLE_WHOLE, 1));
    ck_assert(rpcl_calls_done(&c));
    ck_assert_uint_eq(c.made, 7);
    ck_assert_uint_eq(c.up, 5000);
    ck_assert_uint_eq(c.down, 4000);
    rpcl_calls_add_one(&c);
    ck_assert(!rpcl_calls_done(&c));
    ck_assert(run(ROLE_WHOLE, 1));
    ck_assert(rpcl_calls_done(&c));
    ck_assert_uint_eq(c.answered, 9);
    rpcd_rpc_free(&server);
}
END_TEST

/* No more calls at once than the plan says, and none before the bind_ack. */
START_TEST(test_rpcl_calls_outstanding)
{
    size_t len;

    start(RPCL_SINK, 10000, 100, 3);
    ck_assert(send_some(true));
    ck_assert_uint_eq(c.made, 0);
    ck_assert_ptr_null(rpcl_calls_pdu(&c, &len));
    ck_assert(give(next_answer(), ROLE_WHOLE, NULL));
    ck_assert(send_some(true));
    ck_assert_uint_eq(c.made, 3);
    ck_assert(give(next_answer(), ROLE_WHOLE, NULL));
    ck_assert(send_some(true));
    ck_assert_uint_eq(c.made, 4);
    rpcd_rpc_free(&server);
}
END_TEST

/* Every byte of every PDU of an answer, one at a time, made wrong: all that
 * have a meaning are found out, at the latest when all should be done. */
START_TEST(test_rpcl_calls_no_wrong_byte_passes)
{
    static const bool matters[24] = {
        [2] = true,  /* PTYPE */
        [12] = true, [13] = true, [14] = true, [15] = true /* call_id */
    };
    uint32_t n, at, pdu;

    for (pdu = 0; pdu < 3; pdu++)
        for (at = 0;; at++) {
            uint32_t i;

            start(RPCL_ECHO, 9000, 9000, 1);
            send_some(true);
            give(next_answer(), ROLE_WHOLE, NULL); /* bind_ack */
            send_some(true);
            for (i = 0; i < pdu && (n = next_answer()) > 0; i++)
                role_check(give(n, ROLE_WHOLE, NULL));
            n = next_answer();
            if (at < n)
                answer[at] ^= 0x10;
            if (at < n && (at >= 24 || matters[at]))
                role_check(!give(n, ROLE_WHOLE, NULL) && c.error != NULL);
            rpcd_rpc_free(&server);
            if (at >= n)
                break;
        }
}
END_TEST

/* PDUs of an answer lost, repeated, exchanged, or cut short. */
START_TEST(test_rpcl_calls_no_wrong_order_passes)
{
    static uint8_t pdu[4][RPCD_FRAG_MAX];
    /* indices of the PDUs given; -1: the end */
    static const int order[][5] = {
        { 1, -1 }, { 0, 0, -1 }, { 0, 2, -1 }, { 1, 0, -1 }, { 2, -1 },
        { 0, 1, 2, 2, -1 }, { 0, 1, 1, -1 }
    };
    uint32_t len[4];
    size_t i;
    int k;

    for (i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
        bool ok = true;

        start(RPCL_ECHO, 15000, 15000, 1);
        send_some(true);
        give(next_answer(), ROLE_WHOLE, NULL);
        send_some(true);
        for (k = 0; k < 3; k++) {
            len[k] = next_answer();
            ck_assert_uint_gt(len[k], 0);
            memcpy(pdu[k], answer, len[k]);
        }
        ck_assert_uint_eq(next_answer(), 0);
        for (k = 0; ok && order[i][k] >= 0; k++) {
            memcpy(answer, pdu[order[i][k]], len[order[i][k]]);
            ok = give(len[order[i][k]], ROLE_WHOLE, NULL);
        }
        ck_assert_msg(!ok, "order %d passes", (int)i);
        ck_assert_ptr_nonnull(c.error);
        rpcd_rpc_free(&server);
    }
}
END_TEST

START_TEST(test_rpcl_calls_fault)
{
    static const uint8_t fault[32] = {
        5, 0, 3, 3, 0x10, 0, 0, 0, 32, 0, 0, 0, 2, 0, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0xf7, 0x06
    };

    start(RPCL_ECHO, 100, 100, 1);
    send_some(true);
    give(next_answer(), ROLE_WHOLE, NULL);
    send_some(true);
    ck_assert(!rpcl_calls_feed(&c, fault, sizeof(fault), true));
    ck_assert_uint_eq(c.fault, 0x6f7);
    ck_assert_ptr_nonnull(strstr(c.error, "fault"));
    rpcd_rpc_free(&server);
    start(RPCL_ECHO, 100, 100, 1);
    ck_assert(!rpcl_calls_feed(&c, fault, sizeof(fault), true));
    ck_assert_ptr_nonnull(strstr(c.error, "bind"));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("calls of rpch-client");
    TCase *t = tcase_create("core");

    tcase_add_test(t, test_rpcl_calls_moves_all);
    tcase_add_test(t, test_rpcl_calls_counts_calls);
    tcase_add_test(t, test_rpcl_calls_outstanding);
    tcase_add_test(t, test_rpcl_calls_no_wrong_byte_passes);
    tcase_add_test(t, test_rpcl_calls_no_wrong_order_passes);
    tcase_add_test(t, test_rpcl_calls_fault);
    suite_add_tcase(s, t);
    return test_main(s);
}
