# SPDX-License-Identifier: Apache-2.0
"""What the soak watches: samples of memory, descriptors, threads and table
entries, whether they stay flat, and the lines of the error logs.

Samples of a server at work go up and down with its clients. So flatness is
judged twice: medians of whole cycles against each other, and the moments
without any client (the marks), where what is left is what leaked.
"""

import re
import threading
import time

import proc
import stats

COLUMNS = ("seconds", "server", "phase", "processes", "threads",
           "descriptors", "pss_kb", "rss_kb", "anon_kb", "shmem_kb",
           "parent_rss_kb", "entries",
           "channels_in", "channels_out", "children", "reaped", "recycled")

#: Tags of lines that a soak brings about, and why. Everything else of level
#: warn and above is unexplained.
EXPLAINED = {
    "RPX0302": "a child process was killed",
    "RPX0325": "a successor of a connection that a kill had ended",
    "RPX0326": "a successor of a connection that was ending",
    "RPX0330": "the back end was down",
    "RPX0331": "the back end was killed while a channel opened",
    "AH00052": "a child process was killed",
    "AH00094": "start", "AH00489": "start", "AH00490": "start",
    "AH00491": "the end", "AH00492": "start",
    "AH00493": "a graceful restart",
    "AH10031": "start", "AH00163": "start", "AH00292": "start",
}
#: The same, but only with this text.
EXPLAINED_TEXT = (
    (re.compile(r"AH0002[0-9]: long lost child came home"),
     "a child process was killed"),
)

LINE = re.compile(r"\[[^\]]+\] \[(?P<module>[^:\]]*):(?P<level>\w+)\] "
                  r"\[pid (?P<pid>\d+)(?::tid \d+)?\] (?P<text>.*)", re.S)
TAG = re.compile(r"\b(RPX\d{4}|AH\d{5})\b")
HARMLESS = {"notice", "info", "debug"}


def explain(raw):
    """Why a line of the error log may be there, or None."""
    match = LINE.match(raw)
    tag = TAG.search(raw)
    if tag and tag.group(1) in EXPLAINED:
        return EXPLAINED[tag.group(1)]
    for pattern, why in EXPLAINED_TEXT:
        if pattern.search(raw):
            return why
    if match and (match["level"] in HARMLESS
                  or match["level"].startswith("trace")):
        return "level " + match["level"]
    return None


def read_log(path):
    """(tag or level -> how many, lines that nothing explains)."""
    counts, bad = {}, []
    try:
        text = path.read_text(errors="replace")
    except OSError as error:
        return counts, [str(error)]
    for raw in filter(None, text.split("\n")):
        tag = TAG.search(raw)
        key = tag.group(1) if tag else "(no tag)"
        counts[key] = counts.get(key, 0) + 1
        if explain(raw) is None:
            bad.append(raw)
    return counts, bad


def sample(httpd, began, phase):
    """One line of the samples' file, as a dict."""
    pids = proc.tree(httpd.pid)
    try:
        status = httpd.status()
    except (OSError, ValueError):
        status = {}
    return dict(zip(COLUMNS, (
        round(time.monotonic() - began, 1), httpd.name, phase, len(pids),
        sum(map(proc.threads, pids)), sum(map(proc.descriptors, pids)),
        proc.memory_kb(pids), sum(map(proc.rss_kb, pids)),
        sum(proc.rss_kb(p, "RssAnon") for p in pids),
        sum(proc.rss_kb(p, "RssShmem") for p in pids),
        proc.rss_kb(httpd.pid), status.get("connections", ""),
        status.get("channels_in", ""), status.get("channels_out", ""),
        status.get("children", ""), status.get("channels_reaped", ""),
        status.get("channels_recycled_r1", 0)
        + status.get("channels_recycled_r2", 0) if status else "")))


