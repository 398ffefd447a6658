/* SPDX-License-Identifier: Apache-2.0 */
/* sock.h - sending and receiving on a stream socket without ever waiting,
 * whatever mode it is in */
#ifndef RELAY_SOCK_H
#define RELAY_SOCK_H

#include <stddef.h>
#include <sys/uio.h>

/* Results of relay_sock_recv besides a number of bytes. */
#define RELAY_SOCK_NOTHING 0 /* there is nothing now */
#define RELAY_SOCK_END (-1)  /* the peer sends no more */
#define RELAY_SOCK_BROKEN (-2)

/* Sends n pieces in their order, and returns how many bytes the socket took; 0
 * when it takes none now, -1 when it is broken. No SIGPIPE. */
long relay_sock_send(int fd, const struct iovec *v, int n);

/* Receives up to size bytes (more than 0), and returns how many, or one of the
 * above. */
long relay_sock_recv(int fd, void *buf, size_t size);

/* The bytes of n pieces. */
size_t relay_sock_total(const struct iovec *v, int n);

#endif
