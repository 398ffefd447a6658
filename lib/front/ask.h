/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ask.h - the head of the request to an inner proxy: who asks, and what the
 * client's fields become.
 */
#ifndef FRONT_ASK_H
#define FRONT_ASK_H

#include <httpd.h>
#include <stdbool.h>

#include "front/config.h"
#include "front/credentials.h"
#include "front/inner.h"

/* What is known of a request's body before any of it is read. */
typedef struct front_body {
    bool chunked;
    bool given;       /* there is a Content-Length */
    apr_off_t length; /* its value; 0: there is no body, or it is chunked */
} front_body;

/* What the inner proxy is told of the user. */
typedef struct front_identity {
    front_credentials sent;    /* what came from the client */
    front_credentials passed;  /* what goes on of that */
    bool replaced;             /* Authorization is not the client's any more */
    const char *drop;          /* one more field of the client's to be
                                * dropped, or NULL */
    const char *line;          /* one field with its line end, or "" */
} front_identity;

/* Reads what the head says about the body. False when Content-Length is no
 * number. */
bool front_ask_body(const request_rec *r, front_body *out);

/* Decides by ProxyRpchAuth. OK, or, after one log line, the status and in
 * *text what the client is told. */
int front_ask_identity(request_rec *r, const front_dir_conf *conf,
                       front_identity *out, const char **text);

/* The head in full, its empty line included, in p, which is not to live as
 * long as the request: it is needed once, and takes kilobytes to make. NULL
 * when mod_proxy cannot make it (logged). */
const char *front_ask_head(apr_pool_t *p, request_rec *r,
                           const front_inner *in,
                           const proxy_server_conf *conf,
                           const front_address *a, const front_identity *who,
                           const front_body *body);

#endif
