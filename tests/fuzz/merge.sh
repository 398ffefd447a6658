#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Makes the committed corpora as small as they can be: merge.sh BINARIES
# [FOUND] keeps, of each tests/fuzz/corpus/TARGET and of FOUND/TARGET, the
# inputs that together reach every edge that any of them reaches. BINARIES is
# where `build.sh fuzzer` put the targets.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
bin=$1 found=${2:-}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
trap 'exit 1' HUP INT TERM

for fuzzer in "$bin"/fuzz_*; do
    target=${fuzzer##*/fuzz_}
    corpus=$here/corpus/$target
    mkdir -p "$corpus" "$scratch/$target"
    set -- "$corpus"
    # A copy, as a fuzzer may be at work there and replace what it found.
    if [ -n "$found" ] && [ -d "$found/$target" ]; then
        cp -r "$found/$target" "$scratch/found" 2>/dev/null || true
        set -- "$@" "$scratch/found"
    fi
    "$fuzzer" -set_cover_merge=1 -use_counters=0 -rss_limit_mb=4096 \
        "$scratch/$target" "$@" >"$scratch/log" 2>&1 || {
        tail -20 "$scratch/log" >&2
        exit 1
    }
    rm -rf "$scratch/found"
    rm -f "$corpus"/*
    for input in "$scratch/$target"/*; do
        cp "$input" "$corpus/$(basename "$input" | cut -c1-12).bin"
    done
    echo "$target: $(ls "$corpus" | wc -l) inputs," \
        "$(cat "$corpus"/* | wc -c) bytes"
done
