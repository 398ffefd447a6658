/* SPDX-License-Identifier: Apache-2.0 */
/* test_registry.c - mailboxes: numbers, waking, links delivered and taken,
 * and that no descriptor is left */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include <apr_general.h>

#include "relay/registry.h"
#include "fd_test.h"

static apr_pool_t *pool;
static relay_registry *reg;

static void setup(void)
{
    ck_assert_int_eq(apr_pool_create(&pool, NULL), APR_SUCCESS);
    ck_assert_int_eq(relay_registry_create(&reg, pool), APR_SUCCESS);
}

static void teardown(void)
{
    apr_pool_destroy(pool);
}

static bool rung(const relay_mailbox *box)
{
    struct pollfd p;
    p.fd = box->event_fd;
    p.events = POLLIN;
    return poll(&p, 1, 0) == 1;
}

static int some_fd(void)
{
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    return fd;
}

static bool is_open(int fd)
{
    return fcntl(fd, F_GETFD) >= 0;
}

static relay_msg join_of(uint8_t tag)
{
    static const uint8_t somewhere[20];
    relay_msg m;
    memset(&m, 0, sizeof(m));
    m.type = RELAY_MSG_JOIN;
    m.vc.b[0] = tag;
    m.pdu = somewhere;
    m.pdu_len = sizeof(somewhere);
    m.data = somewhere;
    m.data_len = sizeof(somewhere);
    return m;
}

START_TEST(test_registry_numbers)
{
    relay_mailbox a, b;
    unsigned fds = open_fds();
    uint64_t first;
    ck_assert_uint_eq(relay_registry_count(reg), 0);
    ck_assert_int_eq(relay_registry_enter(reg, &a, NULL), APR_SUCCESS);
    ck_assert_int_eq(relay_registry_enter(reg, &b, NULL), APR_SUCCESS);
    ck_assert_uint_ne(a.number, 0);
    ck_assert_uint_ne(a.number, b.number);
    ck_assert_uint_eq(relay_registry_count(reg), 2);
    ck_assert(fcntl(a.event_fd, F_GETFD) & FD_CLOEXEC);
    ck_assert(fcntl(a.event_fd, F_GETFL) & O_NONBLOCK);
    first = a.number;
    relay_registry_leave(reg, &a);
    ck_assert(!relay_registry_wake(reg, first));
    ck_assert_int_eq(relay_registry_enter(reg, &a, NULL), APR_SUCCESS);
    ck_assert_uint_gt(a.number, b.number);
    relay_registry_leave(reg, &b);
    relay_registry_leave(reg, &a);
    ck_assert_uint_eq(relay_registry_count(reg), 0);
    ck_assert_uint_eq(open_fds(), fds);
}
END_TEST

START_TEST(test_registry_wake)
{
    relay_mailbox a, b;
    relay_msg m;
    int fd = -1;
    relay_registry_enter(reg, &a, NULL);
    relay_registry_enter(reg, &b, NULL);
    ck_assert(!rung(&a));
    ck_assert(relay_registry_wake(reg, a.number));
    ck_assert(relay_registry_wake(reg, a.number));
    ck_assert(!relay_registry_wake(reg, b.number + 1));
    ck_assert(!relay_registry_wake(reg, 0));
    ck_assert(rung(&a));
    ck_assert(!rung(&b));
    ck_assert(!relay_registry_take(reg, &a, &fd, &m));
    ck_assert_int_eq(fd, -1);
    ck_assert(!rung(&a));
    relay_registry_wake_all(reg);
    ck_assert(rung(&a));
    ck_assert(rung(&b));
    relay_registry_leave(reg, &a);
    relay_registry_leave(reg, &b);
}
END_TEST

