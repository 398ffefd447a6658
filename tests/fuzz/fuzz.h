/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz.h - what the fuzz targets share: checks that abort, and a reader that
 * turns the input into decisions.
 *
 * Each target is one file with LLVMFuzzerTestOneInput, linked either with
 * libFuzzer or with replay.c, which runs it over its corpus.
 */
#ifndef RPCH_FUZZ_H
#define RPCH_FUZZ_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rpch/wire.h"

/* Name of the target: the folder of its corpus. */
extern const char fuzz_target[];

/* The target: one input; returns 0, aborts when an invariant does not hold. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Aborts, with what did not hold. */
#define fuzz_check(x) \
    do { \
        if (!(x)) \
            fuzz_abort(__FILE__, __LINE__, #x); \
    } while (0)

/* Says which check failed, and aborts. */
static inline void fuzz_abort(const char *file, int line, const char *what)
{
    fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, what);
    abort();
}

/* Copies n bytes to memory of their own, so that a sanitizer sees every read
 * beyond them; never NULL. The caller frees it. */
static inline uint8_t *fuzz_copy(const void *p, size_t n)
{
    uint8_t *own = malloc(n ? n : 1);

    fuzz_check(own != NULL);
    if (n)
        memcpy(own, p, n);
    return own;
}

/* Takes up to n bytes, as many as there are; *got is how many. */
static inline const uint8_t *fuzz_take(rpch_reader *r, size_t n, size_t *got)
{
    size_t left = r->len - r->pos;

    *got = n < left ? n : left;
    return rpch_take(r, *got);
}

/* FNV-1a, to compare what was seen in two runs. */
static inline uint64_t fuzz_hash(uint64_t h, const void *p, size_t n)
{
    const uint8_t *b = p;
    size_t i;

    for (i = 0; i < n; i++)
        h = (h ^ b[i]) * UINT64_C(0x100000001b3);
    return h;
}

#endif
