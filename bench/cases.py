# SPDX-License-Identifier: Apache-2.0
"""Bulk, calls and setting up: what is compared with HAProxy, with our own
request-thread loop, with mod_proxy_connect and with direct TCP.

Within a round every way is measured once, one after the other, and rounds
repeat: a disturbance of the machine hits neighbours alike, and a ratio is the
median of the ratios of the rounds.
"""

import time
from dataclasses import dataclass

import load
import stats


@dataclass(frozen=True)
class Plan:
    """How much is run."""

    name: str = "short"
    rounds: int = 6
    other_rounds: int = 1           # against the threads and mod_proxy_connect
    other_connections: tuple = (1,)
    bulk_bytes: int = 150_000_000   # of one measurement, all connections
    bulk_connections: tuple = (1, 64)
    call_rounds: int = 6
    call_seconds: float = 0.3
    call_sizes: tuple = (("100b", 100), ("4k", 4096), ("64k", 65536))
    call_connections: tuple = (1, 64)
    call_many: tuple = (("100b", 100),)     # with 1000 connections
    call_many_rounds: int = 1
    paced_rate: int = 500
    setup_seconds: float = 1.0
    setup_rounds: int = 2
    front_rounds: int = 4
    front_idle_rounds: int = 1
    idle_connections: int = 2000
    idle_seconds: float = 1.0
    growth: tuple = (100, 1000)
    growth_seconds: float = 3.0
    get_seconds: int = 1            # of one stretch of GETs
    many: int = 0                   # of the great run; 0: as time allows
    seconds: int = 405              # in which the short form is to end
    #: Group -> seconds after the start from which it has one round only, so
    #: that the short form ends in its time on a slow machine, too.
    shares: tuple = (("idle", 60), ("bulk", 170), ("call", 235),
                     ("setup", 245), ("front-bulk", 310), ("front-call", 365))


SHORT = Plan()
FULL = Plan(name="full", rounds=7, other_rounds=3, other_connections=(1, 64),
            bulk_bytes=1_000_000_000, call_rounds=9, call_seconds=2,
            call_many=Plan.call_sizes, call_many_rounds=3, setup_seconds=4,
            setup_rounds=5, front_rounds=7, front_idle_rounds=3,
            idle_seconds=10, growth=(100, 1000, 10000), growth_seconds=20,
            get_seconds=10, many=12500, shares=())


class Bench:
    """The rows so far, and how they come about."""

    def __init__(self, rig, ways, plan, only=None):
        self.rig, self.ways, self.plan, self.only = rig, ways, plan, only
        self.rows, self.began = {}, time.monotonic()
        self.notes = []

    def wants(self, group):
        return not self.only or any(group.startswith(o) for o in self.only)

    def rounds(self, group, wanted):
        """0, 1, ... for so many rounds, or fewer when the time is up; one in
        any case."""
        share = dict(self.plan.shares).get(group, float("inf"))
        for at in range(wanted):
            if at and time.monotonic() - self.began > share:
                self.notes.append(f"{group}: fewer rounds, for the time")
                return
            yield at

    def row(self, case, name="-", **goal):
        if case not in self.rows:
            self.rows[case] = stats.Row(case, name=name, **goal)
        return self.rows[case]

    def add(self, case, ours, reference=None, name="-", **goal):
        row = self.row(case, name, **goal)
        row.ours.append(ours)
        if reference is not None:
            row.reference.append(reference)

    def say(self, text):
        print(f"{time.monotonic() - self.began:6.1f} s  {text}", flush=True)

    def client(self, way, tls, connections, mode, more=(), window=256):
        argv = way.argv(tls, connections, window, (*more, mode))
        return load.Client(self.rig, f"{way.name}-{mode}", argv).ready()


def leg(tls):
    return "tls" if tls else "plain"


# ---- bulk -------------------------------------------------------------------

#: At least HAProxy's MB/s, at most its CPU per GB.
BULK_GOALS = {"mbps": {"at_least": 1.0}, "cpu": {"at_most": 1.0}}


def bulk(bench, way, direction, tls, connections, window=256):
    """{"mbps": MB/s, "cpu": CPU seconds of the proxy for each GB}."""
    each = bench.plan.bulk_bytes // connections
    client = bench.client(way, tls, connections, f"bulk-{direction}",
                          ("--bytes", each), window)
    results, cpu = load.cost([client], way.pid)
    one = results[0]
    return {"mbps": one["mb_per_s"], "cpu": cpu / (one["bytes"] / 1e9)}


def bulk_case(bench, direction, tls, connections):
    """One case over all rounds."""
    case = f"bulk-{direction}-{leg(tls)}-{connections}"
    ours, haproxy = bench.ways.get("ours"), bench.ways.get("haproxy-tcp")
    for at in bench.rounds("bulk", bench.plan.rounds):
        a = bulk(bench, ours, direction, tls, connections)
        b = bulk(bench, haproxy, direction, tls, connections)
        c = bulk(bench, ours, direction, tls, connections, 64)
        for what, goal in BULK_GOALS.items():
            bench.add(f"{case}-{what}", a[what], b[what], haproxy.name,
                      **goal)
            bench.add(f"{case}-{what}-64k", c[what], b[what], haproxy.name)
        if (at < bench.plan.other_rounds
                and connections in bench.plan.other_connections):
            bulk_others(bench, case, a, direction, tls, connections)
    row = bench.rows[f"{case}-mbps"]
    bench.say(f"{case}: {stats.number(stats.median(row.ours))} MB/s, "
              f"{stats.number(row.ratio())} of HAProxy's")


