/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_rpch_server_http.c - the program rpch-server from outside: the two
 * halves of ncacn_http. RPCH_SERVER names the program.
 */
#include "rpch_server_http_test.h"

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
        put_ack(out, 0x22, received, 8192);
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

/* Version 1, 3.1.3: behind the banner the connection is an association of its
 * own, however its first PDU arrives. */
START_TEST(test_rpch_server_http_version_1)
{
    static const offer one[] = { { ECHO_LE, NDR_LE } };
    uint8_t bind[128], rts[RPCH_RTS_SIZE_MAX];
    size_t i, len = make_bind(bind, RPCH_PTYPE_BIND, one, 1);
    rpch_rts_values v = opening(1, 0x22, 65536);
    int fd = open_half();

    for (i = 0; i < len; i++)
        put(fd, bind + i, 1);
    ck_assert(next_pdu(fd));
    ck_assert_uint_eq(pdu[2], RPCH_PTYPE_BIND_ACK);
    expect_alive(fd, 0);
    ck_assert_int_eq(rpch_rts_make(RPCH_CONN_A2, &v, rts, sizeof(rts), &len),
                     RPCH_OK);
    put(fd, rts, len);
    expect_end(fd);
}
END_TEST

START_TEST(test_rpch_server_http_garbage_first)
{
    int fd = open_half();

    put(fd, "GET / HTTP/1.1\r\n\r\n", 18);
    expect_end(fd);
}
END_TEST

START_TEST(test_rpch_server_http_bad_ack)
{
    int out = open_out(1, 65536, 0x40000000);
    int in = open_in(1);

    expect_opened(in, out);
    put_ack(out, 0x22, 1, 0);
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

/* Without recycling a channel ends at its lifetime; what the out-proxy adds
 * unseen has room in it. */
START_TEST(test_rpch_server_http_lifetime)
{
    uint32_t room = RPCH_LIFETIME_MIN - 28 - 20 - RPCH_PING_NOTIFY_DEFAULT;
    uint32_t received = 44;
    int out, in;

    run("--lifetime-reserve", "0");
    out = open_out(1, 65536, RPCH_LIFETIME_MIN);
    in = open_in(1);
    expect_opened(in, out);
    http_bind(in, out);
    received += (uint32_t)pdu_len;
    put_call(in, 0, 3, (const uint8_t *)"\xe0\x93\x04", 4);
    while (next_pdu(out)) {
        received += (uint32_t)pdu_len;
        put_ack(out, 0x22, received - 44, 65536);
    }
    ck_assert_uint_le(received, room);
    ck_assert_uint_gt(received + FRAG, room);
    close(out);
    expect_end(in);
    stop();
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
    ck_assert_ptr_nonnull(strstr(text, "S-IN was closed; recycled: 0 IN, 0 "
                                       "OUT\n"));
}
END_TEST

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
    tcase_add_test(t, test_rpch_server_http_version_1);
    tcase_add_test(t, test_rpch_server_http_garbage_first);
    tcase_add_test(t, test_rpch_server_http_bad_ack);
    tcase_add_test(t, test_rpch_server_http_bind_nak);
    return t;
}

int main(void)
{
    Suite *s = suite_create("rpch_server_http");
    TCase *options = tcase_create("options");

    suite_add_tcase(s, http_case());
    tcase_add_test(options, test_rpch_server_http_lifetime);
    tcase_add_test(options, test_rpch_server_http_log);
    suite_add_tcase(s, options);
    return test_main(s);
}
