/* SPDX-License-Identifier: Apache-2.0 */
/* test_connector.c - the connector against listening, refusing and dead
 * addresses of loopback and names that hang; its time is the test's own */
#include "rpch_test.h"

#include <apr_general.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "relay/connector.h"

#include "relay_gate.h"

#define SPAN 12000u /* from NOW to the deadline of the whole */
#define NOW 1000000u
#define DEAD_MAX 16

static apr_pool_t *pool;
static relay_resolver *r;
static gate g;
static int efd;
static relay_connector c;

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
    relay_resolver_join(r);
    gate_destroy(&g);
    close(efd);
    apr_pool_destroy(pool);
    apr_terminate();
}

/* A socket bound to ip and *port (0: the kernel's choice, told back); it
 * refuses connections until somebody calls listen. -1 when that port is not
 * free there, or the machine does not have the address. */
static int bind_to(const char *ip, unsigned short *port)
{
    relay_addr a = gate_addr(ip, *port);
    int fd = socket(a.u.sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -1;
    if (bind(fd, &a.u.sa, a.len) != 0
        || getsockname(fd, &a.u.sa, &a.len) != 0) {
        close(fd);
        return -1;
    }
    *port = ntohs(a.u.sa.sa_family == AF_INET ? a.u.v4.sin_port
                                              : a.u.v6.sin6_port);
    return fd;
}

/* Binds the same port of n addresses. False when the machine has no IPv6 but
 * one of them is. */
static bool bind_all(const char *const *ips, int n, int *fds,
                     unsigned short *port)
{
    int tries, i;

    for (tries = 0; tries < 100; tries++) {
        *port = 0;
        for (i = 0; i < n; i++) {
            fds[i] = bind_to(ips[i], port);
            if (fds[i] < 0)
                break;
        }
        if (i == n)
            return true;
        while (i > 0)
            close(fds[--i]);
    }
    *port = 0;
    i = bind_to("::1", port);
    ck_assert_msg(i < 0, "no port free on all addresses");
    return false;
}

/* A listening socket whose backlog is full: who connects gets no answer. The
 * callers that filled it are in fill[0..DEAD_MAX). */
static int bind_dead(const char *ip, unsigned short *port, int *fill)
{
    int fd = bind_to(ip, port), i;
    relay_addr a = gate_addr(ip, *port);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(listen(fd, 0), 0);
    for (i = 0; i < DEAD_MAX; i++) {
        fill[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        ck_assert_int_ge(fill[i], 0);
        connect(fill[i], &a.u.sa, a.len);
    }
    return fd;
}

static void close_all(int *fds, int n)
{
    while (n > 0)
        close(fds[--n]);
}

static void start(const relay_candidate *to, int n, const relay_addr *prefer)
{
    relay_connector_init(&c, r, to, n, prefer, GATE_WAKER(efd), NOW + SPAN);
}

/* Steps at time now, and waits for what is sure to come, until the end. */
static int run(rpch_msec now)
{
    int rc;

    while ((rc = relay_connector_step(&c, now)) == RPCH_AGAIN) {
        struct pollfd p[2] = { { efd, POLLIN, 0 },
                               { relay_connector_fd(&c), POLLOUT, 0 } };
        ck_assert_int_gt(poll(p, 2, GATE_PATIENCE), 0);
        eventfd_take(efd);
    }
    return rc;
}

/* Takes the connected socket, shows that it reaches listener, closes it. */
static void check_connected(int listener)
{
    int own = c.fd, peer, flag = 0;
    socklen_t len = sizeof(flag);
    char x = 0;

    ck_assert_int_ge(own, 0);
    c.fd = -1;
    ck_assert(fcntl(own, F_GETFL) & O_NONBLOCK);
    ck_assert(fcntl(own, F_GETFD) & FD_CLOEXEC);
    ck_assert_int_eq(getsockopt(own, IPPROTO_TCP, TCP_NODELAY, &flag, &len),
                     0);
    ck_assert_int_ne(flag, 0);
    peer = accept(listener, NULL, NULL);
    ck_assert_int_ge(peer, 0);
    ck_assert_int_eq(write(peer, "x", 1), 1);
    ck_assert(await_readable(own));
    ck_assert_int_eq(read(own, &x, 1), 1);
    ck_assert_int_eq(x, 'x');
    close(peer);
    close(own);
    relay_connector_close(&c);
}

static void check_peer(const char *ip, unsigned short port)
{
    relay_addr want = gate_addr(ip, port);
    ck_assert(relay_addr_equal(&c.peer, &want));
}

static void check_error(const char *format, unsigned short port)
{
    char want[RELAY_CONNECTOR_ERROR_SIZE];
    snprintf(want, sizeof(want), format, port);
    ck_assert_str_eq(c.error, want);
}

START_TEST(test_connector_literal)
{
    unsigned short port = 0;
    int s = bind_to("127.0.0.1", &port), before = open_fds();
    relay_candidate to = { "127.0.0.1", port };

    listen(s, 5);
    start(&to, 1, NULL);
    ck_assert_uint_eq(relay_connector_deadline(&c), NOW + SPAN);
    ck_assert_int_eq(run(NOW), RPCH_OK);
    check_peer("127.0.0.1", port);
    ck_assert_str_eq(c.error, "");
    check_connected(s);
    ck_assert_int_eq(open_fds(), before);
    close(s);
}
END_TEST

START_TEST(test_connector_literal_v6)
{
    unsigned short port = 0;
    int s = bind_to("::1", &port);
    relay_candidate to = { "::1", port };

    if (s < 0)
        return; /* no IPv6 here */
    listen(s, 5);
    start(&to, 1, NULL);
    ck_assert_int_eq(run(NOW), RPCH_OK);
    check_peer("::1", port);
    check_connected(s);
    close(s);
    start(&to, 1, NULL);
    ck_assert_int_eq(run(NOW), RPCH_E_CONNECT);
    check_error("[::1]:%hu: Connection refused", port);
}
END_TEST

START_TEST(test_connector_refused)
{
    unsigned short port = 0;
    int s = bind_to("127.0.0.1", &port), before = open_fds();
    relay_candidate to[2] = { { "127.0.0.1", port }, { "name", port } };

    start(to, 1, NULL);
    ck_assert_int_eq(run(NOW), RPCH_E_CONNECT);
    check_error("127.0.0.1:%hu: Connection refused", port);
    ck_assert_int_eq(relay_connector_step(&c, NOW), RPCH_E_CONNECT);
    ck_assert_int_eq(relay_connector_fd(&c), -1);
    start(to, 2, NULL);
    ck_assert_int_eq(run(NOW), RPCH_E_CONNECT);
    check_error("name:%hu (127.0.0.1): Connection refused", port);
    ck_assert_int_eq(relay_connector_step(&c, RPCH_NEVER), RPCH_E_CONNECT);
    ck_assert_int_eq(open_fds(), before);
    close(s);
}
END_TEST

START_TEST(test_connector_next_candidate)
{
    static const char *const ips[] = { "127.0.0.1", "127.0.0.2" };
    unsigned short port;
    int fds[2];
    relay_candidate to[3] = { { "127.0.0.1", 0 }, { "none", 1 },
                              { "127.0.0.2", 0 } };

    bind_all(ips, 2, fds, &port);
    to[0].port = to[2].port = port;
    listen(fds[1], 5);
    start(to, 2, NULL);
    ck_assert_int_eq(run(NOW), RPCH_E_CONNECT);
    ck_assert_str_eq(c.error, "none:1: No such host is known");
    start(to, 3, NULL);
    ck_assert_int_eq(run(NOW), RPCH_OK);
    check_peer("127.0.0.2", port);
    check_connected(fds[1]);
    close_all(fds, 2);
}
END_TEST

START_TEST(test_connector_all_addresses)
{
    static const char *const ips[] = { "127.0.0.1", "127.0.0.2",
                                       "127.0.0.3" };
    unsigned short port;
    int fds[3];
    relay_candidate to = { "ex_127.0.0.1_127.0.0.2_127.0.0.3", 0 };

    bind_all(ips, 3, fds, &port);
    to.port = port;
    start(&to, 1, NULL);
    ck_assert_int_eq(run(NOW), RPCH_E_CONNECT);
    check_error("ex_127.0.0.1_127.0.0.2_127.0.0.3:%hu (127.0.0.3): "
                "Connection refused", port);
    listen(fds[2], 5);
    start(&to, 1, NULL);
    ck_assert_int_eq(run(NOW), RPCH_OK);
    check_peer("127.0.0.3", port);
    check_connected(fds[2]);
    close_all(fds, 3);
}
END_TEST

/* Both families, in either order. Without IPv6 the machine refuses ::1 in
 * its own way, which must not matter. */
START_TEST(test_connector_both_families)
{
    static const char *const ips[] = { "127.0.0.1", "::1" };
    relay_candidate to[2] = { { "ex_--1_127.0.0.1", 0 },
                              { "ex_127.0.0.1_--1", 0 } };
    unsigned short port;
    int fds[2], n = 2;

    if (!bind_all(ips, 2, fds, &port)) {
        n = 1;
        bind_all(ips, 1, fds, &port);
    }
    to[0].port = to[1].port = port;
    listen(fds[0], 5);
    start(&to[0], 1, NULL);
    ck_assert_int_eq(run(NOW), RPCH_OK);
    check_peer("127.0.0.1", port);
    check_connected(fds[0]);
    close(fds[0]);
    if (n == 2) {
        fds[0] = bind_to("127.0.0.1", &port);
        listen(fds[1], 5);
        start(&to[1], 1, NULL);
        ck_assert_int_eq(run(NOW), RPCH_OK);
        check_peer("::1", port);
        check_connected(fds[1]);
        close_all(fds, 2);
    }
}
END_TEST

/* A dead address gets its share of the time and no more. */
START_TEST(test_connector_dead_address)
{
    unsigned short port = 0, other = 0;
    int fill[DEAD_MAX], dead = bind_dead("127.0.0.1", &port, fill);
    int s = bind_to("127.0.0.1", &other), fd;
    relay_candidate to[3] = { { "127.0.0.1", port }, { "127.0.0.1", port },
                              { "127.0.0.1", other } };

    listen(s, 5);
    start(to, 3, NULL);
    ck_assert_int_eq(relay_connector_step(&c, NOW), RPCH_AGAIN);
    ck_assert_uint_eq(relay_connector_deadline(&c), NOW + SPAN / 3);
    fd = relay_connector_fd(&c);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(relay_connector_step(&c, NOW + SPAN / 3 - 1),
                     RPCH_AGAIN);
    ck_assert_int_eq(c.at, 0);
    ck_assert_int_eq(relay_connector_step(&c, NOW + SPAN / 3), RPCH_AGAIN);
    ck_assert_int_eq(c.at, 1);
    ck_assert_uint_eq(relay_connector_deadline(&c), NOW + SPAN / 3 * 2);
    check_error("127.0.0.1:%hu: connecting timed out", port);
    ck_assert_int_eq(run(NOW + SPAN / 3 * 2), RPCH_OK);
    check_peer("127.0.0.1", other);
    check_connected(s);
    close(s);
    close(dead);
    close_all(fill, DEAD_MAX);
}
END_TEST

START_TEST(test_connector_dead_until_the_deadline)
{
    unsigned short port = 0;
    int fill[DEAD_MAX], dead = bind_dead("127.0.0.1", &port, fill);
    int before = open_fds();
    relay_candidate to = { "127.0.0.1", port };

    start(&to, 1, NULL);
    ck_assert_int_eq(relay_connector_step(&c, NOW), RPCH_AGAIN);
    ck_assert_uint_eq(relay_connector_deadline(&c), NOW + SPAN);
    ck_assert_int_eq(relay_connector_step(&c, NOW + SPAN - 1), RPCH_AGAIN);
    ck_assert_int_eq(relay_connector_step(&c, NOW + SPAN), RPCH_E_CONNECT);
    check_error("127.0.0.1:%hu: connecting timed out", port);
    ck_assert_int_eq(open_fds(), before);

    relay_connector_init(&c, r, &to, 1, NULL, GATE_WAKER(efd), RPCH_NEVER);
    ck_assert_int_eq(relay_connector_step(&c, NOW), RPCH_AGAIN);
    ck_assert_uint_eq(relay_connector_deadline(&c), RPCH_NEVER);
    relay_connector_close(&c);
    relay_connector_close(&c);
    ck_assert_int_eq(open_fds(), before);
    close(dead);
    close_all(fill, DEAD_MAX);
}
END_TEST

/* A connection that came about is used even when it is seen late. */
START_TEST(test_connector_connected_but_late)
{
    unsigned short port = 0;
    int s = bind_to("127.0.0.1", &port);
    relay_candidate to = { "127.0.0.1", port };
    struct pollfd p;

    listen(s, 5);
    start(&to, 1, NULL);
    if (relay_connector_step(&c, NOW) == RPCH_AGAIN) {
        p.fd = relay_connector_fd(&c);
        p.events = POLLOUT;
        ck_assert_int_eq(poll(&p, 1, GATE_PATIENCE), 1);
    }
    ck_assert_int_eq(relay_connector_step(&c, NOW + SPAN + 1), RPCH_OK);
    check_connected(s);
    close(s);
}
END_TEST

START_TEST(test_connector_prefers)
{
    static const char *const ips[] = { "127.0.0.1", "127.0.0.2" };
    relay_candidate to = { "ex_127.0.0.1_127.0.0.2", 0 };
    relay_addr prefer, none;
    unsigned short port;
    int fds[2];

    bind_all(ips, 2, fds, &port);
    to.port = port;
    prefer = gate_addr("127.0.0.2", port);
    start(&to, 1, &prefer); /* both refuse; prefer is not tried again */
    ck_assert_int_eq(run(NOW), RPCH_E_CONNECT);
    check_error("ex_127.0.0.1_127.0.0.2:%hu (127.0.0.1): Connection refused",
                port);
    to.host = "ex_127.0.0.2";
    start(&to, 1, &prefer);
    ck_assert_int_eq(run(NOW), RPCH_E_CONNECT);
    check_error("127.0.0.2:%hu: Connection refused", port);

    to.host = "ex_127.0.0.1_127.0.0.2";
    listen(fds[0], 5);
    start(&to, 1, &prefer); /* it refuses, the other does not */
    ck_assert_int_eq(run(NOW), RPCH_OK);
    check_peer("127.0.0.1", port);
    check_connected(fds[0]);
    listen(fds[1], 5);
    start(&to, 1, &prefer);
    ck_assert_int_eq(run(NOW), RPCH_OK);
    check_peer("127.0.0.2", port);
    check_connected(fds[1]);
    memset(&none, 0, sizeof(none));
    start(&to, 1, &none);
    ck_assert_int_eq(run(NOW), RPCH_OK);
    check_peer("127.0.0.1", port);
    check_connected(fds[0]);
    close_all(fds, 2);
}
END_TEST

START_TEST(test_connector_dead_preference)
{
    unsigned short port = 0, other = 0;
    int fill[DEAD_MAX], dead = bind_dead("127.0.0.1", &port, fill);
    int s = bind_to("127.0.0.1", &other);
    relay_candidate to = { "127.0.0.1", other };
    relay_addr prefer = gate_addr("127.0.0.1", port);

    listen(s, 5);
    start(&to, 1, &prefer);
    ck_assert_int_eq(relay_connector_step(&c, NOW), RPCH_AGAIN);
    ck_assert_uint_eq(relay_connector_deadline(&c), NOW + SPAN / 2);
    ck_assert_int_eq(run(NOW + SPAN / 2), RPCH_OK);
    check_peer("127.0.0.1", other);
    check_error("127.0.0.1:%hu: connecting timed out", port);
    check_connected(s);
    close(s);
    close(dead);
    close_all(fill, DEAD_MAX);
}
END_TEST

/* A name that hangs leaves time for the next candidate. */
START_TEST(test_connector_name_hangs)
{
    unsigned short port = 0;
    int s = bind_to("127.0.0.1", &port), before = open_fds();
    relay_candidate to[2] = { { "hang", 593 }, { "name", port } };

    listen(s, 5);
    start(to, 2, NULL);
    ck_assert_int_eq(relay_connector_step(&c, NOW), RPCH_AGAIN);
    ck_assert_int_eq(relay_connector_fd(&c), -1);
    ck_assert_uint_eq(relay_connector_deadline(&c), NOW + SPAN / 2);
    gate_await(&g, 1);
    ck_assert_int_eq(relay_connector_step(&c, NOW + SPAN / 2 - 1),
                     RPCH_AGAIN);
    ck_assert_int_eq(c.at, 0);
    ck_assert_int_eq(run(NOW + SPAN / 2), RPCH_OK);
    ck_assert_str_eq(c.error, "hang:593: resolving the name timed out");
    check_connected(s);
    ck_assert_int_eq(open_fds(), before);
    close(s);
}
END_TEST

/* With all helpers hanging, who waits for another name fails by its own
 * deadline, literals work, and all is well once the helpers are back. */
START_TEST(test_connector_all_helpers_hang)
{
    unsigned short port = 0;
    int s = bind_to("127.0.0.1", &port), before = open_fds();
    relay_candidate to[4] = { { "hang1", 1 }, { "hang2", 2 },
                              { "name", port }, { "127.0.0.1", port } };
    relay_connector hung[2], waiting;
    int i;

    listen(s, 5);
    for (i = 0; i < 2; i++) {
        relay_connector_init(&hung[i], r, &to[i], 1, NULL, GATE_WAKER(efd),
                             NOW + SPAN);
        ck_assert_int_eq(relay_connector_step(&hung[i], NOW), RPCH_AGAIN);
    }
    gate_await(&g, 2);
    relay_connector_init(&waiting, r, &to[2], 1, NULL, GATE_WAKER(efd),
                         NOW + 500);
    ck_assert_int_eq(relay_connector_step(&waiting, NOW), RPCH_AGAIN);
    ck_assert_uint_eq(relay_connector_deadline(&waiting), NOW + 500);

    start(&to[3], 1, NULL);
    ck_assert_int_eq(run(NOW), RPCH_OK);
    check_connected(s);

    ck_assert_int_eq(relay_connector_step(&waiting, NOW + 499), RPCH_AGAIN);
    ck_assert_int_eq(relay_connector_step(&waiting, NOW + 500),
                     RPCH_E_CONNECT);
    ck_assert_msg(strstr(waiting.error, ": resolving the name timed out")
                  != NULL, "%s", waiting.error);
    relay_connector_close(&waiting);
    ck_assert_int_eq(gate_calls(&g), 2);
    for (i = 0; i < 2; i++)
        relay_connector_close(&hung[i]);
    ck_assert_int_eq(open_fds(), before);

    gate_open(&g);
    start(&to[2], 1, NULL);
    ck_assert_int_eq(run(NOW), RPCH_OK);
    check_connected(s);
    close(s);
}
END_TEST

START_TEST(test_connector_no_lookup)
{
    static relay_lookup *l[RELAY_LOOKUP_QUEUE_MAX + 2];
    unsigned short port = 0;
    int s = bind_to("127.0.0.1", &port), i;
    relay_candidate to[2] = { { "name", 7 }, { "127.0.0.1", port } };

    listen(s, 5);
    for (i = 0; i < RELAY_LOOKUP_QUEUE_MAX + 2; i++) {
        l[i] = relay_resolver_start(r, i ? "hang" : "hang0", 593,
                                    GATE_WAKER(efd));
        ck_assert_ptr_nonnull(l[i]);
        if (i < 2)
            gate_await(&g, i + 1);
    }
    start(to, 1, NULL);
    ck_assert_int_eq(relay_connector_step(&c, NOW), RPCH_E_CONNECT);
    ck_assert_str_eq(c.error, "name:7: too many names wait to be resolved");
    start(to, 2, NULL);
    ck_assert_int_eq(run(NOW), RPCH_OK);
    check_connected(s);
    for (i = 0; i < RELAY_LOOKUP_QUEUE_MAX + 2; i++)
        relay_lookup_release(l[i]);
    close(s);
}
END_TEST

START_TEST(test_connector_nothing_to_try)
{
    relay_candidate to = { "127.0.0.1", 1 };

    start(NULL, 0, NULL);
    ck_assert_int_eq(relay_connector_step(&c, NOW), RPCH_E_CONNECT);
    ck_assert_str_eq(c.error, "no target to connect to");
    start(&to, 1, NULL);
    ck_assert_int_eq(relay_connector_step(&c, NOW + SPAN), RPCH_E_CONNECT);
    ck_assert_str_eq(c.error, "no time left to connect");
}
END_TEST

/* Whatever the length of a name, the cause is told. */
START_TEST(test_connector_long_name)
{
    char name[400];
    unsigned short port = 0;
    int s = bind_to("127.0.0.1", &port);
    relay_candidate to = { name, port };
    const char *cause = " (127.0.0.1): Connection refused";

    memset(name, 'x', sizeof(name));
    name[sizeof(name) - 1] = '\0';
    start(&to, 1, NULL);
    ck_assert_int_eq(run(NOW), RPCH_E_CONNECT);
    ck_assert_uint_gt(strlen(c.error), strlen(cause));
    ck_assert_str_eq(c.error + strlen(c.error) - strlen(cause), cause);
    close(s);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("connector");
    TCase *t = tcase_create("connector");

    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, test_connector_literal);
    tcase_add_test(t, test_connector_literal_v6);
    tcase_add_test(t, test_connector_refused);
    tcase_add_test(t, test_connector_next_candidate);
    tcase_add_test(t, test_connector_all_addresses);
    tcase_add_test(t, test_connector_both_families);
    tcase_add_test(t, test_connector_dead_address);
    tcase_add_test(t, test_connector_dead_until_the_deadline);
    tcase_add_test(t, test_connector_connected_but_late);
    tcase_add_test(t, test_connector_prefers);
    tcase_add_test(t, test_connector_dead_preference);
    tcase_add_test(t, test_connector_name_hangs);
    tcase_add_test(t, test_connector_all_helpers_hang);
    tcase_add_test(t, test_connector_no_lookup);
    tcase_add_test(t, test_connector_nothing_to_try);
    tcase_add_test(t, test_connector_long_name);
    tcase_set_timeout(t, 120);
    suite_add_tcase(s, t);
    return test_main(s);
}
