/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rts.c - RTS PDUs, 2.2.3. What reads a command and what writes it stand
 * next to each other; how a command is shaped is one table for both.
 */
#include <string.h>

#include "rpch/rts.h"
#include "rpch/wire.h"

#define FLAGS_DEFINED 0x007Fu
#define PADDING_MAX 0xFFFFu

/* Bytes of a ClientAddress after its type, 2.2.3.2, and where Windows puts
 * the address in them: they are a sockaddr_in or sockaddr_in6 without family
 * and port. */
#define IPV4_BODY 16
#define IPV4_AT 4
#define IPV6_BODY 28
#define IPV6_AT 8

static const uint8_t zero[IPV6_BODY];

typedef enum shape {
    SHAPE_NONE,    /* no body */
    SHAPE_VALUE,   /* one 32-bit value */
    SHAPE_COOKIE,  /* 16 bytes */
    SHAPE_ACK,     /* two 32-bit values and a cookie */
    SHAPE_PADDING, /* a count and so many bytes */
    SHAPE_ADDRESS  /* a type and an address in a fixed room */
} shape;

static const struct {
    const char *name;
    shape shape;
} command[RPCH_CMD_MAX] = {
    [RPCH_CMD_RECEIVE_WINDOW_SIZE] = { "ReceiveWindowSize", SHAPE_VALUE },
    [RPCH_CMD_FLOW_CONTROL_ACK] = { "FlowControlAck", SHAPE_ACK },
    [RPCH_CMD_CONNECTION_TIMEOUT] = { "ConnectionTimeout", SHAPE_VALUE },
    [RPCH_CMD_COOKIE] = { "Cookie", SHAPE_COOKIE },
    [RPCH_CMD_CHANNEL_LIFETIME] = { "ChannelLifetime", SHAPE_VALUE },
    [RPCH_CMD_CLIENT_KEEPALIVE] = { "ClientKeepalive", SHAPE_VALUE },
    [RPCH_CMD_VERSION] = { "Version", SHAPE_VALUE },
    [RPCH_CMD_EMPTY] = { "Empty", SHAPE_NONE },
    [RPCH_CMD_PADDING] = { "Padding", SHAPE_PADDING },
    [RPCH_CMD_NEGATIVE_ANCE] = { "NegativeANCE", SHAPE_NONE },
    [RPCH_CMD_ANCE] = { "ANCE", SHAPE_NONE },
    [RPCH_CMD_CLIENT_ADDRESS] = { "ClientAddress", SHAPE_ADDRESS },
    [RPCH_CMD_ASSOCIATION_GROUP_ID] = { "AssociationGroupId", SHAPE_COOKIE },
    [RPCH_CMD_DESTINATION] = { "Destination", SHAPE_VALUE },
    [RPCH_CMD_PING_TRAFFIC_SENT_NOTIFY] = { "PingTrafficSentNotify",
                                            SHAPE_VALUE }
};

const char *rpch_cmd_name(uint32_t type)
{
    return type < RPCH_CMD_MAX ? command[type].name : "undefined";
}

static void get_cookie(rpch_reader *r, rpch_cookie *out)
{
    const uint8_t *p = rpch_take(r, RPCH_COOKIE_SIZE);

    if (p)
        memcpy(out->b, p, RPCH_COOKIE_SIZE);
}

static void put_cookie(rpch_writer *w, const rpch_cookie *c)
{
    rpch_put_bytes(w, c->b, RPCH_COOKIE_SIZE);
}

/* Copies n bytes in reverse. */
static void reverse(uint8_t *to, const uint8_t *from, size_t n)
{
    size_t i;

    for (i = 0; i < n; i++)
        to[i] = from[n - 1 - i];
}

static const char *get_address(rpch_reader *r, rpch_address *out)
{
    uint32_t type = rpch_get_le32(r);
    size_t size, at;
    const uint8_t *p;

    if (type > 1)
        return "ClientAddress has an undefined type";
    out->ipv6 = type == 1;
    size = out->ipv6 ? 16 : 4;
    at = out->ipv6 ? IPV6_AT : IPV4_AT;
    p = rpch_take(r, out->ipv6 ? IPV6_BODY : IPV4_BODY);
    if (!p)
        return NULL;
    /* In the specification's layout the address stands first and last byte
     * first; no address of a client begins so that this reads as zeros. */
    if (memcmp(p, zero, at) == 0)
        memcpy(out->addr, p + at, size);
    else
        reverse(out->addr, p, size);
    return NULL;
}

