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

/* Messages of TLS that are no data, in one read of the filters: a server's
 * tickets stand before its first data; who sends more waits for the others. */
#define ROUNDS 8

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
    io->readable = io->below != NULL;
}

/* Whether the filters may hold something although they said "nothing now". */
static bool may_hold(const relay_io *io)
{
    return io->below ? relay_io_gulp_waits(io) : io->inner && !io->came;
}

/* Asks the filters. Behind each message that is no data mod_ssl says "nothing
 * now", and what came behind that is no event of the socket: it is asked again
 * while something waits below it or, where that is not known, until a server
 * has sent data. *more: there may be more, but it was enough for now. */
static apr_status_t ask(relay_io *io, ap_filter_t *chain, ap_input_mode_t mode,
                        size_t room, bool *more)
{
    int left = ROUNDS;
    apr_status_t rv;
    do {
        rv = ap_get_brigade(chain, io->in, mode, APR_NONBLOCK_READ,
                            (apr_off_t)room);
    } while (APR_STATUS_IS_EAGAIN(rv) && may_hold(io) && --left > 0);
    *more = APR_STATUS_IS_EAGAIN(rv) && relay_io_gulp_waits(io);
    return rv;
}

/* Has the filters read; false when there is nothing now. */
static bool fill(relay_io *io, size_t room)
{
    bool more;
    apr_status_t rv = ask(io, *io->from, AP_MODE_READBYTES, room, &more);
    if (rv == APR_SUCCESS && !APR_BRIGADE_EMPTY(io->in)) {
        io->came = true;
        return true;
    }
    io->readable = more;
    if (rv == AP_FILTER_ERROR)
        io->refused = true;
    if (io->raw && APR_STATUS_IS_EOF(rv))
        io->body_done = true;
    else if (rv != APR_SUCCESS && !APR_STATUS_IS_EAGAIN(rv))
        io->gone = true;
    else if (!io->judged_in)
        judge(io);
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

static size_t from_gulp(relay_io *io, uint8_t *buf, size_t size)
{
    size_t n;
    (void)relay_gulp_begin(&io->gulp, size); /* else the core's filter reads */
    n = from_filters(io, buf, size);
    if (!relay_gulp_end(&io->gulp))
        fail(io);
    if (relay_gulp_is_short(&io->gulp) && !io->gone && !io->body_done)
        io->readable = true;
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
        n = from_gulp(io, buf, size);
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
    bool more;
    if (io->junk || io->gone)
        return;
    rv = ask(io, io->c->input_filters, AP_MODE_SPECULATIVE, 1, &more);
    if (rv == APR_SUCCESS && !APR_BRIGADE_EMPTY(io->in))
        io->junk = true;
    else if (rv != APR_SUCCESS && !APR_STATUS_IS_EAGAIN(rv))
        io->gone = true;
    apr_brigade_cleanup(io->in);
}
