/* SPDX-License-Identifier: Apache-2.0 */
/*
 * channel.h - one HTTP request at the proxy: a role machine, and what
 * lib/relay's channel does around it, over simulated connections and links.
 */
#ifndef SIM_CHANNEL_H
#define SIM_CHANNEL_H

#include "link.h"
#include "place.h"
#include "relay/leg.h"
#include "relay/writer.h"
#include "rpch/server.h"
#include "wire.h"

#define SIM_MAIL 4

/* How far the two halves of a joined connection are. */
typedef enum sim_join {
    SIM_JOIN_NONE,
    SIM_JOIN_ASKED, /* IN: JOIN was sent */
    SIM_JOIN_DONE
} sim_join;

/* The talk between predecessor and successor. */
typedef enum sim_talk {
    SIM_TALK_NONE,
    SIM_TALK_ASKED,    /* successor: ATTACH was sent */
    SIM_TALK_ATTACHED, /* successor: the leg will come */
    SIM_TALK_ARRIVING, /* successor: it came, but not all of it */
    SIM_TALK_HOLDER,   /* predecessor: has a successor */
    SIM_TALK_LEAVING   /* predecessor: the leg is on its way */
} sim_talk;

typedef struct sim_succession {
    sim_talk state;
    int link;          /* -1: none */
    int heir;          /* predecessor: the successor's channel */
    int holder_child;  /* successor: of the channel that was asked */
    uint32_t tail;     /* successor: bytes of TAIL still to come */
    bool role_missing; /* successor, joined */
    bool link_missing;
    rpch_msec since;   /* successor: it asked for the first time */
    rpch_msec pause;   /* successor: before it asks again */
    int sent;          /* predecessor: messages that have left */
    size_t leg_len;
    size_t role_len;
    uint8_t leg[RELAY_MSG_DATA_MAX];
    uint8_t role[RELAY_MSG_DATA_MAX];
} sim_succession;

typedef struct sim_channel {
    bool used;
    int n;             /* number of the request, too */
    uint64_t serial;   /* tells it from others that had this number */
    int place;
    int child;
    int from_child;    /* of the predecessor whose leg came */
    int identity;
    bool joined;
    bool hostile;      /* serves a request that is not the client's */
    relay_half half;
    relay_writer writer;
    relay_sendq held;  /* read from the server, and not yet taken */
    int sock;          /* -1: none */
    bool server_eof;
    bool shut;         /* sending to the server was ended */
    bool claimed;
    bool own_leg;      /* a successor of the first form */
    sim_tick connected_at; /* SIM_NEVER: no connection is being made */
    bool head_sent;
    bool body_ended;
    bool gone;         /* the client is gone */
    bool was_open;
    rpch_msec retry;
    rpch_msec open_deadline; /* from the first PDU until it is open */
    sim_join join;
    int link;          /* to the other half, -1: none */
    rpch_server role;  /* OUT, joined */
    int mail[SIM_MAIL]; /* links that came, not yet looked at */
    int mails;
    sim_succession succ;
    bool leg_lost;
    bool moved;        /* in this turn */
    rpch_msec drain_since;
} sim_channel;

extern sim_channel sim_channels[SIM_CHANNELS];

/* No channel is left of another run. */
void sim_channel_start(void);

/* Request n arrives at a child of a place. */
void sim_channel_open(int n, int place, int child, int identity);

/* Its turn. */
void sim_channel_step(int n);

/* Its process dies. */
void sim_channel_die(int n);

/* Channels that have not ended. */
unsigned sim_channel_count(void);

/* --- for the other files of the channel --- */

/* The half wants any of these. */
bool sim_channel_wants(const sim_channel *ch, unsigned what);

/* The machine's core. */
const rpch_core *sim_channel_core(const sim_channel *ch);

/* Ends the half for a reason of the channel's own. */
void sim_channel_fail(sim_channel *ch, int status, const char *reason);

/* What follows the first PDU: table, connection to the server, or the
 * connection's other half. */
void sim_channel_enter(sim_channel *ch);

/* Links that came in. */
void sim_channel_read_mail(sim_channel *ch);

/* Whether a message from the other half can be taken now. */
bool sim_channel_can_receive(sim_channel *ch);

/* Moves messages between the halves of a joined connection. */
void sim_channel_join_step(sim_channel *ch);

/* A message to the child of another channel: the end of a new link to it, or
 * -1. */
int sim_channel_call(sim_channel *ch, int to, relay_msg *m);

/* Is this successor's connection known here? */
void sim_channel_succeed(sim_channel *ch);

/* Somebody asks to succeed this channel. */
void sim_channel_accept_heir(sim_channel *ch, int link, const relay_msg *m);

/* Moves what is to be moved between predecessor and successor. */
void sim_channel_succession_step(sim_channel *ch);

/* The leg is here, but not all of it. */
bool sim_channel_arriving(const sim_channel *ch);

/* The channel ends: so does the talk. */
void sim_channel_succession_end(sim_channel *ch);

#endif
