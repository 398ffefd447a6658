# SPDX-License-Identifier: Apache-2.0
"""What TLS has to say itself, where httpd's connection must not wait: in a full
socket it waits for room like the data before it, else it leaves at once."""

import array
import fcntl
import socket
import ssl
import struct
import termios
import threading

import pytest

import env
import rawclient
import rpc
import rts
from engine_rig import tcp_sockets
from front_inner import CHUNKED_HEAD, OUT_HEAD, challenge, chunk
from front_rig import Body, channel, passes
from reactor_rig import (NARROW, QUIET, Gate, StrictTls, pdus,
                         workers)
from test_front_pins import message
from test_key_update import Client

SIZE = 600
#: What TLS makes of it, at least.
RECORD = SIZE + 22
PDU = rts.header(rpc.RESPONSE, SIZE) + bytes(SIZE - 16)


@pytest.fixture
def gate():
    g = Gate()
    yield g
    g.close()


def fields(gate, mpm="event", more=()):
    threads = 4 if mpm == "event" else 8
    return {"mpm": mpm, "children": 1, "threads": threads,
            "ports": ("gate:1",),
            "routes": ("gate protocol=ncacn_ip_tcp "
                       f"to=127.0.0.1:{gate.port}",),
            "location": QUIET,
            "server": (*NARROW, *more, *(workers(1, threads, threads)
                                  if mpm == "event" else ()))}


# ---- the end of TLS ---------------------------------------------------------

#: Pieces of odd sizes, whose last write fills the socket now and then: one
#: time in twenty, about.
PIECES, TIMES = list(pdus(200000, rpc.RESPONSE, most=5840)), 60
BODY = b"".join(PIECES)


def test_end(httpd, raw, certs, gate):
    """The server sends and closes."""
    server = httpd(**fields(gate))
    for n in range(TIMES):
        client = raw(server, "gate:1", StrictTls(certs), window=262144).open()
        held = gate.last(n + 1)
        held.send(BODY).join(20)
        held.sock.shutdown(socket.SHUT_RDWR)
        assert [client.recv_rpc() for _ in PIECES] == PIECES
        assert client.cout.sock.recv(1) == b""
        client.close()


def chunked(server, double, kept, certs):
    """An OUT channel through the front whose response is chunked."""
    c = kept(channel(server, StrictTls(certs)))
    c.request("RPC_OUT_DATA", "mbx:6001", 0)
    taken = double.take()
    taken.request()
    taken.send(CHUNKED_HEAD)
    return c, taken, Body(c, c.head())


@pytest.mark.parametrize("end", [b"0\r\n\r\n", b"", b"zz\r\n"],
                         ids=["whole", "cut", "wrong"])
def test_end_of_a_front(front, double, kept, certs, log, end):
    """The inner proxy ends its response, or breaks it off: the end of TLS
    comes behind what came before, in either case."""
    log.allow("RPX0543")
    server = front(*passes(double.url()), server=NARROW)
    for _ in range(TIMES):
        c, taken, body = chunked(server, double, kept, certs)
        taken.send(b"".join(map(chunk, PIECES)) + end)
        taken.close()
        if end != b"zz\r\n":
            assert body.exactly(len(BODY)) == BODY
            assert body.ends() is (end != b"")
        while data := c.sock.recv(65536):
            c.buffer += data
        c.close()


# ---- the answer to a KeyUpdate ----------------------------------------------

class Slow:
    """Passes one TCP connection on; what httpd sends stays in its socket
    until somebody reads on. passed: what it has sent so far."""

    def __init__(self, address):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.server = socket.socket()
        self.server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        self.server.connect(address)
        self.server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.reads = threading.Event()
        self.reads.set()
        self.passed = bytearray()
        env.in_thread(self._serve)

    def _serve(self):
        self.client, _ = self.listener.accept()
        env.in_thread(self._pass, self.client, self.server)
        self._pass(self.server, self.client, self.passed)

    def _pass(self, from_, to, passed=None):
        try:
            while data := from_.recv(65536):
                if passed is not None:
                    passed += data
                to.sendall(data)
                if passed is not None:
                    self.reads.wait()
            to.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def close(self):
        self.reads.set()
        env.close_listener(self.listener)
        self.server.close()
        self.client.close()


def waiting(sock, server):
    """Bytes on their way from a process of httpd to sock's reader."""
    here = array.array("i", [0])
    fcntl.ioctl(sock, termios.FIONREAD, here)
    mine = sock.getsockname()[1]
    here[0] += sum(s.unsent for s in tcp_sockets(server) if s.peer == mine)
    return here[0]


