/* SPDX-License-Identifier: Apache-2.0 */
/*
 * head.h - the head of an HTTP/1.x response (RFC 9112), read from a stream
 * that may be cut anywhere, and how the body after it ends.
 */
#ifndef RELAY_HEAD_H
#define RELAY_HEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A head has at most so many bytes, line ends included, and fields. */
#define RELAY_HEAD_SIZE_MAX 65536u
#define RELAY_HEAD_FIELDS_MAX 100u

typedef enum relay_head_state {
    RELAY_HEAD_MORE,     /* the head goes on */
    RELAY_HEAD_DONE,     /* it is whole */
    RELAY_HEAD_BAD,      /* it is no head that could be used; see error */
    RELAY_HEAD_NO_MEMORY
} relay_head_state;

/* How the body ends, RFC 9112 6.3. */
typedef enum relay_body {
    RELAY_BODY_NONE,    /* there is none */
    RELAY_BODY_LENGTH,  /* after h->length bytes, which may be 0 */
    RELAY_BODY_CHUNKED, /* as its last chunk says; see chunks.h */
    RELAY_BODY_CLOSE    /* with the connection */
} relay_body;

typedef struct relay_head {
    relay_head_state state; /* the last that relay_head_feed returned */
    const char *error;      /* BAD: a static sentence */
    /* These when DONE: */
    int status;             /* 100 to 599 */
    int minor;              /* HTTP/1.minor: 0, or 1 for all others */
    const char *reason;     /* after the status; "" if nothing is there */
    unsigned fields;        /* how many there are */
    int64_t length;         /* Content-Length; -1: none */
    bool chunked;           /* the last transfer coding is chunked */
    bool coded;             /* there is a Transfer-Encoding: length is void */
    bool keeps;             /* the connection may have another response after
                             * a body of any kind but CLOSE */
    /* head.c's own: */
    char *text;             /* malloc'd: reason and fields, each with its 0,
                             * then the line being read */
    size_t have;            /* bytes in text */
    size_t room;            /* bytes that text has */
    size_t line;            /* where that line begins */
    size_t size;            /* bytes of the head so far */
    unsigned blank;         /* empty lines before it */
    bool begun;             /* the status line has been read */
} relay_head;

/* One field; both borrowed from the head. */
typedef struct relay_head_field {
    const char *name;  /* a token, spelt as it came */
    const char *value; /* without white space around it; folded lines are
                        * joined by a space; no control character but tab */
} relay_head_field;

/* Starts a head. */
void relay_head_init(relay_head *h);

/* Frees what h holds, in any state, and makes it as relay_head_init does: the
 * next head of the stream may follow (one after a 1xx). */
void relay_head_clear(relay_head *h);

/* Takes input up to and including the end of the head, and sets *used to how
 * much that was. MORE has used up everything. The result does not depend on
 * how the stream is cut. DONE, BAD and NO_MEMORY stay, and take nothing any
 * more; *used says nothing when BAD or NO_MEMORY is returned.
 *
 * Lines may end in LF alone. At most two empty lines before the status line
 * are skipped. BAD: anything that is no HTTP/1.x response, as soon as its
 * first bytes show it; too many bytes or fields; bare CR, NUL and other
 * control characters; a name that is no token; a Content-Length that is no
 * number or has two values; a transfer coding other than chunked and
 * identity. */
relay_head_state relay_head_feed(relay_head *h, const void *in, size_t len,
                                 size_t *used);

/* The rest is for a head that is DONE. */

/* How the body ends when the request's method was HEAD, or was not. */
relay_body relay_head_body(const relay_head *h, bool method_is_head);

/* Steps to the next field, in the order of arrival; the first one from
 * { NULL, NULL }. False at the end. */
bool relay_head_next(const relay_head *h, relay_head_field *f);

/* The first value of that field, whatever the case of name; NULL: none. */
const char *relay_head_get(const relay_head *h, const char *name);

/* True when a field of that name has that element in its comma-separated
 * list; both in any case. For Connection and its like, whose elements are
 * tokens. */
bool relay_head_lists(const relay_head *h, const char *name,
                      const char *element);

#endif
