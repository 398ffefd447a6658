/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtual_rig.h - one virtual connection in memory: client, in-proxy,
 * out-proxy and server machines joined by pipes of little room.
 *
 * What runs when, and how much each read takes, comes from a seed. With
 * RPCH_JOINED the server is a plain one: the server role is fed with whole
 * RTS PDUs, and payload passes beside it.
 */
#ifndef RPCH_VIRTUAL_RIG_H
#define RPCH_VIRTUAL_RIG_H

#include "role_test.h"

#include "rpch/client.h"
#include "rpch/inbound.h"
#include "rpch/outbound.h"
#include "rpch/server.h"

/* Pipes, by who writes into them and who reads. */
enum { CIN, BODY, COUT, SIN_UP, SIN_DOWN, SOUT_UP, SOUT_DOWN, PIPES };
/* The parties. */
enum { CLIENT, INBOUND, SERVER, OUTBOUND, PARTIES };

#define PIPE_ROOM 6000u
#define HOP_ROOM 400000u
#define HOP_PDUS 8192u
#define HELD_MAX 8192u

typedef struct pipe {
    uint8_t b[PIPE_ROOM];
    size_t len;
} pipe;

/* PDUs that wait to be written: the sources have one, the proxies queue. */
typedef struct hop {
    uint8_t b[HOP_ROOM];
    size_t len;
    uint32_t pdu[HOP_PDUS];
    size_t n;
    size_t sent; /* of the first PDU */
    bool begun;
} hop;

/* One direction of the application's traffic. */
typedef struct traffic {
    uint32_t to_send;  /* PDUs */
    uint32_t made;
    uint32_t received;
    uint32_t seed;     /* of sizes and contents */
    uint32_t largest;  /* sizes are 16..largest; 0: always fixed */
    uint32_t fixed;
    uint8_t got[65536];
    size_t got_len;
    uint32_t held[HELD_MAX]; /* received, not yet consumed */
    size_t held_n;
} traffic;

static struct rig {
    rpch_client client;
    rpch_inbound in;
    rpch_outbound out;
    rpch_server server;
    unsigned flags;
    rpch_msec now;
    pipe pipe[PIPES];
    hop hop[PARTIES];
    traffic up, down;
    rpch_cutter plain;            /* of the plain server */
    unsigned seen[PARTIES][RPCH_PDU_ID_MAX]; /* RTS PDUs received */
    int how;                      /* ROLE_WHOLE ... */
    uint32_t rnd;
    bool lazy;                    /* nobody consumes */
    /* Takes the server's payload instead of rig_sink. */
    void (*sink)(const uint8_t *p, size_t n, bool last);
} rig;

/* The next number below that bound. */
static inline uint32_t rig_random(uint32_t below)
{
    rig.rnd = rig.rnd * 1664525u + 1013904223u;
    return (rig.rnd >> 8) % below;
}

/* Counts the RTS PDUs that a machine receives; baton: its row of seen. */
static inline void rig_log(void *baton, int level, const char *what,
                           const char *detail)
{
    unsigned *row = baton;
    int id;

    if (level != RPCH_LOG_TRACE1 || strncmp(what, "received", 8) != 0)
        return;
    for (id = 0; id < RPCH_PDU_ID_MAX; id++)
        if (strstr(detail, rpch_rts_row_of((rpch_pdu_id)id)->name))
            row[id]++;
}

/* Starts all four with these limits; flags as of the machines. */
static inline void rig_start(const rpch_limits *l, unsigned flags, int how,
                             uint32_t seed)
{
    rpch_client_cookies c;
    rpch_address address;

    memset(&rig, 0, sizeof(rig));
    memset(&address, 0, sizeof(address));
    c.vc = role_cookie(0xa0);
    c.out = role_cookie(0xb0);
    c.in = role_cookie(0xc0);
    c.group = role_cookie(0x90);
    rig.flags = flags;
    rig.how = how;
    rig.rnd = seed;
    rig.now = 1000;
    rpch_cutter_init(&rig.plain, false);
    rpch_client_init(&rig.client, l, &c, flags & RPCH_QUIET, rig_log,
                     rig.seen[CLIENT], rig.now);
    rpch_inbound_init(&rig.in, l, &address, flags, rig_log,
                      rig.seen[INBOUND], rig.now);
    rpch_outbound_init(&rig.out, l, flags, rig_log, rig.seen[OUTBOUND],
                       rig.now);
    rpch_server_init(&rig.server, l, flags & RPCH_JOINED, rig_log,
                     rig.seen[SERVER], rig.now);
    if (!(flags & RPCH_JOINED)) {
        role_check(rpch_server_enter(&rig.server, true) == 0);
        role_check(rpch_server_enter(&rig.server, false) == 0);
    }
}

/* Size of the k-th PDU of a direction. */
static inline uint32_t rig_size(const traffic *t, uint32_t k)
{
    uint32_t x = (t->seed + k) * 2654435761u;

    return t->largest ? 16 + (x >> 8) % (t->largest - 15) : t->fixed;
}

