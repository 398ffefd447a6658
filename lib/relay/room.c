/* SPDX-License-Identifier: Apache-2.0 */
/*
 * room.c - the room of a child: counters that are raised first, compared, and
 * lowered again when that was one too many.
 */
#include "relay/room.h"

#include <string.h>

/* What httpd needs beside one connection and one file a thread: listeners,
 * logs, pipes, a broker's links. */
#define RESERVE_MIN 64

enum { BY_USER, BY_ADDRESS };

uint64_t relay_room_files(uint64_t open_files, unsigned threads)
{
    uint64_t least = RESERVE_MIN + 2 * (uint64_t)threads;
    uint64_t reserve = open_files / 8;
    if (reserve < least)
        reserve = least;
    if (reserve > open_files / 2)
        reserve = open_files / 2;
    return open_files - reserve;
}

void relay_room_init(relay_room *room, unsigned max, uint64_t open_files,
                     unsigned threads)
{
    memset(room, 0, sizeof(*room));
    room->max = max;
    room->files = relay_room_files(open_files, threads);
    room->ceiling = open_files - (open_files - room->files) / 2;
}

static uint32_t *counter(relay_room *room, int kind, int row,
                         const relay_hash *h)
{
    uint32_t at;
    memcpy(&at, &h->b[(size_t)row * sizeof(at)], sizeof(at));
    return &room->silent[kind][row][at & (RELAY_ROOM_COLUMNS - 1)];
}

static void count(relay_room *room, const relay_seat *seat, int32_t by)
{
    int row;
    for (row = 0; row < 2; row++) {
        __atomic_add_fetch(counter(room, BY_USER, row, &seat->user),
                           (uint32_t)by, __ATOMIC_RELAXED);
        __atomic_add_fetch(counter(room, BY_ADDRESS, row, &seat->address),
                           (uint32_t)by, __ATOMIC_RELAXED);
    }
}

/* Whether one with this hash, counted already, is above most. */
static bool above(relay_room *room, int kind, const relay_hash *h,
                  uint32_t most)
{
    return most
        && __atomic_load_n(counter(room, kind, 0, h), __ATOMIC_RELAXED) > most
        && __atomic_load_n(counter(room, kind, 1, h), __ATOMIC_RELAXED) > most;
}

relay_room_result relay_room_take(relay_room *room, relay_seat *seat, int fd)
{
    relay_room_result result = RELAY_ROOM_OK;
    unsigned taken = __atomic_add_fetch(&room->taken, 1, __ATOMIC_RELAXED);
    uint64_t files = __atomic_add_fetch(&room->promised, seat->files,
                                        __ATOMIC_RELAXED);
    __atomic_add_fetch(&room->changes, 1, __ATOMIC_RELAXED);
    seat->silent = true;
    count(room, seat, 1);
    if (room->max && taken > room->max)
        result = RELAY_ROOM_CHANNELS;
    else if (files > room->files
             || (fd >= 0 && (uint64_t)fd >= room->ceiling))
        result = RELAY_ROOM_FILES;
    else if (above(room, BY_USER, &seat->user, seat->max_per_user))
        result = RELAY_ROOM_USER;
    else if (above(room, BY_ADDRESS, &seat->address, seat->max_per_address))
        result = RELAY_ROOM_ADDRESS;
    if (result != RELAY_ROOM_OK)
        relay_room_leave(room, seat);
    return result;
}

void relay_room_heard(relay_room *room, relay_seat *seat)
{
    if (seat->silent) {
        seat->silent = false;
        count(room, seat, -1);
    }
}

void relay_room_leave(relay_room *room, relay_seat *seat)
{
    relay_room_heard(room, seat);
    __atomic_sub_fetch(&room->promised, seat->files, __ATOMIC_RELAXED);
    __atomic_sub_fetch(&room->taken, 1, __ATOMIC_RELAXED);
    __atomic_add_fetch(&room->changes, 1, __ATOMIC_RELAXED);
}

unsigned relay_room_changes(const relay_room *room)
{
    return __atomic_load_n(&room->changes, __ATOMIC_RELAXED);
}

bool relay_room_tell(relay_room *room, rpch_msec now, unsigned *untold)
{
    rpch_msec told = __atomic_load_n(&room->told, __ATOMIC_RELAXED);
    if ((told && now - told < RELAY_ROOM_TELL_INTERVAL)
        || !__atomic_compare_exchange_n(&room->told, &told, now ? now : 1,
                                        false, __ATOMIC_RELAXED,
                                        __ATOMIC_RELAXED)) {
        __atomic_add_fetch(&room->untold, 1, __ATOMIC_RELAXED);
        return false;
    }
    *untold = __atomic_exchange_n(&room->untold, 0, __ATOMIC_RELAXED);
    return true;
}
