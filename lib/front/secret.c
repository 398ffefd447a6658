/* SPDX-License-Identifier: Apache-2.0 */
/* secret.c - a password that is in a file, never in the configuration */
#include "front/secret.h"

#include <apr_file_io.h>
#include <apr_strings.h>
#include <http_core.h>
#include <mpm_common.h>
#include <string.h>

#include "front/front.h"
#include "rpch/base64.h"

/* A line that is longer is no password. */
#define LINE_SIZE 1024

/* The configuration is read twice at a start. */
static bool is_first_reading(void)
{
    return ap_state_query(AP_SQ_MAIN_STATE) == AP_SQ_MS_CREATE_PRE_CONFIG
        && ap_state_query(AP_SQ_RUN_MODE) != AP_SQ_RM_CONFIG_TEST;
}

static void warn_of_mode(cmd_parms *cmd, apr_file_t *f, const char *path)
{
    apr_finfo_t info;
    if (apr_file_info_get(&info, APR_FINFO_PROT, f) == APR_SUCCESS
        && (info.protection & APR_FPROT_WREAD) && !is_first_reading())
        ap_log_error(APLOG_MARK, APLOG_WARNING, 0, cmd->server,
                     "RPX0504: everybody may read the password in %s "
                     "(ProxyRpchAuth fixed); chmod o-r", path);
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
    warn_of_mode(cmd, f, path);
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
