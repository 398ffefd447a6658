/* SPDX-License-Identifier: Apache-2.0 */
/* test_rts.c - the commands of RTS PDUs one by one, 2.2.3.5. */
#include "rpch/rts.h"
#include "rpch_test.h"

/* Builds an RTS PDU of n commands from the hex of their bytes. */
static size_t build(uint8_t *pdu, size_t room, unsigned n, const char *hex)
{
    static const char head[] =
        "05 00 14 03 10 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00";
    size_t len = test_hex(head, pdu, room);

    len += test_hex(hex, pdu + len, room - len);
    pdu[8] = (uint8_t)len;
    pdu[9] = (uint8_t)(len >> 8);
    pdu[18] = (uint8_t)n;
    return len;
}

/* Decodes one PDU of n commands; fails the test when it cannot be read. */
static void decode(unsigned n, const char *hex, rpch_rts *rts)
{
    uint8_t pdu[RPCH_RTS_SIZE_MAX];
    const char *reason = NULL;
    size_t len = build(pdu, sizeof pdu, n, hex);

    ck_assert_msg(rpch_rts_decode(pdu, len, rts, &reason) == RPCH_OK,
                  "%s: %s", hex, reason);
    ck_assert_uint_eq(rts->n, n);
}

/* Fails the test unless the PDU is refused with exactly that reason. */
static void refuse(unsigned n, const char *hex, const char *why)
{
    uint8_t pdu[RPCH_RTS_SIZE_MAX];
    const char *reason = NULL;
    rpch_rts rts;
    size_t len = build(pdu, sizeof pdu, n, hex);

    ck_assert_int_eq(rpch_rts_decode(pdu, len, &rts, &reason),
                     RPCH_E_SYNTAX);
    ck_assert_str_eq(reason, why);
}

START_TEST(test_rts_every_command_decodes_and_encodes)
{
    static const struct {
        uint32_t type;
        const char *hex;
    } all[] = {
        { RPCH_CMD_RECEIVE_WINDOW_SIZE, "00000000 00200000" },
        { RPCH_CMD_FLOW_CONTROL_ACK,
          "01000000 409c0000 ffffffff 000102030405060708090a0b0c0d0e0f" },
        { RPCH_CMD_CONNECTION_TIMEOUT, "02000000 ffffffff" },
        { RPCH_CMD_COOKIE, "03000000 000102030405060708090a0b0c0d0e0f" },
        { RPCH_CMD_CHANNEL_LIFETIME, "04000000 00000080" },
        { RPCH_CMD_CLIENT_KEEPALIVE, "05000000 00000000" },
        { RPCH_CMD_VERSION, "06000000 01000000" },
        { RPCH_CMD_EMPTY, "07000000" },
        { RPCH_CMD_PADDING, "08000000 05000000 0000000000" },
        { RPCH_CMD_NEGATIVE_ANCE, "09000000" },
        { RPCH_CMD_ANCE, "0a000000" },
        { RPCH_CMD_CLIENT_ADDRESS,
          "0b000000 00000000 00000000 c0000221 0000000000000000" },
        { RPCH_CMD_ASSOCIATION_GROUP_ID,
          "0c000000 909192939495969798999a9b9c9d9e9f" },
        { RPCH_CMD_DESTINATION, "0d000000 03000000" },
        { RPCH_CMD_PING_TRAFFIC_SENT_NOTIFY, "0e000000 10040000" }
    };
    uint8_t pdu[128], out[128];
    const char *reason = NULL;
    rpch_rts rts;
    size_t i, len, again;

    ck_assert_uint_eq(sizeof all / sizeof all[0], RPCH_CMD_MAX);
    for (i = 0; i < RPCH_CMD_MAX; i++) {
        len = build(pdu, sizeof pdu, 1, all[i].hex);
        ck_assert_int_eq(rpch_rts_decode(pdu, len, &rts, &reason), RPCH_OK);
        ck_assert_uint_eq(rts.cmd[0].type, i);
        ck_assert_uint_eq(all[i].type, i);
        ck_assert_str_ne(rpch_cmd_name((uint32_t)i), "undefined");
        ck_assert_int_eq(rpch_rts_encode(&rts, out, len, &again), RPCH_OK);
        ck_assert_uint_eq(again, len);
        ck_assert_mem_eq(out, pdu, len);
    }
}
END_TEST

