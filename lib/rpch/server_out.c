/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server_out.c - S-OUT of the server role machine, and the virtual OUT
 * channel: OUT_R1 and OUT_R2, 3.2.5.5.9 to 3.2.5.5.12.
 *
 *   OPENED   nothing is under way
 *   A4W      OUT_R1/A1 was queued for the client; no timer runs until a PDU
 *            has to wait for the successor
 *   A8W      a second S-OUT came with OUT_R1/A4, OUT_R1/A5 was queued; the
 *            connection setup timer runs
 *   R2A8W    OUT_R2/A4 came over the S-OUT, OUT_R2/A5 was queued; likewise
 *
 * Deviation: a new OUT_R2/A4 in R2A8W replaces the successor announced before,
 * which its proxy has lost.
 */
#include <string.h>

#include "rpch/server_private.h"

#define A4W (RPCH_SERVER_OUT_A4W + 1)
#define A8W (RPCH_SERVER_OUT_A8W + 1)
#define R2A8W (RPCH_SERVER_OUT_R2A8W + 1)
#define OPEN (RPCH_SERVER_OUT_OPENED + 1)
#define BUG RPCH_CELL_BUG
#define STAY RPCH_CELL_STAY
#define ERR RPCH_CELL_ERR
#define DROP RPCH_CELL_DROP

/* A third S-OUT has no slot, and no timer runs in OPENED. */
static const signed char
    next[RPCH_SERVER_OUT_EV_MAX][RPCH_SERVER_OUT_STATE_MAX] = {
    /*                               OPENED  A4W    A8W   R2A8W */
    [RPCH_SERVER_OUT_EV_LIFETIME] = { A4W,  DROP,  DROP,  DROP },
    [RPCH_SERVER_OUT_EV_R1_A4] =    { ERR,  A8W,   BUG,   ERR },
    [RPCH_SERVER_OUT_EV_R2_A4] =    { ERR,  R2A8W, ERR,   STAY },
    [RPCH_SERVER_OUT_EV_A8] =       { ERR,  ERR,   OPEN,  OPEN },
    [RPCH_SERVER_OUT_EV_TIMEOUT] =  { BUG,  ERR,   ERR,   ERR },
};

static const char *const state_name[RPCH_SERVER_OUT_STATE_MAX] = {
    "OUT OPENED", "OUT A4W", "OUT A8W", "OUT R2A8W"
};

/* Names of the events, and what is wrong with one whose cell is ERR. */
static const struct {
    const char *name;
    const char *wrong;
} event[RPCH_SERVER_OUT_EV_MAX] = {
    [RPCH_SERVER_OUT_EV_LIFETIME] = { "lifetime nearly used", NULL },
    [RPCH_SERVER_OUT_EV_R1_A4] = { "OUT_R1/A4",
        "OUT_R1/A4 that was not asked for" },
    [RPCH_SERVER_OUT_EV_R2_A4] = { "OUT_R2/A4",
        "OUT_R2/A4 that was not asked for" },
    [RPCH_SERVER_OUT_EV_A8] = { "OUT_R1/A8=OUT_R2/A8",
        "OUT_R1/A8=OUT_R2/A8 without a successor" },
    [RPCH_SERVER_OUT_EV_TIMEOUT] = { "connection setup timer",
        "the OUT channel was not replaced in time" },
};

static const char *name_of_state(int s)
{
    return (unsigned)s < RPCH_SERVER_OUT_STATE_MAX ? state_name[s] : "?";
}

static const char *name_of_event(int e)
{
    return (unsigned)e < RPCH_SERVER_OUT_EV_MAX ? event[e].name : "?";
}

const rpch_machine_table rpch_server_out_table = {
    RPCH_TABLE_SERVER_OUT, "server OUT", RPCH_SERVER_OUT_EV_MAX,
    RPCH_SERVER_OUT_STATE_MAX, &next[0][0], name_of_event, name_of_state
};

