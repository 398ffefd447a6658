/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config.h - the directives of mod_proxy_rpch and what they set.
 *
 * Everything is kept per directory: a directive outside of every section sets
 * the server's default, sections merge over it. A setting that was not given
 * is FRONT_UNSET until it is read.
 */
#ifndef FRONT_CONFIG_H
#define FRONT_CONFIG_H

#include <httpd.h>
#include <http_config.h>
#include <stdbool.h>
#include <stdint.h>

#include "relay/relay.h"
#include "rpcproxy/portlist.h"

#define FRONT_UNSET ((int64_t)-1)

/* The settings that are one number: switches and Auto|Off 0 or 1, durations
 * in ms. Each has one row in config.c. */
typedef enum front_setting {
    FRONT_STRICT,
    FRONT_IDLE_TIMEOUT,
    FRONT_STALL_TIMEOUT,
    FRONT_DRAIN_TIMEOUT, /* main server only */
    FRONT_ASYNC,         /* main server only */
    FRONT_SETTINGS
} front_setting;

/* What the inner proxy is told of who asks (ProxyRpchAuth). */
typedef enum front_auth {
    FRONT_AUTH_UNSAID, /* means PASS, and that nobody authenticates here */
    FRONT_AUTH_PASS,   /* Authorization as the client sent it */
    FRONT_AUTH_BASIC,  /* the same, and Basic it must be */
    FRONT_AUTH_FIXED,  /* auth_value in its place */
    FRONT_AUTH_HEADER, /* the user's name in the field auth_name */
    FRONT_AUTH_NONE    /* nothing */
} front_auth;

/* What one section says. */
typedef struct front_dir_conf {
    int64_t set[FRONT_SETTINGS];
    rpcproxy_portlist *ports; /* NULL: every target may be asked for */
    rpcproxy_said said;       /* here, that is: nothing is merged */
    front_auth auth;
    const char *auth_name;    /* HEADER: of the field */
    const char *auth_value;   /* FIXED: "Basic ...", a secret */
} front_dir_conf;

/* The directives, for the module record. */
extern const command_rec front_commands[];

/* For the module record: makes a front_dir_conf. */
void *front_create_dir_conf(apr_pool_t *p, char *dir);
/* Merges what inner (add) says over what outer (base) says. */
void *front_merge_dir_conf(apr_pool_t *p, void *base, void *add);
/* Makes the holder of the engine; only the main server's is used. */
void *front_create_server_conf(apr_pool_t *p, server_rec *s);

/* The value of a setting in conf, or its default. */
int64_t front_get(const front_dir_conf *conf, front_setting id);

/* The configuration that a request got. */
const front_dir_conf *front_conf_of(const request_rec *r);

/* The value of a setting outside of all sections of server s, or its
 * default. */
int64_t front_get_of_server(const server_rec *s, front_setting id);

/* Keeps the engine under the main server (post_config). */
void front_set_engine(server_rec *main_server, relay_engine *engine);

/* The engine; NULL before front_set_engine, and in a child process that could
 * not start it. */
relay_engine *front_engine(void);

#endif
