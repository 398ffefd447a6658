/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shrink.c - smaller forms of a broken script. Each step has a letter, so
 * that the smallest one can be made again from the seed.
 */
#include <string.h>

#include "trace.h"
#include "watch.h"
#include "world.h"

static void drop_fault(sim_script *s, uint32_t i)
{
    if (i >= s->faults)
        return;
    memmove(&s->fault[i], &s->fault[i + 1],
            (s->faults - i - 1) * sizeof(s->fault[0]));
    s->faults--;
}

static void fewer(uint32_t *n, uint32_t by)
{
    *n = *n > by ? *n - by : 0;
}

static void no_recycling(rpch_limits *l)
{
    l->channel_lifetime = 1u << 24;
}

/* What each letter does. */
static bool apply(sim_script *s, char step)
{
    switch (step) {
    case 'a': drop_fault(s, 0); break;
    case 'b': drop_fault(s, 1); break;
    case 'c': s->up /= 2; break;
    case 'd': s->down /= 2; break;
    case 'e': fewer(&s->up, 1); break;
    case 'f': fewer(&s->down, 1); break;
    case 'g': s->cuts = SIM_CUT_WHOLE; break;
    case 'h': s->think = 0; break;
    case 'i': s->lazy = 0; break;
    case 'j': s->room = SIM_PIPE_ROOM; break;
    case 'k': s->delay = 1; break;
    case 'l': s->link_room = SIM_LINK_ROOM; break;
    case 'm': s->banner = false; break;
    case 'n': s->children = 1; break;
    case 'o': s->smallest = s->largest; break;
    case 'p': s->client.ping_interval = s->proxy[0].ping_interval
              = s->proxy[1].ping_interval = 60000; break;
    case 'q': no_recycling(&s->client); break;
    case 'r': no_recycling(&s->proxy[0]); no_recycling(&s->proxy[1]); break;
    case 's': s->big_endian = 0; break;
    case 't': s->polite = true; break;
    default: return false;
    }
    if (s->up == 0 && s->down > 0)
        s->up = 1;
    return true;
}

bool sim_shrink_apply(sim_script *s, const char *steps)
{
    for (; *steps; steps++)
        if (!apply(s, *steps))
            return false;
    return true;
}

void sim_shrink(sim_script *s, char *steps, size_t room)
{
    static const char all[] = "bacdgklhijmnqrpstoef";
    bool smaller = true;
    size_t n = 0, i;

    while (smaller && n + 1 < room) {
        smaller = false;
        for (i = 0; all[i] && n + 1 < room; i++) {
            sim_script t = *s;

            apply(&t, all[i]);
            if (memcmp(&t, s, sizeof(t)) == 0 || sim_world_run(&t))
                continue;
            *s = t;
            steps[n++] = all[i];
            smaller = true;
        }
    }
    steps[n] = '\0';
}
