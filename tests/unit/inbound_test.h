/* SPDX-License-Identifier: Apache-2.0 */
/* inbound_test.h - what the tests of the inbound proxy machine share: one
 * machine, what its neighbours send, and what it is to have become */
#ifndef RPCH_INBOUND_TEST_H
#define RPCH_INBOUND_TEST_H

#include "role_test.h"

#include "rpch/inbound.h"

#define START 1000 /* the clock when a machine starts */

static rpch_inbound m;
static uint8_t pdu[RPCH_RTS_SIZE_MAX];
static uint8_t rpc[RPCH_PDU_SIZE_MAX];
static rpch_step step;

static const char hex_b1[] =
    "05001403 10000000 68000000 00000000 00000600"
    "06000000 01000000"
    "03000000 a0a1a2a3a4a5a6a7a8a9aaabacadaeaf"
    "03000000 c0c1c2c3c4c5c6c7c8c9cacbcccdcecf"
    "04000000 00000040"
    "05000000 e0930400"
    "0c000000 909192939495969798999a9b9c9d9e9f";
static const char hex_b2[] =
    "05001403 10000000 80000000 00000000 08000700"
    "06000000 01000000"
    "03000000 a0a1a2a3a4a5a6a7a8a9aaabacadaeaf"
    "03000000 c0c1c2c3c4c5c6c7c8c9cacbcccdcecf"
    "00000000 00000100"
    "02000000 c0d40100"
    "0c000000 909192939495969798999a9b9c9d9e9f"
    "0b000000 00000000 00000000 c0000221 00000000 00000000";
static const char hex_b3[] =
    "05001403 10000000 24000000 00000000 00000200"
    "00000000 00000100 06000000 01000000";
/* 40000 bytes of C-IN received, for the client */
static const char hex_ack[] =
    "05001403 10000000 38000000 00000000 02000200"
    "0d000000 00000000"
    "01000000 409c0000 00000100 c0c1c2c3c4c5c6c7c8c9cacbcccdcecf";

/* IN_R1/A1 = IN_R2/A1: e0 is to replace c0 */
static const char hex_a1[] =
    "05001403 10000000 58000000 00000000 04000400"
    "06000000 01000000"
    "03000000 a0a1a2a3a4a5a6a7a8a9aaabacadaeaf"
    "03000000 c0c1c2c3c4c5c6c7c8c9cacbcccdcecf"
    "03000000 e0e1e2e3e4e5e6e7e8e9eaebecedeeef";
/* IN_R1/A5 = IN_R1/A6 = IN_R2/A2 = IN_R2/A5, of e0 */
static const char hex_cookie[] =
    "05001403 10000000 28000000 00000000 00000100"
    "03000000 e0e1e2e3e4e5e6e7e8e9eaebecedeeef";
static const char hex_r1_b1[] =
    "05001403 10000000 18000000 00000000 00000100 07000000";

/* What a successor of c0 asks for: e0. */
static inline rpch_succession heir_of_c0(void)
{
    rpch_succession s = { role_cookie(0xa0), role_cookie(0xc0),
                          role_cookie(0xe0), 65536 };

    return s;
}

/* S-IN as c0 releases it to e0, with nothing under way. */
static inline rpch_in_leg leg_of_c0(void)
{
    rpch_in_leg leg = { .vc = role_cookie(0xa0),
                        .predecessor = role_cookie(0xc0),
                        .successor = role_cookie(0xe0),
                        .group = role_cookie(0x90),
                        .keepalive = 300000, .window = 65536 };

    rpch_tx_init(&leg.tx, 65536);
    return leg;
}

/* A fresh machine. */
static inline void start(unsigned flags)
{
    rpch_limits l = role_limits();
    rpch_address a = { false, { 192, 0, 2, 33 } };

    l.drain_timeout = 20000;
    rpch_inbound_init(&m, &l, &a, flags, NULL, NULL, START);
}

/* Bytes from the client. */
static inline int client(const uint8_t *p, size_t len)
{
    int rc = rpch_inbound_client_recv(&m, p, len, &step, START);

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
        return rpch_inbound_server_rts(&m, pdu, n, START);
    return rpch_inbound_server_recv(&m, pdu, n, &step, START);
}

