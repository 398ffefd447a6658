/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pipe.h - one direction of a TCP connection: bytes with a way to go, and
 * room for only so many.
 *
 * A pipe is watched on both sides: the frames of what is written into it are
 * followed, RPC bytes are counted against the window of its receiver, and the
 * acks in what is read from it are booked for whom they are meant.
 */
#ifndef SIM_PIPE_H
#define SIM_PIPE_H

#include "clock.h"
#include "frame.h"

#define SIM_PIPE_ROOM 8192u

/* The sending end of a leg as an observer of the wire counts it. */
typedef struct sim_account {
    bool on;         /* the sender has to keep to a window */
    uint32_t window;
    uint64_t sent;   /* whole RPC PDUs begun */
    uint64_t limit;  /* what the acks that were read allow */
} sim_account;

/* Which stream a pipe is. */
typedef enum sim_stream {
    SIM_C_IN,     /* body of an IN request */
    SIM_C_BODY,   /* body of an OUT request */
    SIM_C_OUT,    /* response of an OUT request: one byte of head first */
    SIM_C_ANSWER, /* response of an IN request: likewise, or nothing */
    SIM_S_UP,     /* to the server */
    SIM_S_DOWN    /* from the server */
} sim_stream;

typedef struct sim_pipe {
    uint8_t b[SIM_PIPE_ROOM];
    uint32_t room;
    uint32_t at;      /* first byte not yet read */
    uint32_t seen;    /* behind the last byte that has arrived */
    uint32_t end;
    sim_tick ready;   /* when the others arrive, and the end */
    int writer;       /* actors, or -1 */
    int reader;
    bool closed;      /* its writer has ended it */
    bool broken;      /* reset: nothing is taken or arrives any more */
    bool full;        /* the writer waits for room */
    bool lawless;     /* nobody expects PDUs in it */
    sim_tick last;    /* when something was written, or it was opened */
    uint64_t written;
    uint64_t taken;
    uint64_t most;    /* bytes that may be written in all */
    sim_frame in;     /* what is written */
    sim_frame out;    /* what is read */
    sim_account account;
    sim_stream stream;
    struct sim_pipe *back; /* the other direction of the connection */
} sim_pipe;

/* An empty pipe between two actors; back: the other direction. */
void sim_pipe_open(sim_pipe *p, sim_stream stream, sim_pipe *back,
                   int writer, int reader, uint32_t room);

/* "C-IN" and so on. */
const char *sim_pipe_name(const sim_pipe *p);

/* Its sender may have so many bytes of RPC PDUs at its receiver. */
void sim_pipe_window(sim_pipe *p, uint32_t window);

/* Appends up to n bytes; returns how many there was room for, and -1 when the
 * pipe is closed or broken. The writer's turn comes when there is room
 * again. */
long sim_pipe_put(sim_pipe *p, const uint8_t *b, size_t n);

/* The bytes that have arrived, *n of them, cut at random; NULL when there are
 * none. */
const uint8_t *sim_pipe_peek(sim_pipe *p, size_t *n);

/* All bytes that have arrived; NULL and 0 when there are none. */
const uint8_t *sim_pipe_all(sim_pipe *p, size_t *n);

/* The first n of them were read. */
void sim_pipe_take(sim_pipe *p, size_t n);

/* The reader's turn comes when there is something it has not read. */
void sim_pipe_watch(sim_pipe *p);

/* Ends the pipe: the reader gets what is in it, and then the end. */
void sim_pipe_close(sim_pipe *p);

/* Breaks it: what is in it is lost. */
void sim_pipe_break(sim_pipe *p);

/* True when the reader is at the end. */
bool sim_pipe_ended(const sim_pipe *p);

/* True when bytes wait that the reader has not read. */
bool sim_pipe_holds(const sim_pipe *p);

#endif
