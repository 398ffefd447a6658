/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_server.c - the server role: up to two connections in each direction,
 * from proxies that may say anything; joined, it moves between processes.
 *
 * The highest bit of an operation chooses the slot, where it is one for a
 * slot.
 */
#include "fuzz_check.h"
#include "rpch/server_image.h"

const char fuzz_target[] = "server";

enum {
    OP_IN_FEED, OP_OUT_FEED, OP_IN_RTS, OP_OUT_RTS, OP_ENTER_IN, OP_ENTER_OUT,
    OP_IN_RPC, OP_SEND, OP_CONSUME, OP_FLUSH_IN, OP_FLUSH_OUT, OP_TIME,
    OP_OVER, OP_IN_RAW, OP_OUT_RAW, OP_SPENT, OP_MOVE, OP_FORGE,
    OP_IN_CLOSE, OP_OUT_CLOSE, OP_FAIL, OP_MAX
};

/* One TCP connection: what it has sent, and what it is sent. */
typedef struct conn {
    fuzz_sink sink;
    rpch_cutter ear;
    fuzz_window win; /* S-OUT */
    bool up;
} conn;

static fuzz_stream in[RPCH_SERVER_SLOTS], out[RPCH_SERVER_SLOTS];
static const rpch_machine_table *tables[] = {
    &rpch_server_table, &rpch_server_in_table, &rpch_server_out_table, NULL
};

static struct {
    rpch_server m;
    fuzz_sticky sticky;
    fuzz_queue q[RPCH_SERVER_SLOTS]; /* RPC PDUs, as they arrive */
    fuzz_queue done;                 /* and in that order */
    uint64_t have;                   /* bytes not consumed */
    conn in[RPCH_SERVER_SLOTS];
    conn out[RPCH_SERVER_SLOTS];
    unsigned flags;
    rpch_limits limits;
    uint64_t spent;                  /* joined: bytes of C-OUT */
    rpch_msec now;
} f;

static bool joined(void)
{
    return (f.flags & RPCH_JOINED) != 0;
}

static void check(void)
{
    unsigned wants = rpch_server_wants(&f.m), i;
    bool end;

    fuzz_check_core(&f.sticky, &f.m.core, RPCH_SERVER_FINISHED);
    end = f.sticky.finished;
    fuzz_check(!end || wants == RPCH_WANT_CLOSE);
    fuzz_check(end || !(wants & RPCH_WANT_CLOSE));
    fuzz_check(end || f.m.queued == f.have);
    fuzz_check(f.m.in_old <= f.m.queued);
    fuzz_check(f.m.in_at >= -1 && f.m.in_at < RPCH_SERVER_SLOTS);
    fuzz_check(f.m.out_at >= -1 && f.m.out_at < RPCH_SERVER_SLOTS);
    fuzz_check(f.m.core.state != RPCH_SERVER_OPENED
               || (f.m.in_at >= 0 && f.m.out_at >= 0));
    for (i = 0; i < RPCH_SERVER_SLOTS; i++) {
        fuzz_check_lane(&f.m.in[i].lane);
        fuzz_check_lane(&f.m.out[i].lane);
        fuzz_check_tx(&f.m.out[i].tx);
    }
}

static void start(rpch_server *m)
{
    rpch_server_init(m, &f.limits, f.flags & RPCH_JOINED,
                     f.flags & 0x80 ? fuzz_log : NULL, NULL, f.now);
    rpch_core_watch(&m->core, fuzz_visit, tables);
}

/* Books what the out-proxy says of its window. */
static void hear(unsigned i, const uint8_t *b, size_t len)
{
    rpch_server_out *s;
    const char *reason;
    rpch_rts_values v;
    rpch_cut cut;
    rpch_rts rts;
    size_t at = 0;

    do {
        if (rpch_cutter_next(&f.out[i].ear, b + at, len - at, &cut)
            != RPCH_OK)
            return;
        at += cut.used;
        if (cut.kind != RPCH_CUT_RTS
            || rpch_rts_decode(cut.data, cut.len, &rts, &reason) != RPCH_OK)
            continue;
        memset(&v, 0, sizeof(v));
        if (rpch_rts_read(RPCH_CONN_A2, &rts, &v) == RPCH_OK
            || rpch_rts_read(RPCH_OUT_R1_A4, &rts, &v) == RPCH_OK)
            fuzz_opened(&f.out[i].win, v.window);
        s = &f.m.out[rpch_server_out_slot(&f.m)];
        if (fuzz_is_ack(&rts, RPCH_DEST_SERVER, &v)
            && !rpch_cookie_is_zero(&v.ack.cookie)
            && (rpch_cookie_equal(&v.ack.cookie, &s->channel)
                || rpch_cookie_equal(&v.ack.cookie, &s->previous)
                || rpch_cookie_equal(&v.ack.cookie, &s->coming)))
            fuzz_acked(&f.out[rpch_server_out_slot(&f.m)].win, &v.ack);
    } while (cut.kind != RPCH_CUT_NONE);
}

