/* SPDX-License-Identifier: Apache-2.0 */
/*
 * timers.h - many timers by the time they are due: a binary heap whose members
 * know their place, so that a timer that moves costs a few steps only.
 */
#ifndef RELAY_TIMERS_H
#define RELAY_TIMERS_H

#include "rpch/rpch.h"

/* Embedded in what has a timer. Zero it before use. */
typedef struct relay_timer {
    rpch_msec at;
    size_t heap_at; /* its place in the heap, from 1 on; 0: it is not set */
} relay_timer;

/* Zero it before use. */
typedef struct relay_timers {
    relay_timer **heap; /* from 1 on; heap[1] is due first */
    size_t n;
    size_t room;
} relay_timers;

/* Sets t, which may be set already, to at; RPCH_NEVER takes it out. False when
 * memory is out: then t is not set. */
bool relay_timers_set(relay_timers *h, relay_timer *t, rpch_msec at);

/* The one that is due first, or NULL. */
relay_timer *relay_timers_first(const relay_timers *h);

/* When that is; RPCH_NEVER without any. */
rpch_msec relay_timers_next(const relay_timers *h);

/* Frees the heap. The timers themselves stay as they are. */
void relay_timers_free(relay_timers *h);

#endif
