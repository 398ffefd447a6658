#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""An hour of churn: clients that come, call, recycle their channels and go or
are killed, back ends and httpd's children that are killed, and graceful
restarts; memory, descriptors and table entries must stay flat, and every line
of the error log must be explained.

Two httpds run side by side. "steady" is never restarted and none of its
children is killed, so that what leaks shows; "restarted" gets graceful
restarts and kills, so that what they leave behind shows.

"steady" runs without malloc's caches of the threads (glibc's tcache, some ten
kB each): they fill for hours as one thread after the other meets each size of
block, and a leak would hide behind them. --tcache lets it have them.

    make soak SOAK_MINUTES=60
    bench/soak.py --minutes 60 [--graceful 300] [--clients 24]

Samples go to bench/out/soak.tsv. Ends with status 1 when something grew, when
a client that nothing had disturbed failed, or when a line is unexplained.
"""

import argparse
import dataclasses
import os
import random
import signal
import sys
import threading
import time
from pathlib import Path

import proc
import rig as rig_
import servers
import soak_load
import soak_watch

HERE = Path(__file__).resolve().parent
CLIENT = os.environ.get("RPCH_CLIENT", "./rpch-client")
SERVER = os.environ.get("RPCH_SERVER", "./rpch-server")

#: Every client recycles its channels many times: these are the smallest
#: lifetimes that IN requests and OUT responses may have.
IN_LIFETIME = 131072
OUT_LIFETIME = "128K"

#: A child gives memory back at most once a minute: how long, and how often,
#: is looked without clients.
SETTLE_SECONDS, SETTLE_EVERY = 75, 3
#: Caches and tables fill first: an early mark before that means nothing.
WARM_UP = 900
NO_TCACHE = (("GLIBC_TUNABLES", "glibc.malloc.tcache_count=0"),)


class Backend:
    """An RPC server on fixed ports, which is killed and started again."""

    def __init__(self, rig, number):
        self.rig, self.number = rig, number
        self.native, self.tcp = rig.ports.new(), rig.ports.new()
        self.process = None
        self.start()

    def start(self):
        self.process = self.rig.start(
            f"backend-{self.number}",
            [SERVER, "--http", f"127.0.0.1:{self.native}",
             "--tcp", f"127.0.0.1:{self.tcp}"])
        self.process.wait_ready(lambda: rig_.can_connect(self.tcp))

    def kill(self, down=1.0):
        self.rig.stop(self.process, signal.SIGKILL)
        time.sleep(down)
        self.start()


class Events:
    """What disturbs clients: (kind, whom, from, until)."""

    def __init__(self):
        self.list, self.lock = [], threading.Lock()

    def add(self, kind, whom, after=0.0, lasts=0.0):
        at = time.monotonic() + after
        with self.lock:
            self.list.append((kind, whom, at, at + lasts))

    def touched(self, since, httpd, backend):
        """True when something disturbed who used both since then. One second
        more: what comes before a client's start may still hit it."""
        now = time.monotonic()
        with self.lock:
            return any(whom in (httpd, backend) and until >= since - 1.5
                       and begin <= now
                       for _, whom, begin, until in self.list)

    def counts(self):
        found = {}
        with self.lock:
            for kind, *_ in self.list:
                found[kind] = found.get(kind, 0) + 1
        return found


def plan_options(dice):
    """What one client does, as options of rpch-client."""
    kind = dice.choice(("mixed", "mixed", "echo", "sink", "source"))
    size = dice.choice((100, 1000, 4096, 16384))
    calls = dice.choice((20, 60, 200, 400))
    options = ["--kind", kind, "--call-bytes", size, "--calls", calls,
               "--in-lifetime", IN_LIFETIME, "--outstanding",
               dice.choice((1, 1, 2))]
    if dice.random() < 0.25:
        options += ["--idle", dice.choice((2000, 8000, 20000))]
    if dice.random() < 0.2:
        options += ["--mode", "r2only"]
    return [str(o) for o in options]


