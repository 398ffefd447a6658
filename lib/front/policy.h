/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy.h - which requests the front passes on: methods, HTTP versions, and
 * the targets of RpcProxyValidPorts.
 */
#ifndef FRONT_POLICY_H
#define FRONT_POLICY_H

#include <httpd.h>
#include <stdbool.h>

#include "front/config.h"

/* What a method means here. */
typedef struct front_method {
    const char *name;
    const char *what;    /* for log lines: "IN", "OUT", or the name */
    const char *channel; /* RPC_CHANNEL of the environment: "in", "rdg-in" */
    bool rpc;            /* the URL names a target, and the body is RPC */
} front_method;

/* The method of r, in whichever case it is spelt; NULL when it is none of RPC
 * over HTTP's. RPC_CONNECT, which is not passed on, is none. */
const front_method *front_policy_method(const request_rec *r);

/* Checks version and method. OK, or, after one log line, the status and in
 * *text what the client is told. m: front_policy_method's. */
int front_policy_check(request_rec *r, const front_dir_conf *conf,
                       const front_method *m, const char **text);

/* Reads the target out of the query as it will be sent (NULL: none), sets
 * *target to it in lower case, "-" when there is none, and asks
 * RpcProxyValidPorts. OK; HTTP_SERVICE_UNAVAILABLE when the target is refused,
 * to be answered as RPC error 6ba; or HTTP_BAD_REQUEST with *text. Both after
 * one log line. */
int front_policy_target(request_rec *r, const front_dir_conf *conf,
                        const char *query, const char **target,
                        const char **text);

#endif
