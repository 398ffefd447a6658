/* SPDX-License-Identifier: Apache-2.0 */
/* test_mixed.c - the mixed proxy machine against 3.1.2: its table, how it
 * opens, what it passes on, and what it refuses */
#include "role_test.h"

#include "rpch/mixed.h"

#define START 1000 /* the clock when a machine starts */
#define BANNER "ncacn_http/1.0"

static rpch_mixed m;
static uint8_t pdu[RPCH_RTS_SIZE_MAX];
static uint8_t rpc[RPCH_PDU_SIZE_MAX];
static rpch_step step;
static bool visited[RPCH_MIXED_EV_MAX][RPCH_MIXED_STATE_MAX];

static void note_visit(void *baton, rpch_table_id table, int event, int state)
{
    ck_assert_int_eq(table, RPCH_TABLE_MIXED);
    ck_assert_int_eq(state, m.core.state);
    visited[event][state] = true;
}

static void start(unsigned flags)
{
    rpch_limits l = role_limits();

    l.open_timeout = 50000;
    l.drain_timeout = 7000;
    rpch_mixed_init(&m, &l, flags, NULL, NULL, START);
    rpch_core_watch(&m.core, note_visit, NULL);
}

static int client(const void *p, size_t len)
{
    int rc = rpch_mixed_client_recv(&m, p, len, &step);

    ck_assert_uint_le(step.used, len);
    return rc;
}

static int server(const void *p, size_t len)
{
    int rc = rpch_mixed_server_recv(&m, p, len, &step, START);

    ck_assert_uint_le(step.used, len);
    return rc;
}

/* From a started machine to the state. */
static void advance(rpch_mixed_state to)
{
    bool joined = (m.core.flags & RPCH_JOINED) != 0;

    if (to == RPCH_MIXED_FINISHED) {
        rpch_mixed_fail(&m, RPCH_E_POLICY, "the test");
        return;
    }
    if (to > RPCH_MIXED_CONNECT)
        ck_assert_int_eq(rpch_mixed_connected(&m, START), RPCH_OK);
    if (to > RPCH_MIXED_LEGACYW && !joined)
        ck_assert_int_eq(server(BANNER, strlen(BANNER)), RPCH_OK);
    if (to > RPCH_MIXED_RESPONSE)
        ck_assert_int_eq(rpch_mixed_responded(&m, START), RPCH_OK);
    ck_assert_int_eq(m.core.state, to);
}

static void drive(unsigned flags, rpch_mixed_state to)
{
    start(flags);
    advance(to);
}

static size_t ping(void)
{
    rpch_rts_values v = role_values(0, 0);

    return role_rts(RPCH_PING, &v, pdu);
}

/* One event, by the call that brings it. */
static void inject(rpch_mixed_event ev)
{
    switch (ev) {
    case RPCH_MIXED_EV_CONNECTED:
    case RPCH_MIXED_EV_JOINED: rpch_mixed_connected(&m, START); break;
    case RPCH_MIXED_EV_BANNER: server(BANNER "..", 16); break;
    case RPCH_MIXED_EV_RESPONDED: rpch_mixed_responded(&m, START); break;
    case RPCH_MIXED_EV_CLIENT_RPC: client(rpc, role_rpc(rpc, 24, 1)); break;
    case RPCH_MIXED_EV_CLIENT_RTS: client(pdu, ping()); break;
    case RPCH_MIXED_EV_SERVER_RPC: server(rpc, role_rpc(rpc, 24, 1)); break;
    case RPCH_MIXED_EV_SERVER_RTS: server(pdu, ping()); break;
    case RPCH_MIXED_EV_CLIENT_END: rpch_mixed_client_ended(&m, START); break;
    case RPCH_MIXED_EV_CLIENT_CLOSE: rpch_mixed_client_closed(&m); break;
    case RPCH_MIXED_EV_SERVER_CLOSE: rpch_mixed_server_closed(&m); break;
    case RPCH_MIXED_EV_TIMEOUT: rpch_mixed_timeout(&m, START + 50000); break;
    default: rpch_mixed_fail(&m, RPCH_E_CONNECT, "no server"); break;
    }
}

