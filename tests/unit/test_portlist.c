/* SPDX-License-Identifier: Apache-2.0 */
/* test_portlist.c - ValidPorts of the configuration, of a file that changes,
 * and asked by several threads */
#include "rpch_test.h"

#include <apr_file_info.h>
#include <apr_general.h>
#include <apr_strings.h>
#include <apr_thread_proc.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rpcproxy/portlist.h"

static apr_pool_t *pool;
static rpcproxy_portlist *list;
static apr_time_t now;
static const char *dir;
static const char *path;

static void setup(void)
{
    const char *where;
    char *template;
    ck_assert_int_eq(apr_initialize(), APR_SUCCESS);
    ck_assert_int_eq(apr_pool_create(&pool, NULL), APR_SUCCESS);
    ck_assert_int_eq(apr_temp_dir_get(&where, pool), APR_SUCCESS);
    template = apr_pstrcat(pool, where, "/test_portlist.XXXXXX", NULL);
    dir = mkdtemp(template);
    ck_assert_ptr_nonnull(dir);
    path = apr_pstrcat(pool, dir, "/ports", NULL);
    list = rpcproxy_portlist_create(pool);
    now = apr_time_from_sec(1000000);
}

static void teardown(void)
{
    unlink(path);
    rmdir(dir);
    apr_pool_destroy(pool);
    apr_terminate();
}

/* Replaces the file as an administrator should: by a rename. */
static void put_bytes(const char *text, size_t len)
{
    const char *fresh = apr_pstrcat(pool, path, ".new", NULL);
    FILE *f = fopen(fresh, "w");
    ck_assert_ptr_nonnull(f);
    ck_assert_uint_eq(fwrite(text, 1, len, f), len);
    ck_assert_int_eq(fclose(f), 0);
    ck_assert_int_eq(rename(fresh, path), 0);
}

static void put(const char *text)
{
    put_bytes(text, strlen(text));
}

static rpcproxy_verdict ask(const char *name, uint16_t port)
{
    rpcproxy_verdict v;
    rpcproxy_portlist_ask(list, name, port, now, pool, &v);
    return v;
}

static void add(const char *text)
{
    const char *bad = rpcproxy_portlist_add(list, text);
    ck_assert_msg(bad == NULL, "%s", bad);
}

static void set_file(void)
{
    const char *bad = rpcproxy_portlist_set_file(list, path);
    ck_assert_msg(bad == NULL, "%s", bad);
}

START_TEST(test_portlist_empty)
{
    rpcproxy_verdict v = ask("ex1", 593);
    ck_assert(!v.allowed && v.empty);
    ck_assert_int_eq(v.near, RPCH_NEAR_NONE);
    ck_assert_ptr_null(v.entry);
    ck_assert_ptr_null(v.news);
    add(" ; ;");
    ck_assert(ask("ex1", 593).empty);
}
END_TEST

START_TEST(test_portlist_adds_up)
{
    add("ex1:593;ex1:6001-6004");
    add("Data*:4000-8000");
    ck_assert(ask("EX1", 593).allowed);
    ck_assert(ask("ex1", 6004).allowed);
    ck_assert(ask("database7", 4000).allowed);
    ck_assert(!ask("ex1", 6005).allowed);
    ck_assert(!ask("ex1", 6005).empty);
    ck_assert(!ask("ex2", 593).allowed);
}
END_TEST

START_TEST(test_portlist_near)
{
    rpcproxy_verdict v;
    add("ex1:593;ex2.example.com:6001-6002;[2001:db8::1]:1");
    v = ask("ex1", 594);
    ck_assert_int_eq(v.near, RPCH_NEAR_PORT);
    ck_assert_str_eq(v.entry, "ex1:593");
    v = ask("ex1.example.com", 593);
    ck_assert_int_eq(v.near, RPCH_NEAR_SHORT);
    ck_assert_str_eq(v.entry, "ex1:593");
    v = ask("ex2", 6001);
    ck_assert_int_eq(v.near, RPCH_NEAR_FULL);
    ck_assert_str_eq(v.entry, "ex2.example.com:6001-6002");
    v = ask("2001:db8::1", 2);
    ck_assert_int_eq(v.near, RPCH_NEAR_PORT);
    ck_assert_str_eq(v.entry, "[2001:db8::1]:1");
    v = ask("other", 1);
    ck_assert_int_eq(v.near, RPCH_NEAR_NONE);
    ck_assert_ptr_null(v.entry);
}
END_TEST

