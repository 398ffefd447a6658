#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Some hundred streams of all kinds through instrumented modules, each in one
# process (httpd -X):
#
#   instrumented.sh tsan|asan|valgrind DIR [arguments of pytest]
#
# builds both modules for it in DIR, with CC, APR_CFLAGS and HTTPD_CPPFLAGS,
# and runs test_instrumented.py and test_front_instrumented.py, which fail when
# the instrument says anything: nothing is suppressed. What ThreadSanitizer cannot see of httpd, which is not
# instrumented, tsan_edges.c tells it. RPCH_CLIENT, RPCH_SERVER and the rest are
# those of run.sh.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
kind=${1:?tsan, asan or valgrind}
dir=${2:?a directory}
shift 2
CC=${CC:-cc}
headers=${HTTPD_CPPFLAGS:--I/usr/include/apache2}
apr=${APR_CFLAGS:-$(pkg-config --cflags apr-1 apr-util-1)}

case $kind in
tsan) flags="-O1 -fsanitize=thread" ;;
asan) flags="-O1 -fsanitize=address,undefined -fno-sanitize-recover=undefined" ;;
valgrind) flags=-O1 ;;
*) echo "instrumented.sh: tsan, asan or valgrind?" >&2; exit 2 ;;
esac

mkdir -p "$dir"
dir=$(cd "$dir" && pwd)
cd "$top"
rm -f "$dir"/*.o
for source in mod_rpcproxy.c mod_proxy_rpch.c lib/*/*.c; do
    # shellcheck disable=SC2086
    $CC -std=gnu99 -g -fno-omit-frame-pointer -fPIC -D_GNU_SOURCE -Ilib \
        $headers $apr -DRPCPROXY_VERSION='"instrumented"' $flags \
        -c "$source" -o "$dir/$(echo "$source" | tr / _ | sed 's/c$/o/')"
done
# Each has its own copy of lib/relay and lib/rpch, also when both are loaded.
# shellcheck disable=SC2086
$CC -shared $flags -Wl,-Bsymbolic -o "$dir/mod_rpcproxy.so" \
    "$dir"/mod_rpcproxy.o "$dir"/lib_rpch_*.o "$dir"/lib_relay_*.o \
    "$dir"/lib_rpcproxy_*.o
# shellcheck disable=SC2086
$CC -shared $flags -Wl,-Bsymbolic -o "$dir/mod_proxy_rpch.so" \
    "$dir"/mod_proxy_rpch.o "$dir"/lib_rpch_*.o "$dir"/lib_relay_*.o \
    "$dir"/lib_front_*.o "$dir"/lib_rpcproxy_portlist.o \
    "$dir"/lib_rpcproxy_setting.o "$dir"/lib_rpcproxy_value.o
rm -f "$dir"/*.o

MOD_RPCPROXY=$dir/mod_rpcproxy.so
MOD_PROXY_RPCH=$dir/mod_proxy_rpch.so
INSTRUMENTED=$kind
export MOD_RPCPROXY MOD_PROXY_RPCH INSTRUMENTED
case $kind in
tsan)
    # Its shadow memory wants the old places of programs.
    HTTPD_WRAPPER="setarch $(uname -m) -R"
    # shellcheck disable=SC2086
    $CC -std=gnu99 -g -fPIC -shared -D_GNU_SOURCE $apr -o "$dir/tsan_edges.so" \
        tests/httpd/tsan_edges.c -ldl
    HTTPD_PRELOAD="$($CC -print-file-name=libtsan.so) $dir/tsan_edges.so"
    TSAN_OPTIONS="halt_on_error=0 exitcode=0 history_size=4"
    export HTTPD_WRAPPER HTTPD_PRELOAD TSAN_OPTIONS
    ;;
asan)
    HTTPD_PRELOAD="$($CC -print-file-name=libasan.so)\
 $($CC -print-file-name=libubsan.so)"
    ASAN_OPTIONS=detect_leaks=0:detect_stack_use_after_return=1
    UBSAN_OPTIONS=print_stacktrace=1
    export HTTPD_PRELOAD ASAN_OPTIONS UBSAN_OPTIONS
    ;;
valgrind)
    HTTPD_WRAPPER="valgrind -q --vgdb=no --fair-sched=yes --num-callers=20"
    export HTTPD_WRAPPER
    ;;
esac
exec "$here/run.sh" -q test_instrumented.py test_front_instrumented.py "$@"
