/* SPDX-License-Identifier: Apache-2.0 */
/* test_broker.c - the broker and those who greet it well, from threads and
 * other processes */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "broker_test.h"

START_TEST(test_broker_path)
{
    char out[256], longer[128];
    relay_owner o = { UINT32_MAX, UINT64_MAX, 0 };
    relay_broker *no;
    size_t n;
    ck_assert_int_eq(relay_broker_path("/run/x", &self, out, sizeof(out)),
                     APR_SUCCESS);
    ck_assert_str_eq(out, "/run/x/4711-8000000000001234");
    n = strlen(out);
    ck_assert_int_eq(relay_broker_path("/run/x", &self, out, n),
                     APR_ENAMETOOLONG);
    ck_assert_int_eq(relay_broker_path("/run/x", &self, out, n + 1),
                     APR_SUCCESS);
    memset(longer, 'd', sizeof(longer));
    longer[0] = '/';
    longer[RELAY_BROKER_DIR_MAX] = '\0';
    ck_assert_int_eq(relay_broker_path(longer, &o, out, sizeof(out)),
                     APR_SUCCESS);
    longer[RELAY_BROKER_DIR_MAX] = 'd';
    longer[100] = '\0';
    ck_assert_int_eq(relay_broker_path(longer, &o, out, sizeof(out)),
                     APR_ENAMETOOLONG);
    ck_assert_int_eq(relay_broker_create(&no, longer, &o, reg, pool),
                     APR_ENAMETOOLONG);
}
END_TEST

START_TEST(test_broker_create_fails)
{
    relay_broker *no;
    unsigned fds = open_fds();
    ck_assert(APR_STATUS_IS_ENOENT(relay_broker_create(&no, "/nonexistent",
                                                       &self, reg, pool)));
    ck_assert_int_eq(relay_broker_create(&no, dir, &self, reg, pool),
                     EADDRINUSE);
    ck_assert_uint_eq(open_fds(), fds);
    join_well();
}
END_TEST

START_TEST(test_broker_without_directory)
{
    unsigned fds = open_fds();
    apr_pool_t *own;
    relay_broker *none;
    apr_pool_create(&own, pool);
    ck_assert_int_eq(relay_broker_create(&none, NULL, &self, reg, own),
                     APR_SUCCESS);
    ck_assert_uint_eq(open_fds(), fds + 1);
    relay_broker_interrupt(none);
    relay_broker_serve(none, 600000); /* would exceed the case's timeout */
    relay_broker_serve(none, 0);
    relay_broker_unlink(none);
    apr_pool_destroy(own);
    ck_assert_uint_eq(open_fds(), fds);
    join_well();
}
END_TEST

START_TEST(test_broker_name)
{
    struct stat st;
    relay_link l;
    ck_assert_int_eq(stat(path, &st), 0);
    ck_assert(S_ISSOCK(st.st_mode));
    ck_assert_uint_eq(st.st_mode & 07777, 0600);
    relay_broker_unlink(broker);
    ck_assert_int_eq(stat(path, &st), -1);
    relay_link_init(&l);
    ck_assert(APR_STATUS_IS_ENOENT(relay_link_connect(&l, path)));
    relay_broker_unlink(broker);
}
END_TEST

START_TEST(test_broker_join)
{
    join_well();
    join_well();
}
END_TEST

/* A successor comes to its predecessor; all that it says arrives. */
START_TEST(test_broker_attach)
{
    relay_link l, other;
    relay_msg m = message(RELAY_MSG_ATTACH);
    int fd;
    m.dir = RELAY_OUT;
    m.predecessor.b[0] = 4;
    m.successor.b[0] = 5;
    m.identity.b[0] = 6;
    m.window = 65536;
    m.from = 77;
    call(&l);
    say(&l, RELAY_MSG_HELLO);
    ck_assert_int_eq(relay_link_send(&l, &m, -1), APR_SUCCESS);
    serve_now();
    ck_assert(rung());
    ck_assert(relay_registry_take(reg, &box, &fd, &m));
    ck_assert_int_eq(m.type, RELAY_MSG_ATTACH);
    ck_assert_uint_eq(m.pid, 1);
    ck_assert_uint_eq(m.nonce, 2);
    ck_assert_uint_eq(m.dir, RELAY_OUT);
    ck_assert_uint_eq(m.vc.b[3], 9);
    ck_assert_uint_eq(m.predecessor.b[0], 4);
    ck_assert_uint_eq(m.successor.b[0], 5);
    ck_assert_uint_eq(m.identity.b[0], 6);
    ck_assert_uint_eq(m.window, 65536);
    ck_assert_uint_eq(m.channel, box.number);
    ck_assert_uint_eq(m.from, 77);
    relay_link_init(&other);
    relay_link_adopt(&other, fd);
    say(&other, RELAY_MSG_ATTACHED);
    ck_assert_int_eq(relay_link_recv(&l, room, &m, &fd), APR_SUCCESS);
    ck_assert_int_eq(m.type, RELAY_MSG_ATTACHED);
    relay_link_close(&other);
    relay_link_close(&l);
}
END_TEST

