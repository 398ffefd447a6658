/* SPDX-License-Identifier: Apache-2.0 */
/*
 * join.c - NOTES
 *
 * With an ncacn_ip_tcp back end there is no server to join the halves: the
 * OUT channel runs the server role's control half itself, and the IN channel
 * reaches it over a link. OUT connects to the back end; IN, once it sees in
 * the table that OUT is ready, asks it to JOIN and gets a duplicate of the
 * socket. From then on IN writes RPC PDUs to the socket, OUT reads them from
 * it, and RTS PDUs travel as messages:
 *
 *   IN's machine  to_server -- link --> role (S-IN)
 *   role          to_in     -- link --> IN's machine
 *   OUT's machine to_server ----------> role (S-OUT)
 *   role          to_out    ----------> OUT's machine
 *
 * A message is taken only while every lane that it may lead to has room.
 */
#include <apr_strings.h>

#include "relay/channel.h"
#include "rpch/wire.h"

/* The table is looked at again after, ms: a wake-up can be lost when a
 * child ends. */
#define SEEK_MSEC 1000
/* A full backlog is tried again after, ms. */
#define BACKLOG_MSEC 20

bool relay_channel_can_receive(relay_channel *ch)
{
    if (ch->half.dir == RELAY_IN)
        return rpch_lane_has_room(&ch->half.m.in.to_server);
    return ch->role && rpch_lane_has_room(&ch->half.m.out.to_server)
        && rpch_lane_has_room(&ch->half.m.out.to_client)
        && rpch_lane_has_room(rpch_server_lane(ch->role, true, 0))
        && rpch_lane_has_room(rpch_server_lane(ch->role, false, 0));
}

static void drop_link(relay_channel *ch, rpch_msec retry)
{
    relay_link_close(&ch->link);
    ch->join = RELAY_JOIN_NONE;
    ch->link_full = ch->link_ending = false;
    ch->retry = retry;
}

apr_status_t relay_channel_call(relay_channel *ch, relay_link *l,
                                const relay_owner *owner, const relay_msg *m)
{
    char path[128];
    relay_msg hello;
    apr_status_t rv = relay_broker_path(ch->engine->dir, owner, path,
                                        sizeof(path));
    if (rv == APR_SUCCESS)
        rv = relay_link_connect(l, path);
    memset(&hello, 0, sizeof(hello));
    hello.type = RELAY_MSG_HELLO;
    hello.pid = ch->engine->self.pid;
    hello.nonce = ch->engine->self.nonce;
    if (rv == APR_SUCCESS)
        rv = relay_link_send(l, &hello, -1);
    return rv == APR_SUCCESS ? relay_link_send(l, m, -1) : rv;
}

static apr_status_t ask(relay_channel *ch, const relay_owner *out)
{
    relay_msg m;
    memset(&m, 0, sizeof(m));
    m.type = RELAY_MSG_JOIN;
    m.vc = *relay_half_vc(&ch->half);
    m.identity = ch->identity;
    m.channel = out->channel;
    return relay_channel_call(ch, &ch->link, out, &m);
}

void relay_channel_seek(relay_channel *ch, rpch_msec now)
{
    relay_peer out;
    apr_status_t rv;
    if (ch->link.fd >= 0 || now < ch->retry)
        return;
    ch->retry = now + SEEK_MSEC;
    if (!relay_table_peer(ch->engine->table, ch->ref, RELAY_IN, &out)
        || out.state == RELAY_HALF_FAILED) {
        relay_channel_fail(ch, RPCH_E_CONNECT,
                           "the OUT channel ended before it was open", NULL);
        return;
    }
    if (out.state != RELAY_HALF_READY && out.state != RELAY_HALF_OPEN)
        return;
    rv = ask(ch, &out.owner);
    if (rv == APR_SUCCESS) {
        ch->join = RELAY_JOIN_ASKED;
        ch->retry = RPCH_NEVER;
        return;
    }
    drop_link(ch, now + (APR_STATUS_IS_EAGAIN(rv) ? BACKLOG_MSEC
                                                  : SEEK_MSEC));
}

apr_status_t relay_channel_say(relay_link *l, relay_msg_type type, int status,
                               const char *text, int fd)
{
    relay_msg m;
    memset(&m, 0, sizeof(m));
    m.type = type;
    m.status = status;
    apr_cpystrn(m.text, text, sizeof(m.text));
    return relay_link_send(l, &m, fd);
}

