/* SPDX-License-Identifier: Apache-2.0 */
/*
 * visits.h - has every machine that a test starts note which cells of its
 * tables are visited (visit_log.h). Stands in for the _init functions; nothing
 * happens without $RPCH_VISITS.
 */
#ifndef RPCH_VISITS_H
#define RPCH_VISITS_H

#include "visit_log.h"

#include "rpch/client.h"
#include "rpch/inbound.h"
#include "rpch/mixed.h"
#include "rpch/outbound.h"
#include "rpch/server.h"

/* A watcher that a test has set itself, and of which machine. */
typedef struct visits_own {
    const rpch_core *core;
    rpch_visit_fn *fn;
    void *baton;
} visits_own;

/* Notes the visit, then tells the test's own watcher. */
static inline void visits_both(void *baton, rpch_table_id table, int event,
                               int state)
{
    const visits_own *own = baton;

    visit_log(NULL, table, event, state);
    own->fn(own->baton, table, event, state);
}

/* Stands in for rpch_core_watch. */
static inline void visits_watch(rpch_core *core, rpch_visit_fn *fn,
                                void *baton)
{
    static visits_own own[16];
    size_t i = 0;

    if (fn == NULL) {
        rpch_core_watch(core, visit_log, NULL);
        return;
    }
    while (i < 15 && own[i].core != NULL && own[i].core != core)
        i++;
    own[i].core = core;
    own[i].fn = fn;
    own[i].baton = baton;
    rpch_core_watch(core, visits_both, &own[i]);
}

#define rpch_core_watch visits_watch
#define rpch_client_init(m, ...) \
    (rpch_client_init(m, __VA_ARGS__), \
     visits_watch(&(m)->core, NULL, NULL))
#define rpch_inbound_init(m, ...) \
    (rpch_inbound_init(m, __VA_ARGS__), \
     visits_watch(&(m)->core, NULL, NULL))
#define rpch_mixed_init(m, ...) \
    (rpch_mixed_init(m, __VA_ARGS__), \
     visits_watch(&(m)->core, NULL, NULL))
#define rpch_outbound_init(m, ...) \
    (rpch_outbound_init(m, __VA_ARGS__), \
     visits_watch(&(m)->core, NULL, NULL))
#define rpch_server_init(m, ...) \
    (rpch_server_init(m, __VA_ARGS__), \
     visits_watch(&(m)->core, NULL, NULL))

#endif