static void expect_end(int status, const char *reason)
{
    ck_assert_int_eq(m.core.state, RPCH_MIXED_FINISHED);
    ck_assert_int_eq(m.core.status, status);
    ck_assert_str_eq(m.core.reason, reason);
    ck_assert_uint_eq(rpch_mixed_wants(&m), RPCH_WANT_CLOSE);
    ck_assert(rpch_mixed_deadline(&m) == RPCH_NEVER);
}

/* What each event does in the states CONNECT, LEGACYW, RESPONSE, OPENED,
 * FINISHED: to (L)EGACYW, (R)ESPONSE, (O)PENED; (.) nothing changes; to
 * FINISHED because the PDU is (e)rror, not a (g)reeting, bad (s)yntax, for
 * (c)losing, (t)imeout, (f)ailure, or a (b)ug of the caller. A second banner
 * is bad syntax: its first byte is no rpc_vers. */
static const struct {
    rpch_mixed_event ev;
    const char *native;
    const char *joined; /* there is no LEGACYW */
} expected[] = {
    { RPCH_MIXED_EV_CONNECTED, "Lbbb.", NULL },
    { RPCH_MIXED_EV_JOINED, NULL, "R bb." },
    { RPCH_MIXED_EV_BANNER, ".R.s.", ". .s." },
    { RPCH_MIXED_EV_RESPONDED, "bbOb.", "b Ob." },
    { RPCH_MIXED_EV_CLIENT_RPC, ".....", ". ..." },
    { RPCH_MIXED_EV_CLIENT_RTS, "...e.", ". .e." },
    { RPCH_MIXED_EV_SERVER_RPC, ".g...", ". ..." },
    { RPCH_MIXED_EV_SERVER_RTS, ".g.e.", ". .e." },
    { RPCH_MIXED_EV_CLIENT_END, ".....", ". ..." },
    { RPCH_MIXED_EV_CLIENT_CLOSE, "cccc.", "c cc." },
    { RPCH_MIXED_EV_SERVER_CLOSE, "cccc.", "c cc." },
    { RPCH_MIXED_EV_TIMEOUT, "ttt..", "t t.." },
    { RPCH_MIXED_EV_FAIL, "ffff.", "f ff." },
};

static void check_pair(unsigned flags, rpch_mixed_event ev, int state,
                       char want)
{
    static const char code[] = "LROegsctfb";
    static const struct { int state, status; } outcome[] = {
        { RPCH_MIXED_LEGACYW, RPCH_OK }, { RPCH_MIXED_RESPONSE, RPCH_OK },
        { RPCH_MIXED_OPENED, RPCH_OK },
        { RPCH_MIXED_FINISHED, RPCH_E_UNEXPECTED },
        { RPCH_MIXED_FINISHED, RPCH_E_BANNER },
        { RPCH_MIXED_FINISHED, RPCH_E_SYNTAX },
        { RPCH_MIXED_FINISHED, RPCH_E_CLOSED },
        { RPCH_MIXED_FINISHED, RPCH_E_TIMEOUT },
        { RPCH_MIXED_FINISHED, RPCH_E_CONNECT },
        { RPCH_MIXED_FINISHED, RPCH_E_BUG }
    };
    const char *at = strchr(code, want);
    int status = state == RPCH_MIXED_FINISHED ? RPCH_E_POLICY : RPCH_OK;

    drive(flags, (rpch_mixed_state)state);
    inject(ev);
    if (at != NULL) {
        state = outcome[at - code].state;
        status = outcome[at - code].status;
    }
    ck_assert_msg(m.core.state == state && m.core.status == status,
                  "%s, flags %u: [%s] %s, not [%s] %s",
                  rpch_mixed_event_name(ev), flags,
                  rpch_mixed_state_name((rpch_mixed_state)m.core.state),
                  rpch_status_name(m.core.status),
                  rpch_mixed_state_name((rpch_mixed_state)state),
                  rpch_status_name(status));
    ck_assert_int_eq(status == RPCH_OK, m.core.reason == NULL);
}

