/* SPDX-License-Identifier: Apache-2.0 */
/*
 * msg.h - the messages that channels send each other, encoded field by
 * field: after a graceful restart the peer may run another version of this
 * code.
 *
 * On the wire, all little-endian: "RPX" and a version byte, type u8, 3 zero
 * bytes, then the fields of the type in the order of the struct; text, pdu
 * and data are a 16-bit length and that many bytes. One message is one
 * datagram of at most RELAY_MSG_SIZE_MAX bytes, with nothing after its last
 * field. A type that a receiver does not know ends the link: an older child
 * thereby refuses what it cannot do.
 *
 * A successor channel says HELLO and ATTACH to the channel that it replaces
 * (the holder), and hears ATTACHED or REFUSE. At the switch the holder sends
 * MOVE with the server's socket (ncacn_ip_tcp: ROLE and LINK too, as far as
 * there are such), then TAIL messages with as many bytes as MOVE said.
 */
#ifndef RELAY_MSG_H
#define RELAY_MSG_H

#include "rpch/cookie.h"

#define RELAY_MSG_VERSION 1
#define RELAY_MSG_SIZE_MAX 4096u
#define RELAY_MSG_TEXT_MAX 160u
#define RELAY_MSG_DATA_MAX 3600u

/* Width of the keyed hashes in the shared table. */
#define RELAY_HASH_SIZE 16

/* A keyed hash of an identity, user or address. */
typedef struct relay_hash {
    uint8_t b[RELAY_HASH_SIZE];
} relay_hash;

typedef enum relay_msg_type {
    RELAY_MSG_HELLO = 1, /* both, first: nonce, pid */
    RELAY_MSG_JOIN,      /* IN -> OUT: vc, identity, channel (number of OUT) */
    RELAY_MSG_JOINED,    /* OUT -> IN: no field; with the back-end socket */
    RELAY_MSG_RTS,       /* any: one RTS PDU verbatim */
    RELAY_MSG_END,       /* any: status, text */
    RELAY_MSG_WAKE,      /* to a child: vc, channel: look at the table again */
    RELAY_MSG_REFUSE,    /* any: status, text; nothing was changed before */
    RELAY_MSG_ATTACH,    /* successor -> holder: nonce, pid, dir, vc,
                          * predecessor, successor, identity, window, channel
                          * (number of the holder), from */
    RELAY_MSG_ATTACHED,  /* holder -> successor: no field; R2 has begun */
    RELAY_MSG_MOVE,      /* holder -> successor: tail, data (an encoded leg);
                          * with the server's socket, if there is one */
    RELAY_MSG_ROLE,      /* holder -> successor: data (the joined server
                          * role's image) */
    RELAY_MSG_LINK,      /* holder -> successor: no field; with the link to
                          * the other direction */
    RELAY_MSG_TAIL,      /* holder -> successor: data (the next bytes of those
                          * that MOVE announced) */
    RELAY_MSG_TYPE_MAX
} relay_msg_type;

typedef struct relay_msg {
    relay_msg_type type;
    uint64_t nonce;      /* HELLO, ATTACH: of the sending child */
    uint32_t pid;        /* HELLO, ATTACH */
    uint8_t dir;         /* ATTACH: relay_dir, 0 or 1 */
    rpch_cookie vc;      /* JOIN, WAKE, ATTACH */
    rpch_cookie predecessor; /* ATTACH: the channel cookie to be replaced */
    rpch_cookie successor;   /* ATTACH: the cookie that replaces it */
    relay_hash identity; /* JOIN, ATTACH */
    uint32_t window;     /* ATTACH: the client's receive window (OUT), bytes */
    uint64_t channel;    /* JOIN, WAKE, ATTACH: number of the channel
                          * addressed */
    uint64_t from;       /* ATTACH: number of the successor in its child */
    int32_t status;      /* END, REFUSE: rpch_status */
    char text[RELAY_MSG_TEXT_MAX]; /* END, REFUSE: cause, terminated */
    const uint8_t *pdu;  /* RTS: borrowed from the buffer decoded */
    uint16_t pdu_len;    /* RTS: 20..RPCH_RTS_SIZE_MAX */
    uint32_t tail;       /* MOVE: bytes that follow in TAIL messages */
    const uint8_t *data; /* MOVE, ROLE, TAIL: borrowed likewise */
    uint16_t data_len;   /* MOVE, ROLE, TAIL: 1..RELAY_MSG_DATA_MAX */
} relay_msg;

/* Encodes m to out[0..room), sets *len. RPCH_E_ROOM, or RPCH_E_VALUE for a
 * type, direction or length out of range, or a text without terminator.
 * RELAY_MSG_SIZE_MAX bytes are room enough for every message. */
int relay_msg_encode(const relay_msg *m, uint8_t *out, size_t room,
                     size_t *len);

/* Decodes one datagram; the fields that its type does not have are zero, and
 * out->pdu and out->data point into in. RPCH_E_SYNTAX with *reason (static)
 * for anything but a whole, exact message of this version; out is all zero
 * then. */
int relay_msg_decode(const uint8_t *in, size_t len, relay_msg *out,
                     const char **reason);

/* Name of a type ("JOIN"), "unknown" for any other number; never NULL. */
const char *relay_msg_name(int type);

#endif
