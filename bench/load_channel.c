/* SPDX-License-Identifier: Apache-2.0 */
/* load_channel.c - one TCP connection of a load_conn */
#include "load_channel.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* How long a predecessor may take to close. */
#define LINGER (10 * LOAD_SECOND)

uint8_t load_buffer[LOAD_BUFFER];

static load_channel *lingering;

static void read_lingering(load_channel *ch)
{
    while (load_sock_read(&ch->sock, load_buffer, sizeof(load_buffer)) > 0)
        continue;
    load_sock_flush(&ch->sock);
    if (ch->sock.eof || ch->sock.broken)
        load_channel_close(ch);
}

static void changed(load_sock *s)
{
    load_channel *ch = (load_channel *)s;

    if (ch->owner != NULL)
        load_conn_work(ch->owner);
    else
        read_lingering(ch);
}

load_channel *load_channel_open(load_conn *c, bool has, load_request request,
                                unsigned slot, uint64_t length)
{
    load_place place = load_options_place(load_conn_options(c), c->number);
    load_channel *ch = calloc(1, sizeof(*ch));

    if (ch == NULL) {
        load_conn_fail(c, "resources", strerror(errno));
        return NULL;
    }
    ch->owner = c;
    ch->request = request;
    ch->slot = slot;
    ch->length = length;
    ch->asked = !has;
    ch->status = has ? 0 : 200;
    ch->left = UINT64_MAX;
    ch->sock.changed = changed;
    if (load_sock_open(&ch->sock, load_conn_loop(c), &place))
        return ch;
    load_conn_fail(c, errno == EMFILE || errno == ENFILE || errno == ENOMEM
                      || errno == EADDRNOTAVAIL ? "resources" : "connect",
                   strerror(errno));
    free(ch);
    return NULL;
}

const char *load_channel_error(const load_channel *ch)
{
    return ch->sock.error != 0 ? strerror(ch->sock.error) : "TLS failed";
}

bool load_channel_advance(load_channel *ch)
{
    int rv = load_sock_advance(&ch->sock);

    if (rv < 0 && ch->sock.connecting)
        load_conn_fail(ch->owner, ch->sock.handshake ? "tls" : "connect",
                       load_channel_error(ch));
    return rv > 0;
}

bool load_channel_ask(load_channel *ch, load_batch *b)
{
    char head[LOAD_HEAD_MAX];
    size_t n;

    if (ch->asked)
        return true;
    n = load_http_head(load_conn_options(ch->owner), ch->request,
                       ch->owner->number, ch->length, head);
    if (n == 0 || !load_batch_text(b, head, n)) {
        load_conn_fail(ch->owner, "resources", "a request head too long");
        return false;
    }
    ch->asked = true;
    return true;
}

void load_channel_hold(load_channel *ch, const uint8_t *p, size_t n)
{
    if (!rpcd_buf_add(&ch->held, p, n))
        load_conn_fail(ch->owner, "resources", "no memory");
}

/* Reads the head when all of it is held. */
static bool take_head(load_channel *ch)
{
    load_response r;
    char kind[16];
    int rv = load_http_parse(rpcd_buf_data(&ch->held),
                             rpcd_buf_len(&ch->held), &r);

    if (rv < 0)
        load_conn_fail(ch->owner, "http", "an answer that is no HTTP");
    if (rv <= 0)
        return rv == 0;
    rpcd_buf_drop(&ch->held, r.size);
    ch->status = r.status;
    ch->left = r.length;
    if (r.status == 200)
        return true;
    snprintf(kind, sizeof(kind), "http-%d", r.status);
    load_conn_fail(ch->owner, kind, "a request was refused");
    return false;
}

static bool count_body(load_channel *ch, size_t n)
{
    if (n > ch->left) {
        load_conn_fail(ch->owner, "http", "a body longer than it says");
        return false;
    }
    if (ch->left != UINT64_MAX)
        ch->left -= n;
    return true;
}

ssize_t load_channel_read(load_channel *ch)
{
    ssize_t n = load_sock_read(&ch->sock, load_buffer, sizeof(load_buffer));

    if (n <= 0)
        return n;
    ch->owner->since = load_conn_loop(ch->owner)->now;
    if (ch->status != 0)
        return count_body(ch, (size_t)n) ? n : -1;
    load_channel_hold(ch, load_buffer, (size_t)n);
    if (!take_head(ch))
        return -1;
    if (ch->status != 0 && !count_body(ch, rpcd_buf_len(&ch->held)))
        return -1;
    return 0;
}

void load_channel_linger(load_channel *ch)
{
    ch->until = load_conn_loop(ch->owner)->now + LINGER;
    ch->owner = NULL;
    rpcd_buf_free(&ch->held);
    ch->next = lingering;
    if (ch->next != NULL)
        ch->next->prev = ch;
    lingering = ch;
}

void load_channel_close(load_channel *ch)
{
    if (ch == NULL)
        return;
    if (ch->owner == NULL) {
        if (ch->prev != NULL)
            ch->prev->next = ch->next;
        else
            lingering = ch->next;
        if (ch->next != NULL)
            ch->next->prev = ch->prev;
    }
    rpcd_buf_free(&ch->held);
    load_sock_close(&ch->sock);
    load_loop_bury(ch->sock.loop, ch);
}

void load_channel_sweep(uint64_t now, bool all)
{
    load_channel *ch, *next;

    for (ch = lingering; ch != NULL; ch = next) {
        next = ch->next;
        if (all || now >= ch->until)
            load_channel_close(ch);
    }
}
