/* SPDX-License-Identifier: Apache-2.0 */
/* addr.h - one IPv4 or IPv6 address with its port, as connect(2) takes it */
#ifndef RELAY_ADDR_H
#define RELAY_ADDR_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

typedef struct relay_addr {
    socklen_t len; /* 0: no address */
    union {
        struct sockaddr sa;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } u;
} relay_addr;

/* Room for relay_addr_text. */
#define RELAY_ADDR_TEXT_SIZE 64

/* Writes "192.0.2.1:593" or "[2001:db8::1]:593" to out, which has
 * RELAY_ADDR_TEXT_SIZE bytes; returns out. */
char *relay_addr_text(const relay_addr *a, char *out);

/* True when family, address and port are the same. */
bool relay_addr_equal(const relay_addr *a, const relay_addr *b);

#endif
