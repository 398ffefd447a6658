/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tables.c - prints, for the guard of docs/conformance.md, every RTS PDU that
 * the library knows and every cell of every machine's table:
 *
 *   pdu|NUMBER|NAME|SECTION|SIZE
 *   cell|TABLE|ROLE|EVENT|NAME|STATE|NAME|WHAT
 *
 * WHAT is the next state, "stay", "protocol error", "ignored" or
 * "impossible".
 */
#include <stdio.h>

#include "rpch/client.h"
#include "rpch/inbound.h"
#include "rpch/mixed.h"
#include "rpch/outbound.h"
#include "rpch/rts_table.h"
#include "rpch/server.h"

static const char *what(const rpch_machine_table *t, int cell)
{
    switch (cell) {
    case RPCH_CELL_BUG:
        return "impossible";
    case RPCH_CELL_STAY:
        return "stay";
    case RPCH_CELL_ERR:
        return "protocol error";
    case RPCH_CELL_DROP:
        return "ignored";
    default:
        return t->state_name(cell - 1);
    }
}

static void print_table(const rpch_machine_table *t)
{
    int e, s;

    for (e = 0; e < t->events; e++)
        for (s = 0; s < t->states; s++)
            printf("cell|%d|%s|%d|%s|%d|%s|%s\n", (int)t->id, t->role, e,
                   t->event_name(e), s, t->state_name(s),
                   what(t, t->next[e * t->states + s]));
}

int main(void)
{
    const rpch_rts_row *row;
    int i;

    for (i = 0; i < RPCH_PDU_ID_MAX; i++) {
        row = rpch_rts_row_of((rpch_pdu_id)i);
        printf("pdu|%d|%s|%s|%u\n", i, row->name, row->section,
               (unsigned)row->size);
    }
    print_table(&rpch_inbound_table);
    print_table(&rpch_outbound_table);
    print_table(&rpch_server_table);
    print_table(&rpch_server_in_table);
    print_table(&rpch_server_out_table);
    print_table(&rpch_client_table);
    print_table(&rpch_client_in_table);
    print_table(&rpch_client_out_table);
    print_table(rpch_mixed_table());
    return 0;
}
