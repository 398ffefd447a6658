/* SPDX-License-Identifier: Apache-2.0 */
/* test_link.c - messages and descriptors over a Unix SEQPACKET socket */
#include "rpch_test.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "relay/link.h"

static uint8_t room[RELAY_MSG_SIZE_MAX]; /* what a message borrows from */
static relay_link a, b;
static relay_msg got;
static int got_fd;

static int open_fds(void)
{
    DIR *d = opendir("/proc/self/fd");
    int n = 0;
    ck_assert_ptr_nonnull(d);
    while (readdir(d))
        n++;
    closedir(d);
    return n;
}

static void pair(void)
{
    int s[2];
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, s), 0);
    relay_link_init(&a);
    relay_link_init(&b);
    relay_link_adopt(&a, s[0]);
    relay_link_adopt(&b, s[1]);
}

static void unpair(void)
{
    relay_link_close(&a);
    relay_link_close(&b);
}

static relay_msg message(relay_msg_type type)
{
    relay_msg m;
    memset(&m, 0, sizeof(m));
    m.type = type;
    return m;
}

/* Sends raw bytes with n descriptors from a to b. */
static void send_raw(const void *p, size_t len, const int *fds, size_t n)
{
    struct iovec iov = { (void *)p, len };
    union {
        struct cmsghdr h;
        char room[CMSG_SPACE(sizeof(int) * 32)];
    } c;
    struct msghdr mh;

    memset(&mh, 0, sizeof(mh));
    memset(&c, 0, sizeof(c));
    mh.msg_iov = &iov;
    mh.msg_iovlen = 1;
    if (n) {
        c.h.cmsg_level = SOL_SOCKET;
        c.h.cmsg_type = SCM_RIGHTS;
        c.h.cmsg_len = CMSG_LEN(sizeof(int) * n);
        memcpy(CMSG_DATA(&c.h), fds, sizeof(int) * n);
        mh.msg_control = &c;
        mh.msg_controllen = CMSG_SPACE(sizeof(int) * n);
    }
    ck_assert_int_eq(sendmsg(a.fd, &mh, MSG_NOSIGNAL), (ssize_t)len);
}

static apr_status_t receive(void)
{
    got_fd = 12345;
    return relay_link_recv(&b, room, &got, &got_fd);
}

START_TEST(test_link_order)
{
    uint8_t pdu[RPCH_RTS_SIZE_MAX];
    relay_msg m;
    int i;

    for (i = 0; i < (int)sizeof(pdu); i++)
        pdu[i] = (uint8_t)i;
    for (i = 20; i <= 40; i++) {
        m = message(RELAY_MSG_RTS);
        m.pdu = pdu;
        m.pdu_len = (uint16_t)i;
        ck_assert_int_eq(relay_link_send(&a, &m, -1), APR_SUCCESS);
    }
    for (i = 20; i <= 40; i++) {
        ck_assert_int_eq(receive(), APR_SUCCESS);
        ck_assert_int_eq(got_fd, -1);
        ck_assert_int_eq(got.type, RELAY_MSG_RTS);
        ck_assert_uint_eq(got.pdu_len, i);
        ck_assert_mem_eq(got.pdu, pdu, i);
    }
    ck_assert(APR_STATUS_IS_EAGAIN(receive()));
    ck_assert_int_eq(got_fd, -1);
}
END_TEST

START_TEST(test_link_adopt_flags)
{
    ck_assert(fcntl(a.fd, F_GETFL) & O_NONBLOCK);
    ck_assert(fcntl(a.fd, F_GETFD) & FD_CLOEXEC);
}
END_TEST

