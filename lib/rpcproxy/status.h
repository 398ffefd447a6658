/* SPDX-License-Identifier: Apache-2.0 */
/* status.h - the status page */
#ifndef RPCPROXY_STATUS_H
#define RPCPROXY_STATUS_H

#include <httpd.h>

/* The handler "rpcproxy-status": the engine's counters as HTML, or as JSON
 * (?format=json) or OpenMetrics (?format=openmetrics). DECLINED for other
 * handlers' requests. */
int rpcproxy_status_handler(request_rec *r);

#endif
