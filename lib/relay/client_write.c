/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client_write.c - what the client is sent.
 *
 * The response's head always goes through the filters, and what comes with it.
 * Behind it, where no filter but httpd's HTTP and core stands before the
 * socket and nothing waits in them, the bytes can be written to the socket:
 * the core's filter would copy what the socket does not take, and here it stays
 * where it is.
 */
#include "relay/client_io.h"

#include <errno.h>
#include <http_protocol.h>
#include <mod_core.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <util_filter.h>

/* Bytes of a TLS record. */
#define RECORD 16384

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

/* mod_reqtimeout's output filter waits for the end of the request. */
static void judge(relay_client *cl)
{
    ap_filter_rec_t *known[] = {
        ap_content_length_filter_handle, ap_http_outerror_filter_handle,
        ap_get_output_filter_handle("reqtimeout"),
        ap_core_output_filter_handle
    };
    cl->judged_out = true;
    cl->direct_out = relay_client_knows(cl, cl->r->proto_output_filters,
                                        known, 4, "output");
}

bool relay_client_blocked(const relay_client *cl)
{
    return cl->full || cl->c->data_in_output_filters != 0;
}

void relay_client_push(relay_client *cl)
{
    ap_filter_t *f = cl->c->output_filters;
    cl->full = false;
    if (!cl->c->data_in_output_filters)
        return;
    while (f->next)
        f = f->next;
    if (f->frec->filter_func.out_func(f, NULL) != APR_SUCCESS
        || cl->c->aborted)
        cl->gone = true;
}

/* Gives what was collected to the filters. */
static void pass(relay_client *cl)
{
    apr_status_t rv;
    APR_BRIGADE_INSERT_TAIL(cl->out, nudge_create(cl->c->bucket_alloc));
    rv = ap_pass_brigade(cl->r->proto_output_filters, cl->out);
    apr_brigade_cleanup(cl->out);
    cl->passed = true;
    if (rv != APR_SUCCESS || cl->c->aborted)
        cl->gone = true;
    else
        relay_client_push(cl);
}

static size_t sum(const struct iovec *v, int n)
{
    size_t len = 0;
    int i;
    for (i = 0; i < n; i++)
        len += v[i].iov_len;
    return len;
}

/* mod_ssl writes each of its records by itself; while corked they leave as one
 * segment where that is large enough, and wake their receiver once. */
static void cork(const relay_client *cl, int on)
{
#ifdef TCP_CORK
    setsockopt(cl->fd, IPPROTO_TCP, TCP_CORK, &on, sizeof(on));
#endif
}

/* Brigades of at most batch bytes. The filters copy what they keep. */
static long to_filters(relay_client *cl, const struct iovec *v, int n)
{
    size_t room = cl->batch, at = 0, len;
    bool many = sum(v, n) > RECORD;
    long taken = 0;
    int i = 0;
    if (many)
        cork(cl, 1);
    while (i < n && !cl->gone && !relay_client_blocked(cl)) {
        len = v[i].iov_len - at;
        len = len < room ? len : room;
        APR_BRIGADE_INSERT_TAIL(cl->out, apr_bucket_transient_create(
            (const char *)v[i].iov_base + at, len, cl->c->bucket_alloc));
        taken += (long)len;
        at += len;
        room -= len;
        if (at == v[i].iov_len) {
            at = 0;
            i++;
        }
        if (room == 0 || i == n) {
            pass(cl);
            room = cl->batch;
        }
    }
    if (many)
        cork(cl, 0);
    return cl->gone ? -1 : taken;
}

static long to_socket(relay_client *cl, const struct iovec *v, int n)
{
    struct msghdr m;
    ssize_t sent;
    memset(&m, 0, sizeof(m));
    m.msg_iov = (struct iovec *)(uintptr_t)v;
    m.msg_iovlen = (size_t)n;
    do {
        sent = sendmsg(cl->fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    if (sent < 0 && errno != EAGAIN && errno != EWOULDBLOCK) {
        cl->gone = true;
        return -1;
    }
    cl->full = sent < (ssize_t)sum(v, n);
    if (sent <= 0)
        return 0;
    cl->r->bytes_sent += sent;
    if (cl->count_out)
        cl->count_out(cl->c, sent);
    return (long)sent;
}

long relay_client_write(relay_client *cl, const struct iovec *v, int n)
{
    if (cl->gone || cl->c->aborted)
        return -1;
    if (relay_client_blocked(cl))
        return 0;
    if (cl->passed && !cl->judged_out)
        judge(cl);
    return cl->direct_out ? to_socket(cl, v, n) : to_filters(cl, v, n);
}

void relay_client_head(relay_client *cl)
{
    if (!cl->passed && !cl->gone)
        pass(cl);
}
