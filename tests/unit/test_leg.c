/* SPDX-License-Identifier: Apache-2.0 */
/* test_leg.c - legs and joined roles as bytes: there and back, cut anywhere,
 * and with values that nobody writes */
#include "relay/leg.h"
#include "rpch/wire.h"
#include "rpch_test.h"

/* What is encoded last in a leg: lane and tail. */
enum { LANE_LEN = 5, TAIL_LEN = 3 };

static uint8_t bytes[RELAY_MSG_DATA_MAX];
static uint8_t again[RELAY_MSG_DATA_MAX];
static relay_leg back;
static rpch_server_image image_back;
static const char *reason;

static void fill(void *p, size_t n, uint8_t first)
{
    uint8_t *b = p;
    size_t i;
    for (i = 0; i < n; i++)
        b[i] = (uint8_t)(first + i);
}

static relay_leg in_sample(void)
{
    relay_leg l;
    rpch_in_leg *in = &l.u.in;
    memset(&l, 0, sizeof(l));
    l.dir = RELAY_IN;
    fill(in->vc.b, 16, 0x10);
    fill(in->predecessor.b, 16, 0x20);
    fill(in->successor.b, 16, 0x30);
    fill(in->group.b, 16, 0x40);
    in->tx.window = 0x00010203;
    in->tx.avail = 0x00000405;
    in->tx.sent = 0x0102030405060708u;
    in->tx.edge = 0x0102030405070809u;
    in->tx.off = true;
    in->keepalive = 0x00060708;
    in->window = 0x00010e0f;
    in->queued = 0x00090a0b;
    in->begun = 0x0c0d;
    in->begun_left = 0x0c0c;
    in->lane_len = LANE_LEN;
    fill(in->lane, LANE_LEN, 0x50);
    in->tail_len = TAIL_LEN;
    fill(in->tail, TAIL_LEN, 0x60);
    return l;
}

static relay_leg out_sample(void)
{
    relay_leg l;
    rpch_out_leg *out = &l.u.out;
    memset(&l, 0, sizeof(l));
    l.dir = RELAY_OUT;
    fill(out->vc.b, 16, 0x10);
    fill(out->predecessor.b, 16, 0x20);
    fill(out->successor.b, 16, 0x30);
    out->rx.window = 65536;
    out->rx.avail = -2;
    out->rx.advertised = 0x0a0b;
    out->rx.received = 0xf1f2f3f4u;
    out->rx.largest = 5840;
    out->rx.off = true;
    out->lifetime = 0x7fffffff;
    out->moved = 0x3a4b5c6d;
    out->lane_len = LANE_LEN;
    fill(out->lane, LANE_LEN, 0x50);
    out->tail_len = TAIL_LEN;
    fill(out->tail, TAIL_LEN, 0x60);
    return l;
}

/* Copies the RTS PDUs of a lane that holds n Pings of 20 bytes. */
static size_t pings(uint8_t *out, int n)
{
    static const rpch_rts_values none;
    rpch_lane lane;
    size_t len;
    const uint8_t *p;
    rpch_lane_init(&lane);
    while (n-- > 0)
        ck_assert_int_eq(rpch_lane_make(&lane, RPCH_PING, &none), RPCH_OK);
    p = rpch_lane_buf(&lane, &len);
    if (p)
        memcpy(out, p, len);
    return len;
}

static rpch_server_image role_sample(void)
{
    rpch_server_image i;
    memset(&i, 0, sizeof(i));
    i.state = RPCH_SERVER_OPENED;
    i.in_state = RPCH_SERVER_IN_OPENED;
    i.out_state = RPCH_SERVER_OUT_R2A8W;
    fill(i.vc.b, 16, 0x10);
    fill(i.group.b, 16, 0x20);
    fill(i.in_channel.b, 16, 0x30);
    fill(i.out_channel.b, 16, 0x40);
    fill(i.out_previous.b, 16, 0x50);
    fill(i.out_coming.b, 16, 0x60);
    i.address.ipv6 = true;
    fill(i.address.addr, 16, 0x70);
    i.has_in = true;
    i.has_out = true;
    i.in_window = 0x01020304;
    i.in_timeout = 0x05060708;
    i.out_lifetime = 0x090a0b0c;
    i.notified = 0x0d0e0f10;
    i.out_used = 0x1112131415161718u;
    i.setup_span = RPCH_NEVER;
    i.out_span = 0x2122232425262728u;
    i.notify_age = 0x3132333435363738u;
    i.in_recycled = 0x41424344;
    i.out_recycled = 0x45464748;
    i.to_in_len = pings(i.to_in, 1);
    i.to_out_len = pings(i.to_out, 2);
    return i;
}

