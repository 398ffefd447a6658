/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tsan_edges.c - preloaded into httpd beside ThreadSanitizer: tells it two
 * things that it cannot see, since httpd is not instrumented.
 *
 * The pools of finished connections are cleared and kept in a list that is
 * maintained with atomic operations; who accepts a connection takes one out.
 * Untold, each use of that memory is a race with the one before.
 *
 * At a hard stop the MPM closes the sockets of its workers while they use
 * them, on purpose.
 */
#include <apr_network_io.h>
#include <apr_pools.h>
#include <dlfcn.h>

/* Of the sanitizer's library. */
void __tsan_acquire(void *addr);
void __tsan_release(void *addr);
void AnnotateIgnoreWritesBegin(const char *file, int line);
void AnnotateIgnoreWritesEnd(const char *file, int line);

APR_DECLARE(void) apr_pool_clear(apr_pool_t *p)
{
    void (*real)(apr_pool_t *);
    *(void **)&real = dlsym(RTLD_NEXT, "apr_pool_clear");
    real(p);
    __tsan_release(p);
}

APR_DECLARE(apr_status_t) apr_socket_accept(apr_socket_t **new_sock,
                                            apr_socket_t *sock,
                                            apr_pool_t *pool)
{
    apr_status_t (*real)(apr_socket_t **, apr_socket_t *, apr_pool_t *);
    *(void **)&real = dlsym(RTLD_NEXT, "apr_socket_accept");
    __tsan_acquire(pool);
    return real(new_sock, sock, pool);
}

APR_DECLARE(apr_status_t) apr_socket_close(apr_socket_t *sock)
{
    apr_status_t (*real)(apr_socket_t *);
    apr_status_t rv;
    *(void **)&real = dlsym(RTLD_NEXT, "apr_socket_close");
    AnnotateIgnoreWritesBegin(__FILE__, __LINE__);
    rv = real(sock);
    AnnotateIgnoreWritesEnd(__FILE__, __LINE__);
    return rv;
}
