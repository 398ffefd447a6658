/* SPDX-License-Identifier: Apache-2.0 */
/* load_histogram.h - latencies in buckets whose width grows with them */
#ifndef LOAD_HISTOGRAM_H
#define LOAD_HISTOGRAM_H

#include <stdint.h>
#include <stdio.h>

/* 64 buckets in each power of two, from 1 ns to more than an hour. */
#define LOAD_SUB 64u
#define LOAD_BUCKETS ((42u - 5u) * LOAD_SUB)

typedef struct load_histogram {
    uint64_t n;
    uint64_t sum, min, max; /* ns */
    uint32_t bucket[LOAD_BUCKETS];
} load_histogram;

/* Adds one latency, ns. */
void load_histogram_add(load_histogram *h, uint64_t ns);

/* The latency that so many of 1,000 are not above, ns: the middle of its
 * bucket, and never less than the smallest or more than the largest of all; 0
 * when there is none. */
uint64_t load_histogram_at(const load_histogram *h, unsigned permille);

/* Writes "[[lower,width,count],...]". */
void load_histogram_print(const load_histogram *h, FILE *to);

#endif
