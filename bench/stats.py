# SPDX-License-Identifier: Apache-2.0
"""Arithmetic and tables of the benchmarks: medians over rounds, their spread,
ratios, and the two forms in which results are written.

A Row is one line of the result: a case, what we measured in each round, what
the reference measured in the same rounds (or nothing), and which way is good.
"""

from dataclasses import dataclass, field

COLUMNS = ("case", "ours", "reference", "reference-name", "ratio")


def median(values):
    """The middle of a list of numbers; None of an empty one."""
    ordered = sorted(values)
    n = len(ordered)
    if not n:
        return None
    if n % 2:
        return ordered[n // 2]
    return (ordered[n // 2 - 1] + ordered[n // 2]) / 2


def percentile(values, percent):
    """The smallest value that so many percent are not above."""
    ordered = sorted(values)
    if not ordered:
        return None
    rank = -(-len(ordered) * percent // 100)
    return ordered[max(0, min(len(ordered), int(rank)) - 1)]


def spread(values):
    """(largest - smallest) / median, the width of what rounds gave; None
    where there is nothing to compare, or where differences are below 0."""
    middle = median(values)
    if len(values) < 2 or middle <= 0 or min(values) < 0:
        return None
    return (max(values) - min(values)) / middle


def ratio_of_rounds(ours, reference):
    """The median of the ratios round by round when both were measured in the
    same rounds, else the ratio of the medians; None without a reference. A
    disturbance of one round then spoils one of the ratios only."""
    if not ours or not reference:
        return None
    if len(ours) == len(reference) and all(reference):
        return median([a / b for a, b in zip(ours, reference)])
    below = median(reference)
    return median(ours) / below if below else None


def number(value):
    """A number with the digits that it deserves."""
    if value is None:
        return "-"
    if isinstance(value, str):
        return value
    if value == 0:
        return "0"
    if abs(value) >= 100:
        return f"{value:.0f}"
    return f"{value:.3g}"


def percent(value):
    """A part of one as a whole number of percent."""
    return "-" if value is None else f"{100 * value:.0f}%"


@dataclass
class Row:
    """One case: the rounds of ours and of the reference."""

    case: str
    ours: list = field(default_factory=list)
    reference: list = field(default_factory=list)
    name: str = "-"
    #: What the ratio must not be above (or below, when negative): the goal.
    at_most: float = None
    at_least: float = None
    #: When given, a goal for ours itself and not for the ratio.
    absolute: bool = False
    #: The ratio is that of the medians: where rounds are small differences of
    #: large numbers, a ratio of each round would be mostly noise.
    of_medians: bool = False

    def ratio(self):
        if self.of_medians and self.ours and self.reference:
            below = median(self.reference)
            return median(self.ours) / below if below > 0 else None
        return ratio_of_rounds(self.ours, self.reference)

    def verdict(self):
        """"yes", "no", or "" when there is no goal, or nothing measured."""
        value = median(self.ours) if self.absolute else self.ratio()
        if value is None or (self.at_most is None and self.at_least is None):
            return ""
        good = ((self.at_most is None or value <= self.at_most)
                and (self.at_least is None or value >= self.at_least))
        return "yes" if good else "no"

    def goal(self):
        what = "" if self.absolute else " x"
        if self.at_most is not None:
            return f"<= {number(self.at_most)}{what}"
        if self.at_least is not None:
            return f">= {number(self.at_least)}{what}"
        return ""

    def tsv(self):
        return "\t".join((self.case, number(median(self.ours)),
                          number(median(self.reference)), self.name,
                          number(self.ratio())))

    def cells(self):
        """What the table shows."""
        return (self.case, number(median(self.ours)), percent(spread(self.ours)),
                number(median(self.reference)), percent(spread(self.reference)),
                self.name, number(self.ratio()), self.goal(), self.verdict())


TABLE_HEAD = ("case", "ours", "spread", "reference", "spread",
              "reference's name", "ratio", "goal", "reached")


def table(rows):
    """Rows as aligned text."""
    lines = [TABLE_HEAD] + [row.cells() for row in rows]
    widths = [max(len(line[i]) for line in lines)
              for i in range(len(TABLE_HEAD))]
    left = (0, 5)
    text = []
    for line in lines:
        cells = [c.ljust(w) if i in left else c.rjust(w)
                 for i, (c, w) in enumerate(zip(line, widths))]
        text.append("  ".join(cells).rstrip())
    return "\n".join(text) + "\n"


def markdown(rows):
    """Rows as a table of Markdown."""
    lines = ["| " + " | ".join(TABLE_HEAD) + " |",
             "|---|" + "---:|" * 4 + "---|---:|---:|---|"]
    lines += ["| " + " | ".join(row.cells()) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def summary(rows):
    """Rows as tab separated values, the first line naming the columns."""
    return "\n".join(["\t".join(COLUMNS)] + [r.tsv() for r in rows]) + "\n"
