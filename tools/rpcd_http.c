/* SPDX-License-Identifier: Apache-2.0 */
/* rpcd_http.c - stub */
#include "rpcd_conn.h"
bool rpcd_http_accept(rpcd_conn *c)
{
    return false;
}
