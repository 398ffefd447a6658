/* SPDX-License-Identifier: Apache-2.0 */
/*
 * value.c - durations, sizes and counts: digits, then one unit of a table;
 * and what the Pragma header says.
 */
#include "rpcproxy/value.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

/* What T of MinConnTimeout=T may be, in seconds, 2.1.2.1.1. */
#define MIN_CONN_TIMEOUT_MIN 120
#define MIN_CONN_TIMEOUT_MAX 14400

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

/* What "MinConnTimeout=T" says of T, in seconds; 0 when T is not allowed. */
static int64_t min_conn_timeout(const char *p)
{
    int64_t t = 0;

    for (; *p >= '0' && *p <= '9' && t <= MIN_CONN_TIMEOUT_MAX; p++) {
        t = t * 10 + (*p - '0');
    }
    if (t < MIN_CONN_TIMEOUT_MIN || t > MIN_CONN_TIMEOUT_MAX
        || strchr(", \t", *p) == NULL) {
        return 0;
    }
    return t;
}

/* What follows name (its '=' included) in the first directive of a Pragma
 * header that begins with it; NULL when there is none. */
static const char *find_pragma(const char *pragma, const char *name)
{
    while (pragma) {
        pragma += strspn(pragma, ", \t");
        if (strncasecmp(pragma, name, strlen(name)) == 0) {
            return pragma + strlen(name);
        }
        pragma = strchr(pragma, ',');
    }
    return NULL;
}

/* Half of the first MinConnTimeout that is allowed, in ms, or INT64_MAX. */
static int64_t asked_interval(const char *pragma)
{
    int64_t t;

    while ((pragma = find_pragma(pragma, "MinConnTimeout=")) != NULL) {
        t = min_conn_timeout(pragma);
        if (t > 0) {
            return t * 1000 / 2;
        }
        pragma = strchr(pragma, ',');
    }
    return INT64_MAX;
}

/* Copies the UUID that p starts with, in lower case. */
static bool copy_uuid(const char *p, char *out)
{
    static const char hex[] = "0123456789abcdefABCDEF";
    int i;

    for (i = 0; i < RPCPROXY_UUID_TEXT_SIZE - 1; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;

        if (p[i] == '\0' || (dash ? p[i] != '-' : !strchr(hex, p[i]))) {
            return false;
        }
        out[i] = p[i] >= 'A' && p[i] <= 'F' ? (char)(p[i] - 'A' + 'a') : p[i];
    }
    out[i] = '\0';
    return strchr(", \t", p[i]) != NULL;
}

bool rpcproxy_value_pragma_uuid(const char *pragma, const char *name,
                                char *out)
{
    while ((pragma = find_pragma(pragma, name)) != NULL) {
        if (copy_uuid(pragma, out)) {
            return true;
        }
        pragma = strchr(pragma, ',');
    }
    return false;
}

int64_t rpcproxy_value_ping_interval(int64_t interval,
                                     int64_t connection_timeout,
                                     const char *pragma)
{
    int64_t asked = asked_interval(pragma);

    if (interval > connection_timeout) {
        interval = connection_timeout;
    }
    return interval > asked ? asked : interval;
}