START_TEST(test_portlist_refused)
{
    static const struct {
        const char *text;
        const char *entry;
    } bad[] = {
        { "ex1", "'ex1': " },
        { "ok:1; ex1:0 ;ok:2", "'ex1:0': " },
        { "ok:1;ex1:65536", "'ex1:65536': " },
        { "ex1:4-3", "'ex1:4-3': " },
        { "a*b:3", "'a*b:3': " },
        { ":3", "':3': " }
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        const char *said = rpcproxy_portlist_add(list, bad[i].text);
        ck_assert_msg(said != NULL, "accepted: %s", bad[i].text);
        ck_assert_msg(strncmp(said, bad[i].entry, strlen(bad[i].entry)) == 0,
                      "%s: %s", bad[i].text, said);
    }
}
END_TEST

START_TEST(test_portlist_file)
{
    put("\xEF\xBB\xBF# mailbox servers; ex9:9\r\nex1:593 # and more\n\n"
        "ex2:1;ex2:2 # ex8:8\r\nex3:3");
    add("ex0:1");
    set_file();
    ck_assert(ask("ex0", 1).allowed);
    ck_assert(ask("ex1", 593).allowed);
    ck_assert(ask("ex2", 1).allowed);
    ck_assert(ask("ex2", 2).allowed);
    ck_assert(ask("ex3", 3).allowed);
    ck_assert(!ask("ex8", 8).allowed);
    ck_assert(!ask("ex9", 9).allowed);
    ck_assert_str_eq(ask("ex1", 594).entry, "ex1:593");
    ck_assert_ptr_null(ask("ex1", 593).news);
    ck_assert_ptr_nonnull(rpcproxy_portlist_set_file(list, path));
}
END_TEST

/* What is wrong is said with its line. */
START_TEST(test_portlist_file_refused)
{
    const char *said = rpcproxy_portlist_set_file(list, path);
    ck_assert_ptr_nonnull(said);
    ck_assert_ptr_nonnull(strstr(said, "No such file"));
    put("# one\nex1:1\nex2:x # two\n");
    said = rpcproxy_portlist_set_file(list, path);
    ck_assert_ptr_nonnull(said);
    ck_assert_msg(strncmp(said, "line 3: 'ex2:x': ", 17) == 0, "%s", said);
    put_bytes("ex1:1\0ex2:2", 11);
    said = rpcproxy_portlist_set_file(list, path);
    ck_assert_ptr_nonnull(said);
    ck_assert_ptr_nonnull(strstr(said, "NUL"));
    said = rpcproxy_portlist_set_file(list, dir);
    ck_assert_ptr_nonnull(said);
    ck_assert_ptr_nonnull(strstr(said, "regular"));
    put("");
    ck_assert_int_eq(truncate(path, RPCPROXY_PORTLIST_FILE_MAX + 1), 0);
    said = rpcproxy_portlist_set_file(list, path);
    ck_assert_ptr_nonnull(said);
    ck_assert_ptr_nonnull(strstr(said, "larger"));
    put("");
    set_file();
    ck_assert(ask("ex1", 1).empty);
}
END_TEST

START_TEST(test_portlist_file_changes)
{
    rpcproxy_verdict v;
    put("ex1:1");
    set_file();
    ck_assert(ask("ex1", 1).allowed);
    put("ex2:2\nex3:3");
    now += apr_time_from_msec(999);
    v = ask("ex2", 2);
    ck_assert_msg(!v.allowed, "looked at again within a second");
    now += apr_time_from_msec(1);
    v = ask("ex2", 2);
    ck_assert(v.allowed && !v.news_bad);
    ck_assert_str_eq(v.news, apr_pstrcat(pool, path, " was read again, it "
                                         "has 2 entries", NULL));
    ck_assert(!ask("ex1", 1).allowed);
    now += apr_time_from_sec(5);
    ck_assert_ptr_null(ask("ex2", 2).news);
}
END_TEST

/* A clock that was set back does not stop the looking. */
START_TEST(test_portlist_clock_back)
{
    put("ex1:1");
    set_file();
    ck_assert(ask("ex1", 1).allowed);
    put("ex2:2");
    now -= apr_time_from_sec(3600);
    ck_assert(ask("ex2", 2).allowed);
}
END_TEST

START_TEST(test_portlist_file_spoilt)
{
    rpcproxy_verdict v;
    put("ex1:1");
    set_file();
    ask("ex1", 1);
    put("ex1:1\nnonsense");
    now += apr_time_from_sec(1);
    v = ask("ex1", 1);
    ck_assert(v.allowed && v.news_bad);
    ck_assert_ptr_nonnull(strstr(v.news, "the 1 entries read before stay"));
    ck_assert_ptr_nonnull(strstr(v.news, "line 2: 'nonsense'"));
    now += apr_time_from_sec(1);
    ck_assert_ptr_null(ask("ex1", 1).news);
    ck_assert_int_eq(unlink(path), 0);
    now += apr_time_from_sec(1);
    v = ask("ex1", 1);
    ck_assert(v.allowed && v.news_bad);
    now += apr_time_from_sec(1);
    ck_assert_ptr_null(ask("ex1", 1).news);
    put("ex4:4");
    now += apr_time_from_sec(1);
    v = ask("ex4", 4);
    ck_assert(v.allowed && v.news && !v.news_bad);
}
END_TEST

