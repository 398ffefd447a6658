/* SPDX-License-Identifier: Apache-2.0 */
/* test_head.c - heads of responses, cut everywhere: what is read, how the
 * body ends, and what is refused. */
#include <stdio.h>

#include "rpch_test.h"

#include "relay/head.h"

#define HEAD_MAX 70000

static relay_head head;
static char text[HEAD_MAX];

/* Feeds s[0..n) to the head, from memory that ends where it does, and returns
 * how much was used. */
static size_t feed_piece(const char *s, size_t n)
{
    char *own = malloc(n ? n : 1);
    size_t used;
    ck_assert_ptr_nonnull(own);
    memcpy(own, s, n);
    ck_assert_int_eq(relay_head_feed(&head, own, n, &used), head.state);
    free(own);
    ck_assert_uint_le(used, n);
    if (head.state == RELAY_HEAD_MORE)
        ck_assert_uint_eq(used, n);
    return used;
}

/* A new head from s[0..n) in two pieces, or byte by byte (first above n). */
static size_t feed(const char *s, size_t n, size_t first)
{
    size_t used = 0, i;
    relay_head_clear(&head);
    if (first > n) {
        for (i = 0; i < n && head.state == RELAY_HEAD_MORE; i++)
            used += feed_piece(s + i, 1);
        return used;
    }
    used = feed_piece(s, first);
    if (head.state == RELAY_HEAD_MORE)
        used += feed_piece(s + first, n - first);
    return used;
}

/* All of the head but reason as one text, "name=value|" for each field. */
static void describe(char *out, size_t room)
{
    relay_head_field f = { NULL, NULL };
    unsigned n = 0;
    out[0] = 0;
    while (relay_head_next(&head, &f)) {
        ck_assert_uint_lt(strlen(out) + strlen(f.name) + strlen(f.value) + 3,
                          room);
        strcat(strcat(strcat(strcat(out, f.name), "="), f.value), "|");
        n++;
    }
    ck_assert_uint_eq(n, head.fields);
}

/* Expects a good head from s, of which the last rest bytes are not part, with
 * these fields; cut everywhere. */
static void expect(const char *s, size_t rest, int status, int minor,
                   const char *reason, const char *fields)
{
    size_t n = strlen(s), i;
    char got[1000];
    for (i = 0; i <= n + 1; i++) {
        size_t used = feed(s, n, i);
        ck_assert_msg(head.state == RELAY_HEAD_DONE, "%s: %s", s, head.error);
        ck_assert_ptr_null(head.error);
        ck_assert_uint_eq(used, n - rest);
        ck_assert_int_eq(head.status, status);
        ck_assert_int_eq(head.minor, minor);
        ck_assert_str_eq(head.reason, reason);
        describe(got, sizeof(got));
        ck_assert_str_eq(got, fields);
    }
}

/* Expects that s[0..n) is refused with that error, cut everywhere. */
static void refuse_bytes(const char *s, size_t n, const char *error)
{
    for (size_t i = 0; i <= n + 1; i++) {
        feed(s, n, i);
        ck_assert_msg(head.state == RELAY_HEAD_BAD, "%s (%s)", s, error);
        ck_assert_str_eq(head.error, error);
    }
}

static void refuse(const char *s, const char *error)
{
    refuse_bytes(s, strlen(s), error);
}

/* A good head with those fields behind the status line. */
static void read_fields(const char *status_line, const char *fields)
{
    snprintf(text, sizeof(text), "%s\r\n%s\r\n", status_line, fields);
    feed(text, strlen(text), strlen(text));
    ck_assert_msg(head.state == RELAY_HEAD_DONE, "%s: %s", text, head.error);
}

START_TEST(test_head_status_line)
{
    expect("HTTP/1.1 200 Success\r\n\r\n", 0, 200, 1, "Success", "");
    expect("HTTP/1.0 503 RPC Error: 5\r\n\r\n", 0, 503, 0, "RPC Error: 5",
           "");
    expect("HTTP/1.1 503 RPC Error: 6ba\r\n\r\nbody", 4, 503, 1,
           "RPC Error: 6ba", "");
    expect("HTTP/1.1 200\r\n\r\n", 0, 200, 1, "", "");
    expect("HTTP/1.1 200 \r\n\r\n", 0, 200, 1, "", "");
    expect("HTTP/1.1 401  a\tb \r\n\r\n", 0, 401, 1, "a\tb", "");
    expect("HTTP/1.1 599 \xc3\xa4\r\n\r\n", 0, 599, 1, "\xc3\xa4", "");
    expect("HTTP/1.7 100 Continue\r\n\r\n", 0, 100, 1, "Continue", "");
}
END_TEST

