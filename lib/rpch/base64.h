/* SPDX-License-Identifier: Apache-2.0 */
/* base64.h - base64 with padding (RFC 4648 section 4), of EEInfo (2.1.2.1.3) */
#ifndef RPCH_BASE64_H
#define RPCH_BASE64_H

#include "rpch/rpch.h"

/* Characters that n bytes become, without a NUL. */
#define RPCH_BASE64_SIZE(n) (((n) + 2) / 3 * 4)

/* Encodes len bytes to out[0..room) and appends a NUL. RPCH_E_ROOM when room
 * is below RPCH_BASE64_SIZE(len) + 1. */
int rpch_base64_encode(const uint8_t *in, size_t len, char *out, size_t room);

/* Decodes exactly len characters to out[0..room); *n is the number of bytes.
 * RPCH_E_SYNTAX for anything but the canonical encoding (a foreign character,
 * missing padding, bits that are not zero behind the last byte), RPCH_E_ROOM
 * when it does not fit. */
int rpch_base64_decode(const char *in, size_t len, uint8_t *out, size_t room,
                       size_t *n);

#endif
