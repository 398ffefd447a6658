/* SPDX-License-Identifier: Apache-2.0 */
/* thread.c - threads of our own beside a server's */
#include "relay/thread.h"

#include <signal.h>

apr_status_t relay_thread_start(pthread_t *out, void *(*fn)(void *baton),
                                void *baton)
{
    pthread_t thread;
    sigset_t all, before;
    int rc;
    /* A thread inherits the mask: so there is no moment without it. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    rc = pthread_create(&thread, NULL, fn, baton);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc != 0)
        return APR_FROM_OS_ERROR(rc);
    if (out)
        *out = thread;
    else
        pthread_detach(thread);
    return APR_SUCCESS;
}
