/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rpch_dump.c - prints the PDUs of one direction of an RPC over HTTP channel,
 * one a line. Reads a file or standard input in one pass, whatever its size.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "rpch/base64.h"
#include "rpch/bind.h"
#include "rpch/eeinfo.h"
#include "rpch/rts_table.h"
#include "rpch/wire.h"

#define HEAD_MAX 65536u

/* Where a request PDU has its opnum, C706 12.6.4.9. */
#define OPNUM_AT 22

/* The body of an authentication leg or of an echo request is no channel. */
#define LEG_BODY_MAX 16

typedef enum phase {
    PHASE_HEAD, /* of HTTP */
    PHASE_SKIP, /* a body without PDUs */
    PHASE_PDUS
} phase;

typedef struct dump {
    bool hex;
    bool http;
    bool failed;
    phase phase;
    uint64_t offset;    /* of the next byte of the input */
    uint64_t start;     /* of the PDU or head being read */
    uint64_t left;      /* bytes to the end of this HTTP body */
    char head[HEAD_MAX + 1];
    size_t head_len;
    unsigned heads;
    rpch_cutter cutter;
    uint8_t pdu[RPCH_PDU_SIZE_MAX]; /* an RPC PDU so far */
    size_t pdu_len;
} dump;

static void fail(dump *d, uint64_t offset, const char *reason)
{
    fflush(stdout);
    fprintf(stderr, "rpch-dump: offset %" PRIu64 ": %s\n", offset, reason);
    d->failed = true;
}

static void print_hex(const uint8_t *p, size_t len)
{
    size_t i;

    for (i = 0; i < len; i++) {
        if (i % 16 == 0)
            printf("    %04zx ", i);
        printf(" %02x", p[i]);
        if (i % 16 == 15 || i + 1 == len)
            putchar('\n');
    }
}

static void print_rts_flags(uint16_t flags)
{
    static const char *const name[] = {
        "PING", "OTHER_CMD", "RECYCLE_CHANNEL", "IN_CHANNEL", "OUT_CHANNEL",
        "EOF", "ECHO"
    };
    const char *sep = "";
    size_t bit;

    printf(" flags=%s", flags ? "" : "NONE");
    for (bit = 0; bit < sizeof name / sizeof name[0]; bit++) {
        if (flags & 1u << bit) {
            printf("%s%s", sep, name[bit]);
            sep = "|";
        }
    }
}

/* Prints enough of a cookie to tell it from others, and too little to be of
 * use to anybody. */
static void print_cookie(const rpch_cookie *c)
{
    char hex[RPCH_COOKIE_HEX_SIZE];

    printf("%.8s", rpch_cookie_hex(c, hex));
}

static void print_address(const rpch_address *a)
{
    char text[INET6_ADDRSTRLEN];

    if (inet_ntop(a->ipv6 ? AF_INET6 : AF_INET, a->addr, text, sizeof text))
        fputs(text, stdout);
}

static void print_command(const rpch_cmd *cmd)
{
    static const char *const dest[] = {
        "FDClient", "FDInProxy", "FDServer", "FDOutProxy"
    };

    printf(" %s", rpch_cmd_name(cmd->type));
    switch (cmd->type) {
    case RPCH_CMD_EMPTY:
    case RPCH_CMD_ANCE:
    case RPCH_CMD_NEGATIVE_ANCE:
        return;
    case RPCH_CMD_COOKIE:
    case RPCH_CMD_ASSOCIATION_GROUP_ID:
        putchar('=');
        print_cookie(&cmd->u.cookie);
        return;
    case RPCH_CMD_FLOW_CONTROL_ACK:
        printf("=%" PRIu32 ",%" PRIu32 ",", cmd->u.ack.bytes_received,
               cmd->u.ack.available_window);
        print_cookie(&cmd->u.ack.cookie);
        return;
    case RPCH_CMD_CLIENT_ADDRESS:
        putchar('=');
        print_address(&cmd->u.address);
        return;
    case RPCH_CMD_DESTINATION:
        printf("=%s", dest[cmd->u.value]);
        return;
    default:
        printf("=%" PRIu32, cmd->u.value);
    }
}

