# SPDX-License-Identifier: Apache-2.0
"""httpd's logs: read since a mark, and judged: an error-log line that no
test expects fails the test."""

import os
import re

import env

LINE = re.compile(
    r"\[[^\]]+\] \[(?P<module>[^:\]]*):(?P<level>\w+)\] "
    r"\[pid (?P<pid>\d+)(?::tid (?P<tid>\d+))?\] (?P<text>.*)", re.S)
BAD = {"warn", "error", "crit", "alert", "emerg"}
SANITIZER = re.compile(r"AddressSanitizer|LeakSanitizer|ThreadSanitizer|"
                       r"MemorySanitizer|runtime error:|SUMMARY: Undefined")


class Line:
    """One line of the error log."""

    def __init__(self, raw):
        self.raw = raw
        match = LINE.match(raw)
        self.level = match["level"] if match else "unknown"
        self.module = match["module"] if match else ""
        self.pid = int(match["pid"]) if match else 0
        self.text = match["text"] if match else raw

    @property
    def bad(self):
        return (self.level in BAD or self.level == "unknown"
                or bool(SANITIZER.search(self.raw)))

    def __repr__(self):
        return self.raw


class Access:
    """One line of the access log."""

    def __init__(self, raw):
        (pid, self.channel, self.connection, status, self.user, self.target,
         self.end, self.host, self.request) = raw.split("\t", 8)
        self.pid, self.status = int(pid), int(status)
        self.raw = raw

    def __repr__(self):
        return self.raw


class File:
    """A log file that is read from marks."""

    def __init__(self, path):
        self.path = path

    def mark(self):
        """Where the next line begins; one that is still being written, which
        a file shows page by page, comes behind it."""
        if not self.path.exists():
            return 0
        with open(self.path, "rb") as f:
            size = f.seek(0, os.SEEK_END)
            f.seek(max(0, size - 8192))
            tail = f.read(min(size, 8192))
        return size - (len(tail) - (tail.rfind(b"\n") + 1))

    def since(self, mark):
        if not self.path.exists():
            return []
        with open(self.path, "rb") as f:
            f.seek(mark)
            text = f.read().decode(errors="replace")
        return text.split("\n")[:-1]     # a line without end comes later


def bad_lines(lines):
    """The lines of level warn and above, and what is no log line."""
    return [line for line in map(Line, filter(None, lines)) if line.bad]


class Guard:
    """What one test expects of the error logs of all httpds."""

    def __init__(self):
        self.patterns = []       # [regex, required]
        self.marks = {}

    def watch(self, httpd):
        self.marks.setdefault(httpd, httpd.errors.mark()
                              if httpd.started_before_test else 0)

    def expect(self, *patterns):
        """Each pattern must match a line of this test."""
        self.patterns += [(re.compile(p), True) for p in patterns]

    def allow(self, *patterns):
        """Lines that match are no failure."""
        self.patterns += [(re.compile(p), False) for p in patterns]

    def lines(self):
        return [Line(raw) for httpd, mark in self.marks.items()
                for raw in httpd.errors.since(mark) if raw]

    def missing(self):
        raw = [line.raw for line in self.lines()]
        return [p.pattern for p, required in self.patterns
                if required and not any(p.search(r) for r in raw)]

    def tries(self, least, most=60):
        """Counts tries, at least so many, until each line that is expected
        has come: which member a balancer gives a target is luck."""
        for n in range(most):
            if n >= least and not self.missing():
                return
            yield n

    def verify(self):
        try:
            env.wait_until(lambda: not self.missing(), "log lines", 30)
        except env.Timeout:
            raise AssertionError(
                f"not in the error log: {self.missing()}") from None
        forgiven = {raw for httpd in self.marks for raw in httpd.forgiven}
        bad = [line.raw for line in self.lines()
               if line.bad and line.raw not in forgiven
               and (SANITIZER.search(line.raw)
                    or not any(p.search(line.raw)
                               for p, _ in self.patterns))]
        if bad:
            raise AssertionError("unexpected in the error log:\n"
                                 + "\n".join(bad[:40]))
