/* SPDX-License-Identifier: Apache-2.0 */
/* setting.c - directives whose value is one number */
#include "rpcproxy/setting.h"

#include <apr_strings.h>
#include <strings.h>

#include "rpcproxy/value.h"

/* What is allowed, for the sentence about a wrong value. */
static const char *allowed(const rpcproxy_row *row, apr_pool_t *p)
{
    char low[RPCPROXY_VALUE_TEXT_SIZE];
    char high[RPCPROXY_VALUE_TEXT_SIZE];
    switch (row->kind) {
    case RPCPROXY_KIND_DURATION:
        return apr_psprintf(p, "a duration from %s to %s is allowed, written "
                            "as 30, 500ms, 5m or 8h",
                            rpcproxy_value_duration_text(row->low, low),
                            rpcproxy_value_duration_text(row->high, high));
    case RPCPROXY_KIND_SIZE:
        return apr_psprintf(p, "a size from %s to %s is allowed, written as "
                            "65536, 64K, 8M or 1G",
                            rpcproxy_value_size_text(row->low, low),
                            rpcproxy_value_size_text(row->high, high));
    case RPCPROXY_KIND_COUNT:
        return apr_psprintf(p, "a number from %" APR_INT64_T_FMT " to %"
                            APR_INT64_T_FMT " is allowed", row->low,
                            row->high);
    case RPCPROXY_KIND_AUTO:
        return "Auto or Off is allowed";
    case RPCPROXY_KIND_SWITCH:
    default:
        return "On or Off is allowed";
    }
}

/* One of two words: 1 for yes, 0 for Off. */
static bool read_word(const char *text, const char *yes, int64_t *value)
{
    *value = strcasecmp(text, yes) == 0;
    return *value || strcasecmp(text, "Off") == 0;
}

static bool read_number(rpcproxy_kind kind, const char *text, int64_t *value)
{
    switch (kind) {
    case RPCPROXY_KIND_DURATION:
        return rpcproxy_value_duration(text, value);
    case RPCPROXY_KIND_SIZE:
        return rpcproxy_value_size(text, value);
    case RPCPROXY_KIND_COUNT:
        return rpcproxy_value_count(text, value);
    case RPCPROXY_KIND_AUTO:
        return read_word(text, "Auto", value);
    case RPCPROXY_KIND_SWITCH:
    default:
        return read_word(text, "On", value);
    }
}

const char *rpcproxy_setting_read(const rpcproxy_row *row, const char *text,
                                  int64_t *value, apr_pool_t *p)
{
    *value = 0;
    if (read_number(row->kind, text, value) && *value >= row->low
        && *value <= row->high)
        return NULL;
    return apr_psprintf(p, "%s: '%s': %s", row->name, text, allowed(row, p));
}
