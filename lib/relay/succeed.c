/* SPDX-License-Identifier: Apache-2.0 */
/*
 * succeed.c - NOTES
 *
 * One owner at any time: the table names the successor before the leg is
 * sent, so that a predecessor that dies afterwards takes nothing with it.
 * Whoever ends in between looks into the table: the one it names gives the
 * half back.
 *
 * A client may ask for the next successor while the last one has not got its
 * leg yet. That is not refused: it hears "again", looks into the table once
 * more and asks whoever holds the half then, until its own time to open is
 * over.
 */
#include <apr_strings.h>
#include <poll.h>
#include <sys/socket.h>

#include "relay/channel.h"
#include "relay/label.h"

/* A holder that was not ready is asked again after, ms: soon at first, then
 * less often. */
#define AGAIN_MSEC 20
#define AGAIN_MSEC_MAX 500

/* A holder that is not in the state for it may soon be; and with a native back
 * end one that knows nothing of the predecessor may be one whose channel has
 * left for another proxy and come back before the old one has ended here: it is
 * asked again for so long, ms. */
#define RETURN_MSEC 5000

static void refuse(relay_channel *ch, const char *line)
{
    RELAY_RLOG(ch->engine, APLOG_WARNING, 0, ch->r, "%s", line);
    ch->cause_logged = true;
    relay_channel_fail(ch, RPCH_E_POLICY, "the successor was refused", line);
}

static void ask(relay_channel *ch, const relay_owner *holder, rpch_msec now)
{
    relay_succession *s = relay_channel_talk(ch);
    rpch_succession what;
    relay_msg m;
    memset(&m, 0, sizeof(m));
    relay_half_succession(&ch->half, &what);
    m.type = RELAY_MSG_ATTACH;
    m.pid = ch->engine->self.pid;
    m.nonce = ch->engine->self.nonce;
    m.dir = (uint8_t)ch->half.dir;
    m.vc = what.vc;
    m.predecessor = what.predecessor;
    m.successor = what.successor;
    m.window = what.window;
    m.identity = ch->identity;
    m.channel = holder->channel;
    m.from = ch->box.number;
    ch->retry = now + AGAIN_MSEC;
    if (relay_channel_call(ch, &s->link, holder, &m) != APR_SUCCESS) {
        relay_succession_hang_up(s);
        return;
    }
    s->state = RELAY_SUCC_ASKED;
    ch->retry = RPCH_NEVER;
}

void relay_channel_succeed(relay_channel *ch, rpch_msec now)
{
    relay_succession *s = relay_channel_talk(ch);
    relay_peer holder;
    relay_ref found;
    if (s->state != RELAY_SUCC_NONE || now < ch->retry)
        return;
    if (relay_table_find(ch->engine->table, relay_half_vc(&ch->half),
                         &ch->identity, ch->half.dir, &found, &holder)
        && holder.owner.pid != 0) {
        /* It may become ours before the leg is here. */
        ch->ref = found;
        ask(ch, &holder.owner, now);
    } else if (ch->joined) {
        refuse(ch, "RPX0325: a successor channel of a virtual connection "
               "that is not known here; with protocol=ncacn_ip_tcp all "
               "channels of a connection must come to one httpd");
    } else {
        memset(&ch->ref, 0, sizeof(ch->ref));
        ch->own_leg = true;
        ch->retry = RPCH_NEVER;
        relay_channel_claim(ch);
    }
}

/* Whether an answer to ATTACH may be another one soon. */
static bool may_change(relay_channel *ch, int status, rpch_msec now)
{
    relay_succession *s = ch->succ;
    if (status == RPCH_AGAIN || status == RPCH_E_CLOSED)
        return true;
    /* The end of a successor that was given up may be behind this ATTACH. */
    if (status != RPCH_E_UNEXPECTED
        && (status != RPCH_E_COOKIE || ch->joined))
        return false;
    if (s->return_until == 0)
        s->return_until = now + RETURN_MSEC;
    return now < s->return_until;
}

