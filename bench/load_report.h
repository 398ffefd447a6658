/* SPDX-License-Identifier: Apache-2.0 */
/* load_report.h - what rpch-load counts, and the line that it prints */
#ifndef LOAD_REPORT_H
#define LOAD_REPORT_H

#include "load_histogram.h"

#include <stdbool.h>

#define LOAD_KINDS_MAX 32u
#define LOAD_KIND_SIZE 24u

/* Errors by kind; those beyond LOAD_KINDS_MAX kinds count as the last one. */
typedef struct load_errors {
    unsigned n;
    uint64_t total;
    struct {
        char name[LOAD_KIND_SIZE];
        uint64_t count;
    } kind[LOAD_KINDS_MAX];
} load_errors;

/* A line being printed. */
typedef struct load_line {
    FILE *to;
    bool begun;
} load_line;

/* Counts an error; the first one of its kind is explained on stderr. */
void load_errors_add(load_errors *e, const char *kind, const char *detail);

/* Adds a member to the line: text, a whole number, a number, true or false. */
void load_line_text(load_line *l, const char *key, const char *value);
/* Likewise. */
void load_line_count(load_line *l, const char *key, uint64_t value);
/* Likewise, with three decimals. */
void load_line_number(load_line *l, const char *key, double value);
/* Likewise. */
void load_line_flag(load_line *l, const char *key, bool value);
/* The latencies in microseconds, and "histogram". */
void load_line_latency(load_line *l, const load_histogram *h);
/* "errors". */
void load_line_errors(load_line *l, const load_errors *e);
/* Ends the line. */
void load_line_end(load_line *l);

/* Writes a file at once, complete or not at all; false with errno. */
bool load_write_file(const char *path, const char *text);

#endif
