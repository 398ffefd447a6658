/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine.c - what all generations of children share: the table and the
 * directory of the broker sockets, made once and kept in the process pool; a
 * bare engine has neither. A child's part is in child.c.
 */
#include "relay/engine.h"

#include <apr_strings.h>
#include <dirent.h>
#include <fcntl.h>
#include <http_config.h>
#include <http_core.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <unixd.h>

/* What outlives restarts. Nothing in it may have a cleanup of ours in the
 * process pool: at the end of httpd the module's code is gone before that
 * pool is. */
typedef struct kept {
    apr_pool_t *pool;   /* of the table; never destroyed */
    relay_table *table;
    uint32_t max;
    const char *dir;
    pid_t pid;          /* who made it */
} kept;

#define KEPT_KEY "mod_rpcproxy-kept"

/* Removes the sockets of children that were killed and, when httpd ends, the
 * directory, unless a child still has its socket there. A restart leaves it: a
 * child that was just made may be about to bind. */
static apr_status_t remove_dir(void *data)
{
    kept *k = data;
    struct dirent *d;
    char path[PATH_MAX];
    DIR *dir = k->pid == getpid() ? opendir(k->dir) : NULL;
    if (dir == NULL)
        return APR_SUCCESS;
    while ((d = readdir(dir)) != NULL) {
        pid_t pid = (pid_t)strtol(d->d_name, NULL, 10);
        if (pid > 0 && kill(pid, 0) != 0 && errno == ESRCH
            && snprintf(path, sizeof(path), "%s/%s", k->dir, d->d_name)
               < (int)sizeof(path))
            unlink(path);
    }
    closedir(dir);
    if (ap_state_query(AP_SQ_MAIN_STATE) == AP_SQ_MS_EXITING)
        rmdir(k->dir);
    return APR_SUCCESS;
}

/* A name for the directory that leaves room for the sockets' names in
 * sun_path: under runtime_dir, or under the system's temporary directory
 * when that is too deep. */
static apr_status_t choose_dir(kept *k, const char *runtime_dir,
                               apr_pool_t *p, const char **error)
{
    char *dir = apr_psprintf(p, "%s/rpcproxy.XXXXXX", runtime_dir);
    const char *tmp;
    if (strlen(dir) > RELAY_BROKER_DIR_MAX) {
        if (apr_temp_dir_get(&tmp, p) != APR_SUCCESS)
            tmp = "/tmp";
        dir = apr_psprintf(p, "%s/rpcproxy.XXXXXX", tmp);
    }
    if (strlen(dir) > RELAY_BROKER_DIR_MAX) {
        *error = apr_psprintf(p, "the path %s is too long for Unix sockets; "
                              "set DefaultRuntimeDir to a shorter one", dir);
        return APR_ENAMETOOLONG;
    }
    if (mkdtemp(dir) == NULL) {
        *error = apr_psprintf(p, "cannot make the directory %s for Unix "
                              "sockets (DefaultRuntimeDir)", dir);
        return APR_FROM_OS_ERROR(errno);
    }
    k->dir = dir;
    return APR_SUCCESS;
}

/* Makes the directory User's. It may stand in a directory where others
 * write, so that what is behind its name now is looked at first. */
static bool own_dir(const char *dir)
{
    struct stat st;
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    bool ours = fd >= 0 && fstat(fd, &st) == 0 && (st.st_mode & 077) == 0
             && (st.st_uid == geteuid()
                 || st.st_uid == ap_unixd_config.user_id)
             && (geteuid() != 0
                 || fchown(fd, ap_unixd_config.user_id,
                           ap_unixd_config.group_id) == 0);
    if (fd >= 0)
        close(fd);
    return ours;
}

/* The directory of the first start is used as long as it is ours. */
static apr_status_t make_dir(kept *k, const char *runtime_dir, server_rec *s,
                             apr_pool_t *pconf, const char **error)
{
    apr_pool_t *p = s->process->pool;
    apr_status_t rv = APR_SUCCESS;
    bool there = k->dir && (mkdir(k->dir, 0700) == 0 || errno == EEXIST)
              && own_dir(k->dir);
    if (!there)
        rv = choose_dir(k, runtime_dir, p, error);
    if (rv != APR_SUCCESS)
        return rv;
    if (!there && !own_dir(k->dir)) {
        *error = apr_psprintf(p, "cannot give the directory %s to User",
                              k->dir);
        return APR_EGENERAL;
    }
    k->pid = getpid();
    apr_pool_cleanup_register(pconf, k, remove_dir, apr_pool_cleanup_null);
    return APR_SUCCESS;
}

static apr_status_t make_table(kept *k, const char **error, apr_pool_t *p)
{
    apr_status_t rv = APR_SUCCESS;
    if (k->table && relay_table_usable(k->table, k->max))
        return APR_SUCCESS;
    if (k->pool == NULL)
        rv = apr_pool_create_unmanaged_ex(&k->pool, NULL, NULL);
    if (rv == APR_SUCCESS)
        rv = relay_table_create(&k->table, k->max, k->pool);
    if (rv != APR_SUCCESS)
        *error = apr_psprintf(p, "cannot allocate shared memory for %u "
                              "connections (RpcProxyMaxConnections)",
                              (unsigned)k->max);
    return rv;
}

apr_status_t relay_engine_create(relay_engine **out, int module_index,
                                 uint32_t max_connections,
                                 const char *runtime_dir, server_rec *s,
                                 apr_pool_t *pconf, const char **error)
{
    relay_engine *e = apr_pcalloc(pconf, sizeof(*e));
    apr_status_t rv;
    kept *k;
    e->module_index = module_index;
    e->server = s;
    *out = e;
    k = ap_retained_data_get(KEPT_KEY);
    if (k == NULL) {
        k = ap_retained_data_create(KEPT_KEY, sizeof(*k));
        k->max = max_connections;
    }
    rv = make_table(k, error, pconf);
    if (rv == APR_SUCCESS)
        rv = make_dir(k, runtime_dir, s, pconf, error);
    if (rv != APR_SUCCESS)
        return rv;
    if (k->max != max_connections)
        RELAY_SLOG(e, APLOG_WARNING, 0, s, "RPX0301: RpcProxyMaxConnections "
                   "stays at %u until httpd is stopped and started",
                   (unsigned)k->max);
    e->table = k->table;
    e->dir = k->dir;
    return APR_SUCCESS;
}

apr_status_t relay_engine_create_bare(relay_engine **out, int module_index,
                                      server_rec *s, apr_pool_t *pconf)
{
    relay_engine *e = apr_pcalloc(pconf, sizeof(*e));
    e->module_index = module_index;
    e->server = s;
    *out = e;
    return APR_SUCCESS;
}

void relay_engine_set_async(relay_engine *e, bool async)
{
    e->async = async;
}

void relay_engine_stats(relay_engine *e, relay_stats *out)
{
    memset(out, 0, sizeof(*out));
    if (e->table)
        relay_table_stats(e->table, out);
}
