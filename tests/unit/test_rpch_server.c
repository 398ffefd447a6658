/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_rpch_server.c - the program rpch-server from outside: raw RPC over
 * TCP, and the two halves of ncacn_http. RPCH_SERVER names the program.
 */
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

static const char ECHO_LE[] = "c55ea160e84dd711a637005056a20182 01000000";
static const char ECHO_BE[] = "60a15ec54de811d7a637005056a20182 00000001";
static const char MGMT_LE[] = "80bda8af8a7dc911bef408002b102989 01000000";
static const char NDR_LE[] = "045d888aeb1cc9119fe808002b104860 02000000";
static const char NDR_BE[] = "8a885d041ceb11c99fe808002b104860 00000002";
static const char NDR64[] = "33057171babe37498319b5dbef9ccc36 01000000";
static const char FEATURES[] = "2c1cb76c129840450300000000000000 01000000";
static const char OTHER[] = "000102030405060708090a0b0c0d0e0f 01000000";

static pid_t server;
static uint16_t tcp_port, http_port;
static uint8_t pdu[PDU_MAX];
static size_t pdu_len;

/* ---- the program --------------------------------------------------------- */

static uint16_t listening(FILE *from, const char *protocol)
{
    char line[128], want[64];
    unsigned port = 0;

    ck_assert_ptr_nonnull(fgets(line, sizeof(line), from));
    snprintf(want, sizeof(want), "listening %s 127.0.0.1:%%u\n", protocol);
    ck_assert_int_eq(sscanf(line, want, &port), 1);
    ck_assert_uint_ne(port, 0);
    return (uint16_t)port;
}

static void run(const char *option, const char *value)
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

static void start(void)
{
    run("--window", "65536");
}

static void stop(void)
{
    int status;

    ck_assert_int_eq(kill(server, SIGTERM), 0);
    ck_assert_int_eq(waitpid(server, &status, 0), server);
    ck_assert_int_eq(status, 0);
}

/* ---- sockets ------------------------------------------------------------- */

static int dial(uint16_t port)
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

static void put(int fd, const void *p, size_t len)
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
static bool get(int fd, uint8_t *p, size_t n)
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
static bool next_pdu(int fd)
{
    if (!get(fd, pdu, RPCH_PDU_HEADER_SIZE))
        return false;
    pdu_len = pdu[4] & 0x10 ? rpch_le16(pdu + 8) : rpch_be16(pdu + 8);
    ck_assert_uint_ge(pdu_len, RPCH_PDU_HEADER_SIZE);
    ck_assert(get(fd, pdu + 16, pdu_len - 16));
    return true;
}

static void expect_end(int fd)
{
    ck_assert(!next_pdu(fd));
    close(fd);
}

/* ---- RPC ----------------------------------------------------------------- */

/* A little-endian PDU with that body at out; returns its size. */
static size_t make_pdu(uint8_t *out, uint8_t ptype, uint8_t flags,
                       uint32_t call_id, const void *body, size_t len)
{
    rpch_writer w = rpch_writer_of(out, PDU_MAX);

    rpch_put_bytes(&w, "\5", 2);
    rpch_put_u8(&w, ptype);
    rpch_put_u8(&w, flags);
    rpch_put_le32(&w, 0x10);
    rpch_put_le16(&w, (uint16_t)(16 + len));
    rpch_put_le16(&w, 0);
    rpch_put_le32(&w, call_id);
    rpch_put_bytes(&w, body, len);
    ck_assert(!w.bad);
    return w.pos;
}

/* One context element; ids in sequence from 0. */
typedef struct offer {
    const char *abstract;
    const char *transfer;
} offer;

static size_t make_bind(uint8_t *out, uint8_t ptype, const offer *o, size_t n)
{
    uint8_t body[1024];
    rpch_writer w = rpch_writer_of(body, sizeof(body));
    size_t i;

    rpch_put_le16(&w, FRAG);
    rpch_put_le16(&w, FRAG);
    rpch_put_le32(&w, 0);
    rpch_put_le32(&w, (uint32_t)n);
    for (i = 0; i < n; i++) {
        rpch_put_le16(&w, (uint16_t)i);
        rpch_put_le16(&w, 1);
        test_hex(o[i].abstract, rpch_reserve(&w, 20), 20);
        test_hex(o[i].transfer, rpch_reserve(&w, 20), 20);
    }
    ck_assert(!w.bad);
    return make_pdu(out, ptype, 3, 1, body, w.pos);
}

static size_t put_bind(int fd, const offer *o, size_t n)
{
    uint8_t out[2048];
    size_t len = make_bind(out, RPCH_PTYPE_BIND, o, n);

    put(fd, out, len);
    return len;
}

/* The results of the bind_ack or alter_context_resp in pdu. */
static const uint8_t *results(size_t n)
{
    size_t at = (26 + (size_t)rpch_le16(pdu + 24) + 3) & ~(size_t)3;

    ck_assert_uint_eq(pdu_len, at + 4 + 24 * n);
    ck_assert_uint_eq(pdu[at], n);
    return pdu + at + 4;
}

