/* SPDX-License-Identifier: Apache-2.0 */
/* rts_table.c - the named RTS PDUs of 2.2.4, row by row. */
#include <assert.h>
#include <string.h>

#include "rpch/rts_table.h"

/* Short names, so that a row reads like the section it is taken from. */
enum {
    WINDOW = RPCH_CMD_RECEIVE_WINDOW_SIZE,
    ACK = RPCH_CMD_FLOW_CONTROL_ACK,
    TIMEOUT = RPCH_CMD_CONNECTION_TIMEOUT,
    COOKIE = RPCH_CMD_COOKIE,
    LIFETIME = RPCH_CMD_CHANNEL_LIFETIME,
    KEEPALIVE = RPCH_CMD_CLIENT_KEEPALIVE,
    VERSION = RPCH_CMD_VERSION,
    EMPTY = RPCH_CMD_EMPTY,
    NEG_ANCE = RPCH_CMD_NEGATIVE_ANCE,
    ANCE = RPCH_CMD_ANCE,
    ADDRESS = RPCH_CMD_CLIENT_ADDRESS,
    GROUP = RPCH_CMD_ASSOCIATION_GROUP_ID,
    DEST = RPCH_CMD_DESTINATION,
    NOTIFY = RPCH_CMD_PING_TRAFFIC_SENT_NOTIFY,

    NONE = RPCH_RTS_NONE,
    PING = RPCH_RTS_PING,
    OTHER = RPCH_RTS_OTHER_CMD,
    RECYCLE = RPCH_RTS_RECYCLE_CHANNEL,
    IN = RPCH_RTS_IN_CHANNEL,
    OUT = RPCH_RTS_OUT_CHANNEL,
    END = RPCH_RTS_EOF,
    ECHO = RPCH_RTS_ECHO,

    CLIENT = RPCH_DEST_CLIENT,
    SERVER = RPCH_DEST_SERVER,
    ANY = -1
};

