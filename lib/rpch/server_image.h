/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server_image.h - a joined server role on its way to another process: it
 * lives beside the OUT channel, and moves with it when that is recycled.
 */
#ifndef RPCH_SERVER_IMAGE_H
#define RPCH_SERVER_IMAGE_H

#include "rpch/server.h"

/* A joined role as plain data, for the process that the OUT channel's
 * successor lives in. Spans are what is left of timers, RPCH_NEVER when one
 * does not run. */
typedef struct rpch_server_image {
    int state;
    int in_state;
    int out_state;
    rpch_cookie vc;
    rpch_cookie group;
    rpch_cookie in_channel;
    rpch_cookie out_channel;
    rpch_cookie out_previous;
    rpch_cookie out_coming;
    rpch_address address;
    bool has_in;
    bool has_out;
    uint32_t in_window;
    uint32_t in_timeout;
    uint32_t out_lifetime;
    uint32_t notified;
    uint64_t out_used;
    rpch_msec setup_span;
    rpch_msec out_span;
    rpch_msec notify_age;
    unsigned in_recycled;
    unsigned out_recycled;
    size_t to_in_len;
    size_t to_out_len;
    uint8_t to_in[RPCH_LANE_SIZE];
    uint8_t to_out[RPCH_LANE_SIZE];
} rpch_server_image;

/* Writes all of *image, padding included. m is joined and not finished, and is
 * of no use afterwards. */
void rpch_server_save(const rpch_server *m, rpch_server_image *image,
                      rpch_msec now);

/* Continues, at time now, on a machine that was just started with RPCH_JOINED.
 * RPCH_E_VALUE, and *m is as it was, when the image is none. */
int rpch_server_restore(rpch_server *m, const rpch_server_image *image,
                        rpch_msec now);

#endif