/* A5 that names that successor. */
static inline int client_a5(uint8_t successor)
{
    rpch_rts_values v = role_values(0, 0);

    v.cookie[0] = role_cookie(successor);
    return client_rts(RPCH_IN_R2_A5, &v);
}

/* A FlowControlAck for that channel. */
static inline int server_ack(uint8_t channel, uint32_t received,
                             uint32_t available)
{
    rpch_rts_values v = role_values(0, 0);

    v.ack.cookie = role_cookie(channel);
    v.ack.bytes_received = received;
    v.ack.available_window = available;
    return server_rts(RPCH_FLOW_CONTROL_ACK, &v);
}

/* A fresh machine whose first PDU was IN_R1/A1, on to that state. */
static inline void drive_heir(rpch_in_state to)
{
    rpch_rts_values v = role_values(0xc0, 0xe0);

    ck_assert_int_eq(client_rts(RPCH_IN_R1_A1, &v), RPCH_OK);
    if (to == RPCH_IN_B2W)
        ck_assert_int_eq(rpch_inbound_connected(&m, START), RPCH_OK);
    if (to == RPCH_IN_PLUGGED)
        ck_assert_int_eq(rpch_inbound_attached(&m, START), RPCH_OK);
}

/* An opened machine, on to that state. DRAIN_R1 has a PDU of 24 bytes to
 * send. */
static inline void drive_holder(rpch_in_state to)
{
    rpch_succession s = heir_of_c0();
    const char *reason = NULL;

    if (to == RPCH_IN_OPENED_A5W || to == RPCH_IN_RELEASE)
        ck_assert_int_eq(rpch_inbound_attach(&m, &s, &reason), RPCH_OK);
    if (to == RPCH_IN_DRAIN_R1)
        ck_assert_int_eq(client(rpc, role_rpc(rpc, 24, 1)), RPCH_OK);
    if (to == RPCH_IN_DRAIN_R1 || to == RPCH_IN_CLOSE_R1
        || to == RPCH_IN_RELEASE)
        ck_assert_int_eq(client_a5(0xe0), RPCH_OK);
    if (to == RPCH_IN_CLOSE_R1)
        rpch_inbound_server_ack(&m, 64);
}

/* A fresh machine, brought to that state, with nothing in its lane. */
static inline void drive(unsigned flags, rpch_in_state to)
{
    rpch_rts_values v = role_values(0xc0, 0);

    start(flags);
    if (to == RPCH_IN_FINISHED) {
        rpch_inbound_fail(&m, RPCH_E_POLICY, "the test");
    } else if (to >= RPCH_IN_SUCCEED && to <= RPCH_IN_PLUGGED) {
        drive_heir(to);
    } else if (to > RPCH_IN_OPEN_START) {
        ck_assert_int_eq(client_rts(RPCH_CONN_B1, &v), RPCH_OK);
        if (to > RPCH_IN_CONNECT)
            ck_assert_int_eq(rpch_inbound_connected(&m, START), RPCH_OK);
        if (to >= RPCH_IN_OPENED)
            ck_assert_int_eq(server_rts(RPCH_CONN_B3, &v), RPCH_OK);
        rpch_lane_init(&m.to_server);
        drive_holder(to);
    }
    rpch_lane_init(&m.to_server);
    ck_assert_int_eq(m.core.state, to);
}

/* Lets an RPC PDU of n bytes arrive, and passes it on if it may go. */
static inline int rpc_through(size_t n, bool on)
{
    int rc = client(rpc, role_rpc(rpc, n, 3));

    ck_assert(rc != RPCH_OK || (step.first && step.last && step.pass_len == n));
    if (on) {
        ck_assert(rpch_inbound_may_send(&m, (uint32_t)n));
        rpch_inbound_pdu_begin(&m, (uint32_t)n);
        rpch_inbound_pdu_done(&m, (uint32_t)n, START);
    }
    return rc;
}

/* It is finished, for that reason, and wants nothing more. */
static inline void expect_end(int status, const char *reason)
{
    ck_assert_int_eq(m.core.state, RPCH_IN_FINISHED);
    ck_assert_int_eq(m.core.status, status);
    ck_assert_str_eq(m.core.reason, reason);
    ck_assert_uint_eq(rpch_inbound_wants(&m), RPCH_WANT_CLOSE);
    ck_assert(rpch_inbound_deadline(&m) == RPCH_NEVER);
}

