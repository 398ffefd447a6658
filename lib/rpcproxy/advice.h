/* SPDX-License-Identifier: Apache-2.0 */
/*
 * advice.h - what in httpd's configuration would hurt the channels that
 * RpcProxyMaxConnections stands for, in one sentence each. Arithmetic alone;
 * advice_read.c finds the numbers. docs/scaling.md explains them.
 */
#ifndef RPCPROXY_ADVICE_H
#define RPCPROXY_ADVICE_H

#include <apr_tables.h>
#include <stdbool.h>
#include <stdint.h>

/* Where a channel begins: what httpd is told there. */
typedef struct rpcproxy_place {
    const char *where;        /* "rpc.conf:12" */
    int64_t limit_body;       /* LimitRequestBody; -1: not said */
    int64_t kept_body;        /* KeptBodySize; -1: not said */
    bool body_access;         /* mod_security reads bodies */
    bool dumps;               /* DumpIOInput On */
    bool http2;               /* its host offers h2 or h2c */
    const char *input_filter; /* SetInputFilter; NULL: not said */
} rpcproxy_place;

/* What httpd has and is asked for. Numbers of the MPM are those in force. */
typedef struct rpcproxy_setup {
    const char *mpm;          /* "event" */
    bool async;               /* channels hold no worker */
    bool async_off;           /* RpcProxyAsync Off */
    bool threaded;
    bool sized;               /* RpcProxyMaxConnections was set */
    uint32_t connections;     /* RpcProxyMaxConnections */
    uint32_t per_child;       /* RpcProxyMaxChannelsPerChild; 0: not set */
    uint32_t children;        /* of one generation at most */
    uint32_t slots;           /* ServerLimit */
    uint32_t threads;         /* workers of a child */
    uint32_t spare_max;       /* MaxSpareThreads */
    uint32_t child_life;      /* MaxConnectionsPerChild; 0: no end */
    uint32_t factor;          /* AsyncRequestWorkerFactor; whole, as it is
                               * used */
    uint64_t open_files;      /* soft limit of this process */
    bool joined;              /* some route is ncacn_ip_tcp */
    int64_t drain;            /* RpcProxyDrainTimeout, ms */
    const apr_array_header_t *places; /* rpcproxy_place; NULL: none */
} rpcproxy_setup;

typedef struct rpcproxy_advice {
    bool warning;             /* something will break; else it is told */
    const char *text;         /* with its tag */
} rpcproxy_advice;

/* The advice for s, an array of rpcproxy_advice from p, empty when all is
 * well. Advice that is followed leads to no other. */
apr_array_header_t *rpcproxy_advise(apr_pool_t *p, const rpcproxy_setup *s);

#endif
