/* SPDX-License-Identifier: Apache-2.0 */
/* rpcl_run.c - the loop of rpch-client */
#include "rpcl_run.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* Body lengths of OUT requests, 2.1.2.1.2. */
#define OUT_FIRST 76u
#define OUT_SUCCESSOR 120u

/* So much is made ready for a socket that takes nothing. */
#define SEND_MARK 65536u

/* How long a predecessor may take to close. */
#define LINGER 10000u

/* The loop looks around at least this often, ms. */
#define TICK 1000

static rpch_msec clock_now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (rpch_msec)t.tv_sec * 1000u + (rpch_msec)t.tv_nsec / 1000000u;
}

static void fail(rpcl_run *r, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Notes the first failure. */
static void fail(rpcl_run *r, const char *format, ...)
{
    va_list args;

    if (r->failed)
        return;
    r->failed = true;
    va_start(args, format);
    vsnprintf(r->why, sizeof(r->why), format, args);
    va_end(args);
}

static void log_line(void *baton, int level, const char *what,
                     const char *detail)
{
    if (level == RPCH_LOG_TRACE1 || level == RPCH_LOG_DEBUG)
        fprintf(stderr, "%s: %s\n", what, detail != NULL ? detail : "");
}

static void random_cookie(rpcl_run *r, rpch_cookie *c)
{
    if (getrandom(c->b, sizeof(c->b), 0) != (ssize_t)sizeof(c->b))
        fail(r, "no random numbers: %s", strerror(errno));
}

/* ---- requests ------------------------------------------------------------- */

static rpcl_http *slot_of(rpcl_run *r, bool is_in, unsigned slot)
{
    return is_in ? &r->in[slot] : &r->out[slot];
}

/* Opens the request of that slot at the next proxy. */
static void open_request(rpcl_run *r, bool is_in, unsigned slot, bool first)
{
    const rpcl_config *o = r->config;
    const rpcl_proxy *proxy = &o->proxy[r->turn[is_in]++ % o->n_proxies];
    uint64_t length = first ? OUT_FIRST : OUT_SUCCESSOR;

    if (is_in)
        length = o->limits.channel_lifetime;
    if (!rpcl_http_open(slot_of(r, is_in, slot), proxy->ai, proxy->text,
                        &o->target, is_in, length))
        fail(r, "proxy %s: %s", proxy->text, strerror(errno));
}

static void open_successor(rpcl_run *r, bool is_in)
{
    rpch_cookie cookie;
    int slot;

    random_cookie(r, &cookie);
    slot = rpch_client_requested(&r->machine, is_in, &cookie, r->now);
    if (slot >= 0)
        open_request(r, is_in, (unsigned)slot, false);
}

/* Leaves the end of a predecessor to the proxy: a socket that is closed too
 * early would reset what is still on its way. */
static void linger(rpcl_run *r, rpcl_http *h)
{
    rpcl_lingering *l = &r->lingering[0];
    unsigned i;

    for (i = 1; i < RPCL_LINGERING_MAX && l->fd >= 0; i++)
        if (r->lingering[i].fd < 0 || r->lingering[i].until < l->until)
            l = &r->lingering[i];
    if (l->fd >= 0)
        close(l->fd);
    l->fd = rpcl_http_detach(h);
    l->until = r->now + LINGER;
}

/* Parts from predecessors that have sent all. */
static void end_predecessors(rpcl_run *r)
{
    unsigned slot;

    for (slot = 0; slot < RPCH_CLIENT_SLOTS; slot++) {
        if (rpch_client_over(&r->machine, true, slot)
            && rpcd_buf_len(&r->in[slot].to_send) == 0) {
            linger(r, &r->in[slot]);
            rpch_client_in_closed(&r->machine, slot);
        }
        if (rpch_client_over(&r->machine, false, slot)) {
            linger(r, &r->out[slot]);
            rpch_client_out_closed(&r->machine, slot);
        }
    }
}

/* ---- sending -------------------------------------------------------------- */

static void make_room(rpcl_run *r, bool ok)
{
    if (!ok)
        fail(r, "no memory");
}

/* Moves what the lane of an IN slot holds; then RPC PDUs, which the machine
 * has go there. */
static void fill_in(rpcl_run *r, unsigned slot)
{
    rpcl_http *h = &r->in[slot];
    const uint8_t *p;
    size_t len;

    for (;;) {
        p = rpch_client_in_buf(&r->machine, slot, &len);
        if (len > 0) {
            make_room(r, rpcd_buf_add(&h->to_send, p, len));
            rpch_client_in_ack(&r->machine, slot, len, r->now);
        }
        if (rpcd_buf_len(&h->to_send) >= SEND_MARK
            || slot != rpch_client_in_slot(&r->machine)
            || r->machine.core.state != RPCH_CLIENT_OPENED)
            return;
        p = rpcl_calls_pdu(&r->calls, &len);
        if (p == NULL || !rpch_client_may_send(&r->machine, (uint32_t)len))
            return;
        rpch_client_sent(&r->machine, (uint32_t)len, r->now);
        make_room(r, rpcd_buf_add(&h->to_send, p, len));
        rpcl_calls_sent(&r->calls);
    }
}

static void fill_body(rpcl_run *r, unsigned slot)
{
    size_t len;
    const uint8_t *p = rpch_client_body_buf(&r->machine, slot, &len);

    if (len > 0) {
        make_room(r, rpcd_buf_add(&r->out[slot].to_send, p, len));
        rpch_client_body_ack(&r->machine, slot, len);
    }
}

/* ---- receiving ------------------------------------------------------------ */

/* The request of that slot has ended. */
static void closed(rpcl_run *r, bool is_in, unsigned slot)
{
    if (is_in)
        rpch_client_in_closed(&r->machine, slot);
    else
        rpch_client_out_closed(&r->machine, slot);
    rpcl_http_close(slot_of(r, is_in, slot));
}

/* Gives the machine what the current C-OUT has brought. */
static void feed(rpcl_run *r, unsigned slot)
{
    rpcl_http *h = &r->out[slot];
    rpch_step step;
    size_t used = 0, len = rpcd_buf_len(&h->got);

    while (used < len && !r->failed
           && slot == rpch_client_out_slot(&r->machine)
           && (rpch_client_wants(&r->machine) & RPCH_WANT_SERVER_READ)) {
        if (rpch_client_out_recv(&r->machine, slot,
                                 rpcd_buf_data(&h->got) + used, len - used,
                                 &step, r->now) != RPCH_OK || step.used == 0)
            break;
        if (step.pass != NULL
            && !rpcl_calls_feed(&r->calls, step.pass, step.pass_len,
                                step.last))
            fail(r, "%s", r->calls.error);
        if (step.last)
            rpch_client_consumed(&r->machine, step.pdu_len);
        used += step.used;
    }
    rpcd_buf_drop(&h->got, used);
}

/* The response head of an OUT request is there. */
static void take_response(rpcl_run *r, unsigned slot)
{
    rpcl_http *h = &r->out[slot];

    if (h->status != 200)
        fail(r, "the OUT request was answered: %s", h->line);
    rpch_client_response(&r->machine, slot, h->status, r->now);
}

static void read_out(rpcl_run *r, unsigned slot)
{
    rpcl_http *h = &r->out[slot];
    int before = h->status;
    long n = rpcl_http_read(h);

    if (n < 0 && errno == EPROTO)
        fail(r, "the OUT response is no HTTP, or longer than declared");
    if (n > 0)
        r->moved = r->now;
    if (before == 0 && h->status != 0)
        take_response(r, slot);
    feed(r, slot);
    if ((n < 0 || h->eof) && rpcd_buf_len(&h->got) == 0)
        closed(r, false, slot);
}

/* An IN request is answered only when it fails. */
static void read_in(rpcl_run *r, unsigned slot)
{
    rpcl_http *h = &r->in[slot];
    long n = rpcl_http_read(h);

    if (h->status != 0 && !rpch_client_over(&r->machine, true, slot))
        fail(r, "the IN request was answered: %s", h->line);
    if (n < 0 || h->eof)
        closed(r, true, slot);
}

/* ---- the loop ------------------------------------------------------------- */

#define POLL_MAX (2 * RPCH_CLIENT_SLOTS + RPCL_LINGERING_MAX)

typedef struct poll_set {
    struct pollfd fd[POLL_MAX];
    rpcl_http *request[POLL_MAX]; /* NULL: one that lingers */
    unsigned at[POLL_MAX];        /* slot or place */
    bool is_in[POLL_MAX];
    unsigned n;
} poll_set;

/* Is this OUT response to be read? Its head always is. */
static bool wants_out(const rpcl_run *r, unsigned slot)
{
    return r->out[slot].status == 0
        || (slot == rpch_client_out_slot(&r->machine)
            && (rpch_client_wants(&r->machine) & RPCH_WANT_SERVER_READ));
}

static void add_poll(poll_set *s, int fd, short events, rpcl_http *h,
                     unsigned at, bool is_in)
{
    if (fd < 0)
        return;
    s->fd[s->n].fd = fd;
    s->fd[s->n].events = events;
    s->fd[s->n].revents = 0;
    s->request[s->n] = h;
    s->at[s->n] = at;
    s->is_in[s->n++] = is_in;
}

static short out_events(const rpcl_http *h)
{
    return h->connecting || rpcd_buf_len(&h->to_send) > 0 ? POLLOUT : 0;
}

static void collect(rpcl_run *r, poll_set *s)
{
    unsigned i;

    s->n = 0;
    for (i = 0; i < RPCH_CLIENT_SLOTS; i++) {
        rpcl_http *in = &r->in[i], *out = &r->out[i];

        add_poll(s, in->fd, (short)(out_events(in) | POLLIN), in, i, true);
        add_poll(s, out->fd,
                 (short)(out_events(out) | (wants_out(r, i) ? POLLIN : 0)),
                 out, i, false);
    }
    for (i = 0; i < RPCL_LINGERING_MAX; i++)
        add_poll(s, r->lingering[i].fd, POLLIN, NULL, i, false);
}

static void read_lingering(rpcl_lingering *l)
{
    uint8_t rest[4096];
    ssize_t n = recv(l->fd, rest, sizeof(rest), MSG_DONTWAIT);

    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
        close(l->fd);
        l->fd = -1;
    }
}

