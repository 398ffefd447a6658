/* SPDX-License-Identifier: Apache-2.0 */
/* test_msg.c - the bytes of the messages between channels, the addresses and
 * the clock that the same code uses */
#include "rpch_test.h"

#include <arpa/inet.h>

#include "relay/addr.h"
#include "relay/clock.h"
#include "relay/msg.h"

static uint8_t pdu[RPCH_RTS_SIZE_MAX];
static uint8_t data[RELAY_MSG_DATA_MAX];

static void fill(uint8_t *p, size_t n, uint8_t first)
{
    size_t i;
    for (i = 0; i < n; i++)
        p[i] = (uint8_t)(first + i);
}

/* One message of each type with all its fields set. */
static relay_msg sample(int type)
{
    relay_msg m;
    memset(&m, 0, sizeof(m));
    m.type = (relay_msg_type)type;
    switch (type) {
    case RELAY_MSG_HELLO:
        m.nonce = 0x1122334455667788u;
        m.pid = 0xfedcba98u;
        break;
    case RELAY_MSG_JOIN:
        fill(m.identity.b, sizeof(m.identity.b), 0x40);
        /* fall through */
    case RELAY_MSG_WAKE:
        fill(m.vc.b, sizeof(m.vc.b), 0x10);
        m.channel = 0x0102030405060708u;
        break;
    case RELAY_MSG_RTS:
        fill(pdu, sizeof(pdu), 0x05);
        m.pdu = pdu;
        m.pdu_len = 20;
        break;
    case RELAY_MSG_END:
    case RELAY_MSG_REFUSE:
        m.status = RPCH_E_TIMEOUT;
        strcpy(m.text, "late");
        break;
    case RELAY_MSG_ATTACH:
        m.nonce = 0x1122334455667788u;
        m.pid = 0xfedcba98u;
        m.dir = 1;
        fill(m.vc.b, sizeof(m.vc.b), 0x10);
        fill(m.predecessor.b, sizeof(m.predecessor.b), 0x20);
        fill(m.successor.b, sizeof(m.successor.b), 0x30);
        fill(m.identity.b, sizeof(m.identity.b), 0x40);
        m.window = 0x00010203;
        m.channel = 0x0102030405060708u;
        m.from = 0x1112131415161718u;
        break;
    case RELAY_MSG_MOVE:
        m.tail = 0xa1b2c3d4u;
        /* fall through */
    case RELAY_MSG_ROLE:
    case RELAY_MSG_TAIL:
        fill(data, sizeof(data), 0x50);
        m.data = data;
        m.data_len = 5;
        break;
    }
    return m;
}

static void check_equal(const relay_msg *a, const relay_msg *b)
{
    ck_assert_int_eq(a->type, b->type);
    ck_assert_uint_eq(a->nonce, b->nonce);
    ck_assert_uint_eq(a->pid, b->pid);
    ck_assert_mem_eq(a->vc.b, b->vc.b, sizeof(a->vc.b));
    ck_assert_mem_eq(a->identity.b, b->identity.b, sizeof(a->identity.b));
    ck_assert_mem_eq(a->predecessor.b, b->predecessor.b,
                     sizeof(a->predecessor.b));
    ck_assert_mem_eq(a->successor.b, b->successor.b, sizeof(a->successor.b));
    ck_assert_uint_eq(a->dir, b->dir);
    ck_assert_uint_eq(a->window, b->window);
    ck_assert_uint_eq(a->channel, b->channel);
    ck_assert_uint_eq(a->from, b->from);
    ck_assert_int_eq(a->status, b->status);
    ck_assert_str_eq(a->text, b->text);
    ck_assert_uint_eq(a->pdu_len, b->pdu_len);
    if (a->pdu_len)
        ck_assert_mem_eq(a->pdu, b->pdu, a->pdu_len);
    else
        ck_assert_ptr_null(b->pdu);
    ck_assert_uint_eq(a->tail, b->tail);
    ck_assert_uint_eq(a->data_len, b->data_len);
    if (a->data_len)
        ck_assert_mem_eq(a->data, b->data, a->data_len);
    else
        ck_assert_ptr_null(b->data);
}

