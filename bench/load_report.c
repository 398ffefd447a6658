/* SPDX-License-Identifier: Apache-2.0 */
/* load_report.c - what rpch-load counts, and the line that it prints */
#include "load_report.h"

#include <string.h>

void load_errors_add(load_errors *e, const char *kind, const char *detail)
{
    unsigned i;

    e->total++;
    for (i = 0; i < e->n; i++)
        if (strcmp(e->kind[i].name, kind) == 0)
            break;
    if (i == LOAD_KINDS_MAX)
        i--;
    if (i == e->n) {
        e->n++;
        snprintf(e->kind[i].name, sizeof(e->kind[i].name), "%s", kind);
        fprintf(stderr, "rpch-load: %s: %s\n", kind, detail);
    }
    e->kind[i].count++;
}

static void key_of(load_line *l, const char *key)
{
    fprintf(l->to, "%s\"%s\":", l->begun ? "," : "{", key);
    l->begun = true;
}

void load_line_text(load_line *l, const char *key, const char *value)
{
    key_of(l, key);
    fprintf(l->to, "\"%s\"", value);
}

void load_line_count(load_line *l, const char *key, uint64_t value)
{
    key_of(l, key);
    fprintf(l->to, "%llu", (unsigned long long)value);
}

void load_line_number(load_line *l, const char *key, double value)
{
    key_of(l, key);
    fprintf(l->to, "%.3f", value);
}

void load_line_flag(load_line *l, const char *key, bool value)
{
    key_of(l, key);
    fputs(value ? "true" : "false", l->to);
}

void load_line_latency(load_line *l, const load_histogram *h)
{
    load_line_number(l, "min_us", (double)h->min / 1e3);
    load_line_number(l, "p50_us", (double)load_histogram_at(h, 500) / 1e3);
    load_line_number(l, "p90_us", (double)load_histogram_at(h, 900) / 1e3);
    load_line_number(l, "p99_us", (double)load_histogram_at(h, 990) / 1e3);
    load_line_number(l, "p999_us", (double)load_histogram_at(h, 999) / 1e3);
    load_line_number(l, "max_us", (double)h->max / 1e3);
    load_line_number(l, "mean_us",
                     h->n > 0 ? (double)h->sum / (double)h->n / 1e3 : 0.0);
    key_of(l, "histogram");
    load_histogram_print(h, l->to);
}

void load_line_errors(load_line *l, const load_errors *e)
{
    load_line inner = { l->to, false };
    unsigned i;

    key_of(l, "errors");
    for (i = 0; i < e->n; i++)
        load_line_count(&inner, e->kind[i].name, e->kind[i].count);
    fputs(inner.begun ? "}" : "{}", l->to);
}

void load_line_end(load_line *l)
{
    fputs("}\n", l->to);
    fflush(l->to);
    l->begun = false;
}

bool load_write_file(const char *path, const char *text)
{
    char part[4096];
    FILE *f;
    bool ok;

    if (snprintf(part, sizeof(part), "%s.part", path) >= (int)sizeof(part))
        return false;
    f = fopen(part, "w");
    if (f == NULL)
        return false;
    ok = fputs(text, f) >= 0;
    ok = fclose(f) == 0 && ok;
    return ok && rename(part, path) == 0;
}
