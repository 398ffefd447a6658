/* SPDX-License-Identifier: Apache-2.0 */
/* pin.c - which connection to an inner proxy belongs to a client connection */
#include "front/pin.h"

#include <apr_strings.h>
#include <string.h>
#include <strings.h>

#include "front/front.h"

/* Members that are shut are left even by those who have a connection there. */
#define SHUT (PROXY_WORKER_IN_SHUTDOWN | PROXY_WORKER_DISABLED \
              | PROXY_WORKER_STOPPED)

typedef struct pin {
    front_inner *inner; /* NULL: none, or a request has it */
} pin;

static pin *pin_of(conn_rec *c, bool make)
{
    pin *found = ap_get_module_config(c->conn_config, &proxy_rpch_module);
    if (found == NULL && make) {
        found = apr_pcalloc(c->pool, sizeof(pin));
        ap_set_module_config(c->conn_config, &proxy_rpch_module, found);
    }
    return found;
}

front_inner *front_pin_take(request_rec *r, proxy_worker *worker,
                            const front_address *a)
{
    pin *p = pin_of(r->connection, false);
    front_inner *in = p ? p->inner : NULL;
    bool live;
    if (in == NULL)
        return NULL;
    live = front_inner_is_live(in);
    if (live && in->worker == worker && in->tls == a->tls
        && strcasecmp(in->name, a->name) == 0
        && strcasecmp(in->peer, front_inner_peer(r, a)) == 0) {
        p->inner = NULL;
        in->kept = NULL;
        front_inner_use(in, r);
        return in;
    }
    ap_log_rerror(APLOG_MARK, APLOG_DEBUG, 0, r, "the connection to the "
                  "member %s is not used again: %s", in->name,
                  live ? "the request is for another" : "it has ended");
    /* What the client believes to have authenticated is gone. */
    if (in->bound)
        r->connection->keepalive = AP_CONN_CLOSE;
    front_inner_close(in);
    return NULL;
}

void front_pin_release(front_inner *in, bool reusable)
{
    pin *p;
    if (!reusable || in->client->aborted
        || in->client->keepalive == AP_CONN_CLOSE) {
        if (in->bound)
            in->client->keepalive = AP_CONN_CLOSE;
        front_inner_close(in);
        return;
    }
    front_inner_rest(in);
    p = pin_of(in->client, true);
    p->inner = in;
    in->kept = &p->inner;
}

static apr_status_t leave(void *data)
{
    apr_size_t *busy = &((proxy_worker *)data)->s->busy;
    apr_size_t n = __atomic_load_n(busy, __ATOMIC_RELAXED);
    while (n > 0 && !__atomic_compare_exchange_n(busy, &n, n - 1, true,
                                                 __ATOMIC_RELAXED,
                                                 __ATOMIC_RELAXED))
        ;
    return APR_SUCCESS;
}

/* What mod_proxy_balancer does with the member that it has chosen. */
static void elect(request_rec *r, proxy_balancer *balancer,
                  proxy_worker *worker, char **url)
{
    const char *path = strstr(*url, "://");
    path = path ? strchr(path + 3, '/') : NULL;
    __atomic_fetch_add(&worker->s->elected, 1, __ATOMIC_RELAXED);
    __atomic_fetch_add(&worker->s->busy, 1, __ATOMIC_RELAXED);
    apr_pool_cleanup_register(r->pool, worker, leave, apr_pool_cleanup_null);
    apr_table_setn(r->subprocess_env, "BALANCER_NAME", balancer->s->name);
    apr_table_setn(r->subprocess_env, "BALANCER_WORKER_NAME",
                   worker->s->name_ex);
    apr_table_setn(r->subprocess_env, "BALANCER_WORKER_ROUTE",
                   worker->s->route);
    *url = apr_pstrcat(r->pool, worker->s->name_ex, path, NULL);
}

/* The balancers' own pointers move while the configuration is read. */
static bool is_member(const proxy_balancer *b, const proxy_worker *worker)
{
    for (int i = 0; i < b->workers->nelts; i++) {
        if (APR_ARRAY_IDX(b->workers, i, proxy_worker *) == worker)
            return true;
    }
    return false;
}

int front_pin_pre_request(proxy_worker **worker, proxy_balancer **balancer,
                          request_rec *r, proxy_server_conf *conf,
                          char **url)
{
    pin *p = pin_of(r->connection, false);
    front_inner *in = p ? p->inner : NULL;
    proxy_balancer *b;
    /* a balancer is there already when another member has failed */
    if (in == NULL || !in->bound || *balancer != NULL
        || !front_inner_is_live(in) || (in->worker->s->status & SHUT) != 0)
        return DECLINED;
    b = ap_proxy_get_balancer(r->pool, conf, *url, 1);
    if (b == NULL || !is_member(b, in->worker))
        return DECLINED;
    *balancer = b;
    *worker = in->worker;
    elect(r, b, in->worker, url);
    ap_log_rerror(APLOG_MARK, APLOG_DEBUG, 0, r, "the connection of this "
                  "client is with the member %s", in->name);
    return OK;
}
