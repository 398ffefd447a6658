/* SPDX-License-Identifier: Apache-2.0 */
/* cookie.h - 16 opaque bytes that name a connection or channel, 2.2.3.1 */
#ifndef RPCH_COOKIE_H
#define RPCH_COOKIE_H

#include "rpch/rpch.h"

#define RPCH_COOKIE_SIZE 16

/* Cookies are secrets (who knows them can attach a channel): never log one. */
typedef struct rpch_cookie {
    uint8_t b[RPCH_COOKIE_SIZE];
} rpch_cookie;

/* Room for rpch_cookie_hex, terminator included. */
#define RPCH_COOKIE_HEX_SIZE 33

/* True when both hold the same 16 bytes. Takes the same time wherever they
 * differ. */
bool rpch_cookie_equal(const rpch_cookie *a, const rpch_cookie *b);

/* True when all 16 bytes are zero (a cookie not yet known). */
bool rpch_cookie_is_zero(const rpch_cookie *c);

/* Writes the 32 hexadecimal digits of c and a terminator to out, which has
 * RPCH_COOKIE_HEX_SIZE bytes; returns out. For tools and tests only. */
char *rpch_cookie_hex(const rpch_cookie *c, char *out);

#endif
