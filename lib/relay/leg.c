/* SPDX-License-Identifier: Apache-2.0 */
/* leg.c - legs and joined server roles as bytes: every field by itself, and
 * read back only when it is one that could have been written */
#include "relay/leg.h"

#include <string.h>

#include "rpch/pdu.h"
#include "rpch/wire.h"

/* A sender may overrun a window, and is stopped long before this. */
#define OVERRUN_MAX ((int64_t)UINT32_MAX)
/* So is a queue. */
#define MOVED_MAX 0x40000000u
/* So that sums with it stay in 64 bits; no connection gets there. */
#define SENT_MAX ((uint64_t)1 << 62)

static void put_bool(rpch_writer *w, bool v)
{
    rpch_put_u8(w, v ? 1 : 0);
}

/* Anything but 0 and 1 turns the reader bad. */
static bool get_bool(rpch_reader *r)
{
    uint8_t v = rpch_get_u8(r);
    if (v > 1)
        r->bad = true;
    return v == 1;
}

static void put_cookie(rpch_writer *w, const rpch_cookie *c)
{
    rpch_put_bytes(w, c->b, sizeof(c->b));
}

static void get_bytes(rpch_reader *r, void *out, size_t n)
{
    const uint8_t *p = rpch_take(r, n);
    if (p)
        memcpy(out, p, n);
}

static void get_cookie(rpch_reader *r, rpch_cookie *c)
{
    get_bytes(r, c->b, sizeof(c->b));
}

static void put_blob(rpch_writer *w, const uint8_t *p, size_t n)
{
    rpch_put_le16(w, (uint16_t)n);
    rpch_put_bytes(w, p, n);
}

/* Reads at most room bytes to out; returns how many. */
static size_t get_blob(rpch_reader *r, uint8_t *out, size_t room)
{
    size_t n = rpch_get_le16(r);
    if (n > room)
        r->bad = true;
    get_bytes(r, out, n);
    return r->bad ? 0 : n;
}

static void put_tx(rpch_writer *w, const rpch_tx *t)
{
    rpch_put_le32(w, t->window);
    rpch_put_le32(w, t->avail);
    rpch_put_le64(w, t->sent);
    rpch_put_le64(w, t->edge);
    put_bool(w, t->off);
}

static void get_tx(rpch_reader *r, rpch_tx *t)
{
    t->window = rpch_get_le32(r);
    t->avail = rpch_get_le32(r);
    t->sent = rpch_get_le64(r);
    t->edge = rpch_get_le64(r);
    t->off = get_bool(r);
}

static void put_rx(rpch_writer *w, const rpch_rx *x)
{
    rpch_put_le64(w, (uint64_t)x->window);
    rpch_put_le64(w, (uint64_t)x->avail);
    rpch_put_le64(w, (uint64_t)x->advertised);
    rpch_put_le32(w, x->received);
    rpch_put_le32(w, x->largest);
    put_bool(w, x->off);
}

static void get_rx(rpch_reader *r, rpch_rx *x)
{
    x->window = (int64_t)rpch_get_le64(r);
    x->avail = (int64_t)rpch_get_le64(r);
    x->advertised = (int64_t)rpch_get_le64(r);
    x->received = rpch_get_le32(r);
    x->largest = rpch_get_le32(r);
    x->off = get_bool(r);
}

static bool tx_ok(const rpch_tx *t)
{
    return t->window >= RPCH_WINDOW_MIN && t->window <= RPCH_WINDOW_MAX
        && t->avail <= t->window && t->sent <= SENT_MAX
        && t->edge <= t->sent + t->window;
}

/* Our own window; what is configured may be below RPCH_WINDOW_MIN. */
static bool rx_ok(const rpch_rx *x)
{
    return x->window >= 1 && x->window <= (int64_t)UINT32_MAX
        && x->avail <= x->window && x->avail >= -OVERRUN_MAX
        && x->advertised <= x->window && x->advertised >= -OVERRUN_MAX
        && x->largest <= RPCH_PDU_SIZE_MAX;
}

static const char *judge_in(const rpch_in_leg *in)
{
    if (!tx_ok(&in->tx))
        return "send window out of range";
    if (in->keepalive < RPCH_KEEPALIVE_MIN)
        return "keep-alive out of range";
    if (in->window == 0)
        return "receive window out of range";
    if (in->queued > MOVED_MAX || in->begun > RPCH_PDU_SIZE_MAX
        || in->begun > in->queued || in->begun_left > in->begun
        || (in->begun > 0) != (in->begun_left > 0))
        return "bytes queued out of range";
    return in->lane_len > sizeof(in->lane)
        || in->tail_len > sizeof(in->tail) ? "length out of range" : NULL;
}

