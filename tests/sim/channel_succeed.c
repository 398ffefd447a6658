/* SPDX-License-Identifier: Apache-2.0 */
/*
 * channel_succeed.c - one channel replaced by another of the same direction,
 * as in lib/relay/succession.c: the messages and their order are the same.
 */
#include <string.h>

#include "channel.h"
#include "script.h"
#include "trace.h"

/* A holder that was not ready is asked again after, ms; longer each time. */
#define AGAIN_MSEC 20
#define AGAIN_MSEC_MAX 500
/* Recycling back and forth between two places may take so long, ms: longer
 * than lib/relay allows, as is every way here. */
#define RACE_MSEC 30000

static void hang_up(sim_succession *s)
{
    if (s->link >= 0)
        sim_link_close(s->link);
    s->link = -1;
    s->state = SIM_TALK_NONE;
}

static void tell(int link, relay_msg_type type, int status, const char *text)
{
    relay_msg m;

    memset(&m, 0, sizeof(m));
    m.type = type;
    m.status = status;
    strncpy(m.text, text, sizeof(m.text) - 1);
    (void)sim_link_send(link, &m, SIM_NO_FD);
}

bool sim_channel_arriving(const sim_channel *ch)
{
    return ch->succ.state == SIM_TALK_ARRIVING;
}

/* --- the successor --- */

static void ask(sim_channel *ch, int holder)
{
    sim_succession *s = &ch->succ;
    relay_msg m;

    memset(&m, 0, sizeof(m));
    m.type = RELAY_MSG_ATTACH;
    m.pid = (uint32_t)ch->child + 1;
    m.nonce = ch->serial;
    m.from = (uint64_t)ch->n;
    m.dir = (uint8_t)ch->half.dir;
    m.vc = *relay_half_vc(&ch->half);
    m.identity.b[0] = (uint8_t)ch->identity;
    if (ch->half.dir == RELAY_IN) {
        m.predecessor = ch->half.m.in.predecessor;
        m.successor = ch->half.m.in.channel;
    } else {
        m.predecessor = ch->half.m.out.predecessor;
        m.successor = ch->half.m.out.channel;
        m.window = ch->half.m.out.tx.window;
    }
    ch->retry = sim_msec() + AGAIN_MSEC;
    if (s->since == 0)
        s->since = sim_msec();
    s->holder_child = sim_channels[holder].child;
    s->link = sim_channel_call(ch, holder, &m);
    if (s->link < 0)
        return;
    s->state = SIM_TALK_ASKED;
    ch->retry = RPCH_NEVER;
}

void sim_channel_succeed(sim_channel *ch)
{
    int holder;

    if (ch->succ.state != SIM_TALK_NONE || sim_msec() < ch->retry)
        return;
    (void)sim_place_find(ch->place, relay_half_vc(&ch->half), ch->identity,
                         ch->half.dir, &holder);
    if (holder >= 0)
        ask(ch, holder);
    else if (ch->joined)
        sim_channel_fail(ch, RPCH_E_POLICY, "the successor was refused");
    else
        ch->own_leg = true;
}

static void refused(sim_channel *ch, int status)
{
    /* The old channel of this place may not know yet that its successor at
     * another place has a successor here. */
    bool race = !ch->joined && sim_msec() < ch->succ.since + RACE_MSEC
             && (status == RPCH_E_COOKIE || status == RPCH_E_UNEXPECTED);
    bool again = race || status == RPCH_AGAIN || status == RPCH_E_CLOSED;
    bool asked = ch->succ.state == SIM_TALK_ASKED;

    hang_up(&ch->succ);
    if (again && asked) {
        ch->succ.pause = ch->succ.pause == 0 ? AGAIN_MSEC
                       : ch->succ.pause < AGAIN_MSEC_MAX / 2
                       ? 2 * ch->succ.pause : AGAIN_MSEC_MAX;
        ch->retry = sim_msec() + ch->succ.pause;
        return;
    }
    sim_channel_fail(ch, RPCH_E_POLICY, "the successor was refused");
}

