/* SPDX-License-Identifier: Apache-2.0 */
/* io_noflush.c - what TLS would have flushed is written, and not waited for */
#include "relay/io_noflush.h"

#include <util_filter.h>

#include "relay/conn.h"

/* What was to be flushed is written as far as the socket takes it: the core's
 * filter would keep a small record for the next write. */
static apr_status_t write_below(ap_filter_t *f, apr_bucket_brigade *bb)
{
    apr_bucket *b, *next;
    apr_status_t rv = APR_SUCCESS;
    bool flushed = false;
    for (b = APR_BRIGADE_FIRST(bb); b != APR_BRIGADE_SENTINEL(bb); b = next) {
        next = APR_BUCKET_NEXT(b);
        if (APR_BUCKET_IS_FLUSH(b)) {
            apr_bucket_delete(b);
            flushed = true;
        }
    }
    if (!APR_BRIGADE_EMPTY(bb))
        rv = ap_pass_brigade(f->next, bb);
    if (rv == APR_SUCCESS && flushed && f->c->data_in_output_filters
        && !relay_conn_push(f->c))
        rv = APR_ECONNABORTED;
    return rv;
}

/* Nobody looks for it by name, so that it need not be registered. */
static ap_filter_rec_t noflush_rec = {
    .name = "relay_noflush",
    .filter_func.out_func = write_below,
    .ftype = AP_FTYPE_NETWORK - 1
};

void relay_io_noflush_insert(relay_io *io)
{
    if (relay_conn_filter(io->c->output_filters,
                          ap_get_output_filter_handle("SSL/TLS Filter")))
        io->noflush = ap_add_output_filter_handle(&noflush_rec, NULL, NULL,
                                                  io->c);
}

void relay_io_noflush_remove(relay_io *io)
{
    if (io->noflush)
        ap_remove_output_filter(io->noflush);
    io->noflush = NULL;
}
