/* SPDX-License-Identifier: Apache-2.0 */
/* ask.c - the head of the request to an inner proxy */
#include "front/ask.h"

#include <apr_lib.h>
#include <apr_strings.h>
#include <http_protocol.h>
#include <http_ssl.h>
#include <string.h>

#include "front/front.h"

/* Fields by which an inner proxy is told that the client's side has TLS
 * (RpcProxyTrustedFront): never the client's own word. */
#define TLS_1 "Front-End-Https"
#define TLS_2 "X-Forwarded-Proto"

bool front_ask_body(const request_rec *r, front_body *out)
{
    const char *length = apr_table_get(r->headers_in, "Content-Length");
    memset(out, 0, sizeof(*out));
    out->chunked = apr_table_get(r->headers_in, "Transfer-Encoding") != NULL;
    out->given = length != NULL && !out->chunked;
    return !out->given || ap_parse_strict_length(&out->length, length);
}

/* The client's credentials reach the inner proxy. */
static int pass(request_rec *r, const front_dir_conf *conf,
                front_identity *out, const char **text)
{
    out->passed = out->sent;
    if (conf->auth == FRONT_AUTH_UNSAID && r->user && r->ap_auth_type) {
        ap_log_rerror(APLOG_MARK, APLOG_ERR, 0, r, "RPX0520: refused: httpd "
                      "has authenticated %s itself (AuthType %s); say by "
                      "ProxyRpchAuth what the inner proxy is to be told: "
                      "basic or pass for the same credentials again, fixed, "
                      "header or none", r->user, r->ap_auth_type);
        *text = "The administrator of this proxy has to complete its "
                "configuration.\n";
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    if (conf->auth == FRONT_AUTH_BASIC
        && out->sent.scheme != FRONT_SCHEME_BASIC) {
        ap_log_rerror(APLOG_MARK, APLOG_WARNING, 0, r, "RPX0521: refused: "
                      "ProxyRpchAuth is basic, and the request has no Basic "
                      "credentials; ask for them by AuthType Basic");
        *text = "This proxy needs Basic credentials.\n";
        return HTTP_FORBIDDEN;
    }
    return OK;
}

/* The user's name in a field. It may be anything that was authenticated: a
 * line end in it would begin another field. */
static int name_user(request_rec *r, const front_dir_conf *conf,
                     front_identity *out, const char **text)
{
    *text = "This proxy serves authenticated users only.\n";
    if (r->user == NULL || *r->user == '\0') {
        ap_log_rerror(APLOG_MARK, APLOG_WARNING, 0, r, "RPX0522: refused: "
                      "httpd authenticated nobody whose name could go into "
                      "%s (ProxyRpchAuth header)", conf->auth_name);
        return HTTP_FORBIDDEN;
    }
    if (*ap_scan_http_field_content(r->user)) {
        ap_log_rerror(APLOG_MARK, APLOG_WARNING, 0, r, "RPX0523: refused: "
                      "the name of the user %s has control characters, and "
                      "cannot be sent in %s (ProxyRpchAuth header)", r->user,
                      conf->auth_name);
        return HTTP_FORBIDDEN;
    }
    out->drop = conf->auth_name;
    out->line = apr_pstrcat(r->pool, conf->auth_name, ": ", r->user, CRLF,
                            NULL);
    return OK;
}

int front_ask_identity(request_rec *r, const front_dir_conf *conf,
                       front_identity *out, const char **text)
{
    memset(out, 0, sizeof(*out));
    out->line = "";
    front_credentials_read(apr_table_get(r->headers_in, "Authorization"),
                           &out->sent);
    out->replaced = conf->auth >= FRONT_AUTH_FIXED;
    switch (conf->auth) {
    case FRONT_AUTH_FIXED:
        /* for all whom httpd lets in, with a name or without: Require is the
         * administrator's word */
        out->line = apr_pstrcat(r->pool, "Authorization: ", conf->auth_value,
                                CRLF, NULL);
        return OK;
    case FRONT_AUTH_HEADER:
        return name_user(r, conf, out, text);
    case FRONT_AUTH_NONE:
        return OK;
    case FRONT_AUTH_UNSAID:
    case FRONT_AUTH_PASS:
    case FRONT_AUTH_BASIC:
    default:
        return pass(r, conf, out, text);
    }
}

/* What mod_proxy makes the head of, without what would let it say Via (before
 * which Windows gives up NTLM), HTTP/1.0, or Expect: nobody here waits for
 * the member's 100. */
typedef struct disguise {
    proxy_server_conf conf;
    proxy_worker worker;
    proxy_worker_shared shared;
    proxy_conn_rec conn;
} disguise;

static disguise *dress(apr_pool_t *p, request_rec *r, const front_inner *in,
                       const proxy_server_conf *conf)
{
    disguise *d = apr_pcalloc(p, sizeof(*d));
    d->conf = *conf;
    d->conf.viaopt = via_block;
    /* of the member its names, and nothing that others count in meanwhile */
    d->worker = *in->worker;
    d->worker.s = &d->shared;
    apr_cpystrn(d->shared.name_ex, in->worker->s->name_ex,
                sizeof(d->shared.name_ex));
    apr_cpystrn(d->shared.hostname_ex, in->worker->s->hostname_ex,
                sizeof(d->shared.hostname_ex));
    d->shared.port = in->worker->s->port;
    d->conn.connection = in->c;
    d->conn.worker = &d->worker;
    d->conn.pool = d->conn.scpool = in->pool;
    d->conn.sock = in->socket;
    d->conn.is_ssl = in->tls;
    apr_table_unset(r->subprocess_env, "force-proxy-request-1.0");
    apr_table_unset(r->notes, "proxy-100-continue");
    return d;
}

/* Applications get fields as CGI's variables, in which both are "_". */
static char folded(char c)
{
    return c == '-' ? '_' : apr_tolower(c);
}

static bool is_taken_for(const char *name, const char *other)
{
    while (*name && folded(*name) == folded(*other)) {
        name++;
        other++;
    }
    return *name == *other;
}

/* The client's fields without those that it has no say in. */
static apr_table_t *fields_of(apr_pool_t *p, const request_rec *r,
                              const front_identity *who)
{
    const apr_array_header_t *all = apr_table_elts(r->headers_in);
    const apr_table_entry_t *e = (const apr_table_entry_t *)all->elts;
    apr_table_t *t = apr_table_make(p, all->nelts);
    int i;
    for (i = 0; i < all->nelts; i++) {
        if (!is_taken_for(e[i].key, TLS_1) && !is_taken_for(e[i].key, TLS_2)
            && !(who->drop && is_taken_for(e[i].key, who->drop)))
            apr_table_addn(t, e[i].key, e[i].val);
    }
    apr_table_unset(t, "Proxy-Authorization"); /* to us, if to anybody */
    if (who->replaced)
        apr_table_unset(t, "Authorization");
    return t;
}

/* What is put behind mod_proxy's fields, where "Connection:" of the client
 * cannot take it away. */
static const char *own_fields(apr_pool_t *p, request_rec *r,
                              const front_identity *who,
                              const front_body *body)
{
    const char *length = "";
    if (body->chunked)
        length = "Transfer-Encoding: chunked" CRLF;
    else if (body->given)
        length = apr_psprintf(p, "Content-Length: %" APR_OFF_T_FMT CRLF,
                              body->length);
    return apr_pstrcat(p, length, who->line,
                       ap_ssl_conn_is_ssl(r->connection)
                       ? TLS_1 ": on" CRLF TLS_2 ": https" CRLF : "",
                       /* for those who take HTTP/1.1 for 1.0: NTLM needs it */
                       "Connection: Keep-Alive" CRLF CRLF, NULL);
}

const char *front_ask_head(apr_pool_t *p, request_rec *r,
                           const front_inner *in,
                           const proxy_server_conf *conf,
                           const front_address *a, const front_identity *who,
                           const front_body *body)
{
    apr_bucket_brigade *bb = apr_brigade_create(p,
                                                r->connection->bucket_alloc);
    disguise *d = dress(p, r, in, conf);
    apr_table_t *saved = r->headers_in;
    apr_uri_t uri = a->uri;
    char *length = NULL, *coding = NULL, *text = NULL;
    apr_size_t len = 0;
    int rc;
    r->headers_in = fields_of(p, r, who);
    rc = ap_proxy_create_hdrbrgd(p, bb, r, &d->conn, &d->worker,
                                 &d->conf, &uri, (char *)a->target, (char *)"",
                                 &length, &coding);
    r->headers_in = saved;
    if (rc != OK || apr_brigade_pflatten(bb, &text, &len, p)
                    != APR_SUCCESS) {
        ap_log_rerror(APLOG_MARK, APLOG_ERR, 0, r, "RPX0527: mod_proxy could "
                      "not make the head of the request (%d)", rc);
        return NULL;
    }
    apr_brigade_destroy(bb);
    return apr_pstrcat(p, apr_pstrmemdup(p, text, len),
                       own_fields(p, r, who, body), NULL);
}
