/* SPDX-License-Identifier: Apache-2.0 */
/* load_callee.c - what answers the calls of one connection */
#include "load_server.h"

#include <string.h>

static bool fail(load_callee *k, const char *why)
{
    k->failed = true;
    load_errors_add(&k->server->errors, "protocol", why);
    return false;
}

/* A request is complete: its answer waits its turn. */
static bool take_request(load_callee *k)
{
    const load_receiver *r = &k->receiver;
    load_server *s = k->server;
    load_terms *terms;

    s->calls++;
    s->bytes_in += r->terms.size;
    if (r->wrong > 0)
        load_errors_add(&s->errors, "corrupt", "wrong bytes in a request");
    s->wrong += r->wrong;
    if (k->n_waiting == LOAD_ANSWERS_MAX)
        return fail(k, "too many calls at once");
    terms = &k->waiting[k->n_waiting].terms;
    terms->seed = r->terms.seed;
    terms->size = r->terms.other;
    terms->other = r->terms.size - r->wrong;
    k->waiting[k->n_waiting++].call_id = r->call_id;
    return true;
}

bool load_callee_take(load_callee *k, const uint8_t *p, size_t len,
                      bool first, bool last)
{
    load_taken taken;

    if (k->failed)
        return false;
    taken = load_receiver_feed(&k->receiver, RPCH_PTYPE_REQUEST, p, len,
                               first, last);
    if (taken == LOAD_TAKEN_BAD)
        return fail(k, k->receiver.error);
    return taken == LOAD_TAKEN_PART || take_request(k);
}

uint32_t load_callee_size(load_callee *k)
{
    if (!k->sender.active && k->n_waiting > 0) {
        load_sender_start(&k->sender, RPCH_PTYPE_RESPONSE,
                          k->waiting[0].call_id, &k->waiting[0].terms);
        k->server->bytes_out += k->waiting[0].terms.size;
        k->n_waiting--;
        memmove(&k->waiting[0], &k->waiting[1],
                k->n_waiting * sizeof(k->waiting[0]));
    }
    return load_sender_size(&k->sender, (uint32_t)k->server->o->frag);
}

void load_callee_put(load_callee *k, load_batch *b)
{
    load_batch_put(b, &k->sender, (uint32_t)k->server->o->frag);
}
