/* SPDX-License-Identifier: Apache-2.0 */
/*
 * address.h - the URLs of inner proxies, "rpch://host[:port]/path?query" and
 * "rpchs://...", port 80 and 443 when none is given.
 */
#ifndef FRONT_ADDRESS_H
#define FRONT_ADDRESS_H

#include <apr_uri.h>
#include <httpd.h>
#include <stdbool.h>

/* Where a request goes, read from mod_proxy's URL. In r->pool. */
typedef struct front_address {
    apr_uri_t uri;      /* port_str: NULL for the standard port */
    const char *host;   /* without brackets */
    apr_port_t port;
    bool tls;           /* rpchs */
    const char *name;   /* "inner.example.com:443", for log lines */
    const char *target; /* what the request line names: path and query */
} front_address;

/* True when url (without "proxy:") has one of the two schemes. */
bool front_address_is_ours(const char *url);

/* mod_proxy's canon_handler: sets r->filename to the URL in full, its query as
 * the client sent it. */
int front_address_canon(request_rec *r, char *url);

/* Reads such a URL. False when it cannot be read. */
bool front_address_read(request_rec *r, const char *url, front_address *out);

#endif