static size_t encoded(const relay_leg *l)
{
    size_t len;
    ck_assert_int_eq(relay_leg_encode(l, bytes, sizeof(bytes), &len),
                     RPCH_OK);
    return len;
}

static size_t encoded_role(const rpch_server_image *i)
{
    size_t len;
    ck_assert_int_eq(relay_leg_encode_role(i, bytes, sizeof(bytes), &len),
                     RPCH_OK);
    return len;
}

/* All fields of a sample differ, and test_leg_bytes says where each one goes:
 * what encodes to the same bytes again has the same fields. */
static void check_back(const relay_leg *l)
{
    size_t len = encoded(l), len2;
    ck_assert_int_eq(relay_leg_decode(bytes, len, l->dir, &back, &reason),
                     RPCH_OK);
    ck_assert_ptr_null(reason);
    ck_assert_int_eq(back.dir, l->dir);
    ck_assert_int_eq(relay_leg_encode(&back, again, sizeof(again), &len2),
                     RPCH_OK);
    ck_assert_uint_eq(len, len2);
    ck_assert_mem_eq(bytes, again, len);
}

static void check_role_back(const rpch_server_image *i)
{
    size_t len = encoded_role(i), len2;
    ck_assert_int_eq(relay_leg_decode_role(bytes, len, &image_back, &reason),
                     RPCH_OK);
    ck_assert_ptr_null(reason);
    ck_assert_int_eq(relay_leg_encode_role(&image_back, again, sizeof(again),
                                           &len2), RPCH_OK);
    ck_assert_uint_eq(len, len2);
    ck_assert_mem_eq(bytes, again, len);
}

static void check_all_zero(const void *p, size_t n)
{
    const uint8_t *b = p;
    uint8_t all = 0;
    while (n > 0)
        all |= b[--n];
    ck_assert_uint_eq(all, 0);
}

static void check_refused(size_t len, relay_dir dir, const char *why)
{
    memset(&back, 0x55, sizeof(back));
    ck_assert_int_eq(relay_leg_decode(bytes, len, dir, &back, &reason),
                     RPCH_E_SYNTAX);
    ck_assert_str_eq(reason, why);
    check_all_zero(&back, sizeof(back));
}

static void check_role_refused(size_t len, const char *why)
{
    memset(&image_back, 0x55, sizeof(image_back));
    ck_assert_int_eq(relay_leg_decode_role(bytes, len, &image_back, &reason),
                     RPCH_E_SYNTAX);
    ck_assert_str_eq(reason, why);
    check_all_zero(&image_back, sizeof(image_back));
}

static void check_hex(size_t len, const char *hex)
{
    static uint8_t want[RELAY_MSG_DATA_MAX];
    size_t n = test_hex(hex, want, sizeof(want));
    ck_assert_uint_eq(len, n);
    ck_assert_mem_eq(bytes, want, n);
}

START_TEST(test_leg_bytes)
{
    relay_leg in = in_sample(), out = out_sample();
    check_hex(encoded(&in),
              "01 00 101112131415161718191a1b1c1d1e1f"
              "202122232425262728292a2b2c2d2e2f"
              "303132333435363738393a3b3c3d3e3f"
              "404142434445464748494a4b4c4d4e4f"
              "03020100 05040000 0807060504030201 0908070504030201 01 08070600"
              "0f0e0100 0b0a0900 0d0c0000 0c0c0000"
              "0500 5051525354 0300 606162");
    check_hex(encoded(&out),
              "01 01 101112131415161718191a1b1c1d1e1f"
              "202122232425262728292a2b2c2d2e2f"
              "303132333435363738393a3b3c3d3e3f"
              "0000010000000000 feffffffffffffff 0b0a000000000000"
              "f4f3f2f1 d0160000 01 ffffff7f 6d5c4b3a"
              "0500 5051525354 0300 606162");
}
END_TEST

