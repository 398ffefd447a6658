/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_captures.c - streams of real clients against the role machines: cut
 * into named PDUs, into the client role, and through both proxies to a
 * server of either kind.
 */
#include "virtual_actors.h"

#define ROUNDS 4 /* whole, byte by byte, and two at random */
#define STREAM_MAX 300000u
#define NAMES_MAX 400u

typedef struct bytes {
    uint8_t b[STREAM_MAX];
    size_t len;
} bytes;

static const struct conversation {
    const char *name;
    const char *in;       /* names of the PDUs in order */
    const char *response;
    unsigned flags;       /* RPCH_QUIET: Samba */
    unsigned acks;        /* that we give the client for C-IN */
} conversations[] = {
    { "impacket-epm", "CONN/B1 bind request",
      "CONN/A3 CONN/C1=CONN/C2 bind_ack response", 0, 0 },
    { "impacket-mgmt", "CONN/B1 bind request*2",
      "CONN/A3 CONN/C1=CONN/C2 bind_ack response*2", 0, 0 },
    { "impacket-bulk",
      "CONN/B1 bind request*50 FlowControlAckWithDestination",
      "CONN/A3 CONN/C1=CONN/C2 bind_ack FlowControlAckWithDestination*6 "
      "response*48", 0, 6 },
    { "samba-samr", "CONN/B1 bind alter_context request*43",
      "CONN/A3 CONN/C1=CONN/C2 bind_ack alter_context_resp response*43",
      RPCH_QUIET, 0 },
    { "samba-ack", "CONN/B1 bind alter_context request*60",
      "CONN/A3 CONN/C1=CONN/C2 bind_ack alter_context_resp response*59 "
      "FlowControlAckWithDestination response", RPCH_QUIET, 0 }
};

#define CONVERSATIONS (sizeof(conversations) / sizeof(conversations[0]))

static bytes in, out, response; /* the files of a conversation */
static bytes in_rpc, response_rpc;
static bytes got_in, got_out;   /* what came out of S-IN and C-OUT */

static void load(const char *name, const char *what, bytes *to)
{
    const char *srcdir = getenv("srcdir");
    char path[1024];
    FILE *f;

    snprintf(path, sizeof(path), "%s/tests/vectors/captures/%s-%s.bin",
             srcdir ? srcdir : ".", name, what);
    f = fopen(path, "rb");
    ck_assert_msg(f != NULL, "%s cannot be opened", path);
    to->len = fread(to->b, 1, sizeof(to->b), f);
    ck_assert_uint_gt(to->len, 0);
    ck_assert_uint_lt(to->len, sizeof(to->b));
    fclose(f);
}

static void append(bytes *to, const uint8_t *p, size_t n)
{
    role_check(to->len + n <= sizeof(to->b));
    memcpy(to->b + to->len, p, n);
    to->len += n;
}

/* Names with "*N" for runs. */
typedef struct names {
    char text[NAMES_MAX];
    char last[64];
    unsigned run;
} names;

static void end_run(names *n)
{
    char one[96];

    if (n->run == 0)
        return;
    snprintf(one, sizeof(one), n->run > 1 ? "%s%s*%u" : "%s%s",
             n->text[0] ? " " : "", n->last, n->run);
    ck_assert_uint_lt(strlen(n->text) + strlen(one), sizeof(n->text));
    strcat(n->text, one);
    n->run = 0;
}

static void add_name(names *n, const char *name)
{
    if (n->run > 0 && strcmp(n->last, name) != 0)
        end_run(n);
    snprintf(n->last, sizeof(n->last), "%s", name);
    n->run++;
}

static void name_rts(names *n, const uint8_t *p, size_t len)
{
    const char *reason = "";
    char text[64];
    rpch_rts rts;

    ck_assert_msg(rpch_rts_decode(p, len, &rts, &reason) == RPCH_OK, "%s",
                  reason);
    add_name(n, rpch_rts_describe(&rts, text, sizeof(text)));
}

