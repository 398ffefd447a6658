/* SPDX-License-Identifier: Apache-2.0 */
/*
 * registry.c - the channels of this child, by number, and their mailboxes.
 *
 * One lock guards the numbers and all mailboxes: what happens under it is a
 * few loads and at most one write to an eventfd, which cannot block. Only a
 * poller's lock, which is a leaf, is taken inside it. The lock is never
 * destroyed, since a pool may go while the process exits and its other threads
 * still run.
 */
#include "relay/registry.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define BUCKETS 256u /* a power of two */

/* A link whose greeting was read. */
struct relay_mail {
    struct relay_mail *next;
    int fd;
    relay_msg join; /* its JOIN or ATTACH (no borrowed pointers in it) */
};

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
    if (box->bell) {
        relay_poller_ring(box->bell);
        return;
    }
    do {
        n = write(box->event_fd, &one, sizeof(one));
    } while (n < 0 && errno == EINTR);
}

static void silence(const relay_mailbox *box)
{
    uint64_t rung;
    ssize_t n;
    if (box->bell)
        return;
    do {
        n = read(box->event_fd, &rung, sizeof(rung));
    } while (n < 0 && errno == EINTR);
}

apr_status_t relay_registry_enter(relay_registry *reg, relay_mailbox *box,
                                  relay_task *bell)
{
    relay_mailbox **bucket;
    box->mail = NULL;
    box->bell = bell;
    box->event_fd = bell ? -1 : eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (!bell && box->event_fd < 0) {
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
    while (box->mail) {
        struct relay_mail *mail = box->mail;
        box->mail = mail->next;
        close(mail->fd);
        free(mail);
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

static void wake(void *reg, uint64_t number)
{
    relay_registry_wake(reg, number);
}

void relay_registry_waker(relay_registry *reg, const relay_mailbox *box,
                          relay_waker *out)
{
    out->fn = wake;
    out->baton = reg;
    out->number = box->number;
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

/* The end of box's list, or NULL when it is full. */
static struct relay_mail **room_in(relay_mailbox *box)
{
    struct relay_mail **end = &box->mail;
    int n;
    for (n = 0; *end; n++) {
        end = &(*end)->next;
    }
    return n < RELAY_MAILBOX_LINKS_MAX ? end : NULL;
}

bool relay_registry_deliver(relay_registry *reg, uint64_t number, int fd,
                            const relay_msg *join)
{
    struct relay_mail *mail = malloc(sizeof(*mail));
    struct relay_mail **end = NULL;
    relay_mailbox *box;
    if (!mail) {
        return false;
    }
    mail->next = NULL;
    mail->fd = fd;
    mail->join = *join;
    /* What a message borrows is gone when the channel reads this. */
    mail->join.pdu = NULL;
    mail->join.pdu_len = 0;
    mail->join.data = NULL;
    mail->join.data_len = 0;
    pthread_mutex_lock(&reg->lock);
    box = find(reg, number);
    if (box) {
        end = room_in(box);
    }
    if (end) {
        *end = mail;
        ring(box);
    }
    pthread_mutex_unlock(&reg->lock);
    if (!end) {
        free(mail);
    }
    return end != NULL;
}

bool relay_registry_take(relay_registry *reg, relay_mailbox *box, int *fd,
                         relay_msg *join)
{
    struct relay_mail *mail;
    pthread_mutex_lock(&reg->lock);
    silence(box);
    mail = box->mail;
    if (mail) {
        box->mail = mail->next;
    }
    pthread_mutex_unlock(&reg->lock);
    if (!mail) {
        return false;
    }
    *fd = mail->fd;
    *join = mail->join;
    free(mail);
    return true;
}

unsigned relay_registry_count(relay_registry *reg)
{
    unsigned n;
    pthread_mutex_lock(&reg->lock);
    n = reg->count;
    pthread_mutex_unlock(&reg->lock);
    return n;
}
