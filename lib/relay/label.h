/* SPDX-License-Identifier: Apache-2.0 */
/* label.h - how logs call a connection; for lib/relay's httpd part only */
#ifndef RELAY_LABEL_H
#define RELAY_LABEL_H

#include <httpd.h>

#include "rpch/cookie.h"

/* Sets RPC_CONNECTION of r's environment for the virtual connection vc: 12
 * hexadecimal digits. The cookie itself is a secret. The same on all machines
 * that the connection passes, so that their lines can be found by it. */
void relay_label(request_rec *r, const rpch_cookie *vc);

/* What it is in log lines; "-" before relay_label. */
const char *relay_label_of(const request_rec *r);

#endif
