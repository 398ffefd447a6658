# SPDX-License-Identifier: Apache-2.0
"""Children that end, or are short of descriptors, while the reactor has
channels; version 1 and HTTP/2 beside it."""

import hashlib
import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import env
import rawclient
import rpc
from engine_rig import (LISTEN, REQUEST, RESPONSE, connection_count, flood,
                        holder, wait_still, wait_stuck)
from httpd import OWNER
from reactor_rig import gate, greeter_  # noqa: F401
from reactor_rig import (NARROW, PORTS, QUIET, OwnHttpds,
                         channel_lines, get, graceful_stop, open_narrow, pdus,
                         threads, wait_lines, workers)
from version1 import v1  # noqa: F401

MIB = 1 << 20
SECURE = pytest.mark.parametrize("secure", [False, True],
                                 ids=["http", "https"])


@pytest.fixture(scope="module")
def fields(gate, greeter_, rpch_server):
    def get_(children=2, location=(), server=(), **more):
        return {"ports": PORTS + ("v1:1",), "children": children,
                "threads": 4,
                "routes": (
                    f"gate protocol=ncacn_ip_tcp to=127.0.0.1:{gate.port}",
                    "tcp protocol=ncacn_ip_tcp "
                    f"to=127.0.0.1:{rpch_server.tcp_port}",
                    f"own to=127.0.0.1:{rpch_server.http_port}",
                    greeter_.route("v1")),
                "location": (*QUIET, "RpcProxyMaxPerUser 0",
                             "RpcProxyVersion1 On", *location),
                "server": (*workers(children, 4), *server), **more}
    return get_


@pytest.fixture
def own_httpd(scratch, certs, log, fields):
    made = OwnHttpds(scratch, certs, log, fields)
    yield made
    made.close()


def opened(raw, server, kinds, tls=None):
    """Connections of these kinds that have made a call."""
    found = []
    for kind in kinds:
        calls = raw(server, f"{kind}:1", tls).open().calls()
        assert calls.add_one(1) == 2
        found.append(calls)
    return found


def gone(server, pids):
    env.wait_until(lambda: not set(pids) & set(server.children()),
                   "children to end", 30, 0.05)


# ---- stop and restart -------------------------------------------------------

def ends_that_wait(server, raw, gate, tls):
    """Connections whose channels have ended: of the first what the client
    does not read still waits in httpd, the second one's client goes on
    sending. How many channels they are."""
    number = len(gate.held) + 1
    client = open_narrow(raw(server, "gate:1", tls, window=262144))
    gate.last(number).send(RESPONSE * 200)
    wait_stuck(client.cout)
    mark = server.errors.mark()
    client.cin.reset()
    env.wait_until(lambda: sum("RPX0311" in line for line in
                               server.errors.since(mark)) >= 2, "ends")
    mark = server.errors.mark()
    other = raw(server, "gate:1").open()
    gate.last(number + 1).sock.shutdown(socket.SHUT_RDWR)
    threading.Thread(target=flood, args=(other.cin.sock, REQUEST),
                     daemon=True).start()
    env.wait_until(lambda: sum("RPX0311" in line for line in
                               server.errors.since(mark)) >= 2, "ends")
    return 4


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGHUP],
                         ids=["stop", "restart"])
def test_hard_end(own_httpd, gate, raw, v1, tls, sig):
    """Sixty channels, and some whose end was just under way: a line of each,
    and no child that is asked twice (AH00045 fails the test)."""
    server = own_httpd(server=NARROW)
    count = 0
    for context in (None, tls):
        opened(raw, server, ["tcp", "own"] * 7, context)
        count += 28
    for context in (None, tls):
        v1(server, "v1:1", context).open().calls().add_one(1)
        count += 1
    count += ends_that_wait(server, raw, gate, tls)
    old = server.children()
    os.kill(server.process.pid, sig)
    gone(server, old)
    found = wait_lines(server, 0, count)
    assert sum(a.channel == "v1" for a in found) == 2
    if sig == signal.SIGTERM:
        server.process.popen.wait(20)
        return
    env.wait_until(lambda: env.can_connect(*server.address()), "httpd")
    assert raw(server, "tcp:1").open().calls().add_one(1) == 2


