/* SPDX-License-Identifier: Apache-2.0 */
/* reply.c - the head of an inner proxy's response becomes httpd's */
#include "front/reply.h"

#include <apr_strings.h>
#include <http_protocol.h>
#include <string.h>
#include <strings.h>

#include "front/front.h"
#include "front/proxy.h"

static bool is_one_of(const char *name, const char *const *list)
{
    for (; *list; list++) {
        if (strcasecmp(name, *list) == 0)
            return true;
    }
    return false;
}

/* What ends here: hop-by-hop fields (RFC 9110 7.6.1), those of the body, and
 * Via, before which Windows gives up NTLM. */
static bool ends_here(const relay_head *h, const char *name)
{
    static const char *const names[] = {
        "Connection", "Content-Length", "Keep-Alive", "Proxy-Authenticate",
        "Proxy-Connection", "TE", "Trailer", "Transfer-Encoding", "Upgrade",
        "Via", NULL
    };
    return is_one_of(name, names) || relay_head_lists(h, "Connection", name);
}

static bool is_location(const char *name)
{
    static const char *const names[] = {
        "Location", "Content-Location", "URI", "Destination", NULL
    };
    return is_one_of(name, names);
}

static void add(request_rec *r, const proxy_dir_conf *dir,
                const relay_head_field *f)
{
    const char *value = apr_pstrdup(r->pool, f->value);
    const char *name = apr_pstrdup(r->pool, f->name);
    if (strcasecmp(name, "Content-Type") == 0) {
        ap_set_content_type(r, value);
        return;
    }
    if (is_location(name))
        value = ap_proxy_location_reverse_map(r, (proxy_dir_conf *)dir, value);
    else if (strcasecmp(name, "Set-Cookie") == 0)
        value = ap_proxy_cookie_reverse_map(r, (proxy_dir_conf *)dir, value);
    apr_table_addn(r->headers_out, name, value);
}

void front_reply_set(request_rec *r, const relay_head *h, bool replaced,
                     const char *member)
{
    const proxy_dir_conf *dir = ap_get_module_config(r->per_dir_config,
                                                     &proxy_module);
    bool refused = replaced && h->status == HTTP_UNAUTHORIZED;
    relay_head_field f = { NULL, NULL };
    apr_table_clear(r->headers_out);
    while (relay_head_next(h, &f)) {
        if (!ends_here(h, f.name)
            && !(refused && strcasecmp(f.name, "WWW-Authenticate") == 0))
            add(r, dir, &f);
    }
    r->status = h->status;
    r->status_line = apr_psprintf(r->pool, "%d %s", h->status, h->reason);
    if (!refused)
        return;
    ap_log_rerror(APLOG_MARK, APLOG_ERR, 0, r, "RPX0524: the member %s does "
                  "not accept what it was told of the user (ProxyRpchAuth)",
                  member);
    r->status = HTTP_BAD_GATEWAY;
    r->status_line = ap_get_status_line(HTTP_BAD_GATEWAY);
}
