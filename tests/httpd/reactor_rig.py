# SPDX-License-Identifier: Apache-2.0
"""What the tests of the reactor need: an httpd with few workers, a server
that does what the test tells it to, and a look at what is left behind."""

import hashlib
import random
import socket
import ssl
import threading
import time
import urllib.request
from pathlib import Path

import pytest

import env
import rawclient
import rpc
import rts
from engine_rig import shares, tcp_sockets, wait_still
from httpd import Httpd
from httpd_conf import Conf
from version1 import Greeter

PORTS = ("gate:1-99;tcp:1;own:1;strict:1;full:1;deaf.example.org:1",)
#: So that no Ping pushes out what should have left before.
QUIET = ("RpcProxyPingInterval 600s",)


def workers(children, threads, most=None):
    """Lines for Conf.server: so many children, with few workers, whose
    connections are many. most: workers of all children that there may be."""
    most = most or 2 * children * threads
    return (f"MaxRequestWorkers {most}", "AsyncRequestWorkerFactor 256",
            "MinSpareThreads 1",
            f"MaxSpareThreads {most}")


class Held:
    """A connection that a Gate accepted."""

    def __init__(self, sock, reading):
        self.sock, self.reading = sock, reading
        self.count, self.hash = 0, hashlib.sha256()
        self.ended = threading.Event()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        try:
            while True:
                self.reading.wait()
                data = self.sock.recv(65536)
                if not data:
                    break
                self.hash.update(data)
                self.count += len(data)
        except OSError:
            pass
        self.ended.set()

    def wait_for(self, data):
        """Until all of data is here, and nothing else."""
        env.wait_until(lambda: self.count >= len(data) or self.ended.is_set(),
                       f"{len(data)} bytes", 60)
        assert self.count == len(data)
        assert self.hash.digest() == hashlib.sha256(data).digest()

    def send(self, data):
        """In a thread of its own, which is returned."""
        thread = threading.Thread(target=self._send, args=(data,),
                                  daemon=True)
        thread.start()
        return thread

    def _send(self, data):
        try:
            self.sock.sendall(data)
        except OSError:
            pass

    def reset(self):
        """RST. The thread that reads would keep the socket."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                             b"\1\0\0\0\0\0\0\0")
        self.reading.set()
        self.sock.shutdown(socket.SHUT_RD)
        self.ended.wait(20)
        self.sock.close()


class Gate:
    """An ncacn_ip_tcp server that is none: it reads while its gate is open,
    and sends what the test wants."""

    def __init__(self, open_=True):
        self.reading = threading.Event()
        if open_:
            self.reading.set()
        self.held = []
        self.listener = socket.socket()
        if not open_:              # so that it is soon full
            self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF,
                                     65536)
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen(512)
        self.host, self.port = self.listener.getsockname()
        env.accept_each(self.listener, self._take)

    def _take(self, sock, _):
        self.held.append(Held(sock, self.reading))

    def last(self, number):
        """The connection of that number, from 1, when it is there."""
        env.wait_until(lambda: len(self.held) >= number, "the server")
        return self.held[number - 1]

    def close(self):
        env.close_listener(self.listener)
        self.reading.set()
        for held in self.held:
            try:
                held.sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


@pytest.fixture(scope="module")
def gate():
    """One that reads."""
    g = Gate()
    yield g
    g.close()


@pytest.fixture(scope="module")
def greeter_(rpch_server):
    """Version 1 before rpch-server."""
    g = Greeter((rpch_server.host, rpch_server.tcp_port))
    yield g
    g.close()


def pdus(total, ptype=rpc.REQUEST, seed=1, most=4280):
    """A stream of RPC PDUs of all sizes, some total bytes long."""
    rng, out, n = random.Random(seed), [], 0
    while n < total:
        size = rng.choice((24, 25, 40, 100, 1000, most, rng.randint(24, most)))
        out.append(rts.header(ptype, size) + rng.randbytes(size - 16))
        n += size
    return out


class Packed(rawclient.Channel):
    """A channel that sends only when it is told to."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.waiting = []

    def send(self, data):
        self.waiting.append(data)

    def flush(self, join=True):
        """As one write, or (join False) each by itself: of TLS as many
        records, but one packet as far as they fit into it."""
        cork = socket.IPPROTO_TCP, socket.TCP_CORK
        self.sock.setsockopt(*cork, 1)
        for data in [b"".join(self.waiting)] if join else self.waiting:
            self.sock.sendall(data)
        self.sock.setsockopt(*cork, 0)
        self.waiting.clear()


