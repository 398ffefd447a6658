/* SPDX-License-Identifier: Apache-2.0 */
/* test_inbound.c - the inbound proxy machine against 3.2.3: its table, how it
 * opens, and what it refuses */
#include "inbound_test.h"

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

/* What 3.2.3.5 says about each pair, in the order of the states OPEN_START,
 * CONNECT, B3W, SUCCEED, B2W, PLUGGED, OPENED, OPENED_A5W, DRAIN_R1, CLOSE_R1,
 * RELEASE, FINISHED: to the state of that letter (see outcome); (.) nothing
 * changes; to FINISHED by a protocol (e)rror, (c)losing, (t)imeout, (f)ailure,
 * a (b)ug of the caller, or because (r)eplaced; (-) the PDU would be another
 * event. */
static const struct {
    rpch_in_event ev;
    const char *want;
} expected[] = {
    { RPCH_IN_EV_CONN_B1, "Cee.e.ee...." },
    { RPCH_IN_EV_R1_A1, "See.e.ee...." },
    { RPCH_IN_EV_A5, "eee...1D...." },
    { RPCH_IN_EV_A5_WRONG, "------eO----" },
    { RPCH_IN_EV_PING, "e..........." },
    { RPCH_IN_EV_KEEP_ALIVE, "e..........." },
    { RPCH_IN_EV_CLIENT_FORWARD, "eee........." },
    { RPCH_IN_EV_CLIENT_OTHER, "eee.e.ee...." },
    { RPCH_IN_EV_CLIENT_RPC, "e..........." },
    { RPCH_IN_EV_CONNECTED, "bBb2bbbbbbb." },
    { RPCH_IN_EV_CONN_B3, "..O.e.eeeee." },
    { RPCH_IN_EV_R1_B2, "..e.O.eeeee." },
    { RPCH_IN_EV_ACK, "..e.e......." },
    { RPCH_IN_EV_SERVER_FORWARD, "..e.e.eeeee." },
    { RPCH_IN_EV_SERVER_OTHER, "..e.e.eeeee." },
    { RPCH_IN_EV_SERVER_RPC, "..e.e.eeeee." },
    { RPCH_IN_EV_ATTACHED, "bbbPbbbbbbb." },
    { RPCH_IN_EV_ADOPT, "bbbbbObbbbb." },
    { RPCH_IN_EV_ATTACH, "......A....." },
    { RPCH_IN_EV_DETACH, ".......O..c." },
    { RPCH_IN_EV_DRAINED, "............" },
    { RPCH_IN_EV_FLUSHED, "........L..." },
    { RPCH_IN_EV_RELEASE, "bbbbbbbbbbr." },
    { RPCH_IN_EV_CLIENT_CLOSE, "cccccccc...." },
    { RPCH_IN_EV_SERVER_CLOSE, "cccccccccrc." },
    { RPCH_IN_EV_TIMEOUT, "t.tttt...rt." },
    { RPCH_IN_EV_FAIL, "fffffffffff." },
};

/* Which pairs were put through the table. */
static bool visited[RPCH_IN_EV_MAX][RPCH_IN_STATE_MAX];

static void note(void *baton, rpch_table_id table, int ev, int state)
{
    ck_assert_int_eq(table, RPCH_TABLE_INBOUND);
    visited[ev][state] = true;
}

