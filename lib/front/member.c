/* SPDX-License-Identifier: Apache-2.0 */
/*
 * member.c - all connections of one user go to one member of a balancer.
 *
 * IN and OUT of a virtual connection have to meet, and where the inner proxies
 * serve ncacn_ip_tcp servers they meet in one only. The key is what both have
 * in common from the first request on: the user, or else address and target.
 * The AssociationGroupId would be the client's own word for it, but it stands
 * in CONN/B1 (2.2.4.5): OUT channels do not have it, and so it would part
 * what belongs together.
 */
#include "front/member.h"

#include <apr_strings.h>
#include <string.h>

#include "front/credentials.h"
#include "front/front.h"
#include "front/rendezvous.h"

/* The user whom httpd knows, or whom the client says it is; else where the
 * client is and what it wants. */
static const char *key_of(request_rec *r)
{
    front_credentials c;
    char *user;
    front_credentials_read(apr_table_get(r->headers_in, "Authorization"), &c);
    user = apr_pstrdup(r->pool, r->user ? r->user : c.user);
    if (*user == '\0')
        return apr_pstrcat(r->pool, "at ", r->useragent_ip, " ",
                           r->args ? r->args : "", NULL);
    ap_str_tolower(user);
    return apr_pstrcat(r->pool, "user ", user, NULL);
}

static uint64_t hash_of(const proxy_worker *w, uint64_t key)
{
    return front_rendezvous_hash(key, w->s->name_ex, strlen(w->s->name_ex));
}

static int is_best(proxy_worker *current, proxy_worker *best, void *baton)
{
    const uint64_t *key = baton;
    return best == NULL
        || front_rendezvous_before(hash_of(current, *key),
                                   (uint32_t)current->s->lbfactor,
                                   hash_of(best, *key),
                                   (uint32_t)best->s->lbfactor);
}

/* mod_proxy says who may be chosen: lbset, standby, spare, drain, errors. */
static proxy_worker *find(proxy_balancer *balancer, request_rec *r)
{
    const char *text = key_of(r);
    uint64_t key = front_rendezvous_hash(FRONT_RENDEZVOUS_SEED, text,
                                         strlen(text));
    return ap_proxy_balancer_get_best_worker(balancer, r, is_best, &key);
}

/* The numbers of members that were used are no matter here, and busy is true
 * as it is. */
static apr_status_t do_nothing(proxy_balancer *balancer, server_rec *s)
{
    return APR_SUCCESS;
}

const proxy_balancer_method front_member_method = {
    "rpch", find, NULL, do_nothing, do_nothing, NULL
};
