/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chunks.h - the chunked transfer coding (RFC 9112 7.1): a decoder of a
 * stream that may be cut anywhere, and what an encoder writes around data.
 */
#ifndef RELAY_CHUNKS_H
#define RELAY_CHUNKS_H

#include <stddef.h>
#include <stdint.h>

/* Chunk extensions in all, and trailers in all, have at most so many bytes;
 * they are read over. */
#define RELAY_CHUNKS_EXTENSIONS_MAX 8192u
#define RELAY_CHUNKS_TRAILERS_MAX 8192u

/* The largest chunk. */
#define RELAY_CHUNK_SIZE_MAX (UINT64_C(1) << 62)

typedef enum relay_chunks_state {
    RELAY_CHUNKS_MORE, /* the body goes on */
    RELAY_CHUNKS_DONE, /* it has ended, trailers included */
    RELAY_CHUNKS_BAD   /* it is not so coded; see error */
} relay_chunks_state;

typedef struct relay_chunks {
    relay_chunks_state state; /* the last that relay_chunks_feed returned */
    const char *error;        /* BAD: a static sentence */
    uint64_t left;            /* data bytes of this chunk still to come */
    /* chunks.c's own: */
    int place;                /* where in the coding the stream stands */
    unsigned width;           /* characters of this chunk's size, padding
                               * included */
    unsigned extensions;      /* bytes of them so far */
    unsigned trailers;        /* likewise */
} relay_chunks;

/* Starts a body. Nothing is to be freed. */
void relay_chunks_init(relay_chunks *c);

/* Takes input up to and including the next slice of data: *data, in the
 * input, with *data_len bytes; 0 when there is none in it. *used is how much
 * was taken. Call again with the rest until everything is used up or the
 * state is not MORE: DONE takes what belongs to the body and no more, and can
 * come with no data only. DONE and BAD stay, and take nothing any more. Where
 * the stream is cut changes neither data nor state.
 *
 * Lines end in CRLF, nothing else. BAD: a size that is no hexadecimal number,
 * is above RELAY_CHUNK_SIZE_MAX or has more than 32 characters, data that is
 * longer than its size, more extensions or trailers than may be. */
relay_chunks_state relay_chunks_feed(relay_chunks *c, const void *in,
                                     size_t len, size_t *used,
                                     const uint8_t **data, size_t *data_len);

/* Room for relay_chunk_line. */
#define RELAY_CHUNK_LINE_MAX 18

/* What stands after the data of a chunk, and after the last chunk's. */
#define RELAY_CHUNK_END "\r\n"
#define RELAY_CHUNKS_END "0\r\n\r\n"

/* Writes what stands before len bytes of data, "1f4\r\n", not terminated, and
 * returns how long it is. len is above 0: an empty chunk ends the body. */
size_t relay_chunk_line(char out[RELAY_CHUNK_LINE_MAX], size_t len);

#endif
