/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_rts_table.c - every named RTS PDU against the byte-exact vectors of
 * tests/vectors/rts.txt, found below the directory that the environment
 * variable srcdir names.
 */
#include <stdio.h>

#include "rpch/rts_table.h"
#include "rpch_test.h"

#define VECTORS_MAX 64

typedef struct vector {
    char name[40];
    bool decode_only;
    uint8_t pdu[RPCH_RTS_SIZE_MAX];
    size_t len;
} vector;

static vector vectors[VECTORS_MAX];
static size_t n_vectors;

/* Takes the line ": NAME SIZE [decode-only]"; returns SIZE. */
static size_t start_vector(vector *v, const char *line)
{
    unsigned size;
    char tag[16] = "";

    memset(v, 0, sizeof *v);
    ck_assert_msg(sscanf(line, ": %39s %u %15s", v->name, &size, tag) >= 2,
                  "bad line: %s", line);
    v->decode_only = strcmp(tag, "decode-only") == 0;
    ck_assert_msg(v->decode_only || !tag[0], "bad tag: %s", line);
    return size;
}

static void load_vectors(void)
{
    const char *dir = getenv("srcdir");
    char path[4096], line[256];
    vector *v = NULL;
    size_t size = 0;
    FILE *f;

    snprintf(path, sizeof path, "%s/tests/vectors/rts.txt", dir ? dir : ".");
    f = fopen(path, "r");
    ck_assert_msg(f != NULL, "cannot open %s", path);
    n_vectors = 0;
    while (fgets(line, sizeof line, f)) {
        line[strcspn(line, "#\n")] = '\0';
        if (line[0] == ':') {
            ck_assert_uint_lt(n_vectors, VECTORS_MAX);
            if (v)
                ck_assert_msg(v->len == size, "%s is not of its size", v->name);
            v = &vectors[n_vectors++];
            size = start_vector(v, line);
        } else if (v) {
            v->len += test_hex(line, v->pdu + v->len, sizeof v->pdu - v->len);
        }
    }
    fclose(f);
    ck_assert_msg(v && v->len == size, "the last vector is not of its size");
}

/* The id of that name; fails the test when no row has it. */
static rpch_pdu_id id_of(const char *name)
{
    unsigned id;

    for (id = 0; id < RPCH_PDU_ID_MAX; id++) {
        if (strcmp(rpch_rts_row_of((rpch_pdu_id)id)->name, name) == 0)
            return (rpch_pdu_id)id;
    }
    ck_abort_msg("no row is called %s", name);
    return RPCH_PDU_ID_MAX;
}

static void decode(const vector *v, rpch_rts *rts)
{
    const char *reason = NULL;
    int status = rpch_rts_decode(v->pdu, v->len, rts, &reason);

    ck_assert_msg(status == RPCH_OK, "%s: %s", v->name, reason);
    ck_assert_ptr_null(reason);
}

/* Fails the test unless p[0..len) is refused with a reason. */
static void refuse(const char *name, const char *what, const uint8_t *p,
                   size_t len)
{
    const char *reason = NULL;
    rpch_rts rts;
    int status = rpch_rts_decode(p, len, &rts, &reason);

    ck_assert_msg(status == RPCH_E_SYNTAX, "%s %s: %d", name, what, status);
    ck_assert_msg(reason && reason[0], "%s %s: no reason", name, what);
}

static void for_each(void (*check)(const vector *v))
{
    size_t i;

    for (i = 0; i < n_vectors; i++)
        check(&vectors[i]);
}

START_TEST(test_rts_table_every_row_has_a_vector)
{
    unsigned id;

    for (id = 0; id < RPCH_PDU_ID_MAX; id++) {
        const rpch_rts_row *row = rpch_rts_row_of((rpch_pdu_id)id);
        size_t i, whole = 0;

        for (i = 0; i < n_vectors; i++)
            whole += strcmp(vectors[i].name, row->name) == 0
                  && !vectors[i].decode_only && vectors[i].len == row->size;
        ck_assert_msg(whole > 0, "no vector of %s, %u bytes", row->name,
                      row->size);
    }
}
END_TEST

START_TEST(test_rts_table_sections_follow_the_specification)
{
    unsigned id;
    char section[16];

    for (id = 0; id < RPCH_PDU_ID_MAX; id++) {
        snprintf(section, sizeof section, "2.2.4.%u", id + 2);
        ck_assert_str_eq(rpch_rts_row_of((rpch_pdu_id)id)->section, section);
    }
}
END_TEST

