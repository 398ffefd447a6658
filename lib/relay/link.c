/* SPDX-License-Identifier: Apache-2.0 */
/* link.c - ordered messages between two channels over a Unix SEQPACKET
 * socket, with descriptors passed along */
#include "relay/link.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "relay/poller.h"

/* Room for descriptors that a datagram may bring. More than the one we use,
 * so that a surplus is seen and closed by us; what does not even fit here is
 * closed by the kernel, which says so with MSG_CTRUNC. Even, so that
 * CMSG_SPACE rounds up to no further one. */
#define FDS_MAX 8

typedef union control {
    struct cmsghdr align;
    char room[CMSG_SPACE(sizeof(int) * FDS_MAX)];
} control;

static void set_nonblocking(int fd)
{
    int flags = fcntl(fd, F_GETFL);
    if (flags >= 0 && !(flags & O_NONBLOCK))
        fcntl(fd, F_SETFL, flags | O_NONBLOCK);
}

void relay_link_init(relay_link *l)
{
    memset(l, 0, sizeof(*l));
    l->fd = -1;
}

void relay_link_adopt(relay_link *l, int fd)
{
    set_nonblocking(fd);
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    l->fd = fd;
}

apr_status_t relay_link_connect(relay_link *l, const char *path)
{
    struct sockaddr_un sun;
    size_t n = strlen(path);
    apr_status_t rv;
    int fd;

    memset(&sun, 0, sizeof(sun));
    sun.sun_family = AF_UNIX;
    if (n == 0)
        return APR_EINVAL;
    if (n >= sizeof(sun.sun_path))
        return APR_ENAMETOOLONG;
    memcpy(sun.sun_path, path, n);
    fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return APR_FROM_OS_ERROR(errno);
    if (connect(fd, (struct sockaddr *)&sun, sizeof(sun)) != 0) {
        rv = APR_FROM_OS_ERROR(errno);
        close(fd);
        return rv;
    }
    l->fd = fd;
    return APR_SUCCESS;
}

static apr_status_t error_of(int error)
{
    switch (error) {
    case EAGAIN:
        return APR_EAGAIN;
    case EPIPE:
    case ECONNRESET:
    case ENOTCONN:
        return APR_EOF;
    default:
        return APR_FROM_OS_ERROR(error);
    }
}

apr_status_t relay_link_send(relay_link *l, const relay_msg *m, int pass_fd)
{
    uint8_t out[RELAY_MSG_SIZE_MAX];
    struct iovec iov = { out, 0 };
    struct msghdr mh;
    control c;
    ssize_t n;

    if (l->fd < 0)
        return APR_EOF;
    if (relay_msg_encode(m, out, sizeof(out), &iov.iov_len) != RPCH_OK)
        return APR_EINVAL;
    memset(&mh, 0, sizeof(mh));
    mh.msg_iov = &iov;
    mh.msg_iovlen = 1;
    if (pass_fd >= 0) {
        memset(&c, 0, sizeof(c));
        c.align.cmsg_level = SOL_SOCKET;
        c.align.cmsg_type = SCM_RIGHTS;
        c.align.cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(&c.align), &pass_fd, sizeof(int));
        mh.msg_control = &c;
        mh.msg_controllen = CMSG_SPACE(sizeof(int));
    }
    do {
        n = sendmsg(l->fd, &mh, MSG_NOSIGNAL | MSG_DONTWAIT);
    } while (n < 0 && errno == EINTR);
    return n < 0 ? error_of(errno) : APR_SUCCESS;
}

/* Collects the descriptors of mh in fds[0..FDS_MAX); returns how many. */
static int take_fds(struct msghdr *mh, int *fds)
{
    struct cmsghdr *c;
    int n = 0;

    for (c = CMSG_FIRSTHDR(mh); c; c = CMSG_NXTHDR(mh, c)) {
        size_t here = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        size_t i;
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        for (i = 0; i < here && n < FDS_MAX; i++)
            memcpy(&fds[n++], CMSG_DATA(c) + i * sizeof(int), sizeof(int));
    }
    return n;
}

static ssize_t receive(relay_link *l, struct msghdr *mh)
{
    ssize_t n;
    bool reset = false;

    for (;;) {
        n = recvmsg(l->fd, mh, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
        if (n >= 0)
            return n;
        if (errno == EINTR)
            continue;
        /* A peer that closed with unread messages of ours is reported once,
         * ahead of what it sent before: its END is still to come. */
        if (errno == ECONNRESET && !reset) {
            reset = true;
            continue;
        }
        return n;
    }
}

apr_status_t relay_link_recv(relay_link *l, uint8_t *room, relay_msg *m,
                             int *fd)
{
    struct iovec iov = { room, RELAY_MSG_SIZE_MAX };
    struct msghdr mh;
    control c;
    const char *reason;
    int fds[FDS_MAX];
    int nfds;
    ssize_t n;

    *fd = -1;
    if (l->fd < 0)
        return APR_EOF;
    memset(&mh, 0, sizeof(mh));
    mh.msg_iov = &iov;
    mh.msg_iovlen = 1;
    mh.msg_control = &c;
    mh.msg_controllen = sizeof(c);
    n = receive(l, &mh);
    if (n < 0)
        return error_of(errno);
    nfds = take_fds(&mh, fds);
    if (n > 0 && nfds <= 1 && !(mh.msg_flags & (MSG_TRUNC | MSG_CTRUNC))
        && relay_msg_decode(room, (size_t)n, m, &reason) == RPCH_OK) {
        if (nfds == 1) {
            set_nonblocking(fds[0]);
            *fd = fds[0];
        }
        return APR_SUCCESS;
    }
    while (nfds > 0)
        close(fds[--nfds]);
    return n == 0 ? APR_EOF : APR_EINVAL;
}

void relay_link_close(relay_link *l)
{
    if (l->fd >= 0)
        relay_fd_close(l->fd);
    l->fd = -1;
}
