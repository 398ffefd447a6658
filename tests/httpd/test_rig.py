# SPDX-License-Identifier: Apache-2.0
"""The rig itself: what judges the proxy must be right before it judges."""

import os
import socket

import pytest

import env
import rpc
import rts
import strict_server

VC, IN, OUT, GROUP = (bytes(range(n, n + 16))
                      for n in (0xA0, 0xC0, 0xB0, 0x90))

#: The packets of real software, MS-RPCH field by field.
VECTORS = {
    "CONN/A1": "05001403100000004c000000000000000000040006000000010000000300"
               "0000a0a1a2a3a4a5a6a7a8a9aaabacadaeaf03000000b0b1b2b3b4b5b6b7"
               "b8b9babbbcbdbebf0000000000000100",
    "CONN/A3": "05001403100000001c000000000000000000010002000000c0d40100",
    "Ping": "0500140310000000140000000000000001000000",
}


class Proxy:
    """A hand-driven proxy's end of S-IN or S-OUT."""

    def __init__(self, server):
        self.sock = socket.create_connection((server.host, server.port), 20)
        assert self.exactly(14) == rts.LEGACY

    def exactly(self, n):
        data = b""
        while len(data) < n:
            part = self.sock.recv(n - len(data))
            if not part:
                raise EOFError
            data += part
        return data

    def pdu(self):
        return rpc.read_pdu(self.exactly)

    def send(self, data):
        self.sock.sendall(data)

    def ended(self):
        try:
            while self.sock.recv(65536):
                pass
        except ConnectionResetError:
            pass
        return True


def a2(window=65536):
    return rts.make("CONN/A2", 1, VC, OUT, 1 << 30, window)


def b2():
    return rts.make("CONN/B2", 1, VC, IN, 65536, 120000, GROUP,
                    b"\0" * 4 + b"\0" * 4 + b"\x7f\0\0\1" + b"\0" * 8)


def test_rts_vectors():
    made = {"CONN/A1": rts.make("CONN/A1", 1, VC, OUT, 65536),
            "CONN/A3": rts.make("CONN/A3", 120000),
            "Ping": rts.make("Ping")}
    for name, raw in made.items():
        assert raw.hex() == VECTORS[name]
        assert rts.read(raw).name == name


@pytest.mark.parametrize("at,value", [(0, 4), (1, 1), (3, 0x23), (4, 0),
                                      (5, 1), (8, 75), (10, 1), (12, 1),
                                      (16, 1), (18, 3), (20, 15), (24, 2),
                                      (70, 5)])
def test_rts_read_is_strict(at, value):
    raw = bytearray.fromhex(VECTORS["CONN/A1"])
    raw[at] = value
    with pytest.raises(rts.BadPdu):
        rts.read(raw)


@pytest.fixture
def pair(samba_dc):
    """A strict server and both legs of an open virtual connection."""
    server = strict_server.StrictServer((samba_dc.host, samba_dc.samr_port))
    sout, sin = Proxy(server), Proxy(server)
    sout.send(a2())
    sin.send(b2())
    assert rts.read(sin.pdu()).name == "CONN/B3"
    assert rts.read(sout.pdu()).name == "CONN/C1"
    yield server, sin, sout
    server.close()


class Pipe:
    def __init__(self, sin, sout):
        self.sin, self.sout = sin, sout

    def send_rpc(self, pdu):
        self.sin.send(pdu)

    def recv_rpc(self):
        return self.sout.pdu()


def test_strict_server_bridges(pair):
    server, sin, sout = pair
    calls = rpc.Calls(Pipe(sin, sout)).bind(rpc.MGMT)
    assert len(calls.inq_if_ids()) > 5
    server.check()
    assert server.open_count() == 1
    sin.sock.close()
    sout.ended()
    env.wait_until(lambda: server.leg_count() == 0, "the legs to end")
    server.check()


def ack(received, window, cookie=OUT):
    return rts.make("FlowControlAck", (received, window, cookie))


@pytest.mark.parametrize("leg,raw", [
    ("in", rts.make("Ping")),
    ("in", rts.make("CONN/B3", 65536, 1)),
    ("in", a2()),
    ("in", rpc.bind(rpc.MGMT)[:8] + b"\x0f\0" + rpc.bind(rpc.MGMT)[10:]),
    ("in", rts.make("FlowControlAckWithDestination", rts.FD_CLIENT,
                    (0, 65536, OUT))),
    ("in", rts.make("FlowControlAckWithDestination", rts.FD_IN_PROXY,
                    (0, 65536, IN))),
    ("out", rpc.bind(rpc.MGMT)),
    ("out", ack(1, 65536)),
    ("out", ack(0, 65537)),
    ("out", ack(0, 65536, IN)),
    ("out", rts.make("Keep-Alive", 60000)),
], ids=lambda v: v if isinstance(v, str) else v[:24].hex())
def test_strict_server_refuses(pair, leg, raw):
    server, sin, sout = pair
    (sin if leg == "in" else sout).send(raw)
    assert sin.ended() and sout.ended()
    with pytest.raises(AssertionError):
        server.check()


def test_strict_server_window():
    """A PDU beyond the window of S-IN is a violation."""
    with socket.create_server(("127.0.0.1", 0)) as sink:
        server = strict_server.StrictServer(sink.getsockname(), window=8192,
                                            ack=False)
        sout, sin = Proxy(server), Proxy(server)
        sout.send(a2())
        sin.send(b2())
        sin.pdu()
        for part in rpc.request(2, os.urandom(8000)):
            sin.send(part)
        env.wait_until(lambda: server.history[0].rpc_in > 8000, "two PDUs")
        server.check()
        sin.send(rpc.request(2, b"12345678" * 32)[0])
        assert sin.ended()
        with pytest.raises(AssertionError, match="beyond the window"):
            server.check()
        server.close()
