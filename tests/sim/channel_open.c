/* SPDX-License-Identifier: Apache-2.0 */
/*
 * channel_open.c - what follows the first PDU of a channel, and the messages
 * between the halves of a joined connection, as in lib/relay/backend.c and
 * join.c.
 */
#include <string.h>

#include "channel.h"
#include "script.h"
#include "trace.h"

/* The table is looked at again after, ms. */
#define SEEK_MSEC 1000

static void claim(sim_channel *ch)
{
    sim_claim c;

    c.place = ch->place;
    c.vc = *relay_half_vc(&ch->half);
    c.dir = ch->half.dir;
    c.identity = ch->identity;
    c.joined = ch->joined;
    c.heir = ch->own_leg;
    c.channel = ch->n;
    switch (sim_place_claim(&c)) {
    case RELAY_CLAIM_FIRST:
    case RELAY_CLAIM_SECOND:
        break;
    default:
        sim_channel_fail(ch, RPCH_E_POLICY, "refused by policy or a limit");
        break;
    }
}

static int other(const sim_channel *ch, relay_half_state *state)
{
    int peer;

    *state = sim_place_find(ch->place, relay_half_vc(&ch->half), ch->identity,
                            ch->half.dir == RELAY_IN ? RELAY_OUT : RELAY_IN,
                            &peer);
    return peer;
}

/* Native halves that are not open end when the other half has failed. */
static void look_at_peer(sim_channel *ch)
{
    relay_half_state state;

    (void)other(ch, &state);
    if (!ch->joined && !ch->was_open && state == RELAY_HALF_FAILED)
        sim_channel_fail(ch, RPCH_E_CONNECT,
                         "the other half ended before it was open");
}

static void connected(sim_channel *ch)
{
    const sim_script *s = sim_script_now;
    relay_half_state state;
    int peer;

    ch->connected_at = SIM_NEVER;
    ch->sock = sim_sock_open(SIM_CHANNEL0 + ch->n, s->room);
    if (ch->sock < 0) {
        sim_channel_fail(ch, RPCH_E_CONNECT, "the server cannot be reached");
        return;
    }
    ch->moved = true;
    sim_say("request %d is connected, socket %d", ch->n, ch->sock);
    if (!ch->joined && ch->half.dir == RELAY_IN)
        sim_pipe_window(&sim_socks[ch->sock].up, s->server.receive_window);
    if (!ch->joined && ch->half.dir == RELAY_OUT)
        sim_pipe_window(&sim_socks[ch->sock].down,
                        s->proxy[ch->place].receive_window);
    relay_half_connected(&ch->half, sim_msec());
    if (relay_half_is_successor(&ch->half))
        ch->open_deadline = RPCH_NEVER;
    if (!ch->joined)
        return;
    sim_place_state(ch->n, RELAY_HALF_READY);
    peer = other(ch, &state);
    if (peer >= 0 && sim_chance(95)) { /* a wake-up can be lost */
        sim_channels[peer].retry = 0;
        sim_wake(SIM_CHANNEL0 + peer, sim_arrival());
    }
}

int sim_channel_call(sim_channel *ch, int to, relay_msg *m)
{
    relay_msg hello;
    int link = sim_link_open(SIM_CHANNEL0 + ch->n, SIM_CHANNEL0 + to);
    sim_channel *there = &sim_channels[to];

    if (link < 0)
        return -1;
    if (!there->used || there->mails == SIM_MAIL) {
        sim_link_close(link + 1);
        return link;
    }
    there->mail[there->mails++] = link + 1;
    memset(&hello, 0, sizeof(hello));
    hello.type = RELAY_MSG_HELLO;
    hello.pid = (uint32_t)ch->child + 1;
    hello.nonce = ch->serial;
    (void)sim_link_send(link, &hello, SIM_NO_FD);
    m->channel = there->serial;
    (void)sim_link_send(link, m, SIM_NO_FD);
    return link;
}

/* IN, joined: looks for the OUT half and asks it to join. */
static void seek(sim_channel *ch)
{
    relay_half_state state;
    relay_msg m;
    int out;

    if (ch->link >= 0 || sim_msec() < ch->retry)
        return;
    ch->retry = sim_msec() + SEEK_MSEC;
    out = other(ch, &state);
    if (state == RELAY_HALF_FAILED) {
        sim_channel_fail(ch, RPCH_E_CONNECT,
                         "the OUT channel ended before it was open");
        return;
    }
    if (out < 0 || (state != RELAY_HALF_READY && state != RELAY_HALF_OPEN))
        return;
    memset(&m, 0, sizeof(m));
    m.type = RELAY_MSG_JOIN;
    m.vc = *relay_half_vc(&ch->half);
    m.identity.b[0] = (uint8_t)ch->identity;
    ch->link = sim_channel_call(ch, out, &m);
    if (ch->link < 0)
        return;
    ch->join = SIM_JOIN_ASKED;
    ch->retry = RPCH_NEVER;
}

