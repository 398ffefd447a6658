/* SPDX-License-Identifier: Apache-2.0 */
/*
 * world.h - one run: a virtual connection from its first request until
 * nothing of it is left.
 */
#ifndef SIM_WORLD_H
#define SIM_WORLD_H

#include "script.h"

/* Runs a script. False when an invariant was broken: sim_tracing.broken says
 * which one. */
bool sim_world_run(const sim_script *s);

/* Runs a broken script in smaller and smaller forms; *s becomes the smallest
 * that is broken. steps (room bytes) gets the letters that
 * sim_shrink_apply takes. */
void sim_shrink(sim_script *s, char *steps, size_t room);

/* Makes s smaller by each letter of steps; false for an unknown one. */
bool sim_shrink_apply(sim_script *s, const char *steps);

#endif
