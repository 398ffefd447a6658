/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client_io.h - the client side of a channel through httpd's filters,
 * without ever blocking.
 *
 * Reads come from the request body until they say "nothing now"; only then
 * is the socket worth polling, since TLS and HTTP filters hold data of their
 * own. Writes are collected and passed as one brigade that ends in a
 * private metadata bucket: mod_ssl's coalescing filter would keep a lone
 * small write for ever, and a FLUSH bucket would block.
 */
#ifndef RELAY_CLIENT_IO_H
#define RELAY_CLIENT_IO_H

#include <httpd.h>

#include "rpch/rpch.h"

/* Most bytes given to the filters at a time; less where FlushMaxThreshold is
 * lower than httpd's default, for above it the core filter blocks. */
#define RELAY_CLIENT_BATCH 49152

typedef struct relay_client {
    request_rec *r;
    conn_rec *c;
    apr_socket_t *socket;
    int fd;
    apr_interval_time_t saved_timeout;
    apr_bucket_brigade *in;   /* body bytes read and not yet taken */
    apr_bucket_brigade *out;  /* collected since the last commit */
    size_t out_bytes;         /* in it */
    size_t batch;             /* most of them: RELAY_CLIENT_BATCH or less */
    bool raw;                 /* the request's filters are the connection's:
                               * an end of the stream is body_done */
    bool readable;            /* a read may bring something: do not poll */
    bool body_done;           /* the request body ended; raw: the client sends
                               * no more */
    bool junk;                /* bytes after the body: no longer watched */
    bool gone;                /* closed or failed */
    bool refused;             /* a filter answered the request itself (413) */
    bool async;               /* nobody will wait for the client afterwards */
} relay_client;

/* Makes the connection non-blocking and takes mod_reqtimeout's input filter
 * out of the way; its body timer would end a quiet channel. async: a reactor
 * has the connection until its end. */
void relay_client_init(relay_client *cl, request_rec *r, bool async);

/* The next contiguous body bytes, *len of them, borrowed until
 * relay_client_take; NULL when there are none now (readable is then false),
 * the body ended (body_done), or the client is gone (gone). */
const uint8_t *relay_client_peek(relay_client *cl, size_t *len);

/* n of the bytes peeked were consumed. */
void relay_client_take(relay_client *cl, size_t n);

/* Keeps what was peeked and not taken over the next poll. */
void relay_client_hold(relay_client *cl);

/* After the body: notices a client that closed (gone) by a speculative
 * read. */
void relay_client_watch(relay_client *cl);

/* True when written bytes wait in the output filters. */
bool relay_client_blocked(const relay_client *cl);

/* True when relay_client_write would take bytes. */
bool relay_client_writable(const relay_client *cl);

/* Collects up to len bytes for the response and returns how many; 0 when
 * earlier ones must go first, -1 when the client is gone. */
long relay_client_write(relay_client *cl, const uint8_t *p, size_t len);

/* Sends what was collected and the response head with it. */
void relay_client_commit(relay_client *cl);

/* The socket is writable: pushes what waits in the filters. */
void relay_client_push(relay_client *cl);

/* Ends the request without a response: nothing more reaches the client, and
 * its connection is closed after the handler. */
void relay_client_drop(relay_client *cl);

/* The request is over. A client that is gone is not waited for any more: its
 * connection is aborted. Unless async, the connection's timeout is put back,
 * and the same goes for a client that does not take what waits for it. */
void relay_client_done(relay_client *cl);

#endif
