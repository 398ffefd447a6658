/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_client.c - the client role: proxies that may say anything on C-OUT,
 * requests that are opened when the machine asks for them.
 *
 * The highest bit of an operation chooses the slot, where it is one for a
 * slot.
 */
#include "fuzz_check.h"
#include "rpch/client.h"

const char fuzz_target[] = "client";

enum {
    OP_FEED, OP_RTS, OP_RPC, OP_RESPONSE, OP_REQUEST, OP_SEND, OP_CONSUME,
    OP_FLUSH, OP_BODY, OP_TIME, OP_RAW, OP_OVER, OP_REFUSE, OP_IN_CLOSE,
    OP_OUT_CLOSE, OP_FAIL, OP_MAX
};

/* What goes out on the IN request and the OUT request of a slot. */
typedef struct slot {
    fuzz_sink in;
    fuzz_sink body;
    uint64_t in_bytes;
    size_t body_bytes;
    rpch_cutter ear; /* of C-OUT */
} slot;

static fuzz_stream out[RPCH_CLIENT_SLOTS];

static struct {
    rpch_client m;
    fuzz_sticky sticky;
    fuzz_queue q;
    uint64_t have;    /* bytes in q */
    fuzz_window win;  /* of the current C-IN */
    slot slot[RPCH_CLIENT_SLOTS];
    unsigned cookie;  /* the next one for a channel */
    rpch_limits limits;
    rpch_msec now;
} f;

static void check(void)
{
    unsigned wants = rpch_client_wants(&f.m), i;
    bool end;

    fuzz_check_core(&f.sticky, &f.m.core, RPCH_CLIENT_FINISHED);
    end = f.sticky.finished;
    fuzz_check(!end || wants == RPCH_WANT_CLOSE);
    fuzz_check(end || !(wants & RPCH_WANT_CLOSE));
    fuzz_check(!end || rpch_client_deadline(&f.m) == RPCH_NEVER);
    fuzz_check(end || f.m.queued == f.have);
    fuzz_check(f.m.stale <= f.m.queued);
    fuzz_check_tx(&f.m.tx);
    fuzz_check_lane(&f.m.held);
    fuzz_check(f.m.in_slot < RPCH_CLIENT_SLOTS);
    fuzz_check(f.m.out_slot < RPCH_CLIENT_SLOTS);
    for (i = 0; i < RPCH_CLIENT_SLOTS; i++) {
        fuzz_check_lane(&f.m.in[i].lane);
        fuzz_check_lane(&f.m.out[i].body);
        fuzz_check(f.slot[i].in_bytes <= f.limits.channel_lifetime);
        fuzz_check(f.slot[i].body_bytes <= 120);
    }
}

static void renew(slot *s, bool is_in)
{
    if (is_in) {
        rpch_cutter_init(&s->in.cutter, false);
        s->in_bytes = 0;
        return;
    }
    rpch_cutter_init(&s->body.cutter, false);
    rpch_cutter_init(&s->ear, false);
    s->body_bytes = 0;
    out[s - f.slot].len = 0;
}

/* Books what an in-proxy says of its window. */
static void hear(slot *s, const uint8_t *b, size_t len)
{
    const char *reason;
    rpch_rts_values v;
    rpch_cut cut;
    rpch_rts rts;
    size_t at = 0;

    do {
        if (rpch_cutter_next(&s->ear, b + at, len - at, &cut) != RPCH_OK)
            return;
        at += cut.used;
        if (cut.kind != RPCH_CUT_RTS
            || rpch_rts_decode(cut.data, cut.len, &rts, &reason) != RPCH_OK)
            continue;
        memset(&v, 0, sizeof(v));
        if (rpch_rts_read(RPCH_CONN_C2, &rts, &v) == RPCH_OK
            || rpch_rts_read(RPCH_IN_R1_A4, &rts, &v) == RPCH_OK)
            fuzz_opened(&f.win, v.window);
        else if (rpch_rts_read(RPCH_IN_R2_A4, &rts, &v) == RPCH_OK)
            fuzz_opened(&f.win, f.win.window);
        else if (rpch_rts_read(RPCH_FLOW_CONTROL_ACK_DEST, &rts, &v)
                 == RPCH_OK && v.dest == RPCH_DEST_CLIENT
                 && rpch_cookie_equal(&v.ack.cookie,
                                      &f.m.in[f.m.in_slot].cookie))
            fuzz_acked(&f.win, &v.ack);
    } while (cut.kind != RPCH_CUT_NONE);
}

