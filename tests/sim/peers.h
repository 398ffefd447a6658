/* SPDX-License-Identifier: Apache-2.0 */
/*
 * peers.h - the two ends: the client with its requests, and the server with
 * its connections; both as machines or, where the back end is a plain one, as
 * an application without any.
 */
#ifndef SIM_PEERS_H
#define SIM_PEERS_H

#include "rpch/client.h"
#include "rpch/server.h"
#include "traffic.h"

/* What the application sends: from the client, and to it. */
extern sim_traffic sim_up;
extern sim_traffic sim_down;

typedef struct sim_client {
    rpch_client m;
    int conn[2][RPCH_CLIENT_SLOTS]; /* requests; [0]: OUT, [1]: IN; -1 */
    int begun;        /* the request that a PDU is partly sent on, or -1 */
    uint64_t next_at; /* tick of the next PDU */
    uint64_t look_at; /* tick of the next look at C-OUT */
    uint64_t body_at; /* tick at which OUT bodies go on */
    uint64_t leave_at; /* tick at which others than the client leave, too */
    bool done;        /* it has ended, and closed all */
    bool moved;
} sim_client;

typedef struct sim_server {
    rpch_server m;
    bool plain;
    int begun;        /* the socket that a PDU is partly sent on, or -1 */
    uint64_t next_at;
    uint32_t took_at; /* PDUs it had sent when it took something */
    bool done;        /* the machine has ended, and closed all */
    bool moved;
} sim_server;

extern sim_client sim_the_client;
extern sim_server sim_the_server;

/* The two ends of a new run; the client opens its requests. */
void sim_client_start(void);
/* Likewise. */
void sim_server_start(void);

/* Its turn. */
void sim_client_step(void);
/* Likewise. */
void sim_server_step(void);

/* The client has what it wanted, and ends the connection. */
void sim_client_hang_up(void);

/* Opens a request of the client, or a hostile one, at some child: its number,
 * or -1. */
int sim_client_request(bool is_in, bool heir, bool hostile);

/* A cookie that was never used. */
rpch_cookie sim_new_cookie(void);

#endif
