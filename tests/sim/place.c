/* SPDX-License-Identifier: Apache-2.0 */
/* place.c - the tables of the installations */
#include "place.h"

#include <string.h>

#define ENTRIES 8

typedef struct half {
    relay_half_state state;
    int channel;   /* -1: nobody */
    bool recycled; /* NONE, but it was held */
} half;

typedef struct entry {
    bool used;
    rpch_cookie vc;
    int identity;
    bool joined;
    half half[2];
} entry;

static entry entries[SIM_PLACES * ENTRIES];

void sim_place_start(void)
{
    memset(entries, 0, sizeof(entries));
}

static entry *find(int place, const rpch_cookie *vc)
{
    int i;

    for (i = 0; i < ENTRIES; i++) {
        entry *e = &entries[place * ENTRIES + i];

        if (e->used && memcmp(&e->vc, vc, sizeof(*vc)) == 0)
            return e;
    }
    return NULL;
}

static entry *make(const sim_claim *c)
{
    int i;

    for (i = 0; i < ENTRIES; i++) {
        entry *e = &entries[c->place * ENTRIES + i];

        if (e->used)
            continue;
        memset(e, 0, sizeof(*e));
        e->used = true;
        e->vc = c->vc;
        e->identity = c->identity;
        e->joined = c->joined;
        e->half[0].channel = e->half[1].channel = -1;
        return e;
    }
    return NULL;
}

relay_claim_result sim_place_claim(const sim_claim *c)
{
    entry *e = find(c->place, &c->vc);
    relay_claim_result result = RELAY_CLAIM_SECOND;
    half *h;

    if (e == NULL) {
        e = make(c);
        result = RELAY_CLAIM_FIRST;
    }
    if (e == NULL)
        return RELAY_CLAIM_FULL;
    h = &e->half[c->dir];
    if (e->identity != c->identity || e->joined != c->joined)
        return RELAY_CLAIM_FOREIGN;
    if (h->state != RELAY_HALF_NONE || (h->recycled && !c->heir))
        return RELAY_CLAIM_IN_USE;
    h->state = RELAY_HALF_OPENING;
    h->channel = c->channel;
    return result;
}

relay_half_state sim_place_find(int place, const rpch_cookie *vc, int identity,
                                relay_dir dir, int *channel)
{
    entry *e = find(place, vc);

    *channel = -1;
    if (e == NULL || e->identity != identity)
        return RELAY_HALF_NONE;
    *channel = e->half[dir].channel;
    return e->half[dir].state;
}

/* The half that the channel holds, and its entry. */
static half *held_by(int channel, entry **of)
{
    entry *e = entries;

    for (; e < entries + SIM_PLACES * ENTRIES; e++) {
        int dir;

        for (dir = 0; e->used && dir < 2; dir++) {
            if (e->half[dir].channel == channel) {
                *of = e;
                return &e->half[dir];
            }
        }
    }
    return NULL;
}

void sim_place_state(int channel, relay_half_state state)
{
    entry *e;
    half *h = held_by(channel, &e);

    if (h != NULL)
        h->state = state;
}

bool sim_place_succeed(int from, int to)
{
    entry *e;
    half *h = held_by(from, &e);

    if (h != NULL)
        h->channel = to;
    return h != NULL;
}

void sim_place_leave(int channel, bool recycled)
{
    entry *e;
    half *h;

    while ((h = held_by(channel, &e)) != NULL) {
        h->channel = -1;
        h->recycled = recycled;
        h->state = recycled ? RELAY_HALF_NONE : RELAY_HALF_FAILED;
        e->used = e->half[0].channel >= 0 || e->half[1].channel >= 0;
    }
}

unsigned sim_place_entries(void)
{
    unsigned n = 0;
    int i;

    for (i = 0; i < SIM_PLACES * ENTRIES; i++)
        n += entries[i].used;
    return n;
}
