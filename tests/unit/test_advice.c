/* SPDX-License-Identifier: Apache-2.0 */
/* test_advice.c - what is advised, for which numbers, and that advice which
 * is followed comes to an end */
#include "rpch_test.h"

#include <apr_general.h>
#include <stdlib.h>

#include "rpcproxy/advice.h"

#define HOUR (INT64_C(60) * 60 * 1000)

static apr_pool_t *pool;
static rpcproxy_setup setup;

/* 25,000 channels in four children. */
static void setup_good(void)
{
    static const rpcproxy_setup good = {
        .mpm = "event", .async = true, .threaded = true, .sized = true,
        .connections = 12500, .children = 4, .slots = 12, .threads = 64,
        .spare_max = 256, .factor = 200, .open_files = 20000, .drain = HOUR
    };
    ck_assert_int_eq(apr_pool_create(&pool, NULL), APR_SUCCESS);
    setup = good;
}

static void teardown(void)
{
    apr_pool_destroy(pool);
}

/* The one advice there is, which has that tag and that end. */
static void ck_one(const char *tag, bool warning, const char *says)
{
    apr_array_header_t *all = rpcproxy_advise(pool, &setup);
    const rpcproxy_advice *a;
    ck_assert_int_eq(all->nelts, 1);
    a = &APR_ARRAY_IDX(all, 0, rpcproxy_advice);
    ck_assert_msg(strncmp(a->text, tag, strlen(tag)) == 0, "%s", a->text);
    ck_assert_msg(strstr(a->text, says) != NULL, "%s", a->text);
    ck_assert_int_eq(a->warning, warning);
}

static void ck_none(void)
{
    apr_array_header_t *all = rpcproxy_advise(pool, &setup);
    ck_assert_msg(all->nelts == 0, "%s", all->nelts
                  ? APR_ARRAY_IDX(all, 0, rpcproxy_advice).text : "");
}

START_TEST(test_advice_none)
{
    ck_none();
    setup.children = 0; /* an MPM that tells nothing */
    ck_none();
}
END_TEST

START_TEST(test_advice_factor)
{
    setup.factor = 97; /* 64 * 98 is above 6250, the share of a child */
    ck_none();
    setup.factor = 96;
    ck_one("RPX0402: ", true, "accepts 24832 connections at once (4 children "
           "of 64 threads), but RpcProxyMaxConnections 12500 stands for 25000 "
           "channels; set AsyncRequestWorkerFactor 200, or "
           "RpcProxyMaxConnections 12416");
    setup.sized = false;
    ck_one("RPX0402: ", false, "");
}
END_TEST

START_TEST(test_advice_files)
{
    setup.open_files = 14710; /* 7/8 of it are above 64 * 201 */
    ck_none();
    setup.open_files = 14690;
    ck_one("RPX0403: ", true, "is 14690, and a child that is to take 6250 "
           "channels");
    ck_one("RPX0403: ", true, "set LimitNOFILE=15360 (systemd)");
    setup.open_files = UINT32_MAX;
    setup.connections = 1048576;
    setup.factor = 20000;
    ck_none();
    /* joined channels have three */
    setup.connections = 12500;
    setup.factor = 100;
    setup.open_files = 15360;
    ck_none();
    setup.joined = true;
    ck_one("RPX0403: ", true, "LimitNOFILE=21504");
}
END_TEST

START_TEST(test_advice_slots)
{
    setup.slots = 8;
    ck_none();
    setup.slots = 7;
    ck_one("RPX0404: ", true, "set ServerLimit 12,");
    setup.threaded = false; /* prefork: one channel a child */
    setup.slots = 5;
    ck_none();
    setup.slots = 4;
    ck_one("RPX0404: ", true, "set ServerLimit 8,");
    setup.threaded = true;
    setup.slots = 7;
    setup.drain = 0; /* nobody stays behind */
    ck_none();
    setup.drain = 25 * HOUR; /* and so two restarts of one a day */
    setup.slots = 12;
    ck_none();
    setup.slots = 11;
    ck_one("RPX0404: ", true, "set ServerLimit 16,");
}
END_TEST

