/* SPDX-License-Identifier: Apache-2.0 */
/*
 * advice.c - one function for each thing that may hurt. Only what would is
 * told, with the value that ends it.
 */
#include "rpcproxy/advice.h"

#include <apr_strings.h>

#include "relay/room.h"

#define DAY (INT64_C(24) * 60 * 60 * 1000)

/* IN channels of Windows, impacket and Samba have up to a GiB. */
#define BODY_MIN (INT64_C(1) << 30)

#define FILES_NATIVE 2
#define FILES_JOINED 3

/* Nobody needs more of them. */
#define FILES_MAX (UINT64_C(1) << 31)

static uint64_t channels_of(const rpcproxy_setup *s)
{
    return 2 * (uint64_t)s->connections;
}

static uint64_t divide_up(uint64_t a, uint64_t b)
{
    return (a + b - 1) / b;
}

static uint64_t round_up(uint64_t a, uint64_t step)
{
    return divide_up(a, step) * step;
}

/* What one child has to take, if all take the same. */
static uint64_t share_of(const rpcproxy_setup *s)
{
    return divide_up(channels_of(s), s->children);
}

static void add(apr_array_header_t *out, bool warning, const char *text)
{
    rpcproxy_advice *a = apr_array_push(out);
    a->warning = warning;
    a->text = text;
}

/* A size that nobody chose is no promise that is broken. */
static void add_sized(apr_array_header_t *out, const rpcproxy_setup *s,
                      const char *text)
{
    add(out, s->sized, text);
}

static void check_workers(const rpcproxy_setup *s, apr_array_header_t *out)
{
    uint64_t workers = (uint64_t)s->children * s->threads;
    const char *cure = s->async_off ? "RpcProxyAsync Auto"
                     : apr_psprintf(out->pool, "MaxRequestWorkers %"
                                    APR_UINT64_T_FMT " (or load mpm_event, "
                                    "where channels need no worker)",
                                    round_up(channels_of(s) + s->threads,
                                             s->threads));
    if (s->async || workers > channels_of(s))
        return;
    add_sized(out, s, apr_psprintf(out->pool, "RPX0401: %s%s gives each "
              "channel a worker, so that %" APR_UINT64_T_FMT " workers are "
              "all that there is for the %" APR_UINT64_T_FMT " channels of "
              "RpcProxyMaxConnections %u; set %s, or RpcProxyMaxConnections "
              "%" APR_UINT64_T_FMT, s->mpm,
              s->async_off ? " with RpcProxyAsync Off" : "", workers,
              channels_of(s), s->connections, cure,
              workers > 3 ? (workers - 1) / 2 : 1));
}

/* Connections that a child takes when its workers are idle. */
static uint64_t taken_by_child(const rpcproxy_setup *s, uint64_t factor)
{
    return s->threads * (1 + factor);
}

/* A factor with which half of the workers may be busy. */
static uint64_t factor_for(const rpcproxy_setup *s)
{
    return round_up(divide_up(2 * share_of(s), s->threads), 10);
}

static bool factor_is_low(const rpcproxy_setup *s)
{
    return taken_by_child(s, s->factor) < share_of(s);
}

static void check_factor(const rpcproxy_setup *s, apr_array_header_t *out)
{
    uint64_t all = taken_by_child(s, s->factor) * s->children;
    if (!s->async || !factor_is_low(s))
        return;
    add_sized(out, s, apr_psprintf(out->pool, "RPX0402: with "
              "AsyncRequestWorkerFactor %u httpd accepts %" APR_UINT64_T_FMT
              " connections at once (%u children of %u threads), but "
              "RpcProxyMaxConnections %u stands for %" APR_UINT64_T_FMT
              " channels; set AsyncRequestWorkerFactor %" APR_UINT64_T_FMT
              ", or RpcProxyMaxConnections %" APR_UINT64_T_FMT, s->factor,
              all, s->children, s->threads, s->connections, channels_of(s),
              factor_for(s), all / 2));
}

