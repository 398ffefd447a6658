#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Guards the directives: the same names in the sources, the reference
(docs/mod_rpcproxy.md, one heading each) and the annotated configuration."""

import re

import guard

REFERENCE = "docs/mod_rpcproxy.md"
CONF = "conf/rpcproxy.conf"


def compare(g, here, names, there, others):
    for name in sorted(names - others):
        g.bad(there, 0, f"{name} is missing; {here} has it")


def main():
    g = guard.Guard("directives")
    code = set()
    for path in g.files(".c", ".h", under=["lib/rpcproxy"]) + g.files(".c"):
        if path.startswith(("lib/rpcproxy/", "mod_rpcproxy")):
            text = guard.without_comments(g.read(path))
            code |= set(re.findall(r'"(RpcProxy[A-Z]\w*)"', text))
    reference = set(re.findall(r"^#+ +`?(?:<a[^>]*></a>)?`?(RpcProxy\w+)",
                               g.read(REFERENCE), re.M))
    conf = set(re.findall(r"^[ \t]*#?[ \t]*(RpcProxy[A-Z]\w*)\b",
                          g.read(CONF), re.M))
    compare(g, "the code", code, REFERENCE, reference)
    compare(g, "the code", code, CONF, conf)
    compare(g, REFERENCE, reference, "the code", code)
    compare(g, CONF, conf, "the code", code)
    g.done(len(code), "directives")


main()
