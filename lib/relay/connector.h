/* SPDX-License-Identifier: Apache-2.0 */
/*
 * connector.h - a TCP connection to the first reachable of several targets:
 * each is resolved, and all its addresses are tried in turn, within one
 * deadline. A step machine: it never blocks.
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
    int wake_fd;
    rpch_msec deadline;     /* of the whole */
    int at;                 /* candidate being tried */
    relay_lookup *lookup;   /* of candidate at, or NULL */
    int addr;               /* address of the lookup being tried */
    int fd;                 /* connecting or connected socket, or -1 */
    rpch_msec try_deadline; /* of this address: its share of what is left, so that one dead address does not use up the time of all */
    relay_addr prefer;      /* tried before everything else when len > 0 */
    bool preferring;
    relay_addr peer;        /* the address that fd connects to */
    char error[RELAY_CONNECTOR_ERROR_SIZE]; /* what failed last: "ex1:6001 (192.0.2.1): Connection refused" */
} relay_connector;

/* Starts: to[0..n) is tried in order until deadline. prefer may be NULL; it is the
 * address that the other half of the connection chose. wake_fd is an eventfd that is
 * written when a name was resolved. */
void relay_connector_init(relay_connector *c, relay_resolver *resolver,
                          const relay_candidate *to, int n,
                          const relay_addr *prefer, int wake_fd,
                          rpch_msec deadline);

/* Goes on as far as possible at time now. RPCH_AGAIN: poll
 * relay_connector_fd for writing and the wake_fd for reading, until relay_connector_deadline. RPCH_OK:
 * connected; the caller takes c->fd (and sets it to -1), a non-blocking, close-on-exec socket with TCP_NODELAY; c->peer is its address.
 * RPCH_E_CONNECT: all failed or time is up; text in c->error. */
int relay_connector_step(relay_connector *c, rpch_msec now);

/* The descriptor to poll for writing, or -1. */
int relay_connector_fd(const relay_connector *c);

/* When to call relay_connector_step again at the latest. */
rpch_msec relay_connector_deadline(const relay_connector *c);

/* Releases everything but a taken socket. */
void relay_connector_close(relay_connector *c);

#endif
