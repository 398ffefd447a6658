/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load_virtual.c - a virtual connection of rpch-load: the client role of
 * lib/rpch and its RPC_IN_DATA and RPC_OUT_DATA requests.
 */
#include <string.h>
#include <sys/random.h>

#include "load_channel.h"

/* Body lengths of OUT requests, 2.1.2.1.2. */
#define OUT_FIRST 76u
#define OUT_SUCCESSOR 120u

typedef struct virtual {
    load_conn conn; /* first */
    rpch_client machine;
    load_channel *in[RPCH_CLIENT_SLOTS];
    load_channel *out[RPCH_CLIENT_SLOTS];
    bool opened;
} virtual;

static rpch_msec now_of(const load_conn *c)
{
    return load_conn_loop(c)->now / 1000000u;
}

static void random_cookie(load_conn *c, rpch_cookie *cookie)
{
    if (getrandom(cookie->b, sizeof(cookie->b), 0)
        != (ssize_t)sizeof(cookie->b))
        load_conn_fail(c, "resources", "no random numbers");
}

static void open_request(virtual *v, bool is_in, unsigned slot, uint64_t len)
{
    load_channel **at = is_in ? &v->in[slot] : &v->out[slot];

    *at = load_channel_open(&v->conn, true,
                            is_in ? LOAD_REQUEST_IN : LOAD_REQUEST_OUT, slot,
                            is_in ? load_conn_options(&v->conn)->in_lifetime
                                  : len);
}

static void virtual_start(load_conn *c)
{
    const load_options *o = load_conn_options(c);
    virtual *v = (virtual *)c;
    rpch_client_cookies cookies;
    rpch_limits limits;

    memset(&limits, 0, sizeof(limits));
    limits.receive_window = (uint32_t)o->window;
    limits.channel_lifetime = (uint32_t)o->in_lifetime;
    limits.ping_interval = RPCH_TIMEOUT_MAX;
    limits.open_timeout = o->timeout * 1000u;
    limits.recycle_reserve = RPCH_RECYCLE_IN_DEFAULT;
    memset(&cookies, 0, sizeof(cookies));
    random_cookie(c, &cookies.vc);
    random_cookie(c, &cookies.in);
    random_cookie(c, &cookies.out);
    random_cookie(c, &cookies.group);
    rpch_client_init(&v->machine, &limits, &cookies, 0, NULL, NULL,
                     now_of(c));
    open_request(v, true, 0, 0);
    if (!c->failed)
        open_request(v, false, 0, OUT_FIRST);
}

/* ---- receiving ------------------------------------------------------------- */

/* Gives the machine what came; returns how much it took. */
static size_t feed(virtual *v, unsigned slot, const uint8_t *p, size_t len)
{
    rpch_client *m = &v->machine;
    load_conn *c = &v->conn;
    rpch_msec now = now_of(c);
    size_t used = 0;
    rpch_step step;

    while (used < len && !c->failed && slot == rpch_client_out_slot(m)
           && (rpch_client_wants(m) & RPCH_WANT_SERVER_READ)) {
        if (rpch_client_out_recv(m, slot, p + used, len - used, &step, now)
            != RPCH_OK || step.used == 0)
            break;
        used += step.used;
        if (step.pass != NULL
            && !load_conn_take(c, step.pass, step.pass_len, step.first,
                               step.last))
            break;
        if (step.last)
            rpch_client_consumed(m, step.pdu_len);
    }
    return used;
}

/* Feeds what is held; true when nothing of it is left. */
static bool feed_held(virtual *v, unsigned slot)
{
    load_channel *ch = v->out[slot];
    size_t n;

    if (rpcd_buf_len(&ch->held) > 0 && ch->status != 0) {
        n = feed(v, slot, rpcd_buf_data(&ch->held), rpcd_buf_len(&ch->held));
        rpcd_buf_drop(&ch->held, n);
    }
    return rpcd_buf_len(&ch->held) == 0 || ch->status == 0;
}

/* Its head is always read. */
static bool wants_out(const virtual *v, unsigned slot)
{
    return v->out[slot]->status == 0
        || (slot == rpch_client_out_slot(&v->machine)
            && (rpch_client_wants(&v->machine) & RPCH_WANT_SERVER_READ));
}

