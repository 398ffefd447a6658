/* SPDX-License-Identifier: Apache-2.0 */
/* rpcd_loop.h - what the loop and its connections know of each other */
#ifndef RPCD_LOOP_H
#define RPCD_LOOP_H

#include "rpcd_conn.h"

/* c is gone: it will be freed after this round. */
void rpcd_loop_bury(rpcd_loop *l, rpcd_conn *c);

/* A connection's events: reads, and settles. */
void rpcd_conn_ready(rpcd_source *source, uint32_t events);

#endif