static void count_move(const sim_channel *ch)
{
    sim_counts.moves[ch->half.dir]++;
    sim_counts.moves_away[ch->half.dir] += sim_script_moved_away(ch);
}

static void take_leg(sim_channel *ch, const relay_msg *m, int fd)
{
    sim_succession *s = &ch->succ;
    const char *reason = NULL;
    relay_leg leg;
    int rc;

    ch->sock = fd;
    ch->from_child = s->holder_child;
    sim_sock_hold(fd, SIM_CHANNEL0 + ch->n,
                  ch->half.dir == RELAY_IN || !ch->joined,
                  ch->half.dir == RELAY_OUT || !ch->joined);
    s->state = SIM_TALK_ARRIVING;
    s->tail = m->tail;
    s->link_missing = ch->joined;
    s->role_missing = ch->joined && ch->half.dir == RELAY_OUT;
    if (relay_leg_decode(m->data, m->data_len, ch->half.dir, &leg, &reason)
        != RPCH_OK)
        sim_break("a leg cannot be decoded: %s", reason ? reason : "");
    if (ch->half.dir == RELAY_IN)
        rc = rpch_inbound_adopt(&ch->half.m.in, &leg.u.in, sim_msec());
    else
        rc = rpch_outbound_adopt(&ch->half.m.out, &leg.u.out, sim_msec());
    if (rc == RPCH_OK && ch->half.dir == RELAY_IN && leg.u.in.begun > 0)
        relay_writer_resume(&ch->writer, leg.u.in.begun,
                            leg.u.in.begun_left);
    if (rc == RPCH_OK)
        count_move(ch);
}

static void take_role(sim_channel *ch, const relay_msg *m)
{
    rpch_server_image image;
    const char *reason = NULL;

    ch->succ.role_missing = false;
    if (relay_leg_decode_role(m->data, m->data_len, &image, &reason)
        != RPCH_OK)
        sim_break("a role cannot be decoded: %s", reason ? reason : "");
    sim_must(rpch_server_restore(&ch->role, &image, sim_msec()) == RPCH_OK,
             "a role cannot be restored");
}

static void take_link(sim_channel *ch, int fd)
{
    ch->link = SIM_LINK_OF_FD(fd);
    sim_link_hold(ch->link, SIM_CHANNEL0 + ch->n);
    ch->join = SIM_JOIN_DONE;
    ch->retry = RPCH_NEVER;
    ch->succ.link_missing = false;
}

static void take_tail(sim_channel *ch, const relay_msg *m)
{
    relay_sendq *q = ch->half.dir == RELAY_IN ? &ch->writer.queue : &ch->held;

    ch->succ.tail -= m->data_len;
    sim_must(relay_sendq_push(q, m->data, m->data_len) == APR_SUCCESS,
             "no memory");
}

static bool complete(const sim_succession *s)
{
    return s->tail == 0 && !s->role_missing && !s->link_missing;
}

/* Takes m; false when it is not the turn of such a message. */
static bool take(sim_channel *ch, const relay_msg *m, int fd)
{
    sim_succession *s = &ch->succ;
    bool arriving = s->state == SIM_TALK_ARRIVING;

    if (m->type == RELAY_MSG_ATTACHED && s->state == SIM_TALK_ASKED) {
        s->state = SIM_TALK_ATTACHED;
        if (ch->half.dir == RELAY_IN)
            rpch_inbound_attached(&ch->half.m.in, sim_msec());
        else
            rpch_outbound_attached(&ch->half.m.out, sim_msec());
    } else if (m->type == RELAY_MSG_MOVE && fd >= 0
               && s->state == SIM_TALK_ATTACHED) {
        take_leg(ch, m, fd);
    } else if (m->type == RELAY_MSG_ROLE && arriving && s->role_missing) {
        take_role(ch, m);
    } else if (m->type == RELAY_MSG_LINK && arriving && s->link_missing
               && SIM_FD_IS_LINK(fd)) {
        take_link(ch, fd);
    } else if (m->type == RELAY_MSG_TAIL && arriving
               && m->data_len <= s->tail) {
        take_tail(ch, m);
    } else {
        return false;
    }
    return true;
}

