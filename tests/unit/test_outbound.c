/* SPDX-License-Identifier: Apache-2.0 */
/* test_outbound.c - the outbound proxy machine against 3.2.4 */
#include "role_test.h"

#include "rpch/outbound.h"

#define START 1000 /* the clock when a machine starts */

static rpch_outbound m;
static uint8_t pdu[RPCH_RTS_SIZE_MAX];
static uint8_t rpc[RPCH_PDU_SIZE_MAX];
static rpch_step step;
static size_t waiting;

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
static const char hex_ping[] = "05001403 10000000 14000000 00000000 01000000";
static const char hex_notify[] =
    "05001403 10000000 1c000000 00000000 02000100 0e000000 10040000";

static void start_with(const rpch_limits *l, unsigned flags)
{
    rpch_outbound_init(&m, l, flags, NULL, NULL, START);
}

static void start(unsigned flags)
{
    rpch_limits l = role_limits();

    start_with(&l, flags);
}

static int client(const uint8_t *p, size_t len)
{
    int rc = rpch_outbound_client_recv(&m, p, len, &step, START);

    ck_assert_uint_le(step.used, len);
    ck_assert_ptr_null(step.pass);
    return rc;
}

static int server(const uint8_t *p, size_t len)
{
    int rc = rpch_outbound_server_recv(&m, p, len, &step, START);

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
        return rpch_outbound_server_rts(&m, pdu, n, START);
    return server(pdu, n);
}

/* From a started machine to the state; empties the lanes. */
static void advance(rpch_out_state to)
{
    rpch_rts_values v = role_values(0xb0, 0);

    if (to == RPCH_OUT_FINISHED)
        rpch_outbound_fail(&m, RPCH_E_POLICY, "the test");
    else if (to > RPCH_OUT_OPEN_START)
        ck_assert_int_eq(client_rts(RPCH_CONN_A1, &v), RPCH_OK);
    if (to > RPCH_OUT_CONNECT && to < RPCH_OUT_FINISHED)
        ck_assert_int_eq(rpch_outbound_connected(&m, START), RPCH_OK);
    if (to > RPCH_OUT_RESPONSE && to < RPCH_OUT_FINISHED)
        ck_assert_int_eq(rpch_outbound_responded(&m, START), RPCH_OK);
    if (to == RPCH_OUT_OPENED)
        ck_assert_int_eq(server_rts(RPCH_CONN_C1, &v), RPCH_OK);
    rpch_lane_init(&m.to_server);
    rpch_lane_init(&m.to_client);
    ck_assert_int_eq(m.core.state, to);
}

static void drive(unsigned flags, rpch_out_state to)
{
    start(flags);
    advance(to);
}

/* Lets an RPC PDU of n bytes arrive, and passes it on if it may go. */
static int rpc_through(size_t n, bool on)
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

static void expect_end(int status, const char *reason)
{
    ck_assert_int_eq(m.core.state, RPCH_OUT_FINISHED);
    ck_assert_int_eq(m.core.status, status);
    ck_assert_str_eq(m.core.reason, reason);
    ck_assert_uint_eq(rpch_outbound_wants(&m), RPCH_WANT_CLOSE);
    ck_assert(rpch_outbound_deadline(&m) == RPCH_NEVER);
}

static void expect_lane(rpch_lane *lane, const char *hex)
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

START_TEST(test_outbound_opens_byte_exact)
{
    uint8_t b[RPCH_RTS_SIZE_MAX];
    size_t n = test_hex(hex_a1, b, sizeof(b));

    start(0);
    ck_assert_uint_eq(rpch_outbound_wants(&m), RPCH_WANT_CLIENT_READ);
    ck_assert_int_eq(client(b, n), RPCH_OK);
    ck_assert_uint_eq(rpch_outbound_wants(&m),
                      RPCH_WANT_CLIENT_READ | RPCH_WANT_CONNECT);
    ck_assert_mem_eq(m.vc.b, b + 32, 16);
    ck_assert_mem_eq(m.channel.b, b + 52, 16);
    ck_assert_int_eq(rpch_outbound_connected(&m, START), RPCH_OK);
    ck_assert_uint_eq(rpch_outbound_wants(&m),
                      RPCH_WANT_CLIENT_READ | RPCH_WANT_RESPONSE);
    expect_lane(&m.to_server, hex_a2);
    expect_lane(&m.to_client, "");
    ck_assert_int_eq(rpch_outbound_responded(&m, START), RPCH_OK);
    expect_lane(&m.to_client, hex_a3);
    ck_assert_uint_eq(rpch_outbound_wants(&m),
                      RPCH_WANT_CLIENT_READ | RPCH_WANT_SERVER_READ);
    ck_assert(!rpch_outbound_may_send(&m, 16));
    n = test_hex(hex_c1, b, sizeof(b));
    ck_assert_int_eq(server(b, n), RPCH_OK);
    expect_lane(&m.to_client, hex_c1);
    expect_lane(&m.to_server, "");
    ck_assert_int_eq(m.core.state, RPCH_OUT_OPENED);
    ck_assert(rpch_outbound_may_send(&m, 65535));
    ck_assert_uint_eq(m.lifetime_used, 28 + 44);
}
END_TEST

