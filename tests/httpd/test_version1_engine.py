# SPDX-License-Identifier: Apache-2.0
"""Connections of version 1 and the processes of httpd: they wait without
using a processor, and leave nothing behind."""

import os
import signal
import socket
import threading

import pytest

import env
import rpc
from engine_rig import holder, send_until_full, wait_still, wait_stuck
from version1 import greeter, v1  # noqa: F401

MPMS = ["event", "worker", "prefork"]
MIB = 1 << 20


class Rig:
    """An httpd, a server that does what a test tells it to, and clients."""

    def __init__(self, httpd, greeter, v1, mpm):
        self.go = threading.Event()
        self.server = greeter(talk=self._talk)
        self.silent = greeter(greeting=b"", talk=self._talk)
        self.httpd = httpd(mpm=mpm, auth="none", ports=("s:1", "silent:1"),
                           routes=(self.server.route("s"),
                                   self.silent.route("silent")),
                           location=("RpcProxyVersion1 On",
                                     "RpcProxyRequireAuth Off",
                                     "RpcProxyStallTimeout 60s"))
        self._v1 = v1
        self.answer = b""

    def _talk(self, sock):
        sock.sendall(self.answer)
        self.go.wait(60)

    def new(self, target="s:1"):
        return self._v1(self.httpd, target, auth=None)


def waiting(rig):
    rig.new("silent:1").request(b"x" * 1000)
    yield "for a greeting, with early bytes"


def quiet(rig):
    client = rig.new().open()
    yield "open"
    client.end_sending()
    yield "the client sends no more"
    client.channel.reset()
    yield "and is gone"


def half_a_pdu(rig):
    client = rig.new().open()
    client.channel.send(rpc.bind(rpc.RPCECHO)[:30])
    yield "half a PDU"
    client.end_sending()
    yield "and no more"


def deaf_server(rig):
    client = rig.new().open()
    send_until_full(client.channel, rpc.request(0, bytes(4000))[0] * 10)
    yield "the server reads nothing"
    client.end_sending()
    yield "and the client sends no more"
    rig.server.sockets[-1].shutdown(socket.SHUT_WR)
    yield "and so does the server"


def deaf_client(rig):
    rig.answer = b"".join(rpc.request(0, bytes(16 * MIB)))
    client = rig.new().open()
    wait_stuck(client.channel)
    yield "the client reads nothing"
    client.end_sending()
    yield "and sends no more"


@pytest.mark.parametrize("mpm", MPMS)
@pytest.mark.parametrize("states", [waiting, quiet, half_a_pdu, deaf_server,
                                    deaf_client], ids=lambda s: s.__name__)
def test_no_busy_loop(httpd, greeter, v1, log, mpm, states):
    rig = Rig(httpd, greeter, v1, mpm)
    log.allow("RPX0354")
    before = set(rig.httpd.children())
    for state in states(rig):
        wait_still(before | set(rig.httpd.children()), state)
    rig.go.set()
    for server in (rig.server, rig.silent):
        server.close()
        for sock in server.sockets:
            sock.close()


@pytest.mark.parametrize("mpm", MPMS)
def test_child_is_killed(httpd, greeter, v1, log, mpm):
    """Both halves of the entry are taken back, and the place is free."""
    rig = Rig(httpd, greeter, v1, mpm)
    client = rig.new().open()
    reaped = rig.httpd.status()["channels_reaped"]
    log.expect("RPX0302: ")
    os.kill(holder(rig.httpd, client.channel), signal.SIGKILL)
    assert client.channel.rest() == b""
    rig.go.set()
    env.wait_until(lambda: rig.httpd.status()["channels_reaped"]
                   == reaped + 2, "both halves to be reaped")
    assert rig.new().open()


@pytest.mark.parametrize("mpm", MPMS)
def test_nothing_adds_up(httpd, greeter, v1, log, mpm):
    """Descriptors and threads, after connections that ended in every way."""
    rig = Rig(httpd, greeter, v1, mpm)
    rig.go.set()
    log.allow("RPX0354", "RPX0355")

    def some():
        for end in ("close", "reset"):
            for n in range(4):
                client = rig.new("silent:1" if n == 3 else "s:1").request()
                if n:
                    client.channel.send(rpc.bind(rpc.RPCECHO)[:20 * n])
                getattr(client.channel, end)()
        rig.httpd.wait_idle()
    some()
    before = rig.httpd.resources()
    for _ in range(10):
        some()

    def even():
        now = rig.httpd.resources()
        return all(now[p][0] <= r[0] + 1 and now[p][1] <= r[1]
                   for p, r in before.items() if p in now)
    env.wait_until(even, "descriptors and threads to be as before", 20, 0.1)
