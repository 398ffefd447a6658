/* SPDX-License-Identifier: Apache-2.0 */
/*
 * value.c - durations, sizes and counts: digits, then one unit of a table.
 */
#include "rpcproxy/value.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

typedef struct unit {
    const char *name;
    int64_t factor;
} unit;

/* The first unit of a factor is the one that is written out; largest first. */
static const unit durations[] = {
    { "h", 3600000 },
    { "m", 60000 },
    { "min", 60000 },
    { "mi", 60000 },
    { "s", 1000 },
    { "", 1000 },
    { "ms", 1 },
    { NULL, 0 }
};

static const unit sizes[] = {
    { "G", (int64_t)1 << 30 },
    { "M", (int64_t)1 << 20 },
    { "K", (int64_t)1 << 10 },
    { "", 1 },
    { NULL, 0 }
};

static const unit counts[] = {
    { "", 1 },
    { NULL, 0 }
};

static bool parse(const char *text, const unit *units, int64_t *out)
{
    int64_t n = 0;
    const char *p = text;

    for (; *p >= '0' && *p <= '9'; p++) {
        int digit = *p - '0';
        if (n > (INT64_MAX - digit) / 10) {
            return false;
        }
        n = n * 10 + digit;
    }
    if (p == text) {
        return false;
    }
    for (; units->name; units++) {
        if (strcasecmp(p, units->name) == 0) {
            if (n > INT64_MAX / units->factor) {
                return false;
            }
            *out = n * units->factor;
            return true;
        }
    }
    return false;
}

static char *text_of(int64_t n, const unit *units, char *out)
{
    /* Zero divides by everything; it reads best without a unit. */
    while (n == 0 ? units->name[0] != '\0' : n % units->factor != 0) {
        units++;
    }
    (void)snprintf(out, RPCPROXY_VALUE_TEXT_SIZE, "%lld%s",
                   (long long)(n / units->factor), units->name);
    return out;
}

bool rpcproxy_value_duration(const char *text, int64_t *ms)
{
    return parse(text, durations, ms);
}

bool rpcproxy_value_size(const char *text, int64_t *bytes)
{
    return parse(text, sizes, bytes);
}

bool rpcproxy_value_count(const char *text, int64_t *n)
{
    return parse(text, counts, n);
}

char *rpcproxy_value_duration_text(int64_t ms, char *out)
{
    return text_of(ms, durations, out);
}

char *rpcproxy_value_size_text(int64_t bytes, char *out)
{
    return text_of(bytes, sizes, out);
}
