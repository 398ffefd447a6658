/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load_sock.h - a TCP connection of rpch-load, with TLS or without. It keeps
 * what epoll told it (readable, writable) until a call finds the contrary.
 */
#ifndef LOAD_SOCK_H
#define LOAD_SOCK_H

#include <netinet/in.h>
#include <openssl/ssl.h>
#include <sys/types.h>

#include "load_batch.h"
#include "load_loop.h"

/* Where a socket of a client goes. */
typedef struct load_place {
    struct sockaddr_storage to;
    socklen_t to_len;
    struct in_addr source; /* all zero: any */
    SSL_CTX *tls;          /* or NULL */
    const char *name;      /* for SNI, or NULL */
} load_place;

typedef struct load_sock {
    load_source source;   /* first */
    load_loop *loop;
    void (*changed)(struct load_sock *s); /* after an event */
    load_batch *batch;    /* being sent, or NULL */
    SSL *ssl;
    int fd;               /* -1: closed */
    bool connecting;      /* connect() or the handshake is under way */
    bool handshake;
    bool readable;
    bool writable;
    bool hup;             /* an end of the stream is to be read */
    bool watched;         /* for room for output */
    bool crossed;         /* TLS reads to write, or the other way round */
    bool eof;             /* the peer sends no more */
    bool broken;          /* nothing goes any more */
    int error;            /* errno of that, or 0 */
} load_sock;

/* The context of all clients; ca: a file of certificates, NULL: trust all.
 * NULL when it cannot be made or read. */
SSL_CTX *load_tls_new(const char *ca);

/* Begins to connect; s must be all zero but changed. False with errno. */
bool load_sock_open(load_sock *s, load_loop *loop, const load_place *place);

/* Takes a socket that was accepted; likewise. */
bool load_sock_accept(load_sock *s, load_loop *loop, int fd);

/* Goes on with connect() and handshake: 1 when that is done, 0 when it needs
 * time, -1 when it failed (s->broken, s->handshake tells where). */
int load_sock_advance(load_sock *s);

/* Reads as much as there is and fits. 0: nothing now, or s->eof; -1: broken. */
ssize_t load_sock_read(load_sock *s, uint8_t *out, size_t room);

/* The batch to be filled: an empty one. NULL: no memory. */
load_batch *load_sock_batch(load_sock *s);

/* Sends the batch; true when nothing is left of it. */
bool load_sock_flush(load_sock *s);

/* True when something waits to be sent. */
bool load_sock_waits(const load_sock *s);

/* Ends sending. */
void load_sock_shutdown(load_sock *s);

/* Closes and frees what is its own; changed is not called any more. */
void load_sock_close(load_sock *s);

#endif
