/* SPDX-License-Identifier: Apache-2.0 */
/* address.c - the URLs of inner proxies */
#include "front/address.h"

#include <apr_strings.h>
#include <http_protocol.h>
#include <string.h>
#include <strings.h>

#include "front/front.h"
#include "front/proxy.h"

#define PLAIN "rpch"
#define TLS "rpchs"

/* The scheme of url in the right case; NULL when it is not ours. */
static const char *scheme_of(const char *url)
{
    if (strncasecmp(url, PLAIN ":", sizeof(PLAIN)) == 0)
        return PLAIN;
    return strncasecmp(url, TLS ":", sizeof(TLS)) == 0 ? TLS : NULL;
}

bool front_address_is_ours(const char *url)
{
    return scheme_of(url) != NULL;
}

/* A forward proxy of this kind would let its users talk to any host. */
static int refuse_forward(request_rec *r)
{
    ap_log_rerror(APLOG_MARK, APLOG_WARNING, 0, r,
                  "RPX0507: refused: rpch:// and rpchs:// are for reverse "
                  "proxies, not for ProxyRequests");
    return HTTP_FORBIDDEN;
}

/* The path, encoded as it has to be, with the query where the path is the
 * client's own (nocanon); NULL when it cannot be sent. With "mapping=encoded"
 * it is encoded already. */
static const char *path_of(request_rec *r, char *url, const char **query)
{
    const char *path = url;
    if (apr_table_get(r->notes, "proxy-nocanon") == NULL) {
        if (apr_table_get(r->notes, "proxy-noencode") == NULL)
            path = ap_proxy_canonenc(r->pool, url, (int)strlen(url), enc_path,
                                     0, r->proxyreq);
        *query = r->args;
    }
    if (path == NULL || *ap_scan_vchar_obstext(path)
        || (*query && *ap_scan_vchar_obstext(*query))) {
        ap_log_rerror(APLOG_MARK, APLOG_WARNING, 0, r,
                      "RPX0509: refused: the URL has spaces or control "
                      "characters that are not encoded");
        return NULL;
    }
    return path;
}

int front_address_canon(request_rec *r, char *url)
{
    const char *scheme = scheme_of(url), *path, *query = NULL, *bad;
    char *host;
    apr_port_t port = 0;
    if (scheme == NULL)
        return DECLINED;
    if (r->proxyreq != PROXYREQ_REVERSE)
        return refuse_forward(r);
    url += strlen(scheme) + 1;
    bad = ap_proxy_canon_netloc(r->pool, &url, NULL, NULL, &host, &port);
    if (bad) {
        ap_log_rerror(APLOG_MARK, APLOG_ERR, 0, r, "RPX0508: refused: the "
                      "URL of the inner proxy (%s:%s): %s", scheme, url, bad);
        return HTTP_BAD_REQUEST;
    }
    path = path_of(r, url, &query);
    if (path == NULL)
        return HTTP_FORBIDDEN;
    /* A port stays as it was written, the standard one too: mod_proxy finds
     * the worker by its name, and knows no standard port of this scheme. */
    r->filename = apr_pstrcat(
        r->pool, "proxy:", scheme, "://", strchr(host, ':') ? "[" : "", host,
        strchr(host, ':') ? "]" : "",
        port ? apr_psprintf(r->pool, ":%u", (unsigned)port) : "", "/", path,
        query ? "?" : "", query ? query : "", NULL);
    return OK;
}

bool front_address_read(request_rec *r, const char *url, front_address *out)
{
    apr_uri_t *uri = &out->uri;
    apr_port_t standard;
    if (apr_uri_parse(r->pool, url, uri) != APR_SUCCESS
        || uri->hostname == NULL || *uri->hostname == '\0')
        return false;
    out->tls = uri->scheme && strcasecmp(uri->scheme, TLS) == 0;
    standard = out->tls ? DEFAULT_HTTPS_PORT : DEFAULT_HTTP_PORT;
    out->host = uri->hostname;
    out->port = uri->port_str ? uri->port : standard;
    out->name = apr_psprintf(r->pool, strchr(out->host, ':') ? "[%s]:%u"
                             : "%s:%u", out->host, (unsigned)out->port);
    out->target = apr_pstrcat(r->pool, uri->path ? uri->path : "/",
                              uri->query ? "?" : "",
                              uri->query ? uri->query : "", NULL);
    /* of which the Host field is made, where port 80 counts as the standard
     * one whatever the scheme */
    uri->port = out->port == DEFAULT_HTTP_PORT ? 0 : out->port;
    if (out->port == standard)
        uri->port_str = NULL;
    return true;
}
