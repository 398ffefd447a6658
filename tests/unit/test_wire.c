/* SPDX-License-Identifier: Apache-2.0 */
/* test_wire.c - the bounded cursor and the byte orders. */
#include "rpch/wire.h"
#include "rpch_test.h"

static const uint8_t bytes[] = { 0x01, 0x02, 0xf3, 0xf4, 0xf5, 0x06, 0x07 };

START_TEST(test_wire_byte_orders)
{
    ck_assert_uint_eq(rpch_le16(bytes + 1), 0xf302);
    ck_assert_uint_eq(rpch_be16(bytes + 1), 0x02f3);
    ck_assert_uint_eq(rpch_le32(bytes + 1), 0xf5f4f302);
    ck_assert_uint_eq(rpch_be32(bytes + 2), 0xf3f4f506);
}
END_TEST

START_TEST(test_wire_reads_in_order)
{
    rpch_reader r = rpch_reader_of(bytes, sizeof bytes);

    ck_assert_uint_eq(rpch_get_u8(&r), 0x01);
    ck_assert_uint_eq(rpch_get_le16(&r), 0xf302);
    ck_assert_uint_eq(rpch_get_le32(&r), 0x0706f5f4);
    ck_assert(!r.bad);
    ck_assert_uint_eq(r.pos, sizeof bytes);
    ck_assert_ptr_nonnull(rpch_take(&r, 0));
    ck_assert(!r.bad);
    ck_assert_uint_eq(rpch_get_u8(&r), 0);
    ck_assert(r.bad);
}
END_TEST

START_TEST(test_wire_64_bits)
{
    static const uint8_t want[8] = { 0x08, 0x07, 0xf6, 0x05,
                                     0x04, 0x03, 0x02, 0xf1 };
    uint8_t room[15] = { 0 };
    rpch_writer w = rpch_writer_of(room, sizeof room);
    rpch_reader r = rpch_reader_of(room, sizeof room);

    rpch_put_le64(&w, 0xf102030405f60708u);
    ck_assert_mem_eq(room, want, sizeof want);
    ck_assert(rpch_get_le64(&r) == 0xf102030405f60708u);
    rpch_put_le64(&w, UINT64_MAX);
    ck_assert(w.bad);
    ck_assert_uint_eq(w.pos, 8);
    ck_assert_uint_eq(room[8], 0);
    ck_assert(rpch_get_le64(&r) == 0);
    ck_assert(r.bad);
}
END_TEST

START_TEST(test_wire_a_bad_reader_stays_bad)
{
    rpch_reader r = rpch_reader_of(bytes, 3);

    ck_assert_uint_eq(rpch_get_le32(&r), 0);
    ck_assert(r.bad);
    ck_assert_uint_eq(r.pos, 0);
    /* the three bytes are there, but what comes after an error is void */
    ck_assert_uint_eq(rpch_get_u8(&r), 0);
    ck_assert_uint_eq(rpch_get_le16(&r), 0);
    ck_assert_ptr_null(rpch_take(&r, 0));
}
END_TEST

START_TEST(test_wire_huge_sizes_do_not_wrap)
{
    rpch_reader r = rpch_reader_of(bytes, sizeof bytes);
    uint8_t room[4];
    rpch_writer w = rpch_writer_of(room, sizeof room);

    rpch_get_u8(&r);
    ck_assert_ptr_null(rpch_take(&r, SIZE_MAX));
    ck_assert(r.bad);
    rpch_put_u8(&w, 1);
    ck_assert_ptr_null(rpch_reserve(&w, SIZE_MAX));
    ck_assert(w.bad);
}
END_TEST

START_TEST(test_wire_writes_in_order)
{
    uint8_t out[8];
    rpch_writer w = rpch_writer_of(out, 7);

    memset(out, 0xEE, sizeof out);
    rpch_put_u8(&w, 0x01);
    rpch_put_le16(&w, 0xf302);
    rpch_put_le32(&w, 0x0706f5f4);
    ck_assert(!w.bad);
    ck_assert_uint_eq(w.pos, 7);
    ck_assert_mem_eq(out, bytes, 7);
    rpch_put_bytes(&w, NULL, 0);
    ck_assert(!w.bad);
    rpch_put_u8(&w, 9);
    ck_assert(w.bad);
    ck_assert_uint_eq(out[7], 0xEE);
}
END_TEST

START_TEST(test_wire_a_write_that_does_not_fit_writes_nothing)
{
    uint8_t out[8];
    rpch_writer w = rpch_writer_of(out, 3);

    memset(out, 0xEE, sizeof out);
    rpch_put_le32(&w, 1);
    rpch_put_le16(&w, 1);
    rpch_put_bytes(&w, bytes, 1);
    rpch_put_u8(&w, 1);
    ck_assert(w.bad);
    ck_assert_uint_eq(w.pos, 0);
    ck_assert_uint_eq(out[0], 0xEE);
    ck_assert_uint_eq(out[3], 0xEE);
}
END_TEST

START_TEST(test_wire_status_names)
{
    static const int all[] = {
        RPCH_OK, RPCH_AGAIN, RPCH_E_SYNTAX, RPCH_E_UNEXPECTED, RPCH_E_ACK,
        RPCH_E_COOKIE, RPCH_E_CLOSED, RPCH_E_BANNER, RPCH_E_POLICY,
        RPCH_E_TIMEOUT, RPCH_E_LIFETIME, RPCH_E_CONNECT, RPCH_E_ROOM,
        RPCH_E_VALUE, RPCH_E_BUG
    };
    size_t i, k;

    ck_assert_str_eq(rpch_status_name(RPCH_OK), "ok");
    ck_assert_str_eq(rpch_status_name(-12345), "unknown");
    for (i = 0; i < sizeof all / sizeof all[0]; i++) {
        ck_assert_str_ne(rpch_status_name(all[i]), "unknown");
        for (k = 0; k < i; k++)
            ck_assert_str_ne(rpch_status_name(all[i]),
                             rpch_status_name(all[k]));
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("wire");
    TCase *tc = tcase_create("wire");

    tcase_add_test(tc, test_wire_byte_orders);
    tcase_add_test(tc, test_wire_reads_in_order);
    tcase_add_test(tc, test_wire_64_bits);
    tcase_add_test(tc, test_wire_a_bad_reader_stays_bad);
    tcase_add_test(tc, test_wire_huge_sizes_do_not_wrap);
    tcase_add_test(tc, test_wire_writes_in_order);
    tcase_add_test(tc, test_wire_a_write_that_does_not_fit_writes_nothing);
    tcase_add_test(tc, test_wire_status_names);
    suite_add_tcase(s, tc);
    return test_main(s);
}
