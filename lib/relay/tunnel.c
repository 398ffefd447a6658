/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tunnel.c - a connection of version 1, step by step.
 *
 * A step repeats its parts until none of them moved anything, a bounded
 * number of times. Back-pressure: a side is read only while nothing of it
 * waits for the other one, so that a queue never holds more than one read.
 *
 * What ends when: a client that sends no more is told to the server, which
 * may still answer; everything else ends the tunnel, after what the other
 * side had sent was delivered.
 */
#include "relay/tunnel.h"

#include <sys/socket.h>
#include <unistd.h>

#include "relay/clock.h"
#include "relay/label.h"
#include "relay/sock.h"
#include "relay/trace.h"

/* Reads of one step, before another connection has its turn. */
#define READS 8
/* Turns of one step. */
#define TURNS 16

static const char head[] = "HTTP/1.1 200 OK\r\n\r\n";

static void log_machine(void *baton, int level, const char *what,
                        const char *detail)
{
    relay_tunnel *t = baton;
    RELAY_RLOG(t->engine, level, 0, t->r, "v1: %s%s%s", what,
               detail ? " " : "", detail ? detail : "");
}

static long to_server(void *baton, const struct iovec *v, int n)
{
    relay_tunnel *t = baton;
    long sent = relay_sock_send(t->server_fd, v, n);
    t->server_full = sent < (long)relay_sock_total(v, n);
    t->moved = t->moved || sent > 0;
    if (sent < 0)
        t->server_readable = true;
    return sent;
}

static long to_client(void *baton, const struct iovec *v, int n)
{
    relay_tunnel *t = baton;
    long taken = relay_io_write(&t->client, v, n);
    t->moved = t->moved || taken > 0;
    if (taken < 0)
        t->client.gone = true;
    return taken;
}

relay_tunnel *relay_tunnel_create(relay_engine *e, request_rec *r,
                                  const relay_job *job, relay_task *bell,
                                  apr_status_t *rv)
{
    relay_tunnel *t = apr_pcalloc(r->pool, sizeof(*t));
    rpch_msec now = relay_now();
    t->engine = e;
    t->r = r;
    t->job = job;
    t->server_fd = -1;
    t->started = t->last_rpc = now;
    relay_drain_init(&t->drain);
    relay_pipe_init(&t->pipe[RELAY_IN], to_server, t, e->blocks);
    relay_pipe_init(&t->pipe[RELAY_OUT], to_client, t, e->blocks);
    *rv = relay_registry_enter(e->registry, &t->box, bell);
    if (*rv != APR_SUCCESS)
        return NULL;
    rpch_mixed_init(&t->m, &job->limits,
                    job->kind == RELAY_NCACN_IP_TCP ? RPCH_JOINED : 0,
                    log_machine, t, now);
    relay_io_init(&t->client, e, r, bell != NULL);
    return t;
}

void relay_tunnel_fail(relay_tunnel *t, int status, const char *reason,
                       const char *cause)
{
    if (t->m.core.status == RPCH_OK && cause)
        t->cause = cause;
    rpch_mixed_fail(&t->m, status, reason);
}

static bool wants(const relay_tunnel *t, unsigned what)
{
    return (rpch_mixed_wants(&t->m) & what) != 0;
}

static bool queued(const relay_tunnel *t, relay_dir dir)
{
    return relay_pipe_waits(&t->pipe[dir]);
}

static void check(relay_tunnel *t, apr_status_t rv)
{
    if (rv != APR_SUCCESS)
        relay_tunnel_fail(t, RPCH_E_ROOM, "out of memory for queued data",
                          NULL);
}

static void push(relay_tunnel *t, relay_dir dir, const uint8_t *p, size_t len)
{
    struct iovec v = { (void *)(uintptr_t)p, len };
    check(t, relay_pipe_push(&t->pipe[dir], &v, len > 0));
}

/* Passes on a slice of the chunk in[0..len), behind those remembered in *run;
 * the header of a PDU that came in pieces is no part of the chunk, and comes
 * before the first of them. */
static void pass(relay_tunnel *t, relay_dir dir, const rpch_step *step,
                 const uint8_t *in, size_t len, struct iovec *run)
{
    if (step->pass < in || step->pass >= in + len) {
        check(t, relay_sendq_push(&t->pipe[dir].queue, step->pass,
                                  step->pass_len));
        return;
    }
    if (run->iov_len == 0)
        run->iov_base = (void *)(uintptr_t)step->pass;
    run->iov_len += step->pass_len;
}

static bool reads_client(const relay_tunnel *t)
{
    return wants(t, RPCH_WANT_CLIENT_READ) && !queued(t, RELAY_IN)
        && !t->client.body_done && !t->client.gone
        && !t->pipe[RELAY_IN].broken;
}