START_TEST(test_leg_role_bytes)
{
    rpch_server_image i = role_sample();
    check_hex(encoded_role(&i),
              "01 03 00 03"
              "101112131415161718191a1b1c1d1e1f"
              "202122232425262728292a2b2c2d2e2f"
              "303132333435363738393a3b3c3d3e3f"
              "404142434445464748494a4b4c4d4e4f"
              "505152535455565758595a5b5c5d5e5f"
              "606162636465666768696a6b6c6d6e6f"
              "01 707172737475767778797a7b7c7d7e7f 01 01"
              "04030201 08070605 0c0b0a09 100f0e0d"
              "1817161514131211 ffffffffffffffff"
              "2827262524232221 3837363534333231 44434241 48474645"
              "1400 0500140310000000140000000000000001000000"
              "2800 0500140310000000140000000000000001000000"
              "0500140310000000140000000000000001000000");
}
END_TEST

START_TEST(test_leg_round_trip)
{
    relay_leg in = in_sample(), out = out_sample();
    rpch_server_image i = role_sample();
    check_back(&in);
    check_back(&out);
    check_role_back(&i);
    ck_assert_int_eq(back.u.out.rx.avail, -2);
    ck_assert_uint_eq(image_back.setup_span, RPCH_NEVER);

    in.u.in.tx.off = false;
    in.u.in.tx.sent = (uint64_t)1 << 62;
    in.u.in.tx.edge = in.u.in.tx.sent + RPCH_WINDOW_MIN;
    in.u.in.tx.avail = in.u.in.tx.window = RPCH_WINDOW_MAX;
    in.u.in.keepalive = RPCH_KEEPALIVE_MIN;
    in.u.in.queued = 0x40000000;
    in.u.in.begun = in.u.in.begun_left = RPCH_PDU_SIZE_MAX;
    memset(in.u.in.lane, 0, sizeof(in.u.in.lane));
    memset(in.u.in.tail, 0, sizeof(in.u.in.tail));
    in.u.in.lane_len = in.u.in.tail_len = 0;
    check_back(&in);
    in.u.in.begun = in.u.in.begun_left = 0;
    check_back(&in);
    in.u.in.queued = 0;
    check_back(&in);
    memset(&out.u.out, 0, sizeof(out.u.out));
    out.u.out.rx.window = out.u.out.lifetime = 1;
    check_back(&out);
    memset(&i, 0, sizeof(i));
    check_role_back(&i);
}
END_TEST

/* The fullest ones fit into a message. */
START_TEST(test_leg_largest)
{
    relay_leg in = in_sample(), out = out_sample();
    rpch_server_image i = role_sample();
    in.u.in.lane_len = out.u.out.lane_len = RPCH_LANE_SIZE;
    in.u.in.tail_len = out.u.out.tail_len = RPCH_RTS_SIZE_MAX;
    fill(in.u.in.lane, RPCH_LANE_SIZE, 1);
    fill(in.u.in.tail, RPCH_RTS_SIZE_MAX, 2);
    fill(out.u.out.lane, RPCH_LANE_SIZE, 3);
    fill(out.u.out.tail, RPCH_RTS_SIZE_MAX, 4);
    check_back(&in);
    check_back(&out);
    i.to_in_len = pings(i.to_in, RPCH_LANE_SIZE / 20);
    i.to_out_len = pings(i.to_out, RPCH_LANE_SIZE / 20);
    check_role_back(&i);
}
END_TEST

