/* SPDX-License-Identifier: Apache-2.0 */
/* test_inbound.c - the inbound proxy machine against 3.2.3 */
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

static void start(unsigned flags)
{
    rpch_limits l = role_limits();
    rpch_address a = { false, { 192, 0, 2, 33 } };

    rpch_inbound_init(&m, &l, &a, flags, NULL, NULL, START);
}

static int client(const uint8_t *p, size_t len)
{
    int rc = rpch_inbound_client_recv(&m, p, len, &step, START);

    ck_assert_uint_le(step.used, len);
    return rc;
}

static int client_rts(rpch_pdu_id id, const rpch_rts_values *v)
{
    return client(pdu, role_rts(id, v, pdu));
}

/* From the server, by the way that the machine listens to. */
static int server_rts(rpch_pdu_id id, const rpch_rts_values *v)
{
    size_t n = role_rts(id, v, pdu);

    if (m.core.flags & RPCH_JOINED)
        return rpch_inbound_server_rts(&m, pdu, n, START);
    return rpch_inbound_server_recv(&m, pdu, n, &step, START);
}

static void drive(unsigned flags, rpch_in_state to)
{
    rpch_rts_values v = role_values(0xc0, 0);

    start(flags);
    if (to == RPCH_IN_FINISHED)
        rpch_inbound_fail(&m, RPCH_E_POLICY, "the test");
    else if (to > RPCH_IN_OPEN_START)
        ck_assert_int_eq(client_rts(RPCH_CONN_B1, &v), RPCH_OK);
    if (to == RPCH_IN_B3W || to == RPCH_IN_OPENED)
        ck_assert_int_eq(rpch_inbound_connected(&m, START), RPCH_OK);
    if (to == RPCH_IN_OPENED)
        ck_assert_int_eq(server_rts(RPCH_CONN_B3, &v), RPCH_OK);
    rpch_lane_init(&m.to_server);
    ck_assert_int_eq(m.core.state, to);
}

/* Lets an RPC PDU of n bytes arrive, and passes it on if it may go. */
static int rpc_through(size_t n, bool on)
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

static void expect_end(int status, const char *reason)
{
    ck_assert_int_eq(m.core.state, RPCH_IN_FINISHED);
    ck_assert_int_eq(m.core.status, status);
    ck_assert_str_eq(m.core.reason, reason);
    ck_assert_uint_eq(rpch_inbound_wants(&m), RPCH_WANT_CLOSE);
    ck_assert(rpch_inbound_deadline(&m) == RPCH_NEVER);
}

static void expect_lane(const char *hex)
{
    uint8_t want[RPCH_LANE_SIZE];
    size_t n = test_hex(hex, want, sizeof(want));
    size_t len;
    const uint8_t *p = rpch_lane_buf(&m.to_server, &len);

    ck_assert_uint_eq(len, n);
    ck_assert_mem_eq(p, want, n);
    rpch_lane_ack(&m.to_server, len);
}

START_TEST(test_inbound_opens_byte_exact)
{
    uint8_t b[RPCH_RTS_SIZE_MAX];
    size_t n = test_hex(hex_b1, b, sizeof(b));

    start(0);
    ck_assert_uint_eq(rpch_inbound_wants(&m), RPCH_WANT_CLIENT_READ);
    ck_assert_int_eq(client(b, n), RPCH_OK);
    ck_assert_uint_eq(step.used, n);
    ck_assert_ptr_null(step.pass);
    ck_assert_uint_eq(rpch_inbound_wants(&m),
                      RPCH_WANT_CLIENT_READ | RPCH_WANT_CONNECT);
    ck_assert_uint_eq(m.keepalive, 300000);
    ck_assert_uint_eq(m.lifetime, 1073741824);
    ck_assert_mem_eq(m.vc.b, b + 32, 16);
    ck_assert_mem_eq(m.channel.b, b + 52, 16);
    ck_assert_mem_eq(m.group.b, b + 88, 16);
    ck_assert_int_eq(rpch_inbound_connected(&m, START), RPCH_OK);
    expect_lane(hex_b2);
    ck_assert_uint_eq(rpch_inbound_wants(&m),
                      RPCH_WANT_CLIENT_READ | RPCH_WANT_SERVER_READ);
    ck_assert(!rpch_inbound_may_send(&m, 16));
    n = test_hex(hex_b3, b, sizeof(b));
    ck_assert_int_eq(rpch_inbound_server_recv(&m, b, n, &step, START),
                     RPCH_OK);
    ck_assert_uint_eq(step.used, n);
    ck_assert_int_eq(m.core.state, RPCH_IN_OPENED);
    ck_assert(rpch_inbound_may_send(&m, 65536));
    ck_assert(rpch_inbound_deadline(&m) == RPCH_NEVER);
}
END_TEST

