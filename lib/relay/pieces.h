/* SPDX-License-Identifier: Apache-2.0 */
/* pieces.h - bytes that lie in several pieces, one behind the other */
#ifndef RELAY_PIECES_H
#define RELAY_PIECES_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

/* A place within the pieces, which must stay where they are as long as it is
 * used. At their end v is end. */
typedef struct relay_place {
    const struct iovec *v;   /* the piece, which is not empty */
    const struct iovec *end; /* behind the last one */
    size_t at;               /* in v, less than its length */
} relay_place;

/* The first byte of n pieces; empty ones are skipped, here and later. */
relay_place relay_place_first(const struct iovec *v, int n);

/* Moves on n bytes, or to the end. */
void relay_place_move(relay_place *p, size_t n);

/* How many bytes at p lie in one piece; 0 at the end. */
size_t relay_place_here(const relay_place *p);

/* The n bytes at p, one at least and all of them there, in one piece: where
 * they are, or copied to out, which has room for n. */
const uint8_t *relay_place_whole(relay_place p, size_t n, uint8_t *out);

#endif