static void check_named(const vector *v)
{
    rpch_pdu_id ids[RPCH_PDU_ID_MAX];
    rpch_rts rts;
    size_t n, i, found = 0;

    decode(v, &rts);
    ck_assert(rpch_rts_is(&rts, id_of(v->name)));
    n = rpch_rts_names(&rts, ids, RPCH_PDU_ID_MAX);
    for (i = 0; i < n; i++) {
        ck_assert(rpch_rts_is(&rts, ids[i]));
        ck_assert(i == 0 || ids[i - 1] < ids[i]);
        found += ids[i] == id_of(v->name);
    }
    ck_assert_uint_eq(found, 1);
}

START_TEST(test_rts_table_vectors_are_named)
{
    for_each(check_named);
}
END_TEST

static void check_encode(const vector *v)
{
    uint8_t out[RPCH_RTS_SIZE_MAX];
    rpch_rts_values values;
    rpch_rts rts;
    size_t len = 0, room;

    if (v->decode_only)
        return;
    decode(v, &rts);
    ck_assert_int_eq(rpch_rts_encode(&rts, out, sizeof out, &len), RPCH_OK);
    ck_assert_uint_eq(len, v->len);
    ck_assert_mem_eq(out, v->pdu, len);

    memset(out, 0xEE, sizeof out);
    memset(&values, 0, sizeof values);
    ck_assert_int_eq(rpch_rts_read(id_of(v->name), &rts, &values), RPCH_OK);
    ck_assert_int_eq(rpch_rts_make(id_of(v->name), &values, out, v->len,
                                   &len), RPCH_OK);
    ck_assert_uint_eq(len, v->len);
    ck_assert_mem_eq(out, v->pdu, len);
    ck_assert_uint_eq(out[len], 0xEE);
    for (room = 0; room < v->len; room++)
        ck_assert_int_eq(rpch_rts_make(id_of(v->name), &values, out, room,
                                       &len), RPCH_E_ROOM);
}

START_TEST(test_rts_table_vectors_encode_again)
{
    for_each(check_encode);
}
END_TEST

static void check_damaged(const vector *v)
{
    uint8_t pdu[RPCH_RTS_SIZE_MAX + 4];
    size_t len, at;

    for (len = 0; len < v->len; len++) {
        memcpy(pdu, v->pdu, len);
        refuse(v->name, "cut", pdu, len);
        if (len >= RPCH_RTS_HEADER_SIZE) {
            pdu[8] = (uint8_t)len;
            refuse(v->name, "cut with frag_length", pdu, len);
        }
    }
    memcpy(pdu, v->pdu, v->len);
    memset(pdu + v->len, 0, 4);
    refuse(v->name, "with more than frag_length", pdu, v->len + 4);
    pdu[8] = (uint8_t)(v->len + 4);
    refuse(v->name, "with more than the commands", pdu, v->len + 4);

    for (at = 0; at < RPCH_RTS_HEADER_SIZE; at++) {
        /* another known flag makes another PDU, which is no error here */
        if (at == 16)
            continue;
        memcpy(pdu, v->pdu, v->len);
        pdu[at] ^= 0x11;
        refuse(v->name, "with a wrong header", pdu, v->len);
    }
    memcpy(pdu, v->pdu, v->len);
    pdu[16] |= 0x80;
    refuse(v->name, "with an undefined flag", pdu, v->len);
}

START_TEST(test_rts_table_damaged_vectors_are_refused)
{
    for_each(check_damaged);
}
END_TEST

static void check_flags(const vector *v)
{
    rpch_rts rts;
    unsigned bit;

    decode(v, &rts);
    for (bit = 0; bit < 7; bit++) {
        rts.flags ^= (uint16_t)(1u << bit);
        ck_assert(!rpch_rts_is(&rts, id_of(v->name)));
        rts.flags ^= (uint16_t)(1u << bit);
    }
}

START_TEST(test_rts_table_other_flags_change_the_name)
{
    for_each(check_flags);
}
END_TEST

static void check_padding(const vector *v)
{
    uint8_t out[RPCH_RTS_SIZE_MAX];
    const char *reason;
    rpch_rts rts, again;
    size_t len;

    decode(v, &rts);
    memmove(&rts.cmd[1], &rts.cmd[0], rts.n * sizeof rts.cmd[0]);
    rts.cmd[0].type = RPCH_CMD_PADDING;
    rts.cmd[0].u.value = 3;
    rts.n++;
    rts.cmd[rts.n].type = RPCH_CMD_PADDING;
    rts.cmd[rts.n].u.value = 0;
    rts.n++;
    ck_assert_int_eq(rpch_rts_encode(&rts, out, sizeof out, &len), RPCH_OK);
    ck_assert_uint_eq(len, v->len + 11 + 8);
    ck_assert_int_eq(rpch_rts_decode(out, len, &again, &reason), RPCH_OK);
    ck_assert(rpch_rts_is(&again, id_of(v->name)));
    /* a command more or less is another PDU */
    rts.cmd[0].type = RPCH_CMD_EMPTY;
    ck_assert(!rpch_rts_is(&rts, id_of(v->name)));
}

