/* SPDX-License-Identifier: Apache-2.0 */
/* trace.c - the lines of a run, and its end when an invariant is broken */
#include "trace.h"

#include <stdarg.h>
#include <stdio.h>

#include "clock.h"

sim_trace sim_tracing;

void sim_say(const char *format, ...)
{
    va_list args;

    if (!sim_tracing.on)
        return;
    va_start(args, format);
    printf("%8.2f ", (double)sim_time.now / SIM_MSEC);
    vprintf(format, args);
    putchar('\n');
    va_end(args);
}

void sim_break(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(sim_tracing.broken, sizeof(sim_tracing.broken), format, args);
    va_end(args);
    sim_say("BROKEN: %s", sim_tracing.broken);
    longjmp(sim_tracing.out, 1);
}

void sim_machine_log(void *baton, int level, const char *what,
                     const char *detail)
{
    if (level <= RPCH_LOG_TRACE1)
        sim_say("  %s: %s %s", (const char *)baton, what,
                detail ? detail : "");
}
