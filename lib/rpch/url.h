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
 * separates the port; an IPv6 literal may stand in brackets, and nothing else
 * may have a colon. No decoding, no canonicalisation: the name is what the
 * client wrote. RPCH_E_SYNTAX with *reason for an empty or too long name, a
 * character that no name has (rpch_name_char), brackets that do not enclose
 * an IPv6 literal, and what rpch_port_parse refuses; *out is then undefined. */
int rpch_url_parse_query(const char *query, size_t len, rpch_target *out,
                         const char **reason);

/* True when a server name may hold c: any character but control, space, '/',
 * '?', '#', '%', '\\', '"', '<', '>', '[', ']' and what is not ASCII. */
bool rpch_name_char(char c);

/* True when name[0..len) is made of the characters of an IPv6 literal and has
 * a colon; whether it is one is for the resolver to say. */
bool rpch_name_is_ipv6(const char *name, size_t len);

/* Reads the 1 to 6 digits at text[0..len) into *port, 1..65535. NULL, or the
 * reason why it is no port. */
const char *rpch_port_parse(const char *text, size_t len, uint16_t *port);

#endif
