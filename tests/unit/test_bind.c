/* SPDX-License-Identifier: Apache-2.0 */
/* test_bind.c - bind and alter_context against C706 12.6.4 */
#include "rpch_test.h"

#include "rpch/bind.h"

#define ECHO "60a15ec5-4de8-11d7-a637-005056a20182"
#define NDR "8a885d04-1ceb-11c9-9fe8-08002b104860"
#define NDR64 "71710533-beba-4937-8319-b5dbef9ccc36"

/* rpcecho 1.0 by NDR 2.0 and NDR64 1.0, and mgmt 1.0 by NDR. */
static const char hex_bind[] =
    "05000b03 10000000 88000000 01000000"
    "d016 b810 04030201 02000000"
    "0000 02 00"
    "c55ea160 e84d d711 a637005056a20182 01000000"
    "045d888a eb1c c911 9fe808002b104860 02000000"
    "33057171 babe 3749 8319b5dbef9ccc36 01000000"
    "0100 01 00"
    "80bda8af 8a7d c911 bef408002b102989 01000000"
    "045d888a eb1c c911 9fe808002b104860 02000000";

/* The same interface in an alter_context, big-endian. */
static const char hex_big[] =
    "05000e03 00000000 0048 0000 00000001"
    "16d0 10b8 01020304 01000000"
    "0007 01 00"
    "60a15ec5 4de8 11d7 a637005056a20182 00030001"
    "8a885d04 1ceb 11c9 9fe808002b104860 00000002";

static uint8_t pdu[512];
static rpch_bind b;
static const char *reason;

static size_t load(const char *hex)
{
    return test_hex(hex, pdu, sizeof(pdu));
}

static int parse(size_t n)
{
    reason = NULL;
    return rpch_bind_parse(pdu, n, &b, &reason);
}

static void expect_syntax(const rpch_syntax *s, const char *uuid, int major,
                          int minor)
{
    char text[RPCH_UUID_TEXT_SIZE];

    ck_assert_str_eq(rpch_uuid_text(s->uuid, text), uuid);
    ck_assert_uint_eq(s->major, major);
    ck_assert_uint_eq(s->minor, minor);
}

START_TEST(test_bind_little_endian)
{
    rpch_bind_context c;
    rpch_syntax s;
    size_t n = load(hex_bind);

    ck_assert_msg(parse(n) == RPCH_OK, "%s", reason);
    ck_assert_uint_eq(b.pdu.ptype, RPCH_PTYPE_BIND);
    ck_assert_uint_eq(b.max_xmit, 5840);
    ck_assert_uint_eq(b.max_recv, 4280);
    ck_assert_uint_eq(b.group, 0x01020304);
    ck_assert_uint_eq(b.contexts, 2);
    ck_assert(rpch_bind_context_at(&b, 0, &c));
    ck_assert_uint_eq(c.id, 0);
    expect_syntax(&c.interface, ECHO, 1, 0);
    ck_assert_uint_eq(c.transfers, 2);
    ck_assert(rpch_bind_transfer(&b, &c, 0, &s));
    expect_syntax(&s, NDR, 2, 0);
    ck_assert(rpch_bind_transfer(&b, &c, 1, &s));
    expect_syntax(&s, NDR64, 1, 0);
    ck_assert(!rpch_bind_transfer(&b, &c, 2, &s));
    ck_assert(rpch_bind_context_at(&b, 1, &c));
    ck_assert_uint_eq(c.id, 1);
    expect_syntax(&c.interface, "afa8bd80-7d8a-11c9-bef4-08002b102989", 1, 0);
    ck_assert(!rpch_bind_context_at(&b, 2, &c));
}
END_TEST

START_TEST(test_bind_big_endian)
{
    rpch_bind_context c;
    rpch_syntax s;
    size_t n = load(hex_big);

    ck_assert_msg(parse(n) == RPCH_OK, "%s", reason);
    ck_assert_uint_eq(b.pdu.ptype, RPCH_PTYPE_ALTER_CONTEXT);
    ck_assert(b.pdu.big_endian);
    ck_assert_uint_eq(b.max_xmit, 5840);
    ck_assert_uint_eq(b.max_recv, 4280);
    ck_assert_uint_eq(b.group, 0x01020304);
    ck_assert(rpch_bind_context_at(&b, 0, &c));
    ck_assert_uint_eq(c.id, 7);
    expect_syntax(&c.interface, ECHO, 1, 3);
    ck_assert(rpch_bind_transfer(&b, &c, 0, &s));
    expect_syntax(&s, NDR, 2, 0);
}
END_TEST

