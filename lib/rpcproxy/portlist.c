/* SPDX-License-Identifier: Apache-2.0 */
/*
 * portlist.c - ValidPorts entries and the file that adds to them.
 *
 * The file's entries live in one malloc'd block, not in a pool: a block is
 * replaced while children run, and pools of the configuration are not for
 * threads. The lock is held while a question is answered, so that the block
 * cannot go away; an answer takes microseconds, a look at the file comes once
 * a second.
 */
#include "rpcproxy/portlist.h"

#include <apr_file_info.h>
#include <apr_file_io.h>
#include <apr_strings.h>
#include <apr_tables.h>
#include <apr_thread_mutex.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* The entries of a file; their names point into text. */
typedef struct block {
    rpch_ports_entry *entries;
    size_t n;
    char *text;
} block;

/* What tells one state of the file from another. The change time is among it
 * so that a chmod that makes the file readable is seen. */
typedef struct stamp {
    apr_status_t rv;
    apr_time_t mtime;
    apr_time_t ctime;
    apr_off_t size;
    apr_ino_t inode;
    apr_dev_t device;
} stamp;

struct rpcproxy_portlist {
    apr_pool_t *pool;
    apr_array_header_t *entries; /* rpch_ports_entry */
    const char *path;
    apr_thread_mutex_t *lock;    /* for everything below */
    block file;
    stamp seen;
    apr_time_t looked;
};

static void block_free(block *b)
{
    free(b->entries);
    free(b->text);
    memset(b, 0, sizeof(*b));
}

static apr_status_t portlist_cleanup(void *data)
{
    rpcproxy_portlist *l = data;

    block_free(&l->file);
    return APR_SUCCESS;
}

rpcproxy_portlist *rpcproxy_portlist_create(apr_pool_t *p)
{
    rpcproxy_portlist *l = apr_pcalloc(p, sizeof(*l));

    l->pool = p;
    l->entries = apr_array_make(p, 8, sizeof(rpch_ports_entry));
    return l;
}

/* The entry at offset at of list, as it was written. */
static const char *written(apr_pool_t *p, const char *list, size_t at)
{
    size_t len = strcspn(list + at, ";\r\n");

    while (len > 0 && strchr(" \t", list[at + len - 1])) {
        len--;
    }
    return apr_pstrmemdup(p, list + at, len > 200 ? 200 : len);
}

const char *rpcproxy_portlist_add(rpcproxy_portlist *l, const char *list)
{
    const char *text = apr_pstrdup(l->pool, list);
    const char *reason = NULL;
    rpch_ports_entry *e;
    size_t n = 0;
    size_t at = 0;
    int rv = rpch_ports_parse(text, NULL, 0, &n, &at, &reason);

    if (rv == RPCH_E_ROOM) {
        e = apr_palloc(l->pool, n * sizeof(*e));
        rv = rpch_ports_parse(text, e, n, &n, &at, &reason);
        for (size_t i = 0; rv == RPCH_OK && i < n; i++) {
            APR_ARRAY_PUSH(l->entries, rpch_ports_entry) = e[i];
        }
    }
    if (rv != RPCH_OK) {
        return apr_psprintf(l->pool, "'%s': %s", written(l->pool, text, at),
                            reason);
    }
    return NULL;
}

static bool stamp_equal(const stamp *a, const stamp *b)
{
    return a->rv == b->rv && a->mtime == b->mtime && a->ctime == b->ctime
           && a->size == b->size && a->inode == b->inode
           && a->device == b->device;
}

static void stamp_set(stamp *s, apr_status_t rv, const apr_finfo_t *info)
{
    memset(s, 0, sizeof(*s));
    s->rv = rv;
    if (rv == APR_SUCCESS) {
        s->mtime = info->mtime;
        s->ctime = info->ctime;
        s->size = info->size;
        s->inode = info->inode;
        s->device = info->device;
    }
}

static const char *failure(apr_pool_t *p, const char *what, apr_status_t rv)
{
    char buf[120];

    return apr_psprintf(p, "%s: %s", what,
                        apr_strerror(rv, buf, sizeof(buf)));
}

/* Reads the whole file to *text (malloc'd, terminated). NULL, or what went
 * wrong. */
