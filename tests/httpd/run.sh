#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Runs the tests against a real httpd in a network and mount namespace of
# their own: the real RPC servers insist on fixed ports, and the namespace's
# /etc/hosts and /etc/resolv.conf belong to the tests. Arguments are pytest's,
# paths relative to this directory.
#
#   MOD_RPCPROXY  the module            (default .libs/mod_rpcproxy.so here)
#   MOD_PROXY_RPCH the front's module (default .libs/mod_proxy_rpch.so here)
#   RPCH_CLIENT   the client that recycles           (default ./rpch-client)
#   RPCH_SERVER   the demonstration server           (default ./rpch-server)
#   HTTPD_PRELOAD LD_PRELOAD of httpd, for a module built with sanitizers
#   FULL=1        the full matrix
#   BULK_MIB      what test_recycling_bulk.py moves each way   (default 16)
#   KEEP=1        keep the scratch directory of a run that passed
#
# It needs root: Samba and httpd give their children to other users.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
python=${TEST_PYTHON:-/usr/bin/python3}

absolute() {
    case $1 in /*) echo "$1" ;; *) echo "$PWD/$1" ;; esac
}
MOD_RPCPROXY=$(absolute "${MOD_RPCPROXY:-.libs/mod_rpcproxy.so}")
MOD_PROXY_RPCH=$(absolute "${MOD_PROXY_RPCH:-.libs/mod_proxy_rpch.so}")
RPCH_CLIENT=$(absolute "${RPCH_CLIENT:-rpch-client}")
RPCH_SERVER=$(absolute "${RPCH_SERVER:-rpch-server}")
export MOD_RPCPROXY MOD_PROXY_RPCH RPCH_CLIENT RPCH_SERVER

if [ "${1-}" = --inside ]; then
    shift
    ip link set lo up
    ip addr add 127.0.0.1/8 dev lo 2>/dev/null || true
    cp "$here/hosts" "$RPC_ETC/hosts"
    echo 'nameserver 127.0.0.99' > "$RPC_ETC/resolv.conf"
    echo 'options timeout:6 attempts:1' >> "$RPC_ETC/resolv.conf"
    echo 'hosts: files dns' > "$RPC_ETC/nsswitch.conf"
    sed '/^hosts:/d' /etc/nsswitch.conf >> "$RPC_ETC/nsswitch.conf"
    for f in hosts resolv.conf nsswitch.conf; do
        target=$(readlink -f "/etc/$f")
        [ -f "$target" ] || {
            echo "run.sh: /etc/$f is missing, and the tests need theirs" >&2
            exit 1
        }
        mount --bind "$RPC_ETC/$f" "$target"
    done
    cd "$here"
    exec "$python" -m pytest -p no:cacheprovider "$@"
fi

[ "$(id -u)" = 0 ] || {
    echo "run.sh: needs root" >&2
    exit 1
}
RPC_ETC=$(mktemp -d)
export RPC_ETC PYTHONDONTWRITEBYTECODE=1
trap 'rm -rf "$RPC_ETC"' EXIT
unshare --net --mount "$here/run.sh" --inside "$@"
