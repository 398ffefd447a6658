/* SPDX-License-Identifier: Apache-2.0 */
/*
 * eeinfo.h - extended error information of error responses (MS-EERR), which
 * 2.1.2.1.3 puts into the reason phrase and the body of a 503.
 *
 * The blob is a pointer to a chain of records (MS-EERR 2.2.1.8) in type
 * serialization version 1 (MS-RPCE 2.2.6). Unions follow C706 14.3.8 as it
 * is, since the IDL does not ask for ms_union (MS-RPCE 2.2.4.5): an arm has
 * the alignment of its own type.
 */
#ifndef RPCH_EEINFO_H
#define RPCH_EEINFO_H

#include "rpch/rpch.h"

/* Most parameters of a record, MS-EERR 2.2.1.8. */
#define RPCH_EE_PARAMS_MAX 4

/* Records of a chain that are read; a longer one is refused. */
#define RPCH_EE_RECORDS_MAX 8

/* Room for a text, its NUL included; longer ones are cut. */
#define RPCH_EE_TEXT_SIZE 128

/* Room that a record of the largest texts takes as a blob at most. */
#define RPCH_EE_BLOB_MAX 1536

/* Numbers below it are Microsoft's generating components, MS-EERR 1.7. */
#define RPCH_EE_COMPONENT_FREE 256u

/* The well-known pair for a failure to connect to the server, MS-EERR 2.2.3. */
#define RPCH_EE_COMPONENT_PROXY 0x0000000Eu
#define RPCH_EE_LOCATION_CONNECT 0x05A0u

/* Type of a parameter, MS-EERR 2.2.1.4. */
typedef enum rpch_ee_type {
    RPCH_EE_ANSI = 1,
    RPCH_EE_UNICODE = 2,
    RPCH_EE_LONG = 3,
    RPCH_EE_SHORT = 4,
    RPCH_EE_POINTER = 5,
    RPCH_EE_NONE = 6,
    RPCH_EE_BINARY = 7
} rpch_ee_type;

typedef struct rpch_ee_param {
    rpch_ee_type type;
    int64_t number;               /* LONG, SHORT, POINTER; BINARY: its size,
                                   * the bytes are not kept */
    char text[RPCH_EE_TEXT_SIZE]; /* ANSI and UNICODE, in ASCII: everything
                                   * else reads as '?' */
} rpch_ee_param;

typedef struct rpch_ee_record {
    bool has_computer;
    char computer[RPCH_EE_TEXT_SIZE]; /* in ASCII, as above */
    uint32_t pid;
    uint64_t time;      /* 100 ns since 1601-01-01 UTC */
    uint32_t component;
    uint32_t status;
    uint16_t location;
    uint16_t flags;     /* 1: records before it are missing, 2: after it */
    unsigned params;
    rpch_ee_param param[RPCH_EE_PARAMS_MAX];
} rpch_ee_record;

/* Encodes one record into out[0..room); *len is the size of the blob, a
 * multiple of 8. BINARY and ANSI parameters cannot be encoded. RPCH_E_VALUE
 * for a bad type, too many parameters or a text without NUL, RPCH_E_ROOM when
 * it does not fit. */
int rpch_ee_encode(const rpch_ee_record *record, uint8_t *out, size_t room,
                   size_t *len);

/* Decodes a blob into out[0..max), the first record of the chain first; *n is
 * their number. RPCH_E_SYNTAX with a static *reason for anything that breaks
 * MS-EERR 2.2 or the encoding (as 2.2.2.2 wants it: the whole decoding
 * fails), RPCH_E_ROOM for more than max records. */
int rpch_ee_decode(const uint8_t *in, size_t len, rpch_ee_record *out,
                   unsigned max, unsigned *n, const char **reason);

/* Seconds since 1970-01-01 UTC as a record's time. */
uint64_t rpch_ee_time(uint64_t seconds);

/* Name of a parameter type ("UnicodeString"), or "unknown". */
const char *rpch_ee_type_name(rpch_ee_type type);

#endif
