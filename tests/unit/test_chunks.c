/* SPDX-License-Identifier: Apache-2.0 */
/* test_chunks.c - the chunked coding, cut everywhere, and what is refused. */
#include "rpch_test.h"

#include "relay/chunks.h"

#define BODY_MAX 40000

/* What a decoder made of a body. */
typedef struct result {
    relay_chunks_state state;
    const char *error;
    uint8_t data[BODY_MAX];
    size_t data_len;
    size_t used; /* up to DONE */
} result;

static result whole, cut;
static char body[BODY_MAX];

/* Feeds text[0..len) to c, from memory that ends where it does. */
static void feed_piece(relay_chunks *c, const char *text, size_t len,
                       result *r)
{
    uint8_t *own = malloc(len ? len : 1);
    size_t at = 0, used = 0, n;
    const uint8_t *data;
    relay_chunks_state state;
    ck_assert_ptr_nonnull(own);
    memcpy(own, text, len);
    do {
        state = relay_chunks_feed(c, own + at, len - at, &used, &data, &n);
        ck_assert_uint_le(used, len - at);
        if (n > 0) {
            ck_assert(data >= own + at && data + n <= own + at + used);
            memcpy(r->data + r->data_len, data, n);
            r->data_len += n;
        } else if (state == RELAY_CHUNKS_MORE) {
            ck_assert_uint_eq(used, len - at);
        }
        at += used;
    } while (state == RELAY_CHUNKS_MORE && at < len);
    r->used += at;
    free(own);
}

/* Feeds text[0..len) in two pieces, or byte by byte (first above len). */
static void feed(const char *text, size_t len, size_t first, result *r)
{
    relay_chunks c;
    size_t i;
    memset(r, 0, sizeof(*r));
    relay_chunks_init(&c);
    if (first <= len) {
        feed_piece(&c, text, first, r);
        if (c.state == RELAY_CHUNKS_MORE)
            feed_piece(&c, text + first, len - first, r);
    } else {
        for (i = 0; i < len && c.state == RELAY_CHUNKS_MORE; i++)
            feed_piece(&c, text + i, 1, r);
    }
    r->state = c.state;
    r->error = c.error;
}

/* Feeds text whole to whole, and checks every cut against that. */
static void feed_all(const char *text, size_t len)
{
    size_t i;
    feed(text, len, len, &whole);
    for (i = 0; i <= len + 1; i++) {
        feed(text, len, i, &cut);
        ck_assert_int_eq(cut.state, whole.state);
        ck_assert_ptr_eq(cut.error, whole.error);
        ck_assert_uint_eq(cut.data_len, whole.data_len);
        ck_assert_mem_eq(cut.data, whole.data, whole.data_len);
        if (whole.state != RELAY_CHUNKS_BAD)
            ck_assert_uint_eq(cut.used, whole.used);
    }
}

START_TEST(test_chunks_bodies)
{
    static const struct {
        const char *text, *data;
        size_t rest; /* bytes after the body */
    } good[] = {
        { "0\r\n\r\n", "", 0 },
        { "5\r\nhello\r\n0\r\n\r\n", "hello", 0 },
        { "5\r\nhello\r\n6\r\n world\r\n0\r\n\r\nHTTP", "hello world", 4 },
        { "00000000005\r\nhello\r\n000\r\n\r\n", "hello", 0 },
        { "A\r\n0123456789\r\na\r\nabcdefghij\r\n0\r\n\r\n",
          "0123456789abcdefghij", 0 },
        { "5;a=b;c=\"d\"\r\nhello\r\n0;x\r\n\r\n", "hello", 0 },
        { "5  \r\nhello\r\n0 \t;x\r\n\r\n", "hello", 0 },
        { "5\r\na\r\nb\n\r\n0\r\n\r\n", "a\r\nb\n", 0 },
        { "1\r\na\r\n0\r\nA: b\r\nC: d\r\n\r\nX", "a", 1 }
    };
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        size_t len = strlen(good[i].text);
        feed_all(good[i].text, len);
        ck_assert_msg(whole.state == RELAY_CHUNKS_DONE, "%s: %s",
                      good[i].text, whole.error);
        ck_assert_ptr_null(whole.error);
        ck_assert_uint_eq(whole.used, len - good[i].rest);
        ck_assert_uint_eq(whole.data_len, strlen(good[i].data));
        ck_assert_mem_eq(whole.data, good[i].data, whole.data_len);
    }
}
END_TEST

