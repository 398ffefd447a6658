/* SPDX-License-Identifier: Apache-2.0 */
/* server_test.h - what the tests of the server role machine share: one
 * machine, and how it is brought to a state */
#ifndef RPCH_SERVER_TEST_H
#define RPCH_SERVER_TEST_H

#include "role_test.h"

#include "rpch/server.h"

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

/* A PDU on S-IN. */
static inline int in_rts(rpch_pdu_id id, const rpch_rts_values *v,
                         rpch_msec now)
{
    return rpch_server_in_rts(&sv, pdu, role_rts(id, v, pdu), now);
}

/* A PDU on S-OUT. */
static inline int out_rts(rpch_pdu_id id, const rpch_rts_values *v,
                          rpch_msec now)
{
    return rpch_server_out_rts(&sv, pdu, role_rts(id, v, pdu), now);
}

/* A fresh machine. */
static inline void start(unsigned flags)
{
    rpch_limits l = role_limits();

    rpch_server_init(&sv, &l, flags, NULL, NULL, 1000);
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
