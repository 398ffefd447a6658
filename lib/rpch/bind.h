/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bind.h - what a bind or alter_context PDU asks for (C706 12.6.4.1,
 * 12.6.4.3): interfaces and transfer syntaxes, for logs and dumps. The proxy
 * passes these PDUs on whatever they hold.
 */
#ifndef RPCH_BIND_H
#define RPCH_BIND_H

#include "rpch/pdu.h"

/* Room for a UUID as text, its NUL included. */
#define RPCH_UUID_TEXT_SIZE 37

/* An interface or a transfer syntax. */
typedef struct rpch_syntax {
    uint8_t uuid[16]; /* in the order of the text form */
    uint16_t major;
    uint16_t minor;
} rpch_syntax;

/* One presentation context: an interface and how it may be encoded. */
typedef struct rpch_bind_context {
    uint16_t id;
    rpch_syntax interface;
    unsigned transfers;      /* at least 1 */
    const uint8_t *transfer; /* where they begin; see rpch_bind_transfer */
} rpch_bind_context;

/* A PDU that was checked; borrows it. */
typedef struct rpch_bind {
    rpch_pdu pdu;
    uint16_t max_xmit;   /* fragment sizes offered */
    uint16_t max_recv;
    uint32_t group;      /* association group, 0: a new one */
    unsigned contexts;   /* at least 1 */
    const uint8_t *list; /* where they begin */
} rpch_bind;

/* Reads one whole PDU of either byte order. RPCH_AGAIN when len is below its
 * frag_length; RPCH_E_SYNTAX with a static *reason for another PTYPE, a bad
 * header, lists that are empty or do not fit, and bytes left over. */
int rpch_bind_parse(const uint8_t *pdu, size_t len, rpch_bind *out,
                    const char **reason);

/* Context i (from 0); false when there is none. */
bool rpch_bind_context_at(const rpch_bind *b, unsigned i,
                          rpch_bind_context *out);

/* Transfer syntax i of a context of b; false when there is none. */
bool rpch_bind_transfer(const rpch_bind *b, const rpch_bind_context *context,
                        unsigned i, rpch_syntax *out);

/* Writes "60a15ec5-4de8-11d7-a637-005056a20182" to out
 * [RPCH_UUID_TEXT_SIZE]; returns out. */
const char *rpch_uuid_text(const uint8_t uuid[16], char *out);

#endif
