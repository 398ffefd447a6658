/* SPDX-License-Identifier: Apache-2.0 */
/*
 * drain.h - when a channel of a stopping child ends: within the drain
 * timeout, at a random moment so that clients do not all come back at once,
 * and between two calls if that is possible.
 *
 * In the first half of the timeout there is a moment from which on a channel
 * ends as soon as no call of its connection waits for an answer; in the
 * second half one at which it ends in any case. Whoever waits in between is
 * to look again when an answer has passed, and after RELAY_DRAIN_LOOK_MSEC
 * at the latest: it may have passed in another process.
 */
#ifndef RELAY_DRAIN_H
#define RELAY_DRAIN_H

#include "rpch/rpch.h"

/* How long a channel that waits for an answer goes without a look, ms. */
#define RELAY_DRAIN_LOOK_MSEC 1000

typedef struct relay_drain {
    rpch_msec first; /* it may end; RPCH_NEVER: the child goes on */
    rpch_msec last;  /* it must end */
    rpch_msec look;  /* when to look again; waited only */
    bool waited;     /* there was a call at its first moment */
    bool ended;      /* relay_drain_look gave a cause */
} relay_drain;

/* The child goes on. */
void relay_drain_init(relay_drain *d);

/* The child has been stopping since then; timeout in ms. random: any 64
 * bits; two channels with the same ones have the same moments. Nothing
 * happens when it was begun before. */
void relay_drain_begin(relay_drain *d, rpch_msec since, rpch_msec timeout,
                       uint64_t random);

/* True from relay_drain_begin on. */
bool relay_drain_begun(const relay_drain *d);

/* When relay_drain_look is due; RPCH_NEVER before relay_drain_begin. */
rpch_msec relay_drain_deadline(const relay_drain *d);

/* An answer may have passed: looks at once when the channel waits. busy: a
 * call waits for its answer, or one may. */
void relay_drain_note(relay_drain *d, bool busy, rpch_msec now);

/* Due: the static sentence why the channel ends now, or NULL. */
const char *relay_drain_look(relay_drain *d, bool busy, rpch_msec now);

#endif
