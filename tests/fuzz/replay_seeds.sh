#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Runs every fuzz target over the seeds that its fuzzer starts from: all PDUs
# of the vectors, the recorded streams, the programs of the role machines.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
programs=${builddir:-.}/tests/fuzz
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
trap 'exit 1' HUP INT TERM

"${PYTHON3:-python3}" "$here/seeds.py" "$scratch"
n=0
for folder in "$scratch"/*/; do
    target=$(basename "$folder")
    "$programs/replay_$target" "$folder" 2>"$scratch/log" || {
        tail -5 "$scratch/log"
        exit 1
    }
    n=$((n + 1))
done
[ $n -gt 0 ]
