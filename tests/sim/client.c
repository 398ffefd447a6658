/* SPDX-License-Identifier: Apache-2.0 */
/* client.c - the client: a machine, its requests, and its application */
#include <string.h>

#include "call.h"
#include "peers.h"
#include "script.h"
#include "trace.h"
#include "visits.h"
#include "watch.h"

#define TURNS 12
#define READS 16

enum { OUT, IN };

sim_client sim_the_client;
sim_traffic sim_up;
sim_traffic sim_down;

static rpch_client *machine(void)
{
    return &sim_the_client.m;
}

rpch_cookie sim_new_cookie(void)
{
    rpch_cookie c;
    uint64_t x = sim_mix(&sim_time.seed), y = sim_mix(&sim_time.seed);

    memcpy(c.b, &x, 8);
    memcpy(c.b + 8, &y, 8);
    return c;
}

int sim_client_request(bool is_in, bool heir, bool hostile)
{
    const sim_script *s = sim_script_now;
    static int place, child;
    int n = sim_conn_open(is_in, is_in ? s->client.channel_lifetime
                                       : heir ? 120 : 76, s->room);

    if (n < 0)
        return -1;
    if (!hostile && !heir && !is_in)
        place = child = 0;
    if (s->places > 1 && sim_chance(s->elsewhere))
        place = 1 - place;
    if (s->children > 1 && sim_chance(s->spread))
        child = (int)sim_random(s->children);
    sim_conns[n].hostile = sim_conns[n].up.lawless = hostile;
    sim_channel_open(n, place, child, 1);
    return n;
}

static void open_request(bool is_in, unsigned slot, bool heir,
                         const rpch_cookie *cookie)
{
    const sim_script *s = sim_script_now;
    bool quiet = (s->client_flags & RPCH_QUIET) != 0;
    int n = sim_client_request(is_in, heir, false);

    sim_must(n >= 0, "more requests at once than there should be");
    sim_the_client.conn[is_in][slot] = n;
    sim_conns[n].cookie = *cookie;
    if (is_in && !quiet)
        sim_pipe_window(&sim_conns[n].up,
                        s->proxy[sim_channels[n].place].receive_window);
    if (!is_in && !quiet)
        sim_pipe_window(&sim_conns[n].down, s->client.receive_window);
}

void sim_client_start(void)
{
    const sim_script *s = sim_script_now;
    sim_client *c = &sim_the_client;
    rpch_client_cookies k;
    int i;

    k.vc = sim_new_cookie();
    k.in = sim_new_cookie();
    k.out = sim_new_cookie();
    k.group = sim_new_cookie();
    rpch_client_init(&c->m, &s->client, &k, s->client_flags,
                     sim_tracing.on ? sim_machine_log : NULL, "client",
                     sim_msec());
    sim_visits_watch(&c->m.core);
    for (i = 0; i < 2; i++)
        c->conn[i][0] = c->conn[i][1] = -1;
    c->begun = -1;
    c->next_at = c->look_at = c->body_at = 0;
    c->done = c->moved = false;
    open_request(false, 0, false, &k.out);
    open_request(true, 0, false, &k.in);
    sim_wake(SIM_CLIENT, sim_time.now + 1);
}

/* Opens the successors that the machine wants. */
static void open_successors(void)
{
    int dir;

    for (dir = OUT; dir <= IN; dir++) {
        unsigned want = dir == IN ? RPCH_WANT_IN_REQUEST
                                  : RPCH_WANT_OUT_REQUEST;
        rpch_cookie cookie;
        int slot;

        if (!(rpch_client_wants(machine()) & want))
            continue;
        cookie = sim_new_cookie();
        slot = rpch_client_requested(machine(), dir == IN, &cookie,
                                     sim_msec());
        sim_must(slot >= 0, "a request was wanted, and then not");
        sim_must(sim_the_client.conn[dir][slot] < 0,
                 "a successor gets a slot that is in use");
        open_request(dir == IN, (unsigned)slot, true, &cookie);
        sim_the_client.moved = true;
    }
}

