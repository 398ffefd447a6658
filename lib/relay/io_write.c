/* SPDX-License-Identifier: Apache-2.0 */
/*
 * io_write.c - what the peer is sent.
 *
 * A response's head always goes through the filters, and what comes with it.
 * Behind it, where no filter but httpd's HTTP and core stands before the
 * socket and nothing waits in them, the bytes can be written to the socket:
 * the core's filter would copy what the socket does not take, and here it stays
 * where it is.
 */
#include "relay/io.h"

#include <http_protocol.h>
#include <mod_core.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <util_filter.h>

#include "relay/conn.h"
#include "relay/pieces.h"
#include "relay/sock.h"

/* The private metadata bucket. */
static apr_status_t nudge_read(apr_bucket *b, const char **str,
                               apr_size_t *len, apr_read_type_e block)
{
    *str = NULL;
    *len = 0;
    return APR_SUCCESS;
}

static const apr_bucket_type_t nudge_type = {
    "RELAY_NUDGE", 5, APR_BUCKET_METADATA, apr_bucket_destroy_noop,
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

/* mod_reqtimeout's output filter waits for the end of the request. */
static void judge(relay_io *io)
{
    ap_filter_rec_t *known[] = {
        ap_content_length_filter_handle, ap_http_outerror_filter_handle,
        ap_get_output_filter_handle("reqtimeout"),
        ap_core_output_filter_handle
    };
    io->judged_out = true;
    io->direct_out = !io->borrowed
        && relay_io_knows(io, *io->to, known, 4, "output");
}

bool relay_io_blocked(const relay_io *io)
{
    return io->full || io->c->data_in_output_filters != 0;
}

void relay_io_push(relay_io *io)
{
    io->full = false;
    if (io->c->data_in_output_filters && !relay_conn_push(io->c))
        io->gone = true;
}

/* Gives what was collected to the filters. */
static void pass(relay_io *io)
{
    apr_status_t rv;
    APR_BRIGADE_INSERT_TAIL(io->out, nudge_create(io->c->bucket_alloc));
    rv = ap_pass_brigade(*io->to, io->out);
    apr_brigade_cleanup(io->out);
    io->passed = true;
    if (rv != APR_SUCCESS || io->c->aborted)
        io->gone = true;
    else
        relay_io_push(io);
}

/* mod_ssl writes each of its records by itself; while corked they leave as one
 * segment where that is large enough, and wake their receiver once. */
static void cork(const relay_io *io, int on)
{
#ifdef TCP_CORK
    setsockopt(io->fd, IPPROTO_TCP, TCP_CORK, &on, sizeof(on));
#endif
}

/* Brigades of at most batch bytes, each in one bucket: mod_ssl makes records of
 * its own of each. The filters copy what they keep. */
static long to_filters(relay_io *io, const struct iovec *v, int n)
{
    relay_place p = relay_place_first(v, n);
    size_t left = relay_sock_total(v, n), len;
    uint8_t *room = n > 1 ? malloc(left < io->batch ? left : io->batch) : NULL;
    bool many = left > RELAY_RECORD;
    long taken = 0;
    if (many)
        cork(io, 1);
    for (; left > 0 && !io->gone && !relay_io_blocked(io); left -= len) {
        len = left < io->batch ? left : io->batch;
        if (room == NULL && len > relay_place_here(&p))
            len = relay_place_here(&p);
        APR_BRIGADE_INSERT_TAIL(io->out, apr_bucket_transient_create(
            (const char *)relay_place_whole(p, len, room), len,
            io->c->bucket_alloc));
        pass(io);
        relay_place_move(&p, len);
        taken += (long)len;
    }
    if (many)
        cork(io, 0);
    free(room);
    return io->gone ? -1 : taken;
}

static long to_socket(relay_io *io, const struct iovec *v, int n)
{
    long sent = relay_sock_send(io->fd, v, n);
    if (sent < 0) {
        io->gone = true;
        return -1;
    }
    io->full = sent < (long)relay_sock_total(v, n);
    if (sent == 0)
        return 0;
    if (!io->inner)
        io->r->bytes_sent += sent;
    if (io->count_out)
        io->count_out(io->c, sent);
    return sent;
}

long relay_io_write(relay_io *io, const struct iovec *v, int n)
{
    if (io->gone || io->c->aborted)
        return -1;
    if (relay_io_blocked(io))
        return 0;
    if (io->passed && !io->judged_out)
        judge(io);
    return io->direct_out ? to_socket(io, v, n) : to_filters(io, v, n);
}

void relay_io_head(relay_io *io)
{
    if (!io->passed && !io->gone)
        pass(io);
}
