/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chunks.c - the coding is read byte by byte but for the data. A line that
 * ends in LF alone is refused: two readers of one stream that differ in that
 * would not agree on where its bodies end.
 */
#include "relay/chunks.h"

#include <string.h>

#define WIDTH_MAX 32

/* Where a byte of the coding stands; data has none. */
enum {
    IN_SIZE,      /* among the digits, or before the first one */
    IN_PADDING,   /* after them: some senders fill up with spaces */
    IN_EXTENSION, /* after ';' */
    SIZE_LF,      /* after the CR of that line */
    IN_DATA,
    DATA_CR,      /* all of it has come */
    DATA_LF,
    AT_TRAILER,   /* at the begin of a line */
    IN_TRAILER,
    TRAILER_LF,
    END_LF        /* after the CR of the last, empty line */
};

static const char no_number[] = "a chunk size is no hexadecimal number";
static const char no_crlf[] = "a line of the chunked coding does not end in"
                              " CRLF";

void relay_chunks_init(relay_chunks *c)
{
    memset(c, 0, sizeof(*c));
    c->state = RELAY_CHUNKS_MORE;
    c->place = IN_SIZE;
}

static void fail(relay_chunks *c, const char *error)
{
    c->state = RELAY_CHUNKS_BAD;
    c->error = error;
}

/* The value of a hexadecimal digit, or -1. */
static int digit(uint8_t b)
{
    if (b >= '0' && b <= '9')
        return b - '0';
    if (b >= 'a' && b <= 'f')
        return b - 'a' + 10;
    if (b >= 'A' && b <= 'F')
        return b - 'A' + 10;
    return -1;
}

/* Goes to place when b is what must stand here. */
static void expect(relay_chunks *c, uint8_t b, uint8_t wanted, int place,
                   const char *error)
{
    if (b == wanted)
        c->place = place;
    else
        fail(c, error);
}

/* One more byte that is read over; what names it. */
static void read_over(relay_chunks *c, uint8_t b, unsigned *count,
                      unsigned max, const char *error)
{
    if (b == '\n')
        fail(c, no_crlf);
    else if (++*count > max)
        fail(c, error);
}

static void in_extension(relay_chunks *c, uint8_t b)
{
    c->place = IN_EXTENSION;
    if (b == '\r')
        c->place = SIZE_LF;
    else
        read_over(c, b, &c->extensions, RELAY_CHUNKS_EXTENSIONS_MAX,
                  "more than 8192 bytes of chunk extensions");
}

static void in_trailer(relay_chunks *c, uint8_t b)
{
    c->place = IN_TRAILER;
    if (b == '\r')
        c->place = TRAILER_LF;
    else
        read_over(c, b, &c->trailers, RELAY_CHUNKS_TRAILERS_MAX,
                  "more than 8192 bytes of trailers");
}

/* A byte of the line with the size, before any extension. */
static void in_size(relay_chunks *c, uint8_t b)
{
    int value = digit(b);
    if (c->width == 0 && value < 0) {
        fail(c, no_number);
    } else if (b == '\r') {
        c->place = SIZE_LF;
    } else if (b == ';') {
        in_extension(c, b);
    } else if (b == '\n') {
        fail(c, no_crlf);
    } else if (b == ' ' || b == '\t') {
        c->place = IN_PADDING;
    } else if (value < 0 || c->place == IN_PADDING) {
        fail(c, no_number);
    } else if (c->left > (RELAY_CHUNK_SIZE_MAX - (unsigned)value) / 16) {
        fail(c, "a chunk size is above 2^62");
    } else {
        c->left = c->left * 16 + (unsigned)value;
    }
    if (c->state == RELAY_CHUNKS_MORE && c->place <= IN_PADDING
        && ++c->width > WIDTH_MAX)
        fail(c, "a chunk size has more than 32 characters");
}

/* One byte that is no data. */
static void step(relay_chunks *c, uint8_t b)
{
    switch (c->place) {
    case IN_SIZE:
    case IN_PADDING:
        in_size(c, b);
        break;
    case IN_EXTENSION:
        in_extension(c, b);
        break;
    case SIZE_LF:
        expect(c, b, '\n', c->left > 0 ? IN_DATA : AT_TRAILER, no_crlf);
        c->width = 0;
        break;
    case DATA_CR:
        expect(c, b, '\r', DATA_LF, "a chunk is longer than its size");
        break;
    case DATA_LF:
        expect(c, b, '\n', IN_SIZE, no_crlf);
        break;
    case AT_TRAILER:
        if (b == '\r')
            c->place = END_LF;
        else
            in_trailer(c, b);
        break;
    case IN_TRAILER:
        in_trailer(c, b);
        break;
    case TRAILER_LF:
        expect(c, b, '\n', AT_TRAILER, no_crlf);
        break;
    case END_LF:
        expect(c, b, '\n', END_LF, no_crlf);
        if (c->state == RELAY_CHUNKS_MORE)
            c->state = RELAY_CHUNKS_DONE;
        break;
    }
}

relay_chunks_state relay_chunks_feed(relay_chunks *c, const void *in,
                                     size_t len, size_t *used,
                                     const uint8_t **data, size_t *data_len)
{
    const uint8_t *p = in;
    *used = 0;
    *data = NULL;
    *data_len = 0;
    while (c->state == RELAY_CHUNKS_MORE && c->place != IN_DATA
           && *used < len)
        step(c, p[(*used)++]);
    if (c->state == RELAY_CHUNKS_MORE && c->place == IN_DATA && *used < len) {
        *data = p + *used;
        *data_len = len - *used;
        if (*data_len > c->left)
            *data_len = (size_t)c->left;
        *used += *data_len;
        c->left -= *data_len;
        if (c->left == 0)
            c->place = DATA_CR;
    }
    return c->state;
}

size_t relay_chunk_line(char out[RELAY_CHUNK_LINE_MAX], size_t len)
{
    static const char digits[] = "0123456789abcdef";
    const uint64_t size = len;
    size_t n = 1, i;
    while (n < RELAY_CHUNK_LINE_MAX - 2 && size >> 4 * n)
        n++;
    for (i = 0; i < n; i++)
        out[i] = digits[size >> 4 * (n - 1 - i) & 15];
    out[n] = '\r';
    out[n + 1] = '\n';
    return n + 2;
}
