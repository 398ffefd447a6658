/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load_message.h - requests and responses of rpch-load as fragments of
 * DCE/RPC (C706 12.6.4.9, 12.6.4.10): made without copying data, and compared
 * as they arrive.
 */
#ifndef LOAD_MESSAGE_H
#define LOAD_MESSAGE_H

#include "rpch/pdu.h"

/* The header of a request or response, and what the stub begins with. */
#define LOAD_CALL_HEADER 24u
#define LOAD_STUB_HEAD 24u

/* The smallest fragment that all of this fits in, and the largest. */
#define LOAD_FRAG_MIN 56u
#define LOAD_FRAG_MAX 65528u
#define LOAD_FRAG_DEFAULT 5840u

/* What the stub of a message begins with. */
typedef struct load_terms {
    uint32_t seed;  /* of the pattern, the same in request and response */
    uint64_t size;  /* data bytes behind */
    uint64_t other; /* request: data wanted back; response: bytes of the
                     * request that were right */
} load_terms;

/* One PDU to be sent: a head of its own, and a piece of the pattern. */
typedef struct load_item {
    uint8_t head[LOAD_CALL_HEADER + LOAD_STUB_HEAD];
    uint32_t head_len;
    uint32_t data_len;
    const uint8_t *data;
} load_item;

/* A message on its way out. All zero: there is none. */
typedef struct load_sender {
    bool active;
    uint8_t ptype;
    uint32_t call_id;
    load_terms terms;
    uint64_t at; /* data bytes put into fragments so far */
} load_sender;

/* A message on its way in. All zero is the start. */
typedef struct load_receiver {
    uint8_t head[LOAD_CALL_HEADER + LOAD_STUB_HEAD];
    uint8_t have;      /* bytes of head so far */
    bool open;         /* a message has begun */
    uint32_t call_id;  /* of it */
    load_terms terms;
    uint64_t at;       /* data bytes so far */
    uint64_t wrong;    /* of them */
    const char *error; /* static, or NULL */
} load_receiver;

/* What load_receiver_feed() found. */
typedef enum load_taken {
    LOAD_TAKEN_BAD = -1, /* not what it must be: r->error */
    LOAD_TAKEN_PART,
    LOAD_TAKEN_MESSAGE   /* that was its last byte; r->terms, ->wrong */
} load_taken;

/* For tests: the data byte at that offset of each message sent is wrong from
 * now on. */
void load_message_corrupt(uint64_t offset);

/* Begins a message: RPCH_PTYPE_REQUEST or RPCH_PTYPE_RESPONSE. */
void load_sender_start(load_sender *s, uint8_t ptype, uint32_t call_id,
                       const load_terms *terms);

/* Size of its next fragment, at most frag; 0 when there is none. */
uint32_t load_sender_size(const load_sender *s, uint32_t frag);

/* Makes that fragment. item->data is static storage. */
void load_sender_next(load_sender *s, uint32_t frag, load_item *item);

/* Takes a slice of a PDU; first and last: it starts or ends it. A message is
 * to be of type ptype. Data that is not the pattern is counted, no more. */
load_taken load_receiver_feed(load_receiver *r, uint8_t ptype,
                              const uint8_t *p, size_t len, bool first,
                              bool last);

#endif
