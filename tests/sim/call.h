/* SPDX-License-Identifier: Apache-2.0 */
/*
 * call.h - calls that a machine's header allows at any time, at times when
 * they mean nothing, and after its end.
 */
#ifndef SIM_CALL_H
#define SIM_CALL_H

#include "channel.h"
#include "rpch/client.h"

/* One call; what says which. True when it was made. */
bool sim_call_channel(sim_channel *ch, uint32_t what);
/* Likewise. */
bool sim_call_server(rpch_server *m, uint32_t what);
/* Likewise. */
bool sim_call_client(rpch_client *m, uint32_t what);

/* All calls on a half that has finished: nothing changes. */
void sim_call_late_half(relay_half *h);
/* Likewise. */
void sim_call_late_server(rpch_server *m);
/* Likewise. */
void sim_call_late_client(rpch_client *m);

#endif