static const char *refused(const uint8_t *in, size_t len)
{
    const char *reason = NULL;
    relay_msg m;
    ck_assert_int_eq(relay_msg_decode(in, len, &m, &reason), RPCH_E_SYNTAX);
    ck_assert_ptr_nonnull(reason);
    ck_assert_int_eq(m.type, 0);
    return reason;
}

static void check_bytes(int type)
{
    static const char *const expected[RELAY_MSG_TYPE_MAX] = {
        [RELAY_MSG_HELLO] =
            "52505801 01000000 8877665544332211 98badcfe",
        [RELAY_MSG_JOIN] =
            "52505801 02000000 101112131415161718191a1b1c1d1e1f"
            "404142434445464748494a4b4c4d4e4f 0807060504030201",
        [RELAY_MSG_JOINED] = "52505801 03000000",
        [RELAY_MSG_RTS] =
            "52505801 04000000 1400 05060708090a0b0c0d0e0f101112131415161718",
        [RELAY_MSG_END] = "52505801 05000000 37ffffff 0400 6c617465",
        [RELAY_MSG_WAKE] =
            "52505801 06000000 101112131415161718191a1b1c1d1e1f"
            "0807060504030201",
        [RELAY_MSG_REFUSE] = "52505801 07000000 37ffffff 0400 6c617465",
        [RELAY_MSG_ATTACH] =
            "52505801 08000000 8877665544332211 98badcfe 01"
            "101112131415161718191a1b1c1d1e1f"
            "202122232425262728292a2b2c2d2e2f"
            "303132333435363738393a3b3c3d3e3f"
            "404142434445464748494a4b4c4d4e4f"
            "03020100 0807060504030201 1817161514131211",
        [RELAY_MSG_ATTACHED] = "52505801 09000000",
        [RELAY_MSG_MOVE] =
            "52505801 0a000000 d4c3b2a1 0500 5051525354",
        [RELAY_MSG_ROLE] = "52505801 0b000000 0500 5051525354",
        [RELAY_MSG_LINK] = "52505801 0c000000",
        [RELAY_MSG_TAIL] = "52505801 0d000000 0500 5051525354",
    };
    uint8_t want[RELAY_MSG_SIZE_MAX], got[RELAY_MSG_SIZE_MAX];
    relay_msg m = sample(type), back;
    const char *reason;
    size_t n, len;

    n = test_hex(expected[type], want, sizeof(want));
    ck_assert_int_eq(relay_msg_encode(&m, got, sizeof(got), &len), RPCH_OK);
    ck_assert_uint_eq(len, n);
    ck_assert_mem_eq(got, want, n);
    ck_assert_int_eq(relay_msg_decode(got, len, &back, &reason), RPCH_OK);
    check_equal(&m, &back);
}

START_TEST(test_msg_bytes)
{
    int type;
    for (type = RELAY_MSG_HELLO; type < RELAY_MSG_TYPE_MAX; type++)
        check_bytes(type);
}
END_TEST

static void check_cut_or_longer(int type)
{
    uint8_t buf[RELAY_MSG_SIZE_MAX] = { 0 };
    relay_msg m = sample(type);
    size_t n, len;

    ck_assert_int_eq(relay_msg_encode(&m, buf, sizeof(buf), &len), RPCH_OK);
    for (n = 0; n < len; n++)
        ck_assert_str_eq(refused(buf, n),
                         n < 8 ? "shorter than a header" : "cut short");
    ck_assert_str_eq(refused(buf, len + 1), "bytes after the last field");
}

START_TEST(test_msg_cut_or_longer)
{
    int type;
    for (type = RELAY_MSG_HELLO; type < RELAY_MSG_TYPE_MAX; type++)
        check_cut_or_longer(type);
}
END_TEST

