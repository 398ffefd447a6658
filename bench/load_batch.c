/* SPDX-License-Identifier: Apache-2.0 */
/* load_batch.c - what one socket is to send next */
#include "load_batch.h"

#include <stdlib.h>
#include <string.h>

static load_batch *pool;

load_batch *load_batch_new(void)
{
    load_batch *b = pool;

    if (b != NULL)
        pool = b->next;
    else
        b = malloc(sizeof(*b));
    if (b == NULL)
        return NULL;
    b->next = NULL;
    b->left = b->done = b->text_len = 0;
    b->part = b->n = 0;
    return b;
}

void load_batch_free(load_batch *b)
{
    if (b == NULL)
        return;
    b->next = pool;
    pool = b;
}

void load_batch_drain(void)
{
    load_batch *b;

    while ((b = pool) != NULL) {
        pool = b->next;
        free(b);
    }
}

bool load_batch_text(load_batch *b, const void *p, size_t len)
{
    if (len > sizeof(b->text) - b->text_len || b->n > 0)
        return false;
    memcpy(b->text + b->text_len, p, len);
    b->text_len += len;
    b->left += len;
    return true;
}

bool load_batch_has_room(const load_batch *b, uint32_t size)
{
    return b->n < LOAD_BATCH_ITEMS
        && (b->n == 0 || b->left + size <= LOAD_BATCH_MARK);
}

void load_batch_put(load_batch *b, load_sender *s, uint32_t frag)
{
    load_item *item = &b->item[b->n++];

    load_sender_next(s, frag, item);
    b->left += (size_t)item->head_len + item->data_len;
}

/* The bytes of a part, without regard to what was sent. */
static struct iovec part_of(const load_batch *b, unsigned part)
{
    const load_item *item;
    struct iovec v;

    if (part == 0) {
        v.iov_base = (void *)b->text;
        v.iov_len = b->text_len;
        return v;
    }
    item = &b->item[(part - 1) / 2];
    v.iov_base = (void *)(part % 2 ? item->head : item->data);
    v.iov_len = part % 2 ? item->head_len : item->data_len;
    return v;
}

int load_batch_pieces(const load_batch *b, struct iovec *iov, int max)
{
    unsigned part;
    int n = 0;

    for (part = b->part; part < 1 + 2 * b->n && n < max; part++) {
        struct iovec v = part_of(b, part);

        if (part == b->part) {
            v.iov_base = (uint8_t *)v.iov_base + b->done;
            v.iov_len -= b->done;
        }
        if (v.iov_len > 0)
            iov[n++] = v;
    }
    return n;
}

size_t load_batch_copy(const load_batch *b, uint8_t *out, size_t room)
{
    unsigned part;
    size_t n = 0, len;

    for (part = b->part; part < 1 + 2 * b->n && n < room; part++) {
        struct iovec v = part_of(b, part);
        size_t skip = part == b->part ? b->done : 0;

        len = v.iov_len - skip < room - n ? v.iov_len - skip : room - n;
        memcpy(out + n, (const uint8_t *)v.iov_base + skip, len);
        n += len;
    }
    return n;
}

void load_batch_sent(load_batch *b, size_t n)
{
    b->left -= n;
    while (n > 0) {
        size_t len = part_of(b, b->part).iov_len - b->done;

        if (n < len) {
            b->done += n;
            return;
        }
        n -= len;
        b->part++;
        b->done = 0;
    }
}
