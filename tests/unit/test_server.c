/* SPDX-License-Identifier: Apache-2.0 */
/* test_server.c - the server role machine against 3.2.5: its table, how it
 * opens, what it forwards, and how it ends */
#include "server_test.h"

static void feed_rpc(bool in)
{
    rpch_step step;
    uint8_t rpc[100];
    size_t len = role_rpc(rpc, sizeof(rpc), 1);

    if (in)
        rpch_server_in_recv(&sv, 0, rpc, len, &step, 1000);
    else
        rpch_server_out_recv(&sv, 0, rpc, len, &step, 1000);
}

/* The end of a connection that is not yet the S-IN or the S-OUT; where there
 * is neither, of one that does not exist. */
static void close_newcomer(void)
{
    if (sv.in_at >= 0)
        rpch_server_in_closed(&sv, rpch_server_enter(&sv, true));
    else if (sv.out_at >= 0)
        rpch_server_out_closed(&sv, rpch_server_enter(&sv, false));
    else
        rpch_server_in_closed(&sv, 1);
}

/* The slot that a PDU comes to: a successor's first PDU to a new one. */
static int slot_for(rpch_server_event e)
{
    int slot = -1;

    if (e == RPCH_SERVER_EV_IN_R1_A2)
        slot = rpch_server_enter(&sv, true);
    if (e == RPCH_SERVER_EV_OUT_R1_A4)
        slot = rpch_server_enter(&sv, false);
    return slot < 0 ? 0 : slot;
}

static void fire(rpch_server_event e)
{
    static const struct {
        bool in;
        rpch_pdu_id id;
        rpch_dest dest;
        bool used;
    } by[RPCH_SERVER_EV_MAX] = {
        [RPCH_SERVER_EV_CONN_A2] = { false, RPCH_CONN_A2, 0, true },
        [RPCH_SERVER_EV_CONN_B2] = { true, RPCH_CONN_B2, 0, true },
        [RPCH_SERVER_EV_IN_R1_A2] = { true, RPCH_IN_R1_A2, 0, true },
        [RPCH_SERVER_EV_IN_A6] = { true, RPCH_IN_R1_A6, 0, true },
        [RPCH_SERVER_EV_IN_R1_B1] = { true, RPCH_IN_R1_B1, 0, true },
        [RPCH_SERVER_EV_OUT_R1_A4] = { false, RPCH_OUT_R1_A4, 0, true },
        [RPCH_SERVER_EV_OUT_R2_A4] = { false, RPCH_OUT_R2_A4, 0, true },
        [RPCH_SERVER_EV_OUT_A8] = { true, RPCH_OUT_R1_A8, 0, true },
        [RPCH_SERVER_EV_PING_NOTIFY] =
            { false, RPCH_PING_TRAFFIC_SENT_NOTIFY, 0, true },
        [RPCH_SERVER_EV_IN_FORWARD] =
            { true, RPCH_FLOW_CONTROL_ACK_DEST, RPCH_DEST_OUT_PROXY, true },
        [RPCH_SERVER_EV_OUT_FORWARD] =
            { false, RPCH_FLOW_CONTROL_ACK_DEST, RPCH_DEST_IN_PROXY, true },
        [RPCH_SERVER_EV_OUT_ACK] = { false, RPCH_FLOW_CONTROL_ACK, 0, true },
        [RPCH_SERVER_EV_IN_OTHER] = { true, RPCH_PING, 0, true },
        [RPCH_SERVER_EV_OUT_OTHER] = { false, RPCH_CONN_C1, 0, true }
    };
    rpch_rts_values v = role_values(e == RPCH_SERVER_EV_CONN_A2 ? 0xb0 : 0xc0,
                                    0xd0);
    int slot = slot_for(e);

    v.notify = 1040;
    v.dest = by[e].dest;
    v.ack.cookie = role_cookie(0xb0);
    v.ack.available_window = 65536;
    if (by[e].used && by[e].in)
        in_rts_at(slot, by[e].id, &v, 1000);
    else if (by[e].used)
        out_rts_at(slot, by[e].id, &v, 1000);
    else if (e == RPCH_SERVER_EV_IN_RPC || e == RPCH_SERVER_EV_OUT_RPC)
        feed_rpc(e == RPCH_SERVER_EV_IN_RPC);
    else if (e == RPCH_SERVER_EV_IN_CLOSE)
        rpch_server_in_closed(&sv, 0);
    else if (e == RPCH_SERVER_EV_OUT_CLOSE)
        rpch_server_out_closed(&sv, 0);
    else if (e == RPCH_SERVER_EV_OLD_CLOSE)
        close_newcomer();
    else if (e == RPCH_SERVER_EV_TIMEOUT)
        rpch_server_timeout(&sv, 1000 + 900000);
    else if (e == RPCH_SERVER_EV_FAIL)
        rpch_server_fail(&sv, RPCH_E_CONNECT, "the test");
    else
        ck_abort_msg("event %d is not fired by anything", (int)e);
}

