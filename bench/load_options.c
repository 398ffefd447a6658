/* SPDX-License-Identifier: Apache-2.0 */
/* load_options.c - what rpch-load was told */
#include "load_options.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "load_message.h"
#include "rpch/rpch.h"

typedef enum kind { TEXT, FLAG, NUMBER, RATE } kind;

#define AT(field) offsetof(load_options, field)
#define CLIENTS (LOAD_CLIENT | LOAD_GETTER)

/* Every option: of which programs it is, what it takes, and where it goes. */
static const struct known {
    const char *name;
    kind kind;
    unsigned programs;
    size_t at;
    uint64_t min, max;
} known[] = {
    { "listen", TEXT, LOAD_SERVER, AT(listen), 0, 0 },
    { "port-file", TEXT, LOAD_SERVER, AT(port_file), 0, 0 },
    { "reserve", NUMBER, LOAD_SERVER, AT(reserve), 0, RPCH_LIFETIME_MAX },
    { "frag", NUMBER, LOAD_SERVER | LOAD_CLIENT, AT(frag), LOAD_FRAG_MIN,
      LOAD_FRAG_MAX },
    { "window", NUMBER, LOAD_SERVER | LOAD_CLIENT, AT(window),
      RPCH_WINDOW_MIN, RPCH_WINDOW_MAX },
    { "corrupt", NUMBER, LOAD_SERVER | LOAD_CLIENT, AT(corrupt), 0,
      UINT64_MAX / 2 },
    { "via", TEXT, LOAD_CLIENT, AT(via_name), 0, 0 },
    { "target", TEXT, LOAD_CLIENT, AT(target), 0, 0 },
    { "url", TEXT, LOAD_CLIENT, AT(url), 0, 0 },
    { "open-parallel", NUMBER, LOAD_CLIENT, AT(open_parallel), 1, 1u << 20 },
    { "in-lifetime", NUMBER, LOAD_CLIENT, AT(in_lifetime), RPCH_LIFETIME_MIN,
      RPCH_LIFETIME_MAX },
    { "bytes", NUMBER, LOAD_CLIENT, AT(bytes), 1, UINT64_MAX / 4 },
    { "size", NUMBER, LOAD_CLIENT, AT(size), LOAD_STUB_HEAD, 1u << 30 },
    { "calls-rate", NUMBER, LOAD_CLIENT, AT(calls_rate), 0, 10000000 },
    { "connect", TEXT, CLIENTS, AT(connect), 0, 0 },
    { "host", TEXT, CLIENTS, AT(host), 0, 0 },
    { "user", TEXT, CLIENTS, AT(user), 0, 0 },
    { "tls", FLAG, CLIENTS, AT(tls), 0, 0 },
    { "ca", TEXT, CLIENTS, AT(ca), 0, 0 },
    { "source", TEXT, CLIENTS, AT(source), 0, 0 },
    { "connections", NUMBER, CLIENTS, AT(connections), 1, 1u << 20 },
    { "timeout", NUMBER, CLIENTS, AT(timeout), 1, 86400 },
    { "ready-file", TEXT, CLIENTS, AT(ready_file), 0, 0 },
    { "wait", FLAG, CLIENTS, AT(wait), 0, 0 },
    { "rate", RATE, CLIENTS, AT(rate), 1, 10000000 },
    { "seconds", NUMBER, CLIENTS, AT(seconds), 1, 864000 },
    { "path", TEXT, LOAD_GETTER, AT(path), 0, 0 },
};

#define KNOWN (sizeof(known) / sizeof(known[0]))

static int wrong(const char *option, const char *text, const char *why)
{
    fprintf(stderr, "rpch-load: %s %s: %s\n", option, text, why);
    return 2;
}

static int number(const struct known *k, const char *text, uint64_t *n)
{
    char *end;

    errno = 0;
    *n = strtoull(text, &end, 10);
    if (errno == 0 && text[0] >= '0' && text[0] <= '9' && *end == '\0'
        && *n >= k->min && *n <= k->max)
        return 0;
    fprintf(stderr, "rpch-load: --%s %s: not a number of %llu to %llu\n",
            k->name, text, (unsigned long long)k->min,
            (unsigned long long)k->max);
    return 2;
}