/* Cut anywhere, and one byte longer. */
START_TEST(test_leg_cut_or_longer)
{
    relay_leg legs[2];
    rpch_server_image i = role_sample();
    size_t n, len;
    int dir;
    legs[RELAY_IN] = in_sample();
    legs[RELAY_OUT] = out_sample();
    for (dir = RELAY_IN; dir <= RELAY_OUT; dir++) {
        len = encoded(&legs[dir]);
        check_refused(0, (relay_dir)dir, "another version");
        for (n = 2; n < len; n++)
            check_refused(n, (relay_dir)dir, "not a whole leg");
        bytes[len] = 0;
        check_refused(len + 1, (relay_dir)dir, "not a whole leg");
    }
    len = encoded(&legs[RELAY_OUT]);
    check_refused(1, RELAY_OUT, "a leg of the other direction");
    len = encoded_role(&i);
    check_role_refused(0, "another version");
    for (n = 1; n < len; n++)
        check_role_refused(n, "not a whole role");
    bytes[len] = 0;
    check_role_refused(len + 1, "not a whole role");
}
END_TEST

START_TEST(test_leg_room)
{
    relay_leg legs[2];
    rpch_server_image i = role_sample();
    size_t n, len, none;
    int dir;
    legs[RELAY_IN] = in_sample();
    legs[RELAY_OUT] = out_sample();
    for (dir = RELAY_IN; dir <= RELAY_OUT; dir++) {
        len = encoded(&legs[dir]);
        for (n = 0; n < len; n++) {
            ck_assert_int_eq(relay_leg_encode(&legs[dir], bytes, n, &none),
                             RPCH_E_ROOM);
            ck_assert_uint_eq(none, 0);
        }
        ck_assert_int_eq(relay_leg_encode(&legs[dir], bytes, len, &none),
                         RPCH_OK);
    }
    len = encoded_role(&i);
    for (n = 0; n < len; n++) {
        ck_assert_int_eq(relay_leg_encode_role(&i, bytes, n, &none),
                         RPCH_E_ROOM);
        ck_assert_uint_eq(none, 0);
    }
    ck_assert_int_eq(relay_leg_encode_role(&i, bytes, len, &none), RPCH_OK);
}
END_TEST

START_TEST(test_leg_header_wrong)
{
    relay_leg in = in_sample(), out = out_sample();
    rpch_server_image i = role_sample();
    size_t len = encoded(&in);
    check_refused(len, RELAY_OUT, "a leg of the other direction");
    bytes[0] = 2;
    check_refused(len, RELAY_IN, "another version");
    len = encoded(&out);
    check_refused(len, RELAY_IN, "a leg of the other direction");
    bytes[1] = 2;
    check_refused(len, RELAY_OUT, "a leg of the other direction");
    len = encoded_role(&i);
    bytes[0] = 0;
    check_role_refused(len, "another version");
}
END_TEST

/* One wrong value, at a place in an encoding; refused both ways. */
static void check_in_value(size_t at, uint32_t v, const char *why)
{
    relay_leg l = in_sample();
    size_t len = encoded(&l);
    rpch_writer w = rpch_writer_of(bytes + at, 4);
    rpch_put_le32(&w, v);
    check_refused(len, RELAY_IN, why);
}

START_TEST(test_leg_in_values)
{
    static const char queue[] = "bytes queued out of range";
    relay_leg l = in_sample();
    size_t len = encoded(&l);
    bytes[90] = 2;
    check_refused(len, RELAY_IN, "not a whole leg");
    check_in_value(66, RPCH_WINDOW_MIN - 1, "send window out of range");
    check_in_value(66, RPCH_WINDOW_MAX + 1, "send window out of range");
    check_in_value(66, UINT32_MAX, "send window out of range");
    check_in_value(70, 0x00010204, "send window out of range");
    check_in_value(91, RPCH_KEEPALIVE_MIN - 1, "keep-alive out of range");
    check_in_value(91, 0, "keep-alive out of range");
    /* More room than the window: the high halves. */
    check_in_value(86, 0x01020305, "send window out of range");
    check_in_value(95, 0, "receive window out of range");
    check_in_value(99, 0x40000001, queue);
    check_in_value(99, 0x0c0c, queue);
    check_in_value(103, 0, queue);
    check_in_value(103, 0x0c0b, queue);
    check_in_value(103, RPCH_PDU_SIZE_MAX + 1, queue);
    check_in_value(107, 0, queue);
    check_in_value(107, 0x0c0e, queue);
    /* Lengths: of the lane, with two bytes of it behind. */
    check_in_value(111, 0xffffffff, "not a whole leg");
    check_in_value(111, RPCH_LANE_SIZE + 1, "not a whole leg");
    check_in_value(111, LANE_LEN + 1, "not a whole leg");
    check_in_value(111, LANE_LEN - 1, "not a whole leg");
    l.u.in.queued = (uint64_t)1 << 32 | 0x0c0d;
    ck_assert_int_eq(relay_leg_encode(&l, bytes, sizeof(bytes), &len),
                     RPCH_E_VALUE);
    l = in_sample();
    l.u.in.lane_len = RPCH_LANE_SIZE + 1;
    ck_assert_int_eq(relay_leg_encode(&l, bytes, sizeof(bytes), &len),
                     RPCH_E_VALUE);
    l = in_sample();
    l.u.in.tail_len = SIZE_MAX;
    ck_assert_int_eq(relay_leg_encode(&l, bytes, sizeof(bytes), &len),
                     RPCH_E_VALUE);
    ck_assert_uint_eq(len, 0);
}
END_TEST