START_TEST(test_chunks_unfinished)
{
    static const char text[] = "3;x\r\nabc\r\n0\r\nA: b\r\n\r\n";
    for (size_t n = 0; n < sizeof(text) - 1; n++) {
        feed_all(text, n);
        ck_assert_int_eq(whole.state, RELAY_CHUNKS_MORE);
        ck_assert_uint_eq(whole.used, n);
    }
}
END_TEST

START_TEST(test_chunks_refused)
{
    static const char no_number[] = "a chunk size is no hexadecimal number";
    static const char no_crlf[] =
        "a line of the chunked coding does not end in CRLF";
    static const char longer[] = "a chunk is longer than its size";
    static const char too_big[] = "a chunk size is above 2^62";
    static const char too_wide[] = "a chunk size has more than 32 characters";
    static const struct {
        const char *text, *error;
    } bad[] = {
        { "\r\n", no_number },
        { "g\r\n", no_number },
        { " 5\r\n", no_number },
        { "-5\r\n", no_number },
        { "+5\r\n", no_number },
        { ";x\r\n", no_number },
        { "\n", no_number },
        { "0x5\r\n", no_number },
        { "5 5\r\n", no_number },
        { "5x\r\n", no_number },
        { "5\nhello", no_crlf },
        { "5 \nhello", no_crlf },
        { "5\rhello", no_crlf },
        { "5;a\nhello", no_crlf },
        { "5;a\rb", no_crlf },
        { "1\r\nab", longer },
        { "1\r\na\nb", longer },
        { "1\r\na\r\r", no_crlf },
        { "1\r\na\r\n\r\n", no_number },
        { "0\r\n\n", no_crlf },
        { "0\r\n\rx", no_crlf },
        { "0\r\nA: b\n", no_crlf },
        { "0\r\nA: b\rc", no_crlf },
        { "4000000000000001\r\n", too_big },
        { "8000000000000000\r\n", too_big },
        { "FFFFFFFFFFFFFFFF\r\n", too_big },
        { "10000000000000000\r\n", too_big },
        { "000000000000000000000000000000005\r\n", too_wide },
        { "5                                \r\n", too_wide }
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        feed_all(bad[i].text, strlen(bad[i].text));
        ck_assert_msg(whole.state == RELAY_CHUNKS_BAD, "%s", bad[i].text);
        ck_assert_str_eq(whole.error, bad[i].error);
    }
    feed_all("5;\0a\r\nhello\r\n0\r\n\r\n", 18);
    ck_assert_int_eq(whole.state, RELAY_CHUNKS_DONE);
}
END_TEST

START_TEST(test_chunks_limits)
{
    static const struct {
        const char *before, *after, *error;
    } run[] = {
        /* The semicolon counts; so do the extensions of all chunks. */
        { "1;", "\r\na\r\n0\r\n\r\n",
          "more than 8192 bytes of chunk extensions" },
        { "1;\r\na\r\n0;", "\r\n\r\n",
          "more than 8192 bytes of chunk extensions" },
        { "0\r\nA", "\r\n\r\n", "more than 8192 bytes of trailers" },
        { "0\r\nA\r\nB", "\r\n\r\n", "more than 8192 bytes of trailers" }
    };
    for (size_t i = 0; i < sizeof(run) / sizeof(run[0]); i++) {
        for (size_t over = 0; over < 2; over++) {
            size_t before = strlen(run[i].before);
            size_t n = 8192 - (i % 2 ? 2 : 1) + over;
            memcpy(body, run[i].before, before);
            memset(body + before, 'x', n);
            strcpy(body + before + n, run[i].after);
            feed(body, strlen(body), strlen(body), &whole);
            ck_assert_int_eq(whole.state, over ? RELAY_CHUNKS_BAD
                                               : RELAY_CHUNKS_DONE);
            if (over)
                ck_assert_str_eq(whole.error, run[i].error);
            feed(body, strlen(body), strlen(body) + 1, &cut);
            ck_assert_int_eq(cut.state, whole.state);
            ck_assert_ptr_eq(cut.error, whole.error);
        }
    }
}
END_TEST

START_TEST(test_chunks_largest)
{
    static const char line[] = "4000000000000000\r\n";
    const uint8_t *data;
    size_t used, n;
    relay_chunks c;
    relay_chunks_init(&c);
    ck_assert_int_eq(relay_chunks_feed(&c, line, sizeof(line) - 1, &used,
                                       &data, &n), RELAY_CHUNKS_MORE);
    ck_assert_uint_eq(c.left, RELAY_CHUNK_SIZE_MAX);
    ck_assert_int_eq(relay_chunks_feed(&c, line, 7, &used, &data, &n),
                     RELAY_CHUNKS_MORE);
    ck_assert_uint_eq(c.left, RELAY_CHUNK_SIZE_MAX - 7);
    ck_assert_ptr_eq(data, line);
    ck_assert_uint_eq(n, 7);
}
END_TEST