static bool allows(rpch_server *m, rpch_server_out_event e)
{
    return rpch_sv_allows(m, &rpch_server_out_table, e, m->out_state,
                          e == RPCH_SERVER_OUT_EV_TIMEOUT ? RPCH_E_TIMEOUT
                                                          : RPCH_E_UNEXPECTED,
                          event[e].wrong);
}

/* The only writer of the OUT channel's state, but for rpch_server_restore. */
static void move(rpch_server *m, rpch_server_out_event e)
{
    m->out_state = rpch_core_next(&m->core, &rpch_server_out_table, e,
                                  m->out_state);
}

/* Which event an RTS PDU on S-OUT is. What the client shall get never comes
 * from its own side, and the out-proxy consumes what is its own. */
static rpch_server_event event_of(const rpch_rts *rts)
{
    rpch_dest dest;

    if (rpch_rts_destination(rts, &dest)) {
        if (dest == RPCH_DEST_IN_PROXY)
            return RPCH_SERVER_EV_OUT_FORWARD;
        if (dest == RPCH_DEST_SERVER
            && rpch_rts_is(rts, RPCH_FLOW_CONTROL_ACK_DEST))
            return RPCH_SERVER_EV_OUT_ACK;
        return RPCH_SERVER_EV_OUT_OTHER;
    }
    if (rpch_rts_is(rts, RPCH_CONN_A2))
        return RPCH_SERVER_EV_CONN_A2;
    if (rpch_rts_is(rts, RPCH_OUT_R1_A4))
        return RPCH_SERVER_EV_OUT_R1_A4;
    if (rpch_rts_is(rts, RPCH_OUT_R2_A4))
        return RPCH_SERVER_EV_OUT_R2_A4;
    if (rpch_rts_is(rts, RPCH_PING_TRAFFIC_SENT_NOTIFY))
        return RPCH_SERVER_EV_PING_NOTIFY;
    if (rpch_rts_is(rts, RPCH_FLOW_CONTROL_ACK))
        return RPCH_SERVER_EV_OUT_ACK;
    return RPCH_SERVER_EV_OUT_OTHER;
}

/* The same, knowing where it came: beside the default S-OUT only a first PDU
 * is legal. */
static rpch_server_event event_at(const rpch_server *m, int slot,
                                  const rpch_rts *rts)
{
    rpch_server_event e = event_of(rts);
    bool opens = e == RPCH_SERVER_EV_CONN_A2 || e == RPCH_SERVER_EV_OUT_R1_A4;

    if (m->out_at < 0)
        return e;
    if (slot == m->out_at)
        return e == RPCH_SERVER_EV_OUT_R1_A4 ? RPCH_SERVER_EV_OUT_OTHER : e;
    return opens && m->out[slot].use == RPCH_SERVER_NEW
         ? e : RPCH_SERVER_EV_OUT_OTHER;
}

/* True when c names the channel of s. While OUT_R2 replaces the cookie of one
 * and the same connection, PDUs with the other one are on their way. */
static bool is_of(const rpch_server_out *s, const rpch_cookie *c)
{
    return rpch_cookie_equal(c, &s->channel)
        || (!rpch_cookie_is_zero(c)
            && (rpch_cookie_equal(c, &s->previous)
                || rpch_cookie_equal(c, &s->coming)));
}

rpch_server_out *rpch_sv_out_for(rpch_server *m, const rpch_rts *rts)
{
    const rpch_cmd *cmd = rpch_rts_find(rts, RPCH_CMD_FLOW_CONTROL_ACK, 0);
    int i;

    for (i = 0; cmd != NULL && i < RPCH_SERVER_SLOTS; i++)
        if (m->out[i].use == RPCH_SERVER_OLD
            && is_of(&m->out[i], &cmd->u.ack.cookie))
            return &m->out[i];
    return rpch_sv_out(m);
}