static void check_room(int type)
{
    uint8_t buf[RELAY_MSG_SIZE_MAX];
    relay_msg m = sample(type);
    size_t n, len, none;

    ck_assert_int_eq(relay_msg_encode(&m, buf, sizeof(buf), &len), RPCH_OK);
    for (n = 0; n < len; n++) {
        ck_assert_int_eq(relay_msg_encode(&m, buf, n, &none), RPCH_E_ROOM);
        ck_assert_uint_eq(none, 0);
    }
    ck_assert_int_eq(relay_msg_encode(&m, buf, len, &none), RPCH_OK);
}

START_TEST(test_msg_room)
{
    int type;
    for (type = RELAY_MSG_HELLO; type < RELAY_MSG_TYPE_MAX; type++)
        check_room(type);
}
END_TEST

START_TEST(test_msg_header_wrong)
{
    uint8_t buf[RELAY_MSG_SIZE_MAX], bad[RELAY_MSG_SIZE_MAX];
    relay_msg m = sample(RELAY_MSG_JOINED);
    size_t i, len;
    static const char *const why[8] = {
        "not a message of this module", "not a message of this module",
        "not a message of this module", "another version", "unknown type",
        "reserved bytes set", "reserved bytes set", "reserved bytes set"
    };

    ck_assert_int_eq(relay_msg_encode(&m, buf, sizeof(buf), &len), RPCH_OK);
    for (i = 0; i < 8; i++) {
        memcpy(bad, buf, len);
        bad[i] ^= 0x80;
        ck_assert_str_eq(refused(bad, len), why[i]);
    }
    memcpy(bad, buf, len);
    bad[4] = 0;
    ck_assert_str_eq(refused(bad, len), "unknown type");
    bad[4] = RELAY_MSG_TYPE_MAX;
    ck_assert_str_eq(refused(bad, len), "unknown type");
}
END_TEST

START_TEST(test_msg_pdu_limits)
{
    static const uint16_t sizes[] = { 0, 19, 20, RPCH_RTS_SIZE_MAX,
                                      RPCH_RTS_SIZE_MAX + 1, 65535 };
    uint8_t buf[RELAY_MSG_SIZE_MAX];
    relay_msg m = sample(RELAY_MSG_RTS), back;
    const char *reason;
    size_t i, len, taken;

    ck_assert_int_eq(relay_msg_encode(&m, buf, sizeof(buf), &len), RPCH_OK);
    for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        bool ok = sizes[i] >= 20 && sizes[i] <= RPCH_RTS_SIZE_MAX;
        m.pdu_len = sizes[i];
        ck_assert_int_eq(relay_msg_encode(&m, buf, sizeof(buf), &taken),
                         ok ? RPCH_OK : RPCH_E_VALUE);
        if (ok) {
            ck_assert_int_eq(relay_msg_decode(buf, taken, &back, &reason),
                             RPCH_OK);
            check_equal(&m, &back);
            len = taken;
        } else {
            buf[8] = (uint8_t)sizes[i];
            buf[9] = (uint8_t)(sizes[i] >> 8);
            ck_assert_str_eq(refused(buf, len), "PDU length out of range");
        }
    }
    m.pdu_len = 20;
    m.pdu = NULL;
    ck_assert_int_eq(relay_msg_encode(&m, buf, sizeof(buf), &len),
                     RPCH_E_VALUE);
}
END_TEST

