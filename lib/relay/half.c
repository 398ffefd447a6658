/* SPDX-License-Identifier: Apache-2.0 */
/* half.c - dispatch on the direction, and nothing else */
#include "relay/half.h"

#include <string.h>

void relay_half_init(relay_half *h, relay_dir dir, const rpch_limits *limits,
                     const rpch_address *address, unsigned flags,
                     rpch_log_fn *log, void *baton, rpch_msec now)
{
    h->dir = dir;
    if (dir == RELAY_IN)
        rpch_inbound_init(&h->m.in, limits, address, flags, log, baton, now);
    else
        rpch_outbound_init(&h->m.out, limits, flags, log, baton, now);
}

const rpch_core *relay_half_core(const relay_half *h)
{
    return h->dir == RELAY_IN ? &h->m.in.core : &h->m.out.core;
}

const rpch_cookie *relay_half_vc(const relay_half *h)
{
    return h->dir == RELAY_IN ? &h->m.in.vc : &h->m.out.vc;
}

relay_counters relay_half_counters(const relay_half *h)
{
    relay_counters c;
    c.rpc_bytes = h->dir == RELAY_IN ? h->m.in.rpc_bytes : h->m.out.rpc_bytes;
    c.rpc_pdus = h->dir == RELAY_IN ? h->m.in.rpc_pdus : h->m.out.rpc_pdus;
    return c;
}

bool relay_half_is_open(const relay_half *h)
{
    int state = relay_half_core(h)->state;
    return h->dir == RELAY_IN
         ? state >= RPCH_IN_OPENED && state < RPCH_IN_FINISHED
         : state >= RPCH_OUT_OPENED && state < RPCH_OUT_FINISHED;
}

bool relay_half_is_steady(const relay_half *h)
{
    int state = relay_half_core(h)->state;
    return h->dir == RELAY_IN
         ? state == RPCH_IN_OPENED || state == RPCH_IN_OPENED_A5W
         : state == RPCH_OUT_OPENED || state == RPCH_OUT_OPENED_B1W;
}

bool relay_half_is_successor(const relay_half *h)
{
    return h->dir == RELAY_IN ? h->m.in.heir : h->m.out.heir;
}

void relay_half_succession(const relay_half *h, rpch_succession *out)
{
    bool in = h->dir == RELAY_IN;
    out->vc = in ? h->m.in.vc : h->m.out.vc;
    out->predecessor = in ? h->m.in.predecessor : h->m.out.predecessor;
    out->successor = in ? h->m.in.channel : h->m.out.channel;
    out->window = in ? 0 : h->m.out.tx.window;
}

const char *relay_dir_name(relay_dir dir)
{
    return dir == RELAY_IN ? "IN" : "OUT";
}

const char *relay_half_state_name(const relay_half *h)
{
    int state = relay_half_core(h)->state;
    return h->dir == RELAY_IN ? rpch_in_state_name((rpch_in_state)state)
                              : rpch_out_state_name((rpch_out_state)state);
}

int relay_half_client_recv(relay_half *h, const uint8_t *in, size_t len,
                           rpch_step *step, rpch_msec now)
{
    return h->dir == RELAY_IN
         ? rpch_inbound_client_recv(&h->m.in, in, len, step, now)
         : rpch_outbound_client_recv(&h->m.out, in, len, step, now);
}

int relay_half_server_recv(relay_half *h, const uint8_t *in, size_t len,
                           rpch_step *step, rpch_msec now)
{
    return h->dir == RELAY_IN
         ? rpch_inbound_server_recv(&h->m.in, in, len, step, now)
         : rpch_outbound_server_recv(&h->m.out, in, len, step, now);
}

bool relay_half_rpc_next(const relay_half *h, bool client, const uint8_t *in,
                         size_t len)
{
    const rpch_cutter *c = h->dir == RELAY_IN
        ? (client ? &h->m.in.client : &h->m.in.server)
        : (client ? &h->m.out.client : &h->m.out.server);
    const char *reason;
    rpch_pdu pdu;
    return c->left > 0
        || (c->have == 0 && rpch_pdu_parse(in, len, &pdu, &reason) == RPCH_OK
            && pdu.ptype != RPCH_PTYPE_RTS);
}

int relay_half_server_rts(relay_half *h, const uint8_t *pdu, size_t len,
                          rpch_msec now)
{
    return h->dir == RELAY_IN
         ? rpch_inbound_server_rts(&h->m.in, pdu, len, now)
         : rpch_outbound_server_rts(&h->m.out, pdu, len, now);
}

int relay_half_connected(relay_half *h, rpch_msec now)
{
    return h->dir == RELAY_IN ? rpch_inbound_connected(&h->m.in, now)
                              : rpch_outbound_connected(&h->m.out, now);
}

int relay_half_attached(relay_half *h, rpch_msec now)
{
    return h->dir == RELAY_IN ? rpch_inbound_attached(&h->m.in, now)
                              : rpch_outbound_attached(&h->m.out, now);
}

