/* SPDX-License-Identifier: Apache-2.0 */
/* loop.c - the loop in a request's thread, and the choice between it and the
 * reactor */
#include "relay/loop.h"

#include "relay/clock.h"

void relay_loop_until_finished(relay_engine *e, request_rec *r,
                               const relay_driver *d, void *stream)
{
    struct pollfd fds[RELAY_TASK_FDS];
    short revents[RELAY_TASK_FDS] = { 0 };
    rpch_msec now = relay_now(), at;
    int i, n;
    memset(fds, 0, sizeof(fds));
    for (i = 0; i < RELAY_TASK_FDS; i++)
        fds[i].fd = -1; /* not every stream has that many */
    relay_engine_enter_loop(e, r);
    for (;;) {
        d->step(stream, revents, now);
        if (d->is_finished(stream))
            return;
        at = d->interest(stream, fds, now);
        n = relay_engine_poll(e, fds, RELAY_TASK_FDS,
                              relay_poll_timeout(at, relay_now(),
                                                 RELAY_POLL_CAP));
        for (i = 0; i < RELAY_TASK_FDS; i++)
            revents[i] = n > 0 ? fds[i].revents : 0;
        now = relay_now();
    }
}

int relay_loop_run(relay_engine *e, request_rec *r, const relay_driver *d,
                   void *stream)
{
    relay_loop_until_finished(e, r, d, stream);
    relay_engine_leave_loop(e, r);
    return d->end(stream);
}

int relay_loop_serve(relay_engine *e, request_rec *r, relay_stream *s,
                     const relay_driver *d, void *stream)
{
    return s ? relay_reactor_submit(s, d, stream)
             : relay_loop_run(e, r, d, stream);
}