/* What a child must be able to have: its channels, and, since an accept()
 * that fails ends the child, all connections that httpd would accept. */
static uint64_t files_needed(const rpcproxy_setup *s)
{
    uint64_t each = s->joined ? FILES_JOINED : FILES_NATIVE;
    uint64_t channels, accepted;
    if (!s->async)
        return s->threads * (each + 1);
    channels = share_of(s) * each;
    accepted = taken_by_child(s, factor_is_low(s) ? factor_for(s)
                                                  : s->factor);
    return accepted > channels ? accepted : channels;
}

static void check_files(const rpcproxy_setup *s, apr_array_header_t *out)
{
    uint64_t need = files_needed(s), cure = round_up(need, 1024);
    if (relay_room_files(s->open_files, s->threads) >= need
        || cure >= FILES_MAX)
        return;
    while (relay_room_files(cure, s->threads) < need)
        cure += 1024;
    add_sized(out, s, apr_psprintf(out->pool, "RPX0403: the limit of open "
              "files is %" APR_UINT64_T_FMT ", and a child that is to take "
              "%" APR_UINT64_T_FMT " channels and httpd's other connections "
              "needs %" APR_UINT64_T_FMT "; set LimitNOFILE=%"
              APR_UINT64_T_FMT " (systemd) or APACHE_ULIMIT_MAX_FILES="
              "\"ulimit -n %" APR_UINT64_T_FMT "\" (Debian's envvars)",
              s->open_files, s->async ? share_of(s) : s->threads, cure, cure,
              cure));
}

/* Children of old generations keep their slots until their channels have
 * ended. Once they have all of them there is no child that accepts. Restarts
 * come once a day. A child of prefork has one channel, and it suffices that
 * some are left. */
static void check_slots(const rpcproxy_setup *s, apr_array_header_t *out)
{
    uint64_t old = (uint64_t)((s->drain + DAY - 1) / DAY);
    uint64_t cure = (s->threaded ? 2 + old : 1 + old) * s->children;
    if (s->drain == 0 || s->slots > old * s->children
                                    + (s->threaded ? s->children - 1 : 0))
        return;
    add(out, true, apr_psprintf(out->pool, "RPX0404: ServerLimit %u has too "
        "little room for children of older generations (%u each), which after "
        "a graceful restart keep their channels for RpcProxyDrainTimeout: in "
        "the end no child would accept; set ServerLimit %" APR_UINT64_T_FMT
        ", and stop and start httpd", s->slots, s->children, cure));
}

static void check_spare(const rpcproxy_setup *s, apr_array_header_t *out)
{
    uint64_t workers = (uint64_t)s->children * s->threads;
    if (!s->async || s->spare_max >= workers)
        return;
    add_sized(out, s, apr_psprintf(out->pool, "RPX0405: with MaxSpareThreads "
              "%u httpd retires children whose workers are idle, and with "
              "them their channels; set MaxSpareThreads %" APR_UINT64_T_FMT
              " (MaxRequestWorkers)", s->spare_max, workers));
}

static void check_life(const rpcproxy_setup *s, apr_array_header_t *out)
{
    if (s->child_life == 0 || !s->threaded)
        return;
    add(out, s->child_life < 2 * share_of(s),
        apr_psprintf(out->pool, "RPX0406: MaxConnectionsPerChild %u retires a "
                     "child after so many connections, and each channel is "
                     "one; children with channels would pile up: set "
                     "MaxConnectionsPerChild 0", s->child_life));
}

static void check_per_child(const rpcproxy_setup *s, apr_array_header_t *out)
{
    if (s->per_child == 0 || s->per_child >= share_of(s) || !s->async)
        return;
    add_sized(out, s, apr_psprintf(out->pool, "RPX0407: "
              "RpcProxyMaxChannelsPerChild %u in %u children is less than the "
              "%" APR_UINT64_T_FMT " channels of RpcProxyMaxConnections %u; "
              "set RpcProxyMaxChannelsPerChild %" APR_UINT64_T_FMT " or 0",
              s->per_child, s->children, channels_of(s), s->connections,
              round_up(share_of(s) + share_of(s) / 4, 100)));
}

