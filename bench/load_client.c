/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load_client.c - the client of rpch-load: opens its connections, has each
 * make a first call, and leaves the rest to load_mode.c.
 */
#include "load_client.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "load_channel.h"
#include "load_pattern.h"

/* Data of the call that every connection begins with, there and back. */
#define FIRST_CALL 76u

const load_options *load_conn_options(const load_conn *c)
{
    return c->client->o;
}

load_loop *load_conn_loop(const load_conn *c)
{
    return &c->client->loop;
}

/* ---- the ring of free connections ------------------------------------------ */

static void push(load_client *cl, load_conn *c)
{
    c->state = LOAD_FREE;
    c->prev = cl->free.prev;
    c->next = &cl->free;
    c->prev->next = c;
    cl->free.prev = c;
}

static void unlink_conn(load_conn *c)
{
    c->prev->next = c->next;
    c->next->prev = c->prev;
}

load_conn *load_client_pop(load_client *cl)
{
    load_conn *c = cl->free.next;

    if (c == &cl->free)
        return NULL;
    unlink_conn(c);
    return c;
}

/* ---- what connections tell -------------------------------------------------- */

static bool counts(const load_client *cl)
{
    return cl->phase == LOAD_PHASE_RUNNING;
}

void load_conn_opened(load_conn *c)
{
    load_client *cl = c->client;

    cl->opened++;
    load_conn_call(c, FIRST_CALL, FIRST_CALL, c->due);
}

void load_conn_call(load_conn *c, uint64_t there, uint64_t back, uint64_t due)
{
    c->asked.seed = load_pattern_seed(c->client->pid, (uint32_t)c->number,
                                      ++c->call_id);
    c->asked.size = there;
    c->asked.other = back;
    c->state = LOAD_CALLING;
    c->since = load_conn_loop(c)->now;
    c->due = due;
    load_sender_start(&c->sender, RPCH_PTYPE_REQUEST, c->call_id, &c->asked);
}

/* Compares what the answer says with what was asked. */
static bool is_right(load_conn *c)
{
    const load_receiver *r = &c->receiver;

    if (c->state != LOAD_CALLING || r->call_id != c->call_id
        || c->sender.active)
        load_conn_fail(c, "protocol", "an answer to no call");
    else if (r->terms.seed != c->asked.seed
             || r->terms.size != c->asked.other)
        load_conn_fail(c, "protocol", "an answer to another question");
    else if (r->terms.other != c->asked.size)
        load_conn_fail(c, "corrupt-in", "the server has got wrong bytes");
    else if (r->wrong > 0)
        load_conn_fail(c, "corrupt", "wrong bytes in an answer");
    return !c->failed;
}

static void answered(load_conn *c)
{
    load_client *cl = c->client;

    c->state = LOAD_FREE;
    if (!c->warm && cl->o->mode != LOAD_CHURN) {
        c->warm = true;
        cl->warm++;
        cl->opening--;
    } else if (counts(cl)) {
        load_mode_answered(cl, c);
    }
    if (c->state == LOAD_FREE && !c->over)
        push(cl, c);
    /* What comes next concerns others, whose turn it is not. */
    load_loop_again(&cl->loop, &cl->turn);
}

bool load_conn_take(load_conn *c, const uint8_t *p, size_t len, bool first,
                    bool last)
{
    load_taken taken = load_receiver_feed(&c->receiver, RPCH_PTYPE_RESPONSE,
                                          p, len, first, last);

    if (taken == LOAD_TAKEN_BAD)
        load_conn_fail(c, "protocol", c->receiver.error);
    else if (taken == LOAD_TAKEN_MESSAGE && is_right(c))
        answered(c);
    return !c->failed;
}

void load_conn_fail(load_conn *c, const char *kind, const char *detail)
{
    if (c->failed)
        return;
    c->failed = true;
    load_errors_add(&c->client->measure.errors, kind, detail);
}

/* ---- life and death ---------------------------------------------------------- */

static void take_turn(load_turn *turn)
{
    load_conn_work((load_conn *)((char *)turn - offsetof(load_conn, turn)));
}

