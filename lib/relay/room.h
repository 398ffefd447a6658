/* SPDX-License-Identifier: Apache-2.0 */
/*
 * room.h - whether this child has room for one more channel: by number, by
 * descriptors, and by how many requests of one user or address have not said
 * anything yet. The shared table counts channels from their first PDU on;
 * what comes before is bounded here.
 *
 * Lock-free throughout: a child of prefork gives seats back in its signal
 * handler.
 */
#ifndef RELAY_ROOM_H
#define RELAY_ROOM_H

#include <stdbool.h>
#include <stdint.h>

#include "relay/msg.h"

/* Counters of silent requests, each row; a power of two. */
#define RELAY_ROOM_COLUMNS 2048u

/* Refusals are told once in this time, ms. */
#define RELAY_ROOM_TELL_INTERVAL 60000

/* The room of one child. All fields are room.c's. */
typedef struct relay_room {
    unsigned max;      /* channels; 0: no such limit */
    uint64_t files;    /* descriptors that channels may have together */
    uint64_t ceiling;  /* descriptors from this number on are httpd's own */
    unsigned taken;    /* atomic: channels */
    unsigned changes;  /* atomic: how often a seat was taken or given back */
    uint64_t promised; /* atomic: their descriptors, those to come included */
    /* atomic: silent requests by user (0) and by address (1), each counted in
     * two places that its hash chooses; the smaller one is believed. */
    uint32_t silent[2][2][RELAY_ROOM_COLUMNS];
    rpch_msec told;    /* atomic: when a refusal was told; 0: never */
    unsigned untold;   /* atomic: refusals since then */
} relay_room;

/* The place of one channel. */
typedef struct relay_seat {
    unsigned files;           /* the descriptors that it will need */
    relay_hash user;          /* keyed hashes */
    relay_hash address;
    uint32_t max_per_user;    /* requests that may be silent; 0: no limit */
    uint32_t max_per_address;
    bool silent;              /* room.c's: no PDU has come yet */
} relay_seat;

typedef enum relay_room_result {
    RELAY_ROOM_OK,
    RELAY_ROOM_CHANNELS, /* the number is reached */
    RELAY_ROOM_FILES,    /* descriptors are getting few */
    RELAY_ROOM_USER,     /* too many silent requests of this user */
    RELAY_ROOM_ADDRESS
} relay_room_result;

/* How many of a process's open_files descriptors are for channels, when it
 * has threads of httpd's. An eighth, and never less than httpd needs for its
 * threads, is kept for everything else: when accept() fails for want of one,
 * the child stops for good. */
uint64_t relay_room_files(uint64_t open_files, unsigned threads);

/* Makes room for max channels (0: as many as descriptors allow) in a process
 * that may have open_files descriptors and has threads of httpd's. */
void relay_room_init(relay_room *room, unsigned max, uint64_t open_files,
                     unsigned threads);

/* Takes a seat, or says what is in the way; then nothing has changed. fd: the
 * descriptor of the client's connection; since the system gives the lowest
 * one that is free, it tells how many are in use. Any thread. */
relay_room_result relay_room_take(relay_room *room, relay_seat *seat, int fd);

/* The first PDU has come: the table counts this channel from now on. */
void relay_room_heard(relay_room *room, relay_seat *seat);

/* Gives a seat back; heard or not. */
void relay_room_leave(relay_room *room, relay_seat *seat);

/* How many seats were taken and given back since the beginning, together,
 * those that were refused included; wraps. Any thread. */
unsigned relay_room_changes(const relay_room *room);

/* Counts a refusal; true when it is to be told, with the number of those that
 * were not told since the last one in *untold. now: of relay_now(). */
bool relay_room_tell(relay_room *room, rpch_msec now, unsigned *untold);

#endif
