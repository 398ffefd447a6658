/* SPDX-License-Identifier: Apache-2.0 */
/* broker_test.h - what the tests of the broker share: a broker in a directory
 * of its own with one mailbox, and callers */
#ifndef BROKER_TEST_H
#define BROKER_TEST_H

#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#include <apr_general.h>

#include "fd_test.h"
#include "relay/broker.h"
#include "relay/clock.h"

#define PATIENCE 20000 /* ms until a test gives up */

static apr_pool_t *pool;
static relay_registry *reg;
static relay_broker *broker;
static uint8_t room[RELAY_MSG_SIZE_MAX]; /* what a message borrows from */
static relay_mailbox box;
static relay_owner self = { 4711, UINT64_C(0x8000000000001234), 0 };
static char dir[32];
static char path[108];
static unsigned fds_before;

/* A broker for self, and one channel of it. */
static inline void setup(void)
{
    fds_before = open_fds();
    strcpy(dir, "/tmp/rpch-broker-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    ck_assert_int_eq(apr_pool_create(&pool, NULL), APR_SUCCESS);
    ck_assert_int_eq(relay_registry_create(&reg, pool), APR_SUCCESS);
    ck_assert_int_eq(relay_broker_create(&broker, dir, &self, reg, pool),
                     APR_SUCCESS);
    ck_assert_int_eq(relay_broker_path(dir, &self, path, sizeof(path)),
                     APR_SUCCESS);
    ck_assert_int_eq(relay_registry_enter(reg, &box, NULL), APR_SUCCESS);
}

/* Each test ends with everything closed and no name left. */
static inline void teardown(void)
{
    relay_registry_leave(reg, &box);
    apr_pool_destroy(pool);
    ck_assert_uint_eq(open_fds(), fds_before);
    ck_assert_int_eq(rmdir(dir), 0);
}

/* Does what is there to do, without waiting. */
static inline void serve_now(void)
{
    relay_broker_serve(broker, 0);
}

/* True when the channel was woken. */
static inline bool rung(void)
{
    struct pollfd p;
    p.fd = box.event_fd;
    p.events = POLLIN;
    return poll(&p, 1, 0) == 1;
}

/* A message of that type for the channel. */
static inline relay_msg message(relay_msg_type type)
{
    relay_msg m;
    memset(&m, 0, sizeof(m));
    m.type = type;
    m.pid = 1;
    m.nonce = 2;
    m.channel = box.number;
    m.vc.b[3] = 9;
    return m;
}

/* Connects; says nothing. */
static inline void call(relay_link *l)
{
    relay_link_init(l);
    ck_assert_int_eq(relay_link_connect(l, path), APR_SUCCESS);
}

/* Sends that message. */
static inline void say(relay_link *l, relay_msg_type type)
{
    relay_msg m = message(type);
    ck_assert_int_eq(relay_link_send(l, &m, -1), APR_SUCCESS);
}

/* True when the broker has closed the other end; nothing else came. */
static inline bool dropped(relay_link *l)
{
    relay_msg m;
    int fd;
    apr_status_t rv = relay_link_recv(l, room, &m, &fd);
    ck_assert_int_ne(rv, APR_SUCCESS);
    return !APR_STATUS_IS_EAGAIN(rv);
}

/* Says HELLO and JOIN, and expects the socket in the mailbox. */
static inline void join_well(void)
{
    relay_link l, other;
    relay_msg m;
    int fd;
    call(&l);
    say(&l, RELAY_MSG_HELLO);
    say(&l, RELAY_MSG_JOIN);
    say(&l, RELAY_MSG_JOINED);
    serve_now();
    ck_assert(rung());
    ck_assert(relay_registry_take(reg, &box, &fd, &m));
    ck_assert_int_eq(m.type, RELAY_MSG_JOIN);
    ck_assert_uint_eq(m.vc.b[3], 9);
    /* What was said after the JOIN is for the channel. */
    relay_link_init(&other);
    relay_link_adopt(&other, fd);
    ck_assert_int_eq(relay_link_recv(&other, room, &m, &fd), APR_SUCCESS);
    ck_assert_int_eq(m.type, RELAY_MSG_JOINED);
    relay_link_close(&other);
    ck_assert(dropped(&l));
    relay_link_close(&l);
}

#endif
