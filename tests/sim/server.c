/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server.c - the server: a machine with several connections, or a plain one
 * that knows nothing but RPC PDUs; and its application.
 */
#include <string.h>

#include "call.h"
#include "peers.h"
#include "script.h"
#include "trace.h"
#include "visits.h"
#include "watch.h"

#define TURNS 12
#define READS 16

sim_server sim_the_server;

static rpch_server *machine(void)
{
    return &sim_the_server.m;
}

void sim_server_start(void)
{
    const sim_script *s = sim_script_now;
    sim_server *v = &sim_the_server;

    v->plain = s->joined;
    v->begun = -1;
    v->next_at = 0;
    v->took_at = 0;
    v->done = v->moved = false;
    if (v->plain)
        return;
    rpch_server_init(&v->m, &s->server, 0,
                     sim_tracing.on ? sim_machine_log : NULL, "server",
                     sim_msec());
    sim_visits_watch(&v->m.core);
}

/* Bytes of the PDU that has begun; true when it is whole. */
static bool write_pdu(sim_pipe *p)
{
    const uint8_t *b;
    size_t n;
    long k;

    while (sim_traffic_begun(&sim_down)) {
        b = sim_traffic_bytes(&sim_down, &n);
        k = sim_pipe_put(p, b, n);
        if (k <= 0)
            return false;
        sim_traffic_sent(&sim_down, (size_t)k);
        sim_the_server.moved = true;
    }
    sim_the_server.begun = -1;
    return true;
}

/* True when the application has a PDU for that socket; it has begun then. */
static bool begin_pdu(int n)
{
    const sim_script *s = sim_script_now;
    const sim_sock *k = &sim_socks[n];
    uint32_t size = sim_traffic_next(&sim_down);

    /* a server speaks when it was spoken to */
    if (size == 0 || sim_time.now < sim_the_server.next_at
        || (sim_up.received == 0 && !sim_watch_forged))
        return false;
    if (!sim_the_server.plain) {
        if (k->is_in || machine()->core.state != RPCH_SERVER_OPENED
            || (int)rpch_server_out_slot(machine()) != k->slot
            || !rpch_server_may_send(machine(), size)
            || (int)rpch_server_out_slot(machine()) != k->slot)
            return false;
        rpch_server_sent(machine(), size);
    }
    sim_traffic_begin(&sim_down);
    sim_the_server.begun = n;
    if (sim_chance(s->think))
        sim_the_server.next_at = sim_time.now
                               + sim_random(s->pause * SIM_MSEC + 1);
    return true;
}

/* True when the application has something to send, and takes nothing before
 * it has sent it. With tiny lifetimes it must not go on for ever: the acks
 * alone use up IN channels, which a native server that takes nothing does not
 * let be replaced by IN_R1; then OUT channels cannot be, either. */
static bool is_busy(void)
{
    if (!sim_the_server.plain
        && machine()->out_state != RPCH_SERVER_OUT_OPENED)
        return false;
    return sim_up.received > 0
        && sim_down.made - sim_the_server.took_at < sim_script_now->busy
        && (sim_the_server.begun >= 0
            || (sim_traffic_next(&sim_down) > 0
                && sim_time.now >= sim_the_server.next_at));
}

/* --- a plain server --- */

static void read_plain(sim_sock *s)
{
    const uint8_t *p;
    size_t n;

    while (!is_busy() && (p = sim_pipe_peek(&s->up, &n)) != NULL) {
        uint32_t left = sim_traffic_size(&sim_up, sim_up.received)
                      - sim_up.got;

        if (left < n)
            n = left;
        if (!sim_watch_forged)
            sim_traffic_arrive(&sim_up, p, n);
        sim_pipe_take(&s->up, n);
        sim_the_server.took_at = sim_down.made;
        sim_the_server.moved = true;
    }
}