/* Why leg is none that a machine releases, or NULL. */
static const char *judge(const relay_leg *leg)
{
    const rpch_out_leg *out = &leg->u.out;

    if (leg->dir == RELAY_IN)
        return judge_in(&leg->u.in);
    if (leg->dir != RELAY_OUT)
        return "direction out of range";
    if (!rx_ok(&out->rx))
        return "receive window out of range";
    if (out->lifetime == 0 || out->lifetime > RPCH_LIFETIME_MAX)
        return "lifetime out of range";
    if (out->moved > MOVED_MAX)
        return "bytes moved out of range";
    return out->lane_len > sizeof(out->lane)
        || out->tail_len > sizeof(out->tail) ? "length out of range" : NULL;
}

static int written(const rpch_writer *w, size_t *len)
{
    if (w->bad)
        return RPCH_E_ROOM;
    *len = w->pos;
    return RPCH_OK;
}

int relay_leg_encode(const relay_leg *leg, uint8_t *out, size_t room,
                     size_t *len)
{
    rpch_writer w = rpch_writer_of(out, room);
    const rpch_in_leg *i = &leg->u.in;
    const rpch_out_leg *o = &leg->u.out;

    *len = 0;
    if (judge(leg))
        return RPCH_E_VALUE;
    rpch_put_u8(&w, RELAY_LEG_VERSION);
    rpch_put_u8(&w, (uint8_t)leg->dir);
    put_cookie(&w, leg->dir == RELAY_IN ? &i->vc : &o->vc);
    put_cookie(&w, leg->dir == RELAY_IN ? &i->predecessor : &o->predecessor);
    put_cookie(&w, leg->dir == RELAY_IN ? &i->successor : &o->successor);
    if (leg->dir == RELAY_IN) {
        put_cookie(&w, &i->group);
        put_tx(&w, &i->tx);
        rpch_put_le32(&w, i->keepalive);
        rpch_put_le32(&w, i->window);
        rpch_put_le32(&w, (uint32_t)i->queued);
        rpch_put_le32(&w, i->begun);
        rpch_put_le32(&w, i->begun_left);
        put_blob(&w, i->lane, i->lane_len);
        put_blob(&w, i->tail, i->tail_len);
    } else {
        put_rx(&w, &o->rx);
        rpch_put_le32(&w, o->lifetime);
        rpch_put_le32(&w, o->moved);
        put_blob(&w, o->lane, o->lane_len);
        put_blob(&w, o->tail, o->tail_len);
    }
    return written(&w, len);
}

/* True when a well-formed encoding ends here; a wrong byte and a missing one
 * are not told apart. */
static bool read_whole(const rpch_reader *r)
{
    return !r->bad && r->pos == r->len;
}

static void decode_in(rpch_reader *r, rpch_in_leg *i)
{
    get_cookie(r, &i->vc);
    get_cookie(r, &i->predecessor);
    get_cookie(r, &i->successor);
    get_cookie(r, &i->group);
    get_tx(r, &i->tx);
    i->keepalive = rpch_get_le32(r);
    i->window = rpch_get_le32(r);
    i->queued = rpch_get_le32(r);
    i->begun = rpch_get_le32(r);
    i->begun_left = rpch_get_le32(r);
    i->lane_len = get_blob(r, i->lane, sizeof(i->lane));
    i->tail_len = get_blob(r, i->tail, sizeof(i->tail));
}

static void decode_out(rpch_reader *r, rpch_out_leg *o)
{
    get_cookie(r, &o->vc);
    get_cookie(r, &o->predecessor);
    get_cookie(r, &o->successor);
    get_rx(r, &o->rx);
    o->lifetime = rpch_get_le32(r);
    o->moved = rpch_get_le32(r);
    o->lane_len = get_blob(r, o->lane, sizeof(o->lane));
    o->tail_len = get_blob(r, o->tail, sizeof(o->tail));
}

int relay_leg_decode(const uint8_t *in, size_t len, relay_dir dir,
                     relay_leg *leg, const char **reason)
{
    rpch_reader r = rpch_reader_of(in, len);

    memset(leg, 0, sizeof(*leg));
    leg->dir = dir;
    *reason = NULL;
    if (rpch_get_u8(&r) != RELAY_LEG_VERSION) {
        *reason = "another version";
    } else if (rpch_get_u8(&r) != dir) {
        *reason = "a leg of the other direction";
    } else {
        if (dir == RELAY_IN)
            decode_in(&r, &leg->u.in);
        else
            decode_out(&r, &leg->u.out);
        *reason = read_whole(&r) ? judge(leg) : "not a whole leg";
    }
    if (!*reason)
        return RPCH_OK;
    memset(leg, 0, sizeof(*leg));
    return RPCH_E_SYNTAX;
}

bool relay_leg_has_tail(const relay_leg *leg, uint32_t bytes)
{
    const rpch_in_leg *in = &leg->u.in;

    return leg->dir == RELAY_OUT
        || in->queued - in->begun + in->begun_left == bytes;
}

