/* SPDX-License-Identifier: Apache-2.0 */
/*
 * half.h - one half of a virtual connection: the inbound or the outbound
 * machine behind one set of calls, so that a channel's code is written once.
 * The contracts are those of rpch/inbound.h and rpch/outbound.h.
 */
#ifndef RELAY_HALF_H
#define RELAY_HALF_H

#include "relay/table.h"
#include "rpch/inbound.h"
#include "rpch/outbound.h"

typedef struct relay_half {
    relay_dir dir;
    union {
        rpch_inbound in;
        rpch_outbound out;
    } m;
} relay_half;

/* Starts the machine of dir. address is the client's (IN only). */
void relay_half_init(relay_half *h, relay_dir dir, const rpch_limits *limits,
                     const rpch_address *address, unsigned flags,
                     rpch_log_fn *log, void *baton, rpch_msec now);

/* What both machines start with: state, status, reason. */
const rpch_core *relay_half_core(const relay_half *h);

/* The virtual connection's cookie; zero until the first PDU was read. */
const rpch_cookie *relay_half_vc(const relay_half *h);

/* RPC PDUs passed on whole. */
relay_counters relay_half_counters(const relay_half *h);

/* True from the machine's Opened state until it has finished: also while a
 * successor is awaited, and while it sends what it has before one. */
bool relay_half_is_open(const relay_half *h);

/* "IN" or "OUT", for logs. */
const char *relay_dir_name(relay_dir dir);

/* Name of the machine's state, for logs. */
const char *relay_half_state_name(const relay_half *h);

/* Bytes from the client: C-IN, or the OUT request's body. */
int relay_half_client_recv(relay_half *h, const uint8_t *in, size_t len,
                           rpch_step *step, rpch_msec now);

/* Bytes from the server socket. */
int relay_half_server_recv(relay_half *h, const uint8_t *in, size_t len,
                           rpch_step *step, rpch_msec now);

/* One RTS PDU from the join. */
int relay_half_server_rts(relay_half *h, const uint8_t *pdu, size_t len,
                          rpch_msec now);

/* The server is connected. */
int relay_half_connected(relay_half *h, rpch_msec now);

/* The client ended. */
void relay_half_client_closed(relay_half *h);

/* The server ended. */
void relay_half_server_closed(relay_half *h);

/* Gives up with a status and a static reason. */
void relay_half_fail(relay_half *h, int status, const char *reason);

/* RPCH_WANT_*. */
unsigned relay_half_wants(const relay_half *h);

/* When relay_half_timeout is due. */
rpch_msec relay_half_deadline(const relay_half *h);

/* Runs the machine's timers. */
int relay_half_timeout(relay_half *h, rpch_msec now);

/* Whether an RPC PDU of len bytes may start on the way out of this half. */
bool relay_half_may_send(relay_half *h, uint32_t len);

/* It starts. */
int relay_half_pdu_begin(relay_half *h, uint32_t len);

/* It was written whole. */
void relay_half_pdu_done(relay_half *h, uint32_t len, rpch_msec now);

/* RTS PDUs for the server (S-IN or S-OUT). */
rpch_lane *relay_half_to_server(relay_half *h);

/* The first len bytes of that lane were sent; always by this call, for the
 * machines go by what is left. */
void relay_half_server_ack(relay_half *h, size_t len);

/* RTS PDUs for the client; NULL for IN, which has none. */
const uint8_t *relay_half_client_buf(const relay_half *h, size_t *len);

/* len of them were given to C-OUT. */
void relay_half_client_ack(relay_half *h, size_t len, rpch_msec now);

#endif
