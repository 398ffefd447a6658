/* SPDX-License-Identifier: Apache-2.0 */
/* io_gulp.c - large reads below mod_ssl */
#include "relay/io_gulp.h"

#include <util_filter.h>

#include "relay/conn.h"

/* What the core's filter may hold goes first. It says "nothing now" by an
 * empty brigade. */
static apr_status_t from_core(relay_io *io, ap_filter_t *core,
                              apr_bucket_brigade *bb, ap_input_mode_t mode,
                              apr_read_type_e block, apr_off_t size)
{
    apr_status_t rv = ap_get_brigade(core, bb, mode, block, size);
    if (rv == APR_SUCCESS && APR_BRIGADE_EMPTY(bb))
        rv = APR_EAGAIN;
    io->core_holds = rv == APR_SUCCESS;
    return rv;
}

/* mod_ssl never asks for anything but bytes, and copies them before it asks
 * again. The end of the stream is found by the core's filter as well. */
static apr_status_t read_below(ap_filter_t *f, apr_bucket_brigade *bb,
                               ap_input_mode_t mode, apr_read_type_e block,
                               apr_off_t size)
{
    relay_io *io = f->ctx;
    relay_gulp *g = &io->gulp;
    bool held = relay_gulp_holds(g) > 0;
    bool ours = mode == AP_MODE_READBYTES && size > 0
        && (held || g->scratch != NULL);
    apr_status_t rv = APR_EAGAIN;
    const uint8_t *p;
    size_t n;
    if (!ours || (io->core_holds && !held))
        rv = from_core(io, f->next, bb, mode, block, size);
    if (!ours || !APR_STATUS_IS_EAGAIN(rv))
        return rv;
    rv = relay_gulp_take(g, (size_t)size, &p, &n);
    if (rv == APR_SUCCESS)
        APR_BRIGADE_INSERT_TAIL(bb, apr_bucket_transient_create(
            (const char *)p, n, bb->bucket_alloc));
    return rv;
}

/* Nobody looks for it by name, so that it need not be registered. */
static ap_filter_rec_t gulp_rec = {
    .name = "relay_gulp",
    .filter_func.in_func = read_below,
    .ftype = AP_FTYPE_NETWORK - 1
};

void relay_io_gulp_insert(relay_io *io)
{
    ap_filter_rec_t *known[] = {
        ap_get_input_filter_handle("LOG_INPUT_OUTPUT"),
        ap_core_input_filter_handle
    };
    const ap_filter_t *tls = relay_conn_filter(io->c->input_filters,
        ap_get_input_filter_handle("SSL/TLS Filter"));
    if (io->below != NULL || tls == NULL
        || !relay_io_knows(io, tls->next, known, 2, "what TLS reads"))
        return;
    io->core_holds = true;
    io->below = ap_add_input_filter_handle(&gulp_rec, io, NULL, io->c);
}

bool relay_io_gulp_waits(const relay_io *io)
{
    return io->below != NULL
        && (io->core_holds || relay_gulp_holds(&io->gulp) > 0);
}

void relay_io_gulp_remove(relay_io *io)
{
    if (io->below)
        ap_remove_input_filter(io->below);
    io->below = NULL;
    relay_gulp_clear(&io->gulp);
}
