/* SPDX-License-Identifier: Apache-2.0 */
/* rpcd_conn.c - one TCP connection: its bytes in and out, and its end */
#include "rpcd_conn.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "rpcd_loop.h"

#define INPUT_SIZE 262144u
#define OUTPUT_SIZE 65536u

/* Outputs in one turn of a connection. */
#define TURNS 8

/* How long a finished connection waits for its peer, ms. */
#define LINGER 5000u

/* One thread: every connection reads and writes through these. */
static uint8_t input[INPUT_SIZE];
static uint8_t output[OUTPUT_SIZE];

void rpcd_conn_close(rpcd_conn *c)
{
    if (c->gone)
        return;
    close(c->fd);
    c->fd = -1;
    c->gone = true;
    c->deadline = RPCH_NEVER;
    rpcd_loop_bury(c->loop, c);
}

/* Sends p[0..len); returns how many bytes went. */
static size_t send_some(rpcd_conn *c, const uint8_t *p, size_t len)
{
    size_t sent = 0;
    ssize_t n;

    while (sent < len && !c->gone) {
        n = send(c->fd, p + sent, len - sent, MSG_NOSIGNAL);
        if (n >= 0)
            sent += (size_t)n;
        else if (errno == EAGAIN || errno == EWOULDBLOCK)
            break;
        else if (errno != EINTR)
            rpcd_conn_close(c);
    }
    return sent;
}

/* Sends what is left of earlier output; true when nothing is. */
static bool send_rest(rpcd_conn *c)
{
    size_t len = rpcd_buf_len(&c->rest);

    if (len > 0)
        rpcd_buf_drop(&c->rest, send_some(c, rpcd_buf_data(&c->rest), len));
    return rpcd_buf_len(&c->rest) == 0;
}

static bool move_output(rpcd_conn *c)
{
    bool moved = false;
    size_t len, sent;
    int turn;

    c->more = false;
    for (turn = 0; turn < TURNS && !c->gone && send_rest(c); turn++) {
        len = c->ops->output(c, output, sizeof(output));
        if (len == 0)
            return moved;
        moved = true;
        sent = send_some(c, output, len);
        if (!c->gone && !rpcd_buf_add(&c->rest, output + sent, len - sent))
            rpcd_conn_close(c);
    }
    c->more = turn == TURNS;
    return moved;
}

bool rpcd_conn_move(rpcd_conn *c)
{
    size_t n = 0;

    if (c->gone)
        return false;
    if (rpcd_buf_len(&c->held) > 0) {
        n = c->ops->input(c, rpcd_buf_data(&c->held),
                          rpcd_buf_len(&c->held));
        rpcd_buf_drop(&c->held, n);
    }
    return move_output(c) || n > 0;
}

void rpcd_conn_watch(rpcd_conn *c)
{
    struct epoll_event ev = { 0 };

    if (c->gone)
        return;
    if (!c->eof && c->ops->wants_input(c))
        ev.events |= EPOLLIN;
    if (c->more || rpcd_buf_len(&c->rest) > 0)
        ev.events |= EPOLLOUT;
    if (ev.events == c->watched)
        return;
    ev.data.ptr = &c->source;
    if (epoll_ctl(c->loop->epoll, EPOLL_CTL_MOD, c->fd, &ev) == 0)
        c->watched = ev.events;
    else
        rpcd_conn_close(c);
}

static void read_some(rpcd_conn *c)
{
    ssize_t n = recv(c->fd, input, sizeof(input), 0);
    size_t used;

    if (n == 0) {
        c->eof = true;
        return;
    }
    if (n < 0) {
        if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)
            rpcd_conn_close(c);
        return;
    }
    if (rpcd_buf_len(&c->held) > 0) {
        if (!rpcd_buf_add(&c->held, input, (size_t)n))
            rpcd_conn_close(c);
        return;
    }
    used = c->ops->input(c, input, (size_t)n);
    if (!rpcd_buf_add(&c->held, input + used, (size_t)n - used))
        rpcd_conn_close(c);
}

void rpcd_conn_ready(rpcd_source *source, uint32_t events)
{
    rpcd_conn *c = (rpcd_conn *)source;

    if (c->gone)
        return;
    if (c->watched & EPOLLIN) {
        if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
            read_some(c);
    } else if (events & (EPOLLHUP | EPOLLERR)) {
        rpcd_conn_close(c);
    }
    c->ops->settle(c);
}

/* ---- a connection that lingers ------------------------------------------ */

static size_t linger_input(rpcd_conn *c, const uint8_t *p, size_t len)
{
    return len;
}

static bool linger_wants_input(const rpcd_conn *c)
{
    return true;
}

static size_t linger_output(rpcd_conn *c, uint8_t *out, size_t room)
{
    return 0;
}

static void linger_settle(rpcd_conn *c)
{
    if (c->gone)
        return;
    send_rest(c);
    c->more = false;
    if (c->gone)
        return;
    if (c->loop->now >= c->deadline
        || (rpcd_buf_len(&c->rest) == 0
            && (c->eof || shutdown(c->fd, SHUT_WR) != 0)))
        rpcd_conn_close(c);
    else
        rpcd_conn_watch(c);
}

static const rpcd_conn_ops linger_ops = {
    linger_input, linger_wants_input, linger_output, linger_settle
};

void rpcd_conn_finish(rpcd_conn *c)
{
    c->ops = &linger_ops;
    c->owner = NULL;
    rpcd_buf_free(&c->held);
    if (c->gone)
        return;
    c->deadline = c->loop->now + LINGER;
    linger_settle(c);
}