static void hear_predecessor(sim_channel *ch)
{
    sim_succession *s = &ch->succ;
    relay_msg m;
    int fd, status;

    while (s->link >= 0) {
        status = sim_link_recv(s->link, &m, &fd);
        if (status == RPCH_AGAIN)
            return;
        ch->moved = true;
        if (status != RPCH_OK) {
            refused(ch, RPCH_E_CLOSED);
            return;
        }
        if (m.type == RELAY_MSG_REFUSE || m.type == RELAY_MSG_END)
            refused(ch, m.status);
        else if (!take(ch, &m, fd))
            sim_break("%s between predecessor and successor out of order",
                      relay_msg_name(m.type));
        else if (s->state == SIM_TALK_ARRIVING && complete(s))
            hang_up(s);
    }
}

/* --- the predecessor --- */

static void lose_leg(sim_channel *ch)
{
    hang_up(&ch->succ);
    ch->leg_lost = true;
}

/* A successor has nothing to say: what can be heard is that it ended. */
static void hear_heir(sim_channel *ch)
{
    sim_succession *s = &ch->succ;
    relay_msg m;
    int fd, status = sim_link_recv(s->link, &m, &fd);

    if (status == RPCH_AGAIN)
        return;
    sim_must(status != RPCH_OK || m.type == RELAY_MSG_END,
             "a successor says what it may not");
    ch->moved = true;
    if (s->state == SIM_TALK_LEAVING) {
        lose_leg(ch);
        return;
    }
    hang_up(s);
    if (ch->half.dir == RELAY_IN)
        rpch_inbound_detach(&ch->half.m.in);
    else
        rpch_outbound_detach(&ch->half.m.out);
}

/* The channel that this newcomer wants to replace is still on its way. */
static bool is_coming(const sim_channel *ch, const relay_msg *m)
{
    const relay_half *h = &ch->half;
    const rpch_cookie *mine = h->dir == RELAY_IN ? &h->m.in.channel
                                                 : &h->m.out.channel;
    const rpch_cookie *next = h->dir == RELAY_IN ? &h->m.in.successor
                                                 : &h->m.out.successor;

    if (ch->succ.state >= SIM_TALK_HOLDER)
        return rpch_cookie_equal(&m->predecessor, next);
    return rpch_cookie_equal(&m->predecessor, mine)
        && (!relay_half_is_open(h) || sim_channel_arriving(ch));
}

/* This channel has been replaced by one at another place. */
static bool is_draining(const relay_half *h)
{
    int state = relay_half_core(h)->state;

    return h->dir == RELAY_IN
         ? state == RPCH_IN_DRAIN_R1 || state == RPCH_IN_CLOSE_R1
         : state == RPCH_OUT_DRAIN_R1 || state == RPCH_OUT_LAST_R1;
}

static int judge_heir(sim_channel *ch, const relay_msg *m,
                      const char **reason)
{
    rpch_succession what;
    int rc;

    *reason = "no such channel to succeed";
    if (m->dir != ch->half.dir || m->identity.b[0] != ch->identity
        || memcmp(&m->vc, relay_half_vc(&ch->half), sizeof(m->vc)) != 0)
        return RPCH_E_COOKIE;
    *reason = "the last succession is not over";
    if (ch->succ.state == SIM_TALK_HOLDER)
        hear_heir(ch);
    if (is_coming(ch, m) || is_draining(&ch->half))
        return RPCH_AGAIN;
    if (ch->succ.state != SIM_TALK_NONE)
        return RPCH_E_UNEXPECTED;
    *reason = "the server has not asked for a successor";
    if (ch->half.dir == RELAY_OUT && !ch->half.m.out.asked
        && !ch->half.m.out.lost)
        return RPCH_E_UNEXPECTED;
    what.vc = m->vc;
    what.predecessor = m->predecessor;
    what.successor = m->successor;
    what.window = m->window;
    rc = ch->half.dir == RELAY_IN
       ? rpch_inbound_attach(&ch->half.m.in, &what, reason)
       : rpch_outbound_attach(&ch->half.m.out, &what, reason);
    return rc == RPCH_E_ROOM ? RPCH_AGAIN : rc;
}