/* One event, by the call that brings it. */
static void inject(rpch_out_event ev)
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
    case RPCH_OUT_EV_CONNECTED: rpch_outbound_connected(&m, START); break;
    case RPCH_OUT_EV_RESPONDED: rpch_outbound_responded(&m, START); break;
    case RPCH_OUT_EV_CONN_C1: server_rts(RPCH_CONN_C1, &v); break;
    case RPCH_OUT_EV_R1_A1: server_rts(RPCH_OUT_R2_A1, &v); break;
    case RPCH_OUT_EV_R1_A5: server_rts(RPCH_OUT_R1_A5, &v); break;
    case RPCH_OUT_EV_A9_B1: server_rts(RPCH_OUT_R2_B1, &v); break;
    case RPCH_OUT_EV_R2_B2: server_rts(RPCH_OUT_R2_B2, &v); break;
    case RPCH_OUT_EV_ACK: server_rts(RPCH_FLOW_CONTROL_ACK_DEST, &v); break;
    case RPCH_OUT_EV_SERVER_FORWARD: server_rts(RPCH_IN_R1_A3, &v); break;
    case RPCH_OUT_EV_SERVER_OTHER: server_rts(RPCH_OUT_R1_A7, &v); break;
    case RPCH_OUT_EV_SERVER_RPC: server(rpc, role_rpc(rpc, 24, 1)); break;
    case RPCH_OUT_EV_CLIENT_CLOSE: rpch_outbound_client_closed(&m); break;
    case RPCH_OUT_EV_SERVER_CLOSE: rpch_outbound_server_closed(&m); break;
    case RPCH_OUT_EV_TIMEOUT: /* as does the next one */
    case RPCH_OUT_EV_PING_DUE:
        rpch_outbound_timeout(&m, RPCH_NEVER - 1);
        break;
    default: rpch_outbound_fail(&m, RPCH_E_CONNECT, "no server"); break;
    }
}

/* What 3.2.4.5 says about each pair, in the order of the states OPEN_START,
 * CONNECT, RESPONSE, C1W, OPENED, FINISHED: to (C)ONNECT, (R)ESPONSE, C1(W),
 * (O)PENED; (.) nothing changes; to FINISHED by a protocol (e)rror,
 * (c)losing, (t)imeout, (f)ailure, or a (b)ug of the caller. In the row of
 * PING_DUE the handshake timers are those of TIMEOUT. */
static const struct {
    rpch_out_event ev;
    const char *want;
} expected[] = {
    { RPCH_OUT_EV_CONN_A1, "Ceeee." },
    { RPCH_OUT_EV_R1_A3, "eeeee." },
    { RPCH_OUT_EV_A11, "eeeee." },
    { RPCH_OUT_EV_R2_C1, "eeeee." },
    { RPCH_OUT_EV_CLIENT_OTHER, "eeeee." },
    { RPCH_OUT_EV_CLIENT_RPC, "eeeee." },
    { RPCH_OUT_EV_CONNECTED, "bRbbb." },
    { RPCH_OUT_EV_RESPONDED, "bbWbb." },
    { RPCH_OUT_EV_CONN_C1, "...Oe." },
    { RPCH_OUT_EV_R1_A1, "...ee." },
    { RPCH_OUT_EV_R1_A5, "...ee." },
    { RPCH_OUT_EV_A9_B1, "...ee." },
    { RPCH_OUT_EV_R2_B2, "...ee." },
    { RPCH_OUT_EV_ACK, "...e.." },
    { RPCH_OUT_EV_SERVER_FORWARD, "...e.." },
    { RPCH_OUT_EV_SERVER_OTHER, "...ee." },
    { RPCH_OUT_EV_SERVER_RPC, "...e.." },
    { RPCH_OUT_EV_CLIENT_CLOSE, "ccccc." },
    { RPCH_OUT_EV_SERVER_CLOSE, "ccccc." },
    { RPCH_OUT_EV_TIMEOUT, "t.tt.." },
    { RPCH_OUT_EV_PING_DUE, "t.tt.." },
    { RPCH_OUT_EV_FAIL, "fffff." },
};

static void check_pair(unsigned flags, rpch_out_event ev, int state, char want)
{
    static const char code[] = "CRWOectfb";
    static const struct { int state, status; } outcome[] = {
        { RPCH_OUT_CONNECT, RPCH_OK }, { RPCH_OUT_RESPONSE, RPCH_OK },
        { RPCH_OUT_C1W, RPCH_OK }, { RPCH_OUT_OPENED, RPCH_OK },
        { RPCH_OUT_FINISHED, RPCH_E_UNEXPECTED },
        { RPCH_OUT_FINISHED, RPCH_E_CLOSED },
        { RPCH_OUT_FINISHED, RPCH_E_TIMEOUT },
        { RPCH_OUT_FINISHED, RPCH_E_CONNECT },
        { RPCH_OUT_FINISHED, RPCH_E_BUG }
    };
    const char *at = strchr(code, want);
    int status = state == RPCH_OUT_FINISHED ? RPCH_E_POLICY : RPCH_OK;

    drive(flags, (rpch_out_state)state);
    inject(ev);
    if (at != NULL) {
        state = outcome[at - code].state;
        status = outcome[at - code].status;
    }
    ck_assert_msg(m.core.state == state && m.core.status == status,
                  "%s, flags %u: [%s] %s (%s), not [%s] %s",
                  rpch_out_event_name(ev), flags,
                  rpch_out_state_name((rpch_out_state)m.core.state),
                  rpch_status_name(m.core.status), m.core.reason,
                  rpch_out_state_name((rpch_out_state)state),
                  rpch_status_name(status));
    ck_assert_int_eq(status == RPCH_OK, m.core.reason == NULL);
}

START_TEST(test_outbound_every_pair)
{
    size_t i;
    int state;

    ck_assert_uint_eq(sizeof(expected) / sizeof(expected[0]),
                      RPCH_OUT_EV_MAX);
    for (i = 0; i < RPCH_OUT_EV_MAX; i++) {
        rpch_out_event ev = expected[i].ev;

        ck_assert_int_eq(ev, (int)i);
        for (state = 0; state < RPCH_OUT_STATE_MAX; state++) {
            char want = expected[i].want[state];

            check_pair(0, ev, state, want);
            check_pair(RPCH_QUIET, ev, state, want);
            /* a joined S-OUT is read when the connection is open */
            if (ev == RPCH_OUT_EV_SERVER_RPC && state == RPCH_OUT_C1W)
                want = '.';
            check_pair(RPCH_JOINED, ev, state, want);
            check_pair(RPCH_JOINED | RPCH_QUIET, ev, state, want);
        }
    }
}
END_TEST

