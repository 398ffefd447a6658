/* SPDX-License-Identifier: Apache-2.0 */
/*
 * registry.h - the channels of this child and their mailboxes: how a broker
 * thread hands a new link to a channel, and wakes it.
 */
#ifndef RELAY_REGISTRY_H
#define RELAY_REGISTRY_H

#include <apr_errno.h>
#include <apr_pools.h>

#include "relay/msg.h"

typedef struct relay_registry relay_registry;

/* Links that may wait in one mailbox; further ones are closed. */
#define RELAY_MAILBOX_LINKS_MAX 4

/* One channel's mailbox. */
typedef struct relay_mailbox {
    uint64_t number;   /* the channel's number in this child, never reused */
    int event_fd;      /* readable when something happened; poll it */
    struct {
        int fd;         /* a link whose greeting was read */
        relay_msg join; /* its JOIN or ATTACH (no borrowed pointers in it) */
    } link[RELAY_MAILBOX_LINKS_MAX];
    int links;
    struct relay_mailbox *next; /* in its bucket */
} relay_mailbox;

/* Makes an empty registry; freed with pool. */
apr_status_t relay_registry_create(relay_registry **out, apr_pool_t *pool);

/* Enters box: gives it a number (from 1 on) and an eventfd. The box is the
 * caller's and must stay until relay_registry_leave. What the system says
 * when there is no eventfd: then the box is not entered. */
apr_status_t relay_registry_enter(relay_registry *reg, relay_mailbox *box);

/* Leaves: closes the eventfd and links never taken. The number is dead. */
void relay_registry_leave(relay_registry *reg, relay_mailbox *box);

/* Wakes channel number; false when there is none. Any thread. */
bool relay_registry_wake(relay_registry *reg, uint64_t number);

/* Wakes all. Any thread. */
void relay_registry_wake_all(relay_registry *reg);

/* Gives a link to channel number and wakes it; false (fd still the caller's)
 * when there is none or its box is full. Any thread. */
bool relay_registry_deliver(relay_registry *reg, uint64_t number, int fd,
                            const relay_msg *join);

/* The channel takes what came: empties the eventfd, and moves the oldest link
 * to *fd and *join, if there is any (true). Call until false: only then has
 * everything that the eventfd announced been seen. */
bool relay_registry_take(relay_registry *reg, relay_mailbox *box, int *fd,
                         relay_msg *join);

/* Channels entered now. */
unsigned relay_registry_count(relay_registry *reg);

#endif
