/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_inbound.c - the inbound proxy: two machines, so that each can be the
 * other's successor.
 *
 * The highest bit of an operation chooses the machine.
 */
#include "fuzz_check.h"
#include "rpch/inbound.h"

const char fuzz_target[] = "inbound";

enum {
    OP_CLIENT_FEED, OP_SERVER_FEED, OP_CLIENT_RPC, OP_CLIENT_RTS,
    OP_SERVER_RTS, OP_ADVANCE, OP_SEND, OP_FLUSH, OP_TIME, OP_CLIENT_RAW,
    OP_SERVER_RAW, OP_BANNER, OP_ATTACH, OP_DETACH, OP_ADOPT, OP_CLIENT_CLOSE,
    OP_SERVER_CLOSE, OP_FAIL, OP_RENEW, OP_MAX
};

/* One channel, and what its caller and its server know of it. */
typedef struct party {
    rpch_inbound m;
    fuzz_sticky sticky;
    fuzz_queue q;
    fuzz_window win;
    fuzz_sink sink;   /* bytes for the server */
    rpch_cutter ear;  /* bytes of the server that the machine has taken */
} party;

static fuzz_stream client[2], server[2];

static struct {
    party p[2];
    unsigned flags;
    rpch_limits limits;
    rpch_msec now;
    const rpch_machine_table *tables[2];
} f;

static unsigned index_of(const party *p)
{
    return p == &f.p[1];
}

static void check(party *p)
{
    unsigned wants = rpch_inbound_wants(&p->m);
    bool end;

    fuzz_check_core(&p->sticky, &p->m.core, RPCH_IN_FINISHED);
    end = p->sticky.finished;
    fuzz_check_lane(&p->m.to_server);
    fuzz_check_tx(&p->m.tx);
    fuzz_check(!end || wants == RPCH_WANT_CLOSE);
    fuzz_check(end || !(wants & RPCH_WANT_CLOSE));
    fuzz_check(!end || rpch_inbound_deadline(&p->m) == RPCH_NEVER);
    fuzz_check(end || p->m.queued == p->q.bytes);
    fuzz_check(p->m.to_server.end - p->m.to_server.at <= RPCH_LANE_SIZE);
}

static void start(party *p)
{
    rpch_address a = { false, { 192, 0, 2, 33 } };

    memset(p, 0, sizeof(*p));
    rpch_cutter_init(&p->sink.cutter, false);
    rpch_cutter_init(&p->ear, true);
    client[index_of(p)].len = server[index_of(p)].len = 0;
    rpch_inbound_init(&p->m, &f.limits, &a, f.flags & RPCH_JOINED,
                      f.flags & 0x80 ? fuzz_log : NULL, NULL, f.now);
    rpch_core_watch(&p->m.core, fuzz_visit, f.tables);
    check(p);
}

/* True when an ack that names c is for this channel: the server may still
 * name the one before, or already the one that comes. */
static bool is_ours(const rpch_inbound *m, const rpch_cookie *c)
{
    return rpch_cookie_equal(c, &m->channel)
        || (m->adopted && rpch_cookie_equal(c, &m->predecessor))
        || (!rpch_cookie_is_zero(c) && (rpch_cookie_equal(c, &m->successor)
                                        || rpch_cookie_equal(c, &m->gone)));
}

/* Books what the server has said of its window. */
static void hear(party *p, const uint8_t *b, size_t len)
{
    const char *reason;
    rpch_rts_values v;
    rpch_cut cut;
    rpch_rts rts;
    size_t at = 0;

    do {
        if (rpch_cutter_next(&p->ear, b + at, len - at, &cut) != RPCH_OK)
            return;
        at += cut.used;
        if (cut.kind != RPCH_CUT_RTS
            || rpch_rts_decode(cut.data, cut.len, &rts, &reason) != RPCH_OK)
            continue;
        if (rpch_rts_read(RPCH_CONN_B3, &rts, &v) == RPCH_OK
            || rpch_rts_read(RPCH_IN_R1_B2, &rts, &v) == RPCH_OK)
            fuzz_opened(&p->win, v.window);
        if (fuzz_is_ack(&rts, RPCH_DEST_IN_PROXY, &v)
            && is_ours(&p->m, &v.ack.cookie))
            fuzz_acked(&p->win, &v.ack);
    } while (cut.kind != RPCH_CUT_NONE);
}

