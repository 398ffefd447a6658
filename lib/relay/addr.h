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
#define RELAY_ADDR_TEXT_SIZE 72

/* Writes "192.0.2.1:593", "[2001:db8::1]:593" or, with a scope (the number of
 * an interface), "[fe80::1%2]:593" to out, which has RELAY_ADDR_TEXT_SIZE
 * bytes; "none" for no address. Returns out. */
char *relay_addr_text(const relay_addr *a, char *out);

/* The text by which limits know the client with address ip: "192.0.2.1" as it
 * is, and of an IPv6 address its network of 64 bits, "2001:db8:0:1::/64", in
 * which a client chooses its addresses freely. A scope ("%eth0") is dropped;
 * what is no address is copied as far as it fits. out has
 * RELAY_ADDR_TEXT_SIZE bytes and is returned. */
char *relay_addr_network(const char *ip, char *out);

/* Fills *a from a socket address of len bytes; false, and *a no address, when
 * it is neither IPv4 nor IPv6 or too short. */
bool relay_addr_set(relay_addr *a, const struct sockaddr *sa, socklen_t len);

/* True when family, address (with IPv6 its scope) and port are the same. No
 * address equals nothing. */
bool relay_addr_equal(const relay_addr *a, const relay_addr *b);

#endif
