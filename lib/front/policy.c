/* SPDX-License-Identifier: Apache-2.0 */
/* policy.c - which requests the front passes on */
#include "front/policy.h"

#include <apr_strings.h>
#include <string.h>
#include <strings.h>

#include "front/front.h"
#include "rpch/url.h"

/* [MS-TSGU] has the two of RD Gateway's own transport; there is no server and
 * port in their URLs, and no RPC in their bodies. */
static const front_method methods[] = {
    { "RPC_IN_DATA", "IN", "in", true },
    { "RPC_OUT_DATA", "OUT", "out", true },
    { "RDG_IN_DATA", "RDG_IN_DATA", "rdg-in", false },
    { "RDG_OUT_DATA", "RDG_OUT_DATA", "rdg-out", false }
};

#define ALLOWED "RPC_IN_DATA, RPC_OUT_DATA, RDG_IN_DATA, RDG_OUT_DATA"

const front_method *front_policy_method(const request_rec *r)
{
    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
        /* names have a case, but not every inner proxy may know that */
        if (strcasecmp(r->method, methods[i].name) == 0)
            return &methods[i];
    }
    return NULL;
}

int front_policy_check(request_rec *r, const front_dir_conf *conf,
                       const front_method *m, const char **text)
{
    if (r->connection->master || r->main) {
        ap_log_rerror(APLOG_MARK, APLOG_WARNING, 0, r, "RPX0511: refused: a "
                      "stream of HTTP/2, or a subrequest, has no connection "
                      "of its own; offer http/1.1 to this client "
                      "(Protocols)");
        *text = "RPC over HTTP needs HTTP/1.1.\n";
        return HTTP_NOT_IMPLEMENTED;
    }
    if (strcasecmp(r->method, "RPC_CONNECT") == 0) {
        ap_log_rerror(APLOG_MARK, APLOG_WARNING, 0, r, "RPX0512: refused: "
                      "RPC_CONNECT, version 1 of RPC over HTTP, is not passed "
                      "on");
        *text = "Version 1 of RPC over HTTP is not served here.\n";
        return HTTP_NOT_IMPLEMENTED;
    }
    if (m == NULL && front_get(conf, FRONT_STRICT)) {
        ap_log_rerror(APLOG_MARK, APLOG_INFO, 0, r, "RPX0513: refused: the "
                      "method is none of RPC over HTTP's, and ProxyRpchStrict "
                      "is On");
        apr_table_setn(r->err_headers_out, "Allow", ALLOWED);
        *text = "This is a front of RPC over HTTP proxies.\n";
        return HTTP_METHOD_NOT_ALLOWED;
    }
    return OK;
}

/* Tells what became of the file of the list, once for each change. */
static void log_news(request_rec *r, const rpcproxy_verdict *v)
{
    if (v->news && v->news_bad)
        ap_log_error(APLOG_MARK, APLOG_ERR, 0, r->server, "RPX0505: "
                     "RpcProxyValidPortsFile %s", v->news);
    else if (v->news)
        ap_log_error(APLOG_MARK, APLOG_INFO, 0, r->server, "RPX0506: "
                     "RpcProxyValidPortsFile %s", v->news);
}

static void log_refusal(request_rec *r, const char *target,
                        const rpcproxy_verdict *v)
{
    if (v->empty)
        ap_log_rerror(APLOG_MARK, APLOG_WARNING, 0, r, "RPX0515: refused: %s, "
                      "and RpcProxyValidPorts allows nothing here", target);
    else if (v->near == RPCH_NEAR_PORT)
        ap_log_rerror(APLOG_MARK, APLOG_WARNING, 0, r, "RPX0516: refused: %s "
                      "is not in RpcProxyValidPorts; its entry %s has the "
                      "name, but not the port", target, v->entry);
    else if (v->near == RPCH_NEAR_SHORT || v->near == RPCH_NEAR_FULL)
        ap_log_rerror(APLOG_MARK, APLOG_WARNING, 0, r, "RPX0517: refused: %s "
                      "is not in RpcProxyValidPorts; its entry %s has the "
                      "%s form of the name, add this one", target, v->entry,
                      v->near == RPCH_NEAR_SHORT ? "short" : "full");
    else
        ap_log_rerror(APLOG_MARK, APLOG_WARNING, 0, r, "RPX0518: refused: %s "
                      "is not in RpcProxyValidPorts, and no entry comes "
                      "close", target);
}

int front_policy_target(request_rec *r, const front_dir_conf *conf,
                        const char *query, const char **target,
                        const char **text)
{
    rpcproxy_verdict v = { .empty = true };
    const char *reason = NULL;
    rpch_target t;
    char *name;
    *target = "-";
    if (query == NULL)
        query = "";
    if (rpch_url_parse_query(query, strlen(query), &t, &reason) != RPCH_OK) {
        if (conf->ports == NULL)
            return OK;
        ap_log_rerror(APLOG_MARK, APLOG_INFO, 0, r, "RPX0514: refused: the "
                      "URL has no server:port behind the '?' for "
                      "RpcProxyValidPorts: %s", reason);
        *text = apr_psprintf(r->pool, "The URL must end in ?server:port: "
                             "%s.\n", reason);
        return HTTP_BAD_REQUEST;
    }
    name = apr_psprintf(r->pool, strchr(t.name, ':') ? "[%s]:%u" : "%s:%u",
                        t.name, (unsigned)t.port);
    ap_str_tolower(name);
    *target = name;
    if (conf->ports == NULL)
        return OK;
    rpcproxy_portlist_ask(conf->ports, t.name, t.port, apr_time_now(),
                          r->pool, &v);
    log_news(r, &v);
    if (v.allowed)
        return OK;
    log_refusal(r, name, &v);
    return HTTP_SERVICE_UNAVAILABLE;
}