static void expect_result(const uint8_t *r, unsigned result, unsigned reason)
{
    ck_assert_uint_eq(rpch_le16(r), result);
    ck_assert_uint_eq(rpch_le16(r + 2), reason);
}

static int bound(void)
{
    static const offer both[] = { { ECHO_LE, NDR_LE }, { MGMT_LE, NDR_LE } };
    int fd = dial(tcp_port);

    put_bind(fd, both, 2);
    ck_assert(next_pdu(fd));
    ck_assert_uint_eq(pdu[2], RPCH_PTYPE_BIND_ACK);
    expect_result(results(2), 0, 0);
    expect_result(results(2) + 24, 0, 0);
    return fd;
}

/* A request of one fragment at out. */
static size_t make_request(uint8_t *out, uint8_t flags, uint16_t context,
                           uint16_t opnum, const void *stub, size_t len)
{
    static uint8_t body[PDU_MAX - 16];
    rpch_writer w = rpch_writer_of(body, sizeof(body));

    rpch_put_le32(&w, (uint32_t)len);
    rpch_put_le16(&w, context);
    rpch_put_le16(&w, opnum);
    if (flags & 0x80)
        rpch_put_bytes(&w, "object_of_a_call", 16);
    rpch_put_bytes(&w, stub, len);
    ck_assert(!w.bad);
    return make_pdu(out, RPCH_PTYPE_REQUEST, flags, 7, body, w.pos);
}

static void put_request(int fd, uint8_t flags, uint16_t context,
                        uint16_t opnum, const void *stub, size_t len)
{
    static uint8_t out[PDU_MAX];

    put(fd, out, make_request(out, flags, context, opnum, stub, len));
}

static void put_call(int fd, uint16_t context, uint16_t opnum,
                     const uint8_t *stub, size_t len)
{
    size_t room = (FRAG - 24) & ~7u, at = 0, n;
    uint8_t flags;

    do {
        n = len - at < room ? len - at : room;
        flags = (uint8_t)((at == 0) | (at + n == len) << 1);
        put_request(fd, flags, context, opnum, stub + at, n);
        at += n;
    } while (at < len);
}

/* Reads the answer's fragments to stub, checks them; returns its size. */
static size_t get_answer(int fd, uint8_t *stub, size_t room)
{
    size_t len = 0, total = 0;

    do {
        ck_assert(next_pdu(fd));
        ck_assert_uint_eq(pdu[2], RPCH_PTYPE_RESPONSE);
        ck_assert_uint_le(pdu_len, FRAG);
        ck_assert_uint_eq(rpch_le32(pdu + 12), 7);
        ck_assert_uint_eq(pdu[3] & 1, len == 0);
        if (len == 0)
            total = rpch_le32(pdu + 16);
        ck_assert_uint_eq(rpch_le32(pdu + 16), total - len);
        ck_assert_uint_le(len + pdu_len - 24, room);
        memcpy(stub + len, pdu + 24, pdu_len - 24);
        len += pdu_len - 24;
    } while (!(pdu[3] & 2));
    ck_assert_uint_eq(len, total);
    return len;
}

static void expect_fault(int fd, uint32_t status)
{
    ck_assert(next_pdu(fd));
    ck_assert_uint_eq(pdu[2], RPCH_PTYPE_FAULT);
    ck_assert_uint_eq(pdu_len, 32);
    ck_assert_uint_eq(rpch_le32(pdu + 24), status);
}

/* AddOne works. */
static void expect_alive(int fd, uint16_t context)
{
    uint8_t stub[16];

    put_call(fd, context, 0, (const uint8_t *)"\xff\x01\0", 4);
    ck_assert_uint_eq(get_answer(fd, stub, sizeof(stub)), 4);
    ck_assert_uint_eq(rpch_le32(stub), 0x200);
}

/* The stub of EchoData or SinkData with n bytes at out. */
static size_t make_array(uint8_t *out, uint32_t n)
{
    rpch_writer w = rpch_writer_of(out, 8);
    uint32_t i;

    rpch_put_le32(&w, n);
    rpch_put_le32(&w, n);
    for (i = 0; i < n; i++)
        out[8 + i] = (uint8_t)(i * 7 + (i >> 8));
    return 8 + (size_t)n;
}

#define BULK 300000u
static uint8_t stub_in[BULK + 8], stub_out[BULK + 8];

/* ---- ncacn_ip_tcp --------------------------------------------------------- */

START_TEST(test_rpch_server_add_one)
{
    int fd = bound();

    expect_alive(fd, 0);
    expect_alive(fd, 0);
    close(fd);
}
END_TEST

START_TEST(test_rpch_server_bind_fields)
{
    static const offer one[] = { { ECHO_LE, NDR_LE } };
    int fd = dial(tcp_port);
    uint8_t ndr[20];
    char port[8];

    put_bind(fd, one, 1);
    ck_assert(next_pdu(fd));
    ck_assert_uint_eq(pdu[2], RPCH_PTYPE_BIND_ACK);
    ck_assert_uint_eq(pdu[3], 3);
    ck_assert_uint_eq(rpch_le32(pdu + 12), 1);
    ck_assert_uint_eq(rpch_le16(pdu + 16), FRAG);
    ck_assert_uint_eq(rpch_le16(pdu + 18), FRAG);
    ck_assert_uint_ne(rpch_le32(pdu + 20), 0);
    snprintf(port, sizeof(port), "%u", tcp_port);
    ck_assert_uint_eq(rpch_le16(pdu + 24), strlen(port) + 1);
    ck_assert_str_eq((const char *)pdu + 26, port);
    test_hex(NDR_LE, ndr, sizeof(ndr));
    ck_assert_mem_eq(results(1) + 4, ndr, sizeof(ndr));
    close(fd);
}
END_TEST

