/* SPDX-License-Identifier: Apache-2.0 */
/* head_private.h - what the files of head share, and nobody else includes */
#ifndef RELAY_HEAD_PRIVATE_H
#define RELAY_HEAD_PRIVATE_H

#include "relay/head.h"

/* Makes the head BAD for that static sentence. */
void relay_head_fail(relay_head *h, const char *error);

/* The empty line has come: reads what says how the body ends, and makes the
 * head DONE or BAD. */
void relay_head_finish(relay_head *h);

/* True for a character of a token, RFC 9110 5.6.2. */
bool relay_head_is_token(char c);

/* True for 0 to 9. */
static inline bool relay_head_is_digit(char c)
{
    return c >= '0' && c <= '9';
}

#endif
