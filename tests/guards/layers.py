#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Guards the layers: who may include whom, what the protocol library may
call, and that no include cycle exists.

    mod_*.c -> lib/rpcproxy, lib/front -> lib/relay (httpd part)
            -> lib/relay (core) -> lib/rpch
    lib/front -> the plain nouns of lib/rpcproxy
    tests, tools, bench -> the core of lib/relay and lib/rpch
"""

import os
import re

import guard

RPCH_SYSTEM = {"assert.h", "stdarg.h", "stdbool.h", "stddef.h", "stdint.h",
               "limits.h", "string.h"}
RPCH_CALLS = ("malloc|calloc|realloc|free|strdup|strndup|alloca|"
              "printf|fprintf|sprintf|snprintf|vsnprintf|puts|"
              "time|clock|clock_gettime|gettimeofday|"
              "socket|connect|recv|send|read|write|open|close|poll|select|"
              "getenv|abort|exit|rand|random|getaddrinfo|ap_\\w+|apr_\\w+")
HTTPD = re.compile(r"^(?:httpd|http_\w+|util_\w+|ap_\w+|mod_\w+|mpm_common|"
                   r"scoreboard|unixd)\.h$")
# The nouns of lib/relay that know no httpd; everything else there does.
CORE = {"addr", "broker", "call", "chunks", "clock", "connector", "drain",
        "gulp", "half", "head", "leg", "link", "msg", "pieces", "pipe",
        "poller", "registry", "resolver", "room", "sendq", "sock", "table",
        "thread", "timers", "trim", "waker", "writer"}
# The nouns of lib/rpcproxy that know no httpd.
PLAIN = {"advice", "portlist", "route", "setting", "value"}
# The same of lib/front.
FRONT_PLAIN = {"credentials", "rendezvous"}
RANK = {"rpch": 0, "core": 1, "plain": 2, "program": 3, "relay": 4,
        "rpcproxy": 5, "front": 5, "mod": 6}
# The two modules' own matters: neither includes the other's.
MODULES = {"rpcproxy", "front"}


def noun(path):
    return os.path.splitext(os.path.basename(path))[0]


def layer(path):
    top, _, rest = path.partition("/")
    if not rest:
        return "mod"
    if top != "lib":
        return "program"
    part = rest.split("/")[0]
    if part == "relay":
        return "core" if noun(path).split("_")[0] in CORE else "relay"
    if part == "rpcproxy":
        return "plain" if noun(path) in PLAIN else "rpcproxy"
    if part == "front" and noun(path) in FRONT_PLAIN:
        return "plain"
    return part


def resolve(g, path, name):
    """The file of the tree that `#include "name"` in path means, or None."""
    for candidate in (os.path.join("lib", name),
                      os.path.join(os.path.dirname(path), name)):
        if os.path.isfile(os.path.join(g.root, candidate)):
            return os.path.normpath(candidate)
    return None


def check_include(g, path, line, kind, name):
    mine = layer(path)
    if kind == "<":
        if mine == "rpch" and name not in RPCH_SYSTEM:
            g.bad(path, line, f"lib/rpch may not include <{name}>")
        if mine in ("core", "plain", "program") and HTTPD.match(name):
            g.bad(path, line, f"the httpd header <{name}> in a layer that "
                  "knows no httpd")
        return None
    target = resolve(g, path, name)
    if not target:
        if mine in ("rpch", "core", "plain", "program") or not HTTPD.match(name):
            g.bad(path, line, f"\"{name}\" is no file of this project; "
                  "system headers are written <...>")
        return None
    if mine != "program" and not name.startswith(
            ("rpch/", "relay/", "rpcproxy/", "front/")):
        g.bad(path, line, f"\"{name}\" is written without its folder")
    theirs = layer(target)
    if theirs != "program" and (RANK[theirs] > RANK[mine]
                                or {mine, theirs} == MODULES):
        g.bad(path, line, f"{mine} may not include {theirs} ({name})")
    if theirs == "program" and mine != "program":
        g.bad(path, line, f"{mine} may not include tests or tools ({name})")
    return target


def check_calls(g, path, text):
    code = guard.without_preprocessor(guard.code_only(text))
    for m in re.finditer(rf"(?<![\w.>])({RPCH_CALLS})\s*\(", code):
        g.bad(path, guard.line_of(code, m.start()),
              f"lib/rpch may not call {m.group(1)}()")


def cycle(edges):
    """One include cycle as a list of modules, or None."""
    done, stack = set(), []

    def visit(node):
        if node in stack:
            return stack[stack.index(node):] + [node]
        if node in done:
            return None
        stack.append(node)
        for there in sorted(edges.get(node, ())):
            found = visit(there)
            if found:
                return found
        stack.pop()
        done.add(node)
        return None

    for start in sorted(edges):
        found = visit(start)
        if found:
            return found
    return None


def module(g, path):
    """A file's module: its noun. x_part.c, x_part.h are parts of x when there
    is an x.h beside them."""
    path = os.path.splitext(path)[0]
    whole = os.path.join(os.path.dirname(path), noun(path).split("_")[0])
    if os.path.isfile(os.path.join(g.root, whole + ".h")):
        return whole
    return path


def main():
    g = guard.Guard("layers")
    sources = [f for f in g.files(".c", ".h")
               if "/" not in f or f.startswith(
                   ("lib/", "tests/", "tools/", "bench/"))]
    sources = [f for f in sources if f != "config.h"]
    headers, modules = {}, {}
    seen = dict.fromkeys(("rpch", "core", "plain", "relay", "rpcproxy",
                          "front", "mod"), 0)
    for path in sources:
        text = g.read(path)
        mine = layer(path)
        if mine in seen:
            seen[mine] += 1
        code = guard.without_comments(text)
        for m in re.finditer(r"^[ \t]*#[ \t]*include[ \t]*([<\"])([^>\"]+)",
                             code, re.M):
            target = check_include(g, path, guard.line_of(code, m.start()),
                                   m.group(1), m.group(2))
            if target and target != path and path.startswith("lib/"):
                if path.endswith(".h"):
                    headers.setdefault(path, set()).add(target)
                if module(g, path) != module(g, target):
                    modules.setdefault(module(g, path), set()).add(
                        module(g, target))
        if mine == "rpch":
            check_calls(g, path, text)
    for what, edges in (("headers", headers), ("modules", modules)):
        found = cycle(edges)
        if found:
            g.bad(found[0], 0, f"include cycle of {what}: "
                  + " -> ".join(found))
    empty = [name for name, n in seen.items() if not n]
    for name in empty:
        g.bad("lib", 0, f"no file of layer {name} was found")
    g.done(len(sources), "C files")


main()
