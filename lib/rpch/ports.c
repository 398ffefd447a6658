/* SPDX-License-Identifier: Apache-2.0 */
/* ports.c - ValidPorts: reading the list, and asking it. */
#include <string.h>

#include "rpch/ports.h"
#include "rpch/url.h"

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* Compares n characters without regard to ASCII case. */
static bool same(const char *a, const char *b, size_t n)
{
    size_t i;

    for (i = 0; i < n; i++) {
        if (lower(a[i]) != lower(b[i]))
            return false;
    }
    return true;
}

/* Reads the name p[0..len), brackets and '*' included; NULL or the reason. */
static const char *parse_name(const char *p, size_t len, rpch_ports_entry *e)
{
    size_t i;

    memset(e, 0, sizeof *e);
    if (len >= 2 && p[0] == '[' && p[len - 1] == ']') {
        e->name = p + 1;
        e->name_len = len - 2;
        if (e->name_len >= RPCH_NAME_SIZE
            || !rpch_name_is_ipv6(e->name, e->name_len))
            return "the brackets hold no IPv6 address";
        return NULL;
    }
    if (len == 0)
        return "the name is empty";
    if (len >= RPCH_NAME_SIZE)
        return "the name has more than 1023 characters";
    if (len >= 2 && p[0] == '*' && p[1] == '@') {
        e->domain = true;
        p++;
        len--;
        if (len == 1)
            return "there is no domain after '*@'";
    } else if (p[len - 1] == '*') {
        e->prefix = true;
        len--;
    }
    for (i = 0; i < len; i++) {
        if (p[i] == '*')
            return "'*' stands only at the end of a name or before '@'";
        if (p[i] == ':')
            return "more than one colon; an IPv6 address needs brackets";
        if (p[i] == '[' || p[i] == ']')
            return "the name has unbalanced brackets";
        if (!rpch_name_char(p[i]))
            return "the name has a character that no name has";
    }
    e->name = p;
    e->name_len = len;
    return NULL;
}

/* Reads the port or range p[0..len); NULL or the reason. */
static const char *parse_range(const char *p, size_t len,
                               rpch_ports_entry *e)
{
    const char *dash = memchr(p, '-', len);
    size_t first = dash ? (size_t)(dash - p) : len;
    const char *reason = rpch_port_parse(p, first, &e->low);

    e->high = e->low;
    if (!reason && dash)
        reason = rpch_port_parse(dash + 1, len - first - 1, &e->high);
    if (!reason && e->high < e->low)
        reason = "the port range is reversed";
    return reason;
}

/* Reads one entry without white space around it; NULL or the reason. */
static const char *parse_entry(const char *p, size_t len,
                               rpch_ports_entry *e)
{
    size_t colon = len;
    const char *reason;

    while (colon > 0 && p[colon - 1] != ':' && p[colon - 1] != ']')
        colon--;
    if (colon == 0 || p[colon - 1] == ']')
        return "there is no colon before the port";
    reason = parse_name(p, colon - 1, e);
    return reason ? reason : parse_range(p + colon, len - colon, e);
}

int rpch_ports_parse(const char *list, rpch_ports_entry *entries, size_t max,
                     size_t *n, size_t *at, const char **reason)
{
    size_t pos = 0;

    *n = 0;
    while (list[pos]) {
        size_t end = pos + strcspn(list + pos, ";");
        size_t next = list[end] ? end + 1 : end;
        rpch_ports_entry e;

        while (pos < end && is_space(list[pos]))
            pos++;
        while (pos < end && is_space(list[end - 1]))
            end--;
        if (pos < end) {
            *reason = parse_entry(list + pos, end - pos, &e);
            if (*reason) {
                *at = pos;
                return RPCH_E_SYNTAX;
            }
            if (*n < max)
                entries[*n] = e;
            ++*n;
        }
        pos = next;
    }
    return *n > max ? RPCH_E_ROOM : RPCH_OK;
}

bool rpch_ports_name_matches(const rpch_ports_entry *e, const char *name)
{
    size_t len = strlen(name);

    if (len < e->name_len)
        return false;
    if (e->domain)
        /* a mailbox name has something before its '@' */
        return len > e->name_len
            && same(name + len - e->name_len, e->name, e->name_len);
    return (e->prefix || len == e->name_len)
        && same(name, e->name, e->name_len);
}

static bool has_port(const rpch_ports_entry *e, uint16_t port)
{
    return e->low <= port && port <= e->high;
}

int rpch_ports_match(const rpch_ports_entry *entries, size_t n,
                     const char *name, uint16_t port)
{
    size_t i;

    for (i = 0; i < n; i++) {
        if (has_port(&entries[i], port)
            && rpch_ports_name_matches(&entries[i], name))
            return (int)i;
    }
    return -1;
}

/* True when the first label of full is label, and full goes on after it.
 * Addresses and mailbox names have no labels. */
static bool is_short_of(const char *label, size_t label_len,
                        const char *full, size_t full_len)
{
    bool word = false;
    size_t i;

    for (i = 0; i < label_len; i++) {
        if (strchr(".:@", label[i]))
            return false;
        word = word || label[i] < '0' || label[i] > '9';
    }
    return word && label_len < full_len && full[label_len] == '.'
        && memchr(full, '@', full_len) == NULL
        && same(label, full, label_len);
}

/* How the entry comes close to name. */
static rpch_ports_near near_name(const rpch_ports_entry *e, const char *name,
                                 size_t len)
{
    if (rpch_ports_name_matches(e, name))
        return RPCH_NEAR_PORT;
    if (e->prefix || e->domain)
        return RPCH_NEAR_NONE;
    if (is_short_of(e->name, e->name_len, name, len))
        return RPCH_NEAR_SHORT;
    if (is_short_of(name, len, e->name, e->name_len))
        return RPCH_NEAR_FULL;
    return RPCH_NEAR_NONE;
}

rpch_ports_near rpch_ports_nearest(const rpch_ports_entry *entries, size_t n,
                                   const char *name, uint16_t port,
                                   size_t *index)
{
    rpch_ports_near best = RPCH_NEAR_NONE;
    size_t len = strlen(name);
    int best_rank = 0;
    size_t i;

    for (i = 0; i < n; i++) {
        rpch_ports_near near = near_name(&entries[i], name, len);
        int rank = near == RPCH_NEAR_NONE ? 0
                 : near == RPCH_NEAR_PORT ? 3
                 : has_port(&entries[i], port) ? 2 : 1;

        if (rank > best_rank) {
            best_rank = rank;
            best = near;
            *index = i;
        }
    }
    return best;
}