static void print_rts(dump *d, const uint8_t *p, size_t len)
{
    char names[RPCH_RTS_DESCRIBE_SIZE];
    const char *reason;
    rpch_rts rts;
    uint16_t i;

    if (rpch_rts_decode(p, len, &rts, &reason) != RPCH_OK) {
        fail(d, d->start, reason);
    } else {
        printf("%" PRIu64 " %zu %s", d->start, len,
               rpch_rts_describe(&rts, names, sizeof names));
        print_rts_flags(rts.flags);
        for (i = 0; i < rts.n; i++)
            print_command(&rts.cmd[i]);
        putchar('\n');
    }
    if (d->hex)
        print_hex(p, len);
}

/* The interfaces that a bind or alter_context asks for. */
static void print_bind(const dump *d)
{
    char text[RPCH_UUID_TEXT_SIZE];
    const char *reason = "";
    rpch_bind_context c;
    rpch_bind b;
    unsigned i;

    if (rpch_bind_parse(d->pdu, d->pdu_len, &b, &reason) != RPCH_OK) {
        printf(" (%s)", reason);
        return;
    }
    for (i = 0; rpch_bind_context_at(&b, i, &c); i++)
        printf(" interface=%s/%u.%u", rpch_uuid_text(c.interface.uuid, text),
               c.interface.major, c.interface.minor);
}

static void print_rpc(dump *d, const rpch_pdu *pdu)
{
    const uint8_t *at = d->pdu + OPNUM_AT;

    printf("%" PRIu64 " %zu ", d->start, d->pdu_len);
    if (strcmp(rpch_ptype_name(pdu->ptype), "unknown") == 0)
        printf("ptype=%u", pdu->ptype);
    else
        fputs(rpch_ptype_name(pdu->ptype), stdout);
    printf(" flags=0x%02x call_id=%" PRIu32 " frag_length=%u", pdu->flags,
           pdu->call_id, pdu->frag_len);
    if (pdu->auth_len)
        printf(" auth_length=%u", pdu->auth_len);
    if (pdu->big_endian)
        fputs(" big-endian", stdout);
    if (pdu->ptype == RPCH_PTYPE_REQUEST && d->pdu_len >= OPNUM_AT + 2)
        printf(" opnum=%u", pdu->big_endian ? rpch_be16(at)
                                            : rpch_le16(at));
    if (pdu->ptype == RPCH_PTYPE_BIND
        || pdu->ptype == RPCH_PTYPE_ALTER_CONTEXT)
        print_bind(d);
    putchar('\n');
    if (d->hex)
        print_hex(d->pdu, d->pdu_len);
}

/* Takes the bytes of PDUs; false when there is no going on. */
static bool take_pdus(dump *d, const uint8_t *p, size_t len)
{
    size_t used = 0;
    rpch_cut cut;

    do {
        if (rpch_cutter_at_boundary(&d->cutter))
            d->start = d->offset;
        if (rpch_cutter_next(&d->cutter, p + used, len - used, &cut)
            != RPCH_OK) {
            fail(d, d->start, d->cutter.reason);
            return false;
        }
        used += cut.used;
        d->offset += cut.used;
        if (cut.kind == RPCH_CUT_BANNER) {
            printf("%" PRIu64 " 14 banner ncacn_http/1.0\n", d->start);
        } else if (cut.kind == RPCH_CUT_RTS) {
            print_rts(d, cut.data, cut.len);
        } else if (cut.kind == RPCH_CUT_RPC) {
            if (cut.first)
                d->pdu_len = 0;
            memcpy(d->pdu + d->pdu_len, cut.data, cut.len);
            d->pdu_len += cut.len;
            if (cut.last)
                print_rpc(d, &cut.pdu);
        }
    } while (cut.kind != RPCH_CUT_NONE);
    return true;
}

