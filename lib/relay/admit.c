/* SPDX-License-Identifier: Apache-2.0 */
/*
 * admit.c - the seat of a channel, or of another stream, in its child, from
 * before anything is made for it until its connection is gone.
 */
#include <ap_mpm.h>
#include <string.h>
#include <sys/resource.h>

#include "relay/clock.h"
#include "relay/conn.h"

/* Descriptors of an open channel: client and server, and the link to the
 * other half where that is ours to find. */
#define FILES_NATIVE 2
#define FILES_JOINED 3

void relay_engine_set_max_channels(relay_engine *e, uint32_t max)
{
    e->max_channels = max;
}

static uint64_t open_files(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0
        || limit.rlim_cur == RLIM_INFINITY)
        return UINT32_MAX;
    return limit.rlim_cur;
}

void relay_engine_measure(relay_engine *e)
{
    int threads = 0, async = 0;
    ap_mpm_query(AP_MPMQ_MAX_THREADS, &threads);
    ap_mpm_query(AP_MPMQ_IS_ASYNC, &async);
    /* The loop in a request thread is woken by one more descriptor. */
    e->loop_files = e->async && async == 1 ? 0 : 1;
    relay_room_init(&e->room, e->max_channels, open_files(),
                    threads > 0 ? (unsigned)threads : 1);
}

/* Once in a while: a full child refuses many. */
static void tell(relay_engine *e, request_rec *r, relay_room_result why)
{
    unsigned untold;
    if (!relay_room_tell(&e->room, relay_now(), &untold))
        return;
    if (why == RELAY_ROOM_CHANNELS)
        RELAY_RLOG(e, APLOG_WARNING, 0, r, "RPX0327: refused: this child has "
                   "%u channels already%s (%u more were refused since the "
                   "last such line)", e->max_channels,
                   e->table ? "; see RpcProxyMaxChannelsPerChild" : "",
                   untold);
    else
        RELAY_RLOG(e, APLOG_WARNING, 0, r, "RPX0328: refused: this child has "
                   "few descriptors left; raise the limit of open files or "
                   "ServerLimit and MaxRequestWorkers (%u more were refused "
                   "since the last such line)", untold);
}

static void refuse(relay_engine *e, request_rec *r, const relay_job *job,
                   relay_room_result why)
{
    if (why == RELAY_ROOM_USER)
        RELAY_RLOG(e, APLOG_WARNING, 0, r, "RPX0329: refused: %u requests of "
                   "%s have not sent their first PDU; see RpcProxyMaxPerUser",
                   job->max_per_user, job->user);
    else if (why == RELAY_ROOM_ADDRESS)
        RELAY_RLOG(e, APLOG_WARNING, 0, r, "RPX0332: refused: %u requests "
                   "from %s have not sent their first PDU; see "
                   "RpcProxyMaxPerAddress", job->max_per_address,
                   job->address);
    else
        tell(e, r, why);
}

/* A seat with the engine that it is of: what a cleanup is told. */
typedef struct seated {
    relay_engine *engine;
    relay_seat seat;
} seated;

/* May run in a signal handler (prefork). */
static apr_status_t leave(void *data)
{
    seated *s = data;
    relay_room_leave(&s->engine->room, &s->seat);
    return APR_SUCCESS;
}

/* The client's descriptor lives as long as its connection's pool. */
static seated *keep(relay_engine *e, conn_rec *c, const relay_seat *seat)
{
    seated *s = apr_palloc(c->pool, sizeof(*s));
    s->engine = e;
    s->seat = *seat;
    apr_pool_cleanup_register(c->pool, s, leave, apr_pool_cleanup_null);
    return s;
}

bool relay_engine_admit(relay_engine *e, request_rec *r, relay_job *job)
{
    conn_rec *c = r->connection;
    relay_room_result why;
    relay_seat seat;
    memset(&seat, 0, sizeof(seat));
    seat.files = e->loop_files + (job->kind == RELAY_NCACN_IP_TCP
                                  ? FILES_JOINED : FILES_NATIVE);
    relay_table_hash(e->table, job->user, strlen(job->user), &seat.user);
    relay_table_hash(e->table, job->address, strlen(job->address),
                     &seat.address);
    seat.max_per_user = job->max_per_user;
    seat.max_per_address = job->max_per_address;
    why = relay_room_take(&e->room, &seat, relay_conn_fd(c));
    if (why != RELAY_ROOM_OK) {
        refuse(e, r, job, why);
        return false;
    }
    /* A channel is the last request of its connection. */
    job->seat = &keep(e, c, &seat)->seat;
    return true;
}

bool relay_engine_seat(relay_engine *e, request_rec *r, unsigned files)
{
    conn_rec *c = r->connection;
    relay_room_result why;
    relay_seat seat;
    if (relay_conn_get(e, c, "seat"))
        return true;
    memset(&seat, 0, sizeof(seat));
    seat.files = e->loop_files + files;
    why = relay_room_take(&e->room, &seat, relay_conn_fd(c));
    if (why != RELAY_ROOM_OK) {
        tell(e, r, why);
        return false;
    }
    /* Nobody asks here who is silent. */
    relay_room_heard(&e->room, &seat);
    relay_conn_set(e, c, "seat", keep(e, c, &seat));
    return true;
}

void relay_engine_heard(relay_engine *e, const relay_job *job)
{
    relay_room_heard(&e->room, job->seat);
}
