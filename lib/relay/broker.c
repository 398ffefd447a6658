/* SPDX-License-Identifier: Apache-2.0 */
/*
 * broker.c - the listening socket of this child and the greetings of those
 * who come to it.
 *
 * A caller that follows the protocol has said everything before it is
 * accepted, and stays here for one round. Only those that have not are kept,
 * a bounded number for a bounded time; the oldest of them goes when another
 * needs its place, so that silence cannot keep a caller out.
 */
#include "relay/broker.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <apr_strings.h>

#include "relay/clock.h"

#define BACKLOG 128

/* Callers accepted between two looks at the clock. */
#define ACCEPTS_AT_ONCE 64

/* How long nobody is accepted when descriptors are short, ms. */
#define ACCEPT_PAUSE 100

/* A caller that has not said JOIN, ATTACH or WAKE yet. */
typedef struct greeting {
    relay_link link;
    rpch_msec deadline;
    bool hello; /* was said */
} greeting;

struct relay_broker {
    int listener;
    int interrupt_fd;
    rpch_msec accept_from; /* not before: descriptors were short */
    relay_registry *registry;
    char *path;
    int n; /* greetings, the oldest first */
    greeting greeting[RELAY_BROKER_GREETING_MAX];
};

apr_status_t relay_broker_path(const char *dir, const relay_owner *owner,
                               char *out, size_t room)
{
    struct sockaddr_un un;
    int n = snprintf(out, room, "%s/%lu-%016llx", dir,
                     (unsigned long)owner->pid,
                     (unsigned long long)owner->nonce);
    if (n < 0 || (size_t)n >= room || (size_t)n >= sizeof(un.sun_path)) {
        return APR_ENAMETOOLONG;
    }
    return APR_SUCCESS;
}

static apr_status_t destroy(void *data)
{
    relay_broker *b = data;
    relay_broker_unlink(b);
    while (b->n > 0) {
        relay_link_close(&b->greeting[--b->n].link);
    }
    if (b->listener >= 0) {
        close(b->listener);
    }
    close(b->interrupt_fd);
    return APR_SUCCESS;
}

static apr_status_t listen_at(int fd, const char *path)
{
    struct sockaddr_un un;
    memset(&un, 0, sizeof(un));
    un.sun_family = AF_UNIX;
    apr_cpystrn(un.sun_path, path, sizeof(un.sun_path));
    if (bind(fd, (struct sockaddr *)&un, sizeof(un))) {
        return errno;
    }
    /* Before listen nobody can connect: there is no moment of wider modes. */
    if (chmod(path, 0600) || listen(fd, BACKLOG)) {
        apr_status_t rv = errno;
        unlink(path);
        return rv;
    }
    return APR_SUCCESS;
}

