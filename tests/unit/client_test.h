/* SPDX-License-Identifier: Apache-2.0 */
/* client_test.h - what the tests of the client role share */
#ifndef RPCH_CLIENT_TEST_H
#define RPCH_CLIENT_TEST_H

#include "role_test.h"

#include "rpch/client.h"

#define CLIENT_EVENTS_MAX 32
#define CLIENT_STATES_MAX 16

/* The client under test: cookies a0 (connection), b0 (OUT), c0 (IN). */
static rpch_client cl;

/* Every cell that was looked up since the program started. */
static bool client_visited[RPCH_TABLE_MAX][CLIENT_EVENTS_MAX]
                          [CLIENT_STATES_MAX];

/* Notes a cell: the watcher of the machine. */
static inline void client_visit(void *baton, rpch_table_id table, int event,
                                int state)
{
    client_visited[table][event][state] = true;
}

/* Starts it at time 1000 with these limits. */
static inline void start_with(unsigned flags, const rpch_limits *l)
{
    rpch_client_cookies c;

    c.vc = role_cookie(0xa0);
    c.out = role_cookie(0xb0);
    c.in = role_cookie(0xc0);
    c.group = role_cookie(0x90);
    rpch_client_init(&cl, l, &c, flags, NULL, NULL, 1000);
    rpch_core_watch(&cl.core, client_visit, NULL);
}

/* Gives it bytes of the C-OUT in that slot; returns its status. */
static inline int feed_slot(unsigned slot, const uint8_t *p, size_t len,
                            rpch_msec now)
{
    size_t at = 0;
    int rv = RPCH_OK;

    while (at < len && rv == RPCH_OK) {
        rpch_step step;

        rv = rpch_client_out_recv(&cl, slot, p + at, len - at, &step, now);
        if (step.used == 0)
            break;
        at += step.used;
    }
    return rv;
}

/* The same, of the current C-OUT. */
static inline int feed(const uint8_t *p, size_t len, rpch_msec now)
{
    return feed_slot(rpch_client_out_slot(&cl), p, len, now);
}

/* An RTS PDU arrives on the current C-OUT. */
static inline int rts(rpch_pdu_id id, const rpch_rts_values *v, rpch_msec now)
{
    uint8_t pdu[RPCH_RTS_SIZE_MAX];

    return feed(pdu, role_rts(id, v, pdu), now);
}

/* An RPC PDU of len bytes arrives there. */
static inline int rpc(size_t len)
{
    static uint8_t pdu[65536];

    return feed(pdu, role_rpc(pdu, len, 5), 1000);
}

/* FlowControlAckWithDestination for the client, of the channel that has that
 * cookie. */
static inline int ack(uint8_t cookie, uint32_t received, uint32_t available)
{
    rpch_rts_values v = role_values(0, 0);

    v.dest = RPCH_DEST_CLIENT;
    v.ack.cookie = role_cookie(cookie);
    v.ack.bytes_received = received;
    v.ack.available_window = available;
    return rts(RPCH_FLOW_CONTROL_ACK_DEST, &v, 1000);
}

/* Opens the connection and empties the lanes. */
static inline void client_open(unsigned flags, const rpch_limits *l)
{
    rpch_rts_values v = role_values(0, 0);

    start_with(flags, l);
    rpch_client_in_ack(&cl, 0, 104, 1000);
    rpch_client_body_ack(&cl, 0, 76);
    ck_assert_int_eq(rpch_client_response(&cl, 0, 200, 1000), RPCH_OK);
    ck_assert_int_eq(rts(RPCH_CONN_A3, &v, 1000), RPCH_OK);
    ck_assert_int_eq(rts(RPCH_CONN_C2, &v, 1000), RPCH_OK);
    ck_assert_int_eq(cl.core.state, RPCH_CLIENT_OPENED);
}

/* The lane holds exactly these bytes. */
static inline void check_lane(const rpch_lane *lane, const char *hex)
{
    uint8_t want[512];
    size_t n = test_hex(hex, want, sizeof(want));
    size_t len;
    const uint8_t *got = rpch_lane_buf(lane, &len);

    ck_assert_uint_eq(len, n);
    if (n)
        ck_assert_mem_eq(got, want, n);
}

/* Every cell of a table was visited; none is forgotten. In the state finished
 * (-1: there is none) nothing is read, so that not every event gets to it. */
static inline void check_all_visited(const rpch_machine_table *t, int finished)
{
    int e, s;

    ck_assert_int_le(t->events, CLIENT_EVENTS_MAX);
    ck_assert_int_le(t->states, CLIENT_STATES_MAX);
    for (e = 0; e < t->events; e++)
        for (s = 0; s < t->states; s++) {
            int cell = t->next[e * t->states + s];

            ck_assert_int_ne(cell, RPCH_CELL_BUG);
            if (s == finished)
                ck_assert_int_eq(cell, RPCH_CELL_DROP);
            else
                ck_assert_msg(client_visited[t->id][e][s], "%s: %s in %s was "
                              "not visited", t->role, t->event_name(e),
                              t->state_name(s));
        }
}

/* The names of a table's events and states are there and differ. */
static inline void check_names(const rpch_machine_table *t)
{
    int i, k;

    for (i = 0; i < t->events; i++)
        for (k = 0; k < i; k++)
            ck_assert_str_ne(t->event_name(i), t->event_name(k));
    for (i = 0; i < t->states; i++)
        for (k = 0; k < i; k++)
            ck_assert_str_ne(t->state_name(i), t->state_name(k));
    ck_assert_str_eq(t->event_name(t->events), "?");
    ck_assert_str_eq(t->event_name(-1), "?");
    ck_assert_str_eq(t->state_name(t->states), "?");
    ck_assert_str_eq(t->state_name(-1), "?");
}

#endif
