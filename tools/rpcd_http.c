/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rpcd_http.c - ncacn_http, the server role of MS-RPCH 3.2.5: TCP
 * connections, S-IN and S-OUT, are paired by the cookie of their first PDU
 * and are one association together. While a channel is recycled there are two
 * of its direction, each in a slot of the machine.
 *
 * A virtual connection lives from its first half on and ends when its
 * machine does; it is freed in settle() only. Its TCP connections, and
 * those that were replaced before, go on as connections that linger. One
 * whose first PDU is no RTS PDU is of version 1, and like ncacn_ip_tcp.
 */
#include "rpcd_conn.h"

#include <stdlib.h>

#include "rpcd_rpc.h"

#include "rpch/server.h"

#define BUCKETS 4096u

/* A connection must have said what it is by then, ms. */
#define FIRST_PDU_TIMEOUT 60000u

/* The connection setup timer of 3.2.5.2.1, ms. */
#define SETUP_TIMEOUT 900000u

/* How long an old S-OUT is kept for its proxy to drain, ms. */
#define DRAIN_TIMEOUT 60000u

/* Rounds of moving bytes between the two halves in one turn. */
#define ROUNDS 8

#define BANNER "ncacn_http/1.0"

typedef struct virtual {
    struct virtual *next; /* in its bucket */
    rpcd_loop *loop;
    rpcd_conn *in[RPCH_SERVER_SLOTS];  /* each S-IN, or NULL */
    rpcd_conn *out[RPCH_SERVER_SLOTS]; /* each S-OUT, or NULL */
    unsigned long id;     /* for the log: a cookie is a secret */
    rpch_cookie cookie;
    rpch_server machine;
    rpcd_assoc assoc;
} virtual;

/* Every virtual connection by cookie; they are bounded by the descriptors. */
static virtual *table[BUCKETS];

static virtual **bucket_of(const rpch_cookie *cookie)
{
    return &table[(cookie->b[0] | cookie->b[1] << 8) % BUCKETS];
}

static void log_line(void *baton, int level, const char *what,
                     const char *detail)
{
    const virtual *v = baton;

    if (level == RPCH_LOG_TRACE1)
        fprintf(v->loop->config->log, "vc %lu: %s: %s\n", v->id, what,
                detail != NULL ? detail : "");
}

/* Consuming a PDU may queue an ack. */
static bool may_take(void *baton)
{
    virtual *v = baton;

    return rpch_lane_has_reserve(rpch_server_lane(&v->machine, true,
                                                  v->machine.in_at));
}

static void taken(void *baton, uint32_t pdu_len)
{
    virtual *v = baton;

    rpch_server_consumed(&v->machine, pdu_len);
}

static virtual *virtual_new(rpcd_conn *c, const rpch_cookie *cookie)
{
    static unsigned long last_id;
    const rpcd_config *config = c->loop->config;
    virtual *v = calloc(1, sizeof(*v));
    virtual **bucket = bucket_of(cookie);
    rpch_limits limits;

    if (v == NULL)
        return NULL;
    memset(&limits, 0, sizeof(limits));
    limits.receive_window = config->window;
    limits.open_timeout = SETUP_TIMEOUT;
    limits.recycle_reserve = config->lifetime_reserve;
    limits.drain_timeout = DRAIN_TIMEOUT;
    rpch_server_init(&v->machine, &limits, 0,
                     config->log != NULL ? log_line : NULL, v, c->loop->now);
    rpcd_rpc_init(&v->assoc, config->max_call, c->port);
    v->assoc.may_take = may_take;
    v->assoc.taken = taken;
    v->assoc.baton = v;
    v->loop = c->loop;
    v->id = ++last_id;
    v->cookie = *cookie;
    v->next = *bucket;
    *bucket = v;
    return v;
}

static virtual *virtual_find(const rpch_cookie *cookie)
{
    virtual *v = *bucket_of(cookie);

    while (v != NULL && !rpch_cookie_equal(&v->cookie, cookie))
        v = v->next;
    return v;
}

/* Gives up a connection of v, which goes on by itself. */
static void release(rpcd_conn **at)
{
    rpcd_conn *c = *at;

    *at = NULL;
    if (c != NULL)
        rpcd_conn_finish(c);
}

static void virtual_free(virtual *v)
{
    virtual **at = bucket_of(&v->cookie);
    const rpch_server *m = &v->machine;
    int i;

    while (*at != v)
        at = &(*at)->next;
    *at = v->next;
    if (v->loop->config->log != NULL)
        fprintf(v->loop->config->log,
                "vc %lu: ended: %s: %s; recycled: %u IN, %u OUT\n", v->id,
                rpch_status_name(m->core.status),
                m->core.reason != NULL ? m->core.reason : "",
                m->in_recycled, m->out_recycled);
    for (i = 0; i < RPCH_SERVER_SLOTS; i++) {
        release(&v->in[i]);
        release(&v->out[i]);
    }
    rpcd_rpc_free(&v->assoc);
    free(v);
}

