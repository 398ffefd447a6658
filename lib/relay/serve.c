/* SPDX-License-Identifier: Apache-2.0 */
/*
 * serve.c - the request-thread loop: one channel, one poll, one worker. The
 * channel's code does not know it; a reactor can drive the same steps.
 */
#include "relay/channel.h"
#include "relay/clock.h"

static void run(relay_channel *ch)
{
    struct pollfd fds[RELAY_FD_MAX];
    short revents[RELAY_FD_MAX] = { 0 };
    rpch_msec now = relay_now(), at;
    int i, n;
    for (;;) {
        relay_channel_step(ch, revents, now);
        if (ch->finished)
            return;
        at = relay_channel_interest(ch, fds, now);
        n = poll(fds, RELAY_FD_MAX,
                 relay_poll_timeout(at, relay_now(), RELAY_POLL_CAP));
        for (i = 0; i < RELAY_FD_MAX; i++)
            revents[i] = n > 0 ? fds[i].revents : 0;
        relay_engine_look_for_stop(ch->engine);
        now = relay_now();
    }
}

int relay_serve(relay_engine *e, request_rec *r, const relay_job *job)
{
    apr_status_t rv;
    relay_channel *ch = relay_channel_create(e, r, job, &rv);
    if (ch == NULL) {
        RELAY_RLOG(e, APLOG_ERR, rv, r, "RPX0303: no descriptors for another "
                   "channel; raise the limit of open files");
        return relay_answer_error(r, 0x6bb, job->extended_errors);
    }
    run(ch);
    return relay_channel_end(ch);
}
