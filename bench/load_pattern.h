/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load_pattern.h - the bytes that rpch-load sends and expects: a fixed block,
 * entered at a place that depends on the seed of the call, the direction and
 * the offset, so that memcmp() is all that comparing takes.
 */
#ifndef LOAD_PATTERN_H
#define LOAD_PATTERN_H

#include <stdint.h>

/* So many bytes are there behind each pointer. */
#define LOAD_PATTERN_SPAN 65536u

/* Fills the block; once, before all else. */
void load_pattern_init(void);

/* The bytes of a message from offset on, LOAD_PATTERN_SPAN of them; static. */
const uint8_t *load_pattern(uint32_t seed, int is_answer, uint64_t offset);

/* The seed of a call: the call-th of the connection of that number in the
 * process that pid names. */
uint32_t load_pattern_seed(uint32_t pid, uint32_t number, uint32_t call);

#endif
