/* SPDX-License-Identifier: Apache-2.0 */
/* load_sock.c - a TCP connection of rpch-load, with TLS or without */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* IP_BIND_ADDRESS_NO_PORT */
#endif
#include "load_sock.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

/* One TLS record. */
#define RECORD 16384u

/* OpenSSL's read buffer while there is something in it. */
#define READ_AHEAD 65536u

#define PIECES_MAX (1 + 2 * LOAD_BATCH_ITEMS)

SSL_CTX *load_tls_new(const char *ca)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());

    if (ctx == NULL)
        return NULL;
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS
                          | SSL_MODE_ENABLE_PARTIAL_WRITE
                          | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_options(ctx, SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_read_ahead(ctx, 1);
    SSL_CTX_set_default_read_buffer_len(ctx, READ_AHEAD);
    if (ca == NULL)
        return ctx;
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    if (SSL_CTX_load_verify_locations(ctx, ca, NULL) == 1)
        return ctx;
    SSL_CTX_free(ctx);
    return NULL;
}

static void ready(load_source *source, uint32_t events)
{
    load_sock *s = (load_sock *)source;

    if (s->fd < 0)
        return;
    if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
        s->hup = true;
    if (s->hup || s->crossed || (events & EPOLLIN))
        s->readable = true;
    if (s->crossed || (events & (EPOLLOUT | EPOLLHUP | EPOLLERR)))
        s->writable = true;
    s->crossed = false;
    s->changed(s);
}

static bool start(load_sock *s, load_loop *loop, int fd)
{
    int on = 1;

    s->source.ready = ready;
    s->loop = loop;
    s->fd = fd;
    s->watched = s->connecting;
    s->writable = !s->connecting;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    return load_loop_watch(loop, fd, &s->source, s->watched);
}

static void watch_output(load_sock *s, bool wanted)
{
    if (s->watched != wanted
        && load_loop_change(s->loop, s->fd, &s->source, wanted))
        s->watched = wanted;
}

static bool bind_source(int fd, const load_place *place)
{
    struct sockaddr_in from;
    int on = 1;

    if (place->source.s_addr == 0)
        return true;
    memset(&from, 0, sizeof(from));
    from.sin_family = AF_INET;
    from.sin_addr = place->source;
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
    return bind(fd, (struct sockaddr *)&from, sizeof(from)) == 0;
}

static bool start_tls(load_sock *s, const load_place *place)
{
    s->ssl = SSL_new(place->tls);
    if (s->ssl == NULL)
        return false;
    if (place->name != NULL)
        SSL_set_tlsext_host_name(s->ssl, place->name);
    SSL_set_connect_state(s->ssl);
    return SSL_set_fd(s->ssl, s->fd) == 1;
}

