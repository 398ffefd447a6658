/* SPDX-License-Identifier: Apache-2.0 */
/* test_resolver.c - names to addresses in helper threads: answers, wakes,
 * names that hang, and waiters that walk away */
#include "rpch_test.h"

#include <apr_general.h>
#include <sched.h>

#include "relay/resolver.h"

#include "relay_gate.h"

static apr_pool_t *pool;
static relay_resolver *r;
static gate g;
static int efd;

static const relay_addr *addrs;
static int naddrs;
static const char *error;

static void setup(void)
{
    ck_assert_int_eq(apr_initialize(), APR_SUCCESS);
    ck_assert_int_eq(apr_pool_create(&pool, NULL), APR_SUCCESS);
    ck_assert_int_eq(relay_resolver_create(&r, 2, pool), APR_SUCCESS);
    gate_init(&g);
    relay_resolver_set_function(r, gate_resolve, &g);
    efd = new_eventfd();
}

static void teardown(void)
{
    gate_open(&g);
    if (r)
        relay_resolver_join(r);
    gate_destroy(&g);
    close(efd);
    apr_pool_destroy(pool);
    apr_terminate();
}

static apr_status_t result(relay_lookup *l)
{
    return relay_lookup_result(l, &addrs, &naddrs, &error);
}

static relay_lookup *start(const char *host)
{
    relay_lookup *l = relay_resolver_start(r, host, 593, GATE_WAKER(efd));
    ck_assert_ptr_nonnull(l);
    return l;
}

static void check_addr(int i, const char *text)
{
    char got[RELAY_ADDR_TEXT_SIZE];
    ck_assert_int_lt(i, naddrs);
    ck_assert_str_eq(relay_addr_text(&addrs[i], got), text);
}

/* Literals are answered within the call, even when all helpers hang, and
 * nobody needs to be woken. */
START_TEST(test_resolver_literals)
{
    static const char *const cases[][2] = {
        { "127.0.0.1", "127.0.0.1:593" },
        { "192.0.2.77", "192.0.2.77:593" },
        { "::1", "[::1]:593" },
        { "2001:DB8::0:1", "[2001:db8::1]:593" },
        { "::ffff:192.0.2.1", "[::ffff:192.0.2.1]:593" },
    };
    relay_lookup *h1 = start("hang1"), *h2 = start("hang2"), *l;
    size_t i;

    gate_await(&g, 2);
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        l = start(cases[i][0]);
        ck_assert_uint_eq(eventfd_take(efd), 0);
        ck_assert_int_eq(result(l), APR_SUCCESS);
        ck_assert_int_eq(naddrs, 1);
        ck_assert_ptr_null(error);
        check_addr(0, cases[i][1]);
        relay_lookup_release(l);
    }
    l = start("1::2::3");
    ck_assert_uint_eq(eventfd_take(efd), 0);
    ck_assert_int_eq(result(l), APR_ENOENT);
    ck_assert_ptr_null(addrs);
    ck_assert_uint_gt(strlen(error), 0);
    relay_lookup_release(l);
    ck_assert_int_eq(gate_calls(&g), 2);
    relay_lookup_release(h1);
    relay_lookup_release(h2);
}
END_TEST

START_TEST(test_resolver_name)
{
    relay_lookup *l = start("ex_192.0.2.1_2001-db8--1_192.0.2.2");

    ck_assert(await_readable(efd));
    ck_assert_uint_eq(eventfd_take(efd), 1);
    ck_assert_int_eq(result(l), APR_SUCCESS);
    ck_assert_int_eq(naddrs, 3);
    check_addr(0, "192.0.2.1:593");
    check_addr(1, "[2001:db8::1]:593");
    check_addr(2, "192.0.2.2:593");
    ck_assert(g.signals_blocked);
    relay_lookup_release(l);
}
END_TEST

START_TEST(test_resolver_name_without_address)
{
    relay_lookup *l = start("none");

    ck_assert(await_readable(efd));
    ck_assert_uint_eq(eventfd_take(efd), 1);
    ck_assert_int_eq(result(l), APR_ENOENT);
    ck_assert_ptr_null(addrs);
    ck_assert_int_eq(naddrs, 0);
    ck_assert_str_eq(error, "No such host is known");
    relay_lookup_release(l);
}
END_TEST

/* By the system's own function; what it knows without asking a network. */
START_TEST(test_resolver_system)
{
    relay_lookup *l;
    int i;

    relay_resolver_set_function(r, NULL, NULL);
    l = start("localhost");
    ck_assert(await_readable(efd));
    ck_assert_int_eq(result(l), APR_SUCCESS);
    ck_assert_int_ge(naddrs, 1);
    ck_assert_int_le(naddrs, RELAY_LOOKUP_ADDRS_MAX);
    for (i = 0; i < naddrs; i++) {
        char text[RELAY_ADDR_TEXT_SIZE];
        relay_addr_text(&addrs[i], text);
        ck_assert_msg(strcmp(text, "[::1]:593") == 0
                      || strncmp(text, "127.", 4) == 0, "%s", text);
        ck_assert(i == 0 || !relay_addr_equal(&addrs[0], &addrs[i]));
    }
    relay_lookup_release(l);
    eventfd_take(efd);

    l = start("");
    ck_assert(await_readable(efd));
    ck_assert_int_eq(result(l), APR_ENOENT);
    ck_assert_uint_gt(strlen(error), 0);
    relay_lookup_release(l);
}
END_TEST

