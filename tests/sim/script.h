/* SPDX-License-Identifier: Apache-2.0 */
/*
 * script.h - what one run is to be: who the peers are, what they want to send,
 * and what goes wrong. Made from a seed; the shrinker makes it smaller.
 */
#ifndef SIM_SCRIPT_H
#define SIM_SCRIPT_H

#include "channel.h"

#define SIM_FAULTS 6

/* What goes wrong. */
typedef enum sim_fault_kind {
    SIM_FAULT_NONE,
    SIM_FAULT_INJECT,    /* a PDU comes that nobody sent: what says which */
    SIM_FAULT_FAIL,      /* the caller of the machine gives up */
    SIM_FAULT_CUT,       /* its connection to the client breaks */
    SIM_FAULT_SERVER_CUT, /* its connection to the server breaks */
    SIM_FAULT_CLOSE,     /* the client closes the request */
    SIM_FAULT_SERVER_CLOSE, /* the server closes the connection */
    SIM_FAULT_DIE,       /* its child process dies */
    SIM_FAULT_LINK,      /* a link between two channels breaks */
    SIM_FAULT_TIMEOUT,   /* its deadline passes */
    SIM_FAULT_STALL,     /* it does nothing for a while */
    SIM_FAULT_CALL,      /* its caller calls it out of season */
    SIM_FAULT_NEWCOMER,  /* a request that is not the client's */
    SIM_FAULT_KINDS
} sim_fault_kind;

/* Whose state a fault waits for. */
typedef enum sim_role {
    SIM_ROLE_IN, SIM_ROLE_OUT, SIM_ROLE_SERVER, SIM_ROLE_CLIENT, SIM_ROLES
} sim_role;

typedef struct sim_fault {
    sim_fault_kind kind;
    sim_role role;
    int state;     /* of its machine; -1: any */
    int sub;       /* client and server: of the virtual channel; -1: any */
    uint32_t after; /* turns in that state before */
    uint32_t what;  /* see fault.c */
    bool done;
} sim_fault;

typedef struct sim_script {
    uint64_t seed;
    bool joined;
    uint32_t places;
    uint32_t children;     /* of each place */
    uint32_t elsewhere;    /* percent of successors in another place */
    uint32_t spread;       /* percent of requests in another child */
    unsigned client_flags; /* RPCH_QUIET ... */
    rpch_limits client;
    rpch_limits proxy[SIM_PLACES];
    rpch_limits server;
    uint32_t delay;        /* ticks */
    uint32_t room;         /* of pipes */
    uint32_t link_room;    /* of links, messages */
    int cuts;
    uint32_t up, down;     /* PDUs to send */
    uint32_t smallest, largest;
    uint32_t big_endian;   /* percent */
    uint32_t think;        /* percent of PDUs before which the sender waits */
    uint32_t pause;        /* how long, ms at most */
    uint32_t lazy;         /* percent of turns that consume nothing */
    uint32_t slow;         /* ms between two looks of the client at C-OUT */
    uint32_t tardy;        /* ms that the rest of an OUT request's body may
                            * take */
    uint32_t linger;       /* ms between the last PDU and the end */
    uint32_t busy;         /* so many PDUs the server sends before it takes
                            * anything */
    bool banner;
    bool polite;           /* the client lets the proxy close first */
    bool completes;        /* nothing stands against its end in good order */
    bool lifetime_ends;    /* it may end by a lifetime */
    uint32_t faults;
    sim_fault fault[SIM_FAULTS];
} sim_script;

/* The script that is being run; never NULL during a run. */
extern const sim_script *sim_script_now;

/* What happened in all runs. */
typedef struct sim_tally {
    uint64_t runs;
    uint64_t complete;       /* whose script came to its end */
    uint64_t in_r1, in_r2, out_r1, out_r2; /* as clients count them */
    uint64_t moves[2];       /* legs adopted, by relay_dir */
    uint64_t moves_away[2];  /* in another child */
    uint64_t newcomers;
    uint64_t faults;         /* that took place */
    uint64_t bytes;          /* of RPC PDUs delivered */
    uint64_t pings;
} sim_tally;

extern sim_tally sim_counts;

/* Makes the script of a seed. */
void sim_script_make(sim_script *s, uint64_t seed);

/* Says what it is, one line. */
void sim_script_print(const sim_script *s);

/* The freelist that all queues take blocks from. */
relay_blocks *sim_script_blocks(void);

/* Whether an adopted leg came from another child: 1 or 0. */
unsigned sim_script_moved_away(const sim_channel *ch);

/* Faults that wait for this channel's state happen now; true when the channel
 * has no turn (or has died). */
bool sim_script_meddle_channel(sim_channel *ch);

/* Likewise; true when the actor does nothing in this turn. */
bool sim_script_meddle_client(void);
/* Likewise for the server. */
bool sim_script_meddle_server(void);

/* No fault has happened yet. */
void sim_fault_start(void);

/* True when fault f of the script has happened. */
bool sim_fault_done(uint32_t f);

#endif
