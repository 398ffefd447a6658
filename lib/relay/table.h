/* SPDX-License-Identifier: Apache-2.0 */
/*
 * table.h - the shared table of virtual connections.
 *
 * Anonymous shared memory, made once in the process pool, so that children
 * of every generation see it. An entry is one virtual connection, found by
 * its cookie; each of its two halves has at most one holder, a channel of
 * some child. Entries are written under the lock of their shard; the locks
 * are process-shared and robust: when a child dies inside one, the next
 * taker repairs the shard. No lock is held while a callback runs, and none is
 * left held by any function here.
 *
 * Nobody learns a cookie from the table by looking from outside: the status
 * page shows counts only.
 */
#ifndef RELAY_TABLE_H
#define RELAY_TABLE_H

#include <apr_errno.h>
#include <apr_pools.h>

#include "relay/addr.h"
#include "relay/msg.h"
#include "rpch/rpch.h"

typedef struct relay_table relay_table;

typedef enum relay_dir { RELAY_IN = 0, RELAY_OUT = 1 } relay_dir;

/* What the back end speaks. */
typedef enum relay_kind {
    RELAY_NCACN_HTTP = 0,
    RELAY_NCACN_IP_TCP = 1
} relay_kind;

/* A channel, named across processes. */
typedef struct relay_owner {
    uint32_t pid;     /* 0: nobody */
    uint64_t nonce;   /* of the child: tells a reused pid */
    uint64_t channel; /* number within the child */
} relay_owner;

/* How far a half is. */
typedef enum relay_half_state {
    RELAY_HALF_NONE = 0, /* no channel */
    RELAY_HALF_OPENING,  /* the channel is there */
    RELAY_HALF_READY,    /* tcp: OUT has its back-end socket and takes a JOIN */
    RELAY_HALF_OPEN,     /* CONN/B3 or CONN/C1 was seen */
    RELAY_HALF_FAILED    /* ended, open or not: it has left for good */
} relay_half_state;

/* What relay_table_claim is asked. */
typedef struct relay_claim {
    rpch_cookie vc;
    relay_dir dir;
    relay_kind kind;
    relay_hash identity; /* user, virtual host and target together */
    relay_hash user;     /* for the limit per user */
    relay_hash address;  /* for the limit per client address */
    uint32_t max_per_user;    /* channels; 0: no limit */
    uint32_t max_per_address;
    relay_owner owner;
    bool successor; /* IN_R1, OUT_R1: its predecessor is, or was, elsewhere */
} relay_claim;

typedef enum relay_claim_result {
    RELAY_CLAIM_FIRST,   /* a new entry; the other half is not there yet */
    RELAY_CLAIM_SECOND,  /* joined an entry that the other half made */
    RELAY_CLAIM_IN_USE,  /* that half of that cookie has a channel, or had one
                          * (until both halves have left); but a successor may
                          * take a half that was recycled to another proxy */
    RELAY_CLAIM_FOREIGN, /* the cookie belongs to another user, virtual host,
                          * target or kind */
    RELAY_CLAIM_FULL,    /* no free entry */
    RELAY_CLAIM_USER_LIMIT,
    RELAY_CLAIM_ADDRESS_LIMIT
} relay_claim_result;

/* Names an entry; stale references are recognised. */
typedef struct relay_ref {
    uint32_t index;
    uint32_t generation; /* 0: no entry */
} relay_ref;

/* The other half, as seen from one. */
typedef struct relay_peer {
    relay_half_state state;
    relay_owner owner;
    int32_t status; /* FAILED: rpch_status of its end */
} relay_peer;

/* What one half adds to the entry's counters. */
typedef struct relay_counters {
    uint64_t rpc_bytes;
    uint64_t rpc_pdus;
} relay_counters;

#define RELAY_CAUSE_MAX 128