START_TEST(test_mixed_every_pair)
{
    int ev, state;

    ck_assert_uint_eq(sizeof(expected) / sizeof(expected[0]),
                      RPCH_MIXED_EV_MAX);
    for (ev = 0; ev < RPCH_MIXED_EV_MAX; ev++) {
        ck_assert_int_eq(expected[ev].ev, ev);
        for (state = 0; state < RPCH_MIXED_STATE_MAX; state++) {
            if (expected[ev].native != NULL)
                check_pair(0, (rpch_mixed_event)ev, state,
                           expected[ev].native[state]);
            if (expected[ev].joined != NULL && state != RPCH_MIXED_LEGACYW)
                check_pair(RPCH_JOINED, (rpch_mixed_event)ev, state,
                           expected[ev].joined[state]);
        }
    }
}
END_TEST

/* What the machine's view shows is what it does: every cell that can be
 * visited was, and those that were not are bugs, or bytes that a finished
 * machine does not look at. */
START_TEST(test_mixed_table)
{
    const rpch_machine_table *t = rpch_mixed_table();
    int ev, state, cell;

    ck_assert_int_eq(t->id, RPCH_TABLE_MIXED);
    ck_assert_str_eq(t->role, "mixed");
    ck_assert_int_eq(t->events, RPCH_MIXED_EV_MAX);
    ck_assert_int_eq(t->states, RPCH_MIXED_STATE_MAX);
    memset(visited, 0, sizeof(visited));
    for (ev = 0; ev < t->events; ev++)
        for (state = 0; state < t->states; state++) {
            unsigned joined = ev == RPCH_MIXED_EV_JOINED ? RPCH_JOINED : 0;

            if (joined && state == RPCH_MIXED_LEGACYW)
                continue;
            drive(joined, (rpch_mixed_state)state);
            cell = t->next[ev * t->states + state];
            if (ev == RPCH_MIXED_EV_TIMEOUT && state == RPCH_MIXED_OPENED)
                rpch_mixed_client_ended(&m, START); /* starts the timer */
            inject((rpch_mixed_event)ev);
            if (!visited[ev][state])
                ck_assert(cell == RPCH_CELL_BUG || cell == RPCH_CELL_DROP);
            else if (cell > 0)
                ck_assert_int_eq(m.core.state, cell - 1);
            else if (cell == RPCH_CELL_STAY || cell == RPCH_CELL_DROP)
                ck_assert_int_eq(m.core.state, state);
            else
                ck_assert_int_eq(m.core.state, RPCH_MIXED_FINISHED);
        }
    for (ev = 0; ev < t->events; ev++)
        for (state = 0; state < RPCH_MIXED_FINISHED; state++) {
            cell = t->next[ev * t->states + state];
            if (cell == RPCH_CELL_STAY || cell == RPCH_CELL_ERR)
                ck_assert_msg(visited[ev][state], "%s in %s",
                              t->event_name(ev), t->state_name(state));
        }
}
END_TEST

START_TEST(test_mixed_names)
{
    const rpch_machine_table *t = rpch_mixed_table();
    int i;

    for (i = 0; i < RPCH_MIXED_STATE_MAX; i++)
        ck_assert_str_ne(t->state_name(i), "unknown");
    for (i = 0; i < RPCH_MIXED_EV_MAX; i++)
        ck_assert_str_ne(t->event_name(i), "unknown");
    ck_assert_str_eq(rpch_mixed_state_name(RPCH_MIXED_LEGACYW), "LEGACYW");
    ck_assert_str_eq(rpch_mixed_event_name(RPCH_MIXED_EV_BANNER), "banner");
    ck_assert_str_eq(t->state_name(RPCH_MIXED_STATE_MAX), "unknown");
    ck_assert_str_eq(t->event_name(-1), "unknown");
}
END_TEST

START_TEST(test_mixed_opens)
{
    start(0);
    ck_assert_uint_eq(rpch_mixed_wants(&m), RPCH_WANT_CONNECT);
    ck_assert_int_eq(rpch_mixed_connected(&m, START), RPCH_OK);
    ck_assert_uint_eq(rpch_mixed_wants(&m), RPCH_WANT_SERVER_READ);
    ck_assert_int_eq(server(BANNER, 13), RPCH_OK);
    ck_assert_int_eq(m.core.state, RPCH_MIXED_LEGACYW);
    ck_assert_int_eq(server("0", 1), RPCH_OK);
    ck_assert_ptr_null(step.pass);
    ck_assert_uint_eq(rpch_mixed_wants(&m), RPCH_WANT_RESPONSE);
    ck_assert_int_eq(rpch_mixed_responded(&m, START), RPCH_OK);
    ck_assert_uint_eq(rpch_mixed_wants(&m),
                      RPCH_WANT_CLIENT_READ | RPCH_WANT_SERVER_READ);
    ck_assert(rpch_mixed_deadline(&m) == RPCH_NEVER);
}
END_TEST

