/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_outbound.c - the outbound proxy: two machines, so that each can be the
 * other's successor.
 *
 * The highest bit of an operation chooses the machine.
 */
#include "fuzz_check.h"
#include "rpch/outbound.h"

const char fuzz_target[] = "outbound";

enum {
    OP_SERVER_FEED, OP_BODY_FEED, OP_BODY_RTS, OP_SERVER_RTS, OP_SERVER_RPC,
    OP_ADVANCE, OP_SEND, OP_FLUSH_CLIENT, OP_FLUSH_SERVER, OP_TIME,
    OP_BODY_RAW, OP_SERVER_RAW, OP_BANNER, OP_ATTACH, OP_DETACH, OP_ADOPT,
    OP_BODY_END, OP_BODY_RPC, OP_CLIENT_CLOSE, OP_SERVER_CLOSE, OP_FAIL,
    OP_RENEW, OP_MAX
};

/* One channel, and what its caller and its client know of it. */
typedef struct party {
    rpch_outbound m;
    fuzz_sticky sticky;
    fuzz_queue q;
    fuzz_window win;    /* of C-OUT */
    fuzz_sink client;   /* bytes for the client, but for RPC PDUs */
    fuzz_sink server;   /* bytes for the server */
    rpch_cutter ear;    /* bytes of the server that the machine has taken */
    uint64_t spent;     /* bytes given to C-OUT */
} party;

static fuzz_stream body[2], server[2];

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
    unsigned wants = rpch_outbound_wants(&p->m);
    bool end;

    fuzz_check_core(&p->sticky, &p->m.core, RPCH_OUT_FINISHED);
    end = p->sticky.finished;
    fuzz_check_lane(&p->m.to_server);
    fuzz_check_lane(&p->m.to_client);
    fuzz_check_tx(&p->m.tx);
    fuzz_check(!end || wants == RPCH_WANT_CLOSE);
    fuzz_check(end || !(wants & RPCH_WANT_CLOSE));
    fuzz_check(!end || rpch_outbound_deadline(&p->m) == RPCH_NEVER);
    fuzz_check(end || p->m.queued == p->q.bytes);
    fuzz_check(end || p->m.sending == p->q.begun);
    /* What the response announced as its length is never exceeded. */
    fuzz_check(p->spent <= p->m.lifetime_used);
    fuzz_check(p->m.lifetime_used <= p->m.core.limits.channel_lifetime);
}

static void start(party *p)
{
    memset(p, 0, sizeof(*p));
    rpch_cutter_init(&p->client.cutter, false);
    rpch_cutter_init(&p->server.cutter, false);
    rpch_cutter_init(&p->ear, true);
    body[index_of(p)].len = server[index_of(p)].len = 0;
    rpch_outbound_init(&p->m, &f.limits,
                       f.flags & (RPCH_JOINED | RPCH_QUIET
                                  | RPCH_NO_RECYCLING),
                       f.flags & 0x80 ? fuzz_log : NULL, NULL, f.now);
    rpch_core_watch(&p->m.core, fuzz_visit, f.tables);
    check(p);
}

/* True when an ack that names c is for this channel. */
static bool is_ours(const rpch_outbound *m, const rpch_cookie *c)
{
    return rpch_cookie_equal(c, &m->channel);
}

/* Books what the client has said of its window, by way of the server. */
static void hear_pdu(party *p, const uint8_t *b, size_t len)
{
    const char *reason;
    rpch_rts_values v;
    rpch_rts rts;

    if (rpch_rts_decode(b, len, &rts, &reason) != RPCH_OK)
        return;
    memset(&v, 0, sizeof(v));
    if (rpch_rts_read(RPCH_FLOW_CONTROL_ACK_DEST, &rts, &v) == RPCH_OK
        && v.dest == RPCH_DEST_OUT_PROXY && is_ours(&p->m, &v.ack.cookie))
        fuzz_acked(&p->win, &v.ack);
}

static void hear(party *p, const uint8_t *b, size_t len)
{
    rpch_cut cut;
    size_t at = 0;

    do {
        if (rpch_cutter_next(&p->ear, b + at, len - at, &cut) != RPCH_OK)
            return;
        at += cut.used;
        if (cut.kind == RPCH_CUT_RTS)
            hear_pdu(p, cut.data, cut.len);
    } while (cut.kind != RPCH_CUT_NONE);
}

