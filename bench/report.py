#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the measured part of docs/performance.md from what a run left in
bench/out (table.md): everything between the two marks there. The prose around
them is written by hand.

    bench/report.py [--out bench/out ...] [--doc docs/performance.md]

Several folders: the tables of several runs, one after the other.
"""

import argparse
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
BEGIN = "<!-- measured: written by bench/report.py from bench/out -->"
END = "<!-- end of what was measured -->"


def read_summary(text):
    """case -> (ours, reference, reference's name, ratio), as written."""
    lines = text.splitlines()[1:]
    return {cells[0]: tuple(cells[1:])
            for cells in (line.split("\t") for line in lines)}


def insert(doc, measured):
    """The document with its measured part replaced."""
    if doc.count(BEGIN) != 1 or doc.count(END) != 1:
        raise ValueError("the document does not have its two marks")
    before, rest = doc.split(BEGIN)
    after = rest.split(END)[1]
    return f"{before}{BEGIN}\n\n{measured.strip()}\n\n{END}{after}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--out", type=Path, nargs="+",
                        default=[HERE / "out"])
    parser.add_argument("--doc", type=Path,
                        default=HERE.parent / "docs" / "performance.md")
    options = parser.parse_args()
    try:
        measured = "\n\n".join((out / "table.md").read_text().strip()
                               for out in options.out)
        doc = insert(options.doc.read_text(), measured)
    except (OSError, ValueError) as error:
        print(f"report: {error}", file=sys.stderr)
        return 1
    options.doc.write_text(doc)
    return 0


if __name__ == "__main__":
    sys.exit(main())
