/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config.c - the directives of mod_proxy_rpch: one row each.
 *
 * httpd gives a directive to every module that has it: those named RpcProxy...
 * are mod_rpcproxy's as well, and mean the same there.
 */
#include "front/config.h"

#include <apr_strings.h>
#include <http_main.h>
#include <string.h>
#include <strings.h>

#include "front/front.h"
#include "front/secret.h"
#include "rpcproxy/setting.h"

#define SECOND INT64_C(1000)
#define MINUTE (60 * SECOND)
#define HOUR (60 * MINUTE)

/* ROW(setting, directive, kind, default, low, high, main server only, help) */
#define NUMBERS(ROW) \
    ROW(FRONT_STRICT, "ProxyRpchStrict", \
        SWITCH, 0, 0, 1, false, \
        "On refuses what is not RPC over HTTP") \
    ROW(FRONT_IDLE_TIMEOUT, "RpcProxyIdleTimeout", \
        DURATION, 8 * HOUR, SECOND, 30 * 24 * HOUR, false, \
        "a stream ends after this time without a byte") \
    ROW(FRONT_STALL_TIMEOUT, "RpcProxyStallTimeout", \
        DURATION, 5 * MINUTE, SECOND, 24 * HOUR, false, \
        "a peer that takes nothing while data waits is cut off after it") \
    ROW(FRONT_DRAIN_TIMEOUT, "RpcProxyDrainTimeout", \
        DURATION, HOUR, 0, 7 * 24 * HOUR, true, \
        "streams of a stopping child process end within this time") \
    ROW(FRONT_ASYNC, "RpcProxyAsync", \
        AUTO, 1, 0, 1, true, \
        "Auto (default) serves streams without a worker where it can")