/* Cuts a stream: its names, and its RPC PDUs to rpc. */
static const char *read_names(const bytes *s, int how, uint32_t seed,
                              bytes *rpc)
{
    static names n;
    rpch_cutter c;
    size_t at = 0;

    memset(&n, 0, sizeof(n));
    rpch_cutter_init(&c, false);
    rpc->len = 0;
    while (at < s->len) {
        rpch_cut cut;

        role_check(rpch_cutter_next(&c, s->b + at,
                                    role_cut(how, s->len - at, &seed), &cut)
                   == RPCH_OK);
        role_check(cut.used > 0);
        at += cut.used;
        if (cut.kind == RPCH_CUT_RTS)
            name_rts(&n, cut.data, cut.len);
        if (cut.kind != RPCH_CUT_RPC)
            continue;
        append(rpc, cut.data, cut.len);
        if (cut.last)
            add_name(&n, rpch_ptype_name(cut.pdu.ptype));
    }
    ck_assert(rpch_cutter_at_boundary(&c));
    end_run(&n);
    return n.text;
}

static const struct conversation *load_all(int i)
{
    const struct conversation *c = &conversations[i];

    load(c->name, "in", &in);
    load(c->name, "out", &out);
    load(c->name, "response", &response);
    read_names(&in, ROLE_WHOLE, 0, &in_rpc);
    read_names(&response, ROLE_WHOLE, 0, &response_rpc);
    return c;
}

static int how_of(int round)
{
    return round == 0 ? ROLE_WHOLE : round == 1 ? ROLE_BYTES : ROLE_RANDOM;
}

START_TEST(test_captures_names)
{
    const struct conversation *c = load_all(_i);
    bytes rpc;
    int round;

    for (round = 0; round < ROUNDS; round++) {
        int how = how_of(round);
        uint32_t seed = (uint32_t)round;

        ck_assert_str_eq(read_names(&in, how, seed, &rpc), c->in);
        ck_assert_uint_eq(rpc.len, in_rpc.len);
        ck_assert_mem_eq(rpc.b, in_rpc.b, rpc.len);
        ck_assert_str_eq(read_names(&out, how, seed, &rpc), "CONN/A1");
        ck_assert_str_eq(read_names(&response, how, seed, &rpc),
                         c->response);
        ck_assert_uint_eq(rpc.len, response_rpc.len);
    }
}
END_TEST

static rpch_rts_values first_values(const bytes *s, rpch_pdu_id id)
{
    const char *reason;
    rpch_rts rts;
    rpch_rts_values v;

    ck_assert_int_eq(rpch_rts_decode(s->b, rpch_le16(s->b + 8), &rts,
                                     &reason), RPCH_OK);
    ck_assert(rpch_rts_is(&rts, id));
    memset(&v, 0, sizeof(v));
    rpch_rts_read(id, &rts, &v);
    return v;
}

/* Starts a client with the cookies and values of the real one. */
static void start_client(rpch_client *cl, unsigned flags)
{
    rpch_rts_values a1 = first_values(&out, RPCH_CONN_A1);
    rpch_rts_values b1 = first_values(&in, RPCH_CONN_B1);
    rpch_limits l = role_limits();
    rpch_client_cookies c;

    c.vc = a1.cookie[0];
    c.out = a1.cookie[1];
    c.in = b1.cookie[1];
    c.group = b1.group;
    l.receive_window = a1.window;
    l.channel_lifetime = b1.lifetime;
    rpch_client_init(cl, &l, &c, flags, NULL, NULL, 0);
}

START_TEST(test_captures_client_opens_alike)
{
    size_t len;
    rpch_client cl;

    load_all(_i);
    start_client(&cl, 0);
    ck_assert_mem_eq(rpch_lane_buf(&cl.out[0].body, &len), out.b, out.len);
    ck_assert_uint_eq(len, out.len);
    ck_assert_mem_eq(rpch_lane_buf(&cl.in[0].lane, &len), in.b, 104);
    ck_assert_uint_eq(len, 104);
}
END_TEST