int relay_half_adopt(relay_half *h, const relay_leg *leg, rpch_msec now)
{
    if (leg->dir != h->dir) {
        relay_half_fail(h, RPCH_E_VALUE, "a leg of the other direction");
        return relay_half_core(h)->status;
    }
    return h->dir == RELAY_IN
         ? rpch_inbound_adopt(&h->m.in, &leg->u.in, now)
         : rpch_outbound_adopt(&h->m.out, &leg->u.out, now);
}

int relay_half_attach(relay_half *h, const rpch_succession *s,
                      const char **reason)
{
    return h->dir == RELAY_IN ? rpch_inbound_attach(&h->m.in, s, reason)
                              : rpch_outbound_attach(&h->m.out, s, reason);
}

void relay_half_detach(relay_half *h)
{
    if (h->dir == RELAY_IN)
        rpch_inbound_detach(&h->m.in);
    else
        rpch_outbound_detach(&h->m.out);
}

bool relay_half_dismissed(relay_half *h)
{
    bool dismissed = h->dir == RELAY_IN ? h->m.in.dismissed
                                        : h->m.out.dismissed;
    if (!dismissed)
        return false;
    if (h->dir == RELAY_IN)
        rpch_inbound_dismiss_told(&h->m.in);
    else
        rpch_outbound_dismiss_told(&h->m.out);
    return true;
}

int relay_half_release(relay_half *h, relay_leg *leg)
{
    memset(leg, 0, sizeof(*leg));
    leg->dir = h->dir;
    return h->dir == RELAY_IN ? rpch_inbound_release(&h->m.in, &leg->u.in)
                              : rpch_outbound_release(&h->m.out, &leg->u.out);
}

void relay_half_client_closed(relay_half *h)
{
    if (h->dir == RELAY_IN)
        rpch_inbound_client_closed(&h->m.in);
    else
        rpch_outbound_client_closed(&h->m.out);
}

void relay_half_server_closed(relay_half *h)
{
    if (h->dir == RELAY_IN)
        rpch_inbound_server_closed(&h->m.in);
    else
        rpch_outbound_server_closed(&h->m.out);
}

void relay_half_fail(relay_half *h, int status, const char *reason)
{
    if (h->dir == RELAY_IN)
        rpch_inbound_fail(&h->m.in, status, reason);
    else
        rpch_outbound_fail(&h->m.out, status, reason);
}

unsigned relay_half_wants(const relay_half *h)
{
    return h->dir == RELAY_IN ? rpch_inbound_wants(&h->m.in)
                              : rpch_outbound_wants(&h->m.out);
}

rpch_msec relay_half_deadline(const relay_half *h)
{
    return h->dir == RELAY_IN ? rpch_inbound_deadline(&h->m.in)
                              : rpch_outbound_deadline(&h->m.out);
}

int relay_half_timeout(relay_half *h, rpch_msec now)
{
    return h->dir == RELAY_IN ? rpch_inbound_timeout(&h->m.in, now)
                              : rpch_outbound_timeout(&h->m.out, now);
}

bool relay_half_may_send(relay_half *h, uint32_t len)
{
    return h->dir == RELAY_IN ? rpch_inbound_may_send(&h->m.in, len)
                              : rpch_outbound_may_send(&h->m.out, len);
}

bool relay_half_may_follow(const relay_half *h, uint32_t ahead, uint32_t len)
{
    return h->dir == RELAY_IN
         ? rpch_inbound_may_follow(&h->m.in, ahead, len)
         : rpch_outbound_may_follow(&h->m.out, ahead, len);
}

int relay_half_pdu_begin(relay_half *h, uint32_t len)
{
    if (h->dir == RELAY_OUT)
        return rpch_outbound_pdu_begin(&h->m.out, len);
    rpch_inbound_pdu_begin(&h->m.in, len);
    return RPCH_OK;
}

void relay_half_pdu_done(relay_half *h, uint32_t len, rpch_msec now)
{
    if (h->dir == RELAY_IN)
        rpch_inbound_pdu_done(&h->m.in, len, now);
    else
        rpch_outbound_pdu_done(&h->m.out, len, now);
}

rpch_lane *relay_half_to_server(relay_half *h)
{
    return h->dir == RELAY_IN ? &h->m.in.to_server : &h->m.out.to_server;
}

void relay_half_server_ack(relay_half *h, size_t len)
{
    if (h->dir == RELAY_IN)
        rpch_inbound_server_ack(&h->m.in, len);
    else
        rpch_lane_ack(&h->m.out.to_server, len);
}

const uint8_t *relay_half_client_buf(const relay_half *h, size_t *len)
{
    if (h->dir == RELAY_OUT)
        return rpch_lane_buf(&h->m.out.to_client, len);
    *len = 0;
    return NULL;
}

void relay_half_client_ack(relay_half *h, size_t len, rpch_msec now)
{
    if (h->dir == RELAY_OUT)
        rpch_outbound_client_ack(&h->m.out, len, now);
}
