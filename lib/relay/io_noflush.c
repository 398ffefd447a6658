/* SPDX-License-Identifier: Apache-2.0 */
/* io_noflush.c - what TLS would have flushed is only written */
#include "relay/io_noflush.h"

#include <util_filter.h>

static apr_status_t write_below(ap_filter_t *f, apr_bucket_brigade *bb)
{
    apr_bucket *b, *next;
    for (b = APR_BRIGADE_FIRST(bb); b != APR_BRIGADE_SENTINEL(bb); b = next) {
        next = APR_BUCKET_NEXT(b);
        if (APR_BUCKET_IS_FLUSH(b))
            apr_bucket_delete(b);
    }
    return APR_BRIGADE_EMPTY(bb) ? APR_SUCCESS : ap_pass_brigade(f->next, bb);
}

/* Nobody looks for it by name, so that it need not be registered. */
static ap_filter_rec_t noflush_rec = {
    .name = "relay_noflush",
    .filter_func.out_func = write_below,
    .ftype = AP_FTYPE_NETWORK - 1
};

void relay_io_noflush_insert(relay_io *io)
{
    const ap_filter_rec_t *tls = ap_get_output_filter_handle("SSL/TLS Filter");
    const ap_filter_t *f = io->c->output_filters;
    while (f && (tls == NULL || f->frec != tls))
        f = f->next;
    if (f && io->noflush == NULL)
        io->noflush = ap_add_output_filter_handle(&noflush_rec, NULL, NULL,
                                                  io->c);
}

void relay_io_noflush_remove(relay_io *io)
{
    if (io->noflush)
        ap_remove_output_filter(io->noflush);
    io->noflush = NULL;
}