/* One event, by the call that brings it. */
static void inject(rpch_in_event ev)
{
    rpch_rts_values v = role_values(0xc0, 0xe0);

    v.ack.cookie = role_cookie(0xc0);
    v.ack.available_window = 65536;
    switch (ev) {
    case RPCH_IN_EV_CONN_B1: client_rts(RPCH_CONN_B1, &v); break;
    case RPCH_IN_EV_R1_A1: client_rts(RPCH_IN_R1_A1, &v); break;
    case RPCH_IN_EV_A5: client_rts(RPCH_IN_R2_A5, &v); break;
    case RPCH_IN_EV_PING: client_rts(RPCH_PING, &v); break;
    case RPCH_IN_EV_KEEP_ALIVE: client_rts(RPCH_KEEP_ALIVE, &v); break;
    case RPCH_IN_EV_CLIENT_FORWARD: client_rts(RPCH_OUT_R1_A7, &v); break;
    case RPCH_IN_EV_CLIENT_OTHER: client_rts(RPCH_ECHO, &v); break;
    case RPCH_IN_EV_CLIENT_RPC: client(rpc, role_rpc(rpc, 24, 1)); break;
    case RPCH_IN_EV_CONNECTED: rpch_inbound_connected(&m, START); break;
    case RPCH_IN_EV_CONN_B3: server_rts(RPCH_CONN_B3, &v); break;
    case RPCH_IN_EV_R1_B2: server_rts(RPCH_IN_R1_B2, &v); break;
    case RPCH_IN_EV_ACK: server_rts(RPCH_FLOW_CONTROL_ACK, &v); break;
    case RPCH_IN_EV_SERVER_FORWARD: server_rts(RPCH_IN_R2_A3, &v); break;
    case RPCH_IN_EV_SERVER_OTHER: server_rts(RPCH_CONN_C1, &v); break;
    case RPCH_IN_EV_SERVER_RPC:
        rpch_inbound_server_recv(&m, rpc, role_rpc(rpc, 24, 1), &step, START);
        ck_assert_ptr_null(step.pass);
        break;
    case RPCH_IN_EV_CLIENT_CLOSE: rpch_inbound_client_closed(&m); break;
    case RPCH_IN_EV_SERVER_CLOSE: rpch_inbound_server_closed(&m); break;
    case RPCH_IN_EV_TIMEOUT:
        rpch_inbound_timeout(&m, RPCH_NEVER - 1);
        break;
    default: rpch_inbound_fail(&m, RPCH_E_CONNECT, "no server"); break;
    }
}

/* What 3.2.3.5 says about each pair, in the order of the states
 * OPEN_START, CONNECT, B3W, OPENED, FINISHED: to (C)ONNECT, (B)3W, (O)PENED;
 * (.) nothing changes; to FINISHED by a protocol (e)rror, (c)losing,
 * (t)imeout, (f)ailure, or a (b)ug of the caller. */
static const struct {
    rpch_in_event ev;
    const char *want;
} expected[] = {
    { RPCH_IN_EV_CONN_B1, "Ceee." },
    { RPCH_IN_EV_R1_A1, "eeee." },
    { RPCH_IN_EV_A5, "eeee." },
    { RPCH_IN_EV_PING, "e...." },
    { RPCH_IN_EV_KEEP_ALIVE, "e...." },
    { RPCH_IN_EV_CLIENT_FORWARD, "eee.." },
    { RPCH_IN_EV_CLIENT_OTHER, "eeee." },
    { RPCH_IN_EV_CLIENT_RPC, "e...." },
    { RPCH_IN_EV_CONNECTED, "bBbb." },
    { RPCH_IN_EV_CONN_B3, "..Oe." },
    { RPCH_IN_EV_R1_B2, "..ee." },
    { RPCH_IN_EV_ACK, "..e.." },
    { RPCH_IN_EV_SERVER_FORWARD, "..ee." },
    { RPCH_IN_EV_SERVER_OTHER, "..ee." },
    { RPCH_IN_EV_SERVER_RPC, "..ee." },
    { RPCH_IN_EV_CLIENT_CLOSE, "cccc." },
    { RPCH_IN_EV_SERVER_CLOSE, "cccc." },
    { RPCH_IN_EV_TIMEOUT, "t.t.." },
    { RPCH_IN_EV_FAIL, "ffff." },
};

static void check_pair(unsigned flags, rpch_in_event ev, int state, char want)
{
    static const char code[] = "CBOectfb";
    static const struct { int state, status; } outcome[] = {
        { RPCH_IN_CONNECT, RPCH_OK }, { RPCH_IN_B3W, RPCH_OK },
        { RPCH_IN_OPENED, RPCH_OK }, { RPCH_IN_FINISHED, RPCH_E_UNEXPECTED },
        { RPCH_IN_FINISHED, RPCH_E_CLOSED },
        { RPCH_IN_FINISHED, RPCH_E_TIMEOUT },
        { RPCH_IN_FINISHED, RPCH_E_CONNECT }, { RPCH_IN_FINISHED, RPCH_E_BUG }
    };
    const char *at = strchr(code, want);
    int status = state == RPCH_IN_FINISHED ? RPCH_E_POLICY : RPCH_OK;

    drive(flags, (rpch_in_state)state);
    inject(ev);
    if (at != NULL) {
        state = outcome[at - code].state;
        status = outcome[at - code].status;
    }
    ck_assert_msg(m.core.state == state && m.core.status == status,
                  "%s, flags %u: [%s] %s (%s), not [%s] %s",
                  rpch_in_event_name(ev), flags,
                  rpch_in_state_name((rpch_in_state)m.core.state),
                  rpch_status_name(m.core.status), m.core.reason,
                  rpch_in_state_name((rpch_in_state)state),
                  rpch_status_name(status));
    ck_assert_int_eq(status == RPCH_OK, m.core.reason == NULL);
}

