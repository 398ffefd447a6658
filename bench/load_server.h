/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load_server.h - the server of rpch-load: TCP connections of proxies and raw
 * clients (load_peer), and the associations that they carry.
 */
#ifndef LOAD_SERVER_H
#define LOAD_SERVER_H

#include "../tools/rpcd_buf.h"
#include "load_options.h"
#include "load_report.h"

#include "rpch/server.h"

/* Answers that may wait while one is being sent: clients of this program have
 * one call outstanding. */
#define LOAD_ANSWERS_MAX 4u

/* All read through this. */
#define LOAD_SERVER_BUFFER 131072u
extern uint8_t load_server_buffer[LOAD_SERVER_BUFFER];

/* Rounds of reading or sending in one turn. */
#define LOAD_SERVER_ROUNDS 8

typedef struct load_server {
    const load_options *o;
    load_loop loop;
    load_source listener;
    int fd;
    load_errors errors;
    struct load_peer *peers; /* all TCP connections */
    uint64_t bytes_in, bytes_out, calls, wrong;
    uint64_t connections, open, open_max; /* virtual and raw */
} load_server;

/* What answers the calls of one connection. */
typedef struct load_callee {
    load_server *server;
    load_receiver receiver;
    load_sender sender;
    struct {
        uint32_t call_id;
        load_terms terms;
    } waiting[LOAD_ANSWERS_MAX];
    unsigned n_waiting;
    bool failed;
} load_callee;

typedef struct load_peer load_peer;

/* What a TCP connection does; the first PDU decides. */
typedef struct load_role {
    /* Moves what can be moved; ends what has ended. */
    void (*settle)(load_peer *p);
    /* Once a second. */
    void (*tick)(load_peer *p);
} load_role;

struct load_peer {
    load_sock sock;     /* first */
    load_server *server;
    load_peer *prev, *next;
    const load_role *role;
    void *owner;        /* of the role */
    load_turn turn;
    uint64_t until;     /* of a first PDU, of lingering; ns */
    rpcd_buf held;      /* read, and not yet taken */
};

/* Runs the server until a signal; returns the exit status. */
int load_server_run(const load_options *o);

/* Takes a slice of a request; answers are for load_callee_* to send. Returns
 * false when it is none, which is counted. */
bool load_callee_take(load_callee *k, const uint8_t *p, size_t len,
                      bool first, bool last);

/* Size of the next PDU of an answer, 0: there is none. */
uint32_t load_callee_size(load_callee *k);

/* Puts that PDU. */
void load_callee_put(load_callee *k, load_batch *b);

/* An association has begun, or ended. */
void load_server_count(load_server *s, bool begins);

/* Reads once; what is there is at load_server_buffer. 0: nothing; -1: the end,
 * of whatever kind. */
ssize_t load_peer_read(load_peer *p);

/* Holds n bytes at data. */
void load_peer_hold(load_peer *p, const uint8_t *data, size_t n);

/* Has settle called again soon. */
void load_peer_again(load_peer *p);

/* The owner is done: sends what is left, and waits for the peer's end. */
void load_peer_finish(load_peer *p);

/* What the first PDU of p, all held, makes of it: RPCH_AGAIN until it is
 * there. p has its role then, or was finished. */
void load_virtual_join(load_peer *p, const rpch_cookie *vc, bool is_in);

/* p is an association of its own. */
void load_single_join(load_peer *p);

#endif
