/* SPDX-License-Identifier: Apache-2.0 */
/* trace.h - what is logged of the RPC PDUs that pass; for lib/relay's httpd
 * part only */
#ifndef RELAY_TRACE_H
#define RELAY_TRACE_H

#include "relay/engine.h"
#include "rpch/machine.h"

/* Logs at debug level which interfaces a bind or alter_context asks for; what
 * is static text that says whose it is ("IN"). A slice that is not a whole
 * PDU, or none of these, is passed over: nothing is collected for a log. */
void relay_trace_bind(const relay_engine *e, request_rec *r, const char *what,
                      const rpch_step *step);

#endif