static void feed_client(party *p, size_t n)
{
    fuzz_stream *s = &client[index_of(p)];
    const uint8_t *own = fuzz_lend(s, n);
    size_t at = 0;
    rpch_step step;
    bool wanted;

    do {
        if (p->q.n == FUZZ_QUEUE_MAX)
            break;
        wanted = (rpch_inbound_wants(&p->m) & RPCH_WANT_CLIENT_READ) != 0;
        (void)rpch_inbound_client_recv(&p->m, own + at, n - at, &step,
                                       f.now);
        fuzz_check_step(&step, n - at);
        fuzz_check(wanted || step.used == 0);
        at += step.used;
        fuzz_enqueue(&p->q, &step);
        check(p);
        fuzz_check(!wanted || step.used > 0 || at == n
                   || p->sticky.finished);
    } while (step.used > 0 && at < n);
    fuzz_drop(s, at);
}

/* With RPCH_JOINED the server role says whole PDUs. */
static void feed_joined(party *p)
{
    fuzz_stream *s = &server[index_of(p)];
    const char *reason;
    rpch_pdu pdu;

    if (rpch_pdu_parse(s->b, s->len, &pdu, &reason) != RPCH_OK
        || pdu.ptype != RPCH_PTYPE_RTS || pdu.frag_len > RPCH_RTS_SIZE_MAX
        || pdu.frag_len > s->len) {
        s->len = 0;
        return;
    }
    if (rpch_inbound_server_rts(&p->m, s->b, pdu.frag_len, f.now)
        != RPCH_AGAIN)
        fuzz_drop(s, pdu.frag_len);
    check(p);
}

static void feed_server(party *p, size_t n)
{
    fuzz_stream *s = &server[index_of(p)];
    const uint8_t *own = fuzz_lend(s, n);
    size_t at = 0;
    rpch_step step;
    bool wanted;

    do {
        wanted = (rpch_inbound_wants(&p->m) & RPCH_WANT_SERVER_READ) != 0;
        (void)rpch_inbound_server_recv(&p->m, own + at, n - at, &step,
                                       f.now);
        fuzz_check_step(&step, n - at);
        fuzz_check(step.pass == NULL);
        hear(p, own + at, step.used);
        at += step.used;
        check(p);
        fuzz_check(!wanted || step.used > 0 || at == n
                   || p->sticky.finished);
    } while (step.used > 0 && at < n);
    fuzz_drop(s, at);
}

/* Writes n bytes of the lane to the server, unless an RPC PDU is being
 * written. */
static void flush(party *p, size_t n)
{
    size_t len;
    const uint8_t *b = rpch_lane_buf(&p->m.to_server, &len);

    if (p->q.begun || b == NULL)
        return;
    n = n < len ? n : len;
    fuzz_sink_rts(&p->sink, b, n);
    rpch_inbound_server_ack(&p->m, n);
    check(p);
}

/* Writes to the server: the lane, and then the next RPC PDU. */
static void send_next(party *p)
{
    uint32_t len;

    flush(p, SIZE_MAX);
    if (p->q.n == 0)
        return;
    len = p->q.pdu[0].len;
    if (!p->q.begun && rpch_inbound_may_send(&p->m, len)) {
        fuzz_sink_rpc(&p->sink);
        fuzz_check_send(&p->win, &p->m.tx, len);
        rpch_inbound_pdu_begin(&p->m, len);
        p->q.begun = true;
        check(p);
    }
    if (p->q.begun && p->q.pdu[0].have == len) {
        (void)fuzz_dequeue(&p->q);
        rpch_inbound_pdu_done(&p->m, len, f.now);
        check(p);
    }
}

/* The caller of a finished or dismissed successor tells the other one. */
static void settle(party *p)
{
    party *other = &f.p[!index_of(p)];

    if (p->m.dismissed) {
        rpch_inbound_fail(&other->m, RPCH_E_COOKIE, "dismissed");
        check(other);
        rpch_inbound_dismiss_told(&p->m);
        check(p);
    }
}

