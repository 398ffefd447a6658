/* SPDX-License-Identifier: Apache-2.0 */
/* rts.h - RTS PDUs: header flags and commands, encode and decode, 2.2.3 */
#ifndef RPCH_RTS_H
#define RPCH_RTS_H

#include "rpch/cookie.h"
#include "rpch/pdu.h"

/* Flags of the RTS header, 2.2.3.6.1 */
enum {
    RPCH_RTS_NONE = 0x0000,
    RPCH_RTS_PING = 0x0001,
    RPCH_RTS_OTHER_CMD = 0x0002,
    RPCH_RTS_RECYCLE_CHANNEL = 0x0004,
    RPCH_RTS_IN_CHANNEL = 0x0008,
    RPCH_RTS_OUT_CHANNEL = 0x0010,
    RPCH_RTS_EOF = 0x0020,
    RPCH_RTS_ECHO = 0x0040
};

/* CommandType, 2.2.3.5 */
typedef enum rpch_cmd_type {
    RPCH_CMD_RECEIVE_WINDOW_SIZE = 0x0,
    RPCH_CMD_FLOW_CONTROL_ACK = 0x1,
    RPCH_CMD_CONNECTION_TIMEOUT = 0x2,
    RPCH_CMD_COOKIE = 0x3,
    RPCH_CMD_CHANNEL_LIFETIME = 0x4,
    RPCH_CMD_CLIENT_KEEPALIVE = 0x5,
    RPCH_CMD_VERSION = 0x6,
    RPCH_CMD_EMPTY = 0x7,
    RPCH_CMD_PADDING = 0x8,
    RPCH_CMD_NEGATIVE_ANCE = 0x9,
    RPCH_CMD_ANCE = 0xA,
    RPCH_CMD_CLIENT_ADDRESS = 0xB,
    RPCH_CMD_ASSOCIATION_GROUP_ID = 0xC,
    RPCH_CMD_DESTINATION = 0xD,
    RPCH_CMD_PING_TRAFFIC_SENT_NOTIFY = 0xE,
    RPCH_CMD_MAX
} rpch_cmd_type;

/* ForwardDestination, 2.2.3.3 */
typedef enum rpch_dest {
    RPCH_DEST_CLIENT = 0,
    RPCH_DEST_IN_PROXY = 1,
    RPCH_DEST_SERVER = 2,
    RPCH_DEST_OUT_PROXY = 3
} rpch_dest;

/* FlowControlAck, 2.2.3.4 */
typedef struct rpch_ack {
    uint32_t bytes_received;
    uint32_t available_window;
    rpch_cookie cookie; /* of the channel acknowledged */
} rpch_ack;

/* ClientAddress, 2.2.3.2; addr holds 4 or 16 bytes in network order. */
typedef struct rpch_address {
    bool ipv6;
    uint8_t addr[16];
} rpch_address;

/* One command; type selects the member. */
typedef struct rpch_cmd {
    uint32_t type; /* rpch_cmd_type */
    union {
        uint32_t value;       /* one 32-bit field; Padding: its count */
        rpch_cookie cookie;   /* Cookie, AssociationGroupId */
        rpch_ack ack;         /* FlowControlAck */
        rpch_address address; /* ClientAddress */
    } u;
} rpch_cmd;

#define RPCH_RTS_COMMANDS_MAX 16

typedef struct rpch_rts {
    uint16_t flags;
    uint16_t n;
    rpch_cmd cmd[RPCH_RTS_COMMANDS_MAX];
} rpch_rts;

/* Decodes the whole RTS PDU at p[0..len). Checks the header field by field
 * (2.2.3.6.1) and that the last command ends where the PDU does. Values are
 * not range-checked, but undefined Flags, a Destination above 3 and a Padding
 * count above 0xFFFF are refused; the bytes of a Padding are not looked at.
 * ClientAddress is read in either layout: the specification's, and the
 * sockaddr-like one of Windows. RPCH_E_SYNTAX with *reason (static), naming
 * the field, when anything is wrong. */
int rpch_rts_decode(const uint8_t *p, size_t len, rpch_rts *out,
                    const char **reason);

/* Encodes rts to out[0..room) and sets *len. ClientAddress is written in the
 * layout that Windows uses, Padding as zeros. RPCH_E_ROOM when it does not
 * fit; RPCH_E_VALUE for undefined flags, an unknown command, more than
 * RPCH_RTS_COMMANDS_MAX of them, a Destination above 3, a Padding count above
 * 0xFFFF, or more than RPCH_PDU_SIZE_MAX bytes in all. */
int rpch_rts_encode(const rpch_rts *rts, uint8_t *out, size_t room,
                    size_t *len);

/* The Destination that the PDU names, in *dest; false when it has none.
 * Such a PDU is forwarded verbatim unless the destination is the receiver
 * (3.2.1.5.2). */
bool rpch_rts_destination(const rpch_rts *rts, rpch_dest *dest);

/* The i-th command of that type (0 = first), or NULL. */
const rpch_cmd *rpch_rts_find(const rpch_rts *rts, rpch_cmd_type type,
                              unsigned i);

/* Name of a command ("ReceiveWindowSize"), or "undefined". */
const char *rpch_cmd_name(uint32_t type);

#endif
