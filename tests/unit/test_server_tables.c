/* SPDX-License-Identifier: Apache-2.0 */
/* test_server_tables.c - the tables of the server role machine's virtual
 * channels against 3.2.5.5.5 to 3.2.5.5.12, every pair */
#include "server_recycle_test.h"

/* The last event that was put through the watched table. */
static struct {
    rpch_table_id table;
    int event, state;
} seen;

static void note_visit(void *baton, rpch_table_id table, int e, int state)
{
    if (table != *(rpch_table_id *)baton)
        return;
    seen.event = e;
    seen.state = state;
}

static void watch(rpch_table_id table)
{
    seen.table = table;
    seen.event = seen.state = -1;
    rpch_core_watch(&sv.core, note_visit, &seen.table);
}

/* The n-th cell of a table: next state's digit, x protocol error, - nothing,
 * s stays, ? cannot be. */
static char cell_of(const rpch_machine_table *t, int e, int s)
{
    int cell = t->next[e * t->states + s];

    return cell > 0 ? (char)('0' + cell - 1) : cell == RPCH_CELL_STAY ? 's'
         : cell == RPCH_CELL_ERR ? 'x' : cell == RPCH_CELL_DROP ? '-' : '?';
}

static void check_table(const rpch_machine_table *t, const char *const *want)
{
    int e, s;

    for (e = 0; e < t->events; e++) {
        ck_assert_uint_eq(strlen(want[e]), t->states);
        for (s = 0; s < t->states; s++)
            ck_assert_msg(cell_of(t, e, s) == want[e][s], "%s: %s in %s",
                          t->role, t->event_name(e), t->state_name(s));
    }
    ck_assert_str_eq(t->event_name(t->events), "?");
    ck_assert_str_eq(t->state_name(t->states), "?");
}

/* 3.2.5.5.5 to 3.2.5.5.8; columns OPENED, A6W, OPENED_B1W */
static const char *const in_table[RPCH_SERVER_IN_EV_MAX] = {
    [RPCH_SERVER_IN_EV_R1_A2] = "1??",
    [RPCH_SERVER_IN_EV_A6] = "s2x",
    [RPCH_SERVER_IN_EV_R1_B1] = "xx0",
    [RPCH_SERVER_IN_EV_TIMEOUT] = "?x?"
};

/* 3.2.5.5.9 to 3.2.5.5.12; columns OPENED, A4W, A8W, R2A8W */
static const char *const out_table[RPCH_SERVER_OUT_EV_MAX] = {
    [RPCH_SERVER_OUT_EV_LIFETIME] = "1---",
    [RPCH_SERVER_OUT_EV_R1_A4] = "x2?x",
    [RPCH_SERVER_OUT_EV_R2_A4] = "x3xs",
    [RPCH_SERVER_OUT_EV_A8] = "xx00",
    [RPCH_SERVER_OUT_EV_TIMEOUT] = "?xxx"
};

/* False when there is no slot for it: both are in use. */
static bool fire_in(rpch_server_in_event e)
{
    rpch_rts_values v = role_values(0xc0, 0xcc);
    int slot = 0;

    if (e == RPCH_SERVER_IN_EV_R1_A2)
        slot = rpch_server_enter(&sv, true);
    if (slot < 0)
        return false;
    if (e == RPCH_SERVER_IN_EV_R1_A2)
        in_rts_at(slot, RPCH_IN_R1_A2, &v, 1000);
    else if (e == RPCH_SERVER_IN_EV_A6)
        in_cookie(0, RPCH_IN_R1_A6, 0xc8);
    else if (e == RPCH_SERVER_IN_EV_R1_B1)
        in_rts(RPCH_IN_R1_B1, &v, 1000);
    else
        rpch_server_timeout(&sv, 1000 + 900000);
    return true;
}

static bool fire_out(rpch_server_out_event e)
{
    rpch_rts_values v = role_values(0xb0, 0xbc);
    int slot = 0;

    if (e == RPCH_SERVER_OUT_EV_R1_A4)
        slot = rpch_server_enter(&sv, false);
    if (slot < 0)
        return false;
    if (e == RPCH_SERVER_OUT_EV_R1_A4) {
        out_rts_at(slot, RPCH_OUT_R1_A4, &v, 1000);
    } else if (e == RPCH_SERVER_OUT_EV_R2_A4) {
        out_r2_a4(0xb8);
    } else if (e == RPCH_SERVER_OUT_EV_A8) {
        in_cookie(0, RPCH_OUT_R1_A8, 0xb8);
    } else if (e == RPCH_SERVER_OUT_EV_TIMEOUT) {
        rpch_server_timeout(&sv, 1000); /* sets a timer that is wanted */
        rpch_server_timeout(&sv, 1000 + 900000);
    } else {
        ck_assert(!rpch_server_may_send(&sv, 60000));
    }
    return true;
}

/* What the machine has done is what the cell says. */
static void check_cell(const rpch_machine_table *t, char want, int e, int s,
                       int now)
{
    int status = want != 'x' ? RPCH_OK
               : e == RPCH_SERVER_IN_EV_TIMEOUT
                 && t->id == RPCH_TABLE_SERVER_IN ? RPCH_E_TIMEOUT
               : e == RPCH_SERVER_OUT_EV_TIMEOUT
                 && t->id == RPCH_TABLE_SERVER_OUT ? RPCH_E_TIMEOUT
               : RPCH_E_UNEXPECTED;

    ck_assert_msg(sv.core.status == status, "%s: %s in %s: %s", t->role,
                  t->event_name(e), t->state_name(s),
                  rpch_status_name(sv.core.status));
    if (want >= '0' && want <= '9')
        ck_assert_int_eq(now, want - '0');
    else
        ck_assert_int_eq(now, s);
    ck_assert(want == '-' || want == '?'
              || (seen.event == e && seen.state == s));
}

START_TEST(test_server_tables_in)
{
    int e, s, unreachable = 0;

    check_table(&rpch_server_in_table, in_table);
    for (e = 0; e < RPCH_SERVER_IN_EV_MAX; e++)
        for (s = 0; s < RPCH_SERVER_IN_STATE_MAX; s++) {
            open_with(0);
            in_to(s);
            watch(RPCH_TABLE_SERVER_IN);
            if (fire_in(e))
                check_cell(&rpch_server_in_table, in_table[e][s], e, s,
                           sv.in_state);
            else
                unreachable++;
        }
    ck_assert_int_eq(unreachable, 2); /* a third S-IN has no slot */
}
END_TEST

START_TEST(test_server_tables_out)
{
    int e, s, unreachable = 0;

    check_table(&rpch_server_out_table, out_table);
    for (e = 0; e < RPCH_SERVER_OUT_EV_MAX; e++)
        for (s = 0; s < RPCH_SERVER_OUT_STATE_MAX; s++) {
            open_with(0);
            out_to(s);
            if (s == RPCH_SERVER_OUT_OPENED)
                spend_to(RESERVE); /* not yet */
            if (e == RPCH_SERVER_OUT_EV_TIMEOUT && s == RPCH_SERVER_OUT_A4W)
                ck_assert(!rpch_server_may_send(&sv, 60000));
            watch(RPCH_TABLE_SERVER_OUT);
            if (fire_out(e))
                check_cell(&rpch_server_out_table, out_table[e][s], e, s,
                           sv.out_state);
            else
                unreachable++;
        }
    ck_assert_int_eq(unreachable, 1);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("server_tables");
    TCase *t = tcase_create("tables");

    tcase_add_test(t, test_server_tables_in);
    tcase_add_test(t, test_server_tables_out);
    suite_add_tcase(s, t);
    return test_main(s);
}