/* clang-format off */
static const rpch_rts_row table[RPCH_PDU_ID_MAX] = {
    [RPCH_CONN_A1] = { "CONN/A1", "2.2.4.2", NONE, 4,
        { VERSION, COOKIE, COOKIE, WINDOW }, ANY, 76 },
    [RPCH_CONN_A2] = { "CONN/A2", "2.2.4.3", OUT, 5,
        { VERSION, COOKIE, COOKIE, LIFETIME, WINDOW }, ANY, 84 },
    [RPCH_CONN_A3] = { "CONN/A3", "2.2.4.4", NONE, 1,
        { TIMEOUT }, ANY, 28 },
    [RPCH_CONN_B1] = { "CONN/B1", "2.2.4.5", NONE, 6,
        { VERSION, COOKIE, COOKIE, LIFETIME, KEEPALIVE, GROUP }, ANY, 104 },
    [RPCH_CONN_B2] = { "CONN/B2", "2.2.4.6", IN, 7,
        { VERSION, COOKIE, COOKIE, WINDOW, TIMEOUT, GROUP, ADDRESS },
        ANY, 128 },
    [RPCH_CONN_B3] = { "CONN/B3", "2.2.4.7", NONE, 2,
        { WINDOW, VERSION }, ANY, 36 },
    [RPCH_CONN_C1] = { "CONN/C1", "2.2.4.8", NONE, 3,
        { VERSION, WINDOW, TIMEOUT }, ANY, 44 },
    [RPCH_CONN_C2] = { "CONN/C2", "2.2.4.9", NONE, 3,
        { VERSION, WINDOW, TIMEOUT }, ANY, 44 },

    [RPCH_IN_R1_A1] = { "IN_R1/A1", "2.2.4.10", RECYCLE, 4,
        { VERSION, COOKIE, COOKIE, COOKIE }, ANY, 88 },
    [RPCH_IN_R1_A2] = { "IN_R1/A2", "2.2.4.11", RECYCLE | IN, 6,
        { VERSION, COOKIE, COOKIE, COOKIE, WINDOW, TIMEOUT }, ANY, 104 },
    [RPCH_IN_R1_A3] = { "IN_R1/A3", "2.2.4.12", NONE, 4,
        { DEST, VERSION, WINDOW, TIMEOUT }, CLIENT, 52 },
    [RPCH_IN_R1_A4] = { "IN_R1/A4", "2.2.4.13", NONE, 4,
        { DEST, VERSION, WINDOW, TIMEOUT }, CLIENT, 52 },
    [RPCH_IN_R1_A5] = { "IN_R1/A5", "2.2.4.14", NONE, 1,
        { COOKIE }, ANY, 40 },
    [RPCH_IN_R1_A6] = { "IN_R1/A6", "2.2.4.15", NONE, 1,
        { COOKIE }, ANY, 40 },
    [RPCH_IN_R1_B1] = { "IN_R1/B1", "2.2.4.16", NONE, 1,
        { EMPTY }, ANY, 24 },
    [RPCH_IN_R1_B2] = { "IN_R1/B2", "2.2.4.17", NONE, 1,
        { WINDOW }, ANY, 28 },

    [RPCH_IN_R2_A1] = { "IN_R2/A1", "2.2.4.18", RECYCLE, 4,
        { VERSION, COOKIE, COOKIE, COOKIE }, ANY, 88 },
    [RPCH_IN_R2_A2] = { "IN_R2/A2", "2.2.4.19", NONE, 1,
        { COOKIE }, ANY, 40 },
    [RPCH_IN_R2_A3] = { "IN_R2/A3", "2.2.4.20", NONE, 1,
        { DEST }, CLIENT, 28 },
    [RPCH_IN_R2_A4] = { "IN_R2/A4", "2.2.4.21", NONE, 1,
        { DEST }, CLIENT, 28 },
    [RPCH_IN_R2_A5] = { "IN_R2/A5", "2.2.4.22", NONE, 1,
        { COOKIE }, ANY, 40 },

    [RPCH_OUT_R1_A1] = { "OUT_R1/A1", "2.2.4.23", RECYCLE, 1,
        { DEST }, CLIENT, 28 },
    [RPCH_OUT_R1_A2] = { "OUT_R1/A2", "2.2.4.24", RECYCLE, 1,
        { DEST }, CLIENT, 28 },
    [RPCH_OUT_R1_A3] = { "OUT_R1/A3", "2.2.4.25", RECYCLE, 5,
        { VERSION, COOKIE, COOKIE, COOKIE, WINDOW }, ANY, 96 },
    [RPCH_OUT_R1_A4] = { "OUT_R1/A4", "2.2.4.26", RECYCLE | OUT, 7,
        { VERSION, COOKIE, COOKIE, COOKIE, LIFETIME, WINDOW, TIMEOUT },
        ANY, 112 },
    [RPCH_OUT_R1_A5] = { "OUT_R1/A5", "2.2.4.27", OUT, 3,
        { DEST, VERSION, TIMEOUT }, CLIENT, 44 },
    [RPCH_OUT_R1_A6] = { "OUT_R1/A6", "2.2.4.28", OUT, 3,
        { DEST, VERSION, TIMEOUT }, CLIENT, 44 },
    [RPCH_OUT_R1_A7] = { "OUT_R1/A7", "2.2.4.29", OUT, 2,
        { DEST, COOKIE }, SERVER, 48 },
    [RPCH_OUT_R1_A8] = { "OUT_R1/A8", "2.2.4.30", OUT, 2,
        { DEST, COOKIE }, SERVER, 48 },
    [RPCH_OUT_R1_A9] = { "OUT_R1/A9", "2.2.4.31", NONE, 1,
        { ANCE }, ANY, 24 },
    [RPCH_OUT_R1_A10] = { "OUT_R1/A10", "2.2.4.32", NONE, 1,
        { ANCE }, ANY, 24 },
    [RPCH_OUT_R1_A11] = { "OUT_R1/A11", "2.2.4.33", NONE, 1,
        { ANCE }, ANY, 24 },

    [RPCH_OUT_R2_A1] = { "OUT_R2/A1", "2.2.4.34", RECYCLE, 1,
        { DEST }, CLIENT, 28 },
    [RPCH_OUT_R2_A2] = { "OUT_R2/A2", "2.2.4.35", RECYCLE, 1,
        { DEST }, CLIENT, 28 },
    [RPCH_OUT_R2_A3] = { "OUT_R2/A3", "2.2.4.36", RECYCLE, 5,
        { VERSION, COOKIE, COOKIE, COOKIE, WINDOW }, ANY, 96 },
    [RPCH_OUT_R2_A4] = { "OUT_R2/A4", "2.2.4.37", NONE, 1,
        { COOKIE }, ANY, 40 },
    [RPCH_OUT_R2_A5] = { "OUT_R2/A5", "2.2.4.38", NONE, 2,
        { DEST, ANCE }, CLIENT, 32 },
    [RPCH_OUT_R2_A6] = { "OUT_R2/A6", "2.2.4.39", NONE, 2,
        { DEST, ANCE }, CLIENT, 32 },
    [RPCH_OUT_R2_A7] = { "OUT_R2/A7", "2.2.4.40", OUT, 3,
        { DEST, COOKIE, VERSION }, SERVER, 56 },
    [RPCH_OUT_R2_A8] = { "OUT_R2/A8", "2.2.4.41", OUT, 2,
        { DEST, COOKIE }, SERVER, 48 },
    [RPCH_OUT_R2_B1] = { "OUT_R2/B1", "2.2.4.42", NONE, 1,
        { ANCE }, ANY, 24 },
    [RPCH_OUT_R2_B2] = { "OUT_R2/B2", "2.2.4.43", NONE, 1,
        { NEG_ANCE }, ANY, 24 },
    [RPCH_OUT_R2_B3] = { "OUT_R2/B3", "2.2.4.44", END, 1,
        { ANCE }, ANY, 24 },
    [RPCH_OUT_R2_C1] = { "OUT_R2/C1", "2.2.4.45", PING, 1,
        { EMPTY }, ANY, 24 },

    [RPCH_KEEP_ALIVE] = { "Keep-Alive", "2.2.4.46", OTHER, 1,
        { KEEPALIVE }, ANY, 28 },
    [RPCH_PING_TRAFFIC_SENT_NOTIFY] = { "PingTrafficSentNotify", "2.2.4.47",
        OTHER, 1, { NOTIFY }, ANY, 28 },
    [RPCH_ECHO] = { "Echo", "2.2.4.48", ECHO, 0, { 0 }, ANY, 20 },
    [RPCH_PING] = { "Ping", "2.2.4.49", PING, 0, { 0 }, ANY, 20 },
    [RPCH_FLOW_CONTROL_ACK] = { "FlowControlAck", "2.2.4.50", OTHER, 1,
        { ACK }, ANY, 48 },
    [RPCH_FLOW_CONTROL_ACK_DEST] = { "FlowControlAckWithDestination",
        "2.2.4.51", OTHER, 2, { DEST, ACK }, ANY, 56 }
};
/* clang-format on */

