/* SPDX-License-Identifier: Apache-2.0 */
/*
 * leg.h - what a predecessor gives to its successor, encoded field by field
 * for the MOVE and ROLE messages: the successor may live in a child of
 * another version of this code.
 *
 * A version byte, a direction byte (legs), then the fields in the order of
 * their structs, little-endian; a lane or a tail is a 16-bit length and that
 * many bytes, with nothing after the last one. Both encodings fit into
 * RELAY_MSG_DATA_MAX bytes.
 */
#ifndef RELAY_LEG_H
#define RELAY_LEG_H

#include "relay/table.h"
#include "rpch/inbound.h"
#include "rpch/outbound.h"
#include "rpch/server_image.h"

#define RELAY_LEG_VERSION 1

/* The connection to the server, without its descriptor. */
typedef struct relay_leg {
    relay_dir dir;
    union {
        rpch_in_leg in;
        rpch_out_leg out;
    } u;
} relay_leg;

/* Encodes leg to out[0..room), sets *len. RPCH_E_ROOM, or RPCH_E_VALUE when it
 * holds what relay_leg_decode would not accept; *len is 0 then. */
int relay_leg_encode(const relay_leg *leg, uint8_t *out, size_t room,
                     size_t *len);

/* Decodes a leg of direction dir; what its lane and tail do not use is zero.
 * RPCH_E_SYNTAX with *reason (static) for another version or direction, for
 * anything that is not whole and exact, and for values that no leg can have;
 * *leg is all zero then. Whose leg it is, its adopter checks. */
int relay_leg_decode(const uint8_t *in, size_t len, relay_dir dir,
                     relay_leg *leg, const char **reason);

/* Whether that many bytes can be what follows the leg: with S-IN all that is
 * still to be written goes on, or its stream would break. */
bool relay_leg_has_tail(const relay_leg *leg, uint32_t bytes);

/* Encodes a joined server role; errors as above. */
int relay_leg_encode_role(const rpch_server_image *image, uint8_t *out,
                          size_t room, size_t *len);

/* Decodes one; errors as above. Its lanes hold whole RTS PDUs. */
int relay_leg_decode_role(const uint8_t *in, size_t len,
                          rpch_server_image *image, const char **reason);

#endif
