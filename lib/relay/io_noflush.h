/* SPDX-License-Identifier: Apache-2.0 */
/*
 * io_noflush.h - what TLS would have flushed is written, and not waited for: a
 * filter between mod_ssl's and the core's takes FLUSH buckets away.
 *
 * mod_ssl flushes where TLS speaks for itself: its answer to a KeyUpdate, its
 * alerts. A flush waits for room in the socket, and a connection that must not
 * wait is given up by it, with all that the core's filter had kept. Without
 * one the record goes out at once if it can, or waits there like any other.
 */
#ifndef RELAY_IO_NOFLUSH_H
#define RELAY_IO_NOFLUSH_H

#include "relay/io.h"

/* Puts the filter into the connection's chain, if mod_ssl is there. It may
 * stay there behind the io. */
void relay_io_noflush_insert(relay_io *io);

/* Takes it out of the chain. */
void relay_io_noflush_remove(relay_io *io);

#endif
