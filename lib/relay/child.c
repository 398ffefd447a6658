/* SPDX-License-Identifier: Apache-2.0 */
/*
 * child.c - NOTES
 *
 * What a child has (service thread, reactor, broker, registry, resolver,
 * blocks) lives in a pool of its own that nobody destroys. The reason is the
 * end of a child: prefork runs the child's cleanups inside its signal
 * handler, where no lock may be taken and no thread joined, and then exit()
 * destroys every pool while our threads still run. So the threads' memory is
 * outside of that, the module's code is pinned in a child (it would be
 * unmapped), and the cleanup only asks the threads to park and gives them a
 * moment.
 */
#include <ap_mpm.h>
#include <dlfcn.h>
#include <time.h>
#include <unistd.h>

#include "relay/reactor.h"
#include "relay/trim.h"
#include "relay/thread.h"

static void wake_survivor(void *baton, relay_ref ref, relay_dir dead,
                          const relay_peer *peer)
{
    relay_engine *e = baton;
    static const rpch_cookie none;
    if (peer->owner.pid != 0)
        relay_broker_wake(e->dir, &e->self, &peer->owner, &none);
}

static void *service(void *baton)
{
    relay_engine *e = baton;
    relay_heap heap = { 0, 0, 0, 0 };
    unsigned reaped;
    while (!__atomic_load_n(&e->stopping, __ATOMIC_ACQUIRE)) {
        relay_broker_serve(e->broker, 1000);
        relay_engine_pass_stop(e);
        if (__atomic_load_n(&e->stopping, __ATOMIC_ACQUIRE))
            break;
        reaped = e->table ? relay_table_reap(e->table, wake_survivor, e) : 0;
        if (reaped > 0 && !__atomic_load_n(&e->stopping, __ATOMIC_ACQUIRE))
            RELAY_SLOG(e, APLOG_WARNING, 0, e->server, "RPX0302: %u channels "
                       "of child processes that died were taken back", reaped);
        relay_heap_look(&heap, relay_room_changes(&e->room));
    }
    __atomic_store_n(&e->parked, 1, __ATOMIC_RELEASE);
    for (;;)
        pause();
    return NULL;
}

/* May run in a signal handler. */
static apr_status_t child_exit(void *data)
{
    relay_engine *e = data;
    struct timespec ms = { 0, 1000000 };
    int i;
    relay_reactor_stop(e);
    __atomic_store_n(&e->stopping, 1, __ATOMIC_RELEASE);
    if (e->table)
        relay_table_child_leave(e->table, &e->self);
    relay_broker_unlink(e->broker);
    relay_broker_interrupt(e->broker);
    for (i = 0; i < 100 && !__atomic_load_n(&e->parked, __ATOMIC_ACQUIRE); i++)
        nanosleep(&ms, NULL);
    return APR_SUCCESS;
}

static void pin_code(void)
{
    Dl_info info;
    if (dladdr((void *)(uintptr_t)&pin_code, &info) && info.dli_fname)
        dlopen(info.dli_fname, RTLD_NOW | RTLD_NOLOAD | RTLD_NODELETE);
}

static apr_status_t enter_table(relay_engine *e)
{
    relay_table_child_bury(e->table, (uint32_t)getpid());
    return relay_table_child_enter(e->table, &e->self);
}

apr_status_t relay_engine_child_init(relay_engine *e, apr_pool_t *pchild,
                                     server_rec *s)
{
    int threaded = 0;
    apr_status_t rv = apr_pool_create_unmanaged_ex(&e->pool, NULL, NULL);
    ap_mpm_query(AP_MPMQ_IS_THREADED, &threaded);
    e->threaded = threaded != AP_MPMQ_NOT_SUPPORTED;
    relay_engine_measure(e);
    if (rv == APR_SUCCESS && e->table)
        rv = enter_table(e);
    if (rv == APR_SUCCESS)
        rv = relay_registry_create(&e->registry, e->pool);
    if (rv == APR_SUCCESS)
        rv = relay_blocks_create(&e->blocks, RELAY_BLOCKS_KEEP, e->pool);
    if (rv == APR_SUCCESS && e->table)
        rv = relay_resolver_create(&e->resolver, RELAY_RESOLVER_THREADS,
                                   e->pool);
    if (rv == APR_SUCCESS)
        rv = relay_broker_create(&e->broker, e->dir, &e->self, e->registry,
                                 e->pool);
    if (rv != APR_SUCCESS)
        return rv;
    pin_code();
    rv = relay_thread_start(NULL, service, e);
    if (rv != APR_SUCCESS)
        return rv;
    /* The threads use what goes with pchild, also those of a child that has
     * no reactor for want of a descriptor or a thread. */
    apr_pool_pre_cleanup_register(pchild, e, child_exit);
    return relay_reactor_start(e);
}
