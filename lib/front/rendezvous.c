/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rendezvous.c - rendezvous hashing with weights.
 *
 * Each member draws a number u from (0, 1), made from key and name, and the
 * largest weight / -log(u) wins: so a member gets the share of the keys that
 * its weight is of all. The logarithm is taken in integers, so that all
 * machines come to the same member.
 */
#include "front/rendezvous.h"

/* Bits of the logarithm behind the point. */
#define FRACTION 24

uint64_t front_rendezvous_hash(uint64_t seed, const char *text, size_t len)
{
    uint64_t h = seed;
    size_t i;
    /* FNV-1a, and because its high bits hardly depend on the last bytes, a
     * finisher that mixes them (MurmurHash3's) */
    for (i = 0; i < len; i++)
        h = (h ^ (uint8_t)text[i]) * UINT64_C(0x100000001b3);
    h = (h ^ h >> 33) * UINT64_C(0xff51afd7ed558ccd);
    h = (h ^ h >> 33) * UINT64_C(0xc4ceb9fe1a85ec53);
    return h ^ h >> 33;
}

/* -log2(h / 2^64), with FRACTION bits behind the point, 1 at least. */
static uint64_t minus_log2(uint64_t h)
{
    uint64_t x, log = 63;
    int i;
    if (h == 0)
        return UINT64_C(64) << FRACTION;
    while (h >> 63 == 0) {
        h <<= 1;
        log--;
    }
    x = h >> 32; /* 1 to 2, as 2^31 to 2^32 */
    for (i = 0; i < FRACTION; i++) {
        x *= x;
        log = log << 1 | x >> 63;
        x >>= 31 + (x >> 63);
    }
    x = (UINT64_C(64) << FRACTION) - log;
    return x > 0 ? x : 1;
}

bool front_rendezvous_before(uint64_t hash_a, uint32_t weight_a,
                             uint64_t hash_b, uint32_t weight_b)
{
    uint64_t a = (weight_a ? weight_a : 1) * minus_log2(hash_b);
    uint64_t b = (weight_b ? weight_b : 1) * minus_log2(hash_a);
    return a != b ? a > b : hash_a > hash_b;
}