/* What is known of a virtual connection when its last half leaves. */
typedef struct relay_summary {
    relay_counters half[2];    /* by relay_dir; of all its channels here */
    uint32_t recycled[2];      /* by relay_dir: successors that came or were
                                * left to */
    rpch_msec lifetime;        /* ms since the first half came */
    bool was_open;             /* both halves were open once */
    char cause[RELAY_CAUSE_MAX]; /* of the half that left first: why the
                                  * connection ended; empty when all of
                                  * them were recycled to other proxies */
    relay_dir first_to_leave;
} relay_summary;

typedef struct relay_stats {
    uint32_t max;       /* entries the table has */
    uint32_t entries;   /* in use */
    uint32_t halves[2]; /* channels, by relay_dir */
    uint32_t open;      /* entries with both halves open */
    uint32_t users;     /* distinct users with channels */
    uint32_t children;  /* registered children */
    uint64_t claims;    /* ever granted */
    uint64_t refused;   /* claims that were refused */
    uint64_t reaped;    /* halves of dead children taken back */
    uint64_t recycled_r1; /* channels that left for a successor elsewhere, and
                           * successors from elsewhere that came to be open */
    uint64_t recycled_r2; /* channels replaced by a successor here */
} relay_stats;

/* The most virtual connections a table can have. */
#define RELAY_TABLE_ENTRIES_MAX 1048576u

/* The most children that can be registered at once. */
#define RELAY_CHILDREN_MAX 1024u

/* Makes a table for max (1..RELAY_TABLE_ENTRIES_MAX, else APR_EINVAL) virtual
 * connections in anonymous shared memory that lives as long as pool (the
 * process pool, never pconf) of the calling process, and in children forked
 * from it until they exit. Memory is used as entries are first used. */
apr_status_t relay_table_create(relay_table **out, uint32_t max,
                                apr_pool_t *pool);

/* True when t was made by this version of the code and for max connections;
 * otherwise the caller makes a new one (old children keep the old one). */
bool relay_table_usable(const relay_table *t, uint32_t max);

/* Registers the calling child; its owner.pid and owner.nonce are set in
 * *self. APR_ENOSPC when RELAY_CHILDREN_MAX children are registered. */
apr_status_t relay_table_child_enter(relay_table *t, relay_owner *self);

/* A new process has number pid, so whoever was registered with it is dead.
 * Called by the new process before it enters. */
void relay_table_child_bury(relay_table *t, uint32_t pid);

/* Unregisters the child: halves that it still holds can be reaped. Takes no
 * lock, so a signal handler may call it. */
void relay_table_child_leave(relay_table *t, const relay_owner *self);

/* Keyed hash of text (len bytes) under the table's random key: the same in
 * all children, different after every full restart. */
void relay_table_hash(const relay_table *t, const void *text, size_t len,
                      relay_hash *out);

/* Asks for a half of the connection vc. On FIRST and SECOND *ref names the
 * entry and the half is OPENING; on anything else nothing was changed and
 * ref->generation is 0. What the connection refuses (FOREIGN, IN_USE) goes
 * before the limits, and those before FULL. A half that a dead child held is
 * IN_USE until the other half has left too or was reaped with it. The
 * owner's child must be registered, or the half is reaped. */
relay_claim_result relay_table_claim(relay_table *t, const relay_claim *claim,
                                     relay_ref *ref);

/* Sets the state of the caller's half (READY, then OPEN; nothing goes
 * back). */
void relay_table_set_state(relay_table *t, relay_ref ref, relay_dir dir,
                           relay_half_state state);

/* What the half other than dir is doing now. False when the entry is gone. */
bool relay_table_peer(relay_table *t, relay_ref ref, relay_dir dir,
                      relay_peer *out);

/* Finds vc of that identity and describes half dir of it; false when there
 * is none. For a successor out->owner.pid decides: when it is not 0 a channel
 * holds that half, which the successor asks to be succeeded (IN_R2, OUT_R2);
 * otherwise, and when nothing was found, it claims the half (IN_R1, OUT_R1),
 * which is refused when the half is FAILED. */
bool relay_table_find(relay_table *t, const rpch_cookie *vc,
                      const relay_hash *identity, relay_dir dir,
                      relay_ref *ref, relay_peer *out);

