/* SPDX-License-Identifier: Apache-2.0 */
/* watch.c - acks as an observer of the wire reads them */
#include "watch.h"

#include "rpch/wire.h"
#include "trace.h"
#include "wire.h"

bool sim_watch_forged;
bool sim_watch_misled;
static int cuts;

void sim_watch_cuts(int how)
{
    cuts = how;
}

size_t sim_watch_cut(size_t n)
{
    uint32_t k;

    if (cuts == SIM_CUT_WHOLE || n == 1)
        return n;
    if (cuts == SIM_CUT_BYTES)
        return 1;
    k = sim_random(4);
    if (k == 0)
        return n;
    if (k == 1)
        return 1 + sim_random(n < 24 ? (uint32_t)n : 24);
    return 1 + sim_random((uint32_t)n);
}

/* The receiver of what is written into p has received so many bytes and
 * offers room for so many more. */
static void book(sim_pipe *p, uint32_t received, uint32_t available)
{
    sim_account *a = &p->account;

    if (!a->on || sim_watch_forged)
        return;
    if (available > a->window)
        sim_break("%s: an ack offers %u of a window of %u", sim_pipe_name(p),
                  available, a->window);
    if (received > a->sent)
        sim_break("%s: an ack for %u bytes, of %llu sent", sim_pipe_name(p),
                  received, (unsigned long long)a->sent);
    if ((uint64_t)received + available > a->limit)
        a->limit = (uint64_t)received + available;
}

static void book_channel(const uint8_t *cmd, bool is_in)
{
    sim_conn *c = sim_conn_of(cmd + 12, is_in);

    if (c != NULL)
        book(is_in ? &c->up : &c->down, rpch_le32(cmd + 4),
             rpch_le32(cmd + 8));
}

void sim_watch_rts(sim_pipe *p, const uint8_t *rts, uint32_t n)
{
    bool is_server = p->stream == SIM_S_UP || p->stream == SIM_S_DOWN;

    if (rpch_le16(rts + 16) != 2)
        return;
    if (n == 48 && rpch_le32(rts + 20) == 1) {
        if (is_server)
            book(p->back, rpch_le32(rts + 24), rpch_le32(rts + 28));
    } else if (n == 56 && rpch_le32(rts + 20) == 13) {
        uint32_t dest = rpch_le32(rts + 24);

        if (dest == 0 && p->stream == SIM_C_OUT)
            book_channel(rts + 28, true);
        /* The observer of a joined connection sees them here only; one that
         * sees them twice allows no more than one that sees them once. */
        if (dest == 3 && (p->stream == SIM_C_IN || p->stream == SIM_S_DOWN))
            book_channel(rts + 28, false);
    }
}
