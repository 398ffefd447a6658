/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mixed.c - the mixed proxy, 3.1.2.
 *
 * What may happen when is the table next[][]. The specification has one
 * state, Client Opened, for what are CONNECT, LEGACYW and RESPONSE here, and
 * no timers; ours are bounds for servers that do not answer.
 */
#include "rpch/mixed.h"

#include <string.h>

#define BUG RPCH_CELL_BUG
#define STAY RPCH_CELL_STAY
#define ERR RPCH_CELL_ERR
#define DROP RPCH_CELL_DROP
#define LEG (RPCH_MIXED_LEGACYW + 1)
#define RESP (RPCH_MIXED_RESPONSE + 1)
#define OPEN (RPCH_MIXED_OPENED + 1)
#define FIN (RPCH_MIXED_FINISHED + 1)

#define SILENT "the client sends no more and the server is silent"

/* Nothing is read from the client before OPENED (3.1.2.5.1), nor from the
 * server while it is not connected or the head is still to be sent. */
static const signed char next[RPCH_MIXED_EV_MAX][RPCH_MIXED_STATE_MAX] = {
    /*                     CONNECT LEGACYW RESPONSE OPENED FINISHED */
    [RPCH_MIXED_EV_CONNECTED] =    { LEG,  BUG,  BUG,  BUG,  DROP },
    [RPCH_MIXED_EV_JOINED] =       { RESP, BUG,  BUG,  BUG,  DROP },
    [RPCH_MIXED_EV_BANNER] =       { BUG,  RESP, BUG,  BUG,  DROP },
    [RPCH_MIXED_EV_RESPONDED] =    { BUG,  BUG,  OPEN, BUG,  DROP },
    [RPCH_MIXED_EV_CLIENT_RPC] =   { BUG,  BUG,  BUG,  STAY, DROP },
    [RPCH_MIXED_EV_CLIENT_RTS] =   { BUG,  BUG,  BUG,  ERR,  DROP },
    [RPCH_MIXED_EV_SERVER_RPC] =   { BUG,  ERR,  BUG,  STAY, DROP },
    [RPCH_MIXED_EV_SERVER_RTS] =   { BUG,  ERR,  BUG,  ERR,  DROP },
    [RPCH_MIXED_EV_CLIENT_END] =   { STAY, STAY, STAY, STAY, DROP },
    [RPCH_MIXED_EV_CLIENT_CLOSE] = { FIN,  FIN,  FIN,  FIN,  DROP },
    [RPCH_MIXED_EV_SERVER_CLOSE] = { FIN,  FIN,  FIN,  FIN,  DROP },
    [RPCH_MIXED_EV_TIMEOUT] =      { FIN,  FIN,  FIN,  FIN,  DROP },
    [RPCH_MIXED_EV_FAIL] =         { FIN,  FIN,  FIN,  FIN,  DROP },
};

static const char *const state_name[RPCH_MIXED_STATE_MAX] = {
    "CONNECT", "LEGACYW", "RESPONSE", "OPENED", "FINISHED"
};

static const char *const event_name[RPCH_MIXED_EV_MAX] = {
    [RPCH_MIXED_EV_CONNECTED] = "connected",
    [RPCH_MIXED_EV_JOINED] = "connected by ncacn_ip_tcp",
    [RPCH_MIXED_EV_BANNER] = "banner",
    [RPCH_MIXED_EV_RESPONDED] = "responded",
    [RPCH_MIXED_EV_CLIENT_RPC] = "RPC PDU from client",
    [RPCH_MIXED_EV_CLIENT_RTS] = "RTS PDU from client",
    [RPCH_MIXED_EV_SERVER_RPC] = "RPC PDU from server",
    [RPCH_MIXED_EV_SERVER_RTS] = "RTS PDU from server",
    [RPCH_MIXED_EV_CLIENT_END] = "client sends no more",
    [RPCH_MIXED_EV_CLIENT_CLOSE] = "client closed",
    [RPCH_MIXED_EV_SERVER_CLOSE] = "server closed",
    [RPCH_MIXED_EV_TIMEOUT] = "timeout",
    [RPCH_MIXED_EV_FAIL] = "failure",
};
/* Puts an event through the table; status and reason are its own error, for
 * an event that ends the machine. The only writer of core.state. */