START_TEST(test_registry_deliver)
{
    relay_mailbox box;
    relay_msg m;
    int fd[RELAY_MAILBOX_LINKS_MAX];
    int extra, got;
    int i;
    relay_registry_enter(reg, &box, NULL);
    for (i = 0; i < RELAY_MAILBOX_LINKS_MAX; i++) {
        fd[i] = some_fd();
        m = join_of((uint8_t)i);
        ck_assert(relay_registry_deliver(reg, box.number, fd[i], &m));
    }
    extra = some_fd();
    ck_assert(!relay_registry_deliver(reg, box.number, extra, &m));
    ck_assert(!relay_registry_deliver(reg, box.number + 1, extra, &m));
    ck_assert(is_open(extra));
    ck_assert(rung(&box));
    for (i = 0; i < RELAY_MAILBOX_LINKS_MAX; i++) {
        ck_assert(relay_registry_take(reg, &box, &got, &m));
        ck_assert_int_eq(got, fd[i]);
        ck_assert_uint_eq(m.vc.b[0], (uint8_t)i);
        ck_assert_ptr_null(m.pdu);
        ck_assert_uint_eq(m.pdu_len, 0);
        ck_assert_ptr_null(m.data);
        ck_assert_uint_eq(m.data_len, 0);
        close(got);
    }
    ck_assert(!relay_registry_take(reg, &box, &got, &m));
    ck_assert(!rung(&box));
    ck_assert(relay_registry_deliver(reg, box.number, extra, &m));
    relay_registry_leave(reg, &box);
    ck_assert(!is_open(extra));
}
END_TEST

/* All in few buckets: neighbours in a chain do not disturb each other. */
START_TEST(test_registry_many)
{
    enum { N = 600 };
    static relay_mailbox box[N];
    unsigned fds = open_fds();
    int i;
    for (i = 0; i < N; i++) {
        ck_assert_int_eq(relay_registry_enter(reg, &box[i], NULL), APR_SUCCESS);
    }
    for (i = 0; i < N; i += 2) {
        relay_registry_leave(reg, &box[i]);
    }
    for (i = 0; i < N; i++) {
        ck_assert_int_eq(relay_registry_wake(reg, box[i].number), i % 2);
    }
    ck_assert_uint_eq(relay_registry_count(reg), N / 2);
    for (i = 1; i < N; i += 2) {
        ck_assert(rung(&box[i]));
        relay_registry_leave(reg, &box[i]);
    }
    ck_assert_uint_eq(open_fds(), fds);
}
END_TEST

/* A channel that a poller drives: it takes its mail when it was rung. */
typedef struct rung_task {
    relay_task task;
    relay_mailbox box;
    int drives;
    int links;
    bool over;
} rung_task;

static bool drive(relay_task *t, const short *revents, rpch_msec now,
                  struct pollfd *fds, rpch_msec *at)
{
    rung_task *r = (rung_task *)t;
    relay_msg m;
    int fd;
    r->drives++;
    while (t->was_rung && relay_registry_take(reg, &r->box, &fd, &m)) {
        close(fd);
        r->links++;
    }
    t->was_rung = false;
    if (r->over) {
        relay_registry_leave(reg, &r->box);
    }
    return !r->over;
}

static void ended(relay_task *t)
{
}

static void enter_with_bell(rung_task *r)
{
    memset(r, 0, sizeof(*r));
    r->task.drive = drive;
    r->task.ended = ended;
    ck_assert_int_eq(relay_registry_enter(reg, &r->box, &r->task),
                     APR_SUCCESS);
    ck_assert_int_eq(r->box.event_fd, -1);
}

/* With a bell there is no eventfd, and whatever came before the task was added
 * is found in its first drive. */
