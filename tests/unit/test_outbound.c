/* SPDX-License-Identifier: Apache-2.0 */
/* test_outbound.c - the outbound proxy machine against 3.2.4: its table, how
 * it opens, and what it refuses */
#include "outbound_test.h"

#include "rpch/outbound_private.h"

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

/* What 3.2.4.5 says about each pair, in the order of the states OPEN_START,
 * CONNECT, RESPONSE, C1W; SUCCEED, A11W, ATTACHED, LEGW, R2C1W, RESUME;
 * OPENED, OPENED_B1W, DRAIN_R1, LAST_R1, FINISH_R2, LAST_R2, RELEASE,
 * FINISHED. To (C)ONNECT, (R)ESPONSE, C1(W), (S)UCCEED, (A)11W, A(T)TACHED,
 * (L)EGW, R2C1W (X), RESU(M)E, (O)PENED, OPENED_B1W (P), LAST_R(1),
 * LAST_R(2), RELEASE (Z); (.) nothing changes; to FINISHED by a protocol
 * (e)rror, a (s)hort body, (c)losing, (t)imeout, (f)ailure, a (b)ug of the
 * caller, or replaced by its successor (k). In the rows of DRAIN_DUE and
 * PING_DUE the shorter ones of the other timers are those of TIMEOUT. */
static const struct {
    rpch_out_event ev;
    const char *want;
} expected[] = {
    { RPCH_OUT_EV_CONN_A1, "Ceee" ".eeeee" "eeeeee.." },
    { RPCH_OUT_EV_R1_A3, "Seee" ".eeeee" "eeeeee.." },
    { RPCH_OUT_EV_A11, "eeee" ".Meeee" "eeeeee.." },
    { RPCH_OUT_EV_R2_C1, "eeee" ".eLeMe" "eeeeee.." },
    { RPCH_OUT_EV_CLIENT_OTHER, "eeee" ".eeeee" "eeeeee.." },
    { RPCH_OUT_EV_CLIENT_RPC, "eeee" ".eeeee" "eeeeee.." },
    { RPCH_OUT_EV_BODY_END, "s..." "sss.s." "........" },
    { RPCH_OUT_EV_CONNECTED, "bRbb" "Abbbbb" "bbbbbbb." },
    { RPCH_OUT_EV_ATTACHED, "bbbb" "Tbbbbb" "bbbbbbb." },
    { RPCH_OUT_EV_ADOPTED, "bbbb" "bbXMbb" "bbbbbbb." },
    { RPCH_OUT_EV_RESPONDED, "bbWb" "bbbbbO" "bbbbbbb." },
    { RPCH_OUT_EV_ATTACH, "...." "......" "P......." },
    { RPCH_OUT_EV_DETACH, "...." "......" ".O..ccc." },
    { RPCH_OUT_EV_RELEASED, "bbbb" "bbbbbb" "bbbbbbk." },
    { RPCH_OUT_EV_CONN_C1, "...O" ".e..ee" "eeee...." },
    { RPCH_OUT_EV_R1_A1, "...e" "......" ".eee...." },
    { RPCH_OUT_EV_R1_A5, "...e" ".e..ee" ".eee...." },
    { RPCH_OUT_EV_A9_B1, "...e" ".e..ee" "12ee...." },
    { RPCH_OUT_EV_R2_B2, "...e" ".e..ee" "eOee...." },
    { RPCH_OUT_EV_ACK, "...e" "......" "........" },
    { RPCH_OUT_EV_SERVER_FORWARD, "...e" "......" "..ee...." },
    { RPCH_OUT_EV_SERVER_OTHER, "...e" ".e..ee" "eeee...." },
    { RPCH_OUT_EV_SERVER_RPC, "...e" "......" "..ee...." },
    { RPCH_OUT_EV_DRAINED, "...." "......" "..1.2..." },
    { RPCH_OUT_EV_SENT, "...." "......" "...k.Z.." },
    { RPCH_OUT_EV_CLIENT_CLOSE, "cccc" "cccccc" "cccccc.." },
    { RPCH_OUT_EV_SERVER_CLOSE, "cccc" "cccccc" "cc......" },
    { RPCH_OUT_EV_TIMEOUT, "t.tt" "tttttt" "..tttt.." },
    { RPCH_OUT_EV_DRAIN_DUE, "...." "......" "...ttt.." },
    { RPCH_OUT_EV_PING_DUE, "t..." "......" "...ttt.." },
    { RPCH_OUT_EV_FAIL, "ffff" "ffffff" "fffffff." },
};

/* Cells that some event has come to. */
static bool seen[RPCH_OUT_EV_MAX][RPCH_OUT_STATE_MAX];

static void see(void *baton, rpch_table_id table, int ev, int state)
{
    ck_assert_int_eq(table, RPCH_TABLE_OUTBOUND);
    ck_assert_int_lt(ev, RPCH_OUT_EV_MAX);
    ck_assert_int_lt(state, RPCH_OUT_STATE_MAX);
    seen[ev][state] = true;
}

