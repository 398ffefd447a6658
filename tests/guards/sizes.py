#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Guards sizes: functions of at most 60 lines, .c files of at most 600,
headers of at most 300, the module's table of contents of at most 400, and no
line over 100 columns."""

import guard

FUNCTION_MAX = 60
FILE_MAX = {".c": 600, ".h": 300}
MODULE_MAX = 400
COLUMNS_MAX = 100


def main():
    g = guard.Guard("sizes")
    n = 0
    for path in g.files(".c", ".h"):
        if path == "config.h":
            continue
        text = g.read(path)
        lines = text.splitlines()
        ending = path[-2:]
        most = FILE_MAX[ending]
        if path.startswith("mod_"):
            most = MODULE_MAX
        # A program of unit tests is a list of cases: it may be longer.
        if path.startswith("tests/") and ending == ".c":
            most = 2 * most
        if len(lines) > most:
            g.bad(path, 0, f"{len(lines)} lines, at most {most}")
        for at, line in enumerate(lines, 1):
            if len(line) > COLUMNS_MAX:
                g.bad(path, at, f"{len(line)} columns, at most {COLUMNS_MAX}")
        for name, first, last in guard.functions(text):
            n += 1
            if last - first + 1 > FUNCTION_MAX:
                g.bad(path, first, f"{name} has {last - first + 1} lines, "
                      f"at most {FUNCTION_MAX}")
    g.done(n, "functions")


main()
