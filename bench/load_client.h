/* SPDX-License-Identifier: Apache-2.0 */
/* load_client.h - the client of rpch-load: all its connections */
#ifndef LOAD_CLIENT_H
#define LOAD_CLIENT_H

#include "load_conn.h"
#include "load_measure.h"

typedef enum load_phase {
    LOAD_PHASE_OPENING,
    LOAD_PHASE_WAITING, /* for SIGUSR1 */
    LOAD_PHASE_RUNNING,
    LOAD_PHASE_OVER
} load_phase;

struct load_client {
    const load_options *o;
    load_loop loop;
    uint32_t pid;
    load_measure measure;
    load_phase phase;
    load_conn **conn;      /* o->connections of them, NULL: not open */
    load_conn free;        /* a ring of those that may make a call */
    load_turn turn;        /* of the client's own work */
    uint64_t numbers;      /* given to connections so far */
    uint64_t started;      /* places in conn whose connection was started */
    uint64_t opening;      /* of them not yet warm */
    uint64_t warm;         /* that were opened and have made one call */
    uint64_t working;      /* calls under way */
    uint64_t opened;       /* connections in all */
    double open_seconds;
    bool go;               /* SIGUSR1 has come */
    rpch_client_counts counts; /* of connections that are gone */
};

/* Runs the client as it was told; returns the exit status. */
int load_client_run(const load_options *o);

/* ---- for load_mode.c and load_client.c ------------------------------------- */

/* Takes a connection that may make a call out of the ring; NULL: none. */
load_conn *load_client_pop(load_client *cl);

/* Starts the connection of that place. */
void load_client_start(load_client *cl, uint64_t place);

/* The measurement begins. */
void load_mode_begin(load_client *cl);

/* A call was answered, and c is free again: in the ring, or with the next
 * call. */
void load_mode_answered(load_client *cl, load_conn *c);

/* Issues the calls that are due. */
void load_mode_issue(load_client *cl);

/* True when there is nothing left to do. */
bool load_mode_done(const load_client *cl);

#endif
