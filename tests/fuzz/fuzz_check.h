/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_check.h - the invariants of all role machines */
#ifndef RPCH_FUZZ_CHECK_H
#define RPCH_FUZZ_CHECK_H

#include "fuzz_machine.h"

/* The cutter that reads what a machine sends on one connection. */
typedef struct fuzz_sink {
    rpch_cutter cutter;
    unsigned rts; /* PDUs seen */
} fuzz_sink;

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

/* Books that the peer of a sender acknowledges, as the last PDU put into its
 * stream does, if it is a legal ack for the current channel. */
static inline void fuzz_acked(fuzz_window *w, uint32_t received,
                              uint32_t avail)
{
    w->received = received;
    w->avail = avail;
}

/* A PDU of len bytes may only start when the peer's window has room for it,
 * or, if it is larger than that, when nothing is in flight. */
static inline void fuzz_check_send(fuzz_window *w, const rpch_tx *t,
                                   uint32_t len)
{
    uint64_t flight = w->sent - w->received;

    if (!t->off)
        fuzz_check(flight + len <= w->avail
                   || (len > t->window && w->avail >= t->window
                       && flight == 0));
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