static void feed(unsigned i, size_t n)
{
    const uint8_t *own = fuzz_lend(&out[i], n);
    rpch_client_use use;
    size_t at = 0;
    rpch_step step;
    bool wanted;

    do {
        if (f.q.n == FUZZ_QUEUE_MAX)
            break;
        use = f.m.out[i].use;
        wanted = i == rpch_client_out_slot(&f.m)
              && (rpch_client_wants(&f.m) & RPCH_WANT_SERVER_READ);
        (void)rpch_client_out_recv(&f.m, i, own + at, n - at, &step, f.now);
        fuzz_check_step(&step, n - at);
        if (use == RPCH_CLIENT_CURRENT)
            hear(&f.slot[i], own + at, step.used);
        at += step.used;
        fuzz_enqueue(&f.q, &step);
        f.have += step.pass_len;
        check();
        fuzz_check(!wanted || step.used > 0 || at == n || f.sticky.finished);
    } while (step.used > 0 && at < n);
    fuzz_drop(&out[i], at);
}

/* Sends n bytes of a slot's lane on its IN request. */
static void flush(unsigned i, size_t n)
{
    size_t len;
    const uint8_t *b = rpch_client_in_buf(&f.m, i, &len);

    if (b == NULL)
        return;
    n = n < len ? n : len;
    fuzz_sink_rts(&f.slot[i].in, b, n);
    f.slot[i].in_bytes += n;
    rpch_client_in_ack(&f.m, i, n, f.now);
    check();
}

static void flush_body(unsigned i, size_t n)
{
    size_t len;
    const uint8_t *b = rpch_client_body_buf(&f.m, i, &len);

    if (b == NULL)
        return;
    n = n < len ? n : len;
    fuzz_sink_rts(&f.slot[i].body, b, n);
    f.slot[i].body_bytes += n;
    rpch_client_body_ack(&f.m, i, n);
    check();
}

/* An RPC PDU, if it may go: behind what waits for the same request. */
static void send_rpc(rpch_reader *r)
{
    uint32_t n = rpch_get_le16(r);
    unsigned i;

    if (n & 0x8000)
        n &= 0x7fff;
    else
        n %= 2048;
    if (n < RPCH_PDU_HEADER_SIZE)
        n = RPCH_PDU_HEADER_SIZE;
    if (!rpch_client_may_send(&f.m, n)) {
        check();
        return;
    }
    check();
    i = rpch_client_in_slot(&f.m);
    flush(i, SIZE_MAX);
    fuzz_sink_rpc(&f.slot[i].in);
    fuzz_check_send(&f.win, &f.m.tx, n);
    f.slot[i].in_bytes += n;
    rpch_client_sent(&f.m, n, f.now);
    check();
}

static void consume(void)
{
    uint32_t len;

    if (f.q.n == 0 || f.q.pdu[0].have != f.q.pdu[0].len)
        return;
    len = fuzz_dequeue(&f.q);
    f.have -= len;
    rpch_client_consumed(&f.m, len);
}

/* Opens the request that is wanted, if one is. */
static void request(bool is_in)
{
    bool wanted = rpch_client_wants(&f.m)
                & (is_in ? RPCH_WANT_IN_REQUEST : RPCH_WANT_OUT_REQUEST);
    rpch_cookie c = fuzz_cookie(f.cookie);
    unsigned next = rpch_client_next(&f.m, is_in);
    int i = rpch_client_requested(&f.m, is_in, &c, f.now);

    fuzz_check(wanted == (i >= 0));
    if (i < 0)
        return;
    fuzz_check((unsigned)i == next);
    f.cookie = f.cookie % 12 + 1;
    renew(&f.slot[i], is_in);
}