static void check_data_limits(int type)
{
    static const uint16_t sizes[] = { 0, 1, RELAY_MSG_DATA_MAX,
                                      RELAY_MSG_DATA_MAX + 1, 65535 };
    uint8_t buf[RELAY_MSG_SIZE_MAX];
    relay_msg m = sample(type), back;
    const char *reason;
    size_t i, at = type == RELAY_MSG_MOVE ? 12 : 8;
    size_t len, taken;

    ck_assert_int_eq(relay_msg_encode(&m, buf, sizeof(buf), &len), RPCH_OK);
    for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        bool ok = sizes[i] >= 1 && sizes[i] <= RELAY_MSG_DATA_MAX;
        m.data_len = sizes[i];
        ck_assert_int_eq(relay_msg_encode(&m, buf, sizeof(buf), &taken),
                         ok ? RPCH_OK : RPCH_E_VALUE);
        if (ok) {
            ck_assert_int_eq(relay_msg_decode(buf, taken, &back, &reason),
                             RPCH_OK);
            check_equal(&m, &back);
            len = taken;
        } else {
            buf[at] = (uint8_t)sizes[i];
            buf[at + 1] = (uint8_t)(sizes[i] >> 8);
            ck_assert_str_eq(refused(buf, len), "data length out of range");
        }
    }
    m.data_len = 1;
    m.data = NULL;
    ck_assert_int_eq(relay_msg_encode(&m, buf, sizeof(buf), &len),
                     RPCH_E_VALUE);
}

START_TEST(test_msg_data_limits)
{
    check_data_limits(RELAY_MSG_MOVE);
    check_data_limits(RELAY_MSG_ROLE);
    check_data_limits(RELAY_MSG_TAIL);
}
END_TEST

START_TEST(test_msg_attach_direction)
{
    uint8_t buf[RELAY_MSG_SIZE_MAX];
    relay_msg m = sample(RELAY_MSG_ATTACH), back;
    const char *reason;
    size_t len;

    m.dir = 2;
    ck_assert_int_eq(relay_msg_encode(&m, buf, sizeof(buf), &len),
                     RPCH_E_VALUE);
    m.dir = 0;
    ck_assert_int_eq(relay_msg_encode(&m, buf, sizeof(buf), &len), RPCH_OK);
    ck_assert_int_eq(relay_msg_decode(buf, len, &back, &reason), RPCH_OK);
    check_equal(&m, &back);
    buf[20] = 2;
    ck_assert_str_eq(refused(buf, len), "direction out of range");
}
END_TEST

START_TEST(test_msg_text_limits)
{
    uint8_t buf[RELAY_MSG_SIZE_MAX] = { 0 };
    relay_msg m = sample(RELAY_MSG_END), back;
    const char *reason;
    size_t len;

    m.text[0] = '\0';
    ck_assert_int_eq(relay_msg_encode(&m, buf, sizeof(buf), &len), RPCH_OK);
    ck_assert_int_eq(relay_msg_decode(buf, len, &back, &reason), RPCH_OK);
    check_equal(&m, &back);

    memset(m.text, 'x', sizeof(m.text));
    ck_assert_int_eq(relay_msg_encode(&m, buf, sizeof(buf), &len),
                     RPCH_E_VALUE);
    m.text[sizeof(m.text) - 1] = '\0';
    ck_assert_int_eq(relay_msg_encode(&m, buf, sizeof(buf), &len), RPCH_OK);
    ck_assert_int_eq(relay_msg_decode(buf, len, &back, &reason), RPCH_OK);
    check_equal(&m, &back);

    buf[12]++;
    buf[len++] = 'x';
    ck_assert_str_eq(refused(buf, len), "text too long");
    buf[12]--;
    buf[20] = '\0';
    ck_assert_str_eq(refused(buf, len - 1), "text with a zero byte");
}
END_TEST

START_TEST(test_msg_type_range)
{
    uint8_t buf[RELAY_MSG_SIZE_MAX];
    relay_msg m = sample(RELAY_MSG_JOINED);
    size_t len;

    m.type = (relay_msg_type)0;
    ck_assert_int_eq(relay_msg_encode(&m, buf, sizeof(buf), &len),
                     RPCH_E_VALUE);
    m.type = RELAY_MSG_TYPE_MAX;
    ck_assert_int_eq(relay_msg_encode(&m, buf, sizeof(buf), &len),
                     RPCH_E_VALUE);
}
END_TEST