START_TEST(test_head_empty_lines)
{
    expect("\r\n\r\nHTTP/1.1 200 OK\r\n\r\n\r\n", 2, 200, 1, "OK", "");
    expect("\nHTTP/1.1 200 OK\n\n\n", 1, 200, 1, "OK", "");
    refuse("\r\n\n\r\nHTTP/1.1 200 OK\r\n\r\n",
           "more than two empty lines before the response");
}
END_TEST

START_TEST(test_head_fields)
{
    expect("HTTP/1.1 200 OK\r\nServer: IIS\r\nX-Empty:\r\n"
           "Date:  a: b \t\r\n\r\nrest", 4, 200, 1, "OK",
           "Server=IIS|X-Empty=|Date=a: b|");
    expect("HTTP/1.1 200 OK\nA: b\nC:d\n\n", 0, 200, 1, "OK", "A=b|C=d|");
    expect("HTTP/1.1 200 OK\r\nA : b\r\nC\t :\r\n\r\n", 0, 200, 1, "OK",
           "A=b|C=|");
    expect("HTTP/1.1 200 OK\r\n!#$%&'*+-.^_`|~09azAZ: \xff\r\n\r\n", 0, 200,
           1, "OK", "!#$%&'*+-.^_`|~09azAZ=\xff|");
}
END_TEST

START_TEST(test_head_folded)
{
    expect("HTTP/1.1 200 OK\r\nA: b\r\n  c \r\n\td\r\nE: f\r\n\r\n", 0, 200,
           1, "OK", "A=b c d|E=f|");
    expect("HTTP/1.1 200 OK\r\nA:\r\n b\r\n\r\n", 0, 200, 1, "OK", "A=b|");
    expect("HTTP/1.1 200 OK\nA:\n \n\t\nB: c\n \n\n", 0, 200, 1, "OK",
           "A=|B=c|");
    refuse("HTTP/1.1 200 OK\r\n A: b\r\n\r\n",
           "a folded line after the status line");
}
END_TEST

START_TEST(test_head_get)
{
    read_fields("HTTP/1.1 200 OK", "WWW-Authenticate: NTLM\r\nA: 1\r\n"
                "www-authenticate: Basic\r\n");
    ck_assert_str_eq(relay_head_get(&head, "www-Authenticate"), "NTLM");
    ck_assert_str_eq(relay_head_get(&head, "a"), "1");
    ck_assert_ptr_null(relay_head_get(&head, "www-authenticat"));
    ck_assert_ptr_null(relay_head_get(&head, "aa"));
}
END_TEST

START_TEST(test_head_lists)
{
    read_fields("HTTP/1.1 200 OK", "Connection: ,Foo ,\tClose,\r\n"
                "Vary: x\r\nConnection: bar baz\r\nEmpty:\r\n");
    ck_assert(relay_head_lists(&head, "connection", "foo"));
    ck_assert(relay_head_lists(&head, "connection", "close"));
    ck_assert(relay_head_lists(&head, "connection", "Bar baz"));
    ck_assert(!relay_head_lists(&head, "connection", "bar"));
    ck_assert(!relay_head_lists(&head, "connection", "clos"));
    ck_assert(!relay_head_lists(&head, "connection", "x"));
    ck_assert(!relay_head_lists(&head, "connection", ""));
    ck_assert(!relay_head_lists(&head, "empty", "close"));
}
END_TEST

