# SPDX-License-Identifier: Apache-2.0
"""Child processes that stop: old channels go on, end between two calls and
within RpcProxyDrainTimeout, and every end is logged, also when httpd itself
is to end before that."""

import os
import signal

import pytest

import env
import recycling
from draining import (ANSWERED, IDLE, OVER, STOPPED, WAITS, Gate, answered,
                      ask, ends, is_over, wait_over)
from engine_rig import holder, wait_closed, wait_still
from httpd import Httpd
from httpd_conf import Conf
from reactor_rig import get
from version1 import Version1

#: (MPM, RpcProxyAsync)
WAYS = [("event", "Auto"), ("event", "Off"), ("worker", "Auto"),
        ("prefork", "Auto")]
#: Event without the reactor has the loop of worker: of the full matrix.
EACH = [pytest.param(way, id="-".join(way),
                     marks=pytest.mark.full if way[1] == "Off" else ())
        for way in WAYS]
each_way = pytest.mark.parametrize("way", EACH)
KINDS = ["tcp", "http"]
PORTS = ("free.tcp:1;free.http:1;free.v1:1;held.tcp:1;held.http:1",)


@pytest.fixture
def gate(rpch_server):
    g = Gate((rpch_server.host, rpch_server.tcp_port))
    yield g
    g.close()


@pytest.fixture
def own_httpd(scratch, certs, log, gate, strict, rpch_server):
    """own_httpd(way, lines of the server...): an httpd that the test may
    stop, with servers that answer (free.*) and those behind the gate
    (held.*)."""
    made = []
    free = (rpch_server.host, rpch_server.tcp_port)
    routes = (f"free.tcp protocol=ncacn_ip_tcp to=127.0.0.1:{free[1]}",
              f"free.v1 protocol=ncacn_ip_tcp to=127.0.0.1:{free[1]}",
              f"free.http to=127.0.0.1:{strict(free).port}",
              f"held.tcp protocol=ncacn_ip_tcp to=127.0.0.1:{gate.port}",
              "held.http to=127.0.0.1:"
              f"{strict(('127.0.0.1', gate.port)).port}")

    def get(way, *lines, location=()):
        mpm, is_async = way
        if way == ("event", "Off"):
            # At a hard stop httpd closes its workers' sockets, and a
            # channel that ends in that moment is still to linger.
            log.allow("AH03092")
        server = Httpd(scratch, certs, Conf(
            mpm=mpm, children=12 if mpm == "prefork" else 2, ports=PORTS,
            routes=routes, location=("RpcProxyVersion1 On", *location),
            server=(f"RpcProxyAsync {is_async}",
                    "LogLevel info ssl:warn rpcproxy:debug", *lines)))
        made.append(server)
        server.start()
        log.watch(server)
        return server
    yield get
    for server in made:
        if server.process and server.process.alive():
            server.stop()


@pytest.fixture
def version1():
    """version1(server, target): an open Version1 that is closed at the
    end."""
    made = []

    def get(server, target):
        made.append(Version1(server.address(), target).open())
        return made[-1]
    yield get
    for client in made:
        client.close()


@pytest.fixture
def recycler():
    made = []

    def get(server, target):
        made.append(recycling.Recycler(server.address(), target, timeout=30))
        return made[-1].open()
    yield get
    for client in made:
        client.close()


def wait_lines(server, text, n, mark=0):
    def found():
        return sum(text in line for line in server.errors.since(mark)) >= n
    env.wait_until(found, f"{n} lines with: {text}", 60)


def gone(server, old):
    env.wait_until(lambda: not old & set(server.children()),
                   "the old children to end", 30)


def fresh(server, raw, old):
    """Calls over a connection of children that are none of old, which go on
    accepting until they are told."""
    def connect():
        client = raw(server, "free.tcp:1").open()
        calls = client.calls()
        assert calls.add_one(5) == 6
        if {holder(server, client.cin), holder(server, client.cout)} & old:
            client.close()
            return None
        return calls
    return env.wait_until(connect, "new children to serve", 30)


# ---- old channels go on -----------------------------------------------------

@each_way
def test_several_restarts(own_httpd, raw, version1, way):
    """Each generation keeps its connections, and the newest one serves; one
    that has no connection left goes, and the others are quiet."""
    server = own_httpd(way)
    clients = []
    for generation in range(3):
        for kind in KINDS:
            client = raw(server, f"free.{kind}:1").open()
            clients.append((client.calls(), (client.cin, client.cout)))
        tunnel = version1(server, "free.v1:1")
        clients.append((tunnel.calls(), (tunnel.channel,)))
        server.graceful()
        for n, (calls, _) in enumerate(clients):
            assert calls.add_one(n) == n + 1
    keep = {holder(server, c) for _, channels in clients for c in channels}
    if way[0] != "prefork":
        wait_still(keep, "old children with channels")
    assert not ends(server)
    newest = fresh(server, raw, keep)
    for _, channels in clients:
        for channel in channels:
            channel.close()
    gone(server, keep)
    assert newest.add_one(5) == 6


