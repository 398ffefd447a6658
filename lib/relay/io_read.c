/* SPDX-License-Identifier: Apache-2.0 */
/*
 * io_read.c - what the peer sends.
 *
 * The core's input filter reads 8,000 bytes at a time. Once the filters have
 * said "nothing now" they hold nothing, and where they are httpd's HTTP and
 * core alone the rest can be read from the socket: what the HTTP filter would
 * do is to count Content-Length. A client's are never used again, for they
 * know nothing of what was read; the connection ends with its request. An
 * inner connection's know nothing of bodies, and may be.
 */
#include "relay/io.h"

#include <http_protocol.h>
#include <mod_core.h>
#include <util_filter.h>

#include "relay/io_gulp.h"
#include "relay/sock.h"

/* Records of TLS that are no data, and may stand before a server's first: the
 * tickets of TLS 1.3. */
#define RECORDS 8

static void fail(relay_io *io)
{
    io->gone = true;
    io->readable = false;
}

/* mod_logio's filter counts what passes, and can be told. */
static void judge(relay_io *io)
{
    ap_filter_rec_t *known[] = {
        ap_http_input_filter_handle,
        ap_get_input_filter_handle("LOG_INPUT_OUTPUT"),
        ap_core_input_filter_handle
    };
    io->judged_in = true;
    io->direct_in = !io->borrowed && (io->raw || io->body_left >= 0)
        && relay_io_knows(io, *io->from, known, 3, "input");
    if (io->last && !io->direct_in)
        relay_io_gulp_insert(io);
}

/* Asks the filters. Behind each record that is no data mod_ssl says "nothing
 * now", and what was read behind that is no event of the socket: it is asked
 * again, until it got nothing of ours or, where it gets nothing of ours, until
 * a server has sent data. */
static apr_status_t ask(relay_io *io, size_t room)
{
    int more = io->inner && !io->came ? RECORDS : 0;
    unsigned gave;
    apr_status_t rv;
    do {
        gave = io->gave;
        rv = ap_get_brigade(*io->from, io->in, AP_MODE_READBYTES,
                            APR_NONBLOCK_READ, (apr_off_t)room);
    } while (APR_STATUS_IS_EAGAIN(rv) && (io->gave != gave || more-- > 0));
    return rv;
}

/* Has the filters read; false when there is nothing now. */
static bool fill(relay_io *io, size_t room)
{
    apr_status_t rv = ask(io, room);
    if (!io->judged_in && (APR_STATUS_IS_EAGAIN(rv)
                           || (rv == APR_SUCCESS
                               && APR_BRIGADE_EMPTY(io->in)))) {
        judge(io);
        if (io->below)
            rv = ask(io, room);
    }
    if (rv == APR_SUCCESS && !APR_BRIGADE_EMPTY(io->in)) {
        io->came = true;
        return true;
    }
    io->readable = false;
    if (rv == AP_FILTER_ERROR)
        io->refused = true;
    if (io->raw && APR_STATUS_IS_EOF(rv))
        io->body_done = true;
    else if (rv != APR_SUCCESS && !APR_STATUS_IS_EAGAIN(rv))
        io->gone = true;
    return false;
}

/* Moves what fits of b, a data bucket, to buf; false when it has nothing
 * now. */
static bool copy(relay_io *io, apr_bucket *b, uint8_t *buf, size_t room,
                 size_t *n)
{
    const char *p;
    apr_status_t rv = apr_bucket_read(b, &p, n, APR_NONBLOCK_READ);
    if (rv != APR_SUCCESS) {
        *n = 0;
        io->readable = false;
        io->gone = !APR_STATUS_IS_EAGAIN(rv);
        return false;
    }
    if (*n > room) {
        *n = room;
        apr_bucket_split(b, room);
    }
    memcpy(buf, p, *n);
    apr_bucket_delete(b);
    return true;
}

/* Takes the first bucket, *n bytes; false when it has nothing now. */
static bool take(relay_io *io, uint8_t *buf, size_t room, size_t *n)
{
    apr_bucket *b = APR_BRIGADE_FIRST(io->in);
    *n = 0;
    if (!APR_BUCKET_IS_METADATA(b))
        return copy(io, b, buf, room, n);
    if (APR_BUCKET_IS_EOS(b))
        io->body_done = true;
    else if (AP_BUCKET_IS_ERROR(b))
        fail(io);
    apr_bucket_delete(b);
    return true;
}

static size_t from_filters(relay_io *io, uint8_t *buf, size_t size)
{
    apr_bucket *b;
    size_t n = 0, len;
    while (n < size && !io->gone && !io->body_done) {
        if (APR_BRIGADE_EMPTY(io->in)
            && (!io->readable || !fill(io, size - n)))
            break;
        if (!take(io, buf + n, size - n, &len))
            break;
        n += len;
    }
    /* A filter may have given more than it was asked for. */
    for (b = APR_BRIGADE_FIRST(io->in); b != APR_BRIGADE_SENTINEL(io->in);
         b = APR_BUCKET_NEXT(b))
        apr_bucket_setaside(b, io->r->pool);
    return n;
}

static size_t from_socket(relay_io *io, uint8_t *buf, size_t size)
{
    long n;
    if (!io->raw && io->body_left < (apr_off_t)size)
        size = (size_t)io->body_left;
    n = relay_sock_recv(io->fd, buf, size);
    if (n > 0) {
        io->readable = (size_t)n == size;
        if (io->count_in)
            io->count_in(io->c, n);
        return (size_t)n;
    }
    io->readable = false;
    if (n == RELAY_SOCK_END && io->raw)
        io->body_done = true;
    else if (n != RELAY_SOCK_NOTHING)
        io->gone = true;
    return 0;
}

size_t relay_io_read(relay_io *io, uint8_t *buf, size_t size)
{
    size_t n;
    if (io->gone || io->body_done)
        return 0;
    if (io->direct_in)
        n = io->readable ? from_socket(io, buf, size) : 0;
    else if (io->below)
        n = relay_io_gulp_read(io, buf, size, from_filters);
    else
        n = from_filters(io, buf, size);
    if (io->raw || io->body_left < 0)
        return n;
    io->body_left -= (apr_off_t)n;
    if (io->direct_in && io->body_left == 0) {
        io->body_done = true;
        io->readable = false;
    }
    return n;
}

void relay_io_watch(relay_io *io)
{
    apr_status_t rv;
    if (io->junk || io->gone)
        return;
    rv = ap_get_brigade(io->c->input_filters, io->in, AP_MODE_SPECULATIVE,
                        APR_NONBLOCK_READ, 1);
    if (rv == APR_SUCCESS && !APR_BRIGADE_EMPTY(io->in))
        io->junk = true;
    else if (rv != APR_SUCCESS && !APR_STATUS_IS_EAGAIN(rv))
        io->gone = true;
    apr_brigade_cleanup(io->in);
}