/* Takes slices of an S-IN; whole PDUs go to the RPC layer in order. */
static void take(fuzz_queue *q, const rpch_step *step)
{
    fuzz_enqueue(q, step);
    f.have += step->pass_len;
    if (step->pass == NULL || !step->last)
        return;
    f.done.pdu[f.done.n].len = f.done.pdu[f.done.n].have = step->pdu_len;
    f.done.n++;
    f.done.bytes += step->pdu_len;
    (void)fuzz_dequeue(q);
}

static void feed(bool is_in, unsigned i, size_t n)
{
    fuzz_stream *s = is_in ? &in[i] : &out[i];
    unsigned want = is_in ? RPCH_WANT_CLIENT_READ : RPCH_WANT_SERVER_READ;
    const uint8_t *own = fuzz_lend(s, n);
    size_t at = 0;
    rpch_step step;
    bool wanted;

    do {
        if (f.done.n == FUZZ_QUEUE_MAX)
            break;
        wanted = (rpch_server_wants(&f.m) & want) != 0;
        if (is_in)
            (void)rpch_server_in_recv(&f.m, (int)i, own + at, n - at, &step,
                                      f.now);
        else
            (void)rpch_server_out_recv(&f.m, (int)i, own + at, n - at,
                                       &step, f.now);
        fuzz_check_step(&step, n - at);
        fuzz_check(is_in || step.pass == NULL);
        if (is_in)
            take(&f.q[i], &step);
        else
            hear(i, own + at, step.used);
        at += step.used;
        check();
        fuzz_check(!wanted || step.used > 0 || at == n || f.sticky.finished);
    } while (step.used > 0 && at < n);
    fuzz_drop(s, at);
}

/* Writes n bytes of a lane; joined: all of them, as PDUs stay whole there. */
static void flush(bool is_in, unsigned i, size_t n)
{
    rpch_lane *lane = rpch_server_lane(&f.m, is_in, (int)i);
    size_t len;
    const uint8_t *b;

    fuzz_check(lane != NULL);
    b = rpch_lane_buf(lane, &len);
    if (b == NULL)
        return;
    n = n < len && !joined() ? n : len;
    fuzz_sink_rts(is_in ? &f.in[i].sink : &f.out[i].sink, b, n);
    rpch_lane_ack(lane, n);
    check();
}

static void enter(bool is_in)
{
    int i = rpch_server_enter(&f.m, is_in);
    conn *c;

    check();
    fuzz_check(i >= -1 && i < RPCH_SERVER_SLOTS);
    if (i < 0)
        return;
    c = is_in ? &f.in[i] : &f.out[i];
    fuzz_check(!joined() && !f.sticky.finished && !c->up);
    memset(c, 0, sizeof(*c));
    rpch_cutter_init(&c->sink.cutter, false);
    rpch_cutter_init(&c->ear, false);
    c->up = true;
    (is_in ? &in[i] : &out[i])->len = 0;
    if (is_in)
        f.q[i].n = f.q[i].bytes = 0;
}

/* What a caller asks of the first bytes of a connection. */
static void classify(const fuzz_stream *s, size_t n)
{
    rpch_cookie vc;
    bool is_in;
    int rc = rpch_server_classify(fuzz_lend(s, n), n, &is_in, &vc);

    fuzz_check(rc == RPCH_OK || rc == RPCH_AGAIN || rc == RPCH_E_SYNTAX
               || rc == RPCH_E_UNEXPECTED);
    fuzz_check(rc != RPCH_OK || n >= 20);
}

