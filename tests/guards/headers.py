#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Guards the headers: every function declared or defined in one has a comment
directly above it, and the file says in a comment what it is."""

import re

import guard


def statements(code):
    """(offset, text) of what ends with ; or a body, outside braces."""
    start = depth = 0
    for at, c in enumerate(code):
        if c == "{":
            depth += 1
        elif c == "}":
            depth -= 1
            if not depth and re.match(r"\s*(?!\s*[;\w*])", code[at + 1:]):
                yield start, code[start:at + 1]
                start = at + 1
        elif c == ";" and not depth:
            yield start, code[start:at + 1]
            start = at + 1


def function_name(text):
    """The name of the function that a statement declares, or None."""
    head = text.split("{")[0]
    if re.match(r"\s*(struct|union|enum)\s+\w*\s*$", head):
        return None
    if re.match(r"\s*typedef\b", head) and "{" in text:
        return None
    m = re.search(r"(\w+)\s*\(", head)
    # A macro such as APLOG_USE_MODULE(x) is none.
    return m.group(1) if m and not m.group(1).isupper() else None


def main():
    g = guard.Guard("headers")
    n = 0
    for path in g.files(".h"):
        if path == "config.h":
            continue
        text = g.read(path)
        if not text.startswith("/* SPDX-License-Identifier: Apache-2.0 */\n"):
            g.bad(path, 1, "does not begin with its licence line")
        if not re.match(r"[^\n]*\n/\*", text):
            g.bad(path, 2, "does not say what it is")
        code = guard.without_preprocessor(guard.code_only(text))
        for offset, statement in statements(code):
            name = function_name(statement)
            if not name:
                continue
            n += 1
            first = offset + len(statement) - len(statement.lstrip())
            if not re.search(r"\*/[ \t]*\n[ \t]*\Z", text[:first]):
                g.bad(path, guard.line_of(text, first),
                      f"no comment directly above {name}")
    g.done(n, "functions in headers")


main()
