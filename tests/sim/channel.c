/* SPDX-License-Identifier: Apache-2.0 */
/*
 * channel.c - the turn of a channel: reads, writes, timers, and its end. The
 * order of things is that of lib/relay/channel.c.
 */
#include "channel.h"

#include <string.h>

#include "call.h"
#include "script.h"
#include "trace.h"
#include "visits.h"

/* Turns of one step, and reads of one turn. */
#define TURNS 12
#define READS 16

sim_channel sim_channels[SIM_CHANNELS];
static uint64_t serials;

void sim_channel_start(void)
{
    int i;

    for (i = 0; i < SIM_CHANNELS; i++) {
        if (sim_channels[i].used) {
            relay_writer_close(&sim_channels[i].writer);
            relay_sendq_clear(&sim_channels[i].held);
        }
        sim_channels[i].used = false;
    }
}

static sim_conn *conn_of(const sim_channel *ch)
{
    return &sim_conns[ch->n];
}

static int actor_of(const sim_channel *ch)
{
    return SIM_CHANNEL0 + ch->n;
}

bool sim_channel_wants(const sim_channel *ch, unsigned what)
{
    return (relay_half_wants(&ch->half) & what) != 0;
}

const rpch_core *sim_channel_core(const sim_channel *ch)
{
    return relay_half_core(&ch->half);
}

void sim_channel_fail(sim_channel *ch, int status, const char *reason)
{
    relay_half_fail(&ch->half, status, reason);
}

/* OUT_R1: without its client's window a predecessor may send only when no ack
 * can come any more, or none came in time. */
static void check_drain(sim_channel *ch)
{
    const rpch_outbound *m = &ch->half.m.out;
    sim_account *a = &conn_of(ch)->down.account;

    if (ch->half.dir != RELAY_OUT || m->core.state != RPCH_OUT_DRAIN_R1)
        return;
    if (ch->drain_since == 0)
        ch->drain_since = sim_msec();
    if (!m->tx.off || !a->on)
        return;
    sim_must(m->server_gone || sim_script_now->faults > 0
             || sim_msec() >= ch->drain_since + m->core.limits.drain_timeout,
             "a predecessor ignores its client's window too early");
    a->on = false;
}

static long put_all(sim_pipe *p, const struct iovec *v, int n)
{
    long taken, sum = 0;
    int i;

    for (i = 0; i < n; i++) {
        taken = sim_pipe_put(p, v[i].iov_base, v[i].iov_len);
        if (taken < 0)
            return i == 0 ? taken : sum;
        sum += taken;
        if ((size_t)taken < v[i].iov_len)
            break;
    }
    return sum;
}

static long to_client(void *baton, const struct iovec *v, int n)
{
    sim_channel *ch = baton;

    check_drain(ch);
    return ch->head_sent ? put_all(&conn_of(ch)->down, v, n) : 0;
}

static long to_server(void *baton, const struct iovec *v, int n)
{
    sim_channel *ch = baton;

    return ch->sock < 0 ? 0 : put_all(&sim_socks[ch->sock].up, v, n);
}

void sim_channel_open(int n, int place, int child, int identity)
{
    sim_channel *ch = &sim_channels[n];
    const rpch_limits *limits = &sim_script_now->proxy[place];
    bool is_in = sim_conns[n].is_in;
    rpch_log_fn *log = sim_tracing.on ? sim_machine_log : NULL;
    unsigned flags = sim_script_now->joined ? RPCH_JOINED : 0;
    rpch_address address;

    memset(&address, 0, sizeof(address));
    memset(ch, 0, offsetof(sim_channel, succ));
    memset(&ch->succ, 0, offsetof(sim_succession, leg));
    ch->leg_lost = ch->moved = false;
    ch->drain_since = 0;
    ch->used = true;
    ch->n = n;
    ch->serial = ++serials;
    ch->place = place;
    ch->child = child;
    ch->identity = identity;
    ch->joined = sim_script_now->joined;
    ch->hostile = sim_conns[n].hostile;
    ch->sock = ch->link = ch->succ.link = -1;
    ch->connected_at = SIM_NEVER;
    ch->retry = ch->open_deadline = RPCH_NEVER;
    if (!is_in)
        flags |= sim_script_now->client_flags
               & (RPCH_QUIET | RPCH_NO_RECYCLING);
    relay_half_init(&ch->half, is_in ? RELAY_IN : RELAY_OUT, limits, &address,
                    flags, log, is_in ? "in-proxy" : "out-proxy", sim_msec());
    sim_visits_watch((rpch_core *)sim_channel_core(ch));
    if (ch->joined && !is_in) {
        rpch_server_init(&ch->role, limits, RPCH_JOINED, log, "role",
                         sim_msec());
        sim_visits_watch(&ch->role.core);
    }
    relay_writer_init(&ch->writer, &ch->half, !is_in || !ch->joined,
                      is_in ? to_server : to_client, ch, sim_script_blocks());
    relay_sendq_init(&ch->held, sim_script_blocks());
    sim_say("%s request %d at place %d child %d", is_in ? "IN" : "OUT", n,
            place, child);
    sim_wake(actor_of(ch), sim_arrival());
}

