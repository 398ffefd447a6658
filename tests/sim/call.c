/* SPDX-License-Identifier: Apache-2.0 */
/* call.c - calls out of season */
#include "call.h"

#include <string.h>

#include "forge.h"
#include "peers.h"
#include "trace.h"

static void no_succession(rpch_succession *s)
{
    memset(s, 0, sizeof(*s));
    s->vc = sim_new_cookie();
    s->predecessor = sim_new_cookie();
    s->successor = sim_new_cookie();
    s->window = 65536;
}

static void call_in(rpch_inbound *m, uint32_t what)
{
    const char *reason = NULL;
    rpch_succession s;

    no_succession(&s);
    switch (what % 4) {
    case 0: (void)rpch_inbound_attach(m, &s, &reason); break;
    case 1: rpch_inbound_detach(m); break;
    case 2: rpch_inbound_client_closed(m); break;
    default: rpch_inbound_server_closed(m); break;
    }
}

static void call_out(rpch_outbound *m, uint32_t what)
{
    const char *reason = NULL;
    rpch_succession s;

    no_succession(&s);
    switch (what % 5) {
    case 0: (void)rpch_outbound_attach(m, &s, &reason); break;
    case 1: rpch_outbound_detach(m); break;
    case 2: rpch_outbound_client_closed(m); break;
    case 3: rpch_outbound_server_closed(m); break;
    default: rpch_outbound_body_ended(m); break;
    }
}

bool sim_call_channel(sim_channel *ch, uint32_t what)
{
    sim_say("a call out of season");
    if (ch->half.dir == RELAY_IN)
        call_in(&ch->half.m.in, what);
    else
        call_out(&ch->half.m.out, what);
    return true;
}

/* A TCP connection of the server that brings nothing and ends. */
static bool come_and_go(rpch_server *m, bool is_in)
{
    int slot = rpch_server_enter(m, is_in);

    if (slot < 0)
        return false;
    if (is_in)
        rpch_server_in_closed(m, slot);
    else
        rpch_server_out_closed(m, slot);
    return true;
}

bool sim_call_server(rpch_server *m, uint32_t what)
{
    bool joined = (m->core.flags & RPCH_JOINED) != 0;

    sim_say("a call out of season");
    switch (what % 4) {
    case 0:
        if (joined)
            return false;
        return come_and_go(m, what & 8);
    case 1:
        if (joined)
            rpch_server_spent(m, rpch_server_lifetime_left(m), true);
        else
            (void)rpch_server_may_send(m, 65535);
        return true;
    case 2:
        if (joined)
            rpch_server_in_closed(m, 0);
        return joined;
    default:
        if (joined)
            rpch_server_out_closed(m, 0);
        return joined;
    }
}

bool sim_call_client(rpch_client *m, uint32_t what)
{
    unsigned slot = what / 4 & 1;
    rpch_cookie c = sim_new_cookie();

    sim_say("a call out of season");
    switch (what % 4) {
    case 0:
        /* not wanted, so nothing happens; or else the application opens it */
        if (rpch_client_wants(m) & (RPCH_WANT_IN_REQUEST
                                    | RPCH_WANT_OUT_REQUEST))
            return false;
        (void)rpch_client_requested(m, what & 8, &c, sim_msec());
        return true;
    case 1:
        if (sim_the_client.conn[1][slot] >= 0)
            return false;
        rpch_client_in_closed(m, slot);
        return true;
    case 2:
        if (sim_the_client.conn[0][slot] >= 0)
            return false;
        rpch_client_out_closed(m, slot);
        return true;
    default:
        (void)rpch_client_may_send(m, 65535);
        return true;
    }
}

/* --- after the end --- */

static void late_in(rpch_inbound *m)
{
    static const rpch_in_leg leg;
    rpch_in_leg out;
    uint32_t i;

    for (i = 0; i < 4; i++)
        call_in(m, i);
    (void)rpch_inbound_connected(m, sim_msec());
    (void)rpch_inbound_attached(m, sim_msec());
    (void)rpch_inbound_adopt(m, &leg, sim_msec());
    (void)rpch_inbound_release(m, &out);
}

