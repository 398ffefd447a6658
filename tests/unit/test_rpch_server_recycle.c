/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_rpch_server_recycle.c - the program rpch-server from outside: its
 * channels are recycled. RPCH_SERVER names the program.
 */
#include "rpch_server_http_test.h"

/* An answer of three lifetimes. */
#define ANSWER 400000u

/* The last S-OUT, its channel, and what was received on it. */
static struct {
    int fd;
    uint8_t channel;
    uint32_t received; /* RPC bytes of this connection */
    unsigned recycled;
} leg;

/* The next PDU of the S-OUT; an RPC PDU is acknowledged. */
static void next_out(void)
{
    ck_assert(next_pdu(leg.fd));
    if (pdu[2] == RPCH_PTYPE_RTS)
        return;
    leg.received += (uint32_t)pdu_len;
    put_ack(leg.fd, leg.channel, leg.received, 65536);
}

/* True when the PDU at hand is an RTS PDU of that kind. */
static bool is_rts(rpch_pdu_id id)
{
    const char *reason;
    rpch_rts rts;

    return pdu[2] == RPCH_PTYPE_RTS
        && rpch_rts_decode(pdu, pdu_len, &rts, &reason) == RPCH_OK
        && rpch_rts_is(&rts, id);
}

/* Takes the RPC PDU at hand as a part of SourceData's answer, whose first
 * *have bytes were seen; true when it is the last one. */
static bool take_part(size_t *have)
{
    size_t i;

    ck_assert_uint_eq(pdu[2], RPCH_PTYPE_RESPONSE);
    ck_assert_uint_eq(pdu[3] & 1, *have == 0);
    for (i = 24; i < pdu_len; i++, (*have)++)
        if (*have >= 4 && *have < ANSWER + 4)
            ck_assert_uint_eq(pdu[i], (uint8_t)(*have - 4));
    return (pdu[3] & 2) != 0;
}

/* OUT_R1: the server's question was read. What it sends on the old S-OUT up to
 * A9 is a part of the answer. */
static void recycle_r1(int in, size_t *have)
{
    uint8_t successor = (uint8_t)(leg.channel + 1);
    rpch_rts_values v = opening(1, leg.channel, 65536);
    int fd = open_half();

    v.cookie[2] = cookie(successor);
    v.lifetime = RPCH_LIFETIME_MIN;
    v.timeout = 600000;
    put_rts(fd, RPCH_OUT_R1_A4, &v);
    for (next_out(); !is_rts(RPCH_OUT_R1_A5); next_out())
        take_part(have);
    ck_assert_uint_eq(rpch_le32(pdu + 40), 600000);
    v.cookie[0] = cookie(successor);
    put_rts(in, RPCH_OUT_R1_A7, &v);
    for (next_out(); !is_rts(RPCH_OUT_R1_A9); next_out())
        take_part(have);
    close(leg.fd);
    leg.fd = fd;
    leg.channel = successor;
    leg.received = 0;
    leg.recycled++;
}

/* OUT_R2 over the same S-OUT. */
static void recycle_r2(int in, size_t *have)
{
    uint8_t successor = (uint8_t)(leg.channel + 1);
    rpch_rts_values v = opening(1, 0, 65536);

    v.cookie[0] = cookie(successor);
    put_rts(leg.fd, RPCH_OUT_R2_A4, &v);
    for (next_out(); !is_rts(RPCH_OUT_R2_A5); next_out())
        take_part(have);
    put_rts(in, RPCH_OUT_R2_A7, &v);
    for (next_out(); !is_rts(RPCH_OUT_R2_B1); next_out())
        take_part(have);
    leg.channel = successor;
    leg.recycled++;
}

