/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wire.h - reading and writing integers in a bounded buffer.
 *
 * A cursor that would step over its end turns bad, stays bad, and yields
 * zeros, so that a decoder may read a whole structure and ask once.
 */
#ifndef RPCH_WIRE_H
#define RPCH_WIRE_H

#include <string.h>

#include "rpch/rpch.h"

/* Reads from p[pos..len). */
typedef struct rpch_reader {
    const uint8_t *p;
    size_t len;
    size_t pos;
    bool bad; /* a read went over the end */
} rpch_reader;

/* Writes to p[pos..room). */
typedef struct rpch_writer {
    uint8_t *p;
    size_t room;
    size_t pos;
    bool bad; /* a write did not fit; nothing of it was written */
} rpch_writer;

/* A reader over len bytes at p. */
static inline rpch_reader rpch_reader_of(const void *p, size_t len)
{
    rpch_reader r = { (const uint8_t *)p, len, 0, false };
    return r;
}

/* A writer over room bytes at p. */
static inline rpch_writer rpch_writer_of(void *p, size_t room)
{
    rpch_writer w = { (uint8_t *)p, room, 0, false };
    return w;
}

/* Takes n bytes; NULL and bad when fewer are left. */
static inline const uint8_t *rpch_take(rpch_reader *r, size_t n)
{
    const uint8_t *at;
    if (r->bad || n > r->len - r->pos) {
        r->bad = true;
        return NULL;
    }
    at = r->p + r->pos;
    r->pos += n;
    return at;
}

/* Reserves n bytes for writing; NULL and bad when they do not fit. */
static inline uint8_t *rpch_reserve(rpch_writer *w, size_t n)
{
    uint8_t *at;
    if (w->bad || n > w->room - w->pos) {
        w->bad = true;
        return NULL;
    }
    at = w->p + w->pos;
    w->pos += n;
    return at;
}

/* Little-endian 16 bits at p. */
static inline uint16_t rpch_le16(const uint8_t *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}

/* Big-endian 16 bits at p. */
static inline uint16_t rpch_be16(const uint8_t *p)
{
    return (uint16_t)(p[0] << 8 | p[1]);
}

/* Little-endian 32 bits at p. */
static inline uint32_t rpch_le32(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16
         | (uint32_t)p[3] << 24;
}

/* Big-endian 32 bits at p. */
static inline uint32_t rpch_be32(const uint8_t *p)
{
    return (uint32_t)p[3] | (uint32_t)p[2] << 8 | (uint32_t)p[1] << 16
         | (uint32_t)p[0] << 24;
}

/* Reads one byte, 0 when bad. */
static inline uint8_t rpch_get_u8(rpch_reader *r)
{
    const uint8_t *p = rpch_take(r, 1);
    return p ? p[0] : 0;
}

/* Reads a little-endian 16-bit value, 0 when bad. */
static inline uint16_t rpch_get_le16(rpch_reader *r)
{
    const uint8_t *p = rpch_take(r, 2);
    return p ? rpch_le16(p) : 0;
}

/* Reads a little-endian 32-bit value, 0 when bad. */
static inline uint32_t rpch_get_le32(rpch_reader *r)
{
    const uint8_t *p = rpch_take(r, 4);
    return p ? rpch_le32(p) : 0;
}

/* Reads a little-endian 64-bit value, 0 when bad. */
static inline uint64_t rpch_get_le64(rpch_reader *r)
{
    const uint8_t *p = rpch_take(r, 8);
    return p ? rpch_le32(p) | (uint64_t)rpch_le32(p + 4) << 32 : 0;
}

/* Writes one byte. */
static inline void rpch_put_u8(rpch_writer *w, uint8_t v)
{
    uint8_t *p = rpch_reserve(w, 1);
    if (p)
        p[0] = v;
}

/* Writes a little-endian 16-bit value. */
static inline void rpch_put_le16(rpch_writer *w, uint16_t v)
{
    uint8_t *p = rpch_reserve(w, 2);
    if (p) {
        p[0] = (uint8_t)v;
        p[1] = (uint8_t)(v >> 8);
    }
}

/* Writes a little-endian 32-bit value. */
static inline void rpch_put_le32(rpch_writer *w, uint32_t v)
{
    uint8_t *p = rpch_reserve(w, 4);
    if (p) {
        p[0] = (uint8_t)v;
        p[1] = (uint8_t)(v >> 8);
        p[2] = (uint8_t)(v >> 16);
        p[3] = (uint8_t)(v >> 24);
    }
}

/* Writes a little-endian 64-bit value. */
static inline void rpch_put_le64(rpch_writer *w, uint64_t v)
{
    uint8_t *p = rpch_reserve(w, 8);
    int i;
    for (i = 0; p && i < 8; i++)
        p[i] = (uint8_t)(v >> 8 * i);
}

/* Writes n bytes from src. */
static inline void rpch_put_bytes(rpch_writer *w, const void *src, size_t n)
{
    uint8_t *p = rpch_reserve(w, n);
    if (p && n)
        memcpy(p, src, n);
}

#endif