# ---- RpcProxyDrainTimeout ---------------------------------------------------

@each_way
def test_idle_ends_before_a_call(own_httpd, gate, raw, version1, way):
    """Connections without a call end first, one by one; those whose server
    does not answer at the end of the time; and then the children."""
    # Each child's time begins when it learns that it stops; prefork's look
    # for it themselves, up to 2 s late, of which not much may depend.
    server = own_httpd(way, "RpcProxyDrainTimeout "
                       + ("12s" if way[0] == "prefork" else "6s"))
    channels, busy = [], []
    for kind in KINDS:
        for _ in range(2):
            client = raw(server, f"free.{kind}:1").open()
            assert client.calls().add_one(1) == 2
            channels += [client.cin, client.cout]
        client = raw(server, f"held.{kind}:1").open()
        busy.append(client.calls())
        channels += [client.cin, client.cout]
    for _ in range(2):
        tunnel = version1(server, "free.v1:1")
        tunnel.calls()
        channels.append(tunnel.channel)
    tunnel = version1(server, "held.tcp:1")
    busy.append(tunnel.calls())
    channels.append(tunnel.channel)
    gate.shut()
    for calls in busy:
        ask(calls)
    old = server.graceful()
    wait_over(*channels)
    gone(server, old)
    found = ends(server)
    assert len(found) == 15, found
    # Not all in between: near the middle of the time one may be late.
    assert "held." not in found[0] and "held." in found[-1], found
    for line in found:
        assert (OVER if "held." in line else IDLE) in line
    check_accesses(server, found)


@each_way
@pytest.mark.parametrize("kind", [
    "tcp", pytest.param("http", marks=pytest.mark.full)])
def test_ends_after_the_answer(own_httpd, gate, raw, way, kind):
    """The answer comes whole, and both halves end with one cause."""
    server = own_httpd(way, "RpcProxyDrainTimeout 16s")
    client = raw(server, f"held.{kind}:1").open()
    calls = client.calls()
    gate.shut()
    ask(calls, 7)
    old = server.graceful()
    # Prefork's child looks for itself, and is late: one half may wait only,
    # and then the other one ends without having waited.
    prefork = way[0] == "prefork"
    wait_lines(server, WAITS, 1 if prefork else 2)
    assert not is_over(client.cin) and not is_over(client.cout)
    gate.open()
    assert answered(calls, 7)
    wait_over(client.cin, client.cout)
    gone(server, old)
    found = ends(server)
    assert len(found) == 2, found
    assert all(ANSWERED in line or prefork and IDLE in line
               for line in found), found


@each_way
def test_version1_ends_after_the_answer(own_httpd, gate, version1, way):
    server = own_httpd(way, "RpcProxyDrainTimeout 16s")
    client = version1(server, "held.tcp:1")
    calls = client.calls()
    gate.shut()
    ask(calls, 7)
    server.graceful()
    wait_lines(server, WAITS, 1)
    gate.open()
    assert answered(calls, 7)
    wait_over(client.channel)
    wait_lines(server, ANSWERED, 1)


@pytest.mark.parametrize("way", EACH[:3])
def test_halves_in_two_generations(own_httpd, gate, recycler, way):
    """IN has moved over: its requests are known to the child that has OUT,
    which is the only one that stops. The connection ends as a whole."""
    server = own_httpd(way, "RpcProxyDrainTimeout 16s")
    client = recycler(server, "held.tcp:1")
    calls = client.calls()
    gate.shut()
    ask(calls, 6)
    old = server.graceful()
    while holder(server, client.cin) in old:
        assert client.recycle_in() == "IN_R2"
    ask(calls, 7)
    assert holder(server, client.cout) in old
    mark = server.errors.mark()
    wait_lines(server, f"OUT: its child process is stopping: {WAITS}", 1)
    gate.open()
    assert answered(calls, 6) and answered(calls, 7)
    wait_over(client.cin, client.cout)
    gone(server, old)
    found = ends(server, mark)
    assert len(found) == 2 and all(ANSWERED in e for e in found), found
    again = recycler(server, "free.tcp:1")
    assert again.calls().add_one(1) == 2


