/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server_in.c - S-IN of the server role machine, and the virtual IN channel:
 * IN_R1 and IN_R2, 3.2.5.5.5 to 3.2.5.5.8.
 *
 *   OPENED     one S-IN
 *   A6W        a second S-IN came with IN_R1/A2 and IN_R1/A3 was queued; the
 *              connection setup timer runs until IN_R1/A6
 *   OPENED_B1W the first S-IN drains; IN_R1/B1 makes the second the default
 *
 * IN_R2/A2 comes over the S-IN itself and changes no more than its cookie.
 */
#include <string.h>

#include "rpch/server_private.h"

#define A6W (RPCH_SERVER_IN_A6W + 1)
#define B1W (RPCH_SERVER_IN_OPENED_B1W + 1)
#define OPEN (RPCH_SERVER_IN_OPENED + 1)
#define BUG RPCH_CELL_BUG
#define STAY RPCH_CELL_STAY
#define ERR RPCH_CELL_ERR
#define DROP RPCH_CELL_DROP

/* A third S-IN has no slot, and a timer runs in A6W only. */
static const signed char
    next[RPCH_SERVER_IN_EV_MAX][RPCH_SERVER_IN_STATE_MAX] = {
    /*                              OPENED A6W OPENED_B1W */
    [RPCH_SERVER_IN_EV_R1_A2] =     { A6W,  BUG,  BUG },
    [RPCH_SERVER_IN_EV_A6] =        { STAY, B1W,  ERR },
    [RPCH_SERVER_IN_EV_R1_B1] =     { ERR,  ERR,  OPEN },
    [RPCH_SERVER_IN_EV_TIMEOUT] =   { BUG,  ERR,  BUG },
};

static const char *const state_name[RPCH_SERVER_IN_STATE_MAX] = {
    "IN OPENED", "IN A6W", "IN OPENED_B1W"
};

/* Names of the events, and what is wrong with one whose cell is ERR. */
static const struct {
    const char *name;
    const char *wrong;
} event[RPCH_SERVER_IN_EV_MAX] = {
    [RPCH_SERVER_IN_EV_R1_A2] = { "IN_R1/A2",
        "IN_R1/A2 while the IN channel is being replaced" },
    [RPCH_SERVER_IN_EV_A6] = { "IN_R1/A6=IN_R2/A2",
        "IN_R1/A6 or IN_R2/A2 after IN_R1/A6" },
    [RPCH_SERVER_IN_EV_R1_B1] = { "IN_R1/B1",
        "IN_R1/B1 without IN_R1/A6" },
    [RPCH_SERVER_IN_EV_TIMEOUT] = { "connection setup timer",
        "the IN channel was not replaced in time" },
};

static const char *name_of_state(int s)
{
    return (unsigned)s < RPCH_SERVER_IN_STATE_MAX ? state_name[s] : "?";
}

static const char *name_of_event(int e)
{
    return (unsigned)e < RPCH_SERVER_IN_EV_MAX ? event[e].name : "?";
}

const rpch_machine_table rpch_server_in_table = {
    RPCH_TABLE_SERVER_IN, "server IN", RPCH_SERVER_IN_EV_MAX,
    RPCH_SERVER_IN_STATE_MAX, &next[0][0], name_of_event, name_of_state
};

static bool allows(rpch_server *m, rpch_server_in_event e)
{
    return rpch_sv_allows(m, &rpch_server_in_table, e, m->in_state,
                          e == RPCH_SERVER_IN_EV_TIMEOUT ? RPCH_E_TIMEOUT
                                                         : RPCH_E_UNEXPECTED,
                          event[e].wrong);
}

/* The only writer of the IN channel's state, but for rpch_server_restore. */
static void move(rpch_server *m, rpch_server_in_event e)
{
    m->in_state = rpch_core_next(&m->core, &rpch_server_in_table, e,
                                 m->in_state);
}

static rpch_server_in *successor(rpch_server *m)
{
    int i;

    for (i = 0; i < RPCH_SERVER_SLOTS; i++)
        if (m->in[i].use == RPCH_SERVER_SUCCESSOR)
            return &m->in[i];
    return NULL;
}