static int happen(rpch_mixed *m, rpch_mixed_event ev, int status,
                  const char *reason)
{
    const rpch_machine_table *t = rpch_mixed_table();
    int cell = rpch_core_look_up(&m->core, t, ev, m->core.state);

    if (cell == BUG)
        rpch_core_end(&m->core, RPCH_E_BUG,
                      "an event that cannot be in this state");
    else if (cell == ERR || cell == FIN)
        rpch_core_end(&m->core, status, reason);
    m->core.state = rpch_core_next(&m->core, t, ev, m->core.state);
    return m->core.status;
}

static int fail(rpch_mixed *m, int status, const char *reason)
{
    return happen(m, RPCH_MIXED_EV_FAIL, status, reason);
}

/* True when the next bytes of the server may be taken. */
static bool takes_server(const rpch_mixed *m)
{
    return m->core.state == RPCH_MIXED_LEGACYW
        || m->core.state == RPCH_MIXED_OPENED;
}

void rpch_mixed_init(rpch_mixed *m, const rpch_limits *limits, unsigned flags,
                     rpch_log_fn *log, void *baton, rpch_msec now)
{
    memset(m, 0, sizeof(*m));
    rpch_core_init(&m->core, limits, flags, log, baton);
    m->core.deadline = rpch_after(now, limits->open_timeout);
    rpch_cutter_init(&m->client, false);
    rpch_cutter_init(&m->server, (flags & RPCH_JOINED) == 0);
}

int rpch_mixed_client_recv(rpch_mixed *m, const uint8_t *in, size_t len,
                           rpch_step *step)
{
    rpch_cut cut;

    memset(step, 0, sizeof(*step));
    if (m->core.state != RPCH_MIXED_OPENED || m->client_ended)
        return m->core.status;
    if (rpch_cutter_next(&m->client, in, len, &cut) != RPCH_OK)
        return fail(m, m->client.status, m->client.reason);
    step->used = cut.used;
    if (cut.kind == RPCH_CUT_RTS)
        return happen(m, RPCH_MIXED_EV_CLIENT_RTS, RPCH_E_UNEXPECTED,
                      "RTS PDU from a client of version 1");
    if (cut.kind != RPCH_CUT_RPC)
        return RPCH_OK;
    if (cut.first)
        (void)happen(m, RPCH_MIXED_EV_CLIENT_RPC, RPCH_OK, NULL);
    if (cut.last) {
        m->in_bytes += cut.pdu.frag_len;
        m->in_pdus++;
    }
    rpch_step_pass(step, &cut);
    return RPCH_OK;
}

/* What a server says in the place of its banner, 2.1.1.2.1. */
static int no_banner(rpch_mixed *m, rpch_mixed_event ev)
{
    return happen(m, ev, RPCH_E_BANNER,
                  "the server's greeting is not ncacn_http/1.0");
}

/* A cut of the server's stream in LEGACYW. */
static int take_greeting(rpch_mixed *m, const rpch_cut *cut)
{
    switch (cut->kind) {
    case RPCH_CUT_BANNER:
        return happen(m, RPCH_MIXED_EV_BANNER, RPCH_OK, NULL);
    case RPCH_CUT_RPC:
        return no_banner(m, RPCH_MIXED_EV_SERVER_RPC);
    case RPCH_CUT_RTS:
        return no_banner(m, RPCH_MIXED_EV_SERVER_RTS);
    default:
        return RPCH_OK;
    }
}

int rpch_mixed_server_recv(rpch_mixed *m, const uint8_t *in, size_t len,
                           rpch_step *step, rpch_msec now)
{
    rpch_cut cut;

    memset(step, 0, sizeof(*step));
    if (!takes_server(m))
        return m->core.status;
    if (rpch_cutter_next(&m->server, in, len, &cut) != RPCH_OK)
        return m->core.state == RPCH_MIXED_LEGACYW
             ? no_banner(m, RPCH_MIXED_EV_FAIL)
             : fail(m, m->server.status, m->server.reason);
    step->used = cut.used;
    if (m->core.state == RPCH_MIXED_LEGACYW)
        return take_greeting(m, &cut);
    if (m->client_ended)
        m->core.deadline = rpch_after(now, m->core.limits.drain_timeout);
    if (cut.kind == RPCH_CUT_RTS)
        return happen(m, RPCH_MIXED_EV_SERVER_RTS, RPCH_E_UNEXPECTED,
                      "RTS PDU from the server in version 1");
    if (cut.kind != RPCH_CUT_RPC)
        return RPCH_OK;
    if (cut.first)
        (void)happen(m, RPCH_MIXED_EV_SERVER_RPC, RPCH_OK, NULL);
    if (cut.last) {
        m->out_bytes += cut.pdu.frag_len;
        m->out_pdus++;
    }
    rpch_step_pass(step, &cut);
    return RPCH_OK;
}