/* The slot of one of the connections in at. */
static int slot_of(rpcd_conn *const at[RPCH_SERVER_SLOTS], const rpcd_conn *c)
{
    int slot = 0;

    while (slot < RPCH_SERVER_SLOTS - 1 && at[slot] != c)
        slot++;
    return slot;
}

/* ---- S-IN ---------------------------------------------------------------- */

static size_t in_input(rpcd_conn *c, const uint8_t *p, size_t len)
{
    virtual *v = c->owner;
    int slot = slot_of(v->in, c);
    size_t used = 0;
    rpch_step step;
    int rv = RPCH_OK;

    while (used < len && rv == RPCH_OK) {
        rv = rpch_server_in_recv(&v->machine, slot, p + used, len - used,
                                 &step, c->loop->now);
        used += step.used;
        if (step.pass != NULL)
            rpcd_rpc_feed(&v->assoc, step.pass, step.pass_len);
        if (step.used == 0)
            break;
    }
    return rv == RPCH_OK ? used : len;
}

static bool in_wants_input(const rpcd_conn *c)
{
    const virtual *v = c->owner;

    return rpcd_buf_len(&c->held) == 0
        && (rpch_server_wants(&v->machine) & RPCH_WANT_CLIENT_READ) != 0;
}

static size_t lane_output(rpch_lane *lane, uint8_t *out)
{
    size_t len;
    const uint8_t *p = rpch_lane_buf(lane, &len);

    if (len > 0) {
        memcpy(out, p, len);
        rpch_lane_ack(lane, len);
    }
    return len;
}

static size_t in_output(rpcd_conn *c, uint8_t *out, size_t room)
{
    virtual *v = c->owner;

    return lane_output(rpch_server_lane(&v->machine, true, slot_of(v->in, c)),
                       out);
}

/* ---- S-OUT --------------------------------------------------------------- */

static size_t out_input(rpcd_conn *c, const uint8_t *p, size_t len)
{
    virtual *v = c->owner;
    int slot = slot_of(v->out, c);
    size_t used = 0;
    rpch_step step;
    int rv = RPCH_OK;

    while (used < len && rv == RPCH_OK) {
        rv = rpch_server_out_recv(&v->machine, slot, p + used, len - used,
                                  &step, c->loop->now);
        used += step.used;
        if (step.used == 0)
            break;
    }
    return rv == RPCH_OK ? used : len;
}

static bool out_wants_input(const rpcd_conn *c)
{
    const virtual *v = c->owner;

    return rpcd_buf_len(&c->held) == 0
        && (rpch_server_wants(&v->machine) & RPCH_WANT_SERVER_READ) != 0;
}

/* What the machine makes after a PDU was sent, the last words to an old
 * channel among it, is in the next output: the PDU goes first. */
static size_t out_output(rpcd_conn *c, uint8_t *out, size_t room)
{
    virtual *v = c->owner;
    rpch_server *m = &v->machine;
    int slot = slot_of(v->out, c);
    size_t n = lane_output(rpch_server_lane(m, false, slot), out);
    uint32_t size;

    while (m->core.state == RPCH_SERVER_OPENED
           && slot == (int)rpch_server_out_slot(m)) {
        size = rpcd_rpc_pending(&v->assoc);
        if (size == 0 || size > room - n || !rpch_server_may_send(m, size))
            break;
        rpcd_rpc_write(&v->assoc, out + n);
        rpch_server_sent(m, size);
        n += size;
    }
    /* A PDU that finds no room in the lifetime has the machine ask for a
     * successor: nothing else would write that. */
    return n > 0 ? n : lane_output(rpch_server_lane(m, false, slot), out);
}

/* ---- both ---------------------------------------------------------------- */

static bool has_ended(const rpcd_conn *c)
{
    return c != NULL && (c->eof || c->gone);
}

/* True when the connection in that slot has served, and its last bytes are on
 * their way. */
static bool is_served(virtual *v, rpcd_conn *c, bool is_in, int slot)
{
    size_t left;

    if (c == NULL || !rpch_server_over(&v->machine, is_in, slot))
        return false;
    rpcd_conn_move(c);
    rpch_lane_buf(rpch_server_lane(&v->machine, is_in, slot), &left);
    return left == 0 || c->gone;
}

/* Tells the machine which connections have ended, and lets go of those that
 * it can do without. */
static void note_closes(virtual *v)
{
    rpch_server *m = &v->machine;
    int i;

    for (i = 0; i < RPCH_SERVER_SLOTS; i++) {
        if (has_ended(v->in[i]) || is_served(v, v->in[i], true, i)) {
            rpch_server_in_closed(m, i);
            release(&v->in[i]);
        }
        if (has_ended(v->out[i]) || is_served(v, v->out[i], false, i)) {
            rpch_server_out_closed(m, i);
            release(&v->out[i]);
        }
    }
}

static void note_ends(virtual *v)
{
    rpch_server *m = &v->machine;

    if (v->loop->now >= rpch_server_deadline(m))
        rpch_server_timeout(m, v->loop->now);
    note_closes(v);
    if (rpcd_rpc_is_over(&v->assoc))
        rpch_server_fail(m, RPCH_E_UNEXPECTED,
                         "the RPC association has ended");
}