/* Which event an RTS PDU on S-IN is. */
static rpch_server_event event_of(const rpch_rts *rts)
{
    rpch_dest dest;

    if (rpch_rts_destination(rts, &dest)) {
        if (dest == RPCH_DEST_CLIENT || dest == RPCH_DEST_OUT_PROXY)
            return RPCH_SERVER_EV_IN_FORWARD;
        if (rpch_rts_is(rts, RPCH_OUT_R1_A8)
            || rpch_rts_is(rts, RPCH_OUT_R2_A8))
            return RPCH_SERVER_EV_OUT_A8;
        return RPCH_SERVER_EV_IN_OTHER;
    }
    if (rpch_rts_is(rts, RPCH_CONN_B2))
        return RPCH_SERVER_EV_CONN_B2;
    if (rpch_rts_is(rts, RPCH_IN_R1_A2))
        return RPCH_SERVER_EV_IN_R1_A2;
    if (rpch_rts_is(rts, RPCH_IN_R1_A6))
        return RPCH_SERVER_EV_IN_A6;
    if (rpch_rts_is(rts, RPCH_IN_R1_B1))
        return RPCH_SERVER_EV_IN_R1_B1;
    return RPCH_SERVER_EV_IN_OTHER;
}

/* The same, knowing where it came: beside the default S-IN only a first PDU
 * is legal. A successor keeps its own PDUs back until IN_R1/B2, but passes on
 * what its client sends to others: the client has no other C-IN any more, and
 * an ack from there can be what the RPC layer waits for before it takes what
 * the predecessor still has. */
static rpch_server_event event_at(const rpch_server *m, int slot,
                                  const rpch_rts *rts)
{
    rpch_server_event e = event_of(rts);
    bool opens = e == RPCH_SERVER_EV_CONN_B2 || e == RPCH_SERVER_EV_IN_R1_A2;

    if (m->in_at < 0)
        return e;
    if (slot == m->in_at)
        return e == RPCH_SERVER_EV_IN_R1_A2 ? RPCH_SERVER_EV_IN_OTHER : e;
    if (m->in[slot].use == RPCH_SERVER_SUCCESSOR
        && (e == RPCH_SERVER_EV_IN_FORWARD || e == RPCH_SERVER_EV_OUT_A8))
        return e;
    return opens && m->in[slot].use == RPCH_SERVER_NEW
         ? e : RPCH_SERVER_EV_IN_OTHER;
}

static int take_conn_b2(rpch_server *m, int slot, const rpch_rts *rts,
                        rpch_msec now)
{
    rpch_rts_values v;

    rpch_core_read(RPCH_CONN_B2, rts, &v);
    if (m->core.state == RPCH_SERVER_B2W
        && !rpch_cookie_equal(&v.cookie[0], &m->vc))
        return rpch_sv_fail(m, RPCH_E_COOKIE, "CONN/B2 of another connection");
    if (!rpch_window_ok(v.window))
        return rpch_sv_fail(m, RPCH_E_SYNTAX,
                            "CONN/B2: ReceiveWindowSize below 8192");
    if (!rpch_sv_happen(m, RPCH_SERVER_EV_CONN_B2, RPCH_OK, NULL))
        return m->core.status;
    m->vc = v.cookie[0];
    m->in_at = slot;
    m->in[slot].use = RPCH_SERVER_DEFAULT;
    m->in[slot].channel = v.cookie[1];
    m->group = v.group;
    m->address = v.address;
    m->in_window = v.window;
    m->in_timeout = v.timeout;
    rpch_sv_half_opened(m, now);
    return m->core.status;
}

