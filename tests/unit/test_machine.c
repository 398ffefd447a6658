/* SPDX-License-Identifier: Apache-2.0 */
/* test_machine.c - the RTS lane, the sticky error and the log lines */
#include "role_test.h"

static rpch_lane lane;

/* What waits in the lane, compared with len bytes at p. */
static void expect_lane(const uint8_t *p, size_t len)
{
    size_t have;
    const uint8_t *b = rpch_lane_buf(&lane, &have);

    ck_assert_uint_eq(have, len);
    ck_assert_int_eq(b == NULL, len == 0);
    if (len > 0)
        ck_assert_mem_eq(b, p, len);
}

START_TEST(test_machine_lane_is_a_queue)
{
    rpch_lane_init(&lane);
    expect_lane(NULL, 0);
    ck_assert_int_eq(rpch_lane_put(&lane, (const uint8_t *)"abc", 3), RPCH_OK);
    ck_assert_int_eq(rpch_lane_put(&lane, (const uint8_t *)"def", 3), RPCH_OK);
    expect_lane((const uint8_t *)"abcdef", 6);
    rpch_lane_ack(&lane, 2);
    expect_lane((const uint8_t *)"cdef", 4);
    rpch_lane_ack(&lane, 0);
    expect_lane((const uint8_t *)"cdef", 4);
    rpch_lane_ack(&lane, 100);
    expect_lane(NULL, 0);
    ck_assert_int_eq(rpch_lane_put(&lane, NULL, 0), RPCH_OK);
    expect_lane(NULL, 0);
}
END_TEST

/* Fills an empty lane with n bytes. */
static void fill(size_t n)
{
    uint8_t b[RPCH_LANE_SIZE] = { 0 };

    rpch_lane_init(&lane);
    ck_assert_int_eq(rpch_lane_put(&lane, b, n), RPCH_OK);
}

START_TEST(test_machine_lane_limits)
{
    uint8_t b[RPCH_LANE_SIZE + 1] = { 0 };
    size_t most = RPCH_LANE_SIZE - RPCH_RTS_SIZE_MAX - RPCH_LANE_RESERVE;

    rpch_lane_init(&lane);
    ck_assert_int_eq(rpch_lane_put(&lane, b, sizeof(b)), RPCH_E_ROOM);
    expect_lane(NULL, 0);
    fill(most);
    ck_assert(rpch_lane_has_room(&lane));
    fill(most + 1);
    ck_assert(!rpch_lane_has_room(&lane));
    rpch_lane_ack(&lane, 1);
    ck_assert(rpch_lane_has_room(&lane));
    fill(RPCH_LANE_SIZE - RPCH_LANE_RESERVE);
    ck_assert(rpch_lane_has_reserve(&lane));
    fill(RPCH_LANE_SIZE - RPCH_LANE_RESERVE + 1);
    ck_assert(!rpch_lane_has_reserve(&lane));
    fill(RPCH_LANE_SIZE);
    ck_assert_int_eq(rpch_lane_put(&lane, b, 1), RPCH_E_ROOM);
}
END_TEST

/* A random sequence of puts and acks against a plain array. */
START_TEST(test_machine_lane_random)
{
    static uint8_t all[200000];
    size_t in = 0;
    size_t out = 0;
    size_t have;
    uint32_t seed = 1;
    uint32_t i;

    for (i = 0; i < sizeof(all); i++)
        all[i] = (uint8_t)(i * 31 + i / 256);
    rpch_lane_init(&lane);
    while (in < sizeof(all) - RPCH_LANE_SIZE) {
        size_t n = role_cut(ROLE_RANDOM, 600, &seed);
        bool fits = in - out + n <= RPCH_LANE_SIZE;

        ck_assert_int_eq(rpch_lane_put(&lane, all + in, n),
                         fits ? RPCH_OK : RPCH_E_ROOM);
        in += fits ? n : 0;
        (void)rpch_lane_buf(&lane, &have);
        n = role_cut(ROLE_RANDOM, 500, &seed);
        n = n < have ? n : have;
        rpch_lane_ack(&lane, n);
        out += n;
        expect_lane(all + out, in - out);
    }
}
END_TEST

