/* SPDX-License-Identifier: Apache-2.0 */
/* load_message.c - requests and responses of rpch-load as fragments */
#include "load_message.h"

#include <string.h>

#include "load_pattern.h"
#include "rpch/wire.h"

enum { FIRST_FRAG = 0x01, LAST_FRAG = 0x02 };

#define MAGIC 0x64616f6cu /* "load" */

static bool corrupts;
static uint64_t corrupt_at;
static uint8_t corrupted[LOAD_PATTERN_SPAN];

void load_message_corrupt(uint64_t offset)
{
    corrupts = true;
    corrupt_at = offset;
}

/* ---- out ------------------------------------------------------------------ */

void load_sender_start(load_sender *s, uint8_t ptype, uint32_t call_id,
                       const load_terms *terms)
{
    s->active = true;
    s->ptype = ptype;
    s->call_id = call_id;
    s->terms = *terms;
    s->at = 0;
}

/* Data bytes of the next fragment. Fragments but the last carry multiples of
 * 8 bytes of stub. */
static uint32_t piece(const load_sender *s, uint32_t frag)
{
    uint64_t left = s->terms.size - s->at;
    uint32_t room = (frag - LOAD_CALL_HEADER) & ~7u;

    if (s->at == 0)
        room -= LOAD_STUB_HEAD;
    return left < room ? (uint32_t)left : room;
}

uint32_t load_sender_size(const load_sender *s, uint32_t frag)
{
    if (!s->active)
        return 0;
    return LOAD_CALL_HEADER + (s->at == 0 ? LOAD_STUB_HEAD : 0)
         + piece(s, frag);
}

static const uint8_t *data_of(const load_sender *s, uint32_t len)
{
    const uint8_t *p = load_pattern(s->terms.seed,
                                    s->ptype == RPCH_PTYPE_RESPONSE, s->at);

    if (!corrupts || corrupt_at < s->at || corrupt_at - s->at >= len)
        return p;
    memcpy(corrupted, p, len);
    corrupted[corrupt_at - s->at] ^= 0x40;
    return corrupted;
}

void load_sender_next(load_sender *s, uint32_t frag, load_item *item)
{
    uint32_t size = load_sender_size(s, frag), n = piece(s, frag);
    uint64_t left = s->terms.size - s->at;
    rpch_writer w = { item->head, sizeof(item->head), 0, false };
    uint8_t flags = s->at == 0 ? FIRST_FRAG : 0;

    if (n == left)
        flags |= LAST_FRAG;
    rpch_put_le16(&w, 5);
    rpch_put_u8(&w, s->ptype);
    rpch_put_u8(&w, flags);
    rpch_put_le32(&w, 0x10); /* little-endian, ASCII, IEEE */
    rpch_put_le16(&w, (uint16_t)size);
    rpch_put_le16(&w, 0);
    rpch_put_le32(&w, s->call_id);
    left += s->at == 0 ? LOAD_STUB_HEAD : 0;
    rpch_put_le32(&w, left > UINT32_MAX ? UINT32_MAX : (uint32_t)left);
    rpch_put_le32(&w, 0); /* context 0, opnum 0 */
    if (s->at == 0) {
        rpch_put_le32(&w, MAGIC);
        rpch_put_le32(&w, s->terms.seed);
        rpch_put_le64(&w, s->terms.size);
        rpch_put_le64(&w, s->terms.other);
    }
    item->head_len = (uint32_t)w.pos;
    item->data_len = n;
    item->data = data_of(s, n);
    s->at += n;
    s->active = (flags & LAST_FRAG) == 0;
}

/* ---- in ------------------------------------------------------------------- */

static load_taken bad(load_receiver *r, const char *error)
{
    r->error = error;
    return LOAD_TAKEN_BAD;
}

static size_t head_size(const load_receiver *r)
{
    bool first = r->have > 3 && (r->head[3] & FIRST_FRAG);

    return LOAD_CALL_HEADER + (first ? LOAD_STUB_HEAD : 0);
}

/* The head of a fragment is complete. */
static load_taken take_head(load_receiver *r, uint8_t ptype)
{
    rpch_reader in = rpch_reader_of(r->head + LOAD_CALL_HEADER,
                                    LOAD_STUB_HEAD);
    uint32_t call_id = rpch_le32(r->head + 12);
    bool first = (r->head[3] & FIRST_FRAG) != 0;

    if (r->head[2] != ptype)
        return bad(r, r->head[2] == RPCH_PTYPE_FAULT
                      ? "a fault" : "a PDU of another type");
    if (first == r->open)
        return bad(r, "a first fragment in the middle, or none at first");
    if (!first)
        return call_id == r->call_id ? LOAD_TAKEN_PART
                                     : bad(r, "a fragment of another call");
    if (rpch_get_le32(&in) != MAGIC)
        return bad(r, "no message of this program");
    r->terms.seed = rpch_get_le32(&in);
    r->terms.size = rpch_get_le64(&in);
    r->terms.other = rpch_get_le64(&in);
    r->call_id = call_id;
    r->open = true;
    r->at = r->wrong = 0;
    return LOAD_TAKEN_PART;
}

static void compare(load_receiver *r, uint8_t ptype, const uint8_t *p,
                    size_t len)
{
    const uint8_t *right = load_pattern(r->terms.seed,
                                        ptype == RPCH_PTYPE_RESPONSE, r->at);
    size_t i;

    r->at += len;
    if (memcmp(p, right, len) == 0)
        return;
    for (i = 0; i < len; i++)
        r->wrong += p[i] != right[i];
}

/* Takes what the head of the fragment still lacks; returns how much of len. */
static size_t fill_head(load_receiver *r, const uint8_t *p, size_t len)
{
    size_t used = 0, n, need;

    while (used < len && (need = head_size(r)) > r->have) {
        /* the flags tell how long it is */
        n = (r->have < 4 ? 4 : need) - r->have;
        n = n < len - used ? n : len - used;
        memcpy(r->head + r->have, p + used, n);
        r->have = (uint8_t)(r->have + n);
        used += n;
    }
    return used;
}

load_taken load_receiver_feed(load_receiver *r, uint8_t ptype,
                              const uint8_t *p, size_t len, bool first,
                              bool last)
{
    size_t used = 0;

    if (first)
        r->have = 0;
    if (r->have < head_size(r)) {
        used = fill_head(r, p, len);
        if (r->have == head_size(r) && take_head(r, ptype) != LOAD_TAKEN_PART)
            return LOAD_TAKEN_BAD;
    }
    if (len - used > r->terms.size - r->at)
        return bad(r, "a message is longer than it says");
    if (used < len)
        compare(r, ptype, p + used, len - used);
    if (!last)
        return LOAD_TAKEN_PART;
    if (r->have < head_size(r))
        return bad(r, "a fragment without its header");
    if (!(r->head[3] & LAST_FRAG))
        return LOAD_TAKEN_PART;
    if (r->at != r->terms.size)
        return bad(r, "a message is shorter than it says");
    r->open = false;
    return LOAD_TAKEN_MESSAGE;
}
