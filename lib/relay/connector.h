/* SPDX-License-Identifier: Apache-2.0 */
/*
 * connector.h - a TCP connection to the first reachable of several targets:
 * each is resolved, and all its addresses are tried in turn, within one
 * deadline. A step machine: it never blocks.
 *
 * A refusal goes on to the next address at once. What does not answer gets
 * an equal share of the time that is left: it is divided by the addresses of
 * this target that are still to be tried and the targets after it. So one
 * dead address, or one name that hangs, does not use up the time of all.
 */
#ifndef RELAY_CONNECTOR_H
#define RELAY_CONNECTOR_H

#include "relay/resolver.h"
#include "rpch/rpch.h"

typedef struct relay_candidate {
    const char *host; /* name or literal, without brackets */
    unsigned short port;
} relay_candidate;

#define RELAY_CONNECTOR_ERROR_SIZE 256

typedef struct relay_connector {
    relay_resolver *resolver;
    const relay_candidate *to; /* borrowed */
    int n;
    relay_waker waker;
    rpch_msec deadline;     /* of the whole */
    int at;                 /* candidate being tried */
    relay_lookup *lookup;   /* of candidate at, or NULL */
    int addr;               /* address of the lookup being tried */
    int fd;                 /* connecting or connected socket, or -1 */
    rpch_msec try_deadline; /* of this lookup or address: its share */
    relay_addr prefer;      /* tried before everything else when len > 0 */
    bool preferring;        /* prefer is being tried, or about to be */
    relay_addr peer;        /* the address that fd connects to */
    /* What failed last: "ex1:6001 (192.0.2.1): Connection refused". */
    char error[RELAY_CONNECTOR_ERROR_SIZE];
} relay_connector;

/* Starts: to[0..n), borrowed until relay_connector_close, is tried in order
 * until deadline. prefer may be NULL; it is the address that the other half
 * of the connection chose, tried first and not a second time. waker (copied) is
 * called by another thread when a name was resolved. */
void relay_connector_init(relay_connector *c, relay_resolver *resolver,
                          const relay_candidate *to, int n,
                          const relay_addr *prefer, const relay_waker *waker,
                          rpch_msec deadline);

/* Goes on as far as possible at time now. RPCH_AGAIN: poll
 * relay_connector_fd for writing, and wait for the waker, until
 * relay_connector_deadline. RPCH_OK: connected; the caller takes c->fd (and
 * sets it to -1), a non-blocking, close-on-exec socket with TCP_NODELAY;
 * c->peer is its address. RPCH_E_CONNECT: all failed or time is up, for good;
 * text in c->error. */
int relay_connector_step(relay_connector *c, rpch_msec now);

/* The descriptor to poll for writing, or -1. */
int relay_connector_fd(const relay_connector *c);

/* When to call relay_connector_step again at the latest. */
rpch_msec relay_connector_deadline(const relay_connector *c);

/* Releases everything but a taken socket. */
void relay_connector_close(relay_connector *c);

#endif
