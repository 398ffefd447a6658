# SPDX-License-Identifier: Apache-2.0
"""Data through the reactor: what stalls stalls alone, and costs nothing; what
lies in TLS's buffers is found without another byte from the socket; what is
small leaves without another byte behind it."""

import hashlib
import random
import socket
import ssl
import threading

import pytest

import env
import rpc
import rts
from engine_rig import wait_stuck
from reactor_rig import (NARROW, PORTS, QUIET, Gate, Packed, StrictTls,
                         channel_lines, open_narrow, pdus, processor_idle,
                         wait_lines, wait_progress_ends, workers)

MIB = 1 << 20
KINDS = ["tcp", "native"]
SECURE = pytest.mark.parametrize("secure", [False, True],
                                 ids=["http", "https"])


@pytest.fixture
def rig(httpd, raw, strict, rpch_server):
    """rig(kind, ...): a Rig."""
    made = []

    def get(kind, **options):
        made.append(Rig(kind, httpd, raw, strict, rpch_server, **options))
        return made[-1]
    yield get
    for r in made:
        r.gate.close()


class Rig:
    """An httpd with one child, whose target gate:1 is a Gate, by either kind
    of protocol, and tcp:1 a server for all else."""

    def __init__(self, kind, httpd, raw, strict, echo, open_=True,
                 location=(), server=()):
        self.gate = Gate(open_)
        at, protocol = self.gate.port, "ncacn_ip_tcp"
        if kind == "native":
            at = strict((self.gate.host, self.gate.port)).port
            protocol = "ncacn_http"
        self.httpd = httpd(
            children=1, threads=4, ports=PORTS,
            routes=(f"gate protocol={protocol} to=127.0.0.1:{at}",
                    "tcp protocol=ncacn_ip_tcp "
                    f"to=127.0.0.1:{echo.tcp_port}"),
            location=(*QUIET, *location), server=(*workers(1, 4, 4), *server))
        self._raw = raw

    def new(self, target, tls=None, **options):
        return self._raw(self.httpd, target, tls, **options)

    def check_others(self, tls):
        """Others of the same child call and move data meanwhile."""
        calls = self.new("tcp:1", tls).open().calls()
        for n in range(20):
            assert calls.add_one(n) == n + 1
        assert calls.echo(b"o" * MIB) == b"o" * MIB
        calls.pipe.close()


def received(client, total):
    """A stream of RPC PDUs of that many bytes, as a hash."""
    h, n = hashlib.sha256(), 0
    while n < total:
        pdu = client.recv_rpc()
        h.update(pdu)
        n += len(pdu)
    assert n == total
    return h.digest()


# ---- back-pressure ----------------------------------------------------------

@SECURE
@pytest.mark.parametrize("kind", KINDS)
def test_server_that_does_not_read(rig, tls, secure, kind):
    """The clients send on until nobody takes any more; when the server reads,
    it gets every byte."""
    context = tls if secure else None
    r = rig(kind, open_=False, server=NARROW)
    clients = [r.new("gate:1", context).open() for _ in range(3)]
    streams = [b"".join(pdus(16 * MIB, seed=n)) for n in range(3)]
    sent = [0, 0, 0]

    def send(n):
        view = memoryview(streams[n])
        while sent[n] < len(view):
            clients[n].cin.send(view[sent[n]:sent[n] + 65536])
            sent[n] += 65536
    senders = []
    for n, client in enumerate(clients):
        held = r.gate.last(n + 1)
        assert held.count == 0
        client.cin.sock.settimeout(120)
        senders.append(threading.Thread(target=send, args=(n,), daemon=True))
        senders[-1].start()
    wait_progress_ends(lambda: tuple(sent), "nobody to take any more")
    assert all(n < 16 * MIB for n in sent)
    processor_idle(r.httpd, "three servers that do not read")
    r.check_others(context)
    r.gate.reading.set()
    for n, data in enumerate(streams):
        r.gate.held[n].wait_for(data)
        senders[n].join(30)
        assert not senders[n].is_alive()


@SECURE
@pytest.mark.parametrize("kind,samba", [("tcp", False), ("native", False),
                                        ("tcp", True)],
                         ids=["tcp", "native", "tcp-quiet"])
