/* SPDX-License-Identifier: Apache-2.0 */
/* visits.c - counters beside the tables of the machines */
#include "visits.h"

#include <inttypes.h>

#include "rpch/client.h"
#include "rpch/inbound.h"
#include "rpch/outbound.h"
#include "rpch/server.h"
#include "trace.h"

#define CELLS 1024

static const rpch_machine_table *const tables[] = {
    &rpch_inbound_table, &rpch_outbound_table,
    &rpch_server_table, &rpch_server_in_table, &rpch_server_out_table,
    &rpch_client_table, &rpch_client_in_table, &rpch_client_out_table
};

#define TABLES (sizeof(tables) / sizeof(tables[0]))

static uint64_t count[RPCH_TABLE_MAX][CELLS];
static int states[RPCH_TABLE_MAX];
static bool ended[1024]; /* by -status */
static bool over;

static void visit(void *baton, rpch_table_id table, int event, int state)
{
    count[table][event * states[table] + state]++;
}

void sim_visits_watch(rpch_core *core)
{
    size_t i;

    if (states[RPCH_TABLE_INBOUND] == 0)
        for (i = 0; i < TABLES; i++)
            states[tables[i]->id] = tables[i]->states;
    rpch_core_watch(core, visit, NULL);
}

void sim_visits_start(void)
{
    int s;

    over = false;
    for (s = 100; s < 1000; s++)
        ended[s] = false;
}

void sim_visits_status(const rpch_core *core, bool hostile)
{
    int status = core->status;

    sim_must(status < 0, "a machine ends without a status");
    if (status == RPCH_E_BUG || status == RPCH_E_VALUE
        || status == RPCH_E_ROOM)
        sim_break("a machine ends with %s: %s", rpch_status_name(status),
                  core->reason ? core->reason : "");
    if (!hostile && !over)
        ended[-status] = true;
}

void sim_visits_over(void)
{
    over = true;
}

bool sim_visits_ended(int status)
{
    return ended[-status];
}

/* A cell in which something happens. Where an event is ignored, or cannot be,
 * there is nothing to see: in most such cells it is not even looked up. */
static bool is_live(int cell)
{
    return cell != RPCH_CELL_BUG && cell != RPCH_CELL_DROP;
}

static unsigned print_table(FILE *to, const rpch_machine_table *t)
{
    int cells = t->events * t->states, c;
    int live = 0, seen = 0, ignored = 0, seen_ignored = 0;

    for (c = 0; c < cells; c++) {
        bool visited = count[t->id][c] > 0;

        live += is_live(t->next[c]);
        seen += is_live(t->next[c]) && visited;
        ignored += t->next[c] == RPCH_CELL_DROP;
        seen_ignored += t->next[c] == RPCH_CELL_DROP && visited;
    }
    fprintf(to, "%-10s %2d events x %2d states: visited %d of %d cells in "
            "which something happens, %d of %d in which nothing does\n",
            t->role, t->events, t->states, seen, live, seen_ignored, ignored);
    for (c = 0; c < cells; c++)
        if (is_live(t->next[c]) && count[t->id][c] == 0)
            fprintf(to, "  not visited: %s in %s\n",
                    t->event_name(c / t->states),
                    t->state_name(c % t->states));
    return (unsigned)(live - seen);
}

unsigned sim_visits_print(FILE *to)
{
    unsigned missing = 0;
    size_t i;

    for (i = 0; i < TABLES; i++)
        missing += print_table(to, tables[i]);
    return missing;
}

void sim_visits_write(FILE *to)
{
    size_t i;
    int c;

    for (i = 0; i < TABLES; i++) {
        const rpch_machine_table *t = tables[i];

        for (c = 0; c < t->events * t->states; c++)
            if (count[t->id][c] > 0)
                fprintf(to, "%s\t%s\t%s\t%" PRIu64 "\n", t->role,
                        t->event_name(c / t->states),
                        t->state_name(c % t->states), count[t->id][c]);
    }
}
