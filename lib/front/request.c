/* SPDX-License-Identifier: Apache-2.0 */
/* request.c - from mod_proxy's scheme handler to a stream of the engine */
#include "front/request.h"

#include <apr_strings.h>
#include <http_core.h>
#include <http_protocol.h>
#include <string.h>
#include <strings.h>

#include "front/address.h"
#include "front/ask.h"
#include "front/front.h"
#include "front/pin.h"
#include "front/policy.h"
#include "front/reply.h"
#include "relay/bridge.h"

/* Bodies up to this size make a request an echo request, 2.1.2.1.5: it has a
 * short answer, and the connection goes on. */
#define ECHO_BODY_MAX 16

/* Descriptors of a stream: both connections. */
#define FILES 2

/* Everything that is learnt of one request. */
typedef struct asked {
    request_rec *r;
    const front_dir_conf *conf;
    const front_method *method; /* NULL: none of RPC over HTTP's */
    front_address to;
    front_body body;
    front_identity who;
    front_inner *inner;
    const char *target;
} asked;

static bool has_no_body(const front_body *b)
{
    return !b->chunked && b->length == 0;
}

/* Answers with status and a line of text, without ErrorDocument, and without
 * waiting for a body: the client may wait for this answer. */
static int refuse(const asked *q, int status, const char *text)
{
    return relay_answer(q->r, status, ap_get_status_line(status), "text/plain",
                        text, strlen(text), !has_no_body(&q->body)
                        || q->r->connection->keepalive == AP_CONN_CLOSE);
}

static bool is_echo(const front_body *b)
{
    return !b->chunked && b->length <= ECHO_BODY_MAX;
}

/* A body of which httpd must not wait for the rest. */
static bool is_long(const front_body *b)
{
    return b->chunked || b->length > RELAY_BRIDGE_SHORT;
}

/* What mod_proxy has found for it may come here: a balancer has not chosen
 * yet. */
static bool may_be_ours(const request_rec *r)
{
    const char *url = r->filename;
    if (r->proxyreq != PROXYREQ_REVERSE || url == NULL
        || strncmp(url, "proxy:", 6) != 0)
        return false;
    url += 6;
    return front_address_is_ours(url) || strncasecmp(url, "balancer:", 9) == 0;
}

int front_request_header_parser(request_rec *r)
{
    front_body body;
    if (!may_be_ours(r) || front_policy_method(r) == NULL)
        return DECLINED;
    if (!front_ask_body(r, &body) || is_long(&body))
        r->connection->keepalive = AP_CONN_CLOSE;
    return DECLINED;
}

/* relay_bridge_job.respond */
static void respond(void *baton, request_rec *r, const relay_head *h)
{
    const asked *q = baton;
    front_reply_set(r, h, q->who.replaced, q->inner->name);
    /* The client's connection is authenticated where this one is. */
    if (q->inner->bound && !h->keeps)
        r->connection->keepalive = AP_CONN_CLOSE;
}

/* relay_bridge_job.release; the request may be gone when the connection is
 * kept. */
static void release(void *baton, bool reusable, uint64_t up, uint64_t down)
{
    asked *q = baton;
    front_inner *in = q->inner;
    q->inner = NULL;
    if (in == NULL)
        return;
    /* "To" and "From" of balancer-manager, as mod_proxy_http counts them */
    __atomic_fetch_add(&in->worker->s->transferred, (apr_off_t)up,
                       __ATOMIC_RELAXED);
    __atomic_fetch_add(&in->worker->s->read, (apr_off_t)down,
                       __ATOMIC_RELAXED);
    front_pin_release(in, reusable);
}

/* May the request be a leg of a handshake, or an echo request: something with
 * a short answer behind which the client goes on with the connection? */
static bool has_short_answer(const asked *q)
{
    return is_echo(&q->body)
        || (!is_long(&q->body) && front_credentials_go_on(&q->who.passed));
}

/* Who asks, for log lines. What the client says of itself is not checked
 * here. */
static const char *user_of(const asked *q)
{
    request_rec *r = q->r;
    if (r->user && *r->user)
        return apr_pstrcat(r->pool, "user ", r->user, NULL);
    if (*q->who.sent.user)
        return apr_pstrcat(r->pool, "unchecked user ", q->who.sent.user, NULL);
    return apr_pstrcat(r->pool, "anonymous ", r->useragent_ip, NULL);
}

static relay_bridge_job *make_job(asked *q, const proxy_server_conf *conf)
{
    const front_method *m = q->method;
    const front_dir_conf *dir = q->conf;
    relay_bridge_job *job = apr_pcalloc(q->r->pool, sizeof(*job));
    job->what = m ? m->what : q->r->method;
    job->target = q->target;
    job->user = user_of(q);
    job->member = q->inner->name;
    job->answer_timeout = (rpch_msec)apr_time_as_msec(
        front_inner_timeout(q->r, q->inner->worker, conf));
    job->idle_timeout = (rpch_msec)front_get(dir, FRONT_IDLE_TIMEOUT);
    job->stall_timeout = (rpch_msec)front_get(dir, FRONT_STALL_TIMEOUT);
    job->drain_timeout = (rpch_msec)front_get(dir, FRONT_DRAIN_TIMEOUT);
    job->observe = m && m->rpc && !is_echo(&q->body);
    job->strict = front_get(dir, FRONT_STRICT) != 0;
    job->hold = has_short_answer(q);
    job->chunked = q->body.chunked;
    job->respond = respond;
    job->release = release;
    job->baton = q;
    return job;
}