START_TEST(test_rts_table_padding_is_ignored)
{
    for_each(check_padding);
}
END_TEST

static const vector *find_vector(const char *name)
{
    size_t i;

    for (i = 0; i < n_vectors; i++) {
        if (strcmp(vectors[i].name, name) == 0)
            return &vectors[i];
    }
    ck_abort_msg("no vector %s", name);
    return NULL;
}

START_TEST(test_rts_table_ambiguities)
{
    static const struct {
        const char *vector;
        const char *names;
    } same[] = {
        { "IN_R1/A5", "IN_R1/A5=IN_R1/A6=IN_R2/A2=IN_R2/A5=OUT_R2/A4" },
        { "OUT_R1/A9", "OUT_R1/A9=OUT_R1/A10=OUT_R1/A11=OUT_R2/B1" },
        { "IN_R1/B2", "IN_R1/B2" },
        { "CONN/A3", "CONN/A3" },
        { "CONN/C2", "CONN/C1=CONN/C2" },
        { "IN_R2/A3", "IN_R2/A3=IN_R2/A4" },
        { "IN_R1/B1", "IN_R1/B1" },
        { "IN_R1/A1", "IN_R1/A1=IN_R2/A1" },
        { "OUT_R1/A3", "OUT_R1/A3=OUT_R2/A3" },
        { "OUT_R1/A1", "OUT_R1/A1=OUT_R1/A2=OUT_R2/A1=OUT_R2/A2" },
        { "OUT_R1/A8", "OUT_R1/A7=OUT_R1/A8=OUT_R2/A8" },
        { "OUT_R2/A7", "OUT_R2/A7=OUT_R2/A8" },
        { "OUT_R2/B3", "OUT_R2/B3" },
        { "OUT_R2/C1", "OUT_R2/C1" },
        { "Ping", "Ping" },
        { "FlowControlAck", "FlowControlAck" }
    };
    char text[RPCH_RTS_DESCRIBE_SIZE];
    rpch_rts rts;
    size_t i;

    for (i = 0; i < sizeof same / sizeof same[0]; i++) {
        decode(find_vector(same[i].vector), &rts);
        ck_assert_str_eq(rpch_rts_describe(&rts, text, sizeof text),
                         same[i].names);
    }
}
END_TEST

START_TEST(test_rts_table_describe_fits)
{
    char text[8] = "xxxxxxx";
    rpch_pdu_id ids[2] = { RPCH_PDU_ID_MAX, RPCH_PDU_ID_MAX };
    rpch_rts rts;

    decode(find_vector("IN_R1/A5"), &rts);
    ck_assert_str_eq(rpch_rts_describe(&rts, text, sizeof text), "IN_R1/A");
    ck_assert_str_eq(rpch_rts_describe(&rts, text, 1), "");
    text[0] = 'x';
    rpch_rts_describe(&rts, text, 0);
    ck_assert_int_eq(text[0], 'x');
    ck_assert_uint_eq(rpch_rts_names(&rts, ids, 1), 5);
    ck_assert_int_eq(ids[0], RPCH_IN_R1_A5);
    ck_assert_int_eq(ids[1], RPCH_PDU_ID_MAX);

    rts.flags = RPCH_RTS_EOF;
    ck_assert_str_eq(rpch_rts_describe(&rts, text, sizeof text), "unknown");
    ck_assert_uint_eq(rpch_rts_names(&rts, ids, 2), 0);
}
END_TEST

START_TEST(test_rts_table_destination_is_part_of_the_name)
{
    rpch_rts rts;

    decode(find_vector("OUT_R1/A1"), &rts);
    rts.cmd[0].u.value = RPCH_DEST_SERVER;
    ck_assert(!rpch_rts_is(&rts, RPCH_OUT_R1_A1));
    decode(find_vector("OUT_R1/A7"), &rts);
    rts.cmd[0].u.value = RPCH_DEST_CLIENT;
    ck_assert(!rpch_rts_is(&rts, RPCH_OUT_R1_A7));
    decode(find_vector("FlowControlAckWithDestination"), &rts);
    for (rts.cmd[0].u.value = 0; rts.cmd[0].u.value < 4;
         rts.cmd[0].u.value++)
        ck_assert(rpch_rts_is(&rts, RPCH_FLOW_CONTROL_ACK_DEST));
}
END_TEST

