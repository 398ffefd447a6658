/* SPDX-License-Identifier: Apache-2.0 */
/* wire.c - opening and closing of the connections of a run */
#include "wire.h"

#include <string.h>

#include "trace.h"

sim_conn sim_conns[SIM_CHANNELS];
sim_sock sim_socks[SIM_SOCKS];

void sim_wire_start(void)
{
    int i;

    for (i = 0; i < SIM_CHANNELS; i++)
        sim_conns[i].used = false;
    for (i = 0; i < SIM_SOCKS; i++)
        sim_socks[i].used = false;
}

int sim_conn_open(bool is_in, uint64_t most, uint32_t room)
{
    sim_conn *c;
    int n;

    for (n = 0; n < SIM_CHANNELS && sim_conns[n].used; n++)
        ;
    if (n == SIM_CHANNELS)
        return -1;
    c = &sim_conns[n];
    c->used = true;
    c->is_in = is_in;
    c->hostile = c->client_closed = c->proxy_closed = false;
    memset(&c->cookie, 0, sizeof(c->cookie));
    sim_pipe_open(&c->up, is_in ? SIM_C_IN : SIM_C_BODY, &c->down, SIM_CLIENT,
                  SIM_CHANNEL0 + n, room);
    sim_pipe_open(&c->down, is_in ? SIM_C_ANSWER : SIM_C_OUT, &c->up,
                  SIM_CHANNEL0 + n, SIM_CLIENT, room);
    c->up.most = most;
    return n;
}

static void free_conn(sim_conn *c)
{
    c->used = !(c->client_closed && c->proxy_closed);
}

void sim_conn_client_close(int n)
{
    sim_conn *c = &sim_conns[n];

    if (!c->used || c->client_closed)
        return;
    c->client_closed = true;
    if (sim_pipe_holds(&c->down))
        sim_pipe_break(&c->up);
    sim_pipe_close(&c->up);
    sim_pipe_break(&c->down);
    free_conn(c);
}

void sim_conn_proxy_close(int n)
{
    sim_conn *c = &sim_conns[n];

    if (!c->used || c->proxy_closed)
        return;
    c->proxy_closed = true;
    sim_pipe_close(&c->down);
    sim_pipe_break(&c->up);
    free_conn(c);
}

void sim_conn_cut(int n)
{
    sim_pipe_break(&sim_conns[n].up);
    sim_pipe_break(&sim_conns[n].down);
}

int sim_sock_open(int actor, uint32_t room)
{
    sim_sock *s;
    int n;

    for (n = 0; n < SIM_SOCKS && sim_socks[n].used; n++)
        ;
    if (n == SIM_SOCKS)
        return -1;
    s = &sim_socks[n];
    s->used = true;
    s->holders = 1;
    s->server_closed = s->known = s->failed = false;
    s->slot = -1;
    sim_pipe_open(&s->up, SIM_S_UP, &s->down, actor, SIM_SERVER, room);
    sim_pipe_open(&s->down, SIM_S_DOWN, &s->up, SIM_SERVER, actor, room);
    sim_wake(SIM_SERVER, sim_arrival());
    return n;
}

void sim_sock_hold(int n, int actor, bool is_writer, bool is_reader)
{
    sim_sock *s = &sim_socks[n];

    if (is_writer)
        s->up.writer = actor;
    if (is_reader)
        s->down.reader = actor;
    sim_wake(actor, sim_time.now + 1);
}

static void free_sock(sim_sock *s)
{
    s->used = s->holders > 0 || !s->server_closed;
}

void sim_sock_release(int n)
{
    sim_sock *s = &sim_socks[n];

    sim_must(s->used && s->holders > 0, "a socket is given up twice");
    if (--s->holders > 0)
        return;
    /* a connection that is closed with input unread is reset, and what it
     * has sent may be lost */
    if (sim_pipe_holds(&s->down) && sim_chance(50))
        sim_pipe_break(&s->up);
    sim_pipe_close(&s->up);
    sim_pipe_break(&s->down);
    free_sock(s);
}

void sim_sock_shutdown(int n)
{
    sim_pipe_close(&sim_socks[n].up);
}

void sim_sock_server_close(int n)
{
    sim_sock *s = &sim_socks[n];

    if (s->server_closed)
        return;
    s->server_closed = true;
    if (sim_pipe_holds(&s->up) && sim_chance(50))
        sim_pipe_break(&s->down);
    sim_pipe_close(&s->down);
    sim_pipe_break(&s->up);
    free_sock(s);
}

void sim_sock_cut(int n)
{
    sim_pipe_break(&sim_socks[n].up);
    sim_pipe_break(&sim_socks[n].down);
}

sim_conn *sim_conn_of(const uint8_t *cookie, bool is_in)
{
    int i;

    for (i = 0; i < SIM_CHANNELS; i++) {
        sim_conn *c = &sim_conns[i];

        if (c->used && !c->hostile && c->is_in == is_in
            && memcmp(c->cookie.b, cookie, sizeof(c->cookie.b)) == 0)
            return c;
    }
    return NULL;
}

unsigned sim_wire_open(void)
{
    unsigned n = 0;
    int i;

    for (i = 0; i < SIM_CHANNELS; i++)
        n += sim_conns[i].used;
    for (i = 0; i < SIM_SOCKS; i++)
        n += sim_socks[i].used;
    return n;
}
