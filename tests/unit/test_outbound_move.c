/* SPDX-License-Identifier: Apache-2.0 */
/* test_outbound_move.c - S-OUT moves from the old C-OUT to the new one, with
 * everything in any position: what the client gets, what the server counts */
#include "outbound_test.h"

#define PDUS 60
#define STREAM 160000
#define WINDOW 8192 /* of S-OUT */

/* One C-OUT and what its caller has. */
typedef struct caller {
    rpch_outbound m;
    bool head;           /* the 200 head is out */
    uint8_t queue[STREAM];
    size_t n;
    uint32_t len, left;  /* of the PDU being written */
    uint8_t out[STREAM]; /* C-OUT */
    size_t out_n;
} caller;

/* Everything else. */
static struct {
    unsigned flags;
    uint32_t seed;
    caller old, heir;
    caller *now;            /* who has S-OUT; NULL: on its way */
    uint8_t sent[STREAM];   /* all RPC PDUs of the server, in order */
    size_t sent_n;
    int made;               /* PDUs of them */
    uint8_t wire[STREAM];   /* S-OUT, not yet taken */
    size_t wire_n;
    rpch_tx tx;             /* the server's window */
    uint8_t acks[4096];     /* S-OUT, to the server */
    size_t acks_n;
    int forwards, said;     /* RTS PDUs for the client, sent and received */
    uint8_t rts[4][RPCH_RTS_SIZE_MAX]; /* joined: waiting for the machine */
    size_t rts_len[4];
    int rts_n;
    bool switched, c1;
    int patience;
} rig;

/* What moved, over all runs of a test. */
static struct {
    int queue, part, tail, lane, wire, rest;
} moved;

static uint32_t dice(uint32_t sides)
{
    rig.seed = rig.seed * 1664525u + 1013904223u;
    return (rig.seed >> 12) % sides;
}

static void put(uint8_t *to, size_t *n, const uint8_t *p, size_t len)
{
    role_check(*n + len <= STREAM);
    if (len > 0)
        memcpy(to + *n, p, len);
    *n += len;
}

static void drop(uint8_t *b, size_t *n, size_t len)
{
    memmove(b, b + len, *n - len);
    *n -= len;
}

/* Writes to C-OUT what may go, up to budget bytes; the lane goes first. */
static void pump(caller *c, size_t budget)
{
    while (c->head && budget > 0) {
        size_t k = c->left < c->n ? c->left : c->n;
        size_t lane = 0;
        const uint8_t *p = c->queue;

        if (c->left == 0)
            p = rpch_lane_buf(&c->m.to_client, &lane);
        if (lane > 0) {
            k = lane < budget ? lane : budget;
            put(c->out, &c->out_n, p, k);
            rpch_outbound_client_ack(&c->m, k, START);
            budget -= k;
            continue;
        }
        if (c->left == 0) {
            if (c->n < 16 || !rpch_outbound_may_send(&c->m,
                                                     rpch_le16(c->queue + 8)))
                return;
            c->left = c->len = rpch_le16(c->queue + 8);
            role_check(rpch_outbound_pdu_begin(&c->m, c->len) == RPCH_OK);
            continue;
        }
        if (k == 0)
            return;
        k = k < budget ? k : budget;
        put(c->out, &c->out_n, p, k);
        drop(c->queue, &c->n, k);
        budget -= k;
        c->left -= (uint32_t)k;
        if (c->left == 0)
            rpch_outbound_pdu_done(&c->m, c->len, START);
    }
}

/* Feeds n bytes of the wire, if the machine takes them. */
static void feed(caller *c, size_t n)
{
    rpch_step s;

    n = n < rig.wire_n ? n : rig.wire_n;
    do {
        role_check(rpch_outbound_server_recv(&c->m, rig.wire, n, &s, START)
                   == RPCH_OK);
        put(c->queue, &c->n, s.pass, s.pass_len);
        drop(rig.wire, &rig.wire_n, s.used);
        n -= s.used;
    } while (s.used > 0 && n > 0);
}

/* The server says an RTS PDU, beside the payload when joined. */
static void say(rpch_pdu_id id)
{
    rpch_rts_values v = role_values(0xb0, 0xd0);
    size_t n = role_rts(id, &v, pdu);

    if (!(rig.flags & RPCH_JOINED)) {
        put(rig.wire, &rig.wire_n, pdu, n);
        return;
    }
    role_check(rig.rts_n < 4);
    memcpy(rig.rts[rig.rts_n], pdu, n);
    rig.rts_len[rig.rts_n++] = n;
}

