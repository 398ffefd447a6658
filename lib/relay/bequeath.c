/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bequeath.c - the predecessor's side of a succession: who may succeed, and
 * how the leg leaves. The successor's is in succeed.c, which tells the rules.
 */
#include "relay/channel.h"
#include "relay/label.h"

/* The successor is gone, and the leg with it: nobody else gives the half
 * back. */
void relay_channel_lose_leg(relay_channel *ch)
{
    relay_succession_hang_up(ch->succ);
    ch->leg_lost = true;
    ch->cause = "the successor ended before it had all of the leg";
}

/* A successor has nothing to say: what can be heard is that it ended. */
static void hear_heir(relay_channel *ch)
{
    relay_succession *s = ch->succ;
    uint8_t room[RELAY_MSG_SIZE_MAX];
    relay_msg m;
    int fd;
    apr_status_t rv = relay_link_recv(&s->link, room, &m, &fd);
    if (APR_STATUS_IS_EAGAIN(rv))
        return;
    if (rv == APR_SUCCESS && fd >= 0)
        relay_fd_close(fd);
    ch->moved = true;
    if (s->state == RELAY_SUCC_LEAVING) {
        relay_channel_lose_leg(ch);
        return;
    }
    relay_succession_hang_up(s);
    relay_half_detach(&ch->half);
    RELAY_RLOG(ch->engine, APLOG_INFO, 0, ch->r,
               "RPX0315: the successor of the %s channel of connection %s "
               "ended before it took the leg", relay_dir_name(ch->half.dir),
               relay_label_of(ch->r));
}

/* The channel that this newcomer wants to replace is still on its way. */
static bool is_coming(const relay_channel *ch, const relay_msg *m)
{
    const relay_half *h = &ch->half;
    const rpch_cookie *mine = h->dir == RELAY_IN ? &h->m.in.channel
                                                 : &h->m.out.channel;
    const rpch_cookie *next = h->dir == RELAY_IN ? &h->m.in.successor
                                                 : &h->m.out.successor;
    if (ch->succ && (ch->succ->state >= RELAY_SUCC_HOLDER || ch->succ->given))
        return rpch_cookie_equal(&m->predecessor, next);
    return rpch_cookie_equal(&m->predecessor, mine)
        && (!relay_half_is_open(h) || relay_channel_is_arriving(ch));
}

/* This channel has been replaced by one at another proxy, and will leave its
 * half in the table: whoever comes back then claims it. */
static bool is_draining(const relay_half *h)
{
    int state = relay_half_core(h)->state;
    return h->dir == RELAY_IN
         ? state == RPCH_IN_DRAIN_R1 || state == RPCH_IN_CLOSE_R1
         : state == RPCH_OUT_DRAIN_R1 || state == RPCH_OUT_LAST_R1;
}

static int judge_heir(relay_channel *ch, const relay_msg *m,
                      const char **reason)
{
    rpch_succession what;
    int status;
    *reason = "no such channel to succeed";
    if (m->dir != ch->half.dir
        || !rpch_cookie_equal(&m->vc, relay_half_vc(&ch->half))
        || memcmp(&m->identity, &ch->identity, sizeof(m->identity)) != 0)
        return RPCH_E_COOKIE;
    *reason = "the last succession is not over";
    /* Its end may have come with this newcomer, in one wake-up. */
    if (ch->succ && ch->succ->state == RELAY_SUCC_HOLDER)
        hear_heir(ch);
    if (is_coming(ch, m) || is_draining(&ch->half))
        return RPCH_AGAIN;
    if (relay_channel_talk(ch)->state != RELAY_SUCC_NONE)
        return RPCH_E_UNEXPECTED;
    /* To the server OUT_R2/A4 out of season is a protocol error, which would
     * end the connection that the newcomer names. */
    *reason = "the server has not asked for a successor";
    if (ch->half.dir == RELAY_OUT && !ch->half.m.out.asked
        && !ch->half.m.out.lost)
        return RPCH_E_UNEXPECTED;
    what.vc = m->vc;
    what.predecessor = m->predecessor;
    what.successor = m->successor;
    what.window = m->window;
    status = relay_half_attach(&ch->half, &what, reason);
    return status == RPCH_E_ROOM ? RPCH_AGAIN : status;
}

