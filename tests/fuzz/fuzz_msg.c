/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_msg.c - the messages between children: one that is accepted is exactly
 * the one that would be written.
 *
 * Input: one datagram.
 */
#include "fuzz.h"
#include "relay/msg.h"

const char fuzz_target[] = "msg";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t out[RELAY_MSG_SIZE_MAX];
    const char *reason = NULL;
    relay_msg m;
    size_t len = 0;

    if (relay_msg_decode(data, size, &m, &reason) != RPCH_OK) {
        fuzz_check(reason != NULL);
        return 0;
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
    return 0;
}