START_TEST(test_inbound_every_pair)
{
    size_t i;
    int state;

    ck_assert_uint_eq(sizeof(expected) / sizeof(expected[0]), RPCH_IN_EV_MAX);
    for (i = 0; i < RPCH_IN_EV_MAX; i++) {
        ck_assert_int_eq(expected[i].ev, (int)i);
        for (state = 0; state < RPCH_IN_STATE_MAX; state++) {
            check_pair(0, expected[i].ev, state, expected[i].want[state]);
            /* a joined S-IN brings no bytes at all */
            check_pair(RPCH_JOINED, expected[i].ev, state,
                       expected[i].ev == RPCH_IN_EV_SERVER_RPC
                           ? '.' : expected[i].want[state]);
        }
    }
}
END_TEST

START_TEST(test_inbound_names)
{
    int i;

    for (i = 0; i < RPCH_IN_STATE_MAX; i++)
        ck_assert_str_ne(rpch_in_state_name((rpch_in_state)i), "unknown");
    for (i = 0; i < RPCH_IN_EV_MAX; i++)
        ck_assert_str_ne(rpch_in_event_name((rpch_in_event)i), "unknown");
    ck_assert_str_eq(rpch_in_state_name(RPCH_IN_B3W), "B3W");
    ck_assert_str_eq(rpch_in_event_name(RPCH_IN_EV_CONN_B1), "CONN/B1");
    ck_assert_str_eq(rpch_in_state_name(RPCH_IN_STATE_MAX), "unknown");
    ck_assert_str_eq(rpch_in_event_name(RPCH_IN_EV_MAX), "unknown");
}
END_TEST

START_TEST(test_inbound_first_pdu_of_other_kind)
{
    static const struct { rpch_pdu_id id; const char *reason; } c[] = {
        { RPCH_CONN_A1, "CONN/A1 on an IN channel" },
        { RPCH_OUT_R2_A3, "OUT_R1/A3=OUT_R2/A3 on an IN channel" },
        { RPCH_IN_R2_A1, "recycling is not accepted: IN_R1/A1=IN_R2/A1" },
        { RPCH_PING, "Ping before CONN/B1" },
        { RPCH_CONN_B2, "RTS PDU that does not belong on C-IN" },
    };
    rpch_rts_values v = role_values(0xc0, 0xe0);
    size_t i;

    for (i = 0; i < sizeof(c) / sizeof(c[0]); i++) {
        start(0);
        ck_assert_int_eq(client_rts(c[i].id, &v), RPCH_E_UNEXPECTED);
        expect_end(RPCH_E_UNEXPECTED, c[i].reason);
    }
    start(0);
    ck_assert_int_eq(client(rpc, role_rpc(rpc, 72, 1)), RPCH_E_UNEXPECTED);
    ck_assert_ptr_null(step.pass);
    expect_end(RPCH_E_UNEXPECTED, "RPC PDU before CONN/B1");
    start(0);
    /* flags and commands that no PDU has */
    client(pdu, test_hex("05001403 10000000 18000000 00000000 00000100"
                         "09000000", pdu, sizeof(pdu)));
    ck_assert_int_eq(m.core.status, RPCH_E_UNEXPECTED);
    drive(0, RPCH_IN_OPENED);
    client(pdu, test_hex("05001403 10000000 18000000 00000000 40000100"
                         "09000000", pdu, sizeof(pdu)));
    expect_end(RPCH_E_UNEXPECTED, "unknown RTS PDU from the client");
}
END_TEST

/* CONN/B1 with one byte set to value. */
static int b1_with(size_t offset, uint8_t value)
{
    uint8_t b[RPCH_RTS_SIZE_MAX] = { 0 };
    size_t n = test_hex(hex_b1, b, sizeof(b));

    ck_assert_uint_ne(b[offset], value);
    b[offset] = value;
    start(0);
    /* some lengths promise more than there is: send it */
    while (m.core.status == RPCH_OK && m.core.state == RPCH_IN_OPEN_START)
        client(b, n);
    return m.core.status;
}

START_TEST(test_inbound_b1_header_wrong)
{
    static const struct { size_t offset; uint8_t value; } bad[] = {
        { 0, 4 }, { 1, 1 }, { 1, 2 }, { 3, 0x01 }, { 3, 0x83 }, { 4, 0 },
        { 4, 0x20 }, { 4, 0x11 }, { 5, 1 }, { 6, 1 }, { 7, 1 }, { 8, 0x67 },
        { 8, 0x69 }, { 8, 0 }, { 8, 15 }, { 8, 19 }, { 9, 0xff }, { 9, 2 },
        { 10, 1 }, { 11, 1 }, { 12, 1 }, { 13, 1 }, { 14, 1 }, { 15, 1 },
        { 18, 5 }, { 18, 7 }, { 18, 0 }, { 19, 1 }, { 20, 0x0f }, { 21, 1 },
        { 28, 7 }
    };
    size_t i;

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        ck_assert_msg(b1_with(bad[i].offset, bad[i].value) == RPCH_E_SYNTAX,
                      "@%zu: %s", bad[i].offset,
                      rpch_status_name(m.core.status));
        ck_assert_int_eq(m.core.state, RPCH_IN_FINISHED);
        ck_assert_uint_gt(strlen(m.core.reason), 5);
    }
    ck_assert_int_eq(b1_with(2, 19), RPCH_E_UNEXPECTED);
    ck_assert_int_eq(b1_with(16, 1), RPCH_E_UNEXPECTED);
    /* Version and cookies are the client's own business */
    ck_assert_int_eq(b1_with(24, 9), RPCH_OK);
    ck_assert_int_eq(rpch_inbound_connected(&m, START), RPCH_OK);
    expect_lane(hex_b2);
}
END_TEST

