/* SPDX-License-Identifier: Apache-2.0 */
/* fault.c - what goes wrong, at the moment that the script says */
#include <string.h>

#include "call.h"
#include "forge.h"
#include "peers.h"
#include "script.h"
#include "trace.h"
#include "watch.h"

static bool done[SIM_FAULTS];
static uint32_t waited[SIM_FAULTS];
static sim_tick stalled[SIM_ACTORS];

void sim_fault_start(void)
{
    memset(done, 0, sizeof(done));
    memset(waited, 0, sizeof(waited));
    memset(stalled, 0, sizeof(stalled));
    sim_watch_forged = false;
    sim_watch_misled = false;
}

bool sim_fault_done(uint32_t f)
{
    return done[f];
}

unsigned sim_script_moved_away(const sim_channel *ch)
{
    return ch->from_child != ch->child;
}

/* Takes note of a forged PDU. */
static void forged(const uint8_t *pdu, const char *where)
{
    if (sim_forge_is_heavy(pdu))
        sim_watch_forged = true;
    sim_say("forged: ptype %u, flags %#x, %u commands, %s", pdu[2], pdu[16],
            pdu[18], where);
}

/* --- channels --- */

static bool inject_client(sim_channel *ch, const uint8_t *b, size_t len)
{
    const rpch_cutter *cut = ch->half.dir == RELAY_IN
                           ? &ch->half.m.in.client : &ch->half.m.out.client;
    rpch_step step;
    size_t at = 0;

    if (!sim_channel_wants(ch, RPCH_WANT_CLIENT_READ)
        || !rpch_cutter_at_boundary(cut))
        return false;
    forged(b, "to a proxy, from its client");
    while (at < len && relay_half_client_recv(&ch->half, b + at, len - at,
                                              &step, sim_msec()) == RPCH_OK
           && step.used > 0) {
        if (step.pass)
            relay_writer_pass(&ch->writer, &step, sim_msec());
        at += step.used;
    }
    return true;
}

static bool inject_server(sim_channel *ch, const uint8_t *b, size_t len)
{
    const rpch_cutter *cut = ch->half.dir == RELAY_IN
                           ? &ch->half.m.in.server : &ch->half.m.out.server;
    rpch_step step;
    size_t at = 0;

    if (!sim_channel_wants(ch, RPCH_WANT_SERVER_READ) || ch->held.bytes > 0
        || sim_channel_arriving(ch) || !rpch_cutter_at_boundary(cut))
        return false;
    forged(b, "to a proxy, from its server");
    while (at < len && relay_half_server_recv(&ch->half, b + at, len - at,
                                              &step, sim_msec()) == RPCH_OK
           && step.used > 0) {
        if (step.pass)
            relay_writer_pass(&ch->writer, &step, sim_msec());
        at += step.used;
    }
    return true;
}

static bool inject_channel(sim_channel *ch, uint32_t what)
{
    uint8_t b[SIM_FORGED];
    size_t len = sim_forge(what / 4, ch, b);

    if (what & 1)
        return inject_client(ch, b, len);
    if (!ch->joined || (what & 2 && ch->half.dir == RELAY_OUT))
        return inject_server(ch, b, len);
    if (b[2] != 20 || sim_channel_arriving(ch)
        || relay_half_server_rts(&ch->half, b, len, sim_msec())
           == RPCH_AGAIN)
        return false;
    forged(b, "to a proxy, from its role");
    return true;
}

static void kill_child(int place, int child)
{
    int i;

    for (i = 0; i < SIM_CHANNELS; i++)
        if (sim_channels[i].used && sim_channels[i].place == place
            && sim_channels[i].child == child)
            sim_channel_die(i);
}

/* Some channel of the connection, or -1. */
static int any_channel(void)
{
    int from = (int)sim_random(SIM_CHANNELS), i;

    for (i = 0; i < SIM_CHANNELS; i++)
        if (sim_channels[(from + i) % SIM_CHANNELS].used)
            return (from + i) % SIM_CHANNELS;
    return -1;
}

static bool stall(int actor, uint32_t what)
{
    static const uint32_t ms[] = { 1, 30, 800, 31000, 70000, 100000 };

    stalled[actor] = sim_time.now + ms[what % 6] * SIM_MSEC;
    sim_say("actor %d stalls", actor);
    return true;
}

/* Both halves of the connection are in the table: whoever comes first could
 * be anybody. */
static bool both_known(void)
{
    const rpch_cookie *vc = &sim_the_client.m.cookies.vc;
    int n;

    return sim_place_find(0, vc, 1, RELAY_IN, &n) != RELAY_HALF_NONE
        && sim_place_find(0, vc, 1, RELAY_OUT, &n) != RELAY_HALF_NONE;
}

