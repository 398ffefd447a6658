/* SPDX-License-Identifier: Apache-2.0 */
/* test_eeinfo.c - extended errors against MS-EERR 2.2 and C706 14 */
#include "rpch_test.h"

#include "rpch/eeinfo.h"
#include "rpch/wire.h"

/* By hand: computer "px", pid 0x1234, component 14, 0x5a0, status 6ba, and
 * the parameters "s:1", 7, none. */
static const char hex_record[] =
    "01100800 cccccccc a0000000 00000000" /* headers */
    "00000200 03000000"                   /* pointer; three parameters */
    "00000000 0100 0100"                  /* @8 Next; a name, a name */
    "0300 0000 04000200"                  /* three characters at ... */
    "34120000"                            /* @24 pid */
    "00000000"                            /* to 8 */
    "0080c1c1 f5d1d401"                   /* @32 time */
    "0e000000 ba060000 a005 0000"         /* component, status, location */
    "0300"                                /* @52 three parameters */
    "0000"                                /* to 8 */
    "0200 0200 0400 0000 08000200 00000000" /* @56 UnicodeString */
    "0300 0300 07000000"                  /* @72 LongVal */
    "0600 0600"                           /* @80 None */
    "03000000 7000 7800 0000"             /* @84 "px" */
    "0000"                                /* to 4 */
    "04000000 7300 3a00 3100 0000"        /* @96 "s:1" */
    "00000000"                            /* @108 to 8 */;

/* Two records: a cause behind the first, whose text comes last. */
static const char hex_chain[] =
    "01100800 cccccccc 88000000 00000000"
    "00000200 00000000"
    "04000200 0100 0100"                  /* @8 Next */
    "0200 0000 08000200"                  /* a name of two */
    "01000000 00000000"                   /* @24 pid 1 */
    "02000000 00000000"                   /* @32 time 2 */
    "03000000 04000000 0500 0100 0000"    /* @40 ... no parameter */
    "0000"                                /* @54 to 4 */
    "00000000"                            /* @56 the second: no parameter */
    "00000000"                            /* to 8 */
    "00000000 0200 0200"                  /* @64 no Next, no name */
    "06000000 00000000"                   /* @72 pid 6, to 8 */
    "07000000 00000000"                   /* @80 time */
    "08000000 09000000 0a00 0200 0000"    /* @88 */
    "0000"                                /* @102 to 4 */
    "02000000 6100 0000"                  /* @104 "a", of the first */;

static uint8_t blob[RPCH_EE_BLOB_MAX];
static rpch_ee_record got[RPCH_EE_RECORDS_MAX];
static unsigned n_got;
static const char *reason;

/* A blob from hex, its length put right. */
static size_t blob_of(const char *hex)
{
    size_t n = test_hex(hex, blob, sizeof(blob));

    ck_assert_uint_eq(n % 8, 0);
    blob[8] = (uint8_t)(n - 16);
    blob[9] = (uint8_t)((n - 16) >> 8);
    return n;
}

static int decode(size_t n)
{
    reason = NULL;
    return rpch_ee_decode(blob, n, got, RPCH_EE_RECORDS_MAX, &n_got, &reason);
}

static rpch_ee_record sample(void)
{
    rpch_ee_record r;

    memset(&r, 0, sizeof(r));
    r.has_computer = true;
    strcpy(r.computer, "px");
    r.pid = 0x1234;
    r.time = UINT64_C(0x01d4d1f5c1c18000);
    r.component = RPCH_EE_COMPONENT_PROXY;
    r.location = RPCH_EE_LOCATION_CONNECT;
    r.status = 0x6ba;
    r.params = 3;
    r.param[0].type = RPCH_EE_UNICODE;
    strcpy(r.param[0].text, "s:1");
    r.param[1].type = RPCH_EE_LONG;
    r.param[1].number = 7;
    r.param[2].type = RPCH_EE_NONE;
    return r;
}

