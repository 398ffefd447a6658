/* SPDX-License-Identifier: Apache-2.0 */
/*
 * request.c - from the request's head to an answer or to the engine.
 *
 * The order of the checks is what an outsider may learn: nobody who is not
 * authenticated hears anything of URLs or targets, and a target that policy
 * refuses is told from one that does not answer in the log only.
 */
#include "rpcproxy/request.h"

#include <ap_expr.h>
#include <apr_strings.h>
#include <http_core.h>
#include <http_protocol.h>
#include <string.h>
#include <strings.h>

#include "rpch/machine.h"
#include "rpch/rts_table.h"
#include "rpch/url.h"
#include "rpcproxy/access.h"
#include "rpcproxy/route.h"
#include "rpcproxy/rpcproxy.h"
#include "rpcproxy/value.h"

/* A channel ends no later than that after its successor took over, ms, when
 * its client takes nothing more. */
#define PREDECESSOR_TIMEOUT 10000

/* The bytes of an OUT channel's lifetime that are left when the proxy's own
 * server role has it replaced: more than Windows' 8 KiB for a long lifetime,
 * since what is on its way then should fit. */
#define RECYCLE_RESERVE_MAX 262144u

/* Bodies up to this size make a request an echo request, 2.1.2.1.5. */
#define ECHO_BODY_MAX 16

/* The body of the request that opens an OUT channel, 2.1.2.1.2. */
#define OUT_BODY_SIZE 76

/* The head's announcement of the body. */
typedef struct announced {
    bool chunked;
    bool length_given;
    apr_off_t length;
} announced;

/* Everything the checks learn of one request. */
typedef struct entry {
    request_rec *r;
    const rpcproxy_dir_conf *conf;
    bool version1; /* RPC_CONNECT: both directions */
    relay_dir dir;
    announced body;
    const char *user;
    rpch_target target; /* a kilobyte: a channel keeps a copy of the name */
} entry;

/* False when Content-Length is not a number; httpd refuses that as well, but
 * only when the body is read. */
static bool read_announced(const request_rec *r, announced *out)
{
    const char *length = apr_table_get(r->headers_in, "Content-Length");

    memset(out, 0, sizeof(*out));
    out->chunked = apr_table_get(r->headers_in, "Transfer-Encoding") != NULL;
    if (length == NULL || out->chunked) {
        return true;
    }
    out->length_given = true;
    return ap_parse_strict_length(&out->length, length);
}

static bool read_direction(const request_rec *r, relay_dir *dir)
{
    if (strcmp(r->method, "RPC_IN_DATA") == 0) {
        *dir = RELAY_IN;
        return true;
    }
    if (strcmp(r->method, "RPC_OUT_DATA") == 0) {
        *dir = RELAY_OUT;
        return true;
    }
    return false;
}

static bool is_version1(const request_rec *r)
{
    return strcmp(r->method, "RPC_CONNECT") == 0;
}

/* Reads and drops a small body of a stream of HTTP/2. Its connection always
 * counts as one that closes, so that httpd would leave the body unread, and a
 * client that is reset while it sends may not look at the answer. */
static void drop_stream_body(request_rec *r)
{
    conn_rec *c = r->connection;
    ap_conn_keepalive_e saved = c->keepalive;

    if (c->master) {
        c->keepalive = AP_CONN_UNKNOWN;
        ap_discard_request_body(r);
        c->keepalive = saved;
    }
}

/* Answers with status and a line of text, without ErrorDocument. But for
 * HTTP/2 it never waits for a body: the client may wait for this answer. */
static int refuse(request_rec *r, int status, const char *text)
{
    announced body;
    bool empty = read_announced(r, &body) && !body.chunked
                 && body.length == 0 && !is_version1(r);

    if (body.length <= OUT_BODY_SIZE && !body.chunked) {
        drop_stream_body(r);
    }
    return relay_answer(r, status, ap_get_status_line(status), "text/plain",
                        text, strlen(text),
                        !empty
                        || r->connection->keepalive == AP_CONN_CLOSE);
}

