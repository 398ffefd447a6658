/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtual_actors.h - what can happen next in the rig of virtual_rig.h: every
 * read and write of every party, one small function each. An actor returns
 * true when something moved.
 */
#ifndef RPCH_VIRTUAL_ACTORS_H
#define RPCH_VIRTUAL_ACTORS_H

#include "virtual_rig.h"

/* Feeds one cut of a pipe to a machine; slices go to sink or queue. */
#define READ(pipe_id, recv, m, on_pass) \
    do { \
        pipe *p_ = &rig.pipe[pipe_id]; \
        size_t n_ = p_->len ? role_cut(rig.how, p_->len, &rig.rnd) : 0; \
        rpch_step step; \
        if (n_ == 0) \
            return false; \
        recv(m, p_->b, n_, &step, rig.now); \
        if (step.pass) { \
            on_pass; \
        } \
        rig_drop(p_->b, &p_->len, step.used); \
        return step.used > 0; \
    } while (0)

/* Nothing is recycled here: the client has one C-OUT. */
static inline int client_recv(rpch_client *m, const uint8_t *in, size_t len,
                              rpch_step *step, rpch_msec now)
{
    return rpch_client_out_recv(m, 0, in, len, step, now);
}

/* C-OUT to the client. */
static inline bool client_reads(void)
{
    READ(COUT, client_recv, &rig.client,
         rig_sink(&rig.down, step.pass, step.pass_len, step.last));
}

/* The client writes A1, then C-IN. */
static inline bool client_writes(void)
{
    bool moved = rig_write(CLIENT, &rig.client.out[0].body, NULL,
                           &rig.pipe[BODY]);

    rig_make(&rig.up, &rig.hop[CLIENT]);
    return rig_write(CLIENT, &rig.client.in[0].lane, &rig.hop[CLIENT],
                     &rig.pipe[CIN]) || moved;
}

/* C-IN to the in-proxy. */
static inline bool in_reads_client(void)
{
    READ(CIN, rpch_inbound_client_recv, &rig.in,
         rig_queue(&rig.hop[INBOUND], &step));
}

/* S-IN to the in-proxy. */
static inline bool in_reads_server(void)
{
    READ(SIN_DOWN, rpch_inbound_server_recv, &rig.in, ck_abort());
}

/* The in-proxy connects, and writes S-IN. */
static inline bool in_writes(void)
{
    if (rpch_inbound_wants(&rig.in) & RPCH_WANT_CONNECT)
        rpch_inbound_connected(&rig.in, rig.now);
    return rig_write(INBOUND, rig_joined() ? NULL : &rig.in.to_server,
                     &rig.hop[INBOUND], &rig.pipe[SIN_UP]);
}

/* The OUT request's body to the out-proxy. */
static inline bool out_reads_client(void)
{
    READ(BODY, rpch_outbound_client_recv, &rig.out, ck_abort());
}

/* S-OUT to the out-proxy. */
static inline bool out_reads_server(void)
{
    READ(SOUT_DOWN, rpch_outbound_server_recv, &rig.out,
         rig_queue(&rig.hop[OUTBOUND], &step));
}

/* The out-proxy connects, answers 200, writes S-OUT and C-OUT. */
static inline bool out_writes(void)
{
    size_t waiting;
    bool moved = false;

    if (rpch_outbound_wants(&rig.out) & RPCH_WANT_CONNECT)
        rpch_outbound_connected(&rig.out, rig.now);
    rpch_lane_buf(&rig.out.to_server, &waiting);
    if ((rpch_outbound_wants(&rig.out) & RPCH_WANT_RESPONSE)
        && waiting == 0) {
        rpch_client_response(&rig.client, 0, 200, rig.now);
        rpch_outbound_responded(&rig.out, rig.now);
        moved = true;
    }
    if (!rig_joined())
        moved = rig_write(OUTBOUND, &rig.out.to_server, NULL,
                          &rig.pipe[SOUT_UP]) || moved;
    return rig_write(OUTBOUND, &rig.out.to_client, &rig.hop[OUTBOUND],
                     &rig.pipe[COUT]) || moved;
}

/* The plain server knows no RTS PDU at all. */
static inline bool plain_reads(void)
{
    pipe *p = &rig.pipe[SIN_UP];
    rpch_cut cut;

    if (p->len == 0)
        return false;
    role_check(rpch_cutter_next(&rig.plain, p->b,
                                role_cut(rig.how, p->len, &rig.rnd),
                                &cut) == RPCH_OK);
    role_check(cut.kind != RPCH_CUT_RTS);
    if (cut.kind == RPCH_CUT_RPC)
        rig_sink(&rig.up, cut.data, cut.len, cut.last);
    rig_drop(p->b, &p->len, cut.used);
    return true;
}

