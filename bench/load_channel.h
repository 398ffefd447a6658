/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load_channel.h - one TCP connection of a load_conn, with the head of its
 * HTTP request and response if it has one.
 */
#ifndef LOAD_CHANNEL_H
#define LOAD_CHANNEL_H

#include "../tools/rpcd_buf.h"
#include "load_conn.h"
#include "load_http.h"

/* All read through this. */
#define LOAD_BUFFER 131072u
extern uint8_t load_buffer[LOAD_BUFFER];

/* Rounds of reading or sending in one turn of a connection. */
#define LOAD_ROUNDS 8

typedef struct load_channel {
    load_sock sock;        /* first */
    load_conn *owner;      /* NULL: it lingers */
    struct load_channel *prev, *next; /* of those that linger */
    uint64_t until;        /* how long */
    load_request request;
    unsigned slot;         /* of the machine */
    uint64_t length;       /* Content-Length of the request */
    bool asked;            /* its head is in a batch, or there is none */
    int status;            /* of the response; 0: its head is not there */
    uint64_t left;         /* of the response's body */
    rpcd_buf held;         /* read, and not yet taken */
} load_channel;

/* Connects; has is false: no HTTP. Fails c and returns NULL when it cannot. */
load_channel *load_channel_open(load_conn *c, bool has, load_request request,
                                unsigned slot, uint64_t length);

/* True when it is connected; fails its owner when it cannot be. */
bool load_channel_advance(load_channel *ch);

/* Puts the request's head into the batch if that was not done; false: it
 * failed the owner. */
bool load_channel_ask(load_channel *ch, load_batch *b);

/* Reads once. Returns the bytes at load_buffer, 0 when there are none now (or
 * ch->sock.eof), -1 when the socket is broken or the owner failed. Bytes of
 * the head are not among them; ch->status is set behind it, and what follows
 * it is held. */
ssize_t load_channel_read(load_channel *ch);

/* Holds n bytes at p; fails the owner when there is no memory. */
void load_channel_hold(load_channel *ch, const uint8_t *p, size_t n);

/* Why a broken socket is one. */
const char *load_channel_error(const load_channel *ch);

/* The owner is done with it; the peer is left to close it. */
void load_channel_linger(load_channel *ch);

/* Closes it at once; NULL is none. */
void load_channel_close(load_channel *ch);

/* Ends those that have lingered too long; all: every one. */
void load_channel_sweep(uint64_t now, bool all);

#endif