START_TEST(test_head_body)
{
    static const struct {
        const char *line, *fields;
        relay_body body;
        int64_t length;
    } b[] = {
        { "HTTP/1.1 200", "", RELAY_BODY_CLOSE, -1 },
        { "HTTP/1.1 200", "Content-Length: 0\r\n", RELAY_BODY_LENGTH, 0 },
        { "HTTP/1.1 200", "content-length: 1073741824\r\n",
          RELAY_BODY_LENGTH, 1073741824 },
        { "HTTP/1.1 200", "Content-Length: 9223372036854775807\r\n",
          RELAY_BODY_LENGTH, INT64_MAX },
        { "HTTP/1.1 200", "Content-Length: 5, 5 ,05\r\nContent-Length:5\r\n",
          RELAY_BODY_LENGTH, 5 },
        { "HTTP/1.1 200", "Transfer-Encoding: Chunked\r\n",
          RELAY_BODY_CHUNKED, -1 },
        { "HTTP/1.0 200", "Transfer-Encoding: ,chunked,\r\n",
          RELAY_BODY_CHUNKED, -1 },
        { "HTTP/1.1 200", "Content-Length: 5\r\n"
          "Transfer-Encoding: chunked\r\n", RELAY_BODY_CHUNKED, 5 },
        { "HTTP/1.1 200", "Transfer-Encoding: identity\r\n"
          "Transfer-Encoding: chunked\r\n", RELAY_BODY_CHUNKED, -1 },
        { "HTTP/1.1 200", "Transfer-Encoding: identity\r\n",
          RELAY_BODY_CLOSE, -1 },
        { "HTTP/1.1 200", "Transfer-Encoding: identity\r\n"
          "Content-Length: 5\r\n", RELAY_BODY_CLOSE, 5 },
        { "HTTP/1.1 101", "Content-Length: 5\r\n", RELAY_BODY_NONE, 5 },
        { "HTTP/1.1 100", "Transfer-Encoding: chunked\r\n", RELAY_BODY_NONE,
          -1 },
        { "HTTP/1.1 204", "Content-Length: 5\r\n", RELAY_BODY_NONE, 5 },
        { "HTTP/1.1 304", "Content-Length: 5\r\n", RELAY_BODY_NONE, 5 },
        { "HTTP/1.1 205", "Content-Length: 5\r\n", RELAY_BODY_LENGTH, 5 }
    };
    for (size_t i = 0; i < sizeof(b) / sizeof(b[0]); i++) {
        read_fields(b[i].line, b[i].fields);
        ck_assert_msg(relay_head_body(&head, false) == b[i].body, "%s", text);
        ck_assert_int_eq(relay_head_body(&head, true), RELAY_BODY_NONE);
        ck_assert_int_eq(head.length, b[i].length);
    }
}
END_TEST

START_TEST(test_head_keeps)
{
    static const struct {
        const char *line, *fields;
        bool keeps;
    } k[] = {
        { "HTTP/1.1 200", "", true },
        { "HTTP/1.1 200", "Connection: foo, CLOSE\r\n", false },
        { "HTTP/1.1 200", "Connection: closed\r\n", true },
        { "HTTP/1.1 200", "Connection: keep-alive\r\nConnection: close\r\n",
          false },
        { "HTTP/1.0 200", "", false },
        { "HTTP/1.0 200", "Connection: Keep-Alive\r\n", true },
        { "HTTP/1.0 200", "Connection: Keep-Alive, close\r\n", false },
        { "HTTP/1.1 200", "Transfer-Encoding: chunked\r\n", true },
        { "HTTP/1.1 200", "Transfer-Encoding: chunked\r\n"
          "Content-Length: 5\r\n", false },
        { "HTTP/1.0 200", "Connection: keep-alive\r\n"
          "Transfer-Encoding: chunked\r\n", false },
        { "HTTP/1.0 200", "Connection: keep-alive\r\n"
          "Content-Length: 5\r\n", true }
    };
    for (size_t i = 0; i < sizeof(k) / sizeof(k[0]); i++) {
        read_fields(k[i].line, k[i].fields);
        ck_assert_msg(head.keeps == k[i].keeps, "%s", text);
    }
}
END_TEST

START_TEST(test_head_no_response)
{
    static const char *const s[] = {
        "ICY 200 OK\r\n\r\n", "HTTP/2 200\r\n\r\n", "HTTP/2.0 200 OK\r\n\r\n",
        "http/1.1 200 OK\r\n\r\n", "ncacn_http/1.0", "\r\nGET / HTTP/1.1\r\n",
        "\x15\x03\x03", " HTTP/1.1 200 OK\r\n", "H\r\n", "HTTP/1\n", "X"
    };
    for (size_t i = 0; i < sizeof(s) / sizeof(s[0]); i++)
        refuse(s[i], "the answer is no HTTP/1.x response");
}
END_TEST

START_TEST(test_head_status_refused)
{
    static const char *const s[] = {
        "HTTP/1.\r\n", "HTTP/1.1\r\n", "HTTP/1.1 \r\n", "HTTP/1.1 20\r\n",
        "HTTP/1.11 200\r\n", "HTTP/1.x 200\r\n", "HTTP/1.1 2000\r\n",
        "HTTP/1.1 200OK\r\n", "HTTP/1.1\t200\r\n"
    };
    for (size_t i = 0; i < sizeof(s) / sizeof(s[0]); i++)
        refuse(s[i], "the status line cannot be read");
    refuse("HTTP/1.1  200\r\n", "the status line cannot be read");
    refuse("HTTP/1.1 2x0 OK\r\n", "the status is no number");
    refuse("HTTP/1.1 +20 OK\r\n", "the status is no number");
    refuse("HTTP/1.1 099 OK\r\n", "the status is not between 100 and 599");
    refuse("HTTP/1.1 600 OK\r\n", "the status is not between 100 and 599");
}
END_TEST

