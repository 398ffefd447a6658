/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config.c - the directives: one row each.
 *
 * A directive that is one number is a row of NUMBERS, from which come its
 * command, its default, its range and the sentence about a wrong value;
 * create and merge walk the array. The lists have a function each.
 */
#include "rpcproxy/config.h"

#include <apr_network_io.h>
#include <apr_strings.h>
#include <http_main.h>
#include <string.h>
#include <strings.h>

#include "rpcproxy/route.h"
#include "rpcproxy/rpcproxy.h"
#include "rpcproxy/setting.h"

#define SECOND INT64_C(1000)
#define MINUTE (60 * SECOND)
#define HOUR (60 * MINUTE)
#define KIB INT64_C(1024)
#define GIB (KIB * KIB * KIB)

/* The default of RpcProxyPingInterval: half of RpcProxyConnectionTimeout. */
#define HALF_OF_TIMEOUT 0

/* ROW(setting, directive, kind, default, low, high, main server only, help) */
#define NUMBERS(ROW) \
    ROW(RPCPROXY_REQUIRE_TLS, "RpcProxyRequireTLS", \
        SWITCH, 1, 0, 1, false, \
        "On (default) refuses clear-text requests") \
    ROW(RPCPROXY_REQUIRE_AUTH, "RpcProxyRequireAuth", \
        SWITCH, 1, 0, 1, false, \
        "On (default) refuses requests that httpd did not authenticate") \
    ROW(RPCPROXY_ALLOW_ANONYMOUS, "RpcProxyAllowAnonymous", \
        SWITCH, 0, 0, 1, false, \
        "On makes Off the default of the two Require directives") \
    ROW(RPCPROXY_VERSION1, "RpcProxyVersion1", \
        SWITCH, 0, 0, 1, false, \
        "On accepts RPC_CONNECT, version 1 of RPC over HTTP") \
    ROW(RPCPROXY_EXTENDED_ERRORS, "RpcProxyExtendedErrors", \
        SWITCH, 0, 0, 1, false, \
        "On adds extended error information to error responses") \
    ROW(RPCPROXY_CONNECT_TIMEOUT, "RpcProxyConnectTimeout", \
        DURATION, 10 * SECOND, 100, HOUR, false, \
        "time to resolve and connect to the server, all addresses") \
    ROW(RPCPROXY_HANDSHAKE_TIMEOUT, "RpcProxyHandshakeTimeout", \
        DURATION, 60 * SECOND, 100, HOUR, false, \
        "time to the first PDU, and then until both channels are open") \
    ROW(RPCPROXY_CONNECTION_TIMEOUT, "RpcProxyConnectionTimeout", \
        DURATION, RPCH_TIMEOUT_MIN, RPCH_TIMEOUT_MIN, RPCH_TIMEOUT_MAX, \
        false, "the ConnectionTimeout that clients are told") \
    ROW(RPCPROXY_PING_INTERVAL, "RpcProxyPingInterval", \
        DURATION, HALF_OF_TIMEOUT, SECOND, RPCH_TIMEOUT_MAX, false, \
        "an idle OUT channel gets a Ping after this time") \
    ROW(RPCPROXY_IDLE_TIMEOUT, "RpcProxyIdleTimeout", \
        DURATION, 8 * HOUR, SECOND, 30 * 24 * HOUR, false, \
        "a connection ends after this time without an RPC PDU") \
    ROW(RPCPROXY_STALL_TIMEOUT, "RpcProxyStallTimeout", \
        DURATION, 5 * MINUTE, SECOND, 24 * HOUR, false, \
        "a peer that takes nothing while data waits is cut off after it") \
    ROW(RPCPROXY_DRAIN_TIMEOUT, "RpcProxyDrainTimeout", \
        DURATION, HOUR, 0, 7 * 24 * HOUR, true, \
        "channels of a stopping child process end within this time") \
    ROW(RPCPROXY_RECEIVE_WINDOW, "RpcProxyReceiveWindow", \
        SIZE, RPCH_WINDOW_DEFAULT, RPCH_WINDOW_MIN, RPCH_WINDOW_MAX, false, \
        "the receive window that is offered") \
    ROW(RPCPROXY_CHANNEL_LIFETIME, "RpcProxyChannelLifetime", \
        SIZE, GIB, RPCH_LIFETIME_MIN, RPCH_LIFETIME_MAX, false, \
        "the Content-Length of an OUT response") \
    ROW(RPCPROXY_ASYNC, "RpcProxyAsync", \
        AUTO, 1, 0, 1, true, \
        "Auto (default) serves channels without a worker where it can") \
    ROW(RPCPROXY_MAX_CONNECTIONS, "RpcProxyMaxConnections", \
        COUNT, 16384, 1, 1048576, true, \
        "virtual connections of the whole server, fixed at its start") \
    ROW(RPCPROXY_MAX_CHANNELS_PER_CHILD, "RpcProxyMaxChannelsPerChild", \
        COUNT, 0, 0, 1048576, true, \
        "channels of one child process; 0: as its descriptors allow") \
    ROW(RPCPROXY_MAX_PER_USER, "RpcProxyMaxPerUser", \
        COUNT, 128, 0, UINT32_MAX, false, \
        "channels that one user may have; 0: no limit") \
    ROW(RPCPROXY_MAX_PER_ADDRESS, "RpcProxyMaxPerAddress", \
        COUNT, 0, 0, UINT32_MAX, false, \
        "channels that one client address may have; 0: no limit")

