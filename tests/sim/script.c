/* SPDX-License-Identifier: Apache-2.0 */
/* script.c - scripts from seeds: mostly small connections, tiny lifetimes */
#include "script.h"

#include <stdio.h>
#include <string.h>

#include <apr_general.h>

#include "forge.h"
#include "rpch/client.h"
#include "trace.h"
#include "watch.h"

const sim_script *sim_script_now;
sim_tally sim_counts;

/* A number below that bound. */
static uint32_t below(uint64_t *x, uint32_t bound)
{
    return (uint32_t)((sim_mix(x) >> 32) * bound >> 32);
}

/* One from low to high. */
static uint32_t between(uint64_t *x, uint32_t low, uint32_t high)
{
    return low + below(x, high - low + 1);
}

static bool percent(uint64_t *x, uint32_t of)
{
    return below(x, 100) < of;
}

relay_blocks *sim_script_blocks(void)
{
    static relay_blocks *blocks;
    static apr_pool_t *pool;

    if (blocks == NULL
        && (apr_pool_create(&pool, NULL) != APR_SUCCESS
            || relay_blocks_create(&blocks, 256, pool) != APR_SUCCESS))
        sim_break("no memory");
    return blocks;
}

/* Who is the client, and where do its requests go? */
static void make_shape(sim_script *s, uint64_t *x)
{
    uint32_t k = below(x, 100);

    s->joined = percent(x, 40);
    s->places = !s->joined && percent(x, 50) ? 2 : 1;
    s->children = between(x, 1, 4);
    s->elsewhere = percent(x, 30) ? 100 : between(x, 20, 60);
    s->spread = percent(x, 30) ? 100 : below(x, 70);
    if (k < 10)
        s->client_flags = RPCH_R2_ONLY;
    else if (k < 15)
        s->client_flags = RPCH_NO_RECYCLING;
    else if (k < 20)
        s->client_flags = RPCH_QUIET | RPCH_NO_RECYCLING;
    s->delay = 1u << below(x, 9);
    k = below(x, 20);
    s->cuts = k < 4 ? SIM_CUT_WHOLE : k < 5 ? SIM_CUT_BYTES : SIM_CUT_RANDOM;
    s->room = percent(x, 50) ? 8192 : between(x, 256, 4096);
    s->link_room = between(x, 3, SIM_LINK_ROOM);
    s->big_endian = percent(x, 30) ? 50 : 0;
    s->think = percent(x, 40) ? between(x, 1, 30) : 0;
    s->pause = percent(x, 50) ? 20 : 4000;
    s->lazy = percent(x, 40) ? between(x, 10, 80) : 0;
    s->slow = percent(x, 12) ? between(x, 1, percent(x, 30) ? 400 : 40) : 0;
    s->tardy = percent(x, 12) ? between(x, 1, 200) : 0;
    if (s->slow && s->cuts == SIM_CUT_BYTES)
        s->cuts = SIM_CUT_RANDOM;
    if (s->slow && percent(x, 60))
        s->room = between(x, 256, 700);
    s->linger = percent(x, 50) ? 0 : below(x, 5000);
    s->busy = percent(x, 40) ? between(x, 1, 6) : 0;
    s->banner = percent(x, 50);
    s->polite = percent(x, 30);
}

/* What is sent, and how long channels live. */
static uint32_t make_sizes(sim_script *s, uint64_t *x)
{
    uint32_t lifetime, k = below(x, 100);

    if (k < 88) {
        lifetime = between(x, 2048, 5000);
        s->largest = between(x, 100, 560);
        s->up = below(x, 40);
        s->down = below(x, 40);
    } else if (k < 99) {
        lifetime = between(x, 12000, 40000);
        s->largest = between(x, 400, 5840);
        s->up = below(x, 24);
        s->down = below(x, 24);
    } else {
        lifetime = between(x, 20000, 131072);
        s->largest = between(x, 100, 8192);
        s->up = below(x, 150);
        s->down = below(x, 150);
    }
    s->smallest = percent(x, 30) ? s->largest : 16;
    if (percent(x, 15))
        s->up = 0;
    if (percent(x, 15))
        s->down = 0;
    if (s->down > 0 && s->up == 0)
        s->up = 1;
    return lifetime;
}

static uint32_t make_window(uint64_t *x)
{
    return percent(x, 60) ? RPCH_WINDOW_MIN : percent(x, 80)
         ? between(x, 8192, 20000) : 65536;
}