@SECURE
@pytest.mark.parametrize("kind", ["gate", "own"])
def test_graceful_restart_under_load(own_httpd, gate, raw, tls, secure, kind):
    """What is under way goes on in the old child to its last byte; the child
    ends after its last channel."""
    context = tls if secure else None
    server = own_httpd(children=1)
    old = server.children()
    number = len(gate.held) + 1
    client = raw(server, f"{kind}:1", context).open()
    if kind == "gate":
        data = b"".join(pdus(24 * MIB, rpc.RESPONSE))
        gate.last(number).send(data)
        got, h = 0, hashlib.sha256()
        while got < len(data):
            if got > 8 * MIB and set(server.children()) == set(old):
                server.graceful()
            pdu = client.recv_rpc()
            got += len(pdu)
            h.update(pdu)
        assert h.digest() == hashlib.sha256(data).digest()
    else:
        calls = client.calls()
        assert calls.add_one(1) == 2
        server.graceful()
        for n in range(3):
            assert calls.echo(b"g" * MIB) == b"g" * MIB
    assert {holder(server, client.cin), holder(server, client.cout)} \
        <= set(server.children())
    pids = {a.pid for a in channel_lines(server, 0)}
    assert not pids
    [new] = opened(raw, server, ("tcp",), context)
    assert set(old) <= set(server.children())
    client.close()
    gone(server, old)
    assert {a.pid for a in wait_lines(server, 0, 2)} == set(old)
    assert new.add_one(2) == 3


# ---- the MPM ends a child ---------------------------------------------------

def test_max_connections_per_child(own_httpd, raw, tls, log):
    """Each child takes ten connections; their channels live on in it."""
    server = own_httpd(children=1, server=(
        "MaxConnectionsPerChild 10", "ServerLimit 24",
        "MaxRequestWorkers 96", "MaxSpareThreads 96"))
    log.allow("RPX0404", "RPX0406")        # advice against just that
    first = set(server.children())
    mark = server.accesses.mark()
    all_calls = []
    for n in range(10):
        all_calls += opened(raw, server, ("tcp", "own"),
                            tls if n % 2 else None)
    assert len(server.children()) > 3
    for n, calls in enumerate(all_calls):
        assert calls.add_one(n) == n + 1
    assert b"another site" in get(server)
    for calls in all_calls:
        calls.pipe.close()
    found = wait_lines(server, mark, 40)
    pids = {a.pid for a in found}
    assert len(pids) > 3
    gone(server, first)
    env.wait_until(lambda: all(map(listening, pids & set(server.children()))),
                   "the full children to end", 30, 0.1)


def listening(pid):
    """How many listening sockets a process has; one that has exited may still
    be listed, and has none."""
    try:
        listen = {line.split()[9] for name in ("tcp", "tcp6") for line in
                  Path(f"/proc/{pid}/net/{name}").read_text().splitlines()[1:]
                  if line.split()[3] == LISTEN}
        fds = os.listdir(f"/proc/{pid}/fd")
    except OSError:
        return 0
    found = 0
    for fd in fds:
        try:
            where = os.readlink(f"/proc/{pid}/fd/{fd}")
        except OSError:
            continue
        found += where.startswith("socket:[") and where[8:-1] in listen
    return found


def test_max_spare_threads(own_httpd, raw):
    """httpd ends children whose workers are idle, also those that have
    channels: these live on, and new ones come to the others."""
    server = own_httpd(children=4, server=("MaxSpareThreads 5",))
    all_calls, holders = [], set()

    def more():
        [calls] = opened(raw, server, ("tcp",))
        all_calls.append(calls)
        for channel in (calls.pipe.cin, calls.pipe.cout):
            holders.add(holder(server, channel))
        return len(holders) > 1
    # Some children go before they have any channel.
    env.wait_until(more, "two children to have channels", 20, 0)

    def stopping():
        return [pid for pid in holders if not listening(pid)]
    env.wait_until(stopping, "httpd to end one of them", 40, 0.1)
    for n, calls in enumerate(all_calls):
        assert calls.add_one(n) == n + 1
    [new] = opened(raw, server, ("tcp",))
    assert new.add_one(5) == 6
    old = stopping()
    assert set(old) <= set(server.children())
    for calls in all_calls:
        calls.pipe.close()
    gone(server, old)
    assert new.add_one(6) == 7


# ---- no descriptors ---------------------------------------------------------

#: Lines by which a request needs no file.
NO_FILES = {"auth": "none", "server": (
    "<Directory />", "    AllowOverride None", "</Directory>")}


def leave_free(pid, count):
    """The process may have so many descriptors more, and no others."""
    used = {int(fd) for fd in os.listdir(f"/proc/{pid}/fd")}
    limit = 0
    while count:
        count -= limit not in used
        limit += 1
    while limit in used:
        limit += 1
    limit_files(pid, limit)


def limit_files(pid, limit=-1):
    """Sets the soft limit of a child; -1: to the hard one. As its user, who
    may without any privilege."""
    code = (f"import resource as r; n = r.RLIMIT_NOFILE; "
            f"hard = r.prlimit({pid}, n)[1]; "
            f"r.prlimit({pid}, n, ({limit} if {limit} >= 0 else hard, hard))")
    subprocess.run([sys.executable, "-c", code], user=OWNER[0],
                   group=OWNER[1], check=True, timeout=60)


