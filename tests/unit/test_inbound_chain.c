/* SPDX-License-Identifier: Apache-2.0 */
/* test_inbound_chain.c - a connection whose IN channel is recycled (IN_R2)
 * again and again, with a small window of the server, short writes, a server
 * that takes nothing for a while, and every stream cut anywhere: not a byte is
 * lost, repeated or out of place */
#include "inbound_test.h"

#define CHANNELS 4
#define DATA_MAX 400000

/* The caller of the machine, and the server behind it. */
static struct {
    int how;                 /* of the cuts */
    uint32_t seed;
    bool busy;               /* the server acknowledges nothing now */
    uint32_t owed;           /* bytes that it will acknowledge */
    int moved, within;       /* legs with a queue; within a PDU */
    uint8_t queue[DATA_MAX]; /* RPC PDUs that the machine passed on */
    size_t at, end;
    uint32_t left, pdu_len;  /* of the one that is being written */
    rpch_cutter server;      /* reads S-IN */
    rpch_rts_values v;       /* what the server says next */
    uint8_t got[DATA_MAX];   /* RPC PDUs that the server has */
    size_t got_n;
    uint8_t down[DATA_MAX];  /* what the server has sent */
    size_t down_at, down_end;
    int renamed, acks;       /* IN_R2/A2, and acks for the client */
    int forwarded;           /* what the client says to others */
} rig;

static uint8_t sent[DATA_MAX]; /* RPC PDUs that the client has sent */
static size_t sent_n;

static void say(rpch_pdu_id id)
{
    ck_assert_uint_le(rig.down_end + RPCH_RTS_SIZE_MAX, sizeof(rig.down));
    rig.down_end += role_rts(id, &rig.v, rig.down + rig.down_end);
}

/* The server acknowledges what it has, if it does. */
static void pay(void)
{
    if (rig.busy || rig.owed == 0)
        return;
    rig.v.ack.bytes_received += rig.owed;
    rig.owed = 0;
    say(RPCH_FLOW_CONTROL_ACK);
}

/* The server has a whole PDU. */
static void serve(const rpch_cut *cut)
{
    const char *reason = "";
    rpch_rts rts;

    if (cut->kind == RPCH_CUT_RPC) {
        role_check(rig.got_n + cut->len <= sizeof(rig.got));
        memcpy(rig.got + rig.got_n, cut->data, cut->len);
        rig.got_n += cut->len;
        if (!cut->last)
            return;
        rig.owed += cut->pdu.frag_len;
        pay();
        return;
    }
    ck_assert_int_eq(rpch_rts_decode(cut->data, cut->len, &rts, &reason),
                     RPCH_OK);
    if (rpch_rts_is(&rts, RPCH_OUT_R1_A7)) {
        rig.forwarded++;
        return;
    }
    if (rpch_rts_is(&rts, RPCH_CONN_B2)) {
        say(RPCH_CONN_B3);
    } else if (rpch_rts_is(&rts, RPCH_IN_R2_A2)) {
        rig.v.ack.cookie = rpch_rts_find(&rts, RPCH_CMD_COOKIE, 0)->u.cookie;
        rig.renamed++;
    } else {
        ck_assert(rpch_rts_is(&rts, RPCH_FLOW_CONTROL_ACK_DEST));
        rig.acks++;
    }
}

/* Bytes for the server; at most as many are taken as the cut allows. */
static size_t to_server(const uint8_t *p, size_t len)
{
    size_t n = role_cut(rig.how, len, &rig.seed);
    size_t done = 0;
    rpch_cut cut;

    while (done < n) {
        role_check(rpch_cutter_next(&rig.server, p + done, n - done, &cut)
                   == RPCH_OK);
        done += cut.used;
        if (cut.kind != RPCH_CUT_NONE)
            serve(&cut);
    }
    return n;
}

/* One write, and one read of what the server says; false when neither can
 * be. */
