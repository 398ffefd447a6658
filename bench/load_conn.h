/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load_conn.h - one connection of rpch-load's client, virtual or raw: what the
 * client (load_client.c) knows of it, and what both kinds share.
 *
 * Whatever happens to a connection ends in load_conn_work(), and nothing in
 * there works on another one: all read through one buffer.
 */
#ifndef LOAD_CONN_H
#define LOAD_CONN_H

#include "load_options.h"

#include "rpch/client.h"

typedef struct load_conn load_conn;
typedef struct load_client load_client;

typedef enum load_state {
    LOAD_OPENING,
    LOAD_FREE,    /* no call is under way */
    LOAD_CALLING,
    LOAD_GONE
} load_state;

/* What a kind of connection does. */
typedef struct load_kind {
    size_t size; /* of its struct, a load_conn first */
    /* Opens it; may fail it. */
    void (*start)(load_conn *c);
    /* Does everything that can be done without waiting. */
    void (*work)(load_conn *c);
    /* Once a second. */
    void (*tick)(load_conn *c);
    /* Closes what is open. */
    void (*stop)(load_conn *c);
    /* Adds what its machine counted; NULL: it has none. */
    void (*count)(const load_conn *c, rpch_client_counts *to);
} load_kind;

extern const load_kind load_virtual_kind; /* rpch */
extern const load_kind load_raw_kind;     /* all others */

struct load_conn {
    const load_kind *kind;
    load_client *client;
    load_turn turn;
    load_conn *prev, *next; /* of the free ones */
    uint64_t number;        /* of all that the client ever opened */
    uint64_t place;         /* in the client's table */
    load_state state;
    bool failed;
    bool over;              /* it has served (churn) */
    bool warm;              /* its first call was answered */
    uint32_t call_id;       /* of the last call */
    uint32_t calls;         /* measured ones */
    uint64_t since;         /* when something moved last, ns */
    uint64_t due;           /* when the call should have begun, ns */
    load_terms asked;       /* of the call */
    load_sender sender;
    load_receiver receiver;
};

/* Answers from the client's options and loop. */
const load_options *load_conn_options(const load_conn *c);
/* Likewise. */
load_loop *load_conn_loop(const load_conn *c);

/* Calls the kind's work, and ends what has ended. */
void load_conn_work(load_conn *c);

/* work is to be called again soon: there is more to do than is fair now. */
void load_conn_again(load_conn *c);

/* A call may be made now. */
void load_conn_opened(load_conn *c);

/* Begins a call with so many data bytes there and back. */
void load_conn_call(load_conn *c, uint64_t there, uint64_t back, uint64_t due);

/* Takes a slice of a PDU that arrived; false when it has failed. */
bool load_conn_take(load_conn *c, const uint8_t *p, size_t len, bool first,
                    bool last);

/* Notes the first failure; kind is one of those of README.md. */
void load_conn_fail(load_conn *c, const char *kind, const char *detail);

#endif
