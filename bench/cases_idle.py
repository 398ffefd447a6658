# SPDX-License-Identifier: Apache-2.0
"""Many connections: memory and CPU of idle ones, growth from 100 to 10,000,
the great run, and ordinary GETs on the same httpd meanwhile.

Each measurement has an httpd of its own, fresh: memory is compared with what
the same processes had before, and what others left behind does not count.
"""

import time

import load
import proc
import rig as rig_
import servers
import stats
import ways as ways_
from cases import leg

#: A child accepts ThreadsPerChild + idle workers * factor connections, 7,700
#: with this: all four together more than 25,000, and each stays below the
#: 8,750 for which 20,000 descriptors are enough. Connections are not shared
#: out evenly: a child that has its share leaves the next one to the others.
FACTOR = 120
#: A back end has two descriptors for each virtual connection, too.
BACK_ENDS = 4
#: Of one generator; two descriptors each.
CONNECTIONS_PER_GENERATOR = 3200
#: Virtual connections of the great run.
FULL_HOUSE = 12500
#: Seconds after the last call before a channel counts as an idle one: what it
#: needs for a call only is given back by then.
SETTLE = 5


def fresh(bench, name, shape=None):
    """A way of its own through a new server; drop() ends it."""
    if name == "haproxy-tcp":
        raw = bench.ways.backends(256)[0].port
        server = servers.Haproxy(bench.rig, raw).start()
        return ways_.Way(name, "raw", server, bench.ways.backends)
    server = servers.Httpd(bench.rig, shape or servers.Shape(), name).start()
    return ways_.Way(name, "rpch", server, bench.ways.backends)


def drop(way):
    way.server.rig.stop(way.server.process, timeout=60)