void sim_channel_enter(sim_channel *ch)
{
    bool heir = ch->half.dir == RELAY_IN ? ch->half.m.in.heir
                                         : ch->half.m.out.heir;

    if (!ch->claimed) {
        ch->claimed = true;
        ch->open_deadline = sim_msec()
                          + sim_channel_core(ch)->limits.open_timeout;
        ch->retry = heir || (ch->joined && ch->half.dir == RELAY_IN)
                    ? sim_msec() : RPCH_NEVER;
        if (!heir)
            claim(ch);
    }
    if (sim_channel_core(ch)->status == RPCH_OK && heir && !ch->own_leg) {
        sim_channel_succeed(ch);
        if (!ch->own_leg)
            return;
        ch->retry = RPCH_NEVER;
        claim(ch);
    }
    if (ch->connected_at == SIM_NEVER)
        look_at_peer(ch);
    if (sim_channel_core(ch)->status != RPCH_OK)
        return;
    if (ch->joined && ch->half.dir == RELAY_IN) {
        seek(ch);
    } else if (ch->connected_at == SIM_NEVER) {
        ch->connected_at = sim_arrival();
        sim_wake(SIM_CHANNEL0 + ch->n, ch->connected_at);
    } else if (sim_time.now >= ch->connected_at) {
        connected(ch);
    }
}

static void accept_join(sim_channel *ch, int link, const relay_msg *m)
{
    relay_msg answer;
    bool fits = ch->joined && ch->half.dir == RELAY_OUT
        && ch->join == SIM_JOIN_NONE && ch->sock >= 0
        && m->identity.b[0] == ch->identity
        && memcmp(&m->vc, relay_half_vc(&ch->half), sizeof(m->vc)) == 0;

    memset(&answer, 0, sizeof(answer));
    answer.type = fits ? RELAY_MSG_JOINED : RELAY_MSG_REFUSE;
    answer.status = fits ? 0 : RPCH_E_COOKIE;
    if (fits)
        sim_socks[ch->sock].holders++;
    if (sim_link_send(link, &answer, fits ? ch->sock : SIM_NO_FD)
        == RPCH_OK && fits) {
        ch->link = link;
        ch->join = SIM_JOIN_DONE;
        return;
    }
    if (fits)
        sim_socks[ch->sock].holders--;
    sim_link_close(link);
}

void sim_channel_read_mail(sim_channel *ch)
{
    int i = 0;

    while (i < ch->mails) {
        int link = ch->mail[i], fd;
        relay_msg m;
        int status = sim_link_recv(link, &m, &fd);

        if (status == RPCH_OK && m.type == RELAY_MSG_HELLO)
            continue;
        if (status == RPCH_AGAIN) {
            sim_link_watch(link);
            i++;
            continue;
        }
        ch->mails--;
        memmove(&ch->mail[i], &ch->mail[i + 1],
                (size_t)(ch->mails - i) * sizeof(ch->mail[0]));
        if (status == RPCH_OK && m.channel == ch->serial
            && m.type == RELAY_MSG_JOIN)
            accept_join(ch, link, &m);
        else if (status == RPCH_OK && m.channel == ch->serial
                 && m.type == RELAY_MSG_ATTACH)
            sim_channel_accept_heir(ch, link, &m);
        else
            sim_link_close(link);
    }
}

static rpch_lane *role_lane(sim_channel *ch, bool is_in)
{
    return rpch_server_lane(&ch->role, is_in, 0);
}

bool sim_channel_can_receive(sim_channel *ch)
{
    if (ch->half.dir == RELAY_IN)
        return rpch_lane_has_room(&ch->half.m.in.to_server);
    return rpch_lane_has_room(&ch->half.m.out.to_server)
        && rpch_lane_has_room(&ch->half.m.out.to_client)
        && rpch_lane_has_room(role_lane(ch, true))
        && rpch_lane_has_room(role_lane(ch, false));
}

static void peer_ended(sim_channel *ch, int status)
{
    sim_link_close(ch->link);
    ch->link = -1;
    sim_channel_fail(ch, status >= RPCH_OK ? RPCH_E_CLOSED : status,
                     "the other half ended");
}