START_TEST(test_rpch_server_big_endian)
{
    int fd = dial(tcp_port);
    uint8_t out[128];
    size_t n;

    n = test_hex("05000b0300000000 0048000000000001 10b810b8 00000000"
                 "01000000 0003 0100", out, sizeof(out));
    n += test_hex(ECHO_BE, out + n, 20);
    n += test_hex(NDR_BE, out + n, 20);
    ck_assert_uint_eq(n, 72);
    put(fd, out, n);
    ck_assert(next_pdu(fd));
    ck_assert_uint_eq(pdu[2], RPCH_PTYPE_BIND_ACK);
    ck_assert_uint_eq(pdu[4], 0);
    ck_assert_uint_eq(rpch_be16(pdu + 16), 0x10b8);
    ck_assert_uint_eq(rpch_be16(pdu + pdu_len - 24), 0);
    test_hex(NDR_BE, out, 20);
    ck_assert_mem_eq(pdu + pdu_len - 20, out, 20);
    n = test_hex("0500000300000000 001c000000000009 00000004 0003 0000"
                 "000001ff", out, sizeof(out));
    put(fd, out, n);
    ck_assert(next_pdu(fd));
    n = test_hex("0500020300000000 001c000000000009 00000004 0003 0000"
                 "00000200", out, sizeof(out));
    ck_assert_uint_eq(pdu_len, n);
    ck_assert_mem_eq(pdu, out, n);
    close(fd);
}
END_TEST

START_TEST(test_rpch_server_echo)
{
    static const uint32_t size[] = { 0, 1, 4244, 4245, 4256, BULK };
    int fd = bound();
    size_t i, n;

    for (i = 0; i < sizeof(size) / sizeof(size[0]); i++) {
        n = make_array(stub_in, size[i]);
        put_call(fd, 0, 1, stub_in, n);
        ck_assert_uint_eq(get_answer(fd, stub_out, sizeof(stub_out)), n - 4);
        ck_assert_mem_eq(stub_out, stub_in + 4, n - 4);
    }
    close(fd);
}
END_TEST

START_TEST(test_rpch_server_echo_in_cuts)
{
    static uint8_t out[3 * FRAG];
    size_t cut, n, len;

    make_array(stub_in, 3000);
    n = make_request(out, 1, 0, 1, stub_in, 2000);
    n += make_request(out + n, 2, 0, 1, stub_in + 2000, 1008);
    for (cut = 1; cut < n; cut += cut < 60 ? 1 : 331) {
        int fd = bound();

        for (len = 0; len < n; len += cut) {
            put(fd, out + len, n - len < cut ? n - len : cut);
        }
        ck_assert_uint_eq(get_answer(fd, stub_out, sizeof(stub_out)), 3004);
        ck_assert_mem_eq(stub_out, stub_in + 4, 3004);
        close(fd);
    }
}
END_TEST

START_TEST(test_rpch_server_sink_and_source)
{
    int fd = bound();
    uint32_t i;

    put_call(fd, 0, 2, stub_in, make_array(stub_in, BULK));
    ck_assert_uint_eq(get_answer(fd, stub_out, sizeof(stub_out)), 0);
    put_call(fd, 0, 3, (const uint8_t *)"\xe0\x93\x04", 4); /* 300000 */
    ck_assert_uint_eq(get_answer(fd, stub_out, sizeof(stub_out)), BULK + 4);
    ck_assert_uint_eq(rpch_le32(stub_out), BULK);
    for (i = 0; i < BULK; i++)
        ck_assert_uint_eq(stub_out[4 + i], i & 0xff);
    close(fd);
}
END_TEST

START_TEST(test_rpch_server_pipelined)
{
    int fd = bound();
    uint8_t stub[8] = { 0 };
    unsigned i;

    for (i = 0; i < 1000; i++) {
        stub[0] = (uint8_t)i;
        put_request(fd, 3, 0, 0, stub, 4);
    }
    for (i = 0; i < 1000; i++) {
        ck_assert_uint_eq(get_answer(fd, stub, sizeof(stub)), 4);
        ck_assert_uint_eq(rpch_le32(stub), (i & 0xff) + 1);
    }
    close(fd);
}
END_TEST

START_TEST(test_rpch_server_object)
{
    int fd = bound();
    uint8_t stub[8];

    put_request(fd, 0x83, 0, 0, "\x04\0\0", 4);
    ck_assert_uint_eq(get_answer(fd, stub, sizeof(stub)), 4);
    ck_assert_uint_eq(rpch_le32(stub), 5);
    close(fd);
}
END_TEST