START_TEST(test_outbound_names)
{
    int i;

    for (i = 0; i < RPCH_OUT_STATE_MAX; i++)
        ck_assert_str_ne(rpch_out_state_name((rpch_out_state)i), "unknown");
    for (i = 0; i < RPCH_OUT_EV_MAX; i++)
        ck_assert_str_ne(rpch_out_event_name((rpch_out_event)i), "unknown");
    ck_assert_str_eq(rpch_out_state_name(RPCH_OUT_C1W), "C1W");
    ck_assert_str_eq(rpch_out_event_name(RPCH_OUT_EV_CONN_A1), "CONN/A1");
    ck_assert_str_eq(rpch_out_state_name(RPCH_OUT_STATE_MAX), "unknown");
    ck_assert_str_eq(rpch_out_event_name(RPCH_OUT_EV_MAX), "unknown");
}
END_TEST

START_TEST(test_outbound_first_pdu_of_other_kind)
{
    static const struct { rpch_pdu_id id; const char *reason; } c[] = {
        { RPCH_CONN_B1, "CONN/B1 on an OUT channel" },
        { RPCH_IN_R1_A1, "IN_R1/A1=IN_R2/A1 on an OUT channel" },
        { RPCH_OUT_R1_A3, "recycling is not accepted: OUT_R1/A3=OUT_R2/A3" },
        { RPCH_OUT_R1_A11, "OUT_R1/A11 before CONN/A1" },
        { RPCH_OUT_R2_C1, "OUT_R2/C1 before CONN/A1" },
        { RPCH_PING, "RTS PDU that does not belong on an OUT channel" },
    };
    rpch_rts_values v = role_values(0xb0, 0xd0);
    size_t i;

    for (i = 0; i < sizeof(c) / sizeof(c[0]); i++) {
        start(0);
        ck_assert_int_eq(client_rts(c[i].id, &v), RPCH_E_UNEXPECTED);
        expect_end(RPCH_E_UNEXPECTED, c[i].reason);
    }
    start(0);
    ck_assert_int_eq(client(rpc, role_rpc(rpc, 72, 1)), RPCH_E_UNEXPECTED);
    expect_end(RPCH_E_UNEXPECTED, "RPC PDU before CONN/A1");
    start(0);
    client(pdu, test_hex("05001403 10000000 18000000 00000000 40000100"
                         "09000000", pdu, sizeof(pdu)));
    expect_end(RPCH_E_UNEXPECTED, "unknown RTS PDU from the client");
}
END_TEST

START_TEST(test_outbound_a1_with_trailing_bytes)
{
    uint8_t b[RPCH_RTS_SIZE_MAX * 2] = { 0 };
    rpch_rts_values v = role_values(0xb0, 0);
    size_t n = test_hex(hex_a1, b, sizeof(b));

    /* of which nothing can be said before there is a header */
    start(0);
    ck_assert_int_eq(client(b, n + 15), RPCH_OK);
    ck_assert_uint_eq(step.used, n);
    ck_assert_int_eq(client(b + n, 15), RPCH_OK);
    ck_assert(!rpch_cutter_at_boundary(&m.client));
    ck_assert_int_eq(client(b + n + 15, 1), RPCH_E_SYNTAX);
    start(0);
    ck_assert_int_eq(client(b, n), RPCH_OK);
    ck_assert_int_eq(client(b, n), RPCH_E_UNEXPECTED);
    expect_end(RPCH_E_UNEXPECTED, "a second CONN/A1");
    drive(0, RPCH_OUT_OPENED);
    ck_assert_int_eq(client_rts(RPCH_FLOW_CONTROL_ACK_DEST, &v),
                     RPCH_E_UNEXPECTED);
    drive(0, RPCH_OUT_OPENED);
    ck_assert_int_eq(client(rpc, role_rpc(rpc, 16, 1)), RPCH_E_UNEXPECTED);
    expect_end(RPCH_E_UNEXPECTED, "RPC PDU from the client on C-OUT");
}
END_TEST

START_TEST(test_outbound_header_wrong)
{
    static const struct { size_t offset; uint8_t value; } bad[] = {
        { 0, 4 }, { 1, 1 }, { 1, 2 }, { 3, 0x01 }, { 3, 0x83 }, { 4, 0 },
        { 4, 0x20 }, { 4, 0x11 }, { 5, 1 }, { 6, 1 }, { 7, 1 }, { 8, 0 },
        { 8, 15 }, { 8, 19 }, { 8, 0x2b }, { 8, 0x2d }, { 9, 0xff },
        { 9, 2 }, { 10, 1 }, { 11, 1 }, { 12, 1 }, { 13, 1 }, { 14, 1 },
        { 15, 1 }, { 18, 2 }, { 18, 4 }, { 19, 1 }, { 20, 0x0f }, { 28, 6 }
    };
    uint8_t b[RPCH_RTS_SIZE_MAX];
    size_t i;

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        size_t n = test_hex(hex_c1, b, sizeof(b));

        b[bad[i].offset] = bad[i].value;
        drive(0, RPCH_OUT_C1W);
        server(b, n);
        server(b, n);
        ck_assert_msg(bad[i].offset == 28
                          ? m.core.status == RPCH_E_UNEXPECTED
                          : m.core.status == RPCH_E_SYNTAX,
                      "@%zu: %s", bad[i].offset,
                      rpch_status_name(m.core.status));
        ck_assert_int_eq(m.core.state, RPCH_OUT_FINISHED);
        drive(RPCH_JOINED, RPCH_OUT_C1W);
        ck_assert_int_lt(rpch_outbound_server_rts(&m, b, n, START), 0);
    }
    drive(0, RPCH_OUT_OPENED);
    ck_assert_int_eq(rpc_through(65535, true), RPCH_OK);
}
END_TEST

