/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load_single.c - an association of rpch-load's server on one TCP connection:
 * a raw client, or version 1.
 */
#include <stdlib.h>

#include "load_server.h"

typedef struct single {
    load_callee callee;
    rpch_cutter cutter;
} single;

static void feed(single *s, const uint8_t *p, size_t len)
{
    size_t used = 0;
    rpch_cut cut;

    while (used < len && !s->callee.failed) {
        if (rpch_cutter_next(&s->cutter, p + used, len - used, &cut)
            != RPCH_OK || cut.kind == RPCH_CUT_RTS) {
            load_errors_add(&s->callee.server->errors, "protocol",
                            "no RPC PDU on a raw connection");
            s->callee.failed = true;
            return;
        }
        used += cut.used;
        if (cut.kind == RPCH_CUT_RPC)
            load_callee_take(&s->callee, cut.data, cut.len, cut.first,
                             cut.last);
    }
}

/* The next batch; false when there is nothing. */
static bool fill(load_peer *p)
{
    single *s = p->owner;
    load_batch *b = load_sock_batch(&p->sock);
    uint32_t size;

    while (b != NULL && (size = load_callee_size(&s->callee)) > 0
           && load_batch_has_room(b, size))
        load_callee_put(&s->callee, b);
    return b != NULL && b->left > 0;
}

/* False when the connection is over. */
static bool receive(load_peer *p)
{
    single *s = p->owner;
    int round;
    ssize_t n;

    for (round = 0; round < LOAD_SERVER_ROUNDS; round++) {
        n = load_peer_read(p);
        if (n < 0)
            return false;
        feed(s, load_server_buffer, (size_t)n);
        if (s->callee.failed)
            return false;
        if (!p->sock.readable)
            return true;
    }
    load_peer_again(p);
    return true;
}

static void single_settle(load_peer *p)
{
    bool open = receive(p);
    int round;

    for (round = 0; open && round < LOAD_SERVER_ROUNDS; round++)
        if (!load_sock_flush(&p->sock) || !fill(p)) {
            load_sock_flush(&p->sock);
            return;
        }
    if (open) {
        load_peer_again(p);
        return;
    }
    load_server_count(p->server, false);
    free(p->owner);
    load_peer_finish(p);
}

static void single_tick(load_peer *p)
{
}

static const load_role single_role = { single_settle, single_tick };

void load_single_join(load_peer *p)
{
    single *s = calloc(1, sizeof(*s));

    if (s == NULL) {
        load_peer_finish(p);
        return;
    }
    s->callee.server = p->server;
    rpch_cutter_init(&s->cutter, false);
    load_server_count(p->server, true);
    p->owner = s;
    p->role = &single_role;
    feed(s, rpcd_buf_data(&p->held), rpcd_buf_len(&p->held));
    rpcd_buf_free(&p->held);
    load_peer_again(p);
}
