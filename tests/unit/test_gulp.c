/* SPDX-License-Identifier: Apache-2.0 */
/* test_gulp.c - relay/gulp.h: large reads taken in small pieces */
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include <apr_general.h>

#include "relay/gulp.h"
#include "rpch_test.h"

static apr_pool_t *pool;
static relay_blocks *blocks;
static relay_gulp g;
static int ends[2];

static void set_up(void)
{
    int size = 1 << 20;
    ck_assert_int_eq(apr_pool_create(&pool, NULL), APR_SUCCESS);
    ck_assert_int_eq(relay_blocks_create(&blocks, 4, pool), APR_SUCCESS);
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    ck_assert_int_eq(setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &size,
                                sizeof(size)), 0);
    relay_gulp_init(&g, ends[1], blocks);
}

static void tear_down(void)
{
    relay_gulp_clear(&g);
    close(ends[0]);
    close(ends[1]);
    apr_pool_destroy(pool);
}

static uint8_t byte_at(size_t i)
{
    return (uint8_t)(i * 31 + i / 251);
}

/* The next n bytes of a stream of which each byte tells where it stands. */
static void come(size_t *sent, size_t n)
{
    static uint8_t bytes[200000];
    size_t i;
    for (i = 0; i < n; i++)
        bytes[i] = byte_at(*sent + i);
    ck_assert_int_eq(send(ends[0], bytes, n, MSG_DONTWAIT), (ssize_t)n);
    *sent += n;
}

/* Takes size bytes at most, which are those behind *seen; how many. */
static size_t take(size_t *seen, size_t size)
{
    const uint8_t *p;
    size_t n, i;
    ck_assert_int_eq(relay_gulp_take(&g, size, &p, &n), APR_SUCCESS);
    ck_assert_uint_gt(n, 0);
    ck_assert_uint_le(n, size);
    for (i = 0; i < n; i++)
        ck_assert_uint_eq(p[i], byte_at(*seen + i));
    *seen += n;
    return n;
}

static void ck_nothing(apr_status_t why)
{
    const uint8_t *p;
    size_t n = 1;
    ck_assert_int_eq(relay_gulp_take(&g, 5, &p, &n), why);
    ck_assert_uint_eq(n, 0);
}

/* Takes all there is, in pieces of a record; how many bytes. */
static size_t take_all(size_t *seen, size_t piece)
{
    const uint8_t *p;
    size_t before = *seen, n, i;
    while (relay_gulp_take(&g, piece, &p, &n) == APR_SUCCESS) {
        for (i = 0; i < n; i++)
            ck_assert_uint_eq(p[i], byte_at(*seen + i));
        *seen += n;
    }
    return *seen - before;
}

START_TEST(test_gulp_pieces)
{
    size_t sent = 0, seen = 0;
    come(&sent, 100);
    ck_assert(relay_gulp_begin(&g, 65536));
    ck_assert_uint_eq(take(&seen, 5), 5);
    ck_assert_uint_eq(relay_gulp_holds(&g), 95);
    ck_assert_uint_eq(take(&seen, 50), 50);
    ck_assert_uint_eq(take(&seen, 500), 45);
    /* The socket gave less than was asked for: it is not asked again. */
    come(&sent, 10);
    ck_nothing(APR_EAGAIN);
    ck_assert(!relay_gulp_is_short(&g));
    ck_assert(relay_gulp_end(&g));
    ck_assert(relay_gulp_begin(&g, 65536));
    ck_assert_uint_eq(take(&seen, 500), 10);
    ck_assert(relay_gulp_end(&g));
}
END_TEST

START_TEST(test_gulp_nothing)
{
    ck_assert(relay_gulp_begin(&g, 65536));
    ck_nothing(APR_EAGAIN);
    ck_assert(!relay_gulp_is_short(&g));
    ck_assert(relay_gulp_end(&g));
}
END_TEST

/* Outside of a read the socket is left alone. */
START_TEST(test_gulp_outside)
{
    size_t sent = 0, seen = 0;
    come(&sent, 10);
    ck_nothing(APR_EAGAIN);
    ck_assert(relay_gulp_begin(&g, 65536));
    ck_assert_uint_eq(take(&seen, 10), 10);
    ck_assert(relay_gulp_end(&g));
    come(&sent, 10);
    ck_nothing(APR_EAGAIN);
}
END_TEST

