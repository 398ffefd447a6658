/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_mixed.c - the mixed proxy: whatever client and server send, the RPC
 * PDUs of one reach the other, and nothing else does.
 */
#include "fuzz_check.h"
#include "rpch/mixed.h"

const char fuzz_target[] = "mixed";

enum {
    OP_CLIENT_RPC, OP_SERVER_RPC, OP_CLIENT_FEED, OP_SERVER_FEED,
    OP_CLIENT_RTS, OP_SERVER_RTS, OP_CLIENT_RAW, OP_SERVER_RAW,
    OP_BANNER, OP_ADVANCE, OP_TIME, OP_CLIENT_END, OP_CLIENT_CLOSE,
    OP_SERVER_CLOSE, OP_FAIL, OP_MAX
};

static fuzz_stream client, server;

static struct {
    rpch_mixed m;
    rpch_msec now;
    fuzz_sticky sticky;
    uint64_t up, down; /* bytes passed on */
} f;

static void check(void)
{
    unsigned wants = rpch_mixed_wants(&f.m);
    bool end;

    fuzz_check_core(&f.sticky, &f.m.core, RPCH_MIXED_FINISHED);
    end = f.sticky.finished;
    fuzz_check(!end || wants == RPCH_WANT_CLOSE);
    fuzz_check(end || !(wants & RPCH_WANT_CLOSE));
    fuzz_check(!end || rpch_mixed_deadline(&f.m) == RPCH_NEVER);
    fuzz_check(f.up >= f.m.in_bytes && f.down >= f.m.out_bytes);
    fuzz_check(f.up - f.m.in_bytes < RPCH_PDU_SIZE_MAX);
    fuzz_check(f.down - f.m.out_bytes < RPCH_PDU_SIZE_MAX);
}

/* Offers the first n bytes of a stream. */
static void feed(bool from_client, size_t n)
{
    fuzz_stream *s = from_client ? &client : &server;
    unsigned want = from_client ? RPCH_WANT_CLIENT_READ
                                : RPCH_WANT_SERVER_READ;
    const uint8_t *own = fuzz_lend(s, n);
    size_t at = 0;
    rpch_step step;
    bool wanted;

    do {
        wanted = (rpch_mixed_wants(&f.m) & want) != 0;
        if (from_client)
            (void)rpch_mixed_client_recv(&f.m, own + at, n - at, &step);
        else
            (void)rpch_mixed_server_recv(&f.m, own + at, n - at, &step,
                                         f.now);
        fuzz_check_step(&step, n - at);
        fuzz_check(wanted || step.used == 0);
        at += step.used;
        *(from_client ? &f.up : &f.down) += step.pass_len;
        check();
        fuzz_check(!wanted || step.used > 0 || at == n || f.sticky.finished);
    } while (step.used > 0 && at < n);
    fuzz_drop(s, at);
}

/* What the caller does next by itself. */
static void advance(void)
{
    unsigned wants = rpch_mixed_wants(&f.m);

    if (wants & RPCH_WANT_CONNECT)
        (void)rpch_mixed_connected(&f.m, f.now);
    else if (wants & RPCH_WANT_RESPONSE)
        (void)rpch_mixed_responded(&f.m, f.now);
}

static void timers(unsigned i)
{
    f.now += fuzz_span(i);
    if (rpch_mixed_deadline(&f.m) > f.now)
        return;
    (void)rpch_mixed_timeout(&f.m, f.now);
    fuzz_check(rpch_mixed_deadline(&f.m) > f.now);
}

static void operate(unsigned op, rpch_reader *r)
{
    static const rpch_ack none;

    switch (op % OP_MAX) {
    case OP_CLIENT_RPC: fuzz_put_rpc(&client, r); break;
    case OP_SERVER_RPC: fuzz_put_rpc(&server, r); break;
    case OP_CLIENT_FEED: feed(true, fuzz_cut(r, client.len)); break;
    case OP_SERVER_FEED: feed(false, fuzz_cut(r, server.len)); break;
    case OP_CLIENT_RTS: fuzz_put_rts(&client, r, &none); break;
    case OP_SERVER_RTS: fuzz_put_rts(&server, r, &none); break;
    case OP_CLIENT_RAW: fuzz_put_raw(&client, r); break;
    case OP_SERVER_RAW: fuzz_put_raw(&server, r); break;
    case OP_BANNER: fuzz_put(&server, "ncacn_http/1.0", 14); break;
    case OP_ADVANCE: advance(); break;
    case OP_TIME: timers(rpch_get_u8(r)); break;
    case OP_CLIENT_END: rpch_mixed_client_ended(&f.m, f.now); break;
    case OP_CLIENT_CLOSE: rpch_mixed_client_closed(&f.m); break;
    case OP_SERVER_CLOSE: rpch_mixed_server_closed(&f.m); break;
    default: rpch_mixed_fail(&f.m, RPCH_E_CONNECT, "the input"); break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    rpch_reader r = rpch_reader_of(data, size);
    const rpch_machine_table *tables[] = { rpch_mixed_table(), NULL };
    unsigned flags = rpch_get_u8(&r), ops;
    rpch_limits l = fuzz_limits(rpch_get_u8(&r));

    memset(&f, 0, sizeof(f));
    client.len = server.len = 0;
    f.now = 1000;
    rpch_mixed_init(&f.m, &l, flags & RPCH_JOINED,
                    flags & 0x80 ? fuzz_log : NULL, NULL, f.now);
    rpch_core_watch(&f.m.core, fuzz_visit, tables);
    for (ops = 0; ops < FUZZ_OPS_MAX && r.pos < r.len; ops++) {
        operate(rpch_get_u8(&r), &r);
        check();
    }
    rpch_mixed_client_closed(&f.m);
    check();
    fuzz_check(f.sticky.finished);
    return 0;
}
