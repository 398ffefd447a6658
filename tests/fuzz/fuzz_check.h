/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_check.h - the invariants of all role machines */
#ifndef RPCH_FUZZ_CHECK_H
#define RPCH_FUZZ_CHECK_H

#include "fuzz_machine.h"

#include "../unit/visit_log.h"

/* A step is within its input; a slice lies in what was consumed or in what
 * the machine holds, and says what a caller needs to know. */
static inline void fuzz_check_step(const rpch_step *step, size_t len)
{
    fuzz_check(step->used <= len);
    fuzz_check((step->pass == NULL) == (step->pass_len == 0));
    if (step->pass == NULL)
        return;
    fuzz_check(step->pdu_len >= RPCH_PDU_HEADER_SIZE);
    fuzz_check(step->pass_len <= step->pdu_len);
    fuzz_check(!step->first || step->pass_len >= RPCH_PDU_HEADER_SIZE);
    fuzz_check(step->first || step->pass_len < step->pdu_len);
}

/* Adds a slice to a queue. */
static inline void fuzz_enqueue(fuzz_queue *q, const rpch_step *step)
{
    volatile uint8_t sum = 0;
    size_t i;

    if (step->pass == NULL)
        return;
    for (i = 0; i < step->pass_len; i += 64)
        sum = (uint8_t)(sum + step->pass[i]); /* it can be read */
    sum = (uint8_t)(sum + step->pass[step->pass_len - 1]);
    if (step->first) {
        fuzz_check(q->n == 0 || q->pdu[q->n - 1].have == q->pdu[q->n - 1].len);
        fuzz_check(q->n < FUZZ_QUEUE_MAX);
        q->pdu[q->n].len = step->pdu_len;
        q->pdu[q->n++].have = 0;
        q->bytes += step->pdu_len;
    }
    fuzz_check(q->n > 0 && q->pdu[q->n - 1].len == step->pdu_len);
    q->pdu[q->n - 1].have += (uint32_t)step->pass_len;
    fuzz_check(q->pdu[q->n - 1].have <= step->pdu_len);
    fuzz_check(step->last == (q->pdu[q->n - 1].have == step->pdu_len));
}

/* Removes the first PDU of a queue; returns its size. */
static inline uint32_t fuzz_dequeue(fuzz_queue *q)
{
    uint32_t len = q->pdu[0].len;

    q->n--;
    memmove(&q->pdu[0], &q->pdu[1], q->n * sizeof(q->pdu[0]));
    q->bytes -= len;
    q->begun = false;
    return len;
}

/* The cutter that reads what a machine sends on one connection. */
typedef struct fuzz_sink {
    rpch_cutter cutter;
    unsigned rts; /* PDUs seen */
} fuzz_sink;

/* Each cell of a table that is visited counts for libFuzzer as a new edge
 * does; it clears them before each input. */
#define FUZZ_EVENTS_MAX 48
#define FUZZ_STATES_MAX 20
#define FUZZ_COUNTERS __attribute__((section("__libfuzzer_extra_counters")))
static uint8_t fuzz_cells[RPCH_TABLE_MAX][FUZZ_EVENTS_MAX][FUZZ_STATES_MAX]
    FUZZ_COUNTERS;

/* Looks at each event that a machine puts through its table; the baton is the
 * NULL-terminated list of its tables. */
static inline void fuzz_visit(void *baton, rpch_table_id id, int event,
                              int state)
{
    const rpch_machine_table *const *t = baton;

    while (*t != NULL && (*t)->id != id)
        t++;
    fuzz_check(*t != NULL);
    fuzz_check(event >= 0 && event < (*t)->events);
    fuzz_check(state >= 0 && state < (*t)->states);
    if ((*t)->next[event * (*t)->states + state] == RPCH_CELL_BUG) {
        fprintf(stderr, "%s: %s in %s cannot be\n", (*t)->role,
                (*t)->event_name(event), (*t)->state_name(state));
        abort();
    }
    fuzz_check(event < FUZZ_EVENTS_MAX && state < FUZZ_STATES_MAX);
    fuzz_check(strlen((*t)->event_name(event)) > 1);
    fuzz_check(strlen((*t)->state_name(state)) > 1);
    fuzz_cells[id][event][state] = 1;
    visit_log(NULL, id, event, state);
}

