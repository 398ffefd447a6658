/* SPDX-License-Identifier: Apache-2.0 */
/* rpcd_buf.c - a queue of bytes that grows */
#include "rpcd_buf.h"

#include <stdlib.h>

#define ROOM_FIRST 1024u

/* Storage that an empty queue may keep. */
#define ROOM_KEPT 16384u

static bool make_room(rpcd_buf *b, size_t n)
{
    size_t len = rpcd_buf_len(b);
    size_t room = b->room > 0 ? b->room : ROOM_FIRST;
    uint8_t *p;

    /* Moving at most as many bytes as were dropped keeps the cost linear. */
    if (b->at >= len && n <= b->room - len) {
        if (len > 0)
            memmove(b->p, b->p + b->at, len);
        b->at = 0;
        b->end = len;
        return true;
    }
    while (room - b->end < n) {
        if (room > SIZE_MAX / 2)
            return false;
        room *= 2;
    }
    p = realloc(b->p, room);
    if (p == NULL)
        return false;
    b->p = p;
    b->room = room;
    return true;
}

bool rpcd_buf_add(rpcd_buf *b, const void *p, size_t n)
{
    if (n == 0)
        return true;
    if (n > b->room - b->end && !make_room(b, n))
        return false;
    memcpy(b->p + b->end, p, n);
    b->end += n;
    return true;
}

void rpcd_buf_drop(rpcd_buf *b, size_t n)
{
    if (n < rpcd_buf_len(b)) {
        b->at += n;
        return;
    }
    b->at = b->end = 0;
    if (b->room > ROOM_KEPT)
        rpcd_buf_free(b);
}

void rpcd_buf_free(rpcd_buf *b)
{
    free(b->p);
    memset(b, 0, sizeof(*b));
}
