/* SPDX-License-Identifier: Apache-2.0 */
/*
 * table_private.h - the inside of the shared table, for table*.c and its
 * tests.
 *
 * One anonymous shared mapping, inherited by fork at the same address in
 * every child, so pointers into it may stay in it. It starts as zeros and
 * zeros are its empty state: links are "index + 1, 0: none", and entries and
 * accounts that were never used (from `made` on) cost no memory.
 *
 * Three kinds of process-shared robust locks:
 *
 *   shard[i]  the hash chains with bucket % RELAY_SHARDS == i, and the vc of
 *             the entries in them;
 *   ledger    the free entries, and how many channels each user and each
 *             address has: what a claim over all shards must agree on;
 *   children  entering and sweeping the slots of children.
 *
 * Lock order: a shard, then the ledger. Never two shards; the children lock
 * with no other one. Callbacks are called with none.
 *
 * A child may die at any instruction. Each fact has one place from which a
 * repair can tell the rest: an entry's `use` says whether it is free, its
 * `account` links say what is counted for its halves, a half's `state` says
 * whether a channel holds it, and its `at` which. Claims write them in the
 * order account, rest, state, use; releases in the order state, account, use;
 * a succession writes the new tenure beside the old one and then `at`, one
 * word: at no moment is an owner half written. Whoever gets a lock from a dead
 * holder rebuilds chains and counts from these facts, and drops what was not
 * finished. Counts for logs alone may lack what the dead one did not add.
 */
#ifndef RELAY_TABLE_PRIVATE_H
#define RELAY_TABLE_PRIVATE_H

#include <pthread.h>

#include "relay/call.h"
#include "relay/table.h"

#if __GCC_ATOMIC_LLONG_LOCK_FREE != 2
#error 64-bit atomics would take locks, and those of one process only
#endif

#define RELAY_TABLE_MAGIC 0x54585052u /* "RPXT" */
#define RELAY_TABLE_VERSION 3u
#define RELAY_SHARDS 64u

/* What channels are counted by. */
enum { RELAY_BY_USER = 0, RELAY_BY_ADDRESS = 1, RELAY_ACCOUNT_KINDS = 2 };

/* The channels of one user, or of one address. */
typedef struct relay_account {
    relay_hash key;
    uint32_t channels; /* 0: free */
    uint32_t next;     /* link in its bucket, or in the free list */
} relay_account;

/* One channel's time in a half. */
typedef struct relay_tenure {
    relay_owner owner;       /* means something while the half is held */
    relay_counters counters; /* of all channels that have left */
    uint32_t recycled;       /* successions so far */
} relay_tenure;

/* One half of a virtual connection. */
typedef struct relay_holding {
    relay_tenure tenure[2]; /* the present one, and room for the next */
    uint32_t at;    /* the lowest bit: which is the present one */
    uint32_t state; /* relay_half_state */
    int32_t status; /* FAILED: why */
    bool successor; /* came by IN_R1 or OUT_R1 and is not open yet */
} relay_holding;

/* What an entry is about; guarded by its shard. */
typedef struct relay_vc {
    rpch_cookie cookie;
    relay_hash identity;
    uint32_t kind; /* relay_kind */
    bool was_open; /* both halves were open once */
    bool left;     /* a half has left: cause and first_to_leave hold */
    bool elsewhere; /* a half is or was at another proxy: calls is not all */
    uint8_t first_to_leave;
    relay_holding half[2];
    relay_addr address;
    rpch_msec since;
    char cause[RELAY_CAUSE_MAX];
} relay_vc;

/* How far an entry is. */
typedef enum relay_use {
    RELAY_USE_FREE = 0, /* nobody's */
    RELAY_USE_MAKING,   /* taken by a claim that has not finished */
    RELAY_USE_LIVE      /* its vc is valid */
} relay_use;

typedef struct relay_entry {
    /* Written under the ledger; use, bucket and generation are read without
     * it, hence atomically. MAKING becomes LIVE under the shard. */
    uint32_t use;        /* relay_use */
    uint32_t bucket;     /* its chain, which implies its shard */
    uint32_t generation; /* never 0 once taken */
    uint32_t next_free;
    uint32_t account[2][RELAY_ACCOUNT_KINDS]; /* links, by relay_dir */

    uint64_t touched; /* atomic */
    relay_calls calls;

    uint32_t next; /* link in its chain; guarded by the shard */
    relay_vc vc;
} relay_entry;

typedef struct relay_shard {
    pthread_mutex_t lock;
    uint32_t open; /* entries with both halves open; read atomically */
} __attribute__((aligned(64))) relay_shard;

/* A list of things, some never used. */
typedef struct relay_stock {
    uint32_t made; /* used at least once: the indexes below it */
    uint32_t free; /* link to the first free one */
    uint32_t used;
} relay_stock;

typedef struct relay_ledger {
    pthread_mutex_t lock;
    relay_stock entries;
    relay_stock accounts[RELAY_ACCOUNT_KINDS];
    uint32_t halves[2];
} relay_ledger;

/* A registered child. The nonce's low bits are the slot's number, so that a
 * holder is found without a search. */
typedef struct relay_slot {
    uint32_t pid;   /* 0: free slot */
    uint64_t nonce; /* 0: left, waits for the sweep; atomic */
} relay_slot;

struct relay_table {
    /* These stay first, whatever the version. */
    uint32_t magic;
    uint32_t version;
    uint32_t table_size; /* of this struct */
    uint32_t entry_size;
    uint32_t max;

    uint32_t buckets; /* of entries, and of each kind of account: 2^n */
    int32_t creator;  /* pid of the process that unmaps it */
    size_t size;      /* of the mapping */
    uint8_t key[2][16];