/* The predecessor is gone, or has more callers than it can take. */
START_TEST(test_broker_attach_refused)
{
    relay_link l;
    relay_msg m = message(RELAY_MSG_ATTACH);
    int fd;
    m.channel = box.number + 1;
    call(&l);
    say(&l, RELAY_MSG_HELLO);
    ck_assert_int_eq(relay_link_send(&l, &m, -1), APR_SUCCESS);
    serve_now();
    ck_assert(!rung());
    ck_assert_int_eq(relay_link_recv(&l, room, &m, &fd), APR_SUCCESS);
    ck_assert_int_eq(m.type, RELAY_MSG_REFUSE);
    ck_assert_int_eq(m.status, RPCH_E_CLOSED);
    ck_assert(dropped(&l));
    relay_link_close(&l);
}
END_TEST

/* HELLO and JOIN come in different rounds, among others that do the same. */
START_TEST(test_broker_slow_join)
{
    relay_link l[3];
    relay_msg m;
    int i, fd;
    for (i = 0; i < 3; i++) {
        call(&l[i]);
    }
    serve_now();
    for (i = 0; i < 3; i++) {
        say(&l[2 - i], RELAY_MSG_HELLO);
        serve_now();
    }
    ck_assert(!rung());
    say(&l[1], RELAY_MSG_JOIN);
    serve_now();
    say(&l[0], RELAY_MSG_JOIN);
    serve_now();
    say(&l[2], RELAY_MSG_JOIN);
    serve_now();
    for (i = 0; i < 3; i++) {
        ck_assert(relay_registry_take(reg, &box, &fd, &m));
        close(fd);
        relay_link_close(&l[i]);
    }
}
END_TEST

START_TEST(test_broker_refuse)
{
    relay_link l;
    relay_msg m = message(RELAY_MSG_JOIN);
    int fd;
    call(&l);
    say(&l, RELAY_MSG_HELLO);
    m.channel = box.number + 1;
    ck_assert_int_eq(relay_link_send(&l, &m, -1), APR_SUCCESS);
    serve_now();
    ck_assert(!rung());
    ck_assert_int_eq(relay_link_recv(&l, room, &m, &fd), APR_SUCCESS);
    ck_assert_int_eq(m.type, RELAY_MSG_REFUSE);
    ck_assert_int_eq(m.status, RPCH_E_CLOSED);
    ck_assert_str_eq(m.text, "that channel is gone or takes no more links");
    ck_assert(dropped(&l));
    relay_link_close(&l);
}
END_TEST

/* The mailbox is full: further ones are refused, those in it stay. */
START_TEST(test_broker_mailbox_full)
{
    relay_link l[RELAY_MAILBOX_LINKS_MAX + 1];
    relay_msg m;
    int i, fd;
    for (i = 0; i <= RELAY_MAILBOX_LINKS_MAX; i++) {
        call(&l[i]);
        say(&l[i], RELAY_MSG_HELLO);
        say(&l[i], RELAY_MSG_JOIN);
        serve_now();
    }
    ck_assert_int_eq(relay_link_recv(&l[RELAY_MAILBOX_LINKS_MAX], room, &m,
                                     &fd), APR_SUCCESS);
    ck_assert_int_eq(m.type, RELAY_MSG_REFUSE);
    for (i = 0; i <= RELAY_MAILBOX_LINKS_MAX; i++) {
        relay_link_close(&l[i]);
    }
    for (i = 0; relay_registry_take(reg, &box, &fd, &m); i++) {
        close(fd);
    }
    ck_assert_int_eq(i, RELAY_MAILBOX_LINKS_MAX);
}
END_TEST