START_TEST(test_inbound_pdu_lengths)
{
    uint8_t b[16] = { 5, 0, 0, 3, 0x10 };

    drive(0, RPCH_IN_OPENED);
    ck_assert_int_eq(client(b, 16), RPCH_E_SYNTAX);
    drive(0, RPCH_IN_OPENED);
    b[8] = 15;
    ck_assert_int_eq(client(b, 16), RPCH_E_SYNTAX);
    ck_assert_ptr_null(step.pass);
    drive(0, RPCH_IN_OPENED);
    b[2] = 20;
    b[8] = b[9] = 0xff;
    ck_assert_int_eq(client(b, 16), RPCH_E_SYNTAX);
    drive(0, RPCH_IN_OPENED);
    ck_assert_int_eq(rpc_through(16, true), RPCH_OK);
    ck_assert_int_eq(rpc_through(65535, false), RPCH_OK);
    ck_assert_uint_eq(m.rpc_pdus, 1);
    ck_assert_uint_eq(m.queued, 65535);
    ck_assert(m.rx.avail < 65536);
}
END_TEST

START_TEST(test_inbound_value_ranges)
{
    static const struct { uint32_t keepalive; bool ok; } k[] = {
        { 0, true }, { 1, false }, { 59999, false }, { 60000, true },
        { UINT32_MAX, true }
    };
    rpch_rts_values v = role_values(0xc0, 0);
    size_t i;

    for (i = 0; i < sizeof(k) / sizeof(k[0]); i++) {
        start(0);
        v.keepalive = k[i].keepalive;
        ck_assert_int_eq(client_rts(RPCH_CONN_B1, &v),
                         k[i].ok ? RPCH_OK : RPCH_E_SYNTAX);
        if (!k[i].ok)
            expect_end(RPCH_E_SYNTAX,
                       "ClientKeepalive out of range in CONN/B1");
        drive(0, RPCH_IN_OPENED);
        ck_assert_int_eq(client_rts(RPCH_KEEP_ALIVE, &v),
                         k[i].ok ? RPCH_OK : RPCH_E_SYNTAX);
        ck_assert_uint_eq(m.keepalive, k[i].ok && k[i].keepalive
                                       ? k[i].keepalive : 300000);
    }
    v = role_values(0xc0, 0);
    memset(v.cookie, 0, sizeof(v.cookie));
    start(0);
    ck_assert_int_eq(client_rts(RPCH_CONN_B1, &v), RPCH_OK);
    v.window = 8191;
    drive(0, RPCH_IN_B3W);
    ck_assert_int_eq(server_rts(RPCH_CONN_B3, &v), RPCH_E_SYNTAX);
    expect_end(RPCH_E_SYNTAX, "ReceiveWindowSize below 8192 in CONN/B3");
    v.window = 300000;
    drive(0, RPCH_IN_B3W);
    ck_assert_int_eq(server_rts(RPCH_CONN_B3, &v), RPCH_OK);
    ck_assert_uint_eq(m.tx.window, 262144);
}
END_TEST

START_TEST(test_inbound_b1_cut_anywhere)
{
    uint8_t b[RPCH_RTS_SIZE_MAX];
    size_t n = test_hex(hex_b1, b, sizeof(b));
    size_t i;

    for (i = 1; i < n; i++) {
        start(0);
        ck_assert_int_eq(client(b, i), RPCH_OK);
        ck_assert_uint_eq(step.used, i);
        ck_assert_int_eq(m.core.state, RPCH_IN_OPEN_START);
        ck_assert_uint_eq(rpch_inbound_wants(&m), RPCH_WANT_CLIENT_READ);
        ck_assert_int_eq(client(b + i, n - i), RPCH_OK);
        ck_assert_int_eq(m.core.state, RPCH_IN_CONNECT);
        start(0);
        client(b, i);
        ck_assert_int_eq(rpch_inbound_timeout(&m, START + 30000),
                         RPCH_E_TIMEOUT);
    }
}
END_TEST

