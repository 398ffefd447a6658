/* SPDX-License-Identifier: Apache-2.0 */
/*
 * portlist.h - one section's ValidPorts: entries of the configuration plus
 * those of a file, which is read again when it changes.
 *
 * Made and filled while the configuration is read; asked by any thread of a
 * child. Needs APR, no httpd.
 */
#ifndef RPCPROXY_PORTLIST_H
#define RPCPROXY_PORTLIST_H

#include <apr_pools.h>
#include <apr_time.h>
#include <stdbool.h>
#include <stdint.h>

#include "rpch/ports.h"

typedef struct rpcproxy_portlist rpcproxy_portlist;

/* A ValidPorts file larger than this is refused. */
#define RPCPROXY_PORTLIST_FILE_MAX (1024 * 1024)

/* What a list says about a target. Texts live in the pool of the question. */
typedef struct rpcproxy_verdict {
    bool allowed;
    bool empty;           /* the list has no entry at all */
    rpch_ports_near near; /* not allowed: what comes close */
    const char *entry;    /* the entry that does, "ex1:6001-6002", or NULL */
    const char *news;     /* what became of the file since the last question,
                           * to be logged, or NULL; without a trailing dot */
    bool news_bad;        /* the file could not be used, the old list stays */
} rpcproxy_verdict;

/* Makes an empty list: nothing may be reached. Lives as long as p. */
rpcproxy_portlist *rpcproxy_portlist_create(apr_pool_t *p);

/* Adds the entries of a ValidPorts string (copied). Returns NULL, or a
 * sentence part that says which entry is wrong and why. */
const char *rpcproxy_portlist_add(rpcproxy_portlist *l, const char *list);

/* Adds the entries of the file at the absolute path, which is read now, and
 * again when a question finds it changed: at most once a second. In the file
 * a line's end separates entries as ';' does, and '#' starts a comment.
 * Returns NULL, or a sentence part that says what is wrong. One file a list. */
const char *rpcproxy_portlist_set_file(rpcproxy_portlist *l, const char *path);

/* What RpcProxyValidPorts and its file have said in a section so far. "None"
 * is the empty list, which has an inner section forget the outer one's: it
 * stands alone. */
typedef enum rpcproxy_said {
    RPCPROXY_SAID_NOTHING,
    RPCPROXY_SAID_NONE,
    RPCPROXY_SAID_ENTRIES
} rpcproxy_said;

/* RpcProxyValidPorts, here called directive, with one of its arguments. Makes
 * *l when there is none. Returns NULL, or the sentence about what is wrong. */
const char *rpcproxy_portlist_say(rpcproxy_portlist **l, rpcproxy_said *said,
                                  const char *directive, const char *arg,
                                  apr_pool_t *p);

/* RpcProxyValidPortsFile, likewise; path: arg, made absolute; NULL: it can not
 * be. */
const char *rpcproxy_portlist_say_file(rpcproxy_portlist **l,
                                       rpcproxy_said *said,
                                       const char *directive, const char *arg,
                                       const char *path, apr_pool_t *p);

/* Asks whether name:port may be reached; now is the time of the day. A file
 * that cannot be read or parsed any more leaves its old entries in force and
 * is reported once for each change. Any thread. */
void rpcproxy_portlist_ask(rpcproxy_portlist *l, const char *name,
                           uint16_t port, apr_time_t now, apr_pool_t *p,
                           rpcproxy_verdict *out);

#endif