typedef enum fault { BODY, KEPT, ACCESS, FILTER, DUMPS, HTTP2, FAULTS } fault;

static bool has(const rpcproxy_place *at, fault kind)
{
    switch (kind) {
    case BODY:
        return at->limit_body > 0 && at->limit_body < BODY_MIN;
    case KEPT:
        return at->kept_body > 0;
    case ACCESS:
        return at->body_access;
    case FILTER:
        return at->input_filter != NULL;
    case DUMPS:
        return at->dumps;
    case HTTP2:
    default:
        return at->http2;
    }
}

/* where: at, and how many others there are. */
static const char *text_of(apr_pool_t *p, fault kind, const char *where,
                           const rpcproxy_place *at)
{
    switch (kind) {
    case BODY:
        return apr_psprintf(p, "RPX0408: %s: LimitRequestBody %"
                            APR_INT64_T_FMT " refuses IN channels, which are "
                            "requests of up to 2 GiB; set LimitRequestBody 0 "
                            "there", where, at->limit_body);
    case KEPT:
        return apr_psprintf(p, "RPX0409: %s: KeptBodySize %" APR_INT64_T_FMT
                            " has mod_request read whole bodies, and that of "
                            "an IN channel never ends; set KeptBodySize 0 "
                            "there", where, at->kept_body);
    case ACCESS:
        return apr_psprintf(p, "RPX0410: %s: mod_security reads whole bodies, "
                            "and that of an IN channel never ends; set "
                            "SecRequestBodyAccess Off there", where);
    case FILTER:
        return apr_psprintf(p, "RPX0411: %s: the input filter %s may keep "
                            "what a client sends until the body has ended, "
                            "and that of an IN channel never does; take it "
                            "out of SetInputFilter there", where,
                            at->input_filter);
    case DUMPS:
        return apr_psprintf(p, "RPX0412: %s: mod_dumpio looks at each byte of "
                            "every channel; set DumpIOInput Off", where);
    case HTTP2:
    default:
        return apr_psprintf(p, "RPX0413: %s: the host offers HTTP/2, in which "
                            "there can be no channel; set Protocols http/1.1 "
                            "there", where);
    }
}

/* Each fault once, with the first place that has it. */
static void check_places(const rpcproxy_setup *s, apr_array_header_t *out)
{
    int n = s->places ? s->places->nelts : 0;
    for (int kind = 0; kind < FAULTS; kind++) {
        const rpcproxy_place *first = NULL;
        const char *where;
        int others = 0;

        for (int i = 0; i < n; i++) {
            const rpcproxy_place *at = &APR_ARRAY_IDX(s->places, i,
                                                      rpcproxy_place);

            if (has(at, (fault)kind) && first == NULL)
                first = at;
            else if (has(at, (fault)kind))
                others++;
        }
        if (first == NULL)
            continue;
        where = others == 0 ? first->where
              : apr_psprintf(out->pool, "%s and %d more", first->where,
                             others);
        add(out, kind != DUMPS && kind != HTTP2,
            text_of(out->pool, (fault)kind, where, first));
    }
}

apr_array_header_t *rpcproxy_advise(apr_pool_t *p, const rpcproxy_setup *s)
{
    apr_array_header_t *out = apr_array_make(p, 4, sizeof(rpcproxy_advice));
    if (s->children > 0 && s->threads > 0) {
        check_workers(s, out);
        check_factor(s, out);
        check_files(s, out);
        check_slots(s, out);
        check_spare(s, out);
        check_life(s, out);
        check_per_child(s, out);
    }
    check_places(s, out);
    return out;
}