/* OUT: a link came in. */
static void accept_join(relay_channel *ch, int fd, const relay_msg *join)
{
    relay_link l;
    relay_link_init(&l);
    relay_link_adopt(&l, fd);
    if (ch->joined && ch->half.dir == RELAY_OUT
        && ch->join == RELAY_JOIN_NONE && ch->server_fd >= 0
        && rpch_cookie_equal(&join->vc, relay_half_vc(&ch->half))
        && memcmp(&join->identity, &ch->identity, sizeof(ch->identity)) == 0
        && relay_channel_say(&l, RELAY_MSG_JOINED, 0, "", ch->server_fd)
           == APR_SUCCESS) {
        ch->link.fd = l.fd;
        ch->join = RELAY_JOIN_DONE;
        return;
    }
    relay_channel_say(&l, RELAY_MSG_REFUSE, RPCH_E_COOKIE,
                      "no such half to join", -1);
    relay_link_close(&l);
}

static void peer_ended(relay_channel *ch, int status, const char *text)
{
    bool asked = ch->join == RELAY_JOIN_ASKED;
    ch->join = RELAY_JOIN_ENDED;
    relay_link_close(&ch->link);
    relay_channel_fail(ch, status >= RPCH_OK ? RPCH_E_CLOSED : status,
                       asked ? "the OUT channel refused to be joined"
                             : "the other half ended",
                       apr_pstrcat(ch->r->pool, "the other half ended: ",
                                   text, NULL));
    ch->cause_logged = true;
}

/* End of file without a word. A peer that was only asked may have ended in
 * good order: the table tells. */
static void link_lost(relay_channel *ch, rpch_msec now)
{
    if (ch->join == RELAY_JOIN_ASKED) {
        drop_link(ch, now + BACKLOG_MSEC);
        return;
    }
    peer_ended(ch, RPCH_E_CLOSED, "its child process died");
}

static void joined(relay_channel *ch, int fd, rpch_msec now)
{
    if (ch->half.dir != RELAY_IN || ch->join != RELAY_JOIN_ASKED || fd < 0) {
        if (fd >= 0)
            relay_fd_close(fd);
        peer_ended(ch, RPCH_E_BUG, "a JOINED message out of order");
        return;
    }
    ch->server_fd = fd;
    ch->join = RELAY_JOIN_DONE;
    ch->retry = RPCH_NEVER;
    relay_half_connected(&ch->half, now);
}

static void take_message(relay_channel *ch, const relay_msg *m, int fd,
                         rpch_msec now)
{
    if (fd >= 0 && m->type != RELAY_MSG_JOINED)
        relay_fd_close(fd);
    switch (m->type) {
    case RELAY_MSG_JOINED:
        joined(ch, fd, now);
        break;
    case RELAY_MSG_RTS:
        if (ch->half.dir == RELAY_IN
            && relay_half_server_rts(&ch->half, m->pdu, m->pdu_len, now)
               == RPCH_AGAIN)
            peer_ended(ch, RPCH_E_BUG, "an RTS message out of order");
        else if (ch->half.dir == RELAY_OUT)
            rpch_server_in_rts(ch->role, 0, m->pdu, m->pdu_len, now);
        break;
    case RELAY_MSG_END:
    case RELAY_MSG_REFUSE:
        peer_ended(ch, m->status, m->text);
        break;
    default:
        peer_ended(ch, RPCH_E_BUG, "an unexpected message");
        break;
    }
}

/* Of a peer that is gone only the last words are read: the lanes that its
 * RTS PDUs would go to may never have room again. */
static void receive(relay_channel *ch, rpch_msec now)
{
    uint8_t room[RELAY_MSG_SIZE_MAX];
    relay_msg m;
    apr_status_t rv;
    int fd;
    while (ch->link.fd >= 0
           && (ch->link_ending || relay_channel_can_receive(ch))) {
        rv = relay_link_recv(&ch->link, room, &m, &fd);
        if (APR_STATUS_IS_EAGAIN(rv))
            return;
        ch->moved = true;
        if (rv != APR_SUCCESS)
            link_lost(ch, now);
        else if (m.type != RELAY_MSG_RTS || relay_channel_can_receive(ch))
            take_message(ch, &m, fd, now);
    }
}

