/* SPDX-License-Identifier: Apache-2.0 */
/* load_pattern.c - the bytes that rpch-load sends and expects */
#include "load_pattern.h"

/* A prime: what is moved by a power of two, a fragment or a record is found
 * out. */
#define PERIOD 16381u

static uint8_t block[PERIOD + LOAD_PATTERN_SPAN];

static uint32_t mix(uint32_t x)
{
    x = (x ^ x >> 16) * 0x7feb352du;
    x = (x ^ x >> 15) * 0x846ca68bu;
    return x ^ x >> 16;
}

void load_pattern_init(void)
{
    uint32_t i;

    for (i = 0; i < PERIOD; i++)
        block[i] = (uint8_t)(mix(i + 1) >> 24);
    for (; i < sizeof(block); i++)
        block[i] = block[i - PERIOD];
}

const uint8_t *load_pattern(uint32_t seed, int is_answer, uint64_t offset)
{
    uint32_t base = mix(is_answer ? ~seed : seed) % PERIOD;

    return block + (base + offset) % PERIOD;
}

uint32_t load_pattern_seed(uint32_t pid, uint32_t number, uint32_t call)
{
    return mix(mix(mix(pid) + number) + call);
}