static int set(load_options *o, const struct known *k, const char *text)
{
    void *at = (char *)o + k->at;

    o->corrupts = o->corrupts || k->at == AT(corrupt);
    o->seconds_given = o->seconds_given || k->at == AT(seconds);
    switch (k->kind) {
    case TEXT:
        *(const char **)at = text;
        return 0;
    case FLAG:
        *(bool *)at = true;
        return 0;
    case RATE:
        if (strcmp(text, "max") == 0 && o->program == LOAD_CLIENT) {
            *(uint64_t *)at = LOAD_RATE_MAX;
            return 0;
        }
        return number(k, text, at);
    default:
        return number(k, text, at);
    }
}

/* One option of argv[*i], which begins with "--"; moves *i on. */
static int read_option(load_options *o, int argc, char **argv, int *i)
{
    char *name = argv[*i] + 2, *value = strchr(name, '=');
    size_t len = value != NULL ? (size_t)(value - name) : strlen(name), n;

    for (n = 0; n < KNOWN; n++)
        if (strlen(known[n].name) == len
            && strncmp(known[n].name, name, len) == 0
            && (known[n].programs & o->program))
            break;
    if (n == KNOWN)
        return wrong("option", argv[*i], "not known");
    if (known[n].kind == FLAG)
        return value == NULL ? set(o, &known[n], NULL)
                             : wrong("option", argv[*i], "takes no value");
    if (value == NULL && *i + 1 == argc)
        return wrong("option", argv[*i], "needs a value");
    return set(o, &known[n], value != NULL ? value + 1 : argv[++*i]);
}

/* The place of name in a list that ends with NULL, or -1. */
static int place_in(const char *const *list, const char *name)
{
    int i;

    for (i = 0; name != NULL && list[i] != NULL; i++)
        if (strcmp(list[i], name) == 0)
            return i;
    return -1;
}

static int read_argument(load_options *o, const char *text)
{
    static const char *const modes[] = { "bulk-out", "bulk-in", "calls",
                                         "idle", "churn", NULL };
    int mode = place_in(modes, text);

    if (o->program != LOAD_CLIENT || mode < 0 || o->mode_name != NULL)
        return wrong("argument", text, "not known");
    o->mode = (load_mode)mode;
    o->mode_name = modes[mode];
    return 0;
}

/* ---- what the texts mean --------------------------------------------------- */

const char *load_address(const char *text, bool passive, load_place *place,
                         char name[264])
{
    const char *colon = strrchr(text, ':');
    size_t n = colon != NULL ? (size_t)(colon - text) : 0, skip;
    struct addrinfo hints, *ai;
    int rv;

    skip = n > 2 && text[0] == '[' && text[n - 1] == ']' ? 1 : 0;
    if (n == 0 || n >= 256 || colon[1] == '\0')
        return "not HOST:PORT";
    memcpy(name, text + skip, n - 2 * skip);
    name[n - 2 * skip] = '\0';
    memset(&hints, 0, sizeof(hints));
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_NUMERICSERV | (passive ? AI_PASSIVE : 0);
    rv = getaddrinfo(name, colon + 1, &hints, &ai);
    if (rv != 0)
        return gai_strerror(rv);
    memcpy(&place->to, ai->ai_addr, ai->ai_addrlen);
    place->to_len = ai->ai_addrlen;
    freeaddrinfo(ai);
    return NULL;
}

/* Cuts a list at its commas; false when it is too long. */
static bool split(char *text, const char **list, unsigned *n)
{
    char *comma;

    for (;;) {
        if (*n == LOAD_PLACES_MAX)
            return false;
        list[(*n)++] = text;
        comma = strchr(text, ',');
        if (comma == NULL)
            return true;
        *comma = '\0';
        text = comma + 1;
    }
}

static int read_places(load_options *o)
{
    unsigned i;

    if (!split((char *)o->connect, o->authority, &o->n_places))
        return wrong("--connect", o->connect, "too many");
    for (i = 0; i < o->n_places; i++) {
        load_place *place = &o->place[i];
        const char *why = load_address(o->authority[i], false, place,
                                       o->name[i]);
        struct in6_addr ip;

        if (why != NULL)
            return wrong("--connect", o->authority[i], why);
        place->tls = o->ctx;
        place->name = o->host != NULL ? o->host : o->name[i];
        if (inet_pton(AF_INET, place->name, &ip) == 1
            || inet_pton(AF_INET6, place->name, &ip) == 1)
            place->name = NULL;
        if (o->host != NULL)
            o->authority[i] = o->host;
    }
    return 0;
}

