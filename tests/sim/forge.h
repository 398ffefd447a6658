/* SPDX-License-Identifier: Apache-2.0 */
/* forge.h - PDUs that nobody sent, and requests that are not the client's */
#ifndef SIM_FORGE_H
#define SIM_FORGE_H

#include "channel.h"

/* Kinds of forged PDUs beyond the named ones. */
#define SIM_FORGE_OTHERS 6

/* Room for a forged PDU. */
#define SIM_FORGED 600

/* Makes the PDU that what says: any of the named ones, with right and wrong
 * values, or something that is none. near: a channel whose cookies are known,
 * or NULL. Its size. */
size_t sim_forge(uint32_t what, const sim_channel *near, uint8_t *out);

/* True when the run's bytes and windows can no longer be told from forged
 * ones after that PDU. */
bool sim_forge_is_heavy(const uint8_t *pdu);

/* Sends a request that is not the client's; what says which. */
void sim_forge_newcomer(uint32_t what);

#endif
