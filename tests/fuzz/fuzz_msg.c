/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_msg.c - the messages between children, and the legs and joined server
 * roles in them: one that is accepted is exactly the one that would be
 * written.
 *
 * Input: one datagram; or, without its head, a leg or a role.
 */
#include "fuzz.h"
#include "relay/leg.h"
#include "relay/msg.h"

const char fuzz_target[] = "msg";

/* Bytes as a leg of that direction. */
static void check_leg(const uint8_t *data, size_t size, relay_dir dir)
{
    uint8_t out[RELAY_MSG_DATA_MAX];
    const char *reason = NULL;
    relay_leg leg;
    size_t len = 0;

    if (relay_leg_decode(data, size, dir, &leg, &reason) != RPCH_OK) {
        fuzz_check(reason != NULL);
        return;
    }
    fuzz_check(leg.dir == dir);
    fuzz_check(relay_leg_encode(&leg, out, sizeof(out), &len) == RPCH_OK);
    fuzz_check(len == size && memcmp(out, data, len) == 0);
    fuzz_check(relay_leg_encode(&leg, out, len - 1, &len) == RPCH_E_ROOM);
}

/* Bytes as a joined server role; what is one can go on. */
static void check_role(const uint8_t *data, size_t size)
{
    static const rpch_limits limits = { .receive_window = 65536 };
    uint8_t out[RELAY_MSG_DATA_MAX];
    const char *reason = NULL;
    rpch_server_image image;
    rpch_server m;
    size_t len = 0;

    if (relay_leg_decode_role(data, size, &image, &reason) != RPCH_OK) {
        fuzz_check(reason != NULL);
        return;
    }
    fuzz_check(relay_leg_encode_role(&image, out, sizeof(out), &len)
               == RPCH_OK);
    fuzz_check(len == size && memcmp(out, data, len) == 0);
    rpch_server_init(&m, &limits, RPCH_JOINED, NULL, NULL, 1000);
    if (rpch_server_restore(&m, &image, 1000) == RPCH_OK)
        fuzz_check(!(rpch_server_wants(&m) & RPCH_WANT_CLOSE));
}

static void check_body(const uint8_t *data, size_t size)
{
    check_leg(data, size, RELAY_IN);
    check_leg(data, size, RELAY_OUT);
    check_role(data, size);
}

static void check_msg(const uint8_t *data, size_t size)
{
    uint8_t out[RELAY_MSG_SIZE_MAX];
    const char *reason = NULL;
    relay_msg m;
    size_t len = 0;

    if (relay_msg_decode(data, size, &m, &reason) != RPCH_OK) {
        fuzz_check(reason != NULL);
        return;
    }
    fuzz_check(strcmp(relay_msg_name(m.type), "unknown") != 0);
    fuzz_check(memchr(m.text, 0, sizeof(m.text)) != NULL);
    fuzz_check(m.pdu == NULL
               || (m.pdu > data && m.pdu + m.pdu_len <= data + size));
    fuzz_check(m.data == NULL
               || (m.data > data && m.data + m.data_len <= data + size));
    fuzz_check(relay_msg_encode(&m, out, sizeof(out), &len) == RPCH_OK);
    fuzz_check(len == size && memcmp(out, data, len) == 0);
    fuzz_check(relay_msg_encode(&m, out, len - 1, &len) == RPCH_E_ROOM);
    if (m.data != NULL)
        check_body(m.data, m.data_len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check_msg(data, size);
    check_body(data, size);
    return 0;
}