START_TEST(test_head_fields_refused)
{
    static const char no_token[] = "the name of a response field is no token";
    static const char s[] = "HTTP/1.1 200 OK\r\nA: b\0c\r\n\r\n";
    static const char cr[] = "a bare CR in the response head";
    static const char ctl[] = "a control character in the response head";
    refuse("HTTP/1.1 200 OK\r\nfoo\r\n\r\n",
           "a response field without a colon");
    refuse("HTTP/1.1 200 OK\r\nA: b\r\n: b\r\n\r\n", no_token);
    refuse("HTTP/1.1 200 OK\r\nA B: b\r\n\r\n", no_token);
    refuse("HTTP/1.1 200 OK\r\n(A): b\r\n\r\n", no_token);
    refuse("HTTP/1.1 200 OK\r\n\xc3\xa4: b\r\n\r\n", no_token);
    refuse("HTTP/1.1 200 OK\r\nA: b\rC: d\r\n\r\n", cr);
    refuse("HTTP/1.1 200 O\rK\r\n\r\n", cr);
    refuse("HTTP/1.1 200 OK\r\nA: b\r\n\r\r\n", cr);
    refuse("\rHTTP/1.1 200 OK\r\n\r\n", cr);
    refuse("HTTP/1.1 200 OK\r\nA: b\x7f\r\n\r\n", ctl);
    refuse("HTTP/1.1 200 \x01OK\r\n\r\n", ctl);
    refuse("HTTP/1.1 200 OK\r\nA: b\r\n\x1b\r\n\r\n", ctl);
    refuse_bytes(s, sizeof(s) - 1, "a NUL in the response head");
}
END_TEST

START_TEST(test_head_framing_refused)
{
    static const char no_number[] =
        "the Content-Length of the response is no number";
    static const char differ[] =
        "the response has two different Content-Lengths";
    static const char unknown[] =
        "the response has an unknown transfer coding";
    static const char unreadable[] =
        "the Transfer-Encoding of the response cannot be read";
    static const char empty[] =
        "the Transfer-Encoding of the response is empty";
    static const struct {
        const char *fields, *error;
    } bad[] = {
        { "Content-Length:", no_number },
        { "Content-Length: x", no_number },
        { "Content-Length: -1", no_number },
        { "Content-Length: +1", no_number },
        { "Content-Length: 1x", no_number },
        { "Content-Length: 1 1", no_number },
        { "Content-Length: 1,", no_number },
        { "Content-Length: 0x10", no_number },
        { "Content-Length: 9223372036854775808", no_number },
        { "Content-Length: 99999999999999999999", no_number },
        { "Content-Length: 1, 2", differ },
        { "Content-Length: 1\r\nContent-Length: 2", differ },
        { "Content-Length: 1\r\nContent-Length:", no_number },
        { "Transfer-Encoding: chunked\r\nContent-Length: x", no_number },
        { "Transfer-Encoding: gzip", unknown },
        { "Transfer-Encoding: identity, gzip", unknown },
        { "Transfer-Encoding: gzip, chunked", unknown },
        { "Transfer-Encoding: chunked, chunked", unknown },
        { "Transfer-Encoding: chunked, gzip", unknown },
        { "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
          unknown },
        { "Transfer-Encoding: chunked;q=1", unreadable },
        { "Transfer-Encoding: chunked foo", unreadable },
        { "Transfer-Encoding: \"chunked\"", unreadable },
        { "Transfer-Encoding:", empty },
        { "Transfer-Encoding: , ,", empty }
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char s[200];
        snprintf(s, sizeof(s), "HTTP/1.1 200 OK\r\n%s\r\n\r\n",
                 bad[i].fields);
        refuse(s, bad[i].error);
    }
}
END_TEST

START_TEST(test_head_fields_limit)
{
    for (int over = 0; over < 2; over++) {
        size_t n = (size_t)sprintf(text, "HTTP/1.1 200 OK\r\n");
        for (unsigned i = 0; i < RELAY_HEAD_FIELDS_MAX + (unsigned)over; i++)
            n += (size_t)sprintf(text + n, "A: b\r\n c\r\n");
        n += (size_t)sprintf(text + n, "\r\n");
        if (over) {
            refuse(text, "the response head has more than 100 fields");
        } else {
            feed(text, n, n);
            ck_assert_int_eq(head.state, RELAY_HEAD_DONE);
            ck_assert_uint_eq(head.fields, RELAY_HEAD_FIELDS_MAX);
        }
    }
}
END_TEST