/* The first whole PDU of a lane; lanes that are moved as messages are never
 * cut within one. */
static const uint8_t *lane_pdu(const rpch_lane *lane, size_t *len)
{
    const uint8_t *p = rpch_lane_buf(lane, len);
    size_t n = p && *len >= RPCH_RTS_HEADER_SIZE ? rpch_le16(p + 8) : *len;
    if (n < *len)
        *len = n;
    return p;
}

/* The role's lane or, without one, the half's own. */
static void lane_sent(relay_channel *ch, rpch_lane *lane, size_t len)
{
    if (ch->half.dir == RELAY_IN)
        relay_half_server_ack(&ch->half, len);
    else
        rpch_lane_ack(lane, len);
}

static void lane_to_link(relay_channel *ch, rpch_lane *lane)
{
    const uint8_t *p;
    size_t len;
    relay_msg m;
    apr_status_t rv;
    memset(&m, 0, sizeof(m));
    m.type = RELAY_MSG_RTS;
    while (ch->join == RELAY_JOIN_DONE && !ch->link_full
           && (p = lane_pdu(lane, &len)) != NULL) {
        m.pdu = p;
        m.pdu_len = (uint16_t)len;
        rv = relay_link_send(&ch->link, &m, -1);
        ch->link_full = APR_STATUS_IS_EAGAIN(rv);
        ch->link_ending = rv != APR_SUCCESS && !ch->link_full;
        ch->moved = ch->moved || !ch->link_full;
        if (rv != APR_SUCCESS)
            return;
        lane_sent(ch, lane, len);
    }
}

static void feed_role(relay_channel *ch, rpch_msec now)
{
    rpch_lane *lane = relay_half_to_server(&ch->half);
    rpch_lane *answers = rpch_server_lane(ch->role, false, 0);
    const uint8_t *p;
    size_t len;
    while (relay_channel_can_receive(ch)
           && (p = lane_pdu(lane, &len)) != NULL) {
        rpch_server_out_rts(ch->role, 0, p, len, now);
        relay_half_server_ack(&ch->half, len);
        ch->moved = true;
    }
    while ((p = lane_pdu(answers, &len)) != NULL
           && relay_half_server_rts(&ch->half, p, len, now) != RPCH_AGAIN) {
        rpch_lane_ack(answers, len);
        ch->moved = true;
    }
    if (ch->role->core.status != RPCH_OK)
        relay_channel_fail(ch, ch->role->core.status, ch->role->core.reason,
                           NULL);
}

void relay_channel_look_at_peer(relay_channel *ch)
{
    relay_peer peer;
    if (!ch->joined && !ch->open_logged && ch->ref.generation
        && relay_table_peer(ch->engine->table, ch->ref, ch->half.dir, &peer)
        && peer.state == RELAY_HALF_FAILED)
        relay_channel_fail(ch, RPCH_E_CONNECT,
                           "the other half ended before it was open", NULL);
}

void relay_channel_take_mail(relay_channel *ch)
{
    relay_msg join;
    int fd;
    while (relay_registry_take(ch->engine->registry, &ch->box, &fd, &join)) {
        if (join.type == RELAY_MSG_ATTACH)
            relay_channel_accept_heir(ch, fd, &join);
        else
            accept_join(ch, fd, &join);
    }
    if (ch->retry != RPCH_NEVER)
        ch->retry = 0;
    relay_channel_look_at_peer(ch);
}

void relay_channel_join_step(relay_channel *ch, rpch_msec now)
{
    if (relay_channel_is_arriving(ch))
        return;
    receive(ch, now);
    if (ch->half.dir == RELAY_IN) {
        lane_to_link(ch, &ch->half.m.in.to_server);
    } else {
        feed_role(ch, now);
        lane_to_link(ch, rpch_server_lane(ch->role, true, 0));
    }
}

void relay_channel_unjoin(relay_channel *ch)
{
    const rpch_core *core = relay_half_core(&ch->half);
    if (ch->link.fd < 0)
        return;
    relay_channel_say(&ch->link, RELAY_MSG_END,
                      ch->leg_lost ? RPCH_E_CLOSED : core->status,
        ch->cause ? ch->cause : core->reason ? core->reason : "ended", -1);
    relay_link_close(&ch->link);
}
