/* SPDX-License-Identifier: Apache-2.0 */
/*
 * channel.h - one channel request being served; for lib/relay's httpd part
 * only.
 *
 * A channel never blocks and never calls another channel. Whoever drives it
 * (a loop in the request thread, or a reactor) calls relay_channel_step when
 * something it asked for has happened, then asks what it waits for next,
 * until it is done.
 */
#ifndef RELAY_CHANNEL_H
#define RELAY_CHANNEL_H

#include <poll.h>

#include "relay/drain.h"
#include "relay/engine.h"
#include "relay/io.h"
#include "relay/poller.h"
#include "relay/succession.h"
#include "relay/writer.h"
#include "rpch/server.h"

/* The descriptors of a channel, in the order of relay_channel_interest. */
enum {
    RELAY_FD_CLIENT,
    RELAY_FD_SERVER,
    RELAY_FD_LINK,
    RELAY_FD_SUCCESSION,
    RELAY_FD_EVENT,
    RELAY_FD_MAX
};

/* How far a joined half is with its link. */
typedef enum relay_join_state {
    RELAY_JOIN_NONE,    /* no link yet */
    RELAY_JOIN_ASKED,   /* IN: JOIN was sent */
    RELAY_JOIN_DONE,    /* RTS messages flow */
    RELAY_JOIN_ENDED    /* the other half ended */
} relay_join_state;

typedef struct relay_channel {
    relay_engine *engine;
    request_rec *r;
    const relay_job *job;
    relay_half half;
    relay_io client;
    relay_writer writer;
    relay_mailbox box;

    relay_connector *connector; /* while it is at work; allocated */
    int server_fd;           /* to the server, or -1 */
    bool server_readable;    /* a read may bring something */
    bool server_full;        /* a write to it was cut short */
    bool server_eof;         /* it closed; queued data still goes out */
    bool server_fault;       /* what it sent ended the half */
    relay_sendq held;        /* read from it, and more than the half took */
    uint32_t keepalive;      /* ms; applied to server_fd, 0: none yet */

    bool joined;             /* the back end speaks ncacn_ip_tcp */
    relay_join_state join;
    relay_link link;
    bool link_full;
    bool link_ending;        /* the peer closed it: only its end matters */
    rpch_server *role;       /* OUT, joined: the server role's control half,
                              * allocated; else NULL */
    rpch_msec retry;         /* IN, joined: when to look at the table again */

    relay_succession *succ;  /* NULL: no succession yet */
    bool own_leg;            /* a successor with a connection to the server of
                              * its own: IN_R1, OUT_R1 */
    bool leg_lost;           /* the leg was released, and nobody has it */
    bool shut;               /* sending to the server has been ended */

    relay_hash identity;
    relay_ref ref;           /* generation 0: no entry */
    bool claimed;            /* the claim was made, whatever came of it */
    bool open_logged;
    bool head_sent;          /* OUT: the 200 head is made */
    bool moved;              /* something moved in this turn */
    int reads_left;          /* of this step */
    bool again;              /* step at once: turns or reads were used up */
    bool lingering;          /* finished, but for what is still to leave */
    bool linger_over;        /* the time for that is over */
    bool finished;           /* relay_channel_step has nothing more to do */

    rpch_msec open_deadline; /* both halves open, RPCH_NEVER afterwards */
    rpch_msec idle_deadline;
    rpch_msec stall_deadline;
    relay_drain drain;
    rpch_msec last_rpc;      /* of this half */
    uint64_t rpc_pdus_seen;  /* what last_rpc stands for */
    uint64_t answers_seen;   /* OUT: of the writer's, told to the table */

    unsigned rpc_error;      /* the code of a 503, 0: 6ba */
    const char *cause;       /* for logs; NULL: the machine's reason */
    bool cause_logged;       /* a line of its own said it already */
    const char *end_state;   /* the half's state before it finished */
} relay_channel;

/* A new channel for r, which relay_channel_end frees. bell: the task of the
 * poller that will drive it, or NULL for a loop of its own. NULL, with *rv,
 * when there are no descriptors or no memory for it. */
relay_channel *relay_channel_create(relay_engine *e, request_rec *r,
                                    const relay_job *job, relay_task *bell,
                                    apr_status_t *rv);

/* Frees ch, of which nothing is left to be ended. */
void relay_channel_free(relay_channel *ch);

/* Does everything that can be done now. revents[i] is what poll reported for
 * descriptor i (0 when it was not polled). */
void relay_channel_step(relay_channel *ch, const short *revents,
                        rpch_msec now);

/* Fills fds[RELAY_FD_MAX] with what the channel waits for (fd -1: nothing)
 * and returns the time of its next timer; a time not after now means that
 * it should be stepped at once. */
rpch_msec relay_channel_interest(relay_channel *ch, struct pollfd *fds,
                                 rpch_msec now);

/* Fails the half when one of the channel's or its own timers is due. */
void relay_channel_expire(relay_channel *ch, rpch_msec now);

/* When the joined server role's timers are due: those of recycling, for the
 * opening has the channel's own. */
rpch_msec relay_channel_role_deadline(const relay_channel *ch);