static void put_address(rpch_writer *w, const rpch_address *a)
{
    size_t size = a->ipv6 ? 16 : 4;
    size_t at = a->ipv6 ? IPV6_AT : IPV4_AT;
    size_t body = a->ipv6 ? IPV6_BODY : IPV4_BODY;

    rpch_put_le32(w, a->ipv6 ? 1 : 0);
    rpch_put_bytes(w, zero, at);
    rpch_put_bytes(w, a->addr, size);
    rpch_put_bytes(w, zero, body - at - size);
}

/* What makes a 32-bit value of that command impossible, or NULL. */
static const char *check_value(uint32_t type, uint32_t value)
{
    if (type == RPCH_CMD_DESTINATION && value > RPCH_DEST_OUT_PROXY)
        return "Destination is above 3";
    if (type == RPCH_CMD_PADDING && value > PADDING_MAX)
        return "Padding is longer than 65535";
    return NULL;
}

/* Reads one command into *out, which is zeroed; NULL or the reason. That the
 * input ends too early is left to the reader's bad. */
static const char *get_command(rpch_reader *r, rpch_cmd *out)
{
    const char *reason = NULL;

    out->type = rpch_get_le32(r);
    if (r->bad)
        return NULL;
    if (out->type >= RPCH_CMD_MAX)
        return "CommandType is undefined";
    switch (command[out->type].shape) {
    case SHAPE_NONE:
        break;
    case SHAPE_VALUE:
        out->u.value = rpch_get_le32(r);
        reason = check_value(out->type, out->u.value);
        break;
    case SHAPE_COOKIE:
        get_cookie(r, &out->u.cookie);
        break;
    case SHAPE_ACK:
        out->u.ack.bytes_received = rpch_get_le32(r);
        out->u.ack.available_window = rpch_get_le32(r);
        get_cookie(r, &out->u.ack.cookie);
        break;
    case SHAPE_PADDING:
        out->u.value = rpch_get_le32(r);
        reason = check_value(out->type, out->u.value);
        if (!reason)
            rpch_take(r, out->u.value);
        break;
    case SHAPE_ADDRESS:
        reason = get_address(r, &out->u.address);
        break;
    }
    return reason;
}

/* Writes one command; RPCH_E_VALUE when no PDU can hold it. That there is too
 * little room is left to the writer's bad. */
static int put_command(rpch_writer *w, const rpch_cmd *cmd)
{
    uint8_t *p;

    if (cmd->type >= RPCH_CMD_MAX)
        return RPCH_E_VALUE;
    rpch_put_le32(w, cmd->type);
    switch (command[cmd->type].shape) {
    case SHAPE_NONE:
        break;
    case SHAPE_VALUE:
        if (check_value(cmd->type, cmd->u.value))
            return RPCH_E_VALUE;
        rpch_put_le32(w, cmd->u.value);
        break;
    case SHAPE_COOKIE:
        put_cookie(w, &cmd->u.cookie);
        break;
    case SHAPE_ACK:
        rpch_put_le32(w, cmd->u.ack.bytes_received);
        rpch_put_le32(w, cmd->u.ack.available_window);
        put_cookie(w, &cmd->u.ack.cookie);
        break;
    case SHAPE_PADDING:
        if (check_value(cmd->type, cmd->u.value))
            return RPCH_E_VALUE;
        rpch_put_le32(w, cmd->u.value);
        p = rpch_reserve(w, cmd->u.value);
        if (p)
            memset(p, 0, cmd->u.value);
        break;
    case SHAPE_ADDRESS:
        put_address(w, &cmd->u.address);
        break;
    }
    return RPCH_OK;
}

