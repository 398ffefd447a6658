/* SPDX-License-Identifier: Apache-2.0 */
/*
 * timers.h - the timers of a poller's tasks: a binary heap, whose members
 * know their place, so that a timer that moves costs a few steps only.
 */
#ifndef RELAY_TIMERS_H
#define RELAY_TIMERS_H

#include "relay/poller.h"

/* Zero it before use. */
typedef struct relay_timers {
    relay_task **heap; /* from 1 on; heap[1] is due first */
    size_t n;
    size_t room;
} relay_timers;

/* Sets t's timer, which it may have already, to at; RPCH_NEVER removes it.
 * False when memory is out: then t has no timer. */
bool relay_timers_set(relay_timers *h, relay_task *t, rpch_msec at);

/* The task whose timer is due first, or NULL. */
relay_task *relay_timers_first(const relay_timers *h);

/* When that is; RPCH_NEVER without any. */
rpch_msec relay_timers_next(const relay_timers *h);

/* Frees the heap. The tasks' own fields stay as they are. */
void relay_timers_free(relay_timers *h);

#endif
