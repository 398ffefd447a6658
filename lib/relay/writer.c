/* SPDX-License-Identifier: Apache-2.0 */
/*
 * writer.c - NOTES
 *
 * The stream on the sink is a sequence of whole PDUs. left > 0 means that
 * an RPC PDU is on the wire and only its own bytes may follow. Between PDUs
 * the lane goes first and goes completely, so a partly written RTS PDU is
 * always followed by its rest.
 *
 * Bytes are taken from the queue and, only when it is empty, from the slice
 * at hand. Every PDU's common header is contiguous in its first slice (see
 * rpch_step), so at a boundary either nothing or a whole header is there; but a
 * queue that is being inherited comes in any pieces, and part of a header
 * waits for its rest.
 */
#include "relay/writer.h"

#include <string.h>

#include "relay/call.h"

/* The unqueued slice of the call. */
typedef struct slice {
    const uint8_t *p;
    size_t len;
} slice;

void relay_writer_init(relay_writer *w, relay_half *half, bool with_lane,
                       relay_sink_fn *sink, void *baton, relay_blocks *blocks)
{
    memset(w, 0, sizeof(*w));
    w->half = half;
    w->with_lane = with_lane;
    w->sink = sink;
    w->baton = baton;
    relay_sendq_init(&w->queue, blocks);
}

static const uint8_t *lane_buf(const relay_writer *w, size_t *len)
{
    *len = 0;
    if (!w->with_lane)
        return NULL;
    if (w->half->dir == RELAY_OUT)
        return relay_half_client_buf(w->half, len);
    return rpch_lane_buf(relay_half_to_server(w->half), len);
}

static void lane_ack(relay_writer *w, size_t len, rpch_msec now)
{
    if (w->half->dir == RELAY_OUT)
        relay_half_client_ack(w->half, len, now);
    else
        relay_half_server_ack(w->half, len);
}

/* Bytes that the sink took of p; notes a full or broken sink. */
static size_t to_sink(relay_writer *w, const uint8_t *p, size_t len)
{
    long n = w->sink(w->baton, p, len);
    if (n < 0) {
        w->broken = true;
        return 0;
    }
    w->full = (size_t)n < len;
    return (size_t)n;
}

/* True when the lane is empty afterwards. */
static bool flush_lane(relay_writer *w, rpch_msec now)
{
    size_t len, n;
    const uint8_t *p;
    while ((p = lane_buf(w, &len)) != NULL && !w->full && !w->broken) {
        n = to_sink(w, p, len);
        lane_ack(w, n, now);
        w->lane_moved = w->lane_moved || n > 0;
    }
    return p == NULL;
}

/* At a boundary: whether the next RPC PDU starts now. */
static bool start_pdu(relay_writer *w, const slice *s, int *status)
{
    uint8_t head[RPCH_PDU_HEADER_SIZE];
    const char *reason;
    rpch_pdu pdu;
    size_t n = relay_sendq_peek(&w->queue, head, sizeof(head));
    if (n > 0 && n < sizeof(head))
        return false;
    if (n == 0) {
        n = s->len < sizeof(head) ? s->len : sizeof(head);
        if (n == 0)
            return false;
        memcpy(head, s->p, n);
    }
    if (rpch_pdu_parse(head, n, &pdu, &reason) != RPCH_OK) {
        *status = RPCH_E_BUG;
        relay_half_fail(w->half, RPCH_E_BUG, "a queued PDU has no header");
        return false;
    }
    if (!relay_half_may_send(w->half, pdu.frag_len))
        return false;
    *status = relay_half_pdu_begin(w->half, pdu.frag_len);
    if (*status != RPCH_OK)
        return false;
    w->pdu_len = w->left = pdu.frag_len;
    w->answer = relay_call_ends(head);
    return true;
}

/* Writes bytes of the current PDU; false when there are none at hand or the
 * sink took none. */
static bool write_rpc(relay_writer *w, slice *s, rpch_msec now)
{
    size_t len, n;
    const uint8_t *p = relay_sendq_front(&w->queue, &len);
    bool queued = p != NULL;
    if (!queued) {
        p = s->p;
        len = s->len;
    }
    if (len > w->left)
        len = w->left;
    if (len == 0)
        return false;
    n = to_sink(w, p, len);
    if (queued) {
        relay_sendq_drop(&w->queue, n);
    } else {
        s->p += n;
        s->len -= n;
    }
    w->left -= (uint32_t)n;
    w->rpc_moved = w->rpc_moved || n > 0;
    if (n > 0 && w->left == 0) {
        w->calls_ended += w->answer;
        relay_half_pdu_done(w->half, w->pdu_len, now);
    }
    return n > 0;
}

static int pump(relay_writer *w, slice *s, rpch_msec now)
{
    int status = RPCH_OK;
    while (!w->full && !w->broken) {
        if (w->left == 0) {
            if (!flush_lane(w, now) || !start_pdu(w, s, &status))
                break;
        }
        if (!write_rpc(w, s, now))
            break;
    }
    return status;
}

int relay_writer_pass(relay_writer *w, const rpch_step *step, rpch_msec now)
{
    slice s = { step->pass, step->pass_len };
    int status = pump(w, &s, now);
    if (status != RPCH_OK || s.len == 0)
        return status;
    if (relay_sendq_push(&w->queue, s.p, s.len) != APR_SUCCESS) {
        relay_half_fail(w->half, RPCH_E_ROOM, "out of memory for queued data");
        return RPCH_E_ROOM;
    }
    return RPCH_OK;
}

int relay_writer_flush(relay_writer *w, rpch_msec now)
{
    slice none = { NULL, 0 };
    return pump(w, &none, now);
}

bool relay_writer_pending(const relay_writer *w)
{
    size_t len;
    return w->queue.bytes > 0 || lane_buf(w, &len) != NULL;
}

void relay_writer_writable(relay_writer *w)
{
    w->full = false;
}

void relay_writer_resume(relay_writer *w, uint32_t pdu_len, uint32_t left)
{
    w->pdu_len = pdu_len;
    w->left = left;
}

void relay_writer_close(relay_writer *w)
{
    relay_sendq_clear(&w->queue);
}