@pytest.mark.parametrize("way", EACH[:3])
def test_max_connections_per_child(own_httpd, gate, raw, log, way):
    """Children that have taken all that they may are stopping ones. (One of
    prefork never has a channel then.)"""
    server = own_httpd(way, "RpcProxyDrainTimeout 16s",
                       "MaxConnectionsPerChild 12")
    log.allow("RPX0404", "RPX0406")        # advice against just that
    idle = raw(server, "free.tcp:1").open()
    assert idle.calls().add_one(1) == 2
    busy = raw(server, "held.tcp:1").open()
    calls = busy.calls()
    gate.shut()
    ask(calls, 7)
    channels = idle.cin, idle.cout, busy.cin, busy.cout
    old = {holder(server, channel) for channel in channels}
    names = ["127.0.0.1:%d]" % c.sock.getsockname()[1] for c in channels[2:]]

    def busy_waits():
        get(server)
        return any(WAITS in line and name in line for name in names
                   for line in server.errors.since(0))

    def idle_is_over():
        get(server)
        return is_over(idle.cin) and is_over(idle.cout)

    def elsewhere():
        try:
            return fresh(server, raw, old)
        except EOFError:            # that one filled another child
            return None
    env.wait_until(busy_waits, "the child with the call to stop", 60, 0.1)
    assert not is_over(busy.cin) and not is_over(busy.cout)
    gate.open()
    assert answered(calls, 7)
    wait_over(busy.cin, busy.cout)
    env.wait_until(idle_is_over, "the idle connection to end", 60, 0.1)
    env.wait_until(elsewhere, "new children to serve", 30, 0.1)
    gone(server, old)
    found = ends(server)
    for name in " free.", " held.":
        # A half whose child stops after the answer has no call to wait for.
        assert sum(IDLE in line or ANSWERED in line for line in found
                   if name in line) >= 2, found


@each_way
def test_no_time(own_httpd, raw, way):
    """RpcProxyDrainTimeout 0: everything ends at once."""
    server = own_httpd(way, "RpcProxyDrainTimeout 0")
    client = raw(server, "free.tcp:1").open()
    client.calls()
    half = raw(server, "free.tcp:1")
    half.start_out()
    half.read_200()
    old = server.graceful()
    wait_over(client.cin, client.cout, half.cout)
    gone(server, old)


# ---- httpd is to end --------------------------------------------------------

def check_accesses(server, found):
    """The access log has a line for each end, with the same cause."""
    lines = [a for a in server.access_since(0) if a.channel != "-"]
    assert len(lines) == len(found), lines
    for cause in (IDLE, ANSWERED, OVER, STOPPED):
        assert (sum(cause in a.end for a in lines)
                == sum(cause in line for line in found))


def check_end(server, count):
    """Every channel has both log lines, and no child was killed."""
    found = ends(server)
    assert len(found) == count, found
    assert all(STOPPED in line for line in found), found
    check_accesses(server, found)
    for bad in ("AH00045", "AH00046", "exit signal"):
        assert not any(bad in line for line in server.errors.since(0))


def some_channels(server, raw, version1, tls):
    """Connections of all kinds; how many channels they are."""
    raw(server, "free.tcp:1").open().calls().add_one(1)
    raw(server, "free.http:1").open().calls().add_one(1)
    raw(server, "free.tcp:1", tls).open().calls().add_one(1)
    ask(raw(server, "held.tcp:1").open().calls())
    version1(server, "free.v1:1").calls().add_one(1)
    half = raw(server, "free.tcp:1")
    half.start_out()
    half.read_200()
    half = raw(server, "free.http:1")
    half.start_in()
    env.wait_until(lambda: server.status()["connections"] == 7, "7 of them")
    return 11


def end_of(server, sig):
    wait_closed(server)
    os.kill(server.process.pid, sig)
    env.wait_until(lambda: not server.process.alive(), "httpd to end", 40)
    server.stop()


@each_way
def test_graceful_stop_with_a_timeout(own_httpd, raw, version1, tls, way):
    """GracefulShutdownTimeout is over long before RpcProxyDrainTimeout."""
    server = own_httpd(way, "GracefulShutdownTimeout 1")
    count = some_channels(server, raw, version1, tls)
    end_of(server, signal.SIGWINCH)
    check_end(server, count)


@each_way
def test_stop_while_old_children_drain(own_httpd, raw, version1, tls, way):
    server = own_httpd(way)
    count = some_channels(server, raw, version1, tls)
    server.graceful()
    assert not ends(server)
    end_of(server, signal.SIGTERM)
    check_end(server, count)


@each_way
def test_hard_stop(own_httpd, raw, version1, tls, way):
    server = own_httpd(way)
    count = some_channels(server, raw, version1, tls)
    end_of(server, signal.SIGTERM)
    check_end(server, count)


@each_way
def test_graceful_stop_that_waits(own_httpd, gate, raw, way):
    """Without a timeout httpd ends when its last channel has."""
    server = own_httpd(way, "GracefulShutdownTimeout 0",
                       "RpcProxyDrainTimeout 4s")
    idle = raw(server, "free.tcp:1").open()
    idle.calls()
    busy = raw(server, "held.http:1").open()
    calls = busy.calls()
    gate.shut()
    ask(calls)
    os.kill(server.process.pid, signal.SIGWINCH)
    env.wait_until(lambda: not server.process.alive(), "httpd to end", 40)
    wait_over(idle.cin, idle.cout, busy.cin, busy.cout)
    found = ends(server)
    assert len(found) == 4, found
    assert sum(IDLE in e for e in found) == 2
    assert sum(OVER in e for e in found) == 2
    check_accesses(server, found)
