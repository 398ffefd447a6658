/* SPDX-License-Identifier: Apache-2.0 */
/* sock.c - sending and receiving on a stream socket without ever waiting */
#include "relay/sock.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

static bool later(void)
{
    return errno == EAGAIN || errno == EWOULDBLOCK;
}

#define FLAGS (MSG_DONTWAIT | MSG_NOSIGNAL)

long relay_sock_send(int fd, const struct iovec *v, int n)
{
    struct msghdr m;
    ssize_t sent;
    memset(&m, 0, sizeof(m));
    m.msg_iov = (struct iovec *)(uintptr_t)v;
    m.msg_iovlen = (size_t)n;
    do {
        /* One piece, as nearly always, costs less without a header. */
        sent = n == 1 ? send(fd, v->iov_base, v->iov_len, FLAGS)
                      : sendmsg(fd, &m, FLAGS);
    } while (sent < 0 && errno == EINTR);
    if (sent >= 0)
        return (long)sent;
    return later() ? 0 : -1;
}

long relay_sock_recv(int fd, void *buf, size_t size)
{
    ssize_t n;
    do {
        n = recv(fd, buf, size, MSG_DONTWAIT);
    } while (n < 0 && errno == EINTR);
    if (n > 0)
        return (long)n;
    if (n == 0)
        return RELAY_SOCK_END;
    return later() ? RELAY_SOCK_NOTHING : RELAY_SOCK_BROKEN;
}

size_t relay_sock_total(const struct iovec *v, int n)
{
    size_t bytes = 0;
    int i;
    for (i = 0; i < n; i++)
        bytes += v[i].iov_len;
    return bytes;
}