static void read_out(virtual *v, unsigned slot)
{
    load_channel *ch = v->out[slot];
    load_conn *c = &v->conn;
    int round, status;
    ssize_t n = 0;

    for (round = 0; round < LOAD_ROUNDS && !c->failed; round++) {
        if (!feed_held(v, slot) || !ch->sock.readable || !wants_out(v, slot))
            break;
        status = ch->status;
        n = load_channel_read(ch);
        if (status == 0 && ch->status != 0)
            rpch_client_response(&v->machine, slot, ch->status, now_of(c));
        if (n > 0) {
            size_t used = feed(v, slot, load_buffer, (size_t)n);

            load_channel_hold(ch, load_buffer + used, (size_t)n - used);
        }
    }
    if (round == LOAD_ROUNDS)
        load_conn_again(c);
    if (!c->failed && (n < 0 || (ch->sock.eof
                                 && rpcd_buf_len(&ch->held) == 0))) {
        rpch_client_out_closed(&v->machine, slot);
        load_channel_close(ch);
        v->out[slot] = NULL;
    }
}

/* An IN request is answered only when it fails, or when it has ended. */
static void read_in(virtual *v, unsigned slot)
{
    load_channel *ch = v->in[slot];
    ssize_t n;

    do {
        n = load_channel_read(ch);
    } while (n > 0);
    if (v->conn.failed || (n == 0 && !ch->sock.eof))
        return;
    rpch_client_in_closed(&v->machine, slot);
    load_channel_close(ch);
    v->in[slot] = NULL;
}

/* ---- sending --------------------------------------------------------------- */

/* Puts RPC PDUs into the batch, as many as may go. */
static void put_pdus(virtual *v, load_batch *b)
{
    load_conn *c = &v->conn;
    uint32_t frag = (uint32_t)load_conn_options(c)->frag, size;

    while (v->machine.core.state == RPCH_CLIENT_OPENED
           && (size = load_sender_size(&c->sender, frag)) > 0
           && load_batch_has_room(b, size)
           && rpch_client_may_send(&v->machine, size)) {
        rpch_client_sent(&v->machine, size, now_of(c));
        load_batch_put(b, &c->sender, frag);
    }
}

/* The next batch of a request; false when there is nothing. */
static bool fill(virtual *v, load_channel *ch)
{
    bool is_in = ch->request == LOAD_REQUEST_IN;
    rpch_client *m = &v->machine;
    load_batch *b = load_sock_batch(&ch->sock);
    const uint8_t *p;
    size_t len;

    if (b == NULL) {
        load_conn_fail(&v->conn, "resources", "no memory");
        return false;
    }
    if (!load_channel_ask(ch, b))
        return false;
    p = is_in ? rpch_client_in_buf(m, ch->slot, &len)
              : rpch_client_body_buf(m, ch->slot, &len);
    if (len > 0 && load_batch_text(b, p, len)) {
        if (is_in)
            rpch_client_in_ack(m, ch->slot, len, now_of(&v->conn));
        else
            rpch_client_body_ack(m, ch->slot, len);
    }
    if (is_in && ch->slot == rpch_client_in_slot(m))
        put_pdus(v, b);
    if (b->left > 0)
        v->conn.since = load_conn_loop(&v->conn)->now;
    return b->left > 0;
}

static void send_channel(virtual *v, load_channel *ch)
{
    int round;

    if (ch == NULL || ch->sock.connecting)
        return;
    for (round = 0; round < LOAD_ROUNDS; round++)
        if (!load_sock_flush(&ch->sock) || !fill(v, ch) || v->conn.failed) {
            load_sock_flush(&ch->sock); /* gives an empty batch back */
            return;
        }
    load_conn_again(&v->conn);
}

/* ---- the connection -------------------------------------------------------- */

/* Parts from predecessors that have sent all. */
static void end_predecessors(virtual *v)
{
    rpch_client *m = &v->machine;
    unsigned slot;

    for (slot = 0; slot < RPCH_CLIENT_SLOTS; slot++) {
        if (v->in[slot] != NULL && rpch_client_over(m, true, slot)
            && !load_sock_waits(&v->in[slot]->sock)) {
            load_channel_linger(v->in[slot]);
            v->in[slot] = NULL;
            rpch_client_in_closed(m, slot);
        }
        if (v->out[slot] != NULL && rpch_client_over(m, false, slot)) {
            load_channel_linger(v->out[slot]);
            v->out[slot] = NULL;
            rpch_client_out_closed(m, slot);
        }
    }
}