def pour(send, sock, server):
    """Calls send() for one piece after the other until the kernel takes no
    more, and says how many it was called for."""
    n = 0
    while True:
        send()
        n += 1
        try:
            env.wait_until(lambda: waiting(sock, server) >= n * RECORD,
                           "a piece", 0.5, 0.002)
        except env.Timeout:
            return n


@pytest.mark.parametrize("mpm", ["event", "worker"])
def test_key_updates(httpd, raw, tls, certs, gate, mpm):
    """Each write begins with the answer to the client's last KeyUpdate; one
    of them finds no room."""
    server = httpd(**fields(gate, mpm))
    slow = Slow(("127.0.0.1", server.ports["https"]))
    client = raw(server, "gate:1", tls, window=262144)
    client.open(cout=Client(slow.port, certs))
    held = gate.last(1)

    def ask_and_send():
        client.cout.update_key(answer=True)
        held.sock.sendall(PDU)
    slow.reads.clear()
    held.sock.sendall(PDU)             # the last that it reads
    assert client.recv_rpc() == PDU
    sent = pour(ask_and_send, slow.server, server)
    for _ in range(20):
        ask_and_send()
    slow.reads.set()
    assert [client.recv_rpc() for _ in range(sent + 20)] == [PDU] * (sent + 20)
    client.close()
    slow.close()


# ---- what waited ------------------------------------------------------------

def records(stream):
    """Bytes of each TLS record of data in a stream."""
    at = 0
    while at + 5 <= len(stream):
        kind, _, size = struct.unpack_from(">BHH", stream, at)
        at += 5 + size
        if kind == 23:
            yield size


def full(slow):
    """Bytes of the records of httpd that are as large as TLS has them."""
    return sum(n for n in records(slow.passed) if n > 16384)


#: Of 30,000 bytes what is passed on at a time is less than two records.
@pytest.mark.parametrize("more", [(), ("FlushMaxThreshold 30000",)],
                         ids=["", "low"])
@pytest.mark.parametrize("mpm", ["event", "worker"])
def test_records_are_full(httpd, raw, tls, gate, mpm, more):
    """What waited for the client in blocks leaves in records as large as TLS
    has them: each costs a call, and its receiver another."""
    server = httpd(**fields(gate, mpm, more))
    slow = Slow(("127.0.0.1", server.ports["https"]))
    client = raw(server, "gate:1", tls, window=262144)
    client.open(cout=rawclient.Channel(("127.0.0.1", slow.port), tls))
    gate.last(1).send(BODY * 5)
    assert [client.recv_rpc() for _ in PIECES * 5] == PIECES * 5
    assert full(slow) > len(BODY)
    client.close()
    slow.close()


@pytest.mark.parametrize("mpm", ["event", "worker"])
def test_records_of_a_front_are_full(front, double, kept, tls, mpm):
    """As large as its inner proxy's body lets them be: that of a chunked one
    leaves chunk by chunk."""
    server = front(*passes(double.url()), mpm=mpm, server=NARROW)
    slow = Slow(server.address(True))
    c = kept(rawclient.Channel(("127.0.0.1", slow.port), tls))
    c.request("RPC_OUT_DATA", "mbx:6001", 0)
    taken = double.take()
    taken.request()
    taken.send(OUT_HEAD)
    body = Body(c, c.head())
    env.in_thread(taken.send, BODY * 5)
    assert body.exactly(5 * len(BODY)) == BODY * 5
    assert full(slow) > len(BODY)
    slow.close()


# ---- and where there is room ------------------------------------------------

@pytest.mark.parametrize("mpm", ["event", "worker"])
def test_alert(httpd, raw, tls, gate, mpm):
    """A record that nobody has sent: TLS says so at once."""
    server = httpd(**fields(gate, mpm))
    client = raw(server, "gate:1", tls).open()
    # past TLS: a record of application data
    socket.socket.send(client.cin.sock, b"\x17\x03\x03\x00\x20" + bytes(32))
    with pytest.raises(ssl.SSLError, match="BAD_RECORD_MAC"):
        client.cin.sock.recv(1)
    client.close()


@pytest.mark.parametrize("mpm", ["event", "worker", "prefork"])
def test_the_next_request_is_flushed(front, double, kept, tls, mpm):
    """A connection that httpd has back behind a leg of NTLM is as before."""
    server = front(*passes(double.url()), mpm=mpm)
    c = kept(channel(server, tls))
    c.request("RPC_IN_DATA", "mbx:6001", 0, [message(1)])
    taken = double.take()
    taken.whole()
    taken.send(challenge("VFdP"))
    assert c.response()[0].status == 401
    c.request("GET", None, path="/index.html")
    assert c.response()[0].status == 200
