/* SPDX-License-Identifier: Apache-2.0 */
/* base64.c - RFC 4648 section 4 */
#include "rpch/base64.h"

#include <string.h>

static const char alphabet[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

int rpch_base64_encode(const uint8_t *in, size_t len, char *out, size_t room)
{
    size_t at = 0, i;
    uint32_t v;

    if (room / 4 * 3 < len || room < RPCH_BASE64_SIZE(len) + 1)
        return RPCH_E_ROOM;
    for (i = 0; i < len; i += 3) {
        v = (uint32_t)in[i] << 16;
        if (i + 1 < len)
            v |= (uint32_t)in[i + 1] << 8;
        if (i + 2 < len)
            v |= in[i + 2];
        out[at++] = alphabet[v >> 18];
        out[at++] = alphabet[v >> 12 & 63];
        out[at++] = i + 1 < len ? alphabet[v >> 6 & 63] : '=';
        out[at++] = i + 2 < len ? alphabet[v & 63] : '=';
    }
    out[at] = '\0';
    return RPCH_OK;
}

/* The value of a character, or -1. */
static int value_of(char c)
{
    const char *at = c != '\0' ? strchr(alphabet, c) : NULL;

    return at != NULL ? (int)(at - alphabet) : -1;
}

/* Bytes of the four characters at q, written to b; 0 when they are bad. last:
 * they may be padded. */
static size_t read_quad(const char *q, bool last, uint8_t b[3])
{
    size_t n = !last || q[3] != '=' ? 3 : q[2] != '=' ? 2 : 1;
    uint32_t v = 0;
    size_t i;
    int x;

    for (i = 0; i < 4; i++) {
        x = i <= n ? value_of(q[i]) : 0;
        if (x < 0)
            return 0;
        v = v << 6 | (uint32_t)x;
    }
    b[0] = (uint8_t)(v >> 16);
    b[1] = (uint8_t)(v >> 8);
    b[2] = (uint8_t)v;
    /* what padding replaces has to be zero */
    if ((n == 1 && (v & 0xffff) != 0) || (n == 2 && (v & 0xff) != 0))
        return 0;
    return n;
}

int rpch_base64_decode(const char *in, size_t len, uint8_t *out, size_t room,
                       size_t *n)
{
    uint8_t b[3];
    size_t i, got;

    *n = 0;
    if (len % 4 != 0)
        return RPCH_E_SYNTAX;
    for (i = 0; i < len; i += 4) {
        got = read_quad(in + i, i + 4 == len, b);
        if (got == 0)
            return RPCH_E_SYNTAX;
        if (got > room - *n)
            return RPCH_E_ROOM;
        memcpy(out + *n, b, got);
        *n += got;
    }
    return RPCH_OK;
}