static void serve(rpcl_run *r, const poll_set *s, unsigned i)
{
    rpcl_http *h = s->request[i];
    short events = s->fd[i].revents;

    if (events == 0)
        return;
    if (h == NULL) {
        read_lingering(&r->lingering[s->at[i]]);
        return;
    }
    if (h->fd != s->fd[i].fd)
        return;
    if (events & POLLOUT) {
        long n = rpcl_http_send(h);

        if (n > 0)
            r->moved = r->now;
        if (n < 0 && h->connecting) {
            fail(r, "no connection to the proxy: %s", strerror(errno));
            return;
        }
    }
    /* a socket that takes nothing may still have an answer */
    if (!(events & (POLLIN | POLLHUP | POLLERR)))
        return;
    if (s->is_in[i])
        read_in(r, s->at[i]);
    else
        read_out(r, s->at[i]);
}

static bool channels_are_quiet(const rpcl_run *r)
{
    unsigned i;

    for (i = 0; i < RPCH_CLIENT_SLOTS; i++)
        if (rpch_client_over(&r->machine, true, i)
            || rpch_client_over(&r->machine, false, i))
            return false;
    return r->machine.in_state == RPCH_CLIENT_IN_OPENED
        && r->machine.out_state == RPCH_CLIENT_OUT_OPENED;
}

