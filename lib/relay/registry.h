/* SPDX-License-Identifier: Apache-2.0 */
/*
 * registry.h - the channels of this child and their mailboxes: how a broker
 * thread hands a new link to a channel, and wakes it: by the mailbox's eventfd,
 * or by the bell of the task that a poller drives.
 */
#ifndef RELAY_REGISTRY_H
#define RELAY_REGISTRY_H

#include <apr_errno.h>
#include <apr_pools.h>

#include "relay/msg.h"
#include "relay/poller.h"
#include "relay/waker.h"

typedef struct relay_registry relay_registry;

/* Links that may wait in one mailbox; further ones are closed. */
#define RELAY_MAILBOX_LINKS_MAX 4

/* One channel's mailbox. */
typedef struct relay_mailbox {
    uint64_t number;   /* the channel's number in this child, never reused */
    int event_fd;      /* readable when something happened; -1 with a bell */
    relay_task *bell;  /* rung when something happened */
    struct relay_mail *mail;    /* links not taken yet, the oldest first */
    struct relay_mailbox *next; /* in its bucket */
} relay_mailbox;

/* Makes an empty registry; freed with pool. */
apr_status_t relay_registry_create(relay_registry **out, apr_pool_t *pool);

/* Enters box: gives it a number (from 1 on), and an eventfd unless there is a
 * bell to ring, which need not have been added to its poller yet. Box and bell
 * are the caller's and must stay until relay_registry_leave. What the system
 * says when there is no eventfd: then the box is not entered. */
apr_status_t relay_registry_enter(relay_registry *reg, relay_mailbox *box,
                                  relay_task *bell);

/* Leaves: closes the eventfd and links never taken. The number is dead, and
 * the bell is rung no more. */
void relay_registry_leave(relay_registry *reg, relay_mailbox *box);

/* Wakes channel number; false when there is none. Any thread. */
bool relay_registry_wake(relay_registry *reg, uint64_t number);

/* A waker that wakes the channel of box, by its number, as long as reg is
 * there. */
void relay_registry_waker(relay_registry *reg, const relay_mailbox *box,
                          relay_waker *out);

/* Wakes all. Any thread. */
void relay_registry_wake_all(relay_registry *reg);

/* Gives a link to channel number and wakes it; false (fd still the caller's)
 * when there is none, its box is full or memory is out. Any thread. */
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