/* SourceData over channels of the shortest lifetime. */
static void recycle_out(void (*recycle)(int in, size_t *have))
{
    int in;
    size_t have = 0;
    bool last = false;
    uint8_t n[4] = { ANSWER & 0xff, ANSWER >> 8 & 0xff, ANSWER >> 16, 0 };

    memset(&leg, 0, sizeof(leg));
    leg.channel = 0x22;
    leg.fd = open_out(1, 65536, RPCH_LIFETIME_MIN);
    in = open_in(1);
    expect_opened(in, leg.fd);
    http_bind(in, leg.fd);
    leg.received = (uint32_t)pdu_len;
    put_call(in, 0, 3, n, 4);
    while (!last) {
        next_out();
        if (is_rts(RPCH_OUT_R1_A1))
            recycle(in, &have);
        else
            last = take_part(&have);
    }
    ck_assert_uint_eq(have, ANSWER + 4);
    ck_assert_uint_ge(leg.recycled, 3);
    ck_assert_uint_le(leg.recycled, 4);
    http_call(in, leg.fd);
    close(in);
    expect_end(leg.fd);
}

START_TEST(test_rpch_server_recycle_out_r1)
{
    recycle_out(recycle_r1);
}
END_TEST

START_TEST(test_rpch_server_recycle_out_r2)
{
    recycle_out(recycle_r2);
}
END_TEST

/* The fragments [*at, to) of a call of len bytes. */
static void put_some(int fd, size_t len, size_t *at, size_t to)
{
    size_t room = (FRAG - 24) & ~7u, n;

    for (; *at < to; *at += n) {
        n = len - *at < room ? len - *at : room;
        put_request(fd, (uint8_t)((*at == 0) | (*at + n == len) << 1), 0, 1,
                    stub_in + *at, n);
    }
}

/* A new S-IN whose IN_R1/A2 the server has accepted. */
static int in_successor(int out, uint8_t predecessor, uint8_t successor)
{
    rpch_rts_values v = opening(1, predecessor, 65536), got;
    int fd = open_half();

    v.cookie[2] = cookie(successor);
    v.timeout = 240000;
    put_rts(fd, RPCH_IN_R1_A2, &v);
    expect_rts(out, RPCH_IN_R1_A3, &got);
    ck_assert_uint_eq(got.timeout, 240000);
    return fd;
}

/* A call's fragments over three S-INs, one after the other. */
START_TEST(test_rpch_server_recycle_in_r1)
{
    int out = open_out(1, 65536, 0x40000000);
    int in = open_in(1), new;
    rpch_rts_values v = opening(0, 0, 0), got;
    size_t len = make_array(stub_in, 50000), at = 0;
    uint8_t channel;

    expect_opened(in, out);
    http_bind(in, out);
    for (channel = 0x33; channel < 0x35; channel++) {
        put_some(in, len, &at, at + 10000);
        new = in_successor(out, channel, (uint8_t)(channel + 1));
        v.cookie[0] = cookie((uint8_t)(channel + 1));
        put_rts(in, RPCH_IN_R1_A6, &v);
        put_some(in, len, &at, at + 5000);
        put_rts(in, RPCH_IN_R1_B1, &v);
        expect_rts(new, RPCH_IN_R1_B2, &got);
        ck_assert_uint_eq(got.window, 65536);
        expect_end(in); /* it is the server that closes it */
        in = new;
    }
    put_some(in, len, &at, len);
    ck_assert_uint_eq(get_answer(out, stub_out, sizeof(stub_out)), len - 4);
    ck_assert_mem_eq(stub_in + 4, stub_out, len - 4);
    http_call(in, out);
    close(in);
    expect_end(out);
}
END_TEST

START_TEST(test_rpch_server_recycle_in_r2)
{
    int out = open_out(1, 65536, 0x40000000);
    int in = open_in(1);
    rpch_rts_values v = opening(0x44, 0, 0), got;

    expect_opened(in, out);
    http_bind(in, out);
    put_rts(in, RPCH_IN_R2_A2, &v);
    expect_rts(out, RPCH_IN_R2_A3, &got);
    http_call(in, out);
    close(out);
    expect_end(in);
}
END_TEST

/* A successor without a connection, one with a wrong predecessor, and a third
 * connection while two are there. */