START_TEST(test_advice_spare)
{
    setup.spare_max = 255;
    ck_one("RPX0405: ", true, "set MaxSpareThreads 256 ");
}
END_TEST

START_TEST(test_advice_life)
{
    setup.child_life = 12499;
    ck_one("RPX0406: ", true, "set MaxConnectionsPerChild 0");
    setup.child_life = 12500;
    ck_one("RPX0406: ", false, "set MaxConnectionsPerChild 0");
}
END_TEST

START_TEST(test_advice_per_child)
{
    setup.per_child = 6250;
    ck_none();
    setup.per_child = 6249;
    ck_one("RPX0407: ", true, "set RpcProxyMaxChannelsPerChild 7900 or 0");
}
END_TEST

START_TEST(test_advice_workers)
{
    setup.mpm = "worker";
    setup.async = false;
    ck_one("RPX0401: ", true, "worker gives each channel a worker, so that "
           "256 workers are all that there is for the 25000 channels of "
           "RpcProxyMaxConnections 12500; set MaxRequestWorkers 25088 ");
    setup.connections = 127;
    ck_none();
    setup.connections = 128;
    ck_one("RPX0401: ", true, "or RpcProxyMaxConnections 127");
    setup.mpm = "event";
    setup.async_off = true;
    ck_one("RPX0401: ", true, "event with RpcProxyAsync Off gives");
    ck_one("RPX0401: ", true, "set RpcProxyAsync Auto, or");
}
END_TEST

START_TEST(test_advice_places)
{
    rpcproxy_place place = { .where = "x.conf:7", .limit_body = 0,
                             .kept_body = 0 };
    apr_array_header_t *places = apr_array_make(pool, 1, sizeof(place));
    rpcproxy_place *at = apr_array_push(places);
    setup.places = places;
    *at = place;
    ck_none();
    at->limit_body = -1;
    at->kept_body = -1;
    ck_none();
    at->limit_body = 1 << 30;
    ck_none();
    at->limit_body--;
    ck_one("RPX0408: x.conf:7: LimitRequestBody 1073741823 ", true,
           "set LimitRequestBody 0");
    *at = place;
    at->kept_body = 1;
    ck_one("RPX0409: x.conf:7: ", true, "set KeptBodySize 0");
    *at = place;
    at->body_access = true;
    ck_one("RPX0410: x.conf:7: ", true, "set SecRequestBodyAccess Off");
    *at = place;
    at->input_filter = "BUFFER";
    ck_one("RPX0411: x.conf:7: ", true, "BUFFER");
    *at = place;
    at->dumps = true;
    ck_one("RPX0412: x.conf:7: ", false, "set DumpIOInput Off");
    *at = place;
    at->http2 = true;
    ck_one("RPX0413: x.conf:7: ", false, "set Protocols http/1.1");
    *(rpcproxy_place *)apr_array_push(places) = place;
    *(rpcproxy_place *)apr_array_push(places) = place;
    APR_ARRAY_IDX(places, 2, rpcproxy_place).http2 = true;
    APR_ARRAY_IDX(places, 2, rpcproxy_place).where = "y.conf:8";
    ck_one("RPX0413: x.conf:7 and 1 more: ", false, "");
    APR_ARRAY_IDX(places, 0, rpcproxy_place).http2 = false;
    ck_one("RPX0413: y.conf:8: ", false, "");
}
END_TEST

/* As Debian ships mpm_event.conf: told, and no more than that, as long as
 * nobody asked for a size. */
START_TEST(test_advice_debian)
{
    static const char *const tags[] = { "RPX0402", "RPX0403", "RPX0405" };
    apr_array_header_t *all;
    int i;
    setup.connections = 16384;
    setup.sized = false;
    setup.children = 6;
    setup.slots = 16;
    setup.threads = 25;
    setup.spare_max = 75;
    setup.factor = 2;
    setup.open_files = 8192;
    all = rpcproxy_advise(pool, &setup);
    ck_assert_int_eq(all->nelts, 3);
    for (i = 0; i < 3; i++) {
        const rpcproxy_advice *a = &APR_ARRAY_IDX(all, i, rpcproxy_advice);
        ck_assert(!a->warning);
        ck_assert(strncmp(a->text, tags[i], 7) == 0);
    }
    setup.connections = 225;
    setup.sized = true;
    ck_one("RPX0405", true, "set MaxSpareThreads 150");
}
END_TEST