/* Every pair, written from 3.2.5.5: A A2W, B B2W, O opened; x protocol error,
 * c closed, t timeout, f failed; - no change. Columns: OPEN_START, A2W, B2W,
 * OPENED, FINISHED. In OPENED both virtual channels are so, too, and it is
 * theirs to refuse what their recycling does not expect. */
static const char *const expected[RPCH_SERVER_EV_MAX] = {
    [RPCH_SERVER_EV_CONN_A2] = "BOxx-",
    [RPCH_SERVER_EV_CONN_B2] = "AxOx-",
    [RPCH_SERVER_EV_IN_R1_A2] = "xxx--",
    [RPCH_SERVER_EV_IN_A6] = "xxx--",
    [RPCH_SERVER_EV_IN_R1_B1] = "xxxx-",
    [RPCH_SERVER_EV_OUT_R1_A4] = "xxxx-",
    [RPCH_SERVER_EV_OUT_R2_A4] = "xxxx-",
    [RPCH_SERVER_EV_OUT_A8] = "xxxx-",
    [RPCH_SERVER_EV_PING_NOTIFY] = "xx---",
    [RPCH_SERVER_EV_IN_FORWARD] = "xxx--",
    [RPCH_SERVER_EV_OUT_FORWARD] = "xxx--",
    [RPCH_SERVER_EV_OUT_ACK] = "xxx--",
    [RPCH_SERVER_EV_IN_OTHER] = "xxxx-",
    [RPCH_SERVER_EV_OUT_OTHER] = "xxxx-",
    [RPCH_SERVER_EV_IN_RPC] = "xxx--",
    [RPCH_SERVER_EV_OUT_RPC] = "xxxx-",
    [RPCH_SERVER_EV_IN_CLOSE] = "cccc-",
    [RPCH_SERVER_EV_OUT_CLOSE] = "cccc-",
    [RPCH_SERVER_EV_OLD_CLOSE] = "-----",
    [RPCH_SERVER_EV_TIMEOUT] = "-tt--",
    [RPCH_SERVER_EV_FAIL] = "ffff-"
};

/* The last two events that were put through the connection's table. */
static struct visit {
    int event, state;
} visited[2];

static void note_visit(void *baton, rpch_table_id table, int e, int state)
{
    ck_assert_ptr_eq(baton, &sv);
    if (table != RPCH_TABLE_SERVER)
        return;
    visited[1] = visited[0];
    visited[0].event = e;
    visited[0].state = state;
}

/* True when that very cell was looked up; a refusal by a virtual channel comes
 * after it. */
static bool was_visited(rpch_server_event e, rpch_server_state from)
{
    int i;

    for (i = 0; i < 2; i++)
        if (visited[i].event == (int)e && visited[i].state == (int)from)
            return true;
    return false;
}

