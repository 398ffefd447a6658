/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gulp.h - one large read of a socket that somebody takes in small pieces: TLS,
 * which asks for the five bytes of a record's header, and then for the rest.
 *
 * Nothing stays here between two reads in the usual case: no more is read than
 * can be taken.
 */
#ifndef RELAY_GULP_H
#define RELAY_GULP_H

#include "relay/sendq.h"

/* Bytes of one read of the socket. Not on a stack: those of some systems have
 * 128 KiB, and the reader's buffer is there already. */
#define RELAY_GULP 32768u

/* Data in one TLS record, at most, bytes. */
#define RELAY_RECORD 16384u

/* All fields are its own. */
typedef struct relay_gulp {
    int fd;
    uint8_t *scratch;  /* RELAY_GULP bytes, of the read that is going on; NULL:
                        * there is none */
    size_t room;       /* bytes that may still be read in it */
    const uint8_t *at; /* of the scratch: what was not taken */
    size_t left;
    bool dry;          /* the socket has nothing more now */
    relay_sendq rest;  /* not taken in earlier reads */
    size_t given;      /* of rest: taken by the last call */
} relay_gulp;

/* For a socket, of which nothing was read yet. */
void relay_gulp_init(relay_gulp *g, int fd, relay_blocks *blocks);

/* A read of up to size bytes of what TLS carries begins, until relay_gulp_end.
 * False when the system has no memory: then there is none. */
bool relay_gulp_begin(relay_gulp *g, size_t size);

/* Takes up to size (more than 0) of the bytes that are here; when there are
 * none, and inside of a read, from the socket. *p lives until the next call on g.
 * APR_EAGAIN: nothing now; APR_EOF: the peer sends no more, which is said
 * once; or how the socket failed. */
apr_status_t relay_gulp_take(relay_gulp *g, size_t size, const uint8_t **p,
                             size_t *n);

/* The read is over; what was not taken is kept. False when the system has no
 * memory for it. */
bool relay_gulp_end(relay_gulp *g);

/* Whether the last read stopped before the socket had nothing more. */
bool relay_gulp_is_short(const relay_gulp *g);

/* Bytes that can be taken without a look at the socket. */
size_t relay_gulp_holds(const relay_gulp *g);

/* Forgets what it holds; outside of a read. */
void relay_gulp_clear(relay_gulp *g);

#endif