/* Moves what can be moved between all of them; true when something did. */
static bool move_all(virtual *v)
{
    bool moved = false;
    int i;

    for (i = 0; i < RPCH_SERVER_SLOTS; i++) {
        if (v->out[i] != NULL)
            moved = rpcd_conn_move(v->out[i]) || moved;
        if (v->in[i] != NULL)
            moved = rpcd_conn_move(v->in[i]) || moved;
    }
    return moved;
}

static bool is_finished(const virtual *v)
{
    return (rpch_server_wants(&v->machine) & RPCH_WANT_CLOSE) != 0;
}

static void watch(const virtual *v, rpcd_conn *c)
{
    if (c == NULL)
        return;
    c->deadline = rpch_server_deadline(&v->machine);
    rpcd_conn_watch(c);
}

static void watch_all(virtual *v, bool more)
{
    int i;

    for (i = 0; i < RPCH_SERVER_SLOTS; i++) {
        if (v->out[i] != NULL)
            v->out[i]->more = v->out[i]->more || more;
        watch(v, v->in[i]);
        watch(v, v->out[i]);
    }
}

static void settle(virtual *v)
{
    bool moved = true;
    int i;

    note_ends(v);
    /* Answers and what makes room for them go by turns. */
    for (i = 0; i < ROUNDS && moved && !is_finished(v); i++) {
        moved = move_all(v);
        note_ends(v);
    }
    if (!is_finished(v)) {
        watch_all(v, moved);
        note_ends(v);
    }
    if (is_finished(v)) {
        move_all(v); /* what the machine said last */
        virtual_free(v);
    }
}

static void http_settle(rpcd_conn *c)
{
    settle(c->owner);
}

static const rpcd_conn_ops in_ops = {
    in_input, in_wants_input, in_output, http_settle
};

static const rpcd_conn_ops out_ops = {
    out_input, out_wants_input, out_output, http_settle
};

/* ---- a connection whose first PDU is not there yet ----------------------- */

/* c belongs to v from now on. False when v has no place for it. */
static bool attach(virtual *v, rpcd_conn *c, bool is_in)
{
    int slot = rpch_server_enter(&v->machine, is_in);

    if (slot < 0) {
        note_closes(v); /* an old connection may have made room */
        slot = rpch_server_enter(&v->machine, is_in);
    }
    if (slot < 0)
        return false;
    c->owner = v;
    if (is_in) {
        v->in[slot] = c;
        c->ops = &in_ops;
    } else {
        v->out[slot] = c;
        c->ops = &out_ops;
    }
    return true;
}

/* True when the first PDU says that c is of version 1: an RPC PDU, 3. */
static bool is_version1(const rpcd_conn *c)
{
    const char *reason;
    rpch_pdu pdu;

    return rpch_pdu_parse(rpcd_buf_data(&c->held), rpcd_buf_len(&c->held),
                          &pdu, &reason) == RPCH_OK
        && pdu.ptype != RPCH_PTYPE_RTS;
}

/* Version 1: behind the banner an association like that of ncacn_ip_tcp,
 * 3.1.3.4.1. */
static void become_association(rpcd_conn *c)
{
    c->deadline = RPCH_NEVER;
    if (rpcd_tcp_accept(c))
        c->ops->settle(c);
    else
        rpcd_conn_finish(c);
}

/* Looks at what is held, attaches c when its first PDU is there. */
static void classify(rpcd_conn *c)
{
    rpch_cookie cookie;
    virtual *v;
    bool is_in;
    int rv;

    if (is_version1(c)) {
        become_association(c);
        return;
    }
    rv = rpch_server_classify(rpcd_buf_data(&c->held),
                              rpcd_buf_len(&c->held), &is_in, &cookie);
    if (rv == RPCH_AGAIN) {
        rpcd_conn_watch(c);
        return;
    }
    v = rv == RPCH_OK ? virtual_find(&cookie) : NULL;
    if (rv == RPCH_OK && v == NULL)
        v = virtual_new(c, &cookie);
    if (v == NULL || !attach(v, c, is_in))
        rpcd_conn_finish(c);
    if (v != NULL)
        settle(v);
}

/* Everything stays held until the half is known. */
static size_t new_input(rpcd_conn *c, const uint8_t *p, size_t len)
{
    return 0;
}

static bool new_wants_input(const rpcd_conn *c)
{
    return true;
}

static size_t new_output(rpcd_conn *c, uint8_t *out, size_t room)
{
    return 0;
}

static void new_settle(rpcd_conn *c)
{
    rpcd_conn_move(c);
    if (c->gone || c->eof || c->loop->now >= c->deadline)
        rpcd_conn_finish(c);
    else
        classify(c);
}

static const rpcd_conn_ops new_ops = {
    new_input, new_wants_input, new_output, new_settle
};

bool rpcd_http_accept(rpcd_conn *c)
{
    c->ops = &new_ops;
    c->deadline = c->loop->now + FIRST_PDU_TIMEOUT;
    return !c->loop->config->banner
        || rpcd_buf_add(&c->rest, BANNER, strlen(BANNER));
}