@pytest.mark.parametrize("kind", ["tcp", "own"])
def test_no_descriptor_for_the_server(own_httpd, raw, log, kind):
    """The request has one, its connection to the server has none: the client
    is told, the others live, and later all is well again. OUT here."""
    server = own_httpd(children=1, location=("RpcProxyRequireAuth Off",),
                       **NO_FILES)
    log.expect("RPX0330: .*Too many open files")
    [calls] = opened(raw, server, (kind,))
    [pid] = server.children()
    env.wait_until(lambda: connection_count(server) == 2, "no others")
    leave_free(pid, 1)
    client = raw(server, f"{kind}:1")
    client.start_out()
    with pytest.raises(rawclient.HttpError) as error:
        client.read_200()
    assert "503 RPC Error: 6ba" in error.value.line
    client.close()
    assert calls.echo(b"d" * MIB) == b"d" * MIB
    limit_files(pid)
    assert opened(raw, server, (kind,))[0].add_one(1) == 2
    assert server.children() == [pid]


def test_no_descriptor_for_the_link(own_httpd, raw, log):
    """OUT is there, IN has no descriptor for the link to it, or has one and
    the other side has none: it waits, or ends, and no processor is used for
    that."""
    for free in (1, 2, 3):
        server = own_httpd(children=1, location=(
            "RpcProxyRequireAuth Off", "RpcProxyHandshakeTimeout 3s"),
            **NO_FILES)
        log.allow("RPX03")
        [calls] = opened(raw, server, ("tcp",))
        [pid] = server.children()
        client = raw(server, "tcp:1")
        client.start_out()
        client.read_200()
        client.read_a3()
        env.wait_until(lambda: connection_count(server) == 3, "no others")
        leave_free(pid, free)
        client.start_in()
        wait_still([pid], f"{free} descriptors")
        client.cin.rest()
        client.cout.rest()
        assert calls.echo(b"l" * MIB) == b"l" * MIB
        limit_files(pid)
        client.close()
        assert opened(raw, server, ("tcp",))[0].add_one(1) == 2
        server.stop()


def test_no_descriptor_to_accept(own_httpd, raw, log):
    """httpd ends a child that cannot accept; its channels live on."""
    server = own_httpd(children=1)
    log.allow("AH00", "Too many open files", "AH10")
    [calls] = opened(raw, server, ("tcp",))
    [pid] = server.children()
    env.wait_until(lambda: connection_count(server) == 2, "no others")
    leave_free(pid, 0)
    attempts = []

    def stops():
        try:
            attempts.append(socket.create_connection(server.address()))
            # Without data httpd would not be told (TCP_DEFER_ACCEPT).
            attempts[-1].sendall(b"GET / HTTP/1.1\r\n\r\n")
        except OSError:
            pass
        return not listening(pid)
    env.wait_until(stops, "it to stop", 30, 0.1)
    for attempt in attempts:
        attempt.close()
    assert calls.echo(b"a" * MIB) == b"a" * MIB
    [new] = opened(raw, server, ("tcp",))
    assert calls.add_one(1) == 2
    calls.pipe.close()
    gone(server, [pid])
    assert new.add_one(1) == 2


# ---- beside it --------------------------------------------------------------

@SECURE
def test_version_1(own_httpd, v1, tls, secure):
    """Forty tunnels over eight workers, and many that end at once."""
    context = tls if secure else None
    server = own_httpd(server=("GracefulShutdownTimeout 0",))
    before = threads(server)
    all_calls = []
    for n in range(40):
        calls = v1(server, "v1:1", context).open().calls()
        assert calls.add_one(n) == n + 1
        all_calls.append(calls)
    assert b"another site" in get(server)
    assert threads(server) == before
    for n, calls in enumerate(all_calls):
        assert calls.echo(b"v" * (n * 5000)) == b"v" * (n * 5000)
    for n in range(300):
        tunnel = v1(server, "v1:1", context)
        tunnel.request(b"early" if n % 2 else b"")
        if n % 3:
            tunnel.end_sending()
            tunnel.channel.rest()
        tunnel.close()
    for calls in all_calls:
        calls.pipe.close()
    server.wait_idle()
    assert len(channel_lines(server, 0)) >= 40 + 200
    graceful_stop(server, signal.SIGWINCH)


@pytest.mark.parametrize("protocols", ["h2 http/1.1", "http/1.1"])
def test_http2_on_the_host(httpd, fields, raw, tls, log, protocols):
    """mod_http2 is there and may be chosen; channels choose HTTP/1.1 and
    hold no worker."""
    server = httpd(**fields(modules=("http2",),
                            vhost=(f"Protocols {protocols}",)))
    log.allow("http2")
    before = threads(server)
    all_calls = opened(raw, server, ["tcp", "own"] * 6, tls)
    assert b"another site" in get(server)
    for n, calls in enumerate(all_calls):
        assert calls.add_one(n) == n + 1
    assert all(n <= before[pid] for pid, n in threads(server).items()
               if pid in before)