/* Nor has the server more than one S-IN and one S-OUT. */
static inline int server_in_recv(rpch_server *m, const uint8_t *in, size_t len,
                                 rpch_step *step, rpch_msec now)
{
    return rpch_server_in_recv(m, 0, in, len, step, now);
}

static inline int server_out_recv(rpch_server *m, const uint8_t *in,
                                  size_t len, rpch_step *step, rpch_msec now)
{
    return rpch_server_out_recv(m, 0, in, len, step, now);
}

/* S-IN to the server. */
static inline bool server_reads_in(void)
{
    if (rig_joined())
        return plain_reads();
    READ(SIN_UP, server_in_recv, &rig.server,
         rig_sink(&rig.up, step.pass, step.pass_len, step.last));
}

/* S-OUT to the server role. */
static inline bool server_reads_out(void)
{
    READ(SOUT_UP, server_out_recv, &rig.server, ck_abort());
}

/* The server writes S-IN and S-OUT. */
static inline bool server_writes(void)
{
    hop *h = &rig.hop[SERVER];
    bool moved;

    if (rig.server.core.state == RPCH_SERVER_OPENED)
        rig_make(&rig.down, h);
    if (rig_joined())
        return rig_write(SERVER, NULL, h, &rig.pipe[SOUT_DOWN]);
    moved = rig_write(SERVER, &rig.server.in[0].lane, NULL, &rig.pipe[SIN_DOWN]);
    return rig_write(SERVER, &rig.server.out[0].lane, h, &rig.pipe[SOUT_DOWN])
        || moved;
}

/* Hands the first PDU of a lane to the other half of a join. */
static inline bool hand_over(rpch_lane *lane, int to, bool in_side)
{
    size_t len;
    const uint8_t *p = rpch_lane_buf(lane, &len);
    int rv;

    if (p == NULL)
        return false;
    len = rpch_le16(p + 8);
    if (to == INBOUND)
        rv = rpch_inbound_server_rts(&rig.in, p, len, rig.now);
    else if (to == OUTBOUND)
        rv = rpch_outbound_server_rts(&rig.out, p, len, rig.now);
    else if (rpch_server_wants(&rig.server) == 0)
        return false;
    else if (in_side)
        rv = rpch_server_in_rts(&rig.server, 0, p, len, rig.now);
    else
        rv = rpch_server_out_rts(&rig.server, 0, p, len, rig.now);
    if (rv == RPCH_AGAIN)
        return false;
    rpch_lane_ack(lane, len);
    return true;
}

/* The server role of a join is told RTS PDUs, and tells them. */
static inline bool join_works(void)
{
    if (!rig_joined())
        return false;
    rpch_server_spent(&rig.server, rig.out.lifetime_used, rig.out.starved);
    return hand_over(&rig.in.to_server, SERVER, true)
        || hand_over(&rig.out.to_server, SERVER, false)
        || hand_over(&rig.server.in[0].lane, INBOUND, true)
        || hand_over(&rig.server.out[0].lane, OUTBOUND, false);
}

/* The first PDU that waits at an end is done with. */
static inline bool consume(traffic *t, bool is_up)
{
    uint32_t n;

    if (rig.lazy || t->held_n == 0)
        return false;
    n = t->held[0];
    t->held_n--;
    memmove(t->held, t->held + 1, t->held_n * sizeof(n));
    if (!is_up)
        rpch_client_consumed(&rig.client, n);
    else if (!rig_joined())
        rpch_server_consumed(&rig.server, n);
    return true;
}

/* The server is done with a PDU. */
static inline bool server_consumes(void)
{
    return consume(&rig.up, true);
}

/* The client is done with a PDU. */
static inline bool client_consumes(void)
{
    return consume(&rig.down, false);
}

/* True when the machine has ended. */
static inline bool is_over(unsigned wants)
{
    return (wants & RPCH_WANT_CLOSE) != 0;
}

/* The end of a party reaches the other end of its connections, once what it
 * wrote there was read or nobody will read it. */
static inline bool ends_spread(void)
{
    bool cl = is_over(rpch_client_wants(&rig.client));
    bool in = is_over(rpch_inbound_wants(&rig.in));
    bool out = is_over(rpch_outbound_wants(&rig.out));
    bool sv = is_over(rpch_server_wants(&rig.server));

    if (cl && !in)
        rpch_inbound_client_closed(&rig.in);
    if (cl && !out)
        rpch_outbound_client_closed(&rig.out);
    if (sv && !in)
        rpch_inbound_server_closed(&rig.in);
    if (sv && !out)
        rpch_outbound_server_closed(&rig.out);
    if (in && !cl)
        rpch_client_in_closed(&rig.client, 0);
    if (in && !sv)
        rpch_server_in_closed(&rig.server, 0);
    if (out && !cl)
        rpch_client_out_closed(&rig.client, 0);
    if (out && !sv)
        rpch_server_out_closed(&rig.server, 0);
    return !(cl == in && in == out && out == sv);
}

#endif