void relay_channel_accept_heir(relay_channel *ch, int fd,
                               const relay_msg *attach)
{
    const char *reason = NULL;
    relay_succession *s;
    relay_link l;
    int status = judge_heir(ch, attach, &reason);
    relay_link_init(&l);
    relay_link_adopt(&l, fd);
    if (status != RPCH_OK) {
        relay_channel_say(&l, RELAY_MSG_REFUSE, status,
                          reason ? reason : "not now", -1);
        relay_link_close(&l);
        return;
    }
    s = relay_channel_talk(ch);
    s->link.fd = l.fd;
    s->state = RELAY_SUCC_HOLDER;
    s->heir.pid = attach->pid;
    s->heir.nonce = attach->nonce;
    s->heir.channel = attach->from;
    relay_channel_say(&s->link, RELAY_MSG_ATTACHED, RPCH_OK, "", -1);
}

/* OUT: what was read from the server and not passed on, behind what the writer
 * has not begun. IN: the writer's queue is all, from within a PDU perhaps. */
static bool collect(relay_channel *ch, relay_leg *leg)
{
    relay_sendq *q = &ch->writer.queue;
    const uint8_t *p;
    size_t n;
    bool ok = true;
    if (ch->half.dir == RELAY_IN) {
        leg->u.in.begun_left = ch->writer.left;
        return ch->held.bytes == 0;
    }
    if (leg->u.out.tail_len > 0) {
        ok = relay_sendq_push(q, leg->u.out.tail, leg->u.out.tail_len)
             == APR_SUCCESS;
        leg->u.out.tail_len = 0;
    }
    while (ok && (p = relay_sendq_front(&ch->held, &n)) != NULL) {
        ok = relay_sendq_push(q, p, n) == APR_SUCCESS;
        relay_sendq_drop(&ch->held, n);
    }
    return ok;
}

static bool encode(relay_channel *ch, const relay_leg *leg, rpch_msec now)
{
    relay_succession *s = ch->succ;
    rpch_server_image image;
    s->leg = apr_palloc(ch->r->pool, RELAY_MSG_DATA_MAX);
    if (relay_leg_encode(leg, s->leg, RELAY_MSG_DATA_MAX, &s->leg_len)
        != RPCH_OK)
        return false;
    if (!ch->joined || ch->half.dir != RELAY_OUT)
        return true;
    s->role = apr_palloc(ch->r->pool, RELAY_MSG_DATA_MAX);
    rpch_server_save(ch->role, &image, now);
    return relay_leg_encode_role(&image, s->role, RELAY_MSG_DATA_MAX,
                                 &s->role_len) == RPCH_OK;
}

/* The machine gives the leg away; from here on the connection is the
 * successor's. */
static void release_leg(relay_channel *ch, rpch_msec now)
{
    relay_succession *s = ch->succ;
    relay_counters counters = relay_half_counters(&ch->half);
    relay_owner self = relay_channel_owner(ch);
    relay_leg leg;
    memset(&leg, 0, sizeof(leg));
    leg.dir = ch->half.dir;
    if (relay_half_release(&ch->half, &leg) != RPCH_OK)
        return;
    ch->moved = true;
    s->sent = 0;
    s->given = collect(ch, &leg) && encode(ch, &leg, now)
            && relay_table_succeed(ch->engine->table, ch->ref, ch->half.dir,
                                   &self, &s->heir, &counters);
    if (!s->given) {
        relay_channel_say(&s->link, RELAY_MSG_END, RPCH_E_ROOM,
                          "the leg cannot be moved", -1);
        relay_succession_hang_up(s);
        ch->leg_lost = true;
        return;
    }
    s->state = RELAY_SUCC_LEAVING;
}

