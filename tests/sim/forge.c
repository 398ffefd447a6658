/* SPDX-License-Identifier: Apache-2.0 */
/* forge.c - what an attacker, or a peer that has lost its mind, says */
#include "forge.h"

#include <string.h>

#include "peers.h"
#include "script.h"
#include "trace.h"
#include "watch.h"

/* Any cookie that means something now, or none. */
static rpch_cookie some_cookie(uint32_t k, const sim_channel *near)
{
    const rpch_client *c = &sim_the_client.m;
    rpch_cookie zero;

    memset(&zero, 0, sizeof(zero));
    switch (k % 9) {
    case 0: return c->in[0].cookie;
    case 1: return c->in[1].cookie;
    case 2: return c->out[0].cookie;
    case 3: return c->out[1].cookie;
    case 4: return c->cookies.vc;
    case 5:
    case 6:
        if (near)
            return near->half.dir == RELAY_IN ? near->half.m.in.successor
                                              : near->half.m.out.successor;
        return sim_new_cookie();
    case 7: return zero;
    default: return sim_new_cookie();
    }
}

static void make_values(rpch_rts_values *v, uint32_t x,
                        const sim_channel *near)
{
    static const uint32_t windows[] = { 8192, 65536, 100, 262144, 0 };
    static const uint32_t timeouts[] = { 120000, 5, 120000, 14400001 };
    static const uint32_t keepalives[] = { 0, 300000, 10 };

    memset(v, 0, sizeof(*v));
    v->cookie[0] = some_cookie(x, near);
    v->cookie[1] = some_cookie(x / 9, near);
    v->cookie[2] = some_cookie(x / 81, near);
    v->group = sim_new_cookie();
    v->window = windows[x % 5];
    v->lifetime = x & 32 ? 1u << 24 : 131072;
    v->timeout = timeouts[x / 5 % 4];
    v->keepalive = keepalives[x / 20 % 3];
    v->notify = x & 64 ? 20 : 100000;
    v->version = 1;
    v->dest = (rpch_dest)(x & 3);
    v->ack.cookie = some_cookie(x / 4, near);
    v->ack.bytes_received = x & 128 ? 0 : x;
    v->ack.available_window = x & 256 ? 8192 : x;
}

/* What is no named PDU. */
static size_t make_other(uint32_t kind, uint32_t x, uint8_t *out)
{
    static const uint8_t rpc[24] = { 5, 0, 0, 3, 0x10, 0, 0, 0, 24 };
    rpch_rts rts;
    size_t len = 0;

    memset(&rts, 0, sizeof(rts));
    switch (kind) {
    case 0:
    case 1:
        memcpy(out, rpc, sizeof(rpc));
        return sizeof(rpc);
    case 2:
        memset(out, (int)(x & 0xff), 20);
        return 20;
    case 3:
        break;
    default:
        rts.n = 2;
        rts.cmd[0].type = RPCH_CMD_DESTINATION;
        rts.cmd[0].u.value = x & 3;
        rts.cmd[1].type = x & 4 ? RPCH_CMD_EMPTY : RPCH_CMD_PADDING;
        rts.cmd[1].u.value = x & 4 ? 0 : x / 8 % 200;
        break;
    }
    sim_must(rpch_rts_encode(&rts, out, SIM_FORGED, &len) == RPCH_OK,
             "a PDU cannot be forged");
    return len;
}

size_t sim_forge(uint32_t what, const sim_channel *near, uint8_t *out)
{
    uint32_t kind = what % (RPCH_PDU_ID_MAX + SIM_FORGE_OTHERS);
    uint32_t x = what / (RPCH_PDU_ID_MAX + SIM_FORGE_OTHERS);
    rpch_rts_values v;
    size_t len = 0;

    if (kind >= RPCH_PDU_ID_MAX)
        return make_other(kind - RPCH_PDU_ID_MAX, x, out);
    make_values(&v, x, near);
    if (x % 3 != 0)
        v.cookie[0] = rpch_rts_row_of((rpch_pdu_id)kind)->n > 3
                      ? sim_the_client.m.cookies.vc : v.cookie[0];
    sim_must(rpch_rts_make((rpch_pdu_id)kind, &v, out, SIM_FORGED, &len)
             == RPCH_OK, "a PDU cannot be forged");
    return len;
}

