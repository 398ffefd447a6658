/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inbound_event.c - which event an RTS PDU is to the inbound proxy, and what is
 * said about one that comes at the wrong time.
 */
#include "rpch/inbound_event.h"

#include "rpch/inbound_private.h"

static const char *const state_name[RPCH_IN_STATE_MAX] = {
    "OPEN_START", "CONNECT", "B3W", "SUCCEED", "B2W", "PLUGGED", "OPENED",
    "OPENED_A5W", "DRAIN_R1", "CLOSE_R1", "RELEASE", "FINISHED"
};

/* Names of the events, and what is wrong with one whose cell is ERR: as the
 * first PDU of the channel, and later. Where the text is missing, misfit()
 * has it. */
static const struct {
    const char *name;
    const char *first;
    const char *later;
} event[RPCH_IN_EV_MAX] = {
    [RPCH_IN_EV_CONN_B1] = { "CONN/B1", NULL, "a second CONN/B1" },
    [RPCH_IN_EV_R1_A1] = { "IN_R1/A1=IN_R2/A1",
        NULL, "IN_R1/A1=IN_R2/A1 on an IN channel that has begun" },
    [RPCH_IN_EV_A5] = { "IN_R1/A5=IN_R2/A5",
        "IN_R1/A5=IN_R2/A5 before CONN/B1",
        "IN_R1/A5=IN_R2/A5 before CONN/B3 or IN_R1/B2" },
    [RPCH_IN_EV_A5_WRONG] = { "IN_R1/A5=IN_R2/A5 for another channel",
        NULL, "IN_R1/A5=IN_R2/A5 that names no successor" },
    [RPCH_IN_EV_PING] = { "Ping", "Ping before CONN/B1", NULL },
    [RPCH_IN_EV_KEEP_ALIVE] = { "Keep-Alive",
        "Keep-Alive before CONN/B1", NULL },
    [RPCH_IN_EV_CLIENT_FORWARD] = { "forward from client",
        "RTS PDU to be forwarded before CONN/B1",
        "RTS PDU to be forwarded before CONN/B3" },
    [RPCH_IN_EV_CLIENT_OTHER] = { "other RTS PDU from client", NULL, NULL },
    [RPCH_IN_EV_CLIENT_RPC] = { "RPC PDU from client",
        "RPC PDU before CONN/B1", NULL },
    [RPCH_IN_EV_CONNECTED] = { "connected", NULL, NULL },
    [RPCH_IN_EV_CONN_B3] = { "CONN/B3", NULL, "CONN/B3 out of place" },
    [RPCH_IN_EV_R1_B2] = { "IN_R1/B2", NULL, "IN_R1/B2 out of place" },
    [RPCH_IN_EV_ACK] = { "FlowControlAck",
        NULL, "FlowControlAck before CONN/B3 or IN_R1/B2" },
    [RPCH_IN_EV_SERVER_FORWARD] = { "forward from server",
        NULL, "RTS PDU for another role on S-IN" },
    [RPCH_IN_EV_SERVER_OTHER] = { "other RTS PDU from server", NULL, NULL },
    [RPCH_IN_EV_SERVER_RPC] = { "RPC PDU from server",
        NULL, "RPC PDU from the server on S-IN" },
    [RPCH_IN_EV_ATTACHED] = { "attached", NULL, NULL },
    [RPCH_IN_EV_ADOPT] = { "S-IN adopted", NULL, NULL },
    [RPCH_IN_EV_ATTACH] = { "successor attaches", NULL, NULL },
    [RPCH_IN_EV_DETACH] = { "successor gone", NULL, NULL },
    [RPCH_IN_EV_DRAINED] = { "queue sent", NULL, NULL },
    [RPCH_IN_EV_FLUSHED] = { "all sent", NULL, NULL },
    [RPCH_IN_EV_RELEASE] = { "S-IN released", NULL, NULL },
    [RPCH_IN_EV_CLIENT_CLOSE] = { "client closed", NULL, NULL },
    [RPCH_IN_EV_SERVER_CLOSE] = { "server closed", NULL, NULL },
    [RPCH_IN_EV_TIMEOUT] = { "timeout", NULL, NULL },
    [RPCH_IN_EV_FAIL] = { "failure", NULL, NULL },
};

