#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Builds the fuzz targets: build.sh fuzzer|replay|coverage FOLDER [TARGET...].
#   fuzzer    with clang, libFuzzer and the sanitizers: FOLDER/fuzz_TARGET
#   replay    with $CC and $CFLAGS: FOLDER/replay_TARGET
#   coverage  likewise, instrumented for gcov
# $FUZZ_CC is clang by default, $APR_CFLAGS is what relay's core needs.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
kind=$1 folder=$2
shift 2
[ $# -gt 0 ] || set -- $(cd "$here" && ls fuzz_*.c |
    sed 's/^fuzz_\(.*\)\.c$/\1/')

case $kind in
fuzzer)
    cc=${FUZZ_CC:-clang}
    flags='-g -O1 -fno-omit-frame-pointer -fno-sanitize-recover=all'
    # The targets themselves are not what coverage is looked for in.
    lib=-fsanitize=fuzzer-no-link,address,undefined
    own=-fsanitize=address,undefined
    link=-fsanitize=fuzzer,address,undefined
    main= name=fuzz
    echo 'int LLVMFuzzerTestOneInput(const char *p, long n)
        { return 0; }' >"$folder/probe.c"
    $cc $link -o "$folder/probe" "$folder/probe.c" || {
        echo "the fuzz targets need a clang with libFuzzer (FUZZ_CC)" >&2
        exit 1
    }
    rm -f "$folder/probe" "$folder/probe.c" ;;
replay | coverage)
    cc=${CC:-cc} flags=${CFLAGS:--g -O1} lib= own= link=
    main=$here/replay.c name=replay
    [ $kind = replay ] || lib='-O0 --coverage' link=--coverage ;;
*)
    echo "fuzzer, replay or coverage" >&2
    exit 2 ;;
esac

flags="$flags -std=gnu99 -Wall -Wextra -Wno-unused-parameter -I$root/lib"
sources="$root/lib/rpch/*.c $root/lib/relay/msg.c"
for noun in leg head head_fields chunks; do
    [ ! -f "$root/lib/relay/$noun.c" ] ||
        sources="$sources $root/lib/relay/$noun.c"
done
objects=
for source in $sources; do
    object=$folder/$(basename "$source" .c).o
    if [ ! "$object" -nt "$source" ] ||
        [ -n "$(find "$root/lib" -name '*.h' -newer "$object")" ]; then
        (cd "$folder" && $cc $flags ${APR_CFLAGS:-} $lib -c "$source")
    fi
    objects="$objects $object"
done
for target in "$@"; do
    object=$folder/target-${name}_$target.o
    $cc $flags ${APR_CFLAGS:-} -I"$here" $own -c -o "$object" \
        "$here/fuzz_$target.c"
    $cc $flags -I"$here" $link -o "$folder/${name}_$target" \
        "$object" $main $objects
done