static void closed(bool is_in, unsigned i)
{
    conn *c = is_in ? &f.in[i] : &f.out[i];

    if (!c->up)
        return;
    c->up = joined();
    if (is_in)
        rpch_server_in_closed(&f.m, (int)i);
    else
        rpch_server_out_closed(&f.m, (int)i);
    check();
    /* No S-IN that is replaced leaves a part of a PDU. */
    fuzz_check(!is_in || f.sticky.finished || f.q[i].n == 0);
}

static void send_rpc(rpch_reader *r)
{
    uint32_t n = rpch_get_le16(r);
    unsigned i;

    n = n & 0x8000 ? n & 0x7fff : n % 2048;
    if (n < RPCH_PDU_HEADER_SIZE)
        n = RPCH_PDU_HEADER_SIZE;
    if (joined() || !rpch_server_may_send(&f.m, n)) {
        check();
        return;
    }
    check();
    i = rpch_server_out_slot(&f.m);
    fuzz_check(rpch_server_lifetime_left(&f.m) >= n);
    flush(false, i, SIZE_MAX);
    fuzz_sink_rpc(&f.out[i].sink);
    fuzz_check_send(&f.out[i].win, &f.m.out[i].tx, n);
    rpch_server_sent(&f.m, n);
    check();
}

static void consume(void)
{
    uint32_t len;

    if (f.done.n == 0)
        return;
    len = fuzz_dequeue(&f.done);
    f.have -= len;
    rpch_server_consumed(&f.m, len);
}

/* One whole PDU, beside the payload. */
static void rts(bool is_in, unsigned i, rpch_reader *r)
{
    rpch_ack ack = { (uint32_t)f.out[i].win.sent, 65536,
                     f.m.out[i].channel };
    unsigned want = is_in ? RPCH_WANT_CLIENT_READ : RPCH_WANT_SERVER_READ;
    uint8_t pdu[RPCH_RTS_SIZE_MAX];
    size_t len;

    if (!joined()) {
        fuzz_put_rts(is_in ? &in[i] : &out[i], r, &ack);
        return;
    }
    len = fuzz_rts(r, &ack, pdu);
    if (!(rpch_server_wants(&f.m) & want))
        return;
    if (is_in)
        (void)rpch_server_in_rts(&f.m, 0, pdu, len, f.now);
    else
        (void)rpch_server_out_rts(&f.m, 0, pdu, len, f.now);
}

/* Closes what has served. */
static void over(void)
{
    unsigned i;

    for (i = 0; i < RPCH_SERVER_SLOTS; i++) {
        if (rpch_server_over(&f.m, true, (int)i)) {
            flush(true, i, SIZE_MAX);
            closed(true, i);
            fuzz_check(!rpch_server_over(&f.m, true, (int)i));
        }
        if (rpch_server_over(&f.m, false, (int)i)) {
            flush(false, i, SIZE_MAX);
            closed(false, i);
            fuzz_check(!rpch_server_over(&f.m, false, (int)i));
        }
    }
}

/* The joined role goes to another process. */
static void move(void)
{
    rpch_server before = f.m;
    rpch_server_image image;
    rpch_server m;

    if (!joined() || f.sticky.finished)
        return;
    rpch_server_save(&f.m, &image, f.now);
    start(&m);
    fuzz_check(rpch_server_restore(&m, &image, f.now) == RPCH_OK);
    f.m = m;
    f.m.core.visit = before.core.visit;
    f.spent = 0;
    check();
    fuzz_check(f.m.core.state == before.core.state);
    fuzz_check(f.m.in_state == before.in_state);
    fuzz_check(f.m.out_state == before.out_state);
    fuzz_check(rpch_server_wants(&f.m) == rpch_server_wants(&before));
    /* That a PDU waits, and starts a timer, is told again by the caller. */
    fuzz_check(before.starved
               || (rpch_server_deadline(&f.m) == RPCH_NEVER)
                  == (rpch_server_deadline(&before) == RPCH_NEVER));
}

