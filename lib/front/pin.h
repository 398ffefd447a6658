/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pin.h - which connection to an inner proxy belongs to a client connection.
 *
 * NTLM and Negotiate authenticate a connection, so that all requests of one
 * client connection have to come to the inner proxy by one connection, and no
 * others may. It is kept between two requests only; its end is the end of the
 * client's, when it was authenticated.
 */
#ifndef FRONT_PIN_H
#define FRONT_PIN_H

#include "front/inner.h"

/* Takes the connection that the client's has kept, when it leads to a and is
 * live; else closes what was kept, and returns NULL. */
front_inner *front_pin_take(request_rec *r, proxy_worker *worker,
                            const front_address *a);

/* The request is over: the connection is kept for the next one (reusable), or
 * closed, and then the client's is to end as well if it was bound. */
void front_pin_release(front_inner *in, bool reusable);

/* mod_proxy's pre_request, before the balancer's: what comes by a client
 * connection that may be authenticated goes to the member where it is, which
 * is counted as mod_proxy_balancer does. */
int front_pin_pre_request(proxy_worker **worker, proxy_balancer **balancer,
                          request_rec *r, proxy_server_conf *conf,
                          char **url);

#endif