def bulk_others(bench, case, ours, direction, tls, connections):
    """The same against the ways that have no goal."""
    names = ["threads", "mod_proxy_connect"] + ([] if tls else ["direct"])
    for name in names:
        way = bench.ways.get(name, 64)
        other = bulk(bench, way, direction, tls, connections)
        for what in BULK_GOALS:
            if name != "direct" or what == "mbps":
                bench.add(f"{case}-{what}-vs-{name}", ours[what],
                          other[what], name)


def all_bulk(bench):
    for connections in bench.plan.bulk_connections:
        for tls in (False, True):
            for direction in ("out", "in"):
                bulk_case(bench, direction, tls, connections)


# ---- request and response ---------------------------------------------------

def calls(bench, way, size, connections, rate="max", tls=False):
    """The line of results of calls for so long."""
    client = bench.client(way, tls, connections, "calls",
                          ("--size", size, "--rate", rate, "--seconds", 600,
                           "--open-parallel", 32))
    results, cpu = load.cost([client], way.pid,
                             seconds=bench.plan.call_seconds)
    results[0]["cpu_us"] = 1e6 * cpu / max(1, results[0]["calls"])
    return results[0]


def call_round(bench, case, size, connections):
    """One round of one case, as fast as each connection can."""
    got = {name: calls(bench, bench.ways.get(name), size, connections)
           for name in ("direct", "ours", "haproxy-tcp")}
    ours, haproxy = got["ours"], got["haproxy-tcp"]
    name = "haproxy-tcp"
    bench.add(f"{case}-per-second", ours["calls_per_s"],
              haproxy["calls_per_s"], name)
    bench.add(f"{case}-median-us", ours["p50_us"], haproxy["p50_us"], name)
    bench.add(f"{case}-p99-us", ours["p99_us"], haproxy["p99_us"], name)
    bench.add(f"{case}-cpu-us", ours["cpu_us"], haproxy["cpu_us"], name)
    direct = got["direct"]["p50_us"]
    bench.add(f"{case}-added", ours["p50_us"] - direct,
              haproxy["p50_us"] - direct, name, at_most=1.0,
              of_medians=True)


def paced_round(bench, case, size, connections):
    """The same at a fixed rate, at which nothing is saturated."""
    got = {name: calls(bench, bench.ways.get(name), size, connections,
                       bench.plan.paced_rate)["p50_us"]
           for name in ("direct", "ours", "haproxy-tcp")}
    bench.add(f"{case}-added-paced", got["ours"] - got["direct"],
              got["haproxy-tcp"] - got["direct"], "haproxy-tcp", at_most=1.0,
              of_medians=True)


def threads_round(bench, case, size, connections):
    """The reactor beside our own request threads."""
    ours = calls(bench, bench.ways.get("ours"), size, connections)
    other = calls(bench, bench.ways.get("threads", connections), size,
                  connections)
    for what, key in (("per-second", "calls_per_s"), ("median-us", "p50_us"),
                      ("cpu-us", "cpu_us")):
        bench.add(f"{case}-{what}-vs-threads", ours[key], other[key],
                  "threads")


def call_case(bench, name, size, connections, rounds):
    case = f"call-{name}-{connections}"
    for _ in bench.rounds("call", rounds):
        call_round(bench, case, size, connections)
    if connections < 1000:
        for _ in bench.rounds("call", rounds // 2):
            paced_round(bench, case, size, connections)
        for _ in range(bench.plan.other_rounds):
            threads_round(bench, case, size, connections)
    row = bench.rows[f"{case}-added"]
    bench.say(f"{case}: {stats.number(stats.median(row.ours))} us added, "
              f"HAProxy {stats.number(stats.median(row.reference))} us")


def all_calls(bench):
    plan = bench.plan
    for connections in plan.call_connections:
        for name, size in plan.call_sizes:
            call_case(bench, name, size, connections, plan.call_rounds)
    for name, size in plan.call_many:
        call_case(bench, name, size, 1000, plan.call_many_rounds)


# ---- setting up and tearing down --------------------------------------------

def churn(bench, way, tls):
    """The line of results of connections that come and go, 16 at a time."""
    client = bench.client(way, tls, 16, "churn", ("--seconds", 600))
    results, cpu = load.cost([client], way.pid,
                             seconds=bench.plan.setup_seconds)
    results[0]["cpu_us"] = 1e6 * cpu / max(1, results[0]["opened"])
    return results[0]


def all_setup(bench):
    for tls in (True, False):
        case = "setup" if tls else "setup-plain"
        for _ in bench.rounds("setup", bench.plan.setup_rounds):
            ours = churn(bench, bench.ways.get("ours"), tls)
            haproxy = churn(bench, bench.ways.get("haproxy-tcp"), tls)
            threads = churn(bench, bench.ways.get("threads", 64), tls)
            for what, key in (("per-second", "opens_per_s"),
                              ("median-us", "p50_us"), ("cpu-us", "cpu_us")):
                bench.add(f"{case}-{what}", ours[key], haproxy[key],
                          "haproxy-tcp")
                bench.add(f"{case}-{what}-vs-threads", ours[key],
                          threads[key], "threads")
        row = bench.rows[f"{case}-per-second"]
        bench.say(f"{case}: {stats.number(stats.median(row.ours))} virtual "
                  "connections a second")