static apr_status_t open_listener(relay_broker *b, const char *path)
{
    apr_status_t rv;
    b->listener = socket(AF_UNIX,
                         SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    rv = b->listener < 0 ? errno : listen_at(b->listener, path);
    if (rv != APR_SUCCESS && b->listener >= 0) {
        close(b->listener);
    }
    return rv;
}

apr_status_t relay_broker_create(relay_broker **out, const char *dir,
                                 const relay_owner *self,
                                 relay_registry *registry, apr_pool_t *pool)
{
    char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
    relay_broker *b = apr_pcalloc(pool, sizeof(*b));
    apr_status_t rv = APR_SUCCESS;
    if (dir) {
        rv = relay_broker_path(dir, self, path, sizeof(path));
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    b->registry = registry;
    b->listener = -1;
    b->interrupt_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (b->interrupt_fd < 0) {
        return errno;
    }
    if (dir) {
        b->path = apr_pstrdup(pool, path);
        rv = open_listener(b, path);
    }
    if (rv != APR_SUCCESS) {
        close(b->interrupt_fd);
        return rv;
    }
    apr_pool_cleanup_register(pool, b, destroy, apr_pool_cleanup_null);
    *out = b;
    return APR_SUCCESS;
}

/* The directory keeps others out; this holds even where it does not. */
static bool same_user(int fd)
{
    struct ucred peer;
    socklen_t len = sizeof(peer);
    return !getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len)
           && (peer.uid == geteuid() || peer.uid == 0);
}

static void forget(relay_broker *b, int i)
{
    b->n--;
    memmove(&b->greeting[i], &b->greeting[i + 1],
            (size_t)(b->n - i) * sizeof(b->greeting[0]));
}

/* Hands the caller of link over to the channel it asks for, or says why not;
 * the socket is not the broker's any more. */
static void hand_over(relay_broker *b, relay_link *link, const relay_msg *m)
{
    relay_msg no;
    if (relay_registry_deliver(b->registry, m->channel, link->fd, m)) {
        link->fd = -1;
        return;
    }
    memset(&no, 0, sizeof(no));
    no.type = RELAY_MSG_REFUSE;
    no.status = RPCH_E_CLOSED;
    apr_cpystrn(no.text, "that channel is gone or takes no more links",
                sizeof(no.text));
    relay_link_send(link, &no, -1);
    relay_link_close(link);
}

/* Reads what the caller says; false when the broker is done with it, and its
 * socket closed or handed over. */
static bool hear(relay_broker *b, greeting *g)
{
    uint8_t room[RELAY_MSG_SIZE_MAX];
    relay_msg m;
    int fd;
    apr_status_t rv;
    while ((rv = relay_link_recv(&g->link, room, &m, &fd)) == APR_SUCCESS) {
        if (fd >= 0) {
            /* No greeting brings one. */
            close(fd);
            break;
        }
        if (!g->hello) {
            if (m.type != RELAY_MSG_HELLO) {
                break;
            }
            g->hello = true;
        }
        else if (m.type == RELAY_MSG_JOIN || m.type == RELAY_MSG_ATTACH) {
            hand_over(b, &g->link, &m);
            return false;
        }
        else {
            if (m.type == RELAY_MSG_WAKE) {
                relay_registry_wake(b->registry, m.channel);
            }
            break;
        }
    }
    if (APR_STATUS_IS_EAGAIN(rv)) {
        return true;
    }
    relay_link_close(&g->link);
    return false;
}

/* A caller came in: hears it at once, keeps it when it has more to say. */
static void welcome(relay_broker *b, int fd)
{
    greeting *g;
    if (!same_user(fd)) {
        close(fd);
        return;
    }
    if (b->n == RELAY_BROKER_GREETING_MAX) {
        relay_link_close(&b->greeting[0].link);
        forget(b, 0);
    }
    g = &b->greeting[b->n];
    relay_link_init(&g->link);
    relay_link_adopt(&g->link, fd);
    g->hello = false;
    g->deadline = relay_now() + RELAY_BROKER_GREETING_MSEC;
    if (hear(b, g)) {
        b->n++;
    }
}

static void accept_all(relay_broker *b)
{
    int i;
    for (i = 0; i < ACCEPTS_AT_ONCE; i++) {
        int fd = accept4(b->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd >= 0) {
            welcome(b, fd);
        }
        else if (errno != EINTR && errno != ECONNABORTED) {
            if (errno != EAGAIN && errno != EWOULDBLOCK) {
                /* The listener stays readable: without a pause this would
                 * spin until somebody gives descriptors back. */
                b->accept_from = relay_now() + ACCEPT_PAUSE;
            }
            break;
        }
    }
}

/* Hears those of the n polled greetings that said something, and drops those
 * whose time is over. */
static void hear_all(relay_broker *b, const struct pollfd *pfd, int n,
                     rpch_msec now)
{
    int i;
    for (i = n - 1; i >= 0; i--) {
        greeting *g = &b->greeting[i];
        if (pfd[i].revents && !hear(b, g)) {
            forget(b, i);
        }
        else if (g->deadline <= now) {
            relay_link_close(&g->link);
            forget(b, i);
        }
    }
}

static bool interrupted(relay_broker *b, short revents)
{
    uint64_t rung;
    return revents && read(b->interrupt_fd, &rung, sizeof(rung)) > 0;
}

/* One poll until deadline; true when interrupted. */
static bool serve_once(relay_broker *b, rpch_msec deadline, int cap)
{
    struct pollfd pfd[2 + RELAY_BROKER_GREETING_MAX];
    rpch_msec now = relay_now();
    bool pausing = b->accept_from > now;
    int n = b->n;
    int i;
    pfd[0].fd = b->interrupt_fd;
    pfd[1].fd = pausing ? -1 : b->listener;
    for (i = 0; i < n; i++) {
        pfd[2 + i].fd = b->greeting[i].link.fd;
    }
    for (i = 0; i < 2 + n; i++) {
        pfd[i].events = POLLIN;
        pfd[i].revents = 0;
    }
    if (n > 0 && b->greeting[0].deadline < deadline) {
        deadline = b->greeting[0].deadline;
    }
    if (pausing && b->accept_from < deadline) {
        deadline = b->accept_from;
    }
    if (poll(pfd, (nfds_t)(2 + n), relay_poll_timeout(deadline, now, cap))
        < 0) {
        return false;
    }
    hear_all(b, pfd + 2, n, relay_now());
    if (pfd[1].revents) {
        accept_all(b);
    }
    return interrupted(b, pfd[0].revents);
}

void relay_broker_serve(relay_broker *b, int max_msec)
{
    rpch_msec end = relay_now() + (rpch_msec)(max_msec > 0 ? max_msec : 0);
    bool stop;
    do {
        stop = serve_once(b, end, max_msec);
    } while (!stop && relay_now() < end);
}

void relay_broker_interrupt(relay_broker *b)
{
    const uint64_t one = 1;
    int saved = errno;
    if (write(b->interrupt_fd, &one, sizeof(one)) < 0) {
        /* The counter is full, so the broker is awake already. */
    }
    errno = saved;
}

void relay_broker_unlink(relay_broker *b)
{
    int saved = errno;
    if (b->path) {
        unlink(b->path);
    }
    errno = saved;
}

void relay_broker_wake(const char *dir, const relay_owner *self,
                       const relay_owner *owner, const rpch_cookie *vc)
{
    char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
    relay_link link;
    relay_msg m;
    if (relay_broker_path(dir, owner, path, sizeof(path)) != APR_SUCCESS) {
        return;
    }
    relay_link_init(&link);
    if (relay_link_connect(&link, path) != APR_SUCCESS) {
        return;
    }
    memset(&m, 0, sizeof(m));
    m.type = RELAY_MSG_HELLO;
    m.nonce = self->nonce;
    m.pid = self->pid;
    if (relay_link_send(&link, &m, -1) == APR_SUCCESS) {
        memset(&m, 0, sizeof(m));
        m.type = RELAY_MSG_WAKE;
        m.vc = *vc;
        m.channel = owner->channel;
        relay_link_send(&link, &m, -1);
    }
    relay_link_close(&link);
}
