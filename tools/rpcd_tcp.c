/* SPDX-License-Identifier: Apache-2.0 */
/* rpcd_tcp.c - ncacn_ip_tcp: a connection is an association */
#include "rpcd_conn.h"

#include <stdlib.h>

#include "rpcd_rpc.h"

static size_t tcp_input(rpcd_conn *c, const uint8_t *p, size_t len)
{
    rpcd_rpc_feed(c->owner, p, len);
    return len;
}

/* Back-pressure: whoever does not take the answer is not listened to. */
static bool tcp_wants_input(const rpcd_conn *c)
{
    const rpcd_assoc *a = c->owner;

    return !a->ending && !a->answer.pending && rpcd_buf_len(&c->rest) == 0;
}

static size_t tcp_output(rpcd_conn *c, uint8_t *out, size_t room)
{
    rpcd_assoc *a = c->owner;
    size_t n = 0;
    uint32_t size;

    for (;;) {
        size = rpcd_rpc_pending(a);
        if (size == 0 || size > room - n)
            return n;
        rpcd_rpc_write(a, out + n);
        n += size;
    }
}

static void tcp_settle(rpcd_conn *c)
{
    rpcd_assoc *a = c->owner;
    bool over;

    rpcd_conn_move(c);
    over = rpcd_rpc_is_over(a) || (c->eof && rpcd_rpc_pending(a) == 0);
    if (!over)
        rpcd_conn_watch(c);
    if (over || c->gone) {
        rpcd_rpc_free(a);
        free(a);
        rpcd_conn_finish(c);
    }
}

static const rpcd_conn_ops tcp_ops = {
    tcp_input, tcp_wants_input, tcp_output, tcp_settle
};

bool rpcd_tcp_accept(rpcd_conn *c)
{
    rpcd_assoc *a = malloc(sizeof(*a));

    if (a == NULL)
        return false;
    rpcd_rpc_init(a, c->loop->config->max_call, c->port);
    c->owner = a;
    c->ops = &tcp_ops;
    return true;
}
