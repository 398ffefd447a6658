/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clock.h - virtual time, chance, and whose turn it is.
 *
 * Everything that acts is an actor with a number, and has one time at which
 * it is to be run next. Nothing here knows what actors do. Time is counted in
 * ticks, so that several things happen in a millisecond of the machines.
 */
#ifndef SIM_CLOCK_H
#define SIM_CLOCK_H

#include "rpch/rpch.h"

typedef uint64_t sim_tick;

#define SIM_NEVER UINT64_MAX
/* Ticks of a millisecond. */
#define SIM_MSEC 16u

/* Channels that can exist at the same time. */
#define SIM_CHANNELS 20

/* The actors; the i-th channel is SIM_CHANNEL0 + i. */
enum { SIM_CLIENT, SIM_SERVER, SIM_CHANNEL0,
       SIM_ACTORS = SIM_CHANNEL0 + SIM_CHANNELS };

typedef struct sim_clock {
    sim_tick now;
    sim_tick due[SIM_ACTORS];
    uint64_t seed;  /* of what happens by chance */
    uint32_t delay; /* longest way between two actors, ticks */
} sim_clock;

extern sim_clock sim_time;

/* Starts at a fixed time, nobody's turn. */
void sim_clock_start(uint64_t seed, uint32_t delay);

/* The machines' time. */
rpch_msec sim_msec(void);

/* The tick at which that millisecond begins; RPCH_NEVER is SIM_NEVER. */
sim_tick sim_tick_of(rpch_msec t);

/* The actor is run at that time, or earlier; -1: nobody. */
void sim_wake(int actor, sim_tick at);

/* Goes on to the next turn and returns whose it is, or -1 when nobody has
 * one. */
int sim_clock_next(void);

/* A number below that bound (at least 1). */
uint32_t sim_random(uint32_t below);

/* True in so many of a hundred cases. */
bool sim_chance(uint32_t percent);

/* When what is sent now arrives. */
sim_tick sim_arrival(void);

/* One step of a generator whose state is *seed (for scripts). */
uint64_t sim_mix(uint64_t *seed);

#endif