/* A.B.C.D or A.B.C.D-E. */
static int read_source(load_options *o)
{
    char text[64];
    char *dash, *end = NULL;
    struct in_addr first;
    unsigned long last;

    snprintf(text, sizeof(text), "%s", o->source);
    dash = strchr(text, '-');
    if (dash != NULL)
        *dash = '\0';
    if (inet_pton(AF_INET, text, &first) != 1)
        return wrong("--source", o->source, "not A.B.C.D or A.B.C.D-E");
    o->source_first = ntohl(first.s_addr);
    o->n_sources = 1;
    if (dash == NULL)
        return 0;
    last = strtoul(dash + 1, &end, 10);
    if (*end != '\0' || dash[1] < '0' || dash[1] > '9' || last > 254
        || last < (o->source_first & 0xff))
        return wrong("--source", o->source, "not A.B.C.D or A.B.C.D-E");
    o->n_sources = (uint32_t)last - (o->source_first & 0xff) + 1;
    return 0;
}

load_place load_options_place(const load_options *o, uint64_t number)
{
    load_place place = o->place[number % o->n_places];

    if (o->n_sources > 0)
        place.source.s_addr = htonl(o->source_first
                                    + (uint32_t)(number % o->n_sources));
    return place;
}

/* What a client needs. */
static int complete_client(load_options *o)
{
    static const char *const vias[] = { "rpch", "v1", "connect", "raw",
                                        NULL };
    int via = place_in(vias, o->via_name), rv;

    if (via < 0)
        return wrong("--via", o->via_name, "not known");
    o->via = o->program == LOAD_CLIENT ? (load_via)via : LOAD_RAW;
    if (o->connect == NULL)
        return wrong("--connect", "HOST:PORT", "is needed");
    if (o->program == LOAD_CLIENT && o->mode_name == NULL)
        return wrong("client", "MODE", "is needed");
    if (o->program == LOAD_CLIENT && o->via != LOAD_RAW) {
        if (o->target == NULL)
            return wrong("--target", "NAME:PORT", "is needed");
        if (!split((char *)o->target, o->server, &o->n_servers))
            return wrong("--target", o->target, "too many");
    }
    if (o->tls) {
        o->ctx = load_tls_new(o->ca);
        if (o->ctx == NULL)
            return wrong("--ca", o->ca != NULL ? o->ca : "", "no TLS");
    }
    rv = o->source != NULL ? read_source(o) : 0;
    return rv == 0 ? read_places(o) : rv;
}

static void set_defaults(load_options *o)
{
    memset(o, 0, sizeof(*o));
    o->listen = "127.0.0.1:0";
    o->via_name = "rpch";
    o->url = "/rpc/rpcproxy.dll";
    o->path = "/";
    o->connections = 1;
    o->open_parallel = 64;
    o->frag = LOAD_FRAG_DEFAULT;
    o->window = RPCH_WINDOW_DEFAULT;
    o->reserve = RPCH_RECYCLE_OUT_DEFAULT;
    o->in_lifetime = 1u << 30;
    o->timeout = 60;
    o->bytes = 1u << 20;
    o->size = 100;
    o->rate = LOAD_RATE_MAX;
    o->seconds = 10;
}

int load_options_read(load_options *o, int argc, char **argv)
{
    static const char *const programs[] = { "server", "client", "get", NULL };
    int program, i, rv = 0;

    set_defaults(o);
    for (i = 1; i < argc; i++)
        if (strcmp(argv[i], "--help") == 0) {
            load_usage(stdout);
            return -1;
        }
    program = place_in(programs, argc > 1 ? argv[1] : NULL);
    if (program < 0) {
        fputs("rpch-load: server, client or get? --help tells more\n", stderr);
        return 2;
    }
    o->program = (load_program)(1 << program);
    if (o->program == LOAD_GETTER) {
        o->mode = LOAD_GET;
        o->mode_name = "get";
        o->connections = 16;
        o->rate = 100;
    }
    for (i = 2; i < argc && rv == 0; i++)
        rv = strncmp(argv[i], "--", 2) == 0 ? read_option(o, argc, argv, &i)
                                            : read_argument(o, argv[i]);
    if (rv == 0 && o->program != LOAD_SERVER)
        rv = complete_client(o);
    return rv;
}

void load_options_free(load_options *o)
{
    SSL_CTX_free(o->ctx);
}