/* Bytes appended to the pipe. */
static inline size_t rig_put(pipe *p, const uint8_t *b, size_t n)
{
    if (n > PIPE_ROOM - p->len)
        n = PIPE_ROOM - p->len;
    if (n)
        memcpy(p->b + p->len, b, n);
    p->len += n;
    return n;
}

/* Removes the first n of *len bytes. */
static inline void rig_drop(uint8_t *b, size_t *len, size_t n)
{
    *len -= n;
    memmove(b, b + n, *len);
}

/* Takes a slice that arrived at an end and compares whole PDUs, unless
 * somebody else takes what the server gets. */
static inline void rig_sink(traffic *t, const uint8_t *p, size_t n, bool last)
{
    static uint8_t want[65536];

    if (rig.sink && t == &rig.up) {
        rig.sink(p, n, last);
        return;
    }
    memcpy(t->got + t->got_len, p, n);
    t->got_len += n;
    if (!last)
        return;
    role_check(t->received < t->made);
    role_check(t->got_len == rig_size(t, t->received));
    role_rpc(want, t->got_len, (uint8_t)(t->seed + t->received));
    role_check(memcmp(t->got, want, t->got_len) == 0);
    role_check(t->held_n < HELD_MAX);
    t->held[t->held_n++] = (uint32_t)t->got_len;
    t->received++;
    t->got_len = 0;
}

/* Appends a slice to a proxy's queue. */
static inline void rig_queue(hop *h, const rpch_step *s)
{
    role_check(h->len + s->pass_len <= HOP_ROOM);
    memcpy(h->b + h->len, s->pass, s->pass_len);
    h->len += s->pass_len;
    if (s->first) {
        role_check(h->n < HOP_PDUS);
        h->pdu[h->n++] = s->pdu_len;
    }
}

/* Gives a source its next PDU. */
static inline void rig_make(traffic *t, hop *h)
{
    if (h->n > 0 || t->made == t->to_send)
        return;
    h->pdu[0] = rig_size(t, t->made);
    h->len = role_rpc(h->b, h->pdu[0], (uint8_t)(t->seed + t->made));
    h->n = 1;
    t->made++;
}

/* True when the server is a plain one. */
static inline bool rig_joined(void)
{
    return (rig.flags & RPCH_JOINED) != 0;
}

/* May this party start a PDU of n bytes? */
static inline bool rig_may_send(int who, uint32_t n)
{
    switch (who) {
    case CLIENT: return rpch_client_may_send(&rig.client, n);
    case INBOUND: return rpch_inbound_may_send(&rig.in, n);
    case OUTBOUND: return rpch_outbound_may_send(&rig.out, n);
    default: return rig_joined() || rpch_server_may_send(&rig.server, n);
    }
}

/* It starts one; false when its machine ended instead. */
static inline bool rig_begin(int who, uint32_t n)
{
    if (who == CLIENT)
        rpch_client_sent(&rig.client, n, rig.now);
    else if (who == INBOUND)
        rpch_inbound_pdu_begin(&rig.in, n);
    else if (who == OUTBOUND)
        return rpch_outbound_pdu_begin(&rig.out, n) == RPCH_OK;
    else if (!rig_joined())
        rpch_server_sent(&rig.server, n);
    return true;
}

/* Its last byte was written. */
static inline void rig_done(int who, uint32_t n)
{
    if (who == INBOUND)
        rpch_inbound_pdu_done(&rig.in, n, rig.now);
    else if (who == OUTBOUND)
        rpch_outbound_pdu_done(&rig.out, n, rig.now);
}

/* n bytes of the lane were written. */
static inline void rig_lane_sent(int who, rpch_lane *lane, size_t n)
{
    if (who == CLIENT && lane == &rig.client.in[0].lane)
        rpch_client_in_ack(&rig.client, 0, n, rig.now);
    else if (who == OUTBOUND && lane == &rig.out.to_client)
        rpch_outbound_client_ack(&rig.out, n, rig.now);
    else
        rpch_lane_ack(lane, n);
}

/* Writes what a party has for that pipe: the lane between two RPC PDUs, then
 * payload. lane or h may be NULL. True when bytes moved. */
static inline bool rig_write(int who, rpch_lane *lane, hop *h, pipe *to)
{
    size_t n = 0, k = 0;
    const uint8_t *p = NULL;

    if (lane && !(h && h->begun))
        p = rpch_lane_buf(lane, &n);
    if (p) {
        k = rig_put(to, p, n);
        rig_lane_sent(who, lane, k);
        return k > 0;
    }
    if (!h || h->n == 0)
        return false;
    if (!h->begun) {
        if (!rig_may_send(who, h->pdu[0]) || !rig_begin(who, h->pdu[0]))
            return false;
        h->begun = true;
    }
    n = h->pdu[0] - h->sent;
    k = rig_put(to, h->b, n < h->len ? n : h->len);
    rig_drop(h->b, &h->len, k);
    h->sent += k;
    if (h->sent == h->pdu[0]) {
        rig_done(who, h->pdu[0]);
        h->n--;
        memmove(h->pdu, h->pdu + 1, h->n * sizeof(h->pdu[0]));
        h->sent = 0;
        h->begun = false;
    }
    return k > 0;
}

#endif
