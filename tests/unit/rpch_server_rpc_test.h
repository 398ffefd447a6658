/* SPDX-License-Identifier: Apache-2.0 */
/* rpch_server_rpc_test.h - binds, calls and answers for the tests of the
 * program rpch-server */
#ifndef RPCH_SERVER_RPC_TEST_H
#define RPCH_SERVER_RPC_TEST_H

#include "rpch_server_test.h"

static const char ECHO_LE[] = "c55ea160e84dd711a637005056a20182 01000000";
static const char ECHO_BE[] = "60a15ec54de811d7a637005056a20182 00000001";
static const char MGMT_LE[] = "80bda8af8a7dc911bef408002b102989 01000000";
static const char NDR_LE[] = "045d888aeb1cc9119fe808002b104860 02000000";
static const char NDR_BE[] = "8a885d041ceb11c99fe808002b104860 00000002";
static const char NDR64[] = "33057171babe37498319b5dbef9ccc36 01000000";
static const char FEATURES[] = "2c1cb76c129840450300000000000000 01000000";
static const char OTHER[] = "000102030405060708090a0b0c0d0e0f 01000000";

/* A little-endian PDU with that body at out; returns its size. */
static inline size_t make_pdu(uint8_t *out, uint8_t ptype, uint8_t flags,
                              uint32_t call_id, const void *body, size_t len)
{
    rpch_writer w = rpch_writer_of(out, PDU_MAX);

    rpch_put_bytes(&w, "\5", 2);
    rpch_put_u8(&w, ptype);
    rpch_put_u8(&w, flags);
    rpch_put_le32(&w, 0x10);
    rpch_put_le16(&w, (uint16_t)(16 + len));
    rpch_put_le16(&w, 0);
    rpch_put_le32(&w, call_id);
    rpch_put_bytes(&w, body, len);
    ck_assert(!w.bad);
    return w.pos;
}

/* One context element; ids in sequence from 0. */
typedef struct offer {
    const char *abstract;
    const char *transfer;
} offer;

/* A bind or alter_context at out; returns its size. */
static inline size_t make_bind(uint8_t *out, uint8_t ptype, const offer *o,
                               size_t n)
{
    uint8_t body[1024];
    rpch_writer w = rpch_writer_of(body, sizeof(body));
    size_t i;

    rpch_put_le16(&w, FRAG);
    rpch_put_le16(&w, FRAG);
    rpch_put_le32(&w, 0);
    rpch_put_le32(&w, (uint32_t)n);
    for (i = 0; i < n; i++) {
        rpch_put_le16(&w, (uint16_t)i);
        rpch_put_le16(&w, 1);
        test_hex(o[i].abstract, rpch_reserve(&w, 20), 20);
        test_hex(o[i].transfer, rpch_reserve(&w, 20), 20);
    }
    ck_assert(!w.bad);
    return make_pdu(out, ptype, 3, 1, body, w.pos);
}

/* Sends a bind; returns its size. */
static inline size_t put_bind(int fd, const offer *o, size_t n)
{
    uint8_t out[2048];
    size_t len = make_bind(out, RPCH_PTYPE_BIND, o, n);

    put(fd, out, len);
    return len;
}

/* The results of the bind_ack or alter_context_resp in pdu. */
static inline const uint8_t *results(size_t n)
{
    size_t at = (26 + (size_t)rpch_le16(pdu + 24) + 3) & ~(size_t)3;

    ck_assert_uint_eq(pdu_len, at + 4 + 24 * n);
    ck_assert_uint_eq(pdu[at], n);
    return pdu + at + 4;
}

/* What became of one context element. */
static inline void expect_result(const uint8_t *r, unsigned result,
                                 unsigned reason)
{
    ck_assert_uint_eq(rpch_le16(r), result);
    ck_assert_uint_eq(rpch_le16(r + 2), reason);
}

