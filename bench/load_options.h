/* SPDX-License-Identifier: Apache-2.0 */
/* load_options.h - what rpch-load was told */
#ifndef LOAD_OPTIONS_H
#define LOAD_OPTIONS_H

#include <stdio.h>

#include "load_sock.h"

#define LOAD_PLACES_MAX 64u

/* How the PDUs get to the server. */
typedef enum load_via {
    LOAD_RPCH,
    LOAD_V1,
    LOAD_CONNECT,
    LOAD_RAW
} load_via;

/* What the client does. */
typedef enum load_mode {
    LOAD_BULK_OUT,
    LOAD_BULK_IN,
    LOAD_CALLS,
    LOAD_IDLE,
    LOAD_CHURN,
    LOAD_GET
} load_mode;

typedef enum load_program {
    LOAD_SERVER = 1,
    LOAD_CLIENT = 2,
    LOAD_GETTER = 4
} load_program;

/* --rate max. */
#define LOAD_RATE_MAX UINT64_MAX

typedef struct load_options {
    load_program program;
    load_via via;
    load_mode mode;
    const char *via_name, *mode_name;
    /* as given, or NULL */
    const char *listen, *port_file, *connect, *target, *url, *host, *user;
    const char *ca, *source, *ready_file, *path;
    bool tls, wait;
    bool corrupts;
    uint64_t connections, open_parallel, frag, window, reserve, in_lifetime;
    uint64_t timeout, bytes, size, rate, seconds, calls_rate, corrupt;
    bool seconds_given;
    /* of --connect: addresses and what Host says */
    load_place place[LOAD_PLACES_MAX];
    char name[LOAD_PLACES_MAX][264]; /* for SNI */
    const char *authority[LOAD_PLACES_MAX];
    unsigned n_places;
    /* of --target */
    const char *server[LOAD_PLACES_MAX];
    unsigned n_servers;
    /* of --source: the first and how many */
    uint32_t source_first, n_sources;
    SSL_CTX *ctx;
} load_options;

/* Reads the command line, resolves names, loads certificates. Returns 0, or -1
 * when there is nothing to do (--help), or the exit status. argv is cut into
 * pieces. */
int load_options_read(load_options *o, int argc, char **argv);

/* Frees what is the options'. */
void load_options_free(load_options *o);

/* The place for the connection of that number, with its source address. */
load_place load_options_place(const load_options *o, uint64_t number);

/* An address of "HOST:PORT" or "[HOST]:PORT"; the host goes to name[0..264).
 * NULL, or what is wrong. */
const char *load_address(const char *text, bool passive, load_place *place,
                         char name[264]);

/* Prints how to use the program. */
void load_usage(FILE *to);

#endif
