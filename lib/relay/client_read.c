/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client_read.c - what the client sends.
 *
 * The core's input filter reads 8,000 bytes at a time. Once the filters have
 * said "nothing now" they hold nothing, and where they are httpd's HTTP and
 * core alone the rest of the body can be read from the socket: what the HTTP
 * filter would do is to count Content-Length. They are never used again, for
 * they know nothing of what was read; the connection ends with its request.
 */
#include "relay/client_io.h"

#include <errno.h>
#include <http_protocol.h>
#include <mod_core.h>
#include <sys/socket.h>
#include <util_filter.h>

static void fail(relay_client *cl)
{
    cl->gone = true;
    cl->readable = false;
}

/* mod_logio's filter counts what passes, and can be told. */
static void judge(relay_client *cl)
{
    ap_filter_rec_t *known[] = {
        ap_http_input_filter_handle,
        ap_get_input_filter_handle("LOG_INPUT_OUTPUT"),
        ap_core_input_filter_handle
    };
    cl->judged_in = true;
    cl->direct_in = (cl->raw || cl->body_left >= 0)
        && relay_client_knows(cl, cl->r->input_filters, known, 3, "input");
}

/* Has the filters read; false when there is nothing now. */
static bool fill(relay_client *cl, size_t room)
{
    apr_status_t rv = ap_get_brigade(cl->r->input_filters, cl->in,
                                     AP_MODE_READBYTES, APR_NONBLOCK_READ,
                                     (apr_off_t)room);
    if (rv == APR_SUCCESS && !APR_BRIGADE_EMPTY(cl->in))
        return true;
    cl->readable = false;
    if (rv == AP_FILTER_ERROR)
        cl->refused = true;
    if (cl->raw && APR_STATUS_IS_EOF(rv))
        cl->body_done = true;
    else if (rv != APR_SUCCESS && !APR_STATUS_IS_EAGAIN(rv))
        cl->gone = true;
    else if (!cl->judged_in)
        judge(cl);
    return false;
}

/* Moves what fits of b, a data bucket, to buf; false when it has nothing
 * now. */
static bool copy(relay_client *cl, apr_bucket *b, uint8_t *buf, size_t room,
                 size_t *n)
{
    const char *p;
    apr_status_t rv = apr_bucket_read(b, &p, n, APR_NONBLOCK_READ);
    if (rv != APR_SUCCESS) {
        *n = 0;
        cl->readable = false;
        cl->gone = !APR_STATUS_IS_EAGAIN(rv);
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
static bool take(relay_client *cl, uint8_t *buf, size_t room, size_t *n)
{
    apr_bucket *b = APR_BRIGADE_FIRST(cl->in);
    *n = 0;
    if (!APR_BUCKET_IS_METADATA(b))
        return copy(cl, b, buf, room, n);
    if (APR_BUCKET_IS_EOS(b))
        cl->body_done = true;
    else if (AP_BUCKET_IS_ERROR(b))
        fail(cl);
    apr_bucket_delete(b);
    return true;
}

static size_t from_filters(relay_client *cl, uint8_t *buf, size_t size)
{
    apr_bucket *b;
    size_t n = 0, len;
    while (n < size && !cl->gone && !cl->body_done) {
        if (APR_BRIGADE_EMPTY(cl->in)
            && (!cl->readable || !fill(cl, size - n)))
            break;
        if (!take(cl, buf + n, size - n, &len))
            break;
        n += len;
    }
    /* A filter may have given more than it was asked for. */
    for (b = APR_BRIGADE_FIRST(cl->in); b != APR_BRIGADE_SENTINEL(cl->in);
         b = APR_BUCKET_NEXT(b))
        apr_bucket_setaside(b, cl->r->pool);
    return n;
}

static size_t from_socket(relay_client *cl, uint8_t *buf, size_t size)
{
    ssize_t n;
    if (!cl->raw && cl->body_left < (apr_off_t)size)
        size = (size_t)cl->body_left;
    do {
        n = recv(cl->fd, buf, size, MSG_DONTWAIT);
    } while (n < 0 && errno == EINTR);
    if (n > 0) {
        cl->readable = (size_t)n == size;
        if (cl->count_in)
            cl->count_in(cl->c, n);
        return (size_t)n;
    }
    cl->readable = false;
    if (n == 0 && cl->raw)
        cl->body_done = true;
    else if (n == 0 || (errno != EAGAIN && errno != EWOULDBLOCK))
        cl->gone = true;
    return 0;
}

size_t relay_client_read(relay_client *cl, uint8_t *buf, size_t size)
{
    size_t n;
    if (cl->gone || cl->body_done)
        return 0;
    if (!cl->direct_in)
        n = from_filters(cl, buf, size);
    else
        n = cl->readable ? from_socket(cl, buf, size) : 0;
    if (cl->raw || cl->body_left < 0)
        return n;
    cl->body_left -= (apr_off_t)n;
    if (cl->direct_in && cl->body_left == 0) {
        cl->body_done = true;
        cl->readable = false;
    }
    return n;
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