/* IN_R1/A2, 3.2.5.5.5. */
static int take_successor(rpch_server *m, int slot, const rpch_rts *rts,
                          rpch_msec now)
{
    rpch_rts_values v;

    if (!allows(m, RPCH_SERVER_IN_EV_R1_A2))
        return m->core.status;
    rpch_core_read(RPCH_IN_R1_A2, rts, &v);
    if (!rpch_cookie_equal(&v.cookie[0], &m->vc))
        return rpch_sv_fail(m, RPCH_E_COOKIE,
                            "IN_R1/A2 of another connection");
    if (!rpch_cookie_equal(&v.cookie[1], &rpch_sv_in(m)->channel))
        return rpch_sv_fail(m, RPCH_E_COOKIE,
                            "IN_R1/A2 for another IN channel");
    if (!rpch_window_ok(v.window))
        return rpch_sv_fail(m, RPCH_E_SYNTAX,
                            "IN_R1/A2: ReceiveWindowSize below 8192");
    move(m, RPCH_SERVER_IN_EV_R1_A2);
    m->in[slot].use = RPCH_SERVER_SUCCESSOR;
    m->in[slot].channel = v.cookie[2];
    m->in_window = v.window;
    m->in_timeout = v.timeout;
    m->in_deadline = rpch_after(now, m->core.limits.open_timeout);
    rpch_sv_tell_client(m, RPCH_IN_R1_A3, &v);
    rpch_sv_look_at_lifetime(m);
    return m->core.status;
}

/* IN_R1/A6, 3.2.5.5.6, or IN_R2/A2, 3.2.5.5.8: the IN channel's state tells
 * them apart. */
static int take_a6(rpch_server *m, const rpch_rts *rts)
{
    rpch_rts_values v;

    if (!allows(m, RPCH_SERVER_IN_EV_A6))
        return m->core.status;
    rpch_core_read(RPCH_IN_R1_A6, rts, &v);
    if (m->in_state == RPCH_SERVER_IN_OPENED) {
        rpch_sv_in(m)->channel = v.cookie[0];
        m->in_recycled++;
        rpch_sv_tell_client(m, RPCH_IN_R2_A3, &v);
        rpch_sv_look_at_lifetime(m);
        return m->core.status;
    }
    if (!rpch_cookie_equal(&v.cookie[0], &successor(m)->channel))
        return rpch_sv_fail(m, RPCH_E_COOKIE,
                            "IN_R1/A6 for another IN channel");
    move(m, RPCH_SERVER_IN_EV_A6);
    m->in_deadline = RPCH_NEVER;
    return RPCH_OK;
}

/* IN_R1/B1, 3.2.5.5.7. What the predecessor brought and the RPC layer has not
 * consumed is nothing that the successor ever sent. */
static int take_b1(rpch_server *m)
{
    rpch_server_in *s;
    rpch_rts_values v;

    if (!allows(m, RPCH_SERVER_IN_EV_R1_B1))
        return m->core.status;
    move(m, RPCH_SERVER_IN_EV_R1_B1);
    s = successor(m);
    rpch_sv_in(m)->use = RPCH_SERVER_OLD;
    s->use = RPCH_SERVER_DEFAULT;
    m->in_at = (int)(s - m->in);
    m->in_old = m->queued;
    m->in_recycled++;
    memset(&v, 0, sizeof(v));
    v.window = m->core.limits.receive_window;
    rpch_sv_make(m, &s->lane, RPCH_IN_R1_B2, &v, "queued for S-IN");
    return m->core.status;
}

/* 3.2.1.5.2: the same bytes go on; only what reaches the client counts. */
static int forward(rpch_server *m, const rpch_rts *rts, const uint8_t *pdu,
                   size_t len)
{
    rpch_server_out *to;
    rpch_dest dest = RPCH_DEST_CLIENT;
    int rv;

    if (!rpch_sv_happen(m, RPCH_SERVER_EV_IN_FORWARD, RPCH_OK, NULL))
        return m->core.status;
    (void)rpch_rts_destination(rts, &dest);
    to = dest == RPCH_DEST_CLIENT ? rpch_sv_out(m) : rpch_sv_out_for(m, rts);
    /* An old out-proxy that reads no more does not stop its successor; it
     * drains without acks in the end. */
    if (to->use == RPCH_SERVER_OLD && !rpch_lane_has_room(&to->lane))
        return RPCH_OK;
    rv = rpch_lane_put(&to->lane, pdu, len);
    if (rv != RPCH_OK)
        return rpch_sv_fail(m, rv, "the peer takes no RTS PDUs");
    if (dest == RPCH_DEST_CLIENT) {
        rpch_sv_count(m, len);
        rpch_sv_look_at_lifetime(m);
    }
    return m->core.status;
}

