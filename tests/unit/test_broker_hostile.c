/* SPDX-License-Identifier: Apache-2.0 */
/* test_broker_hostile.c - the broker and those who greet it badly or not at
 * all, other users, and what they leave behind */
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "broker_test.h"
#include "relay/clock.h"

#define NOBODY 65534 /* any uid but root's */

static void send_raw(relay_link *l, const void *p, size_t n)
{
    ck_assert_int_eq(send(l->fd, p, n, MSG_NOSIGNAL), (ssize_t)n);
}

START_TEST(test_broker_hostile_garbage)
{
    static const uint8_t zero[RELAY_MSG_SIZE_MAX + 500];
    relay_link l[9];
    uint8_t hello[64];
    relay_msg m = message(RELAY_MSG_HELLO);
    size_t len;
    int i;
    ck_assert_int_eq(relay_msg_encode(&m, hello, sizeof(hello), &len),
                     RPCH_OK);
    for (i = 0; i < 9; i++) {
        call(&l[i]);
    }
    send_raw(&l[0], "GET / HTTP/1.1\r\n\r\n", 18);
    send_raw(&l[1], zero, sizeof(zero));
    send_raw(&l[2], hello, len - 1);
    say(&l[3], RELAY_MSG_JOIN);
    say(&l[4], RELAY_MSG_HELLO);
    say(&l[4], RELAY_MSG_HELLO);
    say(&l[5], RELAY_MSG_HELLO);
    say(&l[5], RELAY_MSG_JOINED);
    say(&l[7], RELAY_MSG_ATTACH);
    say(&l[8], RELAY_MSG_HELLO);
    say(&l[8], RELAY_MSG_ATTACHED);
    hello[3]++;
    send_raw(&l[6], hello, len);
    serve_now();
    for (i = 0; i < 9; i++) {
        ck_assert_msg(dropped(&l[i]), "caller %d is still there", i);
        relay_link_close(&l[i]);
    }
    ck_assert(!rung());
    join_well();
}
END_TEST

/* A descriptor that nobody asked for ends the call and is closed. */
START_TEST(test_broker_hostile_descriptor)
{
    relay_link l;
    relay_msg m = message(RELAY_MSG_HELLO);
    int end[2];
    char c;
    ck_assert_int_eq(pipe(end), 0);
    call(&l);
    ck_assert_int_eq(relay_link_send(&l, &m, end[1]), APR_SUCCESS);
    close(end[1]);
    serve_now();
    ck_assert(dropped(&l));
    ck_assert_int_eq(read(end[0], &c, 1), 0);
    relay_link_close(&l);
    close(end[0]);
}
END_TEST

/* Many that say nothing, more than are kept: the oldest go, and a good one
 * is served in the round in which it comes. */
START_TEST(test_broker_hostile_silence)
{
    enum { SILENT = 200 };
    static relay_link l[SILENT];
    int i, gone = 0;
    for (i = 0; i < SILENT; i++) {
        call(&l[i]);
        if (i % 50 == 49) {
            serve_now();
            join_well();
        }
    }
    serve_now();
    join_well();
    for (i = 0; i < SILENT; i++) {
        gone += dropped(&l[i]);
        relay_link_close(&l[i]);
    }
    ck_assert_int_ge(gone, SILENT - RELAY_BROKER_GREETING_MAX);
    serve_now();
    join_well();
}
END_TEST

/* Who says nothing in its time is dropped, and not before. */
START_TEST(test_broker_hostile_deadline)
{
    relay_link l, half;
    rpch_msec give_up = relay_now() + PATIENCE;
    rpch_msec from;
    call(&l);
    call(&half);
    say(&half, RELAY_MSG_HELLO);
    from = relay_now();
    serve_now();
    ck_assert(!dropped(&l));
    while (!dropped(&l)) {
        ck_assert_uint_lt(relay_now(), give_up);
        relay_broker_serve(broker, PATIENCE / 10);
    }
    ck_assert_uint_ge(relay_now() - from, RELAY_BROKER_GREETING_MSEC);
    ck_assert(dropped(&half));
    relay_link_close(&l);
    relay_link_close(&half);
}
END_TEST

