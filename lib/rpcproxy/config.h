/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config.h - the directives and what they set.
 *
 * Everything is kept per directory: a directive outside of every section sets
 * the server's default, sections merge over it. A setting that was not given
 * is RPCPROXY_UNSET until it is read; defaults belong to reading, else an
 * inner section would hide what an outer one says.
 */
#ifndef RPCPROXY_CONFIG_H
#define RPCPROXY_CONFIG_H

#include <httpd.h>
#include <http_config.h>
#include <apr_tables.h>
#include <stdbool.h>
#include <stdint.h>

#include "relay/relay.h"
#include "rpcproxy/portlist.h"

#define RPCPROXY_UNSET ((int64_t)-1)

/* The settings that are one number: switches and Auto|Off 0 or 1, durations in
 * ms, sizes in bytes. Each has one row in config.c with its directive, default
 * and range. */
typedef enum rpcproxy_setting {
    RPCPROXY_REQUIRE_TLS,
    RPCPROXY_REQUIRE_AUTH,
    RPCPROXY_ALLOW_ANONYMOUS,
    RPCPROXY_VERSION1,
    RPCPROXY_EXTENDED_ERRORS,
    RPCPROXY_CONNECT_TIMEOUT,
    RPCPROXY_HANDSHAKE_TIMEOUT,
    RPCPROXY_CONNECTION_TIMEOUT,
    RPCPROXY_PING_INTERVAL,
    RPCPROXY_IDLE_TIMEOUT,
    RPCPROXY_STALL_TIMEOUT,
    RPCPROXY_DRAIN_TIMEOUT,   /* main server only */
    RPCPROXY_RECEIVE_WINDOW,
    RPCPROXY_CHANNEL_LIFETIME,
    RPCPROXY_ASYNC,           /* main server only */
    RPCPROXY_MAX_CONNECTIONS, /* main server only */
    RPCPROXY_MAX_CHANNELS_PER_CHILD, /* main server only */
    RPCPROXY_MAX_PER_USER,
    RPCPROXY_MAX_PER_ADDRESS,
    RPCPROXY_SETTINGS
} rpcproxy_setting;

/* What one section says; NULL lists were not given there. A list that is
 * given replaces the one of the outer sections. */
typedef struct rpcproxy_dir_conf {
    int64_t set[RPCPROXY_SETTINGS];
    rpcproxy_portlist *ports;
    rpcproxy_said said;       /* here, that is: nothing is merged */
    apr_array_header_t *routes; /* rpcproxy_route */
    apr_array_header_t *fronts; /* apr_ipsubnet_t * */
} rpcproxy_dir_conf;

/* The directives, for the module record. */
extern const command_rec rpcproxy_commands[];

/* For the module record: makes and merges a rpcproxy_dir_conf, and makes what
 * hangs under a server. */
void *rpcproxy_create_dir_conf(apr_pool_t *p, char *dir);
/* Merges what inner (add) says over what outer (base) says. */
void *rpcproxy_merge_dir_conf(apr_pool_t *p, void *base, void *add);
/* Makes the holder of the engine; only the main server's is used. */
void *rpcproxy_create_server_conf(apr_pool_t *p, server_rec *s);

/* The value of a setting in conf, or its default. */
int64_t rpcproxy_get(const rpcproxy_dir_conf *conf, rpcproxy_setting id);

/* The configuration that a request got. */
const rpcproxy_dir_conf *rpcproxy_conf_of(const request_rec *r);

/* The value of a setting outside of all sections of server s, or its
 * default; how RPCPROXY_MAX_CONNECTIONS is read in post_config. */
int64_t rpcproxy_get_of_server(const server_rec *s, rpcproxy_setting id);

/* Whether it is set there at all. */
bool rpcproxy_is_set_of_server(const server_rec *s, rpcproxy_setting id);

/* Keeps the engine under the main server (post_config). */
void rpcproxy_set_engine(server_rec *main_server, relay_engine *engine);

/* The engine; NULL before rpcproxy_set_engine, and in a child process that
 * could not start it. */
relay_engine *rpcproxy_engine(void);

#endif
