/* SPDX-License-Identifier: Apache-2.0 */
/*
 * setting.h - directives whose value is one number: how it is written, and
 * what it may be. Both modules have a table of them. Needs APR, no httpd.
 */
#ifndef RPCPROXY_SETTING_H
#define RPCPROXY_SETTING_H

#include <apr_pools.h>
#include <stdbool.h>
#include <stdint.h>

/* How a number is written. */
typedef enum rpcproxy_kind {
    RPCPROXY_KIND_SWITCH,   /* On, Off: 1, 0 */
    RPCPROXY_KIND_AUTO,     /* Auto, Off: 1, 0 */
    RPCPROXY_KIND_DURATION, /* in ms */
    RPCPROXY_KIND_SIZE,     /* in bytes */
    RPCPROXY_KIND_COUNT
} rpcproxy_kind;

typedef struct rpcproxy_row {
    const char *name; /* of the directive */
    rpcproxy_kind kind;
    int64_t standard; /* the default */
    int64_t low;      /* both inclusive */
    int64_t high;
    bool main_only;   /* one for the whole httpd */
} rpcproxy_row;

/* Reads what a directive says. Returns NULL, or a sentence, out of p, that
 * names the directive, the text and what is allowed. */
const char *rpcproxy_setting_read(const rpcproxy_row *row, const char *text,
                                  int64_t *value, apr_pool_t *p);

#endif