class Watch(threading.Thread):
    """Samples every httpd each so many seconds into a file."""

    def __init__(self, httpds, path, every=10.0):
        super().__init__(daemon=True)
        self.httpds, self.every = httpds, every
        self.began = time.monotonic()
        self.samples, self.lock = [], threading.Lock()
        self.phase = "work"
        self.done = threading.Event()
        path.parent.mkdir(parents=True, exist_ok=True)
        self.file = open(path, "w", buffering=1)
        self.file.write("\t".join(COLUMNS) + "\n")

    def take(self, phase=None):
        """Samples all servers now; returns the samples by server."""
        taken = {}
        for httpd in self.httpds:
            one = sample(httpd, self.began, phase or self.phase)
            taken[httpd.name] = one
            with self.lock:
                self.samples.append(one)
                self.file.write("\t".join(str(one[c]) for c in COLUMNS)
                                + "\n")
        return taken

    def run(self):
        while not self.done.wait(self.every):
            self.take()

    def stop(self):
        self.done.set()
        self.join(60)
        self.file.close()


def of_server(samples, name, phase):
    return [s for s in samples if s["server"] == name and s["phase"] == phase]


def cycle_medians(samples, column, cycle):
    """Medians of a column over cycles of so many seconds; a last cycle with
    less than half of its samples is left out."""
    cycles = {}
    for one in samples:
        if one[column] != "":
            cycles.setdefault(int(one["seconds"] // cycle), []).append(
                one[column])
    if not cycles:
        return []
    full = max(map(len, cycles.values()))
    return [stats.median(v) for _, v in sorted(cycles.items())
            if 2 * len(v) >= full]


def drift(medians, skip):
    """How much the mean of the last third of the cycles is above that of the
    first third, as a part of the latter; skip cycles at the start do not
    count. None when there are too few."""
    medians = medians[skip:]
    third = len(medians) // 3
    if not third:
        return None
    first = sum(medians[:third]) / third
    last = sum(medians[-third:]) / third
    return (last - first) / first if first else None


#: What medians of cycles at work may grow over the soak, as a part. How many
#: connections there are is chance, and so is what they have open; on a server
#: that is restarted it also follows the generations that drain, so there only
#: the parent counts.
DRIFT_MAX = {"anon_kb": 0.10, "parent_rss_kb": 0.10, "descriptors": 0.3,
             "entries": 0.5}
DRIFT_OF_PARENT = ("parent_rss_kb",)
#: What may be more at the second mark than at the first, for each process.
MARK_ALLOWANCE = {"descriptors": 0, "threads": 0, "entries": 0,
                  "channels_in": 0, "channels_out": 0}
#: What memory may be more then: a part, and kB. Of shared tables (ours, and
#: mod_ssl's cache of sessions) a process has the pages that it has touched.
MARK_MEMORY = {"anon_kb": (0.05, 256), "shmem_kb": (0.10, 512),
               "parent_rss_kb": (0.05, 256)}


def judge_work(samples, name, cycle, skip, columns=tuple(DRIFT_MAX)):
    """(text, good) for each of these columns of the samples at work."""
    work = of_server(samples, name, "work")
    verdicts = []
    for column in columns:
        most = DRIFT_MAX[column]
        grown = drift(cycle_medians(work, column, cycle), skip)
        if grown is None:
            verdicts.append((f"{name} {column}: too short to tell", True))
            continue
        verdicts.append((f"{name} {column}: the last third of the cycles "
                         f"{100 * grown:+.1f}% against the first",
                         grown <= most))
    return verdicts


def judge_marks(first, last, same_children):
    """(text, good) for what was there without clients, early and late. With
    same_children the processes are the same ones and their memory counts."""
    verdicts = []
    name = first["server"]
    for column, allowed in MARK_ALLOWANCE.items():
        a, b = first[column], last[column]
        if a == "" or b == "":
            verdicts.append((f"{name} {column}: the status page did not "
                             "answer", False))
            continue
        verdicts.append((f"{name} without clients, {column}: {a} early, "
                         f"{b} late", b - a <= allowed * last["processes"]))
    for column, (part, more) in MARK_MEMORY.items():
        a, b = first[column], last[column]
        counts = same_children or column == "parent_rss_kb"
        good = not counts or b - a <= part * a + more
        verdicts.append((f"{name} without clients, {column}: {a} early, "
                         f"{b} late" + ("" if counts else
                                        " (new processes, no goal)"), good))
    return verdicts