    /* Atomic. */
    uint64_t claims;
    uint64_t refused;
    uint64_t reaped;
    uint64_t recycled_r1;
    uint64_t recycled_r2;
    uint64_t departures; /* grows when holders may have died */
    uint64_t swept;      /* departures that a whole reap has seen */

    pthread_mutex_t children_lock;
    relay_slot child[RELAY_CHILDREN_MAX];
    relay_ledger ledger;
    relay_shard shard[RELAY_SHARDS];

    relay_entry *entry;     /* max */
    uint32_t *entry_bucket; /* links */
    relay_account *account[RELAY_ACCOUNT_KINDS]; /* 2 * max each */
    uint32_t *account_bucket[RELAY_ACCOUNT_KINDS];
};

/* Keeps the compiler from moving stores across: what a repair reads after
 * the death of the writer must have been written in this order. */
static inline void relay_in_order(void)
{
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
}

/* The present tenure of a half. Under its shard. */
static inline relay_tenure *relay_tenure_of(relay_holding *h)
{
    return &h->tenure[h->at & 1];
}

/* --- table.c --- */

/* Like relay_entry_lock, but NULL also when owner does not hold half dir. */
relay_entry *relay_entry_lock_held(relay_table *t, relay_ref ref,
                                   relay_dir dir, const relay_owner *owner);

/* Half dir of e is held no more: settles it or, when it was the last, fills
 * *out and frees e (true). Under its shard. */
bool relay_entry_left(relay_table *t, relay_entry *e, relay_dir dir,
                      relay_summary *out);

/* --- table_recycle.c --- */

/* Adds what a channel passed to the counters of h. Under its shard. */
void relay_half_count(relay_holding *h, const relay_counters *counters);

/* Writes the tenure that follows the present one; nothing shows yet. Under
 * the half's shard. */
void relay_half_prepare(relay_holding *h, const relay_owner *to,
                        const relay_counters *counters);

/* The tenure prepared is the present one. Under the half's shard. */
void relay_half_pass(relay_holding *h);

/* --- table_shard.c --- */

/* Makes *m a process-shared robust mutex. */
apr_status_t relay_lock_init(pthread_mutex_t *m);

/* Takes *m; true when its last holder died in it: repair what it guards,
 * then pthread_mutex_consistent. */
bool relay_lock(pthread_mutex_t *m);

/* Takes the lock of a shard; repairs it when its last holder died inside. */
void relay_shard_lock(relay_table *t, uint32_t shard);

/* Gives it back. */
void relay_shard_unlock(relay_table *t, uint32_t shard);

/* The shard of a bucket. */
static inline uint32_t relay_shard_of(uint32_t bucket)
{
    return bucket % RELAY_SHARDS;
}

/* The bucket of a cookie. Keyed: clients choose their cookies. */
uint32_t relay_bucket_of(const relay_table *t, const rpch_cookie *vc);

/* The entry of a link; NULL for none (or a link that cannot be). */
relay_entry *relay_entry_at(const relay_table *t, uint32_t link);

/* What names e. */
relay_ref relay_entry_ref(const relay_table *t, const relay_entry *e);

/* The live entry of vc, or NULL. Under its shard. */
relay_entry *relay_entry_find(relay_table *t, uint32_t bucket,
                              const rpch_cookie *vc);

/* The entry ref names, with its shard locked; NULL and nothing locked when
 * it is gone. relay_entry_unlock gives it back. */
relay_entry *relay_entry_lock(relay_table *t, relay_ref ref);

/* Unlocks the shard of bucket (an entry's own may have changed meanwhile). */
void relay_entry_unlock(relay_table *t, uint32_t bucket);

/* Puts e, whose vc is complete, into its chain: it is LIVE. Under its shard. */
void relay_entry_publish(relay_table *t, relay_entry *e);

/* Takes e out of its chain and frees it. Under its shard. */
void relay_entry_drop(relay_table *t, relay_entry *e);

/* True when a channel holds that half. */
bool relay_half_held(const relay_holding *h);

/* True when a channel holds any half of e. */
bool relay_entry_held(const relay_entry *e);

/* A half gets state; keeps the count of open entries. Under its shard. */
void relay_half_set(relay_table *t, relay_entry *e, relay_dir dir,
                    relay_half_state state);

/* A half ends: FAILED, the first cause is kept. The caller drops the entry or
 * settles the half. Under its shard. */
void relay_half_end(relay_table *t, relay_entry *e, relay_dir dir, int status,
                    const char *cause);

/* Describes a half. Under its shard. */
void relay_half_describe(relay_holding *h, relay_peer *out);

/* --- table_limit.c --- */

/* Takes the ledger's lock; repairs it when its last holder died inside. */
void relay_ledger_lock(relay_table *t);

/* Gives it back. */
void relay_ledger_unlock(relay_table *t);

/* Books the half that c asks for, against its user and its address. *e: the
 * entry, or NULL to take a free one for bucket, MAKING. RELAY_CLAIM_FIRST or
 * _SECOND, or the limit that is reached: then nothing was changed. Under the
 * shard of bucket. */
relay_claim_result relay_ledger_admit(relay_table *t, const relay_claim *c,
                                      uint32_t bucket, relay_entry **e);

/* Counts down what is booked for a half; nothing when nothing is. Under the
 * entry's shard. */
void relay_ledger_settle(relay_table *t, relay_entry *e, relay_dir dir);

/* Settles both halves and frees e. Under the entry's shard. */
void relay_ledger_discard(relay_table *t, relay_entry *e);

/* --- table_reap.c --- */

/* True when o belongs to a child that is registered. */
bool relay_owner_registered(const relay_table *t, const relay_owner *o);

#endif
