/* SPDX-License-Identifier: Apache-2.0 */
/* server_test.h - what the tests of the server role machine share: one
 * machine, and how it is brought to a state */
#ifndef RPCH_SERVER_TEST_H
#define RPCH_SERVER_TEST_H

#include "role_test.h"

#include "rpch/server.h"

/* What the out-proxy adds to C-OUT and does not report: CONN/A3, a Ping, and
 * Pings up to the bound of their reports. */
#define HIDDEN (28u + 20u + RPCH_PING_NOTIFY_DEFAULT)

static rpch_server sv;
static uint8_t pdu[RPCH_RTS_SIZE_MAX];

/* What CONN/A2 carries. */
static inline rpch_rts_values a2_values(void)
{
    return role_values(0xb0, 0);
}

/* What CONN/B2 carries. */
static inline rpch_rts_values b2_values(void)
{
    return role_values(0xc0, 0);
}

/* A PDU on the S-IN of that slot. */
static inline int in_rts_at(int slot, rpch_pdu_id id, const rpch_rts_values *v,
                            rpch_msec now)
{
    return rpch_server_in_rts(&sv, slot, pdu, role_rts(id, v, pdu), now);
}

/* A PDU on the S-OUT of that slot. */
static inline int out_rts_at(int slot, rpch_pdu_id id,
                             const rpch_rts_values *v, rpch_msec now)
{
    return rpch_server_out_rts(&sv, slot, pdu, role_rts(id, v, pdu), now);
}

/* A PDU on the first S-IN. */
static inline int in_rts(rpch_pdu_id id, const rpch_rts_values *v,
                         rpch_msec now)
{
    return in_rts_at(0, id, v, now);
}

/* A PDU on the first S-OUT. */
static inline int out_rts(rpch_pdu_id id, const rpch_rts_values *v,
                          rpch_msec now)
{
    return out_rts_at(0, id, v, now);
}

/* The lanes of the first S-IN and S-OUT. */
static inline rpch_lane *to_in(void)
{
    return rpch_server_lane(&sv, true, 0);
}

static inline rpch_lane *to_out(void)
{
    return rpch_server_lane(&sv, false, 0);
}

/* Both directions have a TCP connection in their slot 0. */
static inline void enter(void)
{
    if (sv.core.flags & RPCH_JOINED)
        return;
    ck_assert_int_eq(rpch_server_enter(&sv, true), 0);
    ck_assert_int_eq(rpch_server_enter(&sv, false), 0);
}

/* A fresh machine. */
static inline void start_with(const rpch_limits *l, unsigned flags)
{
    rpch_server_init(&sv, l, flags, NULL, NULL, 1000);
    enter();
}

/* A fresh machine that does not recycle by itself. */
static inline void start(unsigned flags)
{
    rpch_limits l = role_limits();

    start_with(&l, flags);
}

/* Compares what waits in the lane, and empties it. */
static inline void check_lane(rpch_lane *lane, const char *hex)
{
    uint8_t want[256];
    size_t n = test_hex(hex, want, sizeof(want));
    size_t len;
    const uint8_t *got = rpch_lane_buf(lane, &len);

    ck_assert_uint_eq(len, n);
    if (n)
        ck_assert_mem_eq(got, want, n);
    rpch_lane_ack(lane, len);
}

/* A fresh machine, brought to that state. */
static inline void drive(rpch_server_state to)
{
    rpch_rts_values a2 = a2_values();
    rpch_rts_values b2 = b2_values();

    start(0);
    if (to == RPCH_SERVER_A2W || to == RPCH_SERVER_OPENED)
        ck_assert_int_eq(in_rts(RPCH_CONN_B2, &b2, 1000), RPCH_OK);
    if (to == RPCH_SERVER_B2W || to == RPCH_SERVER_OPENED)
        ck_assert_int_eq(out_rts(RPCH_CONN_A2, &a2, 1000), RPCH_OK);
    if (to == RPCH_SERVER_FINISHED)
        rpch_server_fail(&sv, RPCH_E_POLICY, "the test");
    ck_assert_int_eq(sv.core.state, to);
}

#endif
