/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client_recycle_test.h - what the tests of recycling by the client role
 * share: its PDUs byte by byte, and the way to each state of its channels.
 */
#ifndef RPCH_CLIENT_RECYCLE_TEST_H
#define RPCH_CLIENT_RECYCLE_TEST_H

#include "client_test.h"

#define COOKIE_A0 "a0a1a2a3 a4a5a6a7 a8a9aaab acadaeaf"
#define COOKIE_B0 "b0b1b2b3 b4b5b6b7 b8b9babb bcbdbebf"
#define COOKIE_C0 "c0c1c2c3 c4c5c6c7 c8c9cacb cccdcecf"
#define COOKIE_D0 "d0d1d2d3 d4d5d6d7 d8d9dadb dcdddedf"
#define COOKIE_E0 "e0e1e2e3 e4e5e6e7 e8e9eaeb ecedeeef"

#define IN_A1 \
    "05001403 10000000 58000000 00000000 04000400" \
    "06000000 01000000 03000000" COOKIE_A0 \
    "03000000" COOKIE_C0 "03000000" COOKIE_D0
#define IN_A5 \
    "05001403 10000000 28000000 00000000 00000100 03000000" COOKIE_D0
#define OUT_A3 \
    "05001403 10000000 60000000 00000000 04000500" \
    "06000000 01000000 03000000" COOKIE_A0 \
    "03000000" COOKIE_B0 "03000000" COOKIE_E0 "00000000 00000100"
#define OUT_R1_A7 \
    "05001403 10000000 30000000 00000000 10000200" \
    "0d000000 02000000 03000000" COOKIE_E0
#define OUT_R2_A7 \
    "05001403 10000000 38000000 00000000 10000300" \
    "0d000000 02000000 03000000" COOKIE_E0 "06000000 01000000"
#define OUT_A11 "05001403 10000000 18000000 00000000 00000100 0a000000"
#define OUT_C1 "05001403 10000000 18000000 00000000 01000100 07000000"
#define PING "05001403 10000000 14000000 00000000 01000000"

/* B1 has 104 of the 10000 bytes; recycling starts above 9000, RPC PDUs leave
 * 500 bytes and A5 (40) free. */
#define LIFETIME 10000u
#define RESERVE 1000u
#define START (LIFETIME - RESERVE)
#define RPC_END (LIFETIME - 40 - RESERVE / 2)

/* The limits of above. */
static inline rpch_limits limits(void)
{
    rpch_limits l = role_limits();

    l.channel_lifetime = LIFETIME;
    l.recycle_reserve = RESERVE;
    return l;
}

/* Opens the connection with them. */
static inline void open_with(unsigned flags)
{
    rpch_limits l = limits();

    client_open(flags, &l);
}

/* Sends RPC PDUs until that many bytes of the current C-IN are used. */
static inline void use_up_to(uint64_t used)
{
    rpch_client_sent(&cl, (uint32_t)(used - cl.in[cl.in_slot].used), 1000);
    ack((uint8_t)cl.in[cl.in_slot].cookie.b[0], (uint32_t)cl.tx.sent, 65536);
}

/* The successor request is opened; the channel cookie counts up from first. */
static inline unsigned requested(bool is_in, uint8_t first, rpch_msec now)
{
    rpch_cookie c = role_cookie(first);
    unsigned slot = rpch_client_next(&cl, is_in);

    ck_assert_int_eq(rpch_client_requested(&cl, is_in, &c, now), (int)slot);
    return slot;
}

/* An RTS PDU without cookies arrives on the current C-OUT. */
static inline int take(rpch_pdu_id id)
{
    rpch_rts_values v = role_values(0, 0);

    v.dest = RPCH_DEST_CLIENT;
    return rts(id, &v, 1000);
}

/* True when the machine wants one of those. */
static inline bool wants(unsigned what)
{
    return (rpch_client_wants(&cl) & what) != 0;
}

/* Brings IN to that state; the PDUs on the way are sent. */
static inline void drive_in(int to)
{
    open_with(0);
    if (to >= RPCH_CLIENT_IN_REQUEST)
        use_up_to(START + 1);
    if (to >= RPCH_CLIENT_IN_A4W) {
        requested(true, 0xd0, 1000);
        rpch_client_in_ack(&cl, 1, 88, 1000);
    }
    ck_assert_int_eq(cl.in_state, to);
    ck_assert_int_eq(cl.core.state, RPCH_CLIENT_OPENED);
}

/* Brings OUT to that state. */
static inline void drive_out(int to)
{
    open_with(0);
    if (to >= RPCH_CLIENT_OUT_REQUEST)
        ck_assert_int_eq(take(RPCH_OUT_R1_A2), RPCH_OK);
    if (to >= RPCH_CLIENT_OUT_A6W) {
        requested(false, 0xe0, 1000);
        rpch_client_body_ack(&cl, 1, 96);
    }
    if (to == RPCH_CLIENT_OUT_A10W || to == RPCH_CLIENT_OUT_RESPONSE)
        ck_assert_int_eq(take(RPCH_OUT_R1_A6), RPCH_OK);
    if (to == RPCH_CLIENT_OUT_B3W)
        ck_assert_int_eq(take(RPCH_OUT_R2_A6), RPCH_OK);
    if (to == RPCH_CLIENT_OUT_RESPONSE)
        ck_assert_int_eq(take(RPCH_OUT_R1_A10), RPCH_OK);
    rpch_client_in_ack(&cl, 0, 56, 1000);
    ck_assert_int_eq(cl.out_state, to);
    ck_assert_int_eq(cl.core.state, RPCH_CLIENT_OPENED);
}

/* A letter is the state after the event, x a protocol error, t the timer's
 * end; - no change. */
static inline void check_cell(const rpch_machine_table *t, int e, int s, char want,
                       const char *letters, const int *state)
{
    int to = s, status = RPCH_OK;

    if (want == 'x' || want == 't')
        status = want == 'x' ? RPCH_E_UNEXPECTED : RPCH_E_TIMEOUT;
    else if (want != '-') {
        ck_assert_ptr_nonnull(strchr(letters, want));
        to = (int)(strchr(letters, want) - letters);
    }
    ck_assert_msg(cl.core.status == status && (status != RPCH_OK
                                               || *state == to),
                  "%s in %s: got %s, %s", t->event_name(e), t->state_name(s),
                  t->state_name(*state), rpch_status_name(cl.core.status));
    ck_assert((cl.core.reason == NULL) == (status == RPCH_OK));
    ck_assert_int_eq(cl.core.state, status == RPCH_OK ? RPCH_CLIENT_OPENED
                                                      : RPCH_CLIENT_FINISHED);
}

#endif