START_TEST(test_link_descriptor)
{
    relay_msg m = message(RELAY_MSG_JOINED);
    int s[2];
    char c;

    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, s), 0);
    ck_assert_int_eq(relay_link_send(&a, &m, s[0]), APR_SUCCESS);
    close(s[0]); /* the duplicate on its way lives on */
    ck_assert_int_eq(receive(), APR_SUCCESS);
    ck_assert_int_eq(got.type, RELAY_MSG_JOINED);
    ck_assert_int_ge(got_fd, 0);
    ck_assert(fcntl(got_fd, F_GETFL) & O_NONBLOCK);
    ck_assert(fcntl(got_fd, F_GETFD) & FD_CLOEXEC);
    ck_assert_int_eq(write(s[1], "x", 1), 1);
    ck_assert_int_eq(read(got_fd, &c, 1), 1);
    ck_assert_int_eq(c, 'x');
    close(got_fd);
    close(s[1]);
}
END_TEST

START_TEST(test_link_surplus_descriptors)
{
    static const uint8_t joined[] = { 'R', 'P', 'X', 1, 3, 0, 0, 0 };
    static const size_t counts[] = { 2, 7, 8, 9, 10, 31 };
    relay_msg m = message(RELAY_MSG_JOINED);
    int fds[32], before, i;

    for (i = 0; i < 32; i++)
        fds[i] = STDOUT_FILENO;
    before = open_fds();
    for (i = 0; i < (int)(sizeof(counts) / sizeof(counts[0])); i++) {
        send_raw(joined, sizeof(joined), fds, counts[i]);
        ck_assert_int_eq(receive(), APR_EINVAL);
        ck_assert_int_eq(got_fd, -1);
        ck_assert_int_eq(open_fds(), before);
    }
    ck_assert_int_eq(relay_link_send(&a, &m, -1), APR_SUCCESS);
    ck_assert_int_eq(receive(), APR_SUCCESS);
}
END_TEST

START_TEST(test_link_no_room_for_descriptor)
{
    relay_msg m = message(RELAY_MSG_JOINED);
    struct rlimit old, low;
    const char *preload = getenv("LD_PRELOAD");
    int top;

    if (preload && strstr(preload, "vgpreload"))
        return; /* valgrind keeps such a limit from the kernel */
    top = dup(STDOUT_FILENO);
    ck_assert_int_eq(relay_link_send(&a, &m, STDOUT_FILENO), APR_SUCCESS);
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &old), 0);
    low = old;
    low.rlim_cur = (rlim_t)top + 1;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &low), 0);
    ck_assert_int_eq(receive(), APR_EINVAL);
    ck_assert_int_eq(got_fd, -1);
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &old), 0);
    close(top);
}
END_TEST

/* What a switch sends: a leg with the server's socket, then its bytes. */
START_TEST(test_link_move)
{
    static uint8_t bytes[RELAY_MSG_DATA_MAX];
    relay_msg m = message(RELAY_MSG_MOVE);
    char c = 0;
    int i, end[2], before = open_fds();

    for (i = 0; i < (int)sizeof(bytes); i++)
        bytes[i] = (uint8_t)(i * 7);
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, end), 0);
    m.tail = sizeof(bytes);
    m.data = bytes;
    m.data_len = sizeof(bytes);
    ck_assert_int_eq(relay_link_send(&a, &m, end[0]), APR_SUCCESS);
    close(end[0]);
    m.type = RELAY_MSG_TAIL;
    ck_assert_int_eq(relay_link_send(&a, &m, -1), APR_SUCCESS);

    ck_assert_int_eq(receive(), APR_SUCCESS);
    ck_assert_int_eq(got.type, RELAY_MSG_MOVE);
    ck_assert_uint_eq(got.tail, sizeof(bytes));
    ck_assert_uint_eq(got.data_len, sizeof(bytes));
    ck_assert_mem_eq(got.data, bytes, sizeof(bytes));
    ck_assert_int_eq(send(got_fd, "x", 1, 0), 1);
    ck_assert_int_eq(recv(end[1], &c, 1, 0), 1);
    ck_assert_int_eq(c, 'x');
    close(got_fd);
    ck_assert_int_eq(receive(), APR_SUCCESS);
    ck_assert_int_eq(got.type, RELAY_MSG_TAIL);
    ck_assert_int_eq(got_fd, -1);
    ck_assert_mem_eq(got.data, bytes, sizeof(bytes));
    close(end[1]);
    ck_assert_int_eq(open_fds(), before);
}
END_TEST

