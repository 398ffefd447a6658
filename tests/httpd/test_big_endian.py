# SPDX-License-Identifier: Apache-2.0
"""Clients whose PDUs are big-endian (C706 14.2.5): the proxy finds the PDUs
and counts them, and changes nothing. RTS PDUs are little-endian always."""

import os
import struct

import pytest

import rpc
from version1 import Version1

KINDS = ["tcp", "http", "own"]
MIB = 1 << 20


def header(ptype, length, flags=3, call_id=1):
    return struct.pack(">BBBB4xHHI", 5, 0, ptype, flags, length, 0, call_id)


def syntax(interface):
    return interface[0].bytes + struct.pack(">I", interface[1])


def bind(interface, fragment=rpc.FRAGMENT):
    body = struct.pack(">HHIB3xHBx", fragment, fragment, 0, 1, 0, 1)
    body += syntax(interface) + syntax(rpc.NDR)
    return header(rpc.BIND, 16 + len(body)) + body


def request(opnum, stub, call_id, fragment=rpc.FRAGMENT):
    """A call as a list of its request PDUs."""
    room = (fragment - 24) & ~7
    parts = [stub[i:i + room] for i in range(0, len(stub), room)]
    out = []
    for i, part in enumerate(parts):
        flags = (i == 0) | (i == len(parts) - 1) << 1
        out.append(header(rpc.REQUEST, 24 + len(part), flags, call_id)
                   + struct.pack(">IHH", len(stub), 0, opnum) + part)
    return out


class Calls:
    """RPC calls in big-endian NDR, answers in either order."""

    def __init__(self, pipe):
        self.pipe, self.call_id = pipe, 1
        pipe.send_rpc(bind(rpc.RPCECHO))
        ack = pipe.recv_rpc()
        assert rpc.ptype(ack) == rpc.BIND_ACK

    def call(self, opnum, stub):
        """(byte order, stub) of the answer."""
        self.call_id += 1
        for pdu in request(opnum, stub, self.call_id):
            self.pipe.send_rpc(pdu)
        parts = []
        while True:
            pdu = self.pipe.recv_rpc()
            parts.append(rpc.stub_of(pdu))
            if pdu[3] & 0x02:
                return "<" if pdu[4] & 0xF0 else ">", b"".join(parts)

    def add_one(self, n):
        order, stub = self.call(rpc.ADD_ONE, struct.pack(">I", n))
        return struct.unpack(f"{order}I", stub)[0]

    def echo(self, data):
        order, stub = self.call(rpc.ECHO_DATA, struct.pack(
            ">II", len(data), len(data)) + data)
        n = struct.unpack_from(f"{order}I", stub)[0]
        return stub[4:4 + n]


@pytest.mark.parametrize("mpm", ["event", "worker", "prefork"])
@pytest.mark.parametrize("kind", KINDS)
def test_calls(httpd, backends, raw, mpm, kind):
    """Windows hold in both directions: the lengths were read right."""
    server = httpd(mpm=mpm, **backends.fields())
    target = "own.http:1" if kind == "own" else f"echo.{kind}:1"
    client = raw(server, target).open()
    calls = Calls(client)
    assert calls.add_one(0x01020304) == 0x01020305
    data = os.urandom(2 * MIB)
    assert calls.echo(data) == data
    assert client.acks > 0


def test_version_1(httpd, backends):
    server = httpd(mpm="event", **backends.fields(
        location=("RpcProxyVersion1 On",)))
    client = Version1(server.address(), "echo.tcp:1").open()
    data = os.urandom(MIB)
    assert Calls(client).echo(data) == data
    client.close()


def test_both_on_one_httpd(httpd, backends, raw):
    """Byte orders are a matter of each PDU."""
    server = httpd(mpm="event", **backends.fields())
    big = Calls(raw(server, "echo.tcp:1").open())
    little = raw(server, "echo.tcp:1").open().calls()
    for n in range(10):
        assert big.add_one(n) == little.add_one(n) == n + 1