/* Sets the timers that follow from what is open and what waits. progress: a
 * receiver took some of what was waiting. */
void relay_channel_arm(relay_channel *ch, bool progress, rpch_msec now);

/* OUT: tells the table of the answers that the writer has written. */
void relay_channel_note_answers(relay_channel *ch);

/* Ends a finished channel: answer, table, log lines, descriptors; and frees
 * it. Returns what the handler returns. */
int relay_channel_end(relay_channel *ch);

/* The half ends for a reason of ours: status, static reason for the machine,
 * and the longer cause for logs (NULL: the reason). */
void relay_channel_fail(relay_channel *ch, int status, const char *reason,
                        const char *cause);

/* Runs the opening steps that follow the first PDU: policy, limits, table,
 * connection to the server. */
void relay_channel_open(relay_channel *ch, rpch_msec now);

/* Ends the attempt to connect, if there is one. */
void relay_channel_drop_connector(relay_channel *ch);

/* The channel as the table names it. */
relay_owner relay_channel_owner(const relay_channel *ch);

/* Claims the half in the table, or refuses the channel with a log line. */
void relay_channel_claim(relay_channel *ch);

/* Connects l to the broker of owner's child, and says HELLO and m. */
apr_status_t relay_channel_call(relay_channel *ch, relay_link *l,
                                const relay_owner *owner, const relay_msg *m);

/* Sends a message of type with status and text, and a duplicate of fd when it
 * is not -1; results as of relay_link_send. */
apr_status_t relay_channel_say(relay_link *l, relay_msg_type type, int status,
                               const char *text, int fd);

/* Native halves that are not open: ends when the table says that the other
 * half has ended, for then the server will never have both. */
void relay_channel_look_at_peer(relay_channel *ch);

/* Empties the mailbox; a link that came becomes this half's, if it may. */
void relay_channel_take_mail(relay_channel *ch);

/* Joined halves: moves messages both ways over the link and feeds the server
 * role. */
void relay_channel_join_step(relay_channel *ch, rpch_msec now);

/* Joined halves: whether another message can be taken now: one RTS PDU may
 * lead to one in each lane. */
bool relay_channel_can_receive(relay_channel *ch);

/* IN, joined: looks for the OUT half and asks it to join. */
void relay_channel_seek(relay_channel *ch, rpch_msec now);

/* Tells the other half why this one ended, and closes the link. */
void relay_channel_unjoin(relay_channel *ch);

/* A successor's first PDU was read: finds the connection, and asks its
 * holder, or decides for a connection to the server of its own (own_leg). */
void relay_channel_succeed(relay_channel *ch, rpch_msec now);

/* A newcomer asks to succeed this channel; takes over fd. */
void relay_channel_accept_heir(relay_channel *ch, int fd,
                               const relay_msg *attach);

/* This channel's part in a succession; made when there is none. */
relay_succession *relay_channel_talk(relay_channel *ch);

/* The talk between the two is over. */
void relay_succession_hang_up(relay_succession *s);

/* Predecessor: the successor, which the table names, could not be sent the
 * leg. */
void relay_channel_lose_leg(relay_channel *ch);

/* Predecessor: moves what can be moved now. */
void relay_channel_bequeath(relay_channel *ch, rpch_msec now);

/* Moves what can be moved between the two now. */
void relay_channel_succession_step(relay_channel *ch, rpch_msec now);

/* Successor: the leg is here, but not all of what belongs to it: nothing may
 * be read from the server yet, and the role is not to be used. */
bool relay_channel_is_arriving(const relay_channel *ch);

/* Predecessor: the machine has finished in good order, but the leg is still
 * on its way. */
bool relay_channel_is_leaving(const relay_channel *ch);

/* The channel ends: a predecessor's successor learns why. Before the half is
 * released. */
void relay_channel_succession_end(relay_channel *ch);

/* In whose name the channel releases its half: its own, or that of a
 * successor that became the holder and could not be sent the leg. */
relay_owner relay_channel_holder(const relay_channel *ch);

/* Descriptor of the talk, or -1, and the events it waits for. */
int relay_channel_succession_fd(const relay_channel *ch,
                                short *events);

/* poll reported something for that descriptor. */
void relay_channel_succession_event(relay_channel *ch, short revents);

/* Bytes to read at once, RELAY_SCRATCH at most: what may still wait in the
 * queue, so that little of them is left when the half takes no more. */
size_t relay_channel_read_size(const relay_channel *ch);

/* Reads from the server socket until it is empty or the half wants no
 * more. */
void relay_channel_read_server(relay_channel *ch, rpch_msec now);

/* The writer's sink for IN: the server socket. */
long relay_channel_to_server(void *baton, const struct iovec *v, int n);

/* Sends the half's RTS PDUs for the server when the writer does not (OUT:
 * over S-OUT). */
void relay_channel_flush_server_lane(relay_channel *ch);

/* Ends sending to the server when the half wants it; what the server still
 * says is read, for closing a socket with unread bytes would reset it. */
void relay_channel_shutdown_server(relay_channel *ch);

/* Applies the half's keep-alive interval to the server socket when it has
 * changed. */
void relay_channel_keepalive(relay_channel *ch);

#endif