static void feed_body(party *p, size_t n)
{
    fuzz_stream *s = &body[index_of(p)];
    const uint8_t *own = fuzz_lend(s, n);
    rpch_out_state before;
    size_t at = 0;
    rpch_step step;
    bool wanted;

    do {
        wanted = (rpch_outbound_wants(&p->m) & RPCH_WANT_CLIENT_READ) != 0;
        before = (rpch_out_state)p->m.core.state;
        (void)rpch_outbound_client_recv(&p->m, own + at, n - at, &step,
                                        f.now);
        fuzz_check_step(&step, n - at);
        fuzz_check(step.pass == NULL && (wanted || step.used == 0));
        at += step.used;
        check(p);
        fuzz_check(!wanted || step.used > 0 || at == n
                   || p->sticky.finished);
        /* Its first PDU announces the client's window. */
        if (before == RPCH_OUT_OPEN_START
            && p->m.core.state != RPCH_OUT_OPEN_START)
            fuzz_opened(&p->win, p->m.tx.window);
    } while (step.used > 0 && at < n);
    fuzz_drop(s, at);
}

/* With RPCH_JOINED the server role says whole PDUs, beside the payload. */
static void feed_joined(party *p, rpch_reader *r, const rpch_ack *ack)
{
    uint8_t pdu[RPCH_RTS_SIZE_MAX];
    size_t len = fuzz_rts(r, ack, pdu);

    if (rpch_outbound_server_rts(&p->m, pdu, len, f.now) != RPCH_AGAIN)
        hear_pdu(p, pdu, len);
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
        if (p->q.n == FUZZ_QUEUE_MAX)
            break;
        wanted = (rpch_outbound_wants(&p->m) & RPCH_WANT_SERVER_READ) != 0;
        (void)rpch_outbound_server_recv(&p->m, own + at, n - at, &step,
                                        f.now);
        fuzz_check_step(&step, n - at);
        fuzz_check(wanted || step.used == 0);
        hear(p, own + at, step.used);
        at += step.used;
        fuzz_enqueue(&p->q, &step);
        check(p);
        fuzz_check(!wanted || step.used > 0 || at == n
                   || p->sticky.finished);
    } while (step.used > 0 && at < n);
    fuzz_drop(s, at);
}

static void flush_server(party *p, size_t n)
{
    size_t len;
    const uint8_t *b = rpch_lane_buf(&p->m.to_server, &len);

    if (b == NULL)
        return;
    n = n < len ? n : len;
    fuzz_sink_rts(&p->server, b, n);
    rpch_lane_ack(&p->m.to_server, n);
    check(p);
}

/* Writes n bytes of the lane to the client, behind the head and not into an
 * RPC PDU. */
static void flush_client(party *p, size_t n)
{
    size_t len;
    const uint8_t *b = rpch_lane_buf(&p->m.to_client, &len);

    if (p->q.begun || b == NULL)
        return;
    n = n < len ? n : len;
    fuzz_sink_rts(&p->client, b, n);
    p->spent += n;
    rpch_outbound_client_ack(&p->m, n, f.now);
    check(p);
}

/* Writes to the client: the lane, and then the next RPC PDU. */
static void send_next(party *p)
{
    uint32_t len;

    flush_client(p, SIZE_MAX);
    if (p->q.n == 0)
        return;
    len = p->q.pdu[0].len;
    if (!p->q.begun && rpch_outbound_may_send(&p->m, len)) {
        fuzz_sink_rpc(&p->client);
        if (rpch_outbound_pdu_begin(&p->m, len) == RPCH_OK) {
            fuzz_check_send(&p->win, &p->m.tx, len);
            p->q.begun = true;
            p->spent += len;
        }
        check(p);
    }
    if (p->q.begun && p->q.pdu[0].have == len) {
        (void)fuzz_dequeue(&p->q);
        rpch_outbound_pdu_done(&p->m, len, f.now);
        check(p);
    }
}

/* The caller of a dismissed successor ends it. */
static void settle(party *p)
{
    party *other = &f.p[!index_of(p)];

    if (p->m.dismissed) {
        rpch_outbound_fail(&other->m, RPCH_E_COOKIE, "dismissed");
        check(other);
        rpch_outbound_dismiss_told(&p->m);
        check(p);
    }
}

