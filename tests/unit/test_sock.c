/* SPDX-License-Identifier: Apache-2.0 */
/* test_sock.c - relay/sock.h: what a stream socket takes and gives now */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "relay/sock.h"
#include "rpch_test.h"

/* Both ends are in blocking mode: nothing here may depend on it. */
static int ends[2];

static void set_up(void)
{
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
}

static void tear_down(void)
{
    close(ends[0]);
    close(ends[1]);
}

START_TEST(test_sock_pieces)
{
    char a[] = "abc", b[] = "", c[] = "defg", got[16];
    struct iovec v[3] = { { a, 3 }, { b, 0 }, { c, 4 } };
    ck_assert_uint_eq(relay_sock_total(v, 3), 7);
    ck_assert_uint_eq(relay_sock_total(v, 0), 0);
    ck_assert_int_eq(relay_sock_send(ends[0], v, 3), 7);
    ck_assert_int_eq(relay_sock_recv(ends[1], got, 2), 2);
    ck_assert_int_eq(relay_sock_recv(ends[1], got + 2, sizeof(got) - 2), 5);
    ck_assert_mem_eq(got, "abcdefg", 7);
    ck_assert_int_eq(relay_sock_recv(ends[1], got, 1), RELAY_SOCK_NOTHING);
}
END_TEST

START_TEST(test_sock_full)
{
    static char block[65536], got[65536];
    struct iovec v = { block, sizeof(block) };
    long n, sent = 0, received = 0;
    while ((n = relay_sock_send(ends[0], &v, 1)) > 0)
        sent += n;
    ck_assert_int_eq(n, 0);
    ck_assert_int_gt(sent, 0);
    while ((n = relay_sock_recv(ends[1], got, sizeof(got))) > 0)
        received += n;
    ck_assert_int_eq(n, RELAY_SOCK_NOTHING);
    ck_assert_int_eq(received, sent);
    ck_assert_int_gt(relay_sock_send(ends[0], &v, 1), 0);
}
END_TEST

START_TEST(test_sock_end)
{
    char got[4];
    struct iovec v = { (char[]){ 'x' }, 1 };
    ck_assert_int_eq(relay_sock_send(ends[0], &v, 1), 1);
    shutdown(ends[0], SHUT_WR);
    ck_assert_int_eq(relay_sock_recv(ends[1], got, sizeof(got)), 1);
    ck_assert_int_eq(relay_sock_recv(ends[1], got, sizeof(got)),
                     RELAY_SOCK_END);
    /* the other way is open */
    ck_assert_int_eq(relay_sock_send(ends[1], &v, 1), 1);
}
END_TEST

START_TEST(test_sock_broken)
{
    struct iovec v = { (char[]){ 'x' }, 1 };
    char got[4];
    /* the default action of SIGPIPE would end this test */
    signal(SIGPIPE, SIG_DFL);
    close(ends[1]);
    ck_assert_int_eq(relay_sock_send(ends[0], &v, 1), -1);
    ends[1] = dup(ends[0]);
    ck_assert_int_eq(relay_sock_recv(-1, got, sizeof(got)),
                     RELAY_SOCK_BROKEN);
    ck_assert_int_eq(relay_sock_send(-1, &v, 1), -1);
}
END_TEST

START_TEST(test_sock_reset)
{
    struct sockaddr_in at = { .sin_family = AF_INET };
    socklen_t len = sizeof(at);
    struct linger now = { 1, 0 };
    struct pollfd p;
    char got[4];
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    int ours = socket(AF_INET, SOCK_STREAM, 0), theirs;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ck_assert_int_eq(bind(listener, (struct sockaddr *)&at, sizeof(at)), 0);
    ck_assert_int_eq(listen(listener, 1), 0);
    getsockname(listener, (struct sockaddr *)&at, &len);
    ck_assert_int_eq(connect(ours, (struct sockaddr *)&at, sizeof(at)), 0);
    theirs = accept(listener, NULL, NULL);
    ck_assert_int_ge(theirs, 0);
    setsockopt(theirs, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    close(theirs);
    p.fd = ours;
    p.events = POLLIN;
    ck_assert_int_eq(poll(&p, 1, 60000), 1);
    ck_assert_int_eq(relay_sock_recv(ours, got, sizeof(got)),
                     RELAY_SOCK_BROKEN);
    close(ours);
    close(listener);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("sock");
    TCase *tc = tcase_create("sock");
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, test_sock_pieces);
    tcase_add_test(tc, test_sock_full);
    tcase_add_test(tc, test_sock_end);
    tcase_add_test(tc, test_sock_broken);
    tcase_add_test(tc, test_sock_reset);
    suite_add_tcase(s, tc);
    return test_main(s);
}