/* An image with a few bytes changed is none, or is one of a sane machine. */
static void forge(rpch_reader *r)
{
    rpch_server_image image;
    rpch_server m, fresh;
    unsigned n = rpch_get_u8(r) % 8;
    size_t at;

    if (!joined() || f.sticky.finished)
        return;
    rpch_server_save(&f.m, &image, f.now);
    for (; n > 0; n--) {
        at = rpch_get_le16(r) % sizeof(image);
        ((uint8_t *)&image)[at] ^= rpch_get_u8(r);
    }
    /* What decodes an image makes truth values of them. */
    *(uint8_t *)&image.has_in &= 1;
    *(uint8_t *)&image.has_out &= 1;
    *(uint8_t *)&image.address.ipv6 &= 1;
    start(&m);
    fresh = m;
    if (rpch_server_restore(&m, &image, f.now) != RPCH_OK) {
        fuzz_check(memcmp(&m, &fresh, sizeof(m)) == 0);
        return;
    }
    fuzz_check(m.core.state >= 0 && m.core.state < RPCH_SERVER_FINISHED);
    fuzz_check(m.in_state < RPCH_SERVER_IN_STATE_MAX);
    fuzz_check(m.out_state < RPCH_SERVER_OUT_STATE_MAX);
    fuzz_check(!(rpch_server_wants(&m) & RPCH_WANT_CLOSE));
    rpch_server_spent(&m, 1000, false);
    if (rpch_server_deadline(&m) != RPCH_NEVER)
        (void)rpch_server_timeout(&m, rpch_server_deadline(&m));
    fuzz_check_lane(&m.in[0].lane);
    fuzz_check_lane(&m.out[0].lane);
}

static void timers(unsigned i)
{
    f.now += fuzz_span(i);
    if (rpch_server_deadline(&f.m) > f.now)
        return;
    (void)rpch_server_timeout(&f.m, f.now);
    fuzz_check(rpch_server_deadline(&f.m) > f.now);
}

static void operate(unsigned op, rpch_reader *r)
{
    unsigned i = op >> 7, n;

    switch ((op & 0x7f) % OP_MAX) {
    case OP_IN_FEED:
    case OP_OUT_FEED:
        n = (op & 0x7f) % OP_MAX == OP_IN_FEED;
        classify(n ? &in[i] : &out[i], (n ? &in[i] : &out[i])->len);
        if ((n ? &f.in[i] : &f.out[i])->up && !joined())
            feed(n, i, fuzz_cut(r, (n ? &in[i] : &out[i])->len));
        break;
    case OP_IN_RTS: rts(true, i, r); break;
    case OP_OUT_RTS: rts(false, i, r); break;
    case OP_ENTER_IN: enter(true); break;
    case OP_ENTER_OUT: enter(false); break;
    case OP_IN_RPC: fuzz_put_rpc(&in[i], r); break;
    case OP_SEND: send_rpc(r); break;
    case OP_CONSUME: consume(); break;
    case OP_FLUSH_IN: flush(true, i, rpch_get_u8(r)); break;
    case OP_FLUSH_OUT: flush(false, i, rpch_get_u8(r)); break;
    case OP_TIME: timers(rpch_get_u8(r)); break;
    case OP_OVER: over(); break;
    case OP_IN_RAW: fuzz_put_raw(&in[i], r); break;
    case OP_OUT_RAW: fuzz_put_raw(&out[i], r); break;
    case OP_SPENT:
        f.spent += rpch_get_le16(r);
        if (joined())
            rpch_server_spent(&f.m, f.spent, i != 0);
        break;
    case OP_MOVE: move(); break;
    case OP_FORGE: forge(r); break;
    case OP_IN_CLOSE: closed(true, i); break;
    case OP_OUT_CLOSE: closed(false, i); break;
    default: rpch_server_fail(&f.m, RPCH_E_POLICY, "the input"); break;
    }
    check();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    rpch_reader r = rpch_reader_of(data, size);
    unsigned ops, i;

    memset(&f, 0, sizeof(f));
    f.flags = rpch_get_u8(&r);
    f.limits = fuzz_limits(rpch_get_u8(&r));
    f.now = 1000;
    for (i = 0; i < RPCH_SERVER_SLOTS; i++) {
        in[i].len = out[i].len = 0;
        rpch_cutter_init(&f.in[i].sink.cutter, false);
        rpch_cutter_init(&f.out[i].sink.cutter, false);
        f.in[i].up = f.out[i].up = joined() && i == 0;
    }
    start(&f.m);
    check();
    for (ops = 0; ops < FUZZ_OPS_MAX && r.pos < r.len; ops++)
        operate(rpch_get_u8(&r), &r);
    rpch_server_fail(&f.m, RPCH_E_POLICY, "the end");
    check();
    fuzz_check(f.sticky.finished);
    return 0;
}
