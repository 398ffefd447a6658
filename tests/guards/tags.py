#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Guards the log tags: each RPXnnnn is in one place of the sources, and is
documented in the reference of its module; no documented tag is unknown to the
sources."""

import re

import guard

# The reference that has the tags which begin so; else the first one.
DOCUMENTS = {"": "docs/mod_rpcproxy.md", "RPX05": "docs/mod_proxy_rpch.md"}
SOURCES = ("lib/", "mod_")


def document(tag):
    return DOCUMENTS[tag[:5] if tag[:5] in DOCUMENTS else ""]


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
    documented = {path: set(re.findall(r"RPX\d{4}", g.read(path)))
                  for path in DOCUMENTS.values()}
    for tag in sorted(seen):
        if tag not in documented[document(tag)]:
            g.bad(seen[tag], 0, f"{tag} is not in {document(tag)}")
    for path, tags in documented.items():
        for tag in sorted(tags - set(seen)):
            g.bad(path, 0, f"{tag} is in no source")
    g.done(len(seen), "log tags")


main()
