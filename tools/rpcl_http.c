/* SPDX-License-Identifier: Apache-2.0 */
/* rpcl_http.c - one HTTP request of rpch-client, 2.1.2.1 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* memmem */
#endif
#include "rpcl_http.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "rpcl_head.h"

#define HEAD_MAX 16384u
#define READ_MAX 65536u

/* user:password in Base64, room bytes; false when it does not fit. */
static bool basic(const rpcl_target *t, char *out, size_t room)
{
    static const char digit[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                "abcdefghijklmnopqrstuvwxyz0123456789+/";
    char plain[RPCL_LINE_MAX];
    size_t i, n = 0;
    int len = snprintf(plain, sizeof(plain), "%s:%s", t->user,
                       t->password != NULL ? t->password : "");

    if (len < 0 || (size_t)len >= sizeof(plain) || (size_t)len * 2 > room)
        return false;
    for (i = 0; i < (size_t)len; i += 3) {
        size_t left = (size_t)len - i;
        uint32_t v = (uint32_t)(uint8_t)plain[i] << 16;

        if (left > 1)
            v |= (uint32_t)(uint8_t)plain[i + 1] << 8;
        if (left > 2)
            v |= (uint8_t)plain[i + 2];
        out[n++] = digit[v >> 18];
        out[n++] = digit[v >> 12 & 63];
        out[n++] = left > 1 ? digit[v >> 6 & 63] : '=';
        out[n++] = left > 2 ? digit[v & 63] : '=';
    }
    out[n] = '\0';
    return true;
}

static bool put_head(rpcl_http *h, const char *host, const rpcl_target *t,
                     bool is_in, uint64_t length)
{
    char auth[2 * RPCL_LINE_MAX] = "", head[4096];
    int n;

    if (t->user != NULL && !basic(t, auth, sizeof(auth))) {
        errno = ENAMETOOLONG;
        return false;
    }
    n = snprintf(head, sizeof(head),
                 "%s %s?%s HTTP/1.1\r\n"
                 "Cache-Control: no-cache\r\n"
                 "Connection: Keep-Alive\r\n"
                 "Pragma: No-cache\r\n"
                 "Accept: application/rpc\r\n"
                 "User-Agent: MSRPC\r\n"
                 "Host: %s\r\n"
                 "%s%s%s"
                 "Content-Length: %llu\r\n\r\n",
                 is_in ? "RPC_IN_DATA" : "RPC_OUT_DATA", t->url, t->server,
                 host, auth[0] != '\0' ? "Authorization: Basic " : "", auth,
                 auth[0] != '\0' ? "\r\n" : "", (unsigned long long)length);
    if (n < 0 || (size_t)n >= sizeof(head)) {
        errno = ENAMETOOLONG;
        return false;
    }
    if (rpcd_buf_add(&h->to_send, head, (size_t)n))
        return true;
    errno = ENOMEM;
    return false;
}

static bool start_connect(rpcl_http *h, const struct addrinfo *ai)
{
    int on = 1;

    for (; ai != NULL; ai = ai->ai_next) {
        h->fd = socket(ai->ai_family,
                       SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (h->fd < 0)
            continue;
        setsockopt(h->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        h->connecting = true;
        if (connect(h->fd, ai->ai_addr, ai->ai_addrlen) == 0
            || errno == EINPROGRESS)
            return true;
        close(h->fd);
        h->fd = -1;
    }
    return false;
}

bool rpcl_http_open(rpcl_http *h, const struct addrinfo *ai, const char *host,
                    const rpcl_target *t, bool is_in, uint64_t length)
{
    memset(h, 0, sizeof(*h));
    h->fd = -1;
    if (start_connect(h, ai) && put_head(h, host, t, is_in, length))
        return true;
    rpcl_http_close(h);
    return false;
}

/* The socket is writable for the first time: connected, or not. */
static bool is_connected(rpcl_http *h)
{
    int error = 0;
    socklen_t len = sizeof(error);

    if (getsockopt(h->fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0)
        return false;
    h->connecting = error != 0;
    errno = error;
    return error == 0;
}

long rpcl_http_send(rpcl_http *h)
{
    long sent = 0;

    if (h->connecting && !is_connected(h))
        return -1;
    while (rpcd_buf_len(&h->to_send) > 0) {
        ssize_t n = send(h->fd, rpcd_buf_data(&h->to_send),
                         rpcd_buf_len(&h->to_send), MSG_NOSIGNAL);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno == EAGAIN || errno == ENOTCONN ? sent : -1;
        rpcd_buf_drop(&h->to_send, (size_t)n);
        sent += n;
    }
    return sent;
}

/* Reads the head once all of it is there. False: this is not HTTP. */
static bool take_head(rpcl_http *h)
{
    const uint8_t *p = rpcd_buf_data(&h->got);
    size_t len = rpcd_buf_len(&h->got);
    const uint8_t *end = len > 0 ? memmem(p, len, "\r\n\r\n", 4) : NULL;
    char head[HEAD_MAX + 1];
    const char *length;
    size_t n;

    if (end == NULL)
        return len < HEAD_MAX;
    n = (size_t)(end - p) + 4;
    if (n > HEAD_MAX)
        return false;
    memcpy(head, p, n);
    head[n] = '\0';
    rpcd_buf_drop(&h->got, n);
    snprintf(h->line, sizeof(h->line), "%.*s", (int)strcspn(head, "\r\n"),
             head);
    if (sscanf(head, "HTTP/%*d.%*d %d", &h->status) != 1 || h->status < 100)
        return false;
    length = rpcl_head_field(head, "Content-Length");
    h->body_left = length != NULL ? strtoull(length, NULL, 10) : 0;
    return true;
}

/* Counts n more bytes of the body, if it has begun. */
static bool take_body(rpcl_http *h, size_t n)
{
    if (h->status == 0) {
        if (!take_head(h))
            return false;
        n = h->status != 0 ? rpcd_buf_len(&h->got) : 0;
    }
    if (h->status != 200) /* what it says has no meaning for us */
        return true;
    if (n > h->body_left)
        return false;
    h->body_left -= n;
    return true;
}

long rpcl_http_read(rpcl_http *h)
{
    static uint8_t b[READ_MAX];
    ssize_t n = recv(h->fd, b, sizeof(b), 0);

    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : -1;
    if (n == 0) {
        h->eof = true;
        return 0;
    }
    if (!rpcd_buf_add(&h->got, b, (size_t)n)) {
        errno = ENOMEM;
        return -1;
    }
    if (!take_body(h, (size_t)n)) {
        errno = EPROTO;
        return -1;
    }
    return n;
}

int rpcl_http_detach(rpcl_http *h)
{
    int fd = h->fd;

    rpcd_buf_free(&h->to_send);
    rpcd_buf_free(&h->got);
    memset(h, 0, sizeof(*h));
    h->fd = -1;
    return fd;
}

void rpcl_http_close(rpcl_http *h)
{
    int fd = rpcl_http_detach(h), saved = errno;

    if (fd >= 0)
        close(fd);
    errno = saved;
}