static void check_same(const rpch_ee_record *a, const rpch_ee_record *b)
{
    unsigned i;

    ck_assert_int_eq(a->has_computer, b->has_computer);
    ck_assert_str_eq(a->computer, b->computer);
    ck_assert_uint_eq(a->pid, b->pid);
    ck_assert_uint_eq(a->time, b->time);
    ck_assert_uint_eq(a->component, b->component);
    ck_assert_uint_eq(a->status, b->status);
    ck_assert_uint_eq(a->location, b->location);
    ck_assert_uint_eq(a->flags, b->flags);
    ck_assert_uint_eq(a->params, b->params);
    for (i = 0; i < a->params; i++) {
        ck_assert_int_eq(a->param[i].type, b->param[i].type);
        ck_assert_int_eq(a->param[i].number, b->param[i].number);
        ck_assert_str_eq(a->param[i].text, b->param[i].text);
    }
}

START_TEST(test_eeinfo_byte_exact)
{
    uint8_t want[512];
    size_t len = 0, n = test_hex(hex_record, want, sizeof(want));
    rpch_ee_record r = sample();

    want[8] = (uint8_t)(n - 16);
    ck_assert_int_eq(rpch_ee_encode(&r, blob, sizeof(blob), &len), RPCH_OK);
    ck_assert_uint_eq(len, n);
    ck_assert_mem_eq(blob, want, n);
    ck_assert_int_eq(decode(len), RPCH_OK);
    ck_assert_uint_eq(n_got, 1);
    check_same(&r, &got[0]);
}
END_TEST

START_TEST(test_eeinfo_chain)
{
    size_t n = blob_of(hex_chain);

    ck_assert_msg(decode(n) == RPCH_OK, "%s", reason);
    ck_assert_uint_eq(n_got, 2);
    ck_assert_str_eq(got[0].computer, "a");
    ck_assert_uint_eq(got[0].pid, 1);
    ck_assert_uint_eq(got[0].location, 5);
    ck_assert_uint_eq(got[0].flags, 1);
    ck_assert(!got[1].has_computer);
    ck_assert_uint_eq(got[1].pid, 6);
    ck_assert_uint_eq(got[1].time, 7);
    ck_assert_uint_eq(got[1].status, 9);
    ck_assert_uint_eq(got[1].flags, 2);
    ck_assert_int_eq(rpch_ee_decode(blob, n, got, 1, &n_got, &reason),
                     RPCH_E_ROOM);
    ck_assert_str_eq(reason, "too many records");
}
END_TEST

START_TEST(test_eeinfo_every_type)
{
    static const char hex[] =
        "01100800 cccccccc 00000000 00000000"
        "00000200 04000000 00000000 0200 0200"
        "00000000 00000000 00000000 00000000" /* @16 pid, time at 24 */
        "00000000 00000000 0000 0000 0400 0000"
        "0100 0100 0300 0000 04000200 00000000" /* @48 AnsiString */
        "0400 0400 feff 0000"                 /* @64 ShortVal: behind the tag */
        "0500 0500 00000000 ffffffffffffffff" /* @72 PointerVal */
        "0700 0700 0200 0000 08000200"        /* @88 Binary */
        "03000000 68e900 00"                  /* @100 "h?" */
        "02000000 abcd 0000 00000000";
    size_t n = blob_of(hex);

    ck_assert_msg(decode(n) == RPCH_OK, "%s", reason);
    ck_assert_int_eq(got[0].param[0].type, RPCH_EE_ANSI);
    ck_assert_str_eq(got[0].param[0].text, "h?");
    ck_assert_int_eq(got[0].param[1].number, -2);
    ck_assert_int_eq(got[0].param[2].number, -1);
    ck_assert_int_eq(got[0].param[3].type, RPCH_EE_BINARY);
    ck_assert_int_eq(got[0].param[3].number, 2);
}
END_TEST

