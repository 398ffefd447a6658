/* SPDX-License-Identifier: Apache-2.0 */
/*
 * call.h - whether a virtual connection has a call without an answer.
 *
 * Who sends to the server counts what is to be answered, when it begins to
 * arrive; who sends to the client counts the answers, when they have left.
 * The two may be different processes: relay_calls may lie in shared memory.
 *
 * A bind or alter_context counts as a call, for a client waits for its answer,
 * too. A request with PFC_MAYBE and rpc_auth_3 have none. co_cancel changes
 * nothing: the call is still answered (C706 12.6.4.5). After orphaned there
 * may be an answer or none; the call then counts as unanswered, which is the
 * safe side.
 */
#ifndef RELAY_CALL_H
#define RELAY_CALL_H

#include <stdbool.h>
#include <stdint.h>

/* All zeros: no call was made. Both fields are atomic and may wrap around. */
typedef struct relay_calls {
    uint32_t asked;
    uint32_t answered;
} relay_calls;

/* True when the PDU with that common header (RPCH_PDU_HEADER_SIZE bytes)
 * begins something that is to be answered. */
bool relay_call_begins(const uint8_t *header);

/* True when it ends an answer. */
bool relay_call_ends(const uint8_t *header);

/* No call was made. */
void relay_calls_reset(relay_calls *c);

/* Counts one that began. An answer that nobody had asked for (a fault after
 * rpc_auth_3) is forgotten here. Before the PDU is passed on. */
void relay_calls_begin(relay_calls *c);

/* Counts n answers. */
void relay_calls_end(relay_calls *c, uint32_t n);

/* True while more was asked than answered. */
bool relay_calls_wait(const relay_calls *c);

#endif