const rpch_rts_row *rpch_rts_row_of(rpch_pdu_id id)
{
    assert((unsigned)id < RPCH_PDU_ID_MAX);
    return &table[id];
}

/* True when the commands of rts other than Padding are those of row. */
static bool same_commands(const rpch_rts *rts, const rpch_rts_row *row)
{
    uint16_t i, n = 0;

    for (i = 0; i < rts->n; i++) {
        if (rts->cmd[i].type == RPCH_CMD_PADDING)
            continue;
        if (n == row->n || rts->cmd[i].type != row->cmd[n])
            return false;
        n++;
    }
    return n == row->n;
}

bool rpch_rts_is(const rpch_rts *rts, rpch_pdu_id id)
{
    const rpch_rts_row *row = rpch_rts_row_of(id);
    rpch_dest dest;

    if (rts->flags != row->flags)
        return false;
    if (row->dest != ANY
        && (!rpch_rts_destination(rts, &dest) || (int)dest != row->dest))
        return false;
    return same_commands(rts, row)
        || (id == RPCH_OUT_R2_A8
            && same_commands(rts, &table[RPCH_OUT_R2_A7]));
}

size_t rpch_rts_names(const rpch_rts *rts, rpch_pdu_id *ids, size_t max)
{
    size_t n = 0;
    unsigned id;

    for (id = 0; id < RPCH_PDU_ID_MAX; id++) {
        if (!rpch_rts_is(rts, (rpch_pdu_id)id))
            continue;
        if (n < max)
            ids[n] = (rpch_pdu_id)id;
        n++;
    }
    return n;
}

