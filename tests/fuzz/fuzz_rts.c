/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_rts.c - RTS PDUs: what was read can be written and is read the same
 * again; what was made has the name that it was made for.
 *
 * Input: a byte that chooses what is done; then the bytes of a PDU, or
 * commands, or a catalogue number and the values of its fields.
 */
#include "fuzz.h"
#include "rpch/rts_table.h"

const char fuzz_target[] = "rts";

enum { DO_DECODE, DO_COMMANDS, DO_MAKE, DO_MAX };

/* Each name that the PDU can have fits it, and gives its fields. */
static void check_names(const rpch_rts *rts)
{
    rpch_pdu_id ids[RPCH_PDU_ID_MAX];
    char text[RPCH_RTS_DESCRIBE_SIZE], narrow[9];
    size_t n = rpch_rts_names(rts, ids, RPCH_PDU_ID_MAX);
    uint8_t pdu[RPCH_RTS_SIZE_MAX];
    rpch_rts_values v;
    const char *reason;
    size_t i, len;
    rpch_rts made;

    fuzz_check(n <= RPCH_PDU_ID_MAX);
    for (i = 0; i < n; i++) {
        fuzz_check(rpch_rts_is(rts, ids[i]));
        memset(&v, 0, sizeof(v));
        fuzz_check(rpch_rts_read(ids[i], rts, &v) == RPCH_OK);
        fuzz_check(rpch_rts_make(ids[i], &v, pdu, sizeof(pdu), &len)
                   == RPCH_OK);
        fuzz_check(rpch_rts_decode(pdu, len, &made, &reason) == RPCH_OK);
        fuzz_check(rpch_rts_is(&made, ids[i]));
    }
    rpch_rts_describe(rts, text, sizeof(text));
    fuzz_check(strlen(text) > 0);
    fuzz_check((n == 0) == (strcmp(text, "unknown") == 0));
    rpch_rts_describe(rts, narrow, sizeof(narrow));
    fuzz_check(strncmp(narrow, text, strlen(narrow)) == 0);
}

/* Finds each command again, the n-th of its type. */
static void check_finds(const rpch_rts *rts)
{
    unsigned nth[RPCH_CMD_MAX] = { 0 };
    rpch_dest dest;
    unsigned i;

    for (i = 0; i < rts->n; i++) {
        uint32_t type = rts->cmd[i].type;

        fuzz_check(strcmp(rpch_cmd_name(type), "undefined") != 0);
        fuzz_check(rpch_rts_find(rts, (rpch_cmd_type)type, nth[type])
                   == &rts->cmd[i]);
        nth[type]++;
    }
    for (i = 0; i < RPCH_CMD_MAX; i++)
        fuzz_check(rpch_rts_find(rts, (rpch_cmd_type)i, nth[i]) == NULL);
    fuzz_check(rpch_rts_destination(rts, &dest)
               == (nth[RPCH_CMD_DESTINATION] > 0));
}

/* Writes a PDU that was read, and reads that. */
static void check_round(const rpch_rts *rts)
{
    static uint8_t one[RPCH_PDU_SIZE_MAX], two[RPCH_PDU_SIZE_MAX];
    const char *reason = NULL;
    size_t len, again;
    rpch_rts back;

    fuzz_check(rpch_rts_encode(rts, one, sizeof(one), &len) == RPCH_OK);
    fuzz_check(rpch_rts_decode(one, len, &back, &reason) == RPCH_OK);
    fuzz_check(back.flags == rts->flags && back.n == rts->n);
    fuzz_check(rpch_rts_encode(&back, two, sizeof(two), &again) == RPCH_OK);
    fuzz_check(again == len && memcmp(one, two, len) == 0);
    fuzz_check(rpch_rts_encode(rts, two, len - 1, &again) == RPCH_E_ROOM);
    check_finds(&back);
    check_names(&back);
}

static void do_decode(const uint8_t *data, size_t size)
{
    const char *reason = NULL;
    rpch_rts rts;

    if (rpch_rts_decode(data, size, &rts, &reason) != RPCH_OK)
        fuzz_check(reason != NULL);
    else
        check_round(&rts);
}

/* One command from the input. */
static void get_command(rpch_reader *r, rpch_cmd *cmd)
{
    size_t got;
    const uint8_t *p;

    memset(cmd, 0, sizeof(*cmd));
    cmd->type = rpch_get_u8(r) % (RPCH_CMD_MAX + 1);
    p = fuzz_take(r, cmd->type == RPCH_CMD_FLOW_CONTROL_ACK
                         || cmd->type == RPCH_CMD_CLIENT_ADDRESS ? 24 : 4,
                  &got);
    if (cmd->type == RPCH_CMD_CLIENT_ADDRESS) {
        cmd->u.address.ipv6 = got > 0 && (p[0] & 1);
        memcpy(cmd->u.address.addr, p, got < 16 ? got : 16);
        return;
    }
    if (got)
        memcpy(&cmd->u, p, got);
}

static void do_commands(rpch_reader *r)
{
    /* Room for what cannot be: the largest Padding in every command. */
    static uint8_t out[(RPCH_RTS_COMMANDS_MAX + 1) * 65536u];
    rpch_rts rts;
    size_t len;
    int rc;

    memset(&rts, 0, sizeof(rts));
    rts.flags = rpch_get_u8(r);
    while (r->pos < r->len && rts.n < RPCH_RTS_COMMANDS_MAX)
        get_command(r, &rts.cmd[rts.n++]);
    rc = rpch_rts_encode(&rts, out, sizeof(out), &len);
    if (rc == RPCH_OK)
        check_round(&rts);
    else
        fuzz_check(rc == RPCH_E_VALUE);
}

static void do_make(rpch_reader *r)
{
    unsigned id = rpch_get_u8(r) % (RPCH_PDU_ID_MAX + 1);
    uint8_t out[RPCH_RTS_SIZE_MAX];
    const char *reason = NULL;
    rpch_rts_values v;
    const uint8_t *p;
    size_t got, len;
    rpch_rts rts;

    memset(&v, 0, sizeof(v));
    v.address.ipv6 = rpch_get_u8(r) & 1;
    v.dest = (rpch_dest)(rpch_get_u8(r) % 5);
    p = fuzz_take(r, sizeof(v.cookie), &got);
    if (got)
        memcpy(v.cookie, p, got);
    v.window = rpch_get_le32(r);
    v.version = v.lifetime = rpch_get_le32(r);
    v.timeout = v.keepalive = v.notify = rpch_get_le32(r);
    v.ack.bytes_received = v.window;
    if (rpch_rts_make((rpch_pdu_id)id, &v, out, sizeof(out), &len)
        != RPCH_OK) {
        fuzz_check(id == RPCH_PDU_ID_MAX || v.dest > RPCH_DEST_OUT_PROXY);
        return;
    }
    fuzz_check(rpch_rts_decode(out, len, &rts, &reason) == RPCH_OK);
    fuzz_check(rpch_rts_is(&rts, (rpch_pdu_id)id));
    fuzz_check(v.address.ipv6 || id == RPCH_CONN_B2
               || len == rpch_rts_row_of((rpch_pdu_id)id)->size);
    check_round(&rts);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    rpch_reader r;

    if (size == 0)
        return 0;
    r = rpch_reader_of(data + 1, size - 1);
    switch (data[0] % DO_MAX) {
    case DO_DECODE: do_decode(data + 1, size - 1); break;
    case DO_COMMANDS: do_commands(&r); break;
    default: do_make(&r); break;
    }
    return 0;
}
