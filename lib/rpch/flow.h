/* SPDX-License-Identifier: Apache-2.0 */
/*
 * flow.h - window arithmetic of one leg, 3.2.1.1.4, 3.2.1.1.5, 3.2.1.4.1,
 * 3.2.1.5.1.
 *
 * Only RPC PDUs count, each with its whole frag_length. Counters belong to
 * one channel instance and start at 0.
 */
#ifndef RPCH_FLOW_H
#define RPCH_FLOW_H

#include "rpch/rpch.h"

/* The largest fragment of Windows, Samba and whoever follows them. A window
 * too small for two of these is acknowledged as if one had been seen. */
#define RPCH_FRAGMENT_USUAL 5840u

/* Of a window larger than 64 KiB so much is used up before it is acknowledged:
 * an ack makes its way through three processes and behind all that is queued
 * for them, and the sender should not wait for it. Half of 64 KiB, as Windows
 * does it. */
#define RPCH_ACK_EVERY 32768u

/* The receiving end of a leg. */
typedef struct rpch_rx {
    int64_t window;     /* offered to the sender */
    int64_t avail;      /* room left; below 0 when the sender overran it */
    int64_t advertised; /* what the sender believes it may still send */
    uint32_t received;  /* BytesReceived, modulo 2^32 */
    uint32_t largest;   /* largest PDU seen */
    bool off;           /* no acks are wanted on this leg */
} rpch_rx;

/* Starts with an empty channel and that window. */
void rpch_rx_init(rpch_rx *r, uint32_t window);

/* An RPC PDU of n bytes arrived. Returns true when the sender has overrun
 * the window: tolerated, no open client waits for it (stop reading instead
 * when memory runs out). */
bool rpch_rx_received(rpch_rx *r, uint32_t n);

/* An RPC PDU of n bytes was passed on. Returns true when an ack is due now:
 * what the sender may still send has fallen below the largest of half the
 * window, the window less RPCH_ACK_EVERY, the largest PDU seen and
 * RPCH_FRAGMENT_USUAL (or the window, if that is smaller), and there is room
 * to offer. The caller must then send
 * {r->received, *available}; the offer is booked as made. */
bool rpch_rx_consumed(rpch_rx *r, uint32_t n, uint32_t *available);

/* The sending end of a leg. */
typedef struct rpch_tx {
    uint32_t window; /* the peer's ReceiveWindowSize */
    uint32_t avail;  /* may be sent now */
    uint64_t sent;   /* BytesSent; the wire has the low 32 bits of it */
    uint64_t edge;   /* what BytesSent may grow to: the largest sum of bytes
                      * received and room that an ack has brought */
    bool off;        /* no window on this leg: always may send */
} rpch_tx;

/* Starts with nothing sent; a window above RPCH_WINDOW_MAX is clamped to it. */
void rpch_tx_init(rpch_tx *t, uint32_t window);

/* True when a PDU of n bytes may be sent now (a window exactly as large as n
 * is enough). A PDU larger than the whole window may go when the whole window
 * is free, since it could never go otherwise. */
bool rpch_tx_may_send(const rpch_tx *t, uint32_t n);

/* Whether a PDU of n bytes may be sent right behind ahead bytes of others that
 * may be sent and are not counted yet. */
bool rpch_tx_may_follow(const rpch_tx *t, uint32_t ahead, uint32_t n);

/* A PDU of n bytes is being sent. */
void rpch_tx_sent(rpch_tx *t, uint32_t n);

/* The peer acknowledged: received bytes so far (modulo 2^32), available
 * window. An available window above the whole one is clamped; received bytes
 * that lag behind are normal, and count as still in flight. Room once given is
 * never taken back: an ack that gives less than one before it is older than
 * that one, and changes nothing. While an IN channel is recycled two of them
 * may travel over two connections. RPCH_E_ACK, and nothing changes, when it
 * acknowledges bytes that were never sent. */
int rpch_tx_ack(rpch_tx *t, uint32_t received, uint32_t available);

#endif
