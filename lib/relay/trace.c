/* SPDX-License-Identifier: Apache-2.0 */
/* trace.c - the interfaces of a bind */
#include "relay/trace.h"

#include "rpch/bind.h"

/* Contexts of one PDU that get a line. */
#define LINES_MAX 8

/* Where a PDU has its PTYPE. */
#define PTYPE_AT 2

static bool is_bind(const rpch_step *step)
{
    return step->first && step->last
        && (step->pass[PTYPE_AT] == RPCH_PTYPE_BIND
            || step->pass[PTYPE_AT] == RPCH_PTYPE_ALTER_CONTEXT);
}

void relay_trace_bind(const relay_engine *e, request_rec *r, const char *what,
                      const rpch_step *step)
{
    char uuid[RPCH_UUID_TEXT_SIZE];
    const char *reason = "";
    rpch_bind_context c;
    rpch_bind b;
    unsigned i;
    if (!is_bind(step)
        || !APLOG_R_MODULE_IS_LEVEL(r, e->module_index, APLOG_DEBUG))
        return;
    if (rpch_bind_parse(step->pass, step->pass_len, &b, &reason) != RPCH_OK) {
        RELAY_RLOG(e, APLOG_DEBUG, 0, r, "%s: %s that cannot be read: %s",
                   what, rpch_ptype_name(step->pass[PTYPE_AT]), reason);
        return;
    }
    for (i = 0; i < LINES_MAX && rpch_bind_context_at(&b, i, &c); i++)
        RELAY_RLOG(e, APLOG_DEBUG, 0, r, "%s: %s to %s/%u.%u", what,
                   rpch_ptype_name(b.pdu.ptype),
                   rpch_uuid_text(c.interface.uuid, uuid), c.interface.major,
                   c.interface.minor);
}
