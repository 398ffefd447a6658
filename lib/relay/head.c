/* SPDX-License-Identifier: Apache-2.0 */
/*
 * head.c - the lines of a head. Each one is looked at when it is whole, and
 * replaced by what is kept of it, which is never longer: text holds the
 * reason, then name and value of each field, each with its 0, then the bytes
 * of the line that is being read.
 */
#include "relay/head_private.h"

#include <stdlib.h>
#include <string.h>

#define ROOM_FIRST 1024
#define BLANK_MAX 2

static const char version[] = "HTTP/1.";
#define VERSION_SIZE (sizeof(version) - 1)

void relay_head_init(relay_head *h)
{
    memset(h, 0, sizeof(*h));
    h->state = RELAY_HEAD_MORE;
    h->length = -1;
}

void relay_head_clear(relay_head *h)
{
    free(h->text);
    relay_head_init(h);
}

void relay_head_fail(relay_head *h, const char *error)
{
    h->state = RELAY_HEAD_BAD;
    h->error = error;
}

/* Appends n bytes to the line; what is appended in all is bounded by the
 * caller. */
static void append(relay_head *h, const char *p, size_t n)
{
    size_t room = h->room ? h->room : ROOM_FIRST;
    char *text;
    while (room < h->have + n)
        room *= 2;
    if (room != h->room) {
        text = realloc(h->text, room);
        if (!text) {
            h->state = RELAY_HEAD_NO_MEMORY;
            return;
        }
        h->text = text;
        h->room = room;
    }
    memcpy(h->text + h->have, p, n);
    h->have += n;
    h->size += n;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* Takes white space off both ends of *s[0..n), returns what n is then. */
static size_t trim(char **s, size_t n)
{
    while (n > 0 && is_blank((*s)[n - 1]))
        n--;
    while (n > 0 && is_blank(**s)) {
        (*s)++;
        n--;
    }
    return n;
}

/* Keeps s[0..n), which lies in the line, as the next text. */
static void keep(relay_head *h, const char *s, size_t n)
{
    memmove(h->text + h->line, s, n);
    h->text[h->line + n] = 0;
    h->line += n + 1;
}

/* Fails for what may stand nowhere in a head. */
static void check_characters(relay_head *h, const char *s, size_t n)
{
    size_t i;
    for (i = 0; i < n; i++) {
        if (s[i] == '\r') {
            relay_head_fail(h, "a bare CR in the response head");
            return;
        }
        if (s[i] == 0) {
            relay_head_fail(h, "a NUL in the response head");
            return;
        }
        if (((unsigned char)s[i] < ' ' && s[i] != '\t') || s[i] == 0x7f) {
            relay_head_fail(h, "a control character in the response head");
            return;
        }
    }
}

/* Reads the status line s[0..n), which begins as an HTTP version does. */
static void status_line(relay_head *h, char *s, size_t n)
{
    const size_t code = VERSION_SIZE + 2, end = code + 3;
    size_t i;
    if (n < end || !relay_head_is_digit(s[VERSION_SIZE])
        || s[VERSION_SIZE + 1] != ' ' || (n > end && s[end] != ' ')) {
        relay_head_fail(h, "the status line cannot be read");
        return;
    }
    for (i = code; i < end; i++) {
        if (!relay_head_is_digit(s[i])) {
            relay_head_fail(h, "the status is no number");
            return;
        }
        h->status = h->status * 10 + (s[i] - '0');
    }
    if (h->status < 100 || h->status > 599) {
        relay_head_fail(h, "the status is not between 100 and 599");
        return;
    }
    h->minor = s[VERSION_SIZE] != '0';
    h->begun = true;
    s += end;
    n = trim(&s, n - end);
    keep(h, s, n);
}

/* Reads a line s[0..n) that continues the field before it. */
static void fold(relay_head *h, char *s, size_t n)
{
    if (h->fields == 0) {
        relay_head_fail(h, "a folded line after the status line");
        return;
    }
    n = trim(&s, n);
    if (n == 0)
        return;
    h->line--;
    if (h->text[h->line - 1] != 0)
        h->text[h->line++] = ' ';
    keep(h, s, n);
}

/* Reads a field's line s[0..n), which is not empty. */
static void field(relay_head *h, char *s, size_t n)
{
    char *colon = memchr(s, ':', n), *value;
    size_t name_len, i;
    if (!colon) {
        relay_head_fail(h, "a response field without a colon");
        return;
    }
    value = colon + 1;
    n -= (size_t)(value - s);
    /* White space before the colon is to be taken out of a response by who
     * passes it on, RFC 9112 5.1. */
    name_len = trim(&s, (size_t)(colon - s));
    for (i = 0; i < name_len && relay_head_is_token(s[i]); i++)
        ;
    if (i < name_len || name_len == 0) {
        relay_head_fail(h, "the name of a response field is no token");
        return;
    }
    if (h->fields == RELAY_HEAD_FIELDS_MAX) {
        relay_head_fail(h, "the response head has more than 100 fields");
        return;
    }
    h->fields++;
    n = trim(&value, n);
    keep(h, s, name_len);
    keep(h, value, n);
}

/* The line has come to its end, LF included. */
static void end_line(relay_head *h)
{
    char *s = h->text + h->line;
    size_t n = h->have - h->line - 1;
    if (n > 0 && s[n - 1] == '\r')
        n--;
    check_characters(h, s, n);
    if (h->state != RELAY_HEAD_MORE)
        return;
    if (!h->begun && n > 0)
        status_line(h, s, n);
    else if (!h->begun && ++h->blank > BLANK_MAX)
        relay_head_fail(h, "more than two empty lines before the response");
    else if (h->begun && n == 0)
        relay_head_finish(h);
    else if (h->begun && is_blank(*s))
        fold(h, s, n);
    else if (h->begun)
        field(h, s, n);
    h->have = h->line;
}

/* Fails as soon as what may become the status line shows that it is none: a
 * peer that does not speak HTTP may never send a line's end. */
static void check_begin(relay_head *h)
{
    const char *s = h->text + h->line;
    size_t n = h->have - h->line;
    if (*s == '\r' || *s == '\n')
        return;
    if (memcmp(s, version, n < VERSION_SIZE ? n : VERSION_SIZE) != 0)
        relay_head_fail(h, "the answer is no HTTP/1.x response");
}

relay_head_state relay_head_feed(relay_head *h, const void *in, size_t len,
                                 size_t *used)
{
    const char *p = in;
    *used = 0;
    while (h->state == RELAY_HEAD_MORE && *used < len) {
        const char *at = p + *used, *lf;
        size_t n = len - *used;
        if (n > RELAY_HEAD_SIZE_MAX - h->size)
            n = RELAY_HEAD_SIZE_MAX - h->size;
        lf = memchr(at, '\n', n);
        if (lf)
            n = (size_t)(lf - at) + 1;
        append(h, at, n);
        *used += n;
        if (h->state == RELAY_HEAD_MORE && !h->begun)
            check_begin(h);
        if (h->state == RELAY_HEAD_MORE && lf)
            end_line(h);
        if (h->state == RELAY_HEAD_MORE && h->size == RELAY_HEAD_SIZE_MAX)
            relay_head_fail(h, "the response head is above 65536 bytes");
    }
    return h->state;
}