static void check_pair(rpch_server_event e, rpch_server_state from)
{
    rpch_server_state to = from;
    int status = from == RPCH_SERVER_FINISHED ? RPCH_E_POLICY : RPCH_OK;

    switch (expected[e][from]) {
    case 'A': to = RPCH_SERVER_A2W; break;
    case 'B': to = RPCH_SERVER_B2W; break;
    case 'O': to = RPCH_SERVER_OPENED; break;
    case 'x': to = RPCH_SERVER_FINISHED; status = RPCH_E_UNEXPECTED; break;
    case 'c': to = RPCH_SERVER_FINISHED; status = RPCH_E_CLOSED; break;
    case 't': to = RPCH_SERVER_FINISHED; status = RPCH_E_TIMEOUT; break;
    case 'f': to = RPCH_SERVER_FINISHED; status = RPCH_E_CONNECT; break;
    case '-': break;
    default: ck_abort();
    }
    drive(from);
    memset(visited, 0xff, sizeof(visited));
    rpch_core_watch(&sv.core, note_visit, &sv);
    fire(e);
    ck_assert(to == from || was_visited(e, from));
    ck_assert_msg(sv.core.state == (int)to && sv.core.status == status,
                  "%s in %s: got %s, %s", rpch_server_event_name(e),
                  rpch_server_state_name(from),
                  rpch_server_state_name(sv.core.state),
                  rpch_status_name(sv.core.status));
    ck_assert((sv.core.reason == NULL) == (status == RPCH_OK));
    ck_assert(((rpch_server_wants(&sv) & RPCH_WANT_CLOSE) != 0)
              == (to == RPCH_SERVER_FINISHED));
}

START_TEST(test_server_table)
{
    int e, s;

    for (e = 0; e < RPCH_SERVER_EV_MAX; e++) {
        ck_assert_uint_eq(strlen(expected[e]), RPCH_SERVER_STATE_MAX);
        for (s = 0; s < RPCH_SERVER_STATE_MAX; s++)
            check_pair(e, s);
    }
}
END_TEST

START_TEST(test_server_names)
{
    int i, k;

    for (i = 0; i < RPCH_SERVER_EV_MAX; i++)
        for (k = 0; k < i; k++)
            ck_assert_str_ne(rpch_server_event_name(i),
                             rpch_server_event_name(k));
    ck_assert_str_eq(rpch_server_state_name(RPCH_SERVER_B2W), "B2W");
    ck_assert_str_eq(rpch_server_event_name(RPCH_SERVER_EV_CONN_A2),
                     "CONN/A2");
    ck_assert_str_eq(rpch_server_state_name(RPCH_SERVER_STATE_MAX), "?");
    ck_assert_str_eq(rpch_server_event_name(RPCH_SERVER_EV_MAX), "?");
}
END_TEST

/* C1 has the in-proxy's window and timeout, B3 our window. */
static void check_opened(void)
{
    check_lane(to_out(),
               "05001403 10000000 2c000000 00000000 00000300"
               "06000000 01000000 00000000 00800000 02000000 80a90300");
    check_lane(to_in(),
               "05001403 10000000 24000000 00000000 00000200"
               "00000000 00000100 06000000 01000000");
    ck_assert_uint_eq(sv.out[0].used, 44);
    ck_assert_uint_eq(rpch_server_deadline(&sv), RPCH_NEVER);
    ck_assert_uint_eq(rpch_server_wants(&sv),
                      RPCH_WANT_CLIENT_READ | RPCH_WANT_SERVER_READ);
}

