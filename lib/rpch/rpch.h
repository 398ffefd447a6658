/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rpch.h - conventions of the RPC over HTTP protocol library.
 *
 * The library is MS-RPCH without I/O: C99, no allocation, no clock, no
 * socket, no APR, no httpd. Whoever uses it moves the bytes and tells the
 * time. Section numbers ("2.2.4.2") are those of MS-RPCH 22.0; "C706" is the
 * DCE 1.1 RPC specification.
 *
 *  - Structs are visible so that the caller can own them; their fields are
 *    read only for everybody but the file that documents them.
 *  - Input is borrowed for the call and never kept. An output pointer lives
 *    until the next call on the same object.
 *  - Sizes are in bytes, times in milliseconds of any clock that never goes
 *    backwards (rpch_msec); RPCH_NEVER means "no deadline".
 *  - Functions return an rpch_status: RPCH_OK, RPCH_AGAIN (more input is
 *    needed), or a negative value. The bands say who is to blame.
 *  - Reasons are static strings: one short sentence part, no trailing dot.
 */
#ifndef RPCH_RPCH_H
#define RPCH_RPCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Milliseconds of a monotonic clock, or a span of it. */
typedef uint64_t rpch_msec;

/* The deadline that never comes. */
#define RPCH_NEVER UINT64_MAX

typedef enum rpch_status {
    RPCH_OK = 0,
    RPCH_AGAIN = 1,            /* more input is needed */

    /* -1xx: the peer broke the protocol */
    RPCH_E_SYNTAX = -100,      /* a PDU that cannot be read */
    RPCH_E_UNEXPECTED = -101,  /* a PDU that this state does not accept */
    RPCH_E_ACK = -102,         /* acknowledges what was never sent */
    RPCH_E_COOKIE = -103,      /* names another connection or channel */
    RPCH_E_CLOSED = -104,      /* the peer closed; the ordinary end */
    RPCH_E_BANNER = -105,      /* not an ncacn_http server */

    /* -2xx: refused or ended by our own policy */
    RPCH_E_POLICY = -200,      /* target, limit or identity refused */
    RPCH_E_TIMEOUT = -201,     /* a timer of ours ended it */
    RPCH_E_LIFETIME = -202,    /* the channel's lifetime is used up */
    RPCH_E_RECYCLED = -203,    /* replaced by its successor: no error */

    /* -3xx: local failure */
    RPCH_E_CONNECT = -300,     /* the server cannot be reached */
    RPCH_E_ROOM = -301,        /* an output buffer is too small */
    RPCH_E_VALUE = -302,       /* an argument outside its range */

    RPCH_E_BUG = -900          /* a state that cannot be */
} rpch_status;

/* Name of a status for logs, never NULL. */
const char *rpch_status_name(int status);

/* Values on the wire, 2.2.3.5 */
#define RPCH_WINDOW_MIN 8192u
#define RPCH_WINDOW_MAX 262144u
#define RPCH_WINDOW_DEFAULT 65536u
#define RPCH_TIMEOUT_MIN 120000u        /* ConnectionTimeout, ms */
#define RPCH_TIMEOUT_MAX 14400000u
#define RPCH_LIFETIME_MIN 131072u
#define RPCH_LIFETIME_MAX 2147483648u
#define RPCH_KEEPALIVE_DEFAULT 300000u  /* what ClientKeepalive 0 means, ms */
#define RPCH_KEEPALIVE_MIN 60000u

/* Channel recycling: so much of a lifetime is left when Windows starts it
 * (3.2.2.4.2 for IN, 3.2.5.4.1 for OUT), and so many bytes of Pings make an
 * out-proxy report them (3.2.4.6). */
#define RPCH_RECYCLE_IN_DEFAULT 4096u
#define RPCH_RECYCLE_OUT_DEFAULT 8192u
#define RPCH_PING_NOTIFY_DEFAULT 1031u

/* An RTS PDU larger than this is refused: the largest defined one has 140
 * bytes (CONN/B2 with IPv6), the rest is room for Padding. */
#define RPCH_RTS_SIZE_MAX 512u

/* The largest PDU that a 16-bit frag_length can announce. */
#define RPCH_PDU_SIZE_MAX 65535u

/* What the role machines are configured with. One struct, so that a
 * simulation can run with tiny values. */
typedef struct rpch_limits {
    uint32_t receive_window;     /* we offer it, bytes */
    uint32_t channel_lifetime;   /* of a C-OUT response, bytes */
    uint32_t connection_timeout; /* told to the peer, ms */
    rpch_msec ping_interval;     /* idle C-OUT or C-IN gets a Ping after it */
    rpch_msec first_pdu_timeout; /* start to first RTS PDU */
    rpch_msec open_timeout;      /* first RTS PDU to both halves open; a
                                  * successor likewise */
    rpch_msec switch_timeout;    /* IN_R1/A2 to IN_R1/B2, when longer than
                                  * open_timeout: so long a predecessor may
                                  * take to write what it holds */
    uint32_t recycle_reserve;    /* bytes of a lifetime left when the client
                                  * and the server role recycle; 0: they never
                                  * do, the channel ends at its lifetime */
    uint32_t ping_notify;        /* Ping bytes above which they are reported
                                  * (PingTrafficSentNotify); 0: the default */
    rpch_msec drain_timeout;     /* how long a predecessor may wait for its
                                  * peer after the switch; 0: no bound */
} rpch_limits;

/* Levels of the log callback; the numbers are those of httpd's APLOG_*. */
typedef enum rpch_log_level {
    RPCH_LOG_WARNING = 4,
    RPCH_LOG_INFO = 6,
    RPCH_LOG_DEBUG = 7,  /* each transition */
    RPCH_LOG_TRACE1 = 8, /* each RTS PDU by name */
    RPCH_LOG_TRACE2 = 9  /* windows */
} rpch_log_level;

/* Receives one log line; text and detail are borrowed for the call. what is
 * a static string such as a PDU's name or "OPENED -> FINISHED"; detail may be
 * NULL. */
typedef void rpch_log_fn(void *baton, int level, const char *what,
                         const char *detail);

#endif
