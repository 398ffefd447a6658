/* SPDX-License-Identifier: Apache-2.0 */
/*
 * advice_read.c - the numbers for advice.c, and its sentences to the log.
 *
 * The MPM tells most of what it has; what it and other modules keep to
 * themselves is read from the tree of directives that httpd keeps (<IfModule>
 * and Include are gone from it). What holds for a section is what it says, or
 * else what the sections around it say, unless another section of the module's
 * knows better. Who else matches the same URL is not looked for: advice may be
 * missing, but is not wrong.
 */
#include "rpcproxy/advice_read.h"

#include <ap_mpm.h>
#include <apr_strings.h>
#include <http_core.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/resource.h>
#include <util_cfgtree.h>

#include "rpcproxy/advice.h"
#include "rpcproxy/config.h"
#include "rpcproxy/rpcproxy.h"

/* httpd's default of AsyncRequestWorkerFactor. */
#define FACTOR_DEFAULT 2

/* Sections within sections, at most. */
#define DEPTH_MAX 32

/* A section of the module's. */
typedef struct section {
    const ap_directive_t *node;
    bool handler; /* it has SetHandler, and is looked at with all around it;
                   * another one only adds what it says itself */
} section;

typedef struct reader {
    apr_pool_t *pool;
    rpcproxy_setup *setup;
    apr_array_header_t *sections;
    apr_array_header_t *places;
    bool used; /* some section lets somebody reach something */
} reader;

static bool is(const ap_directive_t *d, const char *name)
{
    return strcasecmp(d->directive, name) == 0;
}

static const char *first_arg(apr_pool_t *p, const ap_directive_t *d)
{
    const char *args = d->args;
    return ap_getword_conf(p, &args);
}

/* The last directive of that name beside d; NULL: there is none. */
static const ap_directive_t *last_of(const ap_directive_t *d,
                                     const char *name)
{
    const ap_directive_t *found = NULL;
    for (; d; d = d->next) {
        if (is(d, name))
            found = d;
    }
    return found;
}

static bool said_by_any(const reader *rd, const char *name)
{
    for (int i = 0; i < rd->sections->nelts; i++) {
        const section *in = &APR_ARRAY_IDX(rd->sections, i, section);

        if (last_of(in->node->first_child, name))
            return true;
    }
    return false;
}

/* The argument that is in force in a section; NULL: there is none. */
static const char *arg_in_force(const reader *rd, const section *in,
                                const char *name)
{
    const ap_directive_t *node = in->node;
    const ap_directive_t *found = last_of(node->first_child, name);
    if (!found && in->handler && !said_by_any(rd, name)) {
        while (!found && node->parent) {
            node = node->parent;
            found = last_of(node->first_child, name);
        }
        if (!found)
            found = last_of(ap_conftree, name);
    }
    return found ? first_arg(rd->pool, found) : NULL;
}

static bool says(const char *arg, const char *value)
{
    return arg && strcasecmp(arg, value) == 0;
}

static int64_t number_of(const char *arg)
{
    return arg ? apr_atoi64(arg) : -1;
}

/* The Protocols beside d that offers HTTP/2; *said: there is one at all. */
static const ap_directive_t *offers_http2(apr_pool_t *p,
                                          const ap_directive_t *d, bool *said)
{
    const ap_directive_t *found = NULL;
    for (*said = false; d; d = d->next) {
        const char *args = d->args;
        const char *word;
        if (!is(d, "Protocols"))
            continue;
        *said = true;
        while (*(word = ap_getword_conf(p, &args)) != '\0') {
            if (says(word, "h2") || says(word, "h2c"))
                found = d;
        }
    }
    return found;
}

static const char *name_of(const ap_directive_t *d, apr_pool_t *p)
{
    return apr_psprintf(p, "%s:%d", d->filename, d->line_num);
}

static void add_place(const reader *rd, const section *in)
{
    rpcproxy_place *at = apr_array_push(rd->places);
    const char *engine = arg_in_force(rd, in, "SecRuleEngine");
    at->where = name_of(in->node, rd->pool);
    at->limit_body = number_of(arg_in_force(rd, in, "LimitRequestBody"));
    at->kept_body = number_of(arg_in_force(rd, in, "KeptBodySize"));
    at->body_access = says(arg_in_force(rd, in, "SecRequestBodyAccess"), "On")
                   && engine && !says(engine, "Off");
    at->dumps = says(arg_in_force(rd, in, "DumpIOInput"), "On");
    at->input_filter = arg_in_force(rd, in, "SetInputFilter");
    if (says(at->input_filter, "None"))
        at->input_filter = NULL;
    at->http2 = false;
}

static bool is_handler(apr_pool_t *p, const ap_directive_t *d)
{
    return d && says(first_arg(p, d), "rpcproxy");
}

static void look_at_section(reader *rd, const ap_directive_t *d)
{
    const ap_directive_t *first = d->first_child;
    section in = { d, is_handler(rd->pool, last_of(first, "SetHandler")) };
    if (in.handler || last_of(first, "RpcProxyValidPorts")
        || last_of(first, "RpcProxyValidPortsFile"))
        *(section *)apr_array_push(rd->sections) = in;
}

static void add_http2(const reader *rd, const ap_directive_t *protocols)
{
    rpcproxy_place none = { .limit_body = -1, .kept_body = -1 };
    rpcproxy_place *at;
    if (protocols == NULL)
        return;
    at = apr_array_push(rd->places);
    *at = none;
    at->where = name_of(protocols, rd->pool);
    at->http2 = true;
}

