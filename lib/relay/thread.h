/* SPDX-License-Identifier: Apache-2.0 */
/* thread.h - threads of our own beside a server's */
#ifndef RELAY_THREAD_H
#define RELAY_THREAD_H

#include <apr_errno.h>
#include <pthread.h>

/* Runs fn(baton) in a new thread that no signal is delivered to: they belong
 * to those who were there before. The caller joins *out; with out NULL the
 * thread is detached. What the system says when there is none to be had. */
apr_status_t relay_thread_start(pthread_t *out, void *(*fn)(void *baton),
                                void *baton);

#endif
