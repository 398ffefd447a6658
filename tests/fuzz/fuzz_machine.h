/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_machine.h - what the fuzz targets of the role machines share.
 *
 * An input is a program: two bytes choose flags and limits, then each byte is
 * an operation followed by its operands; at its end operands are 0. The
 * machine's neighbours may do anything, the target itself keeps to what the
 * machine's header asks of a caller.
 */
#ifndef RPCH_FUZZ_MACHINE_H
#define RPCH_FUZZ_MACHINE_H

#include "fuzz.h"

#include "rpch/machine.h"

#define FUZZ_STREAM_MAX 200000u
#define FUZZ_LEND_MAX 2048u
#define FUZZ_QUEUE_MAX 512u
#define FUZZ_OPS_MAX 4000u

/* Bytes that a neighbour has sent and the machine has not taken. */
typedef struct fuzz_stream {
    uint8_t b[FUZZ_STREAM_MAX];
    size_t len;
} fuzz_stream;

/* The RPC PDUs that a caller keeps between arrival and departure. */
typedef struct fuzz_queue {
    struct {
        uint32_t len;  /* frag_length */
        uint32_t have; /* arrived so far */
    } pdu[FUZZ_QUEUE_MAX];
    size_t n;
    uint64_t bytes;    /* frag_lengths of all of them */
    bool begun;        /* the first one is being written */
} fuzz_queue;

/* What a sender under a window has sent and was told. */
typedef struct fuzz_window {
    uint64_t sent;
    uint64_t edge;   /* may be sent in all: room is never taken back */
    uint32_t window;
} fuzz_window;

/* The first error of a machine, which sticks. */
typedef struct fuzz_sticky {
    int status;
    const char *reason;
    bool finished;
} fuzz_sticky;

/* A cookie of a small palette: 0 the connection, 1 a channel, 2 its
 * successor, ... */
static inline rpch_cookie fuzz_cookie(unsigned i)
{
    rpch_cookie c;

    memset(c.b, (int)(0xa0 + i % 16), sizeof(c.b));
    if (i % 16 == 15)
        memset(c.b, 0, sizeof(c.b));
    return c;
}

/* One of a few values, the first for 0. */
static inline uint32_t fuzz_pick(unsigned i, const uint32_t *of, size_t n)
{
    return of[i % n];
}

/* Limits: real ones for 0, else as small as a simulation takes them. */
static inline rpch_limits fuzz_limits(unsigned how)
{
    static const uint32_t window[] = { 65536, 8192, 16384, 262144 };
    static const uint32_t lifetime[] = { 1u << 30, 2048, 8192, 131072 };
    static const uint32_t reserve[] = { 4096, 0, 512, 2000 };
    static const uint32_t span[] = { 30000, 0, 5000, 120000 };
    rpch_limits l;

    memset(&l, 0, sizeof(l));
    l.receive_window = fuzz_pick(how, window, 4);
    l.channel_lifetime = fuzz_pick(how >> 2, lifetime, 4);
    l.recycle_reserve = fuzz_pick(how >> 4, reserve, 4);
    l.connection_timeout = 120000;
    l.ping_interval = l.first_pdu_timeout = fuzz_pick(how >> 6, span, 4);
    l.open_timeout = l.drain_timeout = l.ping_interval * 2;
    l.ping_notify = how & 1 ? 0 : 40;
    return l;
}

/* A span of time for an operand, from nothing to hours. */
static inline rpch_msec fuzz_span(unsigned i)
{
    static const uint32_t span[] = { 1, 0, 100, 4000, 30000, 60000, 120000,
                                     10000000 };

    return fuzz_pick(i, span, 8);
}

/* Appends bytes to a stream, as many as have room. */
static inline void fuzz_put(fuzz_stream *s, const void *p, size_t n)
{
    if (n > FUZZ_STREAM_MAX - s->len)
        n = FUZZ_STREAM_MAX - s->len;
    if (n)
        memcpy(s->b + s->len, p, n);
    s->len += n;
}

/* Appends raw bytes of the input: a length, and so many. */
static inline void fuzz_put_raw(fuzz_stream *s, rpch_reader *r)
{
    size_t got;
    const uint8_t *p = fuzz_take(r, rpch_get_le16(r), &got);

    if (got)
        fuzz_put(s, p, got);
}

/* Appends an RPC PDU; two bytes of the input are its size, which is seldom a
 * large one. */
static inline void fuzz_put_rpc(fuzz_stream *s, rpch_reader *r)
{
    static uint8_t pdu[RPCH_PDU_SIZE_MAX + 1] = { 5, 0, 0, 3, 0x10 };
    unsigned how = rpch_get_u8(r);
    uint32_t n = rpch_get_le16(r);

    if (!(how & 0x40))
        n %= 1024;
    if (n < RPCH_PDU_HEADER_SIZE)
        n = RPCH_PDU_HEADER_SIZE;
    pdu[2] = (uint8_t)(how & 0x1f) == RPCH_PTYPE_RTS ? 0 : how & 0x1f;
    pdu[4] = how & 0x80 ? 0 : 0x10; /* big-endian: its frag_length too */
    pdu[8] = (uint8_t)(how & 0x80 ? n >> 8 : n);
    pdu[9] = (uint8_t)(how & 0x80 ? n : n >> 8);
    if (n <= FUZZ_STREAM_MAX - s->len)
        fuzz_put(s, pdu, n);
}