START_TEST(test_head_size_limit)
{
    for (size_t over = 0; over < 2; over++) {
        size_t n = (size_t)sprintf(text, "\r\nHTTP/1.1 200 OK\r\nA: ");
        size_t value = RELAY_HEAD_SIZE_MAX + over - n - 4;
        memset(text + n, 'v', value);
        strcpy(text + n + value, "\r\n\r\nbody");
        for (size_t i = 0; i < 3; i++) {
            size_t len = strlen(text);
            size_t used = feed(text, len, i == 0 ? len : i == 1 ? 7 : len + 1);
            if (over) {
                ck_assert_int_eq(head.state, RELAY_HEAD_BAD);
                ck_assert_str_eq(head.error,
                                 "the response head is above 65536 bytes");
                ck_assert_uint_le(head.room, RELAY_HEAD_SIZE_MAX);
                continue;
            }
            ck_assert_int_eq(head.state, RELAY_HEAD_DONE);
            ck_assert_uint_eq(used, RELAY_HEAD_SIZE_MAX);
            ck_assert_uint_eq(strlen(relay_head_get(&head, "a")), value);
        }
    }
}
END_TEST

/* A line that never ends is bounded, too. */
START_TEST(test_head_endless_line)
{
    size_t n = (size_t)sprintf(text, "HTTP/1.1 200 ");
    memset(text + n, 'x', sizeof(text) - n);
    for (size_t i = 0; i < 2; i++) {
        feed(text, sizeof(text), i ? sizeof(text) + 1 : sizeof(text));
        ck_assert_int_eq(head.state, RELAY_HEAD_BAD);
        ck_assert_str_eq(head.error,
                         "the response head is above 65536 bytes");
    }
}
END_TEST

START_TEST(test_head_sticky)
{
    static const char *const s[] = { "HTTP/1.1 200 OK\r\n\r\n", "ICY" };
    static const relay_head_state state[] = { RELAY_HEAD_DONE,
                                              RELAY_HEAD_BAD };
    for (int i = 0; i < 2; i++) {
        const char *error;
        size_t used = 9;
        feed(s[i], strlen(s[i]), strlen(s[i]));
        error = head.error;
        ck_assert_int_eq(relay_head_feed(&head, "A: b\r\n", 6, &used),
                         state[i]);
        ck_assert_uint_eq(used, 0);
        ck_assert_ptr_eq(head.error, error);
    }
}
END_TEST

/* The final response may follow an interim one, in the same bytes. */
START_TEST(test_head_after_interim)
{
    static const char s[] = "HTTP/1.1 100 Continue\r\nA: b\r\n\r\n"
                            "HTTP/1.1 401 Unauthorized\r\nC: d\r\n\r\n";
    size_t used = feed(s, sizeof(s) - 1, sizeof(s) - 1);
    ck_assert_int_eq(head.status, 100);
    relay_head_clear(&head);
    ck_assert_uint_eq(used + feed_piece(s + used, sizeof(s) - 1 - used),
                      sizeof(s) - 1);
    ck_assert_int_eq(head.status, 401);
    ck_assert_ptr_null(relay_head_get(&head, "A"));
    ck_assert_str_eq(relay_head_get(&head, "C"), "d");
}
END_TEST

static void setup(void)
{
    relay_head_init(&head);
}

static void teardown(void)
{
    relay_head_clear(&head);
    ck_assert_ptr_null(head.text);
}

int main(void)
{
    Suite *s = suite_create("head");
    TCase *c = tcase_create("head");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, test_head_status_line);
    tcase_add_test(c, test_head_empty_lines);
    tcase_add_test(c, test_head_fields);
    tcase_add_test(c, test_head_folded);
    tcase_add_test(c, test_head_get);
    tcase_add_test(c, test_head_lists);
    tcase_add_test(c, test_head_body);
    tcase_add_test(c, test_head_keeps);
    tcase_add_test(c, test_head_no_response);
    tcase_add_test(c, test_head_status_refused);
    tcase_add_test(c, test_head_fields_refused);
    tcase_add_test(c, test_head_framing_refused);
    tcase_add_test(c, test_head_fields_limit);
    tcase_add_test(c, test_head_size_limit);
    tcase_add_test(c, test_head_endless_line);
    tcase_add_test(c, test_head_sticky);
    tcase_add_test(c, test_head_after_interim);
    suite_add_tcase(s, c);
    return test_main(s);
}