static int take_conn_a2(rpch_server *m, int slot, const rpch_rts *rts,
                        rpch_msec now)
{
    rpch_server_out *s = &m->out[slot];
    rpch_rts_values v;

    rpch_core_read(RPCH_CONN_A2, rts, &v);
    if (m->core.state == RPCH_SERVER_A2W
        && !rpch_cookie_equal(&v.cookie[0], &m->vc))
        return rpch_sv_fail(m, RPCH_E_COOKIE, "CONN/A2 of another connection");
    if (!rpch_window_ok(v.window))
        return rpch_sv_fail(m, RPCH_E_SYNTAX,
                            "CONN/A2: ReceiveWindowSize below 8192");
    if (!rpch_sv_happen(m, RPCH_SERVER_EV_CONN_A2, RPCH_OK, NULL))
        return m->core.status;
    m->vc = v.cookie[0];
    m->out_at = slot;
    s->use = RPCH_SERVER_DEFAULT;
    s->channel = v.cookie[1];
    s->lifetime = v.lifetime;
    rpch_tx_init(&s->tx, v.window);
    s->tx.off = rpch_sv_is_joined(m);
    rpch_sv_half_opened(m, now);
    return m->core.status;
}

/* OUT_R1/A4, 3.2.5.5.9. Its ConnectionTimeout is for the client to know. */
static int take_successor(rpch_server *m, int slot, const rpch_rts *rts,
                          rpch_msec now)
{
    rpch_server_out *s = &m->out[slot];
    rpch_rts_values v;

    if (!allows(m, RPCH_SERVER_OUT_EV_R1_A4))
        return m->core.status;
    rpch_core_read(RPCH_OUT_R1_A4, rts, &v);
    if (!rpch_cookie_equal(&v.cookie[0], &m->vc))
        return rpch_sv_fail(m, RPCH_E_COOKIE,
                            "OUT_R1/A4 of another connection");
    if (!rpch_cookie_equal(&v.cookie[1], &rpch_sv_out(m)->channel))
        return rpch_sv_fail(m, RPCH_E_COOKIE,
                            "OUT_R1/A4 for another OUT channel");
    if (!rpch_window_ok(v.window))
        return rpch_sv_fail(m, RPCH_E_SYNTAX,
                            "OUT_R1/A4: ReceiveWindowSize below 8192");
    move(m, RPCH_SERVER_OUT_EV_R1_A4);
    s->use = RPCH_SERVER_SUCCESSOR;
    s->channel = v.cookie[2];
    s->lifetime = v.lifetime;
    rpch_tx_init(&s->tx, v.window);
    m->out_deadline = rpch_after(now, m->core.limits.open_timeout);
    rpch_sv_tell_client(m, RPCH_OUT_R1_A5, &v);
    return m->core.status;
}

/* OUT_R2/A4, 3.2.5.5.11. */
static int take_r2_a4(rpch_server *m, const rpch_rts *rts, rpch_msec now)
{
    rpch_rts_values v;

    if (!allows(m, RPCH_SERVER_OUT_EV_R2_A4))
        return m->core.status;
    rpch_core_read(RPCH_OUT_R2_A4, rts, &v);
    move(m, RPCH_SERVER_OUT_EV_R2_A4);
    rpch_sv_out(m)->coming = v.cookie[0];
    m->out_deadline = rpch_after(now, m->core.limits.open_timeout);
    rpch_sv_tell_client(m, RPCH_OUT_R2_A5, &v);
    return m->core.status;
}

/* Makes a PDU without values for the default S-OUT. */
static void tell(rpch_server *m, rpch_pdu_id id)
{
    rpch_rts_values v;

    memset(&v, 0, sizeof(v));
    rpch_sv_tell_client(m, id, &v);
}

/* OUT_R1/A8, 3.2.5.5.10: the other connection is the S-OUT now. */
static int switch_over(rpch_server *m, const rpch_cookie *cookie,
                       rpch_msec now)
{
    rpch_server_out *old = rpch_sv_out(m);
    int i = 0;

    while (i < RPCH_SERVER_SLOTS - 1
           && m->out[i].use != RPCH_SERVER_SUCCESSOR)
        i++;
    if (!rpch_cookie_equal(cookie, &m->out[i].channel))
        return rpch_sv_fail(m, RPCH_E_COOKIE,
                            "OUT_R1/A8 for another OUT channel");
    tell(m, RPCH_OUT_R1_A9);
    move(m, RPCH_SERVER_OUT_EV_A8);
    old->use = RPCH_SERVER_OLD;
    old->deadline = rpch_after(now, m->core.limits.drain_timeout);
    m->out[i].use = RPCH_SERVER_DEFAULT;
    m->out_at = i;
    return m->core.status;
}

