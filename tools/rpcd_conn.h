/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rpcd_conn.h - the loop of rpch-server, its listeners and TCP connections.
 *
 * One thread, level-triggered epoll. A connection asks its kind (its ops) what
 * to do with bytes and whether it wants any; its kind asks it to move, to
 * finish or to close. Connections are freed by the loop only, between two
 * rounds.
 */
#ifndef RPCD_CONN_H
#define RPCD_CONN_H

#include <signal.h>
#include <stdio.h>

#include "rpcd_buf.h"

/* What the program was told, and what its kinds need of it. */
typedef struct rpcd_config {
    uint64_t max_call; /* bytes of stub in one call */
    uint32_t window;   /* receive window of S-IN */
    uint32_t lifetime_reserve; /* bytes of C-OUT's lifetime left when it is
                                * recycled; 0: never */
    bool banner;       /* ncacn_http: say "ncacn_http/1.0" */
    FILE *log;         /* or NULL */
} rpcd_config;

typedef struct rpcd_loop rpcd_loop;
typedef struct rpcd_conn rpcd_conn;

/* Something that epoll watches; the first member of what it belongs to. */
typedef struct rpcd_source {
    void (*ready)(struct rpcd_source *source, uint32_t events);
} rpcd_source;

/* What a kind of connection does. */
typedef struct rpcd_conn_ops {
    /* Takes bytes from the peer; returns how many. The rest is held and
     * offered again. */
    size_t (*input)(rpcd_conn *c, const uint8_t *p, size_t len);
    /* True when the socket is to be read. */
    bool (*wants_input)(const rpcd_conn *c);
    /* Writes bytes for the peer to out[0..room), room >= 16384; returns how
     * many, 0 when there are none now. */
    size_t (*output)(rpcd_conn *c, uint8_t *out, size_t room);
    /* After everything that happened to c (bytes, writable, c->eof, c->gone,
     * c->deadline): moves what can be moved and ends what has ended. */
    void (*settle)(rpcd_conn *c);
} rpcd_conn_ops;

/* Starts a connection of a kind that was just accepted. False: no memory. */
typedef bool rpcd_accept_fn(rpcd_conn *c);

typedef struct rpcd_listener {
    rpcd_source source;
    rpcd_loop *loop;
    int fd;
    bool paused;     /* out of descriptors */
    uint16_t port;
    rpcd_accept_fn *accept;
} rpcd_listener;

struct rpcd_conn {
    rpcd_source source;
    rpcd_loop *loop;
    rpcd_conn *next, *prev;    /* of the loop's connections */
    const rpcd_conn_ops *ops;
    void *owner;               /* of the kind */
    int fd;
    uint16_t port;             /* of the listener */
    uint32_t watched;          /* events that epoll was told */
    bool eof;                  /* the peer sends no more */
    bool gone;                 /* fd is closed */
    bool more;                 /* output was left to the next round */
    rpch_msec deadline;        /* settle is called when it is due */
    rpcd_buf held;             /* input not yet taken */
    rpcd_buf rest;             /* output not yet sent */
};

#define RPCD_LISTENERS_MAX 8u

struct rpcd_loop {
    const rpcd_config *config;
    int epoll;
    rpch_msec now;
    rpch_msec swept;
    rpcd_conn *conns;
    rpcd_conn *dead; /* of conns those that are gone, by next */
    unsigned n_listeners;
    rpcd_listener listener[RPCD_LISTENERS_MAX];
};

/* Opens the loop. False with errno. */
bool rpcd_loop_init(rpcd_loop *l, const rpcd_config *config);

/* Adds a listening, non-blocking socket; takes fd over. False with errno. */
bool rpcd_loop_listen(rpcd_loop *l, int fd, uint16_t port,
                      rpcd_accept_fn *accept);

/* Runs until *stop is set by a signal handler; the signals are blocked but
 * while the loop waits, with *mask. False with errno when it cannot wait. */
bool rpcd_loop_run(rpcd_loop *l, const volatile sig_atomic_t *stop,
                   const sigset_t *mask);

/* Closes and frees everything. */
void rpcd_loop_free(rpcd_loop *l);

/* Offers held input to the kind and sends output until the socket is full,
 * there is none, or it was c's turn for long enough (c->more). A failure sets
 * c->gone. True when bytes moved. */
bool rpcd_conn_move(rpcd_conn *c);

/* Tells epoll what c wants now. */
void rpcd_conn_watch(rpcd_conn *c);

/* The kind is done with c, whose owner is set to NULL: sends what is left,
 * says so to the peer, and discards what still arrives for a short time, lest
 * a reset overtakes the last bytes. */
void rpcd_conn_finish(rpcd_conn *c);

/* Closes c at once; settle is not called. */
void rpcd_conn_close(rpcd_conn *c);

/* Kinds: ncacn_ip_tcp and ncacn_http. */
rpcd_accept_fn rpcd_tcp_accept;
rpcd_accept_fn rpcd_http_accept;

#endif
