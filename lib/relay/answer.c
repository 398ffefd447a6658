/* SPDX-License-Identifier: Apache-2.0 */
/* answer.c - complete responses that do not go through ErrorDocument */
#include <http_protocol.h>
#include <http_request.h>
#include <util_filter.h>

#include "relay/relay.h"

int relay_answer(request_rec *r, int status, const char *status_line,
                 const char *content_type, const void *body, size_t len,
                 bool close)
{
    apr_bucket_alloc_t *alloc = r->connection->bucket_alloc;
    apr_bucket_brigade *bb = apr_brigade_create(r->pool, alloc);
    if (close)
        r->connection->keepalive = AP_CONN_CLOSE;
    else
        ap_discard_request_body(r);
    r->status = status;
    r->status_line = status_line;
    if (content_type)
        ap_set_content_type(r, content_type);
    ap_set_content_length(r, (apr_off_t)len);
    if (len > 0)
        APR_BRIGADE_INSERT_TAIL(bb, apr_bucket_heap_create(body, len, NULL,
                                                           alloc));
    APR_BRIGADE_INSERT_TAIL(bb, apr_bucket_eos_create(alloc));
    ap_pass_brigade(r->proto_output_filters, bb);
    return OK;
}