/* The queue that an IN successor inherits goes first. */
static bool wants_client(const sim_channel *ch)
{
    return sim_channel_wants(ch, RPCH_WANT_CLIENT_READ)
        && (ch->half.dir == RELAY_OUT || !sim_channel_arriving(ch));
}

/* What the client sent is gone, or has ended. */
static void look_at_client(sim_channel *ch)
{
    sim_conn *c = conn_of(ch);
    bool is_in = ch->half.dir == RELAY_IN;

    if (c->up.taken == c->up.most && !ch->body_ended) {
        ch->body_ended = true;
        if (!is_in)
            rpch_outbound_body_ended(&ch->half.m.out);
    }
    /* after A5 the end of the body is of no consequence */
    if (is_in && ch->body_ended && !relay_writer_pending(&ch->writer)
        && ch->half.m.in.core.state < RPCH_IN_DRAIN_R1
        && !ch->half.m.in.early)
        sim_channel_fail(ch, RPCH_E_LIFETIME, "Content-Length is used up");
    if (c->up.broken || (!is_in && c->up.closed && sim_time.now >= c->up.ready)
        || (wants_client(ch)
            && sim_pipe_ended(&c->up)))
        ch->gone = true;
    if (!ch->gone)
        return;
    if (is_in && relay_half_is_open(&ch->half)
        && relay_writer_pending(&ch->writer) && !ch->writer.broken)
        return;
    relay_half_client_closed(&ch->half);
}

static void read_client(sim_channel *ch)
{
    sim_conn *c = conn_of(ch);
    rpch_msec now = sim_msec();
    int i;

    for (i = 0; i < READS && wants_client(ch); i++) {
        size_t n, taken;
        const uint8_t *p = sim_pipe_peek(&c->up, &n);

        if (p == NULL)
            break;
        if (relay_writer_feed(&ch->writer, true, p, n, &taken, NULL, NULL,
                              now) != RPCH_OK)
            return;
        sim_pipe_take(&c->up, taken);
        if (taken == 0)
            break;
    }
    look_at_client(ch);
}

/* OUT: the 200 head, once CONN/A2 is on its way. */
static void respond(sim_channel *ch)
{
    static const uint8_t head = SIM_HEAD_200;
    sim_pipe *down = &conn_of(ch)->down;
    size_t len;

    if (!sim_channel_wants(ch, RPCH_WANT_RESPONSE)
        || rpch_lane_buf(relay_half_to_server(&ch->half), &len) != NULL)
        return;
    down->most = 1 + (uint64_t)sim_channel_core(ch)->limits.channel_lifetime;
    sim_pipe_put(down, &head, 1);
    ch->head_sent = ch->moved = true;
    rpch_outbound_responded(&ch->half.m.out, sim_msec());
}

/* Gives bytes of the server to the half; how many it took. */
static size_t feed(sim_channel *ch, const uint8_t *p, size_t len)
{
    size_t taken;

    (void)relay_writer_feed(&ch->writer, false, p, len, &taken, NULL, NULL,
                            sim_msec());
    return taken;
}

static bool flush_held(sim_channel *ch)
{
    const uint8_t *p;
    size_t len, taken;

    while ((p = relay_sendq_front(&ch->held, &len)) != NULL) {
        taken = feed(ch, p, len);
        relay_sendq_drop(&ch->held, taken);
        ch->moved = ch->moved || taken > 0;
        if (taken < len)
            return false;
    }
    return true;
}