/* Closes what has been flushed, as a caller does with a predecessor. */
static void over(void)
{
    unsigned i;

    for (i = 0; i < RPCH_CLIENT_SLOTS; i++) {
        if (rpch_client_over(&f.m, true, i)) {
            flush(i, SIZE_MAX);
            rpch_client_in_closed(&f.m, i);
            fuzz_check(!rpch_client_over(&f.m, true, i));
        }
        if (rpch_client_over(&f.m, false, i)) {
            flush_body(i, SIZE_MAX);
            rpch_client_out_closed(&f.m, i);
            fuzz_check(!rpch_client_over(&f.m, false, i));
        }
    }
}

static void timers(unsigned i)
{
    f.now += fuzz_span(i);
    if (rpch_client_deadline(&f.m) > f.now)
        return;
    (void)rpch_client_timeout(&f.m, f.now);
    fuzz_check(rpch_client_deadline(&f.m) > f.now);
}

static void operate(unsigned op, rpch_reader *r)
{
    unsigned i = op >> 7;
    rpch_ack ack = { (uint32_t)f.win.sent, 65536,
                     f.m.in[f.m.in_slot].cookie };

    switch ((op & 0x7f) % OP_MAX) {
    case OP_FEED: feed(i, fuzz_cut(r, out[i].len)); break;
    case OP_RTS: fuzz_put_rts(&out[i], r, &ack); break;
    case OP_RPC: fuzz_put_rpc(&out[i], r); break;
    case OP_RESPONSE: (void)rpch_client_response(&f.m, i, 200, f.now); break;
    case OP_REQUEST: request(i != 0); break;
    case OP_SEND: send_rpc(r); break;
    case OP_CONSUME: consume(); break;
    case OP_FLUSH: flush(i, rpch_get_u8(r)); break;
    case OP_BODY: flush_body(i, rpch_get_u8(r)); break;
    case OP_TIME: timers(rpch_get_u8(r)); break;
    case OP_RAW: fuzz_put_raw(&out[i], r); break;
    case OP_OVER: over(); break;
    case OP_REFUSE: (void)rpch_client_response(&f.m, i, 503, f.now); break;
    case OP_IN_CLOSE: rpch_client_in_closed(&f.m, i); break;
    case OP_OUT_CLOSE: rpch_client_out_closed(&f.m, i); break;
    default: rpch_client_fail(&f.m, RPCH_E_POLICY, "the input"); break;
    }
    check();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const rpch_machine_table *tables[] = {
        &rpch_client_table, &rpch_client_in_table, &rpch_client_out_table,
        NULL
    };
    rpch_reader r = rpch_reader_of(data, size);
    rpch_client_cookies c = { fuzz_cookie(0), fuzz_cookie(1), fuzz_cookie(2),
                              fuzz_cookie(14) };
    unsigned flags = rpch_get_u8(&r), ops;

    memset(&f, 0, sizeof(f));
    f.limits = fuzz_limits(rpch_get_u8(&r));
    f.now = 1000;
    f.cookie = 3;
    for (ops = 0; ops < RPCH_CLIENT_SLOTS; ops++) {
        renew(&f.slot[ops], true);
        renew(&f.slot[ops], false);
    }
    rpch_client_init(&f.m, &f.limits, &c,
                     flags & (RPCH_QUIET | RPCH_R2_ONLY | RPCH_NO_RECYCLING),
                     flags & 0x80 ? fuzz_log : NULL, NULL, f.now);
    rpch_core_watch(&f.m.core, fuzz_visit, tables);
    check();
    for (ops = 0; ops < FUZZ_OPS_MAX && r.pos < r.len; ops++)
        operate(rpch_get_u8(&r), &r);
    rpch_client_fail(&f.m, RPCH_E_POLICY, "the end");
    check();
    fuzz_check(f.sticky.finished);
    return 0;
}