/* What any actor's fault can be. */
static bool happen_anywhere(const sim_fault *f)
{
    int n;

    switch (f->kind) {
    case SIM_FAULT_LINK:
        n = sim_link_any();
        if (n < 0)
            return false;
        sim_say("link %d breaks", n);
        sim_link_break(n);
        return true;
    case SIM_FAULT_DIE:
        n = any_channel();
        if (n < 0)
            return false;
        kill_child(sim_channels[n].place, sim_channels[n].child);
        return true;
    case SIM_FAULT_NEWCOMER:
        if (sim_script_now->completes && !both_known())
            return false;
        sim_forge_newcomer(f->what);
        return true;
    default:
        return false;
    }
}

static bool happen_channel(const sim_fault *f, sim_channel *ch)
{
    switch (f->kind) {
    case SIM_FAULT_INJECT:
        return inject_channel(ch, f->what);
    case SIM_FAULT_FAIL:
        sim_channel_fail(ch, RPCH_E_POLICY, "the caller gives up");
        return true;
    case SIM_FAULT_CUT:
        sim_conn_cut(ch->n);
        return true;
    case SIM_FAULT_CLOSE:
        sim_pipe_close(&sim_conns[ch->n].up);
        return true;
    case SIM_FAULT_SERVER_CUT:
    case SIM_FAULT_SERVER_CLOSE:
        if (ch->sock < 0)
            return false;
        if (f->kind == SIM_FAULT_SERVER_CUT)
            sim_sock_cut(ch->sock);
        else
            sim_pipe_close(&sim_socks[ch->sock].down);
        return true;
    case SIM_FAULT_TIMEOUT:
        if (relay_half_deadline(&ch->half) == RPCH_NEVER)
            return false;
        relay_half_timeout(&ch->half, relay_half_deadline(&ch->half));
        return true;
    case SIM_FAULT_CALL:
        return sim_call_channel(ch, f->what);
    case SIM_FAULT_STALL:
        return stall(SIM_CHANNEL0 + ch->n, f->what);
    case SIM_FAULT_DIE:
        kill_child(ch->place, ch->child);
        return true;
    default:
        return happen_anywhere(f);
    }
}

/* --- server and client --- */

static void inject_rpc(rpch_server *m, bool is_in, int slot,
                       const uint8_t *b, size_t len)
{
    rpch_step step;

    if (is_in)
        (void)rpch_server_in_recv(m, slot, b, len, &step, sim_msec());
    else
        (void)rpch_server_out_recv(m, slot, b, len, &step, sim_msec());
}

/* The slot that a forged PDU comes on; *fresh: a connection that brings
 * nothing else. -1: none. */
static int slot_for(rpch_server *m, uint32_t what, bool is_in, bool *fresh)
{
    int i;

    *fresh = false;
    if (m->core.flags & RPCH_JOINED)
        return 0;
    if (what & 2) {
        *fresh = true;
        return rpch_server_enter(m, is_in);
    }
    for (i = 0; i < SIM_SOCKS; i++) {
        const sim_sock *s = &sim_socks[i];

        if (s->used && s->known && s->slot >= 0 && s->is_in == is_in
            && rpch_cutter_at_boundary(is_in ? &m->in[s->slot].cut
                                             : &m->out[s->slot].cut))
            return s->slot;
    }
    return -1;
}

static bool inject_role(rpch_server *m, uint32_t what)
{
    unsigned wants = rpch_server_wants(m);
    bool is_in = what & 1, fresh;
    uint8_t b[SIM_FORGED];
    size_t len = sim_forge(what / 4, NULL, b);
    int slot;

    if (!(wants & (is_in ? RPCH_WANT_CLIENT_READ : RPCH_WANT_SERVER_READ))
        || ((m->core.flags & RPCH_JOINED) && b[2] != 20))
        return false;
    slot = slot_for(m, what, is_in, &fresh);
    if (slot < 0)
        return false;
    forged(b, is_in ? "to the server's S-IN" : "to the server's S-OUT");
    if (b[2] != 20)
        inject_rpc(m, is_in, slot, b, len);
    else if (is_in)
        (void)rpch_server_in_rts(m, slot, b, len, sim_msec());
    else
        (void)rpch_server_out_rts(m, slot, b, len, sim_msec());
    if (fresh && is_in)
        rpch_server_in_closed(m, slot);
    else if (fresh)
        rpch_server_out_closed(m, slot);
    return true;
}

static bool happen_role(const sim_fault *f, rpch_server *m)
{
    switch (f->kind) {
    case SIM_FAULT_INJECT:
        return inject_role(m, f->what);
    case SIM_FAULT_FAIL:
        rpch_server_fail(m, RPCH_E_POLICY, "the caller gives up");
        return true;
    case SIM_FAULT_TIMEOUT:
        if (rpch_server_deadline(m) == RPCH_NEVER)
            return false;
        rpch_server_timeout(m, f->what & 1 ? RPCH_NEVER - 1
                                           : rpch_server_deadline(m));
        return true;
    case SIM_FAULT_CALL:
        return sim_call_server(m, f->what);
    case SIM_FAULT_STALL:
        return !(m->core.flags & RPCH_JOINED) && stall(SIM_SERVER, f->what);
    default:
        return happen_anywhere(f);
    }
}