/* Changes one field of v. */
static inline void fuzz_field(rpch_rts_values *v, unsigned which, uint32_t to)
{
    uint32_t *const field[] = { &v->window, &v->lifetime, &v->timeout,
                                &v->keepalive, &v->notify, &v->version,
                                &v->ack.bytes_received,
                                &v->ack.available_window };

    if (which % 9 < 8)
        *field[which % 9] = to;
    else
        v->dest = (rpch_dest)(to % 4);
}

/* The values of a well-formed PDU: those of an obedient peer, and what the
 * input changes of them. *how is left for the caller. */
static inline rpch_rts_values fuzz_values(rpch_reader *r, const rpch_ack *ack,
                                          unsigned *how)
{
    rpch_rts_values v;
    unsigned a, b;

    memset(&v, 0, sizeof(v));
    v.window = 65536;
    v.lifetime = 131072;
    v.timeout = 120000;
    v.keepalive = 300000;
    v.version = 1;
    v.ack = *ack;
    *how = rpch_get_u8(r);
    a = *how & 0x01 ? rpch_get_u8(r) : 0x10;
    b = *how & 0x01 ? rpch_get_u8(r) : 0x12;
    v.cookie[0] = fuzz_cookie(a & 15);
    v.cookie[1] = fuzz_cookie(a >> 4);
    v.cookie[2] = fuzz_cookie(b & 15);
    v.group = fuzz_cookie(14);
    if (*how & 0x01)
        v.ack.cookie = fuzz_cookie(b >> 4);
    if (*how & 0x02) {
        a = rpch_get_u8(r);
        fuzz_field(&v, a, rpch_get_le32(r));
    }
    v.address.ipv6 = (*how & 0x10) != 0;
    v.dest = (rpch_dest)(*how >> 6);
    return v;
}

/* Appends a Padding command with n bytes to the PDU, if it has room. */
static inline size_t fuzz_pad(uint8_t *pdu, size_t len, unsigned n)
{
    if (len + 8 + n > RPCH_RTS_SIZE_MAX)
        return len;
    memset(pdu + len, 0, 8 + n);
    pdu[len] = RPCH_CMD_PADDING;
    pdu[len + 4] = (uint8_t)n;
    pdu[18]++;
    len += 8 + n;
    pdu[8] = (uint8_t)len;
    pdu[9] = (uint8_t)(len >> 8);
    return len;
}

/* Makes one of the defined PDUs, perhaps with Padding or a changed byte, from
 * the input: the number of the PDU, its values, ... Returns its size. */
static inline size_t fuzz_rts(rpch_reader *r, const rpch_ack *ack,
                              uint8_t *pdu)
{
    unsigned id = rpch_get_u8(r) % RPCH_PDU_ID_MAX;
    rpch_rts_values v;
    unsigned how, at;
    size_t len = 0;

    v = fuzz_values(r, ack, &how);
    fuzz_check(rpch_rts_make((rpch_pdu_id)id, &v, pdu, RPCH_RTS_SIZE_MAX,
                             &len) == RPCH_OK);
    if (how & 0x20)
        len = fuzz_pad(pdu, len, rpch_get_u8(r));
    if (how & 0x08) {
        at = rpch_get_u8(r) % len;
        pdu[at] ^= rpch_get_u8(r);
    }
    return len;
}

/* Appends such a PDU to a stream. */
static inline void fuzz_put_rts(fuzz_stream *s, rpch_reader *r,
                                const rpch_ack *ack)
{
    uint8_t pdu[RPCH_RTS_SIZE_MAX];
    size_t len = fuzz_rts(r, ack, pdu);

    if (len <= FUZZ_STREAM_MAX - s->len)
        fuzz_put(s, pdu, len);
}

/* How many bytes of a stream are offered: all for 0, else a part. */
static inline size_t fuzz_cut(rpch_reader *r, size_t len)
{
    unsigned how = rpch_get_u8(r);
    size_t n = how == 0 ? len : how < 128 ? how : (how - 127u) * 512;

    return n < len ? n : len;
}

/* The first n bytes of a stream, at the end of memory of their own where that
 * is cheap, so that a sanitizer sees reads beyond them. */
static inline const uint8_t *fuzz_lend(const fuzz_stream *s, size_t n)
{
    static uint8_t *own;

    if (n > FUZZ_LEND_MAX)
        return s->b;
    if (own == NULL)
        own = fuzz_copy(s->b, FUZZ_LEND_MAX);
    return memcpy(own + FUZZ_LEND_MAX - n, s->b, n);
}

/* Removes the first n bytes of a stream. */
static inline void fuzz_drop(fuzz_stream *s, size_t n)
{
    s->len -= n;
    if (n > 0)
        memmove(s->b, s->b + n, s->len);
}

#endif