/* Cut anywhere: more is wanted; with its length put right, refused. */
START_TEST(test_bind_cut)
{
    size_t n = load(hex_bind), cut;

    for (cut = 0; cut < n; cut++) {
        uint8_t *part = malloc(cut + 1);
        rpch_bind unused;

        memcpy(part, pdu, cut);
        ck_assert_int_eq(rpch_bind_parse(part, cut, &unused, &reason),
                         RPCH_AGAIN);
        if (cut >= 16) {
            part[8] = (uint8_t)cut;
            ck_assert_int_eq(rpch_bind_parse(part, cut, &unused, &reason),
                             RPCH_E_SYNTAX);
            ck_assert_ptr_nonnull(reason);
        }
        free(part);
    }
}
END_TEST

/* An authentication verifier: padding, its trailer, its value. */
START_TEST(test_bind_with_authentication)
{
    size_t n = load(hex_big);
    static const uint8_t rest[] = { 0, 0, 0, 0, 10, 6, 4, 0, 0, 0, 0, 0,
                                    'N', 'T', 'L', 'M' };

    memcpy(pdu + n, rest, sizeof(rest));
    n += sizeof(rest);
    pdu[9] = (uint8_t)n;
    pdu[11] = 4;
    ck_assert_msg(parse(n) == RPCH_OK, "%s", reason);
    pdu[n - 12 + 2] = 5;
    ck_assert_int_eq(parse(n), RPCH_E_SYNTAX);
    ck_assert_str_eq(reason, "auth_pad_length is not what lies there");
    pdu[11] = 200;
    ck_assert_int_eq(parse(n), RPCH_E_SYNTAX);
    ck_assert_str_eq(reason, "auth_length does not fit");
}
END_TEST

START_TEST(test_bind_refuses)
{
    static const struct { size_t at; uint8_t value; const char *why; } c[] = {
        { 0, 4, "rpc_vers is not 5" },
        { 2, 0, "neither bind nor alter_context" },
        { 2, 12, "neither bind nor alter_context" },
        { 24, 0, "no presentation context" },
        { 24, 3, "the contexts do not fit" },
        { 24, 255, "the contexts do not fit" },
        { 24, 1, "bytes behind the contexts" },
        { 30, 0, "a context without transfer syntax" },
        { 30, 255, "the contexts do not fit" },
        { 8, 27, "too short for a bind" },
    };
    size_t i, n;

    for (i = 0; i < sizeof(c) / sizeof(c[0]); i++) {
        n = load(hex_bind);
        pdu[c[i].at] = c[i].value;
        ck_assert_int_eq(parse(n), RPCH_E_SYNTAX);
        ck_assert_str_eq(reason, c[i].why);
    }
    n = load(hex_bind); /* padding to 4 is none of our business */
    pdu[8] = (uint8_t)(n + 3);
    ck_assert_int_eq(parse(n), RPCH_AGAIN);
    ck_assert_int_eq(parse(n + 3), RPCH_OK);
}
END_TEST

/* Any byte changed to anything: what was checked can be walked. */
START_TEST(test_bind_damaged)
{
    size_t n = load(hex_bind), at;
    unsigned value, i, j;
    rpch_bind_context c;
    rpch_syntax s;

    for (at = 0; at < n; at++)
        for (value = 0; value < 256; value++) {
            uint8_t *part = malloc(n);

            memcpy(part, pdu, n);
            part[at] = (uint8_t)value;
            if (rpch_bind_parse(part, n, &b, &reason) == RPCH_OK)
                for (i = 0; rpch_bind_context_at(&b, i, &c); i++)
                    for (j = 0; rpch_bind_transfer(&b, &c, j, &s); j++)
                        if (i >= b.contexts || j >= c.transfers || j > 255)
                            ck_abort_msg("more than there are");
            free(part);
        }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("bind");
    TCase *t = tcase_create("bind");

    tcase_add_test(t, test_bind_little_endian);
    tcase_add_test(t, test_bind_big_endian);
    tcase_add_test(t, test_bind_cut);
    tcase_add_test(t, test_bind_with_authentication);
    tcase_add_test(t, test_bind_refuses);
    tcase_add_test(t, test_bind_damaged);
    suite_add_tcase(s, t);
    return test_main(s);
}