/* However many ask for a name that hangs, it takes one helper and one call;
 * other names go on, and in the end all have the answer, with their ports. */
START_TEST(test_resolver_one_call_a_name)
{
    relay_lookup *l[10], *other;
    int i, fds[10], other_fd = new_eventfd();

    l[0] = start("hang_192.0.2.1");
    gate_await(&g, 1);
    for (i = 1; i < 10; i++) {
        fds[i] = new_eventfd();
        l[i] = relay_resolver_start(r, i % 2 ? "HANG_192.0.2.1"
                                             : "hang_192.0.2.1",
                                    (unsigned short)(6000 + i),
                                    GATE_WAKER(fds[i]));
        ck_assert_ptr_nonnull(l[i]);
    }
    other = relay_resolver_start(r, "other", 593, GATE_WAKER(other_fd));
    ck_assert(await_readable(other_fd));
    ck_assert_int_eq(result(other), APR_SUCCESS);
    for (i = 0; i < 10; i++)
        ck_assert_int_eq(result(l[i]), APR_EAGAIN);
    gate_open(&g);
    for (i = 1; i < 10; i++) {
        char want[RELAY_ADDR_TEXT_SIZE];
        ck_assert(await_readable(fds[i]));
        ck_assert_uint_eq(eventfd_take(fds[i]), 1);
        ck_assert_int_eq(result(l[i]), APR_SUCCESS);
        snprintf(want, sizeof(want), "192.0.2.1:%d", 6000 + i);
        check_addr(0, want);
        relay_lookup_release(l[i]);
    }
    ck_assert(await_readable(efd));
    ck_assert_int_eq(result(l[0]), APR_SUCCESS);
    relay_lookup_release(l[0]);
    relay_lookup_release(other);
    relay_resolver_join(r);
    r = NULL;
    ck_assert_uint_eq(eventfd_take(efd), 1);
    for (i = 1; i < 10; i++) {
        ck_assert_uint_eq(eventfd_take(fds[i]), 0);
        close(fds[i]);
    }
    close(other_fd);
    ck_assert_int_eq(g.calls, 2);
}
END_TEST

/* A lookup released while it runs or waits wakes nobody; who waits for the
 * same name is served all the same. */
START_TEST(test_resolver_released)
{
    int before = open_fds(), kept_fd;
    relay_lookup *run = start("hang1"), *queued, *kept;

    gate_await(&g, 1);
    kept_fd = new_eventfd();
    queued = start("hang1");
    kept = relay_resolver_start(r, "hang1", 593, GATE_WAKER(kept_fd));
    relay_lookup_release(run);
    relay_lookup_release(queued);
    ck_assert_int_eq(open_fds(), before + 1);
    gate_open(&g);
    ck_assert(await_readable(kept_fd));
    ck_assert_int_eq(result(kept), APR_SUCCESS);
    relay_lookup_release(kept);
    relay_resolver_join(r);
    r = NULL;
    ck_assert_uint_eq(eventfd_take(efd), 0);
    ck_assert_uint_eq(eventfd_take(kept_fd), 1);
    close(kept_fd);
    ck_assert_int_eq(open_fds(), before);
}
END_TEST

/* The queue has an end; who leaves it makes room. */
START_TEST(test_resolver_queue_bounded)
{
    relay_lookup *l[RELAY_LOOKUP_QUEUE_MAX + 2];
    char name[32];
    int i, n = 0, fds = open_fds();

    for (i = 0; i < 2; i++) {
        snprintf(name, sizeof(name), "hang%d", i);
        l[n++] = start(name);
    }
    gate_await(&g, 2);
    for (i = 0; i < RELAY_LOOKUP_QUEUE_MAX; i++) {
        snprintf(name, sizeof(name), "waits%d", i);
        l[n++] = start(name);
    }
    ck_assert_ptr_null(relay_resolver_start(r, "surplus", 593,
                                            GATE_WAKER(efd)));
    relay_lookup_release(l[500]);
    l[500] = start("surplus");
    ck_assert_ptr_null(relay_resolver_start(r, "surplus", 593,
                                            GATE_WAKER(efd)));
    gate_open(&g);
    for (i = 0; i < n; i++) {
        while (result(l[i]) == APR_EAGAIN)
            ck_assert(await_readable(efd) && eventfd_take(efd));
        relay_lookup_release(l[i]);
    }
    ck_assert_int_eq(gate_calls(&g), RELAY_LOOKUP_QUEUE_MAX + 2);
    ck_assert_int_eq(open_fds(), fds);
}
END_TEST