START_TEST(test_inbound_deadlines)
{
    rpch_limits l = role_limits();
    rpch_address a = { false, { 0 } };

    start(0);
    ck_assert(rpch_inbound_deadline(&m) == START + 30000);
    ck_assert_int_eq(rpch_inbound_timeout(&m, START + 29999), RPCH_OK);
    ck_assert_int_eq(rpch_inbound_timeout(&m, START + 30000), RPCH_E_TIMEOUT);
    expect_end(RPCH_E_TIMEOUT, "no CONN/B1 from the client in time");
    drive(0, RPCH_IN_CONNECT);
    ck_assert(rpch_inbound_deadline(&m) == RPCH_NEVER);
    ck_assert_int_eq(rpch_inbound_connected(&m, 7000), RPCH_OK);
    ck_assert(rpch_inbound_deadline(&m) == 907000);
    ck_assert_int_eq(rpch_inbound_timeout(&m, 906999), RPCH_OK);
    ck_assert_int_eq(rpch_inbound_timeout(&m, 907000), RPCH_E_TIMEOUT);
    expect_end(RPCH_E_TIMEOUT, "no CONN/B3 from the server in time");
    l.first_pdu_timeout = 0;
    rpch_inbound_init(&m, &l, &a, 0, NULL, NULL, START);
    ck_assert(rpch_inbound_deadline(&m) == RPCH_NEVER);
    ck_assert_int_eq(rpch_inbound_timeout(&m, RPCH_NEVER), RPCH_OK);
}
END_TEST

START_TEST(test_inbound_acks_the_client)
{
    drive(0, RPCH_IN_OPENED);
    ck_assert_int_eq(rpc_through(30000, true), RPCH_OK);
    ck_assert_ptr_null(rpch_lane_buf(&m.to_server, &step.used));
    ck_assert_int_eq(rpc_through(10000, true), RPCH_OK);
    expect_lane(hex_ack);
    ck_assert_uint_eq(m.rpc_bytes, 40000);
    ck_assert_uint_eq(m.rpc_pdus, 2);
    ck_assert_uint_eq(m.queued, 0);
}
END_TEST

START_TEST(test_inbound_server_window)
{
    rpch_rts_values v = role_values(0xc0, 0);

    v.window = 8192;
    drive(0, RPCH_IN_B3W);
    ck_assert_int_eq(server_rts(RPCH_CONN_B3, &v), RPCH_OK);
    ck_assert(rpch_inbound_may_send(&m, 8192));
    rpch_inbound_pdu_begin(&m, 8192);
    ck_assert(!rpch_inbound_may_send(&m, 16));
    v.ack.bytes_received = 8192;
    v.ack.available_window = 8192;
    v.ack.cookie = role_cookie(0xb0);
    ck_assert_int_eq(server_rts(RPCH_FLOW_CONTROL_ACK, &v), RPCH_OK);
    ck_assert(!rpch_inbound_may_send(&m, 16));
    v.ack.cookie = role_cookie(0xc0);
    ck_assert_int_eq(server_rts(RPCH_FLOW_CONTROL_ACK, &v), RPCH_OK);
    ck_assert(rpch_inbound_may_send(&m, 8192));
    v.dest = RPCH_DEST_IN_PROXY;
    ck_assert_int_eq(server_rts(RPCH_FLOW_CONTROL_ACK_DEST, &v), RPCH_OK);
    v.ack.bytes_received = 8193;
    ck_assert_int_eq(server_rts(RPCH_FLOW_CONTROL_ACK, &v), RPCH_E_ACK);
    expect_end(RPCH_E_ACK,
               "FlowControlAck for bytes that were never sent on S-IN");
}
END_TEST

START_TEST(test_inbound_forwards_verbatim)
{
    /* an IN_R2/A3 with a Padding command, to the out-proxy: no PDU that
     * anybody defined */
    static const char odd[] = "05001403 10000000 29000000 00000000 04000300"
                              "0d000000 03000000 08000000 01000000 00"
                              "0a000000";
    uint8_t b[RPCH_RTS_SIZE_MAX];
    size_t n = test_hex(odd, b, sizeof(b));

    drive(0, RPCH_IN_OPENED);
    ck_assert_int_eq(client(b, n), RPCH_OK);
    expect_lane(odd);
    n = test_hex(hex_ack, b, sizeof(b));
    b[24] = RPCH_DEST_IN_PROXY; /* nobody sends us such a thing on C-IN */
    ck_assert_int_eq(client(b, n), RPCH_E_UNEXPECTED);
    b[24] = 4;
    drive(0, RPCH_IN_OPENED);
    ck_assert_int_eq(client(b, n), RPCH_E_SYNTAX);
}
END_TEST

START_TEST(test_inbound_lane_full)
{
    uint8_t b[RPCH_RTS_SIZE_MAX];
    size_t n = test_hex(hex_ack, b, sizeof(b));
    size_t taken = 0;

    b[24] = RPCH_DEST_OUT_PROXY;
    drive(0, RPCH_IN_OPENED);
    while (rpch_inbound_wants(&m) & RPCH_WANT_CLIENT_READ) {
        ck_assert_int_eq(client(b, n), RPCH_OK);
        ck_assert_uint_eq(step.used, n);
        ck_assert_uint_lt(++taken, 20);
    }
    ck_assert_uint_ge(taken, 6);
    ck_assert_int_eq(client(b, n), RPCH_OK);
    ck_assert_uint_eq(step.used, 0);
    ck_assert(rpch_inbound_wants(&m) & RPCH_WANT_SERVER_READ);
    ck_assert(rpch_inbound_may_send(&m, 100));
    rpch_lane_ack(&m.to_server, n);
    ck_assert(rpch_inbound_wants(&m) & RPCH_WANT_CLIENT_READ);
    ck_assert_int_eq(client(b, n), RPCH_OK);
    ck_assert_uint_eq(step.used, n);
    ck_assert_uint_eq(m.to_server.end - m.to_server.at, taken * n);
}
END_TEST

