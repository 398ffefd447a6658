/* SPDX-License-Identifier: Apache-2.0 */
/* gulp.c - one large read of a socket that somebody takes in small pieces */
#include "relay/gulp.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "relay/sock.h"

void relay_gulp_init(relay_gulp *g, int fd, relay_blocks *blocks)
{
    memset(g, 0, sizeof(*g));
    g->fd = fd;
    relay_sendq_init(&g->rest, blocks);
}

bool relay_gulp_begin(relay_gulp *g, size_t size)
{
    g->scratch = malloc(RELAY_GULP);
    /* TLS may have held back as much, of a record that had not come in full. */
    g->room = size > 2 * RELAY_RECORD ? size - RELAY_RECORD : size;
    g->left = 0;
    g->dry = g->scratch == NULL;
    return g->scratch != NULL;
}

static void drop_given(relay_gulp *g)
{
    relay_sendq_drop(&g->rest, g->given);
    g->given = 0;
}

bool relay_gulp_end(relay_gulp *g)
{
    apr_status_t rv = APR_SUCCESS;
    drop_given(g);
    if (g->left > 0)
        rv = relay_sendq_push(&g->rest, g->at, g->left);
    g->left = 0;
    free(g->scratch);
    g->scratch = NULL;
    return rv == APR_SUCCESS;
}

bool relay_gulp_is_short(const relay_gulp *g)
{
    return !g->dry && g->room == 0;
}

size_t relay_gulp_holds(const relay_gulp *g)
{
    return g->rest.bytes - g->given + g->left;
}

void relay_gulp_clear(relay_gulp *g)
{
    relay_sendq_clear(&g->rest);
    g->given = g->left = 0;
}

/* Fills the scratch. */
static apr_status_t gulp(relay_gulp *g)
{
    size_t size = g->room < RELAY_GULP ? g->room : RELAY_GULP;
    long n;
    if (g->scratch == NULL || g->dry || size == 0)
        return APR_EAGAIN;
    n = relay_sock_recv(g->fd, g->scratch, size);
    g->dry = n < (long)size;
    if (n == RELAY_SOCK_BROKEN)
        return APR_FROM_OS_ERROR(errno);
    if (n == RELAY_SOCK_END)
        return APR_EOF;
    if (n == RELAY_SOCK_NOTHING)
        return APR_EAGAIN;
    g->room -= (size_t)n;
    g->at = g->scratch;
    g->left = (size_t)n;
    return APR_SUCCESS;
}

apr_status_t relay_gulp_take(relay_gulp *g, size_t size, const uint8_t **p,
                             size_t *n)
{
    apr_status_t rv = APR_SUCCESS;
    drop_given(g);
    *p = relay_sendq_front(&g->rest, n);
    if (*p) {
        *n = *n < size ? *n : size;
        g->given = *n;
    } else {
        if (g->left == 0)
            rv = gulp(g);
        *p = g->at;
        *n = g->left < size ? g->left : size;
        g->at += *n;
        g->left -= *n;
    }
    return rv;
}