static void lost(sim_channel *ch)
{
    if (ch->join == SIM_JOIN_ASKED) {
        sim_link_close(ch->link);
        ch->link = -1;
        ch->join = SIM_JOIN_NONE;
        ch->retry = sim_msec() + 20;
        return;
    }
    peer_ended(ch, RPCH_E_CLOSED);
}

static void joined(sim_channel *ch, int fd)
{
    sim_must(ch->half.dir == RELAY_IN && ch->join == SIM_JOIN_ASKED
             && fd >= 0, "a JOINED message out of order");
    ch->sock = fd;
    sim_sock_hold(fd, SIM_CHANNEL0 + ch->n, true, false);
    ch->join = SIM_JOIN_DONE;
    relay_half_connected(&ch->half, sim_msec());
}

static void take_message(sim_channel *ch, const relay_msg *m, int fd)
{
    switch (m->type) {
    case RELAY_MSG_JOINED:
        joined(ch, fd);
        return;
    case RELAY_MSG_RTS:
        if (ch->half.dir == RELAY_OUT)
            rpch_server_in_rts(&ch->role, 0, m->pdu, m->pdu_len, sim_msec());
        else if (relay_half_server_rts(&ch->half, m->pdu, m->pdu_len,
                                       sim_msec()) == RPCH_AGAIN)
            sim_break("an RTS message out of order");
        return;
    case RELAY_MSG_END:
    case RELAY_MSG_REFUSE:
        peer_ended(ch, m->status);
        return;
    default:
        sim_break("an unexpected message: %s", relay_msg_name(m->type));
    }
}

static void receive(sim_channel *ch)
{
    relay_msg m;
    int fd, status;

    /* Of a peer that is gone only the last words are read: the lanes that its
     * RTS PDUs would go to may never have room again. */
    while (ch->link >= 0
           && (sim_link_dead(ch->link) || sim_channel_can_receive(ch))) {
        status = sim_link_recv(ch->link, &m, &fd);
        if (status == RPCH_AGAIN)
            return;
        ch->moved = true;
        if (status != RPCH_OK)
            lost(ch);
        else if (m.type != RELAY_MSG_RTS || sim_channel_can_receive(ch))
            take_message(ch, &m, fd);
    }
}

static const uint8_t *lane_pdu(const rpch_lane *lane, size_t *len)
{
    const uint8_t *p = rpch_lane_buf(lane, len);

    if (p)
        *len = (size_t)(p[8] | p[9] << 8);
    return p;
}

static void lane_to_link(sim_channel *ch, rpch_lane *lane)
{
    const uint8_t *p;
    relay_msg m;
    size_t len;

    memset(&m, 0, sizeof(m));
    m.type = RELAY_MSG_RTS;
    while (ch->join == SIM_JOIN_DONE && ch->link >= 0
           && (p = lane_pdu(lane, &len)) != NULL) {
        m.pdu = p;
        m.pdu_len = (uint16_t)len;
        if (sim_link_send(ch->link, &m, SIM_NO_FD) != RPCH_OK)
            return;
        ch->moved = true;
        if (ch->half.dir == RELAY_IN)
            rpch_inbound_server_ack(&ch->half.m.in, len);
        else
            rpch_lane_ack(lane, len);
    }
}

static void feed_role(sim_channel *ch)
{
    rpch_lane *lane = relay_half_to_server(&ch->half);
    const uint8_t *p;
    size_t len;

    while (sim_channel_can_receive(ch) && (p = lane_pdu(lane, &len)) != NULL) {
        rpch_server_out_rts(&ch->role, 0, p, len, sim_msec());
        rpch_lane_ack(lane, len);
        ch->moved = true;
    }
    lane = role_lane(ch, false);
    while ((p = lane_pdu(lane, &len)) != NULL
           && relay_half_server_rts(&ch->half, p, len, sim_msec())
              != RPCH_AGAIN) {
        rpch_lane_ack(lane, len);
        ch->moved = true;
    }
    if (ch->role.core.status != RPCH_OK)
        sim_channel_fail(ch, ch->role.core.status, ch->role.core.reason);
}

void sim_channel_join_step(sim_channel *ch)
{
    if (sim_channel_arriving(ch))
        return;
    receive(ch);
    if (ch->half.dir == RELAY_IN) {
        lane_to_link(ch, &ch->half.m.in.to_server);
    } else {
        feed_role(ch);
        lane_to_link(ch, role_lane(ch, true));
    }
}