/* The caller is gone before it is accepted; it is heard all the same. */
START_TEST(test_broker_wake)
{
    relay_owner o = self;
    rpch_cookie vc;
    relay_msg m;
    int fd;
    memset(&vc, 1, sizeof(vc));
    o.channel = box.number;
    relay_broker_wake(dir, &self, &o, &vc);
    ck_assert(!rung());
    serve_now();
    ck_assert(rung());
    ck_assert(!relay_registry_take(reg, &box, &fd, &m));
    o.channel++;
    relay_broker_wake(dir, &self, &o, &vc);
    serve_now();
    ck_assert(!rung());
    /* Nobody there, and no such place. */
    o.pid++;
    relay_broker_wake(dir, &self, &o, &vc);
    relay_broker_wake("/nonexistent", &self, &o, &vc);
    relay_broker_wake("a directory name that is much longer than the hundred "
                      "and eight bytes of sun_path can hold, however one "
                      "looks at it", &self, &o, &vc);
}
END_TEST

/* A full backlog costs a wake, never time. */
START_TEST(test_broker_wake_flood)
{
    relay_owner o = self;
    static const rpch_cookie vc;
    int i;
    o.channel = box.number;
    for (i = 0; i < 1000; i++) {
        relay_broker_wake(dir, &self, &o, &vc);
    }
    for (i = 0; i < 5; i++) {
        serve_now();
    }
    ck_assert(rung());
    join_well();
}
END_TEST

static void *serve_thread(void *returned)
{
    relay_broker_serve(broker, PATIENCE);
    __atomic_store_n((int *)returned, 1, __ATOMIC_RELEASE);
    return NULL;
}

/* Served by a thread that sleeps in poll; then interrupted. Would serve run
 * to its end, the test's own timeout would end it. */
START_TEST(test_broker_interrupt)
{
    pthread_t thread;
    relay_link l;
    relay_msg m;
    struct pollfd p;
    int returned = 0;
    int fd;
    ck_assert_int_eq(pthread_create(&thread, NULL, serve_thread, &returned),
                     0);
    call(&l);
    say(&l, RELAY_MSG_HELLO);
    say(&l, RELAY_MSG_JOIN);
    p.fd = box.event_fd;
    p.events = POLLIN;
    ck_assert_int_eq(poll(&p, 1, PATIENCE / 2), 1);
    ck_assert(relay_registry_take(reg, &box, &fd, &m));
    close(fd);
    ck_assert_int_eq(__atomic_load_n(&returned, __ATOMIC_ACQUIRE), 0);
    relay_broker_interrupt(broker);
    pthread_join(thread, NULL);
    relay_link_close(&l);
    /* Interrupted while nobody serves: the next one returns at once. */
    relay_broker_interrupt(broker);
    relay_broker_interrupt(broker);
    relay_broker_serve(broker, 10 * PATIENCE);
}
END_TEST

/* The sender of a JOIN is another process. */
START_TEST(test_broker_process)
{
    rpch_msec give_up = relay_now() + PATIENCE;
    relay_msg m;
    int fd, status;
    pid_t pid = fork();
    if (!pid) {
        relay_link l;
        call(&l);
        say(&l, RELAY_MSG_HELLO);
        say(&l, RELAY_MSG_JOIN);
        _exit(0);
    }
    while (!rung()) {
        ck_assert_uint_lt(relay_now(), give_up);
        relay_broker_serve(broker, 50);
    }
    ck_assert(relay_registry_take(reg, &box, &fd, &m));
    close(fd);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_int_eq(status, 0);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("broker");
    TCase *tc = tcase_create("greetings");
    apr_initialize();
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, test_broker_path);
    tcase_add_test(tc, test_broker_create_fails);
    tcase_add_test(tc, test_broker_without_directory);
    tcase_add_test(tc, test_broker_name);
    tcase_add_test(tc, test_broker_join);
    tcase_add_test(tc, test_broker_attach);
    tcase_add_test(tc, test_broker_attach_refused);
    tcase_add_test(tc, test_broker_slow_join);
    tcase_add_test(tc, test_broker_refuse);
    tcase_add_test(tc, test_broker_mailbox_full);
    tcase_add_test(tc, test_broker_wake);
    tcase_add_test(tc, test_broker_wake_flood);
    tcase_add_test(tc, test_broker_interrupt);
    tcase_add_test(tc, test_broker_process);
    suite_add_tcase(s, tc);
    return test_main(s);
}
