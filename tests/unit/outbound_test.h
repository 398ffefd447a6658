/* SPDX-License-Identifier: Apache-2.0 */
/* outbound_test.h - what the tests of the outbound proxy machine share: one
 * machine, what its neighbours send, and what it is to have become */
#ifndef RPCH_OUTBOUND_TEST_H
#define RPCH_OUTBOUND_TEST_H

#include "role_test.h"

#include "rpch/outbound.h"

#define START 1000 /* the clock when a machine starts */

static rpch_outbound m;
static uint8_t pdu[RPCH_RTS_SIZE_MAX];
static uint8_t rpc[RPCH_PDU_SIZE_MAX];
static rpch_step step;

static const char hex_a1[] =
    "05001403 10000000 4c000000 00000000 00000400"
    "06000000 01000000"
    "03000000 a0a1a2a3a4a5a6a7a8a9aaabacadaeaf"
    "03000000 b0b1b2b3b4b5b6b7b8b9babbbcbdbebf"
    "00000000 00000100";
static const char hex_a2[] =
    "05001403 10000000 54000000 00000000 10000500"
    "06000000 01000000"
    "03000000 a0a1a2a3a4a5a6a7a8a9aaabacadaeaf"
    "03000000 b0b1b2b3b4b5b6b7b8b9babbbcbdbebf"
    "04000000 00000040"
    "00000000 00000100";
static const char hex_a3[] =
    "05001403 10000000 1c000000 00000000 00000100 02000000 c0d40100";
static const char hex_c1[] =
    "05001403 10000000 2c000000 00000000 00000300"
    "06000000 01000000 00000000 00000100 02000000 c0d40100";
/* 40000 bytes of S-OUT received, for the server */
static const char hex_ack[] =
    "05001403 10000000 30000000 00000000 02000100"
    "01000000 409c0000 00000100 b0b1b2b3b4b5b6b7b8b9babbbcbdbebf";
static const char hex_a10[] =
    "05001403 10000000 18000000 00000000 00000100 0a000000";
static const char hex_b3[] =
    "05001403 10000000 18000000 00000000 20000100 0a000000";
static const char hex_ping[] = "05001403 10000000 14000000 00000000 01000000";
static const char hex_notify[] =
    "05001403 10000000 1c000000 00000000 02000100 0e000000 10040000";

/* A fresh machine with those limits. */
static inline void start_with(const rpch_limits *l, unsigned flags)
{
    rpch_outbound_init(&m, l, flags, NULL, NULL, START);
}

/* A fresh machine. */
static inline void start(unsigned flags)
{
    rpch_limits l = role_limits();

    l.drain_timeout = 20000;
    start_with(&l, flags);
}

/* Bytes from the client. */
static inline int client(const uint8_t *p, size_t len)
{
    int rc = rpch_outbound_client_recv(&m, p, len, &step, START);

    ck_assert_uint_le(step.used, len);
    ck_assert_ptr_null(step.pass);
    return rc;
}

/* Bytes from the server. */
static inline int server(const uint8_t *p, size_t len)
{
    int rc = rpch_outbound_server_recv(&m, p, len, &step, START);

    ck_assert_uint_le(step.used, len);
    return rc;
}

/* A PDU from the client. */
static inline int client_rts(rpch_pdu_id id, const rpch_rts_values *v)
{
    return client(pdu, role_rts(id, v, pdu));
}

/* From the server, by the way that the machine listens to. */
static inline int server_rts(rpch_pdu_id id, const rpch_rts_values *v)
{
    size_t n = role_rts(id, v, pdu);

    if (m.core.flags & RPCH_JOINED)
        return rpch_outbound_server_rts(&m, pdu, n, START);
    return server(pdu, n);
}

/* What the successor d0 of channel b0 asks for. */
static inline rpch_succession succession(void)
{
    rpch_succession s = { role_cookie(0xa0), role_cookie(0xb0),
                          role_cookie(0xd0), 65536 };

    return s;
}

/* An idle S-OUT on its way from b0 to d0. */
static inline rpch_out_leg leg_of(unsigned flags)
{
    rpch_out_leg leg;

    memset(&leg, 0, sizeof(leg));
    leg.vc = role_cookie(0xa0);
    leg.predecessor = role_cookie(0xb0);
    leg.successor = role_cookie(0xd0);
    leg.lifetime = 1073741824;
    rpch_rx_init(&leg.rx, 65536);
    leg.rx.off = (flags & RPCH_JOINED) != 0;
    return leg;
}

