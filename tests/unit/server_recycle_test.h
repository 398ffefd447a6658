/* SPDX-License-Identifier: Apache-2.0 */
/* server_recycle_test.h - the server role machine on its way through
 * recycling: cookies a0 (connection), b0 b8 bc (OUT channels), c0 c8 cc (IN
 * channels) */
#ifndef RPCH_SERVER_RECYCLE_TEST_H
#define RPCH_SERVER_RECYCLE_TEST_H

#include "server_test.h"

#define LIFETIME 131072u
#define RESERVE 8192u

/* What is left for RPC PDUs of a channel that has carried CONN/C1. */
#define LEFT (LIFETIME - HIDDEN - 44u)

/* Empties every lane. */
static inline void empty_lanes(void)
{
    int i;

    for (i = 0; i < RPCH_SERVER_SLOTS; i++) {
        rpch_lane_ack(rpch_server_lane(&sv, true, i), RPCH_LANE_SIZE);
        rpch_lane_ack(rpch_server_lane(&sv, false, i), RPCH_LANE_SIZE);
    }
}

/* The limits of a role that recycles. */
static inline rpch_limits recycling_limits(void)
{
    rpch_limits l = role_limits();

    l.recycle_reserve = RESERVE;
    l.drain_timeout = 5000;
    return l;
}

/* Opens the machine that was just started; its lanes are empty. */
static inline void open_it(void)
{
    rpch_rts_values a2 = a2_values();
    rpch_rts_values b2 = b2_values();

    a2.lifetime = LIFETIME;
    ck_assert_int_eq(in_rts(RPCH_CONN_B2, &b2, 1000), RPCH_OK);
    ck_assert_int_eq(out_rts(RPCH_CONN_A2, &a2, 1000), RPCH_OK);
    empty_lanes();
}

/* An open machine that recycles. */
static inline void open_with(unsigned flags)
{
    rpch_limits l = recycling_limits();

    start_with(&l, flags);
    open_it();
}

/* A FlowControlAck of the S-OUT in that slot. */
static inline int ack_out(int slot, uint8_t cookie, uint32_t received)
{
    rpch_rts_values v = role_values(0, 0);

    v.ack.cookie = role_cookie(cookie);
    v.ack.bytes_received = received;
    v.ack.available_window = 65536;
    return out_rts_at(slot, RPCH_FLOW_CONTROL_ACK, &v, 1000);
}

/* Sends so much that only `left` bytes are left of the lifetime; the window
 * is open again then. */
static inline void spend_to(uint64_t left)
{
    uint64_t n = rpch_server_lifetime_left(&sv) - left;
    rpch_server_out *s = &sv.out[sv.out_at];

    if (sv.core.flags & RPCH_JOINED) {
        rpch_server_spent(&sv, s->used + n, false);
        return;
    }
    rpch_server_sent(&sv, (uint32_t)n);
    ck_assert_int_eq(ack_out(sv.out_at, s->channel.b[0],
                             (uint32_t)s->tx.sent), RPCH_OK);
}

/* IN_R1/A2 on a new S-IN; returns its slot. */
static inline int in_successor(uint8_t predecessor, uint8_t successor)
{
    rpch_rts_values v = role_values(predecessor, successor);
    int slot = rpch_server_enter(&sv, true);

    ck_assert_int_ge(slot, 0);
    ck_assert_int_eq(in_rts_at(slot, RPCH_IN_R1_A2, &v, 1000), RPCH_OK);
    return slot;
}

/* OUT_R1/A4 on a new S-OUT; returns its slot. */
static inline int out_successor(uint8_t predecessor, uint8_t successor)
{
    rpch_rts_values v = role_values(predecessor, successor);
    int slot = rpch_server_enter(&sv, false);

    v.lifetime = LIFETIME;
    v.window = 32768;
    ck_assert_int_ge(slot, 0);
    ck_assert_int_eq(out_rts_at(slot, RPCH_OUT_R1_A4, &v, 1000), RPCH_OK);
    return slot;
}

/* A PDU with one cookie. */
static inline rpch_rts_values cookie_values(uint8_t cookie)
{
    rpch_rts_values v = role_values(0, 0);

    v.cookie[0] = role_cookie(cookie);
    return v;
}

/* IN_R1/A6, IN_R2/A2 or OUT_Rx/A8 on the S-IN in that slot. */
static inline int in_cookie(int slot, rpch_pdu_id id, uint8_t cookie)
{
    rpch_rts_values v = cookie_values(cookie);

    return in_rts_at(slot, id, &v, 1000);
}

/* OUT_R2/A4 on the S-OUT. */
static inline int out_r2_a4(uint8_t cookie)
{
    rpch_rts_values v = cookie_values(cookie);

    return out_rts_at(sv.out_at, RPCH_OUT_R2_A4, &v, 1000);
}

/* Brings the virtual IN channel, which is opened, to that state. */
static inline void in_to(rpch_server_in_state to)
{
    if (to != RPCH_SERVER_IN_OPENED)
        in_successor(0xc0, 0xc8);
    if (to == RPCH_SERVER_IN_OPENED_B1W)
        ck_assert_int_eq(in_cookie(0, RPCH_IN_R1_A6, 0xc8), RPCH_OK);
    ck_assert_int_eq(sv.in_state, to);
}

/* Brings the virtual OUT channel, which is opened, to that state. */
static inline void out_to(rpch_server_out_state to)
{
    if (to != RPCH_SERVER_OUT_OPENED)
        spend_to(RESERVE - 1);
    if (to == RPCH_SERVER_OUT_A8W)
        out_successor(0xb0, 0xb8);
    if (to == RPCH_SERVER_OUT_R2A8W)
        ck_assert_int_eq(out_r2_a4(0xb8), RPCH_OK);
    ck_assert_int_eq(sv.out_state, to);
}

/* Feeds an RPC PDU of n bytes to the S-IN in that slot. */
static inline int in_rpc(int slot, size_t n)
{
    static uint8_t rpc[65536];
    rpch_step step;
    int rv = RPCH_OK;
    size_t at = 0;

    role_rpc(rpc, n, 9);
    while (at < n && rv == RPCH_OK) {
        rv = rpch_server_in_recv(&sv, slot, rpc + at, n - at, &step, 1000);
        ck_assert_uint_gt(step.used, 0);
        at += step.used;
    }
    return rv;
}

#endif