static void refused(relay_channel *ch, const relay_msg *m, rpch_msec now)
{
    relay_succession *s = ch->succ;
    bool again = s->state == RELAY_SUCC_ASKED
              && may_change(ch, m->status, now);
    relay_succession_hang_up(s);
    if (again) {
        s->pause = s->pause == 0 ? AGAIN_MSEC
                 : s->pause < AGAIN_MSEC_MAX / 2 ? 2 * s->pause
                                                 : AGAIN_MSEC_MAX;
        ch->retry = now + s->pause;
        return;
    }
    refuse(ch, apr_psprintf(ch->r->pool, "RPX0326: the holder of the %s "
                            "channel of connection %s refuses the successor: "
                            "%s", relay_dir_name(ch->half.dir),
                            relay_label_of(ch->r), m->text));
}

static void out_of_order(relay_channel *ch, const relay_msg *m)
{
    relay_succession_hang_up(ch->succ);
    relay_channel_fail(ch, RPCH_E_BUG, "a message between predecessor and "
                       "successor out of order",
                       apr_pstrcat(ch->r->pool, relay_msg_name(m->type),
                                   " between predecessor and successor out "
                                   "of order", NULL));
}

/* True when all that belongs to the leg is here. */
static bool complete(const relay_succession *s)
{
    return s->tail == 0 && !s->role_missing && !s->link_missing;
}

static void arrived(relay_channel *ch)
{
    if (relay_half_core(&ch->half)->status == RPCH_OK)
        RELAY_RLOG(ch->engine, APLOG_INFO, 0, ch->r,
               "RPX0314: %s channel of connection %s to %s succeeds by %s_R2",
               relay_dir_name(ch->half.dir),
               relay_label_of(ch->r),
               ch->job->target, relay_dir_name(ch->half.dir));
    relay_succession_hang_up(ch->succ);
}

static void take_leg(relay_channel *ch, const relay_msg *m, int fd,
                     rpch_msec now)
{
    relay_succession *s = ch->succ;
    const char *reason = NULL;
    relay_leg leg;
    ch->server_fd = fd;
    ch->server_readable = true;
    s->state = RELAY_SUCC_ARRIVING;
    s->tail = m->tail;
    s->link_missing = ch->joined;
    s->role_missing = ch->joined && ch->half.dir == RELAY_OUT;
    if (relay_leg_decode(m->data, m->data_len, ch->half.dir, &leg, &reason)
        != RPCH_OK)
        relay_channel_fail(ch, RPCH_E_BUG, "a leg that cannot be read",
                           reason);
    else if (!relay_leg_has_tail(&leg, m->tail))
        relay_channel_fail(ch, RPCH_E_BUG, "a leg without its queue", NULL);
    else if (relay_half_adopt(&ch->half, &leg, now) == RPCH_OK
             && ch->half.dir == RELAY_IN && leg.u.in.begun > 0)
        relay_writer_resume(&ch->writer, leg.u.in.begun,
                            leg.u.in.begun_left);
}

static void take_role(relay_channel *ch, const relay_msg *m, rpch_msec now)
{
    rpch_server_image image;
    const char *reason = NULL;
    ch->succ->role_missing = false;
    if (relay_leg_decode_role(m->data, m->data_len, &image, &reason)
        != RPCH_OK)
        relay_channel_fail(ch, RPCH_E_BUG, "a role that cannot be read",
                           reason);
    else if (rpch_server_restore(ch->role, &image, now) != RPCH_OK)
        relay_channel_fail(ch, RPCH_E_BUG, "a role that does not fit", NULL);
}

static void take_link(relay_channel *ch, int fd)
{
    relay_link_adopt(&ch->link, fd);
    ch->join = RELAY_JOIN_DONE;
    ch->retry = RPCH_NEVER;
    ch->succ->link_missing = false;
}

/* IN: to be written to the server. OUT: read from it, to be read again. */
static void take_tail(relay_channel *ch, const relay_msg *m)
{
    relay_sendq *q = ch->half.dir == RELAY_IN ? &ch->writer.queue : &ch->held;
    ch->succ->tail -= m->data_len;
    if (relay_sendq_push(q, m->data, m->data_len) != APR_SUCCESS)
        relay_channel_fail(ch, RPCH_E_ROOM, "out of memory", NULL);
}

/* Takes m; false when it is not the turn of such a message. fd is the
 * channel's when the message is one that brings a descriptor. */
