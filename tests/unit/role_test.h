/* SPDX-License-Identifier: Apache-2.0 */
/* role_test.h - PDUs, limits and input cuts for the tests of role machines */
#ifndef RPCH_ROLE_TEST_H
#define RPCH_ROLE_TEST_H

#include <stdio.h>

#include "rpch_test.h"
#include "visits.h"

#include "rpch/machine.h"
#include "rpch/wire.h"

/* For the inner loops: an assertion of Check costs a message even when it
 * holds. */
#define role_check(x) \
    do { \
        if (!(x)) \
            ck_abort_msg("%s", #x); \
    } while (0)

/* 16 bytes counting up from first. */
static inline rpch_cookie role_cookie(uint8_t first)
{
    rpch_cookie c;
    int i;

    for (i = 0; i < RPCH_COOKIE_SIZE; i++)
        c.b[i] = (uint8_t)(first + i);
    return c;
}

/* The limits that the tests start from. */
static inline rpch_limits role_limits(void)
{
    rpch_limits l = {
        .receive_window = 65536,
        .channel_lifetime = 1073741824,
        .connection_timeout = 120000,
        .ping_interval = 60000,
        .first_pdu_timeout = 30000,
        .open_timeout = 900000
    };

    return l;
}

/* Values for every field: cookies a0 (connection), second and third as
 * given. */
static inline rpch_rts_values role_values(uint8_t second, uint8_t third)
{
    rpch_rts_values v;

    memset(&v, 0, sizeof(v));
    v.cookie[0] = role_cookie(0xa0);
    v.cookie[1] = role_cookie(second);
    v.cookie[2] = role_cookie(third);
    v.group = role_cookie(0x90);
    v.window = 65536;
    v.lifetime = 1073741824;
    v.timeout = 120000;
    v.keepalive = 300000;
    v.version = 1;
    v.address.addr[0] = 192;
    v.address.addr[2] = 2;
    v.address.addr[3] = 33;
    return v;
}

/* Encodes PDU id to out (RPCH_RTS_SIZE_MAX bytes); returns its size. */
static inline size_t role_rts(rpch_pdu_id id, const rpch_rts_values *v,
                              uint8_t *out)
{
    size_t len = 0;

    ck_assert_int_eq(rpch_rts_make(id, v, out, RPCH_RTS_SIZE_MAX, &len),
                     RPCH_OK);
    return len;
}

/* Writes an RPC PDU of len bytes: a little-endian request, its stub filled
 * with a pattern of seed; returns len. */
static inline size_t role_rpc(uint8_t *out, size_t len, uint8_t seed)
{
    static const uint8_t head[16] = { 5, 0, 0, 3, 0x10 };
    size_t i;

    role_check(len >= sizeof(head) && len <= RPCH_PDU_SIZE_MAX);
    memcpy(out, head, sizeof(head));
    out[8] = (uint8_t)len;
    out[9] = (uint8_t)(len >> 8);
    for (i = sizeof(head); i < len; i++)
        out[i] = (uint8_t)(seed + i * 7);
    return len;
}

/* How a stream is cut: whole, byte by byte, at random. */
enum { ROLE_WHOLE, ROLE_BYTES, ROLE_RANDOM };

/* Size of the next cut when left bytes (at least 1) are left; *seed keeps
 * the random ones reproducible. */
static inline size_t role_cut(int how, size_t left, uint32_t *seed)
{
    size_t n;

    if (how == ROLE_WHOLE)
        return left;
    if (how == ROLE_BYTES)
        return 1;
    *seed = *seed * 1664525u + 1013904223u;
    n = 1 + (*seed >> 16) % 97;
    if (n > 60)
        n *= 40; /* some cuts span several PDUs */
    return n < left ? n : left;
}

/* The name of the only PDU in the lane, which is emptied. "" when the lane
 * is empty, "several" when it holds more than one. */
static inline const char *role_take(rpch_lane *lane, char *name, size_t room)
{
    const char *reason = "";
    size_t len;
    rpch_rts rts;
    const uint8_t *p = rpch_lane_buf(lane, &len);

    if (p == NULL)
        return "";
    if (rpch_le16(p + 8) != len) {
        rpch_lane_ack(lane, len);
        return "several";
    }
    ck_assert_msg(rpch_rts_decode(p, len, &rts, &reason) == RPCH_OK,
                  "%s", reason);
    rpch_lane_ack(lane, len);
    return rpch_rts_describe(&rts, name, room);
}

#endif