/* A connection over TCP, bound to both interfaces. */
static inline int bound(void)
{
    static const offer both[] = { { ECHO_LE, NDR_LE }, { MGMT_LE, NDR_LE } };
    int fd = dial(tcp_port);

    put_bind(fd, both, 2);
    ck_assert(next_pdu(fd));
    ck_assert_uint_eq(pdu[2], RPCH_PTYPE_BIND_ACK);
    expect_result(results(2), 0, 0);
    expect_result(results(2) + 24, 0, 0);
    return fd;
}

/* A request of one fragment at out. */
static inline size_t make_request(uint8_t *out, uint8_t flags, uint16_t context,
                                  uint16_t opnum, const void *stub, size_t len)
{
    static uint8_t body[PDU_MAX - 16];
    rpch_writer w = rpch_writer_of(body, sizeof(body));

    rpch_put_le32(&w, (uint32_t)len);
    rpch_put_le16(&w, context);
    rpch_put_le16(&w, opnum);
    if (flags & 0x80)
        rpch_put_bytes(&w, "object_of_a_call", 16);
    rpch_put_bytes(&w, stub, len);
    ck_assert(!w.bad);
    return make_pdu(out, RPCH_PTYPE_REQUEST, flags, 7, body, w.pos);
}

/* Sends a request of one fragment. */
static inline void put_request(int fd, uint8_t flags, uint16_t context,
                               uint16_t opnum, const void *stub, size_t len)
{
    static uint8_t out[PDU_MAX];

    put(fd, out, make_request(out, flags, context, opnum, stub, len));
}

/* Sends a request in as many fragments as it takes. */
static inline void put_call(int fd, uint16_t context, uint16_t opnum,
                            const uint8_t *stub, size_t len)
{
    size_t room = (FRAG - 24) & ~7u, at = 0, n;
    uint8_t flags;

    do {
        n = len - at < room ? len - at : room;
        flags = (uint8_t)((at == 0) | (at + n == len) << 1);
        put_request(fd, flags, context, opnum, stub + at, n);
        at += n;
    } while (at < len);
}

/* Reads the answer's fragments to stub, checks them; returns its size. */
static inline size_t get_answer(int fd, uint8_t *stub, size_t room)
{
    size_t len = 0, total = 0;

    do {
        ck_assert(next_pdu(fd));
        ck_assert_uint_eq(pdu[2], RPCH_PTYPE_RESPONSE);
        ck_assert_uint_le(pdu_len, FRAG);
        ck_assert_uint_eq(rpch_le32(pdu + 12), 7);
        ck_assert_uint_eq(pdu[3] & 1, len == 0);
        if (len == 0)
            total = rpch_le32(pdu + 16);
        ck_assert_uint_eq(rpch_le32(pdu + 16), total - len);
        ck_assert_uint_le(len + pdu_len - 24, room);
        memcpy(stub + len, pdu + 24, pdu_len - 24);
        len += pdu_len - 24;
    } while (!(pdu[3] & 2));
    ck_assert_uint_eq(len, total);
    return len;
}

/* The answer is a fault with that status. */
static inline void expect_fault(int fd, uint32_t status)
{
    ck_assert(next_pdu(fd));
    ck_assert_uint_eq(pdu[2], RPCH_PTYPE_FAULT);
    ck_assert_uint_eq(pdu_len, 32);
    ck_assert_uint_eq(rpch_le32(pdu + 24), status);
}

/* AddOne works. */
static inline void expect_alive(int fd, uint16_t context)
{
    uint8_t stub[16];

    put_call(fd, context, 0, (const uint8_t *)"\xff\x01\0", 4);
    ck_assert_uint_eq(get_answer(fd, stub, sizeof(stub)), 4);
    ck_assert_uint_eq(rpch_le32(stub), 0x200);
}

/* The stub of EchoData or SinkData with n bytes at out. */
static inline size_t make_array(uint8_t *out, uint32_t n)
{
    rpch_writer w = rpch_writer_of(out, 8);
    uint32_t i;

    rpch_put_le32(&w, n);
    rpch_put_le32(&w, n);
    for (i = 0; i < n; i++)
        out[8 + i] = (uint8_t)(i * 7 + (i >> 8));
    return 8 + (size_t)n;
}

#define BULK 300000u
static uint8_t stub_in[BULK + 8], stub_out[BULK + 8];

#endif
