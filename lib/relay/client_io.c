/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client_io.c - the client's connection: made fit for a channel, and given
 * back. Reading is in client_read.c, writing in client_write.c.
 */
#include "relay/client_io.h"

#include <apr_portable.h>
#include <apr_strings.h>
#include <http_connection.h>
#include <util_filter.h>

#include "relay/engine.h"

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

/* A quarter of the threshold is left for what TLS adds. httpd's default of
 * 65,535 makes three whole TLS records. */
static size_t batch_of(const server_rec *s)
{
    const core_server_config *core = ap_get_core_module_config(
        s->module_config);
    size_t threshold = core->flush_max_threshold;
    size_t batch = threshold - threshold / 4;
    if (threshold == 0 || batch > RELAY_CLIENT_BATCH)
        return RELAY_CLIENT_BATCH;
    return batch < 256 ? 256 : batch;
}

/* Bytes of the body, or -1 when that is not known: a chunked one. */
static apr_off_t body_length(const request_rec *r)
{
    const char *text = apr_table_get(r->headers_in, "Content-Length");
    apr_off_t n;
    char *rest;
    if (text == NULL || apr_table_get(r->headers_in, "Transfer-Encoding")
        || apr_strtoff(&n, text, &rest, 10) != APR_SUCCESS || *rest != '\0'
        || rest == text || n < 0)
        return -1;
    return n;
}

void relay_client_init(relay_client *cl, relay_engine *e, request_rec *r,
                       bool async)
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
    relay_sendq_init(&cl->rest, e->blocks);
    cl->body_left = body_length(r);
    cl->engine = e;
    cl->count_in = APR_RETRIEVE_OPTIONAL_FN(ap_logio_add_bytes_in);
    cl->count_out = APR_RETRIEVE_OPTIONAL_FN(ap_logio_add_bytes_out);
    cl->batch = batch_of(r->connection->base_server);
    cl->readable = true;
    cl->async = async;
    remove_reqtimeout(r);
}

bool relay_client_knows(const relay_client *cl, const ap_filter_t *chain,
                        ap_filter_rec_t *const *known, int n,
                        const char *what)
{
    const ap_filter_t *f;
    int i;
    for (f = chain; f; f = f->next) {
        for (i = 0; i < n && f->frec != known[i]; i++)
            ;
        if (i < n)
            continue;
        RELAY_RLOG(cl->engine, APLOG_DEBUG, 0, cl->r, "%s goes through "
                   "httpd's filters, for there is %s", what, f->frec->name);
        return false;
    }
    return true;
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
    relay_sendq_clear(&cl->rest);
    /* A client that goes on sending would hold the worker for 30 s more. */
    apr_table_setn(cl->c->notes, "short-lingering-close", "1");
    if ((cl->gone && !cl->refused)
        || (relay_client_blocked(cl) && !cl->async))
        cl->c->aborted = 1;
    if (!cl->async)
        apr_socket_timeout_set(cl->socket, cl->saved_timeout);
}