START_TEST(test_rpch_server_mgmt)
{
    int fd = bound();
    uint8_t stub[128], id[20];

    put_call(fd, 1, 0, stub, 0);
    ck_assert_uint_eq(get_answer(fd, stub, sizeof(stub)), 64);
    ck_assert_uint_ne(rpch_le32(stub), 0);
    ck_assert_uint_eq(rpch_le32(stub + 4), 2);
    ck_assert_uint_eq(rpch_le32(stub + 8), 2);
    test_hex(ECHO_LE, id, sizeof(id));
    ck_assert_mem_eq(stub + 20, id, sizeof(id));
    test_hex(MGMT_LE, id, sizeof(id));
    ck_assert_mem_eq(stub + 40, id, sizeof(id));
    ck_assert_uint_eq(rpch_le32(stub + 60), 0);
    put_call(fd, 1, 2, stub, 0);
    ck_assert_uint_eq(get_answer(fd, stub, sizeof(stub)), 8);
    ck_assert_uint_eq(rpch_le32(stub), 0);
    ck_assert_uint_eq(rpch_le32(stub + 4), 1);
    put_call(fd, 1, 1, stub, 0);
    expect_fault(fd, 0x1C010002);
    put_call(fd, 0, 4, stub, 0);
    expect_fault(fd, 0x1C010002);
    expect_alive(fd, 0);
    close(fd);
}
END_TEST

START_TEST(test_rpch_server_contexts)
{
    static const offer mixed[] = {
        { OTHER, NDR_LE }, { ECHO_LE, NDR64 }, { ECHO_LE, NDR_LE },
        { ECHO_LE, FEATURES }
    };
    int fd = dial(tcp_port);
    const uint8_t *r;

    put_bind(fd, mixed, 4);
    ck_assert(next_pdu(fd));
    ck_assert_uint_eq(pdu[2], RPCH_PTYPE_BIND_ACK);
    r = results(4);
    expect_result(r, 2, 1);
    expect_result(r + 24, 2, 2);
    expect_result(r + 48, 0, 0);
    expect_result(r + 72, 3, 0);
    put_call(fd, 0, 0, (const uint8_t *)"\0\0\0", 4);
    expect_fault(fd, 0x1C00001C);
    expect_alive(fd, 2);
    close(fd);
}
END_TEST

START_TEST(test_rpch_server_alter_context)
{
    static const offer echo[] = { { ECHO_LE, NDR_LE } };
    static const offer two[] = { { OTHER, NDR_LE }, { MGMT_LE, NDR_LE } };
    uint8_t out[512];
    int fd = dial(tcp_port);

    put_bind(fd, echo, 1);
    ck_assert(next_pdu(fd));
    put(fd, out, make_bind(out, RPCH_PTYPE_ALTER_CONTEXT, two, 2));
    ck_assert(next_pdu(fd));
    ck_assert_uint_eq(pdu[2], RPCH_PTYPE_ALTER_CONTEXT_RESP);
    expect_result(results(2), 2, 1);
    expect_result(results(2) + 24, 0, 0);
    expect_alive(fd, 0);
    put_call(fd, 1, 2, stub_in, 0);
    ck_assert_uint_eq(get_answer(fd, stub_out, sizeof(stub_out)), 8);
    close(fd);
}
END_TEST

static void expect_nak(const uint8_t *p, size_t len, unsigned reason)
{
    int fd = dial(tcp_port);

    put(fd, p, len);
    ck_assert(next_pdu(fd));
    ck_assert_uint_eq(pdu[2], RPCH_PTYPE_BIND_NAK);
    ck_assert_uint_eq(pdu_len, 24);
    ck_assert_uint_eq(rpch_le16(pdu + 16), reason);
    ck_assert_uint_eq(pdu[18], 1);
    ck_assert_uint_eq(pdu[19], 5);
    expect_end(fd);
}

START_TEST(test_rpch_server_bind_nak)
{
    static const offer one[] = { { ECHO_LE, NDR_LE } };
    uint8_t out[512] = { 0 };
    size_t len = make_bind(out, RPCH_PTYPE_BIND, one, 1);

    ck_assert_uint_eq(len, 72);
    out[24] = 0; /* no context */
    expect_nak(out, len, 4);
    out[24] = 2; /* the second is not there */
    expect_nak(out, len, 4);
    out[24] = 255;
    expect_nak(out, len, 2);
    out[24] = 1;
    out[30] = 0; /* no transfer syntax */
    expect_nak(out, len, 4);
    out[30] = 2;
    expect_nak(out, len, 4);
    out[30] = 1;
    out[3] = 1; /* not the last fragment */
    expect_nak(out, len, 4);
    out[3] = 3;
    out[8] = 20; /* cut in its header */
    expect_nak(out, 20, 4);
    out[8] = 72 + 16;
    out[10] = 8; /* credentials */
    expect_nak(out, len + 16, 8);
}
END_TEST

START_TEST(test_rpch_server_second_bind)
{
    static const offer one[] = { { ECHO_LE, NDR_LE } };
    int fd = bound();

    put_bind(fd, one, 1);
    ck_assert(next_pdu(fd));
    ck_assert_uint_eq(pdu[2], RPCH_PTYPE_BIND_NAK);
    expect_end(fd);
}
END_TEST

