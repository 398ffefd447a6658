/* SPDX-License-Identifier: Apache-2.0 */
/*
 * outbound_event.h - the events of the outbound proxy: which one an RTS PDU
 * is, and what is said about one that comes at the wrong time. Private to the
 * machine.
 */
#ifndef RPCH_OUTBOUND_EVENT_H
#define RPCH_OUTBOUND_EVENT_H

#include "rpch/outbound.h"

/* The event that an RTS PDU of the OUT request's body is. */
rpch_out_event rpch_out_client_event(const rpch_rts *rts);

/* The event that an RTS PDU of S-OUT is. */
rpch_out_event rpch_out_server_event(const rpch_rts *rts);

/* Why ev breaks the protocol in that state: static text. rts is the PDU, NULL
 * for an RPC PDU. */
const char *rpch_out_wrong(rpch_out_event ev, rpch_out_state state,
                           const rpch_rts *rts);

#endif
