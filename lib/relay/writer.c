/* SPDX-License-Identifier: Apache-2.0 */
/*
 * writer.c - NOTES
 *
 * The stream on the sink is a sequence of whole PDUs. left > 0 means that
 * an RPC PDU is on the wire and only its own bytes may follow. Between PDUs
 * the lane goes first and goes completely, so a partly written RTS PDU is
 * always followed by its rest.
 *
 * What waits is the queue and, behind it, the spans of the chunk at hand. A
 * load is as much of that as may go, with the lane at the first boundary: PDUs
 * are looked at in advance, the sink is called once, and when it has said how
 * much it took they are begun and done one after the other. What it did not
 * take was never begun, but for the PDU on the wire: it may still go to a
 * successor.
 *
 * Every PDU's common header is contiguous in its first slice (see rpch_step),
 * but blocks cut it, and a queue that is being inherited comes in any pieces:
 * part of a header waits for its rest.
 */
#include "relay/writer.h"

#include <string.h>

#include "relay/call.h"
#include "relay/pieces.h"

/* Pieces and PDUs of one load. */
#define LOAD_PIECES 48
#define LOAD_PDUS 256

typedef struct load {
    struct iovec v[LOAD_PIECES + 2]; /* with the lane, and what it parts */
    int n;
    size_t bytes;              /* of the pieces */
    size_t lane;               /* of these, of the lane */
    struct {
        uint16_t len;
        bool answer;
    } pdu[LOAD_PDUS];          /* behind the one begun */
    int pdus;
} load;

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

/* Bytes that the sink took of len in n pieces; notes a full or broken sink. */
static size_t to_sink(relay_writer *w, const struct iovec *v, int n,
                      size_t len)
{
    long taken = w->sink(w->baton, v, n);
    if (taken < 0) {
        w->broken = true;
        return 0;
    }
    w->full = (size_t)taken < len;
    return (size_t)taken;
}

/* True when the lane is empty afterwards. */
static bool flush_lane(relay_writer *w, rpch_msec now)
{
    size_t len, n;
    const uint8_t *p;
    while ((p = lane_buf(w, &len)) != NULL && !w->full && !w->broken) {
        struct iovec v = { (void *)(uintptr_t)p, len };
        n = to_sink(w, &v, 1, len);
        lane_ack(w, n, now);
        w->lane_moved = w->lane_moved || n > 0;
    }
    return p == NULL;
}

/* All that waits, as far as the pieces reach. */
static void look(const relay_writer *w, load *l)
{
    int i;
    l->n = relay_sendq_view(&w->queue, l->v, LOAD_PIECES);
    for (i = 0; i < w->spans && l->n < LOAD_PIECES; i++)
        l->v[l->n++] = w->span[i];
    l->bytes = 0;
    for (i = 0; i < l->n; i++)
        l->bytes += l->v[i].iov_len;
    l->pdus = 0;
    l->lane = 0;
}

/* The PDU at p, of which there are at least as many bytes as a header has. */
static int read_header(relay_place p, uint32_t *len, bool *answer)
{
    uint8_t room[RPCH_PDU_HEADER_SIZE];
    const uint8_t *head = relay_place_whole(p, sizeof(room), room);
    const char *reason;
    rpch_pdu pdu;
    if (rpch_pdu_parse(head, sizeof(room), &pdu, &reason) != RPCH_OK)
        return RPCH_E_SYNTAX;
    *len = pdu.frag_len;
    *answer = relay_call_ends(head);
    return RPCH_OK;
}

static int no_header(relay_writer *w)
{
    relay_half_fail(w->half, RPCH_E_BUG, "a queued PDU has no header");
    return RPCH_E_BUG;
}

/* At a boundary, the lane empty: begins the first PDU of l if it may go now;
 * false when it may not. */
