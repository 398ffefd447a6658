# SPDX-License-Identifier: Apache-2.0
"""What lives through the soak by TLS: on the httpd that is never restarted a
set of connections that stays for the whole time and makes calls, on the one
that is restarted sets that are opened again when a disturbance ended them, and
on both, connections that come and go.

Their server is never killed, so on the steady httpd no error is explained.
"""

import threading
import time

import load
import rig as rig_
import servers

RESIDENT = 40          # connections that stay
RATE = 20              # calls a second over all of them
OPENING = 8            # so many are opened at once: httpd keeps spare threads
CHURN = 4              # connections that come and go, at a time
PIECE, REST = 3, 12    # seconds of churn in one go, and between two


class Runner(threading.Thread):
    """Runs one kind of client again and again until it is told to stop."""

    def __init__(self, soak, httpd, server, name, connections, mode, rest=0):
        super().__init__(daemon=True)
        self.rest = rest
        self.soak, self.httpd, self.name = soak, httpd, name
        self.argv = load.client_argv(
            "rpch", httpd.ports.of(True, 64), [server], connections, True,
            64, servers.TARGET, mode)
        self.counts = {"orderly": 0, "disturbed": 0, "failed": 0}
        self.failures, self.calls = [], 0

    def run(self):
        while not self.soak.over.is_set():
            if self.soak.pause.is_set():
                time.sleep(0.1)
                continue
            self.once()
            self.soak.over.wait(self.rest)

    def once(self):
        began = time.monotonic()
        client = load.Client(self.soak.rig, "resident", self.argv, wait=False)
        while (client.process.alive() and not self.soak.pause.is_set()
               and not self.soak.over.is_set()):
            time.sleep(0.1)
        self.soak.rig.stop(client.process, timeout=30)
        self.judge(client, began)

    def judge(self, client, began):
        code = client.process.popen.returncode
        try:
            self.calls += client.checked(code)["calls"]
            self.counts["orderly"] += 1
        except (rig_.Failed, OSError) as error:
            if self.soak.events.touched(began, self.httpd, None):
                self.counts["disturbed"] += 1
                time.sleep(1)
                return
            self.counts["failed"] += 1
            self.failures.append(
                f"{time.monotonic() - self.soak.began:.0f} s, after "
                f"{time.monotonic() - began:.1f} s, {self.httpd.name}, "
                f"{self.name}: {error}")
            time.sleep(1)


def start(soak):
    """All runners, started; none when rpch-load was not built."""
    if not load.LOAD.exists():
        soak.say(f"without TLS: there is no {load.LOAD}")
        return []
    server = load.Server(soak.rig, 64)
    runners = []
    for httpd in soak.httpds:
        runners.append(Runner(soak, httpd, server, "resident", RESIDENT,
                              ("--open-parallel", OPENING,
                               "--calls-rate", RATE, "--size", 1000,
                               "--in-lifetime", 1 << 20, "idle")))
        runners.append(Runner(soak, httpd, server, "churn", CHURN,
                              ("--seconds", PIECE, "churn"), REST))
    for runner in runners:
        runner.start()
    return runners


def verdicts(runners):
    """(text, good) for each, and the failures."""
    found, failures = [], []
    for runner in runners:
        found.append((f"{runner.httpd.name} TLS {runner.name}: "
                      f"{runner.counts}, {runner.calls} calls",
                      not runner.failures))
        failures += runner.failures
    return found, failures
