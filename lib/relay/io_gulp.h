/* SPDX-License-Identifier: Apache-2.0 */
/*
 * io_gulp.h - large reads below mod_ssl: a filter between its own and the
 * core's, which reads 8,000 bytes at a time and has each of them acknowledged.
 */
#ifndef RELAY_IO_GULP_H
#define RELAY_IO_GULP_H

#include "relay/io.h"

/* Puts the filter into the connection's chain, if mod_ssl is there. */
void relay_io_gulp_insert(relay_io *io);

/* As relay_io_read, with the filter in the chain: from the filters (read,
 * which reads up to size bytes to buf), which get their bytes from one large
 * read of the socket. */
size_t relay_io_gulp_read(relay_io *io, uint8_t *buf, size_t size,
                          size_t (*read)(relay_io *, uint8_t *, size_t));

/* Takes the filter out of the chain, with what it holds. */
void relay_io_gulp_remove(relay_io *io);

#endif
