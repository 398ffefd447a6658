/* SPDX-License-Identifier: Apache-2.0 */
/* inner.c - a connection to an inner proxy */
#include "front/inner.h"

#include <apr_portable.h>
#include <apr_strings.h>
#include <http_connection.h>
#include <http_core.h>
#include <poll.h>
#include <string.h>
#include <util_filter.h>

#include "front/front.h"

const char *front_inner_peer(const request_rec *r, const front_address *a)
{
    const proxy_dir_conf *dir = ap_get_module_config(r->per_dir_config,
                                                     &proxy_module);
    return dir->preserve_host && r->hostname ? r->hostname : a->host;
}

apr_interval_time_t front_inner_timeout(const request_rec *r,
                                        const proxy_worker *worker,
                                        const proxy_server_conf *conf)
{
    if (worker->s->timeout_set)
        return worker->s->timeout;
    return conf->timeout_set ? conf->timeout : r->server->timeout;
}

/* The source address (ProxySourceAddress) is one for all: httpd's mod_proxy
 * goes on without it, too, when it does not fit. */
static void set_options(apr_socket_t *s, request_rec *r,
                        const proxy_server_conf *conf, front_inner *in)
{
    apr_sockaddr_t *from;
    apr_status_t rv;
    apr_socket_opt_set(s, APR_TCP_NODELAY, 1);
    apr_socket_opt_set(s, APR_SO_KEEPALIVE, 1);
    if (!conf->source_address_set)
        return;
    from = apr_pmemdup(in->pool, conf->source_address, sizeof(*from));
    from->pool = in->pool;
    rv = apr_socket_bind(s, from);
    if (rv != APR_SUCCESS)
        ap_log_rerror(APLOG_MARK, APLOG_WARNING, rv, r, "RPX0532: the "
                      "connection to %s does not come from "
                      "ProxySourceAddress", in->name);
}

/* One address; its socket is closed again when that fails. */
static apr_status_t connect_to(front_inner *in, request_rec *r,
                               const proxy_server_conf *conf,
                               apr_sockaddr_t *to)
{
    const proxy_worker *w = in->worker;
    apr_status_t rv = apr_socket_create(&in->socket, to->family, SOCK_STREAM,
                                        APR_PROTO_TCP, in->pool);
    if (rv != APR_SUCCESS)
        return rv;
    set_options(in->socket, r, conf, in);
    apr_socket_timeout_set(in->socket, w->s->conn_timeout_set
                           ? w->s->conn_timeout
                           : front_inner_timeout(r, w, conf));
    rv = apr_socket_connect(in->socket, to);
    if (rv != APR_SUCCESS) {
        ap_log_rerror(APLOG_MARK, APLOG_INFO, rv, r, "RPX0531: %pI, an "
                      "address of the member %s, cannot be reached", to,
                      in->name);
        apr_socket_close(in->socket);
        return rv;
    }
    apr_socket_timeout_set(in->socket, front_inner_timeout(r, w, conf));
    return APR_SUCCESS;
}

/* Of an address that is written out. For "any" the C library asks the kernel
 * first which addresses this machine has. */
static apr_int32_t family_of(const char *host)
{
#if APR_HAVE_IPV6
    if (strchr(host, ':'))
        return APR_INET6;
#endif
    return host[strspn(host, "0123456789.")] ? APR_UNSPEC : APR_INET;
}

/* As mod_proxy_http has it: a member that cannot be reached is left alone for
 * retry= seconds. One that is no balancer's ignores errors, unless its status=
 * says otherwise. Nothing is its fault when we have no socket. */
static void put_in_error(proxy_worker *w, apr_status_t rv)
{
    if ((w->s->status & PROXY_WORKER_IGNORE_ERRORS) != 0
        || rv == EMFILE || rv == ENFILE || rv == ENOBUFS)
        return;
    w->s->error_time = apr_time_now();
    w->s->status |= PROXY_WORKER_IN_ERROR;
}