static void check_pair(unsigned flags, rpch_in_event ev, int state, char want)
{
    static const char code[] = "CBS2POA1LDectfbr";
    static const struct { int state, status; } outcome[] = {
        { RPCH_IN_CONNECT, RPCH_OK }, { RPCH_IN_B3W, RPCH_OK },
        { RPCH_IN_SUCCEED, RPCH_OK }, { RPCH_IN_B2W, RPCH_OK },
        { RPCH_IN_PLUGGED, RPCH_OK }, { RPCH_IN_OPENED, RPCH_OK },
        { RPCH_IN_OPENED_A5W, RPCH_OK }, { RPCH_IN_DRAIN_R1, RPCH_OK },
        { RPCH_IN_CLOSE_R1, RPCH_OK }, { RPCH_IN_RELEASE, RPCH_OK },
        { RPCH_IN_FINISHED, RPCH_E_UNEXPECTED },
        { RPCH_IN_FINISHED, RPCH_E_CLOSED },
        { RPCH_IN_FINISHED, RPCH_E_TIMEOUT },
        { RPCH_IN_FINISHED, RPCH_E_CONNECT },
        { RPCH_IN_FINISHED, RPCH_E_BUG }, { RPCH_IN_FINISHED, RPCH_E_RECYCLED }
    };
    const char *at = strchr(code, want);
    int status = state == RPCH_IN_FINISHED ? RPCH_E_POLICY : RPCH_OK;

    drive(flags, (rpch_in_state)state);
    rpch_core_watch(&m.core, note, NULL);
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

static void check_every_pair(void)
{
    int ev, state;

    memset(visited, 0, sizeof(visited));
    for (ev = 0; ev < RPCH_IN_EV_MAX; ev++)
        for (state = 0; state < RPCH_IN_STATE_MAX; state++)
            if (expected[ev].want[state] != '-')
                check_pair(0, (rpch_in_event)ev, state,
                           expected[ev].want[state]);
}

START_TEST(test_inbound_every_pair)
{
    size_t i;

    ck_assert_uint_eq(sizeof(expected) / sizeof(expected[0]), RPCH_IN_EV_MAX);
    for (i = 0; i < RPCH_IN_EV_MAX; i++) {
        ck_assert_int_eq(expected[i].ev, (int)i);
        ck_assert_uint_eq(strlen(expected[i].want), RPCH_IN_STATE_MAX);
    }
    check_every_pair();
}
END_TEST

/* A joined server has met no successor of another proxy, and its S-IN brings
 * no bytes at all. */
static char joined_want(rpch_in_event ev, int state)
{
    if (state == RPCH_IN_B2W || state == RPCH_IN_DRAIN_R1
        || state == RPCH_IN_CLOSE_R1)
        return '-';
    if (ev == RPCH_IN_EV_SERVER_RPC)
        return '.';
    if (ev == RPCH_IN_EV_A5 && state == RPCH_IN_OPENED)
        return 'e';
    if (ev == RPCH_IN_EV_CONNECTED && state == RPCH_IN_SUCCEED)
        return 'b';
    return expected[ev].want[state];
}

START_TEST(test_inbound_every_pair_joined)
{
    int ev, state;

    for (ev = 0; ev < RPCH_IN_EV_MAX; ev++)
        for (state = 0; state < RPCH_IN_STATE_MAX; state++)
            if (joined_want((rpch_in_event)ev, state) != '-')
                check_pair(RPCH_JOINED, (rpch_in_event)ev, state,
                           joined_want((rpch_in_event)ev, state));
}
END_TEST

/* The table as data: each pair that can be comes about in the loop above, and
 * of those that cannot only the bugs of a caller. */
START_TEST(test_inbound_table_is_all_visited)
{
    const rpch_machine_table *t = &rpch_inbound_table;
    int ev, state;

    ck_assert_int_eq(t->id, RPCH_TABLE_INBOUND);
    ck_assert_str_eq(t->role, "inbound");
    ck_assert_int_eq(t->events, RPCH_IN_EV_MAX);
    ck_assert_int_eq(t->states, RPCH_IN_STATE_MAX);
    ck_assert_str_eq(t->event_name(RPCH_IN_EV_R1_B2), "IN_R1/B2");
    ck_assert_str_eq(t->state_name(RPCH_IN_OPENED_A5W), "OPENED_A5W");
    check_every_pair();
    for (ev = 0; ev < RPCH_IN_EV_MAX; ev++)
        for (state = 0; state < RPCH_IN_STATE_MAX; state++)
            ck_assert_msg(visited[ev][state]
                          == (t->next[ev * t->states + state] != RPCH_CELL_BUG
                              || expected[ev].want[state] == 'b'),
                          "[%s] %s", t->state_name(state), t->event_name(ev));
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
        { RPCH_IN_R2_A5, "IN_R1/A5=IN_R2/A5 before CONN/B1" },
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

int main(void)
{
    Suite *s = suite_create("inbound");
    TCase *t = tcase_create("inbound");

    tcase_add_test(t, test_inbound_opens_byte_exact);
    tcase_add_test(t, test_inbound_every_pair);
    tcase_add_test(t, test_inbound_every_pair_joined);
    tcase_add_test(t, test_inbound_table_is_all_visited);
    tcase_add_test(t, test_inbound_names);
    tcase_add_test(t, test_inbound_first_pdu_of_other_kind);
    tcase_add_test(t, test_inbound_b1_header_wrong);
    tcase_add_test(t, test_inbound_pdu_lengths);
    tcase_add_test(t, test_inbound_value_ranges);
    tcase_add_test(t, test_inbound_b1_cut_anywhere);
    tcase_add_test(t, test_inbound_deadlines);
    suite_add_tcase(s, t);
    return test_main(s);
}
