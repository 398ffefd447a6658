/* SPDX-License-Identifier: Apache-2.0 */
/*
 * credentials.h - what an Authorization field carries, as far as a proxy that
 * does not check it can tell: which scheme, whose name, which step of NTLM.
 * Pure C.
 */
#ifndef FRONT_CREDENTIALS_H
#define FRONT_CREDENTIALS_H

#include <stdbool.h>

/* Room for a user's name of Basic credentials; longer ones are not read. */
#define FRONT_USER_SIZE 256

typedef enum front_scheme {
    FRONT_SCHEME_NONE,      /* no credentials at all */
    FRONT_SCHEME_BASIC,
    FRONT_SCHEME_NTLM,
    FRONT_SCHEME_NEGOTIATE, /* Kerberos, or NTLM, perhaps in SPNEGO */
    FRONT_SCHEME_OTHER
} front_scheme;

typedef struct front_credentials {
    front_scheme scheme;
    unsigned step;              /* NTLM and NEGOTIATE: the number of the NTLM
                                 * message, 1 or 3; 0: none is recognised */
    char user[FRONT_USER_SIZE]; /* BASIC: the name, as it is; "" when the
                                 * credentials cannot be read */
} front_credentials;

/* Reads the value of an Authorization field; NULL: there is none. Nothing is
 * an error: what cannot be read has no user and no step. */
void front_credentials_read(const char *value, front_credentials *out);

/* True when they belong to the connection that they came by, which then
 * counts as authenticated: no other request may use it. */
bool front_credentials_are_bound(const front_credentials *c);

/* True when another request of the same connection is needed before these can
 * be accepted, or might be. */
bool front_credentials_go_on(const front_credentials *c);

#endif
