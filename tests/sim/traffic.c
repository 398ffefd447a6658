/* SPDX-License-Identifier: Apache-2.0 */
/* traffic.c - contents that tell which PDU they are, and where in it */
#include "traffic.h"

#include <string.h>

#include "clock.h"
#include "trace.h"

#define PATTERN 131072u
#define HEADER 16u

static uint8_t pattern[PATTERN];

void sim_traffic_prepare(void)
{
    uint64_t seed = 5;
    size_t i;

    for (i = 0; i < PATTERN; i += 8) {
        uint64_t x = sim_mix(&seed);

        memcpy(pattern + i, &x, 8);
    }
}

void sim_traffic_start(sim_traffic *t, uint32_t seed, uint32_t n,
                       uint32_t smallest, uint32_t largest,
                       uint32_t big_endian)
{
    t->seed = seed;
    t->to_send = n;
    t->smallest = smallest < HEADER ? HEADER : smallest;
    t->largest = largest < t->smallest ? t->smallest : largest;
    t->big_endian = big_endian;
    t->made = t->at = t->received = t->got = 0;
    t->held_at = t->held_n = 0;
    t->bytes = 0;
}

static uint32_t hash(uint32_t a, uint32_t b)
{
    uint32_t x = a * 2654435761u ^ b * 2246822519u;

    x ^= x >> 15;
    x *= 2654435769u;
    return x ^ x >> 13;
}

uint32_t sim_traffic_size(const sim_traffic *t, uint32_t k)
{
    return t->smallest
         + hash(t->seed, k) % (t->largest - t->smallest + 1);
}

/* The common header of the k-th PDU. */
static void header(const sim_traffic *t, uint32_t k, uint8_t *h)
{
    static const uint8_t types[] = { 0, 2, 0, 2, 0, 2, 3, 11, 12, 14, 16, 18 };
    uint32_t x = hash(t->seed + 1, k);
    uint32_t size = sim_traffic_size(t, k);
    bool big = x % 100 < t->big_endian;

    memset(h, 0, HEADER);
    h[0] = 5;
    h[2] = types[(x >> 8) % sizeof(types)];
    h[3] = 3;
    h[4] = big ? 0 : 0x10;
    h[big ? 9 : 8] = (uint8_t)size;
    h[big ? 8 : 9] = (uint8_t)(size >> 8);
    h[big ? 15 : 12] = (uint8_t)k;
    h[big ? 14 : 13] = (uint8_t)(k >> 8);
}

/* The body of the k-th PDU from its first byte on. */
static const uint8_t *body(const sim_traffic *t, uint32_t k)
{
    return pattern + hash(t->seed + 2, k) % (PATTERN - RPCH_PDU_SIZE_MAX);
}

bool sim_traffic_begun(const sim_traffic *t)
{
    return t->made > 0 && t->at < sim_traffic_size(t, t->made - 1);
}

uint32_t sim_traffic_next(const sim_traffic *t)
{
    return t->made < t->to_send ? sim_traffic_size(t, t->made) : 0;
}

void sim_traffic_begin(sim_traffic *t)
{
    t->made++;
    t->at = 0;
}

const uint8_t *sim_traffic_bytes(const sim_traffic *t, size_t *n)
{
    static uint8_t h[HEADER];
    uint32_t k = t->made - 1;

    if (t->at < HEADER) {
        header(t, k, h);
        *n = HEADER - t->at;
        return h + t->at;
    }
    *n = sim_traffic_size(t, k) - t->at;
    return body(t, k) + (t->at - HEADER);
}

void sim_traffic_sent(sim_traffic *t, size_t n)
{
    t->at += (uint32_t)n;
}

bool sim_traffic_arrive(sim_traffic *t, const uint8_t *p, size_t n)
{
    uint32_t k = t->received;
    uint32_t size = sim_traffic_size(t, k);
    uint8_t h[HEADER];

    if (k >= t->made)
        sim_break("a PDU arrived that was never sent (number %u)", k);
    while (n > 0) {
        bool head = t->got < HEADER;
        uint32_t left = (head ? HEADER : size) - t->got;
        const uint8_t *want;

        if (left == 0)
            sim_break("PDU %u is longer than it was (%u)", k, size);
        if (left > n)
            left = (uint32_t)n;
        header(t, k, h);
        want = head ? h + t->got : body(t, k) + (t->got - HEADER);
        if (memcmp(p, want, left) != 0)
            sim_break("PDU %u arrived with other bytes at %u", k, t->got);
        t->got += left;
        p += left;
        n -= left;
    }
    if (t->got < size)
        return false;
    if (t->held_n == SIM_HELD)
        sim_break("more PDUs wait for the application than were allowed");
    t->held[(t->held_at + t->held_n++) % SIM_HELD] = (uint16_t)size;
    t->bytes += size;
    t->received++;
    t->got = 0;
    return true;
}

uint32_t sim_traffic_consume(sim_traffic *t)
{
    uint32_t size;

    if (t->held_n == 0)
        return 0;
    size = t->held[t->held_at];
    t->held_at = (t->held_at + 1) % SIM_HELD;
    t->held_n--;
    return size;
}

bool sim_traffic_done(const sim_traffic *t)
{
    return t->made == t->to_send && !sim_traffic_begun(t)
        && t->received == t->made && t->held_n == 0;
}
