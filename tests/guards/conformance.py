#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Guards docs/conformance.md: every RTS PDU, every cell of every machine's
table and every rule of tests/conformance has a test, the test exists, and the
document says so.

    conformance.py [ROOT]              checks, as make check does
    conformance.py [ROOT] --write      writes the document

Which tests visit a cell is measured: the unit tests of the role machines and
the replays of their fuzz targets are run, from $builddir, with $RPCH_VISITS.
"""

import glob
import os
import re
import subprocess
import sys
import tempfile

import guard

WRITE = "--write" in sys.argv
if WRITE:
    sys.argv.remove("--write")

DOCUMENT = "docs/conformance.md"
PDUS = "tests/conformance/pdus.txt"
RULES = "tests/conformance/rules.txt"
ROLES = ("inbound", "outbound", "server", "client", "mixed")
PROGRAMS = [f"tests/unit/test_{role}*" for role in ROLES + ("virtual",)] + [
    f"tests/fuzz/replay_{role}" for role in ROLES]
SHOWN = 3       # programs named for a cell
SECONDS = 600   # of one program, also under a slow instrument
END = "FINISHED"

INTRODUCTION = """\
# Conformance to MS-RPCH

What [MS-RPCH] asks for, and the test that shows it. Made by
`tests/guards/conformance.py --write`, and checked by `make check`: every test
named here exists, and every cell of the state machines is visited.

Tests named `test_NOUN_...` are in `tests/unit`, those with a file before them
in `tests/httpd` (`make check-httpd`). Section numbers are those of MS-RPCH 22.0.
**Deviation** marks what is done differently on purpose, or where the
specification leaves a choice.

[MS-RPCH]: https://learn.microsoft.com/openspecs/windows_protocols/ms-rpch/
"""

TABLES = """\
## State machines