static bool take(relay_channel *ch, const relay_msg *m, int fd, rpch_msec now)
{
    relay_succession *s = ch->succ;
    bool arriving = s->state == RELAY_SUCC_ARRIVING;
    if (m->type == RELAY_MSG_ATTACHED && s->state == RELAY_SUCC_ASKED) {
        s->state = RELAY_SUCC_ATTACHED;
        relay_half_attached(&ch->half, now);
    } else if (m->type == RELAY_MSG_MOVE && fd >= 0
               && s->state == RELAY_SUCC_ATTACHED) {
        take_leg(ch, m, fd, now);
    } else if (m->type == RELAY_MSG_ROLE && arriving && s->role_missing) {
        take_role(ch, m, now);
    } else if (m->type == RELAY_MSG_LINK && arriving && s->link_missing
               && fd >= 0) {
        take_link(ch, fd);
    } else if (m->type == RELAY_MSG_TAIL && arriving
               && m->data_len <= s->tail) {
        take_tail(ch, m);
    } else {
        return false;
    }
    return true;
}

static bool brings_fd(const relay_msg *m)
{
    return m->type == RELAY_MSG_MOVE || m->type == RELAY_MSG_LINK;
}

static void hear_predecessor(relay_channel *ch, rpch_msec now)
{
    relay_succession *s = ch->succ;
    uint8_t room[RELAY_MSG_SIZE_MAX];
    relay_msg m;
    apr_status_t rv;
    int fd;
    while (s->link.fd >= 0) {
        rv = relay_link_recv(&s->link, room, &m, &fd);
        if (APR_STATUS_IS_EAGAIN(rv))
            return;
        ch->moved = true;
        if (rv != APR_SUCCESS) {
            /* The last words of a channel that ended could have been lost
             * with its child; the table tells who holds the half now. */
            memset(&m, 0, sizeof(m));
            m.status = RPCH_E_CLOSED;
            apr_cpystrn(m.text, "it ended without a word", sizeof(m.text));
            refused(ch, &m, now);
            return;
        }
        if (m.type == RELAY_MSG_REFUSE || m.type == RELAY_MSG_END) {
            refused(ch, &m, now);
        } else if (take(ch, &m, fd, now)) {
            fd = brings_fd(&m) ? -1 : fd;
            if (s->state == RELAY_SUCC_ARRIVING && complete(s))
                arrived(ch);
        } else {
            out_of_order(ch, &m);
        }
        if (fd >= 0)
            relay_fd_close(fd);
    }
}

bool relay_channel_is_arriving(const relay_channel *ch)
{
    return ch->succ && ch->succ->state == RELAY_SUCC_ARRIVING;
}

relay_succession *relay_channel_talk(relay_channel *ch)
{
    if (ch->succ == NULL) {
        ch->succ = apr_pcalloc(ch->r->pool, sizeof(*ch->succ));
        relay_link_init(&ch->succ->link);
    }
    return ch->succ;
}

void relay_succession_hang_up(relay_succession *s)
{
    relay_link_close(&s->link);
    s->state = RELAY_SUCC_NONE;
    s->full = false;
}

void relay_channel_succession_step(relay_channel *ch, rpch_msec now)
{
    relay_succession *s = ch->succ;
    if (s == NULL || s->state == RELAY_SUCC_NONE)
        return;
    if (s->state < RELAY_SUCC_HOLDER)
        hear_predecessor(ch, now);
    else
        relay_channel_bequeath(ch, now);
}

void relay_channel_succession_end(relay_channel *ch)
{
    relay_succession *s = ch->succ;
    const rpch_core *core = relay_half_core(&ch->half);
    if (s == NULL)
        return;
    if (s->state == RELAY_SUCC_HOLDER)
        relay_channel_say(&s->link, RELAY_MSG_END, RPCH_E_POLICY,
                          core->reason ? core->reason : "ended", -1);
    if (s->state == RELAY_SUCC_LEAVING)
        relay_channel_lose_leg(ch);
    relay_succession_hang_up(s);
}

relay_owner relay_channel_holder(const relay_channel *ch)
{
    return ch->leg_lost && ch->succ->given ? ch->succ->heir
                                           : relay_channel_owner(ch);
}

int relay_channel_succession_fd(const relay_channel *ch, short *events)
{
    const relay_succession *s = ch->succ;
    *events = 0;
    if (s == NULL || s->link.fd < 0)
        return -1;
    *events = (short)(POLLIN | (s->full ? POLLOUT : 0));
    return s->link.fd;
}

void relay_channel_succession_event(relay_channel *ch, short revents)
{
    if (ch->succ && (revents & POLLOUT))
        ch->succ->full = false;
}
