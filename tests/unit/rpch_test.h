/* SPDX-License-Identifier: Apache-2.0 */
/* rpch_test.h - what the unit tests share: hex, and a main for one suite */
#ifndef RPCH_TEST_H
#define RPCH_TEST_H

#include <check.h>
#include <ctype.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Reads hexadecimal digits (white space between bytes is skipped) into
 * out[0..room); returns how many bytes. Fails the test on anything else. */
static inline size_t test_hex(const char *hex, uint8_t *out, size_t room)
{
    size_t n = 0;
    while (*hex) {
        char pair[3] = { 0 };
        if (isspace((unsigned char)*hex)) {
            hex++;
            continue;
        }
        pair[0] = hex[0];
        pair[1] = hex[1];
        ck_assert_msg(isxdigit((unsigned char)pair[0])
                      && isxdigit((unsigned char)pair[1]), "bad hex: %s", hex);
        ck_assert_uint_lt(n, room);
        out[n++] = (uint8_t)strtoul(pair, NULL, 16);
        hex += 2;
    }
    return n;
}

/* Runs one suite with Check's normal output; the exit status of main. */
static inline int test_main(Suite *s)
{
    SRunner *r = srunner_create(s);
    int failed;
    srunner_run_all(r, CK_NORMAL);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

#endif