def open_idle(bench, way, tls, connections, rate=0):
    """Clients that hold so many connections between them, all open, each
    after one call."""
    many = -(-connections // CONNECTIONS_PER_GENERATOR)
    each = [connections // many + (n < connections % many)
            for n in range(many)]
    clients = [load.Client(
        bench.rig, f"{way.name}-idle-{n}",
        way.argv(tls, count, 256, ("--calls-rate", rate // many, "--size",
                                   100, "--open-parallel", 32, "idle")),
        wait=False) for n, count in enumerate(each)]
    for client in clients:
        client.ready(600)
    return clients


def end_idle(clients):
    """Ends them; the merged results."""
    return load.merge([client.end(180) for client in clients])


def gets(bench, way, seconds, rate=200):
    """The 99th percentile of ordinary GETs on the server of a way, in
    microseconds: the median of three stretches of so many seconds."""
    found = []
    for _ in range(3):
        client = load.Client(
            bench.rig, "get", ["get", "--connect",
                               f"127.0.0.1:{way.server.ports.plain}",
                               "--path", "/", "--rate", rate, "--seconds",
                               int(seconds)],
            wait=False)
        found.append(client.result(seconds + 120)["p99_us"])
    return stats.median(found)


# ---- memory and CPU of idle channels ----------------------------------------

def idle(bench, name, tls, connections, shape=None):
    """What idle connections cost the server of a way."""
    way = fresh(bench, name, shape)
    before = proc.snapshot(way.pid)
    clients = open_idle(bench, way, tls, connections)
    time.sleep(SETTLE)
    began, after = time.monotonic(), proc.snapshot(way.pid)
    time.sleep(bench.plan.idle_seconds)
    passed = time.monotonic() - began
    cpu = (proc.snapshot(way.pid).cpu - after.cpu) / passed
    end_idle(clients)
    drop(way)
    channels = connections * (2 if way.via == "rpch" else 1)
    return {"kb": (after.memory_kb - before.memory_kb) / channels,
            "rss": (after.rss_kb - before.rss_kb) / channels,
            "descriptors": (after.descriptors - before.descriptors)
            / channels,
            "threads": after.threads - before.threads,
            "cpu": 1e6 * cpu / channels}


def all_idle(bench):
    count = bench.plan.idle_connections
    for tls in (True, False):
        case = f"idle-{leg(tls)}"
        ours = idle(bench, "ours", tls, count)
        haproxy = idle(bench, "haproxy-tcp", tls, count)
        threads = idle(bench, "threads", tls, 200, servers.loop_shape(400))
        bench.add(f"{case}-kb-per-channel", ours["kb"], haproxy["kb"],
                  "haproxy-tcp, a connection", absolute=True,
                  at_most=60 if tls else 28)
        bench.add(f"{case}-kb-per-channel-vs-threads", ours["kb"],
                  threads["kb"], "threads")
        bench.add(f"{case}-descriptors-per-channel", ours["descriptors"],
                  haproxy["descriptors"], "haproxy-tcp, a connection")
        bench.add(f"{case}-cpu-us-per-channel-second", ours["cpu"],
                  haproxy["cpu"], "haproxy-tcp, a connection")
        bench.add(f"{case}-threads-more", ours["threads"],
                  haproxy["threads"], "haproxy-tcp", absolute=True, at_most=8)
        bench.say(f"{case}: {ours['kb']:.1f} kB a channel of {2 * count}")


# ---- growth -----------------------------------------------------------------

def calls_between(clients, seconds):
    """Calls that idle clients make in so many seconds, each one's results."""
    for client in clients:
        client.next_line()
    time.sleep(seconds)
    return [client.next_line() for client in clients]


def growth(bench, ways, connections, tls):
    """Memory a channel and CPU a call with so many connections open."""
    way = fresh(bench, "ours", servers.Shape(factor=FACTOR))
    way.backends = ways.backends
    pids = proc.tree(way.pid)
    before = proc.memory_kb(pids)
    clients = open_idle(bench, way, tls, connections, 500)
    time.sleep(SETTLE)
    pids = proc.tree(way.pid)
    memory = proc.memory_kb(pids) - before
    cpu = proc.cpu(pids)
    results = load.merge(calls_between(clients, bench.plan.growth_seconds))
    cpu = proc.cpu(pids) - cpu
    end_idle(clients)
    drop(way)
    return {"kb": memory / (2 * connections),
            "cpu": 1e6 * cpu / max(1, results["calls"]),
            "p99": results["p99_us"]}


def all_growth(bench):
    base, ways = None, ways_.Ways(bench.rig, BACK_ENDS)
    for connections in bench.plan.growth:
        got = growth(bench, ways, connections, False)
        base = base or got
        name = f"{bench.plan.growth[0]} connections"
        bench.add(f"growth-kb-per-channel-{connections}", got["kb"],
                  base["kb"], name, at_most=1.1)
        bench.add(f"growth-cpu-us-per-call-{connections}", got["cpu"],
                  base["cpu"], name, at_most=1.1)
        bench.say(f"growth: {connections} connections: {got['kb']:.1f} kB a "
                  f"channel, {got['cpu']:.0f} us CPU a call")


# ---- ordinary GETs beside it --------------------------------------------------

def under_load(bench, way, argv, seconds):
    """GETs while a client does what argv says."""
    client = load.Client(bench.rig, "beside", argv).ready()
    client.go()
    results = gets(bench, way, seconds)
    client.end()
    return results


def all_gets(bench):
    seconds = bench.plan.get_seconds
    way = fresh(bench, "ours")
    alone = gets(bench, way, seconds)
    bench.add("get-p99-us-alone", alone)
    beside = {
        "bulk-out": (16, ("--bytes", 10 ** 9, "bulk-out")),
        "bulk-in": (16, ("--bytes", 10 ** 9, "bulk-in")),
        "calls": (64, ("--size", 100, "--rate", "max", "--seconds",
                       600, "calls")),
        "setup": (16, ("--seconds", 600, "churn")),
        "500-calls": (500, ("--calls-rate", 500, "--size", 100, "idle")),
    }
    for name, (connections, more) in beside.items():
        argv = way.argv(True, connections, 256, more)
        got = under_load(bench, way, argv, seconds)
        goal = {"at_most": 2.0} if name == "500-calls" else {}
        bench.add(f"get-p99-us-{name}", got, alone, "the server alone",
                  **goal)
        bench.say(f"GETs beside {name}: p99 {got:.0f} us, alone "
                  f"{alone:.0f} us")
    drop(way)


# ---- the great run ------------------------------------------------------------

def check_all_called(bench, clients, connections):
    """Calls at 500 a second until every connection has made one."""
    wanted = 1.2 * connections / 500 + 5
    results = load.merge(calls_between(clients, wanted))
    if results["calls_min"] < 1 or results["open"] < connections:
        raise rig_.Failed(f"of {connections} connections {results['open']} "
                          f"are open, the least used one made "
                          f"{results['calls_min']} calls")
    return results


def great_run(bench, connections):
    """So many virtual connections by TLS in one httpd of four children."""
    shape = servers.Shape(factor=FACTOR)
    seconds = bench.plan.get_seconds
    bench.say(f"opening {2 * connections} TLS channels")
    way = fresh(bench, "ours", shape)
    way.backends = ways_.Ways(bench.rig, BACK_ENDS).backends
    alone = gets(bench, way, seconds)
    before = proc.snapshot(way.pid)
    began = time.monotonic()
    clients = open_idle(bench, way, True, connections, 500)
    opening = time.monotonic() - began
    after = proc.snapshot(way.pid)
    children = [proc.descriptors(p) for p in way.server.children()]
    bench.say(f"{2 * connections} channels open after {opening:.0f} s, "
              f"descriptors of the children: {children}")
    check_all_called(bench, clients, connections)
    beside = gets(bench, way, seconds)
    results = end_idle(clients)
    drop(way)
    rows(bench, connections, before, after, alone, beside, results)


def rows(bench, connections, before, after, alone, beside, results):
    channels = 2 * connections
    bench.add("idle-channels-max", channels, 25000, "the goal", at_least=1.0)
    bench.add(f"many-{channels}-tls-kb-per-channel",
              (after.memory_kb - before.memory_kb) / channels, 60,
              "the goal", at_most=1.0)
    bench.add(f"many-{channels}-tls-threads-more",
              after.threads - before.threads, absolute=True, at_most=8)
    bench.add(f"many-{channels}-tls-get-p99-us", beside, alone,
              "the server alone", at_most=2.0)
    bench.add(f"many-{channels}-tls-call-p99-us", results["p99_us"])
    bench.say(f"{channels} TLS channels: GET p99 {beside:.0f} us, alone "
              f"{alone:.0f} us")


#: A virtual connection of the great run takes so long, to be opened and until
#: all have made another call; and what else there is to do.
SECONDS_EACH, SECONDS_MORE = 0.007, 15


def affordable(bench):
    """How many virtual connections the short form has time for."""
    left = bench.plan.seconds - (time.monotonic() - bench.began)
    count = int((left - SECONDS_MORE) / SECONDS_EACH) // 500 * 500
    return max(500, min(FULL_HOUSE, count))


def all_many(bench):
    connections = bench.plan.many or affordable(bench)
    great_run(bench, connections)
    if connections < FULL_HOUSE:
        bench.rows["idle-channels-max"].at_least = None
        bench.notes.append(f"idle-channels-max: there was time for "
                           f"{2 * connections} only; make bench-full opens "
                           f"{2 * FULL_HOUSE}")