static void step_plain(int n)
{
    sim_sock *s = &sim_socks[n];

    read_plain(s);
    while (sim_traffic_consume(&sim_up) > 0)
        ;
    if (sim_pipe_ended(&s->up) || s->down.broken) {
        sim_sock_server_close(n);
        return;
    }
    do {
        if (sim_the_server.begun == n && !write_pdu(&s->down))
            return;
    } while (sim_the_server.begun < 0 && begin_pdu(n));
}

/* --- one with a machine --- */

/* The machine is told that a connection has ended. */
static void closed(sim_sock *s)
{
    if (s->is_in)
        rpch_server_in_closed(machine(), s->slot);
    else
        rpch_server_out_closed(machine(), s->slot);
    s->slot = -1;
}

static void close_sock(int n)
{
    sim_sock *s = &sim_socks[n];

    if (s->server_closed)
        return;
    if (s->known && s->slot >= 0)
        closed(s);
    if (sim_the_server.begun == n)
        sim_the_server.begun = -1;
    sim_sock_server_close(n);
    sim_the_server.moved = true;
}

/* Connections that have served, and whose last PDU is sent, are closed. */
static void close_over(void)
{
    size_t len;
    int n;

    for (n = 0; n < SIM_SOCKS; n++) {
        sim_sock *s = &sim_socks[n];

        if (!s->used || s->server_closed || !s->known
            || !rpch_server_over(machine(), s->is_in, s->slot)
            || sim_the_server.begun == n
            || rpch_lane_buf(rpch_server_lane(machine(), s->is_in, s->slot),
                             &len) != NULL)
            continue;
        close_sock(n);
    }
}

/* Whose connection is it? True when it is known afterwards. */
static bool identify(int n)
{
    sim_sock *s = &sim_socks[n];
    rpch_cookie vc;
    size_t len;
    const uint8_t *p = sim_pipe_all(&s->up, &len);
    int rc = rpch_server_classify(p, len, &s->is_in, &vc);

    if (rc == RPCH_AGAIN) {
        if (sim_pipe_ended(&s->up) || s->up.closed || s->up.broken)
            close_sock(n);
        return false;
    }
    if (rc != RPCH_OK
        || memcmp(&vc, &sim_the_client.m.cookies.vc, sizeof(vc)) != 0) {
        close_sock(n);
        return false;
    }
    s->slot = rpch_server_enter(machine(), s->is_in);
    if (s->slot < 0) {
        close_over();
        s->slot = rpch_server_enter(machine(), s->is_in);
    }
    s->known = s->slot >= 0;
    if (!s->known)
        close_sock(n);
    return s->known;
}

static bool wants_read(const sim_sock *s)
{
    return (rpch_server_wants(machine())
            & (s->is_in ? RPCH_WANT_CLIENT_READ : RPCH_WANT_SERVER_READ))
        != 0;
}

static void read_sock(int n)
{
    sim_sock *s = &sim_socks[n];
    int i;

    for (i = 0; i < READS && wants_read(s); i++) {
        rpch_step step;
        size_t len;
        const uint8_t *p = sim_pipe_peek(&s->up, &len);
        int rc;

        if (p == NULL)
            break;
        rc = s->is_in
           ? rpch_server_in_recv(machine(), s->slot, p, len, &step,
                                 sim_msec())
           : rpch_server_out_recv(machine(), s->slot, p, len, &step,
                                  sim_msec());
        if (rc != RPCH_OK)
            return;
        if (step.pass && !sim_watch_forged)
            sim_traffic_arrive(&sim_up, step.pass, step.pass_len);
        else if (step.last)
            rpch_server_consumed(machine(), step.pdu_len);
        sim_pipe_take(&s->up, step.used);
        if (step.used == 0)
            break;
        sim_the_server.moved = true;
    }
    if (sim_pipe_ended(&s->up))
        close_sock(n);
}

static void write_sock(int n)
{
    sim_sock *s = &sim_socks[n];
    rpch_lane *lane = rpch_server_lane(machine(), s->is_in, s->slot);
    const uint8_t *b;
    size_t len;
    long k;

    do {
        if (sim_the_server.begun == n && !write_pdu(&s->down))
            return;
        while ((b = rpch_lane_buf(lane, &len)) != NULL) {
            k = sim_pipe_put(&s->down, b, len);
            s->failed = k < 0;
            if (k <= 0)
                return;
            rpch_lane_ack(lane, (size_t)k);
            sim_the_server.moved = true;
        }
    } while (sim_the_server.begun < 0 && begin_pdu(n));
}

