/* SPDX-License-Identifier: Apache-2.0 */
/* secret.h - a password that is in a file, never in the configuration */
#ifndef FRONT_SECRET_H
#define FRONT_SECRET_H

#include <httpd.h>
#include <http_config.h>

/* Reads the password in the first line of file (relative to ServerRoot), and
 * sets *value to the value of an Authorization field with it and user: "Basic
 * ...", in cmd->pool. Returns NULL, or what is wrong with the file. */
const char *front_secret_read(cmd_parms *cmd, const char *user,
                              const char *file, const char **value);

/* Warns of the files of the configuration pconf that everybody may read. */
void front_secret_warn(apr_pool_t *pconf, server_rec *s);

#endif
