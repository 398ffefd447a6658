/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_observer.c - the watcher of a stream: it sees the same however the
 * stream is cut, and that is what the headers of the PDUs say.
 *
 * Input: a byte that seeds the cuts, the stream.
 */
#include "fuzz.h"
#include "rpch/observer.h"

const char fuzz_target[] = "observer";

/* Checks what holds at any time. */
static void check(const rpch_observer *o)
{
    fuzz_check(o->pdus == o->rpc + o->rts);
    fuzz_check(o->requests + o->answers <= o->rpc);
    fuzz_check(o->unknown_rts <= o->rts);
    fuzz_check(o->first <= RPCH_PDU_ID_MAX);
    fuzz_check(o->first == RPCH_PDU_ID_MAX || o->rts > o->unknown_rts);
    fuzz_check(!rpch_observer_vc(o) || o->rts > o->unknown_rts);
    /* Only CONN/B1 and B2 have a group, and both name the connection. */
    fuzz_check(!rpch_observer_group(o) || rpch_observer_vc(o));
    fuzz_check(!o->error || !rpch_observer_at_boundary(o));
    fuzz_check(o->bytes >= o->pdus * RPCH_PDU_HEADER_SIZE);
}

/* Feeds the stream in cuts of seed (0: whole). What is known stays. */
static void feed(rpch_observer *o, const uint8_t *p, size_t size,
                 uint32_t seed)
{
    uint32_t rnd = seed;
    size_t at = 0, n;

    rpch_observer_init(o);
    check(o);
    while (at < size) {
        bool had = rpch_observer_vc(o) != NULL;
        rpch_cookie vc = o->vc;
        const char *error = o->error;
        uint64_t pdus = o->pdus;
        uint8_t *own;

        rnd = rnd * 1664525u + 1013904223u;
        n = seed == 0 ? size - at : 1 + (rnd >> 16) % (seed & 1 ? 5 : 300);
        n = n < size - at ? n : size - at;
        own = fuzz_copy(p + at, n);
        rpch_observer_feed(o, own, n);
        free(own);
        check(o);
        fuzz_check(!had || (rpch_observer_vc(o) != NULL
                            && rpch_cookie_equal(&vc, &o->vc)));
        fuzz_check(!error || (o->error == error && o->pdus == pdus));
        fuzz_check(o->pdus >= pdus);
        at += n;
        fuzz_check(o->bytes == at);
    }
}

static void same_cookie(const rpch_cookie *a, const rpch_cookie *b)
{
    fuzz_check((a != NULL) == (b != NULL));
    fuzz_check(a == NULL || rpch_cookie_equal(a, b));
}

static void same(const rpch_observer *a, const rpch_observer *b)
{
    fuzz_check(a->bytes == b->bytes && a->pdus == b->pdus);
    fuzz_check(a->rpc == b->rpc && a->rts == b->rts);
    fuzz_check(a->unknown_rts == b->unknown_rts);
    fuzz_check(a->requests == b->requests && a->answers == b->answers);
    fuzz_check(a->first == b->first && a->error == b->error);
    same_cookie(rpch_observer_vc(a), rpch_observer_vc(b));
    same_cookie(rpch_observer_group(a), rpch_observer_group(b));
    fuzz_check(rpch_observer_at_boundary(a) == rpch_observer_at_boundary(b));
}

/* The stream again, by the headers of its PDUs alone. */
static void compare(const uint8_t *p, size_t size, const rpch_observer *o)
{
    uint64_t pdus = 0, rts = 0, requests = 0;
    const char *reason = NULL;
    bool bad = false;
    size_t at = 0;
    rpch_pdu pdu;

    while (!bad && size - at >= RPCH_PDU_HEADER_SIZE) {
        bool is_rts;

        bad = rpch_pdu_parse(p + at, size - at, &pdu, &reason) != RPCH_OK;
        if (bad)
            break;
        is_rts = pdu.ptype == RPCH_PTYPE_RTS;
        bad = is_rts ? pdu.frag_len < 20 || pdu.frag_len > RPCH_RTS_SIZE_MAX
                     : pdus == 0;
        if (bad || pdu.frag_len > size - at)
            break;
        at += pdu.frag_len;
        pdus++;
        rts += is_rts;
        requests += pdu.ptype == RPCH_PTYPE_REQUEST;
    }
    fuzz_check(bad == (o->error != NULL));
    fuzz_check(pdus == o->pdus && rts == o->rts && requests == o->requests);
    fuzz_check(rpch_observer_at_boundary(o) == (!bad && at == size));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    rpch_observer whole, pieces;

    if (size < 1)
        return 0;
    feed(&whole, data + 1, size - 1, 0);
    feed(&pieces, data + 1, size - 1, 1u + data[0]);
    same(&whole, &pieces);
    compare(data + 1, size - 1, &whole);
    return 0;
}