/* The back-end address that a half of this connection connected to; set by
 * the first (a second set is ignored), read by the second (len 0: not yet
 * known). */
void relay_table_set_address(relay_table *t, relay_ref ref,
                             const relay_addr *addr);
/* Reads it. */
void relay_table_address(relay_table *t, relay_ref ref, relay_addr *out);

/* Notes that an RPC PDU passed on some half at time now. Takes no lock. */
void relay_table_touch(relay_table *t, relay_ref ref, rpch_msec now);

/* When an RPC PDU last passed on any half; the claim counts as one. 0 when
 * the entry is gone. */
rpch_msec relay_table_touched(relay_table *t, relay_ref ref);

/* Notes that a call began to arrive from the client, before any of it is
 * passed on (see call.h). Takes no lock. */
void relay_table_call_began(relay_table *t, relay_ref ref);

/* Notes that n answers have gone to the client. Takes no lock. */
void relay_table_calls_ended(relay_table *t, relay_ref ref, uint32_t n);

/* Whether a call of the connection is without an answer, or may be: the entry
 * is gone, or not both of its halves are here and have always been. */
bool relay_table_is_calling(relay_table *t, relay_ref ref);

/* Why the half that left first did; false when none has left. */
bool relay_table_cause(relay_table *t, relay_ref ref,
                       char out[RELAY_CAUSE_MAX]);

/* The half leaves, if owner holds it: its channel is counted down, counters
 * are added to its predecessors', and the first cause is kept. status:
 * rpch_status of its end; cause: one line, copied and cut. Returns true when
 * it was the last half: the entry is free and *out holds what is to be logged.
 * False, with *out untouched, while the other half is there, and when owner
 * did not hold this one (released, reaped or succeeded before). */
bool relay_table_release(relay_table *t, relay_ref ref, relay_dir dir,
                         const relay_owner *owner,
                         const relay_counters *counters, int status,
                         const char *cause, relay_summary *out);

/* Hands a half over, if from holds it: it is to's from now on, in the state it
 * is in; counters (what from passed) stay with it. It stays booked once, on
 * from's user and address. False, and nothing changed, when from does not hold
 * it (any more). Whoever looks at the half, also after the death of the
 * caller, sees from or to, never a mixture.
 *
 * The holder calls this before it sends the leg away, and a successor that
 * waits for the leg closes its link before it releases the half as its own.
 * Thus one of them always gives it back: when the leg cannot be sent, the
 * holder releases it for to; a leg that could be sent has made the half the
 * successor's before. */
bool relay_table_succeed(relay_table *t, relay_ref ref, relay_dir dir,
                         const relay_owner *from, const relay_owner *to,
                         const relay_counters *counters);

/* The half leaves for a successor at another proxy (IN_R1, OUT_R1), if owner
 * holds it: it is NONE again, for a later successor of the same connection to
 * claim. Otherwise like relay_table_release, except that this is no end: no
 * cause is kept. */
bool relay_table_recycled(relay_table *t, relay_ref ref, relay_dir dir,
                          const relay_owner *owner,
                          const relay_counters *counters, relay_summary *out);

/* Called for each half taken back from a dead child, while no lock is held.
 * peer is the other half, to be woken if it is there (peer->owner.pid is not
 * 0); dead is FAILED with RPCH_E_CLOSED for it. ref is stale when both halves
 * are gone. */
typedef void relay_reap_fn(void *baton, relay_ref ref, relay_dir dead,
                           const relay_peer *peer);

/* Takes back the halves of children that no longer live: that left, or whose
 * process is gone (a zombie is not gone yet). Their connections end with "its
 * child process died". Returns how many. fn may be NULL. Looks at the
 * registered children only when nobody died; all children may call it. */
unsigned relay_table_reap(relay_table *t, relay_reap_fn *fn, void *baton);

/* Counts for the status page and tests. */
void relay_table_stats(relay_table *t, relay_stats *out);

#endif
