/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rpch_client.c - a client of RPC over HTTP that moves bytes through a proxy
 * to rpcecho and back, compares all of them, and recycles its channels: its
 * options, and what it prints.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "rpcl_run.h"

#define PROGRAM "rpch-client"
#define HOST_MAX 256

static void usage(FILE *to)
{
    fputs("usage: rpch-client [options] --proxy HOST:PORT ... --server NAME:PORT\n"
          "Calls rpcecho through an RPC proxy (MS-RPCH version 2, plain HTTP) and\n"
          "compares every byte that comes back.\n"
          "\n"
          "  --proxy HOST:PORT  where requests go; several: in turn, for each\n"
          "                     direction, so that a successor comes to another one\n"
          "  --server NAME:PORT the RPC server, as the proxy is to be asked for it\n"
          "  --url PATH         default /rpc/rpcproxy.dll\n"
          "  --user U           Basic authentication\n"
          "  --password P\n"
          "  --bytes N          bytes to move each way (default 1048576)\n"
          "  --calls N          instead: so many calls\n"
          "  --call-bytes N     data of one call (default 16384)\n"
          "  --outstanding N    calls at once (default 2); a server that reads nothing\n"
          "                     while it answers can stall the replacement of a channel\n"
          "                     when more than half a window is outstanding\n"
          "  --kind K           mixed (default), echo, sink, source\n"
          "  --in-lifetime N    Content-Length of IN requests (default 1073741824)\n"
          "  --reserve N        of it left when IN is recycled (default 4096; 0: never)\n"
          "  --window N         receive window of C-OUT (default 65536)\n"
          "  --mode M           normal (default); r2only: only IN_R2 and OUT_R2;\n"
          "                     norecycle: none; quiet: none, no acks, no Pings\n"
          "  --idle MSEC        silence after the calls, then one call more\n"
          "  --ping-interval MSEC  of an idle C-IN (default: half of what the proxy\n"
          "                     tells)\n"
          "  --timeout MSEC     the end when nothing moves (default 60000)\n"
          "  --stats            print one line at the end\n"
          "  --verbose          name each RTS PDU and transition on stderr\n"
          "  --help             this text\n"
          "\n"
          "Exit status: 0 when every byte was right and the end was orderly, 1 when\n"
          "not, 2 when the options are wrong.\n", to);
}

static bool wrong(const char *option, const char *text, const char *why)
{
    fprintf(stderr, PROGRAM ": %s %s: %s\n", option, text, why);
    return false;
}

/* A decimal number of [min, max]. */
static bool number(const char *option, const char *text, uint64_t min,
                   uint64_t max, uint64_t *n)
{
    char *end;

    errno = 0;
    *n = strtoull(text, &end, 10);
    if (errno == 0 && text[0] >= '0' && text[0] <= '9' && *end == '\0'
        && *n >= min && *n <= max)
        return true;
    fprintf(stderr, PROGRAM ": %s %s: not a number of %llu to %llu\n", option,
            text, (unsigned long long)min, (unsigned long long)max);
    return false;
}

/* One of a list of words that ends with NULL; its place is *n. */
static bool word(const char *option, const char *text,
                 const char *const *words, uint64_t *n)
{
    for (*n = 0; words[*n] != NULL; (*n)++)
        if (strcmp(text, words[*n]) == 0)
            return true;
    return wrong(option, text, "not known");
}

/* Looks HOST:PORT or [HOST]:PORT up. */
static bool add_proxy(rpcl_config *o, const char *text)
{
    const char *colon = strrchr(text, ':');
    struct addrinfo hints;
    char host[HOST_MAX];
    size_t n, skip;
    int rv;

    if (o->n_proxies == RPCL_PROXIES_MAX)
        return wrong("--proxy", text, "too many");
    n = colon != NULL ? (size_t)(colon - text) : 0;
    skip = n > 2 && text[0] == '[' && text[n - 1] == ']' ? 1 : 0;
    if (n == 0 || n >= HOST_MAX || colon[1] == '\0')
        return wrong("--proxy", text, "not HOST:PORT");
    n -= 2 * skip;
    memcpy(host, text + skip, n);
    host[n] = '\0';
    memset(&hints, 0, sizeof(hints));
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_NUMERICSERV;
    rv = getaddrinfo(host, colon + 1, &hints, &o->proxy[o->n_proxies].ai);
    if (rv != 0)
        return wrong("--proxy", text, gai_strerror(rv));
    o->proxy[o->n_proxies++].text = text;
    return true;
}

static bool set_mode(rpcl_config *o, const char *text)
{
    static const char *const mode[] = { "normal", "r2only", "norecycle",
                                        "quiet", NULL };
    static const unsigned flags[] = { 0, RPCH_R2_ONLY, RPCH_NO_RECYCLING,
                                      RPCH_QUIET };
    uint64_t n;

    if (!word("--mode", text, mode, &n))
        return false;
    o->flags = flags[n];
    return true;
}

static bool set_kind(rpcl_config *o, const char *text)
{
    static const char *const kind[] = { "mixed", "echo", "sink", "source",
                                        NULL };
    uint64_t n;

    if (!word("--kind", text, kind, &n))
        return false;
    o->plan.kind = (rpcl_kind)n;
    return true;
}

