#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Guards against the traces of one machine: absolute paths of home or work
folders, left-over notes, trailing white space and tabs in C."""

import re

import guard

# Written so that this file does not accuse itself.
PATHS = re.compile("(?<![\\w.$}\"'-])/(?:wor" "k|hom" "e/\\w|roo" "t/|"
                   "Users/\\w|tm" "p/bash|mnt/\\w)[/\\w.-]*")
NOTES = re.compile(r"\b(?:TO" r"DO|FIX" r"ME|XX" r"X|HA" r"CK)\b")
GENERATED = {"configure", "aclocal.m4", "Makefile", "Makefile.in",
             "config.h", "config.h.in", "config.log", "config.status",
             "libtool", "stamp-h1", "rpcproxy.load", "proxy_rpch.load"}


def main():
    g = guard.Guard("paths")
    n = 0
    for path in g.files():
        if path in GENERATED or path.endswith((".bin", ".raw", ".xz", ".gz")):
            continue
        try:
            text = g.read(path)
        except UnicodeDecodeError:
            continue
        if "\0" in text:
            continue
        n += 1
        for at, line in enumerate(text.splitlines(), 1):
            m = PATHS.search(line)
            if m:
                g.bad(path, at, f"a path of one machine: {m.group(0)}")
            m = NOTES.search(line)
            if m and not path.startswith("LICENSE"):
                g.bad(path, at, f"an unfinished note: {m.group(0)}")
            if line != line.rstrip():
                g.bad(path, at, "trailing white space")
            if path.endswith((".c", ".h", ".py")) and "\t" in line:
                g.bad(path, at, "a tab")
    g.done(n, "text files")


main()