START_TEST(test_outbound_value_ranges)
{
    static const struct { uint32_t window, timeout; bool ok; } c[] = {
        { 8191, 120000, false }, { 8192, 120000, true },
        { 262144, 14400000, true }, { 262145, 120000, false },
        { 65536, 119999, false }, { 65536, 14400001, false }
    };
    rpch_rts_values v = role_values(0xb0, 0);
    rpch_rts_values got;
    rpch_rts rts;
    const char *reason;
    size_t i;

    for (i = 0; i < sizeof(c) / sizeof(c[0]); i++) {
        v.window = c[i].window;
        v.timeout = c[i].timeout;
        v.version = 3;
        drive(0, RPCH_OUT_C1W);
        ck_assert_int_eq(server_rts(RPCH_CONN_C1, &v),
                         c[i].ok ? RPCH_OK : RPCH_E_SYNTAX);
        if (!c[i].ok)
            continue;
        ck_assert_int_eq(rpch_rts_decode(m.to_client.b, 44, &rts, &reason),
                         RPCH_OK);
        ck_assert_int_eq(rpch_rts_read(RPCH_CONN_C2, &rts, &got), RPCH_OK);
        ck_assert_uint_eq(got.window, c[i].window);
        ck_assert_uint_eq(got.timeout, c[i].timeout);
        ck_assert_uint_eq(got.version, 3);
    }
    v.window = 8191;
    start(0);
    ck_assert_int_eq(client_rts(RPCH_CONN_A1, &v), RPCH_E_SYNTAX);
    expect_end(RPCH_E_SYNTAX, "ReceiveWindowSize below 8192 in CONN/A1");
    v.window = 1000000;
    start(0);
    ck_assert_int_eq(client_rts(RPCH_CONN_A1, &v), RPCH_OK);
    ck_assert_uint_eq(m.tx.window, 262144);
}
END_TEST

START_TEST(test_outbound_a1_cut_anywhere)
{
    uint8_t b[RPCH_RTS_SIZE_MAX];
    size_t n = test_hex(hex_a1, b, sizeof(b));
    size_t i;

    for (i = 1; i < n; i++) {
        start(0);
        ck_assert_int_eq(client(b, i), RPCH_OK);
        ck_assert_uint_eq(step.used, i);
        ck_assert_int_eq(m.core.state, RPCH_OUT_OPEN_START);
        ck_assert_int_eq(client(b + i, n - i), RPCH_OK);
        ck_assert_int_eq(m.core.state, RPCH_OUT_CONNECT);
    }
}
END_TEST

START_TEST(test_outbound_deadlines)
{
    rpch_limits l = role_limits();

    start(0);
    ck_assert(rpch_outbound_deadline(&m) == START + 30000);
    ck_assert_int_eq(rpch_outbound_timeout(&m, START + 29999), RPCH_OK);
    ck_assert_int_eq(rpch_outbound_timeout(&m, START + 30000),
                     RPCH_E_TIMEOUT);
    expect_end(RPCH_E_TIMEOUT, "no CONN/A1 from the client in time");
    drive(0, RPCH_OUT_CONNECT);
    ck_assert(rpch_outbound_deadline(&m) == RPCH_NEVER);
    ck_assert_int_eq(rpch_outbound_connected(&m, 7000), RPCH_OK);
    ck_assert(rpch_outbound_deadline(&m) == 907000);
    ck_assert_int_eq(rpch_outbound_responded(&m, 8000), RPCH_OK);
    ck_assert(rpch_outbound_deadline(&m) == 907000);
    ck_assert_int_eq(rpch_outbound_timeout(&m, 906999), RPCH_OK);
    ck_assert_int_eq(rpch_outbound_timeout(&m, 907000), RPCH_E_TIMEOUT);
    expect_end(RPCH_E_TIMEOUT, "no CONN/C1 from the server in time");
    l.first_pdu_timeout = 0;
    l.ping_interval = 0;
    start_with(&l, 0);
    ck_assert(rpch_outbound_deadline(&m) == RPCH_NEVER);
    advance(RPCH_OUT_OPENED);
    ck_assert(rpch_outbound_deadline(&m) == RPCH_NEVER);
    ck_assert_int_eq(rpch_outbound_timeout(&m, RPCH_NEVER), RPCH_OK);
    expect_lane(&m.to_client, "");
}
END_TEST

START_TEST(test_outbound_pings_when_idle)
{
    rpch_rts_values v = role_values(0xb0, 0);
    size_t n;
    rpch_msec now = START + 5000;
    int i;

    drive(0, RPCH_OUT_C1W);
    n = role_rts(RPCH_CONN_C1, &v, pdu);
    ck_assert_int_eq(rpch_outbound_server_recv(&m, pdu, n, &step, now),
                     RPCH_OK);
    rpch_lane_init(&m.to_client);
    for (i = 1; i <= 52; i++) {
        ck_assert(rpch_outbound_deadline(&m) == now + 60000);
        ck_assert_int_eq(rpch_outbound_timeout(&m, now + 59999), RPCH_OK);
        ck_assert_ptr_null(rpch_lane_buf(&m.to_client, &waiting));
        now += 60000;
        ck_assert_int_eq(rpch_outbound_timeout(&m, now), RPCH_OK);
        (void)rpch_lane_buf(&m.to_client, &waiting);
        ck_assert_uint_eq(waiting, 20);
        if (i == 1)
            expect_lane(&m.to_client, hex_ping);
        /* 52 * 20 is the first sum above 1031 */
        expect_lane(&m.to_server, i < 52 ? "" : hex_notify);
        rpch_outbound_client_ack(&m, waiting, now + 5);
        now += 5;
    }
    ck_assert_uint_eq(m.ping_bytes, 0);
    ck_assert_uint_eq(m.lifetime_used, 72 + 52 * 20);
}
END_TEST