#define AS_ROW(id, name, kind, standard, low, high, main_only, help) \
    [id] = { name, RPCPROXY_KIND_##kind, standard, low, high, main_only },

static const rpcproxy_row rows[RPCPROXY_SETTINGS] = { NUMBERS(AS_ROW) };

void *rpcproxy_create_dir_conf(apr_pool_t *p, char *dir)
{
    rpcproxy_dir_conf *conf = apr_pcalloc(p, sizeof(*conf));

    for (int i = 0; i < RPCPROXY_SETTINGS; i++) {
        conf->set[i] = RPCPROXY_UNSET;
    }
    return conf;
}

void *rpcproxy_merge_dir_conf(apr_pool_t *p, void *base, void *add)
{
    const rpcproxy_dir_conf *outer = base;
    const rpcproxy_dir_conf *inner = add;
    rpcproxy_dir_conf *conf = apr_pcalloc(p, sizeof(*conf));

    for (int i = 0; i < RPCPROXY_SETTINGS; i++) {
        conf->set[i] = inner->set[i] != RPCPROXY_UNSET ? inner->set[i]
                                                       : outer->set[i];
    }
    conf->ports = inner->ports ? inner->ports : outer->ports;
    conf->routes = inner->routes ? inner->routes : outer->routes;
    conf->fronts = inner->fronts ? inner->fronts : outer->fronts;
    return conf;
}

int64_t rpcproxy_get(const rpcproxy_dir_conf *conf, rpcproxy_setting id)
{
    int64_t value = conf->set[id];

    if (value != RPCPROXY_UNSET) {
        return value;
    }
    if ((id == RPCPROXY_REQUIRE_TLS || id == RPCPROXY_REQUIRE_AUTH)
        && rpcproxy_get(conf, RPCPROXY_ALLOW_ANONYMOUS)) {
        return 0;
    }
    if (id == RPCPROXY_PING_INTERVAL) {
        return rpcproxy_get(conf, RPCPROXY_CONNECTION_TIMEOUT) / 2;
    }
    return rows[id].standard;
}

const rpcproxy_dir_conf *rpcproxy_conf_of(const request_rec *r)
{
    return ap_get_module_config(r->per_dir_config, &rpcproxy_module);
}

int64_t rpcproxy_get_of_server(const server_rec *s, rpcproxy_setting id)
{
    return rpcproxy_get(ap_get_module_config(s->lookup_defaults,
                                             &rpcproxy_module), id);
}

bool rpcproxy_is_set_of_server(const server_rec *s, rpcproxy_setting id)
{
    const rpcproxy_dir_conf *conf = ap_get_module_config(s->lookup_defaults,
                                                         &rpcproxy_module);

    return conf->set[id] != RPCPROXY_UNSET;
}

/* What hangs under the main server. */
typedef struct server_conf {
    relay_engine *engine;
} server_conf;

void *rpcproxy_create_server_conf(apr_pool_t *p, server_rec *s)
{
    return apr_pcalloc(p, sizeof(server_conf));
}

void rpcproxy_set_engine(server_rec *main_server, relay_engine *engine)
{
    server_conf *conf = ap_get_module_config(main_server->module_config,
                                             &rpcproxy_module);
    conf->engine = engine;
}

relay_engine *rpcproxy_engine(void)
{
    server_conf *conf = ap_get_module_config(ap_server_conf->module_config,
                                             &rpcproxy_module);
    return conf->engine;
}

static const char *set_number(cmd_parms *cmd, void *mconfig, const char *arg)
{
    const rpcproxy_row *row = cmd->info;
    rpcproxy_dir_conf *conf = mconfig;
    const char *bad = row->main_only ? ap_check_cmd_context(cmd, GLOBAL_ONLY)
                                     : NULL;
    return bad ? bad : rpcproxy_setting_read(row, arg, &conf->set[row - rows],
                                             cmd->pool);
}

static const char *set_ports(cmd_parms *cmd, void *mconfig, const char *arg)
{
    rpcproxy_dir_conf *conf = mconfig;
    return rpcproxy_portlist_say(&conf->ports, &conf->said, cmd->cmd->name,
                                 arg, cmd->pool);
}

static const char *set_ports_file(cmd_parms *cmd, void *mconfig,
                                  const char *arg)
{
    rpcproxy_dir_conf *conf = mconfig;
    return rpcproxy_portlist_say_file(
        &conf->ports, &conf->said, cmd->cmd->name, arg,
        ap_server_root_relative(cmd->pool, arg), cmd->pool);
}

static const char *add_route(cmd_parms *cmd, void *mconfig, int argc,
                             char *const argv[])
{
    rpcproxy_dir_conf *conf = mconfig;
    rpcproxy_route route;
    const char *bad = rpcproxy_route_parse(cmd->pool, argc, argv, &route);

    if (bad == NULL) {
        if (conf->routes == NULL) {
            conf->routes = apr_array_make(cmd->pool, 4, sizeof(route));
        }
        APR_ARRAY_PUSH(conf->routes, rpcproxy_route) = route;
    }
    return bad;
}

static const char *add_front(cmd_parms *cmd, void *mconfig, const char *arg)
{
    rpcproxy_dir_conf *conf = mconfig;
    char *address = apr_pstrdup(cmd->pool, arg);
    char *mask = strchr(address, '/');
    apr_ipsubnet_t *subnet = NULL;

    if (mask) {
        *mask++ = '\0';
    }
    if (apr_ipsubnet_create(&subnet, address, mask, cmd->pool)
        != APR_SUCCESS) {
        return apr_psprintf(cmd->pool, "%s: '%s': an IP address or a network "
                            "as 192.0.2.0/24 or 2001:db8::/32 is allowed",
                            cmd->cmd->name, arg);
    }
    if (conf->fronts == NULL) {
        conf->fronts = apr_array_make(cmd->pool, 4, sizeof(subnet));
    }
    APR_ARRAY_PUSH(conf->fronts, apr_ipsubnet_t *) = subnet;
    return NULL;
}

/* Server, virtual host and directory, but no .htaccess: whoever may write
 * one must not open a way into the network. */
#define WHERE (RSRC_CONF | ACCESS_CONF)

#define AS_COMMAND(id, name, kind, standard, low, high, main_only, help) \
    AP_INIT_TAKE1(name, set_number, (void *)&rows[id], \
                  (main_only) ? RSRC_CONF : WHERE, help),

const command_rec rpcproxy_commands[] = {
    NUMBERS(AS_COMMAND)
    AP_INIT_ITERATE("RpcProxyValidPorts", set_ports, NULL, WHERE,
                    "which servers and ports may be reached: "
                    "\"server:593;server:6001-6004\" ..., or None (default)"),
    AP_INIT_TAKE1("RpcProxyValidPortsFile", set_ports_file, NULL, WHERE,
                  "a file with more of RpcProxyValidPorts"),
    AP_INIT_TAKE_ARGV("RpcProxyRoute", add_route, NULL, WHERE,
                      "NAME[:PORTS] [protocol=ncacn_http|ncacn_ip_tcp] "
                      "[to=HOST[:PORT]]..."),
    AP_INIT_ITERATE("RpcProxyTrustedFront", add_front, NULL, WHERE,
                    "addresses of fronts whose X-Forwarded-Proto and "
                    "Front-End-Https are believed"),
    { .name = NULL }
};
