/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inbound_event.h - the events of the inbound proxy: which one an RTS PDU is,
 * and what is said about one that comes at the wrong time. Private to the
 * machine.
 */
#ifndef RPCH_INBOUND_EVENT_H
#define RPCH_INBOUND_EVENT_H

#include "rpch/inbound.h"

/* The event that an RTS PDU of C-IN is. */
rpch_in_event rpch_in_client_event(const rpch_rts *rts);

/* The event that an RTS PDU of S-IN is. */
rpch_in_event rpch_in_server_event(const rpch_rts *rts);

/* Why ev breaks the protocol, as the first PDU of the channel or later:
 * static text. rts is the PDU, NULL for an RPC PDU. */
const char *rpch_in_wrong(rpch_in_event ev, bool first, const rpch_rts *rts);

/* What did not happen in time in a state that has a timer: static text. */
const char *rpch_in_overdue(int state);

#endif