START_TEST(test_resolver_threads_out_of_range)
{
    relay_resolver *other;
    ck_assert_int_eq(relay_resolver_create(&other, 0, pool), APR_EINVAL);
    ck_assert_int_eq(relay_resolver_create(
                         &other, RELAY_RESOLVER_THREADS_MAX + 1, pool),
                     APR_EINVAL);
}
END_TEST

/* Threads of this process. */
static int threads(void)
{
    DIR *d = opendir("/proc/self/task");
    int n = -2; /* "." and ".." */
    ck_assert_ptr_nonnull(d);
    while (readdir(d))
        n++;
    closedir(d);
    return n;
}

/* The end of a child: the pool goes while helpers hang. It does not wait for
 * them; they end when they can, and lookups may be released afterwards. */
START_TEST(test_resolver_pool_destroyed)
{
    apr_pool_t *child;
    relay_resolver *other;
    relay_lookup *hanging, *left, *queued;
    rpch_msec until = relay_now() + GATE_PATIENCE;
    int before = threads();

    ck_assert_int_eq(apr_pool_create(&child, NULL), APR_SUCCESS);
    ck_assert_int_eq(relay_resolver_create(&other, 2, child), APR_SUCCESS);
    relay_resolver_set_function(other, gate_resolve, &g);
    hanging = relay_resolver_start(other, "hang1", 593, GATE_WAKER(efd));
    left = relay_resolver_start(other, "hang2", 593, GATE_WAKER(efd));
    gate_await(&g, 2);
    queued = relay_resolver_start(other, "waits", 593, GATE_WAKER(efd));
    apr_pool_destroy(child);
    ck_assert_int_eq(threads(), before + 2);
    relay_lookup_release(left);
    gate_open(&g);
    while (threads() > before && relay_now() < until)
        sched_yield();
    ck_assert_int_eq(threads(), before);
    ck_assert_int_eq(result(hanging), APR_SUCCESS);
    relay_lookup_release(hanging);
    ck_assert_int_eq(result(queued), APR_EAGAIN);
    relay_lookup_release(queued);
}
END_TEST

#define STRESS_LOOKUPS 150

typedef struct stress {
    unsigned seed;
    int fds[STRESS_LOOKUPS];
    bool released[STRESS_LOOKUPS]; /* before the answer was seen */
    int wrong;
} stress;

/* Starts lookups and either waits for the answer or walks away. */
static void *stress_run(void *baton)
{
    stress *s = baton;
    int i;

    for (i = 0; i < STRESS_LOOKUPS; i++) {
        const relay_addr *a;
        const char *e;
        char name[16];
        int n;
        relay_lookup *l;
        snprintf(name, sizeof(name), "n%d", rand_r(&s->seed) % 5);
        s->fds[i] = eventfd(0, EFD_NONBLOCK);
        l = relay_resolver_start(r, name, 593, GATE_WAKER(s->fds[i]));
        if (!l) {
            s->wrong++;
            continue;
        }
        if (rand_r(&s->seed) % 2) {
            sched_yield();
            s->released[i] = true;
        } else if (!await_readable(s->fds[i])
                   || relay_lookup_result(l, &a, &n, &e) != APR_SUCCESS
                   || n != 1) {
            s->wrong++;
        }
        relay_lookup_release(l);
    }
    return NULL;
}

START_TEST(test_resolver_stress)
{
    static stress s[3];
    pthread_t t[3];
    int i, k;

    for (i = 0; i < 3; i++) {
        s[i].seed = 77u + (unsigned)i;
        ck_assert_int_eq(pthread_create(&t[i], NULL, stress_run, &s[i]), 0);
    }
    for (i = 0; i < 3; i++)
        pthread_join(t[i], NULL);
    relay_resolver_join(r);
    r = NULL;
    for (i = 0; i < 3; i++) {
        ck_assert_int_eq(s[i].wrong, 0);
        for (k = 0; k < STRESS_LOOKUPS; k++) {
            uint64_t woken = eventfd_take(s[i].fds[k]);
            ck_assert_uint_le(woken, 1);
            ck_assert(woken == 1 || s[i].released[k]);
            close(s[i].fds[k]);
        }
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("resolver");
    TCase *t = tcase_create("resolver");

    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, test_resolver_literals);
    tcase_add_test(t, test_resolver_name);
    tcase_add_test(t, test_resolver_name_without_address);
    tcase_add_test(t, test_resolver_system);
    tcase_add_test(t, test_resolver_one_call_a_name);
    tcase_add_test(t, test_resolver_released);
    tcase_add_test(t, test_resolver_queue_bounded);
    tcase_add_test(t, test_resolver_threads_out_of_range);
    tcase_add_test(t, test_resolver_pool_destroyed);
    tcase_add_test(t, test_resolver_stress);
    tcase_set_timeout(t, 120);
    suite_add_tcase(s, t);
    return test_main(s);
}