START_TEST(test_eeinfo_round_trips)
{
    static const rpch_ee_type types[] = { RPCH_EE_UNICODE, RPCH_EE_LONG,
                                          RPCH_EE_SHORT, RPCH_EE_POINTER,
                                          RPCH_EE_NONE };
    size_t len, text;
    unsigned mix, i;

    for (text = 0; text < RPCH_EE_TEXT_SIZE; text++)
        for (mix = 0; mix < 125; mix++) {
            rpch_ee_record r = sample();
            unsigned left = mix;

            memset(r.computer, 'c', text);
            r.computer[text] = '\0';
            r.has_computer = mix % 2 == 0;
            if (!r.has_computer)
                r.computer[0] = '\0';
            r.params = mix % 5;
            memset(r.param, 0, sizeof(r.param));
            for (i = 0; i < r.params; i++, left /= 5) {
                r.param[i].type = types[left % 5];
                r.param[i].number = r.param[i].type == RPCH_EE_NONE
                                    || r.param[i].type == RPCH_EE_UNICODE
                                    ? 0 : -5 - (int)i;
                if (r.param[i].type == RPCH_EE_UNICODE)
                    memset(r.param[i].text, 'p', text);
            }
            ck_assert_int_eq(rpch_ee_encode(&r, blob, sizeof(blob), &len),
                             RPCH_OK);
            ck_assert_msg(decode(len) == RPCH_OK, "%s", reason);
            check_same(&r, &got[0]);
        }
}
END_TEST

START_TEST(test_eeinfo_encode_refuses)
{
    rpch_ee_record r = sample();
    size_t len, n;

    ck_assert_int_eq(rpch_ee_encode(&r, blob, sizeof(blob), &len), RPCH_OK);
    for (n = 0; n < len; n++) {
        size_t unused = 0;

        ck_assert_int_eq(rpch_ee_encode(&r, blob, n, &unused), RPCH_E_ROOM);
    }
    r.params = RPCH_EE_PARAMS_MAX + 1;
    ck_assert_int_eq(rpch_ee_encode(&r, blob, sizeof(blob), &len),
                     RPCH_E_VALUE);
    r = sample();
    r.param[1].type = RPCH_EE_BINARY;
    ck_assert_int_eq(rpch_ee_encode(&r, blob, sizeof(blob), &len),
                     RPCH_E_VALUE);
    r = sample();
    memset(r.computer, 'x', sizeof(r.computer));
    ck_assert_int_eq(rpch_ee_encode(&r, blob, sizeof(blob), &len),
                     RPCH_E_VALUE);
    r = sample();
    memset(r.param[0].text, 'x', sizeof(r.param[0].text));
    ck_assert_int_eq(rpch_ee_encode(&r, blob, sizeof(blob), &len),
                     RPCH_E_VALUE);
}
END_TEST

/* A blob cut anywhere, with its length as it was or put right. */
START_TEST(test_eeinfo_cut)
{
    size_t n = blob_of(hex_record), cut;

    for (cut = 0; cut < n; cut++) {
        uint8_t *part = malloc(cut + 1); /* so that sanitizers see the end */
        const char *why = NULL;

        memcpy(part, blob, cut);
        ck_assert_int_eq(rpch_ee_decode(part, cut, got, RPCH_EE_RECORDS_MAX,
                                        &n_got, &why), RPCH_E_SYNTAX);
        ck_assert_ptr_nonnull(why);
        ck_assert_uint_eq(n_got, 0);
        if (cut >= 16) {
            part[8] = (uint8_t)(cut - 16);
            ck_assert_int_eq(rpch_ee_decode(part, cut, got,
                                            RPCH_EE_RECORDS_MAX, &n_got,
                                            &why), RPCH_E_SYNTAX);
        }
        free(part);
    }
}
END_TEST

/* Any byte changed to anything: no crash, and an answer. */
START_TEST(test_eeinfo_damaged)
{
    static const char *const hex[] = { hex_record, hex_chain };
    size_t i, at, n;
    int value;

    for (i = 0; i < 2; i++) {
        n = blob_of(hex[i]);
        for (at = 0; at < n; at++)
            for (value = 0; value < 256; value++) {
                uint8_t old = blob[at];
                int rc;

                blob[at] = (uint8_t)value;
                rc = decode(n);
                if (rc == RPCH_OK)
                    ck_assert_uint_ge(n_got, 1);
                else
                    ck_assert(reason != NULL && n_got == 0);
                blob[at] = old;
            }
    }
}
END_TEST

