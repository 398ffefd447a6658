#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# The built module: it exports its record and nothing else, and what it uses
# of this project's libraries is linked in (httpd's and APR's symbols come
# from httpd, so the linker cannot tell).
set -u

module=${builddir:-.}/.libs/mod_rpcproxy.so
[ -s "$module" ] || {
    echo "FAIL: $module was not built"
    exit 1
}
failed=0
exported=$(nm -D --defined-only "$module" | awk '{ print $3 }')
if [ "$exported" != rpcproxy_module ]; then
    echo "FAIL: exported: $exported"
    failed=1
fi
missing=$(nm -D --undefined-only "$module" \
    | awk '$2 ~ /^(rpch|relay|rpcproxy)_/ { print $2 }')
if [ -n "$missing" ]; then
    echo "FAIL: not linked in: $missing"
    failed=1
fi
used=$(nm -D --undefined-only "$module" | grep -c ' ap_' || true)
if [ "$used" = 0 ]; then
    echo "FAIL: nm shows no httpd function: is this the module?"
    failed=1
fi
[ $failed = 0 ] && echo "PASS: one symbol exported, $used of httpd used"
exit $failed
