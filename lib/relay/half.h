/* SPDX-License-Identifier: Apache-2.0 */
/*
 * half.h - one half of a virtual connection: the inbound or the outbound
 * machine behind one set of calls, so that a channel's code is written once.
 * The contracts are those of rpch/inbound.h and rpch/outbound.h.
 */
#ifndef RELAY_HALF_H
#define RELAY_HALF_H

#include "relay/leg.h"

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

/* RPC PDUs passed on whole by this channel. */
relay_counters relay_half_counters(const relay_half *h);

/* True from the machine's Opened state until it has finished: also while a
 * successor is awaited, and while it sends what it has before one. */
bool relay_half_is_open(const relay_half *h);

/* True while it is open and sending RTS PDUs changes no state: these may then
 * be acknowledged before RPC PDUs that went ahead of them are done. */
bool relay_half_is_steady(const relay_half *h);

/* True when the channel began as a successor (IN_Rx/A1, OUT_Rx/A3). */
bool relay_half_is_successor(const relay_half *h);

/* What a successor asks the holder for. window is the client's receive window
 * (OUT; 0 for IN). */
void relay_half_succession(const relay_half *h, rpch_succession *out);

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

/* Whether in[0..len), the next bytes of the client or else of the server,
 * begin with bytes of an RPC PDU that is known or well-formed: taking them
 * changes no state. */
bool relay_half_rpc_next(const relay_half *h, bool client, const uint8_t *in,
                         size_t len);

/* One RTS PDU from the join. */
int relay_half_server_rts(relay_half *h, const uint8_t *pdu, size_t len,
                          rpch_msec now);

/* The server is connected; of a successor: by a connection of its own. */
int relay_half_connected(relay_half *h, rpch_msec now);

/* Successor: the holder has accepted it. */
int relay_half_attached(relay_half *h, rpch_msec now);

/* Successor: takes the predecessor's leg. RPCH_E_VALUE, and the machine is
 * finished, when it is one of the other direction. */
int relay_half_adopt(relay_half *h, const relay_leg *leg, rpch_msec now);

/* Holder: s->successor asks to replace this channel. RPCH_OK; or why not, with
 * nothing changed and *reason set (static). */
int relay_half_attach(relay_half *h, const rpch_succession *s,
                      const char **reason);

/* Holder: the successor is gone. */
void relay_half_detach(relay_half *h);

/* Holder: true, once, when the successor was dismissed by the client (IN_R2/A5
 * for another one) or the server (OUT_R2/B2): the caller tells it. */
bool relay_half_dismissed(relay_half *h);

/* Holder, while it wants RPCH_WANT_RELEASE: fills *leg, and the machine is
 * finished with RPCH_E_RECYCLED. RPC PDUs that the caller has queued go with
 * the leg. */
int relay_half_release(relay_half *h, relay_leg *leg);

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

/* Whether another one may start right behind ahead bytes of RPC PDUs that may
 * and were not begun yet. */
bool relay_half_may_follow(const relay_half *h, uint32_t ahead, uint32_t len);

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
