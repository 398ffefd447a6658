/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bridge.h - one request of the front: the client's request body to an inner
 * RPC proxy, and its response back, both ways at once and without holding a
 * byte back; for lib/relay's httpd part only.
 *
 * The front ends no part of the protocol: what passes is watched (observer),
 * never changed. As a channel does, a bridge never blocks; the child's reactor
 * drives it, or the request's thread.
 */
#ifndef RELAY_BRIDGE_H
#define RELAY_BRIDGE_H

#include <httpd.h>

#include "relay/head.h"
#include "relay/relay.h"

/* A response, or a request body, of at most that many bytes is short: its
 * connection may go on behind it. */
#define RELAY_BRIDGE_SHORT 65536

/* What is to be done. Everything is borrowed and must live as long as the
 * request. */
typedef struct relay_bridge_job {
    const char *what;         /* for log lines: "IN", "OUT", or the method */
    const char *target;       /* "mbx.example.com:6001", or "-" */
    const char *user;         /* "user alice", "anonymous 192.0.2.1" */
    const char *member;       /* "inner.example.com:443" */
    rpch_msec answer_timeout; /* nothing moves while the inner proxy's answer
                               * is awaited, or the worker held */
    rpch_msec idle_timeout;   /* nothing moves on the open stream */
    rpch_msec stall_timeout;  /* a receiver that takes nothing */
    rpch_msec drain_timeout;  /* after a graceful restart */
    bool observe;             /* the bodies are streams of RPC PDUs */
    bool strict;              /* observe: what is not ends the stream */
    bool hold;                /* the request may be a leg of a connection-bound
                               * handshake: the worker keeps it until the
                               * response shows that it is a stream */
    bool chunked;             /* the inner request said that its body is */
    /* Turns the inner response's head into r's, Content-Length and
     * Transfer-Encoding aside. Must not block. */
    void (*respond)(void *baton, request_rec *r, const relay_head *h);
    /* At the end, once: the inner connection is free for the next request of
     * the same client connection (reusable), or to be closed; so many bytes
     * of the bodies went up and came down. */
    void (*release)(void *baton, bool reusable, uint64_t up, uint64_t down);
    void *baton;
} relay_bridge_job;

/* Serves r, which has a seat (relay_engine_seat), over inner, to which the
 * head of the request was written in full.
 * Returns what a handler returns: SUSPENDED when the reactor has it. The
 * response, the log line and release are all done by then, or behind
 * SUSPENDED. */
int relay_bridge_serve(relay_engine *e, request_rec *r, conn_rec *inner,
                       const relay_bridge_job *job);

#endif
