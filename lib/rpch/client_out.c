/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client_out.c - the virtual OUT channel of the client role: its successors,
 * 3.2.2.5.6 to 3.2.2.5.10.
 *
 * States, and what holds in each:
 *
 *   OPENED    one channel
 *   REQUEST   OUT_Rx/A2 arrived: the caller is asked for a request
 *   A6W       OUT_Rx/A3 is queued on the successor
 *   A10W      OUT_R1/A7 is queued on C-IN
 *   B3W       OUT_R2/C1 is queued on the successor, OUT_R2/A7 on C-IN; the
 *             successor's 200 may come before OUT_R2/B3 does on the old one
 *   RESPONSE  the successor is the current channel; its 200 is missing
 *
 * Until A10 or B3 the old channel is read, and only it, so that the order of
 * RPC PDUs is that in which they were sent.
 */
#include "rpch/client_private.h"

#include <string.h>

/* next state + 1 */
#define OPEN (RPCH_CLIENT_OUT_OPENED + 1)
#define REQ (RPCH_CLIENT_OUT_REQUEST + 1)
#define A6W (RPCH_CLIENT_OUT_A6W + 1)
#define A10W (RPCH_CLIENT_OUT_A10W + 1)
#define B3W (RPCH_CLIENT_OUT_B3W + 1)
#define RESP (RPCH_CLIENT_OUT_RESPONSE + 1)
#define STAY RPCH_CELL_STAY
#define ERR RPCH_CELL_ERR
#define DROP RPCH_CELL_DROP

static const signed char
next[RPCH_CLIENT_OUT_EV_MAX][RPCH_CLIENT_OUT_STATE_MAX] = {
    /*                               OPENED REQUEST  A6W  A10W   B3W RESPONSE */
    [RPCH_CLIENT_OUT_EV_A2]        = {  REQ,  ERR,  ERR,  ERR,  ERR,  ERR },
    [RPCH_CLIENT_OUT_EV_REQUESTED] = { DROP,  A6W, DROP, DROP, DROP, DROP },
    [RPCH_CLIENT_OUT_EV_R1_A6]     = {  ERR,  ERR, A10W,  ERR,  ERR,  ERR },
    [RPCH_CLIENT_OUT_EV_R2_A6]     = {  ERR,  ERR,  B3W,  ERR,  ERR,  ERR },
    [RPCH_CLIENT_OUT_EV_R1_A10]    = {  ERR,  ERR,  ERR, RESP,  ERR,  ERR },
    [RPCH_CLIENT_OUT_EV_R2_B3]     = {  ERR,  ERR,  ERR,  ERR, RESP,  ERR },
    [RPCH_CLIENT_OUT_EV_RESPONSE]  = {  ERR,  ERR,  ERR,  ERR, STAY, OPEN },
    [RPCH_CLIENT_OUT_EV_TIMEOUT]   = { DROP, DROP, STAY, STAY, STAY, STAY },
};

static const char *const state_name[RPCH_CLIENT_OUT_STATE_MAX] = {
    "OUT OPENED", "OUT REQUEST", "OUT A6W", "OUT A10W", "OUT B3W",
    "OUT RESPONSE"
};

static const struct {
    const char *name;
    const char *wrong;
} event[RPCH_CLIENT_OUT_EV_MAX] = {
    [RPCH_CLIENT_OUT_EV_A2] = { "OUT_R1/A2=OUT_R2/A2",
        "OUT_R1/A2=OUT_R2/A2 while the OUT channel is being replaced" },
    [RPCH_CLIENT_OUT_EV_REQUESTED] = { "successor OUT request", NULL },
    [RPCH_CLIENT_OUT_EV_R1_A6] = { "OUT_R1/A6",
        "OUT_R1/A6 that does not follow OUT_R1/A3" },
    [RPCH_CLIENT_OUT_EV_R2_A6] = { "OUT_R2/A6",
        "OUT_R2/A6 that does not follow OUT_R2/A3" },
    [RPCH_CLIENT_OUT_EV_R1_A10] = { "OUT_R1/A10",
        "OUT_R1/A10 that does not follow OUT_R1/A7" },
    [RPCH_CLIENT_OUT_EV_R2_B3] = { "OUT_R2/B3",
        "OUT_R2/B3 that does not follow OUT_R2/A7" },
    [RPCH_CLIENT_OUT_EV_RESPONSE] = { "response 200",
        "a response on the OUT channel that is not due" },
    [RPCH_CLIENT_OUT_EV_TIMEOUT] = { "successor OUT timer", NULL },
};

static const char *name_of_state(int s)
{
    return s >= 0 && s < RPCH_CLIENT_OUT_STATE_MAX ? state_name[s] : "?";
}

static const char *name_of_event(int e)
{
    return e >= 0 && e < RPCH_CLIENT_OUT_EV_MAX ? event[e].name : "?";
}

const rpch_machine_table rpch_client_out_table = {
    RPCH_TABLE_CLIENT_OUT, "client OUT", RPCH_CLIENT_OUT_EV_MAX,
    RPCH_CLIENT_OUT_STATE_MAX, &next[0][0], name_of_event, name_of_state
};

/* Looks the event up and moves; the only writer of out_state. True when the
 * caller is to carry out the event. */
