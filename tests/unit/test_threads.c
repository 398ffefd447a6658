/* SPDX-License-Identifier: Apache-2.0 */
/* test_threads.c - the threads of a child together, as it has them: workers
 * that make channels, one poller that drives them, a broker that brings them
 * links and wakes them, callers, and helpers that resolve names; made for the
 * thread sanitizer */
#include <pthread.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include "relay/broker.h"
#include "relay/clock.h"
#include "relay/link.h"
#include "relay/resolver.h"
#include "relay/sendq.h"
#include "fd_test.h"
#include "table_test.h"

enum {
    WORKERS = 3,
    CALLERS = 2,
    EACH = 120,      /* channels that a worker makes */
    AT_ONCE = 48,    /* channels of the poller, at most about */
    CONNECTIONS = 40 /* cookies that the channels claim */
};

typedef struct channel {
    relay_task task; /* first: a task is its channel */
    relay_mailbox box;
    relay_sendq queue;
    relay_lookup *lookup;
    relay_ref ref;
    relay_dir dir;
    relay_link link;
    uint32_t seed;
    uint8_t pushed;  /* the last byte put into the queue, and taken out */
    uint8_t taken;
    int drives;
} channel;

static relay_poller *poller;
static relay_registry *reg;
static relay_broker *broker;
static relay_resolver *resolver;
static relay_blocks *blocks;
static char dir[32];
static uint64_t last_number; /* atomic: of the channel made last */
static int ended_count;      /* atomic */
static int links_taken;
static int wrong;            /* atomic: what should not have happened */
static int done;             /* atomic: callers and service are to end */
static unsigned fds_before;

/* Resolves to one address, later or sooner. */
static int resolve(void *baton, const char *host, relay_addr *addrs, int room,
                   char *error, size_t size)
{
    struct sockaddr_in v4;
    int i;
    for (i = 0; i < host[0] - 'a'; i++)
        sched_yield();
    memset(&v4, 0, sizeof(v4));
    v4.sin_family = AF_INET;
    relay_addr_set(addrs, (struct sockaddr *)&v4, sizeof(v4));
    return 1;
}

