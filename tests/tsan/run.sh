#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Builds lib/rpch, the core of lib/relay and unit tests that have threads with
# the thread sanitizer, and runs them: run.sh FOLDER [TEST...], TEST as in
# test_TEST.c. $CC is what compiles; $TSAN_SOURCES are the sources of the
# libraries, relative to the tree; $TSAN_CFLAGS and $TSAN_LIBS are what APR
# and Check need. Everything goes into FOLDER.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
folder=$1
shift
[ $# -gt 0 ] || set -- threads poller poller_turn registry resolver broker \
    sendq table_churn

cc=${CC:-cc}
flags="-std=gnu99 -g -O1 -fsanitize=thread -fno-omit-frame-pointer
    -Wall -Wextra -Wno-unused-parameter -I$root/lib ${TSAN_CFLAGS:-}"
mkdir -p "$folder"
objects=
for source in $TSAN_SOURCES; do
    case $source in *.c) ;; *) continue ;; esac
    object=$folder/$(echo "$source" | tr / _ | sed 's/\.c$/.o/')
    if [ ! "$object" -nt "$root/$source" ] ||
        [ -n "$(find "$root/lib" -name '*.h' -newer "$object")" ]; then
        $cc $flags -c -o "$object" "$root/$source"
    fi
    objects="$objects $object"
done
failed=0
for test in "$@"; do
    $cc $flags -o "$folder/test_$test" "$root/tests/unit/test_$test.c" \
        $objects ${TSAN_LIBS:-} -lpthread
    # In one process, so that a report is seen and counts.
    CK_FORK=no TSAN_OPTIONS="halt_on_error=0 exitcode=66 ${TSAN_OPTIONS:-}" \
        timeout -s KILL 300 "$folder/test_$test" || {
        echo "FAIL test_$test under the thread sanitizer" >&2
        failed=1
    }
done
exit $failed