/* The rest of an RPC PDU that is on its way must get through even so. */
START_TEST(test_inbound_lane_full_within_a_pdu)
{
    uint8_t fill[RPCH_LANE_SIZE] = { 0 };

    drive(0, RPCH_IN_OPENED);
    role_rpc(rpc, 1000, 1);
    ck_assert_int_eq(client(rpc, 100), RPCH_OK);
    ck_assert(step.first && !step.last);
    rpch_inbound_pdu_begin(&m, 1000);
    ck_assert_int_eq(rpch_lane_put(&m.to_server, fill, sizeof(fill) - 60),
                     RPCH_OK);
    ck_assert(rpch_inbound_wants(&m) & RPCH_WANT_CLIENT_READ);
    ck_assert_int_eq(client(rpc + 100, 900), RPCH_OK);
    ck_assert_uint_eq(step.pass_len, 900);
    ck_assert(step.last && !step.first);
    ck_assert_uint_eq(step.pdu_len, 1000);
    rpch_inbound_pdu_done(&m, 1000, START);
    ck_assert(!(rpch_inbound_wants(&m) & RPCH_WANT_CLIENT_READ));
    ck_assert(!rpch_inbound_may_send(&m, 16));
    ck_assert_int_eq(m.core.status, RPCH_OK);
}
END_TEST

/* Clients that ignore the window are not read on for ever. */
START_TEST(test_inbound_queue_is_bounded)
{
    drive(0, RPCH_IN_B3W);
    while (rpch_inbound_wants(&m) & RPCH_WANT_CLIENT_READ) {
        ck_assert_int_eq(rpc_through(4096, false), RPCH_OK);
        ck_assert_uint_le(m.queued, 65536 + 65536 + 4096);
    }
    ck_assert_uint_eq(m.queued, 65536 + 65536 + 4096);
    ck_assert_int_eq(client(rpc, 4096), RPCH_OK);
    ck_assert_uint_eq(step.used, 0);
    rpch_inbound_pdu_done(&m, 4096, START);
    ck_assert(rpch_inbound_wants(&m) & RPCH_WANT_CLIENT_READ);
    ck_assert_ptr_null(rpch_lane_buf(&m.to_server, &step.used));
    ck_assert_int_eq(m.core.status, RPCH_OK);
}
END_TEST

START_TEST(test_inbound_joined)
{
    rpch_rts_values v = role_values(0xc0, 0);

    v.window = 8192;
    drive(RPCH_JOINED, RPCH_IN_B3W);
    ck_assert_uint_eq(rpch_inbound_wants(&m), RPCH_WANT_CLIENT_READ);
    ck_assert_int_eq(server_rts(RPCH_CONN_B3, &v), RPCH_OK);
    rpch_inbound_pdu_begin(&m, 8192);
    ck_assert(rpch_inbound_may_send(&m, 65535));
    v.ack.bytes_received = 9000;
    v.ack.cookie = role_cookie(0xc0);
    ck_assert_int_eq(server_rts(RPCH_FLOW_CONTROL_ACK, &v), RPCH_OK);
    ck_assert_int_eq(rpch_inbound_server_rts(&m, pdu, 19, START),
                     RPCH_E_SYNTAX);
    drive(RPCH_JOINED, RPCH_IN_CONNECT);
    ck_assert_int_eq(server_rts(RPCH_CONN_B3, &v), RPCH_AGAIN);
    drive(RPCH_JOINED, RPCH_IN_FINISHED);
    ck_assert_int_eq(server_rts(RPCH_CONN_B3, &v), RPCH_E_POLICY);
}
END_TEST

START_TEST(test_inbound_banner_and_noise_on_s_in)
{
    static const uint8_t ssh[] = "SSH-2.0-OpenSSH_9.2p1 Debian\r\n";
    static const uint8_t banner[] = "ncacn_http/1.0";
    rpch_rts_values v = role_values(0xc0, 0);
    size_t i;

    drive(0, RPCH_IN_B3W);
    for (i = 0; i < 14; i++) {
        ck_assert_int_eq(rpch_inbound_server_recv(&m, banner + i, 1, &step,
                                                  START), RPCH_OK);
        ck_assert_uint_eq(step.used, 1);
    }
    ck_assert_int_eq(server_rts(RPCH_CONN_B3, &v), RPCH_OK);
    drive(0, RPCH_IN_B3W);
    ck_assert_int_eq(rpch_inbound_server_recv(&m, ssh, sizeof(ssh) - 1, &step,
                                              START), RPCH_E_SYNTAX);
    drive(0, RPCH_IN_B3W);
    ck_assert_int_eq(rpch_inbound_server_recv(&m, (const uint8_t *)"nope", 4,
                                              &step, START), RPCH_E_BANNER);
}
END_TEST