static void adopt(party *from, party *to, const rpch_in_leg *leg)
{
    fuzz_stream *rest = &server[index_of(from)];

    (void)rpch_inbound_adopt(&to->m, leg, f.now);
    to->q = from->q;
    to->win = from->win;
    to->sink = from->sink;
    to->ear = from->ear;
    server[index_of(to)].len = 0;
    fuzz_put(&server[index_of(to)], rest->b, rest->len);
    check(to);
}

/* S-IN goes to the other machine; part says how much of a PDU that has begun
 * was written. */
static void release(party *p, unsigned part)
{
    party *to = &f.p[!index_of(p)];
    rpch_in_leg leg;
    int rc = rpch_inbound_release(&p->m, &leg);

    check(p);
    fuzz_check(rc == RPCH_OK && p->m.core.status == RPCH_E_RECYCLED);
    fuzz_check(leg.queued == p->q.bytes);
    fuzz_check(leg.begun == (p->q.begun ? p->q.pdu[0].len : 0));
    fuzz_check(leg.begun_left == leg.begun);
    if (leg.begun)
        leg.begun_left = 1 + part % leg.begun;
    fuzz_check(leg.lane_len <= sizeof(leg.lane));
    fuzz_check(leg.tail_len <= sizeof(leg.tail));
    if (to->m.core.state == RPCH_IN_PLUGGED)
        adopt(p, to, &leg);
}

/* A leg of the input's making, for a machine that waits for one. */
static void adopt_forged(party *p, rpch_reader *r)
{
    rpch_in_leg leg;
    const uint8_t *b;

    if (p->m.core.state != RPCH_IN_PLUGGED)
        return;
    memset(&leg, 0, sizeof(leg));
    leg.vc = fuzz_cookie(rpch_get_u8(r));
    leg.predecessor = fuzz_cookie(rpch_get_u8(r));
    leg.successor = fuzz_cookie(rpch_get_u8(r));
    rpch_tx_init(&leg.tx, rpch_get_le16(r));
    leg.keepalive = rpch_get_le32(r);
    leg.window = leg.keepalive & 0x3ffff;
    leg.lane_len = rpch_get_le16(r) % (sizeof(leg.lane) + 1);
    b = fuzz_take(r, rpch_get_le16(r) % (sizeof(leg.tail) + 1),
                  &leg.tail_len);
    if (leg.tail_len)
        memcpy(leg.tail, b, leg.tail_len);
    leg.queued = leg.begun = rpch_get_le16(r);
    leg.begun_left = rpch_get_le16(r);
    fuzz_opened(&p->win, leg.tx.window);
    (void)rpch_inbound_adopt(&p->m, &leg, f.now);
    if (p->m.core.status == RPCH_OK && leg.begun) {
        p->q.pdu[0].len = p->q.pdu[0].have = leg.begun;
        p->q.bytes = leg.begun;
        p->q.n = 1;
        p->q.begun = true;
    }
    rpch_lane_init(&p->m.to_server); /* what it holds is no PDU */
    rpch_cutter_init(&p->ear, true);
    hear(p, leg.tail, leg.tail_len);
    check(p);
}

static void attach(party *holder, const rpch_succession *s, party *successor)
{
    const char *reason = NULL;
    rpch_inbound before = holder->m;
    int rc = rpch_inbound_attach(&holder->m, s, &reason);

    check(holder);
    fuzz_check((rc == RPCH_OK) == (reason == NULL));
    if (rc != RPCH_OK)
        fuzz_check(memcmp(&before, &holder->m, sizeof(before)) == 0);
    if (successor == NULL)
        return;
    if (rc == RPCH_OK)
        (void)rpch_inbound_attached(&successor->m, f.now);
    else
        rpch_inbound_fail(&successor->m, rc, reason);
    check(successor);
}

