/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load_pair.c - a virtual connection of rpch-load's server: the server role of
 * lib/rpch on its S-IN and S-OUT, paired by the cookie of their first PDU, two
 * of each while channels are recycled.
 */
#include <stdlib.h>
#include <string.h>

#include "load_server.h"

#define BUCKETS 16384u

/* The connection setup timer of 3.2.5.2.1, and how long an old S-OUT is kept
 * for its proxy to drain, ms. */
#define SETUP_TIMEOUT 900000u
#define DRAIN_TIMEOUT 60000u

typedef struct pair {
    struct pair *next;  /* in its bucket */
    load_server *server;
    load_peer *in[RPCH_SERVER_SLOTS];
    load_peer *out[RPCH_SERVER_SLOTS];
    rpch_cookie cookie;
    rpch_server machine;
    load_callee callee;
} pair;

static pair *table[BUCKETS];

static const load_role pair_role;

static pair **bucket_of(const rpch_cookie *cookie)
{
    return &table[(cookie->b[0] | (unsigned)cookie->b[1] << 8) % BUCKETS];
}

static rpch_msec now_of(const pair *v)
{
    return v->server->loop.now / 1000000u;
}

static pair *pair_new(load_server *s, const rpch_cookie *cookie)
{
    pair *v = calloc(1, sizeof(*v)), **bucket = bucket_of(cookie);
    rpch_limits limits;

    if (v == NULL)
        return NULL;
    memset(&limits, 0, sizeof(limits));
    limits.receive_window = (uint32_t)s->o->window;
    limits.open_timeout = SETUP_TIMEOUT;
    limits.recycle_reserve = (uint32_t)s->o->reserve;
    limits.drain_timeout = DRAIN_TIMEOUT;
    v->server = s;
    v->callee.server = s;
    v->cookie = *cookie;
    rpch_server_init(&v->machine, &limits, 0, NULL, NULL, now_of(v));
    v->next = *bucket;
    *bucket = v;
    load_server_count(s, true);
    return v;
}

static pair *pair_find(const rpch_cookie *cookie)
{
    pair *v = *bucket_of(cookie);

    while (v != NULL && !rpch_cookie_equal(&v->cookie, cookie))
        v = v->next;
    return v;
}

/* Gives up a connection, which goes on by itself. */
static void release(load_peer **at)
{
    load_peer *p = *at;

    *at = NULL;
    if (p != NULL)
        load_peer_finish(p);
}

static void pair_free(pair *v)
{
    pair **at = bucket_of(&v->cookie);
    const rpch_core *core = &v->machine.core;
    int i;

    while (*at != v)
        at = &(*at)->next;
    *at = v->next;
    if (core->status != RPCH_E_CLOSED && !v->callee.failed)
        load_errors_add(&v->server->errors, "protocol",
                        core->reason != NULL ? core->reason : "");
    for (i = 0; i < RPCH_SERVER_SLOTS; i++) {
        release(&v->in[i]);
        release(&v->out[i]);
    }
    load_server_count(v->server, false);
    free(v);
}

/* ---- receiving ----------------------------------------------------------------- */

/* Gives the machine what came on a slot; returns how much it took. */
static size_t feed(pair *v, bool is_in, int slot, const uint8_t *p,
                   size_t len)
{
    rpch_server *m = &v->machine;
    rpch_msec now = now_of(v);
    size_t used = 0;
    rpch_step step;
    int rv = RPCH_OK;

    while (used < len && rv == RPCH_OK && !v->callee.failed) {
        rv = is_in ? rpch_server_in_recv(m, slot, p + used, len - used,
                                         &step, now)
                   : rpch_server_out_recv(m, slot, p + used, len - used,
                                          &step, now);
        used += step.used;
        if (rv == RPCH_OK && step.pass != NULL)
            load_callee_take(&v->callee, step.pass, step.pass_len,
                             step.first, step.last);
        if (rv == RPCH_OK && step.last)
            rpch_server_consumed(m, step.pdu_len);
        if (step.used == 0)
            break;
    }
    return rv == RPCH_OK ? used : len;
}

/* Reads a connection as far as the machine wants; true when it has ended. */
static bool receive(pair *v, load_peer *p, bool is_in, int slot)
{
    unsigned want = is_in ? RPCH_WANT_CLIENT_READ : RPCH_WANT_SERVER_READ;
    size_t used;
    ssize_t n = 0;
    int round;

    for (round = 0; round < LOAD_SERVER_ROUNDS; round++) {
        if (rpcd_buf_len(&p->held) > 0) {
            used = feed(v, is_in, slot, rpcd_buf_data(&p->held),
                        rpcd_buf_len(&p->held));
            rpcd_buf_drop(&p->held, used);
        }
        if (rpcd_buf_len(&p->held) > 0
            || !(rpch_server_wants(&v->machine) & want))
            return false;
        n = load_peer_read(p);
        if (n <= 0)
            return n < 0;
        used = feed(v, is_in, slot, load_server_buffer, (size_t)n);
        load_peer_hold(p, load_server_buffer + used, (size_t)n - used);
        if (!p->sock.readable)
            return false;
    }
    load_peer_again(p);
    return false;
}

/* ---- sending -------------------------------------------------------------------- */

