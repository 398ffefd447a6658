/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rpch_server.c - a small RPC server for both kinds of back ends: options,
 * listeners, signals.
 */
#include <errno.h>
#include <getopt.h>
#include <netdb.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "rpcd_conn.h"

#define MAX_CALL_DEFAULT ((uint64_t)128 << 20)
#define MAX_CALL_MAX ((uint64_t)1 << 30)
#define BACKLOG 1024

#define HOST_MAX 256
#define PORT_MAX 6

typedef struct endpoint {
    const char *text;
    bool http;
} endpoint;

typedef struct options {
    rpcd_config config;
    const char *log;
    unsigned n;
    endpoint endpoint[RPCD_LISTENERS_MAX];
} options;

static volatile sig_atomic_t stop;

static void on_signal(int signo)
{
    stop = 1;
}

static void usage(FILE *to)
{
    fputs("usage: rpch-server [options] --tcp HOST:PORT --http HOST:PORT ...\n"
          "Serves the RPC interfaces rpcecho and mgmt until SIGTERM.\n"
          "\n"
          "  --tcp HOST:PORT    listen for ncacn_ip_tcp; port 0: any\n"
          "  --http HOST:PORT   listen for ncacn_http (MS-RPCH 3.2.5)\n"
          "  --max-call N       bytes in one call (default 134217728)\n"
          "  --window N         receive window of ncacn_http (default 65536)\n"
          "  --lifetime-reserve N\n"
          "                     bytes left of an OUT channel's lifetime when it\n"
          "                     is recycled (default 8192; 0: never)\n"
          "  --no-banner        do not say \"ncacn_http/1.0\" first\n"
          "  --log FILE         log each RTS PDU by name\n"
          "  --help             this text\n"
          "\n"
          "An IPv6 address is written in brackets. Prints one line for each\n"
          "listener: \"listening PROTOCOL HOST:PORT\".\n", to);
}

static void fail(const char *what, const char *text, const char *why)
{
    fprintf(stderr, "rpch-server: %s %s: %s\n", what, text, why);
}

/* A decimal number of [min, max]. */
static bool read_number(const char *what, const char *text, uint64_t min,
                        uint64_t max, uint64_t *n)
{
    char *end;

    errno = 0;
    *n = strtoull(text, &end, 10);
    if (errno == 0 && text[0] >= '0' && text[0] <= '9' && *end == '\0'
        && *n >= min && *n <= max)
        return true;
    fprintf(stderr, "rpch-server: %s %s: not a number of %llu to %llu\n",
            what, text, (unsigned long long)min, (unsigned long long)max);
    return false;
}

static bool add_endpoint(options *o, const char *text, bool http)
{
    if (o->n == RPCD_LISTENERS_MAX) {
        fail(http ? "--http" : "--tcp", text, "too many listeners");
        return false;
    }
    o->endpoint[o->n].text = text;
    o->endpoint[o->n++].http = http;
    return true;
}

/* 0 when there is something to do, -1 when not, else an exit status. */
static int read_options(options *o, int argc, char **argv)
{
    static const struct option known[] = {
        { "tcp", required_argument, NULL, 't' },
        { "http", required_argument, NULL, 'h' },
        { "max-call", required_argument, NULL, 'm' },
        { "window", required_argument, NULL, 'w' },
        { "lifetime-reserve", required_argument, NULL, 'r' },
        { "no-banner", no_argument, NULL, 'b' },
        { "log", required_argument, NULL, 'l' },
        { "help", no_argument, NULL, '?' + 128 },
        { NULL, 0, NULL, 0 }
    };
    uint64_t n;
    bool ok = true;
    int c;

    while (ok && (c = getopt_long(argc, argv, "", known, NULL)) != -1) {
        if (c == 't' || c == 'h') {
            ok = add_endpoint(o, optarg, c == 'h');
        } else if (c == 'm') {
            ok = read_number("--max-call", optarg, 8, MAX_CALL_MAX, &n);
            o->config.max_call = n;
        } else if (c == 'w') {
            ok = read_number("--window", optarg, RPCH_WINDOW_MIN,
                             RPCH_WINDOW_MAX, &n);
            o->config.window = (uint32_t)n;
        } else if (c == 'r') {
            ok = read_number("--lifetime-reserve", optarg, 0,
                             RPCH_LIFETIME_MAX, &n);
            o->config.lifetime_reserve = (uint32_t)n;
        } else if (c == 'b') {
            o->config.banner = false;
        } else if (c == 'l') {
            o->log = optarg;
        } else if (c == '?' + 128) {
            usage(stdout);
            return -1;
        } else {
            ok = false;
        }
    }
    if (ok && optind < argc) {
        fail("argument", argv[optind], "not known");
        ok = false;
    }
    if (ok && o->n == 0) {
        fputs("rpch-server: neither --tcp nor --http\n", stderr);
        ok = false;
    }
    return ok ? 0 : 2;
}

