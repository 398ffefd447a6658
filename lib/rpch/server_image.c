/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server_image.c - a joined server role as plain data, and back.
 */
#include "rpch/server_image.h"

#include <string.h>

#include "rpch/server_private.h"
#include "rpch/wire.h"

/* What is left of a timer at now; at least 1, since 0 is no timer at all. */
static rpch_msec span_left(rpch_msec deadline, rpch_msec now)
{
    if (deadline == RPCH_NEVER)
        return RPCH_NEVER;
    return deadline > now ? deadline - now : 1;
}

static size_t save_lane(const rpch_lane *lane, uint8_t *out)
{
    size_t len;
    const uint8_t *p = rpch_lane_buf(lane, &len);

    if (len > 0)
        memcpy(out, p, len);
    return len;
}

void rpch_server_save(const rpch_server *m, rpch_server_image *image,
                      rpch_msec now)
{
    const rpch_server_in *in = &m->in[0];
    const rpch_server_out *out = &m->out[0];

    memset(image, 0, sizeof(*image));
    image->state = m->core.state;
    image->in_state = m->in_state;
    image->out_state = m->out_state;
    image->vc = m->vc;
    image->group = m->group;
    image->in_channel = in->channel;
    image->out_channel = out->channel;
    image->out_previous = out->previous;
    image->out_coming = out->coming;
    image->address = m->address;
    image->has_in = m->in_at == 0;
    image->has_out = m->out_at == 0;
    image->in_window = m->in_window;
    image->in_timeout = m->in_timeout;
    image->out_lifetime = out->lifetime;
    image->notified = m->notified;
    image->out_used = out->used;
    image->setup_span = span_left(m->core.deadline, now);
    image->out_span = span_left(m->out_deadline, now);
    image->notify_age = now - m->notify_since;
    image->in_recycled = m->in_recycled;
    image->out_recycled = m->out_recycled;
    image->to_in_len = save_lane(&in->lane, image->to_in);
    image->to_out_len = save_lane(&out->lane, image->to_out);
}

/* True when p[0..len) is a row of whole RTS PDUs that a lane can hold. */
static bool is_lane(const uint8_t *p, size_t len)
{
    size_t at = 0, n;

    while (len <= RPCH_LANE_SIZE && at < len) {
        if (len - at < RPCH_RTS_HEADER_SIZE)
            return false;
        n = rpch_le16(p + at + 8);
        if (n < RPCH_RTS_HEADER_SIZE || n > len - at)
            return false;
        at += n;
    }
    return len <= RPCH_LANE_SIZE;
}

/* The second form of recycling is the only one of a joined role. */
static bool is_image(const rpch_server_image *image)
{
    bool in = image->state == RPCH_SERVER_A2W
           || image->state == RPCH_SERVER_OPENED;
    bool out = image->state == RPCH_SERVER_B2W
            || image->state == RPCH_SERVER_OPENED;

    if (image->state < RPCH_SERVER_OPEN_START
        || image->state > RPCH_SERVER_OPENED
        || image->has_in != in || image->has_out != out)
        return false;
    if (image->in_state != RPCH_SERVER_IN_OPENED
        || (image->out_state != RPCH_SERVER_OUT_OPENED
            && image->out_state != RPCH_SERVER_OUT_A4W
            && image->out_state != RPCH_SERVER_OUT_R2A8W))
        return false;
    if ((image->setup_span != RPCH_NEVER && in == out)
        || (image->out_span != RPCH_NEVER
            && image->out_state == RPCH_SERVER_OUT_OPENED))
        return false; /* such a timer does not run */
    return (image->state == RPCH_SERVER_OPENED
            || image->out_state == RPCH_SERVER_OUT_OPENED)
        && image->notified <= RPCH_SV_PING_BYTES_MAX
        && is_lane(image->to_in, image->to_in_len)
        && is_lane(image->to_out, image->to_out_len);
}

int rpch_server_restore(rpch_server *m, const rpch_server_image *image,
                        rpch_msec now)
{
    rpch_server_in *in = &m->in[0];
    rpch_server_out *out = &m->out[0];

    if (!rpch_sv_is_joined(m) || m->core.state != RPCH_SERVER_OPEN_START
        || !is_image(image))
        return RPCH_E_VALUE;
    m->core.state = image->state;
    m->in_state = image->in_state;
    m->out_state = image->out_state;
    m->vc = image->vc;
    m->group = image->group;
    m->address = image->address;
    m->in_at = image->has_in ? 0 : -1;
    m->out_at = image->has_out ? 0 : -1;
    m->in_window = image->in_window;
    m->in_timeout = image->in_timeout;
    m->core.deadline = rpch_after(now, image->setup_span);
    m->out_deadline = rpch_after(now, image->out_span);
    m->seen = now;
    m->notify_since = now - image->notify_age;
    m->notified = image->notified;
    m->in_recycled = image->in_recycled;
    m->out_recycled = image->out_recycled;
    if (image->has_in)
        in->use = RPCH_SERVER_DEFAULT;
    in->channel = image->in_channel;
    (void)rpch_lane_put(&in->lane, image->to_in, image->to_in_len);
    if (image->has_out)
        out->use = RPCH_SERVER_DEFAULT;
    out->channel = image->out_channel;
    out->previous = image->out_previous;
    out->coming = image->out_coming;
    out->lifetime = image->out_lifetime;
    out->used = image->out_used;
    out->tx.off = image->has_out;
    (void)rpch_lane_put(&out->lane, image->to_out, image->to_out_len);
    return RPCH_OK;
}
