/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_head.c - the head of a response and a chunked body: the same stream
 * gives the same head and data however it is cut, and what was read can be
 * written and read again.
 *
 * Input: a byte of options (1: no head, the stream is a chunked body; 2: the
 * method was HEAD), a byte that seeds the cuts, the stream.
 */
#include "fuzz.h"
#include "relay/chunks.h"
#include "relay/head.h"

const char fuzz_target[] = "head";

#define NO_HEAD 1
#define METHOD_HEAD 2

/* The stream and how it is cut. */
typedef struct cuts {
    const uint8_t *p;
    size_t size;
    size_t at;
    uint32_t seed; /* 0: whole */
    uint32_t rnd;
} cuts;

/* What was read of a body. */
typedef struct body {
    relay_chunks_state state;
    const char *error;
    uint64_t hash; /* of the data */
    uint64_t size;
    size_t end;    /* where the body ended in the stream */
} body;

/* The next piece of the stream, a copy of exactly its size; *n bytes, at
 * least one. NULL at the end. The caller frees it. */
static uint8_t *next(cuts *c, size_t *n)
{
    size_t left = c->size - c->at;

    if (left == 0)
        return NULL;
    c->rnd = c->rnd * 1664525u + 1013904223u;
    *n = c->seed == 0 ? left : 1 + (c->rnd >> 16) % (c->seed & 1 ? 5 : 300);
    *n = *n < left ? *n : left;
    return fuzz_copy(c->p + c->at, *n);
}

/* Reads a head from the stream and leaves c behind it. */
static void read_head(relay_head *h, cuts *c)
{
    size_t n, used;
    uint8_t *own;

    relay_head_init(h);
    while (h->state == RELAY_HEAD_MORE && (own = next(c, &n)) != NULL) {
        fuzz_check(relay_head_feed(h, own, n, &used) == h->state);
        fuzz_check(used <= n);
        fuzz_check(h->state != RELAY_HEAD_MORE || used == n);
        c->at += used;
        free(own);
    }
    fuzz_check(h->state != RELAY_HEAD_NO_MEMORY);
    fuzz_check((h->state == RELAY_HEAD_BAD) == (h->error != NULL));
    fuzz_check(h->size <= RELAY_HEAD_SIZE_MAX);
    fuzz_check(h->room <= RELAY_HEAD_SIZE_MAX);
}

/* What a value may hold. */
static void check_text(const char *s)
{
    size_t n = strlen(s), i;

    for (i = 0; i < n; i++)
        fuzz_check(s[i] == '\t' || ((uint8_t)s[i] >= ' ' && s[i] != 0x7f));
    fuzz_check(n == 0 || (s[0] != ' ' && s[0] != '\t'));
    fuzz_check(n == 0 || (s[n - 1] != ' ' && s[n - 1] != '\t'));
}

/* Two heads are the same. */
static void same_head(const relay_head *a, const relay_head *b)
{
    relay_head_field f = { NULL, NULL }, g = { NULL, NULL };

    fuzz_check(a->state == b->state && a->error == b->error);
    if (a->state != RELAY_HEAD_DONE)
        return;
    fuzz_check(a->status == b->status && a->minor == b->minor);
    fuzz_check(strcmp(a->reason, b->reason) == 0);
    fuzz_check(a->fields == b->fields && a->length == b->length);
    fuzz_check(a->chunked == b->chunked && a->coded == b->coded);
    fuzz_check(a->keeps == b->keeps);
    while (relay_head_next(a, &f)) {
        fuzz_check(relay_head_next(b, &g));
        fuzz_check(strcmp(f.name, g.name) == 0);
        fuzz_check(strcmp(f.value, g.value) == 0);
    }
    fuzz_check(!relay_head_next(b, &g));
}

/* Writes a head that is DONE again, and reads that. */
static void write_again(const relay_head *h)
{
    relay_head_field f = { NULL, NULL };
    size_t room = h->size + 3 * h->fields + 16, n;
    char *text = malloc(room);
    unsigned fields = 0;
    relay_head again;
    cuts c = { NULL, 0, 0, 0, 0 };

    fuzz_check(text != NULL);
    fuzz_check(h->status >= 100 && h->status <= 599);
    fuzz_check(h->minor == 0 || h->minor == 1);
    check_text(h->reason);
    n = (size_t)snprintf(text, room, "HTTP/1.%d %d %s\r\n", h->minor,
                         h->status, h->reason);
    while (relay_head_next(h, &f)) {
        fuzz_check(f.name[0] && !strpbrk(f.name, " \t:,;\"()"));
        check_text(f.value);
        fuzz_check(relay_head_get(h, f.name) != NULL);
        n += (size_t)snprintf(text + n, room - n, "%s:%s\r\n", f.name,
                              f.value);
        fuzz_check(n < room);
        fields++;
    }
    fuzz_check(fields == h->fields && fields <= RELAY_HEAD_FIELDS_MAX);
    n += (size_t)snprintf(text + n, room - n, "\r\n");
    fuzz_check(n < room);
    if (n <= RELAY_HEAD_SIZE_MAX) {
        c.p = (const uint8_t *)text;
        c.size = n;
        read_head(&again, &c);
        fuzz_check(again.state == RELAY_HEAD_DONE && c.at == n);
        same_head(h, &again);
        relay_head_clear(&again);
    }
    free(text);
}