/* Puts n bytes in front of a stream. */
static void unread(fuzz_stream *s, const uint8_t *b, size_t n)
{
    if (n > FUZZ_STREAM_MAX - s->len)
        s->len = FUZZ_STREAM_MAX - n;
    memmove(s->b + n, s->b, s->len);
    if (n > 0)
        memcpy(s->b, b, n);
    s->len += n;
}

/* The RPC PDUs that move with S-OUT, as zeros behind their headers. */
static void unread_queue(const fuzz_queue *q, fuzz_stream *s)
{
    static uint8_t pdu[RPCH_PDU_SIZE_MAX] = { 5, 0, 2, 3, 0x10 };
    size_t i;

    for (i = q->n; i-- > 0;) {
        pdu[8] = (uint8_t)q->pdu[i].len;
        pdu[9] = (uint8_t)(q->pdu[i].len >> 8);
        unread(s, pdu, q->pdu[i].have);
    }
}

static void adopt(party *from, party *to, const rpch_out_leg *leg)
{
    fuzz_stream *s = &server[index_of(to)];
    fuzz_stream *rest = &server[index_of(from)];

    (void)rpch_outbound_adopt(&to->m, leg, f.now);
    to->server = from->server;
    rpch_cutter_init(&to->ear, false);
    s->len = 0;
    fuzz_put(s, rest->b, rest->len);
    unread(s, leg->tail, leg->tail_len);
    unread_queue(&from->q, s);
    check(to);
}

static void release(party *p)
{
    party *to = &f.p[!index_of(p)];
    rpch_out_leg leg;

    fuzz_check(!p->q.begun);
    fuzz_check(rpch_outbound_release(&p->m, &leg) == RPCH_OK);
    check(p);
    fuzz_check(p->m.core.status == RPCH_E_RECYCLED);
    fuzz_check(leg.lane_len <= sizeof(leg.lane));
    fuzz_check(leg.tail_len <= sizeof(leg.tail));
    if (to->m.core.state == RPCH_OUT_ATTACHED
        || to->m.core.state == RPCH_OUT_LEGW)
        adopt(p, to, &leg);
}

static void attach(party *holder, const rpch_succession *s, party *successor)
{
    const char *reason = NULL;
    rpch_outbound before = holder->m;
    int rc = rpch_outbound_attach(&holder->m, s, &reason);

    check(holder);
    fuzz_check((rc == RPCH_OK) == (reason == NULL));
    if (rc != RPCH_OK)
        fuzz_check(memcmp(&before, &holder->m, sizeof(before)) == 0);
    if (successor == NULL)
        return;
    if (rc == RPCH_OK)
        (void)rpch_outbound_attached(&successor->m, f.now);
    else
        rpch_outbound_fail(&successor->m, rc, reason);
    check(successor);
}

/* What the caller does next by itself; how chooses between two ways. */
static void advance(party *p, unsigned how)
{
    unsigned wants = rpch_outbound_wants(&p->m);
    party *other = &f.p[!index_of(p)];
    rpch_succession s;

    if ((wants & RPCH_WANT_CONNECT)
        || ((wants & RPCH_WANT_SUCCEED) && (how & 1)
            && !(f.flags & RPCH_JOINED))) {
        (void)rpch_outbound_connected(&p->m, f.now);
    } else if (wants & RPCH_WANT_SUCCEED) {
        memset(&s, 0, sizeof(s));
        s.vc = p->m.vc;
        s.predecessor = p->m.predecessor;
        s.successor = p->m.channel;
        s.window = p->m.tx.window;
        attach(other, &s, p);
    } else if (wants & RPCH_WANT_RESPONSE) {
        flush_server(p, SIZE_MAX);
        (void)rpch_outbound_responded(&p->m, f.now);
    } else if (wants & RPCH_WANT_RELEASE) {
        release(p);
    }
    check(p);
}