START_TEST(test_outbound_ping_waits)
{
    rpch_rts_values v = role_values(0xb0, 0);
    uint8_t fill[RPCH_LANE_SIZE] = { 0 };

    /* within an RPC PDU */
    drive(0, RPCH_OUT_OPENED);
    ck_assert_int_eq(rpch_outbound_pdu_begin(&m, 100), RPCH_OK);
    ck_assert_int_eq(rpch_outbound_timeout(&m, START + 60000), RPCH_OK);
    ck_assert_ptr_null(rpch_lane_buf(&m.to_client, &waiting));
    ck_assert(rpch_outbound_deadline(&m) == START + 120000);
    rpch_outbound_pdu_done(&m, 100, START + 70000);
    ck_assert(rpch_outbound_deadline(&m) == START + 130000);
    ck_assert_int_eq(rpch_outbound_timeout(&m, START + 130000), RPCH_OK);
    expect_lane(&m.to_client, hex_ping);
    /* while the lane has something to say */
    drive(0, RPCH_OUT_OPENED);
    ck_assert_int_eq(server_rts(RPCH_IN_R2_A3, &v), RPCH_OK);
    ck_assert_int_eq(rpch_outbound_timeout(&m, START + 60000), RPCH_OK);
    (void)rpch_lane_buf(&m.to_client, &waiting);
    ck_assert_uint_eq(waiting, 28);
    ck_assert(rpch_outbound_deadline(&m) == START + 120000);
    rpch_outbound_client_ack(&m, 27, START + 61000);
    ck_assert(rpch_outbound_deadline(&m) == START + 121000);
    rpch_outbound_client_ack(&m, 0, START + 70000);
    ck_assert(rpch_outbound_deadline(&m) == START + 121000);
    /* no room to report to the server: later */
    drive(0, RPCH_OUT_OPENED);
    m.ping_bytes = 1020;
    ck_assert_int_eq(rpch_lane_put(&m.to_server, fill, 900), RPCH_OK);
    ck_assert_int_eq(rpch_outbound_timeout(&m, START + 60000), RPCH_OK);
    ck_assert_uint_eq(m.ping_bytes, 1040);
    ck_assert_uint_eq(m.to_server.end, 900);
}
END_TEST

START_TEST(test_outbound_acks_the_server)
{
    drive(0, RPCH_OUT_OPENED);
    ck_assert_int_eq(rpc_through(30000, true), RPCH_OK);
    expect_lane(&m.to_server, "");
    ck_assert_int_eq(rpc_through(10000, true), RPCH_OK);
    expect_lane(&m.to_server, hex_ack);
    expect_lane(&m.to_client, "");
    ck_assert_uint_eq(m.rpc_bytes, 40000);
    ck_assert_uint_eq(m.rpc_pdus, 2);
    ck_assert_uint_eq(m.queued, 0);
}
END_TEST

START_TEST(test_outbound_client_window)
{
    rpch_rts_values v = role_values(0xb0, 0);

    drive(0, RPCH_OUT_OPENED); /* the client's window is 65536 */
    ck_assert_int_eq(rpch_outbound_pdu_begin(&m, 60000), RPCH_OK);
    ck_assert(rpch_outbound_may_send(&m, 5536));
    ck_assert(!rpch_outbound_may_send(&m, 5537));
    ck_assert_int_eq(rpch_outbound_pdu_begin(&m, 5536), RPCH_OK);
    ck_assert(!rpch_outbound_may_send(&m, 16));
    v.dest = RPCH_DEST_OUT_PROXY;
    v.ack.bytes_received = 65536;
    v.ack.available_window = 4000000;
    v.ack.cookie = role_cookie(0xc0); /* not our channel */
    ck_assert_int_eq(server_rts(RPCH_FLOW_CONTROL_ACK_DEST, &v), RPCH_OK);
    ck_assert(!rpch_outbound_may_send(&m, 16));
    v.ack.cookie = role_cookie(0xb0);
    ck_assert_int_eq(server_rts(RPCH_FLOW_CONTROL_ACK_DEST, &v), RPCH_OK);
    ck_assert_uint_eq(m.tx.avail, 65536);
    v.ack.bytes_received = 65537;
    ck_assert_int_eq(server_rts(RPCH_FLOW_CONTROL_ACK_DEST, &v), RPCH_E_ACK);
    expect_end(RPCH_E_ACK, "FlowControlAckWithDestination for bytes that were "
                           "never sent on C-OUT");
    /* the plain form is the server's own, and not about C-OUT */
    drive(0, RPCH_OUT_OPENED);
    ck_assert_int_eq(server_rts(RPCH_FLOW_CONTROL_ACK, &v),
                     RPCH_E_UNEXPECTED);
}
END_TEST

START_TEST(test_outbound_forwards_to_the_client_only)
{
    static const char odd[] = "05001403 10000000 29000000 00000000 40000300"
                              "0d000000 00000000 08000000 01000000 00"
                              "0a000000";
    uint8_t b[RPCH_RTS_SIZE_MAX];
    size_t n = test_hex(odd, b, sizeof(b));
    uint8_t dest;

    drive(0, RPCH_OUT_OPENED);
    ck_assert_int_eq(server(b, n), RPCH_OK);
    expect_lane(&m.to_client, odd);
    for (dest = 1; dest <= 4; dest++) {
        drive(0, RPCH_OUT_OPENED);
        b[24] = dest;
        ck_assert_int_eq(server(b, n), dest > 3 ? RPCH_E_SYNTAX
                                                : RPCH_E_UNEXPECTED);
    }
    drive(0, RPCH_OUT_OPENED);
    b[24] = RPCH_DEST_IN_PROXY;
    server(b, n);
    expect_end(RPCH_E_UNEXPECTED, "RTS PDU on S-OUT that is not for the client");
    drive(0, RPCH_OUT_OPENED);
    b[24] = RPCH_DEST_OUT_PROXY;
    server(b, n);
    expect_end(RPCH_E_UNEXPECTED, "unknown RTS PDU from the server");
}
END_TEST

START_TEST(test_outbound_lane_full)
{
    rpch_rts_values v = role_values(0xb0, 0);
    size_t taken = 0;

    drive(0, RPCH_OUT_OPENED);
    while (rpch_outbound_wants(&m) & RPCH_WANT_SERVER_READ) {
        ck_assert_int_eq(server_rts(RPCH_IN_R1_A3, &v), RPCH_OK);
        ck_assert_uint_eq(step.used, 52);
        ck_assert_uint_lt(++taken, 20);
    }
    ck_assert_uint_ge(taken, 6);
    ck_assert_int_eq(server_rts(RPCH_IN_R1_A3, &v), RPCH_OK);
    ck_assert_uint_eq(step.used, 0);
    ck_assert_int_eq(rpch_outbound_server_rts(&m, pdu, 52, START),
                     RPCH_AGAIN);
    rpch_outbound_client_ack(&m, 52, START);
    ck_assert(rpch_outbound_wants(&m) & RPCH_WANT_SERVER_READ);
    ck_assert_int_eq(server_rts(RPCH_IN_R1_A3, &v), RPCH_OK);
    ck_assert_uint_eq(step.used, 52);
}
END_TEST