START_TEST(test_server_opens_in_either_order)
{
    rpch_rts_values a2 = a2_values();
    rpch_rts_values b2 = b2_values();
    int b2_first;

    b2.window = 32768;
    b2.timeout = 240000;
    a2.lifetime = 131072;
    a2.window = 16384;
    for (b2_first = 0; b2_first < 2; b2_first++) {
        start(0);
        ck_assert_uint_eq(rpch_server_deadline(&sv), RPCH_NEVER);
        if (b2_first)
            ck_assert_int_eq(in_rts(RPCH_CONN_B2, &b2, 5000), RPCH_OK);
        else
            ck_assert_int_eq(out_rts(RPCH_CONN_A2, &a2, 5000), RPCH_OK);
        check_lane(to_out(), "");
        check_lane(to_in(), "");
        ck_assert(!rpch_server_may_send(&sv, 100));
        ck_assert_uint_eq(rpch_server_deadline(&sv), 905000);
        if (b2_first)
            ck_assert_int_eq(out_rts(RPCH_CONN_A2, &a2, 6000), RPCH_OK);
        else
            ck_assert_int_eq(in_rts(RPCH_CONN_B2, &b2, 6000), RPCH_OK);
        check_opened();
        ck_assert(rpch_cookie_equal(&sv.vc, &a2.cookie[0]));
        ck_assert(rpch_cookie_equal(&sv.out[0].channel, &a2.cookie[1]));
        ck_assert(rpch_cookie_equal(&sv.in[0].channel, &b2.cookie[1]));
        ck_assert(rpch_cookie_equal(&sv.group, &b2.group));
        ck_assert_uint_eq(sv.address.addr[0], 192);
        ck_assert_uint_eq(rpch_server_lifetime_left(&sv),
                          131072 - 44 - HIDDEN);
        ck_assert(rpch_server_may_send(&sv, 16384));
        ck_assert_uint_eq(sv.out[0].tx.window, 16384);
    }
}
END_TEST

START_TEST(test_server_refuses_other_cookie)
{
    rpch_rts_values a2 = a2_values();
    rpch_rts_values b2 = b2_values();

    a2.cookie[0].b[15] ^= 1;
    drive(RPCH_SERVER_A2W);
    ck_assert_int_eq(out_rts(RPCH_CONN_A2, &a2, 0), RPCH_E_COOKIE);
    check_lane(to_in(), "");
    b2.cookie[0].b[0] ^= 0x80;
    drive(RPCH_SERVER_B2W);
    ck_assert_int_eq(in_rts(RPCH_CONN_B2, &b2, 0), RPCH_E_COOKIE);
    ck_assert_str_eq(sv.core.reason, "CONN/B2 of another connection");
    ck_assert_uint_eq(rpch_server_wants(&sv), RPCH_WANT_CLOSE);
}
END_TEST

START_TEST(test_server_refuses_small_window)
{
    rpch_rts_values a2 = a2_values();
    rpch_rts_values b2 = b2_values();

    a2.window = b2.window = 8191;
    start(0);
    ck_assert_int_eq(out_rts(RPCH_CONN_A2, &a2, 0), RPCH_E_SYNTAX);
    ck_assert_ptr_nonnull(strstr(sv.core.reason, "ReceiveWindowSize"));
    start(0);
    ck_assert_int_eq(in_rts(RPCH_CONN_B2, &b2, 0), RPCH_E_SYNTAX);
    a2.window = 8192;
    start(0);
    ck_assert_int_eq(out_rts(RPCH_CONN_A2, &a2, 0), RPCH_OK);
}
END_TEST