int rpch_server_in_rts(rpch_server *m, int slot, const uint8_t *pdu,
                       size_t len, rpch_msec now)
{
    rpch_rts rts;
    rpch_server_event e;

    m->seen = now;
    if (m->core.state == RPCH_SERVER_FINISHED || !rpch_sv_is_slot(slot)
        || m->in[slot].use == RPCH_SERVER_FREE
        || m->in[slot].use == RPCH_SERVER_OLD
        || rpch_sv_decode(m, pdu, len, "received on S-IN", &rts) != RPCH_OK)
        return m->core.status;
    e = event_at(m, slot, &rts);
    if (e == RPCH_SERVER_EV_CONN_B2)
        return take_conn_b2(m, slot, &rts, now);
    if (e == RPCH_SERVER_EV_IN_FORWARD)
        return forward(m, &rts, pdu, len);
    if (!rpch_sv_happen(m, e, RPCH_OK, NULL))
        return m->core.status;
    switch (e) {
    case RPCH_SERVER_EV_IN_R1_A2:
        return take_successor(m, slot, &rts, now);
    case RPCH_SERVER_EV_IN_A6:
        return take_a6(m, &rts);
    case RPCH_SERVER_EV_IN_R1_B1:
        return take_b1(m);
    default: /* RPCH_SERVER_EV_OUT_A8: no other event has a way to here */
        return rpch_sv_take_a8(m, &rts, now);
    }
}

static int pass_rpc(rpch_server *m, int slot, const rpch_cut *cut,
                    rpch_step *step)
{
    bool guest = m->in_at >= 0 && slot != m->in_at;

    if (cut->first && !rpch_sv_happen(m, guest ? RPCH_SERVER_EV_IN_OTHER
                                               : RPCH_SERVER_EV_IN_RPC,
                                      RPCH_OK, NULL))
        return m->core.status;
    rpch_step_pass(step, cut);
    m->queued += cut->len;
    if (cut->last) /* a part of a PDU is nothing to acknowledge */
        rpch_rx_received(&m->in[slot].rx, cut->pdu.frag_len);
    return RPCH_OK;
}

int rpch_server_in_recv(rpch_server *m, int slot, const uint8_t *in,
                        size_t len, rpch_step *step, rpch_msec now)
{
    rpch_cut cut;
    int rv;

    memset(step, 0, sizeof(*step));
    memset(&cut, 0, sizeof(cut));
    if (!rpch_sv_is_slot(slot) || m->in[slot].use == RPCH_SERVER_FREE
        || m->core.state == RPCH_SERVER_FINISHED)
        return m->core.status;
    if (m->in[slot].use == RPCH_SERVER_OLD) {
        step->used = len;
        return RPCH_OK;
    }
    if (!rpch_sv_has_room(m))
        return RPCH_OK;
    rv = rpch_cutter_next(&m->in[slot].cut, in, len, &cut);
    step->used = cut.used;
    if (rv != RPCH_OK)
        return rpch_sv_fail(m, rv, m->in[slot].cut.reason);
    if (cut.kind == RPCH_CUT_RTS)
        return rpch_server_in_rts(m, slot, cut.data, cut.len, now);
    if (cut.kind == RPCH_CUT_RPC)
        return pass_rpc(m, slot, &cut, step);
    return RPCH_OK;
}

void rpch_server_consumed(rpch_server *m, uint32_t pdu_len)
{
    rpch_server_in *s = rpch_sv_in(m);
    rpch_rts_values v;
    uint32_t available;

    m->queued -= pdu_len < m->queued ? pdu_len : m->queued;
    if (m->in_old > 0) {
        m->in_old -= pdu_len < m->in_old ? pdu_len : m->in_old;
        return;
    }
    if (s == NULL || !rpch_rx_consumed(&s->rx, pdu_len, &available)
        || m->core.state != RPCH_SERVER_OPENED)
        return;
    memset(&v, 0, sizeof(v));
    v.ack.bytes_received = s->rx.received;
    v.ack.available_window = available;
    v.ack.cookie = s->channel;
    rpch_sv_make(m, &s->lane, RPCH_FLOW_CONTROL_ACK, &v, "queued for S-IN");
}

void rpch_sv_in_timeout(rpch_server *m, rpch_msec now)
{
    if (now >= m->in_deadline && m->core.state == RPCH_SERVER_OPENED)
        (void)allows(m, RPCH_SERVER_IN_EV_TIMEOUT);
}
