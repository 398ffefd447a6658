/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load_loop.h - the loop of rpch-load: one thread, edge-triggered epoll, one
 * alarm, one look around a second, and turns for those who had more to do than
 * is fair. Signals arrive as events.
 */
#ifndef LOAD_LOOP_H
#define LOAD_LOOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LOAD_SECOND 1000000000ull

/* The alarm that never comes. */
#define LOAD_NEVER UINT64_MAX

/* Something that epoll watches; the first member of what it belongs to. */
typedef struct load_source {
    void (*ready)(struct load_source *s, uint32_t events);
} load_source;

/* A turn that somebody asked for. */
typedef struct load_turn {
    struct load_turn *next, *prev;
    bool queued;
    void (*run)(struct load_turn *t);
} load_turn;

/* What the loop tells its program. */
typedef struct load_hooks {
    void (*sweep)(void *baton);              /* about once a second */
    void (*alarm)(void *baton);              /* the alarm is due */
    void (*signal)(void *baton, int number); /* SIGUSR1, SIGTERM, SIGINT */
    void *baton;
} load_hooks;

typedef struct load_loop {
    load_hooks hooks;
    int epoll, timer, signals;
    uint64_t now;    /* of this round, ns */
    uint64_t swept;
    uint64_t due;    /* what the timer is set to */
    bool stop;
    load_turn turns; /* a ring */
    void **dead;
    size_t n_dead, room_dead;
} load_loop;

/* The clock, ns. */
uint64_t load_clock(void);

/* CPU seconds that this process has used. */
double load_cpu(void);

/* Opens the loop, takes the signals over, and raises the limit of open files
 * to the hard one. False with errno. */
bool load_loop_init(load_loop *l, const load_hooks *hooks);

/* Watches fd for input and its end, and for room for output if that is wanted;
 * edge-triggered. False with errno. */
bool load_loop_watch(load_loop *l, int fd, load_source *s, bool output);

/* Changes whether room for output is wanted of fd, which is watched; tells
 * what is true now as an event. False with errno. */
bool load_loop_change(load_loop *l, int fd, load_source *s, bool output);

/* Sets the alarm to a time of load_clock(), or LOAD_NEVER. */
void load_loop_alarm(load_loop *l, uint64_t due);

/* t->run is called in the next round, once. */
void load_loop_again(load_loop *l, load_turn *t);

/* Takes that back. */
void load_loop_cancel(load_loop *l, load_turn *t);

/* free(p) when the round is over: events for it may still be there. */
void load_loop_bury(load_loop *l, void *p);

/* Runs until l->stop. False with errno when it cannot wait. */
bool load_loop_run(load_loop *l);

/* Closes and frees what is the loop's. */
void load_loop_free(load_loop *l);

#endif
