/* SPDX-License-Identifier: Apache-2.0 */
/*
 * head_fields.c - the fields of a whole head, and those that say how the body
 * and the connection end (RFC 9112 6.3, 9.3).
 */
#include "relay/head_private.h"

#include <string.h>

/* The last transfer coding so far. */
typedef enum coding { NONE, IDENTITY, CHUNKED, OTHER } coding;

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* True when s[0..n) is text in any case. */
static bool same(const char *s, size_t n, const char *text)
{
    size_t i;
    for (i = 0; i < n && text[i]; i++) {
        if (lower(s[i]) != lower(text[i]))
            return false;
    }
    return i == n && !text[i];
}

bool relay_head_is_token(char c)
{
    return relay_head_is_digit(c) || (lower(c) >= 'a' && lower(c) <= 'z')
        || (c && strchr("!#$%&'*+-.^_`|~", c));
}

static const char *skip_blanks(const char *s)
{
    return s + strspn(s, " \t");
}

/* The value of the next field of that name after *f; NULL: none. */
static const char *next_of(const relay_head *h, relay_head_field *f,
                           const char *name)
{
    while (relay_head_next(h, f)) {
        if (same(f->name, strlen(f->name), name))
            return f->value;
    }
    return NULL;
}

/* Reads a number of a Content-Length at *s and steps behind it; -1 when there
 * is none, or one above INT64_MAX. */
static int64_t read_number(const char **s)
{
    int64_t n = 0;
    if (!relay_head_is_digit(**s))
        return -1;
    for (; relay_head_is_digit(**s); (*s)++) {
        int value = **s - '0';
        if (n > (INT64_MAX - value) / 10)
            return -1;
        n = n * 10 + value;
    }
    return n;
}

/* Reads one Content-Length: a number, or the same one several times, which a
 * sender may have joined (RFC 9110 8.6). NULL or the error. */
static const char *read_length(relay_head *h, const char *s)
{
    for (;;) {
        int64_t n;
        s = skip_blanks(s);
        n = read_number(&s);
        s = skip_blanks(s);
        if (n < 0 || (*s && *s != ','))
            return "the Content-Length of the response is no number";
        if (h->length >= 0 && h->length != n)
            return "the response has two different Content-Lengths";
        h->length = n;
        if (!*s)
            return NULL;
        s++;
    }
}

/* Reads one Transfer-Encoding; *last is the last coding before it, and the
 * last one then. NULL or the error. */
static const char *read_codings(const char *s, coding *last)
{
    for (;;) {
        size_t n = 0;
        s += strspn(s, ", \t");
        if (!*s)
            return NULL;
        while (relay_head_is_token(s[n]))
            n++;
        if (*last == CHUNKED || *last == OTHER)
            return "the response has an unknown transfer coding";
        *last = same(s, n, "chunked") ? CHUNKED
            : same(s, n, "identity") ? IDENTITY : OTHER;
        s = skip_blanks(s + n);
        if (*s && *s != ',')
            return "the Transfer-Encoding of the response cannot be read";
    }
}

/* Reads the fields that say how the body ends. */
static const char *read_framing(relay_head *h)
{
    relay_head_field f = { NULL, NULL };
    coding last = NONE;
    const char *value, *error = NULL;
    while (!error && (value = next_of(h, &f, "Content-Length")))
        error = read_length(h, value);
    f.name = NULL;
    while (!error && (value = next_of(h, &f, "Transfer-Encoding"))) {
        h->coded = true;
        error = read_codings(value, &last);
    }
    if (!error && h->coded && last == NONE)
        error = "the Transfer-Encoding of the response is empty";
    /* Nobody asked for it by TE, and the receiver would not be told. */
    if (!error && last == OTHER)
        error = "the response has an unknown transfer coding";
    h->chunked = last == CHUNKED;
    return error;
}

void relay_head_finish(relay_head *h)
{
    const char *error;
    h->state = RELAY_HEAD_DONE;
    h->reason = h->text;
    error = read_framing(h);
    if (error) {
        relay_head_fail(h, error);
        return;
    }
    h->keeps = h->minor > 0 || relay_head_lists(h, "Connection", "keep-alive");
    /* With both fields, or with a coding that HTTP/1.0 does not have, some
     * reader before us may see another end of the body: RFC 9112 6.1. */
    if (relay_head_lists(h, "Connection", "close")
        || (h->coded && (h->minor == 0 || h->length >= 0)))
        h->keeps = false;
}

relay_body relay_head_body(const relay_head *h, bool method_is_head)
{
    if (method_is_head || h->status < 200 || h->status == 204
        || h->status == 304)
        return RELAY_BODY_NONE;
    if (h->coded)
        return h->chunked ? RELAY_BODY_CHUNKED : RELAY_BODY_CLOSE;
    return h->length >= 0 ? RELAY_BODY_LENGTH : RELAY_BODY_CLOSE;
}

bool relay_head_next(const relay_head *h, relay_head_field *f)
{
    const char *before = f->name ? f->value : h->text;
    const char *at = before + strlen(before) + 1;
    if (at == h->text + h->line)
        return false;
    f->name = at;
    f->value = at + strlen(at) + 1;
    return true;
}

const char *relay_head_get(const relay_head *h, const char *name)
{
    relay_head_field f = { NULL, NULL };
    return next_of(h, &f, name);
}

bool relay_head_lists(const relay_head *h, const char *name,
                      const char *element)
{
    relay_head_field f = { NULL, NULL };
    const char *s;
    while ((s = next_of(h, &f, name))) {
        while (*s) {
            size_t n;
            s += strspn(s, ", \t");
            n = strcspn(s, ",");
            while (n > 0 && (s[n - 1] == ' ' || s[n - 1] == '\t'))
                n--;
            if (n > 0 && same(s, n, element))
                return true;
            s += n;
        }
    }
    return false;
}
