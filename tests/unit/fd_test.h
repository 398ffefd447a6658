/* SPDX-License-Identifier: Apache-2.0 */
/* fd_test.h - how many descriptors this process has open */
#ifndef FD_TEST_H
#define FD_TEST_H

#include <dirent.h>

#include "rpch_test.h"

/* Counts them; only differences mean something. */
static inline unsigned open_fds(void)
{
    unsigned n = 0;
    DIR *d = opendir("/proc/self/fd");
    ck_assert_ptr_nonnull(d);
    while (readdir(d)) {
        n++;
    }
    closedir(d);
    return n;
}

#endif
