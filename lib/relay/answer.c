/* SPDX-License-Identifier: Apache-2.0 */
/* answer.c - complete responses that do not go through ErrorDocument */
#include <apr_strings.h>
#include <http_protocol.h>
#include <http_request.h>
#include <unistd.h>
#include <util_filter.h>

#include "relay/relay.h"
#include "rpch/base64.h"
#include "rpch/eeinfo.h"

/* The longest status line, its end included, 2.1.2.1.3. */
#define LINE_MAX_SIZE 1024

/* Our own generating component ("RPXC"), and where in it. */
#define EE_COMPONENT 0x52505843u
#define EE_LOCATION_LIMIT 1

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

void relay_answer_continue(request_rec *r)
{
    int status = r->status;
    const char *line = r->status_line;
    if (!r->expecting_100)
        return;
    r->status = HTTP_CONTINUE;
    r->status_line = NULL;
    ap_send_interim_response(r, 0);
    r->status = status;
    r->status_line = line;
}

/* The record of an error, in base64; NULL when there is none. */
static const char *eeinfo_of(request_rec *r, unsigned code)
{
    bool unavailable = code == RELAY_RPC_UNAVAILABLE;
    const char *name = r->server->server_hostname;
    const char *target = apr_table_get(r->subprocess_env, "RPC_TARGET");
    uint8_t blob[RPCH_EE_BLOB_MAX];
    rpch_ee_record record;
    size_t len;
    char *text;
    memset(&record, 0, sizeof(record));
    record.has_computer = name != NULL;
    apr_cpystrn(record.computer, name ? name : "", sizeof(record.computer));
    record.pid = (uint32_t)getpid();
    record.time = rpch_ee_time((uint64_t)apr_time_sec(apr_time_now()));
    record.component = unavailable ? RPCH_EE_COMPONENT_PROXY : EE_COMPONENT;
    record.location = unavailable ? RPCH_EE_LOCATION_CONNECT
                                  : EE_LOCATION_LIMIT;
    record.status = code;
    record.params = target != NULL;
    record.param[0].type = RPCH_EE_UNICODE;
    apr_cpystrn(record.param[0].text, target ? target : "",
                sizeof(record.param[0].text));
    if (rpch_ee_encode(&record, blob, sizeof(blob), &len) != RPCH_OK)
        return NULL;
    text = apr_palloc(r->pool, RPCH_BASE64_SIZE(len) + 1);
    rpch_base64_encode(blob, len, text, RPCH_BASE64_SIZE(len) + 1);
    return text;
}

int relay_answer_error(request_rec *r, unsigned code, bool extended)
{
    const char *line = apr_psprintf(r->pool, "503 RPC Error: %x", code);
    const char *info = extended ? eeinfo_of(r, code) : NULL;
    const char *body = "";
    if (info) {
        const char *more = apr_pstrcat(r->pool, line, ", EEInfo: ", info,
                                       NULL);
        if (sizeof("HTTP/1.1 \r\n") - 1 + strlen(more) <= LINE_MAX_SIZE)
            line = more;
        body = apr_pstrcat(r->pool, "RPC EEInfo:", info, "\r\n", NULL);
    }
    return relay_answer(r, HTTP_SERVICE_UNAVAILABLE, line, NULL, body,
                        strlen(body), true);
}