START_TEST(test_outbound_lane_full_within_a_pdu)
{
    uint8_t fill[RPCH_LANE_SIZE] = { 0 };

    drive(0, RPCH_OUT_OPENED);
    role_rpc(rpc, 1000, 1);
    ck_assert_int_eq(server(rpc, 100), RPCH_OK);
    ck_assert_int_eq(rpch_outbound_pdu_begin(&m, 1000), RPCH_OK);
    ck_assert_int_eq(rpch_lane_put(&m.to_client, fill, 900), RPCH_OK);
    ck_assert(rpch_outbound_wants(&m) & RPCH_WANT_SERVER_READ);
    ck_assert_int_eq(server(rpc + 100, 900), RPCH_OK);
    ck_assert_uint_eq(step.pass_len, 900);
    ck_assert(step.last);
    rpch_outbound_pdu_done(&m, 1000, START);
    ck_assert(!(rpch_outbound_wants(&m) & RPCH_WANT_SERVER_READ));
    ck_assert(rpch_outbound_may_send(&m, 16));
    ck_assert_int_eq(rpch_lane_put(&m.to_server, fill, 900), RPCH_OK);
    ck_assert(!rpch_outbound_may_send(&m, 16));
}
END_TEST

static void fill_queue(unsigned flags, size_t limit)
{
    drive(flags, RPCH_OUT_OPENED);
    while (rpch_outbound_wants(&m) & RPCH_WANT_SERVER_READ)
        ck_assert_int_eq(rpc_through(4096, false), RPCH_OK);
    ck_assert_uint_eq(m.queued, limit + 4096);
    ck_assert_int_eq(server(rpc, 4096), RPCH_OK);
    ck_assert_uint_eq(step.used, 0);
    rpch_outbound_pdu_done(&m, 4096, START);
    ck_assert(rpch_outbound_wants(&m) & RPCH_WANT_SERVER_READ);
}

START_TEST(test_outbound_queue_is_bounded)
{
    rpch_limits l = role_limits();

    fill_queue(0, 65536 + 65536);
    fill_queue(RPCH_JOINED, 65536);
    /* a PDU larger than the window still comes through */
    l.receive_window = 8192;
    start_with(&l, RPCH_JOINED);
    advance(RPCH_OUT_OPENED);
    role_rpc(rpc, 30000, 1);
    ck_assert_int_eq(server(rpc, 100), RPCH_OK);
    ck_assert(rpch_outbound_wants(&m) & RPCH_WANT_SERVER_READ);
    ck_assert_int_eq(server(rpc + 100, 29900), RPCH_OK);
    ck_assert(step.last);
    ck_assert(!(rpch_outbound_wants(&m) & RPCH_WANT_SERVER_READ));
}
END_TEST

START_TEST(test_outbound_lifetime)
{
    rpch_limits l = role_limits();
    rpch_rts_values v = role_values(0xb0, 0);

    l.channel_lifetime = 131072;
    start_with(&l, 0);
    advance(RPCH_OUT_OPENED);
    m.lifetime_used = 131072 - 1000;
    ck_assert_int_eq(rpch_outbound_pdu_begin(&m, 1000), RPCH_OK);
    rpch_outbound_pdu_done(&m, 1000, START);
    ck_assert_uint_eq(m.lifetime_used, 131072);
    ck_assert(rpch_outbound_may_send(&m, 16));
    ck_assert_int_eq(rpch_outbound_pdu_begin(&m, 16), RPCH_E_LIFETIME);
    expect_end(RPCH_E_LIFETIME, "the OUT channel's lifetime is used up");
    ck_assert_int_eq(rpch_outbound_pdu_begin(&m, 16), RPCH_E_LIFETIME);
    start_with(&l, 0);
    advance(RPCH_OUT_OPENED);
    m.lifetime_used = 131072 - 27;
    ck_assert_int_eq(server_rts(RPCH_IN_R2_A3, &v), RPCH_E_LIFETIME);
    expect_lane(&m.to_client, "");
    start_with(&l, 0);
    advance(RPCH_OUT_OPENED);
    m.lifetime_used = 131072 - 19;
    ck_assert_int_eq(rpch_outbound_timeout(&m, START + 60000),
                     RPCH_E_LIFETIME);
    expect_lane(&m.to_client, "");
}
END_TEST

START_TEST(test_outbound_quiet)
{
    rpch_rts_values v = role_values(0xb0, 0);

    start(RPCH_QUIET);
    ck_assert(rpch_outbound_deadline(&m) != RPCH_NEVER);
    advance(RPCH_OUT_C1W);
    ck_assert_int_eq(server_rts(RPCH_CONN_C1, &v), RPCH_OK);
    expect_lane(&m.to_client, hex_c1);
    ck_assert(rpch_outbound_deadline(&m) == RPCH_NEVER);
    ck_assert_int_eq(rpch_outbound_timeout(&m, RPCH_NEVER - 1), RPCH_OK);
    ck_assert_int_eq(server_rts(RPCH_IN_R1_A3, &v), RPCH_OK);
    v.dest = RPCH_DEST_CLIENT;
    ck_assert_int_eq(server_rts(RPCH_FLOW_CONTROL_ACK_DEST, &v), RPCH_OK);
    expect_lane(&m.to_client, "");
    ck_assert_int_eq(rpch_outbound_pdu_begin(&m, 65535), RPCH_OK);
    ck_assert(rpch_outbound_may_send(&m, 65535));
    /* acks count for nothing, be they wrong */
    v.dest = RPCH_DEST_OUT_PROXY;
    v.ack.cookie = role_cookie(0xb0);
    v.ack.bytes_received = 1000000;
    ck_assert_int_eq(server_rts(RPCH_FLOW_CONTROL_ACK_DEST, &v), RPCH_OK);
    /* the server's window is no affair of the client */
    rpch_outbound_pdu_done(&m, 65535, START);
    ck_assert_int_eq(rpc_through(40000, true), RPCH_OK);
    ck_assert_ptr_nonnull(rpch_lane_buf(&m.to_server, &waiting));
}
END_TEST

