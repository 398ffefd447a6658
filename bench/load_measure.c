/* SPDX-License-Identifier: Apache-2.0 */
/* load_measure.c - a measurement of rpch-load */
#include "load_measure.h"

#include <string.h>

void load_measure_begin(load_measure *m, uint64_t rate, uint64_t seconds,
                        bool forever)
{
    memset(&m->latency, 0, sizeof(m->latency));
    m->begun = m->last = load_clock();
    m->end = forever ? LOAD_NEVER : m->begun + seconds * LOAD_SECOND;
    m->cpu = load_cpu();
    m->calls = m->bytes = m->opens = m->issued = 0;
    m->rate = rate;
}

uint64_t load_measure_due(const load_measure *m)
{
    uint64_t due;

    if (m->rate == 0)
        return LOAD_NEVER;
    due = m->begun + m->issued / m->rate * LOAD_SECOND
        + m->issued % m->rate * LOAD_SECOND / m->rate;
    return due < m->end ? due : LOAD_NEVER;
}

void load_measure_add(load_measure *m, uint64_t due, uint64_t bytes)
{
    m->last = load_clock();
    load_histogram_add(&m->latency, m->last - due);
    m->calls++;
    m->bytes += bytes;
}

void load_measure_line(const load_measure *m, load_line *l, uint64_t until,
                       bool churn)
{
    double seconds = (double)(until - m->begun) / (double)LOAD_SECOND;
    double per = seconds > 0 ? 1 / seconds : 0;

    load_line_number(l, "seconds", seconds);
    load_line_count(l, "bytes", m->bytes);
    load_line_number(l, "mb_per_s", (double)m->bytes / 1e6 * per);
    load_line_count(l, "calls", m->calls);
    load_line_number(l, "calls_per_s", (double)m->calls * per);
    if (churn)
        load_line_number(l, "opens_per_s", (double)m->opens * per);
    load_line_number(l, "cpu_s", load_cpu() - m->cpu);
    load_line_errors(l, &m->errors);
    load_line_latency(l, &m->latency);
}

bool load_measure_ready(const load_options *o, uint64_t n)
{
    char text[64];

    snprintf(text, sizeof(text), "ready %llu\n", (unsigned long long)n);
    fputs(text, stderr);
    return o->ready_file == NULL || load_write_file(o->ready_file, text);
}
