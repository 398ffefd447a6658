/* SPDX-License-Identifier: Apache-2.0 */
/* bridge_private.h - a bridge, as its own files know it */
#ifndef RELAY_BRIDGE_PRIVATE_H
#define RELAY_BRIDGE_PRIVATE_H

#include "relay/bridge.h"
#include "relay/chunks.h"
#include "relay/drain.h"
#include "relay/engine.h"
#include "relay/io.h"
#include "relay/pipe.h"
#include "rpch/observer.h"

/* The descriptors of a bridge, in the order of its interest. */
enum {
    RELAY_BRIDGE_FD_CLIENT,
    RELAY_BRIDGE_FD_INNER,
    RELAY_BRIDGE_FD_EVENT,
    RELAY_BRIDGE_FD_MAX
};

/* How far the inner proxy's answer is. */
typedef enum relay_bridge_phase {
    RELAY_BRIDGE_ASKED,    /* its head is awaited */
    RELAY_BRIDGE_ANSWERED, /* its body passes */
    RELAY_BRIDGE_COMPLETE  /* all of it came */
} relay_bridge_phase;

typedef struct relay_bridge {
    relay_engine *engine;
    request_rec *r;
    const relay_bridge_job *job;
    relay_io client;
    relay_io inner;
    relay_mailbox box;        /* its eventfd or bell: the child is stopping */
    relay_pipe up;            /* to the inner proxy */
    relay_pipe down;          /* to the client */
    rpch_observer seen_up;
    rpch_observer seen_down;
    uint64_t up_bytes;        /* of the request's body */
    int64_t up_left;          /* of what the inner request said that its body
                               * has; unless it is chunked */
    uint64_t down_bytes;      /* of the response's */

    relay_bridge_phase phase;
    relay_head head;
    int interims;             /* 1xx heads so far */
    relay_body body;          /* how the response's ends */
    int64_t left;             /* of it, when it has a length */
    relay_chunks chunks;      /* when it is chunked */
    bool inner_keeps;         /* the inner connection may go on behind it */
    bool observe_down;        /* the response's body is one of PDUs */
    bool excess;              /* it sent more than its response */

    bool held;                /* the worker has it: see job->hold */
    bool large;               /* the request's body is: it needs no answer */
    bool stream;              /* the response is */
    bool body_ended;          /* all of the request's body was pushed */
    bool moved;               /* something moved in this turn */
    int reads_left;           /* of this step */
    bool again;               /* step at once: turns or reads were used up */
    bool finished;            /* nothing more to do */
    bool named;               /* RPC_CONNECTION is known */

    rpch_msec started;
    rpch_msec last;           /* when something moved */
    relay_drain drain;
    int status;               /* for the client, when there is no response */
    const char *cause;        /* of its end; NULL: the response was complete */
    bool blamed;              /* the inner proxy is to blame for it */
} relay_bridge;

/* It ends: cause (static) for logs; status: what the client gets when the
 * response has not begun. The first call counts. */
void relay_bridge_fail(relay_bridge *b, int status, const char *cause);

/* The same, and the inner proxy is to blame: its administrator should know. */
void relay_bridge_blame(relay_bridge *b, int status, const char *cause);

/* True when the inner proxy is to be read: nothing of it waits. */
bool relay_bridge_reads_inner(const relay_bridge *b);

/* True when something waits for the inner proxy, which still takes it. */
bool relay_bridge_up_waits(const relay_bridge *b);

/* True when something waits for the client. */
bool relay_bridge_down_waits(const relay_bridge *b);

/* Reads from the inner proxy and passes it on, until there is nothing now. */
void relay_bridge_read_inner(relay_bridge *b);

/* Fails the bridge, which is not finished, when one of its timers is due: at
 * the end of a step, behind relay_bridge_arm, when all that could move did. */
void relay_bridge_expire(relay_bridge *b, rpch_msec now);

/* Behind what a step moved: sets the timers. */
void relay_bridge_arm(relay_bridge *b, rpch_msec now);

/* When relay_bridge_expire is due, or RPCH_NEVER. */
rpch_msec relay_bridge_deadline(const relay_bridge *b);

/* Ends a finished bridge: response, log line, the inner connection; and frees
 * it. Returns what the handler returns. */
int relay_bridge_end(relay_bridge *b);

#endif