START_TEST(test_machine_lane_make)
{
    uint8_t b1[RPCH_RTS_SIZE_MAX];
    rpch_rts_values v = role_values(0xc0, 0);
    size_t n = role_rts(RPCH_CONN_B1, &v, b1);
    uint8_t b[RPCH_LANE_SIZE] = { 0 };

    rpch_lane_init(&lane);
    ck_assert_int_eq(rpch_lane_make(&lane, RPCH_CONN_B1, &v), RPCH_OK);
    expect_lane(b1, n);
    ck_assert_int_eq(rpch_lane_put(&lane, b, RPCH_LANE_SIZE - n - 19),
                     RPCH_OK);
    ck_assert_int_eq(rpch_lane_make(&lane, RPCH_PING, &v), RPCH_E_ROOM);
    ck_assert_uint_eq(lane.end - lane.at, RPCH_LANE_SIZE - 19);
    rpch_lane_ack(&lane, 1);
    ck_assert_int_eq(rpch_lane_make(&lane, RPCH_PING, &v), RPCH_OK);
    ck_assert_uint_eq(lane.end - lane.at, RPCH_LANE_SIZE);
}
END_TEST

START_TEST(test_machine_first_error_sticks)
{
    rpch_limits l = role_limits();
    rpch_core c;

    rpch_core_init(&c, &l, RPCH_QUIET, NULL, NULL);
    ck_assert_int_eq(c.state, 0);
    ck_assert_int_eq(c.status, RPCH_OK);
    ck_assert_ptr_null(c.reason);
    ck_assert_uint_eq(c.flags, RPCH_QUIET);
    ck_assert_uint_eq(c.limits.ping_interval, l.ping_interval);
    ck_assert(c.deadline == RPCH_NEVER);
    c.deadline = 5;
    rpch_core_end(&c, RPCH_E_ACK, "one");
    rpch_core_end(&c, RPCH_E_CLOSED, "two");
    ck_assert_int_eq(c.status, RPCH_E_ACK);
    ck_assert_str_eq(c.reason, "one");
    ck_assert(c.deadline == RPCH_NEVER);
    rpch_core_init(&c, &l, 0, NULL, NULL);
    rpch_core_end(&c, RPCH_OK, "no error at all");
    ck_assert_int_eq(c.status, RPCH_E_BUG);
}
END_TEST

START_TEST(test_machine_after)
{
    ck_assert(rpch_after(1000, 0) == RPCH_NEVER);
    ck_assert(rpch_after(1000, 5) == 1005);
    ck_assert(rpch_after(0, RPCH_NEVER) == RPCH_NEVER);
    ck_assert(rpch_after(1000, RPCH_NEVER - 1001) == RPCH_NEVER - 1);
    ck_assert(rpch_after(1000, RPCH_NEVER - 1000) == RPCH_NEVER);
    ck_assert(rpch_after(1000, RPCH_NEVER - 1) == RPCH_NEVER);
}
END_TEST

/* Keeps the last line logged. */
typedef struct last_line {
    int level;
    char what[64];
    char detail[256];
} last_line;

static void keep(void *baton, int level, const char *what, const char *detail)
{
    last_line *l = (last_line *)baton;

    l->level = level;
    snprintf(l->what, sizeof(l->what), "%s", what);
    snprintf(l->detail, sizeof(l->detail), "%s", detail);
}

START_TEST(test_machine_log_lines)
{
    rpch_limits l = role_limits();
    rpch_rts_values v = role_values(0xd0, 0);
    uint8_t b[RPCH_RTS_SIZE_MAX];
    const char *reason = "";
    char longer[300];
    last_line line;
    rpch_core c;
    rpch_rts rts;

    rpch_core_init(&c, &l, 0, keep, &line);
    rpch_core_log_move(&c, "B3W", "CONN/B3", "OPENED");
    ck_assert_int_eq(line.level, RPCH_LOG_DEBUG);
    ck_assert_str_eq(line.what, "transition");
    ck_assert_str_eq(line.detail, "[B3W] -- CONN/B3 --> [OPENED]");
    memset(longer, 'x', sizeof(longer));
    longer[sizeof(longer) - 1] = '\0';
    rpch_core_log_move(&c, "B3W", longer, "OPENED");
    ck_assert_int_eq(strncmp(line.detail, "[B3W] -- xxx", 12), 0);
    ck_assert_uint_lt(strlen(line.detail), sizeof(longer) - 1);

    ck_assert_int_eq(rpch_rts_decode(b, role_rts(RPCH_OUT_R1_A1, &v, b), &rts,
                                     &reason), RPCH_OK);
    rpch_core_log_rts(&c, "received on S-OUT", &rts);
    ck_assert_int_eq(line.level, RPCH_LOG_TRACE1);
    ck_assert_str_eq(line.what, "received on S-OUT");
    ck_assert_int_eq(strncmp(line.detail, "OUT_R1/A1=", 10), 0);

    rpch_lane_init(&lane);
    ck_assert_int_eq(rpch_core_make(&c, &lane, RPCH_PING, &v, "queued"),
                     RPCH_OK);
    ck_assert_str_eq(line.what, "queued");
    ck_assert_str_eq(line.detail, "Ping");
    fill(RPCH_LANE_SIZE);
    line.what[0] = '\0';
    ck_assert_int_eq(rpch_core_make(&c, &lane, RPCH_PING, &v, "queued"),
                     RPCH_E_ROOM);
    ck_assert_str_eq(line.what, "");
}
END_TEST