START_TEST(test_rts_command_values)
{
    rpch_rts rts;

    decode(2, "00000000 01020304 05000000 00000000", &rts);
    ck_assert_uint_eq(rts.cmd[0].u.value, 0x04030201);
    ck_assert_uint_eq(rts.cmd[1].u.value, 0);
    decode(1, "01000000 409c0000 fffffffe 000102030405060708090a0b0c0d0e0f",
           &rts);
    ck_assert_uint_eq(rts.cmd[0].u.ack.bytes_received, 40000);
    ck_assert_uint_eq(rts.cmd[0].u.ack.available_window, 0xfeffffff);
    ck_assert_uint_eq(rts.cmd[0].u.ack.cookie.b[15], 0x0f);
    decode(1, "0c000000 909192939495969798999a9b9c9d9e9f", &rts);
    ck_assert_uint_eq(rts.cmd[0].u.cookie.b[3], 0x93);
}
END_TEST

START_TEST(test_rts_client_address_layouts)
{
    static const uint8_t v4[4] = { 192, 0, 2, 33 };
    static const uint8_t v6[16] = { 0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0,
                                    0, 0, 0, 0, 0, 0, 0, 0x33 };
    rpch_rts rts;
    size_t i;
    const char *const same4[] = {
        "0b000000 00000000 00000000 c0000221 0000000000000000",
        "0b000000 00000000 210200c0 000000000000000000000000"
    };
    const char *const same6[] = {
        "0b000000 01000000 0000000000000000"
        "20010db8000000000000000000000033 00000000",
        "0b000000 01000000 330000000000000000000000b80d0120"
        "000000000000000000000000"
    };

    for (i = 0; i < 2; i++) {
        decode(1, same4[i], &rts);
        ck_assert(!rts.cmd[0].u.address.ipv6);
        ck_assert_mem_eq(rts.cmd[0].u.address.addr, v4, 4);
        decode(1, same6[i], &rts);
        ck_assert(rts.cmd[0].u.address.ipv6);
        ck_assert_mem_eq(rts.cmd[0].u.address.addr, v6, 16);
    }
    /* the scope of a link-local address is ignored, not refused */
    decode(1, "0b000000 01000000 0000000000000000"
              "fe800000000000000000000000000001 05000000", &rts);
    ck_assert_uint_eq(rts.cmd[0].u.address.addr[0], 0xfe);
    ck_assert_uint_eq(rts.cmd[0].u.address.addr[15], 1);
    decode(1, "0b000000 00000000 00000000000000000000000000000000", &rts);
    ck_assert_uint_eq(rts.cmd[0].u.address.addr[0], 0);
    refuse(1, "0b000000 02000000 00000000000000000000000000000000",
           "ClientAddress has an undefined type");
    refuse(1, "0b000000 01000000 00000000000000000000000000000000",
           "frag_length ends inside a command");
}
END_TEST

START_TEST(test_rts_refuses_bad_commands)
{
    refuse(1, "0f000000", "CommandType is undefined");
    refuse(1, "ffffffff", "CommandType is undefined");
    refuse(1, "03000001 00", "CommandType is undefined");
    refuse(1, "0d000000 04000000", "Destination is above 3");
    refuse(1, "0d000000 ffffffff", "Destination is above 3");
    refuse(1, "", "frag_length ends inside a command");
    refuse(1, "0a0000", "frag_length ends inside a command");
    refuse(2, "0a000000", "frag_length ends inside a command");
    refuse(0, "0a000000", "frag_length goes beyond the last command");
    refuse(1, "0a000000 00", "frag_length goes beyond the last command");
    refuse(17, "", "NumberOfCommands is above the limit");
    refuse(255, "", "NumberOfCommands is above the limit");
}
END_TEST