/* Checks the header at p, of which 20 bytes are there; NULL or the reason. */
static const char *check_header(const uint8_t *p, size_t len)
{
    static const uint8_t drep[4] = { 0x10, 0, 0, 0 };

    if (p[0] != 5)
        return "rpc_vers is not 5";
    if (p[1] != 0)
        return "rpc_vers_minor is not 0";
    if (p[2] != RPCH_PTYPE_RTS)
        return "PTYPE is not RTS";
    if (p[3] != 3)
        return "pfc_flags is not 3";
    if (memcmp(p + 4, drep, sizeof drep) != 0)
        return "packed_drep is not 10 00 00 00";
    if (rpch_le16(p + 8) != len)
        return "frag_length is not the size of the PDU";
    if (rpch_le16(p + 10) != 0)
        return "auth_length is not 0";
    if (rpch_le32(p + 12) != 0)
        return "call_id is not 0";
    if (rpch_le16(p + 16) & ~FLAGS_DEFINED)
        return "Flags has an undefined bit";
    if (rpch_le16(p + 18) > RPCH_RTS_COMMANDS_MAX)
        return "NumberOfCommands is above the limit";
    return NULL;
}

int rpch_rts_decode(const uint8_t *p, size_t len, rpch_rts *out,
                    const char **reason)
{
    rpch_reader r = rpch_reader_of(p, len);
    const uint8_t *head = rpch_take(&r, RPCH_RTS_HEADER_SIZE);
    uint16_t i;

    if (!head) {
        *reason = "shorter than the header of an RTS PDU";
        return RPCH_E_SYNTAX;
    }
    *reason = check_header(head, len);
    if (*reason)
        return RPCH_E_SYNTAX;
    memset(out, 0, sizeof *out);
    out->flags = rpch_le16(head + 16);
    out->n = rpch_le16(head + 18);
    for (i = 0; i < out->n; i++) {
        *reason = get_command(&r, &out->cmd[i]);
        if (r.bad)
            *reason = "frag_length ends inside a command";
        if (*reason)
            return RPCH_E_SYNTAX;
    }
    if (r.pos != len) {
        *reason = "frag_length goes beyond the last command";
        return RPCH_E_SYNTAX;
    }
    return RPCH_OK;
}

int rpch_rts_encode(const rpch_rts *rts, uint8_t *out, size_t room,
                    size_t *len)
{
    rpch_writer w = rpch_writer_of(out, room);
    uint16_t i;

    if (rts->n > RPCH_RTS_COMMANDS_MAX || rts->flags & ~FLAGS_DEFINED)
        return RPCH_E_VALUE;
    rpch_put_u8(&w, 5);
    rpch_put_u8(&w, 0);
    rpch_put_u8(&w, RPCH_PTYPE_RTS);
    rpch_put_u8(&w, 3);
    rpch_put_le32(&w, 0x10);
    rpch_put_le32(&w, 0); /* frag_length follows when it is known */
    rpch_put_le32(&w, 0);
    rpch_put_le16(&w, rts->flags);
    rpch_put_le16(&w, rts->n);
    for (i = 0; i < rts->n; i++) {
        int status = put_command(&w, &rts->cmd[i]);
        if (status != RPCH_OK)
            return status;
    }
    if (w.bad)
        return RPCH_E_ROOM;
    if (w.pos > RPCH_PDU_SIZE_MAX)
        return RPCH_E_VALUE;
    out[8] = (uint8_t)w.pos;
    out[9] = (uint8_t)(w.pos >> 8);
    *len = w.pos;
    return RPCH_OK;
}

const rpch_cmd *rpch_rts_find(const rpch_rts *rts, rpch_cmd_type type,
                              unsigned i)
{
    uint16_t k;

    for (k = 0; k < rts->n; k++) {
        if (rts->cmd[k].type == (uint32_t)type && i-- == 0)
            return &rts->cmd[k];
    }
    return NULL;
}

bool rpch_rts_destination(const rpch_rts *rts, rpch_dest *dest)
{
    const rpch_cmd *cmd = rpch_rts_find(rts, RPCH_CMD_DESTINATION, 0);

    if (!cmd)
        return false;
    *dest = (rpch_dest)cmd->u.value;
    return true;
}
