/* SPDX-License-Identifier: Apache-2.0 */
/* world.c - the turns of a run, and what must hold at its end */
#include "world.h"

#include "peers.h"
#include "trace.h"
#include "visits.h"
#include "watch.h"

/* A run in which nothing is delivered for so long is stuck, ms; and one that
 * may be so is left alone for so long. */
#define PATIENCE 600000u
#define RESIGNATION 40000u
/* Longest silence on an idle channel, ms: two of the longest intervals. */
#define SILENCE 120000u
/* Turns of one run. */
#define STEPS_MAX 4000000u

typedef struct run {
    bool hung_up;
    bool ended; /* the client has */
    uint64_t progress;
    sim_tick since; /* of progress */
} run;

static void start(const sim_script *s)
{
    sim_script_now = s;
    sim_clock_start(s->seed ^ 0x5deece66d, s->delay);
    sim_channel_start();
    sim_wire_start();
    sim_link_start(s->link_room);
    sim_place_start();
    sim_visits_start();
    sim_fault_start();
    sim_watch_cuts(s->cuts);
    sim_traffic_start(&sim_up, (uint32_t)s->seed * 2, s->up, s->smallest,
                      s->largest, s->big_endian);
    sim_traffic_start(&sim_down, (uint32_t)s->seed * 2 + 1, s->down,
                      s->smallest, s->largest, s->big_endian);
    sim_server_start();
    sim_client_start();
}

/* What the windows allow of memory in one channel. */
static void check_channel(const sim_channel *ch, bool polite)
{
    const rpch_inbound *in = &ch->half.m.in;
    const rpch_outbound *out = &ch->half.m.out;
    uint32_t window = sim_script_now->proxy[ch->place].receive_window;
    uint32_t most = sim_script_now->largest;

    if (ch->half.dir == RELAY_IN) {
        sim_must(in->queued - in->inherited
                 <= window + RPCH_QUEUE_SLACK + most,
                 "an in-proxy holds more than it may");
        sim_must(!polite || in->queued - in->inherited <= window,
                 "an in-proxy holds more than its window");
    } else if (!ch->joined && polite) {
        sim_must((int64_t)out->queued <= out->rx.window,
                 "an out-proxy holds more than its window");
    }
}

static void check_queues(void)
{
    const sim_script *s = sim_script_now;
    bool polite = !(s->client_flags & RPCH_QUIET) && s->faults == 0;
    const rpch_server *v = &sim_the_server.m;
    const rpch_client *c = &sim_the_client.m;
    int i;

    for (i = 0; i < SIM_CHANNELS; i++)
        if (sim_channels[i].used)
            check_channel(&sim_channels[i],
                          polite && !sim_channels[i].hostile);
    if (!polite)
        return;
    sim_must(c->queued - c->stale <= s->client.receive_window,
             "the client holds more than its window");
    if (!sim_the_server.plain)
        sim_must(v->queued - v->in_old <= s->server.receive_window,
                 "the server holds more than its window");
}

static void check_silence(const sim_pipe *p)
{
    if (!sim_pipe_holds(p)
        && sim_time.now - p->last > (uint64_t)SILENCE * SIM_MSEC)
        sim_break("%s: silent for %llu ms", sim_pipe_name(p),
                  (unsigned long long)((sim_time.now - p->last) / SIM_MSEC));
}

/* Somebody on the way would cut a connection that says nothing for long. */
static void check_pings(void)
{
    const sim_script *s = sim_script_now;
    const sim_client *c = &sim_the_client;

    if (!s->completes || (s->client_flags & RPCH_QUIET))
        return;
    check_silence(&sim_conns[c->conn[1][rpch_client_in_slot(&c->m)]].up);
    check_silence(&sim_conns[c->conn[0][rpch_client_out_slot(&c->m)]].down);
}

static void hang_up(run *r)
{
    r->hung_up = true;
    r->since = sim_time.now;
    sim_client_hang_up();
}

/* Nothing happens any more: where that may be so the client hangs up. */
static void resign(run *r)
{
    if (sim_script_now->completes || r->hung_up || sim_the_client.done)
        sim_break("stuck: nobody has anything to do");
    hang_up(r);
}

