/* SPDX-License-Identifier: Apache-2.0 */
/* rpcl_head.c - the fields of an HTTP head */
#include "rpcl_head.h"

#include <string.h>
#include <strings.h>

const char *rpcl_head_field(const char *head, const char *name)
{
    size_t n = strlen(name);
    const char *p;

    for (p = strstr(head, "\r\n"); p != NULL; p = strstr(p, "\r\n")) {
        p += 2;
        if (strncasecmp(p, name, n) == 0 && p[n] == ':')
            return p + n + 1 + strspn(p + n + 1, " ");
    }
    return NULL;
}