static const char *slurp(const char *path, apr_pool_t *p, stamp *seen,
                         char **text)
{
    apr_file_t *f = NULL;
    apr_finfo_t info;
    apr_size_t got = 0;
    const char *bad = NULL;
    apr_status_t rv = apr_file_open(&f, path, APR_READ | APR_BINARY,
                                    APR_OS_DEFAULT, p);
    if (rv != APR_SUCCESS) {
        return failure(p, "it cannot be opened", rv);
    }
    rv = apr_file_info_get(&info, APR_FINFO_NORM, f);
    if (rv != APR_SUCCESS) {
        bad = failure(p, "it cannot be examined", rv);
    }
    else if (info.filetype != APR_REG) {
        bad = "it is not a regular file";
    }
    else if (info.size > RPCPROXY_PORTLIST_FILE_MAX) {
        bad = "it is larger than 1 MiB";
    }
    else {
        stamp_set(seen, APR_SUCCESS, &info);
        *text = malloc((size_t)info.size + 1);
        if (*text == NULL) {
            bad = "there is no memory for it";
        }
        else {
            rv = apr_file_read_full(f, *text, (apr_size_t)info.size, &got);
            (*text)[got] = '\0';
            if (rv != APR_SUCCESS && rv != APR_EOF) {
                bad = failure(p, "it cannot be read", rv);
            }
            else if (strlen(*text) != got) {
                bad = "it holds a NUL byte (plain text is wanted)";
            }
        }
    }
    apr_file_close(f);
    return bad;
}

/* Turns line ends into ';' and blanks comments and a byte order mark, in
 * place: offsets stay, and with them the numbers of the lines. */
static void flatten(char *text)
{
    bool comment = false;

    if (strncmp(text, "\xEF\xBB\xBF", 3) == 0) {
        memset(text, ' ', 3);
    }
    for (; *text; text++) {
        if (*text == '\n') {
            *text = ';';
            comment = false;
        }
        else if (*text == '#' || comment) {
            *text = ' ';
            comment = true;
        }
    }
}

static unsigned line_of(const char *text, size_t at)
{
    unsigned line = 1;

    for (size_t i = 0; i < at; i++) {
        line += text[i] == '\n';
    }
    return line;
}

/* Parses the text that was read to *out. raw is the same text before it was
 * flattened. NULL, or what is wrong, in p. */
static const char *parse(block *out, const char *raw, apr_pool_t *p)
{
    const char *reason = NULL;
    size_t at = 0;
    int rv = rpch_ports_parse(out->text, NULL, 0, &out->n, &at, &reason);

    if (rv == RPCH_E_ROOM) {
        out->entries = calloc(out->n, sizeof(*out->entries));
        if (out->entries == NULL) {
            return "there is no memory for its entries";
        }
        rv = rpch_ports_parse(out->text, out->entries, out->n, &out->n, &at,
                              &reason);
    }
    if (rv != RPCH_OK) {
        return apr_psprintf(p, "line %u: '%s': %s", line_of(raw, at),
                            written(p, out->text, at), reason);
    }
    return NULL;
}

/* Reads and parses the file to *out. NULL, or what is wrong with it, in p;
 * then *out is empty. */
static const char *load(const char *path, apr_pool_t *p, stamp *seen,
                        block *out)
{
    apr_pool_t *scratch;
    const char *bad;

    memset(out, 0, sizeof(*out));
    /* The pool of a request lives for hours here, the copy need not. */
    apr_pool_create(&scratch, p);
    bad = slurp(path, scratch, seen, &out->text);
    if (bad == NULL) {
        const char *raw = apr_pstrdup(scratch, out->text);
        flatten(out->text);
        bad = parse(out, raw, scratch);
    }
    if (bad) {
        bad = apr_pstrdup(p, bad);
        block_free(out);
    }
    apr_pool_destroy(scratch);
    return bad;
}

const char *rpcproxy_portlist_set_file(rpcproxy_portlist *l, const char *path)
{
    const char *bad;
    apr_status_t rv;

    if (l->path) {
        return "only one file can be given in a section";
    }
    bad = load(path, l->pool, &l->seen, &l->file);
    if (bad) {
        return bad;
    }
    rv = apr_thread_mutex_create(&l->lock, APR_THREAD_MUTEX_DEFAULT, l->pool);
    if (rv != APR_SUCCESS) {
        block_free(&l->file);
        return failure(l->pool, "its lock cannot be made", rv);
    }
    l->path = apr_pstrdup(l->pool, path);
    apr_pool_cleanup_register(l->pool, l, portlist_cleanup,
                              apr_pool_cleanup_null);
    return NULL;
}

/* Takes the file's new entries when it changed; news are told in *out. */
static void refresh(rpcproxy_portlist *l, apr_time_t now, apr_pool_t *p,
                    rpcproxy_verdict *out)
{
    apr_finfo_t info;
    stamp found;
    block fresh;
    const char *bad;
    apr_status_t rv;

    /* A clock that was set back must not stop the looking. */
    if (now >= l->looked && now - l->looked < apr_time_from_sec(1)) {
        return;
    }
    l->looked = now;
    rv = apr_stat(&info, l->path, APR_FINFO_NORM, p);
    if (rv == APR_INCOMPLETE) {
        rv = APR_SUCCESS;
    }
    stamp_set(&found, rv, &info);
    if (stamp_equal(&found, &l->seen)) {
        return;
    }
    l->seen = found;
    if (rv != APR_SUCCESS) {
        bad = failure(p, "it cannot be examined", rv);
    }
    else {
        bad = load(l->path, p, &l->seen, &fresh);
    }
    if (bad) {
        out->news_bad = true;
        out->news = apr_psprintf(p, "%s cannot be used, the %" APR_SIZE_T_FMT
                                 " entries read before stay in force: %s",
                                 l->path, l->file.n, bad);
        return;
    }
    block_free(&l->file);
    l->file = fresh;
    out->news = apr_psprintf(p, "%s was read again, it has %" APR_SIZE_T_FMT
                             " entries", l->path, fresh.n);
}