/* A log that is read and thrown away. */
static inline void fuzz_log(void *baton, int level, const char *what,
                            const char *detail)
{
    fuzz_check(what != NULL && strlen(what) > 0 && level > 0);
    fuzz_check(detail == NULL || strlen(detail) < 500);
}

/* The first error sticks, and the FINISHED state is the last one; none is a
 * bug of ours. */
static inline void fuzz_check_core(fuzz_sticky *s, const rpch_core *c,
                                   int finished)
{
    bool end = c->state == finished;

    fuzz_check(c->state >= 0 && c->state <= finished);
    fuzz_check(end || !s->finished);
    fuzz_check(end == (c->status != RPCH_OK));
    fuzz_check(end == (c->reason != NULL));
    fuzz_check(!end || c->deadline == RPCH_NEVER);
    fuzz_check(c->status <= RPCH_OK && c->status != RPCH_E_BUG);
    fuzz_check(s->status == c->status
               || strcmp(rpch_status_name(c->status),
                         rpch_status_name(1000)) != 0);
    fuzz_check(s->status == RPCH_OK || (c->status == s->status
                                        && c->reason == s->reason));
    s->status = c->status;
    s->reason = c->reason;
    s->finished = end;
}

/* A lane is within its bounds. */
static inline void fuzz_check_lane(const rpch_lane *l)
{
    fuzz_check(l->at <= l->end && l->end <= sizeof(l->b));
}

/* A sender's window is what its peer allows. */
static inline void fuzz_check_tx(const rpch_tx *t)
{
    fuzz_check(t->window <= RPCH_WINDOW_MAX);
    fuzz_check(t->off || t->avail <= t->window);
}

/* True when rts is an ack for a sender in that role, from a neighbour or by
 * way of others; *v has its fields then. */
static inline bool fuzz_is_ack(const rpch_rts *rts, rpch_dest role,
                               rpch_rts_values *v)
{
    if (rpch_rts_read(RPCH_FLOW_CONTROL_ACK, rts, v) == RPCH_OK)
        return true;
    return rpch_rts_read(RPCH_FLOW_CONTROL_ACK_DEST, rts, v) == RPCH_OK
        && v->dest == role;
}

/* A peer grants a window; one above the maximum is clamped. */
static inline void fuzz_opened(fuzz_window *w, uint32_t window)
{
    w->sent = 0;
    w->window = window < RPCH_WINDOW_MAX ? window : RPCH_WINDOW_MAX;
    w->edge = w->window;
}

/* Books an ack. */
static inline void fuzz_acked(fuzz_window *w, const rpch_ack *ack)
{
    uint32_t avail = ack->available_window;
    uint64_t edge;

    edge = (uint64_t)ack->bytes_received
         + (avail < w->window ? avail : w->window);
    if (ack->bytes_received <= w->sent && edge > w->edge)
        w->edge = edge;
}

/* A PDU of len bytes may only start when the peer has room for it, or, if it
 * is larger than that ever is, when all of it is free. */
static inline void fuzz_check_send(fuzz_window *w, const rpch_tx *t,
                                   uint32_t len)
{
    uint64_t avail = w->edge > w->sent ? w->edge - w->sent : 0;

    fuzz_check(t->off || len <= avail || avail >= w->window);
    w->sent += len;
}

/* Bytes that leave a machine make whole RTS PDUs, each of which can be read;
 * RPC PDUs are told by fuzz_sink_rpc. */
static inline void fuzz_sink_rts(fuzz_sink *s, const uint8_t *p, size_t len)
{
    const char *reason = NULL;
    rpch_cut cut;
    rpch_rts rts;
    size_t at = 0;

    for (;;) {
        fuzz_check(rpch_cutter_next(&s->cutter, p + at, len - at, &cut)
                   == RPCH_OK);
        at += cut.used;
        if (cut.kind == RPCH_CUT_NONE)
            break;
        fuzz_check(cut.kind == RPCH_CUT_RTS);
        fuzz_check(rpch_rts_decode(cut.data, cut.len, &rts, &reason)
                   == RPCH_OK);
        s->rts++;
    }
    fuzz_check(at == len);
}

/* An RPC PDU starts where no RTS PDU is unfinished. */
static inline void fuzz_sink_rpc(const fuzz_sink *s)
{
    fuzz_check(rpch_cutter_at_boundary(&s->cutter));
}

#endif