static bool begin_pdu(relay_writer *w, const load *l, int *status)
{
    relay_place first = relay_place_first(l->v, l->n);
    uint32_t len;
    if (l->bytes < RPCH_PDU_HEADER_SIZE)
        return false;
    if (read_header(first, &len, &w->answer) != RPCH_OK)
        *status = no_header(w);
    if (*status != RPCH_OK || !relay_half_may_send(w->half, len))
        return false;
    *status = relay_half_pdu_begin(w->half, len);
    if (*status != RPCH_OK)
        return false;
    w->pdu_len = w->left = len;
    return true;
}

/* Cuts l down to its first n bytes, if there are more. */
static void cut(load *l, size_t n)
{
    while (l->bytes > n) {
        struct iovec *last = &l->v[l->n - 1];
        size_t over = l->bytes - n;
        if (over < last->iov_len) {
            last->iov_len -= over;
        } else {
            over = last->iov_len;
            l->n--;
        }
        l->bytes -= over;
    }
}

/* Puts the lane into l, where the PDU begun ends. */
static void insert_lane(const relay_writer *w, load *l)
{
    struct iovec lane;
    relay_place p = relay_place_first(l->v, l->n);
    int i, more, where;
    lane.iov_base = (void *)(uintptr_t)lane_buf(w, &lane.iov_len);
    if (lane.iov_len == 0 || l->bytes < w->left)
        return;
    relay_place_move(&p, w->left);
    where = (int)(p.v - l->v);
    more = p.at > 0 ? 2 : 1;
    for (i = l->n - 1; i >= where; i--)
        l->v[i + more] = l->v[i];
    if (p.at > 0) {
        l->v[where + 2].iov_base = (uint8_t *)l->v[where].iov_base + p.at;
        l->v[where + 2].iov_len -= p.at;
        l->v[where++].iov_len = p.at;
    }
    l->v[where] = lane;
    l->n += more;
    l->lane = lane.iov_len;
    l->bytes += lane.iov_len;
}

/* Cuts l down to what may go now: the rest of the PDU begun, the lane, and
 * PDUs that may follow. Where sending the lane changes the half's state, it
 * goes alone, later. */
static int choose(relay_writer *w, load *l)
{
    size_t lane, at = w->left;
    uint32_t len, ahead = 0;
    relay_place p = relay_place_first(l->v, l->n);
    bool answer, more = relay_half_is_steady(w->half)
                     || lane_buf(w, &lane) == NULL;
    for (relay_place_move(&p, at); more && l->pdus < LOAD_PDUS
         && at + RPCH_PDU_HEADER_SIZE <= l->bytes; relay_place_move(&p, len)) {
        if (read_header(p, &len, &answer) != RPCH_OK)
            return no_header(w);
        if (!relay_half_may_follow(w->half, ahead, len))
            break;
        l->pdu[l->pdus].len = (uint16_t)len;
        l->pdu[l->pdus++].answer = answer;
        ahead += len;
        at += len;
    }
    cut(l, at);
    if (more)
        insert_lane(w, l);
    return RPCH_OK;
}

/* Drops n bytes that were taken. */
static void drop(relay_writer *w, size_t n)
{
    size_t queued = n < w->queue.bytes ? n : w->queue.bytes;
    int i = 0;
    if (queued > 0)
        relay_sendq_drop(&w->queue, queued);
    for (n -= queued; i < w->spans && n >= w->span[i].iov_len; i++)
        n -= w->span[i].iov_len;
    memmove(w->span, w->span + i, (size_t)(w->spans - i) * sizeof(*w->span));
    w->spans -= i;
    if (n > 0) {
        w->span[0].iov_base = (uint8_t *)w->span[0].iov_base + n;
        w->span[0].iov_len -= n;
    }
}

/* Of n bytes that were taken those of the lane; before a PDU is done, which
 * may put the next ack in the place of one that was sent. */
static size_t account_lane(relay_writer *w, const load *l, size_t n,
                           rpch_msec now)
{
    size_t len;
    if (l->lane == 0 || n <= w->left)
        return 0;
    len = n - w->left < l->lane ? n - w->left : l->lane;
    lane_ack(w, len, now);
    w->lane_moved = true;
    return len;
}

