/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load_server.c - the server of rpch-load: its listener and TCP connections,
 * until their first PDU tells what they are, and after their end.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* accept4 */
#endif
#include "load_server.h"

#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BANNER "ncacn_http/1.0"

/* A connection must have said what it is by then. */
#define FIRST_PDU (60 * LOAD_SECOND)

/* How long one that is over waits for its peer. */
#define LINGER (5 * LOAD_SECOND)

#define BACKLOG 4096

uint8_t load_server_buffer[LOAD_SERVER_BUFFER];

/* ---- connections ------------------------------------------------------------- */

static void changed(load_sock *s)
{
    load_peer *p = (load_peer *)s;

    p->role->settle(p);
}

static void take_turn(load_turn *turn)
{
    load_peer *p = (load_peer *)((char *)turn - offsetof(load_peer, turn));

    p->role->settle(p);
}

void load_peer_again(load_peer *p)
{
    load_loop_again(&p->server->loop, &p->turn);
}

ssize_t load_peer_read(load_peer *p)
{
    ssize_t n = load_sock_read(&p->sock, load_server_buffer,
                               sizeof(load_server_buffer));

    return n == 0 && p->sock.eof ? -1 : n;
}

void load_peer_hold(load_peer *p, const uint8_t *data, size_t n)
{
    if (!rpcd_buf_add(&p->held, data, n))
        p->sock.broken = true;
}

static void close_peer(load_peer *p)
{
    if (p->prev != NULL)
        p->prev->next = p->next;
    else
        p->server->peers = p->next;
    if (p->next != NULL)
        p->next->prev = p->prev;
    load_loop_cancel(&p->server->loop, &p->turn);
    rpcd_buf_free(&p->held);
    load_sock_close(&p->sock);
    load_loop_bury(&p->server->loop, p);
}

/* ---- one that lingers ---------------------------------------------------------- */

static void linger_settle(load_peer *p)
{
    ssize_t n;

    do {
        n = load_peer_read(p);
    } while (n > 0);
    if (load_sock_flush(&p->sock) && p->owner == NULL) {
        load_sock_shutdown(&p->sock);
        p->owner = p; /* that was said */
    }
    if (n < 0)
        close_peer(p);
}

static void linger_tick(load_peer *p)
{
    if (p->server->loop.now >= p->until)
        close_peer(p);
}

static const load_role linger_role = { linger_settle, linger_tick };

void load_peer_finish(load_peer *p)
{
    p->role = &linger_role;
    p->owner = NULL;
    p->until = p->server->loop.now + LINGER;
    rpcd_buf_free(&p->held);
    load_peer_again(p); /* the buffer may be in use now */
}

/* ---- one whose first PDU is not there yet --------------------------------------- */

static void classify(load_peer *p)
{
    const uint8_t *held = rpcd_buf_data(&p->held);
    size_t len = rpcd_buf_len(&p->held);
    const char *reason;
    rpch_cookie vc;
    rpch_pdu pdu;
    bool is_in;
    int rv;

    if (rpch_pdu_parse(held, len, &pdu, &reason) == RPCH_OK
        && pdu.ptype != RPCH_PTYPE_RTS) {
        load_single_join(p);
        return;
    }
    rv = rpch_server_classify(held, len, &is_in, &vc);
    if (rv == RPCH_AGAIN)
        return;
    if (rv == RPCH_OK) {
        load_virtual_join(p, &vc, is_in);
        return;
    }
    load_errors_add(&p->server->errors, "protocol",
                    "a first PDU that opens nothing");
    load_peer_finish(p);
}

static void new_settle(load_peer *p)
{
    ssize_t n = load_peer_read(p);

    load_sock_flush(&p->sock);
    if (n < 0)
        load_peer_finish(p);
    if (n <= 0)
        return;
    load_peer_hold(p, load_server_buffer, (size_t)n);
    classify(p);
    if (p->sock.readable)
        load_peer_again(p);
}

static void new_tick(load_peer *p)
{
    if (p->server->loop.now >= p->until)
        load_peer_finish(p);
}

static const load_role new_role = { new_settle, new_tick };