/* From a started machine to the state of a successor. */
static inline void succeed(rpch_out_state to)
{
    rpch_rts_values v = role_values(0xb0, 0xd0);
    rpch_out_leg leg = leg_of(m.core.flags);

    ck_assert_int_eq(client_rts(RPCH_OUT_R2_A3, &v), RPCH_OK);
    if (to == RPCH_OUT_SUCCEED)
        return;
    ck_assert_int_eq(to == RPCH_OUT_A11W ? rpch_outbound_connected(&m, START)
                                         : rpch_outbound_attached(&m, START),
                     RPCH_OK);
    if (to == RPCH_OUT_LEGW || to == RPCH_OUT_RESUME)
        ck_assert_int_eq(client_rts(RPCH_OUT_R2_C1, &v), RPCH_OK);
    if (to == RPCH_OUT_R2C1W || to == RPCH_OUT_RESUME)
        ck_assert_int_eq(rpch_outbound_adopt(&m, &leg, START), RPCH_OK);
}

/* From Opened to the state of a predecessor. An RPC PDU of 24 bytes waits in
 * DRAIN_R1, and is being written in FINISH_R2. */
static inline void leave(rpch_out_state to)
{
    rpch_rts_values v = role_values(0xb0, 0xd0);
    rpch_succession s = succession();
    const char *reason;

    if (to == RPCH_OUT_DRAIN_R1 || to == RPCH_OUT_FINISH_R2)
        ck_assert_int_eq(server(rpc, role_rpc(rpc, 24, 1)), RPCH_OK);
    if (to == RPCH_OUT_FINISH_R2)
        ck_assert_int_eq(rpch_outbound_pdu_begin(&m, 24), RPCH_OK);
    if (to != RPCH_OUT_DRAIN_R1 && to != RPCH_OUT_LAST_R1)
        ck_assert_int_eq(rpch_outbound_attach(&m, &s, &reason), RPCH_OK);
    rpch_lane_init(&m.to_client);
    if (to != RPCH_OUT_OPENED_B1W)
        ck_assert_int_eq(server_rts(RPCH_OUT_R2_B1, &v), RPCH_OK);
    if (to == RPCH_OUT_RELEASE)
        rpch_outbound_client_ack(&m, 24, START);
}

/* From a started machine to the state; empties the lanes, but for the last
 * PDU of LAST_R1 and LAST_R2. */
static inline void advance(rpch_out_state to)
{
    rpch_rts_values v = role_values(0xb0, 0);

    if (to == RPCH_OUT_FINISHED)
        rpch_outbound_fail(&m, RPCH_E_POLICY, "the test");
    else if (to >= RPCH_OUT_SUCCEED && to <= RPCH_OUT_RESUME)
        succeed(to);
    else if (to > RPCH_OUT_OPEN_START)
        ck_assert_int_eq(client_rts(RPCH_CONN_A1, &v), RPCH_OK);
    if ((to > RPCH_OUT_CONNECT && to < RPCH_OUT_SUCCEED)
        || (to > RPCH_OUT_RESUME && to < RPCH_OUT_FINISHED)) {
        ck_assert_int_eq(rpch_outbound_connected(&m, START), RPCH_OK);
        if (to != RPCH_OUT_RESPONSE)
            ck_assert_int_eq(rpch_outbound_responded(&m, START), RPCH_OK);
        if (to >= RPCH_OUT_OPENED)
            ck_assert_int_eq(server_rts(RPCH_CONN_C1, &v), RPCH_OK);
    }
    if (to > RPCH_OUT_OPENED && to < RPCH_OUT_FINISHED)
        leave(to);
    rpch_lane_init(&m.to_server);
    if (to != RPCH_OUT_LAST_R1 && to != RPCH_OUT_LAST_R2)
        rpch_lane_init(&m.to_client);
    ck_assert_int_eq(m.core.state, to);
}

/* A fresh machine, brought to that state, with empty lanes. */
static inline void drive(unsigned flags, rpch_out_state to)
{
    start(flags);
    advance(to);
}

/* Lets an RPC PDU of n bytes arrive, and passes it on if it may go. */
static inline int rpc_through(size_t n, bool on)
{
    int rc = server(rpc, role_rpc(rpc, n, 3));

    ck_assert(rc != RPCH_OK || (step.first && step.last && step.pass_len == n));
    if (on) {
        ck_assert(rpch_outbound_may_send(&m, (uint32_t)n));
        ck_assert_int_eq(rpch_outbound_pdu_begin(&m, (uint32_t)n), RPCH_OK);
        rpch_outbound_pdu_done(&m, (uint32_t)n, START);
    }
    return rc;
}

/* It is finished, for that reason, and wants nothing more. */
static inline void expect_end(int status, const char *reason)
{
    ck_assert_int_eq(m.core.state, RPCH_OUT_FINISHED);
    ck_assert_int_eq(m.core.status, status);
    ck_assert_str_eq(m.core.reason, reason);
    ck_assert_uint_eq(rpch_outbound_wants(&m), RPCH_WANT_CLOSE);
    ck_assert(rpch_outbound_deadline(&m) == RPCH_NEVER);
}