/* The number behind what in text; false when it is not there. */
static bool told(const char *text, const char *what, uint32_t *out)
{
    const char *at = strstr(text, what);
    if (at)
        *out = (uint32_t)strtoul(at + strlen(what), NULL, 10);
    return at != NULL;
}

static void follow(const char *text)
{
    uint32_t n;
    if (told(text, "set AsyncRequestWorkerFactor ", &n))
        setup.factor = n;
    else if (told(text, "set LimitNOFILE=", &n))
        setup.open_files = n;
    else if (told(text, "set ServerLimit ", &n))
        setup.slots = n;
    else if (told(text, "set MaxSpareThreads ", &n))
        setup.spare_max = n;
    else if (told(text, "set MaxConnectionsPerChild ", &n))
        setup.child_life = n;
    else if (told(text, "set RpcProxyMaxChannelsPerChild ", &n))
        setup.per_child = n;
    else if (told(text, "set MaxRequestWorkers ", &n))
        setup.children = n / setup.threads;
    else
        ck_abort_msg("nothing to follow: %s", text);
}

/* Once, and once more when the number of children has changed. */
static void ck_ends(void)
{
    apr_array_header_t *all;
    int round, i;
    for (round = 0; round < 2; round++) {
        all = rpcproxy_advise(pool, &setup);
        for (i = 0; i < all->nelts; i++)
            follow(APR_ARRAY_IDX(all, i, rpcproxy_advice).text);
        if (setup.async)
            break;
    }
    ck_none();
}

START_TEST(test_advice_ends)
{
    static const uint32_t sizes[] = { 1, 225, 1000, 5000, 12500, 16384,
                                      1048576 };
    static const uint32_t threads[] = { 1, 16, 25, 64, 1000 };
    static const uint32_t children[] = { 1, 2, 6, 400 };
    unsigned i, j, k, how;
    for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
        for (j = 0; j < sizeof(threads) / sizeof(threads[0]); j++)
            for (k = 0; k < sizeof(children) / sizeof(children[0]); k++)
                for (how = 0; how < 4; how++) {
                    teardown();
                    setup_good();
                    setup.connections = sizes[i];
                    setup.threads = threads[j];
                    setup.children = children[k];
                    setup.async = (how & 1) != 0;
                    setup.joined = (how & 2) != 0;
                    setup.factor = 2;
                    setup.slots = 1;
                    setup.spare_max = 1;
                    setup.child_life = 1;
                    setup.per_child = 1;
                    setup.open_files = 256;
                    ck_ends();
                }
}
END_TEST

/* The other way out: the size that there is room for. */
START_TEST(test_advice_smaller)
{
    uint32_t n;
    setup.factor = 2;
    ck_assert(told(APR_ARRAY_IDX(rpcproxy_advise(pool, &setup), 0,
                                 rpcproxy_advice).text,
                   "or RpcProxyMaxConnections ", &n));
    setup.connections = n;
    ck_none();
    setup.connections = n + 1;
    ck_one("RPX0402", true, "");
}
END_TEST

int main(void)
{
    Suite *s = suite_create("advice");
    TCase *tc = tcase_create("advice");
    apr_initialize();
    tcase_add_checked_fixture(tc, setup_good, teardown);
    tcase_add_test(tc, test_advice_none);
    tcase_add_test(tc, test_advice_factor);
    tcase_add_test(tc, test_advice_files);
    tcase_add_test(tc, test_advice_slots);
    tcase_add_test(tc, test_advice_spare);
    tcase_add_test(tc, test_advice_life);
    tcase_add_test(tc, test_advice_per_child);
    tcase_add_test(tc, test_advice_workers);
    tcase_add_test(tc, test_advice_places);
    tcase_add_test(tc, test_advice_debian);
    tcase_add_test(tc, test_advice_ends);
    tcase_add_test(tc, test_advice_smaller);
    suite_add_tcase(s, tc);
    return test_main(s);
}
