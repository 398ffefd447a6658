/* SPDX-License-Identifier: Apache-2.0 */
/* rpch.c - names of the status values. */
#include "rpch/rpch.h"

const char *rpch_status_name(int status)
{
    switch (status) {
    case RPCH_OK:
        return "ok";
    case RPCH_AGAIN:
        return "again";
    case RPCH_E_SYNTAX:
        return "syntax";
    case RPCH_E_UNEXPECTED:
        return "unexpected";
    case RPCH_E_ACK:
        return "ack";
    case RPCH_E_COOKIE:
        return "cookie";
    case RPCH_E_CLOSED:
        return "closed";
    case RPCH_E_BANNER:
        return "banner";
    case RPCH_E_POLICY:
        return "policy";
    case RPCH_E_TIMEOUT:
        return "timeout";
    case RPCH_E_LIFETIME:
        return "lifetime";
    case RPCH_E_RECYCLED:
        return "recycled";
    case RPCH_E_CONNECT:
        return "connect";
    case RPCH_E_ROOM:
        return "room";
    case RPCH_E_VALUE:
        return "value";
    case RPCH_E_BUG:
        return "bug";
    default:
        return "unknown";
    }
}
