/* SPDX-License-Identifier: Apache-2.0 */
/* request.h - from mod_proxy's scheme handler to a stream of the engine */
#ifndef FRONT_REQUEST_H
#define FRONT_REQUEST_H

#include "front/proxy.h"

/* mod_proxy's scheme_handler, in the worker: refuses, or connects and hands
 * the stream to the engine. Returns what a handler returns, or a status by
 * which mod_proxy tries another member. */
int front_request_serve(request_rec *r, proxy_worker *worker,
                        proxy_server_conf *conf, char *url,
                        const char *proxyname, apr_port_t proxyport);

/* The header_parser hook: before httpd asks for a password. Nobody is to wait
 * for a long body of which nothing is sent before the answer. */
int front_request_header_parser(request_rec *r);

#endif
