/* SPDX-License-Identifier: Apache-2.0 */
/* connector.c - resolves and connects, one address after another */
#include "relay/connector.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "relay/poller.h"

/* Of a part of the machine to the loop in step: something failed and is
 * noted, go on with what comes next. */
#define GO_ON 2

void relay_connector_init(relay_connector *c, relay_resolver *resolver,
                          const relay_candidate *to, int n,
                          const relay_addr *prefer, const relay_waker *waker,
                          rpch_msec deadline)
{
    memset(c, 0, sizeof(*c));
    c->resolver = resolver;
    c->to = to;
    c->n = n;
    c->waker = *waker;
    c->deadline = deadline;
    c->try_deadline = deadline;
    c->fd = -1;
    if (prefer && prefer->len > 0) {
        c->prefer = *prefer;
        c->preferring = true;
    }
}

static void set_share(relay_connector *c, rpch_msec now, int parts)
{
    rpch_msec share = (c->deadline - now) / (rpch_msec)parts;

    c->try_deadline = parts == 1 ? c->deadline : now + (share ? share : 1);
}

/* The address of a without its port, as people write it. */
static void ip_text(const relay_addr *a, char *out)
{
    char *end;

    relay_addr_text(a, out);
    end = strrchr(out, ':');
    if (out[0] == '[' && end) {
        end[-1] = '\0';
        memmove(out, out + 1, strlen(out + 1) + 1);
    } else if (end) {
        *end = '\0';
    }
}

/* Writes c->error: who, by the candidate and (when not NULL) its address,
 * and why. A host is cut so that the cause is seen whatever its length. */
static void note(relay_connector *c, const relay_addr *a, const char *why)
{
    char ip[RELAY_ADDR_TEXT_SIZE] = "";
    const relay_candidate *to;
    bool v6;

    if (c->preferring) {
        snprintf(c->error, sizeof(c->error), "%s: %.80s",
                 relay_addr_text(a, ip), why);
        return;
    }
    to = &c->to[c->at];
    v6 = strchr(to->host, ':') != NULL;
    if (a)
        ip_text(a, ip);
    if (strcmp(ip, to->host) == 0)
        ip[0] = '\0';
    snprintf(c->error, sizeof(c->error), "%s%.80s%s:%hu%s%s%s: %.80s",
             v6 ? "[" : "", to->host, v6 ? "]" : "", to->port,
             *ip ? " (" : "", ip, *ip ? ")" : "", why);
}

static void note_errno(relay_connector *c, int error)
{
    char why[80];
    note(c, &c->peer,
         apr_strerror(APR_FROM_OS_ERROR(error), why, sizeof(why)));
}

static void close_socket(relay_connector *c)
{
    if (c->fd >= 0)
        relay_fd_close(c->fd);
    c->fd = -1;
}

static void next_address(relay_connector *c)
{
    close_socket(c);
    if (c->preferring)
        c->preferring = false;
    else
        c->addr++;
}

static void next_candidate(relay_connector *c)
{
    if (c->lookup)
        relay_lookup_release(c->lookup);
    c->lookup = NULL;
    c->addr = 0;
    c->at++;
}

static int connect_failed(relay_connector *c, int error)
{
    note_errno(c, error);
    next_address(c);
    return GO_ON;
}

/* Starts the connection to a, which gets one of parts of the time left. */
static int start_connect(relay_connector *c, const relay_addr *a,
                         rpch_msec now, int parts)
{
    int one = 1;

    c->peer = *a;
    set_share(c, now, parts);
    c->fd = socket(a->u.sa.sa_family,
                   SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0)
        return connect_failed(c, errno);
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    /* Interrupted, it goes on all the same. */
    if (connect(c->fd, &a->u.sa, a->len) != 0 && errno != EINPROGRESS
        && errno != EINTR)
        return connect_failed(c, errno);
    return GO_ON;
}

/* A port of the range of local ports that nobody listens to may be given to
 * the connecting socket itself, which then is its own peer. */
static bool is_own_peer(const relay_connector *c)
{
    relay_addr own;
    struct sockaddr_storage ss;
    socklen_t len = sizeof(ss);

    return getsockname(c->fd, (struct sockaddr *)&ss, &len) == 0
        && relay_addr_set(&own, (struct sockaddr *)&ss, len)
        && relay_addr_equal(&own, &c->peer);
}

static int check_connect(relay_connector *c, rpch_msec now)
{
    struct pollfd p = { c->fd, POLLOUT, 0 };
    int error = 0;
    socklen_t len = sizeof(error);

    if (poll(&p, 1, 0) <= 0) {
        if (now < c->try_deadline)
            return RPCH_AGAIN;
        note(c, &c->peer, "connecting timed out");
        next_address(c);
        return GO_ON;
    }
    if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0)
        error = errno;
    if (!error && is_own_peer(c))
        error = ECONNREFUSED;
    return error ? connect_failed(c, error) : RPCH_OK;
}

static int start_lookup(relay_connector *c, rpch_msec now)
{
    const relay_candidate *to = &c->to[c->at];

    set_share(c, now, c->n - c->at);
    c->lookup = relay_resolver_start(c->resolver, to->host, to->port,
                                     &c->waker);
    if (!c->lookup) {
        note(c, NULL, "too many names wait to be resolved");
        next_candidate(c);
    }
    return GO_ON;
}

/* Waits for the lookup, or starts with its next address. */
static int check_lookup(relay_connector *c, rpch_msec now)
{
    const relay_addr *addrs;
    const char *error;
    int n;
    apr_status_t rv = relay_lookup_result(c->lookup, &addrs, &n, &error);

    if (rv == APR_SUCCESS) {
        if (c->addr < n && relay_addr_equal(&addrs[c->addr], &c->prefer))
            c->addr++; /* it was the first that we tried */
        if (c->addr < n)
            return start_connect(c, &addrs[c->addr], now,
                                 n - c->addr + c->n - c->at - 1);
    } else if (!APR_STATUS_IS_EAGAIN(rv)) {
        note(c, NULL, error);
    } else if (now < c->try_deadline) {
        return RPCH_AGAIN;
    } else {
        note(c, NULL, "resolving the name timed out");
    }
    next_candidate(c);
    return GO_ON;
}

static int give_up(relay_connector *c)
{
    if (c->lookup && c->addr == 0)
        note(c, NULL, "resolving the name timed out");
    if (!c->error[0])
        snprintf(c->error, sizeof(c->error), "%s",
                 c->n ? "no time left to connect" : "no target to connect to");
    relay_connector_close(c);
    c->preferring = false;
    c->at = c->n;
    return RPCH_E_CONNECT;
}

int relay_connector_step(relay_connector *c, rpch_msec now)
{
    int rc = GO_ON;

    while (rc == GO_ON) {
        if (c->fd >= 0)
            rc = check_connect(c, now);
        else if (now >= c->deadline || (c->at >= c->n && !c->preferring))
            rc = give_up(c);
        else if (c->preferring)
            rc = start_connect(c, &c->prefer, now, c->n + 1);
        else if (!c->lookup)
            rc = start_lookup(c, now);
        else
            rc = check_lookup(c, now);
    }
    return rc;
}

int relay_connector_fd(const relay_connector *c)
{
    return c->fd;
}

rpch_msec relay_connector_deadline(const relay_connector *c)
{
    return c->try_deadline < c->deadline ? c->try_deadline : c->deadline;
}

void relay_connector_close(relay_connector *c)
{
    close_socket(c);
    if (c->lookup)
        relay_lookup_release(c->lookup);
    c->lookup = NULL;
}
