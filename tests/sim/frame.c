/* SPDX-License-Identifier: Apache-2.0 */
/* frame.c - the frames of a stream, by hand */
#include "frame.h"

#include <string.h>

#include "trace.h"

#define HEADER 16u
#define BANNER 14u

static uint32_t length_of(const uint8_t *h)
{
    return (h[4] & 0xf0) == 0x10 ? (uint32_t)h[8] | (uint32_t)h[9] << 8
                                 : (uint32_t)h[9] | (uint32_t)h[8] << 8;
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Collects bytes of a header or of an RTS PDU; how many. */
static size_t collect(sim_frame *f, const uint8_t *b, size_t n,
                      sim_frame_fn *fn, void *baton)
{
    uint32_t whole = HEADER;
    size_t k;

    if (f->have >= HEADER)
        whole = length_of(f->pdu);
    k = least(n, whole - f->have);
    memcpy(f->pdu + f->have, b, k);
    f->have += (uint32_t)k;
    if (f->have < HEADER)
        return k;
    whole = length_of(f->pdu);
    sim_must(whole >= HEADER, "a PDU on the wire is shorter than its header");
    if (f->pdu[2] != 20) {
        f->left = whole - HEADER;
        f->have = 0;
        if (fn)
            fn(baton, NULL, whole);
        return k;
    }
    sim_must(whole <= SIM_FRAME_RTS, "an RTS PDU on the wire is too large");
    if (f->have == whole) {
        f->have = 0;
        if (fn)
            fn(baton, f->pdu, whole);
    }
    return k;
}

void sim_frame_feed(sim_frame *f, const uint8_t *b, size_t n,
                    sim_frame_fn *fn, void *baton)
{
    while (n > 0) {
        size_t k;

        if (!f->started && f->skip == 0) {
            f->started = true;
            if (b[0] == 'n')
                f->skip = BANNER;
        }
        if (f->skip > 0) {
            k = least(n, f->skip);
            f->skip -= (uint32_t)k;
        } else if (f->left > 0) {
            k = least(n, f->left);
            f->left -= (uint32_t)k;
        } else {
            k = collect(f, b, n, fn, baton);
        }
        b += k;
        n -= k;
    }
}

bool sim_frame_whole(const sim_frame *f)
{
    return f->have == 0 && f->left == 0;
}
