/* SPDX-License-Identifier: Apache-2.0 */
/* label.c - how logs call a connection */
#include "relay/label.h"

#include <apr_sha1.h>
#include <apr_strings.h>

#define VARIABLE "RPC_CONNECTION"
/* Bytes of the hash that are shown. */
#define SHOWN 6

void relay_label(request_rec *r, const rpch_cookie *vc)
{
    unsigned char h[APR_SHA1_DIGESTSIZE];
    char *text = apr_palloc(r->pool, 2 * SHOWN + 1);
    apr_sha1_ctx_t sha;
    int i;
    /* Of a random cookie nothing can be found out by its hash, and a key would
     * make another name of it on each machine. */
    apr_sha1_init(&sha);
    apr_sha1_update_binary(&sha, vc->b, sizeof(vc->b));
    apr_sha1_final(h, &sha);
    for (i = 0; i < SHOWN; i++)
        apr_snprintf(text + 2 * i, 3, "%02x", h[i]);
    apr_table_setn(r->subprocess_env, VARIABLE, text);
}

const char *relay_label_of(const request_rec *r)
{
    const char *text = apr_table_get(r->subprocess_env, VARIABLE);
    return text ? text : "-";
}
