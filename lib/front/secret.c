/* SPDX-License-Identifier: Apache-2.0 */
/* secret.c - a password that is in a file, never in the configuration */
#include "front/secret.h"

#include <apr_file_io.h>
#include <apr_strings.h>
#include <apr_tables.h>
#include <string.h>

#include "front/front.h"
#include "rpch/base64.h"

/* A line that is longer is no password. */
#define LINE_SIZE 1024

/* Under which the configuration's pool keeps the paths to warn of: while it is
 * read there is no error log yet. */
#define KEY "mod_proxy_rpch-secrets"

static void note_mode(cmd_parms *cmd, apr_file_t *f, const char *path)
{
    apr_finfo_t info;
    void *found = NULL;
    if (apr_file_info_get(&info, APR_FINFO_PROT, f) != APR_SUCCESS
        || !(info.protection & APR_FPROT_WREAD))
        return;
    apr_pool_userdata_get(&found, KEY, cmd->pool);
    if (found == NULL) {
        found = apr_array_make(cmd->pool, 1, sizeof(path));
        apr_pool_userdata_setn(found, KEY, NULL, cmd->pool);
    }
    APR_ARRAY_PUSH((apr_array_header_t *)found, const char *) = path;
}

void front_secret_warn(apr_pool_t *pconf, server_rec *s)
{
    apr_array_header_t *paths;
    void *found = NULL;
    apr_pool_userdata_get(&found, KEY, pconf);
    paths = found;
    for (int i = 0; paths && i < paths->nelts; i++)
        ap_log_error(APLOG_MARK, APLOG_WARNING, 0, s, "RPX0504: everybody "
                     "may read the password in %s (ProxyRpchAuth fixed); "
                     "chmod o-r", APR_ARRAY_IDX(paths, i, const char *));
}

const char *front_secret_read(cmd_parms *cmd, const char *user,
                              const char *file, const char **value)
{
    const char *path = ap_server_root_relative(cmd->pool, file);
    char line[LINE_SIZE], *text, *code;
    apr_file_t *f;
    apr_status_t rv;
    size_t len;
    if (path == NULL)
        return "this is no path of a file";
    rv = apr_file_open(&f, path, APR_READ | APR_BUFFERED, APR_OS_DEFAULT,
                       cmd->temp_pool);
    if (rv != APR_SUCCESS)
        return apr_psprintf(cmd->pool, "the file with the password cannot be "
                            "read: %pm", &rv);
    note_mode(cmd, f, path);
    rv = apr_file_gets(line, sizeof(line), f);
    apr_file_close(f);
    len = rv == APR_SUCCESS ? strcspn(line, "\r\n") : 0;
    if (len == 0 || len == sizeof(line) - 1)
        return apr_psprintf(cmd->pool, "the first line of the file is the "
                            "password, 1 to %d bytes", LINE_SIZE - 2);
    line[len] = '\0';
    text = apr_pstrcat(cmd->temp_pool, user, ":", line, NULL);
    len = strlen(text);
    code = apr_palloc(cmd->pool, RPCH_BASE64_SIZE(len) + 1);
    rpch_base64_encode((const uint8_t *)text, len, code,
                       RPCH_BASE64_SIZE(len) + 1);
    *value = apr_pstrcat(cmd->pool, "Basic ", code, NULL);
    return NULL;
}
