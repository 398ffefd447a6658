/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mod_proxy_rpch.c - the table of contents of the front role: the module's
 * record, its hooks, and when they run. What they do is in lib/front
 * (directives, policy, connections to inner proxies) and lib/relay (the
 * engine, of which this module has its own); mod_proxy chooses the members.
 */
#include <httpd.h>
#include <ap_mmn.h>
#include <ap_provider.h>
#include <http_config.h>
#include <http_core.h>
#include <http_log.h>
#include <http_protocol.h>
#include <mpm_common.h>

#include "front/address.h"
#include "front/config.h"
#include "front/front.h"
#include "front/member.h"
#include "front/pin.h"
#include "front/proxy.h"
#include "front/request.h"
#include "front/secret.h"
#include "relay/relay.h"

#if MODULE_MAGIC_NUMBER_MAJOR != 20120211
#error mod_proxy_rpch knows the connection life cycle of httpd 2.4 only
#endif

/* Before the configuration is read, so that <Limit>, AllowMethods and
 * "HttpProtocolOptions RegisteredMethods" know the methods. */
static int pre_config(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp)
{
    ap_method_register(pconf, "RPC_IN_DATA");
    ap_method_register(pconf, "RPC_OUT_DATA");
    ap_method_register(pconf, "RDG_IN_DATA");
    ap_method_register(pconf, "RDG_OUT_DATA");
    return OK;
}

/* When a configuration has been read, by "apachectl configtest", too. */
static int check_config(apr_pool_t *pconf, apr_pool_t *plog,
                        apr_pool_t *ptemp, server_rec *s)
{
    if (front_proxy_is_there())
        return OK;
    ap_log_error(APLOG_MARK, APLOG_CRIT, 0, s, "RPX0501: mod_proxy_rpch needs "
                 "mod_proxy; load proxy_module, and before proxy_rpch_module");
    return HTTP_INTERNAL_SERVER_ERROR;
}

/* Once per configuration that was read in full. */
static int post_config(apr_pool_t *pconf, apr_pool_t *plog,
                       apr_pool_t *ptemp, server_rec *s)
{
    relay_engine *engine;
    apr_status_t rv;
    if (ap_state_query(AP_SQ_MAIN_STATE) == AP_SQ_MS_CREATE_PRE_CONFIG)
        return OK;
    rv = relay_engine_create_bare(&engine, proxy_rpch_module.module_index, s,
                                  pconf);
    if (rv != APR_SUCCESS) {
        ap_log_error(APLOG_MARK, APLOG_CRIT, rv, s,
                     "RPX0502: no memory for the engine");
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    relay_engine_set_async(engine, front_get_of_server(s, FRONT_ASYNC) != 0);
    front_set_engine(s, engine);
    front_secret_warn(pconf, s);
    return OK;
}

/* In "apachectl configtest", in the place of post_config. */
static void test_config(apr_pool_t *pconf, server_rec *s)
{
    front_secret_warn(pconf, s);
}

/* In each new child, before it takes connections. */
static void child_init(apr_pool_t *pchild, server_rec *s)
{
    apr_status_t rv;
    if (front_engine() == NULL)
        return;
    rv = relay_engine_child_init(front_engine(), pchild, s);
    if (rv != APR_SUCCESS) {
        ap_log_error(APLOG_MARK, APLOG_CRIT, rv, s,
                     "RPX0503: this child cannot serve rpch:// and rpchs://");
        front_set_engine(s, NULL);
    }
}

/* In a child that is to take no more connections. */
static void child_stopping(apr_pool_t *pchild, int graceful)
{
    if (front_engine() != NULL)
        relay_engine_child_stopping(front_engine(), graceful != 0);
}

/* In the worker, when it is about to leave a connection alone: for a stream
 * that is the moment in which the reactor takes it over. */
static void suspend_connection(conn_rec *c, request_rec *r)
{
    if (front_engine() != NULL)
        relay_engine_suspended(front_engine(), c);
}

static void register_hooks(apr_pool_t *p)
{
    ap_hook_pre_config(pre_config, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_check_config(check_config, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_post_config(post_config, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_test_config(test_config, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_child_init(child_init, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_child_stopping(child_stopping, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_suspend_connection(suspend_connection, NULL, NULL,
                               APR_HOOK_REALLY_LAST);
    /* when a request's configuration is known, before authentication */
    ap_hook_header_parser(front_request_header_parser, NULL, NULL,
                          APR_HOOK_MIDDLE);
    if (!front_proxy_is_there())
        return;
    /* when mod_proxy has found which ProxyPass a request is for */
    proxy_hook_canon_handler(front_address_canon, NULL, NULL,
                             APR_HOOK_MIDDLE);
    /* when mod_proxy wants a member; before mod_proxy_balancer chooses */
    proxy_hook_pre_request(front_pin_pre_request, NULL, NULL,
                           APR_HOOK_REALLY_FIRST);
    /* when it has one */
    proxy_hook_scheme_handler(front_request_serve, NULL, NULL,
                              APR_HOOK_MIDDLE);
    ap_register_provider(p, PROXY_LBMETHOD, "rpch", "0",
                         &front_member_method);
}

module AP_MODULE_DECLARE_DATA proxy_rpch_module = {
    STANDARD20_MODULE_STUFF,
    front_create_dir_conf,
    front_merge_dir_conf,
    front_create_server_conf,
    NULL,
    front_commands,
    register_hooks,
    0
};