/* What was not taken waits, also outside of a read, and goes first. */
START_TEST(test_gulp_kept)
{
    size_t sent = 0, seen = 0, used, kept;
    come(&sent, 30000);
    ck_assert(relay_gulp_begin(&g, 65536));
    ck_assert_uint_eq(take(&seen, 1000), 1000);
    ck_assert(relay_gulp_end(&g));
    ck_assert_uint_eq(relay_gulp_holds(&g), 29000);
    ck_assert_uint_eq(take(&seen, 100), 100);
    ck_assert_uint_eq(relay_gulp_holds(&g), 28900);
    come(&sent, 500);
    ck_assert(relay_gulp_begin(&g, 65536));
    ck_assert_uint_eq(take(&seen, 5), 5);
    ck_assert_uint_eq(take_all(&seen, 7000), 28895 + 500);
    ck_assert(relay_gulp_end(&g));
    ck_assert_uint_eq(relay_gulp_holds(&g), 0);
    relay_blocks_count(blocks, &used, &kept);
    ck_assert_uint_eq(used, 0);
}
END_TEST

/* Never more than the reader has room for, even with the record that TLS may
 * have begun before; what is left in the socket is told. */
START_TEST(test_gulp_room)
{
    static const size_t size[] = { 1, 8192, 32768, 40000, 65536 };
    static const size_t most[] = { 1, 8192, 32768, 40000 - 16384,
                                   65536 - 16384 };
    size_t sent = 0, seen = 0, i;
    for (i = 0; i < sizeof(size) / sizeof(size[0]); i++) {
        come(&sent, 100000);
        ck_assert(relay_gulp_begin(&g, size[i]));
        ck_assert_uint_eq(take_all(&seen, 16389), most[i]);
        ck_assert(relay_gulp_is_short(&g));
        ck_assert(relay_gulp_end(&g));
        while (seen < sent) {
            ck_assert(relay_gulp_begin(&g, 65536));
            ck_assert_uint_gt(take_all(&seen, 16389), 0);
            ck_assert(relay_gulp_end(&g));
        }
    }
}
END_TEST

START_TEST(test_gulp_end)
{
    size_t sent = 0, seen = 0;
    come(&sent, 20);
    close(ends[0]);
    ck_assert(relay_gulp_begin(&g, 65536));
    ck_assert_uint_eq(take(&seen, 20), 20);
    ck_nothing(APR_EAGAIN);
    ck_assert(relay_gulp_end(&g));
    ck_assert(relay_gulp_begin(&g, 65536));
    ck_nothing(APR_EOF);
    ck_nothing(APR_EAGAIN);
    ck_assert(!relay_gulp_is_short(&g));
    ck_assert(relay_gulp_end(&g));
    ends[0] = socket(AF_UNIX, SOCK_STREAM, 0);
}
END_TEST

START_TEST(test_gulp_broken)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    relay_gulp_init(&g, fd, blocks);
    ck_assert(relay_gulp_begin(&g, 65536));
    ck_nothing(APR_FROM_OS_ERROR(ENOTCONN));
    ck_assert(relay_gulp_end(&g));
    close(fd);
}
END_TEST

START_TEST(test_gulp_clear)
{
    size_t sent = 0, seen = 0, used, kept;
    come(&sent, 9000);
    ck_assert(relay_gulp_begin(&g, 65536));
    ck_assert_uint_eq(take(&seen, 1), 1);
    ck_assert(relay_gulp_end(&g));
    ck_assert_uint_eq(take(&seen, 1), 1);
    relay_gulp_clear(&g);
    ck_assert_uint_eq(relay_gulp_holds(&g), 0);
    ck_nothing(APR_EAGAIN);
    relay_blocks_count(blocks, &used, &kept);
    ck_assert_uint_eq(used, 0);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("gulp");
    TCase *tc = tcase_create("gulp");
    apr_initialize();
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, test_gulp_pieces);
    tcase_add_test(tc, test_gulp_nothing);
    tcase_add_test(tc, test_gulp_outside);
    tcase_add_test(tc, test_gulp_kept);
    tcase_add_test(tc, test_gulp_room);
    tcase_add_test(tc, test_gulp_end);
    tcase_add_test(tc, test_gulp_broken);
    tcase_add_test(tc, test_gulp_clear);
    suite_add_tcase(s, tc);
    return test_main(s);
}
