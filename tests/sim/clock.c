/* SPDX-License-Identifier: Apache-2.0 */
/* clock.c - virtual time: the earliest of a few numbers, and a generator */
#include "clock.h"

sim_clock sim_time;

void sim_clock_start(uint64_t seed, uint32_t delay)
{
    int i;

    sim_time.now = 1000 * SIM_MSEC;
    sim_time.seed = seed;
    sim_time.delay = delay ? delay : 1;
    for (i = 0; i < SIM_ACTORS; i++)
        sim_time.due[i] = SIM_NEVER;
}

rpch_msec sim_msec(void)
{
    return sim_time.now / SIM_MSEC;
}

sim_tick sim_tick_of(rpch_msec t)
{
    return t >= SIM_NEVER / SIM_MSEC ? SIM_NEVER : t * SIM_MSEC;
}

void sim_wake(int actor, sim_tick at)
{
    if (actor >= 0 && at < sim_time.due[actor])
        sim_time.due[actor] = at;
}

int sim_clock_next(void)
{
    sim_tick at = SIM_NEVER;
    int who = -1, i;

    for (i = 0; i < SIM_ACTORS; i++) {
        if (sim_time.due[i] < at) {
            at = sim_time.due[i];
            who = i;
        }
    }
    if (who < 0)
        return -1;
    sim_time.due[who] = SIM_NEVER;
    if (at > sim_time.now)
        sim_time.now = at;
    return who;
}

uint64_t sim_mix(uint64_t *seed)
{
    uint64_t z = *seed += 0x9e3779b97f4a7c15u;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

uint32_t sim_random(uint32_t below)
{
    return (uint32_t)((sim_mix(&sim_time.seed) >> 32) * below >> 32);
}

bool sim_chance(uint32_t percent)
{
    return sim_random(100) < percent;
}

sim_tick sim_arrival(void)
{
    return sim_time.now + 1 + sim_random(sim_time.delay);
}