static const struct option known[] = {
    { "proxy", required_argument, NULL, 'p' },
    { "server", required_argument, NULL, 's' },
    { "url", required_argument, NULL, 'u' },
    { "user", required_argument, NULL, 'U' },
    { "password", required_argument, NULL, 'P' },
    { "bytes", required_argument, NULL, 'b' },
    { "calls", required_argument, NULL, 'c' },
    { "call-bytes", required_argument, NULL, 'C' },
    { "outstanding", required_argument, NULL, 'o' },
    { "kind", required_argument, NULL, 'k' },
    { "in-lifetime", required_argument, NULL, 'l' },
    { "reserve", required_argument, NULL, 'r' },
    { "window", required_argument, NULL, 'w' },
    { "mode", required_argument, NULL, 'm' },
    { "idle", required_argument, NULL, 'i' },
    { "ping-interval", required_argument, NULL, 'I' },
    { "timeout", required_argument, NULL, 't' },
    { "stats", no_argument, NULL, 'S' },
    { "verbose", no_argument, NULL, 'v' },
    { "help", no_argument, NULL, 'h' },
    { NULL, 0, NULL, 0 }
};

/* The options that are numbers. */
static bool set_number(rpcl_config *o, int c, const char *text)
{
    uint64_t n = 0;
    bool ok;

    switch (c) {
    case 'b': return number("--bytes", text, 1, UINT64_MAX / 4,
                            &o->plan.bytes);
    case 'c': return number("--calls", text, 1, UINT64_MAX / 4,
                            &o->plan.calls);
    case 'i': return number("--idle", text, 0, UINT32_MAX, &o->idle);
    case 'I': return number("--ping-interval", text, 1, UINT32_MAX,
                            &o->limits.ping_interval);
    case 't': ok = number("--timeout", text, 1, UINT32_MAX, &o->timeout);
        o->limits.open_timeout = o->timeout;
        return ok;
    case 'C': ok = number("--call-bytes", text, 1, 1u << 30, &n);
        o->plan.call_bytes = (uint32_t)n;
        return ok;
    case 'o': ok = number("--outstanding", text, 1, RPCL_OUTSTANDING_MAX, &n);
        o->plan.outstanding = (uint32_t)n;
        return ok;
    case 'l': ok = number("--in-lifetime", text, 1, RPCH_LIFETIME_MAX, &n);
        o->limits.channel_lifetime = (uint32_t)n;
        return ok;
    case 'r': ok = number("--reserve", text, 0, RPCH_LIFETIME_MAX, &n);
        o->limits.recycle_reserve = (uint32_t)n;
        return ok;
    default: ok = number("--window", text, RPCH_WINDOW_MIN, RPCH_WINDOW_MAX,
                         &n);
        o->limits.receive_window = (uint32_t)n;
        return ok;
    }
}

static bool set_option(rpcl_config *o, int c, const char *text, bool *stats)
{
    switch (c) {
    case 'p': return add_proxy(o, text);
    case 's': o->target.server = text; return true;
    case 'u': o->target.url = text; return true;
    case 'U': o->target.user = text; return true;
    case 'P': o->target.password = text; return true;
    case 'k': return set_kind(o, text);
    case 'm': return set_mode(o, text);
    case 'S': *stats = true; return true;
    case 'v': o->verbose = true; return true;
    case 'b': case 'c': case 'C': case 'o': case 'l': case 'r': case 'w':
    case 'i': case 'I': case 't':
        return set_number(o, c, text);
    default: return false;
    }
}

static void set_defaults(rpcl_config *o)
{
    o->target.url = "/rpc/rpcproxy.dll";
    o->plan.bytes = 1048576;
    o->plan.call_bytes = 16384;
    o->plan.outstanding = 2;
    o->timeout = o->limits.open_timeout = 60000;
    o->limits.receive_window = RPCH_WINDOW_DEFAULT;
    o->limits.channel_lifetime = 1u << 30;
    o->limits.recycle_reserve = RPCH_RECYCLE_IN_DEFAULT;
    o->limits.ping_interval = RPCH_TIMEOUT_MAX;
}

/* 0 when there is something to do, -1 when not, else an exit status. */
static int read_options(rpcl_config *o, int argc, char **argv, bool *stats)
{
    int c;

    set_defaults(o);
    while ((c = getopt_long(argc, argv, "", known, NULL)) != -1) {
        if (c == 'h') {
            usage(stdout);
            return -1;
        }
        if (!set_option(o, c, optarg, stats))
            return 2;
    }
    if (optind < argc) {
        wrong("argument", argv[optind], "not known");
        return 2;
    }
    if (o->n_proxies == 0 || o->target.server == NULL) {
        fputs(PROGRAM ": --proxy and --server are needed\n", stderr);
        return 2;
    }
    return 0;
}

static void print_stats(const rpcl_run *r)
{
    const rpch_client_counts *n = &r->machine.counts;

    printf("calls=%llu up=%llu down=%llu in_r1=%u in_r2=%u out_r1=%u "
           "out_r2=%u pings_sent=%u pings_received=%u\n",
           (unsigned long long)(r->calls.answered - r->calls.bound),
           (unsigned long long)r->calls.up, (unsigned long long)r->calls.down,
           n->in_r1, n->in_r2, n->out_r1, n->out_r2, n->pings_sent,
           n->pings_received);
}

int main(int argc, char **argv)
{
    static rpcl_config config;
    static rpcl_run run;
    bool stats = false, ok;
    unsigned i;
    int rv = read_options(&config, argc, argv, &stats);

    if (rv == 0) {
        ok = rpcl_run_all(&run, &config);
        if (!ok)
            fprintf(stderr, PROGRAM ": %s\n", run.why);
        if (!ok && run.calls.fault != 0)
            fprintf(stderr, PROGRAM ": the fault is 0x%08x\n",
                    (unsigned)run.calls.fault);
        if (stats)
            print_stats(&run);
        rv = ok ? EXIT_SUCCESS : EXIT_FAILURE;
    }
    for (i = 0; i < config.n_proxies; i++)
        freeaddrinfo(config.proxy[i].ai);
    return rv < 0 ? EXIT_SUCCESS : rv;
}