static bool turn(void)
{
    size_t len;
    const uint8_t *p = rpch_lane_buf(&m.to_server, &len);
    bool moved = true;

    if (rig.left == 0 && p != NULL) {
        rpch_inbound_server_ack(&m, to_server(p, len));
    } else if (rig.left == 0 && rig.end - rig.at >= 16
               && rpch_inbound_may_send(&m, rpch_le16(rig.queue + rig.at
                                                      + 8))) {
        rig.left = rig.pdu_len = rpch_le16(rig.queue + rig.at + 8);
        rpch_inbound_pdu_begin(&m, rig.pdu_len);
    } else if (rig.left > 0 && rig.end > rig.at) {
        len = rig.end - rig.at < rig.left ? rig.end - rig.at : rig.left;
        len = to_server(rig.queue + rig.at, len);
        rig.at += len;
        rig.left -= (uint32_t)len;
        if (rig.left == 0)
            rpch_inbound_pdu_done(&m, rig.pdu_len, START);
    } else {
        moved = false;
    }
    len = rig.down_end - rig.down_at;
    if (len > 0 && (rpch_inbound_wants(&m) & RPCH_WANT_SERVER_READ)) {
        len = role_cut(rig.how, len, &rig.seed);
        role_check(rpch_inbound_server_recv(&m, rig.down + rig.down_at, len,
                                            &step, START) == RPCH_OK);
        rig.down_at += step.used;
        moved = true;
    }
    role_check(m.core.status == RPCH_OK);
    return moved;
}

/* Bytes of C-IN, in cuts, with turns of the server side between them. */
static void feed(const uint8_t *in, size_t len)
{
    size_t at = 0;

    while (at < len) {
        size_t n = role_cut(rig.how, len - at, &rig.seed);

        role_check(rpch_inbound_client_recv(&m, in + at, n, &step, START)
                   == RPCH_OK);
        at += step.used;
        role_check(rig.end + step.pass_len <= sizeof(rig.queue));
        if (step.pass != NULL)
            memcpy(rig.queue + rig.end, step.pass, step.pass_len);
        rig.end += step.pass_len;
        if (m.core.state == RPCH_IN_CONNECT)
            ck_assert_int_eq(rpch_inbound_connected(&m, START), RPCH_OK);
        role_check(turn() || step.used > 0);
    }
}

/* RPC PDUs for one channel, Pings and Keep-Alives between them. */
static void feed_data(int channel, int n)
{
    static uint8_t in[DATA_MAX];
    rpch_rts_values v = role_values(0, 0);
    size_t len = 0;
    int i;

    for (i = 0; i < n; i++) {
        size_t size = 16 + (size_t)(channel * 977 + i * 1361) % 5825;

        role_rpc(in + len, size, (uint8_t)(channel * 16 + i));
        memcpy(sent + sent_n, in + len, size);
        sent_n += size;
        len += size;
        len += role_rts(i % 3 ? RPCH_PING : RPCH_KEEP_ALIVE, &v, in + len);
    }
    feed(in, len);
}

/* Channel number k + 1 has S-IN, and channel k's queue with it. */
static void take_over(int k)
{
    rpch_rts_values v = role_values((uint8_t)(0xc0 + k), (uint8_t)(0xc1 + k));
    static rpch_in_leg leg;

    ck_assert_int_eq(rpch_inbound_release(&m, &leg), RPCH_OK);
    ck_assert_uint_eq(leg.begun, rig.left > 0 ? rig.pdu_len : 0);
    ck_assert_uint_eq(leg.queued - leg.begun + rig.left, rig.end - rig.at);
    leg.begun_left = rig.left;
    rig.moved += leg.queued > 0;
    rig.within += leg.begun > leg.begun_left;
    start(0);
    ck_assert_int_eq(client_rts(RPCH_IN_R2_A1, &v), RPCH_OK);
    ck_assert_int_eq(rpch_inbound_attached(&m, START), RPCH_OK);
    ck_assert_int_eq(rpch_inbound_adopt(&m, &leg, START), RPCH_OK);
}

/* Channel number k gives way to channel k + 1. A busy server takes what it has
 * only after the client has said something to somebody else there. */
static void succeed(int k, bool busy)
{
    rpch_succession s = { role_cookie(0xa0), role_cookie((uint8_t)(0xc0 + k)),
                          role_cookie((uint8_t)(0xc1 + k)), 65536 };
    rpch_rts_values v = role_values((uint8_t)(0xc0 + k), (uint8_t)(0xc1 + k));
    int forwarded = rig.forwarded;
    const char *reason = "";
    uint8_t b[RPCH_RTS_SIZE_MAX];

    while (rpch_inbound_attach(&m, &s, &reason) != RPCH_OK)
        ck_assert(turn());
    rig.busy = busy;
    feed_data(k, 12);
    v.cookie[0] = s.successor;
    feed(b, role_rts(RPCH_IN_R2_A5, &v, b));
    role_check(rpch_inbound_wants(&m) & RPCH_WANT_RELEASE);
    take_over(k);
    feed_data(k, 4);
    feed(b, role_rts(RPCH_OUT_R1_A7, &v, b));
    while (rig.forwarded == forwarded)
        role_check(turn());
    rig.busy = false;
    pay();
}