static bool inject_client_role(uint32_t what)
{
    rpch_client *m = &sim_the_client.m;
    unsigned slot = rpch_client_out_slot(m);
    uint8_t b[SIM_FORGED];
    size_t len = sim_forge(what / 4, NULL, b), at = 0;
    rpch_step step;

    if ((what & 3) == 0) {
        rpch_client_response(m, what >> 2 & 1, what & 8 ? 200 : 503,
                             sim_msec());
        return true;
    }
    /* also before there is a response */
    if ((!(rpch_client_wants(m) & RPCH_WANT_SERVER_READ)
         && m->out[slot].responded)
        || !rpch_cutter_at_boundary(&m->out[slot].cutter))
        return false;
    forged(b, "to the client");
    while (at < len && rpch_client_out_recv(m, slot, b + at, len - at, &step,
                                            sim_msec()) == RPCH_OK
           && step.used > 0)
        at += step.used;
    return true;
}

static bool happen_client(const sim_fault *f)
{
    rpch_client *m = &sim_the_client.m;
    int n;

    switch (f->kind) {
    case SIM_FAULT_INJECT:
        return inject_client_role(f->what);
    case SIM_FAULT_FAIL:
        rpch_client_fail(m, RPCH_E_POLICY, "the caller gives up");
        return true;
    case SIM_FAULT_TIMEOUT:
        /* or the process slept for an age */
        if (rpch_client_deadline(m) == RPCH_NEVER)
            return false;
        rpch_client_timeout(m, f->what & 1 ? RPCH_NEVER - 1
                                           : rpch_client_deadline(m));
        return true;
    case SIM_FAULT_CUT:
    case SIM_FAULT_CLOSE:
        n = sim_the_client.conn[f->what & 1][f->what >> 1 & 1];
        if (n >= 0)
            sim_conn_cut(n);
        return n >= 0;
    case SIM_FAULT_CALL:
        return sim_call_client(m, f->what);
    case SIM_FAULT_STALL:
        return stall(SIM_CLIENT, f->what);
    default:
        return happen_anywhere(f);
    }
}

/* --- when --- */

/* True when it is that fault's turn: its role is in its state. */
static bool is_time(uint32_t i, sim_role role, int state, int sub1, int sub2)
{
    const sim_fault *f = &sim_script_now->fault[i];

    return !done[i] && f->role == role
        && (f->state < 0 || f->state == state)
        && (f->sub < 0 || sub1 < 0 || f->sub == sub1 || f->sub == sub2)
        && waited[i]++ >= f->after;
}

static void count(uint32_t i, bool happened)
{
    done[i] = happened;
    sim_counts.faults += happened;
}

/* True when the actor still stalls. */
static bool is_stalled(int actor)
{
    if (sim_time.now >= stalled[actor])
        return false;
    sim_wake(actor, stalled[actor]);
    return true;
}

static void meddle_role(rpch_server *m)
{
    uint32_t i;

    for (i = 0; i < sim_script_now->faults; i++)
        if (is_time(i, SIM_ROLE_SERVER, m->core.state, m->in_state,
                    m->out_state))
            count(i, happen_role(&sim_script_now->fault[i], m));
}

bool sim_script_meddle_channel(sim_channel *ch)
{
    uint32_t i;

    if (sim_script_now->faults == 0 || ch->hostile)
        return false;
    for (i = 0; ch->used && i < sim_script_now->faults; i++)
        if (is_time(i, ch->half.dir == RELAY_IN ? SIM_ROLE_IN : SIM_ROLE_OUT,
                    sim_channel_core(ch)->state, -1, -1))
            count(i, happen_channel(&sim_script_now->fault[i], ch));
    if (ch->used && ch->joined && ch->half.dir == RELAY_OUT
        && !sim_channel_arriving(ch)
        && ch->role.core.state != RPCH_SERVER_OPEN_START) {
        meddle_role(&ch->role);
        if (ch->role.core.status != RPCH_OK)
            sim_channel_fail(ch, ch->role.core.status, ch->role.core.reason);
    }
    return !ch->used || is_stalled(SIM_CHANNEL0 + ch->n);
}

bool sim_script_meddle_client(void)
{
    const rpch_client *m = &sim_the_client.m;
    uint32_t i;

    for (i = 0; i < sim_script_now->faults; i++)
        if (is_time(i, SIM_ROLE_CLIENT, m->core.state, m->in_state,
                    m->out_state))
            count(i, happen_client(&sim_script_now->fault[i]));
    return is_stalled(SIM_CLIENT);
}

bool sim_script_meddle_server(void)
{
    if (!sim_the_server.plain)
        meddle_role(&sim_the_server.m);
    return is_stalled(SIM_SERVER);
}
