/* SPDX-License-Identifier: Apache-2.0 */
/* relay_gate.h - a resolving function under the test's control: names that
 * hang until a gate opens, and names with made-up addresses */
#ifndef RELAY_GATE_H
#define RELAY_GATE_H

#include <arpa/inet.h>
#include <dirent.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "rpch_test.h"

#include "relay/clock.h"
#include "relay/resolver.h"

/* Longest wait for something that will happen, ms. */
#define GATE_PATIENCE 30000u

typedef struct gate {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool open;
    int hanging; /* helpers that wait at the gate now */
    int calls;
    bool signals_blocked; /* in all calls so far */
} gate;

/* A closed gate. */
static inline void gate_init(gate *g)
{
    pthread_mutex_init(&g->lock, NULL);
    pthread_cond_init(&g->changed, NULL);
    g->open = false;
    g->hanging = g->calls = 0;
    g->signals_blocked = true;
}

/* Frees what gate_init made; nobody may hang any more. */
static inline void gate_destroy(gate *g)
{
    pthread_mutex_destroy(&g->lock);
    pthread_cond_destroy(&g->changed);
}

/* Lets all that hangs go on, now and later. */
static inline void gate_open(gate *g)
{
    pthread_mutex_lock(&g->lock);
    g->open = true;
    pthread_cond_broadcast(&g->changed);
    pthread_mutex_unlock(&g->lock);
}

/* Waits until n helpers hang. */
static inline void gate_await(gate *g, int n)
{
    pthread_mutex_lock(&g->lock);
    while (g->hanging < n)
        pthread_cond_wait(&g->changed, &g->lock);
    pthread_mutex_unlock(&g->lock);
}

/* Names asked for so far. */
static inline int gate_calls(gate *g)
{
    int n;
    pthread_mutex_lock(&g->lock);
    n = g->calls;
    pthread_mutex_unlock(&g->lock);
    return n;
}

static inline relay_addr gate_addr(const char *ip, unsigned short port)
{
    union {
        struct sockaddr sa;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } u;
    relay_addr a;

    memset(&u, 0, sizeof(u));
    if (inet_pton(AF_INET, ip, &u.v4.sin_addr) == 1) {
        u.v4.sin_family = AF_INET;
        u.v4.sin_port = htons(port);
        relay_addr_set(&a, &u.sa, sizeof(u.v4));
    } else {
        inet_pton(AF_INET6, ip, &u.v6.sin6_addr);
        u.v6.sin6_family = AF_INET6;
        u.v6.sin6_port = htons(port);
        relay_addr_set(&a, &u.sa, sizeof(u.v6));
    }
    return a;
}

/* A relay_resolve_fn: "hang..." waits for the gate; "none" has no address;
 * else the addresses are in the name itself, "x_127.0.0.1_--1" with '-' for
 * ':' (a colon would make it a literal), and 127.0.0.1 when none is. */
static inline int gate_resolve(void *baton, const char *host,
                               relay_addr *addrs, int room, char *error,
                               size_t size)
{
    gate *g = baton;
    char copy[512], *ip, *rest = NULL;
    sigset_t set;
    int n = 0;

    pthread_sigmask(SIG_SETMASK, NULL, &set);
    pthread_mutex_lock(&g->lock);
    g->calls++;
    if (!sigismember(&set, SIGTERM) || !sigismember(&set, SIGUSR1))
        g->signals_blocked = false;
    if (strncmp(host, "hang", 4) == 0) {
        g->hanging++;
        pthread_cond_broadcast(&g->changed);
        while (!g->open)
            pthread_cond_wait(&g->changed, &g->lock);
        g->hanging--;
    }
    pthread_mutex_unlock(&g->lock);
    if (strcmp(host, "none") == 0) {
        snprintf(error, size, "No such host is known");
        return 0;
    }
    snprintf(copy, sizeof(copy), "%s", host);
    for (ip = copy; *ip; ip++)
        if (*ip == '-')
            *ip = ':';
    strtok_r(copy, "_", &rest);
    while (n < room && (ip = strtok_r(NULL, "_", &rest)) != NULL)
        addrs[n++] = gate_addr(ip, 0);
    if (n == 0)
        addrs[n++] = gate_addr("127.0.0.1", 0);
    return n;
}

/* Descriptors that this process has open. */
static inline int open_fds(void)
{
    DIR *d = opendir("/proc/self/fd");
    int n = 0;
    ck_assert_ptr_nonnull(d);
    while (readdir(d))
        n++;
    closedir(d);
    return n;
}

/* An eventfd of value 0, non-blocking. */
static inline int new_eventfd(void)
{
    int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    return fd;
}

/* A relay_waker's function: number is the eventfd. */
static inline void gate_wake(void *baton, uint64_t number)
{
    const uint64_t one = 1;
    ssize_t n = write((int)number, &one, sizeof(one));
    (void)baton;
    (void)n;
}

/* A waker that writes to the eventfd fd. */
#define GATE_WAKER(fd) \
    (&(relay_waker){ gate_wake, NULL, (uint64_t)(fd) })

/* What was added to the eventfd since the last call. */
static inline uint64_t eventfd_take(int fd)
{
    uint64_t n = 0;
    return read(fd, &n, sizeof(n)) == sizeof(n) ? n : 0;
}

/* Waits until fd can be read; false when that takes too long. */
static inline bool await_readable(int fd)
{
    struct pollfd p = { fd, POLLIN, 0 };
    return poll(&p, 1, GATE_PATIENCE) == 1;
}

#endif