/* Feeds the response; returns how many RPC PDUs the client took. */
static unsigned feed_client(rpch_client *cl, int how, uint32_t seed)
{
    size_t at = 0;
    unsigned pdus = 0;

    rpch_client_in_ack(cl, 0, 104, 0);
    rpch_client_response(cl, 0, 200, 0);
    while (at < response.len) {
        rpch_step step;
        bool open = cl->core.state == RPCH_CLIENT_OPENED;

        if (rpch_client_out_recv(cl, 0, response.b + at,
                                 role_cut(how, response.len - at, &seed),
                                 &step, 0) != RPCH_OK)
            break;
        role_check(step.used > 0);
        at += step.used;
        if (!open && cl->core.state == RPCH_CLIENT_OPENED)
            rpch_client_sent(cl, (uint32_t)in_rpc.len, 0);
        pdus += step.last;
        if (step.last)
            rpch_client_consumed(cl, step.pdu_len);
    }
    return pdus;
}

START_TEST(test_captures_client_role)
{
    static const unsigned pdus[CONVERSATIONS] = { 2, 3, 49, 45, 62 };
    const struct conversation *c = load_all(_i);
    rpch_client cl;
    size_t len;
    int round;

    for (round = 0; round < ROUNDS; round++) {
        start_client(&cl, 0);
        ck_assert_uint_eq(feed_client(&cl, how_of(round), (uint32_t)round),
                          pdus[_i]);
        ck_assert_int_eq(cl.core.state, RPCH_CLIENT_OPENED);
        ck_assert_int_eq(cl.core.status, RPCH_OK);
        ck_assert_uint_eq(cl.queued, 0);
        rpch_lane_buf(&cl.in[0].lane, &len);
        ck_assert_uint_eq(len, c->acks ? 56 : 0); /* as the real one did */
    }
}
END_TEST

/* What Samba does is what the quiet client does. */
START_TEST(test_captures_quiet_client_breaks)
{
    rpch_client cl;

    load_all(4);
    start_client(&cl, RPCH_QUIET);
    ck_assert_uint_eq(feed_client(&cl, ROLE_RANDOM, 1), 61);
    ck_assert_int_eq(cl.core.state, RPCH_CLIENT_FINISHED);
    ck_assert_int_eq(cl.core.status, RPCH_E_UNEXPECTED);
    load_all(3);
    start_client(&cl, RPCH_QUIET);
    ck_assert_uint_eq(feed_client(&cl, ROLE_RANDOM, 1), 45);
    ck_assert_int_eq(cl.core.state, RPCH_CLIENT_OPENED);
}
END_TEST

/* The server's side of the rig. */
static void take_up(const uint8_t *p, size_t n, bool last)
{
    static size_t len;

    append(&got_in, p, n);
    len += n;
    if (!last)
        return;
    if (!rig_joined())
        rpch_server_consumed(&rig.server, (uint32_t)len);
    len = 0;
}

/* The server has all its answers ready: it is never behind the real one, so
 * that the client's acks are never ahead. */
static void load_answers(void)
{
    hop *h = &rig.hop[SERVER];
    size_t at = 0;

    memcpy(h->b, response_rpc.b, response_rpc.len);
    h->len = response_rpc.len;
    while (at < h->len) {
        h->pdu[h->n++] = rpch_le16(h->b + at + 8);
        at += rpch_le16(h->b + at + 8);
    }
}

static bool drain(void)
{
    pipe *p = &rig.pipe[COUT];
    bool any = p->len > 0;

    append(&got_out, p->b, p->len);
    p->len = 0;
    return any;
}

static bool opened_server_writes(void)
{
    return rig.server.core.state == RPCH_SERVER_OPENED && server_writes();
}

static bool (*const actor[])(void) = {
    in_reads_client, in_writes, server_reads_in, out_reads_client, out_writes,
    server_reads_out, join_works, opened_server_writes, in_reads_server,
    out_reads_server, drain
};

/* Until nothing moves; each actor goes on for a while, for the sake of the
 * rounds that read single bytes. */