/* OUT_R2/A8, 3.2.5.5.12: the connection stays, and its windows with it; the
 * channel's lifetime starts anew. */
static int change_cookie(rpch_server *m, const rpch_cookie *cookie)
{
    rpch_server_out *s = rpch_sv_out(m);

    if (!rpch_cookie_equal(cookie, &s->coming)) {
        tell(m, RPCH_OUT_R2_B2);
        return rpch_sv_fail(m, RPCH_E_COOKIE,
                            "OUT_R2/A8 for another OUT channel");
    }
    tell(m, RPCH_OUT_R2_B1);
    move(m, RPCH_SERVER_OUT_EV_A8);
    s->previous = s->channel;
    s->channel = s->coming;
    memset(&s->coming, 0, sizeof(s->coming));
    s->used = 0;
    m->leaving = rpch_sv_is_joined(m);
    return m->core.status;
}

int rpch_sv_take_a8(rpch_server *m, const rpch_rts *rts, rpch_msec now)
{
    rpch_rts_values v;
    int rv;

    if (!allows(m, RPCH_SERVER_OUT_EV_A8))
        return m->core.status;
    /* OUT_R1/A8 has the fields of OUT_R2/A8. */
    rpch_core_read(RPCH_OUT_R2_A8, rts, &v);
    if (m->out_state == RPCH_SERVER_OUT_A8W)
        rv = switch_over(m, &v.cookie[0], now);
    else
        rv = change_cookie(m, &v.cookie[0]);
    if (rv != RPCH_OK)
        return rv;
    m->out_deadline = RPCH_NEVER;
    m->starved = false;
    m->out_recycled++;
    rpch_sv_look_at_lifetime(m);
    return m->core.status;
}

/* The report is bounded, or a proxy could end any channel by it. */
static int take_notify(rpch_server *m, const rpch_rts *rts, rpch_msec now)
{
    rpch_rts_values v;

    if (!rpch_sv_happen(m, RPCH_SERVER_EV_PING_NOTIFY, RPCH_OK, NULL))
        return m->core.status;
    rpch_core_read(RPCH_PING_TRAFFIC_SENT_NOTIFY, rts, &v);
    if (now - m->notify_since >= RPCH_SV_PING_BYTES_SPAN) {
        m->notify_since = now;
        m->notified = 0;
    }
    if (v.notify > RPCH_SV_PING_BYTES_MAX - m->notified)
        return rpch_sv_fail(m, RPCH_E_UNEXPECTED,
                            "PingTrafficSentNotify above 8 KiB in four "
                            "minutes");
    m->notified += v.notify;
    rpch_sv_count(m, v.notify);
    rpch_sv_look_at_lifetime(m);
    return m->core.status;
}

static int take_ack(rpch_server *m, const rpch_rts *rts)
{
    rpch_server_out *s;
    const rpch_ack *ack;
    int rv;

    if (!rpch_sv_happen(m, RPCH_SERVER_EV_OUT_ACK, RPCH_OK, NULL))
        return m->core.status;
    s = rpch_sv_out(m);
    ack = &rpch_rts_find(rts, RPCH_CMD_FLOW_CONTROL_ACK, 0)->u.ack;
    if (!is_of(s, &ack->cookie))
        return RPCH_OK; /* 3.2.1.5.1.2: of no channel of ours, discard */
    rv = rpch_tx_ack(&s->tx, ack->bytes_received, ack->available_window);
    if (rv != RPCH_OK)
        return rpch_sv_fail(m, rv, "FlowControlAck on S-OUT acknowledges "
                            "bytes that were never sent");
    return RPCH_OK;
}