static bool transit(rpch_client *m, rpch_client_out_event e)
{
    int cell = rpch_core_look_up(&m->core, &rpch_client_out_table, e,
                                 m->out_state);

    if (cell == RPCH_CELL_ERR || cell == RPCH_CELL_BUG)
        rpch_client_end(m, cell == RPCH_CELL_ERR ? RPCH_E_UNEXPECTED
                                                 : RPCH_E_BUG, event[e].wrong);
    if (cell <= 0)
        return cell == RPCH_CELL_STAY;
    m->out_state = rpch_core_next(&m->core, &rpch_client_out_table, e,
                                  m->out_state);
    return true;
}

bool rpch_client_out_request(rpch_client *m, const rpch_cookie *cookie,
                             rpch_msec now)
{
    rpch_client_out *out = &m->out[1 - m->out_slot];
    rpch_rts_values v;

    if (out->use == RPCH_CLIENT_OVER
        || !transit(m, RPCH_CLIENT_OUT_EV_REQUESTED))
        return false;
    memset(out, 0, sizeof(*out));
    rpch_cutter_init(&out->cutter, false);
    out->use = RPCH_CLIENT_NEXT;
    out->cookie = *cookie;
    m->out_deadline = rpch_after(now, m->core.limits.open_timeout);

    memset(&v, 0, sizeof(v));
    v.version = RPCH_CLIENT_VERSION;
    v.cookie[0] = m->cookies.vc;
    v.cookie[1] = m->out[m->out_slot].cookie;
    v.cookie[2] = *cookie;
    v.window = m->core.limits.receive_window;
    (void)rpch_core_make(&m->core, &out->body, RPCH_OUT_R1_A3, &v,
                         "queued for the successor OUT request");
    return true;
}

/* The last 24 of the 120 bytes of a successor's body. */
static void make_end(rpch_client *m, rpch_client_out *out, rpch_pdu_id id)
{
    rpch_rts_values v;

    memset(&v, 0, sizeof(v));
    (void)rpch_core_make(&m->core, &out->body, id, &v,
                         "queued for the successor OUT request");
}

static void make_a7(rpch_client *m, rpch_pdu_id id)
{
    rpch_rts_values v;

    memset(&v, 0, sizeof(v));
    v.cookie[0] = m->out[1 - m->out_slot].cookie;
    v.version = RPCH_CLIENT_VERSION;
    rpch_client_in_make(m, id, &v);
}

/* Goes on with the successor. Its window is its own: what the predecessor
 * brought and nobody has consumed yet is not of it. */
static void switch_over(rpch_client *m)
{
    bool off = m->rx.off;

    m->out[m->out_slot].use = RPCH_CLIENT_OVER;
    m->out_slot = 1 - m->out_slot;
    m->out[m->out_slot].use = RPCH_CLIENT_CURRENT;
    rpch_rx_init(&m->rx, m->core.limits.receive_window);
    m->rx.off = off;
    m->stale = m->queued;
}

/* The successor is the current channel and has answered. */
static void go_on(rpch_client *m)
{
    m->out_deadline = RPCH_NEVER;
}

static void take_a6(rpch_client *m, rpch_client_out_event ev)
{
    if (ev == RPCH_CLIENT_OUT_EV_R1_A6) {
        make_a7(m, RPCH_OUT_R1_A7);
        return;
    }
    /* 3.2.2.5.8 has C1 after A7, FreeRDP before it; they travel apart. */
    make_end(m, &m->out[1 - m->out_slot], RPCH_OUT_R2_C1);
    make_a7(m, RPCH_OUT_R2_A7);
}

static void take_last(rpch_client *m, rpch_client_out_event ev)
{
    switch_over(m);
    if (ev == RPCH_CLIENT_OUT_EV_R1_A10) {
        make_end(m, &m->out[m->out_slot], RPCH_OUT_R1_A11);
        m->counts.out_r1++;
        return;
    }
    m->counts.out_r2++;
    if (m->out[m->out_slot].responded
        && transit(m, RPCH_CLIENT_OUT_EV_RESPONSE))
        go_on(m);
}

int rpch_client_out_take(rpch_client *m, rpch_client_out_event ev)
{
    if (!transit(m, ev))
        return m->core.status;
    if (ev == RPCH_CLIENT_OUT_EV_R1_A6 || ev == RPCH_CLIENT_OUT_EV_R2_A6)
        take_a6(m, ev);
    else if (ev != RPCH_CLIENT_OUT_EV_A2)
        take_last(m, ev);
    return m->core.status;
}

int rpch_client_out_answered(rpch_client *m, unsigned slot)
{
    rpch_client_out *out = &m->out[slot];

    if (!transit(m, RPCH_CLIENT_OUT_EV_RESPONSE))
        return m->core.status;
    if (out->responded)
        return rpch_client_end(m, RPCH_E_UNEXPECTED,
                               event[RPCH_CLIENT_OUT_EV_RESPONSE].wrong);
    out->responded = true;
    if (m->out_state == RPCH_CLIENT_OUT_OPENED)
        go_on(m);
    return RPCH_OK;
}

void rpch_client_out_expired(rpch_client *m)
{
    if (transit(m, RPCH_CLIENT_OUT_EV_TIMEOUT))
        rpch_client_end(m, RPCH_E_TIMEOUT, "the successor OUT channel did not "
                        "open in time");
}

unsigned rpch_client_out_slot(const rpch_client *m)
{
    return m->out_slot;
}

const uint8_t *rpch_client_body_buf(const rpch_client *m, unsigned slot,
                                    size_t *len)
{
    return rpch_lane_buf(&m->out[slot].body, len);
}

void rpch_client_body_ack(rpch_client *m, unsigned slot, size_t len)
{
    rpch_lane_ack(&m->out[slot].body, len);
}