/* One wrong value in the struct: no machine releases it, none is read. */
static void check_out_value(const relay_leg *bad, const char *why)
{
    relay_leg l = out_sample();
    size_t len = encoded(&l), none;
    rpch_writer w = rpch_writer_of(bytes + 50, 24);
    ck_assert_int_eq(relay_leg_encode(bad, again, sizeof(again), &none),
                     RPCH_E_VALUE);
    ck_assert_uint_eq(none, 0);
    rpch_put_le64(&w, (uint64_t)bad->u.out.rx.window);
    rpch_put_le64(&w, (uint64_t)bad->u.out.rx.avail);
    rpch_put_le64(&w, (uint64_t)bad->u.out.rx.advertised);
    w = rpch_writer_of(bytes + 78, 4);
    rpch_put_le32(&w, bad->u.out.rx.largest);
    w = rpch_writer_of(bytes + 83, 4);
    rpch_put_le32(&w, bad->u.out.lifetime);
    w = rpch_writer_of(bytes + 87, 4);
    rpch_put_le32(&w, bad->u.out.moved);
    check_refused(len, RELAY_OUT, why);
}

START_TEST(test_leg_out_values)
{
    static const char rx[] = "receive window out of range";
    static const int64_t windows[] = { 0, -1, INT64_MIN, INT64_MAX,
                                       (int64_t)UINT32_MAX + 1 };
    static const int64_t others[] = { 65537, INT64_MAX, INT64_MIN,
                                      -(int64_t)UINT32_MAX - 1 };
    relay_leg l;
    size_t i, len;
    for (i = 0; i < sizeof(windows) / sizeof(windows[0]); i++) {
        l = out_sample();
        l.u.out.rx.window = windows[i];
        check_out_value(&l, rx);
    }
    for (i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        l = out_sample();
        l.u.out.rx.avail = others[i];
        check_out_value(&l, rx);
        l = out_sample();
        l.u.out.rx.advertised = others[i];
        check_out_value(&l, rx);
    }
    l = out_sample();
    l.u.out.rx.largest = RPCH_PDU_SIZE_MAX + 1;
    check_out_value(&l, rx);
    l = out_sample();
    l.u.out.lifetime = 0;
    check_out_value(&l, "lifetime out of range");
    l.u.out.lifetime = RPCH_LIFETIME_MAX + 1;
    check_out_value(&l, "lifetime out of range");
    l = out_sample();
    l.u.out.moved = 0x40000001;
    check_out_value(&l, "bytes moved out of range");
    l = out_sample();
    l.u.out.tail_len = RPCH_RTS_SIZE_MAX + 1;
    ck_assert_int_eq(relay_leg_encode(&l, bytes, sizeof(bytes), &len),
                     RPCH_E_VALUE);
    l = out_sample();
    l.dir = (relay_dir)2;
    ck_assert_int_eq(relay_leg_encode(&l, bytes, sizeof(bytes), &len),
                     RPCH_E_VALUE);
}
END_TEST

