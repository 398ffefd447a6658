/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inner.h - a connection to an inner proxy: made by a request of a client
 * connection, for that connection alone, and never out of mod_proxy's pool,
 * which has as many as a child has threads.
 *
 * Everything here blocks, and so is for workers, but for front_inner_is_live,
 * front_inner_rest and front_inner_close.
 */
#ifndef FRONT_INNER_H
#define FRONT_INNER_H

#include <httpd.h>
#include <stdbool.h>

#include "front/address.h"
#include "front/proxy.h"

/* Lives in its own pool, which is a child of the client connection's. */
typedef struct front_inner {
    apr_pool_t *pool;
    conn_rec *client;
    conn_rec *c;
    apr_socket_t *socket;
    proxy_worker *worker;     /* the member of the balancer, or alone */
    const char *name;         /* front_address's: where it leads */
    const char *peer;         /* what TLS expects the peer to be called */
    bool tls;
    bool bound;               /* it may be authenticated, and then as the one
                               * client; see front_credentials_are_bound */
    struct front_inner **kept; /* who points here, or NULL */
} front_inner;

/* The name that a member's TLS certificate has to have: as mod_proxy has it,
 * the client's Host with ProxyPreserveHost, else the member's. */
const char *front_inner_peer(const request_rec *r, const front_address *a);

/* How long the member may take for anything, by the worker's timeout=, else
 * ProxyTimeout, else Timeout. */
apr_interval_time_t front_inner_timeout(const request_rec *r,
                                        const proxy_worker *worker,
                                        const proxy_server_conf *conf);

/* Opens one: the name, all its addresses in turn, the connection's filters;
 * the TLS handshake comes with the first bytes that are written. OK, or, after
 * one log line, the status to be returned to mod_proxy: 503 has it try
 * another member. */
int front_inner_open(front_inner **out, request_rec *r, proxy_worker *worker,
                     const proxy_server_conf *conf, const front_address *a);

/* Sets it up for one more request. */
void front_inner_use(front_inner *in, request_rec *r);

/* Forgets the request: nothing of it may be needed any more. */
void front_inner_rest(front_inner *in);

/* False when the peer has closed it, or has sent what nobody asked for. */
bool front_inner_is_live(const front_inner *in);

/* Writes all of text, and lets TLS shake hands before that. OK, or, after one
 * log line, the status to be returned to mod_proxy. */
int front_inner_write(front_inner *in, request_rec *r, const char *text,
                      apr_size_t len);

/* Says goodbye as far as that does not block, and frees it. */
void front_inner_close(front_inner *in);

#endif
