/* SPDX-License-Identifier: Apache-2.0 */
/*
 * call.c - calls and their answers, counted.
 *
 * A request is counted at its first fragment: a server may answer it with a
 * fault before the last one. PTYPE and pfc_flags are single bytes, the same in
 * both byte orders.
 */
#include "relay/call.h"

#include "rpch/pdu.h"

#define PTYPE_AT 2
#define FLAGS_AT 3

/* pfc_flags, C706 12.6.3.1 */
#define PFC_FIRST_FRAG 0x01
#define PFC_LAST_FRAG 0x02
#define PFC_MAYBE 0x40

bool relay_call_begins(const uint8_t *header)
{
    uint8_t flags = header[FLAGS_AT];
    switch (header[PTYPE_AT]) {
    case RPCH_PTYPE_REQUEST:
        return (flags & PFC_FIRST_FRAG) && !(flags & PFC_MAYBE);
    case RPCH_PTYPE_BIND:
    case RPCH_PTYPE_ALTER_CONTEXT:
        return (flags & PFC_FIRST_FRAG) != 0;
    default:
        return false;
    }
}

bool relay_call_ends(const uint8_t *header)
{
    switch (header[PTYPE_AT]) {
    case RPCH_PTYPE_RESPONSE:
    case RPCH_PTYPE_FAULT:
    case RPCH_PTYPE_BIND_ACK:
    case RPCH_PTYPE_BIND_NAK:
    case RPCH_PTYPE_ALTER_CONTEXT_RESP:
        return (header[FLAGS_AT] & PFC_LAST_FRAG) != 0;
    default:
        return false;
    }
}

static bool is_ahead(uint32_t a, uint32_t b)
{
    return (int32_t)(a - b) > 0;
}

void relay_calls_reset(relay_calls *c)
{
    __atomic_store_n(&c->asked, 0, __ATOMIC_RELAXED);
    __atomic_store_n(&c->answered, 0, __ATOMIC_RELEASE);
}

void relay_calls_begin(relay_calls *c)
{
    uint32_t asked = __atomic_load_n(&c->asked, __ATOMIC_RELAXED);
    uint32_t answered, next;
    do {
        answered = __atomic_load_n(&c->answered, __ATOMIC_ACQUIRE);
        next = (is_ahead(answered, asked) ? answered : asked) + 1;
    } while (!__atomic_compare_exchange_n(&c->asked, &asked, next, true,
                                          __ATOMIC_ACQ_REL,
                                          __ATOMIC_RELAXED));
}

void relay_calls_end(relay_calls *c, uint32_t n)
{
    __atomic_add_fetch(&c->answered, n, __ATOMIC_ACQ_REL);
}

/* The answers first: one more call between the two loads is seen. */
bool relay_calls_wait(const relay_calls *c)
{
    uint32_t answered = __atomic_load_n(&c->answered, __ATOMIC_ACQUIRE);
    return is_ahead(__atomic_load_n(&c->asked, __ATOMIC_ACQUIRE), answered);
}
