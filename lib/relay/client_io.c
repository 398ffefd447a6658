/* SPDX-License-Identifier: Apache-2.0 */
/* client_io.c - httpd's filters, read and written without blocking */
#include "relay/client_io.h"

#include <apr_portable.h>
#include <http_connection.h>
#include <http_core.h>
#include <http_protocol.h>
#include <util_filter.h>

/* The private metadata bucket. */
static apr_status_t nudge_read(apr_bucket *b, const char **str,
                               apr_size_t *len, apr_read_type_e block)
{
    *str = NULL;
    *len = 0;
    return APR_SUCCESS;
}

static const apr_bucket_type_t nudge_type = {
    "RPCPROXY_NUDGE", 5, APR_BUCKET_METADATA, apr_bucket_destroy_noop,
    nudge_read, apr_bucket_setaside_noop, apr_bucket_split_notimpl,
    apr_bucket_simple_copy
};

static apr_bucket *nudge_create(apr_bucket_alloc_t *alloc)
{
    apr_bucket *b = apr_bucket_alloc(sizeof(*b), alloc);
    APR_BUCKET_INIT(b);
    b->free = apr_bucket_free;
    b->list = alloc;
    b->type = &nudge_type;
    b->length = 0;
    b->start = 0;
    b->data = NULL;
    return b;
}

/* ap_remove_input_filter knows one chain; within a request three lead to the
 * filter. */
static void unlink_filter(ap_filter_t **chain, const ap_filter_rec_t *rec)
{
    while (*chain) {
        if ((*chain)->frec == rec)
            *chain = (*chain)->next;
        else
            chain = &(*chain)->next;
    }
}

static void remove_reqtimeout(request_rec *r)
{
    ap_filter_rec_t *rec = ap_get_input_filter_handle("reqtimeout");
    if (rec == NULL)
        return;
    unlink_filter(&r->input_filters, rec);
    unlink_filter(&r->proto_input_filters, rec);
    unlink_filter(&r->connection->input_filters, rec);
}

/* A quarter of the threshold is left for what TLS adds. */
static size_t batch_of(const server_rec *s)
{
    const core_server_config *core = ap_get_core_module_config(
        s->module_config);
    size_t threshold = core->flush_max_threshold;
    if (threshold == 0 || threshold / 4 * 3 > RELAY_CLIENT_BATCH)
        return RELAY_CLIENT_BATCH;
    return threshold < 512 ? 256 : threshold / 4 * 3;
}

void relay_client_init(relay_client *cl, request_rec *r, bool async)
{
    memset(cl, 0, sizeof(*cl));
    cl->r = r;
    cl->c = r->connection;
    cl->socket = ap_get_conn_socket(cl->c);
    cl->fd = -1;
    apr_os_sock_get(&cl->fd, cl->socket);
    apr_socket_timeout_get(cl->socket, &cl->saved_timeout);
    apr_socket_timeout_set(cl->socket, 0);
    cl->in = apr_brigade_create(r->pool, cl->c->bucket_alloc);
    cl->out = apr_brigade_create(r->pool, cl->c->bucket_alloc);
    cl->batch = batch_of(r->connection->base_server);
    cl->readable = true;
    cl->async = async;
    remove_reqtimeout(r);
}

static void fail(relay_client *cl)
{
    cl->gone = true;
    cl->readable = false;
}

static void fill(relay_client *cl)
{
    apr_status_t rv = ap_get_brigade(cl->r->input_filters, cl->in,
                                     AP_MODE_READBYTES, APR_NONBLOCK_READ,
                                     65536);
    if (rv == APR_SUCCESS && !APR_BRIGADE_EMPTY(cl->in))
        return;
    cl->readable = false;
    if (rv == AP_FILTER_ERROR)
        cl->refused = true;
    if (cl->raw && APR_STATUS_IS_EOF(rv))
        cl->body_done = true;
    else if (rv != APR_SUCCESS && !APR_STATUS_IS_EAGAIN(rv))
        cl->gone = true;
}

