/* SPDX-License-Identifier: Apache-2.0 */
/*
 * front.h - what the module's files share: its record, and its name for the
 * log. Included by .c files only.
 */
#ifndef FRONT_FRONT_H
#define FRONT_FRONT_H

#include <httpd.h>
#include <http_config.h>
#include <http_log.h>

extern module AP_MODULE_DECLARE_DATA proxy_rpch_module;

APLOG_USE_MODULE(proxy_rpch);

#endif