START_TEST(test_inbound_finished_accepts_every_call)
{
    int ev;

    drive(0, RPCH_IN_OPENED);
    ck_assert_int_eq(rpc_through(30000, false), RPCH_OK);
    rpch_inbound_client_closed(&m);
    expect_end(RPCH_E_CLOSED, "the client closed");
    rpch_inbound_server_closed(&m);
    for (ev = 0; ev < RPCH_IN_EV_MAX; ev++)
        inject((rpch_in_event)ev);
    ck_assert(!rpch_inbound_may_send(&m, 16));
    rpch_inbound_pdu_begin(&m, 16);
    rpch_inbound_pdu_done(&m, 40000, START);
    ck_assert_uint_eq(m.queued, 0);
    expect_end(RPCH_E_CLOSED, "the client closed");
    ck_assert_ptr_null(rpch_lane_buf(&m.to_server, &step.used));
    drive(0, RPCH_IN_B3W);
    rpch_inbound_pdu_begin(&m, 16);
    ck_assert_int_eq(m.core.status, RPCH_E_BUG);
}
END_TEST

/* The outcome of a stream. */
typedef struct outcome {
    uint8_t passed[160000]; /* RPC PDUs passed on */
    size_t n;
    uint8_t rts[4096];      /* RTS PDUs for the server */
    size_t rts_n;
    uint32_t keepalive;
    uint64_t pdus;
} outcome;

static outcome whole, other;

/* Behaves as a caller would whose writes are never short. */
static void obey(outcome *o)
{
    rpch_rts_values v = role_values(0xc0, 0);
    const uint8_t *p;
    size_t len;

    if (step.first)
        rpch_inbound_pdu_begin(&m, step.pdu_len);
    if (step.pass) {
        ck_assert_uint_le(o->n + step.pass_len, sizeof(o->passed));
        memcpy(o->passed + o->n, step.pass, step.pass_len);
        o->n += step.pass_len;
    }
    if (step.last)
        rpch_inbound_pdu_done(&m, step.pdu_len, START);
    if (m.core.state == RPCH_IN_CONNECT)
        ck_assert_int_eq(rpch_inbound_connected(&m, START), RPCH_OK);
    if (m.core.state == RPCH_IN_B3W)
        ck_assert_int_eq(server_rts(RPCH_CONN_B3, &v), RPCH_OK);
    while ((p = rpch_lane_buf(&m.to_server, &len)) != NULL) {
        ck_assert_uint_le(o->rts_n + len, sizeof(o->rts));
        memcpy(o->rts + o->rts_n, p, len);
        o->rts_n += len;
        rpch_lane_ack(&m.to_server, len);
    }
}

static void run_stream(const uint8_t *in, size_t len, int how, uint32_t seed,
                       outcome *o)
{
    size_t at = 0;

    memset(o, 0, sizeof(*o));
    start(0);
    while (at < len && m.core.status == RPCH_OK) {
        size_t n = role_cut(how, len - at, &seed);
        size_t done = 0;

        while (done < n && client(in + at + done, n - done) == RPCH_OK) {
            ck_assert_uint_gt(step.used, 0);
            done += step.used;
            obey(o);
        }
        at += n;
    }
    o->keepalive = m.keepalive;
    o->pdus = m.rpc_pdus;
}

/* A whole life of C-IN, which ends with a protocol error; the RPC PDUs in it
 * are also written to want. */
static size_t make_stream(uint8_t *in, uint8_t *want, size_t *want_n)
{
    static const uint16_t sizes[] = { 40, 5840, 5840, 5840, 5840, 5840, 5840,
                                      16, 17, 60000, 1024, 31 };
    rpch_rts_values v = role_values(0xc0, 0xd0);
    size_t n = role_rts(RPCH_CONN_B1, &v, in);
    size_t i;

    *want_n = 0;
    for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        size_t len = role_rpc(in + n, sizes[i], (uint8_t)i);

        memcpy(want + *want_n, in + n, len);
        *want_n += len;
        n += len;
        n += role_rts(RPCH_PING, &v, in + n);
        v.dest = RPCH_DEST_OUT_PROXY;
        if (i % 3 == 0)
            n += role_rts(RPCH_FLOW_CONTROL_ACK_DEST, &v, in + n);
        v.keepalive = 60000 + (uint32_t)i;
        if (i % 4 == 0)
            n += role_rts(RPCH_KEEP_ALIVE, &v, in + n);
    }
    return n + role_rts(RPCH_CONN_A1, &v, in + n);
}