#define AS_ROW(id, name, kind, standard, low, high, main_only, help) \
    [id] = { name, RPCPROXY_KIND_##kind, standard, low, high, main_only },

static const rpcproxy_row rows[FRONT_SETTINGS] = { NUMBERS(AS_ROW) };

void *front_create_dir_conf(apr_pool_t *p, char *dir)
{
    front_dir_conf *conf = apr_pcalloc(p, sizeof(*conf));
    for (int i = 0; i < FRONT_SETTINGS; i++)
        conf->set[i] = FRONT_UNSET;
    return conf;
}

void *front_merge_dir_conf(apr_pool_t *p, void *base, void *add)
{
    const front_dir_conf *outer = base;
    const front_dir_conf *inner = add;
    const front_dir_conf *auth = inner->auth != FRONT_AUTH_UNSAID ? inner
                                                                  : outer;
    front_dir_conf *conf = apr_pcalloc(p, sizeof(*conf));
    for (int i = 0; i < FRONT_SETTINGS; i++)
        conf->set[i] = inner->set[i] != FRONT_UNSET ? inner->set[i]
                                                    : outer->set[i];
    conf->ports = inner->ports ? inner->ports : outer->ports;
    conf->auth = auth->auth;
    conf->auth_name = auth->auth_name;
    conf->auth_value = auth->auth_value;
    return conf;
}

int64_t front_get(const front_dir_conf *conf, front_setting id)
{
    return conf->set[id] != FRONT_UNSET ? conf->set[id] : rows[id].standard;
}

const front_dir_conf *front_conf_of(const request_rec *r)
{
    return ap_get_module_config(r->per_dir_config, &proxy_rpch_module);
}

int64_t front_get_of_server(const server_rec *s, front_setting id)
{
    return front_get(ap_get_module_config(s->lookup_defaults,
                                          &proxy_rpch_module), id);
}

/* What hangs under the main server. */
typedef struct server_conf {
    relay_engine *engine;
} server_conf;

void *front_create_server_conf(apr_pool_t *p, server_rec *s)
{
    return apr_pcalloc(p, sizeof(server_conf));
}

void front_set_engine(server_rec *main_server, relay_engine *engine)
{
    server_conf *conf = ap_get_module_config(main_server->module_config,
                                             &proxy_rpch_module);
    conf->engine = engine;
}

relay_engine *front_engine(void)
{
    server_conf *conf = ap_get_module_config(ap_server_conf->module_config,
                                             &proxy_rpch_module);
    return conf->engine;
}

static const char *set_number(cmd_parms *cmd, void *mconfig, const char *arg)
{
    const rpcproxy_row *row = cmd->info;
    front_dir_conf *conf = mconfig;
    const char *bad = row->main_only ? ap_check_cmd_context(cmd, GLOBAL_ONLY)
                                     : NULL;
    return bad ? bad : rpcproxy_setting_read(row, arg, &conf->set[row - rows],
                                             cmd->pool);
}

static const char *set_ports(cmd_parms *cmd, void *mconfig, const char *arg)
{
    front_dir_conf *conf = mconfig;
    return rpcproxy_portlist_say(&conf->ports, &conf->said, cmd->cmd->name,
                                 arg, cmd->pool);
}

static const char *set_ports_file(cmd_parms *cmd, void *mconfig,
                                  const char *arg)
{
    front_dir_conf *conf = mconfig;
    return rpcproxy_portlist_say_file(
        &conf->ports, &conf->said, cmd->cmd->name, arg,
        ap_server_root_relative(cmd->pool, arg), cmd->pool);
}

static const char *set_fixed(cmd_parms *cmd, front_dir_conf *conf,
                             const char *user, const char *file)
{
    const char *bad;
    if (*user == '\0' || strchr(user, ':')
        || *ap_scan_http_field_content(user))
        return apr_psprintf(cmd->pool, "%s: fixed: '%s': a user's name "
                            "without colon and control character is allowed",
                            cmd->cmd->name, user);
    bad = front_secret_read(cmd, user, file, &conf->auth_value);
    return bad ? apr_psprintf(cmd->pool, "%s: fixed: '%s': %s",
                              cmd->cmd->name, file, bad) : NULL;
}

/* What the request is made of cannot be replaced by a name. */
static bool is_ours_to_set(const char *name)
{
    static const char *const taken[] = {
        "Authorization", "Connection", "Content-Length", "Content-Type",
        "Expect", "Front-End-Https", "Host", "Proxy-Authorization", "TE",
        "Transfer-Encoding", "Upgrade", "Via", "X-Forwarded-Proto"
    };
    for (size_t i = 0; i < sizeof(taken) / sizeof(taken[0]); i++) {
        if (strcasecmp(name, taken[i]) == 0)
            return false;
    }
    return *name != '\0' && *ap_scan_http_token(name) == '\0';
}

static const char *set_auth(cmd_parms *cmd, void *mconfig, int argc,
                            char *const argv[])
{
    front_dir_conf *conf = mconfig;
    const char *word = argc > 0 ? argv[0] : "";
    conf->auth_name = conf->auth_value = NULL;
    if (argc == 1 && strcasecmp(word, "pass") == 0) {
        conf->auth = FRONT_AUTH_PASS;
    } else if (argc == 1 && strcasecmp(word, "basic") == 0) {
        conf->auth = FRONT_AUTH_BASIC;
    } else if (argc == 1 && strcasecmp(word, "none") == 0) {
        conf->auth = FRONT_AUTH_NONE;
    } else if (argc == 2 && strcasecmp(word, "header") == 0) {
        conf->auth = FRONT_AUTH_HEADER;
        conf->auth_name = argv[1];
        if (!is_ours_to_set(argv[1]))
            return apr_psprintf(cmd->pool, "%s: header: '%s': the name of a "
                                "header field that nothing else sets is "
                                "allowed", cmd->cmd->name, argv[1]);
    } else if (argc == 3 && strcasecmp(word, "fixed") == 0) {
        conf->auth = FRONT_AUTH_FIXED;
        return set_fixed(cmd, conf, argv[1], argv[2]);
    } else {
        return apr_psprintf(cmd->pool, "%s: '%s': pass, basic, fixed USER "
                            "FILE, header NAME or none is allowed",
                            cmd->cmd->name, word);
    }
    return NULL;
}

/* Server, virtual host and directory, but no .htaccess: whoever may write
 * one must not open a way into the network. */
#define WHERE (RSRC_CONF | ACCESS_CONF)

#define AS_COMMAND(id, name, kind, standard, low, high, main_only, help) \
    AP_INIT_TAKE1(name, set_number, (void *)&rows[id], \
                  (main_only) ? RSRC_CONF : WHERE, help),

const command_rec front_commands[] = {
    NUMBERS(AS_COMMAND)
    AP_INIT_TAKE_ARGV("ProxyRpchAuth", set_auth, NULL, WHERE,
                      "pass|basic|fixed USER FILE|header NAME|none: what the "
                      "inner proxy is told of the user"),
    AP_INIT_ITERATE("RpcProxyValidPorts", set_ports, NULL, WHERE,
                    "which servers and ports may be asked for: "
                    "\"server:593;server:6001-6004\" ..., or None; without "
                    "it the inner proxy decides alone"),
    AP_INIT_TAKE1("RpcProxyValidPortsFile", set_ports_file, NULL, WHERE,
                  "a file with more of RpcProxyValidPorts"),
    { .name = NULL }
};