def test_client_that_does_not_read(rig, tls, secure, kind, samba):
    """The servers send on until nobody takes any more; when the clients read,
    they get every byte. Also without windows, as Samba's client wants it."""
    context = tls if secure else None
    r = rig(kind, server=NARROW)
    clients = [open_narrow(r.new("gate:1", context, window=262144,
                                 samba=samba, ack=not samba))
               for _ in range(3)]
    streams = [b"".join(pdus(8 * MIB, rpc.RESPONSE, n)) for n in range(3)]
    senders = [r.gate.last(n + 1).send(data)
               for n, data in enumerate(streams)]
    for client in clients:
        wait_stuck(client.cout)
    processor_idle(r.httpd, "three clients that do not read")
    r.check_others(context)
    for client, data in zip(clients, streams):
        client.cout.sock.settimeout(60)
        assert received(client, len(data)) == hashlib.sha256(data).digest()
    for sender in senders:
        sender.join(30)
        assert not sender.is_alive()


@SECURE
@pytest.mark.parametrize("kind", KINDS)
def test_client_that_does_not_acknowledge(rig, tls, secure, kind):
    """The window is closed, not the socket; then it opens."""
    context = tls if secure else None
    r = rig(kind)
    client = r.new("gate:1", context, ack=False).open()
    data = b"".join(pdus(2 * MIB, rpc.RESPONSE))
    sender = r.gate.last(1).send(data)
    while not client.cout.silent(0.5):
        assert len(client.cout.buffer) <= 65536
    processor_idle(r.httpd, "a client that does not acknowledge")
    r.check_others(context)
    client.ack = True
    assert received(client, len(data)) == hashlib.sha256(data).digest()
    sender.join(30)
    assert not sender.is_alive()


@SECURE
@pytest.mark.parametrize("kind", KINDS)
def test_both_ways_at_once(rig, tls, secure, kind):
    """Bulk in both directions of one connection, each in its own time."""
    context = tls if secure else None
    r = rig(kind)
    client = r.new("gate:1", context, window=131072).open()
    there = b"".join(pdus(12 * MIB, seed=3))
    back = b"".join(pdus(12 * MIB, rpc.RESPONSE, 4))
    client.cin.sock.settimeout(120)
    one_at_a_time, send = threading.Lock(), client.cin.send

    def send_alone(part):
        with one_at_a_time:
            send(part)
    client.cin.send = send_alone
    sender = threading.Thread(target=feed, args=(client, there), daemon=True)
    r.gate.last(1).send(back)
    sender.start()
    assert received(client, len(back)) == hashlib.sha256(back).digest()
    r.gate.held[0].wait_for(there)
    sender.join(30)
    assert not sender.is_alive()


def feed(client, data):
    """Sends data, PDU by PDU: the acks of another thread come between two of
    them."""
    at = 0
    while at < len(data):
        n = rts.frag_length(data[at:at + 10])
        client.in_sent += n
        client.cin.send(data[at:at + n])
        at += n


# ---- what TLS holds ---------------------------------------------------------

def packed(client):
    """Opens client's connection; its IN channel sends when told to."""
    client.start_out()
    client.read_200()
    client.read_a3()
    client.cin = Packed(client.address, client.tls, timeout=30)
    client.request_in(channel=client.cin)
    client.cin.send(client.b1())
    client.cin.flush()
    client.read_c2()
    return client.cin


def random_cuts(parts):
    """The same bytes, cut anywhere, also within a PDU."""
    data, rng, out = b"".join(parts), random.Random(5), []
    while data:
        n = min(rng.choice((1, 2, 9, 16, 100, 5000, 16384)), len(data))
        out.append(data[:n])
        data = data[n:]
    return out


@SECURE
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("join", ["one-write", "one-each", "cut"])
def test_burst_then_silence(rig, tls, secure, kind, join):
    """PDUs of all sizes at once, then nothing: all of them arrive, though
    the socket has nothing more to say. Several times, for what one burst
    leaves behind the next one would push out."""
    r = rig(kind)
    channel = packed(r.new("gate:1", tls if secure else None))
    held, total = r.gate.last(1), b""
    for n, size in enumerate((30, 16000, 60000, 200000, 900000)):
        burst = pdus(size, seed=n)
        for part in random_cuts(burst) if join == "cut" else burst:
            channel.send(part)
        sender = threading.Thread(target=channel.flush,
                                  args=(join == "one-write",), daemon=True)
        sender.start()
        total += b"".join(burst)
        held.wait_for(total)
        sender.join(30)
        assert not sender.is_alive()