START_TEST(test_msg_noise)
{
    uint8_t buf[600];
    relay_msg m;
    const char *reason;
    unsigned seed = 20071;
    int i, decoded = 0;

    for (i = 0; i < 50000; i++) {
        size_t n, len = (size_t)rand_r(&seed) % sizeof(buf);
        for (n = 0; n < len; n++)
            buf[n] = (uint8_t)rand_r(&seed);
        if (len >= 8) { /* else hardly any gets past the header */
            memcpy(buf, "RPX\1", 4);
            memset(buf + 4, 0, 4);
            buf[4] = (uint8_t)(rand_r(&seed) % (RELAY_MSG_TYPE_MAX + 2));
        }
        if (len >= 10 && buf[4] == RELAY_MSG_RTS && i % 2) {
            buf[8] = (uint8_t)(len - 10);
            buf[9] = (uint8_t)((len - 10) >> 8);
        }
        if (len >= 20 && buf[4] == RELAY_MSG_MOVE && i % 2) {
            buf[12] = (uint8_t)(len - 14);
            buf[13] = (uint8_t)((len - 14) >> 8);
        }
        if (relay_msg_decode(buf, len, &m, &reason) == RPCH_OK) {
            uint8_t again[RELAY_MSG_SIZE_MAX];
            size_t size;
            ck_assert_int_eq(relay_msg_encode(&m, again, sizeof(again),
                                              &size), RPCH_OK);
            ck_assert_uint_eq(size, len);
            ck_assert_mem_eq(again, buf, len);
            decoded++;
        }
    }
    ck_assert_int_gt(decoded, 100);
}
END_TEST

START_TEST(test_msg_name)
{
    ck_assert_str_eq(relay_msg_name(RELAY_MSG_JOIN), "JOIN");
    ck_assert_str_eq(relay_msg_name(RELAY_MSG_REFUSE), "REFUSE");
    ck_assert_str_eq(relay_msg_name(RELAY_MSG_ATTACHED), "ATTACHED");
    ck_assert_str_eq(relay_msg_name(RELAY_MSG_TAIL), "TAIL");
    ck_assert_str_eq(relay_msg_name(0), "unknown");
    ck_assert_str_eq(relay_msg_name(-1), "unknown");
    ck_assert_str_eq(relay_msg_name(RELAY_MSG_TYPE_MAX), "unknown");
}
END_TEST

static relay_addr v4(const char *ip, unsigned short port)
{
    struct sockaddr_in sin;
    relay_addr a;
    memset(&sin, 0, sizeof(sin));
    sin.sin_family = AF_INET;
    sin.sin_port = htons(port);
    ck_assert_int_eq(inet_pton(AF_INET, ip, &sin.sin_addr), 1);
    ck_assert(relay_addr_set(&a, (struct sockaddr *)&sin, sizeof(sin)));
    return a;
}

static relay_addr v6(const char *ip, unsigned short port, uint32_t scope)
{
    struct sockaddr_in6 sin;
    relay_addr a;
    memset(&sin, 0, sizeof(sin));
    sin.sin6_family = AF_INET6;
    sin.sin6_port = htons(port);
    sin.sin6_scope_id = scope;
    ck_assert_int_eq(inet_pton(AF_INET6, ip, &sin.sin6_addr), 1);
    ck_assert(relay_addr_set(&a, (struct sockaddr *)&sin, sizeof(sin)));
    return a;
}

START_TEST(test_addr_text)
{
    char text[RELAY_ADDR_TEXT_SIZE];
    relay_addr a;

    a = v4("192.0.2.1", 593);
    ck_assert_str_eq(relay_addr_text(&a, text), "192.0.2.1:593");
    a = v6("2001:db8::1", 65535, 0);
    ck_assert_str_eq(relay_addr_text(&a, text), "[2001:db8::1]:65535");
    a = v6("fe80::1", 593, 2);
    ck_assert_str_eq(relay_addr_text(&a, text), "[fe80::1%2]:593");
    a = v6("fe80:fff1:fff2:fff3:fff4:fff5:fff6:fff7", 65535, 4294967295u);
    ck_assert_str_eq(
        relay_addr_text(&a, text),
        "[fe80:fff1:fff2:fff3:fff4:fff5:fff6:fff7%4294967295]:65535");
    a.len = 0;
    ck_assert_str_eq(relay_addr_text(&a, text), "none");
}
END_TEST