START_TEST(test_outbound_joined)
{
    rpch_rts_values v = role_values(0xb0, 0);
    size_t n;

    drive(RPCH_JOINED, RPCH_OUT_RESPONSE);
    ck_assert_int_eq(server_rts(RPCH_CONN_C1, &v), RPCH_AGAIN);
    ck_assert_int_eq(rpch_outbound_responded(&m, START), RPCH_OK);
    ck_assert(!(rpch_outbound_wants(&m) & RPCH_WANT_SERVER_READ));
    ck_assert_int_eq(server_rts(RPCH_CONN_C1, &v), RPCH_OK);
    ck_assert(rpch_outbound_wants(&m) & RPCH_WANT_SERVER_READ);
    /* TCP is the back-pressure: no acks */
    ck_assert_int_eq(rpc_through(40000, true), RPCH_OK);
    expect_lane(&m.to_server, "");
    n = role_rts(RPCH_IN_R2_A3, &v, pdu);
    ck_assert_int_eq(server(pdu, n), RPCH_E_UNEXPECTED);
    expect_end(RPCH_E_UNEXPECTED, "RTS PDU from an ncacn_ip_tcp server");
    drive(RPCH_JOINED, RPCH_OUT_OPENED);
    ck_assert_int_eq(server((const uint8_t *)"ncacn_http/1.0", 14), RPCH_OK);
    ck_assert_int_eq(server((const uint8_t *)"12", 2), RPCH_E_SYNTAX);
    drive(RPCH_JOINED, RPCH_OUT_FINISHED);
    ck_assert_int_eq(server_rts(RPCH_CONN_C1, &v), RPCH_E_POLICY);
}
END_TEST

/* Log lines, one below the other. */
static char lines[4096];

static void keep(void *baton, int level, const char *what, const char *detail)
{
    size_t n = strlen(lines);

    snprintf(lines + n, sizeof(lines) - n, "%d %s %s\n", level, what, detail);
}

START_TEST(test_outbound_logs)
{
    rpch_limits l = role_limits();
    rpch_rts_values v = role_values(0xb0, 0);

    rpch_outbound_init(&m, &l, RPCH_QUIET, keep, NULL, START);
    lines[0] = '\0';
    client_rts(RPCH_CONN_A1, &v);
    rpch_outbound_connected(&m, START);
    rpch_outbound_responded(&m, START);
    server_rts(RPCH_CONN_C1, &v);
    server_rts(RPCH_IN_R1_A3, &v);
    m.core.flags = 0;
    server_rts(RPCH_IN_R1_A3, &v);
    server(rpc, role_rpc(rpc, 24, 1));
    rpch_outbound_server_closed(&m);
    ck_assert_str_eq(lines,
        "8 received on C-OUT CONN/A1\n"
        "7 transition [OPEN_START] -- CONN/A1 --> [CONNECT]\n"
        "8 queued for S-OUT CONN/A2\n"
        "7 transition [CONNECT] -- connected --> [RESPONSE]\n"
        "8 queued for C-OUT CONN/A3\n"
        "7 transition [RESPONSE] -- responded --> [C1W]\n"
        "8 received on S-OUT CONN/C1=CONN/C2\n"
        "8 queued for C-OUT CONN/C2\n"
        "7 transition [C1W] -- CONN/C1 --> [OPENED]\n"
        "8 received on S-OUT IN_R1/A3=IN_R1/A4\n"
        "8 kept from the quiet client IN_R1/A3=IN_R1/A4\n"
        "8 received on S-OUT IN_R1/A3=IN_R1/A4\n"
        "8 forwarded to C-OUT IN_R1/A3=IN_R1/A4\n"
        "7 transition [OPENED] -- server closed --> [FINISHED]\n");
}
END_TEST

/* The outcome of a stream. */
typedef struct outcome {
    uint8_t passed[160000]; /* RPC PDUs and RTS PDUs on C-OUT, in order */
    size_t n;
    uint8_t rts[4096];      /* RTS PDUs for the server */
    size_t rts_n;
    uint64_t pdus;
    uint64_t lifetime_used;
} outcome;

static outcome whole, other;

static void drain(outcome *o)
{
    const uint8_t *p;
    size_t len;

    while ((p = rpch_lane_buf(&m.to_client, &len)) != NULL) {
        ck_assert_uint_le(o->n + len, sizeof(o->passed));
        memcpy(o->passed + o->n, p, len);
        o->n += len;
        rpch_outbound_client_ack(&m, len, START);
    }
    while ((p = rpch_lane_buf(&m.to_server, &len)) != NULL) {
        ck_assert_uint_le(o->rts_n + len, sizeof(o->rts));
        memcpy(o->rts + o->rts_n, p, len);
        o->rts_n += len;
        rpch_lane_ack(&m.to_server, len);
    }
}

/* Behaves as a caller would whose writes are never short. */
static void obey(outcome *o)
{
    if (step.first)
        rpch_outbound_pdu_begin(&m, step.pdu_len);
    if (step.pass) {
        ck_assert_uint_le(o->n + step.pass_len, sizeof(o->passed));
        memcpy(o->passed + o->n, step.pass, step.pass_len);
        o->n += step.pass_len;
    }
    if (step.last)
        rpch_outbound_pdu_done(&m, step.pdu_len, START);
    drain(o);
}

static void run_stream(const uint8_t *in, size_t len, int how, uint32_t seed,
                       outcome *o)
{
    size_t at = 0;

    memset(o, 0, sizeof(*o));
    drive(0, RPCH_OUT_C1W);
    while (at < len && m.core.status == RPCH_OK) {
        size_t n = role_cut(how, len - at, &seed);
        size_t done = 0;

        while (done < n && server(in + at + done, n - done) == RPCH_OK) {
            ck_assert_uint_gt(step.used, 0);
            done += step.used;
            obey(o);
        }
        at += n;
    }
    o->pdus = m.rpc_pdus;
    o->lifetime_used = m.lifetime_used;
}

