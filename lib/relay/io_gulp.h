/* SPDX-License-Identifier: Apache-2.0 */
/*
 * io_gulp.h - large reads below mod_ssl: a filter between its own and the
 * core's, which reads 8,000 bytes at a time and has each of them acknowledged.
 */
#ifndef RELAY_IO_GULP_H
#define RELAY_IO_GULP_H

#include "relay/io.h"

/* Puts the filter into the connection's chain, if mod_ssl is there, and nothing
 * but httpd's own filters below it. */
void relay_io_gulp_insert(relay_io *io);

/* Whether something of what came waits below mod_ssl, which the socket does
 * not tell any more. */
bool relay_io_gulp_waits(const relay_io *io);

/* Takes the filter out of the chain, with what it holds. */
void relay_io_gulp_remove(relay_io *io);

#endif
