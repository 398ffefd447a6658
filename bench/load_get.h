/* SPDX-License-Identifier: Apache-2.0 */
/* load_get.h - ordinary GETs at a fixed rate */
#ifndef LOAD_GET_H
#define LOAD_GET_H

#include "load_options.h"

/* Runs them as told; returns the exit status. */
int load_get_run(const load_options *o);

#endif
