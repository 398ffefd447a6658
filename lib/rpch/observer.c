/* SPDX-License-Identifier: Apache-2.0 */
/* observer.c - what is noted of each PDU that has passed. */
#include <string.h>

#include "rpch/observer.h"

void rpch_observer_init(rpch_observer *o)
{
    memset(o, 0, sizeof *o);
    o->first = RPCH_PDU_ID_MAX;
    rpch_cutter_init(&o->cutter, false);
}

/* A PDU that names its virtual connection has a second cookie, that of a
 * channel; one cookie alone is a channel's. */
static void note_cookies(rpch_observer *o, const rpch_rts *rts)
{
    const rpch_cmd *group =
        rpch_rts_find(rts, RPCH_CMD_ASSOCIATION_GROUP_ID, 0);

    if (!o->has_vc && rpch_rts_find(rts, RPCH_CMD_COOKIE, 1)) {
        o->has_vc = true;
        o->vc = rpch_rts_find(rts, RPCH_CMD_COOKIE, 0)->u.cookie;
    }
    if (!o->has_group && group) {
        o->has_group = true;
        o->group = group->u.cookie;
    }
}

static void note_rts(rpch_observer *o, const rpch_cut *cut)
{
    const char *reason;
    rpch_pdu_id id;
    rpch_rts rts;

    o->rts++;
    if (rpch_rts_decode(cut->data, cut->len, &rts, &reason) != RPCH_OK
        || rpch_rts_names(&rts, &id, 1) == 0) {
        o->unknown_rts++;
        return;
    }
    if (o->pdus == 0)
        o->first = id;
    note_cookies(o, &rts);
}

static void note_rpc(rpch_observer *o, const rpch_cut *cut)
{
    o->rpc++;
    if (cut->pdu.ptype == RPCH_PTYPE_REQUEST)
        o->requests++;
    if (cut->pdu.ptype == RPCH_PTYPE_RESPONSE
        || cut->pdu.ptype == RPCH_PTYPE_FAULT)
        o->answers++;
}

static void note(rpch_observer *o, const rpch_cut *cut)
{
    if (cut->kind == RPCH_CUT_RPC && o->pdus == 0) {
        o->error = "the first PDU is no RTS PDU";
        return;
    }
    if (!cut->last)
        return;
    if (cut->kind == RPCH_CUT_RTS)
        note_rts(o, cut);
    else
        note_rpc(o, cut);
    o->pdus++;
}

void rpch_observer_feed(rpch_observer *o, const uint8_t *in, size_t len)
{
    rpch_cut cut;

    o->bytes += len;
    while (!o->error) {
        if (rpch_cutter_next(&o->cutter, in, len, &cut) != RPCH_OK) {
            o->error = o->cutter.reason;
            return;
        }
        if (cut.kind == RPCH_CUT_NONE)
            return;
        note(o, &cut);
        in += cut.used;
        len -= cut.used;
    }
}

const rpch_cookie *rpch_observer_vc(const rpch_observer *o)
{
    return o->has_vc ? &o->vc : NULL;
}

const rpch_cookie *rpch_observer_group(const rpch_observer *o)
{
    return o->has_group ? &o->group : NULL;
}

bool rpch_observer_at_boundary(const rpch_observer *o)
{
    return !o->error && rpch_cutter_at_boundary(&o->cutter);
}