static int connect_all(front_inner *in, request_rec *r,
                       const proxy_server_conf *conf, const front_address *a)
{
    apr_sockaddr_t *to = NULL;
    apr_status_t rv = apr_sockaddr_info_get(&to, a->host, family_of(a->host),
                                            a->port, 0, in->pool);
    int tried = 0;
    if (rv != APR_SUCCESS) {
        ap_log_rerror(APLOG_MARK, APLOG_ERR, rv, r, "RPX0530: the member %s "
                      "is not used: its name does not resolve", in->name);
        return HTTP_SERVICE_UNAVAILABLE;
    }
    if (ap_proxy_checkproxyblock2(r, (proxy_server_conf *)conf, a->host, to)
        != OK) {
        ap_log_rerror(APLOG_MARK, APLOG_WARNING, 0, r, "RPX0537: refused: "
                      "ProxyBlock forbids the member %s", in->name);
        return HTTP_FORBIDDEN;
    }
    for (rv = APR_EGENERAL; to && rv != APR_SUCCESS; to = to->next) {
        rv = connect_to(in, r, conf, to);
        tried++;
    }
    if (rv == APR_SUCCESS)
        return OK;
    put_in_error(in->worker, rv);
    ap_log_rerror(APLOG_MARK, APLOG_ERR, rv, r, "RPX0533: the member %s is "
                  "not used: none of its %d addresses can be reached",
                  in->name, tried);
    return HTTP_SERVICE_UNAVAILABLE;
}

/* In front of the pool's other cleanups: TLS says goodbye (without waiting
 * for it), and whoever points here is told. */
static apr_status_t shut_down(void *data)
{
    front_inner *in = data;
    if (in->kept && *in->kept == in)
        *in->kept = NULL;
    if (in->c && !in->c->aborted) {
        apr_socket_timeout_set(in->socket, 0);
        (void)ap_shutdown_conn(in->c, 0);
        in->c->aborted = 1;
    }
    return APR_SUCCESS;
}

