/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mod_rpcproxy.c - the module's table of contents: its record, its hooks,
 * and when they run. What they do is in lib/rpcproxy (directives, policy,
 * requests, status) and lib/relay (the engine); the protocol is in lib/rpch.
 */
#include <httpd.h>
#include <ap_mmn.h>
#include <http_config.h>
#include <http_core.h>
#include <http_log.h>
#include <http_protocol.h>
#include <mpm_common.h>

#include "relay/relay.h"
#include "rpcproxy/advice_read.h"
#include "rpcproxy/config.h"
#include "rpcproxy/request.h"
#include "rpcproxy/status.h"

#if MODULE_MAGIC_NUMBER_MAJOR != 20120211
#error mod_rpcproxy knows the connection life cycle of httpd 2.4 only
#endif

extern module AP_MODULE_DECLARE_DATA rpcproxy_module;

/* Before the configuration is read, so that <Limit>, AllowMethods and
 * "HttpProtocolOptions RegisteredMethods" know the methods. */
static int pre_config(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp)
{
    ap_method_register(pconf, "RPC_IN_DATA");
    ap_method_register(pconf, "RPC_OUT_DATA");
    ap_method_register(pconf, "RPC_CONNECT");
    return OK;
}

/* Once per configuration that was read in full: makes the engine, whose
 * shared part is made at the first start only. */
static int post_config(apr_pool_t *pconf, apr_pool_t *plog,
                       apr_pool_t *ptemp, server_rec *s)
{
    relay_engine *engine;
    const char *error = "out of memory";
    apr_status_t rv;
    if (ap_state_query(AP_SQ_MAIN_STATE) == AP_SQ_MS_CREATE_PRE_CONFIG)
        return OK;
    rv = relay_engine_create(&engine, rpcproxy_module.module_index,
                             (uint32_t)rpcproxy_get_of_server(
                                 s, RPCPROXY_MAX_CONNECTIONS),
                             ap_runtime_dir_relative(ptemp, ""), s, pconf,
                             &error);
    if (rv != APR_SUCCESS) {
        ap_log_error(APLOG_MARK, APLOG_CRIT, rv, s, "RPX0001: %s", error);
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    relay_engine_set_max_channels(engine,
                                  (uint32_t)rpcproxy_get_of_server(
                                      s, RPCPROXY_MAX_CHANNELS_PER_CHILD));
    relay_engine_set_async(engine,
                           rpcproxy_get_of_server(s, RPCPROXY_ASYNC) != 0);
    rpcproxy_set_engine(s, engine);
    rpcproxy_advice_log(ptemp, s);
    return OK;
}

/* In "apachectl configtest", in the place of post_config. */
static void test_config(apr_pool_t *pconf, server_rec *s)
{
    rpcproxy_advice_log(pconf, s);
}

/* In each new child, before it takes connections. */
static void child_init(apr_pool_t *pchild, server_rec *s)
{
    apr_status_t rv;
    if (rpcproxy_engine() == NULL)
        return;
    rv = relay_engine_child_init(rpcproxy_engine(), pchild, s);
    if (rv != APR_SUCCESS) {
        ap_log_error(APLOG_MARK, APLOG_CRIT, rv, s,
                     "RPX0002: this child cannot serve RPC over HTTP");
        rpcproxy_set_engine(s, NULL);
    }
}

/* In a child that is to take no more connections. */
static void child_stopping(apr_pool_t *pchild, int graceful)
{
    if (rpcproxy_engine() != NULL)
        relay_engine_child_stopping(rpcproxy_engine(), graceful != 0);
}

/* In the worker, when it is about to leave a connection alone: for a channel
 * that is the moment in which the reactor takes it over. */
static void suspend_connection(conn_rec *c, request_rec *r)
{
    if (rpcproxy_engine() != NULL)
        relay_engine_suspended(rpcproxy_engine(), c);
}

static void register_hooks(apr_pool_t *p)
{
    ap_hook_pre_config(pre_config, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_post_config(post_config, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_test_config(test_config, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_child_init(child_init, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_child_stopping(child_stopping, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_suspend_connection(suspend_connection, NULL, NULL,
                               APR_HOOK_REALLY_LAST);
    /* when a request's configuration is known, before authentication */
    ap_hook_header_parser(rpcproxy_header_parser, NULL, NULL,
                          APR_HOOK_MIDDLE);
    /* when a request's content is due */
    ap_hook_handler(rpcproxy_handler, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_handler(rpcproxy_status_handler, NULL, NULL, APR_HOOK_MIDDLE);
}

module AP_MODULE_DECLARE_DATA rpcproxy_module = {
    STANDARD20_MODULE_STUFF,
    rpcproxy_create_dir_conf,
    rpcproxy_merge_dir_conf,
    rpcproxy_create_server_conf,
    NULL,
    rpcproxy_commands,
    register_hooks,
    0
};