/* Exactly this waits for the server; it is taken. */
static inline void expect_lane(const char *hex)
{
    uint8_t want[RPCH_LANE_SIZE];
    size_t n = test_hex(hex, want, sizeof(want));
    size_t len;
    const uint8_t *p = rpch_lane_buf(&m.to_server, &len);

    ck_assert_uint_eq(len, n);
    if (n > 0)
        ck_assert_mem_eq(p, want, n);
    rpch_inbound_server_ack(&m, len);
}

/* One event of recycling, by the call that brings it. */
static inline void inject_recycling(rpch_in_event ev)
{
    rpch_succession s = heir_of_c0();
    rpch_in_leg leg = leg_of_c0();
    const char *reason = NULL;

    switch (ev) {
    case RPCH_IN_EV_A5: client_a5(0xe0); break;
    case RPCH_IN_EV_A5_WRONG: client_a5(0xc0); break;
    case RPCH_IN_EV_ATTACHED: rpch_inbound_attached(&m, START); break;
    case RPCH_IN_EV_ADOPT: rpch_inbound_adopt(&m, &leg, START); break;
    case RPCH_IN_EV_ATTACH:
        ck_assert_int_eq(rpch_inbound_attach(&m, &s, &reason) == RPCH_OK,
                         reason == NULL);
        break;
    case RPCH_IN_EV_DETACH: rpch_inbound_detach(&m); break;
    case RPCH_IN_EV_DRAINED: rpch_inbound_pdu_done(&m, 24, START); break;
    case RPCH_IN_EV_FLUSHED:
        rpch_inbound_pdu_done(&m, 24, START);
        rpch_inbound_server_ack(&m, RPCH_LANE_SIZE);
        break;
    default: rpch_inbound_release(&m, &leg); break;
    }
}

/* One event, by the call that brings it. */
static inline void inject(rpch_in_event ev)
{
    rpch_rts_values v = role_values(0xc0, 0xe0);

    switch (ev) {
    case RPCH_IN_EV_CONN_B1: client_rts(RPCH_CONN_B1, &v); break;
    case RPCH_IN_EV_R1_A1: client_rts(RPCH_IN_R1_A1, &v); break;
    case RPCH_IN_EV_PING: client_rts(RPCH_PING, &v); break;
    case RPCH_IN_EV_KEEP_ALIVE: client_rts(RPCH_KEEP_ALIVE, &v); break;
    case RPCH_IN_EV_CLIENT_FORWARD: client_rts(RPCH_OUT_R1_A7, &v); break;
    case RPCH_IN_EV_CLIENT_OTHER: client_rts(RPCH_ECHO, &v); break;
    case RPCH_IN_EV_CLIENT_RPC: client(rpc, role_rpc(rpc, 24, 1)); break;
    case RPCH_IN_EV_CONNECTED: rpch_inbound_connected(&m, START); break;
    case RPCH_IN_EV_CONN_B3: server_rts(RPCH_CONN_B3, &v); break;
    case RPCH_IN_EV_R1_B2: server_rts(RPCH_IN_R1_B2, &v); break;
    case RPCH_IN_EV_ACK: server_ack(0xc0, 0, 65536); break;
    case RPCH_IN_EV_SERVER_FORWARD: server_rts(RPCH_IN_R2_A3, &v); break;
    case RPCH_IN_EV_SERVER_OTHER: server_rts(RPCH_CONN_C1, &v); break;
    case RPCH_IN_EV_SERVER_RPC:
        rpch_inbound_server_recv(&m, rpc, role_rpc(rpc, 24, 1), &step, START);
        ck_assert_ptr_null(step.pass);
        break;
    case RPCH_IN_EV_CLIENT_CLOSE: rpch_inbound_client_closed(&m); break;
    case RPCH_IN_EV_SERVER_CLOSE: rpch_inbound_server_closed(&m); break;
    case RPCH_IN_EV_TIMEOUT:
        if (m.core.state == RPCH_IN_CLOSE_R1) /* its time begins */
            rpch_inbound_timeout(&m, START);
        rpch_inbound_timeout(&m, RPCH_NEVER - 1);
        break;
    case RPCH_IN_EV_FAIL:
        rpch_inbound_fail(&m, RPCH_E_CONNECT, "no server");
        break;
    default: inject_recycling(ev); break;
    }
}

#endif
