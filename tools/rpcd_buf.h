/* SPDX-License-Identifier: Apache-2.0 */
/* rpcd_buf.h - a queue of bytes that grows, and integers of either order */
#ifndef RPCD_BUF_H
#define RPCD_BUF_H

#include "rpch/wire.h"

/* Bytes p[at..end) wait. All zero is an empty queue that owns nothing. */
typedef struct rpcd_buf {
    uint8_t *p;
    size_t at;
    size_t end;
    size_t room;
} rpcd_buf;

/* Appends n bytes; false when there is no memory. */
bool rpcd_buf_add(rpcd_buf *b, const void *p, size_t n);

/* Takes the first n bytes away (at most those that wait). An empty queue
 * gives large storage back. */
void rpcd_buf_drop(rpcd_buf *b, size_t n);

/* Frees the storage; the queue is empty and can be used again. */
void rpcd_buf_free(rpcd_buf *b);

/* How many bytes wait. */
static inline size_t rpcd_buf_len(const rpcd_buf *b)
{
    return b->end - b->at;
}

/* The first byte that waits; NULL in a queue never used. */
static inline const uint8_t *rpcd_buf_data(const rpcd_buf *b)
{
    return b->p != NULL ? b->p + b->at : NULL;
}

/* 16 bits at p. */
static inline uint16_t rpcd_get16(const uint8_t *p, bool big_endian)
{
    return big_endian ? rpch_be16(p) : rpch_le16(p);
}

/* 32 bits at p. */
static inline uint32_t rpcd_get32(const uint8_t *p, bool big_endian)
{
    return big_endian ? rpch_be32(p) : rpch_le32(p);
}

/* Writes 16 bits to p. */
static inline void rpcd_put16(uint8_t *p, uint16_t v, bool big_endian)
{
    p[big_endian ? 1 : 0] = (uint8_t)v;
    p[big_endian ? 0 : 1] = (uint8_t)(v >> 8);
}

/* Writes 32 bits to p. */
static inline void rpcd_put32(uint8_t *p, uint32_t v, bool big_endian)
{
    rpcd_put16(p + (big_endian ? 2 : 0), (uint16_t)v, big_endian);
    rpcd_put16(p + (big_endian ? 0 : 2), (uint16_t)(v >> 16), big_endian);
}

#endif