/* An entry as text, in p. */
static const char *entry_text(apr_pool_t *p, const rpch_ports_entry *e)
{
    bool literal = memchr(e->name, ':', e->name_len) != NULL;
    const char *name = apr_pstrcat(p, e->domain ? "*" : "",
                                   literal ? "[" : "",
                                   apr_pstrmemdup(p, e->name, e->name_len),
                                   literal ? "]" : "",
                                   e->prefix ? "*" : "", NULL);

    if (e->low == e->high) {
        return apr_psprintf(p, "%s:%u", name, (unsigned)e->low);
    }
    return apr_psprintf(p, "%s:%u-%u", name, (unsigned)e->low,
                        (unsigned)e->high);
}

/* Asks one of the two sources; the first that comes close is told. */
static void ask(const rpch_ports_entry *e, size_t n, const char *name,
                uint16_t port, apr_pool_t *p, rpcproxy_verdict *out)
{
    size_t at = 0;

    if (n == 0 || out->allowed) {
        return;
    }
    out->empty = false;
    if (rpch_ports_match(e, n, name, port) >= 0) {
        out->allowed = true;
        return;
    }
    if (out->near == RPCH_NEAR_NONE) {
        out->near = rpch_ports_nearest(e, n, name, port, &at);
        if (out->near != RPCH_NEAR_NONE) {
            out->entry = entry_text(p, &e[at]);
        }
    }
}

void rpcproxy_portlist_ask(rpcproxy_portlist *l, const char *name,
                           uint16_t port, apr_time_t now, apr_pool_t *p,
                           rpcproxy_verdict *out)
{
    memset(out, 0, sizeof(*out));
    out->near = RPCH_NEAR_NONE;
    out->empty = true;
    ask((const rpch_ports_entry *)l->entries->elts,
        (size_t)l->entries->nelts, name, port, p, out);
    if (l->path) {
        apr_thread_mutex_lock(l->lock);
        refresh(l, now, p, out);
        ask(l->file.entries, l->file.n, name, port, p, out);
        apr_thread_mutex_unlock(l->lock);
    }
}

static const char *say(rpcproxy_portlist **l, rpcproxy_said *said,
                       const char *directive, const char *arg, bool none,
                       apr_pool_t *p)
{
    if (*said == RPCPROXY_SAID_NONE
        || (none && *said != RPCPROXY_SAID_NOTHING))
        return apr_psprintf(p, "%s: '%s': RpcProxyValidPorts None is allowed "
                            "without a list and without "
                            "RpcProxyValidPortsFile in the same section only",
                            directive, arg);
    *said = none ? RPCPROXY_SAID_NONE : RPCPROXY_SAID_ENTRIES;
    if (*l == NULL)
        *l = rpcproxy_portlist_create(p);
    return NULL;
}

const char *rpcproxy_portlist_say(rpcproxy_portlist **l, rpcproxy_said *said,
                                  const char *directive, const char *arg,
                                  apr_pool_t *p)
{
    bool none = strcasecmp(arg, "None") == 0;
    const char *bad = say(l, said, directive, arg, none, p);
    if (bad || none)
        return bad;
    bad = rpcproxy_portlist_add(*l, arg);
    return bad ? apr_psprintf(p, "%s: %s: a list as "
                              "\"server:593;server:6001-6004;"
                              "data*:4000-8000\" or None is allowed",
                              directive, bad) : NULL;
}

const char *rpcproxy_portlist_say_file(rpcproxy_portlist **l,
                                       rpcproxy_said *said,
                                       const char *directive, const char *arg,
                                       const char *path, apr_pool_t *p)
{
    const char *bad = say(l, said, directive, arg, false, p);
    if (bad)
        return bad;
    if (path == NULL)
        return apr_psprintf(p, "%s: '%s': the path of a file is allowed",
                            directive, arg);
    bad = rpcproxy_portlist_set_file(*l, path);
    return bad ? apr_psprintf(p, "%s: '%s': %s: a readable file with lines as "
                              "\"server:6001-6004\" is allowed", directive,
                              path, bad) : NULL;
}
