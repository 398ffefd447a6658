/* SPDX-License-Identifier: Apache-2.0 */
/* load_mode.c - what the connections of rpch-load's client do once open */
#include "load_client.h"

/* Data bytes of a call whose stubs have o->size bytes. */
static uint64_t data_size(const load_client *cl)
{
    return cl->o->size - LOAD_STUB_HEAD;
}

static bool is_bulk(const load_client *cl)
{
    return cl->o->mode == LOAD_BULK_OUT || cl->o->mode == LOAD_BULK_IN;
}

/* The call of this mode. */
static void make_call(load_client *cl, load_conn *c, uint64_t due)
{
    cl->working++;
    if (is_bulk(cl))
        load_conn_call(c, cl->o->mode == LOAD_BULK_IN ? cl->o->bytes : 0,
                       cl->o->mode == LOAD_BULK_OUT ? cl->o->bytes : 0, due);
    else
        load_conn_call(c, data_size(cl), data_size(cl), due);
}

/* The rate of calls over all connections, 0: none. */
static uint64_t rate_of(const load_client *cl)
{
    if (cl->o->mode == LOAD_IDLE)
        return cl->o->calls_rate;
    return cl->o->mode == LOAD_CALLS && cl->o->rate != LOAD_RATE_MAX
         ? cl->o->rate : 0;
}

static void begin_churn(load_client *cl)
{
    uint64_t place;

    for (place = 0; place < cl->o->connections; place++)
        load_client_start(cl, place);
}

void load_mode_begin(load_client *cl)
{
    uint64_t rate = rate_of(cl), place;
    load_mode mode = cl->o->mode;
    load_conn *c;

    load_measure_begin(&cl->measure, rate, cl->o->seconds,
                       is_bulk(cl) || (mode == LOAD_IDLE
                                       && !cl->o->seconds_given));
    cl->phase = LOAD_PHASE_RUNNING;
    for (place = 0; place < cl->o->connections; place++)
        if (cl->conn[place] != NULL)
            cl->conn[place]->calls = 0;
    if (mode == LOAD_CHURN)
        begin_churn(cl);
    if (is_bulk(cl) || (mode == LOAD_CALLS && rate == 0))
        while ((c = load_client_pop(cl)) != NULL) {
            make_call(cl, c, load_clock());
            load_conn_work(c);
        }
    load_mode_issue(cl);
}

void load_mode_answered(load_client *cl, load_conn *c)
{
    load_measure *m = &cl->measure;

    cl->working--;
    c->calls++;
    load_measure_add(m, c->due, c->asked.size + c->asked.other);
    if (cl->o->mode == LOAD_CHURN) {
        m->opens++;
        c->over = true;
        return;
    }
    if (cl->o->mode == LOAD_CALLS && m->rate == 0 && m->last < m->end)
        make_call(cl, c, m->last);
}

void load_mode_issue(load_client *cl)
{
    load_measure *m = &cl->measure;
    uint64_t due;
    load_conn *c;

    while ((due = load_measure_due(m)) <= load_clock()) {
        c = load_client_pop(cl);
        if (c == NULL)
            return; /* the next answer makes room */
        m->issued++;
        make_call(cl, c, due);
        load_conn_work(c);
    }
    load_loop_alarm(&cl->loop, due != LOAD_NEVER ? due : m->end);
}

bool load_mode_done(const load_client *cl)
{
    const load_measure *m = &cl->measure;

    if (cl->phase != LOAD_PHASE_RUNNING || cl->working > 0)
        return false;
    if (is_bulk(cl) || cl->warm == 0)
        return cl->o->mode != LOAD_CHURN || load_clock() >= m->end;
    return load_clock() >= m->end && load_measure_due(m) == LOAD_NEVER;
}