static void read_server(sim_channel *ch)
{
    sim_sock *s;
    int i;

    if (ch->sock < 0 || (ch->joined && ch->half.dir == RELAY_IN))
        return;
    s = &sim_socks[ch->sock];
    for (i = 0; i < READS; i++) {
        const uint8_t *p;
        size_t n, taken;

        if (!flush_held(ch) || sim_channel_arriving(ch)
            || !sim_channel_wants(ch, RPCH_WANT_SERVER_READ))
            return;
        p = sim_pipe_peek(&s->down, &n);
        if (p == NULL) {
            ch->server_eof = sim_pipe_ended(&s->down);
            return;
        }
        taken = feed(ch, p, n);
        if (taken < n) {
            sim_must(ch->half.dir == RELAY_OUT
                     || sim_channel_core(ch)->status != RPCH_OK,
                     "an in-proxy leaves bytes of its server");
            sim_must(relay_sendq_push(&ch->held, p + taken, n - taken)
                     == APR_SUCCESS, "no memory");
        }
        sim_pipe_take(&s->down, n);
        ch->moved = true;
    }
}

/* OUT, native: RTS PDUs on S-OUT. */
static void flush_server_lane(sim_channel *ch)
{
    rpch_lane *lane = relay_half_to_server(&ch->half);
    const uint8_t *p;
    size_t len;
    long n;

    if (ch->joined || ch->half.dir == RELAY_IN || ch->sock < 0)
        return;
    while ((p = rpch_lane_buf(lane, &len)) != NULL) {
        n = sim_pipe_put(&sim_socks[ch->sock].up, p, len);
        if (n < 0)
            ch->server_eof = true;
        if (n <= 0)
            return;
        rpch_lane_ack(lane, (size_t)n);
        ch->moved = true;
    }
}

static void shut_down(sim_channel *ch)
{
    if (ch->shut || !sim_channel_wants(ch, RPCH_WANT_SHUTDOWN))
        return;
    ch->shut = true;
    sim_sock_shutdown(ch->sock);
}

static void note_open(sim_channel *ch)
{
    if (ch->was_open || !relay_half_is_open(&ch->half))
        return;
    ch->was_open = true;
    ch->open_deadline = RPCH_NEVER;
    sim_place_state(ch->n, RELAY_HALF_OPEN);
}

static bool turn(sim_channel *ch)
{
    relay_writer *w = &ch->writer;

    ch->moved = w->rpc_moved = w->lane_moved = false;
    read_client(ch);
    if (sim_script_meddle_channel(ch))
        return false;
    if (sim_channel_wants(ch, RPCH_WANT_CONNECT | RPCH_WANT_SUCCEED))
        sim_channel_enter(ch);
    if (ch->joined)
        sim_channel_join_step(ch);
    flush_server_lane(ch);
    if (sim_script_meddle_channel(ch))
        return false;
    if (ch->half.dir == RELAY_OUT)
        respond(ch);
    read_server(ch);
    check_drain(ch);
    if (sim_script_meddle_channel(ch))
        return false;
    relay_writer_flush(w, sim_msec());
    if (sim_script_meddle_channel(ch))
        return false;
    if (ch->joined && ch->half.dir == RELAY_OUT && ch->join == SIM_JOIN_DONE
        && !sim_channel_arriving(ch))
        rpch_server_spent(&ch->role, ch->half.m.out.lifetime_used,
                          ch->half.m.out.starved);
    shut_down(ch);
    sim_channel_succession_step(ch);
    note_open(ch);
    return ch->moved || w->rpc_moved || w->lane_moved;
}

static void look_for_ends(sim_channel *ch)
{
    bool out = ch->half.dir == RELAY_OUT;

    if (out && ch->writer.broken)
        relay_half_client_closed(&ch->half);
    if (!out && ch->writer.broken)
        relay_half_server_closed(&ch->half);
    if (!ch->server_eof || sim_channel_arriving(ch))
        return;
    if (!out || (!relay_writer_pending(&ch->writer) && ch->held.bytes == 0))
        relay_half_server_closed(&ch->half);
}

/* The channel's last words. */
static void say_end(sim_channel *ch)
{
    const rpch_core *core = sim_channel_core(ch);
    relay_msg m;

    if (ch->link < 0)
        return;
    memset(&m, 0, sizeof(m));
    m.type = RELAY_MSG_END;
    m.status = core->status;
    if (core->reason)
        strncpy(m.text, core->reason, sizeof(m.text) - 1);
    (void)sim_link_send(ch->link, &m, SIM_NO_FD);
    sim_link_close(ch->link);
    ch->link = -1;
}

/* Gives up all that the channel has. */
static void drop_all(sim_channel *ch)
{
    while (ch->mails > 0)
        sim_link_close(ch->mail[--ch->mails]);
    if (ch->link >= 0)
        sim_link_close(ch->link);
    if (ch->succ.link >= 0)
        sim_link_close(ch->succ.link);
    if (ch->sock >= 0)
        sim_sock_release(ch->sock);
    ch->link = ch->succ.link = ch->sock = -1;
    relay_writer_close(&ch->writer);
    relay_sendq_clear(&ch->held);
    ch->used = false;
}