/* The machine is offered what the joined server says. */
static void offer(caller *c)
{
    int rc = rig.rts_n == 0 ? RPCH_AGAIN
           : rpch_outbound_server_rts(&c->m, rig.rts[0], rig.rts_len[0],
                                      START);

    if (rc == RPCH_AGAIN)
        return;
    role_check(rc == RPCH_OK);
    rig.rts_n--;
    memmove(rig.rts[0], rig.rts[1], sizeof(rig.rts) - sizeof(rig.rts[0]));
    memmove(&rig.rts_len[0], &rig.rts_len[1], 3 * sizeof(rig.rts_len[0]));
}

/* The server sends an RPC PDU, within its window. */
static void serve(void)
{
    uint32_t n = 16 + dice(dice(5) == 0 ? 5000 : 300);
    bool joined = (rig.flags & RPCH_JOINED) != 0;

    if (rig.made == PDUS || (!joined && !rpch_tx_may_send(&rig.tx, n)))
        return;
    role_rpc(rpc, n, (uint8_t)rig.made++);
    put(rig.sent, &rig.sent_n, rpc, n);
    put(rig.wire, &rig.wire_n, rpc, n);
    rpch_tx_sent(&rig.tx, n);
}

/* The server reads what came on S-OUT. */
static void hear(caller *c, size_t n)
{
    size_t len;
    const uint8_t *p = rpch_lane_buf(&c->m.to_server, &len);
    rpch_rts rts;
    const char *reason = "";

    n = n < len ? n : len;
    put(rig.acks, &rig.acks_n, p, n);
    rpch_lane_ack(&c->m.to_server, n);
    while (rig.acks_n >= 20 && rig.acks_n >= rpch_le16(rig.acks + 8)) {
        role_check(rpch_rts_decode(rig.acks, rpch_le16(rig.acks + 8), &rts,
                                   &reason) == RPCH_OK);
        drop(rig.acks, &rig.acks_n, rpch_le16(rig.acks + 8));
        if (rpch_rts_is(&rts, RPCH_FLOW_CONTROL_ACK)) {
            const rpch_ack *a = &rts.cmd[0].u.ack;

            role_check(a->cookie.b[0] == 0xb0 || a->cookie.b[0] == 0xd0);
            role_check(rpch_tx_ack(&rig.tx, a->bytes_received,
                                   a->available_window) == RPCH_OK);
        } else {
            role_check(rpch_rts_is(&rts, RPCH_OUT_R2_A4));
        }
    }
}

/* Released and adopted, with the bytes that move. */
static void move(void)
{
    static uint8_t rest[STREAM];
    size_t rest_n = 0;
    rpch_out_leg leg;

    role_check(rig.old.left == 0);
    ck_assert_int_eq(rpch_outbound_release(&rig.old.m, &leg), RPCH_OK);
    put(rest, &rest_n, rig.old.queue, rig.old.n);
    put(rest, &rest_n, leg.tail, leg.tail_len);
    put(rest, &rest_n, rig.wire, rig.wire_n);
    moved.queue += rig.old.n > 0;
    moved.part += rig.old.m.server.left > 0;
    moved.tail += leg.tail_len > 0;
    moved.lane += leg.lane_len > 0 && leg.lane[0] != 5;
    moved.wire += rig.wire_n > 0;
    rig.wire_n = 0;
    put(rig.wire, &rig.wire_n, rest, rest_n);
    rig.old.n = 0;
    ck_assert_int_eq(rpch_outbound_adopt(&rig.heir.m, &leg, START), RPCH_OK);
    rig.now = &rig.heir;
}

static void client_says_c1(void)
{
    rpch_rts_values v = role_values(0xb0, 0xd0);
    rpch_step s;
    size_t n = role_rts(RPCH_OUT_R2_C1, &v, pdu);

    ck_assert_int_eq(rpch_outbound_client_recv(&rig.heir.m, pdu, n, &s,
                                               START), RPCH_OK);
    rig.c1 = true;
}

