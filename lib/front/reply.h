/* SPDX-License-Identifier: Apache-2.0 */
/* reply.h - the head of an inner proxy's response becomes httpd's */
#ifndef FRONT_REPLY_H
#define FRONT_REPLY_H

#include <httpd.h>
#include <stdbool.h>

#include "relay/head.h"

/* Sets r's status, status line, content type and fields from h, as mod_proxy
 * has them: hop-by-hop fields dropped, ProxyPassReverse and its like applied;
 * but no Via. Content-Length and Transfer-Encoding are left to whoever sends
 * the body. replaced: the credentials were not the client's (ProxyRpchAuth),
 * so that asking the client for others makes no sense: a 401 becomes 502, with
 * a log line that names member. Does not block. */
void front_reply_set(request_rec *r, const relay_head *h, bool replaced,
                     const char *member);

#endif