/* A whole life of S-OUT, which ends with a wish to recycle; what is to
 * arrive at the client is also written to want. */
static size_t make_stream(uint8_t *in, uint8_t *want, size_t *want_n)
{
    static const uint16_t sizes[] = { 40, 5840, 5840, 5840, 5840, 5840, 5840,
                                      16, 17, 60000, 1024, 31 };
    rpch_rts_values v = role_values(0xb0, 0);
    size_t n = 14;
    size_t i, len;

    memcpy(in, "ncacn_http/1.0", n);
    len = role_rts(RPCH_CONN_C1, &v, in + n);
    memcpy(want, in + n, len);
    *want_n = len;
    n += len;
    v.ack.cookie = role_cookie(0xb0);
    v.ack.available_window = 65536;
    for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        len = role_rpc(in + n, sizes[i], (uint8_t)i);
        v.dest = RPCH_DEST_CLIENT;
        if (i % 3 == 0)
            len += role_rts(RPCH_FLOW_CONTROL_ACK_DEST, &v, in + n + len);
        memcpy(want + *want_n, in + n, len);
        *want_n += len;
        n += len;
        v.dest = RPCH_DEST_OUT_PROXY;
        n += role_rts(RPCH_FLOW_CONTROL_ACK_DEST, &v, in + n);
    }
    return n + role_rts(RPCH_OUT_R1_A1, &v, in + n);
}

START_TEST(test_outbound_stream_in_any_cuts)
{
    static const char reason[] =
        "recycling is not accepted: OUT_R1/A1=OUT_R2/A1";
    static uint8_t in[160000], want[160000];
    size_t want_n;
    size_t len = make_stream(in, want, &want_n);
    uint32_t seed;

    run_stream(in, len, ROLE_WHOLE, 0, &whole);
    expect_end(RPCH_E_UNEXPECTED, reason);
    ck_assert_uint_eq(whole.n, want_n);
    ck_assert_mem_eq(whole.passed, want, want_n);
    ck_assert_uint_eq(whole.pdus, 12);
    ck_assert_uint_eq(whole.lifetime_used, 28 + want_n);
    ck_assert_uint_eq(whole.rts_n, 2 * 48);
    run_stream(in, len, ROLE_BYTES, 0, &other);
    expect_end(RPCH_E_UNEXPECTED, reason);
    ck_assert_mem_eq(&whole, &other, sizeof(whole));
    for (seed = 1; seed <= 50; seed++) {
        run_stream(in, len, ROLE_RANDOM, seed, &other);
        expect_end(RPCH_E_UNEXPECTED, reason);
        ck_assert_mem_eq(&whole, &other, sizeof(whole));
    }
}
END_TEST

START_TEST(test_outbound_damaged_streams)
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
        ck_assert_int_eq(m.core.state == RPCH_OUT_FINISHED,
                         m.core.status != RPCH_OK);
        ck_assert_int_ne(m.core.status, RPCH_E_BUG);
        ck_assert_int_ne(m.core.status, RPCH_E_ROOM);
        ended += m.core.status == RPCH_E_SYNTAX;
    }
    ck_assert_int_gt(ended, 0);
}
END_TEST

START_TEST(test_outbound_finished_accepts_every_call)
{
    int ev;

    drive(0, RPCH_OUT_C1W);
    ck_assert_int_eq(rpch_outbound_pdu_begin(&m, 16), RPCH_E_BUG);
    drive(0, RPCH_OUT_OPENED);
    ck_assert_int_eq(rpc_through(30000, false), RPCH_OK);
    rpch_outbound_server_closed(&m);
    expect_end(RPCH_E_CLOSED, "the server closed the connection");
    rpch_outbound_client_closed(&m);
    for (ev = 0; ev < RPCH_OUT_EV_MAX; ev++)
        inject((rpch_out_event)ev);
    ck_assert(!rpch_outbound_may_send(&m, 16));
    ck_assert_int_eq(rpch_outbound_pdu_begin(&m, 16), RPCH_E_CLOSED);
    rpch_outbound_pdu_done(&m, 40000, START);
    ck_assert_uint_eq(m.queued, 0);
    expect_end(RPCH_E_CLOSED, "the server closed the connection");
    expect_lane(&m.to_server, "");
    expect_lane(&m.to_client, "");
}
END_TEST

int main(void)
{
    Suite *s = suite_create("outbound");
    TCase *t = tcase_create("outbound");

    tcase_add_test(t, test_outbound_opens_byte_exact);
    tcase_add_test(t, test_outbound_every_pair);
    tcase_add_test(t, test_outbound_names);
    tcase_add_test(t, test_outbound_first_pdu_of_other_kind);
    tcase_add_test(t, test_outbound_a1_with_trailing_bytes);
    tcase_add_test(t, test_outbound_header_wrong);
    tcase_add_test(t, test_outbound_value_ranges);
    tcase_add_test(t, test_outbound_a1_cut_anywhere);
    tcase_add_test(t, test_outbound_deadlines);
    tcase_add_test(t, test_outbound_pings_when_idle);
    tcase_add_test(t, test_outbound_ping_waits);
    tcase_add_test(t, test_outbound_acks_the_server);
    tcase_add_test(t, test_outbound_client_window);
    tcase_add_test(t, test_outbound_forwards_to_the_client_only);
    tcase_add_test(t, test_outbound_lane_full);
    tcase_add_test(t, test_outbound_lane_full_within_a_pdu);
    tcase_add_test(t, test_outbound_queue_is_bounded);
    tcase_add_test(t, test_outbound_lifetime);
    tcase_add_test(t, test_outbound_quiet);
    tcase_add_test(t, test_outbound_joined);
    tcase_add_test(t, test_outbound_logs);
    tcase_add_test(t, test_outbound_stream_in_any_cuts);
    tcase_add_test(t, test_outbound_damaged_streams);
    tcase_add_test(t, test_outbound_finished_accepts_every_call);
    suite_add_tcase(s, t);
    return test_main(s);
}
