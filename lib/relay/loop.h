/* SPDX-License-Identifier: Apache-2.0 */
/*
 * loop.h - who drives a stream: the child's reactor, or the request's own
 * thread with one poll and one worker. Streams do not know which; how one is
 * driven is its relay_driver (reactor.h).
 */
#ifndef RELAY_LOOP_H
#define RELAY_LOOP_H

#include "relay/reactor.h"

/* Drives stream in the request's thread until it has finished, and ends it.
 * Returns what its end returns: the handler's result. */
int relay_loop_run(relay_engine *e, request_rec *r, const relay_driver *d,
                   void *stream);

/* The same without the end: whoever calls may go on with what it finds, under
 * another driver, in relay_loop_run or in the reactor. A mailbox with a bell
 * is looked at no sooner than RELAY_POLL_CAP here. */
void relay_loop_until_finished(relay_engine *e, request_rec *r,
                               const relay_driver *d, void *stream);

/* In the handler, which returns the result: has the reactor drive stream by
 * s, or, when that is NULL, drives it here. */
int relay_loop_serve(relay_engine *e, request_rec *r, relay_stream *s,
                     const relay_driver *d, void *stream);

#endif
