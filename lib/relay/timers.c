/* SPDX-License-Identifier: Apache-2.0 */
/* timers.c - a binary heap */
#include "relay/timers.h"

#include <stdlib.h>

#define ROOM_FIRST 64

static bool grow(relay_timers *h)
{
    size_t room = h->room ? 2 * h->room : ROOM_FIRST;
    relay_timer **heap = realloc(h->heap, room * sizeof(*heap));
    if (!heap)
        return false;
    h->heap = heap;
    h->room = room;
    return true;
}

static void place(relay_timers *h, size_t i, relay_timer *t)
{
    h->heap[i] = t;
    t->heap_at = i;
}

static void sift_up(relay_timers *h, size_t i, relay_timer *t)
{
    while (i > 1 && h->heap[i / 2]->at > t->at) {
        place(h, i, h->heap[i / 2]);
        i /= 2;
    }
    place(h, i, t);
}

static void sift_down(relay_timers *h, size_t i, relay_timer *t)
{
    size_t child;
    while ((child = 2 * i) <= h->n) {
        if (child < h->n && h->heap[child + 1]->at < h->heap[child]->at)
            child++;
        if (h->heap[child]->at >= t->at)
            break;
        place(h, i, h->heap[child]);
        i = child;
    }
    place(h, i, t);
}

/* t stands at i, and its time may be before or after its neighbours'. */
static void settle(relay_timers *h, size_t i, relay_timer *t)
{
    if (i > 1 && h->heap[i / 2]->at > t->at)
        sift_up(h, i, t);
    else
        sift_down(h, i, t);
}

static void take_out(relay_timers *h, relay_timer *t)
{
    size_t i = t->heap_at;
    relay_timer *last = h->heap[h->n--];
    t->heap_at = 0;
    if (last != t)
        settle(h, i, last);
}

bool relay_timers_set(relay_timers *h, relay_timer *t, rpch_msec at)
{
    if (at == RPCH_NEVER) {
        if (t->heap_at)
            take_out(h, t);
        return true;
    }
    if (t->heap_at) {
        if (t->at != at) {
            t->at = at;
            settle(h, t->heap_at, t);
        }
        return true;
    }
    if (h->n + 1 >= h->room && !grow(h))
        return false;
    t->at = at;
    h->n++;
    sift_up(h, h->n, t);
    return true;
}

relay_timer *relay_timers_first(const relay_timers *h)
{
    return h->n ? h->heap[1] : NULL;
}

rpch_msec relay_timers_next(const relay_timers *h)
{
    return h->n ? h->heap[1]->at : RPCH_NEVER;
}

void relay_timers_free(relay_timers *h)
{
    free(h->heap);
    h->heap = NULL;
    h->n = h->room = 0;
}