/* ncacn_ip_tcp: the answer follows the connection. */
START_TEST(test_mixed_opens_joined)
{
    start(RPCH_JOINED);
    ck_assert_int_eq(rpch_mixed_connected(&m, START), RPCH_OK);
    ck_assert_uint_eq(rpch_mixed_wants(&m), RPCH_WANT_RESPONSE);
    ck_assert_int_eq(rpch_mixed_responded(&m, START), RPCH_OK);
    ck_assert_uint_eq(rpch_mixed_wants(&m),
                      RPCH_WANT_CLIENT_READ | RPCH_WANT_SERVER_READ);
}
END_TEST

/* 3.1.2.5.1: nothing of the client before the response; it stays with the
 * caller. */
START_TEST(test_mixed_holds_early_bytes)
{
    size_t n = role_rpc(rpc, 200, 5);
    int state;

    for (state = 0; state < RPCH_MIXED_OPENED; state++) {
        drive(0, (rpch_mixed_state)state);
        ck_assert_int_eq(client(rpc, n), RPCH_OK);
        ck_assert_uint_eq(step.used, 0);
        ck_assert_ptr_null(step.pass);
    }
    /* what the server said behind its banner waits for the response, too */
    drive(0, RPCH_MIXED_RESPONSE);
    ck_assert_int_eq(server(rpc, n), RPCH_OK);
    ck_assert_uint_eq(step.used, 0);
    ck_assert_int_eq(rpch_mixed_responded(&m, START), RPCH_OK);
    ck_assert_int_eq(server(rpc, n), RPCH_OK);
    ck_assert_uint_eq(step.pass_len, n);
}
END_TEST

START_TEST(test_mixed_greetings)
{
    static const char *const bad[] = {
        "ncacn_http/1.1", "ncacn_httpx", "SSH-2.0-OpenSSH_9.2", "220 mail.example.com ESMTP\r\n",
        "HTTP/1.1 400 Bad Request\r\n", "\5\0\14\3\20\0\0\0\54\0\0\0\0\0\0\0"
    };
    size_t i, at, n;
    int how;

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        for (how = ROLE_WHOLE; how <= ROLE_RANDOM; how++) {
            uint32_t seed = 7;
            size_t len = bad[i][0] == 5 ? 44 : strlen(bad[i]);
            uint8_t b[64] = { 0 };

            memcpy(b, bad[i], bad[i][0] == 5 ? 16 : len);
            drive(0, RPCH_MIXED_LEGACYW);
            for (at = 0; at < len && m.core.status == RPCH_OK; at += n) {
                n = role_cut(how, len - at, &seed);
                server(b + at, n);
                ck_assert_ptr_null(step.pass);
            }
            expect_end(RPCH_E_BANNER,
                       "the server's greeting is not ncacn_http/1.0");
        }
}
END_TEST

START_TEST(test_mixed_rts_from_client)
{
    rpch_rts_values v = role_values(0xc0, 0);
    size_t n = role_rts(RPCH_CONN_B2, &v, pdu);

    drive(0, RPCH_MIXED_OPENED);
    ck_assert_int_eq(client(pdu, n), RPCH_E_UNEXPECTED);
    ck_assert_ptr_null(step.pass);
    expect_end(RPCH_E_UNEXPECTED, "RTS PDU from a client of version 1");
}
END_TEST

START_TEST(test_mixed_rts_from_server)
{
    unsigned flags;

    for (flags = 0; flags <= RPCH_JOINED; flags += RPCH_JOINED) {
        drive(flags, RPCH_MIXED_OPENED);
        ck_assert_int_eq(server(rpc, role_rpc(rpc, 32, 1)), RPCH_OK);
        ck_assert_int_eq(server(pdu, ping()), RPCH_E_UNEXPECTED);
        ck_assert_ptr_null(step.pass);
        expect_end(RPCH_E_UNEXPECTED, "RTS PDU from the server in version 1");
    }
}
END_TEST