/* 3.2.1.5.2: the same bytes go on. */
static int forward(rpch_server *m, const uint8_t *pdu, size_t len)
{
    int rv;

    if (!rpch_sv_happen(m, RPCH_SERVER_EV_OUT_FORWARD, RPCH_OK, NULL))
        return m->core.status;
    rv = rpch_lane_put(&rpch_sv_in(m)->lane, pdu, len);
    if (rv != RPCH_OK)
        return rpch_sv_fail(m, rv, "the peer takes no RTS PDUs");
    return RPCH_OK;
}

int rpch_server_out_rts(rpch_server *m, int slot, const uint8_t *pdu,
                        size_t len, rpch_msec now)
{
    rpch_rts rts;
    rpch_server_event e;

    m->seen = now;
    if (m->core.state == RPCH_SERVER_FINISHED || !rpch_sv_is_slot(slot)
        || m->out[slot].use == RPCH_SERVER_FREE
        || m->out[slot].use == RPCH_SERVER_OLD
        || rpch_sv_decode(m, pdu, len, "received on S-OUT", &rts) != RPCH_OK)
        return m->core.status;
    e = event_at(m, slot, &rts);
    switch (e) {
    case RPCH_SERVER_EV_CONN_A2:
        return take_conn_a2(m, slot, &rts, now);
    case RPCH_SERVER_EV_PING_NOTIFY:
        return take_notify(m, &rts, now);
    case RPCH_SERVER_EV_OUT_ACK:
        return take_ack(m, &rts);
    case RPCH_SERVER_EV_OUT_FORWARD:
        return forward(m, pdu, len);
    default:
        break;
    }
    if (!rpch_sv_happen(m, e, RPCH_OK, NULL))
        return m->core.status;
    if (e == RPCH_SERVER_EV_OUT_R1_A4)
        return take_successor(m, slot, &rts, now);
    return take_r2_a4(m, &rts, now);
}

int rpch_server_out_recv(rpch_server *m, int slot, const uint8_t *in,
                         size_t len, rpch_step *step, rpch_msec now)
{
    rpch_cut cut;
    int rv;

    memset(step, 0, sizeof(*step));
    memset(&cut, 0, sizeof(cut));
    if (!rpch_sv_is_slot(slot) || m->out[slot].use == RPCH_SERVER_FREE
        || m->core.state == RPCH_SERVER_FINISHED)
        return m->core.status;
    if (m->out[slot].use == RPCH_SERVER_OLD) {
        step->used = len;
        return RPCH_OK;
    }
    if (!rpch_sv_has_room(m))
        return RPCH_OK;
    rv = rpch_cutter_next(&m->out[slot].cut, in, len, &cut);
    step->used = cut.used;
    if (rv != RPCH_OK)
        return rpch_sv_fail(m, rv, m->out[slot].cut.reason);
    if (cut.kind == RPCH_CUT_RTS)
        return rpch_server_out_rts(m, slot, cut.data, cut.len, now);
    if (cut.kind == RPCH_CUT_RPC)
        rpch_sv_happen(m, RPCH_SERVER_EV_OUT_RPC, RPCH_OK, NULL);
    return m->core.status;
}

void rpch_sv_ask_for_successor(rpch_server *m)
{
    if (!allows(m, RPCH_SERVER_OUT_EV_LIFETIME))
        return;
    move(m, RPCH_SERVER_OUT_EV_LIFETIME);
    tell(m, RPCH_OUT_R1_A1);
}

bool rpch_sv_out_timer_unset(const rpch_server *m)
{
    return m->starved && m->out_state == RPCH_SERVER_OUT_A4W
        && m->out_deadline == RPCH_NEVER && m->core.limits.open_timeout > 0;
}

void rpch_sv_out_timeout(rpch_server *m, rpch_msec now)
{
    if (m->core.state != RPCH_SERVER_OPENED)
        return;
    if (rpch_sv_out_timer_unset(m))
        m->out_deadline = rpch_after(now, m->core.limits.open_timeout);
    else if (now >= m->out_deadline)
        (void)allows(m, RPCH_SERVER_OUT_EV_TIMEOUT);
}
