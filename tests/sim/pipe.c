/* SPDX-License-Identifier: Apache-2.0 */
/* pipe.c - bytes on their way, and the watch over them */
#include "pipe.h"

#include <string.h>

#include "trace.h"
#include "watch.h"

const char *sim_pipe_name(const sim_pipe *p)
{
    static const char *const name[] = {
        "C-IN", "OUT request", "C-OUT", "IN response", "to the server",
        "from the server"
    };

    return name[p->stream];
}

void sim_pipe_open(sim_pipe *p, sim_stream stream, sim_pipe *back,
                   int writer, int reader, uint32_t room)
{
    memset((uint8_t *)p + sizeof(p->b), 0, sizeof(*p) - sizeof(p->b));
    p->stream = stream;
    p->back = back;
    if (stream == SIM_C_OUT || stream == SIM_C_ANSWER)
        p->in.skip = p->out.skip = 1;
    p->in.started = p->out.started = stream != SIM_S_DOWN;
    p->writer = writer;
    p->reader = reader;
    p->room = room < SIM_PIPE_ROOM ? room : SIM_PIPE_ROOM;
    p->most = UINT64_MAX;
    p->last = sim_time.now;
}

void sim_pipe_window(sim_pipe *p, uint32_t window)
{
    p->account.on = true;
    p->account.window = window;
    p->account.limit = window;
}

/* What is written: the frames, and the window of the receiver. */
static void watch_written(void *baton, const uint8_t *rts, uint32_t n)
{
    sim_pipe *p = baton;
    sim_account *a = &p->account;

    if (rts != NULL)
        return;
    if (a->on && !sim_watch_forged && !sim_watch_misled
        && a->sent + n > a->limit
        && !(n > a->window && a->limit - a->sent >= a->window))
        sim_break("%s: a PDU of %u bytes, but %llu sent and %llu allowed",
                  sim_pipe_name(p), n, (unsigned long long)a->sent,
                  (unsigned long long)a->limit);
    a->sent += n;
}

static void watch_read(void *baton, const uint8_t *rts, uint32_t n)
{
    if (rts != NULL)
        sim_watch_rts(baton, rts, n);
}

/* Moves what waits to the front of the buffer. */
static void compact(sim_pipe *p)
{
    memmove(p->b, p->b + p->at, p->end - p->at);
    p->seen -= p->at;
    p->end -= p->at;
    p->at = 0;
}

long sim_pipe_put(sim_pipe *p, const uint8_t *b, size_t n)
{
    size_t free_bytes = p->room - (p->end - p->at);

    if (p->closed || p->broken)
        return -1;
    p->full = n > free_bytes;
    if (p->full)
        n = free_bytes;
    if (n == 0)
        return 0;
    if (p->end + n > SIM_PIPE_ROOM)
        compact(p);
    memcpy(p->b + p->end, b, n);
    p->written += n;
    p->last = sim_time.now;
    if (p->written > p->most)
        sim_break("%s: %llu bytes written of a lifetime of %llu",
                  sim_pipe_name(p),
                  (unsigned long long)p->written,
                  (unsigned long long)p->most);
    if (!p->lawless)
        sim_frame_feed(&p->in, p->b + p->end, n, watch_written, p);
    if (sim_time.now >= p->ready) {
        p->seen = p->end;
        p->ready = sim_arrival();
    }
    p->end += (uint32_t)n;
    sim_wake(p->reader, p->ready);
    return (long)n;
}

/* What has arrived by now. */
static void arrive(sim_pipe *p)
{
    if (sim_time.now >= p->ready)
        p->seen = p->end;
}

const uint8_t *sim_pipe_all(sim_pipe *p, size_t *n)
{
    arrive(p);
    *n = p->broken ? 0 : p->seen - p->at;
    return *n > 0 ? p->b + p->at : NULL;
}

const uint8_t *sim_pipe_peek(sim_pipe *p, size_t *n)
{
    arrive(p);
    *n = p->broken ? 0 : p->seen - p->at;
    if (*n == 0)
        return NULL;
    *n = sim_watch_cut(*n);
    return p->b + p->at;
}

void sim_pipe_take(sim_pipe *p, size_t n)
{
    if (n == 0)
        return;
    if (!p->lawless)
        sim_frame_feed(&p->out, p->b + p->at, n, watch_read, p);
    p->taken += n;
    p->at += (uint32_t)n;
    if (p->at == p->end)
        p->at = p->seen = p->end = 0;
    if (p->full) {
        p->full = false;
        sim_wake(p->writer, sim_arrival());
    }
}

void sim_pipe_watch(sim_pipe *p)
{
    if (p->broken || p->closed || p->end > p->at)
        sim_wake(p->reader, p->ready > sim_time.now
                            ? p->ready : sim_time.now + 1 + sim_random(4));
}

void sim_pipe_close(sim_pipe *p)
{
    if (p->closed || p->broken)
        return;
    p->closed = true;
    arrive(p);
    if (sim_time.now >= p->ready)
        p->ready = sim_arrival();
    sim_wake(p->reader, p->ready);
}

void sim_pipe_break(sim_pipe *p)
{
    if (p->broken)
        return;
    p->broken = true;
    p->at = p->seen = p->end = 0;
    p->ready = sim_arrival();
    sim_wake(p->reader, p->ready);
    sim_wake(p->writer, p->ready);
}

bool sim_pipe_ended(const sim_pipe *p)
{
    return (p->closed || p->broken) && p->at == p->end
        && sim_time.now >= p->ready;
}

bool sim_pipe_holds(const sim_pipe *p)
{
    return p->end > p->at;
}