/* What a request PDU with a field changed is answered with. */
static void expect_break(size_t at, uint8_t value, uint32_t status)
{
    uint8_t out[64];
    int fd = bound();
    size_t n = make_request(out, 3, 0, 0, "\0\0\0", 4);

    out[at] = value;
    put(fd, out, n);
    expect_fault(fd, status);
    expect_end(fd);
}

START_TEST(test_rpch_server_bad_requests)
{
    expect_break(10, 1, 0x1C00001D);                  /* credentials */
    expect_break(3, 2, 0x1C01000B);                   /* not the first */
    expect_break(2, RPCH_PTYPE_RESPONSE, 0x1C01000B);
    expect_break(2, RPCH_PTYPE_AUTH_3, 0x1C01000B);
    expect_break(8, 23, 0x1C01000B);                  /* cut in its header */
}
END_TEST

START_TEST(test_rpch_server_interleaved_calls)
{
    int fd = bound();
    uint8_t out[64];
    size_t n;

    put_request(fd, 1, 0, 1, "\0\0\0", 4);
    n = make_request(out, 2, 0, 1, "\0\0\0", 4);
    out[12] = 8; /* call_id */
    put(fd, out, n);
    expect_fault(fd, 0x1C01000B);
    expect_end(fd);
}
END_TEST

START_TEST(test_rpch_server_bad_stub)
{
    int fd = bound();

    put_request(fd, 3, 0, 0, "\0\0", 3);
    expect_fault(fd, 0x6F7);
    put_request(fd, 3, 0, 1, "\5\0\0\0\5\0\0\0abcd", 12);
    expect_fault(fd, 0x6F7);
    put_request(fd, 3, 0, 2, "\4\0\0\0\5\0\0\0abcde", 13);
    expect_fault(fd, 0x6F7);
    expect_alive(fd, 0);
    close(fd);
}
END_TEST

START_TEST(test_rpch_server_cancel_and_orphaned)
{
    int fd = bound();
    uint8_t out[64];

    put_request(fd, 1, 0, 1, "\0\0\0", 4);
    put(fd, out, make_pdu(out, RPCH_PTYPE_CO_CANCEL, 3, 7, NULL, 0));
    put(fd, out, make_pdu(out, RPCH_PTYPE_ORPHANED, 3, 7, NULL, 0));
    expect_alive(fd, 0); /* the call is forgotten: another may begin */
    close(fd);
}
END_TEST

START_TEST(test_rpch_server_garbage)
{
    static const char *const hex[] = {
        "474554202f20485454502f312e310d0a0d0a",                /* HTTP */
        "05000b0310000000 0f00000001000000",                   /* 15 bytes */
        "05000b0310000000 ffff000001000000",                   /* 64 KiB */
        "05000b0320000000 4800000001000000",                   /* drep */
        "0500140310000000 1400000000000000 00000000",          /* RTS */
    };
    uint8_t out[64];
    size_t i;

    for (i = 0; i < sizeof(hex) / sizeof(hex[0]); i++) {
        int fd = dial(tcp_port);

        put(fd, out, test_hex(hex[i], out, sizeof(out)));
        expect_end(fd);
    }
}
END_TEST

START_TEST(test_rpch_server_half_pdu)
{
    static const offer one[] = { { ECHO_LE, NDR_LE } };
    uint8_t out[512];
    size_t n, len = make_bind(out, RPCH_PTYPE_BIND, one, 1);

    for (n = 0; n < len; n += 9) {
        int fd = dial(tcp_port);

        put(fd, out, n);
        shutdown(fd, SHUT_WR);
        expect_end(fd);
    }
}
END_TEST

/* A client that sends no more still gets its answer. */
START_TEST(test_rpch_server_half_closed)
{
    int fd = bound();

    put_call(fd, 0, 3, (const uint8_t *)"\xe0\x93\x04", 4);
    shutdown(fd, SHUT_WR);
    ck_assert_uint_eq(get_answer(fd, stub_out, sizeof(stub_out)), BULK + 4);
    expect_end(fd);
}
END_TEST

START_TEST(test_rpch_server_max_call)
{
    int fd;

    run("--max-call", "10000");
    fd = bound();
    put_call(fd, 0, 1, stub_in, make_array(stub_in, 9992));
    ck_assert_uint_eq(get_answer(fd, stub_out, sizeof(stub_out)), 9996);
    put_call(fd, 0, 3, (const uint8_t *)"\x11\x27\0", 4); /* 10001 */
    expect_fault(fd, 0x1C010013);
    expect_alive(fd, 0);
    put_call(fd, 0, 1, stub_in, make_array(stub_in, 9993));
    expect_fault(fd, 0x1C010013);
    expect_end(fd);
    stop();
}
END_TEST

/* ---- ncacn_http ----------------------------------------------------------- */

static rpch_cookie cookie(uint8_t fill)
{
    rpch_cookie c;

    memset(&c, fill, sizeof(c));
    return c;
}