static void settle(void)
{
    bool moved = true;
    size_t i;
    int k;

    while (moved) {
        moved = false;
        for (i = 0; i < sizeof(actor) / sizeof(actor[0]); i++)
            for (k = 0; k < 100 && actor[i](); k++)
                moved = true;
    }
}

static void replay(unsigned flags, int how, uint32_t seed)
{
    rpch_limits l = role_limits();
    size_t at = 0;

    rig_start(&l, flags, how, seed);
    rig.sink = take_up;
    got_in.len = got_out.len = 0;
    load_answers();
    rig_put(&rig.pipe[BODY], out.b, out.len);
    settle();
    while (at < in.len) {
        size_t n = rig_put(&rig.pipe[CIN], in.b + at, in.len - at);

        settle();
        if (n == 0)
            break; /* it will take no more */
        at += n;
    }
    ck_assert_uint_eq(at, in.len);
}

static void check_replay(const struct conversation *c, unsigned flags)
{
    unsigned acks = flags & RPCH_QUIET ? 0 : c->acks;
    const char *text;

    ck_assert_int_eq(rig.in.core.state, RPCH_IN_OPENED);
    ck_assert_int_eq(rig.out.core.state, RPCH_OUT_OPENED);
    ck_assert_int_eq(rig.server.core.state, RPCH_SERVER_OPENED);
    ck_assert_uint_eq(got_in.len, in_rpc.len);
    ck_assert_mem_eq(got_in.b, in_rpc.b, in_rpc.len);
    ck_assert_uint_eq(rig.in.queued + rig.out.queued, 0);
    ck_assert_uint_eq(rig.in.rpc_bytes, in_rpc.len);
    ck_assert_uint_eq(rig.out.rpc_bytes, response_rpc.len);
    ck_assert_uint_eq(rig.out.lifetime_used, got_out.len);
    text = read_names(&got_out, ROLE_WHOLE, 0, &got_in);
    ck_assert_int_eq(strncmp(text, "CONN/A3 CONN/C1=CONN/C2 ", 24), 0);
    ck_assert_uint_eq(got_in.len, response_rpc.len);
    ck_assert_mem_eq(got_in.b, response_rpc.b, response_rpc.len);
    ck_assert_uint_eq(got_out.len, 28 + 44 + response_rpc.len + 56 * acks);
    /* The client's own ack reached the out-proxy by way of the server. */
    ck_assert_uint_eq(rig.seen[SERVER][RPCH_FLOW_CONTROL_ACK_DEST],
                      c->acks ? c->acks + 1 : 0);
}

static void check_teardown(void)
{
    rpch_inbound_client_closed(&rig.in);
    ends_spread();
    ends_spread();
    ck_assert_int_eq(rig.in.core.status, RPCH_E_CLOSED);
    ck_assert_int_eq(rig.server.core.status, RPCH_E_CLOSED);
    ck_assert_int_eq(rig.out.core.status, RPCH_E_CLOSED);
}

START_TEST(test_captures_through_proxies)
{
    const struct conversation *c = load_all(_i);
    int round;

    for (round = 0; round < ROUNDS; round++) {
        unsigned joined;

        for (joined = 0; joined < 2; joined++) {
            unsigned flags = c->flags | (joined ? RPCH_JOINED : 0);

            replay(flags, how_of(round), (uint32_t)round);
            check_replay(c, flags);
            check_teardown();
        }
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("captures");
    TCase *t = tcase_create("replay");
    const int n = (int)CONVERSATIONS;

    tcase_set_timeout(t, 120);
    tcase_add_loop_test(t, test_captures_names, 0, n);
    tcase_add_loop_test(t, test_captures_client_opens_alike, 0, n);
    tcase_add_loop_test(t, test_captures_client_role, 0, n);
    tcase_add_test(t, test_captures_quiet_client_breaks);
    tcase_add_loop_test(t, test_captures_through_proxies, 0, n);
    suite_add_tcase(s, t);
    return test_main(s);
}
