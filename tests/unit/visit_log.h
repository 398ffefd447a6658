/* SPDX-License-Identifier: Apache-2.0 */
/*
 * visit_log.h - notes which cells of the machines' tables a program visits,
 * in the file that $RPCH_VISITS names: "program table event state", once for
 * each process.
 */
#ifndef RPCH_VISIT_LOG_H
#define RPCH_VISIT_LOG_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rpch/machine.h"

#define VISIT_EVENTS_MAX 64
#define VISIT_STATES_MAX 32

extern char *program_invocation_short_name; /* of glibc */

/* A watcher for rpch_core_watch. */
static inline void visit_log(void *baton, rpch_table_id table, int event,
                             int state)
{
    static bool seen[RPCH_TABLE_MAX][VISIT_EVENTS_MAX][VISIT_STATES_MAX];
    static const char *path;
    const char *name = program_invocation_short_name;
    FILE *f;

    if (seen[table][event][state])
        return;
    if (path == NULL)
        path = getenv("RPCH_VISITS");
    if (path == NULL)
        path = "";
    if (*path == '\0')
        return;
    seen[table][event][state] = true;
    if (strncmp(name, "lt-", 3) == 0) /* of libtool's wrapper */
        name += 3;
    f = fopen(path, "a"); /* one line is one write */
    if (f == NULL || fprintf(f, "%s %d %d %d\n", name, (int)table, event,
                             state) < 0 || fclose(f) != 0) {
        perror(path);
        abort();
    }
}

#endif
