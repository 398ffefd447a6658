/* SPDX-License-Identifier: Apache-2.0 */
/*
 * status.c - the engine's counters in three formats, from one table.
 */
#include "rpcproxy/status.h"

#include <apr_strings.h>
#include <http_protocol.h>
#include <string.h>
#include <unistd.h>

#include "rpcproxy/config.h"
#include "rpcproxy/rpcproxy.h"

/* One line of the page. */
typedef struct counter {
    const char *key;   /* in JSON */
    const char *name;  /* in OpenMetrics; those of one name are neighbours */
    const char *label; /* in OpenMetrics, or "" */
    bool total;        /* counts up for ever */
    const char *help;
    uint64_t value;
} counter;

#define COUNTERS 12

static void read_counters(const relay_stats *s, counter *out)
{
    const counter all[COUNTERS] = {
        { "connections_max", "connections_max", "", false,
          "Virtual connections that the table has room for", s->max },
        { "connections", "connections", "", false,
          "Virtual connections in the table", s->entries },
        { "connections_open", "connections_open", "", false,
          "Virtual connections with both channels open", s->open },
        { "channels_in", "channels", "{channel=\"in\"}", false,
          "Channels", s->halves[RELAY_IN] },
        { "channels_out", "channels", "{channel=\"out\"}", false,
          "Channels", s->halves[RELAY_OUT] },
        { "users", "users", "", false,
          "Distinct users with channels", s->users },
        { "children", "children", "", false,
          "Child processes, those that drain included", s->children },
        { "channels_claimed", "channels_claimed", "", true,
          "Channels that asked for a place in the table", s->claims },
        { "channels_refused", "channels_refused", "", true,
          "Channels that got no place in the table", s->refused },
        { "channels_reaped", "channels_reaped", "", true,
          "Channels of child processes that died", s->reaped },
        { "channels_recycled_r1", "channels_recycled", "{form=\"r1\"}", true,
          "Channels replaced by a successor", s->recycled_r1 },
        { "channels_recycled_r2", "channels_recycled", "{form=\"r2\"}", true,
          "Channels replaced by a successor", s->recycled_r2 }
    };

    memcpy(out, all, sizeof(all));
}

static void write_html(request_rec *r, const counter *c)
{
    ap_set_content_type(r, "text/html; charset=utf-8");
    ap_rputs("<!DOCTYPE html>\n<html lang=\"en\"><head>"
             "<title>RPC proxy status</title></head>\n"
             "<body><h1>RPC proxy status</h1>\n<table>\n", r);
    for (int i = 0; i < COUNTERS; i++) {
        ap_rprintf(r, "<tr><th align=\"left\">%s %s</th>"
                   "<td align=\"right\">%" APR_UINT64_T_FMT "</td></tr>\n",
                   c[i].help, ap_escape_html(r->pool, c[i].label),
                   c[i].value);
    }
    ap_rprintf(r, "<tr><th align=\"left\">Process that wrote this</th>"
               "<td align=\"right\">%ld</td></tr>\n</table>\n"
               "</body></html>\n", (long)getpid());
}

static void write_json(request_rec *r, const counter *c)
{
    ap_set_content_type(r, "application/json");
    ap_rputs("{\n", r);
    for (int i = 0; i < COUNTERS; i++) {
        ap_rprintf(r, "  \"%s\": %" APR_UINT64_T_FMT ",\n",
                   c[i].key, c[i].value);
    }
    ap_rprintf(r, "  \"pid\": %ld\n}\n", (long)getpid());
}

static void write_openmetrics(request_rec *r, const counter *c)
{
    ap_set_content_type(r, "application/openmetrics-text; version=1.0.0; "
                        "charset=utf-8");
    for (int i = 0; i < COUNTERS; i++) {
        if (i == 0 || strcmp(c[i].name, c[i - 1].name) != 0) {
            ap_rprintf(r, "# TYPE rpcproxy_%s %s\n"
                       "# HELP rpcproxy_%s %s\n", c[i].name,
                       c[i].total ? "counter" : "gauge", c[i].name,
                       c[i].help);
        }
        ap_rprintf(r, "rpcproxy_%s%s%s %" APR_UINT64_T_FMT "\n",
                   c[i].name, c[i].total ? "_total" : "", c[i].label,
                   c[i].value);
    }
    ap_rputs("# EOF\n", r);
}

int rpcproxy_status_handler(request_rec *r)
{
    relay_stats stats;
    counter counters[COUNTERS];
    const char *format = r->args ? r->args : "";

    if (!r->handler || strcmp(r->handler, "rpcproxy-status") != 0) {
        return DECLINED;
    }
    r->allowed = AP_METHOD_BIT << M_GET;
    if (r->method_number != M_GET) {
        /* httpd itself answers OPTIONS from r->allowed. */
        return r->method_number == M_OPTIONS ? DECLINED
                                             : HTTP_METHOD_NOT_ALLOWED;
    }
    if (rpcproxy_engine() == NULL) {
        return HTTP_SERVICE_UNAVAILABLE;
    }
    memset(&stats, 0, sizeof(stats));
    relay_engine_stats(rpcproxy_engine(), &stats);
    read_counters(&stats, counters);
    /* Numbers of this moment. */
    apr_table_setn(r->headers_out, "Cache-Control", "no-store");
    if (strcmp(format, "format=json") == 0) {
        write_json(r, counters);
    }
    else if (strcmp(format, "format=openmetrics") == 0) {
        write_openmetrics(r, counters);
    }
    else if (*format == '\0' || strcmp(format, "format=html") == 0) {
        write_html(r, counters);
    }
    else {
        return HTTP_BAD_REQUEST;
    }
    return OK;
}
