/* SPDX-License-Identifier: Apache-2.0 */
/*
 * proxy.h - mod_proxy's functions, each of which may be missing.
 *
 * They come from mod_proxy's own shared object. Were they asked for as usual,
 * httpd without mod_proxy would end with the linker's name of one of them;
 * weak, the module loads, and says what to load (front_proxy_is_there). What
 * of mod_proxy lib/front uses has to be listed here.
 */
#ifndef FRONT_PROXY_H
#define FRONT_PROXY_H

#include <mod_proxy.h>
#include <stdbool.h>

#pragma weak ap_proxy_balancer_get_best_worker
#pragma weak ap_proxy_canon_netloc
#pragma weak ap_proxy_canonenc
#pragma weak ap_proxy_checkproxyblock2
#pragma weak ap_proxy_cookie_reverse_map
#pragma weak ap_proxy_create_hdrbrgd
#pragma weak ap_proxy_get_balancer
#pragma weak ap_proxy_location_reverse_map
#pragma weak ap_proxy_ssl_engine
#pragma weak proxy_hook_canon_handler
#pragma weak proxy_hook_pre_request
#pragma weak proxy_hook_scheme_handler
#pragma weak proxy_module

/* False when this httpd has no mod_proxy, or loads it behind this module:
 * then nothing of the above may be called. */
static inline bool front_proxy_is_there(void)
{
    return proxy_hook_scheme_handler && ap_proxy_create_hdrbrgd
        && &proxy_module;
}

#endif