void load_client_start(load_client *cl, uint64_t place)
{
    const load_kind *kind = cl->o->via == LOAD_RPCH ? &load_virtual_kind
                                                    : &load_raw_kind;
    load_conn *c = calloc(1, kind->size);

    if (c == NULL) {
        load_errors_add(&cl->measure.errors, "resources", "no memory");
        return;
    }
    c->kind = kind;
    c->client = cl;
    c->place = place;
    c->number = cl->numbers++;
    c->turn.run = take_turn;
    c->since = cl->loop.now;
    c->due = load_clock();
    cl->conn[place] = c;
    if (cl->o->mode == LOAD_CHURN)
        cl->working++;
    else
        cl->opening++;
    kind->start(c);
    if (c->failed)
        load_conn_again(c);
}

void load_conn_again(load_conn *c)
{
    load_loop_again(load_conn_loop(c), &c->turn);
}

static void let_go(load_client *cl, load_conn *c)
{
    if (c->kind->count != NULL)
        c->kind->count(c, &cl->counts);
    c->kind->stop(c);
    if (c->state == LOAD_FREE && !c->over)
        unlink_conn(c);
    else if (c->failed && cl->o->mode != LOAD_CHURN && !c->warm)
        cl->opening--;
    else if (c->failed && counts(cl))
        cl->working--;
    if (c->warm)
        cl->warm--;
    c->state = LOAD_GONE;
    load_loop_cancel(&cl->loop, &c->turn);
    cl->conn[c->place] = NULL;
    load_loop_bury(&cl->loop, c);
    load_loop_again(&cl->loop, &cl->turn);
}

void load_conn_work(load_conn *c)
{
    load_client *cl = c->client;
    uint64_t place = c->place;

    if (c->state == LOAD_GONE)
        return;
    if (!c->failed)
        c->kind->work(c);
    if (!c->failed && !c->over)
        return;
    let_go(cl, c);
    /* One that failed is tried again later, at the sweep. */
    if (c->over && !c->failed && counts(cl)
        && load_clock() < cl->measure.end)
        load_client_start(cl, place);
}

/* ---- the client --------------------------------------------------------------- */

static void print_line(load_client *cl)
{
    rpch_client_counts n = cl->counts;
    load_line line = { stdout, false };
    uint64_t place, open = 0, least = UINT64_MAX;
    const load_measure *m = &cl->measure;
    load_conn *c;

    for (place = 0; place < cl->o->connections; place++) {
        c = cl->conn[place];
        if (c == NULL || c->failed)
            continue;
        open += cl->o->mode != LOAD_CHURN;
        least = c->calls < least ? c->calls : least;
        if (c->kind->count != NULL)
            c->kind->count(c, &n);
    }
    load_line_text(&line, "mode", cl->o->mode_name);
    load_line_text(&line, "via", cl->o->via_name);
    load_line_flag(&line, "tls", cl->o->tls);
    load_line_count(&line, "connections", cl->o->connections);
    load_line_count(&line, "open", open);
    load_line_count(&line, "opened", cl->opened);
    load_line_number(&line, "open_seconds", cl->open_seconds);
    load_line_count(&line, "calls_min", open > 0 ? least : 0);
    load_line_count(&line, "in_r1", n.in_r1);
    load_line_count(&line, "in_r2", n.in_r2);
    load_line_count(&line, "out_r1", n.out_r1);
    load_line_count(&line, "out_r2", n.out_r2);
    load_line_count(&line, "pings_sent", n.pings_sent);
    load_line_count(&line, "pings_received", n.pings_received);
    load_measure_line(m, &line, cl->o->mode == LOAD_IDLE || m->calls == 0
                                ? load_clock() : m->last,
                      cl->o->mode == LOAD_CHURN);
    load_line_end(&line);
}

static void finish(load_client *cl)
{
    if (cl->phase == LOAD_PHASE_OVER)
        return;
    if (cl->phase != LOAD_PHASE_RUNNING)
        load_measure_begin(&cl->measure, 0, 0, false);
    cl->phase = LOAD_PHASE_OVER;
    print_line(cl);
    cl->loop.stop = true;
}

