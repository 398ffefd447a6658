/* SPDX-License-Identifier: Apache-2.0 */
/*
 * access.h - who may use the proxy: TLS, authentication, and the identity
 * that the two channels of a connection are paired by.
 */
#ifndef RPCPROXY_ACCESS_H
#define RPCPROXY_ACCESS_H

#include <httpd.h>
#include <stdbool.h>

#include "rpcproxy/config.h"

/* What a client in clear text is told. */
#define RPCPROXY_HTTPS_ONLY "This RPC proxy is reached by https only.\n"

/* True when the request came by TLS, a trusted front says so, or TLS is not
 * required; else false, after one log line. Asked before authentication, too:
 * nobody is to send a password in clear text. */
bool rpcproxy_access_tls(request_rec *r, const rpcproxy_dir_conf *conf);

/* Checks TLS, then authentication. OK with *user set to who it is ("user
 * alice", "subject CN=... of CN=...", "anonymous 192.0.2.1"), allocated in r->pool;
 * otherwise HTTP_FORBIDDEN with *text set to what the client is told, after
 * one log line that names the directive to change. */
int rpcproxy_access_check(request_rec *r, const rpcproxy_dir_conf *conf,
                          const char **user, const char **text);

/* Checks name:port against RpcProxyValidPorts. NULL when it may be reached;
 * else the sentence to be logged, its tag first, in r->pool. */
const char *rpcproxy_access_target(request_rec *r,
                                   const rpcproxy_dir_conf *conf,
                                   const char *name, uint16_t port);

#endif