static void make_limits(sim_script *s, uint64_t *x, uint32_t lifetime)
{
    uint32_t notify = between(x, 1, 120);
    rpch_msec drain = between(x, 20000, 60000);
    rpch_limits l;
    int i;

    memset(&l, 0, sizeof(l));
    l.receive_window = make_window(x);
    l.channel_lifetime = lifetime;
    l.connection_timeout = 120000;
    l.ping_interval = percent(x, 50) ? between(x, 700, 3000) : 60000;
    l.first_pdu_timeout = 30000;
    l.open_timeout = 90000;
    l.switch_timeout = 120000;
    l.recycle_reserve = between(x, 400, (lifetime - s->largest) / 2);
    l.ping_notify = notify;
    l.drain_timeout = s->places == 1 && percent(x, 20) ? 0 : drain;
    s->client = s->server = l;
    s->client.ping_interval = percent(x, 50) ? between(x, 700, 3000) : 60000;
    s->client.receive_window = make_window(x);
    s->server.receive_window = make_window(x);
    for (i = 0; i < SIM_PLACES; i++) {
        s->proxy[i] = l;
        s->proxy[i].receive_window = make_window(x);
    }
    s->proxy[1].channel_lifetime = lifetime + below(x, 1000);
    /* RTS PDUs go on while an OUT channel waits for its successor */
    if (s->slow || s->tardy) {
        if (s->largest > 560)
            s->largest = s->smallest = 560;
        if (s->up > 20)
            s->up = 20;
        s->proxy[0].channel_lifetime = between(x, 24000, 32000);
        s->proxy[1].channel_lifetime = between(x, 24000, 32000);
        s->down *= 2;
    }
    /* see is_busy: what a predecessor holds must soon be taken */
    for (i = 0; s->busy && !s->joined && i < SIM_PLACES; i++)
        s->proxy[i].receive_window = RPCH_WINDOW_MIN;
    /* a window smaller than a PDU stalls its channel for good */
    if (s->largest > 5840)
        s->client.receive_window = s->server.receive_window
            = s->proxy[0].receive_window = s->proxy[1].receive_window
            = 65536;
}

/* A channel without recycling ends at its lifetime: mostly it is long. */
static void make_lifetimes(sim_script *s, uint64_t *x)
{
    bool none = (s->client_flags & RPCH_NO_RECYCLING) != 0
             || percent(x, 5);
    int i;

    s->completes = true;
    if (s->client_flags & RPCH_R2_ONLY)
        s->completes = s->places == 1;
    if (!none)
        return;
    s->client.recycle_reserve = s->server.recycle_reserve = 0;
    for (i = 0; i < SIM_PLACES; i++)
        s->proxy[i].recycle_reserve = 0;
    if (percent(x, 40)) {
        s->completes = false;
        s->lifetime_ends = true;
        if (percent(x, 50)) {
            s->server.recycle_reserve = 600;
            s->proxy[0].recycle_reserve = s->proxy[1].recycle_reserve = 600;
        }
        return;
    }
    s->client.channel_lifetime = 1u << 24;
    for (i = 0; i < SIM_PLACES; i++)
        s->proxy[i].channel_lifetime = 1u << 24;
}

/* States of a role's machine. */
static int states_of(sim_role role)
{
    switch (role) {
    case SIM_ROLE_IN: return RPCH_IN_FINISHED;
    case SIM_ROLE_OUT: return RPCH_OUT_FINISHED;
    case SIM_ROLE_SERVER: return RPCH_SERVER_FINISHED;
    default: return RPCH_CLIENT_FINISHED;
    }
}

static void make_fault(sim_script *s, uint64_t *x, bool harmless)
{
    static const uint8_t kinds[] = {
        SIM_FAULT_INJECT, SIM_FAULT_INJECT, SIM_FAULT_INJECT,
        SIM_FAULT_INJECT, SIM_FAULT_INJECT, SIM_FAULT_INJECT,
        SIM_FAULT_FAIL, SIM_FAULT_CUT, SIM_FAULT_SERVER_CUT, SIM_FAULT_CLOSE,
        SIM_FAULT_SERVER_CLOSE, SIM_FAULT_DIE, SIM_FAULT_LINK,
        SIM_FAULT_TIMEOUT, SIM_FAULT_TIMEOUT, SIM_FAULT_STALL,
        SIM_FAULT_CALL, SIM_FAULT_CALL,
        SIM_FAULT_NEWCOMER, SIM_FAULT_NEWCOMER
    };
    sim_fault *f = &s->fault[s->faults++];

    memset(f, 0, sizeof(*f));
    f->kind = harmless ? SIM_FAULT_NEWCOMER
                       : (sim_fault_kind)kinds[below(x, sizeof(kinds))];
    f->role = (sim_role)below(x, SIM_ROLES);
    f->state = percent(x, 70) ? (int)below(x, (uint32_t)states_of(f->role))
                              : -1;
    f->sub = percent(x, 60) ? (int)below(x, 6) : -1;
    f->after = percent(x, 50) ? 0 : below(x, 1u << below(x, 8));
    f->what = (uint32_t)(sim_mix(x) >> 32);
    if (harmless)
        f->what = f->what / 16 * 16 + below(x, 11);
    else
        s->completes = false;
}

/* Likewise for the server's virtual IN channel, and the PDUs that concern
 * it. */
