/* SPDX-License-Identifier: Apache-2.0 */
/*
 * link.h - ordered messages between two channels, with a socket or the end of
 * another link beside them: what a Unix SEQPACKET socket is to real children.
 *
 * An end is named by a number. Messages have a way to go, and room is
 * bounded. An end can be passed on, with what was sent to it and not yet
 * read.
 */
#ifndef SIM_LINK_H
#define SIM_LINK_H

#include "clock.h"
#include "relay/msg.h"

#define SIM_LINKS 24
/* Messages that wait in one direction. */
#define SIM_LINK_ROOM 12

/* What goes beside a message: nothing, a socket, the end of a link. */
#define SIM_NO_FD (-1)
#define SIM_FD_OF_SOCK(n) (n)
#define SIM_FD_OF_LINK(end) (1000 + (end))
#define SIM_FD_IS_LINK(fd) ((fd) >= 1000)
#define SIM_LINK_OF_FD(fd) ((fd) - 1000)

/* No link is left of another run; room: messages (at most SIM_LINK_ROOM). */
void sim_link_start(unsigned room);

/* A new link; its first end, held by a; the other one is the first with its
 * lowest bit flipped, and held by b. -1 when there is no room for it. */
int sim_link_open(int a, int b);

/* The end is that actor's from now on (-1: it is on its way). */
void sim_link_hold(int end, int actor);

/* Encodes and sends m with fd, which is the receiver's then. RPCH_OK;
 * RPCH_AGAIN when there is no room; RPCH_E_CLOSED when the other end is
 * closed: then fd still is the caller's. */
int sim_link_send(int end, const relay_msg *m, int fd);

/* The next message and what came with it; *m is valid until the next call on
 * the end. RPCH_AGAIN: there is none yet. RPCH_E_CLOSED: the other end is
 * closed, and all was read. */
int sim_link_recv(int end, relay_msg *m, int *fd);

/* True when a message is there, or the end of the link. */
bool sim_link_ready(int end);

/* True when the other end is closed, or the link broken. */
bool sim_link_dead(int end);

/* The holder has its turn when the next message is there. */
void sim_link_watch(int end);

/* Closes the end; what was sent to it and not read is dropped. */
void sim_link_close(int end);

/* The link breaks: both ends are at their end. */
void sim_link_break(int end);

/* Gives up what came with a message. */
void sim_fd_drop(int fd);

/* Ends that are not closed. */
unsigned sim_link_ends(void);

/* An end that some channel holds, chosen by chance, or -1. */
int sim_link_any(void);

#endif
