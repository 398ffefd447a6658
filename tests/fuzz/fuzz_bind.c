/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_bind.c - what a bind asks for: every list that was announced can be
 * walked to its end, within the PDU.
 *
 * Input: one PDU.
 */
#include "fuzz.h"
#include "rpch/bind.h"

const char fuzz_target[] = "bind";

static void check_syntax(const rpch_syntax *s)
{
    char text[RPCH_UUID_TEXT_SIZE];
    size_t i;

    fuzz_check(rpch_uuid_text(s->uuid, text) == text);
    fuzz_check(strlen(text) == RPCH_UUID_TEXT_SIZE - 1);
    for (i = 0; text[i]; i++)
        fuzz_check(strchr("0123456789abcdef-", text[i]) != NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *reason = NULL;
    rpch_bind_context c;
    rpch_syntax s;
    rpch_bind b;
    unsigned i, j;
    int rc = rpch_bind_parse(data, size, &b, &reason);

    if (rc != RPCH_OK) {
        fuzz_check(rc == RPCH_AGAIN || rc == RPCH_E_SYNTAX);
        fuzz_check((rc == RPCH_AGAIN) == (reason == NULL));
        return 0;
    }
    fuzz_check(b.pdu.frag_len <= size && b.contexts > 0);
    fuzz_check(b.list > data && b.list < data + size);
    for (i = 0; i < b.contexts; i++) {
        fuzz_check(rpch_bind_context_at(&b, i, &c) && c.transfers > 0);
        check_syntax(&c.interface);
        for (j = 0; j < c.transfers; j++) {
            fuzz_check(rpch_bind_transfer(&b, &c, j, &s));
            check_syntax(&s);
        }
        fuzz_check(!rpch_bind_transfer(&b, &c, j, &s));
    }
    fuzz_check(!rpch_bind_context_at(&b, i, &c));
    return 0;
}
