/* SPDX-License-Identifier: Apache-2.0 */
/* load_histogram.c - latencies in buckets whose width grows with them */
#include "load_histogram.h"

/* log2 of LOAD_SUB. */
#define SUB_BITS 6u

/* Below 2 * LOAD_SUB a bucket is one nanosecond wide; from there on each power
 * of two has LOAD_SUB of them. */
static unsigned bucket_of(uint64_t ns)
{
    unsigned shift = 0, at;

    while (ns >> shift >= 2 * LOAD_SUB)
        shift++;
    at = shift * LOAD_SUB + (unsigned)(ns >> shift);
    return at < LOAD_BUCKETS ? at : LOAD_BUCKETS - 1;
}

static uint64_t width_of(unsigned at)
{
    return at < 2 * LOAD_SUB ? 1 : 1ull << (at / LOAD_SUB - 1);
}

static uint64_t lower_of(unsigned at)
{
    return at < 2 * LOAD_SUB ? at
         : (uint64_t)(at % LOAD_SUB + LOAD_SUB) << (at / LOAD_SUB - 1);
}

void load_histogram_add(load_histogram *h, uint64_t ns)
{
    if (h->n == 0 || ns < h->min)
        h->min = ns;
    if (ns > h->max)
        h->max = ns;
    h->n++;
    h->sum += ns;
    h->bucket[bucket_of(ns)]++;
}

uint64_t load_histogram_at(const load_histogram *h, unsigned permille)
{
    uint64_t rank = (h->n * permille + 999) / 1000, seen = 0, ns;
    unsigned at;

    if (h->n == 0)
        return 0;
    for (at = 0; at < LOAD_BUCKETS - 1; at++) {
        seen += h->bucket[at];
        if (seen >= rank && seen > 0)
            break;
    }
    ns = lower_of(at) + width_of(at) / 2;
    if (ns < h->min)
        return h->min;
    return ns < h->max ? ns : h->max;
}

void load_histogram_print(const load_histogram *h, FILE *to)
{
    const char *comma = "";
    unsigned at;

    fputc('[', to);
    for (at = 0; at < LOAD_BUCKETS; at++) {
        if (h->bucket[at] == 0)
            continue;
        fprintf(to, "%s[%llu,%llu,%u]", comma,
                (unsigned long long)lower_of(at),
                (unsigned long long)width_of(at), h->bucket[at]);
        comma = ",";
    }
    fputc(']', to);
}