START_TEST(test_rts_padding)
{
    rpch_rts rts;

    decode(3, "08000000 00000000 08000000 03000000 010203 0a000000", &rts);
    ck_assert_uint_eq(rts.cmd[0].u.value, 0);
    ck_assert_uint_eq(rts.cmd[1].u.value, 3);
    ck_assert_uint_eq(rts.cmd[2].type, RPCH_CMD_ANCE);
    refuse(1, "08000000 05000000 00000000",
           "frag_length ends inside a command");
    refuse(1, "08000000 ffff0000", "frag_length ends inside a command");
    refuse(1, "08000000 00000100", "Padding is longer than 65535");
    refuse(1, "08000000 ffffffff", "Padding is longer than 65535");
}
END_TEST

START_TEST(test_rts_header_reasons)
{
    static const struct {
        size_t at;
        uint8_t value;
        const char *why;
    } bad[] = {
        { 0, 4, "rpc_vers is not 5" },
        { 1, 1, "rpc_vers_minor is not 0" },
        { 2, 2, "PTYPE is not RTS" },
        { 3, 0x13, "pfc_flags is not 3" },
        { 4, 0x00, "packed_drep is not 10 00 00 00" },
        { 4, 0x11, "packed_drep is not 10 00 00 00" },
        { 7, 1, "packed_drep is not 10 00 00 00" },
        { 8, 23, "frag_length is not the size of the PDU" },
        { 9, 1, "frag_length is not the size of the PDU" },
        { 10, 1, "auth_length is not 0" },
        { 11, 1, "auth_length is not 0" },
        { 12, 1, "call_id is not 0" },
        { 15, 0x80, "call_id is not 0" },
        { 16, 0x80, "Flags has an undefined bit" },
        { 17, 1, "Flags has an undefined bit" },
        { 18, 0, "frag_length goes beyond the last command" },
        { 18, 2, "frag_length ends inside a command" },
        { 19, 1, "NumberOfCommands is above the limit" }
    };
    uint8_t pdu[64];
    const char *reason;
    rpch_rts rts;
    size_t i, len;

    for (i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        len = build(pdu, sizeof pdu, 1, "0a000000");
        pdu[bad[i].at] = bad[i].value;
        reason = NULL;
        ck_assert_int_eq(rpch_rts_decode(pdu, len, &rts, &reason),
                         RPCH_E_SYNTAX);
        ck_assert_str_eq(reason, bad[i].why);
    }
    ck_assert_int_eq(rpch_rts_decode(NULL, 0, &rts, &reason), RPCH_E_SYNTAX);
    ck_assert_str_eq(reason, "shorter than the header of an RTS PDU");
}
END_TEST

START_TEST(test_rts_encode_refuses)
{
    uint8_t out[RPCH_RTS_SIZE_MAX];
    rpch_rts rts;
    size_t len = 7, room;

    memset(&rts, 0, sizeof rts);
    rts.n = 1;
    rts.cmd[0].type = RPCH_CMD_MAX;
    ck_assert_int_eq(rpch_rts_encode(&rts, out, sizeof out, &len),
                     RPCH_E_VALUE);
    rts.cmd[0].type = RPCH_CMD_DESTINATION;
    rts.cmd[0].u.value = 4;
    ck_assert_int_eq(rpch_rts_encode(&rts, out, sizeof out, &len),
                     RPCH_E_VALUE);
    rts.cmd[0].type = RPCH_CMD_PADDING;
    rts.cmd[0].u.value = 0x10000;
    ck_assert_int_eq(rpch_rts_encode(&rts, out, sizeof out, &len),
                     RPCH_E_VALUE);
    rts.cmd[0].type = RPCH_CMD_ANCE;
    rts.flags = 0x80;
    ck_assert_int_eq(rpch_rts_encode(&rts, out, sizeof out, &len),
                     RPCH_E_VALUE);
    rts.flags = 0;
    for (room = 0; room < 24; room++)
        ck_assert_int_eq(rpch_rts_encode(&rts, out, room, &len),
                         RPCH_E_ROOM);
    rts.n = RPCH_RTS_COMMANDS_MAX + 1;
    ck_assert_int_eq(rpch_rts_encode(&rts, out, sizeof out, &len),
                     RPCH_E_VALUE);
    ck_assert_uint_eq(len, 7);
}
END_TEST

