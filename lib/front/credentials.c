/* SPDX-License-Identifier: Apache-2.0 */
/* credentials.c - what an Authorization field carries */
#include "front/credentials.h"

#include <string.h>
#include <strings.h>

#include "rpch/base64.h"

/* NTLM's signature, NUL included, then the number of the message. */
#define SIGNATURE "NTLMSSP"
#define SIGNATURE_SIZE 8
#define STEP_SIZE 4

/* How far into a SPNEGO token an NTLM message is looked for: in front of it
 * stand some lengths and the list of mechanisms. A multiple of 3. */
#define LOOK 384

/* The first bytes of SPNEGO's messages, RFC 4178 4.2. */
#define SPNEGO_FIRST 0x60
#define SPNEGO_NEXT 0xa1

/* The credentials behind the scheme, when value has that scheme. */
static const char *behind(const char *value, const char *scheme)
{
    size_t len = strlen(scheme);
    if (strncasecmp(value, scheme, len) != 0
        || (value[len] != ' ' && value[len] != '\0'))
        return NULL;
    value += len;
    return value + strspn(value, " ");
}

static void read_user(const char *token, front_credentials *out)
{
    /* the name, a colon and a password of any sensible length */
    uint8_t text[4 * FRONT_USER_SIZE];
    size_t n, i;
    if (rpch_base64_decode(token, strlen(token), text, sizeof(text), &n)
        != RPCH_OK)
        return;
    for (i = 0; i < n && text[i] != ':'; i++) {
        if (text[i] < 0x20 || text[i] == 0x7f)
            return;
    }
    if (i == n || i >= sizeof(out->user))
        return;
    memcpy(out->user, text, i);
    out->user[i] = '\0';
}

/* The step of the NTLM message at b, 0 when it is none. */
static unsigned step_at(const uint8_t *b, size_t n)
{
    if (n < SIGNATURE_SIZE + STEP_SIZE
        || memcmp(b, SIGNATURE, SIGNATURE_SIZE) != 0)
        return 0;
    b += SIGNATURE_SIZE;
    if ((b[0] != 1 && b[0] != 3) || b[1] != 0 || b[2] != 0 || b[3] != 0)
        return 0;
    return b[0];
}

static unsigned read_step(const char *token)
{
    uint8_t b[LOOK];
    size_t len = strlen(token), n, i;
    unsigned step;
    if (len > LOOK / 3 * 4)
        len = LOOK / 3 * 4;
    if (rpch_base64_decode(token, len, b, sizeof(b), &n) != RPCH_OK || n == 0)
        return 0;
    step = step_at(b, n);
    if (step != 0 || (b[0] != SPNEGO_FIRST && b[0] != SPNEGO_NEXT))
        return step;
    for (i = 1; i < n && step == 0; i++)
        step = step_at(b + i, n - i);
    return step;
}

void front_credentials_read(const char *value, front_credentials *out)
{
    const char *token;
    memset(out, 0, sizeof(*out));
    if (value == NULL)
        return;
    value += strspn(value, " ");
    if ((token = behind(value, "Basic")) != NULL) {
        out->scheme = FRONT_SCHEME_BASIC;
        read_user(token, out);
    } else if ((token = behind(value, "NTLM")) != NULL) {
        out->scheme = FRONT_SCHEME_NTLM;
        out->step = read_step(token);
    } else if ((token = behind(value, "Negotiate")) != NULL) {
        out->scheme = FRONT_SCHEME_NEGOTIATE;
        out->step = read_step(token);
    } else {
        out->scheme = FRONT_SCHEME_OTHER;
    }
}

bool front_credentials_are_bound(const front_credentials *c)
{
    return c->scheme == FRONT_SCHEME_NTLM
        || c->scheme == FRONT_SCHEME_NEGOTIATE;
}

bool front_credentials_go_on(const front_credentials *c)
{
    return front_credentials_are_bound(c) && c->step != 3;
}