START_TEST(test_link_undecodable)
{
    static const uint8_t other[] = { 'R', 'P', 'X', 2, 3, 0, 0, 0 };
    uint8_t big[RELAY_MSG_SIZE_MAX + 1] = { 'R', 'P', 'X', 1, 3, 0, 0, 0 };
    int fd = STDOUT_FILENO, before = open_fds();

    send_raw(other, sizeof(other), &fd, 1);
    ck_assert_int_eq(receive(), APR_EINVAL);
    ck_assert_int_eq(got_fd, -1);
    send_raw(big, sizeof(big), &fd, 1);
    ck_assert_int_eq(receive(), APR_EINVAL);
    ck_assert_int_eq(got_fd, -1);
    send_raw(big, 8, NULL, 0); /* the cut rest is not taken for a message */
    ck_assert_int_eq(receive(), APR_SUCCESS);
    ck_assert(APR_STATUS_IS_EAGAIN(receive()));
    ck_assert_int_eq(open_fds(), before);
}
END_TEST

START_TEST(test_link_full_then_goes_on)
{
    relay_msg m = message(RELAY_MSG_END);
    apr_status_t rv;
    int sent = 0, i;

    do {
        m.status = sent;
        rv = relay_link_send(&a, &m, -1);
    } while (rv == APR_SUCCESS && ++sent < 1000000);
    ck_assert(APR_STATUS_IS_EAGAIN(rv));
    ck_assert_int_gt(sent, 0);
    ck_assert_int_eq(receive(), APR_SUCCESS);
    ck_assert_int_eq(got.status, 0);
    for (i = 1; i < sent; i++) {
        ck_assert_int_eq(receive(), APR_SUCCESS);
        ck_assert_int_eq(got.status, i);
    }
    ck_assert(APR_STATUS_IS_EAGAIN(receive()));
    ck_assert_int_eq(relay_link_send(&a, &m, -1), APR_SUCCESS);
    ck_assert_int_eq(receive(), APR_SUCCESS);
}
END_TEST

START_TEST(test_link_peer_gone)
{
    relay_msg m = message(RELAY_MSG_END);

    strcpy(m.text, "last words");
    ck_assert_int_eq(relay_link_send(&a, &m, -1), APR_SUCCESS);
    relay_link_close(&a);
    ck_assert_int_eq(relay_link_send(&b, &m, -1), APR_EOF);
    ck_assert_int_eq(receive(), APR_SUCCESS);
    ck_assert_str_eq(got.text, "last words");
    ck_assert_int_eq(receive(), APR_EOF);
    ck_assert_int_eq(receive(), APR_EOF);
}
END_TEST

/* The peer closes without having read our last message: what it said before
 * must still arrive. */
START_TEST(test_link_peer_gone_unread)
{
    relay_msg m = message(RELAY_MSG_END);

    ck_assert_int_eq(relay_link_send(&b, &m, -1), APR_SUCCESS);
    strcpy(m.text, "last words");
    ck_assert_int_eq(relay_link_send(&a, &m, -1), APR_SUCCESS);
    relay_link_close(&a);
    ck_assert_int_eq(receive(), APR_SUCCESS);
    ck_assert_str_eq(got.text, "last words");
    ck_assert_int_eq(receive(), APR_EOF);
}
END_TEST

START_TEST(test_link_none)
{
    relay_msg m = message(RELAY_MSG_JOINED);

    unpair();
    ck_assert_int_eq(b.fd, -1);
    ck_assert_int_eq(receive(), APR_EOF);
    ck_assert_int_eq(got_fd, -1);
    ck_assert_int_eq(relay_link_send(&b, &m, -1), APR_EOF);
    relay_link_close(&b);
}
END_TEST

START_TEST(test_link_send_invalid)
{
    relay_msg m = message(RELAY_MSG_RTS);
    ck_assert_int_eq(relay_link_send(&a, &m, -1), APR_EINVAL);
    ck_assert(APR_STATUS_IS_EAGAIN(receive()));
    m = message(RELAY_MSG_JOINED);
    ck_assert_int_eq(relay_link_send(&a, &m, 1 << 20), EBADF);
    ck_assert(APR_STATUS_IS_EAGAIN(receive()));
}
END_TEST

