/* SPDX-License-Identifier: Apache-2.0 */
/*
 * broker.h - the socket by which the channels of other children (and of this
 * one) reach ours.
 *
 * Each child listens at <dir>/<pid>-<nonce> on a Unix SEQPACKET socket, served
 * by the child's service thread. A caller says HELLO, then JOIN, ATTACH or
 * WAKE; the broker hands the socket of a JOIN or an ATTACH to the channel it
 * names, or says REFUSE when that channel is gone or its mailbox full.
 */
#ifndef RELAY_BROKER_H
#define RELAY_BROKER_H

#include "relay/link.h"
#include "relay/registry.h"
#include "relay/table.h"

typedef struct relay_broker relay_broker;

/* Callers kept that have not said HELLO and what they want yet; for a further
 * one the oldest of them is dropped. */
#define RELAY_BROKER_GREETING_MAX 64
/* A caller has that long for both, ms. */
#define RELAY_BROKER_GREETING_MSEC 5000

/* Longest path of a socket directory: what sun_path leaves after the name. */
#define RELAY_BROKER_DIR_MAX 64

/* Writes the socket path of child owner to out (room bytes, terminator
 * included). APR_ENAMETOOLONG when it fits neither there nor in sun_path. */
apr_status_t relay_broker_path(const char *dir, const relay_owner *owner,
                               char *out, size_t room);

/* Binds the socket of child self (mode 0600) and listens; dir must exist and
 * should be 0700. APR_ENAMETOOLONG as above, or what the system says. The
 * socket is closed and its name removed with pool, which must outlive the
 * service thread; relay_broker_unlink removes the name alone. dir NULL: there
 * is no socket and no caller; all that is left for relay_broker_serve is to
 * wait for relay_broker_interrupt. */
apr_status_t relay_broker_create(relay_broker **out, const char *dir,
                                 const relay_owner *self,
                                 relay_registry *registry, apr_pool_t *pool);

/* Serves for at most max_msec: accepts, reads greetings, delivers, wakes.
 * Called again and again by the service thread, and by nobody else. Only
 * callers of this user (SO_PEERCRED: same effective uid, or root) are
 * heard. Anything but a correct greeting closes that connection alone. */
void relay_broker_serve(relay_broker *b, int max_msec);

/* Makes a running relay_broker_serve, or the next one, return soon. Any
 * thread; async-signal-safe. */
void relay_broker_interrupt(relay_broker *b);

/* Removes the socket's name; async-signal-safe. */
void relay_broker_unlink(relay_broker *b);

/* Tells child owner's broker in dir to wake owner->channel, which looks at
 * the table again. self goes into HELLO. Best effort: the channel also looks
 * by itself once a second. Never blocks. */
void relay_broker_wake(const char *dir, const relay_owner *self,
                       const relay_owner *owner, const rpch_cookie *vc);

#endif
