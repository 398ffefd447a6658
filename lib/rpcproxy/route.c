/* SPDX-License-Identifier: Apache-2.0 */
/*
 * route.c - reads RpcProxyRoute lines and finds the one for a target.
 */
#include "rpcproxy/route.h"

#include <apr_strings.h>
#include <string.h>
#include <strings.h>

#include "rpch/url.h"

/* The port of name in text, ":593" or ":6001-6004", or NULL. Colons within
 * brackets belong to an IPv6 literal. */
static const char *port_part(const char *text)
{
    const char *close = strrchr(text, ']');

    return strchr(close ? close : text, ':');
}

static const char *parse_from(apr_pool_t *p, const char *arg,
                              rpch_ports_entry *out)
{
    const char *ports = port_part(arg);
    const char *text = ports ? apr_pstrdup(p, arg)
                             : apr_pstrcat(p, arg, ":1-65535", NULL);
    const char *reason = NULL;
    size_t n = 0;
    size_t at = 0;
    int rv = rpch_ports_parse(text, out, 1, &n, &at, &reason);

    if (rv == RPCH_OK && n == 1 && strchr(arg, ';') == NULL
        && (arg[0] == '[' || ports == NULL
            || strchr(ports + 1, ':') == NULL)) {
        return NULL;
    }
    return apr_psprintf(p, "RpcProxyRoute: '%s'%s%s: the first argument is "
                        "NAME, NAME:PORT or NAME:LOW-HIGH, where NAME may "
                        "end in '*', be '*@DOMAIN', or an IPv6 address in "
                        "brackets", arg, reason ? ": " : "",
                        reason ? reason : "");
}

/* Reads HOST[:PORT] after "to=". */
static const char *parse_to(apr_pool_t *p, const char *arg,
                            relay_candidate *out)
{
    const char *value = arg + strlen("to=");
    const char *port = port_part(value);
    const char *text = port ? value : apr_pstrcat(p, value, ":1", NULL);
    const char *reason = NULL;
    rpch_target *t = apr_palloc(p, sizeof(*t));
    int rv = rpch_url_parse_query(text, strlen(text), t, &reason);

    if (rv == RPCH_OK && (value[0] == '[' || strchr(t->name, ':') == NULL)) {
        out->host = apr_pstrdup(p, t->name);
        out->port = port ? t->port : 0;
        return NULL;
    }
    return apr_psprintf(p, "RpcProxyRoute: '%s'%s%s: to=HOST or to=HOST:PORT "
                        "is allowed, an IPv6 address stands in brackets", arg,
                        reason ? ": " : "", reason ? reason : "");
}

static const char *parse_protocol(apr_pool_t *p, const char *arg,
                                  relay_kind *out)
{
    const char *value = arg + strlen("protocol=");

    if (strcasecmp(value, "ncacn_http") == 0) {
        *out = RELAY_NCACN_HTTP;
        return NULL;
    }
    if (strcasecmp(value, "ncacn_ip_tcp") == 0) {
        *out = RELAY_NCACN_IP_TCP;
        return NULL;
    }
    return apr_psprintf(p, "RpcProxyRoute: '%s': protocol=ncacn_http or "
                        "protocol=ncacn_ip_tcp is allowed", arg);
}

const char *rpcproxy_route_parse(apr_pool_t *p, int argc, char *const argv[],
                                 rpcproxy_route *out)
{
    relay_candidate *to;
    const char *bad;
    bool protocol = false;

    memset(out, 0, sizeof(*out));
    out->kind = RELAY_NCACN_HTTP;
    if (argc < 1) {
        return "RpcProxyRoute: the name that clients ask for is missing: "
               "NAME[:PORTS] [protocol=ncacn_http|ncacn_ip_tcp] "
               "[to=HOST[:PORT]]... is allowed";
    }
    bad = parse_from(p, argv[0], &out->from);
    to = apr_pcalloc(p, (apr_size_t)argc * sizeof(*to));
    for (int i = 1; bad == NULL && i < argc; i++) {
        if (strncasecmp(argv[i], "to=", 3) == 0) {
            bad = parse_to(p, argv[i], &to[out->n_to++]);
        }
        else if (strncasecmp(argv[i], "protocol=", 9) == 0 && !protocol) {
            bad = parse_protocol(p, argv[i], &out->kind);
            protocol = true;
        }
        else {
            bad = apr_psprintf(p, "RpcProxyRoute: '%s': after the name, one "
                               "protocol=ncacn_http|ncacn_ip_tcp and any "
                               "number of to=HOST[:PORT] are allowed",
                               argv[i]);
        }
    }
    out->to = to;
    return bad;
}

const rpcproxy_route *rpcproxy_route_find(const apr_array_header_t *routes,
                                          const char *name, uint16_t port)
{
    const rpcproxy_route *pattern = NULL;

    for (int i = 0; routes && i < routes->nelts; i++) {
        const rpcproxy_route *r = &APR_ARRAY_IDX(routes, i, rpcproxy_route);

        if (rpch_ports_match(&r->from, 1, name, port) < 0) {
            continue;
        }
        if (!r->from.prefix && !r->from.domain) {
            return r;
        }
        if (pattern == NULL) {
            pattern = r;
        }
    }
    return pattern;
}

void rpcproxy_route_resolve(apr_pool_t *p, const apr_array_header_t *routes,
                            const char *name, uint16_t port,
                            rpcproxy_way *out)
{
    const rpcproxy_route *r = rpcproxy_route_find(routes, name, port);
    int n = r && r->n_to > 0 ? r->n_to : 1;
    relay_candidate *to = apr_palloc(p, (apr_size_t)n * sizeof(*to));

    to[0].host = name;
    to[0].port = port;
    for (int i = 0; r && i < r->n_to; i++) {
        to[i].host = r->to[i].host;
        to[i].port = r->to[i].port ? r->to[i].port : port;
    }
    out->kind = r ? r->kind : RELAY_NCACN_HTTP;
    out->to = to;
    out->n_to = n;
}
