/* SPDX-License-Identifier: Apache-2.0 */
/*
 * route.h - RpcProxyRoute: where an allowed target really is and what it
 * speaks. Needs APR, no httpd.
 */
#ifndef RPCPROXY_ROUTE_H
#define RPCPROXY_ROUTE_H

#include <apr_pools.h>
#include <apr_tables.h>
#include <stdint.h>

#include "relay/connector.h"
#include "relay/table.h"
#include "rpch/ports.h"

/* One RpcProxyRoute line. */
typedef struct rpcproxy_route {
    rpch_ports_entry from;     /* what clients ask for */
    relay_kind kind;
    const relay_candidate *to; /* port 0: the port asked for */
    int n_to;                  /* 0: the name asked for */
} rpcproxy_route;

/* Where to connect. */
typedef struct rpcproxy_way {
    relay_kind kind;
    const relay_candidate *to; /* tried in order */
    int n_to;                  /* 1 at least */
} rpcproxy_way;

/* Reads the arguments of one RpcProxyRoute, NAME[:PORTS] first; what *out
 * points to lives in p. Returns NULL, or a sentence that names the directive,
 * the argument and what is allowed. */
const char *rpcproxy_route_parse(apr_pool_t *p, int argc, char *const argv[],
                                 rpcproxy_route *out);

/* The route for name:port: the first whose name is exact, else the first
 * whose pattern fits, else NULL. routes (rpcproxy_route) may be NULL. */
const rpcproxy_route *rpcproxy_route_find(const apr_array_header_t *routes,
                                          const char *name, uint16_t port);

/* Where name:port is, by its route or, without one, ncacn_http at the name
 * itself. name is borrowed, the array is made in p. */
void rpcproxy_route_resolve(apr_pool_t *p, const apr_array_header_t *routes,
                            const char *name, uint16_t port,
                            rpcproxy_way *out);

#endif
