/* SPDX-License-Identifier: Apache-2.0 */
/* conn.c - what httpd has no call for: small things about a conn_rec */
#include "relay/conn.h"

#include <apr_portable.h>
#include <apr_strings.h>
#include <http_core.h>
#include <util_filter.h>

/* relay-, a name, and the module's number: two engines may meet at one
 * connection. */
#define KEY_SIZE 40

int relay_conn_fd(conn_rec *c)
{
    apr_socket_t *socket = ap_get_conn_socket(c);
    apr_os_sock_t fd = -1;
    return socket && apr_os_sock_get(&fd, socket) == APR_SUCCESS ? fd : -1;
}

bool relay_conn_push(conn_rec *c)
{
    ap_filter_t *f = c->output_filters;
    while (f->next)
        f = f->next;
    return f->frec->filter_func.out_func(f, NULL) == APR_SUCCESS
        && !c->aborted;
}

const ap_filter_t *relay_conn_filter(const ap_filter_t *chain,
                                     const ap_filter_rec_t *rec)
{
    while (chain && (rec == NULL || chain->frec != rec))
        chain = chain->next;
    return chain;
}

static void name_key(const relay_engine *e, const char *name, char *key)
{
    apr_snprintf(key, KEY_SIZE, "relay-%s-%d", name, e->module_index);
}

void *relay_conn_get(const relay_engine *e, conn_rec *c, const char *name)
{
    char key[KEY_SIZE];
    void *what = NULL;
    name_key(e, name, key);
    apr_pool_userdata_get(&what, key, c->pool);
    return what;
}

void relay_conn_set(const relay_engine *e, conn_rec *c, const char *name,
                    void *what)
{
    char key[KEY_SIZE];
    name_key(e, name, key);
    apr_pool_userdata_set(what, key, NULL, c->pool);
}
