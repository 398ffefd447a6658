#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# The built modules: each exports its record and nothing else, and what it uses
# of this project's libraries is linked in (httpd's and APR's symbols come
# from httpd, so the linker cannot tell). mod_proxy may be missing: what is
# used of it has to be weak.
set -u

failed=0

# check MODULE RECORD: one built module.
check()
{
    module=${builddir:-.}/.libs/$1
    [ -s "$module" ] || {
        echo "FAIL: $module was not built"
        failed=1
        return
    }
    exported=$(nm -D --defined-only "$module" | awk '{ print $3 }')
    if [ "$exported" != "$2" ]; then
        echo "FAIL: $1 exports: $exported"
        failed=1
    fi
    missing=$(nm -D --undefined-only "$module" \
        | awk '$2 ~ /^(rpch|relay|rpcproxy|front)_/ { print $2 }')
    if [ -n "$missing" ]; then
        echo "FAIL: not linked into $1: $missing"
        failed=1
    fi
    strong=$(nm -D --undefined-only "$module" \
        | awk '$1 == "U" && $2 ~ /^(ap_proxy_|proxy_)/ { print $2 }')
    if [ -n "$strong" ]; then
        echo "FAIL: $1 does not load without mod_proxy: $strong"
        failed=1
    fi
    used=$(nm -D --undefined-only "$module" | grep -c ' ap_' || true)
    if [ "$used" = 0 ]; then
        echo "FAIL: nm shows no httpd function: is $1 the module?"
        failed=1
    fi
    echo "$1: one symbol exported, $used of httpd used"
}

check mod_rpcproxy.so rpcproxy_module
check mod_proxy_rpch.so proxy_rpch_module
[ $failed = 0 ] && echo "PASS"
exit $failed
