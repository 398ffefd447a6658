/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client_io.h - the client side of a channel, without ever blocking: through
 * httpd's filters, or directly where they have nothing to do.
 *
 * Reads come from the request body until they say "nothing now"; only then
 * is the socket worth polling, since TLS and HTTP filters hold data of their
 * own. What is written is passed as brigades of limited size that end in a
 * private metadata bucket: mod_ssl's coalescing filter would keep a lone
 * small write for ever, and a FLUSH bucket would block.
 *
 * Where nothing but the filters of httpd's own HTTP and core stands between
 * the request and the socket, and these hold nothing, bytes go to and from the
 * socket: the core's filters read 8,000 of them at a time, and copy what
 * waits.
 */
#ifndef RELAY_CLIENT_IO_H
#define RELAY_CLIENT_IO_H

#include <http_core.h>
#include <httpd.h>

#include "relay/relay.h"
#include "relay/sendq.h"

/* Most bytes given to the filters at a time; less where FlushMaxThreshold is
 * lower than httpd's default, for above it the core filter blocks. */
#define RELAY_CLIENT_BATCH 49152

/* Bytes that are worth reading at once, from either side. */
#define RELAY_SCRATCH 65536

typedef struct relay_client {
    request_rec *r;
    conn_rec *c;
    apr_socket_t *socket;
    int fd;
    apr_interval_time_t saved_timeout;
    relay_engine *engine;     /* in whose name is logged */
    apr_bucket_brigade *in;   /* from the filters, on its way to be copied */
    apr_bucket_brigade *out;
    relay_sendq rest;         /* for the caller: read, and not taken */
    apr_off_t body_left;      /* of Content-Length; -1: there is none */
    size_t batch;             /* RELAY_CLIENT_BATCH or less */
    APR_OPTIONAL_FN_TYPE(ap_logio_add_bytes_in) *count_in; /* mod_logio's */
    APR_OPTIONAL_FN_TYPE(ap_logio_add_bytes_out) *count_out;
    bool raw;                 /* the request's filters are the connection's:
                               * an end of the stream is body_done */
    bool readable;            /* a read may bring something: do not poll */
    bool body_done;           /* the request body ended; raw: the client sends
                               * no more */
    bool junk;                /* bytes after the body: no longer watched */
    bool gone;                /* closed or failed */
    bool refused;             /* a filter answered the request itself (413) */
    bool async;               /* nobody will wait for the client afterwards */
    bool judged_in;           /* it was decided how to read */
    bool direct_in;           /* from the socket */
    bool judged_out;
    bool direct_out;
    bool passed;              /* something, and with it the response head */
    bool full;                /* the socket took less than it was given */
} relay_client;

/* Makes the connection non-blocking and takes mod_reqtimeout's input filter
 * out of the way; its body timer would end a quiet channel. async: a reactor
 * has the connection until its end. */
void relay_client_init(relay_client *cl, relay_engine *e, request_rec *r,
                       bool async);

/* Reads up to size body bytes and returns how many. Less: there are no more
 * now (readable is then false), the body ended (body_done), or the client is
 * gone (gone). */
size_t relay_client_read(relay_client *cl, uint8_t *buf, size_t size);

/* After the body: notices a client that closed (gone) by a speculative
 * read. */
void relay_client_watch(relay_client *cl);

/* True when written bytes wait in the output filters, or the socket is
 * full: wait until it is writable. */
bool relay_client_blocked(const relay_client *cl);

/* Writes bytes of the response, n pieces, and with the first of them its head.
 * Returns how many were taken; 0 when earlier ones must go first, -1 when the
 * client is gone. Nothing of v is needed afterwards. */
long relay_client_write(relay_client *cl, const struct iovec *v, int n);

/* Sends the response head alone, if it was not sent yet. */
void relay_client_head(relay_client *cl);

/* The socket is writable: pushes what waits in the filters. */
void relay_client_push(relay_client *cl);

/* Ends the request without a response: nothing more reaches the client, and
 * its connection is closed after the handler. */
void relay_client_drop(relay_client *cl);

/* The request is over. A client that is gone is not waited for any more: its
 * connection is aborted. Unless async, the connection's timeout is put back,
 * and the same goes for a client that does not take what waits for it. */
void relay_client_done(relay_client *cl);

/* True when all filters of a chain are among the n known ones. The name of one
 * that is not is logged at debug level; what: what happens through it. */
bool relay_client_knows(const relay_client *cl, const ap_filter_t *chain,
                        ap_filter_rec_t *const *known, int n,
                        const char *what);

#endif
