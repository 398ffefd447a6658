/* SPDX-License-Identifier: Apache-2.0 */
/* request.h - one HTTP request: refused, answered as an echo, or relayed */
#ifndef RPCPROXY_REQUEST_H
#define RPCPROXY_REQUEST_H

#include <httpd.h>

/* The handler "rpcproxy": checks the request and gives it to the engine.
 * DECLINED for other handlers' requests. */
int rpcproxy_handler(request_rec *r);

/* For header_parser, which runs before authentication, and for requests for
 * the handler "rpcproxy" only. DONE when a request in clear text was refused,
 * before anybody asks for its password. A request whose body the client will
 * not send before it has the answer ends its connection, so that a 401 does
 * not make httpd read a gigabyte. Else DECLINED. */
int rpcproxy_header_parser(request_rec *r);

#endif
