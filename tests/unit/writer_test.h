/* SPDX-License-Identifier: Apache-2.0 */
/* writer_test.h - a writer of an IN half with a sink that can be looked at,
 * for the tests of relay/writer.h */
#ifndef WRITER_TEST_H
#define WRITER_TEST_H

#include <apr_general.h>

#include "relay/writer.h"
#include "rpch_test.h"

#define STREAM_MAX (1 << 20)

/* A sink that takes budget bytes and then says that it is full. */
typedef struct sink {
    uint8_t *b;
    size_t len;
    size_t budget;
    unsigned calls;
    int pieces; /* of the last call */
    bool broken;
} sink;

static apr_pool_t *pool;
static relay_blocks *blocks;
static sink out;
static relay_half half;
static relay_writer writer;
static uint32_t seed;

/* The next of a sequence that seed starts. */
static uint32_t random_next(void)
{
    seed = seed * 1664525u + 1013904223u;
    return seed >> 8;
}

static long take(void *baton, const struct iovec *v, int n)
{
    sink *s = baton;
    long taken = 0;
    int i;
    if (s->broken)
        return -1;
    s->calls++;
    s->pieces = n;
    for (i = 0; i < n; i++) {
        size_t here = v[i].iov_len < s->budget ? v[i].iov_len : s->budget;
        ck_assert_uint_gt(v[i].iov_len, 0);
        ck_assert_uint_le(s->len + here, STREAM_MAX);
        memcpy(s->b + s->len, v[i].iov_base, here);
        s->len += here;
        s->budget -= here;
        taken += (long)here;
    }
    return taken;
}

static const rpch_limits limits = {
    .receive_window = 65536, .channel_lifetime = 1u << 30,
    .connection_timeout = 120000, .ping_interval = 60000,
    .first_pdu_timeout = 60000, .open_timeout = 60000
};

/* PDU id with these values, from the client or the server to the half. */
static void feed_rts(rpch_pdu_id id, const rpch_rts_values *v, bool client)
{
    uint8_t pdu[RPCH_RTS_SIZE_MAX];
    size_t len;
    rpch_step step;
    ck_assert_int_eq(rpch_rts_make(id, v, pdu, sizeof(pdu), &len), RPCH_OK);
    ck_assert_int_eq(client
        ? relay_half_client_recv(&half, pdu, len, &step, 1)
        : relay_half_server_recv(&half, pdu, len, &step, 1), RPCH_OK);
    ck_assert_uint_eq(step.used, len);
}

static rpch_rts_values values(uint32_t window)
{
    rpch_rts_values v;
    memset(&v, 0, sizeof(v));
    v.version = 1;
    v.window = window;
    v.lifetime = 1u << 30;
    v.timeout = 120000;
    v.keepalive = 300000;
    v.cookie[0].b[0] = 0xa0;
    v.cookie[1].b[0] = 0xc0;
    return v;
}

/* An IN half in OPENED whose server offers window; the sink has CONN/B2. */
static void open_in(uint32_t window)
{
    rpch_rts_values v = values(window);
    static const rpch_address address;
    relay_half_init(&half, RELAY_IN, &limits, &address, 0, NULL, NULL, 0);
    relay_writer_init(&writer, &half, true, take, &out, blocks);
    feed_rts(RPCH_CONN_B1, &v, true);
    ck_assert_uint_ne(relay_half_wants(&half) & RPCH_WANT_CONNECT, 0);
    ck_assert_int_eq(relay_half_connected(&half, 1), RPCH_OK);
    out.budget = STREAM_MAX;
    ck_assert_int_eq(relay_writer_flush(&writer, 1), RPCH_OK);
    ck_assert_uint_eq(out.len, 128);
    feed_rts(RPCH_CONN_B3, &v, false);
    ck_assert(relay_half_is_open(&half));
    out.len = 0;
}

static void setup(void)
{
    ck_assert_int_eq(apr_initialize(), APR_SUCCESS);
    ck_assert_int_eq(apr_pool_create(&pool, NULL), APR_SUCCESS);
    ck_assert_int_eq(relay_blocks_create(&blocks, 4, pool), APR_SUCCESS);
    memset(&out, 0, sizeof(out));
    out.b = malloc(STREAM_MAX);
    seed = 7;
}

static void teardown(void)
{
    size_t used, kept;
    relay_writer_close(&writer);
    relay_blocks_count(blocks, &used, &kept);
    ck_assert_uint_eq(used, 0);
    free(out.b);
    apr_pool_destroy(pool);
    apr_terminate();
}

static size_t make_rpc(uint8_t *p, size_t len, uint8_t fill)
{
    static const uint8_t head[8] = { 5, 0, 0, 3, 0x10, 0, 0, 0 };
    memset(p, fill, len);
    memcpy(p, head, 8);
    p[8] = (uint8_t)len;
    p[9] = (uint8_t)(len >> 8);
    p[10] = p[11] = 0;
    return len;
}

/* Cuts what reached the sink: the RPC PDUs must be those of in, whole and in
 * order; returns the number of RTS PDUs between them. */
static unsigned check_stream(const uint8_t *in, size_t len)
{
    rpch_cutter c;
    rpch_cut cut;
    size_t at = 0, pos = 0;
    unsigned rts = 0;
    rpch_cutter_init(&c, false);
    while (at < out.len) {
        ck_assert_int_eq(rpch_cutter_next(&c, out.b + at, out.len - at, &cut),
                         RPCH_OK);
        at += cut.used;
        if (cut.kind == RPCH_CUT_RTS) {
            rts++;
        } else if (cut.kind == RPCH_CUT_RPC) {
            ck_assert_uint_le(pos + cut.len, len);
            ck_assert_mem_eq(in + pos, cut.data, cut.len);
            pos += cut.len;
        }
    }
    ck_assert(rpch_cutter_at_boundary(&c));
    ck_assert_uint_eq(pos, len);
    return rts;
}

#endif