static void timers(unsigned i)
{
    unsigned n;

    f.now += fuzz_span(i);
    for (n = 0; n < 2; n++) {
        party *p = &f.p[n];

        if (rpch_outbound_deadline(&p->m) > f.now)
            continue;
        (void)rpch_outbound_timeout(&p->m, f.now);
        fuzz_check(rpch_outbound_deadline(&p->m) > f.now);
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
    s.window = rpch_get_le32(r);
    attach(p, &s, NULL);
}

/* A leg of the input's making, for a machine that waits for one. */
static void adopt_forged(party *p, rpch_reader *r)
{
    rpch_out_leg leg;
    uint8_t pdu[RPCH_RTS_SIZE_MAX];

    if (p->m.core.state != RPCH_OUT_ATTACHED
        && p->m.core.state != RPCH_OUT_LEGW)
        return;
    memset(&leg, 0, sizeof(leg));
    memset(pdu, 0, sizeof(pdu));
    leg.vc = fuzz_cookie(rpch_get_u8(r));
    leg.predecessor = fuzz_cookie(rpch_get_u8(r));
    leg.successor = fuzz_cookie(rpch_get_u8(r));
    rpch_rx_init(&leg.rx, rpch_get_le16(r));
    leg.rx.received = rpch_get_le32(r);
    leg.lifetime = rpch_get_le32(r);
    leg.lane_len = rpch_get_le16(r) % (sizeof(leg.lane) + 1);
    leg.tail_len = rpch_get_u8(r);
    (void)rpch_outbound_adopt(&p->m, &leg, f.now);
    rpch_lane_init(&p->m.to_server); /* what it holds is no PDU */
    rpch_cutter_init(&p->ear, true);
    check(p);
}

static void operate(unsigned op, rpch_reader *r)
{
    unsigned i = op >> 7;
    party *p = &f.p[i];
    rpch_ack ack = { (uint32_t)p->win.sent, 65536, p->m.channel };

    switch ((op & 0x7f) % OP_MAX) {
    case OP_BODY_FEED: feed_body(p, fuzz_cut(r, body[i].len)); break;
    case OP_SERVER_FEED: feed_server(p, fuzz_cut(r, server[i].len)); break;
    case OP_BODY_RTS: fuzz_put_rts(&body[i], r, &ack); break;
    case OP_SERVER_RTS:
        if (f.flags & RPCH_JOINED)
            feed_joined(p, r, &ack);
        else
            fuzz_put_rts(&server[i], r, &ack);
        break;
    case OP_SERVER_RPC: fuzz_put_rpc(&server[i], r); break;
    case OP_ADVANCE: advance(p, rpch_get_u8(r)); break;
    case OP_SEND: send_next(p); break;
    case OP_FLUSH_CLIENT: flush_client(p, rpch_get_u8(r)); break;
    case OP_FLUSH_SERVER: flush_server(p, rpch_get_u8(r)); break;
    case OP_TIME: timers(rpch_get_u8(r)); break;
    case OP_BODY_RAW: fuzz_put_raw(&body[i], r); break;
    case OP_SERVER_RAW: fuzz_put_raw(&server[i], r); break;
    case OP_BANNER: fuzz_put(&server[i], "ncacn_http/1.0", 14); break;
    case OP_ATTACH: attach_forged(p, r); break;
    case OP_DETACH: rpch_outbound_detach(&p->m); break;
    case OP_ADOPT: adopt_forged(p, r); break;
    case OP_BODY_END: rpch_outbound_body_ended(&p->m); break;
    case OP_BODY_RPC: fuzz_put_rpc(&body[i], r); break;
    case OP_CLIENT_CLOSE: rpch_outbound_client_closed(&p->m); break;
    case OP_SERVER_CLOSE: rpch_outbound_server_closed(&p->m); break;
    case OP_FAIL: rpch_outbound_fail(&p->m, RPCH_E_POLICY, "input"); break;
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
    f.tables[0] = &rpch_outbound_table;
    start(&f.p[0]);
    start(&f.p[1]);
    for (ops = 0; ops < FUZZ_OPS_MAX && r.pos < r.len; ops++)
        operate(rpch_get_u8(&r), &r);
    for (ops = 0; ops < 2; ops++) {
        rpch_outbound_fail(&f.p[ops].m, RPCH_E_POLICY, "the end");
        check(&f.p[ops]);
        fuzz_check(f.p[ops].sticky.finished);
    }
    return 0;
}