static void put_rts(int fd, rpch_pdu_id id, const rpch_rts_values *v)
{
    uint8_t out[RPCH_RTS_SIZE_MAX];
    size_t len;

    ck_assert_int_eq(rpch_rts_make(id, v, out, sizeof(out), &len), RPCH_OK);
    put(fd, out, len);
}

static rpch_rts_values opening(uint8_t vc, uint8_t channel, uint32_t window)
{
    rpch_rts_values v;

    memset(&v, 0, sizeof(v));
    v.version = 1;
    v.cookie[0] = cookie(vc);
    v.cookie[1] = cookie(channel);
    v.group = cookie(0x99);
    v.window = window;
    v.lifetime = 0x40000000;
    v.timeout = 900000;
    v.keepalive = 300000;
    v.address.addr[0] = 127;
    return v;
}

static int open_half(void)
{
    int fd = dial(http_port);
    uint8_t banner[14];

    ck_assert(get(fd, banner, sizeof(banner)));
    ck_assert_mem_eq(banner, "ncacn_http/1.0", sizeof(banner));
    return fd;
}

static int open_out(uint8_t vc, uint32_t window, uint32_t lifetime)
{
    rpch_rts_values v = opening(vc, 0x22, window);
    int fd = open_half();

    v.lifetime = lifetime;
    put_rts(fd, RPCH_CONN_A2, &v);
    return fd;
}

static int open_in(uint8_t vc)
{
    rpch_rts_values v = opening(vc, 0x33, 65536);
    int fd = open_half();

    put_rts(fd, RPCH_CONN_B2, &v);
    return fd;
}

static void expect_rts(int fd, rpch_pdu_id id, rpch_rts_values *v)
{
    const char *reason;
    rpch_rts rts;

    ck_assert(next_pdu(fd));
    ck_assert_int_eq(rpch_rts_decode(pdu, pdu_len, &rts, &reason), RPCH_OK);
    memset(v, 0, sizeof(*v));
    ck_assert_int_eq(rpch_rts_read(id, &rts, v), RPCH_OK);
}

static void expect_opened(int in, int out)
{
    rpch_rts_values v;

    expect_rts(out, RPCH_CONN_C1, &v);
    ck_assert_uint_eq(v.version, 1);
    ck_assert_uint_eq(v.window, 65536);
    ck_assert_uint_eq(v.timeout, 900000);
    expect_rts(in, RPCH_CONN_B3, &v);
    ck_assert_uint_eq(v.window, 65536);
}

static void http_bind(int in, int out)
{
    static const offer one[] = { { ECHO_LE, NDR_LE } };

    put_bind(in, one, 1);
    ck_assert(next_pdu(out));
    ck_assert_uint_eq(pdu[2], RPCH_PTYPE_BIND_ACK);
}

/* A FlowControlAck of S-OUT. */
static void put_ack(int out, uint32_t received, uint32_t available)
{
    rpch_rts_values v = { .ack = { received, available, cookie(0x22) } };

    put_rts(out, RPCH_FLOW_CONTROL_ACK, &v);
}

/* AddOne through both halves. */
static void http_call(int in, int out)
{
    uint8_t stub[8];

    put_call(in, 0, 0, (const uint8_t *)"\x29\0\0", 4);
    ck_assert_uint_eq(get_answer(out, stub, sizeof(stub)), 4);
    ck_assert_uint_eq(rpch_le32(stub), 42);
}

/* Both halves are there: they work together, and end together. */
static void use_and_close(int in, int out, int first)
{
    expect_opened(in, out);
    http_bind(in, out);
    http_call(in, out);
    close(first);
    expect_end(first == in ? out : in);
}

START_TEST(test_rpch_server_http_out_first)
{
    int out = open_out(1, 65536, 0x40000000);
    int in = open_in(1);

    use_and_close(in, out, in);
}
END_TEST

START_TEST(test_rpch_server_http_in_first)
{
    int in = open_in(1);
    int out = open_out(1, 65536, 0x40000000);

    use_and_close(in, out, out);
}
END_TEST

START_TEST(test_rpch_server_http_byte_by_byte)
{
    rpch_rts_values v = opening(1, 0x22, 65536);
    uint8_t rts[RPCH_RTS_SIZE_MAX];
    int out = open_half(), in;
    size_t i, len;

    ck_assert_int_eq(rpch_rts_make(RPCH_CONN_A2, &v, rts, sizeof(rts), &len),
                     RPCH_OK);
    for (i = 0; i < len; i++)
        put(out, rts + i, 1);
    in = open_in(1);
    use_and_close(in, out, in);
}
END_TEST

START_TEST(test_rpch_server_http_many)
{
    int in[20], out[20];
    uint8_t i;

    for (i = 0; i < 20; i++)
        out[i] = open_out((uint8_t)(i + 1), 65536, 0x40000000);
    for (i = 0; i < 20; i++)
        in[19 - i] = open_in((uint8_t)(20 - i));
    for (i = 0; i < 20; i++)
        use_and_close(in[i], out[i], i % 2 == 0 ? in[i] : out[i]);
}
END_TEST

