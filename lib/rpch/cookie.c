/* SPDX-License-Identifier: Apache-2.0 */
/* cookie.c - comparing and printing cookies, 2.2.3.1. */
#include "rpch/cookie.h"

bool rpch_cookie_equal(const rpch_cookie *a, const rpch_cookie *b)
{
    uint8_t diff = 0;
    size_t i;

    /* no early exit: the time must not tell how much of a guess was right */
    for (i = 0; i < RPCH_COOKIE_SIZE; i++)
        diff |= (uint8_t)(a->b[i] ^ b->b[i]);
    return diff == 0;
}

bool rpch_cookie_is_zero(const rpch_cookie *c)
{
    static const rpch_cookie zero;
    return rpch_cookie_equal(c, &zero);
}

char *rpch_cookie_hex(const rpch_cookie *c, char *out)
{
    static const char digit[] = "0123456789abcdef";
    size_t i;

    for (i = 0; i < RPCH_COOKIE_SIZE; i++) {
        out[2 * i] = digit[c->b[i] >> 4];
        out[2 * i + 1] = digit[c->b[i] & 15];
    }
    out[2 * RPCH_COOKIE_SIZE] = '\0';
    return out;
}
