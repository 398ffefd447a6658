/* SPDX-License-Identifier: Apache-2.0 */
/* advice_read.h - advice on httpd's configuration, read and logged */
#ifndef RPCPROXY_ADVICE_READ_H
#define RPCPROXY_ADVICE_READ_H

#include <httpd.h>

/* Looks at the configuration that was just read, and logs at the main server
 * s what would hurt it as an RPC proxy, with p for what it needs meanwhile.
 * Says nothing where no section has a target. For the hooks test_config and
 * post_config. */
void rpcproxy_advice_log(apr_pool_t *p, server_rec *s);

#endif