#: With a Narrow client: little fits between httpd and it.
NARROW = ("SendBufferSize 16384", "ReceiveBufferSize 65536")


class Narrow(rawclient.Channel):
    """A channel whose socket takes little before it is read."""

    def __init__(self, address, tls=None, name="proxy.example.test",
                 timeout=30):
        self.sock = socket.socket()
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32768)
        self.sock.settimeout(timeout)
        self.sock.connect(address)
        if tls:
            self.sock = tls.wrap_socket(self.sock, server_hostname=name)
        self.buffer, self.name = bytearray(), name


class StrictTls:
    """TLS that tells a close without close_notify from an orderly one."""

    def __init__(self, certs):
        self.context = ssl.create_default_context(cafile=str(certs.ca))
        self.context.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF

    def wrap_socket(self, sock, **more):
        return self.context.wrap_socket(sock, suppress_ragged_eofs=False,
                                        **more)


def open_narrow(client):
    """Opens client's connection with a Narrow OUT channel."""
    return client.open(cout=Narrow(client.address, client.tls))


def get(server, timeout=20):
    """The body of an ordinary page, which needs a worker."""
    with urllib.request.urlopen(
            f"http://127.0.0.1:{server.ports['http']}/index.html",
            timeout=timeout) as answer:
        return answer.read()


def threads(server):
    """pid -> number of threads."""
    return {pid: r[1] for pid, r in server.resources().items()}


def descriptors(pid):
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def wait_flat(server, before, what=""):
    """Until the children have no more descriptors and threads than before,
    which is of server.resources()."""
    last = {}

    def flat():
        last.clear()
        last.update(server.resources())
        return all(last[p][0] <= r[0] and last[p][1] <= r[1]
                   for p, r in before.items() if p in last)
    try:
        env.wait_until(flat, "what was held", 20, 0.1)
    except env.Timeout:
        raise AssertionError(f"{what}: {before} before, {last} after"
                             ) from None


def was_read(server, channel):
    """True when httpd has accepted the connection, and read all of it that
    came."""
    mine = channel.sock.getsockname()[1]
    return any(s.peer == mine and not s.unread for s in tcp_sockets(server))


def channel_lines(server, mark):
    """The lines of channels in the access log since mark."""
    return [a for a in server.access_since(mark)
            if a.channel in ("in", "out", "v1")]


def wait_lines(server, mark, n):
    """Until the access log has n lines of channels more, each with why it
    ended; returns them."""
    try:
        env.wait_until(lambda: len(channel_lines(server, mark)) >= n,
                       "lines", 40, 0.05)
    except env.Timeout:
        pass
    found = channel_lines(server, mark)
    assert len(found) == n, [a.raw for a in found][-20:]
    assert all(a.end not in ("", "-") for a in found), found
    return found


def processor_idle(server, what):
    """None of the children uses a processor, for longer than any of their
    timers could hide it."""
    pids = server.children()
    wait_still(pids, what)
    assert all(share < 0.25 for share in shares(pids, 1).values()), what


class OwnHttpds:
    """Httpds of one test alone, stopped in order at its end."""

    def __init__(self, scratch, certs, log, fields):
        self.scratch, self.certs, self.log = scratch, certs, log
        self.fields, self.made = fields, []

    def __call__(self, **more):
        server = Httpd(self.scratch, self.certs, Conf(**self.fields(**more)))
        self.made.append(server)
        server.start()
        self.log.watch(server)
        return server

    def close(self):
        for server in self.made:
            if server.process and server.process.alive():
                server.stop()


def graceful_stop(server, signal_, timeout=40):
    """Asks httpd to end when its connections have; returns when it has. One
    whose counters are wrong never does, where GracefulShutdownTimeout is
    0."""
    import os
    os.kill(server.process.pid, signal_)
    server.process.popen.wait(timeout)
    assert server.process.popen.returncode == 0


def wait_progress_ends(count, what):
    """Until count() does not change any more."""
    seen = []

    def still():
        seen.append(count())
        return len(seen) > 12 and len(set(seen[-12:])) == 1
    env.wait_until(still, what, 30, 0.05)
    return seen[-1]


def some_time():
    """For httpd to do what it should not: nothing can be polled for."""
    time.sleep(0.5)