/* Splits HOST:PORT or [HOST]:PORT. */
static bool split(const char *text, char host[HOST_MAX], char port[PORT_MAX])
{
    const char *colon = strrchr(text, ':');
    size_t n, skip = 0;

    if (colon == NULL || strlen(colon + 1) >= PORT_MAX || colon[1] == '\0')
        return false;
    n = (size_t)(colon - text);
    if (text[0] == '[' && n > 2 && text[n - 1] == ']')
        skip = 1;
    n -= 2 * skip;
    if (n == 0 || n >= HOST_MAX
        || (skip == 0 && memchr(text, ':', n) != NULL))
        return false;
    memcpy(host, text + skip, n);
    host[n] = '\0';
    memcpy(port, colon + 1, strlen(colon + 1) + 1);
    return port[strspn(port, "0123456789")] == '\0' && atoi(port) <= 65535;
}

static int open_socket(const struct addrinfo *ai)
{
    int fd = socket(ai->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
                    0);
    int on = 1;

    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(fd, ai->ai_addr, ai->ai_addrlen) == 0
        && listen(fd, BACKLOG) == 0)
        return fd;
    close(fd);
    return -1;
}

/* Says where fd listens, and returns the port; 0 when that is unknown. */
static uint16_t announce(int fd, bool http)
{
    struct sockaddr_storage sa;
    socklen_t len = sizeof(sa);
    char host[HOST_MAX], port[PORT_MAX];
    bool ipv6;

    if (getsockname(fd, (struct sockaddr *)&sa, &len) != 0
        || getnameinfo((struct sockaddr *)&sa, len, host, sizeof(host), port,
                       sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV) != 0)
        return 0;
    ipv6 = sa.ss_family == AF_INET6;
    printf("listening %s %s%s%s:%s\n", http ? "ncacn_http" : "ncacn_ip_tcp",
           ipv6 ? "[" : "", host, ipv6 ? "]" : "", port);
    fflush(stdout);
    return (uint16_t)atoi(port);
}

static bool open_endpoint(rpcd_loop *l, const endpoint *e)
{
    const char *what = e->http ? "--http" : "--tcp";
    char host[HOST_MAX], port[PORT_MAX];
    struct addrinfo hints, *ai;
    uint16_t number;
    int fd, rv;

    if (!split(e->text, host, port)) {
        fail(what, e->text, "not HOST:PORT");
        return false;
    }
    memset(&hints, 0, sizeof(hints));
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
    rv = getaddrinfo(host, port, &hints, &ai);
    if (rv != 0) {
        fail(what, e->text, gai_strerror(rv));
        return false;
    }
    fd = open_socket(ai);
    rv = errno;
    freeaddrinfo(ai);
    if (fd < 0) {
        fail(what, e->text, strerror(rv));
        return false;
    }
    number = announce(fd, e->http);
    if (number == 0
        || !rpcd_loop_listen(l, fd, number,
                             e->http ? rpcd_http_accept : rpcd_tcp_accept)) {
        close(fd);
        fail(what, e->text, "cannot be watched");
        return false;
    }
    return true;
}

/* SIGTERM and SIGINT arrive only while the loop waits, with *waiting. */
static void set_signals(sigset_t *waiting)
{
    struct sigaction sa;
    sigset_t block;

    memset(&sa, 0, sizeof(sa));
    sa.sa_handler = on_signal;
    sigaction(SIGTERM, &sa, NULL);
    sigaction(SIGINT, &sa, NULL);
    sigemptyset(&block);
    sigaddset(&block, SIGTERM);
    sigaddset(&block, SIGINT);
    sigprocmask(SIG_BLOCK, &block, waiting);
    sigdelset(waiting, SIGTERM);
    sigdelset(waiting, SIGINT);
}

/* Thousands of connections are the point of it. */
static void raise_files(void)
{
    struct rlimit files;

    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
}

static bool serve(const options *o)
{
    static rpcd_loop loop;
    sigset_t waiting;
    bool ok;
    unsigned i;

    if (!rpcd_loop_init(&loop, &o->config)) {
        fail("epoll", "instance", strerror(errno));
        return false;
    }
    set_signals(&waiting);
    for (i = 0, ok = true; ok && i < o->n; i++)
        ok = open_endpoint(&loop, &o->endpoint[i]);
    if (ok && !rpcd_loop_run(&loop, &stop, &waiting)) {
        fail("epoll", "wait", strerror(errno));
        ok = false;
    }
    rpcd_loop_free(&loop);
    return ok;
}

int main(int argc, char **argv)
{
    static options o;
    bool ok;
    int rv;

    o.config.max_call = MAX_CALL_DEFAULT;
    o.config.window = RPCH_WINDOW_DEFAULT;
    o.config.lifetime_reserve = RPCH_RECYCLE_OUT_DEFAULT;
    o.config.banner = true;
    rv = read_options(&o, argc, argv);
    if (rv != 0)
        return rv < 0 ? EXIT_SUCCESS : rv;
    if (o.log != NULL) {
        o.config.log = fopen(o.log, "a");
        if (o.config.log == NULL) {
            fail("--log", o.log, strerror(errno));
            return EXIT_FAILURE;
        }
        setvbuf(o.config.log, NULL, _IOLBF, 0);
    }
    raise_files();
    ok = serve(&o);
    if (o.config.log != NULL)
        fclose(o.config.log);
    return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}
