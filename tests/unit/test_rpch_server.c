/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_rpch_server.c - the program rpch-server from outside: raw RPC over TCP.
 * RPCH_SERVER names the program.
 */
#include "rpch_server_rpc_test.h"

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

int main(void)
{
    Suite *s = suite_create("rpch_server");
    TCase *options = tcase_create("options");

    suite_add_tcase(s, tcp_case());
    tcase_add_test(options, test_rpch_server_max_call);
    suite_add_tcase(s, options);
    return test_main(s);
}