static void greet(sim_sock *s)
{
    if (sim_script_now->banner && s->down.written == 0 && !s->down.broken)
        sim_pipe_put(&s->down, (const uint8_t *)"ncacn_http/1.0", 14);
}

static void step_sock(int n)
{
    sim_sock *s = &sim_socks[n];

    greet(s);
    if (!s->known && !identify(n))
        return;
    read_sock(n);
    (void)sim_script_meddle_server();
    if (!s->server_closed)
        write_sock(n);
    /* what it had said before it failed is read */
    if (s->failed && !(wants_read(s) && sim_pipe_holds(&s->up)))
        close_sock(n);
}

/* Each PDU that is consumed may owe an ack, which must have a place. */
static bool may_ack(void)
{
    const rpch_server *m = machine();

    return m->in_at < 0 || rpch_lane_has_reserve(&m->in[m->in_at].lane);
}

static void consume(void)
{
    uint32_t n;

    while (sim_up.held_n > 0 && !is_busy() && may_ack()
           && !sim_chance(sim_script_now->lazy)) {
        n = sim_traffic_consume(&sim_up);
        sim_the_server.took_at = sim_down.made;
        rpch_server_consumed(machine(), n);
        sim_the_server.moved = true;
    }
}

/* The machine has ended: what waits is sent as far as there is room. */
static void finish(void)
{
    int n;

    for (n = 0; n < SIM_SOCKS; n++) {
        sim_sock *s = &sim_socks[n];

        if (!s->used || s->server_closed)
            continue;
        if (s->known && sim_the_server.begun != n)
            write_sock(n);
        sim_sock_server_close(n);
    }
    if (sim_the_server.done)
        return;
    sim_the_server.done = true;
    sim_say("the server ends: %s, %s",
            rpch_status_name(machine()->core.status),
            machine()->core.reason ? machine()->core.reason : "");
    sim_visits_status(&machine()->core, false);
    if (sim_chance(10))
        sim_call_late_server(machine());
}

static void arm(void)
{
    int n;

    if (!sim_the_server.plain)
        sim_wake(SIM_SERVER, sim_tick_of(rpch_server_deadline(machine())));
    if (sim_traffic_next(&sim_down) > 0
        && sim_the_server.next_at > sim_time.now)
        sim_wake(SIM_SERVER, sim_the_server.next_at);
    if (sim_up.held_n > 0 && !is_busy())
        sim_wake(SIM_SERVER, sim_arrival());
    for (n = 0; n < SIM_SOCKS; n++) {
        sim_sock *s = &sim_socks[n];

        if (!s->used || s->server_closed)
            continue;
        if (sim_the_server.plain ? !is_busy() || s->up.closed || s->up.broken
                                 : !s->known || wants_read(s))
            sim_pipe_watch(&s->up);
    }
}

static void turn(void)
{
    int n;

    sim_the_server.moved = false;
    for (n = 0; n < SIM_SOCKS; n++) {
        if (!sim_socks[n].used || sim_socks[n].server_closed)
            continue;
        if (sim_the_server.plain)
            step_plain(n);
        else
            step_sock(n);
    }
    if (sim_the_server.plain)
        return;
    consume();
    close_over();
}

void sim_server_step(void)
{
    int turns = 0;

    if (sim_script_meddle_server())
        return;
    if (!sim_the_server.plain)
        rpch_server_timeout(machine(), sim_msec());
    do {
        turn();
    } while (sim_the_server.moved && ++turns < TURNS);
    if (!sim_the_server.plain
        && (rpch_server_wants(machine()) & RPCH_WANT_CLOSE)) {
        finish();
        return;
    }
    arm();
    if (turns == TURNS)
        sim_wake(SIM_SERVER, sim_time.now + 1);
}
