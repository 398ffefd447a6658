/* SPDX-License-Identifier: Apache-2.0 */
/* pieces.c - bytes that lie in several pieces, one behind the other */
#include "relay/pieces.h"

#include <string.h>

relay_place relay_place_first(const struct iovec *v, int n)
{
    relay_place p = { v, v + n, 0 };
    relay_place_move(&p, 0);
    return p;
}

void relay_place_move(relay_place *p, size_t n)
{
    p->at += n;
    for (; p->v < p->end && p->at >= p->v->iov_len; p->v++)
        p->at -= p->v->iov_len;
    if (p->v == p->end)
        p->at = 0;
}

size_t relay_place_here(const relay_place *p)
{
    return p->v < p->end ? p->v->iov_len - p->at : 0;
}

const uint8_t *relay_place_whole(relay_place p, size_t n, uint8_t *out)
{
    const uint8_t *piece = (const uint8_t *)p.v->iov_base + p.at;
    size_t here, done;
    if (relay_place_here(&p) >= n)
        return piece;
    for (done = 0; done < n; done += here) {
        piece = (const uint8_t *)p.v->iov_base + p.at;
        here = relay_place_here(&p);
        here = here < n - done ? here : n - done;
        memcpy(out + done, piece, here);
        relay_place_move(&p, here);
    }
    return out;
}