/* r->handler is not set yet; what SetHandler says is. httpd keeps even a
 * plain name as an expression. */
static bool is_ours(request_rec *r)
{
    const core_dir_config *core = ap_get_core_module_config(
        r->per_dir_config);
    const char *handler = core->handler;
    const char *error = NULL;

    if (core->expr_handler) {
        handler = ap_expr_str_exec(r, core->expr_handler, &error);
    }
    return error == NULL && handler && strcmp(handler, "rpcproxy") == 0;
}

int rpcproxy_header_parser(request_rec *r)
{
    announced body;
    relay_dir dir;
    apr_off_t harmless;

    if (!is_ours(r)) {
        return DECLINED;
    }
    if (!rpcproxy_access_tls(r, rpcproxy_conf_of(r))) {
        refuse(r, HTTP_FORBIDDEN, RPCPROXY_HTTPS_ONLY);
        return DONE;
    }
    if (is_version1(r)) {
        harmless = 0;
    }
    else if (read_direction(r, &dir)) {
        harmless = dir == RELAY_IN ? ECHO_BODY_MAX : OUT_BODY_SIZE;
    }
    else {
        return DECLINED;
    }
    if (!read_announced(r, &body) || body.chunked
        || body.length > harmless) {
        r->connection->keepalive = AP_CONN_CLOSE;
    }
    return DECLINED;
}

static int refuse_method(request_rec *r, bool version1_on)
{
    if (is_version1(r)) {
        ap_log_rerror(APLOG_MARK, APLOG_WARNING, 0, r,
                      "RPX0220: refused: RPC_CONNECT, version 1 of RPC over "
                      "HTTP is not accepted; see RpcProxyVersion1");
    }
    else {
        ap_log_rerror(APLOG_MARK, APLOG_INFO, 0, r,
                      "RPX0221: refused: the method is neither RPC_IN_DATA "
                      "nor RPC_OUT_DATA");
    }
    apr_table_setn(r->err_headers_out, "Allow",
                   version1_on ? "RPC_IN_DATA, RPC_OUT_DATA, RPC_CONNECT"
                               : "RPC_IN_DATA, RPC_OUT_DATA");
    return refuse(r, HTTP_METHOD_NOT_ALLOWED,
                  "This is an RPC over HTTP proxy.\n");
}

static bool is_echo(const entry *e)
{
    return !e->body.chunked && e->body.length <= ECHO_BODY_MAX;
}

/* The answer to an echo request, and to the empty requests that NTLM is
 * negotiated with: the connection goes on. */