static bool reads_server(const relay_tunnel *t)
{
    return wants(t, RPCH_WANT_SERVER_READ) && t->server_fd >= 0
        && !t->server_eof && !queued(t, RELAY_OUT) && !t->client.gone
        && !relay_io_blocked(&t->client);
}

static void from_client(relay_tunnel *t, const uint8_t *p, size_t len)
{
    struct iovec run = { NULL, 0 };
    rpch_step step;
    size_t at;
    for (at = 0; at < len; at += step.used) {
        if (rpch_mixed_client_recv(&t->m, p + at, len - at, &step) != RPCH_OK
            || step.used == 0)
            break;
        if (step.pass) {
            relay_trace_bind(t->engine, t->r, "v1", &step);
            if (step.first && relay_call_begins(step.pass))
                relay_calls_begin(&t->calls);
            pass(t, RELAY_IN, &step, p, len, &run);
        }
    }
    push(t, RELAY_IN, run.iov_base, run.iov_len);
}

static void read_client(relay_tunnel *t, rpch_msec now)
{
    uint8_t scratch[RELAY_SCRATCH];
    size_t n;
    while (t->reads_left > 0 && reads_client(t)
           && (n = relay_io_read(&t->client, scratch, sizeof(scratch))) > 0) {
        t->reads_left--;
        t->moved = true;
        from_client(t, scratch, n);
    }
    if (t->client.body_done && !t->m.client_ended && !queued(t, RELAY_IN))
        rpch_mixed_client_ended(&t->m, now);
}

static void note_answer(relay_tunnel *t, const rpch_step *step)
{
    if (step->first)
        t->ends_call = relay_call_ends(step->pass);
    if (step->last && t->ends_call)
        relay_calls_end(&t->calls, 1);
}

/* False when the machine takes no more of it. */
static bool to_machine(relay_tunnel *t, const uint8_t *p, size_t len,
                       rpch_msec now)
{
    struct iovec run = { NULL, 0 };
    rpch_step step;
    size_t at;
    for (at = 0; at < len; at += step.used) {
        if (rpch_mixed_server_recv(&t->m, p + at, len - at, &step, now)
            != RPCH_OK) {
            t->server_fault = t->m.core.status == RPCH_E_BANNER;
            break;
        }
        if (step.pass) {
            note_answer(t, &step);
            pass(t, RELAY_OUT, &step, p, len, &run);
        }
        if (step.used == 0)
            break;
    }
    push(t, RELAY_OUT, run.iov_base, run.iov_len);
    return at >= len;
}

/* The banner is read byte by byte: what follows it stays in the socket until
 * the response was sent. */
static void read_server(relay_tunnel *t, rpch_msec now)
{
    uint8_t scratch[RELAY_SCRATCH];
    size_t size;
    long n;
    while (t->reads_left > 0 && reads_server(t) && t->server_readable) {
        size = t->m.core.state == RPCH_MIXED_LEGACYW ? 1 : sizeof(scratch);
        n = relay_sock_recv(t->server_fd, scratch, size);
        t->server_readable = n == (long)size;
        if (n <= 0) {
            t->server_eof = n != RELAY_SOCK_NOTHING;
            continue;
        }
        t->moved = true;
        if (size > 1)
            t->reads_left--;
        if (!to_machine(t, scratch, (size_t)n, now))
            return;
    }
}

/* From here on the request's filters are those of the connection, as for
 * CONNECT: whatever the end of the request would write or read passes by the
 * HTTP filters. The head is written by hand for the same reason. */
static void respond(relay_tunnel *t, rpch_msec now)
{
    request_rec *r = t->r;
    conn_rec *c = r->connection;
    if (!wants(t, RPCH_WANT_RESPONSE))
        return;
    r->status = HTTP_OK;
    c->keepalive = AP_CONN_CLOSE;
    r->output_filters = r->proto_output_filters = c->output_filters;
    r->input_filters = r->proto_input_filters = c->input_filters;
    t->client.raw = true;
    t->head_sent = true;
    push(t, RELAY_OUT, (const uint8_t *)head, sizeof(head) - 1);
    rpch_mixed_responded(&t->m, now);
    t->moved = true;
}

static void end_sending(relay_tunnel *t)
{
    if (wants(t, RPCH_WANT_SHUTDOWN) && !t->fin_sent && !queued(t, RELAY_IN)) {
        t->fin_sent = true;
        shutdown(t->server_fd, SHUT_WR);
    }
}

static void note_open(relay_tunnel *t)
{
    if (t->open_logged || t->m.core.state != RPCH_MIXED_OPENED)
        return;
    t->open_logged = true;
    relay_table_set_state(t->engine->table, t->ref, RELAY_IN,
                          RELAY_HALF_OPEN);
    relay_table_set_state(t->engine->table, t->ref, RELAY_OUT,
                          RELAY_HALF_OPEN);
    RELAY_RLOG(t->engine, APLOG_INFO, 0, t->r,
               "RPX0350: version 1 connection %s to %s is open",
               relay_label_of(t->r),
               t->job->target);
}

