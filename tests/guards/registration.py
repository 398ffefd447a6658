#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Guards that nothing is forgotten: every START_TEST is added to a test case,
every unit test and every source is in Makefile.am, and every noun of lib/rpch
has a unit test."""

import os
import re

import guard

# Nouns of lib/rpch without a unit test of their own: what all others share.
SHARED = {"rpch", "machine"}


def check_tests(g, path):
    text = guard.without_comments(g.read(path))
    tests = re.findall(r"\bSTART_TEST\s*\(\s*(\w+)\s*\)", text)
    noun = os.path.basename(path)[len("test_"):-len(".c")]
    added = re.findall(r"\btcase_add_(?:loop_)?test(?:_raise_signal)?"
                       r"\s*\(\s*\w+\s*,\s*(\w+)", text)
    for name in tests:
        if name not in added:
            g.bad(path, 0, f"{name} is never added by tcase_add_test")
        if not name.startswith("test_"):
            g.bad(path, 0, f"{name} is not called test_{noun}_<case>")
    for name in added:
        if name not in tests:
            g.bad(path, 0, f"{name} is added, but no START_TEST")
    if not tests:
        g.bad(path, 0, "has no START_TEST")
    return len(tests)


def main():
    g = guard.Guard("registration")
    makefile = g.read("Makefile.am")
    listed = set(re.findall(r"[\w./-]+", makefile))
    units = g.files(".c", under=["tests/unit"])
    n = 0
    for path in units:
        if os.path.basename(path).startswith("test_"):
            n += check_tests(g, path)
            if path[:-2] not in listed:
                g.bad(path, 0, "is not in Makefile.am")
    for path in g.files(".sh", under=["tests/unit"]):
        if path not in listed:
            g.bad(path, 0, "is not in Makefile.am")
    for path in g.files(".c", ".h", under=["lib", "tools", "tests/conformance",
                                         "tests/fuzz"]):
        if path not in listed:
            g.bad(path, 0, "is not in Makefile.am")
    for path in g.files(".py", ".sh", under=["tests/guards"]):
        if path not in listed:
            g.bad(path, 0, "is not in Makefile.am")
    names = {os.path.basename(u)[5:-2] for u in units}
    for path in g.files(".h", under=["lib/rpch"]):
        noun = os.path.basename(path)[:-2]
        # x_part.h is tested with x.
        if not names & {noun, noun.split("_")[0]} and noun not in SHARED:
            g.bad(path, 0, f"has no tests/unit/test_{noun}.c")
    g.done(n, "unit tests")


main()
