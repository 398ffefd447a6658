#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Runs the fuzz targets one after the other: run.sh BINARIES SECONDS
# [TARGET...]. What they find is kept in BINARIES/found/TARGET and continued
# from there next time; what fails is BINARIES/TARGET-crash-*.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
bin=$1 seconds=$2
shift 2
[ $# -gt 0 ] || set -- $(cd "$bin" && ls fuzz_* | sed 's/^fuzz_//')
"${PYTHON3:-python3}" "$here/seeds.py" "$bin/seeds" "$@"
failed=
for target in "$@"; do
    mkdir -p "$bin/found/$target"
    echo "$target: $seconds seconds"
    "$bin/fuzz_$target" -max_total_time="$seconds" -timeout=20 \
        -artifact_prefix="$bin/$target-" -print_final_stats=1 \
        "$bin/found/$target" "$here/corpus/$target" "$bin/seeds/$target" \
        >"$bin/$target.log" 2>&1 || {
        failed="$failed $target"
        grep -E 'does not hold|ERROR|SUMMARY|Test unit' "$bin/$target.log" ||
            tail -20 "$bin/$target.log"
    }
    grep -E 'DONE|number_of_executed' "$bin/$target.log" || true
done
[ -z "$failed" ] || {
    echo "FAIL:$failed"
    exit 1
}
