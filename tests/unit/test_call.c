/* SPDX-License-Identifier: Apache-2.0 */
/* test_call.c - relay/call.h: which PDUs begin and end a call, and counting */
#include <pthread.h>

#include "relay/call.h"
#include "rpch/pdu.h"
#include "rpch_test.h"

#define FIRST 0x01
#define LAST 0x02
#define DEAD 0x20
#define MAYBE 0x40
#define WHOLE (FIRST | LAST)

/* A header in either byte order. */
static const uint8_t *header(uint8_t ptype, uint8_t flags, bool big)
{
    static uint8_t h[RPCH_PDU_HEADER_SIZE];
    memset(h, 0, sizeof(h));
    h[0] = 5;
    h[2] = ptype;
    h[3] = flags;
    h[4] = big ? 0 : 0x10;
    h[big ? 9 : 8] = RPCH_PDU_HEADER_SIZE;
    return h;
}

static bool begins(uint8_t ptype, uint8_t flags)
{
    bool little = relay_call_begins(header(ptype, flags, false));
    ck_assert(little == relay_call_begins(header(ptype, flags, true)));
    return little;
}

static bool ends(uint8_t ptype, uint8_t flags)
{
    bool little = relay_call_ends(header(ptype, flags, false));
    ck_assert(little == relay_call_ends(header(ptype, flags, true)));
    return little;
}

START_TEST(test_call_requests)
{
    ck_assert(begins(RPCH_PTYPE_REQUEST, WHOLE));
    ck_assert(begins(RPCH_PTYPE_REQUEST, FIRST));
    ck_assert(!begins(RPCH_PTYPE_REQUEST, 0));
    ck_assert(!begins(RPCH_PTYPE_REQUEST, LAST));
    ck_assert(!begins(RPCH_PTYPE_REQUEST, WHOLE | MAYBE));
}
END_TEST

START_TEST(test_call_answers)
{
    ck_assert(ends(RPCH_PTYPE_RESPONSE, WHOLE));
    ck_assert(ends(RPCH_PTYPE_RESPONSE, LAST));
    ck_assert(!ends(RPCH_PTYPE_RESPONSE, FIRST));
    ck_assert(!ends(RPCH_PTYPE_RESPONSE, 0));
    ck_assert(ends(RPCH_PTYPE_FAULT, WHOLE | DEAD));
}
END_TEST

START_TEST(test_call_binds)
{
    ck_assert(begins(RPCH_PTYPE_BIND, WHOLE));
    ck_assert(begins(RPCH_PTYPE_ALTER_CONTEXT, WHOLE));
    ck_assert(ends(RPCH_PTYPE_BIND_ACK, WHOLE));
    ck_assert(ends(RPCH_PTYPE_BIND_NAK, WHOLE));
    ck_assert(ends(RPCH_PTYPE_ALTER_CONTEXT_RESP, WHOLE));
}
END_TEST

/* Nothing both begins and ends one, and all other PDUs do neither. */
START_TEST(test_call_others)
{
    unsigned n = 0, ptype;
    for (ptype = 0; ptype < 256; ptype++) {
        bool b = begins((uint8_t)ptype, WHOLE);
        bool e = ends((uint8_t)ptype, WHOLE);
        ck_assert(!b || !e);
        n += b + e;
    }
    ck_assert_uint_eq(n, 8);
    ck_assert(!begins(RPCH_PTYPE_AUTH_3, WHOLE));
    ck_assert(!begins(RPCH_PTYPE_CO_CANCEL, WHOLE));
    ck_assert(!ends(RPCH_PTYPE_ORPHANED, WHOLE));
    ck_assert(!ends(RPCH_PTYPE_SHUTDOWN, WHOLE));
}
END_TEST

START_TEST(test_call_counting)
{
    relay_calls c = { 0, 0 };
    ck_assert(!relay_calls_wait(&c));
    relay_calls_begin(&c);
    relay_calls_begin(&c);
    ck_assert(relay_calls_wait(&c));
    relay_calls_end(&c, 1);
    ck_assert(relay_calls_wait(&c));
    relay_calls_end(&c, 1);
    ck_assert(!relay_calls_wait(&c));
    relay_calls_begin(&c);
    ck_assert(relay_calls_wait(&c));
    relay_calls_reset(&c);
    ck_assert(!relay_calls_wait(&c));
}
END_TEST

/* A fault that nobody asked for must not hide the next call. */
START_TEST(test_call_unasked_answer)
{
    relay_calls c = { 0, 0 };
    relay_calls_begin(&c);
    relay_calls_end(&c, 3);
    ck_assert(!relay_calls_wait(&c));
    relay_calls_begin(&c);
    ck_assert(relay_calls_wait(&c));
    relay_calls_end(&c, 1);
    ck_assert(!relay_calls_wait(&c));
}
END_TEST

START_TEST(test_call_counters_wrap)
{
    relay_calls c = { UINT32_MAX, UINT32_MAX };
    ck_assert(!relay_calls_wait(&c));
    relay_calls_begin(&c);
    ck_assert_uint_eq(c.asked, 0);
    ck_assert(relay_calls_wait(&c));
    relay_calls_end(&c, 1);
    ck_assert(!relay_calls_wait(&c));
}
END_TEST

#define EACH 20000

static void *ask(void *baton)
{
    int i;
    for (i = 0; i < EACH; i++)
        relay_calls_begin(baton);
    return NULL;
}

static void *answer(void *baton)
{
    relay_calls *c = baton;
    uint32_t done = 0;
    while (done < 2 * EACH)
        if (relay_calls_wait(c)) {
            relay_calls_end(c, 1);
            done++;
        }
    return NULL;
}

/* Two senders, as when a channel is replaced, and one receiver: none of the
 * calls is lost. */
START_TEST(test_call_threads)
{
    static relay_calls c;
    pthread_t t[3];
    int i;
    for (i = 0; i < 3; i++)
        ck_assert_int_eq(pthread_create(&t[i], NULL, i < 2 ? ask : answer,
                                        &c), 0);
    for (i = 0; i < 3; i++)
        pthread_join(t[i], NULL);
    ck_assert_uint_eq(c.asked, 2 * EACH);
    ck_assert(!relay_calls_wait(&c));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("call");
    TCase *tc = tcase_create("call");
    tcase_add_test(tc, test_call_requests);
    tcase_add_test(tc, test_call_answers);
    tcase_add_test(tc, test_call_binds);
    tcase_add_test(tc, test_call_others);
    tcase_add_test(tc, test_call_counting);
    tcase_add_test(tc, test_call_unasked_answer);
    tcase_add_test(tc, test_call_counters_wrap);
    tcase_add_test(tc, test_call_threads);
    suite_add_tcase(s, tc);
    return test_main(s);
}
