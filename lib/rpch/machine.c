/* SPDX-License-Identifier: Apache-2.0 */
/*
 * machine.c - the RTS lane, the sticky error, the log lines: what the role
 * machines share.
 */
#include "rpch/machine.h"

#include <string.h>

/* Longest log line: the longest names of two states and an event fit. */
#define LINE_MAX_LEN 160

/* Bytes that can still be appended to l. */
static size_t lane_free(const rpch_lane *l)
{
    return sizeof(l->b) - (l->end - l->at);
}

/* Moves what waits to the start of the buffer, so that all free bytes are
 * behind it. */
static void lane_compact(rpch_lane *l)
{
    if (l->at > 0) {
        memmove(l->b, l->b + l->at, l->end - l->at);
        l->end -= l->at;
        l->at = 0;
    }
}

void rpch_lane_init(rpch_lane *l)
{
    memset(l, 0, sizeof(*l));
}

bool rpch_lane_has_room(const rpch_lane *l)
{
    return lane_free(l) >= RPCH_RTS_SIZE_MAX + RPCH_LANE_RESERVE;
}

bool rpch_lane_has_reserve(const rpch_lane *l)
{
    return lane_free(l) >= RPCH_LANE_RESERVE;
}

int rpch_lane_put(rpch_lane *l, const uint8_t *p, size_t len)
{
    if (len > lane_free(l))
        return RPCH_E_ROOM;
    if (len == 0)
        return RPCH_OK;
    lane_compact(l);
    memcpy(l->b + l->end, p, len);
    l->end += len;
    l->ack = 0;
    return RPCH_OK;
}

int rpch_lane_make(rpch_lane *l, rpch_pdu_id id, const rpch_rts_values *v)
{
    size_t len = 0;
    int rc;

    lane_compact(l);
    rc = rpch_rts_make(id, v, l->b + l->end, sizeof(l->b) - l->end, &len);
    if (rc == RPCH_OK) {
        l->end += len;
        l->ack = 0;
    }
    return rc;
}

int rpch_lane_make_ack(rpch_lane *l, rpch_pdu_id id, const rpch_rts_values *v)
{
    size_t before;
    int rc;

    if (l->ack > 0 && l->at <= l->end - l->ack)
        l->end -= l->ack;
    before = l->end - l->at;
    rc = rpch_lane_make(l, id, v);
    if (rc == RPCH_OK)
        l->ack = l->end - l->at - before;
    return rc;
}

const uint8_t *rpch_lane_buf(const rpch_lane *l, size_t *len)
{
    *len = l->end - l->at;
    return *len > 0 ? l->b + l->at : NULL;
}

void rpch_lane_ack(rpch_lane *l, size_t len)
{
    if (len >= l->end - l->at)
        l->at = l->end = l->ack = 0;
    else
        l->at += len;
}

void rpch_core_init(rpch_core *c, const rpch_limits *limits, unsigned flags,
                    rpch_log_fn *log, void *baton)
{
    memset(c, 0, sizeof(*c));
    c->limits = *limits;
    c->flags = flags;
    c->deadline = RPCH_NEVER;
    c->log = log;
    c->baton = baton;
}

void rpch_core_watch(rpch_core *c, rpch_visit_fn *fn, void *baton)
{
    c->visit = fn;
    c->visit_baton = baton;
}

int rpch_core_look_up(const rpch_core *c, const rpch_machine_table *t,
                      int event, int state)
{
    if (c->visit != NULL)
        c->visit(c->visit_baton, t->id, event, state);
    return t->next[event * t->states + state];
}

int rpch_core_next(const rpch_core *c, const rpch_machine_table *t, int event,
                   int state)
{
    int cell = t->next[event * t->states + state];
    int to = cell > 0 ? cell - 1 : t->states - 1;

    if (cell == RPCH_CELL_STAY || cell == RPCH_CELL_DROP || to == state)
        return state;
    rpch_core_log_move(c, t->state_name(state), t->event_name(event),
                       t->state_name(to));
    return to;
}