/* Closes the request of a slot, and says so. */
static void close_slot(int dir, unsigned slot)
{
    int n = sim_the_client.conn[dir][slot];

    sim_the_client.conn[dir][slot] = -1;
    if (sim_the_client.begun == n)
        sim_the_client.begun = -1;
    sim_conn_client_close(n);
    sim_the_client.moved = true;
    if (dir == IN)
        rpch_client_in_closed(machine(), slot);
    else
        rpch_client_out_closed(machine(), slot);
}

/* The response of an IN request says nothing but that it is over. */
static void read_in(unsigned slot)
{
    sim_conn *c = &sim_conns[sim_the_client.conn[IN][slot]];
    size_t n;

    while (sim_pipe_peek(&c->down, &n) != NULL)
        sim_pipe_take(&c->down, n);
    if (sim_pipe_ended(&c->down))
        close_slot(IN, slot);
}

static bool may_read(unsigned slot)
{
    if (sim_time.now < sim_the_client.look_at)
        return false;
    return rpch_client_over(machine(), false, slot)
        || (slot == rpch_client_out_slot(machine())
            && (rpch_client_wants(machine()) & RPCH_WANT_SERVER_READ));
}

static bool head_was_read(const sim_conn *c)
{
    return c->down.taken > 0;
}

/* The head of an OUT response; true when there is one. */
static bool read_head(unsigned slot, sim_conn *c)
{
    const uint8_t *p;
    size_t n;

    if (head_was_read(c))
        return true;
    p = sim_pipe_peek(&c->down, &n);
    if (p == NULL)
        return false;
    n = *p;
    sim_pipe_take(&c->down, 1);
    rpch_client_response(machine(), slot, n == SIM_HEAD_200 ? 200 : 503,
                         sim_msec());
    (void)sim_script_meddle_client();
    return true;
}

static void read_out(unsigned slot)
{
    sim_conn *c = &sim_conns[sim_the_client.conn[OUT][slot]];
    int i;

    if (read_head(slot, c)) {
        for (i = 0; i < READS && may_read(slot); i++) {
            rpch_step step;
            size_t n;
            const uint8_t *p = sim_pipe_peek(&c->down, &n);

            if (p == NULL)
                break;
            if (rpch_client_out_recv(machine(), slot, p, n, &step, sim_msec())
                != RPCH_OK)
                return;
            if (step.pass && !sim_watch_forged)
                sim_traffic_arrive(&sim_down, step.pass, step.pass_len);
            else if (step.last)
                rpch_client_consumed(machine(), step.pdu_len);
            sim_pipe_take(&c->down, step.used);
            if (step.used == 0)
                break;
            sim_the_client.moved = true;
        }
    }
    if (sim_pipe_ended(&c->down))
        close_slot(OUT, slot);
}

static void read_all(void)
{
    unsigned slot;

    for (slot = 0; slot < RPCH_CLIENT_SLOTS; slot++) {
        if (sim_the_client.conn[IN][slot] >= 0)
            read_in(slot);
        if (sim_the_client.conn[OUT][slot] >= 0)
            read_out(slot);
    }
    if (sim_script_now->slow && sim_time.now >= sim_the_client.look_at
        && sim_chance(30))
        sim_the_client.look_at = sim_time.now
            + (uint64_t)sim_random(sim_script_now->slow * SIM_MSEC);
}

static void consume(void)
{
    uint32_t n;

    /* each may owe an ack, which must have a place */
    while (sim_down.held_n > 0
           && rpch_lane_has_reserve(&machine()->in[machine()->in_slot].lane)
           && !sim_chance(sim_script_now->lazy)) {
        n = sim_traffic_consume(&sim_down);
        rpch_client_consumed(machine(), n);
        sim_the_client.moved = true;
    }
}

