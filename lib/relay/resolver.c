/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resolver.c - names to addresses in a few helper threads.
 *
 * One lock guards the queue and the state of every lookup; it is held neither
 * while a name is resolved nor while those who wait are woken, for which a
 * lookup has a call of its own that may outlive it. The resolver is
 * freed by whoever leaves last of its owner, its helpers and its lookups.
 */
#include "relay/resolver.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <apr_strings.h>

#include "relay/thread.h"

typedef struct answer {
    int n; /* 0: none, for the reason in error */
    relay_addr addrs[RELAY_LOOKUP_ADDRS_MAX];
    char error[RELAY_LOOKUP_ERROR_SIZE];
} answer;

typedef enum lookup_state {
    LOOKUP_QUEUED,
    LOOKUP_RUNNING, /* a helper uses it outside the lock */
    LOOKUP_DONE
} lookup_state;

typedef struct call {
    relay_waker waker;
    struct call *next;
} call;

struct relay_lookup {
    relay_resolver *resolver;
    relay_lookup *prev; /* in the queue or the list of those that run */
    relay_lookup *next;
    lookup_state state;
    bool released; /* while running: the helper frees it */
    call *call;    /* NULL once it is about to be made, or released */
    unsigned short port;
    answer answer;
    char host[];
};

typedef struct lookup_list {
    relay_lookup *first;
    relay_lookup *last;
    int n;
} lookup_list;

struct relay_resolver {
    pthread_mutex_t lock;
    sem_t work; /* posted once for each lookup queued, and to end helpers */
    int refs;   /* atomic: owner, helpers, lookups */
    int ending; /* atomic */
    lookup_list queue;
    lookup_list running;
    relay_resolve_fn *resolve;
    void *baton;
    apr_pool_t *pool;
    int nthreads;
    pthread_t threads[RELAY_RESOLVER_THREADS_MAX];
};

static void list_append(lookup_list *list, relay_lookup *l)
{
    l->next = NULL;
    l->prev = list->last;
    if (list->last)
        list->last->next = l;
    else
        list->first = l;
    list->last = l;
    list->n++;
}

static void list_remove(lookup_list *list, relay_lookup *l)
{
    if (l->prev)
        l->prev->next = l->next;
    else
        list->first = l->next;
    if (l->next)
        l->next->prev = l->prev;
    else
        list->last = l->prev;
    list->n--;
}

static void hold(relay_resolver *r)
{
    __atomic_add_fetch(&r->refs, 1, __ATOMIC_RELAXED);
}

