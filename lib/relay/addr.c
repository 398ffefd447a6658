/* SPDX-License-Identifier: Apache-2.0 */
/* addr.c - one IPv4 or IPv6 address with its port, as connect(2) takes it */
#include "relay/addr.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

char *relay_addr_text(const relay_addr *a, char *out)
{
    char ip[INET6_ADDRSTRLEN] = "?";
    char scope[12] = "";

    if (a->len == 0) {
        snprintf(out, RELAY_ADDR_TEXT_SIZE, "none");
    } else if (a->u.sa.sa_family == AF_INET) {
        inet_ntop(AF_INET, &a->u.v4.sin_addr, ip, sizeof(ip));
        snprintf(out, RELAY_ADDR_TEXT_SIZE, "%s:%u", ip,
                 (unsigned)ntohs(a->u.v4.sin_port));
    } else {
        if (a->u.v6.sin6_scope_id)
            snprintf(scope, sizeof(scope), "%%%lu",
                     (unsigned long)a->u.v6.sin6_scope_id);
        inet_ntop(AF_INET6, &a->u.v6.sin6_addr, ip, sizeof(ip));
        snprintf(out, RELAY_ADDR_TEXT_SIZE, "[%s%s]:%u", ip, scope,
                 (unsigned)ntohs(a->u.v6.sin6_port));
    }
    return out;
}

char *relay_addr_network(const char *ip, char *out)
{
    struct in6_addr net;
    char plain[INET6_ADDRSTRLEN];
    size_t len = strcspn(ip, "%");

    snprintf(plain, sizeof(plain), "%.*s", (int)len, ip);
    if (len >= sizeof(plain) || inet_pton(AF_INET6, plain, &net) != 1) {
        snprintf(out, RELAY_ADDR_TEXT_SIZE, "%s", ip);
        return out;
    }
    memset(&net.s6_addr[8], 0, 8);
    inet_ntop(AF_INET6, &net, plain, sizeof(plain));
    snprintf(out, RELAY_ADDR_TEXT_SIZE, "%s/64", plain);
    return out;
}

bool relay_addr_set(relay_addr *a, const struct sockaddr *sa, socklen_t len)
{
    memset(a, 0, sizeof(*a));
    if (len < (socklen_t)sizeof(sa->sa_family))
        return false;
    if (sa->sa_family == AF_INET && len >= (socklen_t)sizeof(a->u.v4))
        a->len = sizeof(a->u.v4);
    else if (sa->sa_family == AF_INET6 && len >= (socklen_t)sizeof(a->u.v6))
        a->len = sizeof(a->u.v6);
    else
        return false;
    memcpy(&a->u, sa, a->len);
    return true;
}

bool relay_addr_equal(const relay_addr *a, const relay_addr *b)
{
    if (a->len == 0 || b->len == 0
        || a->u.sa.sa_family != b->u.sa.sa_family)
        return false;
    if (a->u.sa.sa_family == AF_INET)
        return a->u.v4.sin_port == b->u.v4.sin_port
            && a->u.v4.sin_addr.s_addr == b->u.v4.sin_addr.s_addr;
    return a->u.v6.sin6_port == b->u.v6.sin6_port
        && a->u.v6.sin6_scope_id == b->u.v6.sin6_scope_id
        && memcmp(&a->u.v6.sin6_addr, &b->u.v6.sin6_addr,
                  sizeof(a->u.v6.sin6_addr)) == 0;
}
