/* SPDX-License-Identifier: Apache-2.0 */
/*
 * io.c - a connection of httpd's: made fit to be driven, and given back.
 * Reading is in io_read.c, writing in io_write.c.
 */
#include "relay/io.h"

#include <http_connection.h>
#include <http_protocol.h>
#include <util_filter.h>

#include "relay/conn.h"
#include "relay/io_gulp.h"
#include "relay/io_noflush.h"

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
    if (threshold == 0 || batch > RELAY_IO_BATCH)
        return RELAY_IO_BATCH;
    if (batch > RELAY_RECORD)
        batch -= batch % RELAY_RECORD;
    return batch < 256 ? 256 : batch;
}

/* Bytes of the body, or -1 when that is not known: a chunked one. */
static apr_off_t body_length(const request_rec *r)
{
    const char *text = apr_table_get(r->headers_in, "Content-Length");
    apr_off_t n;
    return text && !apr_table_get(r->headers_in, "Transfer-Encoding")
        && ap_parse_strict_length(&n, text) ? n : -1;
}

static void init(relay_io *io, relay_engine *e, request_rec *r, conn_rec *c)
{
    memset(io, 0, sizeof(*io));
    io->r = r;
    io->c = c;
    io->socket = ap_get_conn_socket(c);
    io->fd = relay_conn_fd(c);
    apr_socket_timeout_get(io->socket, &io->saved_timeout);
    apr_socket_timeout_set(io->socket, 0);
    io->in = apr_brigade_create(r->pool, c->bucket_alloc);
    io->out = apr_brigade_create(r->pool, c->bucket_alloc);
    relay_gulp_init(&io->gulp, io->fd, e->blocks);
    relay_sendq_init(&io->rest, e->blocks);
    io->engine = e;
    io->batch = batch_of(c->base_server);
    io->readable = true;
    relay_io_noflush_insert(io);
}

void relay_io_borrow(relay_io *io, relay_engine *e, request_rec *r)
{
    init(io, e, r, r->connection);
    io->from = &r->input_filters;
    io->to = &r->proto_output_filters;
    io->body_left = body_length(r);
    io->count_in = APR_RETRIEVE_OPTIONAL_FN(ap_logio_add_bytes_in);
    io->count_out = APR_RETRIEVE_OPTIONAL_FN(ap_logio_add_bytes_out);
    io->borrowed = true;
}

void relay_io_own(relay_io *io, bool async)
{
    io->async = async;
    io->borrowed = io->judged_in = io->judged_out = false;
    io->last = true;
    if (!io->inner)
        remove_reqtimeout(io->r);
}

void relay_io_init(relay_io *io, relay_engine *e, request_rec *r, bool async)
{
    relay_io_borrow(io, e, r);
    relay_io_own(io, async);
}

void relay_io_begin(relay_io *io, ap_filter_t **chain)
{
    io->to = chain;
}

void relay_io_init_inner(relay_io *io, relay_engine *e, request_rec *r,
                         conn_rec *inner)
{
    init(io, e, r, inner);
    io->from = &inner->input_filters;
    io->to = &inner->output_filters;
    io->body_left = -1;
    io->inner = io->raw = io->passed = true;
}

bool relay_io_knows(const relay_io *io, const ap_filter_t *chain,
                    ap_filter_rec_t *const *known, int n, const char *what)
{
    const ap_filter_t *f;
    int i;
    for (f = chain; f; f = f->next) {
        for (i = 0; i < n && f->frec != known[i]; i++)
            ;
        if (i < n)
            continue;
        RELAY_RLOG(io->engine, APLOG_DEBUG, 0, io->r, "%s goes through "
                   "httpd's filters, for there is %s", what, f->frec->name);
        return false;
    }
    return true;
}

/* End-of-connection makes the header filter step aside, so that the end of the
 * request writes no head of its own. */
static void end_connection(relay_io *io)
{
    APR_BRIGADE_INSERT_TAIL(io->out,
                            ap_bucket_eoc_create(io->c->bucket_alloc));
    io->c->keepalive = AP_CONN_CLOSE;
    ap_pass_brigade(*io->to, io->out);
    apr_brigade_cleanup(io->out);
}

void relay_io_drop(relay_io *io)
{
    end_connection(io);
}

void relay_io_abort(relay_io *io)
{
    /* By this error the chunk filter knows that it owes no last chunk; the
     * header filter would answer it. */
    if (io->passed)
        APR_BRIGADE_INSERT_TAIL(io->out, ap_bucket_error_create(
            HTTP_BAD_GATEWAY, NULL, io->r->pool, io->c->bucket_alloc));
    end_connection(io);
}

void relay_io_done(relay_io *io)
{
    apr_brigade_cleanup(io->in);
    apr_brigade_cleanup(io->out);
    relay_io_gulp_remove(io);
    relay_sendq_clear(&io->rest);
    /* A client that goes on sending would hold the worker for 30 s more. */
    if (!io->inner && !io->borrowed)
        apr_table_setn(io->c->notes, "short-lingering-close", "1");
    if ((io->gone && !io->refused)
        || (relay_io_blocked(io) && !io->async))
        io->c->aborted = 1;
    if (!io->async)
        apr_socket_timeout_set(io->socket, io->saved_timeout);
    /* Whoever closes an inner connection tries to flush once. */
    if (!io->async || io->inner)
        relay_io_noflush_remove(io);
}
