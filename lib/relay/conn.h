/* SPDX-License-Identifier: Apache-2.0 */
/* conn.h - what httpd has no call for: small things about a conn_rec */
#ifndef RELAY_CONN_H
#define RELAY_CONN_H

#include <httpd.h>
#include <util_filter.h>

#include "relay/engine.h"

/* The descriptor of c's socket; -1 when it has none, or httpd closed it. */
int relay_conn_fd(conn_rec *c);

/* Has httpd's core send what it can of what waits in c's output filters, as
 * the MPM would, without waiting; c->data_in_output_filters says what is
 * left. False when the connection is broken. */
bool relay_conn_push(conn_rec *c);

/* The first filter of that kind in a chain; NULL when there is none, or rec is
 * NULL. */
const ap_filter_t *relay_conn_filter(const ap_filter_t *chain,
                                     const ap_filter_rec_t *rec);

/* What relay_conn_set hung under c by that name, for this engine; or NULL. */
void *relay_conn_get(const relay_engine *e, conn_rec *c, const char *name);

/* Hangs what under c. The name has at most 20 characters; what must live as
 * long as c's pool, or be replaced by NULL before. */
void relay_conn_set(const relay_engine *e, conn_rec *c, const char *name,
                    void *what);

#endif