static void setup(void)
{
    fds_before = open_fds();
    table_test_open(2 * CONNECTIONS);
    strcpy(dir, "/tmp/rpch-threads-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    ck_assert_int_eq(relay_poller_create(&poller, pool), APR_SUCCESS);
    ck_assert_int_eq(relay_registry_create(&reg, pool), APR_SUCCESS);
    ck_assert_int_eq(relay_broker_create(&broker, dir, &self, reg, pool),
                     APR_SUCCESS);
    ck_assert_int_eq(relay_blocks_create(&blocks, 8, pool), APR_SUCCESS);
    ck_assert_int_eq(relay_resolver_create(&resolver, 2, pool), APR_SUCCESS);
    relay_resolver_set_function(resolver, resolve, NULL);
}

static void teardown(void)
{
    size_t used, kept;
    relay_resolver_join(resolver);
    ck_assert_int_eq(wrong, 0);
    ck_assert_uint_eq(relay_registry_count(reg), 0);
    ck_assert_uint_eq(relay_poller_count(poller), 0);
    relay_blocks_count(blocks, &used, &kept);
    ck_assert_uint_eq(used, 0);
    check_empty();
    table_test_close();
    ck_assert_uint_eq(open_fds(), fds_before);
    ck_assert_int_eq(rmdir(dir), 0);
}

/* In place of an assertion, which writes to a file each time. */
static void expect(bool right)
{
    if (!right)
        __atomic_add_fetch(&wrong, 1, __ATOMIC_RELAXED);
}

static void take_mail(channel *ch)
{
    relay_msg m;
    int fd;
    ch->task.was_rung = false;
    while (relay_registry_take(reg, &ch->box, &fd, &m)) {
        links_taken++;
        relay_link_close(&ch->link);
        relay_link_adopt(&ch->link, fd);
    }
}

static void hear_link(channel *ch)
{
    uint8_t room[RELAY_MSG_SIZE_MAX];
    relay_msg m;
    int fd;
    apr_status_t rv;
    do {
        rv = relay_link_recv(&ch->link, room, &m, &fd);
    } while (rv == APR_SUCCESS);
    if (!APR_STATUS_IS_EAGAIN(rv))
        relay_link_close(&ch->link);
}

static void move_bytes(channel *ch)
{
    uint8_t some[9000];
    size_t n = roll(&ch->seed, sizeof(some)), i;
    const uint8_t *p;
    for (i = 0; i < n; i++)
        some[i] = ++ch->pushed;
    expect(relay_sendq_push(&ch->queue, some, n) == APR_SUCCESS);
    p = relay_sendq_front(&ch->queue, &n);
    for (i = 0; p && i < n; i++)
        expect(p[i] == (uint8_t)(ch->taken + i + 1));
    ch->taken += (uint8_t)n;
    relay_sendq_drop(&ch->queue, n);
}

static void claim_half(channel *ch)
{
    unsigned n = roll(&ch->seed, CONNECTIONS);
    relay_claim c;
    ch->dir = (relay_dir)roll(&ch->seed, 2);
    c = claim_of(n, ch->dir, "alice", "192.0.2.1");
    c.owner = channel_of(ch->box.number);
    relay_table_claim(table, &c, &ch->ref);
}

static void look_at_peer(channel *ch)
{
    relay_peer peer;
    if (!ch->ref.generation)
        return;
    relay_table_touch(table, ch->ref, (rpch_msec)ch->drives);
    relay_table_set_state(table, ch->ref, ch->dir, RELAY_HALF_OPEN);
    if (relay_table_peer(table, ch->ref, ch->dir, &peer) && peer.owner.pid)
        relay_broker_wake(dir, &self, &peer.owner, &(rpch_cookie){ { 0 } });
}

static void look_up(channel *ch)
{
    const relay_addr *addrs;
    const char *error;
    char host[3];
    relay_waker waker;
    int n;
    if (!ch->lookup) {
        host[0] = (char)('a' + roll(&ch->seed, 20));
        host[1] = (char)('a' + roll(&ch->seed, 3));
        host[2] = '\0';
        relay_registry_waker(reg, &ch->box, &waker);
        ch->lookup = relay_resolver_start(resolver, host, 593, &waker);
        expect(ch->lookup != NULL);
    } else if (relay_lookup_result(ch->lookup, &addrs, &n, &error)
               != APR_EAGAIN || roll(&ch->seed, 4) == 0) {
        relay_lookup_release(ch->lookup);
        ch->lookup = NULL;
    }
}

static void end(channel *ch)
{
    static const relay_counters none;
    relay_owner own = channel_of(ch->box.number);
    relay_summary summary;
    if (ch->lookup)
        relay_lookup_release(ch->lookup);
    if (ch->ref.generation)
        relay_table_release(table, ch->ref, ch->dir, &own, &none,
                            RPCH_E_CLOSED, "done", &summary);
    relay_link_close(&ch->link);
    relay_sendq_clear(&ch->queue);
    relay_registry_leave(reg, &ch->box);
}

static bool drive(relay_task *t, const short *revents, rpch_msec now,
                  struct pollfd *fds, rpch_msec *at)
{
    channel *ch = (channel *)t;
    if (ch->drives++ == 0)
        claim_half(ch);
    if (t->was_rung)
        take_mail(ch);
    if (revents[2])
        hear_link(ch);
    look_up(ch);
    look_at_peer(ch);
    move_bytes(ch);
    if (ch->drives > 4 && roll(&ch->seed, 8) == 0) {
        end(ch);
        return false;
    }
    fds[2].fd = ch->link.fd;
    fds[2].events = POLLIN;
    *at = now + roll(&ch->seed, 3);
    return true;
}

static void ended(relay_task *t)
{
    free(t);
    __atomic_add_fetch(&ended_count, 1, __ATOMIC_RELEASE);
}

/* Makes channels, as the handler and the hook after it do: between the two
 * they can be found already. */
static void *work(void *number)
{
    uint32_t seed = *(uint32_t *)number;
    int i;
    for (i = 0; i < EACH; i++) {
        channel *ch = calloc(1, sizeof(*ch));
        while (relay_poller_count(poller) > AT_ONCE)
            sched_yield();
        ch->task.drive = drive;
        ch->task.ended = ended;
        ch->seed = roll(&seed, 1000000);
        relay_link_init(&ch->link);
        relay_sendq_init(&ch->queue, blocks);
        relay_registry_enter(reg, &ch->box, &ch->task);
        __atomic_store_n(&last_number, ch->box.number, __ATOMIC_RELEASE);
        if (roll(&seed, 2))
            sched_yield();
        relay_poller_add(poller, &ch->task);
    }
    return NULL;
}

/* Some channel that may be there. */
static uint64_t some_number(uint32_t *seed)
{
    uint64_t last = __atomic_load_n(&last_number, __ATOMIC_ACQUIRE);
    uint64_t back = roll(seed, AT_ONCE);
    return last > back ? last - back : last;
}

/* Goes to the broker as a channel of another child would. */
static void join(uint64_t number)
{
    char path[128];
    relay_link l;
    relay_msg m;
    relay_link_init(&l);
    relay_broker_path(dir, &self, path, sizeof(path));
    if (relay_link_connect(&l, path) != APR_SUCCESS)
        return;
    memset(&m, 0, sizeof(m));
    m.type = RELAY_MSG_HELLO;
    relay_link_send(&l, &m, -1);
    m.type = RELAY_MSG_JOIN;
    m.channel = number;
    relay_link_send(&l, &m, -1);
    m.type = RELAY_MSG_END;
    relay_link_send(&l, &m, -1);
    relay_link_close(&l);
}

/* Hands over one end of a pair without the broker. */
static void deliver(uint64_t number)
{
    relay_msg m;
    int pair[2];
    memset(&m, 0, sizeof(m));
    m.type = RELAY_MSG_JOIN;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
        return;
    if (!relay_registry_deliver(reg, number, pair[0], &m))
        close(pair[0]);
    close(pair[1]);
}

static void *call(void *number)
{
    uint32_t seed = *(uint32_t *)number;
    while (!__atomic_load_n(&done, __ATOMIC_ACQUIRE)) {
        relay_owner owner = channel_of(some_number(&seed));
        switch (roll(&seed, 4)) {
        case 0:
            join(owner.channel);
            break;
        case 1:
            deliver(owner.channel);
            break;
        case 2:
            relay_registry_wake(reg, owner.channel);
            break;
        default:
            relay_broker_wake(dir, &self, &owner, &(rpch_cookie){ { 0 } });
            break;
        }
    }
    return NULL;
}

static void *serve(void *unused)
{
    while (!__atomic_load_n(&done, __ATOMIC_ACQUIRE)) {
        relay_broker_serve(broker, 20);
        relay_registry_wake_all(reg);
        relay_poller_wake(poller);
        relay_poller_ring_all(poller);
        relay_table_reap(table, NULL, NULL);
    }
    return NULL;
}

START_TEST(test_threads_child)
{
    pthread_t worker[WORKERS], caller[CALLERS], service;
    uint32_t seed[WORKERS + CALLERS];
    int i;
    for (i = 0; i < WORKERS + CALLERS; i++)
        seed[i] = 100u + (uint32_t)i;
    ck_assert_int_eq(pthread_create(&service, NULL, serve, NULL), 0);
    for (i = 0; i < WORKERS; i++)
        ck_assert_int_eq(pthread_create(&worker[i], NULL, work, &seed[i]), 0);
    for (i = 0; i < CALLERS; i++)
        ck_assert_int_eq(pthread_create(&caller[i], NULL, call,
                                        &seed[WORKERS + i]), 0);
    while (__atomic_load_n(&ended_count, __ATOMIC_ACQUIRE) < WORKERS * EACH)
        relay_poller_turn(poller, 1000);
    for (i = 0; i < WORKERS; i++)
        pthread_join(worker[i], NULL);
    __atomic_store_n(&done, 1, __ATOMIC_RELEASE);
    relay_broker_interrupt(broker);
    for (i = 0; i < CALLERS; i++)
        pthread_join(caller[i], NULL);
    pthread_join(service, NULL);
    /* Who called last may still wait at the broker's door. */
    relay_broker_serve(broker, 0);
    ck_assert_int_gt(links_taken, 0);
}
END_TEST

enum { QUEUE_THREADS = 4, QUEUE_ROUNDS = 1500 };

static void *queue_bytes(void *number)
{
    channel ch;
    int i;
    memset(&ch, 0, sizeof(ch));
    ch.seed = *(uint32_t *)number;
    relay_sendq_init(&ch.queue, blocks);
    for (i = 0; i < QUEUE_ROUNDS; i++) {
        size_t used, kept;
        move_bytes(&ch);
        relay_blocks_count(blocks, &used, &kept);
        expect(kept <= 8);
        if (roll(&ch.seed, 50) == 0) {
            relay_sendq_clear(&ch.queue);
            ch.pushed = ch.taken = 0;
        }
    }
    relay_sendq_clear(&ch.queue);
    return NULL;
}

/* Blocks go through one freelist, bytes stay where they are. */
START_TEST(test_threads_queues)
{
    pthread_t thread[QUEUE_THREADS];
    uint32_t seed[QUEUE_THREADS];
    int i;
    for (i = 0; i < QUEUE_THREADS; i++) {
        seed[i] = 7u + (uint32_t)i;
        ck_assert_int_eq(pthread_create(&thread[i], NULL, queue_bytes,
                                        &seed[i]), 0);
    }
    for (i = 0; i < QUEUE_THREADS; i++)
        pthread_join(thread[i], NULL);
}
END_TEST

enum { HALVES_ROUNDS = 3000 };

/* One direction of every connection: whoever claims it releases it. */
static void *claim_halves(void *number)
{
    static const relay_counters one = { 10, 1 };
    uint32_t seed = *(uint32_t *)number;
    relay_summary summary;
    int i;
    for (i = 0; i < HALVES_ROUNDS; i++) {
        channel ch;
        relay_owner own;
        relay_peer peer;
        memset(&ch, 0, sizeof(ch));
        ch.seed = roll(&seed, 1000000);
        ch.box.number = (uint64_t)*(uint32_t *)number * HALVES_ROUNDS
                        + (uint64_t)i;
        claim_half(&ch);
        if (!ch.ref.generation)
            continue;
        relay_table_touch(table, ch.ref, (rpch_msec)i);
        relay_table_call_began(table, ch.ref);
        expect(relay_table_peer(table, ch.ref, ch.dir, &peer));
        relay_table_calls_ended(table, ch.ref, 1);
        own = channel_of(ch.box.number);
        relay_table_release(table, ch.ref, ch.dir, &own, &one, RPCH_E_CLOSED,
                            "done", &summary);
    }
    return NULL;
}

START_TEST(test_threads_table)
{
    pthread_t thread[QUEUE_THREADS];
    uint32_t seed[QUEUE_THREADS];
    int i;
    for (i = 0; i < QUEUE_THREADS; i++) {
        seed[i] = 1u + (uint32_t)i;
        ck_assert_int_eq(pthread_create(&thread[i], NULL, claim_halves,
                                        &seed[i]), 0);
    }
    for (i = 0; i < 200; i++) {
        relay_table_reap(table, NULL, NULL);
        ck_assert_uint_le(stats_now().entries, 2 * CONNECTIONS);
        sched_yield();
    }
    for (i = 0; i < QUEUE_THREADS; i++)
        pthread_join(thread[i], NULL);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("threads");
    TCase *tc = tcase_create("a child");
    apr_initialize();
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, test_threads_child);
    tcase_add_test(tc, test_threads_queues);
    tcase_add_test(tc, test_threads_table);
    suite_add_tcase(s, tc);
    return test_main(s);
}
