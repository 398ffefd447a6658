/* SPDX-License-Identifier: Apache-2.0 */
/* load_http.h - heads of HTTP requests and responses, 2.1.2.1 */
#ifndef LOAD_HTTP_H
#define LOAD_HTTP_H

#include "load_options.h"

/* The longest head that is made or read. */
#define LOAD_HEAD_MAX 2048u

/* Requests that rpch-load makes. */
typedef enum load_request {
    LOAD_REQUEST_IN,
    LOAD_REQUEST_OUT,
    LOAD_REQUEST_V1,
    LOAD_REQUEST_CONNECT,
    LOAD_REQUEST_GET
} load_request;

/* What a response head says. */
typedef struct load_response {
    int status;
    size_t size;     /* of the head */
    uint64_t length; /* Content-Length; UINT64_MAX: there is none */
    bool closes;     /* Connection: close */
} load_response;

/* Makes the head of a request of the connection of that number; length is its
 * Content-Length where it has one. Returns its size, 0 when it is too long. */
size_t load_http_head(const load_options *o, load_request request,
                      uint64_t number, uint64_t length,
                      char out[LOAD_HEAD_MAX]);

/* Reads the head at p: 1; 0 when it is not whole; -1 when it is no HTTP. */
int load_http_parse(const uint8_t *p, size_t len, load_response *r);

#endif
