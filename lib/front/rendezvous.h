/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rendezvous.h - rendezvous hashing with weights: who asks with the same key
 * gets the same member, as long as it is there; when it goes, only its keys
 * move. Pure C.
 */
#ifndef FRONT_RENDEZVOUS_H
#define FRONT_RENDEZVOUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The start of a chain of front_rendezvous_hash. */
#define FRONT_RENDEZVOUS_SEED UINT64_C(0xcbf29ce484222325)

/* The hash of text[0..len) behind seed: what was hashed before, or
 * FRONT_RENDEZVOUS_SEED. The same on all machines. */
uint64_t front_rendezvous_hash(uint64_t seed, const char *text, size_t len);

/* Whether member a goes before member b; hash is that of the key and the
 * member's name, weight its share, 1 or more (0 counts as 1). Of members with
 * equal names neither does. */
bool front_rendezvous_before(uint64_t hash_a, uint32_t weight_a,
                             uint64_t hash_b, uint32_t weight_b);

#endif