/* What httpd wants around the socket. */
static int make_connection(front_inner *in, request_rec *r)
{
    apr_interval_time_t timeout;
    int rc;
    /* The client's allocator of buckets: it lives longer, the same thread has
     * both, and one of its own would be 8 KiB more. */
    in->c = ap_run_create_connection(in->pool, r->server, in->socket, 0, NULL,
                                     in->client->bucket_alloc);
    if (in->c == NULL) {
        ap_log_rerror(APLOG_MARK, APLOG_ERR, 0, r, "RPX0534: the member %s "
                      "is not used: it closed the connection at once",
                      in->name);
        return HTTP_SERVICE_UNAVAILABLE;
    }
    if (!ap_proxy_ssl_engine(in->c, r->per_dir_config, in->tls) && in->tls) {
        in->c->aborted = 1;
        ap_log_rerror(APLOG_MARK, APLOG_ERR, 0, r, "RPX0535: rpchs:// needs "
                      "mod_ssl, and \"SSLProxyEngine On\" where %s is used",
                      in->name);
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    if (in->tls)
        apr_table_setn(in->c->notes, "proxy-request-hostname", in->peer);
    /* the core sets Timeout here */
    apr_socket_timeout_get(in->socket, &timeout);
    rc = ap_run_pre_connection(in->c, in->socket);
    apr_socket_timeout_set(in->socket, timeout);
    if (rc == OK || rc == DONE)
        return OK;
    in->c->aborted = 1;
    ap_log_rerror(APLOG_MARK, APLOG_ERR, 0, r, "RPX0536: a module of this "
                  "httpd refused the connection to the member %s (%d)",
                  in->name, rc);
    return HTTP_INTERNAL_SERVER_ERROR;
}

/* What mod_proxy asks before it takes a connection out of its pool: status= of
 * a member that is no balancer's, and whether its time of error is over. */
static bool is_usable(proxy_worker *w, request_rec *r)
{
    APR_OPTIONAL_FN_TYPE(ap_proxy_retry_worker) *retry =
        APR_RETRIEVE_OPTIONAL_FN(ap_proxy_retry_worker);
    if (!PROXY_WORKER_IS_USABLE(w) && retry)
        retry("RPCH", w, r->server);
    return PROXY_WORKER_IS_USABLE(w);
}

int front_inner_open(front_inner **out, request_rec *r, proxy_worker *worker,
                     const proxy_server_conf *conf, const front_address *a)
{
    apr_pool_t *pool;
    front_inner *in;
    int status;
    if (!is_usable(worker, r)) {
        ap_log_rerror(APLOG_MARK, APLOG_ERR, 0, r, "RPX0528: the member %s "
                      "is not used: it is disabled, stopped or in error "
                      "(status=, retry=)", a->name);
        return HTTP_SERVICE_UNAVAILABLE;
    }
    apr_pool_create(&pool, r->connection->pool);
    apr_pool_tag(pool, "rpch_inner");
    in = apr_pcalloc(pool, sizeof(*in));
    in->pool = pool;
    in->client = r->connection;
    in->worker = worker;
    in->name = apr_pstrdup(pool, a->name);
    in->peer = apr_pstrdup(pool, front_inner_peer(r, a));
    in->tls = a->tls;
    status = connect_all(in, r, conf, a);
    if (status == OK) {
        /* before the filters' own cleanups */
        apr_pool_pre_cleanup_register(pool, in, shut_down);
        status = make_connection(in, r);
    }
    if (status != OK) {
        apr_pool_destroy(pool);
        return status;
    }
    /* as mod_proxy does when a member is there again; this memory is that of
     * all children */
    if (worker->s->error_time != 0)
        worker->s->error_time = 0;
    if (worker->s->retries != 0)
        worker->s->retries = 0;
    ap_log_rerror(APLOG_MARK, APLOG_DEBUG, 0, r, "connected to the member %s "
                  "(%pI)", in->name, in->c->client_addr);
    *out = in;
    return OK;
}

void front_inner_use(front_inner *in, request_rec *r)
{
    if (in->tls)
        ap_proxy_ssl_engine(in->c, r->per_dir_config, 1);
}

void front_inner_rest(front_inner *in)
{
    /* mod_ssl keeps what it was given, and the request's goes with it */
    if (in->tls)
        ap_proxy_ssl_engine(in->c, in->worker->section_config
                            ? in->worker->section_config
                            : in->c->base_server->lookup_defaults, 1);
}

bool front_inner_is_live(const front_inner *in)
{
    struct pollfd p = { .events = POLLIN };
    apr_os_sock_t fd;
    if (in->c->aborted || apr_os_sock_get(&fd, in->socket) != APR_SUCCESS)
        return false;
    p.fd = fd;
    return poll(&p, 1, 0) == 0;
}

/* Nothing of the request has been sent when TLS fails: another member of the
 * balancer may have it. Not where the client said which name is expected: a
 * wrong one would put every member out of service. */
static int untrusted(const request_rec *r)
{
    const proxy_dir_conf *dir = ap_get_module_config(r->per_dir_config,
                                                     &proxy_module);
    return apr_table_get(r->subprocess_env, "BALANCER_NAME")
           && !dir->preserve_host ? HTTP_SERVICE_UNAVAILABLE
                                  : HTTP_BAD_GATEWAY;
}

/* Tells of a write that failed, and decides the status. */
static int failed(const front_inner *in, request_rec *r, apr_status_t rv)
{
    const char *tls = in->tls ? apr_table_get(in->c->notes, "SSL_connect_rv")
                              : NULL;
    if (tls && strcmp(tls, "err") == 0) {
        ap_log_rerror(APLOG_MARK, APLOG_ERR, 0, r, "RPX0525: the TLS "
                      "handshake with the member %s failed; mod_ssl says why "
                      "(LogLevel ssl:info; SSLProxy...)", in->name);
        return untrusted(r);
    }
    ap_log_rerror(APLOG_MARK, APLOG_ERR, rv, r, "RPX0526: the member %s did "
                  "not take the head of the request", in->name);
    return APR_STATUS_IS_TIMEUP(rv) ? HTTP_GATEWAY_TIME_OUT
                                    : HTTP_BAD_GATEWAY;
}

int front_inner_write(front_inner *in, request_rec *r, const char *text,
                      apr_size_t len)
{
    apr_bucket_alloc_t *alloc = in->c->bucket_alloc;
    apr_bucket_brigade *bb = apr_brigade_create(r->pool, alloc);
    apr_status_t rv;
    APR_BRIGADE_INSERT_TAIL(bb, apr_bucket_transient_create(text, len, alloc));
    APR_BRIGADE_INSERT_TAIL(bb, apr_bucket_flush_create(alloc));
    rv = ap_pass_brigade(in->c->output_filters, bb);
    apr_brigade_destroy(bb);
    if (rv == APR_SUCCESS && !in->c->aborted)
        return OK;
    in->c->aborted = 1;
    return failed(in, r, rv);
}

void front_inner_close(front_inner *in)
{
    apr_pool_destroy(in->pool);
}