static void check_pair(unsigned flags, rpch_out_event ev, int state, char want)
{
    static const char code[] = "CRWSATLXMOP12Zesctfbk";
    static const struct { int state, status; } outcome[] = {
        { RPCH_OUT_CONNECT, RPCH_OK }, { RPCH_OUT_RESPONSE, RPCH_OK },
        { RPCH_OUT_C1W, RPCH_OK }, { RPCH_OUT_SUCCEED, RPCH_OK },
        { RPCH_OUT_A11W, RPCH_OK }, { RPCH_OUT_ATTACHED, RPCH_OK },
        { RPCH_OUT_LEGW, RPCH_OK }, { RPCH_OUT_R2C1W, RPCH_OK },
        { RPCH_OUT_RESUME, RPCH_OK }, { RPCH_OUT_OPENED, RPCH_OK },
        { RPCH_OUT_OPENED_B1W, RPCH_OK }, { RPCH_OUT_LAST_R1, RPCH_OK },
        { RPCH_OUT_LAST_R2, RPCH_OK }, { RPCH_OUT_RELEASE, RPCH_OK },
        { RPCH_OUT_FINISHED, RPCH_E_UNEXPECTED },
        { RPCH_OUT_FINISHED, RPCH_E_SYNTAX },
        { RPCH_OUT_FINISHED, RPCH_E_CLOSED },
        { RPCH_OUT_FINISHED, RPCH_E_TIMEOUT },
        { RPCH_OUT_FINISHED, RPCH_E_CONNECT },
        { RPCH_OUT_FINISHED, RPCH_E_BUG },
        { RPCH_OUT_FINISHED, RPCH_E_RECYCLED }
    };
    const char *at = strchr(code, want);
    int status = state == RPCH_OUT_FINISHED ? RPCH_E_POLICY : RPCH_OK;

    drive(flags, (rpch_out_state)state);
    rpch_core_watch(&m.core, see, NULL);
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

/* The same with a joined server, which knows OUT_R2 only. */
static void check_joined(rpch_out_event ev, int state, char want)
{
    if (state == RPCH_OUT_A11W || state == RPCH_OUT_DRAIN_R1
        || state == RPCH_OUT_LAST_R1)
        return;
    /* its S-OUT is read when the connection is open */
    if (ev == RPCH_OUT_EV_SERVER_RPC && state == RPCH_OUT_C1W)
        want = '.';
    if (ev == RPCH_OUT_EV_A9_B1 && state == RPCH_OUT_OPENED)
        want = 'e';
    if (ev == RPCH_OUT_EV_CONNECTED && state == RPCH_OUT_SUCCEED)
        want = 'b';
    check_pair(RPCH_JOINED, ev, state, want);
    check_pair(RPCH_JOINED | RPCH_QUIET, ev, state, want);
}

/* What no call can bring about: a cell that is a bug ends the machine, one
 * that drops the event does nothing. */
static void check_rest(rpch_out_event ev, int state)
{
    static const rpch_out_input none;
    int cell = rpch_outbound_table.next[ev * RPCH_OUT_STATE_MAX + state];

    drive(0, (rpch_out_state)state);
    rpch_core_watch(&m.core, see, NULL);
    if (cell == RPCH_CELL_BUG) {
        ck_assert_int_eq(rpch_out_happen(&m, ev, &none), RPCH_E_BUG);
        expect_end(RPCH_E_BUG, "an event that cannot be in this state");
    } else if (cell == RPCH_CELL_DROP) {
        ck_assert_int_eq(rpch_out_happen(&m, ev, &none), m.core.status);
        ck_assert_int_eq(m.core.state, state);
    }
}

START_TEST(test_outbound_every_pair)
{
    const rpch_machine_table *t = &rpch_outbound_table;
    size_t i;
    int state;

    ck_assert_uint_eq(sizeof(expected) / sizeof(expected[0]),
                      RPCH_OUT_EV_MAX);
    for (i = 0; i < RPCH_OUT_EV_MAX; i++) {
        rpch_out_event ev = expected[i].ev;

        ck_assert_int_eq(ev, (int)i);
        ck_assert_uint_eq(strlen(expected[i].want), RPCH_OUT_STATE_MAX);
        for (state = 0; state < RPCH_OUT_STATE_MAX; state++) {
            char want = expected[i].want[state];

            check_pair(0, ev, state, want);
            check_pair(RPCH_QUIET, ev, state, want);
            check_joined(ev, state, want);
            check_rest(ev, state);
            ck_assert_msg(seen[ev][state], "%s in %s never happened",
                          t->event_name(ev), t->state_name(state));
            ck_assert_int_ge(t->next[i * RPCH_OUT_STATE_MAX + state], -3);
            ck_assert_int_le(t->next[i * RPCH_OUT_STATE_MAX + state],
                             RPCH_OUT_STATE_MAX);
        }
    }
    ck_assert_int_eq(t->id, RPCH_TABLE_OUTBOUND);
    ck_assert_str_eq(t->role, "outbound");
    ck_assert_int_eq(t->events, RPCH_OUT_EV_MAX);
    ck_assert_int_eq(t->states, RPCH_OUT_STATE_MAX);
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
    ck_assert_str_eq(rpch_out_state_name(RPCH_OUT_RELEASE), "RELEASE");
    ck_assert_str_eq(rpch_outbound_table.state_name(RPCH_OUT_RESUME),
                     "RESUME");
    ck_assert_str_eq(rpch_outbound_table.event_name(RPCH_OUT_EV_SENT),
                     "last PDU sent");
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
    suite_add_tcase(s, t);
    return test_main(s);
}