static void become_ready(load_client *cl)
{
    cl->open_seconds = (double)(load_clock() - cl->measure.begun)
                     / (double)LOAD_SECOND;
    if (cl->warm == 0 && cl->o->mode != LOAD_CHURN) {
        finish(cl);
        return;
    }
    if (!load_measure_ready(cl->o, cl->warm))
        load_errors_add(&cl->measure.errors, "resources", strerror(errno));
    cl->phase = LOAD_PHASE_WAITING;
    if (!cl->o->wait || cl->go)
        load_mode_begin(cl);
}

/* Opens as many at once as it may. */
static void open_more(load_client *cl)
{
    while (cl->started < cl->o->connections
           && cl->opening < cl->o->open_parallel)
        load_client_start(cl, cl->started++);
    if (cl->started == cl->o->connections && cl->opening == 0)
        become_ready(cl);
}

/* What the end of a call or connection makes possible. */
static void client_turn(load_turn *turn)
{
    load_client *cl = (load_client *)((char *)turn
                                      - offsetof(load_client, turn));

    if (cl->phase == LOAD_PHASE_OPENING && cl->o->mode == LOAD_CHURN)
        become_ready(cl);
    else if (cl->phase == LOAD_PHASE_OPENING)
        open_more(cl);
    else if (cl->phase == LOAD_PHASE_RUNNING)
        load_mode_issue(cl);
    if (load_mode_done(cl))
        finish(cl);
}

static void on_alarm(void *baton)
{
    load_client *cl = baton;

    if (cl->phase == LOAD_PHASE_RUNNING)
        load_mode_issue(cl);
    if (load_mode_done(cl))
        finish(cl);
}

static void on_sweep(void *baton)
{
    load_client *cl = baton;
    uint64_t place, patience = cl->o->timeout * LOAD_SECOND;
    load_conn *c;

    for (place = 0; place < cl->o->connections; place++) {
        c = cl->conn[place];
        if (c == NULL) {
            if (cl->o->mode == LOAD_CHURN && counts(cl)
                && load_clock() < cl->measure.end)
                load_client_start(cl, place);
            continue;
        }
        c->kind->tick(c);
        if (c->state == LOAD_GONE)
            continue;
        if (c->state != LOAD_FREE && cl->loop.now > c->since + patience)
            load_conn_fail(c, "timeout", c->state == LOAD_OPENING
                           ? "a connection was not opened in time"
                           : "nothing moves");
        if (c->failed)
            load_conn_again(c);
    }
    load_channel_sweep(cl->loop.now, false);
    if (load_mode_done(cl))
        finish(cl);
}

static void on_signal(void *baton, int number)
{
    load_client *cl = baton;

    if (number != SIGUSR1) {
        finish(cl);
        return;
    }
    cl->go = true;
    if (cl->phase == LOAD_PHASE_RUNNING && cl->o->mode == LOAD_IDLE)
        print_line(cl);
    if (cl->phase == LOAD_PHASE_WAITING
        || (cl->phase == LOAD_PHASE_RUNNING && cl->o->mode == LOAD_IDLE))
        load_mode_begin(cl);
}

static void stop_all(load_client *cl)
{
    uint64_t place;

    for (place = 0; place < cl->o->connections; place++)
        if (cl->conn[place] != NULL) {
            cl->conn[place]->kind->stop(cl->conn[place]);
            load_loop_bury(&cl->loop, cl->conn[place]);
        }
    load_channel_sweep(0, true);
    load_loop_free(&cl->loop);
    load_batch_drain();
    free(cl->conn);
}

int load_client_run(const load_options *o)
{
    static load_client cl;
    load_hooks hooks = { on_sweep, on_alarm, on_signal, &cl };
    bool ok;

    cl.o = o;
    cl.pid = (uint32_t)getpid();
    cl.free.prev = cl.free.next = &cl.free;
    cl.turn.run = client_turn;
    cl.conn = calloc(o->connections, sizeof(*cl.conn));
    if (cl.conn == NULL || !load_loop_init(&cl.loop, &hooks)) {
        perror("rpch-load");
        return EXIT_FAILURE;
    }
    if (o->corrupts)
        load_message_corrupt(o->corrupt);
    load_measure_begin(&cl.measure, 0, 0, true);
    load_loop_again(&cl.loop, &cl.turn);
    ok = load_loop_run(&cl.loop);
    if (!ok)
        perror("rpch-load: epoll_wait");
    stop_all(&cl);
    return ok && cl.measure.errors.total == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