@pytest.mark.parametrize("kind", KINDS)
def test_burst_while_the_server_is_deaf(rig, tls, kind):
    """TLS has decrypted more than the server takes: the rest is found when it
    takes it, and not only when the client sends more."""
    r = rig(kind, open_=False, server=NARROW)
    channel = packed(r.new("gate:1", tls))
    held, total = r.gate.last(1), b"".join(pdus(8 * MIB))
    sender = threading.Thread(target=channel.sock.sendall, args=(total,),
                              daemon=True)
    channel.sock.settimeout(120)
    sender.start()
    processor_idle(r.httpd, "a server that does not read")
    for _ in range(40):
        # A little at a time: the last bytes lie in every buffer on the way.
        held.reading.set()
        wait_progress_ends(lambda: held.count, "some")
        held.reading.clear()
        if held.count == len(total):
            break
    held.reading.set()
    held.wait_for(total)
    sender.join(30)
    assert not sender.is_alive()


# ---- what leaves at once ----------------------------------------------------

#: Around the limits of the core's filter (4096) and mod_ssl's (8192 for one,
#: and what it collects), with nothing behind any of them.
SIZES = (24, 25, 100, 1000, 4071, 4072, 4095, 4096, 4097, 5840)


@SECURE
@pytest.mark.parametrize("kind", KINDS)
def test_one_pdu_then_silence(rig, tls, secure, kind):
    """mod_ssl keeps a small write until something follows, httpd's core one
    below 4 kB: nothing follows."""
    r = rig(kind)
    client = r.new("gate:1", tls if secure else None).open()
    held = r.gate.last(1)
    for n in range(3):
        for size in SIZES:
            pdu = rts.header(rpc.RESPONSE, size) + bytes([n]) * (size - 16)
            held.sock.sendall(pdu)
            assert client.recv_rpc() == pdu
    for many in (2, 3, 17, 200):
        parts = pdus(many * 30, rpc.RESPONSE, many, most=60)
        held.sock.sendall(b"".join(parts))
        assert [client.recv_rpc() for _ in parts] == parts


@SECURE
@pytest.mark.parametrize("kind", KINDS)
def test_head_then_silence(rig, tls, secure, kind):
    """The response's head and CONN/A3 come before there is an IN channel, and
    Pings one by one."""
    r = rig(kind, location=("RpcProxyPingInterval 1s",))
    client = r.new("gate:1", tls if secure else None)
    client.start_out()
    client.read_200()
    client.read_a3()
    client.start_in()
    client.read_c2()
    while client.pings < 3:
        client.queue_one()


# ---- the server leaves ------------------------------------------------------

@SECURE
@pytest.mark.parametrize("slow", [False, True], ids=["fast", "slow"])
def test_what_the_server_said_last(rig, certs, secure, slow):
    """It sends and closes: all of it comes to the client, whenever it reads,
    and then an orderly end, of TLS too."""
    r = rig("tcp", server=NARROW)
    mark = r.httpd.accesses.mark()
    client = r.new("gate:1", StrictTls(certs) if secure else None,
                   window=262144)
    open_narrow(client) if slow else client.open()
    data = b"".join(pdus(200000, rpc.RESPONSE, most=5840))
    held = r.gate.last(1)
    held.send(data).join(20)
    held.sock.shutdown(socket.SHUT_RDWR)
    if slow:
        wait_stuck(client.cout)
        assert not [a for a in channel_lines(r.httpd, mark)
                    if a.channel == "out"]
    assert received(client, len(data)) == hashlib.sha256(data).digest()
    assert client.cout.sock.recv(1) == b""
    client.close()
    wait_lines(r.httpd, mark, 2)


def test_output_that_waits_when_the_channel_ends(rig, certs):
    """IN is gone, and OUT ends with it, while the client does not read: what
    httpd has of it comes in whole records, and then the end of TLS. Whether it
    still waits in httpd then depends on how it had come in: several times."""
    r = rig("tcp", server=NARROW)
    for number in range(1, 5):
        mark, got = r.httpd.accesses.mark(), 0
        client = open_narrow(r.new("gate:1", StrictTls(certs), window=262144))
        r.gate.last(number).send(b"".join(pdus(MIB, rpc.RESPONSE)))
        wait_stuck(client.cout)
        client.cin.reset()
        env.wait_until(lambda: not r.httpd.status()["connections"],
                       "both channels to end")
        while data := client.cout.sock.recv(65536):
            got += len(data)
        assert got > 16384
        wait_lines(r.httpd, mark, 2)
