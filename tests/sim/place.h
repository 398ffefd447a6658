/* SPDX-License-Identifier: Apache-2.0 */
/*
 * place.h - installations of the proxy: each knows its own virtual
 * connections, and which of its channels holds which half of them. The rules
 * are those of relay/table.h.
 */
#ifndef SIM_PLACE_H
#define SIM_PLACE_H

#include "relay/table.h"

#define SIM_PLACES 2

/* How a claim may be asked. */
typedef struct sim_claim {
    int place;
    rpch_cookie vc;
    relay_dir dir;
    int identity;
    bool joined;
    bool heir;   /* IN_R1, OUT_R1 */
    int channel;
} sim_claim;

/* All tables are empty. */
void sim_place_start(void);

/* Asks for a half; FIRST, SECOND, IN_USE, FOREIGN or FULL. */
relay_claim_result sim_place_claim(const sim_claim *c);

/* The half of that connection: its state, and who holds it (-1: nobody).
 * NONE when there is no such connection of that identity. */
relay_half_state sim_place_find(int place, const rpch_cookie *vc, int identity,
                                relay_dir dir, int *channel);

/* The state of the half that the channel holds. */
void sim_place_state(int channel, relay_half_state state);

/* Hands a half over; false when from does not hold it. */
bool sim_place_succeed(int from, int to);

/* The channel leaves whatever it holds; recycled: for a successor at another
 * place. */
void sim_place_leave(int channel, bool recycled);

/* Connections known anywhere. */
unsigned sim_place_entries(void);

#endif