START_TEST(test_rts_encode_fits_frag_length)
{
    size_t room = 2 * RPCH_PDU_SIZE_MAX, len;
    uint8_t *out = malloc(room);
    rpch_rts rts;

    memset(&rts, 0, sizeof rts);
    rts.n = 2;
    rts.cmd[0].type = RPCH_CMD_PADDING;
    rts.cmd[0].u.value = RPCH_PDU_SIZE_MAX - 20 - 8 - 4;
    rts.cmd[1].type = RPCH_CMD_ANCE;
    ck_assert_int_eq(rpch_rts_encode(&rts, out, room, &len), RPCH_OK);
    ck_assert_uint_eq(len, RPCH_PDU_SIZE_MAX);
    ck_assert_uint_eq(out[8], 0xff);
    ck_assert_uint_eq(out[9], 0xff);
    rts.cmd[0].u.value++;
    ck_assert_int_eq(rpch_rts_encode(&rts, out, room, &len), RPCH_E_VALUE);
    free(out);
}
END_TEST

START_TEST(test_rts_find_and_destination)
{
    rpch_dest dest = RPCH_DEST_CLIENT;
    rpch_rts rts;

    decode(4, "06000000 01000000 06000000 02000000"
              "0d000000 02000000 0a000000", &rts);
    ck_assert_ptr_eq(rpch_rts_find(&rts, RPCH_CMD_VERSION, 0), &rts.cmd[0]);
    ck_assert_ptr_eq(rpch_rts_find(&rts, RPCH_CMD_VERSION, 1), &rts.cmd[1]);
    ck_assert_ptr_null(rpch_rts_find(&rts, RPCH_CMD_VERSION, 2));
    ck_assert_ptr_null(rpch_rts_find(&rts, RPCH_CMD_COOKIE, 0));
    ck_assert(rpch_rts_destination(&rts, &dest));
    ck_assert_int_eq(dest, RPCH_DEST_SERVER);
    decode(1, "0a000000", &rts);
    ck_assert(!rpch_rts_destination(&rts, &dest));
    ck_assert_int_eq(dest, RPCH_DEST_SERVER);
}
END_TEST

START_TEST(test_rts_command_names)
{
    ck_assert_str_eq(rpch_cmd_name(RPCH_CMD_RECEIVE_WINDOW_SIZE),
                     "ReceiveWindowSize");
    ck_assert_str_eq(rpch_cmd_name(RPCH_CMD_PING_TRAFFIC_SENT_NOTIFY),
                     "PingTrafficSentNotify");
    ck_assert_str_eq(rpch_cmd_name(RPCH_CMD_MAX), "undefined");
    ck_assert_str_eq(rpch_cmd_name(UINT32_MAX), "undefined");
}
END_TEST

int main(void)
{
    Suite *s = suite_create("rts");
    TCase *tc = tcase_create("rts");

    tcase_add_test(tc, test_rts_every_command_decodes_and_encodes);
    tcase_add_test(tc, test_rts_command_values);
    tcase_add_test(tc, test_rts_client_address_layouts);
    tcase_add_test(tc, test_rts_refuses_bad_commands);
    tcase_add_test(tc, test_rts_padding);
    tcase_add_test(tc, test_rts_header_reasons);
    tcase_add_test(tc, test_rts_encode_refuses);
    tcase_add_test(tc, test_rts_encode_fits_frag_length);
    tcase_add_test(tc, test_rts_find_and_destination);
    tcase_add_test(tc, test_rts_command_names);
    suite_add_tcase(s, tc);
    return test_main(s);
}
