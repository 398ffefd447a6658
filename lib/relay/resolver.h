/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resolver.h - names to addresses in a few helper threads: getaddrinfo(3)
 * cannot be cancelled, so its waiters have deadlines of their own and may
 * walk away.
 *
 * A name is resolved by one helper at a time: whoever asks for it meanwhile
 * shares the answer, so that one name that hangs takes one helper only,
 * however many wait for it.
 */
#ifndef RELAY_RESOLVER_H
#define RELAY_RESOLVER_H

#include <apr_errno.h>
#include <apr_pools.h>

#include "relay/addr.h"
#include "relay/waker.h"

#define RELAY_RESOLVER_THREADS_MAX 16
#define RELAY_LOOKUP_ADDRS_MAX 16
#define RELAY_LOOKUP_QUEUE_MAX 1024

/* Room for the text of relay_lookup_result. */
#define RELAY_LOOKUP_ERROR_SIZE 128

typedef struct relay_resolver relay_resolver;
typedef struct relay_lookup relay_lookup;

/* Starts threads helpers, 1 to RELAY_RESOLVER_THREADS_MAX (else APR_EINVAL).
 * All signals are blocked in them. Destroying pool tells them to end, but
 * neither joins nor waits nor takes a lock: a helper may hang in getaddrinfo,
 * and the process is about to end. Lookups may be released after that. */
apr_status_t relay_resolver_create(relay_resolver **out, int threads,
                                   apr_pool_t *pool);

/* Ends the helpers that are idle and waits for the others; for tests. r can
 * only be left alone then; lookups not answered so far never will be, and
 * may still be released. */
void relay_resolver_join(relay_resolver *r);

/* Resolves host: fills addrs[0..room) with port 0 and returns how many, in
 * order of preference, or returns 0 with the reason in error (size bytes).
 * Runs in a helper thread, and may block there. */
typedef int relay_resolve_fn(void *baton, const char *host, relay_addr *addrs,
                             int room, char *error, size_t size);

/* Resolves names by fn instead of getaddrinfo; for tests, before the first
 * lookup. baton is handed to fn. Literals never come to it. */
void relay_resolver_set_function(relay_resolver *r, relay_resolve_fn *fn,
                                 void *baton);

/* Asks for the addresses of host (a name or literal, IPv4 or IPv6 without
 * brackets) with port. When the answer is there, waker (copied) is called,
 * once, in a helper's thread. A literal is answered at once, without a thread
 * and without that. NULL when RELAY_LOOKUP_QUEUE_MAX questions wait, or memory
 * is out. Never blocks. */
relay_lookup *relay_resolver_start(relay_resolver *r, const char *host,
                                   unsigned short port,
                                   const relay_waker *waker);

/* APR_EAGAIN while the answer is not there; APR_SUCCESS with *addrs (owned by
 * the lookup) and *n (at least 1, at most RELAY_LOOKUP_ADDRS_MAX, each once,
 * in the system's order of preference); APR_ENOENT with *error (owned by the
 * lookup) when the name has none. The outputs not mentioned are NULL and 0. */
apr_status_t relay_lookup_result(relay_lookup *l, const relay_addr **addrs,
                                 int *n, const char **error);

/* The caller is done with l, answered or not. A waker that is about to be
 * called then still is; otherwise it is not called any more. */
void relay_lookup_release(relay_lookup *l);

#endif