static void run_chain(int how, uint32_t seed, bool busy)
{
    rpch_rts_values v = role_values(0xc0, 0);
    uint8_t b1[RPCH_RTS_SIZE_MAX];
    int k;

    memset(&rig, 0, sizeof(rig));
    rig.how = how;
    rig.seed = seed;
    rig.v = v;
    rig.v.window = rig.v.ack.available_window = 8192;
    rig.v.ack.cookie = role_cookie(0xc0);
    rpch_cutter_init(&rig.server, false);
    sent_n = 0;
    start(0);
    feed(b1, role_rts(RPCH_CONN_B1, &v, b1));
    for (k = 0; k < CHANNELS; k++) {
        feed_data(k, 10);
        if (k < CHANNELS - 1)
            succeed(k, busy);
    }
    while (turn())
        continue;
    ck_assert_int_eq(m.core.state, RPCH_IN_OPENED);
    ck_assert_uint_eq(m.queued, 0);
    ck_assert_uint_eq(rig.got_n, sent_n);
    ck_assert_mem_eq(rig.got, sent, sent_n);
    ck_assert_uint_eq(m.tx.sent, sent_n);
    ck_assert_int_eq(rig.renamed, CHANNELS - 1);
    ck_assert_int_eq(rig.forwarded, CHANNELS - 1);
    ck_assert_int_gt(rig.acks, 0);
    if (busy)
        ck_assert_int_eq(rig.moved, CHANNELS - 1);
}

START_TEST(test_inbound_chain_in_any_cuts)
{
    uint32_t seed;
    int within = 0;

    run_chain(ROLE_WHOLE, 0, false);
    run_chain(ROLE_BYTES, 0, false);
    for (seed = 1; seed <= 50; seed++) {
        run_chain(ROLE_RANDOM, seed, false);
        within += rig.within;
    }
    /* some of the legs moved with a PDU on the wire */
    ck_assert_int_gt(within, 10);
}
END_TEST

/* The server acknowledges nothing while a channel is replaced, until the
 * successor has passed on what the client says to others. */
START_TEST(test_inbound_chain_with_a_busy_server)
{
    uint32_t seed;

    run_chain(ROLE_WHOLE, 0, true);
    run_chain(ROLE_BYTES, 0, true);
    for (seed = 1; seed <= 50; seed++)
        run_chain(ROLE_RANDOM, seed, true);
}
END_TEST

/* The integers of an RPC PDU are in its sender's byte order (C706 14.2.5):
 * its length is understood, and its bytes are not touched. */
START_TEST(test_inbound_chain_big_endian)
{
    static const uint8_t head[16] = { 5, 0, 0, 3, 0, 0, 0, 0, 0x12, 0x34 };
    uint8_t got[0x1234];
    size_t n = 0;

    drive(0, RPCH_IN_OPENED_A5W);
    role_rpc(rpc, sizeof(got), 9);
    memcpy(rpc, head, sizeof(head));
    while (n < sizeof(got)) {
        ck_assert_int_eq(client(rpc + n, n == 0 ? 7 : sizeof(got) - n),
                         RPCH_OK);
        if (step.pass == NULL && n == 0) {
            ck_assert_int_eq(client(rpc + 7, sizeof(got) - 7), RPCH_OK);
            ck_assert(step.first);
        }
        ck_assert_uint_eq(step.pdu_len, 0x1234);
        memcpy(got + n, step.pass, step.pass_len);
        n += step.pass_len;
    }
    ck_assert(step.last);
    ck_assert_mem_eq(got, rpc, sizeof(got));
    ck_assert_uint_eq(m.queued, 0x1234);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("inbound_chain");
    TCase *t = tcase_create("chain");

    tcase_add_test(t, test_inbound_chain_in_any_cuts);
    tcase_add_test(t, test_inbound_chain_with_a_busy_server);
    tcase_add_test(t, test_inbound_chain_big_endian);
    suite_add_tcase(s, t);
    return test_main(s);
}