/* Once around all parts; true when something may move again. */
static bool turn(relay_tunnel *t, rpch_msec now)
{
    t->moved = false;
    t->end_state = t->m.core.state;
    if (wants(t, RPCH_WANT_CONNECT))
        relay_tunnel_open(t, now);
    if (!wants(t, RPCH_WANT_CLOSE))
        t->end_state = t->m.core.state;
    read_server(t, now);
    respond(t, now);
    read_client(t, now);
    if (t->server_fd >= 0 && !t->server_full)
        relay_pipe_flush(&t->pipe[RELAY_IN]);
    if (!t->client.gone)
        relay_pipe_flush(&t->pipe[RELAY_OUT]);
    end_sending(t);
    note_open(t);
    return t->moved;
}

static void take_events(relay_tunnel *t, const short *revents)
{
    short client = revents[RELAY_TUNNEL_FD_CLIENT];
    short server = revents[RELAY_TUNNEL_FD_SERVER];
    relay_msg none;
    int fd;
    if (client & ~POLLOUT) {
        if (reads_client(t))
            t->client.readable = true;
        else if (client & (POLLERR | POLLHUP))
            t->client.gone = true;
    }
    if ((client & POLLOUT) && relay_io_blocked(&t->client)
        && !t->client.gone) {
        relay_io_push(&t->client);
        t->pipe[RELAY_OUT].progress = true;
    }
    if (server & ~POLLOUT)
        t->server_readable = true;
    if (server & (POLLOUT | POLLERR | POLLHUP))
        t->server_full = false;
    if (revents[RELAY_TUNNEL_FD_EVENT])
        while (relay_registry_take(t->engine->registry, &t->box, &fd, &none))
            relay_fd_close(fd); /* nobody joins a tunnel */
}

/* Ends it when one of its sides is gone and nothing is left to be delivered
 * to the other. */
static void look_for_ends(relay_tunnel *t)
{
    if (t->client.gone && (!queued(t, RELAY_IN) || t->pipe[RELAY_IN].broken
                           || t->server_eof))
        rpch_mixed_client_closed(&t->m);
    if (t->server_eof && !queued(t, RELAY_OUT)
        && !relay_io_blocked(&t->client))
        rpch_mixed_server_closed(&t->m);
}

static void note_rpc(relay_tunnel *t, rpch_msec now)
{
    uint64_t pdus = t->m.in_pdus + t->m.out_pdus;
    if (pdus != t->rpc_pdus_seen) {
        t->rpc_pdus_seen = pdus;
        t->last_rpc = now;
    }
}

void relay_tunnel_step(relay_tunnel *t, const short *revents, rpch_msec now)
{
    int turns = 0;
    t->reads_left = READS;
    t->pipe[RELAY_IN].progress = t->pipe[RELAY_OUT].progress = false;
    take_events(t, revents);
    relay_tunnel_expire(t, now);
    while (turns < TURNS && !wants(t, RPCH_WANT_CLOSE) && turn(t, now))
        turns++;
    look_for_ends(t);
    note_rpc(t, now);
    relay_tunnel_arm(t, now);
    t->again = turns == TURNS || t->reads_left == 0;
    t->finished = wants(t, RPCH_WANT_CLOSE);
}

static short server_events(const relay_tunnel *t)
{
    short events = reads_server(t) ? POLLIN : 0;
    if (t->server_full && queued(t, RELAY_IN) && !t->pipe[RELAY_IN].broken)
        events |= POLLOUT;
    return events;
}

/* POLLERR and POLLHUP come unasked. POLLRDHUP is not asked for: a client that
 * sends no more may wait for answers. */
rpch_msec relay_tunnel_interest(relay_tunnel *t, struct pollfd *fds,
                                rpch_msec now)
{
    rpch_msec at = relay_tunnel_deadline(t), connect;
    short server = server_events(t);
    relay_want(&fds[RELAY_TUNNEL_FD_CLIENT], t->client.gone ? -1 : t->client.fd,
               (short)((reads_client(t) ? POLLIN : 0)
                       | (relay_io_blocked(&t->client) ? POLLOUT : 0)));
    relay_want(&fds[RELAY_TUNNEL_FD_SERVER], server ? t->server_fd : -1,
               server);
    relay_want(&fds[RELAY_TUNNEL_FD_EVENT], t->box.event_fd, POLLIN);
    if (t->connecting) {
        relay_want(&fds[RELAY_TUNNEL_FD_SERVER],
                   relay_connector_fd(&t->connector), POLLOUT);
        connect = relay_connector_deadline(&t->connector);
        at = connect < at ? connect : at;
    }
    if (t->again || (t->client.readable && reads_client(t))
        || (t->server_readable && (server & POLLIN)))
        at = now;
    return at;
}