/* A door: one event for each kind of cell in state "open". */
static const signed char door[6][3] = {
    { 1 + 1, 1 + 0, RPCH_CELL_DROP },
    { RPCH_CELL_STAY, RPCH_CELL_STAY, RPCH_CELL_DROP },
    { RPCH_CELL_ERR, RPCH_CELL_ERR, RPCH_CELL_DROP },
    { RPCH_CELL_BUG, RPCH_CELL_BUG, RPCH_CELL_DROP },
    { 1 + 2, 1 + 2, RPCH_CELL_DROP },
    { 1 + 0, RPCH_CELL_DROP, RPCH_CELL_DROP },
};

static const char *door_event(int event)
{
    static const char *const name[] = { "push", "knock", "kick", "melt",
                                        "burn", "pull" };

    return name[event];
}

static const char *door_state(int state)
{
    return state == 0 ? "open" : state == 1 ? "shut" : "gone";
}

static const rpch_machine_table door_table = {
    RPCH_TABLE_CLIENT, "door", 6, 3, &door[0][0], door_event, door_state
};

static void count(void *baton, rpch_table_id table, int event, int state)
{
    ck_assert_int_eq(table, RPCH_TABLE_CLIENT);
    *(int *)baton += 100 + 10 * event + state;
}

/* One event for an open door; the line logged, "" when there is none. */
static const char *step(rpch_core *c, int event, bool goes, int to)
{
    static last_line line;
    rpch_limits l = role_limits();
    int seen = 0;

    rpch_core_init(c, &l, 0, keep, &line);
    rpch_core_watch(c, count, &seen);
    c->deadline = 5;
    line.detail[0] = '\0';
    ck_assert(rpch_core_step(c, &door_table, event, RPCH_E_CLOSED, "burnt",
                             "wrong") == goes);
    ck_assert_int_eq(c->state, to);
    ck_assert_int_eq(seen, 100 + 10 * event);
    ck_assert(c->deadline == (to == 2 ? RPCH_NEVER : 5));
    rpch_core_watch(c, NULL, NULL);
    return line.detail;
}

START_TEST(test_machine_step)
{
    rpch_core c;

    ck_assert_str_eq(step(&c, 0, true, 1), "[open] -- push --> [shut]");
    ck_assert_int_eq(c.status, RPCH_OK);
    ck_assert(!rpch_core_step(&c, &door_table, 5, RPCH_OK, NULL, NULL));
    ck_assert_int_eq(c.state, 1);
    ck_assert_str_eq(step(&c, 1, true, 0), "");
    ck_assert_str_eq(step(&c, 5, true, 0), "");
    ck_assert_int_eq(c.status, RPCH_OK);
    ck_assert_str_eq(step(&c, 2, false, 2), "[open] -- kick --> [gone]");
    ck_assert_int_eq(c.status, RPCH_E_UNEXPECTED);
    ck_assert_str_eq(c.reason, "wrong");
    ck_assert_str_eq(step(&c, 3, false, 2), "[open] -- melt --> [gone]");
    ck_assert_int_eq(c.status, RPCH_E_BUG);
    ck_assert_str_eq(step(&c, 4, true, 2), "[open] -- burn --> [gone]");
    ck_assert_int_eq(c.status, RPCH_E_CLOSED);
    ck_assert_str_eq(c.reason, "burnt");
    ck_assert(!rpch_core_step(&c, &door_table, 2, RPCH_OK, NULL, "late"));
    ck_assert_str_eq(c.reason, "burnt");
}
END_TEST