/* The server never oversteps our window, and goes on with each ack. */
START_TEST(test_rpch_server_http_window)
{
    int out = open_out(1, 8192, 0x40000000);
    int in = open_in(1);
    uint32_t received = 0, rpc = 0, granted = 8192;

    expect_opened(in, out);
    http_bind(in, out);
    received += (uint32_t)pdu_len;
    put_call(in, 0, 3, (const uint8_t *)"\xe0\x93\x04", 4);
    do {
        ck_assert(next_pdu(out));
        ck_assert_uint_eq(pdu[2], RPCH_PTYPE_RESPONSE);
        received += (uint32_t)pdu_len;
        rpc += (uint32_t)pdu_len - 24;
        ck_assert_uint_le(received, granted);
        if (granted - received >= FRAG || pdu[3] & 2)
            continue;
        granted = received + 8192;
        put_ack(out, received, 8192);
    } while (!(pdu[3] & 2));
    ck_assert_uint_eq(rpc, BULK + 4);
    http_call(in, out);
    close(in);
    expect_end(out);
}
END_TEST

/* The server acknowledges what it consumes: a sender that keeps to the window
 * comes to its end. */
START_TEST(test_rpch_server_http_acks)
{
    int out = open_out(1, 65536, 0x40000000);
    int in = open_in(1);
    uint32_t sent, granted = 65536, room = (FRAG - 24) & ~7u;
    rpch_cookie channel = cookie(0x33);
    size_t n, len, at;
    rpch_rts_values v;

    expect_opened(in, out);
    http_bind(in, out);
    sent = 72;
    len = make_array(stub_in, BULK);
    for (at = 0; at < len; at += n) {
        n = len - at < room ? len - at : room;
        while (sent + n + 24 > granted) {
            expect_rts(in, RPCH_FLOW_CONTROL_ACK, &v);
            ck_assert(rpch_cookie_equal(&v.ack.cookie, &channel));
            ck_assert_uint_le(v.ack.bytes_received, sent);
            ck_assert_uint_le(v.ack.available_window, 65536);
            granted = v.ack.bytes_received + v.ack.available_window;
        }
        put_request(in, (uint8_t)((at == 0) | (at + n == len) << 1), 0, 2,
                    stub_in + at, n);
        sent += (uint32_t)n + 24;
    }
    ck_assert_uint_eq(get_answer(out, stub_out, sizeof(stub_out)), 0);
    close(in);
    expect_end(out);
}
END_TEST

START_TEST(test_rpch_server_http_forward)
{
    int out = open_out(1, 65536, 0x40000000);
    int in = open_in(1);
    rpch_rts_values v, got;

    expect_opened(in, out);
    memset(&v, 0, sizeof(v));
    v.dest = RPCH_DEST_OUT_PROXY;
    v.ack.available_window = 4711;
    put_rts(in, RPCH_FLOW_CONTROL_ACK_DEST, &v);
    expect_rts(out, RPCH_FLOW_CONTROL_ACK_DEST, &got);
    ck_assert_uint_eq(got.ack.available_window, 4711);
    close(in);
    expect_end(out);
}
END_TEST

/* Halves of different connections stay apart. */
START_TEST(test_rpch_server_http_wrong_cookie)
{
    int out = open_out(1, 65536, 0x40000000);
    int stray = open_in(2);
    int in = open_in(1);

    expect_opened(in, out);
    http_bind(in, out);
    ck_assert_int_eq(poll(&(struct pollfd){ stray, POLLIN, 0 }, 1, 0), 0);
    http_call(in, out);
    close(stray);
    http_call(in, out);
    close(in);
    expect_end(out);
}
END_TEST

START_TEST(test_rpch_server_http_half_twice)
{
    int out = open_out(1, 65536, 0x40000000);
    int again = open_out(1, 65536, 0x40000000);

    expect_end(again);
    expect_end(out);
}
END_TEST

START_TEST(test_rpch_server_http_rpc_on_out)
{
    static const offer one[] = { { ECHO_LE, NDR_LE } };
    int out = open_out(1, 65536, 0x40000000);
    int in = open_in(1);

    expect_opened(in, out);
    put_bind(out, one, 1);
    expect_end(out);
    expect_end(in);
}
END_TEST

START_TEST(test_rpch_server_http_rpc_first)
{
    static const offer one[] = { { ECHO_LE, NDR_LE } };
    int fd = open_half();

    put_bind(fd, one, 1);
    expect_end(fd);
    fd = open_half();
    put(fd, "GET / HTTP/1.1\r\n\r\n", 18);
    expect_end(fd);
}
END_TEST

START_TEST(test_rpch_server_http_bad_ack)
{
    int out = open_out(1, 65536, 0x40000000);
    int in = open_in(1);

    expect_opened(in, out);
    put_ack(out, 1, 0);
    expect_end(out);
    expect_end(in);
}
END_TEST

START_TEST(test_rpch_server_http_bind_nak)
{
    static const offer one[] = { { ECHO_LE, NDR_LE } };
    int out = open_out(1, 65536, 0x40000000);
    int in = open_in(1);
    uint8_t bind[128];
    size_t len = make_bind(bind, RPCH_PTYPE_BIND, one, 1);

    expect_opened(in, out);
    bind[24] = 0;
    put(in, bind, len);
    ck_assert(next_pdu(out));
    ck_assert_uint_eq(pdu[2], RPCH_PTYPE_BIND_NAK);
    expect_end(out);
    expect_end(in);
}
END_TEST

