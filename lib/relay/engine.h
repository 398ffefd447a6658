/* SPDX-License-Identifier: Apache-2.0 */
/* engine.h - what the engine is made of; for lib/relay's httpd part only */
#ifndef RELAY_ENGINE_H
#define RELAY_ENGINE_H

#include <httpd.h>
#include <http_log.h>
#include <poll.h>

#include "relay/broker.h"
#include "relay/drain.h"
#include "relay/relay.h"
#include "relay/room.h"
#include "relay/sendq.h"

/* Free blocks that a child keeps for its queues: 4 MiB. */
#define RELAY_BLOCKS_KEEP 512

/* Helper threads of the resolver, per child. */
#define RELAY_RESOLVER_THREADS 2

struct relay_engine {
    int module_index;
    relay_table *table;   /* shared by all children; NULL: a bare engine */
    const char *dir;      /* of the broker sockets; NULL likewise */
    server_rec *server;
    bool async;           /* RpcProxyAsync Auto: without a worker, if it can */
    unsigned max_channels; /* of one child; 0: as descriptors allow */

    /* in a child only */
    apr_pool_t *pool;     /* outlives the child's own cleanups */
    relay_owner self;     /* pid and nonce of this child */
    relay_registry *registry;
    relay_broker *broker; /* bare: without a socket */
    relay_resolver *resolver; /* bare: NULL */
    relay_blocks *blocks;
    relay_room room;
    unsigned loop_files;  /* descriptors that a loop needs for a channel */
    struct relay_poller *poller; /* of the reactor; NULL: there is none */
    int stopping;         /* atomic: the service thread is to park */
    int parked;           /* atomic: it touches nothing any more */
    int reactor_parked;   /* atomic: neither does the reactor */
    int full_logged;      /* atomic: the full table was logged once */
    int stopped;          /* atomic: the child stops at once */
    bool stop_passed;     /* the service thread has told the channels */
    bool threaded;        /* an MPM whose hooks may take locks */
    rpch_msec draining;   /* atomic: when the child began to stop; 0: not */
};

/* Why channels end when a child stops at once. */
#define RELAY_STOPPED "httpd was stopped"

/* Longest sleep of a loop in a request thread, ms: a child of prefork that is
 * to stop is noticed that late. */
#define RELAY_POLL_CAP 2000

/* In a new child: measures its room for channels. */
void relay_engine_measure(relay_engine *e);

/* The channel's first PDU has come, and it is about to be claimed. */
void relay_engine_heard(relay_engine *e, const relay_job *job);

/* A stream that is a whole connection, or knows no other part of one: begins d
 * at moments of its own when this child is stopping. timeout in ms. */
void relay_engine_note_draining(const relay_engine *e, relay_drain *d,
                                rpch_msec timeout);

/* Whether the MPM says that this child is stopping; true before any hook of
 * ours hears of it. */
bool relay_engine_mpm_stops(void);

/* Whether this child stops at once: streams are not waited for any more. */
bool relay_engine_is_stopped(const relay_engine *e);

/* The service thread, after each of its waits: a signal handler may have said
 * that the child stops at once, and cannot wake the channels. */
void relay_engine_pass_stop(relay_engine *e);

/* A loop in a request thread begins to serve r. Under an MPM without threads
 * the signals that end a child are held until r has been logged. */
void relay_engine_enter_loop(relay_engine *e, request_rec *r);

/* poll(2) for such a loop, with at most RELAY_POLL_CAP ms; also looks whether
 * the child is to stop. */
int relay_engine_poll(relay_engine *e, struct pollfd *fds, unsigned n,
                      int timeout);

/* The stream has finished, and is about to be ended. In a child that stops at
 * once nobody waits for the client any more: its connection is aborted. */
void relay_engine_leave_loop(relay_engine *e, request_rec *r);

/* Logs in the module's name at a request or a server. level with
 * APLOG_NOERRNO as usual; the format starts with the tag. */
#define RELAY_RLOG(e, level, rv, r, ...) \
    ap_log_rerror(__FILE__, __LINE__, (e)->module_index, level, rv, r, \
                  __VA_ARGS__)
#define RELAY_SLOG(e, level, rv, s, ...) \
    ap_log_error(__FILE__, __LINE__, (e)->module_index, level, rv, s, \
                 __VA_ARGS__)

#endif