START_TEST(test_machine_wire_ranges)
{
    uint32_t ms = 1;

    ck_assert(!rpch_window_ok(0));
    ck_assert(!rpch_window_ok(8191));
    ck_assert(rpch_window_ok(8192));
    ck_assert(rpch_window_ok(UINT32_MAX));
    ck_assert(!rpch_keepalive_read(1, &ms));
    ck_assert(!rpch_keepalive_read(59999, &ms));
    ck_assert_uint_eq(ms, 1);
    ck_assert(rpch_keepalive_read(60000, &ms));
    ck_assert_uint_eq(ms, 60000);
    ck_assert(rpch_keepalive_read(0, &ms));
    ck_assert_uint_eq(ms, 300000);
    ck_assert(rpch_keepalive_read(UINT32_MAX, &ms));
    ck_assert_uint_eq(ms, UINT32_MAX);
}
END_TEST

/* Acks made one after the other take the room of one, unless the one before
 * has begun to go out, or something else stands behind it. */
START_TEST(test_machine_lane_acks)
{
    rpch_rts_values v = role_values(0xb0, 0xd0);
    uint8_t ping[RPCH_RTS_SIZE_MAX];
    const uint8_t *p;
    rpch_lane lane;
    size_t len;
    int i;

    rpch_lane_init(&lane);
    ck_assert_int_eq(rpch_lane_make(&lane, RPCH_CONN_A3, &v), RPCH_OK);
    for (i = 0; i < 100; i++) {
        v.ack.bytes_received = (uint32_t)i;
        ck_assert_int_eq(rpch_lane_make_ack(&lane, RPCH_FLOW_CONTROL_ACK, &v),
                         RPCH_OK);
    }
    p = rpch_lane_buf(&lane, &len);
    ck_assert_uint_eq(len, 28 + 48);
    ck_assert_uint_eq(rpch_le32(p + 28 + 24), 99);
    rpch_lane_ack(&lane, 28 + 1); /* the ack has begun */
    ck_assert_int_eq(rpch_lane_make_ack(&lane, RPCH_FLOW_CONTROL_ACK, &v),
                     RPCH_OK);
    (void)rpch_lane_buf(&lane, &len);
    ck_assert_uint_eq(len, 47 + 48);
    rpch_lane_ack(&lane, 47); /* exactly before the second */
    v.ack.bytes_received = 7;
    ck_assert_int_eq(rpch_lane_make_ack(&lane, RPCH_FLOW_CONTROL_ACK, &v),
                     RPCH_OK);
    p = rpch_lane_buf(&lane, &len);
    ck_assert_uint_eq(len, 48);
    ck_assert_uint_eq(rpch_le32(p + 24), 7);
    len = role_rts(RPCH_PING, &v, ping);
    ck_assert_int_eq(rpch_lane_put(&lane, ping, len), RPCH_OK);
    ck_assert_int_eq(rpch_lane_make_ack(&lane, RPCH_FLOW_CONTROL_ACK, &v),
                     RPCH_OK);
    (void)rpch_lane_buf(&lane, &len);
    ck_assert_uint_eq(len, 48 + 20 + 48);
    rpch_lane_ack(&lane, len);
    ck_assert_int_eq(rpch_lane_make_ack(&lane, RPCH_FLOW_CONTROL_ACK, &v),
                     RPCH_OK);
    (void)rpch_lane_buf(&lane, &len);
    ck_assert_uint_eq(len, 48);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("machine");
    TCase *t = tcase_create("machine");

    tcase_add_test(t, test_machine_lane_is_a_queue);
    tcase_add_test(t, test_machine_lane_limits);
    tcase_add_test(t, test_machine_lane_random);
    tcase_add_test(t, test_machine_lane_make);
    tcase_add_test(t, test_machine_first_error_sticks);
    tcase_add_test(t, test_machine_after);
    tcase_add_test(t, test_machine_log_lines);
    tcase_add_test(t, test_machine_step);
    tcase_add_test(t, test_machine_wire_ranges);
    tcase_add_test(t, test_machine_lane_acks);
    suite_add_tcase(s, t);
    return test_main(s);
}
