#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Guards sizes, of tests and tools too: C functions of at most 60 lines, .c
files and scripts of at most 600, headers of at most 300, the module's table of
contents of at most 400, and no line of C over 100 columns."""

import os

import guard

FUNCTION_MAX = 60
SCRIPT_MAX = 600
FILE_MAX = {".c": 600, ".h": 300, ".py": SCRIPT_MAX, ".sh": SCRIPT_MAX}
SCRIPTS = ["quickstart"]  # those without an ending
MODULE_MAX = 400
COLUMNS_MAX = 100


def check_c(g, path, text):
    """Columns and functions; returns how many functions there are."""
    for at, line in enumerate(text.splitlines(), 1):
        if len(line) > COLUMNS_MAX:
            g.bad(path, at, f"{len(line)} columns, at most {COLUMNS_MAX}")
    found = guard.functions(text)
    for name, first, last in found:
        if last - first + 1 > FUNCTION_MAX:
            g.bad(path, first, f"{name} has {last - first + 1} lines, "
                  f"at most {FUNCTION_MAX}")
    return len(found)


def main():
    g = guard.Guard("sizes")
    n = 0
    for path in g.files(*FILE_MAX) + SCRIPTS:
        if path == "config.h":
            continue
        text = g.read(path)
        ending = os.path.splitext(path)[1]
        most = FILE_MAX.get(ending, SCRIPT_MAX)
        if path.startswith("mod_"):
            most = MODULE_MAX
        lines = len(text.splitlines())
        if lines > most:
            g.bad(path, 0, f"{lines} lines, at most {most}")
        if ending in (".c", ".h"):
            n += check_c(g, path, text)
    g.done(n, "functions")


main()
