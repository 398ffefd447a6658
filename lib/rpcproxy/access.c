/* SPDX-License-Identifier: Apache-2.0 */
/*
 * access.c - the checks of a request that do not look at its contents. Each
 * refusal is one log line with a tag of its own, and names the directive
 * that would change it.
 */
#include "rpcproxy/access.h"

#include <apr_network_io.h>
#include <apr_strings.h>
#include <http_ssl.h>
#include <string.h>
#include <strings.h>

#include "rpcproxy/rpcproxy.h"

/* True when the connection comes from a trusted front. The connection's own
 * address is asked: the one that mod_remoteip puts in its place is the
 * client's, who must not be believed. */
static bool from_front(const request_rec *r, const rpcproxy_dir_conf *conf)
{
    for (int i = 0; conf->fronts && i < conf->fronts->nelts; i++) {
        if (apr_ipsubnet_test(APR_ARRAY_IDX(conf->fronts, i,
                                            apr_ipsubnet_t *),
                              r->connection->client_addr)) {
            return true;
        }
    }
    return false;
}

/* True when a header says that the client came by TLS. A header that occurs
 * twice is "https, http" here and says nothing. */
static bool says_tls(const request_rec *r)
{
    const char *proto = apr_table_get(r->headers_in, "X-Forwarded-Proto");
    const char *front = apr_table_get(r->headers_in, "Front-End-Https");

    return (proto && strcasecmp(proto, "https") == 0)
           || (front && strcasecmp(front, "on") == 0);
}

bool rpcproxy_access_tls(request_rec *r, const rpcproxy_dir_conf *conf)
{
    if (!rpcproxy_get(conf, RPCPROXY_REQUIRE_TLS)
        || ap_ssl_conn_is_ssl(r->connection)) {
        return true;
    }
    if (from_front(r, conf)) {
        if (says_tls(r)) {
            return true;
        }
        ap_log_rerror(APLOG_MARK, APLOG_WARNING, 0, r,
                      "RPX0201: refused: the trusted front %s sent neither "
                      "\"X-Forwarded-Proto: https\" nor \"Front-End-Https: "
                      "on\" (RpcProxyRequireTLS, RpcProxyTrustedFront)",
                      r->connection->client_ip);
        return false;
    }
    if (says_tls(r)) {
        ap_log_rerror(APLOG_MARK, APLOG_WARNING, 0, r,
                      "RPX0202: refused: not TLS, and %s, which says that "
                      "its client used TLS, is not in RpcProxyTrustedFront",
                      r->connection->client_ip);
        return false;
    }
    ap_log_rerror(APLOG_MARK, APLOG_WARNING, 0, r,
                  "RPX0203: refused: not TLS, and RpcProxyRequireTLS is On");
    return false;
}

/* What mod_ssl thinks of the client's certificate: "NONE", "SUCCESS",
 * "GENEROUS" (taken without looking) or "FAILED:...". */
static const char *verified(request_rec *r)
{
    conn_rec *c = r->connection;
    const char *state = NULL;

    if (ap_ssl_conn_is_ssl(c)) {
        state = ap_ssl_var_lookup(r->pool, r->server, c, r,
                                  "SSL_CLIENT_VERIFY");
    }
    return state ? state : "NONE";
}

/* Who a verified certificate names: two authorities may know the same
 * subject. NULL without such a certificate. */
static const char *certificate(request_rec *r)
{
    conn_rec *c = r->connection;
    const char *subject;
    const char *issuer;

    if (strcmp(verified(r), "SUCCESS") != 0) {
        return NULL;
    }
    subject = ap_ssl_var_lookup(r->pool, r->server, c, r, "SSL_CLIENT_S_DN");
    issuer = ap_ssl_var_lookup(r->pool, r->server, c, r, "SSL_CLIENT_I_DN");
    if (subject == NULL || *subject == '\0') {
        return NULL;
    }
    return apr_pstrcat(r->pool, "subject ", subject, " of ",
                       issuer ? issuer : "", NULL);
}

/* True when r->user can only be what SSLUserName took from a certificate
 * that nobody verified. */
