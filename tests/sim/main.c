/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main.c - rpch-sim: runs virtual connections, one for each seed, and says
 * what happened.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <apr_general.h>

#include "peers.h"
#include "trace.h"
#include "visits.h"
#include "world.h"

typedef struct options {
    uint64_t seed;
    uint64_t count;
    const char *steps;  /* of the shrinker */
    const char *visits; /* file */
    bool verbose;
    bool all_cells;     /* fail when a cell was not visited */
    bool keep_going;    /* after a broken seed */
    uint64_t report;    /* a line every so many */
} options;

static void usage(void)
{
    fputs("usage: rpch-sim [--seed N] [--count N] [--steps LETTERS] "
          "[--verbose]\n"
          "                [--visits FILE] [--all-cells] [--report N] "
          "[--keep-going]\n"
          "Simulates N virtual connections (default 5000) from seed N on "
          "(default 1).\n", stderr);
    exit(2);
}

static uint64_t number(const char *text)
{
    char *end;
    uint64_t n = text ? strtoull(text, &end, 0) : 0;

    if (!text || *end || end == text)
        usage();
    return n;
}

static options read_options(int argc, char **argv)
{
    options o = { 1, 5000, "", NULL, false, false, false, 0 };
    int i;

    for (i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;

        if (strcmp(argv[i], "--verbose") == 0)
            o.verbose = true;
        else if (strcmp(argv[i], "--all-cells") == 0)
            o.all_cells = true;
        else if (strcmp(argv[i], "--keep-going") == 0)
            o.keep_going = true;
        else if (value == NULL)
            usage();
        else if (strcmp(argv[i], "--seed") == 0)
            o.seed = number(argv[++i]);
        else if (strcmp(argv[i], "--count") == 0)
            o.count = number(argv[++i]);
        else if (strcmp(argv[i], "--report") == 0)
            o.report = number(argv[++i]);
        else if (strcmp(argv[i], "--steps") == 0)
            o.steps = argv[++i];
        else if (strcmp(argv[i], "--visits") == 0)
            o.visits = argv[++i];
        else
            usage();
    }
    return o;
}

/* Says how the smallest form of a broken script goes wrong. */
static void tell_broken(sim_script *s, const char *before)
{
    char steps[512];
    uint64_t seed = s->seed;

    printf("BROKEN: seed %" PRIu64 ": %s\n", seed, sim_tracing.broken);
    fflush(stdout);
    sim_tracing.on = false;
    sim_shrink(s, steps, sizeof(steps));
    sim_tracing.on = true;
    sim_script_print(s);
    (void)sim_world_run(s);
    printf("to repeat: rpch-sim --seed %" PRIu64 " --count 1 --verbose "
           "--steps '%s%s'\n", seed, before, steps);
}

static double seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void report(const options *o, double took)
{
    const sim_tally *t = &sim_counts;

    printf("%" PRIu64 " connections (seeds %" PRIu64 " to %" PRIu64
           ") in %.1f s, %.0f a second\n", t->runs, o->seed,
           o->seed + t->runs - 1, took, (double)t->runs / took);
    printf("scripts that came to their end: %" PRIu64 "; faults: %" PRIu64
           "; newcomers: %" PRIu64 "; bytes of PDUs: %" PRIu64
           "; Pings: %" PRIu64 "\n", t->complete, t->faults, t->newcomers,
           t->bytes, t->pings);
    printf("recyclings: IN_R1 %" PRIu64 ", IN_R2 %" PRIu64 ", OUT_R1 %"
           PRIu64 ", OUT_R2 %" PRIu64 "\n", t->in_r1, t->in_r2, t->out_r1,
           t->out_r2);
    printf("legs moved: IN %" PRIu64 " (%" PRIu64 " to another child), OUT %"
           PRIu64 " (%" PRIu64 ")\n", t->moves[0], t->moves_away[0],
           t->moves[1], t->moves_away[1]);
}

/* One connection; false when it is broken. */
static bool run(const options *o, uint64_t seed)
{
    sim_script s;

    sim_tracing.on = o->verbose;
    sim_script_make(&s, seed);
    if (!sim_shrink_apply(&s, o->steps))
        usage();
    if (o->verbose)
        sim_script_print(&s);
    if (sim_world_run(&s))
        return true;
    tell_broken(&s, o->steps);
    return false;
}

static int write_visits(const char *path)
{
    FILE *f = fopen(path, "w");

    if (f == NULL) {
        perror(path);
        return 1;
    }
    sim_visits_write(f);
    return fclose(f) != 0;
}

int main(int argc, char **argv)
{
    options o = read_options(argc, argv);
    double begin = seconds();
    unsigned missing, broken = 0;
    uint64_t i;

    if (apr_initialize() != APR_SUCCESS)
        return 2;
    sim_traffic_prepare();
    for (i = 0; i < o.count && (broken == 0 || o.keep_going); i++) {
        broken += !run(&o, o.seed + i);
        if (o.report && (i + 1) % o.report == 0) {
            report(&o, seconds() - begin);
            fflush(stdout);
        }
    }
    if (broken > 0 && !o.keep_going)
        return 1;
    report(&o, seconds() - begin);
    missing = sim_visits_print(stdout);
    if (o.visits && write_visits(o.visits))
        return 1;
    if (broken > 0)
        printf("broken: %u\n", broken);
    return broken > 0 || (o.all_cells && missing > 0);
}
