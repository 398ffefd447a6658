/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load_batch.h - what one socket is to send next: a few bytes of HTTP and RTS
 * PDUs, then RPC PDUs, sent with one call and without copying where that is
 * possible. A socket has one only while something waits.
 */
#ifndef LOAD_BATCH_H
#define LOAD_BATCH_H

#include <sys/uio.h>

#include "load_message.h"

#define LOAD_BATCH_TEXT 3072u
#define LOAD_BATCH_ITEMS 48u

/* So many bytes of RPC PDUs go into one. */
#define LOAD_BATCH_MARK 131072u

typedef struct load_batch {
    struct load_batch *next; /* in the pool */
    size_t left;             /* bytes not yet sent */
    unsigned part;           /* the first that is not all sent: 0 text, then
                              * head and data of each item */
    size_t done;             /* bytes of that part that were */
    size_t text_len;
    unsigned n;
    uint8_t text[LOAD_BATCH_TEXT];
    load_item item[LOAD_BATCH_ITEMS];
} load_batch;

/* An empty one, or NULL: no memory. */
load_batch *load_batch_new(void);

/* Gives it back; NULL is none. */
void load_batch_free(load_batch *b);

/* Gives what the pool has kept back to the system. */
void load_batch_drain(void);

/* Appends to the text, before the first item; false when it does not fit. */
bool load_batch_text(load_batch *b, const void *p, size_t len);

/* True when another PDU of that size may be put. */
bool load_batch_has_room(const load_batch *b, uint32_t size);

/* Puts the sender's next fragment. */
void load_batch_put(load_batch *b, load_sender *s, uint32_t frag);

/* Describes what is left in at most max pieces; returns how many. */
int load_batch_pieces(const load_batch *b, struct iovec *iov, int max);

/* Copies the first bytes of what is left, at most room; returns how many. */
size_t load_batch_copy(const load_batch *b, uint8_t *out, size_t room);

/* The first n bytes were sent. */
void load_batch_sent(load_batch *b, size_t n);

#endif