START_TEST(test_registry_bell)
{
    relay_poller *p;
    rung_task r;
    relay_msg m = join_of(1);
    unsigned fds;
    uint64_t number;
    ck_assert_int_eq(relay_poller_create(&p, pool), APR_SUCCESS);
    fds = open_fds();
    enter_with_bell(&r);
    ck_assert_uint_eq(open_fds(), fds);
    number = r.box.number;
    ck_assert(relay_registry_deliver(reg, number, some_fd(), &m));
    relay_registry_wake_all(reg);
    relay_poller_add(p, &r.task);
    relay_poller_turn(p, 1000);
    ck_assert_int_eq(r.drives, 1);
    ck_assert_int_eq(r.links, 1);
    ck_assert(relay_registry_deliver(reg, number, some_fd(), &m));
    ck_assert(relay_registry_deliver(reg, number, some_fd(), &m));
    relay_poller_turn(p, 1000);
    ck_assert_int_eq(r.drives, 2);
    ck_assert_int_eq(r.links, 3);
    ck_assert(relay_registry_wake(reg, number));
    relay_poller_turn(p, 1000);
    ck_assert_int_eq(r.drives, 3);
    r.over = true;
    relay_registry_wake_all(reg);
    relay_poller_turn(p, 1000);
    ck_assert_int_eq(r.drives, 4);
    ck_assert(!relay_registry_wake(reg, number));
    relay_poller_turn(p, 0);
    ck_assert_int_eq(r.drives, 4);
    ck_assert_uint_eq(open_fds(), fds);
}
END_TEST

/* A waker finds its channel by the number, or nobody. */
START_TEST(test_registry_waker)
{
    relay_mailbox a, b;
    relay_waker waker;
    relay_registry_enter(reg, &a, NULL);
    relay_registry_enter(reg, &b, NULL);
    relay_registry_waker(reg, &b, &waker);
    waker.fn(waker.baton, waker.number);
    ck_assert(!rung(&a));
    ck_assert(rung(&b));
    relay_registry_leave(reg, &b);
    waker.fn(waker.baton, waker.number);
    ck_assert(!rung(&a));
    relay_registry_leave(reg, &a);
}
END_TEST

#define DELIVERIES 2000

static uint64_t number_now; /* of the box that is there; atomic */

/* Delivers and wakes without knowing whether anybody is there. */
static void *deliver_thread(void *accepted)
{
    int i;
    for (i = 0; i < DELIVERIES; i++) {
        uint64_t n = __atomic_load_n(&number_now, __ATOMIC_ACQUIRE);
        relay_msg m = join_of((uint8_t)i);
        int fd = some_fd();
        if (relay_registry_deliver(reg, n, fd, &m)) {
            __atomic_add_fetch((int *)accepted, 1, __ATOMIC_RELAXED);
        }
        else {
            close(fd);
        }
        relay_registry_wake(reg, n);
        relay_registry_wake_all(reg);
    }
    __atomic_store_n(&number_now, UINT64_MAX, __ATOMIC_RELEASE);
    return NULL;
}

START_TEST(test_registry_threads)
{
    pthread_t thread;
    unsigned fds = open_fds();
    int accepted = 0, taken = 0, dropped = 0;
    bool more = true;
    ck_assert_int_eq(pthread_create(&thread, NULL, deliver_thread, &accepted),
                     0);
    while (more) {
        relay_mailbox box;
        relay_msg m;
        int fd;
        uint64_t before = __atomic_load_n(&number_now, __ATOMIC_ACQUIRE);
        more = before != UINT64_MAX;
        ck_assert_int_eq(relay_registry_enter(reg, &box, NULL), APR_SUCCESS);
        if (more) {
            __atomic_compare_exchange_n(&number_now, &before, box.number,
                                        false, __ATOMIC_ACQ_REL,
                                        __ATOMIC_RELAXED);
        }
        while (relay_registry_take(reg, &box, &fd, &m)) {
            close(fd);
            taken++;
        }
        relay_registry_leave(reg, &box);
    }
    pthread_join(thread, NULL);
    dropped = accepted - taken;
    ck_assert_int_ge(dropped, 0);
    ck_assert_uint_eq(relay_registry_count(reg), 0);
    ck_assert_uint_eq(open_fds(), fds);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("registry");
    TCase *tc = tcase_create("mailboxes");
    apr_initialize();
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, test_registry_numbers);
    tcase_add_test(tc, test_registry_wake);
    tcase_add_test(tc, test_registry_deliver);
    tcase_add_test(tc, test_registry_many);
    tcase_add_test(tc, test_registry_bell);
    tcase_add_test(tc, test_registry_waker);
    tcase_add_test(tc, test_registry_threads);
    suite_add_tcase(s, tc);
    return test_main(s);
}