static void look_for_progress(run *r)
{
    uint64_t p = (uint64_t)sim_up.made + sim_down.made + sim_up.received
               + sim_down.received + sim_up.held_n + sim_down.held_n;

    if (p != r->progress) {
        r->progress = p;
        r->since = sim_time.now;
    }
    if (sim_the_client.done && !r->ended) {
        r->ended = true;
        r->since = sim_time.now;
    }
    if (r->hung_up || r->ended)
        return;
    if (sim_traffic_done(&sim_up) && sim_traffic_done(&sim_down)
        && sim_the_client.m.core.state == RPCH_CLIENT_OPENED) {
        check_pings();
        if (sim_time.now < r->since
            + (uint64_t)sim_script_now->linger * SIM_MSEC) {
            sim_wake(SIM_CLIENT, r->since
                     + (uint64_t)sim_script_now->linger * SIM_MSEC);
            return;
        }
        sim_say("all is delivered");
        sim_counts.complete++;
        sim_visits_over();
        hang_up(r);
    } else if (sim_time.now - r->since > (sim_script_now->completes
               || sim_script_now->seed % 8 == 0 ? PATIENCE : RESIGNATION)
               * SIM_MSEC) {
        if (sim_script_now->completes)
            sim_break("stuck: nothing is delivered any more");
        hang_up(r);
    }
}

static bool is_over(void)
{
    return sim_the_client.done && sim_channel_count() == 0
        && (sim_the_server.plain || sim_the_server.done
            /* nobody ever came to it */
            || sim_the_server.m.core.state == RPCH_SERVER_OPEN_START)
        && sim_wire_open() == 0;
}

/* Runs to the end. */
static void turns(run *r)
{
    uint32_t n = 0;

    while (!is_over()) {
        int who = sim_clock_next();

        if (who < 0) {
            resign(r);
            continue;
        }
        if (++n > STEPS_MAX)
            sim_break("the run does not end");
        if (who == SIM_CLIENT)
            sim_client_step();
        else if (who == SIM_SERVER)
            sim_server_step();
        else
            sim_channel_step(who - SIM_CHANNEL0);
        look_for_progress(r);
        if ((n & 15) == 0)
            check_queues();
        if (sim_the_client.done
            && sim_time.now - r->since > 2ull * PATIENCE * SIM_MSEC)
            sim_break("the client has ended, and others do not");
    }
}

/* Only what the script explains may end a machine. */
static void check_statuses(const sim_script *s)
{
    static const int bad[] = {
        RPCH_E_SYNTAX, RPCH_E_UNEXPECTED, RPCH_E_ACK, RPCH_E_COOKIE,
        RPCH_E_BANNER, RPCH_E_POLICY, RPCH_E_TIMEOUT, RPCH_E_LIFETIME,
        RPCH_E_CONNECT
    };
    bool strange = false; /* somebody said what he should not */
    bool parted = false;  /* channels may not know each other any more */
    size_t i;

    for (i = 0; i < s->faults; i++) {
        parted = parted || s->fault[i].kind == SIM_FAULT_LINK
              || s->fault[i].kind == SIM_FAULT_DIE;
        strange = strange || s->fault[i].kind == SIM_FAULT_INJECT
               || s->fault[i].kind == SIM_FAULT_CALL
               || s->fault[i].kind == SIM_FAULT_NEWCOMER;
    }
    if (s->completes)
        for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
            if (sim_visits_ended(bad[i]))
                sim_break("a machine of a run without faults ends with %s",
                          rpch_status_name(bad[i]));
    if (strange)
        return;
    for (i = 0; i < 5; i++)
        if (sim_visits_ended(bad[i])
            && !(bad[i] == RPCH_E_COOKIE && parted)
            && !(bad[i] == RPCH_E_UNEXPECTED
                 && (s->lifetime_ends || s->faults > 0
                     || s->client_flags & RPCH_R2_ONLY)))
            sim_break("a machine ends with %s, and nobody broke the protocol",
                      rpch_status_name(bad[i]));
}

static void check_end(const sim_script *s)
{
    size_t used, kept;

    if (s->completes && !(sim_traffic_done(&sim_up)
                          && sim_traffic_done(&sim_down)))
        sim_break("the run ended before its script");
    check_statuses(s);
    sim_must(sim_link_ends() == 0, "a link is left open");
    sim_must(sim_place_entries() == 0, "a table keeps an entry");
    relay_blocks_count(sim_script_blocks(), &used, &kept);
    sim_must(used == 0, "queues keep blocks");
}

bool sim_world_run(const sim_script *s)
{
    run r = { false, false, 0, 0 };

    sim_tracing.broken[0] = '\0';
    if (setjmp(sim_tracing.out) != 0) {
        sim_channel_start();
        return false;
    }
    start(s);
    r.since = sim_time.now;
    turns(&r);
    check_end(s);
    sim_counts.runs++;
    sim_counts.bytes += sim_up.bytes + sim_down.bytes;
    return true;
}
