#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Guards the directives of each module: the same names in its sources, in its
reference (one heading each) and in its annotated configuration."""

import re

import guard

# Folder, module file, reference, configuration.
MODULES = (
    ("lib/rpcproxy", "mod_rpcproxy.c", "docs/mod_rpcproxy.md",
     "conf/rpcproxy.conf"),
    ("lib/front", "mod_proxy_rpch.c", "docs/mod_proxy_rpch.md",
     "conf/proxy_rpch.conf"),
)
NAME = r"(?:RpcProxy|ProxyRpch)[A-Z]\w*"


def compare(g, here, names, there, others):
    for name in sorted(names - others):
        g.bad(there, 0, f"{name} is missing; {here} has it")


def check(g, folder, module, reference, conf):
    """Returns how many directives the module has."""
    code = set()
    for path in g.files(".c", ".h"):
        if path.startswith(folder + "/") or path == module:
            text = guard.without_comments(g.read(path))
            code |= set(re.findall(rf'"({NAME})"', text))
    headings = set(re.findall(rf"^#+ +`?(?:<a[^>]*></a>)?`?({NAME})",
                              g.read(reference), re.M))
    lines = set(re.findall(rf"^[ \t]*#?[ \t]*({NAME})\b", g.read(conf), re.M))
    compare(g, "the code", code, reference, headings)
    compare(g, "the code", code, conf, lines)
    compare(g, reference, headings, f"the code of {module}", code)
    compare(g, conf, lines, f"the code of {module}", code)
    if not code:
        g.bad(module, 0, "no directive was found")
    return len(code)


def main():
    g = guard.Guard("directives")
    g.done(sum(check(g, *m) for m in MODULES), "directives")


main()