/* What the caller does next by itself; how chooses between two ways. */
static void advance(party *p, unsigned how)
{
    unsigned wants = rpch_inbound_wants(&p->m);
    party *other = &f.p[!index_of(p)];
    rpch_succession s;

    if ((wants & RPCH_WANT_CONNECT)
        || ((wants & RPCH_WANT_SUCCEED) && (how & 1)
            && !(f.flags & RPCH_JOINED))) {
        (void)rpch_inbound_connected(&p->m, f.now);
    } else if (wants & RPCH_WANT_SUCCEED) {
        memset(&s, 0, sizeof(s));
        s.vc = p->m.vc;
        s.predecessor = p->m.predecessor;
        s.successor = p->m.channel;
        attach(other, &s, p);
    } else if (wants & RPCH_WANT_RELEASE) {
        release(p, how);
    }
    check(p);
}

static void timers(unsigned i)
{
    unsigned n;

    f.now += fuzz_span(i);
    for (n = 0; n < 2; n++) {
        party *p = &f.p[n];

        if (rpch_inbound_deadline(&p->m) > f.now)
            continue;
        (void)rpch_inbound_timeout(&p->m, f.now);
        fuzz_check(rpch_inbound_deadline(&p->m) > f.now);
        check(p);
    }
}

static void attach_forged(party *p, rpch_reader *r)
{
    rpch_succession s;

    memset(&s, 0, sizeof(s));
    s.vc = fuzz_cookie(rpch_get_u8(r));
    s.predecessor = fuzz_cookie(rpch_get_u8(r));
    s.successor = fuzz_cookie(rpch_get_u8(r));
    attach(p, &s, NULL);
}

static void operate(unsigned op, rpch_reader *r)
{
    unsigned i = op >> 7;
    party *p = &f.p[i];
    rpch_ack ack = { (uint32_t)p->win.sent, 65536, p->m.channel };

    switch ((op & 0x7f) % OP_MAX) {
    case OP_CLIENT_FEED: feed_client(p, fuzz_cut(r, client[i].len)); break;
    case OP_SERVER_FEED:
        if (f.flags & RPCH_JOINED)
            feed_joined(p);
        else
            feed_server(p, fuzz_cut(r, server[i].len));
        break;
    case OP_CLIENT_RPC: fuzz_put_rpc(&client[i], r); break;
    case OP_CLIENT_RTS: fuzz_put_rts(&client[i], r, &ack); break;
    case OP_SERVER_RTS: fuzz_put_rts(&server[i], r, &ack); break;
    case OP_ADVANCE: advance(p, rpch_get_u8(r)); break;
    case OP_SEND: send_next(p); break;
    case OP_FLUSH: flush(p, rpch_get_u8(r)); break;
    case OP_TIME: timers(rpch_get_u8(r)); break;
    case OP_CLIENT_RAW: fuzz_put_raw(&client[i], r); break;
    case OP_SERVER_RAW: fuzz_put_raw(&server[i], r); break;
    case OP_BANNER: fuzz_put(&server[i], "ncacn_http/1.0", 14); break;
    case OP_ATTACH: attach_forged(p, r); break;
    case OP_DETACH: rpch_inbound_detach(&p->m); break;
    case OP_ADOPT: adopt_forged(p, r); break;
    case OP_CLIENT_CLOSE: rpch_inbound_client_closed(&p->m); break;
    case OP_SERVER_CLOSE: rpch_inbound_server_closed(&p->m); break;
    case OP_FAIL: rpch_inbound_fail(&p->m, RPCH_E_POLICY, "input"); break;
    default:
        if (p->sticky.finished)
            start(p);
        break;
    }
    check(p);
    settle(p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    rpch_reader r = rpch_reader_of(data, size);
    unsigned ops;

    f.flags = rpch_get_u8(&r);
    f.limits = fuzz_limits(rpch_get_u8(&r));
    f.now = 1000;
    f.tables[0] = &rpch_inbound_table;
    start(&f.p[0]);
    start(&f.p[1]);
    for (ops = 0; ops < FUZZ_OPS_MAX && r.pos < r.len; ops++)
        operate(rpch_get_u8(&r), &r);
    for (ops = 0; ops < 2; ops++) {
        rpch_inbound_fail(&f.p[ops].m, RPCH_E_POLICY, "the end");
        check(&f.p[ops]);
        fuzz_check(f.p[ops].sticky.finished);
    }
    return 0;
}