int rpch_mixed_connected(rpch_mixed *m, rpch_msec now)
{
    bool joined = (m->core.flags & RPCH_JOINED) != 0;

    if (m->core.state == RPCH_MIXED_CONNECT)
        m->core.deadline = rpch_after(now, m->core.limits.open_timeout);
    return happen(m, joined ? RPCH_MIXED_EV_JOINED : RPCH_MIXED_EV_CONNECTED,
                  RPCH_OK, NULL);
}

/* From when the client ended on: how long its server may be silent. */
static void arm_end(rpch_mixed *m, rpch_msec now)
{
    m->core.deadline = m->client_ended
                       ? rpch_after(now, m->core.limits.drain_timeout)
                       : RPCH_NEVER;
}

int rpch_mixed_responded(rpch_mixed *m, rpch_msec now)
{
    if (m->core.state == RPCH_MIXED_RESPONSE)
        arm_end(m, now);
    return happen(m, RPCH_MIXED_EV_RESPONDED, RPCH_OK, NULL);
}

void rpch_mixed_client_ended(rpch_mixed *m, rpch_msec now)
{
    (void)happen(m, RPCH_MIXED_EV_CLIENT_END, RPCH_OK, NULL);
    m->client_ended = true;
    if (m->core.state == RPCH_MIXED_OPENED)
        arm_end(m, now);
}

void rpch_mixed_client_closed(rpch_mixed *m)
{
    (void)happen(m, RPCH_MIXED_EV_CLIENT_CLOSE, RPCH_E_CLOSED,
                 "the client closed");
}

void rpch_mixed_server_closed(rpch_mixed *m)
{
    (void)happen(m, RPCH_MIXED_EV_SERVER_CLOSE, RPCH_E_CLOSED,
                 "the server closed the connection");
}

void rpch_mixed_fail(rpch_mixed *m, int status, const char *reason)
{
    (void)fail(m, status, reason);
}

unsigned rpch_mixed_wants(const rpch_mixed *m)
{
    unsigned wants = 0;

    switch (m->core.state) {
    case RPCH_MIXED_CONNECT:
        return RPCH_WANT_CONNECT;
    case RPCH_MIXED_LEGACYW:
        return RPCH_WANT_SERVER_READ;
    case RPCH_MIXED_RESPONSE:
        return RPCH_WANT_RESPONSE;
    case RPCH_MIXED_OPENED:
        wants = m->client_ended ? RPCH_WANT_SHUTDOWN : RPCH_WANT_CLIENT_READ;
        return wants | RPCH_WANT_SERVER_READ;
    default:
        return RPCH_WANT_CLOSE;
    }
}

rpch_msec rpch_mixed_deadline(const rpch_mixed *m)
{
    return m->core.deadline;
}

int rpch_mixed_timeout(rpch_mixed *m, rpch_msec now)
{
    static const char *const reason[RPCH_MIXED_STATE_MAX] = {
        [RPCH_MIXED_CONNECT] = "no connection to the server in time",
        [RPCH_MIXED_LEGACYW] = "no ncacn_http/1.0 from the server in time",
        [RPCH_MIXED_RESPONSE] = "the response could not be sent in time",
        [RPCH_MIXED_OPENED] = SILENT,
    };

    if (m->core.deadline == RPCH_NEVER || now < m->core.deadline)
        return m->core.status;
    return happen(m, RPCH_MIXED_EV_TIMEOUT, RPCH_E_TIMEOUT,
                  reason[m->core.state]);
}

const char *rpch_mixed_state_name(rpch_mixed_state s)
{
    return (unsigned)s < RPCH_MIXED_STATE_MAX ? state_name[s] : "unknown";
}

const char *rpch_mixed_event_name(rpch_mixed_event e)
{
    return (unsigned)e < RPCH_MIXED_EV_MAX ? event_name[e] : "unknown";
}

static const char *name_state(int state)
{
    return rpch_mixed_state_name((rpch_mixed_state)state);
}

static const char *name_event(int event)
{
    return rpch_mixed_event_name((rpch_mixed_event)event);
}

const rpch_machine_table *rpch_mixed_table(void)
{
    static const rpch_machine_table table = {
        RPCH_TABLE_MIXED, "mixed", RPCH_MIXED_EV_MAX, RPCH_MIXED_STATE_MAX,
        &next[0][0], name_event, name_state
    };

    return &table;
}