static void unhold(relay_resolver *r)
{
    if (__atomic_sub_fetch(&r->refs, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    pthread_mutex_destroy(&r->lock);
    sem_destroy(&r->work);
    free(r);
}

/* Without the lock. */
static void lookup_free(relay_lookup *l)
{
    relay_resolver *r = l->resolver;
    free(l);
    unhold(r);
}

/* Without the lock. */
static void make_calls(call *calls)
{
    while (calls) {
        call *next = calls->next;
        calls->waker.fn(calls->waker.baton, calls->waker.number);
        free(calls);
        calls = next;
    }
}

static void answer_add(answer *a, const struct addrinfo *ai)
{
    relay_addr addr;
    int i;

    if (a->n == RELAY_LOOKUP_ADDRS_MAX
        || !relay_addr_set(&addr, ai->ai_addr, ai->ai_addrlen))
        return;
    for (i = 0; i < a->n; i++)
        if (relay_addr_equal(&a->addrs[i], &addr))
            return;
    a->addrs[a->n++] = addr;
}

/* Not AI_ADDRCONFIG: it would hide ::1 on a machine that has loopback only.
 * What cannot be reached fails at once when it is tried. */
static void ask_system(answer *a, const char *host, int flags)
{
    struct addrinfo hints, *list = NULL;
    const struct addrinfo *ai;
    int rc;

    memset(&hints, 0, sizeof(hints));
    hints.ai_family = AF_UNSPEC;
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = flags;
    rc = getaddrinfo(host, NULL, &hints, &list);
    if (rc == EAI_SYSTEM) {
        apr_strerror(APR_FROM_OS_ERROR(errno), a->error, sizeof(a->error));
        return;
    }
    if (rc != 0) {
        apr_cpystrn(a->error, gai_strerror(rc), sizeof(a->error));
        return;
    }
    for (ai = list; ai; ai = ai->ai_next)
        answer_add(a, ai);
    freeaddrinfo(list);
    if (a->n == 0)
        apr_cpystrn(a->error, "No IPv4 or IPv6 address",
                    sizeof(a->error));
}

/* Answers a literal without asking anybody; false for a name. Only an IPv6
 * literal has a colon. */
static bool answer_literal(answer *a, const char *host)
{
    struct in_addr v4;

    if (!strchr(host, ':') && inet_pton(AF_INET, host, &v4) != 1)
        return false;
    ask_system(a, host, AI_NUMERICHOST);
    return true;
}

static void set_port(answer *a, unsigned short port)
{
    int i;
    for (i = 0; i < a->n; i++) {
        if (a->addrs[i].u.sa.sa_family == AF_INET)
            a->addrs[i].u.v4.sin_port = htons(port);
        else
            a->addrs[i].u.v6.sin6_port = htons(port);
    }
}

/* With the lock held, so that a release comes before or after it. */
static void lookup_done(relay_lookup *l, const answer *a, call **calls)
{
    l->answer = *a;
    set_port(&l->answer, l->port);
    l->state = LOOKUP_DONE;
    l->call->next = *calls;
    *calls = l->call;
    l->call = NULL;
}

static bool same_name(const relay_lookup *a, const relay_lookup *b)
{
    return strcasecmp(a->host, b->host) == 0;
}

/* Moves the first lookup whose name no helper is at from the queue to the
 * running ones; NULL when there is none. */
static relay_lookup *next_lookup(relay_resolver *r)
{
    relay_lookup *l, *other;

    for (l = r->queue.first; l; l = l->next) {
        for (other = r->running.first; other; other = other->next)
            if (same_name(l, other))
                break;
        if (other)
            continue;
        list_remove(&r->queue, l);
        list_append(&r->running, l);
        l->state = LOOKUP_RUNNING;
        return l;
    }
    return NULL;
}

/* Hands the answer of l, which ran, to it and to all that wait for the same
 * name, and collects their calls. True when l was released meanwhile. */
static bool deliver(relay_resolver *r, relay_lookup *l, const answer *a,
                    call **calls)
{
    relay_lookup *other, *next;

    list_remove(&r->running, l);
    for (other = r->queue.first; other; other = next) {
        next = other->next;
        if (same_name(l, other)) {
            list_remove(&r->queue, other);
            lookup_done(other, a, calls);
        }
    }
    if (!l->released)
        lookup_done(l, a, calls);
    return l->released;
}

static void run_lookup(relay_resolver *r, relay_lookup *l)
{
    answer a;
    call *calls = NULL;
    bool released;

    memset(&a, 0, sizeof(a));
    if (r->resolve)
        a.n = r->resolve(r->baton, l->host, a.addrs, RELAY_LOOKUP_ADDRS_MAX,
                         a.error, sizeof(a.error));
    else
        ask_system(&a, l->host, 0);
    pthread_mutex_lock(&r->lock);
    released = deliver(r, l, &a, &calls);
    pthread_mutex_unlock(&r->lock);
    make_calls(calls);
    if (released)
        lookup_free(l);
}

static void *helper(void *baton)
{
    relay_resolver *r = baton;
    relay_lookup *l;

    for (;;) {
        while (sem_wait(&r->work) != 0)
            ;
        if (__atomic_load_n(&r->ending, __ATOMIC_ACQUIRE))
            break;
        pthread_mutex_lock(&r->lock);
        l = next_lookup(r);
        pthread_mutex_unlock(&r->lock);
        if (l)
            run_lookup(r, l);
    }
    unhold(r);
    return NULL;
}

/* Nothing here may wait: it runs in the signal handler of a dying child. */
static void tell_end(relay_resolver *r)
{
    int i;
    __atomic_store_n(&r->ending, 1, __ATOMIC_RELEASE);
    for (i = 0; i < r->nthreads; i++)
        sem_post(&r->work);
}

static apr_status_t resolver_cleanup(void *baton)
{
    relay_resolver *r = baton;
    int i;

    tell_end(r);
    for (i = 0; i < r->nthreads; i++)
        pthread_detach(r->threads[i]);
    unhold(r);
    return APR_SUCCESS;
}

void relay_resolver_join(relay_resolver *r)
{
    int i;

    apr_pool_cleanup_kill(r->pool, r, resolver_cleanup);
    tell_end(r);
    for (i = 0; i < r->nthreads; i++)
        pthread_join(r->threads[i], NULL);
    unhold(r);
}

static apr_status_t start_helpers(relay_resolver *r, int threads)
{
    apr_status_t rv = APR_SUCCESS;

    while (rv == APR_SUCCESS && r->nthreads < threads) {
        hold(r);
        rv = relay_thread_start(&r->threads[r->nthreads], helper, r);
        if (rv == APR_SUCCESS)
            r->nthreads++;
        else
            unhold(r);
    }
    return rv;
}

apr_status_t relay_resolver_create(relay_resolver **out, int threads,
                                   apr_pool_t *pool)
{
    relay_resolver *r;
    apr_status_t rv;
    int error;

    if (threads < 1 || threads > RELAY_RESOLVER_THREADS_MAX)
        return APR_EINVAL;
    r = calloc(1, sizeof(*r));
    if (!r)
        return APR_ENOMEM;
    error = pthread_mutex_init(&r->lock, NULL);
    if (error) {
        free(r);
        return APR_FROM_OS_ERROR(error);
    }
    sem_init(&r->work, 0, 0);
    r->refs = 1;
    r->pool = pool;
    apr_pool_cleanup_register(pool, r, resolver_cleanup,
                              apr_pool_cleanup_null);
    rv = start_helpers(r, threads);
    if (rv != APR_SUCCESS) {
        relay_resolver_join(r);
        return rv;
    }
    *out = r;
    return APR_SUCCESS;
}

void relay_resolver_set_function(relay_resolver *r, relay_resolve_fn *fn,
                                 void *baton)
{
    pthread_mutex_lock(&r->lock);
    r->resolve = fn;
    r->baton = baton;
    pthread_mutex_unlock(&r->lock);
}

/* Puts l into the queue; false when that is full or memory is out. */
static bool enqueue(relay_resolver *r, relay_lookup *l,
                    const relay_waker *waker)
{
    bool room;

    l->call = malloc(sizeof(*l->call));
    if (!l->call)
        return false;
    l->call->waker = *waker;
    pthread_mutex_lock(&r->lock);
    room = r->queue.n < RELAY_LOOKUP_QUEUE_MAX;
    if (room)
        list_append(&r->queue, l);
    pthread_mutex_unlock(&r->lock);
    if (room)
        sem_post(&r->work);
    else
        free(l->call);
    return room;
}

relay_lookup *relay_resolver_start(relay_resolver *r, const char *host,
                                   unsigned short port,
                                   const relay_waker *waker)
{
    size_t size = strlen(host) + 1;
    relay_lookup *l = calloc(1, sizeof(*l) + size);

    if (!l)
        return NULL;
    hold(r);
    l->resolver = r;
    l->state = LOOKUP_QUEUED;
    l->port = port;
    memcpy(l->host, host, size);
    if (answer_literal(&l->answer, host)) {
        set_port(&l->answer, port);
        l->state = LOOKUP_DONE;
    } else if (!enqueue(r, l, waker)) {
        lookup_free(l);
        return NULL;
    }
    return l;
}

apr_status_t relay_lookup_result(relay_lookup *l, const relay_addr **addrs,
                                 int *n, const char **error)
{
    bool done;

    *addrs = NULL;
    *n = 0;
    *error = NULL;
    pthread_mutex_lock(&l->resolver->lock);
    done = l->state == LOOKUP_DONE;
    pthread_mutex_unlock(&l->resolver->lock);
    if (!done)
        return APR_EAGAIN;
    if (l->answer.n == 0) {
        *error = l->answer.error;
        return APR_ENOENT;
    }
    *addrs = l->answer.addrs;
    *n = l->answer.n;
    return APR_SUCCESS;
}

void relay_lookup_release(relay_lookup *l)
{
    relay_resolver *r = l->resolver;
    bool running;

    pthread_mutex_lock(&r->lock);
    running = l->state == LOOKUP_RUNNING;
    if (l->state == LOOKUP_QUEUED)
        list_remove(&r->queue, l);
    l->released = true;
    free(l->call);
    l->call = NULL;
    pthread_mutex_unlock(&r->lock);
    if (!running)
        lookup_free(l);
}