START_TEST(test_leg_role_values)
{
    static const uint8_t too_many[3] = { RPCH_SERVER_FINISHED,
                                         RPCH_SERVER_IN_STATE_MAX,
                                         RPCH_SERVER_OUT_STATE_MAX };
    static const size_t bools[] = { 100, 117, 118 };
    rpch_server_image i = role_sample();
    size_t len, n;
    for (n = 0; n < 3; n++) {
        len = encoded_role(&i);
        bytes[1 + n] = too_many[n];
        check_role_refused(len, "state out of range");
        bytes[1 + n] = 0xff;
        check_role_refused(len, "state out of range");
        len = encoded_role(&i);
        bytes[bools[n]] = 2;
        check_role_refused(len, "not a whole role");
    }
    i.state = -1;
    ck_assert_int_eq(relay_leg_encode_role(&i, bytes, sizeof(bytes), &len),
                     RPCH_E_VALUE);
    i = role_sample();
    i.to_in_len = RPCH_LANE_SIZE + 1;
    ck_assert_int_eq(relay_leg_encode_role(&i, bytes, sizeof(bytes), &len),
                     RPCH_E_VALUE);
    ck_assert_uint_eq(len, 0);
}
END_TEST

/* Lanes are handed on PDU by PDU: none may be cut, or be something else. */
START_TEST(test_leg_role_lanes)
{
    static const char why[] = "a lane that holds no whole RTS PDUs";
    rpch_server_image i = role_sample();
    size_t len = encoded_role(&i), lane = len - 2 * 20;
    bytes[lane + 20 + 8] = 21; /* longer than what is there */
    check_role_refused(len, why);
    len = encoded_role(&i);
    bytes[lane + 2] = RPCH_PTYPE_REQUEST;
    check_role_refused(len, why);
    len = encoded_role(&i);
    bytes[lane] = 4;
    check_role_refused(len, why);
    i.to_out_len--;
    ck_assert_int_eq(relay_leg_encode_role(&i, bytes, sizeof(bytes), &len),
                     RPCH_E_VALUE);
}
END_TEST

/* Bytes changed at random: what is read is what was written. */
START_TEST(test_leg_noise)
{
    relay_leg legs[2];
    rpch_server_image role = role_sample();
    unsigned seed = 20261, taken = 0, refused = 0, i;
    legs[RELAY_IN] = in_sample();
    legs[RELAY_OUT] = out_sample();
    for (i = 0; i < 20000; i++) {
        int what = (int)(i % 3), rc, flips = 1 + rand_r(&seed) % 3;
        size_t len = what == 2 ? encoded_role(&role) : encoded(&legs[what]);
        size_t len2 = 0;
        while (flips-- > 0)
            bytes[(size_t)rand_r(&seed) % len] = (uint8_t)rand_r(&seed);
        rc = what == 2
           ? relay_leg_decode_role(bytes, len, &image_back, &reason)
           : relay_leg_decode(bytes, len, (relay_dir)what, &back, &reason);
        if (rc != RPCH_OK) {
            ck_assert_ptr_nonnull(reason);
            refused++;
            continue;
        }
        rc = what == 2
           ? relay_leg_encode_role(&image_back, again, sizeof(again), &len2)
           : relay_leg_encode(&back, again, sizeof(again), &len2);
        ck_assert_int_eq(rc, RPCH_OK);
        ck_assert_uint_eq(len, len2);
        ck_assert_mem_eq(bytes, again, len);
        taken++;
    }
    ck_assert_uint_gt(taken, 1000);
    ck_assert_uint_gt(refused, 1000);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("leg");
    TCase *tc = tcase_create("leg");
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, test_leg_bytes);
    tcase_add_test(tc, test_leg_role_bytes);
    tcase_add_test(tc, test_leg_round_trip);
    tcase_add_test(tc, test_leg_largest);
    tcase_add_test(tc, test_leg_cut_or_longer);
    tcase_add_test(tc, test_leg_room);
    tcase_add_test(tc, test_leg_header_wrong);
    tcase_add_test(tc, test_leg_in_values);
    tcase_add_test(tc, test_leg_out_values);
    tcase_add_test(tc, test_leg_role_values);
    tcase_add_test(tc, test_leg_role_lanes);
    tcase_add_test(tc, test_leg_noise);
    suite_add_tcase(s, tc);
    return test_main(s);
}