static void late_out(rpch_outbound *m)
{
    static const rpch_out_leg leg;
    rpch_out_leg out;
    uint32_t i;

    for (i = 0; i < 5; i++)
        call_out(m, i);
    (void)rpch_outbound_connected(m, sim_msec());
    (void)rpch_outbound_responded(m, sim_msec());
    (void)rpch_outbound_attached(m, sim_msec());
    (void)rpch_outbound_adopt(m, &leg, sim_msec());
    (void)rpch_outbound_release(m, &out);
}

static void check_unchanged(const rpch_core *core, int state, int status)
{
    sim_must(core->state == state && core->status == status,
             "a call after its end changed a machine");
}

void sim_call_late_half(relay_half *h)
{
    const rpch_core *core = relay_half_core(h);
    int state = core->state, status = core->status;
    uint8_t b[SIM_FORGED];
    rpch_step step;
    size_t len = sim_forge(sim_random(1000000), NULL, b);

    if (h->dir == RELAY_IN)
        late_in(&h->m.in);
    else
        late_out(&h->m.out);
    (void)relay_half_client_recv(h, b, len, &step, sim_msec());
    (void)relay_half_server_recv(h, b, len, &step, sim_msec());
    if (b[2] == 20)
        (void)relay_half_server_rts(h, b, len, sim_msec());
    (void)relay_half_timeout(h, RPCH_NEVER - 1);
    relay_half_fail(h, RPCH_E_POLICY, "too late");
    check_unchanged(core, state, status);
}

void sim_call_late_server(rpch_server *m)
{
    int state = m->core.state, status = m->core.status;
    uint8_t b[SIM_FORGED];
    size_t len = sim_forge(sim_random(1000000), NULL, b);
    rpch_step step;

    (void)rpch_server_in_recv(m, 0, b, len, &step, sim_msec());
    (void)rpch_server_out_recv(m, 0, b, len, &step, sim_msec());
    if (b[2] == 20) {
        (void)rpch_server_in_rts(m, 0, b, len, sim_msec());
        (void)rpch_server_out_rts(m, 0, b, len, sim_msec());
    }
    rpch_server_in_closed(m, 0);
    rpch_server_out_closed(m, 0);
    rpch_server_consumed(m, 100);
    sim_must(!rpch_server_may_send(m, 100), "a server that ended may send");
    sim_must(rpch_server_enter(m, true) < 0, "a server that ended accepts");
    (void)rpch_server_timeout(m, RPCH_NEVER - 1);
    rpch_server_fail(m, RPCH_E_POLICY, "too late");
    check_unchanged(&m->core, state, status);
}

void sim_call_late_client(rpch_client *m)
{
    int state = m->core.state, status = m->core.status;
    rpch_cookie c = sim_new_cookie();
    uint8_t b[SIM_FORGED];
    size_t len = sim_forge(sim_random(1000000), NULL, b);
    rpch_step step;
    unsigned slot;

    for (slot = 0; slot < RPCH_CLIENT_SLOTS; slot++) {
        (void)rpch_client_out_recv(m, slot, b, len, &step, sim_msec());
        (void)rpch_client_response(m, slot, 200, sim_msec());
        rpch_client_in_closed(m, slot);
        rpch_client_out_closed(m, slot);
    }
    rpch_client_consumed(m, 100);
    sim_must(!rpch_client_may_send(m, 100), "a client that ended may send");
    sim_must(rpch_client_requested(m, true, &c, sim_msec()) < 0,
             "a client that ended opens requests");
    (void)rpch_client_timeout(m, RPCH_NEVER - 1);
    rpch_client_fail(m, RPCH_E_POLICY, "too late");
    check_unchanged(&m->core, state, status);
}
