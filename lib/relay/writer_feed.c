/* SPDX-License-Identifier: Apache-2.0 */
/* writer_feed.c - bytes that were read, through a half into its writer */
#include "relay/writer.h"

static int recv_step(relay_half *h, bool client, const uint8_t *p, size_t len,
                     rpch_step *step, rpch_msec now)
{
    return client ? relay_half_client_recv(h, p, len, step, now)
                  : relay_half_server_recv(h, p, len, step, now);
}

int relay_writer_feed(relay_writer *w, bool client, const uint8_t *p,
                      size_t len, size_t *taken, relay_feed_fn *note,
                      void *baton, rpch_msec now)
{
    int status = RPCH_OK;
    rpch_step step;
    *taken = 0;
    relay_writer_begin(w, p, len);
    while (*taken < len && status == RPCH_OK) {
        const uint8_t *at = p + *taken;
        if (!relay_half_rpc_next(w->half, client, at, len - *taken))
            (void)relay_writer_commit(w, now);
        status = recv_step(w->half, client, at, len - *taken, &step, now);
        if (status != RPCH_OK)
            break;
        if (step.pass && note)
            note(baton, &step);
        if (step.pass)
            (void)relay_writer_pass(w, &step, now);
        if (step.used == 0)
            break;
        *taken += step.used;
    }
    (void)relay_writer_end(w, now);
    return status;
}
