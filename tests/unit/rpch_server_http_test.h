/* SPDX-License-Identifier: Apache-2.0 */
/* rpch_server_http_test.h - both halves of ncacn_http for the tests of the
 * program rpch-server */
#ifndef RPCH_SERVER_HTTP_TEST_H
#define RPCH_SERVER_HTTP_TEST_H

#include "rpch_server_rpc_test.h"

/* 16 times the same byte. */
static inline rpch_cookie cookie(uint8_t fill)
{
    rpch_cookie c;

    memset(&c, fill, sizeof(c));
    return c;
}

/* Sends an RTS PDU. */
static inline void put_rts(int fd, rpch_pdu_id id, const rpch_rts_values *v)
{
    uint8_t out[RPCH_RTS_SIZE_MAX];
    size_t len;

    ck_assert_int_eq(rpch_rts_make(id, v, out, sizeof(out), &len), RPCH_OK);
    put(fd, out, len);
}

/* What a first PDU carries. */
static inline rpch_rts_values opening(uint8_t vc, uint8_t channel,
                                      uint32_t window)
{
    rpch_rts_values v;

    memset(&v, 0, sizeof(v));
    v.version = 1;
    v.cookie[0] = cookie(vc);
    v.cookie[1] = cookie(channel);
    v.group = cookie(0x99);
    v.window = window;
    v.lifetime = 0x40000000;
    v.timeout = 900000;
    v.keepalive = 300000;
    v.address.addr[0] = 127;
    return v;
}

/* A connection that has said its banner. */
static inline int open_half(void)
{
    int fd = dial(http_port);
    uint8_t banner[14];

    ck_assert(get(fd, banner, sizeof(banner)));
    ck_assert_mem_eq(banner, "ncacn_http/1.0", sizeof(banner));
    return fd;
}

/* An S-OUT of that virtual connection; its channel is 22. */
static inline int open_out(uint8_t vc, uint32_t window, uint32_t lifetime)
{
    rpch_rts_values v = opening(vc, 0x22, window);
    int fd = open_half();

    v.lifetime = lifetime;
    put_rts(fd, RPCH_CONN_A2, &v);
    return fd;
}

/* An S-IN; its channel is 33. */
static inline int open_in(uint8_t vc)
{
    rpch_rts_values v = opening(vc, 0x33, 65536);
    int fd = open_half();

    put_rts(fd, RPCH_CONN_B2, &v);
    return fd;
}

/* The next PDU is id; its fields go to v. */
static inline void expect_rts(int fd, rpch_pdu_id id, rpch_rts_values *v)
{
    const char *reason;
    rpch_rts rts;

    ck_assert(next_pdu(fd));
    ck_assert_int_eq(rpch_rts_decode(pdu, pdu_len, &rts, &reason), RPCH_OK);
    memset(v, 0, sizeof(*v));
    ck_assert_int_eq(rpch_rts_read(id, &rts, v), RPCH_OK);
}

/* CONN/C1 and CONN/B3 come. */
static inline void expect_opened(int in, int out)
{
    rpch_rts_values v;

    expect_rts(out, RPCH_CONN_C1, &v);
    ck_assert_uint_eq(v.version, 1);
    ck_assert_uint_eq(v.window, 65536);
    ck_assert_uint_eq(v.timeout, 900000);
    expect_rts(in, RPCH_CONN_B3, &v);
    ck_assert_uint_eq(v.window, 65536);
}

/* A bind through both halves. */
static inline void http_bind(int in, int out)
{
    static const offer one[] = { { ECHO_LE, NDR_LE } };

    put_bind(in, one, 1);
    ck_assert(next_pdu(out));
    ck_assert_uint_eq(pdu[2], RPCH_PTYPE_BIND_ACK);
}

/* A FlowControlAck of the S-OUT of that channel. */
static inline void put_ack(int out, uint8_t channel, uint32_t received,
                           uint32_t available)
{
    rpch_rts_values v = { .ack = { received, available, cookie(channel) } };

    put_rts(out, RPCH_FLOW_CONTROL_ACK, &v);
}

/* AddOne through both halves. */
static inline void http_call(int in, int out)
{
    uint8_t stub[8];

    put_call(in, 0, 0, (const uint8_t *)"\x29\0\0", 4);
    ck_assert_uint_eq(get_answer(out, stub, sizeof(stub)), 4);
    ck_assert_uint_eq(rpch_le32(stub), 42);
}

#endif
