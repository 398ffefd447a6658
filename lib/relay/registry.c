/* SPDX-License-Identifier: Apache-2.0 */
/*
 * registry.c - the channels of this child, by number, and their mailboxes.
 *
 * One lock guards the numbers and all mailboxes: what happens under it is a
 * few loads and at most one write to an eventfd, which cannot block. The
 * lock is never destroyed, since a pool may go while the process exits and
 * its other threads still run.
 */
#include "relay/registry.h"

#include <errno.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define BUCKETS 256u /* a power of two */

struct relay_registry {
    pthread_mutex_t lock;
    uint64_t last;  /* the number given last */
    unsigned count;
    relay_mailbox *bucket[BUCKETS];
};

apr_status_t relay_registry_create(relay_registry **out, apr_pool_t *pool)
{
    relay_registry *reg = apr_pcalloc(pool, sizeof(*reg));
    int rc = pthread_mutex_init(&reg->lock, NULL);
    if (rc) {
        return rc;
    }
    *out = reg;
    return APR_SUCCESS;
}

static relay_mailbox **bucket_of(relay_registry *reg, uint64_t number)
{
    return &reg->bucket[number % BUCKETS];
}

static relay_mailbox *find(relay_registry *reg, uint64_t number)
{
    relay_mailbox *box = *bucket_of(reg, number);
    while (box && box->number != number) {
        box = box->next;
    }
    return box;
}

/* Fails only when the counter is near its end: then it is readable anyway. */
static void ring(const relay_mailbox *box)
{
    const uint64_t one = 1;
    ssize_t n;
    do {
        n = write(box->event_fd, &one, sizeof(one));
    } while (n < 0 && errno == EINTR);
}

static void silence(const relay_mailbox *box)
{
    uint64_t rung;
    ssize_t n;
    do {
        n = read(box->event_fd, &rung, sizeof(rung));
    } while (n < 0 && errno == EINTR);
}

apr_status_t relay_registry_enter(relay_registry *reg, relay_mailbox *box)
{
    relay_mailbox **bucket;
    box->links = 0;
    box->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (box->event_fd < 0) {
        return errno;
    }
    pthread_mutex_lock(&reg->lock);
    box->number = ++reg->last;
    bucket = bucket_of(reg, box->number);
    box->next = *bucket;
    *bucket = box;
    reg->count++;
    pthread_mutex_unlock(&reg->lock);
    return APR_SUCCESS;
}

void relay_registry_leave(relay_registry *reg, relay_mailbox *box)
{
    relay_mailbox **from;
    pthread_mutex_lock(&reg->lock);
    from = bucket_of(reg, box->number);
    while (*from && *from != box) {
        from = &(*from)->next;
    }
    if (*from) {
        *from = box->next;
        reg->count--;
    }
    pthread_mutex_unlock(&reg->lock);
    /* Nobody finds the box any more. */
    while (box->links > 0) {
        close(box->link[--box->links].fd);
    }
    if (box->event_fd >= 0) {
        close(box->event_fd);
        box->event_fd = -1;
    }
}

bool relay_registry_wake(relay_registry *reg, uint64_t number)
{
    relay_mailbox *box;
    pthread_mutex_lock(&reg->lock);
    box = find(reg, number);
    if (box) {
        ring(box);
    }
    pthread_mutex_unlock(&reg->lock);
    return box != NULL;
}

void relay_registry_wake_all(relay_registry *reg)
{
    unsigned i;
    pthread_mutex_lock(&reg->lock);
    for (i = 0; i < BUCKETS; i++) {
        const relay_mailbox *box;
        for (box = reg->bucket[i]; box; box = box->next) {
            ring(box);
        }
    }
    pthread_mutex_unlock(&reg->lock);
}

bool relay_registry_deliver(relay_registry *reg, uint64_t number, int fd,
                            const relay_msg *join)
{
    relay_mailbox *box;
    bool taken = false;
    pthread_mutex_lock(&reg->lock);
    box = find(reg, number);
    if (box && box->links < RELAY_MAILBOX_LINKS_MAX) {
        box->link[box->links].fd = fd;
        box->link[box->links].join = *join;
        /* What a message borrows is gone when the channel reads this. */
        box->link[box->links].join.pdu = NULL;
        box->link[box->links].join.pdu_len = 0;
        box->link[box->links].join.data = NULL;
        box->link[box->links].join.data_len = 0;
        box->links++;
        ring(box);
        taken = true;
    }
    pthread_mutex_unlock(&reg->lock);
    return taken;
}

bool relay_registry_take(relay_registry *reg, relay_mailbox *box, int *fd,
                         relay_msg *join)
{
    bool taken = false;
    int i;
    pthread_mutex_lock(&reg->lock);
    silence(box);
    if (box->links > 0) {
        *fd = box->link[0].fd;
        *join = box->link[0].join;
        box->links--;
        for (i = 0; i < box->links; i++) {
            box->link[i] = box->link[i + 1];
        }
        taken = true;
    }
    pthread_mutex_unlock(&reg->lock);
    return taken;
}

unsigned relay_registry_count(relay_registry *reg)
{
    unsigned n;
    pthread_mutex_lock(&reg->lock);
    n = reg->count;
    pthread_mutex_unlock(&reg->lock);
    return n;
}
