/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resolver.h - names to addresses in a few helper threads: getaddrinfo(3)
 * cannot be cancelled, so its waiters have deadlines of their own and may
 * walk away.
 */
#ifndef RELAY_RESOLVER_H
#define RELAY_RESOLVER_H

#include <apr_errno.h>
#include <apr_pools.h>

#include "relay/addr.h"

#define RELAY_LOOKUP_ADDRS_MAX 16
#define RELAY_LOOKUP_QUEUE_MAX 1024

typedef struct relay_resolver relay_resolver;
typedef struct relay_lookup relay_lookup;

/* Starts threads helpers. All signals are blocked in them. Destroying pool neither joins nor
 * waits: a helper may hang in getaddrinfo, and the process is about to end. */
apr_status_t relay_resolver_create(relay_resolver **out, int threads,
                                   apr_pool_t *pool);

/* Ends the helpers that are idle and waits for the others; for tests. */
void relay_resolver_join(relay_resolver *r);

/* Asks for the addresses of host (a name or literal, IPv4 or IPv6) with
 * port. When the answer is there, 8 bytes (value 1) are written to the eventfd wake_fd, once; a dup of it is
 * kept, so the caller may close its own at any time. A literal is answered at once, without a thread. NULL
 * when RELAY_LOOKUP_QUEUE_MAX questions wait or memory is out. Never blocks. */
relay_lookup *relay_resolver_start(relay_resolver *r, const char *host,
                                   unsigned short port, int wake_fd);

/* APR_EAGAIN while the answer is not there; APR_SUCCESS with *addrs (owned
 * by the lookup) and *n (at least 1, at most RELAY_LOOKUP_ADDRS_MAX, in the system's order of preference);
 * APR_ENOENT-like error with *error (a static or lookup-owned text) when the name has none. */
apr_status_t relay_lookup_result(relay_lookup *l, const relay_addr **addrs,
                                 int *n, const char **error);

/* The caller is done with l, answered or not. */
void relay_lookup_release(relay_lookup *l);

#endif
