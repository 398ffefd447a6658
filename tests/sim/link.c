/* SPDX-License-Identifier: Apache-2.0 */
/* link.c - the messages between channels, really encoded and decoded */
#include "link.h"

#include <string.h>

#include "trace.h"
#include "wire.h"

typedef struct letter {
    uint8_t b[RELAY_MSG_SIZE_MAX];
    size_t len;
    int fd;
    sim_tick ready;
} letter;

/* What goes to one end. */
typedef struct box {
    letter l[SIM_LINK_ROOM];
    unsigned at, n; /* a ring */
    int holder;     /* actor, or -1 */
    bool open;
    bool cut;       /* the link is broken */
    bool wanting;   /* the other end waits for room */
} box;

static box boxes[2 * SIM_LINKS];
static unsigned room;

void sim_link_start(unsigned most)
{
    int i;

    room = most < SIM_LINK_ROOM ? most : SIM_LINK_ROOM;
    for (i = 0; i < 2 * SIM_LINKS; i++) {
        boxes[i].open = false;
        boxes[i].n = 0;
    }
}

static void open_box(box *b, int holder)
{
    b->at = b->n = 0;
    b->holder = holder;
    b->open = true;
    b->cut = false;
    b->wanting = false;
}

int sim_link_open(int a, int b)
{
    int e;

    for (e = 0; e < 2 * SIM_LINKS; e += 2) {
        if (!boxes[e].open && !boxes[e + 1].open && boxes[e].n == 0
            && boxes[e + 1].n == 0) {
            open_box(&boxes[e], a);
            open_box(&boxes[e + 1], b);
            return e;
        }
    }
    return -1;
}

void sim_link_hold(int end, int actor)
{
    boxes[end].holder = actor;
    sim_link_watch(end);
    if (actor >= 0)
        sim_wake(actor, sim_time.now + 1);
}

int sim_link_send(int end, const relay_msg *m, int fd)
{
    box *to = &boxes[end ^ 1];
    letter *l;

    if (!to->open || to->cut)
        return RPCH_E_CLOSED;
    if (to->n == room) {
        to->wanting = true;
        return RPCH_AGAIN;
    }
    l = &to->l[(to->at + to->n) % SIM_LINK_ROOM];
    sim_must(relay_msg_encode(m, l->b, sizeof(l->b), &l->len) == RPCH_OK,
             "a message cannot be encoded");
    l->fd = fd;
    l->ready = sim_arrival();
    if (to->n > 0) {
        letter *before = &to->l[(to->at + to->n - 1) % SIM_LINK_ROOM];

        if (l->ready < before->ready)
            l->ready = before->ready;
    }
    to->n++;
    sim_wake(to->holder, l->ready);
    return RPCH_OK;
}

int sim_link_recv(int end, relay_msg *m, int *fd)
{
    box *b = &boxes[end];
    const char *reason = NULL;
    letter *l = &b->l[b->at];

    *fd = SIM_NO_FD;
    if (b->n == 0)
        return boxes[end ^ 1].open && !b->cut ? RPCH_AGAIN : RPCH_E_CLOSED;
    if (l->ready > sim_time.now)
        return RPCH_AGAIN;
    if (relay_msg_decode(l->b, l->len, m, &reason) != RPCH_OK)
        sim_break("a message between channels cannot be decoded: %s",
                  reason ? reason : "no reason");
    *fd = l->fd;
    b->at = (b->at + 1) % SIM_LINK_ROOM;
    b->n--;
    if (b->wanting) {
        b->wanting = false;
        sim_wake(boxes[end ^ 1].holder, sim_arrival());
    }
    return RPCH_OK;
}

bool sim_link_ready(int end)
{
    const box *b = &boxes[end];

    return b->n > 0 ? b->l[b->at].ready <= sim_time.now
                    : !boxes[end ^ 1].open || b->cut;
}

bool sim_link_dead(int end)
{
    return !boxes[end ^ 1].open || boxes[end].cut;
}

void sim_link_watch(int end)
{
    const box *b = &boxes[end];

    if (b->n > 0)
        sim_wake(b->holder, b->l[b->at].ready > sim_time.now
                            ? b->l[b->at].ready : sim_time.now + 1);
    else if (!boxes[end ^ 1].open || b->cut)
        sim_wake(b->holder, sim_time.now + 1);
}

void sim_fd_drop(int fd)
{
    if (fd == SIM_NO_FD)
        return;
    if (SIM_FD_IS_LINK(fd))
        sim_link_close(SIM_LINK_OF_FD(fd));
    else
        sim_sock_release(fd);
}

/* Drops what was not read. */
static void empty(box *b)
{
    while (b->n > 0) {
        int fd = b->l[b->at].fd;

        b->at = (b->at + 1) % SIM_LINK_ROOM;
        b->n--;
        sim_fd_drop(fd);
    }
}

void sim_link_break(int end)
{
    int i;

    for (i = 0; i < 2; i++) {
        box *b = &boxes[end ^ i];

        b->cut = true;
        empty(b);
        sim_wake(b->holder, sim_arrival());
    }
}

void sim_link_close(int end)
{
    box *b = &boxes[end];

    if (!b->open)
        return;
    b->open = false;
    b->holder = -1;
    empty(b);
    sim_wake(boxes[end ^ 1].holder, sim_arrival());
}

unsigned sim_link_ends(void)
{
    unsigned n = 0;
    int e;

    for (e = 0; e < 2 * SIM_LINKS; e++)
        n += boxes[e].open;
    return n;
}

int sim_link_any(void)
{
    int from = (int)sim_random(2 * SIM_LINKS), i;

    for (i = 0; i < 2 * SIM_LINKS; i++) {
        int e = (from + i) % (2 * SIM_LINKS);

        if (boxes[e].open && boxes[e].holder >= 0)
            return e;
    }
    return -1;
}