class Churn(threading.Thread):
    """One place for a client: runs one after the other until it is told to
    stop, kills some of them, and judges how the others ended."""

    def __init__(self, soak, number):
        super().__init__(daemon=True)
        self.soak, self.number = soak, number
        self.dice = random.Random(soak.seed * 1000 + number)
        self.counts = {"orderly": 0, "killed": 0, "disturbed": 0,
                       "failed": 0}
        self.failures = []

    def run(self):
        while not self.soak.over.is_set():
            if self.soak.pause.is_set():
                time.sleep(0.1)
                continue
            self.one_client()
            self.soak.over.wait(self.dice.uniform(0, 0.5))

    def one_client(self):
        httpd = self.dice.choice(self.soak.httpds)
        backend = self.dice.choice(self.soak.backends)
        target = self.dice.choice((f"{servers.TARGET}:{backend.native}",
                                   f"{servers.JOINED}:{backend.tcp}"))
        argv = [CLIENT, "--proxy", f"127.0.0.1:{httpd.ports.plain_64}",
                "--server", target, *plan_options(self.dice)]
        out = self.soak.rig.dir / f"client-{self.number}.out"
        out.write_text("")
        began = time.monotonic()
        process = rig_.Process("rpch-client", argv, out)
        kill_at = (began + self.dice.uniform(0.01, 3)
                   if self.dice.random() < 0.2 else began + 600)
        try:
            self.follow(process, kill_at)
        finally:
            if process.alive():
                process.stop(signal.SIGKILL)
        self.judge(process, began, kill_at, httpd, backend, argv, out)

    def follow(self, process, kill_at):
        while process.alive() and time.monotonic() < kill_at:
            time.sleep(0.02)
        if process.alive():
            process.stop(signal.SIGKILL)

    def judge(self, process, began, kill_at, httpd, backend, argv, out):
        code = process.popen.returncode
        if code == 0:
            end = "orderly"
        elif code == -signal.SIGKILL and time.monotonic() >= kill_at:
            end = "killed"
        elif self.soak.events.touched(began, httpd, backend):
            end = "disturbed"
        else:
            end = "failed"
            self.failures.append(
                f"{time.monotonic() - self.soak.began:.0f} s, after "
                f"{time.monotonic() - began:.1f} s, {httpd.name}: "
                f"{' '.join(argv[1:])}: status {code}: "
                + rig_.tail(out, 300).strip())
        self.counts[end] += 1