static void start_peer(load_server *s, int fd)
{
    load_peer *p = calloc(1, sizeof(*p));
    load_batch *b;

    if (p == NULL) {
        close(fd);
        return;
    }
    p->server = s;
    p->sock.changed = changed;
    p->turn.run = take_turn;
    p->role = &new_role;
    p->until = s->loop.now + FIRST_PDU;
    if (!load_sock_accept(&p->sock, &s->loop, fd)) {
        free(p);
        return;
    }
    p->next = s->peers;
    if (p->next != NULL)
        p->next->prev = p;
    s->peers = p;
    b = load_sock_batch(&p->sock);
    if (b == NULL || !load_batch_text(b, BANNER, strlen(BANNER)))
        load_peer_finish(p);
    load_sock_flush(&p->sock);
}

/* ---- the server ------------------------------------------------------------------ */

void load_server_count(load_server *s, bool begins)
{
    if (begins) {
        s->connections++;
        s->open++;
        if (s->open > s->open_max)
            s->open_max = s->open;
    } else {
        s->open--;
    }
}

static void accept_some(load_source *source, uint32_t events)
{
    load_server *s = (load_server *)((char *)source
                                     - offsetof(load_server, listener));
    int fd;

    for (;;) {
        fd = accept4(s->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0)
            start_peer(s, fd);
        else if (errno != EINTR && errno != ECONNABORTED)
            break;
    }
    if (errno != EAGAIN && errno != EWOULDBLOCK)
        load_errors_add(&s->errors, "resources", strerror(errno));
}

static void on_sweep(void *baton)
{
    load_server *s = baton;
    load_peer *p, *next;

    /* A tick ends no other connection at once: they linger first. */
    for (p = s->peers; p != NULL; p = next) {
        next = p->next;
        p->role->tick(p);
    }
    accept_some(&s->listener, 0); /* descriptors may be free again */
}

static void on_signal(void *baton, int number)
{
    load_server *s = baton;
    load_line line = { stdout, false };

    if (s->loop.stop)
        return;
    load_line_text(&line, "mode", "server");
    load_line_count(&line, "bytes_in", s->bytes_in);
    load_line_count(&line, "bytes_out", s->bytes_out);
    load_line_count(&line, "calls", s->calls);
    load_line_count(&line, "connections", s->connections);
    load_line_count(&line, "open", s->open);
    load_line_count(&line, "open_max", s->open_max);
    load_line_count(&line, "wrong_bytes", s->wrong);
    load_line_number(&line, "cpu_s", load_cpu());
    load_line_errors(&line, &s->errors);
    load_line_end(&line);
    s->loop.stop = number != SIGUSR1;
}

/* Listens; false when it cannot, which it says. */
static bool start_listening(load_server *s)
{
    const load_options *o = s->o;
    struct sockaddr_storage at;
    socklen_t len = sizeof(at);
    load_place place;
    char name[264], port[16];
    const char *why = load_address(o->listen, true, &place, name);
    int on = 1;

    if (why != NULL) {
        fprintf(stderr, "rpch-load: --listen %s: %s\n", o->listen, why);
        return false;
    }
    s->fd = socket(place.to.ss_family,
                   SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    setsockopt(s->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    s->listener.ready = accept_some;
    if (bind(s->fd, (struct sockaddr *)&place.to, place.to_len) != 0
        || listen(s->fd, BACKLOG) != 0
        || getsockname(s->fd, (struct sockaddr *)&at, &len) != 0
        || !load_loop_watch(&s->loop, s->fd, &s->listener, false)) {
        fprintf(stderr, "rpch-load: --listen %s: %s\n", o->listen,
                strerror(errno));
        return false;
    }
    /* sin_port and sin6_port are at the same place */
    snprintf(port, sizeof(port), "%u\n",
             ntohs(((struct sockaddr_in *)&at)->sin_port));
    fprintf(stderr, "listening on port %s", port);
    if (o->port_file == NULL || load_write_file(o->port_file, port))
        return true;
    fprintf(stderr, "rpch-load: --port-file %s: %s\n", o->port_file,
            strerror(errno));
    return false;
}

int load_server_run(const load_options *o)
{
    static load_server s;
    load_hooks hooks = { on_sweep, NULL, on_signal, &s };
    bool ok;

    s.o = o;
    if (!load_loop_init(&s.loop, &hooks)) {
        perror("rpch-load");
        return EXIT_FAILURE;
    }
    if (o->corrupts)
        load_message_corrupt(o->corrupt);
    ok = start_listening(&s) && load_loop_run(&s.loop);
    return ok && s.wrong == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