START_TEST(test_inbound_stream_in_any_cuts)
{
    static uint8_t in[160000], want[160000];
    size_t want_n;
    size_t len = make_stream(in, want, &want_n);
    uint32_t seed;

    run_stream(in, len, ROLE_WHOLE, 0, &whole);
    expect_end(RPCH_E_UNEXPECTED, "CONN/A1 on an IN channel");
    ck_assert_uint_eq(whole.n, want_n);
    ck_assert_mem_eq(whole.passed, want, want_n);
    ck_assert_uint_eq(whole.pdus, 12);
    ck_assert_uint_eq(whole.keepalive, 60008);
    /* CONN/B2, four acks of the client, and two of ours: when more than half
     * of the window is used, and behind the PDU of 60000 */
    ck_assert_uint_eq(whole.rts_n, 128 + 4 * 56 + 2 * 56);
    run_stream(in, len, ROLE_BYTES, 0, &other);
    expect_end(RPCH_E_UNEXPECTED, "CONN/A1 on an IN channel");
    ck_assert_mem_eq(&whole, &other, sizeof(whole));
    for (seed = 1; seed <= 50; seed++) {
        run_stream(in, len, ROLE_RANDOM, seed, &other);
        expect_end(RPCH_E_UNEXPECTED, "CONN/A1 on an IN channel");
        ck_assert_mem_eq(&whole, &other, sizeof(whole));
    }
}
END_TEST

/* Whatever arrives, the machine stays within its bounds and its word. */
START_TEST(test_inbound_damaged_streams)
{
    static uint8_t in[160000], want[160000], damaged[160000];
    size_t want_n;
    size_t len = make_stream(in, want, &want_n);
    uint32_t seed = 7;
    int ended = 0;
    int i, k;

    for (i = 0; i < 300; i++) {
        memcpy(damaged, in, len);
        for (k = 0; k <= i % 4; k++) {
            size_t at = role_cut(ROLE_RANDOM, len, &seed) * (seed >> 28) % len;

            damaged[at] ^= (uint8_t)(1u << (seed >> 13) % 8);
        }
        run_stream(damaged, len, ROLE_RANDOM, seed, &other);
        ck_assert_int_eq(m.core.state == RPCH_IN_FINISHED,
                         m.core.status != RPCH_OK);
        ck_assert_int_ne(m.core.status, RPCH_E_BUG);
        ck_assert_int_ne(m.core.status, RPCH_E_ROOM);
        ended += m.core.status == RPCH_E_SYNTAX;
    }
    ck_assert_int_gt(ended, 0);
}
END_TEST

/* Log lines, one below the other. */
static char lines[4096];

static void keep(void *baton, int level, const char *what, const char *detail)
{
    size_t n = strlen(lines);

    snprintf(lines + n, sizeof(lines) - n, "%d %s %s\n", level, what, detail);
}

START_TEST(test_inbound_logs)
{
    rpch_limits l = role_limits();
    rpch_address a = { false, { 0 } };
    rpch_rts_values v = role_values(0xc0, 0xe0);

    rpch_inbound_init(&m, &l, &a, 0, keep, NULL, START);
    lines[0] = '\0';
    client_rts(RPCH_CONN_B1, &v);
    rpch_inbound_connected(&m, START);
    server_rts(RPCH_CONN_B3, &v);
    client_rts(RPCH_OUT_R1_A7, &v);
    client(rpc, role_rpc(rpc, 24, 1));
    client_rts(RPCH_KEEP_ALIVE, &v);
    rpch_inbound_client_closed(&m);
    ck_assert_str_eq(lines,
        "8 received on C-IN CONN/B1\n"
        "7 transition [OPEN_START] -- CONN/B1 --> [CONNECT]\n"
        "8 queued for S-IN CONN/B2\n"
        "7 transition [CONNECT] -- connected --> [B3W]\n"
        "8 received on S-IN CONN/B3\n"
        "7 transition [B3W] -- CONN/B3 --> [OPENED]\n"
        "8 received on C-IN OUT_R1/A7=OUT_R1/A8=OUT_R2/A8\n"
        "8 forwarded to S-IN OUT_R1/A7=OUT_R1/A8=OUT_R2/A8\n"
        "8 received on C-IN Keep-Alive\n"
        "7 transition [OPENED] -- client closed --> [FINISHED]\n");
}
END_TEST

int main(void)
{
    Suite *s = suite_create("inbound");
    TCase *t = tcase_create("inbound");

    tcase_add_test(t, test_inbound_opens_byte_exact);
    tcase_add_test(t, test_inbound_every_pair);
    tcase_add_test(t, test_inbound_names);
    tcase_add_test(t, test_inbound_first_pdu_of_other_kind);
    tcase_add_test(t, test_inbound_b1_header_wrong);
    tcase_add_test(t, test_inbound_pdu_lengths);
    tcase_add_test(t, test_inbound_value_ranges);
    tcase_add_test(t, test_inbound_b1_cut_anywhere);
    tcase_add_test(t, test_inbound_deadlines);
    tcase_add_test(t, test_inbound_acks_the_client);
    tcase_add_test(t, test_inbound_server_window);
    tcase_add_test(t, test_inbound_forwards_verbatim);
    tcase_add_test(t, test_inbound_lane_full);
    tcase_add_test(t, test_inbound_lane_full_within_a_pdu);
    tcase_add_test(t, test_inbound_queue_is_bounded);
    tcase_add_test(t, test_inbound_joined);
    tcase_add_test(t, test_inbound_banner_and_noise_on_s_in);
    tcase_add_test(t, test_inbound_finished_accepts_every_call);
    tcase_add_test(t, test_inbound_stream_in_any_cuts);
    tcase_add_test(t, test_inbound_damaged_streams);
    tcase_add_test(t, test_inbound_logs);
    suite_add_tcase(s, t);
    return test_main(s);
}