/* Exactly this waits in the lane; it is taken. */
static inline void expect_lane(rpch_lane *lane, const char *hex)
{
    uint8_t want[RPCH_LANE_SIZE];
    size_t n = test_hex(hex, want, sizeof(want));
    size_t len;
    const uint8_t *p = rpch_lane_buf(lane, &len);

    ck_assert_uint_eq(len, n);
    if (n > 0)
        ck_assert_mem_eq(p, want, n);
    if (lane == &m.to_client)
        rpch_outbound_client_ack(&m, len, START);
    else
        rpch_lane_ack(lane, len);
}

/* One event that is a PDU, by the way it comes. */
static inline void inject_pdu(rpch_out_event ev)
{
    rpch_rts_values v = role_values(0xb0, 0xd0);

    v.ack.cookie = role_cookie(0xb0);
    v.ack.available_window = 65536;
    v.dest = RPCH_DEST_OUT_PROXY;
    switch (ev) {
    case RPCH_OUT_EV_CONN_A1: client_rts(RPCH_CONN_A1, &v); break;
    case RPCH_OUT_EV_R1_A3: client_rts(RPCH_OUT_R2_A3, &v); break;
    case RPCH_OUT_EV_A11: client_rts(RPCH_OUT_R1_A11, &v); break;
    case RPCH_OUT_EV_R2_C1: client_rts(RPCH_OUT_R2_C1, &v); break;
    case RPCH_OUT_EV_CLIENT_OTHER: client_rts(RPCH_PING, &v); break;
    case RPCH_OUT_EV_CLIENT_RPC: client(rpc, role_rpc(rpc, 24, 1)); break;
    case RPCH_OUT_EV_CONN_C1: server_rts(RPCH_CONN_C1, &v); break;
    case RPCH_OUT_EV_R1_A1: server_rts(RPCH_OUT_R2_A1, &v); break;
    case RPCH_OUT_EV_R1_A5: server_rts(RPCH_OUT_R1_A5, &v); break;
    case RPCH_OUT_EV_A9_B1: server_rts(RPCH_OUT_R2_B1, &v); break;
    case RPCH_OUT_EV_R2_B2: server_rts(RPCH_OUT_R2_B2, &v); break;
    case RPCH_OUT_EV_ACK: server_rts(RPCH_FLOW_CONTROL_ACK_DEST, &v); break;
    case RPCH_OUT_EV_SERVER_FORWARD: server_rts(RPCH_IN_R1_A3, &v); break;
    case RPCH_OUT_EV_SERVER_OTHER: server_rts(RPCH_OUT_R1_A7, &v); break;
    default: server(rpc, role_rpc(rpc, 24, 1)); break;
    }
}

/* One event, by the call that brings it. */
static inline void inject(rpch_out_event ev)
{
    rpch_out_leg leg = leg_of(m.core.flags);
    rpch_succession s = succession();
    const char *reason;

    switch (ev) {
    case RPCH_OUT_EV_BODY_END: rpch_outbound_body_ended(&m); break;
    case RPCH_OUT_EV_CONNECTED: rpch_outbound_connected(&m, START); break;
    case RPCH_OUT_EV_ATTACHED: rpch_outbound_attached(&m, START); break;
    case RPCH_OUT_EV_ADOPTED: rpch_outbound_adopt(&m, &leg, START); break;
    case RPCH_OUT_EV_RESPONDED: rpch_outbound_responded(&m, START); break;
    case RPCH_OUT_EV_ATTACH: rpch_outbound_attach(&m, &s, &reason); break;
    case RPCH_OUT_EV_DETACH: rpch_outbound_detach(&m); break;
    case RPCH_OUT_EV_RELEASED: rpch_outbound_release(&m, &leg); break;
    case RPCH_OUT_EV_DRAINED: rpch_outbound_pdu_done(&m, 24, START); break;
    case RPCH_OUT_EV_SENT: rpch_outbound_client_ack(&m, 1024, START); break;
    case RPCH_OUT_EV_CLIENT_CLOSE: rpch_outbound_client_closed(&m); break;
    case RPCH_OUT_EV_SERVER_CLOSE: rpch_outbound_server_closed(&m); break;
    case RPCH_OUT_EV_TIMEOUT: /* both timers of DRAIN_R1 */
        rpch_outbound_timeout(&m, START + 20000);
        rpch_outbound_timeout(&m, RPCH_NEVER - 1);
        break;
    case RPCH_OUT_EV_DRAIN_DUE: /* and the next one */
    case RPCH_OUT_EV_PING_DUE:
        rpch_outbound_timeout(&m, ev == RPCH_OUT_EV_PING_DUE ? START + 60000
                                                             : START + 20000);
        break;
    case RPCH_OUT_EV_FAIL:
        rpch_outbound_fail(&m, RPCH_E_CONNECT, "no server");
        break;
    default: inject_pdu(ev); break;
    }
}

#endif
