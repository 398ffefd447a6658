/* SPDX-License-Identifier: Apache-2.0 */
/* url.c - the target in a request's query, 2.2.2. */
#include <string.h>

#include "rpch/url.h"

bool rpch_name_char(char c)
{
    /* a terminator is below '!', so strchr never sees it */
    return c >= '!' && c <= '~' && strchr("/?#%\\\"<>[]", c) == NULL;
}

bool rpch_name_is_ipv6(const char *name, size_t len)
{
    size_t i;

    for (i = 0; i < len; i++) {
        char c = name[i];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')
              || (c >= 'A' && c <= 'F') || c == ':' || c == '.'))
            return false;
    }
    return len > 0 && memchr(name, ':', len) != NULL;
}

const char *rpch_port_parse(const char *text, size_t len, uint16_t *port)
{
    uint32_t value = 0;
    size_t i;

    if (len < 1 || len > 6)
        return "the port is not 1 to 6 digits";
    for (i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9')
            return "the port is not 1 to 6 digits";
        value = 10 * value + (uint32_t)(text[i] - '0');
    }
    if (value < 1 || value > UINT16_MAX)
        return "the port is not between 1 and 65535";
    *port = (uint16_t)value;
    return NULL;
}

/* What is wrong with the name that stood in brackets or not, or NULL. */
static const char *check_name(const char *name, size_t len, bool brackets)
{
    size_t i;

    if (len == 0)
        return "the server name is empty";
    if (len >= RPCH_NAME_SIZE)
        return "the server name has more than 1023 characters";
    for (i = 0; i < len; i++) {
        if (name[i] == '[' || name[i] == ']')
            return "the server name has unbalanced brackets";
        if (!rpch_name_char(name[i]))
            return "the server name has a character that no name has";
    }
    if (rpch_name_is_ipv6(name, len))
        return NULL;
    if (brackets)
        return "the brackets hold no IPv6 address";
    if (memchr(name, ':', len))
        return "the server name has a colon and is no IPv6 address";
    return NULL;
}

int rpch_url_parse_query(const char *query, size_t len, rpch_target *out,
                         const char **reason)
{
    bool brackets = len > 0 && query[0] == '[';
    const char *name = query + (brackets ? 1 : 0);
    size_t end = len; /* of the name, with its closing bracket */
    size_t name_len;

    while (end > 0 && query[end - 1] != (brackets ? ']' : ':'))
        end--;
    if (end == 0) {
        *reason = brackets ? "the server name has unbalanced brackets"
                           : "there is no colon before the port";
        return RPCH_E_SYNTAX;
    }
    if (brackets && (end == len || query[end] != ':')) {
        *reason = "there is no colon after the brackets";
        return RPCH_E_SYNTAX;
    }
    if (!brackets)
        end--;
    name_len = end - (brackets ? 2 : 0);
    *reason = check_name(name, name_len, brackets);
    if (!*reason)
        *reason = rpch_port_parse(query + end + 1, len - end - 1,
                                  &out->port);
    if (*reason)
        return RPCH_E_SYNTAX;
    memcpy(out->name, name, name_len);
    out->name[name_len] = '\0';
    return RPCH_OK;
}
