/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trace.h - what is said about a run, and how a run is found broken.
 *
 * A broken invariant ends the run at once (longjmp); the first one counts.
 */
#ifndef SIM_TRACE_H
#define SIM_TRACE_H

#include <setjmp.h>

#include "rpch/rpch.h"

typedef struct sim_trace {
    bool on;          /* lines are printed */
    char broken[256]; /* "" while all is well */
    jmp_buf out;      /* where a broken run goes */
} sim_trace;

extern sim_trace sim_tracing;

/* One line, with the time, when tracing is on. */
void sim_say(const char *format, ...)
    __attribute__((format(printf, 1, 2)));

/* The run is broken: notes why, and does not return. */
void sim_break(const char *format, ...)
    __attribute__((format(printf, 1, 2), noreturn));

/* A log function for machines; baton is a name. */
void sim_machine_log(void *baton, int level, const char *what,
                     const char *detail);

/* What must hold at every step; text says what does not. */
#define sim_must(what, text) \
    do { \
        if (!(what)) \
            sim_break("%s (%s)", text, #what); \
    } while (0)

#endif