static bool user_of_unverified(request_rec *r)
{
    const char *state = verified(r);

    return (r->ap_auth_type == NULL
            || strcmp(r->ap_auth_type, "ClientCert") == 0)
           && strcmp(state, "SUCCESS") != 0 && strcmp(state, "NONE") != 0;
}

int rpcproxy_access_check(request_rec *r, const rpcproxy_dir_conf *conf,
                          const char **user, const char **text)
{
    const char *subject;

    if (!rpcproxy_access_tls(r, conf)) {
        *text = RPCPROXY_HTTPS_ONLY;
        return HTTP_FORBIDDEN;
    }
    if (r->user && *r->user && user_of_unverified(r)) {
        ap_log_rerror(APLOG_MARK, APLOG_WARNING, 0, r,
                      "RPX0205: refused: the user's name comes from a client "
                      "certificate that was not verified; use SSLVerifyClient "
                      "require, not optional_no_ca");
        *text = "This client certificate was not verified.\n";
        return HTTP_FORBIDDEN;
    }
    if (r->user && *r->user) {
        *user = apr_pstrcat(r->pool, "user ", r->user, NULL);
        return OK;
    }
    subject = certificate(r);
    if (subject) {
        *user = subject;
        return OK;
    }
    if (!rpcproxy_get(conf, RPCPROXY_REQUIRE_AUTH)) {
        *user = apr_pstrcat(r->pool, "anonymous ", r->useragent_ip, NULL);
        return OK;
    }
    ap_log_rerror(APLOG_MARK, APLOG_WARNING, 0, r,
                  "RPX0204: refused: httpd authenticated nobody (no Require "
                  "that asks for a user, no verified client certificate), "
                  "and RpcProxyRequireAuth is On");
    *text = "This RPC proxy serves authenticated users only.\n";
    return HTTP_FORBIDDEN;
}

/* Tells what became of the file of the list, once for each change. */
static void log_news(request_rec *r, const rpcproxy_verdict *v)
{
    if (v->news && v->news_bad) {
        ap_log_error(APLOG_MARK, APLOG_ERR, 0, r->server,
                     "RPX0101: RpcProxyValidPortsFile %s", v->news);
    }
    else if (v->news) {
        ap_log_error(APLOG_MARK, APLOG_INFO, 0, r->server,
                     "RPX0102: RpcProxyValidPortsFile %s", v->news);
    }
}

const char *rpcproxy_access_target(request_rec *r,
                                   const rpcproxy_dir_conf *conf,
                                   const char *name, uint16_t port)
{
    const char *target = apr_psprintf(r->pool, strchr(name, ':') ? "[%s]:%u"
                                      : "%s:%u", name, (unsigned)port);
    rpcproxy_verdict v = { .empty = true };

    if (conf->ports) {
        rpcproxy_portlist_ask(conf->ports, name, port, apr_time_now(),
                              r->pool, &v);
        log_news(r, &v);
    }
    if (v.allowed) {
        return NULL;
    }
    if (v.empty) {
        return apr_psprintf(r->pool, "RPX0210: refused: %s, and "
                            "RpcProxyValidPorts allows nothing here", target);
    }
    switch (v.near) {
    case RPCH_NEAR_PORT:
        return apr_psprintf(r->pool, "RPX0211: refused: %s is not in "
                            "RpcProxyValidPorts; its entry %s has the name, "
                            "but not the port", target, v.entry);
    case RPCH_NEAR_SHORT:
        return apr_psprintf(r->pool, "RPX0212: refused: %s is not in "
                            "RpcProxyValidPorts; its entry %s has the short "
                            "form of the name, add the full one", target,
                            v.entry);
    case RPCH_NEAR_FULL:
        return apr_psprintf(r->pool, "RPX0213: refused: %s is not in "
                            "RpcProxyValidPorts; its entry %s has the full "
                            "form of the name, add the short one", target,
                            v.entry);
    case RPCH_NEAR_NONE:
    default:
        return apr_psprintf(r->pool, "RPX0214: refused: %s is not in "
                            "RpcProxyValidPorts, and no entry comes close",
                            target);
    }
}