/* What some party does next. */
static void turn(int how)
{
    caller *c = rig.now;
    size_t n = role_cut(how, 5000, &rig.seed);

    switch (dice(8)) {
    case 0: case 1: serve(); break;
    case 2: case 3: feed(c, n); break;
    case 4: pump(c, dice(6) ? n : 3); break;
    case 5: hear(c, dice(3) ? n : 7); break;
    case 6: offer(c); break;
    default:
        if (rig.switched && !rig.c1)
            client_says_c1();
        else if (rig.forwards < 3 && rig.made > 10 * rig.forwards) {
            say(RPCH_IN_R2_A3);
            rig.forwards++;
        }
        break;
    }
    /* a client that does not acknowledge must not keep the server from it */
    if (!rig.switched && (rig.made > PDUS / 2 || ++rig.patience > 3000)) {
        say(RPCH_OUT_R2_B1);
        rig.switched = true;
    }
    moved.rest += rig.old.m.core.state == RPCH_OUT_FINISH_R2
               && (rpch_outbound_wants(&rig.old.m) & RPCH_WANT_SERVER_READ);
    if (rpch_outbound_wants(&rig.old.m) & RPCH_WANT_RELEASE)
        move();
    if (rpch_outbound_wants(&rig.heir.m) & RPCH_WANT_RESPONSE) {
        rpch_outbound_responded(&rig.heir.m, START);
        rig.heir.head = true;
    }
}

static void begin(unsigned flags, uint32_t seed, bool narrow)
{
    rpch_limits l = role_limits();
    rpch_succession s = succession();
    const char *reason;

    memset(&rig, 0, sizeof(rig));
    rig.flags = flags;
    rig.seed = seed;
    rig.now = &rig.old;
    rig.old.head = true;
    rpch_tx_init(&rig.tx, WINDOW);
    l.receive_window = WINDOW;
    start_with(&l, flags);
    advance(RPCH_OUT_OPENED);
    ck_assert_int_eq(rpch_outbound_attach(&m, &s, &reason), RPCH_OK);
    if (narrow)
        rpch_tx_init(&m.tx, 8192);
    rig.old.m = m;
    drive(flags, RPCH_OUT_ATTACHED);
    rpch_tx_init(&m.tx, 262144);
    rig.heir.m = m;
}

/* Splits a C-OUT into its RPC PDUs, which are appended to all, and its RTS
 * PDUs; returns the name of the last PDU. */
static const char *split(const caller *c, uint8_t *all, size_t *n,
                         uint64_t *bytes)
{
    static char name[RPCH_RTS_DESCRIBE_SIZE];
    size_t at = 0;
    rpch_rts rts;
    const char *reason = "";

    *bytes = 0;
    name[0] = '\0';
    while (at < c->out_n) {
        size_t len = rpch_le16(c->out + at + 8);

        role_check(c->out_n - at >= 16 && c->out_n - at >= len);
        snprintf(name, sizeof(name), "RPC");
        if (c->out[at + 2] == RPCH_PTYPE_RTS) {
            role_check(rpch_rts_decode(c->out + at, len, &rts, &reason)
                       == RPCH_OK);
            rpch_rts_describe(&rts, name, sizeof(name));
            rig.said += rpch_rts_is(&rts, RPCH_IN_R2_A3);
        } else {
            put(all, n, c->out + at, len);
            *bytes += len;
        }
        at += len;
    }
    return name;
}

static void check(void)
{
    static uint8_t all[STREAM];
    const rpch_outbound *old = &rig.old.m;
    const rpch_outbound *heir = &rig.heir.m;
    bool joined = (rig.flags & RPCH_JOINED) != 0;
    uint64_t first, second;
    size_t n = 0;

    ck_assert_int_eq(old->core.status, RPCH_E_RECYCLED);
    ck_assert_int_eq(heir->core.state, RPCH_OUT_OPENED);
    ck_assert_str_eq(split(&rig.old, all, &n, &first), "OUT_R2/B3");
    split(&rig.heir, all, &n, &second);
    ck_assert_uint_eq(n, rig.sent_n);
    ck_assert_mem_eq(all, rig.sent, n);
    ck_assert_int_eq(rig.said, rig.forwards);
    ck_assert_uint_eq(old->rpc_bytes, first);
    ck_assert_uint_eq(heir->rpc_bytes, second);
    ck_assert_uint_eq(old->rpc_pdus + heir->rpc_pdus, PDUS);
    ck_assert_uint_eq(old->tx.sent, first);
    ck_assert_uint_eq(heir->tx.sent, second);
    ck_assert_uint_eq(heir->tx.avail, 262144 - second);
    ck_assert_uint_eq(old->lifetime_used, 28 + 44 + rig.old.out_n);
    ck_assert_uint_eq(heir->lifetime_used, rig.heir.out_n);
    ck_assert_uint_eq(heir->queued, 0);
    ck_assert_uint_eq(heir->rx.received, n);
    ck_assert_int_eq(heir->rx.avail, WINDOW);
    ck_assert_uint_eq(rig.tx.sent, n);
    if (!joined)
        ck_assert_int_eq(rig.tx.avail, heir->rx.advertised);
    ck_assert_uint_eq(rig.acks_n, 0);
}

