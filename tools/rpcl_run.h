/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rpcl_run.h - one virtual connection of rpch-client: the client role of
 * lib/rpch, its HTTP requests, and a loop of one thread over both.
 */
#ifndef RPCL_RUN_H
#define RPCL_RUN_H

#include "rpcl_calls.h"
#include "rpcl_http.h"

#include "rpch/client.h"

#define RPCL_PROXIES_MAX 8u

/* Predecessors whose end is awaited. */
#define RPCL_LINGERING_MAX 16u

/* One proxy: its addresses, and what Host says. */
typedef struct rpcl_proxy {
    const char *text; /* "HOST:PORT" */
    struct addrinfo *ai;
} rpcl_proxy;

/* What the program was told. */
typedef struct rpcl_config {
    rpcl_proxy proxy[RPCL_PROXIES_MAX];
    unsigned n_proxies;
    rpcl_target target;
    rpcl_plan plan;
    rpch_limits limits;
    unsigned flags;     /* of the machine */
    rpch_msec idle;     /* after the calls; then one more call */
    rpch_msec timeout;  /* without any byte moving */
    bool verbose;
} rpcl_config;

/* A socket that is read until the proxy closes it. */
typedef struct rpcl_lingering {
    int fd;
    rpch_msec until;
} rpcl_lingering;

/* What the run is about to do. */
typedef enum rpcl_phase {
    RPCL_CALLS,  /* open, bind, make the calls */
    RPCL_IDLE,   /* silence */
    RPCL_LAST,   /* the one call after it, or after the last recycling */
    RPCL_SETTLE, /* all is done: let recycling that runs come to its end */
    RPCL_DONE
} rpcl_phase;

typedef struct rpcl_run {
    const rpcl_config *config;
    rpch_client machine;
    rpcl_calls calls;
    rpcl_http in[RPCH_CLIENT_SLOTS];
    rpcl_http out[RPCH_CLIENT_SLOTS];
    rpcl_lingering lingering[RPCL_LINGERING_MAX];
    unsigned turn[2];     /* requests made so far: OUT, IN */
    rpcl_phase phase;
    rpch_msec now;
    rpch_msec moved;      /* when a byte moved last */
    rpch_msec idle_end;
    uint64_t proven;      /* recyclings after which a call was begun */
    bool failed;
    char why[512];        /* when failed: a sentence */
} rpcl_run;

/* Runs it to its end. True when every byte was right and the end was orderly;
 * otherwise r->why says why not. */
bool rpcl_run_all(rpcl_run *r, const rpcl_config *config);

#endif
