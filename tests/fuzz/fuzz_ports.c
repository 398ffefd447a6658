/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_ports.c - ValidPorts: an entry lies within its list, the first match
 * is a match, and what is nearly one is none.
 *
 * Input: the port asked for (2 bytes), the list, a NUL, the name asked for.
 */
#include "fuzz.h"
#include "rpch/ports.h"

const char fuzz_target[] = "ports";

#define ENTRIES_MAX 64u

/* True when e, of itself, allows the name and the port. */
static bool allows(const rpch_ports_entry *e, const char *name, uint16_t port)
{
    return rpch_ports_name_matches(e, name) && port >= e->low
        && port <= e->high;
}

static void check_entry(const rpch_ports_entry *e, const char *list)
{
    fuzz_check(e->name >= list && e->name_len <= strlen(list));
    fuzz_check((size_t)(e->name - list) + e->name_len <= strlen(list));
    fuzz_check(e->name_len > 0 || e->prefix);
    fuzz_check(e->low > 0 && e->low <= e->high);
    fuzz_check(!(e->prefix && e->domain));
}

static void check_list(const rpch_ports_entry *entries, size_t n,
                       const char *list, const char *name, uint16_t port)
{
    size_t i, index = 0;
    int found = rpch_ports_match(entries, n, name, port);

    for (i = 0; i < n; i++) {
        check_entry(&entries[i], list);
        if (allows(&entries[i], name, port))
            break;
    }
    fuzz_check(found == (i < n ? (int)i : -1));
    if (found < 0 && rpch_ports_nearest(entries, n, name, port, &index)
        != RPCH_NEAR_NONE)
        fuzz_check(index < n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    rpch_ports_entry entries[ENTRIES_MAX], few[1];
    const char *reason = NULL;
    size_t n = 0, m = 0, at = 0;
    char *text, *name;
    uint16_t port;
    int rc;

    if (size < 2)
        return 0;
    port = rpch_le16(data);
    text = malloc(size);
    fuzz_check(text != NULL);
    memcpy(text, data + 2, size - 2);
    text[size - 2] = '\0';
    name = text + strlen(text);
    if (name < text + size - 2)
        name++;
    rc = rpch_ports_parse(text, entries, ENTRIES_MAX, &n, &at, &reason);
    fuzz_check(rc == RPCH_OK || rc == RPCH_E_ROOM || rc == RPCH_E_SYNTAX);
    fuzz_check(rc != RPCH_OK || n <= ENTRIES_MAX);
    fuzz_check(rc != RPCH_E_ROOM || n > ENTRIES_MAX);
    fuzz_check(rc != RPCH_E_SYNTAX
               || (reason != NULL && at <= strlen(text)));
    if (rc == RPCH_OK) {
        check_list(entries, n, text, name, port);
        rc = rpch_ports_parse(text, few, 1, &m, &at, &reason);
        fuzz_check(m == n && rc == (n > 1 ? RPCH_E_ROOM : RPCH_OK));
    }
    free(text);
    return 0;
}