START_TEST(test_chunks_sticky)
{
    static const char *const text[] = { "0\r\n\r\n", "x" };
    static const relay_chunks_state state[] = { RELAY_CHUNKS_DONE,
                                                RELAY_CHUNKS_BAD };
    for (int i = 0; i < 2; i++) {
        const uint8_t *data = NULL;
        size_t used = 9, n = 9;
        const char *error;
        relay_chunks c;
        relay_chunks_init(&c);
        ck_assert_int_eq(relay_chunks_feed(&c, text[i], strlen(text[i]),
                                           &used, &data, &n), state[i]);
        error = c.error;
        ck_assert_int_eq(relay_chunks_feed(&c, "1\r\na", 4, &used, &data,
                                           &n), state[i]);
        ck_assert_uint_eq(used, 0);
        ck_assert_uint_eq(n, 0);
        ck_assert_ptr_eq(c.error, error);
    }
}
END_TEST

START_TEST(test_chunks_line)
{
    static const struct {
        size_t len;
        const char *text;
    } line[] = {
        { 1, "1\r\n" }, { 15, "f\r\n" }, { 16, "10\r\n" }, { 500, "1f4\r\n" },
        { 65536, "10000\r\n" }, { (size_t)-1 / 16, NULL }
    };
    for (size_t i = 0; i < sizeof(line) / sizeof(line[0]); i++) {
        /* From the heap, so that a sanitizer sees a write beyond it. */
        char *out = malloc(RELAY_CHUNK_LINE_MAX);
        const uint8_t *data;
        relay_chunks c;
        size_t n, used, none;
        ck_assert_ptr_nonnull(out);
        n = relay_chunk_line(out, line[i].len);
        if (line[i].text) {
            ck_assert_uint_eq(n, strlen(line[i].text));
            ck_assert_mem_eq(out, line[i].text, n);
        }
        relay_chunks_init(&c);
        ck_assert_int_eq(relay_chunks_feed(&c, out, n, &used, &data, &none),
                         RELAY_CHUNKS_MORE);
        ck_assert_uint_eq(c.left, line[i].len);
        free(out);
    }
}
END_TEST

START_TEST(test_chunks_line_longest)
{
    char *out = malloc(RELAY_CHUNK_LINE_MAX);
    ck_assert_ptr_nonnull(out);
    ck_assert_uint_eq(relay_chunk_line(out, (size_t)-1),
                      sizeof(size_t) * 2 + 2);
    ck_assert_mem_eq(out, "ffffffff", 8);
    free(out);
}
END_TEST

START_TEST(test_chunks_round_trip)
{
    static const size_t sizes[] = { 1, 15, 16, 255, 256, 4096, 20000 };
    size_t n = 0, data = 0;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        n += relay_chunk_line(body + n, sizes[i]);
        memset(body + n, 'a' + (int)i, sizes[i]);
        n += sizes[i];
        memcpy(body + n, RELAY_CHUNK_END, 2);
        n += 2;
        data += sizes[i];
    }
    strcpy(body + n, RELAY_CHUNKS_END);
    n += strlen(RELAY_CHUNKS_END);
    feed(body, n, n, &whole);
    ck_assert_int_eq(whole.state, RELAY_CHUNKS_DONE);
    ck_assert_uint_eq(whole.used, n);
    ck_assert_uint_eq(whole.data_len, data);
    ck_assert_int_eq(whole.data[0], 'a');
    ck_assert_int_eq(whole.data[data - 1], 'g');
}
END_TEST

int main(void)
{
    Suite *s = suite_create("chunks");
    TCase *c = tcase_create("chunks");
    tcase_add_test(c, test_chunks_bodies);
    tcase_add_test(c, test_chunks_unfinished);
    tcase_add_test(c, test_chunks_refused);
    tcase_add_test(c, test_chunks_limits);
    tcase_add_test(c, test_chunks_largest);
    tcase_add_test(c, test_chunks_sticky);
    tcase_add_test(c, test_chunks_line);
    tcase_add_test(c, test_chunks_line_longest);
    tcase_add_test(c, test_chunks_round_trip);
    suite_add_tcase(s, c);
    return test_main(s);
}
