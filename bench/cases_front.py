# SPDX-License-Identifier: Apache-2.0
"""The front role: mod_proxy_rpch beside stock mod_proxy_http and HAProxy in
http mode, all before the same inner RPC proxy, which is an httpd with
mod_rpcproxy. TLS is that of the client's side; the inner side is plain.

CPU and memory are those of the front's processes alone. What client, inner
proxy and server do is in rates and latencies, and the same for all.
"""

import time

import cases
import cases_idle
import proc
import stats
from cases import leg

PEERS = ("haproxy-http", "mod_proxy_http")
#: Within 1.2 times of HAProxy, and better than mod_proxy_http.
AT_MOST = {"haproxy-http": 1.2, "mod_proxy_http": 1.0}
SIZES = (("100b", 100), ("4k", 4096))
#: Virtual connections whose memory is compared with that of mod_proxy_http,
#: which holds a worker for each of their requests.
FEW = 200


def goal(what, peer):
    """More is better of rates, less of all others."""
    if what in ("mbps", "per-second"):
        return {"at_least": 1 / AT_MOST[peer]}
    return {"at_most": AT_MOST[peer]}


def add(bench, case, got, whats):
    """One round: ours beside each peer."""
    for peer in PEERS:
        if peer not in got:
            continue
        more = "" if peer == PEERS[0] else f"-vs-{peer}"
        for what in whats:
            bench.add(f"{case}-{what}{more}", got["front"][what],
                      got[peer][what], peer, **goal(what, peer))


def say(bench, case, what, unit):
    """The medians of a case, ours and the peers'."""
    row = bench.rows[f"{case}-{what}"]
    stock = bench.rows[f"{case}-{what}-vs-{PEERS[1]}"]
    bench.say(f"{case}: {stats.number(stats.median(row.ours))} {unit}, "
              f"HAProxy {stats.number(stats.median(row.reference))}, "
              f"mod_proxy_http {stats.number(stats.median(stock.reference))}")


def ways_of(bench, connections):
    return {name: bench.ways.get(name, connections)
            for name in ("front", *PEERS)}


def bulk_case(bench, direction, tls, connections):
    case = f"front-bulk-{direction}-{leg(tls)}-{connections}"
    ways = ways_of(bench, connections)
    for _ in bench.rounds("front-bulk", bench.plan.front_rounds):
        got = {name: cases.bulk(bench, way, direction, tls, connections)
               for name, way in ways.items()}
        add(bench, case, got, cases.BULK_GOALS)
    say(bench, case, "mbps", "MB/s")


def timed(bench, way, size, connections, rate="max"):
    """Calls as rows name what they measure."""
    got = cases.calls(bench, way, size, connections, rate)
    return {"per-second": got["calls_per_s"], "median-us": got["p50_us"],
            "p99-us": got["p99_us"], "cpu-us": got["cpu_us"]}


def add_added(bench, case, got, inner):
    """What the front adds to the same calls made to the inner proxy."""
    for peer in PEERS:
        more = "" if peer == PEERS[0] else f"-vs-{peer}"
        bench.add(f"{case}-added{more}",
                  got["front"]["median-us"] - inner["median-us"],
                  got[peer]["median-us"] - inner["median-us"], peer,
                  of_medians=True, at_most=AT_MOST[peer])


def call_case(bench, name, size, connections, rate):
    """As fast as each connection can, or at a rate."""
    paced = rate != "max"
    case = f"front-call-{name}-{connections}{'-paced' if paced else ''}"
    ways = ways_of(bench, connections)
    for _ in bench.rounds("front-call", bench.plan.front_rounds):
        inner = timed(bench, bench.ways.get("ours"), size, connections, rate)
        got = {key: timed(bench, way, size, connections, rate)
               for key, way in ways.items()}
        # Of a fixed rate there is no other, and few calls have no tail.
        add(bench, case, got, ("median-us", "cpu-us") if paced
            else ("per-second", "median-us", "p99-us", "cpu-us"))
        add_added(bench, case, got, inner)
    say(bench, case, "median-us", "us")


def idle(bench, name, tls, connections):
    """kB of a front's processes for each of two streams."""
    way = bench.ways.front(name, connections)
    before = proc.snapshot(way.pid)
    clients = cases_idle.open_idle(bench, way, tls, connections)
    time.sleep(cases_idle.SETTLE)
    after = proc.snapshot(way.pid)
    cases_idle.end_idle(clients)
    cases_idle.drop(way)
    streams = 2 * connections
    return {"kb-per-stream": (after.memory_kb - before.memory_kb) / streams,
            "descriptors-per-stream": (after.descriptors
                                       - before.descriptors) / streams,
            "threads-more": after.threads - before.threads}


def idle_case(bench, tls):
    case, many = f"front-idle-{leg(tls)}", bench.plan.idle_connections
    for _ in bench.rounds("front-idle", bench.plan.front_idle_rounds):
        got = {name: idle(bench, name, tls, many)
               for name in ("front", PEERS[0])}
        add(bench, case, got, ("kb-per-stream", "descriptors-per-stream"))
        # Beside a few of mod_proxy_http, whose workers are started before.
        got = {"front": got["front"],
               PEERS[1]: idle(bench, PEERS[1], tls, FEW)}
        add(bench, case, got, ("kb-per-stream",))
    say(bench, case, "kb-per-stream", "kB a stream")


def all_idle(bench):
    for tls in (True, False):
        idle_case(bench, tls)


def all_bulk(bench):
    for connections in bench.plan.bulk_connections:
        for tls in (False, True):
            for direction in ("out", "in"):
                bulk_case(bench, direction, tls, connections)


def all_calls(bench):
    for connections in bench.plan.call_connections:
        for name, size in SIZES:
            for rate in ("max", bench.plan.paced_rate):
                call_case(bench, name, size, connections, rate)
