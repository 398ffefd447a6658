# SPDX-License-Identifier: Apache-2.0
"""rpch-load from Python: its servers and clients as processes, its line of
results as a dict, and the results of several of them as one."""

import json
import os
import signal
import time
from pathlib import Path

import proc
import rig as rig_

LOAD = Path(os.environ.get("RPCH_LOAD", "./rpch-load"))
WINDOWS = {256: 262144, 64: 65536}


def program():
    if not LOAD.exists():
        raise rig_.Failed(f"there is no {LOAD}: make")
    return LOAD.resolve()


class Server:
    """The RPC server behind all proxies; one process, one thread."""

    def __init__(self, rig, window=256):
        self.rig, self.window = rig, window
        self.port = rig.ports.new()
        ready = rig.file("port")
        self.process = rig.start(
            "server", [program(), "server", "--listen",
                       f"127.0.0.1:{self.port}", "--port-file", ready,
                       "--window", WINDOWS[window]])
        self.process.wait_ready(lambda: ready.exists()
                                and rig_.can_connect(self.port))

    def target(self, name):
        return f"{name}:{self.port}"


def parse_line(text, what="rpch-load"):
    """The last line of results in what a client printed."""
    for line in reversed(text.splitlines()):
        if line.startswith("{"):
            try:
                return json.loads(line)
            except ValueError:
                break
    raise rig_.Failed(f"{what} printed no results:\n{text[-2000:]}")


class Client:
    """One rpch-load client; ready() when its connections are open, go()
    begins what is measured, result() waits for its line."""

    def __init__(self, rig, name, argv, wait=True):
        self.rig, self.name = rig, name
        self.ready_file = rig.file("ready")
        argv = [str(a) for a in argv]
        more = ["--ready-file", str(self.ready_file)]
        if wait:
            more.append("--wait")
        self.argv = [str(program()), argv[0], *more, *argv[1:]]
        self.process = rig.start(name, self.argv)
        self.lines_seen = 0

    def ready(self, timeout=120):
        self.process.wait_ready(self.ready_file.exists, timeout)
        return self

    def go(self):
        os.kill(self.process.pid, signal.SIGUSR1)

    def text(self):
        return self.process.output.read_text(errors="replace")

    def lines(self):
        return [line for line in self.text().splitlines()
                if line.startswith("{")]

    def next_line(self, timeout=30):
        """SIGUSR1 in idle mode: the results since the last one."""
        before = len(self.lines())
        os.kill(self.process.pid, signal.SIGUSR1)
        rig_.wait_until(lambda: len(self.lines()) > before,
                        f"{self.name} to print its line", timeout)
        return parse_line(self.lines()[-1])

    def result(self, timeout=180):
        code = self.process.wait(timeout)
        self.rig.processes.remove(self.process)
        return self.checked(code)

    def end(self, timeout=60):
        """Asks for the end; the results."""
        code = self.rig.stop(self.process, signal.SIGTERM, timeout)
        return self.checked(code)

    def checked(self, code):
        text = self.text()
        found = parse_line(text, " ".join(self.argv))
        if code or found["errors"]:
            said = "\n".join(line for line in text.splitlines()
                             if not line.startswith("{"))
            raise rig_.Failed(
                f"{' '.join(self.argv)}\nended with status {code}: "
                f"{found['errors']}\n{said[-800:]}")
        return found


def client_argv(via, port, servers, connections=1, tls=False, window=256,
                target=None, more=()):
    """The options that all modes share."""
    ports = port if isinstance(port, (list, tuple)) else [port]
    argv = ["client", "--via", via, "--connect",
            ",".join(f"127.0.0.1:{p}" for p in ports),
            "--connections", connections, "--window", WINDOWS[window]]
    if via == "connect":
        argv += ["--target", ",".join(f"127.0.0.1:{s.port}"
                                      for s in servers)]
    elif via != "raw":
        argv += ["--target", ",".join(s.target(target) for s in servers)]
    if tls:
        argv.append("--tls")
    return argv + list(more)


def cost(clients, pid, timeout=180, seconds=None):
    """Lets clients that are ready begin, waits for their end, or ends them
    after so many seconds. Returns (results, CPU seconds of the server under
    pid meanwhile). What it costs to end connections is not part of it where
    they are ended: after few calls it would be most of it."""
    pids = proc.tree(pid) if pid else []
    before, began = proc.cpu(pids), time.monotonic()
    for client in clients:
        client.go()
    if seconds is None:
        results = [client.result(timeout) for client in clients]
        return results, proc.cpu(pids) - before
    time.sleep(seconds)
    looked = time.monotonic()
    cpu = proc.cpu(pids) - before
    # It takes a while to read that of many threads, and calls go on.
    passed = (looked + time.monotonic()) / 2 - began
    results = [client.end(timeout) for client in clients]
    return results, cpu * max(r["seconds"] for r in results) / passed


def merge_histograms(lists):
    """[lower, width, count] of several processes as one list."""
    counts, widths = {}, {}
    for buckets in lists:
        for lower, width, count in buckets:
            counts[lower] = counts.get(lower, 0) + count
            widths[lower] = width
    return [[low, widths[low], counts[low]] for low in sorted(counts)]


def histogram_percentile(buckets, percent):
    """In microseconds: the middle of the bucket in which so many percent of
    the calls are reached; None when there is none."""
    total = sum(b[2] for b in buckets)
    if not total:
        return None
    need, seen = total * percent / 100, 0
    for lower, width, count in buckets:
        seen += count
        if seen >= need:
            return (lower + width / 2) / 1000
    return None


def merge(results):
    """Several processes that ran at the same time as one result."""
    if len(results) == 1:
        return results[0]
    buckets = merge_histograms([r["histogram"] for r in results])
    one = {key: sum(r[key] for r in results)
           for key in ("connections", "open", "opened", "bytes", "mb_per_s",
                       "calls", "calls_per_s", "cpu_s")}
    one.update(
        seconds=max(r["seconds"] for r in results),
        calls_min=min(r.get("calls_min", 0) for r in results),
        histogram=buckets, errors={},
        opens_per_s=sum(r.get("opens_per_s", 0) for r in results),
        p50_us=histogram_percentile(buckets, 50),
        p99_us=histogram_percentile(buckets, 99))
    return one
