/* SPDX-License-Identifier: Apache-2.0 */
/* test_pieces.c - relay/pieces.h: bytes in several pieces */
#include "relay/pieces.h"
#include "rpch_test.h"

/* "abcdefghij" with empty pieces before, between and behind. */
static const struct iovec pieces[] = {
    { "", 0 }, { "abc", 3 }, { "", 0 }, { "", 0 }, { "d", 1 }, { "efghi", 5 },
    { "j", 1 }, { "", 0 }
};
#define PIECES 8
#define BYTES 10

static const char *const text = "abcdefghij";

START_TEST(test_pieces_every_place)
{
    size_t from, n;
    for (from = 0; from <= BYTES; from++)
        for (n = 1; n <= BYTES - from; n++) {
            uint8_t out[BYTES];
            relay_place p = relay_place_first(pieces, PIECES);
            relay_place_move(&p, from);
            ck_assert_mem_eq(relay_place_whole(p, n, out), text + from, n);
            relay_place_move(&p, n);
            ck_assert_uint_eq(p.v == p.end, from + n == BYTES);
        }
}
END_TEST

/* Byte by byte it is the same as at once. */
START_TEST(test_pieces_moves_add_up)
{
    relay_place p = relay_place_first(pieces, PIECES), q;
    size_t i;
    for (i = 0; i <= BYTES; i++) {
        q = relay_place_first(pieces, PIECES);
        relay_place_move(&q, i);
        ck_assert_ptr_eq(p.v, q.v);
        ck_assert_uint_eq(p.at, q.at);
        relay_place_move(&p, 1);
    }
}
END_TEST

/* What lies in one piece is not copied. */
START_TEST(test_pieces_stay)
{
    uint8_t out[BYTES];
    relay_place p = relay_place_first(pieces, PIECES);
    ck_assert_ptr_eq(p.v, &pieces[1]);
    ck_assert_uint_eq(relay_place_here(&p), 3);
    ck_assert_ptr_eq(relay_place_whole(p, 3, NULL), pieces[1].iov_base);
    ck_assert_ptr_eq(relay_place_whole(p, 4, out), out);
    relay_place_move(&p, 5);
    ck_assert_uint_eq(relay_place_here(&p), 4);
    ck_assert_ptr_eq(relay_place_whole(p, 4, NULL),
                     (uint8_t *)pieces[5].iov_base + 1);
}
END_TEST

START_TEST(test_pieces_end)
{
    relay_place p = relay_place_first(pieces, PIECES);
    relay_place_move(&p, BYTES);
    ck_assert_ptr_eq(p.v, pieces + PIECES);
    ck_assert_uint_eq(relay_place_here(&p), 0);
    relay_place_move(&p, 7);
    ck_assert_ptr_eq(p.v, pieces + PIECES);
    p = relay_place_first(pieces, 1);
    ck_assert_uint_eq(relay_place_here(&p), 0);
    p = relay_place_first(pieces, 0);
    ck_assert_uint_eq(relay_place_here(&p), 0);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("pieces");
    TCase *tc = tcase_create("pieces");
    tcase_add_test(tc, test_pieces_every_place);
    tcase_add_test(tc, test_pieces_moves_add_up);
    tcase_add_test(tc, test_pieces_stay);
    tcase_add_test(tc, test_pieces_end);
    suite_add_tcase(s, tc);
    return test_main(s);
}