#define THREADS 4
#define ROUNDS 3000

typedef struct asker {
    apr_pool_t *pool;
    apr_time_t start;
    unsigned wrong;
} asker;

static void *APR_THREAD_FUNC ask_often(apr_thread_t *t, void *baton)
{
    asker *a = baton;
    for (int i = 0; i < ROUNDS; i++) {
        rpcproxy_verdict v;
        apr_pool_clear(a->pool);
        rpcproxy_portlist_ask(list, "ex1", 1,
                              a->start + apr_time_from_sec(i), a->pool, &v);
        a->wrong += !v.allowed || (v.news && v.news_bad);
    }
    return NULL;
}

/* The file changes under threads that ask: ex1 is in it always. */
START_TEST(test_portlist_threads)
{
    apr_thread_t *threads[THREADS];
    asker askers[THREADS];
    apr_status_t rv;
    put("ex1:1");
    set_file();
    for (int i = 0; i < THREADS; i++) {
        askers[i] = (asker){ NULL, now, 0 };
        ck_assert_int_eq(apr_pool_create(&askers[i].pool, NULL),
                         APR_SUCCESS);
        ck_assert_int_eq(apr_thread_create(&threads[i], NULL, ask_often,
                                           &askers[i], pool), APR_SUCCESS);
    }
    for (int i = 0; i < 300; i++)
        put(i % 2 ? "ex1:1" : "ex0:1;ex0:2;ex0:3\nex1:1-5");
    for (int i = 0; i < THREADS; i++) {
        ck_assert_int_eq(apr_thread_join(&rv, threads[i]), APR_SUCCESS);
        ck_assert_uint_eq(askers[i].wrong, 0);
        apr_pool_destroy(askers[i].pool);
    }
}
END_TEST

static const char *said(rpcproxy_portlist **l, rpcproxy_said *so_far,
                        const char *arg)
{
    return rpcproxy_portlist_say(l, so_far, "RpcProxyValidPorts", arg, pool);
}

START_TEST(test_portlist_none_stands_alone)
{
    rpcproxy_portlist *l = NULL;
    rpcproxy_said so_far = RPCPROXY_SAID_NOTHING;
    ck_assert_ptr_null(said(&l, &so_far, "none"));
    ck_assert_ptr_nonnull(l);
    ck_assert_int_eq(so_far, RPCPROXY_SAID_NONE);
    ck_assert_ptr_nonnull(said(&l, &so_far, "ex1:1"));
    ck_assert_ptr_nonnull(rpcproxy_portlist_say_file(
        &l, &so_far, "RpcProxyValidPortsFile", "x", "/x", pool));
    l = NULL;
    so_far = RPCPROXY_SAID_NOTHING;
    ck_assert_ptr_null(said(&l, &so_far, "ex1:1"));
    ck_assert_ptr_null(said(&l, &so_far, "ex2:1"));
    ck_assert_ptr_nonnull(strstr(said(&l, &so_far, "None"),
                                 "RpcProxyValidPorts: 'None': "));
    ck_assert_ptr_nonnull(strstr(said(&l, &so_far, "ex1"),
                                 "or None is allowed"));
}
END_TEST

START_TEST(test_portlist_file_without_a_path)
{
    rpcproxy_portlist *l = NULL;
    rpcproxy_said so_far = RPCPROXY_SAID_NOTHING;
    ck_assert_str_eq(rpcproxy_portlist_say_file(&l, &so_far, "F", "x", NULL,
                                                pool),
                     "F: 'x': the path of a file is allowed");
}
END_TEST

int main(void)
{
    Suite *s = suite_create("portlist");
    TCase *c = tcase_create("portlist");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, test_portlist_empty);
    tcase_add_test(c, test_portlist_adds_up);
    tcase_add_test(c, test_portlist_near);
    tcase_add_test(c, test_portlist_refused);
    tcase_add_test(c, test_portlist_file);
    tcase_add_test(c, test_portlist_file_refused);
    tcase_add_test(c, test_portlist_file_changes);
    tcase_add_test(c, test_portlist_clock_back);
    tcase_add_test(c, test_portlist_file_spoilt);
    tcase_add_test(c, test_portlist_threads);
    tcase_add_test(c, test_portlist_none_stands_alone);
    tcase_add_test(c, test_portlist_file_without_a_path);
    suite_add_tcase(s, c);
    return test_main(s);
}
