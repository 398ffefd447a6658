/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rpch_server_test.h - the program rpch-server, run by its tests, which talk to
 * it over sockets. RPCH_SERVER names the program.
 */
#ifndef RPCH_SERVER_PROGRAM_TEST_H
#define RPCH_SERVER_PROGRAM_TEST_H

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "rpch/rts_table.h"
#include "rpch/wire.h"
#include "rpch_test.h"

#define PATIENCE 20000 /* ms, for anything that is to come */
#define FRAG 4280
#define PDU_MAX RPCH_PDU_SIZE_MAX

static pid_t server;
static uint16_t tcp_port, http_port;
static uint8_t pdu[PDU_MAX];
static size_t pdu_len;

/* ---- the program --------------------------------------------------------- */

/* The port of the next line that the program writes. */
static inline uint16_t listening(FILE *from, const char *protocol)
{
    char line[128], want[64];
    unsigned port = 0;

    ck_assert_ptr_nonnull(fgets(line, sizeof(line), from));
    snprintf(want, sizeof(want), "listening %s 127.0.0.1:%%u\n", protocol);
    ck_assert_int_eq(sscanf(line, want, &port), 1);
    ck_assert_uint_ne(port, 0);
    return (uint16_t)port;
}

/* Runs the program with one more option, and learns its ports. */
static inline void run(const char *option, const char *value)
{
    const char *program = getenv("RPCH_SERVER");
    int out[2];
    FILE *from;

    program = program != NULL ? program : "./rpch-server";
    ck_assert_int_eq(pipe(out), 0);
    server = fork();
    ck_assert_int_ge(server, 0);
    if (server == 0) {
        dup2(out[1], STDOUT_FILENO);
        close(out[0]);
        close(out[1]);
        execl(program, program, "--tcp", "127.0.0.1:0", "--http",
              "127.0.0.1:0", option, value, (char *)NULL);
        _exit(127);
    }
    close(out[1]);
    from = fdopen(out[0], "r");
    tcp_port = listening(from, "ncacn_ip_tcp");
    http_port = listening(from, "ncacn_http");
    fclose(from);
}

/* Runs the program as most tests want it. */
static inline void start(void)
{
    run("--window", "65536");
}

/* Ends the program, which has to go without complaint. */
static inline void stop(void)
{
    int status;

    ck_assert_int_eq(kill(server, SIGTERM), 0);
    ck_assert_int_eq(waitpid(server, &status, 0), server);
    ck_assert_int_eq(status, 0);
}

/* ---- sockets ------------------------------------------------------------- */

/* A connection to that port of the program. */
static inline int dial(uint16_t port)
{
    struct sockaddr_in to = { .sin_family = AF_INET };
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    int on = 1;

    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    return fd;
}

/* Sends all of it. */
static inline void put(int fd, const void *p, size_t len)
{
    size_t n = 0;
    ssize_t rv;

    while (n < len) {
        rv = send(fd, (const uint8_t *)p + n, len - n, MSG_NOSIGNAL);
        ck_assert_int_gt(rv, 0);
        n += (size_t)rv;
    }
}

/* Reads n bytes; false when the peer ended before the first. */
static inline bool get(int fd, uint8_t *p, size_t n)
{
    struct pollfd at = { fd, POLLIN, 0 };
    size_t have = 0;
    ssize_t rv;

    while (have < n) {
        ck_assert_int_eq(poll(&at, 1, PATIENCE), 1);
        rv = recv(fd, p + have, n - have, 0);
        if (rv <= 0) {
            ck_assert_uint_eq(have, 0);
            return false;
        }
        have += (size_t)rv;
    }
    return true;
}

/* Reads the next PDU to pdu; false at the end. */
static inline bool next_pdu(int fd)
{
    if (!get(fd, pdu, RPCH_PDU_HEADER_SIZE))
        return false;
    pdu_len = pdu[4] & 0x10 ? rpch_le16(pdu + 8) : rpch_be16(pdu + 8);
    ck_assert_uint_ge(pdu_len, RPCH_PDU_HEADER_SIZE);
    ck_assert(get(fd, pdu + 16, pdu_len - 16));
    return true;
}

/* The program says nothing more, and closes. */
static inline void expect_end(int fd)
{
    ck_assert(!next_pdu(fd));
    close(fd);
}

#endif
