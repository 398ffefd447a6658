/* SPDX-License-Identifier: Apache-2.0 */
/* clock.h - monotonic milliseconds */
#ifndef RELAY_CLOCK_H
#define RELAY_CLOCK_H

#include <stddef.h>

#include "rpch/rpch.h"

/* Milliseconds of CLOCK_MONOTONIC: comparable between the processes of one
 * machine, unrelated to the time of day. */
rpch_msec relay_now(void);

/* The earliest of n times; RPCH_NEVER: there is none. */
rpch_msec relay_earliest(const rpch_msec *at, size_t n);

/* Milliseconds from now until deadline for poll(2): at least 0, at most cap;
 * a deadline of RPCH_NEVER gives cap. */
int relay_poll_timeout(rpch_msec deadline, rpch_msec now, int cap);

#endif