class Soak:
    """The whole run."""

    def __init__(self, rig, options):
        self.rig, self.options = rig, options
        self.seed = options.seed
        self.dice = random.Random(self.seed)
        self.over, self.pause = threading.Event(), threading.Event()
        self.events = Events()
        shape = servers.Shape(
            children=2, threads=64, factor=60, spare=20, connections=2000,
            use_async=options.use_async, drain=f"{options.drain}s",
            location=(f"RpcProxyChannelLifetime {OUT_LIFETIME}",))
        alone = shape if options.tcache else dataclasses.replace(
            shape, environment=NO_TCACHE)
        self.httpds = [servers.Httpd(rig, alone, "steady").start(),
                       servers.Httpd(rig, shape, "restarted").start()]
        self.steady, self.restarted = self.httpds
        self.backends = [Backend(rig, n) for n in range(3)]
        self.began = time.monotonic()
        self.watch = soak_watch.Watch(self.httpds, options.out,
                                      options.every)
        self.churn = [Churn(self, n) for n in range(options.clients)]
        self.marks, self.runners = [], []
        o, now = options, self.began
        self.due = {self.kill_backend: [now + o.kill, o.kill],
                    self.kill_child: [now + 1.7 * o.kill, 2.3 * o.kill],
                    self.graceful: [now + o.graceful, o.graceful]}

    # Disturbances, each at its own pace.

    def kill_backend(self):
        backend = self.dice.choice(self.backends)
        self.events.add("back end killed", backend, lasts=3)
        backend.kill()

    def kill_child(self):
        children = proc.children(self.restarted.pid)
        if children:
            self.events.add("child killed", self.restarted)
            os.kill(self.dice.choice(children), signal.SIGKILL)

    def graceful(self):
        """Channels of the old generation end in the second half of the drain
        time; what is idle may be closed at once."""
        drain = self.options.drain
        self.events.add("graceful restart", self.restarted)
        self.events.add("drain", self.restarted, after=drain / 2,
                        lasts=drain / 2 + 2)
        self.restarted.graceful()

    def disturb_until(self, end):
        """Runs everything at its time until then."""
        while time.monotonic() < end and not self.over.is_set():
            for what, times in self.due.items():
                if time.monotonic() >= times[0]:
                    times[0] = time.monotonic() + times[1]
                    what()
            time.sleep(0.5)

    # Moments without clients.

    def mark(self, phase):
        """Lets all clients end, waits until the table is empty and old
        processes are gone, and samples."""
        self.watch.phase = "pause"
        self.pause.set()
        for httpd in self.httpds:
            httpd.wait_empty(timeout=120)
        rig_.wait_until(self.only_current, "old children to end",
                        timeout=self.options.drain + 60, interval=0.5)
        self.marks.append(self.settled(phase))
        self.pause.clear()
        self.watch.phase = "work"

    def settled(self, phase):
        """The least of several samples: the connections of the status page
        itself take a moment to go, and memory that is given back a minute."""
        found = self.watch.take(phase)
        for _ in range(SETTLE_SECONDS // SETTLE_EVERY):
            time.sleep(SETTLE_EVERY)
            for name, one in self.watch.take(phase).items():
                for column, value in one.items():
                    if "" not in (value, found[name][column]):
                        found[name][column] = min(value, found[name][column])
        return found

    def only_current(self):
        return all(h.status()["children"] == h.shape.children
                   and len(proc.children(h.pid)) == h.shape.children
                   for h in self.httpds)

    def run(self):
        total = self.options.minutes * 60
        self.watch.start()
        for churn in self.churn:
            churn.start()
        self.runners = soak_load.start(self)
        early = min(WARM_UP, total / 3)
        self.disturb_until(self.began + early)
        self.mark("early")
        self.say(f"{early:.0f} s: the early mark is taken")
        self.disturb_until(self.began + total)
        self.mark("late")
        self.over.set()
        for thread in self.churn + self.runners:
            thread.join(60)
        self.watch.stop()

    def say(self, text):
        print(f"soak: {text}", flush=True)

    # The verdict.

    def verdicts(self):
        samples = self.watch.samples
        cycle = self.options.graceful
        found = []
        for httpd in self.httpds:
            found += soak_watch.judge_work(
                samples, httpd.name, cycle, int(WARM_UP // cycle),
                soak_watch.DRIFT_MAX if httpd is self.steady
                else soak_watch.DRIFT_OF_PARENT)
            found += soak_watch.judge_marks(
                self.marks[0][httpd.name], self.marks[1][httpd.name],
                httpd is self.steady)
        counts = {}
        for churn in self.churn:
            for end, n in churn.counts.items():
                counts[end] = counts.get(end, 0) + n
        failures = [f for churn in self.churn for f in churn.failures]
        found.append((f"clients: {counts}", not failures))
        more, failed = soak_load.verdicts(self.runners)
        found, failures = found + more, failures + failed
        found.append((f"disturbances: {self.events.counts()}", True))
        return found, failures

    def logs(self):
        """(text, good) for each server's error log, and the lines that
        nothing explains."""
        found, bad = [], []
        for httpd in self.httpds:
            counts, lines = soak_watch.read_log(httpd.error_log())
            text = ", ".join(f"{k} {n}" for k, n in sorted(counts.items()))
            found.append((f"{httpd.name} error log: {text}; "
                          f"{len(lines)} lines unexplained", not lines))
            bad += [f"{httpd.name}: {line}" for line in lines]
        return found, bad


def report(verdicts, failures, lines, shown=40):
    good = True
    for text, ok in verdicts:
        print(("ok    " if ok else "FAIL  ") + text)
        good = good and ok
    for title, found in (("Clients that nothing disturbed failed:", failures),
                         ("Unexplained lines:", lines)):
        if found:
            print(title)
            print("\n".join("  " + text for text in found[:shown]))
            if len(found) > shown:
                print(f"  and {len(found) - shown} more")
    print("PASS" if good else "FAIL")
    return good


def read_options():
    parser = argparse.ArgumentParser(
        description=__doc__.split("\n\n")[0],
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--graceful", type=float, default=300,
                        help="seconds between graceful restarts")
    parser.add_argument("--drain", type=int, default=120,
                        help="RpcProxyDrainTimeout, seconds")
    parser.add_argument("--kill", type=float, default=47,
                        help="seconds between kills of a back end")
    parser.add_argument("--clients", type=int, default=24)
    parser.add_argument("--every", type=float, default=10,
                        help="seconds between samples")
    parser.add_argument("--async", dest="use_async", default="Auto",
                        choices=("Auto", "Off"))
    parser.add_argument("--tcache", action="store_true",
                        help="the steady httpd has malloc's usual caches")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path,
                        default=HERE / "out" / "soak.tsv")
    parser.add_argument("--keep", action="store_true",
                        help="keep the scratch directory")
    return parser.parse_args()


def main():
    options = read_options()
    try:
        rig_.enter_namespace()
        for program in (CLIENT, SERVER):
            if not Path(program).exists():
                raise rig_.Failed(f"there is no {program}: make")
        with rig_.Rig() as rig:
            rig_.set_nice(5)
            soak = Soak(rig, options)
            try:
                soak.run()
            finally:
                soak.over.set()
            verdicts, failures = soak.verdicts()
            logs, lines = soak.logs()
            good = report(verdicts + logs, failures, lines)
        return 0 if good else 1
    except rig_.Failed as error:
        print(f"soak: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
