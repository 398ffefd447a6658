/* SPDX-License-Identifier: Apache-2.0 */
/* test_route.c - RpcProxyRoute: what is read, and which route is taken */
#include "rpch_test.h"

#include <apr_general.h>
#include <apr_strings.h>

#include "rpcproxy/route.h"

static apr_pool_t *pool;
static apr_array_header_t *routes;

static void setup(void)
{
    ck_assert_int_eq(apr_initialize(), APR_SUCCESS);
    ck_assert_int_eq(apr_pool_create(&pool, NULL), APR_SUCCESS);
    routes = apr_array_make(pool, 1, sizeof(rpcproxy_route));
}

static void teardown(void)
{
    apr_pool_destroy(pool);
    apr_terminate();
}

/* Parses a line as httpd would cut it; NULL or the sentence. */
static const char *parse(const char *line, rpcproxy_route *out)
{
    char **argv;
    int argc = 0;
    ck_assert_int_eq(apr_tokenize_to_argv(line, &argv, pool), APR_SUCCESS);
    while (argv[argc])
        argc++;
    return rpcproxy_route_parse(pool, argc, argv, out);
}

static void add(const char *line)
{
    rpcproxy_route r;
    const char *bad = parse(line, &r);
    ck_assert_msg(bad == NULL, "%s", bad);
    APR_ARRAY_PUSH(routes, rpcproxy_route) = r;
}

/* The way as text: "tcp a:1 b:2". */
static const char *way(const char *name, uint16_t port)
{
    rpcproxy_way w;
    const char *text;
    rpcproxy_route_resolve(pool, routes, name, port, &w);
    text = w.kind == RELAY_NCACN_IP_TCP ? "tcp" : "http";
    ck_assert_int_ge(w.n_to, 1);
    for (int i = 0; i < w.n_to; i++)
        text = apr_psprintf(pool, "%s %s:%u", text, w.to[i].host,
                            (unsigned)w.to[i].port);
    return text;
}

START_TEST(test_route_none)
{
    rpcproxy_way w;
    ck_assert_str_eq(way("ex1", 6001), "http ex1:6001");
    ck_assert_ptr_null(rpcproxy_route_find(NULL, "ex1", 6001));
    rpcproxy_route_resolve(pool, NULL, "ex1", 6001, &w);
    ck_assert_int_eq(w.kind, RELAY_NCACN_HTTP);
    ck_assert_int_eq(w.n_to, 1);
    ck_assert_str_eq(w.to[0].host, "ex1");
    ck_assert_uint_eq(w.to[0].port, 6001);
}
END_TEST

START_TEST(test_route_candidates)
{
    add("ex1 to=a.example.com to=b.example.com:7001 to=[2001:db8::1]:593 "
        "to=[::1]");
    ck_assert_str_eq(way("EX1", 6001), "http a.example.com:6001 "
                     "b.example.com:7001 2001:db8::1:593 ::1:6001");
    ck_assert_str_eq(way("ex10", 6001), "http ex10:6001");
}
END_TEST

START_TEST(test_route_protocol)
{
    add("dc1 protocol=ncacn_ip_tcp");
    add("dc2 to=dc2.example.com PROTOCOL=NCACN_IP_TCP TO=dc3:1");
    add("dc4 protocol=ncacn_http");
    ck_assert_str_eq(way("dc1", 135), "tcp dc1:135");
    ck_assert_str_eq(way("dc2", 135), "tcp dc2.example.com:135 dc3:1");
    ck_assert_str_eq(way("dc4", 135), "http dc4:135");
}
END_TEST

START_TEST(test_route_ports)
{
    add("ex1:6001 to=one");
    add("ex1:6002-6004 to=more");
    add("ex1 to=rest");
    ck_assert_str_eq(way("ex1", 6001), "http one:6001");
    ck_assert_str_eq(way("ex1", 6002), "http more:6002");
    ck_assert_str_eq(way("ex1", 6004), "http more:6004");
    ck_assert_str_eq(way("ex1", 6005), "http rest:6005");
    ck_assert_str_eq(way("ex1", 1), "http rest:1");
    ck_assert_str_eq(way("ex1", 65535), "http rest:65535");
}
END_TEST

