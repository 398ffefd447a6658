/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bridge_down.c - what the inner proxy answers: heads, and a body in any
 * framing of RFC 9112, which the client gets in one that it understands.
 */
#include <http_core.h>
#include <http_protocol.h>
#include <mod_core.h>
#include <util_filter.h>

#include "relay/bridge_private.h"

/* Interim responses before one that counts. */
#define INTERIMS 8

/* Of the filters for content only mod_headers's has work here: others would
 * hold or change the stream. */
static void keep_header_filter(request_rec *r)
{
    ap_filter_rec_t *headers = ap_get_output_filter_handle("fixup_headers_out");
    ap_filter_t **f = &r->output_filters;
    while (*f != r->proto_output_filters && *f != NULL) {
        if ((*f)->frec == headers)
            f = &(*f)->next;
        else
            *f = (*f)->next;
    }
}

static bool is_success(int status)
{
    return status >= 200 && status < 300;
}

/* The response that counts has begun. */
static void answered(relay_bridge *b)
{
    request_rec *r = b->r;
    relay_head *h = &b->head;
    b->body = relay_head_body(h, r->header_only);
    b->left = b->body == RELAY_BODY_LENGTH ? h->length : 0;
    b->inner_keeps = h->keeps && b->body != RELAY_BODY_CLOSE;
    b->phase = RELAY_BRIDGE_ANSWERED;
    b->stream = is_success(h->status)
             && (b->body == RELAY_BODY_CHUNKED || b->body == RELAY_BODY_CLOSE
                 || b->left > RELAY_BRIDGE_SHORT);
    b->job->respond(b->job->baton, r, h);
    apr_table_unset(r->headers_out, "Content-Length");
    apr_table_unset(r->headers_out, "Transfer-Encoding");
    if (h->length >= 0 && !h->coded)
        ap_set_content_length(r, (apr_off_t)h->length);
    b->observe_down = b->job->observe && is_success(h->status);
    relay_head_clear(h);
    relay_chunks_init(&b->chunks);
    if (b->body == RELAY_BODY_NONE
        || (b->body == RELAY_BODY_LENGTH && b->left == 0))
        b->phase = RELAY_BRIDGE_COMPLETE;
    /* In this way httpd still uses chunks where no length is known. */
    if (!b->stream && (!b->client.borrowed || !b->inner_keeps))
        apr_table_setn(r->headers_out, "Connection", "close");
    keep_header_filter(r);
    relay_io_begin(&b->client, &r->output_filters);
}

/* A whole head: an interim one is read over, for the front itself has told
 * the client to go on. */
static void head_came(relay_bridge *b)
{
    if (b->head.status >= 200) {
        answered(b);
        return;
    }
    if (b->head.status == HTTP_SWITCHING_PROTOCOLS)
        relay_bridge_blame(b, HTTP_BAD_GATEWAY, "the inner proxy switched "
                          "protocols, which nobody had asked for");
    else if (++b->interims > INTERIMS)
        relay_bridge_blame(b, HTTP_BAD_GATEWAY, "the inner proxy sent too many "
                          "interim responses");
    relay_head_clear(&b->head);
}

/* Bytes of heads; returns how many were taken. */
static size_t read_head(relay_bridge *b, const uint8_t *p, size_t len)
{
    size_t at = 0, used;
    while (at < len && b->phase == RELAY_BRIDGE_ASKED && !b->finished) {
        switch (relay_head_feed(&b->head, p + at, len - at, &used)) {
        case RELAY_HEAD_MORE:
            return len;
        case RELAY_HEAD_DONE:
            at += used;
            head_came(b);
            break;
        case RELAY_HEAD_BAD:
            relay_bridge_blame(b, HTTP_BAD_GATEWAY, b->head.error);
            break;
        case RELAY_HEAD_NO_MEMORY:
            relay_bridge_fail(b, HTTP_INTERNAL_SERVER_ERROR, "out of memory "
                              "for the inner proxy's response");
        }
    }
    return at;
}

/* Bytes of the body, without their framing. */
static void pass(relay_bridge *b, const uint8_t *p, size_t len)
{
    struct iovec v = { (void *)(uintptr_t)p, len };
    if (len == 0)
        return;
    if (b->observe_down) {
        rpch_observer_feed(&b->seen_down, p, len);
        if (b->job->strict && b->seen_down.error) {
            relay_bridge_blame(b, HTTP_BAD_GATEWAY, b->seen_down.error);
            return;
        }
    }
    b->down_bytes += len;
    if (relay_pipe_push(&b->down, &v, 1) != APR_SUCCESS)
        relay_bridge_fail(b, HTTP_INTERNAL_SERVER_ERROR,
                          "out of memory for queued data");
}

static size_t read_length(relay_bridge *b, const uint8_t *p, size_t len)
{
    size_t n = (int64_t)len < b->left ? len : (size_t)b->left;
    pass(b, p, n);
    b->left -= (int64_t)n;
    if (b->left == 0)
        b->phase = RELAY_BRIDGE_COMPLETE;
    return n;
}

static size_t read_chunks(relay_bridge *b, const uint8_t *p, size_t len)
{
    relay_chunks_state state = RELAY_CHUNKS_MORE;
    const uint8_t *data;
    size_t at = 0, used, n;
    while (at < len && state == RELAY_CHUNKS_MORE && !b->finished) {
        state = relay_chunks_feed(&b->chunks, p + at, len - at, &used, &data,
                                  &n);
        if (state == RELAY_CHUNKS_BAD) {
            relay_bridge_blame(b, HTTP_BAD_GATEWAY, b->chunks.error);
            return len;
        }
        pass(b, data, n);
        at += used;
    }
    if (state == RELAY_CHUNKS_DONE)
        b->phase = RELAY_BRIDGE_COMPLETE;
    return at;
}

static void from_inner(relay_bridge *b, const uint8_t *p, size_t len)
{
    size_t at = read_head(b, p, len);
    if (b->phase == RELAY_BRIDGE_ANSWERED && at < len && !b->finished) {
        if (b->body == RELAY_BODY_LENGTH)
            at += read_length(b, p + at, len - at);
        else if (b->body == RELAY_BODY_CHUNKED)
            at += read_chunks(b, p + at, len - at);
        else {
            pass(b, p + at, len - at);
            at = len;
        }
    }
    b->excess = b->excess || at < len;
}

bool relay_bridge_reads_inner(const relay_bridge *b)
{
    return !b->inner.body_done && !b->inner.gone && !b->client.gone
        && !b->finished && !relay_bridge_down_waits(b)
        && b->phase != RELAY_BRIDGE_COMPLETE;
}

void relay_bridge_read_inner(relay_bridge *b)
{
    uint8_t scratch[RELAY_SCRATCH];
    size_t n;
    while (b->reads_left > 0 && relay_bridge_reads_inner(b)
           && (n = relay_io_read(&b->inner, scratch, sizeof(scratch))) > 0) {
        b->reads_left--;
        b->moved = true;
        from_inner(b, scratch, n);
    }
    if (b->phase != RELAY_BRIDGE_ASKED && !b->client.gone)
        relay_io_head(&b->client);
    if (b->inner.body_done && b->phase == RELAY_BRIDGE_ANSWERED
        && b->body == RELAY_BODY_CLOSE)
        b->phase = RELAY_BRIDGE_COMPLETE;
}