/* The leg's descriptors are the successor's alone now: closed, not shut
 * down. */
static void left(relay_channel *ch)
{
    relay_succession_hang_up(ch->succ);
    relay_link_close(&ch->link);
    if (ch->server_fd >= 0)
        relay_fd_close(ch->server_fd);
    ch->server_fd = -1;
}

/* The message that follows sent ones; false when all are on their way. *fd
 * goes with it. */
static bool next_message(relay_channel *ch, relay_msg *m, int *fd)
{
    relay_succession *s = ch->succ;
    size_t n;
    memset(m, 0, sizeof(*m));
    *fd = -1;
    if (s->sent == 1 && s->role == NULL)
        s->sent++;
    if (s->sent == 2 && !ch->joined)
        s->sent++;
    if (s->sent == 0) {
        m->type = RELAY_MSG_MOVE;
        m->data = s->leg;
        m->data_len = (uint16_t)s->leg_len;
        m->tail = (uint32_t)ch->writer.queue.bytes;
        *fd = ch->server_fd;
    } else if (s->sent == 1) {
        m->type = RELAY_MSG_ROLE;
        m->data = s->role;
        m->data_len = (uint16_t)s->role_len;
    } else if (s->sent == 2) {
        m->type = RELAY_MSG_LINK;
        *fd = ch->link.fd;
    } else {
        m->type = RELAY_MSG_TAIL;
        m->data = relay_sendq_front(&ch->writer.queue, &n);
        m->data_len = (uint16_t)(n < RELAY_MSG_DATA_MAX ? n
                                                        : RELAY_MSG_DATA_MAX);
    }
    return m->type != RELAY_MSG_TAIL || m->data_len > 0;
}

static void send_leg(relay_channel *ch)
{
    relay_succession *s = ch->succ;
    apr_status_t rv;
    relay_msg m;
    int fd;
    while (!s->full && s->state == RELAY_SUCC_LEAVING) {
        if (!next_message(ch, &m, &fd)) {
            left(ch);
            return;
        }
        rv = relay_link_send(&s->link, &m, fd);
        s->full = APR_STATUS_IS_EAGAIN(rv);
        if (rv != APR_SUCCESS && !s->full)
            relay_channel_lose_leg(ch);
        if (rv != APR_SUCCESS)
            return;
        ch->moved = true;
        if (m.type == RELAY_MSG_TAIL)
            relay_sendq_drop(&ch->writer.queue, m.data_len);
        else
            s->sent++;
    }
}

/* The client or the server dismissed the successor (IN_R2/A5 with another
 * cookie, OUT_R2/B2): the channel goes on without it. */
static void dismiss(relay_channel *ch)
{
    if (!relay_half_dismissed(&ch->half))
        return;
    relay_channel_say(&ch->succ->link, RELAY_MSG_REFUSE, RPCH_E_COOKIE,
                      "the predecessor dismissed it", -1);
    relay_succession_hang_up(ch->succ);
}

bool relay_channel_is_leaving(const relay_channel *ch)
{
    return ch->succ && ch->succ->state == RELAY_SUCC_LEAVING;
}

void relay_channel_bequeath(relay_channel *ch, rpch_msec now)
{
    relay_succession *s = ch->succ;
    if (s->state == RELAY_SUCC_HOLDER)
        dismiss(ch);
    if (s->state != RELAY_SUCC_NONE)
        hear_heir(ch);
    if (s->state == RELAY_SUCC_HOLDER
        && (relay_half_wants(&ch->half) & RPCH_WANT_RELEASE))
        release_leg(ch, now);
    if (s->state == RELAY_SUCC_LEAVING)
        send_leg(ch);
}
