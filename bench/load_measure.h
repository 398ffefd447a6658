/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load_measure.h - a measurement of rpch-load: when it began and ends, which
 * calls are due when there is a rate, and what was counted.
 */
#ifndef LOAD_MEASURE_H
#define LOAD_MEASURE_H

#include "load_options.h"
#include "load_report.h"

typedef struct load_measure {
    load_histogram latency;
    load_errors errors;
    uint64_t begun;   /* ns */
    uint64_t end;     /* no call begins from then on; LOAD_NEVER */
    uint64_t last;    /* when the last answer came */
    double cpu;       /* of this process when it began */
    uint64_t calls;
    uint64_t bytes;   /* of data, both ways */
    uint64_t opens;   /* churn: opened, used and closed */
    uint64_t rate;    /* calls a second; 0: there is none */
    uint64_t issued;  /* calls at that rate so far */
} load_measure;

/* Begins a measurement: counts nothing but errors from now on. */
void load_measure_begin(load_measure *m, uint64_t rate, uint64_t seconds,
                        bool forever);

/* When the next call is due, LOAD_NEVER when there is none. */
uint64_t load_measure_due(const load_measure *m);

/* A call that should have begun at due was answered. */
void load_measure_add(load_measure *m, uint64_t due, uint64_t bytes);

/* Adds what was measured to a line: seconds, calls, latencies, errors. until:
 * when it ended. */
void load_measure_line(const load_measure *m, load_line *l, uint64_t until,
                       bool churn);

/* Says that all is ready: on stderr, and in o->ready_file. False with errno
 * when that cannot be written. */
bool load_measure_ready(const load_options *o, uint64_t n);

#endif
