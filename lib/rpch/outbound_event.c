/* SPDX-License-Identifier: Apache-2.0 */
/*
 * outbound_event.c - which event an RTS PDU is to the outbound proxy, and what
 * is said about one that comes at the wrong time.
 */
#include "rpch/outbound_event.h"

static const char *const state_name[RPCH_OUT_STATE_MAX] = {
    "OPEN_START", "CONNECT", "RESPONSE", "C1W", "SUCCEED", "A11W", "ATTACHED",
    "LEGW", "R2C1W", "RESUME", "OPENED", "OPENED_B1W", "DRAIN_R1", "LAST_R1",
    "FINISH_R2", "LAST_R2", "RELEASE", "FINISHED"
};

/* Names of the events, and what is wrong with one whose cell is ERR: as the
 * first PDU of the channel, and later. Where the text is missing, misfit()
 * has it. */
static const struct {
    const char *name;
    const char *first;
    const char *later;
} event[RPCH_OUT_EV_MAX] = {
    [RPCH_OUT_EV_CONN_A1] = { "CONN/A1", NULL, "a second CONN/A1" },
    [RPCH_OUT_EV_R1_A3] = { "OUT_R1/A3=OUT_R2/A3",
        NULL, "OUT_R1/A3=OUT_R2/A3 on an open OUT channel" },
    [RPCH_OUT_EV_A11] = { "OUT_R1/A11",
        "OUT_R1/A11 before CONN/A1",
        "OUT_R1/A11 on a channel that does not wait for it" },
    [RPCH_OUT_EV_R2_C1] = { "OUT_R2/C1",
        "OUT_R2/C1 before CONN/A1",
        "OUT_R2/C1 on a channel that does not wait for it" },
    [RPCH_OUT_EV_CLIENT_OTHER] = { "other RTS PDU from client", NULL, NULL },
    [RPCH_OUT_EV_CLIENT_RPC] = { "RPC PDU from client",
        "RPC PDU before CONN/A1", "RPC PDU from the client on C-OUT" },
    [RPCH_OUT_EV_BODY_END] = { "body ended", NULL, NULL },
    [RPCH_OUT_EV_CONNECTED] = { "connected", NULL, NULL },
    [RPCH_OUT_EV_ATTACHED] = { "attached", NULL, NULL },
    [RPCH_OUT_EV_ADOPTED] = { "adopted", NULL, NULL },
    [RPCH_OUT_EV_RESPONDED] = { "responded", NULL, NULL },
    [RPCH_OUT_EV_ATTACH] = { "attach", NULL, NULL },
    [RPCH_OUT_EV_DETACH] = { "detach", NULL, NULL },
    [RPCH_OUT_EV_RELEASED] = { "released", NULL, NULL },
    [RPCH_OUT_EV_CONN_C1] = { "CONN/C1",
        NULL, "CONN/C1 on a channel that does not wait for it" },
    [RPCH_OUT_EV_R1_A1] = { "OUT_R1/A1=OUT_R2/A1",
        NULL, "OUT_R1/A1=OUT_R2/A1 on an OUT channel that is not Opened" },
    [RPCH_OUT_EV_R1_A5] = { "OUT_R1/A5",
        NULL, "OUT_R1/A5 on an OUT channel that is not Opened" },
    [RPCH_OUT_EV_A9_B1] = { "OUT_R1/A9=OUT_R2/B1",
        NULL, "OUT_R1/A9=OUT_R2/B1 on an OUT channel that is not Opened" },
    [RPCH_OUT_EV_R2_B2] = { "OUT_R2/B2",
        NULL, "OUT_R2/B2 on an OUT channel that is not Opened" },
    [RPCH_OUT_EV_ACK] = { "FlowControlAckWithDestination",
        NULL, "FlowControlAckWithDestination before CONN/C1" },
    [RPCH_OUT_EV_SERVER_FORWARD] = { "forward from server",
        NULL, "RTS PDU for the client before CONN/C1" },
    [RPCH_OUT_EV_SERVER_OTHER] = { "other RTS PDU from server", NULL, NULL },
    [RPCH_OUT_EV_SERVER_RPC] = { "RPC PDU from server",
        NULL, "RPC PDU before CONN/C1" },
    [RPCH_OUT_EV_DRAINED] = { "drained", NULL, NULL },
    [RPCH_OUT_EV_SENT] = { "last PDU sent", NULL, NULL },
    [RPCH_OUT_EV_CLIENT_CLOSE] = { "client closed", NULL, NULL },
    [RPCH_OUT_EV_SERVER_CLOSE] = { "server closed", NULL, NULL },
    [RPCH_OUT_EV_TIMEOUT] = { "timeout", NULL, NULL },
    [RPCH_OUT_EV_DRAIN_DUE] = { "drain overdue", NULL, NULL },
    [RPCH_OUT_EV_PING_DUE] = { "Ping due", NULL, NULL },
    [RPCH_OUT_EV_FAIL] = { "failure", NULL, NULL },
};