/* The connection that the client's has, or a new one; the head is written.
 * One that was kept may have ended just now: then a new one is tried. */
static int connect_and_ask(asked *q, proxy_worker *worker,
                           const proxy_server_conf *conf)
{
    request_rec *r = q->r;
    front_inner *in = front_pin_take(r, worker, &q->to);
    bool kept = in != NULL, made;
    const char *head;
    apr_pool_t *p;
    int status = kept ? OK : front_inner_open(&in, r, worker, conf, &q->to);
    if (status != OK)
        return status;
    apr_pool_create(&p, r->pool);
    head = front_ask_head(p, r, in, conf, &q->to, &q->who, &q->body);
    made = head != NULL;
    status = made ? front_inner_write(in, r, head, strlen(head))
                  : HTTP_INTERNAL_SERVER_ERROR;
    apr_pool_destroy(p);
    if (status == OK) {
        in->bound |= front_credentials_are_bound(&q->who.passed);
        q->inner = in;
        return OK;
    }
    front_pin_release(in, false);
    return kept && made ? connect_and_ask(q, worker, conf) : status;
}

/* What makes sense for this handler at all. */
static int check_url(asked *q, const proxy_worker *worker, const char *url)
{
    request_rec *r = q->r;
    if (*worker->s->uds_path || apr_table_get(r->notes, "uds_path")) {
        ap_log_rerror(APLOG_MARK, APLOG_ERR, 0, r, "RPX0538: refused: inner "
                      "proxies are reached by TCP, not by unix: sockets");
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    if (!front_address_read(r, url, &q->to)) {
        ap_log_rerror(APLOG_MARK, APLOG_ERR, 0, r, "RPX0539: refused: the "
                      "URL of the inner proxy cannot be read: %s", url);
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    return OK;
}

/* OK, or what was answered: *result is what the handler returns. */
static bool is_allowed(asked *q, int *result)
{
    request_rec *r = q->r;
    const char *text = "";
    int status = front_policy_check(r, q->conf, q->method, &text);
    q->target = "-";
    if (status == OK)
        status = front_ask_identity(r, q->conf, &q->who, &text);
    if (status == OK && q->method && q->method->rpc) {
        status = front_policy_target(r, q->conf, q->to.uri.query, &q->target,
                                     &text);
        apr_table_setn(r->subprocess_env, "RPC_TARGET", q->target);
        if (status == HTTP_SERVICE_UNAVAILABLE) {
            *result = relay_answer_error(r, RELAY_RPC_UNAVAILABLE, false);
            return false;
        }
    }
    if (status != OK)
        *result = refuse(q, status, text);
    return status == OK;
}

int front_request_serve(request_rec *r, proxy_worker *worker,
                        proxy_server_conf *conf, char *url,
                        const char *proxyname, apr_port_t proxyport)
{
    asked *q;
    int status;
    if (!front_address_is_ours(url))
        return DECLINED;
    if (proxyname) /* ProxyRemote; mod_proxy comes again without it */
        return DECLINED;
    q = apr_pcalloc(r->pool, sizeof(*q));
    q->r = r;
    q->conf = front_conf_of(r);
    q->method = front_policy_method(r);
    status = check_url(q, worker, url);
    if (status != OK)
        return status;
    if (!front_ask_body(r, &q->body))
        return HTTP_BAD_REQUEST; /* httpd would have refused it */
    if (is_long(&q->body))
        r->connection->keepalive = AP_CONN_CLOSE;
    if (!is_allowed(q, &status))
        return status;
    if (front_engine() == NULL) {
        ap_log_rerror(APLOG_MARK, APLOG_ERR, 0, r, "RPX0510: refused: the "
                      "engine of this child process could not be started, "
                      "see the log of its start");
        return relay_answer_error(r, RELAY_RPC_TOO_BUSY, false);
    }
    if (!relay_engine_seat(front_engine(), r, FILES))
        return relay_answer_error(r, RELAY_RPC_TOO_BUSY, false);
    status = connect_and_ask(q, worker, conf);
    if (status != OK) {
        /* or the error would wait for the body, as the client may for it */
        if (!has_no_body(&q->body))
            r->connection->keepalive = AP_CONN_CLOSE;
        return status;
    }
    if (q->method)
        apr_table_setn(r->subprocess_env, "RPC_CHANNEL", q->method->channel);
    /* Where there is no body nobody waits, and httpd would end the connection
     * for it. */
    if (has_no_body(&q->body))
        r->expecting_100 = 0;
    relay_answer_continue(r);
    /* the access log may want it, and it is asked for where that may block */
    (void)ap_get_useragent_host(r, REMOTE_NAME, NULL);
    return relay_bridge_serve(front_engine(), r, q->inner->c,
                              make_job(q, conf));
}
