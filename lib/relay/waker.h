/* SPDX-License-Identifier: Apache-2.0 */
/* waker.h - how a helper thread tells whoever waits for it that there is
 * something to see */
#ifndef RELAY_WAKER_H
#define RELAY_WAKER_H

#include <stdint.h>

/* fn(baton, number) is called in any thread, with no lock held; it does not
 * block. Who is woken may be gone then: fn finds out by the number. */
typedef struct relay_waker {
    void (*fn)(void *baton, uint64_t number);
    void *baton;
    uint64_t number;
} relay_waker;

#endif
