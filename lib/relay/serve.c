/* SPDX-License-Identifier: Apache-2.0 */
/* serve.c - a request becomes a channel or a tunnel; how the two are driven */
#include "relay/channel.h"
#include "relay/loop.h"
#include "relay/tunnel.h"

static void step_channel(void *stream, const short *revents, rpch_msec now)
{
    relay_channel_step(stream, revents, now);
}

static bool is_channel_finished(const void *stream)
{
    return ((const relay_channel *)stream)->finished;
}

static rpch_msec channel_interest(void *stream, struct pollfd *fds,
                                  rpch_msec now)
{
    return relay_channel_interest(stream, fds, now);
}

static void fail_channel(void *stream, const char *reason)
{
    relay_channel_fail(stream, RPCH_E_CLOSED, reason, NULL);
}

static int end_channel(void *stream)
{
    return relay_channel_end(stream);
}

static const relay_driver channel_driver = {
    RELAY_FD_EVENT, step_channel, is_channel_finished, channel_interest,
    fail_channel, end_channel
};

static void step_tunnel(void *stream, const short *revents, rpch_msec now)
{
    relay_tunnel_step(stream, revents, now);
}

static bool is_tunnel_finished(const void *stream)
{
    return ((const relay_tunnel *)stream)->finished;
}

static rpch_msec tunnel_interest(void *stream, struct pollfd *fds,
                                 rpch_msec now)
{
    return relay_tunnel_interest(stream, fds, now);
}

static void fail_tunnel(void *stream, const char *reason)
{
    relay_tunnel_fail(stream, RPCH_E_CLOSED, reason, NULL);
}

static int end_tunnel(void *stream)
{
    return relay_tunnel_end(stream);
}

static const relay_driver tunnel_driver = {
    RELAY_TUNNEL_FD_EVENT, step_tunnel, is_tunnel_finished, tunnel_interest,
    fail_tunnel, end_tunnel
};

int relay_serve(relay_engine *e, request_rec *r, const relay_job *job)
{
    apr_status_t rv;
    relay_stream *s = relay_reactor_prepare(e, r);
    relay_channel *ch = relay_channel_create(e, r, job, relay_reactor_bell(s),
                                             &rv);
    if (ch == NULL) {
        relay_reactor_cancel(s);
        RELAY_RLOG(e, APLOG_ERR, rv, r, "RPX0303: no descriptors for another "
                   "channel; raise the limit of open files");
        return relay_answer_error(r, RELAY_RPC_TOO_BUSY, job->extended_errors);
    }
    return relay_loop_serve(e, r, s, &channel_driver, ch);
}

int relay_tunnel_serve(relay_engine *e, request_rec *r, const relay_job *job)
{
    apr_status_t rv;
    relay_stream *s = relay_reactor_prepare(e, r);
    relay_tunnel *t = relay_tunnel_create(e, r, job, relay_reactor_bell(s),
                                          &rv);
    if (t == NULL) {
        relay_reactor_cancel(s);
        RELAY_RLOG(e, APLOG_ERR, rv, r, "RPX0357: no descriptors for another "
                   "connection; raise the limit of open files");
        return relay_answer_error(r, RELAY_RPC_TOO_BUSY, job->extended_errors);
    }
    return relay_loop_serve(e, r, s, &tunnel_driver, t);
}