static void write_body(unsigned slot)
{
    sim_pipe *p = &sim_conns[sim_the_client.conn[OUT][slot]].up;
    const uint8_t *b;
    size_t n;
    long k;

    while ((b = rpch_client_body_buf(machine(), slot, &n)) != NULL
           && sim_time.now >= sim_the_client.body_at) {
        if (sim_script_now->tardy && n > 24)
            n -= 24;
        k = sim_pipe_put(p, b, n);
        if (k <= 0)
            return;
        rpch_client_body_ack(machine(), slot, (size_t)k);
        if (sim_script_now->tardy)
            sim_the_client.body_at = sim_time.now
                + (uint64_t)sim_random(sim_script_now->tardy * SIM_MSEC);
        sim_the_client.moved = true;
    }
}

/* Bytes of the PDU that has begun; true when it is whole. */
static bool write_pdu(sim_pipe *p)
{
    const uint8_t *b;
    size_t n;
    long k;

    while (sim_traffic_begun(&sim_up)) {
        b = sim_traffic_bytes(&sim_up, &n);
        k = sim_pipe_put(p, b, n);
        if (k <= 0)
            return false;
        sim_traffic_sent(&sim_up, (size_t)k);
        sim_the_client.moved = true;
    }
    sim_the_client.begun = -1;
    return true;
}

/* Begins the next PDU, if there is one and it may be sent. */
static bool begin_pdu(int n, unsigned slot)
{
    const sim_script *s = sim_script_now;
    uint32_t size = sim_traffic_next(&sim_up);

    if (size == 0 || slot != rpch_client_in_slot(machine())
        || sim_time.now < sim_the_client.next_at
        || !rpch_client_may_send(machine(), size)
        || slot != rpch_client_in_slot(machine()))
        return false;
    rpch_client_sent(machine(), size, sim_msec());
    sim_traffic_begin(&sim_up);
    sim_the_client.begun = n;
    if (sim_chance(s->think))
        sim_the_client.next_at = sim_time.now
                               + sim_random(s->pause * SIM_MSEC + 1);
    return true;
}

static void write_in(unsigned slot)
{
    int n = sim_the_client.conn[IN][slot];
    sim_pipe *p = &sim_conns[n].up;
    const uint8_t *b;
    size_t len;
    long k;

    do {
        if (sim_the_client.begun == n && !write_pdu(p))
            return;
        while ((b = rpch_client_in_buf(machine(), slot, &len)) != NULL) {
            k = sim_pipe_put(p, b, len);
            if (k <= 0)
                return;
            rpch_client_in_ack(machine(), slot, (size_t)k, sim_msec());
            sim_the_client.moved = true;
        }
    } while (sim_the_client.begun < 0 && begin_pdu(n, slot));
}

static void write_all(void)
{
    unsigned slot;

    for (slot = 0; slot < RPCH_CLIENT_SLOTS; slot++) {
        if (sim_the_client.conn[OUT][slot] >= 0)
            write_body(slot);
        if (sim_the_client.conn[IN][slot] >= 0)
            write_in(slot);
    }
}

/* Predecessors are closed once nothing waits for them. */
static void close_over(void)
{
    unsigned slot;
    size_t len;
    int dir;

    for (dir = OUT; dir <= IN; dir++) {
        for (slot = 0; slot < RPCH_CLIENT_SLOTS; slot++) {
            int n = sim_the_client.conn[dir][slot];

            if (n < 0 || !rpch_client_over(machine(), dir == IN, slot)
                || sim_the_client.begun == n
                || (dir == IN && rpch_client_in_buf(machine(), slot, &len))
                || (sim_script_now->polite && !sim_conns[n].proxy_closed))
                continue;
            if (dir == IN)
                sim_must(sim_frame_whole(&sim_conns[n].up.in),
                         "a PDU was cut by the end of its C-IN");
            close_slot(dir, slot);
        }
    }
}

