/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_url.c - the target in a request's query: what is accepted is a name of
 * legal characters and a port, and reads the same when written again.
 *
 * Input: the query.
 */
#include "fuzz.h"
#include "rpch/url.h"

const char fuzz_target[] = "url";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char text[RPCH_NAME_SIZE + 16];
    const char *reason = NULL;
    rpch_target target, again;
    size_t i, len;
    bool ipv6;

    if (rpch_url_parse_query((const char *)data, size, &target, &reason)
        != RPCH_OK) {
        fuzz_check(reason != NULL);
        return 0;
    }
    len = strlen(target.name);
    fuzz_check(len > 0 && len < RPCH_NAME_SIZE && target.port > 0);
    for (i = 0; i < len; i++)
        fuzz_check(rpch_name_char(target.name[i]));
    ipv6 = strchr(target.name, ':') != NULL;
    fuzz_check(!ipv6 || rpch_name_is_ipv6(target.name, len));
    snprintf(text, sizeof(text), ipv6 ? "[%s]:%u" : "%s:%u", target.name,
             (unsigned)target.port);
    fuzz_check(rpch_url_parse_query(text, strlen(text), &again, &reason)
               == RPCH_OK);
    fuzz_check(strcmp(again.name, target.name) == 0);
    fuzz_check(again.port == target.port);
    return 0;
}