static void suit_server(sim_script *s, uint64_t *x)
{
    static const rpch_pdu_id pdu[] = {
        RPCH_IN_R1_A2, RPCH_IN_R1_A6, RPCH_IN_R1_B1
    };
    sim_fault *f = &s->fault[0];

    if (s->faults != 1 || f->role != SIM_ROLE_SERVER || s->completes
        || f->kind != SIM_FAULT_INJECT || f->sub < RPCH_SERVER_IN_A6W
        || f->sub > RPCH_SERVER_IN_OPENED_B1W)
        return;
    f->state = RPCH_SERVER_OPENED;
    f->after = below(x, 3);
    /* see sim_forge: on the S-IN that is there */
    f->what = 1 + 4 * (pdu[below(x, 3)]
                       + (RPCH_PDU_ID_MAX + SIM_FORGE_OTHERS)
                         * below(x, 100000));
    s->client_flags = 0;
    s->joined = false;
    s->places = 2;
    s->elsewhere = 100;
    s->up = between(x, 20, 40);
}

/* States of a successor or a predecessor that pass quickly, if they come at
 * all: a fault that waits for one gets a connection that is often there. */
static void suit(sim_script *s, uint64_t *x)
{
    const sim_fault *f = &s->fault[0];
    bool r1 = f->state == RPCH_OUT_DRAIN_R1 || f->state == RPCH_OUT_LAST_R1;
    int i;

    if (s->faults != 1 || f->role != SIM_ROLE_OUT || s->completes
        || f->state < RPCH_OUT_SUCCEED || f->state == RPCH_OUT_OPENED)
        return;
    s->fault[0].after = below(x, 3);
    s->client_flags = 0;
    s->joined = s->joined && !r1;
    s->places = r1 ? 2 : 1;
    s->elsewhere = 100;
    s->slow = between(x, 1, 100);
    s->tardy = percent(x, 50) ? between(x, 1, 100) : 0;
    s->room = 256;
    s->cuts = SIM_CUT_RANDOM;
    s->up = between(x, 1, 10);
    s->down = 40;
    s->smallest = s->largest = between(x, 300, 2000);
    for (i = 0; i < SIM_PLACES; i++) {
        s->proxy[i].channel_lifetime = between(x, 8000, 16000);
        s->proxy[i].recycle_reserve = 3000;
        s->proxy[i].drain_timeout = percent(x, 50) ? 20 : 2000;
    }
    s->server.recycle_reserve = 3000;
}

/* A connection may be idle for long, and be kept alive by Pings alone. */
static void make_idle(sim_script *s, uint64_t *x)
{
    if (!percent(x, 1))
        return;
    s->linger = between(x, 1800000, 2400000);
    s->client.ping_interval = 60000;
    s->proxy[0].ping_interval = s->proxy[1].ping_interval = 60000;
}

void sim_script_make(sim_script *s, uint64_t seed)
{
    uint64_t x = seed * 0x9e3779b97f4a7c15u + 12345;
    uint32_t lifetime, k, n;

    memset(s, 0, sizeof(*s));
    s->seed = seed;
    make_shape(s, &x);
    lifetime = make_sizes(s, &x);
    make_limits(s, &x, lifetime);
    make_lifetimes(s, &x);
    make_idle(s, &x);
    k = below(&x, 100);
    if (k < 15 && s->places == 1) {
        for (n = between(&x, 1, 2); n > 0; n--)
            make_fault(s, &x, true);
    } else if (k >= 50) {
        for (n = between(&x, 1, 2); n > 0; n--)
            make_fault(s, &x, false);
        suit(s, &x);
        suit_server(s, &x);
    }
}

static void print_limits(const char *who, const rpch_limits *l)
{
    printf("  %s: window %u, lifetime %u, reserve %u, ping %llu, notify %u, "
           "drain %llu\n", who, l->receive_window, l->channel_lifetime,
           l->recycle_reserve, (unsigned long long)l->ping_interval,
           l->ping_notify, (unsigned long long)l->drain_timeout);
}

void sim_script_print(const sim_script *s)
{
    static const char *const kind[SIM_FAULT_KINDS] = {
        "none", "inject", "fail", "cut", "server cut", "close",
        "server close", "die", "link", "timeout", "stall", "call", "newcomer"
    };
    static const char *const role[SIM_ROLES] = {
        "in-proxy", "out-proxy", "server", "client"
    };
    uint32_t i;

    printf("seed %llu: %s, %u places, %u children, client flags %#x, "
           "%u PDUs up, %u down, %u..%u bytes, %s\n",
           (unsigned long long)s->seed, s->joined ? "joined" : "native",
           s->places, s->children, s->client_flags, s->up, s->down,
           s->smallest, s->largest,
           s->completes ? "is to complete" : "may end early");
    printf("  busy %u, slow %u, tardy %u, lazy %u, think %u, delay %u, "
           "cuts %d, room %u, %s\n", s->busy, s->slow, s->tardy, s->lazy,
           s->think, s->delay, s->cuts, s->room, s->polite ? "polite" : "");
    print_limits("client", &s->client);
    print_limits("proxy 0", &s->proxy[0]);
    if (s->places > 1)
        print_limits("proxy 1", &s->proxy[1]);
    print_limits("server", &s->server);
    for (i = 0; i < s->faults; i++)
        printf("  fault: %s, %s in state %d/%d, after %u, what %#x\n",
               kind[s->fault[i].kind], role[s->fault[i].role],
               s->fault[i].state, s->fault[i].sub, s->fault[i].after,
               s->fault[i].what);
}