static uint64_t recyclings(const rpcl_run *r)
{
    const rpch_client_counts *n = &r->machine.counts;

    return (uint64_t)n->in_r1 + n->in_r2 + n->out_r1 + n->out_r2;
}

/* The channels are quiet; but whether the last successors came to carry
 * anything shows only by a call. */
static void finish(rpcl_run *r)
{
    if (r->proven == recyclings(r)) {
        r->phase = RPCL_DONE;
        return;
    }
    r->proven = recyclings(r);
    rpcl_calls_add_one(&r->calls);
    r->phase = RPCL_LAST;
}

/* Goes on to the next phase when this one is at its end. */
static void advance(rpcl_run *r)
{
    if (r->phase == RPCL_CALLS && rpcl_calls_done(&r->calls)) {
        r->phase = r->config->idle > 0 ? RPCL_IDLE : RPCL_SETTLE;
        r->idle_end = r->now + r->config->idle;
    }
    if (r->phase == RPCL_IDLE && r->now >= r->idle_end) {
        rpcl_calls_add_one(&r->calls);
        r->moved = r->now;
        r->phase = RPCL_LAST;
    }
    if (r->phase == RPCL_LAST && rpcl_calls_done(&r->calls))
        r->phase = RPCL_SETTLE;
    if (r->phase == RPCL_SETTLE && channels_are_quiet(r))
        finish(r);
}