rpch_in_event rpch_in_client_event(const rpch_rts *rts)
{
    rpch_dest dest;

    if (rpch_rts_destination(rts, &dest))
        return dest == RPCH_DEST_IN_PROXY ? RPCH_IN_EV_CLIENT_OTHER
                                          : RPCH_IN_EV_CLIENT_FORWARD;
    if (rpch_rts_is(rts, RPCH_PING))
        return RPCH_IN_EV_PING;
    if (rpch_rts_is(rts, RPCH_CONN_B1))
        return RPCH_IN_EV_CONN_B1;
    if (rpch_rts_is(rts, RPCH_IN_R1_A1))
        return RPCH_IN_EV_R1_A1;
    if (rpch_rts_is(rts, RPCH_IN_R1_A5))
        return RPCH_IN_EV_A5;
    if (rpch_rts_is(rts, RPCH_KEEP_ALIVE))
        return RPCH_IN_EV_KEEP_ALIVE;
    return RPCH_IN_EV_CLIENT_OTHER;
}

rpch_in_event rpch_in_server_event(const rpch_rts *rts)
{
    rpch_dest dest;

    if (rpch_rts_destination(rts, &dest) && dest != RPCH_DEST_IN_PROXY)
        return RPCH_IN_EV_SERVER_FORWARD;
    if (rpch_rts_is(rts, RPCH_FLOW_CONTROL_ACK)
        || rpch_rts_is(rts, RPCH_FLOW_CONTROL_ACK_DEST))
        return RPCH_IN_EV_ACK;
    if (rpch_rts_is(rts, RPCH_CONN_B3))
        return RPCH_IN_EV_CONN_B3;
    if (rpch_rts_is(rts, RPCH_IN_R1_B2))
        return RPCH_IN_EV_R1_B2;
    return RPCH_IN_EV_SERVER_OTHER;
}

/* What is wrong with an RTS PDU that has no row of its own. */
static const char *misfit(rpch_in_event ev, const rpch_rts *rts)
{
    bool known = rpch_rts_names(rts, NULL, 0) > 0;

    if (ev == RPCH_IN_EV_SERVER_OTHER)
        return known ? "RTS PDU that does not belong on S-IN"
                     : "unknown RTS PDU from the server";
    if (rpch_rts_is(rts, RPCH_CONN_A1))
        return "CONN/A1 on an IN channel";
    if (rpch_rts_is(rts, RPCH_OUT_R1_A3))
        return "OUT_R1/A3=OUT_R2/A3 on an IN channel";
    return known ? "RTS PDU that does not belong on C-IN"
                 : "unknown RTS PDU from the client";
}

const char *rpch_in_wrong(rpch_in_event ev, bool first, const rpch_rts *rts)
{
    const char *text = first ? event[ev].first : event[ev].later;

    return text != NULL ? text : misfit(ev, rts);
}

const char *rpch_in_overdue(int state)
{
    static const char *const overdue[RPCH_IN_STATE_MAX] = {
        [RPCH_IN_OPEN_START] = "no CONN/B1 from the client in time",
        [RPCH_IN_B3W] = "no CONN/B3 from the server in time",
        [RPCH_IN_SUCCEED] = "the predecessor was not found in time",
        [RPCH_IN_B2W] = "no IN_R1/B2 from the server in time",
        [RPCH_IN_PLUGGED] = "the predecessor did not hand S-IN over in time",
        [RPCH_IN_CLOSE_R1] = RPCH_IN_REPLACED,
        [RPCH_IN_RELEASE] = "S-IN was not given to the successor in time",
    };

    return overdue[state];
}

const char *rpch_in_state_name(rpch_in_state s)
{
    return (unsigned)s < RPCH_IN_STATE_MAX ? state_name[s] : "unknown";
}

const char *rpch_in_event_name(rpch_in_event e)
{
    return (unsigned)e < RPCH_IN_EV_MAX ? event[e].name : "unknown";
}