const uint8_t *relay_client_peek(relay_client *cl, size_t *len)
{
    const char *p;
    apr_size_t n;
    apr_bucket *b;
    *len = 0;
    while (!cl->gone && !cl->body_done) {
        apr_status_t rv;
        if (APR_BRIGADE_EMPTY(cl->in)) {
            if (cl->readable)
                fill(cl);
            if (APR_BRIGADE_EMPTY(cl->in))
                return NULL;
        }
        b = APR_BRIGADE_FIRST(cl->in);
        if (APR_BUCKET_IS_EOS(b)) {
            cl->body_done = true;
        } else if (AP_BUCKET_IS_ERROR(b)) {
            fail(cl);
        } else if (!APR_BUCKET_IS_METADATA(b)) {
            rv = apr_bucket_read(b, &p, &n, APR_NONBLOCK_READ);
            if (APR_STATUS_IS_EAGAIN(rv)) {
                cl->readable = false;
                return NULL;
            }
            if (rv != APR_SUCCESS)
                fail(cl);
            *len = rv == APR_SUCCESS ? n : 0;
            if (*len > 0)
                return (const uint8_t *)p;
        }
        apr_bucket_delete(b);
    }
    return NULL;
}

void relay_client_take(relay_client *cl, size_t n)
{
    apr_bucket *b = APR_BRIGADE_FIRST(cl->in);
    if (n < b->length)
        apr_bucket_split(b, n);
    apr_bucket_delete(b);
}

void relay_client_hold(relay_client *cl)
{
    apr_bucket *b;
    for (b = APR_BRIGADE_FIRST(cl->in); b != APR_BRIGADE_SENTINEL(cl->in);
         b = APR_BUCKET_NEXT(b))
        apr_bucket_setaside(b, cl->r->pool);
}

void relay_client_watch(relay_client *cl)
{
    apr_status_t rv;
    if (cl->junk || cl->gone)
        return;
    rv = ap_get_brigade(cl->c->input_filters, cl->in, AP_MODE_SPECULATIVE,
                        APR_NONBLOCK_READ, 1);
    if (rv == APR_SUCCESS && !APR_BRIGADE_EMPTY(cl->in))
        cl->junk = true;
    else if (rv != APR_SUCCESS && !APR_STATUS_IS_EAGAIN(rv))
        cl->gone = true;
    apr_brigade_cleanup(cl->in);
}

bool relay_client_blocked(const relay_client *cl)
{
    return cl->c->data_in_output_filters != 0;
}

bool relay_client_writable(const relay_client *cl)
{
    return !relay_client_blocked(cl) && cl->out_bytes < cl->batch;
}

long relay_client_write(relay_client *cl, const uint8_t *p, size_t len)
{
    if (cl->gone || cl->c->aborted)
        return -1;
    if (!relay_client_writable(cl))
        return 0;
    if (len > cl->batch - cl->out_bytes)
        len = cl->batch - cl->out_bytes;
    apr_brigade_write(cl->out, NULL, NULL, (const char *)p, len);
    cl->out_bytes += len;
    return (long)len;
}

void relay_client_commit(relay_client *cl)
{
    apr_status_t rv;
    APR_BRIGADE_INSERT_TAIL(cl->out, nudge_create(cl->c->bucket_alloc));
    rv = ap_pass_brigade(cl->r->proto_output_filters, cl->out);
    apr_brigade_cleanup(cl->out);
    cl->out_bytes = 0;
    if (rv != APR_SUCCESS || cl->c->aborted)
        cl->gone = true;
    else
        relay_client_push(cl);
}

void relay_client_push(relay_client *cl)
{
    ap_filter_t *f = cl->c->output_filters;
    while (f->next)
        f = f->next;
    if (f->frec->filter_func.out_func(f, NULL) != APR_SUCCESS
        || cl->c->aborted)
        cl->gone = true;
}

void relay_client_drop(relay_client *cl)
{
    /* End-of-connection makes the header filter step aside, so that the end
     * of the request writes no head of its own. */
    APR_BRIGADE_INSERT_TAIL(cl->out,
                            ap_bucket_eoc_create(cl->c->bucket_alloc));
    cl->c->keepalive = AP_CONN_CLOSE;
    ap_pass_brigade(cl->r->proto_output_filters, cl->out);
    apr_brigade_cleanup(cl->out);
}

void relay_client_done(relay_client *cl)
{
    apr_brigade_cleanup(cl->in);
    apr_brigade_cleanup(cl->out);
    /* A client that goes on sending would hold the worker for 30 s more. */
    apr_table_setn(cl->c->notes, "short-lingering-close", "1");
    if ((cl->gone && !cl->refused)
        || (relay_client_blocked(cl) && !cl->async))
        cl->c->aborted = 1;
    if (!cl->async)
        apr_socket_timeout_set(cl->socket, cl->saved_timeout);
}