/* Reads a chunked body from the stream and leaves c behind it. */
static body read_body(cuts *c)
{
    body b = { RELAY_CHUNKS_MORE, NULL, UINT64_C(0xcbf29ce484222325), 0, 0 };
    relay_chunks chunks;
    size_t n, used, len;
    const uint8_t *data;
    uint8_t *own;

    relay_chunks_init(&chunks);
    while (b.state == RELAY_CHUNKS_MORE && (own = next(c, &n)) != NULL) {
        b.state = relay_chunks_feed(&chunks, own, n, &used, &data, &len);
        fuzz_check(used <= n);
        if (len > 0) {
            fuzz_check(b.state == RELAY_CHUNKS_MORE);
            fuzz_check(data >= own && data + len == own + used);
            b.hash = fuzz_hash(b.hash, data, len);
            b.size += len;
        } else if (b.state == RELAY_CHUNKS_MORE) {
            fuzz_check(used == n);
        }
        fuzz_check(chunks.left <= RELAY_CHUNK_SIZE_MAX);
        c->at += used;
        free(own);
    }
    b.error = chunks.error;
    b.end = c->at;
    fuzz_check((b.state == RELAY_CHUNKS_BAD) == (b.error != NULL));
    return b;
}

/* Codes the stream as chunks, in sizes of c's cuts, and decodes that. */
static void code_again(cuts c)
{
    uint8_t *coded = malloc(c.size * (RELAY_CHUNK_LINE_MAX + 3) + 5), *own;
    uint64_t hash = fuzz_hash(UINT64_C(0xcbf29ce484222325), c.p, c.size);
    char line[RELAY_CHUNK_LINE_MAX];
    size_t n, at = 0, len;
    cuts all = { NULL, 0, 0, c.seed, 1 };
    body b;

    fuzz_check(coded != NULL);
    while ((own = next(&c, &n)) != NULL) {
        len = relay_chunk_line(line, n);
        fuzz_check(len >= 3 && len <= sizeof(line));
        memcpy(coded + at, line, len);
        memcpy(coded + at + len, own, n);
        memcpy(coded + at + len + n, RELAY_CHUNK_END, 2);
        at += len + n + 2;
        c.at += n;
        free(own);
    }
    memcpy(coded + at, RELAY_CHUNKS_END, 5);
    all.p = coded;
    all.size = at + 5;
    b = read_body(&all);
    fuzz_check(b.state == RELAY_CHUNKS_DONE && b.end == all.size);
    fuzz_check(b.size == c.size && b.hash == hash);
    free(coded);
}

static void check_body(cuts *whole, cuts *pieces)
{
    body a = read_body(whole), b = read_body(pieces);

    fuzz_check(a.state == b.state && a.error == b.error);
    fuzz_check(a.size == b.size && a.hash == b.hash);
    fuzz_check(a.state == RELAY_CHUNKS_BAD || a.end == b.end);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    cuts whole = { NULL, 0, 0, 0, 0 }, pieces;
    relay_head a, b;
    relay_body kind;

    if (size < 2)
        return 0;
    whole.p = data + 2;
    whole.size = size - 2;
    pieces = whole;
    pieces.seed = pieces.rnd = 1u + data[1];
    if (data[0] & NO_HEAD) {
        code_again(pieces);
        check_body(&whole, &pieces);
        return 0;
    }
    read_head(&a, &whole);
    read_head(&b, &pieces);
    same_head(&a, &b);
    if (a.state == RELAY_HEAD_DONE) {
        fuzz_check(whole.at == pieces.at && whole.at == a.size);
        write_again(&a);
        kind = relay_head_body(&a, data[0] & METHOD_HEAD);
        fuzz_check(kind == relay_head_body(&b, data[0] & METHOD_HEAD));
        fuzz_check(kind != RELAY_BODY_LENGTH || a.length >= 0);
        if (kind == RELAY_BODY_CHUNKED)
            check_body(&whole, &pieces);
    }
    relay_head_clear(&a);
    relay_head_clear(&b);
    return 0;
}
