#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Prints which lines of lib/rpch the corpora reach, for each file and in all,
# and fails below 90 percent. coverage.sh FOLDER builds with $CC in FOLDER;
# $GCOV is gcov by default.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
folder=$1
rm -f "$folder"/*.gcda "$folder"/*.gcno "$folder"/*.o
"$here/build.sh" coverage "$folder"
srcdir=$root
export srcdir
for program in "$folder"/replay_*; do
    case $program in *.gc*) continue ;; esac
    "$program" 2>/dev/null
done
cd "$folder"
for source in "$root"/lib/rpch/*.c; do
    ${GCOV:-gcov} -n "$(basename "$source" .c).gcda" 2>/dev/null |
        grep -A1 "^File '$source'" || echo "File '$source'
Lines executed:0.00% of $(grep -c ';' "$source")"
done | awk -F"[':% ]+" '
    /^File/ { file = $2; sub(/.*\//, "", file) }
    /^Lines executed/ {
        lines = $NF; hit = $3 * lines / 100
        printf "%-20s %6.2f %% of %4d lines\n", file, $3, lines
        all += lines; reached += hit
    }
    END {
        if (all == 0) { print "nothing was measured"; exit 1 }
        printf "%-20s %6.2f %% of %4d lines\n", "lib/rpch", \
            100 * reached / all, all
        exit !(100 * reached / all >= 90)
    }'