static void open_successor(virtual *v, bool is_in)
{
    rpch_cookie cookie;
    int slot;

    random_cookie(&v->conn, &cookie);
    slot = rpch_client_requested(&v->machine, is_in, &cookie,
                                 now_of(&v->conn));
    if (slot >= 0)
        open_request(v, is_in, (unsigned)slot, OUT_SUCCESSOR);
}

static void look_at_wants(virtual *v)
{
    const rpch_core *core = &v->machine.core;
    unsigned wants = rpch_client_wants(&v->machine);

    if (wants & RPCH_WANT_IN_REQUEST)
        open_successor(v, true);
    if ((wants & RPCH_WANT_OUT_REQUEST) && !v->conn.failed)
        open_successor(v, false);
    if (wants & RPCH_WANT_CLOSE)
        load_conn_fail(&v->conn,
                       core->status == RPCH_E_CLOSED ? "closed"
                       : core->status == RPCH_E_TIMEOUT ? "timeout"
                       : "protocol",
                       core->reason != NULL ? core->reason : "");
}

static void receive(virtual *v)
{
    unsigned slot;

    for (slot = 0; slot < RPCH_CLIENT_SLOTS && !v->conn.failed; slot++) {
        if (v->out[slot] != NULL && load_channel_advance(v->out[slot]))
            read_out(v, slot);
        if (!v->conn.failed && v->in[slot] != NULL
            && load_channel_advance(v->in[slot])
            && (v->in[slot]->sock.readable || v->in[slot]->sock.broken))
            read_in(v, slot);
    }
}

/* What could not be read before may be wanted now: another slot has become
 * the current one, or a lane has room again. No event tells of it. */
static void look_for_more(virtual *v)
{
    const load_channel *ch;
    unsigned slot;

    for (slot = 0; slot < RPCH_CLIENT_SLOTS; slot++) {
        ch = v->out[slot];
        if (ch != NULL && !ch->sock.connecting && wants_out(v, slot)
            && (ch->sock.readable
                || (ch->status != 0 && rpcd_buf_len(&ch->held) > 0)))
            load_conn_again(&v->conn);
    }
}

static void virtual_work(load_conn *c)
{
    virtual *v = (virtual *)c;
    unsigned slot;

    receive(v);
    if (!c->failed && !v->opened
        && v->machine.core.state == RPCH_CLIENT_OPENED) {
        v->opened = true;
        load_conn_opened(c);
    }
    for (slot = 0; slot < RPCH_CLIENT_SLOTS && !c->failed; slot++) {
        send_channel(v, v->in[slot]);
        if (!c->failed)
            send_channel(v, v->out[slot]);
    }
    if (c->failed)
        return;
    end_predecessors(v);
    look_at_wants(v);
    look_for_more(v);
}

static void virtual_tick(load_conn *c)
{
    virtual *v = (virtual *)c;
    rpch_msec now = now_of(c);

    if (now < rpch_client_deadline(&v->machine))
        return;
    rpch_client_timeout(&v->machine, now);
    load_conn_work(c);
}

static void virtual_stop(load_conn *c)
{
    virtual *v = (virtual *)c;
    unsigned slot;

    for (slot = 0; slot < RPCH_CLIENT_SLOTS; slot++) {
        load_channel_close(v->in[slot]);
        load_channel_close(v->out[slot]);
        v->in[slot] = v->out[slot] = NULL;
    }
}

static void virtual_count(const load_conn *c, rpch_client_counts *to)
{
    const rpch_client_counts *n = &((const virtual *)c)->machine.counts;

    to->in_r1 += n->in_r1;
    to->in_r2 += n->in_r2;
    to->out_r1 += n->out_r1;
    to->out_r2 += n->out_r2;
    to->pings_sent += n->pings_sent;
    to->pings_received += n->pings_received;
}

const load_kind load_virtual_kind = {
    sizeof(virtual), virtual_start, virtual_work, virtual_tick, virtual_stop,
    virtual_count
};
