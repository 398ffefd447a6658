/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load_raw.c - a connection of rpch-load that is one TCP connection: raw, or
 * behind the head of an RPC_CONNECT or CONNECT request.
 */
#include <string.h>

#include "load_channel.h"

typedef struct raw {
    load_conn conn; /* first */
    load_channel *channel;
    rpch_cutter cutter;
    bool opened;
} raw;

static void raw_start(load_conn *c)
{
    raw *r = (raw *)c;
    load_via via = load_conn_options(c)->via;

    rpch_cutter_init(&r->cutter, true);
    r->channel = load_channel_open(c, via != LOAD_RAW,
                                   via == LOAD_V1 ? LOAD_REQUEST_V1
                                                  : LOAD_REQUEST_CONNECT,
                                   0, 0);
}

static void feed(raw *r, const uint8_t *p, size_t len)
{
    size_t used = 0;
    rpch_cut cut;

    while (used < len && !r->conn.failed) {
        if (rpch_cutter_next(&r->cutter, p + used, len - used, &cut)
            != RPCH_OK) {
            load_conn_fail(&r->conn, "protocol", r->cutter.reason);
            return;
        }
        used += cut.used;
        if (cut.kind == RPCH_CUT_RTS)
            load_conn_fail(&r->conn, "protocol", "an RTS PDU");
        else if (cut.kind == RPCH_CUT_RPC)
            load_conn_take(&r->conn, cut.data, cut.len, cut.first, cut.last);
    }
}

static void receive(raw *r)
{
    load_channel *ch = r->channel;
    int round;
    ssize_t n;

    for (round = 0; round < LOAD_ROUNDS && ch->sock.readable; round++) {
        n = load_channel_read(ch);
        if (r->conn.failed)
            return;
        if (n < 0)
            break;
        feed(r, load_buffer, (size_t)n);
        if (ch->status != 0 && rpcd_buf_len(&ch->held) > 0) {
            feed(r, rpcd_buf_data(&ch->held), rpcd_buf_len(&ch->held));
            rpcd_buf_free(&ch->held);
        }
    }
    if (round == LOAD_ROUNDS)
        load_conn_again(&r->conn);
    if (ch->sock.eof || ch->sock.broken)
        load_conn_fail(&r->conn, "closed",
                       ch->sock.eof ? "the peer closed"
                                    : load_channel_error(ch));
}

/* The next batch; false when there is nothing. */
static bool fill(raw *r)
{
    load_conn *c = &r->conn;
    load_batch *b = load_sock_batch(&r->channel->sock);
    uint32_t frag = (uint32_t)load_conn_options(c)->frag, size;

    if (b == NULL) {
        load_conn_fail(c, "resources", "no memory");
        return false;
    }
    if (!load_channel_ask(r->channel, b))
        return false;
    while ((size = load_sender_size(&c->sender, frag)) > 0
           && load_batch_has_room(b, size))
        load_batch_put(b, &c->sender, frag);
    if (b->left > 0)
        c->since = load_conn_loop(c)->now;
    return b->left > 0;
}

static void send_all(raw *r)
{
    load_sock *s = &r->channel->sock;
    int round;

    for (round = 0; round < LOAD_ROUNDS; round++)
        if (!load_sock_flush(s) || !fill(r)) {
            load_sock_flush(s); /* gives an empty batch back */
            return;
        }
    load_conn_again(&r->conn);
}

static void raw_work(load_conn *c)
{
    raw *r = (raw *)c;

    if (!load_channel_advance(r->channel))
        return;
    receive(r);
    if (!c->failed && !r->opened && r->channel->status != 0) {
        r->opened = true;
        load_conn_opened(c);
    }
    if (!c->failed)
        send_all(r);
}

static void raw_tick(load_conn *c)
{
}

static void raw_stop(load_conn *c)
{
    raw *r = (raw *)c;

    load_channel_close(r->channel);
    r->channel = NULL;
}

const load_kind load_raw_kind = {
    sizeof(raw), raw_start, raw_work, raw_tick, raw_stop, NULL
};
