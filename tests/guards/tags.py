#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Guards the log tags: each RPXnnnn is in one place of the sources, and is
documented; no documented tag is unknown to the sources."""

import re

import guard

DOCUMENT = "docs/mod_rpcproxy.md"
SOURCES = ("lib/", "mod_")


def main():
    g = guard.Guard("tags")
    seen = {}
    for path in g.files(".c", ".h"):
        if not path.startswith(SOURCES):
            continue
        code = guard.without_comments(g.read(path))
        for m in re.finditer(r"RPX\w*", code):
            line = guard.line_of(code, m.start())
            if not re.fullmatch(r"RPX\d{4}", m.group(0)):
                continue
            if m.group(0) in seen:
                g.bad(path, line, f"{m.group(0)} is also in "
                      + seen[m.group(0)])
            seen[m.group(0)] = f"{path}:{line}"
    documented = set(re.findall(r"RPX\d{4}", g.read(DOCUMENT)))
    for tag in sorted(set(seen) - documented):
        g.bad(seen[tag], 0, f"{tag} is not in {DOCUMENT}")
    for tag in sorted(documented - set(seen)):
        g.bad(DOCUMENT, 0, f"{tag} is in no source")
    g.done(len(seen), "log tags")


main()