void sim_channel_accept_heir(sim_channel *ch, int link, const relay_msg *m)
{
    sim_succession *s = &ch->succ;
    const char *reason = NULL;
    int status = judge_heir(ch, m, &reason);

    if (status != RPCH_OK) {
        tell(link, RELAY_MSG_REFUSE, status, reason ? reason : "not now");
        sim_link_close(link);
        return;
    }
    s->link = link;
    s->state = SIM_TALK_HOLDER;
    s->heir = (int)m->from;
    tell(link, RELAY_MSG_ATTACHED, RPCH_OK, "");
}

/* Everything read from the server that was not passed on, in its order,
 * behind what the writer has not begun to write. */
static void collect(sim_channel *ch, relay_leg *leg)
{
    relay_sendq *q = &ch->writer.queue;
    const uint8_t *p;
    size_t n;

    if (ch->half.dir == RELAY_IN) {
        leg->u.in.begun_left = ch->writer.left;
        sim_must(ch->held.bytes == 0, "bytes of S-IN are kept back");
        return;
    }
    if (leg->u.out.tail_len > 0) {
        sim_must(relay_sendq_push(q, leg->u.out.tail, leg->u.out.tail_len)
                 == APR_SUCCESS, "no memory");
        leg->u.out.tail_len = 0;
    }
    while ((p = relay_sendq_front(&ch->held, &n)) != NULL) {
        sim_must(relay_sendq_push(q, p, n) == APR_SUCCESS, "no memory");
        relay_sendq_drop(&ch->held, n);
    }
}

static void encode(sim_channel *ch, const relay_leg *leg)
{
    sim_succession *s = &ch->succ;
    rpch_server_image image;

    s->role_len = 0;
    sim_must(relay_leg_encode(leg, s->leg, sizeof(s->leg), &s->leg_len)
             == RPCH_OK, "a leg cannot be encoded");
    if (!ch->joined || ch->half.dir != RELAY_OUT)
        return;
    rpch_server_save(&ch->role, &image, sim_msec());
    sim_must(relay_leg_encode_role(&image, s->role, sizeof(s->role),
                                   &s->role_len) == RPCH_OK,
             "a role cannot be encoded");
}

static void release_leg(sim_channel *ch)
{
    sim_succession *s = &ch->succ;
    relay_leg leg;
    int rc;

    memset(&leg, 0, sizeof(leg));
    leg.dir = ch->half.dir;
    rc = leg.dir == RELAY_IN
       ? rpch_inbound_release(&ch->half.m.in, &leg.u.in)
       : rpch_outbound_release(&ch->half.m.out, &leg.u.out);
    if (rc != RPCH_OK)
        return;
    sim_must(leg.dir == RELAY_IN || ch->writer.left == 0,
             "S-OUT is released within a PDU");
    ch->moved = true;
    s->sent = 0;
    collect(ch, &leg);
    encode(ch, &leg);
    if (!sim_channels[s->heir].used || !sim_place_succeed(ch->n, s->heir)) {
        tell(s->link, RELAY_MSG_END, RPCH_E_ROOM, "the leg cannot be moved");
        hang_up(s);
        ch->leg_lost = true;
        return;
    }
    s->state = SIM_TALK_LEAVING;
}

/* The leg is the successor's alone now. */
static void left(sim_channel *ch)
{
    hang_up(&ch->succ);
    if (ch->sock >= 0)
        sim_sock_release(ch->sock);
    ch->sock = -1;
}