START_TEST(test_server_classify)
{
    rpch_rts_values v = a2_values();
    rpch_cookie vc;
    uint8_t rpc[64];
    bool is_in = true;
    size_t i, len = role_rts(RPCH_CONN_A2, &v, pdu);

    for (i = 0; i < len; i++)
        ck_assert_int_eq(rpch_server_classify(pdu, i, &is_in, &vc),
                         RPCH_AGAIN);
    ck_assert_int_eq(rpch_server_classify(pdu, len, &is_in, &vc), RPCH_OK);
    ck_assert(!is_in);
    ck_assert(rpch_cookie_equal(&vc, &v.cookie[0]));

    len = role_rts(RPCH_CONN_B2, &v, pdu);
    ck_assert_int_eq(rpch_server_classify(pdu, sizeof(pdu), &is_in, &vc),
                     RPCH_OK);
    ck_assert(is_in);
    pdu[12] = 1; /* call_id */
    ck_assert_int_eq(rpch_server_classify(pdu, len, &is_in, &vc),
                     RPCH_E_SYNTAX);
    len = role_rts(RPCH_OUT_R1_A4, &v, pdu);
    ck_assert_int_eq(rpch_server_classify(pdu, len, &is_in, &vc), RPCH_OK);
    ck_assert(!is_in);
    v.cookie[0] = role_cookie(0x11);
    len = role_rts(RPCH_IN_R1_A2, &v, pdu);
    ck_assert_int_eq(rpch_server_classify(pdu, len, &is_in, &vc), RPCH_OK);
    ck_assert(is_in);
    ck_assert(rpch_cookie_equal(&vc, &v.cookie[0]));
    len = role_rts(RPCH_IN_R1_A6, &v, pdu);
    ck_assert_int_eq(rpch_server_classify(pdu, len, &is_in, &vc),
                     RPCH_E_UNEXPECTED);
    ck_assert_int_eq(rpch_server_classify(rpc, role_rpc(rpc, 64, 0), &is_in,
                                          &vc), RPCH_E_UNEXPECTED);
    rpc[2] = RPCH_PTYPE_RTS;
    rpc[8] = 0xff;
    rpc[9] = 0xff;
    ck_assert_int_eq(rpch_server_classify(rpc, 64, &is_in, &vc),
                     RPCH_E_SYNTAX);
    ck_assert_int_eq(rpch_server_classify((const uint8_t *)
                                          "GET / HTTP/1.1\r\n", 16, &is_in,
                                          &vc), RPCH_E_SYNTAX);
}
END_TEST

START_TEST(test_server_forwards)
{
    rpch_rts_values v = role_values(0xd0, 0);
    char name[96];
    size_t len, waiting;

    drive(RPCH_SERVER_OPENED);
    rpch_lane_ack(to_out(), 1000);
    rpch_lane_ack(to_in(), 1000);
    v.dest = RPCH_DEST_OUT_PROXY;
    in_rts(RPCH_FLOW_CONTROL_ACK_DEST, &v, 0);
    len = role_rts(RPCH_FLOW_CONTROL_ACK_DEST, &v, pdu);
    ck_assert_mem_eq(rpch_lane_buf(to_out(), &waiting), pdu, len);
    ck_assert_uint_eq(waiting, len);
    rpch_lane_ack(to_out(), len);
    ck_assert_uint_eq(sv.out[0].used, 44); /* it ends at the out-proxy */

    v.dest = RPCH_DEST_CLIENT;
    ck_assert_int_eq(in_rts(RPCH_FLOW_CONTROL_ACK_DEST, &v, 0), RPCH_OK);
    role_take(to_out(), name, sizeof(name));
    ck_assert_str_eq(name, "FlowControlAckWithDestination");
    ck_assert_uint_eq(sv.out[0].used, 44 + 56);

    /* A PDU that nobody knows goes on unseen. */
    len = test_hex("05001403 10000000 24000000 00000000 02000200"
                   "0d000000 03000000 08000000 00000000", pdu, sizeof(pdu));
    ck_assert_int_eq(rpch_server_in_rts(&sv, 0, pdu, len, 0), RPCH_OK);
    ck_assert_mem_eq(rpch_lane_buf(to_out(), &waiting), pdu, len);

    v.dest = RPCH_DEST_IN_PROXY;
    ck_assert_int_eq(out_rts(RPCH_FLOW_CONTROL_ACK_DEST, &v, 0), RPCH_OK);
    rpch_lane_buf(to_in(), &waiting);
    ck_assert_uint_eq(waiting, 56);
}
END_TEST

