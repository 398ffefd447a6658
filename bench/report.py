#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the measured parts of docs/performance.md from what a run left in
bench/out (table.md): everything between two marks there. The prose around
them is written by hand.

    bench/report.py [--front] [--out bench/out ...] [--doc docs/performance.md]

--front: the part of the front role, which has marks of its own, and both peers
in one line; without it the front role is left out. Several folders: the tables of several runs, one after the other.
"""

import argparse
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
BEGIN = "<!-- measured: written by bench/report.py from bench/out -->"
END = "<!-- end of what was measured -->"
#: Of the front role.
FRONT = ("<!-- front: written by bench/report.py --front from bench/out -->",
         "<!-- end of the front's -->")


#: Of the front role: one line for both peers.
FRONT_HEAD = ("case", "front", "spread", "HAProxy", "spread", "ratio",
              "mod_proxy_http", "spread", "ratio")


def cells_of(line):
    return [cell.strip() for cell in line.strip("|").split("|")]


def verdict(cells):
    """The ratio, and that a goal was missed."""
    return cells[6] + (": no" if cells[8] == "no" else "")


def pairs(text):
    """A run's text with the lines of a case and of its "-vs-mod_proxy_http"
    as one."""
    lines = text.splitlines()
    rows = {cells_of(line)[0]: cells_of(line) for line in lines
            if line.startswith("| front-")}
    table = ["| " + " | ".join(FRONT_HEAD) + " |",
             "|---|" + "---:|" * (len(FRONT_HEAD) - 1)]
    for case, ours in rows.items():
        if "-vs-" in case:
            continue
        stock = rows.get(f"{case}-vs-mod_proxy_http", ["-"] * len(ours))
        table.append("| " + " | ".join((*ours[:5], verdict(ours), stock[3],
                                        stock[4], verdict(stock))) + " |")
    at = next(i for i, line in enumerate(lines) if line.startswith("|"))
    rest = [line for line in lines[at:] if not line.startswith("|")]
    return "\n".join([*lines[:at], *table, *rest])


def without_front(text):
    """A run's text without the lines of the front role, which has a part of
    its own."""
    return "\n".join(line for line in text.splitlines()
                     if not line.startswith("| front-"))


def insert(doc, measured, marks=(BEGIN, END)):
    """The document with what is between two marks replaced."""
    begin, end = marks
    if doc.count(begin) != 1 or doc.count(end) != 1:
        raise ValueError("the document does not have its two marks")
    before, rest = doc.split(begin)
    after = rest.split(end)[1]
    return f"{before}{begin}\n\n{measured.strip()}\n\n{end}{after}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--out", type=Path, nargs="+",
                        default=[HERE / "out"])
    parser.add_argument("--doc", type=Path,
                        default=HERE.parent / "docs" / "performance.md")
    parser.add_argument("--front", action="store_true")
    options = parser.parse_args()
    try:
        texts = [(out / "table.md").read_text() for out in options.out]
        form = pairs if options.front else without_front
        texts = [form(text) for text in texts]
        measured = "\n\n".join(text.strip() for text in texts)
        doc = insert(options.doc.read_text(), measured,
                     FRONT if options.front else (BEGIN, END))
    except (OSError, ValueError, StopIteration) as error:
        print(f"report: {error}", file=sys.stderr)
        return 1
    options.doc.write_text(doc)
    return 0


if __name__ == "__main__":
    sys.exit(main())
