/* SPDX-License-Identifier: Apache-2.0 */
/* url.h - the target in a request's query, 2.2.2 */
#ifndef RPCH_URL_H
#define RPCH_URL_H

#include "rpch/rpch.h"

/* Server names have fewer than 1024 characters. */
#define RPCH_NAME_SIZE 1024

typedef struct rpch_target {
    char name[RPCH_NAME_SIZE]; /* as sent, without brackets, terminated */
    uint16_t port;             /* 1..65535 */
} rpch_target;

/* Reads "server:port" (the text after '?', without it). The last colon
 * separates the port; an IPv6 literal may stand in brackets. No decoding, no
 * canonicalisation: the name is what the client wrote. RPCH_E_SYNTAX with
 * *reason for an empty or too long name, a character that no name has
 * (control, space, '/', '?', '#', '%', '\\', '"', '<', '>', non-ASCII), unbalanced
 * brackets, and a port that is not 1 to 6 digits making 1..65535. */
int rpch_url_parse_query(const char *query, size_t len, rpch_target *out,
                         const char **reason);

#endif