static void finish(void)
{
    const rpch_core *core = &machine()->core;
    sim_tally *t = &sim_counts;
    int dir;

    for (dir = OUT; dir <= IN; dir++) {
        unsigned slot;

        for (slot = 0; slot < RPCH_CLIENT_SLOTS; slot++) {
            int n = sim_the_client.conn[dir][slot];

            sim_the_client.conn[dir][slot] = -1;
            if (n >= 0)
                sim_conn_client_close(n);
        }
    }
    sim_the_client.done = true;
    sim_the_client.leave_at = sim_time.now + 200000 * SIM_MSEC;
    sim_wake(SIM_CLIENT, sim_the_client.leave_at);
    sim_say("the client ends: %s, %s", rpch_status_name(core->status),
            core->reason ? core->reason : "");
    sim_visits_status(core, false);
    if (sim_chance(10))
        sim_call_late_client(machine());
    t->in_r1 += machine()->counts.in_r1;
    t->in_r2 += machine()->counts.in_r2;
    t->out_r1 += machine()->counts.out_r1;
    t->out_r2 += machine()->counts.out_r2;
    t->pings += machine()->counts.pings_sent
              + machine()->counts.pings_received;
}

static void arm(void)
{
    unsigned slot;

    sim_wake(SIM_CLIENT, sim_tick_of(rpch_client_deadline(machine())));
    if (sim_traffic_next(&sim_up) > 0
        && sim_the_client.next_at > sim_time.now)
        sim_wake(SIM_CLIENT, sim_the_client.next_at);
    if (sim_down.held_n > 0)
        sim_wake(SIM_CLIENT, sim_arrival());
    if (sim_the_client.look_at > sim_time.now)
        sim_wake(SIM_CLIENT, sim_the_client.look_at);
    if (sim_the_client.body_at > sim_time.now)
        sim_wake(SIM_CLIENT, sim_the_client.body_at);
    for (slot = 0; slot < RPCH_CLIENT_SLOTS; slot++) {
        int n = sim_the_client.conn[IN][slot];

        if (n >= 0)
            sim_pipe_watch(&sim_conns[n].down);
        n = sim_the_client.conn[OUT][slot];
        if (n >= 0 && (may_read(slot) || !head_was_read(&sim_conns[n])
                       || !sim_pipe_holds(&sim_conns[n].down)))
            sim_pipe_watch(&sim_conns[n].down);
    }
}

void sim_client_hang_up(void)
{
    rpch_client_fail(machine(), RPCH_E_CLOSED, "it has all");
    sim_wake(SIM_CLIENT, sim_time.now + 1);
}

/* Whoever sent a request that is not the client's takes its answer. Two of
 * them can have a connection of their own, until they leave. */
static void read_hostile(void)
{
    int n;

    for (n = 0; n < SIM_CHANNELS; n++) {
        sim_conn *c = &sim_conns[n];
        size_t len;

        if (!c->used || !c->hostile || c->client_closed)
            continue;
        while (sim_pipe_peek(&c->down, &len) != NULL)
            sim_pipe_take(&c->down, len);
        if (sim_pipe_ended(&c->down)
            || (sim_the_client.done
                && sim_time.now >= sim_the_client.leave_at))
            sim_conn_client_close(n);
        else
            sim_pipe_watch(&c->down);
    }
    if (sim_the_client.done && sim_time.now < sim_the_client.leave_at)
        sim_wake(SIM_CLIENT, sim_the_client.leave_at);
}

void sim_client_step(void)
{
    int turns = 0;

    read_hostile();

    if (sim_the_client.done || sim_script_meddle_client())
        return;
    rpch_client_timeout(machine(), sim_msec());
    do {
        sim_the_client.moved = false;
        (void)sim_script_meddle_client();
        open_successors();
        read_all();
        consume();
        write_all();
        close_over();
    } while (sim_the_client.moved && ++turns < TURNS
             && !(rpch_client_wants(machine()) & RPCH_WANT_CLOSE));
    if (rpch_client_wants(machine()) & RPCH_WANT_CLOSE) {
        finish();
        return;
    }
    arm();
    if (turns == TURNS)
        sim_wake(SIM_CLIENT, sim_time.now + 1);
}