/* One that hangs up before it is through leaves nothing. */
START_TEST(test_broker_hostile_hang_up)
{
    relay_link l;
    unsigned fds;
    int i;
    serve_now();
    fds = open_fds();
    for (i = 0; i < 20; i++) {
        call(&l);
        if (i % 2) {
            say(&l, RELAY_MSG_HELLO);
        }
        if (i % 4 < 2) {
            serve_now();
        }
        relay_link_close(&l);
        serve_now();
    }
    ck_assert_uint_eq(open_fds(), fds);
}
END_TEST

/* No descriptor for the next caller: it waits, and those that are in are
 * served meanwhile. */
START_TEST(test_broker_hostile_descriptors_short)
{
    struct rlimit old, low;
    relay_link in, next;
    relay_msg m;
    rpch_msec give_up;
    bool took = false, gone = false;
    int fd;
    call(&in);
    serve_now();
    call(&next);
    say(&next, RELAY_MSG_HELLO);
    say(&next, RELAY_MSG_JOIN);
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &old), 0);
    low = old;
    low.rlim_cur = (rlim_t)next.fd + 1;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &low), 0);
    say(&in, RELAY_MSG_HELLO);
    say(&in, RELAY_MSG_JOIN);
    relay_broker_serve(broker, 20);
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &old), 0);
    ck_assert(relay_registry_take(reg, &box, &fd, &m));
    close(fd);
    ck_assert(!relay_registry_take(reg, &box, &fd, &m));
    /* Nobody is accepted for a moment after that; valgrind plays the limit by
     * closing what was accepted above it. */
    give_up = relay_now() + PATIENCE;
    while (!took && !gone && relay_now() < give_up) {
        relay_broker_serve(broker, 200);
        took = relay_registry_take(reg, &box, &fd, &m);
        gone = !took && dropped(&next);
    }
    ck_assert(took || gone);
    if (took) {
        close(fd);
    }
    relay_link_close(&in);
    relay_link_close(&next);
    join_well();
}
END_TEST

/* Another user is not heard, even where the directory lets it in. Only root
 * can play another user. */
START_TEST(test_broker_hostile_other_user)
{
    int status;
    pid_t pid;
    ck_assert_int_eq(chmod(dir, 0755), 0);
    ck_assert_int_eq(chmod(path, 0666), 0);
    pid = fork();
    if (!pid) {
        relay_owner o = self;
        static const rpch_cookie vc;
        if (setuid(NOBODY)) {
            _exit(1);
        }
        o.channel = box.number;
        relay_broker_wake(dir, &self, &o, &vc);
        _exit(0);
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_int_eq(status, 0);
    serve_now();
    ck_assert(!rung());
    join_well();
}
END_TEST

/* Root is heard by a broker of any user. */
START_TEST(test_broker_hostile_root_calls)
{
    relay_owner o = self;
    static const rpch_cookie vc;
    ck_assert_int_eq(chmod(dir, 0755), 0);
    o.channel = box.number;
    relay_broker_wake(dir, &self, &o, &vc);
    ck_assert_int_eq(seteuid(NOBODY), 0);
    serve_now();
    ck_assert_int_eq(seteuid(0), 0);
    ck_assert(rung());
}
END_TEST

int main(void)
{
    Suite *s = suite_create("broker_hostile");
    TCase *tc = tcase_create("greetings");
    apr_initialize();
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, test_broker_hostile_garbage);
    tcase_add_test(tc, test_broker_hostile_descriptor);
    tcase_add_test(tc, test_broker_hostile_silence);
    tcase_add_test(tc, test_broker_hostile_deadline);
    tcase_add_test(tc, test_broker_hostile_hang_up);
    tcase_add_test(tc, test_broker_hostile_descriptors_short);
    if (geteuid() == 0) {
        tcase_add_test(tc, test_broker_hostile_other_user);
        tcase_add_test(tc, test_broker_hostile_root_calls);
    }
    suite_add_tcase(s, tc);
    return test_main(s);
}
