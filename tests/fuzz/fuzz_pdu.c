/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_pdu.c - the cutter of PDU streams: the same stream gives the same PDUs
 * however it is cut, and they are those that their headers announce.
 *
 * Input: a byte of options, a byte that seeds the cuts, the stream.
 */
#include "fuzz.h"
#include "rpch/pdu.h"

const char fuzz_target[] = "pdu";

#define BANNER_SIZE 14u

/* What was seen of a stream. */
typedef struct seen {
    uint64_t hash;
    size_t bytes;    /* of banner and whole or partial PDUs */
    size_t pdus;
    int status;
    bool boundary;
} seen;

static void note_header(seen *s, const rpch_pdu *p)
{
    s->hash = fuzz_hash(s->hash, &p->ptype, 1);
    s->hash = fuzz_hash(s->hash, &p->flags, 1);
    s->hash = fuzz_hash(s->hash, &p->frag_len, sizeof(p->frag_len));
    s->hash = fuzz_hash(s->hash, &p->auth_len, sizeof(p->auth_len));
    s->hash = fuzz_hash(s->hash, &p->call_id, sizeof(p->call_id));
}

/* Checks one report and adds it; *left is what its RPC PDU still lacks. */
static void note(seen *s, const rpch_cut *cut, uint32_t *left)
{
    if (cut->kind == RPCH_CUT_RTS) {
        fuzz_check(*left == 0 && cut->pdu.ptype == RPCH_PTYPE_RTS);
        fuzz_check(cut->len == cut->pdu.frag_len);
        fuzz_check(cut->len >= 20 && cut->len <= RPCH_RTS_SIZE_MAX);
    }
    if (cut->kind == RPCH_CUT_RPC) {
        fuzz_check(cut->len > 0 && cut->pdu.ptype != RPCH_PTYPE_RTS);
        fuzz_check(cut->first == (*left == 0));
        if (cut->first)
            *left = cut->pdu.frag_len;
        fuzz_check(cut->len <= *left);
        /* The first slice holds the whole header. */
        fuzz_check(!cut->first || cut->len >= RPCH_PDU_HEADER_SIZE);
        *left -= (uint32_t)cut->len;
        fuzz_check(cut->last == (*left == 0));
    }
    if (cut->kind == RPCH_CUT_RTS || cut->first) {
        note_header(s, &cut->pdu);
        s->pdus++;
    }
    s->hash = fuzz_hash(s->hash, cut->data, cut->len);
    s->bytes += cut->len;
}

/* Feeds the stream in cuts of seed (0: whole). */
static seen feed(const uint8_t *p, size_t size, bool banner_ok, uint32_t seed)
{
    seen s = { UINT64_C(0xcbf29ce484222325), 0, 0, RPCH_OK, false };
    uint32_t rnd = seed, left = 0;
    size_t at = 0, n, used;
    rpch_cutter c;
    rpch_cut cut;

    rpch_cutter_init(&c, banner_ok);
    while (at < size && s.status == RPCH_OK) {
        rnd = rnd * 1664525u + 1013904223u;
        n = seed == 0 ? size - at : 1 + (rnd >> 16) % (seed & 1 ? 5 : 300);
        n = n < size - at ? n : size - at;
        for (used = 0; ; used += cut.used) {
            uint8_t *own = fuzz_copy(p + at + used, n - used);

            s.status = rpch_cutter_next(&c, own, n - used, &cut);
            fuzz_check(cut.used <= n - used);
            if (s.status == RPCH_OK && cut.kind == RPCH_CUT_BANNER)
                s.bytes += BANNER_SIZE;
            else if (s.status == RPCH_OK && cut.kind != RPCH_CUT_NONE)
                note(&s, &cut, &left);
            free(own);
            if (s.status != RPCH_OK || cut.kind == RPCH_CUT_NONE)
                break;
        }
        fuzz_check(s.status != RPCH_OK || used + cut.used == n);
        at += n;
    }
    s.boundary = rpch_cutter_at_boundary(&c);
    if (s.status != RPCH_OK) {
        fuzz_check(s.status == c.status && c.reason != NULL);
        fuzz_check(rpch_cutter_next(&c, p, size, &cut) == s.status);
        return s;
    }
    fuzz_check(s.boundary == (left == 0 && c.have == 0));
    fuzz_check(s.bytes + c.have == size);
    return s;
}

/* The PDUs again, by their headers alone. */
static void compare(const uint8_t *p, size_t size, bool banner_ok,
                    const seen *s)
{
    const char *reason = NULL;
    size_t at = 0, pdus = 0;
    rpch_pdu pdu;

    if (banner_ok && size >= BANNER_SIZE
        && memcmp(p, "ncacn_http/1.0", BANNER_SIZE) == 0)
        at = BANNER_SIZE;
    while (at < size) {
        int rc = rpch_pdu_parse(p + at, size - at, &pdu, &reason);

        if (rc != RPCH_OK) {
            /* A wrong header may be seen before all of it is there. */
            fuzz_check(rc == RPCH_AGAIN
                       || (s->status != RPCH_OK && reason != NULL));
            break;
        }
        fuzz_check(pdu.frag_len >= RPCH_PDU_HEADER_SIZE);
        if (pdu.ptype == RPCH_PTYPE_RTS
            && (pdu.frag_len > RPCH_RTS_SIZE_MAX || pdu.frag_len < 20)) {
            fuzz_check(s->status == RPCH_E_SYNTAX);
            break;
        }
        if (pdu.ptype == RPCH_PTYPE_RTS && pdu.frag_len > size - at)
            break;
        at += pdu.frag_len;
        pdus++;
    }
    fuzz_check(pdus == s->pdus);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    seen whole, cuts;
    bool banner_ok;

    if (size < 2)
        return 0;
    banner_ok = data[0] & 1;
    whole = feed(data + 2, size - 2, banner_ok, 0);
    cuts = feed(data + 2, size - 2, banner_ok, 1u + data[1]);
    fuzz_check(whole.status == cuts.status && whole.pdus == cuts.pdus);
    fuzz_check(whole.boundary == cuts.boundary);
    fuzz_check(whole.status != RPCH_OK || whole.bytes == cuts.bytes);
    fuzz_check(whole.status != RPCH_OK || whole.hash == cuts.hash);
    compare(data + 2, size - 2, banner_ok, &whole);
    return 0;
}