START_TEST(test_rts_table_read_gives_the_fields)
{
    rpch_rts_values v;
    rpch_rts rts;
    static const uint8_t v4[4] = { 192, 0, 2, 33 };
    static const uint8_t v6[16] = { 0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0,
                                    0, 0, 0, 0, 0, 0, 0, 0x33 };
    size_t i, seen = 0;

    for (i = 0; i < n_vectors; i++) {
        if (strcmp(vectors[i].name, "CONN/B2") != 0)
            continue;
        memset(&v, 0x77, sizeof v);
        decode(&vectors[i], &rts);
        ck_assert_int_eq(rpch_rts_read(RPCH_CONN_B2, &rts, &v), RPCH_OK);
        ck_assert_uint_eq(v.cookie[0].b[0], 0xa0);
        ck_assert_uint_eq(v.cookie[1].b[15], 0xcf);
        ck_assert_uint_eq(v.cookie[2].b[0], 0x77);
        ck_assert_uint_eq(v.group.b[1], 0x91);
        ck_assert_uint_eq(v.window, 65536);
        ck_assert_uint_eq(v.timeout, 120000);
        ck_assert_uint_eq(v.version, 1);
        ck_assert_uint_eq(v.lifetime, 0x77777777);
        ck_assert(v.address.ipv6 == (vectors[i].len == 140));
        ck_assert_mem_eq(v.address.addr, v.address.ipv6 ? v6 : v4,
                         v.address.ipv6 ? 16 : 4);
        seen++;
    }
    ck_assert_uint_eq(seen, 4);

    decode(find_vector("FlowControlAckWithDestination"), &rts);
    ck_assert_int_eq(rpch_rts_read(RPCH_FLOW_CONTROL_ACK_DEST, &rts, &v),
                     RPCH_OK);
    ck_assert_int_eq(v.dest, RPCH_DEST_OUT_PROXY);
    ck_assert_uint_eq(v.ack.bytes_received, 40000);
    ck_assert_uint_eq(v.ack.available_window, 65536);
    ck_assert_uint_eq(v.ack.cookie.b[0], 0xb0);

    ck_assert_int_eq(rpch_rts_read(RPCH_CONN_A1, &rts, &v), RPCH_E_SYNTAX);
    ck_assert_int_eq(rpch_rts_read(RPCH_PDU_ID_MAX, &rts, &v),
                     RPCH_E_SYNTAX);
}
END_TEST

START_TEST(test_rts_table_make_refuses_values)
{
    rpch_rts_values v;
    uint8_t out[64];
    size_t len;

    memset(&v, 0, sizeof v);
    ck_assert_int_eq(rpch_rts_make(RPCH_PDU_ID_MAX, &v, out, sizeof out,
                                   &len), RPCH_E_VALUE);
    v.dest = (rpch_dest)4;
    ck_assert_int_eq(rpch_rts_make(RPCH_FLOW_CONTROL_ACK_DEST, &v, out,
                                   sizeof out, &len), RPCH_E_VALUE);
    ck_assert_int_eq(rpch_rts_make(RPCH_IN_R2_A3, &v, out, sizeof out,
                                   &len), RPCH_OK);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("rts_table");
    TCase *tc = tcase_create("rts_table");

    tcase_add_checked_fixture(tc, load_vectors, NULL);
    tcase_add_test(tc, test_rts_table_every_row_has_a_vector);
    tcase_add_test(tc, test_rts_table_sections_follow_the_specification);
    tcase_add_test(tc, test_rts_table_vectors_are_named);
    tcase_add_test(tc, test_rts_table_vectors_encode_again);
    tcase_add_test(tc, test_rts_table_damaged_vectors_are_refused);
    tcase_add_test(tc, test_rts_table_other_flags_change_the_name);
    tcase_add_test(tc, test_rts_table_padding_is_ignored);
    tcase_add_test(tc, test_rts_table_ambiguities);
    tcase_add_test(tc, test_rts_table_describe_fits);
    tcase_add_test(tc, test_rts_table_destination_is_part_of_the_name);
    tcase_add_test(tc, test_rts_table_read_gives_the_fields);
    tcase_add_test(tc, test_rts_table_make_refuses_values);
    suite_add_tcase(s, tc);
    return test_main(s);
}
