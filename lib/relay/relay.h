/* SPDX-License-Identifier: Apache-2.0 */
/*
 * relay.h - the engine as the module sees it: made once for the server,
 * completed in each child, asked to serve one channel request at a time.
 *
 * Nothing in lib/relay is global: everything hangs under an engine, which
 * knows in whose name it logs.
 */
#ifndef RELAY_RELAY_H
#define RELAY_RELAY_H

#include <httpd.h>

#include "relay/connector.h"
#include "relay/room.h"
#include "relay/table.h"

typedef struct relay_engine relay_engine;

/* What one channel request is to become. Everything is borrowed and must
 * live as long as the request. */
typedef struct relay_job {
    relay_dir dir;
    rpch_limits limits;
    unsigned flags;            /* RPCH_QUIET */
    rpch_msec connect_timeout; /* names and connects, all candidates */
    rpch_msec idle_timeout;    /* no RPC PDU either way on the connection */
    rpch_msec stall_timeout;   /* a peer that takes nothing while data waits */
    rpch_msec drain_timeout;   /* after a graceful restart */
    relay_kind kind;
    const relay_candidate *to; /* where the server is; tried in order */
    int n_to;
    const char *user;          /* "user alice", "subject CN=...",
                                * "anonymous 192.0.2.1" */
    const char *address;       /* relay_addr_network of the client's */
    const char *vhost;         /* "proxy.example.com:443" */
    const char *target;        /* "mbx.example.com:6001", name in lower case */
    const char *refused;       /* when policy refuses the target: the sentence
                                * to log, tag included; else NULL. The client
                                * learns it after its first PDU only, as 6ba,
                                * like an unreachable server */
    uint32_t max_per_user;     /* channels; 0: no limit */
    uint32_t max_per_address;
    bool extended_errors;      /* EEInfo in error responses */
    relay_seat *seat;          /* by relay_engine_admit */
} relay_job;

/* Makes the engine: the table and the directory of the broker sockets.
 * Called in every post_config; what must outlive restarts is kept, and
 * max_connections of the first start stays in force. module_index: whose log
 * level and name are used. runtime_dir: an absolute path, in which the
 * sockets' directory is made, mode 0700 and owned by User. On failure *error
 * says why and names the directive to change. */
apr_status_t relay_engine_create(relay_engine **out, int module_index,
                                 uint32_t max_connections,
                                 const char *runtime_dir, server_rec *s,
                                 apr_pool_t *pconf, const char **error);

/* Makes a bare engine: what drives streams (reactor, loop, mailboxes, blocks,
 * seats, the stop of a child), without table, broker and resolver, so that
 * there are no channels and tunnels. Called in every post_config; nothing is
 * kept. */
apr_status_t relay_engine_create_bare(relay_engine **out, int module_index,
                                      server_rec *s, apr_pool_t *pconf);

/* Whether channels are to be served without a worker thread where MPM and
 * connection allow it (RpcProxyAsync Auto), or each in the thread of its
 * request (Off; so it is without this call). Before children are made. */
void relay_engine_set_async(relay_engine *e, bool async);

/* Sets how many channels one child may have; 0 (so it is without this call):
 * as many as its limit of open files has room for. Before children are
 * made. */
void relay_engine_set_max_channels(relay_engine *e, uint32_t max);

/* Starts this child's service thread and reactor; unless the engine is bare
 * its resolver and broker, too. */
apr_status_t relay_engine_child_init(relay_engine *e, apr_pool_t *pchild,
                                     server_rec *s);

/* The child will take no more requests: its channels end within their drain
 * timeouts, or at once when the stop is not graceful. Takes no lock under an
 * MPM without threads, which may call it in a signal handler. */
void relay_engine_child_stopping(relay_engine *e, bool graceful);

/* Of an engine that is not bare: finds a place for the channel that job is
 * to become, before anything is made for it; the place is given back when
 * the connection's pool goes. False when there is none, which was logged
 * then (the full child once a minute): to be answered with 6bb. */
bool relay_engine_admit(relay_engine *e, request_rec *r, relay_job *job);

/* Finds a place for a stream that is no channel and needs so many descriptors,
 * the client's included; it has no limits but the child's. The place is given
 * back when the connection's pool goes, and a connection that has one keeps
 * it: its next request finds it there. False when there is none, which was
 * logged then (once a minute). Any engine. */
bool relay_engine_seat(relay_engine *e, request_rec *r, unsigned files);

/* Serves one channel request and returns what a handler returns. Answers, the
 * closing of the connection, notes and log lines are all done; when the child
 * has a reactor, by it, behind SUSPENDED. */
int relay_serve(relay_engine *e, request_rec *r, const relay_job *job);

/* Serves one request of version 1 (RPC_CONNECT), in the same way. job->dir and
 * flags mean nothing here; limits.open_timeout bounds the connection and then
 * the server's banner, limits.drain_timeout is how long a server may be silent
 * whose client sends no more. */
int relay_tunnel_serve(relay_engine *e, request_rec *r, const relay_job *job);

/* In the suspend_connection hook, for every suspension: a connection that has
 * a request of ours goes to the reactor. */
void relay_engine_suspended(relay_engine *e, conn_rec *c);

/* Counters for the status page; all 0 for a bare engine. */
void relay_engine_stats(relay_engine *e, relay_stats *out);

/* Writes a complete response without ErrorDocument: status line
 * ("503 RPC Error: 6ba"), content type (NULL: none), body. close: the
 * connection ends after it (the request body was not read). */
int relay_answer(request_rec *r, int status, const char *status_line,
                 const char *content_type, const void *body, size_t len,
                 bool close);

/* Tells a client that waits for it to go on (Expect: 100-continue): the engine
 * reads without blocking, which never does. In the worker, before a stream is
 * served. */
void relay_answer_continue(request_rec *r);

/* The codes of error responses: RPC_S_SERVER_UNAVAILABLE and
 * RPC_S_SERVER_TOO_BUSY. */
#define RELAY_RPC_UNAVAILABLE 0x6bau
#define RELAY_RPC_TOO_BUSY 0x6bbu

/* Writes the error response of 2.1.2.1.3, "503 RPC Error: 6ba", after which
 * the connection ends. extended: with EEInfo, which names the ServerName, the
 * process, the time and what the client asked for (RPC_TARGET of the
 * environment) and nothing else: a refused target looks like one that does not
 * answer. */
int relay_answer_error(request_rec *r, unsigned code, bool extended);

#endif