START_TEST(test_eeinfo_decode_refuses)
{
    static const struct { size_t at; uint8_t value; const char *why; } c[] = {
        { 0, 2, "not little-endian type serialization version 1" },
        { 1, 0, "not little-endian type serialization version 1" },
        { 8, 0x61, "a length that is not the blob's" },
        { 16 + 1, 0, NULL },
        { 16 + 2, 0, "no record" },
        { 16 + 4, 2, "a number of parameters that cannot be" },
        { 16 + 12, 2, "the computer name is neither present nor absent" },
        { 16 + 14, 3, "the computer name is neither present nor absent" },
        { 16 + 16, 4, "two lengths of a text that differ, or are 0" },
        { 16 + 17, 0x80, "a length that cannot be" },
        { 16 + 52, 4, "a number of parameters that cannot be" },
        { 16 + 56, 3, "an unknown type of a parameter" },
        { 16 + 72, 8, "an unknown type of a parameter" },
        { 16 + 92, 1, "a text without NUL" },
    };
    size_t i, n;

    for (i = 0; i < sizeof(c) / sizeof(c[0]); i++) {
        n = blob_of(hex_record);
        ck_assert(blob[c[i].at] != c[i].value || c[i].why == NULL);
        blob[c[i].at] = c[i].value;
        if (c[i].why == NULL) {
            ck_assert_int_eq(decode(n), RPCH_OK);
            continue;
        }
        ck_assert_int_eq(decode(n), RPCH_E_SYNTAX);
        ck_assert_str_eq(reason, c[i].why);
    }
}
END_TEST

/* A chain longer than anybody's is not followed. */
START_TEST(test_eeinfo_long_chain)
{
    size_t n = 16 + 8 + 48 * 12, i;
    rpch_writer w = rpch_writer_of(blob, sizeof(blob));

    memset(blob, 0, sizeof(blob));
    rpch_put_le32(&w, 0x00081001);
    rpch_put_le32(&w, 0);
    rpch_put_le32(&w, (uint32_t)(n - 16));
    rpch_put_le32(&w, 0);
    rpch_put_le32(&w, 1);
    for (i = 0; i < 12; i++) { /* each 48 bytes long */
        w.pos = 16 + 8 + 48 * i;
        rpch_put_le32(&w, i < 11);
        rpch_put_le32(&w, 0x00020002);
    }
    ck_assert_int_eq(decode(n), RPCH_E_ROOM);
    ck_assert_str_eq(reason, "too many records");
    w.pos = 16 + 8 + 48 * 7; /* the eighth is the last */
    rpch_put_le32(&w, 0);
    n = 16 + 8 + 48 * 7 + 40;
    blob[8] = (uint8_t)(n - 16);
    blob[9] = (uint8_t)((n - 16) >> 8);
    ck_assert_msg(decode(n) == RPCH_OK, "%s", reason);
    ck_assert_uint_eq(n_got, 8);
}
END_TEST

START_TEST(test_eeinfo_time_and_names)
{
    /* 1970-01-01 in FILETIME is a well-known number */
    ck_assert_uint_eq(rpch_ee_time(0), UINT64_C(116444736000000000));
    ck_assert_uint_eq(rpch_ee_time(1), UINT64_C(116444736010000000));
    ck_assert_str_eq(rpch_ee_type_name(RPCH_EE_ANSI), "AnsiString");
    ck_assert_str_eq(rpch_ee_type_name(RPCH_EE_BINARY), "Binary");
    ck_assert_str_eq(rpch_ee_type_name((rpch_ee_type)0), "unknown");
    ck_assert_str_eq(rpch_ee_type_name((rpch_ee_type)8), "unknown");
}
END_TEST

int main(void)
{
    Suite *s = suite_create("eeinfo");
    TCase *t = tcase_create("eeinfo");

    tcase_add_test(t, test_eeinfo_byte_exact);
    tcase_add_test(t, test_eeinfo_chain);
    tcase_add_test(t, test_eeinfo_every_type);
    tcase_add_test(t, test_eeinfo_round_trips);
    tcase_add_test(t, test_eeinfo_encode_refuses);
    tcase_add_test(t, test_eeinfo_cut);
    tcase_add_test(t, test_eeinfo_damaged);
    tcase_add_test(t, test_eeinfo_decode_refuses);
    tcase_add_test(t, test_eeinfo_long_chain);
    tcase_add_test(t, test_eeinfo_time_and_names);
    suite_add_tcase(s, t);
    return test_main(s);
}