/* Puts PDUs of answers into the batch, as many as may go. */
static void put_answers(pair *v, load_batch *b)
{
    uint32_t size;

    while (v->machine.core.state == RPCH_SERVER_OPENED
           && (size = load_callee_size(&v->callee)) > 0
           && load_batch_has_room(b, size)
           && rpch_server_may_send(&v->machine, size)) {
        rpch_server_sent(&v->machine, size);
        load_callee_put(&v->callee, b);
    }
}

/* The next batch of a connection; false when there is nothing. */
static bool fill(pair *v, load_peer *p, bool is_in, int slot)
{
    rpch_lane *lane = rpch_server_lane(&v->machine, is_in, slot);
    load_batch *b = load_sock_batch(&p->sock);
    const uint8_t *rts;
    size_t len;

    if (b == NULL)
        return false;
    rts = rpch_lane_buf(lane, &len);
    if (len > 0 && load_batch_text(b, rts, len))
        rpch_lane_ack(lane, len);
    if (!is_in && slot == (int)rpch_server_out_slot(&v->machine))
        put_answers(v, b);
    if (b->left > 0)
        return true;
    /* What was asked for when a PDU found no room. */
    rts = rpch_lane_buf(lane, &len);
    if (len > 0 && load_batch_text(b, rts, len))
        rpch_lane_ack(lane, len);
    return b->left > 0;
}

static void send_peer(pair *v, load_peer *p, bool is_in, int slot)
{
    int round;

    if (p == NULL)
        return;
    for (round = 0; round < LOAD_SERVER_ROUNDS; round++)
        if (!load_sock_flush(&p->sock) || !fill(v, p, is_in, slot)) {
            load_sock_flush(&p->sock);
            return;
        }
    load_peer_again(p);
}

static void send_all(pair *v)
{
    int i;

    for (i = 0; i < RPCH_SERVER_SLOTS; i++) {
        send_peer(v, v->out[i], false, i);
        send_peer(v, v->in[i], true, i);
    }
}

/* ---- the connection -------------------------------------------------------------- */

/* Lets go of a connection that has ended, or has served and said all. */
static void note_end(pair *v, load_peer **at, bool is_in, int slot,
                     bool ended)
{
    rpch_server *m = &v->machine;

    if (*at == NULL)
        return;
    if (!ended && !(*at)->sock.broken
        && (!rpch_server_over(m, is_in, slot) || load_sock_waits(&(*at)->sock)))
        return;
    if (is_in)
        rpch_server_in_closed(m, slot);
    else
        rpch_server_out_closed(m, slot);
    release(at);
}

/* What could not be read before may be wanted now: a lane has room again. No
 * event tells of it. */
static void look_for_more(const pair *v, load_peer *p, unsigned want)
{
    if (p != NULL && (rpch_server_wants(&v->machine) & want)
        && (p->sock.readable || rpcd_buf_len(&p->held) > 0))
        load_peer_again(p);
}

static void settle_pair(pair *v)
{
    bool in_ended, out_ended;
    int i;

    for (i = 0; i < RPCH_SERVER_SLOTS; i++) {
        out_ended = v->out[i] != NULL && receive(v, v->out[i], false, i);
        note_end(v, &v->out[i], false, i, out_ended);
        in_ended = v->in[i] != NULL && receive(v, v->in[i], true, i);
        note_end(v, &v->in[i], true, i, in_ended);
    }
    if (v->callee.failed)
        rpch_server_fail(&v->machine, RPCH_E_UNEXPECTED, "no request");
    send_all(v);
    for (i = 0; i < RPCH_SERVER_SLOTS; i++) {
        note_end(v, &v->out[i], false, i, false);
        note_end(v, &v->in[i], true, i, false);
        look_for_more(v, v->out[i], RPCH_WANT_SERVER_READ);
        look_for_more(v, v->in[i], RPCH_WANT_CLIENT_READ);
    }
    if (rpch_server_wants(&v->machine) & RPCH_WANT_CLOSE)
        pair_free(v);
}

static void pair_settle(load_peer *p)
{
    settle_pair(p->owner);
}

static void pair_tick(load_peer *p)
{
    pair *v = p->owner;

    if (now_of(v) < rpch_server_deadline(&v->machine))
        return;
    rpch_server_timeout(&v->machine, now_of(v));
    load_peer_again(p);
}

static const load_role pair_role = { pair_settle, pair_tick };

/* A slot for a new connection, or -1. */
static int enter(pair *v, bool is_in)
{
    int slot = rpch_server_enter(&v->machine, is_in), i;

    if (slot >= 0)
        return slot;
    /* an old connection may make room */
    for (i = 0; i < RPCH_SERVER_SLOTS; i++) {
        note_end(v, &v->in[i], true, i, false);
        note_end(v, &v->out[i], false, i, false);
    }
    return rpch_server_enter(&v->machine, is_in);
}

void load_virtual_join(load_peer *p, const rpch_cookie *vc, bool is_in)
{
    pair *v = pair_find(vc);
    int slot;

    if (v == NULL)
        v = pair_new(p->server, vc);
    slot = v != NULL ? enter(v, is_in) : -1;
    if (slot < 0) {
        load_errors_add(&p->server->errors, "protocol",
                        "a connection that has no place");
        load_peer_finish(p);
        return;
    }
    *(is_in ? &v->in[slot] : &v->out[slot]) = p;
    p->owner = v;
    p->role = &pair_role;
    load_peer_again(p);
}