START_TEST(test_rpch_server_http_lifetime)
{
    int out = open_out(1, 65536, RPCH_LIFETIME_MIN);
    int in = open_in(1);
    uint32_t received = 0;

    expect_opened(in, out);
    http_bind(in, out);
    received += (uint32_t)pdu_len;
    put_call(in, 0, 3, (const uint8_t *)"\xe0\x93\x04", 4);
    while (next_pdu(out)) {
        received += (uint32_t)pdu_len;
        put_ack(out, received, 65536);
    }
    ck_assert_uint_le(received + 44, RPCH_LIFETIME_MIN);
    ck_assert_uint_gt(received + 44 + FRAG, RPCH_LIFETIME_MIN);
    close(out);
    expect_end(in);
}
END_TEST

START_TEST(test_rpch_server_http_log)
{
    char path[] = "/tmp/rpch-server-log.XXXXXX";
    char text[4096];
    size_t n;
    FILE *f;
    int fd = mkstemp(path), in, out;

    ck_assert_int_ge(fd, 0);
    run("--log", path);
    out = open_out(1, 65536, 0x40000000);
    in = open_in(1);
    expect_opened(in, out);
    close(in);
    expect_end(out);
    stop();
    f = fdopen(fd, "r");
    n = fread(text, 1, sizeof(text) - 1, f);
    text[n] = '\0';
    fclose(f);
    unlink(path);
    ck_assert_ptr_nonnull(strstr(text, "received on S-OUT: CONN/A2\n"));
    ck_assert_ptr_nonnull(strstr(text, "received on S-IN: CONN/B2\n"));
    ck_assert_ptr_nonnull(strstr(text, "queued for S-OUT: CONN/C1\n"));
    ck_assert_ptr_nonnull(strstr(text, "queued for S-IN: CONN/B3\n"));
    ck_assert_ptr_nonnull(strstr(text, "S-IN was closed"));
}
END_TEST

static TCase *tcp_case(void)
{
    TCase *t = tcase_create("ncacn_ip_tcp");

    tcase_add_checked_fixture(t, start, stop);
    tcase_add_test(t, test_rpch_server_add_one);
    tcase_add_test(t, test_rpch_server_bind_fields);
    tcase_add_test(t, test_rpch_server_big_endian);
    tcase_add_test(t, test_rpch_server_echo);
    tcase_add_test(t, test_rpch_server_echo_in_cuts);
    tcase_add_test(t, test_rpch_server_sink_and_source);
    tcase_add_test(t, test_rpch_server_pipelined);
    tcase_add_test(t, test_rpch_server_object);
    tcase_add_test(t, test_rpch_server_mgmt);
    tcase_add_test(t, test_rpch_server_contexts);
    tcase_add_test(t, test_rpch_server_alter_context);
    tcase_add_test(t, test_rpch_server_bind_nak);
    tcase_add_test(t, test_rpch_server_second_bind);
    tcase_add_test(t, test_rpch_server_bad_requests);
    tcase_add_test(t, test_rpch_server_interleaved_calls);
    tcase_add_test(t, test_rpch_server_bad_stub);
    tcase_add_test(t, test_rpch_server_cancel_and_orphaned);
    tcase_add_test(t, test_rpch_server_garbage);
    tcase_add_test(t, test_rpch_server_half_pdu);
    tcase_add_test(t, test_rpch_server_half_closed);
    return t;
}

static TCase *http_case(void)
{
    TCase *t = tcase_create("ncacn_http");

    tcase_add_checked_fixture(t, start, stop);
    tcase_add_test(t, test_rpch_server_http_out_first);
    tcase_add_test(t, test_rpch_server_http_in_first);
    tcase_add_test(t, test_rpch_server_http_byte_by_byte);
    tcase_add_test(t, test_rpch_server_http_many);
    tcase_add_test(t, test_rpch_server_http_window);
    tcase_add_test(t, test_rpch_server_http_acks);
    tcase_add_test(t, test_rpch_server_http_forward);
    tcase_add_test(t, test_rpch_server_http_wrong_cookie);
    tcase_add_test(t, test_rpch_server_http_half_twice);
    tcase_add_test(t, test_rpch_server_http_rpc_on_out);
    tcase_add_test(t, test_rpch_server_http_rpc_first);
    tcase_add_test(t, test_rpch_server_http_bad_ack);
    tcase_add_test(t, test_rpch_server_http_bind_nak);
    tcase_add_test(t, test_rpch_server_http_lifetime);
    return t;
}

int main(void)
{
    Suite *s = suite_create("rpch_server");
    TCase *options = tcase_create("options");

    suite_add_tcase(s, tcp_case());
    suite_add_tcase(s, http_case());
    tcase_add_test(options, test_rpch_server_max_call);
    tcase_add_test(options, test_rpch_server_http_log);
    suite_add_tcase(s, options);
    return test_main(s);
}