/* Content-Length of the head; UINT64_MAX when it has none. */
static uint64_t content_length(const dump *d)
{
    static const char field[] = "\ncontent-length:";
    size_t size = sizeof field - 1;
    size_t i;

    for (i = 0; i + size < d->head_len; i++) {
        if (strncasecmp(d->head + i, field, size) == 0)
            return strtoull(d->head + i + size, NULL, 10);
    }
    return UINT64_MAX;
}

static void print_ee_param(const rpch_ee_param *p)
{
    switch (p->type) {
    case RPCH_EE_ANSI:
    case RPCH_EE_UNICODE:
        printf(" \"%s\"", p->text);
        return;
    case RPCH_EE_NONE:
        fputs(" none", stdout);
        return;
    default:
        printf(" %s=%" PRId64, rpch_ee_type_name(p->type), p->number);
    }
}

/* Prints the records of EEInfo in a reason phrase of len characters, one a
 * line. */
static void print_eeinfo(const char *line, size_t len)
{
    static const char mark[] = ", EEInfo: ";
    uint8_t blob[RPCH_EE_BLOB_MAX];
    rpch_ee_record r[RPCH_EE_RECORDS_MAX];
    const char *reason = "not base64";
    unsigned n = 0, i, j;
    size_t at = 0, size;

    while (at + sizeof mark <= len && memcmp(line + at, mark, sizeof mark - 1))
        at++;
    if (at + sizeof mark > len)
        return;
    at += sizeof mark - 1;
    if (rpch_base64_decode(line + at, len - at, blob, sizeof blob, &size)
            != RPCH_OK
        || rpch_ee_decode(blob, size, r, RPCH_EE_RECORDS_MAX, &n, &reason)
            != RPCH_OK)
        printf("    EEInfo: %s\n", reason);
    for (i = 0; i < n; i++) {
        printf("    EEInfo: computer=%s pid=%" PRIu32 " component=%" PRIu32
               " status=0x%" PRIx32 " location=%u flags=%u",
               r[i].has_computer ? r[i].computer : "-", r[i].pid,
               r[i].component, r[i].status, r[i].location, r[i].flags);
        for (j = 0; j < r[i].params; j++)
            print_ee_param(&r[i].param[j]);
        putchar('\n');
    }
}

/* Prints the first line of the head, and decides what its body is. */
static void end_head(dump *d)
{
    uint64_t length;
    bool response, skip;
    size_t i;

    printf("%" PRIu64 " %zu http ", d->start, d->head_len);
    for (i = 0; i < d->head_len && !strchr("\r\n", d->head[i]); i++) {
        char c = d->head[i];
        putchar(c >= ' ' && c <= '~' ? c : '?');
    }
    putchar('\n');
    print_eeinfo(d->head, i);
    d->head[d->head_len] = '\0';
    length = content_length(d);
    response = d->head_len > 12 && memcmp(d->head, "HTTP/", 5) == 0;
    if (response && memcmp(d->head + 8, " 1", 2) == 0)
        length = 0;
    skip = response ? memcmp(d->head + 8, " 200", 4) != 0
                    : length <= LEG_BODY_MAX;
    d->phase = length == 0 ? PHASE_HEAD : skip ? PHASE_SKIP : PHASE_PDUS;
    d->left = length;
    d->start = d->offset;
    d->head_len = 0;
    d->heads++;
}

/* Takes bytes of an HTTP head, and sets how many; false when there is no
 * going on. */
static bool take_head(dump *d, const uint8_t *p, size_t len, size_t *used)
{
    unsigned heads = d->heads;

    for (*used = 0; *used < len && d->heads == heads; ++*used) {
        const char *end = d->head + d->head_len;

        if (d->head_len == HEAD_MAX) {
            fail(d, d->start, "the HTTP head has no end");
            return false;
        }
        d->head[d->head_len++] = (char)p[*used];
        d->offset++;
        if (*end == '\n'
            && ((d->head_len >= 4 && memcmp(end - 3, "\r\n\r", 3) == 0)
                || (d->head_len >= 2 && end[-1] == '\n')))
            end_head(d);
    }
    return true;
}