bool sim_forge_is_heavy(const uint8_t *pdu)
{
    /* Ping and Keep-Alive change nothing that is checked */
    return !(pdu[2] == 20 && pdu[18] <= 1 && (pdu[16] == 1
             || (pdu[16] == 2 && pdu[20] == 5)));
}

/* --- newcomers --- */

enum {
    DUPLICATE_IN, DUPLICATE_OUT, FOREIGN_IN, FOREIGN_OUT,
    WRONG_IN, WRONG_OUT, THIEF_IN, THIEF_OUT, UNKNOWN_IN, UNKNOWN_OUT,
    SILENT, /* up to here nobody is disturbed */
    HEIR_IN, HEIR_OUT, JUNK_IN, JUNK_OUT, NEWCOMERS
};

/* A body does not go beyond its Content-Length, whatever is in it. */
static void put(int n, const uint8_t *b, size_t len)
{
    sim_pipe *p = &sim_conns[n].up;

    if (len > p->most - p->written)
        len = (size_t)(p->most - p->written);
    sim_pipe_put(p, b, len);
}

static void say(int n, rpch_pdu_id id, const rpch_rts_values *v)
{
    uint8_t b[SIM_FORGED];
    size_t len = 0;

    sim_must(rpch_rts_make(id, v, b, sizeof(b), &len) == RPCH_OK,
             "a PDU cannot be forged");
    put(n, b, len);
}

/* The cookie of the client's current channel. */
static rpch_cookie current(bool is_in)
{
    const rpch_client *c = &sim_the_client.m;

    return is_in ? c->in[c->in_slot].cookie : c->out[c->out_slot].cookie;
}

static void say_succession(int n, bool is_in, const rpch_rts_values *v,
                           bool to_the_end)
{
    say(n, is_in ? RPCH_IN_R1_A1 : RPCH_OUT_R1_A3, v);
    if (!is_in && to_the_end)
        say(n, v->window & 1 ? RPCH_OUT_R1_A11 : RPCH_OUT_R2_C1, v);
}

static bool is_in_of(uint32_t kind)
{
    return kind % 2 == 0 && kind != HEIR_OUT && kind != JUNK_OUT
        ? true : kind == HEIR_IN || kind == JUNK_IN;
}

static void junk(int n, uint32_t x)
{
    uint8_t b[SIM_FORGED];

    size_t len = sim_forge(x, NULL, b);

    put(n, b, len);
}

void sim_forge_newcomer(uint32_t what)
{
    uint32_t kind = what % 16, x = what / 16;
    bool is_in = kind == SILENT ? x & 1 : is_in_of(kind);
    bool heir = (kind >= WRONG_IN && kind <= UNKNOWN_OUT)
             || kind == HEIR_IN || kind == HEIR_OUT;
    rpch_rts_values v;
    int n;

    if (kind >= NEWCOMERS)
        kind = JUNK_IN;
    n = sim_client_request(is_in, heir, true);
    if (n < 0)
        return;
    make_values(&v, x, NULL);
    v.cookie[0] = sim_the_client.m.cookies.vc;
    v.cookie[1] = heir ? current(is_in) : sim_new_cookie();
    v.cookie[2] = sim_new_cookie();
    v.window = 65536 + (x & 1);
    v.keepalive = 0;
    v.lifetime = 131072;
    if (kind == FOREIGN_IN || kind == FOREIGN_OUT || kind == THIEF_IN
        || kind == THIEF_OUT)
        sim_channels[n].identity = 2;
    if (kind == WRONG_IN || kind == WRONG_OUT)
        v.cookie[1] = sim_new_cookie();
    if (kind == UNKNOWN_IN || kind == UNKNOWN_OUT)
        v.cookie[0] = sim_new_cookie();
    /* The answer to the heir may be taken by a client that has just sent a
     * successor of its own to another place, whose window is another one. */
    if (kind == HEIR_IN || kind == HEIR_OUT)
        sim_watch_misled = true;
    sim_counts.newcomers++;
    sim_say("newcomer %u on request %d", kind, n);
    if (kind == JUNK_IN || kind == JUNK_OUT)
        junk(n, x);
    else if (heir)
        say_succession(n, is_in, &v, (x & 2) != 0);
    else if (kind != SILENT)
        say(n, is_in ? RPCH_CONN_B1 : RPCH_CONN_A1, &v);
    if (x & 4)
        sim_pipe_close(&sim_conns[n].up);
}