/* An OUT channel's client has nothing to forward: its acks go by the IN
 * channel. */
rpch_out_event rpch_out_client_event(const rpch_rts *rts)
{
    if (rpch_rts_is(rts, RPCH_CONN_A1))
        return RPCH_OUT_EV_CONN_A1;
    if (rpch_rts_is(rts, RPCH_OUT_R1_A3))
        return RPCH_OUT_EV_R1_A3;
    if (rpch_rts_is(rts, RPCH_OUT_R1_A11))
        return RPCH_OUT_EV_A11;
    if (rpch_rts_is(rts, RPCH_OUT_R2_C1))
        return RPCH_OUT_EV_R2_C1;
    return RPCH_OUT_EV_CLIENT_OTHER;
}

rpch_out_event rpch_out_server_event(const rpch_rts *rts)
{
    rpch_dest dest;

    if (rpch_rts_destination(rts, &dest)) {
        /* These two are for the client, and only at their time. */
        if (rpch_rts_is(rts, RPCH_OUT_R1_A1))
            return RPCH_OUT_EV_R1_A1;
        if (rpch_rts_is(rts, RPCH_OUT_R1_A5))
            return RPCH_OUT_EV_R1_A5;
        if (dest == RPCH_DEST_CLIENT)
            return RPCH_OUT_EV_SERVER_FORWARD;
        if (dest == RPCH_DEST_OUT_PROXY
            && rpch_rts_is(rts, RPCH_FLOW_CONTROL_ACK_DEST))
            return RPCH_OUT_EV_ACK;
        return RPCH_OUT_EV_SERVER_OTHER;
    }
    if (rpch_rts_is(rts, RPCH_CONN_C1))
        return RPCH_OUT_EV_CONN_C1;
    if (rpch_rts_is(rts, RPCH_OUT_R1_A9))
        return RPCH_OUT_EV_A9_B1;
    if (rpch_rts_is(rts, RPCH_OUT_R2_B2))
        return RPCH_OUT_EV_R2_B2;
    return RPCH_OUT_EV_SERVER_OTHER;
}

/* What is wrong with an RTS PDU that has no row of its own. */
static const char *misfit(rpch_out_event ev, const rpch_rts *rts)
{
    bool known = rpch_rts_names(rts, NULL, 0) > 0;
    rpch_dest dest;

    if (ev == RPCH_OUT_EV_SERVER_OTHER) {
        if (rpch_rts_destination(rts, &dest) && dest != RPCH_DEST_OUT_PROXY)
            return "RTS PDU on S-OUT that is not for the client";
        return known ? "RTS PDU that does not belong on S-OUT"
                     : "unknown RTS PDU from the server";
    }
    if (rpch_rts_is(rts, RPCH_CONN_B1))
        return "CONN/B1 on an OUT channel";
    if (rpch_rts_is(rts, RPCH_IN_R1_A1))
        return "IN_R1/A1=IN_R2/A1 on an OUT channel";
    return known ? "RTS PDU that does not belong on an OUT channel"
                 : "unknown RTS PDU from the client";
}

const char *rpch_out_wrong(rpch_out_event ev, rpch_out_state state,
                           const rpch_rts *rts)
{
    const char *text = state == RPCH_OUT_OPEN_START ? event[ev].first
                                                    : event[ev].later;

    if ((state == RPCH_OUT_DRAIN_R1 || state == RPCH_OUT_LAST_R1)
        && ev >= RPCH_OUT_EV_CONN_C1)
        return "PDU of the server after OUT_R1/A9";
    return text != NULL ? text : misfit(ev, rts);
}

const char *rpch_out_state_name(rpch_out_state s)
{
    return (unsigned)s < RPCH_OUT_STATE_MAX ? state_name[s] : "unknown";
}

const char *rpch_out_event_name(rpch_out_event e)
{
    return (unsigned)e < RPCH_OUT_EV_MAX ? event[e].name : "unknown";
}