A row for each event in each state of each table. *stay*: the event is acted
upon and the state remains; *protocol error*: the connection ends; *ignored*:
nothing happens; *impossible*: the machine's or its caller's own conduct rules
it out, and it would be reported as a bug of ours (`RPCH_E_BUG`), as the unit
tests that visit such a cell show; the simulation and the fuzzers never do. In
FINISHED nothing is read any more, so that PDUs do not get to the table at all.
The last column has programs that visit the cell; not all are named.
"""


def test_names(g):
    """Every START_TEST, and FILE::NAME of every test of tests/httpd."""
    names = set()
    for path in g.files(".c", under=["tests/unit"]):
        names.update(re.findall(r"\bSTART_TEST\s*\(\s*(\w+)", g.read(path)))
    for path in g.files(".py", under=["tests/httpd"]):
        for name in re.findall(r"^def (test_\w+)", g.read(path), re.M):
            names.add(f"{os.path.basename(path)}::{name}")
    return names


def numbered(g, path):
    """(number, text) of the lines of a file that are no comment."""
    for at, line in enumerate(g.read(path).splitlines(), 1):
        if line.strip() and not line.startswith("#"):
            yield at, line


def read_pdus(g, known):
    """Tests of each PDU."""
    found = {}
    for at, line in numbered(g, PDUS):
        name, _, tests = line.partition(": ")
        if name in found:
            g.bad(PDUS, at, f"{name} is there twice")
        found[name] = tests.split()
        check_tests(g, PDUS, at, name, found[name], known)
    return found


def check_tests(g, path, at, what, tests, known):
    if not tests:
        g.bad(path, at, f"{what} has no test")
    for test in tests:
        if test not in known:
            g.bad(path, at, f"there is no test {test}")


def read_rules(g, known):
    """(heading, [(section, rule, tests, deviation)]) in order."""
    parts, at_line, field = [], {}, None
    for at, line in numbered(g, RULES):
        if line.startswith("= "):
            parts.append((line[2:], []))
        elif line[0] in "-!":
            field = "tests" if line[0] == "-" else "deviation"
            parts[-1][1][-1][field] = line[2:]
        elif line[0] == " ":
            parts[-1][1][-1][field] += " " + line.strip()
        else:
            section, _, rule = line.partition(": ")
            field = "rule"
            parts[-1][1].append({"section": section, "rule": rule})
            at_line[id(parts[-1][1][-1])] = at
    for _, rules in parts:
        for rule in rules:
            check_tests(g, RULES, at_line[id(rule)], rule["section"],
                        rule.get("tests", "").split(), known)
    return parts


def build_folder():
    return os.environ.get("builddir", ".")


def run(g, program, **more):
    """Standard output of a program that was built."""
    path = os.path.join(build_folder(), program)
    env = dict(os.environ, CK_FORK="no", srcdir=g.root, **more)
    try:
        done = subprocess.run([os.path.abspath(path)], env=env, text=True,
                              capture_output=True, timeout=SECONDS,
                              check=False)
    except (OSError, subprocess.TimeoutExpired) as e:
        print(f"FAIL {g.name}: {program}: {e}")
        sys.exit(1)
    if done.returncode: # which is reported where it belongs
        print(f"{program} fails; what it visits may be missing here")
    return done.stdout


def rank(program, role):
    """Tests of the role itself are named first."""
    return (not program.startswith(f"test_{role.split()[0]}"), program)


def visits(g):
    """Programs that visit each (table, event, state)."""
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "visits")
        for pattern in PROGRAMS:
            programs = [p for p in glob.glob(os.path.join(
                build_folder(), pattern)) if os.access(p, os.X_OK)
                and "." not in os.path.basename(p)]
            if not programs:
                g.bad(pattern, 0, "was not built")
            for p in sorted(programs):
                run(g, os.path.relpath(p, build_folder()), RPCH_VISITS=path)
        with open(path, encoding="ascii") as f:
            for line in f:
                program, *cell = line.split()
                found.setdefault(tuple(cell), set()).add(program)
    return found


def pdu_rows(g, rows, tests):
    yield "## RTS PDUs\n"
    yield ("The bytes of each are in `tests/vectors/rts.txt`, and are made "
           "and read by\n`test_rts_table_vectors_encode_again`.\n")
    yield "| PDU | section | bytes | tests |\n| --- | --- | --- | --- |"
    for _, name, section, size in rows:
        if name not in tests:
            g.bad(PDUS, 0, f"{name} is missing")
        yield (f"| {name} | {section} | {size} | "
               f"{', '.join(tests.get(name, []))} |")
    for name in tests.keys() - {row[1] for row in rows}:
        g.bad(PDUS, 0, f"there is no PDU {name}")
    yield ""


def rule_rows(parts):
    for heading, rules in parts:
        yield f"## {heading}\n"
        yield "| section | rule | tests |\n| --- | --- | --- |"
        for r in rules:
            text = r["rule"]
            if "deviation" in r:
                text += f" **Deviation:** {r['deviation']}"
            yield (f"| {r['section']} | {text} | "
                   f"{', '.join(r['tests'].split())} |")
        yield ""


def cell_rows(g, cells, visited):
    yield TABLES
    role = None
    for table, of, event, event_name, state, state_name, what in cells:
        if of != role:
            role = of
            yield f"\n### {role[0].upper() + role[1:]}\n"
            yield ("| event | state | what happens | visited by |\n"
                   "| --- | --- | --- | --- |")
        by = visited.get((table, event, state), set())
        idle = what == "ignored" and state_name == END
        if not by and what != "impossible" and not idle:
            g.bad(role, 0, f"no test visits {event_name} in {state_name}")
        units = [p for p in by if not p.startswith("replay_")] or by
        shown = sorted(units, key=lambda p: rank(p, of))[:SHOWN]
        yield (f"| {event_name} | {state_name} | {what} | "
               f"{', '.join(shown)} |")
    yield ""


def tables(g):
    """The rows of tests/conformance/tables: PDUs and cells."""
    lines = [line.split("|") for line in
             run(g, "tests/conformance/tables").splitlines()]
    return ([line[1:] for line in lines if line[0] == "pdu"],
            [line[1:] for line in lines if line[0] == "cell"])


def main():
    g = guard.Guard("conformance")
    known = test_names(g)
    tests = read_pdus(g, known)
    parts = read_rules(g, known)
    n = len(tests) + sum(len(rules) for _, rules in parts)
    if g.offences or not n:
        g.done(n, "rules")
    pdus, cells = tables(g)
    text = INTRODUCTION + "\n" + "\n".join(
        list(pdu_rows(g, pdus, tests)) + list(rule_rows(parts))
        + list(cell_rows(g, cells, visits(g))))
    if WRITE:
        with open(os.path.join(g.root, DOCUMENT), "w", encoding="utf-8") as f:
            f.write(text)
    elif g.read(DOCUMENT) != text:
        g.bad(DOCUMENT, 0, "is not what the tests show now: write it again by "
              "`make conformance`")
    g.done(n + len(cells), "PDUs, rules and cells")


main()