/* Takes bytes of whatever the phase is, and sets how many. */
static bool take(dump *d, const uint8_t *p, size_t len, size_t *used)
{
    if (d->phase == PHASE_HEAD)
        return take_head(d, p, len, used);
    *used = len < d->left ? len : (size_t)d->left;
    if (d->phase == PHASE_SKIP)
        d->offset += *used;
    else if (!take_pdus(d, p, *used))
        return false;
    if (d->http) {
        d->left -= *used;
        if (d->left == 0) {
            if (!rpch_cutter_at_boundary(&d->cutter)) {
                fail(d, d->start, "the HTTP body ends inside this PDU");
                return false;
            }
            d->start = d->offset;
            d->phase = PHASE_HEAD;
        }
    }
    return true;
}

/* Dumps the whole of in. */
static void run(dump *d, FILE *in)
{
    static uint8_t chunk[65536];
    size_t n, at, used;

    while ((n = fread(chunk, 1, sizeof chunk, in)) > 0) {
        for (at = 0; at < n; at += used) {
            if (!take(d, chunk + at, n - at, &used))
                return;
        }
    }
    if (ferror(in))
        fail(d, d->offset, strerror(errno));
    else if (d->head_len)
        fail(d, d->start, "the input ends inside the HTTP head");
    else if (!rpch_cutter_at_boundary(&d->cutter))
        fail(d, d->start, "the input ends inside this PDU");
}

static void usage(FILE *to)
{
    fputs("usage: rpch-dump [--http] [--server] [-x] [FILE]\n"
          "\n"
          "Prints each PDU of one direction of an RPC over HTTP channel on a\n"
          "line: its offset, its size, and what it is. Without FILE, or with\n"
          "\"-\", standard input is read.\n"
          "\n"
          "  --http      it is one direction of an HTTP connection: heads and\n"
          "              bodies without PDUs are skipped\n"
          "  --server    it comes from an RPC server: \"ncacn_http/1.0\" may\n"
          "              come before the first PDU\n"
          "  -x, --hex   add the bytes of each PDU, with whole cookies: these\n"
          "              are secrets, and elsewhere cut to 4 bytes\n"
          "  -h, --help  print this\n"
          "\n"
          "An RTS PDU has all names that MS-RPCH 2.2.4 gives to its bytes, a\n"
          "bind the interfaces that it asks for, an error response the records\n"
          "of its EEInfo.\n"
          "Exit status: 0, 1 when the input has an error, 2 for wrong usage.\n",
          to);
}

/* Reads the options into d and *server; the exit status, or -1 to go on. */
static int options(int argc, char **argv, dump *d, bool *server)
{
    static const struct option longs[] = {
        { "http", no_argument, NULL, 'H' },
        { "server", no_argument, NULL, 's' },
        { "hex", no_argument, NULL, 'x' },
        { "help", no_argument, NULL, 'h' },
        { NULL, 0, NULL, 0 }
    };
    int c;

    while ((c = getopt_long(argc, argv, "hx", longs, NULL)) != -1) {
        if (c == 'h') {
            usage(stdout);
            return 0;
        }
        if (c == 'x')
            d->hex = true;
        else if (c == 'H')
            d->http = true;
        else if (c == 's')
            *server = true;
        else
            break;
    }
    if (c != -1 || argc - optind > 1) {
        usage(stderr);
        return 2;
    }
    return -1;
}

int main(int argc, char **argv)
{
    static dump d;
    bool server = false;
    const char *name;
    FILE *in = stdin;
    int status = options(argc, argv, &d, &server);

    if (status >= 0)
        return status;
    name = optind < argc ? argv[optind] : "-";
    if (strcmp(name, "-") != 0)
        in = fopen(name, "rb");
    if (!in) {
        fprintf(stderr, "rpch-dump: %s: %s\n", name, strerror(errno));
        return EXIT_FAILURE;
    }
    rpch_cutter_init(&d.cutter, server);
    d.phase = d.http ? PHASE_HEAD : PHASE_PDUS;
    d.left = UINT64_MAX;
    run(&d, in);
    if (in != stdin)
        fclose(in);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        fprintf(stderr, "rpch-dump: the output cannot be written\n");
        return EXIT_FAILURE;
    }
    return d.failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
