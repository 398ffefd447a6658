/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tunnel.h - a connection of version 1 (RPC_CONNECT) being served; for
 * lib/relay's httpd part only.
 *
 * One request carries both directions. It has no Content-Length, with which
 * httpd's body filter says at once that the body has ended: behind the
 * response's head the tunnel works below the request's filters, on those of
 * the connection (TLS, and httpd's core).
 *
 * As a channel does, a tunnel never blocks; whoever drives it calls
 * relay_tunnel_step when something that it waits for has happened, until it
 * is finished.
 */
#ifndef RELAY_TUNNEL_H
#define RELAY_TUNNEL_H

#include <poll.h>

#include "relay/call.h"
#include "relay/drain.h"
#include "relay/engine.h"
#include "relay/io.h"
#include "relay/pipe.h"
#include "relay/poller.h"
#include "rpch/mixed.h"

/* The descriptors of a tunnel, in the order of relay_tunnel_interest. */
enum {
    RELAY_TUNNEL_FD_CLIENT,
    RELAY_TUNNEL_FD_SERVER,
    RELAY_TUNNEL_FD_EVENT,
    RELAY_TUNNEL_FD_MAX
};

typedef struct relay_tunnel {
    relay_engine *engine;
    request_rec *r;
    const relay_job *job;
    rpch_mixed m;
    relay_io client;
    relay_mailbox box;        /* its eventfd: names resolved, child stopping */
    relay_pipe pipe[2];       /* by relay_dir: RELAY_IN to the server */

    relay_connector connector;
    bool connecting;          /* the connector is at work */
    int server_fd;            /* or -1 */
    bool server_readable;     /* a read may bring something */
    bool server_full;         /* a write was cut short */
    bool server_eof;          /* it sends nothing more */
    bool server_fault;        /* its greeting was wrong */
    bool fin_sent;            /* it knows that the client sends no more */

    relay_ref ref;            /* generation 0: no entry */
    bool claimed;             /* the claim was made, whatever came of it */
    bool open_logged;
    bool head_sent;
    bool moved;               /* something moved in this turn */
    int reads_left;          /* of this step */
    bool again;              /* step at once: turns or reads were used up */
    bool finished;            /* relay_tunnel_step has nothing more to do */

    rpch_msec started;
    rpch_msec last_rpc;
    uint64_t rpc_pdus_seen;   /* what last_rpc stands for */
    relay_drain drain;
    relay_calls calls;
    bool ends_call;           /* the PDU that comes from the server does */

    unsigned rpc_error;       /* the code of a 503, 0: 6ba */
    const char *cause;        /* for logs; NULL: the machine's reason */
    bool cause_logged;        /* a line of its own said it already */
    int end_state;            /* the machine's state before it finished */
} relay_tunnel;

/* A new tunnel for r, allocated from its pool. bell: the task of the poller
 * that will drive it, or NULL for a loop of its own. NULL when the registry
 * has no room for it (descriptors), with *rv. */
relay_tunnel *relay_tunnel_create(relay_engine *e, request_rec *r,
                                  const relay_job *job, relay_task *bell,
                                  apr_status_t *rv);

/* Does everything that can be done now. revents[i] is what poll reported for
 * descriptor i (0 when it was not polled). */
void relay_tunnel_step(relay_tunnel *t, const short *revents, rpch_msec now);

/* Fills fds[RELAY_TUNNEL_FD_MAX] with what the tunnel waits for (fd -1:
 * nothing) and returns the time of its next timer; a time not after now means
 * that it should be stepped at once. */
rpch_msec relay_tunnel_interest(relay_tunnel *t, struct pollfd *fds,
                                rpch_msec now);

/* Goes on with what comes before the connection to the server is there:
 * policy, limits, table, connecting. */
void relay_tunnel_open(relay_tunnel *t, rpch_msec now);

/* Ends it for a reason of ours: status, static reason for the machine, and
 * the longer cause for logs (NULL: the reason). */
void relay_tunnel_fail(relay_tunnel *t, int status, const char *reason,
                       const char *cause);

/* Ends a finished tunnel: answer, table, log lines, descriptors. Returns what
 * the handler returns. */
int relay_tunnel_end(relay_tunnel *t);

/* Fails the tunnel when one of its timers is due. */
void relay_tunnel_expire(relay_tunnel *t, rpch_msec now);

/* Sets the timers that follow from what waits. */
void relay_tunnel_arm(relay_tunnel *t, rpch_msec now);

/* When relay_tunnel_expire is due, or RPCH_NEVER. */
rpch_msec relay_tunnel_deadline(const relay_tunnel *t);

#endif