bool load_sock_open(load_sock *s, load_loop *loop, const load_place *place)
{
    int saved;

    s->connecting = true;
    s->fd = socket(place->to.ss_family,
                   SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (s->fd >= 0 && bind_source(s->fd, place)
        && (connect(s->fd, (const struct sockaddr *)&place->to,
                    place->to_len) == 0 || errno == EINPROGRESS)
        && (place->tls == NULL || start_tls(s, place))
        && start(s, loop, s->fd))
        return true;
    saved = errno;
    load_sock_close(s);
    errno = saved;
    return false;
}

bool load_sock_accept(load_sock *s, load_loop *loop, int fd)
{
    if (start(s, loop, fd))
        return true;
    load_sock_close(s);
    return false;
}

static void break_off(load_sock *s, int error)
{
    s->broken = true;
    s->error = error;
    s->readable = s->writable = false;
}

/* What a call of OpenSSL that did not do all it could means; false when the
 * connection is of no use any more. */
static bool take_tls_error(load_sock *s, int rv, bool reads)
{
    int saved = errno;

    switch (SSL_get_error(s->ssl, rv)) {
    case SSL_ERROR_WANT_READ:
        s->readable = false;
        s->crossed = s->crossed || !reads;
        s->writable = s->writable && reads;
        return true;
    case SSL_ERROR_WANT_WRITE:
        s->writable = false;
        s->crossed = s->crossed || reads;
        watch_output(s, true);
        s->readable = s->readable && !reads;
        return true;
    case SSL_ERROR_ZERO_RETURN:
        s->eof = true;
        s->readable = false;
        return true;
    case SSL_ERROR_SYSCALL:
        break_off(s, saved);
        return false;
    default:
        break_off(s, 0);
        return false;
    }
}

static int advance_tls(load_sock *s)
{
    int rv;

    s->handshake = true;
    ERR_clear_error();
    rv = SSL_do_handshake(s->ssl);
    if (rv == 1) {
        s->handshake = s->connecting = false;
        s->readable = s->writable = true;
        watch_output(s, false);
        return 1;
    }
    if (!take_tls_error(s, rv, true) || s->eof) {
        s->broken = true;
        return -1;
    }
    s->crossed = true; /* any event is a reason to go on */
    return 0;
}

int load_sock_advance(load_sock *s)
{
    int error = 0;
    socklen_t len = sizeof(error);

    if (!s->connecting)
        return s->broken ? -1 : 1;
    if (!s->handshake) {
        if (!s->writable)
            return 0;
        if (getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0)
            error = errno;
        if (error != 0) {
            break_off(s, error);
            return -1;
        }
    }
    if (s->ssl != NULL)
        return advance_tls(s);
    s->connecting = false;
    watch_output(s, false);
    return 1;
}

static ssize_t read_tls(load_sock *s, uint8_t *out, size_t room)
{
    size_t n = 0;
    int rv;

    while (n < room && s->readable) {
        ERR_clear_error();
        rv = SSL_read(s->ssl, out + n, (int)(room - n));
        if (rv > 0)
            n += (size_t)rv;
        else if (!take_tls_error(s, rv, true))
            return n > 0 ? (ssize_t)n : -1;
    }
    return (ssize_t)n;
}

ssize_t load_sock_read(load_sock *s, uint8_t *out, size_t room)
{
    ssize_t n;

    if (s->broken)
        return -1;
    if (!s->readable)
        return 0;
    if (s->ssl != NULL)
        return read_tls(s, out, room);
    do {
        n = recv(s->fd, out, room, 0);
    } while (n < 0 && errno == EINTR);
    if (n > 0) {
        /* less than there was room for: that was all */
        s->readable = s->hup || (size_t)n == room;
        return n;
    }
    s->readable = false;
    if (n == 0) {
        s->eof = true;
        return 0;
    }
    if (errno == EAGAIN || errno == EWOULDBLOCK)
        return 0;
    break_off(s, errno);
    return -1;
}

load_batch *load_sock_batch(load_sock *s)
{
    if (s->batch == NULL)
        s->batch = load_batch_new();
    return s->batch;
}

static ssize_t write_plain(load_sock *s)
{
    struct iovec iov[PIECES_MAX];
    struct msghdr msg;
    ssize_t n;

    memset(&msg, 0, sizeof(msg));
    msg.msg_iov = iov;
    msg.msg_iovlen = (size_t)load_batch_pieces(s->batch, iov, PIECES_MAX);
    do {
        n = sendmsg(s->fd, &msg, MSG_NOSIGNAL);
    } while (n < 0 && errno == EINTR);
    if (n >= 0) {
        s->writable = (size_t)n == s->batch->left; /* less: it is full */
        return n;
    }
    if (errno != EAGAIN && errno != EWOULDBLOCK)
        break_off(s, errno);
    s->writable = false;
    return 0;
}

/* What was not taken is offered again byte by byte the same: a batch that has
 * begun does not change. */
static ssize_t write_tls(load_sock *s)
{
    static uint8_t record[RECORD];
    size_t len = load_batch_copy(s->batch, record, sizeof(record));
    int rv;

    ERR_clear_error();
    rv = SSL_write(s->ssl, record, (int)len);
    if (rv > 0)
        return rv;
    if (take_tls_error(s, rv, false) && s->eof)
        s->writable = false;
    return 0;
}

bool load_sock_flush(load_sock *s)
{
    ssize_t n;

    if (s->batch == NULL)
        return true;
    while (s->batch->left > 0 && s->writable && !s->connecting
           && !s->broken) {
        n = s->ssl != NULL ? write_tls(s) : write_plain(s);
        load_batch_sent(s->batch, (size_t)n);
    }
    if (s->batch->left > 0 && !s->connecting && !s->broken)
        watch_output(s, true); /* for good: it may well happen again */
    if (s->batch->left > 0)
        return false;
    load_batch_free(s->batch);
    s->batch = NULL;
    return true;
}

bool load_sock_waits(const load_sock *s)
{
    return s->batch != NULL;
}

void load_sock_shutdown(load_sock *s)
{
    if (s->ssl != NULL)
        SSL_shutdown(s->ssl);
    shutdown(s->fd, SHUT_WR);
}

void load_sock_close(load_sock *s)
{
    load_batch_free(s->batch);
    s->batch = NULL;
    if (s->ssl != NULL) {
        if (!s->connecting && !s->broken) {
            ERR_clear_error();
            SSL_shutdown(s->ssl);
        }
        SSL_free(s->ssl);
        s->ssl = NULL;
    }
    if (s->fd >= 0)
        close(s->fd);
    s->fd = -1;
}