bool rpch_core_step(rpch_core *c, const rpch_machine_table *t, int event,
                    int status, const char *reason, const char *wrong)
{
    int cell = rpch_core_look_up(c, t, event, c->state);

    c->state = rpch_core_next(c, t, event, c->state);
    if (cell == RPCH_CELL_ERR || cell == RPCH_CELL_BUG)
        rpch_core_end(c, cell == RPCH_CELL_ERR ? RPCH_E_UNEXPECTED
                                               : RPCH_E_BUG, wrong);
    else if (cell == t->states)
        rpch_core_end(c, status, reason);
    return cell == RPCH_CELL_STAY || cell > 0;
}

void rpch_core_end(rpch_core *c, int status, const char *reason)
{
    c->deadline = RPCH_NEVER;
    if (c->status != RPCH_OK)
        return;
    c->status = status < 0 ? status : RPCH_E_BUG;
    c->reason = reason;
}

rpch_msec rpch_after(rpch_msec now, rpch_msec span)
{
    return span == 0 || span >= RPCH_NEVER - now ? RPCH_NEVER : now + span;
}

/* Appends text to the line of room bytes at *pos, cut where it is full. */
static void line_add(char *line, size_t room, size_t *pos, const char *text)
{
    size_t n = strlen(text);

    if (n > room - 1 - *pos)
        n = room - 1 - *pos;
    memcpy(line + *pos, text, n);
    *pos += n;
    line[*pos] = '\0';
}

void rpch_core_log_move(const rpch_core *c, const char *from,
                        const char *event, const char *to)
{
    const char *part[] = { "[", from, "] -- ", event, " --> [", to, "]" };
    char line[LINE_MAX_LEN];
    size_t pos = 0;
    size_t i;

    if (c->log == NULL)
        return;
    for (i = 0; i < sizeof(part) / sizeof(part[0]); i++)
        line_add(line, sizeof(line), &pos, part[i]);
    c->log(c->baton, RPCH_LOG_DEBUG, "transition", line);
}

void rpch_core_log_rts(const rpch_core *c, const char *what,
                       const rpch_rts *rts)
{
    char names[LINE_MAX_LEN];

    if (c->log != NULL)
        c->log(c->baton, RPCH_LOG_TRACE1, what,
               rpch_rts_describe(rts, names, sizeof(names)));
}

int rpch_core_make(const rpch_core *c, rpch_lane *l, rpch_pdu_id id,
                   const rpch_rts_values *v, const char *what)
{
    bool is_ack = id == RPCH_FLOW_CONTROL_ACK
               || id == RPCH_FLOW_CONTROL_ACK_DEST;
    int rc = is_ack ? rpch_lane_make_ack(l, id, v) : rpch_lane_make(l, id, v);

    if (rc == RPCH_OK && c->log != NULL)
        c->log(c->baton, RPCH_LOG_TRACE1, what, rpch_rts_row_of(id)->name);
    return rc;
}

void rpch_core_read(rpch_pdu_id id, const rpch_rts *rts, rpch_rts_values *v)
{
    memset(v, 0, sizeof(*v));
    (void)rpch_rts_read(id, rts, v);
}

void rpch_step_pass(rpch_step *step, const rpch_cut *cut)
{
    step->pass = cut->data;
    step->pass_len = cut->len;
    step->first = cut->first;
    step->last = cut->last;
    step->pdu_len = cut->pdu.frag_len;
}

bool rpch_window_ok(uint32_t window)
{
    return window >= RPCH_WINDOW_MIN;
}

bool rpch_keepalive_read(uint32_t wire, uint32_t *ms)
{
    if (wire != 0 && wire < RPCH_KEEPALIVE_MIN)
        return false;
    *ms = wire == 0 ? RPCH_KEEPALIVE_DEFAULT : wire;
    return true;
}