/* Whether somebody can reach something by d. */
static bool opens(apr_pool_t *p, const ap_directive_t *d)
{
    return is(d, "RpcProxyValidPortsFile")
        || (is(d, "RpcProxyValidPorts") && !says(first_arg(p, d), "None"));
}

/* Whether that is so anywhere beside or below d, but for hosts below. */
static bool any_opens(apr_pool_t *p, const ap_directive_t *d, int depth)
{
    for (; d && depth < DEPTH_MAX; d = d->next) {
        if (opens(p, d) || (!is(d, "<VirtualHost")
                            && any_opens(p, d->first_child, depth + 1)))
            return true;
    }
    return false;
}

/* Protocols belongs to a host: its own, or else the main server's. */
static void look_at_hosts(const reader *rd)
{
    apr_pool_t *p = rd->pool;
    const ap_directive_t *d, *own, *base;
    bool said, all = any_opens(p, ap_conftree, 0);
    base = offers_http2(p, ap_conftree, &said);
    if (ap_find_linked_module("mod_http2.c") == NULL)
        return;
    if (all)
        add_http2(rd, base);
    for (d = ap_conftree; d; d = d->next) {
        if (is(d, "<VirtualHost") && (all || any_opens(p, d->first_child, 0))) {
            own = offers_http2(p, d->first_child, &said);
            if (said) {
                add_http2(rd, own);
            }
            else if (!all) {
                add_http2(rd, base);
                base = NULL; /* told once */
            }
        }
    }
}

static void look_at(reader *rd, const ap_directive_t *d)
{
    rd->used = rd->used || opens(rd->pool, d);
    if (is(d, "RpcProxyRoute") && ap_strcasestr(d->args, "ncacn_ip_tcp"))
        rd->setup->joined = true;
    if (d->first_child && !is(d, "<VirtualHost"))
        look_at_section(rd, d);
}

static void walk(reader *rd, const ap_directive_t *d, int depth)
{
    for (; d && depth < DEPTH_MAX; d = d->next) {
        look_at(rd, d);
        walk(rd, d->first_child, depth + 1);
    }
}

static uint32_t ask_mpm(int what)
{
    int n = 0;
    return ap_mpm_query(what, &n) == APR_SUCCESS && n > 0 ? (uint32_t)n : 0;
}

static uint32_t read_factor(apr_pool_t *p)
{
    const ap_directive_t *d = last_of(ap_conftree, "AsyncRequestWorkerFactor");
    double factor = d ? strtod(first_arg(p, d), NULL) : FACTOR_DEFAULT;
    return factor > 0 && factor < 1e9 ? (uint32_t)factor : 0;
}

static uint64_t read_open_files(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0
        || limit.rlim_cur == RLIM_INFINITY)
        return UINT32_MAX;
    return limit.rlim_cur;
}

static void read_numbers(rpcproxy_setup *out, apr_pool_t *p, server_rec *s)
{
    out->mpm = ap_show_mpm();
    out->async_off = rpcproxy_get_of_server(s, RPCPROXY_ASYNC) == 0
                  && ask_mpm(AP_MPMQ_IS_ASYNC) == 1;
    out->async = !out->async_off && ask_mpm(AP_MPMQ_IS_ASYNC) == 1;
    out->threaded = ask_mpm(AP_MPMQ_IS_THREADED) != AP_MPMQ_NOT_SUPPORTED;
    out->sized = rpcproxy_is_set_of_server(s, RPCPROXY_MAX_CONNECTIONS);
    out->connections = (uint32_t)rpcproxy_get_of_server(
        s, RPCPROXY_MAX_CONNECTIONS);
    out->per_child = (uint32_t)rpcproxy_get_of_server(
        s, RPCPROXY_MAX_CHANNELS_PER_CHILD);
    out->drain = rpcproxy_get_of_server(s, RPCPROXY_DRAIN_TIMEOUT);
    out->children = ask_mpm(AP_MPMQ_MAX_DAEMONS);
    out->slots = ask_mpm(AP_MPMQ_HARD_LIMIT_DAEMONS);
    out->threads = out->threaded ? ask_mpm(AP_MPMQ_MAX_THREADS) : 1;
    out->spare_max = ask_mpm(AP_MPMQ_MAX_SPARE_THREADS);
    out->child_life = ask_mpm(AP_MPMQ_MAX_REQUESTS_DAEMON);
    out->factor = read_factor(p);
    out->open_files = read_open_files();
}

void rpcproxy_advice_log(apr_pool_t *p, server_rec *s)
{
    rpcproxy_setup setup = { .sized = false };
    reader rd = { .pool = p, .setup = &setup };
    apr_array_header_t *all;

    rd.sections = apr_array_make(p, 4, sizeof(section));
    rd.places = apr_array_make(p, 4, sizeof(rpcproxy_place));
    walk(&rd, ap_conftree, 0);
    for (int i = 0; i < rd.sections->nelts; i++)
        add_place(&rd, &APR_ARRAY_IDX(rd.sections, i, section));
    look_at_hosts(&rd);
    if (!rd.used)
        return;
    read_numbers(&setup, p, s);
    setup.places = rd.places;
    all = rpcproxy_advise(p, &setup);
    for (int i = 0; i < all->nelts; i++) {
        const rpcproxy_advice *a = &APR_ARRAY_IDX(all, i, rpcproxy_advice);

        ap_log_error(APLOG_MARK, a->warning ? APLOG_WARNING : APLOG_NOTICE, 0,
                     s, "%s", a->text);
    }
}
