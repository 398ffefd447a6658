/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load_get.c - ordinary GETs at a fixed rate, each on a keep-alive connection
 * that is free; latencies count from the time at which the GET was due.
 */
#include "load_get.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "../tools/rpcd_buf.h"
#include "load_http.h"
#include "load_measure.h"

/* Of a body so much is compared with the first one. */
#define BODY_MAX 1048576u

typedef enum state { OPENING, FREE, ASKED } state;

/* One connection. */
typedef struct getter {
    load_sock sock;      /* first */
    struct get *get;
    struct getter *next; /* of the free ones, and of those to be opened */
    state state;
    bool closes;         /* after the answer that is being read */
    uint64_t due;        /* of the GET, ns */
    uint64_t since;      /* when it began to wait, ns */
    rpcd_buf head;       /* of the answer, as far as it is there */
    uint64_t left;       /* of its body */
    uint64_t at;         /* in it */
} getter;

typedef struct get {
    const load_options *o;
    load_loop loop;
    load_measure measure;
    getter **all;
    getter *free;
    uint64_t opened, numbers, pending; /* pending: GETs that are asked */
    bool running, go, said;
    char request[LOAD_HEAD_MAX];
    size_t request_len;
    uint8_t *body;       /* the first one */
    uint64_t body_len;
    bool has_body;
} get;

static uint8_t buffer[131072];

static void issue(get *g);

static void look_if_ready(get *g);

static void open_getter(get *g, uint64_t place);

/* ---- one connection ------------------------------------------------------------- */

static void drop(getter *c)
{
    getter **at = &c->get->free;
    uint64_t place = 0;

    while (*at != NULL && *at != c)
        at = &(*at)->next;
    if (*at == c)
        *at = c->next;
    while (c->get->all[place] != c)
        place++;
    c->get->all[place] = NULL;
    if (c->state == ASKED)
        c->get->pending--;
    rpcd_buf_free(&c->head);
    load_sock_close(&c->sock);
    load_loop_bury(&c->get->loop, c);
}

/* Opened again at the next look around, so that a server that refuses is not
 * asked without end. */
static void fail(getter *c, const char *kind, const char *detail)
{
    load_errors_add(&c->get->measure.errors, kind, detail);
    drop(c);
}

static void ended(getter *c)
{
    get *g = c->get;
    uint64_t place = 0;

    while (g->all[place] != c)
        place++;
    drop(c);
    open_getter(g, place);
}

static void become_free(getter *c)
{
    c->state = FREE;
    c->next = NULL;
    if (c->get->free == NULL) {
        c->get->free = c;
    } else {
        getter *last = c->get->free;

        while (last->next != NULL)
            last = last->next;
        last->next = c;
    }
}

static void ask(getter *c, uint64_t due)
{
    get *g = c->get;
    load_batch *b = load_sock_batch(&c->sock);

    c->state = ASKED;
    c->due = due;
    c->since = g->loop.now;
    g->pending++;
    if (b == NULL || !load_batch_text(b, g->request, g->request_len))
        fail(c, "resources", "no memory");
    else if (!load_sock_flush(&c->sock) && c->sock.broken)
        fail(c, "closed", strerror(c->sock.error));
}

/* The first body is kept, all others are compared with it; false: differs. */
static bool take_body(getter *c, const uint8_t *p, size_t n)
{
    get *g = c->get;
    uint64_t at = c->at, room = at < BODY_MAX ? BODY_MAX - at : 0;
    size_t part = n < room ? n : (size_t)room;

    c->at += n;
    c->left -= n;
    if (part == 0)
        return true;
    if (g->has_body)
        return c->at <= g->body_len && memcmp(g->body + at, p, part) == 0;
    memcpy(g->body + at, p, part);
    return true;
}

/* The answer is complete. */
static void take_answer(getter *c)
{
    get *g = c->get;
    bool same = !g->has_body || c->at == g->body_len;

    if (!same) {
        fail(c, "corrupt", "a body of another length");
        return;
    }
    g->has_body = true;
    g->body_len = c->at;
    g->pending--;
    if (g->running)
        load_measure_add(&g->measure, c->due, c->at);
    rpcd_buf_free(&c->head);
    c->at = 0;
    c->state = OPENING; /* neither asked nor free */
    if (c->closes)
        ended(c);
    else
        become_free(c);
}

/* Takes n bytes of an answer; false: the connection is gone or free. */
static bool take(getter *c, const uint8_t *p, size_t n)
{
    load_response r;
    char kind[16];
    int rv;

    if (c->left == 0 && c->at == 0) {
        if (!rpcd_buf_add(&c->head, p, n)) {
            fail(c, "resources", "no memory");
            return false;
        }
        rv = load_http_parse(rpcd_buf_data(&c->head),
                             rpcd_buf_len(&c->head), &r);
        if (rv == 0)
            return true;
        snprintf(kind, sizeof(kind), "http-%d", rv > 0 ? r.status : 0);
        if (rv < 0 || r.status != 200 || r.length == UINT64_MAX) {
            fail(c, rv > 0 && r.status != 200 ? kind : "http",
                 "an answer that is not 200, or without Content-Length");
            return false;
        }
        c->closes = r.closes;
        c->left = r.length;
        rpcd_buf_drop(&c->head, r.size);
        p = rpcd_buf_data(&c->head);
        n = rpcd_buf_len(&c->head);
    }
    if (n > c->left || !take_body(c, p, n)) {
        fail(c, "corrupt", "a body that is not the first one");
        return false;
    }
    if (c->left > 0)
        return true;
    take_answer(c);
    return false;
}

