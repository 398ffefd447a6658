/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rts_table.h - every named RTS PDU of 2.2.4 as one table, used by encoder,
 * matcher, dumper and tests.
 *
 * The same bytes carry different names in different states (an An and its
 * forwarded An+1, for one): a PDU has a list of names, and the state chooses.
 */
#ifndef RPCH_RTS_TABLE_H
#define RPCH_RTS_TABLE_H

#include "rpch/rts.h"

typedef enum rpch_pdu_id {
    RPCH_CONN_A1, RPCH_CONN_A2, RPCH_CONN_A3,
    RPCH_CONN_B1, RPCH_CONN_B2, RPCH_CONN_B3,
    RPCH_CONN_C1, RPCH_CONN_C2,
    RPCH_IN_R1_A1, RPCH_IN_R1_A2, RPCH_IN_R1_A3, RPCH_IN_R1_A4,
    RPCH_IN_R1_A5, RPCH_IN_R1_A6, RPCH_IN_R1_B1, RPCH_IN_R1_B2,
    RPCH_IN_R2_A1, RPCH_IN_R2_A2, RPCH_IN_R2_A3, RPCH_IN_R2_A4,
    RPCH_IN_R2_A5,
    RPCH_OUT_R1_A1, RPCH_OUT_R1_A2, RPCH_OUT_R1_A3, RPCH_OUT_R1_A4,
    RPCH_OUT_R1_A5, RPCH_OUT_R1_A6, RPCH_OUT_R1_A7, RPCH_OUT_R1_A8,
    RPCH_OUT_R1_A9, RPCH_OUT_R1_A10, RPCH_OUT_R1_A11,
    RPCH_OUT_R2_A1, RPCH_OUT_R2_A2, RPCH_OUT_R2_A3, RPCH_OUT_R2_A4,
    RPCH_OUT_R2_A5, RPCH_OUT_R2_A6, RPCH_OUT_R2_A7, RPCH_OUT_R2_A8,
    RPCH_OUT_R2_B1, RPCH_OUT_R2_B2, RPCH_OUT_R2_B3, RPCH_OUT_R2_C1,
    RPCH_KEEP_ALIVE, RPCH_PING_TRAFFIC_SENT_NOTIFY, RPCH_ECHO, RPCH_PING,
    RPCH_FLOW_CONTROL_ACK, RPCH_FLOW_CONTROL_ACK_DEST,
    RPCH_PDU_ID_MAX
} rpch_pdu_id;

#define RPCH_TABLE_COMMANDS_MAX 7

/* One row of the table. */
typedef struct rpch_rts_row {
    const char *name;    /* "CONN/A1" */
    const char *section; /* of MS-RPCH, "2.2.4.2" */
    uint16_t flags;
    uint8_t n;
    uint8_t cmd[RPCH_TABLE_COMMANDS_MAX]; /* rpch_cmd_type, in order */
    int8_t dest;         /* rpch_dest it must name; -1: any, or none */
    uint16_t size;       /* bytes; with an IPv4 ClientAddress */
} rpch_rts_row;

/* The values that rpch_rts_make takes its commands' fields from; only those
 * that the PDU carries are looked at. cookie[] is in order of appearance:
 * virtual connection, own or predecessor, successor; a PDU with one Cookie
 * has it in cookie[0], whatever it names. */
typedef struct rpch_rts_values {
    rpch_cookie cookie[3];
    rpch_cookie group;      /* AssociationGroupId */
    uint32_t window;
    uint32_t lifetime;
    uint32_t timeout;       /* ConnectionTimeout, ms */
    uint32_t keepalive;     /* ClientKeepalive, ms */
    uint32_t notify;        /* PingTrafficSentNotify, bytes */
    uint32_t version;
    rpch_dest dest;         /* FlowControlAckWithDestination; others: fixed */
    rpch_ack ack;
    rpch_address address;
} rpch_rts_values;

/* The row of id; id must be below RPCH_PDU_ID_MAX. */
const rpch_rts_row *rpch_rts_row_of(rpch_pdu_id id);

/* True when rts has the flags, commands and fixed destination of id. Padding
 * commands in rts are ignored. OUT_R2/A8 is matched with and without Version:
 * it is A7 forwarded (2.2.4.40), and yet has one command less (2.2.4.41). */
bool rpch_rts_is(const rpch_rts *rts, rpch_pdu_id id);

/* Writes up to max ids that rts can be to ids, in the enum's order, and
 * returns how many there are, which may be more than max (0: none of the
 * defined PDUs). */
size_t rpch_rts_names(const rpch_rts *rts, rpch_pdu_id *ids, size_t max);

/* Room for every rpch_rts_describe, terminator included. */
#define RPCH_RTS_DESCRIBE_SIZE 64

/* Writes the names that rts can have, joined by "=", to out (room bytes, cut
 * to fit and terminated), or "unknown"; returns out. */
char *rpch_rts_describe(const rpch_rts *rts, char *out, size_t room);

/* Encodes PDU id from v to out[0..room), sets *len. OUT_R2/A8 is made without
 * Version. RPCH_E_ROOM when it does not fit, RPCH_E_VALUE for an id or a
 * destination that is none. */
int rpch_rts_make(rpch_pdu_id id, const rpch_rts_values *v, uint8_t *out,
                  size_t room, size_t *len);

/* Takes the fields of rts that PDU id carries into v (dest included, where id
 * has a Destination); RPCH_E_SYNTAX when rts is not id. Fields that rts does
 * not carry are left alone. */
int rpch_rts_read(rpch_pdu_id id, const rpch_rts *rts, rpch_rts_values *v);

#endif
