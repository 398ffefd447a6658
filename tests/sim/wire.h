/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wire.h - the connections of one run: HTTP requests between client and
 * channels, and TCP connections between channels and server.
 *
 * The i-th request is served by the i-th channel.
 */
#ifndef SIM_WIRE_H
#define SIM_WIRE_H

#include "pipe.h"
#include "rpch/cookie.h"

#define SIM_SOCKS 24

/* The one byte that stands for a response head. */
#define SIM_HEAD_200 2
#define SIM_HEAD_503 5

/* One HTTP request. */
typedef struct sim_conn {
    bool used;
    bool is_in;
    bool hostile;       /* not the client's */
    bool client_closed; /* the client's end */
    bool proxy_closed;
    rpch_cookie cookie; /* of the channel */
    sim_pipe up;
    sim_pipe down;
} sim_conn;

/* One TCP connection to the server. The two channels of a joined connection
 * hold its near end together. */
typedef struct sim_sock {
    bool used;
    int holders;        /* channels, and messages on their way */
    bool server_closed;
    bool known;         /* the server knows whose it is */
    bool is_in;         /* then: S-IN */
    int slot;           /* then */
    bool failed;        /* the server could not write to it */
    sim_pipe up;
    sim_pipe down;
} sim_sock;

extern sim_conn sim_conns[SIM_CHANNELS];
extern sim_sock sim_socks[SIM_SOCKS];

/* No connection is left of another run. */
void sim_wire_start(void);

/* A new request; its number, or -1. most: Content-Length of an IN request. */
int sim_conn_open(bool is_in, uint64_t most, uint32_t room);

/* The client closes its end. */
void sim_conn_client_close(int n);

/* The proxy closes its end; what it wrote still arrives. */
void sim_conn_proxy_close(int n);

/* The network fails: both ends break. */
void sim_conn_cut(int n);

/* A new connection to the server, held by one channel; its number, or -1. */
int sim_sock_open(int actor, uint32_t room);

/* The channel with that actor holds it, too; with is_writer or is_reader its
 * turn comes when there is something to do. */
void sim_sock_hold(int n, int actor, bool is_writer, bool is_reader);

/* One holder gives it up; the last one closes it. */
void sim_sock_release(int n);

/* The proxy ends sending. */
void sim_sock_shutdown(int n);

/* The server closes its end. */
void sim_sock_server_close(int n);

/* The network fails. */
void sim_sock_cut(int n);

/* The request with that channel cookie, or NULL. */
sim_conn *sim_conn_of(const uint8_t *cookie, bool is_in);

/* Connections that are not closed at both ends. */
unsigned sim_wire_open(void);

#endif
