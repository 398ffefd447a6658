/* SPDX-License-Identifier: Apache-2.0 */
/* load_http.c - heads of HTTP requests and responses */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* memmem */
#endif
#include "load_http.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "../tools/rpcl_head.h"
#include "rpch/base64.h"

#define USER_MAX 255u

/* "Authorization: Basic ...\r\n", or nothing; false when it is too long. */
static bool put_user(const load_options *o, char *out, size_t room)
{
    char text[RPCH_BASE64_SIZE(USER_MAX) + 1];
    size_t len;

    out[0] = '\0';
    if (o->user == NULL)
        return true;
    len = strlen(o->user);
    if (len > USER_MAX
        || rpch_base64_encode((const uint8_t *)o->user, len, text,
                              sizeof(text)) != RPCH_OK)
        return false;
    return snprintf(out, room, "Authorization: Basic %s\r\n", text)
         < (int)room;
}

size_t load_http_head(const load_options *o, load_request request,
                      uint64_t number, uint64_t length,
                      char out[LOAD_HEAD_MAX])
{
    static const char *const method[] = {
        "RPC_IN_DATA", "RPC_OUT_DATA", "RPC_CONNECT"
    };
    const char *host = o->authority[number % o->n_places];
    const char *server = o->n_servers > 0 ? o->server[number % o->n_servers]
                                          : "";
    char user[512], size[64] = "";
    int n;

    if (!put_user(o, user, sizeof(user)))
        return 0;
    if (request == LOAD_REQUEST_IN || request == LOAD_REQUEST_OUT)
        snprintf(size, sizeof(size), "Content-Length: %llu\r\n",
                 (unsigned long long)length);
    if (request == LOAD_REQUEST_GET)
        n = snprintf(out, LOAD_HEAD_MAX,
                     "GET %s HTTP/1.1\r\nHost: %s\r\n%s\r\n", o->path, host,
                     user);
    else if (request == LOAD_REQUEST_CONNECT)
        n = snprintf(out, LOAD_HEAD_MAX,
                     "CONNECT %s HTTP/1.1\r\nHost: %s\r\n%s\r\n", server,
                     server, user);
    else
        n = snprintf(out, LOAD_HEAD_MAX,
                     "%s %s?%s HTTP/1.1\r\n"
                     "Cache-Control: no-cache\r\n"
                     "Connection: Keep-Alive\r\n"
                     "Pragma: No-cache\r\n"
                     "Accept: application/rpc\r\n"
                     "User-Agent: MSRPC\r\n"
                     "Host: %s\r\n%s%s\r\n",
                     method[request], o->url, server, host, user, size);
    return n > 0 && n < (int)LOAD_HEAD_MAX ? (size_t)n : 0;
}

int load_http_parse(const uint8_t *p, size_t len, load_response *r)
{
    const uint8_t *end = memmem(p, len, "\r\n\r\n", 4);
    char head[LOAD_HEAD_MAX + 1];
    const char *value;

    if (end == NULL)
        return len < LOAD_HEAD_MAX ? 0 : -1;
    r->size = (size_t)(end - p) + 4;
    if (r->size > LOAD_HEAD_MAX)
        return -1;
    memcpy(head, p, r->size);
    head[r->size] = '\0';
    if (sscanf(head, "HTTP/%*d.%*d %d", &r->status) != 1 || r->status < 100)
        return -1;
    value = rpcl_head_field(head, "Content-Length");
    r->length = value != NULL ? strtoull(value, NULL, 10) : UINT64_MAX;
    value = rpcl_head_field(head, "Connection");
    r->closes = value != NULL && strncasecmp(value, "close", 5) == 0;
    return 1;
}
