# SPDX-License-Identifier: Apache-2.0
"""A front that is restarted or stopped, with live streams."""

import os
import signal

import pytest

import env
import rts
from draining import STOPPED, wait_over
from engine_rig import holder
from front_inner import OUT_HEAD
from front_rig import Front, FrontConf, channel, each_way, of_way, passes

GIB = 1 << 30
PING = rts.make("Ping")


@pytest.fixture
def own_front(scratch, certs, log, double):
    """own_front(way, lines of the server...): a front that the test may
    stop."""
    made = []

    def get(way, *lines):
        fields = of_way(way)
        fields["server"] += lines
        server = Front(scratch, certs, FrontConf(
            lines=passes(double.url()), **fields))
        made.append(server)
        server.start()
        log.watch(server)
        return server
    yield get
    double.fresh()
    for server in made:
        if server.process and server.process.alive():
            server.stop()


class Stream:
    """One open channel through the front, with what is behind it."""

    def __init__(self, server, double, method, tls=None):
        self.channel = channel(server, tls)
        self.is_in = method == "RPC_IN_DATA"
        self.channel.request(method, "mbx:6001", GIB if self.is_in else 76)
        self.taken = double.take()
        self.taken.request()
        if not self.is_in:
            self.channel.send(rts.make("CONN/A1", 1, bytes(16), bytes(16),
                                       65536))
            self.taken.exactly(76)
            self.taken.send(OUT_HEAD)
            assert self.channel.head().status == 200

    def works(self):
        ends = self.channel, self.taken
        sender, receiver = ends if self.is_in else ends[::-1]
        sender.send(PING)
        return receiver.exactly(len(PING)) == PING


@pytest.fixture
def streams(double, tls):
    """streams(server): an IN and an OUT, in clear text and through TLS."""
    made = []

    def get(server):
        new = [Stream(server, double, method, context)
               for method in ("RPC_IN_DATA", "RPC_OUT_DATA")
               for context in (None, tls)]
        made.extend(new)
        assert all(s.works() for s in new)
        return new
    yield get
    for stream in made:
        stream.channel.close()


def gone(server, old):
    env.wait_until(lambda: not old & set(server.children()),
                   "the old children to end", 30)


@each_way
def test_graceful_restart(own_front, streams, way):
    """Streams live on in their old child, and it ends after them."""
    server = own_front(way)
    before = streams(server)
    keep = {holder(server, s.channel) for s in before}
    old = server.graceful()
    assert keep <= old
    after = streams(server)
    assert all(s.works() for s in before + after)
    assert not [a for a in server.access_since(0) if a.channel != "-"]
    for s in before:
        s.channel.close()
    gone(server, keep)
    assert all(s.works() for s in after)


def ended(server, n):
    """The access log's lines of n channels."""
    def lines():
        return [a for a in server.access_since(0) if a.channel != "-"]
    env.wait_until(lambda: len(lines()) >= n, "lines")
    assert len(lines()) == n
    return lines()


@each_way
def test_drain(own_front, streams, way):
    """Idle streams of old children end within RpcProxyDrainTimeout."""
    server = own_front(way, "RpcProxyDrainTimeout 1s")
    live = streams(server)
    keep = {holder(server, s.channel) for s in live}
    server.graceful()
    wait_over(*(s.channel for s in live))
    for line in ended(server, 4):
        assert "its child process is stopping" in line.end
    gone(server, keep)


@each_way
@pytest.mark.parametrize("how", ["stop", "graceful-stop"])
def test_hard_stop(own_front, streams, log, way, how):
    """Each stream has its line, in time before httpd kills the child."""
    # The parent's impatience, after 3 s in which it had the processor.
    log.allow("AH00045")
    if way == ("event", "Off"):
        log.allow("AH03092")
    server = own_front(way, "GracefulShutdownTimeout 1")
    live = streams(server)
    os.kill(server.process.pid, signal.SIGTERM if how == "stop"
            else signal.SIGWINCH)
    env.wait_until(lambda: not server.process.alive(), "httpd to end", 40)
    lines = ended(server, len(live))
    assert all(STOPPED in line.end for line in lines)
    assert sorted(line.channel for line in lines) == ["in", "in", "out",
                                                      "out"]
    said = [line for line in server.errors.since(0) if "RPX054" in line
            and " ended after " in line]
    assert len(said) == len(live) and all(STOPPED in line for line in said)
    for bad in ("AH00046", "exit signal"):
        assert not any(bad in line for line in server.errors.since(0))
    wait_over(*(s.channel for s in live))