START_TEST(test_mixed_bad_syntax)
{
    drive(0, RPCH_MIXED_OPENED);
    ck_assert_int_eq(client("GET / HTTP/1.1\r\n", 16), RPCH_E_SYNTAX);
    expect_end(RPCH_E_SYNTAX, "rpc_vers is not 5");
    drive(0, RPCH_MIXED_OPENED);
    ck_assert_int_eq(server("HTTP/1.1 200 OK\r\n", 16), RPCH_E_SYNTAX);
    expect_end(RPCH_E_SYNTAX, "rpc_vers is not 5");
}
END_TEST

START_TEST(test_mixed_timers)
{
    start(0);
    ck_assert_uint_eq(rpch_mixed_deadline(&m), START + 50000);
    ck_assert_int_eq(rpch_mixed_timeout(&m, START + 49999), RPCH_OK);
    ck_assert_int_eq(rpch_mixed_connected(&m, START + 30000), RPCH_OK);
    ck_assert_uint_eq(rpch_mixed_deadline(&m), START + 80000);
    ck_assert_int_eq(rpch_mixed_timeout(&m, START + 80000), RPCH_E_TIMEOUT);
    expect_end(RPCH_E_TIMEOUT, "no ncacn_http/1.0 from the server in time");
    start(0);
    rpch_mixed_timeout(&m, START + 50000);
    expect_end(RPCH_E_TIMEOUT, "no connection to the server in time");
    drive(RPCH_JOINED, RPCH_MIXED_RESPONSE);
    rpch_mixed_timeout(&m, START + 50000);
    expect_end(RPCH_E_TIMEOUT, "the response could not be sent in time");
    drive(0, RPCH_MIXED_OPENED);
    ck_assert_int_eq(rpch_mixed_timeout(&m, RPCH_NEVER - 1), RPCH_OK);
}
END_TEST

/* A client that sends no more gets its answers; a server that says nothing
 * does not hold the connection for ever. */
START_TEST(test_mixed_client_end)
{
    size_t n = role_rpc(rpc, 64, 9);

    drive(0, RPCH_MIXED_OPENED);
    rpch_mixed_client_ended(&m, START);
    ck_assert_uint_eq(rpch_mixed_wants(&m),
                      RPCH_WANT_SHUTDOWN | RPCH_WANT_SERVER_READ);
    ck_assert_uint_eq(rpch_mixed_deadline(&m), START + 7000);
    ck_assert_int_eq(rpch_mixed_server_recv(&m, rpc, n, &step, START + 5000),
                     RPCH_OK);
    ck_assert_uint_eq(step.pass_len, n);
    ck_assert_uint_eq(rpch_mixed_deadline(&m), START + 12000);
    ck_assert_int_eq(client(rpc, n), RPCH_OK);
    ck_assert_uint_eq(step.used, 0);
    rpch_mixed_timeout(&m, START + 12000);
    expect_end(RPCH_E_TIMEOUT,
               "the client sends no more and the server is silent");
    /* before the response it is no reason to stop, but bounds as well */
    drive(0, RPCH_MIXED_LEGACYW);
    rpch_mixed_client_ended(&m, START);
    ck_assert_int_eq(server(BANNER, strlen(BANNER)), RPCH_OK);
    ck_assert_int_eq(rpch_mixed_responded(&m, START + 1), RPCH_OK);
    ck_assert_uint_eq(rpch_mixed_deadline(&m), START + 7001);
}
END_TEST

/* Streams: PDUs of all sizes, a part of them big-endian. */

typedef struct outcome {
    uint8_t passed[200000];
    size_t n;
    uint64_t firsts, lasts;
} outcome;

static outcome got;
static uint8_t stream[200000];

