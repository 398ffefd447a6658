# SPDX-License-Identifier: Apache-2.0
"""What /proc says of a set of processes: CPU time, memory, descriptors,
threads.

CPU is the run time of all threads by the scheduler's own account (schedstat,
nanoseconds), and where that is not there utime + stime in clock ticks. Memory
is Pss, the proportional set size, added up over the processes of one server:
a page that several of them share is counted once, which neither forgets the
shared table nor counts it once for each child.
"""

import os
from dataclasses import dataclass
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


def _read(path):
    try:
        return Path(path).read_text()
    except OSError:      # the process or thread has ended
        return ""


def children(pid):
    """The pids of a process's children."""
    text = _read(f"/proc/{pid}/task/{pid}/children")
    return [int(p) for p in text.split()]


def tree(pid):
    """A process, its children, and theirs."""
    found = [pid]
    for child in found:
        found += children(child)
    return found


def parse_stat(text):
    """The fields of /proc/PID/stat from the state on; the name before it may
    hold blanks and parentheses."""
    return text[text.rfind(")") + 2:].split()


def cpu_ticks(pid):
    """utime + stime of a process, in seconds."""
    fields = parse_stat(_read(f"/proc/{pid}/stat"))
    if len(fields) < 13:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / TICKS


def cpu_of(pid):
    """CPU seconds of one process, all of its living threads."""
    total = 0
    try:
        tasks = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return 0.0
    for task in tasks:
        fields = _read(f"/proc/{pid}/task/{task}/schedstat").split()
        if not fields:
            return cpu_ticks(pid)
        total += int(fields[0])
    # Threads that have ended are in the ticks only.
    return max(total / 1e9, cpu_ticks(pid))


def cpu(pids):
    """CPU seconds of processes together."""
    return sum(map(cpu_of, pids))


def parse_rollup(text):
    """smaps_rollup (or smaps): field -> kB."""
    found = {}
    for line in text.splitlines():
        words = line.split()
        if len(words) == 3 and words[2] == "kB":
            found[words[0].rstrip(":")] = int(words[1])
    return found


def memory_kb(pids):
    """Pss of processes together, kB."""
    return sum(parse_rollup(_read(f"/proc/{pid}/smaps_rollup")).get("Pss", 0)
               for pid in pids)


def rss_kb(pid, part="VmRSS"):
    """The resident set of one process, kB: what top shows. Or a part of it:
    RssAnon is what it has for itself, RssShmem its pages of shared tables."""
    for line in _read(f"/proc/{pid}/status").splitlines():
        if line.startswith(part + ":"):
            return int(line.split()[1])
    return 0


def descriptors(pid):
    """How many descriptors a process has open."""
    try:
        return len(os.listdir(f"/proc/{pid}/fd"))
    except OSError:
        return 0


def threads(pid):
    """How many threads a process has."""
    try:
        return len(os.listdir(f"/proc/{pid}/task"))
    except OSError:
        return 0


@dataclass(frozen=True)
class Snapshot:
    """Sums over the processes of one server."""

    cpu: float
    memory_kb: int
    rss_kb: int
    descriptors: int
    threads: int
    processes: int


def snapshot(pid):
    """What the tree under pid uses now."""
    pids = tree(pid)
    return Snapshot(cpu(pids), memory_kb(pids), sum(map(rss_kb, pids)),
                    sum(map(descriptors, pids)), sum(map(threads, pids)),
                    len(pids))


def machine():
    """Lines that say what this was measured on."""
    model = "unknown"
    for line in _read("/proc/cpuinfo").splitlines():
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
            break
    total = parse_rollup(_read("/proc/meminfo")).get("MemTotal", 0)
    return [f"CPU: {os.cpu_count()} x {model}",
            f"Memory: {total / 1048576:.1f} GiB",
            f"Kernel: {os.uname().sysname} {os.uname().release}"]