/* A lane of a role is handed on PDU by PDU. */
static bool whole_pdus(const uint8_t *p, size_t n)
{
    rpch_cutter c;
    rpch_cut cut;

    rpch_cutter_init(&c, false);
    while (n > 0) {
        if (rpch_cutter_next(&c, p, n, &cut) != RPCH_OK
            || cut.kind != RPCH_CUT_RTS)
            return false;
        p += cut.used;
        n -= cut.used;
    }
    return true;
}

/* Why image is none that a joined role is saved as, or NULL. */
static const char *judge_role(const rpch_server_image *i)
{
    if (i->state < 0 || i->state >= RPCH_SERVER_FINISHED
        || i->in_state < 0 || i->in_state >= RPCH_SERVER_IN_STATE_MAX
        || i->out_state < 0 || i->out_state >= RPCH_SERVER_OUT_STATE_MAX)
        return "state out of range";
    if (i->to_in_len > sizeof(i->to_in) || i->to_out_len > sizeof(i->to_out))
        return "length out of range";
    if (!whole_pdus(i->to_in, i->to_in_len)
        || !whole_pdus(i->to_out, i->to_out_len))
        return "a lane that holds no whole RTS PDUs";
    return NULL;
}

static void put_address(rpch_writer *w, const rpch_address *a)
{
    put_bool(w, a->ipv6);
    rpch_put_bytes(w, a->addr, sizeof(a->addr));
}

int relay_leg_encode_role(const rpch_server_image *image, uint8_t *out,
                          size_t room, size_t *len)
{
    rpch_writer w = rpch_writer_of(out, room);

    *len = 0;
    if (judge_role(image))
        return RPCH_E_VALUE;
    rpch_put_u8(&w, RELAY_LEG_VERSION);
    rpch_put_u8(&w, (uint8_t)image->state);
    rpch_put_u8(&w, (uint8_t)image->in_state);
    rpch_put_u8(&w, (uint8_t)image->out_state);
    put_cookie(&w, &image->vc);
    put_cookie(&w, &image->group);
    put_cookie(&w, &image->in_channel);
    put_cookie(&w, &image->out_channel);
    put_cookie(&w, &image->out_previous);
    put_cookie(&w, &image->out_coming);
    put_address(&w, &image->address);
    put_bool(&w, image->has_in);
    put_bool(&w, image->has_out);
    rpch_put_le32(&w, image->in_window);
    rpch_put_le32(&w, image->in_timeout);
    rpch_put_le32(&w, image->out_lifetime);
    rpch_put_le32(&w, image->notified);
    rpch_put_le64(&w, image->out_used);
    rpch_put_le64(&w, image->setup_span);
    rpch_put_le64(&w, image->out_span);
    rpch_put_le64(&w, image->notify_age);
    rpch_put_le32(&w, image->in_recycled);
    rpch_put_le32(&w, image->out_recycled);
    put_blob(&w, image->to_in, image->to_in_len);
    put_blob(&w, image->to_out, image->to_out_len);
    return written(&w, len);
}

static void decode_role(rpch_reader *r, rpch_server_image *image)
{
    image->state = rpch_get_u8(r);
    image->in_state = rpch_get_u8(r);
    image->out_state = rpch_get_u8(r);
    get_cookie(r, &image->vc);
    get_cookie(r, &image->group);
    get_cookie(r, &image->in_channel);
    get_cookie(r, &image->out_channel);
    get_cookie(r, &image->out_previous);
    get_cookie(r, &image->out_coming);
    image->address.ipv6 = get_bool(r);
    get_bytes(r, image->address.addr, sizeof(image->address.addr));
    image->has_in = get_bool(r);
    image->has_out = get_bool(r);
    image->in_window = rpch_get_le32(r);
    image->in_timeout = rpch_get_le32(r);
    image->out_lifetime = rpch_get_le32(r);
    image->notified = rpch_get_le32(r);
    image->out_used = rpch_get_le64(r);
    image->setup_span = rpch_get_le64(r);
    image->out_span = rpch_get_le64(r);
    image->notify_age = rpch_get_le64(r);
    image->in_recycled = rpch_get_le32(r);
    image->out_recycled = rpch_get_le32(r);
    image->to_in_len = get_blob(r, image->to_in, sizeof(image->to_in));
    image->to_out_len = get_blob(r, image->to_out, sizeof(image->to_out));
}

int relay_leg_decode_role(const uint8_t *in, size_t len,
                          rpch_server_image *image, const char **reason)
{
    rpch_reader r = rpch_reader_of(in, len);

    memset(image, 0, sizeof(*image));
    *reason = NULL;
    if (rpch_get_u8(&r) != RELAY_LEG_VERSION) {
        *reason = "another version";
    } else {
        decode_role(&r, image);
        *reason = read_whole(&r) ? judge_role(image) : "not a whole role";
    }
    if (!*reason)
        return RPCH_OK;
    memset(image, 0, sizeof(*image));
    return RPCH_E_SYNTAX;
}