START_TEST(test_addr_equal)
{
    relay_addr list[7];
    size_t i, j;

    list[0] = v4("192.0.2.1", 593);
    list[1] = v4("192.0.2.1", 594);
    list[2] = v4("192.0.2.2", 593);
    list[3] = v6("::ffff:192.0.2.1", 593, 0);
    list[4] = v6("2001:db8::1", 593, 0);
    list[5] = v6("2001:db8::1", 594, 0);
    list[6] = v6("2001:db8::1", 593, 3);
    for (i = 0; i < 7; i++)
        for (j = 0; j < 7; j++)
            ck_assert_int_eq(relay_addr_equal(&list[i], &list[j]), i == j);
    list[0].len = list[1].len = 0;
    ck_assert(!relay_addr_equal(&list[0], &list[1]));
    ck_assert(!relay_addr_equal(&list[0], &list[2]));
}
END_TEST

START_TEST(test_addr_set_refuses)
{
    struct sockaddr_in6 sin;
    relay_addr a;

    memset(&sin, 0, sizeof(sin));
    sin.sin6_family = AF_INET6;
    ck_assert(!relay_addr_set(&a, (struct sockaddr *)&sin,
                              sizeof(struct sockaddr_in)));
    ck_assert_uint_eq(a.len, 0);
    ck_assert(!relay_addr_set(&a, (struct sockaddr *)&sin, 0));
    sin.sin6_family = AF_UNIX;
    ck_assert(!relay_addr_set(&a, (struct sockaddr *)&sin, sizeof(sin)));
    ck_assert_uint_eq(a.len, 0);
}
END_TEST

START_TEST(test_clock_poll_timeout)
{
    ck_assert_int_eq(relay_poll_timeout(1500, 1000, 1000), 500);
    ck_assert_int_eq(relay_poll_timeout(2001, 1000, 1000), 1000);
    ck_assert_int_eq(relay_poll_timeout(1000, 1000, 1000), 0);
    ck_assert_int_eq(relay_poll_timeout(0, 1000, 1000), 0);
    ck_assert_int_eq(relay_poll_timeout(RPCH_NEVER, 1000, 1000), 1000);
    ck_assert_int_eq(relay_poll_timeout(RPCH_NEVER, 0, 1000), 1000);
    ck_assert_int_eq(relay_poll_timeout(5000, 0, 0), 0);
}
END_TEST

START_TEST(test_clock_now)
{
    rpch_msec then = relay_now(), now;
    int i;

    ck_assert_uint_gt(then, 0);
    for (i = 0; i < 1000; i++, then = now) {
        now = relay_now();
        ck_assert_uint_ge(now, then);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("msg");
    TCase *t = tcase_create("msg");
    TCase *a = tcase_create("addr and clock");

    tcase_add_test(t, test_msg_bytes);
    tcase_add_test(t, test_msg_cut_or_longer);
    tcase_add_test(t, test_msg_room);
    tcase_add_test(t, test_msg_header_wrong);
    tcase_add_test(t, test_msg_pdu_limits);
    tcase_add_test(t, test_msg_data_limits);
    tcase_add_test(t, test_msg_attach_direction);
    tcase_add_test(t, test_msg_text_limits);
    tcase_add_test(t, test_msg_type_range);
    tcase_add_test(t, test_msg_noise);
    tcase_add_test(t, test_msg_name);
    suite_add_tcase(s, t);
    tcase_add_test(a, test_addr_text);
    tcase_add_test(a, test_addr_equal);
    tcase_add_test(a, test_addr_set_refuses);
    tcase_add_test(a, test_clock_poll_timeout);
    tcase_add_test(a, test_clock_now);
    suite_add_tcase(s, a);
    return test_main(s);
}
