/* SPDX-License-Identifier: Apache-2.0 */
/* clock.c - monotonic milliseconds */
#include "relay/clock.h"

#include <time.h>

rpch_msec relay_now(void)
{
    struct timespec ts = { 0, 0 };
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (rpch_msec)ts.tv_sec * 1000 + (rpch_msec)ts.tv_nsec / 1000000;
}

rpch_msec relay_earliest(const rpch_msec *at, size_t n)
{
    rpch_msec first = RPCH_NEVER;
    size_t i;
    for (i = 0; i < n; i++)
        if (at[i] < first)
            first = at[i];
    return first;
}

int relay_poll_timeout(rpch_msec deadline, rpch_msec now, int cap)
{
    if (deadline <= now)
        return 0;
    return deadline - now < (rpch_msec)cap ? (int)(deadline - now) : cap;
}
