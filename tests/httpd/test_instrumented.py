# SPDX-License-Identifier: Apache-2.0
"""Streams of all kinds through one process (httpd -X) whose module is
instrumented; instrumented.sh runs this. What the instrument has to say fails
it. Everything is slow here: as much happens at once as can."""

import os
import re
import shlex
import signal
import threading

import pytest

import env
import recycling
import rpc
from engine_rig import connection_count
from httpd import Httpd
from httpd_conf import Conf
from logs import SANITIZER
from reactor_rig import gate, greeter_  # noqa: F401
from reactor_rig import (NARROW, PORTS, open_narrow, pdus, wait_lines,
                         workers)
from test_reactor import churn
from test_recycling import until_asked, works
from version1 import v1  # noqa: F401

KIND = os.environ.get("INSTRUMENTED")
pytestmark = pytest.mark.skipif(not KIND, reason="see instrumented.sh")
#: valgrind is slow.
PART = 4 if KIND == "valgrind" else 1
WAIT = 240 if KIND == "valgrind" else 60

#: valgrind writes what it finds, and nothing else with -q.
FOUND = re.compile(SANITIZER.pattern + r"|^==\d+== \w", re.M)


class OneProcess(Httpd):
    """httpd -X under an instrument: the process is its own child."""

    def _argv(self, *more):
        argv = super()._argv(*more)
        if "-t" in more:
            return argv
        more = ["-X"] + [m for m in more if m != "-DFOREGROUND"]
        return [*shlex.split(os.environ.get("HTTPD_WRAPPER", "")),
                *super()._argv(*more)]

    def children(self):
        return [self.process.pid] if self.process else []

    def settled(self):
        return True

    def end(self):
        """Stops it; fails when the instrument has found anything."""
        os.kill(self.process.pid, signal.SIGTERM)
        self.process.popen.wait(WAIT)
        said = self.output.read_text(errors="replace")
        assert not FOUND.search(said), said[:20000]
        assert self.process.popen.returncode in (0, -signal.SIGTERM), said


@pytest.fixture(params=["Auto", "Off"])
def way(request):
    return request.param


@pytest.fixture
def lines():
    """More for the location."""
    return ()


@pytest.fixture
def server(way, lines, scratch, certs, log, gate, greeter_, rpch_server,
           recycling_server):
    conf = Conf(
        children=1, threads=12, ports=PORTS + ("v1:1;strict.http:1",),
        routes=(f"gate protocol=ncacn_ip_tcp to=127.0.0.1:{gate.port}",
                f"tcp protocol=ncacn_ip_tcp to=127.0.0.1:"
                f"{rpch_server.tcp_port}",
                f"own to=127.0.0.1:{rpch_server.http_port}",
                f"strict.http to=127.0.0.1:{recycling_server.port}",
                greeter_.route("v1")),
        location=("RpcProxyMaxPerUser 0", "RpcProxyVersion1 On",
                  "RpcProxyPingInterval 1s", *lines),
        server=(*workers(1, 12, 12), *NARROW, f"RpcProxyAsync {way}"))
    httpd = OneProcess(scratch, certs, conf)
    log.allow("RPX03", "RPX04", "AH00485", "AH00484")
    httpd.start()
    log.watch(httpd)
    yield httpd
    if httpd.process.alive():
        env.wait_until(lambda: not httpd.status()["connections"], "the rest",
                       WAIT, 0.2)
        # httpd closes the sockets of its workers under them.
        env.wait_until(lambda: connection_count(httpd) == 0, "no others",
                       WAIT, 0.2)
        httpd.end()
    else:
        httpd.process.stop()


def each(*work):
    """Does all of it at once."""
    errors = []

    def one(fn, *args):
        try:
            fn(*args)
        except Exception as e:
            errors.append(f"{fn.__name__}{args}: {type(e).__name__} {e}")
    made = [threading.Thread(target=one, args=w) for w in work]
    for t in made:
        t.start()
    for t in made:
        t.join()
    assert not errors, errors


def test_churn(server, tls):
    """Short channels through the hand-over, plain and TLS."""
    mark = server.accesses.mark()
    churn(server, None, 400 // PART, "fin")
    churn(server, tls, 120 // PART, "fin")
    wait_lines(server, mark, 520 // PART)
    churn(server, None, 120 // PART, "close", "reset")


def test_calls(server, raw, v1, tls):
    """Bulk both ways, by all kinds of connections at once."""
    def call(kind, context):
        calls = raw(server, f"{kind}:1", context, timeout=WAIT).open().calls()
        for n in (1, 5000, 400000 // PART):
            assert calls.echo(bytes([n % 251]) * n) == bytes([n % 251]) * n
        calls.pipe.close()

    def tunnel(context):
        calls = v1(server, "v1:1", context, timeout=WAIT).open().calls()
        assert calls.echo(b"t" * 100000) == b"t" * 100000
        calls.pipe.close()
    for _ in range(8 // PART):
        each((call, "tcp", None), (call, "own", None), (call, "tcp", tls),
             (call, "own", tls), (tunnel, None), (tunnel, tls))


def recycle(server, name, context):
    """Both channels are replaced, again and again."""
    client = recycling.Recycler(server.address(context is not None), name,
                                tls=context, timeout=WAIT)
    try:
        client.open()
        calls = client.calls(fragment=5840)
        for _ in range(12 // PART):
            assert client.recycle_in() == "IN_R2"
            assert works(calls)
            until_asked(client, calls)
            assert client.recycle_out() == "OUT_R2"
            assert works(calls)
    finally:
        client.close()


@pytest.mark.parametrize("lines", [("RpcProxyChannelLifetime 128K",)],
                         ids=["short"])
def test_recycling(server, tls):
    each(*((recycle, server, name, context) for name in
           ("tcp:1", "strict.http:1") for context in (None, tls)))


def test_stalls(server, gate, raw, tls):
    """Clients and servers that do not read, and go on, or go away."""
    for context in (None, tls):
        number = len(gate.held) + 1
        client = open_narrow(raw(server, "gate:1", context, window=262144,
                                 timeout=WAIT))
        data = b"".join(pdus(2000000 // PART, rpc.RESPONSE))
        gate.last(number).send(data)
        there = b"".join(pdus(100000))
        gate.reading.clear()
        sender = threading.Thread(target=client.cin.sock.sendall,
                                  args=(there,), daemon=True)
        sender.start()
        env.wait_until(lambda: client.cout.silent(0.01) or True, "some")
        gate.reading.set()
        got = 0
        client.ack = False             # the sender has the IN channel
        sender.join(WAIT)
        client.ack, client.in_sent = True, len(there)
        while got < len(data):
            got += len(client.recv_rpc())
        gate.held[number - 1].wait_for(there)
        client.cout.reset()
        client.close()


def test_stop(server, raw, v1, tls):
    """With live channels of all kinds."""
    live = [raw(server, f"{kind}:1", context, timeout=WAIT).open().calls()
            for kind in ("tcp", "own") for context in (None, tls)]
    live.append(v1(server, "v1:1", timeout=WAIT).open().calls())
    for n, calls in enumerate(live):
        assert calls.add_one(n) == n + 1
    env.wait_until(lambda: connection_count(server) == 9, "no others", WAIT)
    server.end()
    wait_lines(server, 0, 9)