static int answer_echo(request_rec *r)
{
    rpch_rts_values none;
    uint8_t *pdu = apr_palloc(r->pool, RPCH_RTS_SIZE_MAX);
    size_t len = 0;

    memset(&none, 0, sizeof(none));
    if (rpch_rts_make(RPCH_ECHO, &none, pdu, RPCH_RTS_SIZE_MAX, &len)
        != RPCH_OK) {
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    drop_stream_body(r);
    return relay_answer(r, HTTP_OK, "200 Success", "application/rpc", pdu,
                        len, false);
}

/* OK, or the answer's status: what both versions need. */
static int check_target(entry *e, const char **text)
{
    request_rec *r = e->r;
    const char *reason = NULL;
    const char *query = r->args ? r->args : "";

    if (r->connection->master) {
        ap_log_rerror(APLOG_MARK, APLOG_WARNING, 0, r,
                      "RPX0222: refused: a channel cannot be a stream of "
                      "HTTP/2; offer http/1.1 to this client (Protocols)");
        *text = "RPC over HTTP needs HTTP/1.1.\n";
        return HTTP_NOT_IMPLEMENTED;
    }
    if (rpch_url_parse_query(query, strlen(query), &e->target, &reason)
        != RPCH_OK) {
        ap_log_rerror(APLOG_MARK, APLOG_INFO, 0, r,
                      "RPX0223: refused: the URL has no server:port behind "
                      "the '?': %s", reason);
        *text = apr_psprintf(r->pool, "The URL must end in ?server:port: "
                             "%s.\n", reason);
        return HTTP_BAD_REQUEST;
    }
    return OK;
}

/* The same: a body announced is no tunnel, 2.1.1.1.1. */
static int check_tunnel(entry *e, const char **text)
{
    request_rec *r = e->r;
    int status = check_target(e, text);

    if (status != OK
        || (apr_table_get(r->headers_in, "Content-Length") == NULL
            && apr_table_get(r->headers_in, "Transfer-Encoding") == NULL)) {
        return status;
    }
    ap_log_rerror(APLOG_MARK, APLOG_INFO, 0, r,
                  "RPX0229: refused: RPC_CONNECT has neither Content-Length "
                  "nor Transfer-Encoding");
    *text = "RPC_CONNECT has neither Content-Length nor Transfer-Encoding.\n";
    return HTTP_BAD_REQUEST;
}

/* The same for a channel request of version 2. */
static int check_channel(entry *e, const char **text)
{
    request_rec *r = e->r;
    apr_off_t limit = ap_get_limit_req_body(r);
    int status = check_target(e, text);

    if (status != OK) {
        return status;
    }
    if (e->body.chunked) {
        ap_log_rerror(APLOG_MARK, APLOG_INFO, 0, r,
                      "RPX0224: refused: the body of a channel request is "
                      "never chunked");
        *text = "Channel requests have a Content-Length.\n";
        return HTTP_BAD_REQUEST;
    }
    if (e->dir == RELAY_IN && e->body.length < RPCH_LIFETIME_MIN) {
        ap_log_rerror(APLOG_MARK, APLOG_INFO, 0, r,
                      "RPX0225: refused: an IN channel of %" APR_OFF_T_FMT
                      " bytes; 0 to 16 are an echo request, a channel has "
                      "131072 at least", e->body.length);
        *text = "The Content-Length of an IN channel is 131072 at least.\n";
        return HTTP_BAD_REQUEST;
    }
    if (limit > 0 && e->body.length > limit) {
        ap_log_rerror(APLOG_MARK, APLOG_WARNING, 0, r,
                      "RPX0226: refused: a channel of %" APR_OFF_T_FMT
                      " bytes is above LimitRequestBody (%" APR_OFF_T_FMT
                      "); set it to 0 here", e->body.length, limit);
        *text = "The request body is too large.\n";
        return HTTP_REQUEST_ENTITY_TOO_LARGE;
    }
    return OK;
}

/* "rpcproxy-quiet" in httpd's manner of special-purpose variables; "0" as
 * the value is the way to take it back with SetEnvIf. */
static bool is_quiet(const request_rec *r)
{
    const char *quiet = apr_table_get(r->subprocess_env, "rpcproxy-quiet");

    return quiet && strcmp(quiet, "0") != 0;
}

static uint32_t recycle_reserve(uint32_t lifetime)
{
    uint32_t reserve = lifetime / 16;

    if (reserve > RECYCLE_RESERVE_MAX) {
        return RECYCLE_RESERVE_MAX;
    }
    return reserve < RPCH_RECYCLE_OUT_DEFAULT ? RPCH_RECYCLE_OUT_DEFAULT
                                              : reserve;
}

static void set_limits(const entry *e, rpch_limits *out)
{
    const rpcproxy_dir_conf *conf = e->conf;
    const char *pragma = e->dir == RELAY_OUT
                         ? apr_table_get(e->r->headers_in, "Pragma") : NULL;

    out->receive_window = (uint32_t)rpcproxy_get(conf,
                                                 RPCPROXY_RECEIVE_WINDOW);
    out->channel_lifetime = (uint32_t)rpcproxy_get(conf,
                                                   RPCPROXY_CHANNEL_LIFETIME);
    out->connection_timeout =
        (uint32_t)rpcproxy_get(conf, RPCPROXY_CONNECTION_TIMEOUT);
    out->ping_interval = (rpch_msec)rpcproxy_value_ping_interval(
        rpcproxy_get(conf, RPCPROXY_PING_INTERVAL), out->connection_timeout,
        pragma);
    out->first_pdu_timeout =
        (rpch_msec)rpcproxy_get(conf, RPCPROXY_HANDSHAKE_TIMEOUT);
    out->open_timeout = out->first_pdu_timeout;
    out->switch_timeout = (rpch_msec)rpcproxy_get(conf,
                                                  RPCPROXY_STALL_TIMEOUT);
    out->recycle_reserve = is_quiet(e->r)
                           ? 0 : recycle_reserve(out->channel_lifetime);
    out->ping_notify = 0;
    out->drain_timeout = e->version1
        ? (rpch_msec)rpcproxy_get(conf, RPCPROXY_STALL_TIMEOUT)
        : PREDECESSOR_TIMEOUT;
}

static const char *vhost_of(const request_rec *r)
{
    const server_rec *s = r->server;
    unsigned port = s->port ? s->port : r->connection->local_addr->port;

    return apr_psprintf(r->pool, "%s:%u",
                        s->server_hostname ? s->server_hostname : "", port);
}

/* ResourceTypeUuid and SessionId are kept for logs and programs, and mean
 * nothing else (3.2.3.1.5, 3.2.3.1.6). Clients may put a secret into the
 * second one: of it the error log gets enough to tell it from others. */
static void note_pragma(request_rec *r)
{
    const char *pragma = apr_table_get(r->headers_in, "Pragma");
    char resource[RPCPROXY_UUID_TEXT_SIZE];
    char session[RPCPROXY_UUID_TEXT_SIZE];
    bool has_resource = rpcproxy_value_pragma_uuid(pragma, "ResourceTypeUuid=",
                                                   resource);
    bool has_session = rpcproxy_value_pragma_uuid(pragma, "SessionId=",
                                                  session);

    if (has_resource) {
        apr_table_set(r->subprocess_env, "RPC_RESOURCE", resource);
    }
    if (has_session) {
        apr_table_set(r->subprocess_env, "RPC_SESSION", session);
    }
    if (has_resource || has_session) {
        ap_log_rerror(APLOG_MARK, APLOG_DEBUG, 0, r,
                      "the client says: ResourceTypeUuid %s, SessionId %.8s",
                      has_resource ? resource : "-",
                      has_session ? session : "-");
    }
}

static relay_job *make_job(const entry *e)
{
    request_rec *r = e->r;
    const rpcproxy_dir_conf *conf = e->conf;
    const rpch_target *t = &e->target;
    const char *name = apr_pstrdup(r->pool, t->name);
    relay_job *job = apr_pcalloc(r->pool, sizeof(*job));
    char *target = apr_psprintf(r->pool, strchr(t->name, ':') ? "[%s]:%u"
                                : "%s:%u", t->name, (unsigned)t->port);
    rpcproxy_way way;

    ap_str_tolower(target);
    rpcproxy_route_resolve(r->pool, conf->routes, name, t->port, &way);
    job->dir = e->dir;
    set_limits(e, &job->limits);
    job->flags = is_quiet(r) ? RPCH_QUIET : 0;
    job->connect_timeout = (rpch_msec)rpcproxy_get(conf,
                                                   RPCPROXY_CONNECT_TIMEOUT);
    job->idle_timeout = (rpch_msec)rpcproxy_get(conf, RPCPROXY_IDLE_TIMEOUT);
    job->stall_timeout = (rpch_msec)rpcproxy_get(conf,
                                                 RPCPROXY_STALL_TIMEOUT);
    job->drain_timeout = (rpch_msec)rpcproxy_get(conf,
                                                 RPCPROXY_DRAIN_TIMEOUT);
    job->kind = way.kind;
    job->to = way.to;
    job->n_to = way.n_to;
    job->user = e->user;
    job->address = relay_addr_network(r->useragent_ip,
                                      apr_palloc(r->pool,
                                                 RELAY_ADDR_TEXT_SIZE));
    job->vhost = vhost_of(r);
    job->target = target;
    job->refused = rpcproxy_access_target(r, conf, t->name, t->port);
    job->max_per_user = (uint32_t)rpcproxy_get(conf, RPCPROXY_MAX_PER_USER);
    job->max_per_address =
        (uint32_t)rpcproxy_get(conf, RPCPROXY_MAX_PER_ADDRESS);
    job->extended_errors = rpcproxy_get(conf, RPCPROXY_EXTENDED_ERRORS) != 0;
    apr_table_setn(r->subprocess_env, "RPC_TARGET", target);
    return job;
}

/* For logs and programs, once it is a channel. */
static void note_channel(const entry *e, const relay_job *job)
{
    apr_table_setn(e->r->subprocess_env, "RPC_CHANNEL",
                   e->version1 ? "v1" : job->dir == RELAY_IN ? "in" : "out");
    note_pragma(e->r);
}

/* The access log may want the client's name (HostnameLookups), which is kept
 * once it is known. It is asked for here, where it costs a worker's time: at
 * its end a channel may share its thread with all others. */
static void look_up_client(request_rec *r)
{
    (void)ap_get_useragent_host(r, REMOTE_NAME, NULL);
}

static int relay(const entry *e)
{
    relay_engine *engine = rpcproxy_engine();
    relay_job *job;

    if (engine == NULL) {
        ap_log_rerror(APLOG_MARK, APLOG_ERR, 0, e->r,
                      "RPX0228: refused: the engine of this child process "
                      "could not be started, see the log of its start");
        return relay_answer_error(
            e->r, RELAY_RPC_TOO_BUSY,
            rpcproxy_get(e->conf, RPCPROXY_EXTENDED_ERRORS) != 0);
    }
    job = make_job(e);
    if (!relay_engine_admit(engine, e->r, job)) {
        return relay_answer_error(e->r, RELAY_RPC_TOO_BUSY,
                                  job->extended_errors);
    }
    note_channel(e, job);
    relay_answer_continue(e->r);
    look_up_client(e->r);
    return e->version1 ? relay_tunnel_serve(engine, e->r, job)
                       : relay_serve(engine, e->r, job);
}

int rpcproxy_handler(request_rec *r)
{
    entry e = { .r = r };
    const char *text = NULL;
    bool version1_on;
    int status;

    if (!r->handler || strcmp(r->handler, "rpcproxy") != 0) {
        return DECLINED;
    }
    e.conf = rpcproxy_conf_of(r);
    status = rpcproxy_access_check(r, e.conf, &e.user, &text);
    if (status != OK) {
        return refuse(r, status, text);
    }
    version1_on = rpcproxy_get(e.conf, RPCPROXY_VERSION1) != 0;
    e.version1 = version1_on && is_version1(r);
    if (e.version1) {
        status = check_tunnel(&e, &text);
        return status == OK ? relay(&e) : refuse(r, status, text);
    }
    if (!read_direction(r, &e.dir)) {
        return refuse_method(r, version1_on);
    }
    if (!read_announced(r, &e.body)) {
        ap_log_rerror(APLOG_MARK, APLOG_INFO, 0, r,
                      "RPX0227: refused: Content-Length is not a number");
        return refuse(r, HTTP_BAD_REQUEST,
                      "Content-Length is not a number.\n");
    }
    if (is_echo(&e)) {
        return answer_echo(r);
    }
    status = check_channel(&e, &text);
    if (status != OK) {
        return refuse(r, status, text);
    }
    return relay(&e);
}