static void end(sim_channel *ch)
{
    const rpch_core *core = sim_channel_core(ch);
    static const uint8_t refusal = SIM_HEAD_503;
    bool recycled = core->status == RPCH_E_RECYCLED && !ch->leg_lost;

    sim_say("%s request %d ends: %s, %s", relay_dir_name(ch->half.dir), ch->n,
            rpch_status_name(core->status), core->reason ? core->reason : "");
    sim_visits_status(sim_channel_core(ch), ch->hostile);
    if (recycled && ch->half.dir == RELAY_OUT && !conn_of(ch)->down.broken)
        sim_must(sim_frame_whole(&conn_of(ch)->down.in),
                 "a PDU was cut by the end of its C-OUT");
    sim_channel_succession_end(ch);
    sim_place_leave(ch->n, recycled);
    say_end(ch);
    if (!ch->head_sent && core->status != RPCH_E_RECYCLED)
        sim_pipe_put(&conn_of(ch)->down, &refusal, 1);
    if (sim_chance(10))
        sim_call_late_half(&ch->half);
    drop_all(ch);
    sim_conn_proxy_close(ch->n);
}

/* When it is this channel's turn again. */
static void arm(sim_channel *ch)
{
    sim_conn *c = conn_of(ch);
    int self = actor_of(ch);

    sim_wake(self, sim_tick_of(relay_half_deadline(&ch->half)));
    if (ch->retry != RPCH_NEVER)
        sim_wake(self, ch->retry > sim_msec() ? sim_tick_of(ch->retry)
                                              : sim_time.now + 1);
    sim_wake(self, ch->connected_at);
    sim_wake(self, sim_tick_of(ch->open_deadline));
    if (ch->joined && ch->half.dir == RELAY_OUT)
        sim_wake(self, sim_tick_of(rpch_server_deadline(&ch->role)));
    if (!ch->gone && (wants_client(ch)
                      || c->up.broken
                      || (ch->half.dir == RELAY_OUT && c->up.closed)))
        sim_pipe_watch(&c->up);
    if (ch->sock >= 0 && sim_channel_wants(ch, RPCH_WANT_SERVER_READ)
        && !sim_channel_arriving(ch) && !ch->server_eof
        && ch->held.bytes == 0)
        sim_pipe_watch(&sim_socks[ch->sock].down);
    if (ch->link >= 0 && !sim_channel_arriving(ch)
        && (sim_link_dead(ch->link) || sim_channel_can_receive(ch)))
        sim_link_watch(ch->link);
    if (ch->succ.link >= 0)
        sim_link_watch(ch->succ.link);
}

void sim_channel_step(int n)
{
    sim_channel *ch = &sim_channels[n];
    int turns = 0;

    if (!ch->used)
        return;
    relay_half_timeout(&ch->half, sim_msec());
    if (sim_msec() >= ch->open_deadline)
        sim_channel_fail(ch, RPCH_E_TIMEOUT, "not open in time");
    if (ch->joined && ch->half.dir == RELAY_OUT)
        rpch_server_timeout(&ch->role, sim_msec());
    relay_writer_writable(&ch->writer);
    sim_channel_read_mail(ch);
    if (sim_script_meddle_channel(ch))
        return;
    while (turns < TURNS && !sim_channel_wants(ch, RPCH_WANT_CLOSE)
           && turn(ch))
        turns++;
    if (!ch->used)
        return;
    look_for_ends(ch);
    if (sim_channel_wants(ch, RPCH_WANT_CLOSE)) {
        sim_channel_succession_step(ch);
        if (sim_channel_core(ch)->status != RPCH_E_RECYCLED
            || ch->succ.state != SIM_TALK_LEAVING) {
            end(ch);
            return;
        }
    }
    arm(ch);
    if (turns == TURNS)
        sim_wake(actor_of(ch), sim_time.now + 1);
}

void sim_channel_die(int n)
{
    sim_channel *ch = &sim_channels[n];

    if (!ch->used)
        return;
    sim_say("the child of request %d dies", n);
    sim_place_leave(n, false);
    drop_all(ch);
    sim_pipe_break(&conn_of(ch)->down);
    sim_conn_proxy_close(n);
}

unsigned sim_channel_count(void)
{
    unsigned n = 0;
    int i;

    for (i = 0; i < SIM_CHANNELS; i++)
        n += sim_channels[i].used;
    return n;
}
