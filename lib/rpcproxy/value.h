/* SPDX-License-Identifier: Apache-2.0 */
/*
 * value.h - durations, sizes and counts as directives write them, and the
 * values that a request's Pragma header has. Pure C.
 *
 * Not ap_timeout_parameter_parse: that one refuses "5m" and reads "5s0" as
 * five seconds.
 */
#ifndef RPCPROXY_VALUE_H
#define RPCPROXY_VALUE_H

#include <stdbool.h>
#include <stdint.h>

/* Room for the text functions. */
#define RPCPROXY_VALUE_TEXT_SIZE 32

/* Room for a UUID as text, its NUL included. */
#define RPCPROXY_UUID_TEXT_SIZE 37

/* Reads "30" (seconds), "500ms", "30s", "5m", "5min", "8h"; units in either
 * case. *ms gets milliseconds; false when text is anything else or the result
 * is above INT64_MAX. */
bool rpcproxy_value_duration(const char *text, int64_t *ms);

/* Reads "65536", "64K", "8M", "1G"; 1K is 1024, suffixes in either case. */
bool rpcproxy_value_size(const char *text, int64_t *bytes);

/* Reads decimal digits. */
bool rpcproxy_value_count(const char *text, int64_t *n);

/* Writes ms in the largest unit that divides it, "90s", "2m", "4h"; returns
 * out, which has RPCPROXY_VALUE_TEXT_SIZE bytes. */
char *rpcproxy_value_duration_text(int64_t ms, char *out);

/* The same for bytes: "8K", "1G". */
char *rpcproxy_value_size_text(int64_t bytes, char *out);

/* The interval in ms after which an OUT channel without traffic gets a Ping:
 * interval, RpcProxyPingInterval in ms, but at most connection_timeout in ms
 * (3.2.4.6), and at most half of what the request asks for by
 * "MinConnTimeout=T" in its Pragma header (2.1.2.1.1): T is in seconds, 120
 * to 14400; anything else in the header is passed over. pragma may be NULL. */
int64_t rpcproxy_value_ping_interval(int64_t interval,
                                     int64_t connection_timeout,
                                     const char *pragma);

/* Finds the first directive "name=UUID" of a Pragma header (2.1.2.1.1:
 * "ResourceTypeUuid=", "SessionId="; name has its '=', in any case) and copies
 * the UUID to out [RPCPROXY_UUID_TEXT_SIZE] in lower case. False, with *out
 * undefined, when there is none; what is no UUID is passed over. pragma may be
 * NULL. */
bool rpcproxy_value_pragma_uuid(const char *pragma, const char *name,
                                char *out);

#endif