START_TEST(test_server_refuses_wrong_destination)
{
    static const struct {
        bool in;
        rpch_dest dest;
    } bad[] = {
        { true, RPCH_DEST_IN_PROXY }, { true, RPCH_DEST_SERVER },
        { false, RPCH_DEST_CLIENT }, { false, RPCH_DEST_OUT_PROXY }
    };
    rpch_rts_values v = role_values(0xd0, 0);
    size_t i;

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        drive(RPCH_SERVER_OPENED);
        v.dest = bad[i].dest;
        ck_assert_int_eq(bad[i].in
                         ? in_rts(RPCH_FLOW_CONTROL_ACK_DEST, &v, 0)
                         : out_rts(RPCH_FLOW_CONTROL_ACK_DEST, &v, 0),
                         RPCH_E_UNEXPECTED);
    }
}
END_TEST

START_TEST(test_server_setup_timer)
{
    drive(RPCH_SERVER_B2W);
    ck_assert_uint_eq(rpch_server_deadline(&sv), 901000);
    ck_assert_int_eq(rpch_server_timeout(&sv, 900999), RPCH_OK);
    ck_assert_int_eq(rpch_server_timeout(&sv, 901000), RPCH_E_TIMEOUT);
    ck_assert_uint_eq(rpch_server_deadline(&sv), RPCH_NEVER);
    drive(RPCH_SERVER_OPENED);
    ck_assert_int_eq(rpch_server_timeout(&sv, RPCH_NEVER - 1), RPCH_OK);
}
END_TEST

START_TEST(test_server_first_error_sticks)
{
    rpch_step step;

    drive(RPCH_SERVER_OPENED);
    rpch_server_out_closed(&sv, 0);
    rpch_server_fail(&sv, RPCH_E_TIMEOUT, "later");
    rpch_server_in_closed(&sv, 0);
    ck_assert_int_eq(sv.core.status, RPCH_E_CLOSED);
    ck_assert_str_eq(sv.core.reason, "S-OUT was closed");
    ck_assert_int_eq(rpch_server_in_recv(&sv, 0, pdu, 10, &step, 0),
                     RPCH_E_CLOSED);
    ck_assert_uint_eq(step.used, 0);
    ck_assert(!rpch_server_may_send(&sv, 16));
}
END_TEST

static void count_log(void *baton, int level, const char *what,
                      const char *detail)
{
    unsigned *n = baton;

    ck_assert_ptr_nonnull(what);
    if (level == RPCH_LOG_TRACE1 && strcmp(detail, "CONN/C1") == 0)
        n[0]++;
    if (level == RPCH_LOG_TRACE1 && strstr(detail, "CONN/B2"))
        n[1]++;
    if (level == RPCH_LOG_DEBUG && strstr(detail, "OPENED"))
        n[2]++;
}

START_TEST(test_server_logs)
{
    rpch_rts_values a2 = a2_values();
    rpch_rts_values b2 = b2_values();
    rpch_limits l = role_limits();
    unsigned n[3] = { 0, 0, 0 };

    rpch_server_init(&sv, &l, 0, count_log, n, 0);
    enter();
    out_rts(RPCH_CONN_A2, &a2, 0);
    in_rts(RPCH_CONN_B2, &b2, 0);
    ck_assert_uint_eq(n[0], 1);
    ck_assert_uint_eq(n[1], 1);
    ck_assert_uint_eq(n[2], 1);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("server");
    TCase *t = tcase_create("core");

    tcase_add_test(t, test_server_table);
    tcase_add_test(t, test_server_names);
    tcase_add_test(t, test_server_opens_in_either_order);
    tcase_add_test(t, test_server_refuses_other_cookie);
    tcase_add_test(t, test_server_refuses_small_window);
    tcase_add_test(t, test_server_classify);
    tcase_add_test(t, test_server_forwards);
    tcase_add_test(t, test_server_refuses_wrong_destination);
    tcase_add_test(t, test_server_setup_timer);
    tcase_add_test(t, test_server_first_error_sticks);
    tcase_add_test(t, test_server_logs);
    suite_add_tcase(s, t);
    return test_main(s);
}
