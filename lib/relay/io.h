/* SPDX-License-Identifier: Apache-2.0 */
/*
 * io.h - one HTTP connection of httpd, driven without ever blocking: through
 * httpd's filters, or directly where they have nothing to do. It is a client's
 * connection with a request on it, or an *inner* one: a connection that httpd
 * opened itself, of which nothing but bytes is known here.
 *
 * Reads come from the filters until they say "nothing now"; only then is the
 * socket worth polling, since TLS and HTTP filters hold data of their own.
 * What is written is passed as brigades of limited size that end in a private
 * metadata bucket: mod_ssl's coalescing filter would keep a lone small write
 * for ever, and a FLUSH bucket would block.
 *
 * Where nothing but the filters of httpd's own HTTP and core stands before the
 * socket, and these hold nothing, bytes go to and from the socket: the core's
 * filters read 8,000 of them at a time, and copy what waits. mod_ssl's filter
 * gets its bytes from one of ours (io_gulp.h), and writes through another one
 * (io_noflush.h).
 */
#ifndef RELAY_IO_IO_H
#define RELAY_IO_IO_H

#include <http_core.h>
#include <httpd.h>

#include "relay/gulp.h"
#include "relay/relay.h"
#include "relay/sendq.h"

/* Most bytes given to the filters at a time; less where FlushMaxThreshold is
 * lower than httpd's default, for above it the core filter blocks. */
#define RELAY_IO_BATCH 49152

/* Bytes that are worth reading at once, from either side. */
#define RELAY_SCRATCH 65536

typedef struct relay_io {
    request_rec *r;           /* of an inner connection: to log, and the pool */
    conn_rec *c;
    ap_filter_t **from;       /* the chain that is read */
    ap_filter_t **to;         /* the chain that is written */
    apr_socket_t *socket;
    int fd;
    apr_interval_time_t saved_timeout;
    relay_engine *engine;     /* in whose name is logged */
    apr_bucket_brigade *in;   /* from the filters, on its way to be copied */
    apr_bucket_brigade *out;
    ap_filter_t *below;       /* ours below mod_ssl's; NULL: none */
    relay_gulp gulp;          /* its large reads */
    ap_filter_t *noflush;     /* ours below mod_ssl's for output, or NULL */
    bool core_holds;          /* the core's filter may have something of what
                               * came */
    relay_sendq rest;         /* for the caller: read, and not taken */
    apr_off_t body_left;      /* of Content-Length; -1: there is none */
    size_t batch;             /* RELAY_IO_BATCH or less */
    APR_OPTIONAL_FN_TYPE(ap_logio_add_bytes_in) *count_in; /* mod_logio's */
    APR_OPTIONAL_FN_TYPE(ap_logio_add_bytes_out) *count_out;
    bool inner;               /* not the client's */
    bool borrowed;            /* httpd has the connection back behind the
                               * request */
    bool last;                /* nobody uses its filters behind this io */
    bool raw;                 /* the chains are the connection's own: an end
                               * of the stream is body_done */
    bool readable;            /* a read may bring something: do not poll */
    bool came;                /* the filters gave something to read */
    bool body_done;           /* the request body ended; raw: the peer sends
                               * no more */
    bool junk;                /* bytes after the body: no longer watched */
    bool gone;                /* closed or failed */
    bool refused;             /* a filter answered the request itself (413) */
    bool async;               /* nobody will wait for the peer afterwards */
    bool judged_in;           /* it was decided how to read */
    bool direct_in;           /* from the socket */
    bool judged_out;
    bool direct_out;
    bool passed;              /* something, and with it the response head */
    bool full;                /* the socket took less than it was given */
} relay_io;

/* For the client's connection of r: makes it non-blocking and takes
 * mod_reqtimeout's input filter out of the way; its body timer would end a
 * quiet channel. async: a reactor has the connection until its end. */
void relay_io_init(relay_io *io, relay_engine *e, request_rec *r, bool async);

/* Likewise for a connection that goes back to httpd behind the request:
 * mod_reqtimeout's filter stays, and everything passes through the filters,
 * which know then how much of the request was read. */
void relay_io_borrow(relay_io *io, relay_engine *e, request_rec *r);

/* A borrowed connection turns out to be at its last request: from here on it
 * is as after relay_io_init. An inner one: nobody reads it behind this io, not
 * even when it is not aborted. */
void relay_io_own(relay_io *io, bool async);

/* The response's head is to go through that chain of the request's filters
 * when it is written, instead of the protocol's alone. */
void relay_io_begin(relay_io *io, ap_filter_t **chain);

/* For an inner connection, at a moment when its filters hold nothing of what
 * came: makes it non-blocking. No HTTP is known of it: what is written is all
 * that is sent, what is read is all that comes, until the peer's end of the
 * stream (body_done). r: on whose behalf; only its log and its pool are used,
 * and inner must outlive relay_io_done. */
void relay_io_init_inner(relay_io *io, relay_engine *e, request_rec *r,
                         conn_rec *inner);

/* Reads up to size bytes (of a client: of the body) and returns how many.
 * Less: there are no more now (readable is then false, and neither the io nor
 * the filters hold anything), the body ended (body_done), or the peer is gone
 * (gone). */
size_t relay_io_read(relay_io *io, uint8_t *buf, size_t size);

/* While nothing is read: notices a peer that closed (gone) or sent what it
 * should not (junk) by a speculative read. */
void relay_io_watch(relay_io *io);

/* True when written bytes wait in the output filters, or the socket is
 * full: wait until it is writable. */
bool relay_io_blocked(const relay_io *io);

/* Writes n pieces; of a client: of the response's body, and with the first of
 * them its head. Returns how many bytes were taken; 0 when earlier ones must
 * go first, -1 when the peer is gone. Nothing of v is needed afterwards. */
long relay_io_write(relay_io *io, const struct iovec *v, int n);

/* Sends the response head alone, if it was not sent yet. */
void relay_io_head(relay_io *io);

/* The socket is writable: pushes what waits in the filters. */
void relay_io_push(relay_io *io);

/* Ends a client's request without a response: nothing more reaches the client,
 * and its connection is closed after the handler. */
void relay_io_drop(relay_io *io);

/* Ends a client's response short: what was written goes out, nothing follows
 * at the end of the request (no last chunk), and the connection is closed, by
 * which the client knows. The same as relay_io_drop when nothing was
 * written. Before relay_io_done; the handler's result is OK. */
void relay_io_abort(relay_io *io);

/* The io is over. A peer that is gone is not waited for any more: its
 * connection is aborted. Unless async, the connection's timeout is put back,
 * so that its filters may wait again, and the same goes for a peer that does
 * not take what waits for it.
 *
 * An inner connection that is not aborted can be used through its filters
 * again, also when its bytes went past them: that begins when they hold
 * nothing, and they keep no account of what they pass on. */
void relay_io_done(relay_io *io);

/* True when all filters of a chain are among the n known ones. The name of one
 * that is not is logged at debug level; what: what happens through it. */
bool relay_io_knows(const relay_io *io, const ap_filter_t *chain,
                    ap_filter_rec_t *const *known, int n, const char *what);

#endif