static void run(unsigned flags, int how, uint32_t seed)
{
    int turns;

    begin(flags, seed, seed % 3 == 0);
    for (turns = 0; turns < 2000000; turns++) {
        turn(how);
        if (rig.made == PDUS && rig.heir.out_n > 0 && rig.wire_n == 0
            && rig.heir.n == 0 && rig.rts_n == 0 && rig.now == &rig.heir
            && rig.heir.m.to_client.end == 0
            && rig.heir.m.to_server.end == 0 && rig.forwards == 3)
            break;
    }
    ck_assert_int_lt(turns, 2000000);
    check();
}

START_TEST(test_outbound_move_at_any_point)
{
    uint32_t seed;

    for (seed = 1; seed <= 300; seed++) {
        run(0, ROLE_RANDOM, seed);
        run(RPCH_JOINED, ROLE_RANDOM, seed);
    }
    /* every kind of position has been there */
    ck_assert_int_gt(moved.queue, 0);
    ck_assert_int_gt(moved.part, 0);
    ck_assert_int_gt(moved.tail, 0);
    ck_assert_int_gt(moved.lane, 0);
    ck_assert_int_gt(moved.wire, 0);
    ck_assert_int_gt(moved.rest, 0);
}
END_TEST

START_TEST(test_outbound_move_whole)
{
    uint32_t seed;

    for (seed = 1; seed <= 50; seed++) {
        run(0, ROLE_WHOLE, seed);
        run(RPCH_JOINED, ROLE_WHOLE, seed);
    }
}
END_TEST

START_TEST(test_outbound_move_byte_by_byte)
{
    run(0, ROLE_BYTES, 1);
    run(RPCH_JOINED, ROLE_BYTES, 2);
}
END_TEST

static void adopt_fails(const rpch_out_leg *l)
{
    drive(0, RPCH_OUT_LEGW);
    ck_assert_int_eq(rpch_outbound_adopt(&m, l, START), RPCH_E_VALUE);
    expect_end(RPCH_E_VALUE, "S-OUT with impossible values");
}

/* A leg may come from another process. */
START_TEST(test_outbound_move_refuses_what_cannot_be)
{
    rpch_out_leg leg;

    leg = leg_of(0);
    leg.lane_len = RPCH_LANE_SIZE + 1;
    adopt_fails(&leg);
    leg = leg_of(0);
    leg.tail_len = RPCH_RTS_SIZE_MAX + 1;
    adopt_fails(&leg);
    leg = leg_of(0);
    leg.rx.window = 0;
    leg.rx.avail = leg.rx.advertised = 0;
    adopt_fails(&leg);
    leg.rx.window = (int64_t)UINT32_MAX + 1;
    adopt_fails(&leg);
    leg = leg_of(0);
    leg.rx.avail = 65537;
    adopt_fails(&leg);
    leg = leg_of(0);
    leg.rx.advertised = 65537;
    adopt_fails(&leg);
    leg = leg_of(0);
    leg.rx.largest = RPCH_PDU_SIZE_MAX + 1;
    adopt_fails(&leg);
    leg = leg_of(0);
    leg.lifetime = 0;
    adopt_fails(&leg);
    /* more would move than a lifetime can be */
    leg.lifetime = UINT32_MAX - 99;
    leg.moved = 100;
    adopt_fails(&leg);
    leg.moved = 99;
    drive(0, RPCH_OUT_LEGW);
    ck_assert_int_eq(rpch_outbound_adopt(&m, &leg, START), RPCH_OK);
    ck_assert_uint_eq(m.core.limits.channel_lifetime, UINT32_MAX);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("outbound_move");
    TCase *t = tcase_create("move");

    tcase_add_test(t, test_outbound_move_at_any_point);
    tcase_add_test(t, test_outbound_move_whole);
    tcase_add_test(t, test_outbound_move_byte_by_byte);
    tcase_add_test(t, test_outbound_move_refuses_what_cannot_be);
    suite_add_tcase(s, t);
    return test_main(s);
}