START_TEST(test_rpch_server_recycle_refused)
{
    rpch_rts_values v = opening(9, 0x33, 65536);
    int out, in, fd = open_half(), third;

    put_rts(fd, RPCH_IN_R1_A2, &v);
    expect_end(fd);
    fd = open_half();
    put_rts(fd, RPCH_OUT_R1_A4, &v);
    expect_end(fd);

    out = open_out(1, 65536, 0x40000000);
    in = open_in(1);
    expect_opened(in, out);
    http_bind(in, out);
    fd = in_successor(out, 0x33, 0x34);
    third = open_half();
    v.cookie[0] = cookie(1);
    put_rts(third, RPCH_IN_R1_A2, &v);
    expect_end(third);
    http_call(in, out);
    close(fd); /* before the switch that ends everything */
    expect_end(in);
    expect_end(out);

    out = open_out(1, 65536, 0x40000000);
    in = open_in(1);
    expect_opened(in, out);
    fd = open_half();
    v.cookie[1] = cookie(0x99);
    put_rts(fd, RPCH_IN_R1_A2, &v);
    expect_end(fd);
    expect_end(in);
    expect_end(out);
}
END_TEST

/* Acks by which an old out-proxy drains still find it. */
START_TEST(test_rpch_server_recycle_old_out)
{
    rpch_rts_values v = opening(1, 0x22, 65536), got;
    int out = open_out(1, 65536, RPCH_LIFETIME_MIN);
    int in = open_in(1), new;
    uint8_t n[4] = { 0, 0, 2, 0 }; /* 131072: too much for the channel */

    expect_opened(in, out);
    http_bind(in, out);
    put_ack(out, 0x22, (uint32_t)pdu_len, 262144);
    leg.fd = out;
    leg.channel = 0x22;
    leg.received = (uint32_t)pdu_len;
    put_call(in, 0, 3, n, 4);
    do
        next_out();
    while (!is_rts(RPCH_OUT_R1_A1));
    new = open_half();
    v.cookie[2] = cookie(0x23);
    put_rts(new, RPCH_OUT_R1_A4, &v);
    v.cookie[0] = cookie(0x23);
    put_rts(in, RPCH_OUT_R1_A7, &v);
    do
        next_out();
    while (!is_rts(RPCH_OUT_R1_A9));
    v.dest = RPCH_DEST_OUT_PROXY;
    v.ack.cookie = cookie(0x22);
    v.ack.available_window = 4711;
    put_rts(in, RPCH_FLOW_CONTROL_ACK_DEST, &v);
    expect_rts(out, RPCH_FLOW_CONTROL_ACK_DEST, &got);
    ck_assert_uint_eq(got.ack.available_window, 4711);
    close(out);
    while (next_pdu(new) && !(pdu[3] & 2))
        ck_assert_uint_eq(pdu[2], RPCH_PTYPE_RESPONSE);
    http_call(in, new);
    close(new);
    expect_end(in);
}
END_TEST

START_TEST(test_rpch_server_recycle_log)
{
    char path[] = "/tmp/rpch-server-log.XXXXXX";
    char text[4096];
    rpch_rts_values v = opening(0x44, 0, 0), got;
    int fd = mkstemp(path), in, out;
    FILE *f;
    size_t n;

    ck_assert_int_ge(fd, 0);
    run("--log", path);
    out = open_out(1, 65536, 0x40000000);
    in = open_in(1);
    expect_opened(in, out);
    put_rts(in, RPCH_IN_R2_A2, &v);
    expect_rts(out, RPCH_IN_R2_A3, &got);
    close(in);
    expect_end(out);
    stop();
    f = fdopen(fd, "r");
    n = fread(text, 1, sizeof(text) - 1, f);
    text[n] = '\0';
    fclose(f);
    unlink(path);
    ck_assert_ptr_nonnull(strstr(text, "recycled: 1 IN, 0 OUT\n"));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("rpch_server_recycle");
    TCase *t = tcase_create("recycle");
    TCase *options = tcase_create("options");

    tcase_add_checked_fixture(t, start, stop);
    tcase_add_test(t, test_rpch_server_recycle_out_r1);
    tcase_add_test(t, test_rpch_server_recycle_out_r2);
    tcase_add_test(t, test_rpch_server_recycle_in_r1);
    tcase_add_test(t, test_rpch_server_recycle_in_r2);
    tcase_add_test(t, test_rpch_server_recycle_refused);
    tcase_add_test(t, test_rpch_server_recycle_old_out);
    suite_add_tcase(s, t);
    tcase_add_test(options, test_rpch_server_recycle_log);
    suite_add_tcase(s, options);
    return test_main(s);
}
