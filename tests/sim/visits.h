/* SPDX-License-Identifier: Apache-2.0 */
/*
 * visits.h - which cells of which machine's table were visited, and how the
 * machines of a run ended.
 */
#ifndef SIM_VISITS_H
#define SIM_VISITS_H

#include <stdio.h>

#include "rpch/machine.h"

/* Counts the visits of that machine. */
void sim_visits_watch(rpch_core *core);

/* A machine has ended: checks that it may end so, as far as that can be said
 * without the script, and notes it for sim_visits_ended. */
void sim_visits_status(const rpch_core *core, bool hostile);

/* No machine has ended yet. */
void sim_visits_start(void);

/* The client hangs up: how machines end is of no interest from now on. */
void sim_visits_over(void);

/* True when a machine of the connection ended with that status. */
bool sim_visits_ended(int status);

/* Prints visited and possible cells of each table, and those not visited;
 * returns how many those are. (A visit of a cell that cannot be ends its
 * machine with RPCH_E_BUG, which sim_visits_status finds.) */
unsigned sim_visits_print(FILE *to);

/* Writes a line for each cell that was visited: role, event, state, count,
 * with tabs between them. */
void sim_visits_write(FILE *to);

#endif