static size_t make_stream(uint64_t *pdus)
{
    static const uint16_t sizes[] = { 16, 17, 72, 5840, 31, 60000, 1024, 5840,
                                      4280, 24, 65535, 16 };
    size_t n = 0, i;

    *pdus = sizeof(sizes) / sizeof(sizes[0]);
    for (i = 0; i < *pdus; i++) {
        uint8_t *p = stream + n;

        ck_assert_uint_le(n + sizes[i], sizeof(stream));
        role_rpc(p, sizes[i], (uint8_t)i);
        if (i % 3 == 1) { /* big-endian */
            p[4] = 0;
            p[8] = (uint8_t)(sizes[i] >> 8);
            p[9] = (uint8_t)sizes[i];
        }
        n += sizes[i];
    }
    return n;
}

static void keep(void)
{
    if (step.pass == NULL)
        return;
    role_check(got.n + step.pass_len <= sizeof(got.passed));
    memcpy(got.passed + got.n, step.pass, step.pass_len);
    got.n += step.pass_len;
    got.firsts += step.first;
    got.lasts += step.last;
}

static void run_stream(bool from_client, size_t len, int how, uint32_t seed)
{
    size_t at = 0;

    memset(&got, 0, sizeof(got));
    while (at < len) {
        size_t n = role_cut(how, len - at, &seed);
        size_t done = 0;

        while (done < n) {
            int rc = from_client ? client(stream + at + done, n - done)
                                 : server(stream + at + done, n - done);

            role_check(rc == RPCH_OK && step.used > 0);
            done += step.used;
            keep();
        }
        at += n;
    }
}

START_TEST(test_mixed_streams)
{
    uint64_t pdus;
    size_t len = make_stream(&pdus);
    int how, from_client;
    uint32_t seed;

    for (from_client = 0; from_client < 2; from_client++)
        for (how = ROLE_WHOLE; how <= ROLE_RANDOM; how++)
            for (seed = 1; seed <= (how == ROLE_RANDOM ? 20u : 1u); seed++) {
                drive(0, RPCH_MIXED_OPENED);
                run_stream(from_client != 0, len, how, seed);
                ck_assert_uint_eq(got.n, len);
                ck_assert_mem_eq(got.passed, stream, len);
                ck_assert_uint_eq(got.firsts, pdus);
                ck_assert_uint_eq(got.lasts, pdus);
                ck_assert_uint_eq(m.in_pdus, from_client ? pdus : 0);
                ck_assert_uint_eq(m.in_bytes, from_client ? len : 0);
                ck_assert_uint_eq(m.out_pdus, from_client ? 0 : pdus);
                ck_assert_uint_eq(m.out_bytes, from_client ? 0 : len);
            }
}
END_TEST

/* Damage of one byte anywhere never passes more than was there, and ends at
 * most this connection. */
START_TEST(test_mixed_damaged)
{
    size_t len = 16 + 17 + 72, at, i;
    uint64_t pdus;
    int value;

    for (at = 0; at < len; at++)
        for (value = 0; value < 256; value += 5) {
            size_t passed = 0;

            make_stream(&pdus);
            stream[at] = (uint8_t)value;
            drive(0, RPCH_MIXED_OPENED);
            for (i = 0; i < len && client(stream + i, len - i) == RPCH_OK;) {
                role_check(step.used > 0);
                i += step.used;
                passed += step.pass_len;
            }
            role_check(passed <= len);
            role_check(m.core.status == RPCH_OK
                       || rpch_mixed_wants(&m) == RPCH_WANT_CLOSE);
        }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("mixed");
    TCase *t = tcase_create("mixed");

    tcase_add_test(t, test_mixed_every_pair);
    tcase_add_test(t, test_mixed_table);
    tcase_add_test(t, test_mixed_names);
    tcase_add_test(t, test_mixed_opens);
    tcase_add_test(t, test_mixed_opens_joined);
    tcase_add_test(t, test_mixed_holds_early_bytes);
    tcase_add_test(t, test_mixed_greetings);
    tcase_add_test(t, test_mixed_rts_from_client);
    tcase_add_test(t, test_mixed_rts_from_server);
    tcase_add_test(t, test_mixed_bad_syntax);
    tcase_add_test(t, test_mixed_timers);
    tcase_add_test(t, test_mixed_client_end);
    tcase_add_test(t, test_mixed_streams);
    tcase_add_test(t, test_mixed_damaged);
    suite_add_tcase(s, t);
    return test_main(s);
}