/* A free connection that ends was not needed; one that owes an answer was. */
static void read_answer(getter *c)
{
    ssize_t n;

    do {
        n = load_sock_read(&c->sock, buffer, sizeof(buffer));
        if (n > 0 && c->state != ASKED) {
            fail(c, "http", "an answer that nobody asked for");
            return;
        }
        if (n > 0 && !take(c, buffer, (size_t)n))
            return;
    } while (n > 0);
    if (n == 0 && !c->sock.eof)
        return;
    if (c->state == ASKED)
        fail(c, "closed", "the server closed without an answer");
    else
        ended(c);
}

static void changed(load_sock *s)
{
    getter *c = (getter *)s;
    get *g = c->get;
    bool opening = s->connecting;
    int rv = load_sock_advance(s);

    if (rv < 0 && opening) {
        fail(c, s->handshake ? "tls" : "connect",
             s->error != 0 ? strerror(s->error) : "TLS failed");
        return;
    }
    if (rv == 0)
        return;
    if (opening) {
        g->opened++;
        become_free(c);
        look_if_ready(g);
    }
    load_sock_flush(s);
    if (s->readable || s->broken)
        read_answer(c);
    issue(g);
}

static void open_getter(get *g, uint64_t place)
{
    load_place to = load_options_place(g->o, g->numbers++);
    getter *c = calloc(1, sizeof(*c));

    if (c == NULL)
        return; /* tried again at the next look around */
    c->get = g;
    c->since = g->loop.now;
    c->sock.changed = changed;
    if (load_sock_open(&c->sock, &g->loop, &to)) {
        g->all[place] = c;
        return;
    }
    load_errors_add(&g->measure.errors, "connect", strerror(errno));
    free(c);
}

/* ---- all of them ------------------------------------------------------------------ */

static void finish(get *g)
{
    load_line line = { stdout, false };
    uint64_t place, open = 0;

    if (g->loop.stop)
        return;
    if (!g->running)
        load_measure_begin(&g->measure, 0, 0, false);
    for (place = 0; place < g->o->connections; place++)
        open += g->all[place] != NULL;
    load_line_text(&line, "mode", "get");
    load_line_flag(&line, "tls", g->o->tls);
    load_line_count(&line, "connections", g->o->connections);
    load_line_count(&line, "open", open);
    load_line_count(&line, "opened", g->opened);
    load_measure_line(&g->measure, &line, load_clock(), false);
    load_line_end(&line);
    g->loop.stop = true;
}

static void issue(get *g)
{
    load_measure *m = &g->measure;
    uint64_t due;
    getter *c;

    if (!g->running)
        return;
    while ((due = load_measure_due(m)) <= load_clock() && g->free != NULL) {
        c = g->free;
        g->free = c->next;
        m->issued++;
        ask(c, due);
    }
    if (due == LOAD_NEVER && g->pending == 0 && load_clock() >= m->end)
        finish(g);
    if (due > load_clock())
        load_loop_alarm(&g->loop, due != LOAD_NEVER ? due : m->end);
}

static void begin(get *g)
{
    load_measure_begin(&g->measure, g->o->rate, g->o->seconds, false);
    g->running = true;
    issue(g);
}

static void on_alarm(void *baton)
{
    issue(baton);
}

/* Ready is who has a free connection in each place; whoever has failed by then
 * is not waited for. */
static void look_if_ready(get *g)
{
    uint64_t place, n = 0;

    for (place = 0; place < g->o->connections; place++) {
        if (g->all[place] != NULL && g->all[place]->state == OPENING)
            return;
        n += g->all[place] != NULL;
    }
    if (n == 0 || g->said)
        return;
    if (!load_measure_ready(g->o, n))
        load_errors_add(&g->measure.errors, "resources", strerror(errno));
    g->said = true;
    if (!g->o->wait || g->go)
        begin(g);
}

static void on_sweep(void *baton)
{
    get *g = baton;
    uint64_t place, patience = g->o->timeout * LOAD_SECOND;
    getter *c;

    for (place = 0; place < g->o->connections; place++) {
        c = g->all[place];
        if (c == NULL)
            open_getter(g, place);
        else if (c->state != FREE && g->loop.now > c->since + patience)
            fail(c, "timeout", "no answer in time");
    }
    look_if_ready(g);
    issue(g);
}

static void on_signal(void *baton, int number)
{
    get *g = baton;

    if (number != SIGUSR1) {
        finish(g);
        return;
    }
    g->go = true;
    if (g->said && !g->running)
        begin(g);
}

int load_get_run(const load_options *o)
{
    static get g;
    load_hooks hooks = { on_sweep, on_alarm, on_signal, &g };
    uint64_t place;
    bool ok;

    g.o = o;
    g.all = calloc(o->connections, sizeof(*g.all));
    g.body = malloc(BODY_MAX);
    g.request_len = load_http_head(o, LOAD_REQUEST_GET, 0, 0, g.request);
    if (g.all == NULL || g.body == NULL || g.request_len == 0
        || !load_loop_init(&g.loop, &hooks)) {
        perror("rpch-load");
        return EXIT_FAILURE;
    }
    load_measure_begin(&g.measure, 0, 0, true);
    for (place = 0; place < o->connections; place++)
        open_getter(&g, place);
    ok = load_loop_run(&g.loop);
    for (place = 0; place < o->connections; place++)
        if (g.all[place] != NULL)
            drop(g.all[place]);
    load_loop_free(&g.loop);
    load_batch_drain();
    free(g.all);
    free(g.body);
    return ok && g.measure.errors.total == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