/* n bytes of l were taken: PDUs begin and are done. */
static int account(relay_writer *w, const load *l, size_t n, rpch_msec now)
{
    int i = 0, status = RPCH_OK;
    n -= account_lane(w, l, n, now);
    drop(w, n);
    w->rpc_moved = w->rpc_moved || n > 0;
    for (;;) {
        uint32_t part = n < w->left ? (uint32_t)n : w->left;
        w->left -= part;
        n -= part;
        if (part > 0 && w->left == 0) {
            w->calls_ended += w->answer;
            relay_half_pdu_done(w->half, w->pdu_len, now);
        }
        if (n == 0 || status != RPCH_OK)
            return status;
        w->answer = l->pdu[i].answer;
        w->pdu_len = w->left = l->pdu[i++].len;
        status = relay_half_pdu_begin(w->half, w->pdu_len);
    }
}

/* Writes RPC bytes, and the lane with them; false when none were written. */
static bool write_rpc(relay_writer *w, int *status, rpch_msec now)
{
    size_t n;
    load l;
    if (w->queue.bytes == 0 && w->spans == 0)
        return false;
    look(w, &l);
    if (w->left == 0 && lane_buf(w, &n) == NULL && !begin_pdu(w, &l, status))
        return false;
    *status = choose(w, &l);
    if (*status != RPCH_OK || l.bytes == 0)
        return false;
    n = to_sink(w, l.v, l.n, l.bytes);
    *status = account(w, &l, n, now);
    return n > 0 && *status == RPCH_OK;
}

int relay_writer_flush(relay_writer *w, rpch_msec now)
{
    int status = RPCH_OK;
    while (!w->full && !w->broken) {
        bool joint = w->queue.bytes + (size_t)w->spans > 0
                  && relay_half_is_steady(w->half);
        if (w->left == 0 && !joint && !flush_lane(w, now))
            break;
        if (!write_rpc(w, &status, now))
            break;
    }
    return status;
}

static int queue(relay_writer *w, const uint8_t *p, size_t len)
{
    if (relay_sendq_push(&w->queue, p, len) == APR_SUCCESS)
        return RPCH_OK;
    relay_half_fail(w->half, RPCH_E_ROOM, "out of memory for queued data");
    return RPCH_E_ROOM;
}

void relay_writer_begin(relay_writer *w, const uint8_t *p, size_t len)
{
    w->chunk = p;
    w->chunk_len = len;
}

int relay_writer_commit(relay_writer *w, rpch_msec now)
{
    int i, status;
    if (w->spans == 0)
        return RPCH_OK;
    status = relay_writer_flush(w, now);
    for (i = 0; i < w->spans && status == RPCH_OK; i++)
        status = queue(w, w->span[i].iov_base, w->span[i].iov_len);
    w->spans = 0;
    return status;
}

int relay_writer_end(relay_writer *w, rpch_msec now)
{
    int status = relay_writer_commit(w, now);
    w->chunk = NULL;
    return status;
}

static void remember(relay_writer *w, const uint8_t *p, size_t len)
{
    struct iovec *last = w->spans > 0 ? &w->span[w->spans - 1] : NULL;
    if (last && (uint8_t *)last->iov_base + last->iov_len == p) {
        last->iov_len += len;
        return;
    }
    w->span[w->spans].iov_base = (void *)(uintptr_t)p;
    w->span[w->spans++].iov_len = len;
}

int relay_writer_pass(relay_writer *w, const rpch_step *step, rpch_msec now)
{
    bool lasts = step->pass >= w->chunk
              && step->pass < w->chunk + w->chunk_len;
    int status = RPCH_OK;
    if (w->chunk && (!lasts || w->spans == RELAY_WRITER_SPANS))
        status = relay_writer_commit(w, now);
    if (status != RPCH_OK)
        return status;
    /* A header in pieces: its PDU's rest is about to be remembered. */
    if (w->chunk && !lasts)
        return queue(w, step->pass, step->pass_len);
    remember(w, step->pass, step->pass_len);
    return w->chunk ? RPCH_OK : relay_writer_commit(w, now);
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
