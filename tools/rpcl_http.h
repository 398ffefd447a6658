/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rpcl_http.h - one HTTP request of rpch-client: RPC_IN_DATA, whose body goes
 * on for as long as the channel does, or RPC_OUT_DATA, whose response body
 * does. Nothing here blocks but the look-up of a name.
 */
#ifndef RPCL_HTTP_H
#define RPCL_HTTP_H

#include <netdb.h>

#include "rpcd_buf.h"

#define RPCL_LINE_MAX 256

/* A request. All zero but fd, which is -1, is one that does not exist. */
typedef struct rpcl_http {
    int fd;
    bool connecting;
    bool eof;            /* the proxy sends no more */
    rpcd_buf to_send;    /* head and body not yet sent */
    rpcd_buf got;        /* of the response not yet taken; its head first */
    int status;          /* of the response; 0: its head is not complete */
    uint64_t body_left;  /* of its declared length */
    char line[RPCL_LINE_MAX]; /* its status line */
} rpcl_http;

/* What all requests of a run have in common. */
typedef struct rpcl_target {
    const char *url;     /* "/rpc/rpcproxy.dll" */
    const char *server;  /* "NAME:PORT" */
    const char *user;    /* of Basic authentication, or NULL */
    const char *password;
} rpcl_target;

/* Connects to the first address of ai that can be tried and queues the head
 * of a request with a body of that length. host is what the Host field says.
 * False with errno. */
bool rpcl_http_open(rpcl_http *h, const struct addrinfo *ai, const char *host,
                    const rpcl_target *t, bool is_in, uint64_t length);

/* Sends what waits, as far as the socket takes it. Returns how many bytes, or
 * -1 with errno. */
long rpcl_http_send(rpcl_http *h);

/* Reads once. Returns how many bytes, 0 when there are none now (or at the
 * end: h->eof), or -1 with errno; EPROTO: not HTTP, or more body than its
 * Content-Length. */
long rpcl_http_read(rpcl_http *h);

/* Gives up the socket without closing it, and frees the rest; -1 when there
 * is none. */
int rpcl_http_detach(rpcl_http *h);

/* Closes and frees. */
void rpcl_http_close(rpcl_http *h);

#endif
