/* SPDX-License-Identifier: Apache-2.0 */
/*
 * replay.c - runs a fuzz target over its corpus, without a fuzzer: over the
 * files and folders of the command line, or over the target's folder of
 * $srcdir/tests/fuzz/corpus. Fails when there is none.
 */
#include <dirent.h>
#include <errno.h>
#include <sys/stat.h>

#include "fuzz.h"

#define INPUT_MAX (4u << 20)

static void die(const char *path, const char *what)
{
    fprintf(stderr, "%s: %s\n", path, what);
    exit(1);
}

/* Runs one file, from memory of exactly its size. */
static void run_file(const char *path)
{
    static uint8_t buffer[INPUT_MAX];
    FILE *f = fopen(path, "rb");
    uint8_t *own;
    size_t n;

    if (f == NULL)
        die(path, strerror(errno));
    n = fread(buffer, 1, sizeof(buffer), f);
    if (ferror(f) || n == sizeof(buffer))
        die(path, "cannot be read whole");
    fclose(f);
    own = fuzz_copy(buffer, n);
    /* Whoever reads a failure wants to know which input it was. */
    fprintf(stderr, "%s: %s\n", fuzz_target, path);
    (void)LLVMFuzzerTestOneInput(own, n);
    free(own);
}

/* Runs a file, or each file of a folder; returns how many there were. */
static unsigned run(const char *path)
{
    char name[4096];
    struct dirent *entry;
    struct stat st;
    unsigned n = 0;
    DIR *dir;

    if (stat(path, &st) != 0)
        die(path, strerror(errno));
    if (!S_ISDIR(st.st_mode)) {
        run_file(path);
        return 1;
    }
    dir = opendir(path);
    if (dir == NULL)
        die(path, strerror(errno));
    while ((entry = readdir(dir)) != NULL) {
        if (entry->d_name[0] == '.')
            continue;
        if ((size_t)snprintf(name, sizeof(name), "%s/%s", path, entry->d_name)
            >= sizeof(name))
            die(path, "name too long");
        n += run(name);
    }
    closedir(dir);
    return n;
}

int main(int argc, char **argv)
{
    const char *top = getenv("srcdir");
    char path[4096];
    unsigned n = 0;
    int i;

    for (i = 1; i < argc; i++)
        n += run(argv[i]);
    if (argc == 1) {
        snprintf(path, sizeof(path), "%s/tests/fuzz/corpus/%s",
                 top != NULL ? top : ".", fuzz_target);
        n = run(path);
    }
    if (n == 0)
        die(fuzz_target, "no input was replayed");
    printf("%s: %u inputs replayed\n", fuzz_target, n);
    return 0;
}