/* Everything that can be done without waiting. */
static void work(rpcl_run *r)
{
    unsigned wants, slot;

    rpch_client_timeout(&r->machine, r->now);
    for (slot = 0; slot < RPCH_CLIENT_SLOTS; slot++) {
        if (r->out[slot].fd >= 0 && r->out[slot].status != 0)
            feed(r, slot);
        fill_in(r, slot);
        fill_body(r, slot);
    }
    end_predecessors(r);
    wants = rpch_client_wants(&r->machine);
    if (wants & RPCH_WANT_IN_REQUEST)
        open_successor(r, true);
    if (wants & RPCH_WANT_OUT_REQUEST)
        open_successor(r, false);
    if (wants & RPCH_WANT_CLOSE)
        fail(r, "%s: %s", rpch_status_name(r->machine.core.status),
             r->machine.core.reason != NULL ? r->machine.core.reason : "");
    if (r->phase != RPCL_IDLE && r->now - r->moved >= r->config->timeout)
        fail(r, "no byte has moved for %llu ms: IN is %s, OUT is %s",
             (unsigned long long)r->config->timeout,
             rpch_client_in_table.state_name(r->machine.in_state),
             rpch_client_out_table.state_name(r->machine.out_state));
    advance(r);
}

/* How long poll may wait. */
static int patience(const rpcl_run *r)
{
    rpch_msec until = r->now + TICK, due = rpch_client_deadline(&r->machine);

    if (due < until)
        until = due;
    if (r->phase == RPCL_IDLE && r->idle_end < until)
        until = r->idle_end;
    return until > r->now ? (int)(until - r->now) : 0;
}

static void turn(rpcl_run *r)
{
    poll_set s;
    unsigned i;

    collect(r, &s);
    if (poll(s.fd, s.n, patience(r)) < 0 && errno != EINTR)
        fail(r, "poll: %s", strerror(errno));
    r->now = clock_now();
    for (i = 0; i < s.n && !r->failed; i++)
        serve(r, &s, i);
    for (i = 0; i < RPCL_LINGERING_MAX; i++)
        if (r->lingering[i].fd >= 0 && r->now >= r->lingering[i].until) {
            close(r->lingering[i].fd);
            r->lingering[i].fd = -1;
        }
}

static void start(rpcl_run *r, const rpcl_config *config)
{
    rpch_client_cookies c;
    unsigned i;

    memset(r, 0, sizeof(*r));
    r->config = config;
    r->now = r->moved = clock_now();
    for (i = 0; i < RPCH_CLIENT_SLOTS; i++)
        r->in[i].fd = r->out[i].fd = -1;
    for (i = 0; i < RPCL_LINGERING_MAX; i++)
        r->lingering[i].fd = -1;
    memset(&c, 0, sizeof(c));
    random_cookie(r, &c.vc);
    random_cookie(r, &c.in);
    random_cookie(r, &c.out);
    random_cookie(r, &c.group);
    rpcl_calls_init(&r->calls, &config->plan);
    rpch_client_init(&r->machine, &config->limits, &c, config->flags,
                     config->verbose ? log_line : NULL, NULL, r->now);
    open_request(r, true, 0, true);
    open_request(r, false, 0, true);
}

bool rpcl_run_all(rpcl_run *r, const rpcl_config *config)
{
    unsigned i;

    start(r, config);
    work(r);
    while (!r->failed && r->phase != RPCL_DONE) {
        turn(r);
        if (!r->failed)
            work(r);
    }
    for (i = 0; i < RPCH_CLIENT_SLOTS; i++) {
        rpcl_http_close(&r->in[i]);
        rpcl_http_close(&r->out[i]);
    }
    for (i = 0; i < RPCL_LINGERING_MAX; i++)
        if (r->lingering[i].fd >= 0)
            close(r->lingering[i].fd);
    return !r->failed;
}
