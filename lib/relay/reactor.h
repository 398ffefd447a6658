/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reactor.h - streams without a worker under the event MPM: the handler
 * prepares one and returns SUSPENDED, the suspend_connection hook hands it
 * over, and from then on the child's reactor thread owns connection, request
 * and stream, until it destroys them.
 *
 * A stream is a channel or a tunnel; how it is driven is its relay_driver.
 */
#ifndef RELAY_REACTOR_H
#define RELAY_REACTOR_H

#include "relay/engine.h"
#include "relay/poller.h"

/* What both loops need of a stream. */
typedef struct relay_driver {
    int event;  /* the place of its mailbox among its descriptors */
    /* relay_channel_step and its like. */
    void (*step)(void *stream, const short *revents, rpch_msec now);
    bool (*is_finished)(const void *stream);
    rpch_msec (*interest)(void *stream, struct pollfd *fds, rpch_msec now);
    /* The stream is to end for a reason of ours (static). */
    void (*fail)(void *stream, const char *reason);
    /* It has finished: answer, table, log lines, descriptors. Returns what a
     * handler returns. */
    int (*end)(void *stream);
} relay_driver;

typedef struct relay_stream relay_stream;

/* Starts the reactor of this child when its MPM can suspend requests and
 * RpcProxyAsync allows it; otherwise nothing happens, and every request is
 * served by its own thread. */
apr_status_t relay_reactor_start(relay_engine *e);

/* Ends all streams of a child that stops, with their log lines, and parks the
 * thread. Waits for that, but not for ever: the parent kills in the end. */
void relay_reactor_stop(relay_engine *e);

/* In the handler: a stream for r's connection, or NULL when the request's own
 * thread has to serve it. */
relay_stream *relay_reactor_prepare(relay_engine *e, request_rec *r);

/* The bell that the mailbox of the stream's channel rings. */
relay_task *relay_reactor_bell(relay_stream *s);

/* In the handler, which returns the result: what (driven by driver) is to be
 * served by the reactor. */
int relay_reactor_submit(relay_stream *s, const relay_driver *driver,
                         void *what);

/* In the handler: nothing came of a prepared stream. */
void relay_reactor_cancel(relay_stream *s);

#endif