START_TEST(test_link_connect)
{
    struct sockaddr_un sun;
    char dir[] = "test_link.XXXXXX";
    relay_msg m = message(RELAY_MSG_HELLO);
    relay_link c;
    apr_status_t rv;
    int s, n = 0, fds[64];

    ck_assert_ptr_nonnull(mkdtemp(dir));
    memset(&sun, 0, sizeof(sun));
    sun.sun_family = AF_UNIX;
    snprintf(sun.sun_path, sizeof(sun.sun_path), "%s/s", dir);
    relay_link_init(&c);
    ck_assert(APR_STATUS_IS_ENOENT(relay_link_connect(&c, sun.sun_path)));

    s = socket(AF_UNIX, SOCK_SEQPACKET, 0);
    ck_assert_int_eq(bind(s, (struct sockaddr *)&sun, sizeof(sun)), 0);
    ck_assert_int_eq(relay_link_connect(&c, sun.sun_path), ECONNREFUSED);
    ck_assert_int_eq(c.fd, -1);
    ck_assert_int_eq(listen(s, 1), 0);
    while (n < 64) {
        relay_link_init(&c);
        rv = relay_link_connect(&c, sun.sun_path);
        if (rv != APR_SUCCESS)
            break;
        ck_assert(fcntl(c.fd, F_GETFL) & O_NONBLOCK);
        ck_assert(fcntl(c.fd, F_GETFD) & FD_CLOEXEC);
        fds[n++] = c.fd;
    }
    ck_assert(APR_STATUS_IS_EAGAIN(rv));
    ck_assert_int_gt(n, 0);

    relay_link_close(&b);
    relay_link_adopt(&b, accept(s, NULL, NULL));
    relay_link_adopt(&c, fds[0]);
    m.pid = 77;
    ck_assert_int_eq(relay_link_send(&c, &m, -1), APR_SUCCESS);
    ck_assert_int_eq(receive(), APR_SUCCESS);
    ck_assert_uint_eq(got.pid, 77);
    while (n > 0)
        close(fds[--n]);
    close(s);
    unlink(sun.sun_path);
    rmdir(dir);
}
END_TEST

START_TEST(test_link_connect_bad_path)
{
    char path[200];
    relay_link c;

    relay_link_init(&c);
    ck_assert_int_eq(relay_link_connect(&c, ""), APR_EINVAL);
    memset(path, 'x', sizeof(path));
    path[sizeof(path) - 1] = '\0';
    ck_assert_int_eq(relay_link_connect(&c, path), APR_ENAMETOOLONG);
    path[sizeof(((struct sockaddr_un *)0)->sun_path)] = '\0';
    ck_assert_int_eq(relay_link_connect(&c, path), APR_ENAMETOOLONG);
    path[sizeof(((struct sockaddr_un *)0)->sun_path) - 1] = '\0';
    ck_assert(APR_STATUS_IS_ENOENT(relay_link_connect(&c, path)));
    ck_assert_int_eq(c.fd, -1);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("link");
    TCase *t = tcase_create("link");

    tcase_add_checked_fixture(t, pair, unpair);
    tcase_add_test(t, test_link_order);
    tcase_add_test(t, test_link_adopt_flags);
    tcase_add_test(t, test_link_descriptor);
    tcase_add_test(t, test_link_surplus_descriptors);
    tcase_add_test(t, test_link_no_room_for_descriptor);
    tcase_add_test(t, test_link_move);
    tcase_add_test(t, test_link_undecodable);
    tcase_add_test(t, test_link_full_then_goes_on);
    tcase_add_test(t, test_link_peer_gone);
    tcase_add_test(t, test_link_peer_gone_unread);
    tcase_add_test(t, test_link_none);
    tcase_add_test(t, test_link_send_invalid);
    tcase_add_test(t, test_link_connect);
    tcase_add_test(t, test_link_connect_bad_path);
    suite_add_tcase(s, t);
    return test_main(s);
}