START_TEST(test_route_first_match)
{
    add("ex1 to=first");
    add("ex1 to=second");
    add("data* to=third");
    add("da* to=fourth");
    ck_assert_str_eq(way("ex1", 1), "http first:1");
    ck_assert_str_eq(way("database", 1), "http third:1");
    ck_assert_str_eq(way("dax", 1), "http fourth:1");
}
END_TEST

START_TEST(test_route_exact_before_pattern)
{
    add("*@contoso.com to=domain");
    add("* to=any");
    add("box@contoso.com:6001 to=exact");
    ck_assert_str_eq(way("box@contoso.com", 6001), "http exact:6001");
    ck_assert_str_eq(way("box@contoso.com", 6002), "http domain:6002");
    ck_assert_str_eq(way("Other@CONTOSO.com", 6001), "http domain:6001");
    ck_assert_str_eq(way("x@fabrikam.com", 6001), "http any:6001");
}
END_TEST

START_TEST(test_route_ipv6_name)
{
    add("[2001:db8::1]:593 to=six");
    add("[::1] protocol=ncacn_ip_tcp");
    ck_assert_str_eq(way("2001:db8::1", 593), "http six:593");
    ck_assert_str_eq(way("2001:db8::1", 594), "http 2001:db8::1:594");
    ck_assert_str_eq(way("::1", 7), "tcp ::1:7");
}
END_TEST

/* Each sentence names the directive, and the argument that is wrong. */
START_TEST(test_route_refused)
{
    static const struct {
        const char *line;
        const char *argument;
    } bad[] = {
        { "ex1:0", "ex1:0" },
        { "ex1:65536", "ex1:65536" },
        { "ex1:2-1", "ex1:2-1" },
        { "ex1:", "ex1:" },
        { ":593", ":593" },
        { "a*b:593", "a*b:593" },
        { "a:1;b:2", "a:1;b:2" },
        { "2001:db8::1", "2001:db8::1" },
        { "2001:db8::1:593", "2001:db8::1:593" },
        { "ex1 to=", "to=" },
        { "ex1 to=a to=b:0", "to=b:0" },
        { "ex1 to=a:65536", "to=a:65536" },
        { "ex1 to=:1", "to=:1" },
        { "ex1 to=a/b", "to=a/b" },
        { "ex1 to=2001:db8::1", "to=2001:db8::1" },
        { "ex1 to=[::1", "to=[::1" },
        { "ex1 protocol=tcp", "protocol=tcp" },
        { "ex1 protocol=", "protocol=" },
        { "ex1 protocol=ncacn_http protocol=ncacn_http",
          "protocol=ncacn_http" },
        { "ex1 b.example.com", "b.example.com" }
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        rpcproxy_route r;
        const char *said = parse(bad[i].line, &r);
        const char *argument = apr_psprintf(pool, "'%s'", bad[i].argument);
        ck_assert_msg(said != NULL, "accepted: %s", bad[i].line);
        ck_assert_msg(strncmp(said, "RpcProxyRoute: ", 15) == 0, "%s", said);
        ck_assert_msg(strstr(said, argument) != NULL, "%s: %s", bad[i].line,
                      said);
    }
}
END_TEST

START_TEST(test_route_without_name)
{
    rpcproxy_route r;
    char *none[] = { NULL };
    ck_assert_ptr_nonnull(rpcproxy_route_parse(pool, 0, none, &r));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("route");
    TCase *c = tcase_create("route");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, test_route_none);
    tcase_add_test(c, test_route_candidates);
    tcase_add_test(c, test_route_protocol);
    tcase_add_test(c, test_route_ports);
    tcase_add_test(c, test_route_first_match);
    tcase_add_test(c, test_route_exact_before_pattern);
    tcase_add_test(c, test_route_ipv6_name);
    tcase_add_test(c, test_route_refused);
    tcase_add_test(c, test_route_without_name);
    suite_add_tcase(s, c);
    return test_main(s);
}
