/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tunnel_open.c - what must be true before a tunnel's connection to the
 * server is made, and the connection.
 *
 * Version 1 has no cookie. The table gets one of our own making, by which
 * both directions are held: a tunnel counts as a connection with two channels
 * and cannot be joined by anybody.
 */
#include <apr_general.h>
#include <apr_strings.h>
#include <sys/socket.h>

#include "relay/label.h"
#include "relay/tunnel.h"

static void refuse(relay_tunnel *t, unsigned code, const char *line)
{
    RELAY_RLOG(t->engine, APLOG_WARNING, 0, t->r, "%s", line);
    t->cause_logged = true;
    t->rpc_error = code;
    relay_tunnel_fail(t, RPCH_E_POLICY, "refused by policy or a limit", line);
}

static void hash_text(relay_tunnel *t, const char *text, relay_hash *out)
{
    relay_table_hash(t->engine->table, text, strlen(text), out);
}

static void make_claim(relay_tunnel *t, relay_claim *c)
{
    const relay_job *job = t->job;
    memset(c, 0, sizeof(*c));
    apr_generate_random_bytes(c->vc.b, sizeof(c->vc.b));
    c->kind = job->kind;
    hash_text(t, job->user, &c->user);
    hash_text(t, job->address, &c->address);
    c->identity = c->user;
    c->max_per_user = job->max_per_user;
    c->max_per_address = job->max_per_address;
    c->owner = t->engine->self;
    c->owner.channel = t->box.number;
    relay_label(t->r, &c->vc);
}

/* What is wrong, or NULL. */
static const char *claim_text(const relay_tunnel *t, relay_claim_result rc)
{
    switch (rc) {
    case RELAY_CLAIM_FIRST:
    case RELAY_CLAIM_SECOND:
        return NULL;
    case RELAY_CLAIM_USER_LIMIT:
        return apr_psprintf(t->r->pool, "%s has too many of %u channels "
                            "already (this is two); see RpcProxyMaxPerUser",
                            t->job->user, t->job->max_per_user);
    case RELAY_CLAIM_ADDRESS_LIMIT:
        return apr_psprintf(t->r->pool, "%s has too many of %u channels "
                            "already (this is two); see "
                            "RpcProxyMaxPerAddress", t->job->address,
                            t->job->max_per_address);
    default:
        return "the table of virtual connections is full; raise "
               "RpcProxyMaxConnections";
    }
}

static void claim(relay_tunnel *t)
{
    relay_counters none = { 0, 0 };
    relay_summary unused;
    relay_ref second;
    relay_claim c;
    const char *wrong;
    relay_engine_heard(t->engine, t->job);
    make_claim(t, &c);
    c.dir = RELAY_IN;
    wrong = claim_text(t, relay_table_claim(t->engine->table, &c, &t->ref));
    if (wrong == NULL) {
        c.dir = RELAY_OUT;
        wrong = claim_text(t, relay_table_claim(t->engine->table, &c,
                                                &second));
        if (wrong != NULL) {
            relay_table_release(t->engine->table, t->ref, RELAY_IN,
                                &c.owner, &none, RPCH_E_POLICY, "a limit",
                                &unused);
            t->ref.generation = 0;
        }
    }
    if (wrong != NULL)
        refuse(t, RELAY_RPC_TOO_BUSY,
               apr_pstrcat(t->r->pool, "RPX0352: version 1 connection "
                           "refused: ", wrong, NULL));
}

static void connected(relay_tunnel *t, rpch_msec now)
{
    char text[RELAY_ADDR_TEXT_SIZE];
    int on = 1;
    t->server_fd = t->connector.fd;
    t->connector.fd = -1;
    /* Version 1 has no Keep-Alive PDU: a host that vanishes shows by this. */
    setsockopt(t->server_fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    t->connecting = false;
    t->server_readable = true;
    t->moved = true;
    RELAY_RLOG(t->engine, APLOG_DEBUG, 0, t->r, "v1: connected to %s",
               relay_addr_text(&t->connector.peer, text));
    relay_connector_close(&t->connector);
    rpch_mixed_connected(&t->m, now);
}

static void connect_step(relay_tunnel *t, rpch_msec now)
{
    relay_waker waker;
    int status;
    relay_registry_waker(t->engine->registry, &t->box, &waker);
    if (!t->connecting)
        relay_connector_init(&t->connector, t->engine->resolver, t->job->to,
                             t->job->n_to, NULL, &waker,
                             now + t->job->connect_timeout);
    t->connecting = true;
    status = relay_connector_step(&t->connector, now);
    if (status == RPCH_AGAIN)
        return;
    if (status == RPCH_OK) {
        connected(t, now);
        return;
    }
    t->connecting = false;
    RELAY_RLOG(t->engine, APLOG_ERR, 0, t->r, "RPX0353: version 1 connection "
               "to %s: the server cannot be reached: %s", t->job->target,
               t->connector.error);
    t->cause_logged = true;
    relay_tunnel_fail(t, RPCH_E_CONNECT, "the server cannot be reached",
                      apr_pstrdup(t->r->pool, t->connector.error));
    relay_connector_close(&t->connector);
}

void relay_tunnel_open(relay_tunnel *t, rpch_msec now)
{
    if (!t->claimed) {
        t->claimed = true;
        apr_table_setn(t->r->subprocess_env, "RPC_CONNECTION", "-");
        if (t->job->refused)
            refuse(t, 0, t->job->refused);
        else
            claim(t);
    }
    if (t->m.core.status == RPCH_OK)
        connect_step(t, now);
}
