/* SPDX-License-Identifier: Apache-2.0 */
/*
 * traffic.h - the application's PDUs of one direction: made at one end,
 * compared at the other byte by byte as they arrive, consumed sooner or later.
 */
#ifndef SIM_TRAFFIC_H
#define SIM_TRAFFIC_H

#include "rpch/rpch.h"

#define SIM_HELD 8192

typedef struct sim_traffic {
    uint32_t seed;     /* of sizes and contents */
    uint32_t to_send;  /* PDUs */
    uint32_t smallest; /* sizes */
    uint32_t largest;
    uint32_t big_endian; /* percent of PDUs */
    uint32_t made;     /* PDUs whose sending has begun or is over */
    uint32_t at;       /* of the PDU made last: bytes sent */
    uint32_t received; /* whole PDUs */
    uint32_t got;      /* of the next: bytes */
    uint16_t held[SIM_HELD]; /* received, not yet consumed: a ring of sizes */
    uint32_t held_at;
    uint32_t held_n;
    uint64_t bytes;    /* received, of whole PDUs */
} sim_traffic;

/* Makes the pattern that contents are taken from; once. */
void sim_traffic_prepare(void);

/* Starts a direction. */
void sim_traffic_start(sim_traffic *t, uint32_t seed, uint32_t n,
                       uint32_t smallest, uint32_t largest,
                       uint32_t big_endian);

/* Size of the k-th PDU. */
uint32_t sim_traffic_size(const sim_traffic *t, uint32_t k);

/* True while a PDU is partly sent. */
bool sim_traffic_begun(const sim_traffic *t);

/* Size of the next PDU to begin, 0 when there is none. */
uint32_t sim_traffic_next(const sim_traffic *t);

/* The next PDU begins. */
void sim_traffic_begin(sim_traffic *t);

/* Bytes of the PDU being sent, *n of them (some of what is left). */
const uint8_t *sim_traffic_bytes(const sim_traffic *t, size_t *n);

/* n of them were sent. */
void sim_traffic_sent(sim_traffic *t, size_t n);

/* A slice has arrived: the next bytes of the next PDU, or the run is broken.
 * True when it completes the PDU. */
bool sim_traffic_arrive(sim_traffic *t, const uint8_t *p, size_t n);

/* Takes the first received PDU that was not consumed; its size, or 0. */
uint32_t sim_traffic_consume(sim_traffic *t);

/* True when all was made, received and consumed. */
bool sim_traffic_done(const sim_traffic *t);

#endif
