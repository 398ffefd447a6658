/* SPDX-License-Identifier: Apache-2.0 */
/*
 * link.h - ordered messages between two channels over a Unix SEQPACKET
 * socket, within a child and between children alike.
 *
 * Nothing here blocks or queues: what the socket does not take now stays
 * with the caller. End of file without an END message means that the peer
 * died. A link is used by one thread at a time.
 */
#ifndef RELAY_LINK_H
#define RELAY_LINK_H

#include <apr_errno.h>

#include "relay/msg.h"

typedef struct relay_link {
    int fd; /* -1: no link */
} relay_link;

/* No link yet. */
void relay_link_init(relay_link *l);

/* Takes over a connected socket for a link that has none: makes it
 * non-blocking and close-on-exec. relay_link_close closes it. */
void relay_link_adopt(relay_link *l, int fd);

/* Connects a link that has no socket to the broker at path, without blocking.
 * APR_EAGAIN when its backlog is full (try again later), APR_ENAMETOOLONG for
 * a path that sun_path cannot hold; any other error when nobody serves it. */
apr_status_t relay_link_connect(relay_link *l, const char *path);

/* Sends m, and a duplicate of pass_fd when it is not -1 (the caller keeps its
 * own). APR_EAGAIN when the socket is full (nothing was sent), APR_EOF when
 * the peer is gone, APR_EINVAL for a message that cannot be encoded. */
apr_status_t relay_link_send(relay_link *l, const relay_msg *m, int pass_fd);

/* Receives one message into room (RELAY_MSG_SIZE_MAX bytes), which m->pdu and
 * m->data borrow from. *fd gets the descriptor that came with it (the caller
 * closes it; it is close-on-exec and non-blocking) or -1. APR_EAGAIN when
 * there is none, APR_EOF when the peer closed and all it had sent is read,
 * APR_EINVAL for a datagram that is too long, cannot be decoded or brings more
 * than one descriptor: all that came with it are closed, and the link should
 * be. */
apr_status_t relay_link_recv(relay_link *l, uint8_t *room, relay_msg *m,
                             int *fd);

/* Closes the socket, if any. */
void relay_link_close(relay_link *l);

#endif