/* Appends text to the terminated out, as much of it as fits. */
static void append(char *out, size_t room, const char *text)
{
    size_t have = strlen(out);
    size_t n = strlen(text);

    if (n > room - 1 - have)
        n = room - 1 - have;
    memcpy(out + have, text, n);
    out[have + n] = '\0';
}

char *rpch_rts_describe(const rpch_rts *rts, char *out, size_t room)
{
    unsigned id;

    if (room == 0)
        return out;
    out[0] = '\0';
    for (id = 0; id < RPCH_PDU_ID_MAX; id++) {
        if (!rpch_rts_is(rts, (rpch_pdu_id)id))
            continue;
        if (out[0])
            append(out, room, "=");
        append(out, room, table[id].name);
    }
    if (!out[0])
        append(out, room, "unknown");
    return out;
}

/* The 32-bit member of v that a command of that type stands for, or NULL. */
static uint32_t *value_of(rpch_rts_values *v, uint32_t type)
{
    switch (type) {
    case RPCH_CMD_RECEIVE_WINDOW_SIZE:
        return &v->window;
    case RPCH_CMD_CONNECTION_TIMEOUT:
        return &v->timeout;
    case RPCH_CMD_CHANNEL_LIFETIME:
        return &v->lifetime;
    case RPCH_CMD_CLIENT_KEEPALIVE:
        return &v->keepalive;
    case RPCH_CMD_VERSION:
        return &v->version;
    case RPCH_CMD_PING_TRAFFIC_SENT_NOTIFY:
        return &v->notify;
    default:
        return NULL;
    }
}

int rpch_rts_make(rpch_pdu_id id, const rpch_rts_values *v, uint8_t *out,
                  size_t room, size_t *len)
{
    const rpch_rts_row *row;
    rpch_rts_values copy = *v; /* value_of serves the reader: no const */
    rpch_rts rts;
    unsigned cookies = 0;
    uint8_t i;

    if ((unsigned)id >= RPCH_PDU_ID_MAX)
        return RPCH_E_VALUE;
    row = &table[id];
    memset(&rts, 0, sizeof rts);
    rts.flags = row->flags;
    rts.n = row->n;
    for (i = 0; i < row->n; i++) {
        rpch_cmd *cmd = &rts.cmd[i];
        uint32_t *value = value_of(&copy, row->cmd[i]);

        cmd->type = row->cmd[i];
        if (value)
            cmd->u.value = *value;
        else if (cmd->type == RPCH_CMD_COOKIE)
            cmd->u.cookie = v->cookie[cookies++];
        else if (cmd->type == RPCH_CMD_ASSOCIATION_GROUP_ID)
            cmd->u.cookie = v->group;
        else if (cmd->type == RPCH_CMD_FLOW_CONTROL_ACK)
            cmd->u.ack = v->ack;
        else if (cmd->type == RPCH_CMD_CLIENT_ADDRESS)
            cmd->u.address = v->address;
        else if (cmd->type == RPCH_CMD_DESTINATION)
            cmd->u.value = row->dest == ANY ? (uint32_t)v->dest
                                            : (uint32_t)row->dest;
    }
    return rpch_rts_encode(&rts, out, room, len);
}

int rpch_rts_read(rpch_pdu_id id, const rpch_rts *rts, rpch_rts_values *v)
{
    unsigned cookies = 0;
    uint16_t i;

    if ((unsigned)id >= RPCH_PDU_ID_MAX || !rpch_rts_is(rts, id))
        return RPCH_E_SYNTAX;
    for (i = 0; i < rts->n; i++) {
        const rpch_cmd *cmd = &rts->cmd[i];
        uint32_t *value = value_of(v, cmd->type);

        if (value)
            *value = cmd->u.value;
        else if (cmd->type == RPCH_CMD_COOKIE)
            v->cookie[cookies++] = cmd->u.cookie;
        else if (cmd->type == RPCH_CMD_ASSOCIATION_GROUP_ID)
            v->group = cmd->u.cookie;
        else if (cmd->type == RPCH_CMD_FLOW_CONTROL_ACK)
            v->ack = cmd->u.ack;
        else if (cmd->type == RPCH_CMD_CLIENT_ADDRESS)
            v->address = cmd->u.address;
        else if (cmd->type == RPCH_CMD_DESTINATION)
            v->dest = (rpch_dest)cmd->u.value;
    }
    return RPCH_OK;
}