/* The message that follows; false when all are on their way. */
static bool next_message(sim_channel *ch, relay_msg *m, int *fd)
{
    sim_succession *s = &ch->succ;
    size_t n = 0;

    memset(m, 0, sizeof(*m));
    *fd = SIM_NO_FD;
    if (s->sent == 1 && s->role_len == 0)
        s->sent++;
    if (s->sent == 2 && !ch->joined)
        s->sent++;
    if (s->sent == 0) {
        m->type = RELAY_MSG_MOVE;
        m->data = s->leg;
        m->data_len = (uint16_t)s->leg_len;
        m->tail = (uint32_t)ch->writer.queue.bytes;
        *fd = ch->sock;
    } else if (s->sent == 1) {
        m->type = RELAY_MSG_ROLE;
        m->data = s->role;
        m->data_len = (uint16_t)s->role_len;
    } else if (s->sent == 2) {
        m->type = RELAY_MSG_LINK;
        *fd = SIM_FD_OF_LINK(ch->link);
    } else {
        m->type = RELAY_MSG_TAIL;
        m->data = relay_sendq_front(&ch->writer.queue, &n);
        m->data_len = (uint16_t)(n < RELAY_MSG_DATA_MAX ? n
                                                        : RELAY_MSG_DATA_MAX);
    }
    return m->type != RELAY_MSG_TAIL || m->data_len > 0;
}

static void sent(sim_channel *ch, const relay_msg *m)
{
    ch->moved = true;
    if (m->type == RELAY_MSG_TAIL) {
        relay_sendq_drop(&ch->writer.queue, m->data_len);
        return;
    }
    ch->succ.sent++;
    if (m->type == RELAY_MSG_LINK) {
        ch->link = -1; /* on its way */
        ch->join = SIM_JOIN_NONE;
    }
}

static void send_leg(sim_channel *ch)
{
    sim_succession *s = &ch->succ;
    relay_msg m;
    int fd, rc;

    while (s->state == SIM_TALK_LEAVING) {
        if (!next_message(ch, &m, &fd)) {
            left(ch);
            return;
        }
        if (m.type == RELAY_MSG_MOVE)
            sim_socks[ch->sock].holders++;
        if (m.type == RELAY_MSG_LINK)
            sim_link_hold(ch->link, -1);
        rc = sim_link_send(s->link, &m, fd);
        if (rc == RPCH_OK) {
            sent(ch, &m);
            continue;
        }
        if (m.type == RELAY_MSG_MOVE)
            sim_socks[ch->sock].holders--;
        if (m.type == RELAY_MSG_LINK)
            sim_link_hold(ch->link, SIM_CHANNEL0 + ch->n);
        if (rc != RPCH_AGAIN)
            lose_leg(ch);
        return;
    }
}

/* The client or the server dismissed the successor. */
static void dismiss(sim_channel *ch)
{
    bool dismissed = ch->half.dir == RELAY_IN ? ch->half.m.in.dismissed
                                              : ch->half.m.out.dismissed;

    if (!dismissed)
        return;
    if (ch->half.dir == RELAY_IN)
        rpch_inbound_dismiss_told(&ch->half.m.in);
    else
        rpch_outbound_dismiss_told(&ch->half.m.out);
    tell(ch->succ.link, RELAY_MSG_REFUSE, RPCH_E_COOKIE,
         "the predecessor dismissed it");
    hang_up(&ch->succ);
}

void sim_channel_succession_step(sim_channel *ch)
{
    sim_succession *s = &ch->succ;

    if (s->state == SIM_TALK_NONE)
        return;
    if (s->state < SIM_TALK_HOLDER) {
        hear_predecessor(ch);
        return;
    }
    if (s->state == SIM_TALK_HOLDER)
        dismiss(ch);
    if (s->state != SIM_TALK_NONE)
        hear_heir(ch);
    if (s->state == SIM_TALK_HOLDER
        && sim_channel_wants(ch, RPCH_WANT_RELEASE))
        release_leg(ch);
    if (s->state == SIM_TALK_LEAVING)
        send_leg(ch);
}

void sim_channel_succession_end(sim_channel *ch)
{
    sim_succession *s = &ch->succ;
    const rpch_core *core = sim_channel_core(ch);

    if (s->state == SIM_TALK_HOLDER)
        tell(s->link, RELAY_MSG_END, RPCH_E_POLICY,
             core->reason ? core->reason : "ended");
    if (s->state == SIM_TALK_LEAVING)
        lose_leg(ch);
    hang_up(s);
}
